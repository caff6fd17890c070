"""Nouns and rules of subsidies: programmes, goods, reference prices, how many pieces are paid."""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from collections.abc import Mapping
from typing import Annotated, Literal

import msgspec

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Account, Unit
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import Event

SOURCE = "subsidy"
PIECE = Unit("subsidy:piece", "use")
Minor = Annotated[int, msgspec.Meta(ge=0, le=10**13)]


class NewProgramme(msgspec.Struct, frozen=True, kw_only=True):
    """A programme as it is planned. ``brand_basis_points``: the brand's part of every gap.
    ``region_caps``: minor units by country (``GB``) or country and region (``CN-31``)."""

    name: dict[str, Annotated[str, msgspec.Meta(max_length=120)]]
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]
    platform_budget_id: uuid.UUID
    brand_budget_id: uuid.UUID | None = None
    brand_basis_points: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 0
    identity_pieces: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 2
    home_orders: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 0
    period_days: Annotated[int, msgspec.Meta(ge=1, le=366)] = 30
    reference_days: Annotated[int, msgspec.Meta(ge=1, le=90)] = 7
    match_days: Annotated[int, msgspec.Meta(ge=0, le=90)] = 0
    region_caps: dict[Annotated[str, msgspec.Meta(max_length=20)], Minor] = {}
    experiment_key: Annotated[str, msgspec.Meta(max_length=80)] | None = None
    starts_at: dt.datetime
    ends_at: dt.datetime


class Programme(NewProgramme, frozen=True, kw_only=True):
    """A programme as it stands."""

    id: uuid.UUID
    state: Literal["draft", "active", "stopped"]

    def holds_at(self, now: dt.datetime) -> bool:
        return self.state == "active" and self.starts_at <= now < self.ends_at

    def period_at(self, now: dt.datetime) -> int:
        """Which period of the programme this is, from 0."""
        return (now - self.starts_at) // dt.timedelta(days=self.period_days)

    def period_start(self, now: dt.datetime) -> dt.datetime:
        return self.starts_at + self.period_at(now) * dt.timedelta(days=self.period_days)

    def regions_of(self, country: str, region: str) -> list[str]:
        """The capped regions a delivery there counts in."""
        return [r for r in (country, f"{country}-{region}") if r in self.region_caps]


class Goods(msgspec.Struct, frozen=True, kw_only=True):
    """One offer in a programme. ``reference_minor`` is the lowest of its sources that are not too
    old, ``source`` where, ``seen_at`` when; None: nothing proves a reference, nothing is paid."""

    programme_id: uuid.UUID
    offer_id: uuid.UUID
    target_minor: int
    reference_minor: int | None
    source: str | None
    seen_at: dt.datetime | None


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """What an offer costs elsewhere: where, when it was seen, where to look."""

    source: Annotated[str, msgspec.Meta(min_length=1, max_length=120)]
    price_minor: Annotated[int, msgspec.Meta(ge=1, le=10**13)]
    seen_at: dt.datetime | None = None
    url: Annotated[str, msgspec.Meta(max_length=2000)] = ""


class NewGoods(msgspec.Struct, frozen=True, kw_only=True):
    offer_id: uuid.UUID
    target_minor: Annotated[int, msgspec.Meta(ge=1, le=10**13)]
    references: Annotated[list[Reference], msgspec.Meta(max_length=50)] = []


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """A claim that the same was cheaper elsewhere, with its evidence and what became of it."""

    id: uuid.UUID
    programme_id: uuid.UUID
    order_id: uuid.UUID
    line: int
    source: str
    link: str
    picture_id: uuid.UUID | None
    found_minor: int
    most_minor: int
    state: Literal["asked", "paid", "refused"]
    paid_minor: int
    asked_at: dt.datetime
    decided_at: dt.datetime | None
    decided_by: str | None
    reason: str | None


class ProgrammeFixed(Refusal):
    """Who bought did so by these terms."""

    en = "This programme has begun: its terms stay. Stop it and plan another one."
    zh = "该补贴计划已开始，条款不可更改。请停止后另建计划。"


class WrongBudget(Refusal):
    status = 422
    en = "The budget “{budget}” is in {currency} and the programme in {wanted}. Choose another one."
    zh = "预算“{budget}”的币种为 {currency}，而计划为 {wanted}。请选择其他预算。"


class NoReference(Refusal):
    status = 422
    en = (
        "{count} goods have no recent price from elsewhere above their target. Add where it was "
        "seen and when; without it nothing is a subsidy."
    )
    zh = "有 {count} 个商品缺少高于目标价的近期外部参考价。请补充来源与时间，否则不能视为补贴。"


class ShareTaken(Refusal):
    """Somebody of the same identity, or the region, was faster."""

    en = (
        "The subsidised price of {sku} has reached its limit for you or your region. Without it "
        "{sku} costs {price}. Nothing was ordered or charged."
    )
    zh = "{sku} 的补贴价已达到您或所在地区的上限。不含补贴为 {price}。未下单也未扣款。"


class MatchNotPossible(Refusal):
    status = 422
    en = "No price match here: {why}"
    zh = "无法进行价格保护：{why_zh}"


class MatchDecided(Refusal):
    en = "This claim was decided already ({state})."
    zh = "该申请已处理（{state}）。"
    codes = {
        "state": {
            "asked": ("open", "待处理"),
            "paid": ("paid", "已赔付"),
            "refused": ("refused", "已拒绝"),
        }
    }


class MatchAnswered(Event, frozen=True, kw_only=True):
    """A price match was paid or refused, with the reason for the buyer."""

    subject = "order_id"
    order_id: uuid.UUID
    match_id: uuid.UUID
    person_id: uuid.UUID
    state: str
    paid_minor: int
    currency: str
    reason: str


def identity_left(programme: Programme, identity: str, period: int) -> Account:
    """The pieces one identity may still have in a period: from nothing so far below."""
    name = hashlib.blake2b(identity.encode(), digest_size=16).hexdigest()
    return Account(
        f"subsidy:{programme.id}:identity:{period}:{name}",
        PIECE,
        floor=-programme.identity_pieces,
    )


def pieces_given(programme_id: uuid.UUID) -> Account:
    return Account(f"subsidy:{programme_id}:pieces", PIECE)


def region_left(programme: Programme, region: str) -> Account:
    """What may still be spent in a region: begins at nothing, may go so far below."""
    return Account(
        f"subsidy:{programme.id}:region:{region}",
        ledger.money(programme.currency),
        floor=-programme.region_caps[region],
    )


def region_given(programme: Programme) -> Account:
    return Account(f"subsidy:{programme.id}:regions", ledger.money(programme.currency))


def gap_of(goods: Goods, price_minor: int) -> int:
    """What is paid for one piece: from the lower of the price here and the reference down to the
    target. A shop's price above the reference is the shop's own affair."""
    if goods.reference_minor is None:
        return 0
    return max(0, min(price_minor, goods.reference_minor) - goods.target_minor)


def parts_of(programme: Programme, amount_minor: int) -> tuple[int, int]:
    """(platform's part, brand's part); they sum to the amount, the brand's rounded down."""
    brand = amount_minor * programme.brand_basis_points // 10_000
    return amount_minor - brand, brand


def pieces_paid(
    programme: Programme,
    gap_minor: int,
    wanted: int,
    *,
    identity: int,
    regions: Mapping[str, int],
    platform_minor: int,
    brand_minor: int,
) -> int:
    """How many of ``wanted`` pieces can be paid, from what everybody has left."""
    if gap_minor <= 0:
        return 0
    whole = [wanted, identity, *(left // gap_minor for left in regions.values())]
    share = programme.brand_basis_points
    if share < 10_000:
        whole.append((platform_minor * 10_000 // (10_000 - share)) // gap_minor + 1)
    if share:
        whole.append(((brand_minor + 1) * 10_000 // share) // gap_minor + 1)
    pieces = max(0, min(whole))
    while pieces:
        platform, brand = parts_of(programme, pieces * gap_minor)
        if platform <= platform_minor and brand <= brand_minor:
            break
        pieces -= 1
    return pieces
