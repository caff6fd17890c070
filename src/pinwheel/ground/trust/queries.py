"""Questions about clusters; they take no lock."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import deque
from collections.abc import Sequence

import msgspec

from pinwheel.ground.trust.model import (
    LINKED,
    Because,
    Link,
    Pairs,
    Shared,
    ordered_pair,
    weighed,
)
from pinwheel.kernel.db import Tx


class _Member(msgspec.Struct, frozen=True):
    person_id: uuid.UUID
    cluster_id: uuid.UUID


class _Pair(msgspec.Struct, frozen=True):
    place: int
    is_one: bool
    shared: list[Shared]


class Account(msgspec.Struct, frozen=True):
    """An account of a cluster; a shadow stands for one that was erased."""

    person_id: uuid.UUID
    is_shadow: bool
    noted_at: dt.datetime


class TraitShown(msgspec.Struct, frozen=True):
    """A trait that accounts of a cluster show. ``mark`` are the first letters of its hash."""

    kind: str
    value: bytes
    persons: int
    ignored_because: str | None
    shown_by: list[uuid.UUID]
    last_at: dt.datetime

    @property
    def mark(self) -> str:
        return self.value.hex()[:8]


class KeptLink(msgspec.Struct, frozen=True):
    id: uuid.UUID
    low_id: uuid.UUID
    high_id: uuid.UUID
    score: float
    reasons: list[Because]
    made_at: dt.datetime
    made_by: str
    undone_at: dt.datetime | None


class Change(msgspec.Struct, frozen=True):
    kind: str
    cluster_id: uuid.UUID
    other_id: uuid.UUID | None
    reason: str
    accounts: int
    actor: str
    at: dt.datetime


class ClusterSight(msgspec.Struct, frozen=True):
    """A cluster with all that is known of it; of very large ones the first 300 accounts."""

    id: uuid.UUID
    accounts: list[Account]
    traits: list[TraitShown]
    links: list[KeptLink]
    changes: list[Change]
    uses: list[tuple[str, int]]


async def cluster_of(tx: Tx, person_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, uuid.UUID]:
    """Each person's cluster; who was never noted is one by themselves. 1 statement."""
    rows = await tx.rows(
        _Member,
        """
        select person_id, cluster_id from trust.member
         where cell = $1 and person_id = any($2::uuid[])
        """,
        tx.cell,
        list(person_ids),
    )
    known = {r.person_id: r.cluster_id for r in rows}
    return {person: known.get(person, person) for person in person_ids}


async def same_identity(tx: Tx, pairs: Pairs) -> list[Link | None]:
    """For each pair what ties the two accounts, with reasons; None when nothing does. ``is_one``:
    they count as one person, by this or over others (``path``). 1 statement."""
    if not pairs:
        return []
    ordered = [ordered_pair(a, b) for a, b in pairs]
    rows = await tx.rows(
        _Pair,
        """
        select p.place, coalesce(a.cluster_id = b.cluster_id, p.low_id = p.high_id) as is_one,
               coalesce(s.shared, '[]') as shared
          from unnest($2::uuid[], $3::uuid[]) with ordinality as p(low_id, high_id, place)
          left join trust.member a on a.cell = $1 and a.person_id = p.low_id
          left join trust.member b on b.cell = $1 and b.person_id = p.high_id
          left join lateral (
            select jsonb_agg(jsonb_build_object(
                     'kind', x.kind, 'identities', c.identities, 'accounts', t.persons)) as shared
              from trust.sighting x
              join trust.sighting y on y.cell = $1 and y.person_id = p.high_id and y.kind = x.kind
                   and y.value = x.value
              join trust.trait t on t.cell = $1 and t.kind = x.kind and t.value = x.value
                   and t.ignored_because is null
              cross join lateral (
                select count(distinct m.cluster_id)::int as identities
                  from (select z.person_id from trust.sighting z
                         where z.cell = $1 and z.kind = x.kind and z.value = x.value limit 256) z
                  join trust.member m on m.cell = $1 and m.person_id = z.person_id) c
             where x.cell = $1 and x.person_id = p.low_id and p.low_id <> p.high_id) s on true
         order by p.place
        """,
        tx.cell,
        [low for low, _ in ordered],
        [high for _, high in ordered],
    )
    found: list[Link | None] = []
    for (low, high), row in zip(ordered, rows, strict=True):
        score, reasons = weighed(row.shared)
        is_one = row.is_one or score >= LINKED
        found.append(Link(low, high, score, is_one, reasons) if reasons or is_one else None)
    return found


async def cluster(tx: Tx, cluster_id: uuid.UUID) -> ClusterSight:
    """One cluster, with accounts, traits, links and history. An account's id finds its cluster too.
    ``NotFound``. 6 statements."""
    root = await tx.the(
        "cluster",
        _Member,
        """
        select $2::uuid as person_id, m.cluster_id from trust.member m
         where m.cell = $1 and (m.person_id = $2 or m.cluster_id = $2)
         order by m.person_id <> $2 limit 1
        """,
        tx.cell,
        cluster_id,
    )
    accounts = await tx.rows(
        Account,
        """
        select person_id, is_shadow, noted_at from trust.member
         where cell = $1 and cluster_id = $2 order by noted_at, person_id limit 300
        """,
        tx.cell,
        root.cluster_id,
    )
    people = [a.person_id for a in accounts]
    return ClusterSight(
        id=root.cluster_id,
        accounts=accounts,
        traits=await _traits(tx, people),
        links=await _links(tx, people),
        changes=await changes_of(tx, root.cluster_id),
        uses=await _uses(tx, root.cluster_id),
    )


async def _traits(tx: Tx, people: Sequence[uuid.UUID]) -> list[TraitShown]:
    return await tx.rows(
        TraitShown,
        """
        select t.kind, t.value, t.persons, t.ignored_because,
               array_agg(s.person_id order by s.person_id) as shown_by, max(s.last_at) as last_at
          from trust.sighting s
          join trust.trait t on t.cell = s.cell and t.kind = s.kind and t.value = s.value
         where s.cell = $1 and s.person_id = any($2::uuid[])
         group by t.cell, t.kind, t.value
         order by count(*) desc, t.kind, t.value limit 400
        """,
        tx.cell,
        list(people),
    )


async def _links(tx: Tx, people: Sequence[uuid.UUID]) -> list[KeptLink]:
    return await tx.rows(
        KeptLink,
        """
        select id, low_id, high_id, score, reasons, made_at, made_by, undone_at from trust.link
         where cell = $1 and low_id = any($2::uuid[]) and high_id = any($2::uuid[])
           and undone_at is null
         order by id
        """,
        tx.cell,
        list(people),
    )


async def changes_of(tx: Tx, cluster_id: uuid.UUID) -> list[Change]:
    """What happened to a cluster, the newest first."""
    return await tx.rows(
        Change,
        """
        select kind, cluster_id, other_id, reason, accounts, actor, at from (
          select * from trust.change where cell = $1 and cluster_id = $2
          union
          select * from trust.change where cell = $1 and other_id = $2) c
         order by at desc, id desc limit 200
        """,
        tx.cell,
        cluster_id,
    )


class _Used(msgspec.Struct, frozen=True):
    purpose: str
    count: int


async def _uses(tx: Tx, cluster_id: uuid.UUID) -> list[tuple[str, int]]:
    rows = await tx.rows(
        _Used,
        """
        select purpose, count(*)::int as count from trust.use
         where cell = $1 and cluster_id = $2 group by purpose order by purpose
        """,
        tx.cell,
        cluster_id,
    )
    return [(r.purpose, r.count) for r in rows]


def path(links: Sequence[KeptLink], a: uuid.UUID, b: uuid.UUID) -> list[KeptLink]:
    """The shortest chain of links from one account to the other: why the two are one. Empty where
    none is left (an operator joined what links don't)."""
    around: dict[uuid.UUID, list[KeptLink]] = {}
    for link in links:
        if link.undone_at is None:
            around.setdefault(link.low_id, []).append(link)
            around.setdefault(link.high_id, []).append(link)
    came: dict[uuid.UUID, tuple[uuid.UUID, KeptLink] | None] = {a: None}
    waiting = deque([a])
    while waiting and b not in came:
        at = waiting.popleft()
        for link in around.get(at, ()):
            other = link.high_id if link.low_id == at else link.low_id
            if other not in came:
                came[other] = (at, link)
                waiting.append(other)
    found: list[KeptLink] = []
    step = came.get(b)
    while step is not None:
        found.append(step[1])
        step = came[step[0]]
    return found[::-1]
