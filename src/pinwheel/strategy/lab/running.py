"""One run of the simulated city, from an empty database to its report."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

from pinwheel.growth import measurement
from pinwheel.kernel import audit
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.strategy.lab import estimating, incidents, world
from pinwheel.strategy.lab.living import City
from pinwheel.strategy.lab.model import (
    BEGINS,
    CURRENCY,
    SLOTS,
    Act,
    Report,
    Scenario,
    people_of,
    slots_of,
    truth_of,
)

Say = Callable[[str], None]
MISTAKE_DAY, OUTAGE_DAY, RING_DAYS = 0.3, 0.55, (0.4, 0.7)


async def simulate(
    db: Database, clock: SetClock, scenario: Scenario, promising: Sequence[str], say: Say
) -> Report:
    """Play ``scenario`` on an empty database whose clock is ``clock``; ``promising`` are the
    packages whose promises must hold at the end."""
    began = time.monotonic()
    clock.set(BEGINS)
    truth = truth_of(scenario)
    shop = await world.build(db, scenario)
    city = City(db, clock, shop, scenario, truth, people_of(scenario, truth))
    incidents.let_workers_die(db, scenario.seed)
    played = _Incidents(city)
    for number, slot in enumerate(slots_of(scenario)):
        clock.set(slot)
        if slot.hour == SLOTS[0]:
            city.arrivals(slot - dt.timedelta(hours=SLOTS[0]))
            await _spend(db, truth.spend_minor, slot)
            played.ring(number // len(SLOTS))
        await played.before(slot, number // len(SLOTS))
        await city.slot(slot)
        if slot.hour == SLOTS[-1]:
            day = number // len(SLOTS) + 1
            say(f"  day {day} / {scenario.days}: {len(city.order_of)} orders / 订单")
    for hours in (1, 12, 24, 48, 96):  # what waits comes to its end
        clock.set(scenario.ends + dt.timedelta(hours=hours))
        await city.drain()
    return await _report(city, played, promising, began)


class _Incidents:
    """What goes wrong, and what was seen of it."""

    def __init__(self, city: City) -> None:
        self.city = city
        self.chance = Random(f"{city.scenario.seed}:incidents")
        self.seen: dict[str, Any] = {"price_mistake": {}, "payment_outage": {}}
        days = city.scenario.days
        self.mistake_day = int(days * MISTAKE_DAY)
        self.outage_day = int(days * OUTAGE_DAY)

    def ring(self, day: int) -> None:
        """The fraudster's accounts come one by one for the newcomer price."""
        first, last = (int(self.city.scenario.days * part) for part in RING_DAYS)
        if not first <= day < max(first + 1, last):
            return
        accounts = [b for b in self.city.buyers if b.ring and b.person_id is None and not b.busy]
        each = -(-len(accounts) // (max(first + 1, last) - day))
        for buyer in accounts[:each]:
            at = BEGINS + dt.timedelta(days=day, hours=self.chance.choice(SLOTS))
            self.city.plan(Act(at, buyer.number, "newcomer"))

    async def before(self, slot: dt.datetime, day: int) -> None:
        if day == self.mistake_day and slot.hour == 12:
            await self._mistake(slot)
        elif day == self.mistake_day and slot.hour == 18:
            await self._mend()
        elif day == self.outage_day and slot.hour == 12:
            await incidents.payments_are_down(self.city.db, True)
            self.seen["payment_outage"] = {"from": slot.isoformat()}
        elif day == self.outage_day and slot.hour == 22:
            await incidents.payments_are_down(self.city.db, False)
            self.seen["payment_outage"]["until"] = slot.isoformat()

    async def _mistake(self, slot: dt.datetime) -> None:
        """A price loses two digits, by accident and then insisted on; one offer has a floor."""
        shop, db = self.city.world, self.city.db
        wrong = shop.prices[world.MISTAKEN] // 100
        seen = self.seen["price_mistake"]
        for name, number in (("unguarded", world.MISTAKEN), ("with_floor", world.GUARDED)):
            price = shop.prices[number] // 100
            offer = shop.offers[number]
            seen[name] = [
                await incidents.set_price(db, offer, CURRENCY, price, confirmed=confirmed)
                for confirmed in (False, True)
            ]
        seen["price_minor"], seen["wrong_price_minor"] = shop.prices[world.MISTAKEN], wrong
        known = [
            b for b in self.city.buyers if b.first_at is not None and not b.ring and not b.busy
        ]
        for buyer in known[:20]:  # word gets round
            self.city.plan(Act(slot, buyer.number, "mistake"))

    async def _mend(self) -> None:
        shop = self.city.world
        self.seen["price_mistake"]["mended"] = await incidents.set_price(
            self.city.db,
            shop.offers[world.MISTAKEN],
            CURRENCY,
            shop.prices[world.MISTAKEN],
            confirmed=True,
        )


async def _spend(db: Database, spend: dict[str, int], slot: dt.datetime) -> None:
    """The day's marketing, as it is reported."""
    days = [
        measurement.NewSpend(channel, slot.date(), amount, CURRENCY)
        for channel, amount in sorted(spend.items())
        if amount
    ]
    if days:
        async with db.transaction(actor=world.ACTOR) as tx:
            await measurement.record_spend(tx, days)


async def _report(city: City, played: _Incidents, promising: Sequence[str], began: float) -> Report:
    checks = await audit.run(city.db, promising)
    async with city.db.reading() as tx:
        found = await estimating.estimates(tx, city)
        name = await estimating.hash_of(tx)
        figures = await _figures(tx, city)
    seconds = time.monotonic() - began
    broken = [{"module": c.module, "promise": c.promise} for c in checks if c.broken]
    ring = {b.number for b in city.buyers if b.ring}
    seen = played.seen
    kinds = city.order_of.values()
    seen["price_mistake"]["orders"] = sum(kind == "mistake" for _, kind in kinds)
    seen["fraud_ring"] = {
        "accounts": len(ring),
        "orders_at_newcomer_price": sum(
            number in ring and kind == "newcomer" for number, kind in city.order_of.values()
        ),
    }
    seen["workers_killed"] = city.kills
    return Report(
        scenario=city.scenario,
        hash=name,
        clean=not broken,
        broken=broken,
        estimates=found,
        incidents=seen,
        figures=figures,
        seconds=round(seconds, 1),
        ratio=round(city.scenario.days * 86_400 / seconds, 1),
    )


async def _figures(tx: Any, city: City) -> dict[str, Any]:
    orders = await tx.connection.fetchrow(
        """
        select count(*) as orders, count(distinct person_id) as buyers,
               count(*) filter (where state = 'cancelled') as cancelled,
               count(*) filter (where state = 'pending_payment') as unpaid,
               coalesce(sum(secured_minor - refunded_minor), 0)::bigint as net_minor
          from orders.v_purchase where cell = $1
        """,
        tx.cell,
    )
    teams = await tx.connection.fetch(
        "select state, count(*) as n from social.v_team where cell = $1 group by state", tx.cell
    )
    spent = await tx.value(
        """
        select coalesce(sum(amount_minor), 0)::bigint from orders.v_discount
         where cell = $1 and state <> 'cancelled' and budget_id is not null
        """,
        tx.cell,
    )
    return {
        **dict(orders),
        "currency": CURRENCY,
        "teams": {row["state"]: row["n"] for row in teams},
        "discounts_from_budgets_minor": spent,
        "exposed_to_the_experiment": len(city.exposed),
        "refused": dict(sorted(city.refused.items())),
    }
