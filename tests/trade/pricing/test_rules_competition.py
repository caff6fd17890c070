"""Prices that follow competitors: within the floor, by steps, with a person where it is far."""

from __future__ import annotations

import datetime as dt
import uuid

import pytest

from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import Invalid
from pinwheel.kernel.jobs import Worker
from pinwheel.trade import pricing
from pinwheel.trade.pricing import NewGuard, NewPrice, Proposal, Repricing, SeenPrice
from shop import Shop, open_shop


@pytest.fixture
async def shop(db: Database) -> Shop:
    return await open_shop(db, (1000, 250))


def follow(**more: object) -> Repricing:
    how: dict[str, object] = {
        "id": uuid.UUID(int=1),
        "name": "Follow",
        "currency": "GBP",
        "offers": [],
        "kind": "match",
        "by_minor": 0,
        "max_age_hours": 24,
        "publish_within_basis_points": 500,
        "most_change_basis_points": 2000,
        "is_active": True,
    }
    return Repricing(**(how | more))  # type: ignore[arg-type]


async def seen(shop: Shop, price_minor: int, competitor: str = "Rival") -> None:
    async with shop.db.transaction() as tx:
        await pricing.import_seen_prices(
            tx,
            [
                SeenPrice(
                    offer_id=shop.offers[0],
                    competitor=competitor,
                    currency="GBP",
                    price_minor=price_minor,
                )
            ],
            "csv",
        )


async def proposed(shop: Shop, **more: object) -> list[Proposal]:
    one = follow(**more)
    async with shop.db.transaction() as tx:
        await pricing.save_repricing(tx, one)
        return await pricing.propose(tx, one)


async def price(shop: Shop) -> int:
    async with shop.db.reading() as tx:
        return (await pricing.prices(tx, [shop.offers[0]], "GBP"))[shop.offers[0]].price_minor


async def test_a_small_change_is_published_and_says_whom_it_follows(shop: Shop) -> None:
    await seen(shop, 990, "Dear")
    await seen(shop, 960)
    [made] = await proposed(shop, kind="undercut", by_minor=5)
    assert (made.state, made.new_minor, made.competitor) == ("published", 955, "Rival")
    assert await price(shop) == 955
    async with shop.db.reading() as tx:
        [newest, *_] = (await pricing.history(tx, shop.offers[0], "GBP")).items
    assert newest.reason == "Rival asks 960"


async def test_a_large_change_waits_and_goes_by_steps(shop: Shop) -> None:
    await seen(shop, 500)
    [made] = await proposed(shop)
    assert (made.state, made.new_minor, made.held_by) == ("asked", 800, "step")
    assert await proposed(shop) == []  # it waits already
    assert await price(shop) == 1000
    async with shop.db.transaction(actor="operator:b") as tx:
        assert await pricing.decide_proposals(tx, [made.id], agree=True, reason="yes") == [None]
    assert await price(shop) == 800
    async with shop.db.transaction() as tx:
        [kept] = await pricing.proposals(tx)
    assert (kept.state, kept.decided_by) == ("published", "operator:b")


async def test_the_floor_holds_it(shop: Shop) -> None:
    async with shop.db.transaction() as tx:
        await pricing.set_guards(
            tx,
            [
                NewGuard(
                    offer_id=shop.offers[0],
                    variant_id=shop.variants[0],
                    currency="GBP",
                    floor_minor=970,
                    reason="cost",
                )
            ],
        )
    await seen(shop, 900)
    [made] = await proposed(shop)
    assert (made.new_minor, made.held_by, made.state) == (970, "floor", "published")


async def test_what_was_refused_is_not_asked_again_for_the_same_sight(
    shop: Shop, clock: SetClock
) -> None:
    await seen(shop, 850)
    [made] = await proposed(shop)
    async with shop.db.transaction() as tx:
        await pricing.decide_proposals(tx, [made.id], agree=False, reason="their last pieces")
    assert await proposed(shop) == []
    clock.travel(hours=1)
    await seen(shop, 840)
    assert len(await proposed(shop)) == 1


async def test_a_price_that_moved_meanwhile_is_overtaken(shop: Shop) -> None:
    await seen(shop, 850)
    [made] = await proposed(shop)
    async with shop.db.transaction() as tx:
        await pricing.set_prices(
            tx, [NewPrice(offer_id=shop.offers[0], currency="GBP", price_minor=900)]
        )
    async with shop.db.transaction() as tx:
        await pricing.decide_proposals(tx, [made.id], agree=True, reason="yes")
        [kept] = await pricing.proposals(tx)
    assert kept.state == "overtaken" and await price(shop) == 900


async def test_an_old_sight_moves_nothing(shop: Shop, clock: SetClock, worker: Worker) -> None:
    await seen(shop, 960)
    clock.travel(hours=25)
    assert await proposed(shop) == []
    await seen(shop, 970)
    await worker.drain()  # by the clock
    assert await price(shop) == 970


async def test_a_sight_from_the_future_is_refused(shop: Shop, clock: SetClock) -> None:
    async with shop.db.transaction() as tx:
        with pytest.raises(Invalid, match="row 1"):
            await pricing.import_seen_prices(
                tx,
                [
                    SeenPrice(
                        offer_id=shop.offers[0],
                        competitor="Rival",
                        currency="GBP",
                        price_minor=5,
                        seen_at=clock.now() + dt.timedelta(hours=1),
                    )
                ],
                "api",
            )
