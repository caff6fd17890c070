"""Group commit: each caller is answered as if alone, and the cost is shared."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import NotFound, Overloaded, Refusal
from pinwheel.kernel.together import Together


class Recorder:
    """A verb that writes its commands down, and can be told to stop, refuse or raise."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.started = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self, tx: Tx, commands: Sequence[str]) -> list[str | Refusal]:
        self.batches.append(list(commands))
        self.started.set()
        await self.gate.wait()
        if "poison" in commands:
            raise RuntimeError("poison")
        good = [c for c in commands if c != "refused"]
        await tx.run(
            """
            insert into kernel.setting (name, value, changed_at, changed_by)
            select unnest($1::text[]), 'true', $2, 'test'
            """,
            good,
            tx.now,
        )
        return [NotFound(what=c) if c == "refused" else c.upper() for c in commands]


async def names(db: Database) -> set[str]:
    async with db.reading() as tx:
        return set(await tx.values("select name from kernel.setting"))


async def test_a_refusal_answers_its_own_caller(db: Database) -> None:
    together = Together(db, Recorder())
    answers = await asyncio.gather(
        *(together(c) for c in ("a", "refused", "b")), return_exceptions=True
    )
    assert (answers[0], answers[2]) == ("A", "B")
    assert isinstance(answers[1], NotFound)
    assert await names(db) == {"a", "b"}


async def test_poison_is_found_and_its_neighbours_are_served(db: Database) -> None:
    verb = Recorder()
    together = Together(db, verb)
    commands = [*"abcdefg", "poison", *"hij"]
    answers = await asyncio.gather(*(together(c) for c in commands), return_exceptions=True)
    assert isinstance(answers[7], RuntimeError)
    assert await names(db) == set("abcdefghij")
    assert [a for a in answers if not isinstance(a, Exception)] == list("ABCDEFGHIJ")


async def test_what_comes_while_a_batch_runs_becomes_one_batch(db: Database) -> None:
    verb = Recorder()
    verb.gate.clear()
    together = Together(db, verb)
    first = asyncio.create_task(together("first"))
    await verb.started.wait()
    others = [asyncio.create_task(together(f"n{n}")) for n in range(50)]
    await asyncio.sleep(0)
    verb.gate.set()
    await asyncio.gather(first, *others)
    assert [len(batch) for batch in verb.batches] == [1, 50]


async def test_a_full_queue_refuses_at_once(db: Database) -> None:
    verb = Recorder()
    verb.gate.clear()
    together = Together(db, verb, waiting=5)
    first = asyncio.create_task(together("first"))
    await verb.started.wait()
    waiting = [asyncio.create_task(together(f"n{n}")) for n in range(5)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await together("one too many")
    verb.gate.set()
    await asyncio.gather(first, *waiting)
    assert "one too many" not in await names(db)


async def test_a_caller_who_goes_away_undoes_nothing(db: Database) -> None:
    verb = Recorder()
    verb.gate.clear()
    together = Together(db, verb)
    gone, stays = (asyncio.create_task(together(c)) for c in ("gone", "stays"))
    await verb.started.wait()
    gone.cancel()
    verb.gate.set()
    assert await stays == "STAYS"
    assert gone.cancelled()
    assert await names(db) == {"gone", "stays"}


async def test_a_batch_that_fails_at_commit_answers_nobody_with_success(db: Database) -> None:
    async def verb(tx: Tx, commands: Sequence[str]) -> list[Any]:
        await tx.run(
            "create temp table t (id int unique deferrable initially deferred) on commit drop"
        )
        await tx.run("insert into t values (1), (1)")
        return list(commands)

    together = Together(db, verb)
    answers = await asyncio.gather(together("a"), together("b"), return_exceptions=True)
    assert all(isinstance(a, Exception) for a in answers)
