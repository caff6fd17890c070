"""Events for tests of insight: one as a program sends it, taken in and shown."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import msgspec

import world
from pinwheel.insight import tracking
from pinwheel.insight.tracking import Tracked
from pinwheel.insight.tracking.registry import registry
from pinwheel.insight.tracking.taking import Sender, read_batch
from pinwheel.kernel import audit
from pinwheel.kernel.db import Database
from pinwheel.kernel.jobs import Worker


def said(name: str = "page_viewed", at: dt.datetime = world.MONDAY, **more: Any) -> dict[str, Any]:
    """One event as a program sends it, with consent."""
    return {
        "id": str(uuid.uuid4()),
        "name": name,
        "occurred_at": at.isoformat(),
        "visitor_id": "visitor-1",
        "session_id": "session-1",
        "consent": True,
        "properties": {},
    } | more


async def send(db: Database, *events: Any, **sender: Any) -> tracking.Receipt:
    """A batch from a program with a key."""
    how: dict[str, Any] = {"source": "api", "now": db.clock.now(), "may_identify": True}
    async with db.transaction() as tx:
        columns = read_batch(
            msgspec.json.encode(list(events)), await registry(tx), Sender(**(how | sender))
        )
        [receipt] = await tracking.take(tx, [columns])
    assert isinstance(receipt, tracking.Receipt)
    return receipt


async def shown(db: Database, worker: Worker) -> list[Tracked]:
    """Everything that can be asked for, once the inbox is empty."""
    await worker.drain()
    async with db.transaction() as tx:
        while await tracking.unpack(tx):
            pass
    async with db.reading() as tx:
        return (await tracking.feed(tx, limit=10_000)).items


async def broken(db: Database) -> list[audit.Check]:
    return [c for c in await audit.run(db, ["pinwheel.insight.tracking"]) if c.broken]
