"""Timed deals: their pieces, their minutes, and who waits."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid

import pytest

import world
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.jobs import Worker
from pinwheel.trade import inventory, orders, promotions
from shop import OWN
from trade.promotions.shelf import Shop, open_shop, person


@pytest.fixture
async def shop(db: Database) -> Shop:
    return await open_shop(db)


async def wait(shop: Shop, deal: uuid.UUID, who: uuid.UUID) -> promotions.Place:
    async with shop.db.transaction() as tx:
        return await promotions.wait(tx, deal, who)


async def place(shop: Shop, deal: uuid.UUID, who: uuid.UUID) -> promotions.Place:
    async with shop.db.reading() as tx:
        return (await promotions.places(tx, who, [deal]))[deal]


async def off(shop: Shop, who: uuid.UUID) -> int:
    return (await shop.quote((0, 1), person_id=who)).discount_minor


async def test_the_server_opens_and_closes_it(shop: Shop, clock: SetClock) -> None:
    await shop.deal(0, 600, 5, opens_seconds=3600)
    for seconds, expected in ((-1, 0), (0, 400), (86_399, 400), (86_400, 0)):
        clock.set(world.MONDAY + dt.timedelta(seconds=3600 + seconds))
        assert await off(shop, person()) == expected


async def test_only_so_many_pieces_have_the_price(shop: Shop) -> None:
    deal = await shop.deal(0, 600, 3, per_person=2)
    quote = await shop.quote((0, 5), person_id=person(1))
    assert quote.discount_minor == 2 * 400
    await shop.buying.buy(shop.draft((0, 5), person_id=person(1), expected=quote.token))
    assert (await shop.quote((0, 5), person_id=person(2))).discount_minor == 400
    assert await off(shop, person(1)) == 0
    async with shop.db.reading() as tx:
        [found] = await promotions.deals(tx)
    assert (found.promotion.id, found.sold, found.left) == (deal.id, 2, 1)
    assert not await shop.broken()


async def test_many_at_once_never_pass_the_quantity(shop: Shop) -> None:
    await shop.deal(0, 600, 7)
    answers = await asyncio.gather(
        *(
            shop.buying.buy(shop.draft((0, 1), person_id=person(n), expected="GBP 999"))
            for n in range(25)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(a, orders.Bought) for a in answers) == 7
    assert all(isinstance(a, orders.Bought | orders.StaleQuote | promotions.PromotionUsedUp)
               for a in answers)  # fmt: skip
    assert not await shop.broken()


async def test_who_waits_is_served_in_order_and_nobody_slips_in_between(
    shop: Shop, worker: Worker, clock: SetClock
) -> None:
    deal = await shop.deal(0, 600, 1)
    pending = await shop.buying.buy(shop.draft((0, 1), person_id=person(1), method="tok_challenge"))
    assert pending.state == "pending_payment"
    for n in (2, 3, 4):
        assert (await wait(shop, deal.id, person(n))).ahead == n - 2
    assert (await wait(shop, deal.id, person(2))).ahead == 0  # again
    async with shop.db.transaction() as tx:
        await orders.cancel(tx, pending.order_id, reason="not paid")
    assert (await place(shop, deal.id, person(2))).state == "called"
    assert [await off(shop, person(n)) for n in (9, 2, 3)] == [0, 400, 0]
    clock.travel(seconds=promotions.TURN_SECONDS - 1)
    assert await off(shop, person(2)) == 400
    clock.travel(seconds=1)
    assert await off(shop, person(2)) == 0
    async with shop.db.transaction() as tx:
        await promotions.end_turns(tx)
    assert (await place(shop, deal.id, person(2))).state == "missed"
    assert [await off(shop, person(n)) for n in (2, 3, 4, 9)] == [0, 400, 0, 0]
    bought = await shop.buying.buy(shop.draft((0, 1), person_id=person(3), expected="GBP 999"))
    await worker.drain()
    assert (await place(shop, deal.id, person(3))).state == "bought"
    async with shop.db.transaction() as tx:
        await orders.cancel(tx, bought.order_id, reason="changed my mind")
    assert not await shop.broken()


async def test_a_turn_whose_order_is_not_paid_goes_on(
    shop: Shop, worker: Worker, clock: SetClock
) -> None:
    deal = await shop.deal(0, 600, 1)
    first = await shop.buying.buy(shop.draft((0, 1), person_id=person(1), expected="GBP 999"))
    for n in (2, 3):
        await wait(shop, deal.id, person(n))
    async with shop.db.transaction() as tx:
        await orders.cancel(tx, first.order_id, reason="changed my mind")
    clock.travel(seconds=promotions.TURN_SECONDS - 60)
    pending = await shop.buying.buy(
        shop.draft((0, 1), person_id=person(2), method="tok_challenge", expected="GBP 999")
    )
    clock.travel(seconds=120)  # the turn is over, its order may still be paid
    async with shop.db.transaction() as tx:
        await promotions.end_turns(tx)
    assert (await place(shop, deal.id, person(3))).state == "waiting"
    clock.travel(hours=1)
    await worker.drain()
    async with shop.db.transaction() as tx:
        await promotions.end_turns(tx)
    assert pending.state == "pending_payment"
    assert (await place(shop, deal.id, person(3))).state == "called"
    assert not await shop.broken()


async def test_waiting_and_giving_back_at_once_lose_nobody(shop: Shop) -> None:
    """Whoever comes to wait while a piece comes back either sees it or is called."""
    for turn in range(6):
        deal = await shop.deal(2, 300, 1)
        bought = await shop.buying.buy(shop.draft((2, 1), person_id=person(1)))

        async def give_back(order_id: uuid.UUID = bought.order_id) -> None:
            async with shop.db.transaction() as tx:
                await orders.cancel(tx, order_id, reason="race")

        async def come(n: int, deal_id: uuid.UUID = deal.id) -> object:
            async def verb(tx: object) -> object:
                return await promotions.wait(tx, deal_id, person(n))  # type: ignore[arg-type]

            return await shop.db.attempt(verb)

        answers = await asyncio.gather(
            come(2 + turn), give_back(), come(20 + turn), return_exceptions=True
        )
        waiting = [
            (await place(shop, deal.id, person(n))).state
            for n, a in ((2 + turn, answers[0]), (20 + turn, answers[2]))
            if isinstance(a, promotions.Place)
        ]
        assert waiting.count("called") == (1 if waiting else 0)
        async with shop.db.transaction() as tx:
            await promotions.stop(tx, deal.id)
    assert not await shop.broken()


async def test_a_piece_comes_back_while_somebody_is_just_coming_to_wait(shop: Shop) -> None:
    """Who gives back asks for the deal's lock, and so sees who came before it was given."""
    deal = await shop.deal(0, 600, 1)
    bought = await shop.buying.buy(shop.draft((0, 1), person_id=person(1)))

    async def give_back() -> None:
        async with shop.db.transaction() as tx:
            await orders.cancel(tx, bought.order_id, reason="race")

    async with shop.db.transaction() as coming:
        await promotions.wait(coming, deal.id, person(2))
        giving = asyncio.create_task(give_back())
        await world.waits_or_ends(shop.db.pool, giving)
    await giving
    assert (await place(shop, deal.id, person(2))).state == "called"
    assert not await shop.broken()


async def test_there_is_no_waiting_while_there_are_pieces(shop: Shop, clock: SetClock) -> None:
    deal = await shop.deal(0, 600, 1)
    with pytest.raises(promotions.StillLeft):
        await wait(shop, deal.id, person())
    clock.travel(days=2)
    with pytest.raises(promotions.DealOver):
        await wait(shop, deal.id, person())


async def bare_deal(shop: Shop, pieces: int) -> uuid.UUID:
    """A deal as one that was live when deals had no stock of their own."""
    deal = await shop.deal(0, 600, pieces)
    async with shop.db.transaction() as tx:
        await inventory.give_back(tx, [deal.id])
        await tx.run("delete from inventory.earmark where document_id = $1", deal.id)
    return deal.id


async def aside(shop: Shop, deal_id: uuid.UUID) -> int:
    async with shop.db.reading() as tx:
        return sum(e.free for e in await inventory.earmarks(tx, [deal_id]))


async def test_a_deal_that_was_live_before_gets_its_pieces_put_aside(
    shop: Shop, worker: Worker, clock: SetClock
) -> None:
    deal_id = await bare_deal(shop, 5)
    await shop.buying.buy(shop.draft((0, 1), person_id=person(1), expected="GBP 999"))
    assert [c.promise for c in await shop.broken()] == [
        "whoever may still have a deal's price finds a piece put aside for it"
    ]
    clock.travel(minutes=5)
    await worker.drain()
    assert await aside(shop, deal_id) == 4
    assert not await shop.broken()
    await shop.buying.buy(shop.draft((0, 1), person_id=person(2), expected="GBP 999"))
    clock.travel(minutes=5)
    await worker.drain()
    assert await aside(shop, deal_id) == 3  # once
    clock.travel(days=1)
    await worker.drain()
    assert await aside(shop, deal_id) == 0
    assert not await shop.broken()


async def test_a_deal_of_more_than_there_is_gets_what_there_is_and_the_audit_says_so(
    shop: Shop, worker: Worker, clock: SetClock
) -> None:
    deal_id = await bare_deal(shop, 5)
    async with shop.db.transaction() as tx:
        counts = [
            inventory.StockCount(inventory.Place(OWN, "EAST", shop.variants[0]), -50),
            inventory.StockCount(inventory.Place(OWN, "MAIN", shop.variants[0]), -47),
        ]
        await inventory.adjust(tx, counts, document_id=tx.new_id(), reason="lost")
    clock.travel(minutes=5)
    await worker.drain()
    assert await aside(shop, deal_id) == 3
    [broken] = await shop.broken()
    assert "finds a piece put aside" in broken.promise
