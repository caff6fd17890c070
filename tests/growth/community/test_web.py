"""Word of mouth over HTTP: who may do what, and what a program sees."""

from __future__ import annotations

import io
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from PIL import Image

import web_world
from growth.community.street import Street
from pinwheel import app
from pinwheel.ground import identity, media
from pinwheel.ground.identity import Caller
from pinwheel.kernel.db import Database
from pinwheel.kernel.settings import Settings


@pytest.fixture
async def api(db: Database, tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    media.use(db, tmp_path)
    edge = app.edge(Settings(secret="s" * 32, rate_limit_per_second=0), db)
    async with web_world.client(edge, db) as http:
        yield http


async def key(db: Database, *scopes: str) -> tuple[uuid.UUID, dict[str, str]]:
    kind = "operator" if scopes else "buyer"
    async with db.transaction() as tx:
        person = await identity.register(tx, f"{uuid.uuid4().hex}@example.com", kind=kind)
        rights = frozenset({"*"}) if scopes else frozenset()
        caller = Caller(kind=kind, person_id=person.id, scopes=rights)
        made = await identity.make_key(tx, caller, "test", list(scopes))
    return person.id, {"authorization": f"Bearer {made.key}"}


async def test_a_review_from_writing_to_its_verdict(
    street: Street, db: Database, api: httpx2.AsyncClient
) -> None:
    buyer, ann = await key(db)
    _, bob = await key(db)
    _, shop = await key(db, "community")
    at = f"/api/v1/products/{street.products[0]}"
    review = {"rating": 4, "title": "Good", "body": "<i>Bright</i>. See www.lamp.example"}
    assert (await api.post(f"{at}/reviews", json=review)).status_code in (401, 403)
    refused = await api.post(f"{at}/reviews", json=review, headers=ann)
    assert (refused.status_code, refused.json()["code"]) == (403, "nothing_delivered")
    await street.sell([(buyer, 0)])
    kept = Image.new("RGB", (8, 8))
    raw = io.BytesIO()
    kept.save(raw, "PNG")
    png = {"content-type": "image/png"}
    sent = await api.post("/api/v1/pictures", content=raw.getvalue(), headers=ann | png)
    review["pictures"] = [sent.json()["id"]]
    once = {"idempotency-key": "a-first-try"}
    written = await api.post(f"{at}/reviews", json=review, headers=ann | once)
    again = await api.post(f"{at}/reviews", json=review, headers=ann | once)
    assert written.status_code == again.status_code == 201
    assert written.json() == again.json() and written.json()["state"] == "pending"
    assert (await api.get(f"{at}/reviews")).json()["reviews"] == []
    assert (await api.get("/api/v1/moderation", headers=bob)).status_code == 403
    [waiting] = (await api.get("/api/v1/moderation", headers=shop)).json()["items"]
    assert waiting["signals"][0]["kind"] == "link"
    verdict = {"verdicts": [{"id": waiting["id"], "publish": True}]}
    assert (await api.post("/api/v1/moderation", json=verdict, headers=bob)).status_code == 403
    assert (await api.post("/api/v1/moderation", json=verdict, headers=shop)).json()["count"] == 1
    seen = (await api.get(f"{at}/reviews")).json()
    assert seen["rating"]["stars"] == [0, 0, 0, 1, 0]
    assert seen["reviews"][0]["body"] == "Bright. See www.lamp.example"
    one = f"/api/v1/reviews/{waiting['id']}"
    assert (await api.post(f"{one}/vote", json={}, headers=bob)).json() == {"helpful": 1}
    assert (await api.post(f"{one}/vote", json={}, headers=ann)).status_code == 409
    reply = {"words": "Thank you"}
    assert (await api.post(f"{one}/reply", json=reply, headers=bob)).status_code == 403
    assert (await api.post(f"{one}/reply", json=reply, headers=shop)).status_code == 200
    assert (await api.put(one, json={"rating": 1}, headers=bob)).status_code == 404
    assert (await api.delete(one, headers=bob)).status_code == 404
    assert (await api.delete(one, headers=ann)).status_code == 200
    own = (await api.get("/api/v1/account/reviews", headers=ann)).json()["items"]
    assert [r["state"] for r in own] == ["withdrawn"]
    assert not await street.broken()


async def test_a_question_over_http(street: Street, db: Database, api: httpx2.AsyncClient) -> None:
    _, ann = await key(db)
    _, shop = await key(db, "community")
    at = f"/api/v1/products/{street.products[0]}/questions"
    asked = await api.post(at, json={"words": "Is it heavy?", "author": "A"}, headers=ann)
    question = f"/api/v1/questions/{asked.json()['id']}/answers"
    assert (await api.post(question, json={"words": "No"}, headers=ann)).status_code == 403
    assert (await api.post(question, json={"words": "No"}, headers=shop)).status_code == 201
    [found] = (await api.get(at)).json()["items"]
    assert [a["standing"] for a in found["answers"]] == ["shop"]
    report = {"subject_id": asked.json()["id"], "reason": "spam"}
    assert (await api.post("/api/v1/reports", json=report, headers=shop)).status_code == 201
    assert (await api.post("/api/v1/reports", json=report, headers=ann)).status_code == 409
    gone = f"/api/v1/words/{asked.json()['id']}"
    assert (await api.delete(gone, headers=shop)).status_code == 404
    assert (await api.delete(gone, headers=ann)).status_code == 200
    assert (await api.get(at)).json()["items"] == []


@pytest.mark.parametrize(
    "query", ["after=x", "order=best", "stars=6", "limit=0", "after=WzFlNDAsICJhIl0"]
)
async def test_a_bad_question_is_refused(
    street: Street, api: httpx2.AsyncClient, query: str
) -> None:
    answer = await api.get(f"/api/v1/products/{street.products[0]}/reviews?{query}")
    assert answer.status_code == 422
