"""The balance of a deposit: the checkout's page for the piece that is kept."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pinwheel.faces.storefront.basket_web import sums
from pinwheel.faces.storefront.checkout import CheckoutForm, faults
from pinwheel.faces.storefront.deal_goods import deal_goods
from pinwheel.faces.storefront.device import device_of
from pinwheel.faces.storefront.frame import frame_of
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
from pinwheel.faces.storefront.showing import first_picture
from pinwheel.growth import bigdays
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import NotFound
from pinwheel.kernel.web import Answer, Call, Limit, See, get, post
from pinwheel.kernel.words import said
from pinwheel.trade import orders

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


@post(
    "/days/balance/{deposit_id:uuid}",
    again="/days/balance/{deposit_id:uuid}",
    limits=(("checkout", Limit(30, 10)),),
)
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
        more = await _page(call, db, deposit_id, data) | missing(call, wrong)
        return Answer(more, page=PAGE, status=422)
    device, cookies = device_of(call)
    item, claim = _kept(deposit)
    wish = wish_of(data, deposit.market, device, item=item, claim=claim)
    return await ordered(
        call,
        db,
        person_id,
        wish,
        page=PAGE,
        cookies=cookies,
        again=lambda: _page(call, db, deposit_id, data, fresh=True),
    )


def _kept(deposit: bigdays.Deposit) -> tuple[orders.Item, orders.Claim]:
    """The piece that is kept, and the right to it."""
    return orders.Item(deposit.offer_id, 1), orders.Claim(bigdays.PRESALE, deposit.id)


async def _page(
    call: Call, db: Database, deposit_id: UUID, form: CheckoutForm, *, fresh: bool = False
) -> dict[str, Any]:
    frame = await frame_of(db)
    person_id = call.caller.person()
    device, _ = device_of(call)
    async with db.reading() as tx:
        deposit = await bigdays.deposit(tx, deposit_id, person_id)
        market = frame.markets[deposit.market]
        buyer = await buyer_of(tx, call, form, market, fresh=fresh)
        goods = (await deal_goods(tx, [deposit.offer_id], deposit.currency)).get(deposit.offer_id)
        if goods is None:
            raise NotFound(what="pre-sale")
        item, claim = _kept(deposit)
        drafts = claim_drafts(
            tx,
            buyer,
            frame,
            market,
            item=item,
            claim=claim,
            person_id=deposit.person_id,
            device=device,
        )
        quotes, refusal = await quotes_of(tx, drafts)
    way = way_of(buyer.form, quotes)
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
        **form_fields(call, db, frame, market, buyer, quotes, fresh=fresh),
        "error": refusal.sentence(call.language) if refusal else None,
        "title": call.say("Pay the balance"),
    }
