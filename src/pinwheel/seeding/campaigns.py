"""The campaigns of the demonstration shop, opened at the beginning of its season through the doors
that an operator uses, each with a budget."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence

from pinwheel.ground import messages
from pinwheel.growth import journeys, newcomers, social, subsidy
from pinwheel.insight import audience, experiments
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.seeding.marker import Opened
from pinwheel.seeding.season import Timed
from pinwheel.seeding.shelf import Shelf, sku_of
from pinwheel.trade import budgets, promotions

CHILDREN = ("teams", "deals", "newcomers", "coupons", "bargains", "invites", "subsidy")
COUPON, EXPERIMENT, TEMPLATE = "WELCOME10", "share-words", "demonstration-news"
FIRST_PRICE_PERCENT, TEAM_PERCENT, DEAL_PERCENT = 60, 80, 75
SUBSIDY_PERCENT, FLOOR_PERCENT = 85, 45
REFERENCE_DAYS = 90


async def open_at_home(
    tx: Tx, shelf: Shelf, offers: Mapping[str, uuid.UUID], market: str, ends_at: dt.datetime
) -> Opened:
    """Everything that a season has; the subsidy until ``ends_at``."""
    budget = await _budgets(tx, shelf.currency)
    opened = Opened(
        market=market,
        currency=shelf.currency,
        budgets=budget,
        team_id=await _team(tx, shelf, offers, market, budget["teams"]),
        newcomers=await _newcomers(tx, shelf, offers, market, budget["newcomers"]),
    )
    opened.bargain_id = await _bargain(tx, shelf, offers, market, budget["bargains"])
    opened.invite_id, opened.promoter_id = await _invites(tx, shelf.currency, budget["invites"])
    opened.programme_id = await _subsidy(tx, shelf, offers, budget["subsidy"], ends_at)
    await _coupon(tx, shelf.currency, budget["coupons"])
    await _experiment(tx, shelf.currency)
    await _journey(tx)
    return opened


async def open_abroad(tx: Tx, shelf: Shelf, offers: Mapping[str, uuid.UUID], market: str) -> Opened:
    """Teams, deals and prices for newcomers, on one budget."""
    [budget] = await budgets.open_budgets(
        tx, [budgets.NewBudget(name="Growth abroad (demonstration)", currency=shelf.currency)]
    )
    if isinstance(budget, Refusal):
        raise budget
    await budgets.fund(tx, budget, 250_000, "demonstration")
    return Opened(
        market=market,
        currency=shelf.currency,
        budgets={"deals": budget},
        team_id=await _team(tx, shelf, offers, market, budget),
        newcomers=await _newcomers(tx, shelf, offers, market, budget),
    )


async def open_deal(tx: Tx, timed: Timed, opened: Opened, offer_id: uuid.UUID) -> None:
    """A deal of the week, named for what it sells, with some of its stock put aside."""
    product = timed.product
    price = product.variants[0].price_minor[opened.currency]
    saved = await promotions.save(
        tx,
        promotions.NewPromotion(
            name={
                "en": f"Deal of the week: {product.title.en}"[:120],
                "zh-CN": f"本周限时：{product.title.zh}"[:120],
            },
            terms=promotions.Terms(
                kind=promotions.FixedPrice(price * DEAL_PERCENT // 100),
                scope=promotions.Scope(offers=[offer_id]),
                conditions=promotions.Conditions(currency=opened.currency, markets=[opened.market]),
                limits=promotions.Limits(
                    uses=max(2, min(20, sum(product.variants[0].stock) // 4)),
                    per_person=2,
                    counts="pieces",
                ),
                funding=[promotions.Share(10_000, opened.budgets["deals"])],
            ),
            starts_at=timed.starts_at,
            ends_at=timed.ends_at,
            is_deal=True,
        ),
    )
    await promotions.start(tx, saved.id)


async def put_subsidised(
    tx: Tx, programme_id: uuid.UUID, shelf: Shelf, offers: Mapping[str, uuid.UUID]
) -> None:
    """The goods of the subsidy, with what they cost elsewhere as of now."""
    await subsidy.put_goods(
        tx,
        programme_id,
        [
            subsidy.NewGoods(
                offer_id=offers[sku_of(product)],
                target_minor=shelf.price(product) * SUBSIDY_PERCENT // 100,
                references=[
                    subsidy.Reference(
                        source="Simulated market · 模拟市场", price_minor=shelf.price(product)
                    )
                ],
            )
            for product in shelf.subsidy
        ],
    )


async def write_to(tx: Tx, name: str, people: Sequence[uuid.UUID]) -> None:
    """One letter to all of these, a fifth of whom are held back."""
    campaign = await journeys.save_campaign(
        tx,
        journeys.NewCampaign(
            name=name, template=TEMPLATE, people=list(people), holdout_basis_points=2_000
        ),
    )
    await journeys.schedule(tx, campaign.id)


async def _budgets(tx: Tx, currency: str) -> dict[str, uuid.UUID]:
    parent = tx.new_id()
    children = {name: tx.new_id() for name in CHILDREN}
    new = [budgets.NewBudget(id=parent, name="Growth (demonstration)", currency=currency)]
    new += [
        budgets.NewBudget(id=key, parent_id=parent, name=name.capitalize(), currency=currency)
        for name, key in children.items()
    ]
    for answer in await budgets.open_budgets(tx, new):
        if isinstance(answer, Refusal):
            raise answer
    await budgets.fund(tx, parent, 2_000_000, "demonstration")
    for key in children.values():
        await budgets.fund(tx, key, 250_000, "demonstration")
    return children


async def _team(
    tx: Tx, shelf: Shelf, offers: Mapping[str, uuid.UUID], market: str, budget_id: uuid.UUID
) -> uuid.UUID:
    """Three buy together; when one is missing in the end, the budget fills the seat."""
    return await social.open_team_campaign(
        tx,
        social.TeamTerms(
            name={"en": "Read together", "zh-CN": "一起读，更划算"},
            market=market,
            currency=shelf.currency,
            policy="near_complete",
            seats=3,
            window_seconds=2 * 86_400,
            leads_per_person=10,
            joins_per_person=10,
            fill_from=2,
            fill_minor=500 if shelf.currency == "CNY" else 60,
            budget_id=budget_id,
            offers=[
                social.TeamOffer(
                    offer_id=offers[sku_of(p)], price_minor=shelf.price(p) * TEAM_PERCENT // 100
                )
                for p in shelf.team
            ],
        ),
    )


async def _newcomers(
    tx: Tx, shelf: Shelf, offers: Mapping[str, uuid.UUID], market: str, budget_id: uuid.UUID
) -> dict[str, uuid.UUID]:
    pool = await newcomers.open_pool(
        tx,
        newcomers.NewPool(name_en="For your first order", name_zh="新人专享", budget_id=budget_id),
    )
    return {
        sku_of(p): await newcomers.put_up(
            tx,
            pool,
            newcomers.NewOffer(
                offer_id=offers[sku_of(p)],
                market=market,
                price_minor=shelf.price(p) * FIRST_PRICE_PERCENT // 100,
                quantity=200,
            ),
        )
        for p in shelf.newcomers
    }


async def _bargain(
    tx: Tx, shelf: Shelf, offers: Mapping[str, uuid.UUID], market: str, budget_id: uuid.UUID
) -> uuid.UUID | None:
    if not shelf.bargain:
        return None
    [product] = shelf.bargain
    campaign_id = await social.save_bargain_campaign(
        tx,
        social.BargainTerms(
            name={"en": "Cut it together (demonstration)", "zh-CN": "一起砍一刀（演示）"},
            market=market,
            currency=shelf.currency,
            offer_id=offers[sku_of(product)],
            list_minor=shelf.price(product),
            floor_minor=shelf.price(product) * FLOOR_PERCENT // 100,
            helps=8,
            window_seconds=3 * 86_400,
            budget_id=budget_id,
            pieces_total=max(2, min(60, sum(product.variants[0].stock) // 2)),
            stock="reserved",
        ),
    )
    await social.start_bargain_campaign(tx, campaign_id)
    return campaign_id


async def _invites(tx: Tx, currency: str, budget_id: uuid.UUID) -> tuple[uuid.UUID, uuid.UUID]:
    """Credit for both sides, and a commission for those who promote."""
    invite_id = await social.save_invite_campaign(
        tx,
        social.InviteTerms(
            name={"en": "Bring a reader (demonstration)", "zh-CN": "邀请书友（演示）"},
            currency=currency,
            budget_id=budget_id,
            inviter_minor=1000,
            invitee_minor=1000,
            least_order_minor=5000,
            return_days=7,
        ),
    )
    promoter_id = await social.save_invite_campaign(
        tx,
        social.InviteTerms(
            name={"en": "Book promoters (demonstration)", "zh-CN": "图书推广员（演示）"},
            kind="promoter",
            currency=currency,
            budget_id=budget_id,
            commission_basis_points=800,
            commission_days=60,
            return_days=7,
        ),
    )
    for campaign_id in (invite_id, promoter_id):
        await social.set_invite_campaign(tx, campaign_id, running=True)
    return invite_id, promoter_id


async def _subsidy(
    tx: Tx,
    shelf: Shelf,
    offers: Mapping[str, uuid.UUID],
    budget_id: uuid.UUID,
    ends_at: dt.datetime,
) -> uuid.UUID:
    programme_id = await subsidy.save_programme(
        tx,
        subsidy.NewProgramme(
            name={"en": "Subsidised (demonstration)", "zh-CN": "百亿补贴（演示）"},
            currency=shelf.currency,
            platform_budget_id=budget_id,
            reference_days=REFERENCE_DAYS,
            starts_at=tx.now,
            ends_at=ends_at,
        ),
    )
    await put_subsidised(tx, programme_id, shelf, offers)
    await subsidy.start(tx, programme_id)
    return programme_id


async def _coupon(tx: Tx, currency: str, budget_id: uuid.UUID) -> None:
    saved = await promotions.save(
        tx,
        promotions.NewPromotion(
            name={"en": "10 off from 99", "zh-CN": "满 99 减 10"},
            code=COUPON,
            terms=promotions.Terms(
                kind=promotions.AmountOff(1000, level="order"),
                conditions=promotions.Conditions(
                    currency=currency, coupon=True, min_spend_minor=9900
                ),
                limits=promotions.Limits(per_person=1),
                funding=[promotions.Share(10_000, budget_id)],
            ),
        ),
    )
    await promotions.start(tx, saved.id)


async def _experiment(tx: Tx, currency: str) -> None:
    plan = experiments.Plan(
        en="Share words: what friends gain, or what you gain",
        zh="分享文案：朋友得到什么，还是你得到什么",
        hypothesis="Demonstration: simulated buyers.",
        variations=[
            experiments.Variation("control", 5000, "As it is", "现状"),
            experiments.Variation("friends", 5000, "What friends gain", "朋友得到什么"),
        ],
        goal="orders",
        metrics=["buyers", "revenue", "contribution"],
        currency=currency,
        horizon=400,
        least=30,
    )
    await experiments.save_experiment(tx, EXPERIMENT, plan)
    await experiments.start(tx, EXPERIMENT, "demonstration")


async def _journey(tx: Tx) -> None:
    """Two segments, a letter, and a journey after each first parcel; a fifth is held back."""
    for name, zh, least in (("Bought (demonstration)", "已购（演示）", 1),
                            ("Bought often (demonstration)", "多次购买（演示）", 3)):  # fmt: skip
        await audience.save_segment(
            tx,
            audience.NewSegment(
                name={"en": name, "zh-CN": zh},
                rule={"if": "number", "fact": "orders", "op": ">=", "value": least},
            ),
        )
    await messages.save_template(
        tx,
        TEMPLATE,
        "News (demonstration)",
        {"en": "New on the shelves", "zh-CN": "新书上架"},
        {
            "en": "Hello {{ name | you }}.\n\n[See what is new](/)",
            "zh-CN": "您好。\n\n[看看新书](/)",
        },
    )
    journey = await journeys.save_journey(
        tx,
        "After the first parcel (demonstration)",
        journeys.Plan(
            trigger=journeys.Trigger(event="orders.order_delivered"),
            goal="orders.order_placed",
            holdout_basis_points=2_000,
            steps=[
                journeys.Wait(seconds=86_400),
                journeys.Act(action="message", settings={"template": TEMPLATE}),
                journeys.Stop(),
            ],
        ),
    )
    await journeys.set_state(tx, journey.id, "live")
