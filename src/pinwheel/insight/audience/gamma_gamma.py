"""Gamma-Gamma: how much an order brings, for somebody whose mean of a few is seen.

P. S. Fader, B. G. S. Hardie, The Gamma-Gamma Model of Monetary Value (note 025, 2013). An order of
a customer is Gamma(p, ν), ν ~ Gamma(q, γ); ``mean`` is of ``x`` orders, all above 0."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

Numbers = NDArray[np.float64]
LOG_BOUNDS = ((-4.0, 6.0), (0.02, 6.0), (-8.0, 14.0))  # q above 1: the mean over customers exists


class Money(msgspec.Struct, frozen=True):
    p: float
    q: float
    gamma: float
    log_likelihood: float

    @property
    def mean(self) -> float:
        """Of an order, over all customers: pγ / (q − 1)."""
        return self.p * self.gamma / (self.q - 1)


def log_likelihood(logs: Numbers, x: Numbers, mean: Numbers, weight: Numbers) -> float:
    p, q, gamma = np.exp(logs)
    each = (
        special.gammaln(p * x + q)
        - special.gammaln(p * x)
        - special.gammaln(q)
        + q * np.log(gamma)
        + (p * x - 1) * np.log(mean)
        + p * x * np.log(x)
        - (p * x + q) * np.log(gamma + mean * x)
    )
    return float(np.sum(weight * each))


def fit(x: Numbers, mean: Numbers, weight: Numbers | None = None) -> Money | None:
    """The most likely parameters; None when it does not converge. Amounts are scaled by their
    median, so that any currency's minor unit will do."""
    seen = (x > 0) & (mean > 0)
    x, mean = x[seen], mean[seen]
    counts = np.ones_like(x) if weight is None else weight[seen]
    if len(x) < 3:
        return None
    unit = float(np.median(mean))

    def cost(logs: Numbers) -> float:
        found = log_likelihood(logs, x, mean / unit, counts)
        return -found if np.isfinite(found) else 1e300

    best: Any = None
    for start in ((6.0, 4.0, 1.0), (1.5, 2.5, 2.0), (20.0, 3.0, 0.3)):
        got = optimize.minimize(
            cost, np.log(np.array(start)), method="Nelder-Mead", bounds=LOG_BOUNDS,
            options={"xatol": 1e-6, "fatol": 1e-6, "maxiter": 4000},
        )  # fmt: skip
        if best is None or got.fun < best.fun:
            best = got
    p, q, gamma = (float(v) for v in np.exp(best.x))
    return Money(p, q, gamma * unit, -float(best.fun))


def expected_mean(fit: Money, x: Numbers, mean: Numbers) -> Numbers:
    """What an order of each customer is expected to bring: their own mean, drawn towards all the
    others' the fewer orders it is of."""
    own = np.where(x > 0, mean, 0.0)
    return np.asarray(fit.p * (fit.gamma + x * own) / (fit.p * x + fit.q - 1), dtype=np.float64)
