"""Questions to the imports: what a job did, and every row it refused."""

from __future__ import annotations

import csv
import datetime as dt
import io
import uuid
from collections.abc import AsyncIterator

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.kernel.listing import Page, after, page
from pinwheel.trade.imports.model import Counts, Fault, Note, Report

FIRST_FAULTS = 20


class JobLine(msgspec.Struct, frozen=True):
    """An import in a list."""

    id: uuid.UUID
    source: str
    label: str
    status: str
    counts: Counts
    actor: str
    started_at: dt.datetime
    finished_at: dt.datetime | None


class _Stored(msgspec.Struct, frozen=True):
    job_id: uuid.UUID
    source: str
    label: str
    status: str
    counts: Counts
    notes: list[Note]


class Numbered(msgspec.Struct, frozen=True):
    """A fault with its place in the job's list."""

    number: int
    row: int
    column: str
    value: str
    en: str
    zh: str
    file: str


async def report(tx: Tx, job_id: uuid.UUID) -> Report:
    """What a job did so far, with its first faults. Raises ``NotFound``. 2 statements."""
    stored = await tx.the(
        "import",
        _Stored,
        """
        select id as job_id, source, label, status, counts, notes from imports.job where id = $1
        """,
        job_id,
    )
    listed = await faults(tx, job_id, limit=FIRST_FAULTS)
    shown = [Fault(row=f.row, column=f.column, value=f.value, en=f.en, zh=f.zh, file=f.file)
             for f in listed.items]  # fmt: skip
    return Report(
        job_id=stored.job_id,
        source=stored.source,
        label=stored.label,
        status="done" if stored.status == "done" else "running",
        counts=stored.counts,
        notes=stored.notes,
        faults=shown,
    )


async def jobs(tx: Tx, *, cursor: str | None = None, limit: int = 50) -> Page[JobLine]:
    """Every import, the latest first."""
    start = after(cursor, uuid.UUID)
    rows = await tx.rows(
        JobLine,
        """
        select id, source, label, status, counts, actor, started_at, finished_at from imports.job
         where $1::uuid is null or id < $1 order by id desc limit $2
        """,
        start[0] if start else None,
        limit + 1,
    )
    return page(rows, limit, lambda row: (row.id,))


async def faults(
    tx: Tx, job_id: uuid.UUID, *, cursor: str | None = None, limit: int = 50
) -> Page[Numbered]:
    """The faults of a job, in the order they were found."""
    start = after(cursor, int)
    rows = await tx.rows(
        Numbered,
        """
        select number, row_number as row, column_name as column, value, en, zh, file
          from imports.error
         where job_id = $1 and ($2::int is null or number > $2) order by number limit $3
        """,
        job_id,
        start[0] if start else None,
        limit + 1,
    )
    return page(rows, limit, lambda row: (row.number,))


async def faults_csv(tx: Tx, job_id: uuid.UUID) -> AsyncIterator[str]:
    """All faults as a CSV file for a spreadsheet, a piece at a time. A value that a spreadsheet
    would run as a formula is made text."""
    yield "\N{ZERO WIDTH NO-BREAK SPACE}" + _line(["file", "row", "column", "value", "en", "zh-CN"])
    cursor: str | None = None
    while True:
        found = await faults(tx, job_id, cursor=cursor, limit=1_000)
        yield "".join(
            _line([f.file, str(f.row), f.column, f.value, f.en, f.zh]) for f in found.items
        )
        cursor = found.next
        if cursor is None:
            return


def _line(cells: list[str]) -> str:
    out = io.StringIO()
    safe = [f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell for cell in cells]
    csv.writer(out).writerow(safe)
    return out.getvalue()
