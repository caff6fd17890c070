"""Files that were sent in the console are taken in by the worker: a crash goes on where it was."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from pinwheel.faces.console.model import ImportAsked
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import outside
from pinwheel.trade import imports

SLICE_SECONDS = 90.0
LEASE_SECONDS = 120.0


@outside(ImportAsked, concurrency=1, lease_seconds=LEASE_SECONDS, attempts=6)
async def take_in(db: Database, events: Sequence[ImportAsked]) -> None:
    """Work for a while; what is left goes on as another job, so that no lease runs out."""
    for asked in events:
        try:
            async with asyncio.timeout(SLICE_SECONDS):
                await imports.run(
                    db,
                    asked.source,
                    Path(asked.path),
                    mapping=asked.mapping,
                    currency=asked.currency,
                    price=asked.price,
                    pictures=asked.pictures,
                    actor=asked.actor,
                )
        except TimeoutError:
            async with db.transaction(actor=asked.actor) as tx:
                tx.later(take_in, asked, at=tx.now)
        except Refusal:
            continue  # it was seen in the preview, or the file is gone; nothing was changed
