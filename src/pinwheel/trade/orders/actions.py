"""Orders that are written: confirm when paid, take up again, give up, cancel. The verbs take lists;
refusals answer one each."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.ground import ledger
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade import inventory, payments
from pinwheel.trade.orders.budget_settling import reserve_again
from pinwheel.trade.orders.model import (
    Order,
    OrderCancelled,
    OrderLine,
    OrderNotCancellable,
    OrderPlaced,
    OtherSecured,
    PaidFurther,
)
from pinwheel.trade.orders.one_click_travel import refuse_to_strand
from pinwheel.trade.orders.queries import lines_of
from pinwheel.trade.orders.stock_stage import HOLD_SECONDS

LATE = "paid after the order had ended"


async def confirm(tx: Tx, secured: dict[uuid.UUID, int]) -> None:
    """Orders whose payments are secured become placed, and their stock is theirs for good. 2
    statements.

    A payment that comes after its order has ended is not kept: the stock is taken again if it
    is still there, else the money goes back by itself."""
    rows = await tx.rows(
        _Confirmed,
        """
        update orders."order" o
           set secured_minor = o.secured_minor + s.amount,
               state = case when o.state = 'pending_payment'
                             and o.secured_minor + s.amount >= o.total_minor then 'placed'
                            else o.state end,
               held_until = case when o.held_until is not null
                                 then $4::timestamptz + (o.held_until - o.placed_at) end
          from unnest($2::uuid[], $3::bigint[]) as s(id, amount)
         where o.cell = $1 and o.id = any($2::uuid[]) and o.id = s.id
        returning o.id, o.number, o.state, o.person_id, o.total_minor, o.secured_minor, o.currency,
                  o.market, o.channel
        """,
        tx.cell,
        sorted(secured),
        [secured[i] for i in sorted(secured)],
        tx.now,
    )
    # One that was whole before this payment is not placed a second time: it was paid further.
    fresh = [
        r for r in rows if not secured[r.id] or r.secured_minor - secured[r.id] < r.total_minor
    ]
    placed = [r for r in fresh if r.state == "placed"]
    if placed:
        tx.emit(*(r.event() for r in placed))
    if len(rows) < len(secured):
        others = secured.keys() - {r.id for r in rows}
        tx.emit(OtherSecured(document_ids=tuple(sorted(others))))
    if len(fresh) < len(rows):
        known = {r.id for r in fresh}
        tx.emit(*(PaidFurther(order_id=r.id) for r in rows if r.id not in known))
    late = [r for r in rows if r.state == "cancelled"]
    if late:
        await revive(tx, [r.id for r in late])


class _Confirmed(msgspec.Struct, frozen=True):
    id: uuid.UUID
    number: str
    state: str
    person_id: uuid.UUID | None
    total_minor: int
    secured_minor: int
    currency: str
    market: str
    channel: str

    def event(self) -> OrderPlaced:
        return OrderPlaced(
            order_id=self.id,
            number=self.number,
            person_id=self.person_id,
            total_minor=self.total_minor,
            currency=self.currency,
            market=self.market,
            channel=self.channel,
        )


async def revive(tx: Tx, order_ids: Sequence[uuid.UUID]) -> None:
    """The late payer: take the stock again where it is still free and the whole is paid, else
    send the money back without anybody asking. An order that used a right goes the second way."""
    for order_id in sorted(order_ids):
        order, lines = await locked(tx, order_id)
        again = None
        if await _may_revive(tx, order):
            again = await ledger.hold(
                tx,
                [
                    ledger.Hold(
                        document_kind="order",
                        document_id=order_id,
                        key=f"{li.line}:{li.node}:again",
                        debit=inventory.sold(li.variant_id),
                        credit=inventory.available(
                            inventory.Place(li.seller_id, li.node, li.variant_id)
                        ),
                        amount=li.quantity,
                    )
                    for li in lines
                ],
            )
            again += await reserve_again(tx, order_id)
        held = [a for a in again or () if isinstance(a, ledger.Held)]
        if again is None or len(held) < len(again):
            await ledger.release(tx, [h.hold_id for h in held])
            left = order.secured_minor - order.refunded_minor
            await give_money_back(tx, order, left, LATE, whole=True)
            continue
        await tx.run(
            """
            with line as (
              update orders.line l set cancelled = 0, hold_id = h.hold_id
                from unnest($3::smallint[], $4::uuid[]) as h(line, hold_id)
               where l.cell = $1 and l.order_id = $2 and l.line = h.line
            )
            update orders."order" set state = 'placed', cancelled_at = null, cancel_reason = null
             where cell = $1 and id = $2
            """,
            tx.cell,
            order_id,
            [li.line for li in lines],
            [h.hold_id for h in held[: len(lines)]],
        )
        tx.emit(
            OrderPlaced(
                order_id=order.id,
                number=order.number,
                person_id=order.person_id,
                total_minor=order.total_minor,
                currency=order.currency,
                market=order.market,
                channel=order.channel,
            )
        )


async def _may_revive(tx: Tx, order: Order) -> bool:
    """Paid in full, and it held no more than stock and budgets: a seat, a coupon, a deal's piece
    or an admission is somebody else's by now, or may be."""
    paid = order.secured_minor - order.refunded_minor >= order.total_minor
    if not paid or order.cancel_reason != "unpaid" or order.waits_for is not None:
        return False
    had: bool = await tx.value(
        """
        select exists (select from ledger.v_hold where document_id = $2 and cell = $1
                          and key !~ '^([0-9]+|budget|payment):')
        """,
        tx.cell,
        order.id,
    )
    return not had


async def waiting_too_long(tx: Tx, *, most: int = 500) -> list[uuid.UUID]:
    """Orders whose payment did not come within ``HOLD_SECONDS``, under lock; others' are left, and
    those that are to be paid at a counter, which has a deadline of its own."""
    return await tx.values(
        """
        select id from orders."order" o
         where cell = $1 and state = 'pending_payment' and placed_at <= $2
           and not exists (select from payments.v_cash_due d
                            where d.cell = o.cell and d.order_id = o.id and d.ended_at is null)
         order by id limit $3 for update of o skip locked
        """,
        tx.cell,
        tx.later_than(-HOLD_SECONDS),
        most,
    )


async def give_up(tx: Tx, order_ids: Sequence[uuid.UUID]) -> None:
    """Orders that were never paid for end; their stock goes back. Safe to repeat. Others are
    left alone."""
    ended = await tx.rows(
        _Ended,
        """
        with ended as (
          update orders."order" o
             set state = 'cancelled', cancelled_at = $3, cancel_reason = 'unpaid'
           where o.cell = $1 and o.id = any($2::uuid[]) and o.state = 'pending_payment'
          returning o.id, o.number, o.person_id, o.secured_minor
        ), line as (
          update orders.line l set cancelled = l.quantity from ended
           where l.cell = $1 and l.order_id = ended.id
        )
        select id, number, person_id, secured_minor from ended order by id
        """,
        tx.cell,
        sorted(order_ids),
        tx.now,
    )
    if not ended:
        return
    await ledger.release_for(tx, [e.id for e in ended])
    for one in ended:
        if one.secured_minor:  # part of it was paid, the rest was not
            order, _ = await locked(tx, one.id)
            left = one.secured_minor - order.refunded_minor
            await give_money_back(tx, order, left, "unpaid", whole=True)
    tx.emit(
        *(
            OrderCancelled(
                order_id=e.id,
                number=e.number,
                person_id=e.person_id,
                reason="unpaid",
                refund_minor=e.secured_minor,
            )
            for e in ended
        )
    )


class _Ended(msgspec.Struct, frozen=True):
    id: uuid.UUID
    number: str
    person_id: uuid.UUID | None
    secured_minor: int


async def cancel(
    tx: Tx, order_id: uuid.UUID, *, reason: str, person_id: uuid.UUID | None = None
) -> Order:
    """Cancel a whole order before anything of it has left: stock and money go back. Safe to repeat.

    With ``person_id`` only that person's order is found. Refuses ``OrderNotCancellable``, and
    ``CarriesOthers`` to that person while other orders travel with this one for nothing.
    """
    order, lines = await locked(tx, order_id, person_id=person_id)
    if order.state == "cancelled":
        return order
    if person_id is not None:
        await refuse_to_strand(tx, order)
    if order.state == "pending_payment":
        await give_up(tx, [order_id])
        await payments.refund_all(tx, order_id, reason)
        await tx.run(
            'update orders."order" set cancel_reason = $3 where cell = $1 and id = $2',
            tx.cell,
            order_id,
            reason,
        )
        return (await locked(tx, order_id))[0]
    if order.state != "placed" or any(line.shipped for line in lines):
        raise OrderNotCancellable(number=order.number, state=order.state)
    refund = order.secured_minor - order.refunded_minor
    await tx.run(
        """
        with line as (
          update orders.line set cancelled = quantity where cell = $1 and order_id = $2
        )
        update orders."order" set state = 'cancelled', cancelled_at = $3, cancel_reason = $4
         where cell = $1 and id = $2
        """,
        tx.cell,
        order_id,
        tx.now,
        reason,
    )
    await ledger.release_for(tx, [order_id])
    await give_money_back(tx, order, refund, reason, whole=True)
    tx.emit(
        OrderCancelled(
            order_id=order.id,
            number=order.number,
            person_id=order.person_id,
            reason=reason,
            refund_minor=refund,
        )
    )
    return (await locked(tx, order_id))[0]


async def let_go(tx: Tx, order_ids: Sequence[uuid.UUID]) -> int:
    """What these orders waited for has happened: once paid they may be sent. How many waited. Safe
    to repeat. 1 statement."""
    return await tx.run(
        """
        update orders."order" set waits_for = null
         where cell = $1 and id = any($2::uuid[]) and waits_for is not null
        """,
        tx.cell,
        list(order_ids),
    )


async def give_money_back(
    tx: Tx, order: Order, amount_minor: int, reason: str, *, whole: bool = False
) -> None:
    """Refund ``amount_minor`` of the order and note it on the order.

    With ``whole`` the order is off: what is only authorised is voided, and what may still come in
    goes back by itself. Of a part, what was not captured yet is simply never captured.
    """
    if whole:
        await payments.refund_all(tx, order.id, reason)
    elif amount_minor > 0:
        part = min(amount_minor, await payments.refundable_of(tx, order.id))
        answer = await payments.refund_order(tx, order.id, part, reason) if part else None
        if isinstance(answer, Refusal):
            raise answer
    await tx.run(
        """
        update orders."order" set refunded_minor = least(secured_minor, refunded_minor + $3)
         where cell = $1 and id = $2
        """,
        tx.cell,
        order.id,
        amount_minor,
    )


async def locked(
    tx: Tx, order_id: uuid.UUID, *, person_id: uuid.UUID | None = None
) -> tuple[Order, list[OrderLine]]:
    """The order under lock, with its lines. ``NotFound`` when there is none, or none of this
    person."""
    order = await tx.the(
        "order",
        Order,
        """
        select id, number, state, person_id, contact, ship_to, country, region, market, currency,
               channel, delivery, goods_minor, discount_minor, delivery_minor, delivery_tax_minor,
               tax_minor, tax_included, total_minor, secured_minor, refunded_minor, delivery_taken,
               reasons, placed_at, held_until, waits_for, cancelled_at, cancel_reason
          from orders."order"
         where cell = $1 and id = $2 and ($3::uuid is null or person_id = $3)
           for update
        """,
        tx.cell,
        order_id,
        person_id,
    )
    return order, await lines_of(tx, [order_id])
