"""Cash at a counter as a tender: the order waits with a code until a clerk has taken the money.

It is a provider without a network: it waits, and what a clerk enters is what it says."""

from __future__ import annotations

from collections.abc import Sequence

from pinwheel.trade.payments.model import (
    CASH,
    Outcome,
    Payment,
    Step,
)
from pinwheel.trade.payments.store_credit import OwnBooks


class Cash(OwnBooks):
    """The counter. A payment waits (``needs_action``) until its deadline or a clerk ends it; a
    refund is done when it stands ready for the buyer (``cash_owed``)."""

    holds_days = 0  # nothing is held: it is paid at the counter or not at all

    def __init__(self) -> None:
        super().__init__(CASH)

    async def authorise(self, payments: Sequence[Payment]) -> list[Outcome]:
        return [Outcome(payment_id=p.id, state="needs_action") for p in payments]

    async def capture(self, steps: Sequence[Step]) -> list[Outcome]:
        """Cash is taken whole or not at all: there is never a rest to take."""
        return [
            Outcome(
                payment_id=s.payment.id,
                state="capture_failed",
                instruction_id=s.instruction.id,
                reason="cash is taken at a counter",
            )
            for s in steps
        ]

    async def look_up(self, payments: Sequence[Payment]) -> list[Outcome]:
        return await self.authorise([p for p in payments if p.state in ("processing", "unknown")])
