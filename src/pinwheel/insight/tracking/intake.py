"""The group commit of taking in: batches that come together are stored together."""

from __future__ import annotations

from pinwheel.insight.tracking.actions import BATCHES_AT_ONCE, Receipt, take
from pinwheel.insight.tracking.taking import Columns
from pinwheel.kernel.db import Database
from pinwheel.kernel.together import Together

Intake = Together[Columns, Receipt]


def intake_of(db: Database) -> Intake:
    """The one of this process. Two batches in flight: one is being written while the other is being
    made durable."""
    kept: Intake | None = db.given.get(Together)
    if kept is None:
        kept = db.given[Together] = Together(
            db, take, actor="tracking", most=BATCHES_AT_ONCE, in_flight=2, waiting=512,
            linger_seconds=0.002,
        )  # fmt: skip
    return kept
