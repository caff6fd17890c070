"""Composition: the one file that knows every module. A new module is added to the tuples here."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from types import ModuleType
from typing import Any

from pinwheel import faces, seeding
from pinwheel.demonstration import drawings
from pinwheel.demonstration import web as demonstration_web
from pinwheel.discovery import search
from pinwheel.discovery.search import jobs as search_jobs
from pinwheel.faces import console, storefront
from pinwheel.faces.console import imports_api_web
from pinwheel.ground import identity, media, messages, trust
from pinwheel.ground.identity import jobs as identity_jobs
from pinwheel.ground.identity import web as identity_web
from pinwheel.ground.ledger import jobs as ledger_jobs
from pinwheel.ground.media import jobs as media_jobs
from pinwheel.ground.media import web as media_web
from pinwheel.ground.messages import jobs as messages_jobs
from pinwheel.ground.messages import web as messages_web
from pinwheel.ground.trust import jobs as trust_jobs
from pinwheel.ground.trust import web as trust_web
from pinwheel.growth import bigdays, community, journeys, measurement, newcomers, social, subsidy
from pinwheel.growth.bigdays import jobs as bigdays_jobs
from pinwheel.growth.bigdays import web as bigdays_web
from pinwheel.growth.community import jobs as community_jobs
from pinwheel.growth.community import web as community_web
from pinwheel.growth.journeys import jobs as journeys_jobs
from pinwheel.growth.journeys import web as journeys_web
from pinwheel.growth.measurement import jobs as measurement_jobs
from pinwheel.growth.measurement import web as measurement_web
from pinwheel.growth.newcomers import jobs as newcomers_jobs
from pinwheel.growth.newcomers import web as newcomers_web
from pinwheel.growth.social import bargain_jobs, invite_jobs, team_jobs
from pinwheel.growth.social import bargain_web as bargain_api
from pinwheel.growth.social import team_web as team_api
from pinwheel.growth.subsidy import jobs as subsidy_jobs
from pinwheel.growth.subsidy import web as subsidy_web
from pinwheel.insight import audience, experiments, profiles, tracking
from pinwheel.insight.audience import jobs as audience_jobs
from pinwheel.insight.audience import web as audience_web
from pinwheel.insight.experiments import jobs as experiments_jobs
from pinwheel.insight.experiments import web as experiments_web
from pinwheel.insight.profiles import jobs as profiles_jobs
from pinwheel.insight.profiles import web as profiles_web
from pinwheel.insight.tracking import jobs as tracking_jobs
from pinwheel.insight.tracking import web as tracking_web
from pinwheel.kernel import observe, upkeep
from pinwheel.kernel import settings as kernel_settings
from pinwheel.kernel.db import Database, connect
from pinwheel.kernel.events import Reactions
from pinwheel.kernel.settings import Settings
from pinwheel.kernel.vault import Vault
from pinwheel.kernel.web import Edge, routes_of
from pinwheel.platform.open import jobs as open_jobs
from pinwheel.platform.open import web as open_web
from pinwheel.trade import giftcards, orders, payments, promotions, returns
from pinwheel.trade.budgets import jobs as budgets_jobs
from pinwheel.trade.budgets import web as budgets_web
from pinwheel.trade.catalogue import categories_web as categories_api
from pinwheel.trade.catalogue import changes_web as changes_api
from pinwheel.trade.catalogue import jobs as catalogue_jobs
from pinwheel.trade.catalogue import web as catalogue_api
from pinwheel.trade.giftcards import jobs as giftcards_jobs
from pinwheel.trade.giftcards import web as gift_cards_web
from pinwheel.trade.inventory import jobs as inventory_jobs
from pinwheel.trade.marketplace import jobs as marketplace_jobs
from pinwheel.trade.marketplace import web as marketplace_api
from pinwheel.trade.orders import (
    backorder_jobs,
    budget_jobs,
    cart_jobs,
    cart_web,
    customers_web,
    one_click_jobs,
    one_click_web,
    price_jobs,
    price_web,
    stock_web,
)
from pinwheel.trade.orders import jobs as orders_jobs
from pinwheel.trade.orders import web as orders_web
from pinwheel.trade.payments import cash_jobs, desk_web, gift_jobs
from pinwheel.trade.payments import jobs as payments_jobs
from pinwheel.trade.payments import tender_web as tender_api
from pinwheel.trade.payments import web as payments_web
from pinwheel.trade.pricing import jobs as pricing_jobs
from pinwheel.trade.pricing import rules_jobs
from pinwheel.trade.promotions import jobs as promotions_jobs
from pinwheel.trade.promotions import web as promotions_web
from pinwheel.trade.returns import exchange_jobs, sending_jobs, sending_web, trial_jobs
from pinwheel.trade.returns import jobs as returns_jobs
from pinwheel.trade.returns import web as returns_web

JOBS: tuple[ModuleType, ...] = (
    upkeep,
    identity_jobs,
    media_jobs,
    messages_jobs,
    ledger_jobs,
    trust_jobs,
    catalogue_jobs,
    budgets_jobs,
    pricing_jobs,
    rules_jobs,
    marketplace_jobs,
    inventory_jobs,
    payments_jobs,
    gift_jobs,
    cash_jobs,
    orders_jobs,
    backorder_jobs,
    budget_jobs,
    price_jobs,
    cart_jobs,
    one_click_jobs,
    returns_jobs,
    exchange_jobs,
    sending_jobs,
    trial_jobs,
    promotions_jobs,
    giftcards_jobs,
    tracking_jobs,
    profiles_jobs,
    experiments_jobs,
    audience_jobs,
    community_jobs,
    newcomers_jobs,
    journeys_jobs,
    team_jobs,
    bargain_jobs,
    invite_jobs,
    subsidy_jobs,
    measurement_jobs,
    bigdays_jobs,
    open_jobs,
    search_jobs,
    *console.JOBS,
)
"""The ``jobs`` module of every module that has one, from the ground up."""

WEB: tuple[ModuleType, ...] = (
    identity_web,
    media_web,
    trust_web,
    messages_web,
    catalogue_api,
    categories_api,
    changes_api,
    imports_api_web,
    budgets_web,
    marketplace_api,
    stock_web,
    payments_web,
    desk_web,
    tender_api,
    orders_web,
    customers_web,
    price_web,
    cart_web,
    one_click_web,
    gift_cards_web,
    returns_web,
    sending_web,
    promotions_web,
    tracking_web,
    profiles_web,
    audience_web,
    experiments_web,
    demonstration_web,
    community_web,
    team_api,
    bargain_api,
    journeys_web,
    subsidy_web,
    measurement_web,
    newcomers_web,
    bigdays_web,
    open_web,
    *storefront.WEB,
    *console.WEB,
)
"""The ``web`` module of every module that has one, then the faces'."""

CHAPTERS: Mapping[str, str] = {
    "Identity": "Accounts, sign-in, API keys and what a person may ask of their own data.",
    "Catalogue": "Categories, attributes, products and their variants; changes and their undoing.",
    "Imports": "Catalogues from files.",
    "Pictures": "Pictures that people and the staff send.",
    "Offers and prices": "Who sells which variant at what price.",
    "Price rules": "Prices that follow rules, costs and competitors.",
    "Stock": "What is where, what moves it, and the nodes that keep it.",
    "Customers": "People with an account, for the staff; every look is recorded.",
    "Cart": "What somebody is about to buy.",
    "Orders": "Quotes, orders, cancelling and goodwill.",
    "One-click": "Buying with one tap.",
    "Fulfilment": "Parcels.",
    "Returns": "What comes back, exchanges and trials.",
    "Payments": "Tenders, stored methods, refunds and settlement files.",
    "Till": "Cash at the counter.",
    "Gift cards": "Cards that are given out or sold, and what is owed on them.",
    "Budgets": "Whose money pays for discounts.",
    "Promotions": "Discounts, coupons and codes.",
    "Webhooks": "News sent to other programs, signed.",
    "Events": "The same news as a feed to read.",
}
"""What each chapter of the open API's document is about, in the order of reading."""

EXPORTS: tuple[identity.Contribution, ...] = (
    ("orders", orders.export_orders),
    ("returns", returns.export),
    ("coupons", promotions.export),
    ("gift cards", payments.export_gift_cards),
    ("pictures", media.export),
    ("trust", trust.export),
    ("letters", messages.export),
    ("community", community.export),
    ("audience", audience.export),
    ("newcomers", newcomers.export),
    ("journeys", journeys.export),
    ("teams", social.export_teams),
    ("bigdays", bigdays.export),
    ("bargains", social.export_bargains),
    ("invites", social.export_invites),
    ("subsidy", subsidy.export),
    ("growth", measurement.export),
    ("experiments", experiments.export),
    ("tracking", tracking.export),
    ("profile", profiles.export),
)
"""What modules add to the copy that a person may ask for: (name, question of tx and person id)."""

Opening = Callable[[Database, dict[str, Any]], AbstractAsyncContextManager[None]]


@asynccontextmanager
async def search_opening(db: Database, state: dict[str, Any]) -> AsyncIterator[None]:
    """The search desk: it reads the index that a working process keeps in the data directory."""
    desk = search.SearchDesk(db, db.given[Settings].data_dir / "search")
    state["search"] = desk
    running = asyncio.create_task(desk.run())
    try:
        yield
    finally:
        desk.stop()
        await asyncio.gather(running, return_exceptions=True)


OPENINGS: tuple[Opening, ...] = (search_opening,)
"""What must be opened once the database is: group commits, an index. Each puts what handlers need
into the dict; they find it as ``call.app.state[name]``."""


@asynccontextmanager
async def at_work(db: Database) -> AsyncIterator[None]:
    """What a process that runs the jobs keeps up besides them: the search index of its data
    directory. Of several, one follows and the others wait."""
    follower = search.Follower(db, db.given[Settings].data_dir / "search")
    running = asyncio.create_task(follower.run())
    try:
        yield
    finally:
        follower.stop()
        await asyncio.gather(running, return_exceptions=True)


Seeding = Callable[[Database, Callable[[str], None]], Awaitable[list[str]]]
SEED: Seeding | None = seeding.seed
"""Fills an empty database with the labelled demonstration shop, and says how to sign in there."""


PROMISING: tuple[str, ...] = (
    "pinwheel.ground.ledger",
    "pinwheel.ground.trust",
    "pinwheel.ground.messages",
    "pinwheel.trade.catalogue",
    "pinwheel.trade.budgets",
    "pinwheel.trade.pricing",
    "pinwheel.trade.marketplace",
    "pinwheel.trade.inventory",
    "pinwheel.trade.payments",
    "pinwheel.trade.orders",
    "pinwheel.trade.returns",
    "pinwheel.trade.promotions",
    "pinwheel.insight.tracking",
    "pinwheel.insight.profiles",
    "pinwheel.insight.audience",
    "pinwheel.insight.experiments",
    "pinwheel.growth.community",
    "pinwheel.growth.newcomers",
    "pinwheel.growth.journeys",
    "pinwheel.growth.social",
    "pinwheel.growth.subsidy",
    "pinwheel.growth.measurement",
    "pinwheel.growth.bigdays",
    "pinwheel.platform.open",
    "pinwheel.replay",
)
"""Every module that keeps an ``invariants.sql``: what the audit proves."""


def reactions() -> Reactions:
    """What follows from what, over the whole house."""
    return Reactions(JOBS)


async def open_database(settings: Settings, *, durable: bool = True) -> Database:
    """The database of ``settings``, with everything that reacts."""
    db = await connect(
        settings.database_url,
        reactions=reactions(),
        cell=settings.cell,
        size=settings.pool_size,
        vault=Vault.of_secret(settings.secret),
        durable=durable,
    )
    return furnish(db, settings)


def furnish(db: Database, settings: Settings) -> Database:
    """Give the house what its verbs ask for: payment providers, the row of stages."""
    media.use(db, settings.data_dir / "media")
    messages.use(db, settings)
    payments.use(db, settings)
    db.given[Settings] = settings
    checkout = orders.Checkout(
        social.TeamStage(),
        social.BargainStage(),
        newcomers.NewcomerStage(),
        bigdays.BigDayStage(),
        subsidy.SubsidyStage(withheld=subsidy.withheld),
        promotions.PromotionStage(audience.memberships),
        after_tax=(returns.TrialStage(), giftcards.GiftCardStage()),
        segments=audience.memberships,
        capture=settings.capture == "at_placement",
    )
    db.given[orders.Buying] = orders.Buying(db, checkout)
    journeys.use(
        db,
        journeys.Powers(
            actions={journeys.BENEFIT: journeys.grant_coupons}, variations=journeys.variations_of
        ),
    )
    db.given[bigdays.Gate] = bigdays.Gate(audience.memberships)
    db.given[social.LeaderRewards] = social.LeaderRewards(social.grant_coupon)
    db.given[profiles.Offers] = profiles.Offers(console.OFFERS)
    return db


def edge(
    settings: Settings, db: Database | None = None, *, lines: observe.Lines | None = None
) -> Edge:
    """Everything that answers requests. With ``db`` that one is used, otherwise one is opened."""

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            opened = db or await open_database(settings)
            if db is None:
                stack.push_async_callback(opened.close)
            app.state["db"] = opened
            state: dict[str, Any] = {}
            for opening in OPENINGS:
                await stack.enter_async_context(opening(opened, state))
            for name, value in state.items():
                app.state[name] = value
            yield

    return Edge(
        settings,
        routes_of(*WEB),
        recognise=identity.recognise,
        lifespan=lifespan,
        loader=faces.page_loader(),
        static=(faces.STATIC,),
        lines=lines,
        surroundings=surroundings,
        chapters=CHAPTERS,
        state={"exports": EXPORTS, "promising": PROMISING, "drawn": drawings.drawing},
    )


async def surroundings(call: Any) -> Mapping[str, Any]:
    """What the frame of every page shows."""
    return await storefront.surroundings(call) | {
        "shop": {
            "name": "Pinwheel",
            "is_demonstration": call.app.state["edge"].settings.demonstration,
        }
    }


def create() -> Edge:
    """For a server's worker processes: everything from the environment."""
    settings = kernel_settings.completed(kernel_settings.from_environment())
    observe.set_up_logs(settings.log_level)
    composed = edge(settings, lines=observe.Lines())
    spare_the_collector()
    return composed


def spare_the_collector() -> None:
    """What is loaded now stays: the garbage collector need not walk it for every few requests."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
