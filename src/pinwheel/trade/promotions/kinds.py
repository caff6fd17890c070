"""What each kind takes off a set of lines. Pure.

A ``Piece run`` is (price of one piece, pieces, position of its line). Where a line has been lowered
before, its pieces cost what is left, the odd minor units on the first ones. Every rounding is half
away from zero; nothing takes off more than there is.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from pinwheel.trade import pricing
from pinwheel.trade.promotions.model import (
    AmountOff,
    Bundle,
    CheapestFree,
    FixedPrice,
    FreeDelivery,
    Kind,
    NForM,
    PercentageOff,
    Terms,
    Threshold,
)

Run = tuple[int, int, int]


class Goods:
    """One line as rules see it: what it costs still, and its pieces."""

    __slots__ = ("left", "offer_id", "quantity")

    def __init__(self, offer_id: uuid.UUID, quantity: int, left: int) -> None:
        self.offer_id = offer_id
        self.quantity = quantity
        self.left = left


def part_of(amount: int, basis_points: int) -> int:
    """So many basis points of ``amount``, half away from zero."""
    return (amount * basis_points + 5_000) // 10_000


def runs_of(goods: Sequence[Goods], most_pieces: int | None = None) -> list[Run]:
    """The pieces, dearest first; of equals those of the earlier line. At most ``most_pieces``."""
    found: list[Run] = []
    for position, line in enumerate(goods):
        each, odd = divmod(line.left, line.quantity)
        if odd:
            found.append((each + 1, odd, position))
        if line.quantity > odd:
            found.append((each, line.quantity - odd, position))
    found.sort(key=lambda run: -run[0])
    return found if most_pieces is None else _first(found, most_pieces)


def takes_off(terms: Terms, goods: Sequence[Goods], most_pieces: int | None = None) -> list[int]:
    """How much comes off each of ``goods``, all of which belong to the promotion: its ``kind``,
    its least spend and its cap. ``most_pieces``: no more pieces than these take part."""
    nothing = [0] * len(goods)
    spend = sum(line.left for line in goods)
    if not goods or spend < terms.conditions.min_spend_minor or most_pieces == 0:
        return nothing
    offs = _offs(terms.kind, goods, most_pieces)
    cap = terms.conditions.most_off_minor
    if cap is not None and sum(offs) > cap:
        offs = pricing.allocate(cap, offs)
    return offs


def is_separable(terms: Terms, most_pieces: int | None = None) -> bool:
    """Does it look at each line by itself? Then its choice on one line changes no other."""
    conditions = terms.conditions
    return (
        isinstance(terms.kind, PercentageOff | AmountOff | FixedPrice)
        and conditions.min_spend_minor == 0
        and conditions.most_off_minor is None
        and most_pieces is None
    )


def _offs(kind: Kind, goods: Sequence[Goods], most: int | None) -> list[int]:
    match kind:
        case PercentageOff() | AmountOff() | FixedPrice():
            return _simple(kind, goods, most)
        case Threshold():
            return _threshold(kind, goods)
        case NForM(take=take, pay=pay, basis_points=points):
            return _n_for_m(runs_of(goods, most), len(goods), take, pay, points)
        case CheapestFree(at_least=least, pieces=pieces):
            paid = least - pieces
            return _n_for_m(runs_of(goods, most), len(goods), least, paid, 10_000, most_groups=1)
        case Bundle():
            return _bundle(kind, goods)
        case FreeDelivery():
            return [0] * len(goods)


def _simple(
    kind: PercentageOff | AmountOff | FixedPrice, goods: Sequence[Goods], most: int | None
) -> list[int]:
    lefts, pieces = [g.left for g in goods], [g.quantity for g in goods]
    if most is not None and most < sum(pieces):
        lefts, pieces = [0] * len(goods), [0] * len(goods)
        for price, count, position in runs_of(goods, most):
            lefts[position] += price * count
            pieces[position] += count
    if isinstance(kind, FixedPrice):
        return [
            max(0, left - kind.price_minor * count)
            for left, count in zip(lefts, pieces, strict=True)
        ]
    if kind.level == "order":
        whole = sum(lefts)
        off = (
            part_of(whole, kind.basis_points)
            if isinstance(kind, PercentageOff)
            else min(whole, kind.amount_minor)
        )
        return pricing.allocate(off, lefts) if off else [0] * len(goods)
    if isinstance(kind, PercentageOff):
        return [part_of(left, kind.basis_points) for left in lefts]
    return [min(left, kind.amount_minor * count) for left, count in zip(lefts, pieces, strict=True)]


def _threshold(kind: Threshold, goods: Sequence[Goods]) -> list[int]:
    spend = sum(g.left for g in goods)
    reached = spend if kind.counts == "spend" else sum(g.quantity for g in goods)
    best = 0
    for tier in kind.tiers:
        if reached >= tier.at_least:
            times = reached // tier.at_least if kind.repeats else 1
            off = part_of(spend, tier.basis_points) + tier.amount_minor * times
            best = max(best, min(spend, off))
    return pricing.allocate(best, [g.left for g in goods]) if best else [0] * len(goods)


def _n_for_m(
    runs: list[Run], lines: int, take: int, pay: int, points: int, most_groups: int | None = None
) -> list[int]:
    """The reduction is spread over all pieces of full groups by what they cost, so that whichever
    comes back is worth what was paid for it."""
    groups = sum(count for _, count, _ in runs) // take
    inside = (groups if most_groups is None else min(groups, most_groups)) * take
    off = at = 0
    for price, count, _ in runs:
        begin, end = min(at, inside), min(at + count, inside)
        off += part_of(price, points) * (_cheap(end, take, pay) - _cheap(begin, take, pay))
        at += count
    weights = [0] * lines
    for price, count, position in _first(runs, inside):
        weights[position] += price * count
    return pricing.allocate(off, weights) if off else [0] * lines


def _cheap(position: int, take: int, pay: int) -> int:
    """How many of the first ``position`` pieces are the cheap ones of their group."""
    groups, rest = divmod(position, take)
    return groups * (take - pay) + max(0, rest - pay)


def _bundle(kind: Bundle, goods: Sequence[Goods]) -> list[int]:
    """Of each part the dearest pieces first; sets are made while one saves something."""
    parts = []
    for part in kind.parts:
        inside = set(part.offers)
        own = [g if g.offer_id in inside else Goods(g.offer_id, g.quantity, 0) for g in goods]
        runs = [r for r in runs_of(own) if goods[r[2]].offer_id in inside]
        parts.append((runs, part.pieces))
    sets = min(sum(count for _, count, _ in runs) // pieces for runs, pieces in parts)
    best, weights = 0, [0] * len(goods)
    low, high = 0, sets  # the n-th set costs no more than the one before: savings only fall
    while low < high:
        middle = (low + high + 1) // 2
        if _worth(parts, middle) - _worth(parts, middle - 1) > kind.price_minor:
            low = middle
        else:
            high = middle - 1
    best = _worth(parts, low) - kind.price_minor * low
    if best <= 0:
        return [0] * len(goods)
    for runs, pieces in parts:
        for price, count, position in _first(runs, pieces * low):
            weights[position] += price * count
    return pricing.allocate(best, weights)


def _worth(parts: Sequence[tuple[list[Run], int]], sets: int) -> int:
    return sum(
        price * count for runs, pieces in parts for price, count, _ in _first(runs, pieces * sets)
    )


def _first(runs: Sequence[Run], pieces: int) -> list[Run]:
    found = []
    for price, count, position in runs:
        now = min(count, pieces)
        if now <= 0:
            break
        found.append((price, now, position))
        pieces -= now
    return found
