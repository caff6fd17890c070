"""The steps of an exchange: held, moved, let go as a line of the order, ended."""

from __future__ import annotations

import uuid

import msgspec

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Transfer
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade import inventory, orders, payments
from pinwheel.trade.orders import Order, OrderLine
from pinwheel.trade.returns.exchange_writing import give_back, post, update
from pinwheel.trade.returns.exchanges import (
    Choice,
    Exchange,
    NewExchange,
    Worth,
    cut,
    paid_ahead,
    worth,
)
from pinwheel.trade.returns.model import FAULTS, ExchangeEnded, ExchangeReleased, Return, advances
from pinwheel.trade.returns.requesting import cancel
from pinwheel.trade.returns.rules import advance_of
from pinwheel.trade.returns.writing import update_returns


def freight_of(ret: Return) -> int:
    """What of the way back the buyer bears."""
    return 0 if ret.reason in FAULTS else ret.policy.freight_minor


def place_of(one: Choice | Exchange) -> tuple[uuid.UUID, uuid.UUID]:
    return one.seller_id, one.variant_id


async def held(
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


async def moved(tx: Tx, one: Exchange) -> Exchange | None:
    """The same, held at another node; None when nobody else has it."""
    try:
        node, hold_id = await held(
            tx, one.return_id, one.sku, place_of(one), one.quantity, f":after:{one.hold_id}"
        )
    except inventory.OutOfStock:
        return None
    await ledger.release(tx, [one.hold_id])
    now = msgspec.structs.replace(one, node=node, hold_id=hold_id)
    await update(tx, now)
    return now


async def difference(
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


async def release_pieces(
    tx: Tx, one: Exchange, ret: Return, found: tuple[Order, list[OrderLine]], pieces: int
) -> Exchange:
    """``pieces`` of the replacement become a line of the order; the rest is free again. Ends the
    exchange where the money is not here any more, or the node has nothing to send."""
    order, lines = found
    line = next(li for li in lines if li.line == one.line)
    lent = advance_of([(line, pieces)], freight_of(ret))
    have = lent + one.pay_minor
    if await payments.refundable_of(tx, order.id) < have:
        return await end(tx, one, ret, "disputed")
    nodes = await inventory.nodes(tx)
    if not nodes[one.node].is_open:
        elsewhere = await moved(tx, one)
        if elsewhere is None:
            return await end(tx, one, ret, "ran_out")
        one = elsewhere
    full = worth(line, one.unit_price_minor, pieces, tax_included=order.tax_included)
    now = cut(full, min(full.total_minor, have))
    back = have - now.total_minor
    if one.quantity > pieces:
        await ledger.reduce(tx, [(one.hold_id, one.quantity - pieces)])
    number = await _added(tx, one, order.id, pieces, now, lent)
    deposits = payments.deposits(order.currency)
    await post(
        tx,
        ret,
        "advance",
        "lent to the replacement",
        Transfer(advances(order.currency), deposits, lent),
        Transfer(paid_ahead(order.currency), deposits, one.pay_minor),
    )
    await give_back(tx, order, uuid.uuid5(ret.id, "exchange"), back, ret.number)
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
    await update(tx, done)
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


async def end(tx: Tx, one: Exchange, ret: Return, why: str) -> Exchange:
    """Stock and money go back; a return whose difference was never paid is off, too."""
    await ledger.release(tx, [one.hold_id])
    back = 0
    if one.payment_id is not None and one.state == "unpaid":
        await payments.void(tx, [one.payment_id])
    elif one.payment_id is not None:
        back = one.pay_minor
        order = (await orders.locked_orders(tx, [one.order_id]))[one.order_id][0]
        freed = Transfer(paid_ahead(ret.currency), payments.deposits(ret.currency), back)
        await post(tx, ret, "exchange:ended", "no replacement", freed)
        await give_back(
            tx, order, uuid.uuid5(ret.id, "difference"), back, ret.number, one.payment_id
        )
    done = msgspec.structs.replace(one, state="ended", why=why, ended_at=tx.now)
    await update(tx, done)
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


async def _added(
    tx: Tx, one: Exchange, order_id: uuid.UUID, pieces: int, now: Worth, lent_minor: int
) -> int:
    """The replacement as a line of its order; its number."""
    return await orders.add_replacement(
        tx,
        order_id,
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
        carried_minor=lent_minor,
    )
