"""A small catalogue to test with."""

import uuid
from typing import Any

from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import Refusal
from pinwheel.trade import catalogue


async def category(db: Database, slug: str, parent: str = "") -> catalogue.Category:
    async with db.transaction(actor="test") as tx:
        draft = catalogue.CategoryDraft(slug=slug, name={"en": slug.title()}, parent=parent)
        [made] = await catalogue.save_categories(tx, [draft])
    assert isinstance(made, catalogue.Category), made
    return made


def attribute(category_id: uuid.UUID, code: str, kind: str, **more: Any) -> catalogue.Attribute:
    return catalogue.Attribute(
        **{"category_id": category_id, "code": code, "kind": kind, "label": {"en": code}} | more
    )


async def attributes(
    db: Database, *wanted: catalogue.Attribute
) -> list[catalogue.Attribute | Refusal]:
    async with db.transaction(actor="test") as tx:
        return await catalogue.save_attributes(tx, wanted)


def draft(name: str, *skus: str, **more: Any) -> catalogue.ProductDraft:
    variants = [catalogue.VariantDraft(sku=sku) for sku in skus]
    return catalogue.ProductDraft(**{"title": {"en": name}, "variants": variants} | more)


async def save(db: Database, *drafts: catalogue.ProductDraft) -> list[catalogue.Saved | Refusal]:
    async with db.transaction(actor="test") as tx:
        return await catalogue.save_products(tx, drafts)


async def saved(db: Database, *drafts: catalogue.ProductDraft) -> list[catalogue.Saved]:
    answers = await save(db, *drafts)
    for answer in answers:
        assert isinstance(answer, catalogue.Saved), answer
    return [a for a in answers if isinstance(a, catalogue.Saved)]


async def publish(db: Database, *ids: uuid.UUID) -> list[catalogue.Saved | Refusal]:
    async with db.transaction(actor="test") as tx:
        return await catalogue.publish(tx, ids)


async def stored(
    db: Database, product_id: uuid.UUID
) -> tuple[catalogue.Product, list[catalogue.Variant]]:
    async with db.reading() as tx:
        return await catalogue.product(tx, product_id)
