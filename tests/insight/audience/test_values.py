"""Lifetime value: the published parameters, calibration, known truth, few data, the cap."""

from __future__ import annotations

import csv
import datetime as dt
import os
import uuid
from pathlib import Path

import numpy as np
import pytest

import world
from insight.audience.town import Town, write_orders
from pinwheel.insight import audience
from pinwheel.insight.audience import bgnbd, gamma_gamma
from pinwheel.insight.audience.reckoning import (
    BOUND,
    Buyers,
    banded,
    calibrate,
    drawn_orders,
    reckon,
    shrunken,
)
from pinwheel.insight.audience.valuing import reckon_values

DATA = Path(os.environ.get("PINWHEEL_DATA", Path(__file__).parents[4] / "shared" / "data"))
CDNOW = DATA / "cdnow"
TRUTH = bgnbd.Fit(0.6, 6.0, 0.8, 2.5, 0.0, 0.0, None)
needs_cdnow = pytest.mark.skipif(not CDNOW.is_dir(), reason="the CDNOW files are not here")


@needs_cdnow
def test_cdnow_gives_the_published_parameters() -> None:
    with (CDNOW / "cdnow_customers_summary.csv").open() as file:
        rows = list(csv.DictReader(file))
    x, t_x, t = (np.array([float(r[k]) for r in rows]) for k in ("frequency", "recency", "T"))
    fit = bgnbd.fit(x, t_x, t)
    assert fit is not None and fit.covariance is not None
    assert [round(v, 3) for v in (fit.r, fit.alpha, fit.a, fit.b)] == [0.243, 4.414, 0.793, 2.426]
    assert round(fit.log_likelihood, 1) == -9582.4
    # The paper's customer: 2 repeat purchases, the last at 30.43 of 38.86 weeks.
    ahead = bgnbd.expected(fit, np.array([2.0]), np.array([30.43]), np.array([38.86]), 39.0)
    assert round(float(ahead[0]), 3) == 1.226


def cdnow_buyers() -> Buyers:
    """The whole 78 weeks, split after 39: customers by days with a purchase."""
    days: dict[str, dict[dt.date, float]] = {}
    with (CDNOW / "CDNOW_sample.txt").open() as file:
        for line in file:
            _, customer, day, _, dollars = line.split()
            on = dt.date(int(day[:4]), int(day[4:6]), int(day[6:]))
            spent = days.setdefault(customer, {})
            spent[on] = spent.get(on, 0.0) + float(dollars)
    cut, end = dt.date(1997, 9, 30), dt.date(1998, 6, 30)
    rows = [sorted(spent) for spent in days.values()]
    seen = [[d for d in row if d <= cut] for row in rows]
    weeks = 1 / 7
    return Buyers(
        x=np.array([len(r) - 1.0 for r in rows]),
        t_x=np.array([(r[-1] - r[0]).days * weeks for r in rows]),
        t=np.array([(end - r[0]).days * weeks for r in rows]),
        orders=np.array([float(len(r)) for r in rows]),
        margin=np.array([100 * float(np.mean(list(s.values()))) for s in days.values()]),
        was_here=np.array([bool(s) for s in seen]),
        seen_x=np.array([max(0.0, len(s) - 1.0) for s in seen]),
        seen_t_x=np.array([(s[-1] - s[0]).days * weeks if s else 0.0 for s in seen]),
        seen_t=np.array([(cut - r[0]).days * weeks for r in rows]),
        held_x=np.array([float(len(r) - len(s)) for r, s in zip(rows, seen, strict=True)]),
        held_weeks=(end - cut).days * weeks,
    )


@needs_cdnow
def test_cdnow_is_calibrated_on_the_held_out_39_weeks() -> None:
    calibration, _ = calibrate(cdnow_buyers())
    assert calibration is not None and calibration.model_error is not None
    assert calibration.model_error < BOUND
    assert calibration.model_error < calibration.baseline_error
    first = next(g for g in calibration.groups if g.name == "0")
    assert abs(first.model - first.actual) < 0.1  # of those seen once


def simulated(seed: int, people: int, weeks: float = 52.0) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    watched = rng.uniform(0.5, 1.0, people) * weeks
    lives = bgnbd.simulate(TRUTH, watched, rng)
    x = np.array([float(len(times)) for times in lives])
    t_x = np.array([times[-1] if times else 0.0 for times in lives])
    return x, t_x, watched


def test_intervals_cover_the_simulator_s_truth() -> None:
    """95 % intervals of log parameters, over 40 simulated shops of 600: about 38 each."""
    covered, tried = np.zeros(4), 0
    for seed in range(40):
        fit = bgnbd.fit(*simulated(seed, 600))
        if fit is None or fit.covariance is None:
            continue
        tried += 1
        spread = np.sqrt(np.diag(np.array(fit.covariance)))
        covered += np.abs(fit.logs - TRUTH.logs) <= 1.96 * spread
    assert tried >= 36
    assert (covered / tried >= 0.85).all(), covered / tried


def test_what_is_expected_is_what_is_drawn() -> None:
    """The closed form against draws of the posterior, for all kinds of histories."""
    rng = np.random.default_rng(5)
    x, t_x, t = simulated(3, 200)
    expected = bgnbd.expected(TRUTH, x, t_x, t, 26.0)
    drawn = np.mean([drawn_orders(TRUTH, x, t_x, t, 26.0, rng) for _ in range(3000)], axis=0)
    assert np.abs(drawn - expected).max() < 0.25
    assert abs(float(drawn.mean() / expected.mean()) - 1) < 0.02


def test_the_series_is_finite_for_extreme_histories() -> None:
    x, t_x = np.array([0.0, 300.0, 5000.0]), np.array([0.0, 500.0, 0.5])
    got = bgnbd.expected(TRUTH, x, t_x, np.array([520.0, 520.0, 520.0]), 520.0)
    assert np.isfinite(got).all() and (got >= 0).all()
    near_one = bgnbd.Fit(0.6, 6.0, 1.0, 2.5, 0.0, 0.0, None)
    assert np.isfinite(bgnbd.expected(near_one, x, t_x, np.full(3, 520.0), 52.0)).all()


def test_gamma_gamma_finds_its_truth_and_draws_few_orders_to_the_middle() -> None:
    rng = np.random.default_rng(1)
    p, q, gamma = 6.0, 4.0, 1500.0
    x = rng.integers(1, 8, 4000).astype(float)
    rate = rng.gamma(q, 1 / gamma, 4000)
    mean = rng.gamma(p * x) / rate / x
    fit = gamma_gamma.fit(x, mean)
    assert fit is not None
    assert abs(fit.mean / (p * gamma / (q - 1)) - 1) < 0.06
    one, many = gamma_gamma.expected_mean(fit, np.array([1.0, 50.0]), np.array([9000.0, 9000.0]))
    assert fit.mean < one < many < 9000


def test_the_middle_of_what_may_come_covers_what_comes() -> None:
    """Of simulated lives, the 80 % interval of orders holds about 80 % (orders are whole numbers,
    so it holds a little more)."""
    rng = np.random.default_rng(11)
    x, t_x, t = simulated(7, 800)
    fit = bgnbd.fit(x, t_x, t)
    assert fit is not None
    fits = bgnbd.drawn_fits(fit, 200, rng)
    draws = np.array([drawn_orders(one, x, t_x, t, 26.0, rng) for one in fits])
    low, high = np.quantile(draws, (0.1, 0.9), axis=0)
    comes = drawn_orders(TRUTH, x, t_x, t, 26.0, rng)  # the truth's own posterior
    inside = float(np.mean((comes >= low) & (comes <= high)))
    assert 0.76 <= inside <= 0.99


def test_bands_and_the_baseline() -> None:
    assert banded(np.arange(10.0)) == ["low"] * 3 + ["middle"] * 4 + ["high"] * 2 + ["top"]
    assert banded(np.zeros(0)) == []
    simple = shrunken(np.array([0.0, 10.0]), np.array([10.0, 10.0]), 10.0)
    assert 0 < simple[0] < 5 < simple[1] < 10


async def sell(town: Town, people: int, seed: int) -> list[uuid.UUID]:
    """A year of a shop whose buyers live by the model."""
    rng = np.random.default_rng(seed)
    start = world.MONDAY - dt.timedelta(days=364)
    ids = [uuid.UUID(int=1 + n) for n in range(people)]
    first = rng.uniform(0, 200, people)
    lives = bgnbd.simulate(TRUTH, (364 - first) / 7, rng)
    rows = []
    for person, day, times in zip(ids, first, lives, strict=True):
        each = int(1000 + rng.gamma(2.0, 1000))
        for at in (0.0, *times):
            when = start + dt.timedelta(days=float(day + at * 7))
            rows.append((person, min(when, world.MONDAY), int(each * rng.uniform(0.5, 1.5))))
    await write_orders(town.db, rows)
    async with town.db.transaction() as tx:
        await audience.rebuild(tx)
    return ids


async def test_a_shop_of_200_orders_gets_an_average_and_is_told_why(town: Town) -> None:
    ids = await sell(town, 80, 3)
    assert await reckon_values(town.db) == ["GB"]
    async with town.db.reading() as tx:
        [model] = await audience.models(tx)
        values = await audience.values_of(tx, ids)
    assert model.kind == "baseline" and "Too few" in model.why["en"] and model.why["zh-CN"]
    assert len(values) == 80
    assert all(v.low_minor <= v.value_minor <= v.high_minor and v.value_minor > 0 for v in values)


async def test_the_model_stands_once_it_has_proved_itself(town: Town) -> None:
    ids = await sell(town, 700, 4)
    await reckon_values(town.db)
    async with town.db.reading() as tx:
        [model] = await audience.models(tx)
        values = await audience.values_of(tx, ids)
        by_cohort = await audience.value_groups(tx, "GB", "cohort")
        by_channel = await audience.value_groups(tx, "GB", "channel")
    assert model.kind == "bgnbd", model.why
    assert model.calibration["model_error"] <= BOUND
    assert {v.band for v in values} == {"top", "high", "middle", "low"}
    assert sum(g.people for g in by_cohort) == 700 == by_channel[0].people
    town.clock.travel(days=1)
    async with town.db.transaction(actor="test") as tx:
        await audience.assume(tx, audience.Assumptions(is_on=False))
    await reckon_values(town.db)
    async with town.db.reading() as tx:
        [model] = await audience.models(tx)
    assert model.kind == "baseline" and "off" in model.why["en"]


async def test_a_reward_is_capped_by_a_share_of_the_expected_uplift(town: Town) -> None:
    ids = await sell(town, 80, 5)
    await reckon_values(town.db)
    stranger = uuid.UUID(int=999)
    async with town.db.reading() as tx:
        [value] = await audience.values_of(tx, ids[:1])
        [model] = await audience.models(tx)
        caps = await audience.reward_cap_minor(tx, [ids[0], stranger], "GBP")
        none = await audience.reward_cap_minor(tx, [ids[0]], "CNY")
    assert caps[ids[0]] == value.value_minor * 1_000 * 3_000 // 100_000_000
    assert caps[stranger] == model.parameters["newcomer_minor"] * 3 // 100
    assert none == {ids[0]: 0}


async def test_values_of_the_erased_are_not_written_back(town: Town) -> None:
    ids = await sell(town, 60, 6)
    async with town.db.transaction() as tx:
        await tx.run("delete from audience.person where person_id = $1", ids[0])
    await reckon_values(town.db)
    async with town.db.reading() as tx:
        assert await audience.values_of(tx, ids[:1]) == []


def test_reckoning_an_empty_or_idle_shop_is_no_error() -> None:
    one = np.ones(1)
    nobody = np.zeros(1)
    buyers = Buyers(
        nobody, nobody, nobody, one, nobody, one > 0, nobody, nobody, nobody, nobody, 0.0
    )
    got = reckon(buyers, horizon_weeks=52, discount=0.1, is_on=True, rng=np.random.default_rng(1))
    assert got.kind == "baseline" and np.isfinite(got.value).all()
