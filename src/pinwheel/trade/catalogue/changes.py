"""Verbs over change sets: the same edit for many products, and taking any change back as one."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade.catalogue.actions import Names, cleaned, names_taken
from pinwheel.trade.catalogue.model import (
    BulkEdit,
    Conflict,
    Edited,
    Reverted,
    VariantsSplit,
    unflat,
)
from pinwheel.trade.catalogue.refusals import (
    CategoryUnknown,
    ChangeReverted,
    ChangeUnknown,
    FieldUnknown,
    ProductIncomplete,
    ProductUnknown,
    ProductUnsound,
)
from pinwheel.trade.catalogue.schema import Schema, checked_all, missing
from pinwheel.trade.catalogue.writing import Item, locked, schemas, write

_ABSENT = object()
_PLAIN: dict[str, Any] = {
    "brand": str,
    "category_id": uuid.UUID | None,
    "channels": list[str],
    "tax_class": str,
    "weight_grams": int | None,
}


async def edit_many(tx: Tx, edit: BulkEdit) -> Edited:
    """Make the same change to many products, as one change set that ``revert`` takes back.

    Refuses the whole edit for ``FieldUnknown``, ``ProductUnsound`` or ``CategoryUnknown``; refuses
    a single product for ``ProductUnknown``, ``AttributeUnknown``, ``AttributeInvalid`` or
    ``ProductIncomplete``, and leaves it as it is. 8 statements, whatever the number."""
    values = _checked_fields(edit.set)
    items = await locked(tx, edit.product_ids)
    category_id = values.get("category_id")
    held = await schemas(tx, (category_id, *(i.product.category_id for i in items.values())))
    if category_id is not None and category_id not in held:
        raise CategoryUnknown(category=category_id)
    refused: list[tuple[uuid.UUID, Refusal]] = []
    sound: list[Item] = []
    for product_id in dict.fromkeys(edit.product_ids):
        if product_id not in items:
            refused.append((product_id, ProductUnknown()))
            continue
        try:
            sound.append(_edited(items[product_id], values, held))
        except Refusal as refusal:
            refused.append((product_id, refusal))
    change_id, changed = await write(tx, "edit", edit.reason, sound)
    return Edited(change_id, sorted(changed), len(sound) - len(changed), refused)


def _checked_fields(fields: Mapping[str, Any]) -> dict[str, Any]:
    values = dict(fields)
    for field, value in fields.items():
        first, _, rest = field.partition(".")
        if first in ("title", "description") and rest in ("en", "zh-CN"):
            kind: Any = str | None
        elif first == "attributes" and rest:
            continue
        elif field in _PLAIN:
            kind = _PLAIN[field]
        else:
            raise FieldUnknown(field=field)
        try:
            values[field] = msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            raise ProductUnsound(where=field, why=str(error), why_zh="类型不符") from error
    if values.get("weight_grams") is not None and values["weight_grams"] < 0:
        raise ProductUnsound(where="weight_grams", why="it is negative", why_zh="不能为负数")
    return values


def _edited(item: Item, values: Mapping[str, Any], held: Mapping[uuid.UUID, Schema]) -> Item:
    product, variants = msgspec.structs.replace(item.product), list(item.variants)
    words = {"title": dict(product.title), "description": dict(product.description)}
    attributes = dict(product.attributes)
    for field, value in values.items():
        first, _, rest = field.partition(".")
        if first in words:
            words[first][rest] = value or ""
        elif first == "attributes":
            attributes[rest] = value
        elif field in ("tax_class", "weight_grams"):
            variants = [msgspec.structs.replace(v, **{field: value}) for v in variants]
        else:
            setattr(product, field, value)
    product.title, product.description = cleaned(words["title"]), cleaned(words["description"])
    if not product.title:
        raise ProductUnsound(where="title", why="it is empty", why_zh="不能为空")
    schema = held[product.category_id] if product.category_id else {}
    product.attributes = checked_all(schema, attributes)
    lacking = missing(schema, product.attributes)
    if product.status == "published" and lacking:
        raise ProductIncomplete(lacks=", ".join(lacking))
    item.product, item.variants = product, variants
    return item


class _Line(msgspec.Struct, frozen=True):
    product_id: uuid.UUID
    before: dict[str, Any]
    after: dict[str, Any]
    created: bool


async def revert(tx: Tx, change_id: uuid.UUID, *, reason: str = "") -> Reverted:
    """Take a change set back in one act: every field it changed gets its old value again.

    A field that was changed since, or whose old value can't come back (an address or SKU that is
    taken, an attribute that is gone), is left alone and named in ``conflicts``. A product that the
    change made is archived. Refuses ``ChangeUnknown`` and ``ChangeReverted``. 9 statements."""
    await _claim(tx, change_id)
    lines = await tx.rows(
        _Line,
        """
        select l.product_id, l.before, l.after, l.before = '{}' and l.version = 1 as created
          from catalogue.change_line l where l.change_id = $1 order by l.product_id
        """,
        change_id,
    )
    items = await locked(tx, (line.product_id for line in lines))
    names = await names_taken(tx, *_names_of(lines))
    held = await schemas(
        tx,
        (
            *(i.product.category_id for i in items.values()),
            *(uuid.UUID(x.before["category_id"]) for x in lines if x.before.get("category_id")),
        ),
    )
    conflicts: list[Conflict] = []
    for line in lines:
        _take_back(items[line.product_id], line, names, held, conflicts)
    done, changed = await write(tx, "revert", reason, list(items.values()), reverts=change_id)
    split = [pair for line in lines if line.product_id in changed for pair in _split(line)]
    if split:
        tx.emit(VariantsSplit(pairs=tuple(split)))
    return Reverted(done, sorted(changed), conflicts)


async def _claim(tx: Tx, change_id: uuid.UUID) -> None:
    reverted = await tx.value(
        """
        select exists (select from catalogue.change r where r.reverts = c.id)
          from catalogue.change c where c.id = $1 for update
        """,
        change_id,
    )
    if reverted is None:
        raise ChangeUnknown()
    if reverted:
        raise ChangeReverted()


def _names_of(lines: Iterable[_Line]) -> tuple[set[str], set[str]]:
    """The slugs and SKUs that would come back."""
    slugs, skus = set(), set()
    for line in lines:
        for field, value in line.before.items():
            if field == "slug":
                slugs.add(value)
            elif field.endswith(".sku"):
                skus.add(value)
    return slugs, skus


def _take_back(
    item: Item,
    line: _Line,
    names: Names,
    held: Mapping[uuid.UUID, Schema],
    conflicts: list[Conflict],
) -> None:
    if line.created:
        item.product.status, item.product.publish_at = "archived", None
        return
    now = item.before or {}
    fields = dict(now)
    category = line.before.get("category_id") or now["category_id"]
    schema = held.get(uuid.UUID(category), {}) if category else {}
    for field in sorted(line.before.keys() | line.after.keys()):
        old, set_to = line.before.get(field, _ABSENT), line.after.get(field, _ABSENT)
        found = now.get(field, _ABSENT)
        if found != set_to or _blocked(item, field, old, names, schema):
            conflicts.append(Conflict(item.product.id, field, _shown(set_to), _shown(found)))
        elif old is not _ABSENT:
            fields[field] = old
        elif field.startswith("variants."):
            fields[field.rsplit(".", 1)[0] + ".status"] = "archived"  # its orders still name it
        else:
            del fields[field]
    product, variants = unflat(item.product, fields)
    final = held.get(product.category_id, {}) if product.category_id else {}
    if product.attributes.keys() <= final.keys():
        item.product, item.variants = product, variants
    else:  # values given since belong to the category it has now: this product stays as it is
        conflicts.append(
            Conflict(item.product.id, "category_id", str(product.category_id), now["category_id"])
        )


def _blocked(item: Item, field: str, old: Any, names: Names, schema: Schema) -> bool:
    if field == "slug":
        return names.slugs.get(old, item.product.id) != item.product.id
    if field.endswith(".sku") and old is not _ABSENT:
        return names.skus.get(old, item.product.id) != item.product.id
    if field.startswith("attributes.") and old is not _ABSENT:
        code = field.removeprefix("attributes.")
        try:
            return bool(checked_all(schema, {code: old}) != {code: old})
        except Refusal:
            return True
    return False


def _shown(value: Any) -> Any:
    return None if value is _ABSENT else value


def _split(line: _Line) -> Iterable[tuple[uuid.UUID, uuid.UUID]]:
    for field, value in line.after.items():
        if field.startswith("variants.") and field.endswith(".merged_into") and value:
            yield uuid.UUID(field.split(".")[1]), uuid.UUID(value)
