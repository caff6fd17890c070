"""What other modules of the house add to a journey: coupons, and the ways of an experiment."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from pinwheel.growth.journeys.model import Act, Doing, PlanUnclear
from pinwheel.insight import experiments
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import NotFound
from pinwheel.trade import promotions
from pinwheel.trade.promotions import Grant, Promotion

BENEFIT = "benefit"
PROMOTION = "promotion"


async def grant_coupons(tx: Tx, doings: Sequence[Doing]) -> Sequence[Any]:
    """A coupon of the promotion ``settings["promotion"]`` into each wallet, once for each step of
    an enrolment; ``NotClaimable`` when that has ended. 1 statement."""
    grants = [
        Grant(
            person_id=one.person_id,
            promotion_id=uuid.UUID(one.settings[PROMOTION]),
            key=f"journey:{one.key}",
        )
        for one in doings
    ]
    return await promotions.grant(tx, grants)


async def check_coupon(tx: Tx, n: int, step: Act) -> None:
    """That step ``n`` names a promotion that is given as coupons; else ``PlanUnclear``."""
    found: Promotion | None = None
    with contextlib.suppress(ValueError, NotFound):
        found = await promotions.promotion(tx, uuid.UUID(step.settings.get(PROMOTION, "")))
    if found is None or not found.terms.conditions.coupon:
        raise PlanUnclear(n, "choose a coupon to give", "请选择要发放的优惠券")


async def variations_of(
    tx: Tx, key: str, person_ids: Sequence[uuid.UUID]
) -> Mapping[uuid.UUID, str | None]:
    """Which variation of the experiment ``key`` each person has. From here on their ways part, so
    they count as exposed."""
    found = await experiments.assigned(tx, key, person_ids)
    await experiments.expose(tx, list(found.values()))
    return {person_id: one.variation for person_id, one in found.items()}
