"""What follows for the stages from a change of the price rules."""

from __future__ import annotations

from collections.abc import Sequence

from pinwheel.kernel.db import Tx
from pinwheel.kernel.events import during
from pinwheel.trade.orders.revising import revise
from pinwheel.trade.pricing import PriceRulesChanged


@during(PriceRulesChanged)
async def read_rules_anew(tx: Tx, events: Sequence[PriceRulesChanged]) -> None:
    """Every process reads the rules anew from the moment on in which they changed."""
    await revise(tx)
