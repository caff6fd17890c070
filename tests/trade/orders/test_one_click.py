"""One-click orders: double taps, drift, challenges, limits, the undo, one parcel for several."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from pinwheel.ground import identity
from pinwheel.ground.identity.model import Proof
from pinwheel.kernel.caller import Caller
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import Refusal, Unauthenticated
from pinwheel.kernel.jobs import Worker
from pinwheel.trade import inventory, orders, payments, pricing
from shop import Shop, open_shop

HOME = identity.NewAddress(recipient_name="A", country="GB", city="Leeds", line1="1 High Street")
WORDING = "Order at once with my default address and payment."


@pytest.fixture
async def shop(db: Database) -> Shop:
    shop = await open_shop(db)
    db.given[orders.Buying] = shop.buying
    return shop


async def person(
    db: Database, email: str = "a@example.org", method: str = "tok_ok", *, on: bool = True
) -> Caller:
    """Somebody who is signed in, with an address, a stored method and the switch on."""
    async with db.transaction() as tx:
        found = await identity.register(tx, email, password_hash=None, language="en")
        proof = Proof(email, found.id, "code")
        await identity.sign_in(tx, proof, Caller(), f"token of {email}")
        await identity.add_address(tx, found.id, HOME)
        kept = await payments.save_method(
            tx, found.id, provider="sandbox", token=method, brand="Visa", last4="4242"
        )
        assert not isinstance(kept, Refusal)
        if on:
            await orders.switch_one_click(tx, found.id, True, market="GB", wording=WORDING)
    async with db.reading() as tx:
        [session] = await identity.sessions_of(tx, found.id)
    return Caller(kind="buyer", person_id=found.id, session_id=session.id)


def who(caller: Caller) -> uuid.UUID:
    assert caller.person_id is not None
    return caller.person_id


async def button(shop: Shop, caller: Caller, number: int = 0, **more: object) -> orders.Tap:
    """The tap a page offers: it carries the token of the quote that was shown."""
    async with shop.db.reading() as tx:
        quote = await orders.one_click_quote(tx, caller, shop.offers[number])
    how: dict[str, object] = {"key": "tap", "offer_id": shop.offers[number], "quote": quote.token}
    return orders.Tap(**(how | more))  # type: ignore[arg-type]


async def tapped(shop: Shop, caller: Caller, number: int = 0, **more: object) -> orders.Tapped:
    return await orders.tap_once(shop.db, caller, await button(shop, caller, number, **more))


async def test_one_tap_is_one_order_with_a_while_to_undo_it(
    shop: Shop, clock: SetClock, worker: Worker
) -> None:
    buyer = await person(shop.db)
    done = await tapped(shop, buyer)
    assert (done.state, done.total_minor, done.fresh) == ("placed", 1399, True)
    assert done.undo_until is not None and (done.undo_until - clock.now()).seconds == 120
    async with shop.db.transaction() as tx:
        with pytest.raises(orders.OrderNotReady):
            await orders.ship(tx, done.order_id)
    for _ in range(2):
        async with shop.db.transaction() as tx:
            undone = await orders.undo(tx, who(buyer), done.order_id)
        assert (undone.state, undone.refunded_minor) == ("cancelled", 1399)
    assert await shop.stock(0) == (100, 0)
    await worker.drain()
    assert not await shop.broken()


async def test_after_the_window_it_can_be_sent_and_not_undone(shop: Shop, clock: SetClock) -> None:
    buyer = await person(shop.db)
    done = await tapped(shop, buyer)
    clock.travel(seconds=121)
    with pytest.raises(orders.UndoOver):
        async with shop.db.transaction() as tx:
            await orders.undo(tx, who(buyer), done.order_id)
    async with shop.db.transaction() as tx:
        assert len(await orders.ship(tx, done.order_id)) == 1
    with pytest.raises(orders.OrderNotCancellable):
        async with shop.db.transaction() as tx:
            await orders.undo(tx, who(buyer), done.order_id)


async def test_the_undo_and_the_parcel_race_and_one_of_them_wins(
    shop: Shop, clock: SetClock
) -> None:
    buyer = await person(shop.db)
    done = await tapped(shop, buyer)
    clock.travel(seconds=120)

    async def undo() -> None:
        async with shop.db.transaction(now=clock.now().replace(microsecond=0)) as tx:
            await orders.cancel(tx, done.order_id, reason="undo", person_id=who(buyer))

    async def ship() -> None:
        async with shop.db.transaction() as tx:
            await orders.ship(tx, done.order_id)

    answers = await asyncio.gather(undo(), ship(), return_exceptions=True)
    assert sum(isinstance(a, Refusal) for a in answers) == 1
    assert not await shop.broken()


async def test_somebody_elses_order_is_not_undone(shop: Shop) -> None:
    buyer, other = await person(shop.db), await person(shop.db, "b@example.org")
    done = await tapped(shop, buyer)
    with pytest.raises(Refusal, match="no order"):
        async with shop.db.transaction() as tx:
            await orders.undo(tx, who(other), done.order_id)


@pytest.mark.parametrize("people", [25])
async def test_double_taps_make_one_order_each(db: Database, people: int) -> None:
    """Two processes, each tap sent to both at once, forty times a person: one order a tap."""
    shop = await open_shop(db, [1000], [{"MAIN": 1500, "EAST": 1500}])
    db.given[orders.Buying] = shop.buying
    async with db.transaction() as tx:
        await orders.set_one_click_terms(tx, "GB", orders.Terms(per_hour=40, join_seconds=0))
    buyers = [await person(db, f"p{n}@example.org") for n in range(people)]
    taps = [
        (buyer, await button(shop, buyer, key=f"tap {n}")) for n in range(40) for buyer in buyers
    ]
    answers = await asyncio.gather(
        *(orders.tap_once(db, buyer, one) for buyer, one in taps for _ in range(2))
    )
    made = {a.order_id for a in answers}
    assert len(made) == people * 40 == 1000
    assert all(a.order_id == b.order_id for a, b in zip(answers[::2], answers[1::2], strict=True))
    assert await shop.stock(0) == (3000, 1000)
    async with db.reading() as tx:
        assert await tx.value('select count(*) from orders."order"') == 1000
        assert await tx.value("select count(*) from payments.payment") == 1000
    assert not await shop.broken()


async def test_a_tap_that_reaches_two_houses_at_once_is_one_order(db: Database) -> None:
    """Each house has the tap alone in its batch: the one that comes second must find the order."""
    shop = await open_shop(db)
    houses = [shop.buying, *(orders.Buying(db, orders.Checkout()) for _ in range(3))]
    for number in range(20):
        drafts = [shop.draft((0, 1), scope="me", key=f"tap {number}") for _ in houses]
        answers = await asyncio.gather(
            *(house.buy(draft) for house, draft in zip(houses, drafts, strict=True))
        )
        assert len({a.order_id for a in answers}) == 1
    assert await shop.stock(0) == (100, 20)


async def test_price_or_stock_that_moved_is_shown_before_anything_is_bought(shop: Shop) -> None:
    buyer = await person(shop.db)
    tap = await button(shop, buyer)
    async with shop.db.transaction() as tx:
        await pricing.set_prices(
            tx, [pricing.NewPrice(offer_id=shop.offers[0], currency="GBP", price_minor=1100)]
        )
    with pytest.raises(orders.StaleQuote) as refused:
        await orders.tap_once(shop.db, buyer, tap)
    assert await shop.stock(0) == (100, 0)
    confirmed = orders.Tap(key=tap.key, offer_id=tap.offer_id, quote=refused.value.quote.token)
    assert (await orders.tap_once(shop.db, buyer, confirmed)).total_minor == 1499


async def test_a_tap_may_carry_the_total_it_showed_and_must_carry_something(shop: Shop) -> None:
    buyer = await person(shop.db)
    with pytest.raises(orders.StaleQuote):
        await orders.tap_once(shop.db, buyer, orders.Tap(key="a", offer_id=shop.offers[0]))
    wrong = orders.Tap(key="b", offer_id=shop.offers[0], total_minor=1398, currency="GBP")
    with pytest.raises(orders.StaleQuote):
        await orders.tap_once(shop.db, buyer, wrong)
    right = orders.Tap(key="c", offer_id=shop.offers[0], total_minor=1399, currency="GBP")
    assert (await orders.tap_once(shop.db, buyer, right)).state == "placed"


async def test_a_challenge_keeps_the_stock_until_its_deadline_and_then_gives_it_back(
    shop: Shop, clock: SetClock, worker: Worker
) -> None:
    buyer = await person(shop.db, method="tok_challenge")
    waiting = await tapped(shop, buyer)
    assert waiting.state == "pending_payment" and waiting.action_url
    assert waiting.undo_until is None and waiting.waits_until is not None
    clock.set(waiting.waits_until)
    clock.travel(seconds=-1)
    await worker.drain()
    assert await shop.stock(0) == (100, 1)
    clock.travel(seconds=61)
    await worker.drain()
    assert await shop.stock(0) == (100, 0)
    again = await orders.tap_once(
        shop.db, buyer, orders.Tap(key="tap", offer_id=shop.offers[0], quote="whatever")
    )
    assert (again.order_id, again.state, again.fresh) == (waiting.order_id, "cancelled", False)
    assert not await shop.broken()


async def test_declined_and_abandoned_taps_leave_no_drift(
    db: Database, clock: SetClock, worker: Worker
) -> None:
    shop = await open_shop(db, [1000], [{"MAIN": 60}])
    db.given[orders.Buying] = shop.buying
    # An order that joins a parcel would cost less than its button said.
    async with db.transaction() as tx:
        await orders.set_one_click_terms(tx, "GB", orders.Terms(join_seconds=0))
    methods = ("tok_declined", "tok_challenge", "tok_ok", "tok_timeout_declined")
    buyers = [await person(db, f"p{n}@example.org", methods[n % 4]) for n in range(12)]
    taps = [(b, await button(shop, b, key=f"tap {n}")) for n in range(5) for b in buyers]
    answers = await asyncio.gather(
        *(orders.tap_once(db, buyer, tap) for buyer, tap in taps), return_exceptions=True
    )
    paid = sum(isinstance(a, orders.Tapped) and a.state == "placed" for a in answers)
    for _ in range(40):
        clock.travel(minutes=1)
        await worker.drain()
    assert await shop.stock(0) == (60, paid)
    assert paid == 15
    assert not await shop.broken()


async def test_who_has_not_switched_it_on_or_signed_in_lately_orders_nothing(
    shop: Shop, clock: SetClock
) -> None:
    never = await person(shop.db, on=False)
    with pytest.raises(orders.OneClickOff):
        await orders.tap_once(shop.db, never, orders.Tap(key="a", offer_id=shop.offers[0]))
    buyer = await person(shop.db, "b@example.org")
    tap = await button(shop, buyer)
    with pytest.raises(orders.SignInAgain):  # a key of a program, or a session of nobody
        await orders.tap_once(
            shop.db, Caller(kind="program", person_id=buyer.person_id, key_id=uuid.uuid4()), tap
        )
    with pytest.raises(Unauthenticated):
        await orders.tap_once(shop.db, Caller(kind="guest", person_id=buyer.person_id), tap)
    clock.travel(days=31)
    with pytest.raises(orders.SignInAgain):
        await orders.tap_once(shop.db, buyer, tap)
    async with shop.db.transaction() as tx:
        await orders.switch_one_click(tx, who(buyer), False, market="GB", wording="")
    with pytest.raises(orders.OneClickOff):
        await orders.tap_once(shop.db, buyer, tap)
    assert await shop.stock(0) == (100, 0)


async def test_the_shops_and_the_persons_limits(shop: Shop, clock: SetClock) -> None:
    buyer = await person(shop.db)
    async with shop.db.transaction() as tx:
        await orders.set_one_click_terms(tx, "GB", orders.Terms(per_hour=3, join_seconds=0))
        await orders.switch_one_click(
            tx, who(buyer), True, market="GB", wording=WORDING, most_minor=1000
        )
    dear = orders.Tap(key="dear", offer_id=shop.offers[0], total_minor=1399, currency="GBP")
    with pytest.raises(orders.AboveLimit):
        await orders.tap_once(shop.db, buyer, dear)
    cheap = [await button(shop, buyer, 1, key=f"k{n}") for n in range(6)]
    answers = await asyncio.gather(
        *(orders.tap_once(shop.db, buyer, tap) for tap in cheap for _ in range(3)),
        return_exceptions=True,
    )
    # The dear tap counted as well: two of three were left.
    assert len({a.order_id for a in answers if isinstance(a, orders.Tapped)}) == 2
    assert {type(a) for a in answers} == {orders.Tapped, orders.TooManyTaps}
    clock.travel(hours=1, seconds=1)
    assert (await orders.tap_once(shop.db, buyer, cheap[-1])).state == "placed"


async def test_an_order_that_follows_closely_joins_the_parcel_and_pays_no_second_delivery(
    shop: Shop, clock: SetClock, worker: Worker
) -> None:
    buyer = await person(shop.db)
    first = await tapped(shop, buyer, 0, key="first")
    clock.travel(seconds=90)
    second = await tapped(shop, buyer, 1, key="second")
    assert (second.total_minor, second.travels_with) == (250, first.number)
    async with shop.db.reading() as tx:
        sight = await orders.order(tx, order_id=second.order_id)
        assert ("travel", -399) in [(r.step, r.amount_minor) for r in sight.order.reasons]
        assert await orders.together(tx, first.order_id) == sorted(
            [first.order_id, second.order_id]
        )
        # What the first waits for is the youngest's undo.
        leader = (await orders.order(tx, order_id=first.order_id)).order
        assert leader.held_until == sight.order.held_until
    with pytest.raises(orders.CarriesOthers):
        async with shop.db.transaction() as tx:
            await orders.undo(tx, who(buyer), first.order_id)
    with pytest.raises(orders.CarriesOthers):
        async with shop.db.transaction() as tx:
            await orders.cancel_lines(
                tx, first.order_id, [(0, 1)], reason="x", person_id=who(buyer)
            )
    async with shop.db.transaction() as tx:
        await orders.undo(tx, who(buyer), second.order_id)
        await orders.undo(tx, who(buyer), first.order_id)
    await worker.drain()
    assert await shop.stock(0) == await shop.stock(1) == (100, 0)
    assert not await shop.broken()


async def test_once_the_first_has_left_the_next_pays_its_own_delivery(
    shop: Shop, clock: SetClock
) -> None:
    buyer = await person(shop.db)
    first = await tapped(shop, buyer, 0, key="first")
    clock.travel(seconds=121)
    joining = await button(shop, buyer, 1, key="second")
    async with shop.db.transaction() as tx:
        await orders.ship(tx, first.order_id)
    with pytest.raises(orders.StaleQuote) as refused:  # the quote said it would travel along
        await orders.tap_once(shop.db, buyer, joining)
    assert refused.value.quote.total_minor == 250 + 399
    clock.travel(minutes=30)
    alone = await tapped(shop, buyer, 1, key="third")
    assert (alone.total_minor, alone.travels_with) == (649, None)


async def test_orders_to_other_addresses_or_of_others_do_not_join(
    shop: Shop, clock: SetClock
) -> None:
    buyer, other = await person(shop.db), await person(shop.db, "b@example.org")
    await tapped(shop, buyer, 0, key="first")
    assert (await tapped(shop, other, 1, key="theirs")).travels_with is None
    async with shop.db.transaction() as tx:
        new = identity.NewAddress(
            recipient_name="A", country="GB", city="York", line1="2 Low Street", is_default=True
        )
        await identity.add_address(tx, who(buyer), new)
    assert (await tapped(shop, buyer, 1, key="elsewhere")).travels_with is None


async def test_an_unpaid_order_leads_nobody(shop: Shop) -> None:
    buyer = await person(shop.db, method="tok_challenge")
    await tapped(shop, buyer, 0, key="first")
    assert (await tapped(shop, buyer, 1, key="second")).travels_with is None


async def test_the_last_piece_is_tapped_by_many(db: Database) -> None:
    shop = await open_shop(db, [1000], [{"MAIN": 1}])
    db.given[orders.Buying] = shop.buying
    buyers = [await person(db, f"p{n}@example.org") for n in range(8)]
    taps = [(buyer, await button(shop, buyer)) for buyer in buyers]
    answers = await asyncio.gather(
        *(orders.tap_once(db, buyer, tap) for buyer, tap in taps), return_exceptions=True
    )
    assert sum(isinstance(a, orders.Tapped) for a in answers) == 1
    assert sum(isinstance(a, inventory.OutOfStock) for a in answers) == 7


async def test_an_erased_person_has_agreed_to_nothing(shop: Shop) -> None:
    buyer = await person(shop.db)
    await tapped(shop, buyer)
    async with shop.db.transaction() as tx:
        await identity.erase_person(tx, who(buyer))
    async with shop.db.reading() as tx:
        assert await tx.value("select count(*) from orders.one_click_consent") == 0
        assert await tx.value("select count(*) from orders.one_click_tap") == 0
