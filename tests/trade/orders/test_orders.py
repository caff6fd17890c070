"""An order from quote to refund, and every way it can go wrong on the road."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pinwheel.ground import identity
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import KeyReused, Refusal
from pinwheel.kernel.jobs import Worker
from pinwheel.trade import inventory, orders, payments, pricing
from shop import Shop, money, open_shop

DEPOSITS, SALES, TAX, DELIVERY = "deposits:GBP", "sales:own:GBP", "tax:GB:GBP", "delivery:GBP"


@pytest.fixture
async def shop(db: Database) -> Shop:
    return await open_shop(db)


async def test_a_quote_takes_nothing_and_says_why(shop: Shop) -> None:
    async with shop.db.reading() as tx:
        [quote] = await shop.buying.checkout.quote(tx, [shop.draft((0, 2), (1, 1))])
        assert tx.statements <= 6
    assert isinstance(quote, orders.Quote)
    assert quote.total_minor == 2000 + 250 + 399
    assert quote.tax_minor == 333 + 42 + 67  # 20 % within each line and the delivery
    assert [r.step for r in quote.reasons] == ["delivery", "tax"]
    assert await shop.stock(0) == (100, 0)


async def test_an_order_is_paid_shipped_delivered_and_every_penny_is_somewhere(
    shop: Shop, worker: Worker
) -> None:
    bought = await shop.buying.buy(shop.draft((0, 2), (1, 1)))
    assert bought.state == "placed"
    assert await shop.stock(0) == (100, 2)
    assert await money(shop.db, DEPOSITS, SALES) == {DEPOSITS: 2649, SALES: 0}
    async with shop.db.transaction() as tx:
        [parcel] = await orders.ship(tx, bought.order_id, tracking="X1")
    async with shop.db.transaction() as tx:
        await orders.deliver(tx, parcel)
        await orders.deliver(tx, parcel)
        sight = await orders.order(tx, number=bought.number)
    assert sight.order.state == "delivered"
    assert await shop.stock(0) == (98, 0)
    assert await money(shop.db, DEPOSITS, SALES, TAX, DELIVERY) == {
        DEPOSITS: 0,
        SALES: 2250 - 375,
        TAX: 442,
        DELIVERY: 399 - 67,
    }
    await worker.drain()
    assert not await shop.broken()


async def test_a_repeat_finds_its_order_and_another_input_is_refused(shop: Shop) -> None:
    def tap(quantity: int = 1) -> orders.Draft:
        return shop.draft((0, quantity), scope="me", key="tap-1")

    first, *repeats = await asyncio.gather(*(shop.buying.buy(tap()) for _ in range(8)))
    assert {r.order_id for r in repeats} == {first.order_id}
    assert (await shop.buying.buy(tap())).fresh is False
    with pytest.raises(KeyReused):
        await shop.buying.buy(tap(2))
    assert await shop.stock(0) == (100, 1)


async def test_the_last_units_are_sold_once(db: Database) -> None:
    shop = await open_shop(db, [500], [{"MAIN": 30, "EAST": 20}])
    answers = await asyncio.gather(
        *(shop.buying.buy(shop.draft((0, 1))) for _ in range(200)), return_exceptions=True
    )
    sold = [a for a in answers if isinstance(a, orders.Bought)]
    refused = [a for a in answers if isinstance(a, inventory.OutOfStock)]
    assert (len(sold), len(refused)) == (50, 150)
    assert await shop.stock(0) == (50, 50)
    # Nobody was charged who was not served.
    async with db.reading() as tx:
        assert await tx.value("select count(*) from payments.payment") == 50
    assert not await shop.broken()


async def test_two_houses_race_for_the_same_units(db: Database) -> None:
    """Two processes have their own batches: the ledger's lock decides, and the loser sources
    again."""
    shop = await open_shop(db, [500], [{"MAIN": 15, "EAST": 15}])
    other = orders.Buying(db, orders.Checkout())
    answers = await asyncio.gather(
        *((shop.buying if n % 2 else other).buy(shop.draft((0, 1))) for n in range(60)),
        return_exceptions=True,
    )
    assert sum(isinstance(a, orders.Bought) for a in answers) == 30
    assert all(isinstance(a, orders.Bought | inventory.OutOfStock) for a in answers)
    assert not await shop.broken()


class Meanwhile:
    """A stage at the end of the row: somebody else buys between what a house saw and what it
    takes."""

    def __init__(self, shop: Shop, pieces: int) -> None:
        self.shop, self.pieces = shop, pieces

    async def load(self, tx: Tx, drafts: Sequence[orders.Draft], placing: bool) -> None:
        if placing and self.pieces:
            quantity, self.pieces = self.pieces, 0
            await self.shop.buying.buy(self.shop.draft((0, quantity)))

    def decide(self, loaded: None, draft: orders.Draft) -> None: ...

    async def record(self, tx: Tx, loaded: None, drafts: Sequence[orders.Draft]) -> None: ...


@pytest.mark.parametrize(("pieces", "is_served"), [(3, True), (5, True), (6, False)])
async def test_what_was_bought_meanwhile_is_sourced_elsewhere_or_refused(
    db: Database, pieces: int, is_served: bool
) -> None:
    shop = await open_shop(db, [500], [{"MAIN": 3, "EAST": 4}])
    house = orders.Buying(db, orders.Checkout())
    house.checkout.stages = (*house.checkout.stages, Meanwhile(shop, pieces))
    try:
        bought = await house.buy(shop.draft((0, 2)))
    except inventory.OutOfStock:
        assert not is_served
        assert await shop.stock(0) == (7, pieces)
    else:
        assert is_served
        assert await shop.stock(0) == (7, pieces + 2)
        async with db.transaction() as tx:
            assert await orders.ship(tx, bought.order_id)
    assert not await shop.broken()


async def test_two_lines_that_share_one_item_are_checked_together(db: Database) -> None:
    shop = await open_shop(db, [500], [{"MAIN": 3}])
    shop.offers.append(shop.offers[0])
    with pytest.raises(inventory.OutOfStock):
        await shop.buying.buy(shop.draft((0, 2), (1, 2)))
    assert await shop.stock(0) == (3, 0)


async def test_an_order_that_no_node_has_alone_is_split_and_its_parts_are_the_whole(
    db: Database,
) -> None:
    shop = await open_shop(db, [333], [{"MAIN": 3, "EAST": 4}])
    bought = await shop.buying.buy(shop.draft((0, 7)))
    async with db.transaction() as tx:
        sight = await orders.order(tx, order_id=bought.order_id)
        assert sorted((li.node, li.quantity) for li in sight.lines) == [("EAST", 4), ("MAIN", 3)]
        assert sum(li.total_minor for li in sight.lines) == 7 * 333
        assert len(await orders.ship(tx, bought.order_id)) == 2
    assert not await shop.broken()


async def test_a_stale_quote_is_refused_with_the_new_one(shop: Shop) -> None:
    async with shop.db.reading() as tx:
        [quote] = await shop.buying.checkout.quote(tx, [shop.draft((0, 1))])
    assert isinstance(quote, orders.Quote)
    async with shop.db.transaction() as tx:
        await pricing.set_prices(
            tx, [pricing.NewPrice(offer_id=shop.offers[0], currency="GBP", price_minor=1100)]
        )
    with pytest.raises(orders.StaleQuote) as refused:
        await shop.buying.buy(shop.draft((0, 1), expected=quote.token))
    assert refused.value.quote.total_minor == quote.total_minor + 100
    assert await shop.stock(0) == (100, 0)
    again = shop.draft((0, 1), expected=refused.value.quote.token)
    assert (await shop.buying.buy(again)).state == "placed"


async def test_a_declined_payment_gives_the_stock_back_at_once(shop: Shop) -> None:
    with pytest.raises(orders.PaymentDeclined):
        await shop.buying.buy(shop.draft((0, 1), method="tok_declined"))
    assert await shop.stock(0) == (100, 0)
    assert await money(shop.db, DEPOSITS) == {DEPOSITS: 0}
    assert not await shop.broken()


async def test_a_refused_draft_leaves_its_neighbours(shop: Shop) -> None:
    good, empty, unknown, many, no_way = await asyncio.gather(
        shop.buying.buy(shop.draft((0, 1))),
        shop.buying.buy(shop.draft()),
        shop.buying.buy(shop.draft((0, 1), market="MOON")),
        shop.buying.buy(shop.draft((0, 10**7))),
        shop.buying.buy(shop.draft((0, 1), delivery="teleport")),
        return_exceptions=True,
    )
    assert isinstance(good, orders.Bought)
    assert all(isinstance(r, Refusal) for r in (empty, unknown, many, no_way))
    assert await shop.stock(0) == (100, 1)


async def test_an_unpaid_order_ends_with_its_reservation_and_a_late_payment_revives_it(
    shop: Shop, clock: SetClock, worker: Worker
) -> None:
    bought = await shop.buying.buy(shop.draft((0, 1), method="tok_challenge"))
    assert bought.state == "pending_payment" and bought.action_url
    assert await shop.stock(0) == (100, 1)
    clock.travel(minutes=16)
    await worker.drain()
    assert await shop.stock(0) == (100, 0)
    [payment_id] = await _payments(shop, bought.order_id)
    async with shop.db.transaction() as tx:
        await payments.record(
            tx,
            [
                payments.Outcome(
                    payment_id=payment_id,
                    state="captured",
                    authorised_minor=1399,
                    captured_minor=1399,
                )
            ],
        )
    async with shop.db.reading() as tx:
        assert (await orders.order(tx, order_id=bought.order_id)).order.state == "placed"
    assert await shop.stock(0) == (100, 1)


async def test_a_late_payment_for_what_is_gone_goes_back_by_itself(
    db: Database, clock: SetClock, worker: Worker
) -> None:
    shop = await open_shop(db, [1000], [{"MAIN": 1}])
    late = await shop.buying.buy(shop.draft((0, 1), method="tok_challenge"))
    clock.travel(minutes=16)
    await worker.drain()
    assert (await shop.buying.buy(shop.draft((0, 1)))).state == "placed"
    [payment_id] = await _payments(shop, late.order_id)
    async with db.transaction() as tx:
        await payments.record(
            tx,
            [
                payments.Outcome(
                    payment_id=payment_id,
                    state="captured",
                    authorised_minor=1399,
                    captured_minor=1399,
                )
            ],
        )
    async with db.reading() as tx:
        order = (await orders.order(tx, order_id=late.order_id)).order
    assert (order.state, order.refunded_minor) == ("cancelled", 1399)


async def _payments(shop: Shop, order_id: uuid.UUID) -> list[uuid.UUID]:
    async with shop.db.reading() as tx:
        return await tx.values("select id from payments.payment where order_id = $1", order_id)


async def test_cancelling_gives_stock_and_money_back_once(shop: Shop, worker: Worker) -> None:
    bought = await shop.buying.buy(shop.draft((0, 2)))
    for _ in range(2):
        async with shop.db.transaction() as tx:
            order = await orders.cancel(tx, bought.order_id, reason="changed my mind")
        assert order.state == "cancelled" and order.refunded_minor == 2399
    await worker.drain()
    assert await shop.stock(0) == (100, 0)
    assert await money(shop.db, DEPOSITS, "clearing:sandbox:GBP") == {
        DEPOSITS: 0,
        "clearing:sandbox:GBP": 0,
    }
    async with shop.db.transaction() as tx:
        with pytest.raises(orders.OrderNotReady):
            await orders.ship(tx, bought.order_id)
    assert not await shop.broken()


async def test_a_part_is_cancelled_a_part_is_shipped_and_shares_sum(
    db: Database, worker: Worker
) -> None:
    shop = await open_shop(db, [333], [{"MAIN": 10}])
    bought = await shop.buying.buy(shop.draft((0, 7)))
    async with db.transaction() as tx:
        await orders.ship(tx, bought.order_id, [(0, 3)])
        assert await orders.cancel_lines(tx, bought.order_id, [(0, 2)], reason="short") == 666
        with pytest.raises(orders.NothingToShip):
            await orders.ship(tx, bought.order_id, [(0, 3)])
        await orders.ship(tx, bought.order_id)
    await worker.drain()
    assert await shop.stock(0) == (5, 0)
    assert (await money(db, DEPOSITS))[DEPOSITS] == 0
    assert not await shop.broken()


async def test_the_undo_window_holds_the_parcel_back(shop: Shop, clock: SetClock) -> None:
    bought = await shop.buying.buy(shop.draft((0, 1), undo_seconds=120))
    async with shop.db.transaction() as tx:
        with pytest.raises(orders.OrderNotReady):
            await orders.ship(tx, bought.order_id)
    clock.travel(seconds=121)
    async with shop.db.transaction() as tx:
        await orders.ship(tx, bought.order_id)


async def test_a_failed_node_sends_its_lines_elsewhere(db: Database, worker: Worker) -> None:
    shop = await open_shop(db, [500], [{"MAIN": 5, "EAST": 3}])
    first = await shop.buying.buy(shop.draft((0, 2)))
    second = await shop.buying.buy(shop.draft((0, 2)))
    async with db.transaction() as tx:
        before = {li.node for li in (await orders.order(tx, order_id=first.order_id)).lines}
        assert before == {"MAIN"}
        await inventory.set_node_open(tx, "MAIN", False)
    await worker.drain()
    async with db.reading() as tx:
        nodes = [
            (await orders.order(tx, order_id=b.order_id)).lines[0].node for b in (first, second)
        ]
        stuck = await tx.value(
            "select count(*) from kernel.event where kind = 'orders.line_unsourced'"
        )
    assert sorted(nodes) == ["EAST", "MAIN"] and stuck == 1
    assert not await shop.broken()


@pytest.mark.parametrize("n", [1, 60])
async def test_statements_do_not_grow_with_the_batch(shop: Shop, n: int) -> None:
    await shop.buying.buy(shop.draft((0, 1), (1, 1)))  # opens what is opened once
    drafts = [shop.draft((i % 2, 1), scope="s", key=f"k{i}") for i in range(n)]
    async with shop.db.transaction() as tx:
        placed = await shop.buying.checkout.place(tx, drafts)
        assert tx.statements <= 12
    asked = [p for one in placed for p in one.payments]  # type: ignore[union-attr]
    outcomes = await payments.charge(shop.db, asked)
    async with shop.db.transaction() as tx:
        await payments.record(tx, outcomes)
    assert tx.statements <= 10  # the tenth asks whether one of them pays a deposit


@given(
    amount=st.integers(0, 10**12),
    cuts=st.lists(st.integers(1, 50), min_size=1, max_size=20),
)
def test_shares_sum_to_the_whole_however_it_is_cut(amount: int, cuts: list[int]) -> None:
    whole, before, total = sum(cuts), 0, 0
    for cut in cuts:
        part = orders.share(amount, whole, before, cut)
        assert 0 <= part <= -(-amount * cut // whole)
        total += part
        before += cut
    assert total == amount


async def test_an_erased_person_leaves_the_books_as_they_are(shop: Shop) -> None:
    person = uuid.uuid4()
    sealed = shop.db.vault.seal("a@example.invalid", "orders.contact")
    bought = await shop.buying.buy(
        shop.draft((0, 1), person_id=person, contact=sealed, ship_to=None)
    )
    async with shop.db.transaction() as tx:
        [copy] = await orders.export_orders(tx, person)
        tx.emit(identity.PersonErased(person_id=person))
    assert copy["contact"] == "a@example.invalid"
    async with shop.db.reading() as tx:
        order = (await orders.order(tx, order_id=bought.order_id)).order
    assert order.contact is None and order.total_minor == 1399
    assert not await shop.broken()
