"""Weeks that have served their time go out as Parquet, without anybody's name, and are dropped.

A visitor is a number within the week and nothing else: the file can be kept when its people are
forgotten.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import os
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from pinwheel.insight.tracking.model import KEPT_DAYS
from pinwheel.kernel.db import Tx

ROWS_AT_ONCE = 20_000
COLUMNS = pa.schema(
    [
        ("event_id", pa.string()),
        ("occurred_at", pa.timestamp("us", "UTC")),
        ("received_at", pa.timestamp("us", "UTC")),
        ("name", pa.string()),
        ("version", pa.int16()),
        ("visitor", pa.int64()),
        ("source", pa.string()),
        ("is_bot", pa.bool_()),
        ("properties", pa.string()),
        ("device", pa.string()),
        ("language", pa.string()),
    ]
)


class ExportedWeek(msgspec.Struct, frozen=True):
    week: dt.date
    file: str
    events: int
    sha256: str
    exported_at: dt.datetime


class _Row(msgspec.Struct, frozen=True):
    position: int
    received_at: dt.datetime
    event_id: str
    occurred_at: dt.datetime
    name: str
    version: int
    visitor_id: str
    source: str
    is_bot: bool
    properties: str
    device: str
    language: str


async def old_weeks(tx: Tx) -> list[dt.date]:
    """The Mondays of weeks that are over for longer than they are kept; the oldest first."""
    return await tx.values(
        """
        select to_date(right(c.relname, 8), 'YYYYMMDD') as week
          from pg_catalog.pg_inherits h
          join pg_catalog.pg_class c on c.oid = h.inhrelid
         where h.inhparent = 'tracking.event'::regclass and c.relname ~ '^event_[0-9]{8}$'
           and to_date(right(c.relname, 8), 'YYYYMMDD') + 7 < ($1::timestamptz)::date - $2::int
         order by week
        """,
        tx.now,
        KEPT_DAYS,
    )


async def export_week(tx: Tx, week: dt.date, folder: Path) -> ExportedWeek:
    """Write a week's file, durably, note it, and drop the week: all or nothing. Safe to repeat."""
    await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
    target = folder / f"events-{week:%Y%m%d}.parquet"
    part = target.with_suffix(".part")
    events = 0
    visitors: dict[str, int] = {}
    with pq.ParquetWriter(part, COLUMNS, compression="zstd") as writer:
        position = 0
        while rows := await _rows(tx, week, position):
            position = rows[-1].position
            events += len(rows)
            await asyncio.to_thread(writer.write_batch, _batch(rows, visitors))
    digest = await asyncio.to_thread(_made_durable, part, target)
    done = ExportedWeek(week, target.name, events, digest, tx.now)
    await tx.run(
        """
        insert into tracking.export (cell, week, file, events, sha256, exported_at)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (cell, week) do update
           set events = excluded.events, sha256 = excluded.sha256,
               exported_at = excluded.exported_at
        """,
        tx.cell,
        done.week,
        done.file,
        done.events,
        done.sha256,
        done.exported_at,
    )
    await tx.run("select tracking.drop_week($1)", week)
    return done


async def _rows(tx: Tx, week: dt.date, position: int) -> list[_Row]:
    """The personal properties of a schema are left out."""
    begins = dt.datetime.combine(week, dt.time(), dt.UTC)
    return await tx.rows(
        _Row,
        """
        select e.position, e.received_at, e.event_id::text as event_id, e.occurred_at, e.name,
               e.version, e.visitor_id, e.source, e.is_bot,
               (e.properties - array(
                  select p ->> 'name'
                    from tracking.schema s, jsonb_array_elements(s.properties) as p
                   where s.name = e.name and s.version = e.version
                     and (p ->> 'pii')::boolean))::text as properties,
               coalesce(e.context ->> 'device', '') as device,
               coalesce(e.context ->> 'language', '') as language
          from tracking.event e
         where e.cell = $1 and e.received_at >= $2 and e.received_at < $3 and e.position > $4
         order by e.position limit $5
        """,
        tx.cell,
        begins,
        begins + dt.timedelta(days=7),
        position,
        ROWS_AT_ONCE,
    )


def _batch(rows: list[_Row], visitors: dict[str, int]) -> pa.RecordBatch:
    numbered = [
        visitors.setdefault(r.visitor_id, len(visitors)) if r.visitor_id else None for r in rows
    ]
    columns: dict[str, list[Any]] = {
        name: numbered if name == "visitor" else [getattr(r, name) for r in rows]
        for name in COLUMNS.names
    }
    return pa.RecordBatch.from_pydict(columns, schema=COLUMNS)


def _made_durable(part: Path, target: Path) -> str:
    with part.open("rb") as written:
        digest = hashlib.file_digest(written, "sha256").hexdigest()
        os.fsync(written.fileno())
    part.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return digest
