"""Nouns of returns: what is asked, received, graded and settled; what refuses; what is told."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Account
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import Event
from pinwheel.trade import inventory
from pinwheel.trade.returns.ways import Kind, Slot

Why = Literal["unwanted", "damaged", "wrong", "late", "other"]
Grade = Literal["A", "B", "C", "D"]
FAULTS = frozenset({"damaged", "wrong", "late"})


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """What a market (or a category in it) allows. ``window_days``: for no reason; ``fault_days``:
    for what is broken or wrong; ``freight_minor``: the buyer's part of the way back when nothing
    was wrong; ``instant_minor``: the most that is refunded before the goods are here."""

    window_days: int = 30
    fault_days: int = 365
    approves_itself: bool = True
    refunds_delivery: bool = True
    freight_minor: int = 0
    instant_minor: int = 10_000
    send_days: int = 14
    grade_days: int = 3
    resale_basis_points: int = 8_000


class CategoryPolicy(Policy, frozen=True, kw_only=True):
    """A policy as it is stored."""

    market: str
    category_id: uuid.UUID


class Reason(msgspec.Struct, frozen=True):
    """One reason of a score or a decision."""

    en: str
    zh: str
    points: int = 0


class History(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a person: pieces bought and returned within a year, orders, refunds in
    advance that are owed, and pieces that came back worthless."""

    person_id: uuid.UUID | None = None
    orders: int = 0
    bought: int = 0
    returned: int = 0
    owed: int = 0
    worthless: int = 0


class NewReturn(msgspec.Struct, frozen=True, kw_only=True):
    """``lines``: (line of the order, pieces). ``person_id`` None: a clerk asks, for anybody.
    ``is_exchange``: no money back in advance, another piece comes instead. ``way`` None: the
    number alone, written on the parcel, at the policy's freight; ``slot``: of a pick-up."""

    order_id: uuid.UUID
    lines: Sequence[tuple[int, int]]
    reason: Why
    note: str = ""
    person_id: uuid.UUID | None = None
    is_exchange: bool = False
    way: Kind | None = None
    slot: Slot | None = None


class Return(msgspec.Struct, frozen=True, kw_only=True):
    """A return (RMA) as it stands; money in minor units of ``currency``.

    When it is refunded: carried = refund + advance − owed + freight + withheld."""

    id: uuid.UUID
    number: str
    order_id: uuid.UUID
    person_id: uuid.UUID | None
    state: str
    reason: str
    note: str
    market: str
    currency: str
    policy: Policy
    score: int
    reasons: list[Reason]
    answer: str
    node: str | None
    advance_minor: int
    carried_minor: int
    delivery_minor: int
    freight_minor: int
    withheld_minor: int
    refund_minor: int
    owed_minor: int
    requested_at: dt.datetime
    send_by: dt.datetime | None
    received_at: dt.datetime | None
    grade_by: dt.datetime | None
    closed_at: dt.datetime | None


class ReturnLine(msgspec.Struct, frozen=True, kw_only=True):
    """``net_minor`` and ``tax_minor``: what the received pieces were paid with, once graded."""

    return_id: uuid.UUID
    line: int
    order_id: uuid.UUID
    seller_id: uuid.UUID
    variant_id: uuid.UUID
    sku: str
    title: dict[str, str]
    quantity: int
    received: int
    net_minor: int
    tax_minor: int


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """A parcel with returned goods at a node. ``lines`` None: all that was announced."""

    return_id: uuid.UUID
    node: str
    lines: Sequence[tuple[int, int]] | None = None


class Graded(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """So many pieces of one line in one state. A: as new · B: opened or used · C: damaged · D:
    worthless. ``checklist``: what was looked at."""

    line: int
    grade: Grade
    quantity: Annotated[int, msgspec.Meta(ge=1, le=100_000)]
    checklist: dict[str, bool] = {}


class Grading(msgspec.Struct, frozen=True, kw_only=True):
    """What the inspection of one return found. ``withhold_minor``: what is not refunded, and why
    (the buyer's bank gave it back already, the goods lost value in the buyer's hands)."""

    return_id: uuid.UUID
    lines: Sequence[Graded]
    withhold_minor: int = 0
    why: str = ""


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What a graded return comes to: ``carried`` splits into the other five."""

    carried_minor: int
    delivery_minor: int
    freight_minor: int
    withheld_minor: int
    covered_minor: int  # of the refund that was given in advance
    owed_minor: int  # of it, what turned out not to be deserved
    refund_minor: int


class Offered(msgspec.Struct, frozen=True):
    """Pieces of a variant that go on sale by the outlet."""

    variant_id: uuid.UUID
    currency: str
    unit_price_minor: int
    basis_points: int


# --- accounts


def advances(currency: str) -> Account:
    """Refunded before the goods were here."""
    return Account(f"return_advances:{currency}", ledger.money(currency))


def receivable(currency: str) -> Account:
    """Refunded in advance for goods that never came: owed by whoever has it."""
    return Account(f"return_receivable:{currency}", ledger.money(currency))


def freight_income(currency: str) -> Account:
    """What buyers bear of the way back."""
    return Account(f"return_freight:{currency}", ledger.money(currency), "credit")


def withheld(currency: str) -> Account:
    """Not refunded, for a reason that was said."""
    return Account(f"return_withheld:{currency}", ledger.money(currency), "credit")


def inspection(place: inventory.Place) -> Account:
    """Came back and waits to be graded."""
    return Account(
        f"stock:{place.variant_id}:{place.seller_id}:{place.node}:inspection",
        ledger.pieces(place.variant_id),
        "debit",
        floor=0,
    )


# --- refusals


class WindowOver(Refusal):
    en = (
        "Order {number} could be returned until {until}. Write to us if something is wrong with it."
    )
    zh = "订单 {number} 的退货期限至 {until}。如商品有问题，请联系我们。"


class NotSent(Refusal):
    status = 422
    en = "Line {line} of order {number} has {left} pieces to return, {asked} asked for."
    zh = "订单 {number} 第 {line} 行可退 {left} 件，请求退回 {asked} 件。"


class ReturnIs(Refusal):
    """The return is not in a state that allows it."""

    en = "Return {number} is {state}: this is not possible any more, or not yet."
    zh = "退货单 {number} 当前状态为 {state}，无法执行此操作。"
    codes = {
        "state": {
            "requested": ("waiting for approval", "待审核"),
            "approved": ("approved", "已批准"),
            "received": ("received", "已收到"),
            "refunded": ("refunded", "已退款"),
            "rejected": ("refused", "已拒绝"),
            "cancelled": ("called off", "已取消"),
            "expired": ("over, because nothing was sent", "已过期"),
        }
    }


class NotAnnounced(Refusal):
    status = 422
    en = "Return {number} has {left} pieces of line {line} announced, {asked} given."
    zh = "退货单 {number} 第 {line} 行登记 {left} 件，提交为 {asked} 件。"


class GradesDontFit(Refusal):
    status = 422
    en = "Of line {line} of return {number} {received} pieces were received, {graded} graded."
    zh = "退货单 {number} 第 {line} 行收到 {received} 件，评级为 {graded} 件。"


class WithholdTooMuch(Refusal):
    status = 422
    en = "Return {number} comes to {most}; {asked} can't be withheld (in {currency} minor units)."
    zh = "退货单 {number} 可退 {most}，不能扣留 {asked}（{currency} 最小单位）。"


# --- events


class ReturnRequested(Event, frozen=True, kw_only=True):
    subject = "return_id"
    return_id: uuid.UUID
    number: str
    order_id: uuid.UUID
    person_id: uuid.UUID | None
    reason: str


class ReturnApproved(Event, frozen=True, kw_only=True):
    """The buyer may send it; the number is the drop-off code."""

    subject = "return_id"
    return_id: uuid.UUID
    number: str
    order_id: uuid.UUID
    person_id: uuid.UUID | None
    advance_minor: int


class ReturnClosed(Event, frozen=True, kw_only=True):
    """Ended without goods: ``state`` rejected, cancelled or expired. ``owed_minor`` was refunded
    in advance and is owed now."""

    subject = "return_id"
    return_id: uuid.UUID
    number: str
    order_id: uuid.UUID
    person_id: uuid.UUID | None
    state: str
    owed_minor: int


class ReturnReceived(Event, frozen=True, kw_only=True):
    subject = "return_id"
    return_id: uuid.UUID
    number: str
    order_id: uuid.UUID
    person_id: uuid.UUID | None
    node: str


class ReturnRefunded(Event, frozen=True, kw_only=True):
    """Graded and settled. ``lines``: (line, seller, pieces, net_minor, tax_minor): what sellers
    are charged back follows from it."""

    subject = "return_id"
    return_id: uuid.UUID
    number: str
    order_id: uuid.UUID
    person_id: uuid.UUID | None
    refund_minor: int
    owed_minor: int
    currency: str
    lines: list[tuple[int, uuid.UUID, int, int, int]]


class ReturnOverdue(Event, frozen=True, kw_only=True):
    """Received and not graded within its days: a person must look."""

    subject = "return_id"
    return_id: uuid.UUID
    number: str


class ExchangeAsked(Event, frozen=True, kw_only=True):
    """The replacement is held. ``state``: unpaid, waiting (for the old piece) or released."""

    subject = "return_id"
    return_id: uuid.UUID
    number: str
    order_id: uuid.UUID
    person_id: uuid.UUID | None
    variant_id: uuid.UUID
    quantity: int


class ExchangeReleased(Event, frozen=True, kw_only=True):
    """The replacement is a line of the order and may be sent."""

    subject = "return_id"
    return_id: uuid.UUID
    number: str
    order_id: uuid.UUID
    person_id: uuid.UUID | None
    new_line: int
    back_minor: int


class ExchangeEnded(Event, frozen=True, kw_only=True):
    """No replacement is sent. ``why``: unpaid, cancelled, expired, rejected, ran_out or disputed;
    ``back_minor``: what had been paid for it goes back."""

    subject = "return_id"
    return_id: uuid.UUID
    number: str
    order_id: uuid.UUID
    person_id: uuid.UUID | None
    why: str
    back_minor: int


class LabelWanted(Event, frozen=True, kw_only=True):
    """A carrier is to be asked for the label of an approved return."""

    subject = "return_id"
    return_id: uuid.UUID


class ReturnHandedIn(Event, frozen=True, kw_only=True):
    """The parcel was given to a counter or a courier at ``where``."""

    subject = "return_id"
    return_id: uuid.UUID
    number: str
    order_id: uuid.UUID
    person_id: uuid.UUID | None
    where: str


class TrialCharged(Event, frozen=True, kw_only=True):
    """The days of trying are over: ``kept_minor`` is taken; ``owed_minor`` could not be."""

    subject = "order_id"
    order_id: uuid.UUID
    person_id: uuid.UUID
    kept_minor: int
    owed_minor: int
