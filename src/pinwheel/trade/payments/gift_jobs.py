"""What follows for gift cards: chargebacks of what bought them, their last day, refunds, people who
sign in or are forgotten."""

from __future__ import annotations

from collections.abc import Sequence

from pinwheel.ground.identity import GuestJoined, PersonErased
from pinwheel.kernel.db import Tx
from pinwheel.kernel.events import during, every
from pinwheel.trade.payments.gift_ending import (
    charge_back,
    expire_gift_cards,
    forget_gift_cards,
    join_gift_cards,
    pass_on_refunded,
    prolong_refunded,
    settle_chargeback,
)
from pinwheel.trade.payments.model import DisputeClosed, PaymentDisputed, RefundCompleted


@during(PaymentDisputed)
async def block_charged_back(tx: Tx, events: Sequence[PaymentDisputed]) -> None:
    """The card's buyer took the money back: what is left on the card is blocked."""
    await charge_back(tx, sorted({e.order_id for e in events}))


@during(DisputeClosed)
async def settle_charged_back(tx: Tx, events: Sequence[DisputeClosed]) -> None:
    """Won: it is good again. Lost: what is left lowers the loss."""
    for event in events:
        await settle_chargeback(tx, event.order_id, won=event.won)


@during(RefundCompleted)
async def prolong(tx: Tx, events: Sequence[RefundCompleted]) -> None:
    """What came back to a card can be spent, also when its last day has passed."""
    await prolong_refunded(tx, [e.payment_id for e in events])
    await pass_on_refunded(tx, [e.payment_id for e in events])


@every(seconds=3600)
async def end_expired_cards(tx: Tx) -> None:
    """What is left on cards past their last day is booked as breakage."""
    await expire_gift_cards(tx)


@during(GuestJoined)
async def join_cards(tx: Tx, events: Sequence[GuestJoined]) -> None:
    for event in events:
        await join_gift_cards(tx, event.guest_id, event.person_id)


@during(PersonErased)
async def forget_cards(tx: Tx, events: Sequence[PersonErased]) -> None:
    for event in events:
        await forget_gift_cards(tx, event.person_id)
