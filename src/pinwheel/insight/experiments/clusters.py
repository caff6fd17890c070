"""Groups in a graph of people: those who talk to each other must see the same thing, or the
control group hears of the treatment and the difference shrinks."""

from __future__ import annotations

import math
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence

from pinwheel.insight.experiments.model import WHOLE, Plan

Edge = tuple[uuid.UUID, uuid.UUID]
ROUNDS = 20
LEAST_CHANCE = 0.01  # of being among one's own: whose is smaller would weigh more than a hundred


def ties(
    edges: Iterable[Edge], groups: Mapping[uuid.UUID, uuid.UUID]
) -> dict[uuid.UUID, Counter[uuid.UUID]]:
    """With how many people of each group each person is tied; a tie told twice is one."""
    found: dict[uuid.UUID, Counter[uuid.UUID]] = defaultdict(Counter)
    for a, b in {(min(edge), max(edge)) for edge in edges if edge[0] != edge[1]}:
        found[a][groups[b]] += 1
        found[b][groups[a]] += 1
    return found


def chances(plan: Plan, rollout: int) -> dict[str, float]:
    """The chance that a group is sent each way. A group that is kept out has the shop as it is,
    which is what the control has."""
    taken = plan.layer_share / WHOLE if plan.layer else 1.0
    taken *= (1 - plan.holdout / WHOLE) * rollout / WHOLE
    found = {v.key: taken * v.weight / WHOLE for v in plan.variations}
    found[plan.variations[0].key] += 1 - taken
    return found


def most_others(by_way: Mapping[str, float]) -> int:
    """To how many other groups somebody may be tied to be counted: with more, the chance that all
    of them are sent the same way is below ``LEAST_CHANCE`` for one of the ways."""
    rarest = min(by_way.values())
    return 0 if rarest <= 0 else 10**6 if rarest >= 1 else int(math.log(LEAST_CHANCE, rarest))


def clusters(edges: Sequence[Edge], *, most: int = 200) -> dict[uuid.UUID, uuid.UUID]:
    """Everybody in ``edges`` with the id of their group, which is its smallest member's.

    A connected component of at most ``most`` people is one group. A larger one is cut along its
    thin places by label propagation (Raghavan, Albert, Kumara 2007; deterministic: people in the
    order of their ids, ties to the smallest label) in which no group grows beyond ``most``."""
    near: dict[uuid.UUID, set[uuid.UUID]] = defaultdict(set)
    for a, b in edges:
        if a != b:
            near[a].add(b)
            near[b].add(a)
    groups: dict[uuid.UUID, uuid.UUID] = {}
    for component in _components(near):
        if len(component) <= most:
            groups.update(dict.fromkeys(component, component[0]))
        else:
            groups.update(_cut(component, near, most))
    return groups


def _components(near: dict[uuid.UUID, set[uuid.UUID]]) -> Iterable[list[uuid.UUID]]:
    seen: set[uuid.UUID] = set()
    for start in sorted(near):
        if start in seen:
            continue
        seen.add(start)
        found, ahead = [start], [start]
        while ahead:
            fresh = near[ahead.pop()] - seen
            seen |= fresh
            found += fresh
            ahead += fresh
        yield sorted(found)


def _cut(
    people: list[uuid.UUID], near: dict[uuid.UUID, set[uuid.UUID]], most: int
) -> dict[uuid.UUID, uuid.UUID]:
    label = {one: one for one in people}
    size = Counter(people)
    for _ in range(ROUNDS):
        moved = False
        for one in people:
            votes = Counter(label[other] for other in near[one])
            own = label[one]
            open_to = [(-n, name) for name, n in votes.items() if name == own or size[name] < most]
            best = min(open_to, default=(0, own))
            if best[1] != own and -best[0] > votes[own]:
                size[own] -= 1
                size[best[1]] += 1
                label[one] = best[1]
                moved = True
        if not moved:
            break
    members: dict[uuid.UUID, list[uuid.UUID]] = defaultdict(list)
    for one in people:
        members[label[one]].append(one)
    return {one: min(group) for group in members.values() for one in group}
