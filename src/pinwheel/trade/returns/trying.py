"""A trial as it goes: sent on loan, tried, charged for what is kept.

What is sent is earned and lent in one transaction (an asset, as a refund in advance is); what comes
back covers a part of the loan; at the end the rest is taken from what was authorised."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

import msgspec

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Journal, Transfer
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade import orders, payments
from pinwheel.trade.returns.model import TrialCharged, advances, receivable
from pinwheel.trade.returns.trials import Trial, TrialNotByThisPayment

DAY = 86_400


class _Sent(msgspec.Struct, frozen=True):
    order_id: uuid.UUID
    shipment_id: uuid.UUID
    currency: str
    amount: int
    holds: int
    needs: int


async def lend(tx: Tx, shipment_ids: Sequence[uuid.UUID]) -> None:
    """Parcels of trials have left: what they earned is lent until it is kept or back. Raises
    ``TrialNotByThisPayment`` where the authorisation would lapse before the days are over: then
    the parcel does not leave. 1 statement where nothing is tried."""
    rows = await tx.rows(
        _Sent,
        """
        select t.order_id, s.shipment_id, t.currency,
               coalesce((select sum(p.amount) from ledger.v_posting p
                          where p.cell = $1 and p.document_id = t.order_id
                            and p.key = 'ship:' || s.shipment_id
                            and p.debit like 'deposits:%'), 0)::bigint
                 as amount,
               extract(day from t.authorised_until - $3::timestamptz)::int as holds,
               t.days + 1 as needs
          from orders.v_shipment s
          join returns.trial t on t.cell = s.cell and t.order_id = s.order_id
         where s.cell = $1 and s.shipment_id = any($2::uuid[]) and t.state in ('placed', 'trying')
         order by s.shipment_id
        """,
        tx.cell,
        list(shipment_ids),
        tx.now,
    )
    late = next((r for r in rows if r.holds < r.needs), None)
    if late is not None:
        raise TrialNotByThisPayment(holds=max(0, late.holds), needs=late.needs)
    lent = [r for r in rows if r.amount]
    answers = await ledger.post(
        tx,
        [
            Journal(
                document_kind="order",
                document_id=r.order_id,
                key=f"trial:{r.shipment_id}",
                reason="sent to be tried",
                transfers=(
                    Transfer(advances(r.currency), payments.deposits(r.currency), r.amount),
                ),
            )
            for r in lent
        ],
    )
    fresh = [r for r, a in zip(lent, answers, strict=True) if _sound(a).fresh]
    await tx.run(
        """
        update returns.trial t set lent_minor = t.lent_minor + n.amount
          from unnest($2::uuid[], $3::bigint[]) as n(order_id, amount)
         where t.cell = $1 and t.order_id = n.order_id
        """,
        tx.cell,
        [r.order_id for r in fresh],
        [r.amount for r in fresh],
    )


def _sound(answer: ledger.Posted | Refusal) -> ledger.Posted:
    if isinstance(answer, Refusal):
        raise answer
    return answer


async def begin(tx: Tx, order_ids: Sequence[uuid.UUID]) -> None:
    """All has arrived: the days begin. They end a day before the authorisation does."""
    await tx.run(
        """
        update returns.trial t
           set state = 'trying',
               until_at = least($3::timestamptz + t.days * interval '1 day',
                                t.authorised_until - interval '1 day')
          from orders.v_purchase o
         where t.cell = $1 and t.order_id = any($2::uuid[]) and t.state = 'placed'
           and o.cell = t.cell and o.order_id = t.order_id and o.state = 'delivered'
        """,
        tx.cell,
        list(order_ids),
        tx.now,
    )


async def cover(tx: Tx, covered: Mapping[uuid.UUID, int]) -> None:
    """So much of what was lent came back, by order."""
    await tx.run(
        """
        update returns.trial t set covered_minor = t.covered_minor + n.amount
          from unnest($2::uuid[], $3::bigint[]) as n(order_id, amount)
         where t.cell = $1 and t.order_id = n.order_id
        """,
        tx.cell,
        list(covered),
        list(covered.values()),
    )


async def end_trials(tx: Tx, *, most: int = 100) -> int:
    """Charge what is kept, once the days are over and nothing is on its way back; at the latest a
    day before the authorisation lapses. How many ended. Safe to repeat, and to be killed at: all
    of one call is one transaction, and the capture has the order's own id."""
    due = await tx.values(
        """
        select t.order_id from returns.trial t
         where t.cell = $1 and t.state = 'trying' and t.until_at <= $2
           and (t.authorised_until - interval '1 day' <= $2
                or not exists (select from returns.rma r
                                where r.cell = t.cell and r.order_id = t.order_id
                                  and r.state in ('requested', 'approved', 'received')))
         order by t.until_at, t.order_id limit $3
        """,
        tx.cell,
        tx.now,
        most,
    )
    if not due:
        return 0
    found = await orders.locked_orders(tx, sorted(due))
    trials = await tx.rows(
        Trial,
        """
        select order_id, person_id, days, currency, lent_minor, covered_minor, kept_minor, state,
               placed_at, authorised_until, until_at, ended_at
          from returns.trial
         where cell = $1 and order_id = any($2::uuid[]) and state = 'trying'
         order by order_id for update
        """,
        tx.cell,
        due,
    )
    for one in trials:
        await _charge(tx, one, found[one.order_id][0])
    return len(trials)


async def _charge(tx: Tx, one: Trial, order: orders.Order) -> None:
    kept = one.lent_minor - one.covered_minor
    left, state = kept, "charged"
    held = [p for p in await payments.payments_of(tx, [order.id]) if p.is_secured]
    for payment in held:
        part = min(left, payment.authorised_minor - payment.captured_minor)
        if part > 0:
            answer = await payments.capture(
                tx, payment.id, part, instruction_id=uuid.uuid5(payment.id, "trial")
            )
            left -= 0 if isinstance(answer, Refusal) else part
    taken = kept - left
    if left:
        state = "failed"
    await _settle(tx, one, taken, left)
    if not taken:
        await payments.void(tx, [p.id for p in held])
    back = order.secured_minor - order.refunded_minor - kept
    if back > 0:
        await orders.note_returned(tx, [], {order.id: back})
    await tx.run(
        """
        update returns.trial set state = $3, kept_minor = $4, ended_at = $5
         where cell = $1 and order_id = $2
        """,
        tx.cell,
        one.order_id,
        state if kept else "ended",
        kept,
        tx.now,
    )
    tx.emit(
        TrialCharged(order_id=order.id, person_id=one.person_id, kept_minor=taken, owed_minor=left)
    )


async def _settle(tx: Tx, one: Trial, taken_minor: int, owed_minor: int) -> None:
    """The loan is paid by the capture; what could not be taken is owed."""
    parts = (
        Transfer(payments.deposits(one.currency), advances(one.currency), taken_minor),
        Transfer(receivable(one.currency), advances(one.currency), owed_minor),
    )
    real = tuple(t for t in parts if t.amount)
    if real:
        [posted] = await ledger.post(
            tx,
            [
                Journal(
                    document_kind="order",
                    document_id=one.order_id,
                    key="trial:ended",
                    reason="what was kept",
                    transfers=real,
                )
            ],
        )
        _sound(posted)


async def note_uncaptured(tx: Tx, failed: Sequence[tuple[uuid.UUID, uuid.UUID, int]]) -> int:
    """(order, instruction, amount) whose capture the provider refused: owed from now on."""
    rows = await tx.rows(
        Trial,
        """
        update returns.trial set state = 'failed'
         where cell = $1 and order_id = any($2::uuid[]) and state = 'charged'
        returning order_id, person_id, days, currency, lent_minor, covered_minor, kept_minor, state,
                  placed_at, authorised_until, until_at, ended_at
        """,
        tx.cell,
        [order_id for order_id, _, _ in failed],
    )
    currency = {r.order_id: r.currency for r in rows}
    mine = [f for f in failed if f[0] in currency]
    for answer in await ledger.post(
        tx,
        [
            Journal(
                document_kind="order",
                document_id=order_id,
                key=f"trial:failed:{instruction_id}",
                reason="the provider did not pay for what was kept",
                transfers=(
                    Transfer(
                        receivable(currency[order_id]),
                        payments.deposits(currency[order_id]),
                        amount,
                    ),
                ),
            )
            for order_id, instruction_id, amount in mine
        ],
    ):
        _sound(answer)
    return len(mine)
