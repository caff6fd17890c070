"""The label of one return, drawn for who may see it."""

from __future__ import annotations

import uuid
from collections.abc import Callable

import segno

from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import NotFound
from pinwheel.trade import orders
from pinwheel.trade.returns.labels import label_svg
from pinwheel.trade.returns.model import ReturnIs
from pinwheel.trade.returns.queries import see
from pinwheel.trade.returns.sending import ways_of


def code_picture(number: str) -> str:
    """The number as a QR code: a data URI for a page."""
    return segno.make(number, error="m").svg_data_uri(scale=6, border=2)


async def draw_label(
    tx: Tx, return_id: uuid.UUID, person_id: uuid.UUID | None, say: Callable[[str], str]
) -> str:
    """The label of an approved return that a carrier brings; ``ReturnIs`` before and after."""
    ret = (await see(tx, return_id, person_id=person_id)).ret
    way = (await ways_of(tx, [return_id])).get(return_id)
    if way is None or way.kind not in ("label", "pickup") or way.state == "asked":
        raise NotFound(what="label")
    if ret.state != "approved":
        raise ReturnIs(number=ret.number, state=ret.state)
    number = (await orders.numbers_of(tx, [ret.order_id]))[ret.order_id]
    return label_svg(
        ret.number,
        way.tracking,
        [say("Returns department"), ret.market],
        (
            say("Return parcel"),
            say("Order %(number)s") % {"number": number},
            say("Scan on arrival"),
        ),
        demonstration=way.carrier == "sandbox",
    )
