"""What orders spend of budgets: reserved at the checkout, spent when placed, back with goods."""

from __future__ import annotations

import asyncio
import os
import random
import uuid
from collections.abc import Sequence
from typing import Any

import pytest

from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.jobs import Worker
from pinwheel.trade import budgets, orders, payments
from pinwheel.trade.budgets import NewBudget
from pinwheel.trade.orders import Buying, Checkout, Discount, Draft
from shop import PROMISES, Shop, open_shop

SOURCE = uuid.UUID(int=7)
CHECKOUTS = int(os.environ.get("PINWHEEL_CHECKOUTS", "120"))


class Off:
    """A stage that takes ``off_minor`` off the first line of each draft, paid by ``budget_id``."""

    def __init__(self, budget_id: uuid.UUID, off_minor: int) -> None:
        self.budget_id, self.off_minor = budget_id, off_minor

    async def load(self, tx: Tx, drafts: Sequence[Draft], placing: bool) -> Any:
        return None

    def decide(self, loaded: Any, draft: Draft) -> None:
        if self.off_minor:
            draft.take_off(
                Discount(
                    source="test",
                    source_id=SOURCE,
                    offer_id=draft.lines[0].offer_id,
                    amount_minor=self.off_minor,
                    budget_id=self.budget_id,
                    en="Spring price",
                    zh="春季特价",
                )
            )

    async def record(self, tx: Tx, loaded: Any, drafts: Sequence[Draft]) -> None:
        return None


class House:
    """A shop whose discounts come out of one budget."""

    def __init__(self, db: Database, shop: Shop, budget: uuid.UUID, off: Off) -> None:
        self.db, self.shop, self.budget, self.off = db, shop, budget, off

    async def figures(self) -> tuple[int, int, int]:
        async with self.db.reading() as tx:
            found = await budgets.budget(tx, self.budget)
        return found.available_minor, found.reserved_minor, found.spent_minor

    async def place(self, *items: tuple[int, int], **more: object) -> orders.Bought | Refusal:
        try:
            return await self.shop.buying.buy(self.shop.draft(*items, **more))
        except Refusal as refusal:
            return refusal

    async def whole(self) -> None:
        assert not await self.shop.broken()


async def open_house(
    db: Database,
    funded_minor: int = 1000,
    off_minor: int = 300,
    stock: list[dict[str, int]] | None = None,
) -> House:
    shop = await open_shop(db, stock=stock)
    async with db.transaction() as tx:
        [budget] = await budgets.open_budgets(tx, [NewBudget(name="Spring", currency="GBP")])
        assert isinstance(budget, uuid.UUID)
        await budgets.fund(tx, budget, funded_minor, "to begin with")
    off = Off(budget, off_minor)
    shop.buying = Buying(db, Checkout(off))
    return House(db, shop, budget, off)


@pytest.fixture(autouse=True)
def every_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shop.PROMISES", [*PROMISES, "pinwheel.trade.budgets"])


async def test_placed_is_spent_and_cancelled_comes_back(db: Database, worker: Worker) -> None:
    house = await open_house(db)
    placed = await house.place((0, 2))
    assert isinstance(placed, orders.Bought)
    assert await house.figures() == (700, 300, 0)
    await worker.drain()
    assert await house.figures() == (700, 0, 300)
    await house.whole()
    await db.attempt(lambda tx: orders.cancel(tx, placed.order_id, reason="changed my mind"))
    await worker.drain()
    assert await house.figures() == (1000, 0, 0)
    await house.whole()


async def test_cancelled_before_it_was_spent_spends_nothing(db: Database, worker: Worker) -> None:
    house = await open_house(db)
    placed = await house.place((0, 2))
    assert isinstance(placed, orders.Bought)
    await db.attempt(lambda tx: orders.cancel(tx, placed.order_id, reason="at once"))
    assert await house.figures() == (1000, 0, 0)
    await worker.drain()
    assert await house.figures() == (1000, 0, 0)
    await house.whole()


async def test_declined_gives_it_back_at_once(db: Database, worker: Worker) -> None:
    house = await open_house(db)
    await house.place((0, 1), method="tok_declined")
    await worker.drain()
    assert await house.figures() == (1000, 0, 0)
    await house.whole()


async def test_the_parts_that_come_back_sum_to_the_whole(db: Database, worker: Worker) -> None:
    """100 over three pieces: 33, 33, 34, in whatever order the jobs run."""
    house = await open_house(db, off_minor=100)
    placed = await house.place((0, 3))
    assert isinstance(placed, orders.Bought)
    left = []
    for _ in range(3):
        await db.attempt(
            lambda tx: orders.cancel_lines(tx, placed.order_id, [(0, 1)], reason="one less")
        )
        await worker.drain()
        left.append((await house.figures())[2])
        await house.whole()
    assert left == [67, 34, 0]


async def test_a_part_cancelled_before_the_rest_was_spent(db: Database, worker: Worker) -> None:
    house = await open_house(db, off_minor=100)
    placed = await house.place((0, 3))
    assert isinstance(placed, orders.Bought)
    await db.attempt(lambda tx: orders.cancel_lines(tx, placed.order_id, [(0, 2)], reason="less"))
    await worker.drain()
    assert await house.figures() == (966, 0, 34)
    await house.whole()


async def test_sent_before_it_was_spent_is_spent_all_the_same(db: Database, worker: Worker) -> None:
    house = await open_house(db)
    placed = await house.place((0, 2))
    assert isinstance(placed, orders.Bought)
    async with db.transaction() as tx:
        await orders.ship(tx, placed.order_id)
    await worker.drain()
    assert await house.figures() == (700, 0, 300)
    await house.whole()


async def test_what_is_returned_comes_back_by_its_share(db: Database, worker: Worker) -> None:
    house = await open_house(db, off_minor=100)
    placed = await house.place((0, 3))
    assert isinstance(placed, orders.Bought)
    await worker.drain()
    async with db.transaction() as tx:
        await orders.ship(tx, placed.order_id)
    for number, quantity in ((1, 1), (2, 2)):
        async with db.transaction() as tx:
            [answer] = await orders.take_back(
                tx,
                [
                    orders.TakenBack(
                        order_id=placed.order_id,
                        key=str(number),
                        parts=[orders.Back(0, quantity, 900 * quantity)],
                        reason="does not fit",
                    )
                ],
            )
            assert answer == 900 * quantity
        await worker.drain()
        assert (await house.figures())[2] == (67, 0)[number - 1]
    await house.whole()


async def test_used_up_changes_nothing_and_says_the_price_without_it(db: Database) -> None:
    house = await open_house(db, funded_minor=299)
    refusal = await house.place((0, 2))
    assert isinstance(refusal, orders.DiscountUsedUp)
    assert "GBP 20.00" in refusal.sentence("en") and "春季" not in refusal.sentence("en")
    assert await house.figures() == (299, 0, 0)
    assert await house.shop.stock(0) == (100, 0)
    house.off.off_minor = 0
    assert isinstance(await house.place((0, 2)), orders.Bought)
    await house.whole()


async def test_out_of_stock_gives_the_budget_back(db: Database) -> None:
    house = await open_house(db, stock=[{"MAIN": 1}, {"MAIN": 1}])
    answers = await asyncio.gather(*(house.place((0, 1)) for _ in range(3)))
    assert sum(isinstance(a, orders.Bought) for a in answers) == 1
    assert await house.figures() == (700, 300, 0)
    await house.whole()


async def test_an_unpaid_order_lets_go_at_its_deadline(
    db: Database, worker: Worker, clock: SetClock
) -> None:
    house = await open_house(db)
    placed = await house.place((0, 1), method="tok_challenge")
    assert isinstance(placed, orders.Bought) and placed.state == "pending_payment"
    assert await house.figures() == (700, 300, 0)
    clock.travel(seconds=orders.HOLD_SECONDS + 1)
    await worker.drain()
    assert await house.figures() == (1000, 0, 0)
    await house.whole()


@pytest.mark.parametrize("funded_minor", [10_000, 9_999])
async def test_parallel_checkouts_never_overspend(
    db: Database, worker: Worker, funded_minor: int
) -> None:
    """Each takes 300 off; some pay, some are declined, some are cancelled at once."""
    house = await open_house(db, funded_minor, stock=[{"MAIN": 10_000}] * 2)
    dice = random.Random(7)
    plans = [dice.choice(["tok_ok", "tok_ok", "tok_declined"]) for _ in range(CHECKOUTS)]

    async def buy(method: str) -> int:
        answer = await house.place((0, 1), method=method)
        return int(isinstance(answer, orders.Bought) and answer.state == "placed")

    placed = sum(await asyncio.gather(*(buy(m) for m in plans)))
    await worker.drain()
    available, reserved, spent = await house.figures()
    assert (available, reserved, spent) == (funded_minor - 300 * placed, 0, 300 * placed)
    assert available >= 0 and placed <= funded_minor // 300
    await house.whole()


async def test_an_order_without_budgets_asks_nothing(db: Database) -> None:
    house = await open_house(db, off_minor=0)
    counts = []
    for stages in ((), (), (house.off,)):
        async with db.transaction() as tx:  # the second is no dearer than the first
            await Checkout(*stages).place(tx, [house.shop.draft((0, 1))])
            counts.append(tx.statements)
    assert counts[1] == counts[2]


async def test_who_pays_late_gets_the_discount_only_while_its_budget_lasts(
    db: Database, worker: Worker, clock: SetClock
) -> None:
    house = await open_house(db, funded_minor=300)
    for rest_minor in (300, 0):  # in the first turn it is still there, in the second it is not
        placed = await house.place((0, 1), method="tok_challenge")
        assert isinstance(placed, orders.Bought)
        clock.travel(seconds=orders.HOLD_SECONDS + 1)
        await worker.drain()
        if not rest_minor:
            async with db.transaction() as tx:
                await budgets.fund(tx, house.budget, -300, "needed elsewhere")
        await pay_late(db, placed)
        await worker.drain()
        async with db.transaction() as tx:
            sight = await orders.order(tx, number=placed.number)
            assert sight.order.state == ("placed" if rest_minor else "cancelled")
            if rest_minor:
                await budgets.fund(tx, house.budget, 300, "once more")
        assert (await house.figures())[2] == 300
        await house.whole()


async def pay_late(db: Database, bought: orders.Bought) -> None:
    """The provider says that the money of an ended order has come after all."""
    async with db.transaction() as tx:
        [payment] = await payments.payments_of(tx, [bought.order_id])
        await payments.record(
            tx,
            [
                payments.Outcome(
                    payment_id=payment.id,
                    state="captured",
                    authorised_minor=payment.amount_minor,
                    captured_minor=payment.amount_minor,
                )
            ],
        )
