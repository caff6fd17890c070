"""Who a visitor was: stitched when they sign in, for the time before and after, and undone by a
person. Consent and forgetting."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.insight.tracking.model import BEGINNING, Link, spans
from pinwheel.kernel.db import Tx


async def link(tx: Tx, pairs: Sequence[tuple[str, uuid.UUID]]) -> int:
    """Note that each visitor is that person now; how many were new. A pair that a person undid
    stays undone. One statement when there is nothing new."""
    fresh = await tx.rows(
        _Pair,
        """
        select p.visitor_id, p.person_id
          from unnest($2::text[], $3::uuid[]) as p(visitor_id, person_id)
         where not exists (select from tracking.link l
                            where l.cell = $1 and l.visitor_id = p.visitor_id
                              and l.person_id = p.person_id and l.undone_at is not null)
           and p.person_id is distinct from (
             select l.person_id from tracking.link l
              where l.cell = $1 and l.visitor_id = p.visitor_id and l.undone_at is null
              order by l.linked_at desc limit 1)
         order by p.visitor_id, p.person_id
        """,
        tx.cell,
        [visitor for visitor, _ in pairs],
        [person for _, person in pairs],
    )
    if not fresh:
        return 0
    await _lock(tx, [pair.visitor_id for pair in fresh])
    made = await tx.run(
        """
        insert into tracking.link (cell, visitor_id, person_id, linked_at, from_at, until_at)
        select $1, p.visitor_id, p.person_id, $2, $3, $3
          from unnest($4::text[], $5::uuid[]) as p(visitor_id, person_id)
        on conflict (cell, visitor_id, linked_at) do nothing
        """,
        tx.cell,
        tx.now,
        BEGINNING,
        [pair.visitor_id for pair in fresh],
        [pair.person_id for pair in fresh],
    )
    await _respan(tx, [pair.visitor_id for pair in fresh])
    return made


async def unlink(tx: Tx, visitor_id: str, person_id: uuid.UUID) -> int:
    """Undo the stitching of a visitor and a person (a borrowed telephone): whose the time was
    before is whose it is again. How many links were undone."""
    await _lock(tx, [visitor_id])
    undone = await tx.run(
        """
        update tracking.link set undone_at = $4, undone_by = $5
         where cell = $1 and visitor_id = $2 and person_id = $3 and undone_at is null
        """,
        tx.cell,
        visitor_id,
        person_id,
        tx.now,
        tx.actor,
    )
    await _respan(tx, [visitor_id])
    return undone


async def relink(tx: Tx, visitor_id: str, person_id: uuid.UUID) -> int:
    """Take an undoing back: the stitching stands again as it did. How many links stand again."""
    await _lock(tx, [visitor_id])
    standing = await tx.run(
        """
        update tracking.link set undone_at = null, undone_by = null
         where cell = $1 and visitor_id = $2 and person_id = $3 and undone_at is not null
        """,
        tx.cell,
        visitor_id,
        person_id,
    )
    await _respan(tx, [visitor_id])
    return standing


async def links_of(tx: Tx, person_id: uuid.UUID) -> list[Link]:
    """The visitors that a person was, also what was undone; the newest first."""
    return await tx.rows(
        Link,
        """
        select visitor_id, person_id, linked_at, from_at, until_at, undone_at
          from tracking.link where cell = $1 and person_id = $2 order by linked_at desc limit 200
        """,
        tx.cell,
        person_id,
    )


class _Pair(msgspec.Struct, frozen=True):
    visitor_id: str
    person_id: uuid.UUID


async def _lock(tx: Tx, visitor_ids: Sequence[str]) -> None:
    """Two who link one visitor at once wait for each other, in one order."""
    await tx.run(
        """
        select pg_advisory_xact_lock(v.key)
          from (select distinct hashtextextended('tracking.link:' || visitor_id, 0) as key
                  from unnest($1::text[]) as u(visitor_id) order by 1) v
        """,
        list(visitor_ids),
    )


async def _respan(tx: Tx, visitor_ids: Sequence[str]) -> None:
    links = await tx.rows(
        Link,
        """
        select visitor_id, person_id, linked_at, from_at, until_at, undone_at
          from tracking.link where cell = $1 and visitor_id = any($2::text[])
        """,
        tx.cell,
        list(visitor_ids),
    )
    by_visitor: dict[str, list[Link]] = {}
    for one in links:
        by_visitor.setdefault(one.visitor_id, []).append(one)
    spanned = [(v, at, *span) for v, of in by_visitor.items() for at, span in spans(of).items()]
    await tx.run(
        """
        update tracking.link l set from_at = s.from_at, until_at = s.until_at
          from unnest($2::text[], $3::timestamptz[], $4::timestamptz[], $5::timestamptz[])
               as s(visitor_id, linked_at, from_at, until_at)
         where l.cell = $1 and l.visitor_id = s.visitor_id and l.linked_at = s.linked_at
        """,
        tx.cell,
        [one[0] for one in spanned],
        [one[1] for one in spanned],
        [one[2] for one in spanned],
        [one[3] for one in spanned],
    )


async def say(tx: Tx, subjects: Sequence[tuple[str, bool]]) -> None:
    """Note what ``visitor:…`` and ``person:…`` said of being counted. What is received from now on
    keeps to it, whatever it says of when it occurred."""
    latest = dict(subjects)
    await tx.run(
        """
        insert into tracking.consent (cell, subject, withdrawn_at, changed_at)
        select $1, s.subject, case when s.is_granted then null else $2::timestamptz end, $2
          from unnest($3::text[], $4::boolean[]) as s(subject, is_granted) order by s.subject
        on conflict (cell, subject) do update
           set withdrawn_at = excluded.withdrawn_at, changed_at = excluded.changed_at
        """,
        tx.cell,
        tx.now,
        list(latest),
        list(latest.values()),
    )


async def person_said(tx: Tx, person_id: uuid.UUID, is_granted: bool) -> None:
    """A person's word holds for the visitors they are."""
    visitors = await tx.values(
        """
        select distinct visitor_id from tracking.link
         where cell = $1 and person_id = $2 and undone_at is null and until_at > $3
        """,
        tx.cell,
        person_id,
        tx.now,
    )
    subjects = [f"person:{person_id}", *(f"visitor:{v}" for v in visitors)]
    await say(tx, [(subject, is_granted) for subject in subjects])


async def suspect(tx: Tx, session_id: str, reason: str) -> None:
    """What this session sends for a day is a program's."""
    await tx.run(
        """
        insert into tracking.suspect (cell, session_id, reason, until_at) values ($1, $2, $3, $4)
        on conflict (cell, session_id) do update set until_at = excluded.until_at
        """,
        tx.cell,
        session_id,
        reason,
        tx.later_than(86_400),
    )


async def forget(tx: Tx, person_ids: Sequence[uuid.UUID]) -> None:
    """Make every event of these people nameless, what waits to be unpacked too: no visitor, no
    session, no context, no property that its schema calls personal. The counts and the money
    stay as they are; so does what somebody else did on a shared device."""
    people = list(person_ids)
    visitors = await tx.values(
        """
        select distinct visitor_id from tracking.link l
         where cell = $1 and person_id = any($2::uuid[]) and undone_at is null
           and not exists (select from tracking.link o
                            where o.cell = $1 and o.visitor_id = l.visitor_id
                              and o.undone_at is null and not o.person_id = any($2::uuid[]))
        """,
        tx.cell,
        people,
    )
    await _name_no_event(tx, people, visitors)
    await tx.run(
        """
        with link as (
          delete from tracking.link where cell = $1 and person_id = any($2::uuid[])
        ), visitor as (
          delete from tracking.visitor where cell = $1 and visitor_id = any($3::text[])
        ), bad as (
          delete from tracking.quarantine
           where cell = $1 and (person_id = any($2::uuid[]) or visitor_id = any($3::text[]))
        ), revenue as (
          update tracking.revenue set person_id = null
           where cell = $1 and person_id = any($2::uuid[])
        )
        insert into tracking.consent (cell, subject, withdrawn_at, changed_at)
        select $1, s, $4::timestamptz, $4
          from (select 'person:' || p::text as s from unnest($2::uuid[]) p
                union all select 'visitor:' || v from unnest($3::text[]) v) gone
        on conflict (cell, subject) do update
           set withdrawn_at = excluded.withdrawn_at, changed_at = excluded.changed_at
        """,
        tx.cell,
        people,
        visitors,
        tx.now,
    )


async def _name_no_event(tx: Tx, people: list[uuid.UUID], visitors: list[str]) -> None:
    """What is unpacked is changed in place; the row of the feed is held, so that nothing is
    unpacked in between; what waits loses its names where it stands."""
    await tx.run("select position from tracking.feed where cell = $1 for update", tx.cell)
    await tx.run(
        """
        update tracking.event e
           set visitor_id = '', person_id = null, session_id = '', context = '{}',
               properties = e.properties - array(
                 select p ->> 'name'
                   from tracking.schema s, jsonb_array_elements(s.properties) as p
                  where s.name = e.name and s.version = e.version and (p ->> 'pii')::boolean)
          from (select cell, position, received_at from tracking.event
                 where cell = $1 and person_id = any($2::uuid[])
                union
                select a.cell, a.position, a.received_at
                  from tracking.link l
                  join tracking.event a
                    on a.cell = $1 and a.visitor_id = l.visitor_id and a.visitor_id <> ''
                   and a.occurred_at >= l.from_at and a.occurred_at < l.until_at
                 where l.cell = $1 and l.person_id = any($2::uuid[]) and l.undone_at is null
                   and a.person_id is null) mine
         where e.cell = mine.cell and e.position = mine.position
           and e.received_at = mine.received_at
        """,
        tx.cell,
        people,
    )
    await tx.run(
        """
        update tracking.inbox i
           set (visitor_ids, person_ids, session_ids, contexts) =
               (select array_agg(case when g.gone then '' else g.visitor_id end order by g.n),
                       array_agg(case when g.gone then null else g.person_id end order by g.n),
                       array_agg(case when g.gone then '' else g.session_id end order by g.n),
                       array_agg(case when g.gone then '{}' else g.context end order by g.n)
                  from (select e.*, e.person_id = any($2::uuid[])
                                    or coalesce(e.visitor_id = any($3::text[]), false) as gone
                          from unnest(i.visitor_ids, i.person_ids, i.session_ids, i.contexts)
                               with ordinality as e(visitor_id, person_id, session_id, context, n)
                       ) g)
         where i.cell = $1 and (i.person_ids && $2::uuid[] or i.visitor_ids && $3::text[])
        """,
        tx.cell,
        people,
        visitors,
    )
