"""What brings buyers in, in the demonstration shop: teams, a timed deal, prices for newcomers, a
welcome coupon and an experiment, each with a budget, from the same doors an operator uses."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Sequence

from pinwheel.demonstration import DemoOrderPlan, DemoProduct
from pinwheel.ground import identity
from pinwheel.growth import newcomers, social
from pinwheel.insight import experiments
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.seeding.goods import offers_of
from pinwheel.seeding.loops import Thing, open_loops, pay_deposits
from pinwheel.seeding.marker import ACTOR, Marker
from pinwheel.seeding.people import LOGINS, email_of, home_of, stand_in
from pinwheel.trade import budgets, catalogue, inventory, pricing, promotions, returns

MARKET, CURRENCY = "CN", "CNY"
TEAM, DEALS, NEWCOMERS, LOOPS = slice(0, 8), slice(8, 11), slice(11, 15), slice(15, 24)
CHILDREN = ("teams", "deals", "newcomers", "coupons", "bargains", "invites", "subsidy")
LEAST_FREE, LEAST_PRICE_MINOR = 4, {"CNY": 2000, "GBP": 250}
ABROAD, ABROAD_CURRENCY = "GB", "GBP"  # readers of English have teams and deals as well
ABROAD_TEAM, ABROAD_DEALS, ABROAD_NEWCOMERS = slice(0, 4), slice(4, 7), slice(7, 9)
TRIED = ("carry", "light-sound")
MOST_PEOPLE, HELPERS, DONE = 60, 6, 2


async def fill_growth(
    db: Database,
    marker: Marker,
    products: Sequence[DemoProduct],
    plans: Sequence[DemoOrderPlan],
    say: Callable[[str], None],
) -> None:
    """Once, in one transaction; then deposits, each its own. Products with a price in China and
    stock, the first ones of the content."""
    if marker.at("growth") >= DONE:
        return
    if not marker.at("growth"):
        async with db.transaction(actor=ACTOR) as tx:
            things = await _things(tx, [p.variants[0].sku for p in products[:60]])
            people = await _people(tx, plans)
            if len(things) >= LOOPS.stop and len(people) > HELPERS:
                marker.deal_id = await _open(tx, things, people)
                others = [p.variants[0].sku for p in products[60:120]]
                await _open_abroad(tx, await _things(tx, others, ABROAD_CURRENCY))
                await _let_try(tx)
            await marker.reach(tx, "growth", 1)
    async with db.reading() as tx:
        people = await _people(tx, plans)
    if marker.deal_id is not None:
        await pay_deposits(db, marker.deal_id, people)
    async with db.transaction(actor=ACTOR) as tx:
        await marker.reach(tx, "growth", DONE)
    say("  teams, deals, newcomer prices, coupons / 拼团、限时优惠、新人专享、优惠券")
    say("  a big day, bargains, invitations, journeys / 大促、砍价、邀请、营销旅程")


async def _things(tx: Tx, skus: Sequence[str], currency: str = CURRENCY) -> list[Thing]:
    """In the order of the content: what has a price and enough stock to put some aside."""
    found = await catalogue.skus(tx, skus)
    offers = await offers_of(tx, skus)
    prices = await pricing.prices(tx, list(offers.values()), currency)
    free: dict[uuid.UUID, int] = {}
    for position in await inventory.positions(tx, [s.variant_id for s in found.values()]):
        free[position.variant_id] = free.get(position.variant_id, 0) + max(0, position.atp)
    return [
        Thing(offers[sku], prices[offers[sku]].price_minor, left)
        for sku in skus
        if offers.get(sku) in prices
        and (left := free.get(found[sku].variant_id, 0)) >= LEAST_FREE
        and prices[offers[sku]].price_minor >= LEAST_PRICE_MINOR[currency]
    ]


async def _people(tx: Tx, plans: Sequence[DemoOrderPlan]) -> list[uuid.UUID]:
    """Simulated buyers in China, the one that visitors sign in as first."""
    shown = stand_in(plans)
    numbers = sorted({p.buyer_number for p in plans} - {shown})
    emails = [LOGINS[0].email]
    emails += [email_of(n) for n in numbers if home_of(n).market == MARKET][:MOST_PEOPLE]
    found = [await identity.person_with_email(tx, email) for email in emails]
    return [person.id for person in found if person is not None]


async def _open(tx: Tx, things: Sequence[Thing], people: Sequence[uuid.UUID]) -> uuid.UUID:
    """Open everything; the deal that takes deposits."""
    budget = await _budgets(tx)
    priced = [(thing.offer_id, thing.price_minor) for thing in things]
    await _team(tx, priced[TEAM], MARKET, CURRENCY, budget["teams"])
    for number, thing in enumerate(things[DEALS]):
        pieces = min(20 * (number + 1), thing.free // 2)
        await _deal(tx, thing, pieces, MARKET, CURRENCY, budget["deals"])
    pool = await newcomers.open_pool(
        tx,
        newcomers.NewPool(
            name_en="For your first order", name_zh="新人专享", budget_id=budget["newcomers"]
        ),
    )
    for offer, _ in priced[NEWCOMERS]:
        await newcomers.put_up(
            tx,
            pool,
            newcomers.NewOffer(offer_id=offer, market=MARKET, price_minor=990, quantity=200),
        )
    await _coupon(tx, budget["coupons"])
    await _experiment(tx)
    return await open_loops(tx, things[LOOPS], budget, people)


async def _let_try(tx: Tx) -> None:
    """Lamps, radios and bags may be tried at home before they are paid for."""
    mine = [c.id for c in await catalogue.categories(tx) if c.slug in TRIED]
    for market, most in ((MARKET, 60_000), (ABROAD, 8_000)):
        for category_id in mine:
            rule = returns.TrialRule(market=market, category_id=category_id, most_minor=most)
            await returns.set_trial_rule(tx, rule)


async def _open_abroad(tx: Tx, things: Sequence[Thing]) -> None:
    if len(things) < ABROAD_NEWCOMERS.stop:
        return
    [budget] = await budgets.open_budgets(
        tx, [budgets.NewBudget(name="Growth abroad (demonstration)", currency=ABROAD_CURRENCY)]
    )
    if isinstance(budget, Refusal):
        raise budget
    await budgets.fund(tx, budget, 2_500_000, "demonstration")
    priced = [(thing.offer_id, thing.price_minor) for thing in things]
    await _team(tx, priced[ABROAD_TEAM], ABROAD, ABROAD_CURRENCY, budget)
    for thing in things[ABROAD_DEALS]:
        await _deal(tx, thing, min(20, thing.free // 2), ABROAD, ABROAD_CURRENCY, budget)
    pool = await newcomers.open_pool(
        tx,
        newcomers.NewPool(name_en="For your first order", name_zh="新人专享", budget_id=budget),
    )
    for offer, _ in priced[ABROAD_NEWCOMERS]:
        new = newcomers.NewOffer(offer_id=offer, market=ABROAD, price_minor=100, quantity=200)
        await newcomers.put_up(tx, pool, new)


async def _team(
    tx: Tx,
    priced: Sequence[tuple[uuid.UUID, int]],
    market: str,
    currency: str,
    budget_id: uuid.UUID,
) -> None:
    await social.open_team_campaign(
        tx,
        social.TeamTerms(
            name={"en": "Read together", "zh-CN": "一起读，更划算"},
            market=market,
            currency=currency,
            policy="strict",
            seats=3,
            window_seconds=86_400,
            budget_id=budget_id,
            offers=[
                social.TeamOffer(offer_id=offer, price_minor=price * 7 // 10)
                for offer, price in priced
            ],
        ),
    )


async def _budgets(tx: Tx) -> dict[str, uuid.UUID]:
    parent = tx.new_id()
    children = {name: tx.new_id() for name in CHILDREN}
    new = [budgets.NewBudget(id=parent, name="Growth (demonstration)", currency=CURRENCY)]
    new += [
        budgets.NewBudget(id=key, parent_id=parent, name=name.capitalize(), currency=CURRENCY)
        for name, key in children.items()
    ]
    for answer in await budgets.open_budgets(tx, new):
        if isinstance(answer, Refusal):
            raise answer
    await budgets.fund(tx, parent, 20_000_000, "demonstration")
    for key in children.values():
        await budgets.fund(tx, key, 2_500_000, "demonstration")
    return children


async def _deal(
    tx: Tx, thing: Thing, pieces: int, market: str, currency: str, budget_id: uuid.UUID
) -> None:
    saved = await promotions.save(
        tx,
        promotions.NewPromotion(
            name={"en": "Deal of the week", "zh-CN": "本周限时"},
            terms=promotions.Terms(
                kind=promotions.FixedPrice(thing.price_minor * 6 // 10),
                scope=promotions.Scope(offers=[thing.offer_id]),
                conditions=promotions.Conditions(currency=currency, markets=[market]),
                limits=promotions.Limits(uses=pieces, per_person=2, counts="pieces"),
                funding=[promotions.Share(10_000, budget_id)],
            ),
            starts_at=tx.now,
            ends_at=tx.now + dt.timedelta(days=7),
            is_deal=True,
        ),
    )
    await promotions.start(tx, saved.id)


async def _coupon(tx: Tx, budget_id: uuid.UUID) -> None:
    saved = await promotions.save(
        tx,
        promotions.NewPromotion(
            name={"en": "10 off from 99", "zh-CN": "满 99 减 10"},
            code="WELCOME10",
            terms=promotions.Terms(
                kind=promotions.AmountOff(1000, level="order"),
                conditions=promotions.Conditions(
                    currency=CURRENCY, coupon=True, min_spend_minor=9900
                ),
                limits=promotions.Limits(per_person=1),
                funding=[promotions.Share(10_000, budget_id)],
            ),
        ),
    )
    await promotions.start(tx, saved.id)


async def _experiment(tx: Tx) -> None:
    plan = experiments.Plan(
        en="Share words: what friends gain, or what you gain",
        zh="分享文案：朋友得到什么，还是你得到什么",
        hypothesis="Demonstration: simulated buyers.",
        variations=[
            experiments.Variation("control", 5000, "As it is", "现状"),
            experiments.Variation("friends", 5000, "What friends gain", "朋友得到什么"),
        ],
        currency=CURRENCY,
    )
    await experiments.save_experiment(tx, "share-words", plan)
