"""Experiments: what is tried, what came of it, and what was decided."""

from __future__ import annotations

import re
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.faces.console.choices import segment_choices
from pinwheel.faces.console.experiments_charts import bars, curve
from pinwheel.faces.console.frame import attempt, names_of, shown, with_query
from pinwheel.insight import experiments
from pinwheel.insight.experiments import Guardrail, Metric, Plan, Results, State, Variation
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid, NotFound, Refusal
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, See, get, post

SCOPE = "experiments"
STATES: tuple[State, ...] = ("draft", "running", "stopped", "decided")
ROWS = 4  # variations a form has room for
Text = Annotated[str, Meta(max_length=4000)]
Percent = Annotated[float, Meta(ge=0, le=100)]
PATH = "/console/experiments"
WHOLE = 10_000


@get("/console/experiments", scope=SCOPE)
async def experiment_list(
    call: Call, tx: Tx, state: str = "", after: str | None = None
) -> Answer[Page[experiments.Experiment]]:
    """Every experiment, the newest first."""
    chosen = next((one for one in STATES if one == state), None)
    found = await experiments.experiments(tx, state=chosen, cursor=after)
    state = chosen or ""
    return await shown(
        call,
        tx,
        found,
        "experiments",
        call.say("Experiments"),
        "experiments",
        state=state,
        states=STATES,
        global_holdout=await experiments.global_holdout(tx),
        next_path=with_query(PATH, state=state, after=found.next) if found.next else None,
        first_path=with_query(PATH, state=state) if after else None,
    )


class ResultsDesk(msgspec.Struct, frozen=True):
    """What is known, and who did what. ``exposed``: units that were randomised."""

    results: Results
    steps: list[experiments.Step]
    batches: list[experiments.Batch]
    exposed: int


@get("/console/experiments/{key:str}", scope=SCOPE)
async def experiment_page(call: Call, tx: Tx, key: str) -> Answer[ResultsDesk]:
    """One experiment with its figures as they were last made."""
    found = await experiments.results(tx, known(key))
    of = found.experiment
    figures = found.figures
    desk = ResultsDesk(
        results=found,
        steps=await experiments.steps(tx, of.id),
        batches=await experiments.batches(tx, of.id, of.phase)
        if of.plan.mode == "bandit" and of.phase
        else [],
        exposed=sum(figures.counts.values()) if figures else 0,
    )
    plan = found.phase.plan if found.phase else of.plan
    goal = [v.key for v in plan.variations[1:]]
    return await shown(
        call,
        tx,
        desk,
        "experiment",
        of.plan.zh if call.language.startswith("zh") else of.plan.en,
        "experiments",
        of=of,
        plan=plan,
        phase=found.phase,
        figures=figures,
        bars={line.metric.key: bars(line) for line in figures.lines} if figures else {},
        curves=[c for v in goal if (c := curve(found.series, plan.goal, v)) is not None],
        names=await names_of(tx, {s.actor for s in desk.steps}),
        whole=WHOLE,
    )


def known(key: str) -> str:
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,59}", key):
        raise NotFound(what="experiment")
    return key


class DraftForm(msgspec.Struct, kw_only=True):
    """The whole plan as a form has it; shares in per cent. A row without a key is no variation."""

    key: Annotated[str, Meta(max_length=60)] = ""
    is_new: bool = False
    en: Annotated[str, Meta(max_length=200)] = ""
    zh: Annotated[str, Meta(max_length=200)] = ""
    hypothesis: Text = ""
    unit: Annotated[str, Meta(max_length=20)] = "person"
    mode: Annotated[str, Meta(max_length=20)] = "fixed"
    currency: Annotated[str, Meta(max_length=3)] = "CNY"
    v_key: Annotated[list[str], Meta(max_length=10)] = []
    v_weight: Annotated[list[str], Meta(max_length=10)] = []
    v_en: Annotated[list[str], Meta(max_length=10)] = []
    v_zh: Annotated[list[str], Meta(max_length=10)] = []
    layer: Annotated[str, Meta(max_length=60)] = ""
    layer_share: Percent = 100
    holdout: Percent = 0
    rollout: Percent = 100
    segments: Annotated[list[UUID], Meta(max_length=100)] = []
    goal: Annotated[str, Meta(max_length=60)] = "buyers"
    metrics: Annotated[list[str], Meta(max_length=20)] = []
    guardrails: Annotated[list[str], Meta(max_length=10)] = []
    tolerance: Percent = 2
    alpha: Annotated[float, Meta(ge=0.1, le=20)] = 5
    horizon: Annotated[int, Meta(ge=100, le=10**9)] = 5000
    least: Annotated[int, Meta(ge=2, le=10**7)] = 100


def plan_of(form: DraftForm) -> Plan:
    """The plan that a form says; ``Invalid`` names the field."""
    rows = zip(form.v_key, form.v_weight, form.v_en, form.v_zh, strict=False)
    try:
        plan = Plan(
            en=form.en.strip(),
            zh=form.zh.strip(),
            hypothesis=form.hypothesis.strip(),
            unit=form.unit,  # type: ignore[arg-type]
            mode=form.mode,  # type: ignore[arg-type]
            variations=[
                Variation(key.strip(), round(float(weight.replace(",", ".")) * 100), en, zh)
                for key, weight, en, zh in rows
                if key.strip()
            ],
            layer=form.layer.strip() or None,
            layer_share=round(form.layer_share * 100),
            holdout=round(form.holdout * 100),
            rollout=round(form.rollout * 100),
            segments=form.segments,
            goal=form.goal,
            metrics=[m for m in form.metrics if m],
            guardrails=[Guardrail(m, form.tolerance / 100) for m in form.guardrails if m],
            currency=form.currency.upper(),
            alpha=form.alpha / 100,
            horizon=form.horizon,
            least=form.least,
        )
        return msgspec.convert(msgspec.to_builtins(plan), Plan)  # the struct's own bounds
    except msgspec.ValidationError as error:
        text, _, where = str(error).partition(" - at `$.")
        raise Invalid(where.rstrip("`") or "plan", text, f"内容不符合要求（{text}）") from error
    except (ValueError, OverflowError) as error:
        raise Invalid(
            "variations",
            "a weight is a number of per cent",
            "权重应为百分数",
        ) from error


def form_of(experiment: experiments.Experiment | None) -> DraftForm:
    """The form of a draft, or of a new one."""
    if experiment is None:
        return DraftForm(
            is_new=True, v_key=["control", "new"], v_weight=["50", "50"], v_en=["As it is", ""],
            v_zh=["现状", ""], metrics=["orders", "revenue", "contribution", "cost-per-buyer"],
            guardrails=["revenue"],
        )  # fmt: skip
    plan = experiment.plan
    return DraftForm(
        key=experiment.key, en=plan.en, zh=plan.zh, hypothesis=plan.hypothesis, unit=plan.unit,
        mode=plan.mode, currency=plan.currency, v_key=[v.key for v in plan.variations],
        v_weight=[f"{v.weight / 100:g}" for v in plan.variations],
        v_en=[v.en for v in plan.variations], v_zh=[v.zh for v in plan.variations],
        layer=plan.layer or "", layer_share=plan.layer_share / 100, holdout=plan.holdout / 100,
        rollout=plan.rollout / 100, segments=list(plan.segments), goal=plan.goal,
        metrics=list(plan.metrics), guardrails=[g.metric for g in plan.guardrails],
        tolerance=100 * (plan.guardrails[0].tolerance if plan.guardrails else 0.02),
        alpha=100 * plan.alpha, horizon=plan.horizon, least=plan.least,
    )  # fmt: skip


@get("/console/experiment-draft", scope=SCOPE)
async def draft_page(call: Call, tx: Tx, key: str = "") -> Answer[DraftForm]:
    """A new experiment, or a draft to be changed; of one that runs, a plan for its next phase."""
    found = await experiments.experiment(tx, known(key)) if key else None
    return await _draft(call, tx, form_of(found), found.state if found else "draft")


async def _draft(call: Call, tx: Tx, form: DraftForm, state: str, **more: Any) -> Answer[DraftForm]:
    metrics = list((await experiments.metrics(tx)).values())
    title = call.say("New experiment") if form.is_new else call.say("Edit the experiment")
    if state == "running":
        title = call.say("Next phase")
    return await shown(
        call,
        tx,
        form,
        "experiment_draft",
        title,
        "experiments",
        f=form,
        state=state,
        every_metric=[(m.key, named(m, call.language)) for m in metrics],
        goals=[(m.key, named(m, call.language)) for m in metrics if m.kind != "incremental"],
        rows=max(ROWS, len(form.v_key)),
        segments=await segment_choices(call, tx),
        **more,
    )


def named(metric: Metric, language: str) -> str:
    return metric.zh if language.startswith("zh") else metric.en


class SaveForm(DraftForm, kw_only=True):
    """``why``: for a next phase."""

    why: Annotated[str, Meta(max_length=2000)] = ""


@post("/console/experiment-draft", scope=SCOPE)
async def save_draft(call: Call, db: Database, data: SaveForm) -> Any:
    """Keep the draft; of a running experiment, end its phase and begin another with this plan. What
    was refused is shown again as it was written."""

    async def verb(tx: Tx) -> str:
        plan, key = plan_of(data), known(data.key.strip())
        before = None if data.is_new else await experiments.experiment(tx, key)
        if before is not None and before.state == "running":
            await experiments.new_phase(tx, key, plan, because(data.why))
        else:
            await experiments.save_experiment(tx, key, plan, new=data.is_new)
        return key

    try:
        return await attempt_or_raise(call, db, verb)
    except Refusal as refusal:
        if not call.wants_page or refusal.status in (401, 403):
            raise
        async with db.reading(actor=call.caller.actor) as tx:
            answer = await _draft(
                call, tx, data, "running" if data.why else "draft",
                error=refusal.sentence(call.language),
            )  # fmt: skip
        return Answer(answer.data, page=answer.page, more=answer.more, status=refusal.status)


async def attempt_or_raise(call: Call, db: Database, verb: Any) -> See[Any]:
    key = await db.attempt(verb, actor=call.caller.actor, request_id=call.request_id)
    return See(f"{PATH}/{key}", None if call.wants_page else {"key": key})


def because(why: str) -> str:
    """A reason of at least three characters."""
    if len(why.strip()) < 3:
        raise Invalid("why", "say why: it is kept with the decision", "请填写原因，它会随记录保存")
    return why.strip()


class Press(msgspec.Struct, kw_only=True):
    """``do``: start, ramp, stop, decide, reweigh or refresh. ``winner`` empty: as the shop was."""

    do: Annotated[str, Meta(pattern="^(start|ramp|stop|decide|refresh)$")]
    why: Annotated[str, Meta(max_length=2000)] = ""
    rollout: Percent = 100
    winner: Annotated[str, Meta(max_length=60)] = ""


@post("/console/experiments/{key:str}", scope=SCOPE)
async def press(call: Call, db: Database, key: str, data: Press) -> See[Any]:
    """Begin, take more in, stop, decide, or make the figures anew; each with its reason."""

    async def verb(tx: Tx) -> None:
        one = known(key)
        if data.do == "refresh":
            await experiments.ask(tx, one)
        elif data.do == "start":
            await experiments.start(tx, one, because(data.why))
        elif data.do == "ramp":
            await experiments.ramp(tx, one, round(data.rollout * 100), because(data.why))
        elif data.do == "stop":
            await experiments.stop(tx, one, because(data.why))
        else:
            await experiments.decide(tx, one, data.winner or None, because(data.why))

    return await attempt(call, db, verb, f"{PATH}/{key}", call.say("Done."))


class HoldoutForm(msgspec.Struct):
    share: Percent
    why: Annotated[str, Meta(max_length=2000)] = ""


@post("/console/experiment-holdout", scope=SCOPE)
async def set_holdout(call: Call, db: Database, data: HoldoutForm) -> See[Any]:
    """Which part of all people no new phase takes in."""

    async def verb(tx: Tx) -> None:
        await experiments.hold_out(tx, round(data.share * 100), because(data.why))

    return await attempt(call, db, verb, PATH, call.say("Saved."))


class Power(msgspec.Struct, frozen=True):
    """Units in all, looked at once and looked at all the time; ``lifts``: what fewer or more units
    find. Empty when nothing can be said."""

    once: int | None
    always_valid: int | None
    days: int | None
    lifts: list[tuple[int, float]]


@get("/console/experiment-power", scope=SCOPE)
async def power_page(
    call: Call,
    tx: Tx,
    baseline: Percent = 5,
    lift: Percent = 10,
    alpha: Annotated[float, Meta(ge=0.1, le=20)] = 5,
    wanted: Annotated[float, Meta(ge=50, le=99)] = 80,
    daily: Annotated[int, Meta(ge=0, le=10**9)] = 0,
    cluster: Annotated[float, Meta(ge=1, le=10**6)] = 1,
    icc: Annotated[float, Meta(ge=0, le=1)] = 0.0,
) -> Answer[Power]:
    """How many units it takes."""
    found = Power(None, None, None, [])
    if 0 < baseline < 100 and lift > 0:
        share = baseline / 100
        how: dict[str, Any] = {
            "alpha": alpha / 100,
            "power": wanted / 100,
            "design_effect": experiments.design_effect(cluster, icc),
        }
        spread = share * (1 - share)
        once = experiments.units_needed(share, spread, lift / 100, **how)
        always = experiments.units_needed_always_valid(share, spread, lift / 100, **how)
        found = Power(
            once,
            always,
            -(-always // daily) if daily else None,
            [
                (n, experiments.smallest_lift(share, spread, n, **how))
                for n in (1000, 5000, 20_000, 100_000)
            ],
        )
    asked = {
        "baseline": baseline, "lift": lift, "alpha": alpha, "wanted": wanted, "daily": daily,
        "cluster": cluster, "icc": icc,
    }  # fmt: skip
    title = call.say("How many it takes")
    return await shown(
        call, tx, found, "experiment_power", title, "experiments", found=found, asked=asked
    )
