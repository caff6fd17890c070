"""The statistics: equal to the oracle, honest under peeking, covering what was planted."""

from __future__ import annotations

import csv
import gzip
import io
import math
import os
from pathlib import Path

import numpy as np
import pytest
from gbstats.frequentist.tests import (
    FrequentistConfig,
    SequentialConfig,
    SequentialTwoSidedTTest,
    TwoSidedTTest,
)
from gbstats.models import statistics as gb
from gbstats.utils import check_srm

from pinwheel.insight.experiments import judging, power
from pinwheel.insight.experiments import statistics as st
from pinwheel.insight.experiments.model import Plan, Variation
from pinwheel.insight.experiments.statistics import Effect, Moments, Sample

EXACT = 1e-9


def moments(y: np.ndarray, d: np.ndarray | None = None, x: np.ndarray | None = None) -> Moments:
    d = np.ones_like(y) if d is None else d
    x = np.zeros_like(y) if x is None else x
    return Moments(
        n=len(y), y=float(y.sum()), yy=float((y * y).sum()), d=float(d.sum()),
        dd=float((d * d).sum()), yd=float((y * d).sum()), x=float(x.sum()),
        xx=float((x * x).sum()), xy=float((x * y).sum()),
    )  # fmt: skip


def theirs(kind: str, m: Moments) -> gb.Statistic:
    if kind == "mean":
        return gb.SampleMeanStatistic(n=m.n, sum=m.y, sum_squares=m.yy)
    if kind == "proportion":
        return gb.ProportionStatistic(n=m.n, sum=int(m.y))
    if kind == "ratio":
        return gb.RatioStatistic(
            n=m.n,
            m_statistic=gb.SampleMeanStatistic(n=m.n, sum=m.y, sum_squares=m.yy),
            d_statistic=gb.SampleMeanStatistic(n=m.n, sum=m.d, sum_squares=m.dd),
            m_d_sum_of_products=m.yd,
        )
    is_share = kind == "cuped proportion"
    post = gb.ProportionStatistic(n=m.n, sum=int(m.y)) if is_share else (
        gb.SampleMeanStatistic(n=m.n, sum=m.y, sum_squares=m.yy))  # fmt: skip
    pre = gb.ProportionStatistic(n=m.n, sum=int(m.x)) if is_share else (
        gb.SampleMeanStatistic(n=m.n, sum=m.x, sum_squares=m.xx))  # fmt: skip
    return gb.RegressionAdjustedStatistic(
        n=m.n, post_statistic=post, pre_statistic=pre, post_pre_sum_of_products=m.xy, theta=0
    )


def ours(kind: str, a: Moments, b: Moments) -> tuple[Sample, Sample]:
    if kind.startswith("cuped"):
        is_share = kind == "cuped proportion"
        slope = st.theta(a, b, is_proportion=is_share)
        return (st.cuped(a, slope, is_proportion=is_share),
                st.cuped(b, slope, is_proportion=is_share))  # fmt: skip
    of = {"mean": st.mean, "proportion": st.proportion, "ratio": st.ratio}[kind]
    return of(a), of(b)


def drawn(kind: str, rng: np.random.Generator, n: int, lift: float) -> Moments:
    before = rng.gamma(0.7, 20, n)
    spent = before * 0.6 + rng.gamma(0.5, 30, n) * (1 + lift)
    if "proportion" in kind:
        return moments((spent > 40).astype(float), x=(before > 15).astype(float))
    return moments(spent, d=rng.poisson(2, n) + 1.0, x=before)


def same(mine: Effect, other: object) -> None:
    assert mine.point is not None and mine.low is not None and mine.high is not None
    assert math.isclose(mine.point, other.expected, rel_tol=EXACT, abs_tol=EXACT)
    assert math.isclose(mine.low, other.ci[0], rel_tol=EXACT, abs_tol=EXACT)
    assert math.isclose(mine.high, other.ci[1], rel_tol=EXACT, abs_tol=EXACT)
    assert math.isclose(mine.error, other.uplift.stddev, rel_tol=EXACT, abs_tol=EXACT)
    assert math.isclose(mine.p, other.p_value, rel_tol=EXACT, abs_tol=EXACT)


@pytest.mark.parametrize("relative", [True, False])
@pytest.mark.parametrize("kind", ["mean", "proportion", "ratio", "cuped", "cuped proportion"])
def test_equals_the_oracle(kind: str, relative: bool) -> None:
    rng = np.random.default_rng(7)
    compared = 0
    for sizes in [(50, 60), (400, 350), (5000, 20_000), (90_000, 91_000)]:
        for lift in (-0.3, 0.0, 0.02, 0.5):
            a, b = drawn(kind, rng, sizes[0], 0.0), drawn(kind, rng, sizes[1], lift)
            mine = ours(kind, a, b)
            how = "relative" if relative else "absolute"
            for alpha, horizon in [(0.05, 5000), (0.01, 300)]:
                same(
                    st.fixed(*mine, relative=relative, alpha=alpha),
                    TwoSidedTTest(
                        theirs(kind, a), theirs(kind, b),
                        FrequentistConfig(alpha=alpha, difference_type=how),
                    ).compute_result(),
                )  # fmt: skip
                same(
                    st.always_valid(*mine, relative=relative, alpha=alpha, horizon=horizon),
                    SequentialTwoSidedTTest(
                        theirs(kind, a), theirs(kind, b),
                        SequentialConfig(alpha=alpha, difference_type=how,
                                         sequential_tuning_parameter=horizon),
                    ).compute_result(),
                )  # fmt: skip
                compared += 2
    assert compared == 64


def test_srm_equals_the_oracle() -> None:
    rng = np.random.default_rng(3)
    for weights in ([0.5, 0.5], [0.7, 0.2, 0.1], [9000, 500, 500]):
        shares = np.array(weights) / sum(weights)
        for total in (0, 7, 1000, 250_000):
            counts = [int(c) for c in rng.multinomial(total, shares)]
            assert math.isclose(st.mismatch(counts, weights), check_srm(counts, weights),
                                rel_tol=EXACT, abs_tol=EXACT)  # fmt: skip


def peeked(
    rng: np.random.Generator, tests: int, looks: int, per_look: int, lift: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """``tests`` experiments of buyers (12 %), looked at ``looks`` times: for each, did the naive
    test, did the always-valid interval ever exclude ``lift``, and what the first said at the end.
    The same formulas as in the module, over arrays; the test below ties them together."""
    share = 0.12
    steps = (tests, looks)
    a = rng.binomial(per_look, share, steps).cumsum(axis=1) / (
        n := per_look * np.arange(1, looks + 1)
    )
    b = rng.binomial(per_look, share * (1 + lift), steps).cumsum(axis=1) / n
    with np.errstate(divide="ignore", invalid="ignore"):
        variance = b * (1 - b) / (a**2 * n) + a * (1 - a) * b**2 / (a**4 * n)
        off = np.abs((b - a) / a - lift)
    known = (a > 0) & (b > 0) & (a < 1) & (b < 1)
    rho = st.tuned(0.05, 20_000)
    room = 2 * n * rho**2 + 1
    reach = np.sqrt(2 * room * np.log(np.sqrt(room) / 0.05) / (2 * n * rho) ** 2 * 2 * n)
    error = np.sqrt(np.where(known, variance, np.inf))
    off = np.where(known, off, 0.0)
    naive = off > 1.959963985 * error
    valid = off > reach * error
    return naive.any(axis=1), valid.any(axis=1), naive[:, -1]


def test_a_thousand_aa_tests_looked_at_a_thousand_times_each() -> None:
    rng = np.random.default_rng(20260105)
    tests = 1000
    naive, valid, at_end = peeked(rng, tests, looks=1000, per_look=20)
    noise = 1.96 * math.sqrt(0.05 * 0.95 / tests)
    assert valid.mean() <= 0.05 + noise, f"always-valid: {valid.mean():.3f}"
    assert abs(at_end.mean() - 0.05) <= 2 * noise, f"one look: {at_end.mean():.3f}"
    assert naive.mean() > 0.35, f"naive: {naive.mean():.3f}"


def test_the_arrays_of_the_simulation_are_the_module() -> None:
    a, b = Moments(n=4000, y=480, yy=480), Moments(n=4000, y=560, yy=560)
    effect = st.always_valid(st.proportion(a), st.proportion(b), horizon=20_000)
    n, rho = 4000, st.tuned(0.05, 20_000)
    room = 2 * n * rho**2 + 1
    reach = math.sqrt(2 * room * math.log(math.sqrt(room) / 0.05) / (2 * n * rho) ** 2 * 2 * n)
    assert effect.high is not None and effect.point is not None and effect.error is not None
    assert math.isclose(effect.high - effect.point, reach * effect.error, rel_tol=1e-9)


@pytest.mark.parametrize("lift", [0.03, 0.10, -0.15])
def test_injected_lifts_are_covered(lift: float) -> None:
    """95 % at the end by the fixed interval, and at every look at once by the always-valid one."""
    rng = np.random.default_rng(11)
    tests = 1000
    _, missed_ever, missed_at_end = peeked(rng, tests, looks=300, per_look=60, lift=lift)
    noise = 1.96 * math.sqrt(0.05 * 0.95 / tests)
    assert abs(missed_at_end.mean() - 0.05) <= 1.5 * noise, missed_at_end.mean()
    assert missed_ever.mean() <= 0.05 + noise, missed_ever.mean()


def test_cuped_covers_the_lift_with_a_narrower_interval() -> None:
    rng = np.random.default_rng(5)
    missed, narrower = 0, []
    for _ in range(400):
        n = 2000
        before = rng.gamma(1.2, 25, 2 * n)
        after = before * 0.8 + rng.gamma(1, 15, 2 * n)
        after[n:] += 2.0
        a = moments(after[:n], x=before[:n])
        b = moments(after[n:], x=before[n:])
        adjusted = st.fixed(*ours("cuped", a, b), relative=False)
        plain = st.fixed(*ours("mean", a, b), relative=False)
        assert adjusted.low is not None and adjusted.high is not None
        missed += not adjusted.low <= 2.0 <= adjusted.high
        narrower.append(adjusted.error / plain.error)
    assert 0.02 <= missed / 400 <= 0.08
    assert np.mean(narrower) < 0.65


def test_srm_sees_51_of_49_and_is_silent_at_half() -> None:
    rng = np.random.default_rng(2)
    planted = [rng.binomial(200_000, 0.51) for _ in range(50)]
    assert all(st.mismatch([c, 200_000 - c], [1, 1]) < judging.SRM_ALARM for c in planted)
    assert all(st.mismatch_anytime([c, 200_000 - c], [1, 1]) < judging.SRM_ALARM for c in planted)
    # Half and half, looked at after every 200 units of 200,000, a thousand times over.
    counts = rng.binomial(200, 0.5, (1000, 1000)).cumsum(axis=1)
    alarms = 0
    for path in counts[:, 9::90]:
        seen = [(int(c), 200 * (10 + 90 * i) - int(c)) for i, c in enumerate(path)]
        alarms += any(st.mismatch_anytime(s, [1, 1]) < judging.SRM_ALARM for s in seen)
    assert alarms <= 4  # at most 1 of 1,000 is promised; four are beyond its noise


def test_srm_is_tried_in_batches_of_a_bandit() -> None:
    wanted = judging.expected_counts(
        Plan(en="x", zh="x", variations=[Variation("a", 5000), Variation("b", 5000)]),
        {0: (1000, {}), 1: (1000, {"a": 9000, "b": 1000})},
    )
    assert wanted == {"a": 1400.0, "b": 600.0}


def test_fieller_covers_the_cost_of_a_buyer_and_admits_when_it_cannot() -> None:
    rng = np.random.default_rng(9)
    true_cost, missed, endless = 12.0 / 0.04, 0, 0
    for _ in range(500):
        n = 8000
        a = moments(np.zeros(n), d=rng.binomial(1, 0.10, n).astype(float))
        bought = rng.binomial(1, 0.14, n).astype(float)
        b = moments(rng.gamma(2, 6, n), d=bought)
        effect = st.per_increment(a, b)
        if effect.low is None or effect.high is None:
            endless += 1
        else:
            missed += not effect.low <= true_cost <= effect.high
    assert endless == 0 and 0.02 <= missed / 500 <= 0.08
    nothing = st.per_increment(
        Moments(n=500, y=0, yy=0, d=50, dd=50, yd=0),
        Moments(n=500, y=100, yy=90, d=51, dd=51, yd=9),
    )
    assert nothing.low is None and nothing.high is None


def test_what_cannot_be_said_is_not_said() -> None:
    empty, one = Moments(n=0), Moments(n=1, y=1, yy=1)
    for a, b in [(empty, empty), (one, one), (Moments(n=9), Moments(n=9, y=3, yy=3))]:
        assert st.fixed(st.mean(a), st.mean(b)) == st.NOTHING
        assert st.always_valid(st.proportion(a), st.proportion(b)) == st.NOTHING
        assert st.ratio(a).variance == 0


def test_power_is_what_a_simulation_finds() -> None:
    base, lift = 0.1, 0.12
    units = power.units_needed(base, base * (1 - base), lift)
    assert units == 19_623  # 4 (1.959964 + 0.841621)² 0.09 / 0.012²
    rng = np.random.default_rng(1)
    n = units // 2
    found = 0
    for a, b in zip(rng.binomial(n, base, 2000), rng.binomial(n, base * (1 + lift), 2000),
                    strict=True):  # fmt: skip
        effect = st.fixed(st.proportion(Moments(n=n, y=a)), st.proportion(Moments(n=n, y=b)),
                          relative=False)  # fmt: skip
        found += effect.low is not None and effect.low > 0
    assert abs(found / 2000 - 0.8) < 0.04
    assert math.isclose(power.smallest_lift(base, base * (1 - base), units), lift, rel_tol=1e-3)
    watched = power.units_needed_always_valid(base, base * (1 - base), lift)
    assert 1.2 * units < watched < 3 * units
    assert power.design_effect(50, 0.02) == pytest.approx(1.98)


def hillstrom() -> Path | None:
    root = Path(os.environ.get("PINWHEEL_DATA", Path(__file__).parents[3] / ".." / "shared/data"))
    found = sorted((root / "hillstrom").glob("*.csv*")) if (root / "hillstrom").is_dir() else []
    return found[0] if found else None


@pytest.mark.skipif(hillstrom() is None, reason="the public data set is not here")
def test_hillstroms_three_arms() -> None:
    path = hillstrom()
    assert path is not None
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert len(rows) == 64_000
    arms = {
        name: [r for r in rows if r["segment"] == name]
        for name in ("Mens E-Mail", "Womens E-Mail", "No E-Mail")
    }
    of = {
        measure: {
            name: moments(np.array([float(r[measure]) for r in part]))
            for name, part in arms.items()
        }
        for measure in ("visit", "conversion", "spend")
    }
    names = list(arms)
    assert [round(st.proportion(of["visit"][n]).mean, 4) for n in names] == [0.1828, 0.1514, 0.1062]
    assert [round(100 * st.proportion(of["conversion"][n]).mean, 2) for n in names] == [
        1.25, 0.88, 0.57,
    ]  # fmt: skip
    assert [round(st.mean(of["spend"][n]).mean, 3) for n in names] == [1.423, 1.077, 0.653]
    assert st.mismatch([len(p) for p in arms.values()], [1, 1, 1]) > 0.01
    for measure, of_kind in (("visit", st.proportion), ("spend", st.mean)):
        control = of_kind(of[measure]["No E-Mail"])
        for name in names[:2]:
            once = st.fixed(control, of_kind(of[measure][name]), alpha=0.025)
            watched = st.always_valid(control, of_kind(of[measure][name]), alpha=0.025)
            assert once.low is not None and once.low > 0, (measure, name)
            assert watched.low is not None and watched.low < once.low
            assert measure == "spend" or watched.low > 0
