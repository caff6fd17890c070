"""Revenue in analytics is the ledger's, to the cent, through every way an order can end."""

from __future__ import annotations

import random
import uuid

import asyncpg
import pytest

from insight_world import broken, said, send, shown
from pinwheel.insight import tracking
from pinwheel.kernel.db import Database
from pinwheel.kernel.jobs import Worker
from pinwheel.trade import orders, returns
from pinwheel.trade.returns import Graded, Grading, NewReturn, Receipt
from shop import Shop, money, open_shop

ACCOUNTS = ("sales:own:GBP", "delivery:GBP", "tax:GB:GBP")


async def counted(db: Database) -> dict[str, int]:
    """Revenue by account as the events have it."""
    async with db.reading() as tx:
        rows = await tx.connection.fetch(
            "select r.account, sum((e.properties ->> 'amount_minor')::bigint) as minor"
            "  from tracking.v_event e join tracking.revenue r on r.event_id = e.event_id"
            " where e.name = 'revenue_recognised' group by r.account"
        )
    return {r["account"]: int(r["minor"]) for r in rows}


async def send_back(shop: Shop, order_id: uuid.UUID, line: int, pieces: int) -> None:
    async with shop.db.transaction() as tx:
        [asked] = await returns.request(
            tx, [NewReturn(order_id=order_id, lines=((line, pieces),), reason="damaged")]
        )
        assert isinstance(asked, returns.Return)
        await returns.receive(tx, [Receipt(return_id=asked.id, node="MAIN", lines=None)])
        await returns.grade_and_refund(
            tx,
            [Grading(return_id=asked.id, lines=[Graded(line, "A", pieces, {"complete": True})])],
        )


async def live_through(shop: Shop, chance: random.Random) -> None:
    """One order, to one of its ends."""
    items = [(n, chance.randint(1, 4)) for n in range(chance.randint(1, 2))]
    bought = await shop.buying.buy(shop.draft(*items))
    way = chance.choice(("cancel", "part", "ship", "ship", "return", "return_part", "counter"))
    async with shop.db.transaction() as tx:
        if way == "cancel":
            await orders.cancel(tx, bought.order_id, reason="test")
            return
        if way == "part" and items[0][1] > 1:
            await orders.cancel_lines(tx, bought.order_id, [(0, 1)], reason="short")
        parcels = await orders.ship(tx, bought.order_id)
        await orders.deliver_parcels(tx, parcels)
    if way == "return":
        for line, (_, pieces) in enumerate(items):
            await send_back(shop, bought.order_id, line, pieces)
    elif way == "counter":  # given back at a counter, without a return of its own
        back = orders.Back(0, 1, 100)
        one = orders.TakenBack(order_id=bought.order_id, key="1", parts=[back], reason="counter")
        async with shop.db.transaction() as tx:
            await orders.take_back(tx, [one])
    elif way == "return_part":
        await send_back(shop, bought.order_id, 0, 1)


async def test_revenue_is_the_ledgers_through_cancels_refunds_and_parts(
    db: Database, worker: Worker
) -> None:
    shop = await open_shop(db, [999, 333])
    chance = random.Random(20260105)
    for _ in range(16):
        await live_through(shop, chance)
    events = await shown(db, worker)
    there = await money(db, *ACCOUNTS)
    assert there["sales:own:GBP"] > 0
    assert {a: m for a, m in (await counted(db)).items() if m} == {
        a: m for a, m in there.items() if m
    }
    placed = [e for e in events if e.name == "order_placed"]
    assert len(placed) == 16 and all(e.source == "server" for e in placed)
    assert not await broken(db)


async def test_a_client_who_says_revenue_changes_nothing(db: Database, worker: Worker) -> None:
    shop = await open_shop(db, [999])
    bought = await shop.buying.buy(shop.draft((0, 1)))
    async with db.transaction() as tx:
        await orders.ship(tx, bought.order_id)
    lie = {
        "order_id": str(bought.order_id),
        "journal_id": str(uuid.uuid4()),
        "kind": "sales",
        "amount_minor": 100_000,
        "currency": "GBP",
    }
    receipt = await send(db, said("revenue_recognised", properties=lie))
    assert [f.reason for f in receipt.faults] == ["server_only"]
    await shown(db, worker)
    assert sum((await counted(db)).values()) == 999 + 399
    assert not await broken(db)


async def test_booking_again_books_nothing_and_a_lost_one_is_seen(
    db: Database, worker: Worker
) -> None:
    shop = await open_shop(db, [999])
    bought = await shop.buying.buy(shop.draft((0, 1)))
    async with db.transaction() as tx:
        await orders.ship(tx, bought.order_id)
    async with db.transaction() as tx:
        assert await tracking.book_revenue(tx, [bought.order_id]) == 0
    await shown(db, worker)
    assert not await broken(db)
    await db.pool.execute("delete from tracking.revenue where account like 'sales:%'")
    assert [c.promise for c in await broken(db)] == [
        "revenue in analytics is the ledger's, account by account, to the cent"
    ]
    async with db.transaction() as tx:
        assert await tracking.book_revenue(tx, [bought.order_id]) == 1
    assert not await broken(db)


async def test_a_fact_that_is_taken_back_is_not_told(db: Database, worker: Worker) -> None:
    shop = await open_shop(db, [999])
    bought = await shop.buying.buy(shop.draft((0, 1)))
    with pytest.raises(asyncpg.DivisionByZeroError):
        async with db.transaction() as tx:
            await orders.ship(tx, bought.order_id)
            await tx.finish()
            await tx.connection.execute("select 1 / 0")
    assert [e.name for e in await shown(db, worker)] == ["order_placed"]
    assert not await broken(db)
