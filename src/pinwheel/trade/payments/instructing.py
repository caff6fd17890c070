"""Capture, void, refund: each writes an instruction down; a job sends it after the commit.

A refund of an order goes back the way the money came (in the EU the law says so: Directive
2011/83/EU, article 13, the same means of payment unless the buyer agrees otherwise), never more on
a tender than it paid. Where several tenders paid, a part refund goes to the tenders that are money
first (a provider's, cash), the last one charged first, and to those that are the shop's credit last
(gift cards, store credit; again the last one charged first): money before credit, because money is
of use everywhere. What a gift card paid goes back to that card and nowhere else, so nobody can turn
credit into money by ordering and cancelling."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence

from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Invalid, NotFound, Refusal
from pinwheel.trade.payments.actions import know_more, locked, write
from pinwheel.trade.payments.cards import holds_card_number
from pinwheel.trade.payments.fold import Plan, instruct, refundable
from pinwheel.trade.payments.model import (
    CREDIT,
    OPEN,
    CaptureTooLarge,
    CardNumberRefused,
    Instruction,
    NewRefund,
    Payment,
    PaymentIdReused,
    Refund,
    RefundTooLarge,
)


async def capture(
    tx: Tx, payment_id: uuid.UUID, amount_minor: int, *, instruction_id: uuid.UUID | None = None
) -> Instruction | Refusal:
    """Take ``amount_minor`` of what is authorised; as often as there is something left.

    ``instruction_id`` makes a repeat harmless. Refuses ``CaptureTooLarge``."""
    plan = await _known(tx, [payment_id])
    payment = plan.payments.get(payment_id)
    if payment is None:
        return NotFound(what="payment")
    key = instruction_id or tx.new_id()
    if key in plan.instructions:
        return _repeated(plan.instructions[key], payment_id, amount_minor)
    asked = sum(i.amount_minor for i in plan.of(payment, "capture") if i.state == "asked")
    ended = payment.is_voided or payment.is_unwanted or plan.of(payment, "void")
    left = 0 if ended else payment.authorised_minor - payment.captured_minor - asked
    if not 0 < amount_minor <= left:
        return CaptureTooLarge(left=max(0, left), asked=amount_minor, currency=payment.currency)
    given = instruct(plan, payment, key, "capture", amount_minor, "capture")
    await write(tx, plan)
    return given


async def void(tx: Tx, payment_ids: Iterable[uuid.UUID]) -> list[Instruction]:
    """Give back what is authorised and not captured, and give up what is still under way.

    When nothing was captured or asked to be, nobody wants the money any more: what should come
    in late is refunded without being asked for. Payments that have ended are left alone."""
    plan = await _known(tx, payment_ids)
    given = [v for p in plan.payments.values() if (v := _void(tx, plan, p)) is not None]
    await write(tx, plan)
    return given


def _void(tx: Tx, plan: Plan, payment: Payment) -> Instruction | None:
    waits = payment.state in OPEN
    rest = payment.authorised_minor > payment.captured_minor and not payment.is_voided
    if not (waits or rest) or any(v.state == "asked" for v in plan.of(payment, "void")):
        return None
    captures = any(i.state != "failed" for i in plan.of(payment, "capture"))
    if not payment.captured_minor and not captures:
        payment.is_unwanted = True
        plan.changed[payment.id] = payment
    return instruct(plan, payment, tx.new_id(), "void", 0, "void")


async def refund(tx: Tx, refunds: Sequence[NewRefund]) -> list[Refund | Refusal]:
    """Give back ``amount_minor`` of each payment. Four statements for any number.

    Refuses ``RefundTooLarge`` (captured, less what was given back or is on its way, less
    chargebacks), ``NotFound``. A repeated id answers with the first refund."""
    plan = await _known(tx, [r.payment_id for r in refunds])
    answers: list[Refund | Refusal] = []
    for new in refunds:
        payment = plan.payments.get(new.payment_id)
        if payment is None:
            answers.append(NotFound(what="payment"))
        elif new.id in plan.instructions:
            answers.append(_repeated(plan.instructions[new.id], new.payment_id, new.amount_minor))
        else:
            answers.append(_refund(plan, payment, new))
    await write(tx, plan)
    return answers


def _refund(plan: Plan, payment: Payment, new: NewRefund) -> Refund | Refusal:
    if holds_card_number(new.reason):
        return CardNumberRefused(where="reason")
    if new.amount_minor <= 0:
        return Invalid("amount_minor", "an amount must be positive", "金额必须为正")
    left = refundable(plan, payment)
    if new.amount_minor > left:
        return RefundTooLarge(left=left, asked=new.amount_minor, currency=payment.currency)
    return instruct(plan, payment, new.id, "refund", new.amount_minor, new.reason)


async def refund_order(
    tx: Tx, order_id: uuid.UUID, amount_minor: int, reason: str
) -> list[Refund] | Refusal:
    """Refund exactly ``amount_minor`` over the order's tenders, by the policy of this module.

    Two at once wait for each other. Refuses ``RefundTooLarge``, ``Invalid``."""
    if holds_card_number(reason):
        return CardNumberRefused(where="reason")
    if amount_minor <= 0:
        return Invalid("amount_minor", "an amount must be positive", "金额必须为正")
    plan = await _known(tx, await _ids_of(tx, order_id))
    payments = sorted(plan.payments.values(), key=_refunded_first)
    room = {p.id: refundable(plan, p) for p in payments}
    if amount_minor > sum(room.values()):
        currency = payments[0].currency if payments else ""
        return RefundTooLarge(left=sum(room.values()), asked=amount_minor, currency=currency)
    left, given = amount_minor, list[Refund]()
    for payment in payments:
        part = min(left, room[payment.id])
        if part:
            given.append(instruct(plan, payment, tx.new_id(), "refund", part, reason))
            left -= part
    await write(tx, plan)
    return given


def _refunded_first(payment: Payment) -> tuple[bool, int, uuid.UUID]:
    """Credit last; within either kind the last one charged first."""
    return payment.provider in CREDIT, -payment.tender_order, payment.id


async def refund_all(tx: Tx, order_id: uuid.UUID, reason: str) -> list[Instruction]:
    """The order is off: give back everything, whatever state it is in, and whatever may still
    come. Safe to repeat."""
    plan = await _known(tx, await _ids_of(tx, order_id))
    given: list[Instruction] = []
    for payment in plan.payments.values():
        if not payment.is_unwanted:
            payment.is_unwanted = True
            plan.changed[payment.id] = payment
        left = refundable(plan, payment)
        if left:
            given.append(instruct(plan, payment, tx.new_id(), "refund", left, reason))
        if (voided := _void(tx, plan, payment)) is not None:
            given.append(voided)
    await write(tx, plan)
    return given


async def retry_refund(tx: Tx, refund_id: uuid.UUID) -> Refund | Refusal:
    """Ask again for a refund that the provider refused (the buyer has given another account, or
    the bank has recovered): a new refund of the same amount."""
    payment_id = await tx.value(
        "select payment_id from payments.instruction"
        " where cell = $1 and id = $2 and kind = 'refund' and state = 'failed'",
        tx.cell,
        refund_id,
    )
    if payment_id is None:
        return NotFound(what="refund")
    plan = await _known(tx, [payment_id])
    failed, payment = plan.instructions[refund_id], plan.payments[payment_id]
    again = NewRefund(
        id=uuid.uuid5(refund_id, "again"),
        payment_id=payment_id,
        amount_minor=failed.amount_minor,
        reason=failed.reason,
    )
    if again.id in plan.instructions:
        return plan.instructions[again.id]
    answer = _refund(plan, payment, again)
    if isinstance(answer, Instruction):
        answer.retries = refund_id
    await write(tx, plan)
    return answer


async def _known(tx: Tx, payment_ids: Iterable[uuid.UUID]) -> Plan:
    """The payments under lock with all that was done to them."""
    ids = sorted(set(payment_ids))
    plan = Plan(now=tx.now, payments=await locked(tx, ids))
    if plan.payments:
        await know_more(tx, plan, plan.payments)
    return plan


async def _ids_of(tx: Tx, order_id: uuid.UUID) -> list[uuid.UUID]:
    return await tx.values(
        "select id from payments.payment where cell = $1 and order_id = $2 order by id",
        tx.cell,
        order_id,
    )


def _repeated(
    known: Instruction, payment_id: uuid.UUID, amount_minor: int
) -> Instruction | Refusal:
    if known.payment_id == payment_id and known.amount_minor == amount_minor:
        return known
    return PaymentIdReused(payment_id=known.id)
