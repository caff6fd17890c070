"""An order as its buyer reads it. Pure."""

from __future__ import annotations

import datetime as dt
from typing import Any

import msgspec

from pinwheel.faces.storefront.frame import Frame
from pinwheel.faces.storefront.queries import Picture
from pinwheel.faces.storefront.showing import arrival, line_of
from pinwheel.kernel import words
from pinwheel.kernel.web import Call
from pinwheel.kernel.words import said
from pinwheel.trade import orders, payments
from pinwheel.trade.returns import Return

STATES = {
    "pending_payment": ("Waiting for the payment", "warn"),
    "placed": ("Being prepared", "info"),
    "shipped": ("On its way", "pine"),
    "delivered": ("Delivered", "good"),
    "cancelled": ("Cancelled", "bad"),
}
RETURN_STATES = {
    "requested": ("Is being looked at", "info"),
    "approved": ("Please send it", "warn"),
    "received": ("Has arrived", "info"),
    "refunded": ("Refunded", "good"),
    "rejected": ("Declined", "bad"),
    "cancelled": ("Called off", "info"),
    "expired": ("Not sent in time", "bad"),
}
RETURN_DAYS = 30


def country_name(code: str, language: str) -> str:
    return str(words.LOCALES[language].territories.get(code, code))


def state_of(call: Call, order: orders.Order) -> tuple[str, str]:
    label, tone = STATES.get(order.state, (order.state, "info"))
    if order.state == "placed" and order.waits_for == "team":
        label, tone = "Waiting for its team", "warn"
    return call.say(label), tone


def parcel_sentence(call: Call, frame: Frame, order: orders.Order) -> str:
    """When the parcel should arrive, by the way of delivery that was chosen."""
    for option in frame.deliveries.get(order.market, []):
        if option.code == order.delivery:
            name = said(option.name, call.language)
            return f"{name}: {arrival(order.placed_at, option, call.language)}"
    return ""


def next_steps(call: Call, sight: orders.OrderSight) -> list[dict[str, Any]]:
    """From placed to delivered, with what has happened already."""
    say, order = call.say, sight.order
    if order.state == "cancelled":
        return [
            {"label": say("Placed"), "at": order.placed_at, "state": "done"},
            {
                "label": say("Cancelled"),
                "at": order.cancelled_at,
                "state": "bad",
                "note": _cancelled_why(call, order),
            },
        ]
    sent = min((s.shipped_at for s in sight.shipments), default=None)
    arrived: dt.datetime | None = None
    if order.state == "delivered":
        arrived = max((s.delivered_at for s in sight.shipments if s.delivered_at), default=None)
    paid = order.state != "pending_payment"
    rows: list[tuple[str, dt.datetime | None, bool]] = [
        (say("Placed"), order.placed_at, True),
        (say("Paid"), None, paid),
        (say("Sent"), sent, sent is not None),
        (say("Delivered"), arrived, order.state == "delivered"),
    ]
    first_open = next((n for n, row in enumerate(rows) if not row[2]), len(rows))
    return [
        {
            "label": label,
            "at": at,
            "state": "done" if n < first_open else "now" if n == first_open else "next",
        }
        for n, (label, at, _) in enumerate(rows)
    ]


def _cancelled_why(call: Call, order: orders.Order) -> str:
    if order.cancel_reason == "unpaid":
        return call.say("The payment did not come in; nothing was charged.")
    return call.say("The payment went back to where it came from.")


def card_of(
    call: Call, frame: Frame, order: orders.Order, lines: list[dict[str, Any]]
) -> dict[str, Any]:
    """An order in a list."""
    label, tone = state_of(call, order)
    return {
        "number": order.number,
        "path": f"/account/orders/{order.number}",
        "at": order.placed_at,
        "state_label": label,
        "state_tone": tone,
        "total_minor": order.total_minor,
        "currency": order.currency,
        "lines": lines,
        "next": parcel_sentence(call, frame, order)
        if order.state in ("placed", "shipped")
        else None,
    }


def lines_of(
    call: Call, frame: Frame, lines: list[orders.OrderLine], seen: dict[Any, Picture]
) -> list[dict[str, Any]]:
    """The lines of an order; one that two nodes send is one line to its buyer."""
    found: dict[Any, dict[str, Any]] = {}
    for line in lines:
        one = found.get(line.offer_id)
        if one is None:
            found[line.offer_id] = {
                **line_of(frame, seen.get(line.variant_id), line.title, call.language),
                "id": line.line,
                "quantity": line.quantity,
                "price_minor": line.unit_price_minor,
                "total_minor": line.total_minor,
                "cancelled": line.cancelled,
                "returned": line.returned,
                "variant_id": line.variant_id,
            }
        else:
            one["quantity"] += line.quantity
            one["total_minor"] += line.total_minor
            one["cancelled"] += line.cancelled
            one["returned"] += line.returned
    return list(found.values())


def sums_of(call: Call, order: orders.Order, lines: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures of a placed order: see ``_sum.html``."""
    less = [{"label": call.say("Reductions"), "amount_minor": order.discount_minor}]
    chinese = call.language == "zh-CN"
    return {
        "lines": lines,
        "currency": order.currency,
        "goods_minor": order.goods_minor,
        "delivery_minor": order.delivery_minor,
        "reductions": less if order.discount_minor else [],
        "tax_minor": order.tax_minor,
        "tax_included": order.tax_included,
        "total_minor": order.total_minor,
        "reasons": [
            {"text": r.zh if chinese else r.en, "amount_minor": r.amount_minor}
            for r in order.reasons
        ],
    }


def address_lines(call: Call, order: orders.Order) -> str:
    """The address the order was sent to, unsealed for its buyer."""
    if not order.ship_to:
        return ""
    raw = call.db.vault.open(order.ship_to, "orders.ship_to")
    to = msgspec.json.decode(raw, type=orders.AddressedTo)
    country = country_name(to.country, call.language)
    parts = (to.name, to.line1, to.line2, to.postal_code, to.city, to.region, country)
    return ", ".join(p for p in parts if p)


def payment_label(call: Call, asked: list[payments.Payment]) -> str:
    names = {"sandbox": call.say("Demonstration card (simulated)"), "stripe": call.say("Card")}
    names[payments.STORE_CREDIT] = call.say("Store credit")
    names[payments.GIFT_CARD] = call.say("Gift card")
    names[payments.CASH] = call.say("Cash at the store")
    return ", ".join(dict.fromkeys(names.get(p.provider, p.provider) for p in asked))


def can_return(order: orders.Order, lines: list[orders.OrderLine], now: dt.datetime) -> bool:
    recent = now - order.placed_at < dt.timedelta(days=RETURN_DAYS + 30)
    left = any(line.shipped > line.returned for line in lines)
    return order.state == "delivered" and recent and left


def return_of(call: Call, one: Return) -> dict[str, Any]:
    """A return in its order: its number is the drop-off code."""
    label, tone = RETURN_STATES.get(one.state, (one.state, "info"))
    return {
        "number": one.number,
        "label": call.say(label),
        "tone": tone,
        "send_by": one.send_by if one.state == "approved" else None,
        "refund_minor": one.refund_minor + one.advance_minor,
        "currency": one.currency,
        "answer": one.answer,
    }
