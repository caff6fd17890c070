"""The viral model, pure: how many new buyers a buyer brings, how fast, and at what further cost.

K is the mean number of new paying buyers whom a buyer of a cohort brings within a window: the mean
offspring of a branching process. Its interval is the profile likelihood of the negative binomial
(Lloyd-Smith 2007): sharing is very uneven, most bring nobody and a few bring many. A bootstrap of a
small cohort can't draw the great sharer who has not turned up yet and comes out too narrow; the
negative binomial, whose spread is fitted with the mean, admits that there may be one.
"""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np
from scipy import optimize, special, stats

from pinwheel.growth.measurement.model import Interval, Warned

LEVEL = 0.95
SHAPES = np.geomspace(0.02, 2_000.0, 90)  # the shape r of the negative binomial; large is Poisson
REPEATS = 300
LEAST_EDGES = 20
MOST_INCREMENTS = 12


class Pace(msgspec.Struct, frozen=True):
    """How long it takes from a buyer's first order to that of the first one they bring: the
    Kaplan-Meier median, in days, of those who bring one within the window. ``share``: how many do.
    Buyers of last week are in it for a week only, so that being young makes nobody look fast."""

    days: float | None
    low: float | None
    high: float | None
    share: float
    buyers: int


class Increment(msgspec.Struct, frozen=True, kw_only=True):
    """One step of about equal cost. ``each_minor`` is what one more buyer cost in this step,
    ``average_minor`` what all buyers so far cost on average. None: nobody came."""

    until: dt.datetime
    cost_minor: int
    buyers: int
    each_minor: float | None
    low_minor: float
    high_minor: float | None
    average_minor: float | None


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """``marginal_turn`` and ``average_turn``: the step after which it only rises, None while it
    does not rise."""

    steps: list[Increment]
    marginal_turn: int | None
    average_turn: int | None


class Spread(msgspec.Struct, frozen=True):
    """A week of shares: who came by a link, who of them had bought before, who had been reached
    before."""

    week: dt.date
    came: int
    bought_before: int
    reached_before: int


class Point(msgspec.Struct, frozen=True):
    """A stretch of a campaign: what it cost and whom it won."""

    until: dt.datetime
    cost_minor: int
    buyers: int


def k_of(offspring: Mapping[int, int]) -> Interval | None:
    """K of a cohort from how many of its buyers brought 0, 1, 2, … new buyers; None without
    buyers."""
    buyers = sum(offspring.values())
    if not buyers:
        return None
    brought = sum(n * people for n, people in offspring.items())
    if not brought:
        # Nobody yet: the exact bound of a mean of so many (the "rule of three" at 97.5 %).
        return Interval(0.0, 0.0, -math.log((1 - LEVEL) / 2) / buyers, buyers)
    mean = brought / buyers
    counts = np.array(list(offspring), dtype=float)
    people = np.array(list(offspring.values()), dtype=float)
    rising = (special.gammaln(counts[:, None] + SHAPES) - special.gammaln(SHAPES)) * people[:, None]
    fixed = rising.sum(axis=0)

    def profile(m: float) -> float:
        whole = SHAPES + m
        likelihood = fixed + buyers * SHAPES * np.log(SHAPES / whole) + brought * np.log(m / whole)
        return float(likelihood.max())

    most = profile(mean)
    drop = float(stats.chi2.ppf(LEVEL, 1)) / 2

    def beyond(log_m: float) -> float:
        return most - profile(math.exp(log_m)) - drop

    middle = math.log(mean)
    low = optimize.brentq(beyond, middle - 20, middle)
    far = middle + 20
    high = optimize.brentq(beyond, middle, far) if beyond(far) > 0 else None
    return Interval(mean, math.exp(low), None if high is None else math.exp(high), buyers)


def decay(cohorts: Sequence[tuple[int, int]]) -> Interval | None:
    """By which factor K changes from one cohort to the next: (buyers, brought) of each, the oldest
    first; a log-linear Poisson trend with a spread of its own (quasi-Poisson). Below 1 it fades.
    None with fewer than three cohorts that brought anybody."""
    used = [(n, b, i) for i, (n, b) in enumerate(cohorts) if n > 0]
    if len(used) < 3 or sum(1 for _, b, _ in used if b) < 3:
        return None
    size = np.array([n for n, _, _ in used], dtype=float)
    brought = np.array([b for _, b, _ in used], dtype=float)
    at = np.array([i for _, _, i in used], dtype=float)
    x = np.column_stack([np.ones_like(at), at - at.mean()])
    beta = np.array([math.log(brought.sum() / size.sum()), 0.0])
    for _ in range(50):
        expected = size * np.exp(x @ beta)
        step = np.linalg.solve(x.T @ (expected[:, None] * x), x.T @ (brought - expected))
        beta = beta + np.clip(step, -2, 2)
        if float(np.abs(step).max()) < 1e-10:
            break
    expected = size * np.exp(x @ beta)
    freedom = max(1, len(used) - 2)
    spread = max(1.0, float(((brought - expected) ** 2 / expected).sum()) / freedom)
    error = math.sqrt(spread * float(np.linalg.inv(x.T @ (expected[:, None] * x))[1, 1]))
    reach = float(stats.t.ppf(0.5 + LEVEL / 2, freedom)) * error
    trend = float(beta[1])
    return Interval(
        math.exp(trend), math.exp(trend - reach), math.exp(min(50, trend + reach)), len(used)
    )


def pace(days: Mapping[tuple[int, bool], int], window: int, seed: int = 1) -> Pace:
    """From (day, whether a first new buyer came then; else they are known for so long) to how many
    buyers. The interval is a bootstrap over buyers (300 draws, the same for the same figures)."""
    buyers = sum(days.values())
    if not buyers:
        return Pace(None, None, None, 0.0, 0)
    came = np.zeros(window + 1)
    gone = np.zeros(window + 1)
    for (day, is_event), people in days.items():
        (came if is_event and day <= window else gone)[min(day, window)] += people
    middle, share = _median(came, gone)
    if middle is None:
        return Pace(None, None, None, share, buyers)
    rng = np.random.default_rng(seed)
    cells = np.concatenate([came, gone])
    drawn = rng.multinomial(buyers, cells / buyers, size=REPEATS)
    found = [_median(d[: window + 1], d[window + 1 :])[0] for d in drawn]
    known = sorted(d for d in found if d is not None)
    if len(known) < REPEATS // 2:
        return Pace(middle, None, None, share, buyers)
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Pace(middle, float(low), float(high), share, buyers)


def _median(came: np.ndarray, gone: np.ndarray) -> tuple[float | None, float]:
    """(the day by which half of those who bring anybody within the window did, the share who
    do)."""
    left = came + gone
    at_risk = left[::-1].cumsum()[::-1]
    hazard = np.divide(came, at_risk, out=np.zeros(len(came)), where=at_risk > 0)
    brought = 1 - np.cumprod(1 - hazard)
    share = float(brought[-1])
    if share <= 0:
        return None, 0.0
    return float(np.argmax(brought >= share / 2)), share


def increments(points: Sequence[Point], most: int = MOST_INCREMENTS) -> Curve:
    """What one more buyer cost, step by step: stretches in order of time, put together into at
    most ``most`` steps of about equal cost. The interval of a step is that of the number of
    buyers (exact Poisson, Garwood 1936); the cost is known."""
    whole = sum(p.cost_minor for p in points)
    steps: list[Increment] = []
    cost = buyers = 0
    cost_so_far = buyers_so_far = 0
    for n, point in enumerate(points):
        cost, buyers = cost + point.cost_minor, buyers + point.buyers
        is_last = n == len(points) - 1
        if not is_last and (cost <= 0 or (cost_so_far + cost) * most < whole * (len(steps) + 1)):
            continue
        if is_last and cost <= 0 and not buyers:
            break
        cost_so_far, buyers_so_far = cost_so_far + cost, buyers_so_far + buyers
        few, many = poisson_bounds(buyers)
        steps.append(
            Increment(
                until=point.until,
                cost_minor=cost,
                buyers=buyers,
                each_minor=cost / buyers if buyers else None,
                low_minor=cost / many,
                high_minor=cost / few if few else None,
                average_minor=cost_so_far / buyers_so_far if buyers_so_far else None,
            )
        )
        cost = buyers = 0
    return Curve(
        steps=steps,
        marginal_turn=_turn([s.each_minor for s in steps]),
        average_turn=_turn([s.average_minor for s in steps]),
    )


def _turn(values: Sequence[float | None]) -> int | None:
    """The first step after the lowest value: from there it costs more. Nobody is dearer than any
    price."""
    known = [math.inf if v is None else v for v in values]
    if len(known) < 2 or min(known) is math.inf:
        return None
    lowest = max(i for i, v in enumerate(known) if v == min(known))
    return lowest + 1 if lowest + 1 < len(known) else None


def poisson_bounds(count: float) -> tuple[float, float]:
    """95 % bounds of a Poisson mean of which ``count`` were seen (Garwood 1936)."""
    tail = (1 - LEVEL) / 2
    low = float(stats.chi2.ppf(tail, 2 * count)) / 2 if count > 0 else 0.0
    return low, float(stats.chi2.ppf(1 - tail, 2 * count + 2)) / 2


def warnings_of(
    k_now: Interval | None,
    weeks: Sequence[Spread],
    reach: float | None,
    curve: Curve,
    fading: Interval | None,
) -> list[Warned]:
    """What a shop-keeper should look at before spending on. Each names its figures."""
    found = _saturated(weeks)
    if reach is not None and reach >= 0.6:
        percent = round(100 * reach)
        found.append(
            Warned(
                "reached",
                f"The links have reached {percent} % of all buyers: few are left to bring",
                f"链接已触达 {percent}% 的买家，可拉新空间有限",
            )
        )
    if curve.marginal_turn is not None and (
        curve.average_turn is None or curve.marginal_turn < curve.average_turn
    ):
        found.append(
            Warned(
                "marginal",
                "One more buyer costs more and more, while the average still hides it",
                "再多一位买家的成本正在上升，而平均成本尚未显现",
            )
        )
    elif curve.marginal_turn is not None:
        found.append(
            Warned("dearer", "One more buyer costs more and more", "再多一位买家的成本正在上升")
        )
    if fading is not None and fading.high is not None and fading.high < 1:
        found.append(
            Warned(
                "fading",
                "Each cohort brings fewer than the one before",
                "每一批买家带来的新买家都少于上一批",
            )
        )
    if k_now is not None and k_now.high is not None and k_now.high < 1 and k_now.n >= LEAST_EDGES:
        found.append(
            Warned(
                "below_one",
                "K is below 1: by itself it ends; what it brings has to be paid for",
                "K 小于 1：裂变会自行停止，新买家仍需付费获取",
            )
        )
    return found


def _saturated(weeks: Sequence[Spread]) -> list[Warned]:
    """Do links still reach people who have not bought?"""
    found = []
    came = sum(w.came for w in weeks[-4:])
    before = sum(w.bought_before for w in weeks[-4:])
    if came >= LEAST_EDGES and before * 2 >= came:
        percent = round(100 * before / came)
        found.append(
            Warned(
                "saturated",
                f"{percent} % of those who came by a link in the last four weeks had bought before",
                f"近四周经链接到来的人中 {percent}% 已是买家",
            )
        )
    elif _rises(weeks):
        found.append(
            Warned(
                "saturating",
                "More and more of those who come by a link have bought before",
                "经链接到来的人中，老买家占比持续上升",
            )
        )
    return found


def _rises(weeks: Sequence[Spread]) -> bool:
    """Is the share who had bought before higher in the later half than in the first (one-sided,
    2.5 %)?"""
    half = len(weeks) // 2
    early, late = weeks[:half], weeks[half:]
    a, n = sum(w.bought_before for w in early), sum(w.came for w in early)
    b, m = sum(w.bought_before for w in late), sum(w.came for w in late)
    if n < LEAST_EDGES or m < LEAST_EDGES:
        return False
    pooled = (a + b) / (n + m)
    error = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    return error > 0 and (b / m - a / n) / error > 1.96
