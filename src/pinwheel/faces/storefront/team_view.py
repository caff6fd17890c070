"""Teams as their members and visitors read them. Pure, but for a short memory of what runs."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any
from weakref import WeakKeyDictionary

import segno

from pinwheel.faces.storefront.frame import Frame
from pinwheel.faces.storefront.showing import first_picture, options_text
from pinwheel.faces.storefront.team_queries import Thing
from pinwheel.growth import social
from pinwheel.kernel.db import Database
from pinwheel.kernel.web import Call
from pinwheel.kernel.words import said

KEPT_SECONDS = 10
_bargains: WeakKeyDictionary[
    Database, dict[str, tuple[dt.datetime, list[social.BargainCampaign]]]
] = WeakKeyDictionary()
_plans: WeakKeyDictionary[Database, dict[str, tuple[dt.datetime, list[social.TeamPlan]]]] = (
    WeakKeyDictionary()
)


async def plans_for(db: Database, offer_ids: list[uuid.UUID], market: str) -> list[social.TeamPlan]:
    """The running campaigns of these offers. What runs in a market is read once and again every
    ten seconds, so that a product's page needn't ask."""
    known = _plans.setdefault(db, {})
    now = db.clock.now()
    at, found = known.get(market, (now, []))
    if market not in known or abs(now - at) >= dt.timedelta(seconds=KEPT_SECONDS):
        async with db.reading() as tx:
            found = await social.running_plans(tx, market)
        known[market] = (now, found)
    wanted = set(offer_ids)
    return [plan for plan in found if plan.offer_id in wanted]


async def bargains_for(db: Database, market: str) -> list[social.BargainCampaign]:
    """What may be bargained for in a market: read once and again every ten seconds."""
    known = _bargains.setdefault(db, {})
    now = db.clock.now()
    at, found = known.get(market, (now, []))
    if market not in known or abs(now - at) >= dt.timedelta(seconds=KEPT_SECONDS):
        async with db.reading() as tx:
            found = await social.running_bargain_campaigns(tx, market)
        known[market] = (now, found)
    return found


def time_left(call: Call, closes_at: dt.datetime) -> str:
    """How long a team stays open, in words; the page counts on by itself."""
    seconds = max(0, int((closes_at - call.db.clock.now()).total_seconds()))
    days, rest = divmod(seconds, 86_400)
    hours, rest = divmod(rest, 3600)
    if days:
        return call.say("%(days)s d %(hours)s h") % {"days": days, "hours": hours}
    return f"{hours:02}:{rest // 60:02}:{rest % 60:02}"


def plan_of(call: Call, plan: social.TeamPlan, alone_minor: int | None) -> dict[str, Any]:
    """A campaign beside the price of buying alone."""
    return {
        "campaign_id": plan.campaign_id,
        "offer_id": plan.offer_id,
        "name": said(plan.name, call.language),
        "price_minor": plan.price_minor,
        "alone_minor": alone_minor,
        "currency": plan.currency,
        "seats": plan.seats,
        "policy": plan.policy,
        "tiers": [{"size": size, "price_minor": price} for size, price in plan.tiers],
        "window": window_words(call, plan.window_seconds),
        "new_buyers_only": plan.new_buyers_only,
        "fails": what_if_it_fails(call, plan.policy, plan.fill_from),
    }


def window_words(call: Call, seconds: int) -> str:
    hours = max(1, round(seconds / 3600))
    if hours >= 48:
        return call.say("%(num)s days") % {"num": round(hours / 24)}
    return call.say("%(num)s hours") % {"num": hours}


def what_if_it_fails(call: Call, policy: str, fill_from: int | None) -> str:
    """What happens at the deadline, in one sentence."""
    if policy == "near_complete":
        return call.say(
            "If %(num)s have paid by then, the shop pays for the seats that are missing; with "
            "fewer, every order is cancelled and everybody gets all their money back by itself."
        ) % {"num": fill_from}
    if policy == "tiered":
        return call.say(
            "The number of members at the deadline decides the price, and who paid more gets the "
            "difference back; a team that is too small is cancelled and refunded in full."
        )
    return call.say(
        "If the team is not complete by then, every order is cancelled and everybody gets all "
        "their money back by itself."
    )


def open_team(call: Call, team: social.OfferedTeam) -> dict[str, Any]:
    return {
        "path": f"/team/{team.token}",
        "seats": team.seats,
        "seats_left": team.seats_left,
        "paid": team.paid,
        "leader": team.leader,
        "closes_at": team.closes_at,
        "left": time_left(call, team.closes_at),
    }


def thing_of(
    call: Call, frame: Frame, thing: Thing, alone_minor: int | None = None
) -> dict[str, Any]:
    """How an offer looks; ``alone_minor``: what it costs this visitor alone, where that is said."""
    url, alt, shape = first_picture(thing.media, call.language, thing.options.get("colour", ""))
    return {
        "title": said(thing.title, call.language),
        "title_lang": None if call.language in thing.title else "en",
        "options": options_text(frame, thing.options, call.language),
        "path": f"/p/{thing.slug}",
        "image_url": url,
        "image_alt": alt,
        "shape": shape or "object",
        "alone_minor": alone_minor,
    }


def seats_of(team: social.TeamSight) -> list[dict[str, Any]]:
    """Every seat in a row: taken, paid for by the shop, or free. Nobody is invented."""
    taken = [
        {
            "kind": "paid" if seat.is_paid else "held",
            "initials": seat.initials,
            "is_leader": seat.is_leader,
            "is_mine": seat.is_mine,
        }
        for seat in team.taken
    ]
    filled = [{"kind": "filled"} for _ in range(team.filled)]
    free = [{"kind": "free"} for _ in range(team.seats_left if team.state == "open" else 0)]
    return [*taken, *filled, *free]


def team_of(call: Call, team: social.TeamSight, origin: str) -> dict[str, Any]:
    """A team's page: see ``team.html``."""
    campaign = team.campaign
    offer = next(o for o in team.offers if o.offer_id == team.offer_id)
    paid = sum(seat.is_paid for seat in team.taken)
    link = f"{origin}/{call.language}/team/{team.token}"
    if team.my_link:
        link += f"?by={team.my_link}"
    over = call.db.clock.now() >= team.closes_at
    return {
        "path": f"/team/{team.token}",
        "state": "ending" if team.state == "open" and over else team.state,
        "why": team.why,
        "seats": team.seats,
        "seats_left": team.seats_left,
        "paid": paid,
        "row": seats_of(team),
        "filled": team.filled,
        "fill_minor": team.fill_minor,
        "closes_at": team.closes_at,
        "left": time_left(call, team.closes_at),
        "name": said(campaign.name, call.language),
        "currency": campaign.currency,
        "price_minor": social.team_price(offer, paid + (0 if team.mine else 1)),
        "tiers": [{"size": size, "price_minor": price} for size, price in offer.tiers],
        "fails": what_if_it_fails(call, campaign.policy, campaign.fill_from),
        "new_buyers_only": campaign.new_buyers_only,
        "is_mine": team.mine is not None,
        "can_join": team.state == "open" and not over and team.seats_left > 0 and not team.mine,
        "link": link,
        "qr": segno.make(link, error="m").svg_data_uri(scale=4, border=2, dark="#0f1413"),
    }


def initials_of(name: str) -> str | None:
    """The first letter and two stars: all that a team sees of a name."""
    letter = next((c for c in name.strip() if c.isalnum()), "")
    return f"{letter.upper()}**" if letter else None
