"""What follows for promotions from orders, holds, categories, people and the clock."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.ground import identity, ledger
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import after, during, every
from pinwheel.trade import catalogue, orders
from pinwheel.trade.promotions import actions, dealing, model, privacy, stocking


@during(orders.OrderShipped)
async def settle_uses(tx: Tx, events: Sequence[orders.OrderShipped]) -> None:
    """What was held for an order is used for good once it has left: it can't be cancelled now."""
    holds = await tx.rows(
        _Held,
        """
        select h.hold_id, h.document_id, h.key, h.remaining from ledger.v_hold h
         where h.cell = $1 and h.document_id = any($2::uuid[]) and h.state = 'open'
           and h.key like 'use:%' order by h.hold_id
        """,
        tx.cell,
        sorted({event.order_id for event in events}),
    )
    if not holds:
        return
    answers = await ledger.post(tx, [_used(held) for held in holds])
    refused = next((a for a in answers if isinstance(a, Refusal)), None)
    if refused is not None:
        raise refused


class _Held(msgspec.Struct, frozen=True):
    hold_id: uuid.UUID
    document_id: uuid.UUID
    key: str
    remaining: int


def _used(held: _Held) -> ledger.Journal:
    """The key of such a hold names its promotion and its account."""
    _, promotion, code = held.key.split(":", 2)
    promotion_id = uuid.UUID(promotion)
    account = ledger.Account(code, model.unit_of(promotion_id))
    move = ledger.Transfer(model.taken(promotion_id), account, held.remaining, hold=held.hold_id)
    return ledger.Journal(
        document_kind="order",
        document_id=held.document_id,
        key=held.key,
        reason="used",
        transfers=(move,),
    )


@during(orders.OrderCancelled)
async def call_next(tx: Tx, events: Sequence[orders.OrderCancelled]) -> None:
    """Pieces of a deal that came back go to who waits, before anybody else can see them."""
    freed = await tx.values(
        """
        select distinct u.promotion_id from promotions.use u
          join promotions.promotion p on p.id = u.promotion_id and p.is_deal
         where u.cell = $1 and u.order_id = any($2::uuid[])
        """,
        tx.cell,
        [event.order_id for event in events],
    )
    await _come_back(tx, freed)


@during(orders.LinesCancelled)
async def call_next_for_lines(tx: Tx, events: Sequence[orders.LinesCancelled]) -> None:
    """The same where a part of an order was cancelled."""
    await _come_back(tx, await stocking.lower_uses(tx, [event.order_id for event in events]))


async def _come_back(tx: Tx, deal_ids: Sequence[uuid.UUID]) -> None:
    """To who waits while the deal runs, else to everybody."""
    if deal_ids:
        await dealing.pass_on(tx, deal_ids)
        await stocking.free_ended(tx, deal_ids)


class _Use(msgspec.Struct, frozen=True):
    order_id: uuid.UUID
    promotion_id: uuid.UUID
    person_id: uuid.UUID | None
    coupon_id: uuid.UUID | None
    digest: bytes | None
    off_minor: int
    currency: str
    is_deal: bool
    coupon: bool


@after(orders.OrderPlaced)
async def note_used(tx: Tx, events: Sequence[orders.OrderPlaced]) -> None:
    """Paid for: the coupon is used, whoever waited has bought."""
    uses = await tx.rows(
        _Use,
        """
        select u.order_id, u.promotion_id, u.person_id, u.coupon_id, u.digest, u.off_minor,
               u.currency, p.is_deal, (p.terms -> 'conditions' ->> 'coupon')::boolean as coupon
          from promotions.use u join promotions.promotion p on p.id = u.promotion_id
         where u.cell = $1 and u.order_id = any($2::uuid[])
        """,
        tx.cell,
        [event.order_id for event in events],
    )
    bought = [(u.promotion_id, u.person_id) for u in uses if u.is_deal and u.person_id is not None]
    if bought:
        await dealing.note_bought(tx, bought)
    tx.emit(
        *(
            model.CouponUsed(
                order_id=u.order_id,
                promotion_id=u.promotion_id,
                coupon_id=u.coupon_id,
                person_id=u.person_id,
                off_minor=u.off_minor,
                currency=u.currency,
            )
            for u in uses
            if u.coupon
        )
    )


@during(catalogue.CategoriesChanged)
async def reread(tx: Tx, events: Sequence[catalogue.CategoriesChanged]) -> None:
    """What lies below a category may be another: rules that name it are read anew."""
    await orders.revise(tx)


@every(seconds=15)
async def keep_time(tx: Tx) -> None:
    """Tell what has begun and what is over; end turns that were not used; free what came back to
    deals that are over."""
    await actions.tell(tx)
    await dealing.sweep(tx)
    await stocking.free_ended(tx)


@every(seconds=300)
async def put_aside_late(tx: Tx) -> None:
    """A deal that was live before its stock was put aside gets it now."""
    await stocking.catch_up(tx)


@during(identity.GuestJoined)
async def join_wallets(tx: Tx, events: Sequence[identity.GuestJoined]) -> None:
    """A guest's coupons and places move to the account they signed in to."""
    await privacy.join(tx, [(e.guest_id, e.person_id) for e in events])


@during(identity.PersonErased)
async def forget_people(tx: Tx, events: Sequence[identity.PersonErased]) -> None:
    await privacy.forget(tx, [event.person_id for event in events])
