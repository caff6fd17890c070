"""What trust keeps of people, for how long, and what is left when somebody is erased.

To find one person behind many accounts is a lawful interest of the shop (GDPR recital 47: fraud
prevention). So an erased account leaves keyed hashes under a number that leads to nobody, for 365
days, and only where the identity had something that is one to each person; else nothing stays."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from pinwheel.ground.trust.model import ACT_DAYS, KEPT_DAYS, NETWORK_DAYS, VERDICT_DAYS
from pinwheel.ground.trust.reviewing import appeals_of
from pinwheel.kernel.db import Tx

AT_ONCE = 5_000
WITHOUT_SHADOW = ("network", "building")


async def erase(tx: Tx, person_ids: Sequence[uuid.UUID]) -> None:
    """Make these people nameless here; what their identity has used stays used. 3 statements."""
    people = sorted(set(person_ids))
    shadows = [tx.new_id() for _ in people]
    await tx.run(
        """
        with pair as (
          select * from unnest($2::uuid[], $3::uuid[]) as p(person_id, shadow_id)
        ), kept as materialized (
          select p.person_id, p.shadow_id, m.cluster_id
            from pair p
            join trust.member m on m.cell = $1 and m.person_id = p.person_id
           where exists (select from trust.use u
                          where u.cell = $1 and u.cluster_id = m.cluster_id)
        ), weak as (
          delete from trust.sighting s using pair p
           where s.cell = $1 and s.person_id = p.person_id
             and (s.kind = any($4::text[])
                  or not exists (select from kept k where k.person_id = p.person_id))
          returning s.kind, s.value
        ), strong as (
          update trust.sighting s set person_id = k.shadow_id from kept k
           where s.cell = $1 and s.person_id = k.person_id and s.kind <> all($4::text[])
        ), used as (
          update trust.use u set person_id = k.shadow_id from kept k
           where u.cell = $1 and u.person_id = k.person_id
        ), shadow as (
          update trust.member m
             set person_id = k.shadow_id, is_shadow = true, erased_at = $5 from kept k
           where m.cell = $1 and m.person_id = k.person_id
          returning m.cluster_id
        ), gone as (
          delete from trust.member m using pair p
           where m.cell = $1 and m.person_id = p.person_id
             and not exists (select from kept k where k.person_id = p.person_id)
          returning m.cluster_id
        ), fewer as (
          update trust.trait t set persons = greatest(0, t.persons - w.count)
            from (select kind, value, count(*)::int as count from weak group by kind, value) w
           where t.cell = $1 and t.kind = w.kind and t.value = w.value
        )
        insert into trust.change (cell, id, kind, cluster_id, reason, accounts, actor, at)
        select $1, gen_random_uuid(), 'erased', c.cluster_id, 'right to be forgotten', count(*),
               'erasure', $5
          from (select cluster_id from shadow union all select cluster_id from gone) c
         group by c.cluster_id
        """,
        tx.cell,
        people,
        shadows,
        list(WITHOUT_SHADOW),
        tx.now,
    )
    await _forget_acts(tx, people)


async def _forget_acts(tx: Tx, people: Sequence[uuid.UUID]) -> None:
    await tx.run(
        """
        with link as (
          delete from trust.link
           where cell = $1 and (low_id = any($2::uuid[]) or high_id = any($2::uuid[]))
        ), act as (
          delete from trust.act
           where cell = $1 and (person_id = any($2::uuid[]) or other_id = any($2::uuid[]))
        ), appeal as (
          delete from trust.appeal where cell = $1 and person_id = any($2::uuid[])
        ), decision as (
          delete from trust.decision d using trust.verdict v
           where v.cell = $1 and v.person_id = any($2::uuid[]) and d.cell = v.cell
             and d.verdict_id = v.id
        ), other as (
          update trust.verdict set other_id = null
           where cell = $1 and other_id = any($2::uuid[]) and person_id <> all($2::uuid[])
        )
        delete from trust.verdict where cell = $1 and person_id = any($2::uuid[])
        """,
        tx.cell,
        list(people),
    )


async def forget_old(tx: Tx) -> int:
    """What has served its time: hashes 365 days after they were last seen (networks 30), acts
    after 90 days, verdicts and appeals after two years, shadows 365 days after the erasure. How
    many sightings went."""
    gone = await tx.run(
        """
        with old as (
          select person_id, kind, value from trust.sighting
           where cell = $1 and (last_at < $2 or kind = 'network' and last_at < $3)
           limit $4
        ), shadow as (
          delete from trust.member where cell = $1 and is_shadow and erased_at < $2
          returning person_id
        ), used as (
          delete from trust.use u using shadow s where u.cell = $1 and u.person_id = s.person_id
        )
        delete from trust.sighting s
         where s.cell = $1 and (
           (s.person_id, s.kind, s.value) in (select person_id, kind, value from old)
           or s.person_id in (select person_id from shadow))
        """,
        tx.cell,
        tx.later_than(-KEPT_DAYS * 86_400),
        tx.later_than(-NETWORK_DAYS * 86_400),
        AT_ONCE,
    )
    await tx.run(
        """
        with trait as (
          delete from trust.trait t
           where t.cell = $1 and t.last_at < $2
             and (t.ignored_because is null or t.ignored_because = 'crowd')
             and not exists (select from trust.sighting s where s.cell = t.cell
                              and s.kind = t.kind and s.value = t.value)
        ), act as (
          delete from trust.act where cell = $1 and at < $3
        ), appeal as (
          delete from trust.appeal a using trust.verdict v
           where v.cell = $1 and v.at < $4 and a.cell = v.cell and a.verdict_id = v.id
        ), decision as (
          delete from trust.decision d using trust.verdict v
           where v.cell = $1 and v.at < $4 and d.cell = v.cell and d.verdict_id = v.id
        )
        delete from trust.verdict where cell = $1 and at < $4
        """,
        tx.cell,
        tx.later_than(-NETWORK_DAYS * 86_400),
        tx.later_than(-ACT_DAYS * 86_400),
        tx.later_than(-VERDICT_DAYS * 86_400),
    )
    return gone


class _Kept(msgspec.Struct, frozen=True):
    kind: str
    hashes: int
    first_at: Any
    last_at: Any


async def export(tx: Tx, person_id: uuid.UUID) -> dict[str, Any]:
    """What is known here of a person: how many hashes of what kind (never the values, they are
    not there), what was judged and why, and what they appealed."""
    traits = await tx.rows(
        _Kept,
        """
        select kind, count(*)::int as hashes, min(first_at) as first_at, max(last_at) as last_at
          from trust.sighting where cell = $1 and person_id = $2 group by kind order by kind
        """,
        tx.cell,
        person_id,
    )
    judged = await tx.rows(
        _Said,
        """
        select kind, at, stands, reasons from trust.verdict where cell = $1 and person_id = $2
         order by id
        """,
        tx.cell,
        person_id,
    )
    return {
        "traits": msgspec.to_builtins(traits),
        "judged": msgspec.to_builtins(judged),
        "appeals": msgspec.to_builtins(await appeals_of(tx, person_id)),
    }


class _Said(msgspec.Struct, frozen=True):
    kind: str
    at: Any
    stands: str
    reasons: Any
