"""Structured data for machines that read pages (schema.org as JSON-LD), made from what the page
shows: it can't say another price."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec
from babel.numbers import get_currency_precision

CONDITIONS = {
    "new": "https://schema.org/NewCondition",
    "refurbished": "https://schema.org/RefurbishedCondition",
    "used": "https://schema.org/UsedCondition",
}


def amount(minor: int, currency: str) -> str:
    """``minor`` units as a decimal text: 1234 CNY is 12.34."""
    return str(Decimal(minor).scaleb(-int(get_currency_precision(currency))))


def in_script(*things: Mapping[str, Any]) -> str:
    """The things as JSON that is safe to stand in a script element."""
    graph = {"@context": "https://schema.org", "@graph": list(things)}
    text = msgspec.json.encode(graph).decode()
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def organization(name: str, origin: str) -> dict[str, Any]:
    return {
        "@type": "Organization",
        "@id": f"{origin}/#shop",
        "name": name,
        "url": f"{origin}/",
        "logo": f"{origin}/static/mark.svg",
    }


def breadcrumbs(trail: Sequence[Mapping[str, str]], origin: str, language: str) -> dict[str, Any]:
    return {
        "@type": "BreadcrumbList",
        "itemListElement": [
            {
                "@type": "ListItem",
                "position": n,
                "name": at["label"],
                "item": f"{origin}/{language}{at['path']}",
            }
            for n, at in enumerate(trail, 1)
        ],
    }


def product(row: Mapping[str, Any]) -> dict[str, Any]:
    """A product with its offer, from a row of ``rows.product_row``."""
    found: dict[str, Any] = {
        "@type": "Product",
        "@id": f"{row['link']}#{row['sku']}",
        "name": row["title"],
        "description": row["description"],
        "sku": row["sku"],
        "image": [row["image"]] if row["image"] else [],
        "offers": {
            "@type": "Offer",
            "url": row["link"],
            "price": row["price"],
            "priceCurrency": row["currency"],
            "availability": "https://schema.org/"
            + ("InStock" if row["available"] else "OutOfStock"),
            "itemCondition": CONDITIONS[row["condition"]],
            "seller": {"@type": "Organization", "name": row["seller"]},
        },
    }
    if row.get("gtin"):
        found["gtin"] = row["gtin"]
    if row.get("brand"):
        found["brand"] = {"@type": "Brand", "name": row["brand"]}
    return found
