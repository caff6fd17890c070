"""Nouns and rules of cash at a counter: what waits for it, tills, receipts and counts. Pure."""

from __future__ import annotations

import datetime as dt
import uuid
from functools import lru_cache

import msgspec

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Account
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import Event

DIGITS = 12


def pay_code(number: int) -> str:
    """Eleven digits and Luhn's check digit (ISO/IEC 7812-1, annex B)."""
    body = f"{number:011d}"
    total = 0
    for position, digit in enumerate(reversed(body)):
        value = int(digit) * (2 - position % 2)
        total += value // 10 + value % 10
    return f"{body}{-total % 10}"


def shown_code(code: str) -> str:
    return " ".join(code[n : n + 4] for n in range(0, DIGITS, 4))


def read_pay_code(typed: str) -> str | None:
    """The twelve digits of a code as somebody typed it; None when it can't be one."""
    digits = "".join(str(int(c)) for c in typed if c.isdecimal())
    if len(digits) != DIGITS or pay_code(int(digits[:-1])) != digits:
        return None
    return digits


class CashDue(msgspec.Struct, frozen=True, kw_only=True):
    """An order's cash: ``code`` names it at the counter until ``due_at``."""

    payment_id: uuid.UUID
    order_id: uuid.UUID
    person_id: uuid.UUID | None
    code: str
    due_at: dt.datetime
    ended_at: dt.datetime | None
    amount_minor: int
    captured_minor: int
    currency: str
    state: str
    is_unwanted: bool
    owed_minor: int = 0  # waits at the counter for the buyer


class Till(msgspec.Struct, frozen=True, kw_only=True):
    """``hours``: how long orders wait for cash where this till stands; ``inside_minor``: what
    should be in it."""

    id: uuid.UUID
    name: str
    currency: str
    hours: int
    is_open: bool
    last_receipt: int
    opened_at: dt.datetime
    inside_minor: int = 0


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    till_id: uuid.UUID
    number: int
    kind: str
    payment_id: uuid.UUID
    order_id: uuid.UUID
    amount_minor: int
    currency: str
    made_at: dt.datetime
    made_by: str
    key: uuid.UUID


class TillCount(msgspec.Struct, frozen=True, kw_only=True):
    """What should have been in the till, what was counted, what of it went to the bank."""

    id: uuid.UUID
    till_id: uuid.UUID
    expected_minor: int
    counted_minor: int
    banked_minor: int
    reason: str
    made_at: dt.datetime
    made_by: str


def till(till_id: uuid.UUID, currency: str) -> Account:
    """The cash in a till: it can't hand out what is not in it."""
    return Account(f"till:{till_id}:{currency}", ledger.money(currency), floor=0)


@lru_cache(maxsize=64)
def till_difference(currency: str) -> Account:
    """What counts found missing (an expense) or too much."""
    return Account(f"till_difference:{currency}", ledger.money(currency))


class CashTaken(Event, frozen=True, kw_only=True):
    """A clerk took the cash of an order; told after what it secured."""

    subject = "order_id"
    order_id: uuid.UUID
    payment_id: uuid.UUID
    till_id: uuid.UUID
    amount_minor: int
    currency: str


class CashPaidOut(Event, frozen=True, kw_only=True):
    subject = "order_id"
    order_id: uuid.UUID
    payment_id: uuid.UUID
    till_id: uuid.UUID
    amount_minor: int
    currency: str


class TillCounted(Event, frozen=True, kw_only=True):
    subject = "till_id"
    till_id: uuid.UUID
    expected_minor: int
    counted_minor: int
    banked_minor: int
    currency: str
    reason: str


class CashNotHere(Refusal):
    status = 422
    en = "No counter takes cash in {currency} at the moment. Choose another way to pay."
    zh = "目前没有门店柜台收取 {currency} 现金，请选择其他支付方式。"


class CashCodeUnknown(Refusal):
    status = 422
    en = (
        "No order waits for cash under this code. Compare it with the buyer's page, digit by digit."
    )
    zh = "没有等待以该付款码付现金的订单，请与顾客页面逐位核对。"


class CashAmountDiffers(Refusal):
    status = 422
    en = "This order costs {due}, not {given} (in {currency} minor units). Take exactly {due}."
    zh = "该订单应付 {due}，而非 {given}（{currency} 最小单位）。请收取 {due}。"


class CashAlreadyTaken(Refusal):
    en = "This order was paid before: receipt {receipt}. Do not take the money again."
    zh = "该订单已付款：收据 {receipt}。请勿重复收款。"


class CashOrderEnded(Refusal):
    """Called off, or its time is over and the goods are gone. Nothing was booked."""

    en = "This order has ended ({why}). Do not take the money; the buyer can order again."
    zh = "该订单已结束（{why}），请勿收款。顾客可重新下单。"
    codes = {
        "why": {
            "unpaid": ("it was not paid in time", "逾期未付款"),
            "called off": ("it was called off", "已取消"),
        }
    }


class TillClosed(Refusal):
    en = "The till {name} is closed. Choose an open one."
    zh = "收银台 {name} 已关闭，请选择其他收银台。"


class TillOtherCurrency(Refusal):
    status = 422
    en = "The till {name} is in {currency}, this order is in {asked}. Use a till in {asked}."
    zh = "收银台 {name} 的币种为 {currency}，该订单为 {asked}，请使用 {asked} 收银台。"


class NothingOwed(Refusal):
    en = "Only {left} waits for this buyer, {asked} asked for (in {currency} minor units)."
    zh = "该顾客待退现金为 {left}，请求为 {asked}（{currency} 最小单位）。"


class TillTooLow(Refusal):
    en = "The till {name} has only {left}, {asked} asked for. Fetch change or use another till."
    zh = "收银台 {name} 仅有 {left}，请求为 {asked}。请备足现金或使用其他收银台。"


class TillMoved(Refusal):
    en = (
        "The till moved while you counted: it should hold {expected} now, not {seen} "
        "(minor units). Please count again."
    )
    zh = "清点期间收银台有变动：现在应有 {expected}，而非 {seen}（最小单位），请重新清点。"
