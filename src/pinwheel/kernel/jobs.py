"""The worker: runs what follows from facts. State is one table; a crash at any line repeats or
resumes."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import os
import socket
import traceback
import uuid
from collections.abc import Sequence
from typing import Any

import asyncpg
import msgspec

from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.events import Event, Reaction

log = logging.getLogger("pinwheel.jobs")
BACK_OFF_SECONDS = (1, 2, 5, 15, 60, 300, 900, 3600)
CLAIM_AT_ONCE = 20


class Job(msgspec.Struct, frozen=True):
    id: uuid.UUID
    name: str
    payload: dict[str, Any]
    attempts: int


class Worker:
    """Runs due jobs and ticks of one process. ``drain`` is for tests and the lab; ``run`` is
    for service."""

    def __init__(self, db: Database, *, poll_seconds: float = 1.0) -> None:
        self.db = db
        self.poll_seconds = poll_seconds
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self.stopping = asyncio.Event()
        self._limits: dict[str, asyncio.Semaphore] = {}
        self._outside: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until ``stop``. A database that is away is waited for."""
        listener = asyncio.create_task(self._listen())
        try:
            while not self.stopping.is_set():
                self.db.work_due.clear()
                try:
                    busy = await self.once()
                except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                    log.warning("jobs wait for the database: %s", error)
                    busy = False
                    await asyncio.sleep(0.5)
                if not busy:
                    await self._rest()
        finally:
            listener.cancel()
            if self._outside:
                await asyncio.wait(self._outside, timeout=10)

    def stop(self) -> None:
        self.stopping.set()
        self.db.work_due.set()

    async def drain(self, *, most: int = 10_000) -> int:
        """Run everything that is due now, and what follows from it; how many jobs ran."""
        ran = 0
        while ran < most:
            await self.tick()
            jobs = await self._due()
            if not jobs:
                return ran
            for job in jobs:
                await self._perform(job)
            ran += len(jobs)
        return ran

    async def once(self) -> bool:
        """One round: ticks, then a handful of due jobs. Was there anything to do?"""
        ticked = await self.tick()
        jobs = await self._due()
        for job in jobs:
            reaction = self.db.reactions.by_name.get(job.name)
            if reaction is not None and reaction.when == "outside":
                task = asyncio.create_task(self._limited(reaction, job))
                self._outside.add(task)
                task.add_done_callback(self._outside.discard)
            else:
                await self._perform(job)
        return bool(jobs) or ticked

    async def tick(self) -> bool:
        """Run the clock's reactions that are due; one process gets each (the row is locked)."""
        ticks = [r for r in self.db.reactions.by_name.values() if r.when == "every"]
        if not ticks:
            return False
        async with self.db.transaction(actor="clock") as tx:
            due = (
                await tx.values(
                    """
                insert into kernel.tick (name, next_at) select unnest($1::text[]), $2
                on conflict (name) do update set next_at = kernel.tick.next_at
                where kernel.tick.next_at <= $2
                returning name
                """,
                    [r.name for r in ticks],
                    tx.now,
                )
                if await _any_due(tx, [r.name for r in ticks])
                else []
            )
        for name in due:
            await self._tick_one(self.db.reactions.by_name[name])
        return bool(due)

    async def _tick_one(self, reaction: Reaction) -> None:
        error: str | None = None
        try:
            async with self.db.transaction(actor=f"clock:{reaction.name}") as tx:
                mine = await tx.value(
                    "select name from kernel.tick where name = $1 and next_at <= $2"
                    " for update skip locked",
                    reaction.name,
                    tx.now,
                )
                if mine is None:
                    return
                await reaction.call(tx)
                await _set_tick(tx, reaction, None)
                return
        except Exception as raised:
            log.exception("tick %s failed", reaction.name)
            error = _short(raised)
        async with self.db.transaction(actor="clock") as tx:
            await _set_tick(tx, reaction, error)

    async def _due(self) -> list[Job]:
        """Claim due jobs by a lease: a worker that dies lets go of them when the lease is over."""
        async with self.db.transaction(actor="worker") as tx:
            return await tx.rows(
                Job,
                """
                update kernel.job j
                   set leased_until = ($6::timestamptz[])[array_position($5::text[], j.name)],
                       leased_by = $3, attempts = attempts + 1
                  from (select id from kernel.job
                         where cell = $1 and parked_at is null and run_at <= $2
                           and (leased_until is null or leased_until < $2)
                           and name = any($5::text[])
                         order by run_at, id limit $4 for update skip locked) due
                 where j.cell = $1 and j.id = due.id
                returning j.id, j.name, j.payload, j.attempts
                """,
                tx.cell,
                tx.now,
                self.name,
                CLAIM_AT_ONCE,
                list(self.db.reactions.by_name),
                [tx.later_than(lease_seconds(r)) for r in self.db.reactions.by_name.values()],
            )

    async def _limited(self, reaction: Reaction, job: Job) -> None:
        limit = self._limits.setdefault(reaction.name, asyncio.Semaphore(reaction.concurrency))
        async with limit:
            await self._perform(job)

    async def _perform(self, job: Job) -> None:
        reaction = self.db.reactions.by_name[job.name]
        try:
            if reaction.when == "outside":
                async with self.db.transaction(actor=f"job:{job.name}") as tx:
                    if not await _begin(tx, reaction, job):
                        return  # it waited here for its turn until another worker took it
                    events = await _events(tx, job)
                async with asyncio.timeout(reaction.lease_seconds):
                    await reaction.call(self.db, events)
                async with self.db.transaction(actor=f"job:{job.name}") as tx:
                    await _delete(tx, job)
                return
            async with self.db.transaction(actor=f"job:{job.name}") as tx:
                if not await _delete(tx, job):
                    return  # another worker finished it
                await reaction.call(tx, await _events(tx, job))
        except Exception as raised:
            log.warning("job %s failed (try %d): %s", job.name, job.attempts, raised)
            await self._failed(reaction, job, raised)

    async def _failed(self, reaction: Reaction, job: Job, raised: Exception) -> None:
        """A job of several events is split, so that one bad event can't hold its neighbours; a
        single one is tried again later and, in the end, parked for a person."""
        ids = job.payload.get("events", [])
        wait = BACK_OFF_SECONDS[min(job.attempts, len(BACK_OFF_SECONDS)) - 1]
        async with self.db.transaction(actor="worker") as tx:
            if len(ids) > 1:
                if await _delete(tx, job):
                    await tx.run(
                        """
                        insert into kernel.job (cell, id, name, payload, run_at, error, created_at)
                        select $1, j.id, $2, j.payload::jsonb, $3, $4, $3
                          from unnest($5::uuid[], $6::text[]) as j(id, payload)
                        """,
                        tx.cell,
                        job.name,
                        tx.now,
                        _short(raised),
                        [tx.new_id() for _ in ids],
                        [msgspec.json.encode({"events": [i]}).decode() for i in ids],
                    )
                return
            await tx.run(
                """
                update kernel.job set leased_until = null, leased_by = null, error = $3, run_at
                = $4, parked_at = case when attempts >= $5 then $6::timestamptz end where cell =
                $1 and id = $2 """,
                tx.cell,
                job.id,
                _short(raised),
                tx.now + dt.timedelta(seconds=wait),
                reaction.attempts,
                tx.now,
            )

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self.poll_seconds):
                await self.db.work_due.wait()
        except TimeoutError:
            pass

    async def _listen(self) -> None:
        """Hear of work elsewhere; without the listener the poll still finds it."""
        while True:
            try:
                async with self.db.pool.acquire() as connection:
                    await self._hear(connection)
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await asyncio.sleep(1)

    async def _hear(self, connection: asyncpg.Connection) -> None:
        closed = asyncio.Event()

        def heard(*_: Any) -> None:
            self.db.work_due.set()

        def ended(_: Any) -> None:
            closed.set()

        await connection.add_listener("pinwheel_job", heard)
        connection.add_termination_listener(ended)
        try:
            await closed.wait()
        finally:
            connection.remove_termination_listener(ended)
            if not connection.is_closed():
                await connection.remove_listener("pinwheel_job", heard)


async def retry_parked(tx: Tx, ids: Sequence[uuid.UUID]) -> int:
    """Let parked jobs run again; how many were parked."""
    return await tx.run(
        """
        update kernel.job set parked_at = null, attempts = 0, run_at = $3, leased_until = null
         where cell = $1 and id = any($2::uuid[]) and parked_at is not null
        """,
        tx.cell,
        list(ids),
        tx.now,
    )


async def _any_due(tx: Tx, names: list[str]) -> bool:
    return bool(
        await tx.value(
            "select count(*) < $3 from kernel.tick where name = any($1::text[]) and next_at > $2",
            names,
            tx.now,
            len(names),
        )
    )


async def _set_tick(tx: Tx, reaction: Reaction, error: str | None) -> None:
    await tx.run(
        "update kernel.tick set next_at = $2, last_error = $3, last_run_at = $4 where name = $1",
        reaction.name,
        tx.now + dt.timedelta(seconds=reaction.seconds),
        error,
        tx.now,
    )


def lease_seconds(reaction: Reaction) -> float:
    """Longer than it may take, or a second worker would begin what still runs."""
    return max(120.0, 2 * reaction.lease_seconds)


async def _begin(tx: Tx, reaction: Reaction, job: Job) -> bool:
    """Its time runs from now on; False: its lease ended before it began, and another has it."""
    return bool(
        await tx.run(
            """
            update kernel.job set leased_until = $4
             where cell = $1 and id = $2 and attempts = $3
            """,
            tx.cell,
            job.id,
            job.attempts,
            tx.later_than(lease_seconds(reaction)),
        )
    )


async def _delete(tx: Tx, job: Job) -> bool:
    return bool(await tx.run("delete from kernel.job where cell = $1 and id = $2", tx.cell, job.id))


async def _events(tx: Tx, job: Job) -> list[Event]:
    kinds = tx.db.reactions.kinds
    if "inline" in job.payload:
        return [msgspec.convert(data, kinds[kind]) for kind, data in job.payload["inline"]]
    found = await tx.rows(
        EventBody,
        """
        select e.id, e.kind, e.data from kernel.event e
         where e.cell = $1 and e.id = any($2::uuid[]) order by e.id
        """,
        tx.cell,
        job.payload["events"],
    )
    return [msgspec.convert(body.data, kinds[body.kind]) for body in found]


class EventBody(msgspec.Struct, frozen=True):
    id: uuid.UUID
    kind: str
    data: dict[str, Any]


def _short(error: Exception) -> str:
    return "".join(traceback.format_exception(error))[-4000:]
