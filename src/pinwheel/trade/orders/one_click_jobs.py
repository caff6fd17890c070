"""What follows for one-click ordering when people go, and by the clock."""

from __future__ import annotations

from collections.abc import Sequence

from pinwheel.ground.identity import PersonErased
from pinwheel.kernel.db import Tx
from pinwheel.kernel.events import during, every
from pinwheel.trade.orders.one_click_actions import forget, forget_taps


@during(PersonErased)
async def forget_consent(tx: Tx, events: Sequence[PersonErased]) -> None:
    """Whoever is erased has agreed to nothing any more."""
    await forget(tx, [event.person_id for event in events])


@every(seconds=3600)
async def forget_old_taps(tx: Tx) -> None:
    """Taps that no limit counts any more."""
    await forget_taps(tx)
