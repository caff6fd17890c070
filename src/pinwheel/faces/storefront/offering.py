"""Which offer a variant is sold by, at what price: the one source of the page, its structured data
and the feeds."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pinwheel.faces.storefront import price_tags, queries, structured
from pinwheel.faces.storefront.price_tags import Tag, Tags
from pinwheel.faces.storefront.queries import Selling
from pinwheel.faces.storefront.showing import first_picture, plain
from pinwheel.kernel.db import Tx
from pinwheel.kernel.words import said
from pinwheel.trade import marketplace, orders, pricing


class Offered(msgspec.Struct, frozen=True):
    """A variant's offers with their prices; ``best`` is the featured one. ``tags``: what they cost
    this visitor, where that is another price."""

    best: Selling
    price: pricing.Price
    others: list[tuple[Selling, pricing.Price]]
    tags: Tags

    @property
    def tag(self) -> Tag | None:
        return self.tags.get(self.best.offer_id)

    @property
    def now_minor(self) -> int:
        return self.tag.price_minor if self.tag else self.price.price_minor


async def offered(
    tx: Tx,
    variant_ids: Sequence[uuid.UUID],
    currency: str,
    viewer: orders.Viewer,
    language: str,
) -> dict[uuid.UUID, Offered]:
    """What each variant is sold for, to ``viewer``; without a price it is not sold. 2 statements,
    and those of the tags."""
    found = await queries.selling(tx, variant_ids)
    prices = await pricing.prices(tx, [s.offer_id for s in found], currency)
    revision = found[0].revision if found else 0
    mine = await price_tags.tags(tx, viewer, prices, revision, language)
    by_variant: dict[uuid.UUID, list[Selling]] = {}
    for one in found:
        if one.offer_id in prices:
            by_variant.setdefault(one.variant_id, []).append(one)
    return {variant_id: _chosen(ones, prices, mine) for variant_id, ones in by_variant.items()}


def _chosen(
    ones: Sequence[Selling], prices: Mapping[uuid.UUID, pricing.Price], mine: Tags
) -> Offered:
    choice = marketplace.featured(
        [
            marketplace.Candidate(
                s.offer_id,
                prices[s.offer_id].price_minor,
                s.free > 0,
                s.own,
                s.condition,  # type: ignore[arg-type]
            )
            for s in ones
        ]
    )
    assert choice is not None  # there is at least one
    best = next(s for s in ones if s.offer_id == choice.offer_id)
    others = [(s, prices[s.offer_id]) for s in ones if s is not best]
    others.sort(key=lambda o: o[1].price_minor)
    return Offered(best, prices[best.offer_id], others, mine)


def row(
    *,
    slug: str,
    title: Mapping[str, str],
    description: Mapping[str, str],
    brand: str,
    media: Sequence[Mapping[str, Any]],
    sku: str,
    gtin: str | None,
    options: Mapping[str, str],
    offer: Offered,
    language: str,
    origin: str,
    single: bool,
) -> dict[str, Any]:
    """One line of the feeds, and what the page's structured data say: the same figures."""
    picture, _, _ = first_picture(media, language, options.get("colour", ""))
    link = f"{origin}/{language}/p/{slug}"
    return {
        "sku": sku,
        "gtin": gtin,
        "title": said(title, language),
        "description": plain(said(description, language))[:5000],
        "brand": brand,
        "image": f"{origin}{picture}" if picture.startswith("/") else picture,
        "link": link if single else f"{link}?variant={sku}",
        "price": structured.amount(offer.now_minor, offer.price.currency),
        "price_minor": offer.now_minor,
        "currency": offer.price.currency,
        "available": offer.best.free > 0,
        "condition": offer.best.condition,
        "seller": offer.best.seller_name,
        "options": dict(options),
    }
