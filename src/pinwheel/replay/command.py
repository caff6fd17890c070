"""``pinwheel replay``: a real shop's history through the verbs of this one, and the proof that it
adds up."""

from __future__ import annotations

import argparse
import csv
import sys
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import uvloop

from pinwheel import app, serving
from pinwheel.kernel import audit
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.migrate import migrate
from pinwheel.replay import booking, olist_playing, retail_playing
from pinwheel.replay.house import Played, Say
from pinwheel.replay.model import Summary

Play = Callable[..., Awaitable[Played]]
SOURCES: dict[str, Play] = {"online-retail": retail_playing.play, "olist": olist_playing.play}
CURRENCIES = {"online-retail": retail_playing.CURRENCY, "olist": olist_playing.CURRENCY}
MINUTES = {"online-retail": 240, "olist": 1440}
"""Of the clock: what happened in them is played together, unless told."""
ROWS = 10_000


def replay(arguments: argparse.Namespace) -> int:
    """0 when the ledger agrees with the file and no promise is broken."""
    try:
        summary = uvloop.run(_replay(arguments))
    except Refusal as refusal:
        say(f"{refusal.sentence('en')}\n{refusal.sentence('zh')}")
        return 2
    told = msgspec.json.encode(summary)
    if not arguments.json:
        told = msgspec.json.format(told, indent=2)
    sys.stdout.buffer.write(told + b"\n")
    return 0 if summary.agrees and summary.audit_clean else 1


def say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


async def _replay(arguments: argparse.Namespace) -> Summary:
    settings = serving.settings_of(arguments)
    async with serving.database_of(settings) as url:
        await migrate(url, progress=lambda name: say(f"migration {name}"))
        db = await app.open_database(msgspec.structs.replace(settings, database_url=url))
        try:
            return await run(
                db,
                arguments.source,
                Path(arguments.path),
                say,
                minutes=arguments.minutes,
                most=arguments.most,
                first_lines=arguments.first_lines,
                listing=Path(arguments.listing) if arguments.listing else None,
            )
        finally:
            await db.close()


async def run(
    db: Database,
    source: str,
    path: Path,
    say: Say,
    *,
    minutes: int = 0,
    most: int = 200,
    first_lines: int = 0,
    listing: Path | None = None,
) -> Summary:
    """Play ``path`` and prove it. Killed at any instant and started again, it ends the same; run
    twice, it changes nothing. Refuses ``FileUnfit`` and ``ReplayStuck``."""
    began = time.monotonic()
    played = await SOURCES[source](
        db, path, say, minutes=minutes or MINUTES[source], most=most, first_lines=first_lines
    )
    say("Auditing … / 正在审计 …")
    checks = await audit.run(db, app.PROMISING)
    async with db.reading() as tx:
        totals = await booking.ledger_totals(tx, played.run)
        refused = await booking.listed_by_reason(tx, played.run)
        kinds = await booking.entries_by_kind(tx, played.run)
    if listing is not None:
        await write_listing(db, played.run, listing)
    figures: dict[str, int | float | str] = dict(played.facts)
    figures |= {f"booked_{kind}": count for kind, count in kinds.items()}
    return Summary(
        source=source,
        orders=kinds.get("order", 0),
        units=totals.units,
        revenue_minor=totals.revenue_minor,
        currency=CURRENCIES[source],
        control={
            "units": played.control.units,
            "revenue_minor": played.control.revenue_minor,
        },
        agrees=totals == played.control,
        refused=refused,
        figures=figures,
        audit_clean=not any(check.broken for check in checks),
        broken=[f"{c.module}: {c.promise} {c.broken[:3]}" for c in checks if c.broken],
        seconds=round(time.monotonic() - began, 1),
    )


async def write_listing(db: Database, run_id: uuid.UUID, path: Path) -> None:
    """Every line that is no order, with its reason, as CSV."""
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(
            ("line", "reference", "code", "description", "quantity", "amount", "reason", "booked")
        )
        after = 0
        while True:
            async with db.reading() as tx:
                some = await booking.listing(tx, run_id, after, ROWS)
            table.writerows(msgspec.structs.astuple(one) for one in some)
            if len(some) < ROWS:
                return
            after = some[-1].number
