"""Fixtures of word of mouth."""

from __future__ import annotations

import pytest

from growth.community.street import Street
from pinwheel.kernel.db import Database


@pytest.fixture
async def street(db: Database) -> Street:
    made = Street(db)
    await made.open(8)
    return made
