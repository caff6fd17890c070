"""From the log of facts to deliveries: one cursor follows the log, in the order of transactions
that are over, and hands every public fact to the endpoints that want it. The hot path pays
nothing; a shop without webhooks pays one question a second."""

from __future__ import annotations

import uuid

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.platform.open.model import EndpointTested
from pinwheel.platform.open.public import KINDS

FACTS_AT_ONCE = 5_000


class Place(msgspec.Struct, frozen=True):
    xid: int
    id: uuid.UUID
    since_xid: int | None  # of the earliest endpoint that is enabled; None: there is none


async def hand_out(tx: Tx) -> int:
    """Make deliveries of the facts since last time; how many facts were looked at."""
    place = await tx.row(
        Place,
        """
        select f.xid, f.id,
               (select p.since_xid from open.endpoint p where p.enabled
                 order by p.since_xid limit 1)
               as since_xid
          from open.follower f where f.cell = $1 for update
        """,
        tx.cell,
    )
    if place is None or place.since_xid is None:
        return 0
    # Whatever lies before the first endpoint's time is nobody's business: skip it.
    start = max((place.xid, place.id), (place.since_xid, uuid.UUID(int=0)))
    seen: int = await tx.value(
        """
        with batch as materialized (
          select e.xid, e.id, e.kind, e.subject_id from open.v_event e
           where e.cell = $1 and (e.xid, e.id) > ($2::xid8, $3::uuid)
           order by e.xid, e.id limit $4
        ), made as (
          insert into open.delivery (cell, endpoint_id, event_id, kind, next_at, created_at)
          select $1, p.id, b.id, b.kind, $5, $5
            from batch b
            join open.endpoint p on p.enabled and b.xid >= p.since_xid
             and (b.kind = any($6::text[]) and (p.kinds = '{}' or b.kind = any(p.kinds))
                  or b.kind = $7 and b.subject_id = p.id)
          on conflict (cell, endpoint_id, event_id) do nothing
        ), moved as (
          update open.follower f set xid = l.xid, id = l.id
            from (select xid, id from batch order by xid desc, id desc limit 1) l
           where f.cell = $1
        )
        select count(*) from batch
        """,
        tx.cell,
        start[0],
        start[1],
        FACTS_AT_ONCE,
        tx.now,
        list(KINDS),
        EndpointTested.kind(),
    )
    return seen


async def endpoints_due(tx: Tx) -> list[uuid.UUID]:
    """Endpoints with something to send now."""
    return await tx.values(
        """
        select p.id from open.endpoint p
         where p.enabled and exists (
           select from open.delivery d
            where d.cell = $1 and d.endpoint_id = p.id and d.state = 'waiting' and d.next_at <= $2
              and (d.leased_until is null or d.leased_until <= $2))
        """,
        tx.cell,
        tx.now,
    )
