"""A buyer's orders: the list, one with all that happened to it, and its end."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pinwheel.faces.storefront import queries
from pinwheel.faces.storefront.frame import frame_of
from pinwheel.faces.storefront.order_view import (
    address_lines,
    can_return,
    card_of,
    lines_of,
    next_steps,
    parcel_sentence,
    payment_label,
    return_of,
    state_of,
    sums_of,
)
from pinwheel.faces.storefront.sending_part import sending_part
from pinwheel.faces.storefront.tender_web import cash_shown
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import NotFound, Refusal, Unauthenticated
from pinwheel.kernel.web import Answer, Call, See, get, post
from pinwheel.trade import orders, payments, returns

PAGE = "storefront/order.html"
A_PAGE = 10


def owner_of(call: Call) -> UUID:
    """The buyer, or the guest who ordered in this very browser."""
    if call.caller.person_id is None:
        raise Unauthenticated()
    return call.caller.person_id


@get("/account/orders")
async def order_list(call: Call, tx: Tx, after: str | None = None) -> Answer[dict[str, Any]]:
    """The latest orders first."""
    cards, following = await latest_orders(call, tx, owner_of(call), after)
    href = call.local(f"/account/orders?after={following}") if following else None
    return Answer(
        {
            "orders": cards,
            "next": href,
            "here": "orders",
            "title": call.say("Your orders"),
            "robots": "noindex",
        },
        page="storefront/orders.html",
    )


async def latest_orders(
    call: Call, tx: Tx, person_id: UUID, after: str | None = None, limit: int = A_PAGE
) -> tuple[list[dict[str, Any]], str | None]:
    """Cards of a person's orders and the cursor of the next ones. 3 statements."""
    frame = await frame_of(call.db)
    found = await orders.orders(tx, person_id=person_id, cursor=after, limit=limit)
    lines = await orders.lines_of(tx, [o.id for o in found.items])
    seen = await queries.pictures(tx, [line.variant_id for line in lines])
    cards = [
        card_of(
            call,
            frame,
            o,
            lines_of(call, frame, [line for line in lines if line.order_id == o.id], seen),
        )
        for o in found.items
    ]
    return cards, found.next


@get("/account/orders/{number:str}")
async def one_order(call: Call, tx: Tx, number: str) -> Answer[dict[str, Any]]:
    """One order with where it is, what it cost and what one can do now."""
    return Answer(await order_page(call, tx, number), page=PAGE)


async def order_page(call: Call, tx: Tx, number: str, error: str | None = None) -> dict[str, Any]:
    frame = await frame_of(call.db)
    sight = await orders.order(tx, number=number, person_id=owner_of(call))
    order = sight.order
    seen = await queries.pictures(tx, [line.variant_id for line in sight.lines])
    asked = await payments.payments_of(tx, [order.id])
    cash = await cash_shown(call, tx, order)
    back = await returns.returns(tx, person_id=order.person_id, order_id=order.id)
    lines = lines_of(call, frame, sight.lines, seen)
    label, tone = state_of(call, order)
    action = next((p.action_url for p in asked if p.action_url and p.state == "needs_action"), None)
    open_now = order.state == "pending_payment"
    untouched = order.state == "placed" and not any(line.shipped for line in sight.lines)
    refunds = [{"amount_minor": order.refunded_minor}] if order.refunded_minor else []
    return {
        "order": {
            "number": order.number,
            "path": f"/account/orders/{order.number}",
            "at": order.placed_at,
            "state_label": label,
            "state_tone": tone,
            "address": address_lines(call, order),
            "payment_label": payment_label(call, asked),
            "can_cancel": open_now or untouched,
            "can_return": can_return(order, sight.lines, tx.now),
            "pay_href": call.local(action) if action and open_now else None,
            "arrival": parcel_sentence(call, frame, order)
            if order.state in ("placed", "shipped")
            else None,
            "can_review": order.state == "delivered" and call.caller.is_known,
        },
        "cash": cash,
        "cart": sums_of(call, order, lines),
        "timeline_items": next_steps(call, sight),
        "parcels": [{"label": s.carrier, "tracking": s.tracking} for s in sight.shipments],
        "refunds": refunds,
        **await sending_part(call, tx, sight, back.items),
        "returns": [return_of(call, one) for one in back.items],
        "error": error,
        "here": "orders",
        "title": call.say("Order %(number)s") % {"number": order.number},
        "robots": "noindex",
    }


@get("/account/orders/{number:str}/cancel")
async def cancel_page(call: Call, tx: Tx, number: str) -> Answer[dict[str, Any]]:
    """Asks once more."""
    found = await orders.order(tx, number=number, person_id=owner_of(call))
    path = f"/account/orders/{found.order.number}"
    return Answer(
        {
            "order": {"number": found.order.number, "path": path},
            "title": call.say("Cancel the order?"),
        },
        page="storefront/cancel.html",
    )


@post("/account/orders/{number:str}/cancel", again="/account/orders/{number:str}")
async def cancel(call: Call, db: Database, number: str) -> Answer[dict[str, Any]] | See[None]:
    """Cancel what has not left: stock and money go back."""
    person_id = owner_of(call)
    try:
        async with db.transaction(actor=call.caller.actor, request_id=call.request_id) as tx:
            sight = await orders.order(tx, number=number, person_id=person_id)
            await orders.cancel(
                tx, sight.order.id, reason="the buyer cancelled it", person_id=person_id
            )
    except NotFound:
        raise
    except Refusal as refusal:
        async with db.reading() as tx:
            more = await order_page(call, tx, number, refusal.sentence(call.language))
        return Answer(more, page=PAGE, status=refusal.status)
    return See(f"/account/orders/{number}")
