"""Tiers of regions: who lives there, and what another tier would do to the segments."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.insight.audience.compiling import compiled, plan_for_many
from pinwheel.insight.audience.language import Tier, parts_of, read
from pinwheel.insight.audience.model import FIRST, LAST, Place
from pinwheel.insight.audience.queries import open_segments, places
from pinwheel.kernel import listing
from pinwheel.kernel.db import Tx
from pinwheel.kernel.listing import Page

TRIED_MOST = 40
"""Segments that are counted for a trial, the newest; each costs a statement."""


class PlaceLine(msgspec.Struct, frozen=True):
    """A region that has a tier or that somebody's last order went to. ``tier`` is its own, None:
    it follows ``whole_tier``, its country's. Region '' is the rest of the country. ``people``:
    whose tier this line says. ``source``: 'default', or who said so."""

    country: str
    region: str
    tier: int | None
    whole_tier: int | None
    source: str
    people: int


class TierEffect(msgspec.Struct, frozen=True):
    """How many a segment's rule holds for by the tiers as they are, and as they are proposed."""

    segment_id: uuid.UUID
    name: dict[str, str]
    now: int
    then: int


async def place_lines(
    tx: Tx, country: str | None = None, *, cursor: str | None = None, limit: int = 50
) -> Page[PlaceLine]:
    """Regions of a country or of all, in the order of their names. 1 statement."""
    before = listing.after(cursor, str, str)
    rows = await tx.rows(
        PlaceLine,
        """
        with lived as (
          select p.country, p.region, count(*) as people from audience.person p
           where p.cell = $1 and p.country <> '' and ($2::text is null or p.country = $2)
           group by p.country, p.region
        ), line as (
          select coalesce(t.country, l.country) as country, coalesce(t.region, l.region) as region,
                 t.tier::int as tier, coalesce(t.source, '') as source,
                 case when coalesce(t.region, l.region) = '' then
                   coalesce((select sum(o.people) from lived o
                              where o.country = coalesce(t.country, l.country)
                                and (o.region = '' or not exists (
                                       select from audience.region_tier r
                                        where r.country = o.country and r.region = o.region))), 0)
                 else coalesce(l.people, 0) end::bigint as people
            from audience.region_tier t
            full join lived l on l.country = t.country and l.region = t.region)
        select i.country, i.region, i.tier, w.tier::int as whole_tier, i.source, i.people
          from line i
          left join audience.region_tier w on w.country = i.country and w.region = ''
         where ($2::text is null or i.country = $2)
           and ($3::text is null or (i.country, i.region) > ($3, $4::text))
         order by i.country, i.region limit $5
        """,
        tx.cell,
        country,
        before[0] if before else None,
        before[1] if before else None,
        limit + 1,
    )
    return listing.page(rows, limit, lambda row: (row.country, row.region))


async def tier_effects(tx: Tx, proposed: Sequence[Place]) -> list[TierEffect]:
    """What other tiers would do to the segments whose rule asks for one; nothing is saved. A
    statement for each of at most ``TRIED_MOST`` segments."""
    table = {(p.country, p.region): p for p in await places(tx)}
    table |= {
        (p.country, p.region.strip().lower()): msgspec.structs.replace(
            p, region=p.region.strip().lower()
        )
        for p in proposed
    }
    tried = list(table.values())
    asking = [
        (one, read(one.rule))
        for one in await open_segments(tx)
        if any(isinstance(part, Tier) for _, part in parts_of(read(one.rule)))
    ][-TRIED_MOST:]
    await plan_for_many(tx)
    found = []
    for one, rule in asking:
        sizes = []
        for tiers in (None, tried):
            whole = compiled(rule, tiers)
            tx.statements += 1
            sizes.append(
                await tx.connection.fetchval(
                    f"select count(*){whole.from_where}",
                    tx.cell,
                    FIRST,
                    LAST,
                    tx.now,
                    *whole.values,
                )
            )
        found.append(TierEffect(one.id, one.name, *sizes))
    return found
