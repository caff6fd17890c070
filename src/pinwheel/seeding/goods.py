"""Categories, products, pictures, offers, prices and stock of the demonstration shop."""

from __future__ import annotations

import datetime as dt
import html
import uuid
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import msgspec

from pinwheel.demonstration import (
    NODES,
    RATES_CNY,
    DemoAttribute,
    DemoCategory,
    DemoProduct,
    DemoVariant,
    Words,
    address_of,
)
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.seeding.marker import ACTOR, Marker
from pinwheel.trade import catalogue, inventory, marketplace, pricing

T = TypeVar("T")
AT_ONCE = 250
NEWEST_IN = 14  # every so manieth product is a new arrival of the last weeks
OPENED_DAYS = 110  # before the seeding: before the season, and an honest price before a reduction
REDUCED_DAYS = 18
PLACES = {"east": (31.23, 121.47), "south": (23.13, 113.26)}
BOOKS = "books"


def settled_products(products: Sequence[DemoProduct]) -> list[DemoProduct]:
    """Those that were there before the month of orders began."""
    return [p for n, p in enumerate(products) if n % NEWEST_IN]


async def fill_goods(
    db: Database,
    marker: Marker,
    categories: Sequence[DemoCategory],
    products: Sequence[DemoProduct],
    say: Callable[[str], None],
) -> None:
    """The tree, then products in batches, each with its offers, prices and stock."""
    opened_at = marker.began_at - dt.timedelta(days=OPENED_DAYS)
    if not marker.at("categories"):
        async with db.transaction(actor=ACTOR, now=opened_at) as tx:
            await _fill_categories(tx, categories)
            await _fill_nodes(tx)
            await _close_markets(tx)
            await marker.reach(tx, "categories", 1)
    async with db.reading() as reading:
        ids = {c.slug: c.id for c in await catalogue.categories(reading)}
    numbered = list(enumerate(products))
    settled = [p for n, p in numbered if n % NEWEST_IN]
    newest = [p for n, p in numbered if not n % NEWEST_IN]
    for at in range(marker.at("settled"), len(settled), AT_ONCE):
        some = settled[at : at + AT_ONCE]
        async with db.transaction(actor=ACTOR, now=opened_at) as tx:
            await _fill_products(tx, some, ids, full=True)
            await marker.reach(tx, "settled", at + AT_ONCE)
        if at % 1000 == 0:
            say(f"  {at + len(some)} / {len(products)} products / 件商品")
    step = -(-len(newest) // 6) or 1
    for at in range(marker.at("newest"), len(newest), step):
        arrived_at = marker.began_at - dt.timedelta(days=21 - 3.5 * (at // step), hours=2)
        async with db.transaction(actor=ACTOR, now=arrived_at) as tx:
            await _fill_products(tx, newest[at : at + step], ids, full=False)
            await marker.reach(tx, "newest", at + step)
    await _reduce(db, marker, settled)
    say(f"  {len(products)} products / 件商品")


async def _fill_categories(tx: Tx, categories: Sequence[DemoCategory]) -> None:
    _sound(
        await catalogue.save_categories(
            tx,
            [
                catalogue.CategoryDraft(
                    slug=c.slug, name=_said(c.name), parent=c.parent or "", position=n
                )
                for n, c in enumerate(categories)
            ],
        )
    )
    ids = {c.slug: c.id for c in await catalogue.categories(tx)}
    _sound(
        await catalogue.save_attributes(
            tx,
            [
                _attribute(a, ids[c.slug], n)
                for c in categories
                for n, a in enumerate(c.attributes)
                if a.key != "imprint"  # it is the product's brand
            ],
        )
    )


def _attribute(a: DemoAttribute, category_id: uuid.UUID, position: int) -> catalogue.Attribute:
    return catalogue.Attribute(
        category_id=category_id,
        code=a.key,
        label=_said(a.name),
        kind="number" if a.kind == "integer" else a.kind,
        unit=a.unit,
        choices=[catalogue.Choice(c.value, _said(c.name)) for c in a.choices],
        many=a.kind == "choice",
        facet=a.is_facet,
        searchable=a.kind == "text",
        position=position,
    )


async def _fill_nodes(tx: Tx) -> None:
    await inventory.save_nodes(
        tx,
        [
            inventory.Node(
                code=node.code.upper(),
                name=_said(node.name),
                country="CN",
                latitude=PLACES[node.code][0],
                longitude=PLACES[node.code][1],
                parcel_minor=500 + 100 * n,
            )
            for n, node in enumerate(NODES)
        ],
    )


async def _close_markets(tx: Tx) -> None:
    """Nothing is priced in the other currencies: a buyer there would find an empty shop."""
    _sound(
        await pricing.save_markets(
            tx,
            [
                msgspec.structs.replace(market, active=False)
                for market in (await pricing.markets(tx)).values()
                if market.currency not in RATES_CNY
            ],
        )
    )


async def _fill_products(
    tx: Tx, products: Sequence[DemoProduct], category_ids: dict[str, uuid.UUID], *, full: bool
) -> None:
    """Save, publish, offer, price (at the list price, when ``full``) and stock a batch."""
    saved = _sound(
        await catalogue.save_products(
            tx, [_draft(p, category_ids[p.category]) for p in products], reason="demonstration"
        )
    )
    _sound(await catalogue.publish(tx, [s.product_id for s in saved]))
    variants = [
        (v, s.variant_ids[v.sku]) for p, s in zip(products, saved, strict=True) for v in p.variants
    ]
    offers = _sound(
        await marketplace.save_offers(
            tx, [marketplace.OfferDraft(variant_id=variant_id) for _, variant_id in variants]
        )
    )
    prices = [
        new
        for (variant, _), offer in zip(variants, offers, strict=True)
        for new in _prices(variant, offer.id, full=full)
    ]
    _sound(await pricing.set_prices(tx, prices))
    counts = [
        inventory.StockCount(
            inventory.Place(marketplace.OWN_SELLER_ID, node.code.upper(), variant_id), pieces
        )
        for variant, variant_id in variants
        for node, pieces in zip(NODES, variant.stock, strict=True)
        if pieces
    ]
    _sound(await inventory.receive(tx, counts, document_id=tx.new_id(), reason="demonstration"))


def _draft(p: DemoProduct, category_id: uuid.UUID) -> catalogue.ProductDraft:
    attributes: dict[str, Any] = {k: v for k, v in p.attributes.items() if k != "imprint"}
    for key in sorted({key for v in p.variants for key in v.options}):
        attributes[key] = sorted({v.options[key] for v in p.variants})
    return catalogue.ProductDraft(
        slug=p.slug,
        title=_said(p.title),
        category_id=category_id,
        description={"en": _html(p.description.en), "zh-CN": _html(p.description.zh)},
        attributes=attributes,
        brand=f"{p.imprint.en} {p.imprint.zh}" if p.shape == "book" else "",
        media=_media(p),
        variants=[
            catalogue.VariantDraft(
                sku=v.sku,
                gtin=v.gtin,
                options=v.options,
                weight_grams=v.weight_grams,
                tax_class="books" if p.shape == "book" else "standard",
            )
            for v in p.variants
        ],
    )


def _media(p: DemoProduct) -> list[dict[str, Any]]:
    """A cover in each language, or the thing in each of its colours."""
    alt = {"en": f"{p.title.en} (drawing)", "zh-CN": f"{p.title.zh}（绘图）"}
    if p.shape == "book":
        return [
            {"url": address_of(p, "zh-CN"), "alt": alt, "shape": "book", "language": "zh-CN"},
            {"url": address_of(p, "en"), "alt": alt, "shape": "book", "language": "en"},
        ]
    return [
        {"url": address_of(p, "en", colour), "alt": alt, "shape": "object", "colour": colour}
        for colour in p.colours
    ]


def _prices(variant: DemoVariant, offer_id: uuid.UUID, *, full: bool) -> list[pricing.NewPrice]:
    """One price a currency: the list price where there is one, when ``full``; else today's."""
    return [
        pricing.NewPrice(
            offer_id=offer_id,
            currency=currency,
            price_minor=variant.list_price_minor.get(currency, now) if full else now,
            list_price_minor=variant.list_price_minor.get(currency) if not full else None,
            reason="demonstration",
        )
        for currency, now in variant.price_minor.items()
    ]


async def _reduce(db: Database, marker: Marker, products: Sequence[DemoProduct]) -> None:
    """What has a list price was sold at it, and costs less now: so the strike-through is true."""
    reduced = [v for p in products for v in p.variants if v.list_price_minor]
    at = marker.began_at - dt.timedelta(days=REDUCED_DAYS)
    for start in range(marker.at("reduced"), len(reduced), AT_ONCE * 2):
        some = reduced[start : start + AT_ONCE * 2]
        async with db.transaction(actor=ACTOR, now=at) as tx:
            offer_of = await offers_of(tx, [v.sku for v in some])
            new = [n for v in some for n in _prices(v, offer_of[v.sku], full=False)]
            _sound(await pricing.set_prices(tx, new))
            await marker.reach(tx, "reduced", start + AT_ONCE * 2)


async def offers_of(tx: Tx, skus: Iterable[str]) -> dict[str, uuid.UUID]:
    """The own shop's offer of each SKU."""
    found = await catalogue.skus(tx, skus)
    by_variant = await marketplace.offers(tx, [s.variant_id for s in found.values()])
    return {sku: by_variant[s.variant_id][0].id for sku, s in found.items()}


def _said(words: Words) -> dict[str, str]:
    return {"en": words.en, "zh-CN": words.zh}


def _html(text: str) -> str:
    return "".join(f"<p>{html.escape(part)}</p>" for part in text.split("\n\n"))


def _sound(answers: Sequence[T | Refusal]) -> list[T]:
    """The answers; what the content can't be refused for is a fault of the content."""
    good = []
    for answer in answers:
        if isinstance(answer, Refusal):
            raise answer
        good.append(answer)
    return good
