"""Reconciliation: the provider's settlement file against our payments, and its fees and payouts
into the ledger.

Totals are compared, payment by payment and kind by kind: all that any file has said up to the day,
against all that we know. What moved here after the day is not expected in its file yet."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence

import msgspec

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Account, Journal, Transfer
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade.payments.model import (
    SettlementRow,
    bank,
    clearing,
    provider_fees,
)
from pinwheel.trade.payments.queries import Difference

MOVED = ("capture", "refund", "dispute", "dispute_won")
COMPARED_TOGETHER = 5000
NAMESPACE = uuid.UUID("5f0c3f7e-3c35-4d0b-8d5e-6d6f9a0d2c11")


class Reconciliation(msgspec.Struct, frozen=True, kw_only=True):
    """``matched``: payments whose totals agree; ``differences``: everything else, for a person.
    ``missing_here``: the provider moved money that we don't know of; ``missing_there``: we know
    of a movement that is in no file; ``row_changed``: a row came before with other figures."""

    id: uuid.UUID
    provider: str
    settled_on: dt.date
    matched: int
    fees_minor: dict[str, int]
    paid_out_minor: dict[str, int]
    differences: list[Difference]


class _Kept(msgspec.Struct, frozen=True):
    ref: str
    amount_minor: int
    fee_minor: int


class _Here(msgspec.Struct, frozen=True):
    id: uuid.UUID
    currency: str
    captured_minor: int
    refunded_minor: int
    disputed_minor: int
    won_minor: int
    is_later: bool  # something changed here after the day


class _There(msgspec.Struct, frozen=True):
    payment_id: uuid.UUID
    kind: str
    minor: int


class _Totals(msgspec.Struct, frozen=True):
    """One payment's totals here and, in the order of ``MOVED``, in the files."""

    here: _Here
    there: tuple[int, ...]

    def pairs(self) -> Iterable[tuple[str, int, int]]:
        h = self.here
        ours = (h.captured_minor, h.refunded_minor, h.disputed_minor, h.won_minor)
        return zip(MOVED, ours, self.there, strict=True)


async def reconcile(
    tx: Tx, provider: str, day: dt.date, rows: Sequence[SettlementRow]
) -> Reconciliation:
    """Keep the rows of ``day``'s file, post its fees and payouts, and compare.

    Safe to repeat, also with a file that has grown: a row counts once. Nothing is corrected
    here: what differs is listed, and looked up at the provider by the caller."""
    document = uuid.uuid5(NAMESPACE, f"{provider}:{day}")
    # Two runs of one day wait for each other.
    await tx.run("select pg_advisory_xact_lock(hashtextextended($1, 51))", str(document))
    rows = await _named(tx, provider, rows)
    fresh = await _keep(tx, provider, day, rows)
    changed = await _changed(tx, provider, rows) if len(fresh) < len(rows) else []
    once = {r.ref: r for r in reversed(rows) if r.ref in fresh}  # a ref twice: the first counts
    await _post(tx, provider, document, list(once.values()))
    compared = await _compare(tx, provider, day, rows)
    found = [d for totals in compared for d in _differences(provider, day, totals)]
    known = {totals.here.id for totals in compared}
    found += [_unknown(provider, day, r) for r in rows if _is_unknown(r, known)]
    found += [_row_changed(provider, day, r, kept) for r, kept in changed]
    wrong = {d.subject for d in found}
    matched = sum(str(totals.here.id) not in wrong for totals in compared)
    await _conclude(tx, provider, day, document, matched, found)
    fees, paid = await _sums(tx, provider, day)
    return Reconciliation(
        id=document,
        provider=provider,
        settled_on=day,
        matched=matched,
        fees_minor=fees,
        paid_out_minor=paid,
        differences=found,
    )


class _Ref(msgspec.Struct, frozen=True):
    provider_ref: str
    id: uuid.UUID


async def _named(tx: Tx, provider: str, rows: Sequence[SettlementRow]) -> list[SettlementRow]:
    """Rows that name a payment by the provider's reference, with our id."""
    refs = sorted({r.provider_ref for r in rows if r.payment_id is None and r.provider_ref})
    found = {
        r.provider_ref: r.id
        for r in await tx.rows(
            _Ref,
            """
            select provider_ref, id from payments.payment
             where cell = $1 and provider = $2 and provider_ref = any($3::text[])
               and provider_ref <> ''
            """,
            tx.cell,
            provider,
            refs,
        )
    }
    return [
        msgspec.structs.replace(r, payment_id=found.get(r.provider_ref))
        if r.payment_id is None and r.provider_ref
        else r
        for r in rows
    ]


async def _keep(tx: Tx, provider: str, day: dt.date, rows: Sequence[SettlementRow]) -> set[str]:
    return set(
        await tx.values(
            """
            insert into payments.settlement_row (cell, provider, ref, settled_on, kind, payment_id,
                   amount_minor, fee_minor, currency, at)
            select $1, $2, r.ref, $3, r.kind, r.payment_id, r.amount_minor, r.fee_minor,
                   r.currency, r.at
              from unnest($4::text[], $5::text[], $6::uuid[], $7::bigint[], $8::bigint[],
                          $9::text[], $10::timestamptz[])
                   as r(ref, kind, payment_id, amount_minor, fee_minor, currency, at)
            on conflict (cell, provider, ref) do nothing
            returning ref
            """,
            tx.cell,
            provider,
            day,
            [r.ref for r in rows],
            [r.kind for r in rows],
            [r.payment_id for r in rows],
            [r.amount_minor for r in rows],
            [r.fee_minor for r in rows],
            [r.currency for r in rows],
            [r.at for r in rows],
        )
    )


async def _changed(
    tx: Tx, provider: str, rows: Sequence[SettlementRow]
) -> list[tuple[SettlementRow, _Kept]]:
    kept = {
        k.ref: k
        for k in await tx.rows(
            _Kept,
            """
            select ref, amount_minor, fee_minor from payments.settlement_row
             where cell = $1 and provider = $2 and ref = any($3::text[])
            """,
            tx.cell,
            provider,
            [r.ref for r in rows],
        )
    }
    return [
        (r, kept[r.ref])
        for r in rows
        if (r.amount_minor, r.fee_minor) != (kept[r.ref].amount_minor, kept[r.ref].fee_minor)
    ]


async def _post(tx: Tx, provider: str, document: uuid.UUID, fresh: Sequence[SettlementRow]) -> None:
    """Fees by currency and each payout; the key names the first of the rows that it is made
    of."""
    fees: dict[str, int] = {}
    for row in fresh:
        extra = row.amount_minor if row.kind == "fee" else 0
        fees[row.currency] = fees.get(row.currency, 0) + row.fee_minor + extra
    first = min((r.ref for r in fresh), default="")
    journals = [
        _journal(
            document,
            f"fees:{currency}:{first}",
            f"{provider} fees",
            provider_fees(provider, currency),
            clearing(provider, currency),
            amount,
        )
        for currency, amount in sorted(fees.items())
        if amount
    ]
    journals += [
        _journal(
            document,
            f"payout:{row.ref}",
            f"{provider} payout",
            bank(row.currency),
            clearing(provider, row.currency),
            row.amount_minor,
        )
        for row in fresh
        if row.kind == "payout" and row.amount_minor
    ]
    for answer in await ledger.post(tx, journals):
        if isinstance(answer, Refusal):
            raise answer


def _journal(
    document: uuid.UUID, key: str, reason: str, to: Account, source: Account, amount: int
) -> Journal:
    """A negative amount goes the other way: the provider takes back from the bank."""
    moved = Transfer(to, source, amount) if amount > 0 else Transfer(source, to, -amount)
    return Journal(
        document_kind="settlement",
        document_id=document,
        key=key,
        reason=reason,
        transfers=(moved,),
    )


async def _compare(
    tx: Tx, provider: str, day: dt.date, rows: Sequence[SettlementRow]
) -> list[_Totals]:
    """The payments that the file names, and those that moved on its day: a part at a time, so
    that a day of a million payments is read by its keys."""
    moved = await _moved_on(tx, provider, day)
    ids = sorted(moved | {r.payment_id for r in rows if r.payment_id is not None})
    found: list[_Totals] = []
    for first in range(0, len(ids), COMPARED_TOGETHER):
        found += await _totals(tx, provider, day, ids[first : first + COMPARED_TOGETHER])
    return found


async def _moved_on(tx: Tx, provider: str, day: dt.date) -> set[uuid.UUID]:
    begin = dt.datetime.combine(day, dt.time(), dt.UTC)
    end = begin + dt.timedelta(days=1)
    return set(
        await tx.values(
            """
            select id from payments.payment
             where cell = $1 and provider = $2 and id >= $3 and id < $4 and captured_minor > 0
            union
            select i.payment_id from payments.instruction i
             where i.cell = $1 and i.ended_at >= $5 and i.ended_at < $6 and i.state = 'done'
               and i.kind <> 'void'
            union
            select d.payment_id from payments.dispute d
             where d.cell = $1 and (d.opened_at >= $5 and d.opened_at < $6
                                    or d.closed_at >= $5 and d.closed_at < $6)
            """,
            tx.cell,
            provider,
            first_id(begin),
            first_id(end),
            begin,
            end,
        )
    )


async def _totals(tx: Tx, provider: str, day: dt.date, ids: Sequence[uuid.UUID]) -> list[_Totals]:
    here = await tx.rows(
        _Here,
        """
        select id, currency, captured_minor, refunded_minor, disputed_minor, won_minor,
               updated_at >= $4 as is_later
          from payments.payment where cell = $1 and provider = $2 and id = any($3::uuid[])
         order by id
        """,
        tx.cell,
        provider,
        ids,
        dt.datetime.combine(day + dt.timedelta(days=1), dt.time(), dt.UTC),
    )
    there = await tx.rows(
        _There,
        """
        select r.payment_id, r.kind, sum(r.amount_minor)::bigint as minor
          from payments.settlement_row r
         where r.cell = $1 and r.payment_id = any($3::uuid[]) and r.provider = $2
           and r.settled_on <= $4
         group by r.payment_id, r.kind
        """,
        tx.cell,
        provider,
        ids,
        day,
    )
    said = {(t.payment_id, t.kind): t.minor for t in there}
    return [_Totals(h, tuple(said.get((h.id, kind), 0) for kind in MOVED)) for h in here]


def first_id(at: dt.datetime) -> uuid.UUID:
    """The smallest time-ordered id (RFC 9562, version 7) of ``at``."""
    return uuid.UUID(int=int(at.timestamp() * 1000) << 80)


def _differences(provider: str, day: dt.date, totals: _Totals) -> list[Difference]:
    found = []
    for what, here, there in totals.pairs():
        if here == there or (totals.here.is_later and here > there):
            continue  # the rest of it is in a later file
        kind = "missing_there" if there == 0 else "missing_here" if here == 0 else "amount_differs"
        found.append(
            Difference(
                provider, day, kind, str(totals.here.id), what, here, there, totals.here.currency
            )
        )
    return found


def _is_unknown(row: SettlementRow, known: set[uuid.UUID]) -> bool:
    return row.kind in MOVED and (row.payment_id is None or row.payment_id not in known)


def _unknown(provider: str, day: dt.date, row: SettlementRow) -> Difference:
    return Difference(
        provider, day, "missing_here", row.ref, row.kind, 0, row.amount_minor, row.currency
    )


def _row_changed(provider: str, day: dt.date, row: SettlementRow, kept: _Kept) -> Difference:
    return Difference(
        provider,
        day,
        "row_changed",
        row.ref,
        "row",
        kept.amount_minor - kept.fee_minor,
        row.amount_minor - row.fee_minor,
        row.currency,
    )


async def _conclude(
    tx: Tx,
    provider: str,
    day: dt.date,
    document: uuid.UUID,
    matched: int,
    found: Sequence[Difference],
) -> None:
    """The newest run's result stands."""
    await tx.run(
        """
        insert into payments.reconciliation (cell, provider, settled_on, id, matched, ran_at)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (cell, provider, settled_on)
        do update set matched = excluded.matched, ran_at = excluded.ran_at
        """,
        tx.cell,
        provider,
        day,
        document,
        matched,
        tx.now,
    )
    await tx.run(
        "delete from payments.difference where cell = $1 and provider = $2 and settled_on = $3",
        tx.cell,
        provider,
        day,
    )
    await tx.run(
        """
        insert into payments.difference (cell, provider, settled_on, kind, subject, what,
               here_minor, there_minor, currency)
        select $1, $2, $3, d.* from unnest($4::text[], $5::text[], $6::text[], $7::bigint[],
               $8::bigint[], $9::text[]) as d
        """,
        tx.cell,
        provider,
        day,
        [d.kind for d in found],
        [d.subject for d in found],
        [d.what for d in found],
        [d.here_minor for d in found],
        [d.there_minor for d in found],
        [d.currency for d in found],
    )


class _Sum(msgspec.Struct, frozen=True):
    currency: str
    fees: int
    paid: int


async def _sums(tx: Tx, provider: str, day: dt.date) -> tuple[dict[str, int], dict[str, int]]:
    sums = await tx.rows(
        _Sum,
        """
        select currency,
               coalesce(sum(fee_minor + case when kind = 'fee' then amount_minor else 0 end),
                        0)::bigint as fees,
               coalesce(sum(amount_minor) filter (where kind = 'payout'), 0)::bigint as paid
          from payments.settlement_row
         where cell = $1 and provider = $2 and settled_on = $3 group by currency
        """,
        tx.cell,
        provider,
        day,
    )
    return {s.currency: s.fees for s in sums}, {s.currency: s.paid for s in sums}
