"""Who bought, since when, and who brought them: written anew from orders and shares, and asked."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.growth.measurement.viral import Spread
from pinwheel.kernel.db import Tx

BRINGING_DAYS = 60
"""Somebody who comes by a link and buys within so many days was brought by whose link it was."""


async def recount(tx: Tx) -> int:
    """Write the buyers and their tree as orders and shares say; how many rows were written. Safe to
    repeat: what is right already stays untouched. 3 statements.

    A buyer's parent is the last one by whose link they came, within 60 days before their first
    order, of those who were buyers themselves by then; so the tree has no circle. Somebody who was
    brought by a person that never bought came, for the tree, by nobody."""
    await tx.run(
        """
        delete from measurement.buyer b
         where b.cell = $1
           and not exists (select from orders.v_purchase p
                            where p.cell = b.cell and p.person_id = b.person_id
                              and p.state in ('placed', 'shipped', 'delivered'))
            or b.cell = $1
           and exists (select from identity.v_erased e
                        where e.cell = b.cell and e.person_id = b.person_id)
        """,
        tx.cell,
    )
    return await _write(tx) + await _deepen(tx)


async def _write(tx: Tx) -> int:
    return await tx.run(
        """
        with paid as (
          select p.person_id, p.order_id, p.placed_at, p.market, p.currency, p.channel,
                 greatest(0, p.secured_minor - p.refunded_minor) as net,
                 row_number() over w as n, lead(p.placed_at) over w as next_at,
                 count(*) over (partition by p.person_id) as orders,
                 first_value(p.currency) over w as first_currency
            from orders.v_purchase p
           where p.cell = $1 and p.person_id is not null
             and p.state in ('placed', 'shipped', 'delivered')
             and not exists (select from identity.v_erased e
                              where e.cell = p.cell and e.person_id = p.person_id)
          window w as (partition by p.person_id order by p.placed_at, p.order_id)
        ), net as (
          select person_id, sum(net)::bigint as net_minor from paid
           where currency = first_currency group by person_id
        ), fresh as (
          select f.person_id, f.order_id, f.placed_at, f.market, f.currency, f.channel, f.next_at,
                 f.orders, n.net_minor
            from paid f join net n on n.person_id = f.person_id where f.n = 1
        ), led as (
          select distinct on (c.person_id) c.person_id, e.parent_id, e.campaign_id, e.via
            from fresh c
            join measurement.v_edge e
              on e.cell = $1 and e.child_id = c.person_id
             and (e.order_id = c.order_id
                  or e.at <= c.placed_at and e.at > c.placed_at - make_interval(days => $2))
            join fresh p on p.person_id = e.parent_id
             and (p.placed_at, p.person_id) < (c.placed_at, c.person_id)
           order by c.person_id, e.at desc, e.parent_id
        )
        insert into measurement.buyer as b (cell, person_id, first_order_id, first_at, market,
               currency, order_channel, second_at, orders, net_minor, parent_id, campaign_id, via,
               depth, root_id)
        select $1, f.person_id, f.order_id, f.placed_at, f.market, f.currency, f.channel,
               f.next_at, f.orders, f.net_minor, l.parent_id, l.campaign_id, l.via, 0, f.person_id
          from fresh f left join led l on l.person_id = f.person_id
        on conflict (cell, person_id) do update
           set (first_order_id, first_at, market, currency, order_channel, second_at, orders,
                net_minor, parent_id, campaign_id, via) =
               (excluded.first_order_id, excluded.first_at, excluded.market, excluded.currency,
                excluded.order_channel, excluded.second_at, excluded.orders,
                excluded.net_minor, excluded.parent_id, excluded.campaign_id, excluded.via)
         where row(b.first_order_id, b.first_at, b.market, b.currency, b.order_channel,
                   b.second_at, b.orders, b.net_minor, b.parent_id, b.campaign_id, b.via)
               is distinct from
               row(excluded.first_order_id, excluded.first_at, excluded.market, excluded.currency,
                   excluded.order_channel, excluded.second_at, excluded.orders,
                   excluded.net_minor, excluded.parent_id, excluded.campaign_id, excluded.via)
        """,
        tx.cell,
        BRINGING_DAYS,
    )


async def _deepen(tx: Tx) -> int:
    """How deep everybody is in which branch, where that changed."""
    return await tx.run(
        """
        with recursive branch as (
          select person_id, 0 as depth, person_id as root_id from measurement.buyer
           where cell = $1 and parent_id is null
          union all
          select b.person_id, branch.depth + 1, branch.root_id
            from branch join measurement.buyer b on b.cell = $1 and b.parent_id = branch.person_id
        )
        update measurement.buyer b set depth = branch.depth, root_id = branch.root_id
          from branch
         where b.cell = $1 and b.person_id = branch.person_id
           and (b.depth, b.root_id) is distinct from (branch.depth, branch.root_id)
        """,
        tx.cell,
    )


class Offspring(msgspec.Struct, frozen=True):
    """How many buyers of a cohort brought so many. ``is_over``: the window of all is over."""

    cohort: dt.date
    is_over: bool
    brought: int
    people: int


async def offspring(
    tx: Tx, since: dt.datetime, window_days: int, campaign_id: uuid.UUID | None = None
) -> list[Offspring]:
    """By week of the first order; of a campaign by the week in which its buyers took part, counting
    who came by its links alone. 1 statement."""
    return await tx.rows(
        Offspring,
        """
        with member as (
          select person_id, first_at as at from measurement.buyer
           where cell = $1 and first_at >= $2 and $4::uuid is null
          union all
          select t.person_id, greatest(min(t.at), b.first_at)
            from measurement.v_took_part t
            join measurement.buyer b on b.cell = $1 and b.person_id = t.person_id
           where t.cell = $1 and t.campaign_id = $4 group by t.person_id, b.first_at
          having greatest(min(t.at), b.first_at) >= $2
        ), each as (
          select date_trunc('week', m.at at time zone 'UTC')::date as cohort,
                 count(c.person_id) as brought
            from member m
            left join measurement.buyer c
              on c.cell = $1 and c.parent_id = m.person_id
             and ($4::uuid is null or c.campaign_id = $4) and c.first_at >= m.at
             and c.first_at < m.at + make_interval(days => $3)
           group by m.person_id, m.at
        )
        select cohort,
               cohort + make_interval(days => 7 + $3) <= $5::timestamptz at time zone 'UTC'
                 as is_over,
               brought, count(*) as people
          from each group by cohort, brought order by cohort, brought
        """,
        tx.cell,
        since,
        window_days,
        campaign_id,
        tx.now,
    )


class FirstDays(msgspec.Struct, frozen=True):
    day: int
    came: bool
    people: int


async def first_days(
    tx: Tx, since: dt.datetime, window_days: int, campaign_id: uuid.UUID | None = None
) -> dict[tuple[int, bool], int]:
    """For how many buyers the first one they brought came on which day; for the others how many
    days they are known (at most the window). 1 statement."""
    rows = await tx.rows(
        FirstDays,
        """
        with member as (
          select b.person_id, b.first_at,
                 min(c.first_at) filter (where c.first_at < b.first_at
                                               + make_interval(days => $3)) as came_at
            from measurement.buyer b
            left join measurement.buyer c
              on c.cell = b.cell and c.parent_id = b.person_id
             and ($4::uuid is null or c.campaign_id = $4)
           where b.cell = $1 and b.first_at >= $2
             and ($4::uuid is null
                  or exists (select from measurement.v_took_part t
                              where t.cell = $1 and t.campaign_id = $4
                                and t.person_id = b.person_id))
           group by b.person_id, b.first_at
        )
        select least($3, floor(extract(epoch from coalesce(came_at, $5) - first_at) / 86400))::int
                 as day,
               came_at is not null as came, count(*) as people
          from member group by 1, 2 order by 1, 2
        """,
        tx.cell,
        since,
        window_days,
        campaign_id,
        tx.now,
    )
    return {(row.day, row.came): row.people for row in rows}


class Level(msgspec.Struct, frozen=True):
    depth: int
    people: int


async def depths(tx: Tx, since: dt.datetime, campaign_id: uuid.UUID | None = None) -> list[Level]:
    """New buyers by how deep they are in their branch; 0 came by nobody's link. 1 statement."""
    return await tx.rows(
        Level,
        """
        select depth, count(*) as people from measurement.buyer
         where cell = $1 and first_at >= $2 and ($3::uuid is null or campaign_id = $3)
         group by depth order by depth limit 60
        """,
        tx.cell,
        since,
        campaign_id,
    )


async def spreads(tx: Tx, since: dt.datetime, campaign_id: uuid.UUID | None = None) -> list[Spread]:
    """Who came by links of teams and bargains, week by week, and who of them had bought before.
    Invitations are left out: only new buyers are known of them. 1 statement."""
    return await tx.rows(
        Spread,
        """
        select date_trunc('week', e.at at time zone 'UTC')::date as week, count(*) as came,
               count(*) filter (where b.first_at < e.at
                                  and b.first_order_id is distinct from e.order_id)
                 as bought_before,
               count(*) filter (where exists (
                 select from measurement.v_edge x
                  where x.cell = $1 and x.child_id = e.child_id and x.at < e.at)) as reached_before
          from measurement.v_edge e
          left join measurement.buyer b on b.cell = $1 and b.person_id = e.child_id
         where e.cell = $1 and e.via <> 'invite' and e.at >= $2
           and ($3::uuid is null or e.campaign_id = $3)
         group by 1 order by 1
        """,
        tx.cell,
        since,
        campaign_id,
    )


class Reach(msgspec.Struct, frozen=True):
    """Buyers in all, and those whom links have touched."""

    buyers: int
    touched: int


async def reach(tx: Tx) -> Reach:
    """How much of the shop's buyers the share graph has reached. 1 statement."""
    return await tx.the(
        "figures",
        Reach,
        """
        select count(*) as buyers,
               count(*) filter (where person_id in (
                 select parent_id from measurement.v_edge where cell = $1
                 union select child_id from measurement.v_edge where cell = $1)) as touched
          from measurement.buyer where cell = $1
        """,
        tx.cell,
    )


async def forget(tx: Tx, person_ids: Sequence[uuid.UUID]) -> None:
    """Take erased people out; whoever they brought came by nobody from now on. 3 statements."""
    gone = list(person_ids)
    await tx.run(
        "delete from measurement.transition where cell = $1 and person_id = any($2::uuid[])",
        tx.cell,
        gone,
    )
    await tx.run(
        "delete from measurement.buyer where cell = $1 and person_id = any($2::uuid[])",
        tx.cell,
        gone,
    )
    await tx.run(
        """
        update measurement.buyer
           set parent_id = null, campaign_id = null, via = null, depth = 0, root_id = person_id
         where cell = $1 and parent_id = any($2::uuid[])
        """,
        tx.cell,
        gone,
    )
    await _deepen(tx)
