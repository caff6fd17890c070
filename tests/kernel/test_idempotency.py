"""A repeat gets the first answer; a key is never used for something else."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import KeyReused
from pinwheel.kernel.idempotency import Claim, Kept, claim, keep
from pinwheel.kernel.jobs import Worker


async def act(db: Database, one: Claim, answer: Any) -> Any:
    """Do it once and keep the answer, as a verb would."""
    async with db.transaction() as tx:
        (found,) = await claim(tx, [one])
        if isinstance(found, KeyReused):
            raise found
        if isinstance(found, Kept):
            return found.answer
        await keep(tx, [(one, answer)])
        return answer


async def test_a_repeat_gets_the_first_answer(db: Database) -> None:
    one = Claim("ann", "key", {"amount": 1})
    assert await act(db, one, {"order": 1}) == {"order": 1}
    assert await act(db, one, {"order": 2}) == {"order": 1}


async def test_another_input_is_refused(db: Database) -> None:
    await act(db, Claim("ann", "key", {"amount": 1}), 1)
    with pytest.raises(KeyReused):
        await act(db, Claim("ann", "key", {"amount": 2}), 2)


async def test_the_order_of_fields_is_no_difference(db: Database) -> None:
    await act(db, Claim("ann", "key", {"a": 1, "b": 2}), 1)
    assert await act(db, Claim("ann", "key", {"b": 2, "a": 1}), 2) == 1


async def test_keys_of_two_callers_never_meet(db: Database) -> None:
    await act(db, Claim("ann", "key", {"amount": 1}), "ann's")
    assert await act(db, Claim("bob", "key", {"amount": 2}), "bob's") == "bob's"


async def test_two_at_once_do_it_once(db: Database) -> None:
    one = Claim("ann", "key", {})
    answers = await asyncio.gather(*(act(db, one, n) for n in range(5)))
    assert len(set(answers)) == 1


async def test_a_failure_frees_the_key(db: Database) -> None:
    one = Claim("ann", "key", {})
    with pytest.raises(ZeroDivisionError):
        async with db.transaction() as tx:
            assert await claim(tx, [one]) == [None]
            _ = 1 / 0
    assert await act(db, one, "done") == "done"


async def test_repeats_inside_one_call(db: Database) -> None:
    one, other = Claim("ann", "key", {"n": 1}), Claim("ann", "key", {"n": 2})
    async with db.transaction() as tx:
        first, again, wrong = await claim(tx, [one, one, other])
    assert first is None
    assert again == Kept(None)
    assert isinstance(wrong, KeyReused)


async def test_a_key_is_forgotten_after_a_week(
    db: Database, clock: SetClock, worker: Worker
) -> None:
    one = Claim("ann", "key", {})
    await act(db, one, 1)
    clock.travel(days=6)
    await worker.drain()
    assert await act(db, one, 2) == 1
    clock.travel(days=2)
    await worker.drain()
    assert await act(db, one, 3) == 3
