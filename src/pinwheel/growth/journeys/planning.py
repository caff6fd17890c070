"""Journeys as the staff make them: plans with versions, switched on, halted and closed."""

from __future__ import annotations

import datetime as dt
import uuid

import msgspec

from pinwheel.ground import messages
from pinwheel.growth.journeys.acting import actions_of
from pinwheel.growth.journeys.benefits import BENEFIT, check_coupon
from pinwheel.growth.journeys.model import (
    Act,
    JourneyChanged,
    JourneyIs,
    Plan,
    PlanUnclear,
    checked,
)
from pinwheel.growth.journeys.triggers import KINDS
from pinwheel.kernel import outbound
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal


class Journey(msgspec.Struct, frozen=True, kw_only=True):
    id: uuid.UUID
    name: str
    state: str
    version: int
    created_at: dt.datetime
    changed_at: dt.datetime
    changed_by: str


async def save_journey(
    tx: Tx, name: str, plan: Plan, *, journey_id: uuid.UUID | None = None
) -> Journey:
    """A new journey, as a draft, or the next version of one: whoever is on their way goes on by the
    version they began with. ``PlanUnclear``; ``JourneyIs`` for a closed one."""
    await _check(tx, plan)
    if journey_id is None:
        journey_id, version = tx.new_id(), 1
        await tx.run(
            """
            insert into journeys.journey (id, name, state, version, created_at, changed_at,
                   changed_by)
            values ($1, $2, 'draft', 1, $3, $3, $4)
            """,
            journey_id,
            name,
            tx.now,
            tx.actor,
        )
    else:
        before = await _locked(tx, journey_id)
        if before.state == "closed":
            raise JourneyIs(name=before.name, state=before.state)
        version = before.version + 1
        await tx.run(
            """
            update journeys.journey set name = $2, version = $3, changed_at = $4, changed_by = $5
             where id = $1
            """,
            journey_id,
            name,
            version,
            tx.now,
            tx.actor,
        )
    await tx.run(
        """
        insert into journeys.version (journey_id, version, plan, saved_at, saved_by)
        values ($1, $2, $3, $4, $5)
        """,
        journey_id,
        version,
        msgspec.to_builtins(plan, str_keys=True),
        tx.now,
        tx.actor,
    )
    saved = await journey(tx, journey_id)
    tx.emit(JourneyChanged(journey_id=journey_id, state=saved.state, version=version))
    return saved


async def _check(tx: Tx, plan: Plan) -> None:
    checked(plan, sorted(KINDS), sorted(actions_of(tx.db)))
    for n, step in enumerate(plan.steps, 1):
        if not isinstance(step, Act):
            continue
        if step.action == BENEFIT:
            await check_coupon(tx, n, step)
        if step.action == "webhook":
            outbound.of(tx.db).checked(step.settings.get("url", ""))
        if step.action == "message":
            try:
                await messages.template(tx, step.settings.get("template", ""))
            except Refusal as refusal:
                zh = refusal.sentence("zh-CN").rstrip("。")
                raise PlanUnclear(n, refusal.sentence().rstrip("."), zh) from refusal


MOVES = {
    "live": ("draft", "paused"),
    "paused": ("live",),
    "closed": ("draft", "live", "paused"),
}


async def set_state(tx: Tx, journey_id: uuid.UUID, state: str) -> Journey:
    """``live``: people enter and go on; ``paused``: everybody stands still, timers run; ``closed``:
    whoever is on the way stops here, for good. ``JourneyIs`` when it can't be."""
    before = await _locked(tx, journey_id)
    if before.state == state:
        return before
    if before.state not in MOVES.get(state, ()):
        raise JourneyIs(name=before.name, state=before.state)
    await tx.run(
        """
        update journeys.journey set state = $2, changed_at = $3, changed_by = $4 where id = $1
        """,
        journey_id,
        state,
        tx.now,
        tx.actor,
    )
    if state == "closed":
        await tx.run(
            """
            update journeys.enrolment
               set state = 'stopped', ended_at = $3, due_at = null, waits_for = null,
                   note = 'the journey was closed'
             where cell = $1 and journey_id = $2 and state = 'active'
            """,
            tx.cell,
            journey_id,
            tx.now,
        )
    tx.emit(JourneyChanged(journey_id=journey_id, state=state, version=before.version))
    return await journey(tx, journey_id)


async def journey(tx: Tx, journey_id: uuid.UUID) -> Journey:
    return await tx.the(
        "journey",
        Journey,
        """
        select id, name, state, version, created_at, changed_at, changed_by
          from journeys.journey where id = $1
        """,
        journey_id,
    )


async def _locked(tx: Tx, journey_id: uuid.UUID) -> Journey:
    return await tx.the(
        "journey",
        Journey,
        """
        select id, name, state, version, created_at, changed_at, changed_by
          from journeys.journey where id = $1 for update
        """,
        journey_id,
    )


async def journeys(tx: Tx) -> list[Journey]:
    """All of them, the newest first."""
    return await tx.rows(
        Journey,
        """
        select id, name, state, version, created_at, changed_at, changed_by
          from journeys.journey order by id desc limit 500
        """,
    )


async def plan_of(tx: Tx, journey_id: uuid.UUID, version: int | None = None) -> Plan:
    """The plan of a version, or of the newest."""
    raw = await tx.value(
        """
        select plan from journeys.version
         where journey_id = $1 and ($2::int is null or version = $2) order by version desc limit 1
        """,
        journey_id,
        version,
    )
    return msgspec.convert(raw, Plan)
