"""The promotion editor's form: from fields to terms and back. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from itertools import zip_longest
from typing import Annotated, Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta

from pinwheel.faces.console.choices import chosen
from pinwheel.faces.console.moments import moment
from pinwheel.ground import ledger
from pinwheel.kernel import words
from pinwheel.kernel.errors import Invalid
from pinwheel.trade.promotions import (
    AmountOff,
    Bundle,
    CheapestFree,
    Conditions,
    FixedPrice,
    FreeDelivery,
    Hours,
    Limits,
    NewPromotion,
    NForM,
    Part,
    PercentageOff,
    Promotion,
    Scope,
    Share,
    Terms,
    Threshold,
    Tier,
)

Text = Annotated[str, Meta(max_length=200)]
Short = Annotated[str, Meta(max_length=40)]
Many = Annotated[str, Meta(max_length=20_000)]
SELLER = "seller"  # pays: whoever sells it
KINDS = (
    ("percentage", "Percentage off"),
    ("amount", "Amount off"),
    ("fixed_price", "Fixed price"),
    ("threshold", "Spend or buy so much"),
    ("n_for_m", "Take n, pay m"),
    ("cheapest_free", "Cheapest free"),
    ("bundle", "Bundle"),
    ("free_delivery", "Free delivery"),
)


class PromotionForm(msgspec.Struct):
    """Everything on the page, as it was filled in. Amounts are in the currency's main unit."""

    kind: Short = "percentage"
    name_en: Text = ""
    name_zh: Text = ""
    level: Short = "line"
    percent: Short = "10"
    amount: Short = ""
    tiers: Many = ""
    counts: Short = "spend"
    repeats: bool = False
    take: Annotated[int, Meta(ge=2, le=1000)] = 3
    pay: Annotated[int, Meta(ge=1, le=999)] = 2
    parts: Many = ""
    skus: Many = ""
    categories: list[UUID] = []
    brands: Many = ""
    not_skus: Many = ""
    currency: Short = ""
    market: Short = ""
    code: Short = ""
    coupon: bool = False
    first_order: bool = False
    segments: Annotated[list[Short], Meta(max_length=100)] = []
    min_spend: Short = ""
    most_off: Short = ""
    weekdays: list[Annotated[int, Meta(ge=1, le=7)]] = []
    from_hour: Annotated[int, Meta(ge=0, le=23)] = 0
    to_hour: Annotated[int, Meta(ge=1, le=24)] = 24
    zone: Text = "UTC"
    uses: Short = ""
    per_person: Short = ""
    per_piece: bool = False
    is_deal: bool = False
    combinable: bool = False
    group: Short = ""
    priority: Annotated[int, Meta(ge=0, le=10_000)] = 100
    starts_at: Short = ""
    ends_at: Short = ""
    payers: Annotated[list[Short], Meta(max_length=20)] = []
    shares: Annotated[list[Short], Meta(max_length=20)] = []

    def wanted_skus(self) -> list[str]:
        """Every SKU that is named anywhere."""
        parts = [p.partition("=")[0] for p in _lines(self.parts)]
        return [*_words(self.skus), *_words(self.not_skus), *(s for p in parts for s in _words(p))]

    def new(
        self, offers: Mapping[str, Sequence[UUID]], promotion_id: UUID | None, zone: ZoneInfo
    ) -> NewPromotion:
        """``offers``: those of each SKU. Refuses ``Invalid`` with the field."""
        return NewPromotion(
            id=promotion_id,
            name={k: v for k, v in (("en", self.name_en.strip()), ("zh-CN", self.name_zh.strip()))
                  if v},
            terms=Terms(
                kind=self._kind(offers),
                scope=Scope(
                    offers=_offers(self.skus, offers, "skus"),
                    categories=self.categories,
                    brands=_lines(self.brands),
                    not_offers=_offers(self.not_skus, offers, "not_skus"),
                ),
                conditions=self._conditions(),
                limits=Limits(
                    uses=_count(self.uses, "uses"),
                    per_person=_count(self.per_person, "per_person"),
                    counts="pieces" if self.per_piece or self.is_deal else "orders",
                ),
                funding=_shares(self.payers, self.shares),
                combinable=self.combinable,
                group=self.group.strip(),
                priority=self.priority,
            ),
            code=self.code.strip() or None,
            starts_at=moment("starts_at", self.starts_at, zone) if self.starts_at else None,
            ends_at=moment("ends_at", self.ends_at, zone) if self.ends_at else None,
            is_deal=self.is_deal,
        )  # fmt: skip

    def _kind(self, offers: Mapping[str, Sequence[UUID]]) -> Any:
        level: Any = "order" if self.level == "order" else "line"
        match self.kind:
            case "amount":
                return AmountOff(self._minor(self.amount, "amount"), level)
            case "fixed_price":
                return FixedPrice(self._minor(self.amount, "amount", zero=True))
            case "threshold":
                counts: Any = "pieces" if self.counts == "pieces" else "spend"
                return Threshold(self._tiers(), counts, self.repeats, level)
            case "n_for_m":
                return NForM(self.take, self.pay)
            case "cheapest_free":
                return CheapestFree(self.take, 1)
            case "bundle":
                parts = []
                for line in _lines(self.parts):
                    skus, _, pieces = line.partition("=")
                    mine = _offers(skus, offers, "parts")
                    parts.append(Part(mine, _count(pieces or "1", "parts") or 1))
                return Bundle(parts, self._minor(self.amount, "amount", zero=True))
            case "free_delivery":
                return FreeDelivery()
        return PercentageOff(_points(self.percent, "percent"), level)

    def _conditions(self) -> Conditions:
        whole_day = self.from_hour == 0 and self.to_hour == 24
        hours = None
        if self.weekdays or not whole_day:
            hours = Hours(self.weekdays, self.from_hour * 60, self.to_hour * 60, self.zone.strip())
        return Conditions(
            currency=self.currency.strip().upper(),
            markets=[self.market] if self.market else [],
            hours=hours,
            segments=self.segments,
            first_order=self.first_order,
            coupon=self.coupon,
            min_spend_minor=self._minor(self.min_spend or "0", "min_spend", zero=True),
            most_off_minor=self._minor(self.most_off, "most_off") if self.most_off else None,
        )

    def _tiers(self) -> list[Tier]:
        """One tier a line: ``50 = 5`` or ``3 = 10 %``."""
        found = []
        for line in _lines(self.tiers):
            least, _, off = line.partition("=")
            counted = self.counts == "pieces"
            reach = _count(least, "tiers") if counted else self._minor(least, "tiers")
            if off.strip().endswith("%"):
                found.append(Tier(reach or 1, _points(off.strip()[:-1], "tiers")))
            else:
                found.append(Tier(reach or 1, 0, self._minor(off, "tiers")))
        return found

    def _minor(self, text: str, where: str, *, zero: bool = False) -> int:
        exponent = ledger.money(self.currency.strip().upper() or "CNY").exponent
        value = _decimal(text, where).scaleb(exponent)
        if value != value.to_integral_value() or value < (0 if zero else 1) or value > 10**12:
            raise Invalid(where, "this is no amount of money here", "金额无效")
        return int(value)


def form_of(promotion: Promotion, skus: Mapping[UUID, str], zone: ZoneInfo) -> PromotionForm:
    """A promotion as the editor shows it. ``skus``: by offer."""
    terms, kind = promotion.terms, promotion.terms.kind
    conditions = terms.conditions
    exponent = ledger.money(conditions.currency or "CNY").exponent

    def main(minor: int | None) -> str:
        return "" if minor is None else str(Decimal(minor).scaleb(-exponent))

    def named(offers: Sequence[UUID]) -> str:
        return "\n".join(skus.get(o, str(o)) for o in offers)

    form = PromotionForm(
        kind=str(kind.__struct_config__.tag),
        name_en=promotion.name.get("en", ""),
        name_zh=promotion.name.get("zh-CN", ""),
        level=getattr(kind, "level", "line"),
        skus=named(terms.scope.offers),
        categories=terms.scope.categories,
        brands="\n".join(terms.scope.brands),
        not_skus=named(terms.scope.not_offers),
        currency=conditions.currency,
        market=conditions.markets[0] if conditions.markets else "",
        code=promotion.code or "",
        coupon=conditions.coupon,
        first_order=conditions.first_order,
        segments=conditions.segments,
        min_spend=main(conditions.min_spend_minor or None),
        most_off=main(conditions.most_off_minor),
        uses=str(terms.limits.uses or ""),
        per_person=str(terms.limits.per_person or ""),
        per_piece=terms.limits.counts == "pieces",
        is_deal=promotion.is_deal,
        combinable=terms.combinable,
        group=terms.group,
        priority=terms.priority,
        starts_at=words.field(promotion.starts_at, str(zone)),
        ends_at=words.field(promotion.ends_at, str(zone)),
        payers=[str(share.budget_id or SELLER) for share in terms.funding],
        shares=[str(Decimal(share.basis_points) / 100) for share in terms.funding],
    )
    if conditions.hours is not None:
        form.weekdays, form.zone = conditions.hours.weekdays, conditions.hours.zone
        form.from_hour = conditions.hours.from_minute // 60
        form.to_hour = conditions.hours.to_minute // 60
    _show_kind(form, kind, skus, main)
    return form


def _show_kind(
    form: PromotionForm,
    kind: Any,
    skus: Mapping[UUID, str],
    main: Callable[[int | None], str],
) -> None:
    """The fields of its kind; ``main`` writes an amount in the main unit."""
    match kind:
        case PercentageOff(basis_points=points):
            form.percent = str(Decimal(points) / 100)
        case AmountOff(amount_minor=minor) | FixedPrice(price_minor=minor):
            form.amount = main(minor)
        case Threshold(tiers=tiers, counts=counts, repeats=repeats):
            form.counts, form.repeats = counts, repeats
            form.tiers = "\n".join(
                f"{tier.at_least if counts == 'pieces' else main(tier.at_least)} = "
                + (f"{Decimal(tier.basis_points) / 100} %" if tier.basis_points
                   else main(tier.amount_minor))
                for tier in tiers
            )  # fmt: skip
        case NForM(take=take, pay=pay):
            form.take, form.pay = take, pay
        case CheapestFree(at_least=least):
            form.take = least
        case Bundle(parts=parts, price_minor=minor):
            form.amount = main(minor)
            form.parts = "\n".join(
                " ".join(skus.get(o, str(o)) for o in p.offers) + f" = {p.pieces}" for p in parts
            )


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _offers(text: str, offers: Mapping[str, Sequence[UUID]], where: str) -> list[UUID]:
    found: list[UUID] = []
    for sku in _words(text):
        if not offers.get(sku):
            raise Invalid(where, f"nothing is sold as {sku}", f"没有在售的 SKU {sku}")
        found += offers[sku]
    return list(dict.fromkeys(found))


def _decimal(text: str, where: str) -> Decimal:
    try:
        value = Decimal(text.strip())
    except InvalidOperation as error:
        raise Invalid(where, "this is no number", "不是有效数字") from error
    if not value.is_finite():
        raise Invalid(where, "this is no number", "不是有效数字")
    return value


def _count(text: str, where: str) -> int | None:
    if not text.strip():
        return None
    value = _decimal(text, where)
    if value != value.to_integral_value() or not 1 <= value <= 10**9:
        raise Invalid(where, "give a whole number, 1 or more", "请填写不小于 1 的整数")
    return int(value)


def _points(text: str, where: str) -> int:
    value = _decimal(text, where) * 100
    if value != value.to_integral_value() or not 1 <= value <= 10_000:
        raise Invalid(where, "give 0.01 to 100 per cent", "请填写 0.01 至 100 之间的百分比")
    return int(value)


def _shares(payers: Sequence[str], shares: Sequence[str]) -> list[Share]:
    """Who pays which part, row by row; a row without a payer and a part is none."""
    found = []
    for payer, per_cent in zip_longest(payers, shares, fillvalue=""):
        if payer == per_cent == "":
            continue
        if not payer:
            raise Invalid(
                "funding", f"choose who pays {per_cent} %", f"请选择由谁承担 {per_cent} %"
            )
        budget_id = None if payer == SELLER else chosen("funding", payer)
        found.append(Share(_points(per_cent, "funding"), budget_id))
    return found
