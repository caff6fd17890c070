"""Teams, and every way one can go wrong: the seat race, the late payer, the deadline."""

from __future__ import annotations

import asyncio
import uuid

import pytest

from pinwheel.growth import social
from pinwheel.growth.social.team_seats import locked_teams
from pinwheel.growth.social.team_settling import give_back, settle
from pinwheel.kernel.db import Database
from pinwheel.kernel.jobs import Worker
from pinwheel.trade import inventory, orders, payments
from pinwheel.trade.orders import Bought, Buying, Checkout
from pinwheel.trade.orders.stages import walk
from pinwheel.trade.payments.sandbox import Sandbox
from shop import money
from team_world import ALONE, DELIVERY, TOGETHER, TeamShop, open_team_shop

PAID = TOGETHER + DELIVERY


@pytest.fixture
async def teams(db: Database) -> TeamShop:
    return await open_team_shop(db)


async def test_three_buy_together_and_are_sent(teams: TeamShop) -> None:
    first, team_id = await teams.opens()
    assert (first.state, first.total_minor) == ("placed", PAID)
    second = await teams.joins(team_id)
    await teams.worker.drain()
    assert (await teams.team(team_id)).state == "open"
    for one in (first, second):
        async with teams.db.transaction() as tx:
            with pytest.raises(orders.OrderNotReady):
                await orders.ship(tx, one.order_id)
    third = await teams.joins(team_id)
    await teams.worker.drain()
    team = await teams.team(team_id)
    assert (team.state, team.reached, team.filled) == ("formed", 3, 0)
    for one in (first, second, third):
        async with teams.db.transaction() as tx:
            [parcel] = await orders.ship(tx, one.order_id)
            await orders.deliver(tx, parcel)
    await teams.worker.drain()
    assert await money(teams.db, "team:seats:taken") == {"team:seats:taken": 3}
    assert await teams.charged() == 3 * PAID
    assert not await teams.broken()


async def test_the_price_says_why(teams: TeamShop) -> None:
    draft = teams.shop.draft(
        (0, 1),
        person_id=uuid.uuid4(),
        claims=[orders.Claim("team_open", teams.campaign_id)],
    )
    async with teams.db.reading() as tx:
        [quote] = await teams.buying.checkout.quote(tx, [draft])
    assert isinstance(quote, orders.Quote)
    assert quote.total_minor == PAID
    assert ("team", -(ALONE - TOGETHER)) in [(r.step, r.amount_minor) for r in quote.reasons]


async def test_a_batch_without_a_claim_makes_no_statement(teams: TeamShop) -> None:
    draft = teams.shop.draft((0, 1))
    async with teams.db.reading() as tx:
        await Checkout().quote(tx, [draft])
        without = tx.statements
        await teams.buying.checkout.quote(tx, [teams.shop.draft((0, 1))])
        assert tx.statements == 2 * without


async def test_fifty_race_for_two_seats(teams: TeamShop) -> None:
    """In two processes: never a fourth paid member, and nobody is charged who has no seat."""
    _, team_id = await teams.opens()
    other = Buying(teams.db, Checkout(social.TeamStage()))
    answers = await asyncio.gather(
        *(
            (teams.buying if n % 2 else other).buy(
                teams.shop.draft(
                    (0, 1), person_id=uuid.uuid4(), claims=[orders.Claim("team", team_id)]
                )
            )
            for n in range(50)
        ),
        return_exceptions=True,
    )
    joined = [a for a in answers if isinstance(a, Bought)]
    refused = [a for a in answers if isinstance(a, social.TeamFull | social.TeamClosed)]
    assert (len(joined), len(refused)) == (2, 48), {type(a) for a in answers}
    assert "/p/" in refused[0].sentence("en") and "/p/" in refused[0].sentence("zh-CN")
    await teams.worker.drain()
    assert (await teams.team(team_id)).state == "formed"
    async with teams.db.reading() as tx:
        assert await tx.value("select count(*) from payments.payment") == 3
    assert await teams.shop.stock(0) == (200, 3)
    assert not await teams.broken()


async def test_two_last_payers_at_once_form_it_once(teams: TeamShop) -> None:
    first, team_id = await teams.opens(method="tok_challenge")
    await teams.joins(team_id, method="tok_challenge")
    await teams.joins(team_id, method="tok_challenge")
    async with teams.db.reading() as tx:
        waiting = await payments.payments_by_id(
            tx, await tx.values("select id from payments.payment order by id")
        )

    async def pay(one: payments.Payment) -> None:
        whole = payments.Outcome(
            payment_id=one.id,
            state="captured",
            authorised_minor=one.amount_minor,
            captured_minor=one.amount_minor,
        )
        async with teams.db.transaction() as tx:
            await payments.record(tx, [whole])

    await asyncio.gather(*(pay(one) for one in waiting))
    workers = [Worker(teams.db) for _ in range(3)]
    await asyncio.gather(*(worker.drain() for worker in workers))
    await teams.worker.drain()
    assert (await teams.team(team_id)).state == "formed"
    async with teams.db.reading() as tx:
        assert (
            await tx.value("select count(*) from kernel.event where kind = 'social.team_formed'")
            == 1
        )
        assert (
            await tx.value("select count(*) from kernel.event where kind = 'social.team_opened'")
            == 1
        )
    assert (await teams.sight(first)).state == "placed"


async def test_a_team_that_is_not_completed_gives_everything_back(teams: TeamShop) -> None:
    first, team_id = await teams.opens()
    second = await teams.joins(team_id)
    await teams.worker.drain()
    await teams.passes()
    team = await teams.team(team_id)
    assert (team.state, team.why) == ("failed", "deadline")
    for one in (first, second):
        order = await teams.sight(one)
        assert (order.state, order.refunded_minor) == ("cancelled", PAID)
    assert await teams.charged() == 0
    assert await teams.shop.stock(0) == (200, 0)
    assert await money(teams.db, "team:seats:issued", "deposits:GBP") == {
        "team:seats:issued": 0,
        "deposits:GBP": 0,
    }
    async with teams.db.reading() as tx:
        told = await tx.value(
            "select jsonb_array_length(data -> 'order_ids') from kernel.event"
            " where kind = 'social.team_failed'"
        )
        left = await tx.value("select count(*) from ledger.hold where state = 'open'")
    assert (told, left) == (2, 0)
    assert not await teams.broken()


async def test_authorised_only_is_voided(db: Database) -> None:
    teams = await open_team_shop(db, captures_at_once=False)
    _, team_id = await teams.opens()
    assert await teams.charged() == 0
    await teams.passes()
    async with db.reading() as tx:
        assert await tx.value("select bool_and(is_voided) from payments.payment")
    assert (await teams.team(team_id)).state == "failed"
    assert not await teams.broken()


async def test_a_seat_that_is_not_paid_for_in_time_is_free_again(teams: TeamShop) -> None:
    _, team_id = await teams.opens()
    slow = await teams.joins(team_id, method="tok_challenge")
    await teams.joins(team_id)
    with pytest.raises(social.TeamFull):
        await teams.joins(team_id)
    await teams.passes(orders.HOLD_SECONDS + 1)
    assert (await teams.sight(slow)).state == "cancelled"
    await teams.joins(team_id)
    await teams.worker.drain()
    assert (await teams.team(team_id)).state == "formed"
    assert not await teams.broken()


async def _approves(teams: TeamShop, order_id: uuid.UUID) -> None:
    """The buyer confirms at the provider: the money is taken there, and nobody has told us yet."""
    sandbox = payments.providers_of(teams.db)["sandbox"]
    assert isinstance(sandbox, Sandbox)
    async with teams.db.reading() as tx:
        [payment] = await payments.payments_of(tx, [order_id])
    assert (await sandbox.decide(payment.id, approve=True)).state == "captured"


@pytest.mark.parametrize("is_given_away", [True, False])
async def test_the_late_payer_gets_the_money_back_by_itself(
    teams: TeamShop, is_given_away: bool
) -> None:
    _, team_id = await teams.opens()
    slow = await teams.joins(team_id, method="tok_challenge")
    await teams.passes(orders.HOLD_SECONDS + 1)
    if is_given_away:
        await teams.joins(team_id)
        await teams.joins(team_id)
        await teams.worker.drain()
        assert (await teams.team(team_id)).state == "formed"
    before = await teams.charged()
    await _approves(teams, slow.order_id)
    await teams.passes(60)
    order = await teams.sight(slow)
    assert (order.state, order.refunded_minor) == ("cancelled", PAID)
    assert await teams.charged() == before
    assert await teams.shop.stock(0) == (200, 3 if is_given_away else 1)
    assert not await teams.broken()


async def _settle(teams: TeamShop, team_id: uuid.UUID) -> None:
    async with teams.db.transaction(actor="test") as tx:
        for team in await locked_teams(tx, [team_id]):
            await settle(tx, team)


async def _give_back(teams: TeamShop, team_id: uuid.UUID, *order_ids: uuid.UUID) -> None:
    for order_id in order_ids:
        async with teams.db.transaction(actor="test") as tx:
            await give_back(tx, team_id, order_id)


@pytest.mark.parametrize("heard", ["before it fails", "while it fails", "when it has failed"])
async def test_paid_at_the_provider_while_the_team_fails(teams: TeamShop, heard: str) -> None:
    """The money is taken in the team's last minute; wherever the notice comes in, it goes back."""
    first, team_id = await teams.opens()
    teams.clock.set((await teams.team(team_id)).closes_at)
    teams.clock.travel(seconds=-60)
    slow = await teams.joins(team_id, method="tok_challenge")
    await _approves(teams, slow.order_id)
    teams.clock.travel(seconds=60)
    if heard != "before it fails":
        await _settle(teams, team_id)
        assert (await teams.team(team_id)).state == "failing"
    if heard == "when it has failed":
        await _give_back(teams, team_id, first.order_id, slow.order_id)
        assert (await teams.team(team_id)).state == "failed"
    await teams.worker.drain()
    await teams.passes(60)
    assert (await teams.team(team_id)).state == "failed"
    assert await teams.charged() == 0
    assert await teams.shop.stock(0) == (200, 0)
    assert not await teams.broken()


async def test_nobody_joins_at_the_deadline_itself(teams: TeamShop) -> None:
    _, team_id = await teams.opens()
    teams.clock.set((await teams.team(team_id)).closes_at)
    with pytest.raises(social.TeamClosed):
        await teams.joins(team_id)
    teams.clock.travel(seconds=-1)
    assert (await teams.joins(team_id)).state == "placed"


async def test_a_team_that_ends_between_looking_and_sitting_down(teams: TeamShop) -> None:
    """The seat is decided while the team is open, and taken when it no longer is."""
    _, team_id = await teams.opens()
    claim = orders.Claim("team", team_id)
    draft = teams.shop.draft((0, 1), person_id=uuid.uuid4(), claims=[claim])
    stages = teams.buying.checkout.stages
    async with teams.db.transaction(actor="test") as tx:
        loads = await walk(tx, stages, [draft], placing=True)
        assert draft.refusal is None
        async with teams.db.transaction(actor="test") as other:
            await social.stop_team_campaign(other, teams.campaign_id, teams="fail")
        for stage, loaded in zip(stages, loads, strict=True):
            if draft.refusal is None:
                await stage.record(tx, loaded, [draft])
    assert isinstance(draft.refusal, social.TeamClosed)
    await teams.passes(5)
    assert (await teams.team(team_id)).state == "failed"
    assert not await teams.broken()


async def test_the_clock_may_jump_back_and_far_ahead(teams: TeamShop) -> None:
    teams.clock.travel(days=1)
    _, team_id = await teams.opens()
    teams.clock.travel(seconds=-3600)
    await teams.worker.drain()
    await teams.joins(team_id)
    await teams.passes(400 * 86_400)
    assert (await teams.team(team_id)).state == "failed"
    assert await teams.charged() == 0
    assert not await teams.broken()


async def test_a_member_who_leaves_frees_the_seat_and_the_next_one_leads(teams: TeamShop) -> None:
    first, team_id = await teams.opens()
    teams.clock.travel(seconds=1)
    second = await teams.joins(team_id)
    await teams.worker.drain()
    teams.clock.travel(seconds=1)
    async with teams.db.transaction() as tx:
        await orders.cancel(tx, first.order_id, reason="the buyer cancelled it")
    third = await teams.joins(team_id)  # at once: the seat came back with the order
    await teams.worker.drain()
    async with teams.db.reading() as tx:
        led = await tx.values(
            "select order_id from social.team_member where is_leader and left_at is null"
        )
    assert led == [second.order_id]
    fourth = await teams.joins(team_id)
    await teams.worker.drain()
    team = await teams.team(team_id)
    assert (team.state, team.leader_order_id) == ("formed", second.order_id)
    assert {(await teams.sight(o)).waits_for for o in (second, third, fourth)} == {None}
    assert not await teams.broken()


async def test_a_team_that_everybody_left_is_closed(teams: TeamShop) -> None:
    first, team_id = await teams.opens()
    async with teams.db.transaction() as tx:
        sight = await orders.order(tx, order_id=first.order_id)
        await orders.cancel_lines(
            tx, first.order_id, [(sight.lines[0].line, 1)], reason="cancelled by piece"
        )
    await teams.worker.drain()
    team = await teams.team(team_id)
    assert (team.state, team.why) == ("failed", "empty")
    with pytest.raises(social.TeamClosed):
        await teams.joins(team_id)
    assert not await teams.broken()


async def test_a_return_after_the_team_formed_leaves_the_others_alone(teams: TeamShop) -> None:
    first, team_id = await teams.opens()
    second, third = await teams.joins(team_id), await teams.joins(team_id)
    await teams.worker.drain()
    async with teams.db.transaction() as tx:
        [parcel] = await orders.ship(tx, first.order_id)
        await orders.deliver(tx, parcel)
    async with teams.db.transaction() as tx:
        [back] = await orders.take_back(
            tx,
            [
                orders.TakenBack(
                    order_id=first.order_id,
                    key="r1",
                    parts=[orders.Back(0, 1, TOGETHER)],
                    reason="changed my mind",
                )
            ],
        )
        await orders.cancel(tx, second.order_id, reason="the buyer cancelled it")
    assert back == TOGETHER
    await teams.worker.drain()
    assert (await teams.team(team_id)).state == "formed"
    async with teams.db.transaction() as tx:
        assert await orders.ship(tx, third.order_id)
    assert not await teams.broken()


async def test_one_person_sits_once_and_double_taps_do_not_help(teams: TeamShop) -> None:
    me = uuid.uuid4()
    _, team_id = await teams.opens(person_id=me)
    with pytest.raises(social.AlreadyInTeam):
        await teams.joins(team_id, person_id=me)
    you = uuid.uuid4()
    answers = await asyncio.gather(
        *(teams.joins(team_id, person_id=you) for _ in range(6)), return_exceptions=True
    )
    assert sum(isinstance(a, Bought) for a in answers) == 1
    assert sum(isinstance(a, social.AlreadyInTeam) for a in answers) == 5
    assert not await teams.broken()


async def test_limits_for_a_person_and_for_a_device(db: Database) -> None:
    teams = await open_team_shop(db, leads_per_person=1, joins_per_person=1, uses_per_identity=2)
    me = uuid.uuid4()
    _, mine = await teams.opens(person_id=me)
    with pytest.raises(social.TooManyTeams):
        await teams.opens(person_id=me)
    _, other = await teams.opens(device="phone-1")
    await teams.joins(other, person_id=me)
    _, third = await teams.opens(device="phone-2")
    with pytest.raises(social.TooManyTeams):
        await teams.joins(third, person_id=me)
    await teams.joins(mine, device="phone-1")
    with pytest.raises(social.TooManyTeams):
        await teams.joins(third, device="phone-1")
    assert not await teams.broken()


async def test_what_comes_back_counts_again(db: Database) -> None:
    teams = await open_team_shop(db, leads_per_person=1, pieces_total=1, open_teams_most=1)
    me = uuid.uuid4()
    first, team_id = await teams.opens(person_id=me)
    with pytest.raises(social.TeamSoldOut):
        await teams.joins(team_id)
    async with db.transaction() as tx:
        await orders.cancel(tx, first.order_id, reason="the buyer cancelled it")
    await teams.worker.drain()
    again, _ = await teams.opens(person_id=me)
    assert again.state == "placed"
    with pytest.raises(social.TooManyOpenTeams):
        await teams.opens()
    assert not await teams.broken()


async def test_new_buyers_only(db: Database) -> None:
    teams = await open_team_shop(db, new_buyers_only=True)
    old = uuid.uuid4()
    await teams.buying.buy(teams.shop.draft((1, 1), person_id=old))
    _, team_id = await teams.opens(person_id=old)  # an old one may lead
    other = uuid.uuid4()
    await teams.buying.buy(teams.shop.draft((1, 1), person_id=other))
    with pytest.raises(social.NewBuyersOnly):
        await teams.joins(team_id, person_id=other)
    assert (await teams.joins(team_id)).state == "placed"


async def test_what_is_no_team_order_is_refused(teams: TeamShop) -> None:
    _, team_id = await teams.opens()
    with pytest.raises(social.TeamBuysOneThing):
        await teams.joins(team_id, quantity=2)
    with pytest.raises(social.TeamNotOffered):
        await teams.joins(team_id, number=1)
    with pytest.raises(social.TeamNotOffered):
        await teams.joins(uuid.uuid4())
    with pytest.raises(social.TeamNotOffered):
        await teams.buys("team_open", uuid.uuid4())
    with pytest.raises(social.TeamNeedsPerson):
        await teams.joins(team_id, person_id=None)
    assert not await teams.broken()


async def test_a_seat_goes_back_when_the_stock_is_gone(db: Database) -> None:
    """The seat is held before the stock: a draft that falls at the stock leaves no seat behind, and
    no team that nobody opened."""
    teams = await open_team_shop(db, stock=1)  # two pieces
    _, team_id = await teams.opens()
    await teams.joins(team_id)
    for kind, claim in (("team", team_id), ("team_open", teams.campaign_id)):
        with pytest.raises(inventory.OutOfStock):
            await teams.buys(kind, claim)
    two = Buying(db, Checkout(social.TeamStage()))
    await asyncio.gather(
        *(
            b.buy(teams.shop.draft((0, 1), person_id=uuid.uuid4(),
                                   claims=[orders.Claim("team_open", teams.campaign_id)]))
            for b in (two, teams.buying)
        ),
        return_exceptions=True,
    )  # fmt: skip
    await teams.worker.drain()
    async with db.reading() as tx:
        assert await tx.value("select count(*) from social.team") == 1
    assert await money(db, "team:seats:issued") == {"team:seats:issued": 3}
    assert not await teams.broken()


async def test_a_declined_payment_gives_the_seat_back_at_once(teams: TeamShop) -> None:
    _, team_id = await teams.opens()
    with pytest.raises(orders.PaymentDeclined):
        await teams.joins(team_id, method="tok_declined")
    await teams.joins(team_id)
    await teams.joins(team_id)
    await teams.worker.drain()
    assert (await teams.team(team_id)).state == "formed"
    with pytest.raises(orders.PaymentDeclined):
        await teams.opens(method="tok_declined")
    await teams.worker.drain()
    assert not await teams.broken()
