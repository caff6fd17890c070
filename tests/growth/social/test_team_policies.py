"""What else a team may be: filled by a budget, tiered, stopped; who came by whose link."""

from __future__ import annotations

import uuid

import pytest

from pinwheel.ground import identity
from pinwheel.growth import social
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid
from pinwheel.trade import budgets, orders
from shop import money
from team_world import ALONE, DELIVERY, TOGETHER, TeamShop, open_team_shop

PAID = TOGETHER + DELIVERY


async def _budget(db: Database, amount_minor: int) -> uuid.UUID:
    async with db.transaction(actor="test") as tx:
        [budget_id] = await budgets.open_budgets(
            tx, [budgets.NewBudget(name="Teams", currency="GBP")]
        )
        assert isinstance(budget_id, uuid.UUID)
        await budgets.fund(tx, budget_id, amount_minor, "teams of the spring")
    return budget_id


async def _near(db: Database, amount_minor: int) -> tuple[TeamShop, uuid.UUID]:
    budget_id = await _budget(db, amount_minor)
    teams = await open_team_shop(
        db, policy="near_complete", fill_from=2, fill_minor=150, budget_id=budget_id
    )
    return teams, budget_id


async def test_a_near_complete_team_is_filled_by_the_budget_and_by_nobody_invented(
    db: Database,
) -> None:
    teams, budget_id = await _near(db, 10_000)
    first, team_id = await teams.opens()
    await teams.joins(team_id)
    await teams.worker.drain()
    await teams.passes()
    team = await teams.team(team_id)
    assert (team.state, team.reached, team.filled, team.fill_minor) == ("formed", 2, 1, 150)
    async with db.reading() as tx:
        assert await tx.value("select count(*) from social.team_member") == 2
        budget = await budgets.budget(tx, budget_id)
    assert budget.spent_minor == 2 * (ALONE - TOGETHER) + 150
    assert await money(db, "team:seats:filled") == {"team:seats:filled": 1}
    async with db.transaction() as tx:
        assert await orders.ship(tx, first.order_id)
    await teams.worker.drain()
    assert not await teams.broken()


async def test_too_few_or_no_money_for_the_rest_is_a_failed_team(db: Database) -> None:
    teams, budget_id = await _near(db, 2 * (ALONE - TOGETHER) + 149)
    _, alone = await teams.opens()
    await teams.passes()
    assert (await teams.team(alone)).why == "deadline"
    _, pair = await teams.opens()
    await teams.joins(pair)
    await teams.worker.drain()
    await teams.passes()
    team = await teams.team(pair)
    assert (team.state, team.why) == ("failed", "budget")
    assert await teams.charged() == 0
    async with db.reading() as tx:
        assert (await budgets.budget(tx, budget_id)).spent_minor == 0
    assert not await teams.broken()


def _tiers(offer_id: uuid.UUID) -> social.TeamOffer:
    return social.TeamOffer(
        offer_id=offer_id, price_minor=800, tiers=[(2, 800), (3, 700), (5, 500)]
    )


async def test_a_tiered_team_pays_back_what_the_earlier_ones_paid_more(db: Database) -> None:
    teams = await open_team_shop(db, policy="tiered", seats=5, offer=_tiers, pieces_per_member=2)
    first, team_id = await teams.opens(quantity=2)
    await teams.worker.drain()
    second = await teams.joins(team_id)
    await teams.worker.drain()
    third = await teams.joins(team_id)
    await teams.worker.drain()
    paid = [b.total_minor - DELIVERY for b in (first, second, third)]
    assert paid == [1600, 800, 700]
    assert (await teams.team(team_id)).state == "open"
    await teams.passes()
    team = await teams.team(team_id)
    assert (team.state, team.reached, team.filled) == ("formed", 3, 0)
    assert [(await teams.sight(b)).refunded_minor for b in (first, second, third)] == [200, 100, 0]
    await teams.passes(60)
    assert await money(db, "goodwill:GBP") == {"goodwill:GBP": 300}
    assert await teams.charged() == 4 * 700 + 3 * DELIVERY
    for one in (first, second, third):
        async with db.transaction() as tx:
            [parcel] = await orders.ship(tx, one.order_id)
            await orders.deliver(tx, parcel)
    await teams.worker.drain()
    assert not await teams.broken()


async def test_a_tiered_team_that_fills_up_forms_at_once_and_one_alone_fails(db: Database) -> None:
    teams = await open_team_shop(db, policy="tiered", seats=5, offer=_tiers)
    _, alone = await teams.opens()
    _, team_id = await teams.opens()
    for _ in range(4):
        await teams.joins(team_id)
        await teams.worker.drain()
    assert (await teams.team(team_id)).state == "formed"
    await teams.passes()
    assert (await teams.team(alone)).state == "failed"
    assert await teams.charged() == 5 * (500 + DELIVERY)
    assert not await teams.broken()


@pytest.mark.parametrize("choice", ["go_on", "fail"])
async def test_an_operator_stops_a_campaign(db: Database, choice: str) -> None:
    teams = await open_team_shop(db)
    _, team_id = await teams.opens()
    async with db.transaction(actor="test") as tx:
        await social.stop_team_campaign(tx, teams.campaign_id, teams=choice)  # type: ignore[arg-type]
        await social.stop_team_campaign(tx, teams.campaign_id, teams=choice)  # type: ignore[arg-type]
    with pytest.raises(social.TeamNotOffered):
        await teams.opens()
    if choice == "go_on":
        await teams.joins(team_id)
        await teams.joins(team_id)
    await teams.passes(5)
    team = await teams.team(team_id)
    assert (team.state, team.why) == (
        ("formed", None) if choice == "go_on" else ("failed", "stopped")
    )
    assert await teams.charged() == (3 * PAID if choice == "go_on" else 0)
    assert not await teams.broken()


async def test_terms_that_make_no_sense_and_terms_that_are_promised(db: Database) -> None:
    teams = await open_team_shop(db)
    offer = social.TeamOffer(offer_id=teams.shop.offers[0], price_minor=500)
    good = social.TeamTerms(
        name={"en": "A", "zh-CN": "甲"}, market="GB", currency="GBP", offers=[offer]
    )
    wrong = (
        {"name": {"en": "A"}},
        {"policy": "near_complete"},
        {"policy": "tiered"},
        {"fill_from": 2},
        {"policy": "near_complete", "fill_from": 3, "fill_minor": 1, "budget_id": uuid.uuid4()},
        {"captures_at_once": False, "window_seconds": 7 * 86_400},
        {"offers": [offer, offer]},
        {"policy": "tiered", "offers": [_tiers(offer.offer_id)]},
    )
    for terms in wrong:
        async with db.transaction(actor="test") as tx:
            with pytest.raises(Invalid):
                await social.save_team_campaign(tx, _with(good, **terms))
    async with db.transaction(actor="test") as tx:
        with pytest.raises(social.CampaignNotDraft):
            await social.save_team_campaign(tx, good, campaign_id=teams.campaign_id)


def _with(terms: social.TeamTerms, **changed: object) -> social.TeamTerms:
    fields = {name: getattr(terms, name) for name in terms.__struct_fields__}
    return social.TeamTerms(**(fields | changed))


async def test_the_leader_is_rewarded_once_and_only_when_the_parcel_is_there(db: Database) -> None:
    coupon_id = uuid.uuid4()
    granted: list[tuple[uuid.UUID, uuid.UUID, uuid.UUID]] = []

    async def grant(tx: Tx, coupon: uuid.UUID, person: uuid.UUID, team: uuid.UUID) -> None:
        granted.append((coupon, person, team))

    db.given[social.LeaderRewards] = social.LeaderRewards(grant)
    teams = await open_team_shop(db, leader_coupon_id=coupon_id)
    me = uuid.uuid4()
    first, team_id = await teams.opens(person_id=me)
    second = await teams.joins(team_id)
    await teams.joins(team_id)
    await teams.worker.drain()
    assert (await teams.team(team_id)).reward == "pending"
    for one in (second, first, first):
        async with db.transaction() as tx:
            sight = await orders.order(tx, order_id=one.order_id)
            if not sight.shipments:
                [parcel] = await orders.ship(tx, one.order_id)
                assert granted == []
            else:
                parcel = sight.shipments[0].id
            await orders.deliver(tx, parcel)
        await teams.worker.drain()
    assert granted == [(coupon_id, me, team_id)]
    assert (await teams.team(team_id)).reward == "given"


async def test_who_came_by_whose_link_is_known_and_forgotten_with_the_person(db: Database) -> None:
    teams = await open_team_shop(db)
    async with db.transaction(actor="test") as tx:
        leader = await identity.register(tx, "leader@shop.test", name="Leader")
    _, team_id = await teams.opens(person_id=leader.id)
    async with db.reading() as tx:
        link = await tx.value("select share_token from social.team_member")
    friend = uuid.uuid4()
    async with db.transaction() as tx:
        await social.come_to_team(tx, team_id, friend, came_by=link, initials="F**")
        await social.come_to_team(tx, team_id, friend, came_by="another", initials=None)
        await social.come_to_team(tx, team_id, friend, came_by="another", initials="F**")
    await teams.joins(team_id, person_id=friend)
    await teams.worker.drain()
    async with db.reading() as tx:
        row = await tx.connection.fetchrow(
            "select invited_by, came_by, initials from social.v_team_member m"
            " join social.team_member using (order_id, invited_by, came_by)"
            " where m.person_id = $1",
            friend,
        )
        assert row is not None and tuple(row) == (leader.id, link, "F**")
        assert len(await social.export_teams(tx, friend)) == 1
    async with db.transaction() as tx:
        tx.emit(identity.GuestJoined(guest_id=friend, person_id=uuid.uuid4()))
    async with db.transaction() as tx:
        tx.emit(identity.PersonErased(person_id=leader.id))
    async with db.reading() as tx:
        assert await tx.value("select count(*) from social.team_member where person_id = $1",
                              friend) == 0  # fmt: skip
        assert await tx.value("select count(invited_by) from social.team_member") == 0
    await teams.joins(team_id)
    await teams.worker.drain()
    assert (await teams.team(team_id)).state == "formed"
    assert not await teams.broken()
