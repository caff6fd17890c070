"""One seeded shop for all these tests: each comes with a browser of its own and leaves the goods
as they are, or takes goods of its own."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator

import pytest

import world
from pinwheel import app
from pinwheel.kernel import db as database
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.vault import Vault
from storefront_world import SECRET, Storefront, open_storefront


@pytest.fixture(scope="module")
async def shop(
    server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Storefront]:
    name = world.fresh_name("shop")
    url = await world.create_database(server_url, name, template)
    opened = await database.connect(
        url,
        clock=SetClock(world.MONDAY),
        reactions=app.reactions(),
        size=6,
        rng=random.Random(20260105),
        vault=Vault.of_secret(SECRET),
    )
    async with open_storefront(opened, tmp_path_factory.mktemp("shop")) as found:
        yield found
    await opened.close()
    await world.drop_database(server_url, name)
