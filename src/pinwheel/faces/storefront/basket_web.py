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
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.web import Answer, Call, Limit, See, get, post
from pinwheel.kernel.words import said
from pinwheel.trade import orders, promotions

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
    person_id = call.caller.person_id
    async with db.reading() as tx:
        sight = await orders.cart(
            tx,
            db.given[orders.Buying].checkout,
            person_id,
            market=market.code,
            country=market.countries[0] if market.countries else "",
        )
        seen = await queries.pictures(tx, [i.variant_id for i in sight.lines if i.variant_id])
        wallet = await promotions.wallet(tx, person_id) if person_id and sight.lines else []
    return {
        "cart": shown_cart(call, frame, sight, seen, market.currency),
        "coupons": shown_coupons(call, sight, wallet),
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
        lines.append(
            {
                **line_of(frame, picture, line.title, call.language),
                **_costs(line, quote),
                "id": line.offer_id,
                "quantity": line.quantity,
                "buyable": line.buyable,
                "max_units": max(line.quantity, 99),
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


def _costs(line: orders.CartLine, quote: orders.Quote | None) -> dict[str, Any]:
    """A piece and the line as the quote has them. What comes off the line is in its total; where
    that is no whole figure a piece, the piece's price is the one before it."""
    plain = line.price_minor if line.price_minor is not None else line.seen_price_minor or 0
    mine = [li for li in quote.lines if li.offer_id == line.offer_id] if quote else []
    pieces = sum(li.quantity for li in mine)
    if not pieces:
        return {"price_minor": plain, "was_minor": None,
                "total_minor": plain * line.buyable, "gross_minor": None}  # fmt: skip
    gross = sum(li.goods_minor for li in mine)
    total = gross - sum(li.discount_minor for li in mine)
    each = mine[0].unit_price_minor if total % pieces else total // pieces
    return {
        "price_minor": each,
        "was_minor": plain if plain > each else None,
        "total_minor": total,
        "gross_minor": gross if gross > total else None,
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
    return {
        "goods_minor": quote.goods_minor,
        "delivery_minor": quote.delivery_minor,
        "reductions": reductions_of(call, quote),
        "near": [h.zh if chinese else h.en for h in quote.hints if h.kind == "near"],
        "total_minor": quote.total_minor,
        "tax_minor": quote.tax_minor,
        "tax_included": quote.tax_included,
        "reasons": [
            {"text": r.zh if chinese else r.en, "amount_minor": r.amount_minor}
            for r in quote.reasons
        ],
        "currency": quote.currency,
    }


def reductions_of(call: Call, quote: orders.Quote) -> list[dict[str, Any]]:
    """What comes off the goods, each by its own name; what comes off the delivery is in its
    price."""
    chinese = call.language == "zh-CN"
    found: list[dict[str, Any]] = []
    for reason in quote.reasons:
        if reason.step == "delivery":
            break
        if reason.amount_minor < 0:
            label = reason.zh if chinese else reason.en
            found.append({"label": label, "amount_minor": -reason.amount_minor})
    if sum(r["amount_minor"] for r in found) != quote.discount_minor:
        return [{"label": call.say("Reductions"), "amount_minor": quote.discount_minor}]
    return found


def shown_coupons(
    call: Call, sight: orders.CartSight, wallet: list[promotions.WalletCoupon]
) -> dict[str, Any]:
    """The coupons that lie with the cart, each with why it does not work, and those of the wallet
    that could."""
    chinese = call.language == "zh-CN"
    names = {str(c.id): said(c.name, call.language) for c in wallet}
    hints = {h.code: h for h in sight.quote.hints if h.kind == "coupon"} if sight.quote else {}
    return {
        "inside": [
            {
                "code": code,
                "label": names.get(code, code.upper()),
                "note": (hints[code].zh if chinese else hints[code].en) if code in hints else "",
            }
            for code in sight.coupons
        ],
        "own": [
            {"code": str(c.id), "label": said(c.name, call.language), "until": c.until}
            for c in wallet
            if c.state == "usable" and str(c.id) not in sight.coupons
        ],
    }


class CouponForm(msgspec.Struct):
    code: Annotated[str, msgspec.Meta(max_length=60)]
    back: Annotated[str, msgspec.Meta(max_length=20)] = "/cart"


@post("/cart/coupons", again="/cart", limits=(("coupon", Limit(30, 10)),))
async def enter_coupon(
    call: Call, db: Database, data: CouponForm
) -> Answer[dict[str, Any]] | See[None]:
    """Use a coupon with this cart; what can't work is said and not kept."""
    code, person_id = data.code.strip(), call.caller.person_id
    try:
        if not code or person_id is None:
            raise promotions.CouponUnknown(code=code)
        await _enter(call, db, person_id, code)
    except Refusal as refusal:
        if not call.wants_page:
            raise
        found = await cart_page(call, db)
        told = {"coupon_error": refusal.sentence(call.language), "coupon_typed": code}
        return Answer({**found, **told}, page=PAGE, status=refusal.status)
    return See("/checkout" if data.back == "/checkout" else "/cart")


async def _enter(call: Call, db: Database, person_id: UUID, code: str) -> None:
    market = market_of(call, await frame_of(db))
    try:
        async with db.transaction(actor=call.caller.actor, request_id=call.request_id) as tx:
            sight = await orders.cart(
                tx,
                db.given[orders.Buying].checkout,
                person_id,
                market=market.code,
                country=market.countries[0] if market.countries else "",
                also_coupons=[code],
            )
            await promotions.enter(tx, person_id, code, sight)
    except promotions.CodeRefused as refusal:
        if refusal.unknown:
            async with db.transaction(actor=call.caller.actor) as tx:
                await promotions.count_guess(tx, call.address or str(person_id))
        raise


@post("/cart/coupons/remove", again="/cart")
async def remove_coupon(call: Call, tx: Tx, data: CouponForm) -> See[None]:
    """Leave a coupon out."""
    if call.caller.person_id is not None:
        kept = await orders.cart_coupons(tx, call.caller.person_id)
        await orders.set_cart_coupons(
            tx, call.caller.person_id, [c for c in kept if c != data.code]
        )
    return See("/checkout" if data.back == "/checkout" else "/cart")


@post("/cart/lines", again="/cart")
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


@post("/cart/lines/{offer_id:uuid}", again="/cart")
async def have(call: Call, tx: Tx, offer_id: UUID, data: HaveUnits) -> See[None]:
    """Have so many of it; none takes it out."""
    person_id = await identity.guest_of(tx, call.caller, call.token)
    await orders.set_cart_quantities(tx, person_id, [orders.Item(offer_id, data.quantity)])
    return See("/cart")


@post("/cart/lines/{offer_id:uuid}/remove", again="/cart")
async def take_out(call: Call, tx: Tx, offer_id: UUID) -> See[None]:
    """Take it out."""
    if call.caller.person_id is not None:
        await orders.remove_from_cart(tx, call.caller.person_id, [offer_id])
    return See("/cart")
