"""Hundreds of random returns, by the list: books and stock close, and a list costs what one costs.

``PINWHEEL_RETURNS=100000`` runs as many as that."""

from __future__ import annotations

import asyncio
import os
import random
import time
import uuid

import msgspec
import pytest

from pinwheel.kernel import audit
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.jobs import Worker
from pinwheel.trade import marketplace, orders, returns
from pinwheel.trade.inventory import Place, StockCount, receive
from pinwheel.trade.returns import Graded, Grading, NewReturn, Receipt, Return
from shop import PROMISES, Shop, money, open_shop

MANY = int(os.environ.get("PINWHEEL_RETURNS", "500"))
AT_ONCE = 250
PRICES = (1, 99, 333, 1000, 1999, 77_777)
INCOME = ("sales:own:GBP", "tax:GB:GBP", "delivery:GBP", "return_freight:GBP")


class Third:
    """A stage of a higher floor: every third piece of a line is free."""

    async def load(self, tx: Tx, drafts: object, placing: bool) -> None:
        return None

    def decide(self, loaded: object, draft: orders.Draft) -> None:
        for line in draft.lines:
            line.discount_minor = line.quantity // 3 * line.unit_price_minor

    async def record(self, tx: Tx, loaded: object, drafts: object) -> None:
        return None


class Bought(msgspec.Struct):
    """An order in the hands of a buyer: pieces by line that can still come back."""

    id: uuid.UUID
    left: dict[int, int]


async def big_shop(db: Database) -> Shop:
    shop = await open_shop(db, PRICES)
    shop.buying = orders.Buying(db, orders.Checkout(Third()))
    async with db.transaction() as tx:
        own = marketplace.OWN_SELLER_ID
        counts = [StockCount(Place(own, "MAIN", v), 10_000_000) for v in shop.variants]
        await receive(tx, counts, document_id=tx.new_id())
        policy = returns.CategoryPolicy(
            market="GB", category_id=uuid.UUID(int=0), freight_minor=150, instant_minor=0
        )
        await returns.set_policy(tx, policy)
    return shop


async def sell(shop: Shop, rng: random.Random, number: int) -> list[Bought]:
    """Orders that were bought, partly cancelled, sent and delivered."""
    wanted = []
    for _ in range(number):
        products = rng.sample(range(len(PRICES)), rng.randint(1, 4))
        wanted.append(shop.draft(*((p, rng.randint(1, 6)) for p in products)))
    bought = await asyncio.gather(*(shop.buying.buy(draft) for draft in wanted))
    async with shop.db.transaction() as tx:
        sent = await orders.ship_orders(tx, [orders.Sending(order_id=b.order_id) for b in bought])
        await orders.deliver_parcels(tx, [i for ids in sent for i in ids])  # type: ignore[union-attr]
        left: dict[uuid.UUID, dict[int, int]] = {b.order_id: {} for b in bought}
        for line in await orders.lines_of(tx, list(left)):
            left[line.order_id][line.line] = line.shipped
    return [Bought(i, lines) for i, lines in left.items()]


async def send_back(shop: Shop, rng: random.Random, chosen: list[Bought]) -> list[Return]:
    """One random return of each: asked, received, graded, all by the list."""
    wishes = []
    for one in chosen:
        lines = []
        for line in rng.sample(sorted(one.left), rng.randint(1, len(one.left))):
            quantity = rng.randint(1, one.left[line])
            one.left[line] -= quantity
            lines.append((line, quantity))
        one.left = {line: n for line, n in one.left.items() if n}
        why = rng.choice(["unwanted", "unwanted", "wrong"])
        wishes.append(NewReturn(order_id=one.id, lines=lines, reason=why))  # type: ignore[arg-type]
    async with shop.db.transaction() as tx:
        asked = [sound(a) for a in await returns.request(tx, wishes)]
    async with shop.db.transaction() as tx:
        receipts = [Receipt(return_id=r.id, node="MAIN") for r in asked]
        for answer in await returns.receive(tx, receipts):
            sound(answer)
    gradings = []
    for ret, wish in zip(asked, wishes, strict=True):
        parts = [Graded(line, rng.choice("AAABCD"), 1) for line, n in wish.lines for _ in range(n)]  # type: ignore[arg-type]
        gradings.append(Grading(return_id=ret.id, lines=parts))
    async with shop.db.transaction() as tx:
        return [sound(a) for a in await returns.grade_and_refund(tx, gradings)]


def sound(answer: object) -> Return:
    assert isinstance(answer, Return), answer
    return answer


async def test_books_and_stock_close_over_many_random_returns(
    db: Database, worker: Worker, rng: random.Random
) -> None:
    shop = await big_shop(db)
    held: list[Bought] = []
    made, refunded, began, busy = 0, 0, time.perf_counter(), 0.0
    while made < MANY:
        if len(held) < 2 * AT_ONCE:
            held += await sell(shop, rng, AT_ONCE)
        chosen = rng.sample(held, AT_ONCE)
        start = time.perf_counter()
        done = await send_back(shop, rng, chosen)
        busy += time.perf_counter() - start
        made += len(done)
        refunded += sum(r.refund_minor for r in done)
        held = [one for one in held if one.left]
        if made % (20 * AT_ONCE) == 0:
            await worker.drain()
    await worker.drain()
    print(  # noqa: T201
        f"{made} returns, {made / busy:.0f} a second, {time.perf_counter() - began:.0f} s in all"
    )
    async with db.transaction() as tx:
        await tx.run("analyze")  # the tests' server keeps no statistics by itself
    packages = [*PROMISES, "pinwheel.trade.returns"]
    assert not [c for c in await audit.run(db, packages) if c.broken]
    async with db.reading() as tx:
        paid = await tx.value('select sum(secured_minor)::bigint from orders."order"')
    books = await money(db, "deposits:GBP", "clearing:sandbox:GBP", *INCOME)
    assert books["deposits:GBP"] == 0
    assert books["clearing:sandbox:GBP"] == paid - refunded
    assert sum(books[code] for code in INCOME) == paid - refunded


@pytest.mark.parametrize("number", [1, 60])
async def test_a_list_costs_the_statements_of_one(db: Database, number: int) -> None:
    shop = await big_shop(db)
    rng = random.Random(3)
    warm = await sell(shop, rng, 5)
    await send_back(shop, rng, warm)
    bought = await sell(shop, rng, number)
    counts = []
    wishes = [
        NewReturn(order_id=b.id, lines=list(b.left.items()), reason="unwanted") for b in bought
    ]
    async with db.transaction() as tx:
        asked = [sound(a) for a in await returns.request(tx, wishes)]
        counts.append(tx.statements)
    async with db.transaction() as tx:
        await returns.receive(tx, [Receipt(return_id=r.id, node="MAIN") for r in asked])
        counts.append(tx.statements)
    gradings = [
        Grading(return_id=r.id, lines=[Graded(n, "A", q) for n, q in w.lines])
        for r, w in zip(asked, wishes, strict=True)
    ]
    async with db.transaction() as tx:
        await returns.grade_and_refund(tx, gradings)
        counts.append(tx.statements)
    assert counts[0] <= 10 and counts[1] <= 14 and counts[2] <= 25, counts
