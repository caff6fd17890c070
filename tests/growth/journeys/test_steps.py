"""Each step once, in its time, for those it is for."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest

from growth.journeys.travellers import Road
from pinwheel.ground import messages
from pinwheel.ground.messages import Rules
from pinwheel.growth import journeys
from pinwheel.growth.journeys import Act, Await, Branch, Plan, Powers, Stop, Trigger, Until, Wait
from pinwheel.growth.journeys.advancing import advance
from pinwheel.growth.journeys.enrolling import forget, take_events, take_segments
from pinwheel.growth.journeys.model import Doing, JourneyIs, PlanUnclear
from pinwheel.insight.audience import SegmentEntered
from pinwheel.kernel.db import Tx
from pinwheel.kernel.outbound import AddressRefused
from pinwheel.trade import budgets
from pinwheel.trade.orders import OrderPlaced

LETTER = Act(action="message", settings={"template": "autumn"})
HOUR = 3_600


def order_of(person_id: uuid.UUID, total_minor: int = 500) -> OrderPlaced:
    fields: dict[str, Any] = {
        "order_id": uuid.uuid4(),
        "number": "X",
        "person_id": person_id,
        "total_minor": total_minor,
        "currency": "GBP",
        "market": "GB",
        "channel": "web",
    }
    return OrderPlaced(**fields)


async def told(road: Road, *events: Any) -> None:
    async with road.db.transaction(actor="test") as tx:
        await take_events(tx, events)
    await road.worker.drain()


async def test_wait_branch_act(road: Road) -> None:
    journey_id = await road.plan(
        Wait(seconds=HOUR),
        Branch(by="fact", key="total", at_least=400, otherwise=3),
        LETTER,
    )
    people = await road.readers(3)
    assert await road.enter(journey_id, *people) == 3
    await road.worker.drain()
    assert await road.letters("journey:") == Counter()
    await road.travel(seconds=HOUR - 1)
    assert await road.letters("journey:") == Counter()
    await road.travel(seconds=6)
    assert len(await road.letters("journey:")) == 3
    assert await road.steps(journey_id) == {"0 waited": 3, "1 yes": 3, "2 acted": 3}
    assert await road.enrolments(journey_id) == {"done": 3}
    assert await road.broken() == []


async def test_one_enrolment_for_a_trigger(road: Road) -> None:
    each = await road.plan(LETTER, again="each", most_a_week=100)
    once = await road.plan(Wait(), again="once")
    after = await road.plan(Wait(), again="after", again_days=30)
    (person_id,) = await road.readers(1)
    event = order_of(person_id)
    await told(road, event, event)
    await told(road, event)
    await told(road, order_of(person_id))
    counts = [sum((await road.enrolments(j)).values()) for j in (each, once, after)]
    assert counts == [2, 1, 1]
    await road.travel(days=31)
    await told(road, order_of(person_id))
    counts = [sum((await road.enrolments(j)).values()) for j in (each, once, after)]
    assert counts == [3, 1, 2]


async def test_not_again_so_soon_also_when_two_orders_come_at_once(road: Road) -> None:
    journey_id = await road.plan(Wait(), again="after", again_days=30)
    people = await road.readers(20)

    async def come(key: str) -> None:
        for person_id in people:
            await road.enter(journey_id, person_id, key=key)

    await asyncio.gather(*(come(str(n)) for n in range(4)))
    assert sum((await road.enrolments(journey_id)).values()) == 20


async def test_waiting_for_something_that_comes_or_not(road: Road) -> None:
    journey_id = await road.plan(
        Await(event="orders.order_delivered", seconds=24 * HOUR, otherwise=2),
        Stop(),
        LETTER,
        trigger=Trigger(event="identity.person_registered"),
    )
    came, waits = await road.readers(2)
    await road.enter(journey_id, came, waits)
    await road.worker.drain()
    async with road.db.transaction() as tx:
        await take_events(tx, [delivered(came)])
    await road.worker.drain()
    assert await road.steps(journey_id) == {"0 came": 1, "1 stopped": 1}
    await road.travel(hours=25)
    assert await road.steps(journey_id) == {
        "0 came": 1, "1 stopped": 1, "0 in vain": 1, "2 acted": 1,
    }  # fmt: skip
    assert await road.broken() == []


def delivered(person_id: uuid.UUID) -> Any:
    return journeys.KINDS["orders.order_delivered"](
        order_id=uuid.uuid4(), number="X", person_id=person_id, shipment_id=uuid.uuid4()
    )  # type: ignore[call-arg]


async def test_the_goal_ends_it_and_counts_for_the_holdout_too(road: Road) -> None:
    journey_id = await road.plan(
        Wait(seconds=48 * HOUR), LETTER,
        trigger=Trigger(event="identity.person_registered"),
        goal="orders.order_placed", goal_days=7, holdout_basis_points=5_000,
    )  # fmt: skip
    people = await road.readers(40)
    await road.enter(journey_id, *people)
    await road.worker.drain()
    await told(road, *(order_of(p) for p in people[:10]))
    await road.travel(hours=50)
    states = await road.enrolments(journey_id)
    assert states["goal"] == 10
    async with road.db.reading() as tx:
        held = await tx.value("select count(*) from journeys.enrolment where is_held")
        reached = await tx.value(
            "select count(*) from journeys.enrolment where goal_at is not null"
        )
        measured = await journeys.journey_effect(tx, journey_id)
    assert 0 < held < 40 and reached == 10
    assert measured.treated.people + measured.holdout.people == 40
    assert measured.treated.goals + measured.holdout.goals == 10
    # Somebody who got the letter can still get there; nobody is acted on in the holdout.
    await told(road, *(order_of(p) for p in people))
    await road.travel(days=8)
    assert await road.broken() == []
    assert (await road.enrolments(journey_id))["active"] == 0


async def test_who_is_on_the_way_keeps_their_version(road: Road) -> None:
    journey_id = await road.plan(Wait(seconds=HOUR), Stop())
    first, second = await road.readers(2)
    await road.enter(journey_id, first)
    await road.worker.drain()
    async with road.db.transaction(actor="test") as tx:
        plan = Plan(
            trigger=Trigger(event="orders.order_placed"), steps=[LETTER], quiet=False,
            holdout_basis_points=0,
        )  # fmt: skip
        saved = await journeys.save_journey(tx, "New", plan, journey_id=journey_id)
        assert saved.version == 2
    await road.enter(journey_id, second)
    await road.travel(hours=2)
    assert await road.steps(journey_id) == {"0 waited": 1, "1 stopped": 1, "0 acted": 1}
    assert await road.broken() == []


async def test_halted_stands_still_and_closed_ends(road: Road) -> None:
    journey_id = await road.plan(Wait(seconds=HOUR), LETTER)
    people = await road.readers(2)
    await road.enter(journey_id, people[0])
    await road.worker.drain()
    async with road.db.transaction() as tx:
        await journeys.set_state(tx, journey_id, "paused")
        with pytest.raises(JourneyIs):
            await journeys.enrol(tx, journey_id, [journeys.Entry(person_id=people[1], key="x")])
    await road.travel(hours=2)
    assert await road.steps(journey_id) == {"0 waited": 1}
    async with road.db.transaction() as tx:
        await journeys.set_state(tx, journey_id, "live")
    await road.travel(seconds=6)
    assert await road.steps(journey_id) == {"0 waited": 1, "1 acted": 1}
    await road.enter(journey_id, people[1])
    async with road.db.transaction() as tx:
        await journeys.set_state(tx, journey_id, "closed")
        with pytest.raises(JourneyIs):
            await journeys.set_state(tx, journey_id, "live")
    await road.travel(hours=2)
    assert await road.enrolments(journey_id) == {"done": 1, "stopped": 1}
    assert await road.broken() == []


async def test_quiet_hours_put_the_act_off_and_the_next_wait_follows_it(road: Road) -> None:
    await road.travel(hours=13)  # 22:00
    journey_id = await road.plan(LETTER, Until(hour=12), LETTER, quiet=True)
    people = await road.readers(1)
    await road.enter(journey_id, *people)
    await road.worker.drain()
    assert await road.steps(journey_id) == Counter()
    await road.travel(hours=10, minutes=59)
    assert await road.steps(journey_id) == Counter()
    await road.travel(minutes=2)
    assert await road.steps(journey_id) == {"0 acted": 1, "1 waited": 1}
    await road.travel(hours=3)
    assert (await road.steps(journey_id))["2 acted"] == 1


async def test_one_person_is_done_to_so_often_a_week(road: Road) -> None:
    first = await road.plan(LETTER, LETTER, LETTER, most_a_week=2)
    second = await road.plan(LETTER, most_a_week=2)
    (person_id,) = await road.readers(1)
    await road.enter(first, person_id)
    await road.worker.drain()
    assert await road.steps(first) == {"0 acted": 1, "1 acted": 1, "2 enough_this_week": 1}
    await road.enter(second, person_id)
    await road.worker.drain()
    assert await road.steps(second) == {"0 enough_this_week": 1}
    await road.travel(days=8)
    third = await road.plan(LETTER, most_a_week=2)
    await road.enter(third, person_id)
    await road.worker.drain()
    assert await road.steps(third) == {"0 acted": 1}


async def test_a_measure_of_acts_holds_when_rounds_race(road: Road) -> None:
    journey_id = await road.plan(LETTER, most_acts=30)
    await road.enter(journey_id, *await road.readers(80))

    async def go() -> None:
        while True:
            async with road.db.transaction(actor="test") as tx:
                if not await advance(tx, 7):
                    return

    await asyncio.gather(*(go() for _ in range(4)))
    assert await road.steps(journey_id) == {"0 acted": 30, "0 enough_altogether": 50}
    assert await road.broken() == []


async def test_an_empty_budget_stops_the_act(road: Road) -> None:
    async with road.db.transaction(actor="operator") as tx:
        budget_id = tx.new_id()
        await budgets.open_budgets(
            tx, [budgets.NewBudget(id=budget_id, name="Gifts", currency="GBP")]
        )
        await budgets.fund(tx, budget_id, 250, "test")
    gift = Act(action="gift", budget_id=budget_id, cost_minor=100, otherwise=2)
    given: list[str] = []

    async def give(tx: Tx, doings: Sequence[Doing]) -> Sequence[Any]:
        given.extend(one.key for one in doings)
        return [None] * len(doings)

    journeys.use(road.db, Powers(actions={"gift": give}))
    journey_id = await road.plan(gift, Stop(), LETTER)
    await road.enter(journey_id, *await road.readers(5))
    await road.worker.drain()
    found = await road.steps(journey_id)
    assert found["0 acted"] == 2 and found["2 acted"] == 3 and len(given) == 2
    async with road.db.reading() as tx:
        assert (await budgets.available(tx, [budget_id]))[budget_id] == 50
    assert await road.broken() == []


async def test_what_cant_be_done_leads_to_the_other_channel(road: Road) -> None:
    told_to: list[uuid.UUID] = []

    async def ring(tx: Tx, doings: Sequence[Doing]) -> Sequence[Any]:
        told_to.extend(one.person_id for one in doings)
        return [None] * len(doings)

    journeys.use(road.db, Powers(actions={"ring": ring}))
    journey_id = await road.plan(
        Act(action="message", settings={"template": "autumn"}, otherwise=2), Stop(),
        Act(action="ring"),
    )  # fmt: skip
    reader, other = await road.readers(2)
    await road.unsubscribe("p1@example.com")
    await road.enter(journey_id, reader, other)
    await road.worker.drain()
    assert told_to == [other]
    assert await road.steps(journey_id) == {
        "0 acted": 1, "1 stopped": 1, "0 suppressed": 1, "2 acted": 1,
    }  # fmt: skip


async def test_one_that_raises_holds_up_nobody_and_is_given_up(road: Road) -> None:
    (bad, *good) = await road.readers(5)

    async def fragile(tx: Tx, doings: Sequence[Doing]) -> Sequence[Any]:
        if any(one.person_id == bad for one in doings):
            raise RuntimeError("no")
        return [None] * len(doings)

    journeys.use(road.db, Powers(actions={"fragile": fragile}))
    journey_id = await road.plan(Act(action="fragile"))
    await road.enter(journey_id, bad, *good)
    await road.worker.drain()
    assert await road.enrolments(journey_id) == {"done": 4, "active": 1}
    for _ in range(6):
        await road.travel(hours=25)
    assert await road.enrolments(journey_id) == {"done": 4, "failed": 1}
    assert await road.broken() == []


async def test_shares_and_variations(road: Road) -> None:
    async def which(tx: Tx, key: str, people: Sequence[uuid.UUID]) -> dict[uuid.UUID, str | None]:
        assert key == "colour"
        return {p: "red" if n % 2 else None for n, p in enumerate(sorted(people))}

    journeys.use(road.db, Powers(variations=which))
    journey_id = await road.plan(
        Branch(by="share", basis_points=3_000, otherwise=2),
        Stop(),
        Branch(by="variation", key="colour", value="red", otherwise=4),
        Stop(),
    )
    await road.enter(journey_id, *await road.readers(200))
    await road.worker.drain()
    found = await road.steps(journey_id)
    assert 40 <= found["0 yes"] <= 80
    assert abs(found["2 yes"] - found["2 no"]) <= 1


async def test_a_segment_sets_it_off_but_not_its_making(road: Road) -> None:
    segment_id = uuid.uuid4()
    journey_id = await road.plan(LETTER, trigger=Trigger(by="entered", segment_id=segment_id))
    people = await road.readers(3)

    def entered(person_id: uuid.UUID, cause: str, held: bool = False) -> SegmentEntered:
        return SegmentEntered(
            person_id=person_id, segment_id=segment_id, membership_id=uuid.uuid4(), is_held=held,
            cause=cause,
        )  # type: ignore[arg-type]  # fmt: skip

    async with road.db.transaction() as tx:
        await take_segments(
            tx,
            [entered(people[0], "fact"), entered(people[1], "rule"),
             entered(people[2], "time", held=True)],
        )  # fmt: skip
    await road.worker.drain()
    assert await road.steps(journey_id) == {"0 acted": 1}
    async with road.db.reading() as tx:
        assert await tx.value("select count(*) from journeys.enrolment where is_held") == 1


@pytest.mark.parametrize(
    ("steps", "why"),
    [
        ([Branch(by="fact", key="x", otherwise=0)], "backwards"),
        ([Await(event="no.such", otherwise=1)], "nothing tells"),
        ([Act(action="fly")], "nobody can do"),
        ([Act(action="message", settings={"template": "missing"})], "no letter"),
        ([Branch(by="segment", otherwise=1)], "segment"),
        ([Act(action="message", settings={"template": "autumn"}, cost_minor=5)], "budget"),
    ],
)
async def test_a_plan_that_leads_nowhere_is_refused(road: Road, steps: list[Any], why: str) -> None:
    async with road.db.transaction() as tx:
        with pytest.raises(PlanUnclear, match=why):
            plan = Plan(trigger=Trigger(event="orders.order_placed"), steps=steps)
            await journeys.save_journey(tx, "Bad", plan)


async def test_a_call_goes_to_public_addresses_alone(road: Road) -> None:
    async with road.db.transaction() as tx:
        for url in ("http://169.254.169.254/latest", "https://127.0.0.1/x", "file:///etc/passwd"):
            with pytest.raises(AddressRefused):
                plan = Plan(
                    trigger=Trigger(event="orders.order_placed"),
                    steps=[Act(action="webhook", settings={"url": url})],
                )
                await journeys.save_journey(tx, "Bad", plan)


async def test_the_erased_travel_no_further(road: Road) -> None:
    journey_id = await road.plan(Wait(seconds=HOUR), LETTER)
    (person_id,) = await road.readers(1)
    await road.enter(journey_id, person_id)
    await road.worker.drain()
    async with road.db.transaction() as tx:
        await forget(tx, [person_id])
    await road.travel(hours=2)
    assert await road.enrolments(journey_id) == {"stopped": 1}
    assert await road.letters("journey:") == Counter()


async def test_rules_are_the_same_as_of_letters(road: Road) -> None:
    """The cap of marketing letters puts a journey's letter off; it is not lost."""
    async with road.db.transaction() as tx:
        await messages.set_rules(tx, Rules(cap=1, window_days=1))
    journey_id = await road.plan(LETTER, LETTER)
    await road.enter(journey_id, *await road.readers(1))
    await road.worker.drain()
    async with road.db.reading() as tx:
        states = Counter(await tx.values("select state from messages.message"))
    assert states == {"sent": 1, "waiting": 1}
    await road.travel(hours=25)
    async with road.db.reading() as tx:
        states = Counter(await tx.values("select state from messages.message"))
    assert states == {"sent": 2}
