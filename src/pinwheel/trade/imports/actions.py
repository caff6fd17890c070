"""The import job: resumable, idempotent, safe to run in several processes at once."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import asyncpg
import msgspec

from pinwheel.kernel.db import Database, Tx
from pinwheel.trade import pricing
from pinwheel.trade.imports import reading
from pinwheel.trade.imports.applying import Took, take_in
from pinwheel.trade.imports.model import (
    CellUnreadable,
    Counts,
    Fault,
    ImportFinished,
    Note,
    Opened,
    Options,
    OptionUnsound,
    Record,
    Report,
    SourceUnknown,
    Stream,
    fault,
    price_rule,
)
from pinwheel.trade.imports.queries import report
from pinwheel.trade.imports.sources import goodbooks, icecat, olist, online_retail, shopify

SOURCES: dict[str, Callable[[list[reading.Table], Options], Opened]] = {
    "goodbooks": goodbooks.opened,
    "icecat": icecat.opened,
    "olist": olist.opened,
    "online-retail": online_retail.opened,
    "shopify-csv": shopify.opened,
}
CHUNK = 1_000
HOW = b"1"
"""Part of a job's identity: a release that reads a source differently begins its files anew."""
UNSTORABLE = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    asyncpg.ProgramLimitExceededError,
)


class Job(msgspec.Struct, frozen=True):
    """A job as it stands: ``position`` elements of the stream have had their effect."""

    id: uuid.UUID
    position: int
    counts: Counts
    status: str


async def run(
    db: Database,
    source: str,
    path: Path | str,
    *,
    mapping: dict[str, str] | None = None,
    currency: str = "",
    price: str = "",
    pictures: bool = False,
    progress: Callable[[Counts], None] = lambda _: None,
    actor: str = "import",
    chunk: int = CHUNK,
) -> Report:
    """Take the file or folder at ``path`` in, as ``source`` reads it.

    Killed at any instant and run again, it goes on where it stopped and ends the same. Run again on
    the same file it changes nothing. Two processes with one file share the work. ``mapping``: field
    → column. ``currency``: of prices that do not say theirs. ``price``: for every product of a file
    without prices, ``CNY 39.00``. ``pictures``: keep addresses of pictures elsewhere.

    Refuses ``SourceUnknown``, ``OptionUnsound``, ``FileUnreadable``, ``MappingUnsound`` and
    ``ColumnsMissing`` before anything is changed; a row that is refused is in the report."""
    options = Options(mapping=mapping or {}, currency=currency, price=price, pictures=pictures)
    _check(source, options)
    path = Path(path)
    opened, digest = await asyncio.to_thread(_open, source, path, options)
    async with db.transaction(actor=actor) as tx:
        job = await _begin(tx, source, path.name, digest, opened.notes)
    stream = _unique(opened.stream())
    place = 0
    while elements := await asyncio.to_thread(_next, stream, chunk):
        if place + len(elements) > job.position:
            counts = await _advance(db, actor, job.id, source, place, elements)
            progress(counts)
        place += len(elements)
    async with db.transaction(actor=actor) as tx:
        await _finish(tx, job.id, source, path.name, opened.notes)
    async with db.reading() as tx:
        done = await report(tx, job.id)
    return msgspec.structs.replace(done, resumed_at=job.position)


def _check(source: str, options: Options) -> None:
    if source not in SOURCES:
        raise SourceUnknown(source=source, sources=", ".join(sorted(SOURCES)))
    rule = price_rule(options.price)
    for option, code in (("currency", options.currency), ("price", rule[0] if rule else "")):
        if code and not pricing.is_currency(code):
            refusal = pricing.CurrencyUnknown(currency=code)
            raise OptionUnsound(
                option=option,
                value=code,
                why=refusal.sentence("en").rstrip("."),
                why_zh=refusal.sentence("zh").rstrip("。"),
            )


def _open(source: str, path: Path, options: Options) -> tuple[Opened, str]:
    files = reading.parts(path)
    opened = SOURCES[source](reading.tables(files), options)
    how = HOW + source.encode() + msgspec.json.encode(options, order="deterministic")
    return opened, reading.digest(files, how)


def _next(stream: Stream, chunk: int) -> list[Record | Fault]:
    return list(islice(stream, chunk))


def _unique(stream: Stream) -> Iterator[Record | Fault]:
    """A key or SKU that came before in this file is a fault of the later row."""
    first: dict[str, int] = {}
    for element in stream:
        if isinstance(element, Fault):
            yield element
            continue
        names = [f"key {element.key}", *(f"sku {v.sku}" for v in element.draft.variants)]
        twice = next((name for name in names if name in first), None)
        if twice is None and len(set(names)) == len(names):
            first.update((name, element.row) for name in names)
            yield element
            continue
        name = twice or max(names, key=names.count)
        row = first.get(name, element.row)
        why = CellUnreadable(
            why=f"It stands in row {row} already. This one was left out.",
            why_zh=f"与第 {row} 行重复，此条未导入。",
        )
        kind, _, value = name.partition(" ")
        yield fault(element.row, kind, value, why, element.file)


async def _begin(tx: Tx, source: str, label: str, digest: str, notes: list[Note]) -> Job:
    """The running job for this content, or a new one."""
    return await tx.the(
        "import",
        Job,
        """
        insert into imports.job as j (id, source, label, digest, notes, actor, started_at,
          updated_at)
        values ($1, $2, $3, $4, $5, $6, $7, $7)
        on conflict (source, digest) where status = 'running'
        do update set updated_at = excluded.updated_at
        returning j.id, j.position, j.counts, j.status
        """,
        tx.new_id(),
        source,
        label,
        digest,
        notes,
        tx.actor,
        tx.now,
    )


async def _advance(
    db: Database,
    actor: str,
    job_id: uuid.UUID,
    source: str,
    place: int,
    elements: Sequence[Record | Fault],
) -> Counts:
    """Take ``elements`` in, which begin at ``place``. What the database can't store splits them
    until the one record that is to blame is alone, and refused."""

    async def step(tx: Tx) -> Counts:
        return await _step(tx, job_id, source, place, elements)

    try:
        return await db.attempt(step, actor=actor)
    except UNSTORABLE as error:
        if len(elements) == 1:
            return await _advance(
                db, actor, job_id, source, place, [_unstorable(elements[0], error)]
            )
    half = len(elements) // 2
    await _advance(db, actor, job_id, source, place, elements[:half])
    return await _advance(db, actor, job_id, source, place + half, elements[half:])


def _unstorable(element: Record | Fault, error: Exception) -> Fault:
    why = CellUnreadable(
        why=f"The database can't store it ({type(error).__name__}). It was left out.",
        why_zh=f"数据库无法保存（{type(error).__name__}），未导入。",
    )
    key = element.key if isinstance(element, Record) else element.row
    return fault(element.row, "", key, why, element.file)


async def _step(
    tx: Tx, job_id: uuid.UUID, source: str, place: int, elements: Sequence[Record | Fault]
) -> Counts:
    """The effect of a chunk and the job's new position, in one transaction. The job's row is the
    lock: of two processes the second finds the chunk done and goes on."""
    job = await tx.the(
        "import",
        Job,
        "select id, position, counts, status from imports.job where id = $1 for update",
        job_id,
    )
    elements = elements[max(0, job.position - place) :]
    if not elements or job.status != "running":
        return job.counts
    took = await take_in(tx, source, job_id, elements)
    await _log_faults(tx, job, took)
    counts = _sum(job.counts, took.counts)
    await tx.run(
        """
        update imports.job set position = position + $2, counts = $3, updated_at = $4 where id = $1
        """,
        job_id,
        len(elements),
        counts,
        tx.now,
    )
    return counts


def _sum(one: Counts, other: Counts) -> Counts:
    names = Counts.__struct_fields__
    return Counts(**{name: getattr(one, name) + getattr(other, name) for name in names})


async def _log_faults(tx: Tx, job: Job, took: Took) -> None:
    if not took.faults:
        return
    await tx.run(
        """
        insert into imports.error (job_id, number, file, row_number, column_name, value, en, zh)
        select $1, $2 + f.place, f.file, f.row, f.column_name, f.value, f.en, f.zh
          from unnest($3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[], $8::text[])
               with ordinality as f(file, row, column_name, value, en, zh, place)
        """,
        job.id,
        job.counts.faults,
        [f.file for f in took.faults],
        [f.row for f in took.faults],
        [f.column for f in took.faults],
        [f.value.replace(chr(0), "") for f in took.faults],
        [f.en for f in took.faults],
        [f.zh for f in took.faults],
    )


async def _finish(tx: Tx, job_id: uuid.UUID, source: str, label: str, notes: list[Note]) -> None:
    ended = await tx.run(
        """
        update imports.job set status = 'done', finished_at = $2, updated_at = $2, notes = $3
         where id = $1 and status = 'running'
        """,
        job_id,
        tx.now,
        notes,
    )
    if not ended:
        return
    job = await tx.the(
        "import",
        Job,
        "select id, position, counts, status from imports.job where id = $1",
        job_id,
    )
    tx.emit(ImportFinished(job_id=job_id, source=source, label=label, counts=job.counts))
