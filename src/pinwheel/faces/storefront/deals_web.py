"""The deals: a price from and until, so many pieces, and who waits."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pinwheel.faces.storefront import price_tags
from pinwheel.faces.storefront.basket_web import reductions_of
from pinwheel.faces.storefront.deal_goods import DealGoods, deal_goods
from pinwheel.faces.storefront.frame import Frame, frame_of, market_of
from pinwheel.faces.storefront.price_tags import Tag
from pinwheel.faces.storefront.showing import first_picture, options_text
from pinwheel.ground import identity
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.web import Answer, Call, See, get, post
from pinwheel.kernel.words import said
from pinwheel.trade import orders, promotions
from pinwheel.trade.promotions import Deal, Goods, Place, Running

PAGE = "storefront/deals.html"
RULES = "storefront/promotion_rules.html"
BOX, BOX_PART = "storefront/price_box.html", "storefront/_price_box.html"


@get("/deals")
async def see_deals(call: Call, tx: Tx) -> Answer[dict[str, Any]]:
    """Deals that run now or begin soon: what is left of each, and until when. Counts are those of
    the ledger: sold and being paid for."""
    frame = await frame_of(call.db)
    market = market_of(call, frame)
    found = [
        d
        for d in await promotions.deals(tx)
        if d.promotion.terms.conditions.currency in ("", market.currency)
    ]
    goods = await deal_goods(tx, [d.offer_id for d in found], market.currency)
    priced = list(goods.values())
    revision = priced[0].revision if priced else 0
    viewer = price_tags.viewer_of(call, market)
    mine = await price_tags.tags(tx, viewer, list(goods), revision, call.language)
    places: dict[UUID, Place] = {}
    if call.caller.person_id is not None and found:
        ids = [d.promotion.id for d in found]
        places = await promotions.places(tx, call.caller.person_id, ids)
    return Answer(
        {
            "deals": [
                _shown(call, tx, frame, d, goods[d.offer_id], places.get(d.promotion.id))
                | _costs(d, goods[d.offer_id], mine.get(d.offer_id), d.promotion.phase(tx.now))
                for d in found
                if d.offer_id in goods
            ],
            "currency": market.currency,
            "title": call.say("Deals"),
            "turn_minutes": promotions.TURN_SECONDS // 60,
        },
        page=PAGE,
    )


def _shown(
    call: Call, tx: Tx, frame: Frame, deal: Deal, goods: DealGoods, place: Place | None
) -> dict[str, Any]:
    colour = goods.options.get("colour", "")
    url, alt, shape = first_picture(goods.media, call.language, colour)
    phase = deal.promotion.phase(tx.now)
    left = deal.left
    turn = place.until if place is not None and place.state == "called" else None
    is_called = turn is not None and turn > tx.now
    return {
        "id": deal.promotion.id,
        "path": f"/p/{goods.slug}",
        "title": said(goods.title, call.language),
        "options": options_text(frame, goods.options, call.language),
        "image_url": url,
        "image_alt": alt,
        "shape": shape or "object",
        "pieces": deal.pieces,
        "sold": deal.sold,
        "left": left,
        "waiting": deal.waiting,
        "per_person": deal.promotion.terms.limits.per_person,
        "phase": phase,
        "starts_at": deal.promotion.starts_at,
        "ends_at": deal.promotion.ends_at,
        "offer_id": goods.offer_id if phase == "running" and left > 0 else None,
        "place": place if place is not None and place.state in ("waiting", "called") else None,
        "called": is_called,
    }


def _costs(deal: Deal, goods: DealGoods, tag: Tag | None, phase: str) -> dict[str, Any]:
    """What this visitor pays in the deal, and what for comparison: where the deal is at work in the
    price they are shown, what is struck through there; else what they would pay today."""
    price = deal_price(deal, goods)
    if tag is not None and phase == "running" and deal.left > 0 and tag.price_minor <= price:
        return {"price_minor": tag.price_minor, "was_minor": tag.was_minor, "is_lowest": True}
    now = tag.price_minor if tag is not None else goods.price_minor
    return {"price_minor": price, "was_minor": now, "is_lowest": False}


def deal_price(deal: Deal, goods: DealGoods) -> int:
    """What one piece costs in the deal: the same arithmetic as in the order."""
    one = Goods(goods.offer_id, 1, goods.price_minor)
    promotions.settle([one], frozenset(), [Running(deal.promotion.id, deal.promotion.terms, (0,))])
    return one.left


@get("/deals/of/{offer_id:uuid}")
async def of_offer(call: Call, tx: Tx, offer_id: UUID) -> Answer[dict[str, Any]]:
    """What one piece of an offer would cost in the cart, and what is nearly reached: the quote of
    it, so that the product's page and the cart can't differ."""
    market = market_of(call, await frame_of(call.db))
    draft = orders.Draft(
        id=tx.new_id(),
        items=[orders.Item(offer_id, 1)],
        market=market.code,
        country=market.countries[0] if market.countries else "",
        person_id=call.caller.person_id or orders.STRANGER,
    )
    [quote] = await tx.db.given[orders.Buying].checkout.quote(tx, [draft])
    if isinstance(quote, Refusal):
        return Answer({"reductions": [], "near": []}, page=BOX, part=BOX_PART)
    chinese = call.language == "zh-CN"
    return Answer(
        {
            "reductions": reductions_of(call, quote) if quote.discount_minor else [],
            "near": [
                h.zh if chinese else h.en
                for h in quote.hints
                if h.kind == "near" and h.source_id is not None
            ],
            "price_minor": quote.goods_minor - quote.discount_minor,
            "currency": quote.currency,
            "title": call.say("Reduced in the cart"),
            "robots": "noindex",
        },
        page=BOX,
        part=BOX_PART,
    )


@post("/deals/{promotion_id:uuid}/wait", again="/deals")
async def wait(call: Call, tx: Tx, promotion_id: UUID) -> See[None]:
    """Wait for a deal that is taken."""
    person_id = await identity.guest_of(tx, call.caller, call.token)
    await promotions.wait(tx, promotion_id, person_id)
    return See("/deals")


@post("/deals/{promotion_id:uuid}/leave", again="/deals")
async def leave(call: Call, tx: Tx, promotion_id: UUID) -> See[None]:
    """Wait no more."""
    if call.caller.person_id is not None:
        await promotions.leave(tx, promotion_id, call.caller.person_id)
    return See("/deals")


@post("/deals/{promotion_id:uuid}/buy", again="/deals")
async def buy(call: Call, tx: Tx, promotion_id: UUID) -> See[None]:
    """Put one piece into the cart: the price holds for whoever's turn it is, or while some are
    left, and is told again at the checkout."""
    deal = await promotions.deal(tx, promotion_id)
    market = market_of(call, await frame_of(call.db))
    person_id = await identity.guest_of(tx, call.caller, call.token)
    await orders.put_in_cart(tx, person_id, market.code, [orders.Item(deal.offer_id, 1)])
    return See("/cart")


@get("/help/promotions")
async def rules(call: Call) -> Answer[dict[str, Any]]:
    """How reductions go together: the published stacking policy."""
    return Answer(
        {
            "policy": [said(words, call.language) for words in promotions.POLICY],
            "title": call.say("How reductions go together"),
        },
        page=RULES,
    )
