"""What follows for budgets from what happens to orders."""

from __future__ import annotations

from collections.abc import Sequence

from pinwheel.kernel.db import Tx
from pinwheel.kernel.events import after
from pinwheel.trade.orders.budget_settling import settle
from pinwheel.trade.orders.model import (
    LinesCancelled,
    LinesReturned,
    OrderCancelled,
    OrderPlaced,
)


@after(OrderPlaced, OrderCancelled, LinesCancelled, LinesReturned)
async def settle_budgets(
    tx: Tx, events: Sequence[OrderPlaced | OrderCancelled | LinesCancelled | LinesReturned]
) -> None:
    """Placed: what was reserved is spent. Cancelled or returned: its share goes back."""
    await settle(tx, [event.order_id for event in events])
