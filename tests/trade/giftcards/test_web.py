"""A program gives gift cards out, blocks and replaces them, and reads what is owed."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from pinwheel.kernel.db import Database
from shop import money, open_shop
from trade import api

CARDS, BATCHES = "/api/v1/gift-cards", "/api/v1/gift-batches"


@pytest.fixture
async def http(db: Database, tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    async with api.opened(db, tmp_path) as made:
        yield made


def batch(**more: object) -> dict[str, Any]:
    named = {"id": str(uuid.uuid4()), "market": "GB", "face_minor": 2500, "size": 2}
    return named | {"reason": "a raffle"} | more


async def test_cards_from_giving_out_to_replacing(db: Database, http: httpx2.AsyncClient) -> None:
    await open_shop(db)
    own = await api.key(db, "orders:read", "orders:write", "money")
    made = await http.post(BATCHES, json=batch(expires_on="2099-12-31"), headers=own)
    assert made.status_code == 201, made.text
    first, second = made.json()["cards"]
    listed = (await http.get(CARDS, params={"last4": first["code"][-4:]}, headers=own)).json()
    [card] = [c for c in listed["items"] if c["id"] == first["id"]]
    assert (card["balance_minor"], card["currency"], card["expires_on"]) == (
        2500,
        "GBP",
        "2099-12-31",
    )
    assert first["code"] not in str(listed)
    at = f"{CARDS}/{first['id']}"
    for _ in range(2):
        blocked = await http.post(f"{at}/block", json={"reason": "stolen"}, headers=own)
        assert (blocked.status_code, blocked.json()["state"]) == (200, "blocked")
    [owed] = (await http.get("/api/v1/gift-liability", headers=own)).json()
    assert (owed["open_minor"], owed["blocked_minor"]) == (2500, 2500)
    new = await http.post(f"{at}/replace", json={"reason": "stolen"}, headers=own)
    assert new.status_code == 201 and new.json()["code"] != first["code"]
    assert (await http.get(at, headers=own)).json()["state"] == "ended"
    again = await http.post(f"{at}/replace", json={"reason": "stolen"}, headers=own)
    assert (again.status_code, again.json()["code"]) == (409, "gift_card_is")
    other = f"{CARDS}/{second['id']}"
    await http.post(f"{other}/block", json={"reason": "lost"}, headers=own)
    found = await http.post(f"{other}/unblock", json={"reason": "found"}, headers=own)
    assert found.json()["state"] == "open"
    assert (await money(db, "gift_cards_given:GBP"))["gift_cards_given:GBP"] == 5000


async def test_a_batch_is_given_out_once(db: Database, http: httpx2.AsyncClient) -> None:
    await open_shop(db)
    own = await api.key(db, "orders:read", "money")
    wish = batch()
    assert (await http.post(BATCHES, json=wish, headers=own)).status_code == 201
    again = await http.post(BATCHES, json=wish | {"face_minor": 9900}, headers=own)
    assert (again.status_code, again.json()["code"]) == (409, "gift_batch_exists")
    [kept] = (await http.get(BATCHES, headers=own)).json()
    assert (kept["id"], kept["size"], kept["face_minor"]) == (wish["id"], 2, 2500)
    assert (await money(db, "gift_cards_given:GBP"))["gift_cards_given:GBP"] == 5000
    for wrong in (
        batch(market="nowhere"),
        batch(size=0),
        batch(face_minor=-1),
        batch(reason=""),
        batch(expires_on="2000-01-01"),
        batch(surplus=1),
    ):
        refused = await http.post(BATCHES, json=wrong, headers=own)
        assert refused.status_code in (404, 422), refused.text
    assert len((await http.get(BATCHES, headers=own)).json()) == 1


async def test_what_is_sold_as_a_card_and_for_how_long(
    db: Database, http: httpx2.AsyncClient
) -> None:
    shop = await open_shop(db)
    own = await api.key(db, "orders:read", "money")
    at = f"/api/v1/gift-products/{shop.variants[0]}"
    for _ in range(2):
        assert (await http.put(at, headers=own)).status_code == 204
    listed = await http.get("/api/v1/gift-products", headers=own)
    assert listed.json() == [str(shop.variants[0])]
    nobody = f"/api/v1/gift-products/{uuid.uuid4()}"
    assert (await http.put(nobody, headers=own)).status_code == 404
    assert (await http.delete(at, headers=own)).status_code == 204
    assert (await http.get("/api/v1/gift-products", headers=own)).json() == []
    policy = "/api/v1/gift-policies"
    await http.put(f"{policy}/GB", json={"valid_days": 365}, headers=own)
    assert (await http.get(policy, headers=own)).json() == [{"market": "GB", "valid_days": 365}]
    await http.put(f"{policy}/GB", json={"valid_days": None}, headers=own)
    assert (await http.get(policy, headers=own)).json() == []
    unknown = await http.put(f"{policy}/nowhere", json={"valid_days": 1}, headers=own)
    assert unknown.status_code == 404
