"""What every checkout has in common, of the cart or of one piece at a claimed price: who buys and
where it goes, what it costs each way, the fields of the page, and the wish that is ordered."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import UUID

import msgspec

from pinwheel.faces.storefront.checkout import STATES, CheckoutForm, payment_choices
from pinwheel.faces.storefront.frame import Frame
from pinwheel.faces.storefront.order_view import country_name
from pinwheel.faces.storefront.showing import arrival
from pinwheel.ground import identity
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.web import Answer, Call, Cookie, See
from pinwheel.kernel.words import said
from pinwheel.trade import orders, payments, pricing

PLACED = "/checkout/placed"


class Buyer(msgspec.Struct, frozen=True):
    """Who fills the form in: what they keep for this market, and where the form sends it."""

    form: CheckoutForm
    addresses: list[identity.Address]
    chosen: identity.Address | None
    methods: list[payments.Method]
    country: str
    region: str


async def buyer_of(
    tx: Tx, call: Call, form: CheckoutForm, market: pricing.Market, *, fresh: bool
) -> Buyer:
    """A guest keeps nothing yet. ``fresh``: the form was not filled in by somebody."""
    person_id = call.caller.person_id
    addresses: list[identity.Address] = []
    methods: list[payments.Method] = []
    if person_id is not None and call.caller.is_known:
        every = await identity.addresses_of(tx, person_id)
        addresses = [a for a in every if a.country in market.countries]
        methods = await payments.methods_of(tx, person_id)
    asked = form.stored_address()
    chosen = next((a for a in addresses if a.id == asked), None)
    if chosen is None and fresh and not form.name and addresses:
        chosen = addresses[0]
    country = chosen.country if chosen else form.country or market.countries[0]
    region = chosen.region if chosen else form.region
    form = msgspec.structs.replace(form, country=country)
    return Buyer(form, addresses, chosen, methods, country, region)


async def quotes_of(
    tx: Tx, drafts: Sequence[orders.Draft]
) -> tuple[dict[str, orders.Quote], Refusal | None]:
    """What each way of delivery would cost, by its code, in one walk; why, where none can be."""
    answers = await tx.db.given[orders.Buying].checkout.quote(tx, drafts)
    quotes = {a.delivery: a for a in answers if isinstance(a, orders.Quote)}
    refusal = next((a for a in answers if isinstance(a, Refusal)), None)
    return quotes, None if quotes else refusal


def claim_drafts(
    tx: Tx,
    buyer: Buyer,
    frame: Frame,
    market: pricing.Market,
    *,
    item: orders.Item,
    claim: orders.Claim,
    person_id: UUID | None,
    device: str,
) -> list[orders.Draft]:
    """One item at a claimed price, once for each way of delivery."""
    ways = [option.code for option in frame.deliveries.get(market.code, [])]
    return [
        orders.Draft(
            id=tx.new_id(),
            items=[item],
            market=market.code,
            country=buyer.country,
            region=buyer.region,
            person_id=person_id,
            delivery=way,
            claims=[claim],
            device=device,
        )
        for way in ways or [None]
    ]


def way_of(form: CheckoutForm, quotes: dict[str, orders.Quote]) -> str:
    """The way of delivery that is chosen, else the first one there is."""
    return form.delivery if form.delivery in quotes else next(iter(quotes), "")


def form_fields(
    call: Call,
    db: Database,
    frame: Frame,
    market: pricing.Market,
    buyer: Buyer,
    quotes: dict[str, orders.Quote],
    *,
    fresh: bool,
) -> dict[str, Any]:
    """The fields of the checkout's form. A fresh page has a key of its own: the order's."""
    form = buyer.form
    return {
        "form": msgspec.structs.asdict(form),
        "errors": {},
        "countries": [(c, country_name(c, call.language)) for c in market.countries],
        "states": [("", call.say("Choose …")), *((s, s) for s in STATES)]
        if "US" in market.countries
        else None,
        "addresses": [_choice(a, buyer.chosen) for a in buyer.addresses],
        "other_address": buyer.chosen is None,
        "deliveries": _ways(call, frame, market, quotes, way_of(form, quotes)),
        "payments": payment_choices(
            call, form, buyer.methods, "sandbox" in payments.providers_of(db)
        ),
        "quotes": [f"{code}={quote.token}" for code, quote in quotes.items()],
        "key": secrets.token_urlsafe(12) if fresh or not form.key else form.key,
        "robots": "noindex",
    }


def wish_of(
    form: CheckoutForm,
    market: str,
    device: str,
    *,
    item: orders.Item | None = None,
    claim: orders.Claim | None = None,
    placed: str = PLACED,
) -> orders.Wish:
    """What the form asks for, of the cart or of ``item``; a form without a key gets one, and the
    way back after the payment names it."""
    key = form.key or secrets.token_urlsafe(12)
    stored, tender = form.stored_address(), form.tender()
    return orders.Wish(
        market=market,
        quote=form.quote,
        key=key,
        delivery=form.delivery or None,
        address_id=stored,
        ship_to=None if stored else form.ship_to(),
        email=form.email.strip(),
        tenders=(tender,) if tender else (),
        method_id=form.stored_method(),
        return_url=f"{placed}?key={key}",
        items=(item,) if item else (),
        claims=(claim,) if claim else (),
        device=device,
        gift_cards=form.cards(),
    )


def refused(call: Call, refusal: Refusal) -> dict[str, Any]:
    """What the page says of it: new figures are to be confirmed, anything else is said above."""
    sentence = refusal.sentence(call.language)
    stale = isinstance(refusal, orders.StaleQuote)
    return {"quote_changes": [sentence] if stale else [], "error": None if stale else sentence}


async def ordered(
    call: Call,
    db: Database,
    person_id: UUID,
    wish: orders.Wish,
    *,
    page: str,
    cookies: tuple[Cookie, ...],
    again: Callable[[], Awaitable[dict[str, Any]]],
) -> Answer[dict[str, Any]] | See[orders.Bought]:
    """Order one piece at a claimed price; refused, the page ``again`` with why and new figures."""
    try:
        bought = await orders.order_cart(db, call.caller, person_id, wish)
    except Refusal as refusal:
        if refusal.status >= 500 or not call.wants_page:
            raise
        more = await again() | refused(call, refusal)
        return Answer(more, page=page, status=refusal.status)
    return See(bought.action_url or wish.return_url, bought, cookies=cookies)


def missing(call: Call, faults: dict[str, str]) -> dict[str, Any]:
    """What the page says of a form that is not complete."""
    told = call.say("Something is missing. Please look at the marked fields.")
    return {"errors": faults, "error": told}


def _choice(one: identity.Address, chosen: identity.Address | None) -> dict[str, Any]:
    parts = (one.line1, one.line2, one.postal_code, one.city, one.region, one.country)
    return {
        "id": str(one.id),
        "name": one.recipient_name,
        "lines": ", ".join(p for p in parts if p),
        "chosen": chosen is not None and one.id == chosen.id,
    }


def _ways(
    call: Call,
    frame: Frame,
    market: pricing.Market,
    quotes: dict[str, orders.Quote],
    chosen: str,
) -> list[dict[str, Any]]:
    options = {o.code: o for o in frame.deliveries.get(market.code, [])}
    now = call.db.clock.now()
    found = []
    for code, quote in quotes.items():
        name = next((o.name for o in quote.options if o.code == code), {})
        note = arrival(now, options[code], call.language) if code in options else ""
        found.append(
            {
                "value": code,
                "label": said(name, call.language),
                "note": note,
                "price_minor": quote.delivery_minor,
                "total_minor": quote.total_minor,
                "chosen": code == chosen,
            }
        )
    return found
