"""Olist as a plan: orders of many sellers, with their payments, parcels and reviews at their own
times. Pure."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Literal

import msgspec

from pinwheel.replay.model import Entry, Listed, timed_id, to_minor
from pinwheel.trade import pricing

SOURCE = "olist"
INTEREST = "INSTALMENT_INTEREST"
SENT = frozenset({"shipped", "delivered"})
CANCELLED = frozenset({"canceled", "unavailable"})
Step = Literal["place", "cancel", "ship", "deliver", "review"]
RANK: dict[Step, int] = {"place": 0, "cancel": 1, "ship": 2, "deliver": 3, "review": 4}


class Item(msgspec.Struct):
    """One line: the same product of the same seller at the same price is one."""

    product: str
    seller: str
    price_minor: int
    quantity: int = 0
    discount_minor: int = 0


class Sale(msgspec.Struct, kw_only=True):
    """One order as it will be played. ``interest_minor``: what the buyer paid beyond the order's
    total; it is no money of the shop's orders and is booked beside them."""

    id: uuid.UUID
    number: int
    reference: str
    person: str
    state: str
    status: str
    at: dt.datetime
    approved_at: dt.datetime | None
    sent_at: dt.datetime | None
    delivered_at: dt.datetime | None
    promised_at: dt.datetime | None
    items: list[Item]
    freight_minor: int
    tenders: list[int]
    interest_minor: int = 0
    paid_minor: int = 0

    @property
    def goods_minor(self) -> int:
        return sum(i.price_minor * i.quantity for i in self.items)

    @property
    def discount_minor(self) -> int:
        return sum(i.discount_minor for i in self.items)

    @property
    def is_sent(self) -> bool:
        return self.status in SENT

    def entries(self) -> list[Entry]:
        """What is booked when the parcel leaves."""
        order = Entry(
            document_id=self.id,
            key="order",
            kind="order",
            reference=self.reference,
            lines=len(self.items),
            units=sum(i.quantity for i in self.items),
            revenue_minor=self.goods_minor - self.discount_minor + self.freight_minor,
        )
        if not self.interest_minor:
            return [order]
        interest = Entry(
            document_id=uuid.uuid5(self.id, "interest"),
            key="interest",
            kind="adjustment",
            reference=self.reference,
            lines=0,
            units=0,
            revenue_minor=self.interest_minor,
        )
        return [order, interest]


class Review(msgspec.Struct, frozen=True):
    reference: str
    person: str
    product: str
    score: int
    title: str
    body: str
    at: dt.datetime


class Happening(msgspec.Struct, frozen=True):
    at: dt.datetime
    step: Step
    sale: Sale
    review: Review | None = None


class Plan(msgspec.Struct):
    sales: list[Sale]
    happenings: list[Happening]
    listed: list[Listed]
    equal: int  # orders whose payment is price + freight to the cent
    orders: int


class Rows(msgspec.Struct, frozen=True):
    """The tables that are played, as they stand in the files."""

    orders: list[dict[str, str]]
    items: list[dict[str, str]]
    payments: list[dict[str, str]]
    customers: list[dict[str, str]]
    reviews: list[dict[str, str]]


def plan(rows: Rows, run: uuid.UUID) -> Plan:
    """What becomes of every order."""
    customers = {c["customer_id"]: c for c in rows.customers}
    items = _grouped(rows.items)
    paid = _grouped(rows.payments)
    made = Plan([], [], [], 0, len(rows.orders))
    by_reference: dict[str, Sale] = {}
    for number, row in enumerate(rows.orders, 1):
        reference = row["order_id"]
        mine = items.get(reference, [])
        tenders = sorted(paid.get(reference, []), key=lambda p: int(p["payment_sequential"]))
        sale = _sale(run, number, row, customers.get(row["customer_id"], {}), mine, tenders)
        if not mine:
            made.listed.append(listed(sale, f"no_items:{sale.status}", "nothing", sale.paid_minor))
            continue
        remainder = sale.paid_minor - sale.goods_minor - sale.freight_minor
        made.equal += remainder == 0
        if remainder:
            reason = "paid_above_total" if remainder > 0 else "paid_below_total"
            made.listed.append(listed(sale, reason, "adjustment", remainder))
        if remainder < 0 and -remainder > sale.goods_minor:
            made.listed.append(listed(sale, "not_paid", "nothing", remainder))
            continue
        _settle(sale, remainder)
        by_reference[reference] = sale
        made.sales.append(sale)
        made.happenings += _life(sale)
    made.happenings += _reviews(rows.reviews, by_reference)
    made.happenings.sort(key=lambda h: (h.at, RANK[h.step], h.sale.number))
    return made


def _grouped(rows: Iterable[dict[str, str]]) -> dict[str, list[dict[str, str]]]:
    found: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        found.setdefault(row["order_id"], []).append(row)
    return found


def _sale(
    run: uuid.UUID,
    number: int,
    row: Mapping[str, str],
    customer: Mapping[str, str],
    items: Sequence[Mapping[str, str]],
    tenders: Sequence[Mapping[str, str]],
) -> Sale:
    merged: dict[tuple[str, str, int], Item] = {}
    for one in items:
        key = (one["product_id"], one["seller_id"], to_minor(Decimal(one["price"])))
        merged.setdefault(key, Item(*key)).quantity += 1
    amounts = [to_minor(Decimal(t["payment_value"])) for t in tenders]
    at = instant(row["order_purchase_timestamp"])
    assert at is not None
    return Sale(
        id=timed_id(at, run, "order", row["order_id"]),
        number=number,
        reference=row["order_id"],
        person=customer.get("customer_unique_id", row["customer_id"]),
        state=customer.get("customer_state", ""),
        status=row["order_status"],
        at=at,
        approved_at=instant(row["order_approved_at"]),
        sent_at=instant(row["order_delivered_carrier_date"]),
        delivered_at=instant(row["order_delivered_customer_date"]),
        promised_at=instant(row["order_estimated_delivery_date"]),
        items=list(merged.values()),
        freight_minor=sum(to_minor(Decimal(one["freight_value"])) for one in items),
        tenders=[a for a in amounts if a],
        paid_minor=sum(amounts),
    )


def instant(text: str) -> dt.datetime | None:
    """A time of the files, taken as UTC: they name no zone."""
    if not text:
        return None
    found = dt.datetime.fromisoformat(text)
    return found.replace(tzinfo=found.tzinfo or dt.UTC)


def _settle(sale: Sale, remainder: int) -> None:
    """Make the tenders the order's total: what is above it is interest, taken from the largest
    tenders first; what is below it is a discount, shared by the goods' worth."""
    if remainder > 0:
        sale.interest_minor = left = remainder
        for position in sorted(range(len(sale.tenders)), key=lambda i: -sale.tenders[i]):
            part = min(left, sale.tenders[position])
            sale.tenders[position] -= part
            left -= part
        sale.tenders = [t for t in sale.tenders if t]
    elif remainder < 0:
        weights = [i.price_minor * i.quantity for i in sale.items]
        for item, part in zip(sale.items, pricing.allocate(-remainder, weights), strict=True):
            item.discount_minor = part


def _life(sale: Sale) -> list[Happening]:
    """When it was placed, ended or sent, and arrived. A time before the step that it follows is
    moved to it; a delivery without a time is taken as on the promised day."""
    happenings = [Happening(sale.at, "place", sale)]
    if sale.status in CANCELLED:
        happenings.append(Happening(max(sale.at, sale.approved_at or sale.at), "cancel", sale))
    if sale.is_sent:
        sent = max(sale.at, sale.sent_at or sale.approved_at or sale.at)
        happenings.append(Happening(sent, "ship", sale))
        if sale.status == "delivered":
            there = sale.delivered_at or sale.promised_at or sent
            happenings.append(Happening(max(sent, there), "deliver", sale))
    return happenings


def _reviews(rows: Sequence[Mapping[str, str]], sales: Mapping[str, Sale]) -> list[Happening]:
    """Of the order's first item: the files say no more. What was written before the parcel came is
    shown once it has."""
    found = []
    for row in rows:
        sale = sales.get(row["order_id"])
        at = instant(row["review_creation_date"])
        if sale is None or at is None:
            continue
        review = Review(
            row["review_id"],
            sale.person,
            sale.items[0].product,
            int(row["review_score"]),
            row["review_comment_title"],
            row["review_comment_message"],
            max(at, _life(sale)[-1].at),
        )
        found.append(Happening(review.at, "review", sale, review))
    return found


def listed(sale: Sale, reason: str, booked: str, minor: int) -> Listed:
    return Listed(
        number=sale.number,
        reference=sale.reference,
        code=sale.status,
        description="",
        quantity=sum(i.quantity for i in sale.items),
        amount=Decimal(minor).scaleb(-2),
        reason=reason,
        booked=booked,
    )


def batches(happenings: Sequence[Happening], *, minutes: int, most: int) -> list[list[Happening]]:
    """What happened in one stretch of the clock, at most ``most`` together."""
    found: list[list[Happening]] = []
    span: int | None = None
    for one in happenings:
        stretch = int(one.at.timestamp()) // (60 * minutes)
        if stretch != span or len(found[-1]) >= most:
            found.append([])
            span = stretch
        found[-1].append(one)
    return found
