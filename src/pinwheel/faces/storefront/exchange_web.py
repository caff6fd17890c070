"""Another piece instead of the money, the label of the way back, and waiting no longer."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any
from uuid import UUID

import msgspec

from pinwheel.faces.storefront import queries
from pinwheel.faces.storefront.checkout import CheckoutForm, payment_choices
from pinwheel.faces.storefront.frame import frame_of
from pinwheel.faces.storefront.order_view import lines_of
from pinwheel.faces.storefront.orders_web import owner_of
from pinwheel.faces.storefront.sending_view import way_choice
from pinwheel.faces.storefront.showing import options_text
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import NotFound, Refusal
from pinwheel.kernel.rate import Limit
from pinwheel.kernel.web import Answer, Call, File, See, get, post
from pinwheel.kernel.words import said
from pinwheel.trade import orders, payments, returns
from pinwheel.trade.returns import NewExchange, Slot

PAGE = "storefront/exchange.html"
REASONS = (
    ("unwanted", "It does not fit, or I want another one"),
    ("damaged", "It is damaged"),
    ("wrong", "It is not what I ordered"),
)
Short = Annotated[str, msgspec.Meta(max_length=100)]


class ExchangeForm(msgspec.Struct):
    """``want``: line, offer and the difference that was shown, with colons between."""

    want: Short = ""
    quantity: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1
    reason: Short = "unwanted"
    way: Short = ""
    slot: Short = ""
    payment: Short = ""


@get("/account/orders/{number:str}/exchange")
async def exchange_page(call: Call, db: Database, number: str) -> Answer[dict[str, Any]]:
    """What of an order may be exchanged, for what, at which difference."""
    async with db.reading() as tx:
        return Answer(await _page(call, tx, number, ExchangeForm()), page=PAGE)


async def _page(
    call: Call, tx: Tx, number: str, form: ExchangeForm, error: str | None = None
) -> dict[str, Any]:
    frame = await frame_of(call.db)
    person_id = owner_of(call)
    sight = await orders.order(tx, number=number, person_id=person_id)
    order = sight.order
    left = {r.line: r for r in await returns.returnable(tx, order.id, person_id=person_id)}
    seen = await queries.pictures(tx, [line.variant_id for line in sight.lines])
    rows = []
    for line in sight.lines:
        if line.line not in left:
            continue
        (shown,) = lines_of(call, frame, [line], seen)
        found = await returns.choices(tx, order.id, line.line, person_id=person_id)
        shown["units"] = left[line.line].quantity
        shown["choices"] = [
            {
                "value": f"{line.line}:{c.offer_id}:{c.difference_minor}",
                "label": options_text(frame, c.options, call.language)
                or said(c.title, call.language),
                "difference_minor": c.difference_minor,
                "is_same": c.variant_id == line.variant_id,
                "left": c.left,
            }
            for c in found
        ]
        rows.append(shown)
    policy = await returns.policy_of(tx, order, [li for li in sight.lines if li.line in left])
    ways = await returns.way_prices(tx, order.market, order.country, policy, fault=False)
    kept = await payments.methods_of(tx, person_id) if call.caller.is_known else []
    has_sandbox = "sandbox" in payments.providers_of(call.db)
    return {
        "order": {"number": number, "path": f"/account/orders/{number}"},
        "lines": rows,
        "currency": order.currency,
        "reasons": [(value, call.say(label)) for value, label in REASONS],
        "ways": [way_choice(call, w) for w in ways],
        "payments": payment_choices(call, CheckoutForm(payment=form.payment), kept, has_sandbox),
        "form": msgspec.structs.asdict(form),
        "errors": {},
        "error": error,
        "here": "orders",
        "title": call.say("Exchange"),
        "robots": "noindex",
    }


@post(
    "/account/orders/{number:str}/exchange",
    again="/account/orders/{number:str}/exchange",
    limits=(("exchange", Limit(20, 60)),),
)
async def ask(
    call: Call, db: Database, number: str, data: ExchangeForm
) -> Answer[dict[str, Any]] | See[None]:
    """Hold the other one, pay the difference, open the return."""
    person_id = owner_of(call)
    back = f"/account/orders/{number}"
    try:
        async with db.reading() as tx:
            order = (await orders.order(tx, number=number, person_id=person_id)).order
            wish = await _wish(tx, order, data, person_id, back)
        asked = await returns.exchange(db, wish, actor=call.caller.actor)
    except NotFound:
        raise
    except Refusal as refusal:
        if refusal.status >= 500 or not call.wants_page:
            raise
        async with db.reading() as tx:
            more = await _page(call, tx, number, data, refusal.sentence(call.language))
        return Answer(more, page=PAGE, status=refusal.status)
    action = asked.payment.action_url if asked.payment else ""
    return See(action or back)


async def _wish(
    tx: Tx, order: orders.Order, form: ExchangeForm, person_id: UUID, back: str
) -> NewExchange:
    parts = form.want.split(":")
    try:
        line, offer_id, seen = int(parts[0]), UUID(parts[1]), int(parts[2])
    except (ValueError, IndexError) as error:
        raise NothingWanted() from error
    for choice in await returns.choices(tx, order.id, line, person_id=person_id):
        if choice.offer_id == offer_id and choice.difference_minor != seen:
            now = choice.difference_minor
            raise returns.DifferenceChanged(now=now, seen=seen, currency=order.currency)
    reason: Any = form.reason if form.reason in dict(REASONS) else "unwanted"
    kind, _, token = form.payment.partition(":")
    if kind == "method":
        method = await payments.method_of(tx, person_id, UUID(token))
        kind, token = method.provider, method.token
    return NewExchange(
        order_id=order.id,
        line=line,
        quantity=form.quantity,
        offer_id=offer_id,
        reason=reason,
        person_id=person_id,
        provider=kind,
        method=token,
        return_url=back,
        way=way_in(form.way),
        slot=slot_in(form.slot),
    )


class NothingWanted(Refusal):
    status = 422
    en = "Choose what you want instead."
    zh = "请选择要换成的商品。"


def way_in(text: str) -> Any:
    """The way that a form names; None when it names none."""
    return text if text in ("own", "label", "dropoff", "pickup") else None


def slot_in(text: str) -> Slot | None:
    """``2026-01-06:9`` as a slot; what can't be read is none."""
    day, _, hour = text.partition(":")
    try:
        return Slot(dt.date.fromisoformat(day), int(hour))
    except ValueError:
        return None


@post("/account/orders/{number:str}/stop-waiting", again="/account/orders/{number:str}")
async def stop_waiting(call: Call, db: Database, number: str) -> See[None]:
    """Cancel what is not here yet; the money goes back."""
    person_id = owner_of(call)
    async with db.transaction(actor=call.caller.actor, request_id=call.request_id) as tx:
        order = (await orders.order(tx, number=number, person_id=person_id)).order
        await orders.cancel_backorders(tx, order.id, person_id=person_id)
    return See(f"/account/orders/{number}")


@get("/account/returns/{number:str}/label")
async def label_page(call: Call, tx: Tx, number: str) -> Answer[dict[str, Any]]:
    """The label to print, or the code to show at the counter."""
    person_id = owner_of(call)
    return_id = await returns.return_by_code(tx, number)
    ret = (await returns.see(tx, return_id, person_id=person_id)).ret
    way = (await returns.ways_of(tx, [return_id])).get(return_id)
    order_number = (await orders.numbers_of(tx, [ret.order_id]))[ret.order_id]
    return Answer(
        {
            "number": ret.number,
            "is_open": ret.state == "approved",
            "kind": way.kind if way else "own",
            "is_ready": way is not None and way.state == "ready",
            "is_handed": way is not None and way.state == "handed",
            "tracking": way.tracking if way else "",
            "is_demonstration": way is not None and way.carrier == "sandbox",
            "qr": returns.code_picture(ret.number),
            "order": {"number": order_number, "path": f"/account/orders/{order_number}"},
            "here": "orders",
            "title": call.say("Return %(number)s") % {"number": ret.number},
            "robots": "noindex",
        },
        page="storefront/return_label.html",
    )


@get("/account/returns/{number:str}/label.svg")
async def label_picture(call: Call, tx: Tx, number: str) -> File:
    """The label itself."""
    return_id = await returns.return_by_code(tx, number)
    drawn = await returns.draw_label(tx, return_id, owner_of(call), call.say)
    return File(drawn.encode(), "image/svg+xml")
