"""The checkout of a piece to be tried: nothing is charged until it is kept."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import msgspec

from pinwheel.faces.storefront import queries
from pinwheel.faces.storefront.basket_web import sums
from pinwheel.faces.storefront.checkout import CheckoutForm, faults
from pinwheel.faces.storefront.device import device_of
from pinwheel.faces.storefront.frame import frame_of, market_of
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
from pinwheel.faces.storefront.showing import line_of
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import NotFound
from pinwheel.kernel.rate import Limit
from pinwheel.kernel.web import Answer, Call, See, get, post
from pinwheel.kernel.words import said
from pinwheel.trade import orders, pricing, returns

PAGE, SUM = "storefront/try_checkout.html", "storefront/_checkout_sum.html"
CLAIM = orders.Claim(returns.TRIAL, UUID(int=0))


class _Offer(msgspec.Struct, frozen=True):
    offer_id: UUID
    variant_id: UUID
    title: dict[str, str]


async def _offer(tx: Tx, offer_id: UUID) -> _Offer:
    return await tx.the(
        "offer",
        _Offer,
        """
        select o.offer_id, o.variant_id, v.title from marketplace.v_offer o
          join catalogue.v_variant v on v.variant_id = o.variant_id and v.buyable
         where o.offer_id = $1 and o.active
        """,
        offer_id,
    )


@get("/try/{offer_id:uuid}")
async def try_page(call: Call, db: Database, offer_id: UUID) -> Answer[dict[str, Any]] | See[None]:
    """Address, delivery and payment of a piece to try. Needs an account."""
    if not call.caller.is_known:
        return See(f"/sign-in?next=/try/{offer_id}")
    return Answer(await _page(call, db, offer_id, CheckoutForm(), fresh=True), page=PAGE)


@post("/try/{offer_id:uuid}", again="/try/{offer_id:uuid}", limits=(("try", Limit(20, 30)),))
async def order_trial(
    call: Call, db: Database, offer_id: UUID, data: CheckoutForm
) -> Answer[dict[str, Any]] | See[orders.Bought] | See[None]:
    """Order one piece to try."""
    person_id = call.caller.person_id
    if not call.caller.is_known or person_id is None:
        return See(f"/sign-in?next=/try/{offer_id}")
    market = market_of(call, await frame_of(db))
    device, cookies = device_of(call)
    wrong = faults(call, data, market)
    if wrong:
        more = await _page(call, db, offer_id, data) | missing(call, wrong)
        return Answer(more, page=PAGE, status=422)
    wish = wish_of(data, market.code, device, item=orders.Item(offer_id, 1), claim=CLAIM)
    return await ordered(
        call,
        db,
        person_id,
        wish,
        page=PAGE,
        cookies=cookies,
        again=lambda: _page(call, db, offer_id, data, fresh=True),
    )


async def _page(
    call: Call, db: Database, offer_id: UUID, form: CheckoutForm, *, fresh: bool = False
) -> dict[str, Any]:
    frame = await frame_of(db)
    market = market_of(call, frame)
    device, _ = device_of(call)
    async with db.reading() as tx:
        buyer = await buyer_of(tx, call, form, market, fresh=fresh)
        offer = await _offer(tx, offer_id)
        seen = await queries.pictures(tx, [offer.variant_id])
        prices = await pricing.prices(tx, [offer_id], market.currency)
        drafts = claim_drafts(
            tx,
            buyer,
            frame,
            market,
            item=orders.Item(offer_id, 1),
            claim=CLAIM,
            person_id=call.caller.person_id,
            device=device,
        )
        quotes, refusal = await quotes_of(tx, drafts)
        rules = [r for r in await returns.trial_rules(tx) if r.market == market.code]
    if offer_id not in prices:
        raise NotFound(what="offer")
    price = prices[offer_id].price_minor
    shown = line_of(frame, seen.get(offer.variant_id), offer.title, call.language)
    line = {**shown, "buyable": 1, "quantity": 1, "price_minor": price, "total_minor": price}
    way = way_of(buyer.form, quotes)
    return {
        "cart": {"lines": [line], **sums(call, quotes.get(way), market.currency)},
        "days": min((r.days for r in rules if r.is_open), default=0),
        "name": said(offer.title, call.language),
        "checkout_path": f"/try/{offer_id}",
        **form_fields(call, db, frame, market, buyer, quotes, fresh=fresh),
        "error": refusal.sentence(call.language) if refusal else None,
        "title": call.say("Try before you buy"),
    }
