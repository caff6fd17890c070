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
from pinwheel.kernel.errors import NotFound, Refusal
from pinwheel.trade import inventory, payments
from pinwheel.trade.marketplace import OUTLET_SELLER_ID, OWN_SELLER_ID
from pinwheel.trade.orders.actions import give_money_back, locked
from pinwheel.trade.orders.here import not_here
from pinwheel.trade.orders.later import captured_later
from pinwheel.trade.orders.model import (
    LinesCancelled,
    NothingToShip,
    Order,
    OrderDelivered,
    OrderLine,
    OrderNotCancellable,
    OrderNotReady,
    OrderShipped,
    share,
)
from pinwheel.trade.orders.one_click_travel import refuse_to_strand
from pinwheel.trade.orders.queries import lines_of


def sales(seller_id: uuid.UUID, currency: str) -> Account:
    """What selling brings, without tax: the shop's own income, or what is owed to a seller."""
    if seller_id == OWN_SELLER_ID:
        return Account(f"sales:own:{currency}", ledger.money(currency), "credit")
    if seller_id == OUTLET_SELLER_ID:
        return Account(f"sales:outlet:{currency}", ledger.money(currency), "credit")
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


class Sending(msgspec.Struct, frozen=True, kw_only=True):
    """Parts (line, quantity) of one order to send, or all that is left. ``shipment_id`` makes a
    repeat harmless."""

    order_id: uuid.UUID
    parts: Sequence[tuple[int, int]] | None = None
    shipment_id: uuid.UUID | None = None
    carrier: str = ""
    tracking: str = ""


async def locked_orders(
    tx: Tx, order_ids: Sequence[uuid.UUID]
) -> dict[uuid.UUID, tuple[Order, list[OrderLine]]]:
    """Orders under lock, in the order of their ids, with their lines. 2 statements."""
    found = await tx.rows(
        Order,
        """
        select id, number, state, person_id, contact, ship_to, country, region, market, currency,
               channel, delivery, goods_minor, discount_minor, delivery_minor, delivery_tax_minor,
               tax_minor, tax_included, total_minor, secured_minor, refunded_minor, delivery_taken,
               reasons, placed_at, held_until, waits_for, cancelled_at, cancel_reason
          from orders."order" where cell = $1 and id = any($2::uuid[]) order by id for update
        """,
        tx.cell,
        list(order_ids),
    )
    lines: dict[uuid.UUID, list[OrderLine]] = {order.id: [] for order in found}
    for line in await lines_of(tx, list(lines)):
        lines[line.order_id].append(line)
    return {order.id: (order, lines[order.id]) for order in found}


class _Sent(msgspec.Struct, kw_only=True):
    """One sending as it will be written: a parcel from each node."""

    order: Order
    sending: Sending
    parts: list[tuple[OrderLine, int]]
    parcels: dict[str, list[tuple[int, int]]]
    ids: list[uuid.UUID]
    is_whole: bool  # nothing is left to be sent after it
    income: dict[str, tuple[Account, int]] = {}


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
    sending = Sending(
        order_id=order_id,
        parts=parts,
        shipment_id=shipment_id,
        carrier=carrier,
        tracking=tracking,
    )
    [answer] = await ship_orders(tx, [sending])
    if isinstance(answer, Refusal):
        raise answer
    return answer


async def ship_orders(tx: Tx, sendings: Sequence[Sending]) -> list[list[uuid.UUID] | Refusal]:
    """``ship`` for a list, each order once: the ids of its parcels, or why not. 6 statements and
    the ledger's, and those of captures that were left until now."""
    found = await locked_orders(tx, [s.order_id for s in sendings])
    named = [s.shipment_id for s in sendings if s.shipment_id is not None]
    repeated = set(
        await tx.values(
            "select id from orders.shipment where cell = $1 and id = any($2::uuid[])",
            tx.cell,
            named,
        )
        if named
        else []
    )
    answers: list[list[uuid.UUID] | Refusal | None] = []
    leaving: dict[uuid.UUID, _Sent] = {}
    for sending in sendings:
        answer: list[uuid.UUID] | Refusal | None = None
        if sending.shipment_id in repeated and sending.shipment_id is not None:
            answer = [sending.shipment_id]
        elif sending.order_id in leaving:
            raise ValueError("an order is sent once a call")
        else:
            planned = _planned(tx, sending, found.get(sending.order_id))
            if isinstance(planned, Refusal):
                answer = planned
            else:
                leaving[sending.order_id] = planned
        answers.append(answer)
    refused = await not_here(tx, [(s.order, s.parts) for s in leaving.values()])
    refused |= await _recognise(tx, [s for s in leaving.values() if s.order.id not in refused])
    sent = [s for s in leaving.values() if s.order.id not in refused]
    if sent:
        await _write_parcels(tx, sent)
        await _capture(tx, {s.order.id: sum(a for _, a in s.income.values()) for s in sent})
        tx.emit(*(_shipped(s, parcel) for s in sent for parcel in s.ids))
    return [
        answer or refused.get(sending.order_id) or leaving[sending.order_id].ids
        for sending, answer in zip(sendings, answers, strict=True)
    ]


def _planned(
    tx: Tx, sending: Sending, found: tuple[Order, list[OrderLine]] | None
) -> _Sent | Refusal:
    if found is None:
        return NotFound(what="order")
    order, lines = found
    by_number = {li.line: li for li in lines}
    wanted = (
        [(li.line, li.open) for li in lines if li.open]
        if sending.parts is None
        else _merged(sending.parts)
    )
    if (
        order.state not in ("placed", "shipped")
        or order.waits_for is not None
        or (order.held_until is not None and order.held_until > tx.now)
    ):
        return OrderNotReady(number=order.number, state=_why_not_ready(order))
    short = _not_open(order, by_number, wanted)
    if short is not None:
        return short
    parcels: dict[str, list[tuple[int, int]]] = {}
    for number, quantity in wanted:
        parcels.setdefault(by_number[number].node, []).append((number, quantity))
    return _Sent(
        order=order,
        sending=sending,
        parts=[(by_number[number], quantity) for number, quantity in wanted],
        parcels=parcels,
        ids=[sending.shipment_id or tx.new_id(), *(tx.new_id() for _ in list(parcels)[1:])],
        is_whole=sum(quantity for _, quantity in wanted) == sum(li.open for li in lines),
    )


def _shipped(sent: _Sent, parcel_id: uuid.UUID) -> OrderShipped:
    return OrderShipped(
        order_id=sent.order.id,
        number=sent.order.number,
        person_id=sent.order.person_id,
        shipment_id=parcel_id,
        tracking=sent.sending.tracking,
    )


def _merged(parts: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """One entry for each line, however often it is named; what is not positive stays to be
    refused."""
    merged: dict[int, int] = {}
    for number, quantity in parts:
        if quantity <= 0:
            return list(parts)
        merged[number] = merged.get(number, 0) + quantity
    return list(merged.items())


def _why_not_ready(order: Order) -> str:
    """One of the codes of ``OrderNotReady``."""
    if order.state not in ("placed", "shipped"):
        return order.state
    return "waiting" if order.waits_for is not None else "undoable"


def _not_open(
    order: Order, by_number: dict[int, OrderLine], wanted: Sequence[tuple[int, int]]
) -> NothingToShip | None:
    asked: dict[int, int] = {}
    for number, quantity in wanted or [(0, 0)]:
        asked[number] = asked.get(number, 0) + quantity
        line = by_number.get(number)
        if line is None or quantity <= 0 or asked[number] > line.open:
            return NothingToShip(
                line=number,
                number=order.number,
                open=line.open if line else 0,
                asked=asked[number],
            )
    return None


async def _write_parcels(tx: Tx, sent: Sequence[_Sent]) -> None:
    parcels = [
        (parcel_id, s, node, lines)
        for s in sent
        for parcel_id, (node, lines) in zip(s.ids, s.parcels.items(), strict=True)
    ]
    parts = [(s.order.id, line.line, quantity) for s in sent for line, quantity in s.parts]
    await tx.run(
        """
        with parcel as (
          insert into orders.shipment
            (cell, id, order_id, node, state, carrier, tracking, lines, shipped_at)
          select $1, p.id, p.order_id, p.node, 'shipped', p.carrier, p.tracking, p.lines::jsonb, $2
            from unnest($3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::text[], $8::text[])
                 as p(id, order_id, node, carrier, tracking, lines)
        ), line as (
          update orders.line l set shipped = l.shipped + s.quantity
            from (select order_id, line, sum(quantity)::bigint as quantity
                    from unnest($9::uuid[], $10::smallint[], $11::bigint[])
                         as s(order_id, line, quantity)
                   group by order_id, line) s
           where l.cell = $1 and l.order_id = s.order_id and l.line = s.line
        )
        update orders."order" o
           set delivery_taken = true, state = case when s.is_whole then 'shipped' else o.state end
          from unnest($12::uuid[], $13::boolean[]) as s(id, is_whole)
         where o.cell = $1 and o.id = s.id
        """,
        tx.cell,
        tx.now,
        [parcel_id for parcel_id, _, _, _ in parcels],
        [s.order.id for _, s, _, _ in parcels],
        [node for _, _, node, _ in parcels],
        [s.sending.carrier for _, s, _, _ in parcels],
        [s.sending.tracking for _, s, _, _ in parcels],
        [msgspec.json.encode(lines).decode() for _, _, _, lines in parcels],
        [order_id for order_id, _, _ in parts],
        [line for _, line, _ in parts],
        [quantity for _, _, quantity in parts],
        [s.order.id for s in sent],
        [s.is_whole for s in sent],
    )


async def _recognise(tx: Tx, sent: Sequence[_Sent]) -> dict[uuid.UUID, Refusal]:
    """Stock goes to sold, deposits to income; all of an order in one journal. Who is refused."""
    aside = await inventory.earmarks_of_holds(
        tx, [line.hold_id for s in sent for line, _ in s.parts if line.hold_id is not None]
    )
    journals = []
    for one in sent:
        order, income = one.order, list[tuple[Account, int]]()
        transfers: list[Transfer] = []
        taxes = tax_payable(order.country, order.currency)
        for line, quantity in one.parts:
            place = inventory.Place(line.seller_id, line.node, line.variant_id)
            transfers.append(
                Transfer(
                    inventory.sold(line.variant_id),
                    inventory.account_of(place, aside.get(line.hold_id) if line.hold_id else None),
                    quantity,
                    hold=line.hold_id,
                    closes=False,
                )
            )
            net, tax = line_money(line, line.shipped, quantity)
            income += [(sales(line.seller_id, order.currency), net), (taxes, tax)]
        if not order.delivery_taken:
            net, tax = delivery_money(order)
            income += [(delivery_income(order.currency), net), (taxes, tax)]
        for account, amount in income:
            before = one.income.get(account.code, (account, 0))[1]
            one.income[account.code] = (account, before + amount)
        deposits = payments.deposits(order.currency)
        transfers += [Transfer(deposits, a, amount) for a, amount in one.income.values() if amount]
        journals.append(
            Journal(
                document_kind="order",
                document_id=order.id,
                key=f"ship:{one.ids[0]}",
                reason="parcel sent",
                transfers=tuple(transfers),
            )
        )
    answers = await ledger.post(tx, journals)
    return {s.order.id: a for s, a in zip(sent, answers, strict=True) if isinstance(a, Refusal)}


async def _capture(tx: Tx, left_minor: dict[uuid.UUID, int]) -> None:
    """Take what was only authorised, tender by tender, up to what has left the house; of orders
    that are taken later, nothing."""
    tenders = [
        p
        for p in await payments.payments_of(tx, list(left_minor))
        if not p.captures_at_once and p.authorised_minor > p.captured_minor
    ]
    later = await captured_later(tx, [p.order_id for p in tenders]) if tenders else set()
    for payment in tenders:
        open_minor = payment.authorised_minor - payment.captured_minor
        part = min(left_minor[payment.order_id], open_minor)
        if part <= 0 or payment.order_id in later:
            continue
        answer = await payments.capture(tx, payment.id, part)
        if isinstance(answer, payments.CaptureTooLarge) and answer.facts["left"] > 0:
            part = answer.facts["left"]
            answer = await payments.capture(tx, payment.id, part)
        if not isinstance(answer, Refusal):
            left_minor[payment.order_id] -= part


class _Arrived(msgspec.Struct, frozen=True):
    shipment_id: uuid.UUID
    id: uuid.UUID
    number: str
    person_id: uuid.UUID | None


async def deliver(tx: Tx, shipment_id: uuid.UUID) -> None:
    """A parcel has arrived; the order is delivered with its last one. Safe to repeat."""
    await deliver_parcels(tx, [shipment_id])


async def deliver_parcels(tx: Tx, shipment_ids: Sequence[uuid.UUID]) -> None:
    """``deliver`` for a list. 1 statement."""
    done = await tx.rows(
        _Arrived,
        """
        with parcel as (
          update orders.shipment set state = 'delivered', delivered_at = $3
           where cell = $1 and id = any($2::uuid[]) and state = 'shipped' returning id, order_id
        ), whole as (
          update orders."order" o
             set state = case when o.state = 'shipped' and not exists (
                   select from orders.shipment s
                    where s.cell = $1 and s.order_id = o.id and s.id <> all($2::uuid[])
                      and s.state = 'shipped')
                 then 'delivered' else o.state end
           where o.cell = $1 and o.id in (select order_id from parcel)
          returning o.id, o.number, o.person_id
        )
        select parcel.id as shipment_id, whole.id, whole.number, whole.person_id
          from parcel join whole on whole.id = parcel.order_id order by parcel.id
        """,
        tx.cell,
        list(shipment_ids),
        tx.now,
    )
    tx.emit(
        *(
            OrderDelivered(
                order_id=one.id,
                number=one.number,
                person_id=one.person_id,
                shipment_id=one.shipment_id,
            )
            for one in done
        )
    )


async def cancel_lines(
    tx: Tx,
    order_id: uuid.UUID,
    parts: Sequence[tuple[int, int]],
    *,
    reason: str,
    person_id: uuid.UUID | None = None,
) -> int:
    """Cancel ``parts`` (line, quantity) that have not left; what goes back, in minor units.

    Delivery goes back with the last piece, if no parcel has left. Refuses ``NothingToShip`` and
    ``OrderNotCancellable``. With ``person_id`` only that person's order is found, and
    ``CarriesOthers`` is refused while orders travel with it for nothing.
    """
    parts = _merged(parts)
    order, lines = await locked(tx, order_id, person_id=person_id)
    if order.state != "placed":
        raise OrderNotCancellable(number=order.number, state=order.state)
    by_number = {li.line: li for li in lines}
    short = _not_open(order, by_number, parts)
    if short is not None:
        raise short
    refund = 0
    for number, quantity in parts:
        line = by_number[number]
        # From the end, as what is sent goes from the start: so what is sent carries the same
        # money whatever is cancelled when, and a return knows it from the count alone.
        refund += sum(line_money(line, line.quantity - line.cancelled - quantity, quantity))
    last = sum(li.open for li in lines) == sum(q for _, q in parts)
    if last and not order.delivery_taken:
        if person_id is not None:
            await refuse_to_strand(tx, order)
        refund += sum(delivery_money(order))
    await _write_cancelled(tx, order_id, parts, last, reason)
    holds = [(by_number[n].hold_id, q) for n, q in parts]
    await ledger.reduce(tx, [(hold_id, q) for hold_id, q in holds if hold_id is not None])
    if last and not order.delivery_taken:  # seats, coupon uses: what else it held
        await ledger.release_for(tx, [order_id])
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
