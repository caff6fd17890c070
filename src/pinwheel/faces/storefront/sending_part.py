"""What an order's page says of exchanges, ways back, trials and what is not here yet."""

from __future__ import annotations

from typing import Any

from pinwheel.faces.storefront.sending_view import day_text, exchange_of, waiting_rows, way_of
from pinwheel.kernel import words
from pinwheel.kernel.db import Tx
from pinwheel.kernel.web import Call
from pinwheel.kernel.words import said
from pinwheel.trade import orders, returns


async def sending_part(
    call: Call, tx: Tx, sight: orders.OrderSight, back: list[returns.Return]
) -> dict[str, Any]:
    """For ``_sending.html``. 4 statements; 2 where nothing came back."""
    order = sight.order
    waiting = await orders.backorders_of(tx, [order.id])
    trial = (await returns.trials_of(tx, [order.id])).get(order.id)
    swaps = await returns.exchanges_of(tx, [r.id for r in back]) if back else {}
    ways = await returns.ways_of(tx, [r.id for r in back]) if back else {}
    titles = {line.line: said(line.title, call.language) for line in sight.lines}
    return {
        "waiting": waiting_rows(call, waiting, titles),
        "exchanges": [exchange_of(call, e, said(e.title, call.language)) for e in swaps.values()],
        "ways": [
            way_of(call, ways[r.id], r.number)
            for r in back
            if r.id in ways and r.state == "approved"
        ],
        "trial": _trial(call, trial) if trial else None,
    }


def _trial(call: Call, one: returns.Trial) -> dict[str, Any]:
    def amount(minor: int) -> str:
        return words.money(minor, one.currency, call.language)

    labels = {
        "placed": (call.say("On its way"), "info"),
        "trying": (call.say("You are trying it"), "warn"),
        "charged": (call.say("Paid"), "good"),
        "failed": (call.say("Payment failed"), "bad"),
        "ended": (call.say("Nothing was charged"), "good"),
    }
    label, tone = labels[one.state]
    open_minor = one.lent_minor - one.covered_minor
    if one.state == "placed":
        sentence = call.say(
            "Nothing is charged now. From the day it is there you have %(days)s days to send back "
            "what you do not keep."
        ) % {"days": one.days}
    elif one.state == "trying" and one.until_at is not None:
        sentence = call.say(
            "Ask to return what you do not keep by %(day)s. What you keep, now %(amount)s, is "
            "charged then."
        ) % {"day": day_text(one.until_at.date(), call.language), "amount": amount(open_minor)}
    elif one.state == "failed":
        sentence = call.say("The %(amount)s for what you kept could not be charged.") % {
            "amount": amount(one.kept_minor)
        }
    else:
        sentence = call.say("%(amount)s was charged for what you kept.") % {
            "amount": amount(one.kept_minor)
        }
    return {"label": label, "tone": tone, "sentence": sentence}
