"""Posting: each verb takes a list and costs a constant number of statements whatever its length."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import asyncpg
import msgspec

from pinwheel.ground.ledger.locking import (
    closed_until_of,
    locked_accounts,
    locked_holds,
)
from pinwheel.ground.ledger.model import (
    Account,
    Insufficient,
    Journal,
    PeriodClosed,
    Plan,
    Posted,
    accounts_of,
    admit_journal,
)
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal


class _Done(msgspec.Struct, frozen=True):
    document_id: uuid.UUID
    key: str
    id: uuid.UUID


async def post(tx: Tx, journals: Sequence[Journal]) -> list[Posted | Refusal]:
    """Post each journal whole or refuse it, in the order given; one answer per journal.

    Statements: 3, + 1 when a journal consumes holds, + 1 the first time an account is used,
    whatever the length. Refuses ``Insufficient`` (a floor), ``UnitMismatch``,
    ``AmountNotPositive``, ``HoldClosed``, ``PeriodClosed``. A (document, key) that was posted
    before answers with the first posting."""
    if not journals:
        return []
    done = await _posted_before(tx, [(j.document_id, j.key) for j in journals])
    hold_ids = sorted({t.hold for j in journals for t in j.transfers if t.hold is not None})
    holds = await locked_holds(tx, hold_ids) if hold_ids else {}
    accounts = await locked_accounts(tx, accounts_of(journals))
    closed_until = await closed_until_of(tx) if any(j.posted_at for j in journals) else None
    plan, answers = Plan(), list[Posted | Refusal]()
    for journal in journals:
        before = done.get((journal.document_id, journal.key))
        if before is not None:
            answers.append(Posted(before, fresh=False))
            continue
        if closed_until and journal.posted_at and journal.posted_at <= closed_until:
            answers.append(PeriodClosed(closed_until=closed_until.isoformat()))
            continue
        journal_id = tx.new_id()
        refusal = admit_journal(plan, journal_id, journal, accounts, holds)
        if refusal is None:
            done[journal.document_id, journal.key] = journal_id
        answers.append(refusal or Posted(journal_id))
    if plan.journals:
        await _write_journals(tx, plan)
    return answers


async def set_floor(tx: Tx, account: Account, floor: int) -> None:
    """Move an account's floor. Refuses ``Insufficient`` where its balance is below the new one
    already."""
    try:
        async with tx.savepoint():
            await tx.run(
                "update ledger.balance set floor = $3 where cell = $1 and account_id = $2",
                tx.cell,
                account.id,
                floor,
            )
    except asyncpg.CheckViolationError as error:
        raise Insufficient(account=account.code, left=0, asked=floor) from error


async def _posted_before(
    tx: Tx, keys: Sequence[tuple[uuid.UUID, str]]
) -> dict[tuple[uuid.UUID, str], uuid.UUID]:
    rows = await tx.rows(
        _Done,
        """
        select j.document_id, j.key, j.id from ledger.journal j
          join unnest($2::uuid[], $3::text[]) as d(document_id, key)
            on d.document_id = j.document_id and d.key = j.key
         where j.cell = $1 and j.document_id = any($2::uuid[])
        """,
        tx.cell,
        [document_id for document_id, _ in keys],
        [key for _, key in keys],
    )
    return {(row.document_id, row.key): row.id for row in rows}


async def _write_journals(tx: Tx, plan: Plan) -> None:
    """Journals, transfers, balances and consumed holds in one statement: all of them, or none when
    another transaction has just posted one of the keys (tried again, it is found posted)."""
    await tx.run(
        """
        with journal as (
          insert into ledger.journal (cell, id, document_kind, document_id, key, reason, posted_at,
                                      recorded_at, actor, reverses)
          select $1, j.id, j.document_kind, j.document_id, j.key, j.reason,
                 coalesce(j.posted_at, $2), $2, $3, j.reverses
            from unnest($4::uuid[], $5::text[], $6::uuid[], $7::text[], $8::text[],
                        $9::timestamptz[], $10::uuid[])
                 as j(id, document_kind, document_id, key, reason, posted_at, reverses)
        ), transfer as (
          insert into ledger.transfer (cell, journal_id, line, debit_id, credit_id, unit, amount,
                                       posted_at)
          select $1, t.journal_id, t.line, t.debit_id, t.credit_id, t.unit, t.amount,
                 coalesce(t.posted_at, $2)
            from unnest($11::uuid[], $12::smallint[], $13::bigint[], $14::bigint[], $15::bigint[],
                        $16::bigint[], $17::timestamptz[])
                 as t(journal_id, line, debit_id, credit_id, unit, amount, posted_at)
        ), taken as (
          update ledger.hold h set remaining = h.remaining - k.amount,
                 state = case when k.ends then 'committed' else 'open' end,
                 closed_at = case when k.ends then $2 end
            from unnest($18::uuid[], $19::bigint[], $20::boolean[]) as k(hold_id, amount, ends)
           where h.cell = $1 and h.id = any($18::uuid[]) and h.id = k.hold_id
        )
        update ledger.balance b set posted = b.posted + d.posted, held = b.held + d.held
          from unnest($21::bigint[], $22::bigint[], $23::bigint[]) as d(account_id, posted, held)
         where b.cell = $1 and b.account_id = any($21::bigint[]) and b.account_id = d.account_id
        """,
        tx.cell,
        tx.now,
        tx.actor,
        *_journal_columns(plan),
        *_transfer_columns(plan),
        list(plan.taken),
        list(plan.taken.values()),
        [hold_id in plan.closed for hold_id in plan.taken],
        list(plan.deltas),
        [posted for posted, _ in plan.deltas.values()],
        [held for _, held in plan.deltas.values()],
    )


def _journal_columns(plan: Plan) -> list[list[Any]]:
    return [
        [i for i, _ in plan.journals],
        [j.document_kind for _, j in plan.journals],
        [j.document_id for _, j in plan.journals],
        [j.key for _, j in plan.journals],
        [j.reason for _, j in plan.journals],
        [j.posted_at for _, j in plan.journals],
        [j.reverses for _, j in plan.journals],
    ]


def _transfer_columns(plan: Plan) -> list[list[Any]]:
    lines = [
        (journal_id, line, t, journal.posted_at)
        for journal_id, journal in plan.journals
        for line, t in enumerate(journal.transfers)
    ]
    return [
        [journal_id for journal_id, _, _, _ in lines],
        [line for _, line, _, _ in lines],
        [t.debit.id for _, _, t, _ in lines],
        [t.credit.id for _, _, t, _ in lines],
        [t.debit.unit.id for _, _, t, _ in lines],
        [t.amount for _, _, t, _ in lines],
        [posted_at for _, _, _, posted_at in lines],
    ]
