"""Lifetime values reckoned anew: read in one look, reckoned with no transaction open, written a
piece at a time for people who are still here."""

from __future__ import annotations

import asyncio
import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from pinwheel.insight.audience.facts import lock
from pinwheel.insight.audience.reckoning import (
    CALIBRATION_SHARE,
    WEEK_DAYS,
    Buyers,
    Reckoned,
    reckon,
)
from pinwheel.insight.audience.values import Assumptions, assumptions
from pinwheel.kernel.db import Database, Tx

WRITE_AT_ONCE = 5_000


class _Market(msgspec.Struct, frozen=True):
    market: str
    currency: str
    first_at: dt.datetime


class _Buyer(msgspec.Struct, frozen=True):
    """Days are whole UTC days; margins in minor units."""

    person_id: uuid.UUID
    first_on: dt.date
    last_on: dt.date
    days: int
    orders: int
    margin_minor: int
    seen_days: int
    seen_last_on: dt.date | None


async def reckon_values(db: Database) -> list[str]:
    """Every market's values anew; the markets. Safe to repeat: the newest stands."""
    async with db.reading(actor="audience") as tx:
        how = await assumptions(tx)
        markets = await tx.rows(
            _Market,
            """
            select market, min(currency) as currency, min(first_at) as first_at
              from audience.spend where cell = $1 group by market order by market
            """,
            tx.cell,
        )
    for market in markets:
        await _one(db, market, how)
    return [market.market for market in markets]


async def _one(db: Database, market: _Market, how: Assumptions) -> None:
    async with db.reading(actor="audience") as tx:
        now = tx.now
        split = market.first_at + (now - market.first_at) * CALIBRATION_SHARE
        rows = await _buyers(tx, market.market, split, how.margin_basis_points)
    if not rows:
        return
    rng = np.random.default_rng(db.random.getrandbits(64))
    reckoned = await asyncio.to_thread(
        reckon,
        arrays(rows, split, now),
        horizon_weeks=how.horizon_days / WEEK_DAYS,
        discount=how.discount_basis_points / 10_000,
        is_on=how.is_on,
        rng=rng,
    )
    async with db.transaction(actor="audience") as tx:
        model_id = await _keep_model(tx, market, reckoned, len(rows))
    for start in range(0, len(rows), WRITE_AT_ONCE):
        async with db.transaction(actor="audience") as tx:
            await lock(tx)
            end = start + WRITE_AT_ONCE
            await _write(tx, market, model_id, rows[start:end], reckoned, start)
    async with db.transaction(actor="audience") as tx:
        await lock(tx)
        await tx.run(
            "delete from audience.ltv where cell = $1 and market = $2 and model_id <> $3",
            tx.cell,
            market.market,
            model_id,
        )


async def _buyers(tx: Tx, market: str, split: dt.datetime, margin: int) -> list[_Buyer]:
    return await tx.rows(
        _Buyer,
        """
        select person_id, min(day) as first_on, max(day) as last_on,
               count(distinct day) as days, count(*) as orders,
               (sum(goods_minor * $4::bigint / 10000 + fee_minor - gift_minor))::bigint
                 as margin_minor,
               count(distinct day) filter (where at <= $3) as seen_days,
               max(day) filter (where at <= $3) as seen_last_on
          from (select person_id, at, (at at time zone 'UTC')::date as day, goods_minor, fee_minor,
                       gift_minor
                  from audience.purchase where cell = $1 and market = $2 and stands) b
         group by person_id order by person_id
        """,
        tx.cell,
        market,
        split,
        margin,
    )


def arrays(rows: Sequence[_Buyer], split: dt.datetime, now: dt.datetime) -> Buyers:
    """The rows as arrays, in weeks."""
    today, cut = now.date(), split.date()

    def weeks(days: Sequence[float]) -> Any:
        return np.array(days, dtype=np.float64) / WEEK_DAYS

    days = np.array([r.days for r in rows], dtype=np.float64)
    seen = np.array([r.seen_days for r in rows], dtype=np.float64)
    orders = np.array([r.orders for r in rows], dtype=np.float64)
    return Buyers(
        x=days - 1,
        t_x=weeks([(r.last_on - r.first_on).days for r in rows]),
        t=weeks([(today - r.first_on).days for r in rows]),
        orders=orders,
        margin=np.array([r.margin_minor for r in rows], dtype=np.float64) / orders,
        was_here=seen > 0,
        seen_x=np.maximum(seen - 1, 0),
        seen_t_x=weeks([((r.seen_last_on or r.first_on) - r.first_on).days for r in rows]),
        seen_t=weeks([max(0, (cut - r.first_on).days) for r in rows]),
        held_x=days - seen,
        held_weeks=(today - cut).days / WEEK_DAYS,
    )


async def _keep_model(tx: Tx, market: _Market, reckoned: Reckoned, customers: int) -> uuid.UUID:
    model_id = tx.new_id()
    await tx.run(
        """
        insert into audience.ltv_model (cell, id, market, currency, kind, why, parameters,
                                        calibration, customers, fitted_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        """,
        tx.cell,
        model_id,
        market.market,
        market.currency,
        reckoned.kind,
        reckoned.why,
        reckoned.parameters,
        msgspec.to_builtins(reckoned.calibration) or {},
        customers,
        tx.now,
    )
    return model_id


async def _write(
    tx: Tx,
    market: _Market,
    model_id: uuid.UUID,
    rows: Sequence[_Buyer],
    reckoned: Reckoned,
    start: int,
) -> None:
    part = slice(start, start + len(rows))
    await tx.run(
        """
        with given as (
          select * from unnest($6::uuid[], $7::float8[], $8::float8[], $9::float8[], $10::float8[],
                               $11::float8[], $12::text[], $13::date[])
                     as g(person_id, value, low, high, orders, alive, band, cohort)
        ), looked as (
          update audience.person p set look_at = $5
            from given g
            left join audience.ltv o
              on o.cell = $1 and o.market = $2 and o.person_id = g.person_id
           where p.cell = $1 and p.person_id = g.person_id and o.band is distinct from g.band
        )
        insert into audience.ltv (cell, market, person_id, currency, value_minor, low_minor,
               high_minor, orders, alive, band, cohort, model_id, at)
        select $1, $2, g.person_id, $3, round(g.value), round(g.low), round(g.high), g.orders,
               g.alive, g.band, g.cohort, $4, $5
          from given g join audience.person p on p.cell = $1 and p.person_id = g.person_id
        on conflict (cell, market, person_id) do update
           set currency = excluded.currency, value_minor = excluded.value_minor,
               low_minor = excluded.low_minor, high_minor = excluded.high_minor,
               orders = excluded.orders, alive = excluded.alive, band = excluded.band,
               cohort = excluded.cohort, model_id = excluded.model_id, at = excluded.at
        """,
        tx.cell,
        market.market,
        market.currency,
        model_id,
        tx.now,
        [r.person_id for r in rows],
        reckoned.value[part].tolist(),
        reckoned.low[part].tolist(),
        reckoned.high[part].tolist(),
        reckoned.orders[part].tolist(),
        [None] * len(rows) if reckoned.alive is None else reckoned.alive[part].tolist(),
        reckoned.bands[part],
        [r.first_on.replace(day=1) for r in rows],
    )
