"""The port: what every payment provider must be able to do, and which ones this house has."""

from __future__ import annotations

import datetime as dt
import weakref
from collections.abc import Sequence
from typing import Protocol

from pinwheel.kernel.db import Database
from pinwheel.kernel.settings import Settings
from pinwheel.trade.payments.cash import Cash
from pinwheel.trade.payments.model import (
    GIFT_CARD,
    STORE_CREDIT,
    Delivery,
    Notice,
    Outcome,
    Payment,
    SettlementRow,
    Step,
)
from pinwheel.trade.payments.sandbox.provider import Sandbox
from pinwheel.trade.payments.store_credit import OwnBooks
from pinwheel.trade.payments.stripe import HttpTransport, Stripe


class Provider(Protocol):
    """Verbs take a list, may be repeated, and are called with no transaction open.

    A payment's id and an instruction's id are the keys that make a repeat harmless: the answer
    is the first one's. A verb answers with one outcome per item in the order given (``look_up``:
    any number); what has no answer is ``unknown``. An exception means that nothing is known of
    the whole list."""

    name: str

    async def authorise(self, payments: Sequence[Payment]) -> list[Outcome]:
        """Authorise, or capture at once where ``captures_at_once``."""
        ...

    async def capture(self, steps: Sequence[Step]) -> list[Outcome]: ...

    async def void(self, payments: Sequence[Payment]) -> list[Outcome]:
        """Give back what is not captured, and see to it that nothing comes any more: also of a
        payment that the provider has never heard of. ``voided``, ``captured`` (too late) or
        ``void_failed``."""
        ...

    async def refund(self, steps: Sequence[Step]) -> list[Outcome]: ...

    async def look_up(self, payments: Sequence[Payment]) -> list[Outcome]:
        """All that is known of each: its state, refunds and disputes; ``unheard`` for none."""
        ...

    async def parse_webhook(self, delivery: Delivery, now: dt.datetime) -> list[Notice]:
        """What it says, if it is signed and at most five minutes from ``now``; else
        ``WebhookRefused``."""
        ...

    async def settlement_rows(self, day: dt.date) -> list[SettlementRow]: ...


_houses: weakref.WeakKeyDictionary[Database, dict[str, Provider]] = weakref.WeakKeyDictionary()


def use(db: Database, settings: Settings) -> None:
    """Give the house on ``db`` the providers that its settings name. The sandbox is there only
    in a demonstration, and never beside a provider that moves real money."""
    found: list[Provider] = [OwnBooks(STORE_CREDIT), OwnBooks(GIFT_CARD), Cash()]
    if settings.stripe_secret_key:
        found.append(
            Stripe(
                settings.stripe_secret_key,
                settings.stripe_webhook_secret,
                HttpTransport(),
                home=settings.public_url or f"http://{settings.host}:{settings.port}",
            )
        )
    if settings.demonstration and "_live_" not in settings.stripe_secret_key:
        found.append(Sandbox(db.pool, db.clock))
    _houses[db] = {p.name: p for p in found}


def add(db: Database, provider: Provider) -> None:
    """One more provider; one of the same name is replaced."""
    providers_of(db)[provider.name] = provider


def providers_of(db: Database) -> dict[str, Provider]:
    """The providers of the house on ``db``; those of the house and the sandbox until ``use``
    was called."""
    if db not in _houses:
        use(db, Settings())
    return _houses[db]


def holds_days(db: Database, name: str) -> int:
    """For how many days what a provider has authorised can still be captured; 0: it does not say,
    so nothing may rest on it."""
    return int(getattr(providers_of(db).get(name), "holds_days", 0))
