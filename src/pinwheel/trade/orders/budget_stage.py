"""The budget stage: what a discount costs is put aside in its budget before anything is taken."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from pinwheel.ground import ledger
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade import budgets
from pinwheel.trade.budgets import BudgetClosed, BudgetSpent, Reservation
from pinwheel.trade.orders.draft import (
    Discount,
    Draft,
)


class DiscountUsedUp(BudgetSpent):
    """Others were faster: the budget of a discount has nothing left for this order."""

    en = (
        "“{offer}” has just been used up. Without it {sku} costs {price}. Nothing was ordered or "
        "charged: look at the new total and decide again."
    )
    zh = "“{offer}”刚刚用完。不含该优惠，{sku} 为 {price}。未下单也未扣款，请核对新的总价后再决定。"


class BudgetStage:
    """Reserve every discount that a budget pays for, all drafts in one call. Who is refused gets
    the price without it. No statement where no budget is asked, else four whatever the batch."""

    async def load(self, tx: Tx, drafts: Sequence[Draft], placing: bool) -> Any:
        return None

    def decide(self, loaded: Any, draft: Draft) -> None:
        return None

    async def record(self, tx: Tx, loaded: Any, drafts: Sequence[Draft]) -> None:
        asked = [(draft, one) for draft in drafts for one in _budgeted(draft.discounts)]
        if not asked:
            return
        answers = await budgets.reserve(
            tx,
            [
                Reservation(
                    budget_id=budget_id,
                    document_kind="order",
                    document_id=draft.id,
                    key=budget_key(one.source, one.source_id, one.offer_id),
                    amount_minor=amount_minor,
                    currency=draft.currency,
                )
                for draft, (budget_id, one, amount_minor) in asked
            ],
        )
        for (draft, (_, one, amount_minor)), answer in zip(asked, answers, strict=True):
            if isinstance(answer, Refusal) and draft.refusal is None:
                draft.refusal = _said(draft, one, amount_minor, answer)


def budget_key(source: str, source_id: uuid.UUID, offer_id: uuid.UUID) -> str:
    """The key of a discount's reservation in its budget, once per order."""
    return f"{source}:{source_id}:{offer_id}"


def _budgeted(discounts: Sequence[Discount]) -> list[tuple[uuid.UUID, Discount, int]]:
    """(budget, the first discount, their sum): what one source takes off one offer is one
    reservation, as it is one row of the order."""
    sums: dict[tuple[uuid.UUID, str, uuid.UUID, uuid.UUID], int] = {}
    first: dict[tuple[uuid.UUID, str, uuid.UUID, uuid.UUID], Discount] = {}
    for one in discounts:
        if one.budget_id is not None:
            key = (one.budget_id, one.source, one.source_id, one.offer_id)
            sums[key] = sums.get(key, 0) + one.amount_minor
            first.setdefault(key, one)
    return [(key[0], first[key], amount) for key, amount in sums.items()]


def _said(draft: Draft, one: Discount, amount_minor: int, answer: Refusal) -> Refusal:
    if not isinstance(answer, BudgetSpent | BudgetClosed):
        return answer
    lines = [line for line in draft.lines if line.offer_id == one.offer_id]
    price = sum(line.goods_minor - line.discount_minor for line in lines) + amount_minor
    exponent = ledger.money(draft.currency).exponent
    return DiscountUsedUp(
        offer=one.en,
        sku=lines[0].sku if lines else "",
        price=f"{draft.currency} {price / 10**exponent:.{exponent}f}",
    )
