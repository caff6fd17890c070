"""Invite campaigns: written, started, stopped, joined."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from pinwheel.growth.social.invite import InviteCampaign, InviteTerms, invite_faults
from pinwheel.growth.social.model import CampaignNotDraft, InviteNotOpen
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Invalid, NotFound
from pinwheel.trade import budgets


async def save_invite_campaign(
    tx: Tx, terms: InviteTerms, *, campaign_id: uuid.UUID | None = None
) -> uuid.UUID:
    """Write a campaign down as a draft, or change one that has not started; its id. Refuses
    ``Invalid``, ``CampaignNotDraft``."""
    wrong = invite_faults(terms)
    if wrong is not None:
        raise Invalid(*wrong)
    if (await budgets.budget(tx, terms.budget_id)).currency != terms.currency:
        raise Invalid("budget_id", "the budget is in another currency", "预算币种不一致")
    key = campaign_id or tx.new_id()
    if not await _write_terms(tx, key, terms):
        raise CampaignNotDraft()
    return key


async def _write_terms(tx: Tx, campaign_id: uuid.UUID, terms: InviteTerms) -> bool:
    """Write the terms of a draft; False for a campaign that has started."""
    written = await tx.value(
        """
        insert into social.invite_campaign as c (cell, id, name, kind, currency, budget_id,
               attribution, window_days, levels, inviter_minor, second_minor, invitee_minor,
               inviter_coupon_id, invitee_coupon_id, commission_basis_points, commission_days,
               least_order_minor, return_days, rewards_most, rewards_days, starts_at, ends_at,
               created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
                $19, $20, $21, $22, $23)
        on conflict (cell, id) do update set name = excluded.name, kind = excluded.kind,
               currency = excluded.currency, budget_id = excluded.budget_id,
               attribution = excluded.attribution, window_days = excluded.window_days,
               levels = excluded.levels, inviter_minor = excluded.inviter_minor,
               second_minor = excluded.second_minor, invitee_minor = excluded.invitee_minor,
               inviter_coupon_id = excluded.inviter_coupon_id,
               invitee_coupon_id = excluded.invitee_coupon_id,
               commission_basis_points = excluded.commission_basis_points,
               commission_days = excluded.commission_days,
               least_order_minor = excluded.least_order_minor,
               return_days = excluded.return_days, rewards_most = excluded.rewards_most,
               rewards_days = excluded.rewards_days, starts_at = excluded.starts_at,
               ends_at = excluded.ends_at
         where c.state = 'draft'
        returning id
        """,
        tx.cell,
        campaign_id,
        terms.name,
        terms.kind,
        terms.currency,
        terms.budget_id,
        terms.attribution,
        terms.window_days,
        terms.levels,
        terms.inviter_minor,
        terms.second_minor,
        terms.invitee_minor,
        terms.inviter_coupon_id,
        terms.invitee_coupon_id,
        terms.commission_basis_points,
        terms.commission_days,
        terms.least_order_minor,
        terms.return_days,
        terms.rewards_most,
        terms.rewards_days,
        terms.starts_at or tx.now,
        terms.ends_at,
        tx.now,
    )
    return written is not None


async def set_invite_campaign(tx: Tx, campaign_id: uuid.UUID, *, running: bool) -> None:
    """Start a draft, or stop what runs: rewards that wait stay promised. ``NotFound``;
    ``CampaignNotDraft`` for starting one that was stopped."""
    done = await tx.run(
        """
        update social.invite_campaign set state = $3
         where cell = $1 and id = $2 and ($3 = 'stopped' or state in ('draft', 'running'))
        """,
        tx.cell,
        campaign_id,
        "running" if running else "stopped",
    )
    if not done:
        if not await invite_campaigns(tx, ids=[campaign_id]):
            raise NotFound(what="invite campaign")
        raise CampaignNotDraft()


async def join_campaign(tx: Tx, campaign_id: uuid.UUID, person_id: uuid.UUID) -> InviteCampaign:
    """Take part: from now on this person's links count. Safe to repeat; ``InviteNotOpen``."""
    found = await invite_campaigns(tx, ids=[campaign_id])
    if not found or not found[0].runs_at(tx.now):
        raise InviteNotOpen()
    await tx.run(
        """
        insert into social.invite_member (cell, campaign_id, person_id, joined_at)
        values ($1, $2, $3, $4) on conflict do nothing
        """,
        tx.cell,
        campaign_id,
        person_id,
        tx.now,
    )
    return found[0]


async def invite_campaigns(
    tx: Tx, *, ids: Sequence[uuid.UUID] | None = None, running: bool = False, limit: int = 100
) -> list[InviteCampaign]:
    """Campaigns, newest first. 1 statement."""
    found = await tx.rows(
        InviteCampaign,
        """
        select id, name, kind, currency, budget_id, attribution, window_days, levels,
               inviter_minor, second_minor, invitee_minor, inviter_coupon_id, invitee_coupon_id,
               commission_basis_points, commission_days, least_order_minor, return_days,
               rewards_most, rewards_days, state, starts_at, ends_at
          from social.invite_campaign
         where cell = $1 and ($2::uuid[] is null or id = any($2)) order by id desc limit $3
        """,
        tx.cell,
        None if ids is None else list(ids),
        limit,
    )
    return [c for c in found if c.runs_at(tx.now)] if running else found
