"""From sums to sentences: what a result says, and what it does not say yet."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from pinwheel.insight.experiments import statistics as st
from pinwheel.insight.experiments.model import Guardrail, Metric, Plan
from pinwheel.insight.experiments.statistics import Effect, Moments, Sample

SRM_ALARM = 0.001
Verdict = Literal["too_little", "open", "better", "worse"]
Rail = Literal["too_little", "open", "kept", "breached"]


class Arm(msgspec.Struct, frozen=True, kw_only=True):
    """One variation on one metric. ``mean`` and its 95 % reach are of the arm alone; ``lift`` is
    relative to the control with its always-valid interval, ``gap`` the same in the metric's own
    unit; ``once`` is the naive interval, right only if nobody had looked before."""

    variation: str
    n: int
    mean: float | None
    lift: Effect
    gap: Effect
    once: Effect
    verdict: Verdict


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One metric over all variations. ``slope`` is CUPED's theta (0: not adjusted),
    ``variance_kept`` what it left of the variance."""

    metric: Metric
    arms: list[Arm]
    adjusted: bool = False
    variance_kept: float = 1.0


class RailState(msgspec.Struct, frozen=True):
    metric: str
    variation: str
    tolerance: float
    state: Rail
    lift: Effect


class Leak(msgspec.Struct, frozen=True):
    """What the clusters don't hold together. ``ties`` of those exposed, how many of them are
    ``cut``; ``units`` exposed, ``apart`` whose other groups were all sent their own way (only they
    are in the figures, weighted by how rare that is), ``wide`` who are tied to so many groups that
    they are in no figure."""

    ties: int
    cut: int
    units: int
    apart: int
    wide: int

    @property
    def share(self) -> float:
        return self.cut / self.ties if self.ties else 0.0


class Figures(msgspec.Struct, frozen=True, kw_only=True):
    """All figures of a phase. ``counts``: units exposed by variation, ``expected`` what the weights
    wanted, ``srm`` the p-value by chi-square and ``srm_anytime`` the one that may be looked at all
    the time; ``crossed``: people seen in two variations, in no figure; ``elsewhere``: orders in
    another currency, not counted; ``leak``: of cluster experiments, what the clusters cut."""

    at: dt.datetime
    counts: dict[str, int]
    expected: dict[str, float]
    srm: float
    srm_anytime: float
    crossed: int = 0
    elsewhere: int = 0
    leak: Leak | None = None
    lines: list[Line] = []
    rails: list[RailState] = []

    @property
    def is_mismatched(self) -> bool:
        """Did units come in other shares than planned? Then no figure can be believed."""
        return self.srm_anytime < SRM_ALARM or self.srm < SRM_ALARM / 10

    @property
    def breaches(self) -> list[RailState]:
        return [rail for rail in self.rails if rail.state == "breached"]


def judge_metric(metric: Metric, plan: Plan, moments: Mapping[str, Moments]) -> Line:
    """The line of one metric from the sums of each variation; a variation without units is empty.
    Cluster experiments bring sums over clusters: then every mean is a ratio to their size."""
    control, *others = [v.key for v in plan.variations]
    of = {v.key: moments.get(v.key, Moments(n=0)) for v in plan.variations}
    base = of[control]
    if metric.kind == "incremental":
        arms = [_incremental(plan, base, key, of[key], key == control) for key in of]
        return Line(metric=metric, arms=arms)
    arms, kept, adjusted = [], [], False
    for key in (control, *others):
        a, b, slope = _samples(metric, plan, base, of[key])
        if key != control and slope:
            adjusted = True
            plain = _sample(metric, plan, of[key]).variance
            kept.append(b.variance / plain if plain > 0 else 1.0)
        arms.append(_arm(metric, plan, key, a, b, key == control))
    return Line(metric=metric, arms=arms, adjusted=adjusted, variance_kept=min(kept, default=1.0))


def _sample(metric: Metric, plan: Plan, m: Moments) -> Sample:
    if plan.unit == "cluster":
        return st.clustered(m)
    if metric.kind == "ratio":
        return st.ratio(m)
    return st.proportion(m) if metric.kind == "proportion" else st.mean(m)


def _samples(metric: Metric, plan: Plan, a: Moments, b: Moments) -> tuple[Sample, Sample, float]:
    """Both arms, adjusted by CUPED where there is a pre-period and it helps; and the slope."""
    if metric.pre_days and metric.kind in ("mean", "proportion") and plan.unit != "cluster":
        is_share = metric.kind == "proportion"
        slope = st.theta(a, b, is_proportion=is_share)
        if slope:
            return (
                st.cuped(a, slope, is_proportion=is_share),
                st.cuped(b, slope, is_proportion=is_share),
                slope,
            )
    return _sample(metric, plan, a), _sample(metric, plan, b), 0.0


def _arm(metric: Metric, plan: Plan, key: str, a: Sample, b: Sample, is_control: bool) -> Arm:
    enough = min(a.n, b.n) >= plan.least
    if is_control:
        return _bare(key, b.n, b.plain if b.n >= plan.least else None)
    if not enough:
        return _bare(key, b.n, None)
    alpha = plan.alpha / (len(plan.variations) - 1)  # Bonferroni over the arms
    how = {"alpha": alpha, "horizon": plan.horizon}
    lift = st.always_valid(a, b, relative=True, **how)
    gap = st.always_valid(a, b, relative=False, **how)
    once = st.fixed(a, b, relative=True, alpha=alpha)
    return Arm(variation=key, n=b.n, mean=b.plain, lift=lift, gap=gap, once=once,
               verdict=verdict(metric, lift if lift.low is not None else gap))  # fmt: skip


def _bare(key: str, n: int, mean: float | None) -> Arm:
    """An arm that is compared with nothing."""
    said: Verdict = "too_little" if mean is None else "open"
    return Arm(variation=key, n=n, mean=mean, lift=st.NOTHING, gap=st.NOTHING, once=st.NOTHING,
               verdict=said)  # fmt: skip


def _incremental(plan: Plan, base: Moments, key: str, of: Moments, is_control: bool) -> Arm:
    enough = not is_control and min(base.n, of.n) >= plan.least
    effect = st.per_increment(base, of, alpha=plan.alpha) if enough else st.NOTHING
    known = effect.low is not None
    return Arm(variation=key, n=of.n, mean=effect.point if known else None, lift=st.NOTHING,
               gap=effect, once=st.NOTHING, verdict="open" if known else "too_little")  # fmt: skip


def verdict(metric: Metric, effect: Effect) -> Verdict:
    """Better or worse only when the whole interval says so."""
    if effect.low is None or effect.high is None:
        return "too_little"
    if effect.low > 0:
        return "better" if metric.better == "up" else "worse"
    if effect.high < 0:
        return "worse" if metric.better == "up" else "better"
    return "open"


def rail(guard: Guardrail, line: Line, arm: Arm) -> RailState:
    """Breached: the whole interval lies beyond the tolerance. Kept: the whole interval lies on
    this side of it. Anything else is open."""
    low, high = arm.lift.low, arm.lift.high
    state: Rail = "too_little"
    if low is not None and high is not None:
        if line.metric.better == "down":
            low, high = -high, -low
        state = "breached" if high < -guard.tolerance else "open"
        if low > -guard.tolerance:
            state = "kept"
    return RailState(guard.metric, arm.variation, guard.tolerance, state, arm.lift)


def rails(plan: Plan, lines: Sequence[Line]) -> list[RailState]:
    by_key = {line.metric.key: line for line in lines}
    return [
        rail(guard, by_key[guard.metric], arm)
        for guard in plan.guardrails
        if guard.metric in by_key
        for arm in by_key[guard.metric].arms[1:]
    ]


def expected_counts(
    plan: Plan, batches: Mapping[int, tuple[int, Mapping[str, int]]]
) -> dict[str, float]:
    """What the weights wanted, batch by batch: (units, weights) of each; a batch without weights of
    its own has the plan's."""
    wanted = dict.fromkeys((v.key for v in plan.variations), 0.0)
    for units, weights in batches.values():
        whole = sum(weights.get(v.key, v.weight) for v in plan.variations)
        for v in plan.variations:
            wanted[v.key] += units * weights.get(v.key, v.weight) / whole
    return wanted
