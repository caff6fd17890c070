"""The log of facts as programs read it, and the routes around it."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator

import httpx2
import jsonschema_rs
import msgspec
import pytest

import web_world
from pinwheel import app
from pinwheel.ground import identity
from pinwheel.ground.identity import Caller
from pinwheel.growth.community import QuestionAsked, ReviewWithdrawn
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import Invalid
from pinwheel.kernel.listing import cursor
from pinwheel.kernel.settings import Settings
from pinwheel.platform import open as platform
from pinwheel.platform.open import NewEndpoint, UnknownKind


async def tell(db: Database, *numbers: int) -> None:
    async with db.transaction() as tx:
        for number in numbers:
            tx.emit(
                ReviewWithdrawn(
                    review_id=uuid.UUID(int=number), product_id=uuid.UUID(int=7), reason="rejected"
                )
            )


async def read(db: Database, after: str | None = None, **how: object) -> tuple[list[int], str]:
    async with db.reading() as tx:
        feed = await platform.events(tx, cursor=after, **how)  # type: ignore[arg-type]
    return [uuid.UUID(str(e.subject)).int for e in feed.items], feed.next


async def test_a_reader_who_goes_on_sees_every_fact_once(db: Database) -> None:
    await tell(db, 1, 2, 3)
    first, place = await read(db, limit=2)
    second, place = await read(db, place, limit=2)
    empty, again = await read(db, place, limit=2)
    assert (sorted(first + second), empty) == ([1, 2, 3], [])
    await tell(db, 4)
    assert (await read(db, again))[0] == [4]
    assert (await read(db, place))[0] == [4]


async def test_a_slow_transaction_is_waited_for(db: Database) -> None:
    async with db.transaction() as slow:
        await slow.value("select pg_current_xact_id()")
        slow.emit(
            ReviewWithdrawn(
                review_id=uuid.UUID(int=1), product_id=uuid.UUID(int=7), reason="withdrawn"
            )
        )
        await tell(db, 2)
        seen, place = await read(db)
        assert seen == []
    assert (await read(db, place))[0] == [1, 2]


async def test_only_public_kinds_and_those_asked_for(db: Database) -> None:
    await tell(db, 1)
    async with db.transaction() as tx:
        tx.emit(QuestionAsked(question_id=uuid.UUID(int=2), product_id=uuid.UUID(int=7)))
        tx.emit(identity.CodeIssued(letter_id=uuid.UUID(int=3)))
    assert (await read(db))[0] == [1, 2]
    assert (await read(db, kinds=["community.question_asked"]))[0] == [2]
    with pytest.raises(UnknownKind):
        await read(db, kinds=["identity.code_issued"])


async def test_a_rare_kind_is_found_behind_many_others(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pinwheel.platform.open.queries.LOOKED_AT", 5)
    await tell(db, *range(1, 13))
    async with db.transaction() as tx:
        tx.emit(QuestionAsked(question_id=uuid.UUID(int=99), product_id=uuid.UUID(int=7)))
    seen: list[int] = []
    place: str | None = None
    for _ in range(4):
        found, place = await read(db, place, kinds=["community.question_asked"])
        seen += found
    assert seen == [99]


@pytest.mark.parametrize(
    "bad", ["x", cursor("a", "b"), cursor(2**70, uuid.UUID(int=1)), cursor(-1, uuid.UUID(int=1))]
)
async def test_a_cursor_nobody_gave_out_is_refused(db: Database, bad: str) -> None:
    with pytest.raises(Invalid):
        await read(db, bad)


@pytest.fixture
async def api(db: Database) -> AsyncIterator[httpx2.AsyncClient]:
    edge = app.edge(Settings(secret="s" * 32, rate_limit_per_second=0), db)
    async with web_world.client(edge, db) as http:
        yield http


async def key(db: Database, *scopes: str) -> dict[str, str]:
    async with db.transaction() as tx:
        person = await identity.register(tx, f"{uuid.uuid4().hex}@example.com", kind="operator")
        caller = Caller(kind="operator", person_id=person.id, scopes=frozenset({"*"}))
        made = await identity.make_key(tx, caller, "test", list(scopes))
    return {"authorization": f"Bearer {made.key}"}


async def test_rights_are_asked_for(db: Database, api: httpx2.AsyncClient) -> None:
    reader, keeper = await key(db, "events:read"), await key(db, "webhooks")
    hook = {"url": "https://hooks.example.com/a"}
    assert (await api.get("/api/v1/events")).status_code == 401
    assert (await api.get("/api/v1/events", headers=keeper)).status_code == 403
    assert (await api.get("/api/v1/events", headers=reader)).status_code == 200
    assert (await api.post("/api/v1/webhooks", json=hook, headers=reader)).status_code == 403
    assert (await api.get("/api/v1/webhooks", headers=reader)).status_code == 403
    made = await api.post("/api/v1/webhooks", json=hook, headers=keeper)
    assert made.status_code == 201 and made.json()["secret"].startswith("whsec_")
    listed = await api.get("/api/v1/webhooks", headers=keeper)
    assert listed.json()[0]["url"] == hook["url"] and "whsec_" not in listed.text


@pytest.mark.parametrize(
    "address", ["http://example.com/", "https://127.0.0.1/", "https://[::1]/", "https://a:b@c.com/"]
)
async def test_a_private_address_is_refused_with_a_sentence(
    db: Database, api: httpx2.AsyncClient, address: str
) -> None:
    headers = await key(db, "webhooks")
    answer = await api.post("/api/v1/webhooks", json={"url": address}, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["code"] == "address_refused"


async def test_a_hook_is_kept_through_the_api(db: Database, api: httpx2.AsyncClient) -> None:
    headers = await key(db, "*")
    async with db.transaction() as tx:
        made = await platform.add_endpoint(tx, NewEndpoint(url="https://hooks.example.com/"))
    one = f"/api/v1/webhooks/{made.endpoint_id}"
    changed = await api.put(
        one, json={"url": "https://hooks.example.com/b", "kinds": []}, headers=headers
    )
    assert changed.json()["url"].endswith("/b")
    assert (await api.post(f"{one}/rotate", headers=headers, json={})).json()["previous_until"]
    off = await api.post(f"{one}/disable", headers=headers, json={})
    assert off.json()["enabled"] is False
    assert (await api.post(f"{one}/enable", headers=headers, json={})).json()["enabled"] is True
    since = {"since": "2020-01-01T00:00:00Z"}
    assert (await api.post(f"{one}/replay", headers=headers, json=since)).json()["count"] >= 1
    log = (await api.get(f"{one}/deliveries", headers=headers)).json()
    ids = {"event_ids": [d["event_id"] for d in log["items"]]}
    again = await api.post(f"{one}/retry", headers=headers, json=ids)
    assert again.json()["count"] == len(log["items"])
    assert (await api.delete(one, headers=headers)).status_code == 200
    assert (await api.get(one, headers=headers)).status_code == 404


async def test_the_document_describes_the_feed_as_it_answers(
    db: Database, api: httpx2.AsyncClient
) -> None:
    await tell(db, 1)
    document = msgspec.json.decode((await api.get("/api/v1/openapi.json")).content)
    answer = await api.get("/api/v1/events", headers=await key(db, "events:read"))
    operation = document["paths"]["/api/v1/events"]["get"]
    schema = operation["responses"]["200"]["content"]["application/json"]["schema"]
    whole = schema | {"components": document["components"]}
    jsonschema_rs.validator_for(whole).validate(answer.json())
    kinds = (await api.get("/api/v1/event-kinds")).json()
    assert {k["kind"] for k in kinds} >= {"orders.order_placed", "identity.person_erased"}
