"""A small town that buys and shares: the tree, the cost to the cent, the rocket, the board."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest

import world
from insight.audience.town import write_orders
from pinwheel.ground import ledger
from pinwheel.growth import measurement
from pinwheel.growth.measurement import NewSpend, NewTrial, NextOffer, RocketUnclear, Rule
from pinwheel.growth.measurement.stages import PLAN, Happened, check, moves_of
from pinwheel.growth.measurement.tree import forget
from pinwheel.kernel import audit
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.jobs import Worker
from pinwheel.trade import budgets
from team_world import TeamShop, open_team_shop

DAY = dt.timedelta(days=1)


async def healthy(db: Database) -> None:
    checks = await audit.run(db, ["pinwheel.growth.measurement", "pinwheel.ground.ledger"])
    assert [c for c in checks if c.broken] == []


async def rows(db: Database, table: str) -> list[tuple[Any, ...]]:
    async with db.reading() as tx:
        found = await tx.connection.fetch(f"select * from measurement.{table}")
    return sorted(tuple(str(v) for v in r.values()) for r in found)


async def recount(db: Database) -> int:
    async with db.transaction(actor="test") as tx:
        return await measurement.recount(tx)


async def with_budget(db: Database, worker: Worker) -> tuple[TeamShop, uuid.UUID]:
    async with db.transaction(actor="test") as tx:
        [made] = await budgets.open_budgets(
            tx, [budgets.NewBudget(name="Teams", currency="GBP", purpose="subsidy")]
        )
        assert isinstance(made, uuid.UUID)
        await budgets.fund(tx, made, 100_000, "test", key="f")
    return await open_team_shop(db, budget_id=made), made


async def join(house: TeamShop, team: uuid.UUID, inviter: uuid.UUID, person: uuid.UUID) -> None:
    """Somebody buys in a team by the link of another member."""
    await house.joins(team, person_id=person)
    await house.worker.drain()
    async with house.db.transaction() as tx:
        await tx.run(
            "update social.team_member set invited_by = $2 where person_id = $1", person, inviter
        )


async def test_a_team_becomes_a_tree_and_its_cost_agrees_with_the_ledger(
    db: Database, clock: SetClock, worker: Worker
) -> None:
    house, _ = await with_budget(db, worker)
    a, b, c, d = (uuid.UUID(int=n) for n in (1, 2, 3, 4))
    old = house.clock.now() - 40 * DAY
    await write_orders(db, [(d, old, 700)], variant_id=house.shop.variants[1])
    _, team = await house.opens(person_id=a)
    clock.travel(seconds=86_400 / 2)
    await join(house, team, a, b)
    clock.travel(seconds=3600)
    await join(house, team, b, d)
    await house.opens(person_id=c)
    await worker.drain()
    async with db.transaction(actor="test") as tx:
        await measurement.record_spend(tx, [NewSpend("video", world.MONDAY.date(), 5_000, "GBP")])
    await recount(db)
    async with db.reading() as tx:
        tree = {
            r["person_id"]: (r["parent_id"], r["depth"], r["root_id"], r["via"])
            for r in await tx.connection.fetch("select * from measurement.buyer")
        }
        since, until = world.MONDAY.date() - 60 * DAY, world.MONDAY.date() + 30 * DAY
        found = await measurement.acquisition(tx, since, until, "GBP")
        spent = await ledger.account_named(tx, "marketing:video:GBP")
    assert spent is not None
    assert tree[a] == (None, 0, a, None)
    assert tree[b] == (a, 1, a, "team")
    assert tree[d] == (None, 0, d, None), "who had bought before is nobody's new buyer"
    assert await recount(db) == 0, "counted anew nothing changes"
    # Three first orders and a repeat, each 4.00 off out of the budget.
    assert found.classes["first_order"] == 3 * 400
    assert found.classes["repeat"] == 400
    assert found.classes["marketing"] == 5_000
    assert found.cost_minor == 6_200
    assert found.ledger_minor == 6_600
    assert found.difference_minor == 0
    assert found.buyers == 4
    for lines in found.models.values():
        assert sum(x.cost_minor for x in lines) == 6_200
    await healthy(db)


async def test_two_who_brought_each_other_make_no_circle(
    db: Database, clock: SetClock, worker: Worker
) -> None:
    """Who buys first was brought by nobody, though the other's link led there."""
    house, _ = await with_budget(db, worker)
    a, first, second = (uuid.UUID(int=n) for n in (1, 2, 3))
    _, team = await house.opens(person_id=a)
    clock.travel(seconds=60)
    await join(house, team, second, first)
    clock.travel(seconds=60)
    await join(house, team, first, second)
    await recount(db)
    async with db.reading() as tx:
        tree = {
            r["person_id"]: (r["parent_id"], r["depth"], r["root_id"])
            for r in await tx.connection.fetch("select * from measurement.buyer")
        }
    assert tree[first] == (None, 0, first)
    assert tree[second] == (first, 1, first)
    await healthy(db)


async def test_the_erased_leave_and_their_branch_stands(
    db: Database, clock: SetClock, worker: Worker
) -> None:
    house, _ = await with_budget(db, worker)
    a, b, c = (uuid.UUID(int=n) for n in (1, 2, 3))
    _, team = await house.opens(person_id=a)
    clock.travel(seconds=60)
    await join(house, team, a, b)
    clock.travel(seconds=60)
    await join(house, team, b, c)
    await recount(db)
    async with db.transaction() as tx:
        await forget(tx, [a])
        found = await tx.connection.fetch(
            "select person_id, parent_id, depth, root_id from measurement.buyer order by 1"
        )
    assert [tuple(r.values()) for r in found] == [(b, None, 0, b), (c, b, 1, b)]


async def test_stages_are_the_same_whenever_they_are_reckoned(
    db: Database, clock: SetClock, worker: Worker
) -> None:
    house, _ = await with_budget(db, worker)
    a, b = uuid.UUID(int=1), uuid.UUID(int=2)
    _, team = await house.opens(person_id=a)
    clock.travel(seconds=60)
    await join(house, team, a, b)
    await recount(db)
    async with db.transaction(actor="test") as tx:
        assert await measurement.move(tx, [a, b]) >= 1
    before = await rows(db, "transition")
    async with db.reading() as tx:
        moved = await measurement.moves(tx, a)
        later = await measurement.next_offers(tx, [a, uuid.UUID(int=9)])
    assert [(m.was, m.now) for m in moved] == [("none", "seed"), ("seed", "spread")]
    assert moved[1].rule == "brought-a-buyer" or moved[1].rule == "shared"
    assert moved[1].facts["shares"] == 1
    assert set(later.values()) == {None}
    async with db.transaction(actor="test") as tx:
        assert await measurement.move(tx, [b, a]) == 0, "nothing has changed"
        await tx.run("delete from measurement.transition")
        await measurement.move(tx, [b, a])
    assert await rows(db, "transition") == before
    # A new version is a new reckoning, by its own rules, and names them.
    async with db.transaction(actor="test") as tx:
        plan = measurement.Plan(
            stages=["seed"],
            rules=[Rule("any-order", "none", "seed", {"orders": 1})],
            offers=[NextOffer("seed", "team", house.campaign_id)],
        )
        assert await measurement.save_rocket(tx, plan) == 1
    await worker.drain()
    async with db.reading() as tx:
        assert [m.rule for m in await measurement.moves(tx, a)] == ["any-order"]
        offers = await measurement.next_offers(tx, [a])
    assert offers[a] == plan.offers[0]
    await healthy(db)


async def test_the_board_has_every_campaign_and_says_what_is_not_measured(
    db: Database, clock: SetClock, worker: Worker
) -> None:
    house, _ = await with_budget(db, worker)
    a, b = uuid.UUID(int=1), uuid.UUID(int=2)
    _, team = await house.opens(person_id=a)
    clock.travel(seconds=60)
    await join(house, team, a, b)
    await recount(db)
    async with db.reading() as tx:
        young = await measurement.board(tx, "GBP", running_only=False)
    [line] = young.lines
    assert line.k is None, "nobody's 30 days are over"
    assert line.last is None
    assert (line.buyers, line.cost_minor) == (2, 800)
    clock.travel(days=70)
    async with db.reading() as tx:
        [line] = (await measurement.board(tx, "GBP", running_only=False)).lines
        shared = await measurement.sharing(tx, "GBP", house.campaign_id)
    assert line.k is not None
    assert (line.k.point, line.k.n) == (0.5, 2)
    assert line.k.low < 0.5
    assert line.last is not None
    assert line.last.each_minor is None, "two came, nobody stayed"
    assert shared.k == line.k
    assert [d.depth for d in shared.depths] == [1]


async def test_a_trial_is_planned_before_it_begins(db: Database) -> None:
    start = world.MONDAY.date()
    off = [start + n * DAY for n in (1, 3, 5)]
    new = NewTrial(channel="video", kind="days", starts_on=start, ends_on=start + 9 * DAY,
                   off_days=off)  # fmt: skip
    async with db.transaction(actor="test") as tx:
        with pytest.raises(measurement.TrialUnclear, match="before its first day"):
            await measurement.plan_trial(tx, new)


def test_rules_fire_on_what_stands_and_in_any_order_of_reading() -> None:
    at = world.MONDAY
    one, two = uuid.UUID(int=1), uuid.UUID(int=2)
    events = [
        Happened(at, "ordered", one, 1, 1000),
        Happened(at + DAY, "ordered", two, 3, 4000),
        Happened(at + 2 * DAY, "cancelled", two),
        Happened(at + 3 * DAY, "cancelled", one),
    ]
    moves = moves_of(PLAN, events)
    assert [(m.now, m.rule) for m in moves] == [
        ("seed", "first-order"),
        ("deepen", "dearer-category"),
        ("none", "nothing-stands-3"),
    ]
    assert moves_of(PLAN, events[::-1]) == moves
    assert moves[1].facts["level"] == 3


def test_a_programme_that_cant_be_is_refused() -> None:
    with pytest.raises(RocketUnclear, match="asks for nothing"):
        check(measurement.Plan(stages=["seed"], rules=[Rule("x", "none", "seed")]))
