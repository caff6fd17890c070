"""Routes of experiments, for programs."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from pinwheel.insight.experiments import actions, exposing, power, queries
from pinwheel.insight.experiments.judging import Figures
from pinwheel.insight.experiments.model import (
    WHOLE,
    Assignment,
    Blocked,
    Experiment,
    ExperimentRunning,
    Key,
    KeyTaken,
    LayerFull,
    LayerUnit,
    Metric,
    Phase,
    Plan,
    RampDown,
    Reward,
    State,
    Step,
    Subject,
    Why,
    WrongState,
)
from pinwheel.insight.experiments.queries import Results
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Invalid, NotFound
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, get, post, put

SCOPE = "experiments"
TAGS = ("experiments",)
ONE = "/api/v1/experiments/{key:str}"
PageSize = Annotated[int, Meta(ge=1, le=200)]
Positive = Annotated[float, Meta(gt=0, le=10**12)]
Part = Annotated[float, Meta(gt=0, lt=1)]


def known(key: str) -> str:
    """A key as an address holds it; what can't be one is not there."""
    try:
        return msgspec.convert(key, Key)
    except msgspec.ValidationError as error:
        raise NotFound(what="experiment") from error


class NewExperiment(msgspec.Struct, frozen=True):
    key: Key
    plan: Plan


class Because(msgspec.Struct, frozen=True):
    why: Why


class Ramp(msgspec.Struct, frozen=True):
    """``rollout`` in basis points of the eligible."""

    rollout: Annotated[int, Meta(ge=0, le=WHOLE)]
    why: Why


class NewPhase(msgspec.Struct, frozen=True):
    plan: Plan
    why: Why


class Decision(msgspec.Struct, frozen=True):
    """``winner`` null: the shop stays as it was."""

    winner: Key | None
    why: Why


class Units(msgspec.Struct, frozen=True):
    subjects: Annotated[list[Subject], Meta(min_length=1, max_length=1000)]


class Forced(msgspec.Struct, frozen=True):
    """``variation`` null: no longer."""

    subject_id: uuid.UUID
    variation: Key | None


class Rewards(msgspec.Struct, frozen=True):
    rewards: Annotated[list[Reward], Meta(min_length=1, max_length=1000)]


class Count(msgspec.Struct, frozen=True):
    count: int


class Sizes(msgspec.Struct, frozen=True):
    """Units of all arms that are compared: looked at once at the end, and looked at all the
    time."""

    once: int
    always_valid: int


@get("/api/v1/experiments", scope=SCOPE, tags=TAGS)
async def list_experiments(
    tx: Tx, state: State | None = None, after: str | None = None, limit: PageSize = 30
) -> Answer[Page[Experiment]]:
    """The newest first."""
    return Answer(await queries.experiments(tx, state=state, cursor=after, limit=limit))


@post("/api/v1/experiments", scope=SCOPE, tags=TAGS, status=201, refusals=(KeyTaken, Invalid))
async def create(tx: Tx, data: NewExperiment) -> Answer[Experiment]:
    """A draft: nothing is shown to anybody before it is started."""
    return Answer(await actions.save_experiment(tx, data.key, data.plan, new=True), status=201)


@get(ONE, scope=SCOPE, tags=TAGS)
async def one(tx: Tx, key: str) -> Answer[Experiment]:
    """One experiment as it stands."""
    return Answer(await queries.experiment(tx, known(key)))


@put(ONE, scope=SCOPE, tags=TAGS, refusals=(ExperimentRunning, Invalid))
async def edit(tx: Tx, key: str, data: Plan) -> Answer[Experiment]:
    """Only a draft is edited."""
    await queries.experiment(tx, known(key))
    return Answer(await actions.save_experiment(tx, key, data))


@post(f"{ONE}/start", scope=SCOPE, tags=TAGS, refusals=(WrongState, LayerFull, LayerUnit))
async def start(tx: Tx, key: str, data: Because) -> Answer[Phase]:
    """Start an experiment: from now on its units are told apart."""
    return Answer(await actions.start(tx, known(key), data.why))


@post(f"{ONE}/phases", scope=SCOPE, tags=TAGS, refusals=(WrongState, LayerFull, LayerUnit))
async def begin_phase(tx: Tx, key: str, data: NewPhase) -> Answer[Phase]:
    """End what runs and begin anew with another plan and a fresh salt."""
    return Answer(await actions.new_phase(tx, known(key), data.plan, data.why))


@post(f"{ONE}/ramp", scope=SCOPE, tags=TAGS, refusals=(WrongState, RampDown))
async def ramp(tx: Tx, key: str, data: Ramp) -> Answer[Experiment]:
    """Take more in; nobody who is in gets something else."""
    await actions.ramp(tx, known(key), data.rollout, data.why)
    return Answer(await queries.experiment(tx, key))


@post(f"{ONE}/stop", scope=SCOPE, tags=TAGS, refusals=(WrongState,))
async def stop(tx: Tx, key: str, data: Because) -> Answer[Experiment]:
    """Stop an experiment and say why."""
    await actions.stop(tx, known(key), data.why)
    return Answer(await queries.experiment(tx, key))


@post(f"{ONE}/decide", scope=SCOPE, tags=TAGS, refusals=(WrongState, Blocked))
async def decide(tx: Tx, key: str, data: Decision) -> Answer[Figures]:
    """Give everybody the winner, with the figures it was decided on."""
    return Answer(await actions.decide(tx, known(key), data.winner, data.why))


@get(f"{ONE}/results", scope=SCOPE, tags=TAGS)
async def results(tx: Tx, key: str) -> Answer[Results]:
    """The newest figures and the last ones of each day before."""
    return Answer(await queries.results(tx, known(key)))


@get(f"{ONE}/steps", scope=SCOPE, tags=TAGS)
async def steps(tx: Tx, key: str) -> Answer[list[Step]]:
    """Who did what and why, the newest first."""
    found = await queries.experiment(tx, known(key))
    return Answer(await queries.steps(tx, found.id))


@post(f"{ONE}/assign", scope=SCOPE, tags=TAGS)
async def assign(tx: Tx, key: str, data: Units) -> Answer[list[Assignment]]:
    """What each unit gets, and why. Nothing is kept: expose when the difference is first seen."""
    found = await exposing.assigned(tx, known(key), data.subjects)
    return Answer(list(found.values()))


@post(f"{ONE}/expose", scope=SCOPE, tags=TAGS)
async def expose(tx: Tx, key: str, data: Units) -> Answer[list[Assignment]]:
    """The same, and kept: the variation is the one that the unit has, whatever a program says."""
    found = await exposing.assigned(tx, known(key), data.subjects)
    await exposing.expose(tx, list(found.values()))
    return Answer(list(found.values()))


@post(f"{ONE}/force", scope=SCOPE, tags=TAGS, refusals=(Invalid,))
async def force(tx: Tx, key: str, data: Forced) -> Answer[Count]:
    """Show one subject a variation, to look at it."""
    await exposing.force(tx, known(key), data.subject_id, data.variation)
    return Answer(Count(1))


@post("/api/v1/experiment-rewards", scope=SCOPE, tags=TAGS)
async def count_rewards(tx: Tx, data: Rewards) -> Answer[Count]:
    """What was given outside of prices: each ``source_id`` counts once."""
    return Answer(Count(await exposing.reward(tx, data.rewards)))


@get("/api/v1/experiment-metrics", scope=SCOPE, tags=TAGS)
async def list_metrics(tx: Tx) -> Answer[list[Metric]]:
    """What experiments may be measured by."""
    return Answer(list((await queries.metrics(tx)).values()))


@put("/api/v1/experiment-metrics", scope=SCOPE, tags=TAGS, refusals=(Invalid,))
async def define_metric(tx: Tx, data: Metric) -> Answer[Metric]:
    """A metric of the shop's own; what runs keeps the definition it began with."""
    await actions.save_metrics(tx, data)
    return Answer(data)


@get("/api/v1/experiment-power", scope=SCOPE, tags=TAGS, refusals=(Invalid,))
async def sizes(
    tx: Tx,
    baseline: Positive,
    lift: Positive,
    variance: Positive | None = None,
    alpha: Part = 0.05,
    wanted: Part = 0.8,
) -> Answer[Sizes]:
    """How many units it takes to find a relative ``lift`` of ``baseline`` (a share, unless a
    ``variance`` is given) with the ``wanted`` power."""
    return Answer(sizes_for(baseline, lift, variance, alpha, wanted))


def sizes_for(
    baseline: float, lift: float, variance: float | None, alpha: float, wanted: float, **more: Any
) -> Sizes:
    """As ``sizes``; ``Invalid`` for a share of one and more."""
    if variance is None and baseline >= 1:
        raise Invalid(
            "baseline",
            "a share lies below 1; give the variance of anything else",
            "占比必须小于 1；其他指标请同时给出方差",
        )
    spread = baseline * (1 - baseline) if variance is None else variance
    how = {"alpha": alpha, "power": wanted, **more}
    try:
        found = Sizes(
            power.units_needed(baseline, spread, lift, **how),
            power.units_needed_always_valid(baseline, spread, lift, **how),
        )
        if found.always_valid > 10**12:
            raise OverflowError
        return found
    except (OverflowError, ValueError, ZeroDivisionError) as error:
        raise Invalid(
            "lift", "no number of units shows this", "任何样本量都无法检出这样的差异"
        ) from error
