"""The door where parcels come back, and the replacements that wait for them."""

from __future__ import annotations

from console_world import Desk
from pinwheel.trade import orders, returns


async def test_a_scanned_parcel_lets_the_replacement_go(desk: Desk) -> None:
    bought = await desk.bought((0, 1))
    async with desk.db.transaction() as tx:
        await orders.deliver_parcels(tx, await orders.ship(tx, bought.order_id))
        wish = returns.NewExchange(
            order_id=bought.order_id, line=0, quantity=1, offer_id=desk.shop.offers[0]
        )
        asked = await returns.ask_exchange(tx, wish)
    operator = await desk.signed_in("operator")
    page = (await operator.get("/console/exchanges")).text
    assert asked.number in page and "Kept for the buyer" in page
    assert (await operator.get("/console/arrivals")).status_code == 200
    for _ in range(2):  # twice is once
        form = {"code": asked.number.lower(), "node": "MAIN"}
        assert (await operator.post("/console/arrivals", form)).status_code == 303
    assert asked.number in (await operator.get("/console/arrivals")).text
    assert asked.number in (await operator.get("/console/exchanges?view=released")).text
    answer = await operator.post("/console/arrivals", {"code": "R-NOPE", "node": "MAIN"})
    assert answer.status_code == 303  # said where they were
    chinese = await operator.http.get("/zh-CN/console/exchanges?view=all")
    assert "换货" in chinese.text
