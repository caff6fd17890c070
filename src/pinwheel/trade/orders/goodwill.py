"""Money that the shop gives back of its own free will, without goods coming back."""

from __future__ import annotations

import uuid
from functools import lru_cache

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Account, Journal, Transfer
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Invalid, Refusal
from pinwheel.trade import payments
from pinwheel.trade.orders.actions import give_money_back, locked


@lru_cache(maxsize=64)
def goodwill(currency: str) -> Account:
    """What kindness costs: an expense."""
    return Account(f"goodwill:{currency}", ledger.money(currency))


async def give_goodwill(
    tx: Tx, order_id: uuid.UUID, amount_minor: int, reason: str, *, gift_id: uuid.UUID
) -> bool:
    """Refund ``amount_minor`` of an order as goodwill; False when this ``gift_id`` was given
    before. Income and goods stay as they are: it is an expense of its own.

    Refuses ``RefundTooLarge`` (what was paid and not given back yet), ``Invalid``, ``NotFound``.
    """
    order, _ = await locked(tx, order_id)
    if amount_minor <= 0:
        raise Invalid("amount", "an amount must be positive", "金额必须为正")
    if not reason.strip():
        raise Invalid("reason", "say why", "请填写原因")
    [posted] = await ledger.post(
        tx,
        [
            Journal(
                document_kind="order",
                document_id=order.id,
                key=f"goodwill:{gift_id}",
                reason=f"goodwill: {reason}",
                transfers=(
                    Transfer(
                        goodwill(order.currency), payments.deposits(order.currency), amount_minor
                    ),
                ),
            )
        ],
    )
    if isinstance(posted, Refusal):
        raise posted
    if not posted.fresh:
        return False
    left = await payments.refundable_of(tx, order.id)
    if amount_minor > left:
        raise payments.RefundTooLarge(left=left, asked=amount_minor, currency=order.currency)
    await give_money_back(tx, order, amount_minor, reason)
    return True
