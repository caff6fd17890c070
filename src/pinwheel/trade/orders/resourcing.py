"""A node has failed: what it promised is sourced again from the others."""

from __future__ import annotations

import uuid

import msgspec

from pinwheel.ground import ledger
from pinwheel.kernel.db import Tx
from pinwheel.trade import inventory
from pinwheel.trade.orders.model import (
    LineUnsourced,
)


class _Promised(msgspec.Struct, frozen=True):
    order_id: uuid.UUID
    line: int
    seller_id: uuid.UUID
    variant_id: uuid.UUID
    open: int
    hold_id: uuid.UUID


async def source_again(tx: Tx, node: str) -> tuple[int, int]:
    """Take elsewhere what ``node`` promised: (lines moved, lines that nobody else has).

    A line moves whole. One that can't is told (``LineUnsourced``) and keeps its claim on the node.
    """
    promised = await tx.rows(
        _Promised,
        """
        select l.order_id, l.line, l.seller_id, l.variant_id,
               l.quantity - l.cancelled - l.shipped as open, l.hold_id
          from orders.line l join orders."order" o on o.cell = l.cell and o.id = l.order_id
         where l.cell = $1 and l.node = $2 and o.state = 'placed' and l.hold_id is not null
           and l.quantity > l.cancelled + l.shipped
         order by l.order_id, l.line for update of o, l
        """,
        tx.cell,
        node,
    )
    moves = await _elsewhere(tx, promised, node)
    taken = await ledger.hold(
        tx,
        [
            ledger.Hold(
                document_kind="order",
                document_id=one.order_id,
                key=f"{one.line}:{target}:after:{one.hold_id}",
                debit=inventory.sold(one.variant_id),
                credit=inventory.available(inventory.Place(one.seller_id, target, one.variant_id)),
                amount=one.open,
            )
            for one, target in moves
        ],
    )
    moved = [
        (one, target, answer.hold_id)
        for (one, target), answer in zip(moves, taken, strict=True)
        if isinstance(answer, ledger.Held)
    ]
    await ledger.release(tx, [one.hold_id for one, _, _ in moved])
    await tx.run(
        """
        update orders.line l set node = m.node, hold_id = m.hold_id
          from unnest($2::uuid[], $3::smallint[], $4::text[], $5::uuid[])
               as m(order_id, line, node, hold_id)
         where l.cell = $1 and l.order_id = m.order_id and l.line = m.line
        """,
        tx.cell,
        [one.order_id for one, _, _ in moved],
        [one.line for one, _, _ in moved],
        [target for _, target, _ in moved],
        [hold_id for _, _, hold_id in moved],
    )
    done = {(one.order_id, one.line) for one, _, _ in moved}
    stuck = [one for one in promised if (one.order_id, one.line) not in done]
    tx.emit(*(LineUnsourced(order_id=o.order_id, line=o.line, node=node) for o in stuck))
    return len(moved), len(stuck)


async def _elsewhere(tx: Tx, promised: list[_Promised], node: str) -> list[tuple[_Promised, str]]:
    """For each line the other node that can send it whole, sharing what there is in order."""
    free = {
        (p.variant_id, p.seller_id, p.node): p.atp
        for p in await inventory.positions(tx, sorted({p.variant_id for p in promised}))
        if p.is_open and p.node != node
    }
    nodes = await inventory.nodes(tx)
    moves = []
    for one in promised:
        whole = {key: atp for key, atp in free.items() if atp >= one.open}
        parts = inventory.source(
            [inventory.Wanted(one.variant_id, one.seller_id, one.open)], whole, nodes
        )
        if parts:
            free[one.variant_id, one.seller_id, parts[0].node] -= one.open
            moves.append((one, parts[0].node))
    return moves
