"""The order routes of the open API. What a caller may see or do is decided in the query."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec

from pinwheel.kernel.clock import new_id
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, get, post
from pinwheel.trade.orders import actions, fulfil, queries
from pinwheel.trade.orders.buying import Bought, Buying
from pinwheel.trade.orders.draft import (
    Claim,
    Draft,
    Item,
    Quote,
    Tender,
)
from pinwheel.trade.orders.goodwill import give_goodwill
from pinwheel.trade.orders.model import (
    NoDelivery,
    NothingToShip,
    Order,
    OrderNotCancellable,
    OrderNotReady,
    PaymentDeclined,
    StaleQuote,
)
from pinwheel.trade.orders.queries import OrderSight
from pinwheel.trade.payments import RefundTooLarge, refundable_of

Code = Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
Text = Annotated[str, msgspec.Meta(max_length=200)]
Quantity = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
READ, WRITE = "orders:read", "orders:write"


class WantedItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """So many of one offer."""

    offer_id: UUID
    quantity: Quantity


class ShipTo(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where it goes. ``country`` is ISO 3166-1 alpha-2, ``region`` the state or province."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    line1: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    line2: Text = ""
    city: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    region: Text = ""
    postal_code: Annotated[str, msgspec.Meta(max_length=20)] = ""
    country: Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")]
    phone: Annotated[str, msgspec.Meta(max_length=40)] = ""


class PayWith(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A provider and its token; without an amount it pays whatever is left."""

    provider: Code
    method: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    amount_minor: Annotated[int, msgspec.Meta(ge=1, le=10**15)] | None = None


class WantedClaim(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A price promised to the buyer: a team's seat, a bargain, a newcomer offer."""

    kind: Code
    id: UUID


Coupons = Annotated[list[Code], msgspec.Meta(max_length=20)]
Claims = Annotated[list[WantedClaim], msgspec.Meta(max_length=20)]


class QuoteRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    items: Annotated[list[WantedItem], msgspec.Meta(min_length=1, max_length=200)]
    market: Code
    country: Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")]
    region: Text = ""
    delivery: Code | None = None
    coupons: Coupons = []
    claims: Claims = []


class OrderRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A whole order in one call. ``quote`` is the token of the quote the buyer agreed to."""

    items: Annotated[list[WantedItem], msgspec.Meta(min_length=1, max_length=200)]
    market: Code
    ship_to: ShipTo
    email: Annotated[str, msgspec.Meta(pattern="^[^@\\s]+@[^@\\s]+$", max_length=200)]
    payments: Annotated[list[PayWith], msgspec.Meta(max_length=5)]
    delivery: Code | None = None
    quote: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    return_url: Annotated[str, msgspec.Meta(max_length=500)] = ""
    coupons: Coupons = []
    claims: Claims = []


class CancelRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Lines and quantities; none is the whole order."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    lines: list[tuple[int, Quantity]] = []


class ShipRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Lines and quantities; none is all that is left. ``shipment_id`` makes a repeat harmless."""

    lines: list[tuple[int, Quantity]] = []
    shipment_id: UUID | None = None
    carrier: Text = ""
    tracking: Text = ""


class GoodwillRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``amount_minor`` in the order's currency. ``gift_id`` is the caller's own: it is given
    once."""

    amount_minor: Annotated[int, msgspec.Meta(ge=1, le=10**15)]
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    gift_id: UUID


class Given(msgspec.Struct, frozen=True):
    """``fresh`` is False when this ``gift_id`` was given before. ``refundable_minor``: what of the
    order's money can still be given back."""

    fresh: bool
    refundable_minor: int


class Shipped(msgspec.Struct, frozen=True):
    shipment_ids: list[UUID]


@post("/api/v1/quotes", tags=("Orders",), refusals=(NoDelivery,))
async def quote(call: Call, db: Database, data: QuoteRequest) -> Answer[Quote]:
    """What these items would cost now, with the reasons. Takes nothing, changes nothing."""
    draft = Draft(
        id=new_id(db.clock.now(), db.random),
        items=[Item(i.offer_id, i.quantity) for i in data.items],
        market=data.market,
        country=data.country,
        region=data.region,
        delivery=data.delivery,
        person_id=call.caller.person_id,
        coupons=data.coupons,
        claims=[Claim(c.kind, c.id) for c in data.claims],
    )
    async with db.reading() as tx:
        [answer] = await db.given[Buying].checkout.quote(tx, [draft])
    if isinstance(answer, Refusal):
        raise answer
    return Answer(answer)


@post(
    "/api/v1/orders",
    scope=WRITE,
    status=201,
    tags=("Orders",),
    refusals=(StaleQuote, PaymentDeclined, NoDelivery),
)
async def place_order(call: Call, db: Database, data: OrderRequest) -> Answer[Bought]:
    """Order and pay in one call. Send an ``Idempotency-Key``: a repeat answers with the same
    order."""
    caller = call.caller
    vault = db.vault
    draft = Draft(
        id=new_id(db.clock.now(), db.random),
        items=[Item(i.offer_id, i.quantity) for i in data.items],
        market=data.market,
        country=data.ship_to.country,
        region=data.ship_to.region,
        city=data.ship_to.city,
        postal_code=data.ship_to.postal_code,
        person_id=None if caller.kind == "program" else caller.person_id,
        contact=vault.seal(data.email, "orders.contact"),
        ship_to=vault.seal(msgspec.json.encode(data.ship_to).decode(), "orders.ship_to"),
        delivery=data.delivery,
        tenders=[Tender(p.provider, p.method, p.amount_minor) for p in data.payments],
        expected=data.quote,
        channel="api",
        scope=caller.actor,
        key=call.idempotency_key,
        return_url=data.return_url,
        coupons=data.coupons,
        claims=[Claim(c.kind, c.id) for c in data.claims],
    )
    bought = await db.given[Buying].buy(draft)
    return Answer(bought)


@get("/api/v1/orders", scope=READ, tags=("Orders",))
async def list_orders(
    call: Call, tx: Tx, state: str | None = None, after: str | None = None, limit: int = 20
) -> Answer[Page[Order]]:
    """Orders, newest first. A buyer sees their own."""
    found = await queries.orders(
        tx, person_id=_only(call), state=state, cursor=after, limit=max(1, min(limit, 100))
    )
    return Answer(msgspec.structs.replace(found, items=[_unsealed(o) for o in found.items]))


@get("/api/v1/orders/{order_id:uuid}", scope=READ, tags=("Orders",))
async def see_order(call: Call, tx: Tx, order_id: UUID) -> Answer[OrderSight]:
    """One order with its lines and parcels."""
    sight = await queries.order(tx, order_id=order_id, person_id=_only(call))
    return Answer(msgspec.structs.replace(sight, order=_unsealed(sight.order)))


@post(
    "/api/v1/orders/{order_id:uuid}/cancel",
    scope=WRITE,
    once=True,
    tags=("Orders",),
    refusals=(OrderNotCancellable, NothingToShip),
)
async def cancel_order(
    call: Call, tx: Tx, order_id: UUID, data: CancelRequest
) -> Answer[OrderSight]:
    """Cancel what has not left yet: stock and money go back."""
    own = _only(call)
    if data.lines:
        await fulfil.cancel_lines(tx, order_id, data.lines, reason=data.reason, person_id=own)
    else:
        await actions.cancel(tx, order_id, reason=data.reason, person_id=own)
    sight = await queries.order(tx, order_id=order_id, person_id=own)
    return Answer(msgspec.structs.replace(sight, order=_unsealed(sight.order)))


@post(
    "/api/v1/orders/{order_id:uuid}/goodwill",
    scope="money",
    once=True,
    tags=("Orders",),
    refusals=(RefundTooLarge,),
)
async def refund_as_goodwill(tx: Tx, order_id: UUID, data: GoodwillRequest) -> Answer[Given]:
    """Refund a part of an order without goods coming back. What comes back is refunded by its
    return, what has not left by cancelling."""
    fresh = await give_goodwill(tx, order_id, data.amount_minor, data.reason, gift_id=data.gift_id)
    return Answer(Given(fresh, await refundable_of(tx, order_id)))


@post(
    "/api/v1/orders/{order_id:uuid}/shipments",
    scope="fulfilment:write",
    once=True,
    status=201,
    tags=("Fulfilment",),
    refusals=(OrderNotReady, NothingToShip),
)
async def ship_order(tx: Tx, order_id: UUID, data: ShipRequest) -> Answer[Shipped]:
    """Send a part or all: one parcel from each stock node."""
    ids = await fulfil.ship(
        tx,
        order_id,
        data.lines or None,
        shipment_id=data.shipment_id,
        carrier=data.carrier,
        tracking=data.tracking,
    )
    return Answer(Shipped(ids))


@post(
    "/api/v1/shipments/{shipment_id:uuid}/delivered",
    scope="fulfilment:write",
    status=204,
    tags=("Fulfilment",),
)
async def deliver_shipment(tx: Tx, shipment_id: UUID) -> Answer[None]:
    """The parcel has arrived."""
    await fulfil.deliver(tx, shipment_id)
    return Answer(None)


def _only(call: Call) -> UUID | None:
    """The person whose orders this caller may touch; None is everybody's (staff and programs)."""
    caller = call.caller
    return caller.person() if caller.kind in ("guest", "buyer") else None


def _unsealed(order: Order) -> Order:
    """An API answer names the order, not the person: contact and address have a route of their
    own."""
    return msgspec.structs.replace(order, contact=None, ship_to=None)
