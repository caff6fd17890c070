"""Questions about carts; none takes a lock."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade.orders.cart import CartLine, CartSight, Inside, Sentence, items_of, looked_at
from pinwheel.trade.orders.draft import (
    Draft,
)
from pinwheel.trade.orders.placing import Checkout


class KnownOrder(msgspec.Struct, frozen=True):
    """An order that an earlier copy of the same request has made."""

    id: uuid.UUID
    number: str
    state: str
    total_minor: int
    currency: str


async def cart_lines(tx: Tx, person_id: uuid.UUID, market: str = "") -> list[CartLine]:
    """The lines of a person's cart as they stand in ``market`` (else the cart's own) now. One
    statement."""
    return looked_at(await inside_of(tx, person_id, market))


async def inside_of(tx: Tx, person_id: uuid.UUID, market: str = "") -> list[Inside]:
    """The lines as they are stored, each with the coupons of the cart. One statement."""
    return await tx.rows(
        Inside,
        """
        select l.offer_id, l.quantity, l.seen_price_minor, l.seen_currency, l.added_at,
               o.variant_id, o.seller_id, v.sku, v.title, v.slug, o.max_per_order, p.price_minor,
               m.currency, coalesce(a.free, 0)::bigint as free, c.coupons
          from orders.cart c
          join orders.cart_line l on l.cell = c.cell and l.cart_id = c.id
          left join pricing.v_market m on m.code = coalesce(nullif($3, ''), c.market) and m.active
          left join marketplace.v_offer o on o.offer_id = l.offer_id
          left join catalogue.v_variant v on v.variant_id = o.variant_id
          left join lateral (
            select price_minor from pricing.v_price p
             where o.active and v.buyable and p.offer_id = l.offer_id and p.currency = m.currency
               and p.starts_at <= $4 and (p.ends_at is null or p.ends_at > $4)
             order by p.starts_at desc limit 1) p on true
          left join lateral (
            select sum(greatest(a.atp, 0)) as free from inventory.v_offered a
             where a.cell = c.cell and a.variant_id = o.variant_id and a.seller_id = o.seller_id
               and a.is_open and (a.opens_at is null or a.opens_at <= $4 and a.closes_at > $4)
            ) a on true
         where c.cell = $1 and c.person_id = $2 order by l.added_at, l.offer_id
        """,
        tx.cell,
        person_id,
        market,
        tx.now,
    )


async def cart_coupons(tx: Tx, person_id: uuid.UUID) -> list[str]:
    """The codes that lie with a person's cart. One statement."""
    found: list[str] | None = await tx.value(
        "select coupons from orders.cart where cell = $1 and person_id = $2", tx.cell, person_id
    )
    return found or []


async def pieces_in_cart(tx: Tx, person_id: uuid.UUID) -> int:
    """How many pieces lie in a person's cart: what every page shows. One statement."""
    found: int = await tx.value(
        """
        select coalesce(sum(l.quantity), 0)::bigint from orders.cart c
          join orders.cart_line l on l.cell = c.cell and l.cart_id = c.id
         where c.cell = $1 and c.person_id = $2
        """,
        tx.cell,
        person_id,
    )
    return found


async def cart(
    tx: Tx,
    checkout: Checkout,
    person_id: uuid.UUID | None,
    *,
    market: str,
    country: str,
    region: str = "",
    delivery: str | None = None,
    device: str = "",
    also_coupons: Sequence[str] = (),
) -> CartSight:
    """The cart with the quote of what can be ordered of it, at its coupons and ``also_coupons``.
    One statement and the quote's six, whatever the cart holds."""
    rows = await inside_of(tx, person_id, market) if person_id else []
    lines, coupons = looked_at(rows), rows[0].coupons if rows else []
    pieces = sum(line.quantity for line in lines)
    items = items_of(lines)
    if not items:
        return CartSight(market=market, lines=lines, pieces=pieces, coupons=coupons)
    draft = Draft(
        id=tx.new_id(),
        items=items,
        market=market,
        country=country,
        region=region,
        delivery=delivery,
        person_id=person_id,
        coupons=[*coupons, *also_coupons],
        device=device,
    )
    [answer] = await checkout.quote(tx, [draft])
    if isinstance(answer, Refusal):
        why = Sentence(answer.code, answer.sentence("en"), answer.sentence("zh-CN"))
        return CartSight(market=market, lines=lines, pieces=pieces, coupons=coupons, refusal=why)
    return CartSight(market=market, lines=lines, pieces=pieces, coupons=coupons, quote=answer)


async def known_order(tx: Tx, scope: str, key: str) -> KnownOrder | None:
    """The order that this caller's key has made already."""
    return await tx.row(
        KnownOrder,
        """
        select id, number, state, total_minor, currency from orders."order"
         where cell = $1 and scope = $2 and key = $3
        """,
        tx.cell,
        scope,
        key,
    )
