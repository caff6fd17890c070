"""What the teams' desk asks of the catalogue: offers by SKU, and back."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.kernel.db import Tx


class SkuOffer(msgspec.Struct, frozen=True):
    """An offer by the name people know."""

    offer_id: uuid.UUID
    sku: str
    title: dict[str, str]
    slug: str


async def offers_of_skus(tx: Tx, skus: Sequence[str]) -> dict[str, SkuOffer]:
    """The shop's own offer of each SKU, else the first. One statement."""
    rows = await tx.rows(
        SkuOffer,
        """
        select distinct on (v.sku) o.offer_id, v.sku, v.title, v.slug
          from catalogue.v_variant v
          join marketplace.v_offer o on o.variant_id = v.variant_id and o.active
         where v.sku = any($1::text[]) order by v.sku, o.seller_id, o.offer_id
        """,
        list(skus),
    )
    return {row.sku: row for row in rows}


async def skus_of_offers(tx: Tx, offer_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, SkuOffer]:
    """Offers by id. One statement."""
    rows = await tx.rows(
        SkuOffer,
        """
        select o.offer_id, v.sku, v.title, v.slug from marketplace.v_offer o
          join catalogue.v_variant v on v.variant_id = o.variant_id
         where o.offer_id = any($1::uuid[])
        """,
        list(offer_ids),
    )
    return {row.offer_id: row for row in rows}
