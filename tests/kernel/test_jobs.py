"""What follows from a fact happens once, whatever dies in between."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.events import Event, Reactions, after, during, every, outside
from pinwheel.kernel.jobs import Worker, retry_parked

BAD = uuid.UUID(int=13)


class Rung(Event, frozen=True, kw_only=True):
    subject: ClassVar[str] = "bell_id"
    bell_id: uuid.UUID


async def note(tx: Tx, name: str, value: Any = 1) -> None:
    """One more of ``name``: counts effects that were committed."""
    await tx.run(
        """
        insert into kernel.setting as s (name, value, changed_at, changed_by)
        values ($1, $2, $3, 'test')
        on conflict (name) do update set value = to_jsonb((s.value::int) + 1)
        """,
        name,
        value,
        tx.now,
    )


async def noted(db: Database, name: str) -> int:
    async with db.reading() as tx:
        return int(await tx.value("select value from kernel.setting where name = $1", name) or 0)


class Box:
    """Reactions of a test, and what they are told to do."""

    def __init__(self, db: Database, *functions: Callable[..., Any]) -> None:
        reactions = Reactions()
        for function in functions:
            reactions.add(function.__dict__["pinwheel_reaction"])
        self.db = Database(
            db.pool, clock=db.clock, reactions=reactions, cell=db.cell, rng=db.random
        )

    def worker(self) -> Worker:
        return Worker(self.db)

    async def ring(self, *ids: uuid.UUID) -> None:
        async with self.db.transaction() as tx:
            tx.emit(*(Rung(bell_id=i) for i in ids or (uuid.UUID(int=1),)))

    async def jobs(self) -> list[dict[str, Any]]:
        async with self.db.pool.acquire() as connection:
            rows = await connection.fetch("select * from kernel.job order by run_at, id")
            return [dict(row) for row in rows]


async def test_a_refused_transaction_leaves_neither_fact_nor_job(db: Database) -> None:
    @after(Rung)
    async def follow(tx: Tx, events: list[Rung]) -> None: ...

    box = Box(db, follow)
    with pytest.raises(ZeroDivisionError):
        async with box.db.transaction() as tx:
            tx.emit(Rung(bell_id=BAD))
            _ = 1 / 0
    assert await box.jobs() == []
    async with box.db.reading() as tx:
        assert await tx.value("select count(*) from kernel.event") == 0


async def test_a_savepoint_takes_its_events_with_it(db: Database) -> None:
    @after(Rung)
    async def follow(tx: Tx, events: list[Rung]) -> None:
        for _ in events:
            await note(tx, "followed")

    box = Box(db, follow)
    async with box.db.transaction() as tx:
        tx.emit(Rung(bell_id=uuid.UUID(int=1)))
        with pytest.raises(ZeroDivisionError):
            async with tx.savepoint():
                tx.emit(Rung(bell_id=uuid.UUID(int=2)))
                _ = 1 / 0
    await box.worker().drain()
    assert await noted(db, "followed") == 1


async def test_what_happens_during_is_part_of_the_transaction(db: Database) -> None:
    @during(Rung)
    async def refuse(tx: Tx, events: list[Rung]) -> None:
        raise ValueError("no bells")

    box = Box(db, refuse)
    with pytest.raises(ValueError, match="no bells"):
        async with box.db.transaction() as tx:
            await note(tx, "rung")
            tx.emit(Rung(bell_id=BAD))
    assert await noted(db, "rung") == 0


async def test_a_job_that_raises_leaves_nothing_waits_longer_and_is_parked(
    db: Database, clock: SetClock
) -> None:
    @after(Rung, attempts=3)
    async def stumble(tx: Tx, events: list[Rung]) -> None:
        await note(tx, "half")
        raise RuntimeError("the other half is missing")

    box = Box(db, stumble)
    await box.ring()
    waits = []
    for _ in range(3):
        before = clock.now()
        assert await box.worker().drain() == 1
        (job,) = await box.jobs()
        waits.append((job["run_at"] - before).total_seconds())
        assert await box.worker().drain() == 0, "it is not due yet"
        clock.set(job["run_at"])
    assert waits == sorted(waits)
    assert waits[0] < waits[-1]
    assert job["parked_at"] is not None
    assert "the other half is missing" in job["error"]
    clock.travel(days=30)
    assert await box.worker().drain() == 0
    assert await noted(db, "half") == 0
    async with box.db.transaction() as tx:
        assert await retry_parked(tx, [job["id"]]) == 1
    assert await box.worker().drain() == 1


async def test_one_bad_event_does_not_hold_its_neighbours(db: Database, clock: SetClock) -> None:
    @after(Rung)
    async def follow(tx: Tx, events: list[Rung]) -> None:
        for event in events:
            if event.bell_id == BAD:
                raise RuntimeError("a bad bell")
            await note(tx, "followed")

    box = Box(db, follow)
    await box.ring(uuid.UUID(int=1), BAD, uuid.UUID(int=2), uuid.UUID(int=3))
    await box.worker().drain()
    assert await noted(db, "followed") == 3
    (left,) = await box.jobs()
    assert "a bad bell" in left["error"]


async def test_a_worker_that_dies_lets_go_of_its_jobs(db: Database, clock: SetClock) -> None:
    @after(Rung)
    async def follow(tx: Tx, events: list[Rung]) -> None:
        await note(tx, "followed")

    box = Box(db, follow)
    await box.ring()
    dead = box.worker()
    assert len(await dead._due()) == 1  # claimed, and then the process is gone
    alive = box.worker()
    assert await alive.drain() == 0
    clock.travel(seconds=121)
    assert await alive.drain() == 1
    assert await noted(db, "followed") == 1


async def test_two_workers_with_one_job_do_it_once(db: Database, clock: SetClock) -> None:
    @after(Rung)
    async def follow(tx: Tx, events: list[Rung]) -> None:
        await note(tx, "followed")

    box = Box(db, follow)
    await box.ring()
    slow, quick = box.worker(), box.worker()
    (job,) = await slow._due()
    clock.travel(seconds=121)
    (again,) = await quick._due()
    await asyncio.gather(slow._perform(job), quick._perform(again))
    assert await noted(db, "followed") == 1
    assert await box.jobs() == []


async def test_many_workers_share_the_work(db: Database) -> None:
    @after(Rung)
    async def follow(tx: Tx, events: list[Rung]) -> None:
        await tx.run(
            "insert into kernel.setting values ($1, 'true', $2, 'x')",
            str(events[0].bell_id),
            tx.now,
        )

    box = Box(db, follow)
    for n in range(60):
        await box.ring(uuid.UUID(int=n))
    ran = await asyncio.gather(*(box.worker().drain() for _ in range(4)))
    assert sum(ran) == 60
    async with db.reading() as tx:
        assert await tx.value("select count(*) from kernel.setting") == 60


async def test_an_outside_call_is_repeated_when_the_process_dies_before_it_is_recorded(
    db: Database, clock: SetClock
) -> None:
    calls = []

    @outside(Rung)
    async def tell(db: Database, events: list[Rung]) -> None:
        calls.append(events[0].bell_id)
        if len(calls) == 1:
            raise asyncio.CancelledError  # the process ends here, after the call

    box = Box(db, tell)
    await box.ring()
    with pytest.raises(asyncio.CancelledError):
        await box.worker().drain()
    assert await box.worker().drain() == 0
    clock.travel(seconds=121)
    assert await box.worker().drain() == 1
    assert len(calls) == 2
    assert await box.jobs() == []


async def test_a_tick_runs_once_over_all_workers(db: Database, clock: SetClock) -> None:
    @every(seconds=60)
    async def strike(tx: Tx) -> None:
        await note(tx, "struck")

    box = Box(db, strike)
    await asyncio.gather(*(box.worker().drain() for _ in range(4)))
    assert await noted(db, "struck") == 1
    clock.travel(seconds=59)
    await box.worker().drain()
    assert await noted(db, "struck") == 1
    clock.travel(seconds=1)
    await asyncio.gather(*(box.worker().drain() for _ in range(4)))
    assert await noted(db, "struck") == 2


async def test_a_tick_that_raises_is_told_and_comes_again(db: Database, clock: SetClock) -> None:
    @every(seconds=60)
    async def stumble(tx: Tx) -> None:
        raise RuntimeError("no clapper")

    box = Box(db, stumble)
    await box.worker().drain()
    async with db.reading() as tx:
        error = await tx.value("select last_error from kernel.tick")
    assert "no clapper" in error


async def test_later_with_a_key_happens_once_and_not_before_its_time(
    db: Database, clock: SetClock
) -> None:
    @after(Rung)
    async def follow(tx: Tx, events: list[Rung]) -> None:
        await note(tx, "followed")

    box = Box(db, follow)
    for _ in range(2):
        async with box.db.transaction() as tx:
            event = Rung(bell_id=BAD)
            tx.later(follow, event, at=tx.later_than(3600), key="this one")
    assert await box.worker().drain() == 0
    clock.travel(hours=1)
    assert await box.worker().drain() == 1
    assert await noted(db, "followed") == 1


async def test_a_lease_is_as_long_as_its_own_reaction_may_take(
    db: Database, clock: SetClock
) -> None:
    """What one reaction may take makes no other's job wait after a crash."""
    died = 0

    class Died(BaseException): ...

    @outside(Rung, lease_seconds=3_600)
    async def slow(db: Database, events: list[Rung]) -> None: ...

    @outside(Rung)
    async def quick(db: Database, events: list[Rung]) -> None:
        nonlocal died
        died += 1
        if died == 1:
            raise Died

    box = Box(db, slow, quick)
    await box.ring()
    with pytest.raises(Died):
        await box.worker().drain()
    clock.travel(seconds=121)
    await box.worker().drain()
    assert died == 2


async def test_a_job_whose_lease_ended_while_it_waited_is_not_begun_again(
    db: Database, clock: SetClock
) -> None:
    """A reaction that does one at once is stuck with the first: another worker does both, and the
    second one, which has waited here, is left to it."""
    began: list[uuid.UUID] = []
    has_begun, may_end = asyncio.Event(), asyncio.Event()

    @outside(Rung, concurrency=1)
    async def slow(db: Database, events: list[Rung]) -> None:
        began.append(events[0].bell_id)
        if len(began) == 1:
            has_begun.set()
            await may_end.wait()

    box = Box(db, slow)
    await box.ring(uuid.UUID(int=1))
    await box.ring(uuid.UUID(int=2))
    stuck = box.worker()
    await stuck.once()
    await has_begun.wait()
    clock.travel(seconds=121)
    assert await box.worker().drain() == 2
    may_end.set()
    stuck.stop()
    await stuck.run()
    assert sorted(b.int for b in began) in ([1, 1, 2], [1, 2, 2])
    assert await box.jobs() == []


async def test_a_job_of_a_newer_release_is_left_alone(db: Database) -> None:
    @after(Rung)
    async def follow(tx: Tx, events: list[Rung]) -> None: ...

    await Box(db, follow).ring()
    assert await Box(db).worker().drain() == 0
    assert await Box(db, follow).worker().drain() == 1


async def test_the_running_worker_hears_of_work_and_stops(db: Database) -> None:
    done = asyncio.Event()

    @after(Rung)
    async def follow(tx: Tx, events: list[Rung]) -> None:
        done.set()

    box = Box(db, follow)
    worker = Worker(box.db, poll_seconds=600)
    running = asyncio.create_task(worker.run())
    await box.ring()
    async with asyncio.timeout(120):
        await done.wait()
        worker.stop()
        await running
