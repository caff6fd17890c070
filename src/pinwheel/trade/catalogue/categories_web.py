"""The routes of categories and their attributes for programs."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.kernel.db import Tx
from pinwheel.kernel.web import Answer, Call, Each, delete, each, get, post, put
from pinwheel.trade.catalogue import queries
from pinwheel.trade.catalogue.categories import move_category, remove_attribute
from pinwheel.trade.catalogue.categories import save_attributes as save_all_attributes
from pinwheel.trade.catalogue.categories import save_categories as save_all_categories
from pinwheel.trade.catalogue.model import Category, CategoryDraft
from pinwheel.trade.catalogue.refusals import (
    AttributeInUse,
    CategoryCycle,
    CategoryMoveLoses,
    CategoryUnknown,
)
from pinwheel.trade.catalogue.schema import Attribute, Choice, Kind, Language

READ, WRITE = "catalogue:read", "catalogue:write"
TAGS = ("catalogue",)
Slug = Annotated[str, Meta(max_length=80)]
Label = dict[Language, Annotated[str, Meta(max_length=200)]]
Place = Annotated[int, Meta(ge=-1_000_000, le=1_000_000)]
Figure = Annotated[float, Meta(ge=-1e15, le=1e15)]


class CategoryInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A category to open, or to rename: ``slug`` names it, ``parent`` is a slug, or empty for the
    top. Siblings stand in the order of ``position``."""

    slug: Slug
    name: Label
    parent: Slug = ""
    position: Place = 0


class Categories(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A parent may come earlier in the same list."""

    categories: Annotated[list[CategoryInput], Meta(min_length=1, max_length=200)]


class ChoiceInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    code: Annotated[str, Meta(min_length=1, max_length=63)]
    label: Label = {}


class AttributeInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing to know of a category's products. A number is kept in ``unit`` between ``minimum``
    and ``maximum``; a choice takes one of ``choices``, or several with ``many``. ``required``:
    before a product can be published; ``facet``: buyers filter by it."""

    code: Annotated[str, Meta(min_length=1, max_length=63)]
    label: Label
    kind: Kind
    unit: Annotated[str, Meta(max_length=20)] = ""
    choices: Annotated[list[ChoiceInput], Meta(max_length=500)] = []
    minimum: Figure | None = None
    maximum: Figure | None = None
    many: bool = False
    required: bool = False
    facet: bool = False
    searchable: bool = False
    position: Place = 0


class Attributes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    attributes: Annotated[list[AttributeInput], Meta(min_length=1, max_length=200)]


class MoveInput(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``parent``: a slug, or empty for the top."""

    parent: Slug


@get("/api/v1/catalogue/categories", scope=READ, tags=TAGS)
async def list_categories(tx: Tx) -> Answer[list[Category]]:
    """The whole tree, a parent before its children."""
    return Answer(await queries.categories(tx))


@put("/api/v1/catalogue/categories", scope=WRITE, tags=TAGS)
async def save_categories(call: Call, tx: Tx, data: Categories) -> Answer[list[Each[Category]]]:
    """Open categories or rename them, each for itself. What stands elsewhere is moved by a verb of
    its own."""
    drafts = [CategoryDraft(**msgspec.structs.asdict(one)) for one in data.categories]
    return Answer(each(await save_all_categories(tx, drafts), call.language))


@get("/api/v1/catalogue/categories/{slug:str}/attributes", scope=READ, tags=TAGS)
async def list_attributes(tx: Tx, slug: str) -> Answer[list[Attribute]]:
    """Everything that holds in a category, what it inherits too; ``category_id`` says from
    where."""
    category = await queries.category(tx, slug)
    return Answer(await queries.attributes(tx, category.id))


@put(
    "/api/v1/catalogue/categories/{slug:str}/attributes",
    scope=WRITE,
    refusals=(AttributeInUse,),
    tags=TAGS,
)
async def save_attributes(
    call: Call, tx: Tx, slug: str, data: Attributes
) -> Answer[list[Each[Attribute]]]:
    """Give a category attributes or change those it has, each for itself. What products hold must
    still fit."""
    category = await queries.category(tx, slug)
    wanted = [_attribute(one, category.id) for one in data.attributes]
    return Answer(each(await save_all_attributes(tx, wanted), call.language))


def _attribute(one: AttributeInput, category_id: UUID) -> Attribute:
    fields: dict[str, Any] = {name: getattr(one, name) for name in one.__struct_fields__}
    fields["choices"] = [Choice(c.code, dict[str, str](c.label.items())) for c in one.choices]
    return Attribute(category_id=category_id, **fields)


@delete(
    "/api/v1/catalogue/categories/{slug:str}/attributes/{code:str}",
    scope=WRITE,
    status=204,
    refusals=(AttributeInUse,),
    tags=TAGS,
)
async def take_attribute_away(tx: Tx, slug: str, code: str) -> Answer[None]:
    """Take an attribute from a category, when no product holds a value of it."""
    category = await queries.category(tx, slug)
    await remove_attribute(tx, category.id, code)
    return Answer(None)


@post(
    "/api/v1/catalogue/categories/{slug:str}/move",
    scope=WRITE,
    refusals=(CategoryUnknown, CategoryCycle, CategoryMoveLoses),
    tags=TAGS,
)
async def move(tx: Tx, slug: str, data: MoveInput) -> Answer[Category]:
    """Put a category with everything below it under another. Refused where products would lose
    the attribute of a value they hold."""
    return Answer(await move_category(tx, slug, data.parent))
