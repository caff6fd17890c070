"""What comes back is worth what was paid for it: n for m, bundles, thresholds, to the cent."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.jobs import Worker
from pinwheel.trade import orders, promotions, returns
from pinwheel.trade.promotions import Tier
from trade.promotions.shelf import Shop, open_shop


@pytest.fixture
async def shop(db: Database) -> Shop:
    return await open_shop(db)


async def sent(shop: Shop, *items: tuple[int, int]) -> tuple[uuid.UUID, list[orders.OrderLine]]:
    bought = await shop.buying.buy(shop.draft(*items))
    async with shop.db.transaction() as tx:
        parcels = await orders.ship(tx, bought.order_id)
        await orders.deliver_parcels(tx, parcels)
        return bought.order_id, await orders.lines_of(tx, [bought.order_id])


async def back(shop: Shop, order_id: uuid.UUID, line: int) -> int:
    """One piece of one line comes back as new; what is refunded."""

    def done(answer: Any) -> returns.Return:
        if isinstance(answer, Refusal):
            raise answer
        assert isinstance(answer, returns.Return)
        return answer

    async with shop.db.transaction() as tx:
        wish = returns.NewReturn(
            order_id=order_id, lines=((line, 1),), reason="unwanted", person_id=None, note=""
        )
        ret = done((await returns.request(tx, [wish]))[0])
    async with shop.db.transaction() as tx:
        receipt = returns.Receipt(return_id=ret.id, node="MAIN", lines=None)
        done((await returns.receive(tx, [receipt]))[0])
    async with shop.db.transaction() as tx:
        graded = [returns.Graded(line, "A", 1, {"complete": True})]
        grading = returns.Grading(return_id=ret.id, lines=graded)
        return done((await returns.grade_and_refund(tx, [grading]))[0]).refund_minor


async def test_a_three_for_two_over_three_products(shop: Shop, worker: Worker) -> None:
    """1000 + 400 + 250 with the 250 free: each gives back its share of the 1400 that was paid."""
    await shop.promote(promotions.NForM(3, 2))
    order_id, lines = await sent(shop, (0, 1), (1, 1), (2, 1))
    paid = {li.line: li.total_minor for li in lines}
    assert sum(paid.values()) == 1400
    assert sorted(li.discount_minor for li in lines) == [38, 61, 151]
    refunds = [await back(shop, order_id, line) for line in (0, 1)]
    assert refunds == [paid[0], paid[1]]
    assert await back(shop, order_id, 2) == paid[2] + 399
    await worker.drain()
    assert not await shop.broken()


async def test_a_bundle_and_a_part_of_it(shop: Shop, worker: Worker) -> None:
    parts = [promotions.Part([shop.offers[0]]), promotions.Part([shop.offers[1]], 2)]
    await shop.promote(promotions.Bundle(parts, 1201))
    order_id, lines = await sent(shop, (0, 1), (1, 3))
    paid = {li.line: li.total_minor for li in lines}
    assert sum(paid.values()) == 1201 + 250
    refunds = [await back(shop, order_id, 1) for _ in range(3)]
    assert sum(refunds) == paid[1]
    assert await back(shop, order_id, 0) == paid[0] + 399
    await worker.drain()
    assert not await shop.broken()


async def test_what_is_kept_stays_reduced_below_the_threshold(shop: Shop, worker: Worker) -> None:
    """Spend 12.00, get 3.33 off. What is kept costs less than 12.00: its reduction stays, what
    comes back is worth what was paid for it."""
    await shop.promote(promotions.Threshold([Tier(1200, amount_minor=333)]))
    order_id, lines = await sent(shop, (0, 1), (1, 1))
    paid = {li.line: li.total_minor for li in lines}
    assert sum(paid.values()) == 1250 - 333
    assert await back(shop, order_id, 0) == paid[0]
    assert paid[0] < 1000 and paid[1] < 250
    await worker.drain()
    assert not await shop.broken()
