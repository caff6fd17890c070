"""Products: what is refused, what two writers do to each other, and the way from draft to page."""

import asyncio
import datetime as dt
import uuid

import pytest
import shelf

from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import NotFound, Refusal
from pinwheel.kernel.events import Reactions
from pinwheel.kernel.jobs import Worker
from pinwheel.trade import catalogue
from pinwheel.trade.catalogue import jobs


async def test_one_bad_draft_does_not_hold_the_others(db: Database) -> None:
    await shelf.saved(db, shelf.draft("Kettle", "K-1", slug="kettle"))
    answers = await shelf.save(
        db,
        shelf.draft("  ", "A"),
        shelf.draft("Pot", "K-1"),
        shelf.draft("Pan", "P-1", "P-1"),
        shelf.draft("Pan", "P-2", slug="kettle"),
        shelf.draft("Pan", "P-3", slug="Not A Slug"),
        shelf.draft("Pan", "P-4", category_id=uuid.uuid4()),
        shelf.draft("Pan", "P-5", attributes={"colour": "red"}),
        shelf.draft("Pan", "P-6", id=uuid.uuid4()),
        shelf.draft("Pan", "P-7", media=[{"url": "javascript:alert(1)"}]),
        shelf.draft("Pan \x00", "P-8"),
        shelf.draft("Pan", variants=[catalogue.VariantDraft(sku="P-9", gtin="9780439023482")]),
        shelf.draft("Pan", "P-10"),
        shelf.draft("Pan", "P-10"),
    )
    kinds = [type(answer) for answer in answers]
    unsound = catalogue.ProductUnsound
    assert kinds == [
        unsound,
        catalogue.SkuTaken,
        unsound,
        catalogue.SlugTaken,
        unsound,
        catalogue.CategoryUnknown,
        catalogue.AttributeUnknown,
        catalogue.ProductUnknown,
        unsound,
        unsound,
        catalogue.GtinCheckDigit,
        catalogue.Saved,
        catalogue.SkuTaken,
    ]
    for answer in answers:
        if isinstance(answer, Refusal):
            assert "{" not in answer.sentence("en") + answer.sentence("zh-CN")
    async with db.reading() as tx:
        assert len((await catalogue.products(tx)).items) == 2


async def test_saving_the_same_again_writes_nothing(db: Database) -> None:
    [first] = await shelf.saved(db, shelf.draft("Kettle", "K-1"))
    [again] = await shelf.saved(db, shelf.draft("Kettle", "K-1", id=first.product_id))
    assert (again.fresh, again.version, again.variant_ids) == (False, 1, first.variant_ids)


async def test_two_writers_race_for_one_sku_and_slug(db: Database) -> None:
    answers = await asyncio.gather(
        *(shelf.save(db, shelf.draft("Kettle", "K-1", slug="kettle")) for _ in range(6))
    )
    won = [a for [a] in answers if isinstance(a, catalogue.Saved)]
    assert len(won) == 1
    assert all(isinstance(a, catalogue.SkuTaken) for [a] in answers if a not in won)


async def test_a_stale_editor_is_told(db: Database) -> None:
    [first] = await shelf.saved(db, shelf.draft("Kettle", "K-1"))
    edits = [shelf.draft(f"Kettle {i}", "K-1", id=first.product_id, version=1) for i in range(2)]
    answers = await asyncio.gather(*(shelf.save(db, edit) for edit in edits))
    kinds = sorted(type(a).__name__ for [a] in answers)
    assert kinds == ["ProductStale", "Saved"]


async def test_the_statements_do_not_grow_with_the_list(db: Database) -> None:
    counts = []
    for n in (1, 50):
        async with db.transaction(actor="test") as tx:
            await catalogue.save_products(
                tx, [shelf.draft(f"Cup {n}-{i}", f"C-{n}-{i}") for i in range(n)]
            )
            counts.append(tx.statements)
    assert counts[0] == counts[1] <= 9


async def test_a_variant_left_out_is_archived_and_keeps_its_id(db: Database) -> None:
    [first] = await shelf.saved(db, shelf.draft("Shirt", "S", "M"))
    await shelf.saved(db, shelf.draft("Shirt", "M", id=first.product_id))
    _, variants = await shelf.stored(db, first.product_id)
    assert {v.sku: v.status for v in variants} == {"S": "archived", "M": "published"}
    [back] = await shelf.saved(db, shelf.draft("Shirt", "M", "S", id=first.product_id))
    assert back.variant_ids == first.variant_ids


async def test_same_titles_get_addresses_of_their_own(db: Database) -> None:
    made = await shelf.saved(
        db,
        shelf.draft("Blue Cup", "A"),
        shelf.draft("Blue cup!", "B"),
        shelf.draft("", "C", title={"zh-CN": "蓝色杯子"}),
        shelf.draft("", "D", title={"en": "···"}),
    )
    slugs = [one.slug for one in made]
    assert slugs[0] == "blue-cup" and slugs[2] == "lan-se-bei-zi" and slugs[3] == "product"
    assert slugs[1].startswith("blue-cup-") and len(set(slugs)) == 4
    [late] = await shelf.saved(db, shelf.draft("", "E", title={"en": "كتاب"}))
    assert late.slug.startswith("product-")


async def test_a_former_address_leads_on_and_is_not_given_away(db: Database) -> None:
    [first] = await shelf.saved(db, shelf.draft("Kettle", "K-1"))
    await shelf.publish(db, first.product_id)
    await shelf.saved(db, shelf.draft("Kettle", "K-1", id=first.product_id, slug="water-kettle"))
    [refused] = await shelf.save(db, shelf.draft("Other", "O-1", slug="kettle"))
    assert isinstance(refused, catalogue.SlugTaken)
    async with db.reading() as tx:
        page = await catalogue.product_page(tx, "kettle")
        assert page.slug == "water-kettle"
    await shelf.saved(db, shelf.draft("Kettle", "K-1", id=first.product_id, slug="kettle"))
    async with db.reading() as tx:
        assert (await catalogue.product_page(tx, "water-kettle")).slug == "kettle"


async def test_a_draft_is_nobodys_page(db: Database) -> None:
    await shelf.saved(db, shelf.draft("Kettle", "K-1"))
    async with db.reading() as tx:
        with pytest.raises(NotFound):
            await catalogue.product_page(tx, "kettle")
        assert (await catalogue.product_page(tx, "kettle", drafts=True)).status == "draft"


async def test_html_that_runs_is_not_stored(db: Database) -> None:
    text = '<p onclick="x()">Fine</p><script>alert(1)</script>'
    [first] = await shelf.saved(db, shelf.draft("Kettle", "K-1", description={"en": text}))
    product, _ = await shelf.stored(db, first.product_id)
    assert product.description == {"en": "<p>Fine</p>"}


async def test_a_page_costs_three_statements_and_shows_what_is_known(db: Database) -> None:
    top = await shelf.category(db, "media")
    books = await shelf.category(db, "books", "media")
    await shelf.attributes(
        db,
        shelf.attribute(top.id, "language", "text"),
        shelf.attribute(books.id, "pages", "number", minimum=1),
    )
    [first] = await shelf.saved(
        db,
        shelf.draft(
            "Novel", "N-1", category_id=books.id, attributes={"pages": 300, "language": "zh"}
        ),
    )
    await shelf.publish(db, first.product_id)
    async with db.reading() as tx:
        page = await catalogue.product_page(tx, "novel")
        assert tx.statements <= 3
    assert [step.slug for step in page.trail] == ["media", "books"]
    assert {s.attribute.code: s.value for s in page.attributes} == {"language": "zh", "pages": 300}
    assert [v.sku for v in page.variants] == ["N-1"]


async def test_what_is_incomplete_is_not_published(db: Database) -> None:
    books = await shelf.category(db, "books")
    await shelf.attributes(db, shelf.attribute(books.id, "author", "text", required=True))
    ready = shelf.draft("B", "B", category_id=books.id, attributes={"author": "N. N."})
    made = await shelf.saved(
        db, shelf.draft("A", "A", category_id=books.id), ready, shelf.draft("C")
    )
    answers = await shelf.publish(db, *(one.product_id for one in made), uuid.uuid4())
    assert [type(a) for a in answers] == [
        catalogue.ProductIncomplete,
        catalogue.Saved,
        catalogue.ProductIncomplete,
        catalogue.ProductUnknown,
    ]
    # What is published can't lose what it needs.
    bare = shelf.draft("B", "B", id=made[1].product_id, category_id=books.id)
    assert isinstance((await shelf.save(db, bare))[0], catalogue.ProductIncomplete)


async def test_a_planned_publication_happens_by_the_clock(db: Database, clock: SetClock) -> None:
    db.reactions = Reactions([jobs])
    worker = Worker(db)
    made = await shelf.saved(db, shelf.draft("A", "A"), shelf.draft("B", "B"))
    at = clock.now() + dt.timedelta(hours=1)
    async with db.transaction(actor="test") as tx:
        await catalogue.publish(tx, [one.product_id for one in made], at)
    # One loses its only variant before the hour: it stays a draft and says why.
    await shelf.saved(db, shelf.draft("B", id=made[1].product_id))
    await worker.drain()
    assert [(await shelf.stored(db, m.product_id))[0].status for m in made] == ["draft", "draft"]
    clock.travel(hours=2)
    await worker.drain()
    products = [(await shelf.stored(db, m.product_id))[0] for m in made]
    assert [p.status for p in products] == ["published", "draft"]
    assert [p.publish_at for p in products] == [None, None]
    async with db.reading() as tx:
        last = (await catalogue.history(tx, made[1].product_id)).items[0]
        assert "refused" in last.reason
        buyable = await tx.values("select buyable from catalogue.v_variant order by sku")
    assert buyable == [True, False]


async def test_archive_and_back(db: Database) -> None:
    [first] = await shelf.saved(db, shelf.draft("A", "A"))
    async with db.transaction(actor="test") as tx:
        await catalogue.archive(tx, [first.product_id, first.product_id])
        [refused] = await catalogue.publish(tx, [first.product_id])
        assert isinstance(refused, catalogue.ProductArchived)
    async with db.transaction(actor="test") as tx:
        await catalogue.unpublish(tx, [first.product_id])
        [done] = await catalogue.publish(tx, [first.product_id])
        assert isinstance(done, catalogue.Saved)


async def test_lists_are_read_by_key(db: Database) -> None:
    top = await shelf.category(db, "top")
    low = await shelf.category(db, "low", "top")
    await shelf.saved(db, *(shelf.draft(f"P{i}", f"S{i}", category_id=low.id) for i in range(5)))
    seen, cursor = [], None
    while True:
        async with db.reading() as tx:
            found = await catalogue.products(tx, category_id=top.id, cursor=cursor, limit=2)
        seen += [line.slug for line in found.items]
        cursor = found.next
        if cursor is None:
            break
    assert sorted(seen) == [f"p{i}" for i in range(5)]
