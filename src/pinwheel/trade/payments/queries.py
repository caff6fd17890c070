"""Questions about payments; none takes a lock."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.kernel.listing import Page, after, page
from pinwheel.trade.payments.model import Dispute, Instruction, Payment, Step


class Difference(msgspec.Struct, frozen=True):
    """Where the provider's file and this house disagree, in minor units."""

    provider: str
    settled_on: dt.date
    kind: str
    subject: str
    what: str
    here_minor: int
    there_minor: int
    currency: str


async def payments_of(tx: Tx, order_ids: Sequence[uuid.UUID]) -> list[Payment]:
    """The tenders of orders, in the order they were charged."""
    return await tx.rows(
        Payment,
        """
        select id, order_id, person_id, provider, method, currency, amount_minor, captures_at_once,
               tender_order, return_url, state, authorised_minor, captured_minor, refunded_minor,
               kept_minor, disputed_minor, won_minor, is_voided, is_secured, is_unwanted, reason,
               action_url, provider_ref, hold_id, created_at
          from payments.payment where cell = $1 and order_id = any($2::uuid[])
         order by order_id, tender_order, id
        """,
        tx.cell,
        list(order_ids),
    )


async def payments_by_id(tx: Tx, ids: Sequence[uuid.UUID]) -> list[Payment]:
    return await tx.rows(
        Payment,
        """
        select id, order_id, person_id, provider, method, currency, amount_minor, captures_at_once,
               tender_order, return_url, state, authorised_minor, captured_minor, refunded_minor,
               kept_minor, disputed_minor, won_minor, is_voided, is_secured, is_unwanted, reason,
               action_url, provider_ref, hold_id, created_at
          from payments.payment where cell = $1 and id = any($2::uuid[]) order by id
        """,
        tx.cell,
        list(ids),
    )


async def instructions_of(tx: Tx, order_ids: Sequence[uuid.UUID]) -> list[Instruction]:
    """Captures, voids and refunds of orders, in the order they were given."""
    return await tx.rows(
        Instruction,
        """
        select i.id, i.payment_id, i.order_id, i.kind, i.amount_minor, i.currency, i.state,
               i.reason, i.error, i.provider_ref, i.is_foreign, i.is_posted, i.created_at,
               i.ended_at, i.retries
          from payments.payment p
          join payments.instruction i on i.cell = p.cell and i.payment_id = p.id
         where p.cell = $1 and p.order_id = any($2::uuid[]) order by i.id
        """,
        tx.cell,
        list(order_ids),
    )


async def refundable_of(tx: Tx, order_id: uuid.UUID) -> int:
    """What of the order's money can still be given back, in minor units."""
    return int(
        await tx.value(
            """
            select coalesce(sum(greatest(0, p.captured_minor - p.disputed_minor + p.won_minor
                   - coalesce((select sum(i.amount_minor) from payments.instruction i
                                where i.cell = p.cell and i.payment_id = p.id
                                  and i.kind = 'refund' and i.state <> 'failed'), 0))), 0)::bigint
              from payments.payment p where p.cell = $1 and p.order_id = $2
            """,
            tx.cell,
            order_id,
        )
    )


async def steps_to_send(tx: Tx, instruction_ids: Sequence[uuid.UUID]) -> list[Step]:
    """Instructions that still wait, with their payments. A void waits until the captures before
    it have ended."""
    waiting = await tx.rows(
        _Waiting,
        """
        select i.id, i.payment_id, i.order_id, i.kind, i.amount_minor, i.currency, i.state,
               i.reason, i.error, i.provider_ref, i.is_foreign, i.is_posted, i.created_at,
               i.ended_at, i.retries,
               coalesce((select sum(c.amount_minor) from payments.instruction c
                          where c.cell = i.cell and c.payment_id = i.payment_id
                            and c.kind = 'capture' and c.state <> 'failed' and c.id <= i.id),
                        0)::bigint as total_minor
          from payments.instruction i
         where i.cell = $1 and i.id = any($2::uuid[]) and i.state = 'asked'
           and (i.kind <> 'void' or not exists (
                 select from payments.instruction c
                  where c.cell = i.cell and c.payment_id = i.payment_id
                    and c.kind = 'capture' and c.state = 'asked'))
         order by i.id
        """,
        tx.cell,
        list(instruction_ids),
    )
    about = {p.id: p for p in await payments_by_id(tx, [w.payment_id for w in waiting])}
    return [Step(w, about[w.payment_id], w.total_minor) for w in waiting]


class _Waiting(Instruction, kw_only=True):
    total_minor: int


async def open_disputes(tx: Tx, *, limit: int = 100) -> list[Dispute]:
    return await tx.rows(
        Dispute,
        """
        select id, payment_id, order_id, provider_ref, amount_minor, currency, state, opened_at,
               closed_at
          from payments.dispute where cell = $1 and state = 'open' order by id limit $2
        """,
        tx.cell,
        limit,
    )


async def failed_refunds(tx: Tx, *, limit: int = 100) -> list[Instruction]:
    """Refunds that the provider refused and nobody has asked for again: they wait for a
    person."""
    return await tx.rows(
        Instruction,
        """
        select i.id, i.payment_id, i.order_id, i.kind, i.amount_minor, i.currency, i.state,
               i.reason, i.error, i.provider_ref, i.is_foreign, i.is_posted, i.created_at,
               i.ended_at, i.retries
          from payments.instruction i
         where i.cell = $1 and i.kind = 'refund' and i.state = 'failed'
           and not exists (select from payments.instruction later
                            where later.cell = i.cell and later.payment_id = i.payment_id
                              and later.retries = i.id)
         order by i.ended_at desc, i.id desc limit $2
        """,
        tx.cell,
        limit,
    )


async def differences(tx: Tx, *, cursor: str | None = None, limit: int = 50) -> Page[Difference]:
    """What reconciliation found, newest day first."""
    start = after(cursor, dt.date, str, str, str)
    day, provider, subject, what = start or (None, None, None, None)
    rows = await tx.rows(
        Difference,
        """
        select provider, settled_on, kind, subject, what, here_minor, there_minor, currency
          from payments.difference
         where cell = $1 and ($2::date is null
               or (settled_on, provider, subject, what) < ($2, $3::text, $4::text, $5::text))
         order by settled_on desc, provider desc, subject desc, what desc limit $6
        """,
        tx.cell,
        day,
        provider,
        subject,
        what,
        limit + 1,
    )
    return page(rows, limit, lambda d: (d.settled_on, d.provider, d.subject, d.what))
