"""The counters behind a rating, kept in the transaction that changes what is published."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from pinwheel.growth.community.model import RatingChanged
from pinwheel.kernel.db import Tx

Change = tuple[uuid.UUID, int, int]
"""Product, stars (1 to 5), and by how much the number of such ratings changes."""


async def count(tx: Tx, changes: Sequence[Change]) -> None:
    """Add up ``changes``; two statements for any number, products locked in one order."""
    sums: dict[uuid.UUID, list[int]] = {}
    for product_id, stars, by in changes:
        sums.setdefault(product_id, [0] * 5)[stars - 1] += by
    products = sorted(product for product, by in sums.items() if any(by))
    if not products:
        return
    await tx.run(
        """
        insert into community.rating (cell, product_id, stars)
        select $1, p.id, '{0,0,0,0,0}' from unnest($2::uuid[]) as p(id) order by p.id
        on conflict (cell, product_id) do nothing
        """,
        tx.cell,
        products,
    )
    await tx.run(
        """
        with locked as materialized (
          select product_id from community.rating
           where cell = $1 and product_id = any($2::uuid[]) order by product_id for update
        )
        update community.rating r
           set stars = array[r.stars[1] + c.a, r.stars[2] + c.b, r.stars[3] + c.c,
                             r.stars[4] + c.d, r.stars[5] + c.e]
          from unnest($2::uuid[], $3::int[], $4::int[], $5::int[], $6::int[], $7::int[])
               as c(product_id, a, b, c, d, e)
          join locked l on l.product_id = c.product_id
         where r.cell = $1 and r.product_id = c.product_id
        """,
        tx.cell,
        products,
        *[[sums[product][star] for product in products] for star in range(5)],
    )
    tx.emit(RatingChanged(product_ids=products))
