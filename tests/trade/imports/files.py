"""Small files to import."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path

import pytest

SHOPIFY = ["Handle", "Title", "Vendor", "Type", "Option1 Name", "Option1 Value", "Variant SKU",
           "Variant Grams", "Variant Price", "Variant Compare At Price", "Variant Barcode",
           "Status"]  # fmt: skip
DATA = Path(
    os.environ.get("PINWHEEL_DATA") or Path(__file__).parents[3].resolve().parent / "shared/data"
)
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="no shared data here")


def product(handle: str, price: str = "19.90", **more: str) -> dict[str, str]:
    """A row of a Shopify file; ``more`` by the first word of a column."""
    row = dict.fromkeys(SHOPIFY, "") | {
        "Handle": handle,
        "Title": handle.title(),
        "Vendor": "Maker",
        "Type": "Cups",
        "Variant SKU": f"SKU-{handle}",
        "Variant Price": price,
        "Status": "active",
    }
    return row | {name.replace("_", " "): value for name, value in more.items()}


def text(rows: Iterable[dict[str, str]], columns: list[str] = SHOPIFY) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, columns)
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def cups(n: int) -> str:
    return text(product(f"cup-{i:06d}", f"{10 + i % 90}.50") for i in range(n))


def write(folder: Path, content: str | bytes, name: str = "products.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path
