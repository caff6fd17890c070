"""What people did, counted by day: read from tracking's published events, which hold what people
agreed to; an event counts for whoever was known to have done it when it is read."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.insight.audience.facts import lock, note_activity
from pinwheel.kernel.db import Tx

EVENTS_AT_ONCE = 5_000
KEPT_DAYS = 400


class _Counted(msgspec.Struct, frozen=True):
    person_id: uuid.UUID
    name: str
    day: dt.date
    count: int


async def count_events(tx: Tx) -> int:
    """Count on from where the last time ended; how far in events. Bots count for nobody."""
    await lock(tx)
    after = await tx.value("select position from audience.counted where cell = $1", tx.cell) or 0
    positions = await tx.values(
        """
        select position from tracking.v_event where cell = $1 and position > $2
         order by position limit $3
        """,
        tx.cell,
        after,
        EVENTS_AT_ONCE,
    )
    if not positions:
        return 0
    rows = await tx.rows(
        _Counted,
        """
        select person_id, name, (occurred_at at time zone 'UTC')::date as day, count(*) as count
          from tracking.v_event
         where cell = $1 and position > $2 and position <= $3 and person_id is not null
           and not is_bot
         group by 1, 2, 3
        """,
        tx.cell,
        after,
        positions[-1],
    )
    await note_activity(tx, [(r.person_id, r.name, r.day, r.count) for r in rows])
    await tx.run(
        """
        insert into audience.counted (cell, position) values ($1, $2)
        on conflict (cell) do update set position = excluded.position
        """,
        tx.cell,
        positions[-1],
    )
    return len(positions)


async def forget_activity(tx: Tx, person_ids: Sequence[uuid.UUID]) -> None:
    """They do not agree any more: what was counted goes, and segments are decided without it."""
    await lock(tx)
    await tx.run(
        """
        with gone as (
          delete from audience.activity where cell = $1 and person_id = any($2::uuid[])
        )
        update audience.person set look_at = $3 where cell = $1 and person_id = any($2::uuid[])
        """,
        tx.cell,
        list(person_ids),
        tx.now,
    )


async def forget_old_activity(tx: Tx) -> int:
    """Days that no rule may ask about any more."""
    return await tx.run(
        "delete from audience.activity where cell = $1 and day < $2",
        tx.cell,
        tx.later_than(-KEPT_DAYS * 86_400).date(),
    )
