"""Orders: the inbox, one order with its money trail, and everything that may be done to it."""

from __future__ import annotations

import datetime as dt
from collections.abc import AsyncIterator
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.faces.console.frame import (
    attempt,
    csv_line,
    names_of,
    shown,
    with_query,
)
from pinwheel.faces.console.moments import zone_of
from pinwheel.faces.console.money import minor_of
from pinwheel.faces.console.queries import things, variants_like
from pinwheel.ground import identity, ledger
from pinwheel.kernel import queries
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid
from pinwheel.kernel.events import Recorded
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, File, See, get, post
from pinwheel.trade import inventory, orders, payments, returns
from pinwheel.trade.orders import InboxLine, OrderLine, OrderSight, Shipment
from pinwheel.trade.payments import Dispute, Instruction, Payment

READ, WRITE, MONEY = "orders:read", "orders:write", "money"
Text = Annotated[str, Meta(max_length=200)]


class Filter(msgspec.Struct, frozen=True):
    view: str
    q: str
    since: dt.date | None
    until: dt.date | None


@get("/console/orders", scope=READ)
async def order_list(
    call: Call,
    tx: Tx,
    view: str = "",
    q: Text = "",
    since: dt.date | None = None,
    until: dt.date | None = None,
    after: str | None = None,
) -> Answer[Page[InboxLine]]:
    """The inbox: orders by what they wait for, by number, SKU, e-mail address or day."""
    asked = Filter(view if view in orders.VIEWS else "", q.strip(), since, until)
    found = await orders.inbox(tx, cursor=after, **await _asked(call, tx, asked))
    counts = await orders.inbox_counts(tx) if call.wants_page else None
    people = await identity.people(tx, [o.person_id for o in found.items if o.person_id])
    query = msgspec.structs.asdict(asked)
    return await shown(
        call,
        tx,
        found,
        "orders",
        call.say("Orders"),
        "orders",
        views=orders.VIEWS,
        counts=counts,
        people=people,
        asked=asked,
        here=with_query("/console/orders", **query),
        next_path=with_query("/console/orders", **query, after=found.next) if found.next else None,
        first_path=with_query("/console/orders", **query) if after else None,
        csv_path=with_query("/console/orders.csv", **query),
    )


async def _asked(call: Call, tx: Tx, asked: Filter) -> dict[str, Any]:
    """The filter as the question takes it: what was typed is a number, an address or an SKU."""
    zone = zone_of(call)
    begin = dt.datetime.combine(asked.since, dt.time(), zone) if asked.since else None
    day = dt.timedelta(days=1)
    end = dt.datetime.combine(asked.until + day, dt.time(), zone) if asked.until else None
    how: dict[str, Any] = {"view": asked.view or None, "days": (begin, end)}
    if "@" in asked.q:
        person = await identity.person_with_email(tx, asked.q)
        how["person_id"] = person.id if person else UUID(int=0)
    elif asked.q:
        variant_ids = await variants_like(tx, asked.q)
        how |= {"variant_ids": variant_ids} if variant_ids else {"number": asked.q.upper()}
    return how


@get("/console/orders.csv", scope=READ)
async def order_csv(
    call: Call,
    db: Database,
    view: str = "",
    q: Text = "",
    since: dt.date | None = None,
    until: dt.date | None = None,
) -> File:
    """The same list as a CSV file, sent as it is read: no person's name or address is in it."""
    asked = Filter(view if view in orders.VIEWS else "", q.strip(), since, until)
    return File(_csv(call, db, asked), "text/csv; charset=utf-8", name="orders.csv")


async def _csv(call: Call, db: Database, asked: Filter) -> AsyncIterator[bytes]:
    yield "\ufeff".encode() + csv_line(
        "number", "state", "placed_at", "market", "country", "delivery", "pieces",
        "currency", "total_minor", "refunded_minor",
    )  # fmt: skip
    cursor: str | None = None
    while True:
        async with db.reading(actor=call.caller.actor) as tx:
            how = await _asked(call, tx, asked)
            found = await orders.inbox(tx, cursor=cursor, limit=500, **how)
        yield b"".join(
            csv_line(o.number, o.state, o.placed_at.isoformat(), o.market, o.country, o.delivery,
                     o.units, o.currency, o.total_minor, o.refunded_minor)
            for o in found.items
        )  # fmt: skip
        if found.next is None:
            return
        cursor = found.next


class Bulk(msgspec.Struct):
    """Orders to send whole."""

    order: Annotated[list[UUID], Meta(max_length=200)] = []
    back: str = "/console/orders"
    carrier: Text = ""


class BulkAnswer(msgspec.Struct, frozen=True):
    """How many were sent, and why the others were not, by order id."""

    sent: int
    refused: dict[str, str]


@post("/console/orders/send", scope=WRITE)
async def send_many(call: Call, db: Database, data: Bulk) -> See[Any]:
    """Send all that is left of each order. One that can't be sent doesn't hold up the others."""
    if not data.order:
        raise Invalid("order", "choose at least one order", "请至少选择一个订单")

    async def verb(tx: Tx) -> BulkAnswer:
        ids = dict.fromkeys(data.order)
        wanted = [orders.Sending(order_id=i, carrier=data.carrier) for i in ids]
        answers = await orders.ship_orders(tx, wanted)
        refused = {
            str(s.order_id): a.sentence(call.language)
            for s, a in zip(wanted, answers, strict=True)
            if not isinstance(a, list)
        }
        return BulkAnswer(len(wanted) - len(refused), refused)

    def message(done: BulkAnswer) -> str:
        text = call.say("%(n)s orders sent.") % {"n": done.sent}
        return " ".join([text, *list(done.refused.values())[:3]])

    return await attempt(call, db, verb, data.back, message)


class OrderDesk(msgspec.Struct, frozen=True):
    """One order with everything that happened to it. ``events`` are the facts about it, the
    oldest first; ``trail`` its money and stock in the ledger."""

    order: orders.Order
    lines: list[OrderLine]
    shipments: list[Shipment]
    contact: str | None
    ship_to: dict[str, str] | None
    payments: list[Payment]
    instructions: list[Instruction]
    disputes: list[Dispute]
    trail: list[ledger.Posting]
    events: list[Recorded]
    refundable_minor: int


@get("/console/orders/{number:str}", scope=READ)
async def order_page(call: Call, db: Database, number: Text) -> Answer[OrderDesk]:
    """One order. Looking at whom it goes to is recorded."""
    actor, request_id = call.caller.actor, call.request_id
    async with db.transaction(actor=actor, request_id=request_id) as tx:
        sight = await orders.order(tx, number=number)
        desk = await _desk(tx, sight)
        if sight.order.person_id is not None:
            await identity.record_access(tx, [sight.order.person_id], "order", number)
        actors = [e.actor for e in desk.events] + [p.actor for p in desk.trail]
        person_id = sight.order.person_id
        return await shown(
            call,
            tx,
            desk,
            "order",
            number,
            "orders",
            names=await names_of(tx, actors),
            buyer=(await identity.people(tx, [person_id])).get(person_id) if person_id else None,
            things=await things(tx, [line.variant_id for line in sight.lines]),
            nodes=await inventory.nodes(tx),
            can=_possible(sight, tx.now),
            returned=(await returns.returns(tx, order_id=sight.order.id)).items,
        )


async def _desk(tx: Tx, sight: OrderSight) -> OrderDesk:
    order = sight.order
    facts = await queries.events(tx, subject_id=order.id, limit=200)
    contact, ship_to = order.contact, order.ship_to
    return OrderDesk(
        order=msgspec.structs.replace(order, contact=None, ship_to=None),
        lines=sight.lines,
        shipments=sight.shipments,
        contact=tx.db.vault.open(contact, "orders.contact") if contact else None,
        ship_to=msgspec.json.decode(tx.db.vault.open(ship_to, "orders.ship_to"))
        if ship_to
        else None,
        payments=await payments.payments_of(tx, [order.id]),
        instructions=await payments.instructions_of(tx, [order.id]),
        disputes=await payments.disputes_of(tx, [order.id]),
        trail=await ledger.postings_of(tx, [order.id]),
        events=facts.items[::-1],
        refundable_minor=await payments.refundable_of(tx, order.id),
    )


def _possible(sight: OrderSight, now: dt.datetime) -> set[str]:
    """Which buttons make sense now; the verbs decide for themselves."""
    order, left = sight.order, any(line.open for line in sight.lines)
    can = set()
    held = order.held_until is not None and order.held_until > now
    if order.state in ("placed", "shipped") and left and not held:
        can.add("ship")
    if order.state == "placed" and left:
        can |= {"cancel_lines", "source"}
    if any(line.shipped > line.returned for line in sight.lines):
        can.add("return")
    if order.state in ("pending_payment", "placed") and not sight.shipments:
        can.add("cancel")
    return can


class ShipForm(msgspec.Struct):
    """``parts`` is the number of pieces of each line, in the order of ``line``; 0 leaves one."""

    line: list[int] = []
    quantity: list[int] = []
    shipment_id: UUID | None = None
    carrier: Text = ""
    tracking: Text = ""


def _parts(line: list[int], quantity: list[int]) -> list[tuple[int, int]]:
    if len(line) != len(quantity):
        raise Invalid("quantity", "one number for each line", "每行对应一个数量")
    return [(n, q) for n, q in zip(line, quantity, strict=True) if q]


@post("/console/orders/{number:str}/ship", scope=WRITE)
async def ship(call: Call, db: Database, number: Text, data: ShipForm) -> See[Any]:
    """Send a part or all: one parcel from each node."""

    async def verb(tx: Tx) -> list[UUID]:
        sight = await orders.order(tx, number=number)
        return await orders.ship(
            tx,
            sight.order.id,
            _parts(data.line, data.quantity) if data.line else None,
            shipment_id=data.shipment_id,
            carrier=data.carrier,
            tracking=data.tracking,
        )

    return await attempt(call, db, verb, _page(number), call.say("Sent."))


def _page(number: str) -> str:
    return f"/console/orders/{number}"


class DeliverForm(msgspec.Struct):
    shipment_id: UUID


@post("/console/orders/{number:str}/deliver", scope=WRITE)
async def deliver(call: Call, db: Database, number: Text, data: DeliverForm) -> See[Any]:
    """A parcel of this order has arrived."""

    async def verb(tx: Tx) -> None:
        sight = await orders.order(tx, number=number)
        if data.shipment_id not in {s.id for s in sight.shipments}:
            raise Invalid("shipment_id", "not a parcel of this order", "不是本订单的包裹")
        await orders.deliver(tx, data.shipment_id)

    return await attempt(call, db, verb, _page(number), call.say("Marked as delivered."))


class CancelForm(msgspec.Struct):
    """Without lines the whole order is cancelled."""

    reason: Annotated[str, Meta(min_length=1, max_length=200)]
    line: list[int] = []
    quantity: list[int] = []


@post("/console/orders/{number:str}/cancel", scope=WRITE)
async def cancel(call: Call, db: Database, number: Text, data: CancelForm) -> See[Any]:
    """Cancel lines that have not left, or everything: stock and money go back."""

    async def verb(tx: Tx) -> None:
        sight = await orders.order(tx, number=number)
        if data.line:
            parts = _parts(data.line, data.quantity)
            await orders.cancel_lines(tx, sight.order.id, parts, reason=data.reason)
        else:
            await orders.cancel(tx, sight.order.id, reason=data.reason)

    return await attempt(
        call, db, verb, _page(number), call.say("Cancelled; stock and money go back.")
    )


@post("/console/orders/{number:str}/source", scope=WRITE)
async def source(call: Call, db: Database, number: Text) -> See[Any]:
    """Take elsewhere what closed nodes promised, for this order and the others there."""

    async def verb(tx: Tx) -> None:
        sight = await orders.order(tx, number=number)
        nodes = await inventory.nodes(tx)
        for node in sorted({line.node for line in sight.lines if line.open}):
            if node in nodes and not nodes[node].is_open:
                await orders.source_again(tx, node)

    return await attempt(call, db, verb, _page(number), call.say("Sourced again."))


class GoodwillForm(msgspec.Struct):
    """``amount`` as people write it, in the order's currency."""

    amount: Annotated[str, Meta(min_length=1, max_length=30)]
    reason: Annotated[str, Meta(min_length=1, max_length=200)]
    gift_id: UUID


@post("/console/orders/{number:str}/goodwill", scope=MONEY)
async def goodwill(call: Call, db: Database, number: Text, data: GoodwillForm) -> See[Any]:
    """Give some of the money back without goods coming back."""

    async def verb(tx: Tx) -> bool:
        sight = await orders.order(tx, number=number)
        amount = minor_of(data.amount, sight.order.currency)
        return await orders.give_goodwill(
            tx, sight.order.id, amount, data.reason, gift_id=data.gift_id
        )

    return await attempt(call, db, verb, _page(number), call.say("The refund is on its way."))
