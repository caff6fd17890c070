"""Duplicates: one article number in two products, made one."""

from __future__ import annotations

import uuid

from pinwheel.kernel.db import Tx
from pinwheel.trade.catalogue.model import Saved, VariantsMerged
from pinwheel.trade.catalogue.refusals import NotDuplicates
from pinwheel.trade.catalogue.writing import Item, locked, write


async def merge_duplicates(
    tx: Tx, kept_id: uuid.UUID, gone_ids: list[uuid.UUID], *, reason: str = ""
) -> Saved:
    """Make the products ``gone_ids`` one with ``kept_id``, variant by variant, by article number.

    A merged variant is archived and points to the one that stays; a product all of whose variants
    went is archived too, and its address leads on. What the kept product does not know yet (brand,
    description, weight, media) it takes over. Refuses ``NotDuplicates`` unless each product shares
    an article number with the kept one. 8 statements; ``revert`` takes it back."""
    items = await locked(tx, [kept_id, *gone_ids])
    kept = items.get(kept_id)
    if kept is None or kept.product.merged_into or kept_id in gone_ids or not gone_ids:
        raise NotDuplicates()
    pairs: list[tuple[uuid.UUID, uuid.UUID]] = []
    for gone_id in gone_ids:
        found = _pairs(items.get(gone_id), kept)
        if not found:
            raise NotDuplicates()
        pairs += found
        _absorb(items[gone_id], kept)
    await write(tx, "merge", reason, list(items.values()))
    tx.emit(VariantsMerged(pairs=tuple(pairs)))
    ids = {v.sku: v.id for v in kept.variants}
    return Saved(kept_id, kept.product.slug, kept.product.version, ids)


def _pairs(gone: Item | None, kept: Item) -> list[tuple[uuid.UUID, uuid.UUID]]:
    if gone is None or gone.product.merged_into is not None:
        return []
    by_gtin = {v.gtin: v for v in kept.variants if v.gtin and v.status != "archived"}
    pairs = []
    for variant in gone.variants:
        target = by_gtin.get(variant.gtin or "")
        if target is not None and variant.merged_into is None:
            variant.status, variant.merged_into = "archived", target.id
            target.weight_grams = target.weight_grams or variant.weight_grams
            pairs.append((variant.id, target.id))
    return pairs


def _absorb(gone: Item, kept: Item) -> None:
    mine, other = kept.product, gone.product
    mine.title = other.title | mine.title
    mine.description = other.description | mine.description
    mine.brand = mine.brand or other.brand
    mine.media = mine.media or other.media
    if all(variant.status == "archived" for variant in gone.variants):
        other.status, other.merged_into, other.publish_at = "archived", mine.id, None
