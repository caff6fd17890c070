"""RFM: a market's buyers in fifths by recency, frequency and money, net of all that was given back,
with named segments and the history of moves.

A score is 1 + ⌊5 · (rank − 1) / n⌋ with equal figures sharing the lowest rank, so two people with
the same figures always have the same score. 5 is best: most recent, most often, most money."""

from __future__ import annotations

import datetime as dt

import msgspec

from pinwheel.insight.audience.facts import lock
from pinwheel.kernel.db import Tx

NAMES = (
    *("lost", "hibernating", "at_risk", "at_risk", "cannot_lose"),
    *("hibernating", "hibernating", "at_risk", "at_risk", "cannot_lose"),
    *("sleeping", "sleeping", "attention", "loyal", "loyal"),
    *("promising", "potential", "potential", "loyal", "loyal"),
    *("new", "potential", "potential", "champions", "champions"),
)
"""The named segment by recency (rows, 1 to 5) and the mean of frequency and money, rounded up."""


class Counted(msgspec.Struct, frozen=True):
    """What a recomputation came to."""

    buyers: int
    moved: int


class Cell(msgspec.Struct, frozen=True):
    """One cell of the grid: how many buyers, and the money they paid together."""

    r: int
    f: int
    people: int
    net_minor: int


class Named(msgspec.Struct, frozen=True):
    name: str
    people: int
    net_minor: int


class Migration(msgspec.Struct, frozen=True):
    """How many went from one named segment to another between two month ends; '' is nobody yet, or
    no longer."""

    was: str
    now: str
    people: int


async def recompute(tx: Tx) -> Counted:
    """Score every buyer of every market by their facts as they stand now. Doing it again changes
    nothing. Moves are kept as they were known at the time. 2 statements."""
    await lock(tx)
    moved = await tx.value(
        """
        with base as (
          select market, person_id, last_at, orders, net_minor,
                 count(*) over (partition by market) as n
            from audience.spend where cell = $1 and orders > 0
        ), fifth as (
          select market, person_id, net_minor,
                 1 + (5 * (rank() over (partition by market order by last_at) - 1) / n)::int as r,
                 1 + (5 * (rank() over (partition by market order by orders) - 1) / n)::int as f,
                 1 + (5 * (rank() over (partition by market order by net_minor) - 1) / n)::int as m
            from base
        ), named as (
          select market, person_id, r, f, m, net_minor,
                 ($3::text[])[(r - 1) * 5 + (f + m + 1) / 2] as name
            from fifth
        ), move as (
          select coalesce(n.market, o.market) as market,
                 coalesce(n.person_id, o.person_id) as person_id, o.name as was, n.name as now
            from (select * from audience.rfm where cell = $1) o
            full join named n on n.market = o.market and n.person_id = o.person_id
           where o.name is distinct from n.name
        ), gone as (
          delete from audience.rfm o
           where o.cell = $1 and not exists (
             select from named n where n.market = o.market and n.person_id = o.person_id)
        ), written as (
          insert into audience.rfm as o (cell, market, person_id, r, f, m, name, net_minor, as_of)
          select $1, market, person_id, r, f, m, name, net_minor, $2 from named
          on conflict (cell, market, person_id) do update
             set r = excluded.r, f = excluded.f, m = excluded.m, name = excluded.name,
                 net_minor = excluded.net_minor, as_of = excluded.as_of
           where (o.r, o.f, o.m, o.name, o.net_minor)
                 is distinct from (excluded.r, excluded.f, excluded.m, excluded.name,
                                   excluded.net_minor)
          returning o.person_id
        ), told as (
          insert into audience.rfm_move (cell, market, person_id, at, was, now)
          select $1, market, person_id, $2, was, now from move
          on conflict (cell, market, person_id, at) do update set now = excluded.now
        ), looked as (
          update audience.person p set look_at = $2
           where p.cell = $1 and p.person_id in (
             select person_id from written union select person_id from move)
        )
        select count(*) from move
        """,
        tx.cell,
        tx.now,
        list(NAMES),
    )
    buyers = await tx.value("select count(*) from audience.rfm where cell = $1", tx.cell)
    return Counted(buyers, moved)


async def rfm_markets(tx: Tx) -> list[str]:
    """Markets with buyers, the largest first."""
    return await tx.values(
        """
        select market from audience.rfm where cell = $1
         group by market order by count(*) desc, market
        """,
        tx.cell,
    )


async def rfm_grid(tx: Tx, market: str) -> list[Cell]:
    """Buyers by recency and frequency."""
    return await tx.rows(
        Cell,
        """
        select r::int as r, f::int as f, count(*) as people, sum(net_minor)::bigint as net_minor
          from audience.rfm where cell = $1 and market = $2 group by r, f
        """,
        tx.cell,
        market,
    )


async def rfm_names(tx: Tx, market: str) -> list[Named]:
    """Buyers and their money by named segment."""
    return await tx.rows(
        Named,
        """
        select name, count(*) as people, sum(net_minor)::bigint as net_minor
          from audience.rfm where cell = $1 and market = $2
         group by name order by 3 desc, name
        """,
        tx.cell,
        market,
    )


async def migration(tx: Tx, market: str, until: dt.datetime) -> list[Migration]:
    """From the state at the end of the month before to the state at ``until``, by the moves as
    they were known then."""
    first = until.astimezone(dt.UTC).replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    return await tx.rows(
        Migration,
        """
        with person as (
          select distinct person_id from audience.rfm_move
           where cell = $1 and market = $2 and at < $4
        )
        select coalesce(b.now, '') as was, coalesce(a.now, '') as now, count(*) as people
          from person p
          left join lateral (
            select now from audience.rfm_move m
             where m.cell = $1 and m.market = $2 and m.person_id = p.person_id and m.at < $3
             order by m.at desc limit 1) b on true
          left join lateral (
            select now from audience.rfm_move m
             where m.cell = $1 and m.market = $2 and m.person_id = p.person_id and m.at < $4
             order by m.at desc limit 1) a on true
         where b.now is not null or a.now is not null
         group by 1, 2
        """,
        tx.cell,
        market,
        first,
        until,
    )
