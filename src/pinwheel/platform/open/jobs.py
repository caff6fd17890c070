"""What follows for webhooks: the log is followed, due messages are sent, old ones forgotten."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.events import every, outside
from pinwheel.platform.open import following
from pinwheel.platform.open.model import DeliveriesDue
from pinwheel.platform.open.sending import send_due

KEPT_DAYS = 30
ROUNDS = 20
"""Of reading on in one second: a hundred thousand facts, more than a busy house leaves."""


@outside(DeliveriesDue, concurrency=16, lease_seconds=60)
async def send_webhooks(db: Database, events: Sequence[DeliveriesDue]) -> None:
    """One endpoint's messages: a slow receiver holds up nobody but itself."""
    await asyncio.gather(*(send_due(db, event.endpoint_id) for event in events))


@every(seconds=1)
async def follow_facts(tx: Tx) -> None:
    """Hand out what has happened, and see to it that whatever is due has a job.

    The job's key holds the minute: one job for an endpoint, and a job that died with its process
    does not stand in the next one's way."""
    for _ in range(ROUNDS):
        if await following.hand_out(tx) < following.FACTS_AT_ONCE:
            break
    for endpoint_id in await following.endpoints_due(tx):
        due = DeliveriesDue(endpoint_id=endpoint_id)
        key = f"{endpoint_id}:{tx.now:%Y%m%d%H%M}"
        tx.later(send_webhooks, due, at=tx.now, key=key)


@every(seconds=3600)
async def forget_deliveries(tx: Tx) -> None:
    """The delivery log is kept for thirty days; the facts themselves stay."""
    await tx.run(
        """
        delete from open.delivery d using (
          select cell, endpoint_id, event_id from open.delivery
           where cell = $1 and ended_at is not null and ended_at < $2 limit 20000) old
         where d.cell = old.cell and d.endpoint_id = old.endpoint_id
           and d.event_id = old.event_id
        """,
        tx.cell,
        tx.later_than(-KEPT_DAYS * 86_400),
    )
