"""Questions to subsidies."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence

import msgspec

from pinwheel.growth.subsidy.model import Goods, Match, Programme
from pinwheel.kernel.db import Tx

MOST = 20_000


class Subsidised(msgspec.Struct, frozen=True, kw_only=True):
    """A public price: what an offer costs with the subsidy, against what it costs elsewhere."""

    offer_id: uuid.UUID
    programme_id: uuid.UUID
    name: dict[str, str]
    target_minor: int
    reference_minor: int
    source: str


class Spent(msgspec.Struct, frozen=True):
    """What a programme paid: orders that stand, pieces' amounts, by whose budget."""

    orders: int
    platform_minor: int
    brand_minor: int
    matches: int
    matched_minor: int

    @property
    def total_minor(self) -> int:
        return self.platform_minor + self.brand_minor + self.matched_minor


async def programmes(
    tx: Tx, ids: Sequence[uuid.UUID] | None = None, *, active_only: bool = False
) -> list[Programme]:
    """The programmes, the latest first; 200 at most. 1 statement."""
    return await tx.rows(
        Programme,
        """
        select name, currency, platform_budget_id, brand_budget_id, brand_basis_points,
               identity_pieces, home_orders, period_days, reference_days, match_days, region_caps,
               experiment_key, starts_at, ends_at, id, state
          from subsidy.programme
         where ($1::uuid[] is null or id = any($1::uuid[]))
           and (not $2 or state = 'active' and ends_at > $3)
         order by starts_at desc, id limit 200
        """,
        None if ids is None else list(ids),
        active_only,
        tx.now,
    )


async def goods(tx: Tx, programme_ids: Iterable[uuid.UUID]) -> list[Goods]:
    """The goods of programmes with the lowest price elsewhere that is not too old. 1 statement."""
    return await tx.rows(
        Goods,
        """
        select g.programme_id, g.offer_id, g.target_minor, r.price_minor as reference_minor,
               r.source, r.seen_at
          from subsidy.goods g join subsidy.programme p on p.id = g.programme_id
          left join lateral (
            select r.price_minor, r.source, r.seen_at from subsidy.reference r
             where r.programme_id = g.programme_id and r.offer_id = g.offer_id
               and r.seen_at > $2::timestamptz - make_interval(days => p.reference_days)
             order by r.price_minor, r.seen_at desc limit 1) r on true
         where g.programme_id = any($1::uuid[]) order by g.programme_id, g.offer_id limit $3
        """,
        list(programme_ids),
        tx.now,
        MOST,
    )


async def prices(
    tx: Tx, offer_ids: Iterable[uuid.UUID], currency: str
) -> dict[uuid.UUID, Subsidised]:
    """The public subsidised prices of offers, the lowest where two programmes have one: for pages
    that show it before the basket. 1 statement. The quote decides: it knows the limits."""
    rows = await tx.rows(
        Subsidised,
        """
        select distinct on (g.offer_id) g.offer_id, p.id as programme_id, p.name, g.target_minor,
               r.price_minor as reference_minor, r.source
          from subsidy.goods g
          join subsidy.programme p on p.id = g.programme_id and p.state = 'active'
           and p.currency = $2 and p.starts_at <= $3 and p.ends_at > $3
          join lateral (
            select r.price_minor, r.source from subsidy.reference r
             where r.programme_id = g.programme_id and r.offer_id = g.offer_id
               and r.seen_at > $3::timestamptz - make_interval(days => p.reference_days)
             order by r.price_minor limit 1) r on r.price_minor > g.target_minor
         where g.offer_id = any($1::uuid[]) order by g.offer_id, g.target_minor
        """,
        list(offer_ids),
        currency,
        tx.now,
    )
    return {row.offer_id: row for row in rows}


async def spent(tx: Tx, programme: Programme) -> Spent:
    """What a programme has paid for orders that stand. 1 statement."""
    return await tx.the(
        "programme",
        Spent,
        """
        select count(distinct d.order_id) as orders,
               coalesce(sum(d.amount_minor) filter (where d.budget_id = $2), 0)::bigint
                 as platform_minor,
               coalesce(sum(d.amount_minor) filter (where d.budget_id <> $2), 0)::bigint
                 as brand_minor,
               (select count(*) from subsidy.match m
                 where m.cell = $3 and m.programme_id = $1 and m.state = 'paid') as matches,
               (select coalesce(sum(m.paid_minor), 0)::bigint from subsidy.match m
                 where m.cell = $3 and m.programme_id = $1) as matched_minor
          from orders.v_discount d
         where d.cell = $3 and d.source = 'subsidy' and d.source_id = $1
           and d.state in ('placed', 'shipped', 'delivered')
        """,
        programme.id,
        programme.platform_budget_id,
        tx.cell,
    )


async def matches(
    tx: Tx, *, person_id: uuid.UUID | None = None, waiting_only: bool = False, most: int = 100
) -> list[Match]:
    """Price-match claims, the oldest first; with ``person_id`` only theirs. 1 statement."""
    return await tx.rows(
        Match,
        """
        select id, programme_id, order_id, line, source, link, picture_id, found_minor, most_minor,
               state, paid_minor, asked_at, decided_at, decided_by, reason
          from subsidy.match
         where cell = $1 and ($2::uuid is null or person_id = $2) and (not $3 or state = 'asked')
         order by id limit $4
        """,
        tx.cell,
        person_id,
        waiting_only,
        most,
    )


async def export(tx: Tx, person_id: uuid.UUID) -> list[Match]:
    """A person's price-match claims, for their copy."""
    return await matches(tx, person_id=person_id, most=1000)
