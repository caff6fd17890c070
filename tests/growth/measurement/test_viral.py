"""The viral model against trees whose truth is known (simulated)."""

from __future__ import annotations

import datetime as dt
import itertools
from collections import Counter

import numpy as np

from pinwheel.growth.measurement import Point, Spread, decay, increments, k_of, pace
from pinwheel.growth.measurement.viral import warnings_of

DAY = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)


def branches(rng: np.random.Generator, k: float, shape: float, seeds: int, most: int) -> list[int]:
    """Offspring of everybody in branching trees, generation by generation (simulated)."""
    found: list[int] = []
    generation = seeds
    while generation and len(found) < most:
        born = rng.negative_binomial(shape, shape / (shape + k), size=generation)
        found += born.tolist()
        generation = int(born.sum())
    return found


def covered(k: float, shape: float, seeds: int) -> int:
    """In how many of 100 simulated trees the interval holds the truth."""
    hits = 0
    for seed in range(100):
        found = k_of(Counter(branches(np.random.default_rng(seed), k, shape, seeds, 4000)))
        assert found is not None
        hits += found.low <= k and (found.high is None or k <= found.high)
    return hits


def test_the_interval_of_k_covers_the_truth() -> None:
    assert covered(0.6, 0.3, 300) >= 90
    assert covered(0.2, 0.1, 400) >= 90
    assert covered(0.9, 1.0, 100) >= 90


def test_a_poisson_interval_would_be_too_narrow() -> None:
    """Why the spread is fitted: sharing is uneven, and half the truths would be missed."""
    hits = 0
    for seed in range(100):
        found = branches(np.random.default_rng(seed), 0.6, 0.15, 200, 4000)
        mean, error = np.mean(found), np.sqrt(np.mean(found) / len(found))
        hits += mean - 1.96 * error <= 0.6 <= mean + 1.96 * error
    assert hits < 80


def test_nobody_brought_anybody_and_nobody_bought() -> None:
    found = k_of({0: 100})
    assert found is not None
    assert (found.point, found.low, found.n) == (0.0, 0.0, 100)
    assert found.high is not None
    assert 0.036 < found.high < 0.038
    assert k_of({}) is None


def test_a_fading_k_is_told_from_a_steady_one() -> None:
    fading = decay([(500, round(500 * 0.8 * 0.8**n)) for n in range(8)])
    assert fading is not None
    assert fading.high is not None
    assert abs(fading.point - 0.8) < 0.02
    assert fading.high < 1
    steady = decay([(500, n) for n in (250, 260, 240, 255, 245, 250)])
    assert steady is not None
    assert steady.high is not None
    assert steady.low < 1 < steady.high
    assert decay([(10, 1), (10, 2)]) is None


def test_cycle_time_is_not_short_because_buyers_are_young() -> None:
    """Buyers bring their first friend after 20 days at the median; most of them are here for less.
    The mean of those who were seen would say much less."""
    rng = np.random.default_rng(3)
    days: Counter[tuple[int, bool]] = Counter()
    seen = []
    for _ in range(4000):
        known = int(rng.integers(1, 90))
        came = int(rng.weibull(2.0) * 24)
        if rng.random() < 0.4 and came <= min(known, 60):
            days[came, True] += 1
            seen.append(came)
        else:
            days[min(known, 60), False] += 1
    found = pace(days, 60)
    truth = 24 * np.log(2) ** 0.5
    assert found.days is not None
    assert found.low is not None
    assert found.high is not None
    assert found.low - 1 <= truth <= found.high + 1
    assert abs(found.days - truth) < 2.5
    assert float(np.median(seen)) < found.days
    assert 0.33 < found.share < 0.47
    assert pace({(10, False): 5}, 60).days is None


def saturating(seed: int) -> list[Point]:
    """A campaign that spends the same each week in a town of 4,000 (simulated): the more have
    bought, the fewer are left to be won. Buyers still come cheaper in the first weeks, as word
    gets about."""
    rng = np.random.default_rng(seed)
    left, points = 4000, []
    for week in range(16):
        chance = 0.10 * min(1.0, 0.25 + 0.25 * week)
        won = int(rng.binomial(left, chance))
        left -= won
        points.append(Point(DAY + dt.timedelta(weeks=week + 1), 100_000, won))
    return points


def test_the_marginal_cost_rises_before_the_average_does() -> None:
    for seed in range(10):
        curve = increments(saturating(seed))
        assert curve.marginal_turn is not None
        assert curve.average_turn is None or curve.marginal_turn < curve.average_turn
        last = curve.steps[-1]
        assert last.each_minor is not None
        assert last.average_minor is not None
        assert last.low_minor > last.average_minor
        told = warnings_of(None, [], None, increments(saturating(seed)[:9]), None)
        assert "marginal" in {w.code for w in told}


def test_steps_hold_all_the_cost_and_all_the_buyers() -> None:
    points = saturating(1)
    for most in (1, 3, 12, 40):
        steps = increments(points, most).steps
        assert len(steps) <= max(1, most)
        assert sum(s.cost_minor for s in steps) == sum(p.cost_minor for p in points)
        assert sum(s.buyers for s in steps) == sum(p.buyers for p in points)
        assert all(a.until < b.until for a, b in itertools.pairwise(steps))
    free = [Point(DAY, 0, 3), Point(DAY + dt.timedelta(weeks=1), 500, 0)]
    curve = increments(free)
    assert curve.steps[-1].average_minor == 500 / 3
    assert increments([]).steps == []


def test_a_step_that_won_nobody_has_no_price_but_a_bound() -> None:
    curve = increments([Point(DAY, 100, 10), Point(DAY + dt.timedelta(weeks=1), 100, 0)])
    last = curve.steps[-1]
    assert (last.each_minor, last.high_minor) == (None, None)
    assert 26 < last.low_minor < 28
    assert curve.marginal_turn == 1


def test_saturation_warns_with_its_figures() -> None:
    weeks = [Spread(DAY.date() + dt.timedelta(weeks=n), 50, 10 + 4 * n, 0) for n in range(8)]
    none = increments([])
    codes = {w.code for w in warnings_of(None, weeks, 0.7, none, None)}
    assert codes == {"saturated", "reached"}
    early = {w.code for w in warnings_of(None, weeks[:6], 0.1, none, None)}
    assert early == {"saturating"}
    assert warnings_of(None, weeks[:1], 0.1, none, None) == []
