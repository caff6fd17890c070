"""Deposits: who keeps a piece, until when, and what becomes of the money whoever is late."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from growth.bigdays.calendar import HOUR, OPENS, Shop, open_shop, person
from pinwheel.growth import bigdays
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.jobs import Worker
from pinwheel.trade import inventory, orders, payments, promotions
from shop import money

FORFEITED = "bigday:forfeited:GBP"


@pytest.fixture
async def shop(db: Database) -> Shop:
    return await open_shop(db)


async def back(shop: Shop, deposit_id: uuid.UUID) -> int:
    """What of the deposit's payment was refunded."""
    async with shop.db.reading() as tx:
        return sum(p.refunded_minor for p in await payments.payments_of(tx, [deposit_id]))


async def credit(shop: Shop, who: uuid.UUID) -> int:
    code = payments.store_credit(who, "GBP").code
    return (await money(shop.db, code))[code]


async def test_a_deposit_keeps_a_piece_and_its_balance_buys_it(
    shop: Shop, clock: SetClock, worker: Worker
) -> None:
    await shop.day(pieces=2, deposit=100)
    kept = await shop.keep(person(1))
    assert (kept.state, kept.deposit_minor, await shop.left()) == ("held", 100, 1)
    with pytest.raises(bigdays.DepositExists):
        await shop.keep(person(1))
    assert not await shop.broken()
    for at in (OPENS, OPENS + HOUR - HOUR / 3600, OPENS + 3 * HOUR):
        clock.set(at)
        with pytest.raises(bigdays.BalanceNotNow):
            await shop.buying.buy(shop.balance(kept.deposit_id, person(1)))
    clock.set(OPENS + 3 * HOUR - HOUR / 3600)
    bought = await shop.buying.buy(shop.balance(kept.deposit_id, person(1)))
    await worker.drain()
    async with shop.db.reading() as tx:
        paid = {p.provider: p.captured_minor
                for p in await payments.payments_of(tx, [bought.order_id])}  # fmt: skip
    assert paid == {"sandbox": bought.total_minor - 100, "store_credit": 100}
    assert bought.total_minor == 600 + 399
    assert ((await shop.deposit(kept.deposit_id)).state, await shop.left()) == ("paid", 1)
    clock.travel(hours=1)
    await worker.drain()
    assert (await shop.deposit(kept.deposit_id)).state == "paid"
    assert not await shop.broken()


async def test_nobody_else_pays_with_it(shop: Shop, clock: SetClock) -> None:
    await shop.day(deposit=100)
    kept = await shop.keep(person(1))
    clock.set(OPENS + HOUR)
    with pytest.raises(Exception, match="no deposit"):
        await shop.buying.buy(shop.balance(kept.deposit_id, person(2)))
    with pytest.raises(bigdays.OneForDeposit):
        claims = [orders.Claim(bigdays.PRESALE, kept.deposit_id)]
        await shop.buying.buy(shop.draft((0, 2), person_id=person(1), claims=claims))
    assert not await shop.broken()


async def test_two_orders_at_once_have_one_deposit(
    shop: Shop, clock: SetClock, worker: Worker
) -> None:
    await shop.day(deposit=100)
    kept = await shop.keep(person(1))
    clock.set(OPENS + HOUR)
    answers = await asyncio.gather(
        *(shop.buying.buy(shop.balance(kept.deposit_id, person(1))) for _ in range(5)),
        return_exceptions=True,
    )
    assert sum(isinstance(a, orders.Bought) for a in answers) == 1, answers
    assert {type(a) for a in answers} == {orders.Bought, bigdays.BalanceUnderWay}
    await worker.drain()
    assert await credit(shop, person(1)) == 0
    assert not await shop.broken()


async def test_more_deposits_than_pieces_are_refused(shop: Shop) -> None:
    await shop.day(pieces=3, deposit=100)
    answers = await asyncio.gather(
        *(shop.keep(person(n)) for n in range(12)), return_exceptions=True
    )
    assert sum(isinstance(a, bigdays.Kept) for a in answers) == 3, answers
    assert sum(isinstance(a, bigdays.AllKept) for a in answers) == 9
    assert not await shop.broken()


async def test_until_the_balance_is_due_it_is_given_back(
    shop: Shop, clock: SetClock, worker: Worker
) -> None:
    await shop.day(pieces=1, deposit=100)
    kept = await shop.keep(person(1))
    clock.set(OPENS)
    await shop.wait(person(2))
    clock.set(OPENS + HOUR - HOUR / 3600)
    async with shop.db.transaction() as tx:
        await bigdays.cancel(tx, kept.deposit_id, person(1))
    await worker.drain()
    assert await back(shop, kept.deposit_id) == 100
    async with shop.db.reading() as tx:
        assert (await promotions.places(tx, person(2), [shop.deal_id]))[
            shop.deal_id
        ].state == "called"
    assert not await shop.broken()


async def test_from_then_on_it_is_not(shop: Shop, clock: SetClock) -> None:
    await shop.day(pieces=1, deposit=100)
    kept = await shop.keep(person(1))
    clock.set(OPENS + HOUR)
    with pytest.raises(bigdays.DepositFixed):
        async with shop.db.transaction() as tx:
            await bigdays.cancel(tx, kept.deposit_id, person(1))


@pytest.mark.parametrize(
    ("policy", "state", "refunded", "kept_minor"),
    [("until_balance", "forfeited", 0, 100), ("refundable", "returned", 100, 0)],
)
async def test_a_balance_that_is_not_paid_ends_by_itself_and_the_piece_goes_on(
    shop: Shop,
    clock: SetClock,
    worker: Worker,
    policy: str,
    state: str,
    refunded: int,
    kept_minor: int,
) -> None:
    await shop.day(pieces=1, deposit=100, deposit_policy=policy)
    kept = await shop.keep(person(1))
    clock.set(OPENS + HOUR)
    await shop.wait(person(2))
    await shop.wait(person(3))
    clock.set(OPENS + 3 * HOUR - HOUR / 3600)
    await worker.drain()
    assert (await shop.deposit(kept.deposit_id)).state == "held"
    clock.set(OPENS + 3 * HOUR + HOUR / 60)
    await worker.drain()
    assert (await shop.deposit(kept.deposit_id)).state == state
    assert await back(shop, kept.deposit_id) == refunded
    assert (await money(shop.db, FORFEITED))[FORFEITED] == kept_minor
    bought = await shop.buying.buy(shop.draft((0, 1), person_id=person(2)))
    assert bought.total_minor == 600 + 399
    assert not await shop.broken()


async def test_what_we_can_not_sell_is_given_back_whatever_the_policy(
    shop: Shop, clock: SetClock, worker: Worker
) -> None:
    await shop.day(pieces=1, deposit=100)
    kept = await shop.keep(person(1))
    async with shop.db.transaction() as tx:  # the houses burn down meanwhile
        for node in ("MAIN", "EAST"):
            await inventory.set_node_open(tx, node, False)
    clock.set(OPENS + 4 * HOUR)
    await worker.drain()
    assert (await shop.deposit(kept.deposit_id)).state == "returned"
    assert await back(shop, kept.deposit_id) == 100
    assert not await shop.broken()


async def test_a_stopped_event_gives_everything_back(
    shop: Shop, clock: SetClock, worker: Worker
) -> None:
    await shop.day(pieces=2, deposit=100)
    kept = await shop.keep(person(1))
    async with shop.db.transaction(actor="operator") as tx:
        await bigdays.stop(tx, shop.event_id, "the supplier failed")
    clock.travel(minutes=1)
    await worker.drain()
    assert (await shop.deposit(kept.deposit_id)).state == "returned"
    assert await back(shop, kept.deposit_id) == 100
    assert not await shop.broken()


async def test_a_declined_balance_leaves_the_deposit_as_it_was(
    shop: Shop, clock: SetClock, worker: Worker
) -> None:
    await shop.day(deposit=100)
    kept = await shop.keep(person(1))
    clock.set(OPENS + HOUR)
    with pytest.raises(orders.PaymentDeclined):
        await shop.buying.buy(shop.balance(kept.deposit_id, person(1), method="tok_declined"))
    assert await credit(shop, person(1)) == 0
    assert (await shop.deposit(kept.deposit_id)).order_id is None
    assert not await shop.broken()
    await shop.buying.buy(shop.balance(kept.deposit_id, person(1)))
    await worker.drain()
    assert (await shop.deposit(kept.deposit_id)).state == "paid"
    assert not await shop.broken()


async def test_an_order_that_is_refused_after_the_deposit_was_lent_gives_it_back(
    shop: Shop, clock: SetClock
) -> None:
    await shop.day(deposit=100, pieces=2)
    kept = await shop.keep(person(1))
    clock.set(OPENS + HOUR)
    with pytest.raises(payments.ProviderUnknown):
        await shop.buying.buy(
            shop.balance(kept.deposit_id, person(1), tenders=[orders.Tender("nobody", "x")])
        )
    async with shop.db.transaction() as tx:
        for node in ("MAIN", "EAST"):
            await inventory.set_node_open(tx, node, False)
    with pytest.raises(inventory.OutOfStock):
        await shop.buying.buy(shop.balance(kept.deposit_id, person(1)))
    assert await credit(shop, person(1)) == 0
    assert (await shop.deposit(kept.deposit_id)).order_id is None
    assert not await shop.broken()


async def test_a_balance_that_is_confirmed_too_late_goes_back(
    shop: Shop, clock: SetClock, worker: Worker
) -> None:
    """The order ended unpaid, the piece went on: the late money is refunded, all of it."""
    await shop.day(pieces=1, deposit=100)
    kept = await shop.keep(person(1))
    clock.set(OPENS + 3 * HOUR - HOUR / 60)
    pending = await shop.buying.buy(
        shop.balance(kept.deposit_id, person(1), method="tok_challenge")
    )
    assert pending.state == "pending_payment"
    clock.set(OPENS + 3 * HOUR + HOUR / 60)
    await worker.drain()
    assert (await shop.deposit(kept.deposit_id)).state == "held"  # it may still be paid
    for _ in range(8):
        clock.travel(minutes=10)
        await worker.drain()
    found = await shop.deposit(kept.deposit_id)
    assert (found.state, await credit(shop, person(1))) == ("forfeited", 0)
    async with shop.db.reading() as tx:
        paid = await payments.payments_of(tx, [pending.order_id])
    assert sum(p.captured_minor - p.refunded_minor for p in paid) == 0
    assert not await shop.broken()


async def test_a_deposit_that_is_paid_too_late_goes_back(
    shop: Shop, clock: SetClock, worker: Worker
) -> None:
    await shop.day(pieces=1, deposit=100)
    kept = await shop.keep(person(1), method="tok_challenge")
    assert (kept.state, await shop.left()) == ("pending", 0)
    for _ in range(8):
        clock.travel(minutes=10)
        await worker.drain()
    assert (await shop.deposit(kept.deposit_id)).state == "unpaid"
    assert await shop.left() == 1
    again = await shop.keep(person(2))
    async with shop.db.reading() as tx:
        [late] = await payments.payments_of(tx, [kept.deposit_id])
    assert late.captured_minor == late.refunded_minor
    assert again.state == "held"
    assert not await shop.broken()


async def test_a_cancelled_order_gives_all_back_to_where_it_came_from(
    shop: Shop, clock: SetClock, worker: Worker
) -> None:
    await shop.day(pieces=1, deposit=100)
    kept = await shop.keep(person(1))
    clock.set(OPENS + HOUR)
    await shop.wait(person(2))
    bought = await shop.buying.buy(shop.balance(kept.deposit_id, person(1)))
    await worker.drain()
    async with shop.db.transaction() as tx:
        await orders.cancel(tx, bought.order_id, reason="changed my mind")
    await worker.drain()
    assert (await shop.deposit(kept.deposit_id)).state == "returned"
    assert await back(shop, kept.deposit_id) == 100
    assert await credit(shop, person(1)) == 0
    async with shop.db.reading() as tx:
        place = (await promotions.places(tx, person(2), [shop.deal_id]))[shop.deal_id]
    assert place.state == "called"
    assert not await shop.broken()


async def test_orders_without_a_deposit_cost_no_statement_of_deposits(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[uuid.UUID] = []

    async def note(_: object, ids: list[uuid.UUID]) -> None:
        asked.extend(ids)

    monkeypatch.setattr("pinwheel.growth.bigdays.presale.note_secured", note)
    bought = await shop.buying.buy(shop.draft((0, 1)))
    assert (bought.state, asked) == ("placed", [])
    await shop.day(deposit=100)
    kept = await shop.keep(person(1))
    assert asked == [kept.deposit_id]
