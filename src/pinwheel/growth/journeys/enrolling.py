"""Who enters a journey, what they waited for, and when they have got where it leads."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.growth.journeys.model import Entry, JourneyIs, Plan, StepsDue
from pinwheel.growth.journeys.planning import journey
from pinwheel.growth.journeys.triggers import facts_of, key_of, person_of
from pinwheel.insight import audience
from pinwheel.kernel.db import Tx
from pinwheel.kernel.events import Event


class Open(msgspec.Struct, frozen=True):
    """A live journey with the plan that people enter by."""

    id: uuid.UUID
    version: int
    plan: Plan


async def open_journeys(tx: Tx, by: Sequence[str], names: Sequence[str]) -> list[Open]:
    """Live journeys set off by these kinds of event, or these segments. 1 statement."""
    return await tx.rows(
        Open,
        """
        select j.id, v.version, v.plan from journeys.journey j
          join journeys.version v on v.journey_id = j.id and v.version = j.version
         where j.state = 'live' and v.plan -> 'trigger' ->> 'by' = any($1::text[])
           and coalesce(nullif(v.plan -> 'trigger' ->> 'event', ''),
                        v.plan -> 'trigger' ->> 'segment_id') = any($2::text[])
         order by j.id
        """,
        list(by),
        list(names),
    )


async def enrol(tx: Tx, journey_id: uuid.UUID, entries: Sequence[Entry]) -> int:
    """Let people enter a live journey now, whatever sets it off; how many did. ``JourneyIs``."""
    found = await tx.row(
        Open,
        """
        select j.id, v.version, v.plan from journeys.journey j
          join journeys.version v on v.journey_id = j.id and v.version = j.version
         where j.id = $1 and j.state = 'live'
        """,
        journey_id,
    )
    if found is None:
        closed = await journey(tx, journey_id)
        raise JourneyIs(name=closed.name, state=closed.state)
    return await _enter(tx, found, entries)


async def _enter(tx: Tx, into: Open, entries: Sequence[Entry]) -> int:
    """By the rules of coming again: the trigger's key is unique, ``once`` has one key for ever, and
    ``after`` looks back under a lock of the person in this journey."""
    if not entries:
        return 0
    plan = into.plan
    entries = sorted(entries, key=lambda e: (e.person_id.bytes, e.key))
    since = tx.now - dt.timedelta(days=plan.again_days)
    if plan.again == "after":
        await tx.values(
            """
            select pg_advisory_xact_lock(hashtextextended(p.lock, 0))
              from unnest($1::text[]) with ordinality as p(lock, n) order by p.n
            """,
            [
                f"journeys:{into.id}:{person}"
                for person in dict.fromkeys(e.person_id for e in entries)
            ],
        )
        entries = list({e.person_id: e for e in reversed(entries)}.values())
    limit = plan.holdout_basis_points
    entered = await tx.run(
        """
        insert into journeys.enrolment (cell, id, journey_id, version, person_id, trigger_key,
               facts, is_held, state, due_at, goal, goal_until, entered_at)
        select $1, n.id, $2, $3, n.person_id, n.key, n.facts::jsonb, n.is_held, 'active',
               case when n.is_held then null else $4::timestamptz end, $5,
               $4::timestamptz + make_interval(days => $6), $4
          from unnest($7::uuid[], $8::uuid[], $9::text[], $10::text[], $11::bool[])
               as n(id, person_id, key, facts, is_held)
         where not $12 or not exists (
           select from journeys.enrolment e
            where e.cell = $1 and e.journey_id = $2 and e.person_id = n.person_id
              and e.entered_at > $13)
        on conflict (cell, journey_id, person_id, trigger_key) do nothing
        """,
        tx.cell,
        into.id,
        into.version,
        tx.now,
        plan.goal,
        plan.goal_days,
        [tx.new_id() for _ in entries],
        [e.person_id for e in entries],
        ["once" if plan.again == "once" else e.key for e in entries],
        [msgspec.json.encode(e.facts).decode() for e in entries],
        [e.is_held or audience.bucket_of(into.id, e.person_id) < limit for e in entries],
        plan.again == "after",
        since,
    )
    if entered:
        tx.emit(StepsDue())
    return entered


async def take_events(tx: Tx, events: Sequence[Event]) -> None:
    """Facts of people, in the order goal, wait, entry: the order that lets somebody in is not the
    one they were asked for."""
    told = [(e, person_id) for e in events if (person_id := person_of(e)) is not None]
    if not told:
        return
    kinds = [e.kind() for e, _ in told]
    people = [person_id for _, person_id in told]
    keys = [key_of(e) for e, _ in told]
    await _reach_goals(tx, kinds, people, keys)
    await _end_waits(tx, kinds, people)
    for found in await open_journeys(tx, ["event"], sorted(set(kinds))):
        entries = [
            Entry(person_id=person_id, key=key_of(e), facts=facts_of(e))
            for e, person_id in told
            if e.kind() == found.plan.trigger.event
        ]
        await _enter(tx, found, entries)


async def _reach_goals(tx: Tx, kinds: list[str], people: list[uuid.UUID], keys: list[str]) -> None:
    """The holdout reaches it or not as well: that is what the journey is measured against. Who has
    gone all the steps can still get there within the days that count."""
    await tx.run(
        """
        update journeys.enrolment e
           set goal_at = $2, due_at = null, waits_for = null,
               state = case state when 'active' then 'goal' else state end,
               ended_at = coalesce(e.ended_at, $2)
          from (select distinct kind, person_id, key
                  from unnest($3::text[], $4::uuid[], $5::text[]) as t(kind, person_id, key)) t
         where e.cell = $1 and e.person_id = t.person_id and e.goal = t.kind and e.goal_at is null
           and e.goal_until > $2 and e.trigger_key <> t.key
        """,
        tx.cell,
        tx.now,
        kinds,
        people,
        keys,
    )


async def _end_waits(tx: Tx, kinds: list[str], people: list[uuid.UUID]) -> None:
    came = await tx.run(
        """
        update journeys.enrolment e set came = true, waits_for = null, due_at = $2
          from (select distinct kind, person_id
                  from unnest($3::text[], $4::uuid[]) as t(kind, person_id)) t
         where e.cell = $1 and e.person_id = t.person_id and e.waits_for = t.kind
           and e.state = 'active' and not e.is_held
        """,
        tx.cell,
        tx.now,
        kinds,
        people,
    )
    if came:
        tx.emit(StepsDue())


async def take_segments(
    tx: Tx, events: Sequence[audience.SegmentEntered | audience.SegmentLeft]
) -> None:
    """People who entered or left a segment by what they did or by time; a segment that was made or
    edited sets nothing off, and neither does the erasure of somebody."""
    told = [e for e in events if e.cause in ("fact", "time")]
    if not told:
        return
    names = sorted({str(e.segment_id) for e in told})
    for found in await open_journeys(tx, ["entered", "left"], names):
        wanted = (
            audience.SegmentEntered if found.plan.trigger.by == "entered" else audience.SegmentLeft
        )
        entries = [
            Entry(
                person_id=e.person_id,
                key=f"{found.plan.trigger.by}:{e.membership_id}",
                facts={"segment_id": str(e.segment_id)},
                is_held=e.is_held,
            )
            for e in told
            if isinstance(e, wanted) and e.segment_id == found.plan.trigger.segment_id
        ]
        await _enter(tx, found, entries)


class Dated(msgspec.Struct, frozen=True):
    journey_id: uuid.UUID
    at: dt.datetime
    reached: uuid.UUID | None


async def take_dates(tx: Tx, at_once: int = 1_000) -> int:
    """Journeys whose date came within the last day: the members of their segment enter, a part at a
    time, each once; how many were looked at."""
    await tx.run(
        """
        insert into journeys.dated (cell, journey_id, at)
        select $1, j.id, (v.plan -> 'trigger' ->> 'at')::timestamptz from journeys.journey j
          join journeys.version v on v.journey_id = j.id and v.version = j.version
         where j.state = 'live' and v.plan -> 'trigger' ->> 'by' = 'date'
           and (v.plan -> 'trigger' ->> 'at')::timestamptz
               between $2::timestamptz - interval '1 day' and $2
        on conflict (cell, journey_id, at) do nothing
        """,
        tx.cell,
        tx.now,
    )
    dated = await tx.row(
        Dated,
        """
        select d.journey_id, d.at, d.reached from journeys.dated d
          join journeys.journey j on j.id = d.journey_id and j.state = 'live'
         where d.cell = $1 and not d.is_done order by d.at limit 1 for update of d skip locked
        """,
        tx.cell,
    )
    if dated is None:
        return 0
    found = next(iter(await _version_now(tx, dated.journey_id)))
    segment_id = found.plan.trigger.segment_id
    members = (
        await audience.members(tx, segment_id, dated.reached, at_once)
        if segment_id is not None
        else []
    )
    said = dated.at.isoformat()
    entries = [
        Entry(person_id=m.person_id, key=f"date:{said}", facts={"date": said}, is_held=m.is_held)
        for m in members
    ]
    await _enter(tx, found, entries)
    await tx.run(
        """
        update journeys.dated set reached = coalesce($4, reached), is_done = $5
         where cell = $1 and journey_id = $2 and at = $3
        """,
        tx.cell,
        dated.journey_id,
        dated.at,
        members[-1].person_id if members else None,
        len(members) < at_once,
    )
    return len(members)


async def _version_now(tx: Tx, journey_id: uuid.UUID) -> list[Open]:
    return await tx.rows(
        Open,
        """
        select j.id, v.version, v.plan from journeys.journey j
          join journeys.version v on v.journey_id = j.id and v.version = j.version
         where j.id = $1
        """,
        journey_id,
    )


async def forget(tx: Tx, person_ids: Sequence[uuid.UUID]) -> None:
    """Somebody was erased: nothing more is done to them, and what set it off is forgotten."""
    await tx.run(
        """
        with member as (delete from journeys.member where cell = $1 and person_id = any($2::uuid[]))
        update journeys.enrolment
           set facts = '{}', waits_for = null, due_at = null, note = '',
               state = case state when 'active' then 'stopped' else state end,
               ended_at = coalesce(ended_at, $3)
         where cell = $1 and person_id = any($2::uuid[])
        """,
        tx.cell,
        list(person_ids),
        tx.now,
    )
