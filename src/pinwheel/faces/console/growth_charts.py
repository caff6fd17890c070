"""The geometry of growth's pictures, drawn by the server. What a picture shows stands in the table
beside it too."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from pinwheel.growth.measurement import Curve, Interval
from pinwheel.insight.experiments import Effect

WIDE, HIGH, TOP = 640.0, 200.0, 12.0
NAMES_MOST = 5
REACH_MOST = 3.0  # an interval is drawn to so many times the highest figure


class Dot(msgspec.Struct, frozen=True):
    """A figure with its interval; ``is_open``: not all of it is known yet."""

    x: float
    low: float
    y: float
    high: float
    is_open: bool = False
    name: str = ""


class Tick(msgspec.Struct, frozen=True):
    """A level that is named at the side."""

    at: float
    value: float
    text: str


class Plot(msgspec.Struct, frozen=True):
    """``line`` is a path through the points, ``other`` a second one; ``mark``: the height of a
    level that is drawn across; ``most``: the figure at the top."""

    dots: list[Dot]
    line: str
    other: str
    mark: float | None
    most: float

    @property
    def ticks(self) -> list[Tick]:
        """Nothing and up to four round figures above it."""
        step = round_step(self.most / 4)
        values = [n * step for n in range(int(self.most / step) + 1)] if self.dots else []
        return [Tick(round(HIGH - (HIGH - TOP) * v / self.most, 1), v, f"{v:g}") for v in values]

    @property
    def named(self) -> list[Dot]:
        """As many names below the dots as can be read beside each other, the last one always."""
        apart = max(1, -(-len(self.dots) // NAMES_MOST))
        return self.dots[::-1][::apart][::-1]


def round_step(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is not less; a figure is more than 0."""
    power: float = 10.0 ** math.floor(math.log10(least))
    return next(power * n for n in (1, 2, 5, 10) if power * n >= least * (1 - 1e-9))


def _path(points: Sequence[tuple[float, float | None]]) -> str:
    """Through the points that are known; a gap where one is not."""
    out, is_on = [], False
    for x, y in points:
        if y is None:
            is_on = False
            continue
        out.append(f"{'L' if is_on else 'M'}{x:.1f} {y:.1f}")
        is_on = True
    return "".join(out)


def intervals(found: Sequence[tuple[str, Interval, bool]], mark: float | None = None) -> Plot:
    """(name, figure, whether it is still open) from left to right, the scale from 0."""
    if not found:
        return Plot([], "", "", None, 1.0)
    ends = sorted(i.high if i.high is not None else i.point * 2 for _, i, _ in found)
    # A wide interval does not make all figures flat: it runs out at the top.
    highest = max(max(i.point for _, i, _ in found), mark or 0.0)
    scale = max(min(ends[int(len(ends) * 0.8)], highest * REACH_MOST), highest)
    most = scale * 1.1 or 1.0
    step = WIDE / len(found)

    def y(value: float | None) -> float:
        share = 1.0 if value is None else min(1.0, value / most)
        return round(HIGH - (HIGH - TOP) * share, 1)

    dots = [
        Dot(round(step * (n + 0.5), 1), y(i.low), y(i.point), y(i.high), is_open, name)
        for n, (name, i, is_open) in enumerate(found)
    ]
    line = _path([(d.x, d.y) for d in dots])
    return Plot(dots, line, "", None if mark is None else y(mark), most)


def marginal(curve: Curve) -> Plot | None:
    """What one more costs as dots with intervals, the average as the second line; None before there
    are two steps."""
    steps = curve.steps
    known = [s.each_minor for s in steps if s.each_minor is not None]
    if len(steps) < 2 or not known:
        return None
    found = [
        (
            s.until.date().isoformat(),
            Interval(
                s.each_minor if s.each_minor is not None else max(known) * 1.2,
                s.low_minor,
                s.high_minor,
                s.buyers,
            ),
            s.each_minor is None,
        )
        for s in steps
    ]
    drawn = intervals(found)
    step = WIDE / len(steps)
    other = _path(
        [
            (
                step * (n + 0.5),
                None
                if s.average_minor is None
                else HIGH - (HIGH - TOP) * min(1.0, s.average_minor / drawn.most),
            )
            for n, s in enumerate(steps)
        ]
    )
    return msgspec.structs.replace(drawn, other=other)


class Span(msgspec.Struct, frozen=True):
    """An interval on a line from 0 to 100."""

    low: float
    point: float
    high: float
    mark: float | None


def span(found: Interval | None, mark: float, reach: float | None = None) -> Span | None:
    """Where a figure and its interval lie, and where ``mark`` does."""
    if found is None:
        return None
    high = found.high if found.high is not None else max(found.point * 2, mark * 2)
    most = reach or max(high, mark) * 1.1 or 1.0

    def at(value: float) -> float:
        return round(min(100.0, 100 * max(0.0, value) / most), 1)

    return Span(at(found.low), at(found.point), at(high), at(mark))


class Reach(msgspec.Struct, frozen=True):
    """An interval beside a zero that all of them share, on a line from 0 to 100."""

    low: float
    point: float
    high: float
    zero: float
    tells: bool


def forest(effects: Sequence[Effect]) -> list[Reach | None]:
    """Effects under each other on one scale; None for one that says nothing. ``tells``: zero lies
    outside of its interval."""
    known = [e for e in effects if e.low is not None and e.high is not None]
    if not known:
        return [None for _ in effects]
    least = min(0.0, *(e.low for e in known if e.low is not None))
    most = max(0.0, *(e.high for e in known if e.high is not None))
    width = (most - least) or 1.0

    def at(value: float) -> float:
        return round(100 * (value - least) / width, 1)

    return [
        None
        if e.point is None or e.low is None or e.high is None
        else Reach(at(e.low), at(e.point), at(e.high), at(0.0), e.low > 0 or e.high < 0)
        for e in effects
    ]
