"""The kernel's own housekeeping, by the clock."""

from __future__ import annotations

from pinwheel.kernel.db import Tx
from pinwheel.kernel.events import every

KEYS_KEPT_SECONDS = 7 * 86_400
BUCKETS_KEPT_SECONDS = 86_400


@every(seconds=3600)
async def forget_old_keys(tx: Tx) -> None:
    """Idempotency keys of last week, and buckets that have long been full again."""
    await tx.run(
        """
        with bucket as (
          delete from kernel.rate where cell = $1 and at < $2
        )
        delete from kernel.idempotency where cell = $1 and created_at < $3
        """,
        tx.cell,
        tx.later_than(-BUCKETS_KEPT_SECONDS),
        tx.later_than(-KEYS_KEPT_SECONDS),
    )
