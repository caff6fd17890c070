"""Which offers stand behind a queue or are kept from a control group: in memory, by the revision of
the rules, so that an order without any of them makes no statement."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid

import msgspec

from pinwheel.growth.bigdays.model import is_held_out
from pinwheel.kernel.db import Tx
from pinwheel.trade import orders


class Guarded(msgspec.Struct, frozen=True):
    """A deal whose price isn't for everybody who comes."""

    event_id: uuid.UUID
    promotion_id: uuid.UUID
    offer_id: uuid.UUID
    market: str
    starts_at: dt.datetime
    ends_at: dt.datetime
    queue_on: bool
    holdout_percent: int

    def holds_at(self, now: dt.datetime, market: str) -> bool:
        return self.market == market and self.starts_at <= now < self.ends_at

    def holds_out(self, person_id: uuid.UUID | None) -> bool:
        if person_id == orders.STRANGER:  # the draw is of people, and this is nobody yet
            return False
        return is_held_out(self.event_id, person_id, self.holdout_percent)


class Book:
    """The guarded deals of one process by offer."""

    def __init__(self) -> None:
        self.version = -1
        self.deals: dict[uuid.UUID, list[Guarded]] = {}
        self._reading = asyncio.Lock()

    async def at(self, tx: Tx, revision: int) -> dict[uuid.UUID, list[Guarded]]:
        """As of ``revision`` or later. 1 statement when it is not here."""
        if self.version < revision:
            async with self._reading:
                if self.version < revision:
                    await self._read(tx)
        return self.deals

    async def _read(self, tx: Tx) -> None:
        rows = await tx.rows(
            _Row,
            """
            select r.version, e.id as event_id, d.promotion_id, d.offer_id, e.market, d.starts_at,
                   d.ends_at, e.queue_on, e.holdout_percent
              from orders.v_revision r
              left join (bigdays.event e join bigdays.deal d on d.cell = e.cell
                           and d.event_id = e.id)
                on e.cell = $1 and e.state = 'active' and d.ends_at > $2
               and (e.queue_on or e.holdout_percent > 0)
            """,
            tx.cell,
            tx.now,
        )
        deals: dict[uuid.UUID, list[Guarded]] = {}
        for row in rows:
            if row.event_id is not None:
                fields = msgspec.structs.asdict(row)
                del fields["version"]
                deals.setdefault(fields["offer_id"], []).append(Guarded(**fields))
        self.version, self.deals = rows[0].version, deals


class _Row(msgspec.Struct, frozen=True):
    version: int
    event_id: uuid.UUID | None
    promotion_id: uuid.UUID | None
    offer_id: uuid.UUID | None
    market: str | None
    starts_at: dt.datetime | None
    ends_at: dt.datetime | None
    queue_on: bool | None
    holdout_percent: int | None


def book_of(tx: Tx) -> Book:
    found = tx.db.given.get(Book)
    if found is None:
        found = tx.db.given[Book] = Book()
    return found
