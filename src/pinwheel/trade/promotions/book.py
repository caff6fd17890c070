"""The active promotions as one process keeps them: compiled once per revision, found by what a line
is (offer, product, category, seller, brand) and by code."""

from __future__ import annotations

import asyncio
import datetime as dt
import re
import uuid
from collections.abc import Iterable, Sequence
from zoneinfo import ZoneInfo

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.trade.orders import Draft, DraftLine
from pinwheel.trade.promotions.model import Bundle, Hours, Limits, Promotion, Scope, Terms, level_of


class Rule:
    """One active promotion, ready to be asked."""

    __slots__ = (
        *("brands", "categories", "codes_needed", "currency", "ends_at", "has_exclusions", "hours"),
        *("id", "is_deal"),
        *("level", "limits", "markets", "name", "not_brands", "not_categories", "not_offers"),
        *("not_products", "not_sellers", "offers", "products", "sellers", "starts_at", "terms"),
        *("zone",),
    )

    def __init__(self, promotion: Promotion, below: dict[uuid.UUID, frozenset[uuid.UUID]]) -> None:
        terms, scope = promotion.terms, scope_of(promotion.terms)
        self.id, self.name, self.terms = promotion.id, promotion.name, terms
        self.level = level_of(terms.kind)
        self.limits = limits_of(terms)
        self.is_deal = promotion.is_deal
        self.starts_at, self.ends_at = promotion.starts_at, promotion.ends_at
        self.hours: Hours | None = terms.conditions.hours
        self.zone = ZoneInfo(self.hours.zone) if self.hours else None
        self.markets = frozenset(terms.conditions.markets)
        self.currency = terms.conditions.currency
        self.codes_needed = terms.conditions.coupon
        self.offers, self.products = frozenset(scope.offers), frozenset(scope.products)
        self.sellers, self.brands = frozenset(scope.sellers), _lower(scope.brands)
        self.categories = _spread(scope.categories, below)
        self.not_offers, self.not_products = (
            frozenset(scope.not_offers),
            frozenset(scope.not_products),
        )
        self.not_sellers, self.not_brands = frozenset(scope.not_sellers), _lower(scope.not_brands)
        self.not_categories = _spread(scope.not_categories, below)

        self.has_exclusions = bool(
            self.not_offers
            or self.not_products
            or self.not_categories
            or self.not_sellers
            or self.not_brands
        )

    def excludes(self, line: DraftLine) -> bool:
        return (
            line.offer_id in self.not_offers
            or line.product_id in self.not_products
            or line.category_id in self.not_categories
            or line.seller_id in self.not_sellers
            or line.brand.lower() in self.not_brands
        )

    def holds_at(self, now: dt.datetime) -> bool:
        """Between start (inclusive) and end (exclusive), and within its hours."""
        if self.starts_at is not None and now < self.starts_at:
            return False
        if self.ends_at is not None and now >= self.ends_at:
            return False
        return self.open_at(now)

    def open_at(self, now: dt.datetime) -> bool:
        """Within its days of the week and hours of the day?"""
        if self.hours is None:
            return True
        local = now.astimezone(self.zone)
        if self.hours.weekdays and local.isoweekday() not in self.hours.weekdays:
            return False
        return self.hours.from_minute <= local.hour * 60 + local.minute < self.hours.to_minute

    def is_for(self, draft: Draft) -> bool:
        """Its market, currency and channel."""
        channels = self.terms.conditions.channels
        return (
            (not self.currency or self.currency == draft.currency)
            and (not self.markets or draft.market in self.markets)
            and (not channels or draft.channel in channels)
        )

    @property
    def only_offers(self) -> bool:
        """Is it for named offers and nothing else?"""
        others = self.products or self.categories or self.sellers or self.brands
        return bool(self.offers) and not others

    @property
    def needs_state(self) -> bool:
        """Must the database be asked before it is applied?"""
        return bool(
            self.limits.uses
            or self.limits.per_person
            or self.terms.conditions.first_order
            or self.terms.conditions.segments
        )


class Book:
    """All rules of one revision."""

    def __init__(self, version: int, rules: Sequence[Rule], codes: dict[str, uuid.UUID]) -> None:
        self.version = version
        self.rules = {rule.id: rule for rule in rules}
        self.codes = codes
        self.everything: list[Rule] = []
        self.named: dict[tuple[str, object], list[Rule]] = {}
        for rule in rules:
            found = _names(rule)
            for name in found:
                self.named.setdefault(name, []).append(rule)
            if not found:
                self.everything.append(rule)

    def matching(self, lines: Sequence[DraftLine]) -> dict[uuid.UUID, list[int]]:
        """Which lines each rule is for."""
        found: dict[Rule, list[int]] = {}
        named = self.named
        for position, line in enumerate(lines):
            buckets = [self.everything] if self.everything else []
            for name in (
                ("offer", line.offer_id),
                ("product", line.product_id),
                ("category", line.category_id),
                ("seller", line.seller_id),
                ("brand", line.brand.lower()),
            ):
                bucket = named.get(name)
                if bucket is not None:
                    buckets.append(bucket)
            for bucket in buckets:
                for rule in bucket:
                    mine = found.get(rule)
                    if mine is None:
                        if not (rule.has_exclusions and rule.excludes(line)):
                            found[rule] = [position]
                    elif mine[-1] != position and not (rule.has_exclusions and rule.excludes(line)):
                        mine.append(position)
        return {rule.id: positions for rule, positions in found.items()}


def _names(rule: Rule) -> list[tuple[str, object]]:
    return [
        *(("offer", i) for i in rule.offers),
        *(("product", i) for i in rule.products),
        *(("category", i) for i in rule.categories),
        *(("seller", i) for i in rule.sellers),
        *(("brand", i) for i in rule.brands),
    ]


def scope_of(terms: Terms) -> Scope:
    """A bundle is for its parts."""
    if isinstance(terms.kind, Bundle):
        inside = sorted({offer for part in terms.kind.parts for offer in part.offers})
        return msgspec.structs.replace(terms.scope, offers=inside)
    return terms.scope


def limits_of(terms: Terms) -> Limits:
    """What is for first orders only is for one order a person: two tabs place one."""
    if terms.conditions.first_order and terms.limits.per_person is None:
        return msgspec.structs.replace(terms.limits, per_person=1)
    return terms.limits


def plain(code: str) -> str:
    """A code as it is compared: capitals, without spaces and dashes."""
    return re.sub(r"[\s\-_.]+", "", code).upper()


def _lower(names: Iterable[str]) -> frozenset[str]:
    return frozenset(name.lower() for name in names)


def _spread(
    ids: Iterable[uuid.UUID], below: dict[uuid.UUID, frozenset[uuid.UUID]]
) -> frozenset[uuid.UUID]:
    """The categories with everything below them."""
    return frozenset(i for top in ids for i in below.get(top, frozenset((top,))))


class Books:
    """The book of one process. A revision that is newer than the book's has it read anew."""

    def __init__(self) -> None:
        self.book = Book(-1, (), {})
        self._reading = asyncio.Lock()

    async def at(self, tx: Tx, revision: int) -> Book:
        """The book of ``revision`` or of a later one. No statement when it is here, else 2."""
        if self.book.version < revision:
            async with self._reading:
                if self.book.version < revision:
                    self.book = await read(tx)
        return self.book


def books_of(tx: Tx) -> Books:
    """The books of this process, for this database."""
    found = tx.db.given.get(Books)
    if found is None:
        found = tx.db.given[Books] = Books()
    return found


class _Row(msgspec.Struct, frozen=True):
    version: int
    id: uuid.UUID | None
    name: dict[str, str] | None
    state: str | None
    terms: Terms | None
    code: str | None
    starts_at: dt.datetime | None
    ends_at: dt.datetime | None
    is_deal: bool | None
    changed_at: dt.datetime | None
    changed_by: str | None


class _Below(msgspec.Struct, frozen=True):
    top: uuid.UUID
    ids: list[uuid.UUID]


async def read(tx: Tx) -> Book:
    """Every active promotion that has not ended, with the revision it was read at, in one look."""
    rows = await tx.rows(
        _Row,
        """
        select r.version, p.id, p.name, p.state, p.terms, p.code, p.starts_at, p.ends_at,
               p.is_deal, p.changed_at, p.changed_by
          from orders.v_revision r
          left join promotions.promotion p
            on p.state = 'active' and (p.ends_at is null or p.ends_at > $1)
        """,
        tx.now,
    )
    below: dict[uuid.UUID, frozenset[uuid.UUID]] = {}
    if any(r.terms and (r.terms.scope.categories or r.terms.scope.not_categories) for r in rows):
        below = await below_of(tx)
    rules = [Rule(promotion_of(row), below) for row in rows if row.id is not None]
    rules.sort(key=lambda rule: (rule.terms.priority, rule.id))
    codes = {r.code: r.id for r in rows if r.code is not None and r.id is not None}
    return Book(rows[0].version, rules, codes)


async def below_of(tx: Tx) -> dict[uuid.UUID, frozenset[uuid.UUID]]:
    """Each category with everything below it. 1 statement."""
    found = await tx.rows(
        _Below,
        """
        select top, array_agg(category_id) as ids
          from catalogue.v_category, unnest(path) as top group by top
        """,
    )
    return {row.top: frozenset(row.ids) for row in found}


def promotion_of(row: _Row) -> Promotion:
    fields = msgspec.structs.asdict(row)
    del fields["version"]
    return Promotion(**fields)
