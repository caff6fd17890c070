"""The viral model of a shop or of one campaign, put together from its tree."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter, defaultdict

import msgspec

from pinwheel.growth.measurement import costing, tree
from pinwheel.growth.measurement.model import Interval, Warned
from pinwheel.growth.measurement.viral import (
    Curve,
    Pace,
    Point,
    Spread,
    decay,
    increments,
    k_of,
    pace,
    warnings_of,
)
from pinwheel.kernel.db import Tx

WINDOW_DAYS = 30
PACE_DAYS = 60
SINCE_DAYS = 180


class CohortK(msgspec.Struct, frozen=True):
    """K of the buyers of a week; ``is_over`` False: their window still runs, K is too low yet."""

    week: dt.date
    buyers: int
    brought: int
    is_over: bool
    k: Interval


class Depth(msgspec.Struct, frozen=True):
    depth: int
    people: int


class Sharing(msgspec.Struct, frozen=True, kw_only=True):
    """``k``: over all cohorts whose window is over; None: nobody's is. ``fading``: the factor
    from one week to the next. ``activated`` and ``retained``: what one more buyer, and one more who
    bought again within 60 days, costs, beside the average; of retained ones only stretches whose
    60 days are over."""

    window_days: int
    k: Interval | None
    cohorts: list[CohortK]
    fading: Interval | None
    pace: Pace
    depths: list[Depth]
    spreads: list[Spread]
    reach: float | None
    activated: Curve
    retained: Curve
    currency: str
    warnings: list[Warned]


async def sharing(tx: Tx, currency: str, campaign_id: uuid.UUID | None = None) -> Sharing:
    """The viral model since 180 days, of the shop or of one campaign. 6 statements."""
    since = tx.now - dt.timedelta(days=SINCE_DAYS)
    rows = await tree.offspring(tx, since, WINDOW_DAYS, campaign_id)
    cohorts, over = _cohorts(rows)
    touched = await tree.reach(tx)
    reach = touched.touched / touched.buyers if touched.buyers else None
    spreads = await tree.spreads(tx, since, campaign_id)
    stretches = await costing.stretches(tx, since, currency, campaign_id)
    activated, retained = curves_of(stretches, tx.now)
    fading = decay([(c.buyers, c.brought) for c in cohorts if c.is_over])
    k = k_of(over)
    return Sharing(
        window_days=WINDOW_DAYS,
        k=k,
        cohorts=cohorts,
        fading=fading,
        pace=pace(await tree.first_days(tx, since, PACE_DAYS, campaign_id), PACE_DAYS),
        depths=[Depth(d.depth, d.people) for d in await tree.depths(tx, since, campaign_id)],
        spreads=spreads,
        reach=reach,
        activated=activated,
        retained=retained,
        currency=currency,
        warnings=warnings_of(k, spreads, reach, activated, fading),
    )


def _cohorts(rows: list[tree.Offspring]) -> tuple[list[CohortK], Counter[int]]:
    by_week: dict[dt.date, Counter[int]] = defaultdict(Counter)
    is_over: dict[dt.date, bool] = {}
    over: Counter[int] = Counter()
    for row in rows:
        by_week[row.cohort][row.brought] += row.people
        is_over[row.cohort] = row.is_over
        if row.is_over:
            over[row.brought] += row.people
    found = []
    for week, counts in sorted(by_week.items()):
        k = k_of(counts)
        if k is not None:
            brought = sum(n * people for n, people in counts.items())
            found.append(CohortK(week, counts.total(), brought, is_over[week], k))
    return found, over


def curves_of(stretches: list[costing.Stretch], now: dt.datetime) -> tuple[Curve, Curve]:
    """The curve of buyers, and that of buyers who stayed, the latter without what is too young to
    tell."""
    grown = [s for s in stretches if s.until + dt.timedelta(days=costing.RETAINED_DAYS) <= now]
    return (
        increments([Point(s.until, s.cost_minor, s.buyers) for s in stretches]),
        increments([Point(s.until, s.cost_minor, s.retained) for s in grown]),
    )
