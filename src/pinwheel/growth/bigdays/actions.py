"""The calendar: an event, its slots and deals; starting and stopping. Every change says who and
why."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence, Set

import msgspec

from pinwheel.growth.bigdays import queries
from pinwheel.growth.bigdays.model import (
    BeyondCapacity,
    BigDay,
    BigDayAnnounced,
    BigDayBegun,
    BigDayOver,
    EventFixed,
    EventNotOpen,
    NewDeal,
    NewEvent,
    NewSlot,
    NotForYou,
    NothingToSell,
)
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Invalid, NotFound
from pinwheel.trade import orders, pricing, promotions


class Gate:
    """Who may take part: which segments people are in, asked for many at once. Given from above
    as ``db.given[Gate]``; without it nobody is in any."""

    def __init__(
        self,
        ask: Callable[[Tx, Sequence[uuid.UUID]], Awaitable[Mapping[uuid.UUID, Set[object]]]],
    ) -> None:
        self.ask = ask


async def check_person(tx: Tx, event: BigDay, person_id: uuid.UUID | None) -> None:
    """Refuses ``NotForYou`` for who isn't in the event's segment."""
    if not event.segment:
        return
    gate = tx.db.given.get(Gate)
    if gate is None or person_id is None:
        raise NotForYou()
    mine = (await gate.ask(tx, [person_id])).get(person_id, frozenset())
    if event.segment not in {str(one) for one in mine}:
        raise NotForYou()


async def save_event(
    tx: Tx, new: NewEvent, event_id: uuid.UUID | None = None, why: str = ""
) -> uuid.UUID:
    """A draft, or another figure of one that is there. Of a started event only the name, the
    figures of plan and queue and a later end of nothing may change; refuses ``EventFixed`` else.
    ``Invalid`` for instants out of order and an unknown market."""
    if not new.preheat_at <= new.starts_at < new.ends_at:
        raise Invalid("starts_at", "pre-heat, start and end are in this order", "时间顺序有误")
    market = (await pricing.markets(tx)).get(new.market)
    if market is None or not market.active:
        raise Invalid("market", "choose one of the shop's markets", "请选择本店支持的市场")
    before = await queries.event(tx, event_id, lock=True) if event_id is not None else None
    if before is not None and before.state != "draft" and _is_other(before, new):
        raise EventFixed(state=before.state)
    new_id = event_id or tx.new_id()
    await _write(tx, new_id, new, market.currency)
    await note(tx, new_id, "changed" if before else "made", why)
    if before is not None and before.state == "active":
        await orders.revise(tx)
    return new_id


def _is_other(before: BigDay, new: NewEvent) -> bool:
    """Does it change what buyers were told? The share that is held out would move people."""
    return (
        before.market,
        before.preheat_at,
        before.starts_at,
        before.ends_at,
        before.segment,
        before.holdout_percent,
    ) != (
        new.market,
        new.preheat_at,
        new.starts_at,
        new.ends_at,
        new.segment,
        new.holdout_percent,
    )


async def _write(tx: Tx, event_id: uuid.UUID, new: NewEvent, currency: str) -> None:
    await tx.run(
        """
        insert into bigdays.event as e (cell, id, name, market, currency, segment, preheat_at,
               starts_at, ends_at, expected_per_hour, pick_per_hour, budget_ids, queue_on,
               admit_per_minute, admit_seconds, holdout_percent, changed_at, changed_by)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
        on conflict (cell, id) do update
           set name = excluded.name, market = excluded.market, currency = excluded.currency,
               segment = excluded.segment, preheat_at = excluded.preheat_at,
               starts_at = excluded.starts_at, ends_at = excluded.ends_at,
               expected_per_hour = excluded.expected_per_hour,
               pick_per_hour = excluded.pick_per_hour, budget_ids = excluded.budget_ids,
               queue_on = excluded.queue_on, admit_seconds = excluded.admit_seconds,
               admitting_from = case when e.admit_per_minute = excluded.admit_per_minute
                                     then e.admitting_from end,
               admitted_since = case when e.admit_per_minute = excluded.admit_per_minute
                                     then e.admitted_since else 0 end,
               admit_per_minute = excluded.admit_per_minute,
               holdout_percent = excluded.holdout_percent, changed_at = excluded.changed_at,
               changed_by = excluded.changed_by
        """,
        tx.cell,
        event_id,
        {"en": new.name_en, "zh-CN": new.name_zh},
        new.market,
        currency,
        new.segment,
        new.preheat_at,
        new.starts_at,
        new.ends_at,
        new.expected_per_hour,
        new.pick_per_hour,
        new.budget_ids,
        new.queue_on,
        new.admit_per_minute,
        new.admit_seconds,
        new.holdout_percent,
        tx.now,
        tx.actor,
    )


async def note(tx: Tx, event_id: uuid.UUID, what: str, why: str) -> None:
    """One line of the event's history: who is the transaction's actor."""
    await tx.run(
        """
        insert into bigdays.change (cell, id, event_id, at, by, what, why)
        values ($1, $2, $3, $4, $5, $6, $7)
        """,
        tx.cell,
        tx.new_id(),
        event_id,
        tx.now,
        tx.actor,
        what,
        why[:300],
    )


async def add_slot(tx: Tx, event_id: uuid.UUID, new: NewSlot) -> uuid.UUID:
    """A slot of a draft. ``Invalid`` outside the event's hours."""
    event = await _draft(tx, event_id)
    if not event.starts_at <= new.starts_at < new.ends_at <= event.ends_at:
        raise Invalid("starts_at", "a slot lies within the event", "场次须在活动时间内")
    slot_id = tx.new_id()
    await tx.run(
        """
        insert into bigdays.slot (cell, id, event_id, name, starts_at, ends_at)
        values ($1, $2, $3, $4, $5, $6)
        """,
        tx.cell,
        slot_id,
        event_id,
        {"en": new.name_en, "zh-CN": new.name_zh},
        new.starts_at,
        new.ends_at,
    )
    await note(tx, event_id, f"slot {new.name_en}", "")
    return slot_id


async def add_deal(tx: Tx, event_id: uuid.UUID, new: NewDeal) -> uuid.UUID:
    """A timed deal in a slot; the promotion's id. Refuses ``EventFixed``, ``Invalid`` and what
    ``promotions.save`` refuses."""
    event = await _draft(tx, event_id)
    slot = next((s for s in await queries.slots(tx, event_id) if s.id == new.slot_id), None)
    if slot is None:
        raise Invalid("slot_id", "the event has no such slot", "该活动没有此场次")
    _check_deal(event, slot.ends_at, new)
    prices = await pricing.prices(tx, [new.offer_id], event.currency)
    normal = prices.get(new.offer_id)
    if normal is None:
        raise Invalid("offer_id", "it has no price in this market", "该商品在此市场没有价格")
    if new.price_minor >= normal.price_minor:
        raise Invalid("price_minor", "it is no lower than the normal price", "价格不低于正常价格")
    title: dict[str, str] = await tx.value(
        """
        select v.title from marketplace.v_offer o
          join catalogue.v_variant v on v.variant_id = o.variant_id
         where o.offer_id = $1
        """,
        new.offer_id,
    )
    saved = await promotions.save(tx, _promotion(event, slot.starts_at, slot.ends_at, new, title))
    await tx.run(
        """
        insert into bigdays.deal (cell, promotion_id, event_id, slot_id, offer_id, price_minor,
               pieces, starts_at, ends_at, deposit_minor, balance_from, balance_until,
               deposit_policy)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
        """,
        tx.cell,
        saved.id,
        event_id,
        slot.id,
        new.offer_id,
        new.price_minor,
        new.pieces,
        slot.starts_at,
        slot.ends_at,
        new.deposit_minor,
        new.balance_from,
        new.balance_until,
        new.deposit_policy if new.deposit_minor else None,
    )
    await note(tx, event_id, f"deal {saved.id}", "")
    return saved.id


async def set_pieces(tx: Tx, event_id: uuid.UUID, promotion_id: uuid.UUID, pieces: int) -> None:
    """A deal of a draft sells another quantity. Refuses ``EventFixed``, ``NotFound``, ``Invalid``
    below one piece."""
    if not 1 <= pieces <= 10**6:
        raise Invalid("pieces", "between 1 and 1000000", "须在 1 到 1000000 之间")
    await _draft(tx, event_id)
    changed = await tx.run(
        """
        update bigdays.deal set pieces = $4
         where promotion_id = $3 and event_id = $2 and cell = $1
        """,
        tx.cell,
        event_id,
        promotion_id,
        pieces,
    )
    if not changed:
        raise NotFound(what="deal")
    found = await promotions.promotion(tx, promotion_id)
    limits = msgspec.structs.replace(found.terms.limits, uses=pieces)
    await promotions.save(
        tx,
        promotions.NewPromotion(
            id=found.id,
            name=found.name,
            terms=msgspec.structs.replace(found.terms, limits=limits),
            starts_at=found.starts_at,
            ends_at=found.ends_at,
            is_deal=True,
        ),
    )
    await note(tx, event_id, f"deal {promotion_id}: {pieces}", "")


def _check_deal(event: BigDay, slot_ends: dt.datetime, new: NewDeal) -> None:
    if new.deposit_minor is None:
        return
    if new.balance_from is None or new.balance_until is None:
        raise Invalid("balance_from", "say when the balance is due", "请填写尾款支付时间")
    if not event.preheat_at < new.balance_from < new.balance_until <= slot_ends:
        raise Invalid(
            "balance_from",
            "the balance is due after the pre-heat has begun and before the slot ends",
            "尾款时间须晚于预热开始、早于场次结束",
        )
    if new.deposit_minor > new.price_minor:
        raise Invalid("deposit_minor", "it is more than the price", "定金高于价格")


def _promotion(
    event: BigDay,
    starts_at: dt.datetime,
    ends_at: dt.datetime,
    new: NewDeal,
    title: Mapping[str, str],
) -> promotions.NewPromotion:
    """Named for the event and what is sold, so that an operator can tell its deals apart."""
    return promotions.NewPromotion(
        name={
            language: f"{name}{'：' if language == 'zh-CN' else ': '}{title[language]}"
            if language in title
            else name
            for language, name in event.name.items()
        },
        starts_at=starts_at,
        ends_at=ends_at,
        is_deal=True,
        terms=promotions.Terms(
            kind=promotions.FixedPrice(new.price_minor),
            scope=promotions.Scope(offers=[new.offer_id]),
            conditions=promotions.Conditions(
                currency=event.currency,
                markets=[event.market],
                segments=[event.segment] if event.segment else [],
            ),
            limits=promotions.Limits(uses=new.pieces, per_person=new.per_person, counts="pieces"),
            funding=[promotions.Share(10_000, new.budget_id)] if new.budget_id else [],
        ),
    )


async def _draft(tx: Tx, event_id: uuid.UUID) -> BigDay:
    event = await queries.event(tx, event_id, lock=True)
    if event.state != "draft":
        raise EventFixed(state=event.state)
    return event


async def start(tx: Tx, event_id: uuid.UUID, why: str = "") -> BigDay:
    """Put it into the calendar: its deals hold from their own instants on. Safe to repeat.

    Refuses ``NothingToSell``, ``EventNotOpen`` (its end has passed, or it was stopped),
    ``inventory.TooFewToPutAside`` where more is promised than is free (all that is promised is put
    aside from here on), and ``BeyondCapacity`` without a reason."""
    event = await queries.event(tx, event_id, lock=True)
    if event.state == "active":
        return event
    if event.state != "draft" or tx.now >= event.ends_at:
        raise EventNotOpen()
    deals = await queries.deals(tx, event_id)
    if not deals:
        raise NothingToSell()
    if event.pick_per_hour and event.expected_per_hour > event.pick_per_hour and not why.strip():
        raise BeyondCapacity(expected=event.expected_per_hour, capacity=event.pick_per_hour)
    await _set_state(tx, event_id, "active")
    for deal in deals:
        await promotions.start(tx, deal.promotion_id)
    await orders.revise(tx)
    await note(tx, event_id, "started", why)
    return await queries.event(tx, event_id)


async def stop(tx: Tx, event_id: uuid.UUID, why: str) -> BigDay:
    """It ends now: no order is committed by its deals after this; deposits that are held go back
    by the clock's next turn. Safe to repeat. ``Invalid`` without a reason."""
    if not why.strip():
        raise Invalid("why", "say why", "请填写原因")
    event = await queries.event(tx, event_id, lock=True)
    if event.state != "active":
        return event
    await _set_state(tx, event_id, "stopped")
    for deal in await queries.deals(tx, event_id):
        await promotions.stop(tx, deal.promotion_id)
    await orders.revise(tx)
    await note(tx, event_id, "stopped", why)
    tx.emit(BigDayOver(event_id=event.id, name=event.name, reason="stopped"))
    return await queries.event(tx, event_id)


async def _set_state(tx: Tx, event_id: uuid.UUID, state: str) -> None:
    await tx.run(
        """
        update bigdays.event set state = $3, changed_at = $4, changed_by = $5
         where cell = $1 and id = $2
        """,
        tx.cell,
        event_id,
        state,
        tx.now,
        tx.actor,
    )


async def set_queue(tx: Tx, event_id: uuid.UUID, on: bool, per_minute: int, why: str) -> BigDay:
    """Open or close the queue, or admit faster or slower. Orders that are being placed by the old
    rule are waited for; none after this is placed by it."""
    if not 1 <= per_minute <= 100_000:
        raise Invalid("admit_per_minute", "between 1 and 100000", "须在 1 到 100000 之间")
    await queries.event(tx, event_id, lock=True)
    await tx.run(
        """
        update bigdays.event set queue_on = $3, admit_per_minute = $4, admitting_from = null,
               admitted_since = 0, changed_at = $5, changed_by = $6
         where cell = $1 and id = $2
        """,
        tx.cell,
        event_id,
        on,
        per_minute,
        tx.now,
        tx.actor,
    )
    await orders.revise(tx)
    await note(tx, event_id, f"queue {'on' if on else 'off'}, {per_minute} a minute", why)
    return await queries.event(tx, event_id)


async def remind(tx: Tx, event_id: uuid.UUID, person_id: uuid.UUID) -> None:
    """Tell this person when it begins. Safe to repeat. Refuses ``EventNotOpen`` once it has."""
    event = await queries.event(tx, event_id)
    if event.phase(tx.now) not in ("announced", "preheat"):
        raise EventNotOpen()
    await tx.run(
        """
        insert into bigdays.reminder (cell, event_id, person_id, asked_at)
        values ($1, $2, $3, $4) on conflict do nothing
        """,
        tx.cell,
        event_id,
        person_id,
        tx.now,
    )


class _Told(msgspec.Struct, frozen=True):
    id: uuid.UUID
    name: dict[str, str]
    starts_at: dt.datetime
    ends_at: dt.datetime
    told: str


async def tell(tx: Tx) -> None:
    """Say which events are in pre-heat, have begun, are over since the last time."""
    for one in await tx.rows(
        _Told,
        """
        update bigdays.event e set told = n.told
          from (select cell, id, case when ends_at <= $2 then 'over' when starts_at <= $2
                         then 'begun' else 'preheat' end as told
                  from bigdays.event
                 where cell = $1 and state = 'active' and told <> 'over' and preheat_at <= $2) n
         where e.cell = n.cell and e.id = n.id and e.told <> n.told
        returning e.id, e.name, e.starts_at, e.ends_at, e.told
        """,
        tx.cell,
        tx.now,
    ):
        if one.told == "preheat":
            tx.emit(BigDayAnnounced(event_id=one.id, name=one.name, starts_at=one.starts_at))
        elif one.told == "begun":
            tx.emit(BigDayBegun(event_id=one.id, name=one.name, ends_at=one.ends_at))
        else:
            tx.emit(BigDayOver(event_id=one.id, name=one.name, reason="over"))
