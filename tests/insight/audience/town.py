"""People who buy, for tests of audiences: real orders of a small shop, and many written at once."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

from pinwheel import app
from pinwheel.insight import audience
from pinwheel.insight.audience import NewSegment, Segment
from pinwheel.insight.audience.walking import follow, look_again
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.jobs import Worker
from pinwheel.kernel.settings import Settings
from pinwheel.trade import orders
from shop import Shop, open_shop

TABLES = ("purchase", "taste", "spend", "person", "activity", "membership", "rfm", "ltv")


class Town:
    def __init__(self, db: Database, clock: SetClock, shop: Shop) -> None:
        self.db, self.clock, self.shop, self.worker = db, clock, shop, Worker(db)

    async def person(self) -> uuid.UUID:
        """Somebody with an account."""
        async with self.db.transaction() as tx:
            person_id = tx.new_id()
            await tx.run(
                "insert into identity.person (cell, id, kind, created_at)"
                " values ($1, $2, 'buyer', $3)",
                tx.cell,
                person_id,
                tx.now,
            )
        return person_id

    async def buy(
        self, person_id: uuid.UUID, number: int = 0, pieces: int = 1, city: str = ""
    ) -> uuid.UUID:
        bought = await self.shop.buying.buy(
            self.shop.draft((number, pieces), person_id=person_id, region=" London ", city=city)
        )
        return bought.order_id

    async def cancel(self, order_id: uuid.UUID) -> None:
        async with self.db.transaction(actor="test") as tx:
            await orders.cancel(tx, order_id, reason="changed my mind")

    async def settle(self) -> None:
        """Everything that is due, two seconds later."""
        await self.worker.drain()
        self.clock.travel(seconds=2)
        await self.worker.drain()

    async def follow(self) -> None:
        async with self.db.transaction(actor="clock") as tx:
            await follow(tx)

    async def look_again(self) -> int:
        async with self.db.transaction(actor="clock") as tx:
            return await look_again(tx)

    async def segment(self, rule: dict[str, Any], **more: Any) -> Segment:
        new = NewSegment(name={"en": "A segment", "zh-CN": "人群"}, rule=rule, **more)
        async with self.db.transaction(actor="test") as tx:
            saved = await audience.save_segment(tx, new)
        await self.settle()
        return saved

    async def inside(self, segment: Segment) -> set[uuid.UUID]:
        async with self.db.reading() as tx:
            return {m.person_id for m in await audience.members(tx, segment.id)}

    async def told(self, kind: str) -> list[dict[str, Any]]:
        async with self.db.reading() as tx:
            return await tx.values(
                "select data from kernel.event where kind = $1 order by id", f"audience.{kind}"
            )

    async def rows(self, *tables: str) -> dict[str, list[tuple[Any, ...]]]:
        """Every row, without the ids and instants of entries."""
        found = {}
        async with self.db.reading() as tx:
            for table in tables or TABLES:
                rows = await tx.connection.fetch(f"select * from audience.{table}")
                left = ("id", "entered_at", "left_at") if table == "membership" else ()
                found[table] = sorted(
                    tuple(str(v) for k, v in r.items() if k not in left)
                    for r in rows
                    if r.get("left_at") is None
                )
        return found


async def write_orders(
    db: Database,
    rows: Sequence[tuple[uuid.UUID, dt.datetime, int]],
    *,
    market: str = "GB",
    currency: str = "GBP",
    country: str = "GB",
    region: str = "",
    city: str = "",
    channel: str = "web",
    variant_id: uuid.UUID | None = None,
) -> None:
    """Delivered orders of one piece, (person, instant, net), as they stand in the tables."""
    async with db.transaction() as tx:
        await tx.run(
            """
            with o as (
              insert into orders."order" (cell, id, number, state, person_id, country, region,
                     market, currency, channel, delivery, goods_minor, delivery_minor, tax_minor,
                     tax_included, total_minor, secured_minor, reasons, quote, placed_at,
                     city)
              select $1, o.id, o.id::text, 'delivered', o.person_id, $5, $8, $6, $7, $9, 'standard',
                     o.net, 0, 0, true, o.net, o.net, '[]', '', o.at, $12
                from unnest($2::uuid[], $3::uuid[], $4::timestamptz[], $10::bigint[])
                     as o(id, person_id, at, net) returning id, total_minor)
            insert into orders.line (cell, order_id, line, offer_id, seller_id, variant_id, sku,
                   title, node, quantity, unit_price_minor, goods_minor, tax_basis_points,
                   tax_minor, total_minor, shipped)
            select $1, o.id, 1, o.id, '00000000-0000-7000-8000-000000000001', coalesce($11, o.id),
                   'S', '{}', 'MAIN', 1, o.total_minor, o.total_minor, 0, 0, o.total_minor, 1
              from o
            """,
            tx.cell,
            [tx.new_id() for _ in rows],
            [r[0] for r in rows],
            [r[1] for r in rows],
            country,
            market,
            currency,
            region,
            channel,
            [r[2] for r in rows],
            variant_id,
            city,
        )


async def open_town(db: Database, clock: SetClock, folder: Any) -> Town:
    app.furnish(db, Settings(secret="the secret of the tests", data_dir=folder, currency="GBP"))
    return Town(db, clock, await open_shop(db, prices_minor=(1000, 250)))
