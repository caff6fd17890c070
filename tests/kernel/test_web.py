"""The edge: forms that can't be forged, answers after the commit, clear refusals."""

from __future__ import annotations

import io
import json
import shutil
import uuid
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import httpx2
import msgspec
import pytest
from jinja2 import DictLoader

from pinwheel.kernel import migrate, observe
from pinwheel.kernel.caller import Caller
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Overloaded, Refusal
from pinwheel.kernel.settings import Settings
from pinwheel.kernel.web import Answer, Call, Edge, Limit, See, get, post
from pinwheel.kernel.web.guards import client_address
from pinwheel.kernel.web.openapi import document
from web_world import HOST, Browser, client, nothing

SECRET = "a secret of the test installation"
PERSON = uuid.UUID(int=7)


class Note(msgspec.Struct):
    name: str
    value: Annotated[int, msgspec.Meta(ge=0, le=10)] = 0


class NameTaken(Refusal):
    en = "The name {name} is taken. Choose another."
    zh = "名称 {name} 已被使用，请换一个。"


@get("/notes/{name:str}", "/api/v1/notes/{name:str}")
async def note(tx: Tx, name: str) -> Answer[Note]:
    """One note."""
    value = await tx.value("select value from kernel.setting where name = $1", name)
    return Answer(Note(name, value or 0), page="note.html", part="_note.html")


@post(
    "/notes",
    "/api/v1/notes",
    once=True,
    again=("form.html", "Write"),
    status=201,
    refusals=(NameTaken,),
)
async def write(tx: Tx, call: Call, data: Note) -> See[Note]:
    """Write a note."""
    done = await tx.run(
        "insert into kernel.setting (name, value, changed_at, changed_by) values ($1, $2, $3, $4)"
        " on conflict do nothing",
        data.name,
        data.value,
        tx.now,
        call.caller.actor,
    )
    if not done:
        raise NameTaken(name=data.name)
    return See(f"/notes/{data.name}", data)


@post("/api/v1/late-failure")
async def late(tx: Tx) -> Answer[str]:
    """Fails when it commits: a deferred constraint is checked there."""
    await tx.run(
        "create temp table twice (id int, unique (id) deferrable initially deferred) on commit drop"
    )
    await tx.run("insert into twice values (1), (1)")
    return Answer("done")


@get("/api/v1/write-in-a-question")
async def sneaky(tx: Tx) -> Answer[int]:
    return Answer(await tx.run("delete from kernel.setting"))


@get("/broken")
async def broken() -> Answer[None]:
    raise RuntimeError("the password is swordfish")


@get("/api/v1/busy")
async def busy() -> Answer[None]:
    raise Overloaded(7)


@get("/api/v1/operate", scope="operate")
async def operate(call: Call) -> Answer[str]:
    return Answer(call.caller.actor)


@post("/api/v1/tight", limits=(("tight", Limit(2, 60)),))
async def tight() -> Answer[str]:
    return Answer("done")


@get("/api/v1/list")
async def listed(
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 20, tag: list[str] | None = None
) -> Answer[dict[str, Any]]:
    return Answer({"limit": limit, "tag": tag})


async def recognise(db: Database, token: str, bearer: str) -> Caller:
    if bearer:
        scopes = frozenset({"operate"}) if bearer == "pk_operator" else frozenset[str]()
        return Caller(kind="program", key_id=PERSON, scopes=scopes)
    return Caller(session_id=uuid.uuid5(PERSON, token) if token else None)


ROUTES = [note, write, late, sneaky, broken, busy, operate, tight, listed]
PAGES = {
    "note.html": "<h1>{{ name }}: {{ value }}</h1>{% include '_note.html' %}"
    '<input name="csrf_token" value="{{ csrf_token }}">',
    "_note.html": "<p>{{ it.name }} {{ 1234 | money('CNY') }} {{ _('Search') }}</p>",
    "form.html": "<p>{{ error }}</p><i>{{ errors.value }}</i><b>{{ form.name }}</b>",
}


def edge_with(**settings: Any) -> Edge:
    chosen = Settings(**{"secret": SECRET, "rate_limit_per_second": 0, **settings})
    return Edge(
        chosen,
        ROUTES,
        recognise=recognise,
        lifespan=nothing,
        loader=DictLoader(PAGES),
        lines=observe.Lines(io.BytesIO()),
    )


@pytest.fixture
def edge() -> Edge:
    return edge_with()


@pytest.fixture
def browser(edge: Edge, db: Database) -> Browser:
    return Browser(edge, db)


@pytest.fixture
def program(edge: Edge, db: Database) -> httpx2.AsyncClient:
    return client(edge, db, accept="application/json", authorization="Bearer pk_one")


async def count(db: Database) -> int:
    async with db.reading() as tx:
        return int(await tx.value("select count(*) from kernel.setting"))


async def test_a_failing_commit_is_an_error_and_not_an_answer(program: httpx2.AsyncClient) -> None:
    answer = await program.post("/api/v1/late-failure")
    assert answer.status_code == 500
    assert "done" not in answer.text


async def test_a_form_without_its_token_changes_nothing(browser: Browser, db: Database) -> None:
    await browser.get("/notes/a")
    for token in ("", "x" * 22, "é"):
        browser.token = token
        assert (await browser.post("/notes", {"name": "a"})).status_code == 403
    assert await count(db) == 0


async def test_a_form_with_the_token_of_another_session_changes_nothing(
    edge: Edge, browser: Browser, db: Database
) -> None:
    mallory = Browser(edge, db)
    await mallory.get("/notes/a")
    await browser.get("/notes/a")
    browser.token = mallory.token
    assert (await browser.post("/notes", {"name": "a"})).status_code == 403
    assert await count(db) == 0


async def test_a_form_of_a_browser_without_cookies_changes_nothing(
    browser: Browser, db: Database
) -> None:
    await browser.get("/notes/a")
    browser.http.cookies.clear()
    assert (await browser.post("/notes", {"name": "a"})).status_code == 403
    assert await count(db) == 0


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://elsewhere.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
)
async def test_a_form_from_elsewhere_changes_nothing(
    browser: Browser, db: Database, headers: dict[str, str]
) -> None:
    await browser.get("/notes/a")
    answer = await browser.post("/notes", {"name": "a"}, headers=headers)
    assert answer.status_code == 403
    assert await count(db) == 0


async def test_a_tampered_cookie_is_no_session(edge: Edge, browser: Browser) -> None:
    await browser.get("/notes/a")
    token = browser.http.cookies["pinwheel"]
    assert edge.seals.is_ours(token)
    changed = token.translate(str.maketrans("AB", "BA")).swapcase()
    for forged in (token[:-1], changed, token.split(".")[0], "x.y", ".", ""):
        assert not edge.seals.is_ours(forged)
    browser.http.cookies.clear()
    browser.http.cookies.set("pinwheel", changed, domain="shop.test")
    answer = await browser.get("/notes/a")
    assert "pinwheel=" in answer.headers["set-cookie"], "a fresh session is issued"


async def test_a_form_that_is_sent_writes_and_goes_to_see(browser: Browser, db: Database) -> None:
    await browser.get("/notes/a")
    answer = await browser.post("/notes", {"name": "a", "value": "3"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/en/notes/a")
    assert "a: 3" in (await browser.get("/notes/a")).text


async def test_htmx_gets_the_piece_and_a_redirect_it_understands(browser: Browser) -> None:
    await browser.get("/notes/a")
    headers = {"hx-request": "true", "x-csrf-token": browser.token}
    piece = await browser.get("/notes/a", headers=headers)
    assert piece.text.startswith("<p>a CN¥12.34")
    answer = await browser.post("/notes", {"name": "b"}, headers=headers)
    assert (answer.status_code, answer.headers["hx-redirect"]) == (204, "/en/notes/b")


async def test_a_refused_form_is_shown_again_with_what_was_filled_in(browser: Browser) -> None:
    await browser.get("/notes/a")
    answer = await browser.post("/notes", {"name": "a", "value": "11"})
    assert answer.status_code == 422
    assert "<i>Expected `int` &lt;= 10</i><b>a</b>" in answer.text


async def test_a_program_gets_problem_details_in_its_language(program: httpx2.AsyncClient) -> None:
    body = {"name": "a"}
    assert (await program.post("/api/v1/notes", json=body)).status_code == 201
    answer = await program.post("/api/v1/notes", json=body, headers={"accept-language": "zh"})
    assert answer.status_code == 409
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["code"] == "name_taken"
    assert problem["detail"] == "名称 a 已被使用，请换一个。"
    assert problem["facts"] == {"name": "a"}
    assert problem["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b'{"name": ', 400, "malformed_body"),
        (b"\xff\xfe", 400, "malformed_body"),
        (b"", 400, "malformed_body"),
        (b'{"value": 1}', 422, "invalid"),
        (b'{"name": "a", "value": "1"}', 422, "invalid"),
        (b'{"name": "a", "value": 99}', 422, "invalid"),
        (b'{"name": "a\\u0000"}', 422, "invalid"),
        (b'{"name": "' + b"a" * 1_000_001 + b'"}', 413, "body_too_large"),
    ],
)
async def test_input_that_does_not_fit_is_refused(
    program: httpx2.AsyncClient, db: Database, body: bytes, status: int, code: str
) -> None:
    headers = {"content-type": "application/json"}
    answer = await program.post("/api/v1/notes", content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert await count(db) == 0


async def test_another_content_type_is_refused(program: httpx2.AsyncClient) -> None:
    headers = {"content-type": "text/xml"}
    answer = await program.post("/api/v1/notes", content=b"<a/>", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_body")


async def test_a_missing_field_is_named(program: httpx2.AsyncClient) -> None:
    problem = (await program.post("/api/v1/notes", json={})).json()
    assert problem["facts"]["where"] == "name"
    assert problem["facts"]["why_zh"] == "此项必填"


async def test_unknown_addresses_and_methods(program: httpx2.AsyncClient, browser: Browser) -> None:
    assert (await program.get("/api/v1/nowhere")).json()["code"] == "no_such_page"
    answer = await program.put("/api/v1/notes", json={})
    assert (answer.status_code, answer.json()["code"]) == (405, "method_not_allowed")
    assert answer.headers["allow"] == "OPTIONS, POST"
    assert (await program.options("/api/v1/notes/a")).headers["allow"] == "GET, HEAD, OPTIONS"
    assert (await program.options("/api/v1/nowhere")).status_code == 404
    page = await browser.get("/nowhere")
    assert page.status_code == 404
    assert "There is nothing at this address" in page.text


async def test_what_went_wrong_inside_is_told_to_nobody(browser: Browser, caplog: Any) -> None:
    page = await browser.get("/broken")
    assert page.status_code == 500
    assert "swordfish" not in page.text
    assert page.headers["x-request-id"] in page.text
    assert "swordfish" in caplog.text


async def test_a_question_can_not_write(program: httpx2.AsyncClient) -> None:
    assert (await program.get("/api/v1/write-in-a-question")).status_code == 500


async def test_busy_says_when_to_come_back(program: httpx2.AsyncClient) -> None:
    answer = await program.get("/api/v1/busy")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "7")


async def test_rights(edge: Edge, db: Database, program: httpx2.AsyncClient) -> None:
    assert (await program.get("/api/v1/operate")).status_code == 403
    nobody = client(edge, db, accept="application/json")
    answer = await nobody.get("/api/v1/operate")
    assert (answer.status_code, "bearer" in answer.headers["www-authenticate"].lower()) == (
        401,
        True,
    )
    operator = client(edge, db, authorization="bearer pk_operator")
    assert (await operator.get("/api/v1/operate")).json() == f"program:{PERSON}"


async def test_a_tight_limit_holds_over_processes(db: Database) -> None:
    for _ in range(2):
        one = client(edge_with(), db, authorization="Bearer pk_one")
        assert (await one.post("/api/v1/tight")).status_code == 200
    another = client(edge_with(), db, authorization="Bearer pk_one")
    answer = await another.post("/api/v1/tight")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "60")
    db.clock.travel(seconds=60)  # type: ignore[attr-defined]
    assert (await another.post("/api/v1/tight")).status_code == 200


async def test_the_general_limit_refuses_a_flood(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = 0.0
    monkeypatch.setattr("pinwheel.kernel.rate.time", SimpleNamespace(monotonic=lambda: at))
    flood = client(edge_with(rate_limit_per_second=1), db)
    statuses = [(await flood.get("/api/v1/list")).status_code for _ in range(6)]
    assert statuses == [200, 200, 200, 200, 429, 429]
    at = 1.0
    statuses = [(await flood.get("/api/v1/list")).status_code for _ in range(2)]
    assert statuses == [200, 429]


async def test_a_repeat_with_the_same_key_gets_the_first_answer(
    program: httpx2.AsyncClient, db: Database
) -> None:
    key = {"idempotency-key": "one"}
    first = await program.post("/api/v1/notes", json={"name": "a"}, headers=key)
    again = await program.post("/api/v1/notes", json={"name": "a"}, headers=key)
    assert (first.status_code, first.json()) == (again.status_code, again.json())
    assert again.headers["idempotent-replayed"] == "true"
    other = await program.post("/api/v1/notes", json={"name": "b"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (422, "key_reused")
    assert await count(db) == 1


async def test_a_refusal_leaves_its_key_unused(program: httpx2.AsyncClient, db: Database) -> None:
    await program.post("/api/v1/notes", json={"name": "a"})
    key = {"idempotency-key": "one"}
    refused = await program.post("/api/v1/notes", json={"name": "a"}, headers=key)
    assert refused.status_code == 409
    async with db.transaction() as tx:
        await tx.run("delete from kernel.setting")
    done = await program.post("/api/v1/notes", json={"name": "a"}, headers=key)
    assert done.status_code == 201


async def test_a_browser_is_sent_to_its_language(edge: Edge, db: Database) -> None:
    someone = client(edge, db, accept="text/html", **{"accept-language": "fr,zh-TW;q=.8,en;q=.5"})
    answer = await someone.get("/notes/a?q=1")
    assert (answer.status_code, answer.headers["location"]) == (302, "/zh-CN/notes/a?q=1")
    strange = await someone.get("//elsewhere.example/a")
    assert strange.headers["location"].startswith("/zh-CN/")
    await someone.get("/en/notes/a")
    assert (await someone.get("/")).headers["location"] == "/en/"


async def test_queries_are_read_and_refused_by_name(program: httpx2.AsyncClient) -> None:
    answer = await program.get("/api/v1/list?limit=5&tag=a&tag=b&unknown=1")
    assert answer.json() == {"limit": 5, "tag": ["a", "b"]}
    for bad in ("limit=0", "limit=x", "limit="):
        refused = await program.get(f"/api/v1/list?{bad}")
        if bad == "limit=":
            assert refused.json()["limit"] == 20
        else:
            assert (refused.status_code, refused.json()["facts"]["where"]) == (422, "limit")


async def test_the_line_of_a_request_holds_no_secret(edge: Edge, db: Database) -> None:
    someone = client(edge, db, authorization="Bearer pk_secret", cookie="pinwheel=cookie_secret")
    await someone.get("/notes/a?token=query_secret", headers={"x-request-id": "sane-0123456789"})
    assert edge.lines is not None
    edge.lines.flush()
    out = edge.lines.out
    assert isinstance(out, io.BytesIO)
    line = json.loads(out.getvalue().splitlines()[-1])
    assert "secret" not in json.dumps(line)
    assert (line["route"], line["status"], line["caller"]) == ("/notes/{name}", 200, "program")
    assert line["request_id"] == "sane-0123456789"


async def test_a_strange_request_id_is_replaced(program: httpx2.AsyncClient) -> None:
    answer = await program.get("/api/v1/list", headers={"x-request-id": 'a" injected="1'})
    assert answer.headers["x-request-id"].isalnum()


async def test_headers_of_every_answer(edge: Edge, browser: Browser, db: Database) -> None:
    for answer in (await browser.get("/notes/a"), await browser.get("/nowhere")):
        policy = answer.headers["content-security-policy"]
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
    cookie = (await Browser(edge_with(secure_cookies=True), db).get("/notes/a")).headers
    assert "__Host-pinwheel=" in cookie["set-cookie"]
    assert "strict-transport-security" in cookie
    for flag in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
        assert flag in cookie["set-cookie"]


async def test_a_release_unpacked_beside_it_leaves_it_ready(
    edge: Edge, db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(migrate.folder(), tmp_path, dirs_exist_ok=True)
    (tmp_path / "9999_of_the_next_release.sql").write_text("select 1")
    monkeypatch.setattr(migrate, "folder", lambda: tmp_path)
    assert (await client(edge, db).get("/readyz")).status_code == 200


async def test_health_readiness_metrics(edge: Edge, db: Database) -> None:
    local = client(edge, db)
    assert (await local.get("/healthz")).json() == {"status": "up"}
    assert (await local.get("/readyz")).status_code == 200
    metrics = (await local.get("/metrics")).text
    assert 'pinwheel_requests_total{method="GET",route="/healthz",status="200"}' in metrics
    assert "pinwheel_pool" in metrics
    outside = await local.get("/metrics", headers={"x-forwarded-for": "203.0.113.9"})
    assert outside.status_code == 401
    async with db.transaction() as tx:
        await tx.run("delete from kernel.migration where name like '0001%'")
    assert (await local.get("/readyz")).status_code == 503


async def test_the_document_names_what_may_happen(edge: Edge, db: Database) -> None:
    document = (await client(edge, db).get("/api/v1/openapi.json")).json()
    operation = document["paths"]["/api/v1/notes"]["post"]
    assert set(operation["responses"]) >= {"201", "401", "403", "409", "413", "422", "429"}
    assert operation["parameters"][0]["name"] == "Idempotency-Key"
    assert "/notes" not in document["paths"]
    limit = document["paths"]["/api/v1/list"]["get"]["parameters"][0]
    assert (limit["schema"]["maximum"], limit["required"]) == (100, False)


def test_the_document_reads_like_prose() -> None:
    async def wish() -> Answer[None]:
        """Order at once. Send a ``key``: a repeat
        answers with the same order."""
        return Answer(None)

    async def short() -> Answer[None]:
        """One sentence that goes on
        over two lines."""
        return Answer(None)

    routes = [post("/api/v1/wishes", tags=("zoo",))(wish), get("/api/v1/short")(short)]
    made = document(routes, "1", "http://shop.test", {"Zoo": "Animals."})
    operation = made["paths"]["/api/v1/wishes"]["post"]
    assert operation["summary"] == "Order at once."
    assert operation["description"].startswith("Order at once. Send a `key`: a repeat\nanswers")
    assert operation["tags"] == ["Zoo"]
    plain = made["paths"]["/api/v1/short"]["get"]
    assert plain["summary"] == "One sentence that goes on over two lines."
    assert "description" not in plain
    assert made["tags"][0] == {"name": "Zoo", "description": "Animals."}
    assert made["info"]["description"]


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),  # not a proxy of ours
        ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("10.0.0.1", "1.2.3.4, 198.51.100.1, 10.0.0.2", "198.51.100.1"),  # the first one is made up
        ("10.0.0.1", "nonsense", "10.0.0.1"),
        ("10.0.0.1", "", "10.0.0.1"),
    ],
)
def test_only_a_trusted_proxy_is_believed(peer: str, forwarded: str, address: str) -> None:
    assert client_address(peer, forwarded, "10.0.0.0/8") == address


def test_host_of_tests_is_no_real_one() -> None:
    assert HOST.endswith(".test")
