"""Another piece instead of the money: held when it is asked for, let go when the old one is here.

The replacement becomes a line of the same order. What the old piece was paid with is lent to it
(the same asset as a refund in advance) and covered when the old piece is graded; so an old piece
that never comes, or is worth nothing, is owed and not lost.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence

import msgspec

from pinwheel.ground.ledger import Transfer
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade import orders, payments
from pinwheel.trade.orders import HOLD_SECONDS
from pinwheel.trade.returns.exchange_queries import choices_for, exchanges_of, locked_exchanges
from pinwheel.trade.returns.exchange_writing import insert, open_of, post, update
from pinwheel.trade.returns.exchanges import (
    Asked,
    Choice,
    DifferenceChanged,
    Exchange,
    ExchangeNotOffered,
    NewExchange,
    NotExchangeable,
    paid_ahead,
    worth,
)
from pinwheel.trade.returns.looking import histories, locked
from pinwheel.trade.returns.model import (
    ExchangeAsked,
    History,
    NewReturn,
    Return,
)
from pinwheel.trade.returns.requesting import request
from pinwheel.trade.returns.rules import SCORE_HALF, advance_limit, advance_of
from pinwheel.trade.returns.swapping import (
    difference,
    end,
    freight_of,
    held,
    moved,
    place_of,
    release_pieces,
)
from pinwheel.trade.returns.trials import trials_of


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
    node, hold_id = await held(tx, ret.id, choice.sku, place_of(choice), wish.quantity)
    payment = await difference(tx, wish, order, max(0, more))
    history = (await histories(tx, [ret.person_id])).get(ret.person_id) if ret.person_id else None
    limit = advance_limit(ret.policy, history or History(), ret.score, ret.reason)
    trusted = ret.person_id is not None and 0 < lent <= limit
    made = _made(tx, wish, ret, choice, (node, hold_id), payment, costs.total_minor, more, trusted)
    await insert(tx, made)
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
        made = await release_pieces(tx, made, ret, (order, lines), made.quantity)
    return Asked(exchange=made, number=ret.number, payment=payment)


def _made(
    tx: Tx,
    wish: NewExchange,
    ret: Return,
    choice: Choice,
    at: tuple[str, uuid.UUID],
    payment: payments.Payment | None,
    total_minor: int,
    more_minor: int,
    is_trusted: bool,
) -> Exchange:
    waits = ret.send_by or tx.later_than(ret.policy.send_days * 86_400)
    return Exchange(
        return_id=ret.id,
        order_id=ret.order_id,
        line=wish.line,
        offer_id=choice.offer_id,
        seller_id=choice.seller_id,
        variant_id=choice.variant_id,
        sku=choice.sku,
        title=choice.title,
        node=at[0],
        hold_id=at[1],
        quantity=wish.quantity,
        unit_price_minor=choice.unit_price_minor,
        pay_minor=max(0, more_minor),
        back_minor=0,
        total_minor=total_minor,
        payment_id=payment.id if payment else None,
        is_trusted=is_trusted,
        state="unpaid" if payment else "waiting",
        why="",
        new_line=None,
        asked_at=tx.now,
        until_at=tx.later_than(HOLD_SECONDS) if payment else waits,
        ended_at=None,
    )


async def exchange(db: Database, wish: NewExchange, *, actor: str) -> Asked:
    """Ask, pay the difference and hear the answer, as one. Refuses what ``ask_exchange`` refuses
    and ``PaymentDeclined``: then nothing is exchanged. A crash in between is finished by the
    payments' sweeper, or by the deadline."""

    async def begin(tx: Tx) -> Asked:
        return await ask_exchange(tx, wish)

    asked = await db.attempt(begin, actor=actor)
    if asked.payment is None:
        return asked
    outcomes = await payments.charge(db, [asked.payment])

    async def end(tx: Tx) -> Asked:
        [paid] = await payments.record(tx, outcomes)
        return msgspec.structs.replace(asked, payment=paid)

    paid = await db.attempt(end, actor=actor)
    if paid.payment is not None and paid.payment.state in ("failed", "voided"):
        raise orders.PaymentDeclined(reason=paid.payment.reason)
    async with db.reading() as tx:
        now = (await exchanges_of(tx, [asked.exchange.return_id]))[asked.exchange.return_id]
    return msgspec.structs.replace(paid, exchange=now)


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
        await post(tx, ret, "exchange:ahead", "paid for a replacement", ahead)
        waits = ret.send_by or tx.later_than(ret.policy.send_days * 86_400)
        now = msgspec.structs.replace(one, state="waiting", until_at=waits)
        await update(tx, now)
        if now.is_trusted and ret.state == "approved":
            await release_pieces(tx, now, ret, found.orders[one.order_id], one.quantity)
        noted += 1
    return noted


async def release(tx: Tx, return_ids: Sequence[uuid.UUID]) -> list[Exchange]:
    """The old pieces are here: as many replacements are let go, as lines of their orders. Those
    without an open exchange are left alone. Safe to repeat."""
    ids = await open_of(tx, return_ids)
    if not ids:
        return []
    found = await locked(tx, ids)
    done = []
    for one in (await locked_exchanges(tx, ids)).values():
        ret = found.returns[one.return_id]
        came = sum(li.received for li in found.lines[ret.id] if li.line == one.line)
        if one.state == "unpaid":
            done.append(await end(tx, one, ret, "unpaid"))
        else:
            done.append(await release_pieces(tx, one, ret, found.orders[one.order_id], came))
    return done


async def end_exchanges(tx: Tx, ended: Sequence[tuple[uuid.UUID, str]]) -> list[Exchange]:
    """(return, why): no replacement is sent, its stock is free again, and what had been paid for
    it goes back; the return goes on as one for a refund. Safe to repeat."""
    ids = await open_of(tx, [return_id for return_id, _ in ended])
    if not ids:
        return []
    why = dict(ended)
    found = await locked(tx, ids)
    return [
        await end(tx, one, found.returns[one.return_id], why[one.return_id])
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
        await end(tx, one, found.returns[one.return_id], why)
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
    kept = ended = 0
    for one in (await locked_exchanges(tx, ids)).values():
        ret = found.returns[one.return_id]
        if await moved(tx, one) is None:
            await end(tx, one, ret, "ran_out")
            ended += 1
        else:
            kept += 1
    return kept, ended
