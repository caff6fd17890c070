"""Invitations: one owner of each new buyer, rewards that wait, come once and go back once."""

from __future__ import annotations

import asyncio
import uuid
from pathlib import Path
from typing import Any

import pytest

from pinwheel import app
from pinwheel.ground import ledger, trust
from pinwheel.growth import social
from pinwheel.growth.social import invite_settling
from pinwheel.growth.social.invite_people import forget_inviters
from pinwheel.kernel import audit
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.jobs import Worker
from pinwheel.kernel.settings import Settings
from pinwheel.trade import budgets, orders, payments
from pinwheel.trade.orders import Bought
from shop import Shop, open_shop

DAY = 86_400


class Circle:
    """A shop whose buyers invite each other: 3.00 to who invites, 2.00 to who came."""

    def __init__(self, db: Database, shop: Shop) -> None:
        self.db, self.shop = db, shop
        self.buying = db.given[orders.Buying]
        self.worker = Worker(db)
        self.campaign = self.budget = uuid.UUID(int=0)

    async def open(self, *, money: int = 100_000, **terms: Any) -> None:
        async with self.db.transaction(actor="test") as tx:
            [self.budget] = await budgets.open_budgets(
                tx, [budgets.NewBudget(name="Invites", currency="GBP")]
            )
            await budgets.fund(tx, self.budget, money, reason="test")
            how: dict[str, Any] = {
                "name": {"en": "Bring a friend", "zh-CN": "邀请好友"},
                "currency": "GBP",
                "budget_id": self.budget,
            }
            if terms.get("kind") != "promoter":
                how |= {"inviter_minor": 300, "invitee_minor": 200}
            self.campaign = await social.save_invite_campaign(
                tx, social.InviteTerms(**(how | terms))
            )
            await social.set_invite_campaign(tx, self.campaign, running=True)

    async def invites(self, parent: uuid.UUID, child: uuid.UUID, *, accepts: bool = True) -> None:
        async with self.db.transaction(actor="test") as tx:
            await social.join_campaign(tx, self.campaign, parent)
            link = await social.link_of(tx, parent, "invite", campaign_id=self.campaign)
            await social.touch_link(tx, link, child, "qr", accepts=accepts)

    async def buys(self, person: uuid.UUID, *, quantity: int = 1, **more: Any) -> Bought:
        bought = await self.buying.buy(self.shop.draft((0, quantity), person_id=person, **more))
        await self.worker.drain()
        return bought

    async def brings(self, parent: uuid.UUID, **more: Any) -> tuple[uuid.UUID, Bought]:
        child = uuid.uuid4()
        await self.invites(parent, child)
        return child, await self.buys(child, **more)

    async def arrives(self, bought: Bought, *, days: float = 0) -> None:
        """Sent and delivered whole; then so many days pass."""
        async with self.db.transaction(actor="test") as tx:
            await orders.deliver_parcels(tx, await orders.ship(tx, bought.order_id))
        await self.worker.drain()
        await self.passes(days)

    async def passes(self, days: float) -> None:
        assert isinstance(self.db.clock, SetClock)
        self.db.clock.travel(seconds=days * DAY)
        await self.worker.drain()

    async def states(self) -> dict[str, str]:
        async with self.db.reading() as tx:
            found = (await social.rewards(tx)).items
        return {r.role: r.state for r in reversed(found)}

    async def credit(self, person: uuid.UUID) -> int:
        account = payments.store_credit(person, "GBP")
        async with self.db.reading() as tx:
            return (await ledger.balances(tx, [account]))[account.code].available

    async def broken(self) -> list[audit.Check]:
        rooms = ["ground.ledger", "ground.trust", "trade.budgets", "growth.social"]
        return [c for c in await audit.run(self.db, [f"pinwheel.{r}" for r in rooms]) if c.broken]


@pytest.fixture
async def circle(db: Database, tmp_path: Path) -> Circle:
    settings = Settings(secret="the secret of the tests", data_dir=tmp_path, currency="GBP")
    app.furnish(db, settings)
    return Circle(db, await open_shop(db))


async def give_all_back(circle: Circle, bought: Bought) -> None:
    async with circle.db.transaction(actor="test") as tx:
        await tx.run(
            "update orders.line set returned = quantity where order_id = $1", bought.order_id
        )
        tx.emit(orders.LinesReturned(order_id=bought.order_id, lines=[(0, 1)]))


async def test_a_reward_waits_for_the_return_window_and_comes_once(circle: Circle) -> None:
    await circle.open()
    parent = uuid.uuid4()
    child, bought = await circle.brings(parent)
    assert await circle.states() == {"inviter": "pending", "invitee": "pending"}
    assert await circle.credit(parent) == 0
    await circle.arrives(bought, days=29)
    assert await circle.states() == {"inviter": "pending", "invitee": "pending"}
    await circle.passes(2)
    assert await circle.states() == {"inviter": "released", "invitee": "released"}
    assert (await circle.credit(parent), await circle.credit(child)) == (300, 200)
    await circle.passes(40)
    assert (await circle.credit(parent), await circle.credit(child)) == (300, 200)
    assert await circle.broken() == []


async def test_a_refund_before_the_reward_ends_it(circle: Circle) -> None:
    await circle.open()
    parent = uuid.uuid4()
    _, bought = await circle.brings(parent)
    async with circle.db.transaction(actor="test") as tx:
        await orders.cancel(tx, bought.order_id, reason="no")
    await circle.worker.drain()
    assert await circle.states() == {"inviter": "reversed", "invitee": "reversed"}
    await circle.passes(90)
    assert await circle.credit(parent) == 0
    assert await circle.broken() == []


async def test_a_refund_after_the_reward_takes_it_back_once(circle: Circle) -> None:
    """Two workers at once, and once more later."""
    await circle.open()
    parent = uuid.uuid4()
    child, bought = await circle.brings(parent)
    await circle.arrives(bought, days=31)
    assert await circle.credit(parent) == 300
    await give_all_back(circle, bought)

    async def settles() -> None:
        async with circle.db.transaction(actor="test") as tx:
            await invite_settling.settle_orders(tx, [bought.order_id])

    await asyncio.gather(*(settles() for _ in range(4)), circle.worker.drain())
    await settles()
    assert await circle.states() == {"inviter": "reversed", "invitee": "reversed"}
    assert (await circle.credit(parent), await circle.credit(child)) == (0, 0)
    async with circle.db.reading() as tx:
        told = await tx.value(
            "select count(*) from kernel.event where kind = 'social.reward_reversed'"
        )
    assert told == 2
    assert await circle.broken() == []


class Killed(BaseException):
    """Not an error that anybody handles: the process is gone."""


async def test_a_worker_that_dies_between_takes_back_once(
    circle: Circle, monkeypatch: pytest.MonkeyPatch
) -> None:
    await circle.open()
    parent = uuid.uuid4()
    _, bought = await circle.brings(parent)
    await circle.arrives(bought, days=31)
    await give_all_back(circle, bought)
    real, calls = budgets.give_back, []

    async def dies(*args: Any, **more: Any) -> Any:
        calls.append(1)
        if len(calls) == 1:
            raise Killed
        return await real(*args, **more)

    monkeypatch.setattr(budgets, "give_back", dies)
    with pytest.raises(Killed):
        await circle.worker.drain()
    assert await circle.credit(parent) == 300
    assert isinstance(circle.db.clock, SetClock)
    for _ in range(3):  # the dead worker's lease runs out, another one goes on
        circle.db.clock.travel(seconds=700)
        await Worker(circle.db).drain()
    assert len(calls) > 1
    assert await circle.credit(parent) == 0
    assert await circle.states() == {"inviter": "reversed", "invitee": "reversed"}
    assert await circle.broken() == []


async def test_a_spent_reward_is_owed_and_set_off(circle: Circle) -> None:
    await circle.open(invitee_minor=0)
    parent = uuid.uuid4()
    _, bought = await circle.brings(parent)
    await circle.arrives(bought, days=31)
    async with circle.db.transaction(actor="test") as tx:
        spent = ledger.Journal(
            document_kind="test",
            document_id=uuid.uuid4(),
            key="spent",
            reason="test",
            transfers=(
                ledger.Transfer(
                    payments.store_credit(parent, "GBP"), payments.deposits("GBP"), 250
                ),
            ),
        )
        await ledger.post(tx, [spent])
    await give_all_back(circle, bought)
    await circle.worker.drain()
    assert await circle.credit(parent) == 0
    _, second = await circle.brings(parent)
    await circle.arrives(second, days=31)
    assert await circle.credit(parent) == 50  # 3.00 less the 2.50 that were owed
    async with circle.db.reading() as tx:
        assert (await social.promoter_statement(tx, parent, "GBP")).owed_minor == 0
    assert await circle.broken() == []


async def test_one_owner_written_once(circle: Circle) -> None:
    await circle.open(attribution="last")
    first, second, child = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
    await circle.invites(first, child)
    await circle.passes(1)
    await circle.invites(second, child)
    bought = await circle.buys(child)
    await circle.invites(first, child)
    await circle.buys(child)
    async with circle.db.reading() as tx:
        edges = await tx.connection.fetch("select * from social.v_share_edge")
    assert [(e["parent_person_id"], e["order_id"]) for e in edges] == [(second, bought.order_id)]
    assert edges[0]["channel"] == "qr"
    assert await circle.broken() == []


async def test_the_first_touch_when_the_campaign_says_so(circle: Circle) -> None:
    await circle.open(attribution="first")
    first, second, child = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
    await circle.invites(first, child)
    await circle.passes(1)
    await circle.invites(second, child)
    await circle.buys(child)
    async with circle.db.reading() as tx:
        found = await tx.values("select parent_person_id from social.v_share_edge")
    assert found == [first]


@pytest.mark.parametrize(
    ("accepts", "days", "counts"),
    [
        (True, 29, True),
        (True, 31, False),
        (False, 0.5, True),
        (False, 1.5, False),
    ],
)
async def test_the_window(circle: Circle, accepts: bool, days: float, counts: bool) -> None:
    await circle.open()
    child = uuid.uuid4()
    await circle.invites(uuid.uuid4(), child, accepts=accepts)
    await circle.passes(days)
    await circle.buys(child)
    assert bool(await circle.states()) is counts


async def test_who_has_bought_before_is_nobody_s_new_buyer(circle: Circle) -> None:
    await circle.open()
    child = uuid.uuid4()
    await circle.buys(child)
    await circle.passes(0.01)
    await circle.invites(uuid.uuid4(), child)
    await circle.buys(child)
    assert await circle.states() == {}


async def test_two_levels_and_no_more(circle: Circle) -> None:
    await circle.open(levels=2, second_minor=100, invitee_minor=0)
    people = [uuid.uuid4()]
    for _ in range(4):
        child, _ = await circle.brings(people[-1])
        people.append(child)
    async with circle.db.reading() as tx:
        found = (await social.rewards(tx)).items
        depths = await tx.values("select depth from social.v_share_edge order by depth")
    assert depths == [1, 2, 3, 4]
    given = sorted((people.index(r.person_id), r.level) for r in found if r.person_id)
    assert given == [(0, 1), (0, 2), (1, 1), (1, 2), (2, 1), (2, 2), (3, 1)]
    assert await circle.broken() == []


async def test_one_s_own_other_account_is_refused_with_reasons(circle: Circle) -> None:
    await circle.open()
    parent, child = uuid.uuid4(), uuid.uuid4()
    async with circle.db.transaction(actor="test") as tx:
        for one in (parent, child):
            await trust.note(tx, trust.seen_device(one, "the same"))
    await circle.invites(parent, child)
    await circle.buys(child)
    assert await circle.states() == {}
    async with circle.db.reading() as tx:
        edge = await tx.value("select decision from social.v_share_edge")
        [verdict] = (await trust.verdicts(tx, view="all", person_id=child, limit=5)).items
    assert edge == "deny"
    assert {w.rule for w in verdict.reasons} >= {"same_person"}
    with pytest.raises(social.OwnInvite):
        await circle.invites(parent, parent)
    assert await circle.broken() == []


async def test_a_circle_of_invitations_earns_once(circle: Circle) -> None:
    """A brings B, B brings C, C brings A: the last one is nobody's invitation."""
    await circle.open(invitee_minor=0)
    a, b, c = (uuid.uuid4() for _ in range(3))
    for parent, child in ((a, b), (b, c), (c, a)):
        await circle.invites(parent, child)
        await circle.buys(child)
    async with circle.db.reading() as tx:
        assert await tx.value("select count(*) from social.v_share_edge") == 2
    assert await circle.broken() == []


async def test_a_review_holds_the_reward_until_a_person_decides(circle: Circle) -> None:
    await circle.open(invitee_minor=0)
    parent, child = uuid.uuid4(), uuid.uuid4()
    async with circle.db.transaction(actor="test") as tx:
        for n in range(70):
            await trust.note(tx, trust.seen_device(uuid.UUID(int=900 + n), "library"))
        await trust.note(tx, trust.seen_device(child, "library"))
    await circle.invites(parent, child)
    bought = await circle.buys(child)
    assert await circle.states() == {"inviter": "review"}
    await circle.arrives(bought, days=31)
    assert await circle.states() == {"inviter": "review"}
    async with circle.db.transaction(actor="operator:test") as tx:
        verdict = await tx.value("select verdict_id from social.attribution")
        await trust.decide(tx, verdict, "allow", "a library")
    await circle.worker.drain()
    await circle.passes(0.01)
    assert await circle.states() == {"inviter": "released"}
    assert await circle.broken() == []


async def test_limits_and_budget_refuse_with_a_reason(circle: Circle) -> None:
    await circle.open(money=700, rewards_most=2, invitee_minor=0)
    parent = uuid.uuid4()
    for _ in range(3):
        await circle.brings(parent)
    other = uuid.uuid4()
    await circle.brings(other)
    async with circle.db.reading() as tx:
        mine = (await social.rewards(tx, person_id=parent)).items
        theirs = (await social.rewards(tx, person_id=other)).items
    # The clock stands still, so the list has no order among them.
    assert sorted((r.state, r.why or "") for r in mine) == [
        ("pending", ""),
        ("pending", ""),
        ("refused", "limit"),
    ]
    assert [(r.state, r.why) for r in theirs] == [("refused", "budget")]
    assert await circle.broken() == []


async def test_a_promoter_s_commission_is_frozen_paid_and_reported(circle: Circle) -> None:
    await circle.open(kind="promoter", commission_basis_points=1000, commission_days=60)
    promoter = uuid.uuid4()
    child, bought = await circle.brings(promoter, quantity=2)  # 20.00: 2.00
    second = await circle.buys(child)  # 10.00: 1.00
    async with circle.db.transaction(actor="test") as tx:
        await tx.run("update social.invite_campaign set commission_basis_points = 5000")
    await circle.arrives(second)
    await circle.arrives(bought)
    async with circle.db.transaction(actor="test") as tx:
        await tx.run("update orders.line set returned = 1 where order_id = $1", bought.order_id)
        tx.emit(orders.LinesReturned(order_id=bought.order_id, lines=[(0, 1)]))
    await circle.passes(31)
    async with circle.db.transaction(actor="test") as tx:
        statement = await social.promoter_statement(tx, promoter, "GBP")
        assert (statement.due_minor, statement.pending_minor) == (200, 0)
        with pytest.raises(social.NothingToPay):
            await social.pay_out(tx, promoter, "GBP")
        payout = await social.pay_out(tx, promoter, "GBP", least_minor=1)
        assert payout.amount_minor == 200
        await social.set_tax_threshold(tx, 200)
        years = [await social.tax_report(tx, y) for y in (2025, 2026, 2027)]
    sums = [(t.given_minor, t.is_reportable) for lines in years for t in lines]
    assert sums == [(200, True)]
    async with circle.db.transaction(actor="test") as tx:
        with pytest.raises(social.NothingToPay):
            await social.pay_out(tx, promoter, "GBP", least_minor=1)
    assert await circle.broken() == []


async def test_whoever_is_erased_leaves_no_name(circle: Circle) -> None:
    await circle.open()
    parent = uuid.uuid4()
    child, bought = await circle.brings(parent)
    async with circle.db.transaction(actor="test") as tx:
        assert len(await social.export_invites(tx, parent)) == 3
        await forget_inviters(tx, [parent])
        assert await social.export_invites(tx, parent) == []
    await circle.arrives(bought, days=31)
    assert await circle.states() == {"inviter": "reversed", "invitee": "released"}
    assert await circle.credit(child) == 200
    assert await circle.broken() == []


async def test_a_link_leads_only_into_the_shop(circle: Circle) -> None:
    await circle.open()
    person = uuid.uuid4()
    async with circle.db.transaction(actor="test") as tx:
        for key in ("//evil.example", "https://evil.example", "a b", "../x", ""):
            with pytest.raises(Exception, match="target"):
                await social.link_of(tx, person, "product", key)
        one = await social.link_of(tx, person, "product", "a-book")
        again = await social.link_of(tx, person, "product", "a-book")
        await social.count_click(tx, one.id, "qr", is_bot=False)
        await social.count_click(tx, one.id, "qr", is_bot=True)
        [clicks] = await social.clicks_of(tx, person, [one.id])
    assert one == again
    assert one.path == "/p/a-book"
    assert (clicks.people, clicks.bots) == (1, 1)
