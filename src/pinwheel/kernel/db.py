"""The transaction. A verb takes ``tx``; only ``Database.transaction`` commits.

A struct is filled from a row by position: the columns of a ``select`` stand in the order of the
struct's fields (``test_sql`` checks each literal against the migrated schema)."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import random
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import Any, TypeVar

import asyncpg
import msgspec

from pinwheel.kernel.clock import Clock, SystemClock, new_id
from pinwheel.kernel.errors import NotFound
from pinwheel.kernel.events import Event, Reaction, Reactions
from pinwheel.kernel.vault import Vault

S = TypeVar("S")
R = TypeVar("R")
COLLIDED = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.UniqueViolationError,
)
"""Two transactions met, and one was turned away: begun again it finds what the other has written. A
key that is taken for good is turned away again, and raised."""
PLAIN = (str, int, float, bool, bytes, uuid.UUID, dt.datetime, dt.date, type(None))


@lru_cache(maxsize=1024)
def _converters(struct: Any) -> tuple[tuple[int, Any], ...]:
    """The fields of ``struct`` (position, type) that a driver's plain value does not fill as it
    is."""
    hints = msgspec.structs.fields(struct)
    return tuple((i, f.type) for i, f in enumerate(hints) if not _is_plain(f.type))


def _is_plain(kind: Any) -> bool:
    if isinstance(kind, type) and issubclass(kind, PLAIN):
        return kind in PLAIN
    args: tuple[Any, ...] = getattr(kind, "__args__", None) or ()
    # `X | None` of a plain type is plain; a list, a dict of Any or an enum is converted.
    return bool(args) and getattr(kind, "__origin__", None) is None and all(map(_is_plain, args))


@lru_cache(maxsize=1024)
def _keywords(struct: Any) -> tuple[str, ...]:
    """The names of the fields when they must be given by name, else nothing."""
    fields: tuple[str, ...] = struct.__struct_fields__
    return fields if struct.__match_args__ != fields else ()


def filled(struct: type[S], record: Sequence[Any]) -> S:
    """``struct`` filled from one row, by position."""
    values: Sequence[Any] = record
    kind_of: Any = struct
    if special := _converters(kind_of):
        values = list(record)
        for position, kind in special:
            values[position] = msgspec.convert(values[position], kind, strict=False)
    if names := _keywords(kind_of):
        return struct(**dict(zip(names, values, strict=True)))
    return struct(*values)


class Tx:
    """One open transaction: its time, its author, and the only way to the database."""

    def __init__(
        self,
        db: Database,
        connection: asyncpg.Connection,
        *,
        now: dt.datetime,
        actor: str,
        request_id: str,
    ) -> None:
        self.db = db
        self.connection = connection
        self.now = now
        self.actor = actor
        self.request_id = request_id
        self.cell = db.cell
        self.random = db.random
        self.statements = 0
        self._events: list[tuple[uuid.UUID, Event]] = []
        self._jobs: list[tuple[uuid.UUID, str, bytes, dt.datetime, str | None]] = []

    def new_id(self) -> uuid.UUID:
        return new_id(self.now, self.random)

    def later_than(self, seconds: float) -> dt.datetime:
        """The instant ``seconds`` from now."""
        return self.now + dt.timedelta(seconds=seconds)

    async def rows(self, struct: type[S], sql: str, *args: Any) -> list[S]:
        self.statements += 1
        return [filled(struct, r) for r in await self.connection.fetch(sql, *args)]

    async def row(self, struct: type[S], sql: str, *args: Any) -> S | None:
        self.statements += 1
        record = await self.connection.fetchrow(sql, *args)
        return None if record is None else filled(struct, record)

    async def the(self, what: str, struct: type[S], sql: str, *args: Any) -> S:
        """The one row there must be; ``NotFound(what)`` otherwise."""
        found = await self.row(struct, sql, *args)
        if found is None:
            raise NotFound(what=what)
        return found

    async def value(self, sql: str, *args: Any) -> Any:
        """The first column of the first row, or None."""
        self.statements += 1
        return await self.connection.fetchval(sql, *args)

    async def values(self, sql: str, *args: Any) -> list[Any]:
        """The first column of every row."""
        self.statements += 1
        return [r[0] for r in await self.connection.fetch(sql, *args)]

    async def run(self, sql: str, *args: Any) -> int:
        """Execute; how many rows it touched."""
        self.statements += 1
        tag: str = await self.connection.execute(sql, *args)
        last = tag.rsplit(" ", 1)[-1]
        return int(last) if last.isdigit() else 0

    def emit(self, *events: Event) -> None:
        """Record facts: written with what follows from them when the transaction commits."""
        self._events.extend((self.new_id(), event) for event in events)

    def later(
        self, reaction: Callable[..., Any], event: Event, *, at: dt.datetime, key: str | None = None
    ) -> None:
        """Have ``reaction`` (an ``@after`` or ``@outside``) run for ``event`` at ``at``; with
        ``key``, once."""
        marked: Reaction = reaction.__dict__["pinwheel_reaction"]
        payload = msgspec.json.encode({"inline": [[event.kind(), event]]})
        self._jobs.append((self.new_id(), marked.name, payload, at, key))

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """A part that may fail by itself; its events go with it."""
        events, jobs = len(self._events), len(self._jobs)
        try:
            async with self.connection.transaction():
                yield
        except BaseException:
            del self._events[events:]
            del self._jobs[jobs:]
            raise

    async def finish(self) -> bool:
        """Run what happens during, write events and jobs in one statement; are there jobs due
        now?"""
        done = 0
        while done < len(self._events):
            fresh = self._events[done:]
            done = len(self._events)
            for reaction, events in _grouped(self.db.reactions, fresh, "during"):
                await reaction.call(self, [event for _, event in events])
        jobs = list(self._jobs)
        for when in ("after", "outside"):
            for reaction, events in _grouped(self.db.reactions, self._events, when):
                payload = msgspec.json.encode({"events": [i for i, _ in events]})
                jobs.append((self.new_id(), reaction.name, payload, self.now, None))
        if self._events or jobs:
            await self._write(jobs)
        return any(job[3] <= self.now for job in jobs)

    async def _write(
        self, jobs: list[tuple[uuid.UUID, str, bytes, dt.datetime, str | None]]
    ) -> None:
        await self.run(
            """
            with fact as (
              insert into kernel.event (cell, id, kind, subject_id, at, actor, request_id, data)
              select $1, e.id, e.kind, e.subject_id, $2, $3, $4, e.data::jsonb
                from unnest($5::uuid[], $6::text[], $7::uuid[], $8::text[])
                     as e(id, kind, subject_id, data)
            )
            insert into kernel.job (cell, id, name, payload, run_at, key, created_at)
            select $1, j.id, j.name, j.payload::jsonb, j.run_at, j.key, $2
              from unnest($9::uuid[], $10::text[], $11::text[], $12::timestamptz[], $13::text[])
                   as j(id, name, payload, run_at, key)
            on conflict (cell, name, key) where key is not null do nothing
            """,
            self.cell,
            self.now,
            self.actor,
            self.request_id,
            [i for i, _ in self._events],
            [e.kind() for _, e in self._events],
            [e.subject_id() for _, e in self._events],
            [msgspec.json.encode(e).decode() for _, e in self._events],
            [j[0] for j in jobs],
            [j[1] for j in jobs],
            [j[2].decode() for j in jobs],
            [j[3] for j in jobs],
            [j[4] for j in jobs],
        )


def _grouped(
    reactions: Reactions, events: list[tuple[uuid.UUID, Event]], when: Any
) -> list[tuple[Reaction, list[tuple[uuid.UUID, Event]]]]:
    """What reacts to ``events``, each with its own, in the order in which they were told."""
    by_type: dict[type[Event], list[int]] = {}
    for position, (_, event) in enumerate(events):
        by_type.setdefault(type(event), []).append(position)
    groups: dict[str, tuple[Reaction, list[int]]] = {}
    for kind, positions in by_type.items():
        for reaction in reactions.to(kind, when):
            groups.setdefault(reaction.name, (reaction, []))[1].extend(positions)
    return [(reaction, [events[p] for p in sorted(found)]) for reaction, found in groups.values()]


class Database:
    """The pool and what every transaction is given: clock, randomness, reactions, cell."""

    def __init__(
        self,
        pool: asyncpg.Pool,
        *,
        clock: Clock,
        reactions: Reactions,
        cell: int = 0,
        rng: random.Random | None = None,
        vault: Vault | None = None,
    ) -> None:
        self.pool = pool
        self._vault = vault
        self.clock = clock
        self.reactions = reactions
        self.cell = cell
        # Ids are no secrets, they must only never meet: seeded once from the system.
        self.random = rng or random.Random(os.urandom(32))
        self.given: dict[type, Any] = {}  # what app.py hands to verbs, by type: providers, checkout
        self.work_due = asyncio.Event()  # set after a commit that left jobs: wakes the worker here
        self._notifying: asyncio.Task[None] | None = None

    @property
    def vault(self) -> Vault:
        """Seals personal data and secrets; a process without the installation's secret has none."""
        if self._vault is None:
            raise RuntimeError("this database was opened without the installation's secret")
        return self._vault

    @asynccontextmanager
    async def transaction(
        self, *, actor: str = "system", request_id: str = "", now: dt.datetime | None = None
    ) -> AsyncIterator[Tx]:
        """Open, hand over, and commit if nothing was raised."""
        async with self.pool.acquire() as connection, connection.transaction():
            tx = Tx(
                self,
                connection,
                now=now or self.clock.now(),
                actor=actor,
                request_id=request_id,
            )
            yield tx
            due = await tx.finish()
        if due:
            self.wake()

    @asynccontextmanager
    async def reading(self, *, actor: str = "system") -> AsyncIterator[Tx]:
        """A consistent, read-only look (repeatable read); may be sent to a replica."""
        async with (
            self.pool.acquire() as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield Tx(self, connection, now=self.clock.now(), actor=actor, request_id="")

    async def attempt(
        self, verb: Callable[[Tx], Awaitable[R]], *, actor: str = "system", request_id: str = ""
    ) -> R:
        """Run ``verb`` in a transaction; one that ``COLLIDED`` is tried again, twice."""
        for left in (2, 1, 0):
            try:
                async with self.transaction(actor=actor, request_id=request_id) as tx:
                    return await verb(tx)
            except COLLIDED:
                if not left:
                    raise
        raise AssertionError

    def wake(self) -> None:
        """Wake the worker here at once and those elsewhere by NOTIFY. The notice is sent
        outside the fact's transaction: NOTIFY takes a lock over the whole database at commit. A
        lost one costs a poll."""
        self.work_due.set()
        if self._notifying is None or self._notifying.done():
            self._notifying = asyncio.get_running_loop().create_task(self._notify())

    async def _notify(self) -> None:
        await asyncio.sleep(0.05)
        try:
            async with self.pool.acquire() as connection:
                await connection.execute("notify pinwheel_job")
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            pass  # the poll finds the job

    async def close(self) -> None:
        if self._notifying is not None:
            self._notifying.cancel()
        try:
            await asyncio.wait_for(self.pool.close(), 10)
        except TimeoutError:
            self.pool.terminate()


async def _leave_as_it_is(connection: asyncpg.Connection) -> None:
    """Nothing to tidy: a transaction's settings end with it, and none of ours sets more."""


async def prepare_connection(connection: asyncpg.Connection) -> None:
    """``jsonb`` crosses as Python values, by msgspec."""
    await connection.set_type_codec(
        "jsonb",
        schema="pg_catalog",
        encoder=lambda value: b"\x01" + msgspec.json.encode(value),
        decoder=lambda raw: msgspec.json.decode(raw[1:]),
        format="binary",
    )
    await connection.set_type_codec(
        "xid8",
        schema="pg_catalog",
        encoder=lambda value: int(value).to_bytes(8, "big"),
        decoder=lambda raw: int.from_bytes(raw, "big"),
        format="binary",
    )


async def connect(
    url: str,
    *,
    clock: Clock | None = None,
    reactions: Reactions | None = None,
    cell: int = 0,
    size: int = 12,
    rng: random.Random | None = None,
    vault: Vault | None = None,
    idle_seconds: int = 60,
    lock_seconds: int = 30,
    durable: bool = True,
) -> Database:
    """A ``Database`` on ``url``. Statements are prepared once per connection and kept.

    ``idle_seconds``: so long a transaction may say nothing before its locks are taken from it: its
    process hangs, or the machine gives it no time. ``lock_seconds``: so long one waits for
    another's. Not ``durable``: a commit doesn't wait for the disk, for what can be done again.
    """
    pool = await asyncpg.create_pool(
        url,
        min_size=1,
        max_size=size,
        init=prepare_connection,
        statement_cache_size=2048,
        max_inactive_connection_lifetime=0,
        reset=_leave_as_it_is,
        server_settings={
            "application_name": "pinwheel",
            "timezone": "UTC",
            "jit": "off",
            # An index is read where there is one, also while a table is young: a plan made for ten
            # rows is kept by the connection and would read ten thousand.
            "random_page_cost": "1.1",
            "enable_seqscan": "off",
            "idle_in_transaction_session_timeout": f"{idle_seconds}s",
            "lock_timeout": f"{lock_seconds}s",
            **({} if durable else {"synchronous_commit": "off"}),
        },
    )
    return Database(
        pool,
        clock=clock or SystemClock(),
        reactions=reactions or Reactions(),
        cell=cell,
        rng=rng,
        vault=vault,
    )
