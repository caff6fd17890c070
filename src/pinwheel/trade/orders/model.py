"""Nouns and rules of an order: what it is, what may happen to it, and what is refused."""

from __future__ import annotations

import datetime as dt
import uuid

import msgspec

from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import Event
from pinwheel.trade.orders.draft import Quote, Reason

MAX_LINES = 200
MAX_QUANTITY = 100_000
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
PAIRS = tuple(a + b for a in CROCKFORD for b in CROCKFORD)


def number_of(order_id: uuid.UUID) -> str:
    """A number a person can read out: 60 random bits of the id in Crockford's base 32, in
    groups of four."""
    bits = int.from_bytes(order_id.bytes[8:]) & ((1 << 60) - 1)
    first, second, third = bits >> 40, (bits >> 20) & 0xFFFFF, bits & 0xFFFFF
    return (
        f"{PAIRS[first >> 10]}{PAIRS[first & 1023]}-{PAIRS[second >> 10]}{PAIRS[second & 1023]}"
        f"-{PAIRS[third >> 10]}{PAIRS[third & 1023]}"
    )


def share(amount: int, whole: int, before: int, part: int) -> int:
    """The share of ``amount`` that ``part`` of ``whole`` carries after ``before`` were settled.

    Cumulative rounding down: however a line is cut, the shares sum to ``amount`` exactly.
    """
    return amount * (before + part) // whole - amount * before // whole


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order as it stands."""

    id: uuid.UUID
    number: str
    state: str
    person_id: uuid.UUID | None
    contact: str | None
    ship_to: str | None
    country: str
    region: str
    market: str
    currency: str
    channel: str
    delivery: str
    goods_minor: int
    discount_minor: int
    delivery_minor: int
    delivery_tax_minor: int
    tax_minor: int
    tax_included: bool
    total_minor: int
    secured_minor: int
    refunded_minor: int
    delivery_taken: bool
    reasons: list[Reason]
    placed_at: dt.datetime
    held_until: dt.datetime | None
    waits_for: str | None
    cancelled_at: dt.datetime | None
    cancel_reason: str | None


class OrderLine(msgspec.Struct, frozen=True, kw_only=True):
    order_id: uuid.UUID
    line: int
    offer_id: uuid.UUID
    seller_id: uuid.UUID
    variant_id: uuid.UUID
    sku: str
    title: dict[str, str]
    node: str
    hold_id: uuid.UUID | None
    quantity: int
    unit_price_minor: int
    goods_minor: int
    discount_minor: int
    tax_basis_points: int
    tax_minor: int
    total_minor: int
    fee_minor: int
    cancelled: int
    shipped: int
    returned: int

    @property
    def open(self) -> int:
        """Pieces that are neither cancelled nor on their way."""
        return self.quantity - self.cancelled - self.shipped


class Shipment(msgspec.Struct, frozen=True):
    id: uuid.UUID
    order_id: uuid.UUID
    node: str
    state: str
    carrier: str
    tracking: str
    lines: list[tuple[int, int]]
    shipped_at: dt.datetime
    delivered_at: dt.datetime | None


# --- refusals


class EmptyOrder(Refusal):
    status = 422
    en = "There is nothing in this order. Put something in the cart first."
    zh = "订单中没有商品，请先将商品加入购物车。"


class TooManyLines(Refusal):
    status = 422
    en = "An order holds at most {most} different items; this one has {lines}. Please split it."
    zh = "单个订单最多 {most} 种商品，当前为 {lines} 种，请拆分后下单。"


class BadQuantity(Refusal):
    status = 422
    en = "The quantity {quantity} is not possible here. Choose between 1 and {most}."
    zh = "数量 {quantity} 不可用，请选择 1 到 {most} 之间的数量。"


class OfferUnavailable(Refusal):
    """Unknown, paused, unpublished, or without a price in this market: told apart to nobody."""

    en = "{sku} is not for sale here at the moment. Remove it to go on."
    zh = "{sku} 目前在此处不可购买，请移除后继续。"


class UnknownMarket(Refusal):
    status = 422
    en = "There is no market {market}. Choose one of the shop's markets."
    zh = "不存在市场 {market}，请选择本店支持的市场。"


class NoDelivery(Refusal):
    status = 422
    en = "This order can't be delivered to {country} in the chosen way. Choose another delivery."
    zh = "无法以所选方式配送至 {country}，请选择其他配送方式。"


class StaleQuote(Refusal):
    """What the buyer saw is not what holds now; ``quote`` is the new one."""

    en = (
        "The price has changed since you saw it: the total is now {total}. Please look and confirm."
    )
    zh = "您看到的价格已变动：现在的总额为 {total}。请核对后确认。"

    def __init__(self, quote: Quote, total: str) -> None:
        super().__init__(total=total)
        self.quote = quote
        self.facts["quote"] = msgspec.to_builtins(quote)


class AboveLimit(Refusal):
    """More than this way of ordering allows."""

    status = 422
    en = "This order comes to {total}, more than the {most} allowed here. Order by the checkout."
    zh = "该订单合计 {total}，超过此方式允许的 {most}。请通过结算页下单。"


class NoTender(Refusal):
    status = 422
    en = "Choose how to pay."
    zh = "请选择支付方式。"


class TenderMismatch(Refusal):
    status = 422
    en = "The payments add up to {given}, the order to {total}. Make them equal."
    zh = "支付合计 {given} 与订单总额 {total} 不一致，请调整。"


DECLINES = {
    "card_declined": ("the bank refused it", "银行拒绝了该笔付款"),
    "insufficient_funds": ("there is not enough money on the card", "卡内余额不足"),
    "expired_card": ("the card has expired", "银行卡已过期"),
    "suspected_fraud": ("the bank wants to make sure that it is you", "银行需核实是否为本人操作"),
    "challenge_declined": ("it was not confirmed", "付款未经确认"),
    "code_ran_out": ("the code ran out", "付款码已过期"),
}
"""What a provider's word for "no" means to a buyer; others stand as they are."""


class PaymentDeclined(Refusal):
    """The provider said no: the order ended, nothing was charged, the stock is free again.
    ``reason`` is its own word."""

    status = 402
    en = "The payment was declined: {why}. Nothing was charged; please choose another way to pay."
    zh = "支付未成功：{why_zh}，未扣款。请选择其他支付方式。"

    def __init__(self, *, reason: str) -> None:
        why, why_zh = DECLINES.get(reason, (reason, reason))
        super().__init__(reason=reason, why=why, why_zh=why_zh)


STATES_SAID = {
    "pending_payment": ("waiting for its payment", "待付款"),
    "placed": ("placed", "已下单"),
    "shipped": ("sent", "已发货"),
    "delivered": ("delivered", "已送达"),
    "cancelled": ("cancelled", "已取消"),
}


class OrderNotCancellable(Refusal):
    en = (
        "Order {number} can't be cancelled any more: it is {state}. You can return it "
        "once it is there."
    )
    zh = "订单 {number} 当前状态为 {state}，已无法取消。收到商品后可申请退货。"
    codes = {"state": STATES_SAID}


class NothingToShip(Refusal):
    status = 422
    en = "Line {line} of order {number} has {open} pieces left to send, {asked} asked for."
    zh = "订单 {number} 第 {line} 行还有 {open} 件待发，请求发出 {asked} 件。"


class NotHereYet(Refusal):
    """Sold before it was here."""

    en = "Order {number} waits for {sku}: {here} of {asked} are at {node}. Send it once it is here."
    zh = "订单 {number} 等待 {sku} 到货：{node} 现有 {here} 件，需 {asked} 件。请到货后再发货。"


class OrderNotReady(Refusal):
    """Not paid for, cancelled, waiting for its team, or still inside the buyer's undo window."""

    en = "Order {number} can't be sent yet: it is {state}."
    zh = "订单 {number} 目前状态为 {state}，还不能发货。"
    codes = {
        "state": STATES_SAID
        | {
            "waiting": ("waiting for its team or its goods", "等待成团或到货"),
            "undoable": ("still within the buyer's time to undo it", "仍在买家可撤销的时限内"),
        }
    }


# --- events


class OrderPlaced(Event, frozen=True, kw_only=True):
    """Paid for and accepted. ``items``: (variant, offer, seller, quantity, total_minor) of each
    line."""

    subject = "order_id"
    order_id: uuid.UUID
    number: str
    person_id: uuid.UUID | None
    total_minor: int
    currency: str
    market: str
    channel: str


class OtherSecured(Event, frozen=True, kw_only=True):
    """Payments were secured for documents that are no orders: a deposit, say."""

    document_ids: tuple[uuid.UUID, ...]


class PaidFurther(Event, frozen=True, kw_only=True):
    """Money came in for an order that was paid for already: for something that was added to it."""

    subject = "order_id"
    order_id: uuid.UUID


class OrderCancelled(Event, frozen=True, kw_only=True):
    subject = "order_id"
    order_id: uuid.UUID
    number: str
    person_id: uuid.UUID | None
    reason: str
    refund_minor: int


class LinesCancelled(Event, frozen=True, kw_only=True):
    subject = "order_id"
    order_id: uuid.UUID
    number: str
    lines: list[tuple[int, int]]
    refund_minor: int
    reason: str


class LinesReturned(Event, frozen=True, kw_only=True):
    """Sent pieces of an order came back: (line, quantity)."""

    subject = "order_id"
    order_id: uuid.UUID
    lines: list[tuple[int, int]]


class OrderShipped(Event, frozen=True, kw_only=True):
    subject = "order_id"
    order_id: uuid.UUID
    number: str
    person_id: uuid.UUID | None
    shipment_id: uuid.UUID
    tracking: str


class OrderDelivered(Event, frozen=True, kw_only=True):
    subject = "order_id"
    order_id: uuid.UUID
    number: str
    person_id: uuid.UUID | None
    shipment_id: uuid.UUID


class LineUnsourced(Event, frozen=True, kw_only=True):
    """A node failed and nobody else has the pieces: a person decides, or they are refunded."""

    subject = "order_id"
    order_id: uuid.UUID
    line: int
    node: str


class BackorderLate(Event, frozen=True, kw_only=True):
    """The day that was said is over; ``last_on``: then the money goes back by itself."""

    subject = "order_id"
    order_id: uuid.UUID
    line: int
    quantity: int
    last_on: dt.date
