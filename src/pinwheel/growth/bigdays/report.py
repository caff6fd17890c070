"""The report of an event: what was sold, what of it would have been sold anyway, earlier, later or
as something else; and by which method that is known."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Literal

import msgspec

from pinwheel.growth.bigdays import queries
from pinwheel.growth.bigdays.measuring import (
    LEAST_CONTROL,
    LEAST_DAYS,
    Arm,
    Difference,
    Estimate,
    Shifted,
    TooShort,
    difference,
    shifted,
)
from pinwheel.growth.bigdays.model import BigDay
from pinwheel.kernel.db import Tx

PRE_DAYS = 56
POST_DAYS = 14


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """One part of what was sold. ``kind``: all, deal (goods with a deal), other, offer (one of the
    deals), known (who had bought before the window), new."""

    kind: str
    name: dict[str, str]
    gross_minor: int
    lift: Estimate
    pulled: Estimate
    incremental: Estimate


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """``method``: control, forecast, or none (too little is known: no figure is given but the
    gross one). ``gross_minor`` is what was sold on the event's days, and never what it brought.
    ``cannibalised``: what other goods lost on these days. ``is_final``: the days after are
    over."""

    event: BigDay
    method: Literal["control", "forecast", "none"]
    is_final: bool
    currency: str
    from_on: dt.date
    until_on: dt.date
    event_first: int
    event_last: int
    gross_minor: int
    incremental: Estimate | None
    lift: Estimate | None
    pulled: Estimate | None
    pulled_share: Estimate | None
    cannibalised: Estimate | None
    groups: list[Group]
    days: list[float]
    expected: list[float]
    low: list[float]
    high: list[float]
    control: Difference | None
    control_people: int
    pre_days: int
    post_days: int


class _Row(msgspec.Struct, frozen=True):
    day: int
    offer_id: uuid.UUID | None
    title: dict[str, str] | None
    known: bool
    net_minor: int


class _Span(msgspec.Struct, frozen=True):
    start: dt.date
    before: int
    first: int
    last: int
    days: int
    is_final: bool


async def report(tx: Tx, event_id: uuid.UUID) -> Report:
    """What the event brought, as far as it can be told now. Net of cancelled and returned pieces,
    by UTC days, in the event's market. 4 statements. ``NotFound``."""
    event = await queries.event(tx, event_id)
    span = await _span(tx, event)
    rows = await _rows(tx, event, span)
    series = _series(rows, span, lambda r: True)
    gross = int(sum(series[span.first : span.last]))
    treated, control = await _arms(tx, event, span)
    arms = difference(treated, control, event.holdout_percent) if event.holdout_percent else None
    measured = _measured(series, span)
    groups = _groups(rows, span)
    other = next((g for g in groups if g.kind == "other"), None)
    base = measured
    return Report(
        event=event,
        method="control" if arms else "forecast" if base else "none",
        is_final=span.is_final,
        currency=event.currency,
        from_on=span.start,
        until_on=span.start + dt.timedelta(days=span.days - 1),
        event_first=span.first,
        event_last=span.last,
        gross_minor=gross,
        incremental=arms.incremental if arms else base.incremental if base else None,
        lift=arms.lift if arms else base.lift if base else None,
        pulled=base.pulled if base else None,
        pulled_share=base.share if base else None,
        cannibalised=_turned(other.lift) if other else None,
        groups=groups,
        days=series,
        expected=base.expected if base else [],
        low=base.low if base else [],
        high=base.high if base else [],
        control=arms,
        control_people=control.people,
        pre_days=span.before,
        post_days=span.days - span.last,
    )


def _turned(lift: Estimate) -> Estimate:
    return Estimate(-lift.value, -lift.high, -lift.low)


async def _span(tx: Tx, event: BigDay) -> _Span:
    """Days from up to eight weeks before the pre-heat, but not before the shop's first order."""
    heat, first, last = event.preheat_at.date(), event.starts_at.date(), event.ends_at.date()
    if event.ends_at.time() == dt.time():
        last -= dt.timedelta(days=1)
    oldest: dt.datetime | None = await tx.value(
        "select min(placed_at) from orders.v_purchase where cell = $1 and market = $2",
        tx.cell,
        event.market,
    )
    start = heat - dt.timedelta(days=PRE_DAYS)
    if oldest is not None and oldest.date() + dt.timedelta(days=1) > start:
        start = min(heat, oldest.date() + dt.timedelta(days=1))
    wanted = last + dt.timedelta(days=POST_DAYS)
    until = max(min(wanted, tx.now.date() - dt.timedelta(days=1)), last)
    return _Span(
        start=start,
        before=(heat - start).days,
        first=(first - start).days,
        last=(last - start).days + 1,
        days=(until - start).days + 1,
        is_final=tx.now.date() > wanted,
    )


async def _rows(tx: Tx, event: BigDay, span: _Span) -> list[_Row]:
    return await tx.rows(
        _Row,
        """
        with sale as (
          select o.person_id, (o.placed_at at time zone 'UTC')::date - $4::date as day, l.offer_id,
                 l.title,
                 l.total_minor * greatest(0, l.quantity - l.cancelled - l.returned) / l.quantity
                   as net_minor
            from orders.v_purchase o
            join orders.v_line l on l.cell = o.cell and l.order_id = o.order_id
           where o.cell = $1 and o.market = $3 and o.state in ('placed', 'shipped', 'delivered')
             and o.placed_at >= $4::date::timestamp at time zone 'UTC'
             and o.placed_at < ($4::date + $5::int)::timestamp at time zone 'UTC'
        ), known as (
          select distinct person_id from orders.v_purchase
           where cell = $1 and state in ('placed', 'shipped', 'delivered')
             and placed_at < $4::date::timestamp at time zone 'UTC' and person_id is not null
        )
        select s.day, d.offer_id, case when d.offer_id is not null then min(s.title::text)::jsonb
               end as title, k.person_id is not null as known, sum(s.net_minor)::bigint as net_minor
          from sale s
          left join (select distinct offer_id from bigdays.deal where cell = $1 and event_id = $2) d
            on d.offer_id = s.offer_id
          left join known k on k.person_id = s.person_id
         group by s.day, d.offer_id, k.person_id is not null
        """,
        tx.cell,
        event.id,
        event.market,
        span.start,
        span.days,
    )


def _series(rows: Sequence[_Row], span: _Span, wanted: object) -> list[float]:
    values = [0.0] * span.days
    assert callable(wanted)
    for row in rows:
        if wanted(row):
            values[row.day] += row.net_minor
    return values


def _measured(values: Sequence[float], span: _Span) -> Shifted | None:
    try:
        return shifted(values, span.start.weekday(), span.before, (span.first, span.last))
    except TooShort:
        return None


def _groups(rows: Sequence[_Row], span: _Span) -> list[Group]:
    offers = {r.offer_id: r.title or {} for r in rows if r.offer_id is not None}
    asked: list[tuple[str, dict[str, str], object]] = [
        ("all", {}, lambda r: True),
        ("deal", {}, lambda r: r.offer_id is not None),
        ("other", {}, lambda r: r.offer_id is None),
        ("known", {}, lambda r: r.known),
        ("new", {}, lambda r: not r.known),
        *(
            ("offer", title, lambda r, i=offer_id: r.offer_id == i)
            for offer_id, title in sorted(offers.items())[:50]
        ),
    ]
    found = []
    for kind, name, wanted in asked:
        one = _measured(_series(rows, span, wanted), span)
        if one is not None:
            found.append(
                Group(
                    kind=kind,
                    name=name,
                    gross_minor=int(one.gross),
                    lift=one.lift,
                    pulled=one.pulled,
                    incremental=one.incremental,
                )
            )
    return found


class _Sums(msgspec.Struct, frozen=True):
    is_control: bool
    people: int
    event: float
    event_squares: float
    whole: float
    whole_squares: float


async def _arms(tx: Tx, event: BigDay, span: _Span) -> tuple[Arm, Arm]:
    """What the people of each arm bought from the pre-heat on; the hash is the gate's."""
    rows = await tx.rows(
        _Sums,
        """
        with bought as (
          select o.person_id,
                 sum(l.total_minor * greatest(0, l.quantity - l.cancelled - l.returned)
                     / l.quantity)::float8 as whole,
                 coalesce(sum(l.total_minor * greatest(0, l.quantity - l.cancelled - l.returned)
                     / l.quantity) filter (where o.placed_at >= $5 and o.placed_at < $6), 0)::float8
                   as event
            from orders.v_purchase o
            join orders.v_line l on l.cell = o.cell and l.order_id = o.order_id
           where o.cell = $1 and o.market = $3 and o.person_id is not null
             and o.state in ('placed', 'shipped', 'delivered')
             and o.placed_at >= $4 and o.placed_at < $7::date::timestamp at time zone 'UTC'
             and $8 > 0
           group by o.person_id
        )
        select ('x' || substr(md5($2::text || ':' || person_id::text), 1, 7))::bit(28)::int % 100
                 < $8 as is_control,
               count(*)::int as people, sum(event) as event, sum(event * event) as event_squares,
               sum(whole) as whole, sum(whole * whole) as whole_squares
          from bought group by 1
        """,
        tx.cell,
        str(event.id),
        event.market,
        event.preheat_at,
        event.starts_at,
        event.ends_at,
        span.start + dt.timedelta(days=span.days),
        event.holdout_percent,
    )
    nothing = Arm(people=0, event=0, event_squares=0, whole=0, whole_squares=0)
    found = {
        r.is_control: Arm(
            people=r.people,
            event=r.event,
            event_squares=r.event_squares,
            whole=r.whole,
            whole_squares=r.whole_squares,
        )
        for r in rows
    }
    return found.get(False, nothing), found.get(True, nothing)


__all__ = ["LEAST_CONTROL", "LEAST_DAYS", "POST_DAYS", "PRE_DAYS", "Group", "Report", "report"]
