"""What follows for gift cards from what happens to orders."""

from __future__ import annotations

from collections.abc import Sequence

from pinwheel.kernel.db import Tx
from pinwheel.kernel.events import after, during
from pinwheel.trade.giftcards.selling import issue_sent, send_cards, take_returned
from pinwheel.trade.orders import LinesReturned, OrderPlaced, OrderShipped

LATER_SECONDS = 300


@during(OrderShipped)
async def issue_cards(tx: Tx, events: Sequence[OrderShipped]) -> None:
    """Sent: in the same transaction the income becomes what the cards are worth."""
    await issue_sent(tx, sorted({e.order_id for e in events}))


@after(OrderPlaced)
async def send_placed_cards(tx: Tx, events: Sequence[OrderPlaced]) -> None:
    """Paid: cards go out at once; those of an order that still waits, later."""
    for event in events:
        if not await send_cards(tx, event.order_id):
            tx.later(send_placed_cards, event, at=tx.later_than(LATER_SECONDS))


@during(LinesReturned)
async def end_returned_cards(tx: Tx, events: Sequence[LinesReturned]) -> None:
    for event in events:
        await take_returned(tx, event.order_id, event.lines)
