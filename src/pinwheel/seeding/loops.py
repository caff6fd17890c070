"""What begins in the demonstration shop as it opens: a big day in its pre-heat with deposits, a
price rule, and what may be tried at home. All through the verbs an operator and buyers use."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Sequence

import msgspec

from pinwheel.demonstration import DemoProduct
from pinwheel.growth import bigdays
from pinwheel.insight import audience
from pinwheel.kernel.db import Database, Tx
from pinwheel.seeding.campaigns import put_subsidised
from pinwheel.seeding.goods import offers_of
from pinwheel.seeding.living import Living, zone_of
from pinwheel.seeding.marker import ACTOR, Marker
from pinwheel.seeding.shelf import sku_of
from pinwheel.trade import catalogue, inventory, pricing, returns

DAY = dt.timedelta(days=1)
DEPOSIT_MINOR = 1000
DEPOSITS, DONE, LEAST_FREE = 4, 2, 4
TRIED = ("carry", "light-sound")
TRIED_MOST_MINOR = {"CN": 60_000, "GB": 8_000}


class Thing(msgspec.Struct, frozen=True):
    """An offer of the demonstration with its price at home and what is free of it."""

    offer_id: uuid.UUID
    price_minor: int
    free: int


async def open_today(
    db: Database, marker: Marker, living: Living | None, say: Callable[[str], None]
) -> None:
    """Once, in one transaction; then deposits, each its own."""
    if marker.at("growth") >= DONE:
        return
    if not marker.at("growth"):
        async with db.transaction(actor=ACTOR) as tx:
            await _let_try(tx)
            if living is not None:
                marker.deal_id = await _open(tx, living)
            await marker.reach(tx, "growth", 1)
    if marker.deal_id is not None and living is not None:
        await _pay_deposits(db, marker.deal_id, living)
    async with db.transaction(actor=ACTOR) as tx:
        tx.emit(audience.ValueDue())
        await marker.reach(tx, "growth", DONE)
    say("  teams, deals, newcomer prices, coupons / 拼团、限时优惠、新人专享、优惠券")
    say("  a big day, bargains, invitations, journeys / 大促、砍价、邀请、营销旅程")


async def _let_try(tx: Tx) -> None:
    """Lamps, radios and bags may be tried at home before they are paid for."""
    mine = [c.id for c in await catalogue.categories(tx) if c.slug in TRIED]
    for market, most in TRIED_MOST_MINOR.items():
        for category_id in mine:
            rule = returns.TrialRule(market=market, category_id=category_id, most_minor=most)
            await returns.set_trial_rule(tx, rule)


async def _open(tx: Tx, living: Living) -> uuid.UUID | None:
    """The deal of the big day that takes deposits; what subsidised goods cost elsewhere now."""
    home = living.home
    if home.opened is None:
        return None
    await _prices(
        tx, await _things(tx, home.shelf.prices, home.shelf.currency), home.shelf.currency
    )
    if home.opened.programme_id is not None:
        await put_subsidised(tx, home.opened.programme_id, home.shelf, living.offers)
    things = await _things(tx, home.shelf.big_day, home.shelf.currency)
    if not things:
        return None
    return await _big_day(tx, things, home.name, home.opened.budgets["deals"])


async def _things(tx: Tx, products: Sequence[DemoProduct], currency: str) -> list[Thing]:
    """Those with a price and enough stock to put some aside."""
    skus = [sku_of(product) for product in products]
    found = await catalogue.skus(tx, skus)
    offers = await offers_of(tx, skus)
    prices = await pricing.prices(tx, list(offers.values()), currency)
    free: dict[uuid.UUID, int] = {}
    for position in await inventory.positions(tx, [s.variant_id for s in found.values()]):
        free[position.variant_id] = free.get(position.variant_id, 0) + max(0, position.atp)
    return [
        Thing(offers[sku], prices[offers[sku]].price_minor, left)
        for sku in skus
        if offers.get(sku) in prices and (left := free.get(found[sku].variant_id, 0)) >= LEAST_FREE
    ]


async def _pay_deposits(db: Database, deal_id: uuid.UUID, living: Living) -> None:
    """A few pieces are kept by deposits. Who has paid one is left as they are."""
    first = [living.people[number] for number in sorted(living.people)][:DEPOSITS]
    for person_id in first:
        new = bigdays.NewDeposit(
            promotion_id=deal_id, person_id=person_id, provider="sandbox", method="tok_ok"
        )
        try:
            await bigdays.pay_deposit(db, new, actor=ACTOR)
        except bigdays.DepositExists:
            continue


async def _big_day(tx: Tx, things: Sequence[Thing], market: str, budget_id: uuid.UUID) -> uuid.UUID:
    here = tx.now.astimezone(zone_of(tx.db))
    starts_at = here.replace(hour=8, minute=0, second=0, microsecond=0) + 3 * DAY
    event_id = await bigdays.save_event(
        tx,
        bigdays.NewEvent(
            name_en="Reading festival (demonstration)",
            name_zh="读书节（演示）",
            market=market,
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


async def _prices(tx: Tx, things: Sequence[Thing], currency: str) -> None:
    if not things:
        return
    rule = await pricing.save_rule(
        tx,
        pricing.Terms(
            currency=currency,
            kind="percent_off",
            value=500,
            offers=[thing.offer_id for thing in things],
            min_quantity=3,
        ),
        name="Three or more (demonstration) · 三件起优惠（演示）",
        reason="demonstration",
    )
    await pricing.publish_rule(tx, rule.id, "demonstration")
