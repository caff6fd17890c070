"""How many are in a segment. A page counts small segments itself; those with more than ``LIVE``
members are reckoned by a job, so that no page waits for a million rows, and say when."""

from __future__ import annotations

import uuid

from pinwheel.kernel.db import Tx

LIVE = 20_000
PACE = 5_000  # of a segment with so many members more, figures may be a second older
HISTORY_DAYS = 60
MOST_SHARED = 12


async def reckon(tx: Tx) -> int:
    """Count the large segments whose figures are old enough anew; how many. Figures are at least a
    minute old before they are made again, of a million members 4 minutes: counting takes a small,
    steady part of a processor however large the shop is."""
    due = await tx.values(
        """
        select s.id from audience.segment s
          left join audience.segment_figure f on f.segment_id = s.id and f.cell = s.cell
         cross join lateral (
           select count(*) as n from (
             select from audience.membership m
              where m.cell = s.cell and m.segment_id = s.id and m.left_at is null
              limit $3 + 1) counted) large
         where s.cell = $1 and s.archived_at is null and large.n > $3
           and (f.at is null
                or f.at + make_interval(secs => 60 + f.size::float8 / $4::float8) <= $2)
         order by s.id
        """,
        tx.cell,
        tx.now,
        LIVE,
        float(PACE),
    )
    for segment_id in due:
        await _reckon_one(tx, segment_id)
    await tx.run(
        """
        delete from audience.segment_figure f using audience.segment s
         where f.cell = $1 and s.cell = f.cell and s.id = f.segment_id
           and (s.archived_at is not null
                or not exists (select from audience.membership m
                                where m.cell = s.cell and m.segment_id = s.id
                                  and m.left_at is null offset $2))
        """,
        tx.cell,
        LIVE,
    )
    return len(due)


async def _reckon_one(tx: Tx, segment_id: uuid.UUID) -> None:
    """One pass over the memberships for sizes and days, one for what is shared."""
    await tx.run("set local work_mem = '64MB'")
    await tx.run(
        """
        with day as (
          select generate_series(($3::timestamptz at time zone 'UTC')::date - ($4::int - 1),
                                 ($3 at time zone 'UTC')::date, interval '1 day')::date as day
        ), moved as materialized (
          select (m.entered_at at time zone 'UTC')::date as came,
                 (m.left_at at time zone 'UTC')::date as went,
                 count(*) as n,
                 count(*) filter (where m.left_at is null) as here,
                 count(*) filter (where m.left_at is null and m.bucket < s.holdout_basis_points)
                   as held,
                 count(*) filter (where m.entered_at > $5) as entered,
                 count(*) filter (where m.left_at > $5) as gone
            from audience.membership m
            join audience.segment s on s.cell = m.cell and s.id = m.segment_id
           where m.cell = $1 and m.segment_id = $2
           group by 1, 2
        ), total as (
          select coalesce(sum(here), 0)::bigint as size, coalesce(sum(held), 0)::bigint as held,
                 coalesce(sum(entered), 0)::bigint as entered,
                 coalesce(sum(gone), 0)::bigint as went
            from moved
        ), history as (
          select jsonb_agg(jsonb_build_object('day', d.day, 'entered', d.entered, 'left', d.went,
                                              'size', d.size) order by d.day) as days
            from (select day.day,
                         coalesce(sum(m.n) filter (where m.came = day.day), 0) as entered,
                         coalesce(sum(m.n) filter (where m.went = day.day), 0) as went,
                         coalesce(sum(m.n) filter (where m.came <= day.day), 0)
                         - coalesce(sum(m.n) filter (where m.went <= day.day), 0) as size
                    from day left join moved m on m.came <= day.day group by day.day) d
        ), newest as (
          select id from audience.segment where cell = $1 and archived_at is null
           order by id desc limit $6
        ), shared as (
          select b.segment_id, count(*) as n
            from audience.membership a
            join audience.membership b on b.cell = a.cell and b.person_id = a.person_id
             and b.left_at is null
           where a.cell = $1 and a.segment_id = $2 and a.left_at is null
             and b.segment_id in (select id from newest)
           group by b.segment_id
        )
        insert into audience.segment_figure
               (cell, segment_id, at, size, held, entered, went, days, shared)
        select $1, $2, $3, t.size, t.held, t.entered, t.went, h.days,
               coalesce((select jsonb_object_agg(segment_id::text, n) from shared), '{}')
          from total t cross join history h
        on conflict (segment_id, cell) do update
           set at = excluded.at, size = excluded.size, held = excluded.held,
               entered = excluded.entered, went = excluded.went, days = excluded.days,
               shared = excluded.shared
        """,
        tx.cell,
        segment_id,
        tx.now,
        HISTORY_DAYS,
        tx.later_than(-7 * 86_400),
        MOST_SHARED,
    )
