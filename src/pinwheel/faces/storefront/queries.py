"""What the shop's pages ask, set-based over the published views; no locks."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from pinwheel.kernel.db import Tx


class Goods(msgspec.Struct, frozen=True):
    """A product in a list, with its best offer in one currency: in stock before not, then the
    lowest price. ``dearest_minor`` is the highest price among its variants; ``free`` the pieces of
    that offer that can be promised."""

    product_id: uuid.UUID
    slug: str
    title: dict[str, str]
    brand: str
    media: list[dict[str, Any]]
    category_path: list[uuid.UUID]
    variants: int
    offer_id: uuid.UUID
    price_minor: int
    dearest_minor: int
    free: int
    rating: float | None
    ratings: int
    revision: int  # of the rules that change prices


class Selling(msgspec.Struct, frozen=True):
    """One active offer of a variant and what can be promised of it."""

    offer_id: uuid.UUID
    variant_id: uuid.UUID
    seller_name: str
    own: bool
    condition: str
    max_per_order: int | None
    free: int
    here: int  # of them, what need not come first
    expected_on: dt.date | None
    revision: int  # of the rules that change prices


class Label(msgspec.Struct, frozen=True):
    """What an attribute and its choices are called."""

    code: str
    label: dict[str, str]
    kind: str
    unit: str
    choices: list[dict[str, Any]]
    position: int


class Picture(msgspec.Struct, frozen=True):
    """What an order line's variant looks like now, and where it is found."""

    variant_id: uuid.UUID
    slug: str
    media: list[dict[str, Any]]
    options: dict[str, str]
    product_id: uuid.UUID


class Listed(msgspec.Struct, frozen=True):
    """A product's address and when it last changed."""

    product_id: uuid.UUID
    slug: str
    changed_at: str


async def goods(tx: Tx, product_ids: Sequence[uuid.UUID], currency: str) -> list[Goods]:
    """Published products that have a price in ``currency``, in the order asked for. 1 statement."""
    return await tx.rows(
        Goods,
        """
        with wanted as (
          select id, place from unnest($2::uuid[]) with ordinality as w(id, place)
        ), offer as (
          select v.product_id, o.offer_id, p.price_minor, coalesce(a.free, 0)::bigint as free,
                 count(*) over each as variants, max(p.price_minor) over each as dearest_minor
            from wanted w
            join catalogue.v_variant v on v.product_id = w.id and v.buyable
            join marketplace.v_offer o on o.variant_id = v.variant_id and o.active
            join lateral (
              select price_minor from pricing.v_price p
               where p.offer_id = o.offer_id and p.currency = $3 and p.starts_at <= $4
                 and (p.ends_at is null or p.ends_at > $4)
               order by p.starts_at desc limit 1) p on true
            left join lateral (
              select sum(greatest(a.atp, 0)) as free from inventory.v_offered a
               where a.cell = $1 and a.variant_id = o.variant_id and a.seller_id = o.seller_id
                 and a.is_open and (a.opens_at is null or a.opens_at <= $4 and a.closes_at > $4)
              ) a on true
          window each as (partition by v.product_id)
        ), best as (
          select distinct on (product_id) * from offer
           order by product_id, free = 0, price_minor, offer_id
        )
        select p.product_id, p.slug, p.title, p.brand, p.media, p.category_path, b.variants,
               b.offer_id, b.price_minor, b.dearest_minor, b.free, r.mean as rating,
               coalesce(r.ratings, 0) as ratings,
               (select version from orders.v_revision) as revision
          from wanted w
          join catalogue.v_product p on p.product_id = w.id and p.published
          join best b on b.product_id = p.product_id
          left join community.v_rating r on r.cell = $1 and r.product_id = p.product_id
         order by w.place
        """,
        tx.cell,
        list(product_ids),
        currency,
        tx.now,
    )


async def selling(tx: Tx, variant_ids: Sequence[uuid.UUID]) -> list[Selling]:
    """The active offers of these variants, with what can be promised of each. 1 statement."""
    return await tx.rows(
        Selling,
        """
        select o.offer_id, o.variant_id, o.seller_name, o.seller_kind = 'own' as own, o.condition,
               o.max_per_order, coalesce(a.free, 0)::bigint as free,
               (coalesce(b.here, 0) + coalesce(a.free, 0) - coalesce(b.free, 0))::bigint as here,
               b.expected_on, (select version from orders.v_revision) as revision
          from marketplace.v_offer o
          left join lateral (
            select sum(greatest(a.atp, 0)) as free from inventory.v_offered a
             where a.cell = $1 and a.variant_id = o.variant_id and a.seller_id = o.seller_id
               and a.is_open and (a.opens_at is null or a.opens_at <= $3 and a.closes_at > $3)
            ) a on true
          left join lateral (
            select sum(greatest(p.atp, 0)) as free,
                   sum(greatest(least(p.atp, p.on_hand - p.reserved), 0)) as here,
                   min(p.expected_on) filter (where p.backorder_limit > 0 and p.atp > 0)
                     as expected_on
              from inventory.v_atp p
             where p.cell = $1 and p.variant_id = o.variant_id and p.seller_id = o.seller_id
               and p.is_open) b on true
         where o.variant_id = any($2::uuid[]) and o.active
         order by o.variant_id, o.offer_id
        """,
        tx.cell,
        list(variant_ids),
        tx.now,
    )


async def labels(tx: Tx) -> list[Label]:
    """What every attribute is called; one code has one name, whichever categories have it."""
    return await tx.rows(
        Label,
        """
        select a.code, (array_agg(a.label order by a.category_id))[1] as label,
               min(a.kind) as kind, min(a.unit) as unit,
               coalesce(jsonb_agg(distinct c) filter (where c is not null), '[]') as choices,
               min(a.position) as position
          from catalogue.v_attribute a
          left join lateral jsonb_array_elements(a.choices) c on true
         where a.category_id = a.defined_by
         group by a.code order by min(a.position), a.code
        """,
    )


async def pictures(tx: Tx, variant_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Picture]:
    """What variants look like. 1 statement."""
    rows = await tx.rows(
        Picture,
        """
        select variant_id, slug, media, options, product_id from catalogue.v_variant
         where variant_id = any($1::uuid[])
        """,
        list(set(variant_ids)),
    )
    return {row.variant_id: row for row in rows}


async def listed(tx: Tx, after: uuid.UUID | None, limit: int) -> list[Listed]:
    """Published products in order of id, a page at a time, for the sitemap and the feeds."""
    return await tx.rows(
        Listed,
        """
        select product_id, slug, to_char(updated_at at time zone 'UTC', 'YYYY-MM-DD') as changed_at
          from catalogue.v_product
         where published and 'web' = any(channels) and ($1::uuid is null or product_id > $1)
         order by product_id limit $2
        """,
        after,
        limit,
    )


async def listed_count(tx: Tx) -> int:
    found: int = await tx.value(
        "select count(*) from catalogue.v_product where published and 'web' = any(channels)"
    )
    return found


class Sold(msgspec.Struct, frozen=True):
    """A variant with what a feed says of it."""

    variant_id: uuid.UUID
    product_id: uuid.UUID
    sku: str
    gtin: str | None
    slug: str
    title: dict[str, str]
    description: dict[str, str]
    brand: str
    media: list[dict[str, Any]]
    options: dict[str, str]


async def variants_of(tx: Tx, product_ids: Sequence[uuid.UUID]) -> list[Sold]:
    """The variants of these products, in order. 1 statement."""
    return await tx.rows(
        Sold,
        """
        select v.variant_id, v.product_id, v.sku, v.gtin, v.slug, v.title, p.description, v.brand,
               v.media, v.options
          from catalogue.v_variant v join catalogue.v_product p on p.product_id = v.product_id
         where v.product_id = any($1::uuid[]) and v.buyable
         order by v.product_id, v.position, v.variant_id
        """,
        list(product_ids),
    )
