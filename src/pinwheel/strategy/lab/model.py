"""The simulated city: who lives there, what is true of them, and what a run says. Pure.

Everything here is invented by a seed and labelled as simulated. The planted truths are what the
shop's own estimates are held against."""

from __future__ import annotations

import datetime as dt
import uuid
from random import Random
from typing import Any

import msgspec

BEGINS = dt.datetime(2026, 1, 5, tzinfo=dt.UTC)  # a Monday
SLOTS = (8, 12, 18, 22)  # the hours at which things happen
FRIENDS = 12
TEAM_SEATS = 4
INVITED = TEAM_SEATS - 1
RING = 40  # accounts of one fraudster
RING_DEVICES = 4
CURRENCY, MARKET = "CNY", "CN"


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """What is played: ``buyers`` people who may become buyers, ``days`` of their lives."""

    days: int = 30
    seed: int = 7
    buyers: int = 10_000
    products: int = 120

    @property
    def ends(self) -> dt.datetime:
        return BEGINS + dt.timedelta(days=self.days)


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """What is planted. Rates are of 1.

    ``leads``: who opens a team with a first order; ``converts``: an invited friend who joins;
    ``pull``: bought again within a week because of the follow-up coupon; ``again``: without it;
    ``r``, ``alpha_days``, ``a``, ``b``: how buyers come back and stop (BG/NBD: Fader, Hardie and
    Lee, 2005); ``spend_minor``: of each channel, a day; ``brings``: new buyers a day by channel."""

    leads: float = 0.45
    converts: float = 0.28
    again: float = 0.10
    pull: float = 0.08
    r: float = 0.8
    alpha_days: float = 14.0
    a: float = 0.8
    b: float = 2.4
    brings: dict[str, float]
    spend_minor: dict[str, int]
    returns: float = 0.03

    @property
    def k(self) -> float:
        """Buyers whom a buyer brings with the first order."""
        return self.leads * INVITED * self.converts


def truth_of(scenario: Scenario) -> Truth:
    """Truths that fit the size of the city: a fifth of it arrives by itself in a month."""
    daily = scenario.buyers * 0.2 / 30
    return Truth(
        brings={"direct": daily * 0.5, "search": daily * 0.3, "display": daily * 0.2},
        spend_minor={"search": round(daily * 600), "display": round(daily * 900)},
    )


class Buyer(msgspec.Struct):
    """One inhabitant. ``rate`` orders a day while alive, ``stops`` the chance to stop after each
    order; ``device`` and ``home`` are shared by a household of two; ``ring``: an account of the
    fraudster."""

    number: int
    rate: float
    stops: float
    friends: tuple[int, ...]
    device: str
    home: str
    method: str = "tok_ok"
    channel: str = ""
    ring: bool = False
    person_id: uuid.UUID | None = None
    first_at: dt.datetime | None = None
    brought_by: int | None = None
    orders: int = 0
    busy: bool = False  # an act of theirs is planned


class Act(msgspec.Struct, frozen=True, order=True):
    """Something somebody does at ``at``. ``kind``: first, lead, join, newcomer, again, follow_up,
    mistake; ``by``: whose link a join came by."""

    at: dt.datetime
    number: int
    kind: str
    by: int = -1


def people_of(scenario: Scenario, truth: Truth) -> list[Buyer]:
    """The inhabitants in a ring of neighbours, where one in ten ties reaches across the city (Watts
    and Strogatz, 1998); the fraudster's accounts come last and know only each other."""
    n = scenario.buyers
    buyers = []
    for number in range(n):
        r = Random(f"{scenario.seed}:buyer:{number}")
        near = [(number + step) % n for step in range(1, FRIENDS // 2 + 1)]
        near += [(number - step) % n for step in range(1, FRIENDS // 2 + 1)]
        friends = tuple(r.randrange(n) if r.random() < 0.1 else one for one in near)
        buyers.append(
            Buyer(
                number=number,
                rate=r.gammavariate(truth.r, 1 / truth.alpha_days),
                stops=r.betavariate(truth.a, truth.b),
                friends=tuple(f for f in dict.fromkeys(friends) if f != number),
                device=f"device-{scenario.seed}-{number // 2}",
                home=f"{number // 2}",
            )
        )
    for number in range(n, n + RING):
        r = Random(f"{scenario.seed}:ring:{number}")
        buyers.append(
            Buyer(
                number=number,
                rate=0.0,
                stops=1.0,
                friends=(),
                device=f"ring-{scenario.seed}-{r.randrange(RING_DEVICES)}",
                home=f"ring-{r.randrange(2)}",
                ring=True,
            )
        )
    return buyers


def slot_after(at: dt.datetime) -> dt.datetime:
    """The first slot not before ``at``."""
    for hour in SLOTS:
        if at.hour < hour or (at.hour == hour and not (at.minute or at.second or at.microsecond)):
            return at.replace(hour=hour, minute=0, second=0, microsecond=0)
    tomorrow = at + dt.timedelta(days=1)
    return tomorrow.replace(hour=SLOTS[0], minute=0, second=0, microsecond=0)


def slots_of(scenario: Scenario) -> list[dt.datetime]:
    return [
        BEGINS + dt.timedelta(days=day, hours=hour)
        for day in range(scenario.days)
        for hour in SLOTS
    ]


NAMES: dict[str, tuple[str, str]] = {
    "viral_k": ("K: new buyers that a buyer brings", "K 值：每位买家带来的新买家数"),
    "coupon_lift_orders": ("Orders per person more, by the coupon", "优惠券带来的人均增量订单"),
    "orders_a_day_while_alive": ("Orders a day of an active buyer", "活跃买家每日订单数"),
    "stops_after_an_order": ("Stops buying after a repeat order", "复购后流失的概率"),
    "cost_per_buyer_display": ("Marketing per new buyer, display", "单个新客营销成本（展示广告）"),
    "cost_per_buyer_search": ("Marketing per new buyer, search", "单个新客营销成本（搜索广告）"),
    "fraud_recall": ("Fraud ring: share found", "欺诈团伙：查全率"),
    "fraud_precision": ("Fraud ring: share of flagged", "欺诈团伙：查准率"),
    "orders": ("Orders", "订单数"),
    "buyers": ("Buyers", "买家数"),
    "cancelled": ("Orders cancelled", "已取消订单"),
    "unpaid": ("Orders unpaid", "未付款订单"),
    "net_minor": ("Paid, less refunds", "实收（扣除退款）"),
    "teams": ("Teams", "拼团"),
    "discounts_from_budgets_minor": ("Discounts paid from budgets", "预算承担的优惠"),
    "exposed_to_the_experiment": ("People in the experiment", "实验参与人数"),
    "refused": ("Wishes refused", "被拒绝的请求"),
    "price_mistake": ("Price mistake", "错价事件"),
    "payment_outage": ("Payment outage", "支付中断"),
    "fraud_ring": ("Fraud ring", "欺诈团伙"),
    "workers_killed": ("Workers killed", "被终止的工作进程"),
}
"""What a person reads for each name of a report, in English and Chinese."""


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A planted truth beside what the shop makes of its own records, with a 95 % interval.
    ``baseline`` is the simplest other way to put it; ``unit``: what the figures are of."""

    name: str
    planted: float
    estimate: float | None
    low: float | None
    high: float | None
    covered: bool | None
    baseline: float | None = None
    how: str = ""
    unit: str = ""


def estimate(
    name: str,
    planted: float,
    found: tuple[float, float, float] | None,
    *,
    baseline: float | None = None,
    how: str = "",
    unit: str = "",
) -> Estimate:
    """``found``: (estimate, low, high); None where there is too little to say anything."""
    if found is None:
        return Estimate(
            name=name, planted=planted, estimate=None, low=None, high=None, covered=None,
            baseline=baseline, how=how, unit=unit,
        )  # fmt: skip
    value, low, high = found
    return Estimate(
        name=name,
        planted=round(planted, 6),
        estimate=round(value, 6),
        low=round(low, 6),
        high=round(high, 6),
        covered=low <= planted <= high,
        baseline=None if baseline is None else round(baseline, 6),
        how=how,
        unit=unit,
    )


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a run says. ``hash`` names the books: the same for the same scenario. ``ratio`` is
    simulated seconds to seconds on the wall."""

    name: str = "simulate"
    simulated: bool = True
    scenario: Scenario
    hash: str
    clean: bool
    broken: list[dict[str, str]]
    estimates: list[Estimate]
    incidents: dict[str, Any]
    figures: dict[str, Any]
    seconds: float
    ratio: float
