"""Questions about exchanges; the locking ones say so in their name."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import NotFound
from pinwheel.kernel.listing import Page, after, page
from pinwheel.trade import inventory, orders, pricing
from pinwheel.trade.orders import OrderLine
from pinwheel.trade.returns.exchanges import Choice, Exchange, new_unit_price, worth


class Waiting(msgspec.Struct, frozen=True, kw_only=True):
    """An exchange in the console's list."""

    return_id: uuid.UUID
    number: str
    order_id: uuid.UUID
    variant_id: uuid.UUID
    sku: str
    title: dict[str, str]
    node: str
    quantity: int
    pay_minor: int
    currency: str
    state: str
    why: str
    return_state: str
    asked_at: dt.datetime
    until_at: dt.datetime


async def exchanges_of(tx: Tx, return_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Exchange]:
    """The exchange of each return that has one."""
    rows = await tx.rows(
        Exchange,
        """
        select return_id, order_id, line, offer_id, seller_id, variant_id, sku, title, node,
               hold_id, quantity, unit_price_minor, pay_minor, back_minor, total_minor,
               payment_id, is_trusted, state, why, new_line, asked_at, until_at, ended_at
          from returns.exchange where cell = $1 and return_id = any($2::uuid[])
        """,
        tx.cell,
        list(return_ids),
    )
    return {row.return_id: row for row in rows}


async def locked_exchanges(tx: Tx, return_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Exchange]:
    """Open exchanges under lock, by id; their orders are to be locked before."""
    rows = await tx.rows(
        Exchange,
        """
        select return_id, order_id, line, offer_id, seller_id, variant_id, sku, title, node,
               hold_id, quantity, unit_price_minor, pay_minor, back_minor, total_minor,
               payment_id, is_trusted, state, why, new_line, asked_at, until_at, ended_at
          from returns.exchange
         where cell = $1 and return_id = any($2::uuid[]) and state in ('unpaid', 'waiting')
         order by return_id for update
        """,
        tx.cell,
        list(return_ids),
    )
    return {row.return_id: row for row in rows}


async def choices(
    tx: Tx, order_id: uuid.UUID, line: int, *, person_id: uuid.UUID | None = None
) -> list[Choice]:
    """What a line of an order may be exchanged for now: the variants of its product that its
    seller has. ``NotFound`` for another person's order."""
    sight = await orders.order(tx, order_id=order_id, person_id=person_id)
    found = next((li for li in sight.lines if li.line == line), None)
    if found is None:
        raise NotFound(what="line")
    return await choices_for(tx, found, sight.order.currency, sight.order.tax_included)


class _Offered(msgspec.Struct, frozen=True):
    offer_id: uuid.UUID
    variant_id: uuid.UUID
    seller_id: uuid.UUID
    sku: str
    title: dict[str, str]
    options: dict[str, str]


async def choices_for(tx: Tx, line: OrderLine, currency: str, tax_included: bool) -> list[Choice]:
    """As ``choices``, for a line that was read. 3 statements."""
    offered = await tx.rows(
        _Offered,
        """
        select o.offer_id, o.variant_id, o.seller_id, v.sku, v.title, v.options
          from catalogue.v_variant old
          join catalogue.v_variant v on v.product_id = old.product_id and v.buyable
          join marketplace.v_offer o on o.variant_id = v.variant_id and o.seller_id = $2
                                    and o.active
         where old.variant_id = $1 order by v.position, v.sku limit 200
        """,
        line.variant_id,
        line.seller_id,
    )
    known = await pricing.prices(tx, [line.offer_id, *(o.offer_id for o in offered)], currency)
    left: dict[uuid.UUID, int] = {}
    for place in await inventory.positions(tx, [o.variant_id for o in offered]):
        if place.is_open and place.seller_id == line.seller_id:
            left[place.variant_id] = max(left.get(place.variant_id, 0), place.atp)
    old = known.get(line.offer_id)
    same = worth(line, line.unit_price_minor, 1, tax_included=tax_included).total_minor
    found = []
    for one in offered:
        if one.offer_id not in known:
            continue
        unit = new_unit_price(
            line, old.price_minor if old else None, known[one.offer_id].price_minor
        )
        costs = worth(line, unit, 1, tax_included=tax_included).total_minor
        found.append(
            Choice(
                offer_id=one.offer_id,
                variant_id=one.variant_id,
                seller_id=one.seller_id,
                sku=one.sku,
                title=one.title,
                options=one.options,
                difference_minor=costs - same,
                unit_price_minor=unit,
                left=max(0, left.get(one.variant_id, 0)),
            )
        )
    return found


async def exchange_list(
    tx: Tx, *, state: str | None = None, cursor: str | None = None, limit: int = 50
) -> Page[Waiting]:
    """Exchanges for the console, newest first."""
    before = after(cursor, uuid.UUID)
    rows = await tx.rows(
        Waiting,
        """
        select e.return_id, r.number, e.order_id, e.variant_id, e.sku, e.title, e.node, e.quantity,
               e.pay_minor, r.currency, e.state, e.why, r.state as return_state, e.asked_at,
               e.until_at
          from returns.exchange e join returns.rma r on r.cell = e.cell and r.id = e.return_id
         where e.cell = $1 and ($2::text is null or e.state = $2)
           and ($3::uuid is null or e.return_id < $3)
         order by e.return_id desc limit $4
        """,
        tx.cell,
        state,
        before[0] if before else None,
        limit + 1,
    )
    return page(rows, limit, lambda r: (r.return_id,))
