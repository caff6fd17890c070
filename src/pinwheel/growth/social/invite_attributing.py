"""Whose a new buyer is: decided once, at the first paid order, with the rewards that follow."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence

import msgspec

from pinwheel.ground import trust
from pinwheel.ground.trust import Act, Verdict
from pinwheel.growth.social.invite import (
    ACT,
    SESSION_SECONDS,
    InviteCampaign,
    Owed,
    Touch,
    commission_of,
    owner_of,
    rewards_of,
)
from pinwheel.growth.social.invite_running import invite_campaigns
from pinwheel.growth.social.model import RewardPending
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade import budgets
from pinwheel.trade.budgets import Reservation

KEY = "reward"


async def attribute(tx: Tx, order_ids: Sequence[uuid.UUID]) -> None:
    """Give each new buyer of these paid orders to who brought them, once, and put the rewards
    aside; and commissions on later orders of those who were brought. Safe to repeat."""
    by_order: dict[uuid.UUID, list[Touch]] = {}
    for one in await _touches(tx, order_ids):
        by_order.setdefault(one.order_id, []).append(one)
    found = [owner for touches in by_order.values() if (owner := owner_of(touches)) is not None]
    seen = set[uuid.UUID]()
    owners = []
    for owner in sorted(found, key=lambda t: t.order_id):
        if owner.child_id not in seen:  # two first orders in one batch: the older counts
            owners.append(owner)
        seen.add(owner.child_id)
    loops = await _loops(tx, owners)
    owners = [o for o in owners if o.order_id not in loops]
    campaigns = await _campaigns(tx, owners, order_ids)
    owed: list[Owed] = []
    if owners:
        owed = await _own(tx, owners, campaigns)
    owed += await _later(tx, order_ids, campaigns)
    await write_rewards(tx, owed)


async def _own(
    tx: Tx, owners: Sequence[Touch], campaigns: Mapping[uuid.UUID, InviteCampaign]
) -> list[Owed]:
    acts = [
        Act(kind=ACT, person_id=o.child_id, other_id=o.parent_id, document_id=o.order_id)
        for o in owners
    ]
    verdicts = dict(zip((o.order_id for o in owners), await trust.judge(tx, acts), strict=True))
    fresh = set(await _write(tx, owners, verdicts))
    owners = [o for o in owners if o.order_id in fresh]
    above = await _grandparents(tx, owners)
    return [
        one
        for o in owners
        if verdicts[o.order_id].decision != "deny"
        for one in rewards_of(
            o,
            campaigns[o.campaign_id],
            above.get(o.order_id),
            in_review=verdicts[o.order_id].decision == "review",
        )
    ]


async def _write(
    tx: Tx, owners: Sequence[Touch], verdicts: Mapping[uuid.UUID, Verdict]
) -> list[uuid.UUID]:
    """The orders whose buyer had no owner until now."""
    return await tx.values(
        """
        insert into social.attribution
               (cell, order_id, campaign_id, link_id, parent_person_id, child_person_id, channel,
                depth, touched_at, at, verdict_id, decision)
        select $1, a.order_id, a.campaign_id, a.link_id, a.parent_id, a.child_id, a.channel,
               a.depth, a.touched_at, $2, a.verdict_id, a.decision
          from unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::uuid[], $8::text[],
                      $9::int[], $10::timestamptz[], $11::uuid[], $12::text[])
               as a(order_id, campaign_id, link_id, parent_id, child_id, channel, depth,
                    touched_at, verdict_id, decision)
        on conflict do nothing
        returning order_id
        """,
        tx.cell,
        tx.now,
        [o.order_id for o in owners],
        [o.campaign_id for o in owners],
        [o.link_id for o in owners],
        [o.parent_id for o in owners],
        [o.child_id for o in owners],
        [o.channel for o in owners],
        [o.parent_depth + 1 for o in owners],
        [o.last_at for o in owners],
        [verdicts[o.order_id].id for o in owners],
        [verdicts[o.order_id].decision for o in owners],
    )


async def write_rewards(tx: Tx, owed: Sequence[Owed]) -> None:
    """Rewards, pending, in review, or refused for want of a budget or over a person's limit. Who
    takes part is locked first, so that two jobs at once keep the limit."""
    if not owed:
        return
    counts = await _counted(tx, owed)
    rows: list[tuple[uuid.UUID, Owed, str, str | None]] = []
    for one in owed:
        key = (one.campaign.id, one.person_id)
        over = one.role != "invitee" and counts.get(key, 0) >= one.campaign.rewards_most
        counts[key] = counts.get(key, 0) + 1
        state = "refused" if over else "review" if one.in_review else "pending"
        rows.append((tx.new_id(), one, state, "limit" if over else None))
    asking = [(i, one) for i, one, state, _ in rows if state != "refused" and one.amount_minor]
    answers = await budgets.reserve(
        tx,
        [
            Reservation(
                budget_id=one.campaign.budget_id,
                document_kind="reward",
                document_id=reward_id,
                key=KEY,
                amount_minor=one.amount_minor,
                currency=one.campaign.currency,
            )
            for reward_id, one in asking
        ],
    )
    short = {i for (i, _), a in zip(asking, answers, strict=True) if isinstance(a, Refusal)}
    final = [
        (i, one, "refused" if i in short else state, "budget" if i in short else why)
        for i, one, state, why in rows
    ]
    await _insert(tx, final)


async def _insert(tx: Tx, rows: Sequence[tuple[uuid.UUID, Owed, str, str | None]]) -> None:
    await tx.run(
        """
        insert into social.reward
               (cell, id, campaign_id, order_id, root_order_id, person_id, role, level, kind,
                currency, amount_minor, base_minor, rate_basis_points, least_order_minor,
                promotion_id, budget_id, state, why, at)
        select $1, r.id, r.campaign_id, r.order_id, r.root_order_id, r.person_id, r.role, r.level,
               r.kind, r.currency, r.amount_minor, r.base_minor, r.rate, r.least, r.promotion_id,
               r.budget_id, r.state, r.why, $2
          from unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::uuid[], $8::text[],
                      $9::smallint[], $10::text[], $11::text[], $12::bigint[], $13::bigint[],
                      $14::int[], $15::bigint[], $16::uuid[], $17::uuid[], $18::text[],
                      $19::text[])
               as r(id, campaign_id, order_id, root_order_id, person_id, role, level, kind,
                    currency, amount_minor, base_minor, rate, least, promotion_id, budget_id,
                    state, why)
        """,
        tx.cell,
        tx.now,
        [i for i, _, _, _ in rows],
        [o.campaign.id for _, o, _, _ in rows],
        [o.order_id for _, o, _, _ in rows],
        [o.root_order_id for _, o, _, _ in rows],
        [o.person_id for _, o, _, _ in rows],
        [o.role for _, o, _, _ in rows],
        [o.level for _, o, _, _ in rows],
        [o.kind for _, o, _, _ in rows],
        [o.campaign.currency for _, o, _, _ in rows],
        [o.amount_minor for _, o, _, _ in rows],
        [o.base_minor for _, o, _, _ in rows],
        [o.campaign.commission_basis_points for _, o, _, _ in rows],
        [o.campaign.least_order_minor for _, o, _, _ in rows],
        [o.promotion_id for _, o, _, _ in rows],
        [o.campaign.budget_id for _, o, _, _ in rows],
        [state for _, _, state, _ in rows],
        [why for _, _, _, why in rows],
    )
    tx.emit(
        *(
            RewardPending(
                reward_id=i,
                campaign_id=o.campaign.id,
                order_id=o.order_id,
                person_id=o.person_id,
                role=o.role,
                amount_minor=o.amount_minor,
                currency=o.campaign.currency,
            )
            for i, o, state, _ in rows
            if state != "refused"
        )
    )


class _Count(msgspec.Struct, frozen=True):
    campaign_id: uuid.UUID
    person_id: uuid.UUID
    rewards: int


async def _counted(tx: Tx, owed: Sequence[Owed]) -> dict[tuple[uuid.UUID, uuid.UUID], int]:
    """Rewards of each person in the campaign's period, once who takes part is locked."""
    pairs = sorted({(o.campaign.id, o.person_id) for o in owed})
    days = {o.campaign.id: o.campaign.rewards_days for o in owed}
    named = [c for c, _ in pairs], [p for _, p in pairs]
    await tx.run(
        """
        select from social.invite_member m
          join unnest($2::uuid[], $3::uuid[]) as p(campaign_id, person_id)
            on p.campaign_id = m.campaign_id and p.person_id = m.person_id
         where m.cell = $1 order by m.campaign_id, m.person_id for update of m
        """,
        tx.cell,
        *named,
    )
    rows = await tx.rows(
        _Count,
        """
        select r.campaign_id, r.person_id, count(*) as rewards
          from social.reward r
          join unnest($2::uuid[], $3::uuid[], $4::timestamptz[]) as p(campaign_id, person_id, since)
            on p.campaign_id = r.campaign_id and p.person_id = r.person_id
         where r.cell = $1 and r.person_id = any($3::uuid[]) and r.at > p.since
           and r.role <> 'invitee' and r.state in ('pending', 'review', 'released')
         group by r.campaign_id, r.person_id
        """,
        tx.cell,
        *named,
        [tx.later_than(-86_400 * days[c]) for c, _ in pairs],
    )
    return {(r.campaign_id, r.person_id): r.rewards for r in rows}


async def _touches(tx: Tx, order_ids: Sequence[uuid.UUID]) -> list[Touch]:
    """How the buyers of first paid orders came, as far as it still counts. 1 statement."""
    return await tx.rows(
        Touch,
        """
        with bought as (
          select l.order_id, l.person_id, l.currency, l.placed_at,
                 sum(l.total_minor * (l.quantity - l.cancelled) / l.quantity)::bigint as goods_minor
            from orders.v_line l
           where l.cell = $1 and l.order_id = any($2::uuid[]) and l.person_id is not null
             and l.state in ('placed', 'shipped', 'delivered')
           group by l.order_id, l.person_id, l.currency, l.placed_at
        )
        select b.order_id, b.person_id as child_id, k.person_id as parent_id, k.campaign_id,
               c.attribution, k.id as link_id, t.channel, t.at, t.last_at, b.goods_minor,
               coalesce((select a.depth from social.attribution a
                          where a.cell = $1 and a.child_person_id = k.person_id
                            and a.campaign_id = k.campaign_id), 0) as parent_depth
          from bought b
          join social.share_touch t on t.cell = $1 and t.person_id = b.person_id
          join social.share_link k on k.cell = $1 and k.id = t.link_id
          join social.invite_campaign c on c.cell = $1 and c.id = k.campaign_id
         where k.person_id is not null and c.currency = b.currency and c.state = 'running'
           and (c.ends_at is null or c.ends_at > t.at)
           and (t.last_at > $3
                or t.accepted_at > $4::timestamptz - c.window_days * interval '1 day')
           and not exists (select from social.attribution a
                            where a.cell = $1 and a.child_person_id = b.person_id)
           and not exists (select from orders.v_line o
                            where o.cell = $1 and o.person_id = b.person_id
                              and (o.placed_at, o.order_id) < (b.placed_at, b.order_id)
                              and o.state in ('placed', 'shipped', 'delivered'))
        """,
        tx.cell,
        list(order_ids),
        tx.later_than(-SESSION_SECONDS),
        tx.now,
    )


async def _loops(tx: Tx, owners: Sequence[Touch]) -> set[uuid.UUID]:
    """Orders whose buyer stands above who brought them: a circle is nobody's invitation."""
    if not owners:
        return set()
    found = await tx.values(
        """
        with recursive up as (
          select o.order_id, o.child_id, o.parent_id as at_id, 0 as steps
            from unnest($2::uuid[], $3::uuid[], $4::uuid[]) as o(order_id, child_id, parent_id)
          union all
          select up.order_id, up.child_id, a.parent_person_id, up.steps + 1
            from up join social.attribution a on a.cell = $1 and a.child_person_id = up.at_id
           where up.steps < 100 and a.parent_person_id is not null
        )
        select distinct order_id from up where at_id = child_id
        """,
        tx.cell,
        [o.order_id for o in owners],
        [o.child_id for o in owners],
        [o.parent_id for o in owners],
    )
    return set(found)


class _Above(msgspec.Struct, frozen=True):
    order_id: uuid.UUID
    person_id: uuid.UUID


async def _grandparents(tx: Tx, owners: Sequence[Touch]) -> dict[uuid.UUID, uuid.UUID]:
    """Who invited the inviter, in the same campaign and without a refusal."""
    rows = await tx.rows(
        _Above,
        """
        select o.order_id, a.parent_person_id as person_id
          from unnest($2::uuid[], $3::uuid[], $4::uuid[]) as o(order_id, parent_id, campaign_id)
          join social.attribution a on a.cell = $1 and a.child_person_id = o.parent_id
               and a.campaign_id = o.campaign_id and a.decision = 'allow'
         where a.parent_person_id is not null
        """,
        tx.cell,
        [o.order_id for o in owners],
        [o.parent_id for o in owners],
        [o.campaign_id for o in owners],
    )
    return {row.order_id: row.person_id for row in rows}


class _Further(msgspec.Struct, frozen=True):
    """A later order of somebody a promoter brought."""

    order_id: uuid.UUID
    root_order_id: uuid.UUID
    campaign_id: uuid.UUID
    parent_id: uuid.UUID
    goods_minor: int
    currency: str
    at: dt.datetime


async def _later(
    tx: Tx, order_ids: Sequence[uuid.UUID], campaigns: Mapping[uuid.UUID, InviteCampaign]
) -> list[Owed]:
    return [
        Owed(
            order_id=one.order_id,
            root_order_id=one.root_order_id,
            campaign=campaign,
            person_id=one.parent_id,
            role="commission",
            level=1,
            amount_minor=amount,
            base_minor=one.goods_minor,
        )
        for one in await _further(tx, order_ids)
        if (campaign := campaigns[one.campaign_id]).currency == one.currency
        and one.goods_minor >= campaign.least_order_minor
        and (amount := commission_of(one.goods_minor, campaign.commission_basis_points))
    ]


async def _further(tx: Tx, order_ids: Sequence[uuid.UUID]) -> list[_Further]:
    return await tx.rows(
        _Further,
        """
        select l.order_id, a.order_id as root_order_id, a.campaign_id,
               a.parent_person_id as parent_id,
               sum(l.total_minor * (l.quantity - l.cancelled) / l.quantity)::bigint as goods_minor,
               l.currency, a.at
          from orders.v_line l
          join social.attribution a on a.cell = l.cell and a.child_person_id = l.person_id
          join social.invite_campaign c on c.cell = a.cell and c.id = a.campaign_id
         where l.cell = $1 and l.order_id = any($2::uuid[]) and l.order_id <> a.order_id
           and l.state in ('placed', 'shipped', 'delivered')
           and a.decision = 'allow' and a.parent_person_id is not null
           and c.kind = 'promoter' and l.placed_at <= a.at + c.commission_days * interval '1 day'
           and not exists (select from social.reward r
                            where r.cell = $1 and r.order_id = l.order_id and r.role = 'commission')
         group by l.order_id, a.order_id, a.campaign_id, a.parent_person_id, l.currency, a.at
        """,
        tx.cell,
        list(order_ids),
    )


async def _campaigns(
    tx: Tx, owners: Sequence[Touch], order_ids: Sequence[uuid.UUID]
) -> dict[uuid.UUID, InviteCampaign]:
    further = {one.campaign_id for one in await _further(tx, order_ids)}
    wanted = further | {o.campaign_id for o in owners}
    return {c.id: c for c in await invite_campaigns(tx, ids=sorted(wanted))} if wanted else {}
