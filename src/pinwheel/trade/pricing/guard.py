"""How low a price may go: what an offer costs, its floor, and what pays for a gap below it."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Annotated

import msgspec
from msgspec import Meta

from pinwheel.kernel.errors import Refusal


class NewGuard(msgspec.Struct, frozen=True, kw_only=True):
    """What an offer costs (without tax) and the lowest price it may have, from now on.

    ``floor_minor`` is in the terms of the price: with tax where the market's prices have it.
    With ``margin_basis_points`` instead the floor is the cost and so much more, and
    ``tax_basis_points`` on top. Neither: the cost is only watched. ``loss_budget_id`` pays what
    a line is sold below the floor."""

    offer_id: uuid.UUID
    variant_id: uuid.UUID
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")]
    cost_minor: Annotated[int, Meta(ge=0, le=10**15)] | None = None
    floor_minor: Annotated[int, Meta(ge=0, le=10**15)] | None = None
    margin_basis_points: Annotated[int, Meta(ge=-10_000, le=100_000)] | None = None
    tax_basis_points: Annotated[int, Meta(ge=0, le=10_000)] = 0
    loss_budget_id: uuid.UUID | None = None
    reason: Annotated[str, Meta(min_length=1, max_length=500)]


class Guard(msgspec.Struct, frozen=True, kw_only=True):
    """The guard of an offer as it holds now. ``loss_available_minor`` is what its loss budget
    can still pay."""

    offer_id: uuid.UUID
    currency: str
    cost_minor: int | None
    floor_minor: int | None
    loss_budget_id: uuid.UUID | None
    loss_available_minor: int


class PastGuard(msgspec.Struct, frozen=True):
    """One line of an offer's guard history."""

    starts_at: dt.datetime
    cost_minor: int | None
    margin_basis_points: int | None
    floor_minor: int | None
    loss_budget_id: uuid.UUID | None
    reason: str
    set_by: str


class GuardSet(msgspec.Struct, frozen=True):
    """``is_below``: the price now is below the new floor, so that nothing is sold of it until
    one of the two changes or a loss budget pays."""

    offer_id: uuid.UUID
    currency: str
    floor_minor: int | None
    is_below: bool


class GuardUnsound(Refusal):
    status = 422
    en = "A cost and a floor are 0 or more, and a margin needs a cost. Say why you set them."
    zh = "成本与底价不得为负；填写毛利率时须同时填写成本，并说明原因。"


class BelowFloor(Refusal):
    """A price that nothing pays the gap of."""

    en = (
        "{price} is below the floor of {floor} and no budget pays the difference. Raise the "
        "price, or give the offer a loss budget with money in it."
    )
    zh = (
        "{price} 低于底价 {floor}，且没有预算承担差额。请提高价格，或为该商品指定有余额的亏损预算。"
    )


def floor_of(new: NewGuard) -> int | None:
    """The floor a guard sets: its own, or the cost with the margin and the tax on top, rounded up
    so that it is never a fraction below."""
    if new.floor_minor is not None or new.margin_basis_points is None or new.cost_minor is None:
        return new.floor_minor
    scaled = new.cost_minor * (10_000 + new.margin_basis_points) * (10_000 + new.tax_basis_points)
    return -(-scaled // 10**8)


def sound(new: NewGuard) -> bool:
    amounts = [new.cost_minor, new.floor_minor]
    return (
        bool(new.reason.strip())
        and all(a is None or 0 <= a <= 10**15 for a in amounts)
        and (new.margin_basis_points is None or new.cost_minor is not None)
        and -10_000 <= (new.margin_basis_points or 0) <= 100_000
        and 0 <= new.tax_basis_points <= 10_000
    )


def gap(floor_minor: int | None, quantity: int, received_minor: int) -> int:
    """How much ``quantity`` pieces bring less than their floor."""
    return 0 if floor_minor is None else max(0, floor_minor * quantity - received_minor)


def is_allowed(guard: Guard | None, price_minor: int) -> bool:
    """May a price be published? Below its floor only while a loss budget has money."""
    missing = gap(guard.floor_minor, 1, price_minor) if guard else 0
    return not missing or (guard is not None and guard.loss_available_minor >= missing)
