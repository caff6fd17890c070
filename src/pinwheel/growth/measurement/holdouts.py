"""Incrementality, pure: what a channel brings that would not have come without it.

Two kinds of evidence: people of a holdout to whom nothing was done, and days or regions on which a
channel was off as it had been planned before. Both compare like with like; attribution does not."""

from __future__ import annotations

import datetime as dt
import math
import statistics
from collections.abc import Collection, Mapping, Sequence

import msgspec

from pinwheel.insight.experiments import Effect, Sample, always_valid, fixed

LEAST_UNITS = 3


class Side(msgspec.Struct, frozen=True):
    """People of one side, and how many of them became buyers."""

    people: int
    won: int


class Lift(msgspec.Struct, frozen=True, kw_only=True):
    """New buyers that came because of the channel, with the 95 % interval (Welch); None where
    there is too little to tell. ``last_click`` is what last click says of the same time.
    ``is_stopped``: the trial was ended early, and its interval is the wider one that may be looked
    at at any time."""

    channel: str
    evidence: str  # 'holdout', 'days', 'regions'
    units: int
    buyers: float | None
    low: float | None
    high: float | None
    cost_minor: int = 0
    last_click: float | None = None
    is_stopped: bool = False

    @property
    def each_minor(self) -> float | None:
        """What each additional buyer cost."""
        return self.cost_minor / self.buyers if self.buyers and self.buyers > 0 else None

    @property
    def each_low_minor(self) -> float | None:
        return self.cost_minor / self.high if self.high and self.high > 0 else None

    @property
    def each_high_minor(self) -> float | None:
        """None: no end, the channel may bring nobody."""
        return self.cost_minor / self.low if self.low and self.low > 0 else None


def by_people(channel: str, treated: Side, held: Side, **more: object) -> Lift:
    """The difference of rates times the people treated."""
    found = fixed(_rate(held), _rate(treated), relative=False)
    return _lift(channel, "holdout", found, treated.people, treated.people + held.people, more)


def by_days(
    channel: str, won: Mapping[dt.date, int], off: Collection[dt.date], **more: object
) -> Lift:
    """New buyers a day while the channel was on less while it was off, times the days it was
    on."""
    on_days = [float(n) for day, n in won.items() if day not in off]
    off_days = [float(n) for day, n in won.items() if day in off]
    return _means(channel, "days", on_days, off_days, len(on_days), more)


def by_regions(
    channel: str,
    before: Mapping[str, int],
    during: Mapping[str, int],
    off: Collection[str],
    **more: object,
) -> Lift:
    """Difference in differences: how much each region changed against the same stretch before,
    regions where it was on less those where it was off, times those where it was on."""
    regions = sorted(before.keys() | during.keys() | set(off))  # none before, none now: no change
    change = {r: float(during.get(r, 0) - before.get(r, 0)) for r in regions}
    on = [c for r, c in change.items() if r not in off]
    held = [c for r, c in change.items() if r in off]
    return _means(channel, "regions", on, held, len(on), more)


def together(channel: str, parts: Sequence[Lift], **more: object) -> Lift:
    """Several holdouts of one channel: their effects add up, and so do their variances."""
    known = [
        (p.buyers, p.low, p.high)
        for p in parts
        if p.buyers is not None and p.low is not None and p.high is not None
    ]
    units = sum(p.units for p in parts)
    if not known:
        return msgspec.structs.replace(_nothing(channel, "holdout", units), **more)
    point = math.fsum(b for b, _, _ in known)
    reach = math.sqrt(math.fsum(((high - low) / 2) ** 2 for _, low, high in known))
    lift = Lift(
        channel=channel, evidence="holdout", units=units, buyers=point,
        low=point - reach, high=point + reach,
    )  # fmt: skip
    return msgspec.structs.replace(lift, **more)


def _rate(side: Side) -> Sample:
    rate = side.won / side.people if side.people else 0.0
    return Sample(side.people, rate, rate * (1 - rate), rate)


def _means(
    channel: str,
    evidence: str,
    on: Sequence[float],
    off: Sequence[float],
    times: int,
    more: Mapping[str, object],
) -> Lift:
    units = len(on) + len(off)
    if min(len(on), len(off)) < LEAST_UNITS:
        return msgspec.structs.replace(_nothing(channel, evidence, units), **more)
    samples = _sample(off), _sample(on)
    found = fixed(*samples, relative=False)
    if more.get("is_stopped"):
        found = always_valid(*samples, relative=False, horizon=units)
    return _lift(channel, evidence, found, times, units, more)


def _sample(values: Sequence[float]) -> Sample:
    mean = statistics.fmean(values)
    return Sample(len(values), mean, statistics.variance(values), mean, len(values) - 1)


def _lift(
    channel: str, evidence: str, found: Effect, times: int, units: int, more: Mapping[str, object]
) -> Lift:
    if found.point is None or found.low is None or found.high is None:
        lift = _nothing(channel, evidence, units)
    else:
        lift = Lift(
            channel=channel, evidence=evidence, units=units, buyers=found.point * times,
            low=found.low * times, high=found.high * times,
        )  # fmt: skip
    return msgspec.structs.replace(lift, **more)


def _nothing(channel: str, evidence: str, units: int) -> Lift:
    return Lift(channel=channel, evidence=evidence, units=units, buyers=None, low=None, high=None)
