"""Bargains, invitations and rewards in the open API."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.growth.social import (
    bargain_queries,
    bargain_running,
    invite_payouts,
    invite_running,
)
from pinwheel.growth.social.bargain import BargainTerms
from pinwheel.growth.social.bargain_queries import (
    BargainCampaignLine,
    BargainLine,
    BargainSight,
)
from pinwheel.growth.social.invite import InviteCampaign, InviteTerms
from pinwheel.growth.social.invite_payouts import RewardLine, Statement, TaxLine
from pinwheel.growth.social.model import CampaignNotDraft, NothingToPay
from pinwheel.kernel.db import Tx
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, get, post

TAGS, INVITES = ("Bargains",), ("Invites",)
READ, WRITE, PAY = "teams:read", "teams:write", "money"
PageSize = Annotated[int, Meta(ge=1, le=100)]
Year = Annotated[int, Meta(ge=2000, le=2200)]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$")]
State = Literal["running", "reached", "bought", "expired"]
RewardState = Literal["pending", "review", "released", "reversed", "refused"]


class Made(msgspec.Struct, frozen=True):
    id: UUID


class Paid(msgspec.Struct, frozen=True):
    id: UUID
    amount_minor: int
    currency: str


@get("/api/v1/bargains/{token:str}", tags=TAGS)
async def see_bargain(call: Call, tx: Tx, token: str) -> Answer[BargainSight]:
    """A bargain by its address. Buy with the claim ``bargain`` of its id."""
    person = call.caller.person_id
    return Answer(await bargain_queries.bargain_seen(tx, token[:64], person_id=person))


@get("/api/v1/bargain-campaigns", scope=READ, tags=TAGS)
async def list_bargain_campaigns(tx: Tx) -> Answer[list[BargainCampaignLine]]:
    """Campaigns, newest first, with what has become of their bargains."""
    return Answer(await bargain_queries.bargain_campaigns(tx))


@get("/api/v1/bargain-campaigns/{campaign_id:uuid}/bargains", scope=READ, tags=TAGS)
async def list_bargains(
    tx: Tx,
    campaign_id: UUID,
    state: State | None = None,
    after: str | None = None,
    limit: PageSize = 50,
) -> Answer[Page[BargainLine]]:
    """The bargains of a campaign, newest first."""
    return Answer(
        await bargain_queries.bargains(
            tx, campaign_id=campaign_id, state=state, cursor=after, limit=limit
        )
    )


@post("/api/v1/bargain-campaigns", scope=WRITE, once=True, status=201, tags=TAGS)
async def make_bargain_campaign(tx: Tx, data: BargainTerms) -> Answer[Made]:
    """Write a campaign down. It starts when you say so."""
    return Answer(Made(await bargain_running.save_bargain_campaign(tx, data)))


@post(
    "/api/v1/bargain-campaigns/{campaign_id:uuid}/start",
    scope=WRITE,
    status=204,
    tags=TAGS,
    refusals=(CampaignNotDraft,),
)
async def start_bargains(tx: Tx, campaign_id: UUID) -> Answer[None]:
    """From now on bargains may be started; the terms are promised."""
    await bargain_running.start_bargain_campaign(tx, campaign_id)
    return Answer(None)


@post("/api/v1/bargain-campaigns/{campaign_id:uuid}/stop", scope=WRITE, status=204, tags=TAGS)
async def stop_bargains(tx: Tx, campaign_id: UUID) -> Answer[None]:
    """No bargain is started any more; those that run go on."""
    await bargain_running.stop_bargain_campaign(tx, campaign_id)
    return Answer(None)


@get("/api/v1/invite-campaigns", scope=READ, tags=INVITES)
async def list_invite_campaigns(tx: Tx) -> Answer[list[InviteCampaign]]:
    """Invite and promoter campaigns, newest first."""
    return Answer(await invite_running.invite_campaigns(tx))


@post("/api/v1/invite-campaigns", scope=WRITE, once=True, status=201, tags=INVITES)
async def make_invite_campaign(tx: Tx, data: InviteTerms) -> Answer[Made]:
    """Write a campaign down. It starts when you say so."""
    return Answer(Made(await invite_running.save_invite_campaign(tx, data)))


@post(
    "/api/v1/invite-campaigns/{campaign_id:uuid}/start",
    scope=WRITE,
    status=204,
    tags=INVITES,
    refusals=(CampaignNotDraft,),
)
async def start_invites(tx: Tx, campaign_id: UUID) -> Answer[None]:
    """From now on its links count."""
    await invite_running.set_invite_campaign(tx, campaign_id, running=True)
    return Answer(None)


@post("/api/v1/invite-campaigns/{campaign_id:uuid}/stop", scope=WRITE, status=204, tags=INVITES)
async def stop_invites(tx: Tx, campaign_id: UUID) -> Answer[None]:
    """No new buyer counts; what waits stays promised."""
    await invite_running.set_invite_campaign(tx, campaign_id, running=False)
    return Answer(None)


@get("/api/v1/rewards", scope=READ, tags=INVITES)
async def list_rewards(
    tx: Tx,
    campaign_id: UUID | None = None,
    person_id: UUID | None = None,
    state: RewardState | None = None,
    after: str | None = None,
    limit: PageSize = 50,
) -> Answer[Page[RewardLine]]:
    """Rewards, newest first."""
    return Answer(
        await invite_payouts.rewards(
            tx,
            person_id=person_id,
            campaign_id=campaign_id,
            state=state,
            cursor=after,
            limit=limit,
        )
    )


@get("/api/v1/promoters/{person_id:uuid}/statement", scope=READ, tags=INVITES)
async def see_statement(tx: Tx, person_id: UUID, currency: Currency) -> Answer[Statement]:
    """A promoter's account."""
    return Answer(await invite_payouts.promoter_statement(tx, person_id, currency))


@post(
    "/api/v1/promoters/{person_id:uuid}/payouts",
    scope=PAY,
    once=True,
    status=201,
    tags=INVITES,
    refusals=(NothingToPay,),
)
async def pay_promoter(tx: Tx, person_id: UUID, currency: Currency) -> Answer[Paid]:
    """Everything that is due leaves the promoter's account, to be transferred."""
    done = await invite_payouts.pay_out(tx, person_id, currency)
    return Answer(Paid(done.id, done.amount_minor, done.currency))


@get("/api/v1/reward-tax-report", scope=PAY, tags=INVITES)
async def see_tax_report(tx: Tx, year: Year) -> Answer[list[TaxLine]]:
    """Sums for each person and currency of a calendar year."""
    return Answer(await invite_payouts.tax_report(tx, year))
