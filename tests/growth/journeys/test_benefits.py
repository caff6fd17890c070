"""What the whole house gives a journey: coupons, and the ways of an experiment."""

from __future__ import annotations

import uuid

import pytest

from growth.journeys.travellers import Road
from pinwheel.growth import journeys
from pinwheel.growth.journeys import Act, Branch, Stop
from pinwheel.growth.journeys.model import PlanUnclear
from pinwheel.insight import experiments
from pinwheel.insight.experiments import Plan, Variation
from pinwheel.trade import promotions
from pinwheel.trade.promotions import Conditions, NewPromotion, PercentageOff, Promotion, Terms


async def coupon(road: Road, *, is_coupon: bool = True) -> Promotion:
    kind = PercentageOff(1_000)
    terms = Terms(kind=kind, conditions=Conditions(currency="GBP", coupon=is_coupon))
    async with road.db.transaction(actor="test") as tx:
        made = await promotions.save(
            tx, NewPromotion(name={"en": "Welcome", "zh-CN": "欢迎"}, terms=terms)
        )
        return await promotions.start(tx, made.id)


def giving(promotion_id: object, otherwise: int | None = None) -> Act:
    settings = {"promotion": str(promotion_id)}
    return Act(action=journeys.BENEFIT, settings=settings, otherwise=otherwise)


async def wallets(road: Road, people: list[uuid.UUID]) -> list[int]:
    async with road.db.reading() as tx:
        return [len(await promotions.wallet(tx, person)) for person in people]


async def test_a_journey_gives_each_a_coupon_once(road: Road) -> None:
    given = await coupon(road)
    journey_id = await road.plan(giving(given.id))
    people = await road.readers(3)
    await road.enter(journey_id, *people)
    await road.enter(journey_id, *people)
    await road.worker.drain()
    assert await road.steps(journey_id) == {"0 acted": 3}
    assert await wallets(road, people) == [1, 1, 1]
    assert await road.broken() == []


async def test_a_coupon_that_has_ended_leads_to_the_other_way(road: Road) -> None:
    given = await coupon(road)
    journey_id = await road.plan(giving(given.id, otherwise=2), Stop(), giving(given.id))
    async with road.db.transaction(actor="test") as tx:
        await promotions.stop(tx, given.id)
    people = await road.readers(2)
    await road.enter(journey_id, *people)
    await road.worker.drain()
    assert await road.enrolments(journey_id) == {"done": 2}
    assert (await road.steps(journey_id))["1 stopped"] == 0
    assert await wallets(road, people) == [0, 0]


async def test_what_is_no_coupon_is_not_planned(road: Road) -> None:
    plain = await coupon(road, is_coupon=False)
    for wrong in (plain.id, uuid.uuid4(), "", "nothing"):
        with pytest.raises(PlanUnclear, match="choose a coupon"):
            await road.plan(giving(wrong))


async def test_an_experiment_parts_the_ways_and_counts_from_there(road: Road) -> None:
    halves = [
        Variation("control", 5_000, "As before", "照旧"),
        Variation("gift", 5_000, "Gift", "礼物"),
    ]
    async with road.db.transaction(actor="test") as tx:
        await experiments.save_experiment(
            tx, "gift", Plan(en="Gift", zh="礼物", variations=halves, metrics=["buyers"])
        )
        await experiments.start(tx, "gift", "the test begins")
    given = await coupon(road)
    journey_id = await road.plan(
        Branch(by="variation", key="gift", value="gift", otherwise=2), giving(given.id), Stop()
    )
    people = await road.readers(40)
    async with road.db.reading() as tx:
        found = await experiments.assigned(tx, "gift", people)
    await road.enter(journey_id, *people)
    await road.worker.drain()
    wanted = [int(found[person].variation == "gift") for person in people]
    assert 0 < sum(wanted) < 40
    assert await wallets(road, people) == wanted
    async with road.db.reading() as tx:
        exposed = await tx.value("select count(*) from experiments.exposure")
    assert exposed == 40
