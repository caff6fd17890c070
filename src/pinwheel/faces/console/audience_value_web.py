"""RFM and lifetime values: who the best buyers are, how they move, what they are expected to
bring."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from pinwheel.faces.console import audience_charts as charts
from pinwheel.faces.console.frame import attempt, shown
from pinwheel.insight import audience
from pinwheel.insight.audience import Cell, Group, Migration, Model, Named, NewSegment
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.web import Answer, Call, See, get, post
from pinwheel.trade import pricing

RIGHT = "audience"
SECTION = "audience"
HOME = "/console/audience"
NAMES = (
    *("champions", "loyal", "potential", "new", "promising", "attention", "sleeping"),
    *("at_risk", "cannot_lose", "hibernating", "lost"),
)
Market = Annotated[str, Meta(max_length=20)]


class RfmSight(msgspec.Struct, frozen=True):
    market: str
    grid: list[Cell]
    names: list[Named]
    migration: list[Migration]


@get(f"{HOME}/rfm", scope=RIGHT)
async def rfm_page(
    call: Call, tx: Tx, market: Market = "", month: Annotated[str, Meta(max_length=7)] = ""
) -> Answer[RfmSight]:
    """A market's buyers by recency and frequency, and how they moved in a month."""
    markets = await audience.rfm_markets(tx)
    chosen = market if market in markets else next(iter(markets), "")
    until = _end_of(month, tx.now)
    found = RfmSight(
        chosen,
        await audience.rfm_grid(tx, chosen),
        await audience.rfm_names(tx, chosen),
        await audience.migration(tx, chosen, until),
    )
    known = await pricing.markets(tx)
    first = until.replace(day=1)
    return await shown(
        call,
        tx,
        found,
        "audience_rfm",
        call.say("RFM"),
        SECTION,
        rows=charts.grid(found.grid),
        matrix=charts.matrix(found.migration, NAMES),
        columns=(*NAMES, ""),
        markets=markets,
        currency=known[chosen].currency if chosen in known else "USD",
        month=first.strftime("%Y-%m"),
        before=(first - dt.timedelta(days=1)).strftime("%Y-%m"),
        is_now=until >= tx.now,
    )


def _end_of(month: str, now: dt.datetime) -> dt.datetime:
    """The last second of ``month`` (``2026-01``); now, when it is this month or nothing."""
    try:
        first = dt.datetime.strptime(month, "%Y-%m").replace(tzinfo=dt.UTC)
    except ValueError:
        return now + dt.timedelta(seconds=1)
    following = (first + dt.timedelta(days=32)).replace(day=1)
    if following > now:
        return now + dt.timedelta(seconds=1)
    return following - dt.timedelta(seconds=1)


class CellForm(msgspec.Struct, kw_only=True):
    """A cell of the grid (``r`` and ``f``), or a named segment."""

    market: Annotated[str, Meta(min_length=1, max_length=20)]
    r: Annotated[int, Meta(ge=0, le=5)] = 0
    f: Annotated[int, Meta(ge=0, le=5)] = 0
    name: Annotated[str, Meta(max_length=20)] = ""


@post(f"{HOME}/rfm", scope=RIGHT)
async def audience_of_cell(call: Call, db: Database, data: CellForm) -> See[Any]:
    """One press: the people of a cell as a segment that follows them."""
    rule: dict[str, Any] = {"if": "rfm", "market": data.market}
    if data.name:
        rule["names"], label = [data.name], data.name
    else:
        rule |= {"r": [data.r], "f": [data.f]} if data.r and data.f else {}
        label = f"R{data.r} F{data.f}"
    name = f"RFM {data.market} · {label}"
    new = NewSegment(name={"en": name, "zh-CN": name}, rule=rule)

    async def verb(tx: Tx) -> uuid.UUID:
        return (await audience.save_segment(tx, new)).id

    return await attempt(
        call, db, verb, f"{HOME}/rfm", call.say("Saved. Its members are being counted."),
        ahead=lambda made: f"{HOME}/{made}",
    )  # fmt: skip


class ValueSight(msgspec.Struct, frozen=True):
    market: str
    model: Model | None
    parts: list[Group]
    bands: list[Group]


@get(f"{HOME}/values", scope=RIGHT)
async def values_page(
    call: Call, tx: Tx, market: Market = "", by: audience.By = "cohort"
) -> Answer[ValueSight]:
    """What buyers are expected to bring, by group, with how well the model did."""
    models = {model.market: model for model in await audience.models(tx)}
    chosen = market if market in models else next(iter(models), "")
    model = models.get(chosen)
    found = ValueSight(
        chosen,
        model,
        await audience.value_groups(tx, chosen, by),
        await audience.value_groups(tx, chosen, "band"),
    )
    return await shown(
        call,
        tx,
        found,
        "audience_values",
        call.say("Lifetime value"),
        SECTION,
        plot=charts.plot(model.calibration) if model else None,
        markets=list(models),
        by=by,
        most=max((g.mean_minor for g in found.parts), default=0),
        assumed=await audience.assumptions(tx),
        segments={str(s.id): s.name for s in await audience.segments(tx)}
        if by == "segment"
        else {},
        heat=charts.heat,
    )


class AssumptionsForm(msgspec.Struct, kw_only=True):
    """Shares in percent."""

    is_on: bool = False
    margin: Annotated[float, Meta(ge=0, le=100)] = 30
    uplift: Annotated[float, Meta(ge=0, le=100)] = 10
    reward_share: Annotated[float, Meta(ge=0, le=100)] = 30
    discount: Annotated[float, Meta(ge=0, le=100)] = 10


@post(f"{HOME}/values", scope=RIGHT)
async def assume(call: Call, db: Database, data: AssumptionsForm) -> See[Any]:
    """What is assumed of margins and uplift, from the next reckoning on."""
    chosen = audience.Assumptions(
        is_on=data.is_on,
        margin_basis_points=round(data.margin * 100),
        uplift_basis_points=round(data.uplift * 100),
        reward_share_basis_points=round(data.reward_share * 100),
        discount_basis_points=round(data.discount * 100),
    )

    async def verb(tx: Tx) -> None:
        await audience.assume(tx, chosen)
        await audience.reckon_soon(tx)

    return await attempt(
        call, db, verb, f"{HOME}/values", call.say("Saved. Values are being reckoned anew.")
    )
