"""Paying with a phone: the code on the shop's page, followed until it is decided or has run out."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import segno

from pinwheel.faces.storefront.goods_web import origin_of
from pinwheel.faces.storefront.ordering import PLACED
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import NotFound
from pinwheel.kernel.web import Answer, Call, Limit, See, get
from pinwheel.trade import payments

PAGE, PART = "storefront/scan.html", "storefront/_scan.html"
PAID = ("authorised", "captured")


@get("/pay/{payment_id:uuid}", limits=(("scan", Limit(120, 2)),))
async def scan_page(
    call: Call, tx: Tx, payment_id: UUID, waits: bool = False
) -> Answer[dict[str, Any]] | See[None]:
    """The code of one's own payment. ``waits``: the page that asks has the code still; when it is
    over, one goes to where that can be read."""
    person_id = call.caller.person_id
    if person_id is None:
        raise NotFound(what="payment")
    scan = await payments.scan_of(tx, payment_id, person_id)
    on = _path(scan.return_url)
    if scan.state in PAID:
        return See(on)
    is_open = scan.state in ("needs_action", "unknown", "processing")
    if waits and not is_open:
        return See(f"/pay/{payment_id}")
    ran_out = tx.now >= scan.until
    link = origin_of(call) + call.local(scan.url) if scan.url.startswith("/") else scan.url
    shown = {
        "path": f"/pay/{payment_id}",
        "amount_minor": scan.amount_minor,
        "currency": scan.currency,
        "until": scan.until,
        "left": f"{max(0, int((scan.until - tx.now).total_seconds())) // 60 + 1} min",
        "state": ("checking" if ran_out else "open") if is_open else _ended(scan),
        "link": link,
        "qr": segno.make(link, error="m").svg_data_uri(scale=6, border=3, dark="#0f1413"),
        "next": "/checkout" if on.startswith(PLACED) else on,
    }
    return Answer(
        {"scan": shown, "title": call.say("Pay with your phone"), "robots": "noindex"},
        page=PAGE,
        part=PART,
    )


def _ended(scan: payments.Scan) -> str:
    return "ran_out" if scan.reason == "code_ran_out" else "declined"


def _path(url: str) -> str:
    """The path of the way back; ``See`` leaves out a host that is not ours."""
    parts = urlsplit(url)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path or "/account/orders"
