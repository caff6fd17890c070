"""The rule of payments: what is known and one more word from the provider make what is known
then.

Pure. A word that came before, comes late or comes out of order changes nothing that a newer one
said: amounts only grow, a state only rises (``RANK``), a refund goes asked → done → failed.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from pinwheel.ground.ledger import Journal, Transfer
from pinwheel.kernel.events import Event
from pinwheel.trade.payments import model
from pinwheel.trade.payments.model import (
    CREDIT,
    Dispute,
    Instruction,
    InstructionGiven,
    Outcome,
    Payment,
    chargebacks,
    clearing,
    deposits,
    tender,
)

RANK = {
    "processing": 0,
    "unknown": 1,
    "needs_action": 2,
    "failed": 3,
    "authorised": 4,
    "voided": 5,
    "captured": 6,
}
PLAIN = frozenset({"pending", "unknown", "needs_action", "failed", "authorised", "captured"})
"""Words that touch the payment alone."""


SILENT = frozenset({"unknown", "pending", "needs_action"})
"""Words that answer no instruction."""


class Plan(msgspec.Struct):
    """What one call of ``record`` knows and will write."""

    now: dt.datetime
    payments: dict[uuid.UUID, Payment] = {}
    instructions: dict[uuid.UUID, Instruction] = {}
    disputes: dict[uuid.UUID, Dispute] = {}
    changed: dict[uuid.UUID, Payment] = {}
    written: dict[uuid.UUID, Instruction] = {}  # new or changed
    argued: dict[uuid.UUID, Dispute] = {}  # new or changed
    journals: list[Journal] = []
    releases: list[uuid.UUID] = []
    scans: list[Outcome] = []  # with a code to be shown
    events: list[Event] = []

    def of(self, payment: Payment, kind: str) -> list[Instruction]:
        found = self.instructions.values()
        return [i for i in found if i.payment_id == payment.id and i.kind == kind]


def needs_more(payment: Payment, outcome: Outcome) -> bool:
    """Does this word touch the payment's instructions or disputes?"""
    return (
        outcome.state not in PLAIN
        or outcome.instruction_id is not None
        or payment.kept_minor > 0
        or payment.is_unwanted
    )


def fold(plan: Plan, outcomes: Sequence[Outcome]) -> None:
    """Take in each outcome whose payment ``plan`` knows."""
    for outcome in outcomes:
        assert outcome.payment_id is not None
        payment = plan.payments[outcome.payment_id]
        if payment.provider in CREDIT and payment.state in ("failed", "voided"):
            continue  # in this house no means no: its hold was let go
        if outcome.provider_ref and not payment.provider_ref:
            payment.provider_ref = outcome.provider_ref
            plan.changed[payment.id] = payment
        _take_state(plan, payment, outcome)
        if outcome.state in ("refunded", "refund_failed"):
            _take_refund(plan, payment, outcome)
        elif outcome.state in ("disputed", "dispute_won", "dispute_lost"):
            _take_dispute(plan, payment, outcome)
        elif outcome.instruction_id is not None:
            _take_answer(plan, payment, outcome)
        if payment.is_unwanted:
            _give_back(plan, payment)


def _take_state(plan: Plan, payment: Payment, outcome: Outcome) -> None:
    before = payment.state, payment.authorised_minor, payment.captured_minor, payment.is_voided
    if outcome.captured_minor > payment.captured_minor:
        _take_capture(plan, payment, outcome.captured_minor)
    payment.authorised_minor = max(
        payment.authorised_minor, outcome.authorised_minor, payment.captured_minor
    )
    said: str = outcome.state
    if said == "voided":
        if payment.authorised_minor:
            payment.is_voided = True
        else:
            said = "failed"  # there was nothing to give back
    payment.state = _state(payment, said)
    if outcome.action_url and payment.state == "needs_action" and not payment.action_url:
        payment.action_url = outcome.action_url
        if outcome.scan_until is not None:
            payment.action_url = model.scan_path(payment.id)
            plan.scans.append(outcome)
        _tell(plan, payment, model.PaymentNeedsAction, url=payment.action_url)
        plan.changed[payment.id] = payment
    after = payment.state, payment.authorised_minor, payment.captured_minor, payment.is_voided
    if before == after:
        return
    plan.changed[payment.id] = payment
    if payment.state == "failed" and before[0] != "failed":
        payment.reason = outcome.reason or "canceled"
        _tell(plan, payment, model.PaymentFailed, reason=payment.reason)
        _let_go(plan, payment)
    if payment.is_voided and not before[3]:
        _let_go(plan, payment)
        if payment.state == "voided":
            _tell(plan, payment, model.PaymentVoided)
    _secure(plan, payment)


def _state(payment: Payment, said: str) -> str:
    if payment.captured_minor:
        return "captured"
    if payment.authorised_minor:
        return "voided" if payment.is_voided else "authorised"
    known = said in ("unknown", "needs_action", "failed")
    return max(payment.state, said, key=lambda s: RANK[s]) if known else payment.state


def _secure(plan: Plan, payment: Payment) -> None:
    """Tell once that the order may go on. Less than was asked for is of no use: it goes back."""
    if payment.is_secured or payment.is_unwanted or not payment.authorised_minor:
        return
    if payment.authorised_minor < payment.amount_minor:
        payment.is_unwanted, payment.reason = True, "partly_authorised"
        _tell(plan, payment, model.PaymentFailed, reason=payment.reason)
    elif payment.captured_minor >= payment.amount_minor or not payment.is_voided:
        payment.is_secured, payment.reason = True, ""
        plan.events.append(
            model.PaymentSecured(
                order_id=payment.order_id,
                payment_id=payment.id,
                amount_minor=payment.amount_minor,
                currency=payment.currency,
                captured=payment.captured_minor >= payment.amount_minor,
            )
        )


def _take_capture(plan: Plan, payment: Payment, captured: int) -> None:
    more = captured - payment.captured_minor
    payment.captured_minor = captured
    hold = None if payment.is_voided else payment.hold_id
    plan.journals.append(
        Journal(
            document_kind="order",
            document_id=payment.order_id,
            key=f"payment:{payment.id}:captured:{captured}",
            reason="payment captured",
            transfers=(
                Transfer(
                    tender(payment),
                    deposits(payment.currency),
                    more,
                    hold,
                    captured >= payment.amount_minor,
                ),
            ),
        )
    )
    if payment.is_secured:
        plan.events.append(
            model.PaymentCaptured(
                order_id=payment.order_id,
                payment_id=payment.id,
                amount_minor=more,
                currency=payment.currency,
            )
        )
    if payment.kept_minor:
        for refund in plan.of(payment, "refund"):
            if refund.state == "done" and not refund.is_posted:
                _post_refund(plan, payment, refund, kept=refund.amount_minor)


def _let_go(plan: Plan, payment: Payment) -> None:
    if payment.hold_id is not None:
        plan.releases.append(payment.hold_id)


def _take_answer(plan: Plan, payment: Payment, outcome: Outcome) -> None:
    """The answer to a capture or a void of ours."""
    assert outcome.instruction_id is not None
    mine = plan.instructions.get(outcome.instruction_id)
    if mine is None or mine.state != "asked" or outcome.state in SILENT:
        return
    failed = outcome.state in ("capture_failed", "void_failed")
    _end(plan, mine, "failed" if failed else "done", outcome)
    if outcome.state == "capture_failed":
        _tell(
            plan,
            payment,
            model.CaptureFailed,
            instruction_id=mine.id,
            amount_minor=mine.amount_minor,
            reason=outcome.reason,
        )


def _end(plan: Plan, instruction: Instruction, state: str, outcome: Outcome) -> None:
    instruction.state = state
    instruction.error = outcome.reason
    instruction.provider_ref = instruction.provider_ref or outcome.ref
    instruction.ended_at = plan.now
    plan.written[instruction.id] = instruction


def _take_refund(plan: Plan, payment: Payment, outcome: Outcome) -> None:
    refund = _refund_of(plan, payment, outcome)
    if refund.state == "failed" or (refund.state == "done" and outcome.state == "refunded"):
        return
    was_done, was_posted = refund.state == "done", refund.is_posted
    plan.instructions[refund.id] = refund
    if outcome.state == "refunded":
        _end(plan, refund, "done", outcome)
        _post_refund(plan, payment, refund)
        return
    _end(plan, refund, "failed", outcome)
    refund.is_posted = False
    if was_posted:  # it bounced after it had been paid
        payment.refunded_minor -= refund.amount_minor
        plan.journals.append(_refund_journal(payment, refund, back=True))
    elif was_done:
        payment.kept_minor -= refund.amount_minor
    plan.changed[payment.id] = payment
    plan.events.append(
        model.RefundFailed(
            order_id=payment.order_id,
            refund_id=refund.id,
            payment_id=payment.id,
            amount_minor=refund.amount_minor,
            currency=payment.currency,
            reason=outcome.reason,
        )
    )


def _refund_of(plan: Plan, payment: Payment, outcome: Outcome) -> Instruction:
    """The refund that is meant: ours by its id, or one that was made at the provider."""
    foreign = uuid.uuid5(payment.id, f"refund:{outcome.ref}")
    for key in (outcome.instruction_id, foreign):
        if key is not None and key in plan.instructions:
            return plan.instructions[key]
    for known in plan.of(payment, "refund"):
        if outcome.ref and known.provider_ref == outcome.ref:
            return known
    return Instruction(
        id=foreign,
        payment_id=payment.id,
        order_id=payment.order_id,
        kind="refund",
        amount_minor=outcome.amount_minor,
        currency=payment.currency,
        state="asked",
        reason="made at the provider",
        error="",
        provider_ref=outcome.ref,
        is_foreign=True,
        is_posted=False,
        created_at=plan.now,
        ended_at=None,
    )


def _post_refund(plan: Plan, payment: Payment, refund: Instruction, *, kept: int = 0) -> None:
    """Into the ledger, if the capture that it gives back is known; else it is kept until then."""
    plan.changed[payment.id] = payment
    if payment.refunded_minor + refund.amount_minor > payment.captured_minor:
        if not kept:
            payment.kept_minor += refund.amount_minor
        return
    payment.kept_minor -= kept
    payment.refunded_minor += refund.amount_minor
    refund.is_posted = True
    plan.written[refund.id] = refund
    plan.journals.append(_refund_journal(payment, refund))
    plan.events.append(
        model.RefundCompleted(
            order_id=payment.order_id,
            refund_id=refund.id,
            payment_id=payment.id,
            amount_minor=refund.amount_minor,
            currency=payment.currency,
        )
    )


def _refund_journal(payment: Payment, refund: Instruction, *, back: bool = False) -> Journal:
    account, hub = tender(payment), deposits(payment.currency)
    return Journal(
        document_kind="order",
        document_id=payment.order_id,
        key=f"payment:{payment.id}:{'bounced' if back else 'refund'}:{refund.id}",
        reason="refund bounced" if back else "refund paid",
        transfers=(
            Transfer(account, hub, refund.amount_minor)
            if back
            else Transfer(hub, account, refund.amount_minor),
        ),
    )


def _take_dispute(plan: Plan, payment: Payment, outcome: Outcome) -> None:
    key = uuid.uuid5(payment.id, f"dispute:{outcome.ref}")
    closed = outcome.state != "disputed"
    found = plan.disputes.get(key)
    if found is not None and (not closed or found.state != "open"):
        return
    if found is None:
        found = plan.disputes[key] = Dispute(
            id=key,
            payment_id=payment.id,
            order_id=payment.order_id,
            provider_ref=outcome.ref,
            amount_minor=outcome.amount_minor,
            currency=payment.currency,
            state="open",
            opened_at=plan.now,
            closed_at=None,
        )
        payment.disputed_minor += found.amount_minor
        _argue(plan, payment, found, "opened")
    if closed:
        found.state = "won" if outcome.state == "dispute_won" else "lost"
        found.closed_at = plan.now
        if found.state == "won":
            payment.won_minor += found.amount_minor
        _argue(plan, payment, found, found.state)
    plan.argued[key] = found
    plan.changed[payment.id] = payment


def _argue(plan: Plan, payment: Payment, dispute: Dispute, step: str) -> None:
    """The ledger's side of a chargeback, and its news."""
    expense, there = (
        chargebacks(payment.currency),
        clearing(payment.provider, payment.currency),
    )
    moves = {"opened": (expense, there), "won": (there, expense)}
    if step in moves:
        plan.journals.append(
            Journal(
                document_kind="order",
                document_id=payment.order_id,
                key=f"payment:{payment.id}:dispute:{dispute.id}:{step}",
                reason=f"chargeback {step}",
                transfers=(Transfer(*moves[step], dispute.amount_minor),),
            )
        )
    about: dict[str, Any] = {
        "order_id": payment.order_id,
        "payment_id": payment.id,
        "dispute_id": dispute.id,
        "amount_minor": dispute.amount_minor,
        "currency": payment.currency,
    }
    if step == "opened":
        plan.events.append(model.PaymentDisputed(**about))
    else:
        plan.events.append(model.DisputeClosed(won=step == "won", **about))


def refundable(plan: Plan, payment: Payment) -> int:
    """What can still be refunded: captured, less refunds done or on their way, less chargebacks
    that were not won."""
    promised = sum(r.amount_minor for r in plan.of(payment, "refund") if r.state != "failed")
    lost = payment.disputed_minor - payment.won_minor
    return max(0, payment.captured_minor - promised - lost)


def instruct(
    plan: Plan, payment: Payment, key: uuid.UUID, kind: str, amount: int, reason: str
) -> Instruction:
    """Write an instruction down and have it sent."""
    mine = Instruction(
        id=key,
        payment_id=payment.id,
        order_id=payment.order_id,
        kind=kind,
        amount_minor=amount,
        currency=payment.currency,
        state="asked",
        reason=reason,
        error="",
        provider_ref="",
        is_foreign=False,
        is_posted=False,
        created_at=plan.now,
        ended_at=None,
    )
    plan.instructions[key] = plan.written[key] = mine
    plan.events.append(
        InstructionGiven(order_id=payment.order_id, payment_id=payment.id, instruction_id=key)
    )
    return mine


def _give_back(plan: Plan, payment: Payment) -> None:
    """Nobody wants this money: refund what was taken, let go of what was reserved. One that the
    provider refused is left to a person."""
    refunds, voids = plan.of(payment, "refund"), plan.of(payment, "void")
    left = refundable(plan, payment)
    if left and not any(r.state == "failed" for r in refunds):
        key = uuid.uuid5(payment.id, f"unwanted:{len(refunds)}")
        instruct(plan, payment, key, "refund", left, "unwanted")
    open_part = payment.authorised_minor > payment.captured_minor and not payment.is_voided
    if open_part and not voids:
        instruct(plan, payment, uuid.uuid5(payment.id, "void"), "void", 0, "unwanted")


def _tell(plan: Plan, payment: Payment, kind: type[Event], **facts: Any) -> None:
    plan.events.append(kind(order_id=payment.order_id, payment_id=payment.id, **facts))
