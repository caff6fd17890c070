"""What stands before an act: quiet hours, how much one person is done to, how much altogether, and
a budget that may be empty. The counters are read under locks: rounds that run at once see each
other."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from pinwheel.ground import messages
from pinwheel.growth.journeys.model import Act, Plan
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade import budgets

WEEK_DAYS = 7


class Guarded(Protocol):
    id: uuid.UUID
    journey_id: uuid.UUID
    person_id: uuid.UUID
    step: int
    tries: int


class Guard(msgspec.Struct):
    """``later``: not before; ``refused``: not at all, and why; else it may be done, and ``undo``
    gives back what it has cost."""

    later: dt.datetime | None = None
    refused: str | None = None
    spent: budgets.Reservation | None = None

    async def undo(self, tx: Tx) -> None:
        if self.spent is None:
            return
        await budgets.give_back(
            tx,
            [
                budgets.GivenBack(
                    budget_id=self.spent.budget_id,
                    document_kind=self.spent.document_kind,
                    document_id=self.spent.document_id,
                    key=self.spent.key,
                    part="undo",
                    amount_minor=self.spent.amount_minor,
                    reason="the step was not done",
                )
            ],
        )
        self.spent = None


Asked = tuple[Guarded, Act, Plan]


async def guard(
    tx: Tx, zone: str, asked: Sequence[Asked], acts: Mapping[uuid.UUID, int]
) -> dict[uuid.UUID, Guard]:
    """A guard for each enrolment that is about to act. ``acts``: what this round has done already,
    by person and by journey."""
    found = {one.id: Guard() for one, _, _ in asked}
    open_at = messages.after_quiet(tx.now, await messages.rules(tx), zone)
    for one, _, plan in asked:
        if plan.quiet and open_at > tx.now:
            found[one.id].later = open_at
    left = [a for a in asked if found[a[0].id].later is None]
    if left:
        await _caps(tx, left, acts, found)
    await _spend(tx, [a for a in left if found[a[0].id].refused is None], found)
    return found


class _Count(msgspec.Struct, frozen=True):
    id: uuid.UUID
    acts: int


async def _caps(
    tx: Tx,
    asked: Sequence[Asked],
    acts: Mapping[uuid.UUID, int],
    found: Mapping[uuid.UUID, Guard],
) -> None:
    people = sorted({one.person_id for one, _, _ in asked})
    capped = sorted({one.journey_id for one, _, plan in asked if plan.most_acts is not None})
    await tx.values(
        """
        select pg_advisory_xact_lock(hashtextextended('journeys.acts:' || i.id::text, 0))
          from unnest($1::uuid[]) with ordinality as i(id, n) order by i.n
        """,
        [*capped, *people],
    )
    before = await _acts_of_people(tx, people)
    of_person = {p: before.get(p, 0) + acts.get(p, 0) for p in people}
    before = await _acts_of_journeys(tx, capped) if capped else {}
    of_journey = {j: before.get(j, 0) + acts.get(j, 0) for j in capped}
    for one, _, plan in asked:
        if of_person[one.person_id] >= plan.most_a_week:
            found[one.id].refused = "enough_this_week"
        elif plan.most_acts is not None and of_journey[one.journey_id] >= plan.most_acts:
            found[one.id].refused = "enough_altogether"
        else:
            of_person[one.person_id] += 1
            if plan.most_acts is not None:
                of_journey[one.journey_id] += 1


async def _acts_of_people(tx: Tx, people: Sequence[uuid.UUID]) -> dict[uuid.UUID, int]:
    rows = await tx.rows(
        _Count,
        """
        select e.person_id as id, count(*) as acts from journeys.enrolment e
          join journeys.step s on s.cell = e.cell and s.enrolment_id = e.id
         where e.cell = $1 and e.person_id = any($2::uuid[]) and s.kind = 'act'
           and s.outcome = 'acted' and s.at > $3
         group by e.person_id
        """,
        tx.cell,
        list(people),
        tx.now - dt.timedelta(days=WEEK_DAYS),
    )
    return {row.id: row.acts for row in rows}


async def _acts_of_journeys(tx: Tx, journey_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, int]:
    rows = await tx.rows(
        _Count,
        """
        select journey_id as id, count(*) as acts from journeys.step
         where cell = $1 and journey_id = any($2::uuid[]) and kind = 'act' and outcome = 'acted'
         group by journey_id
        """,
        tx.cell,
        list(journey_ids),
    )
    return {row.id: row.acts for row in rows}


async def _spend(tx: Tx, asked: Sequence[Asked], found: Mapping[uuid.UUID, Guard]) -> None:
    """An empty budget stops the act, not the journey."""
    wanted = [
        (one, budgets.Reservation(
            budget_id=step.budget_id,
            document_kind="journey",
            document_id=one.id,
            key=f"{one.step}:{one.tries}",
            amount_minor=step.cost_minor,
        ))
        for one, step, _ in asked
        if step.budget_id is not None
    ]  # fmt: skip
    answers = await budgets.spend(tx, [reservation for _, reservation in wanted])
    for (one, reservation), answer in zip(wanted, answers, strict=True):
        if isinstance(answer, Refusal):
            found[one.id].refused = answer.code
        else:
            found[one.id].spent = reservation
