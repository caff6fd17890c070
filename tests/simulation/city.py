"""A small town of buyers and operators that act through the public verbs, seeded; and a
plain-Python auditor that keeps its own count of what must be true."""

from __future__ import annotations

import asyncio
import contextlib
import random
import uuid
from collections import Counter

from pinwheel import app
from pinwheel.kernel import audit
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import Reaction
from pinwheel.kernel.jobs import Worker
from pinwheel.trade import inventory, orders, payments, pricing
from pinwheel.trade.inventory import Place, StockCount
from pinwheel.trade.payments import sandbox
from shop import OWN, Shop, open_shop

METHODS = (
    *("tok_ok",) * 8,
    "tok_declined",
    "tok_insufficient_funds",
    "tok_challenge",
    "tok_delayed_ok",
    "tok_delayed_declined",
    "tok_timeout_ok",
    "tok_timeout_declined",
    "tok_timeout_lost",
)


class Town:
    """``await town.live(n)`` does n random things, with the auditor after each batch."""

    def __init__(self, db: Database, clock: SetClock, shop: Shop, chance: random.Random) -> None:
        self.db, self.clock, self.shop, self.chance = db, clock, shop, chance
        self.worker = Worker(db)
        self.received = Counter(dict.fromkeys(shop.variants, 100))
        self.shipped: Counter[uuid.UUID] = Counter()
        self.counted: Counter[uuid.UUID] = Counter()
        self.told: dict[uuid.UUID, int] = {}  # accepted orders and their totals
        self.keys: list[tuple[str, tuple[tuple[int, int], ...], str, uuid.UUID]] = []
        self.log: list[str] = []

    @classmethod
    async def build(cls, db: Database, clock: SetClock, seed: int) -> Town:
        chance = random.Random(seed)
        shop = await open_shop(db, [999, 250, 1])
        _let_jobs_fail(db, chance)
        await sandbox.set_faults(
            db.pool,
            sandbox.Faults(
                tells_all=True,
                loses_answers=0.05,
                drops=0.2,
                delays=0.3,
                duplicates=0.3,
                reorders=0.3,
                tampers=0.05,
                seed=seed,
            ),
        )
        return cls(db, clock, shop, chance)

    async def live(self, acts: int) -> None:
        for number in range(acts):
            act = self.chance.choice(self.ACTS)
            self.log.append(f"{number}: {act.__name__}")
            with contextlib.suppress(Refusal):
                await act(self)
            if number % 8 == 7:
                await self.catch_up()
                await self.audit()
        await self.settle()

    async def settle(self) -> None:
        """Let the clock run until everything that waits has ended."""
        for minutes in (1, 5, 20, 60, 240, 1440, 1440):
            self.clock.travel(minutes=minutes)
            await self.catch_up()
        await self.audit()
        async with self.db.reading() as tx:
            waiting = await tx.value(
                "select count(*) from orders.\"order\" where state = 'pending_payment'"
            )
            under_way = await tx.value(
                "select count(*) from payments.payment"
                " where state in ('processing', 'unknown', 'needs_action')"
            )
        assert (waiting, under_way) == (0, 0), "a payment or an order never ended"

    async def catch_up(self) -> None:
        """What failed is tried again a little later."""
        for _ in range(5):
            self.clock.travel(seconds=15)
            await self.worker.drain()

    async def audit(self) -> None:
        broken = [c for c in await audit.run(self.db, app.PROMISING) if c.broken]
        assert not broken, broken
        async with self.db.reading() as tx:
            places = await inventory.positions(tx, self.shop.variants)
            known = {
                row["id"]: row
                for row in await tx.connection.fetch(
                    'select id, state, total_minor, secured_minor from orders."order"'
                )
            }
            open_pieces = Counter(
                {
                    row["variant_id"]: int(row["open"])
                    for row in await tx.connection.fetch(
                        "select variant_id, sum(quantity - cancelled - shipped) as open"
                        " from orders.v_line where state in ('placed', 'pending_payment')"
                        " group by variant_id"
                    )
                }
            )
        for variant in self.shop.variants:
            here = [p for p in places if p.variant_id == variant]
            should = self.received[variant] + self.counted[variant] - self.shipped[variant]
            assert sum(p.on_hand for p in here) == should, "stock is not what went in and out"
            assert sum(p.reserved for p in here) == open_pieces[variant], "reserved is not promised"
        for order_id, total in self.told.items():
            assert order_id in known, "an accepted order is gone"
            assert known[order_id]["total_minor"] == total

    # What people do.

    async def buy(self) -> None:
        n = self.chance.randint(1, 3)
        items = tuple((self.chance.randrange(3), self.chance.randint(1, 6)) for _ in range(n))
        await self._order(items, self.chance.choice(METHODS), str(self.chance.getrandbits(60)))

    async def rush(self) -> None:
        """A dozen at once, over two houses."""
        other = orders.Buying(self.db, orders.Checkout())
        product = self.chance.randrange(3)
        await asyncio.gather(
            *(
                self._order(
                    ((product, self.chance.randint(1, 8)),),
                    self.chance.choice(METHODS),
                    str(self.chance.getrandbits(60)),
                    house=other if n % 2 else None,
                )
                for n in range(12)
            ),
            return_exceptions=True,
        )

    async def repeat(self) -> None:
        """A client that did not hear the answer sends the same again."""
        if not self.keys:
            return
        key, items, method, order_id = self.chance.choice(self.keys)
        bought = await self._order(items, method, key)
        assert bought is None or bought.order_id == order_id, "a repeat made another order"

    async def _order(
        self,
        items: tuple[tuple[int, int], ...],
        method: str,
        key: str,
        house: orders.Buying | None = None,
    ) -> orders.Bought | None:
        draft = self.shop.draft(*items, method=method, scope="town", key=key)
        bought = await (house or self.shop.buying).buy(draft)
        self.told[bought.order_id] = bought.total_minor
        self.keys.append((key, items, method, bought.order_id))
        return bought

    async def ship(self) -> None:
        order_id = await self._one("placed")
        async with self.db.transaction(actor="clerk") as tx:
            before = {li.line: li for li in await orders.lines_of(tx, [order_id])}
            parts = None
            if self.chance.random() < 0.4:
                line = self.chance.choice(list(before.values()))
                parts = [(line.line, self.chance.randint(1, line.quantity))]
            await orders.ship(tx, order_id, parts)
            now = {li.line: li for li in await orders.lines_of(tx, [order_id])}
        for number, line in now.items():
            self.shipped[line.variant_id] += line.shipped - before[number].shipped

    async def deliver(self) -> None:
        async with self.db.transaction(actor="clerk") as tx:
            found = await tx.values(
                "select id from orders.shipment where state = 'shipped' order by id limit 5"
            )
            for shipment_id in found:
                await orders.deliver(tx, shipment_id)

    async def cancel(self) -> None:
        order_id = await self._one("placed", "pending_payment", "cancelled")
        async with self.db.transaction(actor="buyer") as tx:
            await orders.cancel(tx, order_id, reason="changed my mind")

    async def cancel_a_part(self) -> None:
        order_id = await self._one("placed")
        async with self.db.transaction(actor="buyer") as tx:
            lines = [li for li in await orders.lines_of(tx, [order_id]) if li.open]
            if lines:
                line = self.chance.choice(lines)
                parts = [(line.line, self.chance.randint(1, line.open))]
                await orders.cancel_lines(tx, order_id, parts, reason="too many")

    async def receive(self) -> None:
        variant = self.chance.choice(self.shop.variants)
        node = self.chance.choice(("MAIN", "EAST"))
        pieces = self.chance.randint(1, 30)
        async with self.db.transaction(actor="clerk") as tx:
            await inventory.receive(
                tx, [StockCount(Place(OWN, node, variant), pieces)], document_id=tx.new_id()
            )
        self.received[variant] += pieces

    async def count(self) -> None:
        variant = self.chance.choice(self.shop.variants)
        pieces = self.chance.choice((-3, -1, 1, 2))
        async with self.db.transaction(actor="clerk") as tx:
            [answer] = await inventory.adjust(
                tx,
                [StockCount(Place(OWN, "MAIN", variant), pieces)],
                document_id=tx.new_id(),
                reason="count",
            )
        if not isinstance(answer, Refusal):
            self.counted[variant] += pieces

    async def node(self) -> None:
        async with self.db.transaction(actor="operator") as tx:
            await inventory.set_node_open(tx, "EAST", self.chance.random() < 0.6)

    async def reprice(self) -> None:
        self.clock.travel(seconds=1)
        async with self.db.transaction(actor="operator") as tx:
            await pricing.set_prices(
                tx,
                [
                    pricing.NewPrice(
                        offer_id=self.chance.choice(self.shop.offers),
                        currency="GBP",
                        price_minor=self.chance.randint(1, 2000),
                        confirmed=True,
                    )
                ],
            )

    async def confirm_challenge(self) -> None:
        async with self.db.reading() as tx:
            found = await tx.values(
                "select id from payments.payment where state = 'needs_action' order by id"
            )
        provider = payments.providers_of(self.db)["sandbox"]
        assert isinstance(provider, sandbox.Sandbox)
        for payment_id in found:
            await provider.decide(payment_id, approve=self.chance.random() < 0.7)

    async def wait(self) -> None:
        self.clock.travel(seconds=self.chance.choice((1, 20, 60, 600, 3600)))
        await self.worker.drain()

    async def _one(self, *states: str) -> uuid.UUID:
        async with self.db.reading() as tx:
            found = await tx.values(
                'select id from orders."order" where state = any($1::text[]) order by id',
                list(states),
            )
        if not found:
            raise orders.EmptyOrder
        picked: uuid.UUID = self.chance.choice(found)
        return picked

    ACTS = (
        *(buy,) * 8,
        *(rush,) * 2,
        *(repeat,) * 2,
        *(ship,) * 5,
        *(deliver,) * 2,
        *(cancel,) * 2,
        *(cancel_a_part,) * 2,
        *(receive,) * 3,
        count,
        node,
        reprice,
        *(confirm_challenge,) * 2,
        *(wait,) * 4,
    )


def _let_jobs_fail(db: Database, chance: random.Random) -> None:
    """One run in six of what follows a fact raises: inside its transaction, or after its call
    out."""

    def unreliable(reaction: Reaction) -> Reaction:
        call = reaction.call

        async def flaky(*args: object) -> object:
            answer = await call(*args)
            if chance.random() < 1 / 6:
                raise RuntimeError("planned")
            return answer

        made = Reaction(
            name=reaction.name,
            when=reaction.when,
            events=reaction.events,
            call=flaky,
            seconds=reaction.seconds,
            concurrency=reaction.concurrency,
            lease_seconds=reaction.lease_seconds,
            attempts=10_000,
        )
        flaky.__dict__["pinwheel_reaction"] = made  # what it puts off to later is itself again
        return made

    for name, reaction in list(db.reactions.by_name.items()):
        if reaction.when != "during":
            db.reactions.by_name[name] = unreliable(reaction)
