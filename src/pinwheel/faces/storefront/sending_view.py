"""What is not here yet, what comes instead and how things go back, as the buyer reads it."""

from __future__ import annotations

import datetime as dt
from typing import Any

from babel.dates import format_date

from pinwheel.kernel import words
from pinwheel.kernel.web import Call
from pinwheel.kernel.words import said
from pinwheel.trade import orders, returns
from pinwheel.trade.returns import Exchange, Way

WAYS = {
    "label": "Print a label and send it",
    "dropoff": "Hand it in with a code, without paper",
    "pickup": "Have it picked up",
    "own": "Send it by your own post",
}
EXCHANGES = {
    "unpaid": ("The difference is not paid yet", "warn"),
    "waiting": ("The replacement is kept for you", "info"),
    "released": ("The replacement is on its way", "pine"),
    "ended": ("No replacement is sent", "bad"),
}
ENDED = {
    "unpaid": "The difference was not paid, so nothing is exchanged.",
    "expired": "Nothing reached us in time, so the replacement is no longer kept.",
    "ran_out": "The replacement has run out. You get your money back instead.",
}


def day_text(day: dt.date, language: str) -> str:
    return str(format_date(day, "long", locale=words.LOCALES[language]))


def ahead_sentence(call: Call, expected_on: dt.date | None) -> str:
    """When something sold ahead of its arrival comes, how it is paid, and what if it does not."""
    expected, last = orders.promised(call.db.clock.now().date(), expected_on)
    return call.say(
        "Not here yet: expected on %(day)s. You pay when you order; if it has not come by %(last)s "
        "your money goes back by itself, and you may cancel until it is sent."
    ) % {"day": day_text(expected, call.language), "last": day_text(last, call.language)}


def waiting_rows(
    call: Call, waiting: list[orders.Backorder], titles: dict[int, str]
) -> list[dict[str, Any]]:
    """What of an order is not here yet."""
    return [
        {
            "title": titles.get(one.line, ""),
            "quantity": one.quantity,
            "expected": day_text(one.expected_on, call.language),
            "last": day_text(one.last_on, call.language),
            "is_late": one.told_on is not None,
        }
        for one in waiting
    ]


def exchange_of(call: Call, one: Exchange, title: str) -> dict[str, Any]:
    label, tone = EXCHANGES[one.state]
    return {
        "label": call.say(label),
        "tone": tone,
        "title": title,
        "sku": one.sku,
        "quantity": one.quantity,
        "until": day_text(one.until_at.date(), call.language) if one.state == "waiting" else None,
        "why": call.say(ENDED[one.why]) if one.why in ENDED else None,
        "back_minor": one.back_minor,
    }


def way_of(call: Call, way: Way, number: str) -> dict[str, Any]:
    label = call.say(WAYS[way.kind])
    return {
        "label": label,
        "number": number,
        "tracking": way.tracking,
        "is_handed": way.state == "handed",
        "handed_where": way.handed_where,
        "freight_minor": way.freight_minor,
        "slot": (
            f"{day_text(way.slot_on, call.language)}, {way.slot_from}:00–{way.slot_until}:00"
            if way.slot_on is not None
            else None
        ),
        "href": f"/account/returns/{number}/label",
    }


def way_choice(call: Call, one: returns.WayPrice) -> dict[str, Any]:
    """A way to choose, with what the buyer bears of it."""
    return {
        "kind": one.kind,
        "label": call.say(WAYS[one.kind]),
        "freight_minor": one.freight_minor,
        "points": [f"{said(p.name, call.language) or p.code}, {p.address}" for p in one.points[:5]],
        "slots": [
            (
                f"{s.on.isoformat()}:{s.from_hour}",
                f"{day_text(s.on, call.language)}, {s.from_hour}:00",
            )
            for s in one.slots
        ],
    }
