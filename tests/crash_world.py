"""A shop as real processes that are killed and brought back."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sized
from pathlib import Path

import asyncpg
import httpx2

import world
from pinwheel.kernel import embedded
from pinwheel.kernel.migrate import migrate
from pinwheel.kernel.settings import Settings

SECRET = "the secret of a shop that is killed all day"


class House:
    """PostgreSQL, web and worker as processes of their own, each brought back when it dies."""

    def __init__(self, folder: Path, names: tuple[str, ...] = ("serve", "work")) -> None:
        self.folder = folder
        self.names = names
        self.port = world.free_port()
        self.processes: dict[str, asyncio.subprocess.Process] = {}
        self.keepers: list[asyncio.Task[None]] = []
        self.closing = False

    async def open(self) -> None:
        self.server = await embedded.start(self.folder / "postgres")
        self.watcher = asyncio.create_task(self.server.wait())
        await migrate(self.server.url)
        self.settings = Settings(
            database_url=self.server.url, secret=SECRET, data_dir=self.folder, port=self.port
        )
        for name in self.names:
            self.keepers.append(asyncio.create_task(self._keep(name)))

    async def _keep(self, name: str) -> None:
        environment = {
            **os.environ,
            "PINWHEEL_DATABASE_URL": self.server.url,
            "PINWHEEL_SECRET": SECRET,
            "PINWHEEL_PORT": str(self.port),
            "PINWHEEL_DATA_DIR": str(self.folder),
            "PINWHEEL_RATE_LIMIT_PER_SECOND": "0",
        }
        while not self.closing:
            with (self.folder / f"{name}.log").open("ab") as log:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "pinwheel.cli", name),
                    env=environment,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            self.processes[name] = process
            await process.wait()

    def kill(self, victim: str) -> None:
        if victim == "postgres":
            os.kill(self.server.pid, signal.SIGKILL)
        elif victim in self.processes:
            # The whole group: a web process has children that must not outlive it.
            with_children = self.processes[victim].pid
            os.killpg(with_children, signal.SIGKILL)

    async def close(self) -> None:
        self.closing = True
        left = set(self.keepers)
        while left:  # one may be starting its process just now
            for name in list(self.processes):
                with contextlib.suppress(ProcessLookupError):
                    self.kill(name)
            _, left = await asyncio.wait(left, timeout=0.5)
        await self.server.stop()
        await asyncio.gather(self.watcher, return_exceptions=True)


async def served(house: House) -> None:
    """Until the web answers again: on a busy machine a start takes many seconds of its own."""
    said = "nothing"
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{house.port}", timeout=30) as client:
        for _ in range(900):
            try:
                answer = await client.get("/readyz")
            except httpx2.HTTPError as error:
                said = repr(error)
            else:
                if answer.status_code == 200:
                    return
                said = f"{answer.status_code} {answer.text}"
            await asyncio.sleep(0.2)
    log = (house.folder / "serve.log").read_text("utf-8", "replace")[-2_000:]
    raise AssertionError(f"the web never came back; it said {said}\n{log}")


async def grown(told: Sized, by: int, clients: list[asyncio.Task[None]]) -> None:
    """Until so many more answers came: however slow the machine, each kill meets work under way."""
    goal = len(told) + by
    async with asyncio.timeout(world.PATIENCE_SECONDS):
        while len(told) < goal:
            for client in clients:
                if client.done():
                    client.result()
            await asyncio.sleep(0.05)


async def settled(house: House) -> None:
    """Until the sweeper has found out about every payment."""
    for _ in range(600):
        try:
            connection = await asyncpg.connect(house.server.url)
        except (OSError, asyncpg.PostgresError):
            await asyncio.sleep(0.5)
            continue
        waiting = await connection.fetchval(
            "select (select count(*) from payments.payment"
            " where state in ('processing', 'unknown', 'needs_action'))"
            " + (select count(*) from payments.v_instruction where state = 'asked')"
        )
        await connection.close()
        if not waiting:
            return
        await asyncio.sleep(0.5)
    raise AssertionError(f"{waiting} payments never ended")
