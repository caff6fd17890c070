"""Incremental and shifted demand: planted shares are found again, and the gross figure is none."""

from __future__ import annotations

import datetime as dt
import uuid

import numpy as np
import pytest

import world
from growth.bigdays.calendar import OPENS, Shop, open_shop, person
from pinwheel.growth import bigdays
from pinwheel.growth.bigdays.measuring import (
    LEAST_DAYS,
    Arm,
    Shifted,
    TooShort,
    difference,
    shifted,
)
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.jobs import Worker

BEFORE, HEAT, EVENT, AFTER = 56, 3, 2, 14
WEEK = np.array([1.0, 0.95, 0.97, 1.0, 1.1, 1.35, 1.25])


def planted(seed: int, share: float) -> tuple[list[float], float, Shifted]:
    """A simulated shop: a week's rhythm, a trend, noise; an event that lifts its days and takes
    ``share`` of the lift from the days before and after. The days, the lift, what is found."""
    rng = np.random.default_rng(seed)
    days = BEFORE + HEAT + EVENT + AFTER
    at = np.arange(days)
    base = 10_000 * WEEK[at % 7] * (1 + 0.001 * at)
    noise = rng.normal(0, 600, days)
    first = BEFORE + HEAT
    lift = rng.uniform(0.8, 2.0) * base[first : first + EVENT]
    whole = float(lift.sum())
    values = base + noise
    values[first : first + EVENT] += lift
    late = np.exp(-np.arange(AFTER) / 4.0)
    values[first + EVENT :] -= 0.7 * share * whole * late / late.sum()
    values[BEFORE:first] -= 0.3 * share * whole / HEAT
    return list(values), whole, shifted(values, 0, BEFORE, (first, first + EVENT))


@pytest.mark.parametrize("share", [0.0, 0.3, 0.6])
def test_a_planted_share_is_covered(share: float) -> None:
    """95 % intervals over 60 simulated events: at least 52 cover what was planted (a true 95 %
    falls below that once in a thousand)."""
    in_share = in_whole = gross_wrong = 0
    for seed in range(60):
        _, whole, found = planted(seed, share)
        assert found.share is not None
        in_share += found.share.low <= share <= found.share.high
        truth = (1 - share) * whole
        in_whole += found.incremental.low <= truth <= found.incremental.high
        gross_wrong += not found.incremental.low <= found.gross <= found.incremental.high
    assert in_share >= 52 and in_whole >= 52, (in_share, in_whole)
    assert gross_wrong == 60


def test_too_little_before_gives_no_figure() -> None:
    with pytest.raises(TooShort):
        shifted([1.0] * 40, 0, LEAST_DAYS - 1, (25, 27))


def test_the_control_group_tells_the_truth_where_everything_moved_that_day() -> None:
    """A holiday lifts both arms: the forecast would call it the event's, the control doesn't."""
    covered = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        people = 20_000
        is_control = rng.random(people) < 0.2
        event = rng.gamma(1.0, 400, people) * (rng.random(people) < 0.3)
        effect = np.where(is_control, 0, 25.0 * (rng.random(people) < 0.5))
        later = rng.gamma(1.0, 200, people) - 0.4 * effect
        arms = []
        for mine in (~is_control, is_control):
            first, whole = (event + effect)[mine], (event + effect + later)[mine]
            arms.append(
                Arm(
                    people=int(mine.sum()),
                    event=float(first.sum()),
                    event_squares=float((first**2).sum()),
                    whole=float(whole.sum()),
                    whole_squares=float((whole**2).sum()),
                )
            )
        found = difference(arms[0], arms[1], 20)
        assert found is not None
        truth = float(0.6 * effect.sum())
        covered += found.incremental.low <= truth <= found.incremental.high
    assert covered >= 34, covered
    assert difference(arms[0], Arm(people=29, event=1, event_squares=1, whole=1,
                                   whole_squares=1), 20) is None  # fmt: skip


async def sell(shop: Shop, clock: SetClock, day: int, pieces: int, *, number: int = 0) -> None:
    clock.set(world.MONDAY + dt.timedelta(days=day))
    await shop.buying.buy(shop.draft((number, pieces), person_id=person(day % 5)))


async def test_the_report_of_an_event(db: Database, clock: SetClock, worker: Worker) -> None:
    shop = await open_shop(db)
    week = (2, 1, 2, 2, 3, 4, 3)
    for day in range(30):
        await sell(shop, clock, day, week[day % 7])
    heat = world.MONDAY + dt.timedelta(days=30)
    clock.set(heat)
    starts = heat.replace(hour=0) + dt.timedelta(days=1)
    await shop.day(
        pieces=20,
        per_person=20,
        preheat_at=heat,
        starts_at=starts,
        ends_at=starts + dt.timedelta(days=1),
    )
    await sell(shop, clock, 31, 20)
    for day in range(34, 46):
        await sell(shop, clock, day, 1, number=1)
    await worker.drain()
    async with db.reading() as tx:
        found = await bigdays.report(tx, shop.event_id)
    assert (found.method, found.is_final, found.pre_days) == ("forecast", False, 29)
    assert found.gross_minor == 20 * 600
    assert found.lift is not None and found.pulled is not None and found.incremental is not None
    assert 0 < found.lift.value < found.gross_minor
    assert found.pulled.value > 0  # nothing of it was sold afterwards
    assert found.incremental.value == pytest.approx(found.lift.value - found.pulled.value)
    kinds = {g.kind for g in found.groups}
    assert kinds == {"all", "deal", "other", "known", "new", "offer"}
    clock.travel(days=1)
    async with db.reading() as tx:
        assert (await bigdays.report(tx, shop.event_id)).is_final


async def test_a_young_shop_is_told_nothing_but_the_gross(db: Database, clock: SetClock) -> None:
    shop = await open_shop(db)
    await shop.day(pieces=20)
    clock.set(OPENS)
    await shop.buying.buy(shop.draft((0, 1), person_id=person()))
    clock.travel(days=30)
    async with db.reading() as tx:
        found = await bigdays.report(tx, shop.event_id)
    assert (found.method, found.incremental, found.gross_minor) == ("none", None, 600)


def test_who_is_held_out_stays_so() -> None:
    event = uuid.UUID(int=7)
    share = sum(bigdays.is_held_out(event, person(n), 20) for n in range(5000)) / 5000
    assert 0.17 < share < 0.23
    assert not bigdays.is_held_out(event, None, 50)
