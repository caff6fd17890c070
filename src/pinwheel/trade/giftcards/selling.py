"""What orders do to gift cards: those that were sent are worth their price, those that come back
are worth nothing."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from pinwheel.kernel.db import Tx
from pinwheel.trade import orders, payments
from pinwheel.trade.marketplace import OWN_SELLER_ID


async def lines_with_cards(tx: Tx, order_ids: Sequence[uuid.UUID]) -> list[orders.OrderLine]:
    """The lines of the shop's own gift cards. 1 statement where it sells none, else 2."""
    variants = await payments.gift_variants(tx)
    if not variants:
        return []
    return [
        line
        for line in await orders.lines_of(tx, order_ids)
        if line.variant_id in variants and line.seller_id == OWN_SELLER_ID
    ]


async def issue_sent(tx: Tx, order_ids: Sequence[uuid.UUID]) -> int:
    """A card for each piece that was sent, its price taken out of the sales that the sending
    booked; how many are new. A reduction of the line's price is the shop's cost: the card is worth
    the whole price. Safe to repeat."""
    lines = await lines_with_cards(tx, order_ids)
    sent = [line for line in lines if line.shipped]
    if not sent:
        return 0
    found = await orders.locked_orders(tx, sorted({line.order_id for line in sent}))
    about = {order.id: order for order, _ in found.values()}
    return await payments.sell_gift_cards(
        tx,
        [
            payments.SoldCard(
                order_id=line.order_id,
                line=line.line,
                number=number,
                face_minor=line.unit_price_minor,
                currency=about[line.order_id].currency,
                market=about[line.order_id].market,
                buyer_id=about[line.order_id].person_id,
                source=orders.sales(line.seller_id, about[line.order_id].currency),
            )
            for line in sent
            if line.unit_price_minor
            for number in range(line.shipped)
        ],
    )


async def send_cards(tx: Tx, order_id: uuid.UUID) -> bool:
    """Cards need no parcel: those of a placed order are sent and delivered at once. False: the
    order can't be sent yet."""
    lines = await lines_with_cards(tx, [order_id])
    parts = [(line.line, line.open) for line in lines if line.open]
    if not parts:
        return True
    sending = orders.Sending(order_id=order_id, parts=parts)
    [parcels] = await orders.ship_orders(tx, [sending])
    if isinstance(parcels, orders.OrderNotReady):
        return False
    if isinstance(parcels, Exception):
        raise parcels
    for parcel in parcels:
        await orders.deliver(tx, parcel)
    return True


async def take_returned(tx: Tx, order_id: uuid.UUID, returned: Sequence[tuple[int, int]]) -> None:
    """Cards that come back end; a used one is refused (``GiftCardUsed``), with the return."""
    lines = {line.line: line for line in await lines_with_cards(tx, [order_id])}
    mine = [(number, count) for number, count in returned if number in lines and count]
    if not mine:
        return
    [(order, _)] = (await orders.locked_orders(tx, [order_id])).values()
    for number, count in mine:
        income = orders.sales(lines[number].seller_id, order.currency)
        await payments.take_back_gift_cards(tx, order_id, number, count, income)
