"""Questions to the ledger; none takes a lock."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence

import msgspec

from pinwheel.ground.ledger.model import Account, Unit, UnitKind
from pinwheel.kernel.db import Tx
from pinwheel.kernel.listing import Page, after, page
from pinwheel.kernel.queries import Behind


class Balance(msgspec.Struct, frozen=True):
    """``posted`` and ``held`` in the account's own sign and its unit's minor unit."""

    code: str
    unit: str
    posted: int
    held: int

    @property
    def available(self) -> int:
        return self.posted - self.held


class Posting(msgspec.Struct, frozen=True):
    """One transfer with where it comes from: what a total drills down to."""

    journal_id: uuid.UUID
    line: int
    document_kind: str
    document_id: uuid.UUID
    key: str
    reason: str
    debit: str
    credit: str
    unit: str
    amount: int
    posted_at: dt.datetime
    actor: str


class TrialLine(msgspec.Struct, frozen=True):
    """One unit's books: both sides are equal by construction, and checked."""

    unit: str
    debits: int
    credits: int


async def balances(
    tx: Tx, accounts: Iterable[Account], *, at: dt.datetime | None = None
) -> dict[str, Balance]:
    """The balance of each account by code, now or as it was at ``at``; 0 for one that was never
    used.

    One statement. An account with a floor is read from its row; any other, and any past
    instant, is the last closed period's snapshot plus the transfers since."""
    named = {a.code: a for a in accounts}
    found = await tx.rows(
        Balance,
        """
        select a.code, u.code as unit,
               case when b.account_id is not null and $3::timestamptz is null then b.posted
               else coalesce(s.posted, 0) + a.side * (
                 coalesce((select sum(t.amount) from ledger.transfer t
                            where t.cell = $1 and t.debit_id = a.id
                              and t.posted_at > coalesce(s.at, '-infinity')
                              and t.posted_at <= coalesce($3::timestamptz, 'infinity')), 0)
                 - coalesce((select sum(t.amount) from ledger.transfer t
                              where t.cell = $1 and t.credit_id = a.id
                                and t.posted_at > coalesce(s.at, '-infinity')
                                and t.posted_at <= coalesce($3::timestamptz, 'infinity')), 0))
                                end::bigint as posted, case when $3::timestamptz is null then
                                coalesce(b.held, 0) else 0 end as held from ledger.account a
                                join ledger.unit u on u.id = a.unit left join ledger.balance b
                                on b.cell = a.cell and b.account_id = a.id left join lateral (
                                select at, posted from ledger.snapshot s where s.cell = a.cell
                                and s.account_id = a.id and s.at <= coalesce($3::timestamptz,
                                'infinity') order by at desc limit 1) s on true where a.cell =
                                $1 and a.id = any($2::bigint[]) """,
        tx.cell,
        [a.id for a in named.values()],
        at,
    )
    by_code = {row.code: row for row in found}
    return {
        code: by_code.get(code) or Balance(code, account.unit.code, 0, 0)
        for code, account in named.items()
    }


async def balances_below(tx: Tx, prefix: str) -> list[Balance]:
    """Every account whose code starts with ``prefix``, with its balance now, in order of code."""
    return await tx.rows(
        Balance,
        """
        select a.code, u.code as unit,
               coalesce(b.posted, coalesce(s.posted, 0) + a.side * (
                 coalesce((select sum(t.amount) from ledger.transfer t
                            where t.cell = $1 and t.debit_id = a.id
                              and t.posted_at > coalesce(s.at, '-infinity')), 0)
                 - coalesce((select sum(t.amount) from ledger.transfer t
                              where t.cell = $1 and t.credit_id = a.id
                                and t.posted_at > coalesce(s.at, '-infinity')), 0)))::bigint
                 as posted,
               coalesce(b.held, 0) as held
          from ledger.account a
          join ledger.unit u on u.id = a.unit
          left join ledger.balance b on b.cell = a.cell and b.account_id = a.id
          left join lateral (
            select at, posted from ledger.snapshot s
             where s.cell = a.cell and s.account_id = a.id order by at desc limit 1) s on true
         where a.cell = $1 and a.code like $2 || '%'
         order by a.code
        """,
        tx.cell,
        prefix.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_"),
    )


async def postings_of(tx: Tx, document_ids: Sequence[uuid.UUID]) -> list[Posting]:
    """The money and stock trail of documents, in the order it happened."""
    return await tx.rows(
        Posting,
        """
        select j.id as journal_id, t.line, j.document_kind, j.document_id, j.key, j.reason,
               d.code as debit, c.code as credit, u.code as unit, t.amount, t.posted_at, j.actor
          from ledger.journal j
          join ledger.transfer t on t.cell = j.cell and t.journal_id = j.id
          join ledger.account d on d.cell = t.cell and d.id = t.debit_id
          join ledger.account c on c.cell = t.cell and c.id = t.credit_id
          join ledger.unit u on u.id = t.unit
         where j.cell = $1 and j.document_id = any($2::uuid[])
         order by t.posted_at, j.id, t.line
        """,
        tx.cell,
        list(document_ids),
    )


async def statement(
    tx: Tx, account: Account, *, cursor: str | None = None, limit: int = 50
) -> Page[Posting]:
    """What moved through ``account``, newest first: any figure drills down to this."""
    start = after(cursor, dt.datetime, uuid.UUID, int)
    at, journal_id, line = start or (None, None, None)
    rows = await tx.rows(
        Posting,
        """
        select j.id as journal_id, t.line, j.document_kind, j.document_id, j.key, j.reason,
               d.code as debit, c.code as credit, u.code as unit, t.amount, t.posted_at, j.actor
          from ledger.transfer t
          join ledger.journal j on j.cell = t.cell and j.id = t.journal_id
          join ledger.account d on d.cell = t.cell and d.id = t.debit_id
          join ledger.account c on c.cell = t.cell and c.id = t.credit_id
          join ledger.unit u on u.id = t.unit
         where t.cell = $1 and (t.debit_id = $2 or t.credit_id = $2)
           and ($3::timestamptz is null
                or (t.posted_at, t.journal_id, t.line) < ($3, $4::uuid, $5::smallint))
         order by t.posted_at desc, t.journal_id desc, t.line desc limit $6
        """,
        tx.cell,
        account.id,
        at,
        journal_id,
        line,
        limit + 1,
    )
    return page(rows, limit, lambda r: (r.posted_at, r.journal_id, r.line))


async def trial_balance(tx: Tx, *, kind: str = "money") -> list[TrialLine]:
    """Debits and credits of every unit of ``kind``, summed over accounts from the transfers."""
    return await tx.rows(
        TrialLine,
        """
        select u.code as unit, coalesce(sum(t.amount), 0)::bigint as debits,
               coalesce(sum(t.amount) filter (where c.id is not null), 0)::bigint as credits
          from ledger.unit u
          left join ledger.transfer t on t.cell = $1 and t.unit = u.id
          left join ledger.account c on c.cell = t.cell and c.id = t.credit_id and c.unit = u.id
         where u.kind = $2 group by u.code order by u.code
        """,
        tx.cell,
        kind,
    )


class Flow(msgspec.Struct, frozen=True):
    """What went from one kind of account to another on one day: amount in minor units, and how
    many documents (orders) it came from."""

    name: str
    unit: str
    day: dt.date
    amount: int
    documents: int


class Branch(msgspec.Struct, frozen=True):
    """One step down the tree of account codes: ``code`` is whole when ``is_leaf``."""

    code: str
    accounts: int
    is_leaf: bool


class Period(msgspec.Struct, frozen=True):
    closed_until: dt.datetime
    closed_at: dt.datetime
    actor: str


class _Named(msgspec.Struct, frozen=True):
    code: str
    side: int
    floor: int | None
    unit: str
    kind: UnitKind
    exponent: int


async def flows_by_day(
    tx: Tx, flows: Sequence[tuple[str, str, str]], *, since: dt.datetime, zone: str
) -> list[Flow]:
    """What went through ``flows`` (name, prefix of the debit code, prefix of the credit code) on
    each day of ``zone`` since then. 1 statement."""
    return await tx.rows(
        Flow,
        """
        select w.name, u.code as unit, (t.posted_at at time zone $5)::date as day,
               sum(t.amount)::bigint as amount, count(distinct j.document_id) as documents
          from unnest($2::text[], $3::text[], $4::text[]) as w(name, debit, credit)
          join ledger.account d on d.cell = $1 and starts_with(d.code, w.debit)
          join ledger.transfer t
            on t.cell = $1 and t.debit_id = d.id and t.posted_at >= $6
          join ledger.account c
            on c.cell = $1 and c.id = t.credit_id and starts_with(c.code, w.credit)
          join ledger.unit u on u.id = t.unit
          join ledger.journal j on j.cell = $1 and j.id = t.journal_id
         group by 1, 2, 3 order by 1, 2, 3
        """,
        tx.cell,
        [name for name, _, _ in flows],
        [debit for _, debit, _ in flows],
        [credit for _, _, credit in flows],
        zone,
        since,
    )


async def branches(tx: Tx, prefix: str = "", *, most: int = 500) -> list[Branch]:
    """What comes after ``prefix`` (it ends with ``:`` or is empty), with how many accounts lie
    below. 1 statement."""
    return await tx.rows(
        Branch,
        """
        select b.code, sum(b.accounts)::bigint as accounts, bool_and(b.is_leaf) as is_leaf
          from (select case when position(':' in substr(a.code, length($2) + 1)) = 0 then a.code
                       else $2 || split_part(substr(a.code, length($2) + 1), ':', 1) || ':' end
                         as code,
                       1 as accounts,
                       position(':' in substr(a.code, length($2) + 1)) = 0 as is_leaf
                  from ledger.account a where a.cell = $1 and starts_with(a.code, $2)) b
         group by b.code order by b.code limit $3
        """,
        tx.cell,
        prefix,
        most,
    )


async def account_named(tx: Tx, code: str) -> Account:
    """The account with this code; ``NotFound``."""
    found = await tx.the(
        "account",
        _Named,
        """
        select a.code, a.side, a.floor, u.code as unit, u.kind, u.exponent
          from ledger.account a join ledger.unit u on u.id = a.unit
         where a.cell = $1 and a.code = $2
        """,
        tx.cell,
        code,
    )
    unit = Unit(found.unit, found.kind, found.exponent)
    return Account(found.code, unit, "debit" if found.side == 1 else "credit", found.floor)


async def periods(tx: Tx, *, most: int = 50) -> list[Period]:
    """The closed periods, the latest first."""
    return await tx.rows(
        Period,
        """
        select closed_until, closed_at, actor from ledger.period
         where cell = $1 order by closed_until desc limit $2
        """,
        tx.cell,
        most,
    )


async def behind(tx: Tx) -> list[Behind]:
    """Holds past their deadline that nobody has given back: they keep stock and budgets from
    others. 1 statement."""
    return await tx.rows(
        Behind,
        """
        select 'holds_overdue' as kind, count(*) as count, min(expires_at) as since
          from ledger.hold where state = 'open' and expires_at <= $2 and cell = $1
        """,
        tx.cell,
        tx.now,
    )
