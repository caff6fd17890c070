"""Holds: an amount out of reach until it is committed by a journal, released, or expires. Each verb
takes a list and costs a constant number of statements."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence

import msgspec

from pinwheel.ground.ledger.locking import (
    lock,
    locked_accounts,
    locked_holds,
)
from pinwheel.ground.ledger.model import (
    Held,
    Hold,
    HoldClosed,
    HoldExpired,
    Plan,
    accounts_of,
    admit_hold,
    give_back,
)
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal


class _Done(msgspec.Struct, frozen=True):
    document_id: uuid.UUID
    key: str
    id: uuid.UUID


class _Expired(msgspec.Struct, frozen=True):
    id: uuid.UUID
    document_kind: str
    document_id: uuid.UUID
    key: str
    remaining: int


async def hold(tx: Tx, holds: Sequence[Hold]) -> list[Held | Refusal]:
    """Put each amount out of reach until it is committed by a journal, released, or expires.

    Statements: 2, + 1 the first time an account is used. Refuses ``Insufficient``. A (document,
    key) that was held before answers with the first hold."""
    if not holds:
        return []
    before = await tx.rows(
        _Done,
        """
        select h.document_id, h.key, h.id from ledger.hold h
          join unnest($2::uuid[], $3::text[]) as d(document_id, key)
            on d.document_id = h.document_id and d.key = h.key
         where h.cell = $1 and h.document_id = any($2::uuid[])
        """,
        tx.cell,
        [h.document_id for h in holds],
        [h.key for h in holds],
    )
    done = {(row.document_id, row.key): row.id for row in before}
    accounts = await locked_accounts(tx, accounts_of((), holds))
    plan, answers = Plan(), list[Held | Refusal]()
    for one in holds:
        earlier = done.get((one.document_id, one.key))
        if earlier is not None:
            answers.append(Held(earlier, fresh=False))
            continue
        hold_id = tx.new_id()
        refusal = admit_hold(plan, hold_id, one, accounts)
        if refusal is None:
            done[one.document_id, one.key] = hold_id
        answers.append(refusal or Held(hold_id))
    if plan.holds:
        await _write_holds(tx, plan)
    return answers


async def release(tx: Tx, hold_ids: Iterable[uuid.UUID], *, state: str = "released") -> int:
    """Give back what open holds still hold; how many were open. Safe to repeat. 3 statements."""
    ids = sorted(set(hold_ids))
    if not ids:
        return 0
    open_holds = [h for h in (await locked_holds(tx, ids)).values() if h.state == "open"]
    if not open_holds:
        return 0
    named = {a for h in open_holds for a in (h.debit_id, h.credit_id)}
    accounts = await lock(tx, sorted(named))
    plan = Plan()
    for one in open_holds:
        give_back(plan, one, accounts)
    await tx.run(
        """
        with closed as (
          update ledger.hold set state = $3, remaining = 0, closed_at = $4
           where cell = $1 and id = any($2::uuid[])
        )
        update ledger.balance b set held = b.held + d.held
          from unnest($5::bigint[], $6::bigint[]) as d(account_id, held)
         where b.cell = $1 and b.account_id = any($5::bigint[]) and b.account_id = d.account_id
        """,
        tx.cell,
        [h.id for h in open_holds],
        state,
        tx.now,
        list(plan.deltas),
        [held for _, held in plan.deltas.values()],
    )
    return len(open_holds)


async def expire(tx: Tx, *, most: int = 500) -> int:
    """Give back holds past their deadline and tell it; how many. Skips what others are working
    on. For what has no document that could end by itself: one that does has the deadline and lets
    go with ``release_for``, so that the document is always locked before its holds."""
    due = await tx.rows(
        _Expired,
        """
        select id, document_kind, document_id, key, remaining from ledger.hold
         where cell = $1 and state = 'open' and expires_at is not null and expires_at <= $2
         order by id limit $3 for update skip locked
        """,
        tx.cell,
        tx.now,
        most,
    )
    await release(tx, [row.id for row in due], state="expired")
    tx.emit(
        *(
            HoldExpired(
                hold_id=row.id,
                document_kind=row.document_kind,
                document_id=row.document_id,
                key=row.key,
                amount=row.remaining,
            )
            for row in due
        )
    )
    return len(due)


async def release_for(tx: Tx, document_ids: Sequence[uuid.UUID]) -> int:
    """Give back every open hold of documents; how many. 4 statements. Safe to repeat."""
    return await release(
        tx,
        await tx.values(
            """
            select id from ledger.hold
             where cell = $1 and document_id = any($2::uuid[]) and state = 'open'
            """,
            tx.cell,
            list(document_ids),
        ),
    )


async def reduce(tx: Tx, parts: Sequence[tuple[uuid.UUID, int]]) -> None:
    """Give back a part of open holds: (hold, amount). Refuses ``HoldClosed`` where one holds
    less."""
    asked: dict[uuid.UUID, int] = {}
    for hold_id, amount in parts:
        asked[hold_id] = asked.get(hold_id, 0) + amount
    holds = await locked_holds(tx, sorted(asked))
    for hold_id, amount in asked.items():
        held = holds.get(hold_id)
        if held is None or held.state != "open" or held.remaining < amount:
            raise HoldClosed(state=held.state if held else "unknown", asked=amount)
    named = {a for h in holds.values() for a in (h.debit_id, h.credit_id)}
    accounts = await lock(tx, sorted(named))
    plan = Plan()
    for held in holds.values():
        part = msgspec.structs.replace(held, remaining=asked[held.id])
        give_back(plan, part, accounts)
    await tx.run(
        """
        with less as (
          update ledger.hold h set remaining = h.remaining - r.amount,
                 state = case when h.remaining = r.amount then 'released' else 'open' end,
                 closed_at = case when h.remaining = r.amount then $2::timestamptz end
            from unnest($3::uuid[], $4::bigint[]) as r(id, amount)
           where h.cell = $1 and h.id = r.id
        )
        update ledger.balance b set held = b.held + d.held
          from unnest($5::bigint[], $6::bigint[]) as d(account_id, held)
         where b.cell = $1 and b.account_id = any($5::bigint[]) and b.account_id = d.account_id
        """,
        tx.cell,
        tx.now,
        list(asked),
        list(asked.values()),
        list(plan.deltas),
        [held for _, held in plan.deltas.values()],
    )


async def _write_holds(tx: Tx, plan: Plan) -> None:
    """Holds and what they take out of reach, in one statement: all of them, or none when another
    transaction has just taken one of the keys (tried again, it is found held)."""
    await tx.run(
        """
        with hold as (
          insert into ledger.hold (cell, id, document_kind, document_id, key, debit_id, credit_id,
                                   unit, amount, remaining, expires_at, created_at)
          select $1, h.id, h.document_kind, h.document_id, h.key, h.debit_id, h.credit_id, h.unit,
                 h.amount, h.amount, h.expires_at, $2
            from unnest($3::uuid[], $4::text[], $5::uuid[], $6::text[], $7::bigint[], $8::bigint[],
                        $9::bigint[], $10::bigint[], $11::timestamptz[])
                 as h(id, document_kind, document_id, key, debit_id, credit_id, unit, amount,
                      expires_at)
        )
        update ledger.balance b set held = b.held + d.held
          from unnest($12::bigint[], $13::bigint[]) as d(account_id, held)
         where b.cell = $1 and b.account_id = any($12::bigint[]) and b.account_id = d.account_id
        """,
        tx.cell,
        tx.now,
        [i for i, _ in plan.holds],
        [h.document_kind for _, h in plan.holds],
        [h.document_id for _, h in plan.holds],
        [h.key for _, h in plan.holds],
        [h.debit.id for _, h in plan.holds],
        [h.credit.id for _, h in plan.holds],
        [h.debit.unit.id for _, h in plan.holds],
        [h.amount for _, h in plan.holds],
        [h.expires_at for _, h in plan.holds],
        list(plan.deltas),
        [held for _, held in plan.deltas.values()],
    )
