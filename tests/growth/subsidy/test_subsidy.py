"""Subsidies: public, within budgets and everybody's share, with proof of what others ask."""

from __future__ import annotations

import asyncio
import datetime as dt
import os
import uuid
from collections.abc import Mapping, Sequence

import pytest

from pinwheel.ground import trust
from pinwheel.growth import subsidy
from pinwheel.growth.subsidy import NewGoods, NewProgramme, Programme, Reference, SubsidyStage
from pinwheel.growth.subsidy.measuring import Measured
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid, NotFound, Refusal
from pinwheel.kernel.jobs import Worker
from pinwheel.trade import budgets, orders, pricing
from pinwheel.trade.orders import Buying, Checkout
from shop import PROMISES, Shop, open_shop

CHECKOUTS = int(os.environ.get("PINWHEEL_CHECKOUTS", "120"))
PROMISING = [*PROMISES, "pinwheel.trade.budgets", "pinwheel.growth.subsidy"]


def person(number: int) -> uuid.UUID:
    return uuid.UUID(int=1000 + number)


class House:
    """Thing 0 costs 10.00, elsewhere 12.00 and 9.50; its target is 8.00."""

    def __init__(self, shop: Shop, programme: uuid.UUID, platform: uuid.UUID, brand: uuid.UUID):
        self.shop, self.programme = shop, programme
        self.platform, self.brand = platform, brand

    async def of(self) -> Programme:
        async with self.shop.db.reading() as tx:
            [found] = await subsidy.programmes(tx, [self.programme])
        return found

    async def left(self) -> tuple[int, int]:
        async with self.shop.db.reading() as tx:
            found = await budgets.available(tx, [self.platform, self.brand])
        return found[self.platform], found[self.brand]

    async def quote(self, *items: tuple[int, int], **more: object) -> orders.Quote:
        async with self.shop.db.transaction() as tx:
            how = {"person_id": person(0)} | more
            [quote] = await self.shop.buying.checkout.quote(tx, [self.shop.draft(*items, **how)])
        assert isinstance(quote, orders.Quote), quote
        return quote

    async def buy(self, *items: tuple[int, int], **more: object) -> orders.Bought | Refusal:
        try:
            return await self.shop.buying.buy(self.shop.draft(*items, **more))
        except Refusal as refusal:
            return refusal


async def open_house(
    db: Database,
    *,
    platform_minor: int = 10_000,
    brand_minor: int = 10_000,
    stage: SubsidyStage | None = None,
    start: bool = True,
    references: Sequence[Reference] | None = None,
    **more: object,
) -> House:
    shop = await open_shop(db, (1000, 250), [{"MAIN": 10_000}] * 2)
    shop.buying = Buying(db, Checkout(stage or SubsidyStage()))
    async with db.transaction(actor="operator:a") as tx:
        new = [budgets.NewBudget(name=n, currency="GBP") for n in ("Platform", "Brand")]
        platform, brand = await budgets.open_budgets(tx, new)
        assert isinstance(platform, uuid.UUID) and isinstance(brand, uuid.UUID)
        for budget, minor in ((platform, platform_minor), (brand, brand_minor)):
            if minor:
                await budgets.fund(tx, budget, minor, "ten billion")
        how: dict[str, object] = {
            "name": {"en": "Ten billion", "zh-CN": "百亿补贴"},
            "currency": "GBP",
            "platform_budget_id": platform,
            "brand_budget_id": brand,
            "brand_basis_points": 3333,
            "identity_pieces": 2,
            "starts_at": tx.now,
            "ends_at": tx.now + dt.timedelta(days=60),
        }
        programme = await subsidy.save_programme(
            tx,
            NewProgramme(**(how | more)),  # type: ignore[arg-type]
        )
        seen = [
            Reference(source="Dear", price_minor=1200),
            Reference(source="Near", price_minor=950),
        ]
        listed = NewGoods(
            offer_id=shop.offers[0],
            target_minor=800,
            references=list(seen if references is None else references),
        )
        await subsidy.put_goods(tx, programme, [listed])
        if start:
            await subsidy.start(tx, programme)
    return House(shop, programme, platform, brand)


@pytest.fixture(autouse=True)
def every_promise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shop.PROMISES", PROMISING)


async def test_the_price_is_public_and_both_funders_pay_their_part(
    db: Database, worker: Worker
) -> None:
    """From the lower of our price (10.00) and the reference (9.50) down to 8.00."""
    house = await open_house(db)
    quote = await house.quote((0, 2), (1, 1))
    assert quote.discount_minor == 300
    bought = await house.buy((0, 2), (1, 1), person_id=person(0))
    assert isinstance(bought, orders.Bought)
    await worker.drain()
    assert await house.left() == (10_000 - 201, 10_000 - 99)  # 33.33 % of 300, rounded down
    async with db.transaction() as tx:
        shown = (await subsidy.prices(tx, house.shop.offers, "GBP"))[house.shop.offers[0]]
        assert (shown.target_minor, shown.reference_minor, shown.source) == (800, 950, "Near")
        await orders.cancel_lines(tx, bought.order_id, [(0, 1)], reason="one is enough")
    await worker.drain()
    assert await house.left() == (10_000 - 101, 10_000 - 50)
    assert not await house.shop.broken()


async def test_an_identity_gets_its_share_and_pays_the_regular_price_for_the_rest(
    db: Database, clock: SetClock
) -> None:
    house = await open_house(db)
    assert (await house.quote((0, 3))).discount_minor == 300
    assert [h.kind for h in (await house.quote((0, 3))).hints if h.kind == "subsidy"]
    await house.buy((0, 1), person_id=person(0))
    assert (await house.quote((0, 3))).discount_minor == 150
    await house.buy((0, 1), person_id=person(0))
    assert (await house.quote((0, 3))).discount_minor == 0
    assert (await house.quote((0, 1), person_id=None)).discount_minor == 0  # nobody we know
    assert (await house.quote((0, 1), person_id=None, device="d1")).discount_minor == 150
    async with db.transaction() as tx:
        again = Reference(source="Near", price_minor=950, seen_at=None)
        clock.travel(days=30)
    async with db.transaction() as tx:
        goods = NewGoods(offer_id=house.shop.offers[0], target_minor=800, references=[again])
        await subsidy.put_goods(tx, house.programme, [goods])
    assert (await house.quote((0, 3))).discount_minor == 300  # another period
    assert not await house.shop.broken()


async def test_accounts_of_one_person_share_one_share(db: Database) -> None:
    async def clusters(tx: Tx, people: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, uuid.UUID]:
        return {p: person(0) for p in people}

    house = await open_house(db, stage=SubsidyStage(clusters))
    answers = await asyncio.gather(*(house.buy((0, 1), person_id=person(n)) for n in range(5)))
    # In one batch all see the same share: who comes too late is told the price without it.
    won = [a for a in answers if isinstance(a, orders.Bought) and a.total_minor < 1300]
    assert len(won) == 2
    assert not await house.shop.broken()


async def test_a_home_has_so_many_orders(db: Database, worker: Worker) -> None:
    house = await open_house(db, home_orders=1)
    homes = [s for n in (0, 1) for s in trust.seen_address(person(n), "GB", "T1 1AA", "1 Long Rd")]
    async with db.transaction() as tx:
        await trust.note(tx, homes)
    assert isinstance(await house.buy((0, 1), person_id=person(0)), orders.Bought)
    assert (await house.quote((0, 1), person_id=person(1))).discount_minor == 0
    assert (await house.quote((0, 1), person_id=person(2))).discount_minor == 150


async def test_a_region_spends_no_more_than_its_cap(db: Database, worker: Worker) -> None:
    house = await open_house(db, region_caps={"GB": 400})
    answers = [await house.buy((0, 1), person_id=person(n)) for n in range(4)]
    prices = [a.total_minor for a in answers if isinstance(a, orders.Bought)]
    assert len(prices) == 4 and sum(p == min(prices) for p in prices) == 2
    await worker.drain()
    assert sum(await house.left()) == 20_000 - 300
    assert not await house.shop.broken()


async def test_old_references_prove_nothing(db: Database, clock: SetClock) -> None:
    house = await open_house(db)
    clock.travel(days=8)
    assert (await house.quote((0, 1))).discount_minor == 0
    async with db.reading() as tx:
        assert await subsidy.prices(tx, house.shop.offers, "GBP") == {}


async def test_without_a_reference_it_does_not_start(db: Database) -> None:
    house = await open_house(db, start=False, references=[Reference(source="X", price_minor=800)])
    async with db.transaction() as tx:
        with pytest.raises(subsidy.NoReference):
            await subsidy.start(tx, house.programme)
    assert (await house.quote((0, 1))).discount_minor == 0


async def test_terms_stay_once_it_has_begun_and_stop_ends_it(db: Database) -> None:
    house = await open_house(db)
    terms = await house.of()
    async with db.transaction() as tx:
        plan = {f: getattr(terms, f) for f in NewProgramme.__struct_fields__}
        with pytest.raises(subsidy.ProgrammeFixed):
            await subsidy.save_programme(tx, NewProgramme(**plan), programme_id=house.programme)
        with pytest.raises(subsidy.ProgrammeFixed):
            async with tx.savepoint():
                dearer = NewGoods(offer_id=house.shop.offers[0], target_minor=700)
                await subsidy.put_goods(tx, house.programme, [dearer])
    async with db.transaction() as tx:
        await subsidy.stop(tx, house.programme)
    assert (await house.quote((0, 1))).discount_minor == 0


async def test_a_budget_in_another_currency_is_refused(db: Database) -> None:
    house = await open_house(db, start=False)
    terms = await house.of()
    async with db.transaction() as tx:
        [euros] = await budgets.open_budgets(tx, [budgets.NewBudget(name="E", currency="EUR")])
        plan = {f: getattr(terms, f) for f in NewProgramme.__struct_fields__}
        with pytest.raises(subsidy.WrongBudget):
            await subsidy.save_programme(tx, NewProgramme(**plan | {"platform_budget_id": euros}))


@pytest.mark.parametrize("platform_minor", [1000, 999])
async def test_parallel_checkouts_never_exceed_the_budget(
    db: Database, worker: Worker, platform_minor: int
) -> None:
    house = await open_house(db, platform_minor=platform_minor, brand_basis_points=0)
    answers = await asyncio.gather(
        *(house.buy((0, 1), person_id=person(n)) for n in range(CHECKOUTS))
    )
    await worker.drain()
    won = [a for a in answers if isinstance(a, orders.Bought)]
    cheap = [a for a in won if a.total_minor == min(w.total_minor for w in won)]
    left, brand = await house.left()
    assert len(cheap) == 6 and left == platform_minor - 900 and brand == 10_000
    refused = [a for a in answers if isinstance(a, Refusal)]
    assert all(isinstance(a, orders.DiscountUsedUp) for a in refused)
    assert not await house.shop.broken()


async def test_a_batch_without_subsidised_goods_pays_no_statement(db: Database) -> None:
    house = await open_house(db)

    async def statements(*items: tuple[int, int]) -> int:
        async with db.transaction() as tx:
            await house.shop.buying.checkout.quote(tx, [house.shop.draft(*items)])
            return tx.statements

    await statements((1, 1))
    plain = Checkout()
    async with db.transaction() as tx:
        await plain.quote(tx, [house.shop.draft((1, 1))])
    async with db.transaction() as tx:
        await plain.quote(tx, [house.shop.draft((1, 1))])
        assert await statements((1, 1)) == tx.statements


async def test_a_price_match_is_paid_once_with_evidence(db: Database, worker: Worker) -> None:
    house = await open_house(db, match_days=7)
    bought = await house.buy((0, 2), person_id=person(0))
    assert isinstance(bought, orders.Bought)
    await worker.drain()
    before = await house.left()
    how: dict[str, object] = {"source": "Elsewhere", "found_minor": 800}

    async def claim(who: uuid.UUID, **more: object) -> uuid.UUID:
        async with db.transaction() as tx:
            return await subsidy.claim_match(
                tx,
                who,
                bought.order_id,
                0,
                **(how | more),  # type: ignore[arg-type]
            )

    link = "https://shop.example/thing"
    with pytest.raises(NotFound):
        await claim(person(1), link=link)
    for wrong in ({}, {"link": "http://x"}, {"link": link, "found_minor": 850}):
        with pytest.raises(subsidy.MatchNotPossible):
            await claim(person(0), **wrong)
    with pytest.raises(NotFound):
        await claim(person(0), picture_id=uuid.uuid4())
    match = await claim(person(0), link=link)
    with pytest.raises(subsidy.MatchNotPossible):
        await claim(person(0), link=link)
    async with db.transaction(actor="operator:a") as tx:
        [waiting] = await subsidy.matches(tx, waiting_only=True)
        assert waiting.most_minor == 100  # 8.50 paid, 8.00 found, two pieces
        with pytest.raises(Invalid):
            await subsidy.decide_match(tx, match, 101, "seen")
        await subsidy.decide_match(tx, match, 100, "seen on their page")
    async with db.transaction(actor="operator:b") as tx:
        with pytest.raises(subsidy.MatchDecided):
            await subsidy.decide_match(tx, match, 100, "again")
    await worker.drain()
    assert (await house.left())[0] == before[0] - 100
    async with db.reading() as tx:
        sight = await orders.order(tx, order_id=bought.order_id)
        assert sight.order.refunded_minor == 100
        assert len(await subsidy.export(tx, person(0))) == 1
    assert not await house.shop.broken()


async def test_a_price_match_too_late(db: Database, clock: SetClock) -> None:
    house = await open_house(db, match_days=7)
    bought = await house.buy((0, 1), person_id=person(0))
    assert isinstance(bought, orders.Bought)
    clock.travel(days=7, seconds=1)
    async with db.transaction() as tx:
        with pytest.raises(subsidy.MatchNotPossible, match="7 days"):
            await subsidy.claim_match(
                tx,
                person(0),
                bought.order_id,
                0,
                source="E",
                found_minor=800,
                link="https://shop.example/thing",
            )


async def test_the_control_pays_the_regular_price_and_nothing_is_claimed_unmeasured(
    db: Database, worker: Worker
) -> None:
    async def withheld(tx: Tx, key: str, people: Sequence[uuid.UUID]) -> Mapping[uuid.UUID, bool]:
        assert key == "ten-billion"
        return {p: p == person(1) for p in people}

    stage = SubsidyStage(withheld=withheld)
    house = await open_house(db, stage=stage, experiment_key="ten-billion")
    assert (await house.quote((0, 1), person_id=person(0))).discount_minor == 150
    assert (await house.quote((0, 1), person_id=person(1))).discount_minor == 0
    await house.buy((0, 1), person_id=person(0))
    await worker.drain()

    async def measuring(tx: Tx, key: str) -> tuple[str, Measured | None]:
        return "measured", Measured(people=10, point_minor=30, low_minor=-15, high_minor=75)

    programme = await house.of()
    async with db.reading() as tx:
        unknown = await subsidy.efficiency(tx, programme)
        known = await subsidy.efficiency(tx, programme, measuring)
    assert (unknown.state, unknown.ratio, unknown.spent.total_minor) == ("not_measured", None, 150)
    assert (known.ratio, known.ratio_low, known.ratio_high) == (2.0, -1.0, 5.0)


async def test_the_reference_above_our_price_is_not_paid_for(db: Database) -> None:
    house = await open_house(db, references=[Reference(source="Dear", price_minor=5000)])
    async with db.transaction() as tx:
        new = pricing.NewPrice(offer_id=house.shop.offers[0], currency="GBP", price_minor=850)
        await pricing.set_prices(tx, [new])
    assert (await house.quote((0, 1))).discount_minor == 50
