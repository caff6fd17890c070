"""Bargains in the console: campaigns, and those that run."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.faces.console.frame import attempt, shown
from pinwheel.growth import social
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.web import Answer, Call, See, get, post

READ, WRITE = "teams:read", "teams:write"
HERE = "/console/bargains"
Line = Annotated[str, Meta(max_length=120)]


class Desk(msgspec.Struct, frozen=True):
    campaigns: list[social.BargainCampaignLine]
    bargains: list[social.BargainLine]


@get(HERE, scope=READ)
async def bargains_page(call: Call, tx: Tx) -> Answer[Desk]:
    """Campaigns with what they gave and hold, and the newest bargains."""
    desk = Desk(await social.bargain_campaigns(tx), (await social.bargains(tx, limit=50)).items)
    return await shown(call, tx, desk, "bargains", call.say("Bargains"), "bargains")


class CampaignForm(msgspec.Struct):
    name_en: Line
    name_zh: Line
    market: Annotated[str, Meta(min_length=1, max_length=20)]
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    offer_id: UUID
    budget_id: UUID
    list_minor: Annotated[int, Meta(ge=1, le=10**12)]
    floor_minor: Annotated[int, Meta(ge=0, le=10**12)]
    helps: Annotated[int, Meta(ge=1, le=500)]
    hours: Annotated[int, Meta(ge=1, le=720)] = 24
    days: Annotated[int, Meta(ge=1, le=365)] = 30
    pieces: Annotated[int, Meta(ge=0, le=10**9)] = 0
    reserved: bool = False


@post(HERE, scope=WRITE)
async def start_campaign(call: Call, db: Database, data: CampaignForm) -> See[Any]:
    """A campaign that starts at once; a gap too small for so many helps is refused."""

    async def verb(tx: Tx) -> UUID:
        terms = social.BargainTerms(
            name={"en": data.name_en, "zh-CN": data.name_zh or data.name_en},
            market=data.market,
            currency=data.currency,
            offer_id=data.offer_id,
            budget_id=data.budget_id,
            list_minor=data.list_minor,
            floor_minor=data.floor_minor,
            helps=data.helps,
            window_seconds=data.hours * 3600,
            ends_at=tx.now + dt.timedelta(days=data.days),
            pieces_total=data.pieces or None,
            stock="reserved" if data.reserved else "while_stock_lasts",
        )
        campaign_id = await social.save_bargain_campaign(tx, terms)
        await social.start_bargain_campaign(tx, campaign_id)
        return campaign_id

    return await attempt(call, db, verb, HERE, call.say("Started."))


@post(f"{HERE}/{{campaign_id:uuid}}/stop", scope=WRITE)
async def stop_campaign(call: Call, db: Database, campaign_id: UUID) -> See[Any]:
    """No bargain is started any more."""

    async def verb(tx: Tx) -> None:
        await social.stop_bargain_campaign(tx, campaign_id)

    return await attempt(call, db, verb, HERE, call.say("Stopped."))
