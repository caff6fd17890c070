"""Webhooks: signed, fresh, taken in once; and the sandbox's ways to spoil them."""

from __future__ import annotations

import random
from functools import partial

import msgspec
import pytest

from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import NotFound
from pinwheel.kernel.jobs import Worker
from pinwheel.trade import payments
from pinwheel.trade.payments.model import Delivery
from pinwheel.trade.payments.sandbox import Faults, Sandbox, deliveries, set_faults
from trade.payments.till import Till


async def one_delivery(till: Till, sandbox: Sandbox, db: Database) -> Delivery:
    await set_faults(sandbox.pool, Faults(tells_all=True))
    (started,) = await till.start(till.new())
    await payments.charge(db, [started])
    sent = await deliveries(sandbox.pool, db.clock.now(), random.Random(1))
    return sent[0].delivery


async def receive(db: Database, *deliveries: Delivery) -> list[object]:
    async with db.transaction() as tx:
        return list(await payments.receive(tx, "sandbox", deliveries))


async def test_a_copy_counts_once(till: Till, db: Database, sandbox: Sandbox) -> None:
    delivery = await one_delivery(till, sandbox, db)
    assert await receive(db, delivery, delivery) == [1, 0]
    assert await receive(db, delivery) == [1]  # new to this call, known to the shop
    assert await till.clearing() == 1000
    assert await db.pool.fetchval("select count(*) from payments.notice") == 1
    assert await db.pool.fetchval(
        "select count(*) from kernel.event where kind = 'payments.payment_secured'"
    ) == 1  # fmt: skip


@pytest.mark.parametrize("how", ["body", "signature", "id", "timestamp", "none", "rubbish"])
async def test_a_tampered_webhook_changes_nothing(
    till: Till, db: Database, sandbox: Sandbox, how: str
) -> None:
    good = await one_delivery(till, sandbox, db)
    headers, body = dict(good.headers), good.body
    if how == "body":
        body = body.replace(b"1000", b"9000")
    elif how == "none":
        headers = {}
    elif how == "rubbish":
        body = b"\xff\xfe{"
    else:
        headers[f"webhook-{how}"] = {
            "signature": "v1,AAAA",
            "id": "another",
            "timestamp": "1767603601",
        }[how]
    (answer,) = await receive(db, Delivery(headers, body))
    assert isinstance(answer, payments.WebhookRefused)
    assert answer.status == 401
    assert await till.clearing() == 0
    assert await db.pool.fetchval("select count(*) from payments.notice") == 0


@pytest.mark.parametrize(("seconds", "taken"), [(299, True), (301, False), (-301, False)])
async def test_an_old_webhook_is_refused(
    till: Till, db: Database, sandbox: Sandbox, clock: SetClock, seconds: int, taken: bool
) -> None:
    delivery = await one_delivery(till, sandbox, db)
    clock.travel(seconds=seconds)
    (answer,) = await receive(db, delivery)
    assert (answer == 1) == taken


async def test_one_bad_among_good_ones(till: Till, db: Database, sandbox: Sandbox) -> None:
    good = await one_delivery(till, sandbox, db)
    bad = msgspec.structs.replace(good, body=good.body + b" ")
    answers = await receive(db, bad, good)
    assert isinstance(answers[0], payments.WebhookRefused)
    assert answers[1] == 1
    assert await till.clearing() == 1000


async def test_nobodys_webhook(db: Database) -> None:
    async with db.transaction() as tx:
        (answer,) = await payments.receive(tx, "nobody", [Delivery({}, b"")])
    assert isinstance(answer, NotFound)


async def test_a_lost_webhook_is_found_by_the_sweeper(
    till: Till, worker: Worker, sandbox: Sandbox, clock: SetClock
) -> None:
    await set_faults(sandbox.pool, Faults(drops=1.0))
    (paid,) = await till.pay(till.new("tok_delayed_ok"))
    clock.travel(seconds=25)
    await worker.drain()
    assert (await till.now(paid)).state == "processing"
    clock.travel(seconds=20)
    await worker.drain()
    assert (await till.now(paid)).state == "captured"


async def test_a_tampered_delivery_is_sent_again(
    till: Till, db: Database, worker: Worker, sandbox: Sandbox, clock: SetClock
) -> None:
    await set_faults(sandbox.pool, Faults(tells_all=True, tampers=1.0))
    (started,) = await till.start(till.new())
    await payments.charge(db, [started])
    await worker.drain()
    assert await till.clearing() == 0
    await set_faults(sandbox.pool, Faults(tells_all=True))
    clock.travel(seconds=6)
    await worker.drain()
    assert await till.clearing() == 1000


async def test_a_refund_at_the_provider_is_taken_in(
    till: Till, worker: Worker, sandbox: Sandbox
) -> None:
    (paid,) = await till.pay(till.new())
    await sandbox.refund_there(paid.id, 250)
    await worker.drain()
    assert (await till.now(paid)).refunded_minor == 250
    assert await till.told(paid.order_id) == ["payment_secured", "refund_completed"]
    await till.healthy()


async def test_webhooks_cost_a_constant_number_of_statements(
    till: Till, db: Database, sandbox: Sandbox
) -> None:
    await set_faults(sandbox.pool, Faults(tells_all=True))
    await till.pay(till.new())
    counts = []
    for count in (1, 120):
        started = await till.start(*(till.new() for _ in range(count)))
        await payments.charge(db, started)
        sent = await deliveries(sandbox.pool, db.clock.now(), random.Random(1))
        async with db.transaction() as tx:
            await payments.receive(tx, "sandbox", [s.delivery for s in sent])
            counts.append(tx.statements)
        await db.attempt(partial(_settled, sandbox=sandbox))
    assert counts[0] == counts[1] == 6


async def _settled(tx: object, sandbox: Sandbox) -> None:
    await sandbox.pool.execute("update sandbox.notice set ended_at = now()")
