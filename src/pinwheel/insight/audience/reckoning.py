"""What a buyer will bring: the model where it has proved itself on a held-out period, else a
shrunken average, and always both figures of how well each did. Pure: arrays in, arrays out."""

from __future__ import annotations

import itertools
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from pinwheel.insight.audience import bgnbd, gamma_gamma

Numbers = NDArray[np.float64]
WEEK_DAYS = 7.0
QUARTERS = 4
DRAWS = 200
FIT_MOST = 50_000
LEAST_CUSTOMERS, LEAST_REPEATERS = 100, 30
CALIBRATION_SHARE = 0.5
BOUND = 0.25
"""The model stands while its decile calibration error on the held-out period is at most this."""
BANDS = ((0.10, "top"), (0.30, "high"), (0.70, "middle"), (1.01, "low"))
GROUPS = 8


class Buyers(msgspec.Struct, frozen=True):
    """A market's buyers, one element each; times in weeks. ``x``: days with an order after the
    first; ``t_x``: from the first to the last; ``t``: from the first until now; ``orders`` and
    ``margin``: how many and their mean contribution. ``seen_*`` are the same until the split,
    ``held_x`` the days with an order after it (of those who had bought before, ``was_here``)."""

    x: Numbers
    t_x: Numbers
    t: Numbers
    orders: Numbers
    margin: Numbers
    was_here: NDArray[np.bool_]
    seen_x: Numbers
    seen_t_x: Numbers
    seen_t: Numbers
    held_x: Numbers
    held_weeks: float


class Point(msgspec.Struct, frozen=True):
    """A group of the calibration: means of orders in the held-out period."""

    name: str
    people: int
    actual: float
    model: float
    baseline: float


class Calibration(msgspec.Struct, frozen=True):
    """``model_error``, ``baseline_error``: Σ|predicted − actual| / Σ actual over deciles of the
    prediction, each predictor by its own deciles. ``bound``: what the model must keep."""

    weeks: float
    people: int
    bound: float
    model_error: float | None
    baseline_error: float
    deciles: list[Point]
    groups: list[Point]


class Reckoned(msgspec.Struct, frozen=True):
    """Values in minor units over the horizon, discounted; ``low`` to ``high`` is the middle 80 % of
    what may come, orders, money and parameters all being uncertain."""

    kind: str
    why: dict[str, str]
    parameters: dict[str, Any]
    calibration: Calibration | None
    value: Numbers
    low: Numbers
    high: Numbers
    orders: Numbers
    alive: Numbers | None
    bands: list[str]


def shrunken(x: Numbers, t: Numbers, ahead: float) -> Numbers:
    """The baseline: everybody's own rate drawn towards the rate of all, by as much as an average
    watch weighs."""
    watched = float(np.sum(t)) or 1.0
    rate, weight = float(np.sum(x)) / watched, float(np.mean(t)) or 1.0
    return np.asarray((x + weight * rate) / (t + weight) * ahead, dtype=np.float64)


def calibrate(buyers: Buyers) -> tuple[Calibration | None, bgnbd.Fit | None]:
    """Fit on what was seen until the split and compare with what came after it."""
    here = buyers.was_here
    if buyers.held_weeks <= 0 or int(np.sum(here)) < 20 or float(np.sum(buyers.held_x[here])) < 10:
        return None, None
    x, t_x, t = buyers.seen_x[here], buyers.seen_t_x[here], buyers.seen_t[here]
    actual, weeks = buyers.held_x[here], buyers.held_weeks
    simple = shrunken(x, t, weeks)
    fit = fitted(x, t_x, t)
    model = None if fit is None else bgnbd.expected(fit, x, t_x, t, weeks)
    by = simple if model is None else model
    shown = np.zeros_like(by) if model is None else model
    deciles = [
        _point(str(n + 1), part, actual, shown, simple) for n, part in enumerate(_deciles(by))
    ]
    groups = []
    for n in range(GROUPS):
        part = np.flatnonzero(x == n if n < GROUPS - 1 else x >= n)
        if len(part):
            name = str(n) if n < GROUPS - 1 else f"{n}+"
            groups.append(_point(name, part, actual, shown, simple))
    return (
        Calibration(
            weeks=weeks,
            people=len(x),
            bound=BOUND,
            model_error=None if model is None else decile_error(model, actual),
            baseline_error=decile_error(simple, actual),
            deciles=deciles,
            groups=groups,
        ),
        fit,
    )


def _deciles(by: Numbers) -> list[NDArray[np.int64]]:
    parts = np.array_split(np.argsort(by, kind="stable"), 10)
    return [part for part in parts if len(part)]


def decile_error(predicted: Numbers, actual: Numbers) -> float:
    """Σ|predicted − actual| / Σ actual, over deciles of the prediction."""
    off = sum(
        abs(float(np.sum(predicted[p])) - float(np.sum(actual[p]))) for p in _deciles(predicted)
    )
    return off / max(1e-9, float(np.sum(actual)))


def _point(
    name: str, part: NDArray[np.int64], actual: Numbers, model: Numbers, simple: Numbers
) -> Point:
    means = (float(np.mean(each[part])) for each in (actual, model, simple))
    return Point(name, len(part), *means)


def fitted(x: Numbers, t_x: Numbers, t: Numbers) -> bgnbd.Fit | None:
    """A fit that can be trusted: enough people, a clear top. Of more than 50,000 an even part."""
    if len(x) < LEAST_CUSTOMERS or int(np.sum(x > 0)) < LEAST_REPEATERS:
        return None
    step = max(1, -(-len(x) // FIT_MOST))
    found = bgnbd.fit(x[::step], t_x[::step], t[::step])
    return found if found is not None and found.covariance is not None else None


def reckon(
    buyers: Buyers,
    *,
    horizon_weeks: float,
    discount: float,
    is_on: bool,
    rng: np.random.Generator,
) -> Reckoned:
    """Values of every buyer. ``discount``: a year, 0.1 is 10 %."""
    calibration, _ = calibrate(buyers)
    fit = fitted(buyers.x, buyers.t_x, buyers.t) if is_on else None
    kind, why = _choice(buyers, calibration, fit, is_on)
    money = gamma_gamma.fit(buyers.orders, np.maximum(buyers.margin, 0.0))
    each = _margin(buyers, money)
    edges = np.linspace(0, horizon_weeks, QUARTERS + 1)
    chosen = fit if kind == "bgnbd" else None
    counts = [_expected(buyers, chosen, float(edge)) for edge in edges]
    factors = [(1 + discount) ** (-(a + b) / 2 / 52.18) for a, b in itertools.pairwise(edges)]
    orders = counts[-1]
    discounted = sum(
        ((after - before) * factor
         for before, after, factor in zip(counts, counts[1:], factors, strict=False)),
        start=np.zeros_like(orders),
    )  # fmt: skip
    value = discounted * each
    worn = np.where(orders > 0, discounted / np.maximum(orders, 1e-12), 1.0)
    low, high = _middle(buyers, chosen, money, each, horizon_weeks, worn, rng)
    mean_order = float(np.mean(each)) if len(each) else 0.0
    ahead = bgnbd.expected_of_new(chosen, horizon_weeks) if chosen else float(
        np.mean(orders) if len(orders) else 0
    )  # fmt: skip
    return Reckoned(
        kind=kind,
        why=why,
        parameters=_parameters(fit, money, buyers)
        | {"newcomer_minor": int(max(0.0, mean_order) * (1 + ahead * factors[1]))},
        calibration=calibration,
        value=value,
        low=np.minimum(low, value),
        high=np.maximum(high, value),
        orders=orders,
        alive=bgnbd.alive(chosen, buyers.x, buyers.t_x, buyers.t) if chosen else None,
        bands=banded(value),
    )


def _choice(
    buyers: Buyers, calibration: Calibration | None, fit: bgnbd.Fit | None, is_on: bool
) -> tuple[str, dict[str, str]]:
    people, again = len(buyers.x), int(np.sum(buyers.x > 0))
    if not is_on:
        return "baseline", {"en": "The model is switched off.", "zh-CN": "模型已关闭。"}
    if fit is None:
        return "baseline", {
            "en": f"Too few data for a model: {people} buyers, {again} of them came back "
            f"({LEAST_CUSTOMERS} and {LEAST_REPEATERS} are needed). Shrunken averages stand in.",
            "zh-CN": f"数据不足以建模：{people} 位买家，其中 {again} 位复购"
            f"（需要 {LEAST_CUSTOMERS} 与 {LEAST_REPEATERS}）。改用收缩平均。",
        }
    if calibration is None or calibration.model_error is None:
        return "baseline", {
            "en": "There is no held-out period yet to prove the model on. Shrunken averages stand "
            "in.",
            "zh-CN": "尚无可供检验模型的保留期，改用收缩平均。",
        }
    error, simple = calibration.model_error, calibration.baseline_error
    figures = f"{error:.1%} / {simple:.1%} / {BOUND:.0%}"
    if error > BOUND and error > simple:
        return "baseline", {
            "en": "The model missed its bound and the baseline on the held-out period "
            f"(model / baseline / bound: {figures}). Shrunken averages stand in.",
            "zh-CN": f"模型在保留期未达标且不及基线（模型/基线/上限：{figures}），改用收缩平均。",
        }
    if error > BOUND:
        return "bgnbd", {
            "en": "The model is above its bound on the held-out period and still nearer than the "
            f"baseline (model / baseline / bound: {figures}). Take its figures with care.",
            "zh-CN": "模型在保留期超出误差上限，但仍优于基线"
            f"（模型/基线/上限：{figures}），请谨慎参考。",
        }
    return "bgnbd", {
        "en": f"Decile calibration error on the held-out period: {figures} "
        "(model / baseline / bound).",
        "zh-CN": f"保留期十分位校准误差：{figures}（模型/基线/上限）。",
    }


def _expected(buyers: Buyers, fit: bgnbd.Fit | None, ahead: float) -> Numbers:
    if ahead <= 0:
        return np.zeros_like(buyers.x)
    if fit is None:
        return shrunken(buyers.x, buyers.t, ahead)
    return bgnbd.expected(fit, buyers.x, buyers.t_x, buyers.t, ahead)


def _margin(buyers: Buyers, money: gamma_gamma.Money | None) -> Numbers:
    if money is not None:
        return gamma_gamma.expected_mean(money, buyers.orders, np.maximum(buyers.margin, 0.0))
    overall = float(np.sum(buyers.orders * buyers.margin) / max(1.0, float(np.sum(buyers.orders))))
    return np.asarray(
        (buyers.orders * buyers.margin + overall) / (buyers.orders + 1), dtype=np.float64
    )


def _middle(
    buyers: Buyers,
    fit: bgnbd.Fit | None,
    money: gamma_gamma.Money | None,
    each: Numbers,
    ahead: float,
    worn: Numbers,
    rng: np.random.Generator,
) -> tuple[Numbers, Numbers]:
    """The middle 80 % of draws of what may come: parameters as uncertain as they are, then rate,
    drop-out, number of orders and their money."""
    fits = bgnbd.drawn_fits(fit, DRAWS, rng) if fit else []
    # Everybody's, once: in the loops each would be reckoned anew for every few thousand people.
    weights = buyers.t + (float(np.mean(buyers.t)) or 1.0)
    shapes = np.maximum(shrunken(buyers.x, buyers.t, 1.0) * weights, 1e-9)
    low, high = np.empty_like(each), np.empty_like(each)
    for start in range(0, len(each), 5_000):
        part = slice(start, start + 5_000)
        totals = np.empty((DRAWS, len(each[part])))
        for n in range(DRAWS):
            if fit:
                count = drawn_orders(
                    fits[n], buyers.x[part], buyers.t_x[part], buyers.t[part], ahead, rng
                )
            else:
                drawn = rng.gamma(shapes[part]) / weights[part]
                count = rng.poisson(drawn * ahead).astype(np.float64)
            totals[n] = _drawn_money(money, buyers, part, each, count, rng)
        low[part], high[part] = np.quantile(totals, (0.1, 0.9), axis=0) * worn[part]
    return low, high


def drawn_orders(
    fit: bgnbd.Fit, x: Numbers, t_x: Numbers, t: Numbers, ahead: float, rng: np.random.Generator
) -> Numbers:
    """One draw of the orders of each in the next ``ahead``: alive or not, then rate and drop-out
    given what was seen."""
    is_alive = rng.random(len(x)) < bgnbd.alive(fit, x, t_x, t)
    rate = rng.gamma(fit.r + x) / (fit.alpha + t)
    drop = np.maximum(rng.beta(fit.a, fit.b + x), 1e-12)
    count = np.minimum(rng.poisson(rate * ahead), rng.geometric(drop))
    return np.asarray(np.where(is_alive, count, 0), dtype=np.float64)


def _drawn_money(
    money: gamma_gamma.Money | None,
    buyers: Buyers,
    part: slice,
    each: Numbers,
    count: Numbers,
    rng: np.random.Generator,
) -> Numbers:
    shape = money.p if money else 1.0
    drawn = np.where(count > 0, rng.gamma(np.maximum(count * shape, 1e-9)), 0.0)
    if money is None:
        return np.asarray(drawn * np.maximum(each[part], 0.0), dtype=np.float64)
    seen = buyers.orders[part]
    scale = rng.gamma(money.p * seen + money.q) / (
        money.gamma + seen * np.maximum(buyers.margin[part], 0.0)
    )
    return np.asarray(drawn / scale, dtype=np.float64)


def _parameters(
    fit: bgnbd.Fit | None, money: gamma_gamma.Money | None, buyers: Buyers
) -> dict[str, Any]:
    again = buyers.x > 0
    linked = 0.0
    if int(np.sum(again)) > 2 and np.std(buyers.x[again]) > 0 and np.std(buyers.margin[again]) > 0:
        linked = float(np.corrcoef(buyers.x[again], buyers.margin[again])[0, 1])
    found: dict[str, Any] = {"frequency_money_correlation": round(linked, 3)}
    if fit is not None:
        errors = fit.standard_errors
        found["bgnbd"] = {
            name: [round(getattr(fit, name), 4), round(errors[n], 4) if errors else None]
            for n, name in enumerate(("r", "alpha", "a", "b"))
        }
        found["log_likelihood"] = round(fit.log_likelihood, 2)
    if money is not None:
        found["gamma_gamma"] = {
            "p": round(money.p, 4), "q": round(money.q, 4), "gamma": round(money.gamma, 2)
        }  # fmt: skip
    return found


def banded(value: Numbers) -> list[str]:
    """top is the best tenth, high the next fifth, middle the next two; equal values share the
    better band."""
    if not len(value):
        return []
    ordered = np.sort(value)
    better = len(value) - np.searchsorted(ordered, value, side="right")
    above = np.round(better / len(value), 9)
    return [next(name for most, name in BANDS if share < most) for share in above]
