"""Prices: refusals first, then what holds when."""

import datetime as dt
import uuid

import pytest

from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import Reactions
from pinwheel.kernel.jobs import Worker
from pinwheel.trade import pricing
from pinwheel.trade.pricing import jobs

OFFER = uuid.UUID(int=7)
OTHER = uuid.UUID(int=8)


def new(price_minor: int, **more: object) -> pricing.NewPrice:
    return pricing.NewPrice(
        **{"offer_id": OFFER, "currency": "CNY", "price_minor": price_minor} | more
    )


async def put(db: Database, *prices: pricing.NewPrice) -> list[pricing.PriceSet | Refusal]:
    async with db.transaction(actor="test") as tx:
        return await pricing.set_prices(tx, prices)


async def now(db: Database, offer_id: uuid.UUID = OFFER) -> pricing.Price | None:
    async with db.reading() as tx:
        return (await pricing.prices(tx, [offer_id], "CNY")).get(offer_id)


async def test_what_can_not_be_a_price_is_refused_and_changes_nothing(
    db: Database, clock: SetClock
) -> None:
    await put(db, new(5_000))
    past = clock.now() - dt.timedelta(seconds=1)
    answers = await put(
        db,
        new(-1),
        new(100, currency="QQQ"),
        new(4_000, list_price_minor=3_999),
        new(4_000, starts_at=past),
        new(4_000, ends_at=clock.now()),
        new(50_001),
        new(499),
        new(0),
    )
    assert [type(answer) for answer in answers] == [
        pricing.PriceNegative,
        pricing.CurrencyUnknown,
        pricing.ListPriceLow,
        pricing.PriceHistoric,
        pricing.PricePeriodEmpty,
        pricing.PriceJump,
        pricing.PriceJump,
        pricing.PriceJump,
    ]
    for answer in answers:
        assert isinstance(answer, Refusal)
        assert "{" not in answer.sentence("en") + answer.sentence("zh-CN")
    price = await now(db)
    assert price is not None and price.price_minor == 5_000


async def test_a_good_price_is_set_beside_a_refused_one(db: Database) -> None:
    answers = await put(db, new(-1), new(700, offer_id=OTHER), new(800, offer_id=OTHER))
    assert isinstance(answers[0], pricing.PriceNegative)
    assert isinstance(answers[1], pricing.PriceSet)
    assert isinstance(answers[2], pricing.PriceTwice)
    price = await now(db, OTHER)
    assert price is not None and price.price_minor == 700


async def test_a_jump_that_is_confirmed_is_meant(db: Database) -> None:
    await put(db, new(5_000))
    [answer] = await put(db, new(1, confirmed=True))
    assert isinstance(answer, pricing.PriceSet)


async def test_the_same_price_again_writes_nothing(db: Database, clock: SetClock) -> None:
    await put(db, new(5_000))
    clock.travel(days=1)
    [answer] = await put(db, new(5_000))
    assert isinstance(answer, pricing.PriceSet) and not answer.fresh
    async with db.reading() as tx:
        assert len((await pricing.history(tx, OFFER, "CNY")).items) == 1


async def test_a_promotion_ends_and_the_earlier_price_is_back(
    db: Database, clock: SetClock
) -> None:
    start = clock.now()
    await put(db, new(5_000))
    await put(
        db,
        new(
            3_000,
            starts_at=start + dt.timedelta(days=2),
            ends_at=start + dt.timedelta(days=3),
            list_price_minor=5_000,
        ),
    )
    seen = []
    for _ in range(4):
        price = await now(db)
        assert price is not None
        seen.append((price.price_minor, price.strike_minor))
        clock.travel(days=1)
    assert seen == [(5_000, None), (5_000, None), (3_000, 5_000), (5_000, None)]


@pytest.mark.parametrize(
    ("before", "strike"),
    [
        ([(40, 5_000)], 5_000),
        ([(40, 9_000)], 6_000),  # the list price is the least honest of the two
        ([(40, 5_000), (20, 3_500)], 3_500),  # lowered before: that is the prior price
        ([(40, 5_000), (20, 2_900)], None),  # it was cheaper than now: nothing to strike
        ([(40, 2_000), (35, 5_000)], 5_000),  # the low price ended before the 30 days
        ([], None),  # never sold before: nothing was asked
    ],
)
async def test_a_struck_price_was_really_asked(
    db: Database, clock: SetClock, before: list[tuple[int, int]], strike: int | None
) -> None:
    reduction = clock.now() + dt.timedelta(days=60)
    for days, price_minor in before:
        clock.set(reduction - dt.timedelta(days=days))
        await put(db, new(price_minor))
    clock.set(reduction)
    await put(db, new(3_000, list_price_minor=6_000))
    clock.travel(days=10)
    price = await now(db)
    assert price is not None and price.strike_minor == strike


async def test_a_plan_that_is_replaced_in_time_was_never_asked(
    db: Database, clock: SetClock
) -> None:
    at = clock.now()
    await put(db, new(5_000))
    cover = {"starts_at": at + dt.timedelta(days=1), "ends_at": at + dt.timedelta(days=9)}
    await put(db, new(2_000, **cover))
    await put(db, new(4_500, **(cover | {"ends_at": at + dt.timedelta(days=10)})))
    clock.travel(days=20)
    async with db.reading() as tx:
        assert await pricing.lowest_prices(tx, [OFFER], "CNY") == {OFFER: 4_500}


async def test_a_planned_price_is_told_when_it_starts_and_ends(
    url: str, db: Database, clock: SetClock
) -> None:
    db.reactions = Reactions([jobs])
    worker = Worker(db)
    at = clock.now()
    await put(
        db,
        new(3_000, starts_at=at + dt.timedelta(hours=1), ends_at=at + dt.timedelta(hours=2)),
    )
    told = []
    for _ in range(3):
        await worker.drain()
        async with db.reading() as tx:
            told.append(await tx.value("select count(*) from kernel.event"))
        clock.travel(hours=1)
    assert told == [0, 1, 2]


async def test_tax_of_a_region_goes_before_the_country(db: Database) -> None:
    asked = [
        pricing.Place("US", "CA", "standard"),
        pricing.Place("US", "OR", "standard"),
        pricing.Place("CN", "", "books"),
        pricing.Place("XX", "", "standard"),
    ]
    async with db.reading() as tx:
        rates = await pricing.tax_rates(tx, asked)
        found = await pricing.markets(tx)
    assert [rates.get(place) for place in asked] == [725, 0, 900, None]
    assert {code: m.currency for code, m in found.items()} == {
        "BR": "BRL", "CN": "CNY", "EU-DE": "EUR", "GB": "GBP", "US": "USD",
    }  # fmt: skip


async def test_a_tax_rate_changes_from_an_instant_on(db: Database, clock: SetClock) -> None:
    place = pricing.Place("DE", "", "books")
    later = clock.now() + dt.timedelta(days=1)
    async with db.transaction(actor="test") as tx:
        answers = await pricing.set_tax_rates(
            tx,
            [
                pricing.TaxRate("DE", "", "books", 500, later),
                pricing.TaxRate("DE", "", "books", 10_001, later),
                pricing.TaxRate("DE", "", "books", 1, clock.now() - dt.timedelta(days=1)),
            ],
        )
    assert [isinstance(answer, Refusal) for answer in answers] == [False, True, True]
    async with db.reading() as tx:
        assert await pricing.tax_rates(tx, [place]) == {place: 700}
        assert await pricing.tax_rates(tx, [place], at=later) == {place: 500}
