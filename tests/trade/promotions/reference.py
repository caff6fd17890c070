"""The stacking policy once more: slow, obvious, piece by piece, every possibility tried.

It shares no code with the module but the structs that hold the terms."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Sequence
from fractions import Fraction
from math import floor
from typing import Any, NamedTuple

from pinwheel.trade.promotions import model


class Line(NamedTuple):
    offer_id: uuid.UUID
    quantity: int
    left: int


class Rule(NamedTuple):
    id: uuid.UUID
    terms: model.Terms
    lines: frozenset[int]
    most_pieces: int | None


def half_up(value: Fraction) -> int:
    return floor(value + Fraction(1, 2))


def largest_remainder(total: int, weights: Sequence[int]) -> list[int]:
    whole = sum(weights)
    if whole == 0:
        weights, whole = [1] * len(weights), len(weights)
    exact = [Fraction(total * w, whole) for w in weights]
    parts = [floor(e) for e in exact]
    order = sorted(range(len(weights)), key=lambda i: (-(exact[i] - parts[i]), i))
    for i in order[: total - sum(parts)]:
        parts[i] += 1
    return parts


def pieces_of(lines: Sequence[Line], among: Sequence[int]) -> list[tuple[int, int]]:
    """(price, line) of each piece, dearest first."""
    found = []
    for i in among:
        found += [(p, i) for p in largest_remainder(lines[i].left, [1] * lines[i].quantity)]
    return sorted(found, key=lambda piece: (-piece[0], piece[1]))


def off(rule: Rule, lines: Sequence[Line], among: Sequence[int]) -> dict[int, int]:
    """What the rule takes off each line when these lines take part."""
    conditions = rule.terms.conditions
    spend = sum(lines[i].left for i in among)
    if not among or spend < conditions.min_spend_minor or rule.most_pieces == 0:
        return {}
    found = _off(rule.terms.kind, lines, list(among), rule.most_pieces)
    cap = conditions.most_off_minor
    if cap is not None and sum(found.values()) > cap:
        keys = sorted(found)
        found = dict(zip(keys, largest_remainder(cap, [found[k] for k in keys]), strict=True))
    return found


def spread(total: int, pieces: Sequence[tuple[int, int]], among: Sequence[int]) -> dict[int, int]:
    if total == 0:
        return {}
    weights = [sum(p for p, line in pieces if line == i) for i in among]
    return dict(zip(among, largest_remainder(total, weights), strict=True))


def _off(kind: Any, lines: Sequence[Line], among: list[int], most: int | None) -> dict[int, int]:
    pieces = pieces_of(lines, among)[: most if most is not None else None]
    mine = {i: [p for p, line in pieces if line == i] for i in among}
    spend = sum(lines[i].left for i in among)
    match kind:
        case model.FixedPrice():
            return {i: max(0, sum(ps) - kind.price_minor * len(ps)) for i, ps in mine.items()}
        case model.PercentageOff(level="line"):
            return {
                i: half_up(Fraction(sum(ps) * kind.basis_points, 10_000)) for i, ps in mine.items()
            }
        case model.AmountOff(level="line"):
            return {i: min(sum(ps), kind.amount_minor * len(ps)) for i, ps in mine.items()}
        case model.PercentageOff():
            whole = sum(p for p, _ in pieces)
            return spread(half_up(Fraction(whole * kind.basis_points, 10_000)), pieces, among)
        case model.AmountOff():
            return spread(min(sum(p for p, _ in pieces), kind.amount_minor), pieces, among)
        case model.Threshold():
            count = sum(lines[i].quantity for i in among)
            reached = spend if kind.counts == "spend" else count
            best = 0
            for tier in kind.tiers:
                if reached >= tier.at_least:
                    times = reached // tier.at_least if kind.repeats else 1
                    part = half_up(Fraction(spend * tier.basis_points, 10_000))
                    best = max(best, min(spend, part + tier.amount_minor * times))
            return spread(best, pieces_of(lines, among), among)
        case model.NForM():
            return n_for_m(pieces, among, kind.take, kind.pay, kind.basis_points, 10**9)
        case model.CheapestFree():
            return n_for_m(pieces, among, kind.at_least, kind.at_least - kind.pieces, 10_000, 1)
        case model.Bundle():
            return bundle(kind, pieces_of(lines, among), lines, among)
    return {}


def n_for_m(
    pieces: list[tuple[int, int]], among: list[int], take: int, pay: int, points: int, most: int
) -> dict[int, int]:
    groups = [pieces[i : i + take] for i in range(0, len(pieces), take)]
    full = [g for g in groups if len(g) == take][:most]
    total = sum(half_up(Fraction(p * points, 10_000)) for g in full for p, _ in g[pay:])
    return spread(total, [piece for g in full for piece in g], among)


def bundle(
    kind: model.Bundle, pieces: list[tuple[int, int]], lines: Sequence[Line], among: list[int]
) -> dict[int, int]:
    total, used = 0, []
    queues = [[p for p in pieces if lines[p[1]].offer_id in part.offers] for part in kind.parts]
    while all(len(q) >= part.pieces for q, part in zip(queues, kind.parts, strict=True)):
        taken = []
        for n, part in enumerate(kind.parts):
            taken += queues[n][: part.pieces]
            queues[n] = queues[n][part.pieces :]
        saving = sum(p for p, _ in taken) - kind.price_minor
        if saving <= 0:
            break
        total += saving
        used += taken
    return spread(total, used, among)


def looks_at_each_line_alone(rule: Rule) -> bool:
    conditions = rule.terms.conditions
    simple = isinstance(rule.terms.kind, model.PercentageOff | model.AmountOff | model.FixedPrice)
    free = conditions.min_spend_minor == 0 and conditions.most_off_minor is None
    return simple and free and rule.most_pieces is None


def settle(
    lines: Sequence[Line], claimed: frozenset[int], rules: Sequence[Rule]
) -> tuple[list[int], list[tuple[uuid.UUID, dict[int, int]]]]:
    """What is left of each line, and what each rule took off, in order."""
    now = list(lines)
    applied: list[tuple[uuid.UUID, dict[int, int]]] = []

    def take(rule: Rule, offs: dict[int, int]) -> None:
        offs = {i: amount for i, amount in offs.items() if amount}
        if offs:
            applied.append((rule.id, offs))
            for i, amount in offs.items():
                now[i] = now[i]._replace(left=now[i].left - amount)

    for level in ("line", "order"):
        here = [r for r in rules if level_of(r) == level]
        groups = sorted({r.terms.group for r in here if not r.terms.combinable})
        rounds = [
            [r for r in here if not r.terms.combinable and r.terms.group == g] for g in groups
        ]
        alone = sorted((r for r in here if r.terms.combinable), key=rank)
        rounds += [[r] for r in alone]
        for competing in rounds:
            competing.sort(key=rank)
            if level == "order":
                offs = [(r, off(r, now, sorted(r.lines))) for r in competing]
                best = max(sum(o.values()) for _, o in offs)
                take(*next((r, o) for r, o in offs if sum(o.values()) == best))
                continue
            plan = best_division(now, claimed, competing)
            for rule, offs_of in [(r, off(r, now, plan[r.id])) for r in competing]:
                take(rule, offs_of)
    return [line.left for line in now], applied


def rank(rule: Rule) -> tuple[int, uuid.UUID]:
    return rule.terms.priority, rule.id


def level_of(rule: Rule) -> str:
    kind = rule.terms.kind
    if isinstance(kind, model.FreeDelivery):
        return "delivery"
    return getattr(kind, "level", "line")


def best_division(
    lines: Sequence[Line], claimed: frozenset[int], rules: Sequence[Rule]
) -> dict[uuid.UUID, list[int]]:
    """Every way to give each line to one rule or to none; the first of the best ones. Lines that no
    rule looks at together are decided apart, which changes nothing but the time it takes."""
    plan: dict[uuid.UUID, list[int]] = {r.id: [] for r in rules}
    for island in islands(len(lines), claimed, rules):
        choices = [[*[r for r in rules if i in r.lines], None] for i in island]
        best, best_value = None, -1
        for way in itertools.product(*choices):
            value = 0
            for rule in rules:
                mine = [i for i, r in zip(island, way, strict=True) if r is rule]
                value += sum(off(rule, lines, mine).values())
            if value > best_value:
                best, best_value = way, value
        for i, rule in zip(island, best or (), strict=True):
            if rule is not None:
                plan[rule.id].append(i)
    return {rule_id: sorted(mine) for rule_id, mine in plan.items()}


def islands(count: int, claimed: frozenset[int], rules: Sequence[Rule]) -> list[list[int]]:
    found = [{i} for i in range(count) if i not in claimed]
    for rule in rules:
        if not looks_at_each_line_alone(rule):
            together = set().union(*(g for g in found if g & rule.lines), set())
            found = [g for g in found if not g & rule.lines] + ([together] if together else [])
    return [sorted(group) for group in found]
