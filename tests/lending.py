"""One migrated database with its connections, lent to one test after the other.

A copy of the template costs a quarter of what a short test costs, and fresh connections learn every
statement anew. So a database is washed instead: what a test wrote is deleted, what the migrations
had written is there again, sequences begin anew. Where a test left more than rows (a partition,
statistics of the planner, a connection it did not give back) the database is thrown away.
"""

from __future__ import annotations

import asyncio
import io
from dataclasses import dataclass, field

import asyncpg

import world
from pinwheel.kernel import db as database
from pinwheel.kernel.db import Database

POOL_SIZE = 8
CLOSING_LOOKS = 50
LENT_MOST = 100
"""Deleted rows stay in the files until the database goes: after so many tests it does."""
USER_TABLES = """
    select c.oid, format('%I.%I', n.nspname, c.relname) as name,
           n.nspname as schema, c.relname as plain
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
     where c.relkind = 'r' and n.nspname !~ '^(pg_|information_schema)'
     order by c.oid
"""
SHAPE = """
    select array[(select max(oid)::bigint from pg_class), (select count(*) from pg_class),
                 (select count(*) from pg_statistic), (select count(*) from pg_proc),
                 (select count(*) from pg_trigger), (select count(*) from pg_constraint),
                 (select count(*) from pg_attribute)]
"""
NEW_TABLES = """
    select oid::regclass::text from pg_class
     where oid > $1::bigint and relkind = 'r' and relispartition
"""
STRANGERS = """
    select count(*) > $1 + 1 or bool_or(pid <> pg_backend_pid() and state <> 'idle')
      from pg_stat_activity
     where datname = current_database() and backend_type = 'client backend'
"""


@dataclass
class Lent:
    """``pool`` is handed to the test's ``Database``; ``hand`` washes."""

    server_url: str
    name: str
    pool: asyncpg.Pool
    hand: asyncpg.Connection
    shape: list[int] = field(default_factory=list)
    tables: dict[str, tuple[str, str]] = field(default_factory=dict)
    written: dict[str, bytes] = field(default_factory=dict)  # rows of the migrations
    written_until: int = 0  # the transaction after the last that wrote them
    counts: dict[str, int] = field(default_factory=dict)
    looks: str = ""
    times: int = 0

    async def learn(self) -> None:
        """What the database holds before any test."""
        rows = await self.hand.fetch(USER_TABLES)
        self.tables = {r["name"]: (r["schema"], r["plain"]) for r in rows}
        for name, (schema, plain) in self.tables.items():
            count = await self.hand.fetchval(f"select count(*) from {name}")
            if count:
                rows_of = io.BytesIO()
                await self.hand.copy_from_table(
                    plain, schema_name=schema, output=rows_of, format="binary"
                )
                self.written[name], self.counts[name] = rows_of.getvalue(), count
        self.looks = " union all ".join(
            f"select '{name}' where exists (select from {name})"
            if name not in self.written
            else f"select '{name}' where (select count(*) filter (where xmin::text::bigint < $1)"
            f" is distinct from {self.counts[name]} or count(*) <> {self.counts[name]} from {name})"
            for name in self.tables
        )
        self.shape = await self.hand.fetchval(SHAPE)
        self.written_until = await self.hand.fetchval("select txid_current()")

    async def wash(self) -> bool:
        """As it was before any test; False where it can't be and is to be thrown away."""
        self.times += 1
        if self.times >= LENT_MOST or self.pool.get_size() != self.pool.get_idle_size():
            return False
        if not await self._is_alone():
            return False
        if await self.hand.fetchval(SHAPE) != self.shape:
            for name in await self.hand.fetch(NEW_TABLES, self.shape[0]):
                await self.hand.execute(f"drop table {name[0]}")
            if await self.hand.fetchval(SHAPE) != self.shape:
                return False
        dirty = [r[0] for r in await self.hand.fetch(self.looks, self.written_until)]
        if dirty:
            await self._clean(dirty)
        return True

    async def _is_alone(self) -> bool:
        """Whether nobody but the pool, at rest, is left once those who close have closed."""
        for _ in range(CLOSING_LOOKS):
            if not await self.hand.fetchval(STRANGERS, self.pool.get_size()):
                return True
            await asyncio.sleep(0.01)
        return False

    async def _clean(self, dirty: list[str]) -> None:
        async with self.hand.transaction():
            # No trigger and no reference stands in the way of a wash.
            await self.hand.execute("set local session_replication_role = replica")
            await self.hand.execute(";".join(f"delete from {name}" for name in dirty))
            for name in dirty:
                if name in self.written:
                    schema, plain = self.tables[name]
                    await self.hand.copy_to_table(
                        plain,
                        schema_name=schema,
                        source=io.BytesIO(self.written[name]),
                        format="binary",
                    )
            await self.hand.execute(
                "select setval(format('%I.%I', schemaname, sequencename)::regclass, start_value,"
                " false) from pg_sequences where last_value is not null"
            )
        if self.written.keys() & set(dirty):
            self.written_until = await self.hand.fetchval("select txid_current()")

    async def throw_away(self) -> None:
        self.pool.terminate()
        await self.hand.close()
        await world.drop_database(self.server_url, self.name)


async def connected(url: str) -> asyncpg.Pool:
    """Connections as the house has them, but patient: how long a transaction is silent says here
    only how busy the machine is."""
    opened = await database.connect(
        url,
        size=POOL_SIZE,
        idle_seconds=10 * world.PATIENCE_SECONDS,
        lock_seconds=world.PATIENCE_SECONDS,
    )
    return opened.pool


class Lender:
    """Lends this process's database; the first call and the one after a database was thrown away
    copy it from the template."""

    def __init__(self, server_url: str, template: str) -> None:
        self.server_url, self.template = server_url, template
        self.lent: Lent | None = None

    async def lend(self) -> Lent:
        if self.lent is None:
            name = world.fresh_name("lent")
            url = await world.create_database(self.server_url, name, self.template)
            pool = await connected(url)
            hand = await asyncpg.connect(url, timeout=world.PATIENCE_SECONDS)
            self.lent = Lent(self.server_url, name, pool, hand)
            await self.lent.learn()
        return self.lent

    async def take_back(self, lent: Lent) -> None:
        if not await lent.wash():
            await self.end()

    async def end(self) -> None:
        if self.lent is not None:
            await self.lent.throw_away()
            self.lent = None


async def silent(db: Database) -> None:
    """Nothing that this test said late speaks into the next."""
    if notifying := db._notifying:
        notifying.cancel()
        await asyncio.gather(notifying, return_exceptions=True)
