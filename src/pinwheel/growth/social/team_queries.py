"""Questions about teams; none takes a lock. Who is shown in a team agreed to it."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.growth.social.team import Policy, TeamCampaign, TeamOffer
from pinwheel.kernel.db import Tx
from pinwheel.kernel.listing import Page, after, page


class TeamPlan(msgspec.Struct, frozen=True, kw_only=True):
    """What buying in a team offers for one offer now, in minor units of ``currency``."""

    campaign_id: uuid.UUID
    name: dict[str, str]
    offer_id: uuid.UUID
    price_minor: int
    tiers: list[tuple[int, int]]
    currency: str
    policy: Policy
    seats: int
    window_seconds: int
    new_buyers_only: bool
    pieces_per_member: int
    fill_from: int | None


class OfferedTeam(msgspec.Struct, frozen=True, kw_only=True):
    """An open team that anybody may join: at least one member has paid. ``seats_left`` are seats
    that nobody holds; ``leader`` is a letter shown with consent, else None."""

    team_id: uuid.UUID
    token: str
    campaign_id: uuid.UUID
    seats: int
    seats_left: int
    paid: int
    closes_at: dt.datetime
    leader: str | None


class SeatSight(msgspec.Struct, frozen=True, kw_only=True):
    """A taken seat as everybody may see it."""

    is_leader: bool
    is_paid: bool
    initials: str | None
    is_mine: bool


class TeamSight(msgspec.Struct, frozen=True, kw_only=True):
    """A team with its seats. ``seats_left`` is the ledger's word; ``mine`` is the order of who
    asks, ``my_link`` their own share token."""

    team_id: uuid.UUID
    token: str
    state: str
    why: str | None
    seats: int
    seats_left: int
    reached: int | None
    filled: int
    fill_minor: int
    opened_at: dt.datetime
    closes_at: dt.datetime
    ended_at: dt.datetime | None
    offer_id: uuid.UUID
    campaign: TeamCampaign
    offers: list[TeamOffer]
    taken: list[SeatSight]
    mine: uuid.UUID | None = None
    my_link: str | None = None


class TeamLine(msgspec.Struct, frozen=True, kw_only=True):
    """A team in a list. ``back_minor``: what went back to members of a failed team."""

    team_id: uuid.UUID
    token: str
    campaign_id: uuid.UUID
    state: str
    why: str | None
    seats: int
    paid: int
    held: int
    filled: int
    opened_at: dt.datetime
    closes_at: dt.datetime
    ended_at: dt.datetime | None


class CampaignLine(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign with what has become of its teams."""

    id: uuid.UUID
    name: dict[str, str]
    market: str
    policy: Policy
    seats: int
    state: str
    starts_at: dt.datetime
    open: int
    formed: int
    failed: int
    paid: int
    invited: int


async def running_plans(tx: Tx, market: str, *, most: int = 2000) -> list[TeamPlan]:
    """What may be bought in teams in a market now, the cheapest first. One statement."""
    return await tx.rows(
        TeamPlan,
        """
        select c.id as campaign_id, c.name, o.offer_id, o.price_minor, o.tiers, c.currency,
               c.policy, c.seats, c.window_seconds, c.new_buyers_only, c.pieces_per_member,
               c.fill_from
          from social.team_campaign c
          join social.team_offer o on o.cell = c.cell and o.campaign_id = c.id
         where c.cell = $1 and c.market = $2 and c.state = 'running' and c.starts_at <= $3
           and (c.ends_at is null or c.ends_at > $3)
         order by o.price_minor, c.id limit $4
        """,
        tx.cell,
        market,
        tx.now,
        most,
    )


async def open_teams(
    tx: Tx, offer_ids: Sequence[uuid.UUID], market: str, *, limit: int = 10
) -> list[OfferedTeam]:
    """Open teams for these offers with a free seat, those that lack fewest first. 1 statement."""
    return await tx.rows(
        OfferedTeam,
        """
        select t.id as team_id, t.token, t.campaign_id, t.seats,
               (b.posted - b.held)::int as seats_left, m.paid, t.closes_at, m.leader
          from social.team_campaign c
          join social.team t on t.cell = c.cell and t.campaign_id = c.id and t.state = 'open'
          join ledger.v_balance b on b.cell = t.cell and b.account_id = t.seat_account
          join lateral (
            select count(*)::int as paid, max(initials) filter (where is_leader) as leader
              from social.team_member m
             where m.cell = t.cell and m.team_id = t.id and m.left_at is null
               and m.paid_at is not null) m on m.paid > 0
         where c.cell = $1 and c.market = $3 and c.state <> 'draft' and t.closes_at > $4
           and exists (select from social.team_offer o where o.cell = c.cell
                          and o.campaign_id = c.id and o.offer_id = any($2::uuid[]))
           and exists (select from social.team_member l where l.cell = t.cell and l.team_id = t.id
                          and l.is_leader and l.offer_id = any($2::uuid[]))
           and b.posted - b.held > 0
         order by b.posted - b.held, t.closes_at, t.id limit $5
        """,
        tx.cell,
        list(offer_ids),
        market,
        tx.now,
        limit,
    )


class _Seen(msgspec.Struct, frozen=True):
    team_id: uuid.UUID
    token: str
    campaign_id: uuid.UUID
    state: str
    why: str | None
    seats: int
    seats_left: int
    reached: int | None
    filled: int
    fill_minor: int
    opened_at: dt.datetime
    closes_at: dt.datetime
    ended_at: dt.datetime | None


class _Taken(msgspec.Struct, frozen=True):
    order_id: uuid.UUID
    person_id: uuid.UUID | None
    is_leader: bool
    is_paid: bool
    initials: str | None
    offer_id: uuid.UUID
    share_token: str


async def team_seen(tx: Tx, token: str, *, person_id: uuid.UUID | None = None) -> TeamSight:
    """A team by its address, as ``person_id`` may see it; ``NotFound``. 4 statements."""
    team = await tx.the(
        "team",
        _Seen,
        """
        select t.id as team_id, t.token, t.campaign_id, t.state, t.why, t.seats,
               (b.posted - b.held)::int as seats_left, t.reached, t.filled, t.fill_minor,
               t.opened_at, t.closes_at, t.ended_at
          from social.team t
          join ledger.v_balance b on b.cell = t.cell and b.account_id = t.seat_account
         where t.cell = $1 and t.token = $2
        """,
        tx.cell,
        token,
    )
    taken = await _taken(tx, team.team_id)
    campaign, offers = await team_campaign(tx, team.campaign_id)
    own = next((t for t in taken if person_id is not None and t.person_id == person_id), None)
    return TeamSight(
        team_id=team.team_id,
        token=team.token,
        state=team.state,
        why=team.why,
        seats=team.seats,
        seats_left=team.seats_left,
        reached=team.reached,
        filled=team.filled,
        fill_minor=team.fill_minor,
        opened_at=team.opened_at,
        closes_at=team.closes_at,
        ended_at=team.ended_at,
        offer_id=taken[0].offer_id if taken else offers[0].offer_id,
        campaign=campaign,
        offers=offers,
        taken=[
            SeatSight(
                is_leader=t.is_leader,
                is_paid=t.is_paid,
                initials=t.initials,
                is_mine=t is own,
            )
            for t in taken
        ],
        mine=own.order_id if own else None,
        my_link=own.share_token if own else None,
    )


async def _taken(tx: Tx, team_id: uuid.UUID) -> list[_Taken]:
    """Seats that are held or paid for now, the leader's first."""
    return await tx.rows(
        _Taken,
        """
        select m.order_id, m.person_id, m.is_leader, d.state <> 'pending_payment' as is_paid,
               m.initials, m.offer_id, m.share_token
          from social.team_member m
          join lateral (select d.state from orders.v_discount d
                         where d.cell = m.cell and d.order_id = m.order_id limit 1) d on true
          join social.team t on t.cell = m.cell and t.id = m.team_id
         where m.cell = $1 and m.team_id = $2 and m.left_at is null
           and (d.state <> 'cancelled' or t.state = 'formed')
         order by m.is_leader desc, m.claimed_at, m.order_id
        """,
        tx.cell,
        team_id,
    )


async def team_campaign(tx: Tx, campaign_id: uuid.UUID) -> tuple[TeamCampaign, list[TeamOffer]]:
    """A campaign with its offers; ``NotFound``. 2 statements."""
    campaign = await tx.the(
        "team campaign",
        TeamCampaign,
        """
        select id, name, market, currency, policy, seats, window_seconds, state, starts_at, ends_at,
               new_buyers_only, captures_at_once, leads_per_person, joins_per_person,
               uses_per_identity, pieces_per_member, open_teams_most, pieces_total, fill_from,
               fill_minor, budget_id, leader_coupon_id
          from social.team_campaign where cell = $1 and id = $2
        """,
        tx.cell,
        campaign_id,
    )
    return campaign, await tx.rows(
        TeamOffer,
        """
        select offer_id, price_minor, tiers from social.team_offer
         where cell = $1 and campaign_id = $2 order by price_minor, offer_id
        """,
        tx.cell,
        campaign_id,
    )


async def team_campaigns(
    tx: Tx, *, cursor: str | None = None, limit: int = 50
) -> Page[CampaignLine]:
    """Campaigns, newest first, with the number of their teams by state, of paid seats, and of
    those who came by a member's link. One statement."""
    before = after(cursor, uuid.UUID)
    rows = await tx.rows(
        CampaignLine,
        """
        select c.id, c.name, c.market, c.policy, c.seats, c.state, c.starts_at,
               coalesce(t.open, 0) as open, coalesce(t.formed, 0) as formed,
               coalesce(t.failed, 0) as failed, coalesce(m.paid, 0) as paid,
               coalesce(m.invited, 0) as invited
          from (select * from social.team_campaign
                 where cell = $1 and ($2::uuid is null or id < $2) order by id desc limit $3) c
          left join lateral (
            select count(*) filter (where state = 'open') as open,
                   count(*) filter (where state = 'formed') as formed,
                   count(*) filter (where state in ('failing', 'failed')) as failed
              from social.team t where t.cell = c.cell and t.campaign_id = c.id) t on true
          left join lateral (
            select count(*) as paid, count(m.invited_by) as invited
              from social.team t
              join social.team_member m on m.cell = t.cell and m.team_id = t.id
             where t.cell = c.cell and t.campaign_id = c.id and m.paid_at is not null) m on true
         order by c.id desc
        """,
        tx.cell,
        before[0] if before else None,
        limit + 1,
    )
    return page(rows, limit, lambda r: (r.id,))


async def teams(
    tx: Tx,
    *,
    campaign_id: uuid.UUID | None = None,
    state: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[TeamLine]:
    """Teams, newest first: of one campaign, in one state, or all. One statement."""
    before = after(cursor, uuid.UUID)
    rows = await tx.rows(
        TeamLine,
        """
        select t.id as team_id, t.token, t.campaign_id, t.state, t.why, t.seats, m.paid, m.held,
               t.filled, t.opened_at, t.closes_at, t.ended_at
          from (select * from social.team
                 where cell = $1 and ($2::uuid is null or campaign_id = $2)
                   and ($3::text is null or state = $3) and ($4::uuid is null or id < $4)
                 order by id desc limit $5) t
          join lateral (
            select count(*) filter (where m.paid_at is not null) as paid,
                   count(*) filter (where m.paid_at is null and m.left_at is null) as held
              from social.team_member m where m.cell = t.cell and m.team_id = t.id) m on true
         order by t.id desc
        """,
        tx.cell,
        campaign_id,
        state,
        before[0] if before else None,
        limit + 1,
    )
    return page(rows, limit, lambda r: (r.team_id,))


async def team_line(tx: Tx, team_id: uuid.UUID) -> TeamLine:
    """One team as in a list; ``NotFound``."""
    return await tx.the(
        "team",
        TeamLine,
        """
        select t.id as team_id, t.token, t.campaign_id, t.state, t.why, t.seats, m.paid, m.held,
               t.filled, t.opened_at, t.closes_at, t.ended_at
          from social.team t
          join lateral (
            select count(*) filter (where m.paid_at is not null) as paid,
                   count(*) filter (where m.paid_at is null and m.left_at is null) as held
              from social.team_member m where m.cell = t.cell and m.team_id = t.id) m on true
         where t.cell = $1 and t.id = $2
        """,
        tx.cell,
        team_id,
    )


class OwnTeam(msgspec.Struct, frozen=True, kw_only=True):
    """A seat of one's own with its team."""

    order_id: uuid.UUID
    token: str
    state: str
    seats: int
    seats_left: int
    closes_at: dt.datetime
    name: dict[str, str]
    is_leader: bool
    left_at: dt.datetime | None
    dropped_minor: int
    currency: str


async def teams_of_person(
    tx: Tx, person_id: uuid.UUID, *, cursor: str | None = None, limit: int = 20
) -> Page[OwnTeam]:
    """The teams somebody sat in, the latest first. One statement."""
    before = after(cursor, uuid.UUID)
    rows = await tx.rows(
        OwnTeam,
        """
        select m.order_id, t.token, t.state, t.seats, (b.posted - b.held)::int as seats_left,
               t.closes_at, c.name, m.is_leader, m.left_at, m.dropped_minor, c.currency
          from social.team_member m
          join social.team t on t.cell = m.cell and t.id = m.team_id
          join social.team_campaign c on c.cell = t.cell and c.id = t.campaign_id
          join ledger.v_balance b on b.cell = t.cell and b.account_id = t.seat_account
         where m.cell = $1 and m.person_id = $2 and ($3::uuid is null or m.order_id < $3)
         order by m.order_id desc limit $4
        """,
        tx.cell,
        person_id,
        before[0] if before else None,
        limit + 1,
    )
    return page(rows, limit, lambda r: (r.order_id,))


async def team_of_order(
    tx: Tx, order_id: uuid.UUID, *, person_id: uuid.UUID | None = None
) -> str | None:
    """The address of an order's team, None when it has none; of one person's order only."""
    found: str | None = await tx.value(
        """
        select t.token from social.team_member m
          join social.team t on t.cell = m.cell and t.id = m.team_id
         where m.cell = $1 and m.order_id = $2 and ($3::uuid is null or m.person_id = $3)
        """,
        tx.cell,
        order_id,
        person_id,
    )
    return found


class MoneyStep(msgspec.Struct, frozen=True, kw_only=True):
    """What happened to the money of a team's member: amounts in minor units of ``currency``."""

    order_id: uuid.UUID
    number: str
    is_leader: bool
    order_state: str
    currency: str
    paid_minor: int
    back_minor: int
    on_the_way_minor: int
    claimed_at: dt.datetime
    paid_at: dt.datetime | None
    left_at: dt.datetime | None


async def money_trail(tx: Tx, team_id: uuid.UUID) -> list[MoneyStep]:
    """Every seat a team ever gave, with what came in for it and what went back. One statement."""
    return await tx.rows(
        MoneyStep,
        """
        select m.order_id, l.number, m.is_leader, l.state as order_state, l.currency,
               coalesce(p.paid, 0)::bigint as paid_minor, coalesce(p.back, 0)::bigint as back_minor,
               coalesce(i.amount, 0)::bigint as on_the_way_minor, m.claimed_at, m.paid_at, m.left_at
          from social.team_member m
          join lateral (select l.number, l.state, l.currency from orders.v_line l
                         where l.cell = m.cell and l.order_id = m.order_id limit 1) l on true
          left join lateral (
            select sum(x.amount) filter (where x.debit like 'clearing:%') as paid,
                   sum(x.amount) filter (where x.credit like 'clearing:%') as back
              from ledger.v_posting x
             where x.cell = m.cell and x.document_id = m.order_id and x.unit = l.currency) p on true
          left join lateral (
            select sum(v.amount_minor) as amount from payments.v_instruction v
             where v.cell = m.cell and v.order_id = m.order_id and v.state = 'asked'
               and v.kind = 'refund') i on true
         where m.cell = $1 and m.team_id = $2 order by m.claimed_at, m.order_id
        """,
        tx.cell,
        team_id,
    )
