"""Nouns of the catalogue: categories, products, variants, what is saved and what happened."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

import msgspec
from pypinyin import lazy_pinyin

from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import Event
from pinwheel.trade.catalogue.refusals import ProductUnsound

Status = Literal["draft", "published", "archived"]
Words = dict[str, str]
"""Text by language: ``{"en": …, "zh-CN": …}``."""
MOST_VARIANTS = 2_000


class CategoryDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A category to be opened, or renamed: ``slug`` names it, ``parent`` is a slug or ''."""

    slug: str
    name: Words
    parent: str = ""
    position: int = 0


class Category(msgspec.Struct, frozen=True):
    """``path``: the ids from the root down to this one."""

    id: uuid.UUID
    parent_id: uuid.UUID | None
    slug: str
    name: Words
    path: list[uuid.UUID]
    position: int


class VariantDraft(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that can be bought. ``id`` None: the product's variant with this SKU, or a new one.
    ``gtin`` is read and mended (``read_gtin``). ``options``: what sets it apart, {"Size": "M"}."""

    sku: str
    id: uuid.UUID | None = None
    gtin: str = ""
    options: Words = {}
    weight_grams: int | None = None
    tax_class: str = "standard"
    status: Status = "published"


class ProductDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A product as it shall be, whole: a variant that is left out is archived.

    ``id`` None: a new one. ``slug`` '': made from the title, or the one it has. ``attributes`` by
    code, as ``checked`` reads them. ``description``: HTML by language, cleaned when saved.
    ``media``: [{"url": …, "alt": {…}}]. ``version``: refuse if another one was saved since."""

    title: Words
    id: uuid.UUID | None = None
    slug: str = ""
    category_id: uuid.UUID | None = None
    description: Words = {}
    attributes: dict[str, Any] = {}
    brand: str = ""
    media: list[dict[str, Any]] = []
    channels: tuple[str, ...] = ("web",)
    variants: list[VariantDraft] = []
    version: int | None = None


class Saved(msgspec.Struct, frozen=True):
    """``variant_ids`` by SKU. ``fresh`` is False when nothing was different."""

    product_id: uuid.UUID
    slug: str
    version: int
    variant_ids: dict[str, uuid.UUID]
    fresh: bool = True


class Product(msgspec.Struct):
    """A product as it is stored."""

    id: uuid.UUID
    slug: str
    category_id: uuid.UUID | None
    title: Words
    description: Words
    attributes: dict[str, Any]
    brand: str
    media: list[dict[str, Any]]
    channels: list[str]
    status: Status
    publish_at: dt.datetime | None
    merged_into: uuid.UUID | None
    version: int


class Variant(msgspec.Struct):
    """A variant as it is stored."""

    id: uuid.UUID
    product_id: uuid.UUID
    sku: str
    gtin: str | None
    options: Words
    weight_grams: int | None
    tax_class: str
    position: int
    status: Status
    merged_into: uuid.UUID | None


class BulkEdit(msgspec.Struct, frozen=True, kw_only=True):
    """The same change to many products. ``set``: field → value, where a field is ``brand``,
    ``category_id``, ``channels``, ``title.LANGUAGE``, ``description.LANGUAGE``,
    ``attributes.CODE`` (None takes it away), ``tax_class`` or ``weight_grams`` (of every
    variant)."""

    product_ids: list[uuid.UUID]
    set: dict[str, Any]
    reason: str


class Edited(msgspec.Struct, frozen=True):
    """One change set: what it changed, what was so already, and what was refused."""

    change_id: uuid.UUID | None
    changed: list[uuid.UUID]
    unchanged: int
    refused: list[tuple[uuid.UUID, Refusal]]


class Conflict(msgspec.Struct, frozen=True):
    """A field that a revert left alone: it was changed since, or its old value can't come back."""

    product_id: uuid.UUID
    field: str
    expected: Any
    found: Any


class Reverted(msgspec.Struct, frozen=True):
    change_id: uuid.UUID | None
    reverted: list[uuid.UUID]
    conflicts: list[Conflict]


class ProductChanged(Event, frozen=True, kw_only=True):
    """These products, or their variants, are not what they were."""

    product_ids: tuple[uuid.UUID, ...]
    change_id: uuid.UUID


class CategoriesChanged(Event, frozen=True, kw_only=True):
    """Categories or their attributes are not what they were."""

    category_ids: tuple[uuid.UUID, ...]


class VariantsMerged(Event, frozen=True, kw_only=True):
    """Duplicates became one: what is sold or stocked as ``gone`` goes on as ``kept``."""

    pairs: tuple[tuple[uuid.UUID, uuid.UUID], ...]  # (gone, kept)


class VariantsSplit(Event, frozen=True, kw_only=True):
    """A merge was taken back: ``gone`` is a variant of its own again."""

    pairs: tuple[tuple[uuid.UUID, uuid.UUID], ...]  # (gone, kept)


def slug_of(words: Mapping[str, str]) -> str:
    """An address from a title: English, else any language; Chinese by its pinyin; '' when no letter
    is left."""
    text = next((words[k] for k in ("en", *words) if words.get(k)), "")[:120]
    if any(0x3400 <= ord(c) <= 0x9FFF for c in text):
        text = " ".join(lazy_pinyin(text))
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain.replace("'", "")).strip("-")[:80].rstrip("-")


SLUG = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
# Control characters and halves of surrogate pairs: PostgreSQL and UTF-8 have no place for them.
UNREADABLE = re.compile(
    "[" + "".join(map(chr, (*range(9), 11, 12, *range(14, 32)))) + f"{chr(0xD800)}-{chr(0xDFFF)}]"
)


def unsound(draft: ProductDraft) -> ProductUnsound | None:
    """What is wrong with ``draft`` by itself."""
    for where, why, why_zh in _faults(draft):
        return ProductUnsound(where=where, why=why, why_zh=why_zh)
    return None


def _faults(draft: ProductDraft) -> Iterable[tuple[str, str, str]]:
    if not any(text.strip() for text in draft.title.values()):
        yield "title", "it is empty", "不能为空"
    yield from _unfit("title", draft.title.values(), 500)
    yield from _unfit("description", draft.description.values(), 200_000)
    yield from _unfit("brand", [draft.brand], 200)
    for field, words in (("title", draft.title), ("description", draft.description)):
        if not words.keys() <= {"en", "zh-CN"}:
            yield field, "its languages are en and zh-CN", "语言只能是 en 或 zh-CN"
    if draft.slug and not SLUG.fullmatch(draft.slug):
        yield "slug", "use small letters, digits and hyphens", "只能使用小写字母、数字和连字符"
    for medium in draft.media:
        if not re.match(r"https?://|/(?!/)", str(medium.get("url", ""))):
            yield "media", "an address starts with https:// or /", "地址须以 https:// 或 / 开头"
    if len(draft.variants) > MOST_VARIANTS:
        yield "variants", f"at most {MOST_VARIANTS}", f"最多 {MOST_VARIANTS} 个"
    yield from _variant_faults(draft.variants)


def _variant_faults(variants: Sequence[VariantDraft]) -> Iterable[tuple[str, str, str]]:
    skus = [variant.sku for variant in variants]
    if len(set(skus)) < len(skus):
        yield "sku", "two variants have the same", "两个规格的 SKU 相同"
    yield from _unfit("sku", skus, 100)
    for variant in variants:
        if not variant.sku or variant.sku != variant.sku.strip():
            yield "sku", "it is empty or has blanks around it", "为空或首尾有空格"
        if variant.weight_grams is not None and not 0 <= variant.weight_grams < 10**9:
            yield "weight_grams", "it is negative or beyond reason", "为负数或超出合理范围"
        yield from _unfit("options", (*variant.options, *variant.options.values()), 200)


def _unfit(where: str, texts: Iterable[str], most: int) -> Iterable[tuple[str, str, str]]:
    for text in texts:
        if len(text) > most:
            yield where, f"at most {most} characters", f"最多 {most} 个字符"
        if UNREADABLE.search(text):
            yield where, "it has characters that can't be read", "含有无法识别的字符"


def differing(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """The fields that are not the same in both; absent differs from everything."""
    absent = object()
    return sorted(
        f for f in before.keys() | after.keys() if before.get(f, absent) != after.get(f, absent)
    )


_OWN = [f.name for f in msgspec.structs.fields(Product) if f.name not in ("id", "version")]
_PARTS = [f.name for f in msgspec.structs.fields(Variant) if f.name not in ("id", "product_id")]


def flat(product: Product, variants: Sequence[Variant]) -> dict[str, Any]:
    """A product with its variants field by field, in JSON's own types: what history compares."""
    whole = msgspec.to_builtins(product)
    fields = {name: whole[name] for name in _OWN if name != "attributes"}
    for code, value in whole["attributes"].items():
        fields[f"attributes.{code}"] = value
    for variant in variants:
        parts = msgspec.to_builtins(variant)
        for name in _PARTS:
            fields[f"variants.{variant.id}.{name}"] = parts[name]
    return fields


def unflat(product: Product, fields: Mapping[str, Any]) -> tuple[Product, list[Variant]]:
    """The inverse of ``flat``."""
    whole: dict[str, Any] = {"id": product.id, "version": product.version, "attributes": {}}
    parts: dict[str, dict[str, Any]] = {}
    for field, value in fields.items():
        first, _, rest = field.partition(".")
        if first == "attributes":
            whole["attributes"][rest] = value
        elif first == "variants":
            variant_id, _, name = rest.partition(".")
            parts.setdefault(variant_id, {"id": variant_id, "product_id": product.id})[name] = value
        else:
            whole[field] = value
    variants = [msgspec.convert(part, Variant) for part in parts.values()]
    return msgspec.convert(whole, Product), sorted(variants, key=lambda v: (v.position, v.id))
