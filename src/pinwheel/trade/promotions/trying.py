"""What a promotion would have done to the orders of the last days: an estimate, said as one. It
takes the orders as they were: what more would be bought because of it, nobody knows."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.trade.orders import DraftLine
from pinwheel.trade.promotions.book import Book, Rule, below_of
from pinwheel.trade.promotions.checking import check
from pinwheel.trade.promotions.kinds import Goods
from pinwheel.trade.promotions.model import NewPromotion, Promotion
from pinwheel.trade.promotions.policy import Running, settle

MOST_LINES = 20_000


class _Line(msgspec.Struct, frozen=True):
    order_id: uuid.UUID
    currency: str
    placed_at: dt.datetime
    offer_id: uuid.UUID
    seller_id: uuid.UUID
    variant_id: uuid.UUID
    sku: str
    title: dict[str, str]
    quantity: int
    unit_price_minor: int
    product_id: uuid.UUID
    category_id: uuid.UUID | None
    brand: str


class TriedLine(msgspec.Struct, frozen=True):
    """A line of the sample: what it cost, and what would have come off."""

    title: dict[str, str]
    sku: str
    quantity: int
    goods_minor: int
    off_minor: int


class Tried(msgspec.Struct, frozen=True, kw_only=True):
    """An estimate over the ``orders`` of ``days``: ``touched`` of them would have been cheaper, by
    ``off_minor`` in all. ``sample`` is the latest order it would have touched, else the latest."""

    days: int
    currency: str
    orders: int
    touched: int
    goods_minor: int
    off_minor: int
    sample: list[TriedLine]
    is_estimate: bool = True


async def dry_run(tx: Tx, new: NewPromotion, *, currency: str, days: int = 28) -> Tried:
    """``new`` alone, over the last ``days`` in ``currency``; limits, coupons and who bought are
    left out of account, so it is rather too much than too little. Refuses
    ``PromotionUnsound``. 2 statements."""
    check(new)
    lines = await tx.rows(
        _Line,
        """
        select l.order_id, l.currency, l.placed_at, l.offer_id, l.seller_id, l.variant_id, l.sku,
               l.title, l.quantity, l.unit_price_minor, v.product_id, v.category_id, v.brand
          from orders.v_line l join catalogue.v_variant v on v.variant_id = l.variant_id
         where l.cell = $1 and l.placed_at >= $2 and l.currency = $3 and l.state <> 'cancelled'
         order by l.placed_at desc, l.order_id, l.line limit $4
        """,
        tx.cell,
        tx.now - dt.timedelta(days=days),
        currency,
        MOST_LINES,
    )
    rule = Rule(_pretended(tx, new), await below_of(tx))
    book = Book(0, [rule], {})
    carts: dict[uuid.UUID, list[_Line]] = {}
    for line in lines:
        carts.setdefault(line.order_id, []).append(line)
    touched = off = 0
    sample: list[TriedLine] = []
    for cart in carts.values():
        tried = _tried(book, rule, cart)
        saved = sum(one.off_minor for one in tried)
        if saved:
            touched += 1
            off += saved
        if not sample or (saved and touched == 1):
            sample = tried
    return Tried(
        days=days,
        currency=currency,
        orders=len(carts),
        touched=touched,
        goods_minor=sum(li.quantity * li.unit_price_minor for li in lines),
        off_minor=off,
        sample=sample,
    )


def _pretended(tx: Tx, new: NewPromotion) -> Promotion:
    return Promotion(
        id=new.id or uuid.UUID(int=0),
        name=new.name,
        state="active",
        terms=new.terms,
        code=None,
        starts_at=None,
        ends_at=None,
        is_deal=new.is_deal,
        changed_at=tx.now,
        changed_by=tx.actor,
    )


def _tried(book: Book, rule: Rule, cart: Sequence[_Line]) -> list[TriedLine]:
    lines = [
        DraftLine(
            li.offer_id, li.seller_id, li.variant_id, li.sku, li.title, "", li.quantity,
            li.unit_price_minor, None, "", 0, product_id=li.product_id,
            category_id=li.category_id, brand=li.brand,
        )
        for li in sorted(cart, key=lambda li: li.offer_id)
    ]  # fmt: skip
    goods = [Goods(li.offer_id, li.quantity, li.goods_minor) for li in lines]
    positions = tuple(book.matching(lines).get(rule.id, ()))
    settle(goods, frozenset(), [Running(rule.id, rule.terms, positions)])
    return [
        TriedLine(li.title, li.sku, li.quantity, li.goods_minor, li.goods_minor - left.left)
        for li, left in zip(lines, goods, strict=True)
    ]
