"""What a category wants to know of its products, and how a value is read and checked against it."""

from __future__ import annotations

import datetime as dt
import math
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import msgspec

from pinwheel.kernel.errors import Refusal

Kind = Literal["text", "number", "boolean", "choice", "date"]
Language = Literal["en", "zh-CN"]
LANGUAGES: tuple[Language, ...] = get_args(Language)
MOST_TEXT = 5_000


class Choice(msgspec.Struct, frozen=True):
    """One value of a choice. ``label`` by language."""

    code: str
    label: dict[str, str] = {}


class Attribute(msgspec.Struct, frozen=True, kw_only=True):
    """One thing to know of a product. It holds for ``category_id`` and every category below it.

    A number is kept in ``unit`` and lies between ``minimum`` and ``maximum``; a choice takes one of
    ``choices``, or several with ``many``. ``required``: before a product can be published."""

    category_id: uuid.UUID
    code: str
    label: dict[str, str]
    kind: Kind
    unit: str = ""
    choices: list[Choice] = []
    minimum: float | None = None
    maximum: float | None = None
    many: bool = False
    required: bool = False
    facet: bool = False
    searchable: bool = False
    position: int = 0


Schema = Mapping[str, Attribute]
"""The attributes of one category by code, inherited ones among them."""

UNITS: Mapping[str, tuple[str, float]] = {
    **{u: ("mass", f) for u, f in {"mg": 1e-3, "g": 1, "kg": 1e3, "t": 1e6}.items()},
    **{u: ("mass", f) for u, f in {"oz": 28.349523125, "lb": 453.59237}.items()},
    **{u: ("length", f) for u, f in {"mm": 1, "cm": 10, "m": 1e3, "km": 1e6}.items()},
    **{u: ("length", f) for u, f in {"in": 25.4, '"': 25.4, "ft": 304.8}.items()},
    **{u: ("volume", f) for u, f in {"ml": 1, "cl": 10, "l": 1e3}.items()},
    **{u: ("data", f) for u, f in {"kb": 1, "mb": 1e3, "gb": 1e6, "tb": 1e9}.items()},
    **{u: ("power", f) for u, f in {"mw": 1e-3, "w": 1, "kw": 1e3}.items()},
    **{u: ("time", f) for u, f in {"s": 1, "min": 60, "h": 3600, "d": 86400}.items()},
    **{u: ("frequency", f) for u, f in {"hz": 1, "khz": 1e3, "mhz": 1e6, "ghz": 1e9}.items()},
}
"""Units that are converted into each other: (what is measured, how much of the first one)."""

_NUMBER = re.compile(r"\s*([+-]?\d+(?:[.,]\d+)?)\s*([^\d\s].*)?")
_YES = {"true", "yes", "y", "1", "1.0", "on", "是", "有"}
_NO = {"false", "no", "n", "0", "0.0", "off", "否", "无"}
_DATE = re.compile(r"(\d{4})[-/.](\d{1,2})[-/.](\d{1,2})(?:[T ].*)?")


class AttributeUnknown(Refusal):
    status = 422
    en = "This category has no attribute {attribute}. Add it to the category, or leave it out."
    zh = "该类目没有属性 {attribute}。请先在类目中添加，或去掉该值。"


class AttributeInvalid(Refusal):
    status = 422
    en = "{attribute} can't be {value}: {why}."
    zh = "{attribute} 的值 {value} 无效：{why_zh}。"


def checked(attribute: Attribute, raw: Any) -> Any:
    """``raw`` as it is stored for ``attribute``; raises ``AttributeInvalid``.

    text: a string, or {language: string} · number: in the attribute's unit, from a number or from
    text such as ``1.5 kg`` · boolean · choice: its code, or a list of codes with ``many``; a label
    is taken for its code · date: ``YYYY-MM-DD``."""
    match attribute.kind:
        case "text":
            return _text(attribute, raw)
        case "number":
            return _number(attribute, raw)
        case "boolean":
            return _boolean(attribute, raw)
        case "choice":
            return _choices(attribute, raw)
        case "date":
            return _date(attribute, raw)


def checked_all(schema: Schema, values: Mapping[str, Any]) -> dict[str, Any]:
    """Every value as it is stored, in the order of code; an empty one is left out. Raises
    ``AttributeUnknown`` or ``AttributeInvalid`` for the first that does not fit."""
    stored = {}
    for code in sorted(values):
        raw = values[code]
        if raw is None or raw == "" or raw == {} or raw == []:
            continue
        if code not in schema:
            raise AttributeUnknown(attribute=code)
        stored[code] = checked(schema[code], raw)
    return stored


def missing(schema: Schema, values: Mapping[str, Any]) -> list[str]:
    """The required attributes that have no value."""
    return sorted(a.code for a in schema.values() if a.required and a.code not in values)


def _wrong(attribute: Attribute, raw: Any, why: str, why_zh: str) -> AttributeInvalid:
    return AttributeInvalid(attribute=attribute.code, value=str(raw)[:60], why=why, why_zh=why_zh)


def _text(attribute: Attribute, raw: Any) -> str | dict[str, str]:
    texts = raw if isinstance(raw, dict) else {"": raw}
    for language, text in texts.items():
        if not isinstance(text, str) or (language and language not in LANGUAGES):
            raise _wrong(
                attribute,
                raw,
                "give text, or text by language (en, zh-CN)",
                "请填写文本或分语言文本",
            )
        if len(text) > MOST_TEXT or "\x00" in text:
            raise _wrong(
                attribute, raw, f"at most {MOST_TEXT} characters", "文本过长或含有非法字符"
            )
    return raw if isinstance(raw, dict) else str(raw).strip()


def _number(attribute: Attribute, raw: Any) -> float | int:
    value, unit = raw, ""
    if isinstance(raw, str):
        parts = _NUMBER.fullmatch(raw)
        if parts is None:
            raise _wrong(attribute, raw, "it is no number", "不是数字")
        value, unit = float(parts[1].replace(",", ".")), (parts[2] or "").strip()
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(attribute, raw, "it is no number", "不是数字")
    # A whole number of more digits than a float can hold is beyond reason too.
    if (isinstance(value, int) and value.bit_length() > 63) or not math.isfinite(value):
        raise _wrong(attribute, raw, "it is no number", "不是数字")
    if unit and unit.lower() != attribute.unit.lower():
        value = _converted(attribute, raw, value, unit)
    low, high = attribute.minimum, attribute.maximum
    if (low is not None and value < low) or (high is not None and value > high):
        span = f"{'' if low is None else f'{low:g}'} … {'' if high is None else f'{high:g}'}"
        raise _wrong(attribute, raw, f"it must be within {span}", f"必须在 {span} 之间")
    return int(value) if float(value).is_integer() and abs(value) < 2**53 else round(value, 9)


def _converted(attribute: Attribute, raw: Any, value: float, unit: str) -> float:
    given, wanted = UNITS.get(unit.lower()), UNITS.get(attribute.unit.lower())
    if given is None or wanted is None or given[0] != wanted[0]:
        kept = attribute.unit or "—"
        raise _wrong(
            attribute, raw, f"its unit is {kept}, not {unit}", f"单位应为 {kept}，而不是 {unit}"
        )
    return value * given[1] / wanted[1]


def _boolean(attribute: Attribute, raw: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    word = str(raw).strip().lower()
    if word in _YES or word in _NO:
        return word in _YES
    raise _wrong(attribute, raw, "give yes or no", "请填写是或否")


def _choices(attribute: Attribute, raw: Any) -> str | list[str]:
    asked: Sequence[Any] = raw if isinstance(raw, list) else [raw]
    codes = {c.code for c in attribute.choices}
    words = {c.code.casefold(): c.code for c in attribute.choices}
    for choice in attribute.choices:
        for label in choice.label.values():
            words.setdefault(label.casefold(), choice.code)
    found = [one if one in codes else words.get(str(one).strip().casefold()) for one in asked]
    if None in found or (len(found) > 1 and not attribute.many):
        listed = ", ".join(sorted(codes)[:12])
        raise _wrong(attribute, raw, f"choose from {listed}", f"请从以下选项中选择：{listed}")
    chosen = sorted({code for code in found if code is not None})
    return chosen if attribute.many else chosen[0]


def _date(attribute: Attribute, raw: Any) -> str:
    parts = _DATE.fullmatch(str(raw).strip())
    try:
        if parts is not None:
            return dt.date(int(parts[1]), int(parts[2]), int(parts[3])).isoformat()
    except ValueError:
        pass
    raise _wrong(attribute, raw, "give a date as YYYY-MM-DD", "请按 YYYY-MM-DD 填写日期")
