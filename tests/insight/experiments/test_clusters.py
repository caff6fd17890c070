"""Groups in a graph, and what they are for: a simulated town whose people talk to each other."""

from __future__ import annotations

import random
import uuid
from collections import Counter

import numpy as np

from pinwheel.insight.experiments import Moments, clusters, place
from pinwheel.insight.experiments import statistics as st

TRUE = 0.10  # what the treatment adds when everybody has it: 0.04 directly and 0.06 by friends
DIRECT, BY_FRIENDS, BASE = 0.04, 0.06, 0.20


def ids(n: int) -> list[uuid.UUID]:
    return [uuid.UUID(int=i + 1) for i in range(n)]


def test_components_are_groups_and_a_giant_is_cut() -> None:
    people = ids(60)
    pairs = [(people[i], people[i + 1]) for i in range(0, 20, 2)]
    found = clusters(pairs)
    assert len(set(found.values())) == 10
    # Two cliques of ten that one friendship joins: cut there.
    cliques = [
        (people[a + o], people[b + o]) for o in (20, 30) for a in range(10) for b in range(a)
    ]
    cut = clusters([*cliques, (people[29], people[30])], most=12)
    assert len({cut[p] for p in people[20:30]}) == 1 and len({cut[p] for p in people[30:40]}) == 1
    assert cut[people[20]] != cut[people[30]]
    assert clusters([]) == {} and clusters([(people[0], people[0])]) == {}


def test_no_group_is_larger_than_asked_and_nobody_is_lost() -> None:
    rng = random.Random(4)
    people = ids(3000)
    edges = [(rng.choice(people), rng.choice(people)) for _ in range(9000)]
    found = clusters(edges, most=50)
    assert max(Counter(found.values()).values()) <= 50
    assert set(found) == {p for a, b in edges if a != b for p in (a, b)}
    assert clusters(edges[::-1], most=50) == found


def town(rng: np.random.Generator, n: int) -> list[tuple[int, int]]:
    """Circles of 8 to 20 friends, and one friendship in eight across the town."""
    edges, at = [], 0
    while at < n:
        size = int(rng.integers(8, 21))
        circle = range(at, min(at + size, n))
        for a in circle:
            for b in rng.choice(list(circle), 4):
                edges.append((a, int(b)))
            if rng.random() < 0.5:
                edges.append((a, int(rng.integers(0, n))))
        at += size
    return [(a, b) for a, b in edges if a != b]


def bought(
    rng: np.random.Generator, n: int, edges: list[tuple[int, int]], treated: np.ndarray
) -> np.ndarray:
    """Buys with the base rate, the treatment's own effect, and that of the share of treated
    friends, treated or not: what makes a viral feature viral."""
    near, friends = np.zeros(n), np.zeros(n)
    a, b = np.array(edges).T
    for one, other in ((a, b), (b, a)):
        np.add.at(near, one, treated[other])
        np.add.at(friends, one, 1)
    share = near / np.maximum(friends, 1)
    return (rng.random(n) < BASE + DIRECT * treated + BY_FRIENDS * share).astype(float)


def test_clusters_are_less_biased_than_people_where_there_is_spillover() -> None:
    rng = np.random.default_rng(8)
    n, rounds = 6000, 40
    estimates: dict[str, list[float]] = {"people": [], "clusters": []}
    covered = {"people": 0, "clusters": 0}
    edges = town(rng, n)
    people = ids(n)
    groups = clusters([(people[a], people[b]) for a, b in edges], most=25)
    group = np.array([groups.get(p, p).int for p in people], dtype=object)
    names, number = np.unique(group, return_inverse=True)
    inside = np.mean([group[a] == group[b] for a, b in edges])
    for salt in range(rounds):
        by_person = np.array([place(f"p{salt}", p) < 5000 for p in people])
        sent = np.array([place(f"c{salt}", uuid.UUID(int=int(g))) < 5000 for g in names])
        for design, treated in (("people", by_person), ("clusters", sent[number])):
            y = bought(rng, n, edges, treated.astype(float))
            unit = number if design == "clusters" else np.arange(n)
            arms = []
            for arm in (False, True):
                _, where = np.unique(unit[treated == arm], return_inverse=True)
                total = np.bincount(where, weights=y[treated == arm])
                size = np.bincount(where).astype(float)
                arms.append(
                    Moments(
                        n=len(total), y=total.sum(), yy=(total**2).sum(), d=size.sum(),
                        dd=(size**2).sum(), yd=(total * size).sum(),
                    )
                )  # fmt: skip
            effect = st.fixed(st.ratio(arms[0]), st.ratio(arms[1]), relative=False)
            assert effect.point is not None and effect.low is not None and effect.high is not None
            estimates[design].append(effect.point)
            covered[design] += effect.low <= TRUE <= effect.high
    bias = {design: abs(float(np.mean(found)) - TRUE) for design, found in estimates.items()}
    figures = f"inside {inside:.0%}, bias {bias}, covered {covered} of {rounds}"
    assert bias["people"] > 0.04, figures
    assert bias["clusters"] < 0.6 * bias["people"], figures
    assert covered["clusters"] > covered["people"], figures
