"""A line that takes the place of one that comes back: added to its order, paid with what was paid.

Who may exchange what, and when, belongs to whoever calls this."""

from __future__ import annotations

import uuid

import msgspec

from pinwheel.kernel.db import Tx


class Replacement(msgspec.Struct, frozen=True, kw_only=True):
    """``quantity`` pieces that are held by ``hold_id`` at ``node``, for ``total_minor`` of the
    order's money (``tax_minor`` of it is tax); ``instead_of``: the line that comes back."""

    instead_of: int
    offer_id: uuid.UUID
    seller_id: uuid.UUID
    variant_id: uuid.UUID
    sku: str
    title: dict[str, str]
    node: str
    hold_id: uuid.UUID
    quantity: int
    unit_price_minor: int
    total_minor: int
    tax_minor: int


async def add_replacement(
    tx: Tx, order_id: uuid.UUID, line: Replacement, *, carried_minor: int
) -> int:
    """The replacement is a line of the order, to be sent like any other; its number. 1 statement.

    ``carried_minor`` of what the old pieces were paid with is given back and paid in again at
    once, so what the order keeps stays what it was. The order is to be under lock."""
    number: int = await tx.value(
        """
        with whole as (
          update orders."order"
             set state = 'placed',
                 goods_minor = goods_minor + $7::bigint * $6::bigint,
                 discount_minor = discount_minor + $7::bigint * $6::bigint
                                  - ($8::bigint
                                     - case when tax_included then 0 else $9::bigint end),
                 tax_minor = tax_minor + $9, total_minor = total_minor + $8,
                 secured_minor = secured_minor + $10, refunded_minor = refunded_minor + $10
           where cell = $1 and id = $2
          returning tax_included
        )
        insert into orders.line (cell, order_id, line, offer_id, seller_id, variant_id, sku, title,
               node, hold_id, quantity, unit_price_minor, goods_minor, discount_minor,
               tax_basis_points, tax_minor, total_minor, fee_minor)
        select $1, $2, (select max(line) + 1 from orders.line where cell = $1 and order_id = $2),
               $4, $5, $11, $12, $13::jsonb, $14, $15, $6, $7, $7::bigint * $6::bigint,
               $7::bigint * $6::bigint
               - ($8::bigint - case when w.tax_included then 0 else $9::bigint end),
               l.tax_basis_points, $9, $8,
               case when l.total_minor > 0 then div(l.fee_minor::numeric * $8, l.total_minor)
                    else 0 end::bigint
          from whole w, orders.line l
         where l.cell = $1 and l.order_id = $2 and l.line = $3
        returning line
        """,
        tx.cell,
        order_id,
        line.instead_of,
        line.offer_id,
        line.seller_id,
        line.quantity,
        line.unit_price_minor,
        line.total_minor,
        line.tax_minor,
        carried_minor,
        line.variant_id,
        line.sku,
        line.title,
        line.node,
        line.hold_id,
    )
    return number
