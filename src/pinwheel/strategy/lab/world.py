"""The shop of the simulated city: goods, prices, stock, budgets, campaigns and one experiment, all
made by the verbs that an operator calls."""

from __future__ import annotations

import uuid
from random import Random

import msgspec

from pinwheel.growth import newcomers, social
from pinwheel.insight import experiments
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.strategy.lab.model import CURRENCY, MARKET, TEAM_SEATS, Scenario
from pinwheel.trade import budgets, catalogue, inventory, marketplace, pricing, promotions

ACTOR = "simulation"
NODE = "SIM-1"
TEAM_OFFERS = range(10)
NEWCOMER_OFFERS = range(10, 14)
MISTAKEN, GUARDED = 15, 16  # a price is mistaken on both; one has a floor
EXPERIMENT = "follow-up-coupon"
COUPON_MINOR = 500


class World(msgspec.Struct):
    """What is for sale and on what terms, by product number."""

    offers: list[uuid.UUID]
    variants: list[uuid.UUID]
    prices: list[int]
    budget_ids: dict[str, uuid.UUID]
    team_campaign_id: uuid.UUID
    newcomer_offer_ids: list[uuid.UUID]
    coupon_id: uuid.UUID


def _taken(answer: object) -> uuid.UUID:
    """The id in an answer that must not be a refusal."""
    if isinstance(answer, Refusal):
        raise answer
    if isinstance(answer, uuid.UUID):
        return answer
    assert isinstance(answer, marketplace.Offer)
    return answer.id


async def build(db: Database, scenario: Scenario) -> World:
    """An empty database becomes a shop that is open."""
    chance = Random(f"{scenario.seed}:goods")
    prices = [chance.randrange(1990, 29900, 10) for _ in range(scenario.products)]
    async with db.transaction(actor=ACTOR) as tx:
        offers, variants = await _goods(tx, prices, scenario.buyers)
    async with db.transaction(actor=ACTOR) as tx:
        found = await _budgets(tx, scenario)
        campaign = await _team_campaign(tx, offers, prices, found["teams"])
        newcomer = await _newcomer_pool(tx, offers, found["newcomers"], scenario)
        coupon = await _coupon(tx, found["coupons"])
        await _experiment(tx)
        await _guard(tx, offers[GUARDED], variants[GUARDED], prices[GUARDED])
    return World(
        offers=offers,
        variants=variants,
        prices=prices,
        budget_ids=found,
        team_campaign_id=campaign,
        newcomer_offer_ids=newcomer,
        coupon_id=coupon,
    )


async def _goods(
    tx: Tx, prices: list[int], stock_each: int
) -> tuple[list[uuid.UUID], list[uuid.UUID]]:
    name = {"en": "Simulated warehouse", "zh-CN": "模拟仓库"}
    await inventory.save_nodes(tx, [inventory.Node(code=NODE, name=name, country="CN")])
    saved = await catalogue.save_products(
        tx,
        [
            catalogue.ProductDraft(
                title={"en": f"Simulated item {n}", "zh-CN": f"模拟商品 {n}"},
                variants=[catalogue.VariantDraft(sku=f"SIM-{n}", weight_grams=200)],
            )
            for n in range(len(prices))
        ],
    )
    made = [s for s in saved if isinstance(s, catalogue.Saved)]
    await catalogue.publish(tx, [p.product_id for p in made])
    variants = [p.variant_ids[f"SIM-{n}"] for n, p in enumerate(made)]
    answers = await marketplace.save_offers(
        tx, [marketplace.OfferDraft(variant_id=v) for v in variants]
    )
    offers = [_taken(a) for a in answers]
    await pricing.set_prices(
        tx,
        [
            pricing.NewPrice(offer_id=offer, currency=CURRENCY, price_minor=price)
            for offer, price in zip(offers, prices, strict=True)
        ],
    )
    await inventory.receive(
        tx,
        [
            inventory.StockCount(
                inventory.Place(marketplace.OWN_SELLER_ID, NODE, variant), stock_each
            )
            for variant in variants
        ],
        document_id=tx.new_id(),
    )
    return offers, variants


async def _budgets(tx: Tx, scenario: Scenario) -> dict[str, uuid.UUID]:
    """One parent, three children, funded so that they last."""
    parent_id = tx.new_id()
    children = {name: tx.new_id() for name in ("teams", "newcomers", "coupons")}
    opened = await budgets.open_budgets(
        tx,
        [
            budgets.NewBudget(id=parent_id, name="Simulated growth", currency=CURRENCY),
            *(
                budgets.NewBudget(
                    id=key, parent_id=parent_id, name=f"Simulated {name}", currency=CURRENCY
                )
                for name, key in children.items()
            ),
        ],
    )
    for answer in opened:
        _taken(answer)
    each = scenario.buyers * 10_000
    await budgets.fund(tx, parent_id, each * len(children), "simulated plan")
    for key in children.values():
        await budgets.fund(tx, key, each, "simulated plan")
    return children


async def _team_campaign(
    tx: Tx, offers: list[uuid.UUID], prices: list[int], budget_id: uuid.UUID
) -> uuid.UUID:
    return await social.open_team_campaign(
        tx,
        social.TeamTerms(
            name={"en": "Simulated teams", "zh-CN": "模拟拼团"},
            market=MARKET,
            currency=CURRENCY,
            policy="near_complete",
            seats=TEAM_SEATS,
            window_seconds=48 * 3600,
            leads_per_person=1000,
            joins_per_person=1000,
            fill_from=2,
            fill_minor=300,
            budget_id=budget_id,
            offers=[
                social.TeamOffer(offer_id=offers[n], price_minor=prices[n] * 8 // 10)
                for n in TEAM_OFFERS
            ],
        ),
    )


async def _newcomer_pool(
    tx: Tx, offers: list[uuid.UUID], budget_id: uuid.UUID, scenario: Scenario
) -> list[uuid.UUID]:
    pool_id = await newcomers.open_pool(
        tx,
        newcomers.NewPool(
            name_en="Simulated newcomers", name_zh="模拟新人专享", budget_id=budget_id
        ),
    )
    return [
        await newcomers.put_up(
            tx,
            pool_id,
            newcomers.NewOffer(
                offer_id=offers[n], market=MARKET, price_minor=100, quantity=scenario.buyers
            ),
        )
        for n in NEWCOMER_OFFERS
    ]


async def _coupon(tx: Tx, budget_id: uuid.UUID) -> uuid.UUID:
    saved = await promotions.save(
        tx,
        promotions.NewPromotion(
            name={"en": "Simulated follow-up coupon", "zh-CN": "模拟回购券"},
            terms=promotions.Terms(
                kind=promotions.AmountOff(COUPON_MINOR, level="order"),
                conditions=promotions.Conditions(currency=CURRENCY, coupon=True),
                funding=[promotions.Share(10_000, budget_id)],
            ),
        ),
    )
    await promotions.start(tx, saved.id)
    return saved.id


async def _experiment(tx: Tx) -> None:
    plan = experiments.Plan(
        en="Does a coupon after the first order bring people back?",
        zh="首单后的优惠券能否带来复购？",
        variations=[experiments.Variation("control", 5000), experiments.Variation("coupon", 5000)],
        goal="orders",
        metrics=["buyers", "revenue", "contribution"],
        currency=CURRENCY,
        horizon=2000,
    )
    await experiments.save_experiment(tx, EXPERIMENT, plan)
    await experiments.start(tx, EXPERIMENT, "simulated")


async def _guard(tx: Tx, offer_id: uuid.UUID, variant_id: uuid.UUID, price_minor: int) -> None:
    [answer] = await pricing.set_guards(
        tx,
        [
            pricing.NewGuard(
                offer_id=offer_id,
                variant_id=variant_id,
                currency=CURRENCY,
                cost_minor=price_minor // 2,
                floor_minor=price_minor // 2,
                reason="simulated cost",
            )
        ],
    )
    if isinstance(answer, Refusal):
        raise answer
