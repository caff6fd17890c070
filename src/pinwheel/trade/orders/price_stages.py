"""Price rules on the way in, and floors behind everything that lowers a price."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import Any

from pinwheel.kernel.db import Tx
from pinwheel.trade import pricing
from pinwheel.trade.orders.draft import (
    Discount,
    Draft,
    DraftLine,
    Reason,
    Ruled,
)
from pinwheel.trade.pricing import Book, Thing

Segments = Callable[[Tx, Sequence[uuid.UUID]], Awaitable[Mapping[uuid.UUID, Collection[object]]]]
"""The segments each person is in: 1 question for a whole batch."""

BELOW_FLOOR = "below_floor"  # the source of what a loss budget pays
_NO_BOOK = (-1, Book(False, []))


class PriceBook:
    """The rules in memory, read anew when the revision that came with the prices is another: a
    shop without rules pays no statement for them."""

    def __init__(self) -> None:
        self._known: tuple[int, Book] = _NO_BOOK

    async def at(self, tx: Tx, revision: int) -> Book:
        known, book = self._known
        if known != revision:
            book = await pricing.book(tx)
            self._known = (revision, book)
        return book


class RuleStage:
    """Another price by channel, segment, quantity or time. No statement without rules that ask
    for segments."""

    def __init__(self, book: PriceBook, segments: Segments | None = None) -> None:
        self.book, self.segments = book, segments

    async def load(self, tx: Tx, drafts: Sequence[Draft], placing: bool) -> Any:
        rules = [
            r for r in (await self.book.at(tx, drafts[0].revision)).rules if r.holds_at(tx.now)
        ]
        people = sorted({d.person_id for d in drafts if d.person_id is not None})
        asks = self.segments is not None and any(r.terms.segments for r in rules)
        if not asks or not people or self.segments is None:
            return rules, {}
        return rules, await self.segments(tx, people)

    def decide(self, loaded: Any, draft: Draft) -> None:
        rules, segments = loaded
        if not rules:
            return
        mine = {str(segment) for segment in segments.get(draft.person_id, ())}
        for line in draft.lines:
            found = pricing.best(rules, thing_of(draft, line, line.quantity), mine)
            if found is None or found[1] == line.unit_price_minor:
                continue
            rule, price = found
            draft.ruled[line.offer_id] = Ruled(rule, line.unit_price_minor)
            change = (price - line.unit_price_minor) * line.quantity
            line.unit_price_minor = price
            draft.reasons.append(Reason("price_rule", rule.name, rule.name, change))

    async def record(self, tx: Tx, loaded: Any, drafts: Sequence[Draft]) -> None:
        return None

    async def speaks_of(
        self, tx: Tx, revision: int, offer_ids: Sequence[uuid.UUID]
    ) -> set[uuid.UUID]:
        """The offers that a rule which holds now may be for."""
        found: set[uuid.UUID] = set()
        for rule in (await self.book.at(tx, revision)).rules:
            if not rule.holds_at(tx.now):
                continue
            terms = rule.terms
            named = {uuid.UUID(i) for i in terms.prices} if terms.kind == "list" else None
            if named is None and terms.offers and not (terms.categories or terms.brands):
                named = set(terms.offers)
            if named is None:  # what the offers are is not known here
                return set(offer_ids)
            found |= named
        return found.intersection(offer_ids)


class FloorStage:
    """Nothing is sold below its floor unless a loss budget pays the gap, which the budget stage
    then reserves. It stands behind every stage that lowers a price; what another budget pays of
    a price counts as received. No statement in a shop without floors, else one."""

    def __init__(self, book: PriceBook) -> None:
        self.book = book

    async def load(self, tx: Tx, drafts: Sequence[Draft], placing: bool) -> Any:
        if not (await self.book.at(tx, drafts[0].revision)).has_floors:
            return {}
        return await pricing.guards(
            tx, [(line.offer_id, d.currency) for d in drafts for line in d.lines]
        )

    def decide(self, loaded: Any, draft: Draft) -> None:
        if not loaded:
            return
        for line in draft.lines:
            guard = loaded.get((line.offer_id, draft.currency))
            if guard is None:
                continue
            paid = sum(
                d.amount_minor
                for d in draft.discounts
                if d.offer_id == line.offer_id and d.budget_id is not None
            )
            received = line.goods_minor - line.discount_minor + paid
            gap = pricing.gap(guard.floor_minor, line.quantity, received)
            if not gap:
                continue
            if guard.loss_budget_id is None or guard.loss_available_minor < gap:
                draft.refusal = NotAtThisPrice(sku=line.sku)
                return
            draft.discounts.append(
                Discount(
                    source=BELOW_FLOOR,
                    source_id=line.offer_id,
                    offer_id=line.offer_id,
                    amount_minor=gap,
                    budget_id=guard.loss_budget_id,
                    en="The special price",
                    zh="特价",
                )
            )

    async def record(self, tx: Tx, loaded: Any, drafts: Sequence[Draft]) -> None:
        return None


def thing_of(draft: Draft, line: DraftLine, quantity: int) -> Thing:
    """What the rules are asked about: so many pieces of this line."""
    return Thing(
        offer_id=line.offer_id,
        category_id=line.category_id,
        brand=line.brand,
        currency=draft.currency,
        channel=draft.channel,
        quantity=quantity,
        price_minor=line.unit_price_minor,
    )


class NotAtThisPrice(pricing.BelowFloor):
    """The buyer hears that it can't be sold so, not what it costs the shop."""

    en = (
        "{sku} can't be sold at this price just now. Nothing was ordered or charged: take it out, "
        "or come back a little later."
    )
    zh = "{sku} 暂时无法以此价格出售。未下单也未扣款，请移除该商品或稍后再试。"
