"""The team stage: proves a claim on a seat, sets the member's price, and takes the seat before any
payment is asked for.

What it takes are holds under the order's own document: they are kept when the order is paid and
come back with the stock when it is given up, cancelled or never paid for."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import msgspec

from pinwheel.ground import ledger, trust
from pinwheel.ground.ledger import Account, Held, Hold, Journal, Transfer
from pinwheel.growth.social.model import (
    AlreadyInTeam,
    NewBuyersOnly,
    NotTrusted,
    SeatAsked,
    SeatsAsked,
    TeamBuysOneThing,
    TeamClosed,
    TeamFull,
    TeamNeedsPerson,
    TeamNotOffered,
    TeamPriceOver,
    TeamSoldOut,
    TooManyOpenTeams,
    TooManyTeams,
)
from pinwheel.growth.social.team import (
    ISSUED,
    SOLD,
    TAKEN,
    USED,
    TeamCampaign,
    TeamOffer,
    Verdict,
    in_team,
    joined_by,
    led_by,
    open_teams_of,
    pieces_of,
    seats_of,
    unit_price,
    used_by,
)
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade.orders import Discount, Draft

JOIN, OPEN = "team", "team_open"
Judge = Callable[[Tx, Sequence[Draft]], Awaitable[Mapping[uuid.UUID, Verdict]]]


class _Team(msgspec.Struct, frozen=True):
    id: uuid.UUID
    campaign_id: uuid.UUID
    state: str
    seats: int
    closes_at: dt.datetime
    paid: int


class _Offer(msgspec.Struct, frozen=True):
    campaign_id: uuid.UUID
    offer_id: uuid.UUID
    price_minor: int
    tiers: list[tuple[int, int]]


class _Seat(msgspec.Struct):
    """A seat that a draft asks for; ``team_id`` of a team to be opened is made with the seat."""

    team_id: uuid.UUID
    opens: bool
    campaign: TeamCampaign
    person_id: uuid.UUID
    offer_id: uuid.UUID
    quantity: int
    unit_minor: int
    identities: tuple[str, ...]
    slug: str


class _Loaded(msgspec.Struct):
    now: dt.datetime
    teams: dict[uuid.UUID, _Team]
    campaigns: dict[uuid.UUID, TeamCampaign]
    offers: dict[tuple[uuid.UUID, uuid.UUID], TeamOffer]
    bought: set[uuid.UUID]
    verdicts: Mapping[uuid.UUID, Verdict]
    seats: dict[uuid.UUID, _Seat] = {}  # by draft, as decided


class TeamStage:
    """Claims ``team`` (a seat in that team) and ``team_open`` (a new team of that campaign).

    ``judge`` says what the house thinks of the buyers; without one a cluster of accounts and a
    device count as identities. Statements: none for a batch without a claim; else at most 5 to
    load, 1 and the ledger's to record, 4 when the batch ends."""

    def __init__(self, judge: Judge | None = None) -> None:
        self.judge = judge or by_identity

    async def load(self, tx: Tx, drafts: Sequence[Draft], placing: bool) -> _Loaded | None:
        claiming = [d for d in drafts if any(c.kind in (JOIN, OPEN) for c in d.claims)]
        if not claiming:
            return None
        claims = [c for d in claiming for c in d.claims]
        joined = sorted({c.id for c in claims if c.kind == JOIN})
        opened = sorted({c.id for c in claims if c.kind == OPEN})
        teams = {t.id: t for t in (await _teams(tx, joined) if joined else ())}
        wanted = sorted({*opened, *(t.campaign_id for t in teams.values())})
        campaigns = {c.id: c for c in await _campaigns(tx, wanted)}
        offers = {
            (o.campaign_id, o.offer_id): TeamOffer(
                offer_id=o.offer_id, price_minor=o.price_minor, tiers=o.tiers
            )
            for o in await _offers(tx, wanted)
        }
        new_only = any(c.new_buyers_only for c in campaigns.values())
        people = sorted({d.person_id for d in claiming if d.person_id is not None})
        bought = set(await _buyers(tx, people)) if new_only and joined else set()
        verdicts = await self.judge(tx, claiming)
        return _Loaded(tx.now, teams, campaigns, offers, bought, verdicts)

    def decide(self, loaded: _Loaded | None, draft: Draft) -> None:
        if loaded is None:
            return
        claims = [c for c in draft.claims if c.kind in (JOIN, OPEN)]
        if not claims:
            return
        answer = _seat(loaded, draft, claims)
        if isinstance(answer, Refusal):
            draft.refusal = answer
            return
        line = next(li for li in draft.lines if li.offer_id == answer.offer_id)
        loaded.seats[draft.id] = answer
        name = answer.campaign.name
        draft.take_off(
            Discount(
                source="team",
                source_id=answer.campaign.id,
                offer_id=line.offer_id,
                amount_minor=(line.unit_price_minor - answer.unit_minor) * line.quantity,
                budget_id=answer.campaign.budget_id,
                en=f"Team price: {name['en']}",
                zh=f"拼团价：{name['zh-CN']}",
            )
        )
        draft.claimed.add(line.offer_id)
        draft.waits_for = "team"
        if not answer.campaign.captures_at_once:
            draft.capture = False

    async def record(self, tx: Tx, loaded: _Loaded | None, drafts: Sequence[Draft]) -> None:
        if loaded is None:
            return
        mine = [d for d in drafts if d.id in loaded.seats]
        joining = sorted({s.team_id for d in mine if not (s := loaded.seats[d.id]).opens})
        standing = set(await _open_teams(tx, joining)) if joining else set()
        sitting: list[Draft] = []
        for draft in mine:
            seat = loaded.seats[draft.id]
            if seat.opens:
                seat.team_id = tx.new_id()
            elif seat.team_id not in standing:
                draft.refusal = TeamClosed(link=_link(seat))
                continue
            sitting.append(draft)
        if sitting:
            await _take(tx, loaded, sitting)


def _seat(loaded: _Loaded, draft: Draft, claims: Sequence[Any]) -> _Seat | Refusal:
    """The seat that is asked for, or why not. Pure."""
    if draft.person_id is None:
        return TeamNeedsPerson()
    opens = claims[0].kind == OPEN
    team = None if opens else loaded.teams.get(claims[0].id)
    campaign = loaded.campaigns.get(team.campaign_id if team else claims[0].id)
    line = draft.lines[0]
    if campaign is None or (team is None and not opens) or campaign.market != draft.market:
        return TeamNotOffered()
    most = campaign.pieces_per_member
    if len(claims) > 1 or len(draft.lines) > 1 or line.quantity > most:
        return TeamBuysOneThing(most=most)
    offer = loaded.offers.get((campaign.id, line.offer_id))
    if offer is None or campaign.currency != draft.currency or campaign.state == "draft":
        return TeamNotOffered()
    if opens and not campaign.opens_at(loaded.now):
        return TeamNotOffered()
    if team is not None and (team.state != "open" or loaded.now >= team.closes_at):
        return TeamClosed(link=f"/p/{line.slug}#teams")
    verdict = loaded.verdicts.get(draft.id, Verdict())
    if verdict.refused_en:
        return NotTrusted(why=verdict.refused_en, why_zh=verdict.refused_zh)
    is_new = draft.person_id not in loaded.bought if verdict.is_new is None else verdict.is_new
    if campaign.new_buyers_only and not opens and not is_new:
        return NewBuyersOnly()
    unit = unit_price(offer, (team.paid if team else 0) + 1)
    if unit >= line.unit_price_minor:
        return TeamPriceOver()
    return _Seat(
        team_id=claims[0].id,
        opens=opens,
        campaign=campaign,
        person_id=draft.person_id,
        offer_id=line.offer_id,
        quantity=line.quantity,
        unit_minor=unit,
        identities=verdict.identities,
        slug=line.slug,
    )


def _link(seat: _Seat) -> str:
    return f"/p/{seat.slug}#teams"


async def _take(tx: Tx, loaded: _Loaded, drafts: Sequence[Draft]) -> None:
    """Hold seat, pieces and uses of every draft; who lost a race is refused and holds nothing."""
    opening = [s for d in drafts if (s := loaded.seats[d.id]).opens]
    for issued in await ledger.post(tx, [_issue(seat) for seat in opening]):
        if isinstance(issued, Refusal):
            raise issued
    wanted = {d.id: _holds(tx, d, loaded.seats[d.id]) for d in drafts}
    held: dict[uuid.UUID, list[tuple[Hold, uuid.UUID]]] = {d.id: [] for d in drafts}
    # First what only concerns the buyer, then the seat, then the rest: who is refused for one
    # thing must not have kept a neighbour of the batch from another for a moment.
    for turn in range(3):
        asked = [
            (draft, refusal, one)
            for draft in drafts
            if draft.refusal is None
            for when, refusal, one in wanted[draft.id]
            if when == turn
        ]
        answers = await ledger.hold(tx, [one for _, _, one in asked])
        for (draft, refusal, one), answer in zip(asked, answers, strict=True):
            if isinstance(answer, Held):
                held[draft.id].append((one, answer.hold_id))
            elif draft.refusal is None:
                draft.refusal = refusal
    lost = [hold_id for d in drafts if d.refusal is not None for _, hold_id in held[d.id]]
    await ledger.release(tx, lost)
    seats = [
        _asked(draft.id, loaded.seats[draft.id], held[draft.id])
        for draft in drafts
        if draft.refusal is None or loaded.seats[draft.id].opens
    ]
    if seats:
        tx.emit(SeatsAsked(seats=seats))


def _issue(seat: _Seat) -> Journal:
    """The seats of a new team."""
    transfer = Transfer(seats_of(seat.team_id), ISSUED, seat.campaign.seats)
    return Journal(
        document_kind="team",
        document_id=seat.team_id,
        key="opened",
        reason="a team's seats",
        transfers=(transfer,),
    )


def _holds(tx: Tx, draft: Draft, seat: _Seat) -> list[tuple[int, Refusal, Hold]]:
    """What a seat takes, in which turn, and what is said when there is none left."""
    campaign, link = seat.campaign, _link(seat)
    limit = (
        led_by(campaign.id, seat.person_id, campaign.leads_per_person)
        if seat.opens
        else joined_by(campaign.id, seat.person_id, campaign.joins_per_person)
    )
    found: list[tuple[int, Refusal, str, Account, Account, int]] = [
        (0, AlreadyInTeam(), "person", USED, in_team(seat.team_id, seat.person_id), 1),
        (0, TooManyTeams(), "uses", USED, limit, 1),
        (1, TeamFull(link=link), "seat", TAKEN, seats_of(seat.team_id), 1),
    ]
    if campaign.uses_per_identity is not None:
        for number, identity in enumerate(dict.fromkeys(seat.identities)):
            account = used_by(campaign.id, identity, campaign.uses_per_identity)
            found.append((0, TooManyTeams(), f"identity:{number}", USED, account, 1))
    if campaign.pieces_total is not None:
        found.append((2, TeamSoldOut(), "pieces", SOLD, pieces_of(campaign.id), seat.quantity))
    holds = [
        (
            turn,
            refusal,
            Hold(
                document_kind="order",
                document_id=draft.id,
                key=f"team:{key}",
                debit=debit,
                credit=credit,
                amount=amount,
            ),
        )
        for turn, refusal, key, debit, credit, amount in found
    ]
    if seat.opens and campaign.open_teams_most is not None:
        room = Hold(
            document_kind="team",
            document_id=seat.team_id,
            key="open",
            debit=USED,
            credit=open_teams_of(campaign.id, campaign.open_teams_most),
            amount=1,
        )
        holds.append((1, TooManyOpenTeams(link=link), room))
    return holds


def _asked(order_id: uuid.UUID, seat: _Seat, held: Sequence[tuple[Hold, uuid.UUID]]) -> SeatAsked:
    return SeatAsked(
        team_id=seat.team_id,
        campaign_id=seat.campaign.id,
        order_id=order_id,
        person_id=seat.person_id,
        offer_id=seat.offer_id,
        quantity=seat.quantity,
        unit_minor=seat.unit_minor,
        opens=seat.opens,
        uses=[
            (h.credit.code, h.credit.unit.code, h.credit.floor or 0, h.amount, hold_id)
            for h, hold_id in held
            if h.document_kind == "order"
        ],
    )


async def by_identity(tx: Tx, drafts: Sequence[Draft]) -> Mapping[uuid.UUID, Verdict]:
    """All accounts of one cluster are one identity, and so is a device. One statement."""
    people = sorted({d.person_id for d in drafts if d.person_id is not None})
    clusters = await trust.cluster_of(tx, people)
    return {d.id: Verdict(identities=_identities(d, clusters)) for d in drafts}


def _identities(draft: Draft, clusters: Mapping[uuid.UUID, uuid.UUID]) -> tuple[str, ...]:
    found = [f"device:{draft.device}"] if draft.device else []
    if draft.person_id is not None:
        found.append(f"cluster:{clusters.get(draft.person_id, draft.person_id)}")
    return tuple(found)


async def _teams(tx: Tx, team_ids: Sequence[uuid.UUID]) -> list[_Team]:
    return await tx.rows(
        _Team,
        """
        select t.id, t.campaign_id, t.state, t.seats, t.closes_at,
               (select count(*) from social.team_member m
                 where m.cell = t.cell and m.team_id = t.id and m.paid_at is not null
                   and m.left_at is null)::int as paid
          from social.team t where t.cell = $1 and t.id = any($2::uuid[])
        """,
        tx.cell,
        list(team_ids),
    )


async def _campaigns(tx: Tx, campaign_ids: Sequence[uuid.UUID]) -> list[TeamCampaign]:
    return await tx.rows(
        TeamCampaign,
        """
        select id, name, market, currency, policy, seats, window_seconds, state, starts_at, ends_at,
               new_buyers_only, captures_at_once, leads_per_person, joins_per_person,
               uses_per_identity, pieces_per_member, open_teams_most, pieces_total, fill_from,
               fill_minor, budget_id, leader_coupon_id
          from social.team_campaign where cell = $1 and id = any($2::uuid[])
        """,
        tx.cell,
        list(campaign_ids),
    )


async def _offers(tx: Tx, campaign_ids: Sequence[uuid.UUID]) -> list[_Offer]:
    return await tx.rows(
        _Offer,
        """
        select campaign_id, offer_id, price_minor, tiers from social.team_offer
         where cell = $1 and campaign_id = any($2::uuid[])
        """,
        tx.cell,
        list(campaign_ids),
    )


async def _buyers(tx: Tx, person_ids: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    """Who of these has bought before."""
    return await tx.values(
        """
        select p.id from unnest($2::uuid[]) as p(id)
         where exists (select from orders.v_line l
                        where l.cell = $1 and l.person_id = p.id
                          and l.state in ('placed', 'shipped', 'delivered'))
        """,
        tx.cell,
        list(person_ids),
    )


async def _open_teams(tx: Tx, team_ids: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    """Those that are open, kept so until this transaction ends: a team that is being closed is
    waited for, and whoever closes it later sees this seat."""
    return await tx.values(
        """
        select id from social.team
         where cell = $1 and id = any($2::uuid[]) and state = 'open' and closes_at > $3
         order by id for share
        """,
        tx.cell,
        list(team_ids),
        tx.now,
    )
