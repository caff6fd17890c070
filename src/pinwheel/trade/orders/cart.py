"""Nouns and rules of a cart: what was put in, and what has become of it since."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.kernel import words
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import Event
from pinwheel.trade.orders.draft import (
    Item,
    Quote,
)
from pinwheel.trade.orders.model import (
    MAX_LINES,
    MAX_QUANTITY,
)

CHANNEL = "cart"  # an order of this channel takes what it ordered out of the cart


class Inside(msgspec.Struct, frozen=True, kw_only=True):
    """One line as it is stored, with what the shop says of the offer now. What is None is not
    known or not for sale any more; ``free`` counts all nodes."""

    offer_id: uuid.UUID
    quantity: int
    seen_price_minor: int | None
    seen_currency: str | None
    added_at: dt.datetime
    variant_id: uuid.UUID | None
    seller_id: uuid.UUID | None
    sku: str | None
    title: dict[str, str] | None
    slug: str | None
    max_per_order: int | None
    price_minor: int | None
    currency: str | None
    free: int
    coupons: list[str]  # of the whole cart


class Note(msgspec.Struct, frozen=True):
    """What changed since the line was put in. ``kind``: price_up, price_down, unavailable,
    only_left, limited."""

    kind: str
    en: str
    zh: str


class CartLine(msgspec.Struct, frozen=True, kw_only=True):
    """``quantity`` is what was put in, ``buyable`` what can be ordered of it now; prices are for
    one piece."""

    offer_id: uuid.UUID
    variant_id: uuid.UUID | None
    sku: str
    title: dict[str, str]
    slug: str
    quantity: int
    buyable: int
    price_minor: int | None
    seen_price_minor: int | None
    currency: str | None
    added_at: dt.datetime
    notes: list[Note]


class Sentence(msgspec.Struct, frozen=True):
    """Why there is no quote, in both languages."""

    code: str
    en: str
    zh: str


class CartSight(msgspec.Struct, frozen=True, kw_only=True):
    """A cart with the quote of what can be ordered of it now (``buyable`` of each line)."""

    market: str
    lines: list[CartLine]
    pieces: int
    coupons: list[str] = []
    quote: Quote | None = None
    refusal: Sentence | None = None


class CartFull(Refusal):
    status = 422
    en = "A cart holds at most {most} different items; this would make {lines}. Order some first."
    zh = "购物车最多容纳 {most} 种商品，当前将达到 {lines} 种。请先结算一部分。"


class NoAddress(Refusal):
    status = 422
    en = "Choose where to deliver to."
    zh = "请选择收货地址。"


class CartChanged(Event, frozen=True, kw_only=True):
    """Lines were put in, changed or taken out: (offer, quantity now); 0 is gone."""

    subject = "cart_id"
    cart_id: uuid.UUID
    person_id: uuid.UUID
    lines: list[tuple[uuid.UUID, int]]


class CartMerged(Event, frozen=True, kw_only=True):
    """A guest signed in: the guest's lines are in the account's cart."""

    subject = "cart_id"
    cart_id: uuid.UUID
    person_id: uuid.UUID
    guest_id: uuid.UUID


def looked_at(rows: Sequence[Inside]) -> list[CartLine]:
    """Each line with what can be ordered of it. Lines that share a seller's stock share what is
    left of it, the first put in first."""
    left: dict[tuple[uuid.UUID | None, uuid.UUID | None], int] = {}
    lines = []
    for row in rows:
        shared = (row.variant_id, row.seller_id)
        free = left.get(shared, row.free)
        line = _line(row, free)
        left[shared] = free - line.buyable
        lines.append(line)
    return lines


def items_of(lines: Sequence[CartLine]) -> list[Item]:
    """What a quote and an order of this cart ask for."""
    return [Item(line.offer_id, line.buyable) for line in lines if line.buyable]


def no_more_than(lines: int) -> None:
    """Refuses ``CartFull``."""
    if lines > MAX_LINES:
        raise CartFull(most=MAX_LINES, lines=lines)


def _line(row: Inside, free: int) -> CartLine:
    notes: list[Note] = []
    buyable = 0
    if row.price_minor is None:
        notes.append(
            Note(
                "unavailable",
                "This is not available any more. Remove it, or keep it in case it comes back.",
                "该商品已不再出售。您可以移除，或保留以待恢复。",
            )
        )
    else:
        most = min(row.max_per_order or MAX_QUANTITY, MAX_QUANTITY)
        buyable = max(0, min(row.quantity, most, free))
        notes += _quantity_notes(row, most, free)
        notes += _price_notes(row, row.price_minor)
    return CartLine(
        offer_id=row.offer_id,
        variant_id=row.variant_id,
        sku=row.sku or "",
        title=row.title or {},
        slug=row.slug or "",
        quantity=row.quantity,
        buyable=buyable,
        price_minor=row.price_minor,
        seen_price_minor=row.seen_price_minor,
        currency=row.currency,
        added_at=row.added_at,
        notes=notes,
    )


def _quantity_notes(row: Inside, most: int, free: int) -> list[Note]:
    if free <= 0:
        return [Note("only_left", "Sold out at the moment.", "暂时缺货。")]
    if free < min(row.quantity, most):
        en = f"Only {free} left: the total below is for {free}."
        return [Note("only_left", en, f"仅剩 {free} 件，下方合计按 {free} 件计算。")]
    if most < row.quantity:
        en = f"At most {most} in one order: the total below is for {most}."
        return [Note("limited", en, f"每单限购 {most} 件，下方合计按 {most} 件计算。")]
    return []


def _price_notes(row: Inside, now: int) -> list[Note]:
    seen, currency = row.seen_price_minor, row.currency or ""
    if seen is None or row.seen_currency != currency or seen == now:
        return []
    kind, word, wort = (
        ("price_up", "went up", "上涨") if now > seen else ("price_down", "went down", "下降")
    )
    en = f"The price {word} from {words.money(seen, currency, 'en')} to "
    en += f"{words.money(now, currency, 'en')} since you put it in."
    zh = f"自加入购物车以来，价格由 {words.money(seen, currency, 'zh-CN')} {wort}至 "
    zh += f"{words.money(now, currency, 'zh-CN')}。"
    return [Note(kind, en, zh)]
