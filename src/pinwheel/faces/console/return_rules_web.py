"""What a return may be: until when, how it comes back, who pays for it; what may be tried first."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.faces.console.frame import attempt, shown, with_query, words_of
from pinwheel.faces.console.money import minor_of, plain_of
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid, NotFound
from pinwheel.kernel.web import Answer, Call, See, get, post
from pinwheel.trade import catalogue, pricing, returns
from pinwheel.trade.pricing import Market
from pinwheel.trade.returns import CategoryPolicy, Point, Policy, TrialRule, WayOffer, Window

SETTINGS = "settings"
HERE = "/console/return-rules"
ALL = UUID(int=0)
Tab = Literal["policies", "ways", "hours", "points", "trials"]
TABS: tuple[Tab, ...] = ("policies", "ways", "hours", "points", "trials")
Code = Annotated[str, Meta(min_length=1, max_length=40)]
Text = Annotated[str, Meta(max_length=200)]
Amount = Annotated[str, Meta(max_length=30)]
Days = Annotated[int, Meta(ge=0, le=3650)]
Within = Annotated[int, Meta(ge=1, le=365)]


class WayLine(msgspec.Struct, frozen=True, kw_only=True):
    """A way back in a market. ``open_in``: its countries where a buyer can choose it."""

    offer: WayOffer
    currency: str
    open_in: list[str]


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """All that is set for returns. A market without a policy of its own has ``house``."""

    house: Policy
    policies: list[CategoryPolicy]
    ways: list[WayLine]
    windows: list[Window]
    points: list[Point]
    trials: list[TrialRule]


@get(HERE, scope=SETTINGS)
async def rules_page(call: Call, tx: Tx, tab: Tab = "policies") -> Answer[Rules]:
    """The rules of returns and trials, by subject."""
    markets = await pricing.markets(tx)
    known = await returns.roads(tx)
    found = Rules(
        house=Policy(),
        policies=list(await returns.stored_policies(tx)),
        ways=[_way(market, kind, known) for market in markets.values() for kind in returns.WAYS],
        windows=sorted(known.windows.values(), key=lambda w: (w.market, w.from_hour)),
        points=await returns.points(tx),
        trials=await returns.trial_rules(tx),
    )
    return await shown(
        call,
        tx,
        found,
        "return_rules",
        call.say("Rules of returns"),
        "returns",
        tab=tab,
        tabs=TABS,
        markets=markets,
        categories=await catalogue.categories(tx),
        whole=ALL,
        plain_of=plain_of,
    )


def _way(market: Market, kind: returns.Kind, known: returns.Roads) -> WayLine:
    offer = known.offers.get((market.code, kind)) or WayOffer(market=market.code, kind=kind)
    open_in = [c for c in market.countries if known.is_open(market.code, c, kind)]
    return WayLine(offer=offer, currency=market.currency, open_in=open_in)


def _tab(name: Tab) -> str:
    return with_query(HERE, tab=name)


async def _market(tx: Tx, code: str) -> Market:
    found = (await pricing.markets(tx)).get(code)
    if found is None:
        raise NotFound(what="market")
    return found


async def _category(tx: Tx, category_id: UUID | None) -> UUID:
    """The category, or the whole market."""
    if category_id is None:
        return ALL
    if category_id != ALL and category_id not in {c.id for c in await catalogue.categories(tx)}:
        raise NotFound(what="category")
    return category_id


def _paid(text: str, currency: str, where: str) -> int:
    minor = minor_of(text.strip() or "0", currency, where)
    if minor < 0:
        raise Invalid(where, "an amount is not below zero", "金额不能为负")
    return minor


class PolicyForm(msgspec.Struct, kw_only=True):
    """``freight`` and ``instant`` as people write amounts; ``resale_percent`` of the new price."""

    market: Code
    category_id: UUID | None = None
    window_days: Days
    fault_days: Days
    send_days: Within
    grade_days: Within
    freight: Amount = ""
    instant: Amount = ""
    resale_percent: Annotated[int, Meta(ge=1, le=100)]
    approves_itself: bool = False
    refunds_delivery: bool = False


@post(f"{HERE}/policies", scope=SETTINGS)
async def save_policy(call: Call, db: Database, data: PolicyForm) -> See[Any]:
    """What holds in a market, or for a category in it. Returns that were asked for keep theirs."""

    async def verb(tx: Tx) -> None:
        market = await _market(tx, data.market)
        policy = CategoryPolicy(
            market=market.code,
            category_id=await _category(tx, data.category_id),
            window_days=data.window_days,
            fault_days=data.fault_days,
            approves_itself=data.approves_itself,
            refunds_delivery=data.refunds_delivery,
            freight_minor=_paid(data.freight, market.currency, "freight"),
            instant_minor=_paid(data.instant, market.currency, "instant"),
            send_days=data.send_days,
            grade_days=data.grade_days,
            resale_basis_points=data.resale_percent * 100,
        )
        await returns.set_policy(tx, policy)

    return await attempt(call, db, verb, _tab("policies"), call.say("Saved."))


class WayForm(msgspec.Struct, kw_only=True):
    market: Code
    kind: returns.Kind
    extra: Amount = ""
    is_open: bool = False


@post(f"{HERE}/ways", scope=SETTINGS)
async def save_way(call: Call, db: Database, data: WayForm) -> See[Any]:
    """Open or close a way back, and what it costs on top of the policy's freight."""

    async def verb(tx: Tx) -> None:
        market = await _market(tx, data.market)
        extra = _paid(data.extra, market.currency, "extra")
        offer = WayOffer(
            market=market.code, kind=data.kind, extra_minor=extra, is_open=data.is_open
        )
        await returns.set_way_offer(tx, offer)

    return await attempt(call, db, verb, _tab("ways"), call.say("Saved."))


class HoursForm(msgspec.Struct, kw_only=True):
    market: Code
    from_hour: Annotated[int, Meta(ge=0, le=23)]
    until_hour: Annotated[int, Meta(ge=1, le=24)]
    most: Annotated[int, Meta(ge=0, le=100_000)]


@post(f"{HERE}/hours", scope=SETTINGS)
async def save_hours(call: Call, db: Database, data: HoursForm) -> See[Any]:
    """Hours in which parcels are picked up, and how many a day; none closes them. What was promised
    stays promised."""

    async def verb(tx: Tx) -> None:
        market = await _market(tx, data.market)
        if data.until_hour <= data.from_hour:
            raise Invalid("until_hour", "pick-up ends after it begins", "结束时间须晚于开始时间")
        window = Window(
            market=market.code,
            from_hour=data.from_hour,
            until_hour=data.until_hour,
            most=data.most,
        )
        await returns.set_window(tx, window)

    return await attempt(call, db, verb, _tab("hours"), call.say("Saved."))


class PointForm(msgspec.Struct, kw_only=True):
    code: Annotated[str, Meta(pattern="^[A-Za-z0-9-]{2,20}$")]
    name_en: Text = ""
    name_zh: Text = ""
    address: Annotated[str, Meta(min_length=1, max_length=300)]
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$")]
    is_open: bool = False


@post(f"{HERE}/points", scope=SETTINGS)
async def save_point(call: Call, db: Database, data: PointForm) -> See[Any]:
    """Add a counter where parcels are handed in, change or close one."""

    async def verb(tx: Tx) -> None:
        name = words_of(data.name_en, data.name_zh)
        if not name:
            raise Invalid("name_en", "a point wants a name", "请填写退货点名称")
        point = Point(
            code=data.code.upper(),
            name=name,
            address=data.address.strip(),
            country=data.country,
            is_open=data.is_open,
        )
        await returns.save_point(tx, point)

    return await attempt(call, db, verb, _tab("points"), call.say("Saved."))


class TrialForm(msgspec.Struct, kw_only=True):
    market: Code
    category_id: UUID | None = None
    days: Annotated[int, Meta(ge=1, le=60)]
    most: Amount
    is_open: bool = False


@post(f"{HERE}/trials", scope=SETTINGS)
async def save_trial(call: Call, db: Database, data: TrialForm) -> See[Any]:
    """What may be tried before it is paid for. Orders that were placed keep their days."""

    async def verb(tx: Tx) -> None:
        market = await _market(tx, data.market)
        rule = TrialRule(
            market=market.code,
            category_id=await _category(tx, data.category_id),
            days=data.days,
            most_minor=_paid(data.most, market.currency, "most"),
            is_open=data.is_open,
        )
        await returns.set_trial_rule(tx, rule)

    return await attempt(call, db, verb, _tab("trials"), call.say("Saved."))
