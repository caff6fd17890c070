"""Another piece instead of the money: held when it is asked for, let go when the old one is here.

The replacement becomes a line of the same order. What the old piece was paid with is lent to it
(the same asset as a refund in advance) and covered when the old piece is graded; so an old piece
that never comes, or is worth nothing, is owed and not lost.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence

import msgspec

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Journal, Transfer
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade import inventory, orders, payments
from pinwheel.trade.orders import HOLD_SECONDS, Order, OrderLine
from pinwheel.trade.returns.exchange_queries import choices_for, locked_exchanges
from pinwheel.trade.returns.exchanges import (
    Asked,
    Choice,
    DifferenceChanged,
    Exchange,
    ExchangeNotOffered,
    NewExchange,
    NotExchangeable,
    cut,
    paid_ahead,
    worth,
)
from pinwheel.trade.returns.looking import histories, locked
from pinwheel.trade.returns.model import (
    FAULTS,
    ExchangeAsked,
    ExchangeEnded,
    ExchangeReleased,
    History,
    NewReturn,
    Return,
    advances,
    withheld,
)
from pinwheel.trade.returns.refunding import Owing, refund
from pinwheel.trade.returns.requesting import cancel, request
from pinwheel.trade.returns.rules import SCORE_HALF, advance_limit, advance_of
from pinwheel.trade.returns.trials import trials_of
from pinwheel.trade.returns.writing import update_returns


def freight_of(ret: Return) -> int:
    """What of the way back the buyer bears."""
    return 0 if ret.reason in FAULTS else ret.policy.freight_minor


async def ask_exchange(tx: Tx, wish: NewExchange) -> Asked:
    """Hold the replacement and open the return of the old piece; the payment of the difference is
    to be asked for now (``payments.charge``), when there is one.

    Refuses what ``request`` refuses, ``NotExchangeable`` (another product, not for sale),
    ``OutOfStock``, ``ExchangeNotOffered`` (by the score), ``DifferenceChanged``, ``NoTender`` and
    what ``payments.start`` refuses. A refusal leaves nothing behind with its transaction."""
    [ret] = await request(
        tx,
        [
            NewReturn(
                order_id=wish.order_id,
                lines=[(wish.line, wish.quantity)],
                reason=wish.reason,
                note=wish.note,
                person_id=wish.person_id,
                is_exchange=True,
                way=wish.way,
                slot=wish.slot,
            )
        ],
    )
    if isinstance(ret, Refusal):
        raise ret
    tried = (await trials_of(tx, [wish.order_id])).get(wish.order_id)
    if ret.score >= SCORE_HALF or (tried is not None and tried.state in ("placed", "trying")):
        raise ExchangeNotOffered()
    order, lines = (await orders.locked_orders(tx, [wish.order_id]))[wish.order_id]
    line = next(li for li in lines if li.line == wish.line)
    found = await choices_for(tx, line, order.currency, order.tax_included)
    choice = next((c for c in found if c.offer_id == wish.offer_id), None)
    if choice is None:
        raise NotExchangeable()
    costs = worth(line, choice.unit_price_minor, wish.quantity, tax_included=order.tax_included)
    lent = advance_of([(line, wish.quantity)], freight_of(ret))
    more = costs.total_minor - lent
    if wish.expected_minor is not None and wish.expected_minor != more:
        raise DifferenceChanged(now=more, seen=wish.expected_minor, currency=order.currency)
    node, hold_id = await _held(tx, ret.id, choice.sku, _place_of(choice), wish.quantity)
    payment = await _payment(tx, wish, order, max(0, more))
    history = (await histories(tx, [ret.person_id])).get(ret.person_id) if ret.person_id else None
    limit = advance_limit(ret.policy, history or History(), ret.score, ret.reason)
    waits = ret.send_by or tx.later_than(ret.policy.send_days * 86_400)
    made = Exchange(
        return_id=ret.id,
        order_id=order.id,
        line=line.line,
        offer_id=choice.offer_id,
        seller_id=choice.seller_id,
        variant_id=choice.variant_id,
        sku=choice.sku,
        title=choice.title,
        node=node,
        hold_id=hold_id,
        quantity=wish.quantity,
        unit_price_minor=choice.unit_price_minor,
        pay_minor=max(0, more),
        back_minor=0,
        total_minor=costs.total_minor,
        payment_id=payment.id if payment else None,
        is_trusted=ret.person_id is not None and 0 < lent <= limit,
        state="unpaid" if payment else "waiting",
        why="",
        new_line=None,
        asked_at=tx.now,
        until_at=tx.later_than(HOLD_SECONDS) if payment else waits,
        ended_at=None,
    )
    await _insert(tx, made)
    tx.emit(
        ExchangeAsked(
            return_id=ret.id,
            number=ret.number,
            order_id=order.id,
            person_id=ret.person_id,
            variant_id=made.variant_id,
            quantity=made.quantity,
        )
    )
    if made.state == "waiting" and made.is_trusted and ret.state == "approved":
        made = await _release(tx, made, ret, (order, lines), made.quantity)
    return Asked(exchange=made, number=ret.number, payment=payment)


async def note_paid(tx: Tx, order_ids: Iterable[uuid.UUID]) -> int:
    """The differences of these orders that are secured by now are put by until the replacement is
    let go, at once for the trusted; how many. Safe to repeat."""
    ids = await tx.values(
        """
        select return_id from returns.exchange
         where cell = $1 and order_id = any($2::uuid[]) and state = 'unpaid'
        """,
        tx.cell,
        sorted(order_ids),
    )
    if not ids:
        return 0
    found = await locked(tx, ids)
    noted = 0
    for one in (await locked_exchanges(tx, ids)).values():
        ret = found.returns[one.return_id]
        asked = await payments.payments_by_id(tx, [one.payment_id] if one.payment_id else [])
        if one.state != "unpaid" or not any(p.is_secured for p in asked):
            continue
        currency = ret.currency
        ahead = Transfer(payments.deposits(currency), paid_ahead(currency), one.pay_minor)
        await _post(tx, ret, "exchange:ahead", "paid for a replacement", ahead)
        waits = ret.send_by or tx.later_than(ret.policy.send_days * 86_400)
        now = msgspec.structs.replace(one, state="waiting", until_at=waits)
        await _update(tx, now)
        if now.is_trusted and ret.state == "approved":
            await _release(tx, now, ret, found.orders[one.order_id], one.quantity)
        noted += 1
    return noted


async def release(tx: Tx, return_ids: Sequence[uuid.UUID]) -> list[Exchange]:
    """The old pieces are here: as many replacements are let go, as lines of their orders. Those
    without an open exchange are left alone. Safe to repeat."""
    ids = await _open_of(tx, return_ids)
    if not ids:
        return []
    found = await locked(tx, ids)
    done = []
    for one in (await locked_exchanges(tx, ids)).values():
        ret = found.returns[one.return_id]
        came = sum(li.received for li in found.lines[ret.id] if li.line == one.line)
        if one.state == "unpaid":
            done.append(await _end(tx, one, ret, "unpaid"))
        else:
            done.append(await _release(tx, one, ret, found.orders[one.order_id], came))
    return done


async def end_exchanges(tx: Tx, ended: Sequence[tuple[uuid.UUID, str]]) -> list[Exchange]:
    """(return, why): no replacement is sent, its stock is free again, and what had been paid for
    it goes back; the return goes on as one for a refund. Safe to repeat."""
    ids = await _open_of(tx, [return_id for return_id, _ in ended])
    if not ids:
        return []
    why = dict(ended)
    found = await locked(tx, ids)
    return [
        await _end(tx, one, found.returns[one.return_id], why[one.return_id])
        for one in (await locked_exchanges(tx, ids)).values()
    ]


async def end_overdue(tx: Tx, *, most: int = 200) -> int:
    """Exchanges whose difference was not paid, or whose parcel did not come, by the deadline."""
    due = await tx.rows(
        _Due,
        """
        select return_id, state from returns.exchange
         where cell = $1 and state in ('unpaid', 'waiting') and until_at <= $2
         order by until_at, return_id limit $3
        """,
        tx.cell,
        tx.now,
        most,
    )
    found = await locked(tx, [d.return_id for d in due])
    ended = 0
    for one in (await locked_exchanges(tx, [d.return_id for d in due])).values():
        if one.until_at > tx.now:
            continue
        why = "unpaid" if one.state == "unpaid" else "expired"
        await _end(tx, one, found.returns[one.return_id], why)
        ended += 1
    return ended


class _Due(msgspec.Struct, frozen=True):
    return_id: uuid.UUID
    state: str


async def end_declined(tx: Tx, payment_ids: Sequence[uuid.UUID]) -> int:
    """Differences whose payment was declined: nothing is exchanged, the return is off; how many."""
    ids = await tx.values(
        """
        select return_id from returns.exchange
         where cell = $1 and payment_id = any($2::uuid[]) and state = 'unpaid'
        """,
        tx.cell,
        list(payment_ids),
    )
    return len(await end_exchanges(tx, [(i, "unpaid") for i in ids]))


async def hold_elsewhere(tx: Tx, node: str) -> tuple[int, int]:
    """A node has stopped: replacements held there are held at another one; those that nobody else
    has end. (moved, ended)."""
    ids = await tx.values(
        """
        select return_id from returns.exchange
         where cell = $1 and node = $2 and state in ('unpaid', 'waiting') order by return_id
        """,
        tx.cell,
        node,
    )
    found = await locked(tx, ids)
    moved = ended = 0
    for one in (await locked_exchanges(tx, ids)).values():
        ret = found.returns[one.return_id]
        if await _moved(tx, one) is None:
            await _end(tx, one, ret, "ran_out")
            ended += 1
        else:
            moved += 1
    return moved, ended


# --- the steps


def _place_of(one: Choice | Exchange) -> tuple[uuid.UUID, uuid.UUID]:
    return one.seller_id, one.variant_id


async def _held(
    tx: Tx, return_id: uuid.UUID, sku: str, of: tuple[uuid.UUID, uuid.UUID], quantity: int,
    turn: str = "",
) -> tuple[str, uuid.UUID]:  # fmt: skip
    """Hold the pieces at the one open node that can send them all at the least cost."""
    seller_id, variant_id = of
    free = {
        (p.variant_id, p.seller_id, p.node): p.atp
        for p in await inventory.positions(tx, [variant_id])
        if p.is_open and p.seller_id == seller_id
    }
    whole = {key: atp for key, atp in free.items() if atp >= quantity}
    wanted = [inventory.Wanted(variant_id, seller_id, quantity)]
    parts = inventory.source(wanted, whole, await inventory.nodes(tx)) if whole else None
    left = max(0, max(free.values(), default=0))
    if not parts:
        raise inventory.OutOfStock(sku=sku, left=left, asked=quantity)
    node = parts[0].node
    [held] = await ledger.hold(
        tx,
        [
            ledger.Hold(
                document_kind="exchange",
                document_id=return_id,
                key=f"piece:{node}{turn}",
                debit=inventory.sold(variant_id),
                credit=inventory.available(inventory.Place(seller_id, node, variant_id)),
                amount=quantity,
            )
        ],
    )
    if isinstance(held, Refusal):
        raise inventory.OutOfStock(sku=sku, left=0, asked=quantity)
    return node, held.hold_id


async def _moved(tx: Tx, one: Exchange) -> Exchange | None:
    """The same, held at another node; None when nobody else has it."""
    try:
        node, hold_id = await _held(
            tx, one.return_id, one.sku, _place_of(one), one.quantity, f":after:{one.hold_id}"
        )
    except inventory.OutOfStock:
        return None
    await ledger.release(tx, [one.hold_id])
    now = msgspec.structs.replace(one, node=node, hold_id=hold_id)
    await _update(tx, now)
    return now


async def _payment(
    tx: Tx, wish: NewExchange, order: Order, more_minor: int
) -> payments.Payment | None:
    if not more_minor:
        return None
    if not wish.provider:
        raise orders.NoTender()
    [payment] = await payments.start(
        tx,
        [
            payments.NewPayment(
                id=tx.new_id(),
                order_id=order.id,
                person_id=order.person_id,
                amount_minor=more_minor,
                currency=order.currency,
                provider=wish.provider,
                method=wish.method,
                capture=True,
                return_url=wish.return_url,
                tender_order=len(await payments.payments_of(tx, [order.id])),
            )
        ],
    )
    if isinstance(payment, Refusal):
        raise payment
    return payment


async def _release(
    tx: Tx, one: Exchange, ret: Return, found: tuple[Order, list[OrderLine]], pieces: int
) -> Exchange:
    """``pieces`` of the replacement become a line of the order; the rest is free again. Ends the
    exchange where the money is not here any more, or the node has nothing to send."""
    order, lines = found
    line = next(li for li in lines if li.line == one.line)
    lent = advance_of([(line, pieces)], freight_of(ret))
    have = lent + one.pay_minor
    if await payments.refundable_of(tx, order.id) < have:
        return await _end(tx, one, ret, "disputed")
    nodes = await inventory.nodes(tx)
    if not nodes[one.node].is_open:
        elsewhere = await _moved(tx, one)
        if elsewhere is None:
            return await _end(tx, one, ret, "ran_out")
        one = elsewhere
    full = worth(line, one.unit_price_minor, pieces, tax_included=order.tax_included)
    now = cut(full, min(full.total_minor, have))
    back = have - now.total_minor
    if one.quantity > pieces:
        await ledger.reduce(tx, [(one.hold_id, one.quantity - pieces)])
    number = await orders.add_replacement(
        tx,
        order.id,
        orders.Replacement(
            instead_of=one.line,
            offer_id=one.offer_id,
            seller_id=one.seller_id,
            variant_id=one.variant_id,
            sku=one.sku,
            title=one.title,
            node=one.node,
            hold_id=one.hold_id,
            quantity=pieces,
            unit_price_minor=one.unit_price_minor,
            total_minor=now.total_minor,
            tax_minor=now.tax_minor,
        ),
        carried_minor=lent,
    )
    deposits = payments.deposits(order.currency)
    await _post(
        tx,
        ret,
        "advance",
        "lent to the replacement",
        Transfer(advances(order.currency), deposits, lent),
        Transfer(paid_ahead(order.currency), deposits, one.pay_minor),
    )
    await _give_back(tx, order, uuid.uuid5(ret.id, "exchange"), back, ret.number)
    await update_returns(tx, [msgspec.structs.replace(ret, advance_minor=lent)])
    done = msgspec.structs.replace(
        one,
        state="released",
        new_line=number,
        quantity=pieces,
        back_minor=back,
        total_minor=now.total_minor,
        ended_at=tx.now,
    )
    await _update(tx, done)
    tx.emit(
        ExchangeReleased(
            return_id=ret.id,
            number=ret.number,
            order_id=order.id,
            person_id=ret.person_id,
            new_line=number,
            back_minor=back,
        )
    )
    return done


async def _end(tx: Tx, one: Exchange, ret: Return, why: str) -> Exchange:
    """Stock and money go back; a return whose difference was never paid is off, too."""
    await ledger.release(tx, [one.hold_id])
    back = 0
    if one.payment_id is not None and one.state == "unpaid":
        await payments.void(tx, [one.payment_id])
    elif one.payment_id is not None:
        back = one.pay_minor
        order = (await orders.locked_orders(tx, [one.order_id]))[one.order_id][0]
        freed = Transfer(paid_ahead(ret.currency), payments.deposits(ret.currency), back)
        await _post(tx, ret, "exchange:ended", "no replacement", freed)
        await _give_back(
            tx, order, uuid.uuid5(ret.id, "difference"), back, ret.number, one.payment_id
        )
    done = msgspec.structs.replace(one, state="ended", why=why, ended_at=tx.now)
    await _update(tx, done)
    tx.emit(
        ExchangeEnded(
            return_id=ret.id,
            number=ret.number,
            order_id=one.order_id,
            person_id=ret.person_id,
            why=why,
            back_minor=back,
        )
    )
    if why == "unpaid":
        await cancel(tx, [ret.id])
    return done


async def _give_back(
    tx: Tx,
    order: Order,
    refund_id: uuid.UUID,
    amount_minor: int,
    number: str,
    payment_id: uuid.UUID | None = None,
) -> None:
    """Refund a part of the order, of one payment where it is named. What the buyer's bank has
    taken back already is not sent again: it stays withheld."""
    if not amount_minor:
        return
    reason = f"exchange {number}"
    refused: Refusal | None
    if payment_id is not None:
        new = payments.NewRefund(
            id=refund_id, payment_id=payment_id, amount_minor=amount_minor, reason=reason
        )
        [answer] = await payments.refund(tx, [new])
        refused = answer if isinstance(answer, Refusal) else None
    else:
        owing = Owing(refund_id, order.id, amount_minor, reason)
        refused = (await refund(tx, [owing])).get(refund_id)
    if refused is None:
        await orders.note_returned(tx, [], {order.id: amount_minor})
        return
    kept = Transfer(payments.deposits(order.currency), withheld(order.currency), amount_minor)
    [posted] = await ledger.post(
        tx,
        [
            Journal(
                document_kind="order",
                document_id=order.id,
                key=f"exchange:{refund_id}:withheld",
                reason="not refunded: the bank has it",
                transfers=(kept,),
            )
        ],
    )
    if isinstance(posted, Refusal):
        raise posted


async def _post(tx: Tx, ret: Return, key: str, reason: str, *transfers: Transfer) -> None:
    real = tuple(t for t in transfers if t.amount)
    if not real:
        return
    [posted] = await ledger.post(
        tx,
        [
            Journal(
                document_kind="order",
                document_id=ret.order_id,
                key=f"return:{ret.id}:{key}",
                reason=reason,
                transfers=real,
            )
        ],
    )
    if isinstance(posted, Refusal):
        raise posted


# --- the statements


async def _open_of(tx: Tx, return_ids: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    return await tx.values(
        """
        select return_id from returns.exchange
         where cell = $1 and return_id = any($2::uuid[]) and state in ('unpaid', 'waiting')
        """,
        tx.cell,
        list(return_ids),
    )


async def _insert(tx: Tx, one: Exchange) -> None:
    await tx.run(
        """
        insert into returns.exchange (cell, return_id, order_id, line, offer_id, seller_id,
               variant_id, sku, title, node, hold_id, quantity, unit_price_minor, pay_minor,
               total_minor, payment_id, is_trusted, state, asked_at, until_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9::jsonb, $10, $11, $12, $13, $14, $15, $16, $17,
                $18, $19, $20)
        """,
        tx.cell,
        one.return_id,
        one.order_id,
        one.line,
        one.offer_id,
        one.seller_id,
        one.variant_id,
        one.sku,
        one.title,
        one.node,
        one.hold_id,
        one.quantity,
        one.unit_price_minor,
        one.pay_minor,
        one.total_minor,
        one.payment_id,
        one.is_trusted,
        one.state,
        one.asked_at,
        one.until_at,
    )


async def _update(tx: Tx, one: Exchange) -> None:
    await tx.run(
        """
        update returns.exchange
           set node = $3, hold_id = $4, quantity = $5, back_minor = $6, total_minor = $7,
               state = $8, why = $9, new_line = $10, until_at = $11, ended_at = $12
         where cell = $1 and return_id = $2
        """,
        tx.cell,
        one.return_id,
        one.node,
        one.hold_id,
        one.quantity,
        one.back_minor,
        one.total_minor,
        one.state,
        one.why,
        one.new_line,
        one.until_at,
        one.ended_at,
    )
