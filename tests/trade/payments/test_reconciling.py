"""The provider's file against our books."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

import msgspec

import world
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.jobs import Worker
from pinwheel.trade import payments
from pinwheel.trade.payments.model import SettlementRow
from pinwheel.trade.payments.sandbox import Faults, Sandbox, set_faults, settlement_file
from trade.payments.till import Till

DAY = world.MONDAY.date()


async def reconcile(db: Database, rows: Sequence[SettlementRow]) -> payments.Reconciliation:
    async with db.transaction() as tx:
        return await payments.reconcile(tx, "sandbox", DAY, rows)


async def test_a_day_that_agrees(
    till: Till, db: Database, worker: Worker, sandbox: Sandbox, clock: SetClock
) -> None:
    paid, _ = await till.pay(till.new(amount=10_000), till.new(amount=5_000))
    await till.pay(till.new("tok_declined"))
    async with db.transaction() as tx:
        await payments.refund_order(tx, paid.order_id, 2_000, "returned")
    await worker.drain()
    clock.travel(days=1)
    rows = await sandbox.settlement_rows(DAY)
    first = await reconcile(db, rows)
    assert (first.matched, first.differences) == (2, [])
    assert first.fees_minor == {"CNY": 90}
    assert first.paid_out_minor == {"CNY": 12_910}
    assert await till.balance(payments.provider_fees("sandbox", "CNY")) == 90
    assert await till.balance(payments.bank("CNY")) == 12_910
    assert await till.clearing() == 0
    again = await reconcile(db, rows)
    assert again == first
    assert await till.balance(payments.bank("CNY")) == 12_910
    await till.healthy()


async def test_a_file_that_grows_posts_only_what_is_new(
    till: Till, db: Database, sandbox: Sandbox, clock: SetClock
) -> None:
    await till.pay(till.new(amount=10_000), till.new(amount=20_000))
    clock.travel(days=1)
    captures = [r for r in await sandbox.settlement_rows(DAY) if r.kind == "capture"]
    half = await reconcile(db, captures[:1])
    assert [d.kind for d in half.differences] == ["missing_there"]
    whole = await reconcile(db, captures)
    assert whole.differences == []
    assert whole.fees_minor == {"CNY": 180}
    assert await till.balance(payments.provider_fees("sandbox", "CNY")) == 180
    await till.healthy()


async def test_each_difference_has_its_name(
    till: Till, db: Database, sandbox: Sandbox, clock: SetClock
) -> None:
    less, lost, changed = await till.pay(*(till.new(amount=n) for n in (1000, 2000, 3000)))
    (unrecorded,) = await till.start(till.new(amount=4000))
    await payments.charge(db, [unrecorded])
    clock.travel(days=1)
    rows = {r.payment_id: r for r in await sandbox.settlement_rows(DAY) if r.kind == "capture"}
    rows[less.id] = msgspec.structs.replace(rows[less.id], amount_minor=900)
    del rows[lost.id]
    stranger = msgspec.structs.replace(rows[changed.id], ref="cap_x", payment_id=till.id())
    await reconcile(db, list(rows.values()))
    rows[changed.id] = msgspec.structs.replace(rows[changed.id], amount_minor=1)
    found = (await reconcile(db, [*rows.values(), stranger])).differences
    assert {(d.subject, d.kind, d.here_minor, d.there_minor) for d in found} == {
        (str(less.id), "amount_differs", 1000, 900),
        (str(lost.id), "missing_there", 2000, 0),
        (str(unrecorded.id), "missing_here", 0, 4000),
        ("cap_x", "missing_here", 0, 3000),
        (rows[changed.id].ref, "row_changed", 2982, -17),
    }
    async with db.reading() as tx:
        page = await payments.differences(tx, limit=2)
        rest = await payments.differences(tx, cursor=page.next, limit=9)
    assert len(page.items) == 2
    assert len(rest.items) == 3


async def test_what_moves_after_the_day_is_in_a_later_file(
    till: Till, db: Database, worker: Worker, sandbox: Sandbox, clock: SetClock
) -> None:
    (paid,) = await till.pay(till.new())
    clock.travel(days=1)
    async with db.transaction() as tx:
        await payments.refund_order(tx, paid.order_id, 400, "returned")
    await worker.drain()
    assert (await reconcile(db, await sandbox.settlement_rows(DAY))).differences == []


async def test_the_clock_settles_yesterday_and_heals_what_was_lost(
    till: Till, db: Database, worker: Worker, sandbox: Sandbox, clock: SetClock
) -> None:
    """Refunds and chargebacks at the provider whose webhooks are gone: the file tells of them."""
    refunded, disputed = await till.pay(till.new(amount=5000), till.new(amount=7000))
    await set_faults(sandbox.pool, Faults(drops=1.0))
    await sandbox.refund_there(refunded.id, 1000)
    await sandbox.dispute(disputed.id, 7000)
    await worker.drain()
    assert (await till.now(refunded)).refunded_minor == 0
    clock.set(dt.datetime.combine(DAY + dt.timedelta(days=1), dt.time(1), dt.UTC))
    await worker.drain()
    assert (await till.now(refunded)).refunded_minor == 1000
    assert (await till.now(disputed)).disputed_minor == 7000
    async with db.reading() as tx:
        assert (await payments.differences(tx)).items == []
    assert await till.clearing() == 0
    await till.healthy()


async def test_the_file_is_a_file(till: Till, sandbox: Sandbox) -> None:
    await till.pay(till.new(amount=1000))
    async with sandbox.pool.acquire() as connection:
        lines = (await settlement_file(connection, DAY)).splitlines()
    assert lines[0] == "ref,kind,payment,amount_minor,fee_minor,currency,at"
    assert len(lines) == 3
    assert lines[2].startswith(f"po_{DAY}_CNY,payout,,994,0,CNY,")
