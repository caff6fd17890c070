"""Is a promotion sound before it is saved? Pure."""

from __future__ import annotations

from zoneinfo import ZoneInfo, available_timezones

from pinwheel.trade.promotions.book import plain
from pinwheel.trade.promotions.model import (
    AmountOff,
    Bundle,
    CheapestFree,
    FixedPrice,
    FreeDelivery,
    NewPromotion,
    NForM,
    PercentageOff,
    Terms,
    Threshold,
    level_of,
)
from pinwheel.trade.promotions.refusals import PromotionUnsound


def check(new: NewPromotion) -> None:
    """Refuses ``PromotionUnsound`` with the first thing that is wrong."""
    if not any(text.strip() for text in new.name.values()):
        raise PromotionUnsound("name", "give it a name buyers can read", "请填写买家可读的名称")
    if new.code is not None and not 3 <= len(plain(new.code)) <= 40:
        raise PromotionUnsound("code", "3 to 40 letters or digits", "优惠码应为 3 至 40 个字符")
    if new.starts_at and new.ends_at and new.ends_at <= new.starts_at:
        raise PromotionUnsound("ends_at", "it would end before it starts", "结束早于开始")
    _check_kind(new.terms)
    _check_money(new.terms)
    _check_limits(new)


def _check_kind(terms: Terms) -> None:
    match terms.kind:
        case NForM(take=take, pay=pay) if pay >= take:
            raise PromotionUnsound("pay", "pay fewer than are taken", "付款件数须少于拿取件数")
        case CheapestFree(at_least=least, pieces=pieces) if pieces >= least:
            raise PromotionUnsound("pieces", "fewer than are bought", "免费件数须少于购买件数")
        case Threshold(tiers=tiers, repeats=repeats):
            if any(not tier.basis_points and not tier.amount_minor for tier in tiers):
                raise PromotionUnsound("tiers", "each tier takes something off", "每档须有优惠")
            if repeats and (len(tiers) > 1 or tiers[0].basis_points):
                why = "what repeats has one tier with an amount"
                raise PromotionUnsound("repeats", why, "每满减只能有一个金额档")
        case Bundle(parts=parts):
            offers = [offer for part in parts for offer in part.offers]
            if len(offers) != len(set(offers)):
                raise PromotionUnsound("parts", "no offer in two parts", "同一商品不能在两个部分")
    hours = terms.conditions.hours
    if hours is not None:
        if hours.zone not in available_timezones():
            raise PromotionUnsound("zone", "no such time zone", "时区不存在")
        ZoneInfo(hours.zone)
        if hours.to_minute <= hours.from_minute:
            raise PromotionUnsound("hours", "it would close before it opens", "结束早于开始")


def _check_money(terms: Terms) -> None:
    kind, conditions = terms.kind, terms.conditions
    in_money = (
        isinstance(kind, AmountOff | FixedPrice | Bundle)
        or (isinstance(kind, FreeDelivery) and kind.most_minor is not None)
        or (
            isinstance(kind, Threshold)
            and (kind.counts == "spend" or any(t.amount_minor for t in kind.tiers))
        )
        or conditions.min_spend_minor
        or conditions.most_off_minor is not None
        or any(share.budget_id for share in terms.funding)
    )
    if in_money and not conditions.currency:
        raise PromotionUnsound("currency", "amounts need a currency", "金额需要指定货币")
    if terms.funding:
        if sum(share.basis_points for share in terms.funding) != 10_000:
            raise PromotionUnsound("funding", "the shares make 100 %", "各方份额合计须为 100%")
        payers = [share.budget_id for share in terms.funding]
        if len(payers) != len(set(payers)):
            raise PromotionUnsound("funding", "name each payer once", "每个出资方只列一次")
        if isinstance(kind, FreeDelivery) and any(payers):
            why = "the shop itself gives delivery away"
            raise PromotionUnsound("funding", why, "运费优惠由店铺承担")


def _check_limits(new: NewPromotion) -> None:
    terms = new.terms
    per_piece = (
        isinstance(terms.kind, PercentageOff | AmountOff | FixedPrice)
        and level_of(terms.kind) == "line"
    )
    if terms.limits.counts == "pieces" and not per_piece:
        why = "only a price of single pieces counts pieces"
        raise PromotionUnsound("limits", why, "仅单品价格可按件计数")
    if new.is_deal and not (
        per_piece
        and len(terms.scope.offers) == 1
        and terms.limits.uses
        and terms.limits.counts == "pieces"
        and new.starts_at
        and new.ends_at
    ):
        why = "a deal is a price for one offer, from, until, and how many pieces"
        raise PromotionUnsound("deal", why, "限时特价须为单一商品价格并给出起止时间与件数")
