"""The worker dies at every single statement of forming and of failing; another one goes on."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.jobs import Worker
from team_world import DELIVERY, TOGETHER, open_team_shop

PAID = TOGETHER + DELIVERY


class Killed(BaseException):
    """Not an error that anybody handles: the process is gone."""


class Killer:
    """Counts the statements of the teams' jobs and ends the process at one of them."""

    def __init__(self) -> None:
        self.at, self.seen = 0, 0

    def counted(self, tx: Any, statements: int) -> None:
        if statements and "team_jobs" in tx.actor and self.at:
            self.seen += 1
            if self.seen == self.at:
                self.at = 0
                raise Killed
        tx.__dict__["counted_statements"] = statements


@pytest.fixture
def killer(monkeypatch: pytest.MonkeyPatch) -> Killer:
    one = Killer()
    counted = property(lambda tx: tx.__dict__["counted_statements"], one.counted)
    monkeypatch.setattr(Tx, "statements", counted, raising=False)
    return one


@pytest.mark.slow
@pytest.mark.parametrize("members", [2, 3])
async def test_killed_at_every_statement_every_team_ends_whole(
    db: Database, killer: Killer, members: int
) -> None:
    """Two members: the team fails. Three: it forms."""
    teams = await open_team_shop(db, stock=10_000, window_seconds=3600)
    kept = 0
    for step in itertools.count(1):
        _, team_id = await teams.opens()
        for _ in range(members - 1):
            await teams.joins(team_id)
        if members == 2:
            await teams.worker.drain()
            teams.clock.set((await teams.team(team_id)).closes_at)
        killer.at, killer.seen = step, 0
        was_killed = False
        try:
            await Worker(db).drain()
        except Killed:
            was_killed = True
        killer.at = 0
        for _ in range(3):  # the dead worker's lease runs out, another one goes on
            teams.clock.travel(seconds=700)
            await Worker(db).drain()
        team = await teams.team(team_id)
        assert team.state == ("formed" if members == 3 else "failed"), step
        kept += PAID * 3 if members == 3 else 0
        assert await teams.charged() == kept, step
        assert await teams.shop.stock(0) == (20_000, kept // PAID), step
        if not was_killed:
            break
    assert step > 15, "the killer never struck"
    assert not await teams.broken()
