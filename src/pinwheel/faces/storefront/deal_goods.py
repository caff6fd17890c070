"""What the deals' page and the first page ask about the goods in deals; no locks."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import msgspec

from pinwheel.kernel.db import Database, Tx
from pinwheel.trade import promotions

KEPT_SECONDS = 10
_running: WeakKeyDictionary[Database, dict[str, tuple[dt.datetime, list[uuid.UUID]]]] = (
    WeakKeyDictionary()
)


class DealGoods(msgspec.Struct, frozen=True):
    """An offer's product and its plain price in one currency. ``revision``: of the rules that
    change prices."""

    offer_id: uuid.UUID
    variant_id: uuid.UUID
    slug: str
    title: dict[str, str]
    brand: str
    media: list[dict[str, Any]]
    options: dict[str, str]
    price_minor: int
    revision: int


async def deal_goods(
    tx: Tx, offer_ids: Sequence[uuid.UUID], currency: str
) -> dict[uuid.UUID, DealGoods]:
    """Those that are sold in ``currency``, by offer. 1 statement."""
    rows = await tx.rows(
        DealGoods,
        """
        select o.offer_id, v.variant_id, v.slug, v.title, v.brand, v.media, v.options,
               p.price_minor, (select version from orders.v_revision) as revision
          from unnest($1::uuid[]) as w(offer_id)
          join marketplace.v_offer o on o.offer_id = w.offer_id and o.active
          join catalogue.v_variant v on v.variant_id = o.variant_id and v.buyable
          join lateral (
            select price_minor from pricing.v_price p
             where p.offer_id = o.offer_id and p.currency = $2 and p.starts_at <= $3
               and (p.ends_at is null or p.ends_at > $3)
             order by p.starts_at desc limit 1) p on true
        """,
        list(offer_ids),
        currency,
        tx.now,
    )
    return {row.offer_id: row for row in rows}


async def products_in_deals(db: Database, currency: str) -> list[uuid.UUID]:
    """What has pieces left in a deal that runs: read once and again every ten seconds, so that the
    first page needn't ask. What a piece costs is asked for each visitor."""
    known = _running.setdefault(db, {})
    now = db.clock.now()
    at, found = known.get(currency, (now, []))
    if currency not in known or abs(now - at) >= dt.timedelta(seconds=KEPT_SECONDS):
        async with db.reading() as tx:
            offers = [
                d.offer_id
                for d in await promotions.deals(tx, ahead_seconds=0)
                if d.left > 0 and d.promotion.terms.conditions.currency in ("", currency)
            ]
            found = await _products(tx, offers) if offers else []
        known[currency] = (now, found)
    return found


async def _products(tx: Tx, offer_ids: Sequence[uuid.UUID]) -> list[uuid.UUID]:
    return await tx.values(
        """
        select v.product_id from unnest($1::uuid[]) with ordinality as w(offer_id, place)
          join marketplace.v_offer o on o.offer_id = w.offer_id and o.active
          join catalogue.v_variant v on v.variant_id = o.variant_id and v.buyable
         order by w.place
        """,
        list(offer_ids),
    )
