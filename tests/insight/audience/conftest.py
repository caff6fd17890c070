"""Fixtures of audiences."""

from __future__ import annotations

from pathlib import Path

import pytest

from insight.audience.town import Town, open_town
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database


@pytest.fixture
async def town(db: Database, clock: SetClock, tmp_path: Path) -> Town:
    return await open_town(db, clock, tmp_path)
