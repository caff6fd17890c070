"""``pinwheel import SOURCE PATH``: take a published file in, with progress, and say what came
of it."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

import msgspec
import uvloop

from pinwheel import app, serving
from pinwheel.kernel.errors import Invalid
from pinwheel.kernel.migrate import migrate
from pinwheel.trade import imports
from pinwheel.trade.imports import Report


def take_in(arguments: argparse.Namespace) -> int:
    """0 when every record was taken, 1 when some were refused."""
    report = uvloop.run(_take_in(arguments))
    if arguments.json:
        sys.stdout.buffer.write(msgspec.json.encode(report) + b"\n")
    else:
        sys.stdout.write("\n".join(report.lines()) + "\n")
    return 1 if report.counts.refused else 0


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


async def _take_in(arguments: argparse.Namespace) -> Report:
    settings = serving.settings_of(arguments)
    async with serving.database_of(settings) as url:
        await migrate(url, progress=lambda name: _say(f"migration {name}"))
        db = await app.open_database(msgspec.structs.replace(settings, database_url=url))
        try:
            report = await imports.run(
                db,
                arguments.source,
                arguments.path,
                mapping=_mapping(arguments.map),
                currency=arguments.currency,
                price=arguments.price,
                pictures=arguments.pictures,
                progress=lambda c: _say(f"{c.records} records, {c.refused} refused"),
            )
            if arguments.faults:
                async with db.reading() as tx:
                    listed = "".join([part async for part in imports.faults_csv(tx, report.job_id)])
                await asyncio.to_thread(Path(arguments.faults).write_text, listed, encoding="utf-8")
        finally:
            await db.close()
    return report


def _mapping(pairs: list[str]) -> dict[str, str]:
    """``sku=StockCode`` says that the field ``sku`` is the column ``StockCode``."""
    mapping = {}
    for pair in pairs:
        field, sign, column = pair.partition("=")
        if not (field and sign and column):
            raise Invalid("--map", f"{pair} is not FIELD=COLUMN", f"{pair} 不是“字段=列名”的形式")
        mapping[field] = column
    return mapping
