"""Verbs of pricing."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence

from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade.pricing.guard_actions import refused_by_floor
from pinwheel.trade.pricing.jobs import announce
from pinwheel.trade.pricing.model import (
    CurrencyUnknown,
    Market,
    NewPrice,
    Now,
    PriceChanged,
    PriceDue,
    PriceSet,
    TaxRate,
    TaxRateUnsound,
    is_currency,
    plan,
)


async def set_prices(tx: Tx, prices: Sequence[NewPrice]) -> list[PriceSet | Refusal]:
    """Set each price or refuse it; one answer per price, in order. 3 statements.

    Refuses ``PriceNegative``, ``CurrencyUnknown``, ``ListPriceLow``, ``PriceHistoric``,
    ``PricePeriodEmpty``, ``PriceTwice``, ``BelowFloor``, and ``PriceJump`` unless confirmed. A
    price that holds already is not written again. A planned price replaces one planned for the
    same instant."""
    if not prices:
        return []
    current = await _current(tx, prices)
    answers = plan(prices, current, tx.now)
    answers = await _above_floors(tx, prices, answers)
    fresh = [
        (new, answer)
        for new, answer in zip(prices, answers, strict=True)
        if isinstance(answer, PriceSet) and answer.fresh
    ]
    if fresh:
        await _write(tx, fresh)
        _tell(tx, fresh)
    return answers


async def _above_floors(
    tx: Tx, prices: Sequence[NewPrice], answers: list[PriceSet | Refusal]
) -> list[PriceSet | Refusal]:
    """What would be written below its floor is refused, unless a loss budget pays."""
    fresh = [n for n, a in enumerate(answers) if isinstance(a, PriceSet) and a.fresh]
    if fresh:
        wanted = [(prices[n].offer_id, prices[n].currency, prices[n].price_minor) for n in fresh]
        for n, refusal in zip(fresh, await refused_by_floor(tx, wanted), strict=True):
            answers[n] = refusal or answers[n]
    return answers


async def _current(tx: Tx, prices: Sequence[NewPrice]) -> dict[tuple[uuid.UUID, str], Now]:
    found = await tx.rows(
        Now,
        """
        select p.offer_id, p.currency, p.price_minor, p.list_price_minor, p.starts_at, p.ends_at
          from (select distinct offer_id, currency
                  from unnest($1::uuid[], $2::text[]) as u(offer_id, currency)) w
         cross join lateral (
           select * from pricing.price p
            where p.offer_id = w.offer_id and p.currency = w.currency and p.starts_at <= $3
              and (p.ends_at is null or p.ends_at > $3)
            order by p.starts_at desc limit 1) p
        """,
        [p.offer_id for p in prices],
        [p.currency for p in prices],
        tx.now,
    )
    return {(row.offer_id, row.currency): row for row in found}


async def _write(tx: Tx, fresh: Sequence[tuple[NewPrice, PriceSet]]) -> None:
    await tx.run(
        """
        insert into pricing.price (offer_id, currency, starts_at, ends_at, price_minor,
          list_price_minor, reason, set_by, recorded_at)
        select n.*, $8, $9
          from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::timestamptz[], $5::bigint[],
                      $6::bigint[], $7::text[]) as n
        on conflict (offer_id, currency, starts_at) do update
           set ends_at = excluded.ends_at, price_minor = excluded.price_minor,
               list_price_minor = excluded.list_price_minor, reason = excluded.reason,
               set_by = excluded.set_by, recorded_at = excluded.recorded_at
        """,
        [answer.offer_id for _, answer in fresh],
        [answer.currency for _, answer in fresh],
        [answer.starts_at for _, answer in fresh],
        [new.ends_at for new, _ in fresh],
        [new.price_minor for new, _ in fresh],
        [new.list_price_minor for new, _ in fresh],
        [new.reason for new, _ in fresh],
        tx.actor,
        tx.now,
    )


def _tell(tx: Tx, fresh: Iterable[tuple[NewPrice, PriceSet]]) -> None:
    """Tell it at once for what starts now, and at the instant for what starts or ends later."""
    due: dict[dt.datetime, list[uuid.UUID]] = {}
    for new, answer in fresh:
        due.setdefault(answer.starts_at, []).append(answer.offer_id)
        if new.ends_at is not None:
            due.setdefault(new.ends_at, []).append(answer.offer_id)
    for at, offer_ids in sorted(due.items()):
        if at <= tx.now:
            tx.emit(PriceChanged(offer_ids=tuple(offer_ids)))
        else:
            tx.later(announce, PriceDue(offer_ids=tuple(offer_ids)), at=at)


async def set_tax_rates(tx: Tx, rates: Sequence[TaxRate]) -> list[TaxRate | Refusal]:
    """Set each rate from its ``starts_at`` on, which may not be past: what was taxed stays taxed.
    1 statement."""
    answers: list[TaxRate | Refusal] = [
        rate
        if 0 <= rate.rate_basis_points <= 10_000 and rate.starts_at >= tx.now
        else TaxRateUnsound(country=rate.country)
        for rate in rates
    ]
    sound = [rate for rate in answers if isinstance(rate, TaxRate)]
    await tx.run(
        """
        insert into pricing.tax_rate (country, region, tax_class, rate_basis_points, starts_at)
        select * from unnest($1::text[], $2::text[], $3::text[], $4::int[], $5::timestamptz[])
        on conflict (country, region, tax_class, starts_at) do update
           set rate_basis_points = excluded.rate_basis_points
        """,
        [rate.country for rate in sound],
        [rate.region for rate in sound],
        [rate.tax_class for rate in sound],
        [rate.rate_basis_points for rate in sound],
        [rate.starts_at for rate in sound],
    )
    return answers


async def save_markets(tx: Tx, markets: Sequence[Market]) -> list[Market | Refusal]:
    """Open each market or change it. Refuses ``CurrencyUnknown``. 1 statement a market: there are
    few."""
    answers: list[Market | Refusal] = [
        market if is_currency(market.currency) else CurrencyUnknown(currency=market.currency)
        for market in markets
    ]
    for market in answers:
        if isinstance(market, Market):
            await tx.run(
                """
                insert into pricing.market (code, name, currency, countries, price_includes_tax,
                  language, active) values ($1, $2, $3, $4, $5, $6, $7)
                on conflict (code) do update
                   set name = excluded.name, currency = excluded.currency,
                       countries = excluded.countries, language = excluded.language,
                       price_includes_tax = excluded.price_includes_tax, active = excluded.active
                """,
                market.code,
                market.name,
                market.currency,
                market.countries,
                market.price_includes_tax,
                market.language,
                market.active,
            )
    return answers
