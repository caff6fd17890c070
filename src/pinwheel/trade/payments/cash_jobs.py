"""What follows for cash: orders that nobody paid at a counter in time end."""

from __future__ import annotations

from pinwheel.kernel.db import Tx
from pinwheel.kernel.events import every
from pinwheel.trade.payments.actions import record
from pinwheel.trade.payments.cash_taking import cash_overdue


@every(seconds=30)
async def end_unpaid_cash(tx: Tx) -> None:
    """Past the deadline: the payment has failed, the order ends, its stock goes back."""
    ended = await cash_overdue(tx)
    if ended:
        await record(tx, ended)
