"""``pinwheel bench events``: events accepted over HTTP beside a plain ``COPY`` of the same rows.

An accepted event is decoded, held to its schema, and durable when the sender is answered
(``fsync`` and ``synchronous_commit`` on). Senders, web, worker and PostgreSQL share the machine;
the worker unpacks while they send. ``COPY`` brings rows of the same content into a table of the
same columns and indices, in batches of the same size, each durable. Afterwards every accepted event
is in the feed exactly once."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import msgspec

from pinwheel import app
from pinwheel.bench.senders import Plan, Sent
from pinwheel.bench.stand import Report, Stand, cpu_seconds, machine
from pinwheel.ground import identity
from pinwheel.ground.identity import Caller
from pinwheel.kernel import audit
from pinwheel.kernel.db import Database
from pinwheel.kernel.settings import Settings

TARGET_PER_SECOND = 50_000
BATCH = 1_000
BODIES = 8
SENDERS = 8
VISITORS = 20_000
COPY_COLUMNS = (
    *("cell", "position", "event_id", "received_at", "occurred_at", "name", "version"),
    *("visitor_id", "person_id", "session_id", "source", "is_bot", "bot_reason"),
    *("properties", "context"),
)
SECRET = "the secret of a bench that is gone in a minute"


async def run(stand: Stand, *, seconds: float = 8.0) -> Report:
    """Accepted events a second, beside ``COPY``; then how long until all are shown."""
    settings = Settings(
        database_url=stand.url,
        secret=SECRET,
        rate_limit_per_second=0,
        port=_free_port(),
        demonstration=False,
        log_level="warning",
    )
    db = await app.open_database(settings)
    token = await _key(db)
    version = await db.pool.fetchval("show server_version")
    folder = Path(tempfile.mkdtemp(prefix="pinwheel-bench-events-"))
    web = await _start("serve", settings, folder)
    work = await _start("work", settings, folder)
    try:
        await _served(settings, folder)
        now = db.clock.now()
        copied = await _copy(db, now, seconds / 2)
        before = _cpu(stand, web.pid, work.pid)
        told = await _send(settings, token, now, seconds)
        cpu = _cpu(stand, web.pid, work.pid) - before
        caught = await _caught_up(db)
        again = await _copy(db, now, seconds / 2)
        proved = await _prove(db)
    finally:
        for process in (web, work):
            process.send_signal(signal.SIGTERM)
            await process.wait()
        await db.close()
        shutil.rmtree(folder, ignore_errors=True)
    shown_at_once, caught_up = caught
    return _report(told, max(copied, again), cpu, shown_at_once, caught_up, proved, version)


def _report(
    told: Sent,
    copy_rate: float,
    cpu: float,
    at_once: int,
    caught_up: float,
    proved: dict[str, Any],
    version: str,
) -> Report:
    rate = told.accepted / told.seconds
    lost = told.accepted - proved["shown"]
    sound = lost == 0 and not proved["broken_promises"] and set(told.by_status) == {"202"}
    return Report(
        name="events",
        ratio=round(rate / copy_rate, 3),
        target=round(TARGET_PER_SECOND / copy_rate, 3),
        passed=bool(rate >= TARGET_PER_SECOND and sound),
        figures={
            "events_per_second": round(rate),
            "target_events_per_second": TARGET_PER_SECOND,
            "copy_rows_per_second": round(copy_rate),
            "events": told.accepted,
            "batches": told.batches,
            "events_in_a_batch": BATCH,
            "senders": SENDERS,
            "batch_p50_ms": told.p50_ms,
            "batch_p99_ms": told.p99_ms,
            "answers": told.by_status,
            "cpu_us_per_event": round(1e6 * cpu / max(1, told.accepted), 2),
            "shown_when_the_last_was_sent": at_once,
            "all_shown_after_seconds": round(caught_up, 1),
            "shown_per_second_from_first_to_last": round(
                told.accepted / (told.seconds + caught_up)
            ),
            "lost": lost,
            "visitors": VISITORS,
            "broken_promises": proved["broken_promises"],
        },
        machine=machine(version),
    )


async def _key(db: Database) -> str:
    async with db.transaction(actor="bench") as tx:
        owner = await identity.register(tx, "bench@example.invalid", kind="operator")
        caller = Caller(kind="operator", person_id=owner.id, scopes=frozenset({"*"}))
        return (await identity.make_key(tx, caller, "bench", ["tracking"])).key


def _events(now: dt.datetime, body: int) -> list[dict[str, Any]]:
    """A batch as a shop's pages make it; half a kilobyte an event."""
    return [
        {
            "id": f"00000000-{body:04x}-4000-8000-{n:012x}",
            "name": "product_viewed",
            "occurred_at": (now - dt.timedelta(milliseconds=37 * n)).isoformat(),
            "sent_at": now.isoformat(),
            "visitor_id": f"v{(body * BATCH + n) * 7919 % VISITORS:012d}",
            "session_id": f"s{(body * BATCH + n) * 104_729 % 10**12:012d}",
            "consent": True,
            "properties": {
                "product_id": str(uuid.UUID(int=n * 65_537, version=4)),
                "source": "search",
                "place": n % 60,
            },
            "context": {
                "page": "/en/kitchen/red-kettle",
                "device": "phone",
                "language": "en",
                "source": "newsletter",
            },
        }
        for n in range(BATCH)
    ]


async def _send(settings: Settings, token: str, now: dt.datetime, seconds: float) -> Sent:
    """Senders in a process of their own."""
    plan = Plan(
        host=settings.host,
        port=settings.port,
        token=token,
        bodies=[msgspec.json.encode(_events(now, n)).decode() for n in range(BODIES)],
        events=BATCH,
        connections=SENDERS,
        seconds=seconds,
    )
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pinwheel.bench.senders"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate(msgspec.json.encode(plan))
    return msgspec.json.decode(out, type=Sent)


async def _copy(db: Database, now: dt.datetime, seconds: float) -> float:
    """Rows a second by ``COPY`` into a copy of one week's table, its indices with it."""
    rows = [
        (
            *(0, n, uuid.UUID(e["id"]), now, now, e["name"], 1, e["visitor_id"], None),
            *(e["session_id"], "api", False, "", e["properties"], e["context"]),
        )
        for n, e in enumerate(_events(now, 0))
    ]
    async with db.pool.acquire() as connection:
        await connection.execute(
            "drop table if exists bench_event;"
            "create table bench_event (like tracking.event including all);"
            "create unique index on bench_event (cell, event_id)"
        )
        done, began = 0, time.monotonic()
        while time.monotonic() < began + seconds:
            records = [(0, done + n, _id_of(done + n), *row[3:]) for n, row in enumerate(rows)]
            await connection.copy_records_to_table(
                "bench_event", records=records, columns=COPY_COLUMNS
            )
            done += len(records)
        return done / (time.monotonic() - began)


def _id_of(number: int) -> uuid.UUID:
    return uuid.UUID(int=number, version=4)


async def _caught_up(db: Database) -> tuple[int, float]:
    """How many were shown when the sending ended, and how long until nothing waits."""
    began = time.monotonic()
    at_once: int = await db.pool.fetchval("select count(*) from tracking.event")
    for _ in range(3_000):
        if not await db.pool.fetchval("select exists (select from tracking.inbox)"):
            break
        await asyncio.sleep(0.1)
    return at_once, time.monotonic() - began


async def _prove(db: Database) -> dict[str, Any]:
    shown = await db.pool.fetchval(
        "select count(distinct event_id) from tracking.event where source = 'api'"
    )
    checks = await audit.run(db, ["pinwheel.insight.tracking"])
    return {
        "shown": shown,
        "broken_promises": [c.promise for c in checks if c.broken],
    }


async def _start(what: str, settings: Settings, folder: Path) -> asyncio.subprocess.Process:
    environment = {
        **os.environ,
        "PINWHEEL_DATABASE_URL": settings.database_url,
        "PINWHEEL_SECRET": SECRET,
        "PINWHEEL_PORT": str(settings.port),
        "PINWHEEL_DATA_DIR": str(folder),
        "PINWHEEL_RATE_LIMIT_PER_SECOND": "0",
        "PINWHEEL_LOG_LEVEL": "warning",
    }
    with (folder / f"{what}.log").open("wb") as log:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pinwheel.cli", what, env=environment, stdout=log, stderr=log
        )


async def _served(settings: Settings, folder: Path) -> None:
    for _ in range(300):
        if await asyncio.to_thread(_ready, settings):
            return
        await asyncio.sleep(0.1)
    raise RuntimeError((folder / "serve.log").read_text(encoding="utf-8")[-4000:])


def _ready(settings: Settings) -> bool:
    try:
        with urlopen(f"http://{settings.host}:{settings.port}/readyz", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _cpu(stand: Stand, *pids: int) -> float:
    server = cpu_seconds(stand.pid) if stand.pid else 0.0
    return server + sum(map(cpu_seconds, pids))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
