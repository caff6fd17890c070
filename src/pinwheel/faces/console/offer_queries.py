"""Offers by SKU and SKUs by offer, for editors that people type SKUs into; no locks."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.kernel.db import Tx


class _Pair(msgspec.Struct, frozen=True):
    offer_id: uuid.UUID
    sku: str


async def offers_of_skus(tx: Tx, skus: Sequence[str]) -> dict[str, list[uuid.UUID]]:
    """Every active offer of each SKU. 1 statement, none without a SKU."""
    if not skus:
        return {}
    rows = await tx.rows(
        _Pair,
        """
        select o.offer_id, v.sku from catalogue.v_variant v
          join marketplace.v_offer o on o.variant_id = v.variant_id and o.active
         where v.sku = any($1::text[]) order by v.sku, o.offer_id
        """,
        sorted(set(skus)),
    )
    found: dict[str, list[uuid.UUID]] = {}
    for row in rows:
        found.setdefault(row.sku, []).append(row.offer_id)
    return found


async def offer_skus(tx: Tx, offer_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, str]:
    """The SKU of each offer. 1 statement, none without an offer."""
    if not offer_ids:
        return {}
    rows = await tx.rows(
        _Pair,
        """
        select o.offer_id, v.sku from marketplace.v_offer o
          join catalogue.v_variant v on v.variant_id = o.variant_id
         where o.offer_id = any($1::uuid[])
        """,
        list(offer_ids),
    )
    return {row.offer_id: row.sku for row in rows}
