"""The statements and journals that write exchanges."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Journal, Transfer
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade import orders, payments
from pinwheel.trade.orders import Order
from pinwheel.trade.returns.exchanges import Exchange
from pinwheel.trade.returns.model import Return, withheld
from pinwheel.trade.returns.refunding import Owing, refund


async def give_back(
    tx: Tx,
    order: Order,
    refund_id: uuid.UUID,
    amount_minor: int,
    number: str,
    payment_id: uuid.UUID | None = None,
) -> None:
    """Refund a part of the order, of one payment where it is named. What the buyer's bank has
    taken back already is not sent again: it stays withheld."""
    if not amount_minor:
        return
    reason = f"exchange {number}"
    refused: Refusal | None
    if payment_id is not None:
        new = payments.NewRefund(
            id=refund_id, payment_id=payment_id, amount_minor=amount_minor, reason=reason
        )
        [answer] = await payments.refund(tx, [new])
        refused = answer if isinstance(answer, Refusal) else None
    else:
        owing = Owing(refund_id, order.id, amount_minor, reason)
        refused = (await refund(tx, [owing])).get(refund_id)
    if refused is None:
        await orders.note_returned(tx, [], {order.id: amount_minor})
        return
    kept = Transfer(payments.deposits(order.currency), withheld(order.currency), amount_minor)
    [posted] = await ledger.post(
        tx,
        [
            Journal(
                document_kind="order",
                document_id=order.id,
                key=f"exchange:{refund_id}:withheld",
                reason="not refunded: the bank has it",
                transfers=(kept,),
            )
        ],
    )
    if isinstance(posted, Refusal):
        raise posted


async def post(tx: Tx, ret: Return, key: str, reason: str, *transfers: Transfer) -> None:
    real = tuple(t for t in transfers if t.amount)
    if not real:
        return
    [posted] = await ledger.post(
        tx,
        [
            Journal(
                document_kind="order",
                document_id=ret.order_id,
                key=f"return:{ret.id}:{key}",
                reason=reason,
                transfers=real,
            )
        ],
    )
    if isinstance(posted, Refusal):
        raise posted


async def open_of(tx: Tx, return_ids: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    return await tx.values(
        """
        select return_id from returns.exchange
         where cell = $1 and return_id = any($2::uuid[]) and state in ('unpaid', 'waiting')
        """,
        tx.cell,
        list(return_ids),
    )


async def insert(tx: Tx, one: Exchange) -> None:
    await tx.run(
        """
        insert into returns.exchange (cell, return_id, order_id, line, offer_id, seller_id,
               variant_id, sku, title, node, hold_id, quantity, unit_price_minor, pay_minor,
               total_minor, payment_id, is_trusted, state, asked_at, until_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb, $10, $11, $12, $13, $14, $15, $16, $17,
                $18, $19, $20)
        """,
        tx.cell,
        one.return_id,
        one.order_id,
        one.line,
        one.offer_id,
        one.seller_id,
        one.variant_id,
        one.sku,
        one.title,
        one.node,
        one.hold_id,
        one.quantity,
        one.unit_price_minor,
        one.pay_minor,
        one.total_minor,
        one.payment_id,
        one.is_trusted,
        one.state,
        one.asked_at,
        one.until_at,
    )


async def update(tx: Tx, one: Exchange) -> None:
    await tx.run(
        """
        update returns.exchange
           set node = $3, hold_id = $4, quantity = $5, back_minor = $6, total_minor = $7,
               state = $8, why = $9, new_line = $10, until_at = $11, ended_at = $12
         where cell = $1 and return_id = $2
        """,
        tx.cell,
        one.return_id,
        one.node,
        one.hold_id,
        one.quantity,
        one.back_minor,
        one.total_minor,
        one.state,
        one.why,
        one.new_line,
        one.until_at,
        one.ended_at,
    )
