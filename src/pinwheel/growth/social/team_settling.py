"""What becomes of a team: it forms with its last paid seat, or at its deadline, or it fails and
everybody gets everything back. Each step locks the team first, then its orders, and may be
repeated.

open → formed | open → failing (members are refunded, one step each) → failed."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Account, Journal, Transfer, Unit
from pinwheel.growth.social.model import MemberOwed, TeamFormed
from pinwheel.growth.social.team import (
    FAILED,
    FILLED,
    ISSUED,
    PIECE,
    SEAT,
    SOLD,
    TAKEN,
    USE,
    USED,
    Member,
    Team,
    TeamCampaign,
    TeamOffer,
    outcome,
    seats_of,
    smallest_size,
    unit_price,
)
from pinwheel.growth.social.team_seats import (
    close_failed,
    locked_teams,
    note_left,
    note_paid,
    seated,
)
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade import budgets, orders, pricing
from pinwheel.trade.orders import Order, OrderLine

MOVED_TO = {SEAT.code: (SEAT, TAKEN), USE.code: (USE, USED), PIECE.code: (PIECE, SOLD)}
Found = dict[uuid.UUID, tuple[Order, list[OrderLine]]]


class _Terms(msgspec.Struct, frozen=True):
    campaign: TeamCampaign
    offers: dict[uuid.UUID, TeamOffer]


async def settle(tx: Tx, team: Team) -> str:
    """Look at an open team under lock and do what is due: formed, waiting, or failed (its members
    are owed). Safe to repeat: a team that has ended is left as it is."""
    if team.state == "failing":
        return await _owe(tx, team)
    if team.state != "open":
        return team.state
    members = await seated(tx, [team.id])
    found = await orders.locked_orders(tx, [m.order_id for m in members])
    paid = [m for m in members if found[m.order_id][0].state == "placed"]
    terms = await _terms(tx, team.campaign_id)
    verdict = outcome(
        terms.campaign,
        team.seats,
        len(paid),
        due=team.closes_at <= tx.now,
        smallest=smallest_size(list(terms.offers.values())),
    )
    if verdict == "waiting":
        return verdict
    filled = team.seats - len(paid) if terms.campaign.policy == "near_complete" else 0
    if verdict == "failed":
        return await _fail(tx, team, "deadline")
    if filled and not await _pay_fill(tx, team, terms.campaign, filled):
        return await _fail(tx, team, "budget")
    await _form(tx, team, terms, members, found, filled)
    return verdict


async def _fail(tx: Tx, team: Team, why: str) -> str:
    await tx.run(
        """
        update social.team set state = 'failing', why = $3, ended_at = $4
         where cell = $1 and id = $2 and state = 'open'
        """,
        tx.cell,
        team.id,
        why,
        tx.now,
    )
    return await _owe(tx, msgspec.structs.replace(team, state="failing", why=why, ended_at=tx.now))


async def _owe(tx: Tx, team: Team) -> str:
    """A step of its own for each member who is still in; without any the team is closed."""
    members = await seated(tx, [team.id])
    if not members:
        await close_failed(tx, team, team.why or "deadline")
        return "failed"
    step = tx.db.reactions.by_name["team_jobs.give_member_back"].call
    for member in members:
        owed = MemberOwed(team_id=team.id, order_id=member.order_id)
        tx.later(step, owed, at=tx.now, key=str(member.order_id))
    return "failing"


async def give_back(tx: Tx, team_id: uuid.UUID, order_id: uuid.UUID) -> None:
    """One member of a failed team: the order is cancelled, and with it go money (void or refund),
    stock, coupon, points, budget and seat. The last one closes the team. Safe to repeat."""
    for team in await locked_teams(tx, [team_id]):
        if team.state != "failing":
            return
        await orders.cancel(tx, order_id, reason=FAILED)
        await note_left(tx, [team], [order_id])
        if not await seated(tx, [team_id]):
            await close_failed(tx, team, team.why or "deadline")


async def _pay_fill(tx: Tx, team: Team, campaign: TeamCampaign, missing: int) -> bool:
    """The budget pays for the seats that nobody took; False when it can't."""
    amount = (campaign.fill_minor or 0) * missing
    if not amount or campaign.budget_id is None:
        return True
    [answer] = await budgets.spend(
        tx,
        [
            budgets.Reservation(
                budget_id=campaign.budget_id,
                document_kind="team",
                document_id=team.id,
                key="fill",
                amount_minor=amount,
                currency=campaign.currency,
            )
        ],
    )
    return not isinstance(answer, Refusal)


async def _form(
    tx: Tx,
    team: Team,
    terms: _Terms,
    members: Sequence[Member],
    found: Found,
    filled: int,
) -> None:
    """The team stands: seats are taken for good, orders are let go, late ones are called off."""
    paid = [m for m in members if found[m.order_id][0].state == "placed"]
    for member in members:
        if found[member.order_id][0].state != "placed":  # its payment did not come in time
            await orders.cancel(tx, member.order_id, reason=FAILED)
    await note_left(tx, [team], [m.order_id for m in members if m not in paid])
    await _take_for_good(tx, team, paid, filled)
    order_ids = [m.order_id for m in paid]
    await note_paid(tx, order_ids)  # of some the news is still on its way
    await orders.let_go(tx, order_ids)
    await ledger.release_for(tx, [team.id])
    dropped = {m.order_id: await _drop(tx, terms, m, found, len(paid)) for m in paid}
    leader = next((m for m in paid if m.is_leader), paid[0])
    await tx.run(
        """
        with member as (
          update social.team_member m
             set dropped_minor = d.amount, is_leader = m.order_id = $4
            from unnest($5::uuid[], $6::bigint[]) as d(order_id, amount)
           where m.cell = $1 and m.team_id = $2 and m.order_id = d.order_id
        )
        update social.team set state = 'formed', ended_at = $3, reached = $7, filled = $8,
               fill_minor = $9, leader_order_id = $4, reward = $10
         where cell = $1 and id = $2
        """,
        tx.cell,
        team.id,
        tx.now,
        leader.order_id,
        list(dropped),
        list(dropped.values()),
        len(paid),
        filled,
        filled * (terms.campaign.fill_minor or 0),
        "pending" if terms.campaign.leader_coupon_id else "none",
    )
    tx.emit(
        TeamFormed(
            team_id=team.id,
            campaign_id=team.campaign_id,
            order_ids=order_ids,
            person_ids=[m.person_id for m in paid if m.person_id is not None],
            filled=filled,
        )
    )


async def _take_for_good(tx: Tx, team: Team, paid: Sequence[Member], filled: int) -> None:
    """Consume the holds of the members' seats, and empty the account of the team's seats."""
    journals = [
        Journal(
            document_kind="order",
            document_id=member.order_id,
            key="team:formed",
            reason="the team was completed",
            transfers=tuple(_taken(use) for use in member.uses),
        )
        for member in paid
    ]
    left = team.seats - len(paid)
    if left:
        to = FILLED if filled else ISSUED
        journals.append(
            Journal(
                document_kind="team",
                document_id=team.id,
                key="closed",
                reason="seats paid for by a budget" if filled else "seats that nobody took",
                transfers=(Transfer(to, seats_of(team.id), left),),
            )
        )
    for answer in await ledger.post(tx, journals):
        if isinstance(answer, Refusal):
            raise answer


def _taken(use: tuple[str, str, int, int, uuid.UUID]) -> Transfer:
    code, unit_code, floor, amount, hold_id = use
    unit: Unit
    unit, to = MOVED_TO[unit_code]
    return Transfer(to, Account(code, unit, floor=floor), amount, hold=hold_id)


async def _drop(tx: Tx, terms: _Terms, member: Member, found: Found, size: int) -> int:
    """Tiered: what this member paid above the price of the size that was reached comes back."""
    order, lines = found[member.order_id]
    offer = terms.offers.get(member.offer_id)
    if offer is None or not offer.tiers:
        return 0
    less = member.unit_minor - unit_price(offer, size)
    amount = sum(_less(order, line, less) for line in lines)
    amount = min(amount, order.secured_minor - order.refunded_minor)
    if amount <= 0:
        return 0
    await orders.give_goodwill(
        tx,
        member.order_id,
        amount,
        f"the team reached {size} members",
        gift_id=uuid.uuid5(member.team_id, str(member.order_id)),
    )
    return amount


def _less(order: Order, line: OrderLine, unit_less_minor: int) -> int:
    """What a line costs less, with its tax, at a piece price lower by ``unit_less_minor``."""
    pieces = line.quantity - line.cancelled
    less = unit_less_minor * pieces
    if order.tax_included or less <= 0:
        return max(0, less)
    net = (line.goods_minor - line.discount_minor) * pieces // line.quantity
    rate = line.tax_basis_points
    return less + pricing.tax_on_top(net, rate) - pricing.tax_on_top(net - less, rate)


async def _terms(tx: Tx, campaign_id: uuid.UUID) -> _Terms:
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
    offers = await tx.rows(
        TeamOffer,
        """
        select offer_id, price_minor, tiers from social.team_offer
         where cell = $1 and campaign_id = $2
        """,
        tx.cell,
        campaign_id,
    )
    return _Terms(campaign, {o.offer_id: o for o in offers})
