"""Uses: what one person may have only so often, held in the ledger so that it is kept at commit."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence

import msgspec

from pinwheel.ground import ledger
from pinwheel.ground.trust.model import (
    AlreadyUsed,
    Use,
    home_account,
    identity_account,
    used,
)
from pinwheel.ground.trust.noting import LINKING
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal


class _Who(msgspec.Struct, frozen=True):
    person_id: uuid.UUID
    cluster_id: uuid.UUID
    homes: list[bytes]


class Kin(msgspec.Struct, frozen=True):
    """An account near another: of one cluster with it (``is_one``), or of one home."""

    person_id: uuid.UUID
    near_id: uuid.UUID
    is_one: bool


async def keep_still(tx: Tx) -> None:
    """No two clusters become one until this transaction ends. A stage asks for it while it loads,
    before anybody in the batch holds anything of the ledger. 1 statement."""
    await tx.run("select pg_advisory_xact_lock_shared($1)", LINKING + tx.cell)


async def take(tx: Tx, uses: Sequence[Use]) -> list[ledger.Held | Refusal]:
    """Hold one use for each, of the identity and of its homes, or refuse ``AlreadyUsed`` and hold
    nothing of that one. Given back with the document (``ledger.release_for``); clusters can't
    merge until this transaction ends.

    Note what the person shows before, never after, in the same transaction. Statements: 3 and the
    ledger's hold, + a release when one is refused."""
    if not uses:
        return []
    await keep_still(tx)
    who = await _who(tx, {use.person_id for use in uses})
    asked: list[tuple[int, ledger.Hold]] = []
    for number, use in enumerate(uses):
        asked += [(number, hold) for hold in _holds(use, who[use.person_id])]
    answers = await ledger.hold(tx, [hold for _, hold in asked])
    held: dict[int, list[ledger.Held]] = {n: [] for n in range(len(uses))}
    refused = set[int]()
    for (number, _), answer in zip(asked, answers, strict=True):
        if isinstance(answer, ledger.Held):
            held[number].append(answer)
        else:
            refused.add(number)
    await ledger.release(tx, [h.hold_id for n in refused for h in held[n] if h.fresh])
    await _write(tx, [(u, who[u.person_id]) for n, u in enumerate(uses) if n not in refused])
    return [AlreadyUsed() if n in refused else held[n][0] for n in range(len(uses))]


def _holds(use: Use, who: _Who) -> list[ledger.Hold]:
    accounts = [
        (
            f"{use.purpose}:{who.cluster_id}",
            identity_account(who.cluster_id, use.purpose, use.most),
        )
    ]
    if use.home_most:
        accounts += [
            (f"{use.purpose}:home:{home.hex()}", home_account(home, use.purpose, use.home_most))
            for home in who.homes
        ]
    return [
        ledger.Hold(
            document_kind=use.document_kind,
            document_id=use.document_id,
            key=key,
            debit=used(use.purpose),
            credit=account,
            amount=1,
        )
        for key, account in accounts
    ]


async def _who(tx: Tx, people: Iterable[uuid.UUID]) -> dict[uuid.UUID, _Who]:
    """Clusters and homes. A home that is a crowd's tells nothing about who is one, and is still
    one home here, until an operator says that it is a house of many."""
    rows = await tx.rows(
        _Who,
        """
        select p.id as person_id, coalesce(m.cluster_id, p.id) as cluster_id,
               coalesce(h.homes, '{}') as homes
          from unnest($2::uuid[]) as p(id)
          left join trust.member m on m.cell = $1 and m.person_id = p.id
          left join lateral (
            select array_agg(s.value order by s.value) as homes
              from trust.sighting s
              join trust.trait t on t.cell = s.cell and t.kind = s.kind and t.value = s.value
             where s.cell = $1 and s.person_id = p.id and s.kind = 'home'
               and coalesce(t.ignored_because, 'crowd') = 'crowd') h on true
        """,
        tx.cell,
        sorted(people),
    )
    return {r.person_id: r for r in rows}


async def _write(tx: Tx, uses: Sequence[tuple[Use, _Who]]) -> None:
    if not uses:
        return
    await tx.run(
        """
        with member as (
          insert into trust.member (cell, person_id, cluster_id, noted_at)
          select distinct $1::smallint, p.id, p.id, $2::timestamptz from unnest($4::uuid[]) as p(id)
          on conflict (cell, person_id) do nothing returning person_id
        ), cluster as (
          insert into trust.cluster (cell, id, made_at) select $1, person_id, $2 from member
          on conflict (cell, id) do nothing
        )
        insert into trust.use (cell, id, purpose, person_id, cluster_id, document_kind, document_id,
                               most, home_most, at)
        select $1, u.id, u.purpose, u.person_id, u.cluster_id, u.document_kind, u.document_id,
               u.most, u.home_most, $2
          from unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::uuid[],
                      $9::int[], $10::int[])
               as u(id, person_id, cluster_id, purpose, document_kind, document_id, most, home_most)
         where u.most > 0 or not exists (
           select from trust.use x where x.cell = $1 and x.person_id = u.person_id
              and x.purpose = u.purpose)
        on conflict (cell, purpose, document_id) do nothing
        """,
        tx.cell,
        tx.now,
        [tx.new_id() for _ in uses],
        [u.person_id for u, _ in uses],
        [w.cluster_id for _, w in uses],
        [u.purpose for u, _ in uses],
        [u.document_kind for u, _ in uses],
        [u.document_id for u, _ in uses],
        [u.most for u, _ in uses],
        [u.home_most for u, _ in uses],
    )


async def mark(tx: Tx, purpose: str, documents: Sequence[tuple[uuid.UUID, str, uuid.UUID]]) -> None:
    """Remember that identities did something (``bought``), without a limit: (person, document
    kind, document). It outlives the account by the time that is stated. 2 statements."""
    if not documents:
        return
    who = await _who(tx, {person for person, _, _ in documents})
    await _write(
        tx,
        [
            (
                Use(
                    person_id=person,
                    purpose=purpose,
                    document_kind=kind,
                    document_id=document,
                    most=0,
                ),
                who[person],
            )
            for person, kind, document in documents
        ],
    )


async def marked(tx: Tx, purpose: str, person_ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Who of these was marked, by this account or by another of the same identity or home. 1
    statement."""
    found = await tx.values(
        """
        select p.id from unnest($2::uuid[]) as p(id)
          left join trust.member m on m.cell = $1 and m.person_id = p.id
         where exists (select from trust.use u where u.cell = $1
                        and u.cluster_id = coalesce(m.cluster_id, p.id) and u.purpose = $3)
            or exists (
               select from trust.sighting s
                 join trust.trait t on t.cell = s.cell and t.kind = s.kind and t.value = s.value
                      and t.ignored_because is null
                 join trust.sighting o on o.cell = s.cell and o.kind = s.kind and o.value = s.value
                 join trust.use u on u.cell = o.cell and u.person_id = o.person_id
                      and u.purpose = $3
                where s.cell = $1 and s.person_id = p.id and s.kind = 'home')
        """,
        tx.cell,
        sorted(set(person_ids)),
        purpose,
    )
    return set(found)


async def kin_of(tx: Tx, person_ids: Sequence[uuid.UUID]) -> list[Kin]:
    """The accounts of the same identity (each is its own kin) and of the same home. 1 statement."""
    return await tx.rows(
        Kin,
        """
        select p.id as person_id, coalesce(n.person_id, p.id) as near_id,
               coalesce(bool_or(n.is_one), true) as is_one
          from unnest($2::uuid[]) as p(id)
          left join trust.member m on m.cell = $1 and m.person_id = p.id
          left join lateral (
            select o.person_id, true as is_one from trust.member o
             where o.cell = $1 and o.cluster_id = m.cluster_id
            union all
            select o.person_id, false
              from trust.sighting s
              join trust.trait t on t.cell = s.cell and t.kind = s.kind and t.value = s.value
                   and t.ignored_because is null
              join trust.sighting o on o.cell = s.cell and o.kind = s.kind and o.value = s.value
             where s.cell = $1 and s.person_id = p.id and s.kind = 'home') n on true
         group by p.id, coalesce(n.person_id, p.id)
        """,
        tx.cell,
        sorted(set(person_ids)),
    )
