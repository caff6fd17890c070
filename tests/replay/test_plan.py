"""The plan by itself: every line becomes something once, and the sums are the file's."""

from __future__ import annotations

import datetime as dt
import uuid
from decimal import Decimal
from pathlib import Path

import pytest

from pinwheel.replay import olist, reading, retail
from pinwheel.replay.model import FileUnfit, country_of, label, timed_id, to_minor
from replay import invoices

RUN = uuid.UUID(int=1)
NOT_GOODS = {"POST", "BANK CHARGES", "B", "D"}


def planned(tmp_path: Path, rows: list[invoices.Row]) -> retail.Plan:
    lines = reading.retail_lines(invoices.write(tmp_path / "file.csv", rows))
    return retail.plan(lines, {li.code for li in lines} - NOT_GOODS, RUN)


def test_every_line_is_somewhere_once_and_the_sums_are_the_files(tmp_path: Path) -> None:
    rows = invoices.EVERY_KIND + invoices.long_invoice() + invoices.many(30)
    plan = planned(tmp_path, rows)
    units, revenue = invoices.totals(rows)
    entries = [e for d in plan.documents for s in d.sales for e in [s.entry()]]
    entries += [r.entry() for d in plan.documents for r in d.returns]
    booked = [b for d in plan.documents for b in d.bookings]
    assert sum(e.units for e in entries) + sum(b.quantity for b in booked) == units
    whole = sum(e.revenue_minor for e in entries) + sum(b.amount_minor for b in booked)
    assert Decimal(whole) + plan.rounding == revenue * 100


def test_an_invoice_becomes_orders_adjustments_returns_and_counts(tmp_path: Path) -> None:
    documents = {d.invoice: d for d in planned(tmp_path, invoices.EVERY_KIND).documents}
    [sale] = documents["1001"].sales
    assert [(a.code, a.unit_minor, a.quantity) for a in sale.asked] == [
        ("85123A", 255, 12),
        ("85123A", 210, 32),
        ("71053", 339, 4),
        ("71054", 0, 1),
    ]
    assert [(b.code, b.amount_minor) for b in documents["1001"].bookings] == [("POST", 3600)]
    # The latest purchase first: 10 of the 32 at 2.10, for 2.00 each.
    [back] = documents["C1006"].returns
    assert [(p.line, p.quantity, p.refund_minor) for p in back.parts] == [(1, 10, 2000)]
    # 22 more of them at 2.10, 12 at 2.55, 6 were never bought; two lanterns at what they cost.
    [back] = documents["C1007"].returns
    assert [(p.line, p.quantity, p.refund_minor) for p in back.parts] == [
        (1, 22, 4620),
        (0, 12, 3060),
        (2, 2, 678),
    ]
    assert [(b.what, b.quantity, b.amount_minor) for b in documents["C1007"].bookings] == [
        ("adjustment", 0, -990),
        ("return", -6, -1530),
        ("adjustment", 0, -1320),
    ]
    assert [b.what for b in documents["1009"].bookings] == ["count"]
    assert [one.reason for one in documents["C1008"].listed] == ["return_by_unknown"]
    assert documents["1011"].listed[0].reason == "no_sale"


def test_a_long_invoice_is_several_orders(tmp_path: Path) -> None:
    [document] = planned(tmp_path, invoices.long_invoice()).documents
    assert [(s.reference, len(s.asked)) for s in document.sales] == [
        ("2001/1", 200),
        ("2001/2", 30),
    ]
    assert {s.country for s in document.sales} == {"DE"}


def test_the_same_file_gives_the_same_ids(tmp_path: Path) -> None:
    first, again = planned(tmp_path, invoices.many(3)), planned(tmp_path, invoices.many(3))
    assert [s.id for d in first.documents for s in d.sales] == [
        s.id for d in again.documents for s in d.sales
    ]


def test_batches_keep_to_the_clock_and_to_their_size(tmp_path: Path) -> None:
    documents = planned(tmp_path, invoices.many(3)).documents
    for batch in retail.batches(documents, minutes=120, most=2):
        assert sum(len(d.sales) for d in batch) <= 2
        assert batch[-1].at - batch[0].at < dt.timedelta(minutes=120)


@pytest.mark.parametrize(
    ("amount", "minor"), [("0.001", 0), ("0.005", 1), ("-0.005", -1), ("2.675", 268)]
)
def test_half_a_penny_goes_away_from_nothing(amount: str, minor: int) -> None:
    assert to_minor(Decimal(amount)) == minor


def test_names(tmp_path: Path) -> None:
    assert [country_of(n) for n in ("EIRE", "United Kingdom", "RSA", "Unspecified")] == [
        "IE",
        "GB",
        "ZA",
        "ZZ",
    ]
    assert label("BANK CHARGES") == "BANK_CHARGES"
    at = dt.datetime(2011, 1, 1, tzinfo=dt.UTC)
    assert timed_id(at, "a") == timed_id(at, "a") != timed_id(at, "b")
    assert timed_id(at, "a").version == 7
    with pytest.raises(FileUnfit):
        reading.retail_lines(tmp_path / "none.csv")
    (tmp_path / "other.csv").write_text("a,b\n1,2\n", "utf-8")
    with pytest.raises(FileUnfit):
        reading.retail_lines(tmp_path / "other.csv")


def olist_rows(**changes: str) -> olist.Rows:
    order = {
        "order_id": "o1",
        "customer_id": "c1",
        "order_status": "delivered",
        "order_purchase_timestamp": "2018-01-01 10:00:00",
        "order_approved_at": "2018-01-01 11:00:00",
        "order_delivered_carrier_date": "2018-01-01 09:00:00",
        "order_delivered_customer_date": "2018-01-09 10:00:00",
        "order_estimated_delivery_date": "2018-01-08 00:00:00",
    } | changes
    item = {"order_id": "o1", "product_id": "p", "seller_id": "s", "price": "10.0"}
    return olist.Rows(
        [order],
        [item | {"freight_value": "1.5"}, item | {"freight_value": "1.5"}],
        [
            {"order_id": "o1", "payment_sequential": "2", "payment_value": "3.00"},
            {"order_id": "o1", "payment_sequential": "1", "payment_value": "21.11"},
            {"order_id": "o1", "payment_sequential": "3", "payment_value": "0.00"},
        ],
        [{"customer_id": "c1", "customer_unique_id": "u1", "customer_state": "SP"}],
        [],
    )


def test_what_was_paid_above_the_total_is_interest_and_below_it_a_discount() -> None:
    [sale] = olist.plan(olist_rows(), RUN).sales
    assert (sale.tenders, sale.interest_minor, sale.paid_minor) == ([2000, 300], 111, 2411)
    less = olist_rows()
    less.payments[1]["payment_value"] = "19.50"
    [sale] = olist.plan(less, RUN).sales
    assert (sum(sale.tenders), sale.discount_minor, sale.interest_minor) == (2250, 50, 0)
    assert sale.items[0].quantity == 2


def test_a_time_before_the_step_it_follows_is_moved_to_it() -> None:
    plan = olist.plan(olist_rows(), RUN)
    assert [h.step for h in plan.happenings] == ["place", "ship", "deliver"]
    assert plan.happenings[1].at == plan.happenings[0].at
    cancelled = olist.plan(olist_rows(order_status="canceled"), RUN)
    assert [h.step for h in cancelled.happenings] == ["place", "cancel"]


def test_an_order_without_items_is_listed() -> None:
    rows = olist_rows(order_status="unavailable")
    rows.items.clear()
    plan = olist.plan(rows, RUN)
    assert not plan.sales
    assert [one.reason for one in plan.listed] == ["no_items:unavailable"]
