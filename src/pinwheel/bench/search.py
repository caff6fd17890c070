"""``pinwheel bench search``: judged queries beside plain BM25."""

from __future__ import annotations

from pathlib import Path

import msgspec

from pinwheel.bench.stand import Report
from pinwheel.discovery import search


def run(path: str | None) -> Report:
    """``path``: a folder with the products and the rated queries."""
    return msgspec.convert(search.bench(Path(path or "../shared/data/icecat")), Report)
