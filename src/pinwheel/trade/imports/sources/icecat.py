"""Product data sheets as JSON: a list of products with typed attributes (``attr_t_…`` text,
``attr_n_…`` number, ``attr_b_…`` yes or no), EAN, supplier and a price in cents.

An attribute that many products have becomes the category's; a rare one is kept, in words, in the
description: thousands of attributes with two values each would help nobody to filter."""

from __future__ import annotations

import html
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pinwheel.kernel.errors import Refusal
from pinwheel.trade import catalogue
from pinwheel.trade.imports.columns import Field, matches, recognise, told
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
    whole,
)
from pinwheel.trade.imports.reading import Row, Table

FIELDS = (
    Field("id", ("id", "product_id"), required=True),
    Field("title", ("title", "product_title"), required=True),
    Field("name", ("name",)),
    Field("ean", ("ean", "gtin", "eans"), required=True),
    Field("brand", ("supplier", "brand", "vendor")),
    Field("description", ("short_description", "description")),
    Field("price", ("price", "price_cents")),
    Field("picture", ("img_500x500", "img_high")),
)
KINDS = {"t": "text", "n": "number", "b": "boolean"}
MOST_ATTRIBUTES = 300
FEW_VALUES = 60
LONGEST = 2_000
"""Longer texts (lists of compatible models) go to the description, cut short."""


class Schema(msgspec.Struct, frozen=True):
    """``codes``: the field in the file → the attribute's code."""

    codes: dict[str, str]
    category: CategoryLine


def opened(tables: list[Table], options: Options) -> Opened:
    """Recognise the lists of products among ``tables``; several files are one list."""
    fitting = [t for t in tables if matches(t.columns, FIELDS, options.mapping)] or tables[:1]
    taken = [recognise(t.name, t.columns, FIELDS, options.mapping) for t in fitting]
    currency = options.currency or "USD"
    plain = [c for c in fitting[0].columns if not c.startswith("attr_")]
    notes = [told(fitting[0].name, taken[0], plain)]
    notes.append(
        Note(
            f"Prices are taken as {currency}, in cents: the file does not say.",
            f"文件未注明货币，价格按 {currency}（单位：分）处理。",
        )
    )
    pairs = list(zip(fitting, taken, strict=True))
    return Opened(lambda: _stream(pairs, currency, options, notes), notes)


def _stream(
    pairs: Sequence[tuple[Table, dict[str, str]]],
    currency: str,
    options: Options,
    notes: list[Note],
) -> Stream:
    schema, left = _schema([table for table, _ in pairs])
    for table, taken in pairs:
        for row in table.rows():
            if isinstance(row, Fault):
                yield row
            else:
                yield _read(table.name, row, taken, schema, currency, options)
    notes.append(
        Note(
            f"{len(schema.codes)} attributes became the category's; {left} rare ones are kept in "
            "the descriptions.",
            f"{len(schema.codes)} 个属性成为类目属性；{left} 个罕见属性保留在描述中。",
        )
    )


def _schema(tables: Sequence[Table]) -> tuple[Schema, int]:
    """The attributes worth filtering by: those of at least 1 product in 200."""
    times: Counter[str] = Counter()
    values: dict[str, set[str]] = {}
    products = 0
    for table in tables:
        for row in table.rows():
            if isinstance(row, Fault):
                continue
            products += 1
            for name, value in row.values.items():
                if _kind(name) and value not in ("", None):
                    times[name] += 1
                    some = values.setdefault(name, set())
                    if len(some) <= FEW_VALUES:
                        some.add(str(value))
    enough = [n for n, c in times.most_common(MOST_ATTRIBUTES) if c * 200 >= products]
    codes: dict[str, str] = {}
    for name in sorted(enough):
        code = _code(name)
        codes[name] = code if code not in codes.values() else f"{code}_{name[5]}"[:63]
    attributes = [
        {
            "code": code,
            "kind": KINDS[name[5]],
            "label": {"en": code.replace("_", " ").capitalize()},
            "searchable": name[5] == "t",
            "facet": len(values[name]) <= FEW_VALUES and name[5] != "n",
        }
        for name, code in codes.items()
    ]
    category = CategoryLine(
        slug="electronics", name={"en": "Electronics", "zh-CN": "电子产品"}, attributes=attributes
    )
    return Schema(codes, category), len(times) - len(enough)


def _kind(name: str) -> str:
    return KINDS.get(name[5:6], "") if name[:5] == "attr_" and name[6:7] == "_" else ""


def _code(name: str) -> str:
    plain = "".join(c if c.isascii() and c.isalnum() else "_" for c in name[7:].lower())
    code = "_".join(part for part in plain.split("_") if part)[:60]
    return code if code[:1].isalpha() else f"a_{code}"


def _read(
    file: str,
    row: Row,
    taken: Mapping[str, str],
    schema: Schema,
    currency: str,
    options: Options,
) -> Record | Fault:
    cells = {field: row.values.get(column, "") for field, column in taken.items()}
    key = str(cells["id"]).strip()
    sku = f"icecat-{key}"
    if not key:
        why = CellUnreadable(
            why="The product has no id. Left out.", why_zh="商品没有编号，未导入。"
        )
        return fault(row.number, taken["id"], "", why, file)
    faults: list[Fault] = []
    attributes, rest = {}, list[tuple[str, Any]]()
    for name, value in row.values.items():
        if not _kind(name) or value in ("", None):
            continue
        if name in schema.codes and len(str(value)) <= LONGEST:
            attributes[schema.codes[name]] = value
        else:
            rest.append((_code(name).replace("_", " ").capitalize(), value))
    offers = []
    try:
        if cells.get("price", "") != "":
            price = whole(cells["price"])
            offers = [OfferLine(sku=sku, currency=currency, price_minor=price)] if price else []
    except CellUnreadable as refusal:
        faults.append(fault(row.number, taken["price"], cells["price"], refusal, file))
    gtin = _gtin(file, row.number, cells["ean"], taken["ean"], faults)
    picture = str(cells.get("picture", ""))
    return Record(
        key=key,
        row=row.number,
        file=file,
        draft=catalogue.ProductDraft(
            title={"en": str(cells["title"] or cells.get("name", ""))[:500]},
            brand=str(cells.get("brand", "")),
            description=_description(str(cells.get("description", "")), rest),
            attributes=attributes,
            media=[{"url": picture}] if options.pictures and picture else [],
            variants=[catalogue.VariantDraft(sku=sku, gtin=gtin)],
        ),
        category=schema.category,
        offers=offers,
        publish=bool(offers),
        faults=faults,
    )


def _gtin(file: str, number: int, raw: Any, column: str, faults: list[Fault]) -> str:
    """The first number that is proven; a fault when there are some and none is."""
    listed = [str(one) for one in (raw if isinstance(raw, list) else [raw]) if str(one).strip()]
    refusal: Refusal | None = None
    for text in listed:
        answer = catalogue.read_gtin(text)
        if isinstance(answer, catalogue.Gtin):
            return answer.code
        refusal = refusal or answer
    if refusal is not None:
        faults.append(fault(number, column, listed[0], refusal, file))
    return ""


def _description(text: str, rest: Sequence[tuple[str, Any]]) -> dict[str, str]:
    lines = "".join(
        f"<li>{html.escape(label)}: {html.escape(str(value)[:300])}</li>" for label, value in rest
    )
    whole_text = html.escape(text, quote=False) + (f"<ul>{lines}</ul>" if lines else "")
    return {"en": whole_text} if whole_text else {}
