"""What follows for returns: deadlines, and people who are forgotten."""

from __future__ import annotations

from collections.abc import Sequence

from pinwheel.ground.identity import GuestJoined, PersonErased
from pinwheel.kernel.db import Tx
from pinwheel.kernel.events import during, every
from pinwheel.trade.returns.receiving import expire, forget, join, list_overdue


@every(seconds=600)
async def end_unsent(tx: Tx) -> None:
    """Approved returns whose parcel never came."""
    await expire(tx)


@every(seconds=600)
async def list_ungraded(tx: Tx) -> None:
    """Received returns past their days to be graded."""
    await list_overdue(tx)


@during(GuestJoined)
async def join_returns(tx: Tx, events: Sequence[GuestJoined]) -> None:
    """A guest signed in: their returns are the account's."""
    await join(tx, [(event.guest_id, event.person_id) for event in events])


@during(PersonErased)
async def forget_notes(tx: Tx, events: Sequence[PersonErased]) -> None:
    """What erased people wrote goes."""
    await forget(tx, [event.person_id for event in events])
