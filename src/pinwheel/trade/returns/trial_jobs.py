"""What follows for trials: the loan, the days, the charge."""

from __future__ import annotations

from collections.abc import Sequence

from pinwheel.ground.identity import GuestJoined
from pinwheel.kernel.db import Tx
from pinwheel.kernel.events import during, every
from pinwheel.trade.orders import OrderCancelled, OrderDelivered, OrderShipped
from pinwheel.trade.payments import CaptureFailed
from pinwheel.trade.returns.trying import begin, end_trials, lend, note_uncaptured


@during(OrderShipped)
async def lend_parcels(tx: Tx, events: Sequence[OrderShipped]) -> None:
    """What leaves to be tried is lent."""
    await lend(tx, [event.shipment_id for event in events])


@during(OrderDelivered)
async def begin_trials(tx: Tx, events: Sequence[OrderDelivered]) -> None:
    """The days of trying begin with the last parcel."""
    await begin(tx, [event.order_id for event in events])


@during(OrderCancelled)
async def end_cancelled_trials(tx: Tx, events: Sequence[OrderCancelled]) -> None:
    """Nothing was sent: the person may try something else."""
    await tx.run(
        """
        update returns.trial set state = 'ended', ended_at = $3
         where cell = $1 and order_id = any($2::uuid[]) and state = 'placed'
        """,
        tx.cell,
        [event.order_id for event in events],
        tx.now,
    )


@during(GuestJoined)
async def join_trials(tx: Tx, events: Sequence[GuestJoined]) -> None:
    """A guest signed in: what they try is the account's."""
    await tx.run(
        """
        update returns.trial t set person_id = j.person_id
          from unnest($2::uuid[], $3::uuid[]) as j(guest_id, person_id)
         where t.cell = $1 and t.person_id = j.guest_id
        """,
        tx.cell,
        [event.guest_id for event in events],
        [event.person_id for event in events],
    )


@during(CaptureFailed)
async def note_failed_charges(tx: Tx, events: Sequence[CaptureFailed]) -> None:
    """The provider did not pay for what was kept: it is owed."""
    await note_uncaptured(tx, [(e.order_id, e.instruction_id, e.amount_minor) for e in events])


@every(seconds=300)
async def charge_kept(tx: Tx) -> None:
    """The days are over."""
    await end_trials(tx)
