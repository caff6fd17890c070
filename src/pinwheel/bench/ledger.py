"""``pinwheel bench ledger``: transfers through ``post`` beside the same ones made one by one
under row locks."""

from __future__ import annotations

import asyncio
import bisect
import itertools
import os
import random
import time
import uuid
from collections.abc import Awaitable, Callable

from pinwheel.bench.stand import Report, Stand, cpu_seconds, machine
from pinwheel.ground import ledger
from pinwheel.ground.ledger import Account, Journal, Transfer
from pinwheel.kernel import audit
from pinwheel.kernel.db import Database, Tx, connect

ACCOUNTS = 1000
ZIPF = 2.0
TARGET = 20.0
LIST = 500
WRITERS = 2
LOCKERS = 16


class Zipf:
    """Draws 0…n−1, the k-th with weight 1/k^s."""

    def __init__(self, n: int, s: float, rng: random.Random) -> None:
        self.sums = list(itertools.accumulate(1 / k**s for k in range(1, n + 1)))
        self.rng = rng

    def __call__(self) -> int:
        return min(bisect.bisect(self.sums, self.rng.random() * self.sums[-1]), len(self.sums) - 1)


async def run(stand: Stand, *, seconds: float = 8.0) -> Report:
    """Both ways move amount 1 between accounts with a floor, chosen by Zipf 2.0 from 1,000."""
    db = await connect(stand.url, size=LOCKERS + 4)
    unit = ledger.money("CNY")
    source = Account("bench:source", unit, "credit")
    accounts = [Account(f"bench:{n}", unit, "debit", floor=0) for n in range(ACCOUNTS)]
    async with db.transaction() as tx:
        await ledger.post(tx, [_journal("fund", [Transfer(a, source, 10**9) for a in accounts])])
        version = await tx.value("show server_version")
        await tx.connection.execute(
            "create table bench_balance (id int primary key, balance bigint not null)"
            " with (fillfactor = 40);"
            "create table bench_transfer (id bigserial primary key, debit int, credit int,"
            " amount bigint, at timestamptz default now());"
            "insert into bench_balance"
            f" select g, 1000000000 from generate_series(0, {ACCOUNTS - 1}) g"
        )
    before = _cpu(stand)
    one_by_one, rate_single = await _race(seconds, LOCKERS, lambda n: _single(db, n))
    middle = _cpu(stand)
    together, rate_list = await _race(seconds, WRITERS, lambda n: _lists(db, accounts, n))
    after = _cpu(stand)
    broken = [c.promise for c in await audit.run(db, ["pinwheel.ground.ledger"]) if c.broken]
    await db.close()
    ratio = rate_list / rate_single
    return Report(
        name="ledger",
        ratio=round(ratio, 2),
        target=TARGET,
        passed=ratio >= TARGET and not broken,
        figures={
            "transfers_per_second": round(rate_list),
            "one_by_one_per_second": round(rate_single),
            "transfers": together,
            "one_by_one_transfers": one_by_one,
            "cpu_ms_per_transfer": round(1000 * (after - middle) / together, 4),
            "one_by_one_cpu_ms_per_transfer": round(1000 * (middle - before) / one_by_one, 4),
            "transfers_in_a_list": LIST,
            "lists_at_once": WRITERS,
            "one_by_one_connections": LOCKERS,
            "accounts": ACCOUNTS,
            "zipf": ZIPF,
            "broken_promises": broken,
        },
        machine=machine(version),
    )


Step = Callable[[], Awaitable[int]]


async def _race(seconds: float, n: int, worker: Callable[[int], Step]) -> tuple[int, float]:
    began = time.monotonic()
    until = began + seconds

    async def loop(number: int) -> int:
        step = worker(number)
        done = 0
        while time.monotonic() < until:
            done += await step()
        return done

    done = sum(await asyncio.gather(*(loop(k) for k in range(n))))
    return done, done / (time.monotonic() - began)


def _single(db: Database, number: int) -> Step:
    draw = Zipf(ACCOUNTS, ZIPF, random.Random(number))

    async def step() -> int:
        a, b = draw(), draw()
        if a == b:
            b = (a + 1) % ACCOUNTS
        async with db.pool.acquire() as connection, connection.transaction():
            await connection.fetch(
                "select balance from bench_balance where id = any($1::int[])"
                " order by id for update",
                [a, b],
            )
            await connection.execute(
                "update bench_balance set balance = balance - 1 where id = $1", a
            )
            await connection.execute(
                "update bench_balance set balance = balance + 1 where id = $1", b
            )
            await connection.execute(
                "insert into bench_transfer (debit, credit, amount) values ($1, $2, 1)", b, a
            )
        return 1

    return step


def _lists(db: Database, accounts: list[Account], number: int) -> Step:
    draw = Zipf(ACCOUNTS, ZIPF, random.Random(1000 + number))

    def transfer() -> Transfer:
        a, b = draw(), draw()
        return Transfer(accounts[b if a != b else (a + 1) % ACCOUNTS], accounts[a], 1)

    async def step() -> int:
        async def verb(tx: Tx) -> int:
            journals = [_journal("move", [transfer()], tx.new_id()) for _ in range(LIST)]
            answers = await ledger.post(tx, journals)
            return sum(isinstance(a, ledger.Posted) for a in answers)

        return await db.attempt(verb)

    return step


def _journal(
    key: str, transfers: list[Transfer], document: uuid.UUID = uuid.UUID(int=0)
) -> Journal:
    return Journal(
        document_kind="bench",
        document_id=document,
        key=key,
        reason="bench",
        transfers=tuple(transfers),
    )


def _cpu(stand: Stand) -> float:
    server = cpu_seconds(stand.pid) if stand.pid else 0.0
    own = os.times()
    return server + own.user + own.system
