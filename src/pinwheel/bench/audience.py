"""``pinwheel bench audience``: one purchase followed to its memberships, beside counting everybody
anew by one statement.

A town of ``people`` who each bought once or twice, in three segments. The baseline is the simplest
thing that keeps segments right: after a purchase, one statement over everybody. Beside it stands
what the shop does: it follows the purchase's fact and decides its buyer again. The ratio says how
many times less work that is, both in processor time of PostgreSQL and of this process; it grows
with the town. A purchase must show in its segment within ``TARGET_SECONDS``."""

from __future__ import annotations

import os
import time
import uuid
from typing import Any

import msgspec

from pinwheel import app
from pinwheel.bench.stand import Report, Stand, cpu_seconds, machine
from pinwheel.insight import audience
from pinwheel.kernel import audit
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.jobs import Worker
from pinwheel.kernel.settings import Settings

SECRET = "the secret of a bench that is gone in a minute"
TARGET, TARGET_SECONDS, ROUNDS = 5.0, 10.0, 5
RULES: tuple[dict[str, Any], ...] = (
    {"if": "number", "fact": "orders", "op": ">=", "value": 1},
    {"if": "number", "fact": "orders", "op": ">=", "value": 3},
    {"if": "within", "fact": "orders", "days": 30, "op": ">=", "value": 1},
)


async def run(stand: Stand, *, people: int) -> Report:
    """Processor time of one purchase's memberships, beside that of everybody's."""
    settings = Settings(
        database_url=stand.url, secret=SECRET, demonstration=False, log_level="critical"
    )
    db = await app.open_database(settings)
    try:
        await _town(db, people)
        segments = [await _segment(db, rule, n) for n, rule in enumerate(RULES)]
        await _members(db, segments)
        version = await db.pool.fetchval("show server_version")
        pids = [os.getpid(), *([stand.pid] if stand.pid else [])]
        whole = [await _timed(pids, _everybody(db)) for _ in range(ROUNDS)]
        await Worker(db).drain()
        one = []
        for n in range(ROUNDS):
            person = uuid.UUID(f"00000002-0000-7000-8000-{n + 1:012x}")
            await _buy(db, person, n)
            one.append(await _timed(pids, _follow(db)))
            async with db.reading() as tx:
                inside = await audience.memberships(tx, [person], held=True)
            assert segments[1] in inside[person], "the purchase is in no segment"
        page = await _timed(pids, _page(db))
        checks = await audit.run(db, ["pinwheel.insight.audience"])
    finally:
        await db.close()
    broken = [c.promise for c in checks if c.broken]
    cpu, seconds = _middle([c for c, _ in one]), max(s for _, s in one)
    ratio = _middle([c for c, _ in whole]) / max(cpu, 0.01)
    return Report(
        name="audience",
        ratio=round(ratio, 2),
        target=TARGET,
        passed=bool(ratio >= TARGET and seconds <= TARGET_SECONDS and not broken),
        figures={
            "people": people,
            "segments": len(segments),
            "one_purchase_seconds_at_most": round(seconds, 3),
            "target_seconds": TARGET_SECONDS,
            "one_purchase_cpu_ms": round(1000 * cpu, 1),
            "everybody_cpu_ms": round(1000 * _middle([c for c, _ in whole]), 1),
            "everybody_seconds": round(_middle([s for _, s in whole]), 3),
            "segments_page_ms": round(1000 * page[1], 1),
            "broken_promises": broken,
        },
        machine=machine(version),
    )


def _middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]


async def _timed(pids: list[int], what: Any) -> tuple[float, float]:
    """(processor seconds, seconds on the wall)."""
    before, began = sum(map(cpu_seconds, pids)), time.monotonic()
    await what
    return sum(map(cpu_seconds, pids)) - before, time.monotonic() - began


async def _everybody(db: Database) -> None:
    async with db.reading() as tx:
        for rule in RULES:
            await audience.preview(tx, audience.NewSegment(name={"en": "all"}, rule=rule))


async def _follow(db: Database) -> None:
    await Worker(db).drain()


async def _page(db: Database) -> None:
    async with db.reading() as tx:
        await audience.segments(tx)


class _Told(msgspec.Struct, frozen=True):
    """What an order's fact holds that the audience reads."""

    order_id: str


async def _buy(db: Database, person: uuid.UUID, n: int) -> None:
    """Two orders more and their fact, as the checkout leaves them."""
    async with db.transaction(actor="bench") as tx:
        for part in range(2):
            await _orders(tx, 2_000_000_000 + 2 * n + part, 1, person)
        order_id = await tx.connection.fetchval(
            'select id from orders."order" where person_id = $1 order by id desc limit 1', person
        )
        await tx.connection.execute(
            "insert into kernel.event (id, kind, subject_id, at, actor, request_id, data)"
            " values ($1, 'orders.order_placed', $2, $3, 'bench', '', $4)",
            tx.new_id(), order_id, tx.now, msgspec.to_builtins(_Told(str(order_id))),
        )  # fmt: skip


async def _orders(tx: Tx, first: int, many: int, person: uuid.UUID | None = None) -> None:
    """Placed orders of one piece, spread over 100 days; each of ``person``, or of one after the
    other."""
    await tx.connection.execute(
        """
        with made as (
          insert into orders."order" (id, number, state, person_id, country, region, market,
                 currency, delivery, goods_minor, delivery_minor, tax_minor, tax_included,
                 total_minor, secured_minor, reasons, quote, placed_at)
          select ('00000001-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid, 'B' || n, 'placed',
                 coalesce($4, ('00000002-0000-7000-8000-'
                               || lpad(to_hex(n - $1 + 1), 12, '0'))::uuid),
                 'GB', 'london', 'GB', 'GBP', 'standard', 1000 + n % 5000, 0, 0, true,
                 1000 + n % 5000, 1000 + n % 5000, '[]', 'q',
                 $3::timestamptz - make_interval(secs => n * 104729 % 8640000)
            from generate_series($1::bigint, $1 + $2::bigint - 1) n
          returning id, total_minor)
        insert into orders.line (order_id, line, offer_id, seller_id, variant_id, sku, title, node,
               quantity, unit_price_minor, goods_minor, tax_basis_points, tax_minor, total_minor)
        select id, 1, id, '00000000-0000-7000-8000-000000000001', id, 'S', '{}', 'MAIN', 1,
               total_minor, total_minor, 0, 0, total_minor from made
        """,
        first,
        many,
        tx.now,
        person,
    )


async def _town(db: Database, people: int) -> None:
    """Orders, and the facts that following them has led to."""
    async with db.transaction(actor="bench") as tx:
        await _orders(tx, 1, people)
        c = tx.connection
        await c.execute(
            """
            insert into audience.purchase (person_id, order_id, market, currency, country, region,
                   channel, at, is_cancelled, stands, net_minor, goods_minor, fee_minor, gift_minor,
                   pieces, returned)
            select person_id, id, market, currency, country, region, channel, placed_at, false,
                   true, total_minor, total_minor, 0, 0, 1, 0 from orders."order"
            """
        )
        await c.execute(
            """
            insert into audience.spend (person_id, market, currency, orders, net_minor, first_at,
                   last_at)
            select person_id, market, currency, 1, net_minor, at, at from audience.purchase
            """
        )
        await c.execute(
            """
            insert into audience.person (person_id, orders, cancelled_orders, pieces,
                   returned_pieces, first_at, last_at, market, country, region, channel)
            select person_id, 1, 0, 1, 0, at, at, market, country, region, channel
              from audience.purchase
            """
        )
    for table in ('orders."order"', "orders.line", "audience.purchase", "audience.person"):
        await db.pool.execute(f"vacuum analyze {table}")


async def _segment(db: Database, rule: dict[str, Any], n: int) -> uuid.UUID:
    async with db.transaction(actor="bench") as tx:
        new = audience.NewSegment(name={"en": f"Bench {n}", "zh-CN": f"测试 {n}"}, rule=rule)
        return (await audience.save_segment(tx, new)).id


async def _members(db: Database, segments: list[uuid.UUID]) -> None:
    """Everybody is in the first segment; the walks of the others find their own."""
    await db.pool.execute(
        """
        insert into audience.membership (segment_id, person_id, entered_at, bucket, id)
        select $1, person_id, now(), 0, person_id from audience.person
        """,
        segments[0],
    )
    await Worker(db).drain()
    await db.pool.execute("vacuum analyze audience.membership")
