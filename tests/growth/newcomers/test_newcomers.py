"""Newcomer offers: who is new, one to a person at commit, what comes back when an order ends."""

from __future__ import annotations

import asyncio
import random
import uuid
from typing import Any

import msgspec
import pytest

from pinwheel import app
from pinwheel.ground import identity, trust
from pinwheel.ground.trust import Seen
from pinwheel.growth import newcomers
from pinwheel.growth.newcomers.model import Contribution, pay_back
from pinwheel.kernel import audit
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.jobs import Worker
from pinwheel.kernel.settings import Settings
from pinwheel.trade import budgets, orders
from pinwheel.trade.orders import Bought, Claim, Item, Tender
from shop import Shop, open_shop

PROMISES = [
    *("pinwheel.ground.ledger", "pinwheel.ground.trust", "pinwheel.growth.newcomers"),
    *("pinwheel.trade.inventory", "pinwheel.trade.orders", "pinwheel.trade.payments"),
]


class Pond:
    """A shop with one pool: product 0 (10.00) for 0.01, product 1 (2.50) for 0.99 with delivery."""

    def __init__(self, db: Database, shop: Shop) -> None:
        self.db, self.shop = db, shop
        self.buying = db.given[orders.Buying]
        self.pool = uuid.UUID(int=0)
        self.cheap = self.free = uuid.UUID(int=0)

    async def open(self, **limits: Any) -> None:
        async with self.db.transaction(actor="test") as tx:
            new = newcomers.NewPool(name_en="Welcome", name_zh="新人", **limits)
            self.pool = await newcomers.open_pool(tx, new)
            self.cheap = await newcomers.put_up(
                tx,
                self.pool,
                newcomers.NewOffer(offer_id=self.shop.offers[0], market="GB", price_minor=1),
            )
            self.free = await newcomers.put_up(
                tx,
                self.pool,
                newcomers.NewOffer(
                    offer_id=self.shop.offers[1],
                    market="GB",
                    price_minor=99,
                    free_delivery=True,
                    quantity=3,
                ),
            )

    async def person(self, name: str = "") -> uuid.UUID:
        async with self.db.transaction(actor="test") as tx:
            email = f"{name or uuid.uuid4().hex}@shop.test"
            return (await identity.register(tx, email)).id

    def draft(self, person: uuid.UUID | None, product: int = 0, **more: Any) -> orders.Draft:
        claim = self.cheap if product == 0 else self.free
        vault = self.db.vault
        line = more.pop("street", f"{uuid.uuid4().int % 9000} Long Road {uuid.uuid4().hex[:6]}")
        phone = more.pop("phone", "")
        ship_to = {"line1": line, "postal_code": "N1 9GU", "country": "GB", "phone": phone}
        how: dict[str, Any] = {
            "person_id": person,
            "claims": [Claim("newcomer", claim)],
            "contact": vault.seal(f"{uuid.uuid4().hex}@shop.test", "orders.contact"),
            "ship_to": vault.seal(msgspec.json.encode(ship_to).decode(), "orders.ship_to"),
        }
        return self.shop.draft((product, 1), **(how | more))

    async def buy(self, draft: orders.Draft) -> Bought | Refusal:
        try:
            return await self.buying.buy(draft)
        except Refusal as refusal:
            return refusal

    async def states(self) -> dict[str, int]:
        async with self.db.reading() as tx:
            rows = await tx.connection.fetch(
                "select state, count(*) as n from newcomers.win group by state"
            )
        return {r["state"]: r["n"] for r in rows}

    async def left(self, offer: uuid.UUID) -> int:
        async with self.db.reading() as tx:
            return (await newcomers.offers(tx, ids=[offer]))[0].left

    async def broken(self) -> list[audit.Check]:
        return [c for c in await audit.run(self.db, PROMISES) if c.broken]


@pytest.fixture
async def pond(db: Database, tmp_path: Any) -> Pond:
    settings = Settings(secret="the secret of the tests", data_dir=tmp_path, currency="GBP")
    app.furnish(db, settings)
    made = Pond(db, await open_shop(db))
    await made.open()
    return made


async def test_a_first_order_costs_the_newcomer_price(pond: Pond, worker: Worker) -> None:
    person = await pond.person()
    bought = await pond.buy(pond.draft(person, 1))
    assert isinstance(bought, Bought)
    assert bought.total_minor == 99  # delivered free
    await worker.drain()
    assert await pond.states() == {"won": 1}
    async with pond.db.reading() as tx:
        [event] = await tx.connection.fetch(
            "select data from kernel.event where kind = 'newcomers.newcomer_won'"
        )
        order = (await orders.order(tx, order_id=bought.order_id)).order
    assert event["data"]["subsidy_minor"] == 151
    assert next(r.step for r in order.reasons if r.amount_minor < 0) == "newcomer"
    assert await pond.left(pond.free) == 2
    assert await pond.broken() == []


async def test_who_bought_is_not_new_under_any_account(pond: Pond, worker: Worker) -> None:
    """Account, device, telephone, card, mailbox and home: each alone is enough."""
    first = await pond.person()
    card = [Tender("sandbox", "fp_one")]
    regular = pond.draft(
        first, street="7 Mill Lane", phone="+442079460001", device="laptop", claims=[]
    )
    assert isinstance(await pond.buy(regular), Bought)
    await worker.drain()
    async with pond.db.transaction(actor="test") as tx:
        await trust.note(tx, [Seen(first, "payment", "sandbox:fp_one")])
    for how in (
        {"street": "7 mill ln"},
        {"phone": "020 7946 0001"},
        {"device": "laptop"},
        {"tenders": card},
    ):
        answer = await pond.buy(pond.draft(await pond.person(), **how))
        assert isinstance(answer, newcomers.NotNew), how
    assert isinstance(await pond.buy(pond.draft(first)), newcomers.NotNew)
    assert isinstance(await pond.buy(pond.draft(await pond.person())), Bought)
    assert await pond.broken() == []


async def test_fifty_accounts_of_one_person_at_once_have_one(pond: Pond, worker: Worker) -> None:
    people = [await pond.person() for _ in range(50)]
    drafts = [pond.draft(p, device="the one") for p in people]
    answers = await asyncio.gather(*(pond.buy(d) for d in drafts))
    assert sum(isinstance(a, Bought) for a in answers) == 1
    assert {type(a) for a in answers if not isinstance(a, Bought)} <= {
        *(trust.AlreadyUsed, newcomers.NotNew, newcomers.NewcomerLooksAgain)
    }
    await worker.drain()
    assert await pond.states() == {"won": 1}
    assert await pond.left(pond.cheap) == 99
    assert await pond.broken() == []


async def test_a_replayed_abuse_trace_gets_what_is_configured(pond: Pond, worker: Worker) -> None:
    """One person, fifty accounts one after another, six devices, five cards and twelve telephones,
    each account with two of the three from the pools: what turns out late is called back."""
    rng = random.Random(77)
    bought: list[Bought] = []
    for _ in range(50):
        kept = rng.sample(("device", "card", "phone"), 2)
        how: dict[str, Any] = {"device": f"new {rng.random()}"}
        if "device" in kept:
            how["device"] = f"device {rng.randrange(6)}"
        if "phone" in kept:
            how["phone"] = f"+4420794600{rng.randrange(12):02}"
        person = await pond.person()
        if "card" in kept:
            async with pond.db.transaction(actor="test") as tx:
                await trust.note(tx, [Seen(person, "payment", f"card {rng.randrange(5)}")])
        answer = await pond.buy(pond.draft(person, **how))
        if isinstance(answer, Bought):
            bought.append(answer)
    await worker.drain()
    states = await pond.states()
    assert states["won"] == 1
    assert states.get("called_back", 0) == len(bought) - 1
    assert await pond.left(pond.cheap) == 99
    async with pond.db.reading() as tx:
        paid_back = await tx.connection.fetchval(
            'select count(*) from orders."order" where cancel_reason = $1'
            " and refunded_minor = secured_minor",
            "one newcomer offer to each person",
        )
    assert paid_back == len(bought) - 1
    assert await pond.broken() == []


async def test_cancelled_before_it_is_sent_the_chance_is_back(pond: Pond, worker: Worker) -> None:
    person = await pond.person()
    bought = await pond.buy(pond.draft(person, device="d"))
    assert isinstance(bought, Bought)
    await worker.drain()
    second = await pond.buy(pond.draft(person, device="d"))
    assert isinstance(second, newcomers.NotNew | trust.AlreadyUsed)
    async with pond.db.transaction(actor="test") as tx:
        await orders.cancel(tx, bought.order_id, reason="changed my mind")
    await worker.drain()
    assert await pond.states() == {"given_back": 1}
    assert await pond.left(pond.cheap) == 100
    assert isinstance(await pond.buy(pond.draft(person, device="d")), Bought)
    assert await pond.broken() == []


async def test_the_newcomer_line_alone_cancelled_gives_the_chance_back(
    pond: Pond, worker: Worker
) -> None:
    person = await pond.person()
    draft = pond.draft(person)
    draft.items = [*draft.items, Item(pond.shop.offers[1], 1)]
    bought = await pond.buy(draft)
    assert isinstance(bought, Bought)
    await worker.drain()
    async with pond.db.transaction(actor="test") as tx:
        lines = await orders.lines_of(tx, [bought.order_id])
        mine = next(li.line for li in lines if li.offer_id == pond.shop.offers[0])
        await orders.cancel_lines(tx, bought.order_id, [(mine, 1)], reason="not this one")
    await worker.drain()
    assert await pond.states() == {"given_back": 1}
    assert await pond.left(pond.cheap) == 100
    assert await pond.broken() == []


async def test_declined_and_abandoned_orders_keep_nothing(
    pond: Pond, worker: Worker, clock: SetClock
) -> None:
    person = await pond.person()
    declined = await pond.buy(
        pond.draft(person, device="d", tenders=[Tender("sandbox", "tok_declined")])
    )
    assert isinstance(declined, orders.PaymentDeclined)
    assert await pond.left(pond.cheap) == 100
    waiting = await pond.buy(
        pond.draft(person, device="d", tenders=[Tender("sandbox", "tok_challenge")])
    )
    assert isinstance(waiting, Bought)
    assert waiting.state == "pending_payment"
    assert await pond.left(pond.cheap) == 99
    twice = await pond.buy(pond.draft(person, device="d"))
    assert isinstance(twice, trust.AlreadyUsed)
    clock.travel(seconds=orders.HOLD_SECONDS + 60)
    await worker.drain()
    assert await pond.left(pond.cheap) == 100
    assert isinstance(await pond.buy(pond.draft(person, device="d")), Bought)
    await worker.drain()
    assert await pond.broken() == []


async def test_the_last_piece_goes_to_one(pond: Pond) -> None:
    people = [await pond.person() for _ in range(6)]
    answers = await asyncio.gather(*(pond.buy(pond.draft(p, 1)) for p in people))
    assert sum(isinstance(a, Bought) for a in answers) == 3
    assert sum(isinstance(a, newcomers.NewcomerGone) for a in answers) == 3
    assert await pond.broken() == []


async def test_what_a_claim_does_not_cover(pond: Pond, clock: SetClock) -> None:
    person = await pond.person()
    assert isinstance(await pond.buy(pond.draft(None)), newcomers.NewcomerNeedsSomebody)
    two = pond.draft(person)
    two.items = [Item(pond.shop.offers[0], 2)]
    assert isinstance(await pond.buy(two), newcomers.OneAtNewcomerPrice)
    other = pond.draft(person)
    other.items = [Item(pond.shop.offers[1], 1)]
    assert isinstance(await pond.buy(other), newcomers.OneAtNewcomerPrice)
    unknown = pond.draft(person, claims=[Claim("newcomer", uuid.uuid4())])
    assert isinstance(await pond.buy(unknown), newcomers.NewcomerOver)
    async with pond.db.transaction(actor="test") as tx:
        await newcomers.set_pool_open(tx, pond.pool, False)
    assert isinstance(await pond.buy(pond.draft(person)), newcomers.NewcomerOver)


async def test_a_pool_pays_from_its_budget(pond: Pond, worker: Worker) -> None:
    async with pond.db.transaction(actor="test") as tx:
        [budget] = await budgets.open_budgets(
            tx, [budgets.NewBudget(name="Welcome", currency="GBP", purpose="subsidy")]
        )
        assert isinstance(budget, uuid.UUID)
        await budgets.fund(tx, budget, 1500, "for the test")
    await pond.open(budget_id=budget)
    people = [await pond.person() for _ in range(2)]
    answers = [await pond.buy(pond.draft(p)) for p in people]
    assert isinstance(answers[0], Bought)
    assert isinstance(answers[1], Refusal)  # 999 each: the second is more than what is left
    assert await pond.left(pond.cheap) == 99
    await worker.drain()
    assert await pond.broken() == []


async def test_a_quote_takes_nothing_and_says_the_price(pond: Pond) -> None:
    person = await pond.person()
    async with pond.db.reading() as tx:
        [quote] = await pond.buying.checkout.quote(tx, [pond.draft(person, 1)])
    assert isinstance(quote, orders.Quote)
    assert quote.total_minor == 99
    assert await pond.left(pond.free) == 3


async def test_erased_and_back_is_not_new(pond: Pond, worker: Worker) -> None:
    person = await pond.person("leaver")
    bought = await pond.buy(pond.draft(person, device="d"))
    assert isinstance(bought, Bought)
    await worker.drain()
    async with pond.db.transaction(actor="test") as tx:
        await orders.ship(tx, bought.order_id)
    await worker.drain()
    async with pond.db.transaction(actor="test") as tx:
        await identity.erase_person(tx, person)
    await worker.drain()
    again = await pond.buy(pond.draft(await pond.person(), device="d"))
    assert isinstance(again, newcomers.NotNew)
    async with pond.db.reading() as tx:
        assert await tx.value("select count(*) from newcomers.win where person_id is not null") == 0
    assert await pond.broken() == []


async def test_pay_back_follows_the_cohort(pond: Pond, worker: Worker, clock: SetClock) -> None:
    people = [await pond.person() for _ in range(6)]
    for number, person in enumerate(people):
        assert isinstance(await pond.buy(pond.draft(person, device=f"d{number}")), Bought)
    await worker.drain()
    clock.travel(days=10)
    for number, person in enumerate(people):
        draft = pond.draft(person, device=f"d{number}", claims=[])
        draft.items = [Item(pond.shop.offers[0], 1 + number % 2)]
        assert isinstance(await pond.buy(draft), Bought)
    await worker.drain()
    clock.travel(days=10)
    async with pond.db.reading() as tx:
        curve = await newcomers.pool_pay_back(tx, pond.pool)
    assert curve.people == 6
    assert not curve.cost_known
    assert [d.day for d in curve.days] == list(range(21))
    assert curve.days[0].mean_minor == pytest.approx(1 - 999, abs=1)
    assert curve.days[9].mean_minor < 0 < curve.days[10].mean_minor
    assert curve.breaks_even_on == 10
    assert curve.earliest == 10
    assert curve.days[10].low_minor < curve.days[10].mean_minor < curve.days[10].high_minor


def test_break_even_is_found_with_its_interval() -> None:
    """Fifty people lose 1,000 on day 0 and bring 100 ± a known spread a day: day 10."""
    rng = random.Random(5)
    rows = [
        Contribution(p, 60, d, -1000 if d == 0 else 100 + rng.randrange(-60, 61))
        for p in range(50)
        for d in range(61)
    ]
    found = pay_back(uuid.UUID(int=1), "GBP", rows, horizon=60, cost_known=True)
    assert found.breaks_even_on is not None
    assert found.earliest is not None
    assert found.latest is not None
    assert found.earliest <= 10 <= found.latest
    assert found.earliest <= found.breaks_even_on <= found.latest
    few = pay_back(uuid.UUID(int=1), "GBP", rows[: 61 * 4], horizon=60, cost_known=True)
    assert few.days == []
    assert few.breaks_even_on is None


async def test_who_pays_too_late_gets_the_money_back(
    pond: Pond, worker: Worker, clock: SetClock
) -> None:
    """The reservation ended, somebody of the same identity had the offer, then the money came."""
    person = await pond.person()
    late = await pond.buy(
        pond.draft(person, device="d", tenders=[Tender("sandbox", "tok_challenge")])
    )
    assert isinstance(late, Bought)
    clock.travel(seconds=orders.HOLD_SECONDS + 60)
    await worker.drain()
    other = await pond.buy(pond.draft(person, device="d"))
    assert isinstance(other, Bought)
    async with pond.db.transaction(actor="test") as tx:
        total = (await orders.order(tx, order_id=late.order_id)).order.total_minor
        await orders.confirm(tx, {late.order_id: total})
    await worker.drain()
    assert await pond.states() == {"won": 1, "given_back": 1}
    async with pond.db.reading() as tx:
        assert (await orders.order(tx, order_id=late.order_id)).order.state == "cancelled"
    assert await pond.left(pond.cheap) == 99


async def test_a_flat_mate_who_asked_gets_the_offer(pond: Pond, worker: Worker) -> None:
    """Refused for somebody else's order at this address; a person looked and allowed it, once."""
    home = {"street": "Flat 4, 12 Oak Road"}
    first = pond.draft(await pond.person(), claims=[], **home)
    assert isinstance(await pond.buy(first), Bought)
    await worker.drain()
    mate = await pond.person()
    assert isinstance(await pond.buy(pond.draft(mate, **home)), newcomers.NotNew)
    async with pond.db.transaction(actor="buyer") as tx:
        asked = await newcomers.ask_again(tx, mate, "We share the flat.")
    async with pond.db.transaction(actor="operator:test") as tx:
        await trust.answer(tx, asked.id, True, "You are right.")
    assert isinstance(await pond.buy(pond.draft(mate, **home)), Bought)
    await worker.drain()
    again = await pond.buy(pond.draft(mate, **home))
    assert isinstance(again, newcomers.NotNew)
    assert await pond.broken() == []
