"""Team routes of the open API."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.growth.social import team_planning, team_queries
from pinwheel.growth.social.model import CampaignNotDraft
from pinwheel.growth.social.team import TeamCampaign, TeamOffer, TeamTerms
from pinwheel.growth.social.team_queries import (
    CampaignLine,
    MoneyStep,
    OfferedTeam,
    TeamLine,
    TeamSight,
)
from pinwheel.kernel.db import Tx
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, get, post, put

TAGS = ("Teams",)
READ, WRITE = "teams:read", "teams:write"
PageSize = Annotated[int, Meta(ge=1, le=100)]
Market = Annotated[str, Meta(min_length=1, max_length=20)]
State = Literal["open", "formed", "failing", "failed"]


class CampaignSight(msgspec.Struct, frozen=True):
    """A campaign with its offers."""

    campaign: TeamCampaign
    offers: list[TeamOffer]


class Stop(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What becomes of open teams: they go on to their deadline, or fail and are refunded now."""

    teams: Literal["go_on", "fail"] = "go_on"


class Stopped(msgspec.Struct, frozen=True):
    """How many open teams fail."""

    failing: int


@get("/api/v1/offers/{offer_id:uuid}/teams", tags=TAGS)
async def offered_teams(tx: Tx, offer_id: UUID, market: Market) -> Answer[list[OfferedTeam]]:
    """Open teams of an offer with a free seat. Join with the claim ``team`` of its id; open one
    with the claim ``team_open`` of the campaign's id."""
    return Answer(await team_queries.open_teams(tx, [offer_id], market))


@get("/api/v1/teams/{token:str}", tags=TAGS)
async def see_team(call: Call, tx: Tx, token: str) -> Answer[TeamSight]:
    """A team by its address, as the caller may see it."""
    sight = await team_queries.team_seen(tx, token[:64], person_id=call.caller.person_id)
    ours = {"budget_id": None, "leader_coupon_id": None, "pieces_total": None}
    campaign = msgspec.structs.replace(sight.campaign, **ours)
    return Answer(msgspec.structs.replace(sight, campaign=campaign))


@get("/api/v1/team-campaigns", scope=READ, tags=TAGS)
async def list_campaigns(
    tx: Tx, after: str | None = None, limit: PageSize = 50
) -> Answer[Page[CampaignLine]]:
    """Campaigns, newest first, with what has become of their teams."""
    return Answer(await team_queries.team_campaigns(tx, cursor=after, limit=limit))


@get("/api/v1/team-campaigns/{campaign_id:uuid}", scope=READ, tags=TAGS)
async def see_campaign(tx: Tx, campaign_id: UUID) -> Answer[CampaignSight]:
    """A campaign's terms."""
    return Answer(CampaignSight(*await team_queries.team_campaign(tx, campaign_id)))


@get("/api/v1/team-campaigns/{campaign_id:uuid}/teams", scope=READ, tags=TAGS)
async def list_teams(
    tx: Tx,
    campaign_id: UUID,
    state: State | None = None,
    after: str | None = None,
    limit: PageSize = 50,
) -> Answer[Page[TeamLine]]:
    """The teams of a campaign, newest first."""
    return Answer(
        await team_queries.teams(
            tx, campaign_id=campaign_id, state=state, cursor=after, limit=limit
        )
    )


@get("/api/v1/team-money/{team_id:uuid}", scope=READ, tags=TAGS)
async def team_money(tx: Tx, team_id: UUID) -> Answer[list[MoneyStep]]:
    """What came in and went back for each seat of a team."""
    return Answer(await team_queries.money_trail(tx, team_id))


@post("/api/v1/team-campaigns", scope=WRITE, once=True, status=201, tags=TAGS)
async def make_campaign(tx: Tx, data: TeamTerms) -> Answer[CampaignSight]:
    """Write a campaign down. It starts when you say so."""
    campaign_id = await team_planning.save_team_campaign(tx, data)
    return Answer(CampaignSight(*await team_queries.team_campaign(tx, campaign_id)))


@put(
    "/api/v1/team-campaigns/{campaign_id:uuid}",
    scope=WRITE,
    tags=TAGS,
    refusals=(CampaignNotDraft,),
)
async def change_campaign(tx: Tx, campaign_id: UUID, data: TeamTerms) -> Answer[CampaignSight]:
    """Change the terms of a campaign that has not started."""
    await team_planning.locked_campaign(tx, campaign_id)
    await team_planning.save_team_campaign(tx, data, campaign_id=campaign_id)
    return Answer(CampaignSight(*await team_queries.team_campaign(tx, campaign_id)))


@post(
    "/api/v1/team-campaigns/{campaign_id:uuid}/start",
    scope=WRITE,
    status=204,
    tags=TAGS,
    refusals=(CampaignNotDraft,),
)
async def start_campaign(tx: Tx, campaign_id: UUID) -> Answer[None]:
    """From now on teams may be opened; the terms are promised."""
    await team_planning.start_team_campaign(tx, campaign_id)
    return Answer(None)


@post("/api/v1/team-campaigns/{campaign_id:uuid}/stop", scope=WRITE, tags=TAGS)
async def stop_campaign(tx: Tx, campaign_id: UUID, data: Stop) -> Answer[Stopped]:
    """No new team is opened."""
    return Answer(
        Stopped(await team_planning.stop_team_campaign(tx, campaign_id, teams=data.teams))
    )
