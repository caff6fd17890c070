"""What follows for orders from what happens to payments, holds and nodes."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from pinwheel.ground import identity
from pinwheel.kernel.db import Tx
from pinwheel.kernel.events import after, during, every
from pinwheel.trade.inventory import NodeClosed
from pinwheel.trade.orders import privacy
from pinwheel.trade.orders.actions import confirm, give_up, waiting_too_long
from pinwheel.trade.orders.fulfil import locked_orders
from pinwheel.trade.orders.model import (
    OrderPlaced,
)
from pinwheel.trade.orders.resourcing import source_again
from pinwheel.trade.payments import CashOrderEnded, CashTaken, PaymentFailed, PaymentSecured


@during(PaymentSecured)
async def place_secured(tx: Tx, events: Sequence[PaymentSecured]) -> None:
    """Paid: the order is placed in the transaction that recorded the payment."""
    secured: dict[uuid.UUID, int] = {}
    for event in events:
        secured[event.order_id] = secured.get(event.order_id, 0) + event.amount_minor
    await confirm(tx, secured)


@during(PaymentFailed)
async def end_unpaid(tx: Tx, events: Sequence[PaymentFailed]) -> None:
    """Declined: the stock goes back in the same transaction."""
    await give_up(tx, sorted({event.order_id for event in events}))


@during(CashTaken)
async def refuse_late_cash(tx: Tx, events: Sequence[CashTaken]) -> None:
    """The clerk is still at the counter: cash for goods that are gone is not taken, and with this
    refusal nothing of it was."""
    orders = await locked_orders(tx, sorted({event.order_id for event in events}))
    for order, _ in orders.values():
        if order.state == "cancelled":
            raise CashOrderEnded(why=order.cancel_reason or "")


@every(seconds=10)
async def end_waiting(tx: Tx) -> None:
    """The payment did not come in time: the order ends, and its stock goes back."""
    await give_up(tx, await waiting_too_long(tx))


@after(NodeClosed)
async def source_elsewhere(tx: Tx, events: Sequence[NodeClosed]) -> None:
    """A node stopped: its open lines are sourced from the others."""
    for event in events:
        await source_again(tx, event.node)


@after(OrderPlaced)
async def keep_guests(tx: Tx, events: Sequence[OrderPlaced]) -> None:
    """A guest with an order is not forgotten by the clock."""
    people = sorted({e.person_id for e in events if e.person_id is not None})
    if people:
        await identity.keep(tx, people)


@during(identity.GuestJoined)
async def join_orders(tx: Tx, events: Sequence[identity.GuestJoined]) -> None:
    """A guest's orders move to the account they signed in to."""
    for event in events:
        await privacy.join(tx, event.guest_id, event.person_id)


@during(identity.PersonErased)
async def forget_buyers(tx: Tx, events: Sequence[identity.PersonErased]) -> None:
    """Contact and address go with the person; the figures stay in the books."""
    await privacy.forget(tx, [event.person_id for event in events])
