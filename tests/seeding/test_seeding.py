"""Filling the shop: whole, once, in pieces, and never over somebody's own."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

import world
from pinwheel import app, seeding
from pinwheel.ground import identity
from pinwheel.kernel import audit, settings
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.trade import catalogue, orders

DAYS, A_DAY, MOST = 5, 5, 40


class Killed(Exception):
    pass


class Killing:
    """Listens to the progress, and ends it at the n-th line."""

    def __init__(self, at: int = 0) -> None:
        self.lines: list[str] = []
        self.at = at

    def __call__(self, line: str) -> None:
        self.lines.append(line)
        if len(self.lines) == self.at:
            raise Killed


def furnished(db: Database, folder: Path) -> Database:
    return app.furnish(db, settings.Settings(secret="the secret of these tests", data_dir=folder))


async def seed(db: Database, say: Killing) -> list[str]:
    return await seeding.seed(db, say, days=DAYS, orders_a_day=A_DAY, most=MOST)


async def counted(db: Database) -> dict[str, int]:
    """What is in the shop, by what it is."""
    async with db.reading() as tx:
        names = {
            "products": "select count(*) from catalogue.product where status = 'published'",
            "prices": "select count(*) from pricing.price",
            "orders": 'select count(*) from orders."order"',
            "parcels": "select count(*) from orders.shipment",
            "people": "select count(*) from identity.person",
            "transfers": "select count(*) from ledger.transfer",
            "deposits": "select count(*) from bigdays.deposit where state = 'held'",
            "helps": "select count(*) from social.bargain_help",
            "entries": "select count(*) from journeys.enrolment",
            "exposures": "select count(*) from experiments.exposure",
            "teams": "select count(*) from social.team",
            "wins": "select count(*) from newcomers.win where state = 'won'",
            "visits": "select count(*) from tracking.event where name = 'page_viewed'",
            "spend": "select count(*) from measurement.spend",
            "letters": "select count(*) from journeys.member",
            "deals": "select count(*) from promotions.promotion where is_deal",
        }
        return {name: await tx.connection.fetchval(sql) for name, sql in names.items()}


async def test_a_seeded_shop_keeps_every_promise(
    db: Database, clock: SetClock, tmp_path: Path
) -> None:
    lines = await seed(furnished(db, tmp_path), Killing())
    assert all(who.email in "\n".join(lines) for who in seeding.LOGINS)
    found = await counted(db)
    assert found["products"] == MOST
    assert found["orders"] > DAYS
    assert min(found.values()) > 0, found
    assert [c for c in await audit.run(db, app.PROMISING) if c.broken] == []
    async with db.reading() as tx:
        placed = (await orders.orders(tx, limit=100)).items
        reduced = await tx.connection.fetchval(
            "select count(*) from pricing.price where list_price_minor > price_minor"
        )
        letters = await tx.connection.fetch(
            "select state, ended_at - created_at as took"
            "  from messages.message where purpose = 'marketing'"
        )
    assert {one["state"] for one in letters} == {"sent"}
    assert max(one["took"] for one in letters) < dt.timedelta(hours=13), "sent on their own day"
    assert clock.now() == world.MONDAY
    assert all(o.placed_at < world.MONDAY for o in placed)
    assert len({o.placed_at.date() for o in placed}) >= DAYS - 1
    assert reduced > 0


async def test_once_is_enough(db: Database, tmp_path: Path) -> None:
    await seed(furnished(db, tmp_path), Killing())
    before = await counted(db)
    assert await seed(db, Killing())  # the logins are told again
    assert await counted(db) == before


@pytest.mark.parametrize("at", [2, 3, 4])
async def test_a_killed_seeding_goes_on_where_it_ended(
    db: Database, tmp_path: Path, at: int
) -> None:
    furnished(db, tmp_path)
    with pytest.raises(Killed):
        await seed(db, Killing(at))
    half = await counted(db)
    assert await seed(db, Killing())
    whole = await counted(db)
    assert whole["products"] == MOST >= half["products"]
    assert whole["orders"] > DAYS
    assert [c for c in await audit.run(db, app.PROMISING) if c.broken] == []


async def test_a_shop_of_somebodys_own_is_left_alone(db: Database, tmp_path: Path) -> None:
    furnished(db, tmp_path)
    async with db.transaction() as tx:
        await catalogue.save_categories(
            tx, [catalogue.CategoryDraft(slug="mine", name={"en": "Mine"})]
        )
    assert await seed(db, Killing()) == []
    assert (await counted(db))["products"] == 0


async def test_the_logins_work(db: Database, tmp_path: Path) -> None:
    await seed(furnished(db, tmp_path), Killing())
    for who in seeding.LOGINS:
        proof = await identity.prove_password(db, who.email, who.password)
        async with db.reading() as tx:
            assert (await identity.person_of(tx, proof.person_id)).kind == who.kind  # type: ignore[arg-type]
