"""What providers say, taken in twice, late, out of order, or never."""

from __future__ import annotations

import itertools
import random
import uuid
from typing import Any

import asyncpg
import msgspec
import pytest

from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import Invalid
from pinwheel.kernel.jobs import Worker
from pinwheel.trade import payments
from pinwheel.trade.payments.model import Outcome, Payment
from pinwheel.trade.payments.sandbox import Faults, Sandbox, set_faults
from trade.payments.till import Till


async def record(db: Database, *outcomes: Outcome) -> None:
    async with db.transaction() as tx:
        await payments.record(tx, outcomes)


def captured(payment: Payment, total: int | None = None) -> Outcome:
    return Outcome(
        payment_id=payment.id,
        state="captured",
        authorised_minor=payment.amount_minor,
        captured_minor=payment.amount_minor if total is None else total,
    )


def refunded(payment: Payment, amount: int, ref: str = "re_1") -> Outcome:
    return Outcome(payment_id=payment.id, state="refunded", amount_minor=amount, ref=ref)


async def test_a_payment_is_taken_and_told_once(till: Till, db: Database) -> None:
    (paid,) = await till.pay(till.new(amount=1999))
    assert (paid.state, paid.captured_minor) == ("captured", 1999)
    assert await till.told(paid.order_id) == ["payment_secured"]
    assert (await till.clearing(), await till.deposits()) == (1999, 1999)
    await record(db, captured(paid), captured(paid))
    await record(db, captured(paid))
    assert await till.told(paid.order_id) == ["payment_secured"]
    assert await till.clearing() == 1999
    await till.healthy()


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("tok_declined", "card_declined"),
        ("tok_insufficient_funds", "insufficient_funds"),
        ("tok_expired_card", "expired_card"),
        ("tok_nobody_knows", "invalid_token"),
    ],
)
async def test_a_declined_payment_ends(till: Till, token: str, reason: str) -> None:
    (paid,) = await till.pay(till.new(token))
    assert (paid.state, paid.reason) == ("failed", reason)
    assert await till.told(paid.order_id) == ["payment_failed"]
    assert await till.clearing() == 0


async def test_every_order_of_the_same_words_comes_to_the_same(till: Till, db: Database) -> None:
    """Capture, refund and bounce notices in all orders, with copies: one truth."""
    ends = set()
    for order in itertools.permutations(range(4)):
        (started,) = await till.start(till.new(amount=1000))
        words = [
            Outcome(payment_id=started.id, state="authorised", authorised_minor=1000),
            captured(started, 400),
            captured(started),
            refunded(started, 600),
        ]
        before = await till.clearing()
        for position in order:
            await record(db, words[position])
            await record(db, words[position], words[order[0]])
        now = await till.now(started)
        told = sorted(await till.told(started.order_id))
        assert told.count("payment_secured") == told.count("refund_completed") == 1
        ends.add((now.state, now.captured_minor, now.refunded_minor, now.kept_minor))
        assert await till.clearing() - before == 400
    assert ends == {("captured", 1000, 600, 0)}
    await till.healthy()


async def test_a_refund_before_its_capture_is_kept(till: Till, db: Database) -> None:
    (started,) = await till.start(till.new(amount=1000))
    await record(db, refunded(started, 300))
    now = await till.now(started)
    assert (now.state, now.kept_minor, now.refunded_minor) == ("processing", 300, 0)
    assert await till.told(started.order_id) == []
    assert await till.clearing() == 0
    await record(db, captured(started))
    now = await till.now(started)
    assert (now.kept_minor, now.refunded_minor) == (0, 300)
    assert await till.told(started.order_id) == ["payment_secured", "refund_completed"]
    assert (await till.clearing(), await till.deposits()) == (700, 700)
    await till.healthy()


async def test_a_failure_after_success_is_ignored_and_success_after_failure_is_told(
    till: Till, db: Database
) -> None:
    (one,) = await till.pay(till.new())
    await record(db, Outcome(payment_id=one.id, state="failed", reason="late"))
    assert (await till.now(one)).state == "captured"
    (two,) = await till.pay(till.new("tok_declined"))
    await record(db, captured(two))
    assert (await till.now(two)).state == "captured"
    assert await till.told(two.order_id) == ["payment_failed", "payment_secured"]
    await till.healthy()


async def test_capture_notice_after_void_is_refunded_by_itself(
    till: Till, db: Database, worker: Worker, sandbox: Sandbox
) -> None:
    """The void was answered, and yet the money was taken: nobody wants it, so it goes back."""
    (held,) = await till.pay(till.new(capture=False))
    async with db.transaction() as tx:
        await payments.void(tx, [held.id])
    await worker.drain()
    assert (await till.now(held)).state == "voided"
    await db.pool.execute(
        "update sandbox.charge set captured_minor = 1000, state = 'captured' where key = $1",
        held.id,
    )
    await record(db, captured(held))
    await worker.drain()
    now = await till.now(held)
    assert (now.state, now.captured_minor, now.refunded_minor) == ("captured", 1000, 1000)
    assert await till.told(held.order_id) == [
        "payment_secured",
        "payment_voided",
        "payment_captured",
        "refund_completed",
    ]
    assert (await till.clearing(), await till.deposits()) == (0, 0)
    await till.healthy()


async def test_success_after_the_order_gave_up_goes_back(
    till: Till, db: Database, worker: Worker
) -> None:
    """Given up while the answer was under way: no PaymentSecured any more, and a refund."""
    (started,) = await till.start(till.new())
    outcomes = await payments.charge(db, [started])
    async with db.transaction() as tx:
        await payments.refund_all(tx, started.order_id, "the order was given up")
    await record(db, *outcomes)
    await worker.drain()
    now = await till.now(started)
    assert (now.captured_minor, now.refunded_minor) == (1000, 1000)
    assert "payment_secured" not in await till.told(started.order_id)
    assert await till.clearing() == 0
    await till.healthy()


async def test_less_than_asked_for_is_no_payment(till: Till, db: Database, worker: Worker) -> None:
    (started,) = await till.start(till.new(amount=1000, capture=False))
    await payments.charge(db, [started])
    await record(db, Outcome(payment_id=started.id, state="authorised", authorised_minor=400))
    now = await till.now(started)
    assert (now.is_secured, now.is_unwanted) == (False, True)
    assert await till.told(started.order_id) == ["payment_failed"]
    await worker.drain()
    assert (await till.now(started)).is_voided
    await till.healthy()


async def test_killed_between_charge_and_record(
    till: Till, db: Database, worker: Worker, clock: SetClock
) -> None:
    """The provider has the money, we have died: the sweeper finds out."""
    started = await till.start(*(till.new(token) for token in ("tok_ok", "tok_declined")))
    await payments.charge(db, started)  # and nobody records
    clock.travel(seconds=31)
    await worker.drain()
    assert [(await till.now(p)).state for p in started] == ["captured", "failed"]
    assert await till.told(started[0].order_id) == ["payment_secured"]
    assert await till.clearing() == 1000
    await till.healthy()


async def test_killed_before_charge(
    till: Till, db: Database, worker: Worker, clock: SetClock
) -> None:
    """The provider has never heard of it: it is closed there first, so that it can't come late."""
    (started,) = await till.start(till.new())
    clock.travel(seconds=31)
    await worker.drain()
    now = await till.now(started)
    assert (now.state, now.reason) == ("failed", "never_arrived")
    await record(db, *await payments.charge(db, [started]))  # the request that was stuck on its way
    assert (await till.now(started)).state == "failed"
    assert await till.clearing() == 0
    await till.healthy()


@pytest.mark.parametrize(
    ("token", "end"),
    [
        ("tok_timeout_ok", "captured"),
        ("tok_timeout_declined", "failed"),
        ("tok_timeout_lost", "failed"),
    ],
)
async def test_no_answer_ends_all_the_same(
    till: Till, worker: Worker, clock: SetClock, token: str, end: str
) -> None:
    (paid,) = await till.pay(till.new(token))
    assert paid.state == "unknown"
    clock.travel(seconds=31)
    await worker.drain()
    assert (await till.now(paid)).state == end
    await till.healthy()


async def test_a_provider_that_is_down_is_unknown_and_recovers(
    till: Till, db: Database, worker: Worker, clock: SetClock, sandbox: Sandbox
) -> None:
    await set_faults(sandbox.pool, Faults(is_down=True))
    paid = await till.pay(till.new(), till.new())
    assert [p.state for p in paid] == ["unknown", "unknown"]
    clock.travel(seconds=31)
    await worker.drain()
    assert (await till.now(paid[0])).state == "unknown"
    await set_faults(sandbox.pool, Faults())
    clock.travel(seconds=120)
    await worker.drain()
    assert (await till.now(paid[0])).state == "failed"
    await till.healthy()


async def test_a_challenge_waits_for_the_buyer(
    till: Till, worker: Worker, clock: SetClock, sandbox: Sandbox
) -> None:
    yes, no, away = await till.pay(*(till.new("tok_challenge") for _ in range(3)))
    assert yes.state == "needs_action"
    assert yes.action_url.endswith(str(yes.id))
    assert await till.told(yes.order_id) == ["payment_needs_action"]
    await sandbox.decide(yes.id, approve=True)
    await sandbox.decide(no.id, approve=False)
    await sandbox.decide(no.id, approve=True)  # too late: the first answer stands
    await worker.drain()
    assert (await till.now(yes)).state == "captured"
    assert (await till.now(no)).reason == "challenge_declined"
    assert (await till.now(away)).state == "needs_action"
    for _ in range(8):
        clock.travel(seconds=400)
        await worker.drain()
    assert (await till.now(away)).state == "failed"
    assert (await sandbox.decide(away.id, approve=True)).state == "canceled"
    await till.healthy()


@pytest.mark.parametrize("token", ["tok_delayed_ok", "tok_delayed_declined"])
async def test_a_slow_method_ends_by_webhook(
    till: Till, worker: Worker, clock: SetClock, token: str
) -> None:
    (paid,) = await till.pay(till.new(token))
    assert paid.state == "processing"
    clock.travel(seconds=21)
    await worker.drain()
    assert (await till.now(paid)).state == ("captured" if token.endswith("ok") else "failed")


@pytest.mark.parametrize("method", ["4242424242424242", "pay with 4242 4242-4242 4242 please"])
async def test_a_card_number_is_never_taken(till: Till, db: Database, method: str) -> None:
    async with db.transaction() as tx:
        (answer,) = await payments.start(tx, [till.new(method)])
    assert isinstance(answer, payments.CardNumberRefused)
    assert "4242" not in f"{answer}{answer.facts}{till.new(method)!r}"
    for table in ("payments.payment", "kernel.event", "kernel.job"):
        kept = await db.pool.fetch(f"select t::text from {table} t")
        assert not any("4242" in row[0] for row in kept)


async def test_ids_are_not_card_numbers(till: Till, rng: random.Random) -> None:
    for _ in range(3000):
        some = uuid.UUID(int=rng.getrandbits(128))
        assert not payments.holds_card_number(f"/orders/{some}/paid", str(some), "tok_ok")


async def test_a_refused_start_changes_nothing(till: Till, db: Database) -> None:
    good = till.new()
    async with db.transaction() as tx:
        answers = await payments.start(
            tx, [till.new(amount=0), till.new(provider="nobody"), good, good]
        )
    assert isinstance(answers[0], Invalid)
    assert isinstance(answers[1], payments.ProviderUnknown)
    assert answers[2] == answers[3]
    assert await db.pool.fetchval("select count(*) from payments.payment") == 1


async def test_a_repeated_start_is_the_same_payment(till: Till, db: Database) -> None:
    new = till.new()
    (first,) = await till.pay(new)
    (again,) = await till.start(new)
    assert again.state == "captured" and again.id == first.id
    async with db.transaction() as tx:
        (other,) = await payments.start(tx, [msgspec.structs.replace(new, amount_minor=5)])
    assert isinstance(other, payments.PaymentIdReused)
    assert (await payments.charge(db, [again]))[0].state == "captured"
    assert await till.clearing() == 1000


class Counted(asyncpg.Connection):
    """Counts what the sandbox asks its own database."""

    asked = 0

    async def fetch(self, *args: Any, **how: Any) -> Any:
        Counted.asked += 1
        return await super().fetch(*args, **how)


@pytest.mark.parametrize("count", [1, 200])
async def test_statements_are_constant(till: Till, db: Database, url: str, count: int) -> None:
    await till.pay(till.new())  # opens the accounts
    new = [till.new() for _ in range(count)]
    async with db.transaction() as tx:
        started = await payments.start(tx, new)
        assert tx.statements == 1
    paid = [p for p in started if isinstance(p, Payment)]
    async with asyncpg.create_pool(url, min_size=1, max_size=1, connection_class=Counted) as pool:
        payments.add(db, Sandbox(pool, db.clock))
        Counted.asked = 0
        outcomes = await payments.charge(db, paid)
        assert Counted.asked == 1
    async with db.transaction() as tx:
        await payments.record(tx, outcomes)
        assert tx.statements == 5  # lock, update, the ledger's three
    assert await till.clearing() == 1000 * (count + 1)


async def test_outcomes_recorded_at_once_from_two_sides(till: Till, db: Database) -> None:
    """The direct answer and the webhook arrive together: one of them waits, one counts."""
    started = await till.start(*(till.new() for _ in range(20)))
    words = await payments.charge(db, started)
    await till.both_at_once(
        lambda tx: payments.record(tx, words), lambda tx: payments.record(tx, words[::-1])
    )
    assert await till.clearing() == 20_000
    for payment in started:
        assert await till.told(payment.order_id) == ["payment_secured"]
    await till.healthy()


async def test_an_end_is_not_reopened(till: Till, db: Database) -> None:
    """Late news that it is under way, or that nobody knows, after it has failed."""
    (paid,) = await till.pay(till.new("tok_declined"))
    late = Outcome(payment_id=paid.id, state="needs_action", action_url="/late")
    for word in (late, Outcome(payment_id=paid.id, state="unknown")):
        await record(db, word)
        assert await till.now(paid) == paid
    assert await till.told(paid.order_id) == ["payment_failed"]


async def test_the_wrong_currency_is_left_out(till: Till, db: Database) -> None:
    (started,) = await till.start(till.new())
    await record(db, msgspec.structs.replace(captured(started), currency="JPY"))
    await record(db, Outcome(payment_id=uuid.UUID(int=7), state="captured", captured_minor=5))
    assert (await till.now(started)).state == "processing"


async def test_the_database_itself_refuses_more_refund_than_capture(
    till: Till, db: Database
) -> None:
    (paid,) = await till.pay(till.new())
    with pytest.raises(asyncpg.CheckViolationError):
        await db.pool.execute(
            "update payments.payment set refunded_minor = 1001 where id = $1", paid.id
        )
