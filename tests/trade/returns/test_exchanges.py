"""Exchanges: the held piece, the exact difference, and every way it can end in between."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import random
import uuid

import pytest

from pinwheel.ground import identity
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import NotFound
from pinwheel.kernel.jobs import Worker
from pinwheel.trade import inventory, orders, payments, pricing, returns
from shop import money
from wardrobe import Wardrobe, came, exchange, graded, open_wardrobe, swap

ASIDE = ("deposits:GBP", "exchange_deposits:GBP", "return_advances:GBP", "return_receivable:GBP")
MANY = int(os.environ.get("PINWHEEL_EXCHANGES", "12"))
KEPT = ("sales:own:GBP", "tax:GB:GBP", "delivery:GBP", "return_freight:GBP")


@pytest.fixture
async def shop(db: Database) -> Wardrobe:
    return await open_wardrobe(db)


async def closed(shop: Wardrobe, worker: Worker, kept_minor: int) -> None:
    """Nothing is left aside, the provider has what the shop earned, no promise is broken."""
    await worker.drain()
    books = await money(shop.db, *ASIDE, *KEPT, "clearing:sandbox:GBP")
    assert {books[code] for code in ASIDE} == {0}, books
    assert books["clearing:sandbox:GBP"] == kept_minor == sum(books[code] for code in KEPT)
    assert not await shop.broken()


async def sent_new(shop: Wardrobe, order_id: uuid.UUID) -> None:
    async with shop.db.transaction() as tx:
        await orders.deliver_parcels(tx, await orders.ship(tx, order_id))


# --- the money


@pytest.mark.parametrize(
    ("to", "difference"), [("M", 0), ("L", 500), ("XS", -500)], ids=["same", "dearer", "cheaper"]
)
async def test_the_difference_is_charged_or_refunded_exactly(
    shop: Wardrobe, worker: Worker, to: str, difference: int
) -> None:
    order_id = await shop.bought("S")
    asked = await swap(shop, order_id, to, expected_minor=difference)
    assert await shop.free(to) == 39
    assert (await exchange(shop, asked.exchange.return_id)).state == "waiting"
    with pytest.raises(orders.OrderNotReady):
        await sent_new(shop, order_id)  # not before the old one is here
    await came(shop, asked.exchange.return_id)
    done = await exchange(shop, asked.exchange.return_id)
    assert (done.state, done.back_minor) == ("released", max(0, -difference))
    await sent_new(shop, order_id)
    assert (await graded(shop, asked.exchange.return_id)).refund_minor == 0
    async with shop.db.reading() as tx:
        sight = await orders.order(tx, order_id=order_id)
    assert (sight.order.state, sight.lines[1].total_minor) == ("delivered", 2000 + difference)
    await closed(shop, worker, 2399 + difference)
    assert await shop.pieces("S") == (40, 0) and await shop.pieces(to) == (39, 0)


async def test_the_share_of_a_promotion_stays_with_the_exchanged_line(
    db: Database, worker: Worker
) -> None:
    class HalfPrice:
        async def load(self, tx: object, drafts: object, placing: bool) -> None:
            return None

        def decide(self, loaded: object, draft: orders.Draft) -> None:
            for line in draft.lines:
                line.discount_minor = line.goods_minor // 2

        async def record(self, tx: object, loaded: object, drafts: object) -> None:
            return None

    shop = await open_wardrobe(db)
    shop.buying = orders.Buying(db, orders.Checkout(HalfPrice()))
    order_id = await shop.bought("S", 3)
    async with db.reading() as tx:
        found = {c.sku: c.difference_minor for c in await returns.choices(tx, order_id, 0)}
    # The dearer one costs its whole difference more; the cheaper one keeps the half, not all of it.
    assert found == {"SHIRT-S": 0, "SHIRT-M": 0, "SHIRT-L": 500, "SHIRT-XS": -250}
    for to in ("M", "L", "XS"):
        asked = await swap(shop, order_id, to)
        await came(shop, asked.exchange.return_id)
        await sent_new(shop, order_id)
        await graded(shop, asked.exchange.return_id)
    await closed(shop, worker, 3399 + 500 - 250)


async def test_a_price_that_rose_for_all_sizes_costs_an_exchange_nothing(
    shop: Wardrobe, db: Database
) -> None:
    order_id = await shop.bought("S")
    async with db.transaction() as tx:
        await pricing.set_prices(
            tx,
            [
                pricing.NewPrice(offer_id=shop.offer[s], currency="GBP", price_minor=2600)
                for s in ("S", "M")
            ],
        )
    asked = await swap(shop, order_id, "M", expected_minor=0)
    assert asked.payment is None
    with pytest.raises(returns.DifferenceChanged):
        await swap(shop, await shop.bought("M"), "L", expected_minor=0)


async def test_freight_is_taken_once_and_said_before(shop: Wardrobe, worker: Worker) -> None:
    async with shop.db.transaction() as tx:
        await returns.set_policy(
            tx,
            returns.CategoryPolicy(market="GB", category_id=uuid.UUID(int=0), freight_minor=300),
        )
    order_id = await shop.bought("S")
    asked = await swap(shop, order_id, "M", expected_minor=300)
    await came(shop, asked.exchange.return_id)
    await sent_new(shop, order_id)
    ret = await graded(shop, asked.exchange.return_id)
    assert (ret.freight_minor, ret.refund_minor, ret.owed_minor) == (300, 0, 0)
    await closed(shop, worker, 2399 + 300)


async def test_the_replacement_can_be_returned_for_all_that_was_paid(
    shop: Wardrobe, worker: Worker
) -> None:
    order_id = await shop.bought("S")
    asked = await swap(shop, order_id, "L")
    await came(shop, asked.exchange.return_id)
    await sent_new(shop, order_id)
    await graded(shop, asked.exchange.return_id)
    async with shop.db.transaction() as tx:
        wish = returns.NewReturn(order_id=order_id, lines=[(1, 1)], reason="unwanted")
        [ret] = await returns.request(tx, [wish])
    assert isinstance(ret, returns.Return)
    await came(shop, ret.id)
    assert (await graded(shop, ret.id)).refund_minor == 2500 + 399  # over both tenders
    await closed(shop, worker, 0)


# --- what goes wrong


async def test_two_at_once_for_the_last_piece(db: Database, worker: Worker) -> None:
    shop = await open_wardrobe(db, {"M": 1})
    ids = [await shop.bought("S") for _ in range(4)]
    answers = await asyncio.gather(*(swap(shop, i, "M") for i in ids), return_exceptions=True)
    lost = [a for a in answers if isinstance(a, Exception)]
    assert len(lost) == 3 and all(isinstance(a, inventory.OutOfStock) for a in lost), answers
    async with db.reading() as tx:  # the refused ones left no return behind
        assert await tx.value("select count(*) from returns.rma") == 1
    assert not await shop.broken()


async def test_the_parcel_scanned_twice_lets_one_replacement_go(
    shop: Wardrobe, worker: Worker
) -> None:
    order_id = await shop.bought("S")
    asked = await swap(shop, order_id, "L")
    await asyncio.gather(*(came(shop, asked.exchange.return_id) for _ in range(4)))
    async with shop.db.reading() as tx:
        assert len(await orders.lines_of(tx, [order_id])) == 2
    await sent_new(shop, order_id)
    await asyncio.gather(*(graded(shop, asked.exchange.return_id) for _ in range(3)))
    await closed(shop, worker, 2899)


async def test_a_parcel_that_never_comes_ends_the_hold_and_gives_the_difference_back(
    shop: Wardrobe, worker: Worker, clock: SetClock
) -> None:
    order_id = await shop.bought("S")
    asked = await swap(shop, order_id, "L")
    clock.set(clock.now() + dt.timedelta(days=14, seconds=-1))
    await worker.drain()
    assert (await exchange(shop, asked.exchange.return_id)).state == "waiting"
    clock.set(clock.now() + dt.timedelta(seconds=61))
    await worker.drain()
    ended = await exchange(shop, asked.exchange.return_id)
    assert (ended.state, ended.why) == ("ended", "expired")
    assert await shop.free("L") == 40
    await closed(shop, worker, 2399)
    # It comes after all: a refund now, no replacement.
    clock.set(clock.now() + dt.timedelta(hours=1))
    await worker.drain()
    await came(shop, asked.exchange.return_id)
    assert (await graded(shop, asked.exchange.return_id)).refund_minor == 2399
    await closed(shop, worker, 0)


async def test_a_declined_difference_leaves_nothing_behind(shop: Wardrobe, worker: Worker) -> None:
    order_id = await shop.bought("S")
    asked = await swap(shop, order_id, "L", method="tok_declined")
    assert (await exchange(shop, asked.exchange.return_id)).why == "unpaid"
    async with shop.db.reading() as tx:
        assert (await returns.see(tx, asked.exchange.return_id)).ret.state == "cancelled"
        assert [r.quantity for r in await returns.returnable(tx, order_id)] == [1]
    assert await shop.free("L") == 40
    await closed(shop, worker, 2399)


async def test_a_crash_before_the_difference_was_asked_for(
    shop: Wardrobe, worker: Worker, clock: SetClock
) -> None:
    """The process died between the two steps: the sweeper finds that nothing was charged."""
    order_id = await shop.bought("S")
    wish = returns.NewExchange(
        order_id=order_id,
        line=0,
        quantity=1,
        offer_id=shop.offer["L"],
        provider="sandbox",
        method="tok_ok",
    )
    async with shop.db.transaction() as tx:
        asked = await returns.ask_exchange(tx, wish)
    for _ in range(30):
        clock.set(clock.now() + dt.timedelta(minutes=1))
        await worker.drain()
    assert (await exchange(shop, asked.exchange.return_id)).state == "ended"
    assert await shop.free("L") == 40
    await closed(shop, worker, 2399)


async def test_money_that_comes_after_the_exchange_has_ended_goes_back(
    shop: Wardrobe, worker: Worker, clock: SetClock
) -> None:
    order_id = await shop.bought("S")
    wish = returns.NewExchange(
        order_id=order_id,
        line=0,
        quantity=1,
        offer_id=shop.offer["L"],
        provider="sandbox",
        method="tok_ok",
    )
    async with shop.db.transaction() as tx:
        asked = await returns.ask_exchange(tx, wish)
    assert asked.payment is not None
    async with shop.db.transaction() as tx:
        await returns.end_exchanges(tx, [(asked.exchange.return_id, "unpaid")])
    outcomes = await payments.charge(shop.db, [asked.payment])
    async with shop.db.transaction() as tx:
        await payments.record(tx, outcomes)
    await closed(shop, worker, 2399)


async def test_cancelled_half_way_and_not_any_more_once_it_was_let_go(
    shop: Wardrobe, worker: Worker
) -> None:
    order_id = await shop.bought("S")
    asked = await swap(shop, order_id, "L")
    async with shop.db.transaction() as tx:
        [answer] = await returns.cancel(tx, [asked.exchange.return_id])
    assert isinstance(answer, returns.Return)
    assert (await exchange(shop, asked.exchange.return_id)).why == "cancelled"
    await closed(shop, worker, 2399)
    person = await _trusted(shop)
    order_id = await shop.bought("S", person_id=person)
    asked = await swap(shop, order_id, "M", person_id=person)
    assert (await exchange(shop, asked.exchange.return_id)).state == "released"
    async with shop.db.transaction() as tx:
        [refused] = await returns.cancel(tx, [asked.exchange.return_id])
    assert isinstance(refused, returns.ExchangeIs)


async def _trusted(shop: Wardrobe) -> uuid.UUID:
    async with shop.db.transaction() as tx:
        person = await identity.register(
            tx, "trusted@example.org", password_hash=None, language="en"
        )
    for _ in range(2):
        await shop.bought("S", person_id=person.id)
    return person.id


async def test_the_trusted_get_it_at_once_and_owe_what_never_comes(
    shop: Wardrobe, worker: Worker, clock: SetClock
) -> None:
    person = await _trusted(shop)
    order_id = await shop.bought("S", person_id=person)
    asked = await swap(shop, order_id, "L", person_id=person)
    assert (await exchange(shop, asked.exchange.return_id)).state == "released"
    await sent_new(shop, order_id)  # the old one is still with the buyer
    clock.set(clock.now() + dt.timedelta(days=15))
    await worker.drain()
    async with shop.db.reading() as tx:
        ret = (await returns.see(tx, asked.exchange.return_id)).ret
    assert (ret.state, ret.owed_minor) == ("expired", 2000)
    assert (await money(shop.db, "return_receivable:GBP"))["return_receivable:GBP"] == 2000
    assert not await shop.broken()
    await came(shop, asked.exchange.return_id)  # it comes after all: nothing is owed
    assert (await graded(shop, asked.exchange.return_id)).refund_minor == 0
    await closed(shop, worker, 2 * 2399 + 2899)


async def test_a_replacement_that_runs_out_becomes_a_refund(shop: Wardrobe, worker: Worker) -> None:
    order_id = await shop.bought("S")
    asked = await swap(shop, order_id, "L")
    async with shop.db.transaction() as tx:
        await inventory.set_node_open(tx, "MAIN", False)
    await worker.drain()
    ended = await exchange(shop, asked.exchange.return_id)
    assert (ended.state, ended.why) == ("ended", "ran_out")
    await came(shop, asked.exchange.return_id)
    assert (await graded(shop, asked.exchange.return_id)).refund_minor == 2399
    await closed(shop, worker, 0)


async def test_a_node_that_stops_moves_what_it_held(shop: Wardrobe, worker: Worker) -> None:
    async with shop.db.transaction() as tx:
        place = inventory.Place(asked_seller(), "EAST", shop.variant["L"])
        count = inventory.StockCount(place, 5)
        await inventory.receive(tx, [count], document_id=tx.new_id())
    order_id = await shop.bought("S")
    asked = await swap(shop, order_id, "L")
    assert asked.exchange.node == "MAIN"
    async with shop.db.transaction() as tx:
        await inventory.set_node_open(tx, "MAIN", False)
    await worker.drain()
    assert (await exchange(shop, asked.exchange.return_id)).node == "EAST"
    await came(shop, asked.exchange.return_id)
    await sent_new(shop, order_id)
    await graded(shop, asked.exchange.return_id)
    await closed(shop, worker, 2899)


def asked_seller() -> uuid.UUID:
    return uuid.UUID("00000000-0000-7000-8000-000000000001")


async def test_half_of_what_was_announced_brings_half_of_the_replacement(
    shop: Wardrobe, worker: Worker
) -> None:
    order_id = await shop.bought("S", 3)
    asked = await swap(shop, order_id, "L", quantity=3)
    assert asked.payment is not None and asked.payment.amount_minor == 1500
    await came(shop, asked.exchange.return_id, [(0, 2)])
    done = await exchange(shop, asked.exchange.return_id)
    assert (done.quantity, done.back_minor, done.total_minor) == (2, 500, 5000)
    assert await shop.pieces("L") == (40, 2)
    await sent_new(shop, order_id)
    await graded(shop, asked.exchange.return_id, quantity=2)
    async with shop.db.reading() as tx:
        paid = (await orders.order(tx, order_id=order_id)).order
    await closed(shop, worker, paid.secured_minor - paid.refunded_minor)
    assert await shop.pieces("L") == (38, 0)


async def test_a_worthless_piece_is_owed_for(shop: Wardrobe, worker: Worker) -> None:
    order_id = await shop.bought("S")
    asked = await swap(shop, order_id, "M")
    await came(shop, asked.exchange.return_id)
    await sent_new(shop, order_id)
    ret = await graded(shop, asked.exchange.return_id, "D", withhold_minor=1200)
    assert (ret.owed_minor, ret.refund_minor) == (1200, 0)
    await worker.drain()
    assert not await shop.broken()


async def test_the_bank_took_the_money_back_so_nothing_is_sent(
    shop: Wardrobe, worker: Worker
) -> None:
    order_id = await shop.bought("S")
    asked = await swap(shop, order_id, "M")
    async with shop.db.transaction() as tx:
        [payment] = await payments.payments_of(tx, [order_id])
        await payments.record(
            tx,
            [
                payments.Outcome(
                    payment_id=payment.id,
                    state="disputed",
                    captured_minor=payment.amount_minor,
                    amount_minor=payment.amount_minor,
                    ref="dp_1",
                )
            ],
        )
    await came(shop, asked.exchange.return_id)
    assert (await exchange(shop, asked.exchange.return_id)).why == "disputed"
    assert await shop.pieces("M") == (40, 0)
    assert not await shop.broken()


async def test_only_a_variant_of_the_same_product_and_only_one_s_own(shop: Wardrobe) -> None:
    order_id = await shop.bought("S")
    wish = returns.NewExchange(order_id=order_id, line=0, quantity=1, offer_id=shop.offers[0])
    with pytest.raises(returns.NotExchangeable):
        async with shop.db.transaction() as tx:
            await returns.ask_exchange(tx, wish)
    with pytest.raises(NotFound):
        await swap(shop, order_id, "M", person_id=uuid.uuid4())
    with pytest.raises(returns.NotSent):
        await swap(shop, order_id, "M", quantity=2)
    async with shop.db.reading() as tx:  # what was refused left no claim on the piece
        assert [r.quantity for r in await returns.returnable(tx, order_id)] == [1]
    with pytest.raises(orders.NoTender):
        await swap(shop, order_id, "L", provider="")
    async with shop.db.reading() as tx:
        assert await tx.value("select count(*) from returns.exchange") == 0


async def test_a_second_payment_places_the_order_no_second_time(
    shop: Wardrobe, worker: Worker
) -> None:
    """Half of the order is still to be sent, so it is placed when the difference is paid."""
    draft = shop.draft()
    draft.items = [orders.Item(shop.offer["S"], 1), orders.Item(shop.offers[0], 1)]
    bought = await shop.buying.buy(draft)
    async with shop.db.transaction() as tx:
        sight = await orders.order(tx, order_id=bought.order_id)
        [shirt] = [li.line for li in sight.lines if li.offer_id == shop.offer["S"]]
        await orders.deliver_parcels(tx, await orders.ship(tx, bought.order_id, [(shirt, 1)]))
    await swap(shop, bought.order_id, "L", line=shirt)
    async with shop.db.reading() as tx:
        told = "select count(*) from kernel.event where kind = 'orders.order_placed'"
        assert await tx.value(told) == 1
    assert not await shop.broken()


async def test_books_and_stock_close_over_random_returns_and_exchanges(
    shop: Wardrobe, worker: Worker, clock: SetClock, rng: random.Random
) -> None:
    """Whatever is exchanged, cancelled, half sent, late, or returned again."""
    sizes = ["S", "M", "L", "XS"]
    for _ in range(MANY):
        order_id = await shop.bought(rng.choice(sizes), rng.randint(1, 3))
        for _ in range(rng.randint(1, 2)):
            async with shop.db.reading() as tx:
                left = await returns.returnable(tx, order_id)
            if not left:
                break
            one = rng.choice(left)
            quantity = rng.randint(1, one.quantity)
            try:
                asked = await swap(
                    shop, order_id, rng.choice(sizes), line=one.line, quantity=quantity,
                    method=rng.choice(["tok_ok", "tok_ok", "tok_declined"]),
                    reason=rng.choice(["unwanted", "wrong"]),
                )  # fmt: skip
            except inventory.OutOfStock:
                continue
            return_id, fate = asked.exchange.return_id, rng.randint(0, 5)
            if (await exchange(shop, return_id)).state == "ended":
                continue
            if fate == 0:
                async with shop.db.transaction() as tx:
                    await returns.cancel(tx, [return_id])
                continue
            if fate == 1:
                clock.set(clock.now() + dt.timedelta(days=15))
                await worker.drain()
            came_in = rng.randint(1, quantity)
            await came(shop, return_id, [(one.line, came_in)])
            async with shop.db.reading() as tx:
                sight = await orders.order(tx, order_id=order_id)
            if any(li.open for li in sight.lines):
                await sent_new(shop, order_id)
            await graded(shop, return_id, rng.choice("AABC"), came_in)
    await worker.drain()
    assert not await shop.broken()
    async with shop.db.reading() as tx:
        kept = await tx.value(
            'select sum(secured_minor - refunded_minor)::bigint from orders."order"'
        )
    await closed(shop, worker, kept)
