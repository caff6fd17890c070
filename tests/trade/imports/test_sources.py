"""The sources: each layout in its versions, and the real files where they are at hand."""

from pathlib import Path

import files
import pytest

from pinwheel.kernel.db import Database
from pinwheel.trade import catalogue, imports, marketplace, pricing


async def price_of(db: Database, sku: str, currency: str) -> list[int]:
    async with db.reading() as tx:
        variant_id = (await catalogue.skus(tx, [sku]))[sku].variant_id
        lines = (await marketplace.offers(tx, [variant_id])).get(variant_id, [])
        found = await pricing.prices(tx, [line.id for line in lines], currency)
    return sorted(price.price_minor for price in found.values())


BOOKS = "book_id,isbn,isbn13,authors,original_publication_year,title,language_code\n"
BOOK_LINES = (
    '1,439023483,9.78043902348e+12,"Author, One",2008.0,"Games, ""The""",eng\n'
    "2,,9.78044E+12,Author Two,,Lost Digits,eng\n"
    "3,,,Author Three,-750.0,Old,eng\n"
)


async def test_books_without_prices_are_drafts(db: Database, tmp_path: Path) -> None:
    path = files.write(tmp_path, BOOKS + BOOK_LINES)
    done = await imports.run(db, "goodbooks", path)
    assert (done.counts.created, done.counts.faults) == (3, 1)
    assert "lost digits" in done.faults[0].en
    assert any("no prices" in note.en for note in done.notes)
    async with db.reading() as tx:
        found = (await catalogue.skus(tx, ["book-1"]))["book-1"]
        product, [variant] = await catalogue.product(tx, found.product_id)
        assert not await marketplace.offers(tx, [found.variant_id])
    assert (variant.gtin, variant.tax_class) == ("9780439023481", "books")
    assert product.status == "draft" and product.attributes["year"] == 2008
    # A price given later puts them on sale.
    done = await imports.run(db, "goodbooks", path, price="CNY 39.00")
    assert done.counts.updated == 3
    assert await price_of(db, "book-3", "CNY") == [3_900]
    async with db.reading() as tx:
        assert (await catalogue.product_page(tx, "old")).status == "published"


async def test_the_other_books_layout(db: Database, tmp_path: Path) -> None:
    body = "bookID,title,authors,isbn,isbn13,language_code,  num_pages,publisher\n"
    body += "7,Title,Somebody,0439023483,9780439023481,zho,374,House\n"
    await imports.run(db, "goodbooks", files.write(tmp_path, body))
    async with db.reading() as tx:
        product, [variant] = await catalogue.product(
            tx, (await catalogue.skus(tx, ["book-7"]))["book-7"].product_id
        )
    assert product.title == {"zh-CN": "Title"} and product.attributes["pages"] == 374
    assert variant.gtin == "9780439023481"


@pytest.mark.parametrize(
    "heading",
    [
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n",
        "Invoice,StockCode,Description,Quantity,InvoiceDate,Price,Customer ID,Country\n",
    ],
)
async def test_invoice_lines_become_a_catalogue(db: Database, tmp_path: Path, heading: str) -> None:
    body = heading + (
        "1,85123A,HEART HOLDER,6,2010-12-01 08:26:00,2.55,1,UK\n"
        "2,85123A,HEART HOLDER,6,2010-12-02 08:26:00,2.55,1,UK\n"
        "3,85123A,wrongly marked,6,2010-12-03 08:26:00,2.95,1,UK\n"
        "C4,85123A,RETURNED,-6,2010-12-04 08:26:00,9.95,1,UK\n"
        "5,POST,POSTAGE,1,2010-12-01 08:26:00,18.00,1,UK\n"
        "6,22804,?,-1,2010-12-01 08:26:00,0,,UK\n"
        "7,22805,Unknown,1,2010-12-01 08:26:00,-11062.06,,UK\n"
        "8,22806,TIE,1,2010-12-01 08:26:00,1.00,,UK\n"
        "9,22806,TIE,1,2010-12-09 08:26:00,2.00,,UK\n"
        "A10,B,Adjust bad debt,1,2010-12-09 08:26:00,-11062.06,,UK\n"
        "11,,nothing,1,2010-12-09 08:26:00,1.00,,UK\n"
    )
    done = await imports.run(db, "online-retail", files.write(tmp_path, body))
    assert (done.counts.created, done.counts.refused, done.counts.faults) == (3, 2, 3)
    assert any("POST (1)" in note.en for note in done.notes)
    assert await price_of(db, "85123A", "GBP") == [255]
    assert await price_of(db, "22806", "GBP") == [200]
    assert await price_of(db, "22804", "GBP") == []
    async with db.reading() as tx:
        assert (await catalogue.product_page(tx, "heart-holder")).variants[0].sku == "85123A"


@pytest.mark.parametrize("typo", [True, False])
async def test_the_marketplace_of_brazil(db: Database, tmp_path: Path, typo: bool) -> None:
    a, b = "a" * 32, "b" * 32
    length = "product_name_lenght" if typo else "product_name_length"
    prefix = "olist_" if typo else ""
    files.write(
        tmp_path,
        f"product_id,product_category_name,{length},product_weight_g,product_length_cm\n"
        f"p1,artes,44.0,1000.0,30.0\np2,,,,\np3,artes,1,-5,1\n",
        f"{prefix}products.csv",
    )
    files.write(
        tmp_path,
        f"seller_id,seller_zip_code_prefix,seller_city,seller_state\n{a},1,sao paulo,SP\n"
        f"{b},2,brejao,PE\n",
        f"{prefix}sellers.csv",
    )
    files.write(
        tmp_path,
        "order_id,order_item_id,product_id,seller_id,shipping_limit_date,price,freight_value\n"
        f"o1,1,p1,{a},2018-01-01 00:00:00,10.0,1\no2,1,p1,{a},2018-02-01 00:00:00,12.5,1\n"
        f"o3,1,p1,{b},2018-01-01 00:00:00,9.9,1\no4,1,p1,nobody,2018-01-01 00:00:00,9.9,1\n"
        f"o5,1,p2,{b},2018-01-01 00:00:00,-1,1\n",
        f"{prefix}order_items.csv",
    )
    files.write(
        tmp_path,
        "product_category_name,product_category_name_english\nartes,art\n",
        "translation.csv",
    )
    done = await imports.run(db, "olist", tmp_path)
    assert (done.counts.created, done.counts.refused, done.counts.faults) == (3, 2, 3)
    assert await price_of(db, "p1", "BRL") == [990, 1250]
    async with db.reading() as tx:
        sellers = (await marketplace.sellers(tx)).items
        product, [variant] = await catalogue.product(
            tx, (await catalogue.skus(tx, ["p1"]))["p1"].product_id
        )
        assert {c.slug for c in await catalogue.categories(tx)} == {"art", "other"}
    assert [s.kind for s in sellers if s.slug.startswith("olist-")] == ["third_party"] * 2
    assert (variant.weight_grams, product.attributes) == (1000, {"length": 30})


async def test_data_sheets_with_typed_attributes(db: Database, tmp_path: Path) -> None:
    body = """[
      {"id": "1", "title": "Toner", "ean": ["x", "0095205603217"], "supplier": "Maker",
       "price": 4995, "attr_t_type": "Original", "attr_n_pages": 230.0, "attr_b_new": true,
       "short_description": "5 < 6 <script>"},
      {"id": "2", "title": "Cable", "ean": [], "supplier": "Maker", "price": -1,
       "attr_n_type": 2.0},
      {"id": "", "title": "None", "ean": [], "price": 1},
      {"id": "1", "title": "Again", "ean": [], "price": 1}]"""
    done = await imports.run(db, "icecat", files.write(tmp_path, body, "1.json"))
    assert (done.counts.created, done.counts.refused, done.counts.faults) == (2, 2, 3)
    async with db.reading() as tx:
        product, [variant] = await catalogue.product(
            tx, (await catalogue.skus(tx, ["icecat-1"]))["icecat-1"].product_id
        )
    assert variant.gtin == "0095205603217"
    assert product.attributes["pages"] == 230 and product.attributes["new"] is True
    assert product.description == {"en": "5 &lt; 6 &lt;script&gt;"}
    assert await price_of(db, "icecat-1", "USD") == [4995]


async def test_variants_and_pictures_of_a_shop_export(db: Database, tmp_path: Path) -> None:
    body = (
        "URL handle,Title,Description,Vendor,Type,Option1 name,Option1 value,SKU,Price,"
        "Compare-at price,Barcode,Product image URL,Image alt text,Status,Charge tax\n"
        'tee,Tee,"<p>Soft</p>\n<script>x</script>",Maker,Shirts,Size,S,T-S,10,12,,'
        "https://cdn.example/1.jpg,Front,active,true\n"
        "tee,,,,,,M,T-M,11,11,,,,,false\n"
        "tee,,,,,,,,,,,https://cdn.example/2.jpg,Back,,\n"
        "one,One,,,,Title,Default Title,,5,,,,,draft,\n"
        'bro,Broken,,,,Size,S,B-S,"5\n'
        "bro,,,,,,M,B-M,5,,,,,,\n"
    )
    done = await imports.run(db, "shopify-csv", files.write(tmp_path, body), currency="USD")
    assert (done.counts.created, done.counts.refused) == (2, 2)
    async with db.reading() as tx:
        page = await catalogue.product_page(tx, "tee")
        draft = await catalogue.product_page(tx, "one", drafts=True)
    assert [(v.sku, v.options, v.tax_class) for v in page.variants] == [
        ("T-S", {"Size": "S"}, "standard"),
        ("T-M", {"Size": "M"}, "zero"),
    ]
    assert [m["url"][-5:] for m in page.media] == ["1.jpg", "2.jpg"]
    assert page.description == {"en": "<p>Soft</p>\n"} and page.trail[0].slug == "shirts"
    assert (draft.status, draft.variants[0].sku, draft.variants[0].options) == ("draft", "one", {})


@files.needs_data
@pytest.mark.slow
async def test_the_real_files(db: Database) -> None:
    expected = {
        "online-retail": imports.Counts(records=4053, created=4053, faults=112),
        "olist": imports.Counts(records=6763, created=6763),
    }
    for source, counts in expected.items():
        assert (await imports.run(db, source, files.DATA / source)).counts == counts
    async with db.reading() as tx:
        assert await tx.value("select count(*) from marketplace.offer") == 6918 + 3907
        sellers = await tx.value(
            "select count(*) from marketplace.seller where slug like 'olist-%'"
        )
    assert sellers == 1638
    books = await imports.run(db, "goodbooks", files.DATA / "goodbooks")
    assert (books.counts.created, books.counts.refused) == (10_000, 0)
    async with db.reading() as tx:
        # Of 9,415 ISBN-13 the file keeps 12 digits; 9,300 ISBN-10 beside them prove this many.
        assert await tx.value("select count(gtin) from catalogue.variant") == 9_277
