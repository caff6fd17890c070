"""What follows for exchanges: the parcel that came, the payment, every deadline."""

from __future__ import annotations

from collections.abc import Sequence

from pinwheel.kernel.db import Tx
from pinwheel.kernel.events import after, during, every
from pinwheel.trade.inventory import NodeClosed
from pinwheel.trade.orders import PaidFurther
from pinwheel.trade.payments import PaymentFailed
from pinwheel.trade.returns.exchanging import (
    end_declined,
    end_exchanges,
    end_overdue,
    hold_elsewhere,
    note_paid,
    release,
)
from pinwheel.trade.returns.model import ReturnClosed, ReturnReceived


@during(ReturnReceived)
async def let_replacements_go(tx: Tx, events: Sequence[ReturnReceived]) -> None:
    """The old piece is here: its replacement may be sent."""
    await release(tx, [event.return_id for event in events])


@during(ReturnClosed)
async def end_without_goods(tx: Tx, events: Sequence[ReturnClosed]) -> None:
    """The return is off: so is the exchange."""
    await end_exchanges(tx, [(event.return_id, event.state) for event in events])


@during(PaidFurther)
async def note_differences(tx: Tx, events: Sequence[PaidFurther]) -> None:
    """A difference was paid."""
    await note_paid(tx, {event.order_id for event in events})


@during(PaymentFailed)
async def end_unpaid_exchanges(tx: Tx, events: Sequence[PaymentFailed]) -> None:
    """A difference was declined: nothing is exchanged."""
    await end_declined(tx, [event.payment_id for event in events])


@every(seconds=60)
async def end_late_exchanges(tx: Tx) -> None:
    """The difference was not paid, or the old piece did not come in time."""
    await end_overdue(tx)


@after(NodeClosed)
async def hold_replacements_elsewhere(tx: Tx, events: Sequence[NodeClosed]) -> None:
    """A node stopped: what it held for exchanges is held elsewhere, or is a refund."""
    for event in events:
        await hold_elsewhere(tx, event.node)
