"""Questions about stock; none takes a lock."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from pinwheel.kernel.db import Tx
from pinwheel.kernel.listing import Page, after, page
from pinwheel.trade.inventory.model import Node, Position


async def nodes(tx: Tx) -> dict[str, Node]:
    """Every node by code."""
    rows = await tx.rows(
        Node,
        """
        select code, name, kind, country, latitude, longitude, parcel_minor, lead_hours, is_open
          from inventory.node order by code
        """,
    )
    return {node.code: node for node in rows}


async def positions(tx: Tx, variant_ids: Sequence[uuid.UUID]) -> list[Position]:
    """What is where, of each variant, with what can be promised of it."""
    return await tx.rows(
        Position,
        """
        select variant_id, seller_id, node, on_hand, reserved, atp, is_open, safety_stock,
               backorder_limit, expected_on
          from inventory.v_atp where cell = $1 and variant_id = any($2::uuid[])
         order by variant_id, seller_id, node
        """,
        tx.cell,
        list(variant_ids),
    )


async def stock_list(
    tx: Tx, *, node: str | None = None, cursor: str | None = None, limit: int = 50
) -> Page[Position]:
    """Positions by variant, for the console."""
    start = after(cursor, uuid.UUID, uuid.UUID, str) or (None, None, None)
    rows = await tx.rows(
        Position,
        """
        select variant_id, seller_id, node, on_hand, reserved, atp, is_open, safety_stock,
               backorder_limit, expected_on
          from inventory.v_atp
         where cell = $1 and ($2::text is null or node = $2)
           and ($3::uuid is null or (variant_id, seller_id, node) > ($3, $4::uuid, $5::text))
         order by variant_id, seller_id, node limit $6
        """,
        tx.cell,
        node,
        *start,
        limit + 1,
    )
    return page(rows, limit, lambda r: (r.variant_id, r.seller_id, r.node))
