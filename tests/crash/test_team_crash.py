"""Teams while the worker and PostgreSQL are killed with ``kill -9``: every team ends whole.

Afterwards nobody sits fourth in three seats, a complete team's orders are free to be sent,
everybody else has their money back, and the audit is clean."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import tempfile
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import msgspec
import pytest

from crash_world import House, settled
from pinwheel import app
from pinwheel.growth import social
from pinwheel.kernel import audit
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import Refusal
from pinwheel.trade.orders import Buying, Claim
from shop import Shop, open_shop

pytestmark = pytest.mark.crash
KILLS = int(os.environ.get("PINWHEEL_KILLS", "8"))
AWAY = (
    *(OSError, TimeoutError),
    *(asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError),
)
ENOUGH = 30  # orders, before the deadline comes
METHODS = ("tok_ok", "tok_ok", "tok_ok", "tok_declined", "tok_timeout_ok", "tok_delayed_ok")


@pytest.fixture
async def house() -> AsyncIterator[House]:
    with tempfile.TemporaryDirectory(prefix="pinwheel-crash-") as folder:
        Path(folder).chmod(0o755)
        opened = House(Path(folder), names=("work",))
        await opened.open()
        yield opened
        await opened.close()


async def _buyer(
    shop: Shop, campaign_id: uuid.UUID, seed: int, stop: asyncio.Event, bought: list[uuid.UUID]
) -> None:
    """Open teams and join open ones; what was not answered is sent again under its own key."""
    chance = random.Random(seed)
    while not stop.is_set():
        claim = Claim("team_open", campaign_id)
        with contextlib.suppress(*AWAY):
            async with shop.db.reading() as tx:
                teams = await tx.values("select id from social.team where state = 'open'")
            if teams and chance.random() < 0.8:
                claim = Claim("team", chance.choice(teams))
        draft = {
            "person_id": uuid.uuid4(),
            "claims": [claim],
            "scope": "crash",
            "key": str(uuid.uuid4()),
            "method": chance.choice(METHODS),
        }
        while True:
            try:
                done = await shop.buying.buy(shop.draft((0, 1), **draft))  # type: ignore[arg-type]
                bought.append(done.order_id)
            except Refusal:
                pass
            except AWAY:
                await asyncio.sleep(0.1)
                continue
            break


async def test_every_team_ends_whole_however_often_the_worker_dies(house: House) -> None:
    seed = int(os.environ.get("PINWHEEL_SEED", random.SystemRandom().randrange(10**6)))
    print(f"seed {seed}: PINWHEEL_SEED={seed} replays the choice of victims")  # noqa: T201
    chance = random.Random(seed)
    db = await app.open_database(house.settings)
    shop = await open_shop(db, [1000], [{"MAIN": 100_000}])
    shop.buying = db.given[Buying]
    offer = social.TeamOffer(offer_id=shop.offers[0], price_minor=600)
    terms = social.TeamTerms(
        name={"en": "Three", "zh-CN": "三人团"}, market="GB", currency="GBP", offers=[offer]
    )
    async with db.transaction(actor="test") as tx:
        campaign_id = await social.open_team_campaign(tx, terms)
    stop, bought = asyncio.Event(), list[uuid.UUID]()
    buyers = [asyncio.create_task(_buyer(shop, campaign_id, n, stop, bought)) for n in range(8)]
    for _ in range(KILLS):
        await asyncio.sleep(chance.uniform(0.2, 1.5))
        with contextlib.suppress(ProcessLookupError):
            house.kill(chance.choice(("work", "work", "postgres")))
    for _ in range(900):
        enough = len(bought) >= ENOUGH and await _has_formed(house)
        if enough or any(b.done() for b in buyers):
            break
        await asyncio.sleep(0.2)
    stop.set()
    await asyncio.gather(*buyers)
    await _time_is_over(house)
    for _ in range(KILLS):  # while it refunds
        await asyncio.sleep(chance.uniform(0.3, 1.0))
        with contextlib.suppress(ProcessLookupError):
            house.kill("work")
    await _ended(house)
    await settled(house)
    await db.close()
    await _prove(await app.open_database(house.settings))


async def _has_formed(house: House) -> bool:
    """Is a team complete? On a slow machine no worker lived long enough to hear of a payment."""
    with contextlib.suppress(*AWAY):
        connection = await asyncpg.connect(house.server.url)
        formed = await connection.fetchval(
            "select exists (select from social.team where state = 'formed')"
        )
        await connection.close()
        return bool(formed)
    return False


async def _time_is_over(house: House) -> None:
    """Every open team's deadline is now."""
    for _ in range(900):
        with contextlib.suppress(*AWAY):
            connection = await asyncpg.connect(house.server.url)
            await connection.execute("update social.team set closes_at = now()"
                                     " where state = 'open'")  # fmt: skip
            await connection.close()
            return
        await asyncio.sleep(0.2)
    raise AssertionError("PostgreSQL never came back")


async def _ended(house: House) -> None:
    """Until no team is open or being refunded."""
    left = -1
    for _ in range(400):
        with contextlib.suppress(*AWAY):
            connection = await asyncpg.connect(house.server.url)
            left = await connection.fetchval(
                "select count(*) from social.team where state in ('open', 'failing')"
            )
            await connection.close()
            if not left:
                return
        await asyncio.sleep(0.5)
    raise AssertionError(f"{left} teams never ended")


async def _prove(db: Database) -> None:
    try:
        async with db.reading() as tx:
            rows = await tx.connection.fetch(
                "select t.state as team, o.state, o.waits_for, o.total_minor, m.left_at,"
                " sum(p.captured_minor - p.refunded_minor) as kept"
                " from social.team_member m join social.team t on t.id = m.team_id"
                ' join orders."order" o on o.id = m.order_id'
                " join payments.payment p on p.order_id = o.id"
                " group by t.id, t.state, o.id, o.state, o.waits_for, o.total_minor, m.left_at"
            )
            most = await tx.value(
                "select max(n) from (select count(*) as n from social.team_member m"
                " join orders.\"order\" o on o.id = m.order_id and o.state = 'placed'"
                " group by m.team_id) counted"
            )
        assert most == 3
        for row in rows:
            stands = row["team"] == "formed" and row["left_at"] is None
            assert row["state"] == ("placed" if stands else "cancelled"), dict(row)
            assert row["kept"] == (row["total_minor"] if stands else 0), dict(row)
            assert not stands or row["waits_for"] is None, dict(row)
        assert {row["team"] for row in rows} == {"formed", "failed"}
        broken = [c for c in await audit.run(db, app.PROMISING) if c.broken]
        assert not broken, msgspec.json.encode(broken)
    finally:
        await db.close()
