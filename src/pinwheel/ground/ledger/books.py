"""Verbs over the books as a whole: reversal, the close of a period, and conversion between
units."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.ground.ledger.actions import post
from pinwheel.ground.ledger.locking import PERIOD_LOCK, closed_until_of
from pinwheel.ground.ledger.model import (
    Account,
    Journal,
    PeriodClosed,
    PeriodWasClosed,
    Posted,
    Side,
    Transfer,
    Unit,
    UnitKind,
)
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal


async def reverse(
    tx: Tx, journal_ids: Sequence[uuid.UUID], *, reason: str
) -> list[Posted | Refusal]:
    """Post the mirror image of each journal, linked to it; a journal is reversed once.

    A floor refuses a reversal too: what has gone on can't be taken back from an empty account.
    """
    lines = await tx.rows(
        _Line,
        """
        select j.id as journal_id, j.document_kind, j.document_id,
               d.code as debit_code, d.side as debit_side, d.floor as debit_floor,
               c.code as credit_code, c.side as credit_side, c.floor as credit_floor,
               t.amount, u.code as unit_code, u.kind as unit_kind, u.exponent as unit_exponent
          from ledger.journal j
          join ledger.transfer t on t.cell = j.cell and t.journal_id = j.id
          join ledger.account d on d.cell = j.cell and d.id = t.debit_id
          join ledger.account c on c.cell = j.cell and c.id = t.credit_id
          join ledger.unit u on u.id = t.unit
         where j.cell = $1 and j.id = any($2::uuid[]) order by j.id, t.line
        """,
        tx.cell,
        list(journal_ids),
    )
    grouped: dict[uuid.UUID, list[_Line]] = {}
    for line in lines:
        grouped.setdefault(line.journal_id, []).append(line)
    mirrored = []
    for journal_id in journal_ids:
        of = grouped[journal_id]
        mirrored.append(
            Journal(
                document_kind=of[0].document_kind,
                document_id=of[0].document_id,
                key=f"reverse:{journal_id}",
                reason=reason,
                reverses=journal_id,
                transfers=tuple(Transfer(x.credit(), x.debit(), x.amount) for x in of),
            )
        )
    return await post(tx, mirrored)


async def close_period(tx: Tx, until: dt.datetime) -> int:
    """Close the books up to and with ``until`` and keep every account's balance then; how many
    accounts.

    Waits for postings under way; later ones with an earlier date are refused (``PeriodClosed``).
    """
    await tx.run("select pg_advisory_xact_lock($1)", PERIOD_LOCK)
    before = await closed_until_of(tx)
    if until > tx.now or (before is not None and until <= before):
        raise PeriodClosed(closed_until=(before or tx.now).isoformat())
    await tx.run(
        "insert into ledger.period (cell, closed_until, closed_at, actor) values ($1, $2, $3, $4)",
        tx.cell,
        until,
        tx.now,
        tx.actor,
    )
    kept = await tx.run(
        """
        insert into ledger.snapshot (cell, account_id, at, posted)
        select $1, a.id, $2, coalesce(s.posted, 0) + a.side * coalesce(moved.net, 0)
          from ledger.account a
          left join ledger.snapshot s
            on s.cell = a.cell and s.account_id = a.id and s.at = $3::timestamptz
          left join (
            select account_id, sum(amount)::bigint as net from (
              select debit_id as account_id, amount from ledger.transfer
               where cell = $1 and posted_at <= $2
                 and posted_at > coalesce($3::timestamptz, '-infinity')
              union all
              select credit_id, -amount from ledger.transfer
               where cell = $1 and posted_at <= $2
                 and posted_at > coalesce($3::timestamptz, '-infinity')
            ) both_sides group by account_id
          ) moved on moved.account_id = a.id
         where a.cell = $1
        """,
        tx.cell,
        until,
        before,
    )
    tx.emit(PeriodWasClosed(closed_until=until))
    return kept


class _Line(msgspec.Struct, frozen=True):
    journal_id: uuid.UUID
    document_kind: str
    document_id: uuid.UUID
    debit_code: str
    debit_side: int
    debit_floor: int | None
    credit_code: str
    credit_side: int
    credit_floor: int | None
    amount: int
    unit_code: str
    unit_kind: UnitKind
    unit_exponent: int

    def unit(self) -> Unit:
        return Unit(self.unit_code, self.unit_kind, self.unit_exponent)

    def debit(self) -> Account:
        return Account(self.debit_code, self.unit(), _side(self.debit_side), self.debit_floor)

    def credit(self) -> Account:
        return Account(self.credit_code, self.unit(), _side(self.credit_side), self.credit_floor)


def _side(sign: int) -> Side:
    return "debit" if sign == 1 else "credit"


def exchange(
    sold: Account, bought: Account, sold_amount: int, bought_amount: int
) -> tuple[Transfer, ...]:
    """The two transfers of a conversion: ``sold_amount`` leaves ``sold``, ``bought_amount``
    enters ``bought``.

    Each unit balances by itself through its trading account ``fx:UNIT``. What the trading
    accounts hold, valued in one currency, is the gain or loss of exchange (the trading-accounts
    method of multi-currency books)."""
    return (
        Transfer(Account(f"fx:{sold.unit.code}", sold.unit), sold, sold_amount),
        Transfer(bought, Account(f"fx:{bought.unit.code}", bought.unit), bought_amount),
    )
