"""Shopify's product CSV, in the column names of old and new exports: rows of one handle follow each
other, the first with the product, each with a variant or a further picture."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from pinwheel.kernel.errors import Refusal
from pinwheel.trade import catalogue
from pinwheel.trade.imports.columns import Field, recognise, told
from pinwheel.trade.imports.model import (
    CategoryLine,
    CellUnreadable,
    Fault,
    Note,
    OfferLine,
    Opened,
    Options,
    Record,
    Stream,
    fault,
    money,
    whole,
)
from pinwheel.trade.imports.reading import Row, Table

FIELDS = (
    Field("handle", ("Handle", "URL handle"), required=True),
    Field("title", ("Title",), required=True),
    Field("sku", ("Variant SKU", "SKU"), required=True),
    Field("price", ("Variant Price", "Price"), required=True),
    Field("list_price", ("Variant Compare At Price", "Compare-at price")),
    Field("body", ("Body (HTML)", "Body HTML", "Body", "Description")),
    Field("brand", ("Vendor",)),
    Field("type", ("Type", "Product type")),
    Field("published", ("Published", "Published on online store")),
    Field("status", ("Status",)),
    Field("option1", ("Option1 Name",)),
    Field("value1", ("Option1 Value",)),
    Field("option2", ("Option2 Name",)),
    Field("value2", ("Option2 Value",)),
    Field("option3", ("Option3 Name",)),
    Field("value3", ("Option3 Value",)),
    Field("weight", ("Variant Grams", "Weight value (grams)")),
    Field("gtin", ("Variant Barcode", "Barcode")),
    Field("taxable", ("Variant Taxable", "Charge tax")),
    Field("picture", ("Image Src", "Product image URL")),
    Field("picture_words", ("Image Alt Text",)),
)


class RowRefused(Exception):
    """A cell that keeps its product out."""

    def __init__(self, found: Fault) -> None:
        super().__init__(found.en)
        self.fault = found


def opened(tables: list[Table], options: Options) -> Opened:
    """Recognise the columns of the first table."""
    table = tables[0]
    taken = recognise(table.name, table.columns, FIELDS, options.mapping)
    currency = options.currency or "CNY"
    notes = [*table.notes, told(table.name, taken, table.columns)]
    notes.append(
        Note(
            f"Prices are taken as {currency}: the file does not say. Stock is not taken from it: "
            "count it in the warehouse or set it in the console.",
            f"文件未注明货币，价格按 {currency} 处理。不导入库存：请在仓库盘点或在后台设置。",
        )
    )
    return Opened(lambda: _stream(table, taken, currency), notes)


def _stream(table: Table, taken: Mapping[str, str], currency: str) -> Stream:
    """Rows of one handle are one product; an unreadable row among them keeps it out, because a
    product that lacks a variant would be sold wrong."""
    handle, rows, broken = "", list[Row](), list[Fault]()
    for row in _cells(table, taken):
        if isinstance(row, Fault):
            yield row
            broken.append(row)
            continue
        if row.values["handle"] != handle:
            yield from _group(table.name, rows, broken, taken, currency)
            handle, rows, broken = row.values["handle"], [], broken[-50:]
        rows.append(row)
    yield from _group(table.name, rows, broken, taken, currency)


def _cells(table: Table, taken: Mapping[str, str]) -> Iterator[Row | Fault]:
    for row in table.rows():
        if isinstance(row, Fault):
            yield row
            continue
        cells = {field: str(row.values[column]).strip() for field, column in taken.items()}
        if cells["handle"]:
            yield Row(row.number, cells)
        elif any(cells.values()):
            why = CellUnreadable(why="The handle is empty: the row belongs to no product.",
                                 why_zh="Handle 为空，无法归属到商品，未导入。")  # fmt: skip
            yield fault(row.number, taken["handle"], "", why, table.name)


def _group(
    file: str,
    rows: list[Row],
    broken: list[Fault],
    taken: Mapping[str, str],
    currency: str,
) -> Iterator[Record | Fault]:
    if not rows:
        return
    first = rows[0]
    its = re.compile(r"[\"']?" + re.escape(first.values["handle"]) + r"[^\w-]")
    lost = [one.row for one in broken if its.match(one.value)]
    if lost:
        why = CellUnreadable(
            why=f"The product was left out: its row {lost[0]} can't be read.",
            why_zh=f"该商品的第 {lost[0]} 行无法读取，整个商品未导入。",
        )
        yield fault(first.number, taken["handle"], first.values["handle"], why, file)
        return
    try:
        yield _record(file, rows, taken, currency)
    except RowRefused as refused:
        yield refused.fault


def _record(file: str, rows: list[Row], taken: Mapping[str, str], currency: str) -> Record:
    first = rows[0].values
    names = [first.get(f"option{i}", "") for i in (1, 2, 3)]
    variants: list[catalogue.VariantDraft] = []
    offers: list[OfferLine] = []
    faults: list[Fault] = []
    for row in rows:
        if row is rows[0] or row.values["sku"] or row.values["price"] or row.values.get("value1"):
            variant = _variant(file, row, names, taken, faults)
            variants.append(variant)
            offer = _offer(file, row, variant.sku, taken, currency)
            if offer is not None:
                offers.append(offer)
    status = first.get("status", "").lower() or "active"
    shown = first.get("published", "").lower() not in ("false", "no", "0")
    kind = first.get("type", "")
    return Record(
        key=first["handle"],
        row=rows[0].number,
        file=file,
        draft=catalogue.ProductDraft(
            title={"en": first["title"] or first["handle"]},
            slug=catalogue.slug_of({"en": first["handle"]}),
            description={"en": first.get("body", "")},
            brand=first.get("brand", ""),
            media=_media(rows),
            variants=variants,
        ),
        category=CategoryLine(catalogue.slug_of({"en": kind}) or "other", {"en": kind})
        if kind
        else None,
        offers=offers,
        publish=bool(offers) and status == "active" and shown,
        faults=faults,
    )


def _variant(
    file: str,
    row: Row,
    names: list[str],
    taken: Mapping[str, str],
    faults: list[Fault],
) -> catalogue.VariantDraft:
    cells = row.values
    options = {
        name: cells.get(f"value{i}", "")
        for i, name in enumerate(names, 1)
        if name and cells.get(f"value{i}") and cells[f"value{i}"] != "Default Title"
    }
    # Shopify writes a leading apostrophe so that spreadsheets leave a number alone.
    sku = cells["sku"].lstrip("'").strip()
    if not sku:
        sku = "-".join([cells["handle"], *map(_word, options.values())])[:100]
    weight = None
    if cells.get("weight"):
        weight = _cell(file, row, "weight", taken, lambda raw: whole(raw))
    gtin = ""
    if cells.get("gtin"):
        answer = catalogue.read_gtin(cells["gtin"])
        if isinstance(answer, Refusal):
            faults.append(fault(row.number, taken["gtin"], cells["gtin"], answer, file))
        else:
            gtin = answer.code
    untaxed = cells.get("taxable", "").lower() in ("false", "no", "0")
    return catalogue.VariantDraft(
        sku=sku,
        gtin=gtin,
        options=options,
        weight_grams=weight,
        tax_class="zero" if untaxed else "standard",
    )


def _word(value: str) -> str:
    return catalogue.slug_of({"en": value}) or "x"


def _offer(
    file: str, row: Row, sku: str, taken: Mapping[str, str], currency: str
) -> OfferLine | None:
    if not row.values["price"]:
        return None
    price = _cell(file, row, "price", taken, lambda raw: money(raw, currency))
    before = None
    if row.values.get("list_price"):
        before = _cell(file, row, "list_price", taken, lambda raw: money(raw, currency))
    # A compare-at price that is not higher says nothing.
    list_price = before if before is not None and before > price else None
    return OfferLine(sku=sku, currency=currency, price_minor=price, list_price_minor=list_price)


def _cell(file: str, row: Row, field: str, taken: Mapping[str, str], read: Any) -> int:
    try:
        return int(read(row.values[field]))
    except CellUnreadable as refusal:
        raw = row.values[field]
        raise RowRefused(fault(row.number, taken[field], raw, refusal, file)) from refusal


def _media(rows: list[Row]) -> list[dict[str, Any]]:
    media: dict[str, dict[str, Any]] = {}
    for row in rows:
        url, words = row.values.get("picture", ""), row.values.get("picture_words", "")
        if url and url not in media:
            media[url] = {"url": url, "alt": {"en": words}} if words else {"url": url}
    return list(media.values())
