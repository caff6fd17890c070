"""Nouns of audiences: what is known of a person, segments, refusals, what is told."""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import Event

Purpose = Literal["message", "page", "price"]
"""What a segment may be used for. Prices are held to the strictest rules."""
Cause = Literal["fact", "time", "rule", "person"]
BUCKETS = 10_000
MOST_SEGMENTS = 500
TASTE_HALF_LIFE_DAYS = 90
"""After so many days an order counts half for what somebody prefers."""
TASTE_EPOCH = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
FIRST = uuid.UUID(int=0)
LAST = uuid.UUID(int=(1 << 128) - 1)


class Buy(msgspec.Struct, frozen=True):
    """An order as it counts today; ``net_minor`` is what was paid less what was given back."""

    at: dt.datetime
    market: str
    net_minor: int
    stands: bool


class Spend(msgspec.Struct, frozen=True):
    """One market's sums of a person, over orders that stand."""

    orders: int = 0
    net_minor: int = 0


class Score(msgspec.Struct, frozen=True):
    """Fifths of a market's buyers, 5 is best; ``name`` is the named segment."""

    r: int
    f: int
    m: int
    name: str


class Worth(msgspec.Struct, frozen=True):
    band: str
    value_minor: int


class Known(msgspec.Struct, kw_only=True):
    """Everything a rule may ask of one person. ``tastes``: share in basis points by (market,
    category); ``did``: (day, count) by event name; ``segments``: memberships now."""

    person_id: uuid.UUID
    orders: int = 0
    cancelled_orders: int = 0
    pieces: int = 0
    returned_pieces: int = 0
    first_at: dt.datetime | None = None
    last_at: dt.datetime | None = None
    market: str = ""
    country: str = ""
    region: str = ""
    channel: str = ""
    city: str = ""
    tier: int | None = None
    tier_by: str | None = None
    buys: list[Buy] = []
    spends: dict[str, Spend] = {}
    tastes: dict[tuple[str, uuid.UUID], int] = {}
    did: dict[str, list[tuple[dt.date, int]]] = {}
    rfm: dict[str, Score] = {}
    worth: dict[str, Worth] = {}
    segments: set[uuid.UUID] = set()


class NewSegment(msgspec.Struct, frozen=True, kw_only=True):
    """``rule`` is the declarative language (see ``language.py``). ``holdout_basis_points`` of the
    members, chosen by hash, are members to whom nothing is done."""

    name: Annotated[
        dict[
            Annotated[str, Meta(pattern=r"^[a-z]{2}(-[A-Z]{2})?$")],
            Annotated[str, Meta(min_length=1, max_length=120)],
        ],
        Meta(min_length=1, max_length=4),
    ]
    rule: dict[str, Any]
    purpose: Purpose = "message"
    holdout_basis_points: Annotated[int, Meta(ge=0, le=9_000)] = 0


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """A segment as it stands. While ``computed`` < ``version`` its members are being counted."""

    id: uuid.UUID
    name: dict[str, str]
    rule: dict[str, Any]
    purpose: str
    holdout_basis_points: int
    uses: list[uuid.UUID]
    days: list[int]
    version: int
    computed: int
    created_at: dt.datetime
    changed_at: dt.datetime
    archived_at: dt.datetime | None


class Place(msgspec.Struct, frozen=True):
    """The tier of a city, or of a region; region '' is the rest of the country (of a city: it is
    wherever it is). The nearest wins: a city of its region, a city, the region, the country."""

    country: Annotated[str, Meta(pattern=r"^[A-Z]{2}$")]
    region: Annotated[str, Meta(max_length=100)]
    tier: Annotated[int, Meta(ge=1, le=5)]
    city: Annotated[str, Meta(max_length=100)] = ""


def bucket_of(segment_id: uuid.UUID, person_id: uuid.UUID) -> int:
    """0 to 9999, the same for ever: the first 32 bits of SHA-256 over both ids, modulo 10,000."""
    digest = hashlib.sha256(segment_id.bytes + person_id.bytes).digest()
    return int.from_bytes(digest[:4]) % BUCKETS


# --- refusals


class RuleUnclear(Refusal):
    """``where`` is the place in the rule, for example ``rule.of[1].value``."""

    status = 422
    en = "The rule can't be read at {where}: {why}."
    zh = "规则在 {where} 处无法识别：{why_zh}。"

    def __init__(self, where: str, why: str, why_zh: str) -> None:
        super().__init__(where=where, why=why, why_zh=why_zh)


class ProtectedAttribute(Refusal):
    """Age, gender, ethnicity, health, religion and the like are no conditions here."""

    status = 422
    en = (
        "The rule names a protected attribute at {where} ({what}). Nobody is put in a segment by "
        "age, gender, origin, health, belief or the like, least of all for a price. Use what "
        "people bought or did."
    )
    zh = (
        "规则在 {where} 处使用了受保护属性（{what}）。不得按年龄、性别、民族、健康、信仰等"
        "划分人群，更不得用于定价。请使用购买或行为数据。"
    )


class NotForPrices(Refusal):
    """A condition that may stand in for a protected attribute, in a segment made for prices."""

    status = 422
    en = (
        "At {where} the rule asks {what}, which a segment for prices may not: it can stand in "
        "for a protected attribute, or charge people for what was watched. Choose another "
        "purpose or another condition."
    )
    zh = (
        "规则在 {where} 处使用了{what}，用于定价的人群不允许：它可能变相代表受保护属性，"
        "或属于依据浏览行为定价。请更换用途或条件。"
    )


class SegmentCycle(Refusal):
    status = 422
    en = "Segment {name} would be part of its own rule. Take it out at {where}."
    zh = "人群 {name} 会成为自身规则的一部分，请在 {where} 处移除。"


class SegmentUsed(Refusal):
    en = "Segment {name} is part of the rule of {by}. Change that one first."
    zh = "人群 {name} 被 {by} 的规则引用，请先修改后者。"


class TooManySegments(Refusal):
    en = "There are {most} segments, as many as there can be. Archive one first."
    zh = "人群数量已达上限 {most}，请先归档一个。"


# --- events


class SegmentEntered(Event, frozen=True, kw_only=True):
    """A person is a member now. ``cause``: fact (an order, a refund, an event), time, rule (the
    segment was made or edited: journeys may leave these alone), person. ``is_held``: nothing may
    be done to them."""

    subject = "person_id"
    person_id: uuid.UUID
    segment_id: uuid.UUID
    membership_id: uuid.UUID
    is_held: bool
    cause: Cause


class SegmentLeft(Event, frozen=True, kw_only=True):
    subject = "person_id"
    person_id: uuid.UUID
    segment_id: uuid.UUID
    membership_id: uuid.UUID
    is_held: bool
    cause: Cause


class SegmentSaved(Event, frozen=True, kw_only=True):
    """Made, edited or archived: its members are to be counted for ``version``."""

    subject = "segment_id"
    segment_id: uuid.UUID
    version: int


class SegmentCounted(Event, frozen=True, kw_only=True):
    """Every person has been looked at under ``version``."""

    subject = "segment_id"
    segment_id: uuid.UUID
    version: int


class ValueDue(Event, frozen=True, kw_only=True):
    """Lifetime values are to be reckoned anew."""
