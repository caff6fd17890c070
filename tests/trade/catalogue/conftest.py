"""The catalogue's tests import ``shelf`` from beside them, and leave no promise broken."""

import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pinwheel.kernel.db import Database
from pinwheel.trade import catalogue

sys.path.insert(0, str(Path(__file__).parent))
PROMISES = Path(catalogue.__file__).parent / "invariants.sql"


@pytest.fixture
async def db(db: Database) -> AsyncIterator[Database]:
    yield db
    async with db.pool.acquire() as connection:
        for statement in re.split(r";\s*(?:\n|$)", PROMISES.read_text("utf-8")):
            if statement.strip():
                assert await connection.fetch(statement) == [], statement
