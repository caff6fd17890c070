"""The acceptance of FI-01 in small; ``simulation.py`` runs the big one."""

from __future__ import annotations

import pytest

from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from trade.payments.simulation import Storm


@pytest.mark.slow
async def test_the_ledger_has_what_the_provider_has(db: Database, clock: SetClock) -> None:
    report = await Storm(db, clock, seed=7).run(3000)
    assert report.clearing_minor == report.provider_minor > 0
    assert set(report.states) == {"captured", "failed", "voided", "authorised"}
    assert min(report.crashes, report.refunds, report.disputes, report.notices) > 20
