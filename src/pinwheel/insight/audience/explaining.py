"""Why somebody is in a segment or not: each condition with its figure, and what to mind about
fairness."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import msgspec

from pinwheel.insight.audience.knowing import known
from pinwheel.insight.audience.language import (
    All,
    Any_,
    Count,
    Did,
    Ltv,
    Member,
    Money,
    Not,
    Placed,
    Prefers,
    Rfm,
    Rule,
    Since,
    Tier,
    Within,
    decide,
    figure,
    parts_of,
    read,
)
from pinwheel.insight.audience.model import BUCKETS, Known, Score, Segment, Worth, bucket_of
from pinwheel.insight.audience.queries import segment
from pinwheel.kernel.db import Tx

ZH = {
    "orders": "订单数", "cancelled_orders": "取消订单数", "pieces": "件数",
    "returned_pieces": "退货件数", "first_order": "首单", "last_order": "末单",
    "net_minor": "净支付额", "average_minor": "平均净支付额",
    "country": "国家", "region": "地区", "market": "市场", "channel": "渠道",
}  # fmt: skip
EN = {
    "orders": "orders", "cancelled_orders": "cancelled orders", "pieces": "pieces",
    "returned_pieces": "returned pieces", "first_order": "first order", "last_order": "last order",
    "net_minor": "net paid", "average_minor": "net paid an order", "country": "country",
    "region": "region", "market": "market", "channel": "channel",
}  # fmt: skip


class Words(msgspec.Struct, frozen=True):
    en: str
    zh: str


class Part(msgspec.Struct, frozen=True):
    """One condition at its place: what it asks, the person's figure, whether it holds."""

    where: str
    deep: int
    asks: Words
    figure: str
    holds: bool


class Stay(msgspec.Struct, frozen=True):
    """A time in a segment; ``left_at`` None: still there."""

    name: dict[str, str]
    entered_at: dt.datetime
    left_at: dt.datetime | None


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """``holds`` is the rule's answer now, ``is_in`` what is written. ``is_held``: a member to whom
    nothing is done, by hash ``bucket`` of 10,000."""

    segment_id: uuid.UUID
    person_id: uuid.UUID
    is_known: bool
    holds: bool
    is_in: bool
    is_held: bool
    bucket: int
    entered_at: dt.datetime | None
    parts: list[Part]
    fairness: list[Words]


async def explain(tx: Tx, segment_id: uuid.UUID, person_id: uuid.UUID) -> Explanation:
    """Why this person is in the segment, or is not. Refuses ``NotFound`` (the segment)."""
    asked = await segment(tx, segment_id)
    rule = read(asked.rule)
    found = (await known(tx, [person_id])).get(person_id)
    entered = await tx.value(
        """
        select entered_at from audience.membership
         where cell = $1 and segment_id = $2 and person_id = $3 and left_at is null
        """,
        tx.cell,
        segment_id,
        person_id,
    )
    bucket = bucket_of(segment_id, person_id)
    return Explanation(
        segment_id=segment_id,
        person_id=person_id,
        is_known=found is not None,
        holds=found is not None and asked.archived_at is None and decide(rule, found, tx.now),
        is_in=entered is not None,
        is_held=entered is not None and bucket < asked.holdout_basis_points,
        bucket=bucket,
        entered_at=entered,
        parts=[] if found is None else judged(rule, found, tx.now),
        fairness=fairness(rule, asked.purpose),
    )


async def export(tx: Tx, person_id: uuid.UUID) -> Any:
    """What is known of this person here, and the segments they are and were in: for their copy."""
    facts = (await known(tx, [person_id])).get(person_id)
    rows = await tx.rows(
        Stay,
        """
        select s.name, m.entered_at, m.left_at from audience.membership m
          join audience.segment s on s.cell = m.cell and s.id = m.segment_id
         where m.cell = $1 and m.person_id = $2 order by m.entered_at, m.id
        """,
        tx.cell,
        person_id,
    )
    if facts is None:
        return {"segments": rows}
    tastes = [[market, str(one), share] for (market, one), share in facts.tastes.items()]
    return {
        "orders": facts.orders,
        "spend": facts.spends,
        "rfm": facts.rfm,
        "value": facts.worth,
        "counted": facts.did,
        "preferences_basis_points": tastes,
        "region_tier": facts.tier,
        "city": facts.city,
        "tier_by": facts.tier_by,
        "segments": rows,
    }


def judged(rule: Rule, known: Known, now: dt.datetime) -> list[Part]:
    """Every condition of the rule with this person's figure."""
    return [
        Part(
            where=where,
            deep=where.count(".of"),
            asks=asks(part),
            figure=_shown(figure(part, known, now)) + _place(part, known),
            holds=decide(part, known, now),
        )
        for where, part in parts_of(rule)
    ]


def _place(part: Rule, known: Known) -> str:
    """The place that a tier is of: the city's own, else the region's, else the country's."""
    if not isinstance(part, Tier) or known.tier_by is None:
        return ""
    return f" · {({'city': known.city, 'region': known.region}).get(known.tier_by, known.country)}"


def outline(rule: Rule) -> list[tuple[int, Words]]:
    """Every condition in words, with how deep it stands."""
    return [(where.count(".of"), asks(part)) for where, part in parts_of(rule)]


def _shown(found: Any) -> str:
    if found is None:
        return ""
    if isinstance(found, dt.timedelta):
        return f"{found / dt.timedelta(days=1):.1f} d"
    if isinstance(found, Score):
        return f"{found.name} (R{found.r} F{found.f} M{found.m})"
    if isinstance(found, Worth):
        return found.band
    if isinstance(found, bool):
        return "✓" if found else "–"
    return str(found)


def asks(rule: Rule) -> Words:
    """What a condition asks, in both languages."""
    if isinstance(rule, All):
        return Words("all of these hold", "满足以下全部条件")
    if isinstance(rule, Any_):
        return Words("any of these holds", "满足以下任一条件")
    if isinstance(rule, Not):
        return Words("this does not hold", "不满足以下条件")
    if isinstance(rule, Count):
        tail = f"{rule.op} {rule.value}"
        return Words(f"{EN[rule.fact]} {tail}", f"{ZH[rule.fact]} {tail}")
    if isinstance(rule, Since):
        return Words(
            f"{EN[rule.fact]} {rule.op} {rule.days} days ago",
            f"距{ZH[rule.fact]} {rule.op} {rule.days} 天",
        )
    if isinstance(rule, Money):
        tail = f"{rule.op} {rule.value / 100:,.2f}"
        return Words(
            f"{EN[rule.fact]} in {rule.market} {tail}", f"{rule.market} {ZH[rule.fact]} {tail}"
        )
    return _asks_more(rule)


def _asks_more(rule: Rule) -> Words:
    if isinstance(rule, Within):
        shown = rule.value if rule.fact == "orders" else f"{rule.value / 100:,.2f}"
        at = f" ({rule.market})" if rule.market else ""
        return Words(
            f"{EN[rule.fact]} in the last {rule.days} days{at} {rule.op} {shown}",
            f"最近 {rule.days} 天{ZH[rule.fact]}{at} {rule.op} {shown}",
        )
    if isinstance(rule, Placed):
        tail = ", ".join(rule.any_of)
        return Words(f"last order's {EN[rule.fact]}: {tail}", f"末单{ZH[rule.fact]}：{tail}")
    if isinstance(rule, Tier):
        tail = ", ".join(map(str, rule.any_of))
        return Words(f"region tier: {tail}", f"地区层级：{tail}")
    if isinstance(rule, Prefers):
        share = f"{rule.share_basis_points / 100:g} %"
        return Words(
            f"at least {share} of recent spend in category {str(rule.category)[-8:]}",
            f"近期消费中品类 {str(rule.category)[-8:]} 占比至少 {share}",
        )
    if isinstance(rule, Did):
        return Words(
            f"{rule.event} in the last {rule.days} days {rule.op} {rule.value}",
            f"最近 {rule.days} 天 {rule.event} 次数 {rule.op} {rule.value}",
        )
    if isinstance(rule, Rfm):
        fifths = [(k, v) for k, v in (("R", rule.r), ("F", rule.f), ("M", rule.m)) if v]
        tail = ", ".join([*rule.names, *(f"{k} {'/'.join(map(str, v))}" for k, v in fifths)])
        return Words(f"RFM in {rule.market}: {tail}", f"{rule.market} RFM：{tail}")
    if isinstance(rule, Ltv):
        tail = ", ".join(rule.bands)
        return Words(
            f"lifetime value in {rule.market}: {tail}", f"{rule.market} 生命周期价值：{tail}"
        )
    if isinstance(rule, Member):
        return Words(f"member of segment {str(rule.id)[-8:]}", f"属于人群 {str(rule.id)[-8:]}")
    raise TypeError(type(rule).__name__)


def fairness(rule: Rule, purpose: str) -> list[Words]:
    """What to mind before a segment is used."""
    parts = [part for _, part in parts_of(rule)]
    notes = []
    if purpose == "price" and any(isinstance(p, Money | Rfm | Ltv | Within) for p in parts):
        notes.append(
            Words(
                "Prices by past spend: only give loyal buyers better prices, never worse ones. In "
                "several countries the law forbids the latter.",
                "按历史消费定价：只能给老客更优惠的价格，不得“杀熟”，部分地区法律明令禁止。",
            )
        )
    if any(isinstance(p, Tier | Placed) for p in parts):
        notes.append(
            Words(
                "A region can stand in for origin or income. Check the mix of people before a "
                "benefit depends on it.",
                "地区可能间接反映出身或收入，权益依赖它之前请核查人群构成。",
            )
        )
    if any(isinstance(p, Did) for p in parts):
        notes.append(
            Words(
                "Counted behaviour is of people who agreed to it; others are missing here.",
                "行为数据仅来自已同意的用户，其他人不在统计内。",
            )
        )
    return notes


__all__ = ["BUCKETS", "Explanation", "Part", "Segment", "Words", "asks", "explain", "fairness"]
