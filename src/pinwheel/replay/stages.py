"""Two steps in the row of stages, handed to the checkout like those of any higher floor: what an
old invoice says its lines and its delivery cost is what they cost."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.trade.orders import Checkout, Discount, Draft, Reason


class Invoiced(msgspec.Struct, frozen=True):
    """One line as it was invoiced."""

    offer_id: uuid.UUID
    quantity: int
    unit_price_minor: int
    discount_minor: int = 0


class InvoicePrices:
    """Follows the price stage: each draft's lines at the prices of its invoice. The same offer at
    two prices is two lines. Prices are what was paid, so no tax is split out of them."""

    def __init__(self) -> None:
        self.invoices: dict[uuid.UUID, Sequence[Invoiced]] = {}

    async def load(self, tx: Tx, drafts: Sequence[Draft], placing: bool) -> Any:
        return None

    def decide(self, loaded: Any, draft: Draft) -> None:
        offered = {line.offer_id: line for line in draft.lines}
        draft.lines = [
            msgspec.structs.replace(
                offered[one.offer_id],
                quantity=one.quantity,
                unit_price_minor=one.unit_price_minor,
                list_price_minor=None,
                discount_minor=one.discount_minor,
                tax_class="zero",
            )
            for one in self.invoices[draft.id]
        ]
        draft.reasons.append(
            Reason("price", "Historical invoice price", "历史发票价格", draft.goods_minor)
        )
        off: Counter[uuid.UUID] = Counter()
        for one in self.invoices[draft.id]:
            off[one.offer_id] += one.discount_minor
        draft.discounts += [
            Discount(
                source="invoice",
                source_id=draft.id,
                offer_id=offer_id,
                amount_minor=amount,
                en="Paid less than invoiced",
                zh="实付低于账单",
            )
            for offer_id, amount in off.items()
            if amount
        ]
        if draft.discount_minor:
            draft.reasons.append(
                Reason("discount", "Paid less than invoiced", "实付低于账单", -draft.discount_minor)
            )

    async def record(self, tx: Tx, loaded: Any, drafts: Sequence[Draft]) -> None:
        return None


class InvoiceDelivery:
    """Follows the tax stage: the freight that the invoice says, with no tax split out of it."""

    def __init__(self) -> None:
        self.freights: dict[uuid.UUID, int] = {}

    async def load(self, tx: Tx, drafts: Sequence[Draft], placing: bool) -> Any:
        return None

    def decide(self, loaded: Any, draft: Draft) -> None:
        freight = self.freights.get(draft.id, 0)
        if freight:
            draft.delivery_minor = freight
            draft.reasons.append(Reason("freight", "Historical freight", "历史运费", freight))

    async def record(self, tx: Tx, loaded: Any, drafts: Sequence[Draft]) -> None:
        return None


def checkout(prices: InvoicePrices, delivery: InvoiceDelivery) -> Checkout:
    """The shop's own checkout with the two steps in it. Paid at once, as an invoice is."""
    return Checkout(prices, after_tax=(delivery,))
