"""What is known of people, loaded for the decision: one statement a kind of fact, whatever the
number of people."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.insight.audience.model import Buy, Known, Score, Spend, Worth
from pinwheel.kernel.db import Tx


class _Person(msgspec.Struct, frozen=True):
    person_id: uuid.UUID
    orders: int
    cancelled_orders: int
    pieces: int
    returned_pieces: int
    first_at: dt.datetime | None
    last_at: dt.datetime | None
    market: str
    country: str
    region: str
    channel: str
    city: str
    tier: int | None
    tier_by: str | None


class _Bought(msgspec.Struct, frozen=True):
    person_id: uuid.UUID
    at: dt.datetime
    market: str
    net_minor: int
    stands: bool


class _Figure(msgspec.Struct, frozen=True):
    """A row of one of the smaller tables; which columns mean what is told by ``kind``."""

    kind: str
    person_id: uuid.UUID
    market: str
    id: uuid.UUID | None
    name: str
    day: dt.date | None
    a: int
    b: int
    c: int


async def known(tx: Tx, person_ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, Known]:
    """Everything a rule may ask of these people. 3 statements."""
    ids = list(person_ids)
    people = await tx.rows(
        _Person,
        """
        select p.person_id, p.orders, p.cancelled_orders, p.pieces, p.returned_pieces, p.first_at,
               p.last_at, p.market, p.country, p.region, p.channel, p.city, t.tier::int as tier,
               t.by as tier_by
          from audience.person p
          left join lateral (
            select tier, case when t.city <> '' then 'city' when t.region <> '' then 'region'
                         else 'country' end as by
              from audience.region_tier t
             where t.country = p.country and t.region in (p.region, '') and t.city in (p.city, '')
             order by t.city <> '' desc, t.region <> '' desc limit 1) t on true
         where p.cell = $1 and p.person_id = any($2::uuid[])
        """,
        tx.cell,
        ids,
    )
    found = {
        p.person_id: Known(
            person_id=p.person_id,
            orders=p.orders,
            cancelled_orders=p.cancelled_orders,
            pieces=p.pieces,
            returned_pieces=p.returned_pieces,
            first_at=p.first_at,
            last_at=p.last_at,
            market=p.market,
            country=p.country,
            region=p.region,
            channel=p.channel,
            city=p.city,
            tier=p.tier,
            tier_by=p.tier_by,
        )
        for p in people
    }
    for row in await tx.rows(
        _Bought,
        """
        select person_id, at, market, net_minor, stands from audience.purchase
         where cell = $1 and person_id = any($2::uuid[])
        """,
        tx.cell,
        ids,
    ):
        if row.person_id in found:
            found[row.person_id].buys.append(Buy(row.at, row.market, row.net_minor, row.stands))
    for figure in await _figures(tx, ids):
        if figure.person_id in found:
            _add(found[figure.person_id], figure)
    return found


async def _figures(tx: Tx, ids: list[uuid.UUID]) -> list[_Figure]:
    return await tx.rows(
        _Figure,
        """
        select 'spend' as kind, person_id, market, null::uuid as id, '' as name, null::date as day,
               orders::bigint as a, net_minor as b, 0::bigint as c
          from audience.spend where cell = $1 and person_id = any($2::uuid[])
        union all
        select 'taste', person_id, market, category_id, '', null, share_basis_points, 0, 0
          from audience.taste where cell = $1 and person_id = any($2::uuid[])
        union all
        select 'did', person_id, '', null, name, day, count, 0, 0
          from audience.activity where cell = $1 and person_id = any($2::uuid[])
        union all
        select 'rfm', person_id, market, null, name, null, r, f, m
          from audience.rfm where cell = $1 and person_id = any($2::uuid[])
        union all
        select 'ltv', person_id, market, null, band, null, value_minor, 0, 0
          from audience.ltv where cell = $1 and person_id = any($2::uuid[])
        union all
        select 'segment', person_id, '', segment_id, '', null, 0, 0, 0
          from audience.membership
         where cell = $1 and person_id = any($2::uuid[]) and left_at is null
        """,
        tx.cell,
        ids,
    )


def _add(known: Known, row: _Figure) -> None:
    if row.kind == "spend":
        known.spends[row.market] = Spend(row.a, row.b)
    elif row.kind == "taste" and row.id is not None:
        known.tastes[row.market, row.id] = row.a
    elif row.kind == "did" and row.day is not None:
        known.did.setdefault(row.name, []).append((row.day, row.a))
    elif row.kind == "rfm":
        known.rfm[row.market] = Score(row.a, row.b, row.c, row.name)
    elif row.kind == "ltv":
        known.worth[row.market] = Worth(row.name, row.a)
    elif row.kind == "segment" and row.id is not None:
        known.segments.add(row.id)
