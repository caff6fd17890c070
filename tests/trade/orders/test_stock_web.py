"""Stock for programs: one document counts once, one bad line costs itself, promises are kept."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from pinwheel.kernel.db import Database
from pinwheel.trade import inventory, orders
from pinwheel.trade.inventory import Place, StockCount
from shop import OWN, Shop, open_shop
from trade import api
from world import waits_or_ends


@pytest.fixture
async def http(db: Database, tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    async with api.opened(db, tmp_path) as made:
        made.headers |= await api.key(db, "stock", "settings")
        yield made


@pytest.fixture
async def shop(http: httpx2.AsyncClient, db: Database) -> Shop:
    return await open_shop(db, prices_minor=(1000,), stock=[{"MAIN": 10, "EAST": 5}])


def line(quantity: int, node: str = "MAIN", sku: str = "T-0", **more: Any) -> dict[str, Any]:
    return {"sku": sku, "node": node, "quantity": quantity, **more}


async def act(http: httpx2.AsyncClient, verb: str, *lines: dict[str, Any], **more: Any) -> Any:
    wish = {"document_id": str(uuid.uuid4()), "lines": list(lines), **more}
    if verb == "counts":
        wish.setdefault("reason", "counted")
    return await http.post(f"/api/v1/stock/{verb}", json=wish)


async def on_hand(shop: Shop, node: str = "MAIN") -> int:
    async with shop.db.reading() as tx:
        found = await inventory.positions(tx, shop.variants)
    return next(p.on_hand for p in found if p.node == node)


async def test_one_bad_line_costs_itself_alone(shop: Shop, http: httpx2.AsyncClient) -> None:
    lines = (
        line(1),
        line(2, sku="NOT-THERE"),
        line(3, node="MOON"),
        line(4, seller_id=str(uuid.uuid4())),
        line(5, variant_id=str(shop.variants[0])),
        line(6, node="EAST"),
    )
    answer = await act(http, "receipts", *lines)
    assert api.codes(answer) == [
        *(None, "variant_unknown", "unknown_node", "seller_unknown", "line_twice", None),
    ]
    assert (await on_hand(shop), await on_hand(shop, "EAST")) == (11, 11)
    assert "MAIN" in answer.json()[2]["refused"]["detail"]
    for bad in (0, -1, 10_000_001, 2**63, "many"):
        assert (await act(http, "receipts", line(1) | {"quantity": bad})).status_code == 422


async def test_a_document_counts_once_whatever_was_sold_since(
    shop: Shop, http: httpx2.AsyncClient
) -> None:
    agreed, corrected = ({"document_id": str(uuid.uuid4())} for _ in range(2))
    [same] = api.done(await act(http, "counts", line(10), **agreed))
    assert (same["quantity"], same["booked"], same["fresh"]) == (10, 10, True)
    [less] = api.done(await act(http, "counts", line(8), **corrected))
    assert (less["quantity"], less["booked"]) == (8, 10)
    bought = await shop.buying.buy(shop.draft((0, 3)))
    async with shop.db.transaction() as tx:
        await orders.ship(tx, bought.order_id)
    left = await on_hand(shop), await on_hand(shop, "EAST")
    for document in (agreed, corrected):
        [again] = api.done(await act(http, "counts", line(10), **document))
        assert again["fresh"] is False
        assert (await on_hand(shop), await on_hand(shop, "EAST")) == left
    assert not await shop.broken()


async def test_a_count_waits_for_pieces_on_the_move(shop: Shop, http: httpx2.AsyncClient) -> None:
    place = Place(OWN, "MAIN", shop.variants[0])
    async with shop.db.transaction() as tx:
        await inventory.move(tx, [StockCount(place, 4)], "EAST", document_id=uuid.uuid4())
        counting = asyncio.create_task(act(http, "counts", line(6)))
        await waits_or_ends(shop.db.pool, counting)
    [found] = api.done(await counting)
    assert (found["quantity"], found["booked"]) == (6, 6)
    assert await on_hand(shop) == 6


async def test_what_is_promised_is_not_counted_or_moved_away(
    shop: Shop, http: httpx2.AsyncClient
) -> None:
    async with shop.db.transaction() as tx:
        await inventory.set_node_open(tx, "EAST", False)
    await shop.buying.buy(shop.draft((0, 4)))
    assert api.codes(await act(http, "counts", line(3), line(2, node="EAST"))) == [
        *("stock_taken", None),
    ]
    assert api.codes(await act(http, "moves", line(7), to_node="EAST")) == ["stock_taken"]
    assert api.codes(await act(http, "moves", line(1), to_node="MAIN")) == ["same_node"]
    assert (await act(http, "moves", line(1), to_node="MOON")).status_code == 422
    moved = {"document_id": str(uuid.uuid4())}
    for fresh in (True, False):
        [done] = api.done(await act(http, "moves", line(6), to_node="EAST", **moved))
        assert done["fresh"] is fresh
    assert (await on_hand(shop), await on_hand(shop, "EAST")) == (4, 8)
    assert not await shop.broken()


async def test_nodes_and_positions(shop: Shop, http: httpx2.AsyncClient) -> None:
    north = {"code": "NORTH", "name": {"en": "North"}, "country": "GB"}
    twice = await http.put("/api/v1/nodes", json={"nodes": [north, north]})
    assert (twice.status_code, twice.json()["code"]) == (422, "invalid")
    made = await http.put("/api/v1/nodes", json={"nodes": [north]})
    assert [node["is_open"] for node in made.json()] == [True]
    await shop.buying.buy(shop.draft((0, 2)))
    [busy] = [
        p["node"]
        for p in (await http.get("/api/v1/stock?sku=T-0&limit=200")).json()["items"]
        if p["reserved"]
    ]
    closed = (await http.post(f"/api/v1/nodes/{busy}/close")).json()
    assert closed == {"moved": 1, "left": 0}
    assert (await http.post(f"/api/v1/nodes/{busy}/open")).status_code == 204
    assert (await http.post("/api/v1/nodes/MOON/close")).status_code == 404
    seen, after = [], ""
    while True:
        page = (await http.get(f"/api/v1/stock?limit=1{after}")).json()
        seen += [p["node"] for p in page["items"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert seen == ["EAST", "MAIN"]
    assert (await http.get("/api/v1/stock?sku=NOT-THERE")).json()["items"] == []
    at_one = f"/api/v1/stock?node=EAST&variant_id={shop.variants[0]}"
    assert [p["sku"] for p in (await http.get(at_one)).json()["items"]] == ["T-0"]
