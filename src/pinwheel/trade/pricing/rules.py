"""Price rules: another price for a channel, a segment, a quantity, a time. All of it is pure."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Collection, Iterable, Sequence
from typing import Annotated, Literal

import msgspec

from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import Event
from pinwheel.trade.pricing.model import tax_included

Kind = Literal["percent_off", "amount_off", "fixed", "list"]
State = Literal["draft", "active", "stopped"]
Names = Annotated[list[Annotated[str, msgspec.Meta(max_length=80)]], msgspec.Meta(max_length=200)]
Ids = Annotated[list[uuid.UUID], msgspec.Meta(max_length=5000)]


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule does and where. Nothing named (offers, categories, brands) is everything;
    what is named adds up. ``channels`` and ``segments``: any of them; none is all.

    ``value``: basis points of ``percent_off``, minor units of ``amount_off`` and ``fixed``;
    ``prices`` is the price list of ``list``: minor units by offer id."""

    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]
    kind: Kind
    value: Annotated[int, msgspec.Meta(ge=0, le=10**15)] = 0
    prices: dict[str, Annotated[int, msgspec.Meta(ge=0, le=10**15)]] = {}
    offers: Ids = []
    categories: Ids = []
    brands: Names = []
    channels: Names = []
    segments: Names = []
    min_quantity: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule as it stands. Of those that fit a line the one with the highest ``priority`` holds,
    of equals the one that is best for the buyer."""

    id: uuid.UUID
    name: str
    state: State
    version: int
    priority: int
    terms: Terms
    starts_at: dt.datetime | None
    ends_at: dt.datetime | None
    changed_at: dt.datetime
    changed_by: str

    def holds_at(self, now: dt.datetime) -> bool:
        return (
            self.state == "active"
            and (self.starts_at is None or self.starts_at <= now)
            and (self.ends_at is None or now < self.ends_at)
        )


class RuleVersion(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule was from ``changed_at`` on, who made it so and why."""

    rule_id: uuid.UUID
    version: int
    name: str
    state: State
    priority: int
    terms: Terms
    starts_at: dt.datetime | None
    ends_at: dt.datetime | None
    changed_at: dt.datetime
    changed_by: str
    reason: str


class Thing(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule is asked about: so many of one offer, bought there by somebody like this."""

    offer_id: uuid.UUID
    category_id: uuid.UUID | None
    brand: str
    currency: str
    channel: str
    quantity: int
    price_minor: int


class Sold(msgspec.Struct, frozen=True, kw_only=True):
    """What was sold of one offer in one way, for a simulation: ``price_minor`` a piece,
    ``received_minor`` in all (after discounts that nobody else paid)."""

    offer_id: uuid.UUID
    sku: str
    category_id: uuid.UUID | None
    brand: str
    currency: str
    channel: str
    quantity: int
    lines: int
    price_minor: int
    tax_basis_points: int  # of the tax in the price; 0 where it comes on top
    cost_minor: int | None
    floor_minor: int | None


class Simulated(msgspec.Struct, frozen=True, kw_only=True):
    """What a rule would have made of one SKU's orders. ``would_minor`` counts the same pieces at
    the rule's price; an elasticity, if one is assumed, changes ``would_pieces``. An assumption,
    never a measurement."""

    offer_id: uuid.UUID
    sku: str
    pieces: int
    took_minor: int
    would_pieces: int
    would_minor: int
    margin_minor: int | None  # without tax and with the cost known; before and after
    would_margin_minor: int | None
    loss_minor: int  # below the floor: what a loss budget would have paid


class PriceRulesChanged(Event, frozen=True, kw_only=True):
    """Rules or floors are others from now on: whoever keeps some in memory reads them anew."""


class RuleUnsound(Refusal):
    status = 422
    en = "{why}"
    zh = "{why_zh}"


class RuleBelowFloor(Refusal):
    """A rule that would sell below floors that nothing pays the gap of."""

    en = (
        "The rule would sell {count} offers below their floor, first {sku} at {price} instead of "
        "{floor}, and no budget pays the difference. Change the rule, or fund a loss budget."
    )
    zh = (
        "该规则会使 {count} 个商品低于底价，例如 {sku} 为 {price}（底价 {floor}），"
        "且没有预算承担差额。请修改规则，或为亏损预算注资。"
    )


def unsound(terms: Terms) -> RuleUnsound | None:
    if terms.kind == "percent_off" and not 0 < terms.value <= 10_000:
        return RuleUnsound(
            why="a percentage is more than 0 and at most 100", why_zh="百分比应大于 0 且不超过 100"
        )
    if terms.kind == "list" and not terms.prices:
        return RuleUnsound(why="the price list is empty", why_zh="价目表为空")
    if terms.kind == "amount_off" and not terms.value:
        return RuleUnsound(why="nothing would come off", why_zh="减免金额为零")
    named = terms.offers or terms.categories or terms.brands
    if terms.kind == "fixed" and not named:
        return RuleUnsound(
            why="one price for everything is hardly meant: name offers, categories or brands",
            why_zh="不能对全部商品使用同一固定价，请指定商品、类目或品牌",
        )
    return None


def fits(terms: Terms, thing: Thing, segments: Collection[str]) -> bool:
    """Does the rule speak of this?"""
    if terms.currency != thing.currency or thing.quantity < terms.min_quantity:
        return False
    if terms.channels and thing.channel not in terms.channels:
        return False
    if terms.segments and not any(s in segments for s in terms.segments):
        return False
    if terms.kind == "list" and str(thing.offer_id) not in terms.prices:
        return False
    return covers(terms, thing.offer_id, thing.category_id, thing.brand)


def covers(terms: Terms, offer_id: uuid.UUID, category_id: uuid.UUID | None, brand: str) -> bool:
    if not (terms.offers or terms.categories or terms.brands):
        return True
    return (
        offer_id in terms.offers
        or (category_id is not None and category_id in terms.categories)
        or (bool(brand) and brand in terms.brands)
    )


def price_by(terms: Terms, offer_id: uuid.UUID, price_minor: int) -> int:
    """The rule's price of a piece that costs ``price_minor``: half away from zero, never below
    nothing, and never more than it costs without the rule, a price list apart."""
    if terms.kind == "list":
        return terms.prices.get(str(offer_id), price_minor)
    if terms.kind == "percent_off":
        return (price_minor * (10_000 - terms.value) * 2 + 10_000) // 20_000
    if terms.kind == "amount_off":
        return max(0, price_minor - terms.value)
    return min(price_minor, terms.value)


def best(
    rules: Iterable[Rule], thing: Thing, segments: Collection[str] = ()
) -> tuple[Rule, int] | None:
    """The rule that holds for this, and the price of a piece by it; None: no rule does."""
    found = [
        (rule.priority, -price_by(rule.terms, thing.offer_id, thing.price_minor), rule.id, rule)
        for rule in rules
        if fits(rule.terms, thing, segments)
    ]
    if not found:
        return None
    _, price, _, rule = max(found, key=lambda f: f[:3])
    return rule, -price


def simulate(terms: Terms, sold: Sequence[Sold], *, elasticity: float = 0.0) -> list[Simulated]:
    """What a rule would have made of what was sold, by SKU, the largest loss first. Segments are
    not known of the past: a rule for some is simulated as if for all, the most it can cost.

    ``elasticity`` is an assumption: pieces change by (new / old price) ** elasticity."""
    out: dict[uuid.UUID, list[Simulated]] = {}
    for one in sold:
        thing = Thing(
            offer_id=one.offer_id,
            category_id=one.category_id,
            brand=one.brand,
            currency=one.currency,
            channel=one.channel,
            quantity=max(1, one.quantity // max(1, one.lines)),
            price_minor=one.price_minor,
        )
        held = fits(terms, thing, terms.segments)
        price = price_by(terms, one.offer_id, one.price_minor) if held else one.price_minor
        pieces = one.quantity
        if elasticity and price and one.price_minor:
            pieces = round(one.quantity * (price / one.price_minor) ** elasticity)
        gap = max(0, (one.floor_minor or 0) - price)
        out.setdefault(one.offer_id, []).append(
            Simulated(
                offer_id=one.offer_id,
                sku=one.sku,
                pieces=one.quantity,
                took_minor=one.price_minor * one.quantity,
                would_pieces=pieces,
                would_minor=price * pieces,
                margin_minor=_margin(one, one.price_minor, one.quantity),
                would_margin_minor=_margin(one, price, pieces),
                loss_minor=gap * pieces,
            )
        )
    summed = [_summed(parts) for parts in out.values()]
    return sorted(summed, key=lambda s: (-s.loss_minor, s.would_minor - s.took_minor, s.sku))


def _margin(one: Sold, price_minor: int, pieces: int) -> int | None:
    if one.cost_minor is None:
        return None
    return (
        price_minor * pieces
        - tax_included(price_minor * pieces, one.tax_basis_points)
        - (one.cost_minor * pieces)
    )


def _summed(parts: Sequence[Simulated]) -> Simulated:
    def both(name: str) -> int | None:
        values = [getattr(p, name) for p in parts]
        return None if None in values else sum(values)

    first = parts[0]
    return Simulated(
        offer_id=first.offer_id,
        sku=first.sku,
        pieces=sum(p.pieces for p in parts),
        took_minor=sum(p.took_minor for p in parts),
        would_pieces=sum(p.would_pieces for p in parts),
        would_minor=sum(p.would_minor for p in parts),
        margin_minor=both("margin_minor"),
        would_margin_minor=both("would_margin_minor"),
        loss_minor=sum(p.loss_minor for p in parts),
    )
