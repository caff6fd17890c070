"""Newcomer offers in the shop: what there is, buying one on one page, and asking to be looked at
again when something was refused."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec

from pinwheel.faces.storefront import queries
from pinwheel.faces.storefront.basket_web import sums
from pinwheel.faces.storefront.checkout import CheckoutForm, faults
from pinwheel.faces.storefront.device import device_of
from pinwheel.faces.storefront.frame import Frame, frame_of, market_of
from pinwheel.faces.storefront.ordering import (
    buyer_of,
    claim_drafts,
    form_fields,
    missing,
    quotes_of,
    refused,
    way_of,
    wish_of,
)
from pinwheel.faces.storefront.showing import line_of
from pinwheel.ground import identity, trust
from pinwheel.growth import newcomers
from pinwheel.growth.newcomers import PoolOffer
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import NotFound, Refusal
from pinwheel.kernel.web import Answer, Call, Limit, See, get, post
from pinwheel.trade import orders, pricing

PAGE = "storefront/newcomer_checkout.html"
SUM = "storefront/_checkout_sum.html"


@get("/newcomers")
async def see_newcomers(call: Call, db: Database) -> Answer[dict[str, Any]]:
    """What a first order may cost here, with what is left of each."""
    frame = await frame_of(db)
    market = market_of(call, frame)
    _, cookies = device_of(call)
    person = call.caller.person_id
    async with db.reading() as tx:
        on = [o for o in await newcomers.offers(tx, market=market.code) if o.is_on]
        cards = await _cards(tx, call, frame, on, market)
        is_new = person is None or person not in await newcomers.not_new(tx, [person])
    title = call.say("For your first order")
    return Answer(
        {"cards": cards, "is_new": is_new, "title": title},
        page="storefront/newcomers.html",
        cookies=cookies,
    )


async def _cards(
    tx: Tx, call: Call, frame: Frame, on: list[PoolOffer], market: pricing.Market
) -> list[dict[str, Any]]:
    goods = await newcomers.goods_of(tx, [o.offer_id for o in on])
    prices = await pricing.prices(tx, [o.offer_id for o in on], market.currency)
    seen = await queries.pictures(tx, [g.variant_id for g in goods.values()])
    found = []
    for offer in on:
        thing, price = goods.get(offer.offer_id), prices.get(offer.offer_id)
        if thing is None or price is None:
            continue
        line = line_of(frame, seen.get(thing.variant_id), thing.title, call.language)
        found.append(
            {
                **line,
                "id": offer.id,
                "path": f"/newcomers/{offer.id}",
                "product_path": f"/p/{thing.slug}",
                "price_minor": offer.price_minor,
                "normal_minor": price.price_minor,
                "currency": offer.currency,
                "free_delivery": offer.free_delivery,
                "left": offer.left,
                "quantity": offer.quantity,
            }
        )
    return sorted(found, key=lambda card: card["left"] == 0)


@get("/newcomers/{offer_id:uuid}")
async def see_newcomer_checkout(call: Call, db: Database, offer_id: UUID) -> Answer[dict[str, Any]]:
    """Address, delivery and payment for one newcomer offer."""
    _, cookies = device_of(call)
    found = await _page(call, db, offer_id, CheckoutForm(), fresh=True)
    return Answer(found, page=PAGE, cookies=cookies)


@post("/newcomers/{offer_id:uuid}/quote")
async def quote_newcomer(
    call: Call, db: Database, offer_id: UUID, data: CheckoutForm
) -> Answer[dict[str, Any]]:
    """The sums for what is filled in so far."""
    return Answer(await _page(call, db, offer_id, data), page=PAGE, part=SUM)


@post(
    "/newcomers/{offer_id:uuid}",
    again="/newcomers/{offer_id:uuid}",
    limits=(("newcomer", Limit(20, 30)),),
)
async def order_newcomer(
    call: Call, db: Database, offer_id: UUID, data: CheckoutForm
) -> Answer[dict[str, Any]] | See[orders.Bought]:
    """Order one at the newcomer price."""
    frame = await frame_of(db)
    market = market_of(call, frame)
    device, cookies = device_of(call)
    wrong = faults(call, data, market)
    if wrong:
        more = await _page(call, db, offer_id, data) | missing(call, wrong)
        return Answer(more, page=PAGE, status=422)
    async with db.transaction(actor=call.caller.actor) as tx:
        person_id = await identity.guest_of(tx, call.caller, call.token)
        offer = await _offer(tx, offer_id, market)
        await trust.note(
            tx,
            [*trust.seen_device(person_id, device), *trust.seen_network(person_id, call.address)],
        )
    wish = wish_of(data, market.code, device, item=_one(offer), claim=_claim(offer))
    try:
        bought = await orders.order_cart(db, call.caller, person_id, wish)
    except Refusal as refusal:
        if refusal.status >= 500 or not call.wants_page:
            raise
        more = await _page(call, db, offer_id, data, fresh=True)
        more |= refused(call, refusal) | {"asks": isinstance(refusal, ASKABLE)}
        return Answer(more, page=PAGE, status=refusal.status)
    return See(bought.action_url or wish.return_url, bought, cookies=cookies)


def _one(offer: PoolOffer) -> orders.Item:
    return orders.Item(offer.offer_id, 1)


def _claim(offer: PoolOffer) -> orders.Claim:
    return orders.Claim(newcomers.CLAIM, offer.id)


ASKABLE = (newcomers.NotNew, newcomers.NewcomerLooksAgain, trust.AlreadyUsed)


async def _offer(tx: Tx, offer_id: UUID, market: pricing.Market) -> PoolOffer:
    found = await newcomers.offers(tx, ids=[offer_id])
    if not found or found[0].market != market.code:
        raise NotFound(what="newcomer offer")
    return found[0]


async def _page(
    call: Call, db: Database, offer_id: UUID, form: CheckoutForm, *, fresh: bool = False
) -> dict[str, Any]:
    frame = await frame_of(db)
    market = market_of(call, frame)
    person_id = call.caller.person_id
    device, _ = device_of(call)
    async with db.reading() as tx:
        buyer = await buyer_of(tx, call, form, market, fresh=fresh)
        offer = await _offer(tx, offer_id, market)
        cards = await _cards(tx, call, frame, [offer], market)
        drafts = claim_drafts(
            tx,
            buyer,
            frame,
            market,
            item=_one(offer),
            claim=_claim(offer),
            person_id=person_id or tx.new_id(),  # who is nobody yet is taken for somebody new
            device=device,
        )
        quotes, refusal = await quotes_of(tx, drafts)
    if not cards:
        raise NotFound(what="newcomer offer")
    card = cards[0]
    way = way_of(buyer.form, quotes)
    line = {**card, "buyable": 1, "price_minor": card["normal_minor"]}
    line["total_minor"] = card["normal_minor"]
    cart = {"lines": [line], **sums(call, quotes.get(way), market.currency)}
    for less in cart["reductions"]:
        less["label"] = call.say("Newcomer price")
    return {
        "cart": cart,
        "card": card,
        "checkout_path": f"/newcomers/{offer_id}",
        **form_fields(call, db, frame, market, buyer, quotes, fresh=fresh),
        "error": refusal.sentence(call.language) if refusal else None,
        "asks": isinstance(refusal, ASKABLE),
        "title": call.say("For your first order"),
    }


# --- asking to be looked at again


class AppealForm(msgspec.Struct):
    words: Annotated[str, msgspec.Meta(max_length=2000)] = ""


@get("/account/appeals")
async def see_appeals(call: Call, tx: Tx) -> Answer[dict[str, Any]] | See[None]:
    """What one asked to be looked at again, with the answers. A guest has them too, by their
    browser."""
    if call.caller.person_id is None:
        return See("/sign-in?next=/account/appeals")
    return Answer(await _appeals(call, tx), page="storefront/appeals.html")


async def _appeals(call: Call, tx: Tx) -> dict[str, Any]:
    person_id = call.caller.person_id
    assert person_id is not None
    refused = await trust.verdicts(tx, view="all", person_id=person_id, limit=20)
    is_old = person_id in await newcomers.not_new(tx, [person_id])
    return {
        "appeals": await trust.appeals_of(tx, person_id),
        "can_appeal": is_old or any(v.stands != "allow" for v in refused.items),
        "days": trust.APPEAL_DAYS,
        "title": call.say("Ask us to look again"),
        "robots": "noindex",
    }


@post(
    "/account/appeals",
    limits=(("appeal", Limit(5, 3600)),),
    again="/account/appeals",
)
async def make_appeal(
    call: Call, db: Database, data: AppealForm
) -> Answer[dict[str, Any]] | See[None]:
    """A person looks again and answers by the day that is said."""
    person_id = call.caller.person_id
    if person_id is None:
        return See("/sign-in?next=/account/appeals")
    try:
        if not data.words.strip():
            raise NothingSaid()
        async with db.transaction(actor=call.caller.actor) as tx:
            await newcomers.ask_again(tx, person_id, data.words.strip())
    except Refusal as refusal:
        if not call.wants_page:
            raise
        async with db.reading() as tx:
            more = await _appeals(call, tx)
        told = {"error": refusal.sentence(call.language), "words": data.words}
        return Answer({**more, **told}, page="storefront/appeals.html", status=refusal.status)
    return See("/account/appeals")


class NothingSaid(Refusal):
    status = 422
    en = "Tell us in a few words what we should look at."
    zh = "请简要说明需要我们复核的情况。"
