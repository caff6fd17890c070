"""The queue: whoever comes too many at once waits outside, in order, and nothing is done for them
but that.

Who comes before the opening is drawn by lot; after it the instant decides (``TIE_SECONDS`` is one),
and within an instant the lot. The lot is keyed with the shop's secret: nobody chooses their own.
A number is given once its instant is over, so that nobody can come in between; numbers are admitted
one after the other at the event's rate. A ticket says event, place, person and number under a key.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import datetime as dt
import hmac
import math
import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.growth.bigdays import queries
from pinwheel.growth.bigdays.actions import Gate
from pinwheel.growth.bigdays.model import (
    TIE_SECONDS,
    BadTicket,
    BigDay,
    EventNotOpen,
    NotForYou,
    QueuePlace,
    is_held_out,
)
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.together import Together
from pinwheel.kernel.vault import Vault

PURPOSE = "bigdays.ticket"
BURST_SECONDS = 5  # how much of the rate may be made up for at once


class Arrival(msgspec.Struct, frozen=True):
    event_id: uuid.UUID
    person_id: uuid.UUID


class Ticket(msgspec.Struct, frozen=True, kw_only=True):
    """A place and what is honestly known of it. ``ahead``: people with a lower number who are not
    admitted yet (at most: who left is still counted); None: not drawn yet. ``wait_seconds`` at
    the rate that holds now; ``pieces_left`` of all the event's queued deals."""

    token: str
    event_id: uuid.UUID
    place_id: uuid.UUID
    state: str
    number: int | None
    ahead: int | None
    wait_seconds: int | None
    until: dt.datetime | None
    opens_at: dt.datetime
    look_again_seconds: int


def sealed(vault: Vault, place: QueuePlace) -> str:
    """The place's token. It is good for this person alone."""
    body = place.event_id.bytes + place.id.bytes + (place.number or 0).to_bytes(8, "big")
    return base64.urlsafe_b64encode(body + _mark(vault, body, place.person_id)).decode().rstrip("=")


def opened(
    vault: Vault, token: str, person_id: uuid.UUID | None
) -> tuple[uuid.UUID, uuid.UUID, int]:
    """(event, place, number) of a token, without a look at the database. Refuses ``BadTicket``
    for one that was forged, changed or given to somebody else."""
    try:
        raw = base64.urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (binascii.Error, ValueError) as error:
        raise BadTicket() from error
    body, mark = raw[:40], raw[40:]
    if person_id is None or len(raw) != 56:
        raise BadTicket()
    if not hmac.compare_digest(mark, _mark(vault, body, person_id)):
        raise BadTicket()
    return uuid.UUID(bytes=body[:16]), uuid.UUID(bytes=body[16:32]), int.from_bytes(body[32:])


def _mark(vault: Vault, body: bytes, person_id: uuid.UUID) -> bytes:
    return vault.blind(f"{body.hex()}:{person_id}", PURPOSE)[:16]


def lot_of(vault: Vault, event_id: uuid.UUID, person_id: uuid.UUID) -> int:
    return int.from_bytes(vault.blind(f"{event_id}:{person_id}", "bigdays.lot")[:8]) >> 1


def instant_of(event: BigDay, now: dt.datetime) -> dt.datetime:
    """What decides first. All who came before the opening have the same one."""
    if now < event.starts_at:
        return event.starts_at
    since = (now - event.starts_at).total_seconds()
    return event.starts_at + dt.timedelta(seconds=math.floor(since / TIE_SECONDS) * TIE_SECONDS)


async def join(tx: Tx, arrivals: Sequence[Arrival]) -> list[QueuePlace | Refusal]:
    """A place for each; who has one keeps it. 2 statements and one for each event.

    Refuses ``EventNotOpen`` (no queue, or not from the pre-heat to the end) and ``NotForYou``."""
    events = {i: await queries.event(tx, i) for i in sorted({a.event_id for a in arrivals})}
    segments = {e.segment for e in events.values() if e.segment}
    mine = {}
    gate = tx.db.given.get(Gate)
    if segments and gate is not None:
        mine = dict(await gate.ask(tx, sorted({a.person_id for a in arrivals})))
    answers: dict[Arrival, QueuePlace | Refusal] = {}
    for one in dict.fromkeys(arrivals):
        event = events[one.event_id]
        if not event.queue_on or event.phase(tx.now) not in ("preheat", "running"):
            answers[one] = EventNotOpen()
        elif (
            event.segment and event.segment not in {str(s) for s in mine.get(one.person_id, ())}
        ) or is_held_out(event.id, one.person_id, event.holdout_percent):
            answers[one] = NotForYou()
    coming = sorted({a for a in arrivals if a not in answers}, key=lambda a: a.person_id)
    if coming:
        await _insert(tx, events, coming)
        found = await _places(tx, coming)
        answers |= {Arrival(p.event_id, p.person_id): p for p in found}
    return [answers[a] for a in arrivals]


async def _insert(tx: Tx, events: dict[uuid.UUID, BigDay], coming: Sequence[Arrival]) -> None:
    vault = tx.db.vault
    await tx.run(
        """
        insert into bigdays.place (cell, id, event_id, person_id, instant, lot, joined_at)
        select $1, a.id, a.event_id, a.person_id, a.instant, a.lot, $2
          from unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::timestamptz[], $7::bigint[])
               as a(id, event_id, person_id, instant, lot)
        on conflict do nothing
        """,
        tx.cell,
        tx.now,
        [tx.new_id() for _ in coming],
        [a.event_id for a in coming],
        [a.person_id for a in coming],
        [instant_of(events[a.event_id], tx.now) for a in coming],
        [lot_of(vault, a.event_id, a.person_id) for a in coming],
    )


async def _places(tx: Tx, coming: Sequence[Arrival]) -> list[QueuePlace]:
    return await tx.rows(
        QueuePlace,
        """
        select p.id, p.event_id, p.person_id, p.number, p.state, p.until
          from unnest($2::uuid[], $3::uuid[]) as a(event_id, person_id)
          join bigdays.place p on p.cell = $1 and p.event_id = a.event_id
           and p.person_id = a.person_id and p.state in ('waiting', 'admitted')
        """,
        tx.cell,
        [a.event_id for a in coming],
        [a.person_id for a in coming],
    )


async def leave(tx: Tx, event_id: uuid.UUID, person_id: uuid.UUID) -> None:
    """Stand in the queue no more. Safe to repeat."""
    await tx.run(
        """
        update bigdays.place set state = 'left'
         where cell = $1 and event_id = $2 and person_id = $3 and state in ('waiting', 'admitted')
        """,
        tx.cell,
        event_id,
        person_id,
    )


async def turn(tx: Tx) -> int:
    """One turn of every queue: give numbers to instants that are over, end admissions that were
    not used, admit the next. How many were admitted."""
    await tx.run(
        """
        update bigdays.place set state = 'expired'
         where cell = $1 and state = 'admitted' and until <= $2
        """,
        tx.cell,
        tx.now,
    )
    admitted = 0
    for event_id in await tx.values(
        """
        select id from bigdays.event
         where cell = $1 and state = 'active' and queue_on and starts_at <= $2 and ends_at > $2
         order by id
        """,
        tx.cell,
        tx.now,
    ):
        admitted += await admit(tx, event_id)
    return admitted


class _Pace(msgspec.Struct, frozen=True):
    admitting_from: dt.datetime | None
    admitted_since: int


async def admit(tx: Tx, event_id: uuid.UUID) -> int:
    """Draw and admit for one event. Its row is locked: two turns at once admit nobody twice. What
    the rate allows since it was set, less who was admitted; a pause is made up for by
    ``BURST_SECONDS`` at most."""
    event = await queries.event(tx, event_id, lock=True)
    pace = await tx.the(
        "event",
        _Pace,
        "select admitting_from, admitted_since from bigdays.event where cell = $1 and id = $2",
        tx.cell,
        event_id,
    )
    await _draw(tx, event)
    rate = event.admit_per_minute / 60
    since = pace.admitting_from or event.starts_at
    if pace.admitting_from is None:  # set anew: begin with one burst at most
        since = tx.later_than(-BURST_SECONDS)
    allowed = int((tx.now - since).total_seconds() * rate)
    tokens = max(0, min(allowed - pace.admitted_since, max(1, int(rate * BURST_SECONDS))))
    admitted: list[int] = await tx.values(
        """
        with next as (
          select cell, id from bigdays.place
           where cell = $1 and event_id = $2 and state = 'waiting' and number is not null
           order by number limit $3 for update
        )
        update bigdays.place p set state = 'admitted', admitted_at = $4, until = $5
          from next where p.cell = next.cell and p.id = next.id
        returning p.number
        """,
        tx.cell,
        event_id,
        tokens,
        tx.now,
        min(tx.later_than(event.admit_seconds), event.ends_at),
    )
    # What nobody used of the rate is lost but for one burst.
    await tx.run(
        """
        update bigdays.event set head = greatest(head, $3), admitting_from = $4,
               admitted_since = $5 where cell = $1 and id = $2
        """,
        tx.cell,
        event_id,
        max(admitted, default=0),
        since,
        allowed - (tokens - len(admitted)),
    )
    return len(admitted)


async def _draw(tx: Tx, event: BigDay) -> None:
    """Numbers for every place whose instant is over: by instant, then by lot."""
    await tx.run(
        """
        with fresh as (
          select cell, id, row_number() over (order by instant, lot, id) as place
            from bigdays.place
           where cell = $1 and event_id = $2 and state = 'waiting' and number is null
             and instant <= $3
        ), given as (
          update bigdays.place p set number = $4 + fresh.place
            from fresh where p.cell = fresh.cell and p.id = fresh.id
        )
        update bigdays.event set drawn = drawn + (select count(*) from fresh)
         where cell = $1 and id = $2
        """,
        tx.cell,
        event.id,
        tx.later_than(-TIE_SECONDS),
        event.drawn,
    )


async def let_in(tx: Tx, turns: Sequence[tuple[uuid.UUID, uuid.UUID, dt.datetime]]) -> None:
    """(deal, person, until): who waited for a piece and is called need not queue as well."""
    await tx.run(
        """
        insert into bigdays.place (cell, id, event_id, person_id, instant, lot, state, joined_at,
               admitted_at, until)
        select $1, t.id, d.event_id, t.person_id, $2, 0, 'admitted', $2, $2, t.until
          from unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::timestamptz[])
               as t(id, promotion_id, person_id, until)
          join bigdays.deal d on d.cell = $1 and d.promotion_id = t.promotion_id
          join bigdays.event e on e.cell = d.cell and e.id = d.event_id and e.queue_on
        on conflict (cell, event_id, person_id) where state in ('waiting', 'admitted') do update
           set state = 'admitted', admitted_at = excluded.admitted_at,
               until = greatest(bigdays.place.until, excluded.until)
        """,
        tx.cell,
        tx.now,
        [tx.new_id() for _ in turns],
        [t[0] for t in turns],
        [t[1] for t in turns],
        [t[2] for t in turns],
    )


async def settle_used(tx: Tx, order_ids: Sequence[uuid.UUID], *, used: bool) -> None:
    """Paid orders have used their admissions; of those that ended the admission is there again
    for as long as it would have been."""
    await tx.run(
        """
        update bigdays.place p set state = case when $3 then 'used' else 'admitted' end
          from ledger.v_hold h
         where h.cell = $1 and h.document_id = any($2::uuid[]) and h.key like 'admission:%'
           and p.cell = $1 and p.id = split_part(h.key, ':', 2)::uuid
           and p.state = case when $3 then 'admitted' else 'used' end
           and not exists (select from bigdays.place o
                            where not $3 and o.cell = p.cell and o.event_id = p.event_id
                              and o.person_id = p.person_id and o.id <> p.id
                              and o.state in ('waiting', 'admitted'))
        """,
        tx.cell,
        list(order_ids),
        used,
    )


class WaitingRoom:
    """The queue of one process: arrivals share a transaction, too many are refused before any
    work (``Overloaded``: 503 with Retry-After), and a look at a ticket costs one read of a row;
    how far the queue is is read once a second."""

    def __init__(self, db: Database, *, most_waiting: int = 4096) -> None:
        self.db = db
        self.join: Together[Arrival, QueuePlace] = Together(
            db, join, actor="queue", most=512, waiting=most_waiting
        )
        self._heads: dict[uuid.UUID, tuple[dt.datetime, BigDay]] = {}
        self._reading = asyncio.Lock()

    async def event(self, event_id: uuid.UUID) -> BigDay:
        """The event as it was at most a second ago."""
        known = self._heads.get(event_id)
        now = self.db.clock.now()
        if known is not None and abs((now - known[0]).total_seconds()) < 1:
            return known[1]
        async with self._reading:
            known = self._heads.get(event_id)
            if known is not None and abs((now - known[0]).total_seconds()) < 1:
                return known[1]
            async with self.db.reading() as tx:
                found = await queries.event(tx, event_id)
            if len(self._heads) > 1000:
                self._heads.clear()
            self._heads[event_id] = (now, found)
            return found

    async def arrive(self, event_id: uuid.UUID, person_id: uuid.UUID) -> Ticket:
        """A place, or the one the person has."""
        place = await self.join(Arrival(event_id, person_id))
        return self.ticket(await self.event(event_id), place)

    async def look(self, token: str, person_id: uuid.UUID | None) -> Ticket:
        """How the ticket stands. Refuses ``BadTicket`` before any work. Who is far from their
        turn is answered without a look at their place."""
        event_id, place_id, number = opened(self.db.vault, token, person_id)
        assert person_id is not None
        event = await self.event(event_id)
        if number > event.head:
            place = QueuePlace(
                id=place_id,
                event_id=event_id,
                person_id=person_id,
                number=number,
                state="waiting",
                until=None,
            )
            return self.ticket(event, place)
        async with self.db.reading() as tx:
            found = await queries.place_of(tx, event_id, person_id)
        if found is None or found.id != place_id:
            raise BadTicket()
        return self.ticket(event, found)

    def ticket(self, event: BigDay, place: QueuePlace) -> Ticket:
        now = self.db.clock.now()
        ahead = wait = None
        if place.number is not None and place.state == "waiting":
            ahead = max(0, place.number - event.head - 1)
            wait = math.ceil(ahead / event.admit_per_minute * 60)
        state = place.state
        if state == "admitted" and place.until is not None and place.until <= now:
            state = "expired"
        again = 5 if wait is None else min(60, max(3, wait // 4))
        if now < event.starts_at:
            again = min(60, max(3, int((event.starts_at - now).total_seconds())))
        return Ticket(
            token=sealed(self.db.vault, place),
            event_id=event.id,
            place_id=place.id,
            state=state,
            number=place.number,
            ahead=ahead,
            wait_seconds=wait,
            until=place.until,
            opens_at=event.starts_at,
            look_again_seconds=again,
        )


def room_of(db: Database) -> WaitingRoom:
    """The waiting room of this process."""
    found = db.given.get(WaitingRoom)
    if found is None:
        found = db.given[WaitingRoom] = WaitingRoom(db)
    return found
