"""The balance of a deposit: the checkout's page for the piece that is kept."""

from __future__ import annotations

import secrets
from typing import Any
from uuid import UUID

import msgspec

from pinwheel.faces.storefront.basket_web import sums
from pinwheel.faces.storefront.checkout import STATES, CheckoutForm, faults, payment_choices
from pinwheel.faces.storefront.checkout_web import address_choice, address_of, ways_of_delivery
from pinwheel.faces.storefront.deal_goods import deal_goods
from pinwheel.faces.storefront.device import device_of
from pinwheel.faces.storefront.frame import Frame, frame_of, said
from pinwheel.faces.storefront.order_view import country_name
from pinwheel.faces.storefront.showing import first_picture
from pinwheel.ground import identity
from pinwheel.growth import bigdays
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import NotFound, Refusal
from pinwheel.kernel.web import Answer, Call, Limit, See, get, post
from pinwheel.trade import orders, payments, pricing

PAGE, SUM = "storefront/bigday_balance.html", "storefront/_checkout_sum.html"


@get("/days/balance/{deposit_id:uuid}")
async def see_balance(
    call: Call, db: Database, deposit_id: UUID
) -> Answer[dict[str, Any]] | See[None]:
    """Address, delivery and payment of what is left to pay."""
    if call.caller.person_id is None:
        return See(f"/sign-in?next=/days/balance/{deposit_id}")
    return Answer(await _page(call, db, deposit_id, CheckoutForm(), fresh=True), page=PAGE)


@post("/days/balance/{deposit_id:uuid}/quote")
async def quote_balance(
    call: Call, db: Database, deposit_id: UUID, data: CheckoutForm
) -> Answer[dict[str, Any]]:
    """The sums for what is filled in so far."""
    return Answer(await _page(call, db, deposit_id, data), page=PAGE, part=SUM)


@post("/days/balance/{deposit_id:uuid}", limits=(("checkout", Limit(30, 10)),))
async def pay_balance(
    call: Call, db: Database, deposit_id: UUID, data: CheckoutForm
) -> Answer[dict[str, Any]] | See[orders.Bought]:
    """Order the kept piece; the deposit counts towards it."""
    person_id = call.caller.person()
    async with db.reading() as tx:
        deposit = await bigdays.deposit(tx, deposit_id, person_id)
    market = (await frame_of(db)).markets[deposit.market]
    wrong = faults(call, data, market)
    if wrong:
        told = call.say("Something is missing. Please look at the marked fields.")
        more = await _page(call, db, deposit_id, data)
        return Answer({**more, "errors": wrong, "error": told}, page=PAGE, status=422)
    key = data.key or secrets.token_urlsafe(12)
    tender = data.tender()
    device, cookies = device_of(call)
    wish = orders.Wish(
        market=deposit.market,
        quote=data.quote,
        key=key,
        delivery=data.delivery or None,
        address_id=data.stored_address(),
        ship_to=None if data.stored_address() else data.ship_to(),
        email=data.email.strip(),
        tenders=(tender,) if tender else (),
        method_id=data.stored_method(),
        return_url=f"/checkout/placed?key={key}",
        items=(orders.Item(deposit.offer_id, 1),),
        claims=(orders.Claim(bigdays.PRESALE, deposit_id),),
        device=device,
    )
    try:
        bought = await orders.order_cart(db, call.caller, person_id, wish)
    except Refusal as refusal:
        if refusal.status >= 500 or not call.wants_page:
            raise
        more = await _page(call, db, deposit_id, data, fresh=True)
        sentence = refusal.sentence(call.language)
        stale = isinstance(refusal, orders.StaleQuote)
        return Answer(
            {
                **more,
                "quote_changes": [sentence] if stale else [],
                "error": None if stale else sentence,
            },
            page=PAGE,
            status=refusal.status,
        )
    return See(bought.action_url or f"/checkout/placed?key={key}", bought, cookies=cookies)


async def _page(
    call: Call, db: Database, deposit_id: UUID, form: CheckoutForm, *, fresh: bool = False
) -> dict[str, Any]:
    frame = await frame_of(db)
    person_id = call.caller.person()
    async with db.reading() as tx:
        deposit = await bigdays.deposit(tx, deposit_id, person_id)
        market = frame.markets[deposit.market]
        every = await identity.addresses_of(tx, person_id)
        addresses = [a for a in every if a.country in market.countries]
        kept = await payments.methods_of(tx, person_id)
        chosen = address_of(form, addresses, first=fresh and not form.name)
        country = chosen.country if chosen else form.country or market.countries[0]
        region = chosen.region if chosen else form.region
        form = msgspec.structs.replace(form, country=country)
        goods = (await deal_goods(tx, [deposit.offer_id], deposit.currency)).get(deposit.offer_id)
        if goods is None:
            raise NotFound(what="pre-sale")
        quotes, refusal = await _quotes(tx, frame, market, deposit, country, region)
    way = form.delivery if form.delivery in quotes else next(iter(quotes), "")
    url, alt, shape = first_picture(goods.media, call.language, "")
    line = {
        "id": goods.offer_id,
        "path": f"/p/{goods.slug}",
        "title": said(goods.title, call.language),
        "image_url": url,
        "image_alt": alt,
        "shape": shape or "object",
        "quantity": 1,
        "buyable": 1,
        "price_minor": goods.price_minor,
        "total_minor": goods.price_minor,
    }
    return {
        "cart": {"lines": [line], **sums(call, quotes.get(way), market.currency)},
        "deposit": deposit,
        "checkout_path": f"/days/balance/{deposit_id}",
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
        "title": call.say("Pay the balance"),
        "robots": "noindex",
    }


async def _quotes(
    tx: Tx,
    frame: Frame,
    market: pricing.Market,
    deposit: bigdays.Deposit,
    country: str,
    region: str,
) -> tuple[dict[str, orders.Quote], Refusal | None]:
    drafts = [
        orders.Draft(
            id=tx.new_id(),
            items=[orders.Item(deposit.offer_id, 1)],
            market=market.code,
            country=country,
            region=region,
            person_id=deposit.person_id,
            delivery=option.code,
            claims=[orders.Claim(bigdays.PRESALE, deposit.id)],
        )
        for option in frame.deliveries.get(market.code, [])
    ]
    answers = await tx.db.given[orders.Buying].checkout.quote(tx, drafts)
    found = {a.delivery: a for a in answers if isinstance(a, orders.Quote)}
    refusal = next((a for a in answers if isinstance(a, Refusal)), None)
    return found, None if found else refusal
