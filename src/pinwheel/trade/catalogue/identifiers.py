"""Article numbers: reading GTIN-8/12/13/14 and ISBN-10/13, and mending what spreadsheets did.

A spreadsheet takes an article number for a quantity: it drops leading zeros, adds ``.0``, or keeps
only its first digits (``9.78044E+12``). The check digit proves a mend; where it can't, the number
is refused, not guessed. Sources: GS1 General Specifications 7.9 (check digit), ISO 2108 (ISBN).
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Literal

import msgspec

from pinwheel.kernel.errors import Refusal

Mend = Literal["", "as_text", "leading_zeros", "isbn10", "second_number"]


class Gtin(msgspec.Struct, frozen=True):
    """``code``: 13 digits, or 14 where the first is not 0. ``mended``: what had to be put right."""

    code: str
    mended: Mend = ""


class GtinUnreadable(Refusal):
    status = 422
    en = "{text} is not an article number. Give 8, 12, 13 or 14 digits, or an ISBN."
    zh = "{text} 不是有效的商品条码。请填写 8、12、13 或 14 位数字，或 ISBN。"


class GtinCheckDigit(Refusal):
    status = 422
    en = "The article number {text} has a slip: its last digit would have to be {expected}. "
    en += "Compare it with the package."
    zh = "商品条码 {text} 有误：最后一位应为 {expected}。请与包装核对。"


class GtinDigitsLost(Refusal):
    status = 422
    en = "The article number {text} has lost digits in a spreadsheet. Format the column as text "
    en += "and export it again."
    zh = "商品条码 {text} 在电子表格中丢失了数字。请将该列设为文本格式后重新导出。"


class GtinAmbiguous(Refusal):
    status = 422
    en = (
        "{text} can be read as an ISBN and as a barcode without its leading zeros. Give all digits."
    )
    zh = "{text} 既可能是 ISBN，也可能是缺少前导零的条码。请填写完整数字。"


_NOISE = re.compile(r"[\s\-‐‑–—'’‘\"=]+")
_SCIENTIFIC = re.compile(r"(\d)(?:[.,](\d+))?[eE]\+?(\d{1,2})")
_FLOAT = re.compile(r"(\d+)[.,]0*")


def check_digit(digits: str) -> int:
    """The GS1 check digit for ``digits``, which stand before it: weights 3, 1, 3 … from the
    right."""
    return -sum(int(d) * (3 if i % 2 == 0 else 1) for i, d in enumerate(reversed(digits))) % 10


def is_isbn10(text: str) -> bool:
    """Ten characters whose sum weighted 10 … 1 is a multiple of 11; X stands for 10 at the end."""
    if not re.fullmatch(r"\d{9}[\dX]", text) or not text.strip("0"):
        return False
    return sum((10 - i) * (10 if c == "X" else int(c)) for i, c in enumerate(text)) % 11 == 0


def isbn13_of(isbn10: str) -> str:
    """The same book's ISBN-13: 978, the first nine digits, and a check digit of its own."""
    body = "978" + isbn10[:9]
    return f"{body}{check_digit(body)}"


def read_gtin(text: str, *, isbn: str = "") -> Gtin | Refusal:
    """The article number in ``text``; ``isbn`` is a second column that may hold the same book's
    ISBN-10 and proves a number that has lost its last digits.

    Refuses ``GtinUnreadable``, ``GtinCheckDigit``, ``GtinDigitsLost``, ``GtinAmbiguous``."""
    short = text.strip()[:40]
    raw = _NOISE.sub("", text).upper()
    second = _book(isbn) if isbn.strip() else None
    scientific = _SCIENTIFIC.fullmatch(raw)
    if scientific:
        return _from_scientific(short, raw, scientific, second)
    as_float = _FLOAT.fullmatch(raw)
    digits = as_float[1] if as_float else raw
    mended: Mend = "as_text" if as_float else ""
    if is_isbn10(digits):
        if len(digits) == 10 and digits.isdigit() and _proven(digits):
            return GtinAmbiguous(text=short)
        return Gtin(isbn13_of(digits), "isbn10")
    if not digits.isascii() or not digits.isdigit() or not 8 <= len(digits) <= 14:
        return GtinUnreadable(text=short)
    if not digits.strip("0"):
        return GtinUnreadable(text=short)
    if not _proven(digits):
        if second is not None and _book(digits) == second:
            return Gtin(second, "isbn10")
        return GtinCheckDigit(text=short, expected=check_digit(digits[:-1]))
    if len(digits) not in (8, 12, 13, 14):
        mended = "leading_zeros"
    return Gtin(_canonical(digits), mended)


def read_isbn(text: str) -> Gtin | Refusal:
    """The ISBN in ``text``, of a column that is known to hold ISBNs: here nine digits and fewer are
    an ISBN-10 without its leading zeros."""
    code = _book(text)
    if code is not None:
        return Gtin(code, "isbn10")
    return read_gtin(text)


def _book(text: str) -> str | None:
    raw = _NOISE.sub("", text).upper()
    as_float = _FLOAT.fullmatch(raw)
    padded = (as_float[1] if as_float else raw).zfill(10)
    return isbn13_of(padded) if len(raw) >= 6 and is_isbn10(padded) else None


def _proven(digits: str) -> bool:
    return check_digit(digits[:-1]) == int(digits[-1])


def _canonical(digits: str) -> str:
    return digits.lstrip("0").zfill(13)


def _from_scientific(
    short: str, raw: str, parts: re.Match[str], second: str | None
) -> Gtin | Refusal:
    """A number in exponent form is whole only if it shows as many digits as it has."""
    shown = len(parts[1] + (parts[2] or ""))
    length = int(parts[3]) + 1
    if not 8 <= length <= 14:
        return GtinUnreadable(text=short)
    value = Decimal(raw.replace(",", "."))
    if shown >= length:
        digits = str(int(value))
        if value != int(value) or not _proven(digits):
            return GtinCheckDigit(text=short, expected=check_digit(digits[:-1]))
        return Gtin(_canonical(digits), "as_text")
    half = Decimal(10) ** (length - shown) / 2
    if second is not None and abs(Decimal(second) - value) <= half:
        return Gtin(second, "second_number")
    return GtinDigitsLost(text=short)
