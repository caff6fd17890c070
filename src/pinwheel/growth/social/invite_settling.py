"""Rewards: released when the return window is over, taken back with the order, once each."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.ground import ledger, trust
from pinwheel.ground.ledger import Account, Insufficient, Journal, Transfer
from pinwheel.growth.social.invite import (
    due_of,
    given_in_rewards,
    owed_back,
    promoter_due,
)
from pinwheel.growth.social.invite_attributing import KEY
from pinwheel.growth.social.model import RewardReleased, RewardReversed
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade import budgets, payments, promotions
from pinwheel.trade.budgets import Commitment, GivenBack


class Reward(msgspec.Struct, frozen=True, kw_only=True):
    """A reward under lock, with what is left of its order."""

    id: uuid.UUID
    campaign_id: uuid.UUID
    order_id: uuid.UUID
    root_order_id: uuid.UUID
    person_id: uuid.UUID | None
    role: str
    kind: str
    currency: str
    amount_minor: int
    reversed_minor: int
    rate_basis_points: int
    least_order_minor: int
    promotion_id: uuid.UUID | None
    coupon_id: uuid.UUID | None
    budget_id: uuid.UUID
    state: str
    due_at: dt.datetime | None
    released_at: dt.datetime | None
    left_minor: int
    pieces: int

    @property
    def net_minor(self) -> int:
        return self.amount_minor - self.reversed_minor

    @property
    def is_alive(self) -> bool:
        return self.state in ("pending", "review", "released")

    @property
    def account(self) -> Account:
        """Where it is put. Asked only while its person is known."""
        assert self.person_id is not None
        if self.kind == "commission":
            return promoter_due(self.person_id, self.currency)
        return payments.store_credit(self.person_id, self.currency)


async def locked_rewards(
    tx: Tx, *, ids: Sequence[uuid.UUID] = (), order_ids: Sequence[uuid.UUID] = ()
) -> list[Reward]:
    """Rewards by their ids, or of orders, under lock in the order of their ids. 2 statements: the
    orders are looked at once the locks are held."""
    await tx.run(
        """
        select from social.reward where cell = $1 and (id = any($2::uuid[]) or id in (
          select id from social.reward
           where cell = $1 and (order_id = any($3::uuid[]) or root_order_id = any($3::uuid[]))))
         order by id for update
        """,
        tx.cell,
        list(ids),
        list(order_ids),
    )
    return await tx.rows(
        Reward,
        """
        select r.id, r.campaign_id, r.order_id, r.root_order_id, r.person_id, r.role, r.kind,
               r.currency, r.amount_minor, r.reversed_minor, r.rate_basis_points,
               r.least_order_minor, r.promotion_id, r.coupon_id, r.budget_id, r.state, r.due_at,
               r.released_at, coalesce(l.left_minor, 0) as left_minor,
               coalesce(l.pieces, 0) as pieces
          from social.reward r
          left join lateral (
            select sum(l.total_minor * (l.quantity - l.cancelled - l.returned)
                       / l.quantity)::bigint as left_minor,
                   sum(l.quantity - l.cancelled - l.returned)::bigint as pieces
              from orders.v_line l
             where l.cell = r.cell and l.order_id = r.order_id and l.state <> 'cancelled') l
            on true
         where r.cell = $1 and (r.id = any($2::uuid[]) or r.order_id = any($3::uuid[])
                                or r.root_order_id = any($3::uuid[]))
         order by r.id
        """,
        tx.cell,
        list(ids),
        list(order_ids),
    )


async def note_delivered(tx: Tx, order_ids: Sequence[uuid.UUID]) -> None:
    """Orders that have arrived whole: from now on the return window runs. Safe to repeat."""
    await tx.run(
        """
        update social.reward r set due_at = $3::timestamptz + c.return_days * interval '1 day'
          from social.invite_campaign c
         where r.cell = $1 and r.order_id = any($2::uuid[]) and r.due_at is null
           and c.cell = r.cell and c.id = r.campaign_id
           and exists (select from orders.v_line l where l.cell = r.cell
                          and l.order_id = r.order_id and l.state = 'delivered')
        """,
        tx.cell,
        list(order_ids),
        tx.now,
    )


async def settle_orders(tx: Tx, order_ids: Sequence[uuid.UUID]) -> None:
    """Bring the rewards of orders to what is left of them. However often, and however many at
    once: the difference is moved once, under the reward's lock."""
    for reward in await locked_rewards(tx, order_ids=order_ids):
        await settle(tx, reward, "refund")


async def settle(tx: Tx, reward: Reward, why: str, *, refuses: bool = False) -> Reward:
    """A reward under lock, brought to what is due; ``refuses``: to nothing."""
    if not reward.is_alive:
        return reward
    due = (
        None
        if refuses
        else due_of(
            reward.role,
            reward.amount_minor,
            reward.rate_basis_points,
            reward.least_order_minor,
            reward.left_minor,
            reward.pieces,
        )
    )
    less = reward.net_minor - (due or 0)
    if due is not None and less <= 0:
        return reward
    if reward.state == "released":
        await _take_back(tx, reward, less)
    elif due is None:
        await ledger.release_for(tx, [reward.id])
    return await _write_less(tx, reward, less, why, ended=due is None)


async def _write_less(tx: Tx, reward: Reward, less: int, why: str, *, ended: bool) -> Reward:
    state = "reversed" if ended else reward.state
    await tx.run(
        """
        update social.reward
           set reversed_minor = reversed_minor + $3, state = $4, why = $5, reversed_at = $6
         where cell = $1 and id = $2
        """,
        tx.cell,
        reward.id,
        less,
        state,
        why,
        tx.now,
    )
    tx.emit(
        RewardReversed(
            reward_id=reward.id,
            campaign_id=reward.campaign_id,
            order_id=reward.order_id,
            person_id=reward.person_id,
            amount_minor=less,
            currency=reward.currency,
            was_released=reward.released_at is not None,
            why=why,
        )
    )
    return msgspec.structs.replace(reward, reversed_minor=reward.reversed_minor + less, state=state)


async def _take_back(tx: Tx, reward: Reward, less: int) -> None:
    """What was given: out of the person's account as far as it is there, the rest is owed and set
    off against their next rewards. A coupon that is not used yet is revoked."""
    if reward.coupon_id is not None:
        await promotions.revoke(tx, [reward.coupon_id], reason="the order was refunded")
    if not less or reward.person_id is None:
        return
    answer = await _post_back(tx, reward, less, 0)
    if isinstance(answer, Insufficient):  # its account stays locked: what is left, is left
        short = less - max(0, int(answer.facts["left"]))
        answer = await _post_back(tx, reward, less - short, short)
    if isinstance(answer, Refusal):
        raise answer
    back = GivenBack(
        budget_id=reward.budget_id,
        document_kind="reward",
        document_id=reward.id,
        key=KEY,
        part=str(reward.reversed_minor),
        amount_minor=less,
        reason="reward taken back",
    )
    for returned in await budgets.give_back(tx, [back]):
        if isinstance(returned, Refusal):
            raise returned


async def _post_back(tx: Tx, reward: Reward, there: int, short: int) -> ledger.Posted | Refusal:
    assert reward.person_id is not None
    cost = given_in_rewards(reward.currency)
    parts = [
        (reward.account, there),
        (owed_back(reward.person_id, reward.currency), short),
    ]
    journal = Journal(
        document_kind="reward",
        document_id=reward.id,
        key=f"reversed:{reward.reversed_minor}",
        reason="reward taken back",
        transfers=tuple(Transfer(account, cost, amount) for account, amount in parts if amount),
    )
    [answer] = await ledger.post(tx, [journal])
    return answer


async def release_due(tx: Tx, reward_ids: Sequence[uuid.UUID]) -> None:
    """Rewards whose return window is over: judged once more, then given. Safe to repeat, and with
    two workers at once: the row is locked and says what it is."""
    for reward in await locked_rewards(tx, ids=reward_ids):
        if reward.state != "pending" or reward.due_at is None or reward.due_at > tx.now:
            continue
        reward = await settle(tx, reward, "refund")
        if reward.state == "pending" and await _is_sound(tx, reward):
            await _release(tx, reward)


async def _is_sound(tx: Tx, reward: Reward) -> bool:
    """What has gathered since counts too: a review waits for a person, a refusal ends it."""
    if reward.person_id is None:
        await settle(tx, reward, "erased", refuses=True)
        return False
    verdict_id = await tx.value(
        "select verdict_id from social.attribution where cell = $1 and order_id = $2",
        tx.cell,
        reward.root_order_id,
    )
    verdicts = await trust.again(tx, [verdict_id]) if verdict_id else []
    decision = verdicts[0].decision if verdicts else "allow"
    if decision == "deny":
        await settle(tx, reward, "trust", refuses=True)
    elif decision == "review":
        await _set_review(tx, reward.id)
    return decision == "allow"


async def _set_review(tx: Tx, reward_id: uuid.UUID) -> None:
    await tx.run(
        "update social.reward set state = 'review', why = 'trust' where cell = $1 and id = $2",
        tx.cell,
        reward_id,
    )


async def _release(tx: Tx, reward: Reward) -> None:
    coupon_id: uuid.UUID | None = None
    assert reward.person_id is not None
    if reward.promotion_id is not None:
        grant = promotions.Grant(
            person_id=reward.person_id,
            promotion_id=reward.promotion_id,
            key=f"reward:{reward.id}",
        )
        [granted] = await promotions.grant(tx, [grant])
        if isinstance(granted, Refusal):  # its promotion has ended: nothing can be given
            await settle(tx, reward, "coupon", refuses=True)
            return
        coupon_id = granted.coupon_id
    elif reward.net_minor:
        await _pay(tx, reward)
    await tx.run(
        """
        update social.reward set state = 'released', released_at = $3, coupon_id = $4
         where cell = $1 and id = $2
        """,
        tx.cell,
        reward.id,
        tx.now,
        coupon_id,
    )
    tx.emit(
        RewardReleased(
            reward_id=reward.id,
            campaign_id=reward.campaign_id,
            order_id=reward.order_id,
            person_id=reward.person_id,
            amount_minor=reward.net_minor,
            currency=reward.currency,
        )
    )


async def _pay(tx: Tx, reward: Reward) -> None:
    """The budget's reservation is spent, the person's account filled; what they owe is set off."""
    assert reward.person_id is not None
    spent = Commitment(
        budget_id=reward.budget_id,
        document_id=reward.id,
        key=KEY,
        amount_minor=reward.net_minor,
    )
    owing = owed_back(reward.person_id, reward.currency)
    owed = (await ledger.balances(tx, [owing]))[owing.code].available
    set_off = min(max(0, owed), reward.net_minor)
    transfers = [Transfer(given_in_rewards(reward.currency), reward.account, reward.net_minor)]
    if set_off:
        transfers.append(Transfer(reward.account, owing, set_off))
    journal = Journal(
        document_kind="reward",
        document_id=reward.id,
        key="released",
        reason="reward",
        transfers=tuple(transfers),
    )
    for answer in [*await budgets.commit(tx, [spent]), *await ledger.post(tx, [journal])]:
        if isinstance(answer, Refusal):
            raise answer


async def settle_verdict(tx: Tx, order_id: uuid.UUID, verdict_id: uuid.UUID, allowed: bool) -> None:
    """A person has looked: what waited goes on, or ends and is taken back. Safe to repeat."""
    await tx.run(
        """
        update social.attribution set decision = $4
         where cell = $1 and order_id = $2 and verdict_id = $3
        """,
        tx.cell,
        order_id,
        verdict_id,
        "allow" if allowed else "deny",
    )
    for reward in await locked_rewards(tx, order_ids=[order_id]):
        if not allowed:
            await settle(tx, reward, "trust", refuses=True)
        elif reward.state == "review":
            await tx.run(
                "update social.reward set state = 'pending' where cell = $1 and id = $2",
                tx.cell,
                reward.id,
            )
