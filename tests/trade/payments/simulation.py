"""Many payments through a provider whose webhooks get lost, late, doubled, shuffled and forged, and
a shop that dies in between. In the end the ledger must have what the provider has.

``python -m trade.payments.simulation 100000`` (in ``tests/``) runs the big one.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
import uuid

import msgspec

import world
from pinwheel.ground.ledger import jobs as ledger_jobs
from pinwheel.kernel import db as database
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.events import Reactions
from pinwheel.kernel.jobs import Worker
from pinwheel.kernel.migrate import migrate
from pinwheel.trade import payments
from pinwheel.trade.payments import jobs
from pinwheel.trade.payments.model import NewRefund, Payment
from pinwheel.trade.payments.sandbox import Faults, Sandbox, set_faults
from trade.payments.till import Till

TOGETHER = 500
STORMY = Faults(
    tells_all=True,
    loses_answers=0.05,
    drops=0.10,
    delays=0.20,
    delay_seconds=900,
    duplicates=0.20,
    reorders=0.50,
    tampers=0.02,
)
WEIGHTS = {
    "tok_ok": 70,
    "tok_declined": 5,
    "tok_insufficient_funds": 2,
    "tok_challenge": 5,
    "tok_delayed_ok": 5,
    "tok_delayed_declined": 2,
    "tok_timeout_ok": 4,
    "tok_timeout_declined": 1,
    "tok_timeout_lost": 2,
    "tok_one_capture": 2,
    "tok_refund_fails": 2,
}


class Report(msgspec.Struct):
    payments: int = 0
    states: dict[str, int] = {}
    crashes: int = 0
    notices: int = 0
    refunds: int = 0
    disputes: int = 0
    clearing_minor: int = 0
    provider_minor: int = 0
    seconds: float = 0.0


class Storm:
    """One run, the same for the same seed."""

    def __init__(self, db: Database, clock: SetClock, seed: int) -> None:
        self.db, self.clock = db, clock
        self.rng = random.Random(seed)
        self.till, self.worker = Till(db), Worker(db)
        found = payments.providers_of(db)["sandbox"]
        assert isinstance(found, Sandbox)
        self.sandbox = found
        self.report = Report()

    async def run(self, count: int) -> Report:
        began = time.monotonic()
        await set_faults(self.sandbox.pool, STORMY)
        for first in range(0, count, TOGETHER):
            paid = await self.sell(min(TOGETHER, count - first))
            await self.afterwards(paid)
            self.clock.travel(seconds=5)
            await self.worker.drain()
        await self.calm_down()
        await self.compare()
        self.report.seconds = time.monotonic() - began
        return self.report

    async def sell(self, count: int) -> list[Payment]:
        tokens = self.rng.choices(list(WEIGHTS), list(WEIGHTS.values()), k=count)
        started = await self.till.start(*(
            self.till.new(t, self.rng.randrange(100, 100_000), capture=self.rng.random() < 0.7)
            for t in tokens
        ))  # fmt: skip
        self.report.payments += count
        asked = [p for p in started if not self.dies(0.02)]
        outcomes = await payments.charge(self.db, asked)
        heard = [o for o in outcomes if not self.dies(0.03)]
        self.rng.shuffle(heard)
        async with self.db.transaction() as tx:
            await payments.record(tx, heard)
        return started

    def dies(self, chance: float) -> bool:
        dead = self.rng.random() < chance
        self.report.crashes += dead
        return dead

    async def afterwards(self, paid: list[Payment]) -> None:
        """Orders ship, change their minds, and quarrel."""
        orders = [p.order_id for p in paid]
        async with self.db.reading() as tx:
            now = await payments.payments_of(tx, orders)
        for payment in now:
            chance = self.rng.random()
            if payment.state == "needs_action" and chance < 0.7:
                await self.sandbox.decide(payment.id, approve=chance < 0.5)
            elif payment.state == "authorised":
                await self.ship_or_not(payment, chance)
            elif payment.state == "captured" and chance < 0.15:
                await self.give_back(payment, chance)
            elif payment.state == "captured" and chance < 0.17:
                self.report.disputes += 1
                key = await self.sandbox.dispute(payment.id, payment.captured_minor)
                if chance < 0.16:
                    await self.sandbox.close_dispute(payment.id, key, won=chance < 0.155)
            elif payment.state in ("processing", "unknown") and chance < 0.1:
                async with self.db.transaction() as tx:
                    await payments.refund_all(tx, payment.order_id, "the order was given up")

    async def ship_or_not(self, payment: Payment, chance: float) -> None:
        async with self.db.transaction() as tx:
            if chance < 0.1:
                await payments.void(tx, [payment.id])
                return
            part = payment.amount_minor // 3 if chance < 0.4 else payment.amount_minor
            await payments.capture(tx, payment.id, part)
            if chance < 0.3:
                await payments.capture(tx, payment.id, payment.amount_minor - 2 * part)
            elif chance < 0.4:
                await payments.void(tx, [payment.id])

    async def give_back(self, payment: Payment, chance: float) -> None:
        self.report.refunds += 1
        if chance < 0.03:
            await self.sandbox.refund_there(payment.id, payment.captured_minor // 2)
            return
        async with self.db.transaction() as tx:
            if chance < 0.08:
                await payments.refund_order(
                    tx, payment.order_id, payment.captured_minor, "returned"
                )
                return
            refund = NewRefund(
                id=uuid.uuid5(payment.id, "test"),
                payment_id=payment.id,
                amount_minor=max(1, payment.captured_minor // 4),
                reason="damaged",
            )
            await payments.refund(tx, [refund, refund])

    async def calm_down(self) -> None:
        """Time passes until nothing is under way any more, then the day's file comes."""
        for _ in range(120):
            self.clock.travel(seconds=300)
            await self.worker.drain()
            if not await self.under_way():
                break
        days = 1 + (self.clock.now() - world.MONDAY).days
        for _ in range(days):
            self.clock.travel(days=1)
            await self.worker.drain()

    async def under_way(self) -> int:
        return int(
            await self.db.pool.fetchval(
                """
                select (select count(*) from payments.payment
                         where state in ('processing', 'unknown', 'needs_action'))
                     + (select count(*) from payments.instruction where state = 'asked')
                     + (select count(*) from sandbox.notice where ended_at is null)
                """
            )
        )

    async def compare(self) -> None:
        pool = self.db.pool
        assert await self.under_way() == 0
        strays = await pool.fetch(
            """
            select p.id, p.state, p.captured_minor, c.captured_minor as there
              from payments.payment p left join sandbox.charge c on c.key = p.id
             where p.captured_minor <> coalesce(c.captured_minor, 0)
                or p.refunded_minor <> coalesce(c.refunded_minor, 0)
            """
        )
        assert not strays, strays[:5]
        twice = await pool.fetchval(
            """
            select count(*) from (
              select data->>'payment_id' from kernel.event where kind = 'payments.payment_secured'
               group by 1 having count(*) > 1) t
            """
        )
        assert twice == 0
        await self.till.healthy()
        assert await pool.fetchval("select count(*) from payments.difference") == 0
        at_provider = await pool.fetchval(
            """
            select (select sum(captured_minor - refunded_minor) from sandbox.charge)
                 + coalesce((select sum(case kind when 'dispute' then -amount_minor
                                                  else amount_minor end)
                      from sandbox.operation where kind in ('dispute', 'dispute_won')), 0)
            """
        )
        settled = await pool.fetchval(
            """
            select coalesce(sum(fee_minor + case when kind = 'payout' then amount_minor
                                                 else 0 end), 0) from payments.settlement_row
            """
        )
        self.report.provider_minor = int(at_provider)
        self.report.clearing_minor = await self.till.clearing() + int(settled)
        assert self.report.clearing_minor == self.report.provider_minor
        rows = await pool.fetch("select state, count(*) from payments.payment group by 1")
        self.report.states = {row[0]: row[1] for row in rows}
        self.report.notices = await pool.fetchval("select count(*) from sandbox.notice")


async def main(count: int) -> None:
    server = world.Server()
    try:
        url = await world.create_database(server.url, "storm")
        await migrate(url)
        clock = SetClock(world.MONDAY)
        reactions = Reactions((ledger_jobs, jobs))
        db = await database.connect(url, clock=clock, reactions=reactions, rng=random.Random(1))
        analysing = asyncio.create_task(_analyse(db))
        report = await Storm(db, clock, seed=7).run(count)
        analysing.cancel()
        print(msgspec.json.format(msgspec.json.encode(report)).decode())  # noqa: T201
        await db.close()
    finally:
        server.stop()


async def _analyse(db: Database) -> None:
    """The test server has no autovacuum: its part is done here."""
    while True:
        await asyncio.sleep(5)
        await db.pool.execute("analyze")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
