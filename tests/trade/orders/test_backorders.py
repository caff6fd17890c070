"""Sold before it is here: first come first served, told when late, paid back after the last day."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest

from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import NotFound
from pinwheel.kernel.jobs import Worker
from pinwheel.trade import inventory, orders
from pinwheel.trade.orders import Backorder
from shop import OWN, Shop, money, open_shop

MONDAY = dt.date(2026, 1, 5)
EXPECTED = MONDAY + dt.timedelta(days=10)


@pytest.fixture
async def shop(db: Database) -> Shop:
    """Two pieces are here, three more are sold ahead."""
    shop = await open_shop(db, [1000], [{"MAIN": 2}])
    async with db.transaction() as tx:
        await inventory.set_limits(tx, place(shop), backorder_limit=3, expected_on=EXPECTED)
    return shop


def place(shop: Shop) -> inventory.Place:
    return inventory.Place(OWN, "MAIN", shop.variants[0])


async def waiting(shop: Shop, *order_ids: uuid.UUID) -> list[Backorder]:
    async with shop.db.reading() as tx:
        return await orders.backorders_of(tx, order_ids)


async def arrive(shop: Shop, pieces: int) -> None:
    async with shop.db.transaction() as tx:
        count = inventory.StockCount(place(shop), pieces)
        await inventory.receive(tx, [count], document_id=tx.new_id())


async def send(shop: Shop, order_id: uuid.UUID) -> None:
    async with shop.db.transaction() as tx:
        await orders.ship(tx, order_id)


async def test_the_newest_wait_and_nobody_is_sent_what_is_not_there(
    shop: Shop, worker: Worker, clock: SetClock
) -> None:
    bought = []
    for quantity in (1, 3, 1):
        clock.set(clock.now() + dt.timedelta(minutes=1))
        bought.append((await shop.buying.buy(shop.draft((0, quantity)))).order_id)
    with pytest.raises(inventory.OutOfStock):
        await shop.buying.buy(shop.draft((0, 1)))
    clock.set(clock.now() + dt.timedelta(minutes=6))
    await worker.drain()
    found = {b.order_id: b.quantity for b in await waiting(shop, *bought)}
    assert found == {bought[1]: 2, bought[2]: 1}
    assert {b.expected_on for b in await waiting(shop, *bought)} == {EXPECTED}
    for late in bought[1:]:
        with pytest.raises(orders.NotHereYet):
            await send(shop, late)
    await send(shop, bought[0])
    await arrive(shop, 2)
    clock.set(clock.now() + dt.timedelta(minutes=6))
    await worker.drain()
    assert {b.order_id for b in await waiting(shop, *bought)} == {bought[2]}
    await send(shop, bought[1])
    assert not await shop.broken()


async def test_late_is_told_once_and_paid_back_after_the_last_day(
    shop: Shop, worker: Worker, clock: SetClock
) -> None:
    order_id = (await shop.buying.buy(shop.draft((0, 4)))).order_id
    clock.set(clock.now() + dt.timedelta(minutes=6))
    await worker.drain()
    told = "select count(*) from kernel.event where kind = 'orders.backorder_late'"
    for day, late, quantity in ((10, 0, 4), (11, 1, 4), (12, 1, 4), (24, 1, 4), (25, 1, 2)):
        clock.set(dt.datetime(2026, 1, 5, 12, tzinfo=dt.UTC) + dt.timedelta(days=day))
        await worker.drain()
        async with shop.db.reading() as tx:
            assert await tx.value(told) == late, day
            [line] = (await orders.order(tx, order_id=order_id)).lines
        assert line.open == quantity, day
    await worker.drain()
    assert await money(shop.db, "clearing:sandbox:GBP") == {"clearing:sandbox:GBP": 4000 - 2000}
    await send(shop, order_id)  # the two that were here all the time
    assert not await shop.broken()


async def test_who_does_not_want_to_wait_cancels_what_is_not_here(
    shop: Shop, worker: Worker, clock: SetClock
) -> None:
    order_id = (await shop.buying.buy(shop.draft((0, 4)))).order_id
    with pytest.raises(NotFound):
        async with shop.db.transaction() as tx:
            await orders.cancel_backorders(tx, order_id, person_id=uuid.uuid4())
    clock.set(clock.now() + dt.timedelta(minutes=6))
    await worker.drain()
    with pytest.raises(NotFound):
        async with shop.db.transaction() as tx:
            await orders.cancel_backorders(tx, order_id, person_id=uuid.uuid4())
    async with shop.db.transaction() as tx:
        assert await orders.cancel_backorders(tx, order_id) == 2000
    assert await waiting(shop, order_id) == []
    await send(shop, order_id)
    assert not await shop.broken()
