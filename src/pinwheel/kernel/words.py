"""The two languages: which one a reader wants, its catalogue, and how it writes money and time.

English is the message itself; Chinese comes from ``words/zh_CN/LC_MESSAGES`` (``.po`` files as they
are, or compiled ``.mo`` files when a package carries them).
"""

from __future__ import annotations

import datetime as dt
import gettext
import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cache, lru_cache
from importlib import resources
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale, dates, numbers
from babel.messages import pofile

LANGUAGES = ("zh-CN", "en")
LOCALES = {"zh-CN": Locale("zh", "CN", script="Hans"), "en": Locale("en")}


def language_of(tag: str | None) -> str | None:
    """The language we speak for a tag such as ``zh-Hant-TW`` or ``en_GB``; None when we don't."""
    primary = re.split(r"[-_]", (tag or "").strip().lower(), maxsplit=1)[0]
    return {"zh": "zh-CN", "en": "en"}.get(primary)


@lru_cache(maxsize=512)
def preferred(accept_language: str, default: str) -> str:
    """The language for an ``Accept-Language`` header (RFC 9110, section 12.5.4)."""
    best, best_weight = default, 0.0
    for part in accept_language.split(",")[:20]:
        tag, _, parameter = part.partition(";")
        found = language_of(tag)
        match = re.fullmatch(r"\s*q\s*=\s*([01](?:\.\d{0,3})?|\.\d{1,3})\s*", parameter)
        weight = float(match[1]) if match else (0.0 if parameter.strip() else 1.0)
        if found and weight > best_weight:
            best, best_weight = found, weight
    return best


def said(words: Mapping[str, str], language: str) -> str:
    """The words in the reader's language, else in any."""
    return words.get(language) or words.get("en") or next(iter(words.values()), "")


class Words:
    """One language's catalogue. A sentence that isn't translated yet is shown in English."""

    def __init__(self, language: str, singular: dict[str, str]) -> None:
        self.language = language
        self._singular = singular

    def gettext(self, message: str) -> str:
        return self._singular.get(message) or message

    def ngettext(self, one: str, many: str, n: int) -> str:
        translated = self._singular.get(one)
        return translated or (one if n == 1 else many)


@cache
def words(language: str) -> Words:
    """The catalogue of ``language``; Chinese has one form for any number."""
    entries: dict[str, str] = {}
    folder = Path(str(resources.files("pinwheel"))) / "words" / language.replace("-", "_")
    for file in sorted((folder / "LC_MESSAGES").glob("*.po")):
        entries.update(_compiled(file.with_suffix(".mo")) or _read(file))
    return Words(language, entries)


def _read(file: Path) -> dict[str, str]:
    with file.open("rb") as opened:
        catalogue = pofile.read_po(opened)
    found: dict[str, str] = {}
    for message in catalogue:
        if message.id and not message.fuzzy:
            key = message.id if isinstance(message.id, str) else message.id[0]
            text: Any = message.string
            found[key] = text if isinstance(text, str) else str(text[0])
    return found


def _compiled(file: Path) -> dict[str, str]:
    if not file.is_file():
        return {}
    with file.open("rb") as opened:
        raw = gettext.GNUTranslations(opened).__dict__["_catalog"]
    return {
        (key[0] if isinstance(key, tuple) else key): text
        for key, text in raw.items()
        if key and (not isinstance(key, tuple) or key[1] == 0)
    }


@lru_cache(maxsize=20_000)
def money(minor: int, currency: str, language: str) -> str:
    """``minor`` units of ``currency`` as this language writes them: 1234 CNY is ¥12.34."""
    digits = numbers.get_currency_precision(currency)
    amount = Decimal(minor).scaleb(-digits)
    return str(numbers.format_currency(amount, currency, locale=LOCALES[language]))


def number(value: float | Decimal, language: str) -> str:
    return str(numbers.format_decimal(value, locale=LOCALES[language]))


def date(
    value: dt.date | dt.datetime, language: str, zone: str = "UTC", style: str = "medium"
) -> str:
    if isinstance(value, dt.datetime):
        value = value.astimezone(ZoneInfo(zone)).date()
    return str(dates.format_date(value, style, locale=LOCALES[language]))


def brief(value: dt.datetime, now: dt.datetime, language: str, zone: str = "UTC") -> str:
    """The shortest that is clear to who reads it at ``now``: a time today, else a day."""
    local, today = value.astimezone(ZoneInfo(zone)), now.astimezone(ZoneInfo(zone)).date()
    if local.date() == today:
        return str(dates.format_time(local, "short", locale=LOCALES[language]))
    return str(dates.format_skeleton("MMMd", local, locale=LOCALES[language]))


def datetime(value: dt.datetime, language: str, zone: str = "UTC", style: str = "short") -> str:
    """``short`` names the month where 11/12 could be read either way."""
    local = value.astimezone(ZoneInfo(zone))
    if style == "short" and language == "en":
        day = dates.format_date(local, "medium", locale=LOCALES[language])
        return f"{day}, {local:%H:%M}"
    return str(dates.format_datetime(local, style, locale=LOCALES[language]))


def moment(value: dt.datetime, language: str, zone: str = "UTC") -> str:
    """A time that somebody must keep: with how far its clock is from UTC."""
    away = f"{value.astimezone(ZoneInfo(zone)):%z}"
    hours, minutes = int(away[:3]), away[3:]
    ahead = f"{hours:+d}" + (f":{minutes}" if minutes != "00" else "") if away != "+0000" else ""
    return f"{datetime(value, language, zone)} UTC{ahead}"


def field(value: dt.datetime | None, zone: str = "UTC") -> str:
    """A time as a form's field for day and time takes it."""
    return f"{value.astimezone(ZoneInfo(zone)):%Y-%m-%dT%H:%M}" if value is not None else ""


def days(first: dt.datetime, last: dt.datetime, language: str, zone: str = "UTC") -> str:
    """A span of days without the year, one weekday when it is one day."""
    tz, locale = ZoneInfo(zone), LOCALES[language]
    begin, end = first.astimezone(tz).date(), last.astimezone(tz).date()
    if begin == end:
        return str(dates.format_skeleton("MMMEd", begin, locale=locale))
    return str(dates.format_interval(begin, end, "MMMd", locale=locale))
