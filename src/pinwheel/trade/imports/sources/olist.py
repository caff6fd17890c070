"""The Olist marketplace of Brazil: products, sellers and order lines, under any file names, with
the original's typos or without: the tables are told apart by their columns.

A third-party seller a seller, an offer for each product a seller has sold, at the latest price."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pinwheel.trade import catalogue
from pinwheel.trade.imports.columns import Field, matches, recognise, told
from pinwheel.trade.imports.model import (
    CategoryLine,
    CellUnreadable,
    ColumnsMissing,
    Fault,
    Note,
    OfferLine,
    Opened,
    Options,
    Record,
    SellerLine,
    Stream,
    fault,
    money,
    whole,
)
from pinwheel.trade.imports.reading import Row, Table

PRODUCT = (
    Field("product", ("product_id",), required=True),
    Field("category", ("product_category_name", "category_name", "category"), required=True),
    Field("weight", ("product_weight_g", "weight_g")),
    Field("length", ("product_length_cm", "length_cm")),
    Field("height", ("product_height_cm", "height_cm")),
    Field("width", ("product_width_cm", "width_cm")),
)
SELLER = (
    Field("seller", ("seller_id",), required=True),
    Field("city", ("seller_city", "city"), required=True),
    Field("state", ("seller_state", "state"), required=True),
)
ITEM = (
    Field("order", ("order_id",), required=True),
    Field("product", ("product_id",), required=True),
    Field("seller", ("seller_id",), required=True),
    Field("price", ("price", "item_price"), required=True),
    Field("date", ("shipping_limit_date", "date")),
)
WORDS = (
    Field("category", ("product_category_name",), required=True),
    Field("english", ("product_category_name_english", "category_name_english"), required=True),
)
TABLES = {"products": PRODUCT, "sellers": SELLER, "order items": ITEM, "translation": WORDS}
NEEDED = ("products", "sellers", "order items")
SIZES = [
    {"code": code, "kind": "number", "unit": "cm", "minimum": 0, "label": {"en": en, "zh-CN": zh}}
    for code, en, zh in (
        ("length", "Length", "长"),
        ("width", "Width", "宽"),
        ("height", "Height", "高"),
    )
]


class Sources(msgspec.Struct):
    """The tables that were found, and what their columns are."""

    tables: dict[str, Table]
    taken: dict[str, dict[str, str]]


class Sale(msgspec.Struct, frozen=True):
    """The latest line of one product by one seller."""

    date: str
    price_minor: int


def opened(tables: list[Table], options: Options) -> Opened:
    """Tell the tables apart. Refuses ``ColumnsMissing`` with the table that is not there."""
    found: dict[str, Table] = {}
    for name, fields in TABLES.items():
        for table in tables:
            others = [t.name for t in found.values()]
            if table.name not in others and matches(table.columns, fields, options.mapping):
                found[name] = table
                break
    for name in NEEDED:
        if name not in found:
            needs = ", ".join(f.aliases[0] for f in TABLES[name] if f.required)
            raise ColumnsMissing(
                file=", ".join(t.name for t in tables)[:300],
                missing=f"{name} ({needs})",
                found=", ".join(found) or "—",
                field=TABLES[name][0].name,
            )
    taken = {
        name: recognise(
            table.name,
            table.columns,
            TABLES[name],
            {f.name: options.mapping[f.name] for f in TABLES[name] if f.name in options.mapping},
        )
        for name, table in found.items()
    }
    notes = [note for table in found.values() for note in table.notes]
    notes += [told(found[name].name, one, found[name].columns) for name, one in taken.items()]
    currency = options.currency or "BRL"
    notes.append(
        Note(
            f"Prices are {currency}. There are no product names: a title is made of the category "
            "and the product's number. An offer has the latest price of its order lines.",
            f"价格为 {currency}。文件没有商品名称，标题由类目和编号组成。报价取最近一次成交价。",
        )
    )
    return Opened(lambda: _stream(Sources(found, taken), currency, notes), notes)


def _stream(sources: Sources, currency: str, notes: list[Note]) -> Stream:
    words: dict[str, str] = {}
    for row in _rows(sources, "translation"):
        if not isinstance(row, Fault):
            words[row[0]["category"]] = row[0]["english"]
    sellers: dict[str, SellerLine] = {}
    for row in _rows(sources, "sellers"):
        if isinstance(row, Fault):
            yield row
        else:
            sellers[row[0]["seller"]] = _seller(row[0])
    sold: dict[str, dict[str, Sale]] = {}
    for row in _rows(sources, "order items"):
        refused = row if isinstance(row, Fault) else _sell(sources, *row, currency, sellers, sold)
        if refused is not None:
            yield refused
    without = 0
    for row in _rows(sources, "products"):
        if isinstance(row, Fault):
            yield row
            continue
        cells, at = row
        sales = sold.get(cells["product"], {})
        without += not sales
        yield _record(sources, cells, at, words, sellers, sales, currency)
    if without:
        notes.append(
            Note(
                f"{without} products were in no order: they come in as drafts without an offer.",
                f"有 {without} 个商品没有任何订单，作为草稿导入，不创建报价。",
            )
        )


def _rows(sources: Sources, name: str) -> list[tuple[dict[str, str], Row] | Fault]:
    table = sources.tables.get(name)
    if table is None:
        return []
    taken = sources.taken[name]
    return [
        row
        if isinstance(row, Fault)
        else ({field: str(row.values[column]).strip() for field, column in taken.items()}, row)
        for row in table.rows()
    ]


def _seller(cells: Mapping[str, str]) -> SellerLine:
    number = cells["seller"][:8]
    city = cells["city"].title()[:80]
    return SellerLine(f"olist-{cells['seller'][:24].lower()}", f"{city} {number}", "BR")


def _sell(
    sources: Sources,
    cells: Mapping[str, str],
    row: Row,
    currency: str,
    sellers: Mapping[str, SellerLine],
    sold: dict[str, dict[str, Sale]],
) -> Fault | None:
    name, taken = sources.tables["order items"].name, sources.taken["order items"]
    if cells["seller"] not in sellers:
        why = CellUnreadable(why="This seller is not in the table of sellers. Left out.",
                             why_zh="卖家表中没有该卖家，未导入。")  # fmt: skip
        return fault(row.number, taken["seller"], cells["seller"], why, name)
    try:
        price_minor = money(cells["price"], currency)
    except CellUnreadable as refusal:
        return fault(row.number, taken["price"], cells["price"], refusal, name)
    sales = sold.setdefault(cells["product"], {})
    sale = Sale(cells.get("date", ""), price_minor)
    before = sales.get(cells["seller"])
    if before is None or (sale.date, sale.price_minor) >= (before.date, before.price_minor):
        sales[cells["seller"]] = sale
    return None


def _record(
    sources: Sources,
    cells: Mapping[str, str],
    row: Row,
    words: Mapping[str, str],
    sellers: Mapping[str, SellerLine],
    sales: Mapping[str, Sale],
    currency: str,
) -> Record:
    table, taken = sources.tables["products"], sources.taken["products"]
    faults: list[Fault] = []
    sizes: dict[str, int] = {}
    for field in ("weight", "length", "width", "height"):
        raw = cells.get(field, "")
        try:
            if raw:
                sizes[field] = whole(raw)
        except CellUnreadable as refusal:
            faults.append(fault(row.number, taken[field], raw, refusal, table.name))
    own_name = cells["category"]
    english = words.get(own_name, own_name).replace("_", " ").strip().capitalize() or "Other"
    sku = cells["product"]
    return Record(
        key=sku,
        row=row.number,
        file=table.name,
        draft=catalogue.ProductDraft(
            title={"en": f"{english} {sku[:8]}"},
            attributes={k: v for k, v in sizes.items() if k != "weight"},
            variants=[catalogue.VariantDraft(sku=sku, weight_grams=sizes.get("weight"))],
        ),
        category=CategoryLine(
            slug=catalogue.slug_of({"en": english}) or "other",
            name={"en": english},
            attributes=SIZES,
        ),
        offers=[
            OfferLine(
                sku=sku,
                currency=currency,
                price_minor=sale.price_minor,
                seller=sellers[seller],
            )
            for seller, sale in sorted(sales.items())
        ],
        publish=bool(sales),
        faults=faults,
    )
