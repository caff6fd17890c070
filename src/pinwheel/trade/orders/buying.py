"""From a draft to a paid order: stock first, then the money, each step shared with whoever buys
now.

Take the stock (a transaction) → ask the provider (no transaction open) → record its answer and
place the order (a transaction). A crash between two steps is finished by the payments' sweeper
or by the reservation's deadline."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.together import Together
from pinwheel.trade import payments
from pinwheel.trade.orders.actions import Checkout
from pinwheel.trade.orders.model import Draft, PaymentDeclined, Placed
from pinwheel.trade.payments import Outcome, Payment


class Bought(msgspec.Struct, frozen=True, kw_only=True):
    """What a buyer is told. ``state``: placed (paid), pending_payment, or whatever a repeat finds;
    ``action_url``: where the buyer must go and confirm the payment first."""

    order_id: uuid.UUID
    number: str
    state: str
    total_minor: int
    currency: str
    action_url: str | None = None
    fresh: bool = True


class Buying:
    """The hot path of one process."""

    def __init__(self, db: Database, checkout: Checkout) -> None:
        self.checkout = checkout
        self.place: Together[Draft, Placed] = Together(db, checkout.place, actor="checkout")
        self.charge: Together[Payment, Outcome] = Together.outside(db, payments.charge)
        self.record: Together[Outcome, Payment] = Together(db, _record, actor="checkout")

    async def buy(self, draft: Draft) -> Bought:
        """Place and pay. Refuses what the stages refuse, and ``PaymentDeclined``.

        A client that goes away does not undo its order: the steps run on.
        """
        return await asyncio.shield(self._buy(draft))

    async def _buy(self, draft: Draft) -> Bought:
        placed = await self.place(draft)
        asked = placed.payments
        paid = [await self._pay(asked[0])] if len(asked) == 1 else await self._pay_all(asked)
        declined = next((p for p in paid if p.state in ("failed", "voided")), None)
        if declined is not None:
            raise PaymentDeclined(reason=declined.reason)
        state = placed.state
        if paid and all(p.is_secured for p in paid):
            state = "placed"
        return Bought(
            order_id=placed.order_id,
            number=placed.number,
            state=state,
            total_minor=placed.total_minor,
            currency=placed.currency,
            action_url=next((p.action_url for p in paid if p.action_url), None),
            fresh=placed.fresh,
        )

    async def _pay(self, payment: Payment) -> Payment:
        return await self.record(await self.charge(payment))

    async def _pay_all(self, asked: list[Payment]) -> list[Payment]:
        """Several tenders, one after the other: the first that is declined ends the order."""
        paid = []
        for payment in asked:
            paid.append(await self._pay(payment))
            if paid[-1].state in ("failed", "voided"):
                break
        return paid


async def _record(tx: Tx, outcomes: Sequence[Outcome]) -> list[Payment]:
    """One payment per outcome, in order."""
    recorded = {payment.id: payment for payment in await payments.record(tx, outcomes)}
    return [recorded[o.payment_id] for o in outcomes if o.payment_id is not None]
