"""Nouns of pricing, its guard-rails, and the arithmetic of tax and of splitting money."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Mapping, Sequence
from functools import lru_cache

import msgspec
from babel.numbers import list_currencies

from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import Event

JUMP = 10
"""A price this many times higher or lower than the last one is a slip of the finger until it is
confirmed: a misplaced decimal point moves a price by ten or a hundred."""
MOST_MINOR = 10**15
"""Above this a price is a reading error in any currency."""


class NewPrice(msgspec.Struct, frozen=True, kw_only=True):
    """A price to be set, in minor units of ``currency``. ``starts_at`` None: now; ``ends_at`` None:
    until another starts. ``confirmed``: a jump is meant."""

    offer_id: uuid.UUID
    currency: str
    price_minor: int
    list_price_minor: int | None = None
    starts_at: dt.datetime | None = None
    ends_at: dt.datetime | None = None
    reason: str = ""
    confirmed: bool = False


class PriceSet(msgspec.Struct, frozen=True):
    """``fresh`` is False when the offer had this very price already: nothing was written."""

    offer_id: uuid.UUID
    currency: str
    starts_at: dt.datetime
    fresh: bool = True


class Price(msgspec.Struct, frozen=True):
    """The price at an instant. ``strike_minor`` is the price that may be shown struck through: the
    list price, but never more than the lowest price of the 30 days before this one started (the
    prior price of Directive 98/6/EC, Article 6a); None when there is nothing honest to show."""

    offer_id: uuid.UUID
    currency: str
    price_minor: int
    list_price_minor: int | None
    starts_at: dt.datetime
    ends_at: dt.datetime | None
    strike_minor: int | None


class Market(msgspec.Struct, frozen=True):
    """Where one currency, one language and one way of showing tax hold. ``name`` by language."""

    code: str
    name: dict[str, str]
    currency: str
    countries: list[str]
    price_includes_tax: bool
    language: str
    active: bool = True


class TaxRate(msgspec.Struct, frozen=True):
    """``rate_basis_points``: 1300 is 13 %. ``region`` '' is the whole country."""

    country: str
    region: str
    tax_class: str
    rate_basis_points: int
    starts_at: dt.datetime


class Place(msgspec.Struct, frozen=True):
    """What a rate is asked for."""

    country: str
    region: str
    tax_class: str


class Now(msgspec.Struct, frozen=True):
    """The price an offer has when another is set."""

    offer_id: uuid.UUID
    currency: str
    price_minor: int
    list_price_minor: int | None
    starts_at: dt.datetime
    ends_at: dt.datetime | None


class PriceNegative(Refusal):
    status = 422
    en = "The price {price_minor} is not possible. Give 0 or more, in the smallest coin."
    zh = "价格 {price_minor} 无效。请填写不小于 0 的最小货币单位数值。"


class CurrencyUnknown(Refusal):
    status = 422
    en = "{currency} is no currency. Give its three letters by ISO 4217, such as CNY or EUR."
    zh = "{currency} 不是有效货币。请使用 ISO 4217 三位代码，如 CNY 或 EUR。"


class ListPriceLow(Refusal):
    status = 422
    en = "The list price {list_price_minor} is below the price {price_minor}. Correct one of them."
    zh = "标价 {list_price_minor} 低于售价 {price_minor}，请更正其中之一。"


class PricePeriodEmpty(Refusal):
    status = 422
    en = "The price would end at {ends_at}, before it starts. Give a later end."
    zh = "价格将在 {ends_at} 结束，早于开始时间。请填写更晚的结束时间。"


class PriceHistoric(Refusal):
    status = 422
    en = "A price can't start in the past ({starts_at}): history stays as it was. Start it now."
    zh = "价格不能从过去（{starts_at}）开始，历史价格不可更改。请从现在开始。"


class PriceTwice(Refusal):
    status = 422
    en = "This offer was given two prices in {currency} for one moment. Keep one of them."
    zh = "同一报价在同一时刻有两个 {currency} 价格，请只保留一个。"


class PriceJump(Refusal):
    """More than ten times up or down at once."""

    en = "The price would go from {old_minor} to {price_minor} {currency} (smallest coins). "
    en += "If that is meant, confirm it; the old price stays until then."
    zh = "价格将从 {old_minor} 变为 {price_minor} {currency}（最小货币单位）。"
    zh += "如确属本意请予以确认，在此之前保持原价。"


class TaxRateUnsound(Refusal):
    status = 422
    en = "A tax rate for {country} must be between 0 and 10000 basis points and may not start in "
    en += "the past."
    zh = "{country} 的税率必须在 0 到 10000 个基点之间，且不能从过去开始。"


class PriceChanged(Event, frozen=True, kw_only=True):
    """These offers have another price now than a moment ago."""

    offer_ids: tuple[uuid.UUID, ...]


class PriceDue(Event, frozen=True, kw_only=True):
    """Planned prices of these offers start or end; kept as a job until then."""

    offer_ids: tuple[uuid.UUID, ...]


@lru_cache(maxsize=1)
def _currencies() -> frozenset[str]:
    return frozenset(c for c in list_currencies() if re.fullmatch("[A-Z]{3}", c))


def is_currency(code: str) -> bool:
    """Is ``code`` a currency of ISO 4217?"""
    return code in _currencies()


def judged(new: NewPrice, current: Now | None, now: dt.datetime) -> Refusal | None:
    """Why ``new`` can't be set, or None."""
    if not 0 <= new.price_minor <= MOST_MINOR:
        return PriceNegative(price_minor=new.price_minor)
    if not is_currency(new.currency):
        return CurrencyUnknown(currency=new.currency)
    if new.list_price_minor is not None and new.list_price_minor < new.price_minor:
        return ListPriceLow(list_price_minor=new.list_price_minor, price_minor=new.price_minor)
    starts_at = new.starts_at or now
    if starts_at < now:
        return PriceHistoric(starts_at=starts_at.isoformat())
    if new.ends_at is not None and new.ends_at <= starts_at:
        return PricePeriodEmpty(ends_at=new.ends_at.isoformat())
    if current is not None and not new.confirmed and _jumps(current.price_minor, new.price_minor):
        return PriceJump(
            old_minor=current.price_minor, price_minor=new.price_minor, currency=new.currency
        )
    return None


def _jumps(old: int, new: int) -> bool:
    return old > 0 and not old <= new * JUMP <= old * JUMP * JUMP


def same(new: NewPrice, current: Now | None) -> bool:
    """Is ``new`` what holds already?"""
    return (
        current is not None
        and new.starts_at is None
        and (new.price_minor, new.list_price_minor, new.ends_at)
        == (current.price_minor, current.list_price_minor, current.ends_at)
    )


def plan(
    wanted: Sequence[NewPrice], current: Mapping[tuple[uuid.UUID, str], Now], now: dt.datetime
) -> list[PriceSet | Refusal]:
    """What becomes of each wanted price, in order."""
    seen: set[tuple[uuid.UUID, str, dt.datetime]] = set()
    answers: list[PriceSet | Refusal] = []
    for new in wanted:
        before = current.get((new.offer_id, new.currency))
        key = (new.offer_id, new.currency, new.starts_at or now)
        refusal = judged(new, before, now)
        if refusal is None and key in seen:
            refusal = PriceTwice(currency=new.currency)
        if refusal is not None:
            answers.append(refusal)
            continue
        seen.add(key)
        if before is not None and same(new, before):
            answers.append(PriceSet(new.offer_id, new.currency, before.starts_at, fresh=False))
        else:
            answers.append(PriceSet(*key))
    return answers


def tax_included(amount_minor: int, rate_basis_points: int) -> int:
    """The tax inside ``amount_minor``: amount · r / (1 + r), half away from zero."""
    return _rounded(amount_minor * rate_basis_points, 10_000 + rate_basis_points)


def tax_on_top(amount_minor: int, rate_basis_points: int) -> int:
    """The tax that comes on top of ``amount_minor``: amount · r, half away from zero."""
    return _rounded(amount_minor * rate_basis_points, 10_000)


def _rounded(numerator: int, denominator: int) -> int:
    size = (2 * abs(numerator) + denominator) // (2 * denominator)
    return size if numerator >= 0 else -size


def allocate(total: int, weights: Sequence[int]) -> list[int]:
    """``total`` minor units split in proportion to ``weights`` by the largest remainder (Hamilton's
    method): the parts sum to ``total`` exactly and each is within 1 of its exact share.

    Equal remainders go to the earlier part. A negative total is the mirror image of the positive.
    Weights that are all 0 share alike. No weights for a total that is not 0, or a negative weight,
    is a programming error (``ValueError``)."""
    if not weights:
        if total:
            raise ValueError("nothing to allocate to")
        return []
    if min(weights) < 0:
        raise ValueError("a weight is negative")
    shares = list(weights) if any(weights) else [1] * len(weights)
    whole = sum(shares)
    size = abs(total)
    parts = [size * share // whole for share in shares]
    left = size - sum(parts)
    for i in sorted(range(len(shares)), key=lambda i: -(size * shares[i] % whole))[:left]:
        parts[i] += 1
    return parts if total >= 0 else [-part for part in parts]
