"""A made-up marketplace in the layout of Olist: few orders, each of another fate."""

from __future__ import annotations

import csv
from pathlib import Path

SELLERS = ["a" * 32, "b" * 32]
PRODUCTS = ["1" * 32, "2" * 32]


def write(folder: Path) -> Path:
    folder.mkdir()
    for name, rows in tables().items():
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            table = csv.DictWriter(file, list(rows[0]))
            table.writeheader()
            table.writerows(rows)
    return folder


def tables() -> dict[str, list[dict[str, str]]]:
    return {
        "sellers.csv": [
            {"seller_id": s, "seller_zip_code_prefix": "1", "seller_city": "rio",
             "seller_state": "RJ"}
            for s in SELLERS
        ],
        "products.csv": [
            {"product_id": p, "product_category_name": "artes", "product_weight_g": "200"}
            for p in PRODUCTS
        ],
        "customers.csv": [
            {"customer_id": f"c{n}", "customer_unique_id": f"u{n % 3}", "customer_state": "SP"}
            for n in range(6)
        ],
        "orders.csv": [
            order(0, "delivered", sent="2018-01-03 08:00:00", there="2018-01-12 10:00:00"),
            order(1, "delivered", sent="2018-01-01 08:00:00", there="2018-01-06 10:00:00"),
            order(2, "shipped", sent="2018-01-04 08:00:00"),
            order(3, "canceled", sent="2018-01-05 08:00:00"),
            order(4, "unavailable"),
            order(5, "invoiced"),
        ],
        "order_items.csv": [
            # Two of one thing and one of another seller's in one order.
            item(0, 1, 0, 0, "20.00", "5.00"),
            item(0, 2, 0, 0, "20.00", "5.00"),
            item(0, 3, 1, 1, "100.00", "0.00"),
            item(1, 1, 0, 0, "21.50", "3.10"),
            item(2, 1, 1, 0, "99.99", "7.77"),
            item(3, 1, 0, 0, "45.00", "10.00"),
            item(5, 1, 0, 1, "12.00", "1.00"),
        ],
        "order_payments.csv": [
            *(pay(0, n, value) for n, value in ((2, "100.00"), (1, "49.99"), (3, "0.01"))),
            pay(1, 1, "25.02"),  # instalment interest
            pay(2, 1, "100.00"),  # a voucher that no file knows of
            pay(3, 1, "55.00"),
            pay(4, 1, "30.00"),
            pay(5, 1, "13.00"),
        ],
        "order_reviews.csv": [
            review(0, 5, "2018-01-13"),
            review(1, 1, "2018-01-02"),  # before it came
            review(2, 3, "2018-01-20"),  # it never came
        ],
        "translation.csv": [
            {"product_category_name": "artes", "product_category_name_english": "art"}
        ],
    }  # fmt: skip


def order(n: int, status: str, sent: str = "", there: str = "") -> dict[str, str]:
    return {
        "order_id": f"o{n}",
        "customer_id": f"c{n}",
        "order_status": status,
        "order_purchase_timestamp": "2018-01-01 10:00:00",
        "order_approved_at": "2018-01-01 11:00:00",
        "order_delivered_carrier_date": sent,
        "order_delivered_customer_date": there,
        "order_estimated_delivery_date": "2018-01-10 00:00:00",
    }


def item(
    n: int, number: int, product: int, seller: int, price: str, freight: str
) -> dict[str, str]:
    return {
        "order_id": f"o{n}",
        "order_item_id": str(number),
        "product_id": PRODUCTS[product],
        "seller_id": SELLERS[seller],
        "shipping_limit_date": "2018-01-05 10:00:00",
        "price": price,
        "freight_value": freight,
    }


def pay(n: int, sequence: int, value: str) -> dict[str, str]:
    return {
        "order_id": f"o{n}",
        "payment_sequential": str(sequence),
        "payment_type": "credit_card",
        "payment_installments": "1",
        "payment_value": value,
    }


def review(n: int, score: int, day: str) -> dict[str, str]:
    return {
        "review_id": f"r{n}",
        "order_id": f"o{n}",
        "review_score": str(score),
        "review_comment_title": "",
        "review_comment_message": "bom",
        "review_creation_date": f"{day} 00:00:00",
        "review_answer_timestamp": f"{day} 10:00:00",
    }
