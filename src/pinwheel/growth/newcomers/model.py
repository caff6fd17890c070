"""Nouns of newcomer offers, and the sums of their pay-back."""

from __future__ import annotations

import datetime as dt
import math
import uuid
from collections.abc import Sequence
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from pinwheel.ground import ledger, trust
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import Event

CLAIM = "newcomer"
BOUGHT = "bought"
FIRST_ORDER = trust.Why(
    "first_order",
    1.0,
    "This price is for a first order, and this person or home had one before.",
    "此价格仅限首单，该用户或同一住址此前已有订单。",
)
"""Why a newcomer offer is refused; what somebody may have looked at again."""
Z90 = 1.645
LEAST_PEOPLE = 5
Words = Annotated[str, Meta(min_length=1, max_length=120)]


class NewPool(msgspec.Struct, frozen=True, kw_only=True):
    """A pool of offers with one limit. ``per_identity`` and ``per_home`` are for good;
    ``cost_percent``: what the goods cost of their full price, where that is known."""

    name_en: Words
    name_zh: Words
    budget_id: uuid.UUID | None = None
    per_identity: Annotated[int, Meta(ge=1, le=20)] = 1
    per_home: Annotated[int, Meta(ge=0, le=100)] = 3
    cost_percent: Annotated[int, Meta(ge=0, le=100)] | None = None
    starts_at: dt.datetime | None = None
    ends_at: dt.datetime | None = None


class NewOffer(msgspec.Struct, frozen=True, kw_only=True):
    """One marketplace offer at a first-order price in one market."""

    offer_id: uuid.UUID
    market: Annotated[str, Meta(min_length=1, max_length=20)]
    price_minor: Annotated[int, Meta(ge=0, le=10**12)]
    free_delivery: bool = False
    quantity: Annotated[int, Meta(ge=0, le=10**9)] = 100


class Pool(msgspec.Struct, frozen=True, kw_only=True):
    id: uuid.UUID
    name: dict[str, str]
    budget_id: uuid.UUID | None
    per_identity: int
    per_home: int
    cost_percent: int | None
    is_open: bool
    starts_at: dt.datetime
    ends_at: dt.datetime | None
    offers: int
    wins: int
    called_back: int
    subsidy_minor: int

    @property
    def purpose(self) -> str:
        return purpose_of(self.id)


class PoolOffer(msgspec.Struct, frozen=True, kw_only=True):
    """A newcomer offer with what is left of it. ``is_on``: pool and offer are open now."""

    id: uuid.UUID
    pool_id: uuid.UUID
    pool_name: dict[str, str]
    budget_id: uuid.UUID | None
    per_identity: int
    per_home: int
    offer_id: uuid.UUID
    market: str
    currency: str
    price_minor: int
    free_delivery: bool
    quantity: int
    left: int
    is_on: bool


def purpose_of(pool_id: uuid.UUID) -> str:
    return f"{CLAIM}:{pool_id}"


def left_account(newcomer_offer_id: uuid.UUID) -> ledger.Account:
    """How many of an offer are left."""
    unit = ledger.Unit(f"newcomer:{newcomer_offer_id}", "use")
    return ledger.Account(f"newcomer:left:{newcomer_offer_id}", unit, "debit", floor=0)


def given_account(newcomer_offer_id: uuid.UUID) -> ledger.Account:
    unit = ledger.Unit(f"newcomer:{newcomer_offer_id}", "use")
    return ledger.Account(f"newcomer:given:{newcomer_offer_id}", unit, "debit")


def put_up_account(newcomer_offer_id: uuid.UUID) -> ledger.Account:
    unit = ledger.Unit(f"newcomer:{newcomer_offer_id}", "use")
    return ledger.Account(f"newcomer:put-up:{newcomer_offer_id}", unit, "credit")


# --- refusals


class NewcomerOver(Refusal):
    en = "This newcomer offer has ended. The item is still for sale at its normal price."
    zh = "该新人优惠已结束，商品仍可按正常价格购买。"


class NewcomerGone(Refusal):
    en = "All of this newcomer offer are taken. Choose another one, or buy at the normal price."
    zh = "该新人优惠已领完，请选择其他优惠，或按正常价格购买。"


class NewcomerNeedsSomebody(Refusal):
    status = 401
    en = "A newcomer offer is for one person: open the offer's page and order from there."
    zh = "新人优惠仅限本人使用：请打开优惠页面下单。"


class NotNew(Refusal):
    """No accusation, and what to do."""

    en = (
        "This price is for a first order, and something was ordered before with this account or "
        "from this household. You can order at the normal price. If we are wrong, ask us to look "
        "at it: {appeal}"
    )
    zh = (
        "此价格仅限首单，该账号或同一家庭此前已有订单。您可按正常价格购买。"
        "如有误，请申请复核：{appeal}"
    )

    def __init__(self, appeal: str = "/account/appeals") -> None:
        super().__init__(appeal=appeal)


class NewcomerLooksAgain(Refusal):
    en = (
        "We need to look at this newcomer order before we can accept it. Nothing was ordered or "
        "charged. Ask us here and a person answers within {days} days: {appeal}"
    )
    zh = (
        "此新人订单需要人工核实后才能接受，未下单也未扣款。"
        "请在此提交申请，{days} 天内人工答复：{appeal}"
    )

    def __init__(self, days: int, appeal: str = "/account/appeals") -> None:
        super().__init__(days=days, appeal=appeal)


class OneAtNewcomerPrice(Refusal):
    status = 422
    en = "One piece is sold at the newcomer price, and one newcomer offer fits in an order."
    zh = "新人价限购一件，每个订单限用一个新人优惠。"


# --- facts


class NewcomerWon(Event, frozen=True, kw_only=True):
    """A first order at a newcomer price is paid: welcome them."""

    subject: ClassVar[str] = "order_id"
    order_id: uuid.UUID
    person_id: uuid.UUID | None
    pool_id: uuid.UUID
    offer_id: uuid.UUID
    subsidy_minor: int
    currency: str


class NewcomerCalledBack(Event, frozen=True, kw_only=True):
    """It turned out that this identity had its offer already; the order was ended and paid back."""

    subject: ClassVar[str] = "order_id"
    order_id: uuid.UUID
    person_id: uuid.UUID | None
    pool_id: uuid.UUID


class DeviceSeen(Event, frozen=True, kw_only=True):
    """For a job alone, never written to the log: the keyed hash of a buyer's device."""

    person_id: uuid.UUID
    mark: str


# --- pay-back


class Day(msgspec.Struct, frozen=True):
    """``day`` days after the first order: the mean contribution of a newcomer so far, with its 90 %
    interval, over the ``people`` who have been here that long."""

    day: int
    people: int
    mean_minor: float
    low_minor: float
    high_minor: float


class PayBack(msgspec.Struct, frozen=True):
    """``breaks_even_on``: the first day from which the mean stays at or above nothing; ``earliest``
    and ``latest`` where the interval's upper and lower end do. None: not within what was seen.
    ``cost_known``: the pool states what goods cost; without it the subsidy counts as the cost."""

    pool_id: uuid.UUID
    currency: str
    people: int
    cost_known: bool
    days: list[Day]
    breaks_even_on: int | None
    earliest: int | None
    latest: int | None


class Contribution(msgspec.Struct, frozen=True):
    """What one newcomer brought on one day after their first order. ``age``: days since it."""

    person: int
    age: int
    day: int
    amount_minor: int


def pay_back(
    pool_id: uuid.UUID,
    currency: str,
    rows: Sequence[Contribution],
    *,
    horizon: int,
    cost_known: bool,
) -> PayBack:
    """The cohort's curve. On day d counts whoever has been here d days or more, so that late comers
    don't pull it down; the interval is mean ± 1.645 standard errors (normal, 90 %), and is only
    given for five people or more."""
    by_person: dict[int, dict[int, int]] = {}
    ages: dict[int, int] = {}
    for row in rows:
        ages[row.person] = row.age
        days = by_person.setdefault(row.person, {})
        days[row.day] = days.get(row.day, 0) + row.amount_minor
    so_far = dict.fromkeys(by_person, 0)
    curve = []
    for day in range(horizon + 1):
        for person, amounts in by_person.items():
            so_far[person] += amounts.get(day, 0)
        here = [so_far[p] for p, age in ages.items() if age >= day]
        if len(here) < LEAST_PEOPLE:
            break
        mean = sum(here) / len(here)
        spread = math.sqrt(sum((x - mean) ** 2 for x in here) / (len(here) - 1) / len(here))
        curve.append(Day(day, len(here), mean, mean - Z90 * spread, mean + Z90 * spread))
    return PayBack(
        pool_id,
        currency,
        len(by_person),
        cost_known,
        curve,
        _stays([d.mean_minor for d in curve]),
        _stays([d.high_minor for d in curve]),
        _stays([d.low_minor for d in curve]),
    )


def _stays(values: Sequence[float]) -> int | None:
    """The first place from which no value is below nothing any more."""
    below = [place for place, value in enumerate(values) if value < 0]
    first = below[-1] + 1 if below else 0
    return first if first < len(values) else None
