"""From the inbox to the weeks: once each, in one order, without what nobody consented to."""

from __future__ import annotations

import datetime as dt
import uuid

import msgspec

from pinwheel.insight.tracking.model import A_MINUTE_MOST, LOOKED_BACK
from pinwheel.kernel.db import Tx

EVENTS_A_STEP = 20_000


class Waiting(msgspec.Struct, frozen=True):
    id: uuid.UUID
    events: int
    received_at: dt.datetime


async def unpack(tx: Tx, *, most: int = EVENTS_A_STEP) -> int:
    """Move the oldest ``most`` events (a row of them at least) out of the inbox; how many were
    taken from it. One caller at a time, so that positions are committed in their order."""
    await tx.run("select set_config('work_mem', '128MB', true)")
    before: int = await tx.value(
        """
        insert into tracking.feed as f (cell, position) values ($1, 0)
        on conflict (cell) do update set position = f.position returning position
        """,
        tx.cell,
    )
    rows = await tx.rows(
        Waiting,
        """
        select id, cardinality(event_ids) as events, received_at
          from tracking.inbox where cell = $1 order by id limit 500
        """,
        tx.cell,
    )
    chosen: list[Waiting] = []
    events = 0
    for row in rows:
        if chosen and events + row.events > most:
            break
        chosen.append(row)
        events += row.events
    if not chosen:
        return 0
    for week in sorted({_monday(row.received_at) for row in chosen}):
        await tx.run("select tracking.open_week($1)", week)
    ids, until = [row.id for row in chosen], before + events
    left = await _move(tx, ids, before)
    await _note_visitors(tx, before, until)
    await _count(tx, before, until, left)
    await tx.run(
        """
        with gone as (delete from tracking.inbox where cell = $1 and id = any($3::uuid[]))
        update tracking.feed set position = $2 where cell = $1
        """,
        tx.cell,
        until,
        ids,
    )
    return events


def _monday(at: dt.datetime) -> dt.datetime:
    day = at.astimezone(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return day - dt.timedelta(days=day.weekday())


class _Left(msgspec.Struct, frozen=True):
    """What became of the events of one name in one minute, beside those that are shown now."""

    minute_at: dt.datetime
    name: str
    events: int
    withheld: int


async def _move(tx: Tx, ids: list[uuid.UUID], position: int) -> list[_Left]:
    """Insert what may be shown. Who is told apart once for each visitor, session and person of the
    step, not for each event. A second copy within the week is refused by the week's own index, one
    of the weeks before is looked for there."""
    return await tx.rows(
        _Left,
        """
        with raw as materialized (
          select w.*, row_number() over (order by w.inbox_id, w.n) as place
            from tracking.waiting w where w.cell = $1 and w.inbox_id = any($2::uuid[])
        ), visitor as materialized (
          select g.visitor_id, c.withdrawn_at,
                 case when v.is_bot then v.bot_reason
                      when g.events + case when v.minute_at > g.last_at - interval '1 minute'
                                           then v.minute_events else 0 end > $4 then 'rate'
                      else '' end as bot_reason
            from (select visitor_id, count(*) as events, max(received_at) as last_at
                    from raw where visitor_id <> '' group by visitor_id) g
            left join tracking.visitor v on v.cell = $1 and v.visitor_id = g.visitor_id
            left join tracking.consent c on c.cell = $1 and c.subject = 'visitor:' || g.visitor_id
        ), person as materialized (
          select g.person_id, c.withdrawn_at
            from (select distinct person_id from raw where person_id is not null) g
            join tracking.consent c on c.cell = $1 and c.subject = 'person:' || g.person_id::text
        ), suspect as materialized (
          select s.session_id, s.reason
            from (select distinct session_id from raw where session_id <> '') g
            join tracking.suspect s
              on s.cell = $1 and s.session_id = g.session_id and s.until_at > $5
        ), judged as materialized (
          select r.*, coalesce(nullif(r.bot_reason, ''), s.reason, v.bot_reason, '') as bot,
                 coalesce(r.received_at >= v.withdrawn_at, false)
                   or coalesce(r.received_at >= p.withdrawn_at, false) as said_no
            from raw r
            left join visitor v on v.visitor_id = r.visitor_id
            left join person p on p.person_id = r.person_id
            left join suspect s on s.session_id = r.session_id
        ), fresh as (
          insert into tracking.event
          select $1, $3 + r.place, r.event_id, r.received_at, r.occurred_at, r.name, r.version,
                 case when said_no then '' else r.visitor_id end,
                 case when said_no then null else r.person_id end,
                 case when said_no then '' else r.session_id end, r.source, r.bot <> '', r.bot,
                 r.properties, case when said_no then '{}' else r.context end
            from judged r
           where not (said_no and r.purpose = 'analytics' and r.source <> 'server')
             and (select true from tracking.event p where p.cell = $1 and p.event_id = r.event_id
                     and p.received_at >= r.received_at - $6::interval
                     and p.received_at < date_trunc('week', r.received_at) limit 1) is null
          on conflict do nothing
        )
        select date_trunc('minute', received_at) as minute_at, name, count(*) as events,
               count(*) filter (where said_no and purpose = 'analytics'
                                  and source <> 'server') as withheld
          from judged group by 1, 2 order by 1, 2
        """,
        *(tx.cell, ids, position, A_MINUTE_MOST, tx.now, LOOKED_BACK),
    )


async def _note_visitors(tx: Tx, position: int, until: int) -> None:
    """Count what is shown now for each visitor, and how fast it came."""
    await tx.run(
        """
        insert into tracking.visitor as v (cell, visitor_id, first_seen_at, last_seen_at, events,
               minute_at, minute_events, is_bot, bot_reason)
        select $1, visitor_id, min(occurred_at), max(occurred_at), count(*), max(received_at),
               count(*), bool_or(is_bot), max(bot_reason)
          from tracking.event
         where cell = $1 and position > $2 and position <= $3 and visitor_id <> ''
         group by visitor_id
        on conflict (cell, visitor_id) do update
           set first_seen_at = least(v.first_seen_at, excluded.first_seen_at),
               last_seen_at = greatest(v.last_seen_at, excluded.last_seen_at),
               events = v.events + excluded.events,
               minute_events = excluded.minute_events
                 + case when v.minute_at > excluded.minute_at - interval '1 minute'
                        then v.minute_events else 0 end,
               minute_at = case when v.minute_at > excluded.minute_at - interval '1 minute'
                                then v.minute_at else excluded.minute_at end,
               is_bot = v.is_bot or excluded.is_bot,
               bot_reason = coalesce(nullif(v.bot_reason, ''), excluded.bot_reason)
        """,
        tx.cell,
        position,
        until,
    )


async def _count(tx: Tx, position: int, until: int, left: list[_Left]) -> None:
    """Add to the volumes; what is neither shown nor withheld was a copy."""
    await tx.run(
        """
        insert into tracking.volume as v
               (cell, minute_at, name, events, bots, withheld, duplicates)
        select $1, a.minute_at, a.name, coalesce(f.events, 0), coalesce(f.bots, 0), a.withheld,
               a.events - a.withheld - coalesce(f.events, 0)
          from unnest($4::timestamptz[], $5::text[], $6::bigint[], $7::bigint[])
               as a(minute_at, name, events, withheld)
          left join (select date_trunc('minute', received_at) as minute_at, name,
                            count(*) as events, count(*) filter (where is_bot) as bots
                       from tracking.event
                      where cell = $1 and position > $2 and position <= $3
                      group by 1, 2) f using (minute_at, name)
         order by a.minute_at, a.name
        on conflict (cell, minute_at, name) do update
           set events = v.events + excluded.events, bots = v.bots + excluded.bots,
               withheld = v.withheld + excluded.withheld,
               duplicates = v.duplicates + excluded.duplicates
        """,
        tx.cell,
        position,
        until,
        [one.minute_at for one in left],
        [one.name for one in left],
        [one.events for one in left],
        [one.withheld for one in left],
    )


async def set_aside(tx: Tx, why: str) -> int:
    """Put the oldest row of the inbox into quarantine as it is; how many events it holds."""
    return await tx.run(
        """
        with gone as (
          delete from tracking.inbox where cell = $1
             and id = (select id from tracking.inbox where cell = $1 order by id limit 1)
          returning *
        )
        insert into tracking.quarantine (cell, id, received_at, source, name, reason, detail, raw,
               visitor_id, person_id, bot_reason)
        select $1, gen_random_uuid(), g.received_at, g.source, e.name, 'unstorable', $2,
               jsonb_build_object('id', e.event_id, 'name', e.name, 'occurred_at', e.occurred_at,
                 'properties', e.properties, 'visitor_id', e.visitor_id,
                 'session_id', e.session_id, 'person_id', e.person_id, 'context', e.context,
                 'consent', e.visitor_id <> '' or e.person_id is not null)::text,
               e.visitor_id, e.person_id, e.bot_reason
          from gone g
          cross join lateral unnest(g.event_ids, g.names, g.occurred_ats, g.visitor_ids,
                 g.person_ids, g.session_ids, g.bot_reasons, g.properties, g.contexts)
                 as e(event_id, name, occurred_at, visitor_id, person_id, session_id, bot_reason,
                      properties, context)
        """,
        tx.cell,
        why[:500],
    )
