"""Sold before it is here: who waits for which pieces, until when, and what happens then.

Who ordered first is served first: the pieces that are missing at a place are those of its newest
lines. The day that was said when it was ordered is kept with the line; once it is over the buyer is
told and may cancel, and after ``GRACE_DAYS`` more the pieces are cancelled and paid back."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import NotFound, Refusal
from pinwheel.trade.orders.fulfil import cancel_lines
from pinwheel.trade.orders.model import BackorderLate

GRACE_DAYS = 14
UNSAID_DAYS = 30  # where no day was said: the Mail Order Rule's default (16 CFR 435.2)
REASON = "not here by its last day"


class Backorder(msgspec.Struct, frozen=True, kw_only=True):
    """``quantity`` pieces of a line that are not here yet."""

    order_id: uuid.UUID
    line: int
    quantity: int
    expected_on: dt.date
    last_on: dt.date
    told_on: dt.date | None


def promised(today: dt.date, expected_on: dt.date | None) -> tuple[dt.date, dt.date]:
    """(the day that is said, the last day that is waited for) for what is ordered today."""
    day = expected_on or today + dt.timedelta(days=UNSAID_DAYS)
    day = max(day, today)
    return day, day + dt.timedelta(days=GRACE_DAYS)


async def follow_backorders(tx: Tx) -> int:
    """Bring the list of waiting lines up to date; how many wait. Safe to repeat. 3 statements."""
    rows = await tx.rows(
        _Waiting,
        """
        with place as (
          select p.variant_id, p.seller_id, p.node, a.reserved - a.on_hand as missing,
                 a.expected_on
            from inventory.v_position_backorder p
            join inventory.v_atp a on a.cell = p.cell and a.variant_id = p.variant_id
                                  and a.seller_id = p.seller_id and a.node = p.node
           where p.cell = $1 and a.reserved > a.on_hand
        ), line as (
          select l.order_id, l.line, o.state, o.placed_at, p.missing, p.expected_on,
                 l.quantity - l.cancelled - l.shipped as open,
                 sum(l.quantity - l.cancelled - l.shipped) over (
                   partition by l.variant_id, l.seller_id, l.node
                   order by o.placed_at desc, l.order_id desc, l.line desc) as newer
            from place p
            join orders.line l on l.cell = $1 and l.variant_id = p.variant_id
                              and l.seller_id = p.seller_id and l.node = p.node
            join orders."order" o on o.cell = l.cell and o.id = l.order_id
           where o.state in ('pending_payment', 'placed')
             and l.quantity > l.cancelled + l.shipped
        )
        select order_id, line, least(open, missing - (newer - open))::bigint as quantity,
               expected_on, placed_at
          from line where newer - open < missing and state = 'placed' order by order_id, line
        """,
        tx.cell,
    )
    days = [promised(r.placed_at.date(), r.expected_on) for r in rows]
    await tx.run(
        """
        delete from orders.backorder b where b.cell = $1
           and not exists (select from unnest($2::uuid[], $3::smallint[]) as w(order_id, line)
                            where w.order_id = b.order_id and w.line = b.line)
        """,
        tx.cell,
        [r.order_id for r in rows],
        [r.line for r in rows],
    )
    await tx.run(
        """
        insert into orders.backorder (cell, order_id, line, quantity, expected_on, last_on)
        select $1, w.* from unnest($2::uuid[], $3::smallint[], $4::bigint[], $5::date[],
                                   $6::date[]) as w(order_id, line, quantity, expected_on, last_on)
        on conflict (order_id, line, cell) do update set quantity = excluded.quantity
         where backorder.quantity <> excluded.quantity
        """,
        tx.cell,
        [r.order_id for r in rows],
        [r.line for r in rows],
        [r.quantity for r in rows],
        [said for said, _ in days],
        [last for _, last in days],
    )
    return len(rows)


class _Waiting(msgspec.Struct, frozen=True):
    order_id: uuid.UUID
    line: int
    quantity: int
    expected_on: dt.date | None
    placed_at: dt.datetime


async def end_late_backorders(tx: Tx, *, most: int = 200) -> tuple[int, int]:
    """(told, cancelled): buyers whose day is over are told once; what has not come by its last day
    is cancelled and paid back. Safe to repeat."""
    today = tx.now.date()
    late = await tx.rows(
        Backorder,
        """
        update orders.backorder b set told_on = $2
         where b.cell = $1 and b.expected_on < $2 and b.told_on is null
        returning b.order_id, b.line, b.quantity, b.expected_on, b.last_on, b.told_on
        """,
        tx.cell,
        today,
    )
    tx.emit(
        *(
            BackorderLate(order_id=b.order_id, line=b.line, quantity=b.quantity, last_on=b.last_on)
            for b in late
        )
    )
    over = await tx.rows(
        Backorder,
        """
        select order_id, line, quantity, expected_on, last_on, told_on from orders.backorder
         where cell = $1 and expected_on < $2 and last_on < $2 order by order_id, line limit $3
        """,
        tx.cell,
        today,
        most,
    )
    return len(late), await _cancelled(tx, over)


async def cancel_backorders(
    tx: Tx, order_id: uuid.UUID, *, person_id: uuid.UUID | None = None
) -> int:
    """The buyer waits no longer: the pieces of the order that are not here are cancelled and paid
    back; what goes back, in minor units. ``NotFound`` when nothing waits, or another person's."""
    rows = await backorders_of(tx, [order_id])
    if not rows:
        raise NotFound(what="order")
    parts = [(b.line, b.quantity) for b in rows]
    refund = await cancel_lines(
        tx, order_id, parts, reason="did not want to wait", person_id=person_id
    )
    await _forget(tx, rows)
    return refund


async def _cancelled(tx: Tx, over: Sequence[Backorder]) -> int:
    by_order: dict[uuid.UUID, list[Backorder]] = {}
    for one in over:
        by_order.setdefault(one.order_id, []).append(one)
    done = 0
    for order_id, rows in by_order.items():
        try:
            async with tx.savepoint():
                await cancel_lines(
                    tx, order_id, [(b.line, b.quantity) for b in rows], reason=REASON
                )
        except Refusal:
            continue  # sent or cancelled meanwhile: the list is brought up to date by the clock
        done += len(rows)
        await _forget(tx, rows)
    return done


async def _forget(tx: Tx, rows: Sequence[Backorder]) -> None:
    await tx.run(
        """
        delete from orders.backorder b using unnest($2::uuid[], $3::smallint[]) as d(order_id, line)
         where b.cell = $1 and b.order_id = d.order_id and b.line = d.line
        """,
        tx.cell,
        [b.order_id for b in rows],
        [b.line for b in rows],
    )


async def backorders_of(tx: Tx, order_ids: Sequence[uuid.UUID]) -> list[Backorder]:
    """What of these orders is not here yet."""
    return await tx.rows(
        Backorder,
        """
        select order_id, line, quantity, expected_on, last_on, told_on from orders.backorder
         where cell = $1 and order_id = any($2::uuid[]) order by order_id, line
        """,
        tx.cell,
        list(order_ids),
    )
