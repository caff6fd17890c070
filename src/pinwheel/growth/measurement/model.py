"""Nouns of measurement: spend and its refusals, intervals, what warns."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Account
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import Event

Channel = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9_-]{0,39}$", max_length=40)]
CampaignName = Annotated[str, Meta(max_length=100, pattern=r"^[^\x00-\x1f]*$")]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$")]
Minor = Annotated[int, Meta(ge=0, le=10**13)]
Source = Literal["api", "csv"]

DOCUMENT = "marketing"
MOST_ROWS = 5_000
OLDEST_DAYS = 1_100
BENCHMARK_CENTS = 24
"""Cents of acquisition cost for each unit of revenue, as the seed text states it: a line to look
at, not a result of this shop and not a goal."""


class NewSpend(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What was spent on one channel and campaign on one day, in all: sent again it replaces what
    was said before."""

    channel: Channel
    day: dt.date
    amount_minor: Minor
    currency: Currency
    campaign: CampaignName = ""


class Spend(msgspec.Struct, frozen=True):
    """A day's spend as it stands; ``version`` counts how often it was changed."""

    id: uuid.UUID
    channel: str
    campaign: str
    day: dt.date
    currency: str
    amount_minor: int
    version: int
    source: str
    changed_at: dt.datetime
    changed_by: str


class Recorded(msgspec.Struct, frozen=True):
    """What became of an import: rows that are new, that were changed, that said the same."""

    fresh: int
    changed: int
    same: int


class Interval(msgspec.Struct, frozen=True):
    """A figure with its 95 % interval; ``high`` None: without end. ``n``: what it rests on."""

    point: float
    low: float
    high: float | None
    n: int


class Warned(msgspec.Struct, frozen=True):
    """Something to look at, in both languages; ``code`` is for programs."""

    code: str
    en: str
    zh: str


class SpendUnclear(Refusal):
    """Rows that can't be taken: nothing was, so that the same file may be sent again."""

    status = 422
    en = "Nothing was imported. {rows}"
    zh = "未导入任何数据。{rows_zh}"


class TrialUnclear(Refusal):
    status = 422
    en = "This trial can't tell anything: {why}."
    zh = "该试验无法得出结论：{why_zh}。"


class RocketUnclear(Refusal):
    status = 422
    en = "The programme can't be read: {why}."
    zh = "无法读取该计划：{why_zh}。"


class SpendRecorded(Event, frozen=True, kw_only=True):
    """Marketing spend was reported or corrected."""

    rows: int
    source: str


class RocketSaved(Event, frozen=True, kw_only=True):
    """The programme has new rules: everybody's stage is reckoned anew."""

    version: int


def spent_on(channel: str, currency: str) -> Account:
    """The expense of a channel."""
    return Account(f"marketing:{channel}:{currency}", ledger.money(currency))


def owed_for_marketing(currency: str) -> Account:
    """What is owed to whoever sold the marketing, until the bank has paid it."""
    return Account(f"marketing-payable:{currency}", ledger.money(currency), "credit")
