"""Invoice lines of a shop as a catalogue: the UCI Online Retail layouts, I and II.

One product, variant and own offer a stock code. Its title is the description it has most often on
lines that were sold, its price the unit price it was sold at most often (the later one at a tie).
Cancelled invoices (C…) and lines without a price say nothing about either."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from pinwheel.trade import catalogue
from pinwheel.trade.imports.columns import Field, matches, recognise, told
from pinwheel.trade.imports.model import (
    CellUnreadable,
    Fault,
    Note,
    OfferLine,
    Opened,
    Options,
    Record,
    Stream,
    counted,
    fault,
    money,
)
from pinwheel.trade.imports.reading import Row, Table

FIELDS = (
    Field("sku", ("StockCode", "stock_code", "sku"), required=True),
    Field("title", ("Description", "title"), required=True),
    Field("price", ("UnitPrice", "Price"), required=True),
    Field("invoice", ("InvoiceNo", "Invoice")),
    Field("date", ("InvoiceDate",)),
    Field("quantity", ("Quantity",)),
)
NOT_GOODS = {
    *("POST", "DOT", "D", "M", "C2", "S", "B", "CRUK", "PADS", "BANK CHARGES", "AMAZONFEE"),
    *("ADJUST", "ADJUST2", "TEST001", "TEST002", "GIFT"),
}
"""Postage, discount, manual entries, samples, bad debt, commission, fees, corrections."""
NO_TITLE = re.compile(r"(unknown|[?\W]*)", re.IGNORECASE)


class Seen(msgspec.Struct):
    """What the lines say about one stock code."""

    row: int
    titles: dict[str, int] = {}
    notes: dict[str, int] = {}  # descriptions of lines that were not sold
    prices: dict[int, tuple[int, Any]] = {}  # minor → (times, latest date)


def opened(tables: list[Table], options: Options) -> Opened:
    """Recognise the tables of invoice lines; several (one a year) are taken together."""
    fitting = [t for t in tables if matches(t.columns, FIELDS, options.mapping)] or tables[:1]
    taken = [recognise(t.name, t.columns, FIELDS, options.mapping) for t in fitting]
    currency = options.currency or "GBP"
    notes = [note for t in fitting for note in t.notes]
    notes += [told(t.name, one, t.columns) for t, one in zip(fitting, taken, strict=True)]
    notes.append(
        Note(
            f"Prices are taken as {currency}: the file does not say. Title: the most frequent "
            "description of a stock code; price: its most frequent unit price, the later at a tie.",
            f"文件未注明货币，价格按 {currency} 处理。标题取该货号最常见的描述，价格取最常见的单价"
            "（次数相同取较新的）。",
        )
    )
    pairs = list(zip(fitting, taken, strict=True))
    return Opened(lambda: _stream(pairs, currency, notes), notes)


def _stream(pairs: list[tuple[Table, dict[str, str]]], currency: str, notes: list[Note]) -> Stream:
    goods: dict[str, Seen] = {}
    left_out: dict[str, int] = {}
    for table, taken in pairs:
        for row in table.rows():
            if isinstance(row, Fault):
                yield row
                continue
            found = _read(table.name, row, taken, currency, goods, left_out)
            if found is not None:
                yield found
    if left_out:
        notes.append(
            Note(
                f"Not goods, left out: {counted(left_out)}.",
                f"非商品编码，已略过：{counted(left_out)}。",
            )
        )
    without = 0
    for sku, seen in sorted(goods.items()):
        record = _record(sku, seen, currency, pairs[0][0].name)
        without += not record.offers
        yield record
    if without:
        notes.append(
            Note(
                f"{without} stock codes were never sold at a price: they come in as drafts.",
                f"有 {without} 个货号从未以有效价格售出，作为草稿导入。",
            )
        )


def _read(
    file: str,
    row: Row,
    taken: Mapping[str, str],
    currency: str,
    goods: dict[str, Seen],
    left_out: dict[str, int],
) -> Fault | None:
    """Count one line in; the fault of one that can't be read."""
    values = row.values
    sku = str(values[taken["sku"]]).strip()
    raw = values[taken["price"]]
    if not sku:
        why = CellUnreadable(why="The stock code is empty. The line was left out.",
                             why_zh="货号为空，此行未导入。")  # fmt: skip
        return fault(row.number, taken["sku"], "", why, file)
    if sku.upper() in NOT_GOODS or sku.lower().startswith("gift_"):
        left_out[sku] = left_out.get(sku, 0) + 1
        return None
    try:
        price_minor = money(raw, currency)
    except CellUnreadable as refusal:
        return fault(row.number, taken["price"], raw, refusal, file)
    seen = goods.get(sku) or goods.setdefault(sku, Seen(row.number))
    title = " ".join(str(values[taken["title"]]).split())
    cancelled = (
        str(values[taken["invoice"]]).upper().startswith("C") if "invoice" in taken else False
    )
    if cancelled or price_minor == 0:
        seen.notes[title] = seen.notes.get(title, 0) + 1
        return None
    seen.titles[title] = seen.titles.get(title, 0) + 1
    times, latest = seen.prices.get(price_minor, (0, ""))
    seen.prices[price_minor] = (times + 1, max(latest, _day(values, taken)))
    return None


def _day(values: Mapping[str, Any], taken: Mapping[str, str]) -> str:
    """A date as text that sorts; '' when it is in another order and so can't break a tie."""
    raw = values[taken["date"]] if "date" in taken else ""
    if isinstance(raw, dt.date):
        return raw.isoformat()
    return raw if isinstance(raw, str) and re.match(r"\d{4}-\d\d-\d\d", raw) else ""


def _record(sku: str, seen: Seen, currency: str, file: str) -> Record:
    faults: list[Fault] = []
    title = _title(seen)
    if not title:
        why = CellUnreadable(
            why="No line says what this is. It is a draft under its code: give it a title.",
            why_zh="没有任何一行说明这是什么商品。已以货号作为标题导入为草稿，请补充标题。",
        )
        faults.append(fault(seen.row, "title", sku, why, file))
    price = max(seen.prices, key=lambda p: (*seen.prices[p], p), default=None)
    offers = [OfferLine(sku=sku, currency=currency, price_minor=price)] if price else []
    return Record(
        key=sku,
        row=seen.row,
        file=file,
        draft=catalogue.ProductDraft(
            title={"en": title or sku}, variants=[catalogue.VariantDraft(sku=sku)]
        ),
        offers=offers,
        publish=bool(offers and title),
        faults=faults,
    )


def _title(seen: Seen) -> str:
    for titles in (seen.titles, seen.notes):
        named = {t: n for t, n in titles.items() if not NO_TITLE.fullmatch(t)}
        if named:
            return max(sorted(named), key=lambda t: named[t])
    return ""
