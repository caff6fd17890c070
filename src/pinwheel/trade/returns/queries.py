"""Questions about returns; none takes a lock. What a person may see is decided in the query."""

from __future__ import annotations

import uuid

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.kernel.listing import Page, after, page
from pinwheel.trade.returns.looking import lines_of
from pinwheel.trade.returns.model import (
    Return,
    ReturnLine,
)


class GradedPart(msgspec.Struct, frozen=True):
    line: int
    grade: str
    quantity: int
    disposition: str
    checklist: dict[str, bool]


class ReturnSight(msgspec.Struct, frozen=True, kw_only=True):
    """A return with its lines and what the inspection found."""

    ret: Return = msgspec.field(name="return")
    lines: list[ReturnLine]
    grades: list[GradedPart]


class Returnable(msgspec.Struct, frozen=True):
    """What of an order line can still be asked back."""

    line: int
    sku: str
    title: dict[str, str]
    quantity: int


async def see(tx: Tx, return_id: uuid.UUID, *, person_id: uuid.UUID | None = None) -> ReturnSight:
    """One return, of one person when ``person_id`` is given; else ``NotFound``."""
    found = await tx.the(
        "return",
        Return,
        """
        select id, number, order_id, person_id, state, reason, note, market, currency, policy,
               score, reasons, answer, node, advance_minor, carried_minor, delivery_minor,
               freight_minor, withheld_minor, refund_minor, owed_minor, requested_at, send_by,
               received_at, grade_by, closed_at
          from returns.rma where cell = $1 and id = $2 and ($3::uuid is null or person_id = $3)
        """,
        tx.cell,
        return_id,
        person_id,
    )
    grades = await tx.rows(
        GradedPart,
        """
        select line, grade, quantity, disposition, checklist from returns.grading
         where cell = $1 and return_id = $2 order by line, grade
        """,
        tx.cell,
        return_id,
    )
    return ReturnSight(ret=found, lines=await lines_of(tx, [return_id]), grades=grades)


async def returns(
    tx: Tx,
    *,
    person_id: uuid.UUID | None = None,
    order_id: uuid.UUID | None = None,
    state: str | None = None,
    overdue: bool = False,
    cursor: str | None = None,
    limit: int = 20,
) -> Page[Return]:
    """Returns newest first: of one person, one order, in one state, or those a person must look
    at because grading is overdue."""
    before = after(cursor, uuid.UUID)
    rows = await tx.rows(
        Return,
        """
        select id, number, order_id, person_id, state, reason, note, market, currency, policy,
               score, reasons, answer, node, advance_minor, carried_minor, delivery_minor,
               freight_minor, withheld_minor, refund_minor, owed_minor, requested_at, send_by,
               received_at, grade_by, closed_at
          from returns.rma
         where cell = $1 and ($2::uuid is null or person_id = $2)
           and ($3::uuid is null or order_id = $3) and ($4::text is null or state = $4)
           and (not $5 or (state = 'received' and grade_by <= $6))
           and ($7::uuid is null or id < $7)
         order by id desc limit $8
        """,
        tx.cell,
        person_id,
        order_id,
        state,
        overdue,
        tx.now,
        before[0] if before else None,
        limit + 1,
    )
    return page(rows, limit, lambda r: (r.id,))


async def returnable(
    tx: Tx, order_id: uuid.UUID, *, person_id: uuid.UUID | None = None
) -> list[Returnable]:
    """The pieces of an order that were sent and that no return has named yet. Whether it is still
    in time is said when it is asked for."""
    return await tx.rows(
        Returnable,
        """
        select l.line, l.sku, l.title,
               (l.shipped - l.returned - coalesce(c.claimed, 0))::bigint as quantity
          from orders.v_line l
          left join (
            select v.order_id, v.line,
                   sum(case v.state when 'received' then v.received else v.quantity end) as claimed
              from returns.v_return v
             where v.cell = $1 and v.order_id = $2
               and v.state in ('requested', 'approved', 'received')
             group by 1, 2) c on c.order_id = l.order_id and c.line = l.line
         where l.cell = $1 and l.order_id = $2 and ($3::uuid is null or l.person_id = $3)
           and l.shipped - l.returned > coalesce(c.claimed, 0)
         order by l.line
        """,
        tx.cell,
        order_id,
        person_id,
    )


async def export(tx: Tx, person_id: uuid.UUID) -> list[ReturnSight]:
    """Every return of a person with its lines and grades: for their copy."""
    ids = await tx.values(
        "select id from returns.rma where cell = $1 and person_id = $2 order by id",
        tx.cell,
        person_id,
    )
    return [await see(tx, return_id) for return_id in ids]
