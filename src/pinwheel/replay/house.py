"""The house a replay plays in: the clock is set by the data, payments go to the sandbox, and what
follows is what follows in the transactional core.

Floors above it stay silent: nobody is written to, no webhook is sent about what happened long
ago."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import Reactions
from pinwheel.kernel.jobs import Worker
from pinwheel.kernel.settings import Settings
from pinwheel.replay import booking
from pinwheel.replay.model import DELIVERY, MARKETS, NODE, ReplayStuck, Totals
from pinwheel.replay.stages import InvoiceDelivery, InvoicePrices, checkout
from pinwheel.trade import catalogue, imports, inventory, marketplace, orders, payments, pricing
from pinwheel.trade.orders import Draft, Placed, Sending

CORE = ("pinwheel.ground.ledger.", "pinwheel.trade.payments.", "pinwheel.trade.orders.")
IN_THE_BOOKS = {"tracking.book_revenue"}  # the money in analytics is the ledger's, also of the past
AT_ONCE = 1_000
T = TypeVar("T")
Say = Callable[[str], None]


class Played(msgspec.Struct, frozen=True, kw_only=True):
    """What was played, and what the file itself sums up to."""

    run: uuid.UUID
    control: Totals
    facts: dict[str, int | float | str]


class House:
    """One replay's way to the verbs."""

    def __init__(self, whole: Database, clock: SetClock, actor: str) -> None:
        self.whole = whole
        self.clock = clock
        self.actor = actor
        self.db = Database(
            whole.pool, clock=clock, reactions=_core(whole.reactions), cell=whole.cell
        )
        payments.use(self.db, Settings(demonstration=True))
        self.prices, self.delivery = InvoicePrices(), InvoiceDelivery()
        self.checkout = checkout(self.prices, self.delivery)
        self.worker = Worker(self.db)

    async def place(self, drafts: Sequence[Draft]) -> dict[uuid.UUID, Refusal]:
        """Place and pay; who was refused. Each step may be repeated after a crash: an order by its
        key, a payment by its id."""
        async with self.db.transaction(actor=self.actor) as tx:
            answers = await self.checkout.place(tx, drafts)
            waiting = await _unpaid(tx, answers)
        placed = [a for a in answers if isinstance(a, Placed)]
        asked = [p for a in placed if a.fresh for p in a.payments] + waiting
        if asked:
            outcomes = await payments.charge(self.db, asked)
            async with self.db.transaction(actor=self.actor) as tx:
                recorded = await payments.record(tx, outcomes)
            lost = [p for p in recorded if not p.is_secured]
            if lost:
                raise ReplayStuck(
                    where=f"payment {lost[0].id}",
                    why=f"the sandbox answered {lost[0].state}",
                    why_zh=f"沙盒支付返回 {lost[0].state}",
                )
        return {
            draft.id: answer
            for draft, answer in zip(drafts, answers, strict=True)
            if isinstance(answer, Refusal)
        }

    async def begun(self, run: uuid.UUID) -> bool:
        """Is all that comes before the first order done?"""
        async with self.db.reading() as tx:
            return await booking.progress(tx, run) is not None

    async def run_jobs(self) -> None:
        """Send what is due: refunds."""
        await self.worker.drain(most=1_000_000)


def _core(whole: Reactions) -> Reactions:
    """Without the clock's own: when they run would depend on when a replay was interrupted. What
    they owe (the sandbox's notices, its settlement) is done when the shop next works."""
    core = Reactions()
    for reaction in whole.by_name.values():
        is_core = reaction.call.__module__.startswith(CORE) and reaction.when != "every"
        if is_core or reaction.name in IN_THE_BOOKS:
            core.add(reaction)
    return core


async def take_in(whole: Database, clock: SetClock, source: str, path: Path, say: Say) -> None:
    """The catalogue, before the first order. Everything reacts: the goods can be found."""
    past = Database(whole.pool, clock=clock, reactions=whole.reactions, cell=whole.cell)
    report = await imports.run(past, source, path, actor=f"replay:{source}")
    say(report.lines("en")[0])


async def payments_of(tx: Tx, order_id: uuid.UUID) -> list[payments.Payment]:
    return await payments.payments_of(tx, [order_id])


async def _unpaid(tx: Tx, answers: Sequence[Placed | Refusal]) -> list[payments.Payment]:
    """Payments of orders that were placed before a crash and not paid."""
    ids = [
        a.order_id
        for a in answers
        if isinstance(a, Placed) and not a.fresh and a.state == "pending_payment"
    ]
    found = await payments.payments_of(tx, ids) if ids else []
    return [p for p in found if not p.is_secured]


async def ship(tx: Tx, sendings: Sequence[Sending]) -> list[uuid.UUID]:
    """Send; the parcels' ids."""
    parcels: list[uuid.UUID] = []
    for sending, answer in zip(sendings, await orders.ship_orders(tx, sendings), strict=True):
        parcels += sound(answer, f"order {sending.order_id}")
    return parcels


def sound(answer: T | Refusal, where: str) -> T:
    """What must not be refused."""
    if isinstance(answer, Refusal):
        raise ReplayStuck(where=where, why=answer.sentence("en"), why_zh=answer.sentence("zh"))
    return answer


def draft(
    order_id: uuid.UUID,
    items: Sequence[orders.Item],
    *,
    currency: str,
    country: str,
    person_id: uuid.UUID | None,
    tenders: Sequence[orders.Tender],
    scope: str,
    key: str,
) -> Draft:
    return Draft(
        id=order_id,
        items=items,
        market=MARKETS[currency],
        country=country,
        person_id=person_id,
        delivery=DELIVERY,
        tenders=tenders,
        channel="replay",
        scope=scope,
        key=key,
    )


async def furnish(tx: Tx, currency: str, home: str, countries: Sequence[str]) -> None:
    """The market, a rate of nothing for prices that are what was paid, and a place for stock."""
    code = MARKETS[currency]
    names = {"en": f"Replayed history ({currency})", "zh-CN": f"历史重放（{currency}）"}
    [market] = await pricing.save_markets(
        tx, [pricing.Market(code, names, currency, [home], True, "en")]
    )
    sound(market, f"market {code}")
    for rate in await pricing.set_tax_rates(
        tx, [pricing.TaxRate(c, "", "zero", 0, tx.now) for c in sorted(countries)]
    ):
        sound(rate, "tax rates")
    node = {"en": "Replayed stock", "zh-CN": "历史重放仓"}
    await inventory.save_nodes(tx, [inventory.Node(code=NODE, name=node, country="ZZ")])


async def offers_of(
    tx: Tx, firsts: Sequence[tuple[uuid.UUID, uuid.UUID, int]], currency: str
) -> dict[tuple[uuid.UUID, uuid.UUID], uuid.UUID]:
    """The offer of each (variant, seller), with its first price from now on: (variant, seller,
    price_minor). What is not on sale is put on sale."""
    found: dict[tuple[uuid.UUID, uuid.UUID], uuid.UUID] = {}
    for at in range(0, len(firsts), AT_ONCE):
        some = firsts[at : at + AT_ONCE]
        offers = await marketplace.save_offers(
            tx, [marketplace.OfferDraft(variant_id=v, seller_id=s) for v, s, _ in some]
        )
        prices = []
        for (variant_id, seller_id, price_minor), answer in zip(some, offers, strict=True):
            offer = sound(answer, f"offer of {variant_id}")
            found[variant_id, seller_id] = offer.id
            prices.append(
                pricing.NewPrice(
                    offer_id=offer.id,
                    currency=currency,
                    price_minor=price_minor,
                    reason="first price of the replayed file",
                    confirmed=True,
                )
            )
        for price in await pricing.set_prices(tx, prices):
            sound(price, "first prices")
    return found


async def publish(tx: Tx, product_ids: Sequence[uuid.UUID]) -> None:
    for at in range(0, len(product_ids), AT_ONCE):
        await catalogue.publish(tx, product_ids[at : at + AT_ONCE])


async def receive(
    tx: Tx, run: uuid.UUID, pieces: Sequence[tuple[uuid.UUID, uuid.UUID, int]]
) -> None:
    """The stock that the history needs and the file does not tell of, from suppliers, at the
    beginning: (variant, seller, pieces)."""
    for at in range(0, len(pieces), AT_ONCE):
        counts = [
            inventory.StockCount(inventory.Place(seller_id, NODE, variant_id), quantity)
            for variant_id, seller_id, quantity in pieces[at : at + AT_ONCE]
        ]
        for answer in await inventory.receive(
            tx, counts, document_id=run, reason="replay: stock before the first order"
        ):
            sound(answer, "stock")


def start_of(first: dt.datetime) -> dt.datetime:
    """The day before everything begins."""
    return first - dt.timedelta(days=1)
