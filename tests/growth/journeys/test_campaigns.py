"""One letter to many: nobody twice, nobody of the holdout, and what it has brought in."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid

import pytest

from growth.journeys.travellers import Road
from pinwheel.growth import journeys
from pinwheel.growth.journeys import NewCampaign
from pinwheel.growth.journeys.campaigning import go_on
from pinwheel.growth.journeys.model import CampaignIs
from pinwheel.kernel.errors import Refusal
from pinwheel.trade import budgets


async def begun(road: Road, people: list[uuid.UUID], **how: object) -> uuid.UUID:
    async with road.db.transaction(actor="staff") as tx:
        new = NewCampaign(name="Autumn", template="autumn", people=people, **how)  # type: ignore[arg-type]
        made = await journeys.save_campaign(tx, new)
        await journeys.schedule(tx, made.id)
    return made.id


async def buys(road: Road, person_id: uuid.UUID, minor: int, refunded: int = 0) -> None:
    """A paid order, as the published view shows it."""
    async with road.db.transaction() as tx:
        await tx.connection.execute(
            'insert into orders."order" (cell, id, number, state, person_id, country, market,'
            " currency, delivery, goods_minor, delivery_minor, tax_minor, tax_included,"
            " total_minor, secured_minor, refunded_minor, reasons, quote, placed_at) values"
            " (0, $1, $2, 'delivered', $3, 'GB', 'GB', 'GBP', 'standard', $4, 0, 0, true, $4, $4,"
            " $5, '[]', '', $6)",
            tx.new_id(),
            str(uuid.uuid4()),
            person_id,
            minor,
            refunded,
            tx.now + dt.timedelta(seconds=1),
        )


async def test_it_goes_out_in_parts_once_to_each(road: Road) -> None:
    people = await road.readers(120)
    await road.unsubscribe("p7@example.com")
    campaign_id = await begun(road, [*people, people[0]], holdout_basis_points=2_000)

    async def go() -> None:
        while True:
            async with road.db.transaction(actor="test") as tx:
                if not await go_on(tx, campaign_id, 13):
                    return

    await asyncio.gather(*(go() for _ in range(3)))
    await road.worker.drain()
    async with road.db.reading() as tx:
        letters = await journeys.letters_of(tx, campaign_id)
        members = {m.state: m.people for m in await journeys.members_of(tx, campaign_id)}
        made = await journeys.campaign(tx, campaign_id)
    assert made.state == "sent"
    assert members["left"] == 1 and members["held"] + members["written"] == 119
    assert 10 <= members["held"] <= 40
    assert letters.sent == letters.written == members["written"]
    assert set((await road.letters("campaign:")).values()) == {1}
    assert await road.broken() == []


async def test_it_is_told_from_what_would_have_happened_anyway(road: Road) -> None:
    people = await road.readers(400)
    campaign_id = await begun(road, people, holdout_basis_points=5_000)
    await road.worker.drain()
    async with road.db.reading() as tx:
        held = set(
            await tx.values(
                "select person_id from journeys.member where campaign_id = $1 and state = 'held'",
                campaign_id,
            )
        )
    treated = [p for p in people if p not in held]
    # Everybody's tenth buys for 10.00 anyway; half of those written to buy for 20.00 more, and one
    # of them sends everything back.
    for n, person_id in enumerate(people):
        if n % 10 == 0:
            await buys(road, person_id, 1_000)
    for person_id in treated[: len(treated) // 2]:
        await buys(road, person_id, 2_000)
    await buys(road, treated[-1], 9_000, refunded=9_000)
    async with road.db.reading() as tx:
        measured = await journeys.campaign_effect(tx, campaign_id)
    half = len(treated) // 2
    assert measured.holdout.people == len(held) and measured.currency == "GBP"
    assert measured.treated.net_minor >= 2_000 * half
    assert measured.revenue.low is not None and measured.revenue.high is not None
    assert measured.revenue.low < 1_000 < measured.revenue.high
    assert measured.revenue.low > 0
    assert measured.incremental_minor.point == pytest.approx(
        (measured.treated.net_each_minor - measured.holdout.net_each_minor) * len(treated)
    )
    assert measured.open_windows == 400


async def test_without_anything_to_tell_nothing_is_told(road: Road) -> None:
    campaign_id = await begun(road, await road.readers(3), holdout_basis_points=0)
    await road.worker.drain()
    async with road.db.reading() as tx:
        measured = await journeys.campaign_effect(tx, campaign_id)
    assert measured.revenue.point is None and measured.revenue.low is None


async def test_it_stops_at_its_measure(road: Road) -> None:
    campaign_id = await begun(road, await road.readers(50), holdout_basis_points=0, most_letters=20)
    await road.worker.drain()
    async with road.db.reading() as tx:
        made = await journeys.campaign(tx, campaign_id)
        letters = await journeys.letters_of(tx, campaign_id)
    assert (made.state, letters.written) == ("stopped", 20)
    assert await road.broken() == []


async def test_it_stops_at_an_empty_budget(road: Road) -> None:
    async with road.db.transaction(actor="operator") as tx:
        budget_id = tx.new_id()
        await budgets.open_budgets(tx, [budgets.NewBudget(id=budget_id, name="X", currency="GBP")])
        assert not isinstance(await budgets.fund(tx, budget_id, 100, "test"), Refusal)
    campaign_id = await begun(
        road, await road.readers(30), holdout_basis_points=0, budget_id=budget_id, letter_minor=10
    )
    while True:
        async with road.db.transaction() as tx:
            if not await go_on(tx, campaign_id, 8):
                break
    async with road.db.reading() as tx:
        made = await journeys.campaign(tx, campaign_id)
        letters = await journeys.letters_of(tx, campaign_id)
    assert (made.state, letters.written) == ("stopped", 8)
    assert await road.broken() == []


async def test_it_waits_for_its_time_and_can_be_called_off(road: Road) -> None:
    people = await road.readers(4)
    async with road.db.transaction() as tx:
        new = NewCampaign(name="Later", template="autumn", people=people, holdout_basis_points=0)
        made = await journeys.save_campaign(tx, new)
        await journeys.schedule(tx, made.id, tx.later_than(7_200))
    await road.travel(hours=1)
    assert await road.letters("campaign:") == {}
    await road.travel(hours=2)
    assert len(await road.letters("campaign:")) == 4
    async with road.db.transaction() as tx:
        with pytest.raises(CampaignIs):
            await journeys.stop_campaign(tx, made.id, "too late")
