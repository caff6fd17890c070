"""A real server on a real port, and Chromium in front of it. Screenshots of every page that is
looked at go to ``PINWHEEL_SCREENSHOTS`` when that names a folder."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from granian.constants import Interfaces
from granian.server.embed import Server
from playwright.async_api import Browser, async_playwright, expect

import world
from pinwheel import app
from pinwheel.kernel import db as database
from pinwheel.kernel.db import Database
from pinwheel.kernel.jobs import Worker
from pinwheel.kernel.vault import Vault
from storefront_world import SECRET, open_storefront

CHROMIUM = os.environ.get("PINWHEEL_CHROMIUM", "/usr/bin/chromium")
expect.set_options(timeout=1000 * world.PATIENCE_SECONDS)


@pytest.fixture(scope="session")
async def shop_db(server_url: str, template: str) -> AsyncIterator[Database]:
    """The database of the shop behind ``shop_url``."""
    name = world.fresh_name("browser")
    url = await world.create_database(server_url, name, template)
    db = await database.connect(url, reactions=app.reactions(), vault=Vault.of_secret(SECRET))
    yield db
    await db.close()
    await world.drop_database(server_url, name)


@pytest.fixture(scope="session")
async def shop_url(
    shop_db: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[str]:
    """The address of a small demonstration shop with its jobs running."""
    db = shop_db
    port = world.free_port()
    address = f"http://127.0.0.1:{port}"
    folder = tmp_path_factory.mktemp("browser")
    async with open_storefront(db, folder, most=90, public_url=address) as shop:
        server = Server(
            shop.edge,
            address="127.0.0.1",
            port=port,
            interface=Interfaces.ASGI,
            websockets=False,
            log_enabled=False,
        )
        worker = Worker(db)
        tasks = [asyncio.create_task(server.serve()), asyncio.create_task(worker.run())]
        await _listens(port, tasks)
        yield address
        server.stop()  # type: ignore[no-untyped-call]
        worker.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(world.PATIENCE_SECONDS):
                await asyncio.gather(*tasks, return_exceptions=True)


async def _listens(port: int, tasks: list[asyncio.Task[None]]) -> None:
    """Until the server takes connections: its threads start after its task does."""
    async with asyncio.timeout(world.PATIENCE_SECONDS):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            for task in tasks:
                if task.done():
                    task.result()
            await asyncio.sleep(0.05)


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    if not Path(CHROMIUM).exists() and not shutil.which(CHROMIUM):
        pytest.skip(f"no Chromium at {CHROMIUM}")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM,
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
            timeout=1000 * world.PATIENCE_SECONDS,
        )
        yield browser
        await browser.close()


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory: pytest.TempPathFactory) -> Path:
    named = os.environ.get("PINWHEEL_SCREENSHOTS")
    folder = Path(named) if named else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
