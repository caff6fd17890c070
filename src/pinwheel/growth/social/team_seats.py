"""Seats as rows: who sits where, who has paid, who has left, who leads."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterable, Sequence

import msgspec

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Journal, Transfer
from pinwheel.growth.social.model import (
    SeatAsked,
    TeamFailed,
    TeamJoined,
    TeamLeft,
    TeamOpened,
)
from pinwheel.growth.social.team import ISSUED, Member, Team, seats_of
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal


async def seat_members(tx: Tx, asked: Sequence[SeatAsked]) -> None:
    """Members and new teams, for the orders that stand at the end of their batch. What a refused
    order took for a team of its own goes back."""
    written = await _standing(tx, [a.order_id for a in asked])
    seats = [a for a in asked if a.order_id in written]
    await _insert_teams(tx, [a for a in seats if a.opens])
    await _insert_members(tx, seats)
    lost = [a.team_id for a in asked if a.opens and a.order_id not in written]
    if lost:
        await ledger.release_for(tx, lost)
        await take_seats_back(tx, lost)


async def take_seats_back(tx: Tx, team_ids: Iterable[uuid.UUID]) -> None:
    """The free seats of teams that end, or never were, go where they came from."""
    accounts = {i: seats_of(i) for i in team_ids}
    free = await ledger.balances(tx, accounts.values())
    journals = [
        Journal(
            document_kind="team",
            document_id=team_id,
            key="closed",
            reason="seats that nobody took",
            transfers=(Transfer(ISSUED, account, free[account.code].available),),
        )
        for team_id, account in accounts.items()
        if free[account.code].available
    ]
    for answer in await ledger.post(tx, journals):
        if isinstance(answer, Refusal):
            raise answer


async def _standing(tx: Tx, order_ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    return set(
        await tx.values(
            """
            select distinct order_id from orders.v_discount
             where cell = $1 and order_id = any($2::uuid[]) and source = 'team'
            """,
            tx.cell,
            list(order_ids),
        )
    )


async def _insert_teams(tx: Tx, opened: Sequence[SeatAsked]) -> None:
    if not opened:
        return
    await tx.run(
        """
        insert into social.team (cell, id, campaign_id, token, seats, seat_account, opened_at,
                                 closes_at)
        select $1, t.id, t.campaign_id, t.token, c.seats, t.seat_account, $2,
               $2::timestamptz + interval '1 second' * c.window_seconds
          from unnest($3::uuid[], $4::uuid[], $5::text[], $6::bigint[])
               as t(id, campaign_id, token, seat_account)
          join social.team_campaign c on c.cell = $1 and c.id = t.campaign_id
        """,
        tx.cell,
        tx.now,
        [a.team_id for a in opened],
        [a.campaign_id for a in opened],
        [secrets.token_urlsafe(16) for _ in opened],
        [seats_of(a.team_id).id for a in opened],
    )


async def _insert_members(tx: Tx, seats: Sequence[SeatAsked]) -> None:
    if not seats:
        return
    await tx.run(
        """
        insert into social.team_member (cell, team_id, order_id, campaign_id, person_id, is_leader,
               offer_id, quantity, unit_minor, claimed_at, share_token, uses, came_by, invited_by,
               initials)
        select $1, s.team_id, s.order_id, s.campaign_id, s.person_id, s.opens, s.offer_id,
               s.quantity, s.unit_minor, $2, s.share_token, s.uses::jsonb, a.came_by,
               inviter.person_id, a.initials
          from unnest($3::uuid[], $4::uuid[], $5::uuid[], $6::uuid[], $7::boolean[], $8::uuid[],
                      $9::int[], $10::bigint[], $11::text[], $12::text[])
               as s(team_id, order_id, campaign_id, person_id, opens, offer_id, quantity,
                    unit_minor, share_token, uses)
          left join social.team_arrival a on a.cell = $1 and a.person_id = s.person_id
                and a.claim_id = case when s.opens then s.campaign_id else s.team_id end
          left join social.team_member inviter on inviter.cell = $1
                and inviter.share_token = a.came_by
        """,
        tx.cell,
        tx.now,
        [a.team_id for a in seats],
        [a.order_id for a in seats],
        [a.campaign_id for a in seats],
        [a.person_id for a in seats],
        [a.opens for a in seats],
        [a.offer_id for a in seats],
        [a.quantity for a in seats],
        [a.unit_minor for a in seats],
        [secrets.token_urlsafe(9) for _ in seats],
        [msgspec.json.encode(a.uses).decode() for a in seats],
    )


async def come_to_team(
    tx: Tx,
    claim_id: uuid.UUID,
    person_id: uuid.UUID,
    *,
    came_by: str | None = None,
    initials: str | None = None,
) -> None:
    """Note by whose link somebody comes to a team (or campaign), and how they let themselves be
    shown there; the first link counts, the last wish to be shown."""
    await tx.run(
        """
        insert into social.team_arrival as a (cell, claim_id, person_id, came_by, initials, at)
        values ($1, $2, $3, $4, $5, $6)
        on conflict (cell, claim_id, person_id) do update
           set came_by = coalesce(a.came_by, excluded.came_by), initials = excluded.initials
        """,
        tx.cell,
        claim_id,
        person_id,
        came_by,
        initials,
        tx.now,
    )


async def locked_teams(tx: Tx, team_ids: Iterable[uuid.UUID]) -> list[Team]:
    """Teams under lock, in the order of their ids. Take all you need at once, before any order."""
    return await tx.rows(
        Team,
        """
        select id, campaign_id, token, state, seats, opened_at, closes_at, ended_at, closed_at, why,
               reached, filled, fill_minor, leader_order_id, reward
          from social.team where cell = $1 and id = any($2::uuid[]) order by id for update
        """,
        tx.cell,
        sorted(set(team_ids)),
    )


async def seated(tx: Tx, team_ids: Sequence[uuid.UUID]) -> list[Member]:
    """Who sits in these teams, and has not left, in the order they came."""
    return await tx.rows(
        Member,
        """
        select team_id, order_id, person_id, is_leader, offer_id, quantity, unit_minor, claimed_at,
               paid_at, left_at, dropped_minor, share_token, invited_by, initials, uses
          from social.team_member
         where cell = $1 and team_id = any($2::uuid[]) and left_at is null
         order by claimed_at, order_id
        """,
        tx.cell,
        list(team_ids),
    )


async def teams_of_orders(tx: Tx, order_ids: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    """The teams that these orders have seats in, as far as they have not left."""
    return await tx.values(
        """
        select distinct team_id from social.team_member
         where cell = $1 and order_id = any($2::uuid[]) and left_at is null
        """,
        tx.cell,
        list(order_ids),
    )


class _Paid(msgspec.Struct, frozen=True):
    team_id: uuid.UUID
    campaign_id: uuid.UUID
    order_id: uuid.UUID
    person_id: uuid.UUID | None
    is_leader: bool
    invited_by: uuid.UUID | None


async def note_paid(tx: Tx, order_ids: Sequence[uuid.UUID]) -> None:
    """These orders are paid; told once. Their teams are under lock."""
    for one in await tx.rows(
        _Paid,
        """
        update social.team_member set paid_at = $3
         where cell = $1 and order_id = any($2::uuid[]) and paid_at is null and left_at is null
        returning team_id, campaign_id, order_id, person_id, is_leader, invited_by
        """,
        tx.cell,
        list(order_ids),
        tx.now,
    ):
        if one.is_leader:
            tx.emit(
                TeamOpened(
                    team_id=one.team_id,
                    campaign_id=one.campaign_id,
                    order_id=one.order_id,
                    person_id=one.person_id,
                )
            )
        else:
            tx.emit(
                TeamJoined(
                    team_id=one.team_id,
                    campaign_id=one.campaign_id,
                    order_id=one.order_id,
                    person_id=one.person_id,
                    invited_by=one.invited_by,
                )
            )


class _Left(msgspec.Struct, frozen=True):
    team_id: uuid.UUID
    order_id: uuid.UUID
    person_id: uuid.UUID | None


async def note_left(tx: Tx, teams: Sequence[Team], order_ids: Sequence[uuid.UUID]) -> None:
    """Cancelled orders have left their teams (under lock), unless those have formed: the seat came
    back with the order; the next member leads."""
    unformed = [t.id for t in teams if t.state != "formed"]
    left = await tx.rows(
        _Left,
        """
        update social.team_member m set left_at = $4
         where m.cell = $1 and m.team_id = any($2::uuid[]) and m.order_id = any($3::uuid[])
           and m.left_at is null
           and exists (select from orders.v_discount d
                        where d.cell = $1 and d.order_id = m.order_id and d.state = 'cancelled')
        returning m.team_id, m.order_id, m.person_id
        """,
        tx.cell,
        unformed,
        list(order_ids),
        tx.now,
    )
    if not left:
        return
    tx.emit(
        *(TeamLeft(team_id=o.team_id, order_id=o.order_id, person_id=o.person_id) for o in left)
    )
    await _hand_over(tx, [o.team_id for o in left])


async def _hand_over(tx: Tx, team_ids: Sequence[uuid.UUID]) -> None:
    """A team goes on without its leader: whoever paid first leads, else whoever came first."""
    await tx.run(
        """
        with next as (
          select distinct on (m.team_id) m.team_id, m.order_id
            from social.team_member m
           where m.cell = $1 and m.team_id = any($2::uuid[]) and m.left_at is null
           order by m.team_id, m.is_leader desc, m.paid_at nulls last, m.claimed_at, m.order_id)
        update social.team_member m
           set is_leader = m.order_id is not distinct from next.order_id
          from social.team_member old left join next on next.team_id = old.team_id
         where m.cell = $1 and m.team_id = any($2::uuid[]) and old.cell = m.cell
           and old.team_id = m.team_id and old.order_id = m.order_id and next.order_id is not null
           and m.is_leader <> (m.order_id is not distinct from next.order_id)
        """,
        tx.cell,
        list(team_ids),
    )


async def close_failed(tx: Tx, team: Team, why: str) -> None:
    """The end of a failed team under lock that holds nobody any more: seats back, told, closed."""
    await ledger.release_for(tx, [team.id])
    await take_seats_back(tx, [team.id])
    await tx.run(
        """
        update social.team set state = 'failed', why = coalesce(why, $3), closed_at = $4,
               ended_at = coalesce(ended_at, $4)
         where cell = $1 and id = $2
        """,
        tx.cell,
        team.id,
        why,
        tx.now,
    )
    owed = await tx.rows(
        _Left,
        """
        select team_id, order_id, person_id from social.team_member
         where cell = $1 and team_id = $2 and paid_at is not null and left_at >= $3
         order by order_id
        """,
        tx.cell,
        team.id,
        team.ended_at or tx.now,
    )
    tx.emit(
        TeamFailed(
            team_id=team.id,
            campaign_id=team.campaign_id,
            order_ids=[o.order_id for o in owed],
            person_ids=[o.person_id for o in owed if o.person_id is not None],
            why=team.why or why,
        )
    )
