"""Assigning units to variations and keeping their first exposure: what pages and jobs call."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from pinwheel.insight.experiments.assigning import Definition, assign, left_out
from pinwheel.insight.experiments.clusters import Edge, clusters, ties
from pinwheel.insight.experiments.model import (
    Assignment,
    Metric,
    Phase,
    Plan,
    Reward,
    Slots,
    Subject,
    WrongState,
)
from pinwheel.insight.experiments.queries import experiment
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Invalid


class Definitions:
    """What this process knows of experiments, as of a revision."""

    def __init__(self) -> None:
        self.revision = -1
        self.by_key: dict[str, Definition] = {}


class _Known(msgspec.Struct, frozen=True):
    """What the database knows of a subject, and the revision of all definitions."""

    subject_id: uuid.UUID
    revision: int
    variation: str | None
    cluster_id: uuid.UUID | None


async def assigned(
    tx: Tx, key: str, units: Sequence[uuid.UUID | Subject]
) -> dict[uuid.UUID, Assignment]:
    """What each unit gets in the experiment ``key``, by the subject's id. Of an experiment that was
    never started, or that doesn't exist, nobody gets anything: the shop is as it is.

    One statement for any number of units: it asks who is in already, who belongs to which cluster,
    and whether the definitions that this process keeps are still the newest; only then they are
    read again (2 more). Writes nothing: call ``expose`` where the difference is first seen."""
    subjects = [u if isinstance(u, Subject) else Subject(u) for u in units]
    definitions: Definitions = tx.db.given.setdefault(Definitions, Definitions())
    known = await _known(tx, key, [s.id for s in subjects])
    revision = next(iter(known.values())).revision if known else definitions.revision
    if revision != definitions.revision:
        definitions.by_key = await _read(tx)
        definitions.revision = revision
    definition = definitions.by_key.get(key)
    if definition is None:
        return {s.id: left_out(s) for s in subjects}
    answers = {}
    for subject in subjects:
        found = known[subject.id]
        if subject.cluster_id is None and found.cluster_id is not None:
            subject = msgspec.structs.replace(subject, cluster_id=found.cluster_id)
        answers[subject.id] = assign(definition, subject, found.variation)
    return answers


async def _known(tx: Tx, key: str, ids: list[uuid.UUID]) -> dict[uuid.UUID, _Known]:
    rows = await tx.rows(
        _Known,
        """
        select s.id as subject_id,
               coalesce((select revision from experiments.house where cell = $1), 0) as revision,
               x.variation, coalesce(x.cluster_id, m.cluster_id) as cluster_id
          from unnest($2::uuid[]) as s(id)
          left join experiments.experiment e on e.cell = $1 and e.key = $3
          left join experiments.exposure x on x.cell = $1 and x.experiment_id = e.id
           and x.phase = e.phase and x.subject_id = s.id
          left join experiments.member m on m.cell = $1 and m.experiment_id = e.id
           and m.subject_id = s.id
        """,
        tx.cell,
        ids,
        key,
    )
    return {row.subject_id: row for row in rows}


class _Defined(msgspec.Struct, frozen=True, kw_only=True):
    key: str
    state: str
    winner: str | None
    experiment_id: uuid.UUID
    number: int
    salt: str
    plan: Plan
    metrics: list[Metric]
    slots: list[Slots]
    layer_salt: str
    rollout: int
    global_holdout: int
    started_at: Any
    ended_at: Any
    batch: int
    weights: dict[str, int]


class _Forced(msgspec.Struct, frozen=True):
    experiment_id: uuid.UUID
    subject_id: uuid.UUID
    variation: str


async def _read(tx: Tx) -> dict[str, Definition]:
    """Every experiment that was started, with its newest phase. 2 statements."""
    rows = await tx.rows(
        _Defined,
        """
        select e.key, e.state, e.winner, p.experiment_id, p.number, p.salt, p.plan, p.metrics,
               p.slots, p.layer_salt, p.rollout, p.global_holdout, p.started_at, p.ended_at,
               coalesce(b.number, 0) as batch, coalesce(b.weights, '{}') as weights
          from experiments.experiment e
          join experiments.phase p on p.cell = e.cell and p.experiment_id = e.id
           and p.number = e.phase
          left join lateral (
            select number, weights from experiments.batch b
             where b.cell = e.cell and b.experiment_id = e.id and b.phase = e.phase
             order by number desc limit 1) b on true
         where e.cell = $1
        """,
        tx.cell,
    )
    forced: dict[uuid.UUID, dict[uuid.UUID, str]] = {}
    for one in await tx.rows(
        _Forced,
        "select experiment_id, subject_id, variation from experiments.forced where cell = $1",
        tx.cell,
    ):
        forced.setdefault(one.experiment_id, {})[one.subject_id] = one.variation
    return {
        row.key: Definition(
            phase=Phase(
                **{name: getattr(row, name) for name in Phase.__struct_fields__},
            ),
            is_running=row.state == "running",
            winner=row.winner,
            batch=row.batch,
            weights=row.weights,
            forced=forced.get(row.experiment_id, {}),
        )
        for row in rows
    }


async def expose(tx: Tx, assignments: Sequence[Assignment]) -> int:
    """Keep that these units see their variation now: the first time counts, a repeat changes
    nothing. How many are new. One statement; none when nothing counts. Whose phase has ended in the
    meantime is not kept."""
    counted = {
        (a.experiment_id, a.phase, a.subject_id): a for a in reversed(assignments) if a.counts
    }
    if not counted:
        return 0
    # Two batches lock in the same order.
    rows = [counted[key] for key in sorted(counted)]
    fresh = await tx.values(
        """
        insert into experiments.exposure as kept (cell, experiment_id, phase, subject_id,
               cluster_id, person_id, variation, batch, at)
        select $1, x.experiment_id, x.phase, x.subject_id, x.cluster_id, x.person_id, x.variation,
               x.batch, $2
          from unnest($3::uuid[], $4::int[], $5::uuid[], $6::uuid[], $7::uuid[], $8::text[],
                      $9::int[])
               as x(experiment_id, phase, subject_id, cluster_id, person_id, variation, batch)
          join experiments.phase p on p.cell = $1 and p.experiment_id = x.experiment_id
           and p.number = x.phase and p.ended_at is null
         order by x.experiment_id, x.phase, x.subject_id
        on conflict (cell, experiment_id, phase, subject_id) do update
           set person_id = excluded.person_id
         where kept.person_id is null and excluded.person_id is not null
        returning xmax = 0
        """,
        tx.cell,
        tx.now,
        [a.experiment_id for a in rows],
        [a.phase for a in rows],
        [a.subject_id for a in rows],
        [a.cluster_id for a in rows],
        [a.person_id for a in rows],
        [a.variation for a in rows],
        [a.batch for a in rows],
    )
    return sum(fresh)


async def reward(tx: Tx, rewards: Sequence[Reward]) -> int:
    """Count what was given outside of prices as a cost of its receiver's variation. How many are
    new: each ``source_id`` counts once."""
    return await tx.run(
        """
        insert into experiments.reward (cell, source_id, subject_id, currency, amount_minor, at)
        select $1, r.source_id, r.subject_id, r.currency, r.amount_minor, $2
          from unnest($3::uuid[], $4::uuid[], $5::text[], $6::bigint[])
               as r(source_id, subject_id, currency, amount_minor)
        on conflict (cell, source_id) do nothing
        """,
        tx.cell,
        tx.now,
        [r.source_id for r in rewards],
        [r.subject_id for r in rewards],
        [r.currency for r in rewards],
        [r.amount_minor for r in rewards],
    )


async def force(tx: Tx, key: str, subject_id: uuid.UUID, variation: str | None) -> None:
    """Show ``subject_id`` this variation, for looking at it (None: no longer). They are in no
    figure from now on unless they were exposed before."""
    found = await experiment(tx, key)
    if variation is not None and variation not in {v.key for v in found.plan.variations}:
        raise Invalid("variation", "the plan has no such variation", "方案中没有此变体")
    await tx.run(
        """
        with gone as (
          delete from experiments.forced
           where cell = $1 and experiment_id = $2 and subject_id = $3 and $4::text is null
        )
        insert into experiments.forced (cell, experiment_id, subject_id, variation)
        select $1, $2, $3, $4 where $4::text is not null
        on conflict (cell, experiment_id, subject_id) do update set variation = excluded.variation
        """,
        tx.cell,
        found.id,
        subject_id,
        variation,
    )
    await raise_revision(tx)


async def save_clusters(tx: Tx, key: str, edges: Sequence[Edge], *, most: int = 200) -> int:
    """Find the groups of a graph (who shares with whom), at most ``most`` people each, and send
    each group the same way. What is cut is kept, for the figures. Only before the experiment's
    start. How many groups."""
    await tx.run(  # one at a time, and none while it starts
        "select from experiments.experiment where cell = $1 and key = $2 for update", tx.cell, key
    )
    found = await experiment(tx, key)
    if found.state != "draft":
        raise WrongState(key, found.state, "draft")
    groups = clusters(edges, most=most)
    tied = ties(edges, groups)
    # A group isn't named after a member: it outlives their erasure.
    names = {group: tx.new_id() for group in dict.fromkeys(groups.values())}
    await tx.run(
        """
        with gone as (delete from experiments.tie where cell = $1 and experiment_id = $2)
        delete from experiments.member where cell = $1 and experiment_id = $2
        """,
        tx.cell,
        found.id,
    )
    await tx.run(
        """
        insert into experiments.member (cell, experiment_id, subject_id, cluster_id, ties)
        select $1, $2, m.subject_id, m.cluster_id, m.ties
          from unnest($3::uuid[], $4::uuid[], $5::int[]) as m(subject_id, cluster_id, ties)
        """,
        tx.cell,
        found.id,
        list(groups),
        [names[group] for group in groups.values()],
        [tied[one].total() for one in groups],
    )
    cut = [
        (one, names[group], n)
        for one, own in groups.items()
        for group, n in tied[one].items()
        if group != own
    ]
    await tx.run(
        """
        insert into experiments.tie (cell, experiment_id, subject_id, cluster_id, ties)
        select $1, $2, t.subject_id, t.cluster_id, t.ties
          from unnest($3::uuid[], $4::uuid[], $5::int[]) as t(subject_id, cluster_id, ties)
        """,
        tx.cell,
        found.id,
        [one for one, _, _ in cut],
        [group for _, group, _ in cut],
        [n for _, _, n in cut],
    )
    return len(names)


async def raise_revision(tx: Tx) -> None:
    """Have every process read the definitions again."""
    await tx.run(
        """
        insert into experiments.house (cell, revision, holdout) values ($1, 1, 0)
        on conflict (cell) do update set revision = house.revision + 1
        """,
        tx.cell,
    )
