"""What follows for journeys, campaigns and the letters about orders."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from standardwebhooks.webhooks import Webhook

from pinwheel.ground.identity import PersonErased
from pinwheel.growth.journeys import enrolling, order_letters
from pinwheel.growth.journeys.acting import hook_secret
from pinwheel.growth.journeys.advancing import AT_ONCE, advance, end_holdouts
from pinwheel.growth.journeys.campaigning import due_campaigns, go_on
from pinwheel.growth.journeys.model import HookAsked, LettersDue, StepsDue
from pinwheel.growth.journeys.order_letters import Told
from pinwheel.growth.journeys.triggers import TRIGGERS
from pinwheel.insight.audience import SegmentEntered, SegmentLeft
from pinwheel.kernel import outbound
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.events import Event, after, during, every, outside
from pinwheel.trade.orders import (
    BackorderLate,
    LinesCancelled,
    OrderCancelled,
    OrderDelivered,
    OrderPlaced,
    OrderShipped,
)
from pinwheel.trade.payments import GiftCardsIssued
from pinwheel.trade.returns import (
    ExchangeEnded,
    ExchangeReleased,
    ReturnReceived,
    ReturnRefunded,
)


@after(*TRIGGERS)
async def hear_of_people(tx: Tx, events: Sequence[Event]) -> None:
    """Goals are reached, waits end, journeys begin."""
    await enrolling.take_events(tx, events)


@after(SegmentEntered, SegmentLeft)
async def hear_of_segments(tx: Tx, events: Sequence[SegmentEntered | SegmentLeft]) -> None:
    await enrolling.take_segments(tx, events)


@during(PersonErased)
async def forget_travellers(tx: Tx, events: Sequence[PersonErased]) -> None:
    await enrolling.forget(tx, [e.person_id for e in events])


@after(StepsDue)
async def take_steps(tx: Tx, events: Sequence[StepsDue]) -> None:
    """One part; as long as parts are full another job follows, and others may run beside it."""
    if await advance(tx) >= AT_ONCE:
        tx.later(take_steps, StepsDue(), at=tx.now)


@every(seconds=5)
async def see_to_steps(tx: Tx) -> None:
    """Timers: whatever is due has a job. Also dates, and the end of what is measured."""
    await end_holdouts(tx)
    await enrolling.take_dates(tx)
    due = await tx.value(
        """
        select exists (select from journeys.enrolment e
                         join journeys.journey j on j.id = e.journey_id
                        where e.cell = $1 and e.state = 'active' and not e.is_held
                          and e.due_at <= $2 and j.state = 'live')
        """,
        tx.cell,
        tx.now,
    )
    if due:
        tx.later(take_steps, StepsDue(), at=tx.now, key=f"{tx.now:%Y%m%d%H%M}")


@after(LettersDue)
async def write_campaigns(tx: Tx, events: Sequence[LettersDue]) -> None:
    """One part of each campaign, and another job as long as there is more."""
    for event in events:
        if await go_on(tx, event.campaign_id):
            tx.later(write_campaigns, event, at=tx.now)


@every(seconds=10)
async def see_to_campaigns(tx: Tx) -> None:
    """A campaign whose time has come, or whose job was lost, has one."""
    for campaign_id in await due_campaigns(tx):
        due = LettersDue(campaign_id=campaign_id)
        tx.later(write_campaigns, due, at=tx.now, key=f"{campaign_id}:{tx.now:%Y%m%d%H%M}")


@outside(HookAsked, concurrency=8, lease_seconds=30)
async def call_hooks(db: Database, events: Sequence[HookAsked]) -> None:
    """Tell the address, guarded and signed (Standard Webhooks). Anything but a 2xx is tried again
    under the same id."""
    for event in events:
        body = msgspec.json.encode(event)
        at = db.clock.now()
        signature = Webhook(hook_secret(db.vault, event.journey_id)).sign(
            event.key, at, body.decode()
        )
        answer = await outbound.of(db).send(
            "POST",
            event.url,
            body=body,
            headers={
                "content-type": "application/json",
                "webhook-id": event.key,
                "webhook-timestamp": str(int(at.timestamp())),
                "webhook-signature": signature,
            },
        )
        if not 200 <= answer.status < 300:
            raise outbound.Unreachable(f"the address answered {answer.status}")


@after(OrderPlaced, OrderShipped, OrderDelivered, OrderCancelled, LinesCancelled,
       ReturnReceived, ReturnRefunded, BackorderLate, ExchangeReleased, ExchangeEnded,
       GiftCardsIssued)  # fmt: skip
async def write_order_letters(tx: Tx, events: Sequence[Event]) -> None:
    await order_letters.write(tx, [told for e in events if (told := _told(e)) is not None])


def _told(event: Event) -> Told | None:
    match event:
        case OrderPlaced():
            return Told(letter="placed", order_id=event.order_id, key="placed")
        case OrderShipped():
            return Told(
                letter="shipped",
                order_id=event.order_id,
                key=f"shipped:{event.shipment_id}",
                shipment_id=event.shipment_id,
            )
        case OrderDelivered():
            return Told(
                letter="delivered",
                order_id=event.order_id,
                key=f"delivered:{event.shipment_id}",
                shipment_id=event.shipment_id,
            )
        case OrderCancelled():
            return Told(
                letter="cancelled",
                order_id=event.order_id,
                key="cancelled",
                facts={"refund_minor": event.refund_minor},
            )
        case LinesCancelled():
            lines = ",".join(f"{line}x{quantity}" for line, quantity in event.lines)
            return Told(
                letter="lines_cancelled",
                order_id=event.order_id,
                key=f"lines:{lines}:{event.refund_minor}",
                facts={
                    "refund_minor": event.refund_minor,
                    "pieces": sum(quantity for _, quantity in event.lines),
                },
            )
        case ReturnReceived():
            return Told(
                letter="return_received",
                order_id=event.order_id,
                key=f"received:{event.return_id}",
                facts={"number": event.number},
            )
        case ReturnRefunded():
            return Told(
                letter="return_refunded",
                order_id=event.order_id,
                key=f"refunded:{event.return_id}",
                facts={"number": event.number, "refund_minor": event.refund_minor},
            )
    return _told_of_waiting(event)


def _told_of_waiting(event: Event) -> Told | None:
    match event:
        case BackorderLate():
            return Told(
                letter="backorder_late",
                order_id=event.order_id,
                key=f"late:{event.line}",
                facts={"pieces": event.quantity, "last_on": event.last_on},
            )
        case GiftCardsIssued(reason="sold"):  # one letter, however many cards the order has
            return Told(
                letter="gift_cards",
                order_id=event.source_id,
                key="gift_cards",
                facts={"link": "/account/gift-cards"},
            )
        case ExchangeReleased():
            return Told(
                letter="exchange_released",
                order_id=event.order_id,
                key=f"exchange:{event.return_id}",
                facts={"number": event.number, "back_minor": event.back_minor},
            )
        case ExchangeEnded():
            return Told(
                letter="exchange_ended",
                order_id=event.order_id,
                key=f"exchange:{event.return_id}",
                facts={
                    "number": event.number,
                    "why": event.why,
                    "back_minor": event.back_minor,
                },
            )
    return None
