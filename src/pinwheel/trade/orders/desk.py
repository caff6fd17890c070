"""What the staff ask about all orders, and the delivery options they set; no question takes a
lock."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Invalid
from pinwheel.kernel.listing import Page, after, page

VIEWS = ("to_send", "late", "unsourced", "unpaid", "on_way", "delivered", "cancelled")

STATE_OF = {
    "to_send": "placed",
    "unsourced": "placed",
    "unpaid": "pending_payment",
    "on_way": "shipped",
    "delivered": "delivered",
    "cancelled": "cancelled",
}
"""The views that look at one state of an order."""


class InboxLine(msgspec.Struct, frozen=True):
    """One order in the staff's list. ``open_units`` are neither cancelled nor sent;
    ``promised_at`` is the end of the delivery option's last day."""

    id: uuid.UUID
    number: str
    state: str
    person_id: uuid.UUID | None
    market: str
    country: str
    currency: str
    delivery: str
    total_minor: int
    secured_minor: int
    refunded_minor: int
    placed_at: dt.datetime
    held_until: dt.datetime | None
    promised_at: dt.datetime | None
    is_late: bool
    units: int
    open_units: int
    first_title: dict[str, str]


class InboxCounts(msgspec.Struct, frozen=True):
    to_send: int
    late: int
    unsourced: int
    unpaid: int


class DaySum(msgspec.Struct, frozen=True):
    """Orders that were placed on one day, in one currency."""

    day: dt.date
    currency: str
    orders: int
    total_minor: int


class Option(msgspec.Struct, frozen=True, kw_only=True):
    """One way to deliver in one market. ``free_from_minor``: goods from this much on are delivered
    free."""

    market: str
    code: str
    name: dict[str, str]
    price_minor: int
    free_from_minor: int | None
    min_days: int
    max_days: int
    max_weight_grams: int | None
    rank: int
    is_active: bool


async def inbox(
    tx: Tx,
    *,
    view: str | None = None,
    number: str | None = None,
    person_id: uuid.UUID | None = None,
    variant_ids: Sequence[uuid.UUID] | None = None,
    days: tuple[dt.datetime | None, dt.datetime | None] = (None, None),
    cursor: str | None = None,
    limit: int = 50,
) -> Page[InboxLine]:
    """Orders, the newest first. ``view``: one of ``VIEWS``; ``to_send`` is paid, no longer to be
    undone, with pieces left; ``unsourced``: its node has closed. ``number``: its beginning;
    ``days``: placed from, and before. 1 statement."""
    before = after(cursor, uuid.UUID)
    rows = await tx.rows(
        InboxLine,
        """
        select o.id, o.number, o.state, o.person_id, o.market, o.country, o.currency, o.delivery,
               o.total_minor, o.secured_minor, o.refunded_minor, o.placed_at, o.held_until,
               o.promised_at, o.state in ('placed', 'shipped') and o.promised_at < $2 as is_late,
               l.units, l.open_units, l.first_title
          from (select o.*, o.placed_at + make_interval(days => d.max_days) as promised_at
                  from orders."order" o left join orders.delivery_option d
                    on d.market = o.market and d.code = o.delivery) o
         cross join lateral (
           select coalesce(sum(quantity), 0)::bigint as units,
                  coalesce(sum(quantity - cancelled - shipped), 0)::bigint as open_units,
                  coalesce((array_agg(title order by line))[1], '{}') as first_title
             from orders.line l where l.cell = o.cell and l.order_id = o.id) l
         where o.cell = $1 and ($4::uuid is null or o.id < $4)
           and ($6::uuid is null or o.person_id = $6)
           and ($11::text is null or o.state = $11) and case $3::text
                 when 'to_send' then o.waits_for is null and coalesce(o.held_until <= $2, true)
                 when 'late' then o.state in ('placed', 'shipped') and o.promised_at < $2
                 when 'unsourced' then exists (
                   select from orders.line u
                     join inventory.v_atp a using (cell, variant_id, seller_id, node)
                    where u.cell = o.cell and u.order_id = o.id and not a.is_open
                      and u.quantity > u.cancelled + u.shipped)
                 else true end
           and ($5::text is null or starts_with(o.number, $5))
           and ($7::uuid[] is null or exists (select from orders.line v
                 where v.cell = o.cell and v.order_id = o.id and v.variant_id = any($7)))
           and o.placed_at >= coalesce($8::timestamptz, '-infinity')
           and o.placed_at < coalesce($9::timestamptz, 'infinity')
         order by o.id desc limit $10
        """,
        tx.cell,
        tx.now,
        view,
        before and before[0],
        number,
        person_id,
        None if variant_ids is None else list(variant_ids),
        *days,
        limit + 1,
        STATE_OF.get(view or ""),
    )
    return page(rows, limit, lambda r: (r.id,))


async def inbox_counts(tx: Tx) -> InboxCounts:
    """How many orders wait for somebody. 1 statement."""
    return await tx.the(
        "count",
        InboxCounts,
        """
        select count(*) filter (where o.state = 'placed' and o.waits_for is null
                 and coalesce(o.held_until <= $2, true))
                 as to_send,
               count(*) filter (where o.state in ('placed', 'shipped')
                 and o.placed_at + make_interval(days => d.max_days) < $2) as late,
               count(*) filter (where o.state = 'placed' and exists (
                 select from orders.line u
                   join inventory.v_atp a on a.cell = u.cell and a.variant_id = u.variant_id
                    and a.seller_id = u.seller_id and a.node = u.node
                  where u.cell = o.cell and u.order_id = o.id and not a.is_open
                    and u.quantity > u.cancelled + u.shipped)) as unsourced,
               count(*) filter (where o.state = 'pending_payment') as unpaid
          from orders."order" o
          left join orders.delivery_option d on d.market = o.market and d.code = o.delivery
         where o.cell = $1 and o.state in ('pending_payment', 'placed', 'shipped')
        """,
        tx.cell,
        tx.now,
    )


async def placed_by_day(tx: Tx, *, since: dt.datetime, zone: str) -> list[DaySum]:
    """Orders that were placed and not cancelled, by day of ``zone`` and currency. 1 statement."""
    return await tx.rows(
        DaySum,
        """
        select (placed_at at time zone $3)::date as day, currency, count(*) as orders,
               sum(total_minor)::bigint as total_minor
          from orders."order"
         where cell = $1 and placed_at >= $2 and state in ('placed', 'shipped', 'delivered')
         group by 1, 2 order by 1, 2
        """,
        tx.cell,
        since,
        zone,
    )


class _Number(msgspec.Struct, frozen=True):
    id: uuid.UUID
    number: str


async def numbers_of(tx: Tx, order_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, str]:
    """The numbers of orders by id. 1 statement."""
    rows = await tx.rows(
        _Number,
        'select id, number from orders."order" where cell = $1 and id = any($2::uuid[])',
        tx.cell,
        list(order_ids),
    )
    return {row.id: row.number for row in rows}


async def delivery_options(tx: Tx) -> list[Option]:
    """Every delivery option of every market."""
    return await tx.rows(
        Option,
        """
        select market, code, name, price_minor, free_from_minor, min_days, max_days,
               max_weight_grams, rank, is_active
          from orders.delivery_option order by market, rank, code
        """,
    )


async def save_delivery_option(tx: Tx, option: Option) -> None:
    """Add a delivery option or change it; orders that chose it keep what they paid."""
    if not 0 <= option.min_days <= option.max_days or option.price_minor < 0:
        raise Invalid(
            "max_days",
            "the days run from the fewest to the most, and a price is not negative",
            "天数须从少到多，价格不能为负",
        )
    await tx.run(
        """
        insert into orders.delivery_option (market, code, name, price_minor, free_from_minor,
               min_days, max_days, max_weight_grams, rank, is_active)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        on conflict (market, code) do update
           set name = excluded.name, price_minor = excluded.price_minor,
               free_from_minor = excluded.free_from_minor, min_days = excluded.min_days,
               max_days = excluded.max_days, max_weight_grams = excluded.max_weight_grams,
               rank = excluded.rank, is_active = excluded.is_active
        """,
        option.market,
        option.code,
        option.name,
        option.price_minor,
        option.free_from_minor,
        option.min_days,
        option.max_days,
        option.max_weight_grams,
        option.rank,
        option.is_active,
    )
