"""The way back as it goes: offered with its price, chosen with the return, labelled, handed in."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.ground import ledger
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import NotFound, Refusal
from pinwheel.trade.returns.model import LabelWanted, Policy, ReturnHandedIn, ReturnIs
from pinwheel.trade.returns.ways import (
    KINDS,
    PICKUP_DAYS,
    TRANSIT_DAYS,
    HandedElsewhere,
    Kind,
    Label,
    LabelWish,
    Point,
    Slot,
    SlotFull,
    UnknownPoint,
    Way,
    WayClosed,
    WayOffer,
    WayPrice,
    Window,
    extras,
    freight,
    picked,
    pickup_id,
    slots_of,
)


class Roads(msgspec.Struct):
    """What a market offers."""

    offers: dict[tuple[str, str], WayOffer]
    windows: dict[tuple[str, int], Window]
    countries: set[str]  # with an open point

    def is_open(self, market: str, country: str, kind: Kind) -> bool:
        """A way that nobody has priced is open where it needs nothing: a label, one's own post."""
        offer = self.offers.get((market, kind))
        if offer is not None and not offer.is_open:
            return False
        if kind == "dropoff":
            return country in self.countries
        if kind == "pickup":
            return any(m == market for m, _ in self.windows)
        return True

    def freight(self, market: str, kind: Kind | None, policy: Policy, *, fault: bool) -> int:
        offer = self.offers.get((market, kind or ""))
        extra = offer.extra_minor if offer else 0
        return freight(kind, policy.freight_minor, extra, fault=fault)


async def roads(tx: Tx) -> Roads:
    """Every way that is offered. 3 statements."""
    offers = await tx.rows(
        WayOffer, "select market, kind, extra_minor, is_open from returns.way_offer"
    )
    windows = await tx.rows(
        Window, "select market, from_hour, until_hour, most from returns.pickup_window"
    )
    countries = await tx.values("select distinct country from returns.point where is_open")
    return Roads(
        dict(extras(offers)), {(w.market, w.from_hour): w for w in windows}, set(countries)
    )


async def way_prices(
    tx: Tx, market: str, country: str, policy: Policy, *, fault: bool
) -> list[WayPrice]:
    """Each way with what the buyer bears, where it can be handed in and when it can be picked up.
    5 statements."""
    known = await roads(tx)
    points = await tx.rows(
        Point,
        """
        select code, name, address, country, is_open from returns.point
         where is_open and country = $1 order by code limit 200
        """,
        country,
    )
    windows = [w for (m, _), w in sorted(known.windows.items()) if m == market]
    days = [tx.now.date() + dt.timedelta(days=n) for n in range(1, PICKUP_DAYS + 1)]
    every = [(w, day, slots_of(w, day)) for day in days for w in windows]
    used = await ledger.balances(tx, [account for _, _, account in every]) if every else {}
    slots = [
        Slot(day, w.from_hour)
        for w, day, account in every
        if w.most > 0 and (account.code not in used or used[account.code].available > -w.most)
    ]
    return [
        WayPrice(
            kind=kind,
            freight_minor=known.freight(market, kind, policy, fault=fault),
            points=points if kind == "dropoff" else [],
            slots=slots if kind == "pickup" else [],
        )
        for kind in KINDS
        if known.is_open(market, country, kind) and (kind != "pickup" or slots)
    ]


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """The way of a return that is being asked for."""

    return_id: uuid.UUID
    market: str
    kind: Kind
    freight_minor: int
    slot: Slot | None


async def write_ways(tx: Tx, chosen: Sequence[Chosen], known: Roads) -> None:
    """Write the ways down and take their pick-up times. Raises ``SlotFull``: nothing of the call
    remains with its transaction."""
    wanted = [c for c in chosen if c.kind == "pickup"]
    for one in wanted:
        window = known.windows.get((one.market, one.slot.from_hour)) if one.slot else None
        if one.slot is None or window is None:
            raise SlotFull()
        ahead = (one.slot.on - tx.now.date()).days
        if not 1 <= ahead <= PICKUP_DAYS:
            raise SlotFull()
        [held] = await ledger.hold(
            tx,
            [
                ledger.Hold(
                    document_kind="pickup",
                    document_id=pickup_id(one.return_id),
                    key="slot",
                    debit=picked(),
                    credit=slots_of(window, one.slot.on),
                    amount=1,
                )
            ],
        )
        if isinstance(held, Refusal):
            raise SlotFull()
    hours = {(m, h): w.until_hour for (m, h), w in known.windows.items()}
    await tx.run(
        """
        insert into returns.way (cell, return_id, kind, freight_minor, state, slot_on, slot_from,
               slot_until, asked_at)
        select $1, w.return_id, w.kind, w.freight, 'asked', w.slot_on, w.slot_from, w.slot_until, $2
          from unnest($3::uuid[], $4::text[], $5::bigint[], $6::date[], $7::smallint[],
                      $8::smallint[]) as w(return_id, kind, freight, slot_on, slot_from, slot_until)
        """,
        tx.cell,
        tx.now,
        [c.return_id for c in chosen],
        [c.kind for c in chosen],
        [c.freight_minor for c in chosen],
        [c.slot.on if c.slot and c.kind == "pickup" else None for c in chosen],
        [c.slot.from_hour if c.slot and c.kind == "pickup" else None for c in chosen],
        [
            hours.get((c.market, c.slot.from_hour)) if c.slot and c.kind == "pickup" else None
            for c in chosen
        ],
    )


def closed_way(known: Roads, market: str, country: str, kind: Kind) -> WayClosed | None:
    if known.is_open(market, country, kind):
        return None
    return WayClosed(open=", ".join(k for k in KINDS if known.is_open(market, country, k)))


async def ways_of(tx: Tx, return_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Way]:
    """The way of each return that has one."""
    rows = await tx.rows(
        Way,
        """
        select return_id, kind, freight_minor, state, carrier, tracking, slot_on, slot_from,
               slot_until, handed_at, handed_where
          from returns.way where cell = $1 and return_id = any($2::uuid[])
        """,
        tx.cell,
        list(return_ids),
    )
    return {row.return_id: row for row in rows}


class _ToLabel(msgspec.Struct, frozen=True):
    return_id: uuid.UUID
    number: str
    country: str
    slot_on: dt.date | None
    slot_from: int | None


async def want_labels(tx: Tx, return_ids: Sequence[uuid.UUID]) -> None:
    """Approved returns that a carrier brings: their labels are asked for after the commit."""
    ids = await tx.values(
        """
        select return_id from returns.way
         where cell = $1 and return_id = any($2::uuid[]) and state = 'asked'
           and kind in ('label', 'pickup')
        """,
        tx.cell,
        list(return_ids),
    )
    tx.emit(*(LabelWanted(return_id=i) for i in ids))


async def label_wishes(tx: Tx, return_ids: Sequence[uuid.UUID]) -> list[LabelWish]:
    """What the carrier is to be asked for, of what has no label yet."""
    rows = await tx.rows(
        _ToLabel,
        """
        select w.return_id, r.number, r.market as country, w.slot_on, w.slot_from
          from returns.way w join returns.rma r on r.cell = w.cell and r.id = w.return_id
         where w.cell = $1 and w.return_id = any($2::uuid[]) and w.state = 'asked'
        """,
        tx.cell,
        list(return_ids),
    )
    return [
        LabelWish(
            return_id=r.return_id,
            number=r.number,
            country=r.country,
            slot=Slot(r.slot_on, r.slot_from)
            if r.slot_on is not None and r.slot_from is not None
            else None,
        )
        for r in rows
    ]


async def take_labels(tx: Tx, labels: Sequence[Label]) -> None:
    """The carrier has answered. Safe to repeat."""
    await tx.run(
        """
        update returns.way w set state = 'ready', carrier = n.carrier, tracking = n.tracking
          from unnest($2::uuid[], $3::text[], $4::text[]) as n(return_id, carrier, tracking)
         where w.cell = $1 and w.return_id = n.return_id and w.state = 'asked'
        """,
        tx.cell,
        [one.return_id for one in labels],
        [one.carrier for one in labels],
        [one.tracking for one in labels],
    )


class _Handed(msgspec.Struct, frozen=True):
    return_id: uuid.UUID
    number: str
    order_id: uuid.UUID
    person_id: uuid.UUID | None
    state: str
    way: str | None
    handed_where: str | None


async def hand_in(tx: Tx, code: str, where: str, *, at_point: bool = True) -> uuid.UUID:
    """A counter (or a courier) has scanned the code: the return's number, or its tracking number.
    It has ``TRANSIT_DAYS`` from now to arrive. The same place again changes nothing.

    Refuses ``NotFound``, ``UnknownPoint``, ``ReturnIs`` (not approved, or off) and
    ``HandedElsewhere``."""
    if at_point and not await tx.value(
        "select exists (select from returns.point where code = $1 and is_open)", where
    ):
        raise UnknownPoint(point=where)
    return_id = await return_by_code(tx, code)
    await tx.value(
        "select id from returns.rma where cell = $1 and id = $2 for update", tx.cell, return_id
    )
    # Read once the lock is there: who waited for it sees what the first scan wrote.
    found = await tx.the(
        "return",
        _Handed,
        """
        select r.id as return_id, r.number, r.order_id, r.person_id, r.state, w.state as way,
               w.handed_where
          from returns.rma r left join returns.way w on w.cell = r.cell and w.return_id = r.id
         where r.cell = $1 and r.id = $2
        """,
        tx.cell,
        return_id,
    )
    if found.way == "handed":
        if found.handed_where == where:
            return found.return_id
        raise HandedElsewhere(number=found.number, where=found.handed_where)
    if found.state != "approved":
        raise ReturnIs(number=found.number, state=found.state)
    await _write_handed(tx, found.return_id, where)
    await ledger.release_for(tx, [pickup_id(found.return_id)])
    tx.emit(
        ReturnHandedIn(
            return_id=found.return_id,
            number=found.number,
            order_id=found.order_id,
            person_id=found.person_id,
            where=where,
        )
    )
    return found.return_id


async def _write_handed(tx: Tx, return_id: uuid.UUID, where: str) -> None:
    await tx.run(
        """
        with way as (
          insert into returns.way (cell, return_id, kind, freight_minor, state, handed_at,
                                   handed_where, asked_at)
          values ($1, $2, 'dropoff', 0, 'handed', $3, $4, $3)
          on conflict (return_id, cell) do update
             set state = 'handed', handed_at = excluded.handed_at,
                 handed_where = excluded.handed_where
        ), exchange as (
          update returns.exchange set until_at = greatest(until_at, $5)
           where cell = $1 and return_id = $2 and state = 'waiting'
        )
        update returns.rma set send_by = greatest(send_by, $5) where cell = $1 and id = $2
        """,
        tx.cell,
        return_id,
        tx.now,
        where,
        tx.later_than(TRANSIT_DAYS * 86_400),
    )


async def return_by_code(tx: Tx, code: str) -> uuid.UUID:
    """The return of a scanned number or tracking number; else ``NotFound``."""
    found = await tx.value(
        """
        select id from returns.rma where cell = $1 and number = $2
        union all
        select return_id from returns.way where cell = $1 and tracking = $2 and $2 <> '' limit 1
        """,
        tx.cell,
        code.strip().upper(),
    )
    if found is None:
        raise NotFound(what="return")
    return found  # type: ignore[no-any-return]


# --- what the staff set


async def set_way_offer(tx: Tx, offer: WayOffer) -> None:
    await tx.run(
        """
        insert into returns.way_offer (market, kind, extra_minor, is_open) values ($1, $2, $3, $4)
        on conflict (market, kind) do update
           set extra_minor = excluded.extra_minor, is_open = excluded.is_open
        """,
        *msgspec.structs.astuple(offer),
    )


async def save_point(tx: Tx, point: Point) -> None:
    await tx.run(
        """
        insert into returns.point (code, name, address, country, is_open)
        values ($1, $2, $3, $4, $5)
        on conflict (code) do update
           set name = excluded.name, address = excluded.address, country = excluded.country,
               is_open = excluded.is_open
        """,
        *msgspec.structs.astuple(point),
    )


async def points(tx: Tx) -> list[Point]:
    """Every point where parcels are handed in, also those that are closed."""
    return await tx.rows(
        Point, "select code, name, address, country, is_open from returns.point order by code"
    )


async def set_window(tx: Tx, window: Window) -> None:
    """Hours of pick-up; what is promised already stays promised."""
    await tx.run(
        """
        insert into returns.pickup_window (market, from_hour, until_hour, most)
        values ($1, $2, $3, $4)
        on conflict (market, from_hour) do update
           set until_hour = excluded.until_hour, most = excluded.most
        """,
        *msgspec.structs.astuple(window),
    )
