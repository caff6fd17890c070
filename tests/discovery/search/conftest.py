from pathlib import Path

import pytest

from discovery.search import shelf
from pinwheel.discovery.search import SearchIndex, Writer


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "search"


@pytest.fixture
def index(root: Path) -> SearchIndex:
    with Writer(root) as writer, writer.rebuild() as rebuild:
        rebuild.add(shelf.SHELF)
    return SearchIndex(root)
