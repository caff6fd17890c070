# ruff: noqa: S608 - statements are woven of literals, every value is a parameter
"""Questions about segments and who is in them."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.insight.audience.compiling import compiled, plan_for_many
from pinwheel.insight.audience.language import read
from pinwheel.insight.audience.model import FIRST, LAST, NewSegment, Place, Segment
from pinwheel.insight.audience.sizing import HISTORY_DAYS, LIVE
from pinwheel.kernel.db import Tx

SAMPLE = 10


class Membership(msgspec.Struct, frozen=True):
    person_id: uuid.UUID
    segment_id: uuid.UUID


class Member(msgspec.Struct, frozen=True):
    person_id: uuid.UUID
    entered_at: dt.datetime
    is_held: bool


class SegmentLine(msgspec.Struct, frozen=True):
    """A segment with its figures: members, of them held out, entries and exits of 7 days.
    ``reckoned_at``: when; None: just now."""

    id: uuid.UUID
    name: dict[str, str]
    purpose: str
    holdout_basis_points: int
    is_counting: bool
    changed_at: dt.datetime
    size: int
    held: int
    entered: int
    left: int
    reckoned_at: dt.datetime | None = None


class Preview(msgspec.Struct, frozen=True):
    """How many a rule would hold for, of how many known, with a few of them."""

    size: int
    known: int
    sample: list[uuid.UUID]


class Overlap(msgspec.Struct, frozen=True):
    a: uuid.UUID
    b: uuid.UUID
    both: int


class Day(msgspec.Struct, frozen=True):
    """A day of a segment: who came, who went, how many there were at its end."""

    day: dt.date
    entered: int
    left: int
    size: int


class _Days(msgspec.Struct, frozen=True):
    days: list[Day]


async def memberships(
    tx: Tx, person_ids: Sequence[uuid.UUID], *, held: bool = False
) -> dict[uuid.UUID, frozenset[uuid.UUID]]:
    """The segments each of these people is in now, for acting on: whoever is held out is left out,
    unless ``held``. A person in none has an empty set. 1 statement."""
    rows = await tx.rows(
        Membership,
        """
        select person_id, segment_id from audience.v_membership
         where cell = $1 and person_id = any($2::uuid[]) and ($3 or not is_held)
        """,
        tx.cell,
        list(person_ids),
        held,
    )
    found: dict[uuid.UUID, set[uuid.UUID]] = {person_id: set() for person_id in person_ids}
    for row in rows:
        found[row.person_id].add(row.segment_id)
    return {person_id: frozenset(ids) for person_id, ids in found.items()}


async def members(
    tx: Tx, segment_id: uuid.UUID, after: uuid.UUID | None = None, limit: int = 1_000
) -> list[Member]:
    """Members in the order of their ids, those after ``after``; held out ones say so. 1
    statement."""
    return await tx.rows(
        Member,
        """
        select person_id, entered_at, is_held from audience.v_membership
         where cell = $1 and segment_id = $2 and person_id > $3
         order by person_id limit $4
        """,
        tx.cell,
        segment_id,
        after or FIRST,
        limit,
    )


async def segments(tx: Tx) -> list[SegmentLine]:
    """Every segment that is not archived, the newest first, with its figures: those of large ones
    as they were reckoned, of small ones as they are now. 1 statement."""
    return await tx.rows(
        SegmentLine,
        """
        select s.id, s.name, s.purpose, s.holdout_basis_points,
               s.computed < s.version as is_counting, s.changed_at,
               coalesce(f.size, n.size) as size, coalesce(f.held, n.held) as held,
               coalesce(f.entered, e.entered) as entered, coalesce(f.went, l.left) as left,
               f.at as reckoned_at
          from audience.segment s
          left join audience.segment_figure f on f.segment_id = s.id and f.cell = s.cell
         cross join lateral (
           select count(*) as size,
                  count(*) filter (where m.bucket < s.holdout_basis_points) as held
             from (select bucket from audience.membership m
                    where f.at is null and m.cell = s.cell and m.segment_id = s.id
                      and m.left_at is null limit $3) m) n
         cross join lateral (
           select count(*) as entered from (
             select from audience.membership m
              where f.at is null and m.cell = s.cell and m.segment_id = s.id
                and m.entered_at > $2 limit $3) m) e
         cross join lateral (
           select count(*) as left from (
             select from audience.membership m
              where f.at is null and m.cell = s.cell and m.segment_id = s.id
                and m.left_at > $2 limit $3) m) l
         where s.cell = $1 and s.archived_at is null
         order by s.id desc
        """,
        tx.cell,
        tx.later_than(-7 * 86_400),
        LIVE + 1,
    )


async def open_segments(tx: Tx) -> list[Segment]:
    """Segments that are not archived."""
    return await tx.rows(
        Segment,
        """
        select id, name, rule, purpose, holdout_basis_points, uses, days, version, computed,
               created_at, changed_at, archived_at
          from audience.segment where cell = $1 and archived_at is null order by id
        """,
        tx.cell,
    )


async def segment(tx: Tx, segment_id: uuid.UUID) -> Segment:
    """One segment, archived or not."""
    return await tx.the(
        "segment",
        Segment,
        """
        select id, name, rule, purpose, holdout_basis_points, uses, days, version, computed,
               created_at, changed_at, archived_at
          from audience.segment where cell = $1 and id = $2
        """,
        tx.cell,
        segment_id,
    )


async def preview(tx: Tx, new: NewSegment) -> Preview:
    """How many a rule holds for now, before anything is saved. Refuses what ``save_segment``
    refuses of a rule's shape."""
    whole = compiled(read(new.rule))
    await plan_for_many(tx)
    tx.statements += 1
    # The statement is woven of the compiler's own literals; every value is a parameter.
    row = await tx.connection.fetchrow(
        f"with hit as materialized (select p.person_id{whole.from_where})"
        " select (select count(*) from hit) as size,"
        " (select count(*) from audience.person where cell = $1) as known,"
        " array(select person_id from hit order by hashint8(hashtext(person_id::text)) limit"
        f" {SAMPLE}) as sample",
        tx.cell,
        FIRST,
        LAST,
        tx.now,
        *whole.values,
    )
    return Preview(row["size"], row["known"], list(row["sample"]))


async def matching(tx: Tx, new: NewSegment) -> set[uuid.UUID]:
    """Everybody a rule holds for, by the compiled statement."""
    whole = compiled(read(new.rule))
    await plan_for_many(tx)
    tx.statements += 1
    rows = await tx.connection.fetch(
        f"select p.person_id{whole.from_where}", tx.cell, FIRST, LAST, tx.now, *whole.values
    )
    return {row["person_id"] for row in rows}


async def overlap(tx: Tx, segment_ids: Sequence[uuid.UUID]) -> list[Overlap]:
    """How many are in both, for each two of at most 12 segments (each with itself: its size); of
    large segments as it was reckoned. 1 statement."""
    return await tx.rows(
        Overlap,
        """
        with kept as (
          select segment_id, shared from audience.segment_figure
           where cell = $1 and segment_id = any($2::uuid[])
        )
        select least(k.segment_id, o.id::uuid) as a, greatest(k.segment_id, o.id::uuid) as b,
               max(o.n::bigint) as both
          from kept k cross join lateral jsonb_each_text(k.shared) as o(id, n)
         where o.id::uuid = any($2::uuid[])
         group by 1, 2
        union all
        select a.segment_id as a, b.segment_id as b, count(*) as both
          from audience.membership a
          join audience.membership b on b.cell = a.cell and b.person_id = a.person_id
           and b.left_at is null and b.segment_id >= a.segment_id
         where a.cell = $1 and a.left_at is null and a.segment_id = any($2::uuid[])
           and b.segment_id = any($2::uuid[])
           and a.segment_id not in (select segment_id from kept)
           and b.segment_id not in (select segment_id from kept)
         group by a.segment_id, b.segment_id
        """,
        tx.cell,
        list(segment_ids)[:12],
    )


async def history(tx: Tx, segment_id: uuid.UUID, days: int = HISTORY_DAYS) -> list[Day]:
    """Size, entries and exits of each of the last days (UTC), the oldest first; of a large segment
    as they were reckoned, 60 days at most. 2 statements at most."""
    kept = await tx.row(
        _Days,
        "select days from audience.segment_figure where cell = $1 and segment_id = $2",
        tx.cell,
        segment_id,
    )
    if kept is not None:
        return kept.days[-days:]
    return await tx.rows(
        Day,
        """
        with day as (
          select generate_series(($3::timestamptz at time zone 'UTC')::date - ($4::int - 1),
                                 ($3 at time zone 'UTC')::date, interval '1 day')::date as day
        ), came as (
          select (entered_at at time zone 'UTC')::date as day, count(*) as n
            from audience.membership where cell = $1 and segment_id = $2 group by 1
        ), went as (
          select (left_at at time zone 'UTC')::date as day, count(*) as n
            from audience.membership
           where cell = $1 and segment_id = $2 and left_at is not null group by 1
        )
        select d.day, coalesce(c.n, 0) as entered, coalesce(w.n, 0) as left,
               (coalesce((select sum(n) from came where day <= d.day), 0)
                - coalesce((select sum(n) from went where day <= d.day), 0))::bigint as size
          from day d left join came c using (day) left join went w using (day) order by d.day
        """,
        tx.cell,
        segment_id,
        tx.now,
        days,
    )


async def places(tx: Tx) -> list[Place]:
    """The tier of each place, by country."""
    return await tx.rows(
        Place,
        """
        select country, region, tier, city from audience.region_tier
         order by country, tier, region, city
        """,
    )
