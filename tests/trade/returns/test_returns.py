"""Returns: the race for the same piece, every deadline, the last penny, and where pieces end up."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid

import pytest

from pinwheel.ground import identity
from pinwheel.kernel import audit
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import NotFound, Refusal
from pinwheel.kernel.jobs import Worker
from pinwheel.trade import catalogue, inventory, marketplace, orders, payments, pricing, returns
from pinwheel.trade.returns import Graded, Grading, NewReturn, Receipt, Return
from pinwheel.trade.returns.model import Why
from shop import PROMISES, Shop, money, open_shop

DEPOSITS, SALES, TAX = "deposits:GBP", "sales:own:GBP", "tax:GB:GBP"
DELIVERY, CLEARING = "delivery:GBP", "clearing:sandbox:GBP"
ADVANCES, RECEIVABLE = "return_advances:GBP", "return_receivable:GBP"


class ThreeForTwo:
    """A stage of a higher floor: every third piece of a line is free."""

    async def load(self, tx: object, drafts: object, placing: bool) -> None:
        return None

    def decide(self, loaded: object, draft: orders.Draft) -> None:
        for line in draft.lines:
            line.discount_minor = line.quantity // 3 * line.unit_price_minor

    async def record(self, tx: object, loaded: object, drafts: object) -> None:
        return None


@pytest.fixture
async def shop(db: Database) -> Shop:
    return await open_shop(db)


async def sent(
    shop: Shop, *items: tuple[int, int], arrived: bool = True, **more: object
) -> uuid.UUID:
    """An order that was bought, sent and has arrived."""
    bought = await shop.buying.buy(shop.draft(*items, **more))  # type: ignore[arg-type]
    async with shop.db.transaction() as tx:
        parcels = await orders.ship(tx, bought.order_id)
        if arrived:
            await orders.deliver_parcels(tx, parcels)
    return bought.order_id


async def ask(
    shop: Shop, order_id: uuid.UUID, *lines: tuple[int, int], why: Why = "unwanted",
    person_id: uuid.UUID | None = None, note: str = "",
) -> Return:  # fmt: skip
    async with shop.db.transaction() as tx:
        wish = NewReturn(order_id=order_id, lines=lines, reason=why, person_id=person_id, note=note)
        [answer] = await returns.request(tx, [wish])
        return done(answer)


def done(answer: Return | Refusal) -> Return:
    if isinstance(answer, Refusal):
        raise answer
    return answer


async def receive(shop: Shop, *ids: uuid.UUID, node: str = "MAIN", lines: object = None) -> None:
    async with shop.db.transaction() as tx:
        receipts = [Receipt(return_id=i, node=node, lines=lines) for i in ids]  # type: ignore[arg-type]
        for answer in await returns.receive(tx, receipts):
            done(answer)


async def grade(
    shop: Shop, return_id: uuid.UUID, *parts: tuple[int, str, int], **more: int
) -> Return:
    async with shop.db.transaction() as tx:
        lines = [Graded(line, g, n, {"complete": True}) for line, g, n in parts]  # type: ignore[arg-type]
        [answer] = await returns.grade_and_refund(
            tx,
            [Grading(return_id=return_id, lines=lines, **more)],  # type: ignore[arg-type]
        )
        return done(answer)


async def through(shop: Shop, order_id: uuid.UUID, *parts: tuple[int, str, int]) -> Return:
    """Asked, received and graded."""
    counted: dict[int, int] = {}
    for line, _, quantity in parts:
        counted[line] = counted.get(line, 0) + quantity
    ret = await ask(shop, order_id, *counted.items())
    await receive(shop, ret.id)
    return await grade(shop, ret.id, *parts)


async def broken(shop: Shop) -> list[audit.Check]:
    checks = await audit.run(shop.db, [*PROMISES, "pinwheel.trade.returns"])
    return [c for c in checks if c.broken]


async def policy(shop: Shop, **fields: object) -> None:
    how: dict[str, object] = {"market": "GB", "category_id": uuid.UUID(int=0)}
    async with shop.db.transaction() as tx:
        await returns.set_policy(tx, returns.CategoryPolicy(**(how | fields)))  # type: ignore[arg-type]


async def at(shop: Shop, seller_id: uuid.UUID, number: int = 0) -> int:
    async with shop.db.reading() as tx:
        found = await inventory.positions(tx, [shop.variants[number]])
    return sum(p.on_hand for p in found if p.seller_id == seller_id)


# --- money


async def test_one_item_of_a_three_for_two_gives_exactly_its_share(
    db: Database, worker: Worker
) -> None:
    shop = await open_shop(db, [1000])
    shop.buying = orders.Buying(db, orders.Checkout(ThreeForTwo()))
    order_id = await sent(shop, (0, 3))
    refunds = [(await through(shop, order_id, (0, "A", 1))).refund_minor for _ in range(2)]
    assert refunds == [666, 667]  # of 2000 for three
    last = await through(shop, order_id, (0, "A", 1))
    assert (last.refund_minor, last.delivery_minor) == (667 + 399, 399)
    await worker.drain()
    assert set((await money(db, DEPOSITS, SALES, TAX, DELIVERY, CLEARING)).values()) == {0}
    assert await shop.stock(0) == (100, 0)
    assert not await broken(shop)


async def test_parts_of_a_line_that_was_cancelled_and_sent_in_turns_sum_to_what_was_earned(
    db: Database, worker: Worker
) -> None:
    shop = await open_shop(db, [333])
    bought = await shop.buying.buy(shop.draft((0, 7)))
    async with db.transaction() as tx:
        await orders.ship(tx, bought.order_id, [(0, 2), (0, 1)])
        await orders.cancel_lines(tx, bought.order_id, [(0, 1), (0, 1)], reason="short")
        await orders.deliver_parcels(tx, await orders.ship(tx, bought.order_id))
    for quantity in (2, 1, 2):
        await through(shop, bought.order_id, (0, "A", quantity))
    await worker.drain()
    assert set((await money(db, DEPOSITS, SALES, TAX, DELIVERY, CLEARING)).values()) == {0}
    assert not await broken(shop)


async def test_delivery_goes_back_with_the_whole_and_not_with_a_part(shop: Shop) -> None:
    order_id = await sent(shop, (0, 1), (1, 1))
    assert (await through(shop, order_id, (0, "A", 1))).refund_minor == 1000
    assert (await through(shop, order_id, (1, "A", 1))).refund_minor == 250 + 399
    await policy(shop, refunds_delivery=False)
    order_id = await sent(shop, (1, 1))
    assert (await through(shop, order_id, (0, "A", 1))).refund_minor == 250


async def test_who_changes_their_mind_pays_the_way_and_who_got_the_wrong_thing_does_not(
    shop: Shop, worker: Worker
) -> None:
    await policy(shop, freight_minor=300)
    kept = await through(shop, await sent(shop, (0, 2)), (0, "A", 1))
    assert (kept.carried_minor, kept.freight_minor, kept.refund_minor) == (1000, 300, 700)
    wrong = await ask(shop, await sent(shop, (0, 2)), (0, 1), why="wrong")
    await receive(shop, wrong.id)
    assert (await grade(shop, wrong.id, (0, "A", 1))).refund_minor == 1000
    cheap = await through(shop, await sent(shop, (1, 2)), (0, "A", 1))
    assert (cheap.freight_minor, cheap.refund_minor) == (250, 0)  # never below nothing
    await worker.drain()
    assert await money(shop.db, "return_freight:GBP", DEPOSITS) == {
        "return_freight:GBP": 550,
        DEPOSITS: 0,
    }
    assert not await broken(shop)


async def test_what_the_bank_has_given_back_is_not_refunded_again(
    shop: Shop, worker: Worker
) -> None:
    order_id = await sent(shop, (0, 1))
    other_id = await sent(shop, (1, 1))
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
    rets = [await ask(shop, order_id, (0, 1)), await ask(shop, other_id, (0, 1))]
    await receive(shop, *(r.id for r in rets))
    async with shop.db.transaction() as tx:
        gradings = [Grading(return_id=r.id, lines=[Graded(0, "A", 1)]) for r in rets]
        refused, fine = await returns.grade_and_refund(tx, gradings)
    assert isinstance(refused, payments.RefundTooLarge)
    assert isinstance(fine, Return) and fine.refund_minor == 649
    closed = await grade(shop, rets[0].id, (0, "A", 1), withhold_minor=1399)
    assert (closed.refund_minor, closed.withheld_minor) == (0, 1399)
    with pytest.raises(returns.WithholdTooMuch):
        third = await ask(shop, await sent(shop, (1, 1)), (0, 1))
        await receive(shop, third.id)
        await grade(shop, third.id, (0, "A", 1), withhold_minor=650)
    await worker.drain()
    assert await shop.stock(0) == (100, 0)


async def test_an_order_paid_by_two_tenders_is_refunded_over_both(
    db: Database, worker: Worker
) -> None:
    shop = await open_shop(db)
    person = await _person(shop)
    async with db.transaction() as tx:
        await payments.grant_store_credit(
            tx,
            person,
            500,
            "GBP",
            source=payments.deposits("GBP"),
            document_kind="test",
            document_id=tx.new_id(),
            key="gift",
            reason="gift",
        )
    order_id = await sent(
        shop,
        (0, 2),
        person_id=person,
        tenders=[orders.Tender("store_credit", "credit", 500), orders.Tender("sandbox", "tok_ok")],
    )
    assert (await through(shop, order_id, (0, "A", 1))).refund_minor == 1000
    assert (await through(shop, order_id, (0, "B", 1))).refund_minor == 1000 + 399
    await worker.drain()
    assert (await money(db, CLEARING))[CLEARING] == 0
    async with db.reading() as tx:
        assert await payments.refundable_of(tx, order_id) == 0


async def _person(shop: Shop, email: str = "a@example.org") -> uuid.UUID:
    async with shop.db.transaction() as tx:
        return (await identity.register(tx, email, password_hash=None, language="en")).id


# --- races and repeats


async def test_two_requests_at_once_never_ask_for_more_than_was_sent(shop: Shop) -> None:
    order_id = await sent(shop, (0, 5))
    answers = await asyncio.gather(
        *(ask(shop, order_id, (0, 2)) for _ in range(6)), return_exceptions=True
    )
    assert sum(isinstance(a, Return) for a in answers) == 2
    assert sum(isinstance(a, returns.NotSent) for a in answers) == 4
    async with shop.db.transaction() as tx:  # within one call, too
        wishes = [NewReturn(order_id=order_id, lines=[(0, 1)], reason="unwanted")] * 3
        answered = await returns.request(tx, wishes)
    assert [isinstance(a, Return) for a in answered] == [True, False, False]
    async with shop.db.reading() as tx:
        assert await returns.returnable(tx, order_id) == []


async def test_graded_twice_at_once_is_refunded_once(shop: Shop, worker: Worker) -> None:
    ret = await ask(shop, await sent(shop, (0, 2)), (0, 2))
    await asyncio.gather(*(receive(shop, ret.id) for _ in range(4)))
    answers = await asyncio.gather(*(grade(shop, ret.id, (0, "A", 2)) for _ in range(4)))
    assert {a.refund_minor for a in answers} == {2399}
    await worker.drain()
    assert await money(shop.db, DEPOSITS, CLEARING) == {DEPOSITS: 0, CLEARING: 0}
    assert await shop.stock(0) == (100, 0)
    async with shop.db.reading() as tx:
        assert await tx.value("select count(*) from payments.instruction") == 1
    assert not await broken(shop)


async def test_two_returns_of_one_order_graded_in_one_call_share_to_the_penny(
    db: Database, worker: Worker
) -> None:
    shop = await open_shop(db, [100])
    shop.buying = orders.Buying(db, orders.Checkout(ThreeForTwo()))
    order_id = await sent(shop, (0, 3))
    rets = [await ask(shop, order_id, (0, 1)) for _ in range(3)]
    await receive(shop, *(r.id for r in rets))
    async with db.transaction() as tx:
        gradings = [Grading(return_id=r.id, lines=[Graded(0, "A", 1)]) for r in rets]
        answers = [done(a) for a in await returns.grade_and_refund(tx, gradings)]
    assert [a.refund_minor - a.delivery_minor for a in answers] == [66, 67, 67]
    await worker.drain()
    assert set((await money(db, DEPOSITS, SALES, TAX, DELIVERY, CLEARING)).values()) == {0}
    assert not await broken(shop)


async def test_steps_out_of_order_are_refused_and_change_nothing(shop: Shop) -> None:
    ret = await ask(shop, await sent(shop, (0, 2)), (0, 2))
    with pytest.raises(returns.ReturnIs):
        await grade(shop, ret.id, (0, "A", 2))
    with pytest.raises(returns.NotAnnounced):
        await receive(shop, ret.id, lines=[(0, 3)])
    with pytest.raises(inventory.UnknownNode):
        await receive(shop, ret.id, node="MOON")
    await receive(shop, ret.id, lines=[(0, 1)])
    with pytest.raises(returns.GradesDontFit):
        await grade(shop, ret.id, (0, "A", 2))
    with pytest.raises(returns.GradesDontFit):
        await grade(shop, ret.id, (0, "A", 1), (1, "A", 1))
    async with shop.db.transaction() as tx:
        [answer] = await returns.cancel(tx, [ret.id])
        [nothing] = await returns.receive(tx, [Receipt(return_id=uuid.uuid4(), node="MAIN")])
    assert isinstance(answer, returns.ReturnIs) and isinstance(nothing, NotFound)
    assert (await grade(shop, ret.id, (0, "A", 1))).refund_minor == 1000
    # The piece that was announced and not in the parcel can be asked for again.
    assert (await ask(shop, ret.order_id, (0, 1))).state == "approved"
    assert not await broken(shop)


# --- who may, until when


async def test_nothing_is_returned_that_was_not_sent_or_is_somebody_elses(shop: Shop) -> None:
    bought = await shop.buying.buy(shop.draft((0, 1)))
    with pytest.raises(returns.NotSent):
        await ask(shop, bought.order_id, (0, 1))
    order_id = await sent(shop, (0, 1))
    for lines in ([(0, 2)], [(7, 1)], [(0, 0)], [], [(0, 2), (0, -1)]):
        with pytest.raises(returns.NotSent):
            await ask(shop, order_id, *lines)
    with pytest.raises(NotFound):
        await ask(shop, order_id, (0, 1), person_id=await _person(shop))


@pytest.mark.parametrize(
    ("days", "country", "why", "inside", "outside"),
    [
        (30, "GB", "unwanted", 30, 31),
        (0, "GB", "unwanted", 14, 15),  # the law's, whatever the shop says
        (0, "DE", "unwanted", 14, 15),
        (0, "CN", "unwanted", 7, 8),
        (0, "US", "unwanted", 0, 1),
        (0, "GB", "damaged", 365, 366),
    ],
)
async def test_the_window(
    shop: Shop, clock: SetClock, days: int, country: str, why: Why, inside: int,
    outside: int,
) -> None:  # fmt: skip
    await policy(shop, window_days=days)
    order_id = await sent(shop, (0, 2), country=country)
    start = clock.now()
    clock.set(start + dt.timedelta(days=inside))
    assert (await ask(shop, order_id, (0, 1), why=why)).state == "approved"
    clock.set(start + dt.timedelta(days=outside))
    with pytest.raises(returns.WindowOver):
        await ask(shop, order_id, (0, 1), why=why)


async def test_the_window_begins_when_the_last_parcel_is_there(shop: Shop, clock: SetClock) -> None:
    order_id = await sent(shop, (0, 2), arrived=False)
    clock.travel(days=59)  # nobody reported it: it counts as arrived after 30
    assert (await ask(shop, order_id, (0, 1))).state == "approved"
    clock.travel(days=2)
    with pytest.raises(returns.WindowOver):
        await ask(shop, order_id, (0, 1))


async def test_a_category_has_its_own_policy_and_those_below_it_too(
    shop: Shop, clock: SetClock
) -> None:
    async with shop.db.transaction() as tx:
        made = await catalogue.save_categories(
            tx, [catalogue.CategoryDraft(slug="wear", name={"en": "Wear"})]
        )
        below = await catalogue.save_categories(
            tx, [catalogue.CategoryDraft(slug="shoes", name={"en": "Shoes"}, parent="wear")]
        )
        wear, shoes = made[0], below[0]
        assert isinstance(wear, catalogue.Category) and isinstance(shoes, catalogue.Category)
        await tx.run(
            "update catalogue.product set category_id = $2 where id in"
            " (select product_id from catalogue.variant where id = $1)",
            shop.variants[0],
            shoes.id,
        )
    await policy(shop, category_id=wear.id, window_days=100, freight_minor=111)
    order_id = await sent(shop, (0, 1), (1, 1))
    clock.travel(days=60)
    assert (await ask(shop, order_id, (0, 1))).policy.freight_minor == 111
    with pytest.raises(returns.WindowOver):
        await ask(shop, order_id, (1, 1))


async def test_a_clerk_decides_what_the_policy_does_not(shop: Shop, clock: SetClock) -> None:
    await policy(shop, approves_itself=False)
    order_id = await sent(shop, (0, 4))
    within = await ask(shop, order_id, (0, 1))
    assert within.state == "approved"  # a withdrawal needs nobody's leave
    assert within.reasons[-1].zh == "在法定无理由退货期内"
    clock.travel(days=20)
    waiting = [await ask(shop, order_id, (0, 1)) for _ in range(2)]
    assert {r.state for r in waiting} == {"requested"}
    for _ in range(2):
        async with shop.db.transaction() as tx:
            [yes] = await returns.approve(tx, [waiting[0].id])
            [no] = await returns.reject(tx, [(waiting[1].id, "worn out")])
        assert (done(yes).state, done(no).state, done(no).answer) == (
            "approved",
            "rejected",
            "worn out",
        )
    async with shop.db.transaction() as tx:
        [late] = await returns.approve(tx, [waiting[1].id])
    assert isinstance(late, returns.ReturnIs)
    # What was rejected can be asked for again, with a better reason.
    assert (await ask(shop, order_id, (0, 2))).state == "requested"


async def test_an_approved_return_that_never_comes_ends_and_its_pieces_are_free(
    shop: Shop, clock: SetClock, worker: Worker
) -> None:
    order_id = await sent(shop, (0, 1))
    ret = await ask(shop, order_id, (0, 1))
    clock.travel(days=14, hours=1)
    await worker.drain()
    async with shop.db.reading() as tx:
        assert (await returns.see(tx, ret.id)).ret.state == "expired"
        assert [r.quantity for r in await returns.returnable(tx, order_id)] == [1]
    # It comes after all: it is taken in and refunded.
    await receive(shop, ret.id)
    assert (await grade(shop, ret.id, (0, "A", 1))).refund_minor == 1399
    assert not await broken(shop)


async def test_a_late_parcel_of_what_came_back_otherwise_is_not_taken_twice(
    shop: Shop, clock: SetClock, worker: Worker
) -> None:
    order_id = await sent(shop, (0, 1))
    ret = await ask(shop, order_id, (0, 1))
    clock.travel(days=14, hours=1)
    await worker.drain()
    again = await ask(shop, order_id, (0, 1))
    with pytest.raises(returns.NotSent):
        await receive(shop, ret.id)
    await receive(shop, again.id)
    with pytest.raises(returns.NotSent):
        await receive(shop, ret.id)


async def test_what_is_not_graded_in_its_days_is_listed_for_a_person_once(
    shop: Shop, clock: SetClock, worker: Worker
) -> None:
    ret = await ask(shop, await sent(shop, (0, 1)), (0, 1))
    await receive(shop, ret.id)
    clock.travel(days=3, hours=2)
    assert await broken(shop)  # nobody was told
    for _ in range(2):
        await worker.drain()
        clock.travel(hours=1)
    async with shop.db.reading() as tx:
        assert [r.id for r in (await returns.returns(tx, overdue=True)).items] == [ret.id]
        told = "select count(*) from kernel.event where kind = 'returns.return_overdue'"
        assert await tx.value(told) == 1
    assert not await broken(shop)


# --- refunds in advance


async def _trusted(shop: Shop) -> uuid.UUID:
    person = await _person(shop)
    for _ in range(2):
        await sent(shop, (0, 2), person_id=person)
    return person


async def test_the_trusted_are_refunded_at_once_and_nothing_more_when_it_arrives(
    shop: Shop, worker: Worker
) -> None:
    person = await _trusted(shop)
    stranger = await ask(shop, await sent(shop, (0, 1)), (0, 1))
    assert stranger.advance_minor == 0
    order_id = await sent(shop, (0, 2), person_id=person)
    ret = await ask(shop, order_id, (0, 2), person_id=person)
    assert ret.advance_minor == 2000
    await worker.drain()
    assert (await money(shop.db, ADVANCES))[ADVANCES] == 2000
    await receive(shop, ret.id)
    graded = await grade(shop, ret.id, (0, "A", 2))
    assert (graded.refund_minor, graded.owed_minor) == (399, 0)  # the delivery, with the whole
    await worker.drain()
    assert await money(shop.db, ADVANCES, RECEIVABLE) == {ADVANCES: 0, RECEIVABLE: 0}
    assert not await broken(shop)


async def test_cancelled_after_a_refund_in_advance_the_money_is_owed(
    shop: Shop, worker: Worker
) -> None:
    person = await _trusted(shop)
    order_id = await sent(shop, (0, 2), person_id=person)
    ret = await ask(shop, order_id, (0, 2), person_id=person)
    async with shop.db.transaction() as tx:
        [other] = await returns.cancel(tx, [ret.id], person_id=await _person(shop, "b@example.org"))
    assert isinstance(other, NotFound)
    for _ in range(2):
        async with shop.db.transaction() as tx:
            [ended] = await returns.cancel(tx, [ret.id], person_id=person)
        assert (done(ended).state, done(ended).owed_minor) == ("cancelled", 2000)
    await worker.drain()
    assert await money(shop.db, ADVANCES, RECEIVABLE) == {ADVANCES: 0, RECEIVABLE: 2000}
    # Owing makes the next one wait for the goods, and says why.
    again = await ask(shop, order_id, (0, 1), person_id=person)
    assert again.advance_minor == 0 and again.score >= 40
    assert any("owed" in r.en for r in again.reasons)
    assert not await broken(shop)


async def test_an_advance_for_what_never_came_is_owed_and_settled_when_it_comes_after_all(
    shop: Shop, clock: SetClock, worker: Worker
) -> None:
    person = await _trusted(shop)
    ret = await ask(shop, await sent(shop, (0, 2), person_id=person), (0, 2), person_id=person)
    clock.travel(days=15)
    await worker.drain()
    assert (await money(shop.db, RECEIVABLE))[RECEIVABLE] == 2000
    await receive(shop, ret.id, lines=[(0, 1)])
    graded = await grade(shop, ret.id, (0, "A", 1))
    assert (graded.refund_minor, graded.owed_minor) == (0, 1000)
    await worker.drain()
    assert await money(shop.db, ADVANCES, RECEIVABLE) == {ADVANCES: 0, RECEIVABLE: 1000}
    assert not await broken(shop)


async def test_an_advance_for_two_when_one_was_in_the_parcel_leaves_one_owed(
    shop: Shop, worker: Worker
) -> None:
    person = await _trusted(shop)
    ret = await ask(shop, await sent(shop, (0, 2), person_id=person), (0, 2), person_id=person)
    await receive(shop, ret.id, lines=[(0, 1)])
    graded = await grade(shop, ret.id, (0, "C", 1))
    assert (graded.refund_minor, graded.owed_minor, graded.carried_minor) == (0, 1000, 1000)
    await worker.drain()
    assert await money(shop.db, ADVANCES, RECEIVABLE) == {ADVANCES: 0, RECEIVABLE: 1000}
    assert not await broken(shop)


async def test_above_the_limit_nothing_is_refunded_before_the_goods_are_here(shop: Shop) -> None:
    await policy(shop, instant_minor=1999)
    person = await _trusted(shop)
    ret = await ask(shop, await sent(shop, (0, 2), person_id=person), (0, 2), person_id=person)
    assert ret.advance_minor == 0


# --- where pieces end up


async def test_an_opened_piece_is_sold_by_the_outlet_and_that_can_be_returned_too(
    shop: Shop, worker: Worker
) -> None:
    order_id = await sent(shop, (0, 4))
    await through(shop, order_id, (0, "A", 1), (0, "B", 1), (0, "C", 1), (0, "D", 1))
    own, outlet = marketplace.OWN_SELLER_ID, marketplace.OUTLET_SELLER_ID
    assert (await at(shop, own), await at(shop, outlet)) == (97, 1)
    async with shop.db.reading() as tx:
        lines = (await marketplace.offers(tx, [shop.variants[0]]))[shop.variants[0]]
        [used] = [o for o in lines if o.condition == "used"]
        assert (await pricing.prices(tx, [used.id], "GBP"))[used.id].price_minor == 800
    damaged = inventory.damaged(inventory.Place(own, "MAIN", shop.variants[0])).code
    gone = inventory.written_off(shop.variants[0]).code
    assert await money(shop.db, damaged, gone) == {damaged: 1, gone: 1}
    shop.offers.append(used.id)
    with pytest.raises(inventory.OutOfStock):  # the new ones are not sold as used
        await shop.buying.buy(shop.draft((2, 2)))
    bought = await sent(shop, (2, 1))
    assert (
        await at(shop, outlet) == 0
        and (await money(shop.db, "sales:outlet:GBP"))["sales:outlet:GBP"] == 667
    )
    await through(shop, bought, (0, "B", 1))
    assert await at(shop, outlet) == 1
    await worker.drain()
    assert not await broken(shop)


async def test_a_damaged_piece_is_mended_and_sold_and_a_price_somebody_set_stays(
    shop: Shop,
) -> None:
    await through(shop, await sent(shop, (0, 2)), (0, "C", 2))
    document, variant = uuid.uuid4(), shop.variants[0]

    async def mend(document_id: uuid.UUID, quantity: int) -> object:
        async with shop.db.transaction() as tx:
            one = returns.Mended(
                variant_id=variant, node="MAIN", quantity=quantity, currency="GBP", price_minor=1
            )
            [answer] = await returns.refurbish(tx, [one], document_id=document_id)
            return answer

    await mend(document, 1)
    await mend(document, 1)
    assert await at(shop, marketplace.OUTLET_SELLER_ID) == 1
    assert isinstance(await mend(uuid.uuid4(), 2), Refusal)
    async with shop.db.transaction() as tx:
        lines = (await marketplace.offers(tx, [variant]))[variant]
        [used] = [o for o in lines if o.condition == "used"]
        await pricing.set_prices(
            tx, [pricing.NewPrice(offer_id=used.id, currency="GBP", price_minor=555)]
        )
    await mend(uuid.uuid4(), 1)
    async with shop.db.reading() as tx:
        assert (await pricing.prices(tx, [used.id], "GBP"))[used.id].price_minor == 555


async def test_a_third_party_sellers_pieces_stay_that_sellers(shop: Shop, worker: Worker) -> None:
    async with shop.db.transaction() as tx:
        [seller] = await marketplace.save_sellers(
            tx, [marketplace.SellerDraft(slug="other", name="Other")]
        )
        assert isinstance(seller, marketplace.Seller)
        [theirs] = await marketplace.save_offers(
            tx, [marketplace.OfferDraft(variant_id=shop.variants[0], seller_id=seller.id)]
        )
        assert isinstance(theirs, marketplace.Offer)
        await pricing.set_prices(
            tx, [pricing.NewPrice(offer_id=theirs.id, currency="GBP", price_minor=900)]
        )
        place = inventory.Place(seller.id, "MAIN", shop.variants[0])
        await inventory.receive(tx, [inventory.StockCount(place, 9)], document_id=tx.new_id())
    shop.offers.append(theirs.id)
    order_id = await sent(shop, (2, 2))
    owed = f"payable:{seller.id}:GBP"
    assert (await money(shop.db, owed))[owed] == 1500
    await through(shop, order_id, (0, "A", 1), (0, "B", 1))
    assert await at(shop, seller.id) == 8
    assert await at(shop, marketplace.OUTLET_SELLER_ID) == 0
    assert (await money(shop.db, owed))[owed] == 0
    await worker.drain()
    assert not await broken(shop)


async def test_an_erased_persons_words_go_and_their_return_goes_on(
    shop: Shop, worker: Worker
) -> None:
    person = await _person(shop)
    order_id = await sent(shop, (0, 1), person_id=person)
    ret = await ask(shop, order_id, (0, 1), person_id=person, note="my aunt did not like it")
    async with shop.db.transaction() as tx:
        await identity.erase_person(tx, person)
    await receive(shop, ret.id)
    assert (await grade(shop, ret.id, (0, "A", 1))).refund_minor == 1399
    async with shop.db.reading() as tx:
        assert (await returns.see(tx, ret.id)).ret.note == ""
    await worker.drain()
    assert not await broken(shop)


async def test_a_guests_return_is_the_accounts_after_signing_in(shop: Shop) -> None:
    guest, person = uuid.uuid4(), await _person(shop)
    order_id = await sent(shop, (0, 1), person_id=guest)
    ret = await ask(shop, order_id, (0, 1), person_id=guest)
    async with shop.db.transaction() as tx:
        tx.emit(identity.GuestJoined(guest_id=guest, person_id=person))
    async with shop.db.reading() as tx:
        assert [r.ret.id for r in await returns.export(tx, person)] == [ret.id]
        with pytest.raises(NotFound):
            await returns.see(tx, ret.id, person_id=guest)


async def test_the_policy_is_the_one_that_held_when_it_was_asked_for(shop: Shop) -> None:
    await policy(shop, freight_minor=100)
    ret = await ask(shop, await sent(shop, (0, 2)), (0, 1))
    await policy(shop, freight_minor=900)
    await receive(shop, ret.id)
    assert (await grade(shop, ret.id, (0, "A", 1))).freight_minor == 100
