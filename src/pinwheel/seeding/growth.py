"""What brings buyers in, in the demonstration shop: teams, a timed deal, prices for newcomers, a
welcome coupon and an experiment, each with a budget, from the same doors an operator uses."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Sequence

from pinwheel.demonstration import DemoProduct
from pinwheel.growth import newcomers, social
from pinwheel.insight import experiments
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.seeding.goods import offers_of
from pinwheel.seeding.marker import ACTOR, Marker
from pinwheel.trade import budgets, pricing, promotions

MARKET, CURRENCY = "CN", "CNY"
TEAM, DEALS, NEWCOMERS = slice(0, 8), slice(8, 11), slice(11, 15)


async def fill_growth(
    db: Database, marker: Marker, products: Sequence[DemoProduct], say: Callable[[str], None]
) -> None:
    """Once, in one transaction. Products with a price in China, the first ones of the content."""
    if marker.at("growth"):
        return
    async with db.transaction(actor=ACTOR) as tx:
        skus = [p.variants[0].sku for p in products[:60]]
        offers = await offers_of(tx, skus)
        prices = await pricing.prices(tx, list(offers.values()), CURRENCY)
        priced = [(o, prices[o].price_minor) for o in offers.values() if o in prices]
        if len(priced) >= NEWCOMERS.stop:
            await _open(tx, priced)
        await marker.reach(tx, "growth", 1)
    say("  teams, deals, newcomer prices, coupons / 拼团、限时优惠、新人专享、优惠券")


async def _open(tx: Tx, priced: Sequence[tuple[uuid.UUID, int]]) -> None:
    budget = await _budgets(tx)
    await social.open_team_campaign(
        tx,
        social.TeamTerms(
            name={"en": "Read together", "zh-CN": "一起读，更划算"},
            market=MARKET,
            currency=CURRENCY,
            policy="strict",
            seats=3,
            window_seconds=86_400,
            budget_id=budget["teams"],
            offers=[
                social.TeamOffer(offer_id=offer, price_minor=price * 7 // 10)
                for offer, price in priced[TEAM]
            ],
        ),
    )
    for number, (offer, price) in enumerate(priced[DEALS]):
        await _deal(tx, offer, price, 20 * (number + 1), budget["deals"])
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


async def _budgets(tx: Tx) -> dict[str, uuid.UUID]:
    parent = tx.new_id()
    children = {name: tx.new_id() for name in ("teams", "deals", "newcomers", "coupons")}
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
        await budgets.fund(tx, key, 4_000_000, "demonstration")
    return children


async def _deal(tx: Tx, offer: uuid.UUID, price: int, pieces: int, budget_id: uuid.UUID) -> None:
    saved = await promotions.save(
        tx,
        promotions.NewPromotion(
            name={"en": "Deal of the week", "zh-CN": "本周限时"},
            terms=promotions.Terms(
                kind=promotions.FixedPrice(price * 6 // 10),
                scope=promotions.Scope(offers=[offer]),
                conditions=promotions.Conditions(currency=CURRENCY, markets=[MARKET]),
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
        hypothesis="Demonstration: not started.",
        variations=[
            experiments.Variation("control", 5000, "As it is", "现状"),
            experiments.Variation("friends", 5000, "What friends gain", "朋友得到什么"),
        ],
        currency=CURRENCY,
    )
    await experiments.save_experiment(tx, "share-words", plan)
