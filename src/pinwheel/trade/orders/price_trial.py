"""What was sold and at what cost: to try a price rule on the past, and to see the loss by SKU."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.trade import marketplace
from pinwheel.trade.pricing import Sold

MOST = 20_000


class SkuResult(msgspec.Struct, frozen=True, kw_only=True):
    """What one SKU brought, in minor units without tax. ``covered_minor``: what loss budgets paid
    below its floor. ``cost_minor`` is that of the pieces whose cost was known when they were
    bought; ``unknown_pieces`` are the others, and are in no result."""

    offer_id: uuid.UUID
    sku: str
    title: dict[str, str]
    pieces: int
    unknown_pieces: int
    net_minor: int
    cost_minor: int
    covered_minor: int

    @property
    def result_minor(self) -> int:
        """What is left of the known pieces; below zero it is a loss."""
        return self.net_minor - self.cost_minor


async def sold(tx: Tx, currency: str, *, days: int) -> list[Sold]:
    """What was sold in the last ``days``, by offer, channel and price, without what was cancelled
    or came back; the cost and the floor are today's. 1 statement."""
    return await tx.rows(
        Sold,
        """
        select l.offer_id, min(l.sku) as sku, v.category_id, coalesce(v.brand, '') as brand,
               o.currency, o.channel,
               sum(l.quantity - l.cancelled - l.returned)::bigint as quantity,
               count(*) as lines, l.unit_price_minor as price_minor,
               case when bool_and(o.tax_included) then max(l.tax_basis_points) else 0 end
                 as tax_basis_points,
               min(g.cost_minor) as cost_minor, min(g.floor_minor) as floor_minor
          from orders."order" o
          join orders.line l on l.cell = o.cell and l.order_id = o.id
          left join catalogue.v_variant v on v.variant_id = l.variant_id
          left join lateral (
            select g.cost_minor, g.floor_minor from pricing.v_guard g
             where g.offer_id = l.offer_id and g.currency = o.currency and g.starts_at <= $4
             order by g.starts_at desc limit 1) g on true
         where o.cell = $1 and o.currency = $2 and o.placed_at > $3
           and o.state in ('placed', 'shipped', 'delivered')
           and l.quantity > l.cancelled + l.returned
         group by l.offer_id, v.category_id, v.brand, o.currency, o.channel, l.unit_price_minor
         order by l.offer_id, o.channel, l.unit_price_minor limit $5
        """,
        tx.cell,
        currency,
        tx.now - dt.timedelta(days=days),
        tx.now,
        MOST,
    )


async def results_by_sku(
    tx: Tx,
    currency: str,
    *,
    days: int,
    losses_only: bool = False,
    most: int = 200,
    after: tuple[int, str, uuid.UUID] | None = None,
) -> list[SkuResult]:
    """What each SKU brought in the last ``days`` against the cost it had when it was bought, the
    largest loss first, after every discount, whoever paid it. ``after``: the result (what came in
    less the cost), SKU and offer of the last line before. 1 statement."""
    return await tx.rows(
        SkuResult,
        """
        with line as (
          select l.cell, l.order_id, l.offer_id, l.sku, l.title, g.cost_minor,
                 l.quantity - l.cancelled - l.returned as pieces,
                 (l.goods_minor - l.discount_minor
                  - case when o.tax_included then l.tax_minor else 0 end)
                   * (l.quantity - l.cancelled - l.returned) / l.quantity as net
            from orders."order" o
            join orders.line l on l.cell = o.cell and l.order_id = o.id
            left join lateral (
              select g.cost_minor from pricing.v_guard g
               where g.offer_id = l.offer_id and g.currency = o.currency
                 and g.starts_at <= o.placed_at
               order by g.starts_at desc limit 1) g on true
           where o.cell = $1 and o.currency = $2 and o.placed_at > $3
             and o.state in ('placed', 'shipped', 'delivered')
        ), covered as (
          select b.offer_id, sum(b.amount_minor)::bigint as amount from orders.v_below_floor b
           where b.cell = $1 and b.currency = $2 and b.placed_at > $3
             and b.state in ('placed', 'shipped', 'delivered') group by b.offer_id
        ), sku as (
          select l.offer_id, max(l.sku) as sku, (array_agg(l.title))[1] as title,
                 sum(l.pieces)::bigint as pieces,
                 coalesce(sum(l.pieces) filter (where l.cost_minor is null), 0)::bigint
                   as unknown_pieces,
                 coalesce(sum(l.net) filter (where l.cost_minor is not null), 0)::bigint
                   as net_minor,
                 coalesce(sum(l.cost_minor * l.pieces), 0)::bigint as cost_minor
            from line l where l.pieces > 0 group by l.offer_id
        )
        select s.offer_id, s.sku, s.title, s.pieces, s.unknown_pieces, s.net_minor, s.cost_minor,
               coalesce(c.amount, 0) as covered_minor
          from sku s left join covered c on c.offer_id = s.offer_id
         where (not $4 or s.net_minor < s.cost_minor)
           and ($6::bigint is null
                or (s.net_minor - s.cost_minor, s.sku, s.offer_id) > ($6, $7::text, $8::uuid))
         order by s.net_minor - s.cost_minor, s.sku, s.offer_id limit $5
        """,
        tx.cell,
        currency,
        tx.now - dt.timedelta(days=days),
        losses_only,
        most,
        *(after or (None, None, None)),
    )


class Article(msgspec.Struct, frozen=True):
    """What an offer sells, by the names people know."""

    offer_id: uuid.UUID
    variant_id: uuid.UUID
    sku: str
    title: dict[str, str]
    slug: str


async def articles(
    tx: Tx, *, skus: Sequence[str] = (), offer_ids: Sequence[uuid.UUID] = ()
) -> list[Article]:
    """The offers with these SKUs (of several sellers the shop's own) or these ids. 1 statement."""
    return await tx.rows(
        Article,
        """
        select distinct on (case when o.offer_id = any($2::uuid[]) then o.offer_id::text
                                 else v.sku end)
               o.offer_id, o.variant_id, v.sku, v.title, v.slug
          from catalogue.v_variant v
          join marketplace.v_offer o on o.variant_id = v.variant_id
         where v.sku = any($1::text[]) and o.active or o.offer_id = any($2::uuid[])
         order by case when o.offer_id = any($2::uuid[]) then o.offer_id::text else v.sku end,
                  o.seller_id <> $3, o.offer_id
        """,
        list(skus),
        list(offer_ids),
        marketplace.OWN_SELLER_ID,
    )
