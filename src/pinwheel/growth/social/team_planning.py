"""Campaigns: an operator writes the terms, starts and stops."""

from __future__ import annotations

import uuid
from typing import Literal

import msgspec

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Journal, Transfer
from pinwheel.growth.social.model import (
    CampaignNotDraft,
    TeamCampaignStarted,
    TeamCampaignStopped,
)
from pinwheel.growth.social.team import GIVEN, TeamCampaign, TeamTerms, faults, pieces_of
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Invalid, Refusal


async def save_team_campaign(
    tx: Tx, terms: TeamTerms, *, campaign_id: uuid.UUID | None = None
) -> uuid.UUID:
    """Write a campaign down as a draft, or change one that has not started; its id.

    Refuses ``Invalid`` (terms that make no sense), ``CampaignNotDraft``."""
    wrong = faults(terms)
    if wrong is not None:
        raise Invalid(*wrong)
    key = campaign_id or tx.new_id()
    if not await _write_terms(tx, key, terms):
        raise CampaignNotDraft()
    await _write_offers(tx, key, terms)
    return key


async def _write_terms(tx: Tx, campaign_id: uuid.UUID, terms: TeamTerms) -> bool:
    """Write the terms of a draft; False for a campaign that has started."""
    written = await tx.value(
        """
        insert into social.team_campaign as c (cell, id, name, market, currency, policy, seats,
               window_seconds, starts_at, ends_at, new_buyers_only, captures_at_once,
               leads_per_person, joins_per_person, uses_per_identity, pieces_per_member,
               open_teams_most, pieces_total, fill_from, fill_minor, budget_id, leader_coupon_id,
               created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
                $19, $20, $21, $22, $23)
        on conflict (cell, id) do update set name = excluded.name, market = excluded.market,
               currency = excluded.currency, policy = excluded.policy, seats = excluded.seats,
               window_seconds = excluded.window_seconds, starts_at = excluded.starts_at,
               ends_at = excluded.ends_at, new_buyers_only = excluded.new_buyers_only,
               captures_at_once = excluded.captures_at_once,
               leads_per_person = excluded.leads_per_person,
               joins_per_person = excluded.joins_per_person,
               uses_per_identity = excluded.uses_per_identity,
               pieces_per_member = excluded.pieces_per_member,
               open_teams_most = excluded.open_teams_most, pieces_total = excluded.pieces_total,
               fill_from = excluded.fill_from, fill_minor = excluded.fill_minor,
               budget_id = excluded.budget_id, leader_coupon_id = excluded.leader_coupon_id
         where c.state = 'draft'
        returning id
        """,
        tx.cell,
        campaign_id,
        terms.name,
        terms.market,
        terms.currency,
        terms.policy,
        terms.seats,
        terms.window_seconds,
        terms.starts_at or tx.now,
        terms.ends_at,
        terms.new_buyers_only,
        terms.captures_at_once,
        terms.leads_per_person,
        terms.joins_per_person,
        terms.uses_per_identity,
        terms.pieces_per_member,
        terms.open_teams_most,
        terms.pieces_total,
        terms.fill_from,
        terms.fill_minor,
        terms.budget_id,
        terms.leader_coupon_id,
        tx.now,
    )
    return written is not None


async def _write_offers(tx: Tx, campaign_id: uuid.UUID, terms: TeamTerms) -> None:
    await tx.run(
        """
        with gone as (
          delete from social.team_offer
           where cell = $1 and campaign_id = $2 and offer_id <> all($3::uuid[])
        )
        insert into social.team_offer (cell, campaign_id, offer_id, price_minor, tiers)
        select $1, $2, o.offer_id, o.price_minor, o.tiers::jsonb
          from unnest($3::uuid[], $4::bigint[], $5::text[]) as o(offer_id, price_minor, tiers)
        on conflict (cell, campaign_id, offer_id) do update
           set price_minor = excluded.price_minor, tiers = excluded.tiers
        """,
        tx.cell,
        campaign_id,
        [o.offer_id for o in terms.offers],
        [o.price_minor for o in terms.offers],
        [msgspec.json.encode(o.tiers).decode() for o in terms.offers],
    )


async def start_team_campaign(tx: Tx, campaign_id: uuid.UUID) -> None:
    """From now on (or from ``starts_at``) teams may be opened; what it may sell is put into its
    account. Safe to repeat; ``CampaignNotDraft`` for one that was stopped."""
    campaign = await locked_campaign(tx, campaign_id)
    if campaign.state == "running":
        return
    if campaign.state != "draft":
        raise CampaignNotDraft()
    await tx.run(
        """
        update social.team_campaign set state = 'running', started_at = $3
         where cell = $1 and id = $2
        """,
        tx.cell,
        campaign_id,
        tx.now,
    )
    if campaign.pieces_total is not None:
        [posted] = await ledger.post(
            tx,
            [
                Journal(
                    document_kind="team_campaign",
                    document_id=campaign_id,
                    key="given",
                    reason="given to a team campaign",
                    transfers=(Transfer(pieces_of(campaign_id), GIVEN, campaign.pieces_total),),
                )
            ],
        )
        if isinstance(posted, Refusal):
            raise posted
    tx.emit(TeamCampaignStarted(campaign_id=campaign_id))


async def open_team_campaign(tx: Tx, terms: TeamTerms) -> uuid.UUID:
    """Write a campaign down and start it; its id."""
    campaign_id = await save_team_campaign(tx, terms)
    await start_team_campaign(tx, campaign_id)
    return campaign_id


async def stop_team_campaign(
    tx: Tx, campaign_id: uuid.UUID, *, teams: Literal["go_on", "fail"] = "go_on"
) -> int:
    """No new team is opened. Open teams go on to their deadline, or fail now and everybody is
    refunded (the clock sees to it); how many fail. Safe to repeat."""
    campaign = await locked_campaign(tx, campaign_id)
    if campaign.state != "stopped":
        await tx.run(
            """
            update social.team_campaign set state = 'stopped', stopped_at = $3
             where cell = $1 and id = $2
            """,
            tx.cell,
            campaign_id,
            tx.now,
        )
        tx.emit(TeamCampaignStopped(campaign_id=campaign_id, teams=teams))
    if teams == "go_on":
        return 0
    return await tx.run(
        """
        update social.team t set state = 'failing', why = 'stopped', ended_at = $3
          from (select id from social.team
                 where cell = $1 and campaign_id = $2 and state = 'open'
                 order by id for update) open
         where t.cell = $1 and t.id = open.id
        """,
        tx.cell,
        campaign_id,
        tx.now,
    )


async def locked_campaign(tx: Tx, campaign_id: uuid.UUID) -> TeamCampaign:
    """The campaign under lock; ``NotFound``."""
    return await tx.the(
        "team campaign",
        TeamCampaign,
        """
        select id, name, market, currency, policy, seats, window_seconds, state, starts_at, ends_at,
               new_buyers_only, captures_at_once, leads_per_person, joins_per_person,
               uses_per_identity, pieces_per_member, open_teams_most, pieces_total, fill_from,
               fill_minor, budget_id, leader_coupon_id
          from social.team_campaign where cell = $1 and id = $2 for update
        """,
        tx.cell,
        campaign_id,
    )
