"""Store credit as a tender: the person's own account, held when a payment starts.

It is a provider whose books are the ledger: it always answers, and it needs no network."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import cast

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Account, Hold, Journal, Transfer
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade.payments.model import (
    Delivery,
    NewPayment,
    Notice,
    Outcome,
    Payment,
    SettlementRow,
    Step,
    StoreCreditTooLow,
    WebhookRefused,
    deposits,
    store_credit,
)


class OwnBooks:
    """The provider inside (store credit, gift cards): what was held at the start is what it has
    authorised."""

    holds_days = 3650  # a hold in our own books

    def __init__(self, name: str) -> None:
        self.name = name

    async def authorise(self, payments: Sequence[Payment]) -> list[Outcome]:
        return [
            Outcome(
                payment_id=p.id,
                state="captured" if p.captures_at_once else "authorised",
                authorised_minor=p.amount_minor,
                captured_minor=p.amount_minor if p.captures_at_once else 0,
            )
            for p in payments
        ]

    async def capture(self, steps: Sequence[Step]) -> list[Outcome]:
        return [
            Outcome(
                payment_id=s.payment.id,
                state="captured",
                authorised_minor=s.payment.amount_minor,
                captured_minor=s.total_minor,
                instruction_id=s.instruction.id,
            )
            for s in steps
        ]

    async def void(self, payments: Sequence[Payment]) -> list[Outcome]:
        return [
            Outcome(
                payment_id=p.id,
                state="voided",
                authorised_minor=p.authorised_minor,
                captured_minor=p.captured_minor,
            )
            for p in payments
        ]

    async def refund(self, steps: Sequence[Step]) -> list[Outcome]:
        return [
            Outcome(
                payment_id=s.payment.id,
                state="refunded",
                amount_minor=s.instruction.amount_minor,
                instruction_id=s.instruction.id,
            )
            for s in steps
        ]

    async def look_up(self, payments: Sequence[Payment]) -> list[Outcome]:
        return await self.authorise(payments)

    async def parse_webhook(self, delivery: Delivery, now: dt.datetime) -> list[Notice]:
        raise WebhookRefused()

    async def settlement_rows(self, day: dt.date) -> list[SettlementRow]:
        return []


async def hold_credit(
    tx: Tx, payments: Sequence[NewPayment]
) -> dict[uuid.UUID, uuid.UUID | Refusal]:
    """Hold each payment's amount on the payer's account: the hold, or why not."""
    answers = await ledger.hold(
        tx,
        [
            Hold(
                document_kind="order",
                document_id=p.order_id,
                key=f"payment:{p.id}",
                debit=store_credit(cast(uuid.UUID, p.person_id), p.currency),
                credit=deposits(p.currency),
                amount=p.amount_minor,
            )
            for p in payments
        ],
    )
    found: dict[uuid.UUID, uuid.UUID | Refusal] = {}
    for payment, answer in zip(payments, answers, strict=True):
        if isinstance(answer, ledger.Held):
            found[payment.id] = answer.hold_id
        elif isinstance(answer, ledger.Insufficient):
            found[payment.id] = StoreCreditTooLow(
                left=answer.facts["left"], asked=payment.amount_minor, currency=payment.currency
            )
        else:
            found[payment.id] = answer
    return found


async def grant_store_credit(
    tx: Tx,
    person_id: uuid.UUID,
    amount_minor: int,
    currency: str,
    *,
    source: Account,
    document_kind: str,
    document_id: uuid.UUID,
    key: str,
    reason: str,
) -> None:
    """Put ``amount_minor`` on a person's store credit, out of ``source`` (an expense for
    goodwill, a gift card's account, ``deposits`` for a refund kept here); once per (document,
    key)."""
    transfer = Transfer(source, store_credit(person_id, currency), amount_minor)
    (answer,) = await ledger.post(
        tx,
        [
            Journal(
                document_kind=document_kind,
                document_id=document_id,
                key=key,
                reason=reason,
                transfers=(transfer,),
            )
        ],
    )
    if isinstance(answer, Refusal):
        raise answer
