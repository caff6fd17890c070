"""The three-stage rocket, pure: seed (a first order), spread (bringing others), deepen (dearer
categories). Stages are reckoned from what happened by rules that are data."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from pinwheel.growth.measurement.model import RocketUnclear

Name = Annotated[str, Meta(pattern="^[a-z][a-z0-9_-]{0,39}$")]
Fact = Literal["orders", "shares", "brought", "level", "raised_percent"]
FACTS: tuple[Fact, ...] = ("orders", "shares", "brought", "level", "raised_percent")
OfferKind = Literal["newcomers", "promotion", "team", "bargain", "invite"]
BEGIN = "none"


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """From ``was`` to ``now`` once every fact of ``least`` is reached and none of ``below`` is
    (a way back: after a cancellation)."""

    key: Name
    was: Name
    now: Name
    least: dict[Fact, Annotated[int, Meta(ge=0, le=1_000_000)]] = {}
    below: dict[Fact, Annotated[int, Meta(ge=1, le=1_000_000)]] = {}


class NextOffer(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What somebody of a stage is shown next, the first one that is open."""

    stage: Name
    kind: OfferKind
    id: uuid.UUID


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The programme. ``levels``: what a category is worth, 1 the lowest; a category not named
    counts as 1. They are frozen with the version, so that a stage stays what it was."""

    stages: Annotated[list[Name], Meta(min_length=1, max_length=12)]
    rules: Annotated[list[Rule], Meta(min_length=1, max_length=40)]
    levels: Annotated[dict[str, Annotated[int, Meta(ge=1, le=9)]], Meta(max_length=5_000)] = {}
    offers: Annotated[list[NextOffer], Meta(max_length=100)] = []


PLAN = Plan(
    stages=["seed", "spread", "deepen"],
    rules=[
        Rule("first-order", BEGIN, "seed", {"orders": 1}),
        Rule("brought-a-buyer", "seed", "spread", {"brought": 1}),
        Rule("shared", "seed", "spread", {"shares": 1, "orders": 1}),
        Rule("dearer-category", "seed", "deepen", {"orders": 2, "level": 2}),
        Rule("spread-to-dearer-category", "spread", "deepen", {"orders": 2, "level": 2}),
        Rule("half-as-much-again", "spread", "deepen", {"orders": 2, "raised_percent": 150}),
        Rule("nothing-stands", "seed", BEGIN, {}, {"orders": 1}),
        Rule("nothing-stands-2", "spread", BEGIN, {}, {"orders": 1}),
        Rule("nothing-stands-3", "deepen", BEGIN, {}, {"orders": 1}),
    ],
)
"""What a shop begins with; an operator may change each."""


class Happened(msgspec.Struct, frozen=True):
    """Something that counts, in order of time. ``ordered``/``cancelled``: ``amount_minor`` and the
    highest ``level`` of its categories; ``shared``: somebody came by their link; ``brought``: who
    came bought for the first time."""

    at: dt.datetime
    kind: Literal["ordered", "cancelled", "shared", "brought"]
    id: uuid.UUID
    level: int = 1
    amount_minor: int = 0


class Move(msgspec.Struct, frozen=True):
    """One move: the rule that fired and the facts that it saw."""

    at: dt.datetime
    was: str
    now: str
    rule: str
    facts: dict[str, int]


def check(plan: Plan) -> None:
    """Refuses ``RocketUnclear``: a stage that nobody named, two rules with one name, a rule that
    always holds."""
    known = {BEGIN, *plan.stages}
    if len(set(plan.stages)) != len(plan.stages) or BEGIN in plan.stages:
        raise RocketUnclear(why="a stage is named twice", why_zh="阶段名称重复")
    keys = [rule.key for rule in plan.rules]
    if len(set(keys)) != len(keys):
        raise RocketUnclear(why="two rules have one name", why_zh="规则名称重复")
    for rule in plan.rules:
        if rule.was not in known or rule.now not in known or rule.was == rule.now:
            raise RocketUnclear(
                why=f"the rule {rule.key} leads from or to no stage",
                why_zh=f"规则 {rule.key} 的起止阶段无效",
            )
        if not rule.least and not rule.below:
            raise RocketUnclear(
                why=f"the rule {rule.key} asks for nothing", why_zh=f"规则 {rule.key} 没有条件"
            )
    for offer in plan.offers:
        if offer.stage not in known:
            raise RocketUnclear(
                why=f"there is no stage {offer.stage}", why_zh=f"没有阶段 {offer.stage}"
            )


def moves_of(plan: Plan, happened: Sequence[Happened]) -> list[Move]:
    """All moves of one person. The same events give the same moves in whatever order they are
    given; after one event several rules may fire, each stage at most once."""
    stage, moves = BEGIN, list[Move]()
    standing: dict[uuid.UUID, tuple[int, int]] = {}
    first = 0
    shares = brought = 0
    ranks = {"ordered": 0, "shared": 1, "brought": 2, "cancelled": 3}
    for event in sorted(happened, key=lambda e: (e.at, ranks[e.kind], e.id)):
        if event.kind == "ordered":
            if not standing:
                first = event.amount_minor
            standing[event.id] = (event.level, event.amount_minor)
        elif event.kind == "cancelled":
            standing.pop(event.id, None)
        elif event.kind == "shared":
            shares += 1
        else:
            brought += 1
        facts = {
            "orders": len(standing),
            "shares": shares,
            "brought": brought,
            "level": max((level for level, _ in standing.values()), default=0),
            "raised_percent": (
                100 * max((a for _, a in standing.values()), default=0) // first if first else 0
            ),
        }
        seen = {stage}
        while (rule := _fires(plan, stage, facts)) is not None and rule.now not in seen:
            moves.append(Move(event.at, stage, rule.now, rule.key, facts))
            stage = rule.now
            seen.add(stage)
    return moves


def _fires(plan: Plan, stage: str, facts: dict[str, int]) -> Rule | None:
    for rule in plan.rules:
        if (
            rule.was == stage
            and all(facts[f] >= n for f, n in rule.least.items())
            and all(facts[f] < n for f, n in rule.below.items())
        ):
            return rule
    return None


def levels_of(values: Sequence[tuple[str, float]], count: int = 3) -> dict[str, int]:
    """A proposal: categories by what a piece brings, in ``count`` equal parts, the highest best."""
    ordered = sorted(values, key=lambda v: (v[1], v[0]))
    return {name: 1 + n * count // len(ordered) for n, (name, _) in enumerate(ordered)}
