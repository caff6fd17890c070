"""Sums of what units did, as few passes over the exposure log and the orders as there are."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from pinwheel.insight.experiments import spilling
from pinwheel.insight.experiments import statistics as st
from pinwheel.insight.experiments.model import WHOLE, Metric, Phase
from pinwheel.insight.experiments.spilling import Ways
from pinwheel.insight.experiments.statistics import Moments
from pinwheel.kernel.db import Tx


class _Sums(msgspec.Struct, frozen=True):
    """``n`` rows that were summed; of single units those that did nothing are not among them."""

    key: str
    variation: str
    n: int
    y: float
    yy: float
    d: float
    dd: float
    yd: float
    x: float
    xx: float
    xy: float


class _Raised(_Sums, frozen=True):
    """``…_h``: divided by 1 - h, h the cluster's share of d (None where one cluster is all)."""

    yy_h: float | None
    yd_h: float | None
    dd_h: float | None
    dddd_h: float | None


class Span(msgspec.Struct, frozen=True, order=True):
    """The days that metrics look at: what is measured in one pass."""

    from_days: int
    window_days: int
    pre_days: int


def spans(metrics: Sequence[Metric]) -> dict[Span, list[Metric]]:
    """As few passes as there are: who looks at nothing before goes with whoever looks at the same
    days after."""
    found: dict[Span, list[Metric]] = {}
    for metric in sorted(metrics, key=lambda m: -m.pre_days):
        same = (metric.from_days, metric.window_days)
        span = Span(*same, metric.pre_days)
        if not metric.pre_days:
            span = next((s for s in found if (s.from_days, s.window_days) == same), span)
        found.setdefault(span, []).append(metric)
    return found


async def moments(tx: Tx, phase: Phase, metric: Metric) -> dict[str, Moments]:
    """The sums of one metric by variation, over all units at ``tx.now``."""
    return (await all_moments(tx, phase, [metric], await spilling.ways(tx, phase)))[metric.key]


async def all_moments(
    tx: Tx, phase: Phase, metrics: Sequence[Metric], ways: Ways
) -> dict[str, dict[str, Moments]]:
    """The sums by metric and variation. Two statements a span of days, of clusters one."""
    found: dict[str, dict[str, Moments]] = {metric.key: {} for metric in metrics}
    for span, asked in spans(metrics).items():
        if phase.plan.unit == "cluster":
            for row in await _of_clusters(tx, phase, span, asked, ways):
                found[row.key][row.variation] = _clustered(row)
            continue
        idle = await _counted(tx, phase, span)
        sums = {(row.key, row.variation): row for row in await _of_units(tx, phase, span, asked)}
        for metric in asked:
            for variation in {*idle, *(v for key, v in sums if key == metric.key)}:
                found[metric.key][variation] = _with_idle(
                    metric, sums.get((metric.key, variation)), idle.get(variation, 0)
                )
    return found


def _with_idle(metric: Metric, row: _Sums | None, counted: int) -> Moments:
    """A unit that did nothing has a y of 0, and a d of 1 where d only counts units. ``row.n`` holds
    the erased alone, who are not in ``counted``."""
    if row is None:
        idle = float(counted) if metric.denominator is None else 0.0
        return Moments(n=counted, d=idle, dd=idle)
    n = counted + row.n
    each = metric.denominator is None
    return Moments(
        n=n,
        y=row.y,
        yy=row.yy,
        d=n if each else row.d,
        dd=n if each else row.dd,
        yd=row.y if each else row.yd,
        x=row.x,
        xx=row.xx,
        xy=row.xy,
    )


def _clustered(row: _Raised) -> Moments:
    raised = None
    if row.yy_h is not None and row.yd_h is not None and row.dd_h and row.d:
        free = st.freedom(row.d, row.dd, row.dd_h, row.dddd_h or 0.0)
        raised = st.Leverage(row.yy_h, row.yd_h, row.dd_h, free)
    names = ("n", "y", "yy", "d", "dd", "yd", "x", "xx", "xy")
    return Moments(**{name: getattr(row, name) for name in names}, leverage=raised)


class _Size(msgspec.Struct, frozen=True):
    variation: str
    n: int


async def _counted(tx: Tx, phase: Phase, span: Span) -> dict[str, int]:
    """How many units each variation has, without the erased. One statement."""
    rows = await tx.rows(
        _Size,
        """
        select variation, count(*) as n from experiments.counted($1::smallint, $2, $3, $4, $5)
         where frozen is null group by variation
        """,
        tx.cell,
        phase.experiment_id,
        phase.number,
        span.window_days,
        tx.now,
    )
    return {row.variation: row.n for row in rows}


async def _of_units(tx: Tx, phase: Phase, span: Span, metrics: Sequence[Metric]) -> list[_Sums]:
    # A cap by quantile is over all variations together, else it would hide the treatment's own
    # tail. What somebody did who was erased is kept as figures, which count as they are.
    return await tx.rows(
        _Sums,
        """
        with metric as (
          select * from jsonb_to_recordset($4::jsonb) as m(key text, numerator text,
            denominator text, margin float8, pre boolean, cap float8, quantile float8)
        ), figure as materialized (
          select * from experiments.figures($1::smallint, $2, $3, $5, $6, $7, $8)
        ), one as (
          select m.key, f.variation, 0 as is_erased,
                 experiments.taken(m.numerator, m.margin, f.orders, f.pieces, f.revenue,
                                   f.discount, f.given) as value,
                 experiments.taken(m.denominator, m.margin, f.orders, f.pieces, f.revenue,
                                   f.discount, f.given) as d,
                 case when m.pre then experiments.taken(m.numerator, m.margin, f.orders_0,
                   f.pieces_0, f.revenue_0, f.discount_0, 0) else 0 end as before
            from figure f cross join metric m
          union all
          select m.key, c.variation, 1, (c.frozen -> m.key ->> 0)::float8,
                 (c.frozen -> m.key ->> 1)::float8, (c.frozen -> m.key ->> 2)::float8
            from experiments.counted($1::smallint, $2, $3, $6, $8) c cross join metric m
           where c.frozen is not null and c.frozen ->> m.key is not null
        ), cap as (
          select m.key, coalesce(m.cap, q.most, 'infinity') as most
            from metric m
            left join (select o.key, percentile_disc(m.quantile) within group (order by o.value)
                                as most
                         from one o join metric m on m.key = o.key
                        where m.quantile is not null and o.value > 0
                        group by o.key, m.quantile) q on q.key = m.key
        )
        select key, variation, sum(is_erased)::bigint as n, sum(y) as y, sum(y * y) as yy,
               sum(d) as d, sum(d * d) as dd, sum(y * d) as yd, sum(x) as x, sum(x * x) as xx,
               sum(x * y) as xy
          from (select o.key, o.variation, o.is_erased, least(o.value, c.most) as y, o.d,
                       least(o.before, c.most) as x
                  from one o join cap c on c.key = o.key) summed
         group by key, variation
        """,
        tx.cell,
        phase.experiment_id,
        phase.number,
        _asked(metrics),
        span.from_days,
        span.window_days,
        span.pre_days,
        tx.now,
    )


def _asked(metrics: Sequence[Metric]) -> list[dict[str, object]]:
    return [
        {
            "key": m.key,
            "numerator": m.numerator,
            "denominator": m.denominator or "",
            "margin": m.margin_basis_points / WHOLE,
            "pre": m.pre_days > 0,
            "cap": m.cap_minor,
            "quantile": m.cap_quantile,
        }
        for m in metrics
    ]


async def _of_clusters(
    tx: Tx, phase: Phase, span: Span, metrics: Sequence[Metric], ways: Ways
) -> list[_Raised]:
    """As ``_of_units`` with the cluster as the unit: d is its size (of a ratio: its denominator),
    so that the ratio of sums is the mean of units and its error knows of the clusters. Somebody
    with ties to other clusters counts when all of them were sent the same way, by the inverse of
    how likely that was (see ``spilling``)."""
    return await tx.rows(
        _Raised,
        """
        with metric as (
          select * from jsonb_to_recordset($4::jsonb) as m(key text, numerator text,
            denominator text, margin float8, pre boolean, cap float8, quantile float8)
        ), sent as (
          select * from unnest($9::uuid[], $10::text[]) as s(cluster_id, variation)
        ), way as (
          select * from unnest($11::text[], $12::float8[]) as w(variation, chance)
        ), tied as (
          select t.subject_id, count(*) as others, min(s.variation) as variation,
                 min(s.variation) = max(s.variation) as is_one
            from experiments.tie t join sent s on s.cluster_id = t.cluster_id
           where t.cell = $1 and t.experiment_id = $2 group by t.subject_id
        ), unit as materialized (
          select c.*, power(w.chance, -coalesce(t.others, 0)) as weight
            from experiments.counted($1::smallint, $2, $3, $6, $8) c
            join way w on w.variation = c.variation
            left join tied t on t.subject_id = c.subject_id
           where t.others is null
              or (t.others <= $13 and t.is_one and t.variation = c.variation)
        ), figure as materialized (
          select * from experiments.figures($1::smallint, $2, $3, $5, $6, $7, $8)
        ), one as (
          select m.key, u.variation, u.cluster_id, u.weight,
                 coalesce(experiments.taken(m.numerator, m.margin, f.orders, f.pieces, f.revenue,
                                            f.discount, f.given), 0) as value,
                 case when m.denominator = '' then 1
                      else coalesce(experiments.taken(m.denominator, m.margin, f.orders, f.pieces,
                             f.revenue, f.discount, f.given), 0) end as d,
                 case when m.pre then coalesce(experiments.taken(m.numerator, m.margin,
                   f.orders_0, f.pieces_0, f.revenue_0, f.discount_0, 0), 0) else 0 end as before
            from unit u left join figure f on f.subject_id = u.subject_id cross join metric m
           where u.frozen is null
          union all
          select m.key, u.variation, u.cluster_id, u.weight, (u.frozen -> m.key ->> 0)::float8,
                 (u.frozen -> m.key ->> 1)::float8, (u.frozen -> m.key ->> 2)::float8
            from unit u cross join metric m
           where u.frozen is not null and u.frozen ->> m.key is not null
        ), cap as (
          select m.key, coalesce(m.cap, q.most, 'infinity') as most
            from metric m
            left join (select o.key, percentile_disc(m.quantile) within group (order by o.value)
                                as most
                         from one o join metric m on m.key = o.key
                        where m.quantile is not null and o.value > 0
                        group by o.key, m.quantile) q on q.key = m.key
        ), cluster as (
          select o.key, o.variation, o.cluster_id, sum(o.weight * least(o.value, c.most)) as y,
                 sum(o.weight * o.d) as d, sum(o.weight * least(o.before, c.most)) as x
            from one o join cap c on c.key = o.key group by o.key, o.variation, o.cluster_id
        ), shared as (
          select *, 1 - d / nullif(sum(d) over (partition by key, variation), 0) as rest
            from cluster
        )
        select key, variation, count(*) as n, sum(y) as y, sum(y * y) as yy, sum(d) as d,
               sum(d * d) as dd, sum(y * d) as yd, sum(x) as x, sum(x * x) as xx,
               sum(x * y) as xy,
               case when bool_and(rest > 0) then sum(y * y / nullif(rest, 0)) end as yy_h,
               case when bool_and(rest > 0) then sum(y * d / nullif(rest, 0)) end as yd_h,
               case when bool_and(rest > 0) then sum(d * d / nullif(rest, 0)) end as dd_h,
               case when bool_and(rest > 0) then sum((d * d / nullif(rest, 0)) ^ 2) end as dddd_h
          from shared group by key, variation
        """,
        tx.cell,
        phase.experiment_id,
        phase.number,
        _asked(metrics),
        span.from_days,
        span.window_days,
        span.pre_days,
        tx.now,
        list(ways.sent),
        list(ways.sent.values()),
        list(ways.chances),
        list(ways.chances.values()),
        ways.most_others,
    )
