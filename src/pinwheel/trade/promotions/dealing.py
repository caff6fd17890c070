"""Timed deals: a price for one offer, from, until, for so many pieces; and who waits when all are
taken.

A piece that comes back (a payment failed, an order was given up) is put aside for the next who
waits, in the transaction that gave it back: nobody who did not wait can be faster. Who is called
has ``TURN_SECONDS``; a turn that is not used goes to the next.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence

import asyncpg
import msgspec

from pinwheel.ground import ledger
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade.promotions import model
from pinwheel.trade.promotions.model import Promotion, TurnGiven
from pinwheel.trade.promotions.queries import promotion, rooms
from pinwheel.trade.promotions.refusals import DealOver, StillLeft

TURN_SECONDS = 600


class Deal(msgspec.Struct, frozen=True, kw_only=True):
    """A deal as it stands. ``sold`` counts what is paid or being paid now; ``waiting`` people."""

    promotion: Promotion
    offer_id: uuid.UUID
    pieces: int
    left: int
    waiting: int

    @property
    def sold(self) -> int:
        return self.pieces - self.left


class _Waiting(msgspec.Struct, frozen=True):
    promotion_id: uuid.UUID
    people: int


async def deals(tx: Tx, *, ahead_seconds: int = 7 * 86_400) -> list[Deal]:
    """The deals that run now or begin soon, the earliest first. 3 statements."""
    found = await tx.rows(
        Promotion,
        """
        select id, name, state, terms, code, starts_at, ends_at, is_deal, changed_at, changed_by
          from promotions.promotion
         where state = 'active' and is_deal and ends_at > $1 and starts_at <= $2
         order by starts_at, id limit 200
        """,
        tx.now,
        tx.later_than(ahead_seconds),
    )
    return await _standing(tx, found)


async def deal(tx: Tx, promotion_id: uuid.UUID) -> Deal:
    """One deal. ``NotFound``, also for a promotion that is none."""
    found = await promotion(tx, promotion_id)
    if not found.is_deal:
        raise DealOver()
    return (await _standing(tx, [found]))[0]


async def _standing(tx: Tx, found: Sequence[Promotion]) -> list[Deal]:
    left = await rooms(tx, found)
    waiting = {
        w.promotion_id: w.people
        for w in await tx.rows(
            _Waiting,
            """
            select promotion_id, count(*)::int as people from promotions.waiting
             where cell = $1 and promotion_id = any($2::uuid[]) and state = 'waiting'
             group by promotion_id
            """,
            tx.cell,
            [p.id for p in found],
        )
    }
    return [
        Deal(
            promotion=p,
            offer_id=p.terms.scope.offers[0],
            pieces=p.terms.limits.uses or 0,
            left=left.get(p.id, 0),
            waiting=waiting.get(p.id, 0),
        )
        for p in found
    ]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody's place. ``state``: waiting (``ahead`` people before them), called (until
    ``until``), bought, missed or left."""

    promotion_id: uuid.UUID
    state: str
    ahead: int
    until: dt.datetime | None


async def places(
    tx: Tx, person_id: uuid.UUID, promotion_ids: Sequence[uuid.UUID]
) -> dict[uuid.UUID, Place]:
    """Where the person stands, by deal; the latest of each. One statement."""
    rows = await tx.rows(
        Place,
        """
        select distinct on (w.promotion_id) w.promotion_id, w.state,
               case when w.state = 'waiting' then
                 (select count(*) from promotions.waiting o
                   where o.cell = w.cell and o.promotion_id = w.promotion_id
                     and o.state = 'waiting' and o.place < w.place) else 0 end::int as ahead,
               w.until
          from promotions.waiting w
         where w.cell = $1 and w.person_id = $2 and w.promotion_id = any($3::uuid[])
         order by w.promotion_id, w.place desc
        """,
        tx.cell,
        person_id,
        list(promotion_ids),
    )
    return {row.promotion_id: row for row in rows}


async def wait(tx: Tx, promotion_id: uuid.UUID, person_id: uuid.UUID) -> Place:
    """Wait for a deal that is taken. Safe to repeat. Refuses ``StillLeft`` and ``DealOver``.

    The promotion's row is locked first: a piece that comes back meanwhile is either seen here, or
    whoever gives it back sees who waits."""
    found = await promotion(tx, promotion_id, lock=True)
    if not found.is_deal or found.phase(tx.now) != "running":
        raise DealOver()
    left = (await rooms(tx, [found])).get(promotion_id, 0)
    if left > 0:
        raise StillLeft(left=left)
    await tx.run(
        """
        insert into promotions.waiting (cell, id, promotion_id, person_id, joined_at)
        values ($1, $2, $3, $4, $5)
        on conflict (cell, promotion_id, person_id) where state in ('waiting', 'called') do nothing
        """,
        tx.cell,
        tx.new_id(),
        promotion_id,
        person_id,
        tx.now,
    )
    return (await places(tx, person_id, [promotion_id]))[promotion_id]


async def leave(tx: Tx, promotion_id: uuid.UUID, person_id: uuid.UUID) -> None:
    """Wait no more. A turn that was given goes to the next. Safe to repeat."""
    await promotion(tx, promotion_id, lock=True)
    await tx.run(
        """
        update promotions.waiting
           set state = case when state = 'waiting' then 'left' else state end,
               until = case when state = 'called' then $4 else until end
         where cell = $1 and promotion_id = $2 and person_id = $3
           and state in ('waiting', 'called')
        """,
        tx.cell,
        promotion_id,
        person_id,
        tx.now,
    )
    await end_turns(tx)


class _Called(msgspec.Struct, frozen=True):
    id: uuid.UUID
    promotion_id: uuid.UUID
    person_id: uuid.UUID


async def pass_on(tx: Tx, promotion_ids: Iterable[uuid.UUID]) -> int:
    """Put free pieces of these deals aside for who waits, first come first served; how many.

    2 statements where nobody waits."""
    found = await tx.rows(
        Promotion,
        """
        select id, name, state, terms, code, starts_at, ends_at, is_deal, changed_at, changed_by
          from promotions.promotion
         where id = any($1::uuid[]) and is_deal and state = 'active' and ends_at > $2
         order by id for update
        """,
        sorted(set(promotion_ids)),
        tx.now,
    )
    if not found:
        return 0
    # Asked after the lock: whoever came to wait before it is seen, whoever comes after sees the
    # piece that is free now.
    wanted = await tx.values(
        """
        select distinct promotion_id from promotions.waiting
         where cell = $1 and promotion_id = any($2::uuid[]) and state = 'waiting'
        """,
        tx.cell,
        [p.id for p in found],
    )
    found = [p for p in found if p.id in wanted]
    if not found:
        return 0
    until = tx.later_than(TURN_SECONDS)
    called = await _call(tx, found, until)
    await _put_aside(tx, found, called)
    tx.emit(
        *(
            TurnGiven(
                promotion_id=one.promotion_id,
                waiting_id=one.id,
                person_id=one.person_id,
                until=until,
            )
            for one in called
        )
    )
    return len(called)


async def _call(tx: Tx, found: Sequence[Promotion], until: dt.datetime) -> list[_Called]:
    """The next of each deal, as many as there are free pieces."""
    left = await rooms(tx, found)
    return await tx.rows(
        _Called,
        """
        with next as (
          select w.cell, w.id from unnest($2::uuid[], $3::bigint[]) as d(promotion_id, room)
           cross join lateral (
             select cell, id from promotions.waiting
              where cell = $1 and promotion_id = d.promotion_id and state = 'waiting'
              order by place limit d.room) w
        )
        update promotions.waiting w set state = 'called', called_at = $4, until = $5
          from next where w.cell = next.cell and w.id = next.id
        returning w.id, w.promotion_id, w.person_id
        """,
        tx.cell,
        list(left),
        list(left.values()),
        tx.now,
        until,
    )


async def _put_aside(tx: Tx, found: Sequence[Promotion], called: Sequence[_Called]) -> None:
    """From the common pool to the turn of each who was called."""
    pools = {p.id: model.pool(p.id, p.terms.limits.uses or 0) for p in found}
    answers = await ledger.post(
        tx,
        [
            ledger.Journal(
                document_kind="deal_turn",
                document_id=one.id,
                key="called",
                reason="put aside for who waited",
                transfers=(
                    ledger.Transfer(
                        model.turn(one.promotion_id, one.id), pools[one.promotion_id], 1
                    ),
                ),
            )
            for one in called
        ],
    )
    refused = next((a for a in answers if isinstance(a, Refusal)), None)
    if refused is not None:  # somebody took it between the look and the posting: all or nothing
        raise RacedTurn(str(refused))


class RacedTurn(asyncpg.SerializationError):  # type: ignore[misc]
    """The piece is gone again: the whole is tried anew."""


async def end_turns(tx: Tx, *, most: int = 500) -> int:
    """Turns whose time is over: the piece goes back and on to the next; how many. A piece that an
    unpaid order of theirs holds waits for that order to end."""
    over = await tx.rows(
        _Called,
        """
        select id, promotion_id, person_id from promotions.waiting
         where cell = $1 and state = 'called' and until <= $2
         order by id limit $3 for update skip locked
        """,
        tx.cell,
        tx.now,
        most,
    )
    if not over:
        return 0
    found = {i: await promotion(tx, i) for i in sorted({one.promotion_id for one in over})}
    answers = await ledger.post(
        tx,
        [
            ledger.Journal(
                document_kind="deal_turn",
                document_id=one.id,
                key="over",
                reason="the turn was not used",
                transfers=(
                    ledger.Transfer(
                        model.pool(
                            one.promotion_id, found[one.promotion_id].terms.limits.uses or 0
                        ),
                        model.turn(one.promotion_id, one.id),
                        1,
                    ),
                ),
            )
            for one in over
        ],
    )
    missed = [o for o, a in zip(over, answers, strict=True) if not isinstance(a, Refusal)]
    await tx.run(
        """
        update promotions.waiting set state = 'missed'
         where cell = $1 and id = any($2::uuid[]) and state = 'called'
        """,
        tx.cell,
        [o.id for o in missed],
    )
    await pass_on(tx, {o.promotion_id for o in missed})
    return len(missed)


async def sweep(tx: Tx) -> None:
    """Turns that are over, and pieces that nobody passed on: a deal with more of them, say."""
    await end_turns(tx)
    waited_for = await tx.values(
        """
        select distinct promotion_id from promotions.waiting where cell = $1 and state = 'waiting'
        """,
        tx.cell,
    )
    if waited_for:
        await pass_on(tx, waited_for)


async def note_bought(tx: Tx, bought: Sequence[tuple[uuid.UUID, uuid.UUID]]) -> None:
    """(promotion, person): whoever was called has bought. 1 statement."""
    await tx.run(
        """
        update promotions.waiting w set state = 'bought'
          from unnest($2::uuid[], $3::uuid[]) as b(promotion_id, person_id)
         where w.cell = $1 and w.promotion_id = b.promotion_id and w.person_id = b.person_id
           and w.state = 'called'
        """,
        tx.cell,
        [promotion_id for promotion_id, _ in bought],
        [person_id for _, person_id in bought],
    )
