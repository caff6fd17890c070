"""Teams: a campaign's terms, who may sit down, and what becomes of a team. Pure."""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from pinwheel.ground.ledger import Account, Unit

Policy = Literal["strict", "near_complete", "tiered"]
Minor = Annotated[int, Meta(ge=0, le=10**12)]
Count = Annotated[int, Meta(ge=1, le=1000)]
SEAT, USE, PIECE = Unit("team-seat", "use"), Unit("team-use", "use"), Unit("team-piece", "use")
ISSUED = Account("team:seats:issued", SEAT, "credit")
TAKEN = Account("team:seats:taken", SEAT)
FILLED = Account("team:seats:filled", SEAT)
USED = Account("team:uses", USE)
GIVEN, SOLD = Account("team:pieces:given", PIECE, "credit"), Account("team:pieces:sold", PIECE)
FAILED = "the team was not completed in time"


class TeamOffer(msgspec.Struct, frozen=True, kw_only=True):
    """What an offer costs a member, a piece. ``tiers``: (size, price) of a tiered campaign, sizes
    rising to all seats and prices falling; ``price_minor`` is then the first tier's."""

    offer_id: uuid.UUID
    price_minor: Minor
    tiers: Annotated[list[tuple[int, Minor]], Meta(max_length=20)] = []


class TeamTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator says of a campaign. ``policy``: *strict* forms with its last seat only;
    *near_complete* is filled at the deadline from ``fill_from`` paid members on, a budget paying
    ``fill_minor`` for each missing seat; *tiered* forms at the size it has reached. Limits count
    seats taken; ``uses_per_identity`` those of one identity over all its accounts."""

    name: dict[str, Annotated[str, Meta(max_length=120)]]
    market: Annotated[str, Meta(min_length=1, max_length=20)]
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    policy: Policy = "strict"
    seats: Annotated[int, Meta(ge=2, le=100)] = 3
    window_seconds: Annotated[int, Meta(ge=60, le=30 * 86_400)] = 86_400
    starts_at: dt.datetime | None = None
    ends_at: dt.datetime | None = None
    new_buyers_only: bool = False
    captures_at_once: bool = True
    leads_per_person: Count = 3
    joins_per_person: Count = 3
    uses_per_identity: Count | None = None
    pieces_per_member: Count = 1
    open_teams_most: Annotated[int, Meta(ge=1, le=10**9)] | None = None
    pieces_total: Annotated[int, Meta(ge=1, le=10**12)] | None = None
    fill_from: Annotated[int, Meta(ge=1, le=100)] | None = None
    fill_minor: Minor | None = None
    budget_id: uuid.UUID | None = None
    leader_coupon_id: uuid.UUID | None = None
    offers: Annotated[list[TeamOffer], Meta(min_length=1, max_length=200)]


class TeamCampaign(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign as it stands."""

    id: uuid.UUID
    name: dict[str, str]
    market: str
    currency: str
    policy: Policy
    seats: int
    window_seconds: int
    state: str
    starts_at: dt.datetime
    ends_at: dt.datetime | None
    new_buyers_only: bool
    captures_at_once: bool
    leads_per_person: int
    joins_per_person: int
    uses_per_identity: int | None
    pieces_per_member: int
    open_teams_most: int | None
    pieces_total: int | None
    fill_from: int | None
    fill_minor: int | None
    budget_id: uuid.UUID | None
    leader_coupon_id: uuid.UUID | None

    def opens_at(self, now: dt.datetime) -> bool:
        """May a team be opened now?"""
        begun = self.state == "running" and self.starts_at <= now
        return begun and (self.ends_at is None or now < self.ends_at)


class Team(msgspec.Struct, frozen=True, kw_only=True):
    """A team as it stands. ``state``: open, formed, failing (being refunded), failed."""

    id: uuid.UUID
    campaign_id: uuid.UUID
    token: str
    state: str
    seats: int
    opened_at: dt.datetime
    closes_at: dt.datetime
    ended_at: dt.datetime | None
    closed_at: dt.datetime | None
    why: str | None
    reached: int | None
    filled: int
    fill_minor: int
    leader_order_id: uuid.UUID | None
    reward: str


class Member(msgspec.Struct, frozen=True, kw_only=True):
    """A seat and whose it is."""

    team_id: uuid.UUID
    order_id: uuid.UUID
    person_id: uuid.UUID | None
    is_leader: bool
    offer_id: uuid.UUID
    quantity: int
    unit_minor: int
    claimed_at: dt.datetime
    paid_at: dt.datetime | None
    left_at: dt.datetime | None
    dropped_minor: int
    share_token: str
    invited_by: uuid.UUID | None
    initials: str | None
    uses: list[tuple[str, str, int, int, uuid.UUID]]


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What the house thinks of a buyer who asks for a seat. ``refused_en`` (and ``_zh``) says why
    not; ``identities`` are names under which limits count, over accounts; ``is_new`` None: ask the
    orders."""

    refused_en: str = ""
    refused_zh: str = ""
    identities: tuple[str, ...] = ()
    is_new: bool | None = None


def seats_of(team_id: uuid.UUID) -> Account:
    """The free seats of a team; never below none."""
    return Account(f"team:{team_id}:seats", SEAT, floor=0)


def pieces_of(campaign_id: uuid.UUID) -> Account:
    """What a campaign has left to sell."""
    return Account(f"team-campaign:{campaign_id}:pieces", PIECE, floor=0)


def open_teams_of(campaign_id: uuid.UUID, most: int) -> Account:
    return Account(f"team-campaign:{campaign_id}:open", USE, floor=-most)


def in_team(team_id: uuid.UUID, person_id: uuid.UUID) -> Account:
    """A person's one seat in a team."""
    return Account(f"team:{team_id}:person:{person_id}", USE, floor=-1)


def led_by(campaign_id: uuid.UUID, person_id: uuid.UUID, most: int) -> Account:
    return Account(f"team-campaign:{campaign_id}:led:{person_id}", USE, floor=-most)


def joined_by(campaign_id: uuid.UUID, person_id: uuid.UUID, most: int) -> Account:
    return Account(f"team-campaign:{campaign_id}:joined:{person_id}", USE, floor=-most)


def used_by(campaign_id: uuid.UUID, identity: str, most: int) -> Account:
    name = hashlib.blake2b(identity.encode(), digest_size=12).hexdigest()
    return Account(f"team-campaign:{campaign_id}:identity:{name}", USE, floor=-most)


def unit_price(offer: TeamOffer, size: int) -> int:
    """What a piece costs when the team has ``size`` members: the largest tier that is reached,
    the first one while none is."""
    reached = [price for tier, price in offer.tiers if tier <= size]
    return min([offer.price_minor, *reached])


def smallest_size(offers: Sequence[TeamOffer]) -> int:
    """With how many members a tiered team forms at its deadline."""
    return max((offer.tiers[0][0] for offer in offers if offer.tiers), default=2)


def outcome(campaign: TeamCampaign, seats: int, paid: int, *, due: bool, smallest: int) -> str:
    """What a team with ``paid`` of ``seats`` becomes: formed, waiting or failed."""
    if paid >= seats:
        return "formed"
    if not due:
        return "waiting"
    if campaign.policy == "near_complete" and paid >= (campaign.fill_from or seats):
        return "formed"
    if campaign.policy == "tiered" and paid >= smallest:
        return "formed"
    return "failed"


def faults(terms: TeamTerms) -> tuple[str, str, str] | None:
    """The first term that makes no sense: (field, why, why in Chinese)."""
    if not {"en", "zh-CN"} <= {k for k, v in terms.name.items() if v.strip()}:
        return "name", "give the name in English and Chinese", "请填写中英文名称"
    if terms.starts_at and terms.ends_at and terms.ends_at <= terms.starts_at:
        return "ends_at", "it ends before it starts", "结束时间早于开始时间"
    if len({offer.offer_id for offer in terms.offers}) < len(terms.offers):
        return "offers", "an offer is named twice", "商品重复"
    if (terms.policy == "near_complete") != (terms.fill_from is not None):
        return "fill_from", "goes with near_complete, and with it alone", "仅用于自动补位策略"
    if terms.fill_from is not None and terms.fill_from >= terms.seats:
        return "fill_from", "must be less than the seats", "须少于团位数"
    if terms.fill_from is not None and (terms.fill_minor is None or terms.budget_id is None):
        return "fill_minor", "say what a missing seat costs which budget", "请填写补位金额与预算"
    if not terms.captures_at_once and terms.window_seconds > 6 * 86_400:
        return (
            "window_seconds",
            "an authorisation does not live longer than 6 days",
            "预授权最长 6 天",
        )
    return _tier_faults(terms)


def _tier_faults(terms: TeamTerms) -> tuple[str, str, str] | None:
    for offer in terms.offers:
        if (terms.policy == "tiered") != bool(offer.tiers):
            return "tiers", "go with the tiered policy, and with it alone", "仅用于阶梯价策略"
        if not offer.tiers:
            continue
        sizes, prices = [s for s, _ in offer.tiers], [p for _, p in offer.tiers]
        if sizes != sorted(set(sizes)) or prices != sorted(set(prices), reverse=True):
            return "tiers", "sizes must rise and prices fall", "人数须递增，价格须递减"
        if sizes[0] < 2 or sizes[-1] != terms.seats or prices[0] != offer.price_minor:
            return (
                "tiers",
                "from 2 members at the first price to all seats",
                "须从 2 人起，至满员止，首档为参团价",
            )
    if terms.policy == "tiered" and len({offer.tiers[0][0] for offer in terms.offers}) > 1:
        return "tiers", "every offer begins at the same size", "各商品的起始人数须一致"
    return None
