"""Settings: markets, tax, delivery, the staff; and what the installation was started with."""

from __future__ import annotations

import datetime as dt
import re
from decimal import Decimal
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.faces.console.frame import attempt, refused, shown, words_of
from pinwheel.faces.console.money import minor_of, plain_of
from pinwheel.faces.console.queries import RateLine, tax_rate_lines
from pinwheel.ground import identity
from pinwheel.kernel.caller import Kind
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid, NotFound
from pinwheel.kernel.web import Answer, Call, See, get, post
from pinwheel.trade import orders, pricing
from pinwheel.trade.orders import Option
from pinwheel.trade.pricing import Market, TaxRate

SETTINGS, PEOPLE = "settings", "people"
Code = Annotated[str, Meta(pattern="^[A-Za-z0-9_-]{1,40}$")]
Text = Annotated[str, Meta(max_length=200)]
Country = Annotated[str, Meta(pattern="^[A-Z]{2}$")]
SECRET = re.compile(r"secret|database_url|smtp_url|key")


class Shop(msgspec.Struct, frozen=True):
    """Everything that is set. ``started_with``: settings of the process, secrets left out."""

    markets: list[Market]
    tax_rates: list[RateLine]
    delivery: list[Option]
    staff: list[identity.Person]
    data_map: list[Any]
    started_with: dict[str, str]


@get("/console/settings", scope=SETTINGS)
async def settings_page(call: Call, tx: Tx, tab: str = "markets") -> Answer[Shop]:
    """What the shop is set to."""
    operators = await identity.people_page(tx, kind="operator")
    clerks = await identity.people_page(tx, kind="clerk")
    process = call.app.state["edge"].settings
    found = Shop(
        markets=list((await pricing.markets(tx)).values()),
        tax_rates=await tax_rate_lines(tx),
        delivery=await orders.delivery_options(tx),
        staff=[*operators.items, *clerks.items],
        data_map=list(await identity.data_map(tx)),
        started_with={
            name: str(getattr(process, name))
            for name in process.__struct_fields__
            if not SECRET.search(name)
        },
    )
    tabs = ("markets", "tax", "delivery", "staff", "privacy", "process")
    return await shown(
        call,
        tx,
        found,
        "settings",
        call.say("Settings"),
        "settings",
        tab=tab if tab in tabs else "markets",
        tabs=tabs,
        staff_list=found.staff,
        plain_of=plain_of,
        role_scopes={k: sorted(v) for k, v in identity.ROLE_SCOPES.items()},
    )


class MarketForm(msgspec.Struct, kw_only=True):
    code: Code
    name_en: Text
    name_zh: Text = ""
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    countries: Text
    language: Annotated[str, Meta(pattern="^(en|zh-CN)$")] = "en"
    price_includes_tax: bool = False
    active: bool = False


@post("/console/settings/markets", scope=SETTINGS)
async def save_market(call: Call, db: Database, data: MarketForm) -> See[Any]:
    """Open a market or change it."""
    market = Market(
        code=data.code,
        name=words_of(data.name_en, data.name_zh),
        currency=data.currency,
        countries=re.findall(r"[A-Z]{2}", data.countries.upper()),
        price_includes_tax=data.price_includes_tax,
        language=data.language,
        active=data.active,
    )

    async def verb(tx: Tx) -> None:
        refused(await pricing.save_markets(tx, [market]))

    return await attempt(call, db, verb, _tab("markets"), call.say("Saved."))


def _tab(name: str) -> str:
    return f"/console/settings?tab={name}"


class RateForm(msgspec.Struct, kw_only=True):
    """``per_cent`` as people write it: 13, or 8.875 is refused below a hundredth."""

    country: Country
    region: Text = ""
    tax_class: Code = "standard"
    per_cent: Annotated[Decimal, Meta(ge=0, le=100)]
    starts_on: dt.date | None = None


@post("/console/settings/tax", scope=SETTINGS)
async def save_rate(call: Call, db: Database, data: RateForm) -> See[Any]:
    """Set a tax rate from a day on, or from now."""

    async def verb(tx: Tx) -> None:
        basis_points = data.per_cent * 100
        if basis_points != basis_points.to_integral_value():
            raise Invalid("per_cent", "at most two decimals", "最多两位小数")
        starts_at = tx.now
        if data.starts_on is not None:
            starts_at = max(tx.now, dt.datetime.combine(data.starts_on, dt.time(), dt.UTC))
        rate = TaxRate(data.country, data.region, data.tax_class, int(basis_points), starts_at)
        refused(await pricing.set_tax_rates(tx, [rate]))

    return await attempt(call, db, verb, _tab("tax"), call.say("Saved."))


class OptionForm(msgspec.Struct, kw_only=True):
    """``price`` and ``free_from`` as people write them, in the market's currency."""

    market: Code
    code: Code
    name_en: Text
    name_zh: Text = ""
    price: Text
    free_from: Text = ""
    min_days: Annotated[int, Meta(ge=0, le=365)] = 1
    max_days: Annotated[int, Meta(ge=0, le=365)] = 3
    max_weight_grams: Annotated[int, Meta(ge=1, le=10**9)] | None = None
    rank: Annotated[int, Meta(ge=0, le=1000)] = 0
    is_active: bool = False


@post("/console/settings/delivery", scope=SETTINGS)
async def save_option(call: Call, db: Database, data: OptionForm) -> See[Any]:
    """Add a way to deliver, or change it. Orders that chose it keep what they paid."""

    async def verb(tx: Tx) -> None:
        market = (await pricing.markets(tx)).get(data.market)
        if market is None:
            raise NotFound(what="market")
        option = Option(
            market=data.market,
            code=data.code,
            name=words_of(data.name_en, data.name_zh),
            price_minor=minor_of(data.price, market.currency, "price"),
            free_from_minor=minor_of(data.free_from, market.currency, "free_from")
            if data.free_from.strip()
            else None,
            min_days=data.min_days,
            max_days=data.max_days,
            max_weight_grams=data.max_weight_grams,
            rank=data.rank,
            is_active=data.is_active,
        )
        await orders.save_delivery_option(tx, option)

    return await attempt(call, db, verb, _tab("delivery"), call.say("Saved."))


class StaffForm(msgspec.Struct):
    """Somebody with an account, by the exact address. ``kind`` buyer takes the role away."""

    email: Annotated[str, Meta(min_length=3, max_length=254)]
    kind: Kind


@post("/console/settings/staff", scope=PEOPLE)
async def appoint(call: Call, db: Database, data: StaffForm) -> See[Any]:
    """Give somebody a role, or take it away; their sessions end."""

    async def verb(tx: Tx) -> UUID:
        if data.kind not in ("buyer", "clerk", "operator"):
            raise Invalid("kind", "choose a role", "请选择角色")
        person = await identity.person_with_email(tx, data.email)
        if person is None:
            raise Invalid(
                "email",
                "nobody has an account with this address; have them register first",
                "没有使用该邮箱的账号，请先让对方注册",
            )
        await identity.appoint(tx, person.id, data.kind, [])
        await identity.record_access(tx, [person.id], "role", data.kind)
        return person.id

    return await attempt(call, db, verb, _tab("staff"), call.say("Saved."))
