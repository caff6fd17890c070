"""Segments made, edited and archived; tiers of places set."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from pinwheel.insight.audience.facts import lock
from pinwheel.insight.audience.language import check, days_of, read, uses_of
from pinwheel.insight.audience.model import (
    MOST_SEGMENTS,
    NewSegment,
    Place,
    RuleUnclear,
    Segment,
    SegmentCycle,
    SegmentSaved,
    SegmentUsed,
    TooManySegments,
)
from pinwheel.insight.audience.queries import open_segments, segment
from pinwheel.kernel import kept
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import NotFound

SENSITIVE = "audience.sensitive_categories"


async def sensitive_categories(tx: Tx) -> frozenset[uuid.UUID]:
    """Categories that stand in for health, belief and the like: no condition for prices."""
    found = (await kept.kept(tx, SENSITIVE)).get(SENSITIVE)
    return frozenset(uuid.UUID(text) for text in (found.value if found else ()))


async def set_sensitive_categories(tx: Tx, category_ids: Sequence[uuid.UUID]) -> None:
    await kept.keep(tx, SENSITIVE, sorted(str(one) for one in set(category_ids)))


async def save_segment(tx: Tx, new: NewSegment, segment_id: uuid.UUID | None = None) -> Segment:
    """Make a segment, or edit the one with this id; its members are counted from then on.

    Refuses ``RuleUnclear``, ``ProtectedAttribute``, ``NotForPrices``, ``SegmentCycle``,
    ``TooManySegments``, ``NotFound``. Edits wait for each other, so two can't close a circle."""
    await tx.run("select pg_advisory_xact_lock(170)")
    others = {one.id: one for one in await open_segments(tx)}
    own_id = segment_id or tx.new_id()
    if segment_id is not None and segment_id not in others:
        raise NotFound(what="segment")
    if segment_id is None and len(others) >= MOST_SEGMENTS:
        raise TooManySegments(most=MOST_SEGMENTS)
    rule = read(new.rule)
    uses = uses_of(rule)
    for used, where in uses.items():
        if used not in others:
            raise RuleUnclear(where, "there is no such segment", "不存在这个人群")
        if used == own_id or own_id in _closure(used, others):
            raise SegmentCycle(name=_name(new.name), where=where)
    sensitive = await sensitive_categories(tx)
    is_for_prices = new.purpose == "price" or any(
        one.purpose == "price" and own_id in _closure(one.id, others) for one in others.values()
    )
    check(rule, "price" if is_for_prices else new.purpose, sensitive)
    if is_for_prices:
        for used in {u for first in uses for u in (first, *_closure(first, others))}:
            check(read(others[used].rule), "price", sensitive)
    return await _write(tx, own_id, new, list(uses), days_of(rule))


def _closure(segment_id: uuid.UUID, by_id: dict[uuid.UUID, Segment]) -> set[uuid.UUID]:
    """Every segment that this one's rule leads to."""
    found: set[uuid.UUID] = set()
    waiting = list(by_id[segment_id].uses)
    while waiting:
        one = waiting.pop()
        if one not in found and one in by_id:
            found.add(one)
            waiting += by_id[one].uses
    return found


async def _write(
    tx: Tx, own_id: uuid.UUID, new: NewSegment, uses: list[uuid.UUID], days: list[int]
) -> Segment:
    saved = await tx.the(
        "segment",
        Segment,
        """
        insert into audience.segment as s (cell, id, name, rule, purpose, holdout_basis_points,
               uses, days, created_at, changed_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
        on conflict (cell, id) do update
           set name = excluded.name, rule = excluded.rule, purpose = excluded.purpose,
               holdout_basis_points = excluded.holdout_basis_points, uses = excluded.uses,
               days = excluded.days, changed_at = excluded.changed_at, version = s.version + 1,
               computed_to = null
        returning id, name, rule, purpose, holdout_basis_points, uses, days, version, computed,
                  created_at, changed_at, archived_at
        """,
        tx.cell,
        own_id,
        new.name,
        new.rule,
        new.purpose,
        new.holdout_basis_points,
        uses,
        days,
        tx.now,
    )
    tx.emit(SegmentSaved(segment_id=saved.id, version=saved.version))
    return saved


async def archive_segment(tx: Tx, segment_id: uuid.UUID) -> None:
    """Nobody is in it any more. Refuses ``SegmentUsed``, ``NotFound``. Safe to repeat."""
    await tx.run("select pg_advisory_xact_lock(170)")
    mine = await segment(tx, segment_id)
    if mine.archived_at is not None:
        return
    for other in await open_segments(tx):
        if segment_id in other.uses:
            raise SegmentUsed(name=_name(mine.name), by=_name(other.name))
    await tx.run(
        """
        update audience.segment set archived_at = $3, version = version + 1, computed_to = null
         where cell = $1 and id = $2
        """,
        tx.cell,
        segment_id,
        tx.now,
    )
    tx.emit(SegmentSaved(segment_id=segment_id, version=mine.version + 1))


async def set_tiers(tx: Tx, places: Sequence[Place]) -> int:
    """Say which tier places are; whoever ordered from there is decided again. How many people."""
    await lock(tx)
    chosen = {(p.country, p.region.strip().lower(), p.city.strip().lower()): p.tier for p in places}
    countries, regions, cities = ([key[n] for key in chosen] for n in range(3))
    await tx.run(
        """
        insert into audience.region_tier (country, region, city, tier, source)
        select t.country, t.region, t.city, t.tier, $5
          from unnest($1::text[], $2::text[], $3::text[], $4::smallint[])
               as t(country, region, city, tier)
        on conflict (country, region, city) do update
           set tier = excluded.tier, source = excluded.source
        """,
        countries,
        regions,
        cities,
        list(chosen.values()),
        tx.actor,
    )
    return await tx.run(
        """
        update audience.person p set look_at = $5
          from unnest($2::text[], $3::text[], $4::text[]) as t(country, region, city)
         where p.cell = $1 and p.country = t.country and (t.region = '' or p.region = t.region)
           and (t.city = '' or p.city = t.city)
        """,
        tx.cell,
        countries,
        regions,
        cities,
        tx.now,
    )


def _name(name: dict[str, str]) -> str:
    return name.get("en") or next(iter(name.values()), "?")
