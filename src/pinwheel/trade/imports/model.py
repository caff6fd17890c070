"""Nouns of an import: what a source says, what came of it, and how money in a file is read."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Any, Literal

import msgspec
from babel.numbers import get_currency_precision

from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import Event
from pinwheel.trade import catalogue

SHOWN = 120
"""How many characters of a faulty value are kept: enough to find it, too few to leak a file."""


class Note(msgspec.Struct, frozen=True):
    """One thing the shop-keeper should know, in both languages."""

    en: str
    zh: str


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong in one place of a file. ``row``: as a spreadsheet counts, the heading is 1."""

    row: int
    column: str = ""
    value: str = ""
    en: str
    zh: str
    file: str = ""


class CategoryLine(msgspec.Struct, frozen=True):
    """The category a record needs, with the attributes it uses."""

    slug: str
    name: dict[str, str]
    attributes: list[dict[str, Any]] = []
    parent: str = ""


class SellerLine(msgspec.Struct, frozen=True):
    slug: str
    name: str
    country: str = ""


class OfferLine(msgspec.Struct, frozen=True, kw_only=True):
    """An offer of one SKU. ``seller`` None: the own shop."""

    sku: str
    currency: str
    price_minor: int
    list_price_minor: int | None = None
    seller: SellerLine | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One product as a source tells it. ``key`` is its identity within the source. ``faults`` do
    not keep it out: they say what was left away. ``publish``: it is complete and on sale."""

    key: str
    row: int
    draft: catalogue.ProductDraft
    category: CategoryLine | None = None
    offers: list[OfferLine] = []
    publish: bool = False
    faults: list[Fault] = []
    file: str = ""

    def hash_input(self) -> bytes:
        """What makes two records the same: everything but where they stand in the file."""
        slug = self.category.slug if self.category else ""
        return msgspec.json.encode(
            (self.draft, slug, self.offers, self.publish), order="deterministic"
        )


Stream = Iterator[Record | Fault]
"""What a source yields, the same in each run over the same file."""


class Opened(msgspec.Struct):
    """A source that has recognised its columns. ``stream`` may be gone through again, and may add
    to ``notes`` what it found by its end."""

    stream: Callable[[], Stream]
    notes: list[Note]


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How a file is to be read. ``mapping``: field → column. ``currency``: of prices that do not
    say theirs. ``price``: for files without prices, ``CNY 39.00`` for every product.
    ``pictures``: keep addresses of pictures on other servers."""

    mapping: dict[str, str] = {}
    currency: str = ""
    price: str = ""
    pictures: bool = False


class Counts(msgspec.Struct, kw_only=True):
    """What came of the records of a job."""

    records: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    refused: int = 0
    faults: int = 0


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did. ``resumed_at``: where an interrupted one was taken up again."""

    job_id: uuid.UUID
    source: str
    label: str
    status: Literal["running", "done"]
    counts: Counts
    notes: list[Note]
    faults: list[Fault]  # the first ones; ``faults_csv`` gives all
    resumed_at: int = 0

    def lines(self, language: str = "en") -> list[str]:
        """The report as a person reads it."""
        c, zh = self.counts, language.startswith("zh")
        if zh:
            head = f"{self.label}：新增 {c.created}，更新 {c.updated}，未变 {c.unchanged}，"
            head += f"拒绝 {c.refused}，共 {c.records} 条记录"
        else:
            head = f"{self.label}: {c.created} new, {c.updated} changed, {c.unchanged} unchanged, "
            head += f"{c.refused} refused of {c.records} records"
        if self.resumed_at:
            head += (
                f"（自第 {self.resumed_at} 条续传）" if zh else f" (resumed at {self.resumed_at})"
            )
        lines = [head, *(f"· {note.zh if zh else note.en}" for note in self.notes)]
        for fault in self.faults:
            place = f"第 {fault.row} 行" if zh else f"row {fault.row}"
            lines.append(f"! {place} {fault.column}: {fault.zh if zh else fault.en}")
        return lines


class ImportFinished(Event, frozen=True, kw_only=True):
    """A file was taken in to its end."""

    subject = "job_id"
    job_id: uuid.UUID
    source: str
    label: str
    counts: Counts


class SourceUnknown(Refusal):
    status = 422
    en = "There is no importer {source}. Choose from {sources}."
    zh = "没有名为 {source} 的导入来源。可选：{sources}。"


class FileUnreadable(Refusal):
    status = 422
    en = "{file} can't be read: {why}."
    zh = "无法读取 {file}：{why_zh}。"


class ColumnsMissing(Refusal):
    """The columns a source needs are not recognised."""

    status = 422
    en = (
        "{file} has no column for {missing}. It has {found}. Name them in the mapping, for example "
    )
    en += '{{"{field}": "column name"}}.'
    zh = "{file} 中找不到以下字段对应的列：{missing}。现有列：{found}。请通过映射指定，例如 "
    zh += '{{"{field}": "列名"}}。'


class MappingUnsound(Refusal):
    status = 422
    en = "The mapping {field} → {column} does not fit: {why}."
    zh = "映射 {field} → {column} 不成立：{why_zh}。"


class OptionUnsound(Refusal):
    status = 422
    en = "{option} can't be {value}: {why}."
    zh = "{option} 不能为 {value}：{why_zh}。"


class CellUnreadable(Refusal):
    """A value that is not what its column holds."""

    status = 422
    en = "{why}"
    zh = "{why_zh}"


_NOT_MONEY = re.compile(r"[^\d.,\-−+(]+")
_EXPONENT = re.compile(r"\d+(\.\d+)?[eE][+-]?\d+")


def money(raw: Any, currency: str) -> int:
    """``raw`` as minor units of ``currency``; raises ``CellUnreadable``.

    Reads ``12.5``, ``12,50``, ``1,234.50``, ``1.234,50``, ``£12``; refuses a negative price and one
    where a comma could mean thousands or decimals (``1,234``)."""
    text = repr(raw) if isinstance(raw, float) else str(raw).strip()
    plain = text if _EXPONENT.fullmatch(text) else _NOT_MONEY.sub("", text)
    if plain.startswith(("-", "−", "(")):
        raise CellUnreadable(
            why="A price can't be negative. Correct it in the file.",
            why_zh="价格不能为负数，请在文件中更正。",
        )
    try:
        amount = Decimal(_one_point(plain.lstrip("+")))
    except InvalidOperation:
        amount = Decimal("NaN")
    if not amount.is_finite() or amount >= 10**12:
        raise CellUnreadable(why="It is no price. Give a number.", why_zh="不是价格，请填写数字。")
    minor = amount.scaleb(get_currency_precision(currency))
    return int(minor.quantize(Decimal(1), ROUND_HALF_UP))


def _one_point(text: str) -> str:
    """Thousands taken out and a point for the decimals: the sign that comes last and only once
    sets the decimals apart."""
    points, commas = text.count("."), text.count(",")
    if not commas:
        return text.replace(".", "") if points > 1 else text
    if not points and re.fullmatch(r"[1-9]\d{0,2},\d{3}", text):
        raise CellUnreadable(
            why="The comma could mean thousands or decimals. Write 1234.00 or 1.234.",
            why_zh="逗号可能表示千位或小数，请写成 1234.00 或 1.234。",
        )
    if commas == 1 and text.rfind(",") > text.rfind("."):
        return text.replace(".", "").replace(",", ".")
    return text.replace(",", "")


def whole(raw: Any) -> int:
    """``raw`` as a whole number that is not negative; raises ``CellUnreadable``."""
    try:
        amount = Decimal(str(raw).strip().replace(",", "."))
        if amount.is_finite() and 0 <= amount < 10**9:
            return int(amount.quantize(Decimal(1), ROUND_HALF_UP))
    except InvalidOperation:
        pass
    raise CellUnreadable(
        why="It is no whole number of 0 or more.", why_zh="不是大于等于 0 的整数。"
    )


def fault(row: int, column: str, value: Any, refusal: Refusal, file: str = "") -> Fault:
    """A refusal as a fault at a place in a file."""
    return Fault(
        row=row,
        column=column,
        value=str(value)[:SHOWN],
        en=refusal.sentence("en"),
        zh=refusal.sentence("zh-CN"),
        file=file,
    )


def price_rule(text: str) -> tuple[str, int] | None:
    """``CNY 39.00`` as (currency, minor units); None for ''."""
    if not text.strip():
        return None
    currency, _, amount = text.strip().replace(":", " ", 1).partition(" ")
    try:
        return currency.upper(), money(amount, currency.upper())
    except CellUnreadable as refusal:
        raise OptionUnsound(
            option="price",
            value=text[:SHOWN],
            why=f"write a currency and an amount, CNY 39.00 ({refusal.sentence('en')})",
            why_zh="请写成货币加金额，如 CNY 39.00",
        ) from refusal


def counted(amounts: Mapping[str, int]) -> str:
    """``{"a": 2}`` as ``a (2)``, the most frequent first."""
    ordered = sorted(amounts.items(), key=lambda pair: (-pair[1], pair[0]))
    return ", ".join(f"{name} ({n})" for name, n in ordered)
