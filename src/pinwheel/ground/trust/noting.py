"""Noting traits, and what follows from it at once: two accounts that share enough become one.

Locks are taken in one order everywhere: traits by (kind, value), accounts' rows by id, then one
lock over all merging in this cell, then the ledger's accounts. Whoever notes a trait waits for
whoever is noting the same one, so two accounts that meet at the same moment see each other; whoever
merges waits for whoever is merging or taking a use, so a cluster does not change under a use."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence

import msgspec

from pinwheel.ground import ledger
from pinwheel.ground.trust.model import (
    KINDS,
    LINKED,
    WEIGHTS,
    Because,
    ClustersMerged,
    Link,
    Seen,
    Shared,
    UseExceeded,
    blinded,
    identity_account,
    merged,
    used,
    weighed,
)
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal

KNOWN_SECONDS = 12 * 3600  # a trait seen again within this is not written again
NEIGHBOURS = 64  # accounts that are compared by one trait
LINKING = ledger.Unit("trust.linking", "use").id


class _Sighting(msgspec.Struct, frozen=True):
    person_id: uuid.UUID
    kind: str
    value: bytes


class _Near(msgspec.Struct, frozen=True):
    low_id: uuid.UUID
    high_id: uuid.UUID
    shared: list[Shared]


class _Member(msgspec.Struct, frozen=True):
    person_id: uuid.UUID
    cluster_id: uuid.UUID


async def note(tx: Tx, seen: Sequence[Seen]) -> None:
    """Note what people showed, and link whoever is one person by it. Plain values are hashed here
    and not kept. Safe to repeat and to run at once with others.

    Statements: 1 when all of it is known, 4 when some is new, 9 and the ledger's when people turn
    out to be one, however many are named."""
    times: dict[tuple[uuid.UUID, str, bytes], dt.datetime] = {}
    for one in seen:
        if one.kind not in KINDS:
            raise ValueError(f"{one.kind} is no trait")
        key = (one.person_id, one.kind, blinded(tx.db.vault, one.kind, one.value))
        times[key] = max(times.get(key, one.at or tx.now), one.at or tx.now)
    if not times:
        return
    known = await _known(tx, list(times))
    fresh = sorted(key for key in times if key not in known)
    if not fresh:
        return
    await _lock_traits(tx, fresh)
    await _write(tx, fresh, [times[key] for key in fresh])
    links = [link for link in await _near(tx, fresh) if link.is_one]
    if links:
        await connect(tx, links)


async def _known(
    tx: Tx, keys: Sequence[tuple[uuid.UUID, str, bytes]]
) -> set[tuple[uuid.UUID, str, bytes]]:
    rows = await tx.rows(
        _Sighting,
        """
        select s.person_id, s.kind, s.value
          from unnest($2::uuid[], $3::text[], $4::bytea[]) as w(person_id, kind, value)
          join trust.sighting s on s.cell = $1 and s.person_id = w.person_id and s.kind = w.kind
               and s.value = w.value
         where s.last_at > $5
        """,
        tx.cell,
        [p for p, _, _ in keys],
        [k for _, k, _ in keys],
        [v for _, _, v in keys],
        tx.later_than(-KNOWN_SECONDS),
    )
    return {(r.person_id, r.kind, r.value) for r in rows}


async def _lock_traits(tx: Tx, keys: Sequence[tuple[uuid.UUID, str, bytes]]) -> None:
    traits = sorted({(kind, value) for _, kind, value in keys})
    await tx.run(
        """
        insert into trust.trait (cell, kind, value, last_at)
        select $1, t.kind, t.value, $2
          from unnest($3::text[], $4::bytea[]) with ordinality as t(kind, value, place)
         order by t.place
        on conflict (cell, kind, value) do update
           set last_at = greatest(trust.trait.last_at, excluded.last_at)
        """,
        tx.cell,
        tx.now,
        [kind for kind, _ in traits],
        [value for _, value in traits],
    )


async def _write(
    tx: Tx, keys: Sequence[tuple[uuid.UUID, str, bytes]], times: Sequence[dt.datetime]
) -> None:
    """Accounts new to us begin as a cluster of their own; a trait too many showed goes silent."""
    await tx.run(
        """
        with member as (
          insert into trust.member (cell, person_id, cluster_id, noted_at)
          select $1, p.id, p.id, least($2, p.at)
            from (select id, min(at) as at
                    from unnest($3::uuid[], $6::timestamptz[]) as u(id, at)
                   group by id order by id) p
          on conflict (cell, person_id) do nothing
          returning person_id
        ), cluster as (
          insert into trust.cluster (cell, id, made_at)
          select $1, person_id, $2 from member on conflict (cell, id) do nothing
        ), sighting as (
          insert into trust.sighting (cell, person_id, kind, value, first_at, last_at)
          select $1, s.person_id, s.kind, s.value, s.at, s.at
            from unnest($3::uuid[], $4::text[], $5::bytea[], $6::timestamptz[])
                 as s(person_id, kind, value, at)
          on conflict (cell, person_id, kind, value) do update
             set last_at = greatest(trust.sighting.last_at, excluded.last_at),
                 times = trust.sighting.times + 1
          returning kind, value, times = 1 as is_new
        )
        update trust.trait t
           set persons = t.persons + n.fresh,
               ignored_because = coalesce(t.ignored_because,
                 case when t.persons + n.fresh > n.crowd then 'crowd' end)
          from (select s.kind, s.value, count(*)::int as fresh, min(c.crowd) as crowd
                  from sighting s
                  join unnest($7::text[], $8::int[]) as c(kind, crowd) on c.kind = s.kind
                 where s.is_new group by s.kind, s.value) n
         where t.cell = $1 and t.kind = n.kind and t.value = n.value
        """,
        tx.cell,
        tx.now,
        [p for p, _, _ in keys],
        [k for _, k, _ in keys],
        [v for _, _, v in keys],
        list(times),
        list(KINDS),
        [WEIGHTS[kind].crowd for kind in KINDS],
    )


async def _near(tx: Tx, keys: Sequence[tuple[uuid.UUID, str, bytes]]) -> list[Link]:
    """Accounts of other clusters that share a fresh trait, with all they share."""
    rows = await tx.rows(
        _Near,
        """
        with near as materialized (
          select distinct least(f.person_id, o.person_id) as low_id,
                 greatest(f.person_id, o.person_id) as high_id
            from unnest($2::uuid[], $3::text[], $4::bytea[]) as f(person_id, kind, value)
            join trust.trait t on t.cell = $1 and t.kind = f.kind and t.value = f.value
                 and t.ignored_because is null and t.persons > 1
            join trust.member a on a.cell = $1 and a.person_id = f.person_id
            cross join lateral (
              select s.person_id from trust.sighting s
               where s.cell = $1 and s.kind = f.kind and s.value = f.value
                 and s.person_id <> f.person_id
               order by s.person_id limit $5) o
            join trust.member b on b.cell = $1 and b.person_id = o.person_id
                 and b.cluster_id <> a.cluster_id
        )
        select n.low_id, n.high_id,
               jsonb_agg(jsonb_build_object(
                 'kind', x.kind, 'identities', c.identities, 'accounts', t.persons)) as shared
          from near n
          join trust.sighting x on x.cell = $1 and x.person_id = n.low_id
          join trust.sighting y on y.cell = $1 and y.person_id = n.high_id and y.kind = x.kind
               and y.value = x.value
          join trust.trait t on t.cell = $1 and t.kind = x.kind and t.value = x.value
               and t.ignored_because is null
          cross join lateral (
            select count(distinct m.cluster_id)::int as identities
              from (select s.person_id from trust.sighting s
                     where s.cell = $1 and s.kind = x.kind and s.value = x.value limit 256) s
              join trust.member m on m.cell = $1 and m.person_id = s.person_id) c
         group by n.low_id, n.high_id
         order by n.low_id, n.high_id
        """,
        tx.cell,
        [p for p, _, _ in keys],
        [k for _, k, _ in keys],
        [v for _, _, v in keys],
        NEIGHBOURS,
    )
    return [_linked(row) for row in rows]


def _linked(row: _Near) -> Link:
    score, reasons = weighed(row.shared)
    return Link(row.low_id, row.high_id, score, score >= LINKED, reasons)


async def know(tx: Tx, person_ids: Sequence[uuid.UUID]) -> None:
    """Accounts nothing was seen of yet begin as a cluster of their own. 1 statement."""
    await tx.run(
        """
        with member as (
          insert into trust.member (cell, person_id, cluster_id, noted_at)
          select $1, p.id, p.id, $2
            from (select distinct id from unnest($3::uuid[]) as u(id) order by id) p
          on conflict (cell, person_id) do nothing returning person_id
        )
        insert into trust.cluster (cell, id, made_at) select $1, person_id, $2 from member
        on conflict (cell, id) do nothing
        """,
        tx.cell,
        tx.now,
        list(person_ids),
    )


async def connect(tx: Tx, links: Sequence[Link], *, kind: str = "merged", reason: str = "") -> None:
    """Make one cluster of what ``links`` tie together; of several links between the same two the
    strongest is kept. Uses that were taken by an absorbed cluster count for the one it joins."""
    await tx.run("select pg_advisory_xact_lock($1)", LINKING + tx.cell)
    people = sorted({i for link in links for i in (link.low_id, link.high_id)})
    cluster = await _clusters(tx, people)
    telling: list[Link] = []
    tied: list[tuple[uuid.UUID, uuid.UUID]] = []
    for link in sorted(links, key=lambda k: (-k.score, k.low_id, k.high_id)):
        gone = merged(tied)
        a, b = cluster[link.low_id], cluster[link.high_id]
        if gone.get(a, a) != gone.get(b, b):
            telling.append(link)
            tied.append((a, b))
    absorbed = merged(tied)
    if absorbed:
        await _absorb(tx, absorbed, telling, kind, reason)
        await _carry_uses(tx, absorbed)


async def _clusters(tx: Tx, people: Sequence[uuid.UUID]) -> dict[uuid.UUID, uuid.UUID]:
    rows = await tx.rows(
        _Member,
        """
        select person_id, cluster_id from trust.member
         where cell = $1 and person_id = any($2::uuid[])
        """,
        tx.cell,
        list(people),
    )
    return {r.person_id: r.cluster_id for r in rows}


async def _absorb(
    tx: Tx,
    absorbed: Mapping[uuid.UUID, uuid.UUID],
    links: Sequence[Link],
    kind: str,
    reason: str,
) -> None:
    because = {link.high_id: reason or _in_words(link.reasons) for link in links}
    await tx.run(
        """
        with gone as (
          select * from unnest($3::uuid[], $4::uuid[]) as g(id, root)
        ), member as (
          update trust.member m set cluster_id = g.root from gone g
           where m.cell = $1 and m.cluster_id = any($3::uuid[]) and m.cluster_id = g.id
          returning g.id
        ), cluster as (
          update trust.cluster c set merged_into = g.root, merged_at = $2 from gone g
           where c.cell = $1 and c.id = any($3::uuid[]) and c.id = g.id
        ), link as (
          insert into trust.link (cell, id, low_id, high_id, score, reasons, made_at, made_by)
          select $1, l.id, l.low_id, l.high_id, l.score, l.reasons::jsonb, $2, $5
            from unnest($6::uuid[], $7::uuid[], $8::uuid[], $9::real[], $10::text[])
                 as l(id, low_id, high_id, score, reasons)
        )
        insert into trust.change (cell, id, kind, cluster_id, other_id, reason, accounts, actor, at)
        select $1, c.id, $11, g.root, g.id, c.reason,
               (select count(*) from member m where m.id = g.id), $5, $2
          from gone g join unnest($3::uuid[], $12::uuid[], $13::text[]) as c(cluster, id, reason)
            on c.cluster = g.id
        """,
        tx.cell,
        tx.now,
        list(absorbed),
        list(absorbed.values()),
        tx.actor,
        [tx.new_id() for _ in links],
        [link.low_id for link in links],
        [link.high_id for link in links],
        [link.score for link in links],
        [msgspec.json.encode(link.reasons).decode() for link in links],
        kind,
        [tx.new_id() for _ in absorbed],
        [reason or next(iter(because.values()), "") for _ in absorbed],
    )
    by_root: dict[uuid.UUID, list[uuid.UUID]] = {}
    for one, root in absorbed.items():
        by_root.setdefault(root, []).append(one)
    tx.emit(
        *(ClustersMerged(cluster_id=r, absorbed_ids=sorted(ones)) for r, ones in by_root.items())
    )


def _in_words(reasons: Sequence[Because]) -> str:
    return ", ".join(f"{r.kind} {r.weight:.2f}" for r in reasons)


class _Taken(msgspec.Struct, frozen=True):
    id: uuid.UUID
    purpose: str
    person_id: uuid.UUID
    cluster_id: uuid.UUID
    document_kind: str
    document_id: uuid.UUID
    most: int


async def _carry_uses(tx: Tx, absorbed: Mapping[uuid.UUID, uuid.UUID]) -> None:
    """What an absorbed cluster holds is held by its new one too, under the same documents: it comes
    back when the order does. What is more than one identity may have is told (``UseExceeded``):
    whoever gave it decides whether it can still be taken back."""
    rows = await tx.rows(
        _Taken,
        """
        select u.id, u.purpose, u.person_id, u.cluster_id, u.document_kind, u.document_id, u.most
          from trust.use u
          join ledger.v_hold h on h.cell = u.cell and h.document_id = u.document_id
               and h.key = u.purpose || ':' || u.cluster_id and h.state = 'open'
         where u.cell = $1 and u.cluster_id = any($2::uuid[]) and u.most > 0
         order by u.id
        """,
        tx.cell,
        list(absorbed),
    )
    answers = await ledger.hold(
        tx,
        [
            ledger.Hold(
                document_kind=r.document_kind,
                document_id=r.document_id,
                key=f"{r.purpose}:{absorbed[r.cluster_id]}",
                debit=used(r.purpose),
                credit=identity_account(absorbed[r.cluster_id], r.purpose, r.most),
                amount=1,
            )
            for r in rows
        ],
    )
    tx.emit(
        *(
            UseExceeded(
                document_id=r.document_id,
                document_kind=r.document_kind,
                purpose=r.purpose,
                person_id=r.person_id,
            )
            for r, answer in zip(rows, answers, strict=True)
            if isinstance(answer, Refusal)
        )
    )
    await tx.run(
        """
        update trust.use u set cluster_id = g.root
          from unnest($2::uuid[], $3::uuid[]) as g(id, root)
         where u.cell = $1 and u.cluster_id = any($2::uuid[]) and u.cluster_id = g.id
        """,
        tx.cell,
        list(absorbed),
        list(absorbed.values()),
    )
