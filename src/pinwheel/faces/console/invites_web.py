"""Invitations in the console: campaigns, and the queue of rewards."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.faces.console.frame import attempt, shown
from pinwheel.faces.console.money import minor_of
from pinwheel.growth import social
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.web import Answer, Call, See, get, post
from pinwheel.trade import budgets

READ, WRITE = "teams:read", "teams:write"
HERE = "/console/invites"
Line = Annotated[str, Meta(max_length=120)]
Small = Annotated[str, Meta(max_length=20)]
State = Literal["pending", "review", "released", "reversed", "refused"]


class Desk(msgspec.Struct, frozen=True):
    campaigns: list[social.InviteCampaign]
    rewards: list[social.RewardLine]


@get(HERE, scope=READ)
async def invites_page(call: Call, tx: Tx, state: State | None = None) -> Answer[Desk]:
    """Campaigns, and rewards with their state and why; a review links to its verdict."""
    campaigns = await social.invite_campaigns(tx)
    desk = Desk(campaigns, (await social.rewards(tx, state=state, limit=100)).items)
    brought = await social.brought_by_campaign(tx, [c.id for c in campaigns])
    return await shown(
        call,
        tx,
        desk,
        "invites",
        call.say("Invitations"),
        "invites",
        brought=brought,
        state=state,
        open_budgets=await budgets.budgets(tx, open_only=True),
    )


class CampaignForm(msgspec.Struct):
    name_en: Line
    name_zh: Line
    budget_id: UUID
    attribution: Literal["first", "last"] = "last"
    window_days: Annotated[int, Meta(ge=1, le=180)] = 30
    inviter: Small = ""
    invitee: Small = ""
    commission_percent: Annotated[float, Meta(ge=0, le=50)] = 0.0
    least_order: Small = ""
    return_days: Annotated[int, Meta(ge=0, le=180)] = 30


@post(HERE, scope=WRITE)
async def start_campaign(call: Call, db: Database, data: CampaignForm) -> See[Any]:
    """A campaign that starts at once; a commission makes it a promoter's."""

    async def verb(tx: Tx) -> UUID:
        rate = round(data.commission_percent * 100)
        currency = (await budgets.budget(tx, data.budget_id)).currency
        terms = social.InviteTerms(
            name={"en": data.name_en, "zh-CN": data.name_zh or data.name_en},
            kind="promoter" if rate else "invite",
            currency=currency,
            budget_id=data.budget_id,
            attribution=data.attribution,
            window_days=data.window_days,
            inviter_minor=_minor(data.inviter, currency, "inviter"),
            invitee_minor=_minor(data.invitee, currency, "invitee"),
            commission_basis_points=rate,
            commission_days=data.window_days if rate else 0,
            least_order_minor=_minor(data.least_order, currency, "least_order"),
            return_days=data.return_days,
        )
        campaign_id = await social.save_invite_campaign(tx, terms)
        await social.set_invite_campaign(tx, campaign_id, running=True)
        return campaign_id

    return await attempt(call, db, verb, HERE, call.say("Started."))


def _minor(text: str, currency: str, where: str) -> int:
    return max(0, minor_of(text, currency, where)) if text.strip() else 0


@post(f"{HERE}/{{campaign_id:uuid}}/stop", scope=WRITE)
async def stop_campaign(call: Call, db: Database, campaign_id: UUID) -> See[Any]:
    """No new buyer counts; what waits stays promised."""

    async def verb(tx: Tx) -> None:
        await social.set_invite_campaign(tx, campaign_id, running=False)

    return await attempt(call, db, verb, HERE, call.say("Stopped."))
