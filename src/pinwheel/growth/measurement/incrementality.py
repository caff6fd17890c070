"""What channels bring that would not have come without them: people held back, days and regions
switched off."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from pinwheel.growth.measurement import touching
from pinwheel.growth.measurement.attribution import credits
from pinwheel.growth.measurement.holdouts import (
    Lift,
    Side,
    by_days,
    by_people,
    by_regions,
    together,
)
from pinwheel.growth.measurement.model import Channel, TrialUnclear
from pinwheel.kernel.db import Tx

MOST_DAYS = 366
LEAST = 3
EMAIL = "email"
Region = Annotated[str, Meta(min_length=1, max_length=80)]


class NewTrial(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A plan, made before it begins: a channel is off on ``off_days``, or from ``starts_on`` to
    ``ends_on`` in ``off_regions`` (as in delivery addresses). Who decides afterwards which days
    count finds what they like."""

    channel: Channel
    kind: Literal["days", "regions"]
    starts_on: dt.date
    ends_on: dt.date
    off_days: Annotated[list[dt.date], Meta(max_length=MOST_DAYS)] = []
    off_regions: Annotated[list[Region], Meta(max_length=500)] = []


class Trial(msgspec.Struct, frozen=True):
    """A plan as it was kept. ``stopped_on``: the first day that no longer counts, None while it
    goes to its end."""

    id: uuid.UUID
    channel: str
    kind: str
    starts_on: dt.date
    ends_on: dt.date
    off_days: list[dt.date]
    off_regions: list[str]
    planned_at: dt.datetime
    planned_by: str
    stopped_on: dt.date | None

    @property
    def over_on(self) -> dt.date:
        """The first day after it."""
        over = self.ends_on + dt.timedelta(days=1)
        return min(over, self.stopped_on) if self.stopped_on else over


async def plan_trial(tx: Tx, new: NewTrial) -> uuid.UUID:
    """Keep the plan of a trial. Refuses ``TrialUnclear``: it has begun, is too long, or leaves too
    few days or regions on one side."""
    days = (new.ends_on - new.starts_on).days + 1
    off_days = sorted(set(new.off_days))
    if new.starts_on <= tx.now.date():
        raise TrialUnclear(
            why="it has to be planned before its first day", why_zh="必须在首日之前制定计划"
        )
    if not 1 <= days <= MOST_DAYS:
        raise TrialUnclear(why=f"1 to {MOST_DAYS} days", why_zh=f"须为 1 至 {MOST_DAYS} 天")
    if new.kind == "days":
        if any(not new.starts_on <= day <= new.ends_on for day in off_days) or new.off_regions:
            raise TrialUnclear(why="a day lies outside of it", why_zh="有日期不在试验期内")
        if len(off_days) < LEAST or days - len(off_days) < LEAST:
            raise TrialUnclear(
                why="at least 3 days on and 3 days off", why_zh="开启与关闭各至少 3 天"
            )
    elif off_days or len(set(new.off_regions)) < LEAST:
        raise TrialUnclear(
            why="at least 3 regions are off, and no days", why_zh="至少关闭 3 个地区，且不填日期"
        )
    trial_id = tx.new_id()
    await tx.run(
        """
        insert into measurement.trial (cell, id, channel, kind, starts_on, ends_on, off_days,
               off_regions, planned_at, planned_by)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        """,
        tx.cell,
        trial_id,
        new.channel,
        new.kind,
        new.starts_on,
        new.ends_on,
        off_days,
        sorted({r.strip().lower() for r in new.off_regions}),
        tx.now,
        tx.actor,
    )
    return trial_id


async def trials(tx: Tx) -> list[Trial]:
    """The plans, the latest first; 100 at most."""
    return await tx.rows(
        Trial,
        """
        select id, channel, kind, starts_on, ends_on, off_days, off_regions, planned_at, planned_by,
               stopped_on
          from measurement.trial where cell = $1 order by starts_on desc, id desc limit 100
        """,
        tx.cell,
    )


async def stop_trial(tx: Tx, trial_id: uuid.UUID, why: str) -> None:
    """End a trial before its last day: today counts no more. What was seen until then is judged by
    an interval that may be looked at at any time, for who stops early has looked. Refuses
    ``NotFound`` and ``TrialUnclear``: it is over already."""
    trial = await tx.the(
        "trial",
        Trial,
        """
        select id, channel, kind, starts_on, ends_on, off_days, off_regions, planned_at, planned_by,
               stopped_on
          from measurement.trial where cell = $1 and id = $2 for update
        """,
        tx.cell,
        trial_id,
    )
    if trial.stopped_on is not None or trial.over_on <= tx.now.date():
        raise TrialUnclear(why="it is over already", why_zh="试验已经结束")
    await tx.run(
        """
        update measurement.trial set stopped_on = $3, stopped_by = $4, stopped_why = $5
         where cell = $1 and id = $2
        """,
        tx.cell,
        trial_id,
        tx.now.date(),
        tx.actor,
        why,
    )


class _Held(msgspec.Struct, frozen=True):
    source: str
    is_held: bool
    people: int
    won: int


async def _letters(tx: Tx, since: dt.date, until: dt.date) -> list[Lift]:
    """Letters and journeys against their holdouts: people who had not bought before."""
    rows = await tx.rows(
        _Held,
        """
        with entered as (
          select 'letters:' || c.campaign_id as source, m.person_id, m.is_held,
                 c.began_at as from_at, c.began_at + make_interval(days => c.window_days)
                   as until_at
            from journeys.v_campaign c
            join journeys.v_campaign_member m on m.cell = $1 and m.campaign_id = c.campaign_id
           where c.began_at >= $2::date and c.began_at < $3::date
          union all
          (select distinct on (journey_id, person_id) 'journey:' || journey_id, person_id, is_held,
                  entered_at, goal_until
             from journeys.v_enrolment
            where cell = $1 and entered_at >= $2::date and entered_at < $3::date
            order by journey_id, person_id, entered_at)
        )
        select e.source, e.is_held, count(*) as people,
               count(b.person_id) filter (where b.first_at < e.until_at) as won
          from entered e
          left join measurement.buyer b on b.cell = $1 and b.person_id = e.person_id
         where e.until_at <= $4 and (b.person_id is null or b.first_at > e.from_at)
         group by e.source, e.is_held order by e.source
        """,
        tx.cell,
        since,
        until,
        tx.now,
    )
    sides: dict[str, dict[bool, Side]] = defaultdict(dict)
    for row in rows:
        sides[row.source][row.is_held] = Side(row.people, row.won)
    return [by_people(EMAIL, pair[False], pair[True]) for pair in sides.values() if len(pair) == 2]


class _Day(msgspec.Struct, frozen=True):
    day: dt.date
    region: str
    won: int


async def _won_by(tx: Tx, since: dt.date, until: dt.date) -> list[_Day]:
    return await tx.rows(
        _Day,
        """
        select (b.first_at at time zone 'UTC')::date as day,
               lower(trim(coalesce(nullif(p.region, ''), p.country))) as region, count(*) as won
          from measurement.buyer b
          join orders.v_purchase p on p.cell = b.cell and p.order_id = b.first_order_id
         where b.cell = $1 and b.first_at >= $2::date and b.first_at < $3::date
         group by 1, 2 order by 1, 2
        """,
        tx.cell,
        since,
        until,
    )


class _Person(msgspec.Struct, frozen=True):
    person_id: uuid.UUID
    first_at: dt.datetime


async def _last_click(tx: Tx, channel: str, since: dt.date, until: dt.date) -> float:
    """How many new buyers last click credits a channel with, of the same days."""
    people = await tx.rows(
        _Person,
        """
        select person_id, first_at from measurement.buyer
         where cell = $1 and first_at >= $2::date and first_at < $3::date limit 20000
        """,
        tx.cell,
        since,
        until,
    )
    touches = await touching.touches(tx, [p.person_id for p in people])
    return sum(
        credits(touches.get(p.person_id, ()), p.first_at, "last").get(channel, 0.0) for p in people
    )


async def _spent(tx: Tx, channel: str, since: dt.date, until: dt.date, currency: str) -> int:
    found: int = await tx.value(
        """
        select coalesce(sum(amount_minor), 0)::bigint from measurement.spend
         where cell = $1 and channel = $2 and day >= $3 and day < $4 and currency = $5
        """,
        tx.cell,
        channel,
        since,
        until,
        currency,
    )
    return found


async def lifts(tx: Tx, since: dt.date, until: dt.date, currency: str) -> list[Lift]:
    """What was measured in a stretch, channel by channel, with last click's figure for the same
    days beside it. Empty: nothing was."""
    found = []
    letters = await _letters(tx, since, until)
    if letters:
        found.append(
            together(
                EMAIL,
                letters,
                cost_minor=await _spent(tx, EMAIL, since, until, currency),
                last_click=await _last_click(tx, EMAIL, since, until),
            )
        )
    for trial in await trials(tx):
        over = trial.over_on
        if over <= max(since, trial.starts_on) or trial.starts_on >= until:
            continue
        if over > tx.now.date():
            continue
        found.append(await _trial_lift(tx, trial, over, currency))
    return found


async def _trial_lift(tx: Tx, trial: Trial, over: dt.date, currency: str) -> Lift:
    length = over - trial.starts_on
    more: dict[str, Any] = {
        "cost_minor": await _spent(tx, trial.channel, trial.starts_on, over, currency),
        "last_click": await _last_click(tx, trial.channel, trial.starts_on, over),
        "is_stopped": trial.stopped_on is not None,
    }
    during = await _won_by(tx, trial.starts_on, over)
    if trial.kind == "days":
        won = {trial.starts_on + dt.timedelta(days=n): 0 for n in range(length.days)}
        for row in during:
            won[row.day] += row.won
        return by_days(trial.channel, won, set(trial.off_days), **more)
    before = await _won_by(tx, trial.starts_on - length, trial.starts_on)
    return by_regions(
        trial.channel, _regions(before), _regions(during), set(trial.off_regions), **more
    )


def _regions(rows: Sequence[_Day]) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for row in rows:
        found[row.region] += row.won
    return dict(found)
