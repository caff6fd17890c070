"""Questions about events: the feed for consumers, the stream and the volumes for people, the
timeline of one of them."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from pinwheel.kernel import listing
from pinwheel.kernel.db import Tx
from pinwheel.kernel.listing import Page
from pinwheel.kernel.queries import Behind

Position = Annotated[int, Meta(ge=0, lt=2**62)]


class Tracked(msgspec.Struct, frozen=True):
    """One event as it is published. ``person_id`` also when it was learned later."""

    position: int
    event_id: uuid.UUID
    occurred_at: dt.datetime
    received_at: dt.datetime
    name: str
    version: int
    visitor_id: str
    person_id: uuid.UUID | None
    session_id: str
    source: str
    is_bot: bool
    bot_reason: str
    properties: dict[str, Any]
    context: dict[str, Any]


class TrackedFeed(msgspec.Struct, frozen=True):
    """Ask again with ``after=next``: no event is skipped, and an empty page means nothing new."""

    items: list[Tracked]
    next: int


async def feed(tx: Tx, *, after: int = 0, limit: int = 500) -> TrackedFeed:
    """Events after a position, in order. Whoever starts at 0 replays all that is kept."""
    rows = await tx.rows(
        Tracked,
        """
        select position, event_id, occurred_at, received_at, name, version, visitor_id, person_id,
               session_id, source, is_bot, bot_reason, properties, context
          from tracking.v_event where cell = $1 and position > $2 order by position limit $3
        """,
        tx.cell,
        after,
        limit,
    )
    return TrackedFeed(rows, rows[-1].position if rows else after)


async def stream(tx: Tx, *, name: str = "", limit: int = 30) -> list[Tracked]:
    """The newest events, the last first. Looks at the last 5,000 for a name."""
    return await tx.rows(
        Tracked,
        """
        select position, event_id, occurred_at, received_at, name, version, visitor_id, person_id,
               session_id, source, is_bot, bot_reason, properties, context
          from tracking.v_event
         where cell = $1
           and position > (select coalesce(max(position), 0) - 5000 from tracking.feed
                            where cell = $1)
           and ($2 = '' or name = $2)
         order by position desc limit $3
        """,
        tx.cell,
        name,
        limit,
    )


class Volume(msgspec.Struct, frozen=True):
    """How often a name came in the last hour; ``minutes`` is each minute's count, the last one
    last."""

    name: str
    events: int
    bots: int
    withheld: int
    duplicates: int
    quarantined: int
    minutes: list[int]


async def volumes(tx: Tx) -> list[Volume]:
    """The last sixty minutes by name, the most frequent first."""
    return await tx.rows(
        Volume,
        """
        with minute as (
          select generate_series(date_trunc('minute', $2::timestamptz) - interval '59 minutes',
                                 date_trunc('minute', $2::timestamptz),
                                 interval '1 minute') as at
        ), name as (
          select distinct name from tracking.volume
           where cell = $1 and minute_at > $2::timestamptz - interval '1 hour'
        )
        select n.name, coalesce(sum(v.events), 0)::bigint as events,
               coalesce(sum(v.bots), 0)::bigint as bots,
               coalesce(sum(v.withheld), 0)::bigint as withheld,
               coalesce(sum(v.duplicates), 0)::bigint as duplicates,
               coalesce(sum(v.quarantined), 0)::bigint as quarantined,
               array_agg(coalesce(v.events, 0) order by m.at) as minutes
          from name n
          cross join minute m
          left join tracking.volume v on v.cell = $1 and v.name = n.name and v.minute_at = m.at
         group by n.name order by events desc, n.name limit 100
        """,
        tx.cell,
        tx.now,
    )


class State(msgspec.Struct, frozen=True):
    """``waiting``: batches that are not shown yet; ``oldest_at``: since when."""

    position: int
    waiting: int
    oldest_at: dt.datetime | None
    quarantined: int


async def state(tx: Tx) -> State:
    """How far the unpacking is."""
    return await tx.the(
        "feed",
        State,
        """
        select coalesce((select position from tracking.feed where cell = $1), 0) as position,
               i.waiting, i.oldest_at,
               (select count(*) from tracking.quarantine where cell = $1) as quarantined
          from (select count(*) as waiting, min(received_at) as oldest_at
                  from tracking.inbox where cell = $1) i
        """,
        tx.cell,
    )


async def events_of(
    tx: Tx, person_ids: Sequence[uuid.UUID], *, cursor: str | None = None, limit: int = 50
) -> Page[Tracked]:
    """What these people did, signed in or before they were known, the newest first."""
    before = listing.after(cursor, dt.datetime, int)
    rows = await tx.rows(
        Tracked,
        """
        select e.position, e.event_id, e.occurred_at, e.received_at, e.name, e.version,
               e.visitor_id, coalesce(e.person_id, e.linked_id) as person_id, e.session_id,
               e.source, e.is_bot, e.bot_reason, e.properties, e.context
          from (select d.*, null::uuid as linked_id from tracking.event d
                 where d.cell = $1 and d.person_id = any($2::uuid[])
                union all
                select a.*, l.person_id from tracking.link l
                  join tracking.event a
                    on a.cell = $1 and a.visitor_id = l.visitor_id and a.visitor_id <> ''
                   and a.occurred_at >= l.from_at and a.occurred_at < l.until_at
                 where l.cell = $1 and l.person_id = any($2::uuid[]) and l.undone_at is null
                   and a.person_id is null) e
         where $3::timestamptz is null or (e.occurred_at, e.position) < ($3, $4::bigint)
         order by e.occurred_at desc, e.position desc limit $5
        """,
        tx.cell,
        list(person_ids),
        before[0] if before else None,
        before[1] if before else 0,
        limit + 1,
    )
    return listing.page(rows, limit, lambda e: (e.occurred_at, e.position))


async def export(tx: Tx, person_id: uuid.UUID) -> dict[str, Any]:
    """All that is counted of somebody: for their copy. The newest 10,000 events."""
    found = await events_of(tx, [person_id], limit=10_000)
    links = await tx.values(
        """
        select distinct visitor_id from tracking.link
         where cell = $1 and person_id = $2 and undone_at is null
        """,
        tx.cell,
        person_id,
    )
    return {"events": found.items, "visitor_ids": links}


async def behind(tx: Tx) -> list[Behind]:
    """Batches that were taken in and not unpacked. 1 statement."""
    return await tx.rows(
        Behind,
        """
        select 'visits_unread' as kind, count(*) as count, min(received_at) as since
          from tracking.inbox where cell = $1
        """,
        tx.cell,
    )
