"""What follows for teams from orders and from the clock.

Everything here locks teams first and orders after them; what happens to an order is therefore seen
to in a step of its own and never inside the transaction that holds the order."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from pinwheel.ground.identity import GuestJoined, PersonErased
from pinwheel.growth.social.model import MemberOwed, SeatsAsked, TeamDue
from pinwheel.growth.social.team_people import forget_people, join_people
from pinwheel.growth.social.team_rewards import give_rewards
from pinwheel.growth.social.team_seats import (
    close_failed,
    locked_teams,
    note_left,
    note_paid,
    seat_members,
    seated,
    teams_of_orders,
)
from pinwheel.growth.social.team_settling import give_back, settle
from pinwheel.kernel.db import Tx
from pinwheel.kernel.events import after, during, every
from pinwheel.trade.orders import LinesCancelled, OrderCancelled, OrderDelivered, OrderPlaced

DUE_AT_ONCE = 500
ARRIVAL_DAYS = 30


@during(SeatsAsked)
async def write_seats(tx: Tx, events: Sequence[SeatsAsked]) -> None:
    """When the batch is through: members for the orders that stand."""
    await seat_members(tx, [seat for event in events for seat in event.seats])


@after(OrderPlaced)
async def take_paid_seats(tx: Tx, events: Sequence[OrderPlaced]) -> None:
    """A seat is paid for; with the last one its team forms. Two last payers at once form it once:
    the team's row is locked."""
    order_ids = [event.order_id for event in events]
    teams = await locked_teams(tx, await teams_of_orders(tx, order_ids))
    if teams:
        await note_paid(tx, order_ids)
    for team in teams:
        await settle(tx, team)


@after(OrderCancelled, LinesCancelled)
async def free_left_seats(tx: Tx, events: Sequence[OrderCancelled | LinesCancelled]) -> None:
    """A member's order ended before the team formed; a team without anybody is closed."""
    order_ids = sorted({event.order_id for event in events})
    teams = await locked_teams(tx, await teams_of_orders(tx, order_ids))
    unformed = [team for team in teams if team.state != "formed"]
    if not unformed:
        return
    await note_left(tx, unformed, order_ids)
    sitting = {member.team_id for member in await seated(tx, [t.id for t in unformed])}
    for team in unformed:
        if team.id not in sitting and team.state in ("open", "failing"):
            await close_failed(tx, team, "empty")


@every(seconds=2)
async def look_at_deadlines(tx: Tx) -> None:
    """Teams past their deadline, and teams that are ending: a step for each, once at a time."""
    due: list[uuid.UUID] = await tx.values(
        """
        (select id from social.team where cell = $1 and state = 'open' and closes_at <= $2
          order by closes_at limit $3)
        union all
        (select id from social.team where cell = $1 and state = 'failing' order by id limit $3)
        """,
        tx.cell,
        tx.now,
        DUE_AT_ONCE,
    )
    for team_id in due:
        tx.later(settle_due, TeamDue(team_id=team_id), at=tx.now, key=str(team_id))


@after(TeamDue)
async def settle_due(tx: Tx, events: Sequence[TeamDue]) -> None:
    """A team at its deadline forms or begins to fail."""
    for team in await locked_teams(tx, [event.team_id for event in events]):
        await settle(tx, team)


@after(MemberOwed)
async def give_member_back(tx: Tx, events: Sequence[MemberOwed]) -> None:
    """A member of a failed team gets everything back."""
    for event in events:
        await give_back(tx, event.team_id, event.order_id)


@after(OrderDelivered)
async def reward_leaders(tx: Tx, events: Sequence[OrderDelivered]) -> None:
    """The leader's parcel has arrived: now the reward is due."""
    await give_rewards(tx, [event.order_id for event in events])


@during(GuestJoined)
async def join_accounts(tx: Tx, events: Sequence[GuestJoined]) -> None:
    """A guest's seats move to the account they signed in to."""
    await join_people(tx, [(event.guest_id, event.person_id) for event in events])


@during(PersonErased)
async def forget_members(tx: Tx, events: Sequence[PersonErased]) -> None:
    """Whoever is erased leaves no name in a team; seats and figures stay."""
    await forget_people(tx, [event.person_id for event in events])


@every(seconds=3600)
async def forget_arrivals(tx: Tx) -> None:
    """Who came by whose link and never sat down."""
    await tx.run(
        "delete from social.team_arrival where cell = $1 and at < $2",
        tx.cell,
        tx.later_than(-ARRIVAL_DAYS * 86_400),
    )
