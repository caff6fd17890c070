# ruff: noqa: S608 - statements are woven of literals, every value is a parameter
"""Following: the log of facts, the clock, and the walk over everybody when a rule has changed."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.insight.audience.compiling import Compiled, compiled, plan_for_many
from pinwheel.insight.audience.deciding import Change, decide_again, refresh, write
from pinwheel.insight.audience.facts import forget_facts, lock
from pinwheel.insight.audience.language import read
from pinwheel.insight.audience.model import (
    FIRST,
    LAST,
    Segment,
    SegmentCounted,
    SegmentSaved,
)
from pinwheel.kernel.db import Tx

FACTS_AT_ONCE = 2_000
PEOPLE_AT_ONCE = 5_000


class _At(msgspec.Struct, frozen=True):
    xid: int
    id: uuid.UUID


class _Fact(msgspec.Struct, frozen=True):
    xid: int
    id: uuid.UUID
    person_ids: list[uuid.UUID]


async def follow(tx: Tx) -> int:
    """Read on in the log of facts and count whoever they touch anew; how many such facts there
    were.

    Whatever tells of an order (placed, cancelled, returned, refunded) touches its person; the
    checkout pays nothing for it. All other facts are passed over at once: a segment that a million
    people enter leaves a million of them, and no purchase may wait behind these."""
    await lock(tx)
    at = await tx.the(
        "place in the log",
        _At,
        "select xid, id from audience.follower where cell = $1",
        tx.cell,
    )
    end = await tx.row(
        _At,
        """
        select xid, id from audience.v_feed where cell = $1 and (xid, id) > ($2::xid8, $3::uuid)
         order by xid desc, id desc limit 1
        """,
        tx.cell,
        at.xid,
        at.id,
    )
    if end is None:
        return 0
    facts = await tx.rows(
        _Fact,
        """
        select f.xid, f.id,
               array_remove(array[o.person_id,
                 case when f.kind = 'identity.guest_joined' then (f.data->>'guest_id')::uuid end,
                 case when f.kind = 'identity.guest_joined' then (f.data->>'person_id')::uuid end
               ], null) as person_ids
          from (select * from audience.v_feed
                 where cell = $1 and (xid, id) > ($2::xid8, $3::uuid)
                   and (xid, id) <= ($4::xid8, $5::uuid)
                   and (data ? 'order_id' or kind = 'identity.guest_joined')
                 order by xid, id limit $6) f
          left join orders.v_purchase o on o.cell = $1
           and o.order_id = case when f.data ? 'order_id' then (f.data->>'order_id')::uuid end
         order by f.xid, f.id
        """,
        tx.cell,
        at.xid,
        at.id,
        end.xid,
        end.id,
        FACTS_AT_ONCE,
    )
    at = end if len(facts) < FACTS_AT_ONCE else _At(facts[-1].xid, facts[-1].id)
    await refresh(tx, {one for fact in facts for one in fact.person_ids}, cause="fact")
    await tx.run(
        "update audience.follower set xid = $2, id = $3 where cell = $1",
        tx.cell,
        at.xid,
        at.id,
    )
    return len(facts)


async def look_again(tx: Tx, most: int = 2_000) -> int:
    """Decide again for people whose time has come; how many."""
    await lock(tx)
    due = await tx.values(
        """
        select person_id from audience.person where cell = $1 and look_at <= $2
         order by look_at limit $3
        """,
        tx.cell,
        tx.now,
        most,
    )
    if due:
        await decide_again(tx, due, cause="time")
    return len(due)


class Stretch(msgspec.Struct, frozen=True):
    """People after ``after`` up to and with ``until``."""

    after: uuid.UUID
    until: uuid.UUID

    @property
    def is_last(self) -> bool:
        return self.until == LAST


async def walk(tx: Tx, segment_id: uuid.UUID, version: int, after: uuid.UUID) -> uuid.UUID | None:
    """Count the members among the next people after ``after``; where to go on, None at the end, or
    when the segment has been edited since (that edit walks by itself)."""
    await lock(tx)
    segment = await tx.row(
        Segment,
        """
        select id, name, rule, purpose, holdout_basis_points, uses, days, version, computed,
               created_at, changed_at, archived_at
          from audience.segment where cell = $1 and id = $2 for update
        """,
        tx.cell,
        segment_id,
    )
    if segment is None or segment.version != version:
        return None
    stretch = await _stretch(tx, after)
    await write(tx, await _differing(tx, segment, stretch), {segment.id: segment}, cause="rule")
    await _look_sooner(tx, segment.days, stretch)
    await tx.run(
        """
        update audience.segment set computed_to = $3, computed = case when $4 then $5 else computed
               end
         where cell = $1 and id = $2
        """,
        tx.cell,
        segment.id,
        None if stretch.is_last else stretch.until,
        stretch.is_last,
        version,
    )
    if not stretch.is_last:
        return stretch.until
    tx.emit(SegmentCounted(segment_id=segment.id, version=version))
    await _walk_dependents(tx, segment.id)
    return None


async def _stretch(tx: Tx, after: uuid.UUID) -> Stretch:
    ids = await tx.values(
        """
        select person_id from audience.person where cell = $1 and person_id > $2
         order by person_id limit $3
        """,
        tx.cell,
        after,
        PEOPLE_AT_ONCE,
    )
    return Stretch(after, ids[-1] if len(ids) == PEOPLE_AT_ONCE else LAST)


async def _differing(tx: Tx, segment: Segment, stretch: Stretch) -> Sequence[Change]:
    whole = Compiled(" from audience.person p where $4::timestamptz is null", [])
    if segment.archived_at is None:
        whole = compiled(read(segment.rule))
    mine = f"${len(whole.values) + 5}::uuid"
    await plan_for_many(tx)
    tx.statements += 1
    # Woven of the compiler's own literals; every value is a parameter.
    rows = await tx.connection.fetch(
        f"with hit as materialized (select p.person_id{whole.from_where}),"
        " here as (select person_id from audience.membership where cell = $1 and"
        f" segment_id = {mine} and left_at is null and person_id > $2 and person_id <= $3)"
        " select coalesce(hit.person_id, here.person_id) as person_id,"
        " here.person_id is null as is_in"
        " from hit full join here on here.person_id = hit.person_id"
        " where hit.person_id is null or here.person_id is null",
        tx.cell,
        stretch.after,
        stretch.until,
        tx.now,
        *whole.values,
        segment.id,
    )
    await plan_for_many(tx, on=False)
    return [Change(segment.id, row["person_id"], row["is_in"]) for row in rows]


async def _look_sooner(tx: Tx, days: list[int], stretch: Stretch) -> None:
    """The rule's spans may end before anybody looks again."""
    if not days:
        return
    await tx.run(
        """
        update audience.person p set look_at = l.at
          from (select person_id, min(at) as at
                  from (select b.person_id, b.at + make_interval(days => n, secs => 1) as at
                          from audience.purchase b, unnest($4::int[]) as n
                         where b.cell = $1 and b.person_id > $2 and b.person_id <= $3
                        union all
                        select a.person_id, ((a.day + n)::timestamp at time zone 'UTC') as at
                          from audience.activity a, unnest($4::int[]) as n
                         where a.cell = $1 and a.person_id > $2 and a.person_id <= $3) ends
                 where at > $5 group by person_id) l
         where p.cell = $1 and p.person_id = l.person_id
           and (p.look_at is null or p.look_at > l.at)
        """,
        tx.cell,
        stretch.after,
        stretch.until,
        days,
        tx.now,
    )


class _Dependent(msgspec.Struct, frozen=True):
    id: uuid.UUID
    version: int


async def _walk_dependents(tx: Tx, segment_id: uuid.UUID) -> None:
    """Segments that ask for this one are counted again."""
    for one in await tx.rows(
        _Dependent,
        """
        update audience.segment set computed = 0
         where cell = $1 and archived_at is null and $2 = any(uses)
        returning id, version
        """,
        tx.cell,
        segment_id,
    ):
        tx.emit(SegmentSaved(segment_id=one.id, version=one.version))


async def rebuild(tx: Tx) -> int:
    """Facts and memberships of everybody anew, from the published views of orders; how many people
    there are. The result is what following has led to, to the row."""
    await lock(tx)
    ids = await tx.values(
        """
        select distinct person_id from orders.v_purchase
         where cell = $1 and person_id is not null
        union select person_id from audience.person where cell = $1
        """,
        tx.cell,
    )
    await refresh(tx, ids, cause="fact")
    return len(ids)


async def forget(tx: Tx, person_ids: Sequence[uuid.UUID]) -> None:
    """Nothing of these people stays here. Safe to repeat."""
    await lock(tx)
    ids = list(person_ids)
    await forget_facts(tx, ids)
    await tx.run(
        """
        with a as (delete from audience.activity where cell = $1 and person_id = any($2::uuid[])),
             b as (delete from audience.membership where cell = $1 and person_id = any($2::uuid[])),
             c as (delete from audience.rfm where cell = $1 and person_id = any($2::uuid[])),
             d as (delete from audience.rfm_move where cell = $1 and person_id = any($2::uuid[]))
        delete from audience.ltv where cell = $1 and person_id = any($2::uuid[])
        """,
        tx.cell,
        ids,
    )


__all__ = ["FIRST", "follow", "forget", "look_again", "rebuild", "walk"]
