"""The imports' tests import ``files`` from beside them, and leave no promise broken."""

import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pinwheel.kernel.db import Database
from pinwheel.trade import catalogue, imports, marketplace, pricing

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
async def db(db: Database) -> AsyncIterator[Database]:
    yield db
    async with db.pool.acquire() as connection:
        for module in (catalogue, imports, marketplace, pricing):
            promises = (Path(module.__file__).parent / "invariants.sql").read_text("utf-8")
            for statement in re.split(r";\s*(?:\n|$)", promises):
                if statement.strip():
                    assert await connection.fetch(statement) == [], statement
