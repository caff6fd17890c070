"""The price a buyer sees is the price a buyer pays: shown prices against the real quote."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from typing import Any

import pytest

from pinwheel.growth import bigdays, subsidy
from pinwheel.growth.subsidy import NewGoods, NewProgramme, Reference
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade import budgets, orders, pricing, promotions
from pinwheel.trade.orders import Buying, Checkout, Viewer
from pinwheel.trade.pricing import NewGuard
from shop import Shop, open_shop

FRIEND = uuid.UUID(int=7001)
GUEST = uuid.UUID(int=7002)
PRICES = (1000, 250, 1999, 4700, 80)


async def segments(tx: Tx, people: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, Collection[object]]:
    return {person: {"friends"} if person == FRIEND else set() for person in people}


@pytest.fixture
async def shop(db: Database) -> Shop:
    opened = await open_shop(db, PRICES, [{"MAIN": 1000}] * len(PRICES))
    opened.buying = Buying(
        db,
        Checkout(
            bigdays.BigDayStage(),
            subsidy.SubsidyStage(),
            promotions.PromotionStage(segments),  # type: ignore[arg-type]
            segments=segments,
        ),
    )
    db.given[Buying] = opened.buying
    return opened


async def shown(shop: Shop, person: uuid.UUID | None) -> dict[uuid.UUID, orders.Shown]:
    async with shop.db.reading() as tx:
        revision = await tx.value("select version from orders.v_revision")
        viewer = Viewer(market="GB", country="GB", person_id=person)
        found: dict[uuid.UUID, orders.Shown] = await shop.buying.checkout.shown(
            tx, viewer, shop.offers, revision
        )
    return found


async def quoted(shop: Shop, number: int, person: uuid.UUID, quantity: int = 1) -> int | None:
    """What one piece costs by the quote; None where there is none."""
    async with shop.db.reading() as tx:
        draft = shop.draft((number, quantity), person_id=person)
        [quote] = await shop.buying.checkout.quote(tx, [draft])
    if not isinstance(quote, orders.Quote):
        return None
    return sum(line.goods_minor - line.discount_minor for line in quote.lines)


async def rule(shop: Shop, **more: Any) -> pricing.Rule:
    outer: dict[str, Any] = {"priority": 0, "starts_at": None, "ends_at": None, "name": "Rule"}
    outer |= {k: more.pop(k) for k in list(more) if k in outer}
    async with shop.db.transaction(actor="operator:a") as tx:
        saved = await pricing.save_rule(
            tx, pricing.Terms(currency="GBP", **more), reason="spring", **outer
        )
        return await pricing.publish_rule(tx, saved.id, "agreed")


async def subsidise(shop: Shop, number: int, target_minor: int, funded_minor: int) -> None:
    async with shop.db.transaction(actor="operator:a") as tx:
        name = str(tx.new_id())
        [budget] = await budgets.open_budgets(tx, [budgets.NewBudget(name=name, currency="GBP")])
        assert isinstance(budget, uuid.UUID)
        if funded_minor:
            await budgets.fund(tx, budget, funded_minor, "ten billion")
        programme = await subsidy.save_programme(
            tx,
            NewProgramme(
                name={"en": "Ten billion", "zh-CN": "百亿补贴"},
                currency="GBP",
                platform_budget_id=budget,
                identity_pieces=1,
                starts_at=tx.now,
                ends_at=tx.now + dt.timedelta(days=9),
            ),
        )
        elsewhere = Reference(source="Elsewhere", price_minor=PRICES[number])
        goods = NewGoods(
            offer_id=shop.offers[number], target_minor=target_minor, references=[elsewhere]
        )
        await subsidy.put_goods(tx, programme, [goods])
        await subsidy.start(tx, programme)


async def promote(shop: Shop, kind: Any, **more: Any) -> promotions.Promotion:
    own = {k: more.pop(k) for k in ("starts_at", "ends_at", "is_deal", "code") if k in more}
    conditions = more.pop("conditions", promotions.Conditions(currency="GBP"))
    terms = promotions.Terms(kind=kind, conditions=conditions, **more)
    new = promotions.NewPromotion(name={"en": "Spring", "zh-CN": "春季"}, terms=terms, **own)
    async with shop.db.transaction(actor="test") as tx:
        return await promotions.start(tx, (await promotions.save(tx, new)).id)


async def something(shop: Shop, chance: random.Random) -> None:
    """One random thing that changes prices, or only might."""
    number = chance.randrange(len(PRICES))
    offer, now = shop.offers[number], shop.db.clock.now()
    window = chance.choice([(None, None), (now, now + dt.timedelta(hours=2)),
                            (now + dt.timedelta(hours=1), None)])  # fmt: skip
    what = chance.randrange(8)
    if what < 3:
        kind = chance.choice(["percent_off", "amount_off", "fixed", "list"])
        await rule(
            shop,
            kind=kind,
            value=chance.choice([500, 1500, 77]),
            prices={str(offer): chance.choice([900, 1200])} if kind == "list" else {},
            offers=[offer] if kind == "fixed" or chance.random() < 0.6 else [],
            channels=chance.choice([[], ["web"], ["app"]]),
            segments=chance.choice([[], ["friends"], ["others"]]),
            min_quantity=chance.choice([1, 1, 2, 3]),
            priority=chance.randrange(3),
            starts_at=window[0],
            ends_at=window[1],
        )
    elif what < 5:
        await subsidise(shop, number, chance.choice([50, 70]), chance.choice([0, 100, 100_000]))
    elif what < 6:
        await promote(
            shop,
            promotions.FixedPrice(chance.choice([60, 700])),
            scope=promotions.Scope(offers=[offer]),
            limits=promotions.Limits(uses=5, per_person=2, counts="pieces"),
            starts_at=now,
            ends_at=now + dt.timedelta(days=1),
            is_deal=True,
        )
    elif what < 7:
        await promote(
            shop,
            chance.choice([promotions.PercentageOff(1000), promotions.AmountOff(100, "order")]),
            combinable=chance.random() < 0.5,
            conditions=promotions.Conditions(
                currency="GBP",
                segments=chance.choice([[], ["friends"]]),
                first_order=chance.random() < 0.3,
                min_spend_minor=chance.choice([0, 900]),
            ),
        )
    else:
        async with shop.db.transaction(actor="operator:a") as tx:
            floor = NewGuard(
                offer_id=offer,
                variant_id=shop.variants[number],
                currency="GBP",
                floor_minor=chance.choice([40, 600, 5000]),
                reason="list",
            )
            await pricing.set_guards(tx, [floor])


@pytest.mark.parametrize("seed", range(24))
async def test_what_is_shown_is_what_is_quoted(shop: Shop, clock: SetClock, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(chance.randrange(1, 7)):
        try:
            await something(shop, chance)
        except pricing.RuleBelowFloor:
            continue
    if chance.random() < 0.4:
        with suppress(Refusal):
            await shop.buying.buy(shop.draft((0, 1), person_id=FRIEND))
    if chance.random() < 0.5:
        clock.travel(minutes=chance.choice([59, 60, 61, 120, 121]))
    differences: list[tuple[object, ...]] = []
    for person in (None, FRIEND, GUEST):
        seen = await shown(shop, person)
        for number, plain in enumerate(PRICES):
            paid = await quoted(shop, number, person or uuid.uuid4())
            one = seen.get(shop.offers[number])
            said = one.price_minor if one else plain
            if paid is not None and paid != said:
                differences.append((person, number, said, paid))
            for step in one.steps if one else ():
                many = await quoted(shop, number, person or uuid.uuid4(), step.quantity)
                if many != step.total_minor:
                    differences.append((person, number, step, many))
    assert differences == []


async def test_a_rule_for_more_pieces_is_a_hint_and_for_others_nothing(shop: Shop) -> None:
    await rule(shop, kind="percent_off", value=1000, min_quantity=2, offers=[shop.offers[0]])
    await rule(shop, kind="percent_off", value=5000, segments=["friends"], offers=[shop.offers[1]])
    seen = await shown(shop, None)
    first = seen[shop.offers[0]]
    assert (first.price_minor, first.regular_minor) == (1000, 1000)
    assert first.steps == [orders.Step(2, 1800)]
    assert shop.offers[1] not in seen  # nobody knows whether this is a friend
    assert (await shown(shop, FRIEND))[shop.offers[1]].price_minor == 125


async def test_a_page_asks_once_however_many_offers_it_has(shop: Shop) -> None:
    for number in range(len(PRICES)):
        await rule(shop, kind="amount_off", value=3, min_quantity=2, segments=["friends"])
        await subsidise(shop, number, 40, 100_000)
        await promote(
            shop,
            promotions.PercentageOff(100),
            scope=promotions.Scope(offers=[shop.offers[number]]),
            limits=promotions.Limits(per_person=3),
        )
    await shown(shop, FRIEND)  # what is kept in memory is there now

    async def counted(offers: Sequence[uuid.UUID]) -> int:
        async with shop.db.reading() as tx:
            revision = await tx.value("select version from orders.v_revision")
            viewer = Viewer(market="GB", country="GB", person_id=FRIEND)
            before = tx.statements
            found = await shop.buying.checkout.shown(tx, viewer, offers, revision)
            assert len(found) == len(offers)
            made: int = tx.statements - before
            return made

    assert await counted(shop.offers[:1]) == await counted(shop.offers) <= 16


async def test_a_shop_without_rules_pays_nothing(shop: Shop) -> None:
    await promote(shop, promotions.PercentageOff(1000), code="SPRING",
                  conditions=promotions.Conditions(currency="GBP", coupon=True))  # fmt: skip
    assert await shown(shop, FRIEND) == {}
    async with shop.db.reading() as tx:
        revision = await tx.value("select version from orders.v_revision")
        before = tx.statements
        viewer = Viewer(market="GB", country="GB", person_id=FRIEND)
        assert not await shop.buying.checkout.shown(tx, viewer, shop.offers, revision)
        assert tx.statements == before
