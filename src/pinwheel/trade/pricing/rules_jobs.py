"""Prices that follow competitors, by the clock."""

from __future__ import annotations

from pinwheel.kernel.db import Tx
from pinwheel.kernel.events import every
from pinwheel.trade.pricing.rules_competition import propose, repricings


@every(seconds=900)
async def follow_competitors(tx: Tx) -> None:
    """Every quarter of an hour: what competitors ask now, as each rule reads it."""
    for one in await repricings(tx, active_only=True):
        await propose(tx, one)
