"""Review rings: groups of accounts that review the same unrelated things at the same time.

Two people who review one product within three days are a pair there. By chance that happens with
the share ``q`` of active reviewers who reviewed the product in that time, so sharing it is a
surprise of ``-ln q``. Surprises add up over *unrelated* products only: of each seller the one most
surprising product counts, since a seller's regulars and a series' readers share tastes, not orders.
A pair is tied when it shares products of at least three sellers and its surprise exceeds what
chance allows over all pairs and all choices (a union bound: ``LEVEL`` such pairs by chance in all).
One false pair is no ring: three accounts at least hang together, each by two ties or more.

The idea of measuring a group by how its members' reviews coincide in products and time is that of
Mukherjee, Liu and Glance (2012).
"""

from __future__ import annotations

import datetime as dt
import math
import uuid
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import combinations

import msgspec

WINDOW = dt.timedelta(days=3)
LEAST_SELLERS = 3
LEAST_MEMBERS = 3
LEVEL = 1.0
CROWD = 150
"""A product that so many review within the window says nothing about two of them."""


class Mark(msgspec.Struct, frozen=True):
    """Who reviewed what, of which seller, when."""

    review_id: uuid.UUID
    person_id: uuid.UUID
    product_id: uuid.UUID
    seller_id: uuid.UUID
    at: dt.datetime


class Ring(msgspec.Struct, frozen=True):
    """Accounts that act as one. ``reviews`` are those by which they were found; ``surprise`` is
    the smallest that tied a pair (natural logarithm), ``needed`` what chance would allow."""

    members: list[uuid.UUID]
    products: list[uuid.UUID]
    sellers: list[uuid.UUID]
    reviews: list[uuid.UUID]
    surprise: float
    needed: float


Pair = tuple[uuid.UUID, uuid.UUID]


class _Shared(msgspec.Struct):
    """What one pair shares: per seller the most surprising product and both reviews of it."""

    by_seller: dict[uuid.UUID, tuple[float, uuid.UUID]] = {}
    reviews: set[uuid.UUID] = set()

    @property
    def surprise(self) -> float:
        return sum(value for value, _ in self.by_seller.values())


def find_rings(marks: Sequence[Mark]) -> list[Ring]:
    """Every ring among ``marks``, the largest first; the same marks give the same rings."""
    activity = Counter(mark.person_id for mark in marks)
    people = len(activity)
    if people < LEAST_MEMBERS:
        return []
    pairs = _pairs(marks, people)
    chance = math.log(max(people * (people - 1) / 2, 1)) - math.log(LEVEL)
    ties: dict[Pair, float] = {}
    for (a, b), shared in pairs.items():
        k = len(shared.by_seller)
        if k < LEAST_SELLERS:
            continue
        needed = chance + math.log(math.comb(max(min(activity[a], activity[b]), k), k))
        if shared.surprise >= needed:
            ties[a, b] = shared.surprise
    return sorted(
        (_ring(members, ties, pairs, chance) for members in _groups(ties)),
        key=lambda ring: (-len(ring.members), ring.members),
    )


def _pairs(marks: Sequence[Mark], people: int) -> dict[Pair, _Shared]:
    by_product: dict[uuid.UUID, list[Mark]] = defaultdict(list)
    for mark in marks:
        by_product[mark.product_id].append(mark)
    pairs: dict[Pair, _Shared] = defaultdict(lambda: _Shared({}, set()))
    for product_id, own in by_product.items():
        own.sort(key=lambda mark: (mark.at, mark.review_id))
        start = 0
        for end, late in enumerate(own):
            while late.at - own[start].at > WINDOW:
                start += 1
            crowd = end - start + 1
            if crowd > CROWD:
                continue
            for early in own[start:end]:
                if early.person_id != late.person_id:
                    _add(pairs, early, late, product_id, -math.log(_share(own, end, people)))
    return pairs


def _share(own: list[Mark], end: int, people: int) -> float:
    """The share of people who reviewed the product around this review."""
    at = own[end].at
    near = 1
    for step in (-1, 1):
        place = end + step
        while 0 <= place < len(own) and abs(own[place].at - at) <= WINDOW:
            near += 1
            place += step
    return min(near / people, 1.0)


def _add(
    pairs: dict[Pair, _Shared], early: Mark, late: Mark, product: uuid.UUID, surprise: float
) -> None:
    a, b = sorted((early.person_id, late.person_id))
    shared = pairs[a, b]
    shared.reviews |= {early.review_id, late.review_id}
    held = shared.by_seller.get(late.seller_id)
    if held is None or held[0] < surprise:
        shared.by_seller[late.seller_id] = (surprise, product)


def _groups(ties: dict[Pair, float]) -> list[list[uuid.UUID]]:
    """Connected accounts that have at least two ties each, three or more together."""
    around: dict[uuid.UUID, set[uuid.UUID]] = defaultdict(set)
    for a, b in ties:
        around[a].add(b)
        around[b].add(a)
    loose = [who for who, others in around.items() if len(others) < 2]
    while loose:
        who = loose.pop()
        for other in around.pop(who, set()):
            around[other].discard(who)
            if len(around[other]) == 1:
                loose.append(other)
    groups, seen = [], set[uuid.UUID]()
    for who in sorted(around):
        if who in seen or not around[who]:
            continue
        group, open_ = {who}, [who]
        while open_:
            fresh = around[open_.pop()] - group
            group |= fresh
            open_ += sorted(fresh)
        seen |= group
        if len(group) >= LEAST_MEMBERS:
            groups.append(sorted(group))
    return groups


def _ring(
    members: list[uuid.UUID], ties: dict[Pair, float], pairs: dict[Pair, _Shared], chance: float
) -> Ring:
    within = [pair for pair in combinations(members, 2) if pair in ties]
    products = {p for pair in within for _, p in pairs[pair].by_seller.values()}
    sellers = {seller for pair in within for seller in pairs[pair].by_seller}
    reviews = {review for pair in within for review in pairs[pair].reviews}
    return Ring(
        members,
        sorted(products),
        sorted(sellers),
        sorted(reviews),
        round(min(ties[pair] for pair in within), 2),
        round(chance, 2),
    )
