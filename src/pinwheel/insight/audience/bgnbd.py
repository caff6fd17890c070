"""BG/NBD: when somebody buys again, and whether they still will.

The model and its formulas: P. S. Fader, B. G. S. Hardie, K. L. Lee, "Counting Your Customers" the
Easy Way (Marketing Science 24, 2005). While alive, a customer buys at a rate λ ~ Gamma(r, α); after
each purchase they are lost with p ~ Beta(a, b). ``x`` are repeat purchases, ``t_x`` the time of the
last one and ``t`` the time watched, both since the first; any unit of time, the same throughout."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

Numbers = NDArray[np.float64]
STARTS = ((1.0, 1.0, 1.0, 1.0), (0.3, 4.0, 0.8, 2.5), (2.0, 10.0, 0.3, 5.0))
LOG_BOUNDS = ((-7.0, 6.0), (-7.0, 9.0), (-7.0, 6.0), (-7.0, 7.0))


class Fit(msgspec.Struct, frozen=True):
    """Parameters with the log-likelihood, and the covariance of their logarithms (None where the
    likelihood has no clear top: too few data)."""

    r: float
    alpha: float
    a: float
    b: float
    log_likelihood: float
    customers: float
    covariance: list[list[float]] | None

    @property
    def logs(self) -> Numbers:
        return np.asarray(np.log([self.r, self.alpha, self.a, self.b]), dtype=np.float64)

    @property
    def standard_errors(self) -> list[float] | None:
        """Of the parameters, by the delta method from their logarithms."""
        if self.covariance is None:
            return None
        spread = np.sqrt(np.diag(np.array(self.covariance)))
        return [float(v) for v in np.exp(self.logs) * spread]


def log_likelihood(logs: Numbers, x: Numbers, t_x: Numbers, t: Numbers, weight: Numbers) -> float:
    """Of parameters given as logarithms; each term is a sum of logs, joined by log-sum-exp."""
    r, alpha, a, b = np.exp(logs)
    base = special.gammaln(r + x) - special.gammaln(r) + r * logs[1]
    alive = special.betaln(a, b + x) - special.betaln(a, b) - (r + x) * np.log(alpha + t)
    repeat = np.maximum(x, 1)
    lost = special.betaln(a + 1, b + repeat - 1) - special.betaln(a, b)
    lost = np.where(x > 0, lost - (r + x) * np.log(alpha + t_x), -np.inf)
    return float(np.sum(weight * (base + np.logaddexp(alive, lost))))


def fit(x: Numbers, t_x: Numbers, t: Numbers, weight: Numbers | None = None) -> Fit | None:
    """The most likely parameters, from several starts within bounds; None when none converges.

    Time is scaled so that the longest watch is 20, which keeps the surface well shaped."""
    counts = np.ones_like(x) if weight is None else weight
    longest = float(np.max(t)) if len(t) else 0.0
    if longest <= 0:
        return None
    scale = 20.0 / longest

    def cost(logs: Numbers) -> float:
        found = log_likelihood(logs, x, t_x * scale, t * scale, counts)
        return -found if np.isfinite(found) else 1e300

    best: Any = None
    for start in STARTS:
        guess = np.log(np.array(start))
        got = optimize.minimize(cost, guess, method="L-BFGS-B", bounds=LOG_BOUNDS)
        polished = optimize.minimize(
            cost, got.x, method="Nelder-Mead", bounds=LOG_BOUNDS,
            options={"xatol": 1e-7, "fatol": 1e-7, "maxiter": 4000},
        )  # fmt: skip
        if best is None or polished.fun < best.fun:
            best = polished
    logs = best.x.copy()
    at_bound = any(
        abs(v - low) < 1e-3 or abs(v - high) < 1e-3
        for v, (low, high) in zip(logs, LOG_BOUNDS, strict=True)
    )
    covariance = None if at_bound else _covariance(cost, logs)
    logs[1] -= np.log(scale)
    r, alpha, a, b = (float(v) for v in np.exp(logs))
    likelihood = log_likelihood(logs, x, t_x, t, counts)
    return Fit(r, alpha, a, b, likelihood, float(np.sum(counts)), covariance)


def _covariance(cost: Any, at: Numbers) -> list[list[float]] | None:
    """The inverse of the Hessian (central differences); None where it is no covariance."""
    size, step = len(at), 1e-3
    hessian = np.empty((size, size))
    for i in range(size):
        for j in range(i, size):
            e, f = np.eye(size)[i] * step, np.eye(size)[j] * step
            bend = cost(at + e + f) - cost(at + e - f) - cost(at - e + f) + cost(at - e - f)
            hessian[i, j] = hessian[j, i] = bend / (4 * step * step)
    try:
        inverse = np.linalg.inv(hessian)
        np.linalg.cholesky(inverse)
    except np.linalg.LinAlgError:
        return None
    if not np.all(np.isfinite(inverse)) or float(np.max(np.diag(inverse))) > 25:
        return None
    return [[float(v) for v in row] for row in inverse]


def alive(fit: Fit, x: Numbers, t_x: Numbers, t: Numbers) -> Numbers:
    """The chance that each customer still buys."""
    r, alpha, a, b = fit.r, fit.alpha, fit.a, fit.b
    ratio = (r + x) * (np.log(alpha + t) - np.log(alpha + t_x))
    odds = np.where(x > 0, np.log(a) - np.log(b + np.maximum(x, 1) - 1) + ratio, -np.inf)
    return np.asarray(special.expit(-odds), dtype=np.float64)


def expected(fit: Fit, x: Numbers, t_x: Numbers, t: Numbers, ahead: float | Numbers) -> Numbers:
    """Purchases to be expected of each in the next ``ahead`` (equation 10 of the paper).

    (a+b+x−1)/(a−1) · [1 − ((α+T)/(α+T+t))^(r+x) · ₂F₁(r+x, b+x; a+b+x−1; t/(α+T+t))] · P(alive).
    Where a is close to 1 the fraction is 0/0: the value between its neighbours is taken."""
    if abs(fit.a - 1) < 1e-4:
        below = msgspec.structs.replace(fit, a=fit.a - 2e-3)
        above = msgspec.structs.replace(fit, a=fit.a + 2e-3)
        return (expected(below, x, t_x, t, ahead) + expected(above, x, t_x, t, ahead)) / 2
    r, alpha, a, b = fit.r, fit.alpha, fit.a, fit.b
    z = ahead / (alpha + t + ahead)
    # By Euler's transformation the power before the series is (1 − z)^(a − 1): neither overflows.
    tail = (1 - z) ** (a - 1) * special.hyp2f1(a + b - 1 - r, a - 1, a + b + x - 1, z)
    share = 1 - tail
    grown = (a + b + x - 1) / (a - 1) * share * alive(fit, x, t_x, t)
    return np.maximum(0.0, np.asarray(grown, dtype=np.float64))


def expected_of_new(fit: Fit, ahead: float) -> float:
    """Repeat purchases to be expected of somebody who has just bought for the first time."""
    zero = np.zeros(1)
    return float(expected(fit, zero, zero, zero, ahead)[0])


def drawn_fits(fit: Fit, draws: int, rng: np.random.Generator) -> list[Fit]:
    """Parameters as uncertain as the data leave them: normal in their logarithms."""
    if fit.covariance is None:
        return [fit] * draws
    logs = rng.multivariate_normal(fit.logs, np.array(fit.covariance), size=draws)
    bounds = np.array(LOG_BOUNDS)
    logs = np.clip(logs, bounds[:, 0] - 5, bounds[:, 1])
    return [
        Fit(
            r=float(row[0]),
            alpha=float(row[1]),
            a=float(row[2]),
            b=float(row[3]),
            log_likelihood=fit.log_likelihood,
            customers=fit.customers,
            covariance=None,
        )
        for row in np.exp(logs)
    ]


def simulate(fit: Fit, watched: Numbers, rng: np.random.Generator) -> list[list[float]]:
    """Repeat purchase times of customers watched for so long, by the model itself: for tests and
    for the lab."""
    rates = rng.gamma(fit.r, 1 / fit.alpha, len(watched))
    drop = rng.beta(fit.a, fit.b, len(watched))
    lives: list[list[float]] = []
    for rate, p, until in zip(rates, drop, watched, strict=True):
        now, times = 0.0, []
        while True:
            now += rng.exponential(1 / max(rate, 1e-12))
            if now > until:
                break
            times.append(float(now))
            if rng.random() < p:
                break
        lives.append(times)
    return lives
