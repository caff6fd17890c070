"""What the house tells its operator: one JSON line for each request and event of note, and metrics.

A line never holds a query string, a cookie, an authorisation header or a body.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import os
import sys
import traceback
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, BinaryIO

import msgspec
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from pinwheel.kernel.db import Database

FLUSH_SECONDS = 0.2
FLUSH_BYTES = 64 * 1024
BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

registry = CollectorRegistry()
requests = Counter(
    "pinwheel_requests", "Answered requests", ("method", "route", "status"), registry=registry
)
seconds = Histogram(
    "pinwheel_request_seconds", "Time to answer", ("route",), buckets=BUCKETS, registry=registry
)
statements = Counter("pinwheel_statements", "SQL statements of requests", registry=registry)
batches = Counter("pinwheel_batches", "Group commits", ("verb",), registry=registry)
commands = Counter("pinwheel_commands", "Commands in group commits", ("verb",), registry=registry)


def batched(verb: str, size: int, sql: int) -> None:
    """Count one group commit of ``size`` commands and ``sql`` statements."""
    batches.labels(verb).inc()
    commands.labels(verb).inc(size)
    statements.inc(sql)


@lru_cache(maxsize=4096)
def _count(method: str, route: str, status: int) -> Any:
    return requests.labels(method, route, str(status))


@lru_cache(maxsize=1024)
def _time(route: str) -> Any:
    return seconds.labels(route)


def answered(method: str, route: str, status: int, took_seconds: float) -> None:
    """Count one request. ``route`` is the template, never the path: the series stay few."""
    _count(method, route, status).inc()
    _time(route).observe(took_seconds)


class Lines:
    """Lines that are written a few at a time, because a write for each would cost more than the
    line."""

    def __init__(self, out: BinaryIO | None = None) -> None:
        self.out = out or sys.stdout.buffer
        self._waiting: list[bytes] = []
        self._bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    def write(self, line: dict[str, Any]) -> None:
        encoded = msgspec.json.encode(line)
        self._waiting.append(encoded)
        self._bytes += len(encoded)
        if self._bytes >= FLUSH_BYTES:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._waiting:
            self._waiting.append(b"")
            self.out.write(b"\n".join(self._waiting))
            self.out.flush()
            self._waiting.clear()
            self._bytes = 0


class JsonFormatter(logging.Formatter):
    """A log record as one JSON line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": dt.datetime.fromtimestamp(record.created, dt.UTC).isoformat(),
            "level": record.levelname.lower(),
            "log": record.name,
            "message": record.getMessage(),
        }
        request_id = getattr(record, "request_id", None)
        if request_id:
            line["request_id"] = request_id
        if record.exc_info and record.exc_info[1]:
            line["error"] = "".join(traceback.format_exception(record.exc_info[1]))
        return msgspec.json.encode(line).decode()


def set_up_logs(level: str = "info") -> None:
    """Every log of this process goes to standard output as JSON lines."""
    out = logging.StreamHandler(sys.stdout)
    out.setFormatter(JsonFormatter())
    root = logging.getLogger()
    root.handlers[:] = [out]
    root.setLevel(level.upper())
    logging.getLogger("httpx2").setLevel(logging.WARNING)


async def exposition(db: Database) -> bytes:
    """All metrics in the Prometheus text format. With several worker processes (they share a
    folder, ``PROMETHEUS_MULTIPROC_DIR``) the counts are those of all of them together.
    """
    shared = registry
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        shared = CollectorRegistry()
        MultiProcessCollector(shared)  # type: ignore[no-untyped-call]
    now = CollectorRegistry()
    now.register(Snapshot(_pool(db), await _jobs(db)))
    return bytes(generate_latest(shared)) + bytes(generate_latest(now))


class Snapshot(Collector):
    """Families that were counted just now."""

    def __init__(self, *families: Metric) -> None:
        self.families = families

    def collect(self) -> Iterable[Metric]:
        return self.families


def _pool(db: Database) -> Metric:
    connections = GaugeMetricFamily("pinwheel_pool", "Connections", labels=["state"])
    idle = db.pool.get_idle_size()
    connections.add_metric(["idle"], idle)
    connections.add_metric(["used"], db.pool.get_size() - idle)
    connections.add_metric(["most"], db.pool.get_max_size())
    return connections


class JobCount(msgspec.Struct, frozen=True):
    name: str
    due: int
    parked: int


async def _jobs(db: Database) -> Metric:
    jobs = GaugeMetricFamily("pinwheel_jobs", "Jobs that wait", labels=["name", "state"])
    async with db.reading() as tx:
        found = await tx.rows(
            JobCount,
            """
            select name, count(*) filter (where parked_at is null and run_at <= $2) as due,
                   count(parked_at) as parked
              from kernel.job where cell = $1 group by name
            """,
            tx.cell,
            tx.now,
        )
    for one in found:
        jobs.add_metric([one.name, "due"], one.due)
        jobs.add_metric([one.name, "parked"], one.parked)
    return jobs
