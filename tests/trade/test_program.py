"""A program runs a shop by the open API alone: who may, and one shop from its first category to a
refund."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from pinwheel import app
from pinwheel.kernel.db import Database
from pinwheel.kernel.jobs import Worker
from pinwheel.kernel.web import Route, routes_of
from pinwheel.kernel.web.routes import PATH_PARAMETER
from trade import api

MINE = (
    *(app.catalogue_api, app.categories_api, app.changes_api, app.marketplace_api),
    *(app.stock_web, app.desk_web, app.customers_web, app.imports_api_web, app.gift_cards_web),
)
HOME = {"name": "A", "line1": "1 High Street", "city": "Leeds", "country": "GB"}


@pytest.fixture
async def http(db: Database, tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    async with api.opened(db, tmp_path) as made:
        yield made


async def ask(http: httpx2.AsyncClient, route: Route, headers: dict[str, str]) -> Any:
    path = PATH_PARAMETER.sub(
        lambda m: str(uuid.uuid4()) if m[2] == "uuid" else "nowhere", route.paths[0]
    )
    body = {"json": {}} if route.data is not None else {}
    return await http.request(route.method, path, headers=headers, **body)


async def test_every_route_asks_for_its_right(db: Database, http: httpx2.AsyncClient) -> None:
    routes = routes_of(*MINE)
    assert len(routes) > 35
    wrong = await api.key(db, "audience")
    keys = {scope: await api.key(db, scope) for scope in api.ALL}
    for route in routes:
        at = f"{route.method} {route.paths[0]}"
        assert route.scope is not None and route.paths[0].startswith("/api/v1/"), at
        assert (await ask(http, route, {})).status_code == 401, at
        assert (await ask(http, route, wrong)).status_code == 403, at
        for scope, headers in keys.items():
            status = (await ask(http, route, headers)).status_code
            assert (status != 403) == (scope == route.scope), (at, scope, status)
            assert status < 500 and status != 401, (at, status)


async def test_a_program_opens_a_shop(
    db: Database, http: httpx2.AsyncClient, worker: Worker
) -> None:
    own = await api.key(db, *api.ALL)
    variant_id = await described(http, own)
    offer_id = await on_sale(http, own, variant_id)
    ask_for = {"market": "GB", "items": [{"offer_id": offer_id, "quantity": 2}]}
    quote = await http.post("/api/v1/quotes", json=ask_for | {"country": "GB"}, headers=own)
    assert quote.status_code == 200, quote.text
    wish = {
        **ask_for,
        "ship_to": HOME,
        "email": "ann@example.com",
        "payments": [{"provider": "sandbox", "method": "tok_ok"}],
        "quote": quote.json()["token"],
    }
    bought = await http.post("/api/v1/orders", json=wish, headers=own)
    assert bought.status_code == 201, bought.text
    order_id = bought.json()["order_id"]
    [position] = (await http.get("/api/v1/stock?sku=MUG-RED", headers=own)).json()["items"]
    assert (position["on_hand"], position["reserved"], position["atp"]) == (12, 2, 10)
    sent = await http.post(f"/api/v1/orders/{order_id}/shipments", json={"lines": []}, headers=own)
    assert sent.status_code == 201, sent.text
    for shipment_id in sent.json()["shipment_ids"]:
        there = await http.post(f"/api/v1/shipments/{shipment_id}/delivered", headers=own)
        assert there.status_code == 204
    await sent_back(http, own, order_id)
    await paid_back(http, own, order_id, worker)


async def described(http: httpx2.AsyncClient, own: dict[str, str]) -> str:
    """A category, its attributes, a product in it, published; the id of its variant."""
    name = {"en": "Mugs", "zh-CN": "杯子"}
    tree = {"categories": [{"slug": "mugs", "name": name}]}
    at = "/api/v1/catalogue/categories"
    [category] = api.done(await http.put(at, json=tree, headers=own))
    wanted = [
        {"code": "volume", "label": {"en": "Volume"}, "kind": "number", "unit": "ml"},
        {
            "code": "colour",
            "label": {"en": "Colour"},
            "kind": "choice",
            "choices": [{"code": "red", "label": {"en": "Red"}}],
            "required": True,
        },
    ]
    asks = {"attributes": wanted}
    assert len(api.done(await http.put(f"{at}/mugs/attributes", json=asks, headers=own))) == 2
    product = {
        "title": {"en": "A mug"},
        "category_id": category["id"],
        "attributes": {"volume": "0.3 l"},
        "variants": [{"sku": "MUG-RED", "weight_grams": 300}],
    }
    shelf = "/api/v1/catalogue/products"
    [saved] = api.done(await http.put(shelf, json={"products": [product]}, headers=own))
    which = {"ids": [saved["product_id"]]}
    early = await http.post(f"{shelf}/publish", json=which, headers=own)
    assert api.codes(early) == ["product_incomplete"]
    whole = product | {
        "id": saved["product_id"],
        "attributes": {"volume": 300, "colour": "Red"},
        "version": saved["version"],
    }
    api.done(await http.put(shelf, json={"products": [whole]}, headers=own))
    stale = await http.put(shelf, json={"products": [whole]}, headers=own)
    assert api.codes(stale) == ["product_stale"]
    [out] = api.done(await http.post(f"{shelf}/publish", json=which, headers=own))
    seen = (await http.get(f"{shelf}/{out['product_id']}", headers=own)).json()
    assert seen["product"]["attributes"] == {"volume": 300, "colour": "red"}
    assert [line["kind"] for line in seen["history"]["items"]] == ["publish", "save", "save"]
    listed = await http.get(f"{shelf}?category=mugs&status=published", headers=own)
    assert [line["slug"] for line in listed.json()["items"]] == ["a-mug"]
    return str(out["variant_ids"]["MUG-RED"])


async def on_sale(http: httpx2.AsyncClient, own: dict[str, str], variant_id: str) -> str:
    """An offer of it with a price, and pieces of it at a node; the offer's id."""
    offers = {"offers": [{"variant_id": variant_id}]}
    [offer] = api.done(await http.put("/api/v1/offers", json=offers, headers=own))
    price = {"offer_id": offer["id"], "currency": "GBP", "price_minor": 900}
    api.done(await http.put("/api/v1/prices", json={"prices": [price]}, headers=own))
    nodes = {"nodes": [{"code": "MAIN", "name": {"en": "Main"}, "country": "GB"}]}
    assert (await http.put("/api/v1/nodes", json=nodes, headers=own)).status_code == 200
    lines = [{"sku": "MUG-RED", "node": "MAIN", "quantity": 12}]
    delivery = {"document_id": str(uuid.uuid4()), "lines": lines}
    for fresh in (True, False):
        came = api.done(await http.post("/api/v1/stock/receipts", json=delivery, headers=own))
        assert [one["fresh"] for one in came] == [fresh]
    return str(offer["id"])


async def sent_back(http: httpx2.AsyncClient, own: dict[str, str], order_id: str) -> None:
    """One of the two pieces is sent back, received and graded."""
    wish = {"order_id": order_id, "lines": [[0, 1]], "reason": "unwanted"}
    asked = await http.post("/api/v1/returns", json=wish, headers=own)
    assert asked.status_code == 201, asked.text
    one = f"/api/v1/returns/{asked.json()['return']['id']}"
    if asked.json()["return"]["state"] == "requested":
        assert (await http.post(f"{one}/approve", headers=own)).status_code == 200
    came = await http.post(f"{one}/receive", json={"node": "MAIN"}, headers=own)
    assert came.status_code == 200, came.text
    grades = {"lines": [{"line": 0, "grade": "A", "quantity": 1, "checklist": {"clean": True}}]}
    graded = (await http.post(f"{one}/grade", json=grades, headers=own)).json()
    assert (graded["return"]["state"], graded["return"]["refund_minor"]) == ("refunded", 900)


async def paid_back(
    http: httpx2.AsyncClient, own: dict[str, str], order_id: str, worker: Worker
) -> None:
    """The refund of the return, then some goodwill: given once, and never more than is left."""
    gift = {"amount_minor": 100, "reason": "late", "gift_id": str(uuid.uuid4())}
    at = f"/api/v1/orders/{order_id}/goodwill"
    first = (await http.post(at, json=gift, headers=own)).json()
    again = (await http.post(at, json=gift, headers=own)).json()
    assert (first["fresh"], again["fresh"]) == (True, False)
    assert first["refundable_minor"] == again["refundable_minor"]
    much = gift | {"amount_minor": 10**6, "gift_id": str(uuid.uuid4())}
    refused = await http.post(at, json=much, headers=own)
    assert (refused.status_code, refused.json()["code"]) == (409, "refund_too_large")
    await worker.drain()
    [payment] = (await http.get("/api/v1/payments", headers=own)).json()["items"]
    assert (payment["order_id"], payment["refunded_minor"]) == (order_id, 1000)
    seen = (await http.get(f"/api/v1/payments/{payment['id']}", headers=own)).json()
    refunds = [i["amount_minor"] for i in seen["instructions"] if i["kind"] == "refund"]
    assert sorted(refunds) == [100, 900]
    assert "method" not in seen and "tok_ok" not in str(seen)
