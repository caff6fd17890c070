"""How a change to products is read under lock and written: one change set, a few statements."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.trade.catalogue.model import Product, ProductChanged, Variant, differing, flat
from pinwheel.trade.catalogue.schema import Attribute, Schema

CATALOGUE_LOCK = 0x50574341
"""Held while SKUs and slugs are judged and written: two writers can't both find one free."""


class Item(msgspec.Struct):
    """A product being changed, and how it was before; None for a new one."""

    product: Product
    variants: list[Variant]
    before: dict[str, Any] | None = None


class Touched(msgspec.Struct, frozen=True):
    """One line of a change set."""

    product_id: uuid.UUID
    version: int
    before: dict[str, Any]
    after: dict[str, Any]


async def locked(tx: Tx, product_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, Item]:
    """The products that exist, with their variants, locked in the order of id. 3 statements."""
    await tx.run("select pg_advisory_xact_lock($1)", CATALOGUE_LOCK)
    ids = sorted(set(product_ids))
    if not ids:
        return {}
    products = await tx.rows(
        Product,
        """
        select id, slug, category_id, title, description, attributes, brand, media, channels,
               status, publish_at, merged_into, version
          from catalogue.product where id = any($1::uuid[]) order by id for update
        """,
        ids,
    )
    variants = await tx.rows(
        Variant,
        """
        select id, product_id, sku, gtin, options, weight_grams, tax_class, position, status,
               merged_into
          from catalogue.variant where product_id = any($1::uuid[]) order by position, id
        """,
        ids,
    )
    grouped: dict[uuid.UUID, list[Variant]] = {}
    for variant in variants:
        grouped.setdefault(variant.product_id, []).append(variant)
    return {p.id: Item(p, grouped.get(p.id, []), flat(p, grouped.get(p.id, []))) for p in products}


async def schemas(tx: Tx, category_ids: Iterable[uuid.UUID | None]) -> dict[uuid.UUID, Schema]:
    """The attributes that hold in each category, by code. A category that is not there is left out.
    1 statement."""
    found = await tx.rows(
        _Held,
        """
        select c.category_id as held_by, a.defined_by, a.code, a.label, a.kind, a.unit, a.choices,
               a.minimum, a.maximum, a.many, a.required, a.facet, a.searchable, a.position
          from catalogue.v_category c
          left join catalogue.v_attribute a on a.category_id = c.category_id
         where c.category_id = any($1::uuid[]) order by c.category_id, a.position, a.code
        """,
        sorted({c for c in category_ids if c is not None}),
    )
    held: dict[uuid.UUID, dict[str, Attribute]] = {}
    for row in found:
        schema = held.setdefault(row.held_by, {})
        if row.code is not None:
            fields = msgspec.structs.asdict(row)
            del fields["held_by"]
            fields["category_id"] = fields.pop("defined_by")
            schema[row.code] = msgspec.convert(fields, Attribute)
    return dict(held)


class _Held(msgspec.Struct, frozen=True):
    held_by: uuid.UUID
    defined_by: uuid.UUID | None
    code: str | None
    label: Any
    kind: str | None
    unit: str | None
    choices: Any
    minimum: float | None
    maximum: float | None
    many: bool | None
    required: bool | None
    facet: bool | None
    searchable: bool | None
    position: int | None


async def write(
    tx: Tx,
    kind: str,
    reason: str,
    items: Sequence[Item],
    *,
    reverts: uuid.UUID | None = None,
) -> tuple[uuid.UUID | None, set[uuid.UUID]]:
    """Write what changed as one change set: its id and the products that changed, or None and
    nothing when no item is different. At most 4 statements."""
    touched, changed, slugs = [], [], dict[str, uuid.UUID]()
    for item in items:
        after, before = flat(item.product, item.variants), item.before or {}
        fields = differing(before, after)
        if not fields:
            continue
        known = item.before is not None
        item.product.version += known
        changed.append(item)
        # What a new product began with is the `before` of whatever comes next: not kept twice.
        touched.append(
            Touched(
                item.product.id,
                item.product.version,
                {f: before[f] for f in fields if f in before},
                {f: after[f] for f in fields if f in after} if known else {},
            )
        )
        if known and "slug" in fields:
            slugs[before["slug"]] = item.product.id
    if not changed:
        return None, set()
    change_id = tx.new_id()
    if slugs:
        await _keep_slugs(tx, slugs, [item.product.slug for item in changed])
    await _write_products(tx, changed)
    await _write_variants(tx, changed)
    await _write_change(tx, change_id, kind, reason, touched, reverts)
    ids = {item.product.id for item in changed}
    tx.emit(ProductChanged(product_ids=tuple(sorted(ids)), change_id=change_id))
    return change_id, ids


async def _keep_slugs(tx: Tx, former: Mapping[str, uuid.UUID], present: Sequence[str]) -> None:
    await tx.run(
        """
        with back as (delete from catalogue.former_slug where slug = any($4::text[]))
        insert into catalogue.former_slug (slug, product_id, until)
        select f.slug, f.product_id, $3
          from unnest($1::text[], $2::uuid[]) as f(slug, product_id)
        on conflict (slug) do update set product_id = excluded.product_id, until = excluded.until
        """,
        list(former),
        list(former.values()),
        tx.now,
        list(present),
    )


async def _write_products(tx: Tx, items: Sequence[Item]) -> None:
    await tx.run(
        """
        insert into catalogue.product (id, slug, category_id, title, description, attributes,
          brand, media, channels, status, publish_at, merged_into, version, created_at, updated_at)
        select r.*, $2, $2
          from jsonb_to_recordset($1::jsonb) as r(id uuid, slug text, category_id uuid, title jsonb,
               description jsonb, attributes jsonb, brand text, media jsonb, channels text[],
               status text, publish_at timestamptz, merged_into uuid, version int)
        on conflict (id) do update
           set slug = excluded.slug, category_id = excluded.category_id, title = excluded.title,
               description = excluded.description, attributes = excluded.attributes,
               brand = excluded.brand, media = excluded.media, channels = excluded.channels,
               status = excluded.status, publish_at = excluded.publish_at,
               merged_into = excluded.merged_into, version = excluded.version,
               updated_at = excluded.updated_at
        """,
        [item.product for item in items],
        tx.now,
    )


async def _write_variants(tx: Tx, items: Sequence[Item]) -> None:
    await tx.run(
        """
        insert into catalogue.variant (id, product_id, sku, gtin, options, weight_grams,
          tax_class, position, status, merged_into, created_at, updated_at)
        select r.*, $2, $2
          from jsonb_to_recordset($1::jsonb) as r(id uuid, product_id uuid, sku text, gtin text,
               options jsonb, weight_grams int, tax_class text, position int, status text,
               merged_into uuid)
        on conflict (id) do update
           set sku = excluded.sku, gtin = excluded.gtin, options = excluded.options,
               weight_grams = excluded.weight_grams, tax_class = excluded.tax_class,
               position = excluded.position, status = excluded.status,
               merged_into = excluded.merged_into, updated_at = excluded.updated_at
        """,
        [variant for item in items for variant in item.variants],
        tx.now,
    )


async def _write_change(
    tx: Tx,
    change_id: uuid.UUID,
    kind: str,
    reason: str,
    touched: Sequence[Touched],
    reverts: uuid.UUID | None,
) -> None:
    await tx.run(
        """
        with change as (
          insert into catalogue.change (id, kind, reason, actor, at, reverts)
          values ($1, $2, $3, $4, $5, $6)
        )
        insert into catalogue.change_line (change_id, product_id, version, before, after)
        select $1, r.*
          from jsonb_to_recordset($7::jsonb) as r(product_id uuid, version int, before jsonb,
               after jsonb)
        """,
        change_id,
        kind,
        reason,
        tx.actor,
        tx.now,
        reverts,
        touched,
    )
