"""Verbs over products: save, publish, archive. Each takes a list and costs a constant number of
statements."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec
import nh3

from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade.catalogue.identifiers import read_gtin
from pinwheel.trade.catalogue.model import (
    Product,
    ProductDraft,
    Saved,
    Variant,
    VariantDraft,
    slug_of,
    unsound,
)
from pinwheel.trade.catalogue.refusals import (
    CategoryUnknown,
    ProductArchived,
    ProductIncomplete,
    ProductStale,
    ProductUnknown,
    SkuTaken,
    SlugTaken,
)
from pinwheel.trade.catalogue.schema import Schema, checked_all, missing
from pinwheel.trade.catalogue.writing import Item, locked, schemas, write

NAMELESS = "product"
"""The address of a title without a letter that could stand in one."""


class Names(msgspec.Struct):
    """Which slugs and SKUs are whose: judged and claimed while a list is gone through."""

    slugs: dict[str, uuid.UUID]
    skus: dict[str, uuid.UUID]


class _Owner(msgspec.Struct, frozen=True):
    kind: str
    name: str
    product_id: uuid.UUID


async def save_products(
    tx: Tx, drafts: Sequence[ProductDraft], *, reason: str = ""
) -> list[Saved | Refusal]:
    """Save each draft whole or refuse it, in order: a new product is a draft until it is published.

    Refuses ``ProductUnknown``, ``ProductUnsound``, ``ProductStale``, ``ProductArchived``,
    ``CategoryUnknown``, ``AttributeUnknown``, ``AttributeInvalid``, ``SkuTaken``, ``SlugTaken``,
    ``ProductIncomplete`` and what ``read_gtin`` refuses. A draft that equals what is stored writes
    nothing. At most 9 statements and one change set, whatever the length."""
    if not drafts:
        return []
    items = await locked(tx, (d.id for d in drafts if d.id is not None))
    held = await schemas(
        tx, (*(d.category_id for d in drafts), *(i.product.category_id for i in items.values()))
    )
    names = await names_taken(
        tx,
        {d.slug or slug_of(d.title) or NAMELESS for d in drafts},
        {v.sku for d in drafts for v in d.variants},
    )
    answers: list[Item | Refusal] = []
    for draft in drafts:
        try:
            answers.append(_drafted(tx.new_id, draft, items, held, names))
        except Refusal as refusal:
            answers.append(refusal)
    return await _finished(tx, "save", reason, answers)


async def names_taken(tx: Tx, slugs: Iterable[str], skus: Iterable[str]) -> Names:
    """Whose these slugs and SKUs are; a product's former slug is still its own. 1 statement."""
    owners = await tx.rows(
        _Owner,
        """
        select 'slug' as kind, slug as name, id as product_id from catalogue.product
         where slug = any($1::text[])
        union all
        select 'slug', slug, product_id from catalogue.former_slug where slug = any($1::text[])
        union all
        select 'sku', sku, product_id from catalogue.variant where sku = any($2::text[])
        """,
        sorted(set(slugs)),
        sorted(set(skus)),
    )
    return Names(
        {o.name: o.product_id for o in owners if o.kind == "slug"},
        {o.name: o.product_id for o in owners if o.kind == "sku"},
    )


def _saved(item: Item, fresh: bool) -> Saved:
    ids = {v.sku: v.id for v in item.variants}
    return Saved(item.product.id, item.product.slug, item.product.version, ids, fresh)


def _drafted(
    new_id: Callable[[], uuid.UUID],
    draft: ProductDraft,
    items: dict[uuid.UUID, Item],
    held: Mapping[uuid.UUID, Schema],
    names: Names,
) -> Item:
    """``draft`` as an item to write; raises a refusal and claims nothing."""
    refusal = unsound(draft)
    if refusal is not None:
        raise refusal
    item = _item_of(draft, items)
    if draft.category_id is not None and draft.category_id not in held:
        raise CategoryUnknown(category=draft.category_id)
    schema = held[draft.category_id] if draft.category_id else {}
    product_id = item.product.id if item else new_id()
    for variant in draft.variants:
        if names.skus.get(variant.sku, product_id) != product_id:
            raise SkuTaken(sku=variant.sku)
    product = Product(
        id=product_id,
        slug=_slug(draft, product_id, item, names),
        category_id=draft.category_id,
        title=_filled(draft.title),
        description=cleaned(draft.description),
        attributes=checked_all(schema, draft.attributes),
        brand=draft.brand.strip(),
        media=draft.media,
        channels=sorted(set(draft.channels)),
        status=item.product.status if item else "draft",
        publish_at=item.product.publish_at if item else None,
        merged_into=None,
        version=item.product.version if item else 1,
    )
    if item is not None and item.product.status == "published":
        lacking = missing(schema, product.attributes)
        if lacking:
            raise ProductIncomplete(lacks=", ".join(lacking))
    variants = _variants(new_id, draft.variants, product_id, item.variants if item else [])
    names.slugs[product.slug] = product_id
    names.skus.update((v.sku, product_id) for v in variants)
    # A second draft for one product in a list builds on the first.
    made = items.setdefault(product_id, Item(product, variants))
    made.product, made.variants = product, variants
    return made


def _item_of(draft: ProductDraft, items: Mapping[uuid.UUID, Item]) -> Item | None:
    if draft.id is None:
        return None
    item = items.get(draft.id)
    if item is None:
        raise ProductUnknown()
    if item.product.merged_into is not None:
        raise ProductArchived()
    if draft.version is not None and draft.version != item.product.version:
        raise ProductStale(found=item.product.version)
    return item


def _filled(words: Mapping[str, str]) -> dict[str, str]:
    return {language: text.strip() for language, text in words.items() if text.strip()}


def cleaned(words: Mapping[str, str]) -> dict[str, str]:
    """HTML without anything that runs or tracks, by language."""
    filled = _filled(words)
    return {
        language: nh3.clean(text) if "<" in text or "&" in text else text
        for language, text in filled.items()
    }


def _slug(draft: ProductDraft, product_id: uuid.UUID, item: Item | None, names: Names) -> str:
    if draft.slug:
        if names.slugs.get(draft.slug, product_id) != product_id:
            raise SlugTaken(slug=draft.slug)
        return draft.slug
    if item is not None:
        return item.product.slug
    made = slug_of(draft.title) or NAMELESS
    return (
        made if names.slugs.get(made, product_id) == product_id else f"{made}-{product_id.hex[-8:]}"
    )


def _variants(
    new_id: Callable[[], uuid.UUID],
    drafts: Sequence[VariantDraft],
    product_id: uuid.UUID,
    before: Sequence[Variant],
) -> list[Variant]:
    by_sku, by_id = {v.sku: v for v in before}, {v.id: v for v in before}
    kept: list[Variant] = []
    for position, draft in enumerate(drafts):
        old = by_id.get(draft.id) if draft.id else by_sku.get(draft.sku)
        if draft.id is not None and old is None:
            raise ProductUnknown()
        gtin = read_gtin(draft.gtin) if draft.gtin.strip() else None
        if isinstance(gtin, Refusal):
            raise gtin
        kept.append(
            Variant(
                id=old.id if old else new_id(),
                product_id=product_id,
                sku=draft.sku,
                gtin=gtin.code if gtin else None,
                options=draft.options,
                weight_grams=draft.weight_grams,
                tax_class=draft.tax_class,
                position=position,
                status=draft.status,
                merged_into=None,
            )
        )
    ids, skus = {v.id for v in kept}, {v.sku for v in kept}
    for old in before:
        if old.id not in ids:
            if old.sku in skus:
                raise SkuTaken(sku=old.sku)
            kept.append(msgspec.structs.replace(old, status="archived", position=len(kept)))
    return kept


async def publish(
    tx: Tx, product_ids: Sequence[uuid.UUID], at: dt.datetime | None = None, *, reason: str = ""
) -> list[Saved | Refusal]:
    """Publish each product now, or have it published at ``at``.

    Refuses ``ProductUnknown``, ``ProductArchived``, and ``ProductIncomplete`` with what is missing
    (a variant, or required attributes). At most 7 statements."""
    items = await locked(tx, product_ids)
    held = await schemas(tx, (i.product.category_id for i in items.values()))
    later = at is not None and at > tx.now
    answers: list[Item | Refusal] = []
    for product_id in product_ids:
        item = items.get(product_id)
        refusal = _unpublishable(item, held)
        if item is None or refusal is not None:
            answers.append(refusal or ProductUnknown())
            continue
        if item.product.status == "draft":
            item.product.publish_at = at if later else None
            item.product.status = "draft" if later else "published"
        answers.append(item)
    return await _finished(tx, "publish", reason, answers)


def _unpublishable(item: Item | None, held: Mapping[uuid.UUID, Schema]) -> Refusal | None:
    if item is None:
        return ProductUnknown()
    if item.product.status == "archived":
        return ProductArchived()
    lacks = []
    if not any(variant.status == "published" for variant in item.variants):
        lacks.append("variant")
    if item.product.category_id is not None:
        lacks += missing(held[item.product.category_id], item.product.attributes)
    return ProductIncomplete(lacks=", ".join(lacks)) if lacks else None


async def unpublish(
    tx: Tx, product_ids: Sequence[uuid.UUID], *, reason: str = ""
) -> list[Saved | Refusal]:
    """Make each product a draft again, from published or from archived; a planned publication is
    called off. Refuses ``ProductUnknown``, and ``ProductArchived`` for one that was merged."""
    return await _become(tx, product_ids, "draft", "publish", reason)


async def archive(
    tx: Tx, product_ids: Sequence[uuid.UUID], *, reason: str = ""
) -> list[Saved | Refusal]:
    """Take each product out of sale for good; its page, history and orders stay. Refuses
    ``ProductUnknown``."""
    return await _become(tx, product_ids, "archived", "archive", reason)


async def _become(
    tx: Tx, product_ids: Sequence[uuid.UUID], status: str, kind: str, reason: str
) -> list[Saved | Refusal]:
    items = await locked(tx, product_ids)
    answers: list[Item | Refusal] = []
    for product_id in product_ids:
        item = items.get(product_id)
        if item is None:
            answers.append(ProductUnknown())
        elif item.product.merged_into is not None and status != "archived":
            answers.append(ProductArchived())
        else:
            item.product.status = "archived" if status == "archived" else "draft"
            item.product.publish_at = None
            answers.append(item)
    return await _finished(tx, kind, reason, answers)


async def _finished(
    tx: Tx, kind: str, reason: str, answers: Sequence[Item | Refusal]
) -> list[Saved | Refusal]:
    distinct = {a.product.id: a for a in answers if isinstance(a, Item)}
    _, changed = await write(tx, kind, reason, list(distinct.values()))
    return [_saved(a, a.product.id in changed) if isinstance(a, Item) else a for a in answers]
