"""Price rules and floors: nothing is sold below its floor unless a budget covers the gap."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from collections.abc import Collection, Mapping, Sequence

import pytest

from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.jobs import Worker
from pinwheel.trade import budgets, orders, pricing
from pinwheel.trade.orders import Buying, Checkout
from pinwheel.trade.pricing import NewGuard, NewPrice, Terms
from shop import PROMISES, Shop, open_shop

PERSON = uuid.UUID(int=42)


@pytest.fixture
async def shop(db: Database, monkeypatch: pytest.MonkeyPatch) -> Shop:
    monkeypatch.setattr("shop.PROMISES", [*PROMISES, "pinwheel.trade.budgets"])
    return await open_shop(db, (1000, 250), [{"MAIN": 1000}] * 2)


async def guard(
    shop: Shop, number: int = 0, *, budget: uuid.UUID | None = None, **more: object
) -> pricing.GuardSet:
    how: dict[str, object] = {"currency": "GBP", "reason": "supplier's list"}
    async with shop.db.transaction(actor="operator:a") as tx:
        [answer] = await pricing.set_guards(
            tx,
            [
                NewGuard(
                    offer_id=shop.offers[number],
                    variant_id=shop.variants[number],
                    loss_budget_id=budget,
                    **(how | more),  # type: ignore[arg-type]
                )
            ],
        )
    assert isinstance(answer, pricing.GuardSet)
    return answer


async def loss_budget(shop: Shop, funded_minor: int, currency: str = "GBP") -> uuid.UUID:
    async with shop.db.transaction() as tx:
        [budget] = await budgets.open_budgets(
            tx, [budgets.NewBudget(name="Losses", currency=currency, purpose="loss")]
        )
        assert isinstance(budget, uuid.UUID)
        await budgets.fund(tx, budget, funded_minor, "to win the market")
    return budget


async def priced(shop: Shop, price_minor: int, number: int = 0) -> Refusal | None:
    async with shop.db.transaction() as tx:
        [answer] = await pricing.set_prices(
            tx,
            [NewPrice(offer_id=shop.offers[number], currency="GBP", price_minor=price_minor)],
        )
    return answer if isinstance(answer, Refusal) else None


async def rule(shop: Shop, publish: bool = True, **more: object) -> pricing.Rule:
    outer = {"priority": 0, "starts_at": None, "ends_at": None, "name": "Rule"}
    outer |= {k: more.pop(k) for k in list(more) if k in outer}
    async with shop.db.transaction(actor="operator:a") as tx:
        saved = await pricing.save_rule(
            tx,
            Terms(currency="GBP", **more),  # type: ignore[arg-type]
            reason="spring",
            **outer,  # type: ignore[arg-type]
        )
        return await pricing.publish_rule(tx, saved.id, "agreed") if publish else saved


async def unit_price(shop: Shop, quantity: int = 1, **more: object) -> int:
    async with shop.db.transaction() as tx:
        [quote] = await shop.buying.checkout.quote(tx, [shop.draft((0, quantity), **more)])
    assert isinstance(quote, orders.Quote), quote
    return quote.lines[0].unit_price_minor


async def test_a_price_below_its_floor_is_refused_unless_a_budget_pays(shop: Shop) -> None:
    assert (await guard(shop, cost_minor=700, floor_minor=900)).is_below is False
    assert isinstance(await priced(shop, 899), pricing.BelowFloor)
    assert await priced(shop, 900) is None
    budget = await loss_budget(shop, 100)
    await guard(shop, cost_minor=700, floor_minor=900, budget=budget)
    assert isinstance(await priced(shop, 799), pricing.BelowFloor)  # the gap is 101
    assert await priced(shop, 800) is None
    euros = await loss_budget(shop, 100, "EUR")
    await guard(shop, floor_minor=900, budget=euros)  # another currency pays nothing
    assert isinstance(await priced(shop, 801), pricing.BelowFloor)


async def test_the_floor_is_kept_at_the_checkout_too(shop: Shop, worker: Worker) -> None:
    """The price was there before the floor: nothing is sold until a budget pays."""
    assert (await guard(shop, floor_minor=1100)).is_below
    with pytest.raises(orders.NotAtThisPrice) as refused:
        await shop.buying.buy(shop.draft((0, 2)))
    assert "11" not in refused.value.sentence("en")  # the floor is nobody's business
    budget = await loss_budget(shop, 350)
    await guard(shop, floor_minor=1100, budget=budget)
    bought = await shop.buying.buy(shop.draft((0, 3)))
    with pytest.raises(orders.NotAtThisPrice):
        await shop.buying.buy(shop.draft((0, 1)))
    await worker.drain()
    async with shop.db.transaction() as tx:
        found = await budgets.budget(tx, budget)
        assert (found.available_minor, found.spent_minor) == (50, 300)
        assert await tx.value("select count(*) from orders.v_discount") == 0
        await orders.cancel_lines(tx, bought.order_id, [(0, 1)], reason="one less")
    await worker.drain()
    async with shop.db.transaction() as tx:
        assert (await budgets.budget(tx, budget)).spent_minor == 200
    assert not await shop.broken()


async def test_two_hundred_concurrent_orders_never_overdraw_the_loss_budget(
    shop: Shop, worker: Worker
) -> None:
    budget = await loss_budget(shop, 2050)
    await guard(shop, floor_minor=1100, budget=budget)

    async def buy() -> bool:
        try:
            await shop.buying.buy(shop.draft((0, 1)))
        except (orders.DiscountUsedUp, orders.NotAtThisPrice):
            return False
        return True

    assert sum(await asyncio.gather(*(buy() for _ in range(200)))) == 20
    await worker.drain()
    async with shop.db.transaction() as tx:
        found = await budgets.budget(tx, budget)
    assert (found.available_minor, found.reserved_minor, found.spent_minor) == (50, 0, 2000)
    assert not await shop.broken()


async def test_a_floor_from_cost_and_margin_is_never_a_fraction_below(shop: Shop) -> None:
    made = await guard(shop, cost_minor=333, margin_basis_points=1000, tax_basis_points=2000)
    assert made.floor_minor == 440  # 333 · 1.1 · 1.2 = 439.56
    async with shop.db.transaction() as tx:
        answers = await pricing.set_guards(
            tx,
            [
                NewGuard(
                    offer_id=shop.offers[0],
                    variant_id=shop.variants[0],
                    currency="GBP",
                    reason=reason,
                    cost_minor=cost,
                    margin_basis_points=100,
                )
                for cost, reason in ((None, "x"), (-1, "x"), (5, " "))
            ],
        )
        assert all(isinstance(a, pricing.GuardUnsound) for a in answers)
        [past] = await pricing.guard_history(tx, shop.offers[0], "GBP")
    assert (past.set_by, past.reason, past.cost_minor) == ("operator:a", "supplier's list", 333)


async def test_rules_by_channel_quantity_time_and_priority(shop: Shop, clock: SetClock) -> None:
    await rule(shop, kind="percent_off", value=1000, channels=["app"])
    await rule(shop, kind="amount_off", value=50, min_quantity=10)
    offers = [shop.offers[0]]
    begins, ends = clock.now() + dt.timedelta(hours=1), clock.now() + dt.timedelta(hours=2)
    when = {"starts_at": begins, "ends_at": ends, "priority": 1}
    await rule(shop, kind="fixed", value=990, offers=offers, **when)
    assert await unit_price(shop) == 1000
    assert await unit_price(shop, channel="app") == 900
    assert await unit_price(shop, 9) == 1000
    assert await unit_price(shop, 10) == 950
    assert await unit_price(shop, 10, channel="app") == 900  # of equals the better for the buyer
    clock.travel(hours=1)
    assert await unit_price(shop, 10, channel="app") == 990  # the higher priority holds
    clock.travel(hours=1)
    assert await unit_price(shop) == 1000


async def test_a_rule_for_a_segment(shop: Shop, db: Database) -> None:
    asked: list[int] = []

    async def segments(tx: Tx, people: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, Collection[str]]:
        asked.append(len(people))
        return {PERSON: {"students"}}

    shop.buying = Buying(db, Checkout(segments=segments))
    assert await unit_price(shop, person_id=PERSON) == 1000 and not asked
    await rule(shop, kind="percent_off", value=2000, segments=["students"])
    assert await unit_price(shop, person_id=PERSON) == 800
    assert await unit_price(shop, person_id=uuid.UUID(int=43)) == 1000
    assert await unit_price(shop) == 1000
    assert asked == [1, 1]  # a guest is in none


async def test_a_rule_below_the_floor_is_refused_when_published_and_when_changed(
    shop: Shop,
) -> None:
    await guard(shop, floor_minor=900)
    draft = await rule(shop, publish=False, kind="percent_off", value=1500)
    async with shop.db.transaction() as tx:
        with pytest.raises(pricing.RuleBelowFloor, match="T-0"):
            await pricing.publish_rule(tx, draft.id, "go")
    live = await rule(shop, kind="percent_off", value=1000)
    async with shop.db.transaction() as tx:
        with pytest.raises(pricing.RuleBelowFloor):
            await pricing.save_rule(
                tx,
                Terms(currency="GBP", kind="percent_off", value=1100),
                name="Rule",
                reason="a little more",
                rule_id=live.id,
            )
    assert await unit_price(shop) == 900


async def test_every_version_keeps_who_and_why(shop: Shop) -> None:
    live = await rule(shop, kind="percent_off", value=1000)
    async with shop.db.transaction(actor="operator:b") as tx:
        await pricing.stop_rule(tx, live.id, "it is over")
        versions = await pricing.rule_versions(tx, live.id)
    assert [(v.version, v.state, v.changed_by, v.reason) for v in versions] == [
        (3, "stopped", "operator:b", "it is over"),
        (2, "active", "operator:a", "agreed"),
        (1, "draft", "operator:a", "spring"),
    ]
    assert await unit_price(shop) == 1000


async def test_a_shop_without_rules_pays_no_statement_for_them(shop: Shop) -> None:
    async def statements() -> int:
        async with shop.db.transaction() as tx:
            await shop.buying.checkout.quote(tx, [shop.draft((0, 1), (1, 1))])
            return tx.statements

    await statements()
    bare = await statements()
    await rule(shop, kind="percent_off", value=1000, channels=["app"])
    assert await statements() == bare + 1  # the rules are read once
    assert await statements() == bare
    await guard(shop, floor_minor=100)
    await statements()
    assert await statements() == bare + 1  # the floors of this cart


async def test_simulation_says_what_would_have_been_taken_and_lost(
    shop: Shop, worker: Worker
) -> None:
    await guard(shop, cost_minor=600, floor_minor=900)
    for quantity in (2, 3):
        await shop.buying.buy(shop.draft((0, quantity), (1, 1)))
    terms = Terms(currency="GBP", kind="percent_off", value=2000, offers=[shop.offers[0]])
    async with shop.db.transaction() as tx:
        past = await orders.sold(tx, "GBP", days=30)
        [first, other] = pricing.simulate(terms, past)
        [bent, _] = pricing.simulate(terms, past, elasticity=-1.5)
    assert (first.sku, first.pieces, first.took_minor) == ("T-0", 5, 5000)
    assert (first.would_minor, first.loss_minor) == (4000, 500)
    assert first.margin_minor == 5000 - 833 - 3000  # 20 % tax in the price
    assert first.would_margin_minor == 4000 - 667 - 3000
    assert (other.sku, other.would_minor, other.margin_minor) == ("T-1", 500, None)
    assert bent.would_pieces == 7 and bent.pieces == 5


async def test_loss_by_sku_counts_the_cost_of_its_day(shop: Shop, clock: SetClock) -> None:
    await shop.buying.buy(shop.draft((0, 1)))  # its cost was not known yet
    clock.travel(hours=1)
    await guard(shop, cost_minor=900)
    clock.travel(hours=1)
    await shop.buying.buy(shop.draft((0, 2)))
    clock.travel(hours=1)
    await guard(shop, cost_minor=100)  # cheaper now: the past stays what it was
    async with shop.db.transaction() as tx:
        found = await orders.results_by_sku(tx, "GBP", days=30, losses_only=True)
    [loss] = found
    assert (loss.sku, loss.pieces, loss.unknown_pieces) == ("T-0", 3, 1)
    assert loss.net_minor == 2000 - 333 and loss.result_minor == 1667 - 1800


async def test_two_processes_read_the_rules_anew(shop: Shop, db: Database) -> None:
    other = Buying(db, Checkout())
    assert await unit_price(shop) == 1000
    await rule(shop, kind="percent_off", value=1000)
    mine, shop.buying = shop.buying, other
    assert await unit_price(shop) == 900
    shop.buying = mine
    assert await unit_price(shop) == 900
