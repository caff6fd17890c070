"""What follows for word of mouth: erasure, the search for rings, the shop's habit of giving
stars, and the end of what was kept to find fraud."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pinwheel.ground.identity import PersonErased
from pinwheel.growth.community.erasing import forget_people
from pinwheel.growth.community.moderation import doubt_rings
from pinwheel.growth.community.rings import Mark, find_rings
from pinwheel.kernel.db import Tx
from pinwheel.kernel.events import during, every

RING_DAYS = 90
MOST_MARKS = 200_000
TRACE_DAYS = 180


@during(PersonErased)
async def forget_writers(tx: Tx, events: Sequence[PersonErased]) -> None:
    """In the transaction of the erasure: nobody reads the words once the person is gone."""
    await forget_people(tx, [event.person_id for event in events])


@every(seconds=3600)
async def look_for_rings(tx: Tx) -> None:
    """Among the reviews of the last 90 days (the latest 200,000). The search itself leaves the
    loop free."""
    marks = await tx.rows(
        Mark,
        """
        select id as review_id, person_id, product_id, seller_id, created_at as at
          from community.review
         where cell = $1 and created_at > $2 and person_id is not null and not is_cleared
           and state in ('published', 'pending')
         order by id desc limit $3
        """,
        tx.cell,
        tx.later_than(-RING_DAYS * 86_400),
        MOST_MARKS,
    )
    await doubt_rings(tx, await asyncio.to_thread(find_rings, marks))


@every(seconds=600)
async def refresh_prior(tx: Tx) -> None:
    """The shares of one to five stars over the whole shop: what a product with few ratings is
    taken to be like."""
    await tx.run(
        """
        insert into community.prior (cell, shares, ratings, refreshed_at)
        select $1, array[(1 + a) / (5 + n), (1 + b) / (5 + n), (1 + c) / (5 + n),
                         (1 + d) / (5 + n), (1 + e) / (5 + n)], n, $2
          from (select sum(stars[1]) as a, sum(stars[2]) as b, sum(stars[3]) as c,
                       sum(stars[4]) as d, sum(stars[5]) as e,
                       sum(stars[1] + stars[2] + stars[3] + stars[4] + stars[5])::float8 as n
                  from community.rating where cell = $1) total
         where n is not null
        on conflict (cell) do update
           set shares = excluded.shares, ratings = excluded.ratings,
               refreshed_at = excluded.refreshed_at
        """,
        tx.cell,
        tx.now,
    )


@every(seconds=86_400)
async def forget_traces(tx: Tx) -> None:
    """Devices and networks have served their time."""
    await tx.run(
        """
        update community.review set device = null, network = null
         where cell = $1 and created_at < $2 and (device is not null or network is not null)
        """,
        tx.cell,
        tx.later_than(-TRACE_DAYS * 86_400),
    )
