"""The one statement that writes new orders with their lines."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.trade.orders.draft import (
    Discount,
    Draft,
    quote_token,
)
from pinwheel.trade.orders.model import (
    number_of,
)


async def insert_orders(tx: Tx, drafts: Sequence[Draft]) -> None:
    """Write the drafts as orders that wait for their payment; none when another transaction has
    just used one of their idempotency keys (tried again, its order is found). One statement, and
    one where there are discounts."""
    await _insert(tx, drafts)
    discounts = [(d.id, one) for d in drafts for one in d.discounts]
    if discounts:
        await _insert_discounts(tx, discounts)


async def _insert(tx: Tx, drafts: Sequence[Draft]) -> None:
    await tx.run(
        """
        with "order" as (
          insert into orders."order" (
            cell, id, number, state, person_id, contact, ship_to, country, region, market, currency,
            channel, delivery, goods_minor, discount_minor, delivery_minor, delivery_tax_minor,
            tax_minor, tax_included, total_minor, reasons, quote, scope, key, input_hash,
            held_until, waits_for, placed_at, city)
          select $1, o.id, o.number, 'pending_payment', o.person_id, o.contact, o.ship_to,
                 o.country, o.region, o.market, o.currency, o.channel, o.delivery, o.goods,
                 o.discount, o.delivery_minor, o.delivery_tax, o.tax, o.tax_included, o.total,
                 o.reasons::jsonb, o.quote, o.scope, o.key, o.input_hash, o.held_until,
                 o.waits_for, $2, o.city
            from unnest($3::uuid[], $4::text[], $5::uuid[], $6::text[], $7::text[], $8::text[],
                        $9::text[], $10::text[], $11::text[], $12::text[], $13::text[],
                        $14::bigint[], $15::bigint[], $16::bigint[], $17::bigint[],
                        $18::bigint[], $19::boolean[], $20::bigint[], $21::text[], $22::text[],
                        $23::text[], $24::text[], $25::bytea[], $26::timestamptz[], $27::text[],
                        $45::text[])
                 as o(id, number, person_id, contact, ship_to, country, region, market, currency,
                      channel, delivery, goods, discount, delivery_minor, delivery_tax, tax,
                      tax_included, total, reasons, quote, scope, key, input_hash, held_until,
                      waits_for, city)
        )
        insert into orders.line (
          cell, order_id, line, offer_id, seller_id, variant_id, sku, title, node, hold_id,
          quantity, unit_price_minor, goods_minor, discount_minor, tax_basis_points, tax_minor,
          total_minor, fee_minor)
        select $1, l.order_id, l.line, l.offer_id, l.seller_id, l.variant_id, l.sku,
               l.title::jsonb, l.node, l.hold_id, l.quantity, l.unit_price, l.goods, l.discount,
               l.rate, l.tax, l.total, l.fee
          from unnest($28::uuid[], $29::smallint[], $30::uuid[], $31::uuid[], $32::uuid[],
                      $33::text[], $34::text[], $35::text[], $36::uuid[], $37::bigint[],
                      $38::bigint[], $39::bigint[], $40::bigint[], $41::int[], $42::bigint[],
                      $43::bigint[], $44::bigint[])
               as l(order_id, line, offer_id, seller_id, variant_id, sku, title, node, hold_id,
                    quantity, unit_price, goods, discount, rate, tax, total, fee)
        """,
        tx.cell,
        tx.now,
        *_order_columns(tx, drafts),
        *_line_columns(drafts),
        [d.city.strip() for d in drafts],
    )


async def _insert_discounts(tx: Tx, discounts: Sequence[tuple[uuid.UUID, Discount]]) -> None:
    await tx.run(
        """
        insert into orders.discount
          (cell, order_id, offer_id, source, source_id, budget_id, amount_minor)
        select $1, order_id, offer_id, source, source_id, budget_id, sum(amount_minor)
          from unnest($2::uuid[], $3::uuid[], $4::text[], $5::uuid[], $6::uuid[], $7::bigint[])
               as d(order_id, offer_id, source, source_id, budget_id, amount_minor)
         group by order_id, offer_id, source, source_id, budget_id
        """,
        tx.cell,
        [order_id for order_id, _ in discounts],
        [d.offer_id for _, d in discounts],
        [d.source for _, d in discounts],
        [d.source_id for _, d in discounts],
        [d.budget_id for _, d in discounts],
        [d.amount_minor for _, d in discounts],
    )


def _order_columns(tx: Tx, drafts: Sequence[Draft]) -> list[list[Any]]:
    return [
        [d.id for d in drafts],
        [number_of(d.id) for d in drafts],
        [d.person_id for d in drafts],
        [d.contact for d in drafts],
        [d.ship_to for d in drafts],
        [d.country for d in drafts],
        [d.region for d in drafts],
        [d.market for d in drafts],
        [d.currency for d in drafts],
        [d.channel for d in drafts],
        [d.delivery for d in drafts],
        [d.goods_minor for d in drafts],
        [d.discount_minor for d in drafts],
        [d.delivery_minor for d in drafts],
        [d.delivery_tax_minor for d in drafts],
        [d.tax_minor for d in drafts],
        [d.tax_included for d in drafts],
        [d.total_minor for d in drafts],
        [msgspec.json.encode(d.reasons).decode() for d in drafts],
        [quote_token(d) for d in drafts],
        [d.scope if d.key else None for d in drafts],
        [d.key for d in drafts],
        [d.asked if d.key else None for d in drafts],
        [tx.now + dt.timedelta(seconds=d.undo_seconds) if d.undo_seconds else None for d in drafts],
        [d.waits_for for d in drafts],
    ]


def _line_columns(drafts: Sequence[Draft]) -> list[list[Any]]:
    lines = [(d, number, li) for d in drafts for number, li in enumerate(d.lines)]
    return [
        [d.id for d, _, _ in lines],
        [number for _, number, _ in lines],
        [li.offer_id for _, _, li in lines],
        [li.seller_id for _, _, li in lines],
        [li.variant_id for _, _, li in lines],
        [li.sku for _, _, li in lines],
        [msgspec.json.encode(li.title).decode() for _, _, li in lines],
        [li.node for _, _, li in lines],
        [li.hold_id for _, _, li in lines],
        [li.quantity for _, _, li in lines],
        [li.unit_price_minor for _, _, li in lines],
        [li.goods_minor for _, _, li in lines],
        [li.discount_minor for _, _, li in lines],
        [li.tax_basis_points for _, _, li in lines],
        [li.tax_minor for _, _, li in lines],
        [d.line_total(li) for d, _, li in lines],
        [li.fee_minor for _, _, li in lines],
    ]
