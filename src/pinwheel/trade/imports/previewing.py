"""What a file would be read as, before anything is taken in."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import msgspec

from pinwheel.kernel.errors import Refusal
from pinwheel.trade.imports import reading
from pinwheel.trade.imports.actions import SOURCES
from pinwheel.trade.imports.columns import Field
from pinwheel.trade.imports.model import Fault, Note, Options, Record, SourceUnknown
from pinwheel.trade.imports.sources import goodbooks, icecat, olist, online_retail, shopify

FIELDS: dict[str, Sequence[Field]] = {
    "goodbooks": goodbooks.FIELDS,
    "icecat": icecat.FIELDS,
    "olist": tuple({f.name: f for fields in olist.TABLES.values() for f in fields}.values()),
    "online-retail": online_retail.FIELDS,
    "shopify-csv": shopify.FIELDS,
}
"""What each source can use of a file's columns."""


class Preview(msgspec.Struct, frozen=True, kw_only=True):
    """``tables``: (file, its columns); ``fields``: (what the source can use, is it needed);
    ``records`` and ``faults`` are the first ones; ``refusal`` says why it can't be taken in as it
    is, for example because a column must be named in the mapping."""

    tables: list[tuple[str, list[str]]]
    fields: list[tuple[str, bool]]
    notes: list[Note]
    records: list[Record]
    faults: list[Fault]
    refusal: Refusal | None = None


async def preview(
    source: str,
    path: Path | str,
    *,
    mapping: dict[str, str] | None = None,
    currency: str = "",
    price: str = "",
    most: int = 5,
) -> Preview:
    """Read the beginning of a file as ``source`` would. Refuses ``SourceUnknown`` and
    ``FileUnreadable``; nothing is changed."""
    if source not in SOURCES:
        raise SourceUnknown(source=source, sources=", ".join(sorted(SOURCES)))
    options = Options(mapping=mapping or {}, currency=currency, price=price)
    return await asyncio.to_thread(_look, source, Path(path), options, most)


def _look(source: str, path: Path, options: Options, most: int) -> Preview:
    tables = reading.tables(reading.parts(path))
    shown = [(t.name, t.columns) for t in tables]
    fields = [(f.name, f.required) for f in FIELDS[source]]
    try:
        opened = SOURCES[source](tables, options)
        first = list(islice(opened.stream(), 200))
    except Refusal as refusal:
        return Preview(
            tables=shown, fields=fields, notes=[], records=[], faults=[], refusal=refusal
        )
    return Preview(
        tables=shown,
        fields=fields,
        notes=opened.notes,
        records=[r for r in first if isinstance(r, Record)][:most],
        faults=[f for f in first if isinstance(f, Fault)][:most],
    )
