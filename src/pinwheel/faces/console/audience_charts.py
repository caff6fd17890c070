"""Where the lines of a chart lie, for pictures drawn by the server. Pure; units are those of the
picture's own box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pinwheel.insight.audience import Cell, Day, Migration, Overlap

WIDE, HIGH, LOW = 640.0, 150.0, 44.0
SQUARE = 320.0
HEATS = 9


class Bar(msgspec.Struct, frozen=True):
    x: float
    y: float
    width: float
    height: float


class Growth(msgspec.Struct, frozen=True):
    """A segment's size as a line over its area, entries above and exits below a middle line."""

    line: str
    area: str
    most: int
    entered: list[Bar]
    left: list[Bar]


class Dot(msgspec.Struct, frozen=True):
    x: float
    y: float
    name: str


class Plot(msgspec.Struct, frozen=True):
    """Predicted across, actual upwards; on the diagonal both are equal."""

    most: float
    model: list[Dot]
    baseline: list[Dot]


def growth(days: Sequence[Day]) -> Growth:
    """The days of a segment, the oldest first."""
    most = max((day.size for day in days), default=0) or 1
    step = WIDE / max(1, len(days) - 1)
    points = [(n * step, HIGH - 8 - (HIGH - 20) * day.size / most) for n, day in enumerate(days)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    tallest = max((max(day.entered, day.left) for day in days), default=0) or 1
    width = max(2.0, WIDE / max(1, len(days)) * 0.6)
    bars: tuple[list[Bar], list[Bar]] = ([], [])
    for n, day in enumerate(days):
        x = min(n * step, WIDE - width)
        for count, side, kept in ((day.entered, -1, bars[0]), (day.left, 1, bars[1])):
            if count:
                height = max(2.0, LOW / 2 * count / tallest)
                y = LOW / 2 - height if side < 0 else LOW / 2 + 1
                kept.append(Bar(round(x, 1), round(y, 1), round(width, 1), round(height, 1)))
    return Growth(line, f"0,{HIGH:.0f} {line} {WIDE:.0f},{HIGH:.0f}", most, *bars)


def plot(calibration: Mapping[str, Any]) -> Plot | None:
    """The deciles of a calibration; None without any."""
    points = calibration.get("deciles") or []
    if not points:
        return None
    has_model = calibration.get("model_error") is not None
    figures = [p["actual"] for p in points] + [p["baseline"] for p in points]
    most = max(figures + [p["model"] for p in points]) * 1.05 or 1.0

    def dots(by: str) -> list[Dot]:
        return [
            Dot(
                round(SQUARE * p[by] / most, 1),
                round(SQUARE * (1 - p["actual"] / most), 1),
                p["name"],
            )
            for p in points
        ]

    return Plot(most, dots("model") if has_model else [], dots("baseline"))


def heat(value: float, most: float) -> int:
    """0 for nothing, 1 to 9 by the square root of the share: small ones can be told apart."""
    if value <= 0 or most <= 0:
        return 0
    return max(1, min(HEATS, round(HEATS * float((value / most) ** 0.5))))


def grid(cells: Sequence[Cell]) -> list[list[tuple[Cell, int]]]:
    """Rows by recency, the best first; columns by frequency, the least first; each with heat."""
    by = {(cell.r, cell.f): cell for cell in cells}
    most = max((cell.people for cell in cells), default=0)
    rows = []
    for r in range(5, 0, -1):
        found = [by.get((r, f), Cell(r, f, 0, 0)) for f in range(1, 6)]
        rows.append([(cell, heat(cell.people, most)) for cell in found])
    return rows


def matrix(moves: Sequence[Migration], names: Sequence[str]) -> list[tuple[str, list[Any]]]:
    """Rows are what people were, columns what they are; each cell (people, heat, kind: same or
    moved)."""
    by = {(move.was, move.now): move.people for move in moves}
    most = max(by.values(), default=0)
    rows = []
    for was in ("", *names):
        cells = [(by.get((was, now), 0), heat(by.get((was, now), 0), most), was == now)
                 for now in (*names, "")]  # fmt: skip
        if any(count for count, _, _ in cells):
            rows.append((was, cells))
    return rows


def overlaps(
    ids: Sequence[Any], found: Sequence[Overlap]
) -> list[tuple[Any, list[tuple[int, int, int]]]]:
    """For each two segments: how many are in both, of 100 of the row's, and heat."""
    both = {(one.a, one.b): one.both for one in found} | {(o.b, o.a): o.both for o in found}
    rows = []
    for a in ids:
        size = both.get((a, a), 0)
        cells = []
        for b in ids:
            shared = both.get((a, b), 0)
            cells.append((shared, round(100 * shared / size) if size else 0,
                          heat(shared, size) if size else 0))  # fmt: skip
        rows.append((a, cells))
    return rows
