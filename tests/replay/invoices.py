"""A small made-up year of invoices that holds every kind of line, as a CSV file."""

from __future__ import annotations

import csv
import datetime as dt
import random
from decimal import Decimal
from pathlib import Path

HEAD = ("InvoiceNo", "StockCode", "Description", "Quantity")
HEAD += ("InvoiceDate", "UnitPrice", "CustomerID", "Country")
START = dt.datetime(2011, 3, 1, 8, 0)
Row = tuple[str, str, str, int, dt.datetime, str, str, str]

EVERY_KIND: list[Row] = [
    # One code at two prices in one invoice, and the same line twice.
    ("1001", "85123A", "LIGHT", 6, START, "2.55", "17850", "United Kingdom"),
    ("1001", "85123A", "LIGHT", 32, START, "2.10", "17850", "United Kingdom"),
    ("1001", "85123A", "LIGHT", 6, START, "2.55", "17850", "United Kingdom"),
    ("1001", "71053", "LANTERN", 4, START, "3.39", "17850", "United Kingdom"),
    ("1001", "POST", "POSTAGE", 2, START, "18.00", "17850", "United Kingdom"),
    ("1001", "71054", "GIFT BOX", 1, START, "0.0", "17850", "United Kingdom"),
    # A guest; parts of a penny; a fee; a bad debt; a discount.
    ("1002", "71053", "LANTERN", 3, START, "3.39", "", "EIRE"),
    ("1002", "71054", "GIFT BOX", 7, START, "1.255", "", "EIRE"),
    ("1003", "BANK CHARGES", "Bank Charges", 1, START, "0.001", "", "United Kingdom"),
    ("A1004", "B", "Adjust bad debt", 1, START, "-11062.06", "", "United Kingdom"),
    ("C1005", "D", "Discount", -1, START, "27.50", "17850", "United Kingdom"),
    # Returned below, at, and above what was paid; more than was bought; by a stranger.
    ("C1006", "85123A", "LIGHT", -10, START, "2.00", "17850", "United Kingdom"),
    ("C1007", "85123A", "LIGHT", -40, START, "2.55", "17850", "United Kingdom"),
    ("C1007", "71053", "LANTERN", -2, START, "9.99", "17850", "United Kingdom"),
    ("C1008", "71053", "LANTERN", -1, START, "3.39", "", "France"),
    # Stock lost and found; a line of nothing.
    ("1009", "71053", "damages", -5, START, "0.0", "", "United Kingdom"),
    ("1010", "71054", "found", 9, START, "0.0", "", "United Kingdom"),
    ("1011", "71054", "?", 0, START, "0.0", "", "United Kingdom"),
]


def long_invoice(codes: int = 230) -> list[Row]:
    """More different items than an order holds."""
    return [
        ("2001", f"3{n:04d}", f"THING {n}", 1 + n % 3, START, "1.25", "12345", "Germany")
        for n in range(codes)
    ]


def many(days: int, seed: int = 7) -> list[Row]:
    """Some weeks of ordinary invoices and credit notes."""
    r, rows, bought = random.Random(seed), list[Row](), list[tuple[str, str, int, str]]()
    for number in range(days * 9):
        at = START + dt.timedelta(days=number // 9, minutes=61 * (number % 9))
        customer = r.choice(["", *(str(17000 + n) for n in range(12))])
        for code in r.sample(range(22000, 22040), r.randint(1, 8)):
            quantity, price = r.randint(1, 24), f"{r.choice([0.85, 1.25, 2.95, 4.15]):.2f}"
            rows.append((str(5000 + number), str(code), f"ITEM {code}", quantity, at, price,
                         customer, "United Kingdom"))  # fmt: skip
            if customer:
                bought.append((customer, str(code), quantity, price))
        if number % 5 == 4 and bought:
            customer, code, quantity, price = r.choice(bought)
            back = r.randint(1, quantity)
            rows.append((f"C{9000 + number}", code, f"ITEM {code}", -back, at, price, customer,
                         "United Kingdom"))  # fmt: skip
        if number % 7 == 6:
            rows.append((f"{7000 + number}", "22001", "wet", -r.randint(1, 9), at, "0.0", "",
                         "United Kingdom"))  # fmt: skip
            rows.append((f"{5000 + number}", "POST", "POSTAGE", 1, at, "3.95", customer,
                         "United Kingdom"))  # fmt: skip
    return rows


def write(path: Path, rows: list[Row]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(HEAD)
        table.writerows(rows)
    return path


def totals(rows: list[Row]) -> tuple[int, Decimal]:
    """Units and exact revenue, by plain sums."""
    return sum(r[3] for r in rows), sum((r[3] * Decimal(r[5]) for r in rows), Decimal(0))
