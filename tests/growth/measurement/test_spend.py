"""Marketing spend: once a day of a campaign, corrected by journals, refused row by row."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest

import world
from pinwheel.ground import ledger
from pinwheel.growth import measurement
from pinwheel.growth.measurement import NewSpend, Recorded, SpendUnclear
from pinwheel.kernel import audit
from pinwheel.kernel.db import Database
from shop import money

DAY = world.MONDAY.date() - dt.timedelta(days=3)
EXPENSE, OWED = "marketing:search-ads:GBP", "marketing-payable:GBP"


def row(amount: int, **more: object) -> NewSpend:
    how: dict[str, object] = {"channel": "search-ads", "day": DAY, "currency": "GBP"}
    return NewSpend(amount_minor=amount, **(how | more))  # type: ignore[arg-type]


async def report(db: Database, *rows: NewSpend) -> Recorded:
    async with db.transaction(actor="test") as tx:
        return await measurement.record_spend(tx, rows)


async def healthy(db: Database) -> None:
    checks = await audit.run(db, ["pinwheel.growth.measurement", "pinwheel.ground.ledger"])
    assert [c for c in checks if c.broken] == []


async def test_a_day_is_there_once_however_often_it_is_reported(db: Database) -> None:
    assert await report(db, row(1000), row(300, campaign="spring")) == Recorded(2, 0, 0)
    assert await report(db, row(1000), row(300, campaign="spring")) == Recorded(0, 0, 2)
    assert await money(db, EXPENSE, OWED) == {EXPENSE: 1300, OWED: 1300}
    assert await report(db, row(400)) == Recorded(0, 1, 0)
    assert await report(db, row(900)) == Recorded(0, 1, 0)
    assert await report(db, row(0)) == Recorded(0, 1, 0)
    assert await report(db, row(1000)) == Recorded(0, 1, 0)
    assert await money(db, EXPENSE, OWED) == {EXPENSE: 1300, OWED: 1300}
    async with db.reading() as tx:
        found = await measurement.spend(tx, DAY, DAY + dt.timedelta(days=1))
    assert [(s.campaign, s.amount_minor, s.version) for s in found] == [
        ("", 1000, 5),
        ("spring", 300, 1),
    ]
    await healthy(db)


async def test_twenty_reports_at_once_are_one(db: Database) -> None:
    rows = [row(100 + n, day=DAY - dt.timedelta(days=n)) for n in range(5)]
    answers = await asyncio.gather(
        *(report(db, *(rows if n % 2 else reversed(rows))) for n in range(20))
    )
    assert sum(a.fresh for a in answers) == 5
    assert sum(a.changed for a in answers) == 0
    assert await money(db, EXPENSE) == {EXPENSE: 510}
    await healthy(db)


async def test_rows_that_cant_be_are_named_and_nothing_is_taken(db: Database) -> None:
    await report(db, row(100))
    bad = [
        row(5, campaign="fine"),
        row(5, currency="EUR"),
        row(5, day=world.MONDAY.date() + dt.timedelta(days=1)),
    ]
    with pytest.raises(SpendUnclear) as told:
        await report(db, *bad)
    assert "row 3: 2026-01-06 is still to come" in told.value.sentence("en")
    with pytest.raises(SpendUnclear) as told:
        await report(db, *bad[:2])
    assert told.value.sentence("en") == "Nothing was imported. row 2: was in GBP before."
    assert "第 2 行" in told.value.sentence("zh-CN")
    with pytest.raises(SpendUnclear, match="the same day as row 1"):
        await report(db, row(1), row(2))
    assert await money(db, EXPENSE) == {EXPENSE: 100}


async def test_a_closed_period_stays_closed(db: Database) -> None:
    async with db.transaction(actor="test") as tx:
        await ledger.close_period(tx, world.MONDAY - dt.timedelta(days=1))
    with pytest.raises(SpendUnclear, match="row 1: The books are closed"):
        await report(db, row(100))
    assert await money(db, EXPENSE) == {EXPENSE: 0}
    async with db.reading() as tx:
        assert await measurement.spend(tx, DAY, DAY + dt.timedelta(days=1)) == []


def test_a_file_is_read_with_its_errors() -> None:
    good = "day,channel,amount,currency\n2026-01-02,Search-Ads,12.50,gbp\n\n"
    assert measurement.read_csv(good) == [NewSpend("search-ads", dt.date(2026, 1, 2), 1250, "GBP")]
    yen = "\ufeffchannel,campaign,day,amount,currency\nvideo,x,2026-01-02,1250,JPY"
    assert measurement.read_csv(yen)[0].amount_minor == 1250
    bad = (
        "channel,day,amount,currency\nvideo,2.1.2026,1,GBP\nvideo,2026-01-02,1.005,GBP\n"
        "a b,2026-01-02,1,GBP\nvideo,2026-01-02,-3,GBP\nvideo,2026-01-02,1,£\n"
        "video,2026-01-02,NaN,GBP"
    )
    with pytest.raises(SpendUnclear) as told:
        measurement.read_csv(bad)
    said = told.value.sentence("en")
    for part in ("row 1: write the day", "row 2: the amount", "row 3: channel", "row 4: the amount",
                 "row 5: currency", "row 6: the amount"):  # fmt: skip
        assert part in said, said
    for text in ("", "channel,day\nx,y", "channel,day,amount,currency\n" + "x,y,z,w\n" * 5001):
        with pytest.raises(SpendUnclear):
            measurement.read_csv(text)
