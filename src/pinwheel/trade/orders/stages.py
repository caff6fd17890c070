"""The row of stages a draft walks. Each loads once for the whole batch, decides purely for each
draft, and records once. Stages from higher floors are handed over by ``app.py``: orders doesn't
know who they are."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

import msgspec

from pinwheel.ground import ledger
from pinwheel.kernel import words
from pinwheel.kernel.db import Tx
from pinwheel.trade import payments, pricing
from pinwheel.trade.orders.budget_stage import BudgetStage
from pinwheel.trade.orders.draft import (
    DeliveryOption,
    Draft,
    DraftLine,
    Item,
    Reason,
    agrees,
    quoted,
)
from pinwheel.trade.orders.hints import DeliveryOff, Hint
from pinwheel.trade.orders.model import (
    MAX_LINES,
    MAX_QUANTITY,
    AboveLimit,
    BadQuantity,
    EmptyOrder,
    NoDelivery,
    NoTender,
    OfferUnavailable,
    StaleQuote,
    TenderMismatch,
    TooManyLines,
    UnknownMarket,
)
from pinwheel.trade.orders.one_click_travel import TravelStage
from pinwheel.trade.orders.price_stages import FloorStage, PriceBook, RuleStage, Segments
from pinwheel.trade.orders.stock_stage import StockStage


class Stage(Protocol):
    """One step of the walk. ``decide`` changes only the draft and what ``load`` returned; a
    draft it refuses gets its ``refusal`` and leaves the row."""

    async def load(self, tx: Tx, drafts: Sequence[Draft], placing: bool) -> Any: ...

    def decide(self, loaded: Any, draft: Draft) -> None: ...

    async def record(self, tx: Tx, loaded: Any, drafts: Sequence[Draft]) -> None: ...


@runtime_checkable
class Writes(Protocol):
    """A stage that writes rows about orders: called once the batch is through, with the drafts
    that became one. What ``record`` took for a draft that fell after it comes back by itself."""

    async def written(self, tx: Tx, loaded: Any, drafts: Sequence[Draft]) -> None: ...


async def walk(
    tx: Tx, stages: Sequence[Stage], drafts: Sequence[Draft], *, placing: bool
) -> list[Any]:
    """Load and decide every stage, in order; what each loaded, for ``record``."""
    loads = []
    for stage in stages:
        walking = [d for d in drafts if d.refusal is None]
        loaded = await stage.load(tx, walking, placing) if walking else None
        for draft in walking:
            stage.decide(loaded, draft)
        loads.append(loaded)
    return loads


class _Row(msgspec.Struct, frozen=True):
    """A market with the revision of the rules, or an offer with its price."""

    currency: str
    market: str | None
    tax_included: bool
    revision: int
    offer_id: uuid.UUID | None
    seller_id: uuid.UUID
    variant_id: uuid.UUID
    product_id: uuid.UUID
    category_id: uuid.UUID | None
    brand: str
    sku: str
    title: dict[str, str]
    slug: str
    tax_class: str
    weight_grams: int | None
    max_per_order: int | None
    price_minor: int
    list_price_minor: int | None


class PriceStage:
    """What each offer costs in the draft's market now, and the revision of the rules that later
    stages keep in memory. One statement."""

    async def load(self, tx: Tx, drafts: Sequence[Draft], placing: bool) -> Any:
        pairs = {(i.offer_id, d.market) for d in drafts for i in d.items[: MAX_LINES + 1]}
        ordered = sorted(pairs)
        rows = await tx.rows(
            _Row,
            """
            select m.currency, m.code as market, m.price_includes_tax as tax_included,
                   r.version as revision, null::uuid as offer_id, null::uuid as seller_id,
                   null::uuid as variant_id, null::uuid as product_id, null::uuid as category_id,
                   '' as brand, '' as sku, '{}'::jsonb as title, '' as slug, '' as tax_class,
                   null::int as weight_grams, null::int as max_per_order, 0::bigint as price_minor,
                   null::bigint as list_price_minor
              from pricing.v_market m, orders.revision r where m.active
            union all
            select w.currency, null, false, 0, o.offer_id, o.seller_id, o.variant_id,
                   v.product_id, v.category_id, v.brand, v.sku, v.title, v.slug, v.tax_class,
                   v.weight_grams, o.max_per_order, p.price_minor, p.list_price_minor
              from (select distinct u.offer_id, m.currency
                      from unnest($1::uuid[], $2::text[]) as u(offer_id, market)
                      join pricing.v_market m on m.code = u.market and m.active) w
              join marketplace.v_offer o on o.offer_id = w.offer_id and o.active
              join catalogue.v_variant v on v.variant_id = o.variant_id and v.buyable
              join lateral (
                select price_minor, list_price_minor, ends_at from pricing.v_price p
                 where p.offer_id = w.offer_id and p.currency = w.currency and p.starts_at <= $3
                   and (p.ends_at is null or p.ends_at > $3)
                 order by p.starts_at desc limit 1) p on true
            """,
            [offer for offer, _ in ordered],
            [market for _, market in ordered],
            tx.now,
        )
        markets = {row.market: row for row in rows if row.market is not None}
        return markets, {(row.offer_id, row.currency): row for row in rows if row.market is None}

    def decide(self, loaded: Any, draft: Draft) -> None:
        markets, priced = loaded
        draft.start_walk()
        market = markets.get(draft.market)
        if market is None:
            draft.refusal = UnknownMarket(market=draft.market)
            return
        draft.currency, draft.tax_included = market.currency, market.tax_included
        draft.revision = market.revision
        draft.refusal = _countable(draft)
        if draft.refusal is not None:
            return
        draft.lines = []
        for offer_id, quantity in _merged(draft.items).items():
            row: _Row | None = priced.get((offer_id, market.currency))
            if row is None:
                draft.refusal = OfferUnavailable(sku=str(offer_id))
                return
            most = min(row.max_per_order or MAX_QUANTITY, MAX_QUANTITY)
            if not 1 <= quantity <= most:
                draft.refusal = BadQuantity(quantity=quantity, most=most)
                return
            draft.lines.append(
                DraftLine(
                    offer_id,
                    row.seller_id,
                    row.variant_id,
                    row.sku,
                    row.title,
                    row.slug,
                    quantity,
                    row.price_minor,
                    row.list_price_minor,
                    row.tax_class,
                    row.weight_grams or 0,
                    product_id=row.product_id,
                    category_id=row.category_id,
                    brand=row.brand,
                )
            )

    async def record(self, tx: Tx, loaded: Any, drafts: Sequence[Draft]) -> None:
        return None


class _DeliveryRow(msgspec.Struct, frozen=True):
    market: str
    code: str
    name: dict[str, str]
    price_minor: int
    free_from_minor: int | None
    min_days: int
    max_days: int
    max_weight_grams: int | None


class DeliveryStage:
    """Which ways of delivery there are, and what the chosen (else the first) one costs. One
    statement."""

    async def load(self, tx: Tx, drafts: Sequence[Draft], placing: bool) -> Any:
        options: dict[str, list[_DeliveryRow]] = {}
        for row in await tx.rows(
            _DeliveryRow,
            """
            select market, code, name, price_minor, free_from_minor, min_days, max_days,
                   max_weight_grams
              from orders.delivery_option where is_active and market = any($1::text[])
             order by market, rank, code
            """,
            sorted({d.market for d in drafts}),
        ):
            options.setdefault(row.market, []).append(row)
        return options

    def decide(self, loaded: Any, draft: Draft) -> None:
        weight = sum(line.weight_grams * line.quantity for line in draft.lines)
        worth = draft.goods_minor - draft.discount_minor
        full = {
            row.code: 0
            if row.free_from_minor is not None and worth >= row.free_from_minor
            else row.price_minor
            for row in loaded.get(draft.market, ())
            if row.max_weight_grams is None or weight <= row.max_weight_grams
        }
        offs = {code: best_delivery_off(draft, code, price) for code, price in full.items()}
        draft.options = [
            DeliveryOption(
                row.code, row.name, full[row.code] - offs[row.code][0], row.min_days, row.max_days
            )
            for row in loaded.get(draft.market, ())
            if row.code in full
        ]
        chosen = next((o for o in draft.options if draft.delivery in (None, "", o.code)), None)
        if chosen is None:
            draft.refusal = NoDelivery(country=draft.country)
            return
        draft.delivery, draft.delivery_minor = chosen.code, chosen.price_minor
        en, zh = chosen.name.get("en", chosen.code), chosen.name.get("zh-CN", chosen.code)
        draft.reasons.append(Reason("delivery", en, zh, full[chosen.code]))
        off, why = offs[chosen.code]
        if why is not None and off:
            draft.reasons.append(Reason(why.source, why.en, why.zh, -off))
        row = next(r for r in loaded[draft.market] if r.code == chosen.code)
        if chosen.price_minor and row.free_from_minor is not None:
            draft.hints.append(free_delivery_hint(draft.currency, row.free_from_minor - worth))

    async def record(self, tx: Tx, loaded: Any, drafts: Sequence[Draft]) -> None:
        return None


class _Rate(msgspec.Struct, frozen=True):
    country: str
    region: str
    tax_class: str
    rate_basis_points: int


class TaxStage:
    """Tax in the price or on top, by where the order goes. Delivery is taxed at the standard
    rate. One statement."""

    async def load(self, tx: Tx, drafts: Sequence[Draft], placing: bool) -> Any:
        rows = await tx.rows(
            _Rate,
            """
            select distinct on (country, region, tax_class)
                   country, region, tax_class, rate_basis_points
              from pricing.v_tax_rate where starts_at <= $1 and country = any($2::text[])
             order by country, region, tax_class, starts_at desc
            """,
            tx.now,
            sorted({d.country for d in drafts}),
        )
        return {(r.country, r.region, r.tax_class): r.rate_basis_points for r in rows}

    def decide(self, loaded: Any, draft: Draft) -> None:
        for line in draft.lines:
            line.tax_basis_points = _rate(loaded, draft, line.tax_class)
            line.tax_minor = _tax(
                line.goods_minor - line.discount_minor, line.tax_basis_points, draft.tax_included
            )
        draft.delivery_tax_minor = _tax(
            draft.delivery_minor, _rate(loaded, draft, "standard"), draft.tax_included
        )
        if draft.tax_minor:
            word, wort = ("included", "已含") if draft.tax_included else ("added", "另加")
            draft.reasons.append(Reason("tax", f"Tax, {word}", f"税费（{wort}）", draft.tax_minor))

    async def record(self, tx: Tx, loaded: Any, drafts: Sequence[Draft]) -> None:
        return None


class AgreementStage:
    """What the buyer agreed to is what holds: the figures are the quote's, and the tenders
    cover the total.

    It stands before the stock, so that a draft refused here takes nothing from its neighbours.
    No statement."""

    async def load(self, tx: Tx, drafts: Sequence[Draft], placing: bool) -> Any:
        return placing

    def decide(self, loaded: Any, draft: Draft) -> None:
        if not loaded:
            return
        if not agrees(draft):
            draft.refusal = StaleQuote(quoted(draft), _amount(draft.total_minor, draft.currency))
        elif draft.most_minor is not None and draft.total_minor > draft.most_minor:
            draft.refusal = AboveLimit(
                total=_amount(draft.total_minor, draft.currency),
                most=_amount(draft.most_minor, draft.currency),
            )
        elif draft.total_minor and not draft.tenders:
            draft.refusal = NoTender()
        elif draft.total_minor:
            fixed = sum(t.amount_minor or 0 for t in draft.tenders)
            open_ended = sum(t.amount_minor is None for t in draft.tenders)
            short = fixed != draft.total_minor if not open_ended else fixed > draft.total_minor
            if open_ended > 1 or short or any((t.amount_minor or 0) < 0 for t in draft.tenders):
                draft.refusal = TenderMismatch(
                    given=_amount(fixed, draft.currency),
                    total=_amount(draft.total_minor, draft.currency),
                )

    async def record(self, tx: Tx, loaded: Any, drafts: Sequence[Draft]) -> None:
        return None


def payments_of(draft: Draft, tx: Tx, *, capture: bool) -> list[payments.NewPayment]:
    """The payments a draft asks for: fixed tenders first, the rest to the one without an amount."""
    fixed = sum(t.amount_minor or 0 for t in draft.tenders)
    return [
        payments.NewPayment(
            id=tx.new_id(),
            order_id=draft.id,
            person_id=draft.person_id,
            amount_minor=amount,
            currency=draft.currency,
            provider=tender.provider,
            method=tender.method,
            capture=capture if draft.capture is None else draft.capture,
            return_url=draft.return_url,
            tender_order=position,
        )
        for position, tender in enumerate(draft.tenders)
        if (
            amount := draft.total_minor - fixed
            if tender.amount_minor is None
            else tender.amount_minor
        )
    ]


def best_delivery_off(draft: Draft, code: str, price_minor: int) -> tuple[int, DeliveryOff | None]:
    """The most that comes off this way of delivery, and why; the first of equals."""
    best: tuple[int, DeliveryOff | None] = (0, None)
    for one in draft.delivery_offs:
        off = one.off(code, price_minor)
        if off > best[0]:
            best = (off, one)
    return best


@lru_cache(maxsize=4096)
def free_delivery_hint(currency: str, missing_minor: int) -> Hint:
    amount, betrag = (words.money(missing_minor, currency, w) for w in ("en", "zh-CN"))
    return Hint(
        kind="near",
        en=f"Add {amount} more for free delivery.",
        zh=f"再买 {betrag} 即可免运费。",
        missing_minor=missing_minor,
    )


def row_of_stages(
    higher: Sequence[Stage], after_tax: Sequence[Stage], segments: Segments | None = None
) -> tuple[Stage, ...]:
    """The whole row; stages of higher floors (team claims, promotions, benefits) follow the price,
    and those that need the tax follow it. ``segments`` answers for price rules that ask."""
    book = PriceBook()
    return (
        PriceStage(),
        RuleStage(book, segments),
        *higher,
        FloorStage(book),
        DeliveryStage(),
        TravelStage(),
        TaxStage(),
        *after_tax,
        AgreementStage(),
        BudgetStage(),
        StockStage(),
    )


def _amount(minor: int, currency: str) -> str:
    exponent = ledger.money(currency).exponent
    return f"{currency} {minor / 10**exponent:.{exponent}f}"


def _countable(draft: Draft) -> EmptyOrder | TooManyLines | BadQuantity | None:
    if not draft.items:
        return EmptyOrder()
    if len(draft.items) > MAX_LINES:
        return TooManyLines(most=MAX_LINES, lines=len(draft.items))
    for item in draft.items:
        if not 1 <= item.quantity <= MAX_QUANTITY:
            return BadQuantity(quantity=item.quantity, most=MAX_QUANTITY)
    return None


def _merged(items: Sequence[Item]) -> dict[uuid.UUID, int]:
    """One line for each offer, however often it was named."""
    merged: dict[uuid.UUID, int] = {}
    for item in items:
        merged[item.offer_id] = merged.get(item.offer_id, 0) + item.quantity
    return merged


def _rate(rates: dict[tuple[str, str, str], int], draft: Draft, tax_class: str) -> int:
    """The region's rate before the country's; an unknown class counts as standard."""
    for region in (draft.region, ""):
        for kind in (tax_class, "standard"):
            rate = rates.get((draft.country, region, kind))
            if rate is not None:
                return rate
    return 0


def _tax(amount_minor: int, basis_points: int, included: bool) -> int:
    if included:
        return pricing.tax_included(amount_minor, basis_points)
    return pricing.tax_on_top(amount_minor, basis_points)
