"""What follows for the way back: labels, and pick-ups that are off."""

from __future__ import annotations

from collections.abc import Sequence

from pinwheel.ground import ledger
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.events import during, outside
from pinwheel.trade.returns.model import LabelWanted, ReturnApproved, ReturnClosed, ReturnReceived
from pinwheel.trade.returns.sending import label_wishes, take_labels, want_labels
from pinwheel.trade.returns.ways import carrier_of, pickup_id


@during(ReturnApproved)
async def ask_for_labels(tx: Tx, events: Sequence[ReturnApproved]) -> None:
    """Approved: what a carrier brings needs its label."""
    await want_labels(tx, [event.return_id for event in events])


@outside(LabelWanted)
async def fetch_labels(db: Database, events: Sequence[LabelWanted]) -> None:
    """The carrier is asked with no transaction open; a repeat gets the same label."""
    async with db.reading() as tx:
        wishes = await label_wishes(tx, [event.return_id for event in events])
    if not wishes:
        return
    labels = await carrier_of(db).label(wishes)

    async def record(tx: Tx) -> None:
        await take_labels(tx, labels)

    await db.attempt(record, actor="carrier")


@during(ReturnClosed)
async def free_pickups(tx: Tx, events: Sequence[ReturnClosed]) -> None:
    """The return is off: nobody needs to come for it."""
    await ledger.release_for(tx, [pickup_id(event.return_id) for event in events])


@during(ReturnReceived)
async def end_pickups(tx: Tx, events: Sequence[ReturnReceived]) -> None:
    """It is here, however it came."""
    await ledger.release_for(tx, [pickup_id(event.return_id) for event in events])
