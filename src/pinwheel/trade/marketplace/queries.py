"""Questions to the marketplace."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.kernel.listing import Page, after, page
from pinwheel.trade.marketplace.model import (
    Candidate,
    Choice,
    Condition,
    Offer,
    Seller,
    featured,
)


class OfferLine(msgspec.Struct, frozen=True):
    """An offer as a buyer sees it."""

    id: uuid.UUID
    variant_id: uuid.UUID
    condition: Condition
    max_per_order: int | None
    seller_id: uuid.UUID
    seller_slug: str
    seller_name: str
    own: bool


async def sellers(tx: Tx, *, cursor: str | None = None, limit: int = 50) -> Page[Seller]:
    """Every seller, in order of slug."""
    start = after(cursor, str)
    rows = await tx.rows(
        Seller,
        """
        select id, slug, name, kind, status = 'active' as active, country from marketplace.seller
         where $1::text is null or slug > $1 order by slug limit $2
        """,
        start[0] if start else None,
        limit + 1,
    )
    return page(rows, limit, lambda row: (row.slug,))


async def offers(tx: Tx, variant_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, list[OfferLine]]:
    """The active offers of each variant, the older first. 1 statement."""
    rows = await tx.rows(
        OfferLine,
        """
        select offer_id as id, variant_id, condition, max_per_order, seller_id, seller_slug,
               seller_name, seller_kind = 'own' as own
          from marketplace.v_offer where variant_id = any($1::uuid[]) and active
         order by variant_id, offer_id
        """,
        list(set(variant_ids)),
    )
    grouped: dict[uuid.UUID, list[OfferLine]] = {}
    for row in rows:
        grouped.setdefault(row.variant_id, []).append(row)
    return grouped


async def offers_of(
    tx: Tx,
    seller_id: uuid.UUID,
    *,
    variant_ids: Sequence[uuid.UUID] = (),
    cursor: str | None = None,
    limit: int = 50,
) -> Page[Offer]:
    """Every offer of one seller, or those of some variants; paused ones too."""
    start = after(cursor, uuid.UUID)
    rows = await tx.rows(
        Offer,
        """
        select offer_id as id, seller_id, variant_id, condition, active, max_per_order
          from marketplace.v_offer
         where seller_id = $1 and ($2::uuid is null or offer_id > $2)
           and ($4::uuid[] is null or variant_id = any($4))
         order by offer_id limit $3
        """,
        seller_id,
        start[0] if start else None,
        limit + 1,
        list(variant_ids) or None,
    )
    return page(rows, limit, lambda row: (row.id,))


async def known_offers(tx: Tx, offer_ids: Iterable[uuid.UUID]) -> set[uuid.UUID]:
    """Those that there are, paused ones too. 1 statement."""
    return set(
        await tx.values(
            "select offer_id from marketplace.v_offer where offer_id = any($1::uuid[])",
            list(set(offer_ids)),
        )
    )


async def featured_offers(
    tx: Tx,
    variant_ids: Iterable[uuid.UUID],
    landed_minor: Mapping[uuid.UUID, int],
    in_stock: Iterable[uuid.UUID],
) -> dict[uuid.UUID, Choice]:
    """The featured offer of each variant, with its reason. ``landed_minor`` by offer: what a buyer
    pays in all; an offer that is not in it has no price and is not featured. ``in_stock``: the
    offers that can be sent now. 1 statement."""
    sendable = set(in_stock)
    chosen: dict[uuid.UUID, Choice] = {}
    for variant_id, lines in (await offers(tx, variant_ids)).items():
        choice = featured(
            [
                Candidate(o.id, landed_minor[o.id], o.id in sendable, o.own, o.condition)
                for o in lines
                if o.id in landed_minor
            ]
        )
        if choice is not None:
            chosen[variant_id] = choice
    return chosen
