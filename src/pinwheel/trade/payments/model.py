"""Nouns of payment: what is asked of a provider, what it says, and the facts that follow."""

from __future__ import annotations

import datetime as dt
import uuid
from functools import lru_cache
from typing import Literal

import msgspec

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Account
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import Event

STORE_CREDIT = "store_credit"
GIFT_CARD = "gift_card"
CASH = "cash"
CREDIT = frozenset({STORE_CREDIT, GIFT_CARD})
"""Tenders that are the shop's own promise: held in the ledger, of use here alone."""
IN_HOUSE = CREDIT | {CASH}
"""Tenders that no outside provider keeps books of."""
State = Literal[
    "processing", "unknown", "needs_action", "failed", "authorised", "voided", "captured"
]
Kind = Literal["capture", "void", "refund"]
Said = Literal[
    "pending",
    "unknown",
    "unheard",
    "needs_action",
    "failed",
    "authorised",
    "captured",
    "voided",
    "capture_failed",
    "void_failed",
    "refunded",
    "refund_failed",
    "disputed",
    "dispute_won",
    "dispute_lost",
]
OPEN = frozenset({"processing", "unknown", "needs_action"})


class NewPayment(msgspec.Struct, frozen=True, kw_only=True):
    """A payment to start. ``method``: the provider's token of a stored method, or a one-off one;
    ``capture``: take the money at once, else only authorise it; ``return_url``: where the buyer
    comes back to after a challenge; ``tender_order``: its place among the order's tenders."""

    id: uuid.UUID
    order_id: uuid.UUID
    person_id: uuid.UUID | None
    amount_minor: int
    currency: str
    provider: str
    method: str
    capture: bool
    return_url: str = ""
    tender_order: int = 0

    def __repr__(self) -> str:  # a token, or what somebody typed instead of one, is never logged
        return f"NewPayment({self.id}, {self.amount_minor} {self.currency}, {self.provider})"


class Payment(msgspec.Struct, kw_only=True):
    """One tender of one order. The amounts are the provider's totals so far and never go down
    (``refunded_minor`` does when a refund bounces); ``state`` follows from them."""

    id: uuid.UUID
    order_id: uuid.UUID
    person_id: uuid.UUID | None
    provider: str
    method: str
    currency: str
    amount_minor: int
    captures_at_once: bool
    tender_order: int
    return_url: str
    state: str
    authorised_minor: int
    captured_minor: int
    refunded_minor: int
    kept_minor: int
    disputed_minor: int
    won_minor: int
    is_voided: bool
    is_secured: bool
    is_unwanted: bool
    reason: str
    action_url: str
    provider_ref: str
    hold_id: uuid.UUID | None
    created_at: dt.datetime

    def __repr__(self) -> str:
        return f"Payment({self.id}, {self.state}, {self.amount_minor} {self.currency})"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One thing a provider says of one payment, by whatever way it came.

    ``authorised_minor`` and ``captured_minor`` are totals so far (0: not said), so that an old
    word can't undo a newer one. ``amount_minor`` is the refund's or the dispute's own amount;
    ``instruction_id`` the capture, void or refund of ours that this answers; ``ref`` the
    provider's name of the refund or dispute; ``provider_ref`` its name of the payment, by which
    it is found when ``payment_id`` is None. ``unheard``: it has no such payment. With
    ``scan_until`` the ``action_url`` is for a phone's camera, and good until then."""

    payment_id: uuid.UUID | None
    state: Said
    authorised_minor: int = 0
    captured_minor: int = 0
    amount_minor: int = 0
    currency: str = ""
    instruction_id: uuid.UUID | None = None
    ref: str = ""
    provider_ref: str = ""
    reason: str = ""
    action_url: str = ""
    scan_until: dt.datetime | None = None


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """A payment that its buyer makes with a phone: ``url`` stands in the code, ``until`` it is
    good. ``return_url``: where the buyer goes on when it is decided."""

    payment_id: uuid.UUID
    order_id: uuid.UUID
    amount_minor: int
    currency: str
    state: str
    reason: str
    return_url: str
    url: str
    until: dt.datetime


class Instruction(msgspec.Struct, kw_only=True):
    """A capture, a void or a refund: written down first, sent after the commit, repeated under
    its own id until the provider has answered. ``is_foreign``: it was made at the provider."""

    id: uuid.UUID
    payment_id: uuid.UUID
    order_id: uuid.UUID
    kind: str
    amount_minor: int
    currency: str
    state: str
    reason: str
    error: str
    provider_ref: str
    is_foreign: bool
    is_posted: bool
    created_at: dt.datetime
    ended_at: dt.datetime | None
    retries: uuid.UUID | None = None  # the failed refund that is asked for again


Refund = Instruction
"""An instruction of kind ``refund``."""


class NewRefund(msgspec.Struct, frozen=True, kw_only=True):
    """``id`` is the caller's: the same id again is the same refund."""

    id: uuid.UUID
    payment_id: uuid.UUID
    amount_minor: int
    reason: str


class Step(msgspec.Struct, frozen=True):
    """An instruction with the payment it is about: what a provider is sent. ``total_minor``: for
    a capture, what is captured once it and those before it are done."""

    instruction: Instruction
    payment: Payment
    total_minor: int = 0


class Dispute(msgspec.Struct, kw_only=True):
    """A chargeback. Its amount leaves the provider's balance when it opens and comes back only
    when it is won."""

    id: uuid.UUID
    payment_id: uuid.UUID
    order_id: uuid.UUID
    provider_ref: str
    amount_minor: int
    currency: str
    state: str
    opened_at: dt.datetime
    closed_at: dt.datetime | None


class Delivery(msgspec.Struct, frozen=True):
    """A webhook as it came in: header names in lower case, the body untouched."""

    headers: dict[str, str]
    body: bytes


class Notice(msgspec.Struct, frozen=True):
    """What a verified webhook says; ``id`` is the same in each copy of it."""

    id: str
    kind: str
    outcome: Outcome | None


class SettlementRow(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a provider's settlement file. ``kind``: capture, refund, dispute, dispute_won,
    fee or payout; ``amount_minor`` counts in the direction of its kind, ``fee_minor`` is what
    the provider kept of it."""

    ref: str
    kind: str
    payment_id: uuid.UUID | None
    amount_minor: int
    fee_minor: int
    currency: str
    at: dt.datetime
    provider_ref: str = ""  # of the payment, where its id is not known


def scan_path(payment_id: uuid.UUID) -> str:
    """The shop's own page with the code of a payment: where its buyer goes and confirms."""
    return f"/pay/{payment_id}"


# Accounts.


@lru_cache(maxsize=512)
def clearing(provider: str, currency: str) -> Account:
    """Money that lies at the provider: taken, not yet paid out."""
    return Account(f"clearing:{provider}:{currency}", ledger.money(currency))


@lru_cache(maxsize=512)
def deposits(currency: str) -> Account:
    """Buyers' money for orders: the hub between payments and orders."""
    return Account(f"deposits:{currency}", ledger.money(currency), "credit")


@lru_cache(maxsize=512)
def provider_fees(provider: str, currency: str) -> Account:
    return Account(f"provider_fees:{provider}:{currency}", ledger.money(currency))


@lru_cache(maxsize=512)
def bank(currency: str) -> Account:
    return Account(f"bank:{currency}", ledger.money(currency))


@lru_cache(maxsize=512)
def chargebacks(currency: str) -> Account:
    """What buyers took back through their bank: an expense until it is won back."""
    return Account(f"chargebacks:{currency}", ledger.money(currency))


def store_credit(person_id: uuid.UUID, currency: str) -> Account:
    """A person's credit at the shop (refunds kept here, gift cards): it can't be overdrawn."""
    return Account(
        f"store_credit:{person_id}:{currency}", ledger.money(currency), "credit", floor=0
    )


def gift_card(card_id: uuid.UUID, currency: str) -> Account:
    """What a gift card is still good for: owed to whoever knows its code."""
    return Account(f"gift_card:{card_id}:{currency}", ledger.money(currency), "credit", floor=0)


def cash_owed(order_id: uuid.UUID, currency: str) -> Account:
    """Cash between a counter and one order: what a clerk took stands here for a moment; what is
    refunded waits here for the buyer. With its floor nothing is captured that is in no till."""
    return Account(f"cash_owed:{order_id}:{currency}", ledger.money(currency), "credit", floor=0)


def tender(payment: Payment) -> Account:
    """Where this payment's money is taken from, and where its refund goes to."""
    if payment.provider == STORE_CREDIT and payment.person_id is not None:
        return store_credit(payment.person_id, payment.currency)
    if payment.provider == GIFT_CARD:
        return gift_card(uuid.UUID(payment.method), payment.currency)
    if payment.provider == CASH:
        return cash_owed(payment.order_id, payment.currency)
    return clearing(payment.provider, payment.currency)


# Facts.


class PaymentSecured(Event, frozen=True, kw_only=True):
    """The whole amount is authorised, or ``captured``: the order may go on. Once per payment."""

    subject = "order_id"
    order_id: uuid.UUID
    payment_id: uuid.UUID
    amount_minor: int
    currency: str
    captured: bool


class PaymentFailed(Event, frozen=True, kw_only=True):
    """No money will come by this payment (a late success after all is told by
    ``PaymentSecured``)."""

    subject = "order_id"
    order_id: uuid.UUID
    payment_id: uuid.UUID
    reason: str


class PaymentNeedsAction(Event, frozen=True, kw_only=True):
    """The buyer must go to ``url`` and confirm."""

    subject = "order_id"
    order_id: uuid.UUID
    payment_id: uuid.UUID
    url: str


class PaymentCaptured(Event, frozen=True, kw_only=True):
    """``amount_minor`` more of an authorised payment was taken."""

    subject = "order_id"
    order_id: uuid.UUID
    payment_id: uuid.UUID
    amount_minor: int
    currency: str


class CaptureFailed(Event, frozen=True, kw_only=True):
    subject = "order_id"
    order_id: uuid.UUID
    payment_id: uuid.UUID
    instruction_id: uuid.UUID
    amount_minor: int
    reason: str


class PaymentVoided(Event, frozen=True, kw_only=True):
    """What was authorised and not captured was given back."""

    subject = "order_id"
    order_id: uuid.UUID
    payment_id: uuid.UUID


class RefundCompleted(Event, frozen=True, kw_only=True):
    subject = "order_id"
    order_id: uuid.UUID
    refund_id: uuid.UUID
    payment_id: uuid.UUID
    amount_minor: int
    currency: str


class RefundFailed(Event, frozen=True, kw_only=True):
    """The provider refused the refund, or it bounced: the money is here again."""

    subject = "order_id"
    order_id: uuid.UUID
    refund_id: uuid.UUID
    payment_id: uuid.UUID
    amount_minor: int
    currency: str
    reason: str


class PaymentDisputed(Event, frozen=True, kw_only=True):
    """A chargeback was opened: the amount has left the provider's balance."""

    subject = "order_id"
    order_id: uuid.UUID
    payment_id: uuid.UUID
    dispute_id: uuid.UUID
    amount_minor: int
    currency: str


class DisputeClosed(Event, frozen=True, kw_only=True):
    subject = "order_id"
    order_id: uuid.UUID
    payment_id: uuid.UUID
    dispute_id: uuid.UUID
    amount_minor: int
    currency: str
    won: bool


class InstructionGiven(Event, frozen=True, kw_only=True):
    """A capture, void or refund was written down and waits to be sent."""

    subject = "order_id"
    order_id: uuid.UUID
    payment_id: uuid.UUID
    instruction_id: uuid.UUID


class PaymentsOverdue(Event, frozen=True, kw_only=True):
    """Payments without an answer for too long: the provider is asked."""

    payment_ids: tuple[uuid.UUID, ...]


class SettlementDue(Event, frozen=True, kw_only=True):
    """A provider's day is over: its file is compared with our books."""

    provider: str
    day: dt.date


class NoticesDue(Event, frozen=True, kw_only=True):
    """The sandbox has webhooks to deliver."""


# Refusals.


class CardNumberRefused(Refusal):
    status = 422
    en = (
        "A card number was sent in {where}. Nothing of it was kept; send the provider's "
        "token instead."
    )
    zh = "{where} 中包含银行卡号，系统未保存。请改为提交支付机构返回的令牌。"


class ProviderUnknown(Refusal):
    status = 422
    en = "There is no payment provider {provider} here. Choose one of: {known}."
    zh = "没有名为 {provider} 的支付渠道，可选：{known}。"


class PaymentIdReused(Refusal):
    status = 422
    en = "The payment id {payment_id} was used before for another payment. Use a new id."
    zh = "支付编号 {payment_id} 已用于另一笔支付，请使用新的编号。"


class StoreCreditTooLow(Refusal):
    en = (
        "The store credit has {left} left, {asked} asked for (in {currency} minor units). "
        "Pay the rest by another method."
    )
    zh = "储值余额为 {left}，需支付 {asked}（{currency} 最小单位）。请用其他方式支付差额。"


class CaptureTooLarge(Refusal):
    en = (
        "Only {left} of this payment can still be captured, {asked} asked for "
        "(in {currency} minor units)."
    )
    zh = "该笔支付最多还可请款 {left}，请求为 {asked}（{currency} 最小单位）。"


class RefundTooLarge(Refusal):
    en = (
        "Only {left} can still be refunded, {asked} asked for (in {currency} minor units). "
        "Refund less."
    )
    zh = "最多还可退款 {left}，请求为 {asked}（{currency} 最小单位），请减少退款金额。"


class WebhookRefused(Refusal):
    """Not signed by the provider, too old, or changed on its way. Nothing was changed here."""

    status = 401
    en = "This notice is not signed by the provider, or is too old. Nothing was changed."
    zh = "该通知未通过支付机构签名校验或已过期，未做任何更改。"
