"""A small city lives a few days: its promises hold, and its seed says how the books end."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import world
from pinwheel import app
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.settings import Settings
from pinwheel.strategy import lab


@contextlib.asynccontextmanager
async def a_database_of_its_own(server_url: str, template: str) -> AsyncIterator[str]:
    name = world.fresh_name("city")
    yield await world.create_database(server_url, name, template)
    await world.drop_database(server_url, name)


async def live(server_url: str, template: str, folder: Path, seed: int) -> lab.Report:
    """Four days of four hundred people, in a shop of their own."""
    scenario = lab.Scenario(days=4, seed=seed, buyers=400, products=40)
    async with a_database_of_its_own(server_url, template) as url:
        settings = Settings(
            database_url=url, secret="the secret of the tests", demonstration=True, data_dir=folder
        )
        db = await app.open_database(settings)
        clock = db.clock = SetClock(lab.BEGINS)
        db.random = Random(f"city:{seed}")
        try:
            return await lab.simulate(db, clock, scenario, app.PROMISING, lambda _: None)
        finally:
            await db.close()


async def test_a_city_keeps_every_promise_and_its_seed_names_its_books(
    server_url: str, template: str, tmp_path: Path
) -> None:
    first, again, other = [
        await live(server_url, template, tmp_path / name, seed)
        for name, seed in (("first", 7), ("again", 7), ("other", 8))
    ]
    for report in (first, again, other):
        assert report.broken == []
        assert report.clean
        assert report.figures["orders"] > 20, "nobody lives in this city"
    assert first.hash == again.hash, "the same seed ended in other books"
    assert first.hash != other.hash, "the seed changes nothing"
