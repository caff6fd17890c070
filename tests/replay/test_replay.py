"""Whole files through the verbs: the totals, the audit, the second run, and the killed one."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import asyncpg
import msgspec
import pyarrow.parquet as pq
import pytest

import world
from pinwheel.kernel.db import Database
from pinwheel.replay.command import run
from pinwheel.replay.model import Summary
from pinwheel.trade import orders
from replay import invoices, marketplace_files

DATA = Path(
    os.environ.get("PINWHEEL_DATA") or Path(__file__).parents[2].resolve().parent / "shared/data"
)
EVERYTHING = (
    "ledger.journal", "ledger.transfer", "ledger.hold", 'orders."order"', "orders.line",
    "orders.shipment", "payments.payment", "payments.instruction", "replay.entry", "replay.line",
    "kernel.event", "pricing.price", "sandbox.charge",
)  # fmt: skip


def quiet(line: str) -> None:
    return None


async def sizes(url: str) -> dict[str, int]:
    connection = await asyncpg.connect(url)
    try:
        return {t: await connection.fetchval(f"select count(*) from {t}") for t in EVERYTHING}
    finally:
        await connection.close()


async def figures(url: str) -> list[object]:
    """Everything that must not depend on when a replay was interrupted."""
    connection = await asyncpg.connect(url)
    try:
        return [
            [tuple(r) for r in await connection.fetch(sql)]
            for sql in (
                "select document_id, key, units, revenue_minor from replay.entry order by 1, 2",
                "select number, reason, booked from replay.line order by 1, 2",
                "select id, state, total_minor, secured_minor, refunded_minor"
                ' from orders."order" order by 1',
                "select order_id, line, sku, quantity, unit_price_minor, shipped, returned"
                " from orders.line order by 1, 2",
                "select split_part(debit, ':', 1), split_part(credit, ':', 1), sum(amount),"
                " count(*) from ledger.v_posting group by 1, 2 order by 1, 2",
                "select state, count(*) from ledger.v_hold group by 1 order by 1",
                "select amount_minor, state, count(*) from payments.instruction"
                " group by 1, 2 order by 1, 2",
            )
        ]
    finally:
        await connection.close()


async def test_every_kind_of_line_adds_up_and_a_second_run_changes_nothing(
    db: Database, url: str, tmp_path: Path
) -> None:
    rows = invoices.EVERY_KIND + invoices.long_invoice()
    path = invoices.write(tmp_path / "invoices.csv", rows)
    listing = tmp_path / "listing.csv"
    summary = await run(db, "online-retail", path, quiet, listing=listing)
    units, revenue = invoices.totals(rows)
    assert summary.broken == []
    assert (summary.units, summary.revenue_minor) == (units, round(revenue * 100))
    assert summary.agrees and summary.audit_clean
    assert summary.orders == 4
    assert summary.refused == {
        "no_sale": 1,  # the line of nothing
        "not_goods": 4,
        "return_by_unknown": 1,
        "return_without_purchase": 1,
        "stock_correction": 2,
    }
    assert len(listing.read_text("utf-8").splitlines()) == 1 + sum(summary.refused.values())
    before = await sizes(url)
    again = await run(db, "online-retail", path, quiet)
    assert msgspec.structs.replace(again, seconds=0) == msgspec.structs.replace(summary, seconds=0)
    assert await sizes(url) == before


async def test_an_order_keeps_its_time_its_prices_and_their_reason(
    db: Database, tmp_path: Path
) -> None:
    path = invoices.write(tmp_path / "invoices.csv", invoices.EVERY_KIND)
    await run(db, "online-retail", path, quiet)
    async with db.reading() as tx:
        found = (await orders.orders(tx, limit=50)).items
        sights = [await orders.order(tx, order_id=o.id) for o in found]
    of_1001 = next(s for s in sights if s.order.total_minor == 12 * 255 + 32 * 210 + 4 * 339)
    assert of_1001.order.state == "delivered"
    assert of_1001.order.placed_at.replace(tzinfo=None) == invoices.START
    assert of_1001.order.tax_minor == 0
    assert [r.step for r in of_1001.order.reasons] == ["price", "delivery"]
    assert [(li.sku, li.unit_price_minor, li.quantity, li.returned) for li in of_1001.lines] == [
        ("85123A", 255, 12, 12),
        ("85123A", 210, 32, 32),
        ("71053", 339, 4, 2),
        ("71054", 0, 1, 0),
    ]
    assert of_1001.order.refunded_minor == 2000 + 4620 + 3060 + 678


async def test_what_the_shop_refuses_is_an_adjustment_with_the_reason(
    db: Database, tmp_path: Path
) -> None:
    rows = [
        *invoices.EVERY_KIND,
        ("3001", "71053", "LANTERN", 100_001, invoices.START, "0.10", "17850", "France"),
        ("C3002", "71053", "LANTERN", -1, invoices.START, "0.10", "17850", "France"),
    ]
    path = invoices.write(tmp_path / "invoices.csv", rows)
    summary = await run(db, "online-retail", path, quiet)
    assert summary.agrees and summary.audit_clean, summary.broken
    assert summary.refused["refused:bad_quantity"] == 1


async def test_a_marketplace_ends_as_its_files_say(db: Database, url: str, tmp_path: Path) -> None:
    folder = marketplace_files.write(tmp_path / "olist")
    summary = await run(db, "olist", folder, quiet)
    assert summary.broken == []
    assert summary.agrees and summary.audit_clean
    assert summary.orders == 3
    assert summary.refused == {
        "no_items:unavailable": 1,
        "paid_above_total": 1,
        "paid_below_total": 1,
        "review:nothing_delivered": 1,
    }
    assert summary.figures["late"] == 1
    assert summary.figures["cancelled_refunded_minor"] == 5500
    before = await sizes(url)
    await run(db, "olist", folder, quiet)
    assert await sizes(url) == before


async def wait_for(url: str, table: str, rows: int, process: subprocess.Popen[bytes]) -> bool:
    """Until ``table`` has ``rows``; False when the process ended before."""
    connection = await asyncpg.connect(url)
    try:
        deadline = time.monotonic() + world.PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if await connection.fetchval(f"select count(*) from {table}") >= rows:
                return True
            if process.poll() is not None:
                return False
        raise AssertionError(f"{table} never had {rows} rows")
    finally:
        await connection.close()


def begin(url: str, data: Path, source: str, path: Path) -> subprocess.Popen[bytes]:
    data.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "pinwheel.cli", "replay", source, str(path),
         "--database-url", url, "--data-dir", str(data), "--json"],
        stdout=(data / "summary.json").open("wb"),
        stderr=(data / "log").open("ab"),
        preexec_fn=partial(world.die_with_parent),
    )  # fmt: skip


async def killed_and_resumed(
    url: str, data: Path, source: str, path: Path, moments: list[tuple[str, int]]
) -> tuple[Summary, int]:
    """The summary of the run that got to the end, and how often one was killed before it."""
    kills = 0
    for table, rows in moments:
        process = begin(url, data, source, path)
        if await wait_for(url, table, rows, process):
            process.send_signal(signal.SIGKILL)
            kills += 1
        process.wait(world.PATIENCE_SECONDS)
    process = begin(url, data, source, path)
    assert process.wait(600) == 0, (data / "log").read_text("utf-8")[-3000:]
    return msgspec.json.decode((data / "summary.json").read_bytes(), type=Summary), kills


@pytest.mark.crash
@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
async def test_killed_anywhere_it_ends_the_same(
    db: Database, url: str, server_url: str, template: str, tmp_path: Path, seed: int
) -> None:
    path = invoices.write(
        tmp_path / "invoices.csv", invoices.EVERY_KIND + invoices.many(12, seed=seed)
    )
    whole = await run(db, "online-retail", path, quiet)
    r = random.Random(seed)
    most = (await sizes(url))["ledger.journal"]
    tables = ("ledger.hold", 'orders."order"', "sandbox.charge", "ledger.journal", "replay.entry")
    ends = await sizes(url)
    # Each moment is somewhere between two commits of one batch or another.
    parts = sorted(r.random() for _ in range(5))
    moments = [(t := r.choice(tables), max(1, int(part * ends[t]))) for part in parts]
    other = await world.create_database(server_url, world.fresh_name("killed"), template)
    summary, kills = await killed_and_resumed(
        other, tmp_path / "data", "online-retail", path, moments
    )
    assert kills >= 3 and most
    assert summary.agrees and summary.audit_clean, summary.broken
    assert (summary.orders, summary.refused) == (whole.orders, whole.refused)
    assert (await figures(other)) == (await figures(url))
    await world.drop_database(server_url, other.rsplit("/", 1)[1])


@pytest.mark.slow
@pytest.mark.skipif(not (DATA / "online-retail").is_dir(), reason="needs the real files")
async def test_the_first_lines_of_the_real_file(db: Database, tmp_path: Path) -> None:
    [file] = (DATA / "online-retail").glob("*.parquet")
    slice_ = tmp_path / "slice.parquet"
    table = pq.read_table(file).slice(0, 3000)
    pq.write_table(table, slice_)
    summary = await run(db, "online-retail", slice_, quiet)
    assert summary.broken == []
    assert summary.agrees and summary.audit_clean
    assert summary.units == sum(table.column("Quantity").to_pylist())
