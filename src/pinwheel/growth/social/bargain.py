"""Bargains: the terms of a campaign, the plan of cuts and how anybody verifies it. Pure."""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from collections.abc import Sequence
from random import Random
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from pinwheel.ground.ledger import Account, Unit

CLAIM = "bargain"
NONCE_BYTES = 16
GRAIN = 1000
Minor = Annotated[int, Meta(ge=0, le=10**12)]
Stock = Literal["reserved", "while_stock_lasts"]
PIECE = Unit("bargain-piece", "use")
GIVEN = Account("bargain:pieces:given", PIECE, "credit")
SOLD = Account("bargain:pieces:sold", PIECE)


class BargainTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an operator says of a campaign: from ``list_minor`` to ``floor_minor`` in exactly
    ``helps`` valid helps, each of at least ``least_cut_minor``. ``pieces_total`` is how many the
    campaign sells at most. ``stock``: these pieces are put aside when it starts, or it sells while
    stock lasts; the buyer is told which."""

    name: dict[str, Annotated[str, Meta(max_length=120)]]
    market: Annotated[str, Meta(min_length=1, max_length=20)]
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    offer_id: uuid.UUID
    list_minor: Annotated[int, Meta(ge=1, le=10**12)]
    floor_minor: Minor = 0
    helps: Annotated[int, Meta(ge=1, le=500)]
    least_cut_minor: Annotated[int, Meta(ge=1, le=10**12)] = 1
    window_seconds: Annotated[int, Meta(ge=600, le=30 * 86_400)] = 86_400
    budget_id: uuid.UUID
    pieces_total: Annotated[int, Meta(ge=1, le=10**12)] | None = None
    stock: Stock = "while_stock_lasts"
    per_identity: Annotated[int, Meta(ge=1, le=100)] = 1
    helps_per_identity: Annotated[int, Meta(ge=1, le=1000)] = 5
    starts_at: dt.datetime | None = None
    ends_at: dt.datetime | None = None


class BargainCampaign(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign as it stands."""

    id: uuid.UUID
    name: dict[str, str]
    market: str
    currency: str
    offer_id: uuid.UUID
    list_minor: int
    floor_minor: int
    helps: int
    least_cut_minor: int
    window_seconds: int
    budget_id: uuid.UUID
    pieces_total: int | None
    stock: str
    per_identity: int
    helps_per_identity: int
    state: str
    starts_at: dt.datetime
    ends_at: dt.datetime | None

    def opens_at(self, now: dt.datetime) -> bool:
        begun = self.state == "running" and self.starts_at <= now
        return begun and (self.ends_at is None or now < self.ends_at)

    @property
    def gap_minor(self) -> int:
        return self.list_minor - self.floor_minor


def faults(terms: BargainTerms) -> tuple[str, str, str] | None:
    """The first term that makes no sense: (field, why, why in Chinese)."""
    if not {"en", "zh-CN"} <= {k for k, v in terms.name.items() if v.strip()}:
        return "name", "give the name in English and Chinese", "请填写中英文名称"
    if terms.starts_at and terms.ends_at and terms.ends_at <= terms.starts_at:
        return "ends_at", "it ends before it starts", "结束时间早于开始时间"
    if terms.floor_minor >= terms.list_minor:
        return "floor_minor", "the floor must be below the list price", "底价须低于标价"
    if terms.list_minor - terms.floor_minor < terms.helps * terms.least_cut_minor:
        return (
            "helps",
            "list less floor is too little for so many helps of the least cut",
            "标价与底价之差不足以让每次助力都达到最低砍价额",
        )
    if terms.stock == "reserved" and terms.pieces_total is None:
        return "pieces_total", "say how many pieces are put aside", "请填写要预留的件数"
    return None


def plan_of_cuts(gap_minor: int, helps: int, least_minor: int, random: Random) -> list[int]:
    """``helps`` whole cuts, none below ``least_minor``, that sum to ``gap_minor`` exactly.

    What is above the minimum is shared out by drawn weights of 1 to 3, so that no cut is a
    trifle beside the others; what rounding leaves goes out by largest remainder (Hamilton).
    ``ValueError`` when the gap is too small."""
    spare = gap_minor - helps * least_minor
    if helps < 1 or least_minor < 1 or spare < 0:
        raise ValueError("the gap is too small for so many cuts")
    weights = [GRAIN + random.randrange(2 * GRAIN + 1) for _ in range(helps)]
    whole = sum(weights)
    cuts = [least_minor + spare * weight // whole for weight in weights]
    rest = gap_minor - sum(cuts)
    order = sorted(range(helps), key=lambda n: (-(spare * weights[n] % whole), n))
    for number in order[:rest]:
        cuts[number] += 1
    return cuts


def commitment_of(bargain_id: uuid.UUID, nonce: bytes, cuts: Sequence[int]) -> str:
    """SHA-256, in hexadecimal, of ``<bargain id>|<nonce in hexadecimal>|<cut>,<cut>,…`` in ASCII.
    Published when the bargain starts; nonce and cuts when it has ended."""
    text = f"{bargain_id}|{nonce.hex()}|{','.join(map(str, cuts))}"
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def is_verified(
    commitment: str, bargain_id: uuid.UUID, nonce: bytes, cuts: Sequence[int], given: Sequence[int]
) -> bool:
    """Is this the committed plan, and were the ``given`` cuts its first ones?"""
    is_plan = commitment_of(bargain_id, nonce, cuts) == commitment
    return is_plan and list(cuts[: len(given)]) == list(given)


def pieces_of(campaign_id: uuid.UUID) -> Account:
    """What a campaign has left to sell."""
    return Account(f"bargain-campaign:{campaign_id}:pieces", PIECE, floor=0)


def start_purpose(campaign_id: uuid.UUID) -> str:
    """What one identity may start so often."""
    return f"bargain:{campaign_id}"


def help_purpose(bargain_id: uuid.UUID) -> str:
    """What one identity may do once: help this bargain."""
    return f"bargain-help:{bargain_id}"


def helps_purpose(campaign_id: uuid.UUID) -> str:
    return f"bargain-helps:{campaign_id}"
