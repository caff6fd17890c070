"""Questions of item search to the database; none takes a lock."""

import datetime as dt
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import msgspec

from pinwheel.discovery.search.model import Category, Document, Position, Spoken, Unfound
from pinwheel.kernel.db import Tx
from pinwheel.kernel.events import Recorded
from pinwheel.kernel.listing import Page, after, page


class Sold(msgspec.Struct, frozen=True):
    """A product in one market, as the views of the lower modules tell it."""

    product_id: UUID
    slug: str
    titles: dict[str, str]
    description: dict[str, str]
    brand: str
    category_id: UUID | None
    category_path: list[UUID]
    attributes: dict[str, Any]
    channels: list[str]
    listed_at: dt.datetime
    identifiers: list[str]
    sold_units: int
    region: str
    currency: str
    price_minor: int
    in_stock: bool


class CategoryName(msgspec.Struct, frozen=True):
    category_id: UUID
    name: dict[str, str]


class Attribute(msgspec.Struct, frozen=True):
    category_id: UUID
    code: str
    unit: str
    choices: list[dict[str, Any]]
    facet: bool
    searchable: bool


async def product_ids(tx: Tx, after_id: UUID | None, limit: int) -> list[UUID]:
    """Published products by id, a page at a time."""
    return await tx.values(
        """
        select product_id from catalogue.v_product
         where published and ($1::uuid is null or product_id > $1) order by product_id limit $2
        """,
        after_id,
        limit,
    )


async def documents(tx: Tx, ids: Sequence[UUID]) -> list[Document]:
    """The documents of these products: one for each market that has a price, and each channel.

    Products that aren't published, or have no price anywhere, have none.
    """
    sold = await _sold(tx, ids)
    categories = sorted({c for row in sold for c in row.category_path})
    names = {
        row.category_id: row.name
        for row in await tx.rows(
            CategoryName,
            """
            select category_id, name from catalogue.v_category
             where category_id = any($1::uuid[])
            """,
            categories,
        )
    }
    attributes = await tx.rows(
        Attribute,
        """
        select category_id, code, unit, choices, facet, searchable from catalogue.v_attribute
         where category_id = any($1::uuid[]) and (facet or searchable) order by category_id, code
        """,
        sorted({row.category_id for row in sold if row.category_id}),
    )
    described: dict[UUID, list[Attribute]] = {}
    for attribute in attributes:
        described.setdefault(attribute.category_id, []).append(attribute)
    return [
        document
        for row in sold
        for document in _documents(row, names, described.get(row.category_id or UUID(int=0), []))
    ]


async def _sold(tx: Tx, ids: Sequence[UUID]) -> list[Sold]:
    """The best price of each product and market: in stock before not, then the lowest."""
    return await tx.rows(
        Sold,
        """
        with variant as (
          select variant_id, product_id, sku, gtin from catalogue.v_variant
           where product_id = any($2::uuid[]) and buyable and merged_into is null
        ), stock as (
          select variant_id, seller_id, bool_or(atp > 0) as in_stock from inventory.v_atp
           where cell = $1 and variant_id in (select variant_id from variant)
           group by variant_id, seller_id
        ), offer as (
          select v.product_id, o.offer_id, coalesce(s.in_stock, false) as in_stock
            from variant v join marketplace.v_offer o on o.variant_id = v.variant_id and o.active
            left join stock s on s.variant_id = o.variant_id and s.seller_id = o.seller_id
        ), best as (
          select distinct on (o.product_id, m.code) o.product_id, m.code as region, m.currency,
                 p.price_minor, o.in_stock
            from offer o cross join pricing.v_market m
            join lateral (
              select price_minor from pricing.v_price p
               where p.offer_id = o.offer_id and p.currency = m.currency and p.starts_at <= $3
                 and (p.ends_at is null or p.ends_at > $3)
               order by p.starts_at desc limit 1
            ) p on true
           where m.active
           order by o.product_id, m.code, o.in_stock desc, p.price_minor
        ), code as (
          select product_id, array_agg(sku order by sku)
                 || coalesce(array_agg(gtin order by gtin) filter (where gtin is not null), '{}')
                 as identifiers
            from variant group by product_id
        )
        select p.product_id, p.slug, p.title as titles, p.description, p.brand, p.category_id,
               p.category_path, p.attributes, p.channels, p.created_at as listed_at,
               c.identifiers, coalesce(s.sold_units, 0) as sold_units, b.region, b.currency,
               b.price_minor, b.in_stock
          from catalogue.v_product p
          join best b on b.product_id = p.product_id
          join code c on c.product_id = p.product_id
          left join search.popularity s on s.product_id = p.product_id
         where p.product_id = any($2::uuid[]) and p.published
         order by p.product_id, b.region
        """,
        tx.cell,
        list(ids),
        tx.now,
    )


def _documents(
    row: Sold, names: dict[UUID, dict[str, str]], attributes: list[Attribute]
) -> list[Document]:
    facets: dict[str, list[str]] = {}
    words: list[str] = []
    for attribute in attributes:
        values = _values(row.attributes.get(attribute.code))
        if attribute.facet and values:
            facets[attribute.code] = values
        if attribute.searchable or attribute.facet:
            labels = {str(c.get("code")): c.get("label") or {} for c in attribute.choices}
            for value in values:
                spoken = list(labels.get(value, {}).values()) or [f"{value} {attribute.unit}"]
                words += [w.strip() for w in spoken]
    return [
        Document(
            row.product_id,
            row.titles,
            slug=row.slug,
            brands=[row.brand] if row.brand else [],
            categories=[Category(str(c), names.get(c, {})) for c in row.category_path],
            identifiers=row.identifiers,
            description=" ".join(row.description.values()),
            price_minor=row.price_minor,
            currency=row.currency,
            buyable=row.in_stock,
            facets=facets,
            words=words,
            sold_units=row.sold_units,
            listed_at=row.listed_at,
            channel=channel,
            region=row.region,
        )
        for channel in row.channels
    ]


def _values(value: Any) -> list[str]:
    if value is None or value == "":
        return []
    if isinstance(value, list):
        return [text for each in value for text in _values(each)]
    if isinstance(value, bool):
        return ["true" if value else "false"]
    if isinstance(value, float) and value.is_integer():
        return [str(int(value))]
    return [str(value)]


async def touched(
    tx: Tx,
    *,
    products: Sequence[UUID] = (),
    variants: Sequence[UUID] = (),
    offers: Sequence[UUID] = (),
    categories: Sequence[UUID] = (),
    sellers: Sequence[UUID] = (),
    nodes: Sequence[str] = (),
) -> list[UUID]:
    """The products that any of these belong to."""
    return await tx.values(
        """
        select unnest($2::uuid[])
        union select product_id from catalogue.v_variant where variant_id = any($3::uuid[])
        union select product_id from catalogue.v_product where category_path && $5::uuid[]
        union select v.product_id from marketplace.v_offer o
                join catalogue.v_variant v on v.variant_id = o.variant_id
               where o.offer_id = any($4::uuid[])
        union select v.product_id from marketplace.v_offer o
                join catalogue.v_variant v on v.variant_id = o.variant_id
               where o.seller_id = any($6::uuid[])
        union select v.product_id from inventory.v_atp a
                join catalogue.v_variant v on v.variant_id = a.variant_id
               where a.cell = $1 and a.node = any($7::text[])
        order by 1
        """,
        tx.cell,
        list(products),
        list(variants),
        list(offers),
        list(categories),
        list(sellers),
        list(nodes),
    )


async def feed(tx: Tx, since: Position, limit: int) -> list[Recorded]:
    """The facts after a position, in the order in which their transactions ended."""
    return await tx.rows(
        Recorded,
        """
        select xid, id, kind, subject_id, at, actor, data from search.v_feed
         where cell = $1 and (xid, id) > ($2, $3) order by xid, id limit $4
        """,
        tx.cell,
        since.xid,
        since.id,
        limit,
    )


async def feed_end(tx: Tx) -> Position:
    """A position that all facts of transactions that are over lie before."""
    xid = await tx.value("select pg_snapshot_xmin(pg_current_snapshot())")
    return Position(int(xid) - 1, UUID(int=(1 << 128) - 1))


async def feed_reaches(tx: Tx, position: Position) -> bool:
    """Does the feed still hold everything after a position, and was it this database's?"""
    return bool(
        await tx.value(
            """
            select $2 < pg_snapshot_xmax(pg_current_snapshot())
               and (exists (select 1 from search.v_feed where cell = $1 and (xid, id) <= ($2, $3))
                    or not exists (select 1 from search.v_feed where cell = $1))
            """,
            tx.cell,
            position.xid,
            position.id,
        )
    )


async def synonym_groups(tx: Tx) -> list[list[str]]:
    """The shop's own synonyms."""
    return [list(p) for p in await tx.values("select phrases from search.synonym order by id")]


async def spoken_queries(tx: Tx, *, days: int = 90, limit: int = 20_000) -> list[Spoken]:
    """What is asked most and found something, for completion."""
    return await tx.rows(
        Spoken,
        """
        select text, language, sum(asked)::bigint as asked from search.query_day
         where cell = $1 and on_day > $2 and last_found > 0
         group by text, language order by asked desc, text, language limit $3
        """,
        tx.cell,
        tx.now.date() - dt.timedelta(days=days),
        limit,
    )


async def unfound_queries(
    tx: Tx, *, since: dt.date, cursor: str | None = None, limit: int = 50
) -> Page[Unfound]:
    """What buyers ask for and don't find, the most missed first."""
    start = after(cursor, int, str, str) or (None, None, None)
    rows = await tx.rows(
        Unfound,
        """
        select text, language, asked, found_nothing, last_meant, last_at from (
          select text, language, sum(asked)::bigint as asked,
                 sum(found_nothing)::bigint as found_nothing,
                 max(last_meant) as last_meant, max(last_at) as last_at
            from search.query_day where cell = $1 and on_day >= $2
           group by text, language having sum(found_nothing) > 0
        ) missed
         where $3::bigint is null or (-found_nothing, text, language) > (-$3, $4::text, $5::text)
         order by -found_nothing, text, language limit $6
        """,
        tx.cell,
        since,
        *start,
        limit + 1,
    )
    return page(rows, limit, lambda r: (r.found_nothing, r.text, r.language))
