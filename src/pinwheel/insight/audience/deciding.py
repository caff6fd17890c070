"""Who enters and who leaves: decided in Python for the people that something happened to, all
segments at once."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence

import msgspec

from pinwheel.insight.audience.facts import refresh_facts
from pinwheel.insight.audience.knowing import known
from pinwheel.insight.audience.language import Rule, decide, next_look, read
from pinwheel.insight.audience.model import (
    Cause,
    Known,
    Segment,
    SegmentEntered,
    SegmentLeft,
    bucket_of,
)
from pinwheel.insight.audience.queries import open_segments
from pinwheel.kernel.db import Tx

AT_ONCE = 1_000


class Change(msgspec.Struct, frozen=True):
    """Somebody comes (``is_in``) or goes."""

    segment_id: uuid.UUID
    person_id: uuid.UUID
    is_in: bool


async def refresh(tx: Tx, person_ids: Iterable[uuid.UUID], *, cause: Cause) -> int:
    """Count facts anew and decide again, under the lock; how many memberships changed."""
    ids, changed = sorted(set(person_ids)), 0
    for start in range(0, len(ids), AT_ONCE):
        part = ids[start : start + AT_ONCE]
        await refresh_facts(tx, part)
        changed += await decide_again(tx, part, cause=cause)
    return changed


async def decide_again(tx: Tx, person_ids: Sequence[uuid.UUID], *, cause: Cause) -> int:
    """Decide every segment for these people, under the lock; how many memberships changed.

    Statements: 7 at most, whatever the number of people and segments."""
    segments = await open_segments(tx)
    rules = {segment.id: read(segment.rule) for segment in segments}
    ordered = in_order(segments)
    days = sorted({n for segment in segments for n in segment.days})
    people = await known(tx, person_ids)
    changes: list[Change] = []
    looks = []
    for person_id, one in people.items():
        changes += _changes(one, ordered, rules, tx)
        looks.append((person_id, next_look(one, days, tx.now)))
    await _set_looks(tx, looks)
    gone = [person_id for person_id in person_ids if person_id not in people]
    changes += await _all_left(tx, gone)
    return await write(tx, changes, {s.id: s for s in segments}, cause=cause)


def in_order(segments: Sequence[Segment]) -> list[Segment]:
    """Segments after those that their rules name."""
    by_id = {segment.id: segment for segment in segments}
    ordered: dict[uuid.UUID, Segment] = {}

    def put(segment: Segment) -> None:
        for used in segment.uses:
            if used in by_id and used not in ordered:
                put(by_id[used])
        ordered.setdefault(segment.id, segment)

    for segment in segments:
        put(segment)
    return list(ordered.values())


def _changes(
    one: Known, ordered: Sequence[Segment], rules: dict[uuid.UUID, Rule], tx: Tx
) -> list[Change]:
    changes = []
    for segment in ordered:
        is_in = decide(rules[segment.id], one, tx.now)
        if is_in != (segment.id in one.segments):
            changes.append(Change(segment.id, one.person_id, is_in))
            (one.segments.add if is_in else one.segments.discard)(segment.id)
    return changes


async def _set_looks(tx: Tx, looks: Sequence[tuple[uuid.UUID, object]]) -> None:
    await tx.run(
        """
        update audience.person p set look_at = l.at
          from unnest($2::uuid[], $3::timestamptz[]) as l(person_id, at)
         where p.cell = $1 and p.person_id = l.person_id and p.look_at is distinct from l.at
        """,
        tx.cell,
        [person_id for person_id, _ in looks],
        [at for _, at in looks],
    )


async def _all_left(tx: Tx, person_ids: Sequence[uuid.UUID]) -> list[Change]:
    """Nothing is known of them any more (their orders are somebody else's now)."""
    if not person_ids:
        return []
    return await tx.rows(
        Change,
        """
        select segment_id, person_id, false as is_in from audience.membership
         where cell = $1 and person_id = any($2::uuid[]) and left_at is null
        """,
        tx.cell,
        list(person_ids),
    )


class _Written(msgspec.Struct, frozen=True):
    segment_id: uuid.UUID
    person_id: uuid.UUID
    id: uuid.UUID
    bucket: int
    is_in: bool


async def write(
    tx: Tx, changes: Sequence[Change], segments: dict[uuid.UUID, Segment], *, cause: Cause
) -> int:
    """Write what changed and tell it; a change that is so already is none. 1 statement."""
    if not changes:
        return 0
    written = await tx.rows(
        _Written,
        """
        with change as (
          select * from unnest($3::uuid[], $4::uuid[], $5::boolean[], $6::int[], $7::uuid[])
                     as c(segment_id, person_id, is_in, bucket, id)
        ), gone as (
          update audience.membership m set left_at = greatest(m.entered_at, $2)
            from change c
           where m.cell = $1 and m.segment_id = c.segment_id and m.person_id = c.person_id
             and m.left_at is null and not c.is_in
          returning m.segment_id, m.person_id, m.id, m.bucket
        ), come as (
          insert into audience.membership (cell, segment_id, person_id, entered_at, bucket, id)
          select $1, segment_id, person_id, $2, bucket, id from change where is_in
          on conflict (cell, segment_id, person_id) where left_at is null do nothing
          returning segment_id, person_id, id, bucket
        )
        select segment_id, person_id, id, bucket::int, false as is_in from gone
        union all select segment_id, person_id, id, bucket, true from come
        """,
        tx.cell,
        tx.now,
        [c.segment_id for c in changes],
        [c.person_id for c in changes],
        [c.is_in for c in changes],
        [bucket_of(c.segment_id, c.person_id) for c in changes],
        [tx.new_id() for _ in changes],
    )
    for row in written:
        segment = segments.get(row.segment_id)
        told = SegmentEntered if row.is_in else SegmentLeft
        tx.emit(
            told(
                person_id=row.person_id,
                segment_id=row.segment_id,
                membership_id=row.id,
                is_held=segment is not None and row.bucket < segment.holdout_basis_points,
                cause=cause,
            )
        )
    return len(written)
