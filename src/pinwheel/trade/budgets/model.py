"""Nouns and rules of budgets: accounts, reservations, refusals, the forecast of burn."""

from __future__ import annotations

import datetime as dt
import math
import uuid
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Account
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import Event

Purpose = Literal["general", "subsidy", "reward", "coupon", "marketing", "loss"]
Funder = Literal["platform", "seller", "brand"]
Policy = Literal["hard_stop", "soft_alarm"]

SMOOTHING = 0.3  # weight of the newest day in the run-rate
LEAST_DAYS = 7  # fewer days of spending carry no interval
Z_80 = 1.2816  # the normal quantile of an 80 % interval


class NewBudget(msgspec.Struct, frozen=True, kw_only=True):
    """A budget to be opened. ``approval_above_minor``: funding more than this at once takes a
    second person (None: never, unless an ancestor says so). ``soft_alarm`` draws ``draw_minor``
    from its parent each time it runs low; ``hard_stop`` only tells. Both stop at zero."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    id: uuid.UUID | None = None
    parent_id: uuid.UUID | None = None
    purpose: Purpose = "general"
    funder: Funder = "platform"
    funder_id: uuid.UUID | None = None
    owner_id: uuid.UUID | None = None
    policy: Policy = "hard_stop"
    alarm_percent: Annotated[int, Meta(ge=0, le=100)] = 20
    draw_minor: Annotated[int, Meta(ge=0, le=10**15)] = 0
    approval_above_minor: Annotated[int, Meta(ge=0, le=10**15)] | None = None
    starts_at: dt.datetime | None = None  # None: now
    ends_at: dt.datetime | None = None


class Reservation(msgspec.Struct, frozen=True, kw_only=True):
    """``amount_minor`` of a budget for one document, once per (budget, document, key).

    ``currency`` is the document's: another than the budget's is refused; "" is the budget's own.
    """

    budget_id: uuid.UUID
    document_kind: str
    document_id: uuid.UUID
    key: str
    amount_minor: int
    currency: str = ""


class Commitment(msgspec.Struct, frozen=True, kw_only=True):
    """Spend what a reservation holds: all of it (None), or a part. ``closes``: what is not spent
    is released."""

    budget_id: uuid.UUID
    document_id: uuid.UUID
    key: str
    amount_minor: int | None = None
    part: str = ""
    closes: bool = True


class GivenBack(msgspec.Struct, frozen=True, kw_only=True):
    """``amount_minor`` that was spent comes back to its budget, once per ``part``: a refund."""

    budget_id: uuid.UUID
    document_kind: str
    document_id: uuid.UUID
    key: str
    part: str
    amount_minor: int
    reason: str


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """A budget as it stands, in minor units of its currency. ``funded_minor`` is what it has
    now, reserved or has spent; what it passed to its children is theirs."""

    id: uuid.UUID
    parent_id: uuid.UUID | None
    name: str
    purpose: Purpose
    currency: str
    funder: Funder
    funder_id: uuid.UUID | None
    owner_id: uuid.UUID | None
    policy: Policy
    alarm_percent: int
    draw_minor: int
    approval_above_minor: int | None
    starts_at: dt.datetime
    ends_at: dt.datetime | None
    state: Literal["open", "closed"]
    opened_at: dt.datetime
    alarmed_at: dt.datetime | None
    available_minor: int
    reserved_minor: int
    spent_minor: int

    @property
    def funded_minor(self) -> int:
        return self.available_minor + self.reserved_minor + self.spent_minor

    def is_open(self, now: dt.datetime) -> bool:
        return (
            self.state == "open"
            and self.starts_at <= now
            and (self.ends_at is None or now < self.ends_at)
        )


class Funding(msgspec.Struct, frozen=True, kw_only=True):
    """Money that was asked for a budget, or back from it (below zero)."""

    id: uuid.UUID
    budget_id: uuid.UUID
    budget: str
    currency: str
    amount_minor: int
    reason: str
    state: Literal["asked", "done", "refused"]
    asked_by: str
    asked_at: dt.datetime
    decided_by: str | None
    decided_at: dt.datetime | None
    decision_reason: str | None


class Funded(msgspec.Struct, frozen=True):
    """``asked`` waits for a second person; ``done`` has happened."""

    funding_id: uuid.UUID
    state: Literal["asked", "done"]


class Burn(msgspec.Struct, frozen=True, kw_only=True):
    """How fast a budget is spent, in minor units a day, net of what came back.

    ``rate_minor`` is a forecast: an exponentially smoothed mean (Brown, 1956) of the last
    ``days`` whole days with an 80 % interval from its own one-day-ahead errors; None where there
    are too few days. ``baseline_minor`` is the plain mean; ``error_minor`` and
    ``baseline_error_minor`` are the mean absolute errors each would have made a day ahead."""

    budget_id: uuid.UUID
    currency: str
    days: int
    per_day: list[tuple[dt.date, int]]
    rate_minor: int
    low_minor: int | None
    high_minor: int | None
    baseline_minor: int
    error_minor: int | None
    baseline_error_minor: int | None
    available_minor: int
    runway_days: float | None
    runway_low_days: float | None
    runway_high_days: float | None


class BudgetSpent(Refusal):
    """Nobody may spend what is not there."""

    en = "The budget “{budget}” has {left} left and {asked} is asked for. Top it up, or take less."
    zh = "预算“{budget}”仅剩 {left}，而请求为 {asked}。请追加预算或减少金额。"


class BudgetClosed(Refusal):
    """It has not begun, has ended, or was closed."""

    en = "The budget “{budget}” is not open now. Choose another one, or open a new one."
    zh = "预算“{budget}”当前未开放。请选择其他预算或新建预算。"


class CurrencyDiffers(Refusal):
    status = 422
    en = (
        "The budget “{budget}” is in {currency} and {asked} is asked for. A budget never crosses "
        "currencies: use one in {asked}."
    )
    zh = (
        "预算“{budget}”的币种为 {currency}，而请求为 {asked}。预算不可跨币种，请使用 {asked} 预算。"
    )


class UnknownBudget(Refusal):
    status = 404
    en = "There is no budget {budget}. Check the id."
    zh = "没有预算 {budget}。请检查编号。"


class NeedsSecondPerson(Refusal):
    status = 403
    en = "Somebody else than who asked has to decide on this. Ask a colleague with the right."
    zh = "此申请须由申请人以外的同事审批。请联系有权限的同事。"


class NotWaiting(Refusal):
    en = "This request was {state} already. Nothing was changed."
    zh = "该申请已处理（{state}），未做任何更改。"
    codes = {
        "state": {
            "asked": ("asked for", "待处理"),
            "done": ("approved", "已批准"),
            "refused": ("refused", "已拒绝"),
        }
    }


class BudgetRanLow(Event, frozen=True, kw_only=True):
    """Less is left than its alarm says. ``drawn_minor`` came from its parent by itself."""

    subject = "budget_id"
    budget_id: uuid.UUID
    owner_id: uuid.UUID | None
    name: str
    currency: str
    available_minor: int
    drawn_minor: int


class BudgetClosing(Event, frozen=True, kw_only=True):
    """A budget was closed; ``returned_minor`` went back to where it came from."""

    subject = "budget_id"
    budget_id: uuid.UUID
    owner_id: uuid.UUID | None
    name: str
    returned_minor: int


@lru_cache(maxsize=4096)
def left_of(budget_id: uuid.UUID, currency: str) -> Account:
    """What a budget can still spend. Never below zero."""
    return Account(f"budget:{budget_id}:left", ledger.money(currency), floor=0)


@lru_cache(maxsize=4096)
def spent_of(budget_id: uuid.UUID, currency: str) -> Account:
    """What a budget has spent. Its floor keeps more from coming back than was spent."""
    return Account(f"budget:{budget_id}:spent", ledger.money(currency), floor=0)


def authorised_by(funder: str, funder_id: uuid.UUID | None, currency: str) -> Account:
    """What a funder has promised to pay in all: the source of every root budget."""
    whose = funder if funder_id is None else f"{funder}:{funder_id}"
    return Account(f"budget-authorised:{whose}:{currency}", ledger.money(currency), "credit")


def ledger_key(budget_id: uuid.UUID, key: str) -> str:
    """The ledger's key of a reservation; it names the budget."""
    return f"budget:{budget_id}:{key}"


def amount(minor: int, currency: str) -> str:
    """``GBP 12.50``, for sentences."""
    exponent = ledger.money(currency).exponent
    return f"{currency} {minor / 10**exponent:.{exponent}f}"


def forecast(per_day: Sequence[int]) -> tuple[float, float | None, float | None, float | None]:
    """(run-rate, half width of its 80 % interval, mean absolute error, the plain mean's error) of
    spending per day, oldest first."""
    if not per_day:
        return 0.0, None, None, None
    level = mean = float(per_day[0])
    errors: list[float] = []
    plain: list[float] = []
    for day, spent in enumerate(per_day[1:], 1):
        errors.append(spent - level)
        plain.append(spent - mean)
        level += SMOOTHING * (spent - level)
        mean += (spent - mean) / (day + 1)
    if len(per_day) < LEAST_DAYS:
        return sum(per_day) / len(per_day), None, None, None
    spread = Z_80 * math.sqrt(sum(e * e for e in errors) / len(errors))
    # The level is a weighted mean of days: its own error is narrower than one day's.
    width = spread * math.sqrt(SMOOTHING / (2 - SMOOTHING))
    return (
        level,
        width,
        sum(map(abs, errors)) / len(errors),
        sum(map(abs, plain)) / len(plain),
    )


def burn_of(
    budget_id: uuid.UUID,
    currency: str,
    per_day: Sequence[tuple[dt.date, int]],
    available_minor: int,
) -> Burn:
    """The burn of a budget from its spending on each whole day, oldest first."""
    amounts = [spent for _, spent in per_day]
    rate, width, error, plain = forecast(amounts)
    rate = max(0.0, rate)
    low = None if width is None else max(0.0, rate - width)
    high = None if width is None else rate + width
    return Burn(
        budget_id=budget_id,
        currency=currency,
        days=len(amounts),
        per_day=list(per_day),
        rate_minor=round(rate),
        low_minor=None if low is None else round(low),
        high_minor=None if high is None else round(high),
        baseline_minor=round(sum(amounts) / len(amounts)) if amounts else 0,
        error_minor=None if error is None else round(error),
        baseline_error_minor=None if plain is None else round(plain),
        available_minor=available_minor,
        runway_days=_days(available_minor, rate),
        runway_low_days=None if high is None else _days(available_minor, high),
        runway_high_days=None if low is None else _days(available_minor, low),
    )


def _days(available_minor: int, rate: float | None) -> float | None:
    return round(available_minor / rate, 1) if rate else None
