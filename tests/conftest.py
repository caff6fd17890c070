"""Fixtures every test may ask for. Each test has a database of its own, copied from a template."""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator, Iterator

import argon2
import pytest
from hypothesis import HealthCheck, settings

import world
from pinwheel import app
from pinwheel.ground.identity import accounts
from pinwheel.kernel import db as database
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.jobs import Worker
from pinwheel.kernel.migrate import migrate
from pinwheel.kernel.vault import Vault

# What an example takes says how busy the machine is, nothing of the code.
settings.register_profile(
    "pinwheel", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.load_profile("pinwheel")
# A password is as hard to guess as the installation says; a test has none to protect.
accounts.HASHER = argon2.PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)

SLOW = ("crash", "browser", "slow")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What needs a database is marked ``database``; files that take long begin first, so that none
    is begun when everybody else has ended (with ``--no-loadscope-reorder``)."""
    slow = {i.path for i in items if any(i.get_closest_marker(name) for name in SLOW)}
    items.sort(key=lambda item: item.path not in slow)
    for item in items:
        if "server_url" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.database)


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """A server to make databases on: ``PINWHEEL_DATABASE_URL``, or one started for this run."""
    given = os.environ.get("PINWHEEL_DATABASE_URL")
    if given:
        yield given
        return
    server = world.Server()
    yield server.url
    server.stop()


@pytest.fixture(scope="session")
async def template(server_url: str) -> AsyncIterator[str]:
    """The name of a migrated, empty database that tests are copied from: ``PINWHEEL_TEMPLATE`` of
    the server that is given, or one made for this run."""
    made = os.environ.get("PINWHEEL_TEMPLATE")
    if made:
        yield made
        return
    name = world.fresh_name("template")
    await migrate(await world.create_database(server_url, name))
    yield name
    await world.drop_database(server_url, name)


@pytest.fixture
async def url(server_url: str, template: str) -> AsyncIterator[str]:
    """The URL of this test's own migrated database."""
    name = world.fresh_name()
    yield await world.create_database(server_url, name, template)
    await world.drop_database(server_url, name)


@pytest.fixture
async def empty_url(server_url: str) -> AsyncIterator[str]:
    """The URL of a database without any schema."""
    name = world.fresh_name("empty")
    yield await world.create_database(server_url, name)
    await world.drop_database(server_url, name)


@pytest.fixture
def clock() -> SetClock:
    return SetClock(world.MONDAY)


@pytest.fixture
def rng() -> random.Random:
    return random.Random(20260105)


@pytest.fixture
async def db(url: str, clock: SetClock, rng: random.Random) -> AsyncIterator[Database]:
    """The whole house's database: its clock stands still, its ids are the same in each run."""
    opened = await database.connect(
        url,
        clock=clock,
        reactions=app.reactions(),
        size=8,
        rng=rng,
        vault=Vault({"test": "the secret of the tests"}),
        idle_seconds=10 * world.PATIENCE_SECONDS,
        lock_seconds=world.PATIENCE_SECONDS,
    )
    yield opened
    await opened.close()


@pytest.fixture
def worker(db: Database) -> Worker:
    """``await worker.drain()`` runs what is due."""
    return Worker(db)
