"""People on journeys: readers who said yes, plans, and what the tests look at."""

from __future__ import annotations

import uuid
from collections import Counter
from typing import Any

from ground.messages.readers import House
from pinwheel.ground.messages.actions import hash_of
from pinwheel.growth import journeys
from pinwheel.growth.journeys import Entry, Plan, Trigger
from pinwheel.kernel import audit
from pinwheel.kernel.db import Database

PROMISES = ["pinwheel.ground.messages", "pinwheel.growth.journeys", "pinwheel.trade.budgets",
            "pinwheel.ground.ledger"]  # fmt: skip


class Road(House):
    """``House`` with journeys: ``plan`` makes one that is live."""

    async def plan(self, *steps: Any, **how: Any) -> uuid.UUID:
        said: dict[str, Any] = {"trigger": Trigger(event="orders.order_placed"), "quiet": False,
                "holdout_basis_points": 0} | how  # fmt: skip
        async with self.db.transaction(actor="test") as tx:
            made = await journeys.save_journey(tx, "Test", Plan(steps=list(steps), **said))
            await journeys.set_state(tx, made.id, "live")
        return made.id

    async def readers(self, count: int) -> list[uuid.UUID]:
        """Many people who said yes, quickly: rows as ``subscribe`` and ``confirm`` write them."""
        people: list[uuid.UUID] = []
        async with self.db.transaction(actor="test") as tx:
            emails = [f"p{n}@example.com" for n in range(count)]
            people = [tx.new_id() for _ in emails]
            hashes = [hash_of(self.db, e) for e in emails]
            vault = self.db.vault
            await tx.connection.execute(
                "insert into identity.person (cell, id, kind, email_hash, email, created_at)"
                " select 0, p.id, 'buyer', p.hash, p.email, $4"
                " from unnest($1::uuid[], $2::bytea[], $3::text[]) as p(id, hash, email)",
                people,
                [vault.blind(e, "identity.email") for e in emails],
                [vault.seal(e, "identity.person.email") for e in emails],
                tx.now,
            )
            await tx.connection.execute(
                "insert into messages.address (cell, hash, email, domain, person_id,"
                " subscribed_at) select 0, a.hash, a.email, 'example.com', a.id, $4"
                " from unnest($1::uuid[], $2::bytea[], $3::text[]) as a(id, hash, email)",
                people,
                hashes,
                [vault.seal(e, "messages.address.email") for e in emails],
                tx.now,
            )
            await tx.connection.execute(
                "insert into messages.consent (cell, id, address_hash, step, at, wording,"
                " language, source, actor) select 0, gen_random_uuid(), h, 'confirmed', $2, '',"
                " 'en', 'test', 'test' from unnest($1::bytea[]) as h",
                hashes,
                tx.now,
            )
        return people

    async def enter(self, journey_id: uuid.UUID, *people: uuid.UUID, key: str = "a") -> int:
        async with self.db.transaction(actor="test") as tx:
            return await journeys.enrol(
                tx, journey_id, [Entry(person_id=p, key=key, facts={"total": 500}) for p in people]
            )

    async def enrolments(self, journey_id: uuid.UUID) -> Counter[str]:
        async with self.db.reading() as tx:
            return Counter(
                await tx.values(
                    "select state from journeys.enrolment where journey_id = $1", journey_id
                )
            )

    async def steps(self, journey_id: uuid.UUID) -> Counter[str]:
        """How often each step was taken with which outcome: ``"0 acted"``."""
        async with self.db.reading() as tx:
            return Counter(
                await tx.values(
                    "select step || ' ' || outcome from journeys.step where journey_id = $1",
                    journey_id,
                )
            )

    async def letters(self, scope: str) -> Counter[str]:
        async with self.db.reading() as tx:
            return Counter(
                await tx.values(
                    "select key from messages.message where starts_with(scope, $1)", scope
                )
            )

    async def broken(self) -> list[audit.Check]:
        return [c for c in await audit.run(self.db, PROMISES) if c.broken]


async def road_of(db: Database, clock: Any) -> Road:
    made = Road(db, clock)
    await made.write_letter()
    return made
