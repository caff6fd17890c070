"""A worker that dies at one statement, and another one that goes on."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.jobs import Worker

LEASES_SECONDS = 700  # longer than any job's lease


class Killed(BaseException):
    """Not an error that anybody handles: the process is gone."""


class Killer:
    """Counts the statements of the jobs whose names hold one of ``jobs`` and ends the process at
    one of them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *jobs: str) -> None:
        self.jobs = jobs
        self.at, self.seen, self.is_dead = 0, 0, False
        counted = property(lambda tx: tx.__dict__["counted_statements"], self._counted)
        monkeypatch.setattr(Tx, "statements", counted, raising=False)

    def _counted(self, tx: Any, statements: int) -> None:
        if statements and self.at and any(job in tx.actor for job in self.jobs):
            self.seen += 1
            self.is_dead |= self.seen == self.at
        if statements and self.is_dead:  # of a dead process nobody says anything any more
            raise Killed
        tx.__dict__["counted_statements"] = statements

    async def strikes(self, db: Database, step: int) -> bool:
        """Run a worker that dies at statement ``step``; False: it had fewer. Then its lease runs
        out, and others go on."""
        assert isinstance(db.clock, SetClock)
        self.at, self.seen = step, 0
        with contextlib.suppress(Killed):
            await Worker(db).drain()
        was_killed, self.is_dead, self.at = self.is_dead, False, 0
        for _ in range(3):
            db.clock.travel(seconds=LEASES_SECONDS)
            await Worker(db).drain()
        return was_killed

    async def strikes_everywhere(
        self,
        db: Database,
        arrange: Callable[[], Awaitable[Any]],
        check: Callable[[Any], Awaitable[None]],
        *,
        least: int,
    ) -> None:
        """For each statement: something fresh (``arrange``) whose time has come, a death, and the
        end it must have all the same (``check``). ``least``: statements there must be."""
        for step in itertools.count(1):
            subject = await arrange()
            was_killed = await self.strikes(db, step)
            await check(subject)
            if not was_killed:
                assert step > least, f"{step - 1} statements: the killer hardly struck"
                return
