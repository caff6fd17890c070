"""What buyers had to do with the shop before their first order, of those who agreed to be
counted."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter
from collections.abc import Sequence

import msgspec

from pinwheel.growth.measurement.attribution import Touch, channel_of, path_of
from pinwheel.kernel.db import Tx

BACK_DAYS = 30
MOST_VISITORS = 20_000


class _Seen(msgspec.Struct, frozen=True):
    person_id: uuid.UUID
    at: dt.datetime
    name: str
    source: str
    medium: str
    campaign: str
    referrer: str
    order_channel: str


async def touches(tx: Tx, person_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, list[Touch]]:
    """Touches in the 30 days before each buyer's first order: visits with what the address said,
    shared links, links of teams, bargains and invitations, and the channel of the order itself when
    an affiliate or an agent made it. 1 statement."""
    rows = await tx.rows(
        _Seen,
        """
        select b.person_id, t.at, t.name, t.source, t.medium, t.campaign, t.referrer,
               t.order_channel
          from measurement.buyer b
         cross join lateral (
           select min(e.occurred_at) as at, e.name,
                  coalesce(e.context ->> 'source', '') as source,
                  coalesce(e.context ->> 'medium', '') as medium,
                  coalesce(e.context ->> 'campaign', '') as campaign,
                  coalesce(e.context ->> 'referrer', '') as referrer, '' as order_channel
             from tracking.v_link l
             join tracking.v_event e
               on e.cell = l.cell and e.visitor_id = l.visitor_id and e.person_id = l.person_id
            where l.cell = $1 and l.person_id = b.person_id
              and e.name in ('page_viewed', 'share_opened') and not e.is_bot
              and e.occurred_at > b.first_at - make_interval(days => $3)
              and e.occurred_at <= b.first_at
              and e.received_at > b.first_at - make_interval(days => $3 + 1)
              and e.received_at < b.first_at + interval '8 days'
            group by e.session_id, 2, 3, 4, 5, 6
           union all
           select e.at, 'share:' || e.via, '', '', '', '', ''
             from measurement.v_edge e
            where e.cell = $1 and e.child_id = b.person_id
              and (e.order_id = b.first_order_id
                   or e.at > b.first_at - make_interval(days => $3) and e.at <= b.first_at)
           union all
           select b.first_at, 'order', '', '', '', '', b.order_channel
            where b.order_channel in ('affiliate', 'agent')) t
         where b.cell = $1 and b.person_id = any($2::uuid[])
         order by b.person_id, t.at
        """,
        tx.cell,
        list(person_ids),
        BACK_DAYS,
    )
    found: dict[uuid.UUID, list[Touch]] = {}
    for row in rows:
        channel = channel_of(row.name, row.source, row.medium, row.referrer, row.order_channel)
        found.setdefault(row.person_id, []).append(Touch(channel, row.at, row.campaign))
    return found


class _Visit(msgspec.Struct, frozen=True):
    visitor_id: str
    at: dt.datetime
    source: str
    medium: str
    referrer: str


async def lost_paths(tx: Tx, since: dt.date, until: dt.date) -> Counter[tuple[str, ...]]:
    """Paths of visitors of a stretch who have not bought: what the chance of a purchase is
    reckoned against. 20,000 visitors at most. 1 statement."""
    rows = await tx.rows(
        _Visit,
        """
        select e.visitor_id, min(e.occurred_at) as at, coalesce(e.context ->> 'source', '')
                 as source,
               coalesce(e.context ->> 'medium', '') as medium,
               coalesce(e.context ->> 'referrer', '') as referrer
          from tracking.v_event e
         where e.cell = $1 and e.received_at >= $2::date and e.received_at < $3::date
           and e.name = 'page_viewed' and not e.is_bot and e.visitor_id <> ''
           and not exists (select from measurement.buyer b
                            where b.cell = e.cell and b.person_id = e.person_id)
         group by e.visitor_id, e.session_id, 3, 4, 5 order by e.visitor_id, at limit $4
        """,
        tx.cell,
        since,
        until,
        MOST_VISITORS,
    )
    by_visitor: dict[str, list[Touch]] = {}
    for row in rows:
        channel = channel_of("page_viewed", row.source, row.medium, row.referrer)
        by_visitor.setdefault(row.visitor_id, []).append(Touch(channel, row.at))
    return Counter(tuple(t.channel for t in path_of(ts)) for ts in by_visitor.values())
