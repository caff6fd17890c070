"""Carts, one tap and returns over HTTP: who may do what, and what a program sees."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

import web_world
from pinwheel import app
from pinwheel.ground import identity
from pinwheel.ground.identity import Caller
from pinwheel.kernel.db import Database
from pinwheel.kernel.settings import Settings
from pinwheel.trade import orders
from shop import Shop, open_shop

PASSWORD = "correct horse battery"
HOME = {"name": "A", "line1": "1 High Street", "city": "Leeds", "country": "GB"}
PAY = [{"provider": "sandbox", "method": "tok_ok"}]


@pytest.fixture
async def shop(db: Database) -> Shop:
    shop = await open_shop(db)
    db.given[orders.Buying] = shop.buying
    return shop


@pytest.fixture
async def api(db: Database) -> AsyncIterator[httpx2.AsyncClient]:
    edge = app.edge(Settings(secret="s" * 32, rate_limit_per_second=0), db)
    async with web_world.client(edge, db) as http:
        yield http


async def key(db: Database, kind: Any = "buyer", *scopes: str) -> tuple[uuid.UUID, dict[str, str]]:
    async with db.transaction() as tx:
        person = await identity.register(tx, f"{uuid.uuid4().hex}@example.com", kind=kind)
        rights = frozenset({"*"}) if scopes else frozenset()
        caller = Caller(kind=kind, person_id=person.id, scopes=rights)
        made = await identity.make_key(tx, caller, "test", list(scopes))
    return person.id, {"authorization": f"Bearer {made.key}"}


async def test_a_visitors_cart_from_the_first_click_to_the_order(
    shop: Shop, api: httpx2.AsyncClient
) -> None:
    where = {"market": "GB", "country": "GB"}
    empty = await api.get("/api/v1/cart", params=where)
    assert (empty.status_code, empty.json()["lines"]) == (200, [])
    _, ann = await key(shop.db)
    put = {"market": "GB", "items": [{"offer_id": str(shop.offers[0]), "quantity": 2}]}
    once = {"idempotency-key": "a-first-click"}
    for _ in range(2):
        added = await api.post("/api/v1/cart/lines", json=put, headers=ann | once)
        assert (added.status_code, added.json()["pieces"]) == (200, 2)
    seen = (await api.get("/api/v1/cart", params=where, headers=ann)).json()
    order = {"market": "GB", "quote": seen["quote"]["token"], "ship_to": HOME, "payments": PAY}
    nameless = await api.post("/api/v1/cart/order", json=order, headers=ann)
    assert (nameless.status_code, nameless.json()["facts"]["where"]) == (422, "key")
    stale = order | {"quote": "something else", "key": "k"}
    refused = await api.post("/api/v1/cart/order", json=stale, headers=ann)
    assert (refused.status_code, refused.json()["code"]) == (409, "stale_quote")
    assert refused.json()["facts"]["quote"]["token"] == seen["quote"]["token"]
    first = await api.post("/api/v1/cart/order", json=order | {"key": "k"}, headers=ann)
    again = await api.post("/api/v1/cart/order", json=order | {"key": "k"}, headers=ann)
    assert first.status_code == again.status_code == 201
    assert (first.json()["fresh"], again.json()["fresh"]) == (True, False)
    assert first.json()["order_id"] == again.json()["order_id"]
    assert (await api.get("/api/v1/cart", params=where, headers=ann)).json()["lines"] == []
    full = {"market": "GB", "items": [{"offer_id": str(uuid.uuid4())}] * 201}
    assert (await api.post("/api/v1/cart/lines", json=full, headers=ann)).status_code == 422


async def test_a_return_from_the_wish_to_the_money(shop: Shop, api: httpx2.AsyncClient) -> None:
    buyer, ann = await key(shop.db)
    _, bob = await key(shop.db)
    _, staff = await key(shop.db, "operator", "orders:read", "orders:write", "stock", "settings")
    bought = await shop.buying.buy(shop.draft((0, 2), person_id=buyer))
    async with shop.db.transaction() as tx:
        await orders.deliver_parcels(tx, await orders.ship(tx, bought.order_id))
    at = f"/api/v1/orders/{bought.order_id}/returnable"
    assert (await api.get(at)).status_code == 401
    assert (await api.get(at, headers=bob)).json() == []
    assert [r["quantity"] for r in (await api.get(at, headers=ann)).json()] == [2]
    wish = {"order_id": str(bought.order_id), "lines": [[0, 1]], "reason": "unwanted"}
    assert (await api.post("/api/v1/returns", json=wish)).status_code == 401
    assert (await api.post("/api/v1/returns", json=wish, headers=bob)).status_code == 404
    once = {"idempotency-key": "my-first-return"}
    asked = await api.post("/api/v1/returns", json=wish, headers=ann | once)
    again = await api.post("/api/v1/returns", json=wish, headers=ann | once)
    assert asked.status_code == again.status_code == 201
    assert asked.json() == again.json() and asked.json()["return"]["state"] == "approved"
    one = f"/api/v1/returns/{asked.json()['return']['id']}"
    assert (await api.get(one, headers=bob)).status_code == 404
    assert (await api.post(f"{one}/cancel", headers=bob)).status_code == 404
    for step in ("approve", "reject", "receive", "grade"):
        assert (await api.post(f"{one}/{step}", json={}, headers=ann)).status_code == 403
    grades = {"lines": [{"line": 0, "grade": "B", "quantity": 1, "checklist": {"clean": True}}]}
    early = await api.post(f"{one}/grade", json=grades, headers=staff)
    assert (early.status_code, early.json()["code"]) == (409, "return_is")
    came = await api.post(f"{one}/receive", json={"node": "MAIN"}, headers=staff)
    assert came.json()["return"]["state"] == "received"
    done = (await api.post(f"{one}/grade", json=grades, headers=staff)).json()
    assert (done["return"]["state"], done["return"]["refund_minor"]) == ("refunded", 1000)
    assert [g["disposition"] for g in done["grades"]] == ["resale"]
    assert len((await api.get("/api/v1/returns", headers=ann)).json()["items"]) == 1
    assert (await api.get("/api/v1/returns", headers=bob)).json()["items"] == []
    assert (
        len((await api.get("/api/v1/returns?state=refunded", headers=staff)).json()["items"]) == 1
    )
    policy = {"market": "GB", "window_days": 60}
    assert (await api.put("/api/v1/return-policies", json=policy, headers=ann)).status_code == 403
    assert (await api.put("/api/v1/return-policies", json=policy, headers=staff)).status_code == 204
    [stored] = (await api.get("/api/v1/return-policies", headers=ann)).json()
    assert stored["window_days"] == 60


async def test_one_tap_needs_a_session_a_switch_and_what_was_seen(
    shop: Shop, api: httpx2.AsyncClient
) -> None:
    entry = {"email": "ann@example.com", "password": PASSWORD, "name": "Ann"}
    welcome = await api.post("/api/v1/register", json=entry)
    csrf = {"x-csrf-token": welcome.json()["csrf_token"]}
    tap = {"offer_id": str(shop.offers[0]), "key": "tap", "total_minor": 1399, "currency": "GBP"}
    off = await api.post("/api/v1/one-click/orders", json=tap, headers=csrf)
    assert (off.status_code, off.json()["code"]) == (403, "one_click_off")
    switch = {"is_on": True, "market": "GB"}
    unsaid = await api.put("/api/v1/one-click", json=switch, headers=csrf)
    assert unsaid.status_code == 422
    agreed = switch | {"wording": "Order at once."}
    assert (await api.put("/api/v1/one-click", json=agreed, headers=csrf)).status_code == 200
    homeless = await api.post("/api/v1/one-click/orders", json=tap, headers=csrf)
    assert (homeless.status_code, homeless.json()["code"]) == (422, "no_address")
    terms = {"market": "GB", "undo_seconds": 9, "most_minor": 9, "per_hour": 9,
             "session_seconds": 99, "join_seconds": 9}  # fmt: skip
    assert (await api.put("/api/v1/one-click/terms", json=terms, headers=csrf)).status_code == 403
    assert (await api.get("/api/v1/one-click", headers=csrf)).json()["switch"]["is_on"] is True
