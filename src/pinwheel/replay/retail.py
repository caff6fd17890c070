"""Online Retail as a plan: which line becomes what. Pure: the same file gives the same plan, so a
replay that was killed needs no memory but how far it got.

Every line ends in the plan once: as part of an order, of a return, of a stock correction, or of an
adjustment. A line is *goods* when the catalogue has its code; what the importer left out (postage,
fees, discounts, manual entries) is an adjustment under its own code."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator, Sequence, Set
from decimal import Decimal

import msgspec

from pinwheel.replay.model import Entry, Listed, country_of, person_id, timed_id, to_minor

SOURCE = "online-retail"
MOST_LINES = 200
"""An order holds no more different items: a longer invoice is several orders."""


class Line(msgspec.Struct, frozen=True):
    """One line of the file; ``number`` counts from 1."""

    number: int
    invoice: str
    code: str
    description: str
    quantity: int
    at: dt.datetime
    price: Decimal
    customer: str
    country: str

    @property
    def amount(self) -> Decimal:
        return self.quantity * self.price


class Asked(msgspec.Struct):
    """One line of an order: the same code at the same price is one, however often it stands
    there."""

    code: str
    unit_minor: int
    quantity: int = 0
    lines: int = 0


class Sale(msgspec.Struct, kw_only=True):
    """An invoice, or a part of a long one, as an order."""

    id: uuid.UUID
    reference: str
    person_id: uuid.UUID | None
    country: str
    asked: list[Asked]
    sources: list[Line]

    def entry(self) -> Entry:
        return Entry(
            document_id=self.id,
            key="order",
            kind="order",
            reference=self.reference,
            lines=len(self.sources),
            units=sum(a.quantity for a in self.asked),
            revenue_minor=sum(a.quantity * a.unit_minor for a in self.asked),
        )


class Part(msgspec.Struct, frozen=True):
    """So many pieces of a line of an earlier order, and the money that goes back for them."""

    line: int
    code: str
    quantity: int
    refund_minor: int


class Return(msgspec.Struct, kw_only=True):
    """What one credit note takes back of one order."""

    order_id: uuid.UUID
    reference: str
    at: dt.datetime
    parts: list[Part]
    lines: int = 0

    def entry(self) -> Entry:
        return Entry(
            document_id=self.order_id,
            key=f"return:{self.reference}",
            kind="return",
            reference=self.reference,
            lines=self.lines,
            units=-sum(p.quantity for p in self.parts),
            revenue_minor=-sum(p.refund_minor for p in self.parts),
        )


class Booking(msgspec.Struct, frozen=True):
    """A line, or a part of one, that is booked without an order. ``what``: adjustment (by
    ``code``'s own account), return (pieces come back, ``code`` is goods) or count."""

    what: str
    code: str
    quantity: int
    amount_minor: int
    line: Line
    reason: str


class Document(msgspec.Struct, kw_only=True):
    """One invoice of the file."""

    invoice: str
    at: dt.datetime
    sales: list[Sale] = []
    returns: list[Return] = []
    bookings: list[Booking] = []
    listed: list[Listed] = []


class Bought(msgspec.Struct):
    """What a customer still has of one order line."""

    order_id: uuid.UUID
    line: int
    unit_minor: int
    left: int


class Plan(msgspec.Struct):
    """Documents in the order of time. ``rounding``: what whole minor units leave of the exact
    sum."""

    documents: list[Document]
    rounding: Decimal
    needed: dict[str, int]  # pieces of each code that will leave


def invoices(lines: Sequence[Line]) -> Iterator[list[Line]]:
    """The lines of each invoice, in the order in which invoices begin."""
    found: dict[str, list[Line]] = {}
    for line in lines:
        found.setdefault(line.invoice, []).append(line)
    yield from sorted(found.values(), key=lambda of: (of[0].at, of[0].number))


def plan(lines: Sequence[Line], goods: Set[str], run: uuid.UUID) -> Plan:
    """What becomes of every line. ``goods``: the codes that the catalogue has; ``run``:
    the replay that the ids belong to."""
    made = Plan([], Decimal(0), {})
    memory: dict[tuple[str, str], list[Bought]] = {}
    for of in invoices(lines):
        document = Document(invoice=of[0].invoice, at=of[0].at)
        is_sale = bool(of[0].customer) or any(
            li.price > 0 and li.quantity > 0 and li.code in goods for li in of
        )
        sold: list[Line] = []
        for line in of:
            if line.code not in goods or line.price < 0 or line.quantity == 0:
                _adjust(document, line, "not_goods" if line.code not in goods else "no_sale")
            elif line.quantity > 0 and (line.price > 0 or is_sale):
                sold.append(line)
            elif line.price > 0:
                _take_back(document, line, memory)
            else:
                _count(document, line)
        _sell(document, sold, memory, run)
        made.documents.append(document)
        _sum_up(made, document, of)
    return made


def _sum_up(made: Plan, document: Document, of: Sequence[Line]) -> None:
    booked = sum(b.amount_minor for b in document.bookings)
    booked += sum(s.entry().revenue_minor for s in document.sales)
    booked += sum(r.entry().revenue_minor for r in document.returns)
    exact = sum((line.amount for line in of), Decimal(0))
    made.rounding += exact.scaleb(2) - booked
    out = [(a.code, a.quantity) for s in document.sales for a in s.asked]
    out += [(b.code, -b.quantity) for b in document.bookings if b.what == "count"]
    for code, quantity in out:
        made.needed[code] = made.needed.get(code, 0) + max(0, quantity)


def _sell(
    document: Document,
    sold: Sequence[Line],
    memory: dict[tuple[str, str], list[Bought]],
    run: uuid.UUID,
) -> None:
    """Orders of at most ``MOST_LINES`` different codes; two prices of one code are two lines."""
    parts: list[dict[tuple[str, int], Asked]] = []
    codes: list[set[str]] = []
    sources: list[list[Line]] = []
    where: dict[str, int] = {}
    for line in sold:
        part = where.get(line.code)
        if part is None:
            if not parts or len(codes[-1]) == MOST_LINES:
                parts.append({})
                codes.append(set())
                sources.append([])
            part = where[line.code] = len(parts) - 1
            codes[part].add(line.code)
        unit = to_minor(line.price)
        asked = parts[part].setdefault((line.code, unit), Asked(line.code, unit))
        asked.quantity += line.quantity
        asked.lines += 1
        sources[part].append(line)
    for number, (asked_lines, from_lines) in enumerate(zip(parts, sources, strict=True), 1):
        first = from_lines[0]
        reference = document.invoice if len(parts) == 1 else f"{document.invoice}/{number}"
        sale = Sale(
            id=timed_id(document.at, run, "order", reference),
            reference=reference,
            person_id=person_id(SOURCE, first.customer) if first.customer else None,
            country=country_of(first.country),
            asked=list(asked_lines.values()),
            sources=from_lines,
        )
        document.sales.append(sale)
        if first.customer:
            for position, asked in enumerate(sale.asked):
                memory.setdefault((first.customer, asked.code), []).append(
                    Bought(sale.id, position, asked.unit_minor, asked.quantity)
                )


def _take_back(document: Document, line: Line, memory: dict[tuple[str, str], list[Bought]]) -> None:
    """The latest purchases of the same customer and code first. No more than was paid for a piece
    is refunded: what the credit note gives beyond it is goodwill."""
    left, unit = -line.quantity, to_minor(line.price)
    bought = memory.get((line.customer, line.code), []) if line.customer else []
    first = True
    while left and bought:
        latest = bought[-1]
        take = min(left, latest.left)
        latest.left -= take
        left -= take
        if not latest.left:
            bought.pop()
        refund = min(unit, latest.unit_minor) * take
        back = _return_of(document, latest.order_id)
        back.parts.append(Part(latest.line, line.code, take, refund))
        back.lines += first
        first = False
        if goodwill := unit * take - refund:
            document.bookings.append(
                Booking("adjustment", "GOODWILL", 0, -goodwill, line, "refunded_above_price")
            )
    if left:
        reason = "return_without_purchase" if line.customer else "return_by_unknown"
        document.bookings.append(Booking("return", line.code, -left, -unit * left, line, reason))
        _list(document, line, reason, "return")


def _return_of(document: Document, order_id: uuid.UUID) -> Return:
    for known in document.returns:
        if known.order_id == order_id:
            return known
    document.returns.append(
        Return(order_id=order_id, reference=document.invoice, at=document.at, parts=[])
    )
    return document.returns[-1]


def _count(document: Document, line: Line) -> None:
    document.bookings.append(
        Booking("count", line.code, line.quantity, 0, line, "stock_correction")
    )
    _list(document, line, "stock_correction", "count")


def _adjust(document: Document, line: Line, reason: str) -> None:
    amount = to_minor(line.amount)
    document.bookings.append(Booking("adjustment", line.code, line.quantity, amount, line, reason))
    _list(document, line, reason, "adjustment")


def _list(document: Document, line: Line, reason: str, booked: str) -> None:
    document.listed.append(
        Listed(
            number=line.number,
            reference=line.invoice,
            code=line.code,
            description=line.description,
            quantity=line.quantity,
            amount=line.amount,
            reason=reason,
            booked=booked,
        )
    )


def batches(documents: Sequence[Document], *, minutes: int, most: int) -> list[list[Document]]:
    """Documents that are played together: of one stretch of the clock, with at most ``most``
    orders. All of a batch happens at its first document's time."""
    found: list[list[Document]] = []
    span: int | None = None
    orders = 0
    for document in documents:
        stretch = int(document.at.timestamp()) // (60 * minutes)
        mine = len(document.sales)
        if span != stretch or orders + mine > most:
            found.append([])
            span, orders = stretch, 0
        found[-1].append(document)
        orders += mine
    return found
