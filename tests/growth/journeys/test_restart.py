"""Processes that die in mid-journey: nothing is lost and nothing happens twice."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import asyncpg

import world
from growth.journeys.travellers import Road
from pinwheel.growth.journeys import Act, Branch, Wait
from pinwheel.growth.journeys.advancing import Round, advance

LETTER = Act(action="message", settings={"template": "autumn"})
PEOPLE = int(os.environ.get("PINWHEEL_ENROLMENTS", "2000"))
WORKER = """
import asyncio, datetime as dt, sys
from pinwheel import app
from pinwheel.growth.journeys.advancing import advance
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import connect
from pinwheel.kernel.settings import Settings
from pinwheel.kernel.vault import Vault

async def main():
    db = await connect(sys.argv[1], clock=SetClock(dt.datetime.fromisoformat(sys.argv[2])),
                       reactions=app.reactions(), size=2,
                       vault=Vault({"test": "the secret of the tests"}))
    app.furnish(db, Settings(secret="the secret of the tests", time_zone="UTC"))
    print("begun", flush=True)
    while True:
        async with db.transaction(actor="killed") as tx:
            if not await advance(tx, 250):
                break
    print("done", flush=True)
    await db.close()

asyncio.run(main())
"""


async def plan(road: Road) -> Any:
    return await road.plan(
        Branch(by="share", basis_points=7_000, otherwise=3),
        LETTER,
        Wait(seconds=3_600),
        LETTER,
        most_a_week=10,
    )


def begun(url: str, at: str, tmp: Path) -> subprocess.Popen[str]:
    file = tmp / "one_worker.py"
    file.write_text(WORKER, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, str(file), url, at],
        stdout=subprocess.PIPE,
        text=True,
        preexec_fn=world.die_with_parent,
    )
    assert process.stdout is not None and process.stdout.readline() == "begun\n"
    return process


async def test_killed_again_and_again_it_loses_and_doubles_nothing(
    road: Road, url: str, tmp_path: Path
) -> None:
    """Two processes at a time take steps; one after another is killed at some line of its work."""
    journey_id = await plan(road)
    people = await road.readers(PEOPLE)
    for start in range(0, PEOPLE, 5_000):
        await road.enter(journey_id, *people[start : start + 5_000])
    rng, killed = random.Random(11), 0
    for hours in (0, 2):
        road.clock.travel(hours=hours)
        at = road.clock.now().isoformat()
        while await left(road) > 0:
            pair = [begun(url, at, tmp_path) for _ in range(2)]
            before = await left(road)
            goal = before - rng.randrange(1, max(2, PEOPLE // 4))
            if killed < 6:
                await until(road, max(goal, 0), pair)
                for process in pair:
                    killed += process.poll() is None
                    process.send_signal(signal.SIGKILL)
            for process in pair:
                await asyncio.to_thread(process.wait)
    steps = await road.steps(journey_id)
    letters = await road.letters("journey:")
    assert killed >= 2
    assert await road.enrolments(journey_id) == {"done": PEOPLE}
    assert steps["0 yes"] + steps["0 no"] == PEOPLE
    assert steps["1 acted"] == steps["0 yes"] == steps["2 waited"]
    assert steps["3 acted"] == PEOPLE
    assert len(letters) == steps["1 acted"] + steps["3 acted"]
    assert set(letters.values()) == {1}
    assert await road.broken() == []


async def until(road: Road, goal: int, pair: list[subprocess.Popen[str]]) -> None:
    """Look until so few are left, or nobody works any more."""
    while await left(road) > goal:
        if all(process.poll() is not None for process in pair):
            return


async def left(road: Road) -> int:
    async with road.db.reading() as tx:
        found: int = await tx.value(
            "select count(*) from journeys.enrolment where state = 'active' and due_at <= $1",
            road.clock.now(),
        )
    return found


async def test_a_crash_at_the_last_line_undoes_the_whole_round(
    road: Road, monkeypatch: Any
) -> None:
    journey_id = await plan(road)
    await road.enter(journey_id, *await road.readers(20))
    walk = Round.walk

    async def crash(self: Round) -> None:
        await walk(self)
        raise asyncpg.ConnectionDoesNotExistError("the process is gone")

    monkeypatch.setattr(Round, "walk", crash)
    try:
        async with road.db.transaction() as tx:
            await advance(tx)
    except asyncpg.ConnectionDoesNotExistError:
        pass
    assert await road.letters("journey:") == Counter()
    monkeypatch.setattr(Round, "walk", walk)
    await road.worker.drain()
    await road.travel(hours=2)
    assert await road.enrolments(journey_id) == {"done": 20}
    assert set((await road.letters("journey:")).values()) == {1}
    assert await road.broken() == []


async def test_rounds_that_run_at_once_share_the_work(road: Road) -> None:
    journey_id = await plan(road)
    await road.enter(journey_id, *await road.readers(300))

    async def go() -> int:
        taken = 0
        while True:
            async with road.db.transaction(actor="test") as tx:
                part = await advance(tx, 10)
            taken += part
            if not part:
                return taken

    for _ in range(2):
        await asyncio.gather(*(go() for _ in range(5)))
        road.clock.travel(hours=2)
    steps = await road.steps(journey_id)
    assert steps["3 acted"] == 300
    assert set((await road.letters("journey:")).values()) == {1}
    assert await road.broken() == []
