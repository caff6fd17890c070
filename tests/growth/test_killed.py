"""The worker dies at every single statement of what follows a deadline of the growth loop; another
one goes on, and everything ends as if nothing had happened."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from growth.bigdays import calendar
from growth.newcomers.test_newcomers import Pond
from growth.social.test_bargains import Market
from growth.social.test_invites import Circle, give_all_back
from killer import Killer
from pinwheel import app
from pinwheel.growth import social
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.jobs import Worker
from pinwheel.kernel.settings import Settings
from pinwheel.trade import orders, payments, promotions
from pinwheel.trade.orders import Bought
from shop import Shop, money, open_shop

pytestmark = pytest.mark.slow
PLENTY = [{"MAIN": 5_000, "EAST": 5_000}] * 2


@pytest.fixture
async def shop(db: Database, tmp_path: Path) -> Shop:
    settings = Settings(secret="the secret of the tests", data_dir=tmp_path, currency="GBP")
    app.furnish(db, settings)
    return await open_shop(db, stock=PLENTY)


# --- bargains


async def _market(db: Database, shop: Shop) -> Market:
    market = Market(db, shop)
    await market.open(money=10_000_000)
    return market


async def test_a_bargain_runs_out(
    db: Database, shop: Shop, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    market = await _market(db, shop)
    before = await market.money()

    async def arrange() -> social.Begun:
        begun = await market.starts()
        assert isinstance(await market.helps(begun.id), social.Helped)
        await market.worker.drain()
        clock.travel(seconds=86_401)
        return begun

    async def check(begun: social.Begun) -> None:
        assert (await market.sees(begun)).state == "expired"
        assert await market.money() == before

    killer = Killer(monkeypatch, "bargain_jobs", "ledger")
    await killer.strikes_everywhere(db, arrange, check, least=5)
    assert not await market.broken()


async def test_a_bargain_is_bought_and_its_order_cancelled(
    db: Database, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The gap is spent once; then it is reserved again for the bargain, once."""
    market = await _market(db, shop)
    spent = 0

    async def buys() -> tuple[social.Begun, Bought]:
        nonlocal spent
        owner = uuid.uuid4()
        begun = await market.starts(owner)
        helped = await market.helps(begun.id)
        assert isinstance(helped, social.Helped)
        bought = await market.buys(begun.id, owner)
        assert isinstance(bought, Bought)
        spent += 1000 + 399 - bought.total_minor
        return begun, bought

    async def is_spent(subject: tuple[social.Begun, Bought]) -> None:
        assert (await market.sees(subject[0])).state == "bought"
        assert (await market.money())[1:] == (0, spent)

    killer = Killer(monkeypatch, "bargain_jobs", "budget_jobs")
    await killer.strikes_everywhere(db, buys, is_spent, least=5)
    reserved = (await market.money())[1]

    async def cancels() -> social.Begun:
        nonlocal spent, reserved
        begun, bought = await buys()
        await market.worker.drain()
        async with db.transaction(actor="test") as tx:
            await orders.cancel(tx, bought.order_id, reason="changed my mind")
        spent -= 1000 + 399 - bought.total_minor
        reserved += 900
        return begun

    async def is_open_again(begun: social.Begun) -> None:
        assert (await market.sees(begun)).state == "running"
        assert (await market.money())[1:] == (reserved, spent)

    await killer.strikes_everywhere(db, cancels, is_open_again, least=5)
    assert not await market.broken()


# --- invitations


async def test_a_reward_comes_once_and_goes_back_once(
    db: Database, shop: Shop, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    circle = Circle(db, shop)
    await circle.open(money=10_000_000)
    killer = Killer(monkeypatch, "invite_jobs", "budget_jobs")

    async def is_due() -> tuple[uuid.UUID, Bought]:
        parent = uuid.uuid4()
        _, bought = await circle.brings(parent)
        await circle.arrives(bought)
        clock.travel(days=31)
        return parent, bought

    async def has_come(subject: tuple[uuid.UUID, Bought]) -> None:
        assert await circle.credit(subject[0]) == 300

    await killer.strikes_everywhere(db, is_due, has_come, least=5)

    async def is_returned() -> tuple[uuid.UUID, Bought]:
        parent, bought = await is_due()
        await circle.worker.drain()
        await has_come((parent, bought))
        await give_all_back(circle, bought)
        return parent, bought

    async def has_gone(subject: tuple[uuid.UUID, Bought]) -> None:
        assert await circle.credit(subject[0]) == 0

    await killer.strikes_everywhere(db, is_returned, has_gone, least=5)
    assert not await circle.broken()


# --- newcomers


async def test_a_newcomer_s_order_is_abandoned(
    db: Database, shop: Shop, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chance, the piece and the stock come back, once."""
    pond = Pond(db, shop)
    await pond.open()

    async def arrange() -> uuid.UUID:
        person = await pond.person()
        method = [orders.Tender("sandbox", "tok_challenge")]
        waiting = await pond.buy(pond.draft(person, device=person.hex, tenders=method))
        assert isinstance(waiting, Bought)
        assert await pond.left(pond.cheap) == 99
        clock.travel(seconds=orders.HOLD_SECONDS + 60)
        return person

    async def check(person: uuid.UUID) -> None:
        assert await pond.left(pond.cheap) == 100
        assert await shop.stock(0) == (10_000, 0)

    killer = Killer(monkeypatch, "newcomers", "ledger", "orders.jobs", "budget_jobs")
    await killer.strikes_everywhere(db, arrange, check, least=5)
    assert await pond.broken() == []


# --- big days: a calendar has its days once, so each step has a shop of its own


@pytest.mark.parametrize(
    ("policy", "step"),
    [("refundable", n) for n in range(1, 80)] + [("until_balance", n) for n in range(1, 64, 3)],
)
async def test_a_balance_is_not_paid(
    db: Database,
    clock: SetClock,
    worker: Worker,
    monkeypatch: pytest.MonkeyPatch,
    policy: str,
    step: int,
) -> None:
    """The deposit is forfeited or returned once, and the piece goes to who waits."""
    days = await calendar.open_shop(db)
    await days.day(pieces=1, deposit=100, deposit_policy=policy)
    kept = await days.keep(calendar.person(1))
    clock.set(calendar.OPENS + calendar.HOUR)
    await days.wait(calendar.person(2))
    await worker.drain()
    clock.set(calendar.OPENS + 3 * calendar.HOUR + calendar.HOUR / 60)
    killer = Killer(monkeypatch, "bigdays", "promotions", "payments", "orders", "ledger")
    was_killed = await killer.strikes(db, step)
    assert was_killed or step > 50, f"{killer.seen} statements: the killer hardly struck"
    is_forfeited = policy == "until_balance"
    state = (await days.deposit(kept.deposit_id)).state
    assert state == ("forfeited" if is_forfeited else "returned")
    async with db.reading() as tx:
        paid = await payments.payments_of(tx, [kept.deposit_id])
        place = (await promotions.places(tx, calendar.person(2), [days.deal_id]))[days.deal_id]
    assert sum(p.refunded_minor for p in paid) == (0 if is_forfeited else 100)
    code = "bigday:forfeited:GBP"
    assert (await money(db, code))[code] == (100 if is_forfeited else 0)
    assert place.state in ("called", "missed")  # the turn itself may be over by now
    assert not await days.broken()
