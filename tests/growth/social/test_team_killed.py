"""The worker dies at every single statement of forming and of failing; another one goes on."""

from __future__ import annotations

import itertools

import pytest

from killer import Killer
from pinwheel.kernel.db import Database
from team_world import DELIVERY, TOGETHER, open_team_shop

PAID = TOGETHER + DELIVERY


@pytest.fixture
def killer(monkeypatch: pytest.MonkeyPatch) -> Killer:
    return Killer(monkeypatch, "team_jobs")


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
        was_killed = await killer.strikes(db, step)
        team = await teams.team(team_id)
        assert team.state == ("formed" if members == 3 else "failed"), step
        kept += PAID * 3 if members == 3 else 0
        assert await teams.charged() == kept, step
        assert await teams.shop.stock(0) == (20_000, kept // PAID), step
        if not was_killed:
            break
    assert step > 15, "the killer never struck"
    assert not await teams.broken()
