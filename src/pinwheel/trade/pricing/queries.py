"""Questions to pricing."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.kernel.listing import Page, after, page
from pinwheel.trade.pricing.model import Market, Place, Price


class PastPrice(msgspec.Struct, frozen=True):
    """One line of an offer's history: what was asked, from when, why and by whom."""

    starts_at: dt.datetime
    ends_at: dt.datetime | None
    price_minor: int
    list_price_minor: int | None
    reason: str
    set_by: str


class Lowest(msgspec.Struct, frozen=True):
    offer_id: uuid.UUID
    lowest_minor: int


class _Rate(msgspec.Struct, frozen=True):
    country: str
    region: str
    tax_class: str
    rate_basis_points: int


async def prices(
    tx: Tx, offer_ids: Iterable[uuid.UUID], currency: str, *, at: dt.datetime | None = None
) -> dict[uuid.UUID, Price]:
    """The price of each offer in ``currency``, now or at ``at``; an offer without one is left out.
    1 statement."""
    found = await tx.rows(
        Price,
        """
        select p.offer_id, p.currency, p.price_minor, p.list_price_minor, p.starts_at, p.ends_at,
               case when least(p.list_price_minor, low.lowest) > p.price_minor
                     and low.lowest is not null
                    then least(p.list_price_minor, low.lowest) end as strike_minor
          from unnest($1::uuid[]) as w(offer_id)
         cross join lateral (
           select * from pricing.price p
            where p.offer_id = w.offer_id and p.currency = $2 and p.starts_at <= $3
              and (p.ends_at is null or p.ends_at > $3)
            order by p.starts_at desc limit 1) p
          left join lateral (
           select min(then_.price_minor) as lowest
             from (select p.starts_at - interval '30 days' as at
                   union all
                   select t.at from pricing.price h
                    cross join lateral (values (h.starts_at), (h.ends_at)) t(at)
                    where h.offer_id = p.offer_id and h.currency = p.currency
                      and t.at > p.starts_at - interval '30 days' and t.at < p.starts_at) moment
            cross join lateral (
              select h.price_minor from pricing.price h
               where h.offer_id = p.offer_id and h.currency = p.currency
                 and h.starts_at <= moment.at and (h.ends_at is null or h.ends_at > moment.at)
               order by h.starts_at desc limit 1) then_) low on p.list_price_minor is not null
        """,
        list(set(offer_ids)),
        currency,
        at or tx.now,
    )
    return {price.offer_id: price for price in found}


async def lowest_prices(
    tx: Tx, offer_ids: Iterable[uuid.UUID], currency: str, *, days: int = 30
) -> dict[uuid.UUID, int]:
    """The lowest price each offer had in the last ``days`` up to now, today's among them. 1
    statement."""
    found = await tx.rows(
        Lowest,
        """
        select w.offer_id, min(then_.price_minor) as lowest_minor
          from unnest($1::uuid[]) as w(offer_id)
         cross join lateral (
           select $3::timestamptz as at union all select $4
           union all
           select t.at from pricing.price h
            cross join lateral (values (h.starts_at), (h.ends_at)) t(at)
            where h.offer_id = w.offer_id and h.currency = $2 and t.at > $3 and t.at < $4) moment
         cross join lateral (
           select h.price_minor from pricing.price h
            where h.offer_id = w.offer_id and h.currency = $2
              and h.starts_at <= moment.at and (h.ends_at is null or h.ends_at > moment.at)
            order by h.starts_at desc limit 1) then_
         group by w.offer_id
        """,
        list(set(offer_ids)),
        currency,
        tx.now - dt.timedelta(days=days),
        tx.now,
    )
    return {row.offer_id: row.lowest_minor for row in found}


async def history(
    tx: Tx, offer_id: uuid.UUID, currency: str, *, cursor: str | None = None, limit: int = 50
) -> Page[PastPrice]:
    """Every price of an offer, planned ones too, the latest start first."""
    start = after(cursor, dt.datetime)
    rows = await tx.rows(
        PastPrice,
        """
        select starts_at, ends_at, price_minor, list_price_minor, reason, set_by from pricing.price
         where offer_id = $1 and currency = $2 and ($3::timestamptz is null or starts_at < $3)
         order by starts_at desc limit $4
        """,
        offer_id,
        currency,
        start[0] if start else None,
        limit + 1,
    )
    return page(rows, limit, lambda row: (row.starts_at,))


async def markets(tx: Tx) -> dict[str, Market]:
    """Every market by code."""
    found = await tx.rows(
        Market,
        """
        select code, name, currency, countries, price_includes_tax, language, active
          from pricing.market order by code
        """,
    )
    return {market.code: market for market in found}


async def tax_rates(
    tx: Tx, places: Sequence[Place], *, at: dt.datetime | None = None
) -> dict[Place, int]:
    """The rate in basis points for each place, now or at ``at``: the region's own, else the
    country's. A place without a rate is left out. 1 statement."""
    asked = list(dict.fromkeys(places))
    found = await tx.rows(
        _Rate,
        """
        select w.country, w.region, w.tax_class, r.rate_basis_points
          from unnest($1::text[], $2::text[], $3::text[]) as w(country, region, tax_class)
         cross join lateral (
           select r.rate_basis_points from pricing.tax_rate r
            where r.country = w.country and r.region in (w.region, '')
              and r.tax_class = w.tax_class and r.starts_at <= $4
            order by r.region desc, r.starts_at desc limit 1) r
        """,
        [p.country for p in asked],
        [p.region for p in asked],
        [p.tax_class for p in asked],
        at or tx.now,
    )
    return {Place(r.country, r.region, r.tax_class): r.rate_basis_points for r in found}
