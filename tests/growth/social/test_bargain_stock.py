"""A bargain campaign that promises its stock: put aside when it starts, and back when nobody can
ask for it any more."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from growth.social.test_bargains import HELPS, Market
from pinwheel import app
from pinwheel.growth import social
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import Invalid
from pinwheel.kernel.settings import Settings
from pinwheel.trade import inventory, orders
from pinwheel.trade.orders import Bought
from shop import open_shop

A, B, C = (uuid.UUID(int=0xBA6A0 + n) for n in range(3))


@pytest.fixture
async def market(db: Database, tmp_path: Path) -> Market:
    settings = Settings(secret="the secret of the tests", data_dir=tmp_path, currency="GBP")
    app.furnish(db, settings)
    return Market(db, await open_shop(db))


async def figures(market: Market) -> tuple[int, int, int]:
    """(put aside, not ordered of it, free for everybody)."""
    async with market.db.reading() as tx:
        aside = await inventory.earmarks(tx, [market.campaign])
        there = await inventory.positions(tx, [market.shop.variants[0]])
    return sum(e.pieces for e in aside), sum(e.free for e in aside), sum(p.atp for p in there)


async def test_its_pieces_are_for_bargains_alone(market: Market) -> None:
    await market.open(pieces_total=2, stock="reserved")
    assert await figures(market) == (2, 2, 98)
    begun = await market.starts(A)
    for _ in range(HELPS):
        await market.helps(begun.id)
    for _ in range(2):
        await market.buying.buy(market.shop.draft((0, 49)))
    assert await figures(market) == (2, 2, 0)
    assert (await market.sees(begun)).stock == "reserved"
    bought = await market.buys(begun.id, A)
    assert isinstance(bought, Bought), bought
    await market.worker.drain()
    assert await figures(market) == (2, 1, 0)
    async with market.db.transaction() as tx:
        await orders.cancel(tx, bought.order_id, reason="changed my mind")
    await market.passes(60)
    assert await figures(market) == (2, 2, 0)
    assert not await market.broken()


async def test_stopped_it_keeps_one_piece_for_each_bargain_that_runs(market: Market) -> None:
    await market.open(pieces_total=10, stock="reserved")
    begun = [await market.starts(who) for who in (A, B)]
    async with market.db.transaction() as tx:
        await social.stop_bargain_campaign(tx, market.campaign)
    assert await figures(market) == (2, 2, 98)
    bought = await market.buys(begun[0].id, A) if (await market.helps(begun[0].id)) else None
    assert isinstance(bought, Bought), bought
    await market.worker.drain()
    assert await figures(market) == (2, 1, 98)
    await market.passes(86_400 + 60)
    await market.passes(60)
    assert await figures(market) == (1, 0, 99)
    assert not await market.broken()


async def test_more_than_there_is_is_refused_and_nothing_starts(market: Market) -> None:
    with pytest.raises(inventory.TooFewToPutAside):
        await market.open(pieces_total=101, stock="reserved")
    with pytest.raises(Invalid):
        await market.open(stock="reserved")
    await market.open(pieces_total=101)
    assert await figures(market) == (0, 0, 100)
    assert not await market.broken()
