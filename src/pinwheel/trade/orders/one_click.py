"""Nouns and rules of one-click orders: one tap, one order, a short while to undo it.

Orders of one person to one address that follow each other closely travel in one parcel: a later
one that is placed before the first has left pays no second delivery (as one order would not), and
none of them leaves before the youngest can't be undone any more. The first pays, so the person
can't cancel it from under the others."""

from __future__ import annotations

import datetime as dt
import uuid

import msgspec

from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import Event

CHANNEL = "one_click"


class Terms(msgspec.Struct, frozen=True):
    """What the shop allows. ``undo_seconds``: no parcel leaves before; ``session_seconds``: how
    old a sign-in may be; ``join_seconds``: how long a later order may join the parcel."""

    undo_seconds: int = 120
    most_minor: int = 200_000
    per_hour: int = 20
    session_seconds: int = 30 * 86_400
    join_seconds: int = 600


class Switch(msgspec.Struct, frozen=True):
    """Whether a person has switched it on, where, up to how much, and when."""

    is_on: bool
    market: str
    most_minor: int | None
    changed_at: dt.datetime


class Tap(msgspec.Struct, frozen=True, kw_only=True):
    """One tap. ``key`` is the tap's own; ``quote`` the token of the quote it showed, or else the
    total it showed; without either the buyer is asked to confirm."""

    key: str
    offer_id: uuid.UUID
    quantity: int = 1
    quote: str | None = None
    total_minor: int | None = None
    currency: str = ""
    return_url: str = ""
    device: str = ""

    @property
    def expected(self) -> str:
        if self.quote:
            return self.quote
        return f"{self.currency} {self.total_minor}" if self.total_minor is not None else "unseen"


class Tapped(msgspec.Struct, frozen=True, kw_only=True):
    """What a tap has come to. ``action_url``: the bank wants to know more, the stock waits until
    ``waits_until``; ``undo_until``: it can be taken back; ``travels_with``: the order that pays
    the delivery."""

    order_id: uuid.UUID
    number: str
    state: str
    total_minor: int
    currency: str
    action_url: str | None
    waits_until: dt.datetime | None
    undo_until: dt.datetime | None
    travels_with: str | None
    fresh: bool


class OneClickOff(Refusal):
    status = 403
    en = "One-click ordering is off for this account. Switch it on first, or use the cart."
    zh = "此账号未开启一键下单。请先开启，或使用购物车。"


class SignInAgain(Refusal):
    status = 401
    en = "For one-click orders a recent sign-in is needed. Please sign in again."
    zh = "一键下单需要近期登录，请重新登录。"


class TooManyTaps(Refusal):
    status = 429
    en = "There were {most} one-click orders within the hour. Use the cart, or wait a little."
    zh = "一小时内的一键下单已达 {most} 次。请使用购物车或稍后再试。"


class UndoOver(Refusal):
    en = "Order {number} can't be undone any more: the time was over at {until}. Try to cancel it."
    zh = "订单 {number} 已过撤销时限（{until}）。可尝试取消订单。"


class OneClickSwitched(Event, frozen=True, kw_only=True):
    """A person switched one-click ordering on or off; ``wording`` is what they agreed to."""

    subject = "person_id"
    person_id: uuid.UUID
    is_on: bool
    wording: str
