"""Fixtures of journeys: a house with a mailbox of its own and no mail server."""

from __future__ import annotations

from pathlib import Path

import pytest

from growth.journeys.travellers import Road, road_of
from pinwheel import app
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.settings import Settings


@pytest.fixture
async def road(db: Database, clock: SetClock, tmp_path: Path) -> Road:
    settings = Settings(
        secret="the secret of the tests",
        data_dir=tmp_path,
        currency="GBP",
        default_language="en",
        time_zone="UTC",
        rate_limit_per_second=0,
    )
    app.furnish(db, settings)
    return await road_of(db, clock)
