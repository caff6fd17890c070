"""RFM: fifths net of refunds, the history of moves, the same when done again."""

from __future__ import annotations

import datetime as dt
import random
import uuid

import world
from insight.audience.town import Town, write_orders
from pinwheel.insight import audience
from pinwheel.insight.audience.rfm import NAMES

PEOPLE = [uuid.UUID(int=1 + n) for n in range(100)]


async def crowded(town: Town) -> None:
    """Person n bought n // 20 + 1 times, last n days ago, for n + 1 each."""
    rows = [
        (person, world.MONDAY - dt.timedelta(days=1 + n + 7 * k), 100 * (n + 1))
        for n, person in enumerate(PEOPLE)
        for k in range(n // 20 + 1)
    ]
    await write_orders(town.db, rows)
    async with town.db.transaction() as tx:
        await audience.rebuild(tx)
        await audience.recompute(tx)


async def test_scores_are_fifths_of_the_market(town: Town) -> None:
    await crowded(town)
    async with town.db.reading() as tx:
        rows = await tx.connection.fetch("select person_id, r, f, m, name from audience.rfm")
    found = {row["person_id"]: tuple(row)[1:] for row in rows}
    assert [found[PEOPLE[n]][:3] for n in (0, 19, 20, 55, 99)] == [
        (5, 1, 1), (5, 1, 1), (4, 2, 2), (3, 3, 3), (1, 5, 5),
    ]  # fmt: skip
    assert (found[PEOPLE[0]][3], found[PEOPLE[99]][3]) == ("new", "cannot_lose")
    assert len(NAMES) == 25


async def test_equal_figures_have_equal_scores(town: Town) -> None:
    at = world.MONDAY - dt.timedelta(days=3)
    await write_orders(town.db, [(person, at, 700) for person in PEOPLE])
    async with town.db.transaction() as tx:
        await audience.rebuild(tx)
        await audience.recompute(tx)
        rows = await tx.connection.fetch("select distinct r, f, m from audience.rfm")
    assert len(rows) == 1


async def test_doing_it_again_changes_nothing_and_a_refund_is_a_move(town: Town) -> None:
    await crowded(town)
    before = await town.rows("rfm")
    async with town.db.transaction() as tx:
        assert (await audience.recompute(tx)).moved == 0
    assert await town.rows("rfm") == before
    best = PEOPLE[99]
    town.clock.travel(days=31)
    async with town.db.transaction() as tx:
        await tx.run(
            'update orders."order" set refunded_minor = secured_minor where person_id = $1', best
        )
        await audience.rebuild(tx)
        await audience.recompute(tx)
        moves = await tx.connection.fetch(
            "select was, now from audience.rfm_move where person_id = $1 order by at", best
        )
    assert [tuple(move) for move in moves] == [(None, "cannot_lose"), ("cannot_lose", "at_risk")]


async def test_the_matrix_adds_up_from_month_to_month(town: Town) -> None:
    await crowded(town)
    town.clock.travel(days=31)  # February
    rng = random.Random(1)
    again = rng.sample(PEOPLE, 30)
    await write_orders(
        town.db, [(person, town.clock.now() - dt.timedelta(hours=1), 9_000) for person in again]
    )
    async with town.db.transaction() as tx:
        await audience.rebuild(tx)
        await audience.recompute(tx)
        names = {n.name: n.people for n in await audience.rfm_names(tx, "GB")}
        matrix = await audience.migration(tx, "GB", tx.later_than(1))
    now: dict[str, int] = {}
    for cell in matrix:
        now[cell.now] = now.get(cell.now, 0) + cell.people
    assert now == names
    assert sum(cell.people for cell in matrix) == len(PEOPLE)
    assert any(cell.was != cell.now for cell in matrix)


async def test_a_cell_is_an_audience(town: Town) -> None:
    await crowded(town)
    segment = await town.segment({"if": "rfm", "market": "GB", "r": [5], "f": [1]})
    async with town.db.reading() as tx:
        [cell] = [c for c in await audience.rfm_grid(tx, "GB") if (c.r, c.f) == (5, 1)]
    assert len(await town.inside(segment)) == cell.people == 20
