"""Verbs of the ledger. Each takes a list and costs a constant number of statements whatever its
length."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping, Sequence

import asyncpg
import msgspec

from pinwheel.ground.ledger.model import (
    Account,
    Held,
    Hold,
    HoldClosed,
    HoldExpired,
    Insufficient,
    Journal,
    OpenHold,
    PeriodClosed,
    Plan,
    Posted,
    Standing,
    accounts_of,
    admit_hold,
    admit_journal,
    give_back,
    id_of,
)
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal

PERIOD_LOCK = id_of("ledger.period")  # shared by postings, exclusive while a period is closed


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
    holds = await _locked_holds(tx, hold_ids) if hold_ids else {}
    accounts = await _locked_accounts(tx, accounts_of(journals))
    closed_until = await _closed_until(tx) if any(j.posted_at for j in journals) else None
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
    accounts = await _locked_accounts(tx, accounts_of((), holds))
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
    open_holds = [h for h in (await _locked_holds(tx, ids)).values() if h.state == "open"]
    if not open_holds:
        return 0
    named = {a for h in open_holds for a in (h.debit_id, h.credit_id)}
    accounts = await _lock(tx, sorted(named))
    plan = Plan()
    for one in open_holds:
        give_back(plan, one.id, one, accounts)
    await tx.run(
        """
        with closed as (
          update ledger.hold set state = $3, remaining = 0, closed_at = $4
           where cell = $1 and id = any($2::uuid[]) and state = 'open' returning id
        )
        update ledger.balance b set held = b.held + d.held
          from (select u.account_id, sum(u.held)::bigint as held
                  from unnest($5::uuid[], $6::bigint[], $7::bigint[]) as u(writer, account_id, held)
                  join closed on closed.id = u.writer group by u.account_id) d
         where b.cell = $1 and b.account_id = any($6::bigint[]) and b.account_id = d.account_id
        """,
        tx.cell,
        [h.id for h in open_holds],
        state,
        tx.now,
        [writer for writer, _ in plan.deltas],
        [account for _, account in plan.deltas],
        [held for _, held in plan.deltas.values()],
    )
    return len(open_holds)


async def expire(tx: Tx, *, most: int = 500) -> int:
    """Give back holds past their deadline and tell it; how many. Skips what others are working
    on."""
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


async def keep_for(tx: Tx, document_ids: Sequence[uuid.UUID]) -> int:
    """Take the deadline off the open holds of documents: promised for good; how many. 1
    statement."""
    return await tx.run(
        """
        update ledger.hold set expires_at = null
         where cell = $1 and document_id = any($2::uuid[]) and state = 'open'
        """,
        tx.cell,
        list(document_ids),
    )


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
    holds = await _locked_holds(tx, sorted(asked))
    for hold_id, amount in asked.items():
        held = holds.get(hold_id)
        if held is None or held.state != "open" or held.remaining < amount:
            raise HoldClosed(state=held.state if held else "unknown", asked=amount)
    named = {a for h in holds.values() for a in (h.debit_id, h.credit_id)}
    accounts = await _lock(tx, sorted(named))
    plan = Plan()
    for held in holds.values():
        part = msgspec.structs.replace(held, remaining=asked[held.id])
        give_back(plan, held.id, part, accounts)
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
          from (select u.account_id, sum(u.held)::bigint as held
                  from unnest($5::bigint[], $6::bigint[]) as u(account_id, held)
                 group by u.account_id) d
         where b.cell = $1 and b.account_id = any($5::bigint[]) and b.account_id = d.account_id
        """,
        tx.cell,
        tx.now,
        list(asked),
        list(asked.values()),
        [account for _, account in plan.deltas],
        [held for _, held in plan.deltas.values()],
    )


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


async def _locked_holds(tx: Tx, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, OpenHold]:
    rows = await tx.rows(
        OpenHold,
        """
        select id, debit_id, credit_id, unit, remaining, state from ledger.hold
         where cell = $1 and id = any($2::uuid[]) order by id for update
        """,
        tx.cell,
        ids,
    )
    return {row.id: row for row in rows}


async def _locked_accounts(tx: Tx, named: Mapping[int, Account]) -> dict[int, Standing]:
    """The accounts, those with a floor under lock in the order of their ids; a new one is
    opened."""
    ids = sorted(named)
    found = await _lock(tx, ids)
    missing = [named[i] for i in ids if i not in found]
    if missing:
        await open_accounts(tx, missing)
        found = await _lock(tx, ids)
    for account in named.values():
        if found[account.id].code != account.code:
            raise ValueError(f"{account.code} and {found[account.id].code} share an id")
    return found


async def _lock(tx: Tx, ids: Sequence[int]) -> dict[int, Standing]:
    rows = await tx.rows(
        Standing,
        """
        with floored as (
          select account_id, floor, posted, held from ledger.balance
           where cell = $1 and account_id = any($2::bigint[])
             and pg_advisory_xact_lock_shared($3) is not null
           order by account_id for update
        )
        select a.id, a.code, a.unit, a.side as sign, f.floor,
               coalesce(f.posted, 0) as posted, coalesce(f.held, 0) as held
          from ledger.account a left join floored f on f.account_id = a.id
         where a.cell = $1 and a.id = any($2::bigint[])
        """,
        tx.cell,
        ids,
        PERIOD_LOCK,
    )
    return {row.id: row for row in rows}


async def open_accounts(tx: Tx, accounts: Iterable[Account]) -> None:
    """Open what is not open yet. Postings do this by themselves; call it to show an account at
    zero."""
    ordered = sorted({a.id: a for a in accounts}.values(), key=lambda a: a.id)
    units = sorted({a.unit.id: a.unit for a in ordered}.values(), key=lambda u: u.id)
    await tx.run(
        """
        with unit as (
          insert into ledger.unit (id, code, kind, exponent)
          select * from unnest($2::bigint[], $3::text[], $4::text[], $5::smallint[])
          on conflict (id) do nothing
        ), account as (
          insert into ledger.account (cell, id, code, unit, side, floor, opened_at)
          select $1, a.id, a.code, a.unit, a.side, a.floor, $6
            from unnest($7::bigint[], $8::text[], $9::bigint[], $10::smallint[], $11::bigint[])
                 as a(id, code, unit, side, floor)
          on conflict (cell, id) do nothing
          returning id, floor
        )
        insert into ledger.balance (cell, account_id, floor)
        select $1, id, floor from account where floor is not null
        """,
        tx.cell,
        [u.id for u in units],
        [u.code for u in units],
        [u.kind for u in units],
        [u.exponent for u in units],
        tx.now,
        [a.id for a in ordered],
        [a.code for a in ordered],
        [a.unit.id for a in ordered],
        [a.sign for a in ordered],
        [a.floor for a in ordered],
    )


async def _closed_until(tx: Tx) -> dt.datetime | None:
    found: dt.datetime | None = await tx.value(
        "select max(closed_until) from ledger.period where cell = $1", tx.cell
    )
    return found


async def _write_journals(tx: Tx, plan: Plan) -> None:
    """Journals, transfers, balances and consumed holds in one statement. A journal that another
    transaction posted a moment ago conflicts here, and nothing of its second copy is
    written."""
    lines = [
        (journal_id, line, t)
        for journal_id, journal in plan.journals
        for line, t in enumerate(journal.transfers)
    ]
    written = await tx.value(
        """
        with journal as (
          insert into ledger.journal (cell, id, document_kind, document_id, key, reason, posted_at,
                                      recorded_at, actor, reverses)
          select $1, j.id, j.document_kind, j.document_id, j.key, j.reason,
                 coalesce(j.posted_at, $2), $2, $3, j.reverses
            from unnest($4::uuid[], $5::text[], $6::uuid[], $7::text[], $8::text[],
                        $9::timestamptz[], $10::uuid[])
                 as j(id, document_kind, document_id, key, reason, posted_at, reverses)
          on conflict (cell, document_id, key) do nothing
          returning id, posted_at
        ), transfer as (
          insert into ledger.transfer (cell, journal_id, line, debit_id, credit_id, unit, amount,
                                       posted_at)
          select $1, t.journal_id, t.line, t.debit_id, t.credit_id, t.unit, t.amount,
                 journal.posted_at
            from unnest($11::uuid[], $12::smallint[], $13::bigint[], $14::bigint[], $15::bigint[],
                        $16::bigint[])
                 as t(journal_id, line, debit_id, credit_id, unit, amount)
            join journal on journal.id = t.journal_id
        ), balance as (
          update ledger.balance b set posted = b.posted + d.posted, held = b.held + d.held
            from (select u.account_id, sum(u.posted)::bigint as posted, sum(u.held)::bigint as held
                    from unnest($17::uuid[], $18::bigint[], $19::bigint[], $20::bigint[])
                         as u(writer, account_id, posted, held)
                    join journal on journal.id = u.writer
                   group by u.account_id) d
           where b.cell = $1 and b.account_id = any($18::bigint[]) and b.account_id = d.account_id
        ), taken as (
          update ledger.hold h set remaining = h.remaining - k.amount,
                 state = case when k.ends then 'committed' else 'open' end,
                 closed_at = case when k.ends then $2 end
            from (select u.hold_id, sum(u.amount)::bigint as amount, bool_or(u.closes) as ends
                    from unnest($21::uuid[], $22::uuid[], $23::bigint[], $24::boolean[])
                         as u(writer, hold_id, amount, closes)
                    join journal on journal.id = u.writer
                   group by u.hold_id) k
           where h.cell = $1 and h.id = any($22::uuid[]) and h.id = k.hold_id
        )
        select count(*) from journal
        """,
        tx.cell,
        tx.now,
        tx.actor,
        [i for i, _ in plan.journals],
        [j.document_kind for _, j in plan.journals],
        [j.document_id for _, j in plan.journals],
        [j.key for _, j in plan.journals],
        [j.reason for _, j in plan.journals],
        [j.posted_at for _, j in plan.journals],
        [j.reverses for _, j in plan.journals],
        [journal_id for journal_id, _, _ in lines],
        [line for _, line, _ in lines],
        [t.debit.id for _, _, t in lines],
        [t.credit.id for _, _, t in lines],
        [t.debit.unit.id for _, _, t in lines],
        [t.amount for _, _, t in lines],
        *_deltas(plan),
        [writer for writer, _ in plan.taken],
        [hold_id for _, hold_id in plan.taken],
        list(plan.taken.values()),
        [hold_id in plan.closed for _, hold_id in plan.taken],
    )
    if written != len(plan.journals):
        raise RacedKey(len(plan.journals) - written)


class RacedKey(asyncpg.SerializationError):  # type: ignore[misc]
    """Another transaction posted the same (document, key) a moment ago: try again and find it
    posted."""


def _deltas(plan: Plan) -> tuple[list[uuid.UUID], list[int], list[int], list[int]]:
    return (
        [writer for writer, _ in plan.deltas],
        [account for _, account in plan.deltas],
        [posted for posted, _ in plan.deltas.values()],
        [held for _, held in plan.deltas.values()],
    )


async def _write_holds(tx: Tx, plan: Plan) -> None:
    written = await tx.value(
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
          on conflict (cell, document_id, key) do nothing
          returning id
        ), balance as (
          update ledger.balance b set held = b.held + d.held
            from (select u.account_id, sum(u.held)::bigint as held
                    from unnest($12::uuid[], $13::bigint[], $14::bigint[])
                         as u(writer, account_id, held)
                    join hold on hold.id = u.writer
                   group by u.account_id) d
           where b.cell = $1 and b.account_id = any($13::bigint[]) and b.account_id = d.account_id
        )
        select count(*) from hold
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
        [writer for writer, _ in plan.deltas],
        [account for _, account in plan.deltas],
        [held for _, held in plan.deltas.values()],
    )
    if written != len(plan.holds):
        raise RacedKey(len(plan.holds) - written)
