"""What a profile is made of: traits, merges, what others contribute. Pure."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta

from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import Event

TraitSource = Literal["said", "staff", "observed", "inferred"]
RANK: tuple[TraitSource, ...] = ("said", "staff", "observed", "inferred")
"""Whose word counts first: the person's, then the staff's, then what was seen, then what was
guessed."""
BY_CONSENT = frozenset({"observed", "inferred"})
"""What nobody said of themselves is kept only with their consent to personalisation."""
DAY_SECONDS = 86_400


class UnknownTrait(Refusal):
    status = 422
    en = "There is no trait {name}, or it is not of this type. It is a {type}."
    zh = "没有特征“{name}”，或类型不符，应为 {type}。"


class AlreadyMerged(Refusal):
    en = "These accounts can't be merged: {why}. Look at the profile's merges; nothing was changed."
    zh = "无法合并这两个账号：{why_zh}。请查看档案中的合并记录；未做任何更改。"


class TraitKind(msgspec.Struct, frozen=True):
    name: str
    title: dict[str, str]
    type: Literal["string", "integer", "boolean"]
    is_sensitive: bool
    ttl_days: int


class NewTrait(msgspec.Struct, frozen=True, kw_only=True):
    """``ttl_days`` shortens how long it is known; a kind's own limit stands above it."""

    name: Annotated[str, Meta(max_length=64)]
    value: Annotated[str, Meta(max_length=500)] | int | bool
    source: TraitSource
    evidence: Annotated[str, Meta(min_length=1, max_length=200)]
    ttl_days: Annotated[int, Meta(ge=1, le=3650)] | None = None


class Trait(msgspec.Struct, frozen=True):
    """One trait with where it is from. ``person_id``: the account it was said of."""

    id: uuid.UUID
    person_id: uuid.UUID
    name: str
    value: Any
    source: TraitSource
    evidence: str
    observed_at: dt.datetime
    expires_at: dt.datetime
    replaced_at: dt.datetime | None
    recorded_by: str


class Merge(msgspec.Struct, frozen=True):
    id: uuid.UUID
    kept_id: uuid.UUID
    joined_id: uuid.UUID
    reason: str
    merged_at: dt.datetime
    merged_by: str
    undone_at: dt.datetime | None
    undone_by: str | None


class Moment(msgspec.Struct, frozen=True):
    """One thing that happened, on the timeline. ``path``: where more of it is shown."""

    at: dt.datetime
    kind: str
    en: str
    zh: str
    person_id: uuid.UUID
    path: str = ""


class Known(msgspec.Struct, frozen=True):
    """Something another module knows: a segment, a prediction. ``why`` is its provenance."""

    en: str
    zh: str
    value: str
    why: str
    until: dt.datetime | None = None


class Part(msgspec.Struct, frozen=True):
    name: str
    en: str
    zh: str
    known: list[Known]


class Profile(msgspec.Struct, frozen=True):
    """One customer: ``accounts`` are the persons it is made of, the one that stands for it first.
    ``traits`` are those that count now, best first; ``history`` is all that is kept."""

    customer_id: uuid.UUID
    accounts: list[uuid.UUID]
    traits: list[Trait]
    history: list[Trait]
    merges: list[Merge]
    parts: list[Part]
    timeline: list[Moment]


class ProfilesMerged(Event, frozen=True, kw_only=True):
    subject: ClassVar[str] = "kept_id"
    kept_id: uuid.UUID
    joined_id: uuid.UUID


class ProfilesUnmerged(Event, frozen=True, kw_only=True):
    subject: ClassVar[str] = "kept_id"
    kept_id: uuid.UUID
    joined_id: uuid.UUID


def standing(traits: Sequence[Trait], now: dt.datetime) -> list[Trait]:
    """Of each name the one that counts: alive, the best source, then the newest."""
    best: dict[str, Trait] = {}
    for trait in traits:
        if trait.replaced_at is not None or trait.expires_at <= now:
            continue
        other = best.get(trait.name)
        if other is None or _order(trait) < _order(other):
            best[trait.name] = trait
    return sorted(best.values(), key=lambda t: (RANK.index(t.source), t.name))


def _order(trait: Trait) -> tuple[int, float]:
    return RANK.index(trait.source), -trait.observed_at.timestamp()


def fits(kind: TraitKind, value: object) -> bool:
    wanted = {"string": str, "integer": int, "boolean": bool}[kind.type]
    return type(value) is wanted
