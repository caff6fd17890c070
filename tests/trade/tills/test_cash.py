"""Cash at a counter: waiting, taking it once, coming too late, giving it back, counting."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from pinwheel.ground import identity
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import Forbidden, Invalid
from pinwheel.kernel.jobs import Worker
from pinwheel.trade import giftcards, orders, payments
from pinwheel.trade.orders import Bought, Buying, Checkout, Tender
from pinwheel.trade.payments import (
    CashAlreadyTaken,
    CashAmountDiffers,
    CashCodeUnknown,
    CashDue,
    CashNotHere,
    CashOrderEnded,
    NothingOwed,
    Receipt,
    TillClosed,
    TillMoved,
    TillOtherCurrency,
    TillTooLow,
)
from shop import Shop, money, open_shop

WHOLE = 1000 + 399
BY_CASH = Tender(payments.CASH, "counter")


@pytest.fixture
async def shop(db: Database) -> Shop:
    shop = await open_shop(db, [1000], [{"MAIN": 3}])
    shop.buying = Buying(db, Checkout(after_tax=(giftcards.GiftCardStage(),)))
    return shop


async def opened(
    db: Database, name: str = "Front", currency: str = "GBP", **more: int
) -> uuid.UUID:
    async with db.transaction(actor="operator") as tx:
        return await payments.open_till(tx, name, currency, **more)


async def person(db: Database) -> uuid.UUID:
    async with db.transaction() as tx:
        return (await identity.register(tx, "a@example.org", password_hash=None, language="en")).id


async def buy(
    shop: Shop, who: uuid.UUID | None = None, *tenders: Tender, pieces: int = 1
) -> Bought:
    return await shop.buying.buy(
        shop.draft((0, pieces), person_id=who, tenders=list(tenders or (BY_CASH,)))
    )


async def due(db: Database, order_id: uuid.UUID) -> CashDue:
    async with db.reading() as tx:
        return await payments.due_of_order(tx, order_id)


async def take(
    db: Database, till_id: uuid.UUID, code: str, amount: int = WHOLE, key: uuid.UUID | None = None
) -> Receipt:
    return await db.attempt(
        lambda tx: payments.take_cash(tx, code, till_id, amount, key=key or uuid.uuid4()),
        actor="clerk",
    )


async def inside(db: Database, till_id: uuid.UUID) -> int:
    async with db.reading() as tx:
        return (await payments.till_of(tx, till_id)).inside_minor


async def state(db: Database, order_id: uuid.UUID) -> str:
    async with db.reading() as tx:
        return (await orders.order(tx, order_id=order_id)).order.state


async def test_an_order_waits_with_its_stock_and_is_placed_by_the_cash(
    shop: Shop, clock: SetClock, worker: Worker
) -> None:
    till_id = await opened(shop.db)
    bought = await buy(shop)
    assert (bought.state, bought.action_url) == ("pending_payment", None)
    clock.travel(hours=47)
    await worker.drain()
    assert await state(shop.db, bought.order_id) == "pending_payment"
    assert await shop.stock(0) == (3, 1)
    assert not await shop.broken()
    waiting = await due(shop.db, bought.order_id)
    key = uuid.uuid4()
    typed = payments.shown_code(waiting.code)
    receipt = await take(shop.db, till_id, typed, key=key)
    assert (receipt.number, receipt.amount_minor, receipt.made_by) == (1, WHOLE, "clerk")
    assert await take(shop.db, till_id, typed, key=key) == receipt, "the form was sent twice"
    with pytest.raises(CashAlreadyTaken) as refused:
        await take(shop.db, till_id, typed)
    assert refused.value.facts["receipt"] == 1
    assert await state(shop.db, bought.order_id) == "placed"
    assert await inside(shop.db, till_id) == WHOLE
    clock.travel(days=3)
    await worker.drain()
    assert await state(shop.db, bought.order_id) == "placed"
    assert not await shop.broken()


async def test_ten_clerks_take_it_once(shop: Shop) -> None:
    first, second = await opened(shop.db), await opened(shop.db, "Back")
    bought = await buy(shop)
    code = (await due(shop.db, bought.order_id)).code
    answers = await asyncio.gather(
        *(take(shop.db, (first, second)[n % 2], code) for n in range(10)), return_exceptions=True
    )
    assert sum(isinstance(a, Receipt) for a in answers) == 1, answers
    assert sum(isinstance(a, CashAlreadyTaken) for a in answers) == 9
    assert await inside(shop.db, first) + await inside(shop.db, second) == WHOLE
    assert not await shop.broken()


async def test_what_does_not_fit_is_refused_and_books_nothing(shop: Shop) -> None:
    with pytest.raises(CashNotHere):
        await buy(shop)
    assert await shop.stock(0) == (3, 0)
    till_id = await opened(shop.db)
    dollars = await opened(shop.db, "Dollars", "USD")
    code = (await due(shop.db, (await buy(shop)).order_id)).code
    for amount in (WHOLE - 1, WHOLE + 1):
        with pytest.raises(CashAmountDiffers):
            await take(shop.db, till_id, code, amount)
    with pytest.raises(TillOtherCurrency):
        await take(shop.db, dollars, code)
    for wrong in ("", "123", code[:-1] + str((int(code[-1]) + 1) % 10)):
        with pytest.raises(CashCodeUnknown):
            await take(shop.db, till_id, wrong)
    assert await inside(shop.db, till_id) == 0
    assert not await shop.broken()


async def test_past_the_deadline_the_stock_goes_back(
    shop: Shop, clock: SetClock, worker: Worker
) -> None:
    await opened(shop.db, hours=2)
    bought = await buy(shop)
    clock.travel(hours=2, seconds=-1)
    await worker.drain()
    assert await state(shop.db, bought.order_id) == "pending_payment"
    clock.travel(seconds=30)  # the sweep's period
    await worker.drain()
    assert await state(shop.db, bought.order_id) == "cancelled"
    assert await shop.stock(0) == (3, 0)
    assert not await shop.broken()


async def test_late_cash_takes_the_goods_again_or_is_refused_at_the_counter(
    shop: Shop, clock: SetClock, worker: Worker
) -> None:
    till_id = await opened(shop.db)
    lucky, late = await buy(shop), await buy(shop, pieces=2)
    clock.travel(hours=49)
    await worker.drain()
    assert await state(shop.db, lucky.order_id) == "cancelled"
    await take(shop.db, till_id, (await due(shop.db, lucky.order_id)).code)
    assert await state(shop.db, lucky.order_id) == "placed"
    other = await shop.buying.buy(shop.draft((0, 1)))  # somebody else takes one of the two left
    assert other.state == "placed"
    with pytest.raises(CashOrderEnded) as refused:
        await take(shop.db, till_id, (await due(shop.db, late.order_id)).code, 2399)
    assert "it was not paid in time" in refused.value.sentence("en")
    assert await inside(shop.db, till_id) == WHOLE, "the refused cash is in no book"
    assert await shop.db.pool.fetchval("select count(*) from payments.till_receipt") == 1
    assert await shop.stock(0) == (3, 2)
    await worker.drain()
    assert not await shop.broken()


async def test_cash_for_an_order_that_its_buyer_called_off_is_refused(
    shop: Shop, worker: Worker
) -> None:
    till_id = await opened(shop.db)
    bought = await buy(shop)
    async with shop.db.transaction() as tx:
        await orders.cancel(tx, bought.order_id, reason="changed my mind")
    code = (await due(shop.db, bought.order_id)).code
    with pytest.raises(CashOrderEnded):
        await take(shop.db, till_id, code)
    await worker.drain()
    with pytest.raises(CashOrderEnded):
        await take(shop.db, till_id, code)
    assert await shop.stock(0) == (3, 0)
    assert not await shop.broken()


async def test_a_refund_waits_at_the_counter_and_is_handed_out_once(
    shop: Shop, worker: Worker
) -> None:
    till_id = await opened(shop.db)
    bought = await buy(shop)
    code = (await due(shop.db, bought.order_id)).code
    await take(shop.db, till_id, code)
    key = uuid.uuid4()

    async def pay_out(amount: int, key: uuid.UUID) -> Receipt:
        return await shop.db.attempt(
            lambda tx: payments.pay_out_cash(tx, code, till_id, amount, key=key), actor="clerk"
        )

    with pytest.raises(NothingOwed):
        await pay_out(WHOLE, key)
    async with shop.db.transaction() as tx:
        await orders.cancel(tx, bought.order_id, reason="x")
    await worker.drain()
    assert (await due(shop.db, bought.order_id)).owed_minor == WHOLE
    answers = await asyncio.gather(
        *(pay_out(WHOLE, uuid.uuid4()) for _ in range(5)), pay_out(WHOLE, key),
        return_exceptions=True,
    )  # fmt: skip
    assert sum(isinstance(a, Receipt) for a in answers) == 1, answers
    assert await inside(shop.db, till_id) == 0
    assert not await shop.broken()


async def test_a_till_does_not_hand_out_what_it_has_not(shop: Shop, worker: Worker) -> None:
    first, empty = await opened(shop.db), await opened(shop.db, "Empty", float_minor=WHOLE - 1)
    bought = await buy(shop)
    code = (await due(shop.db, bought.order_id)).code
    await take(shop.db, first, code)
    async with shop.db.transaction() as tx:
        await orders.cancel(tx, bought.order_id, reason="x")
    await worker.drain()
    async with shop.db.transaction() as tx:
        with pytest.raises(TillTooLow):
            await payments.pay_out_cash(tx, code, empty, WHOLE, key=uuid.uuid4())
    assert await inside(shop.db, empty) == WHOLE - 1


async def test_a_buyer_turns_owed_cash_into_store_credit(shop: Shop, worker: Worker) -> None:
    till_id, who = await opened(shop.db), await person(shop.db)
    bought = await buy(shop, who)
    await take(shop.db, till_id, (await due(shop.db, bought.order_id)).code)
    async with shop.db.transaction() as tx:
        await orders.cancel(tx, bought.order_id, reason="x")
    await worker.drain()
    async with shop.db.transaction() as tx:
        with pytest.raises(Forbidden):
            await payments.owed_to_credit(tx, uuid.uuid4(), bought.order_id)
        assert await payments.owed_to_credit(tx, who, bought.order_id) == WHOLE
        assert await payments.owed_to_credit(tx, who, bought.order_id) in (0, WHOLE)
    credit = payments.store_credit(who, "GBP").code
    assert await money(shop.db, credit) == {credit: WHOLE}
    assert not await shop.broken()


async def test_a_gift_card_and_cash_pay_together_and_part_ways_when_nobody_comes(
    shop: Shop, clock: SetClock, worker: Worker
) -> None:
    await opened(shop.db)
    who = await person(shop.db)
    async with shop.db.transaction() as tx:
        _, [card] = await payments.make_gift_cards(tx, 1, 500, "GBP", market="GB", reason="prize")
        await payments.keep_gift_card(tx, who, card.code)
    bought = await buy(shop, who, Tender(payments.GIFT_CARD, str(card.id)), BY_CASH)
    assert bought.state == "pending_payment"
    assert (await due(shop.db, bought.order_id)).amount_minor == WHOLE - 500
    account = payments.gift_card(card.id, "GBP").code
    assert await money(shop.db, account) == {account: 0}
    clock.travel(hours=49)
    await worker.drain()
    await worker.drain()
    assert await state(shop.db, bought.order_id) == "cancelled"
    assert await money(shop.db, account) == {account: 500}
    assert not await shop.broken()


async def test_a_count_books_the_difference_with_its_reason(shop: Shop) -> None:
    till_id = await opened(shop.db, float_minor=10_000)
    bought = await buy(shop)

    async def count(counted: int, **more: object) -> payments.TillCount:
        how: dict[str, object] = {"seen_minor": 10_000 + WHOLE} | more
        async with shop.db.transaction(actor="clerk") as tx:
            return await payments.count_till(tx, till_id, counted, **how)  # type: ignore[arg-type]

    with pytest.raises(TillMoved):
        await count(10_000)
    await take(shop.db, till_id, (await due(shop.db, bought.order_id)).code)
    with pytest.raises(Invalid):
        await count(11_000)
    with pytest.raises(Invalid):
        await count(11_000, reason="x", banked_minor=11_001)
    made = await count(11_000, reason="a wrong change", banked_minor=1_000)
    assert (made.expected_minor, made.counted_minor) == (10_000 + WHOLE, 11_000)
    assert await inside(shop.db, till_id) == 10_000
    assert await money(shop.db, "till_difference:GBP", "bank:GBP") == {
        "till_difference:GBP": WHOLE - 1_000,
        "bank:GBP": -9_000,
    }
    with pytest.raises(TillClosed):
        await count(10_000, seen_minor=10_000)
    with pytest.raises(CashNotHere):
        await buy(shop)
    assert await opened(shop.db) == till_id, "the same till is opened again"
    assert not await shop.broken()


async def test_a_crash_before_the_counter_was_asked_leaves_an_order_that_waits(
    shop: Shop, clock: SetClock, worker: Worker
) -> None:
    till_id = await opened(shop.db)
    draft = shop.draft((0, 1), tenders=[BY_CASH])
    async with shop.db.transaction() as tx:
        await shop.buying.checkout.place(tx, [draft])
    for _ in range(4):
        clock.travel(minutes=40)
        await worker.drain()
    assert await state(shop.db, draft.id) == "pending_payment"
    await take(shop.db, till_id, (await due(shop.db, draft.id)).code)
    assert await state(shop.db, draft.id) == "placed"
