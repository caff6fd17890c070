"""What an operator does to clusters: part accounts, join them, silence a trait; each with a reason
that stays."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.ground import ledger
from pinwheel.ground.trust.model import (
    Because,
    Link,
    SameCluster,
    identity_account,
    ordered_pair,
    used,
)
from pinwheel.ground.trust.noting import LINKING, connect
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import NotFound


class _Live(msgspec.Struct, frozen=True):
    hold_id: uuid.UUID
    purpose: str
    document_kind: str
    document_id: uuid.UUID
    most: int


async def separate(
    tx: Tx, cluster_id: uuid.UUID, person_ids: Sequence[uuid.UUID], reason: str
) -> uuid.UUID:
    """Make a cluster of their own of some accounts of one; its id.

    What both sides showed is silent from now on: it never makes them one again, by themselves or by
    somebody third. What the parted accounts had used goes with them. ``SameCluster`` when none or
    all are named, ``NotFound`` for a cluster that isn't there."""
    await tx.run("select pg_advisory_xact_lock($1)", LINKING + tx.cell)
    members = set(
        await tx.values(
            "select person_id from trust.member where cell = $1 and cluster_id = $2",
            tx.cell,
            cluster_id,
        )
    )
    moved = sorted(set(person_ids) & members)
    if not members:
        raise NotFound(what="cluster")
    if not moved or len(moved) == len(members):
        raise SameCluster()
    new_id = tx.new_id()
    await _move(tx, cluster_id, new_id, moved, reason)
    await _silence_between(tx, cluster_id, new_id, reason)
    await _move_uses(tx, cluster_id, new_id, moved)
    return new_id


async def _move(
    tx: Tx, cluster_id: uuid.UUID, new_id: uuid.UUID, moved: Sequence[uuid.UUID], reason: str
) -> None:
    await tx.run(
        """
        with cluster as (
          insert into trust.cluster (cell, id, made_at) values ($1, $3, $2)
        ), member as (
          update trust.member set cluster_id = $3
           where cell = $1 and cluster_id = $4 and person_id = any($5::uuid[])
        ), link as (
          update trust.link set undone_at = $2
           where cell = $1 and undone_at is null
             and (low_id = any($5::uuid[]) or high_id = any($5::uuid[]))
             and not (low_id = any($5::uuid[]) and high_id = any($5::uuid[]))
        )
        insert into trust.change (cell, id, kind, cluster_id, other_id, reason, accounts, actor, at)
        values ($1, $6, 'split', $4, $3, $7, cardinality($5::uuid[]), $8, $2)
        """,
        tx.cell,
        tx.now,
        new_id,
        cluster_id,
        list(moved),
        tx.new_id(),
        reason,
        tx.actor,
    )


async def _silence_between(tx: Tx, cluster_id: uuid.UUID, new_id: uuid.UUID, reason: str) -> None:
    await tx.run(
        """
        update trust.trait t set ignored_because = $4
          from (select distinct s.kind, s.value
                  from trust.member m
                  join trust.sighting s on s.cell = $1 and s.person_id = m.person_id
                  join trust.sighting o on o.cell = $1 and o.kind = s.kind and o.value = s.value
                  join trust.member n on n.cell = $1 and n.person_id = o.person_id
                       and n.cluster_id = $2
                 where m.cell = $1 and m.cluster_id = $3) both_sides
         where t.cell = $1 and t.kind = both_sides.kind and t.value = both_sides.value
           and coalesce(t.ignored_because, 'crowd') = 'crowd'
        """,
        tx.cell,
        cluster_id,
        new_id,
        f"operator: {reason}",
    )


async def _move_uses(
    tx: Tx, cluster_id: uuid.UUID, new_id: uuid.UUID, moved: Sequence[uuid.UUID]
) -> None:
    live = await tx.rows(
        _Live,
        """
        select h.hold_id, u.purpose, u.document_kind, u.document_id, u.most
          from trust.use u
          join ledger.v_hold h on h.cell = u.cell and h.document_id = u.document_id
               and h.key = u.purpose || ':' || u.cluster_id and h.state = 'open'
         where u.cell = $1 and u.cluster_id = $2 and u.person_id = any($3::uuid[]) and u.most > 0
         order by u.id
        """,
        tx.cell,
        cluster_id,
        list(moved),
    )
    if live:
        await ledger.hold(
            tx,
            [
                ledger.Hold(
                    document_kind=u.document_kind,
                    document_id=u.document_id,
                    key=f"{u.purpose}:{new_id}",
                    debit=used(u.purpose),
                    credit=identity_account(new_id, u.purpose, u.most),
                    amount=1,
                )
                for u in live
            ],
        )
        await ledger.release(tx, [u.hold_id for u in live])
    await tx.run(
        """
        update trust.use set cluster_id = $3
         where cell = $1 and cluster_id = $2 and person_id = any($4::uuid[])
        """,
        tx.cell,
        cluster_id,
        new_id,
        list(moved),
    )


async def join(tx: Tx, a: uuid.UUID, b: uuid.UUID, reason: str) -> None:
    """An operator knows that two accounts are one person: the way back from ``separate`` too.
    ``NotFound`` for an account nothing is known of, ``SameCluster`` when they are one already."""
    clusters = await tx.values(
        "select cluster_id from trust.member where cell = $1 and person_id = any($2::uuid[])",
        tx.cell,
        [a, b],
    )
    if a == b or len(clusters) < 2:
        raise NotFound(what="account")
    if len(set(clusters)) == 1:
        raise SameCluster()
    low, high = ordered_pair(a, b)
    link = Link(low, high, 1.0, True, [Because("operator", 1.0, 2)])
    await connect(tx, [link], kind="joined", reason=reason)


async def silence(tx: Tx, kind: str, value: bytes, reason: str) -> None:
    """A trait tells nothing from now on: a shared terminal, a hall of residence. What it has
    linked already stays until somebody parts it. ``NotFound``."""
    await _set(tx, kind, value, f"operator: {reason}", "muted", reason)


async def hear(tx: Tx, kind: str, value: bytes, reason: str) -> None:
    """Take a silence back."""
    await _set(tx, kind, value, None, "heard", reason)


async def _set(
    tx: Tx, kind: str, value: bytes, ignored: str | None, change: str, reason: str
) -> None:
    done = await tx.run(
        """
        with trait as (
          update trust.trait set ignored_because = $4 where cell = $1 and kind = $2 and value = $3
          returning persons
        ), cluster as (
          select distinct m.cluster_id from trust.sighting s
            join trust.member m on m.cell = s.cell and m.person_id = s.person_id
           where s.cell = $1 and s.kind = $2 and s.value = $3 limit 100
        )
        insert into trust.change (cell, id, kind, cluster_id, other_id, reason, accounts, actor, at)
        select $1, gen_random_uuid(), $5, c.cluster_id, null, $2 || ': ' || $6::text, t.persons,
               $7, $8
          from trait t cross join cluster c
        """,
        tx.cell,
        kind,
        value,
        ignored,
        change,
        reason,
        tx.actor,
        tx.now,
    )
    if not done:
        raise NotFound(what="trait")
