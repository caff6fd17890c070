"""The stand a bench is run on: a durable PostgreSQL, a fresh database, processor clocks, one
report."""

from __future__ import annotations

import os
import platform
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import msgspec

from pinwheel.kernel import embedded
from pinwheel.kernel.migrate import migrate

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a bench says: the ``ratio`` that was aimed at, whether it ``passed``, and the
    figures."""

    name: str
    ratio: float
    target: float
    passed: bool
    figures: dict[str, Any]
    machine: dict[str, Any]


class Stand(msgspec.Struct):
    """Where a bench runs: ``url`` of its own migrated database, ``bin`` with pgbench, the
    server's ``pid`` when it is on this machine."""

    url: str
    server_url: str
    bin: Path
    pid: int | None


@asynccontextmanager
async def stand(given_url: str = "") -> AsyncIterator[Stand]:
    """A fresh database on the given server, or on one that lives for this bench alone."""
    folder = Path(tempfile.mkdtemp(prefix="pinwheel-bench-"))
    folder.chmod(0o755)
    server = None if given_url else await embedded.start(folder / "postgres")
    base = given_url or (server.url if server else "")
    name = f"pinwheel_bench_{os.getpid()}"
    try:
        admin = await asyncpg.connect(base)
        await admin.execute(f'create database "{name}"')
        pid = await admin.fetchval("select pg_backend_pid()")
        await admin.close()
        url = urlunsplit(urlsplit(base)._replace(path=f"/{name}"))
        await migrate(url)
        here = server.pid if server else _parent(pid)
        yield Stand(url, base, embedded.binaries(), here)
    finally:
        if server is None:
            admin = await asyncpg.connect(base)
            await admin.execute(f'drop database if exists "{name}" with (force)')
            await admin.close()
        else:
            await server.stop()
        shutil.rmtree(folder, ignore_errors=True)


def machine(server_version: str = "") -> dict[str, Any]:
    """What the figures were measured on."""
    model = next(
        (
            line.split(":", 1)[1].strip()
            for line in _read("/proc/cpuinfo").splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    return {
        "cores": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "processor": model,
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "postgresql": server_version,
    }


def cpu_seconds(pid: int) -> float:
    """Processor time that a process and its children have used, living and ended."""
    total = 0.0
    for one in (pid, *children(pid)):
        fields = _read(f"/proc/{one}/stat").rpartition(")")[2].split()
        if fields:
            total += sum(int(f) for f in fields[11:13]) / CLOCK_TICKS
            if one == pid:
                total += sum(int(f) for f in fields[13:15]) / CLOCK_TICKS
    return total


def children(pid: int) -> list[int]:
    """The living processes below ``pid``."""
    found = []
    for child in _read(f"/proc/{pid}/task/{pid}/children").split():
        found += [int(child), *children(int(child))]
    return found


def _parent(pid: int) -> int | None:
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return int(fields[1]) if fields else None


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError:
        return ""
