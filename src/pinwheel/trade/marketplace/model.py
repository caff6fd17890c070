"""Nouns of the marketplace, and the rule that features an offer."""

from __future__ import annotations

import re
import uuid
from collections.abc import Sequence
from typing import Literal

import msgspec

from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import Event

OWN_SELLER_ID = uuid.UUID("00000000-0000-7000-8000-000000000001")
"""The platform's own shop."""
OUTLET_SELLER_ID = uuid.UUID("00000000-0000-7000-8000-000000000002")
"""The shop's outlet sells what was opened, tried or mended: stock and offers apart from the new."""

Condition = Literal["new", "refurbished", "used"]


class SellerDraft(msgspec.Struct, frozen=True, kw_only=True):
    """A third-party seller, named by ``slug``. ``country``: ISO 3166, two letters, or ''."""

    slug: str
    name: str
    country: str = ""
    active: bool = True


class Seller(msgspec.Struct, frozen=True):
    id: uuid.UUID
    slug: str
    name: str
    kind: Literal["own", "third_party"]
    active: bool
    country: str


class OfferDraft(msgspec.Struct, frozen=True, kw_only=True):
    """An offer as it shall be. ``max_per_order`` None: no limit."""

    variant_id: uuid.UUID
    seller_id: uuid.UUID = OWN_SELLER_ID
    condition: Condition = "new"
    active: bool = True
    max_per_order: int | None = None


class Offer(msgspec.Struct, frozen=True):
    """``active``: the offer is, and its seller too."""

    id: uuid.UUID
    seller_id: uuid.UUID
    variant_id: uuid.UUID
    condition: Condition
    active: bool
    max_per_order: int | None


class SellerUnknown(Refusal):
    status = 404
    en = "There is no such seller. Register it first."
    zh = "没有该卖家，请先登记。"


class SellerUnsound(Refusal):
    status = 422
    en = "The seller {seller}: {why}."
    zh = "卖家 {seller}：{why_zh}。"


class OfferUnknown(Refusal):
    status = 404
    en = "There is no such offer of this seller. Look it up by its SKU."
    zh = "该卖家没有此报价，请按 SKU 查找。"


class OfferUnsound(Refusal):
    status = 422
    en = "The offer can't be made: {why}."
    zh = "无法创建报价：{why_zh}。"


class OfferChanged(Event, frozen=True, kw_only=True):
    """These offers were made, changed, paused, resumed or moved to another variant."""

    offer_ids: tuple[uuid.UUID, ...]


class SellerChanged(Event, frozen=True, kw_only=True):
    """These sellers, and so perhaps all their offers, are not what they were."""

    seller_ids: tuple[uuid.UUID, ...]


class Candidate(msgspec.Struct, frozen=True):
    """An offer that might be featured. ``landed_minor``: what the buyer would pay in all, delivery
    and tax included, in one currency for all candidates. ``in_stock``: it can be sent now."""

    offer_id: uuid.UUID
    landed_minor: int
    in_stock: bool
    own: bool
    condition: Condition = "new"


class Choice(msgspec.Struct, frozen=True):
    """The featured offer and why. ``reason``: ``only`` · ``in_stock`` (others are not) ·
    ``condition`` (others are not new) · ``lowest`` · ``own_shop`` (as low as another) ·
    ``earliest`` (as low, and longer on sale)."""

    offer_id: uuid.UUID
    reason: Literal["only", "in_stock", "condition", "lowest", "own_shop", "earliest"]
    beaten: int


_RANK = {"new": 0, "refurbished": 1, "used": 2}


def featured(candidates: Sequence[Candidate]) -> Choice | None:
    """The offer to lead with: in stock first, then new before used, then the lowest landed price,
    the platform's own shop only at a tie, then the offer that is older. None without candidates."""
    if not candidates:
        return None
    ranked = sorted(candidates, key=_place)
    best = ranked[0]
    if len(ranked) == 1:
        return Choice(best.offer_id, "only", 0)
    mine, next_best = _place(best), _place(ranked[1])
    reasons = ("in_stock", "condition", "lowest", "own_shop", "earliest")
    reason = next(r for r, a, b in zip(reasons, mine, next_best, strict=True) if a != b)
    return Choice(best.offer_id, reason, len(ranked) - 1)  # type: ignore[arg-type]


def _place(one: Candidate) -> tuple[bool, int, int, bool, int]:
    # Ids are ordered by time, so the smaller one is the older offer.
    return (not one.in_stock, _RANK[one.condition], one.landed_minor, not one.own, one.offer_id.int)


def seller_fault(draft: SellerDraft) -> SellerUnsound | None:
    """What is wrong with ``draft`` by itself."""
    if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", draft.slug) or len(draft.slug) > 80:
        why, zh = "use small letters, digits and hyphens", "只能使用小写字母、数字和连字符"
    elif not draft.name.strip() or len(draft.name) > 200:
        why, zh = "its name is empty or too long", "名称为空或过长"
    elif not re.fullmatch(r"([A-Z]{2})?", draft.country):
        why, zh = "a country is two capital letters", "国家须为两位大写字母"
    else:
        return None
    return SellerUnsound(seller=draft.slug[:80], why=why, why_zh=zh)
