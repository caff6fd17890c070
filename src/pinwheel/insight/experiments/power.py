"""How many units it takes, and what a number of units can show. Normal approximation (Cohen 1988),
the two-sided test of two means."""

from __future__ import annotations

import math

from scipy import optimize, special

from pinwheel.insight.experiments.statistics import tuned


def units_needed(
    baseline: float,
    variance: float,
    lift: float,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    share: float = 0.5,
    variance_kept: float = 1.0,
    design_effect: float = 1.0,
) -> int:
    """Units of control and treatment together to find a relative ``lift`` of ``baseline`` with
    ``power``; ``share`` of them are treated. ``variance_kept``: what CUPED leaves (1 - r²)."""
    z = float(special.ndtri(1 - alpha / 2) + special.ndtri(power))
    effect = baseline * lift
    spread = variance * variance_kept * design_effect
    return math.ceil(z**2 * spread * (1 / share + 1 / (1 - share)) / effect**2)


def smallest_lift(
    baseline: float,
    variance: float,
    units: int,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    share: float = 0.5,
    variance_kept: float = 1.0,
    design_effect: float = 1.0,
) -> float:
    """The relative lift that ``units`` (both arms together) find with ``power``."""
    z = float(special.ndtri(1 - alpha / 2) + special.ndtri(power))
    spread = variance * variance_kept * design_effect * (1 / share + 1 / (1 - share))
    return z * math.sqrt(spread / units) / baseline


def design_effect(cluster_size: float, correlation: float) -> float:
    """How many times more units a cluster design takes: 1 + (m - 1) ICC (Kish 1965)."""
    return 1 + (cluster_size - 1) * correlation


def units_needed_always_valid(
    baseline: float,
    variance: float,
    lift: float,
    *,
    alpha: float = 0.05,
    power: float = 0.8,
    share: float = 0.5,
    variance_kept: float = 1.0,
    design_effect: float = 1.0,
) -> int:
    """As ``units_needed`` for the always-valid interval with its horizon at that number: the price
    of looking all the time."""
    once = units_needed(baseline, variance, lift, alpha=alpha, power=power, share=share,
                        variance_kept=variance_kept, design_effect=design_effect)  # fmt: skip
    needed = float(special.ndtri(power))
    spread = variance * variance_kept * design_effect * (1 / share + 1 / (1 - share))

    def missing(log_n: float) -> float:
        n = math.exp(log_n)
        rho = tuned(alpha, n)
        room = n * rho**2 + 1
        reach = math.sqrt(2 * room * math.log(math.sqrt(room) / alpha) / (n * rho**2))
        return abs(baseline * lift) / math.sqrt(spread / n) - reach - needed

    low = math.log(once / 4)
    return math.ceil(math.exp(optimize.brentq(missing, low, low + 6)))
