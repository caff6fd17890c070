"""Why a coupon did not work, and what is nearly reached: told as data, in both languages."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from pinwheel.kernel import words
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.words import said
from pinwheel.trade.orders import Draft, Hint
from pinwheel.trade.promotions import policy
from pinwheel.trade.promotions.book import Book, Rule
from pinwheel.trade.promotions.kinds import Goods
from pinwheel.trade.promotions.knowing import Entitled
from pinwheel.trade.promotions.model import Threshold, Tier
from pinwheel.trade.promotions.refusals import (
    CouponBeaten,
    CouponExpired,
    CouponNotForThis,
    CouponNotForYou,
    CouponNotHere,
    CouponNotNow,
    CouponNotYet,
    CouponUnknown,
    CouponUsed,
    PromotionUsedUp,
    SpendMore,
)

MOST_HINTS = 3


def why_not(
    code: str,
    *,
    right: Entitled | None = None,
    rule: Rule | None = None,
    draft: Draft | None = None,
    now: dt.datetime | None = None,
    used: bool = False,
    used_up: bool = False,
    person: tuple[str, str] | None = None,
    covered: bool = False,
    spend: int = 0,
) -> Refusal:
    """The first thing that keeps a coupon from working, the most lasting one first."""
    if right is None or draft is None or now is None:
        return CouponUnknown(code=code)
    shown = shown_code(code, rule)
    if rule is None or right.lapsed or (right.until is not None and now >= right.until):
        return CouponExpired(code=shown)
    if rule.ends_at is not None and now >= rule.ends_at:
        return CouponExpired(code=shown)
    if used:
        return CouponUsed(code=shown)
    if rule.starts_at is not None and now < rule.starts_at:
        return CouponNotYet(code=shown, starts=f"{rule.starts_at:%Y-%m-%d %H:%M} UTC")
    if not rule.open_at(now):
        return CouponNotNow(code=shown)
    if not rule.is_for(draft):
        return CouponNotHere(code=shown)
    if person is not None:
        return CouponNotForYou(code=shown, why=person[0], why_zh=person[1])
    if used_up:
        return PromotionUsedUp(name=shown)
    if not covered:
        return CouponNotForThis(code=shown)
    missing = missing_spend(rule, spend)
    if missing > 0:
        return SpendMore(
            code=shown,
            missing=words.money(missing, draft.currency, "en"),
            missing_zh=words.money(missing, draft.currency, "zh-CN"),
            missing_minor=missing,
        )
    return CouponBeaten(code=shown)


def shown_code(code: str, rule: Rule | None) -> str:
    """A coupon of a wallet is called by its promotion's name, not by its id."""
    if len(code) == 36 and rule is not None:
        return rule.name.get("en") or next(iter(rule.name.values()))
    return code


def missing_spend(rule: Rule, spend: int) -> int:
    """How much more has to be spent on its items; 0 when it is enough."""
    least = rule.terms.conditions.min_spend_minor
    kind = rule.terms.kind
    if isinstance(kind, Threshold) and kind.counts == "spend":
        least = max(least, min(tier.at_least for tier in kind.tiers))
    return max(0, least - spend)


def near_hints(
    currency: str, book: Book, goods: Sequence[Goods], running: Sequence[policy.Running]
) -> list[Hint]:
    """What is reached with no more than as much again: the nearest first."""
    found: list[Hint] = []
    for one in running:
        rule = book.rules[one.id]
        spend = sum(goods[p].left for p in one.positions)
        pieces = sum(goods[p].quantity for p in one.positions)
        missing = missing_spend(rule, spend)
        if 0 < missing <= spend:
            found.append(_spend_hint(rule, currency, missing))
        short = _missing_pieces(rule, pieces)
        if not missing and 0 < short <= pieces:
            found.append(_pieces_hint(rule, short))
    found.sort(key=lambda h: (h.missing_minor, h.missing_pieces))
    return found[:MOST_HINTS]


def _missing_pieces(rule: Rule, pieces: int) -> int:
    kind = rule.terms.kind
    if isinstance(kind, Threshold) and kind.counts == "pieces":
        first: Tier = min(kind.tiers, key=lambda tier: tier.at_least)
        return max(0, first.at_least - pieces)
    take = getattr(kind, "take", None) or getattr(kind, "at_least", None)
    return max(0, take - pieces) if isinstance(take, int) else 0


def _spend_hint(rule: Rule, currency: str, missing: int) -> Hint:
    en, zh = (words.money(missing, currency, w) for w in ("en", "zh-CN"))
    return Hint(
        kind="near",
        en=f"Add {en} more for: {said(rule.name, 'en')}.",
        zh=f"再买 {zh} 即可享受：{said(rule.name, 'zh-CN')}。",
        source_id=rule.id,
        missing_minor=missing,
    )


def _pieces_hint(rule: Rule, missing: int) -> Hint:
    return Hint(
        kind="near",
        en=f"Add {missing} more for: {said(rule.name, 'en')}.",
        zh=f"再加 {missing} 件即可享受：{said(rule.name, 'zh-CN')}。",
        source_id=rule.id,
        missing_pieces=missing,
    )
