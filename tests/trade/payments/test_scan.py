"""Paying with a phone: the code is paid, declined, runs out, is paid late, is confirmed twice."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path

import pytest

import web_world
from pinwheel import faces
from pinwheel.kernel.caller import Caller
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import NotFound
from pinwheel.kernel.jobs import Worker
from pinwheel.kernel.settings import Settings
from pinwheel.kernel.web import Edge, routes_of
from pinwheel.trade import payments
from pinwheel.trade.payments import web
from pinwheel.trade.payments.model import Payment, Scan
from pinwheel.trade.payments.sandbox import Sandbox
from trade.payments.till import Till

BUYER = uuid.UUID(int=7)


async def opened(till: Till) -> Payment:
    (payment,) = await till.pay(till.new("tok_scan", person_id=BUYER, return_url="/orders/x"))
    assert payment.state == "needs_action"
    assert payment.action_url == f"/pay/{payment.id}"
    return payment


async def code_of(db: Database, payment: Payment, person_id: uuid.UUID = BUYER) -> Scan:
    async with db.reading() as tx:
        return await payments.scan_of(tx, payment.id, person_id)


async def test_the_code_is_its_buyers_and_good_for_five_minutes(till: Till, db: Database) -> None:
    payment = await opened(till)
    code = await code_of(db, payment)
    assert code.url == f"/sandbox/payments/{payment.id}"
    assert (code.until - db.clock.now()).total_seconds() == 300
    assert (code.amount_minor, code.return_url) == (1000, "/orders/x")
    with pytest.raises(NotFound):
        await code_of(db, payment, uuid.UUID(int=8))
    (other,) = await till.pay(till.new("tok_challenge", person_id=BUYER))
    with pytest.raises(NotFound):
        await code_of(db, other)


@pytest.mark.parametrize("approve", [True, False])
async def test_the_phone_decides(
    till: Till, db: Database, sandbox: Sandbox, worker: Worker, approve: bool
) -> None:
    payment = await opened(till)
    await sandbox.decide(payment.id, approve=approve)
    await worker.drain()
    now = await till.now(payment)
    assert now.state == ("captured" if approve else "failed")
    assert await till.clearing() == (1000 if approve else 0)
    told = ["payment_needs_action", "payment_secured" if approve else "payment_failed"]
    assert await till.told(payment.order_id) == told
    await till.healthy()


async def test_a_code_that_nobody_used_runs_out_and_stays_so(
    till: Till, db: Database, sandbox: Sandbox, clock: SetClock, worker: Worker
) -> None:
    payment = await opened(till)
    clock.travel(seconds=299)
    await worker.drain()
    assert (await till.now(payment)).state == "needs_action"
    clock.travel(seconds=2)
    await worker.drain()
    ended = await till.now(payment)
    assert (ended.state, ended.reason) == ("failed", "code_ran_out")
    assert (await sandbox.decide(payment.id, approve=True)).state == "declined"
    clock.travel(seconds=2)
    await worker.drain()
    assert (await till.now(payment)).state == "failed"
    assert (await code_of(db, payment)).reason == "code_ran_out"


async def test_a_confirmation_after_the_end_is_taken_in_once(
    till: Till, db: Database, sandbox: Sandbox, clock: SetClock, worker: Worker
) -> None:
    payment = await opened(till)
    clock.travel(seconds=301)
    await worker.drain()
    for _ in range(2):
        await sandbox.decide(payment.id, approve=True, in_time=False)
        clock.travel(seconds=2)
        await worker.drain()
    assert (await till.now(payment)).state == "captured"
    assert await till.clearing() == 1000
    told = ["payment_needs_action", "payment_failed", "payment_secured"]
    assert await till.told(payment.order_id) == told
    await till.healthy()


async def test_confirming_twice_at_once_pays_once(
    till: Till, sandbox: Sandbox, clock: SetClock, worker: Worker
) -> None:
    payment = await opened(till)
    await asyncio.gather(*(sandbox.decide(payment.id, approve=True) for _ in range(4)))
    owed = "select count(*) from sandbox.notice where charge_key = $1"
    assert await sandbox.pool.fetchval(owed, payment.id) == 1
    await worker.drain()
    await sandbox.decide(payment.id, approve=False)
    clock.travel(seconds=2)
    await worker.drain()
    assert (await till.now(payment)).captured_minor == 1000
    assert await till.clearing() == 1000


async def recognise(db: Database, token: str, bearer: str) -> Caller:
    return Caller()


async def test_the_phone_stays_on_its_own_page(
    till: Till, db: Database, clock: SetClock, worker: Worker, tmp_path: Path
) -> None:
    settings = Settings(
        secret="a" * 64, public_url=web_world.HOST, data_dir=tmp_path, rate_limit_per_second=0
    )
    edge = Edge(
        settings,
        routes_of(web),
        recognise=recognise,
        lifespan=web_world.nothing,
        loader=faces.page_loader(),
    )
    phone = web_world.Browser(edge, db, language="en")
    paid, late = await opened(till), await opened(till)
    there = (await code_of(db, paid)).url
    answer = await phone.post(there, {"approve": "true"})
    assert answer.headers["location"] == f"/en{there}"
    assert "<form" not in (await phone.get(there)).text
    clock.travel(seconds=301)
    await worker.drain()
    there = (await code_of(db, late)).url
    page = (await phone.get(there)).text
    assert "has run out" in page and 'name="in_time" value="false"' in page
    await phone.post(there, {"approve": "true", "in_time": "false"})
    assert "Paid" in (await phone.get(there)).text
