"""Taking enrolments on: many at once, each step once, in one transaction with what it does.

A round claims what is due (rows that others hold are skipped), walks each as far as it goes without
waiting, and writes where it stands. A crash at any line undoes the whole round: timers, steps and
acts together. A step that raises is tried again by itself, later, and does not hold up the others.
"""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pinwheel.ground import messages
from pinwheel.growth.journeys.acting import actions_of, powers_of
from pinwheel.growth.journeys.guarding import Guard, guard
from pinwheel.growth.journeys.model import (
    MOST_TRIES,
    Act,
    Await,
    Branch,
    Doing,
    Plan,
    Stop,
    Until,
    Wait,
    at_clock,
    holds,
)
from pinwheel.insight import audience
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal

log = logging.getLogger("pinwheel.journeys")
AT_ONCE = 500
RETRY_SECONDS = (60, 600, 3_600, 6 * 3_600, 24 * 3_600)


class Due(msgspec.Struct):
    """An enrolment on its way. What is set here is written at the end of the round."""

    id: uuid.UUID
    journey_id: uuid.UUID
    version: int
    person_id: uuid.UUID
    facts: dict[str, Any]
    step: int
    waits_for: str | None
    came: bool
    tries: int
    state: str = "active"
    due_at: dt.datetime | None = None
    note: str = ""
    rests: bool = False  # nothing more this round

    def rest(self, at: dt.datetime) -> None:
        self.due_at, self.rests = at, True

    def end(self, state: str, note: str = "") -> None:
        self.state, self.note, self.due_at, self.rests = state, note, None, True


class Taken(msgspec.Struct, frozen=True):
    """A step that was taken."""

    enrolment_id: uuid.UUID
    step: int
    journey_id: uuid.UUID
    kind: str
    outcome: str


class _Version(msgspec.Struct, frozen=True):
    journey_id: uuid.UUID
    version: int
    plan: Plan


class Round:
    """One batch of enrolments in one transaction."""

    def __init__(self, tx: Tx, due: Sequence[Due], plans: Mapping[Any, Plan]) -> None:
        self.tx = tx
        self.due = due
        self.plans = plans
        self.taken: list[Taken] = []
        self.acts: Counter[uuid.UUID] = Counter()  # of this round, by person and by journey
        self.zone = messages.of(tx.db).zone

    def plan(self, one: Due) -> Plan:
        return self.plans[(one.journey_id, one.version)]

    async def walk(self) -> None:
        """Every enrolment as far as it goes; steps lead forward, so this ends."""
        while walking := [one for one in self.due if not one.rests]:
            branching: list[tuple[Due, Branch]] = []
            acting: list[tuple[Due, Act]] = []
            for one in walking:
                steps = self.plan(one).steps
                step = steps[one.step] if one.step < len(steps) else None
                if step is None:
                    one.end("done")
                elif isinstance(step, Branch):
                    branching.append((one, step))
                elif isinstance(step, Act):
                    acting.append((one, step))
                else:
                    self.wait(one, step)
            if branching:
                await self.branch(branching)
            if acting:
                await self.act(acting)

    def go(self, one: Due, kind: str, outcome: str, to: int | None = None) -> None:
        self.taken.append(Taken(one.id, one.step, one.journey_id, kind, outcome))
        if outcome == "acted":
            self.acts.update((one.person_id, one.journey_id))
        one.step = one.step + 1 if to is None else to
        one.waits_for, one.came, one.tries = None, False, 0

    def wait(self, one: Due, step: Wait | Until | Await | Stop) -> None:
        now = self.tx.now
        if isinstance(step, Stop):
            self.go(one, "stop", "stopped")
            one.end("done")
        elif isinstance(step, Wait):
            self.go(one, "wait", "waited")
            if step.seconds:
                one.rest(now + dt.timedelta(seconds=step.seconds))
        elif isinstance(step, Until):
            self.go(one, "until", "waited")
            one.rest(at_clock(now, step.hour, step.minute, self.zone))
        elif one.came:
            self.go(one, "await", "came")
        elif one.waits_for is not None:
            self.go(one, "await", "in vain", step.otherwise)
        else:
            one.waits_for = step.event
            one.rest(now + dt.timedelta(seconds=step.seconds))

    async def branch(self, branching: Sequence[tuple[Due, Branch]]) -> None:
        people = list({one.person_id for one, step in branching if step.by == "segment"})
        inside = await audience.memberships(self.tx, people) if people else {}
        variations = await self._variations(branching)
        for one, step in branching:
            if step.by == "segment":
                is_so = step.segment_id in inside[one.person_id]
            elif step.by == "fact":
                is_so = holds(step, one.facts)
            elif step.by == "share":
                salt = uuid.uuid5(one.journey_id, str(one.step))
                is_so = audience.bucket_of(salt, one.person_id) < step.basis_points
            else:
                is_so = variations.get((step.key, one.person_id)) == step.value
            self.go(one, "branch", "yes" if is_so else "no", None if is_so else step.otherwise)

    async def _variations(
        self, branching: Sequence[tuple[Due, Branch]]
    ) -> dict[tuple[str, uuid.UUID], str | None]:
        asked: dict[str, list[uuid.UUID]] = {}
        for one, step in branching:
            if step.by == "variation":
                asked.setdefault(step.key, []).append(one.person_id)
        ask = powers_of(self.tx.db).variations
        found: dict[tuple[str, uuid.UUID], str | None] = {}
        for key, people in asked.items():
            said = await ask(self.tx, key, people) if ask is not None else {}
            found |= {(key, person_id): name for person_id, name in said.items()}
        return found

    async def act(self, acting: Sequence[tuple[Due, Act]]) -> None:
        """In quiet hours later; beyond a cap or a budget not at all; the others by their action."""
        asked = [(one, step, self.plan(one)) for one, step in acting]
        guarded = await guard(self.tx, self.zone, asked, self.acts)
        by_action: dict[str, list[tuple[Due, Act]]] = {}
        for one, step in acting:
            said = guarded[one.id]
            if said.later is not None:
                one.rest(said.later)
            elif said.refused is not None:
                self.go(one, "act", said.refused, step.otherwise)
            else:
                by_action.setdefault(step.action, []).append((one, step))
        for name, doing in by_action.items():
            await self._do(name, doing, guarded)

    async def _do(
        self, name: str, doing: Sequence[tuple[Due, Act]], guarded: Mapping[uuid.UUID, Guard]
    ) -> None:
        """All together; if that raises, each by itself, and the one that raises waits."""
        action = actions_of(self.tx.db).get(name)
        try:
            if action is None:
                raise LookupError(f"nobody can do {name}")
            async with self.tx.savepoint():
                answers = await action(self.tx, [self._doing(one, step) for one, step in doing])
        except Exception as error:
            if len(doing) > 1:
                for pair in doing:
                    await self._do(name, [pair], guarded)
                return
            (one, step) = doing[0]
            log.warning("journey %s step %d failed: %s", one.journey_id, one.step + 1, error)
            await self._put_off(one, step, error, guarded)
            return
        for (one, step), answer in zip(doing, answers, strict=True):
            if isinstance(answer, Refusal):
                await guarded[one.id].undo(self.tx)
                self.go(one, "act", answer.code, step.otherwise)
            else:
                self.go(one, "act", "acted")

    async def _put_off(
        self, one: Due, step: Act, error: Exception, guarded: Mapping[uuid.UUID, Guard]
    ) -> None:
        await guarded[one.id].undo(self.tx)
        one.tries += 1
        one.note = f"step {one.step + 1}: {type(error).__name__}"
        if one.tries >= MOST_TRIES:
            self.taken.append(Taken(one.id, one.step, one.journey_id, "act", "failed"))
            one.end("failed", one.note)
        else:
            wait = RETRY_SECONDS[one.tries - 1]
            one.rest(self.tx.now + dt.timedelta(seconds=wait))

    def _doing(self, one: Due, step: Act) -> Doing:
        return Doing(
            journey_id=one.journey_id,
            enrolment_id=one.id,
            step=one.step,
            person_id=one.person_id,
            settings=step.settings,
            facts=one.facts,
        )


async def advance(tx: Tx, at_once: int = AT_ONCE) -> int:
    """Take on what is due, at most ``at_once``; how many there were. The holdout never is."""
    due = await tx.rows(
        _Claimed,
        """
        select e.id, e.journey_id, e.version, e.person_id, e.facts, e.step, e.waits_for, e.came,
               e.tries
          from journeys.enrolment e join journeys.journey j on j.id = e.journey_id
         where e.cell = $1 and e.state = 'active' and not e.is_held and e.due_at <= $2
           and j.state = 'live'
         order by e.due_at, e.id limit $3 for update of e skip locked
        """,
        tx.cell,
        tx.now,
        at_once,
    )
    if not due:
        return 0
    versions = await tx.rows(
        _Version,
        """
        select v.journey_id, v.version, v.plan from journeys.version v
          join unnest($1::uuid[], $2::int[]) as a(journey_id, version)
            on a.journey_id = v.journey_id and a.version = v.version
        """,
        *_pairs({(one.journey_id, one.version) for one in due}),
    )
    plans = {(v.journey_id, v.version): v.plan for v in versions}
    walking = [Due(**msgspec.structs.asdict(one)) for one in due]
    this = Round(tx, walking, plans)
    await this.walk()
    await _write(tx, this)
    return len(due)


class _Claimed(msgspec.Struct, frozen=True):
    id: uuid.UUID
    journey_id: uuid.UUID
    version: int
    person_id: uuid.UUID
    facts: dict[str, Any]
    step: int
    waits_for: str | None
    came: bool
    tries: int


def _pairs(wanted: set[tuple[uuid.UUID, int]]) -> tuple[list[uuid.UUID], list[int]]:
    return [w[0] for w in wanted], [w[1] for w in wanted]


async def _write(tx: Tx, this: Round) -> None:
    due, taken = this.due, this.taken
    await tx.run(
        """
        with taken as (
          insert into journeys.step (cell, enrolment_id, step, journey_id, kind, outcome, at)
          select $1, t.enrolment_id, t.step, t.journey_id, t.kind, t.outcome, $2
            from unnest($3::uuid[], $4::int[], $5::uuid[], $6::text[], $7::text[])
                 as t(enrolment_id, step, journey_id, kind, outcome))
        update journeys.enrolment e
           set step = n.step, state = n.state, due_at = n.due_at, waits_for = n.waits_for,
               came = n.came, tries = n.tries, note = n.note,
               ended_at = case n.state when 'active' then null else $2::timestamptz end
          from unnest($8::uuid[], $9::int[], $10::text[], $11::timestamptz[], $12::text[],
                      $13::bool[], $14::int[], $15::text[])
               as n(id, step, state, due_at, waits_for, came, tries, note)
         where e.cell = $1 and e.id = n.id
        """,
        tx.cell,
        tx.now,
        [t.enrolment_id for t in taken],
        [t.step for t in taken],
        [t.journey_id for t in taken],
        [t.kind for t in taken],
        [t.outcome for t in taken],
        [d.id for d in due],
        [d.step for d in due],
        [d.state for d in due],
        [d.due_at for d in due],
        [d.waits_for for d in due],
        [d.came for d in due],
        [d.tries for d in due],
        [d.note for d in due],
    )


async def end_holdouts(tx: Tx, at_once: int = 5_000) -> int:
    """The days that count are over for people of the holdout: their enrolment ends."""
    return await tx.run(
        """
        update journeys.enrolment e set state = 'done', ended_at = $2 from (
          select id from journeys.enrolment
           where cell = $1 and state = 'active' and is_held and goal_until <= $2
           limit $3 for update skip locked) d
         where e.cell = $1 and e.id = d.id
        """,
        tx.cell,
        tx.now,
        at_once,
    )
