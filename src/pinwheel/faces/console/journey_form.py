"""A journey as a form and as a drawing: rows in order, usable without JavaScript.

Each row has a place; rows are sorted by it, so a step is put between two others by writing a number
between theirs (2.5), and taken out by choosing nothing. "Otherwise" names the place to go to."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Sequence
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from pinwheel.faces.console.moments import in_zone
from pinwheel.growth.journeys import (
    MOST_STEPS,
    Act,
    Await,
    Branch,
    Plan,
    Stop,
    Trigger,
    Until,
    Wait,
)
from pinwheel.kernel.errors import Invalid

UNITS = {"minutes": 60, "hours": 3_600, "days": 86_400}
SPARE_ROWS = 2
Cell = Annotated[str, Meta(max_length=2_000)]
Column = Annotated[list[Cell], Meta(max_length=MOST_STEPS + SPARE_ROWS)]


class JourneyForm(msgspec.Struct, kw_only=True):
    """Columns hold one cell for each row."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    trigger: str = "event"
    event: str = ""
    segment_id: uuid.UUID | None = None
    at: dt.datetime | None = None
    again: str = "once"
    again_days: Annotated[int, Meta(ge=1, le=3650)] = 30
    goal: str = ""
    goal_days: Annotated[int, Meta(ge=1, le=365)] = 14
    holdout_percent: Annotated[int, Meta(ge=0, le=90)] = 10
    most_a_week: Annotated[int, Meta(ge=1, le=1000)] = 5
    most_acts: int | None = None
    quiet: bool = False
    place: Column = []
    do: Column = []
    amount: Column = []
    unit: Column = []
    hour: Column = []
    awaited: Column = []
    by: Column = []
    segment: Column = []
    key: Column = []
    value: Column = []
    percent: Column = []
    action: Column = []
    template: Column = []
    url: Column = []
    promotion: Column = []
    otherwise: Column = []


class Row(msgspec.Struct, kw_only=True):
    """One row as it stands in the form."""

    place: str = ""
    do: str = ""
    amount: str = ""
    unit: str = "days"
    hour: str = ""
    awaited: str = ""
    by: str = "segment"
    segment: str = ""
    key: str = ""
    value: str = ""
    percent: str = ""
    action: str = "message"
    template: str = ""
    url: str = ""
    promotion: str = ""
    otherwise: str = ""


def plan_of(form: JourneyForm, zone: ZoneInfo) -> Plan:
    """The plan that a form says; ``Invalid`` with the row where it can't be read."""
    rows = [row for row in _rows(form) if row.do]
    rows.sort(key=lambda row: _number(row.place, "place"))
    places = [_number(row.place, "place") for row in rows]
    try:
        return msgspec.convert(
            msgspec.to_builtins(
                Plan(
                    trigger=Trigger(
                        by=form.trigger,  # type: ignore[arg-type]
                        event=form.event if form.trigger == "event" else "",
                        segment_id=form.segment_id if form.trigger != "event" else None,
                        at=in_zone(form.at, zone) if form.trigger == "date" else None,
                    ),
                    steps=[_step(row, places) for row in rows],
                    again=form.again,  # type: ignore[arg-type]
                    again_days=form.again_days,
                    goal=form.goal or None,
                    goal_days=form.goal_days,
                    holdout_basis_points=form.holdout_percent * 100,
                    most_acts=form.most_acts,
                    most_a_week=form.most_a_week,
                    quiet=form.quiet,
                )
            ),
            Plan,
        )
    except msgspec.ValidationError as error:
        raise Invalid("plan", str(error), f"旅程内容不符合要求（{error}）") from error


def _rows(form: JourneyForm) -> list[Row]:
    columns = {name: getattr(form, name) for name in Row.__struct_fields__}
    count = len(form.do)
    if any(len(cells) not in (0, count) for cells in columns.values()):
        raise Invalid("do", "the rows of the form are not whole", "表单行不完整")
    return [
        Row(**{name: cells[n].strip() for name, cells in columns.items() if cells})
        for n in range(count)
    ]


def _number(text: str, where: str) -> float:
    try:
        return float(text or "0")
    except ValueError as error:
        raise Invalid(where, f"{text} is not a number", f"{text} 不是数字") from error


def _whole(text: str, where: str, otherwise: int) -> int:
    return int(_number(text, where)) if text else otherwise


def _step(row: Row, places: Sequence[float]) -> Any:
    target = None
    if row.otherwise:
        wanted = _number(row.otherwise, "otherwise")
        target = sum(place < wanted for place in places)
    seconds = round(_number(row.amount, "amount") * UNITS.get(row.unit, 86_400))
    beyond = MOST_STEPS if target is None else target
    if row.do == "wait":
        return Wait(seconds=seconds)
    if row.do == "until":
        return Until(hour=_whole(row.hour, "hour", 10))
    if row.do == "await":
        return Await(event=row.awaited, seconds=seconds, otherwise=beyond)
    if row.do == "branch":
        return _branch(row, beyond)
    if row.do == "act":
        kept = {"template": row.template, "url": row.url, "promotion": row.promotion}
        return Act(
            action=row.action, settings={k: v for k, v in kept.items() if v}, otherwise=target
        )
    return Stop()


def _branch(row: Row, beyond: int) -> Branch:
    is_number = row.value.startswith(">=")
    try:
        segment_id = uuid.UUID(row.segment) if row.segment else None
    except ValueError as error:
        raise Invalid("segment", "choose a segment", "请选择人群") from error
    return Branch(
        by=row.by,  # type: ignore[arg-type]
        segment_id=segment_id if row.by == "segment" else None,
        key=row.key,
        value="" if is_number else row.value,
        at_least=_whole(row.value[2:].strip(), "value", 0) if is_number else None,
        basis_points=round(_number(row.percent or "50", "percent") * 100),
        otherwise=beyond,
    )


def rows_of(plan: Plan | None) -> list[Row]:
    """The rows of a form that says this plan, and a few empty ones."""
    steps = plan.steps if plan is not None else []
    rows = [_row(n, step, len(steps)) for n, step in enumerate(steps)]
    spare = min(SPARE_ROWS if steps else 5, MOST_STEPS - len(rows))
    return rows + [Row(place=str(len(rows) + n + 1)) for n in range(spare)]


def _row(n: int, step: Any, count: int) -> Row:
    target = getattr(step, "otherwise", None)
    row = Row(place=str(n + 1), do=str(msgspec.to_builtins(step)["do"]))
    if target is not None and target < count:
        row.otherwise = str(target + 1)
    if isinstance(step, Wait | Await):
        row.unit = next(u for u in ("days", "hours", "minutes") if not step.seconds % UNITS[u])
        row.amount = str(step.seconds // UNITS[row.unit])
    if isinstance(step, Until):
        row.hour = str(step.hour)
    if isinstance(step, Await):
        row.awaited = step.event
    if isinstance(step, Branch):
        row.by, row.key, row.percent = step.by, step.key, f"{step.basis_points / 100:g}"
        row.segment = str(step.segment_id or "")
        row.value = step.value if step.at_least is None else f">={step.at_least}"
    if isinstance(step, Act):
        row.action = step.action
        row.template = step.settings.get("template", "")
        row.url = step.settings.get("url", "")
        row.promotion = step.settings.get("promotion", "")
    return row


class Node(msgspec.Struct, frozen=True):
    """A box of the drawing: ``kind`` gives its look, ``lines`` are its words."""

    kind: str
    y: int
    title: str
    note: str


class Edge(msgspec.Struct, frozen=True):
    """An arrow; ``lane`` 0 goes straight down, others around on the right."""

    start: int
    end: int
    lane: int
    label: str


class Flow(msgspec.Struct, frozen=True):
    nodes: list[Node]
    edges: list[Edge]
    height: int


STEP = 84
BOX = 56


def flow_of(plan: Plan, say: Callable[[str], str], names: dict[str, str]) -> Flow:
    """The drawing of a plan: one box below the other, detours on the right."""
    trigger = plan.trigger
    begins = names.get(str(trigger.segment_id), trigger.event) or trigger.by
    nodes = [Node("trigger", 0, say("Begins"), begins)]
    for n, step in enumerate(plan.steps):
        nodes.append(Node(*_box(step, n, say, names)))
    last = len(plan.steps) + 1
    nodes.append(Node("end", last * STEP, say("End"), plan.goal or ""))
    edges, lane = [Edge(0, 1, 0, "")], 0
    for n, step in enumerate(plan.steps, 1):
        two_ways = isinstance(step, Branch | Await)
        target = getattr(step, "otherwise", None)
        if isinstance(step, Stop):
            if n + 1 < last:
                lane += 1
                edges.append(Edge(n, last, lane, ""))
            else:
                edges.append(Edge(n, last, 0, ""))
            continue
        edges.append(Edge(n, n + 1, 0, say("yes") if two_ways else ""))
        if target is not None:
            lane += 1
            label = say("no") if two_ways else say("can't be done")
            edges.append(Edge(n, min(target + 1, last), lane, label))
    return Flow(nodes, edges, last * STEP + BOX)


def _box(
    step: Any, n: int, say: Callable[[str], str], names: dict[str, str]
) -> tuple[str, int, str, str]:
    row, y = _row(n, step, MOST_STEPS), (n + 1) * STEP
    number = f"{n + 1}. "
    if isinstance(step, Wait):
        return "wait", y, number + say("Wait"), f"{row.amount} {say(row.unit)}"
    if isinstance(step, Until):
        return "wait", y, number + say("Wait until"), f"{step.hour:02d}:{step.minute:02d}"
    if isinstance(step, Await):
        note = f"{step.event} · {row.amount} {say(row.unit)}"
        return "wait", y, number + say("Wait for"), note
    if isinstance(step, Branch):
        about = {
            "segment": names.get(row.segment, row.segment),
            "fact": f"{step.key} {row.value}",
            "share": f"{row.percent} %",
            "variation": f"{step.key}: {step.value}",
        }[step.by]
        return "branch", y, number + say("Is it so?"), about
    if isinstance(step, Act):
        about = row.template or row.url or names.get(row.promotion, row.promotion)
        deed = {"message": "Letter", "webhook": "Call", "benefit": "Coupon"}
        return "act", y, number + say(deed.get(step.action, step.action)), about
    return "end", y, number + say("Stop"), ""
