"""The cart's routes. A cart belongs to whoever asks: nobody can name another's."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec

from pinwheel.ground import identity
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid
from pinwheel.kernel.web import Answer, Call, delete, get, post, put
from pinwheel.trade.orders import cart_actions, cart_queries
from pinwheel.trade.orders.buying import Bought, Buying
from pinwheel.trade.orders.cart import CartFull, CartSight, NoAddress
from pinwheel.trade.orders.cart_buying import AddressedTo, Wish, order_cart
from pinwheel.trade.orders.draft import (
    Item,
    Tender,
)
from pinwheel.trade.orders.model import (
    BadQuantity,
    EmptyOrder,
    NoDelivery,
    OfferUnavailable,
    PaymentDeclined,
    StaleQuote,
)
from pinwheel.trade.orders.web import PayWith, ShipTo

Code = Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
Country = Annotated[str, msgspec.Meta(pattern="^[A-Z]{2}$")]
Text = Annotated[str, msgspec.Meta(max_length=200)]
Quantity = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
QuantityOrNone = Annotated[int, msgspec.Meta(ge=0, le=100_000)]


class PutItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """So many more of one offer."""

    offer_id: UUID
    quantity: Quantity = 1


class PutRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    market: Code
    items: Annotated[list[PutItem], msgspec.Meta(min_length=1, max_length=200)]


class SetItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """So many of one offer; 0 takes it out."""

    offer_id: UUID
    quantity: QuantityOrNone


class SetRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    items: Annotated[list[SetItem], msgspec.Meta(min_length=1, max_length=200)]


class CartOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Order the cart. ``quote`` is the token of the quote the buyer agreed to; ``key`` names this
    order once (or send ``Idempotency-Key``). Without an address or a payment the person's default
    ones are used."""

    market: Code
    quote: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    key: Annotated[str, msgspec.Meta(max_length=100)] = ""
    delivery: Code | None = None
    address_id: UUID | None = None
    ship_to: ShipTo | None = None
    email: Annotated[str, msgspec.Meta(pattern="^([^@\\s]+@[^@\\s]+)?$", max_length=200)] = ""
    payments: Annotated[list[PayWith], msgspec.Meta(max_length=5)] = []
    method_id: UUID | None = None
    return_url: Annotated[str, msgspec.Meta(max_length=500)] = ""


@get("/api/v1/cart", tags=("Cart",))
async def see_cart(
    call: Call,
    tx: Tx,
    market: Code,
    country: Country,
    region: Text = "",
    delivery: Code | None = None,
) -> Answer[CartSight]:
    """What is in the cart, what has changed since it was put in, and what it would cost."""
    return Answer(
        await cart_queries.cart(
            tx,
            tx.db.given[Buying].checkout,
            call.caller.person_id,
            market=market,
            country=country,
            region=region,
            delivery=delivery,
        )
    )


@post(
    "/api/v1/cart/lines",
    once=True,
    tags=("Cart",),
    refusals=(OfferUnavailable, BadQuantity, CartFull),
)
async def put_in(call: Call, tx: Tx, data: PutRequest) -> Answer[CartSight]:
    """Put so many more of each into the cart."""
    person_id = await identity.guest_of(tx, call.caller, call.token)
    items = [Item(i.offer_id, i.quantity) for i in data.items]
    await cart_actions.put(tx, person_id, data.market, items)
    return Answer(await _inside(tx, person_id, data.market))


@put("/api/v1/cart/lines", tags=("Cart",), refusals=(BadQuantity,))
async def set_quantities(call: Call, tx: Tx, data: SetRequest) -> Answer[CartSight]:
    """Have so many of each; 0 takes it out."""
    person_id = await identity.guest_of(tx, call.caller, call.token)
    items = [Item(i.offer_id, i.quantity) for i in data.items]
    await cart_actions.set_quantities(tx, person_id, items)
    return Answer(await _inside(tx, person_id))


@delete("/api/v1/cart/lines/{offer_id:uuid}", tags=("Cart",))
async def take_out(call: Call, tx: Tx, offer_id: UUID) -> Answer[CartSight]:
    """Take one line out."""
    if call.caller.person_id is None:
        return Answer(CartSight(market="", lines=[], pieces=0))
    await cart_actions.remove(tx, call.caller.person_id, [offer_id])
    return Answer(await _inside(tx, call.caller.person_id))


@delete("/api/v1/cart", tags=("Cart",))
async def clear(call: Call, tx: Tx) -> Answer[CartSight]:
    """Take everything out."""
    if call.caller.person_id is not None:
        await cart_actions.clear(tx, call.caller.person_id)
    return Answer(CartSight(market="", lines=[], pieces=0))


@post(
    "/api/v1/cart/order",
    status=201,
    tags=("Cart",),
    refusals=(StaleQuote, PaymentDeclined, NoDelivery, NoAddress, EmptyOrder),
)
async def order(call: Call, db: Database, data: CartOrder) -> Answer[Bought]:
    """Order and pay what is in the cart. A repeat with the same key answers with the same
    order."""
    key = call.idempotency_key or data.key
    if not key:
        raise Invalid("key", "name this order once, by Idempotency-Key", "请提供幂等键")
    if call.caller.person_id is None:
        raise EmptyOrder()
    wish = Wish(
        market=data.market,
        quote=data.quote,
        key=key,
        delivery=data.delivery,
        address_id=data.address_id,
        ship_to=AddressedTo(**msgspec.structs.asdict(data.ship_to)) if data.ship_to else None,
        email=data.email,
        tenders=tuple(Tender(p.provider, p.method, p.amount_minor) for p in data.payments),
        method_id=data.method_id,
        return_url=data.return_url,
    )
    bought = await order_cart(db, call.caller, call.caller.person_id, wish)
    return Answer(bought)


async def _inside(tx: Tx, person_id: UUID, market: str = "") -> CartSight:
    lines = await cart_queries.cart_lines(tx, person_id, market)
    return CartSight(market=market, lines=lines, pieces=sum(line.quantity for line in lines))
