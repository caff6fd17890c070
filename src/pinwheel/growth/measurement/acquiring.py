"""What it costs to win a buyer: spend, rewards and subsidies, to the cent of the ledger."""

from __future__ import annotations

import datetime as dt
import math
import statistics
import uuid
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from pinwheel.growth.measurement import touching
from pinwheel.growth.measurement.attribution import (
    MODELS,
    UNKNOWN,
    Model,
    Touch,
    credits,
    path_of,
    weighted,
    weights_of,
    whole_cents,
)
from pinwheel.growth.measurement.model import Interval
from pinwheel.growth.measurement.viral import poisson_bounds
from pinwheel.insight import audience
from pinwheel.kernel.db import Tx

WINNING = ("marketing", "first_order", "programme")
"""Classes of cost that are the cost of winning buyers."""
MOST_BUYERS = 20_000
PROGRAMMES = "programmes"


class CostLine(msgspec.Struct, frozen=True):
    """Postings of one class, month, channel and new buyer, added up."""

    month: dt.date
    kind: str
    channel: str
    person_id: uuid.UUID | None
    amount_minor: int


class Won(msgspec.Struct, frozen=True):
    person_id: uuid.UUID
    month: dt.date
    first_at: dt.datetime
    order_channel: str


class Month(msgspec.Struct, frozen=True):
    month: dt.date
    revenue_minor: int


class Paid(msgspec.Struct, frozen=True):
    """Revenue of a cohort on a day since the first order."""

    month: dt.date
    day: int
    revenue_minor: int


class Worth(msgspec.Struct, frozen=True):
    """Expected lifetime value of a buyer, an estimate; ``low`` to ``high`` is the interval of the
    mean."""

    people: int
    mean_minor: float
    low_minor: float
    high_minor: float


class ChannelLine(msgspec.Struct, frozen=True, kw_only=True):
    """A channel by one rule: what it is credited with, what it cost, marketing and what was given
    to its buyers. ``cac``: minor units for a buyer, with the Poisson interval of the buyers."""

    channel: str
    buyers: float
    marketing_minor: int
    given_minor: int
    cac: Interval | None
    worth: Worth | None

    @property
    def cost_minor(self) -> int:
        return self.marketing_minor + self.given_minor


class Cohort(msgspec.Struct, frozen=True, kw_only=True):
    """Buyers of a month. ``payback_days``: the day on which the margin of a buyer has paid for
    winning them; None: not yet, among ``seen_days`` that all of them have been here for.
    ``cents``: acquisition cost for each unit of revenue, in hundredths."""

    month: dt.date
    buyers: int
    cost_minor: int
    revenue_minor: int
    cac: Interval | None
    worth: Worth | None
    payback_days: int | None
    seen_days: int
    cents: float | None

    @property
    def ratio(self) -> Interval | None:
        """LTV by CAC, an estimate: the ends are those that both allow."""
        if self.cac is None or self.worth is None or not self.cac.point:
            return None
        high = None if not self.cac.low else self.worth.high_minor / self.cac.low
        low = 0.0 if not self.cac.high else self.worth.low_minor / self.cac.high
        return Interval(self.worth.mean_minor / self.cac.point, low, high, self.buyers)


class Acquisition(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch in one currency. ``classes`` add up to ``ledger_minor``, which is asked of the
    ledger apart; ``difference_minor`` is 0, or something is broken."""

    since: dt.date
    until: dt.date
    currency: str
    buyers: int
    classes: dict[str, int]
    ledger_minor: int
    cost_minor: int
    revenue_minor: int
    cac: Interval | None
    without_rewards: Interval | None
    models: dict[str, list[ChannelLine]]
    cohorts: list[Cohort]
    margin_basis_points: int
    unknown: int

    @property
    def difference_minor(self) -> int:
        return sum(self.classes.values()) - self.ledger_minor


def cac_of(cost_minor: int, buyers: float) -> Interval | None:
    """Cost by buyers; the interval is that of how many come (Poisson), since the cost is known.
    None where nobody came: then there is no such figure."""
    if buyers <= 0:
        return None
    few, many = poisson_bounds(buyers)
    return Interval(
        cost_minor / buyers, cost_minor / many, cost_minor / few if few else None, round(buyers)
    )


def worth_of(values: Sequence[int]) -> Worth | None:
    """The mean of lifetime values with its 95 % interval; None of nobody."""
    if not values:
        return None
    mean = statistics.fmean(values)
    spread = statistics.stdev(values) if len(values) > 1 else 0.0
    reach = 1.96 * spread / math.sqrt(len(values))
    return Worth(len(values), mean, mean - reach, mean + reach)


def payback(
    paid: Mapping[int, int], buyers: int, cac: Interval | None, margin: float, seen_days: int
) -> int | None:
    """The first day by which the margin of an average buyer covers what they cost."""
    if cac is None or not buyers:
        return None
    so_far = 0.0
    for day in sorted(d for d in paid if d <= seen_days):
        so_far += paid[day] * margin / buyers
        if so_far >= cac.point:
            return max(0, day)
    return None


async def acquisition(tx: Tx, since: dt.date, until: dt.date, currency: str) -> Acquisition:
    """The cost of winning buyers from ``since`` to before ``until``. 8 statements."""
    lines = await _costs(tx, since, until, currency)
    won = await _won(tx, since, until, currency)
    worths = await _worths(tx, [w.person_id for w in won], currency)
    margin = (await audience.assumptions(tx)).margin_basis_points
    named = {w.person_id for w in won} | {c.person_id for c in lines if c.person_id}
    touches = await touching.touches(tx, sorted(named)[:MOST_BUYERS])
    lost = await touching.lost_paths(tx, since, until)
    revenue = {m.month: m.revenue_minor for m in await _revenue(tx, since, until, currency)}
    classes = Counter[str]()
    for line in lines:
        classes[line.kind] += line.amount_minor
    cost = sum(classes[k] for k in WINNING)
    first_at = {w.person_id: w.first_at for w in won}
    return Acquisition(
        since=since,
        until=until,
        currency=currency,
        buyers=len(won),
        classes=dict(classes),
        ledger_minor=await _ledger(tx, since, until, currency),
        cost_minor=cost,
        revenue_minor=sum(revenue.values()),
        cac=cac_of(cost, len(won)),
        without_rewards=cac_of(classes["marketing"], len(won)),
        models=channels_of(lines, first_at, touches, lost, worths),
        cohorts=_cohorts(
            tx, lines, won, worths, revenue, await _paid(tx, since, until, currency), margin
        ),
        margin_basis_points=margin,
        unknown=sum(1 for p in first_at if not touches.get(p)),
    )


def channels_of(
    lines: Sequence[CostLine],
    first_at: Mapping[uuid.UUID, dt.datetime],
    touches: Mapping[uuid.UUID, Sequence[Touch]],
    lost: Counter[tuple[str, ...]],
    worths: Mapping[uuid.UUID, int],
) -> dict[str, list[ChannelLine]]:
    """Each rule's channels, the dearest first. Whatever the rule, buyers add up to the buyers and
    costs to the cost, to the cent."""
    given: Counter[uuid.UUID] = Counter()
    by_channel: Counter[str] = Counter()
    for line in lines:
        if line.kind == "first_order" and line.person_id:
            given[line.person_id] += line.amount_minor
        elif line.kind in WINNING:
            by_channel[line.channel or PROGRAMMES] += line.amount_minor
    won = Counter(tuple(t.channel for t in path_of(touches[p])) for p in first_at if touches.get(p))
    found: dict[str, list[ChannelLine]] = {}
    for model in MODELS:
        weights = weights_of(model, won, lost) if model in ("markov", "shapley") else None
        found[model] = _lines(model, weights, given, by_channel, first_at, touches, worths)
    return found


def _lines(
    model: Model,
    weights: Mapping[str, float] | None,
    given: Counter[uuid.UUID],
    by_channel: Counter[str],
    first_at: Mapping[uuid.UUID, dt.datetime],
    touches: Mapping[uuid.UUID, Sequence[Touch]],
    worths: Mapping[uuid.UUID, int],
) -> list[ChannelLine]:
    buyers: dict[str, list[float]] = defaultdict(list)
    rewards: Counter[str] = Counter()
    value: dict[str, list[int]] = defaultdict(list)
    for person in sorted(first_at.keys() | given.keys()):
        path = touches.get(person, ())
        if weights is not None:
            shares = weighted(path, weights)
        else:
            bought_at = first_at.get(person) or max((t.at for t in path), default=None)
            shares = credits(path, bought_at, model) if bought_at else {UNKNOWN: 1.0}
        for channel, amount in whole_cents(shares, given[person]).items():
            rewards[channel] += amount
        if person in first_at:
            for channel, share in shares.items():
                buyers[channel].append(share)
                if person in worths and share >= 0.5:
                    value[channel].append(worths[person])
    rows = []
    for channel in sorted(buyers.keys() | rewards.keys() | by_channel.keys()):
        count = math.fsum(buyers[channel])
        cost = by_channel[channel] + rewards[channel]
        rows.append(
            ChannelLine(
                channel=channel,
                buyers=count,
                marketing_minor=by_channel[channel],
                given_minor=rewards[channel],
                cac=cac_of(cost, count),
                worth=worth_of(value[channel]),
            )
        )
    return sorted(rows, key=lambda r: (-r.cost_minor, -r.buyers, r.channel))


def _cohorts(
    tx: Tx,
    lines: Sequence[CostLine],
    won: Sequence[Won],
    worths: Mapping[uuid.UUID, int],
    revenue: Mapping[dt.date, int],
    paid: Sequence[Paid],
    margin_basis_points: int,
) -> list[Cohort]:
    cost: Counter[dt.date] = Counter()
    for line in lines:
        if line.kind in WINNING:
            cost[line.month] += line.amount_minor
    members: dict[dt.date, list[Won]] = defaultdict(list)
    for one in won:
        members[one.month].append(one)
    by_day: dict[dt.date, Counter[int]] = defaultdict(Counter)
    for row in paid:
        by_day[row.month][row.day] += row.revenue_minor
    found = []
    for month in sorted(members.keys() | cost.keys() | revenue.keys()):
        own = members[month]
        cac = cac_of(cost[month], len(own))
        seen = max(0, (tx.now - max(w.first_at for w in own)).days) if own else 0
        taken = revenue.get(month, 0)
        found.append(
            Cohort(
                month=month,
                buyers=len(own),
                cost_minor=cost[month],
                revenue_minor=taken,
                cac=cac,
                worth=worth_of([worths[w.person_id] for w in own if w.person_id in worths]),
                payback_days=payback(
                    by_day[month], len(own), cac, margin_basis_points / 10_000, seen
                ),
                seen_days=seen,
                cents=100 * cost[month] / taken if taken > 0 else None,
            )
        )
    return found


async def _costs(tx: Tx, since: dt.date, until: dt.date, currency: str) -> list[CostLine]:
    return await tx.rows(
        CostLine,
        """
        select date_trunc('month', posted_at at time zone 'UTC')::date as month, class as kind,
               channel, case when class = 'first_order' then person_id end as person_id,
               sum(amount_minor)::bigint as amount_minor
          from measurement.v_cost_line
         where cell = $1 and posted_at >= $2::date and posted_at < $3::date and currency = $4
         group by 1, 2, 3, 4 order by 1, 2, 3, 4
        """,
        tx.cell,
        since,
        until,
        currency,
    )


async def _ledger(tx: Tx, since: dt.date, until: dt.date, currency: str) -> int:
    """The same money, asked of the ledger alone."""
    found: int = await tx.value(
        """
        select coalesce(sum((d.is_cost::int - c.is_cost::int) * p.amount), 0)::bigint
          from ledger.v_posting p
         cross join lateral (select p.debit ~ '^(marketing:.*|budget:.*:spent)$' as is_cost) d
         cross join lateral (select p.credit ~ '^(marketing:.*|budget:.*:spent)$' as is_cost) c
         where p.cell = $1 and p.posted_at >= $2::date and p.posted_at < $3::date and p.unit = $4
        """,
        tx.cell,
        since,
        until,
        currency,
    )
    return found


async def _won(tx: Tx, since: dt.date, until: dt.date, currency: str) -> list[Won]:
    return await tx.rows(
        Won,
        """
        select person_id, date_trunc('month', first_at at time zone 'UTC')::date as month, first_at,
               order_channel
          from measurement.buyer
         where cell = $1 and first_at >= $2::date and first_at < $3::date and currency = $4
         order by first_at, person_id
        """,
        tx.cell,
        since,
        until,
        currency,
    )


async def _revenue(tx: Tx, since: dt.date, until: dt.date, currency: str) -> list[Month]:
    """The shop's own revenue as the ledger recognised it, without tax and sellers' part."""
    return await tx.rows(
        Month,
        """
        select date_trunc('month', posted_at at time zone 'UTC')::date as month,
               sum(amount_minor)::bigint as revenue_minor
          from tracking.v_revenue
         where cell = $1 and posted_at >= $2::date and posted_at < $3::date and currency = $4
           and kind in ('sales', 'delivery', 'freight', 'withheld')
         group by 1 order by 1
        """,
        tx.cell,
        since,
        until,
        currency,
    )


async def _paid(tx: Tx, since: dt.date, until: dt.date, currency: str) -> list[Paid]:
    return await tx.rows(
        Paid,
        """
        select date_trunc('month', b.first_at at time zone 'UTC')::date as month,
               floor(extract(epoch from r.posted_at - b.first_at) / 86400)::int as day,
               sum(r.amount_minor)::bigint as revenue_minor
          from measurement.buyer b
          join tracking.v_revenue r on r.cell = b.cell and r.person_id = b.person_id
         where b.cell = $1 and b.first_at >= $2::date and b.first_at < $3::date
           and b.currency = $4 and r.currency = $4
           and r.kind in ('sales', 'delivery', 'freight', 'withheld')
         group by 1, 2 order by 1, 2
        """,
        tx.cell,
        since,
        until,
        currency,
    )


async def _worths(tx: Tx, person_ids: Sequence[uuid.UUID], currency: str) -> dict[uuid.UUID, int]:
    """Expected lifetime values, with the first order in them where the model has it."""
    found = await audience.values_of(tx, list(person_ids)[:MOST_BUYERS])
    return {v.person_id: v.value_minor for v in found if v.currency == currency}
