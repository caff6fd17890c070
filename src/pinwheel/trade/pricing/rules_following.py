"""Prices that follow competitors, as a desk looks at them: within which bounds, what was seen, what
was proposed and what became of it."""

from __future__ import annotations

import datetime as dt
import uuid

import msgspec

from pinwheel.kernel import listing
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import NotFound
from pinwheel.kernel.listing import Page
from pinwheel.trade.pricing.rules_competition import Repricing


class Following(msgspec.Struct, frozen=True, kw_only=True):
    """A way of following competitors, with who set it last and how much of it waits."""

    id: uuid.UUID
    name: str
    currency: str
    offers: int
    kind: str
    by_minor: int
    max_age_hours: int
    publish_within_basis_points: int
    most_change_basis_points: int
    is_active: bool
    changed_at: dt.datetime
    changed_by: str
    waiting: int
    published: int


class Decided(msgspec.Struct, frozen=True, kw_only=True):
    """A proposal with what became of it: who decided, when and why."""

    id: uuid.UUID
    repricing_id: uuid.UUID
    name: str
    offer_id: uuid.UUID
    currency: str
    old_minor: int
    new_minor: int
    competitor: str
    competitor_minor: int
    seen_at: dt.datetime
    held_by: str
    state: str
    asked_at: dt.datetime
    decided_at: dt.datetime | None
    decided_by: str | None
    decision_reason: str | None


class SeenLine(msgspec.Struct, frozen=True, kw_only=True):
    """A competitor's latest price for an offer, beside ours and its floor now."""

    offer_id: uuid.UUID
    competitor: str
    currency: str
    price_minor: int
    seen_at: dt.datetime
    url: str
    source: str
    imported_by: str
    own_minor: int | None
    floor_minor: int | None


async def followings(tx: Tx) -> list[Following]:
    """Every way of following, those that are on first; 200 at most. 1 statement."""
    return await tx.rows(
        Following,
        """
        select r.id, r.name, r.currency, cardinality(r.offers) as offers, r.kind, r.by_minor,
               r.max_age_hours, r.publish_within_basis_points, r.most_change_basis_points,
               r.is_active, r.changed_at, r.changed_by,
               count(p.id) filter (where p.state = 'asked') as waiting,
               count(p.id) filter (where p.state = 'published') as published
          from pricing.repricing r
          left join pricing.proposal p on p.repricing_id = r.id
         group by r.id order by r.is_active desc, r.name, r.id limit 200
        """,
    )


async def repricing_of(tx: Tx, repricing_id: uuid.UUID) -> Repricing:
    """Refuses ``NotFound``."""
    found = await tx.row(
        Repricing,
        """
        select id, name, currency, offers, kind, by_minor, max_age_hours,
               publish_within_basis_points, most_change_basis_points, is_active
          from pricing.repricing where id = $1
        """,
        repricing_id,
    )
    if found is None:
        raise NotFound(what="repricing")
    return found


async def switch_repricing(tx: Tx, repricing_id: uuid.UUID, *, active: bool) -> None:
    """On: competitors are followed from the next quarter of an hour on. Off: prices stay where they
    are, what waits still waits. Refuses ``NotFound``."""
    done = await tx.run(
        """
        update pricing.repricing set is_active = $2, changed_at = $3, changed_by = $4 where id = $1
        """,
        repricing_id,
        active,
        tx.now,
        tx.actor,
    )
    if not done:
        raise NotFound(what="repricing")


async def decided(
    tx: Tx,
    *,
    waiting: bool,
    repricing_id: uuid.UUID | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[Decided]:
    """Proposals that wait for a person, or those that were decided, the latest first. 1
    statement."""
    before = listing.after(cursor, uuid.UUID)
    rows = await tx.rows(
        Decided,
        """
        select p.id, p.repricing_id, r.name, p.offer_id, p.currency, p.old_minor, p.new_minor,
               p.competitor, p.competitor_minor, p.seen_at, p.held_by, p.state, p.asked_at,
               p.decided_at, p.decided_by, p.decision_reason
          from pricing.proposal p join pricing.repricing r on r.id = p.repricing_id
         where (p.state = 'asked') = $1 and ($2::uuid is null or p.repricing_id = $2)
           and ($3::uuid is null or p.id < $3)
         order by p.id desc limit $4
        """,
        waiting,
        repricing_id,
        before[0] if before else None,
        limit + 1,
    )
    return listing.page(rows, limit, lambda row: (row.id,))


async def seen_prices(
    tx: Tx, currency: str, *, cursor: str | None = None, limit: int = 50
) -> Page[SeenLine]:
    """Each competitor's latest price, article by article, beside ours. 1 statement."""
    before = listing.after(cursor, uuid.UUID, str)
    rows = await tx.rows(
        SeenLine,
        """
        with latest as (
          select distinct on (c.offer_id, c.competitor) c.offer_id, c.competitor, c.currency,
                 c.price_minor, c.seen_at, c.url, c.source, c.imported_by
            from pricing.competitor_price c
           where c.currency = $1
             and ($3::uuid is null or (c.offer_id, c.competitor) < ($3, $4::text))
           order by c.offer_id desc, c.competitor desc, c.seen_at desc limit $5)
        select s.offer_id, s.competitor, s.currency, s.price_minor, s.seen_at, s.url, s.source,
               s.imported_by, p.price_minor as own_minor, g.floor_minor
          from latest s
          left join lateral (
            select p.price_minor from pricing.price p
             where p.offer_id = s.offer_id and p.currency = $1 and p.starts_at <= $2
               and (p.ends_at is null or p.ends_at > $2)
             order by p.starts_at desc limit 1) p on true
          left join lateral (
            select g.floor_minor from pricing.guard g
             where g.offer_id = s.offer_id and g.currency = $1 and g.starts_at <= $2
             order by g.starts_at desc limit 1) g on true
         order by s.offer_id desc, s.competitor desc
        """,
        currency,
        tx.now,
        before[0] if before else None,
        before[1] if before else None,
        limit + 1,
    )
    return listing.page(rows, limit, lambda row: (row.offer_id, row.competitor))
