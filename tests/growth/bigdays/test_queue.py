"""The queue: order, lot, tickets, admissions; and a crowd on few pieces."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import os
import sys
import time
from collections import Counter
from typing import Any

import pytest

from growth.bigdays.calendar import OPENS, Shop, open_shop, person
from pinwheel.growth import bigdays
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import Overloaded
from pinwheel.kernel.jobs import Worker
from pinwheel.trade import orders, promotions

SECOND = dt.timedelta(seconds=1)


@pytest.fixture
async def shop(db: Database) -> Shop:
    return await open_shop(db)


async def numbers(shop: Shop) -> dict[Any, int | None]:
    async with shop.db.reading() as tx:
        found = [await bigdays.place_of(tx, shop.event_id, person(n)) for n in range(40)]
    return {p.person_id: p.number for p in found if p is not None}


async def test_before_the_opening_it_is_by_lot_and_after_it_by_instant(
    shop: Shop, clock: SetClock
) -> None:
    await shop.day(queue_on=True)
    for n in range(20):  # hours apart: it makes no difference
        clock.travel(minutes=30)
        await shop.join(person(n))
    clock.set(OPENS + 2 * SECOND)
    await shop.join(*(person(n) for n in range(20, 25)))
    clock.set(OPENS + 3 * SECOND)
    await shop.join(*(person(n) for n in range(25, 30)))
    await shop.turn()
    drawn = await numbers(shop)
    early = [drawn[person(n)] for n in range(20)]
    assert sorted(early, key=lambda n: n or 0) == list(range(1, 21))
    assert early != sorted(early, key=lambda n: n or 0)
    assert {drawn[person(n)] for n in range(20, 25)} == set(range(21, 26))
    assert {drawn[person(n)] for n in range(25, 30)} == {None}  # their instant isn't over
    clock.travel(seconds=1)
    await shop.turn()
    drawn = await numbers(shop)
    assert {drawn[person(n)] for n in range(25, 30)} == set(range(26, 31))
    assert not await shop.broken()


async def test_one_place_to_a_person_however_often_they_come(shop: Shop, clock: SetClock) -> None:
    await shop.day(queue_on=True)
    places = await asyncio.gather(*(shop.join(person(1), person(1)) for _ in range(5)))
    assert len({p.id for answer in places for p in answer}) == 1


async def test_the_rate_is_kept_and_a_pause_is_not_made_up_for(shop: Shop, clock: SetClock) -> None:
    await shop.day(queue_on=True, admit_per_minute=60)
    await shop.join(*(person(n) for n in range(200)))
    clock.set(OPENS + SECOND)
    admitted = [await shop.turn()]
    for _ in range(10):
        clock.travel(seconds=1)
        admitted.append(await shop.turn())
    assert admitted[0] <= 5 and admitted[1:] == [1] * 10
    assert await shop.turn() == 0  # twice in the same instant
    clock.travel(minutes=1)
    assert await shop.turn() == 5
    clock.travel(seconds=1)
    assert await shop.turn() == 1
    assert not await shop.broken()


async def test_two_turns_at_once_admit_nobody_twice(shop: Shop, clock: SetClock) -> None:
    await shop.day(queue_on=True, admit_per_minute=60)
    await shop.join(*(person(n) for n in range(40)))
    clock.set(OPENS + 10 * SECOND)
    answers = await asyncio.gather(*(shop.turn() for _ in range(4)))
    assert sum(answers) == 5
    assert not await shop.broken()


async def test_a_ticket_is_neither_forged_nor_handed_on(shop: Shop, clock: SetClock) -> None:
    await shop.day(queue_on=True)
    room = bigdays.room_of(shop.db)
    ticket = await room.arrive(shop.event_id, person(1))
    assert (await room.look(ticket.token, person(1))).state == "waiting"
    raw = bytearray(base64.urlsafe_b64decode(ticket.token + "=="))
    forged = []
    for place in (3, 20, 39, 50):
        raw[place] ^= 1
        forged.append(base64.urlsafe_b64encode(bytes(raw)).decode())
        raw[place] ^= 1
    for token in [*forged, "", "x", "?" * 75, "a" * 5000]:
        with pytest.raises(bigdays.BadTicket):
            await room.look(token, person(1))
    await shop.join(*(person(n) for n in range(2, 30)))
    clock.set(OPENS + 2 * SECOND)
    await shop.turn()
    drawn = await numbers(shop)
    [last] = [who for who, number in drawn.items() if number == 29]
    far = await room.arrive(shop.event_id, last)
    clock.travel(seconds=2)
    assert (await room.look(far.token, last)).ahead == 29 - 5 - 1
    for token in (ticket.token, far.token):
        for other in (person(50), None):
            with pytest.raises(bigdays.BadTicket):
                await room.look(token, other)


async def test_no_deal_price_without_an_admission(
    shop: Shop, clock: SetClock, worker: Worker
) -> None:
    await shop.day(pieces=3, queue_on=True, admit_seconds=60)
    [place] = await shop.join(person(1))
    clock.set(OPENS + 2 * SECOND)
    quote = await shop.quote((0, 1), person_id=person(1))
    assert (quote.discount_minor, [h.kind for h in quote.hints if h.kind == "queue"]) == (
        0,
        ["queue"],
    )
    claims = [orders.Claim(bigdays.QUEUE, place.id)]
    with pytest.raises(bigdays.NotAdmitted):
        await shop.buying.buy(shop.draft((0, 1), person_id=person(1), claims=claims))
    await shop.turn()
    with pytest.raises(bigdays.NotAdmitted):  # handed on
        await shop.buying.buy(shop.draft((0, 1), person_id=person(2), claims=claims))
    assert (await shop.quote((0, 1), person_id=person(1))).discount_minor == 400
    clock.travel(seconds=60)
    with pytest.raises(bigdays.NotAdmitted):  # over, to the second
        await shop.buying.buy(shop.draft((0, 1), person_id=person(1), claims=claims))
    clock.travel(seconds=-1)
    answers = await asyncio.gather(
        *(
            shop.buying.buy(shop.draft((0, 1), person_id=person(1), claims=claims))
            for _ in range(4)
        ),
        return_exceptions=True,
    )
    assert sorted(type(a).__name__ for a in answers) == ["Bought"] + ["NotAdmitted"] * 3, answers
    await worker.drain()
    assert await shop.left() == 2
    assert not await shop.broken()


async def test_the_control_group_sees_no_deal(shop: Shop, clock: SetClock) -> None:
    await shop.day(pieces=50, holdout_percent=50)
    clock.set(OPENS)
    seen = Counter[bool]()
    for n in range(40):
        held = bigdays.is_held_out(shop.event_id, person(n), 50)
        off = (await shop.quote((0, 1), person_id=person(n))).discount_minor
        assert off == (0 if held else 400)
        seen[held] += 1
    assert min(seen.values()) >= 8


async def test_too_many_at_the_door_are_refused_before_any_work(
    shop: Shop, clock: SetClock
) -> None:
    await shop.day(queue_on=True)
    room = bigdays.WaitingRoom(shop.db, most_waiting=10)
    answers = await asyncio.gather(
        *(room.arrive(shop.event_id, person(n)) for n in range(50)), return_exceptions=True
    )
    refused = [a for a in answers if isinstance(a, Overloaded)]
    assert len(refused) >= 30 and all(a.retry_after_seconds >= 1 for a in refused)


async def test_a_crowd_on_few_pieces(shop: Shop, clock: SetClock, worker: Worker) -> None:
    """Everybody comes before the opening; who is admitted orders at once with others; some
    challenge their payment and give up; the pieces that come back go to who waits, in order."""
    buyers = int(os.environ.get("PINWHEEL_CROWD", "300"))
    pieces = max(10, buyers // 100)
    await shop.day(
        pieces=pieces,
        queue_on=True,
        admit_per_minute=min(24_000, max(600, buyers * 6)),
        admit_seconds=7200,
    )
    room = bigdays.room_of(shop.db)
    began = time.monotonic()
    for first in range(0, buyers, 4000):
        some = range(first, min(buyers, first + 4000))
        await asyncio.gather(*(room.arrive(shop.event_id, person(n)) for n in some))
    joined = time.monotonic() - began
    clock.set(OPENS + 2 * SECOND)
    turned: list[Any] = []
    spent: list[float] = []

    async def order(who: Any, method: str) -> Any:
        at = time.monotonic()
        draft = shop.draft((0, 1), person_id=who, method=method, expected="GBP 999")
        try:
            return await shop.buying.buy(draft)
        finally:
            spent.append(time.monotonic() - at)

    seen: set[Any] = set()
    while len(seen) < buyers:
        if not await shop.turn():
            clock.travel(seconds=1)
            continue
        async with shop.db.reading() as tx:
            now = await tx.values(
                "select person_id from bigdays.place where state = 'admitted' order by number"
            )
        fresh = [p for p in now if p not in seen]
        seen |= set(fresh)
        methods = ["tok_challenge" if p.int % 5 == 0 else "tok_ok" for p in fresh]
        turned += await asyncio.gather(
            *(order(p, m) for p, m in zip(fresh, methods, strict=True)), return_exceptions=True
        )
        clock.travel(seconds=5)
    bought = [a for a in turned if isinstance(a, orders.Bought)]
    kinds = Counter(type(a).__name__ for a in turned)
    assert len(bought) == pieces and set(kinds) <= {
        "Bought",
        "StaleQuote",
        "PromotionUsedUp",
    }, kinds
    waiting = [person(buyers + n) for n in range(pieces)]
    for who in waiting:
        await shop.wait(who)
    pending = sum(b.state == "pending_payment" for b in bought)
    for _ in range(6):
        clock.travel(minutes=10)
        await worker.drain()
        await serve(shop, waiting)
    await worker.drain()
    async with shop.db.reading() as tx:
        sold = await tx.value("select count(*) from orders.v_purchase where state = 'placed'")
        places = [(await promotions.places(tx, w, [shop.deal_id]))[shop.deal_id] for w in waiting]
        charged_back = await tx.value("select count(*) from payments.v_instruction")
    assert sold == pieces and await shop.left() == 0
    assert [p.state for p in places] == ["bought"] * pending + ["waiting"] * (pieces - pending)
    assert charged_back == 0
    assert not await shop.broken()
    spent.sort()
    sys.stdout.write(
        f"\n{buyers} buyers on {pieces} pieces: {joined:.1f} s to join"
        f" ({joined / buyers * 1000:.2f} ms each), {len(spent)} attempts in"
        f" {time.monotonic() - began:.1f} s, p50 {spent[len(spent) // 2] * 1000:.0f} ms,"
        f" p99 {spent[int(len(spent) * 0.99)] * 1000:.0f} ms; {pending} gave up,"
        f" {pending} waiting served in order; {dict(kinds)}"
    )


async def serve(shop: Shop, waiting: list[Any]) -> None:
    """Whoever is called buys."""
    async with shop.db.reading() as tx:
        states = [(await promotions.places(tx, w, [shop.deal_id]))[shop.deal_id] for w in waiting]
    for who, place in zip(waiting, states, strict=True):
        if place.state == "called":
            await shop.buying.buy(shop.draft((0, 1), person_id=who, expected="GBP 999"))
