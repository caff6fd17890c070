"""The language of segments: shapes, reading with refusals, and the decision for one person.

A rule is JSON. ``{"if": "all", "of": [...]}``, ``any`` and ``not`` hold conditions; each of those
asks one question:

- ``number``: orders, cancelled_orders, pieces, returned_pieces
- ``since``: days since the first_order or last_order
- ``money``: net_minor or average_minor in a market, net of refunds
- ``within``: orders or net_minor of the last ``days``, in a market or all
- ``place``: country, region, market or channel of the last order
- ``tier``: the region's tier, by the table that the shop keeps
- ``prefers``: a category's share of the decayed spend, in basis points
- ``did``: how often an event was counted in the last ``days``
- ``rfm``, ``ltv``: named segment and fifths; band
- ``segment``: member of another segment

The same rule is compiled to one statement by ``compiling.py``; a test holds both to one answer."""

from __future__ import annotations

import datetime as dt
import operator
import re
import uuid
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from pinwheel.insight.audience.model import (
    Known,
    NotForPrices,
    ProtectedAttribute,
    RuleUnclear,
    Spend,
)

Op = Literal["<", "<=", "=", "!=", ">=", ">"]
Number = Annotated[int, Meta(ge=-(10**15), le=10**15)]
Days = Annotated[int, Meta(ge=1, le=3650)]
Market = Annotated[str, Meta(min_length=1, max_length=20)]
Text = Annotated[str, Meta(max_length=100)]
Fifth = Annotated[int, Meta(ge=1, le=5)]
NumberFact = Literal["orders", "cancelled_orders", "pieces", "returned_pieces"]
PlaceFact = Literal["country", "region", "market", "channel"]
RfmName = Literal[
    "champions", "loyal", "potential", "new", "promising", "attention", "sleeping", "at_risk",
    "cannot_lose", "hibernating", "lost",
]  # fmt: skip
Band = Literal["top", "high", "middle", "low"]

OPERATIONS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    "=": operator.eq,
    "!=": operator.ne,
    ">=": operator.ge,
    ">": operator.gt,
}
MOST_DEEP, MOST_PARTS = 6, 60


class Asked(msgspec.Struct, frozen=True, tag_field="if", forbid_unknown_fields=True):
    """A condition."""


class All(Asked, frozen=True, tag="all"):
    of: Annotated[list[Rule], Meta(min_length=1, max_length=20)]


class Any_(Asked, frozen=True, tag="any"):
    of: Annotated[list[Rule], Meta(min_length=1, max_length=20)]


class Not(Asked, frozen=True, tag="not"):
    of: Rule


class Count(Asked, frozen=True, tag="number"):
    fact: NumberFact
    op: Op
    value: Number


class Since(Asked, frozen=True, tag="since"):
    """Days since. Nobody without an order answers yes."""

    fact: Literal["first_order", "last_order"]
    op: Literal["<", "<=", ">=", ">"]
    days: Days


class Money(Asked, frozen=True, tag="money"):
    """In minor units of the market's currency; nobody's spend is 0."""

    fact: Literal["net_minor", "average_minor"]
    market: Market
    op: Op
    value: Number


class Within(Asked, frozen=True, tag="within"):
    """Orders that stand, of the last days. Money needs a market: currencies are never added."""

    fact: Literal["orders", "net_minor"]
    days: Days
    op: Op
    value: Number
    market: Market | None = None


class Placed(Asked, frozen=True, tag="place"):
    fact: PlaceFact
    any_of: Annotated[list[Text], Meta(min_length=1, max_length=100)]


class Tier(Asked, frozen=True, tag="tier"):
    any_of: Annotated[list[Fifth], Meta(min_length=1, max_length=5)]


class Prefers(Asked, frozen=True, tag="prefers"):
    category: uuid.UUID
    share_basis_points: Annotated[int, Meta(ge=1, le=10_000)] = 3_000
    market: Market | None = None


class Did(Asked, frozen=True, tag="did"):
    event: Annotated[str, Meta(min_length=1, max_length=80)]
    days: Annotated[int, Meta(ge=1, le=400)]
    op: Op = ">="
    value: Number = 1


class Rfm(Asked, frozen=True, tag="rfm"):
    market: Market
    names: Annotated[list[RfmName], Meta(max_length=11)] = []
    r: Annotated[list[Fifth], Meta(max_length=5)] = []
    f: Annotated[list[Fifth], Meta(max_length=5)] = []
    m: Annotated[list[Fifth], Meta(max_length=5)] = []


class Ltv(Asked, frozen=True, tag="ltv"):
    market: Market
    bands: Annotated[list[Band], Meta(min_length=1, max_length=4)]


class Member(Asked, frozen=True, tag="segment"):
    id: uuid.UUID


Rule = (
    All | Any_ | Not | Count | Since | Money | Within | Placed | Tier | Prefers | Did | Rfm | Ltv
    | Member
)  # fmt: skip
KINDS = (
    *("all", "any", "not", "number", "since", "money", "within", "place", "tier", "prefers"),
    *("did", "rfm", "ltv", "segment"),
)
PROTECTED = re.compile(
    r"(?:^|[^a-z])(age|aged|birth(?:day|date|year)?|gender|sex|ethnic\w*|race|racial|nationality|"
    r"health|illness|disease|medical|religio\w*|belief|faith|disab\w*|orientation|pregnan\w*|"
    r"marital|politic\w*|union_member\w*|biometric\w*|genetic\w*)(?:$|[^a-z])"
    r"|年龄|性别|民族|种族|国籍|健康|疾病|宗教|信仰|残疾|性取向|怀孕|婚姻|政治|生日"
)


def read(rule: Any) -> Rule:
    """The rule of plain JSON. Refuses ``ProtectedAttribute`` and ``RuleUnclear``, with the
    place."""
    _scan(rule)
    try:
        return msgspec.convert(rule, Rule)  # type: ignore[no-any-return]
    except msgspec.ValidationError as error:
        raise _unclear(error) from error


def _scan(rule: Any) -> None:
    """Depth, size, and words that no rule may hold, whatever else is wrong with it."""
    parts, waiting = 0, [("rule", rule, 0)]
    while waiting:
        where, part, deep = waiting.pop()
        if isinstance(part, dict):
            parts += 1
            if deep > 2 * MOST_DEEP or parts > MOST_PARTS:
                raise RuleUnclear(
                    where,
                    f"at most {MOST_DEEP} levels and {MOST_PARTS} conditions",
                    f"最多 {MOST_DEEP} 层、{MOST_PARTS} 个条件",
                )
            for name, value in part.items():
                _protected(f"{where}.{name}", str(name))
                waiting.append((f"{where}.{name}", value, deep + 1))
        elif isinstance(part, list):
            if deep > 2 * MOST_DEEP or len(part) > 200:
                raise RuleUnclear(where, "the list is too long or too deep", "列表过长或过深")
            waiting += [(f"{where}[{i}]", one, deep + 1) for i, one in enumerate(part)]
        elif isinstance(part, str) and where.rpartition(".")[2] in ("if", "fact", "event"):
            _protected(where, part)
    if not isinstance(rule, dict):
        raise RuleUnclear("rule", "a rule is an object", "规则必须是对象")


def _protected(where: str, word: str) -> None:
    found = PROTECTED.search(word.lower())
    if found:
        raise ProtectedAttribute(where=where[:200], what=found[0].strip("._-[] ")[:60])


def _unclear(error: msgspec.ValidationError) -> RuleUnclear:
    text, _, path = str(error).partition(" - at `")
    where = "rule" + path.rstrip("`").removeprefix("$")
    missing = re.fullmatch(r"Object missing required field `(.+)`", text)
    unknown = re.fullmatch(r"Object contains unknown field `(.+)`", text)
    if missing:
        return RuleUnclear(where, f"{missing[1]} is missing", f"缺少 {missing[1]}")
    if unknown:
        return RuleUnclear(where, f"{unknown[1]} is not known here", f"此处没有 {unknown[1]}")
    if where.endswith(".if"):
        kinds = ", ".join(KINDS)
        return RuleUnclear(where, f"choose one of {kinds}", f"请从 {kinds} 中选择")
    return RuleUnclear(where, text[:1].lower() + text[1:200], f"取值不符合要求（{text[:200]}）")


def parts_of(rule: Rule, where: str = "rule") -> Iterator[tuple[str, Rule]]:
    """Every condition in the rule with its place, itself first."""
    yield where, rule
    if isinstance(rule, Not):
        yield from parts_of(rule.of, f"{where}.of")
    elif isinstance(rule, All | Any_):
        for number, part in enumerate(rule.of):
            yield from parts_of(part, f"{where}.of[{number}]")


def uses_of(rule: Rule) -> dict[uuid.UUID, str]:
    """Segments the rule names, each with the place."""
    return {part.id: where for where, part in parts_of(rule) if isinstance(part, Member)}


def days_of(rule: Rule) -> list[int]:
    """The spans the rule asks about: after each of them time alone may change the answer."""
    spans = {p.days for _, p in parts_of(rule) if isinstance(p, Since | Within | Did)}
    return sorted(spans)


def check(rule: Rule, purpose: str, sensitive: frozenset[uuid.UUID]) -> None:
    """What the shapes alone don't say. ``sensitive`` categories stand in for health, belief and
    the like. Refuses ``RuleUnclear``, ``NotForPrices``."""
    for where, part in parts_of(rule):
        if isinstance(part, Within) and part.fact == "net_minor" and not part.market:
            raise RuleUnclear(
                where,
                "money needs a market: currencies are never added",
                "金额须指定市场，币种不可相加",
            )
        if isinstance(part, Rfm) and not (part.names or part.r or part.f or part.m):
            raise RuleUnclear(where, "choose names or fifths", "请选择名称或分位")
        if purpose == "price" and isinstance(part, Did):
            raise NotForPrices(where=where, what="did / 行为")
        if purpose == "price" and isinstance(part, Prefers) and part.category in sensitive:
            raise NotForPrices(where=where, what="prefers / 敏感品类")


# --- the decision for one person


def decide(rule: Rule, known: Known, now: dt.datetime) -> bool:
    """Does the rule hold for this person now?"""
    if isinstance(rule, All):
        return all(decide(part, known, now) for part in rule.of)
    if isinstance(rule, Any_):
        return any(decide(part, known, now) for part in rule.of)
    if isinstance(rule, Not):
        return not decide(rule.of, known, now)
    found = figure(rule, known, now)
    if found is None:
        return False
    if isinstance(rule, Count | Money | Within | Did):
        return OPERATIONS[rule.op](found, rule.value)
    if isinstance(rule, Since):
        return OPERATIONS[rule.op](found, dt.timedelta(days=rule.days))
    if isinstance(rule, Placed):
        return found in wanted(rule)
    if isinstance(rule, Tier):
        return found in rule.any_of
    if isinstance(rule, Prefers):
        return bool(found >= rule.share_basis_points)
    if isinstance(rule, Rfm):
        return (
            (not rule.names or found.name in rule.names)
            and (not rule.r or found.r in rule.r)
            and (not rule.f or found.f in rule.f)
            and (not rule.m or found.m in rule.m)
        )
    if isinstance(rule, Ltv):
        return found.band in rule.bands
    return bool(found)


def wanted(rule: Placed) -> list[str]:
    """The places as they are kept: regions in lower case, without spaces around."""
    return [t.strip().lower() for t in rule.any_of] if rule.fact == "region" else rule.any_of


def figure(rule: Rule, known: Known, now: dt.datetime) -> Any:
    """What a condition looks at: the figure of this person, None where there is none."""
    if isinstance(rule, Count | Placed):
        return getattr(known, rule.fact)
    if isinstance(rule, Since):
        at = known.first_at if rule.fact == "first_order" else known.last_at
        return None if at is None else now - at
    if isinstance(rule, Money):
        spend = known.spends.get(rule.market, Spend())
        if rule.fact == "net_minor":
            return spend.net_minor
        return spend.net_minor // spend.orders if spend.orders else 0
    if isinstance(rule, Within):
        since = now - dt.timedelta(days=rule.days)
        chosen = [
            b.net_minor
            for b in known.buys
            if b.stands and since < b.at <= now and rule.market in (None, b.market)
        ]
        return len(chosen) if rule.fact == "orders" else sum(chosen)
    if isinstance(rule, Tier):
        return known.tier
    if isinstance(rule, Prefers):
        return max(
            (
                share
                for (market, category), share in known.tastes.items()
                if category == rule.category and rule.market in (None, market)
            ),
            default=0,
        )
    if isinstance(rule, Did):
        first = now.astimezone(dt.UTC).date() - dt.timedelta(days=rule.days)
        return sum(n for day, n in known.did.get(rule.event, ()) if day > first)
    if isinstance(rule, Rfm):
        return known.rfm.get(rule.market)
    if isinstance(rule, Ltv):
        return known.worth.get(rule.market)
    if isinstance(rule, Member):
        return rule.id in known.segments
    return None


def next_look(known: Known, days: list[int], now: dt.datetime) -> dt.datetime | None:
    """When time alone may next change a decision: the first order, or counted day, that comes to
    the end of one of the spans. A second later, so that "more than" holds too."""
    second = dt.timedelta(seconds=1)
    ends = [b.at + dt.timedelta(days=n) + second for b in known.buys for n in days]
    midnight = dt.time(tzinfo=dt.UTC)
    ends += [
        dt.datetime.combine(day + dt.timedelta(days=n), midnight)
        for counted in known.did.values()
        for day, _ in counted
        for n in days
    ]
    return min((end for end in ends if end > now), default=None)
