"""What the deals' page asks about the goods of its offers; no locks."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from pinwheel.kernel.db import Tx


class DealGoods(msgspec.Struct, frozen=True):
    """An offer's product and its plain price in one currency. ``revision``: of the rules that
    change prices."""

    offer_id: uuid.UUID
    variant_id: uuid.UUID
    slug: str
    title: dict[str, str]
    brand: str
    media: list[dict[str, Any]]
    options: dict[str, str]
    price_minor: int
    revision: int


async def deal_goods(
    tx: Tx, offer_ids: Sequence[uuid.UUID], currency: str
) -> dict[uuid.UUID, DealGoods]:
    """Those that are sold in ``currency``, by offer. 1 statement."""
    rows = await tx.rows(
        DealGoods,
        """
        select o.offer_id, v.variant_id, v.slug, v.title, v.brand, v.media, v.options,
               p.price_minor, (select version from orders.v_revision) as revision
          from unnest($1::uuid[]) as w(offer_id)
          join marketplace.v_offer o on o.offer_id = w.offer_id and o.active
          join catalogue.v_variant v on v.variant_id = o.variant_id and v.buyable
          join lateral (
            select price_minor from pricing.v_price p
             where p.offer_id = o.offer_id and p.currency = $2 and p.starts_at <= $3
               and (p.ends_at is null or p.ends_at > $3)
             order by p.starts_at desc limit 1) p on true
        """,
        list(offer_ids),
        currency,
        tx.now,
    )
    return {row.offer_id: row for row in rows}
