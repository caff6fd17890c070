"""What happens to a placed order: parcels leave and arrive, lines are cancelled.

Income is recognised with the parcel: the buyer's deposit becomes sales, tax and delivery income.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Account, Journal, Transfer
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade import inventory, payments
from pinwheel.trade.marketplace import OWN_SELLER_ID
from pinwheel.trade.orders.actions import give_money_back, locked
from pinwheel.trade.orders.model import (
    LinesCancelled,
    NothingToShip,
    Order,
    OrderDelivered,
    OrderLine,
    OrderNotReady,
    OrderShipped,
    share,
)


def sales(seller_id: uuid.UUID, currency: str) -> Account:
    """What selling brings, without tax: the shop's own income, or what is owed to a seller."""
    if seller_id == OWN_SELLER_ID:
        return Account(f"sales:own:{currency}", ledger.money(currency), "credit")
    return Account(f"payable:{seller_id}:{currency}", ledger.money(currency), "credit")


def tax_payable(country: str, currency: str) -> Account:
    return Account(f"tax:{country}:{currency}", ledger.money(currency), "credit")


def delivery_income(currency: str) -> Account:
    return Account(f"delivery:{currency}", ledger.money(currency), "credit")


def line_money(line: OrderLine, before: int, part: int) -> tuple[int, int]:
    """(net, tax) that ``part`` pieces of a line carry after ``before`` others; they sum to it."""
    tax = share(line.tax_minor, line.quantity, before, part)
    total = share(line.total_minor, line.quantity, before, part)
    return total - tax, tax


def delivery_money(order: Order) -> tuple[int, int]:
    """(net, tax) of the delivery."""
    tax = order.delivery_tax_minor
    return order.delivery_minor - (tax if order.tax_included else 0), tax


async def ship(
    tx: Tx,
    order_id: uuid.UUID,
    parts: Sequence[tuple[int, int]] | None = None,
    *,
    shipment_id: uuid.UUID | None = None,
    carrier: str = "",
    tracking: str = "",
) -> list[uuid.UUID]:
    """Send ``parts`` (line, quantity), or all that is left: a parcel from each node; their ids.

    Stock leaves, income is recognised, and what was only authorised is captured. Safe to repeat
    with the same ``shipment_id``. Refuses ``OrderNotReady`` and ``NothingToShip``."""
    order, lines = await locked(tx, order_id)
    if shipment_id and await tx.value(
        "select id from orders.shipment where cell = $1 and id = $2", tx.cell, shipment_id
    ):
        return [shipment_id]
    by_number = {li.line: li for li in lines}
    wanted = [(li.line, li.open) for li in lines if li.open] if parts is None else list(parts)
    if order.state not in ("placed", "shipped") or (
        order.held_until is not None and order.held_until > tx.now
    ):
        raise OrderNotReady(number=order.number, state=order.state)
    _check_open(order, by_number, wanted)
    parcels: dict[str, list[tuple[int, int]]] = {}
    for number, quantity in wanted:
        parcels.setdefault(by_number[number].node, []).append((number, quantity))
    ids = [shipment_id or tx.new_id(), *(tx.new_id() for _ in list(parcels)[1:])]
    await _write_parcels(tx, order.id, parcels, ids, carrier, tracking)
    await _recognise(tx, order, [(by_number[n], q) for n, q in wanted], ids[0])
    tx.emit(
        *(
            OrderShipped(
                order_id=order.id,
                number=order.number,
                person_id=order.person_id,
                shipment_id=parcel_id,
                tracking=tracking,
            )
            for parcel_id in ids
        )
    )
    return ids


def _check_open(
    order: Order, by_number: dict[int, OrderLine], wanted: Sequence[tuple[int, int]]
) -> None:
    asked: dict[int, int] = {}
    for number, quantity in wanted or [(0, 0)]:
        asked[number] = asked.get(number, 0) + quantity
        line = by_number.get(number)
        if line is None or quantity <= 0 or asked[number] > line.open:
            raise NothingToShip(
                line=number,
                number=order.number,
                open=line.open if line else 0,
                asked=asked[number],
            )


async def _write_parcels(
    tx: Tx,
    order_id: uuid.UUID,
    parcels: dict[str, list[tuple[int, int]]],
    ids: Sequence[uuid.UUID],
    carrier: str,
    tracking: str,
) -> None:
    sent = [part for lines in parcels.values() for part in lines]
    await tx.run(
        """
        with parcel as (
          insert into orders.shipment
            (cell, id, order_id, node, state, carrier, tracking, lines, shipped_at)
          select $1, p.id, $2, p.node, 'shipped', $3, $4, p.lines::jsonb, $5
            from unnest($6::uuid[], $7::text[], $8::text[]) as p(id, node, lines)
        ), line as (
          update orders.line l set shipped = l.shipped + s.quantity
            from unnest($9::smallint[], $10::bigint[]) as s(line, quantity)
           where l.cell = $1 and l.order_id = $2 and l.line = s.line
        )
        update orders."order" o
           set delivery_taken = true,
               state = case when not exists (
                   select from orders.line l
                     left join unnest($9::smallint[], $10::bigint[]) as s(line, quantity)
                       on s.line = l.line
                    where l.cell = $1 and l.order_id = $2
                      and l.quantity > l.cancelled + l.shipped + coalesce(s.quantity, 0))
                 then 'shipped' else o.state end
         where o.cell = $1 and o.id = $2
        """,
        tx.cell,
        order_id,
        carrier,
        tracking,
        tx.now,
        list(ids),
        list(parcels),
        [msgspec.json.encode(lines).decode() for lines in parcels.values()],
        [number for number, _ in sent],
        [quantity for _, quantity in sent],
    )


async def _recognise(
    tx: Tx, order: Order, sent: Sequence[tuple[OrderLine, int]], shipment_id: uuid.UUID
) -> None:
    """Stock goes to sold, deposits to income; all of it in one journal."""
    deposits = payments.deposits(order.currency)
    taxes = tax_payable(order.country, order.currency)
    transfers: list[Transfer] = []
    income: list[tuple[Account, int]] = []
    for line, quantity in sent:
        place = inventory.Place(line.seller_id, line.node, line.variant_id)
        transfers.append(
            Transfer(
                inventory.sold(line.variant_id),
                inventory.available(place),
                quantity,
                hold=line.hold_id,
                closes=False,
            )
        )
        # What was cancelled counts as settled first, so that every share is the share of a piece.
        net, tax = line_money(line, line.cancelled + line.shipped, quantity)
        income += [(sales(line.seller_id, order.currency), net), (taxes, tax)]
    if not order.delivery_taken:
        net, tax = delivery_money(order)
        income += [(delivery_income(order.currency), net), (taxes, tax)]
    transfers += [Transfer(deposits, account, amount) for account, amount in income if amount]
    [answer] = await ledger.post(
        tx,
        [
            Journal(
                document_kind="order",
                document_id=order.id,
                key=f"ship:{shipment_id}",
                reason="parcel sent",
                transfers=tuple(transfers),
            )
        ],
    )
    if isinstance(answer, Refusal):
        raise answer
    await _capture(tx, order.id, sum(amount for _, amount in income))


async def _capture(tx: Tx, order_id: uuid.UUID, amount_minor: int) -> None:
    """Take what was only authorised, tender by tender, up to what has left the house."""
    for payment in await payments.payments_of(tx, [order_id]):
        part = min(amount_minor, payment.authorised_minor - payment.captured_minor)
        if payment.captures_at_once or part <= 0:
            continue
        answer = await payments.capture(tx, payment.id, part)
        if isinstance(answer, payments.CaptureTooLarge) and answer.facts["left"] > 0:
            part = answer.facts["left"]
            answer = await payments.capture(tx, payment.id, part)
        if not isinstance(answer, Refusal):
            amount_minor -= part


class _Arrived(msgspec.Struct, frozen=True):
    id: uuid.UUID
    number: str
    person_id: uuid.UUID | None


async def deliver(tx: Tx, shipment_id: uuid.UUID) -> None:
    """A parcel has arrived; the order is delivered with its last one. Safe to repeat."""
    done = await tx.row(
        _Arrived,
        """
        with parcel as (
          update orders.shipment set state = 'delivered', delivered_at = $3
           where cell = $1 and id = $2 and state = 'shipped' returning order_id
        )
        update orders."order" o
           set state = case when o.state = 'shipped' and not exists (
                 select from orders.shipment s
                  where s.cell = $1 and s.order_id = o.id and s.id <> $2 and s.state = 'shipped')
               then 'delivered' else o.state end
          from parcel where o.cell = $1 and o.id = parcel.order_id
        returning o.id, o.number, o.person_id
        """,
        tx.cell,
        shipment_id,
        tx.now,
    )
    if done is not None:
        tx.emit(
            OrderDelivered(
                order_id=done.id,
                number=done.number,
                person_id=done.person_id,
                shipment_id=shipment_id,
            )
        )


async def cancel_lines(
    tx: Tx, order_id: uuid.UUID, parts: Sequence[tuple[int, int]], *, reason: str
) -> int:
    """Cancel ``parts`` (line, quantity) that have not left; what goes back, in minor units.

    Delivery goes back with the last piece, if no parcel has left. Refuses ``NothingToShip`` and
    ``OrderNotReady``.
    """
    order, lines = await locked(tx, order_id)
    if order.state != "placed":
        raise OrderNotReady(number=order.number, state=order.state)
    by_number = {li.line: li for li in lines}
    _check_open(order, by_number, parts)
    refund = 0
    for number, quantity in parts:
        line = by_number[number]
        refund += sum(line_money(line, line.cancelled + line.shipped, quantity))
    last = sum(li.open for li in lines) == sum(q for _, q in parts)
    if last and not order.delivery_taken:
        refund += sum(delivery_money(order))
    await _write_cancelled(tx, order_id, parts, last, reason)
    holds = [(by_number[n].hold_id, q) for n, q in parts]
    await ledger.reduce(tx, [(hold_id, q) for hold_id, q in holds if hold_id is not None])
    await give_money_back(tx, order, refund, reason, whole=last and not order.delivery_taken)
    tx.emit(
        LinesCancelled(
            order_id=order.id,
            number=order.number,
            lines=list(parts),
            refund_minor=refund,
            reason=reason,
        )
    )
    return refund


async def _write_cancelled(
    tx: Tx, order_id: uuid.UUID, parts: Sequence[tuple[int, int]], last: bool, reason: str
) -> None:
    await tx.run(
        """
        with line as (
          update orders.line l set cancelled = l.cancelled + c.quantity
            from unnest($3::smallint[], $4::bigint[]) as c(line, quantity)
           where l.cell = $1 and l.order_id = $2 and l.line = c.line
        )
        update orders."order"
           set state = case when not $5 then state
                            when delivery_taken then 'shipped' else 'cancelled' end,
               cancelled_at = case when $5 and not delivery_taken then $6 else cancelled_at end,
               cancel_reason = case when $5 and not delivery_taken then $7 else cancel_reason end
         where cell = $1 and id = $2
        """,
        tx.cell,
        order_id,
        [number for number, _ in parts],
        [quantity for _, quantity in parts],
        last,
        tx.now,
        reason,
    )
