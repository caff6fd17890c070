"""The figures of a phase: made by a job, kept, and what the erased leave of them."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.insight.experiments import judging, spilling, summing
from pinwheel.insight.experiments import statistics as st
from pinwheel.insight.experiments.judging import Figures
from pinwheel.insight.experiments.model import Batch, Experiment, Metric, Phase
from pinwheel.insight.experiments.queries import batches
from pinwheel.kernel.db import Tx


class _Count(msgspec.Struct, frozen=True):
    """``units``: randomised ones (clusters count once); ``crossed``: people in two variations."""

    batch: int
    variation: str
    units: int


async def _counts(tx: Tx, phase: Phase) -> list[_Count]:
    """What was randomised, by batch and variation: clusters where clusters were. One statement."""
    return await tx.rows(
        _Count,
        """
        select batch, variation,
               case when $4 then count(distinct cluster_id) else count(*) end as units
          from experiments.exposure
         where cell = $1 and experiment_id = $2 and phase = $3 and at < $5
         group by batch, variation
        """,
        tx.cell,
        phase.experiment_id,
        phase.number,
        phase.plan.unit == "cluster",
        phase.ended_at or tx.now,
    )


async def _crossed(tx: Tx, phase: Phase) -> int:
    """People whose devices were sent different ways. One statement."""
    return int(
        await tx.value(
            """
            select count(*) from (
              select person_id from experiments.exposure
               where cell = $1 and experiment_id = $2 and phase = $3 and person_id is not null
               group by person_id having count(distinct variation) > 1) as crossed
            """,
            tx.cell,
            phase.experiment_id,
            phase.number,
        )
        or 0
    )


async def _elsewhere(tx: Tx, phase: Phase) -> int:
    """Orders after exposure in another currency than the plan's. One statement."""
    return int(
        await tx.value(
            """
            select count(distinct l.order_id)
              from experiments.exposure x
              join orders.v_line l on l.cell = x.cell and l.person_id = x.person_id
             where x.cell = $1 and x.experiment_id = $2 and x.phase = $3 and l.currency <> $4
               and l.placed_at >= x.at and l.placed_at < $5
               and l.state not in ('pending_payment', 'cancelled')
            """,
            tx.cell,
            phase.experiment_id,
            phase.number,
            phase.plan.currency,
            phase.ended_at or tx.now,
        )
        or 0
    )


async def measure(tx: Tx, phase: Phase) -> Figures:
    """Every figure of a phase as it is at ``tx.now``. Two statements a span of days that metrics
    look at, and six more."""
    # Everybody is read, not one: by hashing, never by a million visits to an index.
    await tx.run("set local enable_seqscan = on")
    await tx.run("set local enable_nestloop = off")
    await tx.run("set local work_mem = '64MB'")
    plan = phase.plan
    counted = await _counts(tx, phase)
    weights = {b.number: b for b in await batches(tx, phase.experiment_id, phase.number)}
    counts = {v.key: 0 for v in plan.variations}
    by_batch: dict[int, int] = {}
    for row in counted:
        counts[row.variation] = counts.get(row.variation, 0) + row.units
        by_batch[row.batch] = by_batch.get(row.batch, 0) + row.units
    expected = judging.expected_counts(
        plan, {n: (units, _weights(weights.get(n))) for n, units in by_batch.items()}
    )
    seen, wanted = list(counts.values()), [expected[key] for key in counts]
    ways = await spilling.ways(tx, phase)
    sums = await summing.all_moments(tx, phase, phase.metrics, ways)
    lines = [judging.judge_metric(metric, plan, sums[metric.key]) for metric in phase.metrics]
    return Figures(
        at=tx.now,
        counts=counts,
        expected=expected,
        srm=st.mismatch(seen, wanted),
        srm_anytime=st.mismatch_anytime(seen, wanted) if any(wanted) else 1.0,
        crossed=await _crossed(tx, phase) if plan.unit == "visitor" else 0,
        elsewhere=await _elsewhere(tx, phase),
        leak=await spilling.leak(tx, phase, ways),
        lines=lines,
        rails=judging.rails(plan, lines),
    )


def _weights(batch: Batch | None) -> dict[str, int]:
    return batch.weights if batch is not None else {}


async def refresh(tx: Tx, experiment: Experiment, phase: Phase) -> Figures:
    """Make the figures anew and keep them as the day's last."""
    figures = await measure(tx, phase)
    await tx.run(
        """
        insert into experiments.snapshot (cell, experiment_id, phase, "on", at, figures)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (cell, experiment_id, phase, "on") do update
           set at = excluded.at, figures = excluded.figures
         where snapshot.at <= excluded.at
        """,
        tx.cell,
        experiment.id,
        phase.number,
        tx.now.astimezone(dt.UTC).date(),
        tx.now,
        msgspec.to_builtins(figures),
    )
    await tx.run("set local enable_nestloop = on")
    await tx.run("set local enable_seqscan = off")
    return figures


class _Unit(msgspec.Struct, frozen=True):
    experiment_id: uuid.UUID
    phase: int
    subject_id: uuid.UUID
    metrics: list[Metric]


class _Own(msgspec.Struct, frozen=True):
    value: float
    denominator: float
    before: float


async def forget_people(tx: Tx, person_ids: Sequence[uuid.UUID]) -> None:
    """What these people did stays in every total as plain figures; nothing leads to them any more:
    their exposures and rewards get an id of nobody. Safe to repeat."""
    ids = list(person_ids)
    units = await tx.rows(
        _Unit,
        """
        select x.experiment_id, x.phase, x.subject_id, p.metrics
          from experiments.exposure x
          join experiments.phase p on p.cell = x.cell and p.experiment_id = x.experiment_id
           and p.number = x.phase
         where x.cell = $1 and x.frozen is null
           and (x.person_id = any($2::uuid[]) or x.subject_id = any($2::uuid[]))
        """,
        tx.cell,
        ids,
    )
    frozen = [{m.key: await _frozen(tx, unit, m) for m in unit.metrics} for unit in units]
    await tx.run(
        """
        with old as (
          select * from unnest($2::uuid[], $3::int[], $4::uuid[], $5::uuid[], $6::text[])
                        as o(experiment_id, phase, subject_id, nobody, frozen)
        ), unforced as (
          delete from experiments.forced where cell = $1 and subject_id = any($7::uuid[])
        ), left_group as (
          delete from experiments.member where cell = $1 and subject_id = any($7::uuid[])
        ), untied as (
          delete from experiments.tie where cell = $1 and subject_id = any($7::uuid[])
          returning experiment_id, subject_id, cluster_id, ties
        ), still_tied as ( -- whose figures stay weighs as before, as nobody
          insert into experiments.tie (cell, experiment_id, subject_id, cluster_id, ties)
          select $1, t.experiment_id, old.nobody, t.cluster_id, t.ties
            from untied t join old on old.experiment_id = t.experiment_id
             and old.subject_id = t.subject_id
        ), nameless as (
          delete from experiments.reward
           where cell = $1 and (subject_id = any($7::uuid[])
                                or subject_id in (select subject_id from old))
        )
        update experiments.exposure x
           set subject_id = old.nobody, person_id = null, frozen = old.frozen::jsonb,
               cluster_id = case when x.cluster_id = x.subject_id then old.nobody
                                 else x.cluster_id end
          from old
         where x.cell = $1 and x.experiment_id = old.experiment_id and x.phase = old.phase
           and x.subject_id = old.subject_id
        """,
        tx.cell,
        [u.experiment_id for u in units],
        [u.phase for u in units],
        [u.subject_id for u in units],
        [tx.new_id() for _ in units],
        [msgspec.json.encode(values).decode() for values in frozen],
        ids,
    )


async def _frozen(tx: Tx, unit: _Unit, metric: Metric) -> list[float] | None:
    """None: in no figure of this metric (window not over, seen in two variations), and so it
    stays."""
    found = await tx.row(
        _Own,
        """
        select value, denominator, before
          from experiments.measured($1::smallint, $2::uuid, $3::int, $4::jsonb, $5, $6)
        """,
        tx.cell,
        unit.experiment_id,
        unit.phase,
        msgspec.to_builtins(metric),
        unit.subject_id,
        tx.now,
    )
    return [found.value, found.denominator, found.before] if found else None
