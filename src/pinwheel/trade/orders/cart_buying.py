"""From a cart to an order: what is in it becomes a draft, and the draft goes the way of all."""

from __future__ import annotations

import uuid

import msgspec

from pinwheel.ground import identity
from pinwheel.kernel.caller import Caller
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid
from pinwheel.trade import payments
from pinwheel.trade.orders.buying import Bought, Buying
from pinwheel.trade.orders.cart import CHANNEL, NoAddress, items_of, looked_at
from pinwheel.trade.orders.cart_queries import KnownOrder, inside_of, known_order
from pinwheel.trade.orders.draft import (
    Claim,
    Draft,
    Item,
    Tender,
)
from pinwheel.trade.orders.model import (
    EmptyOrder,
)


class AddressedTo(msgspec.Struct, frozen=True, kw_only=True):
    """Where it goes, as it is sealed with the order. ``country`` is ISO 3166-1 alpha-2,
    ``region`` the state or province."""

    name: str
    line1: str
    line2: str = ""
    city: str
    region: str = ""
    postal_code: str = ""
    country: str
    phone: str = ""


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """How a cart is to be ordered. ``quote`` names the figures the buyer agreed to; an address
    and a method are given, or chosen from what the person keeps (their default when neither is
    said). With ``items`` these are ordered, by ``claims``, and the cart is left as it is."""

    market: str
    quote: str
    key: str
    delivery: str | None = None
    address_id: uuid.UUID | None = None
    ship_to: AddressedTo | None = None
    email: str = ""
    tenders: tuple[Tender, ...] = ()
    method_id: uuid.UUID | None = None
    return_url: str = ""
    items: tuple[Item, ...] = ()
    claims: tuple[Claim, ...] = ()
    device: str = ""
    gift_cards: tuple[uuid.UUID, ...] = ()  # each pays what is on it, the tenders the rest


async def order_cart(db: Database, caller: Caller, person_id: uuid.UUID, wish: Wish) -> Bought:
    """Order what can be ordered of the person's cart, at the figures of ``wish.quote``.

    A repeat with the same key answers with the first order, also when the cart is empty by then.
    The cart is emptied of what was ordered when the order is placed; a declined payment leaves it
    as it was. Refuses what ``Buying.buy`` refuses, ``NoAddress``, and ``EmptyOrder``."""
    scope = f"cart:{person_id}"
    async with db.transaction(actor=caller.actor) as tx:
        before = await known_order(tx, scope, wish.key)
        if before is not None:
            return repeated(before)
        if caller.kind == "guest":  # the order must find its guest again
            await identity.keep(tx, [person_id])
        draft = await _draft(tx, person_id, scope, wish)
    buying: Buying = db.given[Buying]
    return await buying.buy(draft)


async def _draft(tx: Tx, person_id: uuid.UUID, scope: str, wish: Wish) -> Draft:
    rows = [] if wish.items else await inside_of(tx, person_id, wish.market)
    items = list(wish.items) or items_of(looked_at(rows))
    if not items:
        raise EmptyOrder()
    person = await identity.person_of(tx, person_id)
    email = wish.email or person.email
    if not email:
        raise Invalid("email", "an order needs an e-mail address", "下单需要填写邮箱")
    ship_to = wish.ship_to or kept_address(await chosen_address(tx, person_id, wish.address_id))
    cards = [Tender(payments.GIFT_CARD, str(card_id)) for card_id in wish.gift_cards]
    tenders = wish.tenders or (await chosen_tender(tx, person_id, wish.method_id),)
    return Draft(
        id=tx.new_id(),
        items=items,
        market=wish.market,
        country=ship_to.country,
        region=ship_to.region,
        city=ship_to.city,
        postal_code=ship_to.postal_code,
        person_id=person_id,
        contact=tx.db.vault.seal(email, "orders.contact"),
        ship_to=sealed_address(tx, ship_to),
        delivery=wish.delivery,
        tenders=[*cards, *(t for t in tenders if t is not None)],
        expected=wish.quote,
        channel="web" if wish.items else CHANNEL,
        scope=scope,
        key=wish.key,
        return_url=wish.return_url,
        coupons=rows[0].coupons if rows else (),
        claims=wish.claims,
        device=wish.device,
    )


def repeated(before: KnownOrder) -> Bought:
    """The answer to a repeat."""
    return Bought(
        order_id=before.id,
        number=before.number,
        state=before.state,
        total_minor=before.total_minor,
        currency=before.currency,
        fresh=False,
    )


def sealed_address(tx: Tx, ship_to: AddressedTo) -> str:
    return tx.db.vault.seal(msgspec.json.encode(ship_to).decode(), "orders.ship_to")


async def chosen_address(
    tx: Tx, person_id: uuid.UUID, address_id: uuid.UUID | None
) -> identity.Address:
    """The address that was chosen, else the person's default. ``NoAddress``, ``NotFound``."""
    if address_id is not None:
        return await identity.address_of(tx, person_id, address_id)
    kept = await identity.addresses_of(tx, person_id)
    if not kept or not kept[0].is_default:
        raise NoAddress()
    return kept[0]


def kept_address(address: identity.Address) -> AddressedTo:
    """An address of the book as an order keeps it: later changes don't move the parcel."""
    return AddressedTo(
        name=address.recipient_name,
        line1=address.line1,
        line2=address.line2,
        city=address.city,
        region=address.region,
        postal_code=address.postal_code,
        country=address.country,
        phone=address.phone,
    )


async def chosen_tender(tx: Tx, person_id: uuid.UUID, method_id: uuid.UUID | None) -> Tender | None:
    """The stored method that was chosen, else the person's default one; None without any."""
    if method_id is not None:
        method = await payments.method_of(tx, person_id, method_id)
        return Tender(method.provider, method.token)
    kept = await payments.methods_of(tx, person_id)
    return Tender(kept[0].provider, kept[0].token) if kept and kept[0].is_default else None
