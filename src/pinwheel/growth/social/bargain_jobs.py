"""What follows for bargains from orders, people and the clock."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from pinwheel.ground.identity import GuestJoined, PersonErased
from pinwheel.ground.trust import VerdictDecided
from pinwheel.growth.social import bargain_settling, bargain_stock
from pinwheel.growth.social.bargain_helping import ACT, settle_reviewed
from pinwheel.growth.social.bargain_people import forget_bargainers, join_bargainers
from pinwheel.growth.social.model import BargainAgain, BargainAsked, BargainDue
from pinwheel.kernel.db import Tx
from pinwheel.kernel.events import after, during, every
from pinwheel.trade.orders import OrderCancelled, OrderPlaced

DUE_AT_ONCE = 500
AGAIN_SECONDS = 30


@during(BargainAsked)
async def take_back_fallen(tx: Tx, events: Sequence[BargainAsked]) -> None:
    await bargain_settling.take_back_fallen(tx, events)


@during(OrderCancelled)
async def keep_cancelled_cuts(tx: Tx, events: Sequence[OrderCancelled]) -> None:
    await bargain_settling.keep_cancelled(tx, [e.order_id for e in events])


@after(OrderPlaced)
async def settle_bought_bargains(tx: Tx, events: Sequence[OrderPlaced]) -> None:
    await bargain_settling.settle_paid(tx, [e.order_id for e in events])


@after(OrderCancelled)
async def reopen_bargains(tx: Tx, events: Sequence[OrderCancelled]) -> None:
    """What the cancelled order had spent comes back to the budget in a step of its own: where it
    is not there yet, the bargain is looked at once more."""
    for bargain_id in await bargain_settling.settle_cancelled(tx, [e.order_id for e in events]):
        again = BargainAgain(bargain_id=bargain_id, order_id=events[0].order_id)
        tx.later(try_again, again, at=tx.later_than(AGAIN_SECONDS))


@after(BargainAgain)
async def try_again(tx: Tx, events: Sequence[BargainAgain]) -> None:
    for event in events:
        await bargain_settling.try_again(tx, event.bargain_id)


@every(seconds=5)
async def look_at_bargains(tx: Tx) -> None:
    """Bargains past their time: a step for each, once at a time. Stock that no bargain can ask for
    any more."""
    await bargain_stock.free_ended_stock(tx)
    due: list[uuid.UUID] = await tx.values(
        """
        select id from social.bargain
         where cell = $1 and state in ('running', 'reached') and ends_at <= $2
         order by ends_at limit $3
        """,
        tx.cell,
        tx.now,
        DUE_AT_ONCE,
    )
    for bargain_id in due:
        tx.later(end_bargain, BargainDue(bargain_id=bargain_id), at=tx.now, key=str(bargain_id))


@after(BargainDue)
async def end_bargain(tx: Tx, events: Sequence[BargainDue]) -> None:
    await bargain_settling.end_due(tx, [e.bargain_id for e in events])


@after(VerdictDecided)
async def settle_reviewed_helps(tx: Tx, events: Sequence[VerdictDecided]) -> None:
    for event in events:
        if event.act_kind == ACT:
            await settle_reviewed(tx, event.verdict_id, is_allowed=event.decision == "allow")


@during(GuestJoined)
async def join_bargain_accounts(tx: Tx, events: Sequence[GuestJoined]) -> None:
    await join_bargainers(tx, [(e.guest_id, e.person_id) for e in events])


@during(PersonErased)
async def forget_bargain_people(tx: Tx, events: Sequence[PersonErased]) -> None:
    await forget_bargainers(tx, [e.person_id for e in events])
