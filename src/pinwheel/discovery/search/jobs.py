"""What search does by the clock."""

import datetime as dt

from pinwheel.discovery.search.actions import KEPT_DAYS, forget_queries
from pinwheel.kernel.db import Tx
from pinwheel.kernel.events import every


@every(seconds=86_400)
async def forget_old_queries(tx: Tx) -> None:
    """Counts older than the kept days go."""
    await forget_queries(tx, tx.now.date() - dt.timedelta(days=KEPT_DAYS))
