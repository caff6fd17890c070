"""Questions about experiments; none takes a lock."""

from __future__ import annotations

import datetime as dt
import uuid

import msgspec

from pinwheel.insight.experiments.judging import Figures
from pinwheel.insight.experiments.model import (
    METRICS,
    Batch,
    Experiment,
    Metric,
    Phase,
    State,
    Step,
)
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import NotFound
from pinwheel.kernel.listing import Page, after, page


async def experiment(tx: Tx, key: str) -> Experiment:
    return await tx.the(
        "experiment",
        Experiment,
        """
        select id, key, state, plan, phase, winner, created_at, changed_at
          from experiments.experiment where cell = $1 and key = $2
        """,
        tx.cell,
        key,
    )


async def experiments(
    tx: Tx, *, state: State | None = None, cursor: str | None = None, limit: int = 30
) -> Page[Experiment]:
    """The newest first."""
    before = after(cursor, uuid.UUID)
    rows = await tx.rows(
        Experiment,
        """
        select id, key, state, plan, phase, winner, created_at, changed_at
          from experiments.experiment
         where cell = $1 and ($2::text is null or state = $2) and ($3::uuid is null or id < $3)
         order by id desc limit $4
        """,
        tx.cell,
        state,
        before[0] if before else None,
        limit + 1,
    )
    return page(rows, limit, lambda row: (row.id,))


async def phases(tx: Tx, experiment_id: uuid.UUID) -> list[Phase]:
    """Every phase, the newest first."""
    return await tx.rows(
        Phase,
        """
        select experiment_id, number, salt, plan, metrics, slots, layer_salt, rollout,
               global_holdout, started_at, ended_at
          from experiments.phase where cell = $1 and experiment_id = $2 order by number desc
        """,
        tx.cell,
        experiment_id,
    )


async def phase(tx: Tx, found: Experiment) -> Phase:
    """The newest phase; ``NotFound`` for one that was never started."""
    every = await phases(tx, found.id)
    if not every:
        raise NotFound(what="phase")
    return every[0]


async def steps(tx: Tx, experiment_id: uuid.UUID) -> list[Step]:
    """Who did what and why, the newest first."""
    return await tx.rows(
        Step,
        """
        select at, actor, what, why, facts from experiments.step
         where cell = $1 and experiment_id = $2 order by id desc limit 200
        """,
        tx.cell,
        experiment_id,
    )


async def batches(tx: Tx, experiment_id: uuid.UUID, number: int) -> list[Batch]:
    """A bandit's weights over time, the newest first."""
    return await tx.rows(
        Batch,
        """
        select number, at, weights, reasons from experiments.batch
         where cell = $1 and experiment_id = $2 and phase = $3 order by number desc limit 200
        """,
        tx.cell,
        experiment_id,
        number,
    )


class _Own(msgspec.Struct, frozen=True):
    definition: Metric


async def metrics(tx: Tx) -> dict[str, Metric]:
    """Every metric by key: the built-in ones, and the shop's own in their place."""
    own = await tx.rows(
        _Own, "select definition from experiments.metric where cell = $1 order by key", tx.cell
    )
    known = {metric.key: metric for metric in METRICS}
    return known | {row.definition.key: row.definition for row in own}


class Snapshot(msgspec.Struct, frozen=True):
    """The figures of a phase as they stood at ``at``."""

    at: dt.datetime
    figures: Figures


async def snapshots(
    tx: Tx, experiment_id: uuid.UUID, number: int, limit: int = 120
) -> list[Snapshot]:
    """The last figures of each day, the oldest first, at most the latest ``limit``."""
    rows = await tx.rows(
        Snapshot,
        """
        select at, figures from experiments.snapshot
         where cell = $1 and experiment_id = $2 and phase = $3 order by "on" desc limit $4
        """,
        tx.cell,
        experiment_id,
        number,
        limit,
    )
    return rows[::-1]


class Results(msgspec.Struct, frozen=True):
    """An experiment with its newest phase, the newest figures and the last ones of each day before;
    without a phase while it is a draft, without figures until the first were made."""

    experiment: Experiment
    phase: Phase | None
    figures: Figures | None
    series: list[Snapshot]


async def results(tx: Tx, key: str) -> Results:
    """What is known. Reads what was kept: three statements however many units there are."""
    found = await experiment(tx, key)
    if not found.phase:
        return Results(found, None, None, [])
    kept = await snapshots(tx, found.id, found.phase)
    return Results(found, await phase(tx, found), kept[-1].figures if kept else None, kept)


async def global_holdout(tx: Tx) -> int:
    """Basis points of all people that no new phase takes in."""
    found = await tx.value("select holdout from experiments.house where cell = $1", tx.cell)
    return int(found or 0)


class Seen(msgspec.Struct, frozen=True):
    """An experiment that somebody was part of."""

    experiment: str
    variation: str
    at: dt.datetime


async def export(tx: Tx, person_id: uuid.UUID) -> list[Seen]:
    """Which versions this person saw: for their copy."""
    return await tx.rows(
        Seen,
        """
        select e.key as experiment, x.variation, x.at
          from experiments.exposure x
          join experiments.experiment e on e.cell = x.cell and e.id = x.experiment_id
         where x.cell = $1 and x.person_id = $2 order by x.at
        """,
        tx.cell,
        person_id,
    )
