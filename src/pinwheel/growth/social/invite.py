"""Invites: a campaign's terms, whose a new buyer is, what is given for it. Pure."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Account

ACT = "invite_reward"
LEVELS_MOST = 2
"""Rewards for invitations deeper than this are pyramid selling where some of our buyers live."""
SESSION_SECONDS = 86_400
Minor = Annotated[int, Meta(ge=0, le=10**12)]
Rule = Literal["first", "last"]


class InviteTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator says of a campaign. ``invite``: credit or a coupon for both sides;
    ``promoter``: a commission on what the new buyer orders in ``commission_days``. A reward waits
    ``return_days`` from delivery. Amounts are store credit, in minor units of ``currency``."""

    name: dict[str, Annotated[str, Meta(max_length=120)]]
    kind: Literal["invite", "promoter"] = "invite"
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    budget_id: uuid.UUID
    attribution: Rule = "last"
    window_days: Annotated[int, Meta(ge=1, le=180)] = 30
    levels: Annotated[int, Meta(ge=1, le=LEVELS_MOST)] = 1
    inviter_minor: Minor = 0
    second_minor: Minor = 0
    invitee_minor: Minor = 0
    inviter_coupon_id: uuid.UUID | None = None
    invitee_coupon_id: uuid.UUID | None = None
    commission_basis_points: Annotated[int, Meta(ge=0, le=5000)] = 0
    commission_days: Annotated[int, Meta(ge=0, le=365)] = 0
    least_order_minor: Minor = 0
    return_days: Annotated[int, Meta(ge=0, le=180)] = 30
    rewards_most: Annotated[int, Meta(ge=1, le=10_000)] = 20
    rewards_days: Annotated[int, Meta(ge=1, le=365)] = 30
    starts_at: dt.datetime | None = None
    ends_at: dt.datetime | None = None


class InviteCampaign(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign as it stands."""

    id: uuid.UUID
    name: dict[str, str]
    kind: str
    currency: str
    budget_id: uuid.UUID
    attribution: str
    window_days: int
    levels: int
    inviter_minor: int
    second_minor: int
    invitee_minor: int
    inviter_coupon_id: uuid.UUID | None
    invitee_coupon_id: uuid.UUID | None
    commission_basis_points: int
    commission_days: int
    least_order_minor: int
    return_days: int
    rewards_most: int
    rewards_days: int
    state: str
    starts_at: dt.datetime
    ends_at: dt.datetime | None

    def runs_at(self, now: dt.datetime) -> bool:
        begun = self.state == "running" and self.starts_at <= now
        return begun and (self.ends_at is None or now < self.ends_at)


def invite_faults(terms: InviteTerms) -> tuple[str, str, str] | None:
    """The first term that makes no sense: (field, why, why in Chinese)."""
    if not {"en", "zh-CN"} <= {k for k, v in terms.name.items() if v.strip()}:
        return "name", "give the name in English and Chinese", "请填写中英文名称"
    if terms.starts_at and terms.ends_at and terms.ends_at <= terms.starts_at:
        return "ends_at", "it ends before it starts", "结束时间早于开始时间"
    if terms.second_minor and terms.levels < LEVELS_MOST:
        return "second_minor", "goes with two levels", "仅在两级奖励时可填"
    if (terms.inviter_minor and terms.inviter_coupon_id) or (
        terms.invitee_minor and terms.invitee_coupon_id
    ):
        return "inviter_coupon_id", "a coupon or credit, not both", "优惠券与余额二选一"
    if (terms.kind == "promoter") != bool(terms.commission_basis_points):
        return "commission_basis_points", "goes with promoters, and with them alone", "仅用于推广员"
    if terms.kind == "invite" and not (
        terms.inviter_minor
        or terms.invitee_minor
        or terms.inviter_coupon_id
        or terms.invitee_coupon_id
    ):
        return "inviter_minor", "say what is given", "请填写奖励"
    return None


class Touch(msgspec.Struct, frozen=True, kw_only=True):
    """A new buyer came by a link that counts for a campaign."""

    order_id: uuid.UUID
    child_id: uuid.UUID
    parent_id: uuid.UUID
    campaign_id: uuid.UUID
    attribution: str
    link_id: uuid.UUID
    channel: str
    at: dt.datetime
    last_at: dt.datetime
    goods_minor: int
    parent_depth: int


def owner_of(touches: Sequence[Touch]) -> Touch | None:
    """The one who brought the buyer: the campaign of the latest touch says whether its first or
    its last one counts. Nobody brings themselves. Ties go to the older link."""
    others = [t for t in touches if t.parent_id != t.child_id]
    if not others:
        return None
    latest = max(others, key=lambda t: (t.last_at, -t.link_id.int))
    same = [t for t in others if t.campaign_id == latest.campaign_id]
    if latest.attribution == "first":
        return min(same, key=lambda t: (t.at, t.link_id))
    return latest


class Owed(msgspec.Struct, frozen=True, kw_only=True):
    """A reward to be written; ``amount_minor`` 0 with a coupon, which its promotion pays for."""

    order_id: uuid.UUID
    root_order_id: uuid.UUID
    campaign: InviteCampaign
    person_id: uuid.UUID
    role: str
    level: int
    amount_minor: int
    base_minor: int = 0
    promotion_id: uuid.UUID | None = None
    in_review: bool = False

    @property
    def kind(self) -> str:
        if self.role == "commission":
            return "commission"
        return "coupon" if self.promotion_id else "credit"


def commission_of(base_minor: int, basis_points: int) -> int:
    """Rounded down to the minor unit."""
    return base_minor * basis_points // 10_000


def rewards_of(
    touch: Touch, campaign: InviteCampaign, grandparent_id: uuid.UUID | None, *, in_review: bool
) -> list[Owed]:
    """What a new buyer's first paid order gives: to both sides, and at most one level above."""
    if touch.goods_minor < campaign.least_order_minor:
        return []
    rate = campaign.commission_basis_points
    paid = commission_of(touch.goods_minor, rate)
    commission = (touch.parent_id, "commission", 1, paid, None)
    wanted: list[tuple[uuid.UUID | None, str, int, int, uuid.UUID | None]] = [
        (touch.parent_id, "inviter", 1, campaign.inviter_minor, campaign.inviter_coupon_id),
        (touch.child_id, "invitee", 1, campaign.invitee_minor, campaign.invitee_coupon_id),
        *([commission] if rate else []),
    ]
    if campaign.levels >= LEVELS_MOST and grandparent_id not in (touch.child_id, touch.parent_id):
        wanted.append((grandparent_id, "second", LEVELS_MOST, campaign.second_minor, None))
    return [
        Owed(
            order_id=touch.order_id,
            root_order_id=touch.order_id,
            campaign=campaign,
            person_id=person,
            role=role,
            level=level,
            amount_minor=amount,
            base_minor=touch.goods_minor if role == "commission" else 0,
            promotion_id=coupon,
            in_review=in_review,
        )
        for person, role, level, amount, coupon in wanted
        if person is not None and (amount or coupon)
    ]


def due_of(
    role: str, amount_minor: int, rate: int, least_minor: int, left_minor: int, pieces: int
) -> int | None:
    """What a reward is worth while ``left_minor`` of its order is not refunded: a commission its
    rate of that, any other all of it or None, which is nothing at all."""
    if pieces <= 0:
        return None
    if role == "commission":
        return min(amount_minor, commission_of(left_minor, rate)) or None
    return amount_minor if left_minor >= least_minor else None


def given_in_rewards(currency: str) -> Account:
    """What rewards cost: an expense."""
    return Account(f"share-rewards:{currency}", ledger.money(currency))


def promoter_due(person_id: uuid.UUID, currency: str) -> Account:
    """What a promoter is to be paid out."""
    return Account(
        f"promoter-due:{person_id}:{currency}", ledger.money(currency), "credit", floor=0
    )


def owed_back(person_id: uuid.UUID, currency: str) -> Account:
    """What somebody has spent of a reward that was taken back: set off against the next ones."""
    return Account(f"reward-owed:{person_id}:{currency}", ledger.money(currency), floor=0)


def paid_out(currency: str) -> Account:
    return Account(f"promoter-payouts:{currency}", ledger.money(currency), "credit")
