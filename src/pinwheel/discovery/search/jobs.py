"""What follows for search: orders make products popular, old counts go."""

import datetime as dt
from collections.abc import Sequence

from pinwheel.discovery.search.actions import (
    KEPT_DAYS,
    announce_popularity,
    forget_queries,
    record_orders,
)
from pinwheel.kernel.db import Tx
from pinwheel.kernel.events import after, every
from pinwheel.trade import orders


@after(orders.OrderPlaced)
async def count_orders(tx: Tx, events: Sequence[orders.OrderPlaced]) -> None:
    """What was ordered is more popular."""
    await record_orders(tx, [event.order_id for event in events])


@every(seconds=600)
async def tell_popularity(tx: Tx) -> None:
    """The index learns of it in its own time: a sale needn't rewrite a document at once."""
    await announce_popularity(tx)


@every(seconds=86_400)
async def forget_old_queries(tx: Tx) -> None:
    """Counts older than the kept days go."""
    await forget_queries(tx, tx.now.date() - dt.timedelta(days=KEPT_DAYS))
