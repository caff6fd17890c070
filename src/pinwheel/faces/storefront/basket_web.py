"""The cart."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec

from pinwheel.faces.storefront import queries
from pinwheel.faces.storefront.frame import Frame, frame_of, market_of
from pinwheel.faces.storefront.showing import line_of
from pinwheel.ground import identity
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.web import Answer, Call, See, get, post
from pinwheel.trade import orders

PAGE = "storefront/cart.html"
Units = Annotated[int, msgspec.Meta(ge=1, le=999)]


class PutIn(msgspec.Struct):
    offer_id: UUID
    quantity: Units = 1


class HaveUnits(msgspec.Struct):
    quantity: Annotated[int, msgspec.Meta(ge=0, le=999)]


@get("/cart")
async def see_cart(call: Call, db: Database) -> Answer[dict[str, Any]]:
    """What is in it, what has changed since, and what it would cost."""
    return Answer(await cart_page(call, db), page=PAGE)


async def cart_page(call: Call, db: Database) -> dict[str, Any]:
    frame = await frame_of(db)
    market = market_of(call, frame)
    async with db.reading() as tx:
        sight = await orders.cart(
            tx,
            db.given[orders.Buying].checkout,
            call.caller.person_id,
            market=market.code,
            country=market.countries[0] if market.countries else "",
        )
        seen = await queries.pictures(tx, [i.variant_id for i in sight.lines if i.variant_id])
    return {
        "cart": shown_cart(call, frame, sight, seen, market.currency),
        "title": call.say("Cart"),
        "robots": "noindex",
        "error": _sentence(call, sight.refusal) if sight.refusal else None,
    }


def _sentence(call: Call, refusal: Any) -> str:
    return str(refusal.zh if call.language == "zh-CN" else refusal.en)


def shown_cart(
    call: Call,
    frame: Frame,
    sight: orders.CartSight,
    seen: dict[UUID, queries.Picture],
    currency: str,
) -> dict[str, Any]:
    """A cart as the pages show it: lines, and the sums of its quote."""
    quote = sight.quote
    lines = []
    for line in sight.lines:
        picture = seen.get(line.variant_id) if line.variant_id else None
        notes = [n.zh if call.language == "zh-CN" else n.en for n in line.notes]
        price = line.price_minor if line.price_minor is not None else line.seen_price_minor
        lines.append(
            {
                **line_of(frame, picture, line.title, call.language),
                "id": line.offer_id,
                "quantity": line.quantity,
                "buyable": line.buyable,
                "max_units": max(line.quantity, 99),
                "price_minor": price or 0,
                "was_minor": None,
                "total_minor": (price or 0) * line.buyable,
                "notes": notes,
                "note": {"text": " ".join(notes), "tone": "warn"} if notes else None,
            }
        )
    return {
        "lines": lines,
        "currency": currency,
        "orderable": quote is not None,
        **sums(call, quote, currency),
    }


def sums(call: Call, quote: orders.Quote | None, currency: str) -> dict[str, Any]:
    """The figures of a quote, with their reasons."""
    if quote is None:
        return {
            "goods_minor": 0,
            "delivery_minor": None,
            "reductions": [],
            "total_minor": 0,
            "tax_minor": 0,
            "tax_included": True,
            "reasons": [],
            "currency": currency,
        }
    chinese = call.language == "zh-CN"
    reductions = []
    if quote.discount_minor:
        reductions.append({"label": call.say("Reductions"), "amount_minor": quote.discount_minor})
    return {
        "goods_minor": quote.goods_minor,
        "delivery_minor": quote.delivery_minor,
        "reductions": reductions,
        "total_minor": quote.total_minor,
        "tax_minor": quote.tax_minor,
        "tax_included": quote.tax_included,
        "reasons": [
            {"text": r.zh if chinese else r.en, "amount_minor": r.amount_minor}
            for r in quote.reasons
        ],
        "currency": quote.currency,
    }


@post("/cart/lines")
async def put_in(call: Call, tx: Tx, data: PutIn) -> Answer[dict[str, Any]] | See[None]:
    """Put an offer into the cart."""
    frame = await frame_of(call.db)
    market = market_of(call, frame)
    person_id = await identity.guest_of(tx, call.caller, call.token)
    await orders.put_in_cart(
        tx, person_id, market.code, [orders.Item(data.offer_id, data.quantity)]
    )
    if call.wants_part:
        units = await orders.pieces_in_cart(tx, person_id)
        return Answer({"units": units}, page="storefront/_added.html")
    return See("/cart")


@post("/cart/lines/{offer_id:uuid}")
async def have(call: Call, tx: Tx, offer_id: UUID, data: HaveUnits) -> See[None]:
    """Have so many of it; none takes it out."""
    person_id = await identity.guest_of(tx, call.caller, call.token)
    await orders.set_cart_quantities(tx, person_id, [orders.Item(offer_id, data.quantity)])
    return See("/cart")


@post("/cart/lines/{offer_id:uuid}/remove")
async def take_out(call: Call, tx: Tx, offer_id: UUID) -> See[None]:
    """Take it out."""
    if call.caller.person_id is not None:
        await orders.remove_from_cart(tx, call.caller.person_id, [offer_id])
    return See("/cart")
