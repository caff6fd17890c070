"""Random lives under the clock, every promise after every batch. A failing seed is printed and
replays: ``PINWHEEL_SEED=123 python -m pytest tests/simulation``; several may be named."""

from __future__ import annotations

import os

import pytest
from city import Town

from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database

SEEDS = [int(seed) for seed in os.environ.get("PINWHEEL_SEED", "1 2 3 4 5 6").split()]


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_town_lives_and_every_promise_holds(
    db: Database, clock: SetClock, seed: int
) -> None:
    town = await Town.build(db, clock, seed)
    try:
        await town.live(64)
    except BaseException:
        print(f"seed {seed} failed after:", *town.log[-12:], sep="\n  ")  # noqa: T201
        raise
