"""Categories and what each wants to know of its products: opened and changed without a release."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.faces.console.frame import attempt, refused, shown, words_of
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import NotFound
from pinwheel.kernel.web import Answer, Call, See, get, post
from pinwheel.kernel.words import said
from pinwheel.trade import catalogue
from pinwheel.trade.catalogue import Attribute, Category, CategoryDraft, Choice

READ, WRITE = "catalogue:read", "catalogue:write"
KINDS = ("text", "number", "boolean", "choice", "date")
Text = Annotated[str, Meta(max_length=200)]
Slug = Annotated[str, Meta(pattern="^[a-z0-9]+(-[a-z0-9]+)*$", max_length=80)]


@get("/console/categories", scope=READ)
async def tree(call: Call, tx: Tx) -> Answer[list[Category]]:
    """The whole tree with how many products and attributes each category has."""
    found = in_order(await catalogue.categories(tx))
    return await shown(
        call,
        tx,
        found,
        "categories",
        call.say("Categories"),
        "categories",
        counts=await catalogue.category_counts(tx),
    )


def in_order(categories: list[Category]) -> list[Category]:
    """As one reads a tree: each category right after its parent and before its next sibling."""
    below: dict[UUID | None, list[Category]] = {}
    for category in categories:
        below.setdefault(category.parent_id, []).append(category)
    ordered: list[Category] = []

    def walk(parent: UUID | None) -> None:
        for category in below.get(parent, []):
            ordered.append(category)
            walk(category.id)

    walk(None)
    return ordered


class CategoryDesk(msgspec.Struct, frozen=True):
    category: Category
    attributes: list[Attribute]


@get("/console/categories/{slug:str}", scope=READ)
async def category_page(call: Call, tx: Tx, slug: str) -> Answer[CategoryDesk]:
    """One category: its name, its place, its attributes and those it inherits."""
    everything = await catalogue.categories(tx)
    category = next((c for c in everything if c.slug == slug), None)
    if category is None:
        raise NotFound(what="category")
    desk = CategoryDesk(category, await catalogue.attributes(tx, category.id))
    return await shown(
        call,
        tx,
        desk,
        "category",
        said(category.name, call.language) or slug,
        "categories",
        categories_all=in_order(everything),
        by_id={c.id: c for c in everything},
        kinds=KINDS,
    )


class CategoryForm(msgspec.Struct):
    slug: Slug
    name_en: Text = ""
    name_zh: Text = ""
    parent: Text = ""
    position: int = 0


@post("/console/categories", scope=WRITE)
async def save_category(call: Call, db: Database, data: CategoryForm) -> See[Any]:
    """Open a category, or rename the one with this address."""

    async def verb(tx: Tx) -> None:
        draft = CategoryDraft(
            slug=data.slug,
            name=words_of(data.name_en, data.name_zh),
            parent=data.parent,
            position=data.position,
        )
        refused(await catalogue.save_categories(tx, [draft]))

    def ahead(_: Any) -> str:
        return _page(data.slug)

    return await attempt(call, db, verb, "/console/categories", call.say("Saved."), ahead=ahead)


def _page(slug: str) -> str:
    return f"/console/categories/{slug}"


class MoveForm(msgspec.Struct):
    parent: Text = ""


@post("/console/categories/{slug:str}/move", scope=WRITE)
async def move(call: Call, db: Database, slug: str, data: MoveForm) -> See[Any]:
    """Put a category with everything below it somewhere else."""

    async def verb(tx: Tx) -> None:
        await catalogue.move_category(tx, slug, data.parent)

    return await attempt(call, db, verb, _page(slug), call.say("Moved."))


class AttributeForm(msgspec.Struct):
    """``choices``: one a line, ``code | English | 中文``."""

    code: Annotated[str, Meta(min_length=1, max_length=63)]
    label_en: Text = ""
    label_zh: Text = ""
    kind: str = "text"
    unit: Annotated[str, Meta(max_length=20)] = ""
    choices: Annotated[str, Meta(max_length=50_000)] = ""
    minimum: float | None = None
    maximum: float | None = None
    many: bool = False
    required: bool = False
    facet: bool = False
    searchable: bool = False
    position: int = 0


@post("/console/categories/{slug:str}/attributes", scope=WRITE)
async def save_attribute(call: Call, db: Database, slug: str, data: AttributeForm) -> See[Any]:
    """Add an attribute or change it. What products hold must still fit."""

    async def verb(tx: Tx) -> None:
        category = await _named(tx, slug)
        fields = msgspec.structs.asdict(data) | {
            "category_id": category.id,
            "label": words_of(data.label_en, data.label_zh),
            "choices": choices_of(data.choices) if data.kind == "choice" else [],
        }
        del fields["label_en"], fields["label_zh"]
        refused(await catalogue.save_attributes(tx, [msgspec.convert(fields, Attribute)]))

    return await attempt(call, db, verb, _page(slug), call.say("Saved."))


async def _named(tx: Tx, slug: str) -> Category:
    for category in await catalogue.categories(tx):
        if category.slug == slug:
            return category
    raise NotFound(what="category")


def choices_of(text: str) -> list[Choice]:
    """``red | Red | 红`` on each line."""
    made = []
    for line in text.splitlines():
        parts = [p.strip() for p in line.replace("｜", "|").split("|")]
        if parts[0]:
            label = words_of(parts[1] if len(parts) > 1 else parts[0], "".join(parts[2:3]))
            made.append(Choice(parts[0], label))
    return made


class GoneForm(msgspec.Struct):
    code: Annotated[str, Meta(min_length=1, max_length=63)]


@post("/console/categories/{slug:str}/attributes/remove", scope=WRITE)
async def remove_attribute(call: Call, db: Database, slug: str, data: GoneForm) -> See[Any]:
    """Take an attribute away that no product holds."""

    async def verb(tx: Tx) -> None:
        category = await _named(tx, slug)
        await catalogue.remove_attribute(tx, category.id, data.code)

    return await attempt(call, db, verb, _page(slug), call.say("Removed."))
