"""Subsidy programmes: what they paid, what that brought beyond what came anyway, price matches."""

from __future__ import annotations

import csv
import datetime as dt
import io
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from pinwheel.faces.console.choices import chosen
from pinwheel.faces.console.frame import attempt, shown, words_of
from pinwheel.faces.console.moments import day, zone_of
from pinwheel.faces.console.money import minor_of
from pinwheel.growth import subsidy
from pinwheel.growth.subsidy import Efficiency, Goods, Match, NewProgramme, Programme
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid, NotFound
from pinwheel.kernel.web import Answer, Call, See, get, post
from pinwheel.kernel.words import said
from pinwheel.trade import budgets, orders, pricing

SCOPE, MONEY = "subsidy", "money"
PATH = "/console/subsidy"
Text = Annotated[str, Meta(max_length=120)]
Id = Annotated[str, Meta(max_length=40)]
Day = Annotated[str, Meta(max_length=10)]


class Desk(msgspec.Struct, frozen=True):
    programmes: list[Programme]
    matches: list[Match]


@get(PATH, scope=SCOPE)
async def programmes_page(call: Call, tx: Tx) -> Answer[Desk]:
    """Every programme, and price matches that wait for an answer."""
    found = Desk(await subsidy.programmes(tx), await subsidy.matches(tx, waiting_only=True))
    open_budgets = await budgets.budgets(tx, open_only=True)
    return await shown(
        call,
        tx,
        found,
        "subsidies",
        call.say("Subsidies"),
        "subsidy",
        open_budgets=open_budgets,
        currency_of={p.id: p.currency for p in found.programmes},
        numbers=await orders.numbers_of(tx, {m.order_id for m in found.matches}),
        today=tx.now.astimezone(zone_of(call)).date(),
    )


class ProgrammeForm(msgspec.Struct):
    name_en: Text
    platform_budget_id: Id
    starts_on: Day
    ends_on: Day
    name_zh: Text = ""
    brand_budget_id: Id = ""
    brand_percent: Annotated[int, Meta(ge=0, le=100)] = 0
    identity_pieces: Annotated[int, Meta(ge=1, le=10_000)] = 2
    home_orders: Annotated[int, Meta(ge=0, le=1000)] = 0
    period_days: Annotated[int, Meta(ge=1, le=366)] = 30
    reference_days: Annotated[int, Meta(ge=1, le=90)] = 7
    match_days: Annotated[int, Meta(ge=0, le=90)] = 0
    region_caps: Annotated[str, Meta(max_length=2000)] = ""
    experiment_key: Annotated[str, Meta(max_length=80)] = ""


@post(PATH, scope=SCOPE)
async def plan(call: Call, db: Database, data: ProgrammeForm) -> See[Any]:
    """Plan a programme: its terms stay once it has begun."""

    async def verb(tx: Tx) -> UUID:
        paying = await budgets.budget(tx, _uuid(data.platform_budget_id))
        return await subsidy.save_programme(
            tx, _planned(data, paying.id, paying.currency, zone_of(call))
        )

    return await attempt(
        call,
        db,
        verb,
        PATH,
        call.say("Planned. Now put goods in, with what they cost elsewhere."),
        ahead=lambda programme_id: f"{PATH}/{programme_id}",
    )


def _planned(data: ProgrammeForm, platform: UUID, currency: str, zone: ZoneInfo) -> NewProgramme:
    caps: dict[str, int] = {}
    for line in data.region_caps.split("\n"):
        if line.strip():
            region, _, cap = line.partition("=")
            caps[region.strip()[:20].upper()] = max(0, minor_of(cap, currency, "region_caps"))
    return NewProgramme(
        name=words_of(data.name_en, data.name_zh),
        currency=currency,
        platform_budget_id=platform,
        brand_budget_id=chosen("brand_budget_id", data.brand_budget_id),
        brand_basis_points=data.brand_percent * 100,
        identity_pieces=data.identity_pieces,
        home_orders=data.home_orders,
        period_days=data.period_days,
        reference_days=data.reference_days,
        match_days=data.match_days,
        region_caps=caps,
        experiment_key=data.experiment_key.strip() or None,
        starts_at=day("starts_on", data.starts_on, zone),
        ends_at=day("ends_on", data.ends_on, zone) + dt.timedelta(days=1),
    )


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise Invalid("budget", "choose one of the list", "请从列表中选择") from error


class ProgrammeSight(msgspec.Struct, frozen=True):
    programme: Programme
    goods: list[Goods]
    efficiency: Efficiency


@get(PATH + "/{programme_id:uuid}", scope=SCOPE)
async def programme_page(call: Call, tx: Tx, programme_id: UUID) -> Answer[ProgrammeSight]:
    """One programme: what it paid, and what that brought that would not have come anyway."""
    found = await subsidy.programmes(tx, [programme_id])
    if not found:
        raise NotFound(what="programme")
    [programme] = found
    sight = ProgrammeSight(
        programme,
        await subsidy.goods(tx, [programme_id]),
        await subsidy.efficiency(tx, programme),
    )
    name = programme.name
    named = await orders.articles(tx, offer_ids=[g.offer_id for g in sight.goods])
    prices = await pricing.prices(tx, [g.offer_id for g in sight.goods], programme.currency)
    paying = [i for i in (programme.platform_budget_id, programme.brand_budget_id) if i]
    return await shown(
        call,
        tx,
        sight,
        "subsidy",
        said(name, call.language),
        "subsidy",
        articles={a.offer_id: a for a in named},
        prices=prices,
        paying=await budgets.budgets(tx, paying),
    )


class GoodsForm(msgspec.Struct):
    rows: Annotated[str, Meta(max_length=20_000)]


@post(PATH + "/{programme_id:uuid}/goods", scope=SCOPE)
async def put_goods(call: Call, db: Database, programme_id: UUID, data: GoodsForm) -> See[Any]:
    """Goods, one line each: SKU, target price, source, price there, link."""

    async def verb(tx: Tx) -> None:
        found = await subsidy.programmes(tx, [programme_id])
        if not found:
            raise NotFound(what="programme")
        await subsidy.put_goods(tx, programme_id, await _listed(tx, data.rows, found[0].currency))

    return await attempt(call, db, verb, f"{PATH}/{programme_id}", call.say("Put in."))


async def _listed(tx: Tx, text: str, currency: str) -> list[subsidy.NewGoods]:
    rows = [row for row in csv.reader(io.StringIO(text)) if any(c.strip() for c in row)]
    if not rows or any(len(row) < 4 for row in rows):
        raise Invalid("rows", "SKU, target, source, price there", "格式：SKU,目标价,来源,外部价格")
    known = {
        a.sku: a.offer_id for a in await orders.articles(tx, skus=[r[0].strip() for r in rows])
    }
    goods: dict[UUID, subsidy.NewGoods] = {}
    for row in rows:
        offer_id = known.get(row[0].strip())
        if offer_id is None:
            raise Invalid("rows", f"not sold here: {row[0]}", f"未找到商品：{row[0]}")
        target = minor_of(row[1], currency, "target")
        price = minor_of(row[3], currency, "price")
        if target <= 0 or price <= 0:
            raise Invalid("rows", "a price is more than nothing", "价格必须大于零")
        source = subsidy.Reference(
            source=row[2].strip()[:120] or "?",
            price_minor=price,
            url=row[4].strip()[:2000] if len(row) > 4 else "",
        )
        before = goods.get(offer_id)
        goods[offer_id] = subsidy.NewGoods(
            offer_id=offer_id,
            target_minor=target,
            references=[*(before.references if before else ()), source],
        )
    return list(goods.values())


class StateForm(msgspec.Struct):
    to: Annotated[str, Meta(max_length=10)]


@post(PATH + "/{programme_id:uuid}/state", scope=MONEY)
async def change_state(call: Call, db: Database, programme_id: UUID, data: StateForm) -> See[Any]:
    """Start it, or stop it for good."""

    async def verb(tx: Tx) -> None:
        if data.to == "start":
            await subsidy.start(tx, programme_id)
        else:
            await subsidy.stop(tx, programme_id)

    return await attempt(call, db, verb, f"{PATH}/{programme_id}", call.say("Saved."))


class MatchForm(msgspec.Struct):
    reason: Annotated[str, Meta(max_length=500)]
    amount: Annotated[str, Meta(max_length=20)] = ""


@post(PATH + "/matches/{match_id:uuid}", scope=MONEY)
async def answer_match(call: Call, db: Database, match_id: UUID, data: MatchForm) -> See[Any]:
    """Pay a price match, or refuse it with nothing; the buyer reads the reason."""

    async def verb(tx: Tx) -> None:
        waiting = {m.id: m for m in await subsidy.matches(tx, waiting_only=True, most=1000)}
        if match_id not in waiting:
            raise NotFound(what="claim")
        [programme] = await subsidy.programmes(tx, [waiting[match_id].programme_id])
        paid = minor_of(data.amount, programme.currency) if data.amount.strip() else 0
        await subsidy.decide_match(tx, match_id, paid, data.reason)

    return await attempt(call, db, verb, PATH, call.say("Answered."))
