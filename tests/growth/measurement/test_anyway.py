"""What would have happened anyway: the board says what each module says, to the cent."""

from __future__ import annotations

import datetime as dt
import html
import re
import statistics
import uuid
from pathlib import Path

import pytest

import world
from console_world import Desk, open_desk
from insight.audience.town import write_orders
from pinwheel.faces.console.growth_anyway import anyway_of
from pinwheel.ground import messages
from pinwheel.growth import journeys
from pinwheel.growth.journeys import Entry, NewCampaign, Plan, Trigger, Wait
from pinwheel.insight import audience
from pinwheel.insight.audience import NewSegment
from pinwheel.kernel import words
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database

DAY = dt.timedelta(days=1)


@pytest.fixture
async def desk(db: Database, tmp_path: Path) -> Desk:
    return await open_desk(db, tmp_path)


async def programmes(desk: Desk) -> tuple[uuid.UUID, uuid.UUID, uuid.UUID]:
    """60 people who have bought once: a segment, a journey and a campaign hold half of them back.
    Ten days later every third has bought again, each for another amount."""
    people = [uuid.UUID(int=(7 << 64) + n) for n in range(60)]
    first = world.MONDAY - DAY
    await write_orders(desk.db, [(p, first, 1000) for p in people])
    async with desk.db.transaction(actor="test") as tx:
        await audience.rebuild(tx)
        saved = await audience.save_segment(
            tx,
            NewSegment(
                name={"en": "Bought once", "zh-CN": "买过一次"},
                rule={"if": "number", "fact": "orders", "op": "=", "value": 1},
                holdout_basis_points=5_000,
            ),
        )
        plan = Plan(
            trigger=Trigger(event="orders.order_placed"),
            steps=[Wait()],
            holdout_basis_points=5_000,
        )
        journey = await journeys.save_journey(tx, "Come back", plan)
        await journeys.set_state(tx, journey.id, "live")
        await messages.save_template(
            tx, "again", "Again", {"en": "Again", "zh-CN": "再来"}, {"en": "Hi", "zh-CN": "你好"}
        )
        new = NewCampaign(name="Again", template="again", people=people, holdout_basis_points=5_000)
        campaign = await journeys.save_campaign(tx, new)
        await journeys.enrol(tx, journey.id, [Entry(person_id=p, key="1") for p in people])
        await journeys.schedule(tx, campaign.id)
    clock = desk.db.clock
    assert isinstance(clock, SetClock)
    for _ in range(2):
        await desk.worker().drain()
        clock.travel(seconds=60)
    async with desk.db.transaction(actor="test") as tx:
        # These people have no address to be asked for their consent at: drawn as if they had.
        await tx.run(
            """
            update journeys.member set state = case when right(person_id::text, 1) < '8'
                   then 'held' else 'written' end where campaign_id = $1
            """,
            campaign.id,
        )
    at = clock.now() + DAY
    await write_orders(desk.db, [(p, at, 700 + 13 * n) for n, p in enumerate(people[::3])])
    clock.travel(seconds=10 * 86_400)
    async with desk.db.transaction(actor="test") as tx:
        await audience.rebuild(tx)  # whoever bought again has left the segment
    return saved.id, journey.id, campaign.id


async def test_the_board_says_what_each_module_says(desk: Desk) -> None:
    segment_id, journey_id, campaign_id = await programmes(desk)
    async with desk.db.reading() as tx:
        found = {one.id: one for one in await anyway_of(tx, "GBP")}
        assert found[journey_id].effect == await journeys.journey_effect(tx, journey_id, "GBP")
        assert found[campaign_id].effect == await journeys.campaign_effect(tx, campaign_id, "GBP")
    assert set(found) == {segment_id, journey_id, campaign_id}
    page = (await (await desk.signed_in("operator")).get("/console/growth?currency=GBP")).text
    said = html.unescape(re.sub(r"<[^>]+>", " ", page[page.index('id="anyway"') :]))
    for one in found.values():
        effect = one.effect.incremental_minor
        assert effect.point is not None
        for minor in (effect.point, effect.low, effect.high, one.expected_minor):
            assert minor is not None
            assert words.money(round(minor), "GBP", "en") in said


async def test_who_bought_and_left_the_segment_still_counts(desk: Desk) -> None:
    segment_id, _, _ = await programmes(desk)
    async with desk.db.reading() as tx:
        effect = (await journeys.segment_effects(tx, [segment_id], "GBP"))[segment_id]
        inside = await audience.members(tx, segment_id, limit=100)
    assert len(inside) == 40  # 20 bought again and are gone
    assert effect.treated.people + effect.holdout.people == 60
    assert effect.treated.buyers + effect.holdout.buyers == 20
    sides: dict[bool, list[int]] = {True: [], False: []}
    for n in range(60):
        person = uuid.UUID(int=(7 << 64) + n)
        net = 700 + 13 * (n // 3) if n % 3 == 0 else 0
        sides[audience.bucket_of(segment_id, person) < 5_000].append(net)
    assert effect.treated.net_minor == sum(sides[False])
    difference = statistics.fmean(sides[False]) - statistics.fmean(sides[True])
    assert effect.incremental_minor.point == pytest.approx(difference * len(sides[False]))


async def test_nobody_held_back_says_so(desk: Desk) -> None:
    page = (await (await desk.signed_in("operator")).get("/console/growth")).text
    assert "Nobody is held back yet" in page
