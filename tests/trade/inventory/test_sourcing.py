"""Which node sends what: never more than there is, and never dearer than the simple rule."""

from __future__ import annotations

import random
import uuid

import pytest

from pinwheel.trade.inventory import Node, Terms, Wanted, cost, nearest, source

SELLER = uuid.UUID(int=7)
CITIES = [(51.5, -0.1), (53.5, -2.2), (55.9, -3.2), (50.8, -1.1), (52.5, 1.3)]


def _case(chance: random.Random):  # type: ignore[no-untyped-def]
    nodes = {
        f"N{n}": Node(
            code=f"N{n}",
            name={},
            country="GB",
            latitude=lat,
            longitude=lon,
            parcel_minor=chance.randint(200, 600),
            lead_hours=chance.choice((12, 24, 96)),
        )
        for n, (lat, lon) in enumerate(CITIES[: chance.randint(1, 5)])
    }
    variants = [uuid.UUID(int=n + 1) for n in range(chance.randint(1, 4))]
    free = {(v, SELLER, code): chance.randint(0, 6) for v in variants for code in nodes}
    lines = [Wanted(chance.choice(variants), SELLER, chance.randint(1, 5)) for _ in variants]
    return lines, free, nodes, chance.choice(CITIES)


@pytest.mark.parametrize("seed", range(400))
def test_it_takes_only_what_is_there_and_costs_no_more_than_the_nearest_node(seed: int) -> None:
    lines, free, nodes, to = _case(random.Random(seed))
    parts = source(lines, free, nodes, to=to)
    simple = nearest(lines, free, nodes, to=to)
    asked: dict[uuid.UUID, int] = {}
    for wanted in lines:
        asked[wanted.variant_id] = asked.get(wanted.variant_id, 0) + wanted.quantity
    possible = all(
        sum(n for (v, _, _), n in free.items() if v == variant) >= quantity
        for variant, quantity in asked.items()
    )
    assert (parts is not None) is possible
    if parts is None:
        return
    taken: dict[tuple[uuid.UUID, str], int] = {}
    for part in parts:
        key = (lines[part.line].variant_id, part.node)
        taken[key] = taken.get(key, 0) + part.quantity
    assert all(n <= free[v, SELLER, code] for (v, code), n in taken.items())
    for number, wanted in enumerate(lines):
        assert sum(p.quantity for p in parts if p.line == number) == wanted.quantity
    assert simple is not None
    ours = cost(lines, parts, free, nodes, to=to)
    theirs = cost(lines, simple, free, nodes, to=to)
    assert ours <= theirs + 1e-9


def test_over_many_orders_it_is_cheaper_than_the_nearest_node() -> None:
    chance = random.Random(1)
    ours = theirs = 0.0
    for _ in range(500):
        lines, free, nodes, to = _case(chance)
        parts, simple = source(lines, free, nodes, to=to), nearest(lines, free, nodes, to=to)
        if parts is not None and simple is not None:
            ours += cost(lines, parts, free, nodes, to=to)
            theirs += cost(lines, simple, free, nodes, to=to)
    assert ours < 0.95 * theirs


def test_one_parcel_beats_two_cheap_ones() -> None:
    nodes = {
        "A": Node(code="A", name={}, country="GB", parcel_minor=300),
        "B": Node(code="B", name={}, country="GB", parcel_minor=450),
    }
    one, two = uuid.UUID(int=1), uuid.UUID(int=2)
    free = {(one, SELLER, "A"): 1, (one, SELLER, "B"): 1, (two, SELLER, "B"): 1}
    parts = source([Wanted(one, SELLER, 1), Wanted(two, SELLER, 1)], free, nodes, terms=Terms())
    assert parts is not None and {p.node for p in parts} == {"B"}
