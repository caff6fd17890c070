"""One-click ordering on the pages: the button with its total, the tap, and taking it back."""

from __future__ import annotations

import secrets
from typing import Annotated, Any
from uuid import UUID

import msgspec

from pinwheel.faces.storefront.device import device_of
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.web import Answer, Call, Limit, See, get, post
from pinwheel.trade import orders

PAGE = "storefront/one_click.html"
PART = "storefront/_one_click.html"


class TapForm(msgspec.Struct):
    """``key`` is the shown button's own; ``quote`` names the total it shows."""

    offer_id: UUID
    key: Annotated[str, msgspec.Meta(min_length=8, max_length=100)]
    quote: Annotated[str, msgspec.Meta(max_length=64)] = ""


@get("/one-click")
async def button(call: Call, tx: Tx, offer_id: UUID) -> Answer[dict[str, Any]]:
    """The button with what it will cost, or why there is none."""
    device, cookies = device_of(call)
    try:
        quote = await orders.one_click_quote(tx, call.caller, offer_id, device=device)
    except Refusal as refusal:
        return Answer(_shown(call, offer_id, why=refusal.sentence(call.language)), PAGE, PART)
    return Answer(_shown(call, offer_id, quote=quote), PAGE, PART, cookies=cookies)


def _shown(
    call: Call, offer_id: UUID, quote: orders.Quote | None = None, why: str = ""
) -> dict[str, Any]:
    return {
        "offer_id": offer_id,
        "key": secrets.token_urlsafe(12),
        "quote": quote.token if quote else "",
        "total_minor": quote.total_minor if quote else None,
        "currency": quote.currency if quote else "",
        "why": why,
        "title": call.say("One-click order"),
        "robots": "noindex",
    }


@post("/one-click", again="/cart", limits=(("one-click", Limit(30, 10)),))
async def tap(
    call: Call, db: Database, data: TapForm
) -> Answer[dict[str, Any]] | See[orders.Tapped]:
    """Order it. A total that has changed is shown and asked for again; a second tap on the same
    button is the same order."""
    call.caller.person()
    device, cookies = device_of(call)
    wanted = orders.Tap(
        key=data.key,
        offer_id=data.offer_id,
        quote=data.quote or None,
        return_url="/account/orders",
        device=device,
    )
    try:
        done = await orders.tap_once(db, call.caller, wanted)
    except orders.StaleQuote as stale:
        more = _shown(call, data.offer_id, stale.quote, stale.sentence(call.language))
        return Answer(more, page=PAGE, status=stale.status)
    except Refusal as refusal:
        more = _shown(call, data.offer_id, why=refusal.sentence(call.language))
        return Answer(more, page=PAGE, status=refusal.status)
    return See(done.action_url or f"/account/orders/{done.number}", done, cookies=cookies)


@post("/account/orders/{number:str}/undo", again="/account/orders/{number:str}")
async def take_back(call: Call, tx: Tx, number: str) -> See[None]:
    """Take a one-click order back while nothing has left."""
    person_id = call.caller.person()
    sight = await orders.order(tx, number=number, person_id=person_id)
    await orders.undo(tx, person_id, sight.order.id)
    return See(f"/account/orders/{number}")
