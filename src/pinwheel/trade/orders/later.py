"""Orders whose money is only authorised and taken after they were sent, by whoever said so."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from pinwheel.kernel.db import Tx


async def capture_later(tx: Tx, order_ids: Sequence[uuid.UUID]) -> None:
    """Sending a parcel of these does not take the money. Safe to repeat."""
    await tx.run(
        """
        insert into orders.captured_later (cell, order_id)
        select $1, * from unnest($2::uuid[]) on conflict do nothing
        """,
        tx.cell,
        list(order_ids),
    )


async def captured_later(tx: Tx, order_ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Which of these orders are taken later."""
    return set(
        await tx.values(
            """
            select order_id from orders.captured_later
             where cell = $1 and order_id = any($2::uuid[])
            """,
            tx.cell,
            list(order_ids),
        )
    )
