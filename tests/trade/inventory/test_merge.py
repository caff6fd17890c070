"""Stock of a duplicate goes on as the product that stays."""

from __future__ import annotations

import pytest

from pinwheel.kernel.db import Database
from pinwheel.trade import catalogue, inventory
from shop import open_shop


async def test_free_stock_follows_a_merge_and_reserved_stock_stays(db: Database) -> None:
    shop = await open_shop(db, [500, 500], [{"MAIN": 5}, {"MAIN": 7, "EAST": 2}])
    await shop.buying.buy(shop.draft((1, 3)))
    kept, gone = shop.variants
    async with db.transaction() as tx:
        tx.emit(catalogue.VariantsMerged(pairs=((gone, kept),)))
    async with db.reading() as tx:
        places = await inventory.positions(tx, shop.variants)
    there = {(p.variant_id, p.node): (p.on_hand, p.reserved) for p in places}
    assert there == {
        (kept, "MAIN"): (9, 0),
        (kept, "EAST"): (2, 0),
        (gone, "MAIN"): (3, 3),
        (gone, "EAST"): (0, 0),
    }
    assert not await shop.broken()


async def test_a_node_that_does_not_exist_is_named_and_nothing_changes(db: Database) -> None:
    shop = await open_shop(db, [500], [{"MAIN": 5}])
    with pytest.raises(inventory.UnknownNode):
        async with db.transaction() as tx:
            place = inventory.Place(shop.variants[0], "MOON", shop.variants[0])
            await inventory.set_limits(tx, place, safety_stock=1)
    assert await shop.stock(0) == (5, 0)
