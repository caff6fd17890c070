"""Groups in a graph, and what they are for: a simulated town whose people talk to each other."""

from __future__ import annotations

import os
import random
import uuid
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from pinwheel.insight.experiments import Moments, Plan, Variation, clusters, place
from pinwheel.insight.experiments import statistics as st
from pinwheel.insight.experiments.clusters import chances, most_others, ties

ROUNDS = int(os.environ.get("PINWHEEL_ROUNDS", "120"))
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


class Town:
    """Some people, their friendships, and the groups that an experiment makes of them."""

    def __init__(self, rng: np.random.Generator, n: int, *, leaks: bool) -> None:
        self.rng, self.n, self.people = rng, n, ids(n)
        edges = town(rng, n)
        named = [(self.people[a], self.people[b]) for a, b in edges]
        groups = clusters(named, most=25)
        groups |= {p: p for p in self.people if p not in groups}
        if not leaks:
            edges = [(a, b) for a, b in edges if groups[self.people[a]] == groups[self.people[b]]]
            named = [(self.people[a], self.people[b]) for a, b in edges]
        self.edges, self.groups, self.ties = edges, groups, ties(named, groups)
        self.names, self.number = np.unique(
            np.array([groups[p].int for p in self.people], dtype=object), return_inverse=True
        )
        place_of = {name: at for at, name in enumerate(self.names)}
        others = [{place_of[g.int] for g in self.ties.get(p, ())} for p in self.people]
        self.others = [sorted(o - {int(g)}) for o, g in zip(others, self.number, strict=True)]

    @property
    def cut(self) -> float:
        told = sum(t.total() for t in self.ties.values())
        kept = sum(t[self.groups[p]] for p, t in self.ties.items())
        return 1 - kept / told

    def effect(self, salt: int, *, design: str) -> tuple[st.Effect, st.Effect]:
        """The difference after one assignment: read once, and read at any time."""
        plan = Plan(en="x", zh="x", unit="cluster",
                    variations=[Variation("a", 5000), Variation("b", 5000)])  # fmt: skip
        if design == "people":
            treated = np.array([place(f"p{salt}", p) < 5000 for p in self.people])
            unit, weight = np.arange(self.n), np.ones(self.n)
        else:
            by_name = [place(f"c{salt}", uuid.UUID(int=int(g))) < 5000 for g in self.names]
            sent = np.array(by_name)
            treated, unit, weight = sent[self.number], self.number, np.ones(self.n)
        if design == "apart":  # what the statement of ``summing`` weighs by
            chance, most = chances(plan, 10_000), most_others(chances(plan, 10_000))
            weight = np.array([
                chance["b" if way else "a"] ** -len(o)
                if len(o) <= most and all(sent[g] == way for g in o) else 0.0
                for way, o in zip(treated, self.others, strict=True)
            ])  # fmt: skip
        y = bought(self.rng, self.n, self.edges, treated.astype(float))
        arms = []
        for arm in (False, True):
            here = (treated == arm) & (weight > 0)
            _, where = np.unique(unit[here], return_inverse=True)
            total = np.bincount(where, weights=(weight * y)[here])
            size = np.bincount(where, weights=weight[here])
            raised = st.leverage(list(total), list(size))
            arms.append(
                st.clustered(Moments(n=len(total), y=total.sum(), d=size.sum(), leverage=raised))
            )
        return (
            st.fixed(arms[0], arms[1], relative=False),
            st.always_valid(arms[0], arms[1], relative=False, horizon=len(self.names)),
        )


def coverage(of: Town, truth: float, design: str, rounds: int) -> tuple[float, float, float]:
    """(share of intervals that hold the truth, the same of always-valid ones, bias)."""
    once = anytime = 0
    points = []
    for salt in range(rounds):
        effect, sequence = of.effect(salt, design=design)
        for one in (effect, sequence):
            assert one.point is not None and one.low is not None and one.high is not None
        points.append(effect.point)
        once += effect.low <= truth <= effect.high  # type: ignore[operator]
        anytime += sequence.low <= truth <= sequence.high  # type: ignore[operator]
    return once / rounds, anytime / rounds, float(np.mean(points)) - truth  # type: ignore[arg-type]


def least_share(rounds: int, wanted: float = 0.95) -> float:
    """What a right interval covers in all but one of a thousand such tests."""
    return float(stats.binom.ppf(0.001, rounds, wanted)) / rounds


@pytest.mark.parametrize("n", [600, 4000])
def test_intervals_of_clusters_hold_the_planted_lift(n: int) -> None:
    """PINWHEEL_ROUNDS=1000 for the large run. Without ties between groups every design of groups is
    right; with them only that which counts who stands apart."""
    town_of = {leaks: Town(np.random.default_rng(8), n, leaks=leaks) for leaks in (False, True)}
    closed = coverage(town_of[False], TRUE, "clusters", ROUNDS)
    apart = coverage(town_of[True], TRUE, "apart", ROUNDS)
    naive = coverage(town_of[True], TRUE, "clusters", ROUNDS)
    alone = coverage(town_of[True], TRUE, "people", ROUNDS)
    said = (
        f"{n} people, {ROUNDS} rounds, {town_of[True].cut:.0%} of ties cut: (once, anytime, bias) "
        f"closed {closed}, apart {apart}, naive {naive}, people {alone}"
    )
    least = least_share(ROUNDS)
    assert closed[0] >= least and apart[0] >= least, said
    assert closed[1] >= least and apart[1] >= least, said
    assert abs(apart[2]) < abs(naive[2]) < abs(alone[2]), said


def test_few_clusters_of_very_unequal_size_are_not_believed_too_much() -> None:
    """Eight groups an arm, one may hold a third of everybody, and people of a group are alike: the
    plain variance of a ratio covers 0.90 where CR2 with its degrees of freedom covers 0.94."""
    rng, rounds = np.random.default_rng(2), max(ROUNDS, 400)
    held = plain = 0
    for _ in range(rounds):
        arms = []
        for arm in (0, 1):
            size = np.ceil(rng.lognormal(2, 1, 8))
            total = size * (0.3 + 0.1 * arm + rng.normal(0, 0.15, 8))
            total += rng.normal(0, 1, 8) * np.sqrt(size * 0.14)
            sums = {"n": 8, "y": total.sum(), "yy": (total**2).sum(), "d": size.sum(),
                    "dd": (size**2).sum(), "yd": (total * size).sum()}  # fmt: skip
            arms.append(Moments(**sums, leverage=st.leverage(list(total), list(size))))
        for of in (st.clustered, st.ratio):
            effect = st.fixed(of(arms[0]), of(arms[1]), relative=False)
            assert effect.low is not None and effect.high is not None
            hit = effect.low <= 0.1 <= effect.high
            held, plain = held + hit * (of is st.clustered), plain + hit * (of is st.ratio)
    assert held / rounds >= 0.92 > plain / rounds, f"{held / rounds} {plain / rounds}"


def test_clusters_of_one_size_are_what_they_always_were() -> None:
    rng = np.random.default_rng(3)
    y, d = rng.normal(10, 2, 30), np.full(30, 7.0)
    m = Moments(n=30, y=y.sum(), yy=(y**2).sum(), d=d.sum(), dd=(d**2).sum(), yd=(y * d).sum(),
                leverage=st.leverage(list(y), list(d)))  # fmt: skip
    ours, known = st.clustered(m), st.ratio(m)
    assert ours.freedom == pytest.approx(29)
    assert ours.mean == known.mean and ours.variance == pytest.approx(known.variance)
    assert st.leverage([1.0, 0.0], [5.0, 0.0]) is None, "one cluster is all: no variance"
