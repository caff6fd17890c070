"""What follows for carts: a guest becomes somebody, an order is placed, somebody is forgotten."""

from __future__ import annotations

from collections.abc import Sequence

from pinwheel.ground.identity import GuestJoined, GuestsForgotten, PersonErased
from pinwheel.kernel.db import Tx
from pinwheel.kernel.events import during
from pinwheel.trade.orders.cart import CHANNEL
from pinwheel.trade.orders.cart_actions import forget, merge, take_ordered
from pinwheel.trade.orders.model import (
    OrderPlaced,
)


@during(GuestJoined)
async def merge_cart(tx: Tx, events: Sequence[GuestJoined]) -> None:
    """What a guest put in is the account's from the moment of signing in."""
    await merge(tx, [(event.guest_id, event.person_id) for event in events])


@during(OrderPlaced)
async def empty_cart(tx: Tx, events: Sequence[OrderPlaced]) -> None:
    """What was ordered leaves the cart with the order that is placed; a declined payment leaves
    it as it was."""
    ordered = [event.order_id for event in events if event.channel == CHANNEL]
    if ordered:
        await take_ordered(tx, ordered)


@during(GuestsForgotten)
async def forget_guests(tx: Tx, events: Sequence[GuestsForgotten]) -> None:
    """Carts of guests that came to nothing."""
    await forget(tx, [person_id for event in events for person_id in event.person_ids])


@during(PersonErased)
async def forget_person(tx: Tx, events: Sequence[PersonErased]) -> None:
    """Whoever is erased has no cart any more."""
    await forget(tx, [event.person_id for event in events])
