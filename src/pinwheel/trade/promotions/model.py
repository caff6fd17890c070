"""Nouns of promotions: kinds as data, whom and what they are for, who pays, what may be refused."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from pinwheel.ground.ledger import Account, Unit
from pinwheel.kernel.events import Event

SOURCE = "promotion"
MEMBER = "member"  # the segment of those with a membership
BasisPoints = Annotated[int, Meta(ge=1, le=10_000)]
Minor = Annotated[int, Meta(ge=1, le=10**12)]
MinorOrNone = Annotated[int, Meta(ge=0, le=10**12)]
Pieces = Annotated[int, Meta(ge=1, le=10_000)]
Level = Literal["line", "order"]


class PercentageOff(msgspec.Struct, frozen=True, tag="percentage"):
    """So many basis points (1000 is 10 %) off each line, or off the whole order."""

    basis_points: BasisPoints
    level: Level = "line"


class AmountOff(msgspec.Struct, frozen=True, tag="amount"):
    """So much off each piece (level line), or once off the order."""

    amount_minor: Minor
    level: Level = "line"


class FixedPrice(msgspec.Struct, frozen=True, tag="fixed_price"):
    """Each piece costs this much, where it would cost more."""

    price_minor: MinorOrNone


class Tier(msgspec.Struct, frozen=True):
    """From ``at_least`` on (minor units, or pieces): basis points or an amount off."""

    at_least: Minor
    basis_points: Annotated[int, Meta(ge=0, le=10_000)] = 0
    amount_minor: MinorOrNone = 0


class Threshold(msgspec.Struct, frozen=True, tag="threshold"):
    """Spend or buy so much and get something off: the highest tier that is reached counts. With
    ``repeats`` the amount counts for every full ``at_least`` (one tier)."""

    tiers: Annotated[list[Tier], Meta(min_length=1, max_length=10)]
    counts: Literal["spend", "pieces"] = "spend"
    repeats: bool = False
    level: Level = "order"


class NForM(msgspec.Struct, frozen=True, tag="n_for_m"):
    """Take ``take`` and pay ``pay``: of every ``take`` pieces, dearest first, the cheapest ones
    get ``basis_points`` off (10000: free; 5000 with 2 for 1: the second at half price)."""

    take: Annotated[int, Meta(ge=2, le=1000)]
    pay: Annotated[int, Meta(ge=1, le=999)]
    basis_points: BasisPoints = 10_000


class CheapestFree(msgspec.Struct, frozen=True, tag="cheapest_free"):
    """Once an order: of the ``at_least`` dearest pieces the ``pieces`` cheapest are free."""

    at_least: Annotated[int, Meta(ge=2, le=1000)]
    pieces: Annotated[int, Meta(ge=1, le=999)] = 1


class Part(msgspec.Struct, frozen=True):
    """So many pieces out of these offers."""

    offers: Annotated[list[uuid.UUID], Meta(min_length=1, max_length=200)]
    pieces: Pieces = 1


class Bundle(msgspec.Struct, frozen=True, tag="bundle"):
    """One of each part together for a price."""

    parts: Annotated[list[Part], Meta(min_length=1, max_length=20)]
    price_minor: MinorOrNone


class FreeDelivery(msgspec.Struct, frozen=True, tag="free_delivery"):
    """Delivery for nothing, or at most ``most_minor`` less; ``codes`` of delivery, none: each."""

    codes: Annotated[list[Annotated[str, Meta(max_length=40)]], Meta(max_length=20)] = []
    most_minor: Minor | None = None


Kind = (
    PercentageOff
    | AmountOff
    | FixedPrice
    | Threshold
    | NForM
    | CheapestFree
    | Bundle
    | FreeDelivery
)
Ids = Annotated[list[uuid.UUID], Meta(max_length=5000)]
Names = Annotated[list[Annotated[str, Meta(max_length=200)]], Meta(max_length=500)]


class Scope(msgspec.Struct, frozen=True, kw_only=True):
    """What it is for: a line belongs if any of the lists names it (or all are empty), and none of
    the exclusions does. A category stands for everything below it."""

    offers: Ids = []
    products: Ids = []
    categories: Ids = []
    sellers: Ids = []
    brands: Names = []
    not_offers: Ids = []
    not_products: Ids = []
    not_categories: Ids = []
    not_sellers: Ids = []
    not_brands: Names = []

    @property
    def is_everything(self) -> bool:
        return not (self.offers or self.products or self.categories or self.sellers or self.brands)


class Hours(msgspec.Struct, frozen=True):
    """On these ``weekdays`` (ISO: 1 is Monday; none: each) between ``from_minute`` and
    ``to_minute`` of the day in ``zone``."""

    weekdays: Annotated[list[Annotated[int, Meta(ge=1, le=7)]], Meta(max_length=7)] = []
    from_minute: Annotated[int, Meta(ge=0, le=1439)] = 0
    to_minute: Annotated[int, Meta(ge=1, le=1440)] = 1440
    zone: Annotated[str, Meta(max_length=64)] = "UTC"


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """For whom and when. ``segments``: any of them (``member`` stands for members);
    ``min_spend_minor`` is measured on what the scope's lines still cost when it is its turn;
    ``coupon``: only with a coupon or code; ``most_off_minor`` caps one order."""

    currency: Annotated[str, Meta(pattern="^([A-Z]{3})?$")] = ""
    markets: Names = []
    channels: Names = []
    hours: Hours | None = None
    segments: Names = []
    first_order: bool = False
    coupon: bool = False
    min_spend_minor: MinorOrNone = 0
    most_off_minor: Minor | None = None


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How often: ``uses`` in all, ``per_person``, counted in orders or in pieces. A promotion for
    first orders only counts one a person by itself."""

    uses: Annotated[int, Meta(ge=1, le=10**9)] | None = None
    per_person: Annotated[int, Meta(ge=1, le=10**6)] | None = None
    counts: Literal["orders", "pieces"] = "orders"


class Share(msgspec.Struct, frozen=True):
    """Who pays how much: a budget, or None for the seller (or shop) whose goods these are."""

    basis_points: BasisPoints
    budget_id: uuid.UUID | None = None


class Terms(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a promotion says. ``group``: of one group the best for the buyer counts, groups
    follow each other by name; ``combinable``: a group of its own, after all groups;
    ``priority``: lower goes first."""

    kind: Kind
    scope: Scope = Scope()
    conditions: Conditions = Conditions()
    limits: Limits = Limits()
    funding: Annotated[list[Share], Meta(max_length=10)] = []
    group: Annotated[str, Meta(max_length=40)] = ""
    combinable: bool = False
    priority: Annotated[int, Meta(ge=0, le=10_000)] = 100


class Promotion(msgspec.Struct, frozen=True, kw_only=True):
    """One promotion as it stands. ``state``: draft, active, stopped; between ``starts_at`` and
    ``ends_at`` (None: open) an active one holds."""

    id: uuid.UUID
    name: dict[str, str]
    state: str
    terms: Terms
    code: str | None
    starts_at: dt.datetime | None
    ends_at: dt.datetime | None
    is_deal: bool
    changed_at: dt.datetime
    changed_by: str

    def phase(self, now: dt.datetime) -> str:
        """draft, planned, running, over or stopped."""
        if self.state != "active":
            return self.state
        if self.starts_at is not None and now < self.starts_at:
            return "planned"
        if self.ends_at is not None and now >= self.ends_at:
            return "over"
        return "running"


class NewPromotion(msgspec.Struct, frozen=True, kw_only=True):
    """A promotion to be saved: with ``id`` that one is changed, else a draft is made."""

    name: dict[str, str]
    terms: Terms
    id: uuid.UUID | None = None
    code: str | None = None
    starts_at: dt.datetime | None = None
    ends_at: dt.datetime | None = None
    is_deal: bool = False


def level_of(kind: Kind) -> str:
    """line, order or delivery."""
    if isinstance(kind, FreeDelivery):
        return "delivery"
    if isinstance(kind, PercentageOff | AmountOff | Threshold):
        return kind.level
    return "line"


# --- the accounts: a floor below zero is how often something may be used


def unit_of(promotion_id: uuid.UUID) -> Unit:
    return Unit(f"use:{promotion_id}", "use")


def taken(promotion_id: uuid.UUID) -> Account:
    """Where used uses go."""
    return Account(f"uses:{promotion_id}:taken", unit_of(promotion_id))


def pool(promotion_id: uuid.UUID, uses: int) -> Account:
    """All uses there are."""
    return Account(f"uses:{promotion_id}:pool", unit_of(promotion_id), floor=-uses)


def own_pool(promotion_id: uuid.UUID, person_id: uuid.UUID, uses: int) -> Account:
    """What one person may use."""
    return Account(f"uses:{promotion_id}:by:{person_id}", unit_of(promotion_id), floor=-uses)


def once(promotion_id: uuid.UUID, what: str) -> Account:
    """One coupon or one unique code: its account is known before its promotion is."""
    return Account(f"uses:once:{what}", unit_of(promotion_id), floor=-1)


def turn(promotion_id: uuid.UUID, waiting_id: uuid.UUID) -> Account:
    """A piece put aside for somebody who waited."""
    return Account(f"uses:{promotion_id}:turn:{waiting_id}", unit_of(promotion_id), floor=0)


class PromotionStarted(Event, frozen=True, kw_only=True):
    """A promotion holds from now on."""

    subject = "promotion_id"
    promotion_id: uuid.UUID
    name: dict[str, str]
    ends_at: dt.datetime | None


class PromotionEnded(Event, frozen=True, kw_only=True):
    """Its time is over, or it was stopped."""

    subject = "promotion_id"
    promotion_id: uuid.UUID
    name: dict[str, str]
    reason: str


class CouponGranted(Event, frozen=True, kw_only=True):
    """A coupon was put into somebody's wallet."""

    subject = "coupon_id"
    coupon_id: uuid.UUID
    promotion_id: uuid.UUID
    person_id: uuid.UUID
    expires_at: dt.datetime | None


class CouponUsed(Event, frozen=True, kw_only=True):
    """An order with this coupon was placed."""

    subject = "order_id"
    order_id: uuid.UUID
    promotion_id: uuid.UUID
    coupon_id: uuid.UUID | None
    person_id: uuid.UUID | None
    off_minor: int
    currency: str


class TurnGiven(Event, frozen=True, kw_only=True):
    """A piece of a deal came back: the next who waited may buy it until ``until``."""

    subject = "promotion_id"
    promotion_id: uuid.UUID
    waiting_id: uuid.UUID
    person_id: uuid.UUID
    until: dt.datetime
