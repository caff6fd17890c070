"""A till: does with payments what an order does, and looks at what came of it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import world
from pinwheel.ground import ledger
from pinwheel.kernel import audit
from pinwheel.kernel.clock import new_id
from pinwheel.kernel.db import Database, Tx
from pinwheel.trade import payments
from pinwheel.trade.payments.model import NewPayment, Payment

Verb = Callable[[Tx], Awaitable[Any]]


class Till:
    """Does with payments what an order does, and looks at what came of it."""

    def __init__(self, db: Database) -> None:
        self.db = db

    def id(self) -> uuid.UUID:
        return new_id(self.db.clock.now(), self.db.random)

    def new(self, token: str = "tok_ok", amount: int = 1000, **fields: Any) -> NewPayment:
        made: dict[str, Any] = {
            "id": self.id(),
            "order_id": self.id(),
            "person_id": None,
            "amount_minor": amount,
            "currency": "CNY",
            "provider": "sandbox",
            "method": token,
            "capture": True,
        }
        return NewPayment(**{**made, **fields})

    async def start(self, *new: NewPayment) -> list[Payment]:
        async with self.db.transaction() as tx:
            started = await payments.start(tx, new)
        assert all(isinstance(p, Payment) for p in started), started
        return [p for p in started if isinstance(p, Payment)]

    async def pay(self, *new: NewPayment) -> list[Payment]:
        """Start, charge and record; the payments as they are then."""
        started = await self.start(*new)
        outcomes = await payments.charge(self.db, started)
        async with self.db.transaction() as tx:
            await payments.record(tx, outcomes)
        return [await self.now(p) for p in started]

    async def now(self, payment: Payment) -> Payment:
        async with self.db.reading() as tx:
            of_order = await payments.payments_of(tx, [payment.order_id])
        return next(p for p in of_order if p.id == payment.id)

    async def told(self, order_id: uuid.UUID) -> list[str]:
        """The kinds of events of one order, in order, without the module's name."""
        rows = await self.db.pool.fetch(
            "select kind from kernel.event where subject_id = $1 order by xid, id", order_id
        )
        return [
            row[0].removeprefix("payments.")
            for row in rows
            if row[0] != "payments.instruction_given"
        ]

    async def balance(self, account: Any) -> int:
        async with self.db.reading() as tx:
            found = await ledger.balances(tx, [account])
        return found[account.code].posted

    async def clearing(self, provider: str = "sandbox", currency: str = "CNY") -> int:
        return await self.balance(payments.clearing(provider, currency))

    async def deposits(self, currency: str = "CNY") -> int:
        return await self.balance(payments.deposits(currency))

    async def both_at_once(self, first: Verb, second: Verb) -> tuple[Any, Any]:
        """``second`` begins while ``first`` is done but not committed: it must wait or be done."""
        async with self.db.transaction() as tx:
            one = await first(tx)
            other = asyncio.create_task(self.db.attempt(second))
            await world.waits_or_ends(self.db.pool, other)
        return one, await other

    async def healthy(self) -> None:
        checks = await audit.run(self.db, ["pinwheel.trade.payments", "pinwheel.ground.ledger"])
        assert checks
        broken = [c for c in checks if c.broken]
        assert not broken, broken
