"""What follows for newcomers from what becomes of orders, people and clusters."""

from __future__ import annotations

from collections.abc import Sequence

from pinwheel.ground import identity, trust
from pinwheel.growth.newcomers import actions, queries
from pinwheel.growth.newcomers.model import BOUGHT, CLAIM, DeviceSeen
from pinwheel.growth.newcomers.showing import seen_of
from pinwheel.kernel.db import Tx
from pinwheel.kernel.events import after, during
from pinwheel.trade import orders


@after(orders.OrderPlaced)
async def know_buyers(tx: Tx, events: Sequence[orders.OrderPlaced]) -> None:
    """What a paid order shows of its buyer becomes traits, also of orders at the full price."""
    paid = await queries.addressed(tx, [e.order_id for e in events])
    await trust.note(
        tx,
        [
            seen
            for one in paid
            for seen in seen_of(
                tx.db.vault,
                one.person_id,
                contact=one.contact,
                ship_to=one.ship_to,
                tenders=one.tenders,
            )
        ],
    )


@after(orders.OrderPlaced)
async def settle_newcomers(tx: Tx, events: Sequence[orders.OrderPlaced]) -> None:
    """Paid: won, or paid too late and sent back."""
    await actions.settle_won(tx, [e.order_id for e in events])


@after(orders.OrderShipped)
async def remember_buyers(tx: Tx, events: Sequence[orders.OrderShipped]) -> None:
    """Whoever had goods sent is new no more, even under another account after an erasure."""
    await trust.mark(
        tx, BOUGHT, [(e.person_id, "order", e.order_id) for e in events if e.person_id is not None]
    )


@after(orders.OrderCancelled)
async def give_back(tx: Tx, events: Sequence[orders.OrderCancelled]) -> None:
    await actions.give_back(tx, [e.order_id for e in events])


@after(orders.LinesCancelled)
async def give_back_lines(tx: Tx, events: Sequence[orders.LinesCancelled]) -> None:
    await actions.give_back_lines(tx, [e.order_id for e in events])


@after(trust.UseExceeded)
async def call_back(tx: Tx, events: Sequence[trust.UseExceeded]) -> None:
    """Two accounts that each had their offer turned out to be one: what hasn't left is ended and
    paid back."""
    for event in events:
        if event.purpose.startswith(f"{CLAIM}:"):
            await actions.call_back(tx, event.document_id, "one newcomer offer to each person")


@during(identity.PersonErased)
async def forget(tx: Tx, events: Sequence[identity.PersonErased]) -> None:
    await actions.forget(tx, [e.person_id for e in events])


@after(DeviceSeen)
async def note_device(tx: Tx, events: Sequence[DeviceSeen]) -> None:
    """A buyer's device, from the job's own input."""
    await trust.note(tx, [s for e in events for s in trust.seen_device(e.person_id, e.mark)])
