"""Sending something back: what may still be returned, the wish, and what has become of it."""

from __future__ import annotations

from typing import Any

from pinwheel.faces.storefront import queries
from pinwheel.faces.storefront.exchange_web import slot_in, way_in
from pinwheel.faces.storefront.frame import frame_of
from pinwheel.faces.storefront.order_view import lines_of
from pinwheel.faces.storefront.orders_web import owner_of
from pinwheel.faces.storefront.sending_view import way_choice
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import NotFound, Refusal
from pinwheel.kernel.web import Answer, Call, See, get, post
from pinwheel.trade import orders, returns
from pinwheel.trade.returns import NewReturn

PAGE = "storefront/return.html"
REASONS = (
    ("unwanted", "I don't want it any more"),
    ("damaged", "It is damaged"),
    ("wrong", "It is not what I ordered"),
    ("late", "It came too late"),
    ("other", "Something else"),
)
KNOWN = frozenset(value for value, _ in REASONS)


@get("/account/orders/{number:str}/return")
async def return_page(call: Call, tx: Tx, number: str) -> Answer[dict[str, Any]]:
    """What of an order may go back."""
    return Answer(await _page(call, tx, number), page=PAGE)


async def _page(
    call: Call, tx: Tx, number: str, form: dict[str, str] | None = None, error: str | None = None
) -> dict[str, Any]:
    frame = await frame_of(call.db)
    person_id = owner_of(call)
    sight = await orders.order(tx, number=number, person_id=person_id)
    left = {
        r.line: r.quantity
        for r in await returns.returnable(tx, sight.order.id, person_id=person_id)
        if r.quantity > 0
    }
    seen = await queries.pictures(tx, [line.variant_id for line in sight.lines])
    policy = await returns.policy_of(tx, sight.order, [li for li in sight.lines if li.line in left])
    ways = await returns.way_prices(
        tx, sight.order.market, sight.order.country, policy, fault=False
    )
    rows = []
    for line in sight.lines:
        (shown,) = lines_of(call, frame, [line], seen)
        rows.append(
            {
                **shown,
                "can_return_units": left.get(line.line, 0),
                "not_why": None if line.line in left else call.say("nothing to return"),
                "quantity": (form or {}).get(f"units_{line.line}", "0"),
            }
        )
    return {
        "order": {"number": number, "path": f"/account/orders/{number}"},
        "lines": rows,
        "currency": sight.order.currency,
        "ways": [way_choice(call, w) for w in ways],
        "reasons": [(value, call.say(label)) for value, label in REASONS],
        "form": {"reason": "unwanted", "note": "", "way": "", "slot": "", **(form or {})},
        "error": error,
        "here": "orders",
        "title": call.say("Return"),
        "robots": "noindex",
    }


@post("/account/orders/{number:str}/return", again="/account/orders/{number:str}/return")
async def ask(
    call: Call, db: Database, number: str, data: dict[str, str]
) -> Answer[dict[str, Any]] | See[None]:
    """Ask to send pieces back."""
    person_id = owner_of(call)
    wanted = [
        (int(name.removeprefix("units_")), int(value))
        for name, value in data.items()
        if name.removeprefix("units_").isdigit() and value.isdigit() and 0 < int(value) < 10**6
    ]
    reason = data.get("reason", "")
    try:
        if not wanted:
            raise NothingChosen()
        async with db.transaction(actor=call.caller.actor, request_id=call.request_id) as tx:
            sight = await orders.order(tx, number=number, person_id=person_id)
            wish = NewReturn(
                order_id=sight.order.id,
                lines=wanted,
                reason=reason if reason in KNOWN else "other",  # type: ignore[arg-type]
                note=data.get("note", "")[:1000],
                person_id=person_id,
                way=way_in(data.get("way", "")),
                slot=slot_in(data.get("slot", "")),
            )
            [answer] = await returns.request(tx, [wish])
            if isinstance(answer, Refusal):
                raise answer
    except NotFound:
        raise
    except Refusal as refusal:
        async with db.reading() as tx:
            more = await _page(call, tx, number, data, refusal.sentence(call.language))
        return Answer(more, page=PAGE, status=refusal.status)
    return See(f"/account/orders/{number}")


class NothingChosen(Refusal):
    status = 422
    en = "Set how many pieces go back."
    zh = "请填写要退回的件数。"
