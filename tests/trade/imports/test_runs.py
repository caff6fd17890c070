"""Import jobs: killed, repeated, raced, and fed with what is wrong."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import files
import pytest

from pinwheel.kernel import db as database
from pinwheel.kernel.db import Database
from pinwheel.trade import catalogue, imports, marketplace, pricing

CHILD = """
import asyncio, sys
from pinwheel.kernel import db as database
from pinwheel.trade import imports

def told(counts):
    print(counts.records, flush=True)
    sys.stdin.readline()  # it runs ahead only as far as it is let

async def main():
    db = await database.connect(sys.argv[1])
    await imports.run(db, "shopify-csv", sys.argv[2], chunk=int(sys.argv[3]), progress=told)
    await db.close()

asyncio.run(main())
"""


async def stock(db: Database) -> dict[str, int]:
    async with db.reading() as tx:
        return {
            name: await tx.value(sql)
            for name, sql in {
                "products": "select count(*) from catalogue.product",
                "variants": "select count(*) from catalogue.variant",
                "offers": "select count(*) from marketplace.offer",
                "prices": "select count(*) from pricing.price",
                "changes": "select count(*) from catalogue.change",
                "versions": "select coalesce(sum(version), 0) from catalogue.product",
            }.items()
        }


async def test_the_same_file_twice_changes_nothing(db: Database, tmp_path: Path) -> None:
    path = files.write(tmp_path, files.cups(25))
    first = await imports.run(db, "shopify-csv", path, currency="EUR", chunk=10)
    assert first.counts == imports.Counts(records=25, created=25)
    before = await stock(db)
    again = await imports.run(db, "shopify-csv", path, currency="EUR", chunk=10)
    assert again.counts == imports.Counts(records=25, unchanged=25)
    assert await stock(db) == before
    assert again.job_id != first.job_id


async def test_only_what_changed_in_the_file_changes_here(db: Database, tmp_path: Path) -> None:
    rows = [files.product(f"cup-{i}") for i in range(4)]
    await imports.run(db, "shopify-csv", files.write(tmp_path, files.text(rows)))
    async with db.transaction(actor="editor") as tx:
        found = await catalogue.skus(tx, ["SKU-cup-0"])
        edited = catalogue.BulkEdit(
            product_ids=[found["SKU-cup-0"].product_id], set={"brand": "By hand"}, reason="x"
        )
        await catalogue.edit_many(tx, edited)
    rows[1]["Variant Price"] = "25.00"
    done = await imports.run(db, "shopify-csv", files.write(tmp_path, files.text(rows)))
    assert done.counts == imports.Counts(records=4, updated=1, unchanged=3)
    async with db.reading() as tx:
        found = await catalogue.skus(tx, ["SKU-cup-0", "SKU-cup-1"])
        product, _ = await catalogue.product(tx, found["SKU-cup-0"].product_id)
        assert product.brand == "By hand"
        offers = await marketplace.offers(tx, [found["SKU-cup-1"].variant_id])
        [line] = offers[found["SKU-cup-1"].variant_id]
        price = (await pricing.prices(tx, [line.id], "CNY"))[line.id]
        # The clock of tests stands still: the second price replaced the first at one instant.
        assert price.price_minor == 2_500


async def test_wrong_rows_are_named_and_the_others_come_in(db: Database, tmp_path: Path) -> None:
    rows = [
        files.product("good"),
        files.product("negative", "-5"),
        files.product("no-number", "call us"),
        files.product("good-again", Variant_SKU="SKU-good"),
        files.product("bad-weight", Variant_Grams="heavy"),
        files.product("bad-code", Variant_Barcode="9780439023482"),
        files.product("good"),
        files.product("=cmd", Title="=cmd()"),
    ]
    done = await imports.run(db, "shopify-csv", files.write(tmp_path, files.text(rows)))
    places = [(f.row, f.column) for f in done.faults]
    assert set(places) == {
        (3, "Variant Price"),
        (4, "Variant Price"),
        (5, "sku"),
        (6, "Variant Grams"),
        (7, "Variant Barcode"),
        (8, "key"),
    }
    assert (done.counts.created, done.counts.refused) == (3, 5)
    async with db.reading() as tx:
        text = "".join([part async for part in imports.faults_csv(tx, done.job_id)])
        known = await catalogue.skus(tx, ["SKU-good", "SKU-bad-code", "SKU-negative"])
    assert set(known) == {"SKU-good", "SKU-bad-code"}
    assert len(text.splitlines()) == 1 + done.counts.faults and "'-5" in text
    assert "row 3" in "\n".join(done.lines("en")) and "第 3 行" in "\n".join(done.lines("zh-CN"))


async def test_a_sku_of_another_product_is_refused_every_time(db: Database, tmp_path: Path) -> None:
    async with db.transaction(actor="test") as tx:
        mine = catalogue.VariantDraft(sku="SKU-cup")
        await catalogue.save_products(
            tx, [catalogue.ProductDraft(title={"en": "Mine"}, variants=[mine])]
        )
    path = files.write(tmp_path, files.text([files.product("cup")]))
    for _ in range(2):
        done = await imports.run(db, "shopify-csv", path)
        assert done.counts == imports.Counts(records=1, refused=1, faults=1)


async def test_a_price_that_jumps_keeps_the_old_one_and_is_told_again(
    db: Database, tmp_path: Path
) -> None:
    await imports.run(db, "shopify-csv", files.write(tmp_path, files.text([files.product("cup")])))
    path = files.write(tmp_path, files.text([files.product("cup", "1990")]))
    for _ in range(2):
        done = await imports.run(db, "shopify-csv", path)
        assert (done.counts.updated, done.counts.faults) == (1, 1)
    assert (await stock(db))["prices"] == 1


@pytest.mark.parametrize(
    ("source", "options", "refusal"),
    [
        ("nowhere", {}, imports.SourceUnknown),
        ("shopify-csv", {"currency": "QQQ"}, imports.OptionUnsound),
        ("goodbooks", {"price": "39"}, imports.OptionUnsound),
        ("goodbooks", {"price": "CNY -1"}, imports.OptionUnsound),
        ("goodbooks", {}, imports.ColumnsMissing),
        ("shopify-csv", {"mapping": {"sku": "Nope"}}, imports.MappingUnsound),
        ("shopify-csv", {"mapping": {"nope": "Handle"}}, imports.MappingUnsound),
        ("olist", {}, imports.ColumnsMissing),
    ],
)
async def test_what_can_not_be_read_changes_nothing(
    db: Database, tmp_path: Path, source: str, options: dict[str, object], refusal: type[Exception]
) -> None:
    path = files.write(tmp_path, files.cups(1))
    with pytest.raises(refusal) as refused:
        await imports.run(db, source, path, **options)
    assert refused.value.sentence("en") and refused.value.sentence("zh")  # type: ignore[attr-defined]
    async with db.reading() as tx:
        assert not (await imports.jobs(tx)).items


async def test_a_mapping_says_what_a_column_is(db: Database, tmp_path: Path) -> None:
    body = files.cups(2).replace("Variant SKU", "Artikel").replace("Variant Price", "Preis")
    path = files.write(tmp_path, body)
    with pytest.raises(imports.ColumnsMissing) as refused:
        await imports.run(db, "shopify-csv", path)
    assert "sku, price" in refused.value.sentence("en")
    done = await imports.run(db, "shopify-csv", path, mapping={"sku": "Artikel", "price": "Preis"})
    assert done.counts.created == 2


async def test_a_chunk_costs_the_same_statements_whatever_it_holds(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = []
    for n in (2, 200):
        seen: list[int] = []
        real = database.Tx.finish

        async def counting(tx: database.Tx, real: object = real, seen: list[int] = seen) -> bool:
            seen.append(tx.statements)
            return await real(tx)  # type: ignore[operator]

        monkeypatch.setattr(database.Tx, "finish", counting)
        rows = [files.product(f"n{n}-{i}") for i in range(n)]
        await imports.run(db, "shopify-csv", files.write(tmp_path, files.text(rows)))
        monkeypatch.setattr(database.Tx, "finish", real)
        counts.append(max(seen))
    # The first opens the category; after that a chunk costs no more with 100 times the rows.
    assert counts[1] <= counts[0] <= 40


async def test_two_processes_with_one_file_share_it(url: str, db: Database, tmp_path: Path) -> None:
    path = files.write(tmp_path, files.cups(60))
    others = [await database.connect(url, size=2) for _ in range(3)]
    reports = await asyncio.gather(
        *(imports.run(other, "shopify-csv", path, chunk=7) for other in others)
    )
    for other in others:
        await other.close()
    found = await stock(db)
    assert (found["products"], found["offers"], found["prices"]) == (60, 60, 60)
    # One that came when another had finished began anew and found nothing to do.
    for done in reports:
        assert done.counts.created in (0, 60)
        assert done.counts.created + done.counts.unchanged == 60


@pytest.mark.crash
async def test_killed_half_way_and_run_again_ends_the_same(
    url: str, db: Database, tmp_path: Path
) -> None:
    path = files.write(tmp_path, files.cups(400))
    script = files.write(tmp_path, CHILD, "child.py")
    for records in (40, 120):
        child = subprocess.Popen(
            [sys.executable, str(script), url, str(path), "20"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        assert child.stdin is not None and child.stdout is not None
        child.stdin.write("\n" * 4)
        for line in child.stdout:
            child.stdin.write("\n")
            child.stdin.flush()
            if int(line) >= records:
                break
        child.send_signal(signal.SIGKILL)
        child.communicate()
    half = await stock(db)
    assert 120 <= half["products"] < 400
    done = await imports.run(db, "shopify-csv", path, chunk=20)
    assert done.resumed_at >= 120
    assert done.counts == imports.Counts(records=400, created=400)
    found = await stock(db)
    assert (found["products"], found["offers"], found["prices"]) == (400, 400, 400)
    assert found["versions"] == 800  # saved once, published once: nothing was done twice
    async with db.reading() as tx:
        assert len((await imports.jobs(tx)).items) == 1


async def test_what_the_database_can_not_store_costs_one_record(
    db: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value that passes every check here and that PostgreSQL refuses must not stop the job."""
    monkeypatch.setattr(
        "pinwheel.trade.imports.sources.shopify.whole", lambda raw: int(raw) * 10_000
    )
    monkeypatch.setattr("pinwheel.trade.catalogue.actions.unsound", lambda draft: None)
    rows = [files.product(f"cup-{i}", Variant_Grams="1") for i in range(9)]
    rows[4]["Variant Grams"] = "999999999"
    done = await imports.run(db, "shopify-csv", files.write(tmp_path, files.text(rows)))
    assert (done.counts.created, done.counts.refused) == (8, 1)
    assert [f.row for f in done.faults] == [6]
