"""Invitations: the page a friend lands on, and one's own link, rewards and statement."""

from __future__ import annotations

from typing import Any

import segno

from pinwheel.faces.storefront.goods_web import origin_of
from pinwheel.faces.storefront.orders_web import owner_of
from pinwheel.ground import identity
from pinwheel.growth import social
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import NotFound
from pinwheel.kernel.web import Answer, Call, Limit, See, get, post
from pinwheel.kernel.words import said

STATES = {
    "pending": ("Waits for the return window", "info"),
    "review": ("Somebody looks at it", "info"),
    "released": ("Given", "good"),
    "reversed": ("Taken back", "bad"),
    "refused": ("Not given", "bad"),
}
WHYS = {
    "refund": "The order was cancelled or sent back.",
    "trust": "The invitation did not pass the check; you can ask us to look again.",
    "limit": "More invitations than the campaign rewards in its period.",
    "budget": "The campaign had nothing left to give.",
    "coupon": "The coupon's promotion had ended.",
}
ROLES = {
    "inviter": "You invited somebody",
    "second": "Somebody you invited invited somebody",
    "invitee": "You were invited",
    "commission": "Commission",
}


async def _offered(tx: Tx, link: social.ShareLink) -> social.InviteCampaign:
    found = await social.invite_campaigns(tx, ids=[link.campaign_id] if link.campaign_id else [])
    if not found:
        raise NotFound(what="invitation")
    return found[0]


def _terms(call: Call, one: social.InviteCampaign) -> dict[str, Any]:
    return {
        "name": said(one.name, call.language),
        "currency": one.currency,
        "inviter_minor": one.inviter_minor,
        "invitee_minor": one.invitee_minor,
        "inviter_coupon": one.inviter_coupon_id is not None,
        "invitee_coupon": one.invitee_coupon_id is not None,
        "percent": one.commission_basis_points / 100,
        "least_minor": one.least_order_minor,
        "days": one.return_days,
        "window": one.window_days,
    }


@get("/invite/{token:str}")
async def invitation(call: Call, tx: Tx, token: str) -> Answer[dict[str, Any]]:
    """What the friend gets and when; accepting is what remembers the invitation."""
    link = await social.share_link(tx, token[:40])
    campaign = await _offered(tx, link)
    return Answer(
        {
            "terms": _terms(call, campaign),
            "token": link.token,
            "is_open": campaign.runs_at(tx.now),
            "is_mine": link.person_id is not None and link.person_id == call.caller.person_id,
            "title": call.say("You are invited"),
            "robots": "noindex",
        },
        page="storefront/invitation.html",
    )


@post(
    "/invite/{token:str}/accept",
    again="/invite/{token:str}",
    limits=(("invite-accept", Limit(20, 10)),),
)
async def accept(call: Call, tx: Tx, token: str) -> See[None]:
    """The visitor asks for the reward: the invitation is kept for the campaign's window."""
    link = await social.share_link(tx, token[:40])
    person_id = await identity.guest_of(tx, call.caller, call.token)
    await social.touch_link(tx, link, person_id, "link", accepts=True)
    return See("/")


@get("/account/invites")
async def own_invites(
    call: Call, db: Database, link: str = "", after: str | None = None
) -> Answer[dict[str, Any]]:
    """One's own link to send, its QR code, and what came of it, each with its state and why."""
    person_id = owner_of(call)
    async with db.transaction(actor=call.caller.actor) as tx:
        running = await social.invite_campaigns(tx, running=True)
        campaign = running[0] if running else None
        mine: social.ShareLink | None = None
        if link:
            found = await social.share_link(tx, link[:40])
            mine = found if found.person_id == person_id else None
        if mine is None and campaign is not None:
            await social.join_campaign(tx, campaign.id, person_id)
            mine = await social.link_of(tx, person_id, "invite", campaign_id=campaign.id)
        rewards = await social.rewards(tx, person_id=person_id, cursor=after, limit=20)
        clicks = await social.clicks_of(tx, person_id, [mine.id]) if mine else []
        due = None
        if campaign is not None and campaign.kind == "promoter":
            due = await social.promoter_statement(tx, person_id, campaign.currency)
    address = f"{origin_of(call)}/s/{mine.token}" if mine else ""
    return Answer(
        {
            "terms": _terms(call, campaign) if campaign else None,
            "link": address,
            "card": f"/s/{mine.token}/card.svg?language={call.language}" if mine else "",
            "qr": segno.make(f"{address}?c=qr", error="m").svg_data_uri(scale=4, border=2)
            if mine
            else "",
            "clicks": sum(c.people for c in clicks),
            "rewards": [_reward(call, r) for r in rewards.items],
            "statement": due,
            "next": call.local(f"/account/invites?after={rewards.next}") if rewards.next else None,
            "here": "invites",
            "title": call.say("Invite friends"),
            "robots": "noindex",
        },
        page="storefront/invites.html",
    )


def _reward(call: Call, one: social.RewardLine) -> dict[str, Any]:
    state, tone = STATES[one.state]
    return {
        "role": call.say(ROLES[one.role]),
        "kind": one.kind,
        "amount_minor": one.amount_minor,
        "reversed_minor": one.reversed_minor,
        "currency": one.currency,
        "state": call.say(state),
        "tone": tone,
        "why": call.say(WHYS[one.why]) if one.why in WHYS else "",
        "at": one.at,
        "due_at": one.due_at if one.state == "pending" else None,
    }
