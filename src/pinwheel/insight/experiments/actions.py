"""From a draft to a decision: who, when, why."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec

from pinwheel.insight.experiments import bandit, judging, measuring, summing
from pinwheel.insight.experiments import statistics as st
from pinwheel.insight.experiments.exposing import raise_revision
from pinwheel.insight.experiments.model import (
    WHOLE,
    Blocked,
    Experiment,
    ExperimentDecided,
    ExperimentRunning,
    ExperimentStarted,
    ExperimentStopped,
    KeyTaken,
    LayerFull,
    LayerUnit,
    Metric,
    Phase,
    Plan,
    RampDown,
    ResultsDue,
    Slots,
    WrongState,
    check,
    check_metric,
    room,
)
from pinwheel.insight.experiments.queries import (
    batches,
    global_holdout,
    metrics,
    phase,
    snapshots,
)
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Invalid


async def save_experiment(tx: Tx, key: str, plan: Plan, *, new: bool = False) -> Experiment:
    """Write a draft, or write it anew. ``ExperimentRunning`` once it has begun, ``KeyTaken`` with
    ``new`` when there is one."""
    check(plan, await metrics(tx))
    before = await _locked(tx, key)
    if before is not None and new:
        raise KeyTaken(key=key)
    if before is not None and before.state != "draft":
        raise ExperimentRunning(key=key)
    saved = await tx.the(
        "experiment",
        Experiment,
        """
        insert into experiments.experiment as e (cell, id, key, state, plan, created_at, changed_at)
        values ($1, $2, $3, 'draft', $4, $5, $5)
        on conflict (cell, key) do update
           set plan = excluded.plan, changed_at = excluded.changed_at where e.state = 'draft'
        returning id, key, state, plan, phase, winner, created_at, changed_at
        """,
        tx.cell,
        tx.new_id(),
        key,
        msgspec.to_builtins(plan),
        tx.now,
    )
    what = "created" if before is None else "edited"
    await _step(tx, saved.id, what, "", {"plan": msgspec.to_builtins(plan)})
    return saved


async def _locked(tx: Tx, key: str) -> Experiment | None:
    return await tx.row(
        Experiment,
        """
        select id, key, state, plan, phase, winner, created_at, changed_at
          from experiments.experiment where cell = $1 and key = $2 for update
        """,
        tx.cell,
        key,
    )


async def _the(tx: Tx, key: str, *states: str) -> Experiment:
    """The experiment, locked, in one of ``states``."""
    found = await tx.the(
        "experiment",
        Experiment,
        """
        select id, key, state, plan, phase, winner, created_at, changed_at
          from experiments.experiment where cell = $1 and key = $2 for update
        """,
        tx.cell,
        key,
    )
    if found.state not in states:
        raise WrongState(key, found.state, *states)
    return found


async def start(tx: Tx, key: str, why: str) -> Phase:
    """Begin the first phase of a draft, or another one of a stopped experiment."""
    found = await _the(tx, key, "draft", "stopped")
    return await _begin(tx, found, found.plan, "started", why)


async def new_phase(tx: Tx, key: str, plan: Plan, why: str) -> Phase:
    """End the phase that runs and begin one with this plan, a fresh salt and no figures: the only
    way to change what is compared."""
    check(plan, await metrics(tx))
    found = await _the(tx, key, "running")
    await _end(tx, found)
    return await _begin(tx, found, plan, "new phase", why)


async def _begin(tx: Tx, found: Experiment, plan: Plan, what: str, why: str) -> Phase:
    known = await metrics(tx)
    check(plan, known)
    number = found.phase + 1
    layer_salt, slots = await _room(tx, plan)
    begun = await tx.the(
        "phase",
        Phase,
        """
        insert into experiments.phase (cell, experiment_id, number, salt, plan, metrics, layer,
               layer_salt, slots, rollout, global_holdout, started_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        returning experiment_id, number, salt, plan, metrics, slots, layer_salt, rollout,
                  global_holdout, started_at, ended_at
        """,
        tx.cell,
        found.id,
        number,
        f"{found.key}/{number}/{tx.random.getrandbits(64):016x}",
        msgspec.to_builtins(plan),
        msgspec.to_builtins([known[k] for k in plan.metric_keys()]),
        plan.layer,
        layer_salt,
        msgspec.to_builtins(slots),
        plan.rollout,
        await global_holdout(tx),
        tx.now,
    )
    await tx.run(
        """
        update experiments.experiment set state = 'running', plan = $3, phase = $4, changed_at = $5
         where cell = $1 and id = $2
        """,
        tx.cell,
        found.id,
        msgspec.to_builtins(plan),
        number,
        tx.now,
    )
    await _step(tx, found.id, what, why, {"phase": number, "rollout": plan.rollout})
    await raise_revision(tx)
    tx.emit(ExperimentStarted(experiment_id=found.id, key=found.key, phase=number))
    return begun


class _Layer(msgspec.Struct, frozen=True):
    salt: str
    unit: str


class _Taken(msgspec.Struct, frozen=True):
    slots: list[Slots]


async def _room(tx: Tx, plan: Plan) -> tuple[str, list[Slots]]:
    """Places in the plan's layer that nobody else has; the layer is locked until they are taken."""
    if plan.layer is None:
        return "", []
    layer = await tx.the(
        "layer",
        _Layer,
        """
        insert into experiments.layer as l (cell, key, salt, unit) values ($1, $2, $3, $4)
        on conflict (cell, key) do update set unit = l.unit
        returning salt, unit
        """,
        tx.cell,
        plan.layer,
        f"layer/{plan.layer}/{tx.random.getrandbits(64):016x}",
        plan.unit,
    )
    if layer.unit != plan.unit:
        raise LayerUnit(layer=plan.layer, unit=layer.unit)
    taken = await tx.rows(
        _Taken,
        "select slots from experiments.phase where cell = $1 and layer = $2 and ended_at is null",
        tx.cell,
        plan.layer,
    )
    slots = room([s for one in taken for s in one.slots], plan.layer_share)
    if slots is None:
        raise LayerFull(layer=plan.layer, share=plan.layer_share)
    return layer.salt, slots


async def ramp(tx: Tx, key: str, rollout: int, why: str) -> None:
    """Take more of the eligible in. Nobody who is in gets something else; ``RampDown`` for less."""
    found = await _the(tx, key, "running")
    now = await phase(tx, found)
    if rollout < now.rollout:
        raise RampDown(now=now.rollout)
    if not now.rollout <= rollout <= WHOLE:
        raise Invalid("rollout", "at most 10,000 basis points", "最多 10000 基点")
    await tx.run(
        """
        update experiments.phase set rollout = $4
         where cell = $1 and experiment_id = $2 and number = $3
        """,
        tx.cell,
        found.id,
        found.phase,
        rollout,
    )
    await _step(tx, found.id, "ramped", why, {"from": now.rollout, "to": rollout})
    await raise_revision(tx)


async def stop(tx: Tx, key: str, why: str) -> None:
    """Nobody is assigned or exposed any more; the shop is as it was for everybody. The figures are
    made a last time by what follows."""
    found = await _the(tx, key, "running")
    await _end(tx, found)
    await tx.run(
        """
        update experiments.experiment set state = 'stopped', changed_at = $3
         where cell = $1 and id = $2
        """,
        tx.cell,
        found.id,
        tx.now,
    )
    await _step(tx, found.id, "stopped", why, {})
    await raise_revision(tx)
    tx.emit(ExperimentStopped(experiment_id=found.id, key=key, phase=found.phase))


async def _end(tx: Tx, found: Experiment) -> None:
    await tx.run(
        """
        update experiments.phase set ended_at = $4
         where cell = $1 and experiment_id = $2 and number = $3 and ended_at is null
        """,
        tx.cell,
        found.id,
        found.phase,
        tx.now,
    )


async def decide(tx: Tx, key: str, winner: str | None, why: str) -> judging.Figures:
    """Give everybody ``winner`` from now on (None: the shop stays as it was), for good, with the
    figures it was decided on. ``Blocked`` when units came in wrong shares: then no figure is to
    be believed, and only None may be decided."""
    found = await _the(tx, key, "stopped")
    if winner is not None and winner not in {v.key for v in found.plan.variations}:
        raise Invalid("winner", "the plan has no such variation", "方案中没有此变体")
    figures = await _last(tx, found)
    if winner is not None and figures.is_mismatched:
        raise Blocked(
            why="units came in other shares than planned (SRM)",
            why_zh="实际分流比例与计划不符（样本比例失配）",
        )
    await tx.run(
        """
        update experiments.experiment set state = 'decided', winner = $3, changed_at = $4
         where cell = $1 and id = $2
        """,
        tx.cell,
        found.id,
        winner,
        tx.now,
    )
    facts = {"winner": winner, "figures": msgspec.to_builtins(figures)}
    await _step(tx, found.id, "decided", why, facts)
    await raise_revision(tx)
    tx.emit(ExperimentDecided(experiment_id=found.id, key=key, winner=winner))
    return figures


async def _last(tx: Tx, found: Experiment) -> judging.Figures:
    """The figures made after the end; made now when nobody has made them yet."""
    now, kept = await phase(tx, found), await snapshots(tx, found.id, found.phase, 1)
    if kept and now.ended_at is not None and kept[0].at >= now.ended_at:
        return kept[0].figures
    return await measuring.refresh(tx, found, now)


async def ask(tx: Tx, key: str) -> None:
    """Have the figures made anew; with a million units that takes longer than a page may."""
    found = await _the(tx, key, "running", "stopped")
    tx.emit(ResultsDue(experiment_id=found.id))


async def reweigh(tx: Tx, key: str, seed: int) -> dict[str, int]:
    """Give a running bandit new weights from the goal's figures, with the reasons kept. ``seed``
    makes the draws; the goal should be net of rewards (``contribution``)."""
    found = await _the(tx, key, "running")
    now = await phase(tx, found)
    if now.plan.mode != "bandit":
        raise Invalid("mode", "only a bandit changes its weights", "只有老虎机模式会调整权重")
    goal = next(m for m in now.metrics if m.key == now.plan.goal)
    sums = await summing.moments(tx, now, goal)
    arms = {v.key: st.mean(sums.get(v.key, st.Moments(n=0))) for v in now.plan.variations}
    if goal.better == "down":
        arms = {k: msgspec.structs.replace(s, mean=-s.mean) for k, s in arms.items()}
    odds = bandit.best_odds(arms, seed)
    weights = bandit.weights(odds, now.plan.floor)
    before = await batches(tx, found.id, found.phase)
    reasons = {
        "goal": goal.key,
        "seed": seed,
        "arms": {
            k: {"units": s.n, "mean": s.mean, "error": s.error, "odds": odds[k]}
            for k, s in arms.items()
        },
    }
    await tx.run(
        """
        insert into experiments.batch (cell, experiment_id, phase, number, at, weights, reasons)
        values ($1, $2, $3, $4, $5, $6, $7)
        """,
        tx.cell,
        found.id,
        found.phase,
        (before[0].number if before else 0) + 1,
        tx.now,
        weights,
        reasons,
    )
    await raise_revision(tx)
    return weights


async def save_metrics(tx: Tx, *new: Metric) -> None:
    """Define metrics of the shop's own, or anew; what runs keeps the definition it began with."""
    for metric in new:
        check_metric(metric)
    await tx.run(
        """
        insert into experiments.metric (cell, key, definition)
        select $1, m.key, m.definition::jsonb
          from unnest($2::text[], $3::text[]) as m(key, definition)
        on conflict (cell, key) do update set definition = excluded.definition
        """,
        tx.cell,
        [m.key for m in new],
        [msgspec.json.encode(m).decode() for m in new],
    )


async def hold_out(tx: Tx, basis_points: int, why: str) -> None:
    """Which part of all people no new phase takes in; those that run keep theirs. The part only
    ever grows around the same people."""
    if not 0 <= basis_points <= WHOLE:
        raise Invalid("holdout", "0 to 10,000 basis points", "取值为 0 至 10000 基点")
    before = await global_holdout(tx)
    await tx.run(
        """
        insert into experiments.house (cell, revision, holdout) values ($1, 1, $2)
        on conflict (cell) do update
           set holdout = excluded.holdout, revision = house.revision + 1
        """,
        tx.cell,
        basis_points,
    )
    await _step(tx, uuid.UUID(int=0), "global holdout", why, {"from": before, "to": basis_points})


async def _step(
    tx: Tx, experiment_id: uuid.UUID, what: str, why: str, facts: dict[str, Any]
) -> None:
    await tx.run(
        """
        insert into experiments.step (cell, id, experiment_id, at, actor, what, why, facts)
        values ($1, $2, $3, $4, $5, $6, $7, $8)
        """,
        tx.cell,
        tx.new_id(),
        experiment_id,
        tx.now,
        tx.actor,
        what,
        why,
        facts,
    )
