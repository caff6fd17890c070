"""Campaigns of every kind, what each cost and whom each won."""

from __future__ import annotations

import datetime as dt
import uuid

import msgspec

from pinwheel.kernel.db import Tx

RETAINED_DAYS = 60
"""A buyer who buys again within so many days has stayed."""
MOST_CAMPAIGNS = 200


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """A week of a campaign. ``retained``: of its buyers, who have bought again within 60 days."""

    kind: str
    campaign_id: uuid.UUID
    until: dt.datetime
    cost_minor: int
    buyers: int
    retained: int


async def stretches(
    tx: Tx, since: dt.datetime, currency: str, campaign_id: uuid.UUID | None = None
) -> list[Stretch]:
    """Week by week, of one campaign, or of all that work by sharing put together when there is no
    id: the cost out of their budgets, and the buyers that came through them. 1 statement."""
    return await tx.rows(
        Stretch,
        """
        with cost as (
          select kind, campaign_id, date_trunc('week', at at time zone 'UTC') as week,
                 sum(amount_minor) as cost
            from measurement.v_campaign_cost
           where cell = $1 and at >= $2 and currency = $3
             and ($4::uuid is null and kind in ('team', 'bargain', 'invite') or campaign_id = $4)
           group by 1, 2, 3
        ), won as (
          select kind, campaign_id, date_trunc('week', first_at at time zone 'UTC') as week,
                 count(*) as buyers,
                 count(*) filter (where second_at <= first_at + make_interval(days => $5)) as stayed
            from measurement.v_campaign_buyer
           where cell = $1 and first_at >= $2 and currency = $3
             and ($4::uuid is null and kind in ('team', 'bargain', 'invite') or campaign_id = $4)
           group by 1, 2, 3
        )
        select min(kind) as kind, (array_agg(campaign_id))[1] as campaign_id,
               (week + interval '7 days') at time zone 'UTC' as until,
               coalesce(sum(cost), 0)::bigint as cost_minor,
               coalesce(sum(buyers), 0)::bigint as buyers,
               coalesce(sum(stayed), 0)::bigint as retained
          from cost full join won using (kind, campaign_id, week)
         group by week order by week
        """,
        tx.cell,
        since,
        currency,
        campaign_id,
        RETAINED_DAYS,
    )


async def all_stretches(tx: Tx, since: dt.datetime, currency: str) -> list[Stretch]:
    """The same of every campaign by itself. 1 statement."""
    return await tx.rows(
        Stretch,
        """
        with cost as (
          select kind, campaign_id, date_trunc('week', at at time zone 'UTC') as week,
                 sum(amount_minor) as cost
            from measurement.v_campaign_cost
           where cell = $1 and at >= $2 and currency = $3 group by 1, 2, 3
        ), won as (
          select kind, campaign_id, date_trunc('week', first_at at time zone 'UTC') as week,
                 count(*) as buyers,
                 count(*) filter (where second_at <= first_at + make_interval(days => $4)) as stayed
            from measurement.v_campaign_buyer
           where cell = $1 and first_at >= $2 and currency = $3 group by 1, 2, 3
        )
        select kind, campaign_id, (week + interval '7 days') at time zone 'UTC' as until,
               coalesce(cost, 0)::bigint as cost_minor, coalesce(buyers, 0)::bigint as buyers,
               coalesce(stayed, 0)::bigint as retained
          from cost full join won using (kind, campaign_id, week)
         order by kind, campaign_id, week
        """,
        tx.cell,
        since,
        currency,
        RETAINED_DAYS,
    )


class Campaign(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign with its budget; ``available_minor`` None: it has none of its own."""

    kind: str
    id: uuid.UUID
    name: dict[str, str]
    state: str
    is_running: bool
    budget_id: uuid.UUID | None
    currency: str | None
    starts_at: dt.datetime | None
    ends_at: dt.datetime | None
    available_minor: int | None
    reserved_minor: int | None
    spent_minor: int | None


async def campaigns(tx: Tx, *, running_only: bool = True) -> list[Campaign]:
    """Campaigns of all kinds, those that run first, then the latest. 1 statement."""
    return await tx.rows(
        Campaign,
        """
        select c.kind, c.campaign_id as id, c.name, c.state, c.is_running, c.budget_id,
               coalesce(c.currency, b.currency) as currency, c.starts_at, c.ends_at,
               b.available_minor, b.reserved_minor, b.spent_minor
          from measurement.v_campaign c
          left join budgets.v_budget b on b.cell = $1 and b.budget_id = c.budget_id
         where c.cell in (0, $1)
           and (not $2 or c.is_running and (c.ends_at is null or c.ends_at > $3))
         order by c.is_running desc, c.starts_at desc nulls last, c.campaign_id limit $4
        """,
        tx.cell,
        running_only,
        tx.now,
        MOST_CAMPAIGNS,
    )


async def campaign(tx: Tx, campaign_id: uuid.UUID) -> Campaign | None:
    """One campaign, of whatever kind."""
    return next((c for c in await campaigns(tx, running_only=False) if c.id == campaign_id), None)


class Member(msgspec.Struct, frozen=True):
    campaign_id: uuid.UUID
    person_id: uuid.UUID


async def buyers_of(tx: Tx, since: dt.datetime, currency: str) -> list[Member]:
    """Who was won by which campaign; 20,000 at most."""
    return await tx.rows(
        Member,
        """
        select distinct campaign_id, person_id from measurement.v_campaign_buyer
         where cell = $1 and first_at >= $2 and currency = $3 order by 1, 2 limit 20000
        """,
        tx.cell,
        since,
        currency,
    )


class Brought(msgspec.Struct, frozen=True):
    campaign_id: uuid.UUID
    brought: int
    people: int


async def brought_by(tx: Tx, since: dt.datetime, window_days: int) -> list[Brought]:
    """How many buyers who took part brought so many by the campaign's links, of those whose window
    is over. 1 statement."""
    return await tx.rows(
        Brought,
        """
        with member as (
          select t.campaign_id, t.person_id, greatest(min(t.at), b.first_at) as at
            from measurement.v_took_part t
            join measurement.buyer b on b.cell = $1 and b.person_id = t.person_id
           where t.cell = $1 group by t.campaign_id, t.person_id, b.first_at
        ), each as (
          select m.campaign_id, count(c.person_id) as brought
            from member m
            left join measurement.buyer c
              on c.cell = $1 and c.parent_id = m.person_id and c.campaign_id = m.campaign_id
             and c.first_at >= m.at and c.first_at < m.at + make_interval(days => $3)
           where m.at >= $2 and m.at + make_interval(days => $3) <= $4
           group by m.campaign_id, m.person_id
        )
        select campaign_id, brought, count(*) as people from each group by 1, 2 order by 1, 2
        """,
        tx.cell,
        since,
        window_days,
        tx.now,
    )


class Day(msgspec.Struct, frozen=True):
    campaign_id: uuid.UUID
    day: int
    came: bool
    people: int


async def days_of(tx: Tx, since: dt.datetime, window_days: int) -> list[Day]:
    """As ``tree.first_days``, of every campaign by itself. 1 statement."""
    return await tx.rows(
        Day,
        """
        with member as (
          select t.campaign_id, b.person_id, b.first_at,
                 min(c.first_at) filter (where c.first_at < b.first_at
                                               + make_interval(days => $3)) as came_at
            from (select distinct campaign_id, person_id from measurement.v_took_part
                   where cell = $1) t
            join measurement.buyer b on b.cell = $1 and b.person_id = t.person_id
            left join measurement.buyer c
              on c.cell = $1 and c.parent_id = b.person_id and c.campaign_id = t.campaign_id
           where b.first_at >= $2
           group by t.campaign_id, b.person_id, b.first_at
        )
        select campaign_id,
               least($3, floor(extract(epoch from coalesce(came_at, $4) - first_at) / 86400))::int
                 as day,
               came_at is not null as came, count(*) as people
          from member group by 1, 2, 3 order by 1, 2, 3
        """,
        tx.cell,
        since,
        window_days,
        tx.now,
    )
