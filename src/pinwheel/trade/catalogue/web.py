"""The product routes of the open API: what a program keeps a catalogue with."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Invalid, Refusal
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, Each, each, get, post, put
from pinwheel.trade.catalogue import actions, queries
from pinwheel.trade.catalogue.identifiers import GtinCheckDigit
from pinwheel.trade.catalogue.model import Product, ProductDraft, Saved, Status, Variant
from pinwheel.trade.catalogue.model import VariantDraft as Draft
from pinwheel.trade.catalogue.queries import Change, ProductLine
from pinwheel.trade.catalogue.refusals import ProductIncomplete, ProductUnknown, SkuTaken
from pinwheel.trade.catalogue.schema import Attribute, Language

READ, WRITE = "catalogue:read", "catalogue:write"
TAGS = ("catalogue",)
PLANNED_AHEAD = dt.timedelta(days=3650)
Limit = Annotated[int, Meta(ge=1, le=200)]
Cursor = Annotated[str, Meta(max_length=500)]
Reason = Annotated[str, Meta(max_length=500)]
Slug = Annotated[str, Meta(max_length=80)]
Code = Annotated[str, Meta(min_length=1, max_length=63)]
Title = dict[Language, Annotated[str, Meta(max_length=500)]]
Html = dict[Language, Annotated[str, Meta(max_length=200_000)]]
Channel = Annotated[str, Meta(min_length=1, max_length=40)]
Option = Annotated[str, Meta(min_length=1, max_length=200)]
Value = (
    Annotated[str, Meta(max_length=20_000)]
    | Annotated[int, Meta(ge=-(2**53), le=2**53)]
    | float
    | bool
    | Annotated[list[Annotated[str, Meta(max_length=200)]], Meta(max_length=200)]
    | dict[Language, Annotated[str, Meta(max_length=20_000)]]
    | None
)
"""A value of an attribute, as its kind reads it: text (also by language), a number (also with its
unit, ``1.5 kg``), yes or no, a choice's code or several, a date ``YYYY-MM-DD``."""


class VariantInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that can be bought. Without ``id``: the product's variant with this SKU, or a new
    one. ``gtin``: 8 to 14 digits or an ISBN. ``options``: what sets it apart, {"Size": "M"}."""

    sku: Annotated[str, Meta(min_length=1, max_length=100)]
    id: UUID | None = None
    gtin: Annotated[str, Meta(max_length=40)] = ""
    options: Annotated[dict[Option, Option], Meta(max_length=20)] = {}
    weight_grams: Annotated[int, Meta(ge=0, lt=10**9)] | None = None
    tax_class: Annotated[str, Meta(min_length=1, max_length=40)] = "standard"
    status: Status = "published"


class Picture(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``url``: https://…, or a path of this shop; ``alt``: what is to be seen, by language."""

    url: Annotated[str, Meta(min_length=1, max_length=2000)]
    alt: Title = {}


class ProductInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A product as it shall be, whole: a variant that is left out is archived. Without ``id`` it is
    a new one. ``version``: refuse if it was saved since that one. ``description`` may be HTML."""

    title: Title
    id: UUID | None = None
    slug: Annotated[str, Meta(max_length=120)] = ""
    category_id: UUID | None = None
    description: Html = {}
    attributes: Annotated[dict[Code, Value], Meta(max_length=200)] = {}
    brand: Annotated[str, Meta(max_length=200)] = ""
    media: Annotated[list[Picture], Meta(max_length=50)] = []
    channels: Annotated[tuple[Channel, ...], Meta(max_length=20)] = ("web",)
    variants: Annotated[list[VariantInput], Meta(max_length=2000)] = []
    version: Annotated[int, Meta(ge=1, lt=2**31)] | None = None


class Products(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``reason`` stands in the history of each."""

    products: Annotated[list[ProductInput], Meta(min_length=1, max_length=200)]
    reason: Reason = ""


class Which(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``reason`` stands in the history of each."""

    ids: Annotated[list[UUID], Meta(min_length=1, max_length=1000)]
    reason: Reason = ""


class Publication(Which, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``at``: publish then, with an offset from UTC; without it, now."""

    at: Annotated[dt.datetime, Meta(tz=True)] | None = None


class ProductSight(msgspec.Struct, frozen=True):
    """A product as its editor sees it. ``attributes``: what its category asks for; ``history``:
    what happened to it, the latest first."""

    product: Product
    variants: list[Variant]
    attributes: list[Attribute]
    history: Page[Change]


@get("/api/v1/catalogue/products", scope=READ, tags=TAGS)
async def list_products(
    tx: Tx,
    status: Status | None = None,
    category: Slug | None = None,
    after: Cursor | None = None,
    limit: Limit = 50,
) -> Answer[Page[ProductLine]]:
    """Products, drafts and archived ones too, in the order they were made. ``category`` is a slug
    and stands for everything below it."""
    category_id = (await queries.category(tx, category)).id if category else None
    found = await queries.products(
        tx, category_id=category_id, status=status, cursor=after, limit=limit
    )
    return Answer(found)


@put(
    "/api/v1/catalogue/products",
    scope=WRITE,
    once=True,
    body_bytes=10_000_000,
    refusals=(SkuTaken, GtinCheckDigit),
    tags=TAGS,
)
async def save_products(call: Call, tx: Tx, data: Products) -> Answer[list[Each[Saved]]]:
    """Save products whole, each for itself. A new one is a draft until it is published; one that
    does not differ from what is stored writes nothing."""
    drafts = [_draft_of(one) for one in data.products]
    answers = await actions.save_products(tx, drafts, reason=data.reason)
    return Answer(each(answers, call.language))


def _draft_of(one: ProductInput) -> ProductDraft:
    fields = {name: getattr(one, name) for name in one.__struct_fields__}
    variants = [Draft(**msgspec.structs.asdict(v)) for v in one.variants]
    media = [{"url": p.url, "alt": p.alt} for p in one.media]
    return ProductDraft(**fields | {"variants": variants, "media": media})


@get("/api/v1/catalogue/products/{product_id:uuid}", scope=READ, tags=TAGS)
async def see_product(
    tx: Tx, product_id: UUID, after: Cursor | None = None, limit: Limit = 20
) -> Answer[ProductSight]:
    """One product as its editor sees it, with its variants and its history. ``after`` goes on in
    the history."""
    product, variants = await queries.product(tx, product_id)
    category_id = product.category_id
    attributes = await queries.attributes(tx, category_id) if category_id else []
    history = await queries.history(tx, product_id, cursor=after, limit=limit)
    return Answer(ProductSight(product, variants, attributes, history))


@post(
    "/api/v1/catalogue/products/publish",
    scope=WRITE,
    once=True,
    refusals=(ProductIncomplete, ProductUnknown),
    tags=TAGS,
)
async def publish(call: Call, tx: Tx, data: Publication) -> Answer[list[Each[Saved]]]:
    """Publish products now or at a planned time, each for itself. One that lacks a variant or a
    required attribute is refused with what is missing."""
    if data.at is not None and data.at > tx.now + PLANNED_AHEAD:
        raise Invalid("at", "at most ten years ahead", "最多可提前十年计划")
    return _each(call, await actions.publish(tx, data.ids, data.at, reason=data.reason))


@post("/api/v1/catalogue/products/unpublish", scope=WRITE, once=True, tags=TAGS)
async def unpublish(call: Call, tx: Tx, data: Which) -> Answer[list[Each[Saved]]]:
    """Make products drafts again, published or archived ones; a planned publication is called
    off."""
    return _each(call, await actions.unpublish(tx, data.ids, reason=data.reason))


@post("/api/v1/catalogue/products/archive", scope=WRITE, once=True, tags=TAGS)
async def archive(call: Call, tx: Tx, data: Which) -> Answer[list[Each[Saved]]]:
    """Take products out of sale for good; their pages, history and orders stay."""
    return _each(call, await actions.archive(tx, data.ids, reason=data.reason))


def _each(call: Call, answers: Sequence[Saved | Refusal]) -> Answer[list[Each[Saved]]]:
    return Answer(each(answers, call.language))
