"""Files of a replay as plain rows: Parquet or CSV, by published column names."""

from __future__ import annotations

import csv
import datetime as dt
import hashlib
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pinwheel.replay.model import FileUnfit
from pinwheel.replay.retail import Line

BLOCK = 1 << 20
RETAIL = {
    "invoice": ("InvoiceNo", "Invoice"),
    "code": ("StockCode",),
    "description": ("Description",),
    "quantity": ("Quantity",),
    "at": ("InvoiceDate",),
    "price": ("UnitPrice", "Price"),
    "customer": ("CustomerID", "Customer ID"),
    "country": ("Country",),
}
DATES = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%d/%m/%Y %H:%M", "%m/%d/%Y %H:%M")


def digest(path: Path) -> str:
    """The identity of a file or a folder's CSV files."""
    total = hashlib.blake2b(digest_size=16)
    files = sorted(path.glob("*.csv")) if path.is_dir() else [path]
    for file in files:
        total.update(file.name.encode() + b"\0")
        with file.open("rb") as stream:
            while block := stream.read(BLOCK):
                total.update(block)
    return total.hexdigest()


def table(path: Path) -> dict[str, list[Any]]:
    """Columns by name. Refuses ``FileUnfit``."""
    if not path.is_file():
        raise FileUnfit(file=path.name, why="it does not exist", why_zh="文件不存在")
    with path.open("rb") as stream:
        is_parquet = stream.read(4) == b"PAR1"
    try:
        if is_parquet:
            read = pq.read_table(path)
            return {name: read.column(name).to_pylist() for name in read.column_names}
        with path.open(encoding="utf-8-sig", newline="") as text:
            rows = csv.reader(text)
            head = next(rows)
            columns: list[list[Any]] = [list(c) for c in zip(*rows, strict=True)]
            return dict(zip(head, columns or [[] for _ in head], strict=True))
    except (pa.ArrowException, OSError, ValueError, StopIteration) as error:
        raise FileUnfit(
            file=path.name, why=f"it is no sound table ({error})", why_zh="表格损坏"
        ) from error


def rows(path: Path) -> Iterator[dict[str, str]]:
    """The rows of a CSV file."""
    columns = table(path)
    for values in zip(*columns.values(), strict=True):
        yield dict(zip(columns, values, strict=True))


def retail_lines(path: Path, most: int = 0) -> list[Line]:
    """The invoice lines of Online Retail, I or II, in the file's order; the first ``most``."""
    columns = table(path)
    taken: dict[str, list[Any]] = {}
    for field, names in RETAIL.items():
        there = next((n for n in names if n in columns), None)
        if there is None:
            raise FileUnfit(
                file=path.name, why=f"there is no column {names[0]}", why_zh=f"缺少 {names[0]} 列"
            )
        taken[field] = columns[there][: most or None]
    try:
        return [
            Line(
                number,
                _text(invoice),
                _text(code),
                " ".join(_text(description).split()),
                int(quantity),
                _instant(at),
                _price(price),
                _whole(customer),
                _text(country),
            )
            for number, (
                invoice,
                code,
                description,
                quantity,
                at,
                price,
                customer,
                country,
            ) in enumerate(zip(*taken.values(), strict=True), 1)
        ]
    except (ValueError, InvalidOperation) as error:
        raise FileUnfit(
            file=path.name, why=f"a value can't be read ({error})", why_zh="存在无法识别的值"
        ) from error


def _text(value: Any) -> str:
    return "" if value is None else str(value).strip()


def _whole(value: Any) -> str:
    """A customer's number: a float where some are missing."""
    if value is None or value != value:
        return ""
    text = str(value).strip()
    return text.removesuffix(".0") if text.lower() != "nan" else ""


@lru_cache(maxsize=1 << 16)
def _price(value: Any) -> Decimal:
    """Exactly what the file says: the shortest decimal that is this float."""
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(str(value))


@lru_cache(maxsize=1 << 16)
def _instant(value: Any) -> dt.datetime:
    """A time of the file, taken as UTC: the file names no zone."""
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=value.tzinfo or dt.UTC)
    text = str(value).strip().removesuffix("+00:00")
    for layout in DATES:
        try:
            return dt.datetime.strptime(text, layout).replace(tzinfo=dt.UTC)
        except ValueError:
            continue
    raise ValueError(f"{text!r} is no time")
