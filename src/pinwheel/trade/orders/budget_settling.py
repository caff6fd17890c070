"""What an order's discounts have spent of their budgets is brought to what it should be: spent
when it is placed, given back with what is cancelled or returned."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Held
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade import budgets
from pinwheel.trade.budgets import Commitment, GivenBack, Reservation
from pinwheel.trade.orders.budget_stage import budget_key
from pinwheel.trade.orders.model import (
    share,
)

AGAIN = ":again"  # the reservation of an order that was paid after it had ended


class _Spent(msgspec.Struct, frozen=True):
    """One discount: what it is, how much of its pieces is gone, what its budget paid so far."""

    order_id: uuid.UUID
    state: str
    budget_id: uuid.UUID
    source: str
    source_id: uuid.UUID
    offer_id: uuid.UUID
    amount_minor: int
    whole: int
    gone: int
    spent_minor: int
    steps: int
    hold_id: uuid.UUID | None
    hold_key: str | None

    @property
    def key(self) -> str:
        return budget_key(self.source, self.source_id, self.offer_id)

    @property
    def due_minor(self) -> int:
        """What the budget pays in the end: the share of the pieces that stay with the buyer.
        Cumulative rounding, so that the parts given back sum to the whole."""
        if self.state == "cancelled" or not self.whole:
            return 0
        return self.amount_minor - share(self.amount_minor, self.whole, 0, self.gone)


async def settle(tx: Tx, order_ids: Sequence[uuid.UUID]) -> None:
    """Bring each order's budgets to what is due now. Whatever happened in between, and however
    often it is called: the difference is moved once, under the order's lock.

    1 statement where no order has a budget's discount, else a constant number."""
    ids = await tx.values(
        """
        select o.id from orders."order" o
         where o.cell = $1 and o.id = any($2::uuid[]) and o.state <> 'pending_payment'
           and exists (select from orders.discount d
                        where d.cell = o.cell and d.order_id = o.id and d.budget_id is not null)
         order by o.id for update
        """,
        tx.cell,
        sorted(set(order_ids)),
    )
    if not ids:
        return
    commitments: list[Commitment] = []
    returned: list[GivenBack] = []
    ended: list[uuid.UUID] = []
    for one in await _spent(tx, ids):
        due = one.due_minor
        if one.hold_id is not None and one.hold_key is not None and due > one.spent_minor:
            commitments.append(
                Commitment(
                    budget_id=one.budget_id,
                    document_id=one.order_id,
                    key=one.key + (AGAIN if one.hold_key.endswith(AGAIN) else ""),
                    amount_minor=due - one.spent_minor,
                    part=str(one.steps),
                )
            )
        elif one.hold_id is not None:
            ended.append(one.hold_id)
        if due < one.spent_minor:
            returned.append(
                GivenBack(
                    budget_id=one.budget_id,
                    document_kind="order",
                    document_id=one.order_id,
                    key=one.key,
                    part=str(one.steps),
                    amount_minor=one.spent_minor - due,
                    reason="budget: cancelled or returned",
                )
            )
    for answer in [*await budgets.commit(tx, commitments), *await budgets.give_back(tx, returned)]:
        if isinstance(answer, Refusal):
            raise answer
    await ledger.release(tx, ended)


async def reserve_again(tx: Tx, order_id: uuid.UUID) -> list[Held | Refusal]:
    """Put an ended order's discounts aside once more, because its payment came late after all."""
    return await budgets.reserve(
        tx,
        [
            Reservation(
                budget_id=one.budget_id,
                document_kind="order",
                document_id=order_id,
                key=one.key + AGAIN,
                amount_minor=one.amount_minor,
            )
            for one in await _spent(tx, [order_id])
        ],
    )


async def _spent(tx: Tx, order_ids: Sequence[uuid.UUID]) -> list[_Spent]:
    return await tx.rows(
        _Spent,
        """
        select d.order_id, o.state, d.budget_id, d.source, d.source_id, d.offer_id, d.amount_minor,
               coalesce(l.whole, 0) as whole, coalesce(l.gone, 0) as gone,
               coalesce(p.spent, 0) as spent_minor, coalesce(p.steps, 0) as steps, h.hold_id,
               h.key as hold_key
          from orders.discount d
          join orders."order" o on o.cell = d.cell and o.id = d.order_id
          cross join lateral (
            select 'budget:' || d.budget_id || ':' || d.source || ':' || d.source_id || ':'
                   || d.offer_id as key) k
          left join lateral (
            select sum(l.quantity)::bigint as whole, sum(l.cancelled + l.returned)::bigint as gone
              from orders.line l
             where l.cell = d.cell and l.order_id = d.order_id and l.offer_id = d.offer_id) l
            on true
          left join lateral (
            select sum(case when p.debit = 'budget:' || d.budget_id || ':spent' then p.amount
                       else -p.amount end)::bigint as spent, count(*) as steps
              from ledger.v_posting p
             where p.cell = d.cell and p.document_id = d.order_id and starts_with(p.key, k.key))
            p on true
          left join lateral (
            select h.hold_id, h.key from ledger.v_hold h
             where h.cell = d.cell and h.document_id = d.order_id and h.state = 'open'
               and h.key in (k.key, k.key || ':again') limit 1) h on true
         where d.cell = $1 and d.order_id = any($2::uuid[]) and d.budget_id is not null
         order by d.order_id, d.offer_id, d.source, d.source_id
        """,
        tx.cell,
        list(order_ids),
    )
