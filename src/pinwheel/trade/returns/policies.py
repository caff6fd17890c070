"""The shop's policies, as its staff set them."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.trade.returns.model import (
    CategoryPolicy,
)


async def set_policy(tx: Tx, policy: CategoryPolicy) -> None:
    """The policy of a market, or of a category in it. Returns that were asked for keep theirs."""
    await tx.run(
        """
        insert into returns.policy (window_days, fault_days, approves_itself, refunds_delivery,
               freight_minor, instant_minor, send_days, grade_days, resale_basis_points, market,
               category_id)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
        on conflict (market, category_id) do update
           set window_days = excluded.window_days, fault_days = excluded.fault_days,
               approves_itself = excluded.approves_itself,
               refunds_delivery = excluded.refunds_delivery,
               freight_minor = excluded.freight_minor, instant_minor = excluded.instant_minor,
               send_days = excluded.send_days, grade_days = excluded.grade_days,
               resale_basis_points = excluded.resale_basis_points
        """,
        *msgspec.structs.astuple(policy),
    )


async def stored_policies(tx: Tx) -> Sequence[CategoryPolicy]:
    """Every policy that was set."""
    return await tx.rows(
        CategoryPolicy,
        """
        select window_days, fault_days, approves_itself, refunds_delivery, freight_minor,
               instant_minor, send_days, grade_days, resale_basis_points, market, category_id
          from returns.policy order by market, category_id
        """,
    )
