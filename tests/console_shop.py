"""One of everything that the console has a page for, put into a demonstration shop by the verbs
that an operator's buttons call; and the address of every page, with ids that lead somewhere."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pinwheel.faces import console
from pinwheel.ground import messages
from pinwheel.growth import bigdays, journeys, social, subsidy
from pinwheel.growth.journeys import Act, Entry, NewCampaign, Plan, Trigger, Wait
from pinwheel.insight import audience
from pinwheel.insight.audience import NewSegment
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.web import routes_of
from pinwheel.platform import open as open_platform
from pinwheel.trade import budgets, imports, orders, payments, pricing, promotions, returns

CURRENCY, MARKET, DAY = "CNY", "CN", dt.timedelta(days=1)
WELCOME = {
    "subject": {"en": "Welcome back", "zh-CN": "欢迎回来"},
    "body": {"en": "We kept something for you.", "zh-CN": "为您留了一份心意。"},
}


async def fill_desk(db: Database, folder: Path) -> None:
    """Fill what the seed leaves empty. ``folder`` takes a file to import."""
    async with db.transaction(actor="test") as tx:
        budget = await _budget(tx)
        offers: list[uuid.UUID] = await tx.values(
            """
            select o.id from marketplace.offer o
             where exists (select from pricing.price p where p.offer_id = o.id
                              and p.currency = 'CNY' and p.price_minor > 2000)
             order by o.id limit 12
            """
        )
        people: list[uuid.UUID] = await tx.values(
            "select person_id from audience.person where orders > 0 order by person_id"
        )
        segment_id = await _segments(tx)
        await _prices(tx, offers, budget)
        await _subsidy(tx, offers, budget)
        await _sharing(tx, offers, budget, people)
        await _big_day(tx, offers, segment_id)
        await _batch(tx)
        endpoint = open_platform.NewEndpoint(url="https://example.com/hook", label="Warehouse")
        await open_platform.add_endpoint(tx, endpoint)
        await payments.open_till(tx, "Counter (demonstration)", CURRENCY, float_minor=20_000)
        await _return_rules(tx)
    async with db.transaction(actor="test") as tx:
        await _letters(tx, segment_id, people)
    await _team(db, people[1])
    file = folder / "goods.csv"
    file.write_text("Handle,Title,Variant SKU,Variant Price\na,A thing,NEW-1,x\nb,B,NEW-2,9\n")
    await imports.run(db, "shopify-csv", file, currency=CURRENCY)


async def _budget(tx: Tx) -> uuid.UUID:
    [budget] = await budgets.open_budgets(
        tx, [budgets.NewBudget(name="Desk (demonstration)", currency=CURRENCY)]
    )
    assert isinstance(budget, uuid.UUID)
    await budgets.fund(tx, budget, 3_000_000, "demonstration")
    return budget


async def _segments(tx: Tx) -> uuid.UUID:
    twice = {"if": "number", "fact": "orders", "op": ">=", "value": 2}
    name = {"en": "Bought twice", "zh-CN": "买过两次"}
    saved = await audience.save_segment(
        tx, NewSegment(name=name, rule=twice, holdout_basis_points=2_000)
    )
    large = {"en": "Large cities", "zh-CN": "大城市"}
    await audience.save_segment(tx, NewSegment(name=large, rule={"if": "tier", "any_of": [1, 2]}))
    return saved.id


async def _prices(tx: Tx, offers: list[uuid.UUID], budget: uuid.UUID) -> None:
    terms = pricing.Terms(currency=CURRENCY, kind="percent_off", value=500, offers=offers[:3])
    await pricing.save_rule(tx, terms, name="Five off", reason="demonstration")
    now = await pricing.prices(tx, offers, CURRENCY)
    [variant] = await tx.values("select variant_id from marketplace.offer where id = $1", offers[0])
    price = now[offers[0]].price_minor
    await pricing.set_guards(
        tx,
        [
            pricing.NewGuard(
                offer_id=offers[0],
                variant_id=variant,
                currency=CURRENCY,
                cost_minor=price * 6 // 5,
                floor_minor=price * 9 // 10,
                reason="demonstration",
            )
        ],
    )
    seen = [
        pricing.SeenPrice(
            offer_id=offer,
            competitor="Elsewhere",
            currency=CURRENCY,
            price_minor=now[offer].price_minor * share // 100,
            url="https://example.com/elsewhere",
        )
        for offer, share in zip(offers, (70, 97, 104, 99, 60), strict=False)
    ]
    await pricing.import_seen_prices(tx, seen, "csv")
    one = pricing.Repricing(
        id=tx.new_id(),
        name="Match Elsewhere",
        currency=CURRENCY,
        offers=[],
        kind="match",
        by_minor=0,
        max_age_hours=48,
        publish_within_basis_points=400,
        most_change_basis_points=2_000,
        is_active=True,
    )
    await pricing.save_repricing(tx, one)
    await pricing.propose(tx, one)


async def _subsidy(tx: Tx, offers: list[uuid.UUID], budget: uuid.UUID) -> None:
    programme = await subsidy.save_programme(
        tx,
        subsidy.NewProgramme(
            name={"en": "Ten billion", "zh-CN": "百亿补贴"},
            currency=CURRENCY,
            platform_budget_id=budget,
            starts_at=tx.now,
            ends_at=tx.now + 9 * DAY,
        ),
    )
    price = (await pricing.prices(tx, offers[5:6], CURRENCY))[offers[5]].price_minor
    reference = subsidy.Reference(
        source="Elsewhere", price_minor=price, seen_at=tx.now, url="https://example.com/a"
    )
    goods = subsidy.NewGoods(
        offer_id=offers[5], target_minor=price * 8 // 10, references=[reference]
    )
    await subsidy.put_goods(tx, programme, [goods])
    await subsidy.start(tx, programme)


async def _sharing(
    tx: Tx, offers: list[uuid.UUID], budget: uuid.UUID, people: list[uuid.UUID]
) -> None:
    price = (await pricing.prices(tx, offers[6:7], CURRENCY))[offers[6]].price_minor
    terms = social.BargainTerms(
        name={"en": "Bargain with friends", "zh-CN": "好友砍价"},
        market=MARKET,
        currency=CURRENCY,
        offer_id=offers[6],
        list_minor=price,
        floor_minor=price // 2,
        helps=5,
        budget_id=budget,
    )
    bargain = await social.save_bargain_campaign(tx, terms)
    await social.start_bargain_campaign(tx, bargain)
    await social.start_bargain(tx, bargain, people[0], initials="A")
    invite = await social.save_invite_campaign(
        tx,
        social.InviteTerms(
            name={"en": "Promote us", "zh-CN": "推广我们"},
            kind="promoter",
            currency=CURRENCY,
            budget_id=budget,
            commission_basis_points=800,
            commission_days=30,
        ),
    )
    await social.set_invite_campaign(tx, invite, running=True)
    await social.join_campaign(tx, invite, people[0])


async def _big_day(tx: Tx, offers: list[uuid.UUID], segment_id: uuid.UUID) -> None:
    event = await bigdays.save_event(
        tx,
        bigdays.NewEvent(
            name_en="Readers' day",
            name_zh="读者节",
            market=MARKET,
            preheat_at=tx.now,
            starts_at=tx.now + DAY,
            ends_at=tx.now + 2 * DAY,
            expected_per_hour=200,
            pick_per_hour=120,
        ),
    )
    slot = await bigdays.add_slot(
        tx,
        event,
        bigdays.NewSlot(
            name_en="Morning",
            name_zh="上午场",
            starts_at=tx.now + DAY,
            ends_at=tx.now + DAY + dt.timedelta(hours=4),
        ),
    )
    price = (await pricing.prices(tx, offers[7:8], CURRENCY))[offers[7]].price_minor
    deal = bigdays.NewDeal(slot_id=slot, offer_id=offers[7], price_minor=price * 7 // 10, pieces=5)
    await bigdays.add_deal(tx, event, deal)


async def _batch(tx: Tx) -> None:
    [promotion] = await tx.values(
        "select id from promotions.promotion where terms->'conditions'->>'coupon' = 'true' limit 1"
    )
    await promotions.make_codes(tx, promotion, 20, note="demonstration")


async def _return_rules(tx: Tx) -> None:
    category = await tx.value("select id from catalogue.category order by slug limit 1")
    await returns.set_policy(
        tx, returns.CategoryPolicy(market=MARKET, category_id=uuid.UUID(int=0))
    )
    await returns.set_policy(
        tx, returns.CategoryPolicy(market=MARKET, category_id=category, freight_minor=800)
    )
    await returns.set_way_offer(tx, returns.WayOffer(market=MARKET, kind="pickup", extra_minor=600))
    await returns.set_window(tx, returns.Window(market=MARKET, from_hour=9, until_hour=12, most=20))
    point = returns.Point(
        code="SH-01",
        name={"en": "Riverside counter", "zh-CN": "滨河退货点"},
        address="1 Demonstration Road",
        country=MARKET,
    )
    await returns.save_point(tx, point)
    await returns.set_trial_rule(tx, returns.TrialRule(market=MARKET, category_id=category))


async def _team(db: Database, person_id: uuid.UUID) -> None:
    """Somebody opens a team and pays."""
    async with db.reading() as tx:
        [campaign_id] = await tx.values(
            "select id from social.team_campaign where market = $1 limit 1", MARKET
        )
        [offer_id] = await tx.values(
            "select offer_id from social.team_offer where campaign_id = $1 limit 1", campaign_id
        )
    await db.given[orders.Buying].buy(
        orders.Draft(
            id=uuid.uuid4(),
            items=[orders.Item(offer_id, 1)],
            market=MARKET,
            country=MARKET,
            tenders=[orders.Tender("sandbox", "tok_ok")],
            person_id=person_id,
            claims=[orders.Claim("team_open", campaign_id)],
        )
    )


async def _letters(tx: Tx, segment_id: uuid.UUID, people: list[uuid.UUID]) -> None:
    """A journey and a campaign that began 20 days ago, so that what was bought since counts."""
    await messages.save_template(tx, "welcome-back", "Welcome back", **WELCOME)
    plan = Plan(
        trigger=Trigger(event="orders.order_placed"),
        goal="orders.order_placed",
        holdout_basis_points=3_000,
        steps=[
            Wait(seconds=86_400),
            Act(action="message", settings={"template": "welcome-back"}),
        ],
    )
    journey = await journeys.save_journey(tx, "After an order", plan)
    await journeys.set_state(tx, journey.id, "live")
    await journeys.enrol(tx, journey.id, [Entry(person_id=p, key="first") for p in people])
    await tx.run(
        """
        update journeys.enrolment set entered_at = entered_at - interval '20 days',
               goal_until = goal_until - interval '5 days' where journey_id = $1
        """,
        journey.id,
    )
    new = NewCampaign(
        name="Autumn letter",
        template="welcome-back",
        people=people,
        holdout_basis_points=3_000,
        window_days=14,
    )
    campaign = await journeys.save_campaign(tx, new)
    await journeys.schedule(tx, campaign.id)


IDS: Mapping[str, str] = {
    "orders/{number:str}": 'select number from orders."order" order by id desc limit 1',
    "returns/{return_id:uuid}": "select id from returns.rma order by id desc limit 1",
    "{person_id:uuid}": "select person_id from audience.person order by orders desc limit 1",
    "{promotion_id:uuid}": "select id from promotions.promotion order by id desc limit 1",
    "bigdays/{event_id:uuid}": "select id from bigdays.event limit 1",
    "events/{event_id:uuid}": "select id from kernel.event order by id desc limit 1",
    "{till_id:uuid}": "select id from payments.till limit 1",
    "{batch_id:uuid}": "select id from promotions.batch limit 1",
    "{segment_id:uuid}": "select id from audience.segment order by id limit 1",
    "{job_id:uuid}": "select id from imports.job limit 1",
    "{product_id:uuid}": "select id from catalogue.product where status = 'published' limit 1",
    "{offer_id:uuid}": "select offer_id from pricing.guard limit 1",
    "categories/{slug:str}": "select slug from catalogue.category order by slug limit 1",
    "{change_id:uuid}": "select id from catalogue.change limit 1",
    "{variant_id:uuid}": "select variant_id from inventory.position limit 1",
    "{payment_id:uuid}": "select id from payments.payment order by id desc limit 1",
    "{budget_id:uuid}": "select id from budgets.budget order by id desc limit 1",
    "{rule_id:uuid}": "select id from pricing.rule limit 1",
    "{repricing_id:uuid}": "select id from pricing.repricing limit 1",
    "{programme_id:uuid}": "select id from subsidy.programme limit 1",
    "{message_id:uuid}": "select id from messages.message order by id desc limit 1",
    "letters/{slug:str}": "select slug from messages.template limit 1",
    "campaigns/{campaign_id:uuid}": "select id from journeys.campaign limit 1",
    "{journey_id:uuid}": "select id from journeys.journey limit 1",
    "teams/{campaign_id:uuid}": "select id from social.team_campaign limit 1",
    "{team_id:uuid}": "select id from social.team limit 1",
    "{cluster_id:uuid}": "select id from trust.cluster limit 1",
    "{pool_id:uuid}": "select id from newcomers.pool limit 1",
    "experiments/{key:str}": "select key from experiments.experiment limit 1",
    "{endpoint_id:uuid}": "select id from open.endpoint limit 1",
}
ASKED: Mapping[str, str] = {
    "/console/search": "?q=zzqq",
    "/console/prices/preview": "?currency=CNY&price=12.00",
    "/console/ledger/account": "?code=deposits:CNY",
    "/console/import/preview": "?source=shopify-csv&path=none.csv",
}
TABS: Mapping[str, tuple[str, ...]] = {
    "/console/return-rules": ("ways", "hours", "points", "trials"),
    "/console/settings": ("tax", "delivery", "staff", "privacy", "process"),
}
"""Pages whose other tabs hold other forms."""
NOT_PAGES = {
    *("/console", "/console/search", "/console/waiting", "/console/prices/preview"),
    "/console/codes/{batch_id:uuid}",
}
"""An address that leads on, pieces of pages, and a file."""
UNSEEDED = {"/console/import/preview"}
"""Asks for a file that somebody is about to upload."""


async def addresses(db: Database) -> dict[str, str]:
    """Every page of the console by its route, with ids that lead somewhere. Fails for one that the
    shop has nothing for: a new page wants its example here."""
    found: dict[str, str] = {}
    missing = []
    async with db.reading() as tx:
        for route in routes_of(*console.WEB):
            path = route.paths[0]
            if route.method != "GET" or path in NOT_PAGES | UNSEEDED or path.endswith(".csv"):
                continue
            filled = await _filled(tx, path)
            if filled is None:
                missing.append(path)
            else:
                found[path] = filled + ASKED.get(path, "")
            found |= {f"{path} {tab}": f"{path}?tab={tab}" for tab in TABS.get(path, ())}
    assert not missing, missing
    return found


async def _filled(tx: Tx, path: str) -> str | None:
    for part, query in IDS.items():
        if part not in path:
            continue
        value: Any = await tx.connection.fetchval(query)
        if value is None:
            return None
        name = re.search(r"{.*}", part)
        assert name is not None
        path = path.replace(name[0], str(value))
    if path.endswith("/prices"):
        path += f"?currency={CURRENCY}"
    return None if "{" in path else path
