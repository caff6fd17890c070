"""Questions that look across modules, over their published views."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.kernel.listing import Page, after, page


class Thing(msgspec.Struct, frozen=True):
    """A variant by the names people know."""

    variant_id: uuid.UUID
    product_id: uuid.UUID
    sku: str
    title: dict[str, str]
    options: dict[str, str]
    media: list[dict[str, Any]]


class CatalogueLine(msgspec.Struct, frozen=True):
    """A product in the staff's list, with what it costs and what can be promised of it."""

    id: uuid.UUID
    slug: str
    title: dict[str, str]
    brand: str
    category: dict[str, str] | None
    media: list[dict[str, Any]]
    status: str
    publish_at: dt.datetime | None
    updated_at: dt.datetime
    variants: int
    first_sku: str | None
    low_minor: int | None
    high_minor: int | None
    stock: int


class StockLine(msgspec.Struct, frozen=True):
    """One position: whose stock of what, where, and how much may be promised. ``sold`` pieces
    were ordered in the last 30 days."""

    variant_id: uuid.UUID
    product_id: uuid.UUID
    seller_id: uuid.UUID
    node: str
    sku: str
    title: dict[str, str]
    options: dict[str, str]
    media: list[dict[str, Any]]
    on_hand: int
    reserved: int
    atp: int
    is_open: bool
    safety_stock: int
    backorder_limit: int
    expected_on: dt.date | None
    sold: int


class LowStock(msgspec.Struct, frozen=True):
    """Something that people buy and that runs out."""

    variant_id: uuid.UUID
    product_id: uuid.UUID
    sku: str
    title: dict[str, str]
    atp: int
    safety_stock: int
    sold: int


class RateLine(msgspec.Struct, frozen=True):
    country: str
    region: str
    tax_class: str
    rate_basis_points: int
    starts_at: dt.datetime


async def things(tx: Tx, variant_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, Thing]:
    """Variants by id. 1 statement."""
    rows = await tx.rows(
        Thing,
        """
        select variant_id, product_id, sku, title, options, media
          from catalogue.v_variant where variant_id = any($1::uuid[])
        """,
        list(set(variant_ids)),
    )
    return {row.variant_id: row for row in rows}


async def variants_like(tx: Tx, text: str, *, most: int = 200) -> list[uuid.UUID]:
    """The variants with this SKU or article number, or an SKU that begins so. 1 statement."""
    return await tx.values(
        """
        select variant_id from catalogue.v_variant
         where sku = $1 or gtin = $1 or starts_with(sku, $1) limit $2
        """,
        text,
        most,
    )


async def catalogue_lines(
    tx: Tx,
    *,
    currency: str,
    q: str = "",
    category_id: uuid.UUID | None = None,
    status: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[CatalogueLine]:
    """Products, the newest first; ``q`` is in the title or brand, or an SKU or article number.
    1 statement."""
    before = after(cursor, uuid.UUID)
    rows = await tx.rows(
        CatalogueLine,
        """
        with found as (
          select p.* from catalogue.v_product p
           where ($1::text = '' or p.slug = $1 or p.brand ilike $2
                  or p.title ->> 'en' ilike $2 or p.title ->> 'zh-CN' ilike $2
                  or p.product_id in (select v.product_id from catalogue.v_variant v
                                       where v.sku = $1 or v.gtin = $1))
             and ($3::uuid is null or $3 = any(p.category_path))
             and ($4::text is null or p.status = $4)
             and ($5::uuid is null or p.product_id < $5)
           order by p.product_id desc limit $6)
        select f.product_id as id, f.slug, f.title, f.brand, c.name as category, f.media, f.status,
               f.publish_at, f.updated_at, v.variants, v.first_sku, v.low_minor, v.high_minor,
               v.stock
          from found f
          left join catalogue.v_category c on c.category_id = f.category_id
         cross join lateral (
           select count(*) as variants, min(v.sku) as first_sku, min(p.price_minor) as low_minor,
                  max(p.price_minor) as high_minor, coalesce(sum(a.atp), 0)::bigint as stock
             from catalogue.v_variant v
            cross join lateral (
              select min(p.price_minor) as price_minor from marketplace.v_offer o
               cross join lateral (
                 select price_minor from pricing.v_price p
                  where p.offer_id = o.offer_id and p.currency = $7 and p.starts_at <= $8
                    and (p.ends_at is null or p.ends_at > $8)
                  order by p.starts_at desc limit 1) p
               where o.variant_id = v.variant_id and o.active) p
            cross join lateral (
              select sum(greatest(a.atp, 0)) as atp from inventory.v_atp a
               where a.cell = $9 and a.variant_id = v.variant_id) a
            where v.product_id = f.product_id and v.merged_into is null) v
         order by f.product_id desc
        """,
        q,
        f"%{_literal(q)}%",
        category_id,
        status,
        before[0] if before else None,
        limit + 1,
        currency,
        tx.now,
        tx.cell,
    )
    return page(rows, limit, lambda r: (r.id,))


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


async def stock_lines(
    tx: Tx,
    *,
    node: str | None = None,
    variant_ids: Sequence[uuid.UUID] | None = None,
    low: bool = False,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[StockLine]:
    """Positions by variant; ``low``: nothing left to promise, or below the safety stock.
    1 statement."""
    start = after(cursor, uuid.UUID, uuid.UUID, str) or (None, None, None)
    rows = await tx.rows(
        StockLine,
        """
        select a.variant_id, v.product_id, a.seller_id, a.node, v.sku, v.title, v.options, v.media,
               a.on_hand, a.reserved, a.atp, a.is_open, a.safety_stock, a.backorder_limit,
               a.expected_on, coalesce(s.sold, 0)::bigint as sold
          from inventory.v_atp a
          join catalogue.v_variant v on v.variant_id = a.variant_id
          left join lateral (
            select sum(l.quantity) as sold from orders.v_line l
             where l.cell = a.cell and l.variant_id = a.variant_id and l.node = a.node
               and l.placed_at > $8::timestamptz - interval '30 days') s on true
         where a.cell = $1 and ($2::text is null or a.node = $2)
           and ($3::uuid[] is null or a.variant_id = any($3)) and (not $4::boolean or a.atp <= 0)
           and ($5::uuid is null
                or (a.variant_id, a.seller_id, a.node) > ($5, $6::uuid, $7::text))
         order by a.variant_id, a.seller_id, a.node limit $9
        """,
        tx.cell,
        node,
        list(variant_ids) if variant_ids is not None else None,
        low,
        *start,
        tx.now,
        limit + 1,
    )
    return page(rows, limit, lambda r: (r.variant_id, r.seller_id, r.node))


async def running_low(tx: Tx, *, most: int = 12) -> list[LowStock]:
    """What was ordered in the last 30 days and can't be promised any more, or not for another 7
    days at that rate: the most wanted first. 1 statement."""
    return await tx.rows(
        LowStock,
        """
        with wanted as (
          select variant_id, sum(quantity) as sold from orders.v_line
           where cell = $1 and placed_at > $2::timestamptz - interval '30 days'
             and state <> 'cancelled'
           group by variant_id)
        select w.variant_id, v.product_id, v.sku, v.title, a.atp, a.safety_stock,
               w.sold::bigint as sold
          from wanted w
          join catalogue.v_variant v on v.variant_id = w.variant_id
         cross join lateral (
           select coalesce(sum(greatest(a.atp, 0)), 0)::bigint as atp,
                  coalesce(sum(a.safety_stock), 0)::bigint as safety_stock
             from inventory.v_atp a where a.cell = $1 and a.variant_id = w.variant_id) a
         where a.atp * 30 <= w.sold * 7
         order by w.sold desc, w.variant_id limit $3
        """,
        tx.cell,
        tx.now,
        most,
    )


async def tax_rate_lines(tx: Tx) -> list[RateLine]:
    """Every tax rate, also those to come."""
    return await tx.rows(
        RateLine,
        """
        select country, region, tax_class, rate_basis_points, starts_at from pricing.v_tax_rate
         order by country, region, tax_class, starts_at desc
        """,
    )


class Title(msgspec.Struct, frozen=True):
    id: uuid.UUID
    title: dict[str, str]


async def titles(tx: Tx, product_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, dict[str, str]]:
    """The titles of products by id. 1 statement."""
    rows = await tx.rows(
        Title,
        """
        select product_id as id, title from catalogue.v_product
         where product_id = any($1::uuid[])
        """,
        list(set(product_ids)),
    )
    return {row.id: row.title for row in rows}
