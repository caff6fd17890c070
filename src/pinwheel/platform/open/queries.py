"""Questions about webhooks, and the log of facts as programs read it."""

from __future__ import annotations

import uuid
from typing import Annotated

import msgspec
from msgspec import Meta

from pinwheel.kernel import listing
from pinwheel.kernel.db import Tx
from pinwheel.kernel.listing import Page
from pinwheel.kernel.queries import Behind
from pinwheel.platform.open.model import Delivery, Endpoint, Fact, Feed, cloud_event
from pinwheel.platform.open.public import KINDS, known

LOOKED_AT = 2_000
Xid = Annotated[int, Meta(ge=0, lt=2**62)]


async def endpoints(tx: Tx) -> list[Endpoint]:
    """Every address that is told, the oldest first."""
    return await tx.rows(
        Endpoint,
        """
        select id, url, label, kinds, enabled, previous_until, failing_since, disabled_at,
               disabled_reason, created_at
          from open.endpoint order by id
        """,
    )


async def endpoint(tx: Tx, endpoint_id: uuid.UUID) -> Endpoint:
    return await tx.the(
        "webhook",
        Endpoint,
        """
        select id, url, label, kinds, enabled, previous_until, failing_since, disabled_at,
               disabled_reason, created_at
          from open.endpoint where id = $1
        """,
        endpoint_id,
    )


async def deliveries(
    tx: Tx,
    endpoint_id: uuid.UUID,
    *,
    state: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[Delivery]:
    """What was sent to an endpoint, the newest event first."""
    before = listing.after(cursor, uuid.UUID)
    rows = await tx.rows(
        Delivery,
        """
        select endpoint_id, event_id, kind, state, attempts, next_at, status, note, took_ms,
               created_at, ended_at
          from open.delivery
         where cell = $1 and endpoint_id = $2 and ($3::text is null or state = $3)
           and ($4::uuid is null or event_id < $4)
         order by event_id desc limit $5
        """,
        tx.cell,
        endpoint_id,
        state,
        before[0] if before else None,
        limit + 1,
    )
    return listing.page(rows, limit, lambda d: (d.event_id,))


class Last(msgspec.Struct, frozen=True):
    xid: int
    id: uuid.UUID


async def events(
    tx: Tx, *, kinds: list[str] | None = None, cursor: str | None = None, limit: int = 100
) -> Feed:
    """Public facts after ``cursor`` in the order of finished transactions: a reader that goes on
    with ``next`` misses none, however long a transaction took. A page looks at 2,000 facts at
    most, so it may hold fewer than ``limit`` and still not be the last one."""
    wanted = known(kinds) if kinds else list(KINDS)
    xid, event_id = listing.after(cursor, Xid, uuid.UUID) or (0, uuid.UUID(int=0))
    rows = await tx.rows(
        Fact,
        """
        select e.xid, e.id, e.kind, e.subject_id, e.at, e.data
          from (select xid, id, kind, subject_id, at, data from open.v_event
                 where cell = $1 and (xid, id) > ($2::xid8, $3::uuid)
                 order by xid, id limit $5) e
         where e.kind = any($4::text[]) order by e.xid, e.id limit $6
        """,
        tx.cell,
        xid,
        event_id,
        wanted,
        LOOKED_AT,
        limit,
    )
    place: tuple[int, uuid.UUID] = (xid, event_id)
    if len(rows) == limit:
        place = (rows[-1].xid, rows[-1].id)
    else:
        last = await tx.row(
            Last,
            """
            select xid, id
              from (select xid, id from open.v_event
                     where cell = $1 and (xid, id) > ($2::xid8, $3::uuid)
                     order by xid, id limit $4) e
             order by xid desc, id desc limit 1
            """,
            tx.cell,
            xid,
            event_id,
            LOOKED_AT,
        )
        if last is not None:
            place = (last.xid, last.id)
    items = [cloud_event(r.id, r.kind, r.subject_id, r.at, r.data) for r in rows]
    return Feed(items, listing.cursor(*place))


async def behind(tx: Tx) -> list[Behind]:
    """Messages that were tried in vain and wait for the next try, those given up within a day, and
    addresses that are switched off. 1 statement."""
    return await tx.rows(
        Behind,
        """
        select 'hooks_due' as kind, count(*) as count, min(next_at) as since
          from open.delivery where cell = $1 and state = 'waiting' and next_at <= $2
        union all
        select 'hooks_retrying', count(*), min(created_at) from open.delivery
         where cell = $1 and state = 'waiting' and attempts > 0
        union all
        select 'hooks_failed', count(*), min(ended_at) from open.delivery
         where cell = $1 and state = 'failed' and ended_at > $2::timestamptz - interval '1 day'
        union all
        select 'hooks_off', count(*), min(disabled_at) from open.endpoint where not enabled
        """,
        tx.cell,
        tx.now,
    )
