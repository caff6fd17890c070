"""Short share links: counted, remembered, and never a way out of the shop."""

from __future__ import annotations

import re
import uuid
from typing import Annotated, Any

import msgspec

from pinwheel.faces.storefront.orders_web import owner_of
from pinwheel.growth import social
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.web import Call, Limit, See, get, post

PROGRAMS = re.compile(
    r"bot|crawl|spider|preview|facebookexternalhit|whatsapp|slurp|headless|curl|wget|python|http",
    re.IGNORECASE,
)


def is_program(call: Call) -> bool:
    """A messenger's preview or a crawler, as it says itself; whoever says nothing is one too."""
    agent = call.headers.get("user-agent", "")
    return not agent or PROGRAMS.search(agent.replace("Mozilla/5.0", "")) is not None


def visitor_of(call: Call) -> uuid.UUID | None:
    """Who this is, or whom the visitor's session would become with the first thing they put
    somewhere; None before there is a session."""
    caller = call.caller
    if caller.person_id is not None:
        return caller.person_id
    return uuid.uuid5(caller.session_id, "guest") if caller.session_id is not None else None


@get("/s/{token:str}", limits=(("share", Limit(120, 60)),))
async def follow(call: Call, db: Database, token: str, c: str = "") -> See[None]:
    """On to what was shared. Where that is comes from the link's kind and key alone. The touch
    lives a day with the session, longer only when the visitor accepts the invitation there."""
    channel = social.channel_of(c[:20])
    is_bot = is_program(call)
    async with db.transaction(actor=call.caller.actor) as tx:
        one = await social.share_link(tx, token[:40])
        await social.count_click(tx, one.id, channel, is_bot=is_bot)
        visitor = visitor_of(call)
        if visitor is not None and not is_bot:
            await social.touch_link(tx, one, visitor, channel)
    return See(one.path)


class ShareForm(msgspec.Struct):
    target: Annotated[str, msgspec.Meta(max_length=20)]
    key: Annotated[str, msgspec.Meta(max_length=120)] = ""


@post("/share", again="/account/invites", limits=(("share-make", Limit(30, 10)),))
async def share(call: Call, tx: Tx, data: ShareForm) -> See[Any]:
    """One's own link to something, counted for the invitation that runs."""
    person_id = owner_of(call)
    running = await social.invite_campaigns(tx, running=True)
    if running:
        await social.join_campaign(tx, running[0].id, person_id)
    campaign_id = running[0].id if running else None
    target: Any = data.target
    one = await social.link_of(tx, person_id, target, data.key, campaign_id=campaign_id)
    return See(f"/account/invites?link={one.token}", {"path": f"/s/{one.token}"})
