"""The campaign board: every campaign that runs, with what it burns, brings and costs at the
margin."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter, defaultdict

import msgspec

from pinwheel.growth.measurement import costing
from pinwheel.growth.measurement.acquiring import Worth, cac_of, worth_of
from pinwheel.growth.measurement.costing import Campaign, Stretch
from pinwheel.growth.measurement.model import Interval, Warned
from pinwheel.growth.measurement.spreading import PACE_DAYS, SINCE_DAYS, WINDOW_DAYS, curves_of
from pinwheel.growth.measurement.viral import Curve, Increment, Pace, k_of, pace
from pinwheel.insight import audience
from pinwheel.kernel.db import Tx
from pinwheel.trade import budgets

SHARED = ("team", "bargain", "invite")
MOST_BURNS = 40
RUNWAY_DAYS = 3.0


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign on the board. None is "not measured": it has no budget, does not work by sharing,
    or nobody's window is over. ``last``: the last step of the curve of retained buyers."""

    campaign: Campaign
    cost_minor: int
    buyers: int
    retained: int
    burn_minor: int | None
    runway_days: float | None
    spent_share: float | None
    k: Interval | None
    pace: Pace | None
    cac: Interval | None
    worth: Worth | None
    ratio: Interval | None
    activated: Curve
    retained_curve: Curve
    warnings: list[Warned]

    @property
    def last(self) -> Increment | None:
        return self.retained_curve.steps[-1] if self.retained_curve.steps else None

    @property
    def works_by_sharing(self) -> bool:
        return self.campaign.kind in SHARED


class Board(msgspec.Struct, frozen=True, kw_only=True):
    """Those that warn come first."""

    currency: str
    since: dt.date
    lines: list[Line]


async def board(tx: Tx, currency: str, *, running_only: bool = True) -> Board:
    """Campaigns with their figures since 180 days. 6 statements and 2 for each budget."""
    since = tx.now - dt.timedelta(days=SINCE_DAYS)
    found = await costing.campaigns(tx, running_only=running_only)
    weeks: dict[uuid.UUID, list[Stretch]] = defaultdict(list)
    for stretch in await costing.all_stretches(tx, since, currency):
        weeks[stretch.campaign_id].append(stretch)
    offspring: dict[uuid.UUID, Counter[int]] = defaultdict(Counter)
    for row in await costing.brought_by(tx, since, WINDOW_DAYS):
        offspring[row.campaign_id][row.brought] += row.people
    days: dict[uuid.UUID, dict[tuple[int, bool], int]] = defaultdict(dict)
    for day in await costing.days_of(tx, since, PACE_DAYS):
        days[day.campaign_id][day.day, day.came] = day.people
    worths = await _worths(tx, since, currency)
    burns = {
        c.budget_id: await budgets.burn(tx, c.budget_id)
        for c in [c for c in found if c.budget_id][:MOST_BURNS]
        if c.budget_id
    }
    lines = [
        _line(tx, one, weeks[one.id], offspring[one.id], days[one.id],
              worths.get(one.id, []), burns.get(one.budget_id) if one.budget_id else None)
        for one in found if one.currency in (None, currency)
    ]  # fmt: skip
    lines.sort(key=lambda x: (-len(x.warnings), not x.campaign.is_running, -x.cost_minor))
    return Board(currency=currency, since=since.date(), lines=lines)


def _line(
    tx: Tx,
    one: Campaign,
    weeks: list[Stretch],
    offspring: Counter[int],
    days: dict[tuple[int, bool], int],
    worths: list[int],
    burn: budgets.Burn | None,
) -> Line:
    cost, buyers = sum(w.cost_minor for w in weeks), sum(w.buyers for w in weeks)
    activated, retained = curves_of(weeks, tx.now)
    k = k_of(offspring) if one.kind in SHARED else None
    cac = cac_of(cost, buyers) if cost else None
    worth = worth_of(worths)
    ratio = None
    if cac and worth and cac.point:
        ratio = Interval(
            worth.mean_minor / cac.point,
            worth.low_minor / cac.high if cac.high else 0.0,
            worth.high_minor / cac.low if cac.low else None,
            buyers,
        )
    funded = (one.available_minor or 0) + (one.reserved_minor or 0) + (one.spent_minor or 0)
    line = Line(
        campaign=one,
        cost_minor=cost,
        buyers=buyers,
        retained=sum(w.retained for w in weeks),
        burn_minor=burn.rate_minor if burn else None,
        runway_days=burn.runway_days if burn else None,
        spent_share=(one.spent_minor or 0) / funded if one.budget_id and funded else None,
        k=k,
        pace=pace(days, PACE_DAYS) if one.kind in SHARED and days else None,
        cac=cac,
        worth=worth,
        ratio=ratio,
        activated=activated,
        retained_curve=retained,
        warnings=[],
    )
    return msgspec.structs.replace(line, warnings=warned(line))


def warned(line: Line) -> list[Warned]:
    """What is to be looked at, of one campaign."""
    found = []
    if line.runway_days is not None and line.runway_days < RUNWAY_DAYS:
        days = f"{line.runway_days:.1f}"
        found.append(
            Warned(
                "runway",
                f"The budget lasts {days} more days at this pace (forecast)",
                f"按当前速度预算还可用 {days} 天（预测）",
            )
        )
    if line.ratio is not None and line.ratio.high is not None and line.ratio.high < 1:
        found.append(
            Warned(
                "loses",
                "A buyer costs more than they are expected to bring",
                "获客成本高于预计价值",
            )
        )
    curve = line.activated
    if curve.marginal_turn is not None and curve.average_turn is None:
        found.append(
            Warned(
                "marginal",
                "One more buyer costs more and more, while the average still hides it",
                "再多一位买家的成本正在上升，而平均成本尚未显现",
            )
        )
    if line.cost_minor and not line.buyers:
        found.append(
            Warned("nobody", "It cost money and won nobody yet", "已产生成本，尚未带来新买家")
        )
    return found


async def _worths(tx: Tx, since: dt.datetime, currency: str) -> dict[uuid.UUID, list[int]]:
    members = await costing.buyers_of(tx, since, currency)
    values = await audience.values_of(tx, sorted({m.person_id for m in members}))
    by_person = {v.person_id: v.value_minor for v in values if v.currency == currency}
    found: dict[uuid.UUID, list[int]] = defaultdict(list)
    for member in members:
        if member.person_id in by_person:
            found[member.campaign_id].append(by_person[member.person_id])
    return found
