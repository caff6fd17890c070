"""From a draft to a paid order: stock first, then the money, each step shared with whoever buys
now.

Take the stock (a transaction) → ask the provider (no transaction open) → record its answer and
place the order (a transaction). A crash between two steps is finished by the payments' sweeper or
by the reservation's deadline.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.together import Together, apart
from pinwheel.trade import payments
from pinwheel.trade.orders.draft import (
    Draft,
    Placed,
)
from pinwheel.trade.orders.model import (
    PaymentDeclined,
)
from pinwheel.trade.orders.placing import Checkout
from pinwheel.trade.payments import Outcome, Payment

ENDED = ("failed", "voided")


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
    """The hot path of one process: who buys at the same moment walks the road together."""

    def __init__(self, db: Database, checkout: Checkout) -> None:
        self.db = db
        self.checkout = checkout
        self.buy: Together[Draft, Bought] = Together.outside(db, self._buy, in_flight=2)
        """Place and pay: one draft in, its ``Bought`` out. Refuses what the stages refuse, and
        ``PaymentDeclined``. A client that goes away does not undo its order."""

    async def _buy(self, db: Database, drafts: Sequence[Draft]) -> list[Bought | Exception]:
        placed = await apart(db, self.checkout.place, drafts, actor="checkout")
        paid = await self._pay([p for p in placed if isinstance(p, Placed)])
        return [p if isinstance(p, Exception) else told(p, paid[p.order_id]) for p in placed]

    async def _pay(self, placed: Sequence[Placed]) -> dict[uuid.UUID, list[Payment | Exception]]:
        """Ask for every order's tenders, the first ones of all together, then the second ones; an
        order whose tender is declined is asked for no other."""
        paid: dict[uuid.UUID, list[Payment | Exception]] = {p.order_id: [] for p in placed}
        waiting = [p for p in placed if p.fresh and p.payments]
        while waiting:
            asked = [p.payments[len(paid[p.order_id])] for p in waiting]
            outcomes = await payments.charge(self.db, asked)
            recorded = await apart(self.db, _record, outcomes, actor="checkout")
            for order, payment in zip(waiting, recorded, strict=True):
                paid[order.order_id].append(payment)
            waiting = [
                p
                for p, last in zip(waiting, recorded, strict=True)
                if isinstance(last, Payment)
                and last.state not in ENDED
                and len(paid[p.order_id]) < len(p.payments)
            ]
        return paid


def told(placed: Placed, paid: Sequence[Payment | Exception]) -> Bought | Exception:
    """What the buyer of one order hears. An error after the provider was asked leaves the order
    waiting: the sweeper finds out what became of its payment."""
    sound = [p for p in paid if isinstance(p, Payment)]
    declined = next((p for p in sound if p.state in ENDED), None)
    if declined is not None:
        return PaymentDeclined(reason=declined.reason)
    secured = bool(placed.payments) and all(p.is_secured for p in sound)
    return Bought(
        order_id=placed.order_id,
        number=placed.number,
        state="placed" if secured and len(sound) == len(placed.payments) else placed.state,
        total_minor=placed.total_minor,
        currency=placed.currency,
        action_url=next((p.action_url for p in sound if p.action_url), None),
        fresh=placed.fresh,
    )


async def _record(tx: Tx, outcomes: Sequence[Outcome]) -> list[Payment | Refusal]:
    """One payment per outcome, in order."""
    recorded = {payment.id: payment for payment in await payments.record(tx, outcomes)}
    return [recorded[o.payment_id] for o in outcomes if o.payment_id is not None]
