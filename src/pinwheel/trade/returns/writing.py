"""The statements that write returns."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.trade.returns.model import (
    Return,
)
from pinwheel.trade.returns.rules import (
    Loaded,
)


async def insert_returns(
    tx: Tx, fresh: Sequence[tuple[Return, list[tuple[int, int]]]], found: Loaded
) -> None:
    """New returns with their lines. One statement."""
    named = {order.id: {li.line: li for li in lines} for order, lines in found.values()}
    lines = [(r, named[r.order_id][n], quantity) for r, parts in fresh for n, quantity in parts]
    await tx.run(
        """
        with rma as (
          insert into returns.rma (cell, id, number, order_id, person_id, state, reason, note,
                 market, currency, policy, score, reasons, requested_at)
          select $1, r.id, r.number, r.order_id, r.person_id, r.state, r.reason, r.note, r.market,
                 r.currency, r.policy::jsonb, r.score, r.reasons::jsonb, $2
            from unnest($3::uuid[], $4::text[], $5::uuid[], $6::uuid[], $7::text[], $8::text[],
                        $9::text[], $10::text[], $11::text[], $12::text[], $13::int[],
                        $14::text[])
                 as r(id, number, order_id, person_id, state, reason, note, market, currency,
                      policy, score, reasons)
        )
        insert into returns.line (cell, return_id, line, order_id, seller_id, variant_id, sku,
               title, quantity)
        select $1, l.return_id, l.line, l.order_id, l.seller_id, l.variant_id, l.sku,
               l.title::jsonb, l.quantity
          from unnest($15::uuid[], $16::smallint[], $17::uuid[], $18::uuid[], $19::uuid[],
                      $20::text[], $21::text[], $22::bigint[])
               as l(return_id, line, order_id, seller_id, variant_id, sku, title, quantity)
        """,
        tx.cell,
        tx.now,
        [r.id for r, _ in fresh],
        [r.number for r, _ in fresh],
        [r.order_id for r, _ in fresh],
        [r.person_id for r, _ in fresh],
        [r.state for r, _ in fresh],
        [r.reason for r, _ in fresh],
        [r.note for r, _ in fresh],
        [r.market for r, _ in fresh],
        [r.currency for r, _ in fresh],
        [msgspec.json.encode(r.policy).decode() for r, _ in fresh],
        [r.score for r, _ in fresh],
        [msgspec.json.encode(r.reasons).decode() for r, _ in fresh],
        [r.id for r, _, _ in lines],
        [li.line for _, li, _ in lines],
        [r.order_id for r, _, _ in lines],
        [li.seller_id for _, li, _ in lines],
        [li.variant_id for _, li, _ in lines],
        [li.sku for _, li, _ in lines],
        [msgspec.json.encode(li.title).decode() for _, li, _ in lines],
        [quantity for _, _, quantity in lines],
    )


async def update_returns(tx: Tx, changed: Sequence[Return]) -> None:
    """Returns as they stand now. One statement."""
    await tx.run(
        """
        update returns.rma r
           set state = n.state, answer = n.answer, node = n.node, advance_minor = n.advance,
               carried_minor = n.carried, delivery_minor = n.delivery, freight_minor = n.freight,
               withheld_minor = n.withheld, refund_minor = n.refund, owed_minor = n.owed,
               send_by = n.send_by, received_at = n.received_at, grade_by = n.grade_by,
               closed_at = n.closed_at
          from unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
                      $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[],
                      $13::timestamptz[], $14::timestamptz[], $15::timestamptz[],
                      $16::timestamptz[])
               as n(id, state, answer, node, advance, carried, delivery, freight, withheld, refund,
                    owed, send_by, received_at, grade_by, closed_at)
         where r.cell = $1 and r.id = n.id
        """,
        tx.cell,
        [r.id for r in changed],
        [r.state for r in changed],
        [r.answer for r in changed],
        [r.node for r in changed],
        [r.advance_minor for r in changed],
        [r.carried_minor for r in changed],
        [r.delivery_minor for r in changed],
        [r.freight_minor for r in changed],
        [r.withheld_minor for r in changed],
        [r.refund_minor for r in changed],
        [r.owed_minor for r in changed],
        [r.send_by for r in changed],
        [r.received_at for r in changed],
        [r.grade_by for r in changed],
        [r.closed_at for r in changed],
    )
