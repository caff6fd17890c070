"""Imports for programs: send a catalogue's file, follow it, read what was refused.

They stand in the console because the worker that takes files in is told by the console's fact."""

from __future__ import annotations

import asyncio
import hashlib
import re
from pathlib import Path
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.faces.console.imports_web import folder
from pinwheel.faces.console.model import ImportAsked
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, get, post
from pinwheel.trade import imports, pricing
from pinwheel.trade.imports import ColumnsMissing, FileUnreadable, JobLine, SourceUnknown

WRITE = "catalogue:write"
TAGS = ("imports",)
KINDS = (".csv", ".tsv", ".txt", ".json")
MOST_TEXT = 8_000_000
Limit = Annotated[int, Meta(ge=1, le=200)]
Cursor = Annotated[str, Meta(max_length=500)]
Short = Annotated[str, Meta(min_length=1, max_length=100)]


class ImportInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file as text. ``source``: a published layout; ``mapping``: field to column, where the
    file calls it otherwise; ``currency``: of prices that don't say theirs; ``price``: for every
    product of a file without prices, ``CNY 39.00``; ``pictures``: keep addresses of pictures."""

    source: Annotated[str, Meta(min_length=1, max_length=40)]
    name: Annotated[str, Meta(min_length=1, max_length=120)]
    text: Annotated[str, Meta(min_length=1, max_length=MOST_TEXT)]
    mapping: Annotated[dict[Short, Short], Meta(max_length=100)] = {}
    currency: Annotated[str, Meta(pattern="^([A-Z]{3})?$")] = ""
    price: Annotated[str, Meta(max_length=30)] = ""
    pictures: bool = False


class Begun(msgspec.Struct, frozen=True):
    """``label`` is the import's in the list. ``notes``: what is taken for what."""

    label: str
    notes: list[imports.Note]


class ImportSight(msgspec.Struct, frozen=True):
    """How far an import is, and the rows it refused."""

    report: imports.Report
    faults: Page[imports.Numbered]


@get("/api/v1/imports", scope=WRITE, tags=TAGS)
async def list_imports(
    tx: Tx, after: Cursor | None = None, limit: Limit = 50
) -> Answer[Page[JobLine]]:
    """Every import, the latest first."""
    return Answer(await imports.jobs(tx, cursor=after, limit=limit))


@post(
    "/api/v1/imports",
    scope=WRITE,
    status=202,
    body_bytes=30_000_000,
    refusals=(SourceUnknown, FileUnreadable, ColumnsMissing),
    tags=TAGS,
)
async def begin_import(call: Call, db: Database, data: ImportInput) -> Answer[Begun]:
    """Have a catalogue's file taken in. It is read at once as far as to refuse one that can't be
    taken in; the worker does the rest. The same file again changes nothing."""
    if data.currency and not pricing.is_currency(data.currency):
        raise pricing.CurrencyUnknown(currency=data.currency)
    path = await asyncio.to_thread(_kept, folder(call), data)
    try:
        looked = await imports.preview(
            data.source, path, mapping=data.mapping, currency=data.currency, price=data.price
        )
        if looked.refusal is not None:
            raise looked.refusal
    except Exception:
        path.unlink(missing_ok=True)
        raise

    async def verb(tx: Tx) -> None:
        tx.emit(
            ImportAsked(
                source=data.source,
                path=str(path),
                mapping=data.mapping,
                currency=data.currency,
                price=data.price,
                pictures=data.pictures,
                actor=call.caller.actor,
            )
        )

    await db.attempt(verb, actor=call.caller.actor, request_id=call.request_id)
    return Answer(Begun(path.name, looked.notes))


def _kept(here: Path, data: ImportInput) -> Path:
    """The file in the import folder, named by what is in it and how it is read: a repeat finds it
    there, and a refusal takes away nobody else's."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(data.name).name)[-80:].lstrip(".-")
    if not plain.lower().endswith(KINDS):
        listed = ", ".join(KINDS)
        raise Invalid("name", f"it ends with one of {listed}", f"文件名须以 {listed} 结尾")
    here.mkdir(parents=True, exist_ok=True)
    whole = msgspec.json.encode(data, order="deterministic")
    target = here / f"{hashlib.sha256(whole).hexdigest()[:12]}-{plain}"
    if not target.exists():
        partial = target.with_suffix(f"{target.suffix}.part")
        partial.write_text(data.text, encoding="utf-8", newline="")
        partial.replace(target)
    return target


@get("/api/v1/imports/{job_id:uuid}", scope=WRITE, tags=TAGS)
async def see_import(
    tx: Tx, job_id: UUID, after: Cursor | None = None, limit: Limit = 50
) -> Answer[ImportSight]:
    """How far one import is, and every row it refused with the reason. ``after`` goes on with the
    refused rows."""
    found = await imports.report(tx, job_id)
    return Answer(ImportSight(found, await imports.faults(tx, job_id, cursor=after, limit=limit)))
