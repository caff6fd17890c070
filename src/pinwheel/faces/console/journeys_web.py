"""Journeys: made as a form, seen as a drawing, judged against their holdout."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec

from pinwheel.faces.console.choices import segment_choices
from pinwheel.faces.console.frame import attempt, shown
from pinwheel.faces.console.journey_form import (
    UNITS,
    JourneyForm,
    flow_of,
    plan_of,
    rows_of,
)
from pinwheel.faces.console.moments import zone_of
from pinwheel.ground import messages
from pinwheel.growth import journeys
from pinwheel.growth.journeys import Funnel, Journey, Measured, Plan, Standing
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.web import Answer, Call, See, get, post
from pinwheel.kernel.words import said
from pinwheel.trade import promotions

SCOPE = "journeys"


@get("/console/journeys", scope=SCOPE)
async def all_journeys(call: Call, tx: Tx) -> Answer[list[Journey]]:
    """Every journey, the newest first."""
    found = await journeys.journeys(tx)
    return await shown(call, tx, found, "journeys", call.say("Journeys"), "journeys")


class NoJourneyYet(msgspec.Struct, frozen=True):
    """An empty form."""


@get("/console/journeys/new", scope=SCOPE)
async def new_journey(call: Call, tx: Tx) -> Answer[NoJourneyYet]:
    """The form of a new journey."""
    more = await _choices(call, tx)
    return await shown(
        call,
        tx,
        NoJourneyYet(),
        "journey",
        call.say("New journey"),
        "journeys",
        journey=None,
        plan=None,
        rows=rows_of(None),
        flow=None,
        effect=None,
        funnel=[],
        standing=[],
        **more,
    )


async def _choices(call: Call, tx: Tx) -> dict[str, Any]:
    running = (await promotions.promotions(tx, state="active", limit=200)).items
    return {
        "events": sorted(journeys.KINDS),
        "segments": await segment_choices(call, tx),
        "templates": [(t.slug, t.name) for t in await messages.templates(tx)],
        "coupons": [
            (str(p.id), said(p.name, call.language)) for p in running if p.terms.conditions.coupon
        ],
        "actions": sorted(journeys.actions_of(tx.db)),
        "units": list(UNITS),
    }


class JourneyDesk(msgspec.Struct, frozen=True):
    journey: Journey
    plan: Plan
    effect: Measured
    funnel: list[Funnel]
    standing: list[Standing]


@get("/console/journeys/{journey_id:uuid}", scope=SCOPE)
async def journey(call: Call, tx: Tx, journey_id: UUID) -> Answer[JourneyDesk]:
    """One journey: its drawing, its report, its form."""
    found = await journeys.journey(tx, journey_id)
    plan = await journeys.plan_of(tx, journey_id)
    desk = JourneyDesk(
        found,
        plan,
        await journeys.journey_effect(tx, journey_id),
        await journeys.funnel(tx, journey_id),
        await journeys.standing(tx, journey_id),
    )
    more = await _choices(call, tx)
    return await shown(
        call,
        tx,
        desk,
        "journey",
        found.name,
        "journeys",
        rows=rows_of(plan),
        flow=flow_of(plan, call.say, dict(more["segments"] + more["coupons"])),
        **more,
    )


@post("/console/journeys", scope=SCOPE)
async def make(call: Call, db: Database, data: JourneyForm) -> See[Any]:
    """A new journey, as a draft."""

    async def verb(tx: Tx) -> Journey:
        return await journeys.save_journey(tx, data.name, plan_of(data, zone_of(call)))

    return await attempt(
        call, db, verb, "/console/journeys/new", call.say("Saved."),
        ahead=lambda made: f"/console/journeys/{made.id}",
    )  # fmt: skip


@post("/console/journeys/{journey_id:uuid}", scope=SCOPE)
async def change(call: Call, db: Database, journey_id: UUID, data: JourneyForm) -> See[Any]:
    """The next version; whoever is on the way goes on by theirs."""

    async def verb(tx: Tx) -> Journey:
        return await journeys.save_journey(
            tx, data.name, plan_of(data, zone_of(call)), journey_id=journey_id
        )

    return await attempt(call, db, verb, f"/console/journeys/{journey_id}", call.say("Saved."))


class StateForm(msgspec.Struct):
    state: str


@post("/console/journeys/{journey_id:uuid}/state", scope=SCOPE)
async def set_state(call: Call, db: Database, journey_id: UUID, data: StateForm) -> See[Any]:
    """Switch on, halt, close."""

    async def verb(tx: Tx) -> Journey:
        return await journeys.set_state(tx, journey_id, data.state)

    return await attempt(call, db, verb, f"/console/journeys/{journey_id}", call.say("Done."))
