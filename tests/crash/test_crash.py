"""Real processes under load, killed with ``kill -9`` at random moments: web, worker, PostgreSQL.

Afterwards every order that a client was told of exists exactly once, every payment ended as an
order or as a refund, and the audit is clean. ``PINWHEEL_SEED`` replays the choice of victims.
"""

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
import httpx2
import msgspec
import pytest

from crash_world import House, grown, served, settled
from pinwheel import app
from pinwheel.ground import identity
from pinwheel.ground.identity import Caller
from pinwheel.kernel import audit
from shop import open_shop

pytestmark = pytest.mark.crash
KILLS = int(os.environ.get("PINWHEEL_KILLS", "8"))
METHODS = ("tok_ok", "tok_ok", "tok_ok", "tok_declined", "tok_timeout_ok", "tok_delayed_ok")


@pytest.fixture
async def house() -> AsyncIterator[House]:
    with tempfile.TemporaryDirectory(prefix="pinwheel-crash-") as folder:
        Path(folder).chmod(0o755)
        opened = House(Path(folder))
        await opened.open()
        yield opened
        await opened.close()


async def _client(
    house: House,
    token: str,
    offers: list[uuid.UUID],
    seed: int,
    stop: asyncio.Event,
    told: dict[str, str],
) -> None:
    """Order after order; what was not answered is sent again under its own key. ``told`` gets the
    answers by key."""
    chance = random.Random(seed)
    number = 0
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{house.port}", timeout=10) as client:
        while not stop.is_set():
            number += 1
            key = f"{seed}-{number}"
            order = {
                "items": [
                    {"offer_id": str(chance.choice(offers)), "quantity": chance.randint(1, 3)}
                ],
                "market": "GB",
                "ship_to": {"name": "A", "line1": "1 Road", "city": "Town", "country": "GB"},
                "email": "buyer@example.invalid",
                "payments": [{"provider": "sandbox", "method": chance.choice(METHODS)}],
            }
            while True:
                try:
                    answer = await client.post(
                        "/api/v1/orders",
                        json=order,
                        headers={"Authorization": f"Bearer {token}", "Idempotency-Key": key},
                    )
                except httpx2.HTTPError:
                    await asyncio.sleep(0.1)
                    continue
                if answer.status_code in (500, 502, 503):
                    await asyncio.sleep(0.1)
                    continue
                if answer.status_code in (200, 201):
                    told[key] = answer.json()["order_id"]
                break


async def test_killed_at_random_moments_nothing_is_lost_or_doubled(house: House) -> None:
    seed = int(os.environ.get("PINWHEEL_SEED", random.SystemRandom().randrange(10**6)))
    print(f"seed {seed}: PINWHEEL_SEED={seed} replays the choice of victims")  # noqa: T201
    chance = random.Random(seed)
    db = await app.open_database(house.settings)
    shop = await open_shop(db, [999, 250, 100], [{"MAIN": 100_000, "EAST": 100_000}] * 3)
    async with db.transaction(actor="test") as tx:
        owner = await identity.register(tx, "crash@example.invalid", kind="operator")
        caller = Caller(kind="operator", person_id=owner.id, scopes=frozenset({"*"}))
        key = await identity.make_key(tx, caller, "crash", ["orders:write"])
    await db.close()
    stop, told = asyncio.Event(), dict[str, str]()
    clients = [
        asyncio.create_task(_client(house, key.key, shop.offers, n, stop, told)) for n in range(24)
    ]
    for _ in range(KILLS):
        await served(house)
        await grown(told, 12, clients)
        await asyncio.sleep(chance.uniform(0.2, 2.0))
        # It may just be coming back by itself.
        with contextlib.suppress(ProcessLookupError):
            house.kill(chance.choice(("serve", "serve", "work", "postgres")))
    await served(house)
    await grown(told, 12, clients)
    stop.set()
    await asyncio.gather(*clients)
    await settled(house)
    await _prove(house, told)


async def _prove(house: House, told: dict[str, str]) -> None:
    db = await app.open_database(house.settings)
    try:
        async with db.reading() as tx:
            rows = await tx.connection.fetch(
                "select o.id, o.key, o.state, o.total_minor, p.captured, p.refunded"
                ' from orders."order" o join (select order_id, sum(captured_minor) as captured,'
                " sum(refunded_minor) as refunded from payments.payment group by order_id) p"
                " on p.order_id = o.id"
            )
            sold_at_provider = await tx.connection.fetchval(
                "select coalesce(sum(captured_minor - refunded_minor), 0) from sandbox.charge"
            )
        by_key: dict[str, list[asyncpg.Record]] = {}
        for row in rows:
            by_key.setdefault(row["key"], []).append(row)
        assert all(len(found) == 1 for found in by_key.values()), "an order was made twice"
        for key, order_id in told.items():
            assert str(by_key[key][0]["id"]) == order_id, "an accepted order is gone"
        kept = 0
        for row in rows:
            net = row["captured"] - row["refunded"]
            assert net == (row["total_minor"] if row["state"] == "placed" else 0), dict(row)
            kept += net
        assert kept == sold_at_provider, "our books and the provider's differ"
        broken = [c for c in await audit.run(db, app.PROMISING) if c.broken]
        assert not broken, msgspec.json.encode(broken)
    finally:
        await db.close()
