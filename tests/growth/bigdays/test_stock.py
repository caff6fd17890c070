"""The stock of a deal: put aside when it is published, never sold to anybody else, and everybody's
again when the deal ends, whoever races, dies or pays late."""

from __future__ import annotations

import asyncio
import uuid
from typing import Any

import pytest

from growth.bigdays.calendar import HOUR, OPENS, Shop, open_shop, person
from pinwheel.growth import bigdays
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.jobs import Worker
from pinwheel.trade import inventory, orders, payments, promotions
from pinwheel.trade.inventory import Place, StockCount
from pinwheel.trade.promotions.actions import tell
from shop import OWN

DEAL = "GBP 999"  # 6.00 and the delivery


@pytest.fixture
async def shop(db: Database) -> Shop:
    return await open_shop(db)


async def aside(shop: Shop) -> tuple[int, int]:
    """(put aside, not ordered of it)."""
    async with shop.db.reading() as tx:
        found = await inventory.earmarks(tx, [shop.deal_id])
    return sum(e.pieces for e in found), sum(e.free for e in found)


async def free(shop: Shop) -> int:
    """What anybody may buy."""
    async with shop.db.reading() as tx:
        found = await inventory.positions(tx, [shop.variants[0]])
    return sum(p.atp for p in found)


async def start(shop: Shop) -> None:
    async with shop.db.transaction(actor="operator") as tx:
        await bigdays.start(tx, shop.event_id)


async def stop(shop: Shop) -> None:
    async def verb(tx: Tx) -> None:
        await bigdays.stop(tx, shop.event_id, "the supplier failed")

    await shop.db.attempt(verb, actor="operator")


async def sold_at_the_deal(shop: Shop) -> int:
    async with shop.db.reading() as tx:
        found: int = await tx.connection.fetchval(
            "select coalesce(sum(u.pieces), 0) from promotions.use u"
            " join orders.\"order\" o on o.id = u.order_id and o.state <> 'cancelled'"
        )
    return found


async def test_publishing_puts_the_pieces_aside_from_everybody_else(shop: Shop) -> None:
    await shop.day(pieces=40)
    assert (await aside(shop), await free(shop)) == ((40, 40), 60)
    with pytest.raises(inventory.OutOfStock) as refused:
        await shop.buying.buy(shop.draft((0, 61)))
    assert refused.value.facts["left"] == 60
    await shop.buying.buy(shop.draft((0, 60)))
    assert not await shop.broken()


async def test_publishing_more_than_there_is_says_how_many_and_where(shop: Shop) -> None:
    async with shop.db.transaction() as tx:
        here = Place(OWN, "EAST", shop.variants[0])
        await inventory.adjust(tx, [StockCount(here, -38)], document_id=tx.new_id(), reason="x")
    await shop.day(pieces=63, started=False)
    with pytest.raises(inventory.TooFewToPutAside) as refused:
        await start(shop)
    assert "62 are free (MAIN 50, EAST 12)" in refused.value.sentence("en")
    assert (await aside(shop), await free(shop)) == ((0, 0), 62)
    async with shop.db.transaction(actor="operator") as tx:
        await bigdays.set_pieces(tx, shop.event_id, shop.deal_id, 62)
    await start(shop)
    assert (await aside(shop), await free(shop)) == ((62, 62), 0)
    assert not await shop.broken()


async def test_published_twice_at_once_it_is_put_aside_once(shop: Shop) -> None:
    await shop.day(pieces=60, started=False)

    async def verb(tx: Tx) -> None:
        await bigdays.start(tx, shop.event_id)

    await asyncio.gather(*(shop.db.attempt(verb, actor="operator") for _ in range(6)))
    assert (await aside(shop), await free(shop)) == ((60, 60), 40)
    assert not await shop.broken()


async def test_two_events_never_promise_the_same_pieces(shop: Shop) -> None:
    await shop.day(pieces=60, started=False)
    first = shop.event_id
    await shop.day(pieces=60, started=False)

    async def verb(event_id: uuid.UUID) -> bigdays.BigDay:
        async def publish(tx: Tx) -> bigdays.BigDay:
            return await bigdays.start(tx, event_id)

        return await shop.db.attempt(publish, actor="operator")

    answers = await asyncio.gather(verb(first), verb(shop.event_id), return_exceptions=True)
    assert {type(a) for a in answers} == {bigdays.BigDay, inventory.TooFewToPutAside}, answers
    assert await free(shop) == 40
    assert not await shop.broken()


async def test_two_hundred_and_two_hundred_on_a_hundred_pieces_of_which_forty_are_aside(
    shop: Shop, clock: SetClock, worker: Worker
) -> None:
    await shop.day(pieces=40)
    clock.set(OPENS)
    rush: list[Any] = []
    for n in range(200):
        rush.append(shop.draft((0, 1)))
        rush.append(shop.draft((0, 1), person_id=person(n), expected=DEAL))
    answers = await asyncio.gather(*(shop.buying.buy(d) for d in rush), return_exceptions=True)
    normal, deal = answers[::2], answers[1::2]
    assert sum(isinstance(a, orders.Bought) for a in deal) == 40, {type(a) for a in deal}
    assert sum(isinstance(a, orders.Bought) for a in normal) == 60, {type(a) for a in normal}
    assert {type(a) for a in normal} == {orders.Bought, inventory.OutOfStock}
    assert {type(a) for a in deal} <= {
        orders.Bought,
        orders.StaleQuote,
        promotions.PromotionUsedUp,
        inventory.OutOfStock,  # the deal was still open when asked, and nothing is left of either
    }
    assert all(a.facts["left"] == 0 for a in deal if isinstance(a, inventory.OutOfStock))
    await worker.drain()
    assert (await aside(shop), await free(shop)) == ((40, 0), 0)
    assert await shop.stock(0) == (60, 60)  # what is aside is counted apart
    async with shop.db.reading() as tx:
        refunds = await tx.connection.fetchval(
            "select coalesce(sum(refunded_minor), 0) from payments.payment"
        )
    assert refunds == 0
    assert not await shop.broken()


async def test_what_nobody_took_is_everybodys_when_the_deal_ends(
    shop: Shop, clock: SetClock, worker: Worker
) -> None:
    await shop.day(pieces=40)
    clock.set(OPENS)
    for n in range(3):
        await shop.buying.buy(shop.draft((0, 1), person_id=person(n), expected=DEAL))
    clock.set(OPENS + 24 * HOUR)
    await worker.drain()
    assert (await aside(shop), await free(shop)) == ((3, 0), 97)
    assert not await shop.broken()


async def test_stopped_with_orders_that_wait_for_their_money(
    shop: Shop, clock: SetClock, worker: Worker
) -> None:
    """What an open order has stays with it; cancelled later, it is everybody's at once."""
    await shop.day(pieces=5)
    clock.set(OPENS)
    pending = await shop.buying.buy(
        shop.draft((0, 1), person_id=person(1), expected=DEAL, method="tok_challenge")
    )
    paid = await shop.buying.buy(shop.draft((0, 1), person_id=person(2), expected=DEAL))
    await stop(shop)
    assert (await aside(shop), await free(shop)) == ((2, 0), 98)
    async with shop.db.transaction() as tx:
        await orders.cancel(tx, paid.order_id, reason="changed my mind")
    assert (await aside(shop), await free(shop)) == ((1, 0), 99)
    clock.travel(hours=1)
    await worker.drain()
    assert pending.state == "pending_payment"
    assert (await aside(shop), await free(shop)) == ((0, 0), 100)
    assert not await shop.broken()


async def test_stopped_while_orders_are_in_flight(shop: Shop, clock: SetClock) -> None:
    await shop.day(pieces=40)
    clock.set(OPENS)
    rush = [shop.draft((0, 1), person_id=person(n), expected=DEAL) for n in range(60)]
    *answers, _ = await asyncio.gather(
        *(shop.buying.buy(d) for d in rush), stop(shop), return_exceptions=True
    )
    bought = sum(isinstance(a, orders.Bought) for a in answers)
    assert all(
        isinstance(a, orders.Bought | orders.StaleQuote | promotions.PromotionUsedUp)
        for a in answers
    ), {type(a) for a in answers}
    assert (await aside(shop), await free(shop)) == ((bought, 0), 100 - bought)
    assert await sold_at_the_deal(shop) == bought
    assert not await shop.broken()


async def test_ended_by_the_clock_while_orders_are_in_flight(
    shop: Shop, clock: SetClock, worker: Worker
) -> None:
    await shop.day(pieces=40)
    clock.set(OPENS + 24 * HOUR - HOUR / 3600)
    rush = [shop.draft((0, 1), person_id=person(n), expected=DEAL) for n in range(60)]

    async def end() -> None:
        clock.set(OPENS + 24 * HOUR)
        await worker.drain()

    *answers, _ = await asyncio.gather(
        *(shop.buying.buy(d) for d in rush), end(), return_exceptions=True
    )
    await worker.drain()
    bought = sum(isinstance(a, orders.Bought) for a in answers)
    assert (await aside(shop), await free(shop)) == ((bought, 0), 100 - bought)
    assert not await shop.broken()


class Killed(Exception):
    pass


async def test_killed_between_the_end_and_the_giving_back(
    shop: Shop, clock: SetClock, worker: Worker
) -> None:
    """Both happen or neither: the next one finds it undone, and does it."""
    await shop.day(pieces=40)
    clock.set(OPENS + 24 * HOUR)
    with pytest.raises(Killed):
        async with shop.db.transaction() as tx:
            await tell(tx)
            raise Killed
    assert (await aside(shop), await free(shop)) == ((40, 40), 60)
    await worker.drain()
    assert (await aside(shop), await free(shop)) == ((0, 0), 100)
    assert not await shop.broken()


async def test_a_piece_that_comes_back_stays_the_deals_and_goes_to_who_waits(
    shop: Shop, clock: SetClock, worker: Worker
) -> None:
    await shop.day(pieces=1)
    clock.set(OPENS)
    first = await shop.buying.buy(shop.draft((0, 1), person_id=person(1), expected=DEAL))
    await shop.buying.buy(shop.draft((0, 50)))
    await shop.buying.buy(shop.draft((0, 49)))
    assert await free(shop) == 0
    await shop.wait(person(2))
    async with shop.db.transaction() as tx:
        await orders.cancel(tx, first.order_id, reason="changed my mind")
    assert (await aside(shop), await free(shop)) == ((1, 1), 0)
    assert not await shop.broken()
    with pytest.raises(inventory.OutOfStock):
        await shop.buying.buy(shop.draft((0, 1), person_id=person(9)))
    second = await shop.buying.buy(shop.draft((0, 1), person_id=person(2), expected=DEAL))
    assert second.state == "placed"
    await worker.drain()
    async with shop.db.transaction() as tx:
        await orders.ship(tx, second.order_id)
    assert (await aside(shop), await free(shop)) == ((1, 0), 0)
    assert not await shop.broken()


async def test_an_order_of_more_than_the_deal_takes_the_rest_from_everybodys(
    shop: Shop, clock: SetClock
) -> None:
    """And what is cancelled of it: the deal has its pieces back, its price its uses."""
    await shop.day(pieces=3, per_person=2)
    clock.set(OPENS)
    bought = await shop.buying.buy(shop.draft((0, 5), person_id=person(1)))
    assert (await aside(shop), await free(shop)) == ((3, 1), 94)
    async with shop.db.reading() as tx:
        lines = (await orders.order(tx, order_id=bought.order_id)).lines
    assert [line.quantity for line in lines] == [2, 3]
    async with shop.db.transaction() as tx:
        parts = [(0, 1), (1, 3)]
        await orders.cancel_lines(tx, bought.order_id, parts, reason="too many")
    assert (await aside(shop), await shop.left()) == ((3, 2), 2)
    assert not await shop.broken()
    async with shop.db.transaction() as tx:
        await orders.cancel_lines(tx, bought.order_id, [(0, 1)], reason="too many")
    assert (await aside(shop), await shop.left()) == ((3, 3), 3)
    assert not await shop.broken()


async def test_a_refused_payment_gives_the_piece_back_to_the_deal(
    shop: Shop, clock: SetClock
) -> None:
    await shop.day(pieces=1)
    clock.set(OPENS)
    for method in ("tok_declined", "tok_ok"):
        draft = shop.draft((0, 1), person_id=person(1), expected=DEAL, method=method)
        if method == "tok_declined":
            with pytest.raises(orders.PaymentDeclined):
                await shop.buying.buy(draft)
            assert (await aside(shop), await free(shop)) == ((1, 1), 99)
        else:
            await shop.buying.buy(draft)
    assert (await aside(shop), await shop.left()) == ((1, 0), 0)
    assert not await shop.broken()


async def test_a_balance_is_bought_out_of_what_is_aside(
    shop: Shop, clock: SetClock, worker: Worker
) -> None:
    await shop.day(pieces=2, deposit=100)
    kept = await shop.keep(person(1))
    assert await aside(shop) == (2, 2)
    await shop.buying.buy(shop.draft((0, 49)))
    await shop.buying.buy(shop.draft((0, 49)))
    clock.set(OPENS + HOUR)
    bought = await shop.buying.buy(shop.balance(kept.deposit_id, person(1)))
    await worker.drain()
    assert (await aside(shop), await free(shop)) == ((2, 1), 0)
    async with shop.db.transaction() as tx:
        await orders.ship(tx, bought.order_id)
    await worker.drain()
    assert not await shop.broken()


async def test_a_late_payer_of_a_deal(shop: Shop, clock: SetClock, worker: Worker) -> None:
    """The piece went on to somebody else: no more are sold at the price than were promised."""
    await shop.day(pieces=1)
    clock.set(OPENS)
    late = await shop.buying.buy(
        shop.draft((0, 1), person_id=person(1), expected=DEAL, method="tok_challenge")
    )
    clock.travel(minutes=16)
    await worker.drain()
    second = await shop.buying.buy(shop.draft((0, 1), person_id=person(2), expected=DEAL))
    async with shop.db.transaction() as tx:
        [payment] = await payments.payments_of(tx, [late.order_id])
        paid = payments.Outcome(
            payment_id=payment.id, state="captured", authorised_minor=999, captured_minor=999
        )
        await payments.record(tx, [paid])
    await worker.drain()
    async with shop.db.reading() as tx:
        order = (await orders.order(tx, order_id=late.order_id)).order
    assert (second.state, order.state, order.refunded_minor) == ("placed", "cancelled", 999)
    assert await sold_at_the_deal(shop) == 1
    assert not await shop.broken()
