"""What the verbs read before they decide: what is locked, claimed, allowed and known."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.trade import orders
from pinwheel.trade.orders import Order, OrderLine
from pinwheel.trade.returns.model import (
    CategoryPolicy,
    History,
    Policy,
    Return,
    ReturnLine,
)
from pinwheel.trade.returns.rules import (
    Loaded,
    policy_for,
    strictest,
)


class Locked(msgspec.Struct):
    """Returns under lock with the orders they are of."""

    returns: dict[uuid.UUID, Return]
    lines: dict[uuid.UUID, list[ReturnLine]]
    orders: Loaded


async def locked(tx: Tx, return_ids: Sequence[uuid.UUID]) -> Locked:
    """Orders first, then returns, both in the order of their ids. 5 statements."""
    order_ids = await tx.values(
        "select distinct order_id from returns.rma where cell = $1 and id = any($2::uuid[])",
        tx.cell,
        list(return_ids),
    )
    found = await orders.locked_orders(tx, sorted(order_ids))
    rows = await tx.rows(
        Return,
        """
        select id, number, order_id, person_id, state, reason, note, market, currency, policy,
               score, reasons, answer, node, advance_minor, carried_minor, delivery_minor,
               freight_minor, withheld_minor, refund_minor, owed_minor, requested_at, send_by,
               received_at, grade_by, closed_at
          from returns.rma where cell = $1 and id = any($2::uuid[]) order by id for update
        """,
        tx.cell,
        list(return_ids),
    )
    lines: dict[uuid.UUID, list[ReturnLine]] = {row.id: [] for row in rows}
    for line in await lines_of(tx, list(lines)):
        lines[line.return_id].append(line)
    return Locked({row.id: row for row in rows}, lines, found)


async def lines_of(tx: Tx, return_ids: Sequence[uuid.UUID]) -> list[ReturnLine]:
    """The lines of returns, in order."""
    return await tx.rows(
        ReturnLine,
        """
        select return_id, line, order_id, seller_id, variant_id, sku, title, quantity, received,
               net_minor, tax_minor
          from returns.line where cell = $1 and return_id = any($2::uuid[]) order by return_id, line
        """,
        tx.cell,
        list(return_ids),
    )


class _Claim(msgspec.Struct, frozen=True):
    order_id: uuid.UUID
    line: int
    quantity: int


async def claims(tx: Tx, order_ids: Sequence[uuid.UUID]) -> dict[tuple[uuid.UUID, int], int]:
    """Pieces of each order line that open returns have announced or brought. To be asked with the
    orders under lock."""
    rows = await tx.rows(
        _Claim,
        """
        select l.order_id, l.line,
               sum(case when r.state = 'received' then l.received else l.quantity end)::bigint
                 as quantity
          from returns.line l join returns.rma r on r.cell = l.cell and r.id = l.return_id
         where l.cell = $1 and l.order_id = any($2::uuid[])
           and r.state in ('requested', 'approved', 'received')
         group by 1, 2
        """,
        tx.cell,
        list(order_ids),
    )
    return {(row.order_id, row.line): row.quantity for row in rows}


class _Path(msgspec.Struct, frozen=True):
    variant_id: uuid.UUID
    path: list[uuid.UUID]


async def policies(
    tx: Tx, markets: Iterable[str], variant_ids: Iterable[uuid.UUID]
) -> tuple[dict[tuple[str, uuid.UUID], CategoryPolicy], dict[uuid.UUID, list[uuid.UUID]]]:
    """The stored policies of these markets, and the category path of each variant. 2
    statements."""
    stored = await tx.rows(
        CategoryPolicy,
        """
        select window_days, fault_days, approves_itself, refunds_delivery, freight_minor,
               instant_minor, send_days, grade_days, resale_basis_points, market, category_id
          from returns.policy where market = any($1::text[])
        """,
        sorted(set(markets)),
    )
    paths = await tx.rows(
        _Path,
        """
        select v.variant_id, c.path from catalogue.v_variant v
          join catalogue.v_category c on c.category_id = v.category_id
         where v.variant_id = any($1::uuid[])
        """,
        sorted(set(variant_ids)),
    )
    return {(p.market, p.category_id): p for p in stored}, {p.variant_id: p.path for p in paths}


async def histories(tx: Tx, person_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, History]:
    """What is known of each person over a year. One statement."""
    rows = await tx.rows(
        History,
        """
        select w.person_id, coalesce(b.orders, 0) as orders, coalesce(b.bought, 0) as bought,
               coalesce(b.returned, 0) as returned, coalesce(o.owed, 0) as owed,
               coalesce(d.worthless, 0) as worthless
          from unnest($2::uuid[]) as w(person_id)
          left join lateral (
            select count(distinct l.order_id) as orders, sum(l.shipped)::bigint as bought,
                   sum(l.returned)::bigint as returned
              from orders.v_line l
             where l.cell = $1 and l.person_id = w.person_id and l.placed_at >= $3
               and l.shipped > 0) b on true
          left join lateral (
            select count(*) as owed from returns.rma r
             where r.cell = $1 and r.person_id = w.person_id and r.owed_minor > 0) o on true
          left join lateral (
            select sum(g.quantity)::bigint as worthless from returns.rma r
              join returns.grading g on g.cell = r.cell and g.return_id = r.id and g.grade = 'D'
             where r.cell = $1 and r.person_id = w.person_id and r.reason <> 'damaged') d on true
        """,
        tx.cell,
        sorted(set(person_ids)),
        tx.later_than(-365 * 86_400),
    )
    return {row.person_id: row for row in rows if row.person_id is not None}


async def policy_of(tx: Tx, order: Order, lines: Sequence[OrderLine]) -> Policy:
    """What holds for a parcel with all of these lines: the strictest of their policies. 2
    statements."""
    stored, paths = await policies(tx, [order.market], [line.variant_id for line in lines])
    each = [policy_for(order.market, paths.get(line.variant_id, ()), stored) for line in lines]
    return strictest(each) if each else Policy()
