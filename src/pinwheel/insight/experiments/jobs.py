"""What follows: fresh figures, new weights for bandits, erasure."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.ground.identity import PersonErased
from pinwheel.insight.experiments import actions, measuring
from pinwheel.insight.experiments.model import ExperimentStopped, ResultsDue
from pinwheel.insight.experiments.queries import experiment, phase
from pinwheel.kernel.db import Tx
from pinwheel.kernel.events import after, during, every

REFRESH_SECONDS = 600
BATCH_SECONDS = 86_400
LINGER_DAYS = 60  # windows and refunds of what was stopped


class _Due(msgspec.Struct, frozen=True):
    id: uuid.UUID


class _Named(msgspec.Struct, frozen=True):
    id: uuid.UUID
    key: str
    phase: int


@during(PersonErased)
async def forget_the_exposed(tx: Tx, events: Sequence[PersonErased]) -> None:
    """In the transaction of the erasure: totals stay, the person goes."""
    await measuring.forget_people(tx, [event.person_id for event in events])


@every(seconds=REFRESH_SECONDS)
async def find_old_results(tx: Tx) -> None:
    """Each experiment that runs, and each that ended lately once a day, is measured by itself."""
    due = await tx.rows(
        _Due,
        """
        select e.id from experiments.experiment e
          left join lateral (
            select max(s.at) as at from experiments.snapshot s
             where s.cell = e.cell and s.experiment_id = e.id and s.phase = e.phase) s on true
         where e.cell = $1
           and (e.state = 'running'
                or (e.state = 'stopped' and e.changed_at > $2 and (s.at is null or s.at < $3)))
        """,
        tx.cell,
        tx.later_than(-LINGER_DAYS * 86_400),
        tx.later_than(-86_400),
    )
    for one in due:  # a job each: one that fails holds no other up, one that waits isn't doubled
        tx.later(refresh_results, ResultsDue(experiment_id=one.id), at=tx.now, key=str(one.id))


@after(ResultsDue, ExperimentStopped)
async def refresh_results(tx: Tx, events: Sequence[ResultsDue | ExperimentStopped]) -> None:
    """The figures, so that a page needs none."""
    named = await tx.rows(
        _Named,
        """
        select id, key, phase from experiments.experiment where cell = $1 and id = any($2::uuid[])
        """,
        tx.cell,
        [event.experiment_id for event in events],
    )
    for one in named:
        if one.phase:
            found = await experiment(tx, one.key)
            await measuring.refresh(tx, found, await phase(tx, found))


@every(seconds=BATCH_SECONDS)
async def reweigh_bandits(tx: Tx) -> None:
    """Once a day: a batch must be long enough for what it caused to have happened."""
    keys = await tx.values(
        """
        select key from experiments.experiment
         where cell = $1 and state = 'running' and plan ->> 'mode' = 'bandit' order by key
        """,
        tx.cell,
    )
    for key in keys:
        await actions.reweigh(tx, key, tx.random.getrandbits(32))
