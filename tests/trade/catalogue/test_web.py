"""The catalogue for programs: each item answers for itself, and an act is taken back as one."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from pinwheel.kernel.db import Database
from trade import api

SHELF, TREE = "/api/v1/catalogue/products", "/api/v1/catalogue/categories"


@pytest.fixture
async def http(db: Database, tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    async with api.opened(db, tmp_path) as made:
        made.headers |= await api.key(db, "catalogue:read", "catalogue:write")
        yield made


def product(title: str, *skus: str, **more: Any) -> dict[str, Any]:
    return {"title": {"en": title}, "variants": [{"sku": sku} for sku in skus], **more}


async def put(http: httpx2.AsyncClient, *products: dict[str, Any], **how: Any) -> Any:
    return await http.put(SHELF, json={"products": list(products)}, **how)


async def test_one_bad_item_costs_itself_alone(http: httpx2.AsyncClient) -> None:
    answer = await put(
        http,
        product("One", "A-1"),
        product("Two", "A-1"),
        product("Three", "A-3", attributes={"size": 3}),
        product("Four", "A-4", id=str(uuid.uuid4())),
        product("Five", "A-5"),
    )
    assert api.codes(answer) == [
        *(None, "sku_taken", "attribute_unknown", "product_unknown", None),
    ]
    assert "A-1" in answer.json()[1]["refused"]["detail"]
    chinese = await put(http, product("Two", "A-1"), headers={"accept-language": "zh-CN"})
    assert "已属于另一个商品" in chinese.json()[0]["refused"]["detail"]
    listed = (await http.get(SHELF)).json()["items"]
    assert {line["title"]["en"] for line in listed} == {"One", "Five"}


async def test_a_repeat_with_its_key_saves_nothing_twice(http: httpx2.AsyncClient) -> None:
    once = {"idempotency-key": "the-first-shelf"}
    nameless = {"title": {"en": "No SKU yet"}}
    first, again = [await put(http, nameless, headers=once) for _ in range(2)]
    assert first.json() == again.json()
    assert again.headers["idempotent-replayed"] == "true"
    other = await put(http, product("Other"), headers=once)
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")
    assert len((await http.get(SHELF)).json()["items"]) == 1


async def test_the_list_goes_on_where_it_stopped(http: httpx2.AsyncClient) -> None:
    api.done(await put(http, *(product(f"P {n}", f"P-{n}") for n in range(5))))
    seen, after = [], ""
    while True:
        page = (await http.get(f"{SHELF}?limit=2{after}")).json()
        seen += [line["title"]["en"] for line in page["items"]]
        if page["next"] is None:
            break
        after = f"&after={page['next']}"
    assert sorted(seen) == [f"P {n}" for n in range(5)]  # ids of one instant have no order
    for bad in ("limit=0", "limit=201", "after=nonsense", "status=lost"):
        assert (await http.get(f"{SHELF}?{bad}")).status_code == 422, bad
    assert (await http.get(f"{SHELF}?category=nowhere")).status_code == 404


async def test_a_planned_publication_can_be_called_off(http: httpx2.AsyncClient) -> None:
    [saved] = api.done(await put(http, product("Later", "L-1")))
    which = {"ids": [saved["product_id"]]}
    at = f"{SHELF}/publish"
    soon = which | {"at": "2026-01-06T09:00:00+08:00"}
    api.done(await http.post(at, json=soon))
    seen = (await http.get(f"{SHELF}/{saved['product_id']}")).json()["product"]
    assert (seen["status"], seen["publish_at"]) == ("draft", "2026-01-06T01:00:00Z")
    api.done(await http.post(f"{SHELF}/unpublish", json=which))
    seen = (await http.get(f"{SHELF}/{saved['product_id']}")).json()["product"]
    assert (seen["status"], seen["publish_at"]) == ("draft", None)
    for never in ("2026-01-06T09:00:00", "9999-12-31T23:59:59-12:00"):
        refused = await http.post(at, json=which | {"at": never})
        assert (refused.status_code, refused.json()["code"]) == (422, "invalid"), never
    api.done(await http.post(f"{SHELF}/archive", json=which))
    assert api.codes(await http.post(at, json=which)) == ["product_archived"]


async def test_an_edit_of_many_is_taken_back_as_one(http: httpx2.AsyncClient) -> None:
    saved = api.done(await put(http, *(product(f"P {n}", f"P-{n}", brand="Old") for n in (1, 2))))
    ids = [one["product_id"] for one in saved]
    nobody = str(uuid.uuid4())
    edit = {"product_ids": [*ids, nobody], "set": {"brand": "New"}, "reason": "renamed"}
    done = (await http.post("/api/v1/catalogue/bulk-edits", json=edit)).json()
    assert sorted(done["changed"]) == sorted(ids) and done["unchanged"] == 0
    [left] = done["refused"]
    assert (left["product_id"], left["refused"]["code"]) == (nobody, "product_unknown")
    wrong = edit | {"set": {"price": 1}}
    refused = await http.post("/api/v1/catalogue/bulk-edits", json=wrong)
    assert (refused.status_code, refused.json()["code"]) == (422, "field_unknown")
    change = f"/api/v1/catalogue/changes/{done['change_id']}"
    seen = (await http.get(change)).json()
    assert [line["after"] for line in seen["lines"]["items"]] == [{"brand": "New"}] * 2
    back = await http.post(f"{change}/revert", json={"reason": "a slip"})
    assert sorted(back.json()["reverted"]) == sorted(ids)
    twice = await http.post(f"{change}/revert", json={"reason": "a slip"})
    assert (twice.status_code, twice.json()["code"]) == (409, "change_reverted")
    acts = (await http.get("/api/v1/catalogue/changes")).json()["items"]
    assert [a["reverts"] for a in acts if a["kind"] == "revert"] == [done["change_id"]]


async def test_categories_and_what_they_ask(http: httpx2.AsyncClient) -> None:
    tree = [
        {"slug": "home", "name": {"en": "Home"}},
        {"slug": "mugs", "name": {"en": "Mugs"}, "parent": "home"},
        {"slug": "Bad Slug", "name": {"en": "x"}},
        {"slug": "lost", "name": {"en": "Lost"}, "parent": "nowhere"},
    ]
    answer = await http.put(TREE, json={"categories": tree})
    assert api.codes(answer) == [None, None, "category_unsound", "category_unknown"]
    unit = {"code": "volume", "label": {"en": "Volume"}, "kind": "number", "unit": "ml"}
    asks = {"attributes": [unit, unit | {"code": "9"}]}
    answer = await http.put(f"{TREE}/home/attributes", json=asks)
    assert api.codes(answer) == [None, "attribute_unsound"]
    mugs = (await http.get(f"{TREE}/mugs/attributes")).json()
    assert [one["code"] for one in mugs] == ["volume"]
    category_id = answer.json()[0]["done"]["category_id"]
    assert mugs[0]["category_id"] == category_id
    held = product("Mug", "M-1", category_id=category_id, attributes={"volume": 300})
    huge = product("Sea", "M-2", category_id=category_id, attributes={"volume": "9" * 400})
    assert api.codes(await put(http, held, huge)) == [None, "attribute_invalid"]
    gone = await http.delete(f"{TREE}/home/attributes/volume")
    assert (gone.status_code, gone.json()["code"]) == (409, "attribute_in_use")
    cycle = await http.post(f"{TREE}/home/move", json={"parent": "mugs"})
    assert (cycle.status_code, cycle.json()["code"]) == (422, "category_cycle")
    moved = await http.post(f"{TREE}/mugs/move", json={"parent": ""})
    assert (moved.status_code, moved.json()["parent_id"]) == (200, None)
    assert (await http.get(f"{TREE}/mugs/attributes")).json() == []
    assert (await http.get(f"{TREE}/nowhere/attributes")).status_code == 404
