"""Money back by the list: one call for orders paid by one tender, by policy for others."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade import payments


class Owing(msgspec.Struct, frozen=True):
    """``amount_minor`` of an order's money is to go back; ``id`` names this refund once."""

    id: uuid.UUID
    order_id: uuid.UUID
    amount_minor: int
    reason: str


async def refund(tx: Tx, owing: Sequence[Owing]) -> dict[uuid.UUID, Refusal]:
    """Ask for each refund; who is refused, by id. Nothing is asked for a refused one. 5 statements
    whatever the length, where orders have one tender."""
    wanted = [one for one in owing if one.amount_minor > 0]
    if not wanted:
        return {}
    tenders: dict[uuid.UUID, list[payments.Payment]] = {}
    for payment in await payments.payments_of(tx, sorted({one.order_id for one in wanted})):
        if payment.is_secured:
            tenders.setdefault(payment.order_id, []).append(payment)
    single = [one for one in wanted if len(tenders.get(one.order_id, ())) == 1]
    refused: dict[uuid.UUID, Refusal] = {}
    answers = await payments.refund(
        tx,
        [
            payments.NewRefund(
                id=one.id,
                payment_id=tenders[one.order_id][0].id,
                amount_minor=one.amount_minor,
                reason=one.reason,
            )
            for one in single
        ],
    )
    for one, answer in zip(single, answers, strict=True):
        if isinstance(answer, Refusal):
            refused[one.id] = answer
    for one in wanted:
        if len(tenders.get(one.order_id, ())) != 1:
            split = await payments.refund_order(tx, one.order_id, one.amount_minor, one.reason)
            if isinstance(split, Refusal):
                refused[one.id] = split
    return refused
