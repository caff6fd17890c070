"""The list verbs over placed orders: sent, delivered and taken back in one call each."""

from __future__ import annotations

import uuid

import pytest

from pinwheel.kernel.db import Database
from pinwheel.kernel.jobs import Worker
from pinwheel.trade import orders
from pinwheel.trade.orders import Back, Sending, TakenBack
from shop import Shop, money, open_shop


@pytest.fixture
async def shop(db: Database) -> Shop:
    return await open_shop(db)


async def bought(shop: Shop, n: int) -> list[uuid.UUID]:
    return [(await shop.buying.buy(shop.draft((0, 2), (1, 3)))).order_id for _ in range(n)]


async def test_many_orders_leave_arrive_and_come_back_in_a_constant_number_of_statements(
    db: Database, shop: Shop, worker: Worker
) -> None:
    counts = []
    for n in (1, 2, 5):
        ids = await bought(shop, n)
        async with db.transaction() as tx:
            sent = await orders.ship_orders(tx, [Sending(order_id=i) for i in ids])
            await orders.deliver_parcels(tx, [p for parcels in sent for p in parcels])  # type: ignore[union-attr]
            answers = await orders.take_back(
                tx,
                [
                    TakenBack(order_id=i, key="r1", parts=[Back(0, 1, 1000)], reason="too small")
                    for i in ids
                ],
            )
            counts.append(tx.statements)
        assert answers == [1000] * n
    assert counts[1] == counts[2]  # the first opens accounts
    await worker.drain()
    assert await shop.stock(0) == (100 - 16 + 8, 0)
    async with db.reading() as tx:
        sight = await orders.order(tx, order_id=ids[0])
    assert (sight.order.state, sight.order.refunded_minor) == ("delivered", 1000)
    assert [line.returned for line in sight.lines] == [1, 0]
    assert (await money(db, "deposits:GBP"))["deposits:GBP"] == 0
    assert not await shop.broken()


async def test_one_refusal_answers_one_order_and_a_repeat_changes_nothing(
    db: Database, shop: Shop, worker: Worker
) -> None:
    first, second = await bought(shop, 2)
    parcel = uuid.uuid4()
    async with db.transaction() as tx:
        await orders.cancel(tx, second, reason="no")
        answers = await orders.ship_orders(
            tx,
            [
                Sending(order_id=first, shipment_id=parcel),
                Sending(order_id=second),
                Sending(order_id=uuid.uuid4()),
            ],
        )
    assert answers[0] == [parcel]
    assert [type(a).__name__ for a in answers[1:]] == ["OrderNotReady", "NotFound"]
    for _ in range(2):
        async with db.transaction() as tx:
            assert await orders.ship_orders(tx, [Sending(order_id=first, shipment_id=parcel)]) == [
                [parcel]
            ]
            back = TakenBack(order_id=first, key="r", parts=[Back(1, 3, 750)], reason="broken")
            assert await orders.take_back(tx, [back]) == [750]
    async with db.transaction() as tx:
        more = TakenBack(order_id=first, key="r2", parts=[Back(1, 1, 250)], reason="broken")
        [refused] = await orders.take_back(tx, [more])
        assert isinstance(refused, orders.NothingToReturn)
        dear = TakenBack(order_id=first, key="r3", parts=[Back(0, 1, 99_999)], reason="broken")
        [refused] = await orders.take_back(tx, [dear])
        assert isinstance(refused, orders.ReturnTooDear)
    await worker.drain()
    assert await shop.stock(1) == (100, 0)
    assert not await shop.broken()
