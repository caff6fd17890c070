"""Trying before buying: the loan, the days, the charge, and who may not."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid

import pytest

from pinwheel.ground import identity
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.jobs import Worker
from pinwheel.trade import orders, payments, returns
from pinwheel.trade.orders import Claim
from shop import money
from wardrobe import Wardrobe, came, graded, open_wardrobe, swap

ASIDE = ("deposits:GBP", "return_advances:GBP")
KEPT = ("sales:own:GBP", "tax:GB:GBP", "delivery:GBP", "return_freight:GBP")


@pytest.fixture
async def shop(db: Database) -> Wardrobe:
    shop = await open_wardrobe(db)
    shop.buying = orders.Buying(db, orders.Checkout(after_tax=[returns.TrialStage()]))
    async with db.transaction() as tx:
        await returns.set_trial_rule(tx, returns.TrialRule(market="GB", days=7, most_minor=10_000))
    return shop


async def person(shop: Wardrobe, name: str = "a") -> uuid.UUID:
    async with shop.db.transaction() as tx:
        made = await identity.register(tx, f"{name}@example.org", password_hash=None, language="en")
    return made.id


async def ordered(shop: Wardrobe, who: uuid.UUID, quantity: int = 2, **more: object) -> uuid.UUID:
    draft = shop.draft(person_id=who, claims=[Claim("trial", uuid.UUID(int=0))], **more)  # type: ignore[arg-type]
    draft.items = [orders.Item(shop.offer["S"], quantity)]
    return (await shop.buying.buy(draft)).order_id


async def arrived(shop: Wardrobe, order_id: uuid.UUID) -> None:
    async with shop.db.transaction() as tx:
        await orders.deliver_parcels(tx, await orders.ship(tx, order_id))


async def tried(shop: Wardrobe, quantity: int = 2) -> uuid.UUID:
    order_id = await ordered(shop, await person(shop), quantity)
    await arrived(shop, order_id)
    return order_id


async def back(shop: Wardrobe, order_id: uuid.UUID, quantity: int = 1) -> uuid.UUID:
    async with shop.db.transaction() as tx:
        wish = returns.NewReturn(order_id=order_id, lines=[(0, quantity)], reason="unwanted")
        [ret] = await returns.request(tx, [wish])
    if isinstance(ret, Refusal):
        raise ret
    return ret.id


async def charged(shop: Wardrobe, kept_minor: int) -> None:
    books = await money(shop.db, *ASIDE, *KEPT, "clearing:sandbox:GBP")
    assert {books[code] for code in ASIDE} == {0}, books
    assert books["clearing:sandbox:GBP"] == kept_minor == sum(books[code] for code in KEPT)
    assert not await shop.broken()


async def test_nothing_is_taken_while_it_is_tried_and_the_kept_piece_at_the_end(
    shop: Wardrobe, worker: Worker, clock: SetClock
) -> None:
    order_id = await tried(shop)
    await worker.drain()
    assert (await money(shop.db, "clearing:sandbox:GBP"))["clearing:sandbox:GBP"] == 0
    assert not await shop.broken()
    return_id = await back(shop, order_id)
    await came(shop, return_id)
    assert (await graded(shop, return_id)).refund_minor == 0
    assert not await shop.broken()
    clock.set(clock.now() + dt.timedelta(days=7, seconds=-1))
    await worker.drain()
    assert (await money(shop.db, "clearing:sandbox:GBP"))["clearing:sandbox:GBP"] == 0
    clock.set(clock.now() + dt.timedelta(minutes=6))
    await worker.drain()
    await charged(shop, 2000)
    # What was kept may be returned like anything else, for money now.
    return_id = await back(shop, order_id)
    await came(shop, return_id)
    assert (await graded(shop, return_id)).refund_minor == 2000
    await worker.drain()
    await charged(shop, 0)


async def test_all_back_costs_nothing_and_the_hold_is_given_up(
    shop: Wardrobe, worker: Worker, clock: SetClock
) -> None:
    order_id = await tried(shop)
    return_id = await back(shop, order_id, 2)
    await came(shop, return_id)
    await graded(shop, return_id, quantity=2)
    clock.set(clock.now() + dt.timedelta(days=8))
    await worker.drain()
    await charged(shop, 0)
    async with shop.db.reading() as tx:
        [payment] = await payments.payments_of(tx, [order_id])
        assert payment.state == "voided"
    assert await shop.pieces("S") == (40, 0)


async def test_killed_at_each_step_and_run_twice_it_is_charged_once(
    shop: Wardrobe, worker: Worker, clock: SetClock
) -> None:
    order_id = await tried(shop, 1)
    clock.set(clock.now() + dt.timedelta(days=8))
    with pytest.raises(RuntimeError):
        async with shop.db.transaction() as tx:
            assert await returns.end_trials(tx) == 1
            raise RuntimeError("killed before the commit")
    async with shop.db.reading() as tx:
        assert (await returns.trials_of(tx, [order_id]))[order_id].state == "trying"

    async def end() -> int:
        async with shop.db.transaction() as tx:
            return await returns.end_trials(tx)

    assert sum(await asyncio.gather(*(end() for _ in range(4)))) == 1
    # Killed after the commit: the capture is written down, and is sent by whoever comes next.
    for _ in range(2):
        await worker.drain()
    assert await end() == 0
    await charged(shop, 2399)
    async with shop.db.reading() as tx:
        assert await tx.value("select count(*) from payments.instruction") == 1


async def test_who_sends_it_on_the_last_day_is_waited_for_and_who_does_not_pays(
    shop: Wardrobe, worker: Worker, clock: SetClock
) -> None:
    order_id = await tried(shop)
    clock.set(clock.now() + dt.timedelta(days=6, hours=23))
    return_id = await back(shop, order_id, 2)
    clock.set(clock.now() + dt.timedelta(days=3))
    await worker.drain()
    assert (await money(shop.db, "clearing:sandbox:GBP"))["clearing:sandbox:GBP"] == 0
    clock.set(clock.now() + dt.timedelta(days=12))  # the parcel never came
    for _ in range(2):
        await worker.drain()
        clock.set(clock.now() + dt.timedelta(minutes=11))
    await charged(shop, 4000)
    await came(shop, return_id)  # late after all: money back
    assert (await graded(shop, return_id, quantity=2)).refund_minor == 4000
    await worker.drain()
    await charged(shop, 0)


async def test_a_way_to_pay_that_can_not_do_it_later_is_refused_before_anything_is_sent(
    shop: Wardrobe, clock: SetClock, worker: Worker
) -> None:
    async with shop.db.transaction() as tx:
        await returns.set_trial_rule(tx, returns.TrialRule(market="GB", days=28, most_minor=10_000))
    who = await person(shop)
    with pytest.raises(returns.TrialNotByThisPayment) as refused:
        await ordered(shop, who)
    assert "30" in refused.value.sentence("en") and "30" in refused.value.sentence("zh-CN")
    assert await shop.pieces("S") == (40, 0)
    async with shop.db.transaction() as tx:
        await returns.set_trial_rule(tx, returns.TrialRule(market="GB", days=7))
    order_id = await ordered(shop, who)
    clock.set(clock.now() + dt.timedelta(days=24))  # packed far too late
    with pytest.raises(returns.TrialNotByThisPayment):
        await arrived(shop, order_id)
    async with shop.db.reading() as tx:
        assert (await orders.order(tx, order_id=order_id)).shipments == []
    async with shop.db.transaction() as tx:
        await orders.cancel(tx, order_id, reason="too late")
    await worker.drain()
    assert not await shop.broken()


async def test_who_may_not(shop: Wardrobe) -> None:
    who = await person(shop)
    first = await ordered(shop, who)
    with pytest.raises(returns.TrialNotOffered):
        await ordered(shop, who)  # one at a time
    async with shop.db.transaction() as tx:
        await orders.cancel(tx, first, reason="changed")
    with pytest.raises(returns.TrialTooDear):
        await ordered(shop, who, 20)
    answers = await asyncio.gather(*(ordered(shop, who, 1) for _ in range(3)),
                                   return_exceptions=True)  # fmt: skip
    assert sum(isinstance(a, uuid.UUID) for a in answers) == 1, answers
    async with shop.db.transaction() as tx:
        await returns.set_trial_rule(tx, returns.TrialRule(market="GB", is_open=False))
    with pytest.raises(returns.NotForTrial):
        await ordered(shop, await person(shop, "b"))


async def test_what_is_tried_is_not_exchanged_nor_refunded_ahead(shop: Wardrobe) -> None:
    order_id = await tried(shop)
    with pytest.raises(returns.ExchangeNotOffered):
        await swap(shop, order_id, "M")
