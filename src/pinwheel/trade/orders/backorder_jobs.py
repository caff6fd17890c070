"""The clock of what was sold before it was here."""

from __future__ import annotations

from pinwheel.kernel.db import Tx
from pinwheel.kernel.events import every
from pinwheel.trade.orders.backorders import end_late_backorders, follow_backorders


@every(seconds=300)
async def keep_backorders(tx: Tx) -> None:
    """Who waits for what; who is told; what is paid back."""
    await follow_backorders(tx)
    await end_late_backorders(tx)
