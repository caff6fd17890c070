"""Bargains in the console: campaigns, and those that run."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.faces.console.frame import attempt, shown
from pinwheel.faces.console.money import minor_of
from pinwheel.growth import social
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid
from pinwheel.kernel.web import Answer, Call, See, get, post
from pinwheel.trade import budgets, orders, pricing

READ, WRITE = "teams:read", "teams:write"
HERE = "/console/bargains"
Line = Annotated[str, Meta(max_length=120)]
Small = Annotated[str, Meta(max_length=20)]


class Desk(msgspec.Struct, frozen=True):
    campaigns: list[social.BargainCampaignLine]
    bargains: list[social.BargainLine]


@get(HERE, scope=READ)
async def bargains_page(call: Call, tx: Tx) -> Answer[Desk]:
    """Campaigns with what they gave and hold, and the newest bargains."""
    desk = Desk(await social.bargain_campaigns(tx), (await social.bargains(tx, limit=50)).items)
    return await shown(
        call,
        tx,
        desk,
        "bargains",
        call.say("Bargains"),
        "bargains",
        markets=[m for m in (await pricing.markets(tx)).values() if m.active],
        open_budgets=await budgets.budgets(tx, open_only=True),
    )


class CampaignForm(msgspec.Struct):
    name_en: Line
    name_zh: Line
    market: Annotated[str, Meta(min_length=1, max_length=20)]
    sku: Line
    budget_id: UUID
    floor: Small
    helps: Annotated[int, Meta(ge=1, le=500)]
    hours: Annotated[int, Meta(ge=1, le=720)] = 24
    days: Annotated[int, Meta(ge=1, le=365)] = 30
    pieces: Annotated[int, Meta(ge=0, le=10**9)] = 0
    reserved: bool = False


@post(HERE, scope=WRITE)
async def start_campaign(call: Call, db: Database, data: CampaignForm) -> See[Any]:
    """A campaign that starts at once; a gap too small for so many helps is refused."""

    async def verb(tx: Tx) -> UUID:
        offer_id, currency, price_minor = await _thing(tx, data)
        terms = social.BargainTerms(
            name={"en": data.name_en, "zh-CN": data.name_zh or data.name_en},
            market=data.market,
            currency=currency,
            offer_id=offer_id,
            budget_id=data.budget_id,
            list_minor=price_minor,
            floor_minor=max(0, minor_of(data.floor, currency, "floor")) if data.floor else 0,
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


async def _thing(tx: Tx, data: CampaignForm) -> tuple[UUID, str, int]:
    """The offer of a SKU, the market's currency, and the price that a bargain starts from."""
    market = (await pricing.markets(tx)).get(data.market)
    if market is None:
        raise Invalid("market", "choose one of the list", "请从列表中选择")
    found = await orders.articles(tx, skus=[data.sku.strip()])
    if not found:
        raise Invalid("sku", "not sold here", "未找到该商品")
    offer_id = found[0].offer_id
    price = (await pricing.prices(tx, [offer_id], market.currency)).get(offer_id)
    if price is None:
        raise Invalid("sku", f"has no price in {market.currency}", f"没有 {market.currency} 价格")
    return offer_id, market.currency, price.price_minor


@post(f"{HERE}/{{campaign_id:uuid}}/stop", scope=WRITE)
async def stop_campaign(call: Call, db: Database, campaign_id: UUID) -> See[Any]:
    """No bargain is started any more."""

    async def verb(tx: Tx) -> None:
        await social.stop_bargain_campaign(tx, campaign_id)

    return await attempt(call, db, verb, HERE, call.say("Stopped."))
