"""Questions to the catalogue; none takes a lock."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable
from typing import Any

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import NotFound
from pinwheel.kernel.listing import Page, after, page
from pinwheel.trade.catalogue.model import Category, Product, Status, Variant, Words
from pinwheel.trade.catalogue.schema import Attribute
from pinwheel.trade.catalogue.writing import schemas


class ProductLine(msgspec.Struct, frozen=True):
    """A product in a list."""

    id: uuid.UUID
    slug: str
    title: Words
    brand: str
    category_id: uuid.UUID | None
    media: list[dict[str, Any]]
    status: Status
    publish_at: dt.datetime | None
    version: int
    updated_at: dt.datetime


class Crumb(msgspec.Struct, frozen=True):
    """One step of the way from the root category."""

    slug: str
    name: Words


class Shown(msgspec.Struct, frozen=True):
    """One attribute with its value, as stored."""

    attribute: Attribute
    value: Any


class ProductPage(msgspec.Struct, frozen=True):
    """What a product's page shows. ``slug`` differs from the one asked for when the product was
    renamed or merged: lead the reader on to it for good (301)."""

    id: uuid.UUID
    slug: str
    title: Words
    description: Words
    brand: str
    media: list[dict[str, Any]]
    status: Status
    channels: list[str]
    category_id: uuid.UUID | None
    trail: list[Crumb]
    attributes: list[Shown]
    variants: list[Variant]


class _Found(msgspec.Struct, frozen=True):
    id: uuid.UUID
    slug: str
    title: Words
    description: Words
    brand: str
    media: list[dict[str, Any]]
    status: Status
    channels: list[str]
    category_id: uuid.UUID | None
    attributes: dict[str, Any]
    trail: list[Crumb]
    variants: list[Variant]


class Change(msgspec.Struct, frozen=True):
    """One line of a product's history. ``before`` and ``after`` hold only the fields that changed;
    ``products`` is how many products the same act changed."""

    change_id: uuid.UUID
    kind: str
    reason: str
    actor: str
    at: dt.datetime
    version: int
    before: dict[str, Any]
    after: dict[str, Any]
    products: int
    reverted_by: uuid.UUID | None


class Duplicate(msgspec.Struct, frozen=True):
    """An article number that more than one product carries."""

    gtin: str
    product_ids: list[uuid.UUID]


class Sku(msgspec.Struct, frozen=True):
    sku: str
    variant_id: uuid.UUID
    product_id: uuid.UUID


async def categories(tx: Tx) -> list[Category]:
    """The whole tree, a parent before its children."""
    return await tx.rows(
        Category,
        """
        select id, parent_id, slug, name, path, position from catalogue.category
         order by array_length(path, 1), position, slug
        """,
    )


async def category(tx: Tx, slug: str) -> Category:
    """The category with this slug. Raises ``NotFound``. 1 statement."""
    return await tx.the(
        "category",
        Category,
        "select id, parent_id, slug, name, path, position from catalogue.category where slug = $1",
        slug,
    )


async def attributes(tx: Tx, category_id: uuid.UUID) -> list[Attribute]:
    """Every attribute that holds in a category, inherited ones among them, in order."""
    held = await schemas(tx, [category_id])
    if category_id not in held:
        raise NotFound(what="category")
    return list(held[category_id].values())


async def product_page(
    tx: Tx, at: str | uuid.UUID, *, channel: str = "web", drafts: bool = False
) -> ProductPage:
    """The page at a slug, a former one too, or of a product's id. ``drafts``: for those who may see
    what is not published. Raises ``NotFound``. 2 statements."""
    found = await tx.the(
        "product",
        _Found,
        """
        select p.id, p.slug, p.title, p.description, p.brand, p.media, p.status, p.channels,
               p.category_id, p.attributes,
               coalesce((select jsonb_agg(jsonb_build_object('slug', a.slug, 'name', a.name)
                                          order by array_length(a.path, 1))
                           from catalogue.category c
                           join catalogue.category a on a.id = any (c.path)
                          where c.id = p.category_id), '[]') as trail,
               coalesce((select jsonb_agg(jsonb_build_object('id', v.id, 'product_id', v.product_id,
                                'sku', v.sku, 'gtin', v.gtin, 'options', v.options,
                                'weight_grams', v.weight_grams, 'tax_class', v.tax_class,
                                'position', v.position, 'status', v.status,
                                'merged_into', v.merged_into) order by v.position, v.id)
                           from catalogue.variant v
                          where v.product_id = p.id and ($3 or v.status = 'published')),
                        '[]') as variants
          from (select $4::uuid as id where $4::uuid is not null
                union all
                select id from catalogue.product where slug = $1
                union all
                select product_id from catalogue.former_slug where slug = $1 limit 1) s
          join catalogue.product asked on asked.id = s.id
          join catalogue.product p on p.id = coalesce(asked.merged_into, asked.id)
         where $3 or (p.status = 'published' and $2 = any (p.channels))
        """,
        "" if isinstance(at, uuid.UUID) else at,
        channel,
        drafts,
        at if isinstance(at, uuid.UUID) else None,
    )
    held = await tx.rows(
        Attribute,
        """
        select a.defined_by as category_id, a.code, a.label, a.kind, a.unit, a.choices, a.minimum,
               a.maximum, a.many, a.required, a.facet, a.searchable, a.position
          from catalogue.v_attribute a where a.category_id = $1 and a.code = any($2::text[])
         order by a.position, a.code
        """,
        found.category_id,
        list(found.attributes),
    )
    fields = msgspec.structs.asdict(found)
    fields["attributes"] = [Shown(one, found.attributes[one.code]) for one in held]
    return ProductPage(**fields)


async def products(
    tx: Tx,
    *,
    category_id: uuid.UUID | None = None,
    status: Status | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[ProductLine]:
    """Products by the order they were made, of a category with all below it."""
    start = after(cursor, uuid.UUID)
    rows = await tx.rows(
        ProductLine,
        """
        select p.id, p.slug, p.title, p.brand, p.category_id, p.media, p.status, p.publish_at,
               p.version, p.updated_at
          from catalogue.product p
         where ($1::uuid is null or p.category_id in (
                 select c.id from catalogue.category c where c.path @> array[$1::uuid]))
           and ($2::text is null or p.status = $2)
           and ($3::uuid is null or p.id > $3)
         order by p.id limit $4
        """,
        category_id,
        status,
        start[0] if start else None,
        limit + 1,
    )
    return page(rows, limit, lambda row: (row.id,))


async def product_ids(
    tx: Tx,
    *,
    category_id: uuid.UUID | None = None,
    brand: str | None = None,
    status: Status | None = None,
    most: int = 200_000,
) -> list[uuid.UUID]:
    """The products a bulk edit is meant for, in order of id."""
    return await tx.values(
        """
        select p.id from catalogue.product p
         where ($1::uuid is null or p.category_id in (
                 select c.id from catalogue.category c where c.path @> array[$1::uuid]))
           and ($2::text is null or p.brand = $2) and ($3::text is null or p.status = $3)
         order by p.id limit $4
        """,
        category_id,
        brand,
        status,
        most,
    )


async def product(tx: Tx, product_id: uuid.UUID) -> tuple[Product, list[Variant]]:
    """A product as it is stored, with all its variants: what an editor starts from. Raises
    ``NotFound``. 2 statements."""
    found = await tx.the(
        "product",
        Product,
        """
        select id, slug, category_id, title, description, attributes, brand, media, channels,
               status, publish_at, merged_into, version
          from catalogue.product where id = $1
        """,
        product_id,
    )
    variants = await tx.rows(
        Variant,
        """
        select id, product_id, sku, gtin, options, weight_grams, tax_class, position, status,
               merged_into
          from catalogue.variant where product_id = $1 order by position, id
        """,
        product_id,
    )
    return found, variants


async def skus(tx: Tx, names: Iterable[str]) -> dict[str, Sku]:
    """The variant of each SKU that there is. 1 statement."""
    found = await tx.rows(
        Sku,
        """
        select sku, id as variant_id, product_id from catalogue.variant where sku = any($1::text[])
        """,
        list(set(names)),
    )
    return {row.sku: row for row in found}


async def history(
    tx: Tx, product_id: uuid.UUID, *, cursor: str | None = None, limit: int = 50
) -> Page[Change]:
    """What happened to a product, the latest first."""
    start = after(cursor, int)
    rows = await tx.rows(
        Change,
        """
        select c.id as change_id, c.kind, c.reason, c.actor, c.at, l.version, l.before, l.after,
               (select count(*) from catalogue.change_line o where o.change_id = c.id) as products,
               (select r.id from catalogue.change r where r.reverts = c.id) as reverted_by
          from catalogue.change_line l join catalogue.change c on c.id = l.change_id
         where l.product_id = $1 and ($2::int is null or l.version < $2)
         order by l.version desc limit $3
        """,
        product_id,
        start[0] if start else None,
        limit + 1,
    )
    return page(rows, limit, lambda row: (row.version,))


async def duplicates(tx: Tx, *, cursor: str | None = None, limit: int = 50) -> Page[Duplicate]:
    """Article numbers that more than one product carries, in order of number."""
    start = after(cursor, str)
    rows = await tx.rows(
        Duplicate,
        """
        select v.gtin, array_agg(distinct v.product_id) as product_ids
          from catalogue.variant v
         where v.gtin is not null and v.status <> 'archived' and ($1::text is null or v.gtin > $1)
         group by v.gtin having count(distinct v.product_id) > 1
         order by v.gtin limit $2
        """,
        start[0] if start else None,
        limit + 1,
    )
    return page(rows, limit, lambda row: (row.gtin,))
