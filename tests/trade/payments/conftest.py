"""Payments with the sandbox, and nothing above them."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from types import ModuleType

import pytest

from pinwheel.ground.ledger import jobs as ledger_jobs
from pinwheel.kernel import db as database
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.events import Reactions
from pinwheel.trade import payments
from pinwheel.trade.payments import jobs
from pinwheel.trade.payments.sandbox import Sandbox
from trade.payments.till import Till

JOBS: tuple[ModuleType, ...] = (ledger_jobs, jobs)


@pytest.fixture
async def db(url: str, clock: SetClock, rng: random.Random) -> AsyncIterator[Database]:
    opened = await database.connect(url, clock=clock, reactions=Reactions(JOBS), size=8, rng=rng)
    yield opened
    await opened.close()


@pytest.fixture
def sandbox(db: Database) -> Sandbox:
    found = payments.providers_of(db)["sandbox"]
    assert isinstance(found, Sandbox)
    return found


@pytest.fixture
def till(db: Database) -> Till:
    return Till(db)
