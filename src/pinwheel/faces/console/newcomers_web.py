"""Newcomer pools in the console: what is offered, what it cost, and when it pays back."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.faces.console.choices import chosen
from pinwheel.faces.console.frame import attempt, shown
from pinwheel.faces.console.money import minor_of
from pinwheel.growth import newcomers
from pinwheel.growth.newcomers import NewOffer, NewPool, PayBack, Pool, PoolOffer
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid
from pinwheel.kernel.web import Answer, Call, See, get, post
from pinwheel.kernel.words import said
from pinwheel.trade import budgets, pricing

SCOPE = "newcomers"
Line = Annotated[str, Meta(max_length=120)]
WIDTH, HEIGHT, MARGIN = 720, 260, 44


@get("/console/newcomers", scope=SCOPE)
async def pools_page(call: Call, tx: Tx) -> Answer[list[Pool]]:
    """Every pool with what it gave."""
    found = await newcomers.pools(tx)
    offers = await newcomers.offers(tx)
    return await shown(
        call,
        tx,
        found,
        "newcomers",
        call.say("Newcomers"),
        "newcomers",
        currencies={o.pool_id: o.currency for o in offers},
        open_budgets=await budgets.budgets(tx, open_only=True),
    )


class PoolForm(msgspec.Struct):
    name_en: Line
    name_zh: Line
    per_identity: Annotated[int, Meta(ge=1, le=20)] = 1
    per_home: Annotated[int, Meta(ge=0, le=100)] = 3
    cost_percent: Annotated[str, Meta(max_length=4)] = ""
    budget_id: Annotated[str, Meta(max_length=40)] = ""


@post("/console/newcomers", scope=SCOPE)
async def open_pool(call: Call, db: Database, data: PoolForm) -> See[Any]:
    """A new pool; its limits are for good."""
    percent = data.cost_percent.strip()
    if percent and not (percent.isdigit() and int(percent) <= 100):
        raise Invalid("cost_percent", "a whole number up to 100", "请填写不超过 100 的整数")
    new = NewPool(
        name_en=data.name_en.strip() or data.name_zh.strip() or "–",
        name_zh=data.name_zh.strip() or data.name_en.strip() or "–",
        per_identity=data.per_identity,
        per_home=data.per_home,
        cost_percent=int(percent) if percent else None,
        budget_id=chosen("budget_id", data.budget_id),
    )

    async def verb(tx: Tx) -> UUID:
        return await newcomers.open_pool(tx, new)

    return await attempt(
        call,
        db,
        verb,
        "/console/newcomers",
        call.say("Opened. Now put something in."),
        ahead=lambda pool_id: f"/console/newcomers/{pool_id}",
    )


class PoolSight(msgspec.Struct, frozen=True):
    pool: Pool
    offers: list[PoolOffer]
    pay_back: PayBack


@get("/console/newcomers/{pool_id:uuid}", scope=SCOPE)
async def pool_page(call: Call, tx: Tx, pool_id: UUID) -> Answer[PoolSight]:
    """One pool: its offers, and the curve of what its newcomers brought."""
    sight = PoolSight(
        await newcomers.pool(tx, pool_id),
        await newcomers.offers(tx, pool_id=pool_id),
        await newcomers.pool_pay_back(tx, pool_id),
    )
    names = sight.pool.name
    return await shown(
        call,
        tx,
        sight,
        "newcomers_pool",
        said(names, call.language),
        "newcomers",
        chart=charted(sight.pay_back),
        markets=[m.code for m in (await pricing.markets(tx)).values() if m.active],
        goods=await newcomers.goods_of(tx, [o.offer_id for o in sight.offers]),
    )


def charted(curve: PayBack) -> dict[str, Any] | None:
    """The curve as the points of a picture: the mean, its band, the line of nothing. Pure."""
    days = curve.days
    if len(days) < 2:
        return None
    low = min(0.0, *(d.low_minor for d in days))
    high = max(1.0, *(d.high_minor for d in days))
    across, tall = WIDTH - 2 * MARGIN, HEIGHT - 2 * MARGIN

    def x(day: int) -> float:
        return round(MARGIN + across * day / days[-1].day, 1)

    def y(value: float) -> float:
        return round(HEIGHT - MARGIN - tall * (value - low) / (high - low), 1)

    band = [f"{x(d.day)},{y(d.high_minor)}" for d in days]
    band += [f"{x(d.day)},{y(d.low_minor)}" for d in reversed(days)]
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "left": MARGIN,
        "right": WIDTH - MARGIN,
        "zero": y(0),
        "mean": " ".join(f"{x(d.day)},{y(d.mean_minor)}" for d in days),
        "band": " ".join(band),
        "high": round(high),
        "low": round(low),
        "top": y(high),
        "bottom": y(low),
        "last": days[-1].day,
        "even": None if curve.breaks_even_on is None else x(curve.breaks_even_on),
    }


class OfferForm(msgspec.Struct):
    sku: Line
    market: Annotated[str, Meta(max_length=20)]
    price: Annotated[str, Meta(max_length=20)]
    quantity: Annotated[int, Meta(ge=0, le=10**9)] = 100
    free_delivery: bool = False


@post("/console/newcomers/{pool_id:uuid}/offers", scope=SCOPE)
async def put_up(call: Call, db: Database, pool_id: UUID, data: OfferForm) -> See[Any]:
    """Put an article up at a first-order price; the same one again adds to what is left."""

    async def verb(tx: Tx) -> UUID:
        markets = await pricing.markets(tx)
        market = markets.get(data.market)
        if market is None:
            raise Invalid("market", "choose one of the shop's markets", "请选择本店支持的市场")
        offer_id = await newcomers.offer_of_sku(tx, data.sku.strip())
        new = NewOffer(
            offer_id=offer_id,
            market=data.market,
            price_minor=minor_of(data.price, market.currency),
            free_delivery=data.free_delivery,
            quantity=data.quantity,
        )
        return await newcomers.put_up(tx, pool_id, new)

    return await attempt(
        call, db, verb, f"/console/newcomers/{pool_id}", call.say("It is on offer.")
    )


class SwitchForm(msgspec.Struct):
    is_open: bool = False


@post("/console/newcomers/{pool_id:uuid}/open", scope=SCOPE)
async def switch_pool(call: Call, db: Database, pool_id: UUID, data: SwitchForm) -> See[Any]:
    """Stop or open; orders that are placed keep their price."""

    async def verb(tx: Tx) -> None:
        await newcomers.set_pool_open(tx, pool_id, data.is_open)

    return await attempt(call, db, verb, f"/console/newcomers/{pool_id}", call.say("Saved."))
