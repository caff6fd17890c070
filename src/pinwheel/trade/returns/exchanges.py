"""Nouns and rules of exchanges, all pure: what is asked, what it costs, what refuses."""

from __future__ import annotations

import datetime as dt
import uuid

import msgspec

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Account
from pinwheel.kernel.errors import Refusal
from pinwheel.trade import pricing
from pinwheel.trade.orders import OrderLine, share
from pinwheel.trade.payments import Payment
from pinwheel.trade.returns.model import Why
from pinwheel.trade.returns.ways import Kind, Slot

OPEN = ("unpaid", "waiting")


class NewExchange(msgspec.Struct, frozen=True, kw_only=True):
    """``quantity`` pieces of a ``line`` of the order go back, as many of ``offer_id`` (the same
    product) come instead. ``expected_minor``: what the buyer saw that they pay more (below zero:
    get back); ``provider`` and ``method`` pay it. ``person_id`` None: a clerk asks."""

    order_id: uuid.UUID
    line: int
    quantity: int
    offer_id: uuid.UUID
    reason: Why = "unwanted"
    note: str = ""
    person_id: uuid.UUID | None = None
    expected_minor: int | None = None
    provider: str = ""
    method: str = ""
    return_url: str = ""
    way: Kind | None = None
    slot: Slot | None = None

    def __repr__(self) -> str:  # a token is never logged
        return f"NewExchange({self.order_id}, {self.line}, {self.quantity})"


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """An exchange as it stands; money in minor units of the order's currency."""

    return_id: uuid.UUID
    order_id: uuid.UUID
    line: int
    offer_id: uuid.UUID
    seller_id: uuid.UUID
    variant_id: uuid.UUID
    sku: str
    title: dict[str, str]
    node: str
    hold_id: uuid.UUID
    quantity: int
    unit_price_minor: int
    pay_minor: int
    back_minor: int
    total_minor: int
    payment_id: uuid.UUID | None
    is_trusted: bool
    state: str
    why: str
    new_line: int | None
    asked_at: dt.datetime
    until_at: dt.datetime
    ended_at: dt.datetime | None


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """A variant that a line may be exchanged for. ``difference_minor``: what one piece costs more
    (below zero: less) than the one that goes back; ``left`` can be promised now."""

    offer_id: uuid.UUID
    variant_id: uuid.UUID
    seller_id: uuid.UUID
    sku: str
    title: dict[str, str]
    options: dict[str, str]
    difference_minor: int
    unit_price_minor: int
    left: int


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """``payment`` is to be asked for now, when the replacement costs more."""

    exchange: Exchange
    number: str
    payment: Payment | None = None


class Worth(msgspec.Struct, frozen=True):
    """What a replacement carries of the order's money: ``total_minor`` with ``tax_minor`` in it."""

    total_minor: int
    tax_minor: int


def worth(line: OrderLine, unit_price_minor: int, quantity: int, *, tax_included: bool) -> Worth:
    """What ``quantity`` replacements at ``unit_price_minor`` carry.

    The promotion's share stays with the line: a dearer piece costs its whole difference more, a
    cheaper one carries the share in its own proportion, so that nobody ends with a larger
    reduction than was given. At the same price it is what was paid, to the minor unit."""
    goods = line.unit_price_minor * quantity
    tax = share(line.tax_minor, line.quantity, 0, quantity)
    total = share(line.total_minor, line.quantity, 0, quantity)
    if unit_price_minor == line.unit_price_minor:
        return Worth(total, tax)
    off = share(line.discount_minor, line.quantity, 0, quantity)
    price = unit_price_minor * quantity
    if price < goods:
        off = off * price // goods
    price -= off
    if tax_included:
        return Worth(price, pricing.tax_included(price, line.tax_basis_points))
    tax = pricing.tax_on_top(price, line.tax_basis_points)
    return Worth(price + tax, tax)


def cut(whole: Worth, total_minor: int) -> Worth:
    """``whole`` with another total: its tax in proportion."""
    if not whole.total_minor or total_minor == whole.total_minor:
        return Worth(total_minor, min(whole.tax_minor, total_minor))
    return Worth(total_minor, whole.tax_minor * total_minor // whole.total_minor)


def new_unit_price(line: OrderLine, old_now_minor: int | None, new_now_minor: int) -> int:
    """The replacement's price as if it had been bought with the line: today's difference of the
    two is put on what the old one cost then. Without a price today the old one's own price
    counts."""
    old = line.unit_price_minor if old_now_minor is None else old_now_minor
    return max(0, line.unit_price_minor + new_now_minor - old)


def paid_ahead(currency: str) -> Account:
    """Paid for replacements that have not been let go yet."""
    return Account(f"exchange_deposits:{currency}", ledger.money(currency), "credit", floor=0)


class NotExchangeable(Refusal):
    status = 422
    en = (
        "This item can't be exchanged for that one. Choose another variant of the same product, "
        "or return it for a refund."
    )
    zh = "该商品不能换成所选规格。请选择同一商品的其他规格，或改为退货退款。"


class ExchangeNotOffered(Refusal):
    en = (
        "An exchange is not possible for this order at the moment. Return the item for a refund "
        "and order the other one."
    )
    zh = "该订单暂不支持换货。请申请退货退款后重新下单。"


class DifferenceChanged(Refusal):
    """The buyer saw another difference."""

    en = (
        "The difference is now {now}, not {seen} (in {currency} minor units). Look and confirm "
        "again."
    )
    zh = "差价现为 {now}，您看到的是 {seen}（{currency} 最小单位）。请核对后再次确认。"


class ExchangeIs(Refusal):
    """The exchange is not in a state that allows it."""

    en = "The replacement for return {number} is on its way already, so this is not possible."
    zh = "退货单 {number} 的换货商品已发出，无法执行此操作。"
