"""What the pages of growth show in the demonstration shop: a big day in its pre-heat with deposits,
a bargain that friends help, invitations, a price rule, a subsidy, an experiment, segments, a
journey and a letter with a control group. All through the verbs an operator and buyers use."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.ground import messages
from pinwheel.growth import bigdays, journeys, social, subsidy
from pinwheel.insight import audience, experiments
from pinwheel.kernel.db import Database, Tx
from pinwheel.seeding.marker import ACTOR
from pinwheel.trade import pricing

MARKET, CURRENCY = "CN", "CNY"
DAY = dt.timedelta(days=1)
DEPOSIT_MINOR = 1000
DEPOSITS, HELPS_DONE, INVITERS = 4, 4, 5
TEMPLATE = "demonstration-news"


class Thing(msgspec.Struct, frozen=True):
    """An offer of the demonstration with its price in China and what is free of it."""

    offer_id: uuid.UUID
    price_minor: int
    free: int


async def open_loops(
    tx: Tx, things: Sequence[Thing], budget: dict[str, uuid.UUID], people: Sequence[uuid.UUID]
) -> uuid.UUID:
    """Open all of them; the deal that takes deposits. ``people`` are simulated buyers, the one that
    visitors sign in as first. Nine things."""
    deal_id = await _big_day(tx, things[0:4], budget["deals"])
    await _bargain(tx, things[4], budget["bargains"], people)
    await _invites(tx, budget["invites"], people)
    await _prices(tx, things[5:7])
    await _subsidy(tx, things[7:9], budget["subsidy"])
    await _journeys(tx, people)
    await _experiment(tx, people)
    return deal_id


async def pay_deposits(db: Database, deal_id: uuid.UUID, people: Sequence[uuid.UUID]) -> None:
    """A few pieces are kept by deposits. Who has paid one is left as they are."""
    for person_id in people[:DEPOSITS]:
        new = bigdays.NewDeposit(
            promotion_id=deal_id, person_id=person_id, provider="sandbox", method="tok_ok"
        )
        try:
            await bigdays.pay_deposit(db, new, actor=ACTOR)
        except bigdays.DepositExists:
            continue


async def _big_day(tx: Tx, things: Sequence[Thing], budget_id: uuid.UUID) -> uuid.UUID:
    starts_at = tx.now.replace(minute=0, second=0, microsecond=0) + 3 * DAY
    event_id = await bigdays.save_event(
        tx,
        bigdays.NewEvent(
            name_en="Reading festival (demonstration)",
            name_zh="读书节（演示）",
            market=MARKET,
            preheat_at=tx.now,
            starts_at=starts_at,
            ends_at=starts_at + DAY,
            expected_per_hour=40,
            pick_per_hour=60,
        ),
    )
    slots = [
        bigdays.NewSlot(
            name_en=name, name_zh=zh, starts_at=starts_at + n * DAY / 2,
            ends_at=starts_at + (n + 1) * DAY / 2,
        )
        for n, (name, zh) in enumerate((("Morning", "上午场"), ("Evening", "晚间场")))
    ]  # fmt: skip
    slot_ids = [await bigdays.add_slot(tx, event_id, slot) for slot in slots]
    deals = []
    for n, thing in enumerate(things):
        slot = slots[n % 2]
        takes_deposits = n == 0
        new = bigdays.NewDeal(
            slot_id=slot_ids[n % 2],
            offer_id=thing.offer_id,
            price_minor=max(DEPOSIT_MINOR, thing.price_minor * 55 // 100),
            pieces=min(30, thing.free // 2),
            budget_id=budget_id,
            deposit_minor=DEPOSIT_MINOR if takes_deposits else None,
            balance_from=slot.starts_at if takes_deposits else None,
            balance_until=slot.ends_at if takes_deposits else None,
        )
        deals.append(await bigdays.add_deal(tx, event_id, new))
    await bigdays.start(tx, event_id, "demonstration")
    return deals[0]


async def _bargain(tx: Tx, thing: Thing, budget_id: uuid.UUID, people: Sequence[uuid.UUID]) -> None:
    campaign_id = await social.save_bargain_campaign(
        tx,
        social.BargainTerms(
            name={"en": "Cut it together (demonstration)", "zh-CN": "一起砍一刀（演示）"},
            market=MARKET,
            currency=CURRENCY,
            offer_id=thing.offer_id,
            list_minor=thing.price_minor,
            floor_minor=thing.price_minor // 10,
            helps=8,
            window_seconds=3 * 86_400,
            budget_id=budget_id,
            pieces_total=min(20, thing.free // 2),
            stock="reserved",
        ),
    )
    await social.start_bargain_campaign(tx, campaign_id)
    begun = await social.start_bargain(tx, campaign_id, people[0])
    wishes = [
        social.Help(bargain_id=begun.id, person_id=helper) for helper in people[1 : HELPS_DONE + 1]
    ]
    await social.help_bargains(tx, wishes)


async def _invites(tx: Tx, budget_id: uuid.UUID, people: Sequence[uuid.UUID]) -> None:
    campaign_id = await social.save_invite_campaign(
        tx,
        social.InviteTerms(
            name={"en": "Bring a reader (demonstration)", "zh-CN": "邀请书友（演示）"},
            currency=CURRENCY,
            budget_id=budget_id,
            inviter_minor=1000,
            invitee_minor=1000,
            least_order_minor=5000,
            return_days=7,
        ),
    )
    await social.set_invite_campaign(tx, campaign_id, running=True)
    for person_id in people[:INVITERS]:
        await social.join_campaign(tx, campaign_id, person_id)
        await social.link_of(tx, person_id, "invite", campaign_id=campaign_id)


async def _prices(tx: Tx, things: Sequence[Thing]) -> None:
    rule = await pricing.save_rule(
        tx,
        pricing.Terms(
            currency=CURRENCY,
            kind="percent_off",
            value=500,
            offers=[thing.offer_id for thing in things],
            min_quantity=3,
        ),
        name="Three or more (demonstration) · 三件起优惠（演示）",
        reason="demonstration",
    )
    await pricing.publish_rule(tx, rule.id, "demonstration")


async def _subsidy(tx: Tx, things: Sequence[Thing], budget_id: uuid.UUID) -> None:
    programme_id = await subsidy.save_programme(
        tx,
        subsidy.NewProgramme(
            name={"en": "Subsidised (demonstration)", "zh-CN": "百亿补贴（演示）"},
            currency=CURRENCY,
            platform_budget_id=budget_id,
            starts_at=tx.now,
            ends_at=tx.now + 60 * DAY,
        ),
    )
    await subsidy.put_goods(
        tx,
        programme_id,
        [
            subsidy.NewGoods(
                offer_id=thing.offer_id,
                target_minor=max(1, thing.price_minor * 8 // 10),
                references=[
                    subsidy.Reference(
                        source="Simulated market · 模拟市场", price_minor=thing.price_minor
                    )
                ],
            )
            for thing in things
        ],
    )
    await subsidy.start(tx, programme_id)


async def _journeys(tx: Tx, people: Sequence[uuid.UUID]) -> None:
    """Two segments, a journey with people on their way, a letter of which some get none."""
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
            steps=[
                journeys.Wait(seconds=86_400),
                journeys.Act(action="message", settings={"template": TEMPLATE}),
                journeys.Stop(),
            ],
        ),
    )
    await journeys.set_state(tx, journey.id, "live")
    entries = [journeys.Entry(person_id=p, key="demonstration") for p in people[:20]]
    await journeys.enrol(tx, journey.id, entries)
    campaign = await journeys.save_campaign(
        tx,
        journeys.NewCampaign(
            name="New on the shelves (demonstration)",
            template=TEMPLATE,
            people=list(people),
            holdout_basis_points=2_000,
        ),
    )
    await journeys.schedule(tx, campaign.id)


async def _experiment(tx: Tx, people: Sequence[uuid.UUID]) -> None:
    """The one with words to share begins, and simulated buyers have seen theirs."""
    await experiments.start(tx, "share-words", "demonstration")
    found = await experiments.assigned(tx, "share-words", list(people))
    await experiments.expose(tx, list(found.values()))
