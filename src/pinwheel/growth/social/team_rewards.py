"""What a leader gets for a team that formed, once their own parcel has arrived."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade import promotions

Grant = Callable[[Tx, uuid.UUID, uuid.UUID, uuid.UUID], Awaitable[None]]


class LeaderRewards(msgspec.Struct, frozen=True):
    """``grant(tx, coupon_id, person_id, team_id)`` gives a person a coupon, once for each team.
    ``app.py`` hands it over: ``db.given[social.LeaderRewards]``; without it a reward stays
    pending."""

    grant: Grant


async def grant_coupon(
    tx: Tx, coupon_id: uuid.UUID, person_id: uuid.UUID, team_id: uuid.UUID
) -> None:
    """A coupon of the promotion ``coupon_id`` for leading a team, once for each team. Of one that
    has ended nobody gets any: the refusal is raised, and the job tells a person in the end."""
    grant = promotions.Grant(person_id=person_id, promotion_id=coupon_id, key=f"team:{team_id}")
    [answer] = await promotions.grant(tx, [grant])
    if isinstance(answer, Refusal):
        raise answer


class _Due(msgspec.Struct, frozen=True):
    team_id: uuid.UUID
    coupon_id: uuid.UUID
    person_id: uuid.UUID | None


async def give_rewards(tx: Tx, order_ids: Sequence[uuid.UUID]) -> int:
    """Grant what is due for these delivered orders; how many rewards. Safe to repeat."""
    rewards: LeaderRewards | None = tx.db.given.get(LeaderRewards)
    if rewards is None:
        return 0
    due = await tx.rows(
        _Due,
        """
        select t.id as team_id, c.leader_coupon_id as coupon_id, m.person_id
          from social.team t
          join social.team_campaign c on c.cell = t.cell and c.id = t.campaign_id
          join social.team_member m on m.cell = t.cell and m.team_id = t.id
                                   and m.order_id = t.leader_order_id
         where t.cell = $1 and t.leader_order_id = any($2::uuid[]) and t.reward = 'pending'
           and c.leader_coupon_id is not null
           and exists (select from orders.v_discount d
                        where d.cell = t.cell and d.order_id = t.leader_order_id
                          and d.state = 'delivered')
         order by t.id for update of t
        """,
        tx.cell,
        list(order_ids),
    )
    for one in due:
        if one.person_id is not None:  # an erased leader gets nothing any more
            await rewards.grant(tx, one.coupon_id, one.person_id, one.team_id)
    await tx.run(
        "update social.team set reward = 'given' where cell = $1 and id = any($2::uuid[])",
        tx.cell,
        [one.team_id for one in due],
    )
    return len(due)
