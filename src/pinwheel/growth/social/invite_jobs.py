"""What follows for invitations from orders, verdicts, people and the clock."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from pinwheel.ground.identity import GuestJoined, PersonErased
from pinwheel.ground.trust import VerdictDecided
from pinwheel.growth.social import invite_attributing, invite_settling, share_links
from pinwheel.growth.social.invite import ACT
from pinwheel.growth.social.invite_people import forget_inviters, join_inviters
from pinwheel.growth.social.model import RewardDue
from pinwheel.kernel.db import Tx
from pinwheel.kernel.events import after, during, every
from pinwheel.trade.orders import (
    LinesCancelled,
    LinesReturned,
    OrderCancelled,
    OrderDelivered,
    OrderPlaced,
)

DUE_AT_ONCE = 500


@after(OrderPlaced)
async def attribute_buyers(tx: Tx, events: Sequence[OrderPlaced]) -> None:
    await invite_attributing.attribute(tx, [e.order_id for e in events])


@after(OrderDelivered)
async def start_return_window(tx: Tx, events: Sequence[OrderDelivered]) -> None:
    await invite_settling.note_delivered(tx, [e.order_id for e in events])


@after(OrderCancelled, LinesCancelled, LinesReturned)
async def take_rewards_back(
    tx: Tx, events: Sequence[OrderCancelled | LinesCancelled | LinesReturned]
) -> None:
    await invite_settling.settle_orders(tx, sorted({e.order_id for e in events}))


@every(seconds=60)
async def look_at_rewards(tx: Tx) -> None:
    """Rewards whose return window is over: a step for each, once at a time."""
    due: list[uuid.UUID] = await tx.values(
        """
        select id from social.reward where cell = $1 and state = 'pending' and due_at <= $2
         order by due_at limit $3
        """,
        tx.cell,
        tx.now,
        DUE_AT_ONCE,
    )
    for reward_id in due:
        tx.later(release_reward, RewardDue(reward_id=reward_id), at=tx.now, key=str(reward_id))


@after(RewardDue)
async def release_reward(tx: Tx, events: Sequence[RewardDue]) -> None:
    await invite_settling.release_due(tx, [e.reward_id for e in events])


@after(VerdictDecided)
async def settle_reviewed_rewards(tx: Tx, events: Sequence[VerdictDecided]) -> None:
    for event in events:
        if event.act_kind == ACT and event.document_id is not None:
            allowed = event.decision == "allow"
            await invite_settling.settle_verdict(tx, event.document_id, event.verdict_id, allowed)


@every(seconds=3600)
async def forget_touches(tx: Tx) -> None:
    await share_links.forget_touches(tx)


@during(GuestJoined)
async def join_invite_accounts(tx: Tx, events: Sequence[GuestJoined]) -> None:
    await join_inviters(tx, [(e.guest_id, e.person_id) for e in events])


@during(PersonErased)
async def forget_invite_people(tx: Tx, events: Sequence[PersonErased]) -> None:
    await forget_inviters(tx, [e.person_id for e in events])
