"""How the demonstration shop has lived with its growth loop, as a plan: who came when and by what,
who brought whom, who cut whose price. Pure: the same content is the same season.

Shares and rates here are invented. They are what a small bookshop might see, and every page that
shows their outcome reckons it from the orders that came of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from random import Random
from typing import Literal

import msgspec

from pinwheel.demonstration import DemoOrderLine, DemoOrderPlan, DemoProduct, Outcome
from pinwheel.seeding.people import HOMES, home_of
from pinwheel.seeding.shelf import Shelf

Kind = Literal[
    "plain", "coupon", "newcomer", "lead", "join", "invited", "bargain", "deal", "subsidy"
]
DAY, HOUR = dt.timedelta(days=1), dt.timedelta(hours=1)
FIRST_NUMBER = 1_000  # of buyers whom growth won; those of the order history are below
PER_ORDER = 0.07  # new buyers who come by themselves, for each order of the history
BEFORE = 0.9  # how busy the beginning of the season was, to its end
KINDS: tuple[Kind, ...] = ("newcomer", "lead", "deal", "bargain", "subsidy", "coupon")
KIND_WEIGHTS = (28, 30, 14, 13, 7, 8)
FRIENDS, FRIENDS_WEIGHTS = (0, 1, 2), (30, 28, 42)  # who join a team
INVITED, INVITED_WEIGHTS = (0, 1, 2, 3), (62, 25, 9, 4)
PROMOTED_WEIGHTS = (10, 45, 30, 15)
KNOWN_FRIEND, AGAIN, AGAIN_DAYS, INVITES, PROMOTES = 0.38, 0.42, 16.0, 0.3, 0.125
COUPON_SHARE, COUPON_FROM_MINOR = 0.34, 9_900
COUNTED = 0.8  # of all visitors agree to be counted
CHANNELS = {
    "search-ads": ("search", "cpc", False),
    "social-ads": ("social", "paid-social", False),
    "organic": ("", "", True),
    "direct": ("", "", False),
    "video": ("video", "video", False),
    "email": ("shop", "newsletter", False),
}
"""What an address says of where its visitor came from: source, medium, whether another site."""
CHANNEL_WEIGHTS = (26, 21, 24, 14, 9, 6)
PASSING = 5  # visitors who buy nothing, for each who comes and does
TEAM_HOURS = 84  # until a team's orders leave
FIRST_HOUR, LAST_HOUR = 1, 13  # in UTC: the day of most of its buyers
OUTCOMES: tuple[Outcome, ...] = ("delivered", "returned", "cancelled")


class Wish(msgspec.Struct, frozen=True, kw_only=True):
    """What an order is besides an order. ``by``: the number of the order that opened the team;
    ``sharer``: the buyer whose link it was; ``begins_at``: of the bargain."""

    kind: Kind
    by: int = -1
    sharer: int = -1
    is_promoted: bool = False
    begins_at: dt.datetime | None = None
    helpers: tuple[int, ...] = ()


class Visit(msgspec.Struct, frozen=True):
    """Somebody looks around. ``number`` 0: nobody who ever bought."""

    at: dt.datetime
    visitor: str
    number: int
    source: str
    medium: str
    is_from_elsewhere: bool
    products: tuple[str, ...] = ()


class Timed(msgspec.Struct, frozen=True):
    """A deal of the week."""

    starts_at: dt.datetime
    ends_at: dt.datetime
    product: DemoProduct


class Season(msgspec.Struct, frozen=True):
    """``wishes`` by the number of the order, ``plans`` being numbered on from the history;
    ``inviters``: when who began to invite, by buyer's number (True: for a commission);
    ``first_at``: when each buyer is first heard of."""

    begins_at: dt.datetime
    plans: list[DemoOrderPlan]
    wishes: dict[int, Wish]
    visits: list[Visit]
    deals: list[Timed]
    inviters: dict[int, tuple[dt.datetime, bool]]
    first_at: dict[int, dt.datetime]


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """Of a season: its market, what is sold there and for how much by SKU, its end and length, how
    many new buyers a day come by themselves, and from which numbers buyers and orders are
    counted."""

    market: str
    shelf: Shelf
    prices: Mapping[str, int]
    until: dt.datetime
    days: int
    rate: float
    first_number: int
    numbered_from: int


def season_of(history: Sequence[DemoOrderPlan], place: Place, seed: int) -> Season:
    """Day after day, whoever is known by then meets whoever comes."""
    return _Life(history, place, seed).season()


class _Life:
    def __init__(self, history: Sequence[DemoOrderPlan], place: Place, seed: int) -> None:
        self.history, self.place, self.shelf = history, place, place.shelf
        self.r = Random(f"season:{seed}:{place.market}")
        midnight = place.until.replace(hour=0, minute=0, second=0, microsecond=0)
        self.begins = midnight - place.days * DAY
        self.number = place.first_number
        self.plans: list[DemoOrderPlan] = []
        self.wishes: dict[int, Wish] = {}
        self.visits: list[Visit] = []
        self.inviters: dict[int, tuple[dt.datetime, bool]] = {}
        self.first_at: dict[int, dt.datetime] = {}
        self.bought_at: dict[int, dt.datetime] = {}
        large = [p for p in history if self._worth(p.lines) >= COUPON_FROM_MINOR]
        self.baskets = [p.lines for p in large or history]
        self.goods = [p.slug for p in self.shelf.all_goods]
        self.deals = _deals(self.shelf, place.until, place.days)

    def season(self) -> Season:
        firsts: list[DemoOrderPlan] = []
        for n, plan in enumerate(self.history):
            if self._is_here(plan.buyer_number) and plan.buyer_number not in self.bought_at:
                firsts.append(plan)
                self._greet(n, plan)
        for day in range(self.place.days):
            today = self.begins + day * DAY
            for plan in firsts:  # whoever bought of themselves may bring others too
                if today <= plan.at < today + DAY:
                    self._goes_on(plan.buyer_number, plan.at)
            daily = self.place.rate * (BEFORE + (1 - BEFORE) * day / self.place.days)
            for _ in range(_poisson(self.r, daily)):
                self._arrive(today)
            self._pass_by(today, daily)
        self.visits.sort(key=lambda visit: visit.at)
        return Season(
            self.begins, self.plans, self.wishes, self.visits, self.deals, self.inviters,
            self.first_at,
        )  # fmt: skip

    # --- who comes

    def _is_here(self, number: int) -> bool:
        return home_of(number).market == self.place.market

    def _greet(self, number: int, plan: DemoOrderPlan) -> None:
        """A buyer of the history: how they found the shop, and a coupon for the first order."""
        self.bought_at[plan.buyer_number] = plan.at
        self._find(plan.buyer_number, plan.at)
        enough = self._worth(plan.lines) >= COUPON_FROM_MINOR
        if self._has_coupons() and enough and self.r.random() < COUPON_SHARE:
            self.wishes[number] = Wish(kind="coupon")

    def _has_coupons(self) -> bool:
        return self.place.market == HOMES[0].market

    def _worth(self, lines: Sequence[DemoOrderLine]) -> int:
        return sum(self.place.prices.get(line.sku, 0) * line.quantity for line in lines)

    def _stranger(self) -> int:
        while not self._is_here(self.number):
            self.number += 1
        self.number += 1
        return self.number - 1

    def _arrive(self, today: dt.datetime) -> None:
        number, at = self._stranger(), self._moment(today)
        [kind] = self.r.choices(KINDS, KIND_WEIGHTS)
        on = [d.product for d in self.deals if d.starts_at <= at < d.ends_at]
        goods = {"newcomer": self.shelf.newcomers, "deal": on, "lead": self.shelf.team,
                 "subsidy": self.shelf.subsidy, "bargain": self.shelf.bargain}  # fmt: skip
        if (kind == "coupon" and not self._has_coupons()) or not goods.get(kind, [number]):
            kind = "newcomer"
        self._find(number, at)
        if kind == "lead":
            self._lead(number, at)
        elif kind == "bargain":
            self._bargain(number, at)
        else:
            self._order(number, at, Wish(kind=kind), self._basket(goods.get(kind)))
            self._goes_on(number, at)

    def _moment(self, today: dt.datetime) -> dt.datetime:
        return today + self.r.randint(FIRST_HOUR, LAST_HOUR) * HOUR + self.r.randrange(4) * HOUR / 4

    def _find(self, number: int, at: dt.datetime) -> None:
        """The way to the first order: one to three visits, of those who agree to be counted."""
        sessions = self.r.choices((1, 2, 3), (50, 34, 16))[0]
        backs = sorted((self.r.expovariate(1 / 2.5) for _ in range(sessions)), reverse=True)
        back = [at - min(b, 25) * DAY - self.r.randint(2, 40) * HOUR / 60 for b in backs]
        seen = [max(self.begins, when) for when in back]
        self.first_at[number] = seen[0]
        if self.r.random() < COUNTED:
            self.visits += [self._visit(when, f"demonstration-{number}", number) for when in seen]

    def _visit(self, at: dt.datetime, visitor: str, number: int) -> Visit:
        [channel] = self.r.choices(list(CHANNELS), CHANNEL_WEIGHTS)
        looked = tuple(self.r.choice(self.goods) for _ in range(self.r.choice((0, 1, 1, 2))))
        return Visit(at, visitor, number, *CHANNELS[channel], looked)

    def _pass_by(self, today: dt.datetime, daily: float) -> None:
        """Most who look around buy nothing."""
        for n in range(_poisson(self.r, PASSING * daily)):
            at = self._moment(today)
            self.visits.append(self._visit(at, f"passing-{self.place.market}-{at:%m%d}-{n}", 0))

    # --- what they do

    def _order(
        self, number: int, at: dt.datetime, wish: Wish, lines: tuple[DemoOrderLine, ...]
    ) -> int:
        """The number of the order. One of days to come has not been placed yet."""
        self.bought_at.setdefault(number, at)
        self.first_at.setdefault(number, at)
        [outcome] = self.r.choices(OUTCOMES, (93, 4, 3))
        whole = wish.kind in ("plain", "coupon", "deal", "subsidy")
        self.plans.append(DemoOrderPlan(at, number, lines, outcome if whole else "delivered"))
        order = self.place.numbered_from + len(self.plans) - 1
        self.wishes[order] = wish
        return order

    def _basket(self, goods: Sequence[DemoProduct] | None = None) -> tuple[DemoOrderLine, ...]:
        """One piece of these goods; else what somebody of the history had."""
        if goods:
            return (DemoOrderLine(self.r.choice(goods).variants[0].sku, 1),)
        return self.r.choice(self.baskets)

    def _goes_on(self, number: int, at: dt.datetime) -> None:
        """After the first order: they come again or don't, and some bring others."""
        if number >= FIRST_NUMBER and self.r.random() < AGAIN:
            again = at + (4 + self.r.expovariate(1 / AGAIN_DAYS)) * DAY
            self._order(number, again, Wish(kind="plain"), self._basket())
        if self.r.random() < INVITES:
            self._invite(number, at + self.r.randint(4, 9) * DAY)
        elif self.r.random() < 0.1:
            self._lead(number, at + self.r.randint(5, 20) * DAY)

    def _lead(self, number: int, at: dt.datetime) -> None:
        """Open a team in the later part of a day; friends join on the next one."""
        at = at.replace(hour=max(at.hour, 8))
        if at > self.place.until:
            return
        order = self._order(number, at, Wish(kind="lead"), self._basket(self.shelf.team))
        [friends] = self.r.choices(FRIENDS, FRIENDS_WEIGHTS)
        next_day = at.replace(hour=0, minute=0, second=0, microsecond=0) + DAY
        taken = {number}
        for _ in range(friends):
            joins_at = self._moment(next_day)
            friend, is_new = self._friend(taken, joins_at)
            taken.add(friend)
            wish = Wish(kind="join", by=order, sharer=number)
            self._order(friend, joins_at, wish, self._basket(self.shelf.team))
            if is_new:
                self._goes_on(friend, joins_at)
        if number >= FIRST_NUMBER and self.bought_at[number] == at:
            if friends:
                self._goes_on(number, at)
            elif self.r.random() < 0.5:  # the team failed
                self._order(number, at + 3 * DAY, Wish(kind="plain"), self._basket())

    def _friend(self, taken: set[int], at: dt.datetime) -> tuple[int, bool]:
        """Somebody who bought before, or a stranger until now."""
        known = [n for n, when in self.bought_at.items() if when < at - 5 * DAY and n not in taken]
        if known and self.r.random() < KNOWN_FRIEND:
            return self.r.choice(known), False
        return self._stranger(), True

    def _bargain(self, number: int, at: dt.datetime) -> None:
        """Begun, cut by friends, some of them strangers, and bought a day or two later."""
        day = at.replace(hour=0, minute=0, second=0, microsecond=0)
        bought_at = self._moment(day + self.r.choice((1, 1, 2)) * DAY)
        known = [n for n, when in self.bought_at.items() if when < at and n != number]
        helpers = []
        for _ in range(self.r.randint(3, 8)):
            if known and self.r.random() < 0.55:
                helpers.append(self.r.choice(known))
                continue
            helper = self._stranger()
            self.first_at[helper] = at
            helpers.append(helper)
            if self.r.random() < 0.2:
                later = bought_at + self.r.randint(1, 6) * DAY
                self._order(helper, later, Wish(kind="plain"), self._basket())
        wish = Wish(kind="bargain", begins_at=at, helpers=tuple(dict.fromkeys(helpers)))
        self._order(number, bought_at, wish, self._basket(self.shelf.bargain))
        self._goes_on(number, bought_at)

    def _invite(self, number: int, at: dt.datetime) -> None:
        """Take part in the invitations (one in eight for a commission) and bring none to three."""
        if number in self.inviters or at > self.place.until:
            return
        promotes = self.r.random() < PROMOTES
        self.inviters[number] = (at, promotes)
        [many] = self.r.choices(INVITED, PROMOTED_WEIGHTS if promotes else INVITED_WEIGHTS)
        day = at.replace(hour=0, minute=0, second=0, microsecond=0)
        for _ in range(many):
            comes_at = self._moment(day + self.r.randint(1, 18) * DAY)
            friend = self._stranger()
            wish = Wish(kind="invited", sharer=number, is_promoted=promotes)
            self._order(friend, comes_at, wish, self._basket())
            self._goes_on(friend, comes_at)


def _deals(shelf: Shelf, until: dt.datetime, days: int) -> list[Timed]:
    """One a week, one after the other; the last ones still run, each for another few days."""
    found: list[Timed] = []
    if not shelf.deals:
        return found
    last = until.replace(hour=2, minute=0, second=0, microsecond=0) - 4 * DAY
    for week in range((days - 5) // 7, 0, -1):
        starts_at = last - week * 7 * DAY
        found.append(Timed(starts_at, starts_at + 7 * DAY, shelf.deals[week % len(shelf.deals)]))
    running = shelf.deals[:3]
    return found + [Timed(last + n * DAY, last + (7 + n) * DAY, d) for n, d in enumerate(running)]


def _poisson(chance: Random, mean: float) -> int:
    """Knuth's way, for small means."""
    limit, product, total = 2.718281828459045**-mean, chance.random(), 0
    while product > limit:
        total += 1
        product *= chance.random()
    return total
