"""Categories and attributes: data opens them, and what is in use is not broken."""

import uuid
from typing import Any

import pytest
import shelf
from hypothesis import given
from hypothesis import strategies as st

from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import Refusal
from pinwheel.trade import catalogue
from pinwheel.trade.catalogue.schema import checked

ID = uuid.UUID(int=1)
SIZES = [catalogue.Choice("s", {"en": "Small", "zh-CN": "小"}), catalogue.Choice("l")]


@pytest.mark.parametrize(
    ("kind", "more", "raw", "stored"),
    [
        ("number", {"unit": "kg"}, "1,5", 1.5),
        ("number", {"unit": "kg"}, "1500 g", 1.5),
        ("number", {"unit": "mm"}, "2 in", 50.8),
        ("number", {}, 3.0, 3),
        ("boolean", {}, "是", True),
        ("boolean", {}, "No", False),
        ("choice", {"choices": SIZES}, "小", "s"),
        ("choice", {"choices": SIZES, "many": True}, ["L", "small"], ["l", "s"]),
        ("date", {}, "2026/1/5", "2026-01-05"),
        ("date", {}, "2009-12-10T00:00:00Z", "2009-12-10"),
        ("text", {}, " red ", "red"),
        ("text", {}, {"en": "red", "zh-CN": "红"}, {"en": "red", "zh-CN": "红"}),
    ],
)
def test_a_value_is_read(kind: str, more: dict[str, Any], raw: Any, stored: Any) -> None:
    assert checked(shelf.attribute(ID, "a", kind, **more), raw) == stored


@pytest.mark.parametrize(
    ("kind", "more", "raw"),
    [
        ("number", {"unit": "kg"}, "heavy"),
        ("number", {"unit": "kg"}, "3 m"),
        ("number", {"unit": ""}, "3 bananas"),
        ("number", {"minimum": 0}, -1),
        ("number", {}, float("nan")),
        ("number", {}, True),
        ("boolean", {}, "perhaps"),
        ("choice", {"choices": SIZES}, "huge"),
        ("choice", {"choices": SIZES}, ["s", "l"]),
        ("date", {}, "2026-02-30"),
        ("date", {}, "soon"),
        ("text", {}, {"fr": "rouge"}),
        ("text", {}, 12),
        ("text", {}, "x" * 5_001),
    ],
)
def test_a_value_of_another_kind_is_refused(kind: str, more: dict[str, Any], raw: Any) -> None:
    with pytest.raises(catalogue.AttributeInvalid) as refused:
        checked(shelf.attribute(ID, "a", kind, **more), raw)
    assert "{why" not in refused.value.sentence("en") + refused.value.sentence("zh-CN")


@given(st.sampled_from(["text", "number", "boolean", "choice", "date"]), st.text(max_size=30))
def test_what_is_stored_is_stored_the_same_again(kind: str, raw: str) -> None:
    attribute = shelf.attribute(ID, "a", kind, **({"choices": SIZES} if kind == "choice" else {}))
    try:
        stored = checked(attribute, raw)
    except catalogue.AttributeInvalid:
        return
    assert checked(attribute, stored) == stored


async def test_a_category_with_twelve_attributes_is_data(db: Database) -> None:
    """Opening a category needs no release: rows only."""
    wine = await shelf.category(db, "wine")
    wanted = [
        shelf.attribute(wine.id, "grape", "text", searchable=True),
        shelf.attribute(wine.id, "vintage", "number", minimum=1800, maximum=2100, facet=True),
        shelf.attribute(wine.id, "volume", "number", unit="ml", required=True),
        shelf.attribute(wine.id, "alcohol", "number", unit="%"),
        shelf.attribute(wine.id, "organic", "boolean", facet=True),
        shelf.attribute(wine.id, "sparkling", "boolean"),
        shelf.attribute(wine.id, "colour", "choice", choices=SIZES, facet=True),
        shelf.attribute(wine.id, "closure", "choice", choices=SIZES),
        shelf.attribute(wine.id, "goes_with", "choice", choices=SIZES, many=True),
        shelf.attribute(wine.id, "bottled_on", "date"),
        shelf.attribute(wine.id, "region", "text", facet=True),
        shelf.attribute(wine.id, "notes", "text"),
    ]
    assert await shelf.attributes(db, *wanted) == wanted
    values = {"grape": {"en": "Merlot", "zh-CN": "梅洛"}, "vintage": 2019, "volume": "0.75 l"}
    values |= {"organic": "yes", "goes_with": ["s", "l"], "bottled_on": "2020-03-01"}
    [made] = await shelf.saved(
        db, shelf.draft("Merlot", "W-1", category_id=wine.id, attributes=values)
    )
    product, _ = await shelf.stored(db, made.product_id)
    assert product.attributes["volume"] == 750 and product.attributes["organic"] is True
    assert isinstance((await shelf.publish(db, made.product_id))[0], catalogue.Saved)
    wrong = shelf.draft("X", "W-2", category_id=wine.id, attributes={"vintage": 1492})
    assert isinstance((await shelf.save(db, wrong))[0], catalogue.AttributeInvalid)


async def test_attributes_are_inherited_and_narrowed_below(db: Database) -> None:
    top = await shelf.category(db, "top")
    low = await shelf.category(db, "low", "top")
    await shelf.attributes(
        db,
        shelf.attribute(top.id, "size", "choice", choices=SIZES),
        shelf.attribute(low.id, "size", "choice", choices=SIZES[:1], required=True),
        shelf.attribute(top.id, "colour", "text"),
    )
    async with db.reading() as tx:
        held = {a.code: a for a in await catalogue.attributes(tx, low.id)}
        above = {a.code: a for a in await catalogue.attributes(tx, top.id)}
    assert held["size"].required and held["size"].category_id == low.id
    assert not above["size"].required and set(held) == {"size", "colour"}


async def test_unsound_attributes_are_refused(db: Database) -> None:
    top = await shelf.category(db, "top")
    low = await shelf.category(db, "low", "top")
    await shelf.attributes(db, shelf.attribute(top.id, "weight", "number", unit="kg"))
    answers = await shelf.attributes(
        db,
        shelf.attribute(uuid.uuid4(), "a", "text"),
        shelf.attribute(top.id, "Bad Code", "text"),
        shelf.attribute(top.id, "a", "text", label={}),
        shelf.attribute(top.id, "a", "choice"),
        shelf.attribute(top.id, "a", "text", unit="kg"),
        shelf.attribute(low.id, "weight", "number", unit="g"),
    )
    unsound = catalogue.AttributeUnsound
    assert [type(a) for a in answers] == [catalogue.CategoryUnknown, *[unsound] * 5]
    for answer in answers:
        assert isinstance(answer, Refusal)
        assert "{" not in answer.sentence("en") + answer.sentence("zh-CN")


async def test_an_attribute_in_use_is_not_broken(db: Database) -> None:
    top = await shelf.category(db, "top")
    low = await shelf.category(db, "low", "top")
    size = shelf.attribute(top.id, "size", "choice", choices=SIZES)
    await shelf.attributes(db, size)
    await shelf.saved(db, shelf.draft("A", "A", category_id=low.id, attributes={"size": "l"}))
    answers = await shelf.attributes(
        db,
        shelf.attribute(top.id, "size", "text"),
        shelf.attribute(top.id, "size", "choice", choices=SIZES[:1]),
        shelf.attribute(top.id, "size", "choice", choices=[*SIZES, catalogue.Choice("xl")]),
    )
    used = catalogue.AttributeInUse
    assert [type(a) for a in answers] == [used, used, catalogue.Attribute]
    async with db.transaction(actor="test") as tx:
        with pytest.raises(catalogue.AttributeInUse):
            await catalogue.remove_attribute(tx, top.id, "size")
    async with db.transaction(actor="test") as tx:
        with pytest.raises(catalogue.CategoryMoveLoses):
            await catalogue.move_category(tx, "low", "")
        assert len(await catalogue.attributes(tx, low.id)) == 1


async def test_a_branch_moves_whole_and_never_below_itself(db: Database) -> None:
    await shelf.category(db, "a")
    await shelf.category(db, "b", "a")
    await shelf.category(db, "c", "b")
    await shelf.category(db, "z")
    async with db.transaction(actor="test") as tx:
        with pytest.raises(catalogue.CategoryCycle):
            await catalogue.move_category(tx, "a", "c")
        await catalogue.move_category(tx, "b", "z")
        tree = {c.id: c for c in await catalogue.categories(tx)}
    paths = {c.slug: [tree[i].slug for i in c.path] for c in tree.values()}
    assert paths == {"a": ["a"], "z": ["z"], "b": ["z", "b"], "c": ["z", "b", "c"]}


async def test_a_tree_is_opened_in_one_call(db: Database) -> None:
    drafts = [
        catalogue.CategoryDraft(slug="a", name={"en": "A"}),
        catalogue.CategoryDraft(slug="b", name={"en": "B"}, parent="a"),
        catalogue.CategoryDraft(slug="c", name={"en": "C"}, parent="nowhere"),
        catalogue.CategoryDraft(slug="d", name={}),
        catalogue.CategoryDraft(slug="b", name={"en": "B"}),
    ]
    async with db.transaction(actor="test") as tx:
        answers = await catalogue.save_categories(tx, drafts)
    assert [type(a) for a in answers] == [
        catalogue.Category,
        catalogue.Category,
        catalogue.CategoryUnknown,
        catalogue.CategoryUnsound,
        catalogue.CategoryElsewhere,
    ]
