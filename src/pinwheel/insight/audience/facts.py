"""What is known of a person, kept from the published views of orders: always counted anew from all
of their orders, so a fact told twice, late or out of order changes nothing."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

from pinwheel.insight.audience.model import TASTE_EPOCH, TASTE_HALF_LIFE_DAYS
from pinwheel.kernel.db import Tx


async def lock(tx: Tx) -> None:
    """One writer at a time: facts and memberships are written by whoever holds the follower's
    row. Erasure holds it too, so nothing is written for somebody who is gone."""
    await tx.run(
        """
        insert into audience.follower (cell, xid, id)
        values ($1, '0', '00000000-0000-0000-0000-000000000000') on conflict do nothing
        """,
        tx.cell,
    )
    await tx.run("select 1 from audience.follower where cell = $1 for update", tx.cell)


async def refresh_facts(tx: Tx, person_ids: Sequence[uuid.UUID]) -> None:
    """Count these people's facts anew, under the lock. 5 statements, whatever the number."""
    ids = list(person_ids)
    await forget_facts(tx, ids)
    await _purchases(tx, ids)
    await _tastes(tx, ids)
    await _sums(tx, ids)


async def forget_facts(tx: Tx, person_ids: Sequence[uuid.UUID]) -> None:
    await tx.run(
        """
        with a as (delete from audience.purchase where cell = $1 and person_id = any($2::uuid[])),
             b as (delete from audience.taste where cell = $1 and person_id = any($2::uuid[])),
             c as (delete from audience.spend where cell = $1 and person_id = any($2::uuid[]))
        delete from audience.person where cell = $1 and person_id = any($2::uuid[])
        """,
        tx.cell,
        list(person_ids),
    )


async def _purchases(tx: Tx, ids: list[uuid.UUID]) -> None:
    """Orders that were paid, as they count today. A line counts by the share of its pieces that
    are kept; what was given back beyond goods and delivery is goodwill."""
    await tx.run(
        """
        insert into audience.purchase (cell, person_id, order_id, market, currency, country, region,
               city, channel, at, is_cancelled, stands, net_minor, goods_minor, fee_minor,
               gift_minor, pieces, returned)
        select o.cell, o.person_id, o.order_id, o.market, o.currency, o.country,
               lower(btrim(o.region)), lower(btrim(o.city)), o.channel, o.placed_at,
               o.state = 'cancelled',
               o.state <> 'cancelled' and coalesce(l.kept, 0) > 0,
               case when o.state = 'cancelled' then 0
                    else greatest(0, o.secured_minor - o.refunded_minor) end,
               coalesce(l.goods, 0), coalesce(l.fees, 0),
               case when o.state = 'cancelled' then 0
                    else greatest(0, coalesce(l.paid, 0) - o.secured_minor + o.refunded_minor)
                    end,
               coalesce(l.pieces, 0), coalesce(l.returned, 0)
          from orders.v_purchase o
          left join identity.v_erased e on e.cell = o.cell and e.person_id = o.person_id
          left join lateral (
            select sum(l.quantity - l.cancelled)::bigint as pieces,
                   sum(l.returned)::bigint as returned,
                   sum(l.quantity - l.cancelled - l.returned)::bigint as kept,
                   sum(l.total_minor * (l.quantity - l.cancelled - l.returned) / l.quantity)::bigint
                     as paid,
                   sum(case when s.kind = 'third_party' then 0
                       else (l.total_minor - l.tax_minor)
                            * (l.quantity - l.cancelled - l.returned) / l.quantity end)::bigint
                     as goods,
                   sum(case when s.kind = 'third_party'
                       then l.fee_minor * (l.quantity - l.cancelled - l.returned) / l.quantity
                       else 0 end)::bigint as fees
              from orders.v_purchase_line l
              left join marketplace.v_seller s on s.seller_id = l.seller_id
             where l.cell = o.cell and l.order_id = o.order_id) l on true
         where o.cell = $1 and o.person_id = any($2::uuid[]) and e.person_id is null
           and o.state in ('placed', 'shipped', 'delivered', 'cancelled') and o.secured_minor > 0
        """,
        tx.cell,
        ids,
    )


async def _tastes(tx: Tx, ids: list[uuid.UUID]) -> None:
    """A category's weight is what was kept of it, doubled for each half-life since the epoch; a
    category has what lies below it. Exact numerics: a sum does not depend on its order."""
    await tx.run(
        """
        insert into audience.taste (cell, person_id, market, category_id, weight,
                                    share_basis_points)
        with line as (
          select p.person_id, p.market, v.category_id,
                 (l.total_minor * (l.quantity - l.cancelled - l.returned) / l.quantity)::numeric
                 * round(power(2::float8, extract(epoch from p.at - $3)::float8 / (86400.0 * $4)
                              )::numeric, 9) as weight
            from audience.purchase p
            join orders.v_purchase_line l on l.cell = p.cell and l.order_id = p.order_id
            join catalogue.v_variant v on v.variant_id = l.variant_id
           where p.cell = $1 and p.person_id = any($2::uuid[]) and p.stands
             and l.quantity > l.cancelled + l.returned and l.total_minor > 0
        ), whole as (
          select person_id, market, sum(weight) as weight from line group by person_id, market
        ), below as (
          select li.person_id, li.market, c.id as category_id, sum(li.weight) as weight
            from line li
            join catalogue.v_category k on k.category_id = li.category_id
           cross join lateral (
             select distinct unnest(k.path || k.category_id) as id) c
           group by li.person_id, li.market, c.id
        )
        select $1, b.person_id, b.market, b.category_id, b.weight,
               least(10000, floor(10000 * b.weight / w.weight))::int
          from below b join whole w using (person_id, market) where w.weight > 0
        """,
        tx.cell,
        ids,
        TASTE_EPOCH,
        float(TASTE_HALF_LIFE_DAYS),
    )


async def _sums(tx: Tx, ids: list[uuid.UUID]) -> None:
    await tx.run(
        """
        insert into audience.spend (cell, person_id, market, currency, orders, net_minor, first_at,
                                    last_at)
        select cell, person_id, market, min(currency), count(*), sum(net_minor), min(at), max(at)
          from audience.purchase where cell = $1 and person_id = any($2::uuid[]) and stands
         group by cell, person_id, market
        """,
        tx.cell,
        ids,
    )
    await tx.run(
        """
        insert into audience.person (cell, person_id, orders, cancelled_orders, pieces,
               returned_pieces, first_at, last_at, market, country, region, city, channel)
        select p.cell, p.person_id, count(*) filter (where stands),
               count(*) filter (where is_cancelled), coalesce(sum(pieces), 0),
               coalesce(sum(returned), 0), min(at) filter (where stands),
               max(at) filter (where stands),
               (array_agg(market order by at desc, order_id desc))[1],
               (array_agg(country order by at desc, order_id desc))[1],
               (array_agg(region order by at desc, order_id desc))[1],
               (array_agg(city order by at desc, order_id desc))[1],
               (array_agg(channel order by at desc, order_id desc))[1]
          from audience.purchase p where cell = $1 and person_id = any($2::uuid[])
         group by cell, person_id
        union all
        select $1, a.person_id, 0, 0, 0, 0, null, null, '', '', '', '', ''
          from (select distinct person_id from audience.activity
                 where cell = $1 and person_id = any($2::uuid[])) a
         where not exists (select from audience.purchase p
                            where p.cell = $1 and p.person_id = a.person_id)
        """,
        tx.cell,
        ids,
    )


async def note_activity(tx: Tx, counted: Sequence[tuple[uuid.UUID, str, dt.date, int]]) -> None:
    """Add to what people did: (person, event name, UTC day, times). Only for people who agreed to
    be counted; whoever calls this says so. Their memberships are decided again at once. Numbers
    below 1 are left out."""
    kept = sorted(one for one in counted if one[3] > 0)
    await lock(tx)
    await tx.run(
        """
        with counted as (
          insert into audience.activity (cell, person_id, name, day, count)
          select $1, c.person_id, c.name, c.day, sum(c.count)::int
            from unnest($2::uuid[], $3::text[], $4::date[], $5::int[])
                 as c(person_id, name, day, count)
            left join identity.v_erased e on e.cell = $1 and e.person_id = c.person_id
           where e.person_id is null
           group by c.person_id, c.name, c.day
           order by c.person_id, c.name, c.day
          on conflict (cell, person_id, name, day) do update
             set count = audience.activity.count + excluded.count
          returning person_id
        )
        insert into audience.person (cell, person_id, orders, cancelled_orders, pieces,
               returned_pieces, market, country, region, channel, look_at)
        select distinct $1::smallint, person_id, 0, 0, 0::bigint, 0::bigint, '', '', '', '',
               $6::timestamptz
          from counted order by 2
        on conflict (cell, person_id) do update set look_at = excluded.look_at
        """,
        tx.cell,
        [one[0] for one in kept],
        [one[1] for one in kept],
        [one[2] for one in kept],
        [one[3] for one in kept],
        tx.now,
    )
