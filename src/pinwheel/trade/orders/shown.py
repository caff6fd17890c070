"""What a page shows before anything is in a cart: the price that the quote of one piece would give
this visitor, and from how many pieces on it is lower. The very stages of the quote decide, for all
the offers of a page in one walk."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol, runtime_checkable

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.trade import pricing
from pinwheel.trade.orders.draft import Discount, Draft, DraftLine, Item
from pinwheel.trade.orders.price_stages import (
    BELOW_FLOOR,
    FloorStage,
    RuleStage,
    thing_of,
)
from pinwheel.trade.orders.stages import Stage, walk

STRANGER = uuid.UUID(int=0)
"""The guest that a visitor without a name becomes with the first thing in the cart: nobody knows
anything of them yet, and nothing was used up by them."""
MOST_STEPS = 3


@runtime_checkable
class Speaks(Protocol):
    """A stage that changes prices without being asked to."""

    async def speaks_of(
        self, tx: Tx, revision: int, offer_ids: Sequence[uuid.UUID]
    ) -> set[uuid.UUID]:
        """Those of the offers whose price it may change, by what is in memory at ``revision`` of
        the rules. No statement but to read the rules anew."""
        ...


class Viewer(msgspec.Struct, frozen=True, kw_only=True):
    """Who looks, and where: ``person_id`` None is a visitor who is not even a guest yet."""

    market: str
    country: str
    region: str = ""
    person_id: uuid.UUID | None = None
    channel: str = "web"


class Step(msgspec.Struct, frozen=True):
    """From ``quantity`` pieces on, so many cost ``total_minor``: less for each than one alone."""

    quantity: int
    total_minor: int


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """One piece of an offer: the price before anything lowers it, the price now, and why: the
    ``rule`` that set it and the ``discounts`` that came off. ``steps``: cheaper by the dozen."""

    offer_id: uuid.UUID
    currency: str
    regular_minor: int
    price_minor: int
    rule: pricing.Rule | None
    discounts: list[Discount]
    steps: list[Step]


async def shown_prices(
    tx: Tx,
    stages: Sequence[Stage],
    viewer: Viewer,
    offer_ids: Iterable[uuid.UUID],
    revision: int,
) -> dict[uuid.UUID, Shown]:
    """The offers whose price is another than the plain one, or is from some quantity on. No
    statement where no rule speaks of them at this ``revision``; else the stages' own, once for one
    piece and once for the steps, however many offers there are."""
    asked = list(dict.fromkeys(offer_ids))
    wanted: set[uuid.UUID] = set()
    for stage in stages:
        if isinstance(stage, Speaks) and asked:
            wanted |= await stage.speaks_of(tx, revision, asked)
    if not wanted:
        return {}
    row = _until_price(stages)
    ones = {i: _draft(tx, viewer, i, 1) for i in asked if i in wanted}
    plain = await _walked(tx, row, list(ones.values()))
    steps = [
        _draft(tx, viewer, offer_id, n)
        for offer_id, draft in ones.items()
        if draft.refusal is None
        for n in _quantities(draft, plain)
    ]
    if steps:
        await _walked(tx, row, steps)
    found = {}
    for offer_id, draft in ones.items():
        if draft.refusal is None:
            mine = [d for d in steps if d.items[0].offer_id == offer_id]
            one = _shown(draft, mine)
            if one.price_minor != one.regular_minor or one.steps:
                found[offer_id] = one
    return found


def _until_price(stages: Sequence[Stage]) -> Sequence[Stage]:
    """The stages that make the price of goods; delivery, tax and stock follow the floors."""
    last = next(n for n, stage in enumerate(stages) if isinstance(stage, FloorStage))
    return stages[: last + 1]


def _draft(tx: Tx, viewer: Viewer, offer_id: uuid.UUID, quantity: int) -> Draft:
    return Draft(
        id=tx.new_id(),
        items=(Item(offer_id, quantity),),
        market=viewer.market,
        country=viewer.country,
        region=viewer.region,
        person_id=viewer.person_id or STRANGER,
        channel=viewer.channel,
    )


async def _walked(
    tx: Tx, stages: Sequence[Stage], drafts: Sequence[Draft]
) -> tuple[list[pricing.Rule], Mapping[uuid.UUID | None, Iterable[object]]]:
    """The rules that hold and the segments, as the price rules' stage found them."""
    loads = await walk(tx, stages, drafts, placing=False)
    known = next(
        (load for stage, load in zip(stages, loads, strict=True) if isinstance(stage, RuleStage)),
        None,
    )
    return known or ([], {})


def _quantities(
    draft: Draft, known: tuple[list[pricing.Rule], Mapping[uuid.UUID | None, Iterable[object]]]
) -> list[int]:
    """From how many pieces on other rules would hold."""
    rules, segments = known
    [line] = draft.lines
    mine = {str(segment) for segment in segments.get(draft.person_id, ())}
    found = {
        rule.terms.min_quantity
        for rule in rules
        if rule.terms.min_quantity > 1
        and pricing.best([rule], thing_of(draft, line, rule.terms.min_quantity), mine)
    }
    return sorted(found)[:MOST_STEPS]


def _shown(draft: Draft, larger: Sequence[Draft]) -> Shown:
    [line] = draft.lines
    ruled, now = draft.ruled.get(line.offer_id), _total(line)
    steps: list[Step] = []
    for one in larger:
        if one.refusal is None:
            step = Step(one.lines[0].quantity, _total(one.lines[0]))
            before = steps[-1] if steps else Step(1, now)
            if step.total_minor * before.quantity < before.total_minor * step.quantity:
                steps.append(step)
    return Shown(
        offer_id=line.offer_id,
        currency=draft.currency,
        regular_minor=ruled.before_minor if ruled else line.unit_price_minor,
        price_minor=now,
        rule=ruled.rule if ruled else None,
        discounts=[d for d in draft.discounts if d.source != BELOW_FLOOR],
        steps=steps,
    )


def _total(line: DraftLine) -> int:
    return line.goods_minor - line.discount_minor
