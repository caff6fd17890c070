"""Budgets: never below zero, whoever spends at once; who gave what, and who agreed."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid

import pytest

from pinwheel.ground import ledger
from pinwheel.kernel import audit
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.jobs import Worker
from pinwheel.trade import budgets
from pinwheel.trade.budgets import Commitment, GivenBack, NewBudget, Reservation

PROMISES = ["pinwheel.ground.ledger", "pinwheel.trade.budgets"]


async def opened(tx: Tx, funded_minor: int = 0, **more: object) -> uuid.UUID:
    new = NewBudget(**({"name": "Spring", "currency": "GBP"} | more))  # type: ignore[arg-type]
    [budget_id] = await budgets.open_budgets(tx, [new])
    assert isinstance(budget_id, uuid.UUID)
    if funded_minor:
        await budgets.fund(tx, budget_id, funded_minor, "to begin with")
    return budget_id


def asked(budget_id: uuid.UUID, amount_minor: int, **more: object) -> Reservation:
    how: dict[str, object] = {"document_kind": "test", "document_id": uuid.uuid4(), "key": "k"}
    return Reservation(
        budget_id=budget_id,
        amount_minor=amount_minor,
        **(how | more),  # type: ignore[arg-type]
    )


async def figures(db: Database, budget_id: uuid.UUID) -> tuple[int, int, int]:
    async with db.reading() as tx:
        found = await budgets.budget(tx, budget_id)
    return found.available_minor, found.reserved_minor, found.spent_minor


async def whole(db: Database) -> None:
    assert not [c for c in await audit.run(db, PROMISES) if c.broken]


async def test_reserve_commit_release_give_back(db: Database) -> None:
    async with db.transaction() as tx:
        budget = await opened(tx, 1000)
        one, two = asked(budget, 300), asked(budget, 200)
        answers = await budgets.reserve(tx, [one, two])
        assert all(isinstance(a, ledger.Held) for a in answers)
    assert await figures(db, budget) == (500, 500, 0)
    async with db.transaction() as tx:
        part = Commitment(budget_id=budget, document_id=one.document_id, key="k", amount_minor=250)
        [posted] = await budgets.commit(tx, [part])
        assert isinstance(posted, ledger.Posted)
        assert await budgets.release(tx, [(budget, two.document_id, "k")]) == 1
    assert await figures(db, budget) == (750, 0, 250)
    back = GivenBack(
        budget_id=budget,
        document_kind="test",
        document_id=one.document_id,
        key="k",
        part="1",
        amount_minor=100,
        reason="returned",
    )
    for _ in range(2):  # a repeat changes nothing
        async with db.transaction() as tx:
            await budgets.give_back(tx, [back])
            await budgets.commit(tx, [part])
    assert await figures(db, budget) == (850, 0, 150)
    await whole(db)


async def test_more_than_was_spent_does_not_come_back(db: Database) -> None:
    async with db.transaction() as tx:
        budget = await opened(tx, 1000)
        spent = asked(budget, 300)
        await budgets.spend(tx, [spent])
        [answer] = await budgets.give_back(
            tx,
            [
                GivenBack(
                    budget_id=budget,
                    document_kind="test",
                    document_id=spent.document_id,
                    key="k",
                    part="1",
                    amount_minor=301,
                    reason="too much",
                )
            ],
        )
    assert isinstance(answer, ledger.Insufficient)
    assert await figures(db, budget) == (700, 0, 300)


async def test_a_thousand_reservations_at_once_never_overspend(db: Database) -> None:
    async with db.transaction() as tx:
        budget = await opened(tx, 10_000)

    async def take(amount_minor: int) -> int:
        async def verb(tx: Tx) -> int:
            verb_of = budgets.reserve if amount_minor % 2 else budgets.spend
            [answer] = await verb_of(tx, [asked(budget, amount_minor)])  # type: ignore[operator]
            return 0 if isinstance(answer, Refusal) else amount_minor

        return await db.attempt(verb)

    taken = await asyncio.gather(*(take(17 + n % 31) for n in range(400)))
    available, reserved, spent = await figures(db, budget)
    assert sum(taken) == reserved + spent == 10_000 - available
    assert 0 <= available < 48
    await whole(db)


async def test_a_batch_spends_to_the_last_cent_and_says_why_not(db: Database) -> None:
    async with db.transaction() as tx:
        budget = await opened(tx, 100)
        answers = await budgets.spend(tx, [asked(budget, 60), asked(budget, 50), asked(budget, 40)])
    assert [isinstance(a, Refusal) for a in answers] == [False, True, False]
    assert isinstance(answers[1], budgets.BudgetSpent)
    assert "GBP 0.40" in answers[1].sentence("en") and "Spring" in answers[1].sentence("zh")
    assert await figures(db, budget) == (0, 0, 100)


async def test_statements_do_not_grow(db: Database) -> None:
    async with db.transaction() as tx:
        budget = await opened(tx, 10_000)
        for verb, most in ((budgets.reserve, 4), (budgets.spend, 4)):
            counts = []
            for length in (0, 1, 40):
                before = tx.statements
                await verb(tx, [asked(budget, 1) for _ in range(length)])  # type: ignore[operator]
                counts.append(tx.statements - before)
            assert counts == [0, most, most]


async def test_another_currency_is_refused(db: Database) -> None:
    async with db.transaction() as tx:
        budget = await opened(tx, 1000)
        for verb in (budgets.reserve, budgets.spend):
            [answer] = await verb(tx, [asked(budget, 10, currency="EUR")])  # type: ignore[operator]
            assert isinstance(answer, budgets.CurrencyDiffers)
        [child] = await budgets.open_budgets(
            tx, [NewBudget(name="Child", currency="EUR", parent_id=budget)]
        )
        assert isinstance(child, budgets.CurrencyDiffers)


async def test_before_it_begins_and_at_its_deadline_nothing_is_reserved(
    db: Database, clock: SetClock, worker: Worker
) -> None:
    begins, ends = clock.now() + dt.timedelta(hours=1), clock.now() + dt.timedelta(hours=2)
    async with db.transaction() as tx:
        parent = await opened(tx, 5000, name="Parent")
        budget = await opened(tx, 1000, parent_id=parent, starts_at=begins, ends_at=ends)
        promised = asked(budget, 300)
        [early] = await budgets.reserve(tx, [promised])
        assert isinstance(early, budgets.BudgetClosed)
        assert await budgets.available(tx, [budget]) == {budget: 0}
    clock.travel(hours=1)
    async with db.transaction() as tx:
        [held] = await budgets.reserve(tx, [promised])
        assert isinstance(held, ledger.Held)
        assert await budgets.available(tx, [budget]) == {budget: 700}
    clock.travel(hours=1)
    async with db.transaction() as tx:
        [late] = await budgets.reserve(tx, [asked(budget, 1)])
        assert isinstance(late, budgets.BudgetClosed)
    await worker.drain()
    # What was promised before the end stays promised; the rest went home.
    assert await figures(db, budget) == (0, 300, 0)
    assert await figures(db, parent) == (4700, 0, 0)
    async with db.transaction() as tx:
        await budgets.release(tx, [(budget, promised.document_id, "k")])
    clock.travel(minutes=5)
    await worker.drain()
    assert await figures(db, parent) == (5000, 0, 0)
    await whole(db)


async def test_a_child_has_what_its_parent_gave(db: Database) -> None:
    async with db.transaction() as tx:
        parent = await opened(tx, 1000, name="Parent")
        child = await opened(tx, 600, parent_id=parent)
        with pytest.raises(budgets.BudgetSpent, match="Parent"):
            async with tx.savepoint():
                await budgets.fund(tx, child, 401, "too much")
        await budgets.spend(tx, [asked(child, 500)])
        with pytest.raises(budgets.BudgetSpent):
            async with tx.savepoint():
                await budgets.fund(tx, child, -101, "spent already")
        await budgets.fund(tx, child, -100, "not needed")
    assert await figures(db, parent) == (500, 0, 0)
    assert await figures(db, child) == (0, 0, 500)
    await whole(db)


async def test_more_than_the_limit_takes_a_second_person(db: Database) -> None:
    async with db.transaction(actor="operator:a") as tx:
        parent = await opened(tx, name="Parent", approval_above_minor=1000)
        child = await opened(tx, parent_id=parent)  # its parent's limit binds it too
        small = await budgets.fund(tx, parent, 1000, "just allowed")
        big = await budgets.fund(tx, parent, 1001, "a cent too much")
        below = await budgets.fund(tx, child, 1001, "through the child")
    assert [small.state, big.state, below.state] == ["done", "asked", "asked"]
    async with db.transaction(actor="operator:a") as tx:
        with pytest.raises(budgets.NeedsSecondPerson):
            await budgets.approve(tx, big.funding_id)
    assert await figures(db, parent) == (1000, 0, 0)
    async with db.transaction(actor="operator:b") as tx:
        waiting = {f.id for f in await budgets.waiting(tx)}
        assert waiting == {big.funding_id, below.funding_id}
        await budgets.approve(tx, big.funding_id, "the campaign is on")
        await budgets.refuse(tx, below.funding_id, "not this year")
    async with db.transaction(actor="operator:c") as tx:
        with pytest.raises(budgets.NotWaiting):
            await budgets.approve(tx, big.funding_id)
        newest = next(f for f in await budgets.fundings(tx, parent) if f.id == big.funding_id)
        assert (newest.asked_by, newest.decided_by) == ("operator:a", "operator:b")
        assert newest.decision_reason == "the campaign is on"
    assert await figures(db, parent) == (2001, 0, 0)
    await whole(db)


async def test_two_people_who_approve_at_once_fund_once(db: Database) -> None:
    async with db.transaction(actor="operator:a") as tx:
        budget = await opened(tx, approval_above_minor=0)
        waiting = await budgets.fund(tx, budget, 500, "please")

    async def agree(actor: str) -> bool:
        try:
            await db.attempt(lambda tx: budgets.approve(tx, waiting.funding_id), actor=actor)
        except budgets.NotWaiting:
            return False
        return True

    assert sorted(await asyncio.gather(agree("operator:b"), agree("operator:c"))) == [False, True]
    assert await figures(db, budget) == (500, 0, 0)


async def test_the_same_key_funds_once(db: Database) -> None:
    async with db.transaction() as tx:
        budget = await opened(tx)
        for _ in range(2):
            await budgets.fund(tx, budget, 500, "order form", key="PO-7")
    assert await figures(db, budget) == (500, 0, 0)


async def test_a_low_budget_tells_once_and_a_soft_one_draws(
    db: Database, clock: SetClock, worker: Worker
) -> None:
    async with db.transaction() as tx:
        parent = await opened(tx, 1000, name="Parent")
        how = {"parent_id": parent, "alarm_percent": 20, "draw_minor": 100}
        hard = await opened(tx, 100, **how)
        soft = await opened(tx, 100, policy="soft_alarm", **how)
        await budgets.spend(tx, [asked(hard, 80), asked(soft, 80)])
    for _ in range(3):
        clock.travel(minutes=1)
        await worker.drain()
    assert await figures(db, hard) == (20, 0, 80)
    assert await figures(db, soft) == (120, 0, 80)
    async with db.reading() as tx:
        told = await tx.values(
            "select subject_id from kernel.event where kind = 'budgets.budget_ran_low'"
        )
    assert sorted(told) == sorted([hard, soft])
    await whole(db)


async def test_burn_is_net_and_has_its_baseline(db: Database, clock: SetClock) -> None:
    async with db.transaction() as tx:
        budget = await opened(tx, 100_000)
    for day in range(10):
        async with db.transaction() as tx:
            spent = asked(budget, 1000 + 10 * day)
            await budgets.spend(tx, [spent])
            await budgets.give_back(
                tx,
                [
                    GivenBack(
                        budget_id=budget,
                        document_kind="test",
                        document_id=spent.document_id,
                        key="k",
                        part="1",
                        amount_minor=100,
                        reason="returned",
                    )
                ],
            )
        clock.travel(days=1)
    async with db.reading() as tx:
        burn = await budgets.burn(tx, budget)
    assert [spent for _, spent in burn.per_day] == [900 + 10 * n for n in range(10)]
    assert burn.baseline_minor == 945 and 945 < burn.rate_minor <= 990
    assert burn.low_minor is not None and burn.high_minor is not None
    assert burn.low_minor < burn.rate_minor < burn.high_minor
    assert burn.runway_low_days is not None and burn.runway_days is not None
    assert burn.runway_low_days < burn.runway_days
    assert burn.error_minor is not None and burn.baseline_error_minor is not None
    assert burn.error_minor < burn.baseline_error_minor  # it follows a trend better


async def test_burn_of_a_young_budget_claims_nothing(db: Database) -> None:
    async with db.transaction() as tx:
        budget = await opened(tx, 1000)
        burn = await budgets.burn(tx, budget)
    assert (burn.rate_minor, burn.low_minor, burn.runway_days) == (0, None, None)
