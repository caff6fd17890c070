"""What people do to their cart. Each verb locks the cart first, so two tabs can't lose a line."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import NotFound
from pinwheel.trade.orders.cart import CartChanged, CartMerged, no_more_than
from pinwheel.trade.orders.draft import (
    Item,
)
from pinwheel.trade.orders.model import (
    MAX_LINES,
    MAX_QUANTITY,
    BadQuantity,
    OfferUnavailable,
)


class _Put(msgspec.Struct, frozen=True):
    cart_id: uuid.UUID
    offer_id: uuid.UUID
    quantity: int


async def put(tx: Tx, person_id: uuid.UUID, market: str, items: Sequence[Item]) -> None:
    """Add ``items`` to the person's cart (made now, if there is none); what is there already is
    added to. What each costs now is remembered, to be told when it changes.

    Refuses ``OfferUnavailable`` (not for sale in this market), ``BadQuantity`` and ``CartFull``.
    2 statements."""
    wanted = _wanted(items)
    written = await tx.rows(
        _Put,
        """
        with cart as (
          insert into orders.cart as c (cell, id, person_id, market, updated_at)
          values ($1, $2, $3, $4, $5)
          on conflict (cell, person_id)
          do update set market = excluded.market, updated_at = excluded.updated_at
          returning id
        ), wanted as (
          select w.offer_id, w.quantity, m.currency, p.price_minor
            from unnest($6::uuid[], $7::bigint[]) as w(offer_id, quantity)
            join pricing.v_market m on m.code = $4 and m.active
            join marketplace.v_offer o on o.offer_id = w.offer_id and o.active
            join catalogue.v_variant v on v.variant_id = o.variant_id and v.buyable
            join lateral (
              select price_minor from pricing.v_price p
               where p.offer_id = w.offer_id and p.currency = m.currency and p.starts_at <= $5
                 and (p.ends_at is null or p.ends_at > $5)
               order by p.starts_at desc limit 1) p on true
        )
        insert into orders.cart_line as l
               (cell, cart_id, offer_id, quantity, seen_price_minor, seen_currency, added_at)
        select $1, cart.id, w.offer_id, least($8, w.quantity), w.price_minor, w.currency, $5
          from wanted w, cart
        on conflict (cell, cart_id, offer_id)
        do update set quantity = least($8, l.quantity + excluded.quantity),
                      seen_price_minor = excluded.seen_price_minor,
                      seen_currency = excluded.seen_currency
        returning cart_id, offer_id, quantity
        """,
        tx.cell,
        tx.new_id(),
        person_id,
        market,
        tx.now,
        sorted(wanted),
        [wanted[offer] for offer in sorted(wanted)],
        MAX_QUANTITY,
    )
    missing = set(wanted) - {row.offer_id for row in written}
    if missing:
        raise OfferUnavailable(sku=str(min(missing)))
    if not written:
        return
    no_more_than(await _line_count(tx, written[0].cart_id))
    tx.emit(
        CartChanged(
            cart_id=written[0].cart_id,
            person_id=person_id,
            lines=[(row.offer_id, row.quantity) for row in written],
        )
    )


def _wanted(items: Sequence[Item]) -> dict[uuid.UUID, int]:
    wanted: dict[uuid.UUID, int] = {}
    for item in items:
        if not 1 <= item.quantity <= MAX_QUANTITY:
            raise BadQuantity(quantity=item.quantity, most=MAX_QUANTITY)
        wanted[item.offer_id] = wanted.get(item.offer_id, 0) + item.quantity
    no_more_than(len(wanted))
    return wanted


async def set_quantities(tx: Tx, person_id: uuid.UUID, items: Sequence[Item]) -> None:
    """Have so many of each line; 0 takes it out. ``NotFound`` when the cart has no such line;
    ``BadQuantity``. 2 statements."""
    wanted = {item.offer_id: item.quantity for item in items}
    bad = [q for q in wanted.values() if not 0 <= q <= MAX_QUANTITY]
    if bad:
        raise BadQuantity(quantity=bad[0], most=MAX_QUANTITY)
    cart_id = await _locked_cart(tx, person_id)
    found = await tx.values(
        """
        with gone as (
          delete from orders.cart_line l using unnest($3::uuid[], $4::bigint[]) as w(offer_id, n)
           where l.cell = $1 and l.cart_id = $2 and l.offer_id = w.offer_id and w.n = 0
          returning l.offer_id
        ), changed as (
          update orders.cart_line l set quantity = w.n
            from unnest($3::uuid[], $4::bigint[]) as w(offer_id, n)
           where l.cell = $1 and l.cart_id = $2 and l.offer_id = w.offer_id and w.n > 0
          returning l.offer_id
        )
        select offer_id from gone union all select offer_id from changed
        """,
        tx.cell,
        cart_id,
        sorted(wanted),
        [wanted[offer] for offer in sorted(wanted)],
    )
    if len(found) < len(wanted) or cart_id is None:
        raise NotFound(what="item in the cart")
    tx.emit(CartChanged(cart_id=cart_id, person_id=person_id, lines=sorted(wanted.items())))


async def set_coupons(tx: Tx, person_id: uuid.UUID, codes: Sequence[str]) -> None:
    """Have these codes with the cart and no others. What they are worth, a stage decides.
    ``NotFound`` when there is no cart. 1 statement."""
    changed = await tx.run(
        "update orders.cart set coupons = $3, updated_at = $4 where cell = $1 and person_id = $2",
        tx.cell,
        person_id,
        list(dict.fromkeys(codes)),
        tx.now,
    )
    if not changed:
        raise NotFound(what="cart")


async def remove(tx: Tx, person_id: uuid.UUID, offer_ids: Sequence[uuid.UUID]) -> None:
    """Take lines out. One that is not there is out already. 2 statements."""
    cart_id = await _locked_cart(tx, person_id)
    gone = await tx.values(
        """
        delete from orders.cart_line
         where cell = $1 and cart_id = $2 and offer_id = any($3::uuid[]) returning offer_id
        """,
        tx.cell,
        cart_id,
        list(offer_ids),
    )
    if gone and cart_id is not None:
        lines = [(offer, 0) for offer in sorted(gone)]
        tx.emit(CartChanged(cart_id=cart_id, person_id=person_id, lines=lines))


async def clear(tx: Tx, person_id: uuid.UUID) -> None:
    """Take everything out. 2 statements."""
    cart_id = await _locked_cart(tx, person_id)
    gone = await tx.values(
        "delete from orders.cart_line where cell = $1 and cart_id = $2 returning offer_id",
        tx.cell,
        cart_id,
    )
    if gone and cart_id is not None:
        lines = [(offer, 0) for offer in sorted(gone)]
        tx.emit(CartChanged(cart_id=cart_id, person_id=person_id, lines=lines))


class _Cart(msgspec.Struct, frozen=True):
    id: uuid.UUID
    person_id: uuid.UUID
    market: str


async def merge(tx: Tx, joined: Sequence[tuple[uuid.UUID, uuid.UUID]]) -> None:
    """(guest, person): the guest's lines go to the person's cart, of each the larger quantity.

    Nothing is lost: the cart may be longer than its limit then, and the order is refused until it
    is split. Safe to repeat. 3 statements, 1 when no guest has a cart."""
    person_of = dict(joined)
    guests = await tx.rows(
        _Cart,
        """
        select id, person_id, market from orders.cart
         where cell = $1 and person_id = any($2::uuid[]) order by id for update
        """,
        tx.cell,
        sorted(person_of),
    )
    if not guests:
        return
    market_of = {person_of[g.person_id]: g.market for g in guests}
    carts = await _opened(tx, market_of)
    cart_of = {cart.person_id: cart.id for cart in carts}
    await tx.run(
        """
        with pair as (
          select * from unnest($2::uuid[], $3::uuid[]) as p(guest_cart, cart)
        ), guest as (
          update orders.cart c set merged_into = pair.cart from pair
           where c.cell = $1 and c.id = pair.guest_cart
        ), coupons as (
          update orders.cart c set coupons = c.coupons || g.coupons from pair
            join orders.cart g on g.cell = $1 and g.id = pair.guest_cart
           where c.cell = $1 and c.id = pair.cart and g.coupons <> '{}'
        ), moved as (
          delete from orders.cart_line l using pair
           where l.cell = $1 and l.cart_id = pair.guest_cart
          returning pair.cart, l.offer_id, l.quantity, l.seen_price_minor, l.seen_currency,
                    l.added_at
        )
        insert into orders.cart_line as l
               (cell, cart_id, offer_id, quantity, seen_price_minor, seen_currency, added_at)
        select distinct on (cart, offer_id) $1, cart, offer_id, quantity, seen_price_minor,
               seen_currency, added_at
          from moved order by cart, offer_id, quantity desc
        on conflict (cell, cart_id, offer_id)
        do update set quantity = greatest(l.quantity, excluded.quantity)
        """,
        tx.cell,
        [g.id for g in guests],
        [cart_of[person_of[g.person_id]] for g in guests],
    )
    tx.emit(
        *(
            CartMerged(
                cart_id=cart_of[person_of[g.person_id]],
                person_id=person_of[g.person_id],
                guest_id=g.person_id,
            )
            for g in guests
        )
    )


async def _opened(tx: Tx, market_of: dict[uuid.UUID, str]) -> list[_Cart]:
    """The carts of these people under lock, made where there is none yet."""
    owners = sorted(market_of)
    return await tx.rows(
        _Cart,
        """
        insert into orders.cart as c (cell, id, person_id, market, updated_at)
        select $1, n.id, n.person_id, n.market, $2
          from unnest($3::uuid[], $4::uuid[], $5::text[]) as n(id, person_id, market)
         order by n.person_id
        on conflict (cell, person_id) do update set updated_at = excluded.updated_at
        returning id, person_id, market
        """,
        tx.cell,
        tx.now,
        [tx.new_id() for _ in owners],
        owners,
        [market_of[owner] for owner in owners],
    )


async def take_ordered(tx: Tx, order_ids: Sequence[uuid.UUID]) -> None:
    """What these orders bought leaves the carts they came from, also when the guest has signed in
    meanwhile. What was put in since stays. 2 statements."""
    await tx.run(
        """
        select from orders.cart
         where cell = $1 and id in (
           select coalesce(c.merged_into, c.id) from orders."order" o
             join orders.cart c on c.cell = o.cell and c.person_id = o.person_id
            where o.cell = $1 and o.id = any($2::uuid[]))
         order by id for update
        """,
        tx.cell,
        list(order_ids),
    )
    await tx.run(
        """
        with bought as (
          select coalesce(c.merged_into, c.id) as cart_id, l.offer_id, sum(l.quantity) as quantity
            from orders."order" o
            join orders.cart c on c.cell = o.cell and c.person_id = o.person_id
            join orders.line l on l.cell = o.cell and l.order_id = o.id
           where o.cell = $1 and o.id = any($2::uuid[]) group by 1, 2
        ), less as (
          update orders.cart_line l set quantity = l.quantity - b.quantity from bought b
           where l.cell = $1 and l.cart_id = b.cart_id and l.offer_id = b.offer_id
             and l.quantity > b.quantity
        ), used as (
          update orders.cart c set coupons = '{}' from bought b
           where c.cell = $1 and c.id = b.cart_id and c.coupons <> '{}'
        )
        delete from orders.cart_line l using bought b
         where l.cell = $1 and l.cart_id = b.cart_id and l.offer_id = b.offer_id
           and l.quantity <= b.quantity
        """,
        tx.cell,
        list(order_ids),
    )


async def forget(tx: Tx, person_ids: Sequence[uuid.UUID]) -> None:
    """Whoever is erased or was a guest that came to nothing has no cart any more."""
    await tx.run(
        """
        with cart as (
          delete from orders.cart where cell = $1 and person_id = any($2::uuid[]) returning id
        )
        delete from orders.cart_line l using cart where l.cell = $1 and l.cart_id = cart.id
        """,
        tx.cell,
        list(person_ids),
    )


async def _locked_cart(tx: Tx, person_id: uuid.UUID) -> uuid.UUID | None:
    found: uuid.UUID | None = await tx.value(
        "update orders.cart set updated_at = $3 where cell = $1 and person_id = $2 returning id",
        tx.cell,
        person_id,
        tx.now,
    )
    return found


async def _line_count(tx: Tx, cart_id: uuid.UUID) -> int:
    """How many lines, counted no further than is needed to know that they are too many."""
    found: int = await tx.value(
        """
        select count(*) from (
          select from orders.cart_line where cell = $1 and cart_id = $2 limit $3) counted
        """,
        tx.cell,
        cart_id,
        MAX_LINES * 2,
    )
    return found
