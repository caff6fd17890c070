"""The programs' door of journeys and campaigns."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Annotated

import msgspec
from msgspec import Meta

from pinwheel.growth.journeys import campaigning as many
from pinwheel.growth.journeys import measuring, planning
from pinwheel.growth.journeys.campaigning import Campaign, Letters, Members, NewCampaign
from pinwheel.growth.journeys.enrolling import enrol
from pinwheel.growth.journeys.measuring import Funnel, Measured, Standing
from pinwheel.growth.journeys.model import (
    CampaignIs,
    Entry,
    JourneyIs,
    Name,
    NobodyToWriteTo,
    Plan,
    PlanUnclear,
)
from pinwheel.growth.journeys.planning import Journey
from pinwheel.kernel.db import Tx
from pinwheel.kernel.web import Answer, get, post, put

TAGS = ("journeys",)
SCOPE = "journeys"


class Planned(msgspec.Struct, frozen=True):
    journey: Journey
    plan: Plan


class ToPlan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Name
    plan: Plan


class ToState(msgspec.Struct, frozen=True):
    """``live``, ``paused`` or ``closed``."""

    state: Annotated[str, Meta(pattern="^(live|paused|closed)$")]


@get("/api/v1/journeys", scope=SCOPE, tags=TAGS)
async def journeys(tx: Tx) -> Answer[list[Journey]]:
    """Every journey, the newest first."""
    return Answer(await planning.journeys(tx))


@post("/api/v1/journeys", scope=SCOPE, tags=TAGS, refusals=(PlanUnclear,), status=201)
async def make(tx: Tx, data: ToPlan) -> Answer[Journey]:
    """A new journey, as a draft."""
    return Answer(await planning.save_journey(tx, data.name, data.plan))


@get("/api/v1/journeys/{journey_id:uuid}", scope=SCOPE, tags=TAGS)
async def one(tx: Tx, journey_id: uuid.UUID) -> Answer[Planned]:
    """A journey with the plan that people enter by now."""
    found = await planning.journey(tx, journey_id)
    return Answer(Planned(found, await planning.plan_of(tx, journey_id)))


@put(
    "/api/v1/journeys/{journey_id:uuid}", scope=SCOPE, tags=TAGS, refusals=(PlanUnclear, JourneyIs)
)
async def change(tx: Tx, journey_id: uuid.UUID, data: ToPlan) -> Answer[Journey]:
    """The next version; whoever is on the way goes on by theirs."""
    return Answer(await planning.save_journey(tx, data.name, data.plan, journey_id=journey_id))


@post("/api/v1/journeys/{journey_id:uuid}/state", scope=SCOPE, tags=TAGS, refusals=(JourneyIs,))
async def set_state(tx: Tx, journey_id: uuid.UUID, data: ToState) -> Answer[Journey]:
    """Switch it on, halt it, or close it for good."""
    return Answer(await planning.set_state(tx, journey_id, data.state))


class NewEntry(msgspec.Struct, frozen=True, kw_only=True):
    """``key``: what sets it off; the same key again changes nothing."""

    person_id: uuid.UUID
    key: Annotated[str, Meta(min_length=1, max_length=200)]


class ToEnter(msgspec.Struct, frozen=True):
    people: Annotated[list[NewEntry], Meta(min_length=1, max_length=1_000)]


class Entered(msgspec.Struct, frozen=True):
    entered: int


@post(
    "/api/v1/journeys/{journey_id:uuid}/enrolments", scope=SCOPE, tags=TAGS, refusals=(JourneyIs,)
)
async def enter(tx: Tx, journey_id: uuid.UUID, data: ToEnter) -> Answer[Entered]:
    """Let people enter a live journey by its own rules."""
    entries = [Entry(person_id=e.person_id, key=f"api:{e.key}") for e in data.people]
    return Answer(Entered(await enrol(tx, journey_id, entries)))


class JourneyReport(msgspec.Struct, frozen=True):
    effect: Measured
    funnel: list[Funnel]
    standing: list[Standing]


@get("/api/v1/journeys/{journey_id:uuid}/report", scope=SCOPE, tags=TAGS)
async def report(tx: Tx, journey_id: uuid.UUID) -> Answer[JourneyReport]:
    """Steps taken, and what the journey has changed against its holdout."""
    await planning.journey(tx, journey_id)
    return Answer(
        JourneyReport(
            await measuring.journey_effect(tx, journey_id),
            await measuring.funnel(tx, journey_id),
            await measuring.standing(tx, journey_id),
        )
    )


@get("/api/v1/campaigns", scope=SCOPE, tags=TAGS)
async def campaigns(tx: Tx) -> Answer[list[Campaign]]:
    """Every campaign, the newest first."""
    return Answer(await many.campaigns(tx))


@post("/api/v1/campaigns", scope=SCOPE, tags=TAGS, refusals=(NobodyToWriteTo,), status=201)
async def make_campaign(tx: Tx, data: NewCampaign) -> Answer[Campaign]:
    """A new campaign, as a draft."""
    return Answer(await many.save_campaign(tx, data))


class ToSchedule(msgspec.Struct, frozen=True):
    """``at`` None: now."""

    at: dt.datetime | None = None


@post(
    "/api/v1/campaigns/{campaign_id:uuid}/schedule",
    scope=SCOPE,
    tags=TAGS,
    refusals=(CampaignIs,),
)
async def schedule(tx: Tx, campaign_id: uuid.UUID, data: ToSchedule) -> Answer[Campaign]:
    """Begin now or then."""
    at = data.at if data.at is None or data.at.tzinfo else data.at.replace(tzinfo=dt.UTC)
    return Answer(await many.schedule(tx, campaign_id, at))


@post("/api/v1/campaigns/{campaign_id:uuid}/stop", scope=SCOPE, tags=TAGS, refusals=(CampaignIs,))
async def stop(tx: Tx, campaign_id: uuid.UUID) -> Answer[Campaign]:
    """Write to nobody else."""
    return Answer(await many.stop_campaign(tx, campaign_id, "stopped by the staff"))


class CampaignReport(msgspec.Struct, frozen=True):
    """``letters.opened`` and ``clicked`` are weak: machines do both. ``effect`` is what counts."""

    campaign: Campaign
    letters: Letters
    members: list[Members]
    effect: Measured


@get("/api/v1/campaigns/{campaign_id:uuid}", scope=SCOPE, tags=TAGS)
async def campaign_report(tx: Tx, campaign_id: uuid.UUID) -> Answer[CampaignReport]:
    """What became of its letters, and the incremental revenue against its holdout."""
    return Answer(
        CampaignReport(
            await many.campaign(tx, campaign_id),
            await many.letters_of(tx, campaign_id),
            await many.members_of(tx, campaign_id),
            await measuring.campaign_effect(tx, campaign_id),
        )
    )
