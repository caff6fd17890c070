"""A parcel holds only what is there: what was sold ahead of its arrival can't be packed."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade.orders.model import NotHereYet, Order, OrderLine


class _Here(msgspec.Struct, frozen=True):
    variant_id: uuid.UUID
    seller_id: uuid.UUID
    node: str
    on_hand: int


async def not_here(
    tx: Tx, sent: Sequence[tuple[Order, Sequence[tuple[OrderLine, int]]]]
) -> dict[uuid.UUID, Refusal]:
    """Orders whose pieces are not all at their nodes, among the places that sell ahead. 1
    statement."""
    rows = await tx.rows(
        _Here,
        """
        select a.variant_id, a.seller_id, a.node, a.on_hand
          from inventory.v_position_backorder p
          join inventory.v_atp a on a.cell = p.cell and a.variant_id = p.variant_id
                                and a.seller_id = p.seller_id and a.node = p.node
         where p.cell = $1 and p.variant_id = any($2::uuid[])
        """,
        tx.cell,
        sorted({line.variant_id for _, parts in sent for line, _ in parts}),
    )
    left = {(r.variant_id, r.seller_id, r.node): r.on_hand for r in rows}
    waits = await _waiting(tx, [order.id for order, _ in sent]) if left else {}
    refused: dict[uuid.UUID, Refusal] = {}
    for order, parts in sent if left else ():
        wanted: dict[tuple[uuid.UUID, uuid.UUID, str], int] = {}
        for line, quantity in parts:
            place = (line.variant_id, line.seller_id, line.node)
            wanted[place] = wanted.get(place, 0) + quantity
            here = left.get(place)
            if here is None:
                continue
            here = min(here, line.open - waits.get((order.id, line.line), 0))
            if wanted[place] > here:
                refused[order.id] = NotHereYet(
                    number=order.number,
                    sku=line.sku,
                    here=max(0, here),
                    asked=wanted[place],
                    node=line.node,
                )
                break
        else:
            for place, quantity in wanted.items():
                if place in left:
                    left[place] -= quantity
    return refused


class _Waits(msgspec.Struct, frozen=True):
    order_id: uuid.UUID
    line: int
    quantity: int


async def _waiting(tx: Tx, order_ids: Sequence[uuid.UUID]) -> dict[tuple[uuid.UUID, int], int]:
    """What of each line is for others first, though it may lie there."""
    rows = await tx.rows(
        _Waits,
        """
        select order_id, line, quantity from orders.backorder
         where cell = $1 and order_id = any($2::uuid[])
        """,
        tx.cell,
        list(order_ids),
    )
    return {(r.order_id, r.line): r.quantity for r in rows}
