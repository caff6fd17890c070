"""Plays the plan of Olist through the verbs, a batch at a time."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Journal
from pinwheel.growth import community
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.replay import booking, house, olist, reading
from pinwheel.replay.house import House, Played, Say, sound
from pinwheel.replay.model import FileUnfit, Listed, Totals, person_id, revenue, run_id
from pinwheel.replay.olist import SOURCE, Happening, Plan, Rows, Sale, Step
from pinwheel.replay.stages import Invoiced
from pinwheel.trade import catalogue, marketplace, orders

CURRENCY = "BRL"
LANGUAGE = "pt"
TABLES = {
    "orders": {"order_id", "order_status", "order_purchase_timestamp"},
    "items": {"order_id", "order_item_id", "freight_value"},
    "payments": {"order_id", "payment_sequential", "payment_value"},
    "customers": {"customer_id", "customer_unique_id"},
    "reviews": {"review_id", "order_id", "review_score"},
}


class Shelf(msgspec.Struct, frozen=True):
    """Offers by (product, seller) of the files, products by the files' names."""

    offers: dict[tuple[str, str], uuid.UUID]
    products: dict[str, uuid.UUID]


async def play(
    whole: Database,
    path: Path,
    say: Say,
    *,
    minutes: int = 1440,
    most: int = 200,
    first_lines: int = 0,
) -> Played:
    """The folder at ``path`` (or its ``first_lines`` orders), from where an earlier run got to."""
    rows = _rows(path, first_lines)
    run = run_id(SOURCE, f"{reading.digest(path)}:{first_lines}")
    plan = olist.plan(rows, run)
    if not plan.happenings:
        raise FileUnfit(file=path.name, why="it has no orders", why_zh="没有订单")
    clock = SetClock(house.start_of(plan.happenings[0].at))
    player = House(whole, clock, f"replay:{SOURCE}")
    say(f"{len(rows.orders)} orders read / 已读取 {len(rows.orders)} 个订单")
    if not await player.begun(run):
        await house.take_in(whole, clock, SOURCE, path, say)
    begun = booking.Run(id=run, source=SOURCE, label=path.name, currency=CURRENCY,
                        minutes=minutes, most=most)  # fmt: skip
    shelf, done = await _stock(player, begun, plan)
    batches = olist.batches(plan.happenings, minutes=done.minutes, most=done.most)
    for number in range(done.position, len(batches)):
        await _play(player, run, shelf, batches[number], number)
        if any(one.step == "cancel" for one in batches[number]):
            await player.run_jobs()
        if number % 100 == 99:
            say(f"  {clock.now():%Y-%m-%d}  {number + 1} / {len(batches)} batches / 批")
    async with player.db.transaction(actor=player.actor) as tx:
        await booking.list_lines(tx, run, plan.listed)
        await booking.finish(tx, run)
    await player.run_jobs()
    facts = _facts(rows, plan) | await _lateness(whole, plan)
    return Played(run=run, control=_control(plan), facts=facts)


def _rows(path: Path, most: int) -> Rows:
    """The tables by their columns, under any file names."""
    if not path.is_dir():
        raise FileUnfit(file=path.name, why="it is no folder", why_zh="不是文件夹")
    found: dict[str, list[dict[str, str]]] = {}
    for file in sorted(path.glob("*.csv")):
        rows = list(reading.rows(file))
        for name, needed in TABLES.items():
            if name not in found and rows and needed <= rows[0].keys():
                found[name] = rows
                break
    for name in TABLES:
        if name not in found and name != "reviews":
            raise FileUnfit(
                file=path.name, why=f"the table of {name} is missing", why_zh=f"缺少 {name} 表"
            )
    return Rows(
        found["orders"][: most or None],
        found["items"],
        found["payments"],
        found["customers"],
        found.get("reviews", []),
    )


def _control(plan: Plan) -> Totals:
    """What was sent, by the files: pieces, and what their buyers paid."""
    sent = [s for s in plan.sales if s.is_sent]
    return Totals(sum(i.quantity for s in sent for i in s.items), sum(s.paid_minor for s in sent))


def _facts(rows: Rows, plan: Plan) -> dict[str, int | float | str]:
    references = {r["order_id"] for r in rows.orders}
    return {
        "file_orders": plan.orders,
        "file_items": sum(i["order_id"] in references for i in rows.items),
        "file_payments": sum(p["order_id"] in references for p in rows.payments),
        "sellers": len({i.seller for s in plan.sales for i in s.items}),
        "people": len({s.person for s in plan.sales}),
        "several_tenders": sum(len(s.tenders) > 1 for s in plan.sales),
        "remainders": len(plan.sales) - plan.equal,
        "largest_remainder_minor": max((s.interest_minor for s in plan.sales), default=0),
        "payment_equals_percent": round(
            100 * (1 - (len(plan.sales) - plan.equal) / plan.orders), 2
        ),
    }


async def _lateness(whole: Database, plan: Plan) -> dict[str, int | float | str]:
    """Parcels that arrived after the promised day began, by what the shop knows of them now. An
    order whose delivery has no time in the files is not counted as late."""
    promised = {s.id: s.promised_at for s in plan.sales if s.delivered_at}
    late = known = cancelled = refunded = 0
    ids = [s.id for s in plan.sales]
    async with whole.reading() as tx:
        for at in range(0, len(ids), house.AT_ONCE):
            for parcel in await orders.shipments_of(tx, ids[at : at + house.AT_ONCE]):
                due = promised.get(parcel.order_id)
                known += parcel.delivered_at is not None
                if parcel.delivered_at is not None and due is not None:
                    late += parcel.delivered_at > due
        for sale in plan.sales:
            if sale.status in olist.CANCELLED:
                sight = await orders.order(tx, order_id=sale.id)
                cancelled += sight.order.state == "cancelled"
                refunded += sum(p.refunded_minor for p in await house.payments_of(tx, sale.id))
    return {
        "delivered": known,
        "late": late,
        "late_percent": round(100 * late / known, 2) if known else 0.0,
        "cancelled": cancelled,
        "cancelled_refunded_minor": refunded,
    }


async def _stock(player: House, begun: booking.Run, plan: Plan) -> tuple[Shelf, booking.Progress]:
    """Each seller's offers at their first price, and all the pieces that will leave."""
    firsts: dict[tuple[str, str], int] = {}
    pieces: dict[tuple[str, str], int] = {}
    for sale in sorted(plan.sales, key=lambda s: s.at):
        for item in sale.items:
            key = (item.product, item.seller)
            firsts.setdefault(key, item.price_minor)
            pieces[key] = pieces.get(key, 0) + item.quantity
    async with player.db.transaction(actor=player.actor) as tx:
        skus = await catalogue.skus(tx, {product for product, _ in firsts})
        sellers = await _sellers(tx)
        known = [
            (product, seller, skus[product].variant_id, sellers[seller[:24]])
            for product, seller in firsts
            if product in skus and seller[:24] in sellers
        ]
        done = await booking.progress(tx, begun.id)
        if done is None:
            await house.furnish(tx, CURRENCY, "BR", ["BR"])
            products = {skus[product].product_id for product, _, _, _ in known}
            await house.publish(tx, sorted(products))
        offers = await house.offers_of(
            tx, [(v, s, firsts[product, seller]) for product, seller, v, s in known], CURRENCY
        )
        if done is None:
            stock = [(v, s, pieces[product, seller]) for product, seller, v, s in known]
            await house.receive(tx, begun.id, stock)
            done = await booking.begin(tx, begun)
    return Shelf(
        {(product, seller): offers[v, s] for product, seller, v, s in known},
        {name: sku.product_id for name, sku in skus.items()},
    ), done


async def _sellers(tx: Tx) -> dict[str, uuid.UUID]:
    """Sellers by the first 24 signs of the files' id, as the importer names them."""
    found: dict[str, uuid.UUID] = {}
    cursor: str | None = None
    while True:
        page = await marketplace.sellers(tx, cursor=cursor, limit=500)
        found.update((s.slug.removeprefix("olist-"), s.id) for s in page.items)
        if page.next is None:
            return found
        cursor = page.next


async def _play(
    player: House, run: uuid.UUID, shelf: Shelf, batch: Sequence[Happening], number: int
) -> None:
    steps: dict[Step, list[Happening]] = {}
    for one in batch:
        steps.setdefault(one.step, []).append(one)
    listed: list[Listed] = []
    placed = [h.sale for h in steps.get("place", [])]
    # Orders are placed at the first one's time; what follows happens at the last one's, so that
    # nothing that came on a promised day seems to have come before it.
    player.clock.set(max(player.clock.now(), batch[0].at))
    refused = await _place(player, run, shelf, placed)
    listed += [
        olist.listed(s, f"refused:{refused[s.id].code}", "nothing", s.paid_minor)
        for s in placed
        if s.id in refused
    ]
    player.clock.set(max(player.clock.now(), batch[-1].at))
    async with player.db.transaction(actor=player.actor) as tx:
        for one in steps.get("cancel", []):
            if one.sale.id not in refused:
                await orders.cancel(tx, one.sale.id, reason=f"file: {one.sale.status}")
        await _ship(tx, run, [h.sale for h in steps.get("ship", [])])
        arrived = [uuid.uuid5(h.sale.id, "parcel") for h in steps.get("deliver", [])]
        if arrived:
            await orders.deliver_parcels(tx, arrived)
        for one in steps.get("review", []):
            listed += await _review(tx, shelf, one)
        await booking.list_lines(tx, run, listed)
        await booking.reach(tx, run, number + 1)


async def _place(
    player: House, run: uuid.UUID, shelf: Shelf, sales: Sequence[Sale]
) -> dict[uuid.UUID, Refusal]:
    refused: dict[uuid.UUID, Refusal] = {}
    drafts = []
    for sale in sales:
        if any((i.product, i.seller) not in shelf.offers for i in sale.items):
            refused[sale.id] = orders.OfferUnavailable(sku=sale.items[0].product)
            continue
        lines = [
            Invoiced(shelf.offers[i.product, i.seller], i.quantity, i.price_minor, i.discount_minor)
            for i in sale.items
        ]
        player.prices.invoices[sale.id] = lines
        player.delivery.freights[sale.id] = sale.freight_minor
        wanted: dict[uuid.UUID, int] = {}
        for line in lines:
            wanted[line.offer_id] = wanted.get(line.offer_id, 0) + line.quantity
        draft = house.draft(
            sale.id,
            [orders.Item(offer, quantity) for offer, quantity in wanted.items()],
            currency=CURRENCY,
            country="BR",
            person_id=person_id(SOURCE, sale.person),
            tenders=[orders.Tender("sandbox", "tok_ok", amount) for amount in sale.tenders],
            scope=f"replay:{run}",
            key=sale.reference,
        )
        draft.region = sale.state
        drafts.append(draft)
    return refused | (await player.place(drafts) if drafts else {})


async def _ship(tx: Tx, run: uuid.UUID, sales: Sequence[Sale]) -> None:
    """Parcels leave; interest is booked with them. An order that was refused has no parcel."""
    answers = await orders.ship_orders(
        tx,
        [
            orders.Sending(
                order_id=s.id,
                shipment_id=uuid.uuid5(s.id, "parcel"),
                carrier="replay",
                tracking=s.reference,
            )
            for s in sales
        ],
    ) if sales else []  # fmt: skip
    left = [s for s, a in zip(sales, answers, strict=True) if not isinstance(a, Refusal)]
    journals = [
        Journal(
            document_kind="adjustment",
            document_id=uuid.uuid5(s.id, "interest"),
            key="interest",
            reason=f"paid above the total of {s.reference}",
            transfers=tuple(revenue(olist.INTEREST, s.interest_minor, CURRENCY)),
        )
        for s in left
        if s.interest_minor
    ]
    for answer in await ledger.post(tx, journals):
        sound(answer, "interest")
    await booking.enter(tx, run, [entry for s in left for entry in s.entries()])


async def _review(tx: Tx, shelf: Shelf, one: Happening) -> list[Listed]:
    """What the buyer said, by the verb that proves that they have it."""
    review = one.review
    assert review is not None
    new: dict[str, Any] = {"rating": review.score, "title": review.title, "body": review.body}
    try:
        async with tx.savepoint():
            await community.write_review(
                tx,
                person_id(SOURCE, review.person),
                shelf.products[review.product],
                community.NewReview(**new),
                language=LANGUAGE,
            )
    except Refusal as refusal:
        return [olist.listed(one.sale, f"review:{refusal.code}", "nothing", 0)]
    return []
