"""Change sets: a wrong bulk edit is taken back in one act, and nobody's later work with it."""

import uuid

import pytest
import shelf

from pinwheel.kernel.db import Database
from pinwheel.trade import catalogue


async def edit(db: Database, ids: list[uuid.UUID], **fields: object) -> catalogue.Edited:
    wanted = {name.replace("__", "."): value for name, value in fields.items()}
    async with db.transaction(actor="editor") as tx:
        return await catalogue.edit_many(
            tx, catalogue.BulkEdit(product_ids=ids, set=wanted, reason="spring")
        )


async def revert(db: Database, change_id: uuid.UUID | None) -> catalogue.Reverted:
    assert change_id is not None
    async with db.transaction(actor="editor") as tx:
        return await catalogue.revert(tx, change_id)


async def test_a_wrong_bulk_edit_is_taken_back_in_one_act(db: Database) -> None:
    books = await shelf.category(db, "books")
    await shelf.attributes(db, shelf.attribute(books.id, "pages", "number"))
    made = await shelf.saved(
        db,
        *(
            shelf.draft(f"B{i}", f"B{i}", brand=f"Brand {i}", category_id=books.id)
            for i in range(50)
        ),
    )
    ids = [one.product_id for one in made]
    before = [await shelf.stored(db, i) for i in ids]
    done = await edit(
        db,
        ids,
        brand="Oops",
        attributes__pages=1,
        title__en="Oops",
        weight_grams=5,
        tax_class="books",
    )
    assert len(done.changed) == 50 and not done.refused
    back = await revert(db, done.change_id)
    assert len(back.reverted) == 50 and not back.conflicts
    for one, two in zip(before, [await shelf.stored(db, i) for i in ids], strict=True):
        one[0].version = two[0].version = 0
        assert one == two


async def test_what_was_changed_since_is_left_alone_and_named(db: Database) -> None:
    made = await shelf.saved(db, *(shelf.draft(f"P{i}", f"P{i}", brand="Old") for i in range(3)))
    ids = [one.product_id for one in made]
    done = await edit(db, ids, brand="Wrong", title__en="Wrong")
    await edit(db, ids[:1], brand="Corrected by hand")
    back = await revert(db, done.change_id)
    assert [(c.product_id, c.field, c.found) for c in back.conflicts] == [
        (ids[0], "brand", "Corrected by hand")
    ]
    products = [(await shelf.stored(db, i))[0] for i in ids]
    assert [p.brand for p in products] == ["Corrected by hand", "Old", "Old"]
    assert [p.title["en"] for p in products] == ["P0", "P1", "P2"]


async def test_a_change_is_taken_back_once_and_the_reversal_too(db: Database) -> None:
    [one] = await shelf.saved(db, shelf.draft("A", "A", brand="Old"))
    done = await edit(db, [one.product_id], brand="New")
    back = await revert(db, done.change_id)
    with pytest.raises(catalogue.ChangeReverted):
        await revert(db, done.change_id)
    with pytest.raises(catalogue.ChangeUnknown):
        await revert(db, uuid.uuid4())
    await revert(db, back.change_id)
    assert (await shelf.stored(db, one.product_id))[0].brand == "New"
    async with db.reading() as tx:
        kinds = [c.kind for c in (await catalogue.history(tx, one.product_id)).items]
    assert kinds == ["revert", "revert", "edit", "save"]


async def test_taking_back_a_creation_archives(db: Database) -> None:
    [one] = await shelf.saved(db, shelf.draft("A", "A"))
    async with db.reading() as tx:
        [made] = (await catalogue.history(tx, one.product_id)).items
    await revert(db, made.change_id)
    assert (await shelf.stored(db, one.product_id))[0].status == "archived"


async def test_a_variant_that_a_change_brought_is_archived_when_it_is_taken_back(
    db: Database,
) -> None:
    [one] = await shelf.saved(db, shelf.draft("A", "A-1"))
    await shelf.saved(db, shelf.draft("A", "A-2", id=one.product_id))
    async with db.reading() as tx:
        change = (await catalogue.history(tx, one.product_id)).items[0]
    back = await revert(db, change.change_id)
    assert not back.conflicts
    _, variants = await shelf.stored(db, one.product_id)
    assert {v.sku: v.status for v in variants} == {"A-1": "published", "A-2": "archived"}


async def test_a_bulk_edit_refuses_by_field_and_by_product(db: Database) -> None:
    books = await shelf.category(db, "books")
    await shelf.attributes(db, shelf.attribute(books.id, "pages", "number"))
    made = await shelf.saved(db, shelf.draft("A", "A", category_id=books.id), shelf.draft("B", "B"))
    ids = [one.product_id for one in made]
    with pytest.raises(catalogue.FieldUnknown):
        await edit(db, ids, slug="x")
    with pytest.raises(catalogue.ProductUnsound):
        await edit(db, ids, weight_grams=-1)
    with pytest.raises(catalogue.ProductUnsound):
        await edit(db, ids, brand=3)
    with pytest.raises(catalogue.CategoryUnknown):
        await edit(db, ids, category_id=str(uuid.uuid4()))
    done = await edit(db, [*ids, uuid.uuid4()], attributes__pages=12)
    assert done.changed == [ids[0]]
    assert [type(r) for _, r in done.refused] == [
        catalogue.AttributeUnknown,
        catalogue.ProductUnknown,
    ]
    again = await edit(db, ids[:1], attributes__pages="12")
    assert (again.change_id, again.unchanged) == (None, 1)


async def test_duplicates_become_one_and_apart_again(db: Database) -> None:
    def book(title: str, sku: str, **more: object) -> catalogue.ProductDraft:
        variants = [catalogue.VariantDraft(sku=sku, gtin="9780439023481", weight_grams=300)]
        return shelf.draft(title, variants=variants, **more)

    made = await shelf.saved(
        db, shelf.draft("Apart", "X"), book("Hunger", "H-1"), book("Games", "H-2", brand="Press")
    )
    apart, kept, gone = (one.product_id for one in made)
    await shelf.publish(db, apart, kept, gone)
    async with db.reading() as tx:
        [found] = (await catalogue.duplicates(tx)).items
    assert (found.gtin, set(found.product_ids)) == ("9780439023481", {kept, gone})
    for wrong in ([apart], [kept], [], [uuid.uuid4()]):
        async with db.transaction(actor="editor") as tx:
            with pytest.raises(catalogue.NotDuplicates):
                await catalogue.merge_duplicates(tx, kept, wrong)
    async with db.transaction(actor="editor") as tx:
        await catalogue.merge_duplicates(tx, kept, [gone])
    async with db.reading() as tx:
        page = await catalogue.product_page(tx, "games")
        assert (page.slug, page.brand) == ("hunger", "Press")
        assert not (await catalogue.duplicates(tx)).items
        change = (await catalogue.history(tx, gone)).items[0]
    await revert(db, change.change_id)
    async with db.reading() as tx:
        assert (await catalogue.product_page(tx, "games")).slug == "games"
        kinds = await tx.values(
            "select kind from kernel.event where kind like 'catalogue.variants%' order by xid, id"
        )
    assert kinds == ["catalogue.variants_merged", "catalogue.variants_split"]


async def test_an_address_that_another_has_now_does_not_come_back(db: Database) -> None:
    [one] = await shelf.saved(db, shelf.draft("A", "A"))
    await shelf.saved(db, shelf.draft("A", "A", id=one.product_id, slug="b", brand="New"))
    async with db.transaction(actor="test") as tx:
        change = (await catalogue.history(tx, one.product_id)).items[0]
        await tx.run("delete from catalogue.former_slug")
    await shelf.saved(db, shelf.draft("Other", "O", slug="a"))
    back = await revert(db, change.change_id)
    assert [c.field for c in back.conflicts] == ["slug"]
    product, _ = await shelf.stored(db, one.product_id)
    assert (product.slug, product.brand) == ("b", "")


async def test_values_given_since_the_move_keep_a_product_in_its_category(db: Database) -> None:
    old = await shelf.category(db, "old")
    new = await shelf.category(db, "new")
    await shelf.attributes(db, shelf.attribute(new.id, "pages", "number"))
    [one] = await shelf.saved(db, shelf.draft("A", "A", category_id=old.id))
    done = await edit(db, [one.product_id], category_id=str(new.id))
    await edit(db, [one.product_id], attributes__pages=3)
    back = await revert(db, done.change_id)
    assert [c.field for c in back.conflicts] == ["category_id"]
    product, _ = await shelf.stored(db, one.product_id)
    assert (product.category_id, product.attributes) == (new.id, {"pages": 3})
