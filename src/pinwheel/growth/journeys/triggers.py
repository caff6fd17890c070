"""The facts of a person that a journey can begin with, wait for, or aim at."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec

from pinwheel.ground.identity import PersonRegistered
from pinwheel.ground.messages import Subscribed, Unsubscribed
from pinwheel.kernel.events import Event
from pinwheel.trade.orders import OrderCancelled, OrderDelivered, OrderPlaced, OrderShipped
from pinwheel.trade.returns import ReturnRefunded

TRIGGERS: tuple[type[Event], ...] = (
    PersonRegistered,
    Subscribed,
    Unsubscribed,
    OrderPlaced,
    OrderShipped,
    OrderDelivered,
    OrderCancelled,
    ReturnRefunded,
)
KINDS: dict[str, type[Event]] = {event.kind(): event for event in TRIGGERS}
MOST_FACTS = 20


def person_of(event: Event) -> uuid.UUID | None:
    found = getattr(event, "person_id", None)
    return found if isinstance(found, uuid.UUID) else None


def key_of(event: Event) -> str:
    """What sets a journey off, once: the event's kind and what it is about."""
    about = getattr(event, "shipment_id", None) or event.subject_id() or person_of(event)
    return f"{event.kind()}:{about}"


def facts_of(event: Event) -> dict[str, Any]:
    """What a journey may look at: the plain values of the event. Personal words are in none."""
    found = msgspec.to_builtins(event)
    return {
        name: value
        for name, value in list(found.items())[:MOST_FACTS]
        if isinstance(value, str | int | float | bool)
    }
