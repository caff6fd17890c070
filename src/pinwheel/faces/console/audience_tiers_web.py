"""Region tiers: which region is of which tier, and what another one does to the segments."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from pinwheel.faces.console.frame import attempt, names_of, shown, with_query
from pinwheel.insight import audience
from pinwheel.insight.audience import Place, PlaceLine, TierEffect
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, Limit, See, get, post

RIGHT, SECTION = "audience", "audience"
HERE = "/console/audience/tiers"
MOST = 200
Country = Annotated[str, Meta(pattern="^([A-Z]{2})?$")]
Cells = Annotated[list[Annotated[str, Meta(max_length=100)]], Meta(max_length=MOST)]
COSTLY = (("audience-preview", Limit(60, 60)),)


class Tiers(msgspec.Struct, frozen=True):
    """``effects``: what the tiers as they were chosen would do; None: nothing was asked."""

    places: Page[PlaceLine]
    effects: list[TierEffect] | None = None


class TierForm(msgspec.Struct):
    """A column a field: what the page's lines were set to. ``tier`` empty: as its country."""

    country: Cells = []
    region: Cells = []
    city: Cells = []
    tier: Cells = []
    at: Country = ""
    after: Annotated[str, Meta(max_length=600)] = ""


def _chosen(form: TierForm) -> list[Place]:
    cities = form.city or [""] * len(form.country)
    if not len(form.country) == len(form.region) == len(cities) == len(form.tier):
        raise Invalid("tier", "a line is incomplete", "有一行不完整")
    found = []
    columns = (form.country, form.region, cities, form.tier)
    for country, region, city, tier in zip(*columns, strict=True):
        if not tier:
            continue
        try:
            found.append(
                msgspec.convert(
                    {
                        "country": country.strip().upper(),
                        "region": region.strip().lower(),
                        "city": city.strip().lower(),
                        "tier": int(tier),
                    },
                    Place,
                )
            )
        except (ValueError, msgspec.ValidationError) as error:
            raise Invalid(
                "tier",
                "a country such as CN and a tier from 1 to 5",
                "请填写国家代码（如 CN）与层级 1 至 5",
            ) from error
    return found


async def _changes(tx: Tx, form: TierForm) -> list[Place]:
    """What was chosen otherwise than it stands: nobody else's change is undone by a page that was
    opened before it, as long as it was another line."""
    stands = {(p.country, p.region, p.city): p.tier for p in await audience.places(tx)}
    return [p for p in _chosen(form) if stands.get((p.country, p.region, p.city)) != p.tier]


async def _page(
    call: Call, tx: Tx, found: Tiers, at: str, after: str, chosen: dict[tuple[str, str, str], int]
) -> Answer[Tiers]:
    query = {"country": at}
    places = found.places
    return await shown(
        call,
        tx,
        found,
        "audience_tiers",
        call.say("Region tiers"),
        SECTION,
        at=at,
        after=after,
        chosen=chosen,
        countries=sorted({p.country for p in await audience.places(tx)}),
        names=await names_of(tx, {p.source for p in places.items}),
        next_path=with_query(HERE, **query, after=places.next) if places.next else None,
        first_path=with_query(HERE, **query) if after else None,
    )


@get(HERE, scope=RIGHT)
async def tiers_page(
    call: Call, tx: Tx, country: Country = "", after: str | None = None
) -> Answer[Tiers]:
    """Regions with their tier and how many people it holds for."""
    found = Tiers(await audience.place_lines(tx, country or None, cursor=after))
    return await _page(call, tx, found, country, after or "", {})


@post(f"{HERE}/preview", scope=RIGHT, limits=COSTLY)
async def preview(call: Call, db: Database, data: TierForm) -> Answer[Tiers]:
    """What the tiers as chosen would do to the segments; nothing is saved."""
    async with db.reading(actor=call.caller.actor) as tx:
        chosen = await _changes(tx, data)
        found = Tiers(
            await audience.place_lines(tx, data.at or None, cursor=data.after or None),
            await audience.tier_effects(tx, chosen),
        )
        picked = {(p.country, p.region, p.city): p.tier for p in chosen}
        return await _page(call, tx, found, data.at, data.after, picked)


@post(HERE, scope=RIGHT)
async def save_tiers(call: Call, db: Database, data: TierForm) -> See[Any]:
    """Say which tier regions are of; whoever ordered from there is decided again."""

    async def verb(tx: Tx) -> int:
        changed = await _changes(tx, data)
        if not changed:
            raise Invalid("tier", "nothing was changed", "没有任何更改")
        return await audience.set_tiers(tx, changed)

    def message(people: int) -> str:
        text = call.say("Saved. %(n)s people are decided again in the next minutes.")
        return text % {"n": people}

    back = with_query(HERE, country=data.at, after=data.after)
    return await attempt(call, db, verb, back, message)
