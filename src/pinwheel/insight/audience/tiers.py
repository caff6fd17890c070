"""Tiers of regions and cities: who lives there, and what another tier would do to the segments."""

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
    """A place that has a tier, or a region that somebody's last order went to. ``tier`` is its own,
    None: it follows ``whole_tier``, its country's. Region '' is the rest of the country, of a city:
    it is wherever it is. ``people``: whose tier this line says. ``source``: 'default', or who said
    so."""

    country: str
    region: str
    city: str
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
    """Places of a country or of all, in the order of their names. 1 statement."""
    before = listing.after(cursor, str, str, str)
    rows = await tx.rows(
        PlaceLine,
        """
        with lived as (
          select p.country, p.region, p.city, count(*) as people from audience.person p
           where p.cell = $1 and p.country <> '' and ($2::text is null or p.country = $2)
           group by p.country, p.region, p.city
        ), won as (
          select l.country, l.region, l.people, w.region as by_region, w.city as by_city
            from lived l
            left join lateral (
                   select t.region, t.city from audience.region_tier t
                    where t.country = l.country and t.region in (l.region, '')
                      and t.city in (l.city, '')
                    order by t.city <> '' desc, t.region <> '' desc limit 1) w on true
        ), line as (
          select t.country, t.region, t.city, t.tier::int as tier, t.source
            from audience.region_tier t
          union all
          select distinct l.country, l.region, '', null::int, ''
            from lived l
           where not exists (select from audience.region_tier t
                              where t.country = l.country and t.region = l.region and t.city = '')
        )
        select i.country, i.region, i.city, i.tier, w.tier::int as whole_tier, i.source,
               coalesce((select sum(o.people) from won o
                          where o.country = i.country
                            and case when i.tier is null then
                                  o.region = i.region and coalesce(o.by_city, '') = ''
                                else o.by_region = i.region and o.by_city = i.city end),
                        0)::bigint as people
          from line i
          left join audience.region_tier w
            on w.country = i.country and w.region = '' and w.city = ''
         where ($2::text is null or i.country = $2)
           and ($3::text is null or (i.country, i.region, i.city) > ($3, $4::text, $5::text))
         order by i.country, i.region, i.city limit $6
        """,
        tx.cell,
        country,
        before[0] if before else None,
        before[1] if before else None,
        before[2] if before else None,
        limit + 1,
    )
    return listing.page(rows, limit, lambda row: (row.country, row.region, row.city))


async def tier_effects(tx: Tx, proposed: Sequence[Place]) -> list[TierEffect]:
    """What other tiers would do to the segments whose rule asks for one; nothing is saved. A
    statement for each of at most ``TRIED_MOST`` segments."""
    table = {(p.country, p.region, p.city): p for p in await places(tx)}
    for place in proposed:
        region, city = place.region.strip().lower(), place.city.strip().lower()
        table[place.country, region, city] = msgspec.structs.replace(
            place, region=region, city=city
        )
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
