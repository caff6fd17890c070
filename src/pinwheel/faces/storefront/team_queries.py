"""What the teams' pages ask of the catalogue: one offer as it looks and costs now."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from pinwheel.kernel.db import Tx


class Thing(msgspec.Struct, frozen=True):
    """An offer's variant: how it looks, and its plain price (None: not for sale). ``revision``: of
    the rules that change prices."""

    offer_id: uuid.UUID
    variant_id: uuid.UUID
    slug: str
    title: dict[str, str]
    media: list[dict[str, Any]]
    options: dict[str, str]
    price_minor: int | None
    revision: int


async def things(tx: Tx, offer_ids: Sequence[uuid.UUID], currency: str) -> dict[uuid.UUID, Thing]:
    """Offers by id. One statement."""
    rows = await tx.rows(
        Thing,
        """
        select o.offer_id, v.variant_id, v.slug, v.title, v.media, v.options, price.price_minor,
               (select version from orders.v_revision) as revision
          from marketplace.v_offer o
          join catalogue.v_variant v on v.variant_id = o.variant_id
          left join lateral (
            select price_minor from pricing.v_price p
             where p.offer_id = o.offer_id and p.currency = $2 and p.starts_at <= $3
               and (p.ends_at is null or p.ends_at > $3)
             order by p.starts_at desc limit 1) price on true
         where o.offer_id = any($1::uuid[])
        """,
        list(offer_ids),
        currency,
        tx.now,
    )
    return {row.offer_id: row for row in rows}


async def offers_of_product(tx: Tx, slug: str) -> list[uuid.UUID]:
    """The offers of a product's variants. One statement."""
    return await tx.values(
        """
        select o.offer_id from catalogue.v_variant v
          join marketplace.v_offer o on o.variant_id = v.variant_id and o.active
         where v.slug = $1
        """,
        slug,
    )
