"""The money in analytics: the ledger's own postings, told as events. Nobody else can say them."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable

import msgspec

from pinwheel.insight.tracking.actions import record
from pinwheel.insight.tracking.model import ServerEvent
from pinwheel.kernel.db import Tx

EVENT = "revenue_recognised"


class _Booked(msgspec.Struct, frozen=True):
    journal_id: uuid.UUID
    kind: str
    document_id: uuid.UUID
    person_id: uuid.UUID | None
    event_id: uuid.UUID
    amount_minor: int
    currency: str
    posted_at: dt.datetime


class _Net(msgspec.Struct, frozen=True):
    journal_id: uuid.UUID
    account: str
    document_id: uuid.UUID
    currency: str
    amount_minor: int
    posted_at: dt.datetime


async def book(tx: Tx, order_ids: Iterable[uuid.UUID]) -> int:
    """Take over what the ledger has booked for these orders on accounts of income and tax, each
    journal and account once, and tell it as ``revenue_recognised``. How many were new. Safe to
    repeat. Call it in the transaction that posted."""
    documents = sorted(set(order_ids))
    if not documents:
        return 0
    booked = await _write(tx, await _moved(tx, documents))
    await record(
        tx,
        [
            ServerEvent(
                name=EVENT,
                event_id=b.event_id,
                person_id=b.person_id,
                properties={
                    "order_id": b.document_id,
                    "journal_id": b.journal_id,
                    "kind": b.kind,
                    "amount_minor": b.amount_minor,
                    "currency": b.currency,
                },
            )
            for b in booked
        ],
    )
    return len(booked)


async def _moved(tx: Tx, documents: list[uuid.UUID]) -> list[_Net]:
    """What each journal of these orders moved on each account of income and tax."""
    return await tx.rows(
        _Net,
        """
        select m.journal_id, m.account, m.document_id, m.unit as currency,
               sum(m.amount)::bigint as amount_minor, m.posted_at
          from (select journal_id, credit as account, document_id, unit, amount, posted_at
                  from ledger.v_posting
                 where cell = $1 and document_id = any($2::uuid[]) and document_kind = 'order'
                union all
                select journal_id, debit, document_id, unit, -amount, posted_at
                  from ledger.v_posting
                 where cell = $1 and document_id = any($2::uuid[]) and document_kind = 'order') m
         where m.account ~ '^(sales|payable|delivery|return_freight|return_withheld|tax):'
         group by m.journal_id, m.account, m.document_id, m.unit, m.posted_at
        having sum(m.amount) <> 0
        """,
        tx.cell,
        documents,
    )


async def _write(tx: Tx, moved: list[_Net]) -> list[_Booked]:
    """What was not written before."""
    return await tx.rows(
        _Booked,
        """
        insert into tracking.revenue (cell, journal_id, account, kind, document_id, person_id,
               event_id, amount_minor, currency, posted_at)
        select $1, m.journal_id, m.account,
               case split_part(m.account, ':', 1)
                 when 'payable' then 'sellers' when 'return_freight' then 'freight'
                 when 'return_withheld' then 'withheld' else split_part(m.account, ':', 1) end,
               m.document_id,
               (select l.person_id from orders.v_line l
                 where l.cell = $1 and l.order_id = m.document_id limit 1),
               m.event_id, m.amount, m.currency, m.posted_at
          from unnest($2::uuid[], $3::text[], $4::uuid[], $5::text[], $6::bigint[],
                      $7::timestamptz[], $8::uuid[])
               as m(journal_id, account, document_id, currency, amount, posted_at, event_id)
        on conflict (cell, journal_id, account) do nothing
        returning journal_id, kind, document_id, person_id, event_id, amount_minor, currency,
                  posted_at
        """,
        tx.cell,
        [m.journal_id for m in moved],
        [m.account for m in moved],
        [m.document_id for m in moved],
        [m.currency for m in moved],
        [m.amount_minor for m in moved],
        [m.posted_at for m in moved],
        [tx.new_id() for _ in moved],
    )
