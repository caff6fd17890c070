"""What a journey or a campaign has changed: those it was for against the holdout that nothing was
done to.

Everybody who entered counts, whatever became of their steps (intention to treat): the two groups
differ in the draw alone. Revenue is what was paid less what went back, of orders placed within the
days that count; the interval is Welch's, two-sided, 95 %."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.insight.experiments import Effect, Sample, fixed
from pinwheel.kernel.db import Tx
from pinwheel.kernel.settings import Settings

SEGMENT_DAYS, ENTRY_DAYS = 180, 30


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """People of one side; ``spread`` is the variance of one person's net revenue."""

    people: int = 0
    buyers: int = 0
    goals: int = 0
    net_minor: int = 0
    spread: float = 0.0

    @property
    def goal_rate(self) -> float:
        return self.goals / self.people if self.people else 0.0

    @property
    def net_each_minor(self) -> float:
        return self.net_minor / self.people if self.people else 0.0


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """``goal_rate`` and ``revenue``: treated less holdout, for each person, with an interval; no
    interval when there is too little to tell. ``incremental_minor``: the revenue difference times
    the people treated."""

    currency: str
    treated: Group
    holdout: Group
    open_windows: int  # people whose days are not over: the figures still move
    goal_rate: Effect
    revenue: Effect
    incremental_minor: Effect


class _Side(msgspec.Struct, frozen=True):
    id: uuid.UUID
    is_held: bool
    people: int
    buyers: int
    goals: int
    net_minor: int
    spread: float
    open_windows: int


def currency_of(tx: Tx) -> str:
    given = tx.db.given.get(Settings)
    return given.currency if isinstance(given, Settings) else "CNY"


async def journey_effect(tx: Tx, journey_id: uuid.UUID, currency: str | None = None) -> Measured:
    """Each person counts once, from their first entry. 1 statement."""
    return (await journey_effects(tx, [journey_id], currency))[journey_id]


async def journey_effects(
    tx: Tx, journey_ids: Sequence[uuid.UUID], currency: str | None = None
) -> dict[uuid.UUID, Measured]:
    """The same of many. 1 statement."""
    currency = currency or currency_of(tx)
    sides = await tx.rows(
        _Side,
        """
        with first as (
          select distinct on (journey_id, person_id) journey_id, person_id, is_held, entered_at,
                 goal_until, goal_at is not null as got_there
            from journeys.enrolment where cell = $1 and journey_id = any($2::uuid[])
           order by journey_id, person_id, entered_at, id
        ), net as (
          select f.journey_id, f.is_held, f.got_there, f.goal_until, coalesce(o.net, 0) as net
            from first f
            left join lateral (
              select sum(greatest(0, p.secured_minor - p.refunded_minor))::bigint as net
                from orders.v_purchase p
               where p.cell = $1 and p.person_id = f.person_id and p.currency = $3
                 and p.placed_at > f.entered_at and p.placed_at < f.goal_until
                 and p.state in ('placed', 'shipped', 'delivered')) o on true)
        select journey_id as id, is_held, count(*) as people,
               count(*) filter (where net > 0) as buyers,
               count(*) filter (where got_there) as goals, sum(net)::bigint as net_minor,
               coalesce(var_samp(net), 0)::float8 as spread,
               count(*) filter (where goal_until > $4) as open_windows
          from net group by journey_id, is_held
        """,
        tx.cell,
        list(journey_ids),
        currency,
        tx.now,
    )
    return _by_id(currency, journey_ids, sides)


async def campaign_effect(tx: Tx, campaign_id: uuid.UUID, currency: str | None = None) -> Measured:
    """Members who could be written to when the campaign began, from that moment on. 1 statement."""
    return (await campaign_effects(tx, [campaign_id], currency))[campaign_id]


async def campaign_effects(
    tx: Tx, campaign_ids: Sequence[uuid.UUID], currency: str | None = None
) -> dict[uuid.UUID, Measured]:
    """The same of many. 1 statement."""
    currency = currency or currency_of(tx)
    sides = await tx.rows(
        _Side,
        """
        with net as (
          select c.id, m.state = 'held' as is_held, coalesce(o.net, 0) as net,
                 c.began_at + make_interval(days => c.window_days) as until_at
            from journeys.campaign c
            join journeys.member m on m.cell = $1 and m.campaign_id = c.id and m.state <> 'left'
            left join lateral (
              select sum(greatest(0, p.secured_minor - p.refunded_minor))::bigint as net
                from orders.v_purchase p
               where p.cell = $1 and p.person_id = m.person_id and p.currency = $3
                 and p.placed_at > c.began_at
                 and p.placed_at < c.began_at + make_interval(days => c.window_days)
                 and p.state in ('placed', 'shipped', 'delivered')) o on true
           where c.id = any($2::uuid[]))
        select id, is_held, count(*) as people, count(*) filter (where net > 0) as buyers,
               count(*) filter (where net > 0) as goals, sum(net)::bigint as net_minor,
               coalesce(var_samp(net), 0)::float8 as spread,
               count(*) filter (where until_at > $4) as open_windows
          from net group by id, is_held
        """,
        tx.cell,
        list(campaign_ids),
        currency,
        tx.now,
    )
    return _by_id(currency, campaign_ids, sides)


async def segment_effects(
    tx: Tx, segment_ids: Sequence[uuid.UUID], currency: str | None = None
) -> dict[uuid.UUID, Measured]:
    """Whatever was done to a segment's members against its holdout: everybody who came in the last
    ``SEGMENT_DAYS``, gone since or not, for ``ENTRY_DAYS`` from their first entry. 1 statement."""
    currency = currency or currency_of(tx)
    sides = await tx.rows(
        _Side,
        """
        with first as (
          select e.segment_id, e.person_id, e.is_held, min(e.entered_at) as entered_at
            from audience.v_entry e where e.cell = $1 and e.segment_id = any($2::uuid[])
           group by e.segment_id, e.person_id, e.is_held
          having min(e.entered_at) > $4::timestamptz - make_interval(days => $5::int)
        ), net as (
          select f.segment_id, f.is_held, f.entered_at + make_interval(days => $6::int) as until_at,
                 coalesce(o.net, 0) as net
            from first f
            left join lateral (
              select sum(greatest(0, p.secured_minor - p.refunded_minor))::bigint as net
                from orders.v_purchase p
               where p.cell = $1 and p.person_id = f.person_id and p.currency = $3
                 and p.placed_at > f.entered_at
                 and p.placed_at < f.entered_at + make_interval(days => $6::int)
                 and p.state in ('placed', 'shipped', 'delivered')) o on true)
        select segment_id as id, is_held, count(*) as people,
               count(*) filter (where net > 0) as buyers, count(*) filter (where net > 0) as goals,
               sum(net)::bigint as net_minor, coalesce(var_samp(net), 0)::float8 as spread,
               count(*) filter (where until_at > $4) as open_windows
          from net group by segment_id, is_held
        """,
        tx.cell,
        list(segment_ids),
        currency,
        tx.now,
        SEGMENT_DAYS,
        ENTRY_DAYS,
    )
    return _by_id(currency, segment_ids, sides)


def _by_id(
    currency: str, ids: Sequence[uuid.UUID], sides: Sequence[_Side]
) -> dict[uuid.UUID, Measured]:
    return {one: _measured(currency, [s for s in sides if s.id == one]) for one in ids}


def _measured(currency: str, sides: list[_Side]) -> Measured:
    groups = {
        s.is_held: Group(
            people=s.people,
            buyers=s.buyers,
            goals=s.goals,
            net_minor=s.net_minor,
            spread=s.spread,
        )
        for s in sides
    }
    treated, holdout = groups.get(False, Group()), groups.get(True, Group())
    revenue = fixed(_money(holdout), _money(treated), relative=False)
    return Measured(
        currency=currency,
        treated=treated,
        holdout=holdout,
        open_windows=sum(s.open_windows for s in sides),
        goal_rate=fixed(_rate(holdout), _rate(treated), relative=False),
        revenue=revenue,
        incremental_minor=_times(revenue, treated.people),
    )


def _money(group: Group) -> Sample:
    each = group.net_each_minor
    return Sample(group.people, each, group.spread, each)


def _rate(group: Group) -> Sample:
    rate = group.goal_rate
    return Sample(group.people, rate, rate * (1 - rate), rate)


def _times(effect: Effect, people: int) -> Effect:
    def scaled(value: float | None) -> float | None:
        return None if value is None else value * people

    return Effect(
        scaled(effect.point), scaled(effect.low), scaled(effect.high), scaled(effect.error),
        effect.p,
    )  # fmt: skip


class Funnel(msgspec.Struct, frozen=True):
    """How often a step of the newest version was taken, and how it went."""

    version: int
    step: int
    kind: str
    outcome: str
    people: int


async def funnel(tx: Tx, journey_id: uuid.UUID) -> list[Funnel]:
    """By version, step and outcome."""
    return await tx.rows(
        Funnel,
        """
        select e.version, s.step, s.kind, s.outcome, count(*) as people
          from journeys.enrolment e
          join journeys.step s on s.cell = e.cell and s.enrolment_id = e.id
         where e.cell = $1 and e.journey_id = $2
         group by e.version, s.step, s.kind, s.outcome
         order by e.version desc, s.step, people desc limit 1000
        """,
        tx.cell,
        journey_id,
    )


class Standing(msgspec.Struct, frozen=True):
    state: str
    is_held: bool
    people: int


async def standing(tx: Tx, journey_id: uuid.UUID) -> list[Standing]:
    """How many enrolments are where."""
    return await tx.rows(
        Standing,
        """
        select state, is_held, count(*) as people from journeys.enrolment
         where cell = $1 and journey_id = $2 group by state, is_held order by state, is_held
        """,
        tx.cell,
        journey_id,
    )
