"""What follows for pictures: erasure, and the end of files that nobody shows."""

from __future__ import annotations

from collections.abc import Sequence

from pinwheel.ground.identity import PersonErased
from pinwheel.ground.media.actions import forget_owners, sweep, sweep_strays
from pinwheel.kernel.db import Tx
from pinwheel.kernel.events import during, every


@during(PersonErased)
async def forget_pictures(tx: Tx, events: Sequence[PersonErased]) -> None:
    """At once no longer shown; the files follow within the hour."""
    await forget_owners(tx, [event.person_id for event in events])


@every(seconds=3600)
async def sweep_pictures(tx: Tx) -> None:
    await sweep(tx)
    await sweep_strays(tx)
