"""Newcomer offers in the shop: what there is, buying one on one page, and asking to be looked at
again when something was refused."""

from __future__ import annotations

import secrets
from typing import Annotated, Any
from uuid import UUID

import msgspec

from pinwheel.faces.storefront import queries
from pinwheel.faces.storefront.basket_web import sums
from pinwheel.faces.storefront.checkout import STATES, CheckoutForm, faults, payment_choices
from pinwheel.faces.storefront.checkout_web import address_choice, address_of, ways_of_delivery
from pinwheel.faces.storefront.device import device_of
from pinwheel.faces.storefront.frame import Frame, frame_of, market_of
from pinwheel.faces.storefront.order_view import country_name
from pinwheel.faces.storefront.showing import line_of
from pinwheel.ground import identity, trust
from pinwheel.growth import newcomers
from pinwheel.growth.newcomers import PoolOffer
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import NotFound, Refusal
from pinwheel.kernel.web import Answer, Call, Limit, See, get, post
from pinwheel.trade import orders, payments, pricing

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


@post("/newcomers/{offer_id:uuid}", limits=(("newcomer", Limit(20, 30)),))
async def order_newcomer(
    call: Call, db: Database, offer_id: UUID, data: CheckoutForm
) -> Answer[dict[str, Any]] | See[orders.Bought]:
    """Order one at the newcomer price."""
    frame = await frame_of(db)
    market = market_of(call, frame)
    device, cookies = device_of(call)
    wrong = faults(call, data, market)
    if wrong:
        told = call.say("Something is missing. Please look at the marked fields.")
        more = await _page(call, db, offer_id, data)
        return Answer({**more, "errors": wrong, "error": told}, page=PAGE, status=422)
    async with db.transaction(actor=call.caller.actor) as tx:
        person_id = await identity.guest_of(tx, call.caller, call.token)
        offer = await _offer(tx, offer_id, market)
        await trust.note(
            tx,
            [*trust.seen_device(person_id, device), *trust.seen_network(person_id, call.address)],
        )
    wish = _wish(data, market, offer, device)
    try:
        bought = await orders.order_cart(db, call.caller, person_id, wish)
    except Refusal as refusal:
        if refusal.status >= 500 or not call.wants_page:
            raise
        more = await _page(call, db, offer_id, data, fresh=True)
        sentence = refusal.sentence(call.language)
        is_stale = isinstance(refusal, orders.StaleQuote)
        return Answer(
            {
                **more,
                "quote_changes": [sentence] if is_stale else [],
                "error": None if is_stale else sentence,
                "asks": isinstance(refusal, ASKABLE),
            },
            page=PAGE,
            status=refusal.status,
        )
    path = bought.action_url or f"/checkout/placed?key={data.key}"
    return See(path, bought, cookies=cookies)


def _wish(data: CheckoutForm, market: pricing.Market, offer: PoolOffer, device: str) -> orders.Wish:
    tender = data.tender()
    return orders.Wish(
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
        items=(orders.Item(offer.offer_id, 1),),
        claims=(orders.Claim(newcomers.CLAIM, offer.id),),
        device=device,
    )


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
    addresses: list[identity.Address] = []
    kept: list[payments.Method] = []
    async with db.reading() as tx:
        if person_id is not None and call.caller.is_known:
            every = await identity.addresses_of(tx, person_id)
            addresses = [a for a in every if a.country in market.countries]
            kept = await payments.methods_of(tx, person_id)
        offer = await _offer(tx, offer_id, market)
        chosen = address_of(form, addresses, first=fresh and not form.name)
        country = chosen.country if chosen else form.country or market.countries[0]
        region = chosen.region if chosen else form.region
        form = msgspec.structs.replace(form, country=country)
        cards = await _cards(tx, call, frame, [offer], market)
        quotes, refusal = await _quotes(tx, frame, market, offer, person_id, country, region)
    if not cards:
        raise NotFound(what="newcomer offer")
    card = cards[0]
    way = form.delivery if form.delivery in quotes else next(iter(quotes), "")
    line = {**card, "buyable": 1, "price_minor": card["normal_minor"]}
    line["total_minor"] = card["normal_minor"]
    cart = {"lines": [line], **sums(call, quotes.get(way), market.currency)}
    for less in cart["reductions"]:
        less["label"] = call.say("Newcomer price")
    return {
        "cart": cart,
        "card": card,
        "checkout_path": f"/newcomers/{offer_id}",
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
        "key": secrets.token_urlsafe(12) if fresh or not form.key else form.key,
        "error": refusal.sentence(call.language) if refusal else None,
        "asks": isinstance(refusal, ASKABLE),
        "title": call.say("For your first order"),
        "robots": "noindex",
    }


async def _quotes(
    tx: Tx,
    frame: Frame,
    market: pricing.Market,
    offer: PoolOffer,
    person_id: UUID | None,
    country: str,
    region: str,
) -> tuple[dict[str, orders.Quote], Refusal | None]:
    """What it would cost with each way of delivery. Who is nobody yet is taken for somebody new."""
    drafts = [
        orders.Draft(
            id=tx.new_id(),
            items=[orders.Item(offer.offer_id, 1)],
            market=market.code,
            country=country,
            region=region,
            person_id=person_id or tx.new_id(),
            delivery=option.code,
            claims=[orders.Claim(newcomers.CLAIM, offer.id)],
        )
        for option in frame.deliveries.get(market.code, [])
    ]
    answers = await tx.db.given[orders.Buying].checkout.quote(tx, drafts)
    found = {a.delivery: a for a in answers if isinstance(a, orders.Quote)}
    refusal = next((a for a in answers if isinstance(a, Refusal)), None)
    return found, None if found else refusal


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
    again=("storefront/appeals.html", "Ask us to look again"),
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
