"""Nouns and rules of an order: the draft that walks the stages, the quote it shows, what may
happen after."""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import Event
from pinwheel.trade.orders.hints import DeliveryOff, Hint
from pinwheel.trade.payments import Payment

MAX_LINES = 200
MAX_QUANTITY = 100_000
CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
PAIRS = tuple(a + b for a in CROCKFORD for b in CROCKFORD)


class Item(msgspec.Struct, frozen=True):
    """So many of one offer."""

    offer_id: uuid.UUID
    quantity: int


class Tender(msgspec.Struct, frozen=True):
    """How to pay: a provider and its token of a method. ``amount_minor`` None is whatever is
    left."""

    provider: str
    method: str
    amount_minor: int | None = None


class Claim(msgspec.Struct, frozen=True):
    """A price that somebody promised this buyer: a team's seat, a bargain, a newcomer offer. The
    stage of its ``kind`` proves it or refuses the draft."""

    kind: str
    id: uuid.UUID


class Discount(msgspec.Struct, frozen=True, kw_only=True):
    """So much off one offer's line: who takes it off, which budget pays (None: the seller's own
    price cut), and why, in words for the buyer."""

    source: str
    source_id: uuid.UUID
    offer_id: uuid.UUID
    amount_minor: int
    budget_id: uuid.UUID | None = None
    en: str
    zh: str


class Reason(msgspec.Struct, frozen=True):
    """Why a figure is what it is: shown to the buyer and kept with the order."""

    step: str
    en: str
    zh: str
    amount_minor: int


class DeliveryOption(msgspec.Struct, frozen=True):
    """One way to be delivered to, priced for this draft."""

    code: str
    name: dict[str, str]
    price_minor: int
    min_days: int
    max_days: int


class DraftLine(msgspec.Struct):
    """One line as the stages fill it. A line that two nodes send is two lines."""

    offer_id: uuid.UUID
    seller_id: uuid.UUID
    variant_id: uuid.UUID
    sku: str
    title: dict[str, str]
    slug: str
    quantity: int
    unit_price_minor: int
    list_price_minor: int | None
    tax_class: str
    weight_grams: int
    discount_minor: int = 0
    tax_basis_points: int = 0
    tax_minor: int = 0
    fee_minor: int = 0
    node: str = ""
    hold_id: uuid.UUID | None = None
    product_id: uuid.UUID | None = None
    category_id: uuid.UUID | None = None
    brand: str = ""

    @property
    def goods_minor(self) -> int:
        return self.unit_price_minor * self.quantity


class Draft(msgspec.Struct, kw_only=True):
    """What a buyer asks for, and what the stages make of it. ``expected`` is what the buyer
    saw: a quote's token, or the total alone as ``GBP 1399``. ``most_minor``: no more than this;
    ``address_id``: the address of the buyer's book, for orders that may travel together (within
    ``join_seconds``). ``coupons`` are codes as typed in; ``device`` is a keyed hash, "" when
    unknown. A stage sets ``capture`` False to have the money authorised only, and ``waits_for``
    to what must happen before the paid order is sent (``let_go``)."""

    id: uuid.UUID
    items: Sequence[Item]
    market: str
    country: str
    region: str = ""
    postal_code: str = ""
    person_id: uuid.UUID | None = None
    contact: str | None = None
    ship_to: str | None = None
    delivery: str | None = None
    tenders: Sequence[Tender] = ()
    expected: str | None = None
    channel: str = "web"
    scope: str | None = None
    key: str | None = None
    undo_seconds: int = 0
    return_url: str = ""
    most_minor: int | None = None
    address_id: uuid.UUID | None = None
    join_seconds: int = 0
    coupons: Sequence[str] = ()
    claims: Sequence[Claim] = ()
    device: str = ""
    # filled by the stages; ``asked`` tells a repeat from another request under the same key
    currency: str = ""
    tax_included: bool = True
    lines: list[DraftLine] = []
    options: list[DeliveryOption] = []
    delivery_minor: int = 0
    delivery_tax_minor: int = 0
    reasons: list[Reason] = []
    refusal: Refusal | None = None
    leader_id: uuid.UUID | None = None
    discounts: list[Discount] = []
    claimed: set[uuid.UUID] = set()
    capture: bool | None = None
    waits_for: str | None = None
    revision: int = 0  # of the rules that stages keep in memory
    delivery_offs: list[DeliveryOff] = []
    hints: list[Hint] = []
    asked: bytes = b""

    def __post_init__(self) -> None:
        """Remember what was asked, before a stage fills anything in."""
        wanted: tuple[Any, ...] = (
            self.items,
            self.market,
            self.country,
            self.region,
            self.delivery,
            self.tenders,
            self.person_id,
        )
        if self.coupons or self.claims:
            wanted += (self.coupons, self.claims)
        self.asked = hashlib.blake2b(msgspec.json.encode(wanted), digest_size=16).digest()

    def take_off(self, *discounts: Discount) -> None:
        """Lower the lines of the discounts' offers; those given together are one step and one
        reason. A line never goes below nothing: more than it still costs is a ``ValueError`` of
        the stage that asked."""
        lines = {line.offer_id: line for line in reversed(self.lines)}
        for discount in discounts:
            line = lines[discount.offer_id]
            if not 0 < discount.amount_minor <= line.goods_minor - line.discount_minor:
                raise ValueError(f"{discount.amount_minor} off a line that has not so much left")
            line.discount_minor += discount.amount_minor
        self.discounts += discounts
        if discounts:
            first, whole = discounts[0], sum(d.amount_minor for d in discounts)
            self.reasons.append(Reason(first.source, first.en, first.zh, -whole))

    def start_walk(self) -> None:
        """Forget what an earlier walk decided: a batch that raced walks again."""
        self.reasons, self.discounts, self.claimed = [], [], set()
        self.delivery_offs, self.hints = [], []
        self.leader_id = self.capture = self.waits_for = None

    # Asked for a dozen times an order: a plain loop costs a third of ``sum`` over a generator.

    @property
    def goods_minor(self) -> int:
        total = 0
        for line in self.lines:
            total += line.unit_price_minor * line.quantity
        return total

    @property
    def discount_minor(self) -> int:
        total = 0
        for line in self.lines:
            total += line.discount_minor
        return total

    @property
    def tax_minor(self) -> int:
        total = self.delivery_tax_minor
        for line in self.lines:
            total += line.tax_minor
        return total

    @property
    def total_minor(self) -> int:
        on_top = 0 if self.tax_included else self.tax_minor
        return self.goods_minor - self.discount_minor + self.delivery_minor + on_top

    def line_total(self, line: DraftLine) -> int:
        return line.goods_minor - line.discount_minor + (0 if self.tax_included else line.tax_minor)


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """What an order would cost, to the minor unit, and why. ``token`` names exactly these
    figures."""

    token: str
    market: str
    currency: str
    tax_included: bool
    lines: list[DraftLine]
    delivery: str
    options: list[DeliveryOption]
    goods_minor: int
    discount_minor: int
    delivery_minor: int
    tax_minor: int
    total_minor: int
    reasons: list[Reason]
    hints: list[Hint] = []


class Placed(msgspec.Struct, frozen=True, kw_only=True):
    """An order that was accepted; ``fresh`` is False for a repeat of the same request."""

    order_id: uuid.UUID
    number: str
    state: str
    total_minor: int
    currency: str
    payments: list[Payment] = []  # to be asked for now
    fresh: bool = True


def quoted(draft: Draft) -> Quote:
    """The quote of a draft that walked the stages."""
    return Quote(
        token=quote_token(draft),
        market=draft.market,
        currency=draft.currency,
        tax_included=draft.tax_included,
        lines=draft.lines,
        delivery=draft.delivery or "",
        options=draft.options,
        goods_minor=draft.goods_minor,
        discount_minor=draft.discount_minor,
        delivery_minor=draft.delivery_minor,
        tax_minor=draft.tax_minor,
        total_minor=draft.total_minor,
        reasons=draft.reasons,
        hints=draft.hints,
    )


def quote_token(draft: Draft) -> str:
    """The name of these figures: any change of price, discount, tax or delivery is another token.

    It says nothing of nodes: where a parcel comes from may change without the buyer being asked
    again."""
    per_offer: dict[uuid.UUID, list[int]] = {}
    for line in draft.lines:
        sums = per_offer.setdefault(line.offer_id, [0, 0, 0, 0])
        sums[0] += line.quantity
        sums[1] += line.goods_minor
        sums[2] += line.discount_minor
        sums[3] += line.tax_minor
    figures = (
        draft.market,
        draft.currency,
        sorted((str(offer), *sums) for offer, sums in per_offer.items()),
        draft.delivery,
        draft.delivery_minor,
        draft.total_minor,
    )
    return hashlib.blake2b(msgspec.json.encode(figures), digest_size=9).hexdigest()


def agrees(draft: Draft) -> bool:
    """Are these figures what the buyer saw?"""
    if not draft.expected:
        return True
    return draft.expected in (quote_token(draft), f"{draft.currency} {draft.total_minor}")


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


class PaymentDeclined(Refusal):
    """The provider said no: the order ended, nothing was charged, the stock is free again."""

    status = 402
    en = (
        "The payment was declined ({reason}). Nothing was charged; please choose another "
        "way to pay."
    )
    zh = "支付未成功（{reason}），未扣款。请选择其他支付方式。"


class OrderNotCancellable(Refusal):
    en = (
        "Order {number} can't be cancelled any more: it is {state}. You can return it "
        "once it is there."
    )
    zh = "订单 {number} 当前状态为 {state}，已无法取消。收到商品后可申请退货。"


class NothingToShip(Refusal):
    status = 422
    en = "Line {line} of order {number} has {open} pieces left to send, {asked} asked for."
    zh = "订单 {number} 第 {line} 行还有 {open} 件待发，请求发出 {asked} 件。"


class OrderNotReady(Refusal):
    """Not paid for, cancelled, waiting for its team, or still inside the buyer's undo window."""

    en = "Order {number} can't be sent yet: it is {state}."
    zh = "订单 {number} 目前状态为 {state}，还不能发货。"


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


Facts = dict[str, Any]
