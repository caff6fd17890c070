"""Verbs of item search that write to the database."""

from collections.abc import Sequence
from datetime import date
from uuid import UUID

from pinwheel.discovery.search.model import (
    Asked,
    PopularityChanged,
    ProductUnits,
    SynonymInvalid,
)
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import NotFound

KEPT_DAYS = 400
MOST_PHRASES, MOST_CHARACTERS = 20, 80


async def record_queries(tx: Tx, asked: Sequence[Asked]) -> None:
    """Add counted questions to today's."""
    rows = sorted(asked, key=lambda a: (a.language, a.channel, a.region, a.text))
    await tx.run(
        """
        insert into search.query_day (cell, on_day, language, channel, region, text, asked,
                                      found_nothing, last_found, last_meant, last_at)
        select $1, $2::date, q.* , $3::timestamptz
          from unnest($4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::bigint[],
                      $10::bigint[], $11::text[]) as q
        on conflict (cell, on_day, language, channel, region, text) do update
           set asked = search.query_day.asked + excluded.asked,
               found_nothing = search.query_day.found_nothing + excluded.found_nothing,
               last_found = excluded.last_found, last_meant = excluded.last_meant,
               last_at = excluded.last_at
        """,
        tx.cell,
        tx.now.date(),
        tx.now,
        [a.language for a in rows],
        [a.channel for a in rows],
        [a.region for a in rows],
        [a.text for a in rows],
        [a.asked for a in rows],
        [a.found_nothing for a in rows],
        [a.last_found for a in rows],
        [a.last_meant for a in rows],
    )


async def forget_queries(tx: Tx, before: date) -> int:
    """Delete what was asked before a day; how many rows."""
    return await tx.run(
        "delete from search.query_day where cell = $1 and on_day < $2", tx.cell, before
    )


async def set_synonyms(tx: Tx, phrases: Sequence[str], *, synonym_id: UUID | None = None) -> UUID:
    """Say that phrases mean the same, or change such a group; its id.

    Refuses with `SynonymInvalid` when fewer than two different phrases are left.
    """
    told = list(dict.fromkeys(" ".join(p.split()) for p in phrases if p.strip()))
    if not 2 <= len(told) <= MOST_PHRASES or any(len(p) > MOST_CHARACTERS for p in told):
        raise SynonymInvalid(most=MOST_PHRASES, characters=MOST_CHARACTERS)
    if synonym_id is None:
        synonym_id = tx.new_id()
        await tx.run(
            """
            insert into search.synonym (id, phrases, changed_at, changed_by)
            values ($1, $2::text[], $3, $4)
            """,
            synonym_id,
            told,
            tx.now,
            tx.actor,
        )
        return synonym_id
    changed = await tx.run(
        """
        update search.synonym set phrases = $2::text[], changed_at = $3, changed_by = $4
         where id = $1
        """,
        synonym_id,
        told,
        tx.now,
        tx.actor,
    )
    if not changed:
        raise NotFound(what="synonym")
    return synonym_id


async def remove_synonyms(tx: Tx, synonym_id: UUID) -> None:
    """Forget a group."""
    if not await tx.run("delete from search.synonym where id = $1", synonym_id):
        raise NotFound(what="synonym")


async def record_sales(tx: Tx, units: dict[UUID, int]) -> None:
    """Add units (negative: taken back) to products' popularity, never below nothing."""
    products = sorted(units)
    await tx.run(
        """
        insert into search.popularity (product_id, sold_units, changed_at)
        select product_id, greatest(0, units), $3
          from unnest($1::uuid[], $2::bigint[]) as s(product_id, units)
        on conflict (product_id) do update
           set sold_units = greatest(0, search.popularity.sold_units
                 + (select units from unnest($1::uuid[], $2::bigint[]) as s(product_id, units)
                     where s.product_id = excluded.product_id)),
               changed_at = excluded.changed_at, announced = false
        """,
        products,
        [units[p] for p in products],
        tx.now,
    )


async def announce_popularity(tx: Tx, limit: int = 500) -> int:
    """Tell the index which products sell more or less than it knows; how many."""
    changed = await tx.values(
        """
        update search.popularity p set announced = true
          from (select product_id from search.popularity where not announced
                 order by product_id limit $1 for update skip locked) fresh
         where p.product_id = fresh.product_id
        returning p.product_id
        """,
        limit,
    )
    if changed:
        tx.emit(PopularityChanged(product_ids=sorted(changed)))
    return len(changed)


async def record_orders(tx: Tx, order_ids: Sequence[UUID]) -> None:
    """Count the units of placed orders. Each order once: the caller's job is done once."""
    rows = await tx.rows(
        ProductUnits,
        """
        select v.product_id, sum(l.quantity)::bigint as units
          from orders.v_line l join catalogue.v_variant v on v.variant_id = l.variant_id
         where l.cell = $1 and l.order_id = any($2::uuid[])
         group by v.product_id
        """,
        tx.cell,
        list(order_ids),
    )
    await record_sales(tx, {row.product_id: row.units for row in rows})
