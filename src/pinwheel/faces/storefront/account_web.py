"""The account's pages: what is kept, who may see it, and how to take it along or have it erased."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec

from pinwheel.faces.storefront.frame import frame_of, market_of
from pinwheel.faces.storefront.order_view import country_name
from pinwheel.faces.storefront.orders_web import latest_orders
from pinwheel.ground import identity
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import NotFound
from pinwheel.kernel.web import Answer, Call, See, get, post
from pinwheel.trade import orders, payments

PURPOSES = (
    ("marketing", "email", "News and offers by e-mail"),
    ("personalisation", "web", "Suggestions from what I look at and buy"),
    ("analytics", "web", "Counting my visits to improve the shop"),
)
ONE_CLICK_WORDS = (
    "One tap orders at once, to my default address and with my default way of paying; "
    "I can take it back for two minutes."
)


@get("/account")
async def overview(call: Call, tx: Tx) -> Answer[dict[str, Any]]:
    """The first page of the account."""
    person_id = call.caller.person()
    person = await identity.person_of(tx, person_id)
    cards, _ = await latest_orders(call, tx, person_id, limit=3)
    kept = await identity.addresses_of(tx, person_id)
    return Answer(
        {
            "buyer": {"name": person.name or person.email, "email": person.email},
            "orders": cards,
            "addresses": [shown_address(call, a) for a in kept[:2]],
            "here": "account",
            "title": call.say("Account"),
            "robots": "noindex",
        },
        page="storefront/account.html",
    )


def shown_address(call: Call, one: identity.Address) -> dict[str, Any]:
    country = country_name(one.country, call.language)
    parts = (one.line1, one.line2, one.postal_code, one.city, one.region, country)
    return {
        "id": one.id,
        "name": one.recipient_name,
        "lines": ", ".join(p for p in parts if p),
        "is_default": one.is_default,
    }


@get("/account/addresses")
async def address_book(call: Call, tx: Tx) -> Answer[dict[str, Any]]:
    """Where to deliver to."""
    kept = await identity.addresses_of(tx, call.caller.person())
    frame = await frame_of(call.db)
    here = market_of(call, frame)
    countries = sorted({c for m in frame.markets.values() for c in m.countries})
    return Answer(
        {
            "addresses": [shown_address(call, a) for a in kept],
            "countries": [(c, country_name(c, call.language)) for c in countries],
            "country": here.countries[0] if here.countries else "",
            "here": "addresses",
            "title": call.say("Addresses"),
            "robots": "noindex",
        },
        page="storefront/addresses.html",
    )


@get("/account/payment")
async def ways_to_pay(call: Call, tx: Tx) -> Answer[dict[str, Any]]:
    """Kept ways of paying, and one-click ordering."""
    person_id = call.caller.person()
    switch = await orders.one_click_switch(tx, person_id)
    return Answer(
        {
            "methods": [
                {
                    "id": m.id,
                    "label": f"{call.say(m.brand)} …{m.last4}" if m.last4 else call.say(m.brand),
                    "is_default": m.is_default,
                }
                for m in await payments.methods_of(tx, person_id)
            ],
            "one_click": bool(switch and switch.is_on),
            "wording": call.say(ONE_CLICK_WORDS),
            "here": "payment",
            "title": call.say("Payment"),
            "robots": "noindex",
        },
        page="storefront/payment.html",
    )


@post("/account/payment/{method_id:uuid}/default", again="/account/payment")
async def prefer(call: Call, tx: Tx, method_id: uuid.UUID) -> See[None]:
    """Pay with it unless said otherwise."""
    if not await payments.set_default_method(tx, call.caller.person(), method_id):
        raise NotFound(what="payment method")
    return See("/account/payment")


@post("/account/payment/{method_id:uuid}/remove", again="/account/payment")
async def forget(call: Call, tx: Tx, method_id: uuid.UUID) -> See[None]:
    """Forget a way of paying."""
    await payments.remove_method(tx, call.caller.person(), method_id)
    return See("/account/payment")


class OneClickChoice(msgspec.Struct):
    is_on: bool = False


@post("/account/one-click", again="/account/payment")
async def switch_one_click(call: Call, tx: Tx, data: OneClickChoice) -> See[None]:
    """Switch one-click ordering on or off for oneself."""
    frame = await frame_of(call.db)
    await orders.switch_one_click(
        tx,
        call.caller.person(),
        data.is_on,
        market=market_of(call, frame).code,
        wording=call.say(ONE_CLICK_WORDS),
    )
    return See("/account/payment")


@get("/account/privacy")
async def privacy(call: Call, tx: Tx) -> Answer[dict[str, Any]]:
    """What one has agreed to, a copy of everything, and the way out."""
    given = {
        (c.purpose, c.channel): c.is_granted
        for c in await identity.consents_of(tx, call.caller.person())
    }
    return Answer(
        {
            "consents": [
                {
                    "purpose": purpose,
                    "channel": channel,
                    "label": call.say(label),
                    "is_granted": given.get((purpose, channel), False),
                }
                for purpose, channel, label in PURPOSES
            ],
            "here": "privacy",
            "title": call.say("Your data"),
            "robots": "noindex",
        },
        page="storefront/privacy.html",
    )


@get("/account/sessions")
async def sessions(call: Call, tx: Tx) -> Answer[dict[str, Any]]:
    """Where one is signed in."""
    found = await identity.sessions_of(tx, call.caller.person())
    return Answer(
        {
            "sessions": [
                {
                    "id": s.id,
                    "agent": s.agent or call.say("Unknown browser"),
                    "seen_at": s.seen_at,
                    "is_this": s.id == call.caller.session_id,
                }
                for s in found
            ],
            "here": "sessions",
            "title": call.say("Where you are signed in"),
            "robots": "noindex",
        },
        page="storefront/sessions.html",
    )
