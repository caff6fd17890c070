"""What follows for big days from payments, orders, holds, turns, people and the clock."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path

from pinwheel.ground import identity, messages
from pinwheel.growth.bigdays import actions, balance, presale, privacy, queries, queueing
from pinwheel.growth.bigdays.model import (
    BalanceAsked,
    BalanceDue,
    BigDayBegun,
    DepositEnded,
    DepositPaid,
)
from pinwheel.kernel.db import Tx
from pinwheel.kernel.events import after, during, every
from pinwheel.trade import orders, payments, promotions

LETTERS = messages.Letters(Path(__file__).parent / "letters")


@during(orders.OtherSecured)
async def keep_paid(tx: Tx, events: Sequence[orders.OtherSecured]) -> None:
    """A deposit is paid in the transaction that recorded its payment. Orders tell which payments
    are none of theirs: a batch of orders alone makes no statement here."""
    await presale.note_secured(tx, [i for e in events for i in e.document_ids])


@during(payments.PaymentFailed)
async def end_declined(tx: Tx, events: Sequence[payments.PaymentFailed]) -> None:
    await presale.note_unpaid(tx, [e.order_id for e in events], "declined")


@during(BalanceAsked)
async def note_asked(tx: Tx, events: Sequence[BalanceAsked]) -> None:
    asked = [pair for event in events for pair in event.orders]
    if asked:
        await balance.note_asked(tx, asked)


@during(orders.OrderCancelled)
async def come_back(tx: Tx, events: Sequence[orders.OrderCancelled]) -> None:
    """In the order's own transaction: nobody can spend in between what was lent to it."""
    order_ids = [e.order_id for e in events]
    await balance.take_back(tx, order_ids)
    await queueing.settle_used(tx, order_ids, used=False)


@during(payments.RefundCompleted)
async def come_back_refunded(tx: Tx, events: Sequence[payments.RefundCompleted]) -> None:
    await balance.note_refunds(tx, events)


@during(payments.PaymentVoided)
async def come_back_voided(tx: Tx, events: Sequence[payments.PaymentVoided]) -> None:
    await balance.take_back(tx, [e.order_id for e in events])


@after(orders.OrderPlaced)
async def note_placed(tx: Tx, events: Sequence[orders.OrderPlaced]) -> None:
    order_ids = [e.order_id for e in events]
    await balance.note_placed(tx, order_ids)
    await queueing.settle_used(tx, order_ids, used=True)


@after(orders.OrderShipped)
async def note_shipped(tx: Tx, events: Sequence[orders.OrderShipped]) -> None:
    await balance.note_shipped(tx, [e.order_id for e in events])


@during(promotions.TurnGiven)
async def let_in(tx: Tx, events: Sequence[promotions.TurnGiven]) -> None:
    """Whoever waited for a piece and is called does not queue as well."""
    await queueing.let_in(tx, [(e.promotion_id, e.person_id, e.until) for e in events])


@every(seconds=1)
async def turn_queues(tx: Tx) -> None:
    """Numbers, admissions, ends."""
    await queueing.turn(tx)


@every(seconds=10)
async def keep_time(tx: Tx) -> None:
    """What has begun or is over; deposits that were not paid; balances that are due or were not
    paid."""
    await actions.tell(tx)
    await presale.end_waiting(tx)
    await presale.tell_due(tx)
    await presale.end_due(tx)


# --- letters


@after(BigDayBegun)
async def remind(tx: Tx, events: Sequence[BigDayBegun]) -> None:
    """Who asked is told once."""
    for event in events:
        people: list[uuid.UUID] = await tx.values(
            """
            update bigdays.reminder r set sent = true
              from (select cell, event_id, person_id from bigdays.reminder
                     where cell = $1 and event_id = $2 and not sent order by person_id
                     limit 2000) n
             where r.cell = n.cell and r.event_id = n.event_id and r.person_id = n.person_id
            returning r.person_id
            """,
            tx.cell,
            event.event_id,
        )
        await messages.send(
            tx,
            [_letter(p, "begun", event.event_id, event.event_id, name=event.name) for p in people],
        )
        if len(people) == 2000:
            tx.later(remind, event, at=tx.now)


def _letter(
    person_id: uuid.UUID, template: str, event_id: uuid.UUID, about: uuid.UUID, **facts: object
) -> messages.NewMessage:
    return messages.NewMessage(
        scope=f"bigday:{about}",
        key=f"{template}:{person_id}",
        purpose="transactional",
        template=template,
        letters=LETTERS,
        person_id=person_id,
        facts={"link": f"/days/{event_id}", **facts},
    )


@after(DepositPaid, BalanceDue, DepositEnded)
async def write_about_deposit(
    tx: Tx, events: Sequence[DepositPaid | BalanceDue | DepositEnded]
) -> None:
    """A letter for each step of a deposit that the buyer must know of."""
    letters = []
    for event in events:
        if event.person_id is None:
            continue
        if isinstance(event, DepositEnded) and event.state not in ("returned", "forfeited"):
            continue
        deposit = await queries.deposit(tx, event.deposit_id)
        name = (await queries.event(tx, event.event_id)).name
        template = (
            "kept"
            if isinstance(event, DepositPaid)
            else "due"
            if isinstance(event, BalanceDue)
            else event.state
        )
        letters.append(
            _letter(
                event.person_id,
                template,
                event.event_id,
                event.deposit_id,
                name=name,
                deposit=deposit,
            )
        )
    await messages.send(tx, letters)


# --- people


@during(identity.GuestJoined)
async def join_people(tx: Tx, events: Sequence[identity.GuestJoined]) -> None:
    await privacy.join(tx, [(e.guest_id, e.person_id) for e in events])


@during(identity.PersonErased)
async def forget_people(tx: Tx, events: Sequence[identity.PersonErased]) -> None:
    await privacy.forget(tx, [e.person_id for e in events])
