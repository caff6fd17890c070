"""Questions about orders; none takes a lock. What a person may see is decided in the query."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.kernel.listing import Page, after, page
from pinwheel.trade.orders.model import (
    Order,
    OrderLine,
    Shipment,
)


class OrderSight(msgspec.Struct, frozen=True, kw_only=True):
    """An order with everything that belongs to it."""

    order: Order
    lines: list[OrderLine]
    shipments: list[Shipment]


async def order(
    tx: Tx,
    *,
    order_id: uuid.UUID | None = None,
    number: str | None = None,
    person_id: uuid.UUID | None = None,
) -> OrderSight:
    """One order by id or number, of one person when ``person_id`` is given; else ``NotFound``."""
    found = await tx.the(
        "order",
        Order,
        """
        select id, number, state, person_id, contact, ship_to, country, region, market, currency,
               channel, delivery, goods_minor, discount_minor, delivery_minor, delivery_tax_minor,
               tax_minor, tax_included, total_minor, secured_minor, refunded_minor, delivery_taken,
               reasons, placed_at, held_until, waits_for, cancelled_at, cancel_reason
          from orders."order"
         where cell = $1 and (id = $2 or number = $3) and ($4::uuid is null or person_id = $4)
        """,
        tx.cell,
        order_id,
        number,
        person_id,
    )
    return OrderSight(
        order=found,
        lines=await lines_of(tx, [found.id]),
        shipments=await shipments_of(tx, [found.id]),
    )


async def orders(
    tx: Tx,
    *,
    person_id: uuid.UUID | None = None,
    state: str | None = None,
    cursor: str | None = None,
    limit: int = 20,
) -> Page[Order]:
    """Orders newest first: of one person, in one state, or all (the console's inbox)."""
    before = after(cursor, uuid.UUID)
    rows = await tx.rows(
        Order,
        """
        select id, number, state, person_id, contact, ship_to, country, region, market, currency,
               channel, delivery, goods_minor, discount_minor, delivery_minor, delivery_tax_minor,
               tax_minor, tax_included, total_minor, secured_minor, refunded_minor, delivery_taken,
               reasons, placed_at, held_until, waits_for, cancelled_at, cancel_reason
          from orders."order"
         where cell = $1 and ($2::uuid is null or person_id = $2)
           and ($3::text is null or state = $3) and ($4::uuid is null or id < $4)
         order by id desc limit $5
        """,
        tx.cell,
        person_id,
        state,
        before[0] if before else None,
        limit + 1,
    )
    return page(rows, limit, lambda r: (r.id,))


async def lines_of(tx: Tx, order_ids: Sequence[uuid.UUID]) -> list[OrderLine]:
    """The lines of orders, in order."""
    return await tx.rows(
        OrderLine,
        """
        select order_id, line, offer_id, seller_id, variant_id, sku, title, node, hold_id, quantity,
               unit_price_minor, goods_minor, discount_minor, tax_basis_points, tax_minor,
               total_minor, fee_minor, cancelled, shipped, returned
          from orders.line where cell = $1 and order_id = any($2::uuid[]) order by order_id, line
        """,
        tx.cell,
        list(order_ids),
    )


async def shipments_of(tx: Tx, order_ids: Sequence[uuid.UUID]) -> list[Shipment]:
    """The parcels of orders, in the order they left."""
    return await tx.rows(
        Shipment,
        """
        select id, order_id, node, state, carrier, tracking, lines, shipped_at, delivered_at
          from orders.shipment
         where cell = $1 and order_id = any($2::uuid[]) order by shipped_at, id
        """,
        tx.cell,
        list(order_ids),
    )
