"""A program answers a customer's requests: a copy of everything, and to be forgotten."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from pinwheel.ground import identity
from pinwheel.insight import profiles
from pinwheel.kernel.db import Database
from trade import api


@pytest.fixture
async def http(db: Database, tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    async with api.opened(db, tmp_path) as made:
        yield made


async def merged(db: Database) -> tuple[uuid.UUID, uuid.UUID]:
    async with db.transaction() as tx:
        one = await identity.register(tx, "ada@example.org", kind="buyer", name="Ada")
        two = await identity.register(tx, "ada2@example.org", kind="buyer", name="Ada")
        await profiles.merge(tx, one.id, two.id, "same telephone")
    return one.id, two.id


async def test_a_copy_holds_every_account_and_says_why(
    db: Database, http: httpx2.AsyncClient
) -> None:
    one, two = await merged(db)
    own = await api.key(db, "people")
    at = f"/api/v1/profiles/{two}/export"
    copy = await http.post(at, json={"reason": "asked by letter"}, headers=own)
    assert copy.status_code == 200, copy.text
    mails = [a["person"]["email"] for a in copy.json()["accounts"]]
    assert mails == ["ada@example.org", "ada2@example.org"]
    assert {"orders", "tracking", "gift cards"} <= copy.json()["accounts"][0].keys()
    async with db.reading() as tx:
        looks = [await identity.access_to(tx, account) for account in (one, two)]
    for seen in looks:
        assert [a.reason for a in seen if a.what == "export"] == ["asked by letter"]


async def test_forgetting_takes_every_account(db: Database, http: httpx2.AsyncClient) -> None:
    one, two = await merged(db)
    own = await api.key(db, "people")
    at = f"/api/v1/profiles/{two}/erase"
    assert (await http.post(at, json={"reason": ""}, headers=own)).status_code == 422
    gone = await http.post(at, json={"reason": "asked by letter"}, headers=own)
    assert gone.status_code == 200, gone.text
    assert gone.json() == {"accounts": [str(one), str(two)]}
    async with db.reading() as tx:
        people = await identity.people(tx, [one, two])
        operators = await tx.values("select id from identity.person where kind = 'operator'")
    assert all(p.email is None and p.name is None for p in people.values())
    [last] = operators
    refused = await http.post(
        f"/api/v1/profiles/{last}/erase", json={"reason": "a mistake"}, headers=own
    )
    assert (refused.status_code, refused.json()["code"]) == (409, "last_operator")
    nobody = f"/api/v1/profiles/{uuid.uuid4()}/erase"
    assert (await http.post(nobody, json={"reason": "nobody"}, headers=own)).status_code == 404


async def test_reading_profiles_is_no_right_to_copy_or_forget(
    db: Database, http: httpx2.AsyncClient
) -> None:
    one, _ = await merged(db)
    reader = await api.key(db, "profiles:read", "profiles")
    for what in ("export", "erase"):
        at = f"/api/v1/profiles/{one}/{what}"
        answer = await http.post(at, json={"reason": "curious"}, headers=reader)
        assert answer.status_code == 403
