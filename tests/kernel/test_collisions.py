"""Two transactions write the same key at the same moment: both are answered."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import asyncpg
import pytest

from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.together import apart


class FindOrMake:
    """Finds a setting or makes it, and waits between the two until both have looked."""

    def __init__(self, writers: int) -> None:
        self.both = asyncio.Barrier(writers)
        self.tries = 0

    async def one(self, tx: Tx) -> str:
        self.tries += 1
        found = await tx.value("select changed_by from kernel.setting where name = 'one'")
        if found is not None:
            return "found"
        await self.both.wait()
        await tx.run(
            """
            insert into kernel.setting (name, value, changed_at, changed_by)
            values ('one', 'true', $1, 'test')
            """,
            tx.now,
        )
        return "made"

    async def many(self, tx: Tx, commands: Sequence[str]) -> list[str]:
        return [await self.one(tx) for _ in commands]


async def test_who_comes_second_finds_what_the_first_made(db: Database) -> None:
    verb = FindOrMake(2)
    answers = await asyncio.gather(db.attempt(verb.one), db.attempt(verb.one))
    assert sorted(answers) == ["found", "made"]
    assert verb.tries == 3


async def test_so_do_commands_that_share_a_transaction(db: Database) -> None:
    verb = FindOrMake(2)
    answers = await asyncio.gather(*(apart(db, verb.many, ["a"]) for _ in range(2)))
    assert sorted(str(a) for [a] in answers) == ["found", "made"]


async def test_a_key_that_is_taken_for_good_is_said(db: Database) -> None:
    tries = 0

    async def verb(tx: Tx) -> None:
        nonlocal tries
        tries += 1
        for _ in range(2):
            await tx.run(
                """
                insert into kernel.setting (name, value, changed_at, changed_by)
                values ('taken', 'true', $1, 'test')
                """,
                tx.now,
            )

    with pytest.raises(asyncpg.UniqueViolationError):
        await db.attempt(verb)
    assert tries == 3
