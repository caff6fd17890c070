"""The acceptance of FI-01 in small; ``simulation.py`` runs the big one, ``PINWHEEL_STORM=3000``
payments here one between."""

from __future__ import annotations

import os

import pytest

from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from trade.payments.simulation import Storm

MANY = int(os.environ.get("PINWHEEL_STORM", "1000"))


@pytest.mark.slow
async def test_the_ledger_has_what_the_provider_has(db: Database, clock: SetClock) -> None:
    report = await Storm(db, clock, seed=7).run(MANY)
    assert report.clearing_minor == report.provider_minor > 0
    assert set(report.states) == {"captured", "failed", "voided", "authorised"}
    assert min(report.crashes, report.refunds, report.disputes, report.notices) > MANY // 150
