"""What comes back: sent pieces are taken in again, income is reversed, the buyer gets the money.

The policy (who may return what, until when, in which state) belongs to whoever calls this."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence

import msgspec

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Journal, Transfer
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import NotFound, Refusal
from pinwheel.trade import inventory, payments
from pinwheel.trade.orders.fulfil import locked_orders, sales, tax_payable
from pinwheel.trade.orders.model import (
    LinesReturned,
    Order,
    OrderLine,
)


class Back(msgspec.Struct, frozen=True):
    """``quantity`` pieces of one line, for which the buyer gets ``refund_minor``."""

    line: int
    quantity: int
    refund_minor: int


class TakenBack(msgspec.Struct, frozen=True, kw_only=True):
    """What came back of one order by one document, named by ``key``: the same key again is the
    same return. ``sellable``: it goes on sale again, else it is damaged."""

    order_id: uuid.UUID
    key: str
    parts: Sequence[Back]
    reason: str
    sellable: bool = True

    @property
    def refund_minor(self) -> int:
        return sum(part.refund_minor for part in self.parts)


class NothingToReturn(Refusal):
    status = 422
    en = "Line {line} of order {number} has {left} sent pieces to return, {asked} asked for."
    zh = "订单 {number} 第 {line} 行可退 {left} 件，请求退回 {asked} 件。"


class ReturnTooDear(Refusal):
    """More money than is left of what was paid."""

    status = 422
    en = "Order {number} has {left} left to give back, {asked} asked for (in minor units)."
    zh = "订单 {number} 最多可退 {left}，请求退款 {asked}（最小货币单位）。"


async def take_back(tx: Tx, returns: Sequence[TakenBack]) -> list[int | Refusal]:
    """Take each in whole or refuse it; what is refunded, in minor units. Safe to repeat by key.

    An order comes once a call. Tax goes back in the line's own proportion. Statements: 4, the
    ledger's and the refunds', whatever the length, where orders were paid by one tender. Refuses
    ``NothingToReturn``, ``ReturnTooDear``, ``NotFound``."""
    found = await locked_orders(tx, [r.order_id for r in returns])
    if len({r.order_id for r in returns}) < len(returns):
        raise ValueError("an order is taken back from once a call")
    before = await _taken_before(tx, returns)
    answers: dict[uuid.UUID, int | Refusal] = {}
    fresh: list[tuple[TakenBack, Journal]] = []
    for one in returns:
        if (one.order_id, f"return:{one.key}") in before:
            answers[one.order_id] = one.refund_minor
            continue
        order = found.get(one.order_id)
        refusal = NotFound(what="order") if order is None else _unfit(one, *order)
        if refusal is not None:
            answers[one.order_id] = refusal
        elif order is not None:
            fresh.append((one, _journal(one, *order)))
    posted = await ledger.post(tx, [journal for _, journal in fresh])
    taken: list[TakenBack] = []
    for (one, _), answer in zip(fresh, posted, strict=True):
        if isinstance(answer, Refusal):
            answers[one.order_id] = answer
        else:
            answers[one.order_id] = one.refund_minor
            taken.append(one)
    if taken:
        await _note(tx, taken)
        await _refund(tx, [one for one in taken if one.refund_minor])
    return [answers[one.order_id] for one in returns]


class _Key(msgspec.Struct, frozen=True):
    document_id: uuid.UUID
    key: str


async def _taken_before(tx: Tx, returns: Sequence[TakenBack]) -> set[tuple[uuid.UUID, str]]:
    rows = await tx.rows(
        _Key,
        """
        select distinct p.document_id, p.key from ledger.v_posting p
          join unnest($2::uuid[], $3::text[]) as k(document_id, key)
            on k.document_id = p.document_id and k.key = p.key
         where p.cell = $1
        """,
        tx.cell,
        [one.order_id for one in returns],
        [f"return:{one.key}" for one in returns],
    )
    return {(row.document_id, row.key) for row in rows}


def _unfit(one: TakenBack, order: Order, lines: Sequence[OrderLine]) -> Refusal | None:
    asked: dict[int, int] = {}
    for part in one.parts:
        asked[part.line] = asked.get(part.line, 0) + part.quantity
    left = {line.line: line.shipped - line.returned for line in lines}
    for part in one.parts:
        if part.quantity <= 0 or asked[part.line] > left.get(part.line, 0):
            return NothingToReturn(
                line=part.line,
                number=order.number,
                left=left.get(part.line, 0),
                asked=asked[part.line],
            )
    money = order.secured_minor - order.refunded_minor
    if one.refund_minor > money or any(part.refund_minor < 0 for part in one.parts):
        return ReturnTooDear(number=order.number, left=money, asked=one.refund_minor)
    return None


def _journal(one: TakenBack, order: Order, lines: Sequence[OrderLine]) -> Journal:
    by_number = {line.line: line for line in lines}
    transfers: list[Transfer] = []
    deposits = payments.deposits(order.currency)
    for part in one.parts:
        line = by_number[part.line]
        place = inventory.Place(line.seller_id, line.node, line.variant_id)
        transfers.append(inventory.came_back(place, part.quantity, sellable=one.sellable))
        tax = part.refund_minor * line.tax_minor // line.total_minor if line.total_minor else 0
        for account, amount in (
            (sales(line.seller_id, order.currency), part.refund_minor - tax),
            (tax_payable(order.country, order.currency), tax),
        ):
            if amount:
                transfers.append(Transfer(account, deposits, amount))
    return Journal(
        document_kind="order",
        document_id=order.id,
        key=f"return:{one.key}",
        reason=one.reason,
        transfers=tuple(transfers),
    )


async def _note(tx: Tx, fresh: Sequence[TakenBack]) -> None:
    parts = [(one.order_id, part.line, part.quantity) for one in fresh for part in one.parts]
    await note_returned(tx, parts, {one.order_id: one.refund_minor for one in fresh})


async def note_returned(
    tx: Tx, parts: Sequence[tuple[uuid.UUID, int, int]], refunds_minor: Mapping[uuid.UUID, int]
) -> None:
    """Write on orders under lock what came back, (order, line, quantity), and what is refunded of
    each. One statement."""
    await tx.run(
        """
        with part as (
          select order_id, line, sum(quantity)::bigint as quantity
            from unnest($2::uuid[], $3::smallint[], $4::bigint[]) as p(order_id, line, quantity)
           group by order_id, line
        ), line as (
          update orders.line l set returned = l.returned + p.quantity
            from part p where l.cell = $1 and l.order_id = p.order_id and l.line = p.line
        )
        update orders."order" o set refunded_minor = o.refunded_minor + r.refund
          from unnest($5::uuid[], $6::bigint[]) as r(id, refund)
         where o.cell = $1 and o.id = r.id
        """,
        tx.cell,
        [order_id for order_id, _, _ in parts],
        [line for _, line, _ in parts],
        [quantity for _, _, quantity in parts],
        list(refunds_minor),
        list(refunds_minor.values()),
    )
    came: dict[uuid.UUID, list[tuple[int, int]]] = {}
    for order_id, line, quantity in parts:
        came.setdefault(order_id, []).append((line, quantity))
    tx.emit(*(LinesReturned(order_id=i, lines=lines) for i, lines in came.items()))


async def _refund(tx: Tx, fresh: Sequence[TakenBack]) -> None:
    """One tender: all in one call. Several: each order by the policy of payments."""
    tenders: dict[uuid.UUID, list[payments.Payment]] = {}
    for payment in await payments.payments_of(tx, [one.order_id for one in fresh]):
        if payment.is_secured:
            tenders.setdefault(payment.order_id, []).append(payment)
    single = [one for one in fresh if len(tenders.get(one.order_id, ())) == 1]
    answers: list[object] = list(
        await payments.refund(
            tx,
            [
                payments.NewRefund(
                    id=uuid.uuid5(one.order_id, f"return:{one.key}"),
                    payment_id=tenders[one.order_id][0].id,
                    amount_minor=one.refund_minor,
                    reason=one.reason,
                )
                for one in single
            ],
        )
        if single
        else ()
    )
    for one in fresh:
        if len(tenders.get(one.order_id, ())) != 1:
            answers.append(
                await payments.refund_order(tx, one.order_id, one.refund_minor, one.reason)
            )
    for answer in answers:
        if isinstance(answer, Refusal):
            raise answer
