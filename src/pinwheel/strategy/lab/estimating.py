"""What the shop makes of its own records, beside what was planted: every estimate reads what an
operator could read, with an interval; none looks at the truth."""

from __future__ import annotations

import hashlib
import math
import uuid
from collections import Counter

import msgspec
import numpy as np

from pinwheel.ground import trust
from pinwheel.growth import measurement
from pinwheel.insight import audience, experiments
from pinwheel.kernel.db import Tx
from pinwheel.strategy.lab.living import City
from pinwheel.strategy.lab.model import BEGINS, CURRENCY, RING, Estimate, estimate
from pinwheel.strategy.lab.world import EXPERIMENT

Z = 1.96
FULL_CIRCLE_DAYS = 5  # until a buyer's friends have come: a day to ask, a team's window, slots
TOGETHER_MAKE_A_RING = 3
LEAST = 20


class First(msgspec.Struct, frozen=True):
    """A buyer's first order, and by whose link it came."""

    person_id: uuid.UUID
    day: int
    channel: str
    invited_by: uuid.UUID | None


async def estimates(tx: Tx, city: City) -> list[Estimate]:
    """Each planted truth beside its estimate."""
    firsts = await _firsts(tx, city)
    return [
        _viral(city, firsts),
        await _lift(tx, city),
        *await _coming_back(tx, city, firsts),
        *await _acquisition(tx, city, firsts),
        *await _fraud(tx, city),
    ]


async def _firsts(tx: Tx, city: City) -> list[First]:
    """First paid orders. The fraudster's accounts are in: the shop doesn't know them."""
    return await tx.rows(
        First,
        """
        select distinct on (p.person_id) p.person_id,
               floor(extract(epoch from p.placed_at - $2) / 86400)::int as day, p.channel,
               m.invited_by
          from orders.v_purchase p
          left join social.v_team_member m on m.cell = p.cell and m.order_id = p.order_id
         where p.cell = $1 and p.person_id is not null and p.secured_minor > 0
         order by p.person_id, p.placed_at, p.order_id
        """,
        tx.cell,
        BEGINS,
    )


def _viral(city: City, firsts: list[First]) -> Estimate:
    """K: buyers brought by each buyer whose friends have had their time to come, with the interval
    that the console shows."""
    settled = {f.person_id for f in firsts if f.day < city.scenario.days - FULL_CIRCLE_DAYS}
    brought = dict.fromkeys(settled, 0)
    for first in firsts:
        if first.invited_by in brought:
            brought[first.invited_by] += 1
    found = None
    if len(settled) >= LEAST:
        k = measurement.k_of(Counter(brought.values()))
        if k is not None and k.high is not None:
            found = (k.point, k.low, k.high)
    return estimate(
        "viral_k",
        city.truth.k,
        found,
        baseline=sum(f.invited_by is not None for f in firsts) / max(1, len(firsts)),
        how="orders brought per buyer, by team links; baseline: share of buyers who came by a link",
    )


async def _lift(tx: Tx, city: City) -> Estimate:
    """Orders per person more because of the coupon, by the experiment's own figures."""
    found = await experiments.results(tx, EXPERIMENT)
    gap = None
    if found.figures is not None:
        for line in found.figures.lines:
            if line.metric.key == "orders":
                arm = next(a for a in line.arms if a.variation == "coupon")
                gap = _interval(arm.gap)
    return estimate(
        "coupon_lift_orders",
        city.truth.pull,
        gap,
        how="always-valid interval of orders per exposed person",
    )


async def _coming_back(tx: Tx, city: City, firsts: list[First]) -> list[Estimate]:
    """How often buyers come again and how soon they stop, by BG/NBD while nothing else brings them
    back: until they are given a coupon, and without those who came by a friend and may soon open a
    team of their own. Leaving out whoever has a coupon would be wrong: it comes with a parcel, so
    who orders more often has one sooner."""
    rows = await tx.connection.fetch(
        """
        select person_id, array_agg(distinct placed_at order by placed_at) as at
          from orders.v_purchase
         where cell = $1 and person_id is not null and secured_minor > 0
         group by person_id order by person_id
        """,
        tx.cell,
    )
    given = {city.buyers[n].person_id: at for n, at in city.treated.items()}
    brought = {f.person_id for f in firsts if f.invited_by is not None}
    x, last, watched = [], [], []
    for row in rows:
        if row["person_id"] in brought:
            continue
        until = given.get(row["person_id"], city.scenario.ends)
        at = [one for one in row["at"] if one <= until]
        x.append(len(at) - 1)
        last.append((at[-1] - at[0]).total_seconds() / 86400)
        watched.append((until - at[0]).total_seconds() / 86400)
    truth, found = city.truth, None
    if len(x) >= 200:
        found = audience.fit_bgnbd(np.array(x, float), np.array(last), np.array(watched))
    rate = stop = None
    if found is not None and found.covariance is not None:
        cov = found.covariance
        spread = math.sqrt(max(0.0, cov[0][0] + cov[1][1] - 2 * cov[0][1]))
        mean = found.r / found.alpha
        rate = (mean, mean * math.exp(-Z * spread), mean * math.exp(Z * spread))
        share = found.a / (found.a + found.b)
        odds = math.log(found.a / found.b)
        reach = Z * math.sqrt(max(0.0, cov[2][2] + cov[3][3] - 2 * cov[2][3]))
        stop = (share, _logistic(odds - reach), _logistic(odds + reach))
    plain = sum(x) / sum(watched) if watched and sum(watched) else 0.0
    return [
        estimate(
            "orders_a_day_while_alive",
            truth.r / truth.alpha_days,
            rate,
            baseline=plain,
            how="BG/NBD r/alpha; baseline: repeat orders over days watched",
        ),
        estimate(
            "stops_after_an_order",
            truth.a / (truth.a + truth.b),
            stop,
            how="BG/NBD a/(a+b), mean chance to stop after a repeat order",
        ),
    ]


async def _acquisition(tx: Tx, city: City, firsts: list[First]) -> list[Estimate]:
    """What a new buyer of a channel costs in marketing, as it was recorded; Poisson interval of
    the count."""
    made, recorded = [], Counter[str]()
    for line in await measurement.spend(tx, BEGINS.date(), city.scenario.ends.date()):
        recorded[line.channel] += line.amount_minor
    for channel, daily in sorted(city.truth.spend_minor.items()):
        count = sum(f.channel == channel for f in firsts)
        spent = recorded[channel]
        found = None
        if count >= 5:
            half = Z / math.sqrt(count)
            cost = spent / count
            found = (cost, cost * math.exp(-half), cost * math.exp(half))
        made.append(
            estimate(
                f"cost_per_buyer_{channel}",
                daily / city.truth.brings[channel],
                found,
                unit=f"{CURRENCY}_minor",
                how="spend over first paid orders of the channel",
            )
        )
    return made


async def _fraud(tx: Tx, city: City) -> list[Estimate]:
    """How much of the ring is known for one person, and how many of those so known belong to it."""
    people = {b.person_id: b for b in city.buyers if b.person_id is not None}
    clusters = await trust.cluster_of(tx, sorted(people))
    sizes: dict[object, int] = {}
    for cluster in clusters.values():
        sizes[cluster] = sizes.get(cluster, 0) + 1
    flagged = [p for p, c in clusters.items() if sizes[c] >= TOGETHER_MAKE_A_RING]
    hits = sum(people[p].ring for p in flagged)
    ring = sum(b.ring for b in people.values())
    return [
        estimate("fraud_recall", 1.0, _share(hits, ring), how=f"of {RING} accounts of one person"),
        estimate("fraud_precision", 1.0, _share(hits, len(flagged)), how="of those flagged"),
    ]


def _interval(effect: experiments.Effect) -> tuple[float, float, float] | None:
    if effect.point is None or effect.low is None or effect.high is None:
        return None
    return effect.point, effect.low, effect.high


def _share(hits: int, of: int) -> tuple[float, float, float] | None:
    """A share with Wilson's interval (1927)."""
    if not of:
        return None
    share, n = hits / of, float(of)
    middle = (share + Z * Z / (2 * n)) / (1 + Z * Z / n)
    half = Z * math.sqrt(share * (1 - share) / n + Z * Z / (4 * n * n)) / (1 + Z * Z / n)
    return share, max(0.0, middle - half), min(1.0, middle + half)


def _logistic(odds: float) -> float:
    return 1 / (1 + math.exp(-odds))


class _Flow(msgspec.Struct, frozen=True):
    document_kind: str
    debit: str
    credit: str
    unit: str
    amount: int
    transfers: int


class _Kind(msgspec.Struct, frozen=True):
    kind: str
    facts: int


async def hash_of(tx: Tx) -> str:
    """A name for everything in the books: sums of the ledger by kind of account, and facts by
    kind. Ids are left out, so that it says what happened and not what it was called."""
    flows = await tx.rows(
        _Flow,
        """
        select document_kind, debit, credit, unit, sum(amount)::bigint as amount,
               count(*) as transfers
          from (
          select document_kind, amount,
                 regexp_replace(debit, '[0-9a-f]{8}-[0-9a-f-]{27}', '*', 'g') as debit,
                 regexp_replace(credit, '[0-9a-f]{8}-[0-9a-f-]{27}', '*', 'g') as credit,
                 regexp_replace(unit, '[0-9a-f]{8}-[0-9a-f-]{27}', '*', 'g') as unit
            from ledger.v_posting where cell = $1) p
         group by 1, 2, 3, 4 order by 1, 2, 3, 4
        """,
        tx.cell,
    )
    facts = await tx.rows(
        _Kind,
        """
        select kind, count(*) as facts from audience.v_feed
         where cell = $1 and kind like 'orders.%' group by kind order by kind
        """,
        tx.cell,
    )
    return hashlib.sha256(msgspec.json.encode((flows, facts))).hexdigest()
