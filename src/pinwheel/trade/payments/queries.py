"""Questions about payments; none takes a lock."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import NotFound
from pinwheel.kernel.listing import Page, after, page
from pinwheel.kernel.queries import Behind
from pinwheel.trade.payments.model import Dispute, Instruction, Payment, Scan, Step


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


async def scan_of(tx: Tx, payment_id: uuid.UUID, person_id: uuid.UUID) -> Scan:
    """The code of a person's payment, also when it has run out. ``NotFound``."""
    found = await tx.row(
        Scan,
        """
        select p.id as payment_id, p.order_id, p.amount_minor, p.currency, p.state, p.reason,
               p.return_url, s.url, s.until
          from payments.payment p join payments.scan s on s.payment_id = p.id and s.cell = p.cell
         where p.cell = $1 and p.id = $2 and p.person_id = $3
        """,
        tx.cell,
        payment_id,
        person_id,
    )
    if found is None:
        raise NotFound(what="payment")
    return found


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


class PaymentLine(msgspec.Struct, frozen=True):
    """One payment in the staff's list. ``open_disputes`` and ``failed_refunds`` wait for a
    person."""

    id: uuid.UUID
    order_id: uuid.UUID
    provider: str
    currency: str
    amount_minor: int
    captured_minor: int
    refunded_minor: int
    disputed_minor: int
    state: str
    reason: str
    created_at: dt.datetime
    open_disputes: int
    failed_refunds: int


class Attention(msgspec.Struct, frozen=True):
    """Payments that need a person, by why."""

    failed: int
    unanswered: int
    disputed: int
    refunds_failed: int
    differences: int


class Settled(msgspec.Struct, frozen=True):
    """One day's settlement file of one provider, compared."""

    provider: str
    settled_on: dt.date
    matched: int
    differences: int
    ran_at: dt.datetime


async def payment_list(
    tx: Tx, *, view: str | None = None, cursor: str | None = None, limit: int = 50
) -> Page[PaymentLine]:
    """Payments, the newest first. ``view``: ``failed``, ``unanswered``, ``disputed``,
    ``refunds_failed`` or a state. 1 statement."""
    before = after(cursor, dt.datetime, uuid.UUID)
    at, last = before or (None, None)
    rows = await tx.rows(
        PaymentLine,
        """
        select p.id, p.order_id, p.provider, p.currency, p.amount_minor, p.captured_minor,
               p.refunded_minor, p.disputed_minor, p.state, p.reason, p.created_at,
               d.open as open_disputes, i.failed as failed_refunds
          from payments.payment p
         cross join lateral (
           select count(*) as open from payments.dispute d
            where d.cell = p.cell and d.payment_id = p.id and d.state = 'open') d
         cross join lateral (
           select count(*) as failed from payments.instruction i
            where i.cell = p.cell and i.payment_id = p.id and i.kind = 'refund'
              and i.state = 'failed'
              and not exists (select from payments.instruction later
                               where later.cell = i.cell and later.payment_id = i.payment_id
                                 and later.retries = i.id)) i
         where p.cell = $1
           and ($3::timestamptz is null or (p.created_at, p.id) < ($3, $4::uuid))
           and case $2::text when 'disputed' then d.open > 0
                             when 'refunds_failed' then i.failed > 0
                             when 'unanswered' then p.state in ('unknown', 'processing')
                             else $2 is null or p.state = $2 end
         order by p.created_at desc, p.id desc limit $5
        """,
        tx.cell,
        view,
        at,
        last,
        limit + 1,
    )
    return page(rows, limit, lambda r: (r.created_at, r.id))


async def attention(tx: Tx, *, since: dt.datetime) -> Attention:
    """How many payments need a person; failures and differences since then. 1 statement."""
    return await tx.the(
        "count",
        Attention,
        """
        select (select count(*) from payments.payment
                 where cell = $1 and state = 'failed' and created_at >= $2) as failed,
               (select count(*) from payments.payment
                 where cell = $1 and state in ('unknown', 'processing')
                   and created_at < $3::timestamptz - interval '10 minutes') as unanswered,
               (select count(*) from payments.dispute where cell = $1 and state = 'open')
                 as disputed,
               (select count(*) from payments.instruction i
                 where i.cell = $1 and i.kind = 'refund' and i.state = 'failed'
                   and not exists (select from payments.instruction later
                                    where later.cell = i.cell and later.payment_id = i.payment_id
                                      and later.retries = i.id)) as refunds_failed,
               (select count(*) from payments.difference
                 where cell = $1 and settled_on >= $2::timestamptz::date) as differences
        """,
        tx.cell,
        since,
        tx.now,
    )


async def disputes_of(tx: Tx, order_ids: Sequence[uuid.UUID]) -> list[Dispute]:
    """The chargebacks of orders, open ones and closed ones."""
    return await tx.rows(
        Dispute,
        """
        select d.id, d.payment_id, d.order_id, d.provider_ref, d.amount_minor, d.currency, d.state,
               d.opened_at, d.closed_at
          from payments.payment p
          join payments.dispute d on d.cell = p.cell and d.payment_id = p.id
         where p.cell = $1 and p.order_id = any($2::uuid[]) order by d.id
        """,
        tx.cell,
        list(order_ids),
    )


async def settled_days(tx: Tx, *, most: int = 30) -> list[Settled]:
    """The days that were reconciled, the latest first."""
    return await tx.rows(
        Settled,
        """
        select r.provider, r.settled_on, r.matched,
               (select count(*) from payments.difference d
                 where d.cell = r.cell and d.provider = r.provider
                   and d.settled_on = r.settled_on) as differences,
               r.ran_at
          from payments.reconciliation r
         where r.cell = $1 order by r.settled_on desc, r.provider limit $2
        """,
        tx.cell,
        most,
    )


async def behind(tx: Tx) -> list[Behind]:
    """Charges and instructions that no provider has answered yet, and refunds that were refused and
    not asked for again. 1 statement."""
    return await tx.rows(
        Behind,
        """
        select 'payments_unanswered' as kind, count(*) as count, min(created_at) as since
          from payments.payment where cell = $1 and state in ('unknown', 'processing')
        union all
        select 'instructions_unanswered', count(*), min(created_at) from payments.instruction
         where cell = $1 and state = 'asked'
        union all
        select 'refunds_failed', count(*), min(i.ended_at) from payments.instruction i
         where i.cell = $1 and i.kind = 'refund' and i.state = 'failed'
           and not exists (select from payments.instruction later
                            where later.cell = i.cell and later.payment_id = i.payment_id
                              and later.retries = i.id)
        """,
        tx.cell,
    )
