"""The checkout on one page, and what follows it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pinwheel.faces.storefront import queries
from pinwheel.faces.storefront.basket_web import shown_cart, shown_coupons, sums
from pinwheel.faces.storefront.checkout import CheckoutForm, faults
from pinwheel.faces.storefront.device import device_of
from pinwheel.faces.storefront.frame import frame_of, market_of
from pinwheel.faces.storefront.order_view import next_steps, parcel_sentence
from pinwheel.faces.storefront.ordering import (
    Buyer,
    buyer_of,
    form_fields,
    missing,
    quotes_of,
    refused,
    way_of,
    wish_of,
)
from pinwheel.faces.storefront.tender_web import COUNTER, cash_shown, checkout_tenders
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


@post("/checkout", again="/checkout", limits=(("checkout", Limit(30, 10)),))
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
        more = await _page(call, db, data) | missing(call, wrong)
        return Answer(more, page=PAGE, status=422)
    device, cookies = device_of(call)
    wish = wish_of(data, market.code, device)
    try:
        bought = await orders.order_cart(db, call.caller, person_id, wish)
    except Refusal as refusal:
        if refusal.status >= 500:
            raise
        return await _again(call, db, data, refusal)
    return See(bought.action_url or wish.return_url, bought, cookies=cookies)


async def _again(
    call: Call, db: Database, form: CheckoutForm, refusal: Refusal
) -> Answer[dict[str, Any]]:
    """The page once more: with the new figures, which have to be confirmed, or with what to do. A
    refused order ended its key; the next one has its own."""
    more = await _page(call, db, form, fresh=True)
    if not more["cart"]["lines"]:
        raise refusal
    return Answer({**more, **refused(call, refusal)}, page=PAGE, status=refusal.status)


async def _page(
    call: Call, db: Database, form: CheckoutForm, *, fresh: bool = False
) -> dict[str, Any]:
    frame = await frame_of(db)
    market = market_of(call, frame)
    person_id = call.caller.person_id
    device, _ = device_of(call)
    async with db.reading() as tx:
        buyer = await buyer_of(tx, call, form, market, fresh=fresh)
        sight = await orders.cart(
            tx,
            db.given[orders.Buying].checkout,
            person_id,
            market=market.code,
            country=buyer.country,
            region=buyer.region,
            device=device,
        )
        quotes = await _quotes(tx, sight, person_id, market, buyer, device)
        seen = await queries.pictures(tx, [i.variant_id for i in sight.lines if i.variant_id])
        wallet = await promotions.wallet(tx, person_id) if person_id and sight.lines else []
        cards, has_counter = await checkout_tenders(call, tx, form.gift_cards, market.currency)
    way = way_of(buyer.form, quotes)
    cart = shown_cart(call, frame, sight, seen, market.currency)
    if way:
        cart |= sums(call, quotes[way], market.currency)
    fields = form_fields(call, db, frame, market, buyer, quotes, fresh=fresh)
    if has_counter:
        fields["payments"].append(_counter(call, form))
    return {
        "cart": cart,
        "coupons": shown_coupons(call, sight, wallet),
        **fields,
        "gift_cards": cards,
        "error": _why_not(call, sight),
        "title": call.say("Checkout"),
    }


def _counter(call: Call, form: CheckoutForm) -> dict[str, Any]:
    return {
        "value": COUNTER,
        "label": call.say("Pay at the store"),
        "note": call.say("In cash, with a code; we keep the goods for you until then."),
        "chosen": form.payment == COUNTER,
    }


def _why_not(call: Call, sight: orders.CartSight) -> str | None:
    if sight.refusal is None:
        return None
    return sight.refusal.zh if call.language == "zh-CN" else sight.refusal.en


async def _quotes(
    tx: Tx,
    sight: orders.CartSight,
    person_id: UUID | None,
    market: pricing.Market,
    buyer: Buyer,
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
            country=buyer.country,
            region=buyer.region,
            person_id=person_id,
            delivery=option.code,
            coupons=sight.coupons,
            device=device,
        )
        for option in sight.quote.options
    ]
    return (await quotes_of(tx, drafts))[0]


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
        cash = await cash_shown(call, tx, sight.order)
    order = sight.order
    if order.state == "cancelled":
        state = "back" if any(p.captured_minor for p in asked) else "failed"
        return Answer(
            {"order": _brief(call, order), "state": state, "title": call.say("Not paid")},
            page="storefront/placed.html",
        )
    waiting = order.state == "pending_payment"
    action = next((p.action_url for p in asked if p.action_url and p.state == "needs_action"), None)
    frame = await frame_of(db)
    return Answer(
        {
            "order": {**_brief(call, order), "delivery": parcel_sentence(call, frame, order)},
            "state": "waiting" if waiting else "paid",
            "refresh": waiting and cash is None,
            "cash": cash,
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
