"""Questions about big days."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from pinwheel.growth.bigdays.model import BigDay, Deposit, EventDeal, QueuePlace, Slot
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import NotFound


async def event(tx: Tx, event_id: uuid.UUID, *, lock: bool = False) -> BigDay:
    """One event. ``NotFound``."""
    sql = tx.rows(
        BigDay,
        """
        select id, name, market, currency, segment, state, preheat_at, starts_at, ends_at,
               expected_per_hour, pick_per_hour, budget_ids, queue_on, admit_per_minute,
               admit_seconds, holdout_percent, drawn, head
          from bigdays.event where cell = $1 and id = $2 for update
        """,
        tx.cell,
        event_id,
    ) if lock else tx.rows(
        BigDay,
        """
        select id, name, market, currency, segment, state, preheat_at, starts_at, ends_at,
               expected_per_hour, pick_per_hour, budget_ids, queue_on, admit_per_minute,
               admit_seconds, holdout_percent, drawn, head
          from bigdays.event where cell = $1 and id = $2
        """,
        tx.cell,
        event_id,
    )  # fmt: skip
    found = await sql
    if not found:
        raise NotFound(what="event")
    return found[0]


async def calendar(tx: Tx, *, market: str | None = None, shown_only: bool = False) -> list[BigDay]:
    """The newest 200 events; ``shown_only``: what the shop may see now or soon."""
    return await tx.rows(
        BigDay,
        """
        select id, name, market, currency, segment, state, preheat_at, starts_at, ends_at,
               expected_per_hour, pick_per_hour, budget_ids, queue_on, admit_per_minute,
               admit_seconds, holdout_percent, drawn, head
          from bigdays.event
         where cell = $1 and ($2::text is null or market = $2)
           and (not $3 or (state = 'active' and ends_at > $4))
         order by starts_at desc, id limit 200
        """,
        tx.cell,
        market,
        shown_only,
        tx.now,
    )


async def slots(tx: Tx, event_id: uuid.UUID) -> list[Slot]:
    return await tx.rows(
        Slot,
        """
        select id, event_id, name, starts_at, ends_at from bigdays.slot
         where cell = $1 and event_id = $2 order by starts_at, id limit 200
        """,
        tx.cell,
        event_id,
    )


async def deals(tx: Tx, event_id: uuid.UUID) -> list[EventDeal]:
    return await tx.rows(
        EventDeal,
        """
        select promotion_id, event_id, slot_id, offer_id, price_minor, pieces, starts_at, ends_at,
               deposit_minor, balance_from, balance_until, deposit_policy
          from bigdays.deal where cell = $1 and event_id = $2
         order by starts_at, promotion_id limit 2000
        """,
        tx.cell,
        event_id,
    )


class Promise(msgspec.Struct, frozen=True):
    """What an event's deals promise of one offer, what of it is put aside and not ordered, and what
    anybody may buy besides."""

    offer_id: uuid.UUID
    sku: str
    pieces: int
    aside: int
    free: int


async def promises(tx: Tx, event_id: uuid.UUID) -> list[Promise]:
    """Each offer of the event. 1 statement."""
    return await tx.rows(
        Promise,
        """
        select d.offer_id, v.sku, d.pieces, d.aside,
               coalesce((select sum(greatest(a.atp, 0)) from inventory.v_atp a
                          where a.cell = $1 and a.variant_id = o.variant_id
                            and a.seller_id = o.seller_id and a.is_open), 0)::bigint as free
          from (select d.offer_id, sum(d.pieces)::bigint as pieces,
                       coalesce(sum(e.free), 0)::bigint as aside
                  from bigdays.deal d
                  left join (select document_id, sum(free) as free from inventory.v_earmark
                              where cell = $1 group by document_id) e
                    on e.document_id = d.promotion_id
                 where d.cell = $1 and d.event_id = $2 group by d.offer_id) d
          join marketplace.v_offer o on o.offer_id = d.offer_id
          join catalogue.v_variant v on v.variant_id = o.variant_id
         order by d.offer_id
        """,
        tx.cell,
        event_id,
    )


class Change(msgspec.Struct, frozen=True):
    at: dt.datetime
    by: str
    what: str
    why: str


async def history(tx: Tx, event_id: uuid.UUID) -> list[Change]:
    """The newest 100 changes: who, what, why."""
    return await tx.rows(
        Change,
        """
        select at, by, what, why from bigdays.change
         where cell = $1 and event_id = $2 order by id desc limit 100
        """,
        tx.cell,
        event_id,
    )


async def place_of(tx: Tx, event_id: uuid.UUID, person_id: uuid.UUID) -> QueuePlace | None:
    """The person's newest place."""
    return await tx.row(
        QueuePlace,
        """
        select id, event_id, person_id, number, state, until from bigdays.place
         where cell = $1 and event_id = $2 and person_id = $3 order by id desc limit 1
        """,
        tx.cell,
        event_id,
        person_id,
    )


async def deposit(tx: Tx, deposit_id: uuid.UUID, person_id: uuid.UUID | None = None) -> Deposit:
    """One deposit, of this person where one is given. ``NotFound``."""
    return await tx.the(
        "deposit",
        Deposit,
        """
        select id, event_id, promotion_id, offer_id, person_id, market, currency, deposit_minor,
               price_minor, policy, balance_from, balance_until, state, why, order_id,
               lent_minor
          from bigdays.deposit
         where cell = $1 and id = $2 and ($3::uuid is null or person_id = $3)
        """,
        tx.cell,
        deposit_id,
        person_id,
    )


async def deposits_of(
    tx: Tx, person_id: uuid.UUID, event_id: uuid.UUID | None = None
) -> list[Deposit]:
    """A person's newest deposits."""
    return await tx.rows(
        Deposit,
        """
        select id, event_id, promotion_id, offer_id, person_id, market, currency, deposit_minor,
               price_minor, policy, balance_from, balance_until, state, why, order_id,
               lent_minor
          from bigdays.deposit
         where cell = $1 and person_id = $2 and ($3::uuid is null or event_id = $3)
         order by id desc limit 200
        """,
        tx.cell,
        person_id,
        event_id,
    )


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """An event at this moment. ``orders`` are paid orders with its deals; ``per_minute`` of them
    by minute, the last hour; ``queue`` people wait; ``held_minor`` of deposits."""

    event: BigDay
    orders: int
    last_minute: int
    last_hour: int
    queue: int
    admitted: int
    deposits: int
    held_minor: int
    stock: list[Promise]
    per_minute: list[int]


async def board(tx: Tx, event_id: uuid.UUID) -> Board:
    """What the console looks at while it runs. 5 statements."""
    found = await event(tx, event_id)
    minutes: list[int] = await tx.values(
        """
        select coalesce(c.orders, 0)::int from generate_series(59, 0, -1) as g(back)
          left join (
            select floor(extract(epoch from $3::timestamptz - u.used_at) / 60)::int as back,
                   count(distinct u.order_id)::int as orders
              from bigdays.deal d
              join promotions.v_use u on u.cell = d.cell and u.promotion_id = d.promotion_id
              join orders.v_purchase o on o.cell = u.cell and o.order_id = u.order_id
               and o.state in ('placed', 'shipped', 'delivered')
             where d.cell = $1 and d.event_id = $2 and u.used_at > $3 - interval '1 hour'
             group by 1) c on c.back = g.back order by g.back desc
        """,
        tx.cell,
        event_id,
        tx.now,
    )
    counts: list[Any] = await tx.values(
        """
        select unnest(array[
          (select count(distinct o.order_id) from bigdays.deal d
             join promotions.v_use u on u.cell = d.cell and u.promotion_id = d.promotion_id
             join orders.v_purchase o on o.cell = u.cell and o.order_id = u.order_id
              and o.state in ('placed', 'shipped', 'delivered')
            where d.cell = $1 and d.event_id = $2),
          (select count(*) from bigdays.place where cell = $1 and event_id = $2
              and state = 'waiting'),
          (select count(*) from bigdays.place where cell = $1 and event_id = $2
              and state = 'admitted' and until > $3),
          (select count(*) from bigdays.deposit where cell = $1 and event_id = $2
              and state = 'held'),
          (select coalesce(sum(deposit_minor), 0) from bigdays.deposit
            where cell = $1 and event_id = $2 and state = 'held')]::bigint[])
        """,
        tx.cell,
        event_id,
        tx.now,
    )
    return Board(
        event=found,
        orders=counts[0],
        last_minute=minutes[-1],
        last_hour=sum(minutes),
        queue=counts[1],
        admitted=counts[2],
        deposits=counts[3],
        held_minor=counts[4],
        stock=await promises(tx, event_id),
        per_minute=minutes,
    )


class Owned(msgspec.Struct, frozen=True):
    kind: str
    event_id: uuid.UUID
    state: str
    at: dt.datetime


async def export(tx: Tx, person_id: uuid.UUID) -> list[dict[str, object]]:
    """A person's copy: places, deposits, reminders. 1 statement."""
    rows = await tx.rows(
        Owned,
        """
        select 'place' as kind, event_id, state, joined_at as at from bigdays.place
         where cell = $1 and person_id = $2
        union all
        select 'deposit', event_id, state, placed_at from bigdays.deposit
         where cell = $1 and person_id = $2
        union all
        select 'reminder', event_id, case when sent then 'sent' else 'asked' end, asked_at
          from bigdays.reminder where cell = $1 and person_id = $2
         order by at
        """,
        tx.cell,
        person_id,
    )
    found: list[dict[str, object]] = msgspec.to_builtins(rows)
    return found


async def offer_of_sku(tx: Tx, sku: str) -> uuid.UUID:
    """The shop's own first offer of a SKU. ``NotFound``."""
    found: Sequence[uuid.UUID] = await tx.values(
        """
        select o.offer_id from catalogue.v_variant v
          join marketplace.v_offer o on o.variant_id = v.variant_id and o.active
         where v.sku = $1 order by o.offer_id limit 1
        """,
        sku,
    )
    if not found:
        raise NotFound(what="SKU")
    return found[0]
