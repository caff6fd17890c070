"""The geometry of two pictures: intervals beside each other, and a lift over time with its
band. A picture says nothing that the table beside it does not say in words."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import msgspec

from pinwheel.insight.experiments import Effect, Line, Snapshot

WIDTH, HEIGHT = 600.0, 180.0


class Bar(msgspec.Struct, frozen=True):
    """An interval on the line's scale, 0 to 600; ``zero`` is where no difference lies."""

    variation: str
    low: float
    point: float
    high: float
    zero: float


class Day(msgspec.Struct, frozen=True):
    at: dt.datetime
    low: float
    point: float
    high: float


class Curve(msgspec.Struct, frozen=True):
    """``line`` and ``band`` are SVG paths in 600 by 180; ``zero`` the height of no difference;
    ``least`` and ``most`` the ends of the scale."""

    variation: str
    line: str
    band: str
    zero: float
    least: float
    most: float
    days: list[Day]


def shown_effect(line: Line, variation: str) -> Effect:
    """The lift, or the difference where there is no lift (a baseline of zero)."""
    arm = next(a for a in line.arms if a.variation == variation)
    return arm.lift if arm.lift.low is not None else arm.gap


def bars(line: Line) -> dict[str, Bar]:
    """The intervals of one metric on one scale around zero; none of those without one."""
    found = {a.variation: shown_effect(line, a.variation) for a in line.arms[1:]}
    known = {
        k: (e.low, e.point, e.high)
        for k, e in found.items()
        if e.low is not None and e.point is not None and e.high is not None
    }
    reach = max((abs(v) for three in known.values() for v in three), default=0.0) * 1.08 or 1.0

    def at(value: float) -> float:
        return round(WIDTH / 2 * (1 + value / reach), 1)

    return {
        k: Bar(k, at(low), at(point), at(high), at(0)) for k, (low, point, high) in known.items()
    }


def curve(series: Sequence[Snapshot], metric: str, variation: str) -> Curve | None:
    """How a lift and its interval have developed; None before there are two days of it."""
    days = []
    for snapshot in series:
        line = next((x for x in snapshot.figures.lines if x.metric.key == metric), None)
        arm = next((a for a in line.arms if a.variation == variation), None) if line else None
        if arm and arm.lift.low is not None and arm.lift.high is not None:
            days.append(Day(snapshot.at, arm.lift.low, arm.lift.point or 0.0, arm.lift.high))
    if len(days) < 2:
        return None
    # The first days may reach far beyond what is read: the scale is that of the later half.
    later = days[len(days) // 2 :]
    most = max(0.01, *(d.high for d in later)) * 1.25
    least = min(-0.01, *(d.low for d in later)) * 1.25
    start, end = days[0].at, days[-1].at
    whole = (end - start).total_seconds() or 1.0

    def x(day: Day) -> float:
        return round((day.at - start).total_seconds() / whole * WIDTH, 1)

    def y(value: float) -> float:
        inside = min(max(value, least), most)
        return round((most - inside) / (most - least) * HEIGHT, 1)

    line_path = "M" + "L".join(f"{x(d)} {y(d.point)}" for d in days)
    edge = [*((x(d), y(d.high)) for d in days), *((x(d), y(d.low)) for d in reversed(days))]
    band = "M" + "L".join(f"{a} {b}" for a, b in edge) + "Z"
    return Curve(variation, line_path, band, y(0), least, most, days)
