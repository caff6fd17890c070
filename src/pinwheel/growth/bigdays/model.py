"""Nouns of big days: events, slots, deals, places, deposits; what is refused, what is told."""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from pinwheel.ground import ledger
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import Event

QUEUE = "bigday"
PRESALE = "bigday_presale"
DEPOSIT = "bigday_deposit"
TIE_SECONDS = 1
POLICY: dict[str, dict[str, str]] = {
    "until_balance": {
        "en": "You may have the deposit back until the balance is due. After that it counts "
        "towards the price; if the balance isn't paid in time, it is kept and the piece goes to "
        "whoever waits. If we can't sell you the piece, you get it back.",
        "zh-CN": "尾款支付开始前，定金可随时全额退还。之后定金抵扣货款；若未在期限内支付尾款，"
        "定金不予退还，该件商品将转给候补者。如因我方原因无法交易，定金全额退还。",
    },
    "refundable": {
        "en": "You may have the deposit back until the balance is paid. If the balance isn't paid "
        "in time, the deposit is returned and the piece goes to whoever waits.",
        "zh-CN": "支付尾款前，定金可随时全额退还。若未在期限内支付尾款，定金自动退还，"
        "该件商品将转给候补者。",
    },
}
"""What holds for a deposit, as it is published."""
Words = Annotated[str, Meta(min_length=1, max_length=120)]
Why = Annotated[str, Meta(max_length=300)]


class NewEvent(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An event to be saved. Instants with a zone. ``expected_per_hour`` and ``pick_per_hour``
    are orders (0: not stated); ``segment`` is its id; ``holdout_percent`` of people see no deal,
    so that the effect can be measured."""

    name_en: Words
    name_zh: Words
    market: Annotated[str, Meta(min_length=1, max_length=20)]
    preheat_at: Annotated[dt.datetime, Meta(tz=True)]
    starts_at: Annotated[dt.datetime, Meta(tz=True)]
    ends_at: Annotated[dt.datetime, Meta(tz=True)]
    segment: Annotated[str, Meta(max_length=60)] = ""
    expected_per_hour: Annotated[int, Meta(ge=0, le=10**8)] = 0
    pick_per_hour: Annotated[int, Meta(ge=0, le=10**8)] = 0
    budget_ids: Annotated[list[uuid.UUID], Meta(max_length=20)] = []
    queue_on: bool = False
    admit_per_minute: Annotated[int, Meta(ge=1, le=100_000)] = 60
    admit_seconds: Annotated[int, Meta(ge=30, le=7200)] = 600
    holdout_percent: Annotated[int, Meta(ge=0, le=50)] = 0


class NewSlot(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name_en: Words
    name_zh: Words
    starts_at: Annotated[dt.datetime, Meta(tz=True)]
    ends_at: Annotated[dt.datetime, Meta(tz=True)]


class NewDeal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One offer at a price for so many pieces, in one slot. With ``deposit_minor`` a piece may be
    kept ahead by a deposit; the balance is due between ``balance_from`` and ``balance_until``."""

    slot_id: uuid.UUID
    offer_id: uuid.UUID
    price_minor: Annotated[int, Meta(ge=0, le=10**12)]
    pieces: Annotated[int, Meta(ge=1, le=10**6)]
    per_person: Annotated[int, Meta(ge=1, le=1000)] | None = 1
    budget_id: uuid.UUID | None = None
    deposit_minor: Annotated[int, Meta(ge=1, le=10**12)] | None = None
    balance_from: Annotated[dt.datetime, Meta(tz=True)] | None = None
    balance_until: Annotated[dt.datetime, Meta(tz=True)] | None = None
    deposit_policy: Literal["until_balance", "refundable"] = "until_balance"


class BigDay(msgspec.Struct, frozen=True, kw_only=True):
    """An event as it stands. ``head``: the queue's number that was admitted last."""

    id: uuid.UUID
    name: dict[str, str]
    market: str
    currency: str
    segment: str
    state: str
    preheat_at: dt.datetime
    starts_at: dt.datetime
    ends_at: dt.datetime
    expected_per_hour: int
    pick_per_hour: int
    budget_ids: list[uuid.UUID]
    queue_on: bool
    admit_per_minute: int
    admit_seconds: int
    holdout_percent: int
    drawn: int
    head: int

    def phase(self, now: dt.datetime) -> str:
        """draft, stopped, announced, preheat, running or over: by the server's clock alone."""
        if self.state != "active":
            return self.state
        if now >= self.ends_at:
            return "over"
        if now >= self.starts_at:
            return "running"
        return "preheat" if now >= self.preheat_at else "announced"


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    id: uuid.UUID
    event_id: uuid.UUID
    name: dict[str, str]
    starts_at: dt.datetime
    ends_at: dt.datetime


class EventDeal(msgspec.Struct, frozen=True, kw_only=True):
    promotion_id: uuid.UUID
    event_id: uuid.UUID
    slot_id: uuid.UUID
    offer_id: uuid.UUID
    price_minor: int
    pieces: int
    starts_at: dt.datetime
    ends_at: dt.datetime
    deposit_minor: int | None
    balance_from: dt.datetime | None
    balance_until: dt.datetime | None
    deposit_policy: str | None


class QueuePlace(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody's place. ``number`` None: not drawn yet. ``until``: the admission ends then."""

    id: uuid.UUID
    event_id: uuid.UUID
    person_id: uuid.UUID
    number: int | None
    state: str
    until: dt.datetime | None


class Deposit(msgspec.Struct, frozen=True, kw_only=True):
    """``state``: pending (being paid), held, paid (the balance is), unpaid (it never came),
    returned or forfeited."""

    id: uuid.UUID
    event_id: uuid.UUID
    promotion_id: uuid.UUID
    offer_id: uuid.UUID
    person_id: uuid.UUID | None
    market: str
    currency: str
    deposit_minor: int
    price_minor: int
    policy: str
    balance_from: dt.datetime
    balance_until: dt.datetime
    state: str
    why: str
    order_id: uuid.UUID | None
    lent_minor: int


def is_held_out(event_id: uuid.UUID, person_id: uuid.UUID | None, percent: int) -> bool:
    """Is this person of the control group, who see no deal? By hash alone, so that the report
    can say it again; the same sum as in the report's statement."""
    if person_id is None or percent == 0:
        return False
    digest = hashlib.md5(f"{event_id}:{person_id}".encode(), usedforsecurity=False).hexdigest()
    return int(digest[:7], 16) % 100 < percent


# --- accounts


def deposit_account(deposit_id: uuid.UUID, currency: str) -> ledger.Account:
    """What of one deposit is with us: a debt to the buyer."""
    return ledger.Account(f"bigday:deposit:{deposit_id}", ledger.money(currency), "credit", floor=0)


def forfeited_account(currency: str) -> ledger.Account:
    return ledger.Account(f"bigday:forfeited:{currency}", ledger.money(currency), "credit")


def admission_account(place_id: uuid.UUID) -> ledger.Account:
    """An admission is for one order."""
    return ledger.Account(
        f"bigday:admission:{place_id}", ledger.Unit("bigday:admission", "use"), floor=-1
    )


def admissions_account() -> ledger.Account:
    return ledger.Account("bigday:admissions", ledger.Unit("bigday:admission", "use"))


# --- refusals


class EventNotOpen(Refusal):
    en = "This event isn't open now. Its page says when it starts and ends."
    zh = "该活动当前未开放，请查看活动页面的开始与结束时间。"


class EventFixed(Refusal):
    en = "The event is {state}; this can only be changed in a draft. Stop it and make another one."
    zh = "活动状态为 {state}，仅草稿可修改此项。请停止后另建活动。"
    codes = {
        "state": {
            "draft": ("a draft", "草稿"),
            "active": ("announced", "已发布"),
            "stopped": ("stopped", "已停止"),
        }
    }


class NothingToSell(Refusal):
    status = 422
    en = "The event has no deal yet. Add slots and deals first."
    zh = "活动还没有商品，请先添加场次和商品。"


class BeyondCapacity(Refusal):
    en = (
        "{expected} orders an hour are expected and {capacity} can be picked. Lower the pieces, "
        "state more capacity, or give a reason to go on."
    )
    zh = "预计每小时 {expected} 单，拣货能力为 {capacity} 单。请调整，或填写理由后继续。"


class NotForYou(Refusal):
    status = 403
    en = "This event is for members of a group that this account isn't in."
    zh = "该活动仅面向特定会员，当前账号不在其中。"


class NotAdmitted(Refusal):
    en = "This deal has a queue, and it isn't your turn. Take a place: {path}"
    zh = "该商品需排队购买，尚未轮到您。请先排队：{path}"

    def __init__(self, event_id: uuid.UUID) -> None:
        super().__init__(path=f"/days/{event_id}/queue")


class BadTicket(Refusal):
    status = 403
    en = "This queue ticket isn't valid for this account. Take a place of your own."
    zh = "该排队凭证不属于当前账号，请自行排队。"


class NoDeposit(Refusal):
    en = "There is no deposit to be paid for this deal now."
    zh = "该商品当前不能支付定金。"


class DepositExists(Refusal):
    en = "You have paid a deposit for this deal already. It is on your big-day page."
    zh = "您已支付过该商品的定金，请在活动页面查看。"


class AllKept(Refusal):
    en = "All pieces are kept for others. Wait in line: if one comes back, it goes to who waits."
    zh = "全部商品已被预订。可排队候补，如有退回将按顺序分配。"


class DepositFixed(Refusal):
    en = "The balance is due now: the deposit counts towards the price and can't be taken back."
    zh = "尾款支付已开始：定金将抵扣货款，不能退还。"


class BalanceNotNow(Refusal):
    en = "The balance can be paid from {start} until {end} (UTC)."
    zh = "尾款支付时间为 {start} 至 {end}（UTC）。"


class BalanceUnderWay(Refusal):
    en = "The balance of this deposit is being paid by another order. Wait for it to end."
    zh = "该定金的尾款正在由另一订单支付，请稍候。"


class OneForDeposit(Refusal):
    status = 422
    en = "A deposit is for one piece of its deal, ordered by itself."
    zh = "一份定金仅限购买对应商品一件，请单独下单。"


# --- facts


class BigDayAnnounced(Event, frozen=True, kw_only=True):
    """The pre-heat has begun."""

    subject = "event_id"
    event_id: uuid.UUID
    name: dict[str, str]
    starts_at: dt.datetime


class BigDayBegun(Event, frozen=True, kw_only=True):
    subject = "event_id"
    event_id: uuid.UUID
    name: dict[str, str]
    ends_at: dt.datetime


class BigDayOver(Event, frozen=True, kw_only=True):
    """``reason``: over or stopped."""

    subject = "event_id"
    event_id: uuid.UUID
    name: dict[str, str]
    reason: str


class DepositPaid(Event, frozen=True, kw_only=True):
    subject = "deposit_id"
    deposit_id: uuid.UUID
    event_id: uuid.UUID
    person_id: uuid.UUID | None
    deposit_minor: int
    currency: str


class BalanceDue(Event, frozen=True, kw_only=True):
    """The balance may be paid now, until ``until``."""

    subject = "deposit_id"
    deposit_id: uuid.UUID
    event_id: uuid.UUID
    person_id: uuid.UUID | None
    until: dt.datetime


class DepositEnded(Event, frozen=True, kw_only=True):
    """``state``: paid, unpaid, returned or forfeited."""

    subject = "deposit_id"
    deposit_id: uuid.UUID
    event_id: uuid.UUID
    person_id: uuid.UUID | None
    state: str
    why: str


class BalanceAsked(Event, frozen=True, kw_only=True):
    """Orders of this batch that were given their deposits: (order, deposit)."""

    orders: tuple[tuple[uuid.UUID, uuid.UUID], ...]
