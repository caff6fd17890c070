"""Imports: send a file, see what is taken for what, watch it go in, look at what was refused."""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.faces.console.frame import Said, attempt, said_cookie, shown, with_query
from pinwheel.faces.console.model import ImportAsked
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid, NotFound, Refusal
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, File, See, get, post
from pinwheel.trade import imports
from pinwheel.trade.imports import JobLine

WRITE = "catalogue:write"
FILE_BYTES = 500_000_000
CHUNK_BYTES = 1 << 20
KINDS = (".csv", ".tsv", ".txt", ".json", ".gz", ".zip", ".xlsx", ".parquet")


class Folder(msgspec.Struct, frozen=True):
    """Imports so far, the latest first, and the files that lie ready in the folder."""

    jobs: Page[JobLine]
    files: list[str]


def folder(call: Call) -> Path:
    """Where files wait: nothing outside of it is ever read."""
    path: Path = call.app.state["edge"].settings.data_dir / "import"
    return path.resolve()


@get("/console/import", scope=WRITE)
async def import_list(call: Call, tx: Tx, after: str | None = None) -> Answer[Folder]:
    """Every import, and the form to begin one."""
    here = folder(call)
    files = sorted(p.name for p in here.iterdir()) if here.is_dir() else []
    found = Folder(await imports.jobs(tx, cursor=after), files[:200])
    return await shown(
        call,
        tx,
        found,
        "import",
        call.say("Import"),
        "import",
        sources=sorted(imports.SOURCES),
        folder=str(here),
        kinds=", ".join(KINDS),
        next_path=with_query("/console/import", after=found.jobs.next) if found.jobs.next else None,
        first_path="/console/import" if after else None,
    )


class FileForm(msgspec.Struct):
    """A file that is sent, or the name of one that lies in the import folder."""

    source: str
    file: Any = None
    name: Annotated[str, Meta(max_length=200)] = ""


@post("/console/import", scope=WRITE, body_bytes=FILE_BYTES)
async def send(call: Call, data: FileForm) -> See[dict[str, str]]:
    """Keep the file in the import folder and show what it would be read as."""
    try:
        name = await _kept(call, data)
    except Refusal as refusal:
        if not call.wants_page:
            raise
        cookie = said_cookie(Said(refusal.sentence(call.language), "bad"))
        return See("/console/import", cookies=(cookie,))
    path = with_query("/console/import/preview", source=data.source, name=name)
    return See(path, {"name": name})


async def _kept(call: Call, data: FileForm) -> str:
    filename = str(getattr(data.file, "filename", "") or "")
    if not filename:
        return place(call, data.name).name
    plain = re.sub(r"[^\w.-]+", "-", Path(filename).name)[-120:].lstrip(".-")
    if not plain.lower().endswith(KINDS):
        listed = ", ".join(KINDS)
        raise Invalid("file", f"send one of {listed}", f"文件类型须为 {listed}")
    here = folder(call)
    here.mkdir(parents=True, exist_ok=True)
    target = here / f"{secrets.token_hex(4)}-{plain}"
    with target.open("xb") as kept:
        while chunk := await data.file.read(CHUNK_BYTES):
            kept.write(chunk)
    return target.name


def place(call: Call, name: str) -> Path:
    """The file of this name in the import folder; a path that leads elsewhere is not found."""
    here = folder(call)
    path = (here / name).resolve()
    if not name or path.parent != here or not path.exists():
        raise NotFound(what="file")
    return path


class Seen(msgspec.Struct, frozen=True):
    """What a file would be read as. ``refusal``: why not, in the reader's language."""

    name: str
    source: str
    tables: list[tuple[str, list[str]]]
    fields: list[tuple[str, bool]]
    notes: list[imports.Note]
    titles: list[dict[str, str]]
    faults: list[imports.Fault]
    refusal: str | None


@get("/console/import/preview", scope=WRITE)
async def preview(
    call: Call,
    tx: Tx,
    source: str,
    name: str,
    currency: Annotated[str, Meta(max_length=3)] = "",
    price: Annotated[str, Meta(max_length=30)] = "",
) -> Answer[Seen]:
    """What is taken for what; change the mapping and look again."""
    mapping = _mapping(call.query_params.items())
    looked = await imports.preview(
        source, place(call, name), mapping=mapping, currency=currency, price=price
    )
    seen = Seen(
        name=name,
        source=source,
        tables=looked.tables,
        fields=looked.fields,
        notes=looked.notes,
        titles=[r.draft.title for r in looked.records],
        faults=looked.faults,
        refusal=looked.refusal.sentence(call.language) if looked.refusal else None,
    )
    return await shown(
        call,
        tx,
        seen,
        "import_preview",
        call.say("Check the file"),
        "import",
        mapping=mapping,
        currency=currency,
        price=price,
        records=looked.records,
        columns=[c for _, columns in looked.tables for c in columns],
    )


def _mapping(items: Any) -> dict[str, str]:
    return {k[4:]: v for k, v in items if k.startswith("map.") and v}


class BeginForm(msgspec.Struct):
    source: str
    name: Annotated[str, Meta(min_length=1, max_length=200)]
    mapping: dict[str, str] = {}
    currency: Annotated[str, Meta(max_length=3)] = ""
    price: Annotated[str, Meta(max_length=30)] = ""
    pictures: bool = False


@post("/console/import/begin", scope=WRITE)
async def begin(call: Call, db: Database, data: BeginForm) -> See[Any]:
    """Have the worker take the file in; the same file again goes on where it was."""
    form = call.exchange.form or {}
    mapping = _mapping((k, v[-1]) for k, v in form.items()) or data.mapping
    path = place(call, data.name)

    async def verb(tx: Tx) -> None:
        if data.source not in imports.SOURCES:
            known = ", ".join(sorted(imports.SOURCES))
            raise imports.SourceUnknown(source=data.source, sources=known)
        tx.emit(
            ImportAsked(
                source=data.source,
                path=str(path),
                mapping=mapping,
                currency=data.currency,
                price=data.price,
                pictures=data.pictures,
                actor=call.caller.actor,
            )
        )

    text = call.say("The file is being taken in. You can go on working.")
    return await attempt(call, db, verb, "/console/import", text)


class ImportDesk(msgspec.Struct, frozen=True):
    report: imports.Report
    faults: Page[imports.Numbered]


@get("/console/import/{job_id:uuid}", scope=WRITE)
async def import_page(
    call: Call, tx: Tx, job_id: UUID, after: str | None = None
) -> Answer[ImportDesk]:
    """How far one import is, and every row it refused."""
    desk = ImportDesk(
        await imports.report(tx, job_id), await imports.faults(tx, job_id, cursor=after)
    )
    path = f"/console/import/{job_id}"
    return await shown(
        call,
        tx,
        desk,
        "import_job",
        desk.report.label,
        "import",
        part="progress",
        next_path=with_query(path, after=desk.faults.next) if desk.faults.next else None,
        first_path=path if after else None,
    )


@get("/console/import/{job_id:uuid}/faults.csv", scope=WRITE)
async def fault_csv(call: Call, db: Database, job_id: UUID) -> File:
    """Every row that was refused, for a spreadsheet."""

    async def lines() -> AsyncIterator[bytes]:
        async with db.reading(actor=call.caller.actor) as tx:
            async for text in imports.faults_csv(tx, job_id):
                yield text.encode()

    return File(lines(), "text/csv; charset=utf-8", name="faults.csv")
