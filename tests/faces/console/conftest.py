"""The fixture of the console's tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from console_world import Desk, open_desk
from pinwheel.kernel.db import Database


@pytest.fixture
async def desk(db: Database, tmp_path: Path) -> Desk:
    return await open_desk(db, tmp_path)
