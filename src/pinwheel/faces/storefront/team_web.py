"""Buying together: what a product's page offers, the team's own page that hears of each seat, and
one's own teams."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec

from pinwheel.faces.storefront import price_tags, team_queries
from pinwheel.faces.storefront.card_web import og_image
from pinwheel.faces.storefront.frame import frame_of, market_of
from pinwheel.faces.storefront.goods_web import origin_of
from pinwheel.faces.storefront.orders_web import owner_of
from pinwheel.faces.storefront.team_view import (
    open_team,
    plan_of,
    plans_for,
    team_of,
    thing_of,
    time_left,
)
from pinwheel.ground import identity
from pinwheel.growth import social
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.web import Answer, Call, File, Limit, Live, See, get, post
from pinwheel.kernel.words import said
from pinwheel.trade import catalogue, orders, payments

PAGE, PART = "storefront/team.html", "storefront/_team_live.html"
LIVE = Live()
Token = Annotated[str, msgspec.Meta(max_length=64)]
STATES = {
    "open": ("Waiting for members", "info"),
    "formed": ("Complete", "good"),
    "failing": ("Not completed", "bad"),
    "failed": ("Not completed", "bad"),
}


@get("/p/{slug:str}/teams")
async def product_teams(
    call: Call, db: Database, slug: str, offer: UUID | None = None
) -> Answer[dict[str, Any]]:
    """What buying together costs here, and which open teams may be joined; of one ``offer``, or of
    every variant."""
    frame = await frame_of(db)
    market = market_of(call, frame)
    async with db.reading() as tx:
        page = await catalogue.product_page(tx, slug)
        offer_ids = await team_queries.offers_of_product(tx, page.slug)
        offer_ids = [i for i in offer_ids if offer is None or i == offer]
        plans = await plans_for(db, offer_ids, market.code)
        seen = await team_queries.things(tx, [p.offer_id for p in plans], market.currency)
        alone = await price_tags.alone(tx, call, market, list(seen.values()))
        teams = await social.open_teams(tx, offer_ids, market.code)
    return Answer(
        {
            "plans": [
                {
                    **plan_of(call, plan, alone[plan.offer_id]),
                    "thing": thing_of(call, frame, seen[plan.offer_id]),
                }
                for plan in plans
                if plan.offer_id in seen
            ],
            "teams": [open_team(call, team) for team in teams],
            "product": {"title": said(page.title, call.language), "path": f"/p/{page.slug}"},
            "title": call.say("Buy together"),
            "robots": "noindex",
        },
        page="storefront/product_teams.html",
        part="storefront/_product_teams.html",
    )


@get("/team/{token:str}")
async def team_page(call: Call, db: Database, token: str, by: str = "") -> Answer[dict[str, Any]]:
    """A team: its seats, its time, what happens if it is not completed, and how to join."""
    return Answer(await _page(call, db, token, by), page=PAGE, part=PART)


async def _page(call: Call, db: Database, token: str, by: str = "") -> dict[str, Any]:
    frame = await frame_of(db)
    person_id = call.caller.person_id
    async with db.reading() as tx:
        sight = await social.team_seen(tx, token[:64], person_id=person_id)
        seen = await team_queries.things(tx, [sight.offer_id], sight.campaign.currency)
        market = frame.markets.get(sight.campaign.market) or market_of(call, frame)
        alone = await price_tags.alone(tx, call, market, list(seen.values()))
        mine = await _mine(tx, sight, person_id)
    thing = thing_of(call, frame, seen[sight.offer_id], alone[sight.offer_id])
    team = team_of(call, sight, origin_of(call))
    title = call.say("Buy together: %(title)s") % {"title": thing["title"]}
    told = call.say("%(num)s seats, %(left)s free.") % {
        "num": team["seats"],
        "left": team["seats_left"],
    }
    return {
        "og": {
            "title": title,
            "description": told,
            "url": f"{origin_of(call)}{call.local(team['path'])}",
            "image": og_image(call, "team", sight.token),
        },
        "team": team,
        "thing": thing,
        "mine": mine,
        "by": by[:40],
        "live_path": f"/team/{sight.token}/live",
        "title": title,
        "description": told,
        "robots": "noindex",
    }


async def _mine(tx: Tx, sight: social.TeamSight, person_id: UUID | None) -> dict[str, Any] | None:
    """The visitor's own order in the team: while it is not paid for, where to pay."""
    if sight.mine is None or person_id is None:
        return None
    order = (await orders.order(tx, order_id=sight.mine, person_id=person_id)).order
    waits = order.state == "pending_payment"
    asked = await payments.payments_of(tx, [order.id]) if waits else []
    return {
        "number": order.number,
        "path": f"/account/orders/{order.number}",
        "waits": waits,
        "pay_href": next((p.action_url for p in asked if p.action_url), None),
    }


@get("/team/{token:str}/live", limits=(("team-live", Limit(60, 2)),))
async def team_live(call: Call, db: Database, token: str) -> File:
    """Hears of every seat. A page without scripts looks again by itself."""
    async with db.reading() as tx:
        sight = await social.team_seen(tx, token[:64])

    async def look() -> bytes:
        async with db.reading() as tx:
            now = await social.team_seen(tx, sight.token)
        paid = [seat.is_paid for seat in now.taken]
        state = "over" if db.clock.now() >= now.closes_at and now.state == "open" else now.state
        return msgspec.json.encode([state, now.seats_left, paid, now.filled])

    return LIVE.watch(sight.token, look, address=call.address)


class JoinForm(msgspec.Struct):
    """``by``: the share token of the link that brought the buyer."""

    by: Annotated[str, msgspec.Meta(max_length=40)] = ""


@post("/team/{token:str}/join", again="/team/{token:str}", limits=(("team-join", Limit(30, 5)),))
async def join(call: Call, tx: Tx, token: str, data: JoinForm) -> See[None]:
    """Go to the checkout with a claim on a seat; the seat is taken there."""
    sight = await social.team_seen(tx, token[:64])
    person_id = await identity.guest_of(tx, call.caller, call.token)
    await social.come_to_team(tx, sight.team_id, person_id, came_by=data.by or None)
    return See(f"/teams/checkout?team={sight.token}")


class OpenForm(msgspec.Struct):
    campaign: UUID
    offer: UUID


@post("/teams", again="/account/teams", limits=(("team-open", Limit(30, 5)),))
async def start(call: Call, tx: Tx, data: OpenForm) -> See[None]:
    """Go to the checkout with a claim on a new team; it stands when the order does."""
    await social.team_campaign(tx, data.campaign)
    await identity.guest_of(tx, call.caller, call.token)
    return See(f"/teams/checkout?campaign={data.campaign}&offer={data.offer}")


@get("/account/teams")
async def own_teams(call: Call, tx: Tx, after: str | None = None) -> Answer[dict[str, Any]]:
    """The teams one sits in, or sat in."""
    found = await social.teams_of_person(tx, owner_of(call), cursor=after, limit=20)
    teams = []
    for one in found.items:
        label, tone = STATES[one.state]
        if one.left_at is not None and one.state in ("open", "formed"):
            label, tone = "You have left it", "info"
        teams.append(
            {
                "path": f"/team/{one.token}",
                "name": said(one.name, call.language),
                "state": call.say(label),
                "tone": tone,
                "is_open": one.state == "open" and one.left_at is None,
                "seats": one.seats,
                "seats_left": one.seats_left,
                "closes_at": one.closes_at,
                "left": time_left(call, one.closes_at),
                "is_leader": one.is_leader,
                "dropped_minor": one.dropped_minor,
                "currency": one.currency,
            }
        )
    return Answer(
        {
            "teams": teams,
            "next": call.local(f"/account/teams?after={found.next}") if found.next else None,
            "here": "teams",
            "title": call.say("Your teams"),
            "robots": "noindex",
        },
        page="storefront/teams.html",
    )
