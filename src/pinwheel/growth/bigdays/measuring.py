"""What an event brought, from what it only moved. Pure: series in, estimates out.

The baseline is an ordinary least squares regression of the days before the pre-heat on a trend and
the day of the week; the errors of sums over days are those of the prediction (σ²(CCᵀ +
CX₀(XᵀX)⁻¹X₀ᵀCᵀ), Student's t), widened for what neighbouring days share (an AR(1) factor). With a
control group the difference of the arms counts instead (Horvitz–Thompson with the known share)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import stats

LEVEL = 0.95
LEAST_DAYS = 21
LEAST_CONTROL = 30
DRAWS = 4000
Floats = NDArray[np.float64]


class Estimate(msgspec.Struct, frozen=True):
    """A figure and its 95 % interval; minor units, or a share."""

    value: float
    low: float
    high: float


class Shifted(msgspec.Struct, frozen=True, kw_only=True):
    """One series over pre-heat, event and after. ``gross``: sold on the event's days; ``lift``:
    gross less what was expected then; ``pulled``: missing before and after, pulled into the event;
    ``share`` of the lift that was; ``incremental``: lift less pulled, over all of the days."""

    gross: float
    lift: Estimate
    pulled: Estimate
    share: Estimate | None
    incremental: Estimate
    expected: list[float]
    low: list[float]
    high: list[float]


class TooShort(Exception):
    """Fewer days before the pre-heat than a baseline takes."""


def design(first: int, days: int, weekday: int) -> Floats:
    """Rows for ``days`` days from the one numbered ``first`` on; day 0 was ``weekday`` (0 is
    Monday)."""
    at = np.arange(first, first + days)
    week = (at + weekday) % 7
    columns = [np.ones(days), at / 28.0, *((week == day).astype(float) for day in range(1, 7))]
    return np.column_stack(columns)


def shifted(values: Sequence[float], weekday: int, before: int, event: tuple[int, int]) -> Shifted:
    """``values`` by day, the first ``before`` of them untouched; ``event``: its first day and the
    one after its last, by number. Everything after ``before`` that is not the event's is pre-heat
    or after. ``TooShort`` for less than three weeks."""
    if before < LEAST_DAYS:
        raise TooShort
    y = np.asarray(values, dtype=float)
    x = design(0, before, weekday)
    inverse = np.linalg.pinv(x.T @ x)
    beta = inverse @ x.T @ y[:before]
    errors = y[:before] - x @ beta
    freedom = max(1, before - x.shape[1])
    variance = float(errors @ errors) / freedom
    later = design(before, len(y) - before, weekday)
    expected = later @ beta
    in_event = np.zeros(len(y) - before)
    in_event[event[0] - before : event[1] - before] = 1.0
    sums = np.vstack([in_event, 1.0 - in_event])
    single = variance * (1 + np.einsum("ij,jk,ik->i", later, inverse, later))
    spread = (
        variance * _together(errors) * (sums @ sums.T + sums @ later @ inverse @ later.T @ sums.T)
    )
    gap = sums @ (y[before:] - expected)
    t = float(stats.t.ppf(0.5 + LEVEL / 2, freedom))
    lift = _around(gap[0], spread[0, 0], t)
    pulled = _around(-gap[1], spread[1, 1], t)
    both = _around(gap[0] + gap[1], float(spread.sum()), t)
    half = t * np.sqrt(single)
    return Shifted(
        gross=float(in_event @ y[before:]),
        lift=lift,
        pulled=pulled,
        share=_share(gap, spread, freedom),
        incremental=both,
        expected=[float(v) for v in expected],
        low=[float(v) for v in expected - half],
        high=[float(v) for v in expected + half],
    )


def _together(errors: Floats) -> float:
    """How much more a sum of days varies than days that share nothing: (1 + ρ) / (1 - ρ)."""
    if float(errors @ errors) == 0:
        return 1.0
    rho = float(errors[1:] @ errors[:-1]) / float(errors @ errors)
    rho = min(0.7, max(0.0, rho))
    return (1 + rho) / (1 - rho)


def _around(value: float, variance: float, t: float) -> Estimate:
    half = t * math.sqrt(max(0.0, variance))
    return Estimate(float(value), float(value) - half, float(value) + half)


def _share(gap: Floats, spread: Floats, freedom: int) -> Estimate | None:
    """Pulled over lift, by draws of both together; None where the lift may be nothing."""
    rng = np.random.default_rng(20_260_101)  # the same report twice is the same report
    scale = np.sqrt(freedom / rng.chisquare(freedom, DRAWS))
    draws = rng.multivariate_normal(np.zeros(2), spread, DRAWS) * scale[:, None] + gap
    if float(np.quantile(draws[:, 0], (1 - LEVEL) / 2)) <= 0:
        return None
    ratio = -draws[:, 1] / draws[:, 0]
    low, high = np.quantile(ratio, [(1 - LEVEL) / 2, 0.5 + LEVEL / 2])
    return Estimate(float(-gap[1] / gap[0]), float(low), float(high))


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """What one arm's people bought: on the event's days and over all days; sums and sums of
    squares over people."""

    people: int
    event: float
    event_squares: float
    whole: float
    whole_squares: float


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """What the arms tell: ``lift`` on the event's days, ``incremental`` over all of them,
    ``pulled`` is the difference of the two."""

    lift: Estimate
    incremental: Estimate
    pulled: float


def difference(treated: Arm, control: Arm, percent: int) -> Difference | None:
    """The control's sales, scaled to the size of the other arm by the known share, taken from the
    treated's. None for fewer than ``LEAST_CONTROL`` buyers in the control."""
    if control.people < LEAST_CONTROL or not 0 < percent < 100:
        return None
    scale = (100 - percent) / percent
    z = float(stats.norm.ppf(0.5 + LEVEL / 2))

    def between(mine: float, theirs: float, squares: float, their_squares: float) -> Estimate:
        return _around(mine - scale * theirs, squares + scale**2 * their_squares, z)

    lift = between(treated.event, control.event, treated.event_squares, control.event_squares)
    whole = between(treated.whole, control.whole, treated.whole_squares, control.whole_squares)
    return Difference(lift=lift, incremental=whole, pulled=lift.value - whole.value)
