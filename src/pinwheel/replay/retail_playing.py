"""Plays the plan of Online Retail through the verbs, a batch at a time."""

from __future__ import annotations

import datetime as dt
import gc
import uuid
from collections.abc import Sequence
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import msgspec

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Journal, Transfer
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.replay import booking, house, reading, retail
from pinwheel.replay.house import House, Played, Say, sound
from pinwheel.replay.model import (
    NODE,
    Entry,
    FileUnfit,
    Listed,
    Totals,
    counted,
    label,
    revenue,
    rounds,
    run_id,
    timed_id,
    to_minor,
)
from pinwheel.replay.retail import SOURCE, Booking, Document, Plan, Return, Sale
from pinwheel.replay.stages import Invoiced
from pinwheel.trade import catalogue, inventory, marketplace, orders
from pinwheel.trade.inventory import Place, StockCount

OWN = marketplace.OWN_SELLER_ID
CURRENCY = "GBP"
Booked = tuple[Document, list[Booking]]


class Shelf(msgspec.Struct, frozen=True):
    """What the catalogue made of the file's stock codes."""

    variants: dict[str, uuid.UUID]
    offers: dict[str, uuid.UUID]


class _Batch(msgspec.Struct):
    """What one transaction books beside the orders."""

    entries: list[Entry] = []
    listed: list[Listed] = []
    journals: list[Journal] = []


async def play(
    whole: Database,
    path: Path,
    say: Say,
    *,
    minutes: int = 240,
    most: int = 200,
    first_lines: int = 0,
) -> Played:
    """The whole file at ``path`` (or its ``first_lines``), from where an earlier run got to.

    Orders of the same ``minutes`` of the clock are played together, ``most`` at once."""
    lines = reading.retail_lines(path, first_lines)
    if not lines:
        raise FileUnfit(file=path.name, why="it has no lines", why_zh="没有数据行")
    run = run_id(SOURCE, f"{reading.digest(path)}:{first_lines}")
    clock = SetClock(house.start_of(min(li.at for li in lines)))
    player = House(whole, clock, f"replay:{SOURCE}")
    say(f"{len(lines)} lines read / 已读取 {len(lines)} 行")
    if not await player.begun(run):
        await house.take_in(whole, clock, SOURCE, path, say)
    async with whole.reading() as tx:
        skus = await catalogue.skus(tx, {li.code for li in lines})
    plan = retail.plan(lines, skus.keys(), run)
    begun = booking.Run(id=run, source=SOURCE, label=path.name, currency=CURRENCY,
                        minutes=minutes, most=most)  # fmt: skip
    shelf, done = await _stock(player, begun, plan, skus)
    batches = retail.batches(plan.documents, minutes=done.minutes, most=done.most)
    gc.freeze()  # the plan stays to the end: the collector need not walk it again and again
    day, owes = clock.now().date(), True
    for number in range(done.position, len(batches)):
        batch = batches[number]
        at = max(clock.now(), batch[0].at)
        if at.date() != day and owes:
            await player.run_jobs()
            owes = False
        day = at.date()
        clock.set(at)
        owes = owes or any(document.returns for document in batch)
        await _play(player, run, shelf, batch, number)
        if number % 200 == 199:
            say(f"  {at:%Y-%m-%d}  {number + 1} / {len(batches)} batches / 批")
    await _end(player, run, plan, lines[-1].at)
    return Played(run=run, control=_control(lines), facts=_facts(lines))


def _control(lines: Sequence[retail.Line]) -> Totals:
    exact = sum((li.amount for li in lines), Decimal(0))
    return Totals(sum(li.quantity for li in lines), to_minor(exact))


def _facts(lines: Sequence[retail.Line]) -> dict[str, int | float | str]:
    return {
        "lines": len(lines),
        "invoices": len({li.invoice for li in lines}),
        "stock_codes": len({li.code for li in lines}),
        "customers": len({li.customer for li in lines} - {""}),
        "lines_without_customer": sum(not li.customer for li in lines),
    }


async def _stock(
    player: House, begun: booking.Run, plan: Plan, skus: dict[str, catalogue.Sku]
) -> tuple[Shelf, booking.Progress]:
    """Offers at their first price, and all the pieces that will leave."""
    firsts: dict[str, int] = {}
    for document in plan.documents:
        for sale in document.sales:
            for asked in sale.asked:
                firsts.setdefault(asked.code, asked.unit_minor)
    variants = {code: sku.variant_id for code, sku in skus.items()}
    async with player.db.transaction(actor=player.actor) as tx:
        done = await booking.progress(tx, begun.id)
        if done is None:
            countries = {s.country for d in plan.documents for s in d.sales}
            await house.furnish(tx, CURRENCY, "GB", sorted(countries))
            await house.publish(tx, [skus[code].product_id for code in firsts])
        offers = await house.offers_of(
            tx, [(variants[code], OWN, price) for code, price in firsts.items()], CURRENCY
        )
        if done is None:
            needed = [(variants[c], OWN, pieces) for c, pieces in plan.needed.items() if pieces]
            await house.receive(tx, begun.id, needed)
            await inventory.open_positions(tx, [Place(OWN, NODE, variants[c]) for c in skus])
            done = await booking.begin(tx, begun)
    return Shelf(variants, {code: offers[variants[code], OWN] for code in firsts}), done


async def _play(
    player: House, run: uuid.UUID, shelf: Shelf, batch: Sequence[Document], number: int
) -> None:
    sales = [sale for document in batch for sale in document.sales]
    refused = await _place(player, run, shelf, sales) if sales else {}
    async with player.db.transaction(actor=player.actor) as tx:
        made = _Batch(listed=[one for document in batch for one in document.listed])
        standing = [s for s in sales if s.id not in refused]
        await _send(tx, standing)
        made.entries += [s.entry() for s in standing]
        bookings: list[Booked] = [(d, d.bookings) for d in batch]
        bookings += _instead(made, batch, refused)
        bookings += await _take_back(tx, made, batch)
        for document, booked in bookings:
            _book(made, run, shelf, document, booked)
        await _correct(tx, made, run, shelf, bookings)
        for answer in await ledger.post(tx, made.journals):
            sound(answer, "adjustments")
        await booking.enter(tx, run, made.entries)
        await booking.list_lines(tx, run, made.listed)
        await booking.reach(tx, run, number + 1)


async def _place(
    player: House, run: uuid.UUID, shelf: Shelf, sales: Sequence[Sale]
) -> dict[uuid.UUID, Refusal]:
    player.prices.invoices = {
        sale.id: [Invoiced(shelf.offers[a.code], a.quantity, a.unit_minor) for a in sale.asked]
        for sale in sales
    }
    return await player.place(
        [
            house.draft(
                sale.id,
                _items(shelf, sale),
                currency=CURRENCY,
                country=sale.country,
                person_id=sale.person_id,
                tenders=[orders.Tender("sandbox", "tok_ok")],
                scope=f"replay:{run}",
                key=sale.reference,
            )
            for sale in sales
        ]
    )


def _items(shelf: Shelf, sale: Sale) -> list[orders.Item]:
    """One item a code; the price step tells its prices apart."""
    wanted: dict[str, int] = {}
    for asked in sale.asked:
        wanted[asked.code] = wanted.get(asked.code, 0) + asked.quantity
    return [orders.Item(shelf.offers[code], quantity) for code, quantity in wanted.items()]


async def _send(tx: Tx, sales: Sequence[Sale]) -> None:
    """Sent and delivered at once: the file tells nothing of either."""
    sendings = [
        orders.Sending(
            order_id=sale.id,
            shipment_id=uuid.uuid5(sale.id, "parcel"),
            carrier="replay",
            tracking=sale.reference,
        )
        for sale in sales
    ]
    if sendings:
        await orders.deliver_parcels(tx, await house.ship(tx, sendings))


def _instead(
    made: _Batch, batch: Sequence[Document], refused: dict[uuid.UUID, Refusal]
) -> list[Booked]:
    """The lines of an order that was refused, as adjustments with the refusal as the reason."""
    found: list[Booked] = []
    for document in batch:
        bookings: list[Booking] = []
        for sale in document.sales:
            refusal = refused.get(sale.id)
            if refusal is None:
                continue
            reason = f"refused:{refusal.code}"
            bookings += [_refused(line, reason) for line in sale.sources]
            made.listed += [
                Listed(
                    number=line.number,
                    reference=line.invoice,
                    code=line.code,
                    description=line.description,
                    quantity=line.quantity,
                    amount=line.amount,
                    reason=reason,
                    booked="adjustment",
                )
                for line in sale.sources
            ]
        found.append((document, bookings))
    return found


def _refused(line: retail.Line, reason: str) -> Booking:
    amount = to_minor(line.price) * line.quantity
    return Booking("adjustment", "REFUSED", line.quantity, amount, line, reason)


async def _take_back(tx: Tx, made: _Batch, batch: Sequence[Document]) -> list[Booked]:
    """Returns against the orders that there are; against one that was refused, an adjustment."""
    pairs = [(document, one) for document in batch for one in document.returns]
    instead: dict[str, Booked] = {}
    for turn in rounds([one.order_id for _, one in pairs]):
        some = [pairs[position] for position in turn]
        answers = await orders.take_back(
            tx,
            [
                orders.TakenBack(
                    order_id=one.order_id,
                    key=one.reference,
                    parts=[orders.Back(p.line, p.quantity, p.refund_minor) for p in one.parts],
                    reason=f"credit note {one.reference}",
                )
                for _, one in some
            ],
        )
        for (document, one), answer in zip(some, answers, strict=True):
            if not isinstance(answer, Refusal):
                made.entries.append(one.entry())
                continue
            kept = instead.setdefault(document.invoice, (document, []))
            kept[1].extend(_unreturned(document, one, answer))
    return list(instead.values())


def _unreturned(document: Document, one: Return, refusal: Refusal) -> list[Booking]:
    line = retail.Line(0, document.invoice, "", "", 0, document.at, Decimal(0), "", "")
    return [
        Booking("return", p.code, -p.quantity, -p.refund_minor, line, f"refused:{refusal.code}")
        for p in one.parts
    ]


def _book(
    made: _Batch,
    run: uuid.UUID,
    shelf: Shelf,
    document: Document,
    bookings: Sequence[Booking],
) -> None:
    """Adjustments, and returns of what was bought before the file begins, as journals."""
    for what in ("adjustment", "return"):
        mine = [b for b in bookings if b.what == what]
        if not any(b.quantity or b.amount_minor for b in mine):
            continue
        key = f"{what}:refused" if mine[0].reason.startswith("refused:") else what
        document_id = timed_id(document.at, run, key, document.invoice)
        made.journals.append(_journal(shelf, document_id, what, mine))
        made.entries.append(_entry(document_id, key, what, document, mine))


def _entry(
    document_id: uuid.UUID, key: str, kind: str, document: Document, bookings: Sequence[Booking]
) -> Entry:
    return Entry(
        document_id=document_id,
        key=key,
        kind=kind,
        reference=document.invoice,
        lines=len({b.line.number for b in bookings}),
        units=sum(b.quantity for b in bookings),
        revenue_minor=sum(b.amount_minor for b in bookings),
    )


def _journal(
    shelf: Shelf, document_id: uuid.UUID, what: str, bookings: Sequence[Booking]
) -> Journal:
    transfers: list[Transfer] = []
    for one in bookings:
        account = one.code if what == "adjustment" else "RETURNS"
        transfers += revenue(account, one.amount_minor, CURRENCY)
        if what == "adjustment":
            transfers += counted(one.code, one.quantity)
        else:
            place = Place(OWN, NODE, shelf.variants[one.code])
            transfers.append(inventory.came_back(place, -one.quantity, sellable=True))
    return Journal(
        document_kind=what,
        document_id=document_id,
        key=what,
        reason=", ".join(sorted({f"{label(b.code)}: {b.reason}" for b in bookings}))[:200],
        transfers=tuple(transfers),
    )


async def _correct(
    tx: Tx, made: _Batch, run: uuid.UUID, shelf: Shelf, bookings: Sequence[Booked]
) -> None:
    """The stock corrections of a batch are one count, under its first invoice."""
    counts = [(d, [b for b in booked if b.what == "count"]) for d, booked in bookings]
    counts = [(d, mine) for d, mine in counts if mine]
    if not counts:
        return
    first = counts[0][0]
    document_id = timed_id(first.at, run, "count", first.invoice)
    pieces: dict[str, int] = {}
    for document, mine in counts:
        made.entries.append(
            _entry(document_id, f"count:{document.invoice}", "count", document, mine)
        )
        for one in mine:
            pieces[one.code] = pieces.get(one.code, 0) + one.quantity
    answers = await inventory.adjust(
        tx,
        [
            StockCount(Place(OWN, NODE, shelf.variants[code]), quantity)
            for code, quantity in sorted(pieces.items())
            if quantity
        ],
        document_id=document_id,
        reason=", ".join(sorted({b.line.description for _, mine in counts for b in mine}))[:200],
    )
    for answer in answers:
        sound(answer, f"stock correction {first.invoice}")


async def _end(player: House, run: uuid.UUID, plan: Plan, last: dt.datetime) -> None:
    """What whole minor units left of the exact sum, in one journal; then the last jobs."""
    player.clock.set(max(player.clock.now(), last))
    left = int(plan.rounding.quantize(Decimal(1), ROUND_HALF_UP))
    async with player.db.transaction(actor=player.actor) as tx:
        if left:
            journal = Journal(
                document_kind="adjustment",
                document_id=uuid.uuid5(run, "rounding"),
                key="rounding",
                reason="parts of a minor unit, summed up",
                transfers=tuple(revenue("ROUNDING", left, CURRENCY)),
            )
            sound((await ledger.post(tx, [journal]))[0], "rounding")
            entry = Entry(
                document_id=journal.document_id,
                key="rounding",
                kind="adjustment",
                reference="",
                lines=0,
                units=0,
                revenue_minor=left,
            )
            await booking.enter(tx, run, [entry])
        await booking.finish(tx, run)
    await player.run_jobs()
