"""The doors: webhooks over HTTP, stored methods, the sandbox's page."""

from __future__ import annotations

import random
import uuid
from pathlib import Path

import httpx2
import pytest

import web_world
from pinwheel import faces
from pinwheel.kernel.caller import Caller
from pinwheel.kernel.db import Database
from pinwheel.kernel.settings import Settings
from pinwheel.kernel.web import Edge, routes_of
from pinwheel.trade import payments
from pinwheel.trade.payments import web
from pinwheel.trade.payments.sandbox import Faults, Sandbox, deliveries, set_faults
from trade.payments.till import Till

PERSONS = {"one": uuid.UUID(int=1), "two": uuid.UUID(int=2)}


async def recognise(db: Database, token: str, bearer: str) -> Caller:
    if bearer in PERSONS:
        return Caller(kind="program", person_id=PERSONS[bearer])
    return Caller()


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    settings = Settings(
        secret="a" * 64, public_url=web_world.HOST, data_dir=tmp_path, rate_limit_per_second=0
    )
    return Edge(
        settings,
        routes_of(web),
        recognise=recognise,
        lifespan=web_world.nothing,
        loader=faces.page_loader(),
    )


@pytest.fixture
def program(edge: Edge, db: Database) -> httpx2.AsyncClient:
    return web_world.client(edge, db, accept="application/json")


async def test_a_webhook_is_answered_after_the_commit(
    till: Till, db: Database, sandbox: Sandbox, program: httpx2.AsyncClient
) -> None:
    await set_faults(sandbox.pool, Faults(tells_all=True))
    (started,) = await till.start(till.new())
    await payments.charge(db, [started])
    (sent,) = await deliveries(sandbox.pool, db.clock.now(), random.Random(1))
    address = "/api/v1/webhooks/payments/sandbox"
    headers = {"content-type": "application/json", **sent.delivery.headers}
    bad = await program.post(address, content=sent.delivery.body + b" ", headers=headers)
    assert (bad.status_code, bad.json()["code"]) == (401, "webhook_refused")
    assert await till.clearing() == 0
    for _ in range(2):
        good = await program.post(address, content=sent.delivery.body, headers=headers)
        assert (good.status_code, good.json()) == (200, {"notices": 1})
    assert await till.clearing() == 1000
    nobody = await program.post("/api/v1/webhooks/payments/nobody", content=b"{}")
    assert nobody.status_code == 404


async def test_methods_over_http(program: httpx2.AsyncClient) -> None:
    address = "/api/v1/me/payment-methods"
    mine, other = ({"authorization": f"Bearer {who}"} for who in PERSONS)
    card = {"provider": "sandbox", "token": "4242424242424242", "brand": "Visa", "last4": "4242"}
    refused = await program.post(address, json=card, headers=mine)
    assert (refused.status_code, refused.json()["code"]) == (422, "card_number_refused")
    assert "4242424242424242" not in refused.text
    saved = await program.post(address, json={**card, "token": "tok_ok"}, headers=mine)
    assert saved.status_code == 201
    (shown,) = (await program.get(address, headers=mine)).json()
    assert shown["last4"] == "4242" and "token" not in shown
    assert (await program.get(address, headers=other)).json() == []
    there = f"{address}/{shown['id']}"
    assert (await program.delete(there, headers=other)).status_code == 404
    assert (await program.post(f"{there}/default", headers=other)).status_code == 404
    assert (await program.get(address)).status_code == 401
    assert (await program.delete(there, headers=mine)).status_code == 204


@pytest.mark.parametrize("language", ["en", "zh-CN"])
@pytest.mark.parametrize("approve", ["true", "false"])
async def test_the_sandbox_page(
    till: Till, edge: Edge, db: Database, language: str, approve: str
) -> None:
    (paid,) = await till.pay(till.new("tok_challenge", return_url="/orders/x?paid=1"))
    browser = web_world.Browser(edge, db, language=language)
    page = await browser.get(paid.action_url)
    assert page.status_code == 200
    assert ("simulation" if language == "en" else "模拟") in page.text
    answer = await browser.post(paid.action_url, {"approve": approve})
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/{language}/orders/x?paid=1"
    state = await db.pool.fetchval("select state from sandbox.charge where key = $1", paid.id)
    assert state == ("captured" if approve == "true" else "declined")
    again = await browser.get(paid.action_url)
    assert "<form" not in again.text


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("/orders/1", "/orders/1"),
        ("https://shop.test/zh-CN/orders/1?x=2", "/orders/1?x=2"),
        ("//evil.test/x", "/x"),
        ("https://evil.test//also.evil.test", ""),
        ("javascript:alert(1)", ""),
        ("", ""),
    ],
)
async def test_the_way_back_stays_in_the_shop(url: str, path: str) -> None:
    assert web._own_path(url) == path
