"""Capture, void and refund: written down first, sent once, never too much."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.jobs import Worker
from pinwheel.trade import payments
from pinwheel.trade.payments.model import NewRefund, Outcome
from pinwheel.trade.payments.sandbox import Faults, Sandbox, set_faults
from trade.payments.till import Till


async def credit(db: Database, person: uuid.UUID, amount: int) -> None:
    async with db.transaction() as tx:
        await payments.grant_store_credit(
            tx, person, amount, "CNY", source=payments.bank("CNY"), document_kind="gift_card",
            document_id=person, key="granted", reason="gift card",
        )  # fmt: skip


async def test_part_captures_and_the_rest_goes_back(
    till: Till, db: Database, worker: Worker
) -> None:
    (held,) = await till.pay(till.new(amount=1000, capture=False))
    assert await till.clearing() == 0
    async with db.transaction() as tx:
        await payments.capture(tx, held.id, 300)
        await payments.capture(tx, held.id, 400)
        refused = await payments.capture(tx, held.id, 301)
    assert isinstance(refused, payments.CaptureTooLarge)
    assert refused.facts["left"] == 300
    async with db.transaction() as tx:
        await payments.void(tx, [held.id])
        assert isinstance(await payments.capture(tx, held.id, 1), payments.CaptureTooLarge)
    await worker.drain()
    now = await till.now(held)
    assert (now.state, now.captured_minor, now.is_voided) == ("captured", 700, True)
    assert not now.is_unwanted
    told = await till.told(held.order_id)
    assert told == ["payment_secured", "payment_captured", "payment_captured"]
    assert await till.clearing() == 700
    await till.healthy()


async def test_a_second_capture_may_be_refused(till: Till, db: Database, worker: Worker) -> None:
    (held,) = await till.pay(till.new("tok_one_capture", capture=False))
    async with db.transaction() as tx:
        await payments.capture(tx, held.id, 300)
        await payments.capture(tx, held.id, 300)
    await worker.drain()
    assert (await till.now(held)).captured_minor == 300
    assert "capture_failed" in await till.told(held.order_id)
    async with db.transaction() as tx:  # what failed is free again
        assert not isinstance(await payments.capture(tx, held.id, 700), payments.CaptureTooLarge)


async def test_a_repeated_capture_is_one(till: Till, db: Database, worker: Worker) -> None:
    (held,) = await till.pay(till.new(capture=False))
    key = till.id()
    for _ in range(2):
        async with db.transaction() as tx:
            await payments.capture(tx, held.id, 400, instruction_id=key)
        await worker.drain()
    assert await till.clearing() == 400


async def test_two_refunds_at_once_never_exceed(till: Till, worker: Worker) -> None:
    (paid,) = await till.pay(till.new(amount=1000))

    def one(tx: Tx) -> Any:
        return payments.refund_order(tx, paid.order_id, 600, "returned")

    given, refused = await till.both_at_once(one, one)
    assert [r.amount_minor for r in given] == [600]
    assert isinstance(refused, payments.RefundTooLarge)
    assert refused.facts == {"left": 400, "asked": 600, "currency": "CNY"}
    await worker.drain()
    assert (await till.now(paid)).refunded_minor == 600
    assert (await till.clearing(), await till.deposits()) == (400, 400)
    await till.healthy()


async def test_a_repeated_refund_is_one(till: Till, db: Database, worker: Worker) -> None:
    (paid,) = await till.pay(till.new())
    new = NewRefund(id=till.id(), payment_id=paid.id, amount_minor=400, reason="damaged")
    for _ in range(2):
        async with db.transaction() as tx:
            first, second = await payments.refund(tx, [new, new])
            assert first == second
        await worker.drain()
    assert (await till.told(paid.order_id)).count("refund_completed") == 1
    assert await till.clearing() == 600


async def test_killed_between_sending_and_recording(
    till: Till, db: Database, worker: Worker, sandbox: Sandbox
) -> None:
    """The provider has refunded, we have died before we knew: the repeat is the same refund."""
    (paid,) = await till.pay(till.new())
    async with db.transaction() as tx:
        (refund,) = await payments.refund_order(tx, paid.order_id, 300, "returned")  # type: ignore[misc]
    async with db.reading() as tx:
        steps = await payments.steps_to_send(tx, [refund.id])
    await sandbox.refund(steps)  # and nobody records
    await worker.drain()
    there = await db.pool.fetchval("select refunded_minor from sandbox.charge")
    assert (there, (await till.now(paid)).refunded_minor) == (300, 300)
    await till.healthy()


async def test_a_provider_that_is_down_is_asked_again(
    till: Till, db: Database, worker: Worker, sandbox: Sandbox, clock: SetClock
) -> None:
    paid = await till.pay(till.new(), till.new())
    await set_faults(sandbox.pool, Faults(is_down=True))
    async with db.transaction() as tx:
        for payment in paid:
            await payments.refund_order(tx, payment.order_id, 1000, "returned")
    await worker.drain()
    assert await till.clearing() == 2000
    await set_faults(sandbox.pool, Faults())
    clock.travel(seconds=60)
    await worker.drain()
    assert await till.clearing() == 0
    await till.healthy()


async def test_a_refused_refund_is_told_and_can_be_asked_again(
    till: Till, db: Database, worker: Worker
) -> None:
    (paid,) = await till.pay(till.new("tok_refund_fails"))
    async with db.transaction() as tx:
        await payments.refund_order(tx, paid.order_id, 1000, "returned")
    await worker.drain()
    assert await till.told(paid.order_id) == ["payment_secured", "refund_failed"]
    assert await till.clearing() == 1000
    async with db.reading() as tx:
        (waiting,) = await payments.failed_refunds(tx)
        assert await payments.refundable_of(tx, paid.order_id) == 1000
    await db.pool.execute("update sandbox.charge set token = 'tok_ok'")
    for _ in range(2):
        async with db.transaction() as tx:
            await payments.retry_refund(tx, waiting.id)
        await worker.drain()
    assert await till.clearing() == 0
    async with db.reading() as tx:
        assert await payments.failed_refunds(tx) == []
    await till.healthy()


async def test_a_refund_that_bounces_is_here_again(
    till: Till, db: Database, worker: Worker
) -> None:
    (paid,) = await till.pay(till.new())
    async with db.transaction() as tx:
        (refund,) = await payments.refund_order(tx, paid.order_id, 400, "returned")  # type: ignore[misc]
    await worker.drain()
    bounced = Outcome(
        payment_id=paid.id, state="refund_failed", amount_minor=400, instruction_id=refund.id,
        reason="account_closed",
    )  # fmt: skip
    done = Outcome(payment_id=paid.id, state="refunded", amount_minor=400, instruction_id=refund.id)
    async with db.transaction() as tx:
        await payments.record(tx, [bounced, bounced, done])
    assert (await till.now(paid)).refunded_minor == 0
    assert (await till.clearing(), await till.deposits()) == (1000, 1000)
    assert await till.told(paid.order_id) == [
        "payment_secured",
        "refund_completed",
        "refund_failed",
    ]


async def test_several_tenders_are_refunded_in_order_to_the_cent(
    till: Till, db: Database, worker: Worker
) -> None:
    """Last charged first, store credit last; each never more than it paid."""
    order, person = till.id(), till.id()
    await credit(db, person, 500)
    paid = await till.pay(
        till.new(provider="store_credit", method="", amount=500, order_id=order, person_id=person),
        till.new(amount=300, order_id=order, tender_order=1),
        till.new(amount=200, order_id=order, tender_order=2),
    )
    assert [p.state for p in paid] == ["captured"] * 3
    assert await till.balance(payments.store_credit(person, "CNY")) == 0
    assert await till.deposits() == 1000
    async with db.transaction() as tx:
        parts = await payments.refund_order(tx, order, 620, "returned")
    assert isinstance(parts, list)
    assert [(p.payment_id, p.amount_minor) for p in parts] == [
        (paid[2].id, 200),
        (paid[1].id, 300),
        (paid[0].id, 120),
    ]
    async with db.transaction() as tx:
        refused = await payments.refund_order(tx, order, 381, "returned")
        assert isinstance(refused, payments.RefundTooLarge)
        await payments.refund_order(tx, order, 380, "returned")
    await worker.drain()
    assert await till.balance(payments.store_credit(person, "CNY")) == 500
    assert (await till.clearing(), await till.deposits()) == (0, 0)
    await till.healthy()


async def test_store_credit_is_held_and_never_overdrawn(
    till: Till, db: Database, worker: Worker
) -> None:
    person = till.id()
    await credit(db, person, 500)
    tender = {"provider": "store_credit", "method": "", "person_id": person, "capture": False}
    (held,) = await till.pay(till.new(amount=400, **tender))
    async with db.transaction() as tx:
        (refused,) = await payments.start(tx, [till.new(amount=101, **tender)])
    assert isinstance(refused, payments.StoreCreditTooLow)
    assert refused.facts["left"] == 100
    async with db.transaction() as tx:
        await payments.capture(tx, held.id, 150)
        await payments.capture(tx, held.id, 150)
    await worker.drain()
    async with db.transaction() as tx:
        await payments.void(tx, [held.id])
    await worker.drain()
    assert await till.balance(payments.store_credit(person, "CNY")) == 200
    (all_of_it,) = await till.start(till.new(amount=200, **tender))
    assert all_of_it.state == "processing"
    await till.healthy()


async def test_store_credit_given_up_before_its_answer_stays(
    till: Till, db: Database, worker: Worker
) -> None:
    person = till.id()
    await credit(db, person, 500)
    (started,) = await till.start(
        till.new(provider="store_credit", method="", person_id=person, amount=500)
    )
    outcomes = await payments.charge(db, [started])
    async with db.transaction() as tx:
        await payments.refund_all(tx, started.order_id, "given up")
    await worker.drain()
    async with db.transaction() as tx:
        await payments.record(tx, outcomes)
    assert (await till.now(started)).state == "failed"
    assert await till.balance(payments.store_credit(person, "CNY")) == 500
    await till.healthy()


@pytest.mark.parametrize("capture", [True, False])
async def test_giving_everything_back_twice_is_once(
    till: Till, db: Database, worker: Worker, capture: bool
) -> None:
    order = till.id()
    await till.pay(*(till.new(order_id=order, capture=capture) for _ in range(2)))
    for _ in range(3):
        async with db.transaction() as tx:
            await payments.refund_all(tx, order, "the team failed")
        await worker.drain()
    told = await till.told(order)
    assert told.count("refund_completed" if capture else "payment_voided") == 2
    assert await till.clearing() == 0
    await till.healthy()


async def test_a_chargeback_is_lost_or_won(
    till: Till, db: Database, worker: Worker, sandbox: Sandbox, clock: SetClock
) -> None:
    lost, won = await till.pay(till.new(), till.new())
    keys = [await sandbox.dispute(p.id, 1000) for p in (lost, won)]
    await worker.drain()
    assert await till.clearing() == 0
    assert await till.balance(payments.chargebacks("CNY")) == 2000
    async with db.transaction() as tx:
        refused = await payments.refund_order(tx, lost.order_id, 1, "returned")
    assert isinstance(refused, payments.RefundTooLarge)
    async with db.reading() as tx:
        assert len(await payments.open_disputes(tx)) == 2
    await sandbox.close_dispute(lost.id, keys[0], won=False)
    await sandbox.close_dispute(won.id, keys[1], won=True)
    clock.travel(seconds=1)
    await worker.drain()
    assert await till.clearing() == 1000
    assert await till.balance(payments.chargebacks("CNY")) == 1000
    assert await till.told(won.order_id) == [
        "payment_secured",
        "payment_disputed",
        "dispute_closed",
    ]
    await till.healthy()


async def test_a_chargeback_that_ends_before_it_begins(till: Till, db: Database) -> None:
    (paid,) = await till.pay(till.new())
    about = {"payment_id": paid.id, "amount_minor": 1000, "ref": "dp_1"}
    async with db.transaction() as tx:
        await payments.record(tx, [Outcome(state="dispute_won", **about)])  # type: ignore[arg-type]
        await payments.record(tx, [Outcome(state="disputed", **about)])  # type: ignore[arg-type]
    assert await till.clearing() == 1000
    assert await till.balance(payments.chargebacks("CNY")) == 0
    await till.healthy()


async def test_a_card_number_in_a_reason_is_refused(till: Till, db: Database) -> None:
    (paid,) = await till.pay(till.new())
    async with db.transaction() as tx:
        answer = await payments.refund_order(tx, paid.order_id, 1, "to 5555 5555 5555 4444")
    assert isinstance(answer, payments.CardNumberRefused)
