"""Plans of journeys: what sets one off, which steps follow, and what ends it."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import Event

DAY = 86_400
MOST_STEPS = 40
MOST_TRIES = 5
Name = Annotated[str, Meta(min_length=1, max_length=200)]
Kind = Annotated[str, Meta(max_length=100)]
Key = Annotated[str, Meta(max_length=100)]
Value = Annotated[str, Meta(max_length=2_000)]
Index = Annotated[int, Meta(ge=0, le=MOST_STEPS)]
Seconds = Annotated[int, Meta(ge=0, le=400 * DAY)]
BasisPoints = Annotated[int, Meta(ge=0, le=10_000)]


class Trigger(msgspec.Struct, frozen=True, kw_only=True):
    """``by`` event: each ``event`` of a person; entered or left: a ``segment_id``; date: everybody
    who is in the segment ``at`` that instant."""

    by: Literal["event", "entered", "left", "date"] = "event"
    event: Kind = ""
    segment_id: uuid.UUID | None = None
    at: dt.datetime | None = None


class Wait(msgspec.Struct, frozen=True, kw_only=True, tag="wait", tag_field="do"):
    """For a while."""

    seconds: Seconds = DAY


class Until(msgspec.Struct, frozen=True, kw_only=True, tag="until", tag_field="do"):
    """Until the clock of the shop next shows this."""

    hour: Annotated[int, Meta(ge=0, le=23)] = 10
    minute: Annotated[int, Meta(ge=0, le=59)] = 0


class Await(msgspec.Struct, frozen=True, kw_only=True, tag="await", tag_field="do"):
    """Until ``event`` happens to the person from now on; after ``seconds`` in vain on to
    ``otherwise``."""

    event: Kind
    seconds: Seconds = 7 * DAY
    otherwise: Index = MOST_STEPS


class Branch(msgspec.Struct, frozen=True, kw_only=True, tag="branch", tag_field="do"):
    """On when it is so, else to ``otherwise``. ``by`` segment: the person is in it now; fact: what
    set the journey off has ``value`` under ``key`` (or ``at_least`` as a number); share: this part
    of people, always the same ones; variation: ``key`` is an experiment, ``value`` a variation."""

    by: Literal["segment", "fact", "share", "variation"] = "segment"
    segment_id: uuid.UUID | None = None
    key: Key = ""
    value: Annotated[str, Meta(max_length=200)] = ""
    at_least: int | None = None
    basis_points: BasisPoints = 5_000
    otherwise: Index = MOST_STEPS


class Act(msgspec.Struct, frozen=True, kw_only=True, tag="act", tag_field="do"):
    """Do something to the person, once. ``action`` is message, webhook or what the house was given;
    ``cost_minor`` is spent from ``budget_id`` first. What can't be done leads to ``otherwise``
    (None: to the next step): the other channel."""

    action: Annotated[str, Meta(min_length=1, max_length=40)]
    settings: Annotated[dict[Key, Value], Meta(max_length=20)] = {}
    budget_id: uuid.UUID | None = None
    cost_minor: Annotated[int, Meta(ge=0, le=10**12)] = 0
    otherwise: Index | None = None


class Stop(msgspec.Struct, frozen=True, kw_only=True, tag="stop", tag_field="do"):
    """The end, before the last step."""


Step = Wait | Until | Await | Branch | Act | Stop


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """``again``: once for a person; each trigger; or not within ``again_days`` of the last entry.
    ``goal``: the kind of event that ends it well, counted for ``goal_days`` after the entry.
    ``most_acts`` of this journey altogether, ``most_a_week`` on one person over all journeys.
    ``quiet``: nothing is done in the quiet hours of marketing."""

    trigger: Trigger
    steps: Annotated[list[Step], Meta(min_length=1, max_length=MOST_STEPS)]
    again: Literal["once", "each", "after"] = "once"
    again_days: Annotated[int, Meta(ge=1, le=3650)] = 30
    goal: Kind | None = None
    goal_days: Annotated[int, Meta(ge=1, le=365)] = 14
    holdout_basis_points: Annotated[int, Meta(ge=0, le=9_000)] = 1_000
    most_acts: Annotated[int, Meta(ge=1, le=10**9)] | None = None
    most_a_week: Annotated[int, Meta(ge=1, le=1000)] = 5
    quiet: bool = True


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A person for whom a journey begins. ``key`` names what set it off."""

    person_id: uuid.UUID
    key: str
    facts: Mapping[str, Any] = {}
    is_held: bool = False


class Doing(msgspec.Struct, frozen=True, kw_only=True):
    """One act on one person. ``key`` is the same however often it is tried."""

    journey_id: uuid.UUID
    enrolment_id: uuid.UUID
    step: int
    person_id: uuid.UUID
    settings: Mapping[str, str]
    facts: Mapping[str, Any]

    @property
    def key(self) -> str:
        return f"{self.enrolment_id}:{self.step}"


# --- refusals


class PlanUnclear(Refusal):
    status = 422
    en = "Step {step} can't be taken: {why}."
    zh = "第 {step} 步无法执行：{why_zh}。"

    def __init__(self, step: int, why: str, why_zh: str) -> None:
        super().__init__(step=step, why=why, why_zh=why_zh)


class JourneyIs(Refusal):
    en = "Journey {name} is {state}: this is not possible now."
    zh = "旅程 {name} 当前为 {state}，无法执行此操作。"
    codes = {
        "state": {
            "draft": ("a draft", "草稿"),
            "live": ("running", "运行中"),
            "paused": ("paused", "已暂停"),
            "closed": ("closed", "已关闭"),
        }
    }


class CampaignIs(Refusal):
    en = "Campaign {name} is {state}: this is not possible any more."
    zh = "活动 {name} 当前为 {state}，无法执行此操作。"
    codes = {
        "state": {
            "draft": ("a draft", "草稿"),
            "scheduled": ("scheduled", "已排期"),
            "gathering": ("gathering its readers", "正在汇集收件人"),
            "sending": ("being sent", "发送中"),
            "sent": ("sent", "已发出"),
            "stopped": ("stopped", "已停止"),
        }
    }


class NobodyToWriteTo(Refusal):
    status = 422
    en = "A campaign needs a segment or a list of people."
    zh = "请为活动选择人群或填写名单。"


# --- events


class JourneyChanged(Event, frozen=True, kw_only=True):
    subject: ClassVar[str] = "journey_id"
    journey_id: uuid.UUID
    state: str
    version: int


class StepsDue(Event, frozen=True, kw_only=True):
    """Enrolments wait to be taken on."""


class LettersDue(Event, frozen=True, kw_only=True):
    """A campaign has people left to gather or to write to."""

    campaign_id: uuid.UUID


class HookAsked(Event, frozen=True, kw_only=True):
    """Tell ``url`` of a step, signed, under ``key`` each time."""

    subject: ClassVar[str] = "enrolment_id"
    journey_id: uuid.UUID
    enrolment_id: uuid.UUID
    person_id: uuid.UUID
    key: str
    url: str
    facts: dict[str, Any]


# --- rules


def checked(plan: Plan, events: Sequence[str], actions: Sequence[str]) -> None:
    """That a plan can be followed: it leads forward, and to what there is; else ``PlanUnclear``."""
    by = plan.trigger.by
    if by == "event" and plan.trigger.event not in events:
        raise PlanUnclear(0, f"nothing tells of {plan.trigger.event}", "没有该触发事件")
    if by != "event" and plan.trigger.segment_id is None:
        raise PlanUnclear(0, "name a segment", "请选择人群")
    if by == "date" and plan.trigger.at is None:
        raise PlanUnclear(0, "name a date", "请填写日期")
    if plan.goal is not None and plan.goal not in events:
        raise PlanUnclear(0, f"nothing tells of the goal {plan.goal}", "没有该目标事件")
    for n, step in enumerate(plan.steps):
        _check_step(plan, n, step, events, actions)


def _check_step(
    plan: Plan, n: int, step: Step, events: Sequence[str], actions: Sequence[str]
) -> None:
    target = getattr(step, "otherwise", None)
    if target is not None and not n < target:
        raise PlanUnclear(n + 1, "it leads backwards; steps only lead on", "只能跳转到后面的步骤")
    if isinstance(step, Await) and step.event not in events:
        raise PlanUnclear(n + 1, f"nothing tells of {step.event}", "没有该等待事件")
    if isinstance(step, Branch):
        if step.by == "segment" and step.segment_id is None:
            raise PlanUnclear(n + 1, "name a segment", "请选择人群")
        if step.by in ("fact", "variation") and not step.key:
            raise PlanUnclear(n + 1, "name what is looked at", "请填写判断的字段")
    if isinstance(step, Act):
        if step.action not in actions:
            raise PlanUnclear(n + 1, f"nobody can do {step.action}", "没有该动作")
        if (step.cost_minor > 0) != (step.budget_id is not None):
            raise PlanUnclear(
                n + 1, "a cost needs a budget, and a budget a cost", "成本与预算需同时填写"
            )


def at_clock(now: dt.datetime, hour: int, minute: int, zone: str) -> dt.datetime:
    """The next instant after ``now`` at which the clock of ``zone`` shows this."""
    local = now.astimezone(ZoneInfo(zone))
    wanted = dt.datetime.combine(local.date(), dt.time(hour, minute), ZoneInfo(zone))
    if wanted.astimezone(dt.UTC) <= now:
        tomorrow = local.date() + dt.timedelta(days=1)
        wanted = dt.datetime.combine(tomorrow, dt.time(hour, minute), ZoneInfo(zone))
    return wanted.astimezone(dt.UTC)


def holds(branch: Branch, facts: Mapping[str, Any]) -> bool:
    """Is a fact as the branch asks? One that is missing is not."""
    found = facts.get(branch.key)
    if found is None:
        return False
    if branch.at_least is not None:
        return isinstance(found, int | float) and found >= branch.at_least
    return str(found) == branch.value
