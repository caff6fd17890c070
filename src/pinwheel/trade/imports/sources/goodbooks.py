"""Books by ISBN, author and title: the goodbooks-10k layout and others like it.

They have no prices. A shop-keeper who loads them wants the titles without selling at a made-up
price, so they come in as drafts without an offer; with a price rule each is offered and published.
Ratings in the file are other people's and are not taken for this shop's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pinwheel.kernel.errors import Refusal
from pinwheel.trade import catalogue
from pinwheel.trade.imports.columns import Field, matches, recognise, told
from pinwheel.trade.imports.model import (
    CategoryLine,
    Fault,
    Note,
    OfferLine,
    Opened,
    Options,
    Record,
    Stream,
    counted,
    fault,
    price_rule,
)
from pinwheel.trade.imports.reading import Row, Table

FIELDS = (
    Field("id", ("book_id", "bookID", "id"), required=True),
    Field("title", ("title", "book_title", "original_title"), required=True),
    Field("author", ("authors", "author", "book_author"), required=True),
    Field("isbn", ("isbn", "isbn10")),
    Field("isbn13", ("isbn13",)),
    Field("year", ("original_publication_year", "year_of_publication", "publication_year")),
    Field("language", ("language_code", "language")),
    Field("pages", ("num_pages", "pages")),
    Field("publisher", ("publisher",)),
    Field("picture", ("image_url", "image_url_l")),
)
BOOKS = CategoryLine(
    slug="books",
    name={"en": "Books", "zh-CN": "图书"},
    attributes=[
        {
            "code": "author",
            "kind": "text",
            "label": {"en": "Author", "zh-CN": "作者"},
            "required": True,
            "searchable": True,
            "facet": True,
        },
        {"code": "publisher", "kind": "text", "label": {"en": "Publisher", "zh-CN": "出版社"}},
        {
            "code": "year",
            "kind": "number",
            "label": {"en": "First published", "zh-CN": "首次出版年份"},
            "minimum": -3000,
            "maximum": 2200,
            "facet": True,
        },
        {
            "code": "language",
            "kind": "text",
            "label": {"en": "Language", "zh-CN": "语言"},
            "facet": True,
        },
        {
            "code": "pages",
            "kind": "number",
            "label": {"en": "Pages", "zh-CN": "页数"},
            "minimum": 0,
        },
    ],
)


def opened(tables: list[Table], options: Options) -> Opened:
    """Recognise the table of books among ``tables``."""
    table = next((t for t in tables if matches(t.columns, FIELDS, options.mapping)), tables[0])
    taken = recognise(table.name, table.columns, FIELDS, options.mapping)
    notes = [*table.notes, told(table.name, taken, table.columns)]
    offer = price_rule(options.price)
    if offer is None:
        notes.append(
            Note(
                "The file has no prices: the books come in as drafts without an offer. Give "
                "a price (CNY 39.00) to have them offered and published.",
                "文件中没有价格：图书将作为草稿导入，不创建报价。"
                "指定价格（如 CNY 39.00）即可上架销售。",
            )
        )
    return Opened(lambda: _stream(table, taken, options, offer, notes), notes)


def _stream(
    table: Table,
    taken: Mapping[str, str],
    options: Options,
    offer: tuple[str, int] | None,
    notes: list[Note],
) -> Stream:
    mended: dict[str, int] = {}
    for row in table.rows():
        if isinstance(row, Fault):
            yield row
            continue
        cells = {field: str(row.values[column]).strip() for field, column in taken.items()}
        faults: list[Fault] = []
        gtin = _article_number(table.name, row, cells, taken, faults, mended)
        yield _record(table.name, row, cells, gtin, faults, options, offer)
    notes.append(
        Note(
            f"Article numbers: {counted(mended) or 'none'}.",
            f"商品条码：{counted(mended) or '无'}。",
        )
    )


def _article_number(
    file: str,
    row: Row,
    cells: Mapping[str, str],
    taken: Mapping[str, str],
    faults: list[Fault],
    mended: dict[str, int],
) -> str:
    """The book's ISBN-13, or '' with a fault. An ISBN-10 has a check digit of its own: it goes
    before an ISBN-13 that a spreadsheet has rounded."""
    ten, thirteen = cells.get("isbn", ""), cells.get("isbn13", "")
    book = catalogue.read_isbn(ten) if ten else None
    code = catalogue.read_gtin(thirteen, isbn=ten) if thirteen else None
    if isinstance(book, catalogue.Gtin) and book.mended == "isbn10":
        if isinstance(code, catalogue.Gtin) and code.code != book.code:
            why = catalogue.GtinAmbiguous(text=f"{ten} / {thirteen}")
            faults.append(fault(row.number, taken["isbn13"], thirteen, why, file))
        kind = getattr(code, "mended", "") or "isbn10"
        found = book.code
    elif isinstance(code, catalogue.Gtin):
        kind, found = code.mended or "as given", code.code
    else:
        kind, found = ("refused" if code or book else "none"), ""
        refusal, column = (code, "isbn13") if code else (book, "isbn")
        if isinstance(refusal, Refusal):
            value = cells[column]
            faults.append(fault(row.number, taken[column], value, refusal, file))
    mended[kind] = mended.get(kind, 0) + 1
    return found


def _record(
    file: str,
    row: Row,
    cells: Mapping[str, str],
    gtin: str,
    faults: list[Fault],
    options: Options,
    offer: tuple[str, int] | None,
) -> Record:
    key = cells["id"].removesuffix(".0")
    sku = f"book-{key}"
    language = "zh-CN" if cells.get("language", "").lower()[:2] in ("zh", "ch") else "en"
    attributes: dict[str, Any] = {"author": cells["author"]}
    for name in ("publisher", "language"):
        attributes[name] = cells.get(name, "")
    for name in ("year", "pages"):
        attributes[name] = cells.get(name, "").removesuffix(".0")
    picture = cells.get("picture", "")
    return Record(
        key=key,
        row=row.number,
        file=file,
        draft=catalogue.ProductDraft(
            title={language: cells["title"]},
            attributes=attributes,
            media=[{"url": picture}] if options.pictures and picture else [],
            variants=[catalogue.VariantDraft(sku=sku, gtin=gtin, tax_class="books")],
        ),
        category=BOOKS,
        offers=[OfferLine(sku=sku, currency=offer[0], price_minor=offer[1])] if offer else [],
        publish=offer is not None,
        faults=faults,
    )
