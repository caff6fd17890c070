"""Setting guards and asking for them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.words import money
from pinwheel.trade.pricing.guard import (
    BelowFloor,
    Guard,
    GuardSet,
    GuardUnsound,
    NewGuard,
    PastGuard,
    floor_of,
    is_allowed,
    sound,
)
from pinwheel.trade.pricing.model import CurrencyUnknown, is_currency
from pinwheel.trade.pricing.rules import PriceRulesChanged

Key = tuple[uuid.UUID, str]


async def set_guards(tx: Tx, new: Sequence[NewGuard]) -> list[GuardSet | Refusal]:
    """Set what offers cost and how low their prices may go, from now on; one answer each. 2
    statements. Refuses ``GuardUnsound``, ``CurrencyUnknown``."""
    answers: list[GuardSet | Refusal] = []
    fresh: dict[Key, NewGuard] = {}
    prices = await _prices_now(tx, [(n.offer_id, n.currency) for n in new])
    for one in new:
        if not is_currency(one.currency):
            answers.append(CurrencyUnknown(currency=one.currency))
        elif not sound(one):
            answers.append(GuardUnsound())
        else:
            key, floor = (one.offer_id, one.currency), floor_of(one)
            fresh[key] = one
            price = prices.get(key)
            is_below = floor is not None and price is not None and price < floor
            answers.append(GuardSet(*key, floor, is_below))
    ordered = list(fresh.values())
    await tx.run(
        """
        insert into pricing.guard (offer_id, currency, starts_at, variant_id, cost_minor,
                                   margin_basis_points, floor_minor, loss_budget_id, reason, set_by,
                                   recorded_at)
        select g.offer_id, g.currency, $1, g.variant_id, g.cost, g.margin, g.floor, g.budget,
               g.reason, $2, $1
          from unnest($3::uuid[], $4::text[], $5::uuid[], $6::bigint[], $7::int[], $8::bigint[],
                      $9::uuid[], $10::text[])
               as g(offer_id, currency, variant_id, cost, margin, floor, budget, reason)
        on conflict (offer_id, currency, starts_at) do update
           set variant_id = excluded.variant_id, cost_minor = excluded.cost_minor,
               margin_basis_points = excluded.margin_basis_points,
               floor_minor = excluded.floor_minor, loss_budget_id = excluded.loss_budget_id,
               reason = excluded.reason, set_by = excluded.set_by
        """,
        tx.now,
        tx.actor,
        [n.offer_id for n in ordered],
        [n.currency for n in ordered],
        [n.variant_id for n in ordered],
        [n.cost_minor for n in ordered],
        [n.margin_basis_points for n in ordered],
        [floor_of(n) for n in ordered],
        [n.loss_budget_id for n in ordered],
        [n.reason.strip() for n in ordered],
    )
    if ordered:
        tx.emit(PriceRulesChanged())
    return answers


async def guards(tx: Tx, keys: Iterable[Key]) -> dict[Key, Guard]:
    """The guard of each (offer, currency) that has one, as it holds now, with what its loss
    budget can pay. 1 statement."""
    asked = sorted(set(keys))
    rows = await tx.rows(
        Guard,
        """
        select w.offer_id, w.currency, g.cost_minor, g.floor_minor, g.loss_budget_id,
               greatest(0, coalesce(b.available_minor, 0)) as loss_available_minor
          from unnest($1::uuid[], $2::text[]) as w(offer_id, currency)
         cross join lateral (
           select g.cost_minor, g.floor_minor, g.loss_budget_id from pricing.guard g
            where g.offer_id = w.offer_id and g.currency = w.currency and g.starts_at <= $3
            order by g.starts_at desc limit 1) g
          left join budgets.v_budget b
            on b.cell = $4 and b.budget_id = g.loss_budget_id and b.currency = w.currency
           and b.state = 'open' and b.starts_at <= $3 and (b.ends_at is null or b.ends_at > $3)
        """,
        [offer for offer, _ in asked],
        [currency for _, currency in asked],
        tx.now,
        tx.cell,
    )
    return {(row.offer_id, row.currency): row for row in rows}


async def guard_history(tx: Tx, offer_id: uuid.UUID, currency: str) -> list[PastGuard]:
    """Every guard an offer had, the latest first; 200 at most. 1 statement."""
    return await tx.rows(
        PastGuard,
        """
        select starts_at, cost_minor, margin_basis_points, floor_minor, loss_budget_id, reason,
               set_by
          from pricing.guard where offer_id = $1 and currency = $2
         order by starts_at desc limit 200
        """,
        offer_id,
        currency,
    )


async def refused_by_floor(
    tx: Tx, wanted: Sequence[tuple[uuid.UUID, str, int]]
) -> list[Refusal | None]:
    """Why each (offer, currency, price) may not be published, or None. 1 statement."""
    found = await guards(tx, [(offer, currency) for offer, currency, _ in wanted])
    return [
        None
        if is_allowed(guard := found.get((offer, currency)), price) or guard is None
        else below_floor(price, guard)
        for offer, currency, price in wanted
    ]


def below_floor(price_minor: int, guard: Guard) -> BelowFloor:
    return BelowFloor(
        price=money(price_minor, guard.currency, "en"),
        floor=money(guard.floor_minor or 0, guard.currency, "en"),
    )


class _Price(msgspec.Struct, frozen=True):
    offer_id: uuid.UUID
    currency: str
    price_minor: int


async def _prices_now(tx: Tx, keys: Sequence[Key]) -> dict[Key, int]:
    rows = await tx.rows(
        _Price,
        """
        select w.offer_id, w.currency, p.price_minor
          from (select distinct * from unnest($1::uuid[], $2::text[]) as u(offer_id, currency)) w
         cross join lateral (
           select p.price_minor from pricing.price p
            where p.offer_id = w.offer_id and p.currency = w.currency and p.starts_at <= $3
              and (p.ends_at is null or p.ends_at > $3)
            order by p.starts_at desc limit 1) p
        """,
        [offer for offer, _ in keys],
        [currency for _, currency in keys],
        tx.now,
    )
    return {(row.offer_id, row.currency): row.price_minor for row in rows}
