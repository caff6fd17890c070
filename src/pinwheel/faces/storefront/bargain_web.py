"""Bargains: the page that its owner and their friends see, helping, and buying at its price."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
import segno

from pinwheel.faces.storefront import team_queries
from pinwheel.faces.storefront.basket_web import sums
from pinwheel.faces.storefront.card_web import og_image
from pinwheel.faces.storefront.checkout import CheckoutForm, faults
from pinwheel.faces.storefront.device import device_of
from pinwheel.faces.storefront.frame import frame_of, market_of
from pinwheel.faces.storefront.goods_web import origin_of
from pinwheel.faces.storefront.ordering import (
    buyer_of,
    claim_drafts,
    form_fields,
    missing,
    ordered,
    quotes_of,
    way_of,
    wish_of,
)
from pinwheel.faces.storefront.orders_web import owner_of
from pinwheel.faces.storefront.team_view import initials_of, thing_of, time_left
from pinwheel.ground import identity
from pinwheel.growth import social
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import NotFound, Refusal
from pinwheel.kernel.web import Answer, Call, Limit, See, get, post
from pinwheel.kernel.words import said
from pinwheel.trade import orders

PAGE, CHECKOUT = "storefront/bargain.html", "storefront/bargain_checkout.html"
SUM = "storefront/_checkout_sum.html"
Token = Annotated[str, msgspec.Meta(max_length=64)]


@get("/bargains")
async def bargains_page(call: Call, db: Database) -> Answer[dict[str, Any]]:
    """What may be bargained for here, and one's own bargains."""
    frame = await frame_of(db)
    market = market_of(call, frame)
    async with db.reading() as tx:
        running = await social.running_bargain_campaigns(tx, market.code)
        seen = await team_queries.things(tx, [c.offer_id for c in running], market.currency)
        person = call.caller.person_id
        mine = (await social.bargains(tx, person_id=person, limit=20)).items if person else []
    return Answer(
        {
            "offers": [
                {
                    "id": c.id,
                    "name": said(c.name, call.language),
                    "thing": thing_of(call, frame, seen[c.offer_id]),
                    "list_minor": c.list_minor,
                    "floor_minor": c.floor_minor,
                    "helps": c.helps,
                    "hours": round(c.window_seconds / 3600),
                    "currency": c.currency,
                    "stock": c.stock,
                }
                for c in running
                if c.offer_id in seen
            ],
            "mine": [
                {
                    "path": f"/bargain/{b.token}",
                    "name": said(b.name, call.language),
                    "state": b.state,
                    "price_minor": b.list_minor - b.cut_minor,
                    "currency": b.currency,
                }
                for b in mine
            ],
            "title": call.say("Bargains"),
        },
        page="storefront/bargains.html",
    )


class StartForm(msgspec.Struct):
    campaign: UUID
    initials: Annotated[str, msgspec.Meta(max_length=40)] = ""


@post("/bargains", again="/bargains", limits=(("bargain-start", Limit(10, 10)),))
async def start(call: Call, tx: Tx, data: StartForm) -> See[Any]:
    """One's own bargain; its plan of cuts is drawn and committed now."""
    device, cookies = device_of(call)
    person_id = await identity.guest_of(tx, call.caller, call.token)
    shown = initials_of(data.initials) if data.initials.strip() else None
    begun = await social.start_bargain(tx, data.campaign, person_id, device=device, initials=shown)
    return See(f"/bargain/{begun.token}", begun, cookies=cookies)


@get("/bargain/{token:str}")
async def bargain_page(call: Call, db: Database, token: str) -> Answer[dict[str, Any]]:
    """The price to the cent, who helped, buying now, and the plan that anybody can verify."""
    return Answer(await _sight(call, db, token), page=PAGE)


async def _sight(call: Call, db: Database, token: str) -> dict[str, Any]:
    frame = await frame_of(db)
    async with db.reading() as tx:
        sight = await social.bargain_seen(tx, token[:64], person_id=call.caller.person_id)
        seen = await team_queries.things(tx, [sight.offer_id], sight.currency)
    if sight.offer_id not in seen:
        raise NotFound(what="bargain")
    link = f"{origin_of(call)}/{call.language}/bargain/{sight.token}"
    return {
        "bargain": sight,
        "name": said(sight.name, call.language),
        "thing": thing_of(call, frame, seen[sight.offer_id]),
        "is_open": sight.state in ("running", "reached") and db.clock.now() < sight.ends_at,
        "left": time_left(call, sight.ends_at),
        "link": link,
        "qr": segno.make(link, error="m").svg_data_uri(scale=4, border=2),
        "plan": f"{sight.id}|{sight.nonce}|{','.join(map(str, sight.cuts))}" if sight.cuts else "",
        "title": call.say("Bargain: %(name)s") % {"name": said(sight.name, call.language)},
        "og": {
            "title": call.say("Bargain: %(name)s") % {"name": said(sight.name, call.language)},
            "description": call.say("Help cut the price"),
            "url": link,
            "image": og_image(call, "bargain", sight.token),
        },
        "robots": "noindex",
    }


class HelpForm(msgspec.Struct):
    initials: Annotated[str, msgspec.Meta(max_length=40)] = ""


@post(
    "/bargain/{token:str}/help",
    again="/bargain/{token:str}",
    limits=(("bargain-help", Limit(20, 10)),),
)
async def give_help(
    call: Call, db: Database, token: str, data: HelpForm
) -> Answer[dict[str, Any]] | See[Any]:
    """One help of this visitor; a refusal stands on the page with what to do."""
    device, cookies = device_of(call)

    async def verb(tx: Tx) -> social.Helped | Refusal:
        sight = await social.bargain_seen(tx, token[:64])
        person_id = await identity.guest_of(tx, call.caller, call.token)
        shown = initials_of(data.initials) if data.initials.strip() else None
        wish = social.Help(
            bargain_id=sight.id,
            person_id=person_id,
            device=device,
            network=call.address,
            initials=shown,
        )
        [answer] = await social.help_bargains(tx, [wish])
        return answer

    answer = await db.attempt(verb, actor=call.caller.actor, request_id=call.request_id)
    if isinstance(answer, Refusal):
        if not call.wants_page:
            raise answer
        more = await _sight(call, db, token)
        told = answer.sentence(call.language)
        return Answer({**more, "error": told}, page=PAGE, status=answer.status)
    return See(f"/bargain/{token[:64]}", answer, cookies=cookies)


@get("/bargain/{token:str}/buy")
async def see_checkout(call: Call, db: Database, token: str) -> Answer[dict[str, Any]]:
    """Address, delivery and payment for the one piece at the price of now."""
    return Answer(await _checkout(call, db, token, CheckoutForm(), fresh=True), page=CHECKOUT)


@post("/bargain/{token:str}/buy/quote")
async def quote_again(
    call: Call, db: Database, token: str, data: CheckoutForm
) -> Answer[dict[str, Any]]:
    """The sums for what is filled in so far."""
    return Answer(await _checkout(call, db, token, data), page=CHECKOUT, part=SUM)


@post(
    "/bargain/{token:str}/buy",
    again="/bargain/{token:str}/buy",
    limits=(("checkout", Limit(30, 10)),),
)
async def buy(
    call: Call, db: Database, token: str, data: CheckoutForm
) -> Answer[dict[str, Any]] | See[orders.Bought]:
    """Order it at the figures that were shown."""
    person_id = owner_of(call)
    market = market_of(call, await frame_of(db))
    wrong = faults(call, data, market)
    if wrong:
        more = await _checkout(call, db, token, data) | missing(call, wrong)
        return Answer(more, page=CHECKOUT, status=422)
    async with db.reading() as tx:
        sight = await social.bargain_seen(tx, token[:64], person_id=person_id)
    device, cookies = device_of(call)
    item, claim = _at_its_price(sight)
    wish = wish_of(data, market.code, device, item=item, claim=claim)
    return await ordered(
        call,
        db,
        person_id,
        wish,
        page=CHECKOUT,
        cookies=cookies,
        again=lambda: _checkout(call, db, token, data, fresh=True),
    )


def _at_its_price(sight: social.BargainSight) -> tuple[orders.Item, orders.Claim]:
    return orders.Item(sight.offer_id, 1), orders.Claim("bargain", sight.id)


async def _checkout(
    call: Call, db: Database, token: str, form: CheckoutForm, *, fresh: bool = False
) -> dict[str, Any]:
    frame = await frame_of(db)
    market = market_of(call, frame)
    person_id = owner_of(call)
    device, _ = device_of(call)
    async with db.reading() as tx:
        sight = await social.bargain_seen(tx, token[:64], person_id=person_id)
        seen = await team_queries.things(tx, [sight.offer_id], sight.currency)
        buyer = await buyer_of(tx, call, form, market, fresh=fresh)
        item, claim = _at_its_price(sight)
        drafts = claim_drafts(
            tx,
            buyer,
            frame,
            market,
            item=item,
            claim=claim,
            person_id=person_id,
            device=device,
        )
        quotes, refusal = await quotes_of(tx, drafts)
    line = thing_of(call, frame, seen[sight.offer_id]) | {
        "id": sight.offer_id,
        "quantity": 1,
        "buyable": 1,
        "price_minor": sight.list_minor,
        "total_minor": sight.list_minor,
    }
    quote = quotes.get(way_of(buyer.form, quotes))
    cart = {"lines": [line], "orderable": quote is not None}
    return {
        "cart": cart | sums(call, quote, market.currency),
        "bargain": sight,
        "checkout_path": f"/bargain/{sight.token}/buy",
        **form_fields(call, db, frame, market, buyer, quotes, fresh=fresh),
        "error": refusal.sentence(call.language) if refusal else None,
        "title": call.say("Checkout"),
    }
