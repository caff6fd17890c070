"""Trials from the plan to the page: orders come on a clock, the estimate holds what was planted."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

import world
from console_world import open_desk
from insight.audience.town import write_orders
from pinwheel.growth import measurement
from pinwheel.growth.measurement import Lift, NewTrial, TrialUnclear
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.jobs import Worker
from storefront_world import text_of

DAY = dt.timedelta(days=1)
REGIONS = ["anhui", "fujian", "gansu", "hainan", "hebei", "henan", "hubei", "hunan"]


def first(clock: SetClock) -> dt.date:
    return clock.now().date() + DAY


async def plan(db: Database, new: NewTrial) -> uuid.UUID:
    async with db.transaction(actor="operator:test") as tx:
        return await measurement.plan_trial(tx, new)


async def buy(
    db: Database, clock: SetClock, worker: Worker, sold: Sequence[tuple[dt.date, str, int]]
) -> None:
    """So many new buyers on a day in a region, each with an order; the clock goes along."""
    last = clock.now().date()
    for day in sorted({d for d, _, _ in sold}):
        clock.set(dt.datetime.combine(day, dt.time(12), dt.UTC))
        for _, region, n in (one for one in sold if one[0] == day):
            orders = [(uuid.uuid4(), clock.now(), 2500) for _ in range(n)]
            await write_orders(db, orders, region=region)
        last = day
    clock.set(dt.datetime.combine(last + DAY, dt.time(1), dt.UTC))
    await worker.drain()
    async with db.transaction(actor="test") as tx:
        await measurement.recount(tx)


async def lifts(db: Database, since: dt.date, until: dt.date) -> list[Lift]:
    async with db.reading() as tx:
        return await measurement.lifts(tx, since, until, "GBP")


async def test_switched_days_hold_the_planted_effect(
    db: Database, clock: SetClock, worker: Worker
) -> None:
    """Eleven days, an odd number: five without the channel, six with it, which bring three more
    buyers a day. Before its end the trial says nothing."""
    start, chance = first(clock), Random(4)
    off = [start + n * DAY for n in (1, 3, 5, 7, 9)]
    await plan(db, NewTrial(channel="video", kind="days", starts_on=start,
                            ends_on=start + 10 * DAY, off_days=off))  # fmt: skip
    days = [start + n * DAY for n in range(11)]
    sold = [(d, "anhui", chance.choice((4, 5, 6)) + (0 if d in off else 3)) for d in days]
    await buy(db, clock, worker, sold[:6])
    assert await lifts(db, start - DAY, start + 30 * DAY) == [], "it is not over"
    await buy(db, clock, worker, sold[6:])
    [lift] = await lifts(db, start - DAY, start + 30 * DAY)
    assert (lift.evidence, lift.units, lift.is_stopped) == ("days", 11, False)
    assert lift.buyers is not None and lift.low is not None and lift.high is not None
    won = {d: n for d, _, n in sold}
    means = [
        sum(won[d] for d in part) / len(part) for part in ([d for d in days if d not in off], off)
    ]
    assert lift.buyers == pytest.approx(6 * (means[0] - means[1]))
    assert 0 < lift.low < 6 * 3 < lift.high


async def test_switched_regions_hold_the_planted_effect_and_a_region_without_buyers_counts(
    db: Database, clock: SetClock, worker: Worker
) -> None:
    """Four of eight regions lose the channel for a week, which cost them two buyers each; the
    fifth of those that lost it never had one."""
    start, chance = first(clock) + 7 * DAY, Random(5)
    off = [*REGIONS[:4], "Xizang "]
    await plan(db, NewTrial(channel="video", kind="regions", starts_on=start,
                            ends_on=start + 6 * DAY, off_regions=off))  # fmt: skip
    sold = []
    for region in REGIONS:
        base = chance.randint(6, 9)
        sold.append((start - 3 * DAY, region, base))
        less = 4 if region in off else 0
        sold.append((start + 2 * DAY, region, base + chance.choice((0, 1)) - less))
    await buy(db, clock, worker, sold)
    clock.set(dt.datetime.combine(start + 7 * DAY, dt.time(1), dt.UTC))
    [lift] = await lifts(db, start, start + 7 * DAY)
    assert (lift.evidence, lift.units) == ("regions", 9), "a region without a buyer is one"
    assert lift.low is not None and lift.high is not None
    # Four regions with it, against four that lost 4 and one that had nothing to lose: 3.2 each.
    assert lift.low < 4 * 3.2 < lift.high and lift.low > 0


async def test_who_stops_early_gets_the_wider_interval(
    db: Database, clock: SetClock, worker: Worker
) -> None:
    start = first(clock)
    off = [start + n * DAY for n in range(0, 20, 2)]
    trial = await plan(db, NewTrial(channel="video", kind="days", starts_on=start,
                                    ends_on=start + 19 * DAY, off_days=off))  # fmt: skip
    sold = [(start + n * DAY, "anhui", (3 if n % 2 == 0 else 7) + n % 3) for n in range(9)]
    await buy(db, clock, worker, sold)
    async with db.transaction(actor="operator:test") as tx:
        await measurement.stop_trial(tx, trial, "video is being dropped")
        with pytest.raises(TrialUnclear, match="over already"):
            await measurement.stop_trial(tx, trial, "again")
    [lift] = await lifts(db, start, start + 20 * DAY)
    assert (lift.units, lift.is_stopped) == (9, True), "today and what comes after it don't count"
    assert lift.low is not None and lift.high is not None and lift.buyers is not None
    async with db.transaction() as tx:
        await tx.connection.execute("update measurement.trial set stopped_on = null, ends_on = $1",
                                    start + 8 * DAY)  # fmt: skip
    [planned] = await lifts(db, start, start + 20 * DAY)
    assert planned.low is not None and planned.high is not None
    assert planned.buyers == lift.buyers
    assert lift.high - lift.low > 1.2 * (planned.high - planned.low)


async def test_what_is_stopped_before_it_begins_or_too_soon_says_nothing(
    db: Database, clock: SetClock, worker: Worker
) -> None:
    start = first(clock)
    off = [start + n * DAY for n in (0, 2, 4)]
    new = NewTrial(channel="video", kind="days", starts_on=start, ends_on=start + 6 * DAY,
                   off_days=off)  # fmt: skip
    async with db.transaction(actor="operator:test") as tx:
        await measurement.stop_trial(tx, await measurement.plan_trial(tx, new), "never mind")
    soon = await plan(db, new)
    await buy(db, clock, worker, [(start + n * DAY, "anhui", 3) for n in range(3)])
    async with db.transaction(actor="operator:test") as tx:
        await measurement.stop_trial(tx, soon, "the agency left")
    [lift] = await lifts(db, start, start + 7 * DAY)
    assert (lift.units, lift.buyers, lift.low) == (3, None, None)


async def test_the_page_says_which_comparison_it_was(db: Database, tmp_path: Path) -> None:
    desk = await open_desk(db, tmp_path)
    clock, worker = db.clock, Worker(db)
    assert isinstance(clock, SetClock)
    operator = await desk.signed_in("operator")
    start = first(clock)
    off = [start + n * DAY for n in (1, 3, 5)]
    form = {"channel": "video", "kind": "days", "starts_on": str(start),
            "ends_on": str(start + 8 * DAY), "off": "\n".join(map(str, off))}  # fmt: skip
    assert (await operator.post("/console/growth/trials", form)).status_code in (200, 303)
    await buy(db, clock, worker, [
        (start + n * DAY, "anhui", 2 + n // 2 % 2 + (0 if n in (1, 3, 5) else 4)) for n in range(8)
    ])  # fmt: skip
    async with db.reading() as tx:
        [trial] = await measurement.trials(tx)
    operator = await desk.signed_in("operator")  # days have gone by
    stop = f"/console/growth/trials/{trial.id}/stop"
    assert (await operator.post(stop, {"why": "seen enough"})).status_code in (200, 303)
    chinese = await desk.signed_in("operator", "zh-CN")
    english = text_of((await operator.get("/console/growth/acquisition")).text)
    assert "Days with it against days without it measured" in english
    assert "stopped early" in english
    assert "投放日与停投日对比测得" in text_of(
        (await chinese.get("/console/growth/acquisition")).text
    )


def test_a_week_is_over_on_its_eighth_day() -> None:
    trial = measurement.Trial(
        uuid.uuid4(), "video", "days", world.MONDAY.date(), world.MONDAY.date() + 6 * DAY, [], [],
        world.MONDAY, "x", None,
    )  # fmt: skip
    assert trial.over_on == world.MONDAY.date() + 7 * DAY
