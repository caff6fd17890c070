"""Routes of measurement, for programs."""

from __future__ import annotations

import datetime as dt
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.growth.measurement import (
    acquiring,
    incrementality,
    overview,
    queries,
    spending,
    spreading,
    stepping,
)
from pinwheel.growth.measurement.acquiring import Acquisition
from pinwheel.growth.measurement.holdouts import Lift
from pinwheel.growth.measurement.incrementality import NewTrial, Trial
from pinwheel.growth.measurement.model import Currency, NewSpend, Recorded, Spend
from pinwheel.growth.measurement.overview import Board
from pinwheel.growth.measurement.spreading import Sharing
from pinwheel.growth.measurement.stages import Plan
from pinwheel.growth.measurement.stepping import Moved, Rocket, Standing, Step
from pinwheel.kernel.db import Tx
from pinwheel.kernel.web import Answer, get, post, put

TEXT = r"^[^\u0000]*$"  # what PostgreSQL can keep
SCOPE = "growth"
TAGS = ("growth",)


class SpendReport(msgspec.Struct, forbid_unknown_fields=True):
    rows: Annotated[list[NewSpend], Meta(min_length=1, max_length=5000)]


class Because(msgspec.Struct, frozen=True):
    why: Annotated[str, Meta(min_length=3, max_length=500, pattern=TEXT)]


class Made(msgspec.Struct, frozen=True):
    id: UUID


class Saved(msgspec.Struct, frozen=True):
    version: int


class Stages(msgspec.Struct, frozen=True):
    standing: list[Standing]
    funnel: list[Step]


@post("/api/v1/growth/spend", scope=SCOPE, tags=TAGS, status=200)
async def report_spend(tx: Tx, data: SpendReport) -> Answer[Recorded]:
    """Report marketing spend by channel, campaign and day; what is sent again is corrected, all
    rows or none."""
    return Answer(await spending.record_spend(tx, data.rows))


@get("/api/v1/growth/spend", scope=SCOPE, tags=TAGS)
async def list_spend(tx: Tx, since: dt.date, until: dt.date) -> Answer[list[Spend]]:
    """Spend from ``since`` to before ``until``, a year at most."""
    return Answer(await queries.spend(tx, *queries.stretch_of(since, until)))


@get("/api/v1/growth/acquisition", scope=SCOPE, tags=TAGS)
async def see_acquisition(
    tx: Tx, since: dt.date, until: dt.date, currency: Currency
) -> Answer[Acquisition]:
    """Cost of winning buyers, rewards and subsidies in it, by seven rules of attribution, with
    intervals."""
    first, last = queries.stretch_of(since, until)
    return Answer(await acquiring.acquisition(tx, first, last, currency))


@get("/api/v1/growth/lifts", scope=SCOPE, tags=TAGS)
async def list_lifts(
    tx: Tx, since: dt.date, until: dt.date, currency: Currency
) -> Answer[list[Lift]]:
    """What was measured by holdouts and switched days or regions; last click's figure beside it."""
    first, last = queries.stretch_of(since, until)
    return Answer(await incrementality.lifts(tx, first, last, currency))


@get("/api/v1/growth/trials", scope=SCOPE, tags=TAGS)
async def list_trials(tx: Tx) -> Answer[list[Trial]]:
    """Every trial of what would have happened anyway."""
    return Answer(await incrementality.trials(tx))


@post("/api/v1/growth/trials", scope=SCOPE, tags=TAGS, once=True, status=201)
async def plan_trial(tx: Tx, data: NewTrial) -> Answer[Made]:
    """Plan to switch a channel off on some days or in some regions, before it begins."""
    return Answer(Made(await incrementality.plan_trial(tx, data)), status=201)


@post("/api/v1/growth/trials/{trial_id:uuid}/stop", scope=SCOPE, tags=TAGS)
async def stop_trial(tx: Tx, trial_id: UUID, data: Because) -> Answer[Made]:
    """End a trial before its last day; what it showed until today stays."""
    await incrementality.stop_trial(tx, trial_id, data.why)
    return Answer(Made(trial_id))


@get("/api/v1/growth/sharing", scope=SCOPE, tags=TAGS)
async def see_sharing(
    tx: Tx, currency: Currency, campaign_id: UUID | None = None
) -> Answer[Sharing]:
    """K with its interval, depth, pace, saturation and the marginal cost, of the shop or of one
    campaign."""
    return Answer(await spreading.sharing(tx, currency, campaign_id))


@get("/api/v1/growth/board", scope=SCOPE, tags=TAGS)
async def see_board(tx: Tx, currency: Currency, ended: bool = False) -> Answer[Board]:
    """The campaigns that run (``ended``: all of them), those that warn first."""
    return Answer(await overview.board(tx, currency, running_only=not ended))


@get("/api/v1/growth/rocket", scope=SCOPE, tags=TAGS)
async def see_rocket(tx: Tx) -> Answer[Rocket]:
    """The programme that holds: stages, rules, levels of categories, next offers."""
    return Answer(await stepping.rocket(tx))


@put("/api/v1/growth/rocket", scope=SCOPE, tags=TAGS)
async def save_rocket(tx: Tx, data: Plan) -> Answer[Saved]:
    """Save a new version; everybody's stage is reckoned anew by it."""
    return Answer(Saved(await stepping.save_rocket(tx, data)))


@get("/api/v1/growth/stages", scope=SCOPE, tags=TAGS)
async def see_stages(tx: Tx, since: dt.date) -> Answer[Stages]:
    """Where people are, and the funnel by month of the first order."""
    queries.stretch_of(since, tx.now.date() + dt.timedelta(days=1))
    return Answer(Stages(await stepping.standing(tx), await stepping.funnel(tx, since)))


@get("/api/v1/growth/people/{person_id:uuid}/moves", scope=SCOPE, tags=TAGS)
async def list_moves(tx: Tx, person_id: UUID) -> Answer[list[Moved]]:
    """Every move of a person, with the rule that fired and the facts it saw."""
    return Answer(await stepping.moves(tx, person_id))
