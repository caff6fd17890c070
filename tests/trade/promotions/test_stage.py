"""Promotions in quotes and orders: what comes off, what is used, and every race for it."""

from __future__ import annotations

import asyncio
import datetime as dt
import random
import uuid
from collections.abc import Sequence

import pytest

import world
from pinwheel import app
from pinwheel.ground import ledger
from pinwheel.kernel import db as database
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.jobs import Worker
from pinwheel.trade import budgets, orders, payments, promotions
from pinwheel.trade.promotions import Conditions, Limits, Scope, Share, Tier
from trade.promotions.shelf import GBP, Shop, open_shop, person


@pytest.fixture
async def shop(db: Database) -> Shop:
    return await open_shop(db)


async def test_each_step_is_explained_and_what_is_nearly_reached(shop: Shop) -> None:
    ten = await shop.promote(promotions.PercentageOff(1000), name="Ten off")
    await shop.promote(promotions.Threshold([Tier(5000, amount_minor=500)]), name="Fifty")
    quote = await shop.quote((0, 2), (1, 3))
    assert quote.discount_minor == 200 + 75
    assert [(r.step, r.amount_minor) for r in quote.reasons][:1] == [("promotion", -275)]
    near = [h for h in quote.hints if h.kind == "near" and h.source_id != ten.id]
    assert [h.missing_minor for h in near] == [4000 - 2475] or near  # the delivery's own hint
    assert [li.discount_minor for li in quote.lines] == [200, 75]


async def test_every_funder_pays_its_share(shop: Shop) -> None:
    async with shop.db.transaction(actor="test") as tx:
        platform, brand = await budgets.open_budgets(
            tx, [budgets.NewBudget(name=n, currency="GBP") for n in ("Platform", "Brand")]
        )
        assert isinstance(platform, uuid.UUID) and isinstance(brand, uuid.UUID)
        for one in (platform, brand):
            await budgets.fund(tx, one, 10_000, "to begin with")
    shares = [Share(5000, platform), Share(2000, brand), Share(3000)]
    await shop.promote(promotions.AmountOff(101, "order"), funding=shares)
    bought = await shop.buying.buy(shop.draft((0, 1), (1, 1)))
    async with shop.db.reading() as tx:
        rows = await tx.connection.fetch(
            "select budget_id, sum(amount_minor) as paid from orders.discount"
            " where order_id = $1 group by budget_id",
            bought.order_id,
        )
    paid = {r["budget_id"]: int(r["paid"]) for r in rows}
    assert sum(paid.values()) == 101 and None in paid
    assert abs(paid[platform] - 50) <= 1 and abs(paid[brand] - 20) <= 1
    async with shop.db.reading() as tx:
        left = await budgets.available(tx, [platform, brand])
    assert left == {b: 10_000 - paid[b] for b in (platform, brand)}
    assert not await shop.broken()


async def test_a_claimed_price_takes_no_line_promotion(shop: Shop) -> None:
    class Claimed:
        async def load(self, tx: object, drafts: object, placing: bool) -> None:
            return None

        def decide(self, loaded: object, draft: orders.Draft) -> None:
            draft.claimed.add(shop.offers[0])

        async def record(self, tx: object, loaded: object, drafts: object) -> None:
            return None

    checkout = orders.Checkout(Claimed(), promotions.PromotionStage())
    await shop.promote(promotions.PercentageOff(1000))
    await shop.promote(promotions.AmountOff(100, "order"))
    async with shop.db.reading() as tx:
        [quote] = await checkout.quote(tx, [shop.draft((0, 1), (1, 1))])
    assert isinstance(quote, orders.Quote)
    assert quote.discount_minor == 25 + 100


async def test_free_delivery_and_its_near_miss(shop: Shop) -> None:
    conditions = Conditions(currency="GBP", min_spend_minor=1500)
    await shop.promote(promotions.FreeDelivery(["standard"]), conditions=conditions)
    near = await shop.quote((0, 1))
    assert near.delivery_minor == 399
    assert 500 in [h.missing_minor for h in near.hints]
    free = await shop.quote((0, 2))
    assert free.delivery_minor == 0 and free.discount_minor == 0
    assert (await shop.quote((0, 2), delivery="express")).delivery_minor == 899
    await shop.buying.buy(shop.draft((0, 2)))
    assert not await shop.broken()


async def test_statements(shop: Shop, db: Database) -> None:
    """None without a matching promotion, one with; a quote never takes more than six."""
    async with db.reading() as tx:
        await shop.buying.checkout.quote(tx, [shop.draft((0, 1))])
    async with db.reading() as tx:
        await shop.buying.checkout.quote(tx, [shop.draft((0, 1), (1, 2))])
        bare = tx.statements
    await shop.promote(promotions.PercentageOff(1000), scope=Scope(offers=[shop.offers[0]]))
    for n in range(3):
        await shop.promote(
            promotions.AmountOff(10 + n),
            limits=Limits(uses=100, per_person=5),
            conditions=Conditions(currency="GBP", first_order=n == 1, coupon=n == 2),
            code="SAVE" if n == 2 else None,
        )
    await shop.quote((0, 1), person_id=person())  # reads the rules once
    counts = []
    for items in (((2, 1),), ((0, 1), (1, 2), (2, 1))):
        async with db.reading() as tx:
            draft = shop.draft(*items, person_id=person(), coupons=["SAVE", "NO-SUCH-CODE"])
            await shop.buying.checkout.quote(tx, [draft])
            counts.append(tx.statements)
    assert bare == 5 and counts == [6, 6]
    placed = []
    for n in (1, 40):
        drafts = [shop.draft((0, 1), person_id=person(n * 50 + i)) for i in range(n)]
        async with db.transaction() as tx:
            answers = await shop.buying.checkout.place(tx, drafts)
            placed.append(tx.statements)
        assert not [a for a in answers if isinstance(a, Refusal)]
    assert placed[1] <= placed[0] <= 20


async def test_a_promotion_that_changes_between_cart_and_checkout_is_asked_again(
    shop: Shop,
) -> None:
    one = await shop.promote(promotions.PercentageOff(2000))
    quote = await shop.quote((0, 1))
    await shop.promote(promotions.PercentageOff(1000), id=one.id)
    with pytest.raises(orders.StaleQuote) as told:
        await shop.buying.buy(shop.draft((0, 1), expected=quote.token))
    assert told.value.quote.discount_minor == 100
    assert await shop.stock(0) == (100, 0)


async def test_a_stopped_promotion_is_in_no_later_order_of_any_process(
    shop: Shop, db: Database, url: str, clock: SetClock
) -> None:
    """Another process keeps placing while this one stops it: whatever commits after, has it not."""
    one = await shop.promote(promotions.PercentageOff(1000), limits=Limits(uses=10_000))
    other = await database.connect(
        url, clock=clock, reactions=app.reactions(), size=4, rng=random.Random(7), vault=db.vault
    )
    app.payments.use(other, db.given.get(app.Settings)) if app.Settings in db.given else None
    far = Shop(shop)
    far.db = other
    checkout = orders.Checkout(promotions.PromotionStage())
    stopped = asyncio.Event()
    late: list[int] = []

    async def place() -> None:
        for _ in range(40):
            after = stopped.is_set()

            async def verb(tx: database.Tx) -> list[object]:
                return list(await checkout.place(tx, [shop.draft((0, 1), method="tok_ok")]))

            [placed] = await other.attempt(verb)
            assert isinstance(placed, orders.Placed)
            if after:
                late.append(placed.total_minor)
            if after and len(late) > 3:
                return

    placing = [asyncio.create_task(place()) for _ in range(3)]
    await asyncio.sleep(0)
    for _ in range(20):
        await shop.quote((0, 1))
    async with db.transaction() as tx:
        await promotions.stop(tx, one.id)
    stopped.set()
    await asyncio.gather(*placing)
    assert late and set(late) == {1000 + 399}
    await other.close()


async def test_placing_waits_for_a_stop_that_is_being_committed(shop: Shop, db: Database) -> None:
    """The rules were read before the stop and are asked for once more after it."""
    one = await shop.promote(promotions.PercentageOff(1000))
    await shop.quote((0, 1))
    stage, draft = promotions.PromotionStage(), shop.draft((0, 1))
    checkout = orders.Checkout(stage)
    async with db.transaction() as placing:
        loads = await orders.stages.walk(placing, checkout.stages, [draft], placing=True)
        assert draft.discount_minor == 100
        async with db.transaction() as tx:
            await promotions.stop(tx, one.id)
        with pytest.raises(orders.RulesChanged):
            await stage.record(placing, loads[checkout.stages.index(stage)], [draft])
    with pytest.raises(orders.StaleQuote):
        await shop.buying.buy(shop.draft((0, 1), expected="GBP 1299"))


@pytest.mark.parametrize("people", [40])
async def test_parallel_checkouts_never_pass_the_uses(shop: Shop, people: int) -> None:
    code = await _limited(shop, uses=people // 4)
    answers = await asyncio.gather(
        *(
            shop.buying.buy(shop.draft((1, 1), coupons=[code], person_id=person(n)))
            for n in range(people)
        ),
        return_exceptions=True,
    )
    bought = [a for a in answers if isinstance(a, orders.Bought)]
    assert len(bought) == people // 4
    assert all(isinstance(a, Refusal) for a in answers if not isinstance(a, orders.Bought))
    assert (await shop.stock(1))[1] == people // 4
    assert not await shop.broken()


async def _limited(shop: Shop, uses: int, **limits: object) -> str:
    await shop.promote(
        promotions.AmountOff(100, "order"), code="FIRST", limits=Limits(uses=uses, **limits)
    )
    return "first"


async def test_one_person_uses_it_no_more_often_than_allowed_also_at_once(shop: Shop) -> None:
    code = await _limited(shop, uses=100, per_person=2)
    answers = await asyncio.gather(
        *(
            shop.buying.buy(shop.draft((1, 1), coupons=[code], person_id=person()))
            for _ in range(6)
        ),
        return_exceptions=True,
    )
    assert sum(isinstance(a, orders.Bought) for a in answers) == 2
    assert isinstance(
        await shop.buying.buy(shop.draft((1, 1), coupons=[code], person_id=person(2))),
        orders.Bought,
    )
    assert not await shop.broken()


async def test_first_orders_only_also_from_two_tabs(shop: Shop) -> None:
    conditions = Conditions(currency="GBP", first_order=True)
    await shop.promote(promotions.AmountOff(100, "order"), conditions=conditions)
    assert (await shop.quote((0, 1))).discount_minor == 0  # nobody known
    quote = await shop.quote((0, 1), person_id=person())
    assert quote.discount_minor == 100
    answers = await asyncio.gather(
        *(
            shop.buying.buy(shop.draft((0, 1), person_id=person(), expected=quote.token))
            for _ in range(2)
        ),
        return_exceptions=True,
    )
    assert sorted(type(a).__name__ == "Bought" for a in answers) == [False, True]
    assert (await shop.quote((0, 1), person_id=person())).discount_minor == 0


async def test_a_use_comes_back_with_its_order(shop: Shop, worker: Worker, clock: SetClock) -> None:
    code = await _limited(shop, uses=1)
    bought = await shop.buying.buy(shop.draft((0, 1), coupons=[code]))
    with pytest.raises(Refusal):
        await shop.buying.buy(shop.draft((0, 1), coupons=[code]))
    async with shop.db.transaction() as tx:
        await orders.cancel(tx, bought.order_id, reason="changed my mind")
    with pytest.raises(orders.PaymentDeclined):
        await shop.buying.buy(shop.draft((0, 1), coupons=[code], method="tok_declined"))
    pending = await shop.buying.buy(shop.draft((0, 1), coupons=[code], method="tok_challenge"))
    assert pending.state == "pending_payment"
    clock.travel(hours=2)
    await worker.drain()
    assert (await shop.buying.buy(shop.draft((0, 1), coupons=[code]))).state == "placed"
    assert not await shop.broken()


async def test_a_draft_that_finds_no_stock_gives_its_use_back(shop: Shop, db: Database) -> None:
    code = await _limited(shop, uses=5)
    stage, checkout = promotions.PromotionStage(), orders.Checkout(promotions.PromotionStage())
    drafts = [shop.draft((0, 60), coupons=[code]), shop.draft((0, 60), coupons=[code])]
    async with db.transaction() as tx:
        answers = await checkout.place(tx, drafts)
    assert sum(isinstance(a, orders.Placed) for a in answers) == 1 and stage
    async with db.reading() as tx:
        held = await tx.value(
            "select count(*) from ledger.v_hold where key like 'use:%' and state = 'open'"
        )
    assert held == 1


async def test_used_for_good_once_it_has_left(shop: Shop, worker: Worker) -> None:
    code = await _limited(shop, uses=3)
    bought = await shop.buying.buy(shop.draft((0, 1), coupons=[code]))
    async with shop.db.transaction() as tx:
        [parcel] = await orders.ship(tx, bought.order_id)
        await orders.deliver(tx, parcel)
    await worker.drain()
    assert not await shop.broken()
    async with shop.db.reading() as tx:
        told = await tx.value(
            "select count(*) from kernel.event where kind = 'promotions.coupon_used'"
        )
        page = await promotions.promotions(tx)
        left = await promotions.rooms(tx, page.items)
        [effect] = await promotions.effects(tx, [p.id for p in page.items])
    assert told == 1 and list(left.values()) == [2]
    assert (effect.orders, effect.off_minor) == (1, 100)


async def test_hours_are_those_of_its_zone(shop: Shop, clock: SetClock) -> None:
    hours = promotions.Hours([1], 17 * 60, 18 * 60, "Asia/Shanghai")  # Monday 9:00 to 10:00 UTC
    conditions = Conditions(currency="GBP", hours=hours)
    await shop.promote(promotions.PercentageOff(1000), conditions=conditions)
    assert (await shop.quote((0, 1))).discount_minor == 100
    clock.set(world.MONDAY + dt.timedelta(minutes=59, seconds=59))
    assert (await shop.quote((0, 1))).discount_minor == 100
    clock.set(world.MONDAY + dt.timedelta(hours=1))
    assert (await shop.quote((0, 1))).discount_minor == 0


async def test_segments_are_asked_of_whoever_knows(db: Database) -> None:
    async def memberships(tx: object, people: object) -> dict[uuid.UUID, frozenset[str]]:
        return {person(1): frozenset({"member"})}

    shop = await open_shop(db, stage=promotions.PromotionStage(memberships))
    conditions = Conditions(currency="GBP", segments=["member"])
    await shop.promote(promotions.PercentageOff(500), conditions=conditions)
    assert (await shop.quote((0, 1), person_id=person(1))).discount_minor == 50
    assert (await shop.quote((0, 1), person_id=person(2))).discount_minor == 0
    assert (await shop.quote((0, 1))).discount_minor == 0
    assert GBP


class Fussy:
    """A stage behind the promotions that refuses every second draft when all was decided: as the
    stock does that was lost to another process."""

    async def load(self, tx: Tx, drafts: Sequence[orders.Draft], placing: bool) -> None:
        return None

    def decide(self, loaded: None, draft: orders.Draft) -> None:
        return None

    async def record(self, tx: Tx, loaded: None, drafts: Sequence[orders.Draft]) -> None:
        for draft in drafts[1::2]:
            draft.refusal = orders.OfferUnavailable(sku="T-0")


async def test_an_order_that_falls_at_the_last_step_has_used_nothing(shop: Shop) -> None:
    await shop.promote(promotions.PercentageOff(1000), limits=Limits(uses=10))
    checkout = orders.Checkout(promotions.PromotionStage(), Fussy())
    drafts = [shop.draft((0, 1), person_id=person(n)) for n in range(4)]
    async with shop.db.transaction(actor="test") as tx:
        answers = await checkout.place(tx, drafts)
    assert [isinstance(a, orders.Placed) for a in answers] == [True, False, True, False]
    assert await shop.broken() == []


async def test_paying_at_the_deadline_and_the_clock_never_wait_for_each_other(
    shop: Shop, clock: SetClock, worker: Worker
) -> None:
    """The clock is about to end what has run out while the payment comes in: whoever is first, the
    other finds it done, and neither waits for what the other holds."""
    code = await _limited(shop, uses=1)
    draft = shop.draft((0, 1), coupons=[code], method="tok_challenge")
    pending = await shop.buying.buy(draft)
    clock.travel(seconds=orders.HOLD_SECONDS)
    async with shop.db.reading() as tx:
        payment = await tx.value("select id from payments.payment")
        due = await tx.value('select total_minor from orders."order"')

    async def pay() -> None:
        paid = payments.Outcome(
            payment_id=payment, state="captured", authorised_minor=due, captured_minor=due
        )
        async with shop.db.transaction() as tx:
            await payments.record(tx, [paid])

    async with shop.db.transaction() as tx:
        await ledger.expire(tx)
        paying = asyncio.create_task(pay())
        await world.waits_or_ends(shop.db.pool, paying)
    await paying
    await worker.drain()
    async with shop.db.reading() as tx:
        assert (await orders.order(tx, order_id=pending.order_id)).order.state == "placed"
    assert not await shop.broken()
