"""Bargains: a plan that can't be moved, a floor that is reached, a budget that is never passed."""

from __future__ import annotations

import asyncio
import random
import uuid
from pathlib import Path
from typing import Any

import pytest

from ground.trust.crowd import Crowd
from pinwheel import app
from pinwheel.ground import trust
from pinwheel.growth import social
from pinwheel.growth.social.bargain import commitment_of, is_verified, plan_of_cuts
from pinwheel.growth.social.bargain_people import forget_bargainers
from pinwheel.kernel import audit
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import Invalid, Refusal
from pinwheel.kernel.jobs import Worker
from pinwheel.kernel.settings import Settings
from pinwheel.trade import budgets, orders
from pinwheel.trade.orders import Bought, Claim
from shop import PROMISES, Shop, open_shop

LIST, FLOOR, HELPS, DELIVERY = 1000, 100, 6, 399


class Market:
    """Product 0 costs 10.00 and falls to 1.00 with six helps."""

    def __init__(self, db: Database, shop: Shop) -> None:
        self.db, self.shop = db, shop
        self.buying = db.given[orders.Buying]
        self.worker = Worker(db)
        self.campaign = self.budget = uuid.UUID(int=0)

    async def open(self, *, money: int = 10_000, **terms: Any) -> None:
        async with self.db.transaction(actor="test") as tx:
            [self.budget] = await budgets.open_budgets(
                tx, [budgets.NewBudget(name="Bargains", currency="GBP")]
            )
            await budgets.fund(tx, self.budget, money, reason="test")
            how: dict[str, Any] = {
                "name": {"en": "Cut it", "zh-CN": "砍一刀"},
                "market": "GB",
                "currency": "GBP",
                "offer_id": self.shop.offers[0],
                "list_minor": LIST,
                "floor_minor": FLOOR,
                "helps": HELPS,
                "budget_id": self.budget,
            }
            new = social.BargainTerms(**(how | terms))
            self.campaign = await social.save_bargain_campaign(tx, new)
            await social.start_bargain_campaign(tx, self.campaign)

    async def starts(self, person: uuid.UUID | None = None, **more: Any) -> social.Begun:
        async with self.db.transaction(actor="test") as tx:
            return await social.start_bargain(tx, self.campaign, person or uuid.uuid4(), **more)

    async def helps(
        self, bargain: uuid.UUID, person: uuid.UUID | None = None, **more: Any
    ) -> social.Helped | Refusal:
        who = person or uuid.uuid4()
        wish = social.Help(bargain_id=bargain, person_id=who, **more)

        async def verb(tx: Any) -> social.Helped | Refusal:
            [answer] = await social.help_bargains(tx, [wish])
            return answer

        return await self.db.attempt(verb)

    async def buys(self, bargain: uuid.UUID, person: uuid.UUID, **more: Any) -> Bought | Refusal:
        draft = self.shop.draft(
            (0, 1), person_id=person, claims=[Claim("bargain", bargain)], **more
        )
        try:
            return await self.buying.buy(draft)
        except Refusal as refusal:
            return refusal

    async def sees(self, begun: social.Begun, person: uuid.UUID | None = None) -> Any:
        async with self.db.reading() as tx:
            return await social.bargain_seen(tx, begun.token, person_id=person)

    async def money(self) -> tuple[int, int, int]:
        """(available, reserved, spent)."""
        async with self.db.reading() as tx:
            found = await budgets.budget(tx, self.budget)
        return found.available_minor, found.reserved_minor, found.spent_minor

    async def passes(self, seconds: float) -> None:
        assert isinstance(self.db.clock, SetClock)
        self.db.clock.travel(seconds=seconds)
        await self.worker.drain()

    async def broken(self) -> list[audit.Check]:
        rooms = ["pinwheel.trade.budgets", "pinwheel.growth.social", "pinwheel.ground.trust"]
        return [c for c in await audit.run(self.db, [*PROMISES, *rooms]) if c.broken]


@pytest.fixture
async def market(db: Database, tmp_path: Path) -> Market:
    settings = Settings(secret="the secret of the tests", data_dir=tmp_path, currency="GBP")
    app.furnish(db, settings)
    return Market(db, await open_shop(db))


# --- the plan, pure


def test_every_plan_ends_exactly_at_its_floor() -> None:
    """10⁵ campaigns: every cut at least the minimum, the sum the gap, at exactly H helps."""
    drawn = random.Random(7)
    shortest = 10**9
    for _ in range(100_000):
        helps = drawn.choice((1, 2, 3, 5, 8, 20))
        least = drawn.choice((1, 1, 5, 50))
        gap = helps * least + drawn.choice((0, 1, drawn.randrange(20_000)))
        cuts = plan_of_cuts(gap, helps, least, drawn)
        left, given = gap, 0
        for cut in cuts:
            assert left > 0, "the floor was reached before the last help"
            assert cut >= least
            left, given = left - cut, given + 1
        assert (left, given) == (0, helps)
        shortest = min(shortest, *cuts)
    assert shortest == 1


@pytest.mark.parametrize(("gap", "helps", "least"), [(5, 6, 1), (11, 6, 2), (0, 1, 1), (9, 0, 1)])
def test_a_gap_too_small_is_refused(gap: int, helps: int, least: int) -> None:
    with pytest.raises(ValueError, match="too small"):
        plan_of_cuts(gap, helps, least, random.Random(1))


def test_a_moved_plan_is_caught() -> None:
    bargain, nonce = uuid.UUID(int=5), b"0123456789abcdef"
    cuts = plan_of_cuts(900, 6, 1, random.Random(3))
    promised = commitment_of(bargain, nonce, cuts)
    assert is_verified(promised, bargain, nonce, cuts, cuts[:3])
    moved = [cuts[1], cuts[0], *cuts[2:]]
    assert moved != cuts
    assert not is_verified(promised, bargain, nonce, moved, moved[:3])
    smaller = [cuts[0] - 1, cuts[1] + 1, *cuts[2:]]
    assert not is_verified(promised, bargain, nonce, smaller, [])
    assert not is_verified(promised, bargain, nonce, cuts, moved[:2])
    assert not is_verified(promised, uuid.UUID(int=6), nonce, cuts, [])


# --- a bargain's life


async def test_promised_helps_reach_the_floor_and_the_plan_is_opened(market: Market) -> None:
    await market.open()
    owner = uuid.uuid4()
    begun = await market.starts(owner)
    assert await market.money() == (9100, 900, 0)
    given = []
    for number in range(1, HELPS + 1):
        answer = await market.helps(begun.id)
        assert isinstance(answer, social.Helped)
        assert answer.number == number
        given.append(answer.cut_minor)
        assert answer.left_minor == 900 - sum(given)
    assert isinstance(await market.helps(begun.id), social.BargainComplete)
    sight = await market.sees(begun)
    assert (sight.state, sight.price_minor, sight.left_minor) == ("reached", FLOOR, 0)
    assert (sight.nonce, sight.cuts) == (None, None)
    assert sight.commitment == begun.commitment
    bought = await market.buys(begun.id, owner)
    assert isinstance(bought, Bought)
    assert bought.total_minor == FLOOR + DELIVERY
    await market.worker.drain()
    assert await market.money() == (9100, 0, 900)
    sight = await market.sees(begun)
    assert sight.state == "bought"
    assert sight.cuts == given
    nonce = bytes.fromhex(sight.nonce)
    assert is_verified(begun.commitment, begun.id, nonce, sight.cuts, given)
    assert await market.broken() == []


async def test_buying_early_uses_the_cuts_so_far_and_frees_the_rest(market: Market) -> None:
    await market.open()
    owner = uuid.uuid4()
    begun = await market.starts(owner)
    helped = [await market.helps(begun.id) for _ in range(2)]
    cut = sum(h.cut_minor for h in helped if isinstance(h, social.Helped))
    bought = await market.buys(begun.id, owner)
    assert isinstance(bought, Bought)
    assert bought.total_minor == LIST - cut + DELIVERY
    assert await market.money() == (9100, 900, 0)
    await market.worker.drain()
    assert await market.money() == (10_000 - cut, 0, cut)
    assert isinstance(await market.helps(begun.id), social.BargainEnded)
    assert isinstance(await market.buys(begun.id, owner), social.BargainEnded)
    assert await market.broken() == []


async def test_a_hundred_at_once_and_exactly_the_promised_count(market: Market) -> None:
    await market.open(helps=40)
    begun = await market.starts()
    people = [uuid.uuid4() for _ in range(90)]
    asked = [*people, *people[:10]]  # ten press twice
    answers = await asyncio.gather(*(market.helps(begun.id, p) for p in asked))
    counted = [a for a in answers if isinstance(a, social.Helped) and a.fresh]
    assert sorted(a.number for a in counted) == list(range(1, 41))
    assert sum(a.cut_minor for a in counted) == 900
    refused = {type(a) for a in answers if isinstance(a, Refusal)}
    assert refused <= {social.BargainComplete, trust.AlreadyUsed}
    sight = await market.sees(begun)
    assert [h.number for h in sight.helpers] == list(range(1, 41))
    assert await market.broken() == []


async def test_a_list_costs_no_more_statements_than_one(market: Market) -> None:
    await market.open(helps=40, per_identity=1)
    first, second = await market.starts(), await market.starts()

    async def cost(*wishes: social.Help) -> int:
        async with market.db.transaction(actor="test") as tx:
            found = await social.help_bargains(tx, wishes)
            assert all(isinstance(a, social.Helped) for a in found)
            return tx.statements

    def wish(bargain: social.Begun) -> social.Help:
        return social.Help(bargain_id=bargain.id, person_id=uuid.uuid4())

    one = await cost(wish(first))
    many = await cost(*(wish(b) for b in (first, second) for _ in range(10)))
    assert many <= one
    assert await market.broken() == []


async def test_helping_again_answers_with_the_first_cut(market: Market) -> None:
    await market.open()
    owner, friend = uuid.uuid4(), uuid.uuid4()
    begun = await market.starts(owner)
    first = await market.helps(begun.id, friend)
    again = await market.helps(begun.id, friend)
    assert isinstance(first, social.Helped)
    assert isinstance(again, social.Helped)
    assert (again.number, again.cut_minor, again.fresh) == (1, first.cut_minor, False)
    assert isinstance(await market.helps(begun.id, owner), social.OwnBargain)
    assert (await market.starts(owner)).id == begun.id
    assert await market.broken() == []


async def test_one_device_helps_once_and_starts_once(market: Market) -> None:
    await market.open()
    begun = await market.starts(device="sofa")
    with pytest.raises(trust.AlreadyUsed):
        await market.starts(device="sofa")
    assert isinstance(await market.helps(begun.id, device="kitchen"), social.Helped)
    second = await market.helps(begun.id, device="kitchen")
    assert isinstance(second, trust.AlreadyUsed)
    own = await market.helps(begun.id, device="sofa")  # the owner's other account
    assert isinstance(own, social.HelpNotCounted)
    assert "one person" in own.sentence("en")
    assert (await market.sees(begun)).helped == 1
    assert await market.broken() == []


async def test_a_campaign_takes_so_many_helps_of_one(market: Market) -> None:
    await market.open(helps_per_identity=2)
    friend = uuid.uuid4()
    bargains = [await market.starts() for _ in range(3)]
    answers = [await market.helps(b.id, friend) for b in bargains]
    assert [isinstance(a, social.Helped) for a in answers] == [True, True, False]
    assert isinstance(answers[2], trust.AlreadyUsed)
    assert await market.broken() == []


async def test_the_budget_is_never_passed(market: Market) -> None:
    await market.open(money=2000)
    begun = await asyncio.gather(*(market.starts() for _ in range(6)), return_exceptions=True)
    assert sum(isinstance(b, social.Begun) for b in begun) == 2
    assert {type(b) for b in begun if isinstance(b, BaseException)} == {social.BargainsUsedUp}
    assert await market.money() == (200, 1800, 0)
    assert await market.broken() == []


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"helps": 901}, "helps"),
        ({"helps": 10, "least_cut_minor": 91}, "helps"),
        ({"list_minor": 1200}, "list_minor"),
        ({"floor_minor": 1000}, "floor_minor"),
        ({"currency": "CNY"}, "market"),
    ],
)
async def test_terms_that_cannot_be_kept_are_refused(
    market: Market, wrong: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as caught:
        await market.open(**wrong)
    assert caught.value.facts["where"] == field


async def test_an_expired_bargain_frees_all_it_held(market: Market) -> None:
    await market.open(pieces_total=1)
    owner = uuid.uuid4()
    begun = await market.starts(owner)
    with pytest.raises(social.BargainsUsedUp):
        await market.starts()
    assert await market.money() == (9100, 900, 0)
    await market.passes(86_401)
    assert isinstance(await market.helps(begun.id), social.BargainEnded)
    assert isinstance(await market.buys(begun.id, owner), social.BargainEnded)
    assert (await market.sees(begun)).state == "expired"
    assert await market.money() == (10_000, 0, 0)
    await market.starts()
    assert await market.broken() == []


async def test_a_cancelled_order_gives_the_bargain_back(market: Market) -> None:
    await market.open(money=900)
    owner = uuid.uuid4()
    begun = await market.starts(owner)
    await market.helps(begun.id)
    first = await market.buys(begun.id, owner)
    assert isinstance(first, Bought)
    await market.worker.drain()
    assert (await market.sees(begun)).state == "bought"
    async with market.db.transaction(actor="test") as tx:
        await orders.cancel(tx, first.order_id, reason="changed my mind")
    await market.worker.drain()
    await market.passes(60)
    assert (await market.sees(begun)).state == "running"
    assert await market.money() == (0, 900, 0)
    assert isinstance(await market.helps(begun.id), social.Helped)
    assert isinstance(await market.buys(begun.id, owner), Bought)
    await market.worker.drain()
    assert await market.broken() == []


async def test_an_order_that_is_not_paid_gives_the_bargain_back(market: Market) -> None:
    await market.open(money=900)
    owner = uuid.uuid4()
    begun = await market.starts(owner)
    cut = await market.helps(begun.id)
    assert isinstance(cut, social.Helped)
    waiting = await market.buys(begun.id, owner, method="tok_challenge")
    assert isinstance(waiting, Bought)
    assert waiting.state == "pending_payment"
    assert isinstance(await market.buys(begun.id, owner), social.BargainOrdered)
    assert await market.money() == (0, 900, 0)
    assert await market.broken() == []
    await market.passes(orders.HOLD_SECONDS + 60)
    assert (await market.sees(begun)).state == "running"
    assert await market.money() == (0, 900, 0)
    assert isinstance(await market.buys(begun.id, owner), Bought)
    await market.worker.drain()
    assert await market.money() == (900 - cut.cut_minor, 0, cut.cut_minor)
    assert await market.broken() == []


async def test_a_batch_that_falls_takes_nothing_from_the_bargain(market: Market) -> None:
    await market.open(money=900)
    owner = uuid.uuid4()
    begun = await market.starts(owner)
    await market.helps(begun.id)
    stale = await market.buys(begun.id, owner, expected="GBP 1")
    assert isinstance(stale, orders.StaleQuote)
    async with market.db.transaction(actor="test") as tx:  # the same bargain twice in one batch
        drafts = [
            market.shop.draft((0, 1), person_id=owner, claims=[Claim("bargain", begun.id)])
            for _ in range(2)
        ]
        placed = await market.buying.checkout.place(tx, drafts)
    assert [isinstance(p, Refusal) for p in placed] == [False, True]
    assert isinstance(placed[1], social.BargainOrdered)
    assert await market.money() == (0, 900, 0)
    assert await market.broken() == []


async def test_a_refused_payment_leaves_the_gap_with_the_bargain(market: Market) -> None:
    """Store credit that is not there: the draft falls after its bargain was handed over."""
    await market.open(money=900)
    owner = uuid.uuid4()
    begun = await market.starts(owner)
    await market.helps(begun.id)
    answer = await market.buys(begun.id, owner, tenders=[orders.Tender("store_credit", "")])
    assert isinstance(answer, Refusal)
    assert await market.money() == (0, 900, 0)
    assert await market.broken() == []
    assert isinstance(await market.buys(begun.id, owner), Bought)


async def test_two_orders_race_for_one_bargain(market: Market) -> None:
    await market.open()
    owner = uuid.uuid4()
    begun = await market.starts(owner)
    for _ in range(HELPS):
        await market.helps(begun.id)
    answers = await asyncio.gather(*(market.buys(begun.id, owner) for _ in range(8)))
    assert sum(isinstance(a, Bought) for a in answers) == 1
    await market.worker.drain()
    assert await market.money() == (9100, 0, 900)
    assert await market.broken() == []


async def test_only_its_owner_buys_one_piece(market: Market) -> None:
    await market.open()
    owner = uuid.uuid4()
    begun = await market.starts(owner)
    await market.helps(begun.id)
    assert isinstance(await market.buys(begun.id, uuid.uuid4()), social.BargainNotYours)
    two = market.shop.draft((0, 2), person_id=owner, claims=[Claim("bargain", begun.id)])
    with pytest.raises(social.BargainBuysOne):
        await market.buying.buy(two)


async def test_a_help_under_review_counts_when_a_person_says_so(market: Market) -> None:
    await market.open(helps=3)
    begun = await market.starts()
    async with market.db.transaction(actor="test") as tx:
        await trust.set_rule(tx, "crowded_device", is_on=True, weight=0.7, limits={})
        for n in range(70):
            await trust.note(tx, trust.seen_device(uuid.UUID(int=900 + n), "café"))
    friend = uuid.uuid4()
    answer = await market.helps(begun.id, friend, device="café")
    assert isinstance(answer, social.HelpLooksAgain)
    assert (await market.sees(begun)).helped == 0
    async with market.db.transaction(actor="operator:test") as tx:
        verdict = await tx.value(
            "select verdict_id from social.bargain_help where person_id = $1", friend
        )
        await trust.decide(tx, verdict, "allow", "a café")
    await market.worker.drain()
    assert (await market.sees(begun)).helped == 1
    assert await market.broken() == []


async def test_whoever_is_erased_leaves_their_cut(market: Market) -> None:
    await market.open()
    begun = await market.starts()
    friend = uuid.uuid4()
    await market.helps(begun.id, friend, initials="A.B.")
    async with market.db.transaction(actor="test") as tx:
        assert len(await social.export_bargains(tx, friend)) == 1
        await forget_bargainers(tx, [friend])
    sight = await market.sees(begun)
    assert (sight.helped, sight.helpers[0].initials) == (1, None)
    assert await market.broken() == []


async def test_farms_are_kept_out(market: Market, record_property: Any) -> None:
    """A simulated crowd: friends and colleagues help honestly; three owners have twelve accounts
    on three devices each. What is planted beyond one help of each device must not count."""
    await market.open(
        money=200_000, helps=500, least_cut_minor=1, per_identity=50, helps_per_identity=50
    )
    crowd = Crowd(11, households=40, farms=1)
    acts = crowd.helps()
    async with market.db.transaction(actor="test") as tx:
        await trust.note(tx, [s for a in crowd.accounts for s in a.seen])
    owners = sorted({act.other_id for act, _ in acts if act.other_id is not None})
    begun = {owner: await market.starts(owner) for owner in owners}
    wishes = [
        social.Help(bargain_id=begun[act.other_id].id, person_id=act.person_id)
        for act, _ in acts
        if act.other_id is not None
    ]
    answers: list[Any] = []
    for start in range(0, len(wishes), 5):
        async with market.db.transaction(actor="test") as tx:
            answers += await social.help_bargains(tx, wishes[start : start + 5])
    planted = [isinstance(a, Refusal) for a, (_, bad) in zip(answers, acts, strict=True) if bad]
    honest = [isinstance(a, Refusal) for a, (_, bad) in zip(answers, acts, strict=True) if not bad]
    record_property("measured", f"{sum(planted)}/{len(planted)} {sum(honest)}/{len(honest)}")
    assert sum(planted) / len(planted) >= 0.7
    assert sum(honest) / len(honest) <= 0.1
    assert await market.broken() == []
