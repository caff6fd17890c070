"""The doors of tracking: who may send, what a page may send, what is too much, the console."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

import msgspec
import pytest

from console_world import Desk, open_desk
from insight_world import said, send, shown
from pinwheel.ground import identity
from pinwheel.kernel.caller import Caller
from pinwheel.kernel.db import Database
from pinwheel.kernel.jobs import Worker
from web_world import HOST, client

BATCH, BEACON = "/api/v1/tracking/events", "/api/v1/tracking/beacon"
PAGE = {
    "origin": HOST,
    "sec-fetch-site": "same-origin",
    "user-agent": "Mozilla/5.0 (Android; Mobile)",
}


@pytest.fixture
async def desk(db: Database, tmp_path: Path) -> Desk:
    return await open_desk(db, tmp_path)


async def key(db: Database, *scopes: str) -> dict[str, str]:
    async with db.transaction() as tx:
        person = await identity.register(tx, f"{uuid.uuid4().hex}@example.com", kind="operator")
        caller = Caller(kind="operator", person_id=person.id, scopes=frozenset({"*"}))
        made = await identity.make_key(tx, caller, "test", list(scopes))
    return {"authorization": f"Bearer {made.key}"}


def beacon(*events: dict[str, Any], **more: Any) -> bytes:
    bare = [{k: e[k] for k in ("id", "name", "occurred_at", "properties")} for e in events]
    whose = {"visitor_id": "visitor-1", "session_id": "session-1", "consent": True}
    return msgspec.json.encode({"events": bare, **whose, **more})


async def test_a_batch_takes_a_key_or_a_session(desk: Desk, worker: Worker) -> None:
    db = desk.db
    body = msgspec.json.encode([said(), said(at=db.clock.now())])
    async with client(desk.edge, db) as http:
        assert (await http.post(BATCH, content=body)).status_code == 401
        reader = await key(db, "tracking:read")
        assert (await http.post(BATCH, content=body, headers=reader)).status_code == 403
        writer = await key(db, "tracking")
        answer = await http.post(BATCH, content=body, headers=writer)
        assert (answer.status_code, answer.json()["accepted"]) == (202, 2)
        lines = b"\n".join(msgspec.json.encode(said()) for _ in range(3))
        kind = {"content-type": "application/x-ndjson"}
        answer = await http.post(BATCH, content=lines, headers=writer | kind)
        assert answer.json()["accepted"] == 3
    buyer = await desk.signed_in("buyer")
    # A session may not say who it is: the server knows.
    lie = msgspec.json.encode([said(person_id=str(uuid.uuid4()))])
    token = {"x-csrf-token": buyer.token, "content-type": "application/json"}
    assert (await buyer.http.post(BATCH, content=lie)).status_code == 403
    answer = await buyer.http.post(BATCH, content=lie, headers=token)
    assert answer.json()["accepted"] == 1
    people = {e.person_id for e in await shown(db, worker) if e.source == "web"}
    assert people == {desk.people["buyer"]}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[" + b" " * 8_000_001 + b"]", 413),
        (b"[" + b",".join([b"1"] * 5_001) + b"]", 413),
        (b"[1", 400),
        (b"", 202),
    ],
)
async def test_what_is_too_much_or_nothing(desk: Desk, body: bytes, status: int) -> None:
    async with client(desk.edge, desk.db) as http:
        answer = await http.post(BATCH, content=body, headers=await key(desk.db, "tracking"))
    assert answer.status_code == status
    taken = "select count(*) from tracking.inbox where source = 'api'"
    assert await desk.db.pool.fetchval(taken) == 0


async def test_a_beacon_comes_from_the_shops_own_pages(desk: Desk, worker: Worker) -> None:
    db = desk.db
    text = {"content-type": "text/plain;charset=UTF-8"}
    async with client(desk.edge, db, **text) as http:
        for headers, status in (
            (PAGE, 202),
            ({**PAGE, "sec-fetch-site": "cross-site"}, 403),
            ({**PAGE, "origin": "https://elsewhere.example"}, 403),
            ({"user-agent": "Mozilla/5.0"}, 403),
        ):
            answer = await http.post(BEACON, content=beacon(said()), headers=headers)
            assert answer.status_code == status, headers
        for no in ({"sec-gpc": "1"}, {"dnt": "1"}):
            answer = await http.post(BEACON, content=beacon(said()), headers={**PAGE, **no})
            assert answer.json()["withheld"] == 1
        robot = {**PAGE, "user-agent": "Mozilla/5.0 HeadlessChrome/140"}
        await http.post(BEACON, content=beacon(said(), visitor_id="robot"), headers=robot)
        statuses = [
            (await http.post(BEACON, content=beacon(said()), headers=PAGE)).status_code
            for _ in range(130)
        ]
        assert statuses[-1] == 429
    events = {e.visitor_id: e for e in await shown(db, worker) if e.source == "web"}
    assert events["robot"].bot_reason == "agent"
    assert events["visitor-1"].context["device"] == "phone"


async def test_a_visitor_who_says_no_in_one_tab_is_left_alone_in_the_other(
    desk: Desk, worker: Worker
) -> None:
    async with client(desk.edge, desk.db, **PAGE) as http:
        await http.post(BEACON, content=beacon(said()))
        no = {"visitor_id": "visitor-1", "is_granted": False}
        assert (await http.post("/api/v1/tracking/consent", json=no)).status_code == 204
        await http.post(BEACON, content=beacon(said()))
        elsewhere = {"origin": "https://elsewhere.example"}
        answer = await http.post("/api/v1/tracking/consent", json=no, headers=elsewhere)
        assert answer.status_code == 403
    # Both wait; what came in at or after the no is left out.
    assert [e for e in await shown(desk.db, worker) if e.source == "web"] == []


async def test_who_follows_the_hidden_link_is_a_program(desk: Desk, worker: Worker) -> None:
    async with client(desk.edge, desk.db, **PAGE) as http:
        answer = await http.get("/api/v1/tracking/trap", params={"session_id": "session-1"})
        assert answer.status_code == 200
        await http.post(BEACON, content=beacon(said()))
        robots = (await http.get("/robots.txt")).text
        page = (await http.get("/en/help/privacy", headers={"accept": "text/html"})).text
    assert "Disallow: /api/" in robots and "/api/v1/tracking/trap" in page
    assert [e.bot_reason for e in await shown(desk.db, worker) if e.source == "web"] == ["honeypot"]


async def test_schemas_feed_and_replay_by_api(desk: Desk, worker: Worker) -> None:
    db = desk.db
    new = {"name": "lamp_lit", "title": {"en": "Lamp lit"},
           "properties": [{"name": "watts", "type": "integer", "minimum": 1}]}  # fmt: skip
    await send(db, said("lamp_lit", properties={"watts": 40}))
    async with client(desk.edge, db, **await key(db, "tracking", "tracking:read")) as http:
        assert (await http.post("/api/v1/tracking/schemas", json=new)).json()["version"] == 1
        worse = {**new, "properties": []}
        refused = await http.post("/api/v1/tracking/schemas", json=worse)
        assert (refused.status_code, refused.json()["code"]) == (409, "schema_incompatible")
        waits = (await http.get("/api/v1/tracking/quarantine")).json()["items"]
        assert [q["reason"] for q in waits] == ["unknown"]
        again = await http.post("/api/v1/tracking/quarantine/replay", json={})
        assert again.json() == {"accepted": 1, "duplicates": 0, "refused": 0}
        await shown(db, worker)
        feed = (await http.get("/api/v1/tracking/feed")).json()
        lit = [e["properties"] for e in feed["items"] if e["name"] == "lamp_lit"]
        assert lit == [{"watts": 40}]
        rest = await http.get("/api/v1/tracking/feed", params={"after": feed["next"]})
        assert rest.json() == {"items": [], "next": feed["next"]}


async def test_the_console_shows_and_mends(desk: Desk, worker: Worker) -> None:
    db = desk.db
    await send(db, said(), said(properties={"colour": "red"}), said("page_failed"))
    await shown(db, worker)
    operator = await desk.signed_in("operator")
    seen = await operator.get("/console/tracking")
    assert "Page viewed" in seen.text and "<polyline" in seen.text
    waits = await operator.get("/console/tracking/quarantine")
    assert "properties do not fit" in waits.text and "colour" in waits.text
    editor = await operator.get("/console/tracking/schemas", params={"name": "page_viewed"})
    assert "page string max=300" in editor.text
    form = {"name": "page_viewed", "title_en": "Page viewed", "title_zh": "浏览页面",
            "purpose": "analytics",
            "properties": "page string max=300\nkind string max=40\ncolour string"}  # fmt: skip
    assert (await operator.post("/console/tracking/schemas", form)).status_code == 303
    wrong = {**form, "properties": "page nonsense"}
    answer = await operator.post("/console/tracking/schemas", wrong)
    assert answer.headers["location"].endswith("name=page_viewed")
    pressed = await operator.post(
        "/console/tracking/quarantine/replay", {"reason": "properties", "name": "page_viewed"}
    )
    assert pressed.status_code == 303
    assert len([e for e in await shown(db, worker) if e.name == "page_viewed"]) == 2
    clerk = await desk.signed_in("clerk")
    assert (await clerk.get("/console/tracking")).status_code == 403
    chinese = await desk.signed_in("operator", "zh-CN")
    assert "浏览页面" in (await chinese.get("/console/tracking")).text


async def test_a_profile_is_shown_noted_merged_and_taken_apart(desk: Desk) -> None:
    operator, buyer = await desk.signed_in("operator"), await desk.signed_in("buyer")
    del buyer
    who = desk.people["buyer"]
    async with desk.db.transaction() as tx:
        await identity.register(tx, "second@shop.test", kind="buyer")
    here = f"/console/profiles/{who}"
    note = {"name": "clothing_size", "value": "M", "source": "said", "evidence": "a call"}
    assert (await operator.post(f"{here}/traits", note)).status_code == 303
    merge = {"email": "second@shop.test", "reason": "same telephone"}
    assert (await operator.post(f"{here}/merge", merge)).status_code == 303
    page = (await operator.get(here)).text
    assert "Clothing size" in page and "a call" in page and "Undo the merge" in page
    clerk = await desk.signed_in("clerk")
    assert (await clerk.get(here)).status_code == 403
    async with desk.db.reading() as tx:
        looked = await identity.access_to(tx, who)
    assert {"profile", "merge"} <= {a.what for a in looked}
