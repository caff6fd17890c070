"""The checkout on one page, and what follows it."""

from __future__ import annotations

import secrets
from typing import Any
from uuid import UUID

import msgspec

from pinwheel.faces.storefront import queries
from pinwheel.faces.storefront.basket_web import shown_cart, shown_coupons, sums
from pinwheel.faces.storefront.checkout import STATES, CheckoutForm, faults, payment_choices
from pinwheel.faces.storefront.device import device_of
from pinwheel.faces.storefront.frame import Frame, frame_of, market_of, said
from pinwheel.faces.storefront.order_view import country_name, next_steps, parcel_sentence
from pinwheel.faces.storefront.showing import arrival
from pinwheel.ground import identity
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import NotFound, Refusal
from pinwheel.kernel.web import Answer, Call, Limit, See, get, post
from pinwheel.trade import orders, payments, pricing, promotions

PAGE = "storefront/checkout.html"
SUM = "storefront/_checkout_sum.html"


@get("/checkout")
async def see_checkout(call: Call, db: Database) -> Answer[dict[str, Any]] | See[None]:
    """Address, delivery and payment on one page, with the total to be paid."""
    found = await _page(call, db, CheckoutForm(), fresh=True)
    _, cookies = device_of(call)
    return Answer(found, page=PAGE, cookies=cookies) if found["cart"]["lines"] else See("/cart")


@post("/checkout/quote")
async def quote_again(call: Call, db: Database, data: CheckoutForm) -> Answer[dict[str, Any]]:
    """The sums and the ways of delivery for what is filled in so far."""
    return Answer(await _page(call, db, data), page=PAGE, part=SUM)


@post("/checkout", limits=(("checkout", Limit(30, 10)),))
async def place(
    call: Call, db: Database, data: CheckoutForm
) -> Answer[dict[str, Any]] | See[orders.Bought]:
    """Order what is in the cart at the figures that were shown."""
    frame = await frame_of(db)
    market = market_of(call, frame)
    person_id = call.caller.person_id
    if person_id is None:
        return See("/cart")
    wrong = faults(call, data, market)
    if wrong:
        told = call.say("Something is missing. Please look at the marked fields.")
        more = await _page(call, db, data)
        return Answer({**more, "errors": wrong, "error": told}, page=PAGE, status=422)
    tender = data.tender()
    device, cookies = device_of(call)
    wish = orders.Wish(
        market=market.code,
        quote=data.quote,
        key=data.key or secrets.token_urlsafe(12),
        delivery=data.delivery or None,
        address_id=data.stored_address(),
        ship_to=None if data.stored_address() else data.ship_to(),
        email=data.email.strip(),
        tenders=(tender,) if tender else (),
        method_id=data.stored_method(),
        return_url=f"/checkout/placed?key={data.key}",
        device=device,
    )
    try:
        bought = await orders.order_cart(db, call.caller, person_id, wish)
    except Refusal as refusal:
        if refusal.status >= 500:
            raise
        return await _again(call, db, data, refusal)
    path = bought.action_url or f"/checkout/placed?key={data.key}"
    return See(path, bought, cookies=cookies)


async def _again(
    call: Call, db: Database, form: CheckoutForm, refusal: Refusal
) -> Answer[dict[str, Any]]:
    """The page once more: with the new figures, which have to be confirmed, or with what to do. A
    refused order ended its key; the next one has its own."""
    more = await _page(call, db, form, fresh=True)
    if not more["cart"]["lines"]:
        raise refusal
    sentence = refusal.sentence(call.language)
    told = {"quote_changes": [sentence]} if isinstance(refusal, orders.StaleQuote) else {}
    return Answer(
        {**more, **told, "error": None if told else sentence}, page=PAGE, status=refusal.status
    )


async def _page(
    call: Call, db: Database, form: CheckoutForm, *, fresh: bool = False
) -> dict[str, Any]:
    frame = await frame_of(db)
    market = market_of(call, frame)
    person_id = call.caller.person_id
    device, _ = device_of(call)
    addresses: list[identity.Address] = []
    kept: list[payments.Method] = []
    async with db.reading() as tx:
        if person_id is not None and call.caller.is_known:
            every = await identity.addresses_of(tx, person_id)
            addresses = [a for a in every if a.country in market.countries]
            kept = await payments.methods_of(tx, person_id)
        chosen = address_of(form, addresses, first=fresh and not form.name)
        country = chosen.country if chosen else form.country or market.countries[0]
        region = chosen.region if chosen else form.region
        form = msgspec.structs.replace(form, country=country)
        sight = await orders.cart(
            tx,
            db.given[orders.Buying].checkout,
            person_id,
            market=market.code,
            country=country,
            region=region,
            device=device,
        )
        quotes = await _quotes(tx, sight, person_id, market, country, region, device)
        seen = await queries.pictures(tx, [i.variant_id for i in sight.lines if i.variant_id])
        wallet = await promotions.wallet(tx, person_id) if person_id and sight.lines else []
    way = form.delivery if form.delivery in quotes else next(iter(quotes), "")
    key = secrets.token_urlsafe(12) if fresh or not form.key else form.key
    cart = shown_cart(call, frame, sight, seen, market.currency)
    if way:
        cart |= sums(call, quotes[way], market.currency)
    return {
        "cart": cart,
        "coupons": shown_coupons(call, sight, wallet),
        "form": msgspec.structs.asdict(form),
        "errors": {},
        "countries": [(c, country_name(c, call.language)) for c in market.countries],
        "states": [("", call.say("Choose …")), *((s, s) for s in STATES)]
        if "US" in market.countries
        else None,
        "addresses": [address_choice(a, chosen) for a in addresses],
        "other_address": chosen is None,
        "deliveries": ways_of_delivery(call, frame, market, quotes, way),
        "payments": payment_choices(call, form, kept, "sandbox" in payments.providers_of(db)),
        "quotes": [f"{code}={quote.token}" for code, quote in quotes.items()],
        "key": key,
        "error": _why_not(call, sight),
        "title": call.say("Checkout"),
        "robots": "noindex",
    }


def _why_not(call: Call, sight: orders.CartSight) -> str | None:
    if sight.refusal is None:
        return None
    return sight.refusal.zh if call.language == "zh-CN" else sight.refusal.en


def address_of(
    form: CheckoutForm, addresses: list[identity.Address], *, first: bool
) -> identity.Address | None:
    asked = form.stored_address()
    found = next((a for a in addresses if a.id == asked), None)
    return found or (addresses[0] if first and addresses else None)


def address_choice(one: identity.Address, chosen: identity.Address | None) -> dict[str, Any]:
    parts = (one.line1, one.line2, one.postal_code, one.city, one.region, one.country)
    return {
        "id": str(one.id),
        "name": one.recipient_name,
        "lines": ", ".join(p for p in parts if p),
        "chosen": chosen is not None and one.id == chosen.id,
    }


async def _quotes(
    tx: Tx,
    sight: orders.CartSight,
    person_id: UUID | None,
    market: pricing.Market,
    country: str,
    region: str,
    device: str,
) -> dict[str, orders.Quote]:
    """What the cart would cost with each way of delivery: one walk for all of them."""
    if sight.quote is None:
        return {}
    items = [orders.Item(line.offer_id, line.buyable) for line in sight.lines if line.buyable]
    drafts = [
        orders.Draft(
            id=tx.new_id(),
            items=items,
            market=market.code,
            country=country,
            region=region,
            person_id=person_id,
            delivery=option.code,
            coupons=sight.coupons,
            device=device,
        )
        for option in sight.quote.options
    ]
    answers = await tx.db.given[orders.Buying].checkout.quote(tx, drafts)
    return {a.delivery: a for a in answers if isinstance(a, orders.Quote)}


def ways_of_delivery(
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


@get("/checkout/placed")
async def placed(call: Call, db: Database, key: str = "") -> Answer[dict[str, Any]] | See[None]:
    """What was ordered, and what happens next. While the payment is open the page looks again."""
    person_id = call.caller.person_id
    if person_id is None:
        raise NotFound(what="order")
    async with db.reading() as tx:
        known = await orders.known_order(tx, f"cart:{person_id}", key[:100])
        if known is None:
            raise NotFound(what="order")
        sight = await orders.order(tx, order_id=known.id, person_id=person_id)
        asked = await payments.payments_of(tx, [known.id])
    order = sight.order
    if order.state == "cancelled":
        return Answer(
            {"order": _brief(call, order), "state": "failed", "title": call.say("Not paid")},
            page="storefront/placed.html",
        )
    waiting = order.state == "pending_payment"
    action = next((p.action_url for p in asked if p.action_url and p.state == "needs_action"), None)
    frame = await frame_of(db)
    return Answer(
        {
            "order": {**_brief(call, order), "delivery": parcel_sentence(call, frame, order)},
            "state": "waiting" if waiting else "paid",
            "refresh": waiting,
            "pay_href": call.local(action) if action and waiting else None,
            "timeline_items": next_steps(call, sight),
            "title": call.say("Thank you"),
            "robots": "noindex",
        },
        page="storefront/placed.html",
    )


def _brief(call: Call, order: orders.Order) -> dict[str, Any]:
    email = call.db.vault.open(order.contact, "orders.contact") if order.contact else ""
    return {
        "number": order.number,
        "path": f"/account/orders/{order.number}",
        "email": email,
        "total_minor": order.total_minor,
        "currency": order.currency,
    }
