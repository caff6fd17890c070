"""Experiments: nouns, refusals and facts. What a plan must be is checked here, purely."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from pinwheel.kernel.errors import Invalid, Refusal
from pinwheel.kernel.events import Event

WHOLE = 10_000  # shares are counted in basis points
Unit = Literal["person", "visitor", "cluster"]
Mode = Literal["fixed", "bandit"]
State = Literal["draft", "running", "stopped", "decided"]
Measure = Literal[
    "bought", "orders", "pieces", "revenue", "discount", "given", "reward", "contribution"
]
Kind = Literal["mean", "proportion", "ratio", "incremental"]
Key = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9-]{0,59}$")]
Share = Annotated[int, Meta(ge=0, le=WHOLE)]
TEXT = r"^[^\u0000]*$"  # what PostgreSQL can keep
Name = Annotated[str, Meta(min_length=1, max_length=200, pattern=TEXT)]
Label = Annotated[str, Meta(max_length=200, pattern=TEXT)]
Why = Annotated[str, Meta(min_length=3, max_length=2000, pattern=TEXT)]


class Variation(msgspec.Struct, frozen=True):
    """One of the things that are compared; the first of a plan is the control. ``weight``: its
    share of those taken in, in basis points."""

    key: Key
    weight: Share
    en: Label = ""
    zh: Label = ""


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured of each unit after its first exposure.

    ``mean`` and ``proportion`` average the numerator over units; ``ratio`` is the sum of one
    measure over the sum of another (delta method); ``incremental`` is the difference of one
    between the arms over the difference of the other (cost per incremental buyer).
    Orders count from ``from_days`` after exposure until ``window_days`` (0: until the phase ends);
    with a window only units are counted whose window is over. ``cap_minor`` or ``cap_quantile``
    winsorise the numerator (the quantile is of all values above zero). ``pre_days`` is the length
    of the pre-period of CUPED (0: none). ``margin_basis_points``: which part of the price before
    discounts is margin, for ``contribution``."""

    key: Key
    en: Name
    zh: Name
    kind: Kind
    numerator: Measure
    denominator: Measure | None = None
    better: Literal["up", "down"] = "up"
    from_days: Annotated[int, Meta(ge=0, le=730)] = 0
    window_days: Annotated[int, Meta(ge=0, le=730)] = 0
    pre_days: Annotated[int, Meta(ge=0, le=730)] = 0
    cap_minor: Annotated[int, Meta(ge=1, le=10**12)] | None = None
    cap_quantile: Annotated[float, Meta(gt=0.5, lt=1)] | None = None
    margin_basis_points: Share = WHOLE

    @property
    def is_money(self) -> bool:
        """Is the figure an amount in minor units?"""
        counts = ("bought", "orders", "pieces")
        over = self.denominator is None or self.denominator in counts
        return self.numerator not in counts and over


class Guardrail(msgspec.Struct, frozen=True):
    """A metric that must not get worse by more than ``tolerance`` (0.02 is two per cent)."""

    metric: Key
    tolerance: Annotated[float, Meta(ge=0, le=1)] = 0.0


METRICS: tuple[Metric, ...] = (
    Metric(key="buyers", en="Buyers", zh="购买人数占比", kind="proportion", numerator="bought",
           pre_days=28),
    Metric(key="orders", en="Orders per unit", zh="人均订单数", kind="mean", numerator="orders",
           pre_days=28),
    Metric(key="revenue", en="Revenue per unit, net of refunds", zh="人均净收入（扣除退款）",
           kind="mean", numerator="revenue", pre_days=28, cap_quantile=0.999),
    Metric(key="contribution", en="Contribution after rewards", zh="扣除奖励后的人均贡献",
           kind="mean", numerator="contribution", pre_days=28),
    Metric(key="basket", en="Revenue per order", zh="客单价", kind="ratio", numerator="revenue",
           denominator="orders"),
    Metric(key="retained", en="Bought again, day 30 to 60", zh="第30至60天复购占比",
           kind="proportion", numerator="bought", from_days=30, window_days=60),
    Metric(key="reward", en="Reward cost per unit", zh="人均奖励成本", kind="mean",
           numerator="reward", better="down"),
    Metric(key="cost-per-buyer", en="Reward cost per incremental buyer",
           zh="每新增一位买家的奖励成本", kind="incremental", numerator="reward",
           denominator="bought", better="down"),
)  # fmt: skip
"""The metrics every shop has. A shop adds its own with ``save_metrics``."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be found out, and how. ``layer``: a namespace whose experiments share nobody;
    ``layer_share`` is how much of it this one takes. ``holdout``: units who would be eligible and
    are kept out. ``rollout``: how many of the eligible are taken in, raised step by step.
    ``segments``: a unit must be in one of them (empty: everybody). ``horizon``: the number of
    units at which the always-valid interval is narrowest. Shares are basis points."""

    en: Name
    zh: Name
    hypothesis: Annotated[str, Meta(max_length=4000, pattern=TEXT)] = ""
    unit: Unit = "person"
    mode: Mode = "fixed"
    variations: Annotated[list[Variation], Meta(min_length=2, max_length=10)]
    layer: Key | None = None
    layer_share: Annotated[int, Meta(ge=1, le=WHOLE)] = WHOLE
    holdout: Share = 0
    rollout: Share = WHOLE
    segments: Annotated[list[uuid.UUID], Meta(max_length=50)] = []
    goal: Key = "buyers"
    metrics: Annotated[list[Key], Meta(max_length=20)] = []
    guardrails: Annotated[list[Guardrail], Meta(max_length=10)] = []
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] = "CNY"
    alpha: Annotated[float, Meta(ge=0.001, le=0.2)] = 0.05
    horizon: Annotated[int, Meta(ge=100, le=10**9)] = 5000
    least: Annotated[int, Meta(ge=2, le=10**7)] = 100  # units an arm must have before a figure
    floor: Annotated[int, Meta(ge=0, le=5000)] = 500  # bandit: no arm's share falls below

    def metric_keys(self) -> list[str]:
        """The goal first, then the others, each once."""
        every = [self.goal, *self.metrics, *(g.metric for g in self.guardrails)]
        return list(dict.fromkeys(every))


def check(plan: Plan, known: dict[str, Metric]) -> None:
    """Refuse (``Invalid``) a plan that can't be run."""
    keys = [v.key for v in plan.variations]
    if len(set(keys)) < len(keys):
        raise Invalid("variations", "two have the same key", "有两个方案的代号相同")
    if sum(v.weight for v in plan.variations) != WHOLE:
        raise Invalid(
            "variations",
            f"the weights must sum to {WHOLE} basis points (100 %)",
            f"各方案权重之和必须为 {WHOLE} 基点（100%）",
        )
    if any(v.weight == 0 for v in plan.variations):
        raise Invalid("variations", "a weight must be above 0", "权重必须大于 0")
    for key in plan.metric_keys():
        if key not in known:
            raise Invalid("metrics", f"there is no metric {key}", f"没有指标 {key}")
    if known[plan.goal].kind == "incremental":
        raise Invalid(
            "goal",
            "a cost per incremental buyer can't be the goal; take contribution",
            "“每新增买家成本”不能作为目标，请选择“贡献”",
        )
    if plan.mode == "bandit" and plan.floor * len(keys) > WHOLE:
        raise Invalid("floor", "the floors sum to more than 100 %", "各方案下限之和超过 100%")
    if plan.mode == "bandit" and plan.unit == "cluster":
        raise Invalid("mode", "a bandit needs single units", "多臂老虎机模式不支持按群组分流")


def check_metric(metric: Metric) -> None:
    """Refuse a metric that says two things."""
    if (metric.kind in ("ratio", "incremental")) != (metric.denominator is not None):
        raise Invalid(
            "denominator",
            "a ratio has a denominator, a mean has none",
            "比率类指标必须有分母，均值类不能有分母",
        )
    if metric.kind == "proportion" and metric.numerator != "bought":
        raise Invalid(
            "numerator", "a proportion is of those who bought", "占比指标只能统计是否购买"
        )
    if metric.window_days and metric.from_days >= metric.window_days:
        raise Invalid("window_days", "the window ends before it begins", "统计窗口的结束早于开始")
    if metric.cap_minor is not None and metric.cap_quantile is not None:
        raise Invalid("cap_quantile", "cap by one or the other", "封顶方式只能选择一种")


class Slots(msgspec.Struct, frozen=True):
    """``first`` to before ``end`` of a layer's 10,000 places."""

    first: int
    end: int


def room(taken: list[Slots], share: int) -> list[Slots] | None:
    """The first free places of a layer, ``share`` in all; None when there are too few."""
    found: list[Slots] = []
    at = 0
    for one in [*sorted(taken, key=lambda s: s.first), Slots(WHOLE, WHOLE)]:
        if share and one.first > at:
            width = min(share, one.first - at)
            found.append(Slots(at, at + width))
            share -= width
        at = max(at, one.end)
    return found if share == 0 else None


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of a running experiment with one salt, one plan and one set of metrics, none of
    which changes. ``rollout`` may only rise. ``global_holdout`` as it was at the start."""

    experiment_id: uuid.UUID
    number: int
    salt: str
    plan: Plan
    metrics: list[Metric]
    slots: list[Slots]
    layer_salt: str
    rollout: int
    global_holdout: int
    started_at: dt.datetime
    ended_at: dt.datetime | None


class Experiment(msgspec.Struct, frozen=True, kw_only=True):
    """``phase`` is the number of the newest one, 0 while a draft. ``winner``: what was decided."""

    id: uuid.UUID
    key: str
    state: State
    plan: Plan
    phase: int
    winner: str | None
    created_at: dt.datetime
    changed_at: dt.datetime


class Step(msgspec.Struct, frozen=True):
    """Who did what to an experiment, when and why. ``facts``: what it was decided on."""

    at: dt.datetime
    actor: str
    what: str
    why: str
    facts: dict[str, Any]


class Batch(msgspec.Struct, frozen=True):
    """The weights of a bandit from ``at`` on, by variation, with the figures they come from."""

    number: int
    at: dt.datetime
    weights: dict[str, int]
    reasons: dict[str, Any]


class Subject(msgspec.Struct, frozen=True):
    """Whom an assignment is for: a person's or a visitor's id. ``cluster_id``: their team or
    component, when the caller knows it; ``segments``: the segments they are in; ``person_id``: the
    person behind a visitor, when known."""

    id: uuid.UUID
    cluster_id: uuid.UUID | None = None
    person_id: uuid.UUID | None = None
    segments: frozenset[uuid.UUID] = frozenset()


Reason = Literal[
    "assigned", "sticky", "forced", "decided", "not_running", "segment", "global_holdout", "layer",
    "holdout", "rollout",
]  # fmt: skip


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """What a unit gets, and why. ``variation`` None: nothing of this experiment, the shop as it is.
    Only what ``counts`` may be exposed: forced, decided and left-out units are in no figure."""

    experiment_id: uuid.UUID
    phase: int
    batch: int
    subject_id: uuid.UUID
    cluster_id: uuid.UUID | None
    person_id: uuid.UUID | None
    variation: str | None
    reason: Reason

    @property
    def counts(self) -> bool:
        return self.variation is not None and self.reason in ("assigned", "sticky")


class Reward(msgspec.Struct, frozen=True, kw_only=True):
    """What was given outside of a price (a gift, credit, cash), in minor units. ``source_id``
    is its document: the same one is counted once."""

    source_id: uuid.UUID
    subject_id: uuid.UUID
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    amount_minor: Annotated[int, Meta(ge=1, le=10**12)]


class ExperimentRunning(Refusal):
    en = (
        "The experiment {key} has begun: its salt, weights and metrics stay as they are. Begin a "
        "new phase instead."
    )
    zh = "实验 {key} 已经开始，分流盐值、权重和指标不可更改。请改为开启新阶段。"


class WrongState(Refusal):
    en = "The experiment {key} is {state}; this takes one that is {wanted_en}."
    zh = "实验 {key} 当前状态为{state}，此操作要求状态为{wanted_zh}。"
    codes = {
        "state": {
            "draft": ("a draft", "草稿"),
            "running": ("running", "进行中"),
            "stopped": ("stopped", "已停止"),
            "decided": ("decided", "已下结论"),
        }
    }

    def __init__(self, key: str, state: str, *wanted: str) -> None:
        said = [self.codes["state"][one] for one in wanted]
        super().__init__(
            key=key,
            state=state,
            wanted=" / ".join(wanted),
            wanted_en=" or ".join(en for en, _ in said),
            wanted_zh="或".join(zh for _, zh in said),
        )


class KeyTaken(Refusal):
    en = "There is an experiment {key} already. Choose another key."
    zh = "代号 {key} 已被其他实验使用，请换一个。"


class LayerFull(Refusal):
    en = "The layer {layer} has no room for {share} basis points. Stop an experiment of it first."
    zh = "互斥层 {layer} 已没有 {share} 基点的空间。请先停止该层中的其他实验。"


class LayerUnit(Refusal):
    en = "The layer {layer} splits by {unit}; units of another kind would not be kept apart."
    zh = "互斥层 {layer} 按 {unit} 分流；其他类型的单位无法互斥。"


class RampDown(Refusal):
    en = "The share was {now} basis points and may only rise: nobody is put out who is in."
    zh = "当前放量为 {now} 基点，只能调高：已进入实验的单位不会被移出。"


class Blocked(Refusal):
    en = "Nothing can be decided: {why}. Find the cause and begin a new phase."
    zh = "暂时不能得出结论：{why_zh}。请查明原因并开启新阶段。"


class ExperimentStarted(Event, frozen=True, kw_only=True):
    """A phase began."""

    subject: ClassVar[str] = "experiment_id"
    experiment_id: uuid.UUID
    key: str
    phase: int


class ExperimentStopped(Event, frozen=True, kw_only=True):
    subject: ClassVar[str] = "experiment_id"
    experiment_id: uuid.UUID
    key: str
    phase: int


class ExperimentDecided(Event, frozen=True, kw_only=True):
    """``winner`` None: the shop stays as it was."""

    subject: ClassVar[str] = "experiment_id"
    experiment_id: uuid.UUID
    key: str
    winner: str | None


class ResultsDue(Event, frozen=True, kw_only=True):
    """The figures of an experiment are to be made anew."""

    subject: ClassVar[str] = "experiment_id"
    experiment_id: uuid.UUID
