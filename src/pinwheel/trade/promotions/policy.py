"""The stacking policy: which promotions count together, in which order, and what comes off where.
This is the one place; ``POLICY`` are its words for buyers, ``docs/promotions.md`` for shop-keepers.

1. A price that somebody claimed (a team's, a bargain's) stands: no line-level promotion touches it.
2. Line level, in rounds: the groups by name, then each combinable promotion by itself, by priority.
   In a round a line takes part in at most one promotion. The division of the lines that takes most
   off is chosen; of equals the one that gives the earlier line the earlier promotion.
3. Order level, in rounds the same way: of a group the one promotion that takes most off.
4. Delivery: the promotion that takes most off the chosen way.

A round sees what earlier rounds have left. Rounding is half away from zero, nothing costs less than
nothing, and what comes off several lines is split by the largest remainder.

The division is searched (branch and bound). The search of one set of lines that share promotions
looks at no more than ``MOST_NODES`` part divisions; past that the best that was found counts, which
is at least as good as no promotion that looks at several lines, and as giving each its lines in
turn. The answer is the same every time.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from itertools import groupby

import msgspec

from pinwheel.trade.promotions.kinds import Goods, is_separable, takes_off
from pinwheel.trade.promotions.model import Terms, level_of

MOST_NODES = 512
POLICY: tuple[dict[str, str], ...] = (
    {
        "en": "A price you have claimed (a team's, a bargain's) stands: reductions of single items "
        "do not come on top of it.",
        "zh-CN": "您已锁定的价格（拼团价、砍价等）优先：单品优惠不再叠加。",
    },
    {
        "en": "An item takes part in one reduction of a group. We choose what saves you most; "
        "reductions marked as combinable come on top.",
        "zh-CN": "同组优惠中每件商品只参与一项，系统自动选择最省的组合；标明可叠加的优惠另行计算。",
    },
    {
        "en": "Then reductions of the whole order, of each group the best one, on what is left.",
        "zh-CN": "随后计算整单优惠：同组取最优，按剩余金额计算。",
    },
    {
        "en": "Then free or cheaper delivery: the best one.",
        "zh-CN": "最后计算运费优惠：取最优一项。",
    },
    {
        "en": "Every reduction is split over its items to the cent. If you send something back you "
        "get exactly what you paid for it; what you keep stays reduced, also when the rest "
        "would not reach the amount any more.",
        "zh-CN": "每项优惠都精确到分摊到商品。部分退货时按实付退款；保留的商品仍享优惠，"
        "即使剩余金额不再达到门槛。",
    },
)


class Running(msgspec.Struct, frozen=True):
    """A promotion that holds for this order: ``positions`` of the lines that it is for, and no
    more than ``most_pieces`` of them (None: all)."""

    id: uuid.UUID
    terms: Terms
    positions: tuple[int, ...]
    most_pieces: int | None = None

    @property
    def rank(self) -> tuple[int, uuid.UUID]:
        return self.terms.priority, self.id

    @property
    def round(self) -> tuple[int, str, int, str]:
        """Promotions with one value of this compete; rounds follow each other in its order."""
        if self.terms.combinable:
            return 1, "", self.terms.priority, str(self.id)
        return 0, self.terms.group, 0, ""


class Applied(msgspec.Struct, frozen=True):
    """What a promotion took off: ``offs`` by position. ``pieces`` took part."""

    running: Running
    offs: tuple[tuple[int, int], ...]
    pieces: int

    @property
    def off_minor(self) -> int:
        return sum(off for _, off in self.offs)


def settle(
    goods: Sequence[Goods], claimed: frozenset[int], running: Sequence[Running]
) -> list[Applied]:
    """Apply what holds to ``goods`` (in order of their offers' ids), lowering what is left of
    each; what was applied, in order. Promotions of delivery are not looked at."""
    applied: list[Applied] = []
    ordered = sorted(running, key=lambda r: (r.round, r.rank))
    for level, decide in (("line", _line_round), ("order", _order_round)):
        here = [r for r in ordered if level_of(r.terms.kind) == level]
        if level == "line" and claimed:
            here = [_without(r, claimed) for r in here]
        for _, competing in groupby(here, key=lambda r: r.round):
            for one in decide(goods, list(competing)):
                for position, off in one.offs:
                    goods[position].left -= off
                applied.append(one)
    return applied


def _without(running: Running, claimed: frozenset[int]) -> Running:
    kept = tuple(p for p in running.positions if p not in claimed)
    return msgspec.structs.replace(running, positions=kept)


def worth(goods: Sequence[Goods], running: Running, positions: Sequence[int]) -> list[int]:
    return takes_off(running.terms, [goods[p] for p in positions], running.most_pieces)


def _order_round(goods: Sequence[Goods], competing: Sequence[Running]) -> list[Applied]:
    best: Applied | None = None
    for running in competing:
        one = _applied(goods, running, running.positions)
        if one is not None and (best is None or one.off_minor > best.off_minor):
            best = one
    return [] if best is None else [best]


def _line_round(goods: Sequence[Goods], competing: Sequence[Running]) -> list[Applied]:
    chosen = divide(goods, competing)
    mine: dict[uuid.UUID, list[int]] = {}
    for position in sorted(chosen):
        mine.setdefault(chosen[position].id, []).append(position)
    found = []
    for running in competing:
        positions = mine.get(running.id)
        one = _applied(goods, running, positions) if positions else None
        if one is not None:
            found.append(one)
    return found


def _applied(goods: Sequence[Goods], running: Running, positions: Sequence[int]) -> Applied | None:
    offs = worth(goods, running, positions)
    if not any(offs):
        return None
    pieces = sum(goods[p].quantity for p in positions)
    most = running.most_pieces
    return Applied(
        running,
        tuple((p, off) for p, off in zip(positions, offs, strict=True) if off),
        pieces if most is None else min(pieces, most),
    )


def divide(goods: Sequence[Goods], competing: Sequence[Running]) -> dict[int, Running]:
    """Which promotion each line takes part in, so that most comes off."""
    single: dict[int, tuple[int, Running]] = {}
    sets: list[Running] = []
    for running in competing:
        if not is_separable(running.terms, running.most_pieces):
            sets.append(running)
            continue
        for position in running.positions:
            [off] = worth(goods, running, (position,))
            if position not in single or off > single[position][0]:
                single[position] = (off, running)
    chosen = {position: running for position, (_, running) in single.items()}
    for lines, together in _islands(sets):
        chosen |= _Search(goods, lines, together, single).best()
    return chosen


def _islands(sets: Sequence[Running]) -> list[tuple[list[int], list[Running]]]:
    """Sets of promotions that share lines, directly or by way of others, with their lines."""
    islands: list[tuple[set[int], list[Running]]] = []
    for running in sets:
        lines, together = set(running.positions), [running]
        apart = []
        for other_lines, others in islands:
            if lines & other_lines:
                lines |= other_lines
                together += others
            else:
                apart.append((other_lines, others))
        islands = [*apart, (lines, together)]
    return [(sorted(lines), sorted(rs, key=lambda r: r.rank)) for lines, rs in islands if lines]


class _Search:
    """Branch and bound over the lines of one island. Each promotion's worth only grows with its
    lines, so what it would be worth with all lines still open bounds what can be reached."""

    def __init__(
        self,
        goods: Sequence[Goods],
        lines: list[int],
        sets: list[Running],
        single: dict[int, tuple[int, Running]],
    ) -> None:
        self.goods, self.lines, self.sets = goods, lines, sets
        self.covers = [set(s.positions) for s in sets]
        self.known: dict[tuple[int, int], int] = {}
        self.nodes = 0
        self.options: list[list[tuple[Running | None, int, int]]] = []  # (promotion, set, off)
        for line in lines:
            found: list[tuple[Running | None, int, int]] = [
                (s, n, 0) for n, s in enumerate(sets) if line in self.covers[n]
            ]
            off, alone = single.get(line, (0, None))
            found.append((alone, -1, off))
            found.sort(key=lambda o: (o[0] is None, o[0].rank if o[0] else None))
            self.options.append(found)
        self.singles = [single.get(line, (0, None))[0] for line in lines]
        self.open_masks = [
            [
                sum(1 << i for i, p in enumerate(lines) if i >= at and p in covers)
                for at in range(len(lines) + 1)
            ]
            for covers in self.covers
        ]
        self.value = -1
        self.pick: tuple[Running | None, ...] = ()

    def best(self) -> dict[int, Running]:
        self._start()
        self._walk(0, 0, [0] * len(self.sets), ())
        return {p: r for p, r in zip(self.lines, self.pick, strict=True) if r is not None}

    def _start(self) -> None:
        """What is reached without a search: each alone, or each promotion all its lines in turn.
        A search that finds as much goes first, since it finds the earliest of equals."""
        alone = tuple(next(r for r, n, _ in o if n < 0) for o in self.options)
        self.value, self.pick = sum(self.singles) - 1, alone
        masks, turn = [0] * len(self.sets), list(alone)
        total = 0
        for i, options in enumerate(self.options):
            running, n, _ = next((o for o in options if o[1] >= 0), options[0])
            turn[i] = running
            masks[n] |= 1 << i
        total = sum(self._worth(n, mask) for n, mask in enumerate(masks))
        if total - 1 > self.value:
            self.value, self.pick = total - 1, tuple(turn)

    def _worth(self, n: int, mask: int) -> int:
        found = self.known.get((n, mask))
        if found is None:
            inside = [p for i, p in enumerate(self.lines) if mask >> i & 1]
            found = self.known[n, mask] = sum(worth(self.goods, self.sets[n], inside))
        return found

    def _walk(self, at: int, done: int, masks: list[int], pick: tuple[Running | None, ...]) -> None:
        """``done`` came off lines that stand alone; ``masks`` are the lines of each set so far."""
        if self.nodes >= MOST_NODES:
            return
        self.nodes += 1
        bound = done + sum(self.singles[at:])
        for n, mask in enumerate(masks):
            bound += self._worth(n, mask | self.open_masks[n][at])
        if bound <= self.value:
            return
        if at == len(self.lines):
            self.value, self.pick = bound, pick
            return
        for running, n, off in self.options[at]:
            if n < 0:
                self._walk(at + 1, done + off, masks, (*pick, running))
            else:
                more = list(masks)
                more[n] |= 1 << at
                self._walk(at + 1, done, more, (*pick, running))
