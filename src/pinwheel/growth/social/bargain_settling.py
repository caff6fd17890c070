"""What becomes of a bargain when its order is paid, cancelled, or never comes."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.ground import ledger
from pinwheel.growth.social.bargain_running import (
    Live,
    end_bargain,
    free_reserved,
    locked_bargains,
)
from pinwheel.growth.social.bargain_stage import put_aside
from pinwheel.growth.social.model import BargainAsked, BargainBought
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade import orders

LATE = "the bargain had been bought or had ended before this payment arrived"


class _Ordered(msgspec.Struct, frozen=True):
    """An order at a bargain's price."""

    order_id: uuid.UUID
    bargain_id: uuid.UUID
    state: str
    cut_minor: int
    budget_id: uuid.UUID
    currency: str


async def take_back_fallen(tx: Tx, asked: Sequence[BargainAsked]) -> None:
    """When the batch is through: what orders that fell did not use goes back to their bargains.
    The budget's account is locked since it was freed, so it is there."""
    parts = [part for event in asked for part in event.asked]
    placed = set(
        await tx.values(
            """
            select distinct order_id from orders.v_line
             where cell = $1 and order_id = any($2::uuid[])
            """,
            tx.cell,
            [order_id for _, order_id, _, _, _ in parts],
        )
    )
    holds = [
        put_aside(bargain_id, budget_id, currency, amount, f"back:{order_id}")
        for bargain_id, order_id, amount, budget_id, currency in parts
        if order_id not in placed
    ]
    for answer in await ledger.hold(tx, holds):
        if isinstance(answer, Refusal):
            raise answer


async def keep_cancelled(tx: Tx, order_ids: Sequence[uuid.UUID]) -> None:
    """In the transaction that cancels: what the order gives back of its budget stays with its
    bargain. What had been spent already comes back later, and is asked for then."""
    holds = [
        put_aside(o.bargain_id, o.budget_id, o.currency, o.cut_minor, f"back:{o.order_id}")
        for o in await _ordered(tx, order_ids)
    ]
    await ledger.hold(tx, holds)


async def settle_paid(tx: Tx, order_ids: Sequence[uuid.UUID]) -> None:
    """A bargain is bought: the rest of its gap is free. An order that was paid too late, after
    another one had bought the bargain, is cancelled and paid back."""
    ordered = await _ordered(tx, order_ids)
    bargains = await locked_bargains(tx, [o.bargain_id for o in ordered])
    for one in ordered:
        bargain = bargains[one.bargain_id]
        if bargain.order_id != one.order_id:
            await _refund(tx, one.order_id)
        elif bargain.is_ordered and bargain.state != "bought":
            await _write_bought(tx, bargain, one)
            await free_reserved(tx, [bargain.id], pieces=False)


async def _refund(tx: Tx, order_id: uuid.UUID) -> None:
    try:
        async with tx.savepoint():
            await orders.cancel(tx, order_id, reason=LATE)
    except Refusal:
        return  # it has left the house: it stays sold


async def _write_bought(tx: Tx, bargain: Live, one: _Ordered) -> None:
    await tx.run(
        """
        update social.bargain set state = 'bought', why = 'bought', ended_at = $3
         where cell = $1 and id = $2
        """,
        tx.cell,
        bargain.id,
        tx.now,
    )
    tx.emit(
        BargainBought(
            bargain_id=bargain.id,
            campaign_id=bargain.campaign_id,
            order_id=one.order_id,
            person_id=bargain.person_id,
            cut_minor=one.cut_minor,
        )
    )


async def settle_cancelled(tx: Tx, order_ids: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    """Orders at a bargain's price were cancelled: while its window lasts the bargain can be bought
    again; else it ends. Those whose gap is not put aside again yet are answered."""
    ordered = await _ordered(tx, order_ids)
    bargains = await locked_bargains(tx, [o.bargain_id for o in ordered])
    short: list[uuid.UUID] = []
    for bargain in bargains.values():
        if bargain.is_ordered:  # by another order than the one that ended
            if bargain.state == "bought":
                await free_reserved(tx, [bargain.id], pieces=False)
            continue
        if tx.now >= bargain.ends_at or bargain.state == "expired":
            await _end_late(tx, bargain)
        elif not await reopen(tx, bargain):
            short.append(bargain.id)
    return short


async def _end_late(tx: Tx, bargain: Live) -> None:
    if bargain.state == "expired":
        await free_reserved(tx, [bargain.id], pieces=True)
    else:
        await end_bargain(tx, bargain, "deadline")


async def reopen(tx: Tx, bargain: Live) -> bool:
    """Put what is missing of the gap aside again and go on; False when the budget has it not."""
    held: int = await tx.value(
        """
        select coalesce(sum(remaining), 0)::bigint from ledger.v_hold
         where cell = $1 and document_id = $2 and state = 'open' and starts_with(key, 'budget:')
        """,
        tx.cell,
        bargain.id,
    )
    missing = bargain.gap_minor - held
    if missing > 0:
        again = put_aside(
            bargain.id, bargain.budget_id, bargain.currency, missing, f"again:{tx.new_id()}"
        )
        [answer] = await ledger.hold(tx, [again])
        if isinstance(answer, Refusal):
            return False
    state = "reached" if bargain.helped == len(bargain.cuts) else "running"
    await tx.run(
        """
        update social.bargain
           set state = $3, why = null, ended_at = null, order_id = null, order_cut_minor = null
         where cell = $1 and id = $2
        """,
        tx.cell,
        bargain.id,
        state,
    )
    return True


async def try_again(tx: Tx, bargain_id: uuid.UUID) -> None:
    """The budget has had its time to get the cancelled order's money back: go on, or end."""
    bargain = (await locked_bargains(tx, [bargain_id])).get(bargain_id)
    if bargain is None or bargain.is_ordered or bargain.state == "expired":
        return
    if tx.now >= bargain.ends_at:
        await end_bargain(tx, bargain, "deadline")
    elif not await reopen(tx, bargain):
        await end_bargain(tx, bargain, "budget")


async def end_due(tx: Tx, bargain_ids: Sequence[uuid.UUID]) -> None:
    """Bargains past their time end, unless an order at their price still waits for its payment."""
    for bargain in (await locked_bargains(tx, bargain_ids)).values():
        if bargain.is_open and tx.now >= bargain.ends_at and not bargain.is_ordered:
            await end_bargain(tx, bargain, "deadline")


async def _ordered(tx: Tx, order_ids: Sequence[uuid.UUID]) -> list[_Ordered]:
    return await tx.rows(
        _Ordered,
        """
        select order_id, source_id as bargain_id, state, amount_minor as cut_minor, budget_id,
               currency
          from orders.v_discount
         where cell = $1 and order_id = any($2::uuid[]) and source = 'bargain'
         order by order_id
        """,
        tx.cell,
        list(order_ids),
    )
