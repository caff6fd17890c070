"""What follows for subsidies."""

from __future__ import annotations

from collections.abc import Sequence

from pinwheel.ground.identity import PersonErased
from pinwheel.growth.subsidy.actions import forget
from pinwheel.kernel.db import Tx
from pinwheel.kernel.events import during


@during(PersonErased)
async def forget_evidence(tx: Tx, events: Sequence[PersonErased]) -> None:
    """Links and pictures that a buyer sent go with them."""
    await forget(tx, [event.person_id for event in events])
