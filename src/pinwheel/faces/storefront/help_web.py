"""What a buyer may want to know: delivery, returns, privacy."""

from __future__ import annotations

from typing import Any

from pinwheel.faces.storefront.frame import frame_of, market_of
from pinwheel.faces.storefront.order_view import RETURN_DAYS
from pinwheel.kernel.db import Database
from pinwheel.kernel.web import Answer, Call, get
from pinwheel.kernel.words import said


@get("/help/delivery")
async def delivery(call: Call, db: Database) -> Answer[dict[str, Any]]:
    """The ways of delivery, as the checkout has them."""
    frame = await frame_of(db)
    market = market_of(call, frame)
    ways = [
        {
            "name": said(o.name, call.language),
            "min_days": o.min_days,
            "max_days": o.max_days,
            "price_minor": o.price_minor,
            "free_from_minor": o.free_from_minor,
        }
        for o in frame.deliveries.get(market.code, [])
    ]
    more = {"ways": ways, "currency": market.currency, "place": said(market.name, call.language)}
    return Answer({**more, "title": call.say("Delivery")}, page="storefront/help_delivery.html")


@get("/help/returns")
async def returning(call: Call) -> Answer[dict[str, Any]]:
    title = call.say("Returns and refunds")
    return Answer({"title": title, "days": RETURN_DAYS}, page="storefront/help_returns.html")


@get("/help/privacy")
async def privacy(call: Call) -> Answer[dict[str, Any]]:
    return Answer({"title": call.say("Privacy")}, page="storefront/help_privacy.html")
