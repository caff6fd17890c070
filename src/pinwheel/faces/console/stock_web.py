"""Stock: what is where, and what moves it. Every movement is a journal in the ledger."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.faces.console.frame import attempt, names_of, refused, shown, with_query, words_of
from pinwheel.faces.console.queries import StockLine, stock_lines, things, variants_like
from pinwheel.ground import ledger
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid, Refusal
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, See, get, post
from pinwheel.kernel.words import said
from pinwheel.trade import inventory, orders
from pinwheel.trade.inventory import Node, Place, Position, StockCount
from pinwheel.trade.marketplace import OWN_SELLER_ID

STOCK, SETTINGS = "stock", "settings"
Pieces = Annotated[int, Meta(ge=1, le=10_000_000)]
Text = Annotated[str, Meta(max_length=200)]
Reason = Annotated[str, Meta(min_length=2, max_length=200)]


@get("/console/stock", scope=STOCK)
async def stock_list(
    call: Call, tx: Tx, q: Text = "", node: Text = "", low: bool = False, after: str | None = None
) -> Answer[Page[StockLine]]:
    """Positions: what is on hand, reserved, and can be promised, by variant and node."""
    variant_ids = await variants_like(tx, q.strip()) if q.strip() else None
    found = await stock_lines(tx, node=node or None, variant_ids=variant_ids, low=low, cursor=after)
    query: dict[str, Any] = {"q": q, "node": node, "low": "1" if low else ""}
    return await shown(
        call,
        tx,
        found,
        "stock",
        call.say("Stock"),
        "stock",
        nodes=await inventory.nodes(tx),
        asked={"q": q, "node": node, "low": low},
        here=with_query("/console/stock", **query),
        next_path=with_query("/console/stock", **query, after=found.next) if found.next else None,
        first_path=with_query("/console/stock", **query) if after else None,
    )


class StockDesk(msgspec.Struct, frozen=True):
    """One variant at every node, and what moved it last."""

    variant_id: UUID
    positions: list[Position]
    postings: list[ledger.Posting]


@get("/console/stock/{variant_id:uuid}", scope=STOCK)
async def stock_page(call: Call, tx: Tx, variant_id: UUID) -> Answer[StockDesk]:
    """One variant: every node, and its latest movements."""
    positions = await inventory.positions(tx, [variant_id])
    postings: list[ledger.Posting] = []
    for position in positions[:6]:
        place = Place(position.seller_id, position.node, variant_id)
        statement = await ledger.statement(tx, inventory.available(place), limit=20)
        postings += statement.items
    known = {(p.journal_id, p.line): p for p in postings}
    postings = sorted(known.values(), key=lambda p: p.posted_at, reverse=True)[:40]
    thing = (await things(tx, [variant_id])).get(variant_id)
    return await shown(
        call,
        tx,
        StockDesk(variant_id, positions, postings),
        "stock_item",
        said(thing.title, call.language) or thing.sku if thing else call.say("Stock"),
        "stock",
        thing=thing,
        nodes=await inventory.nodes(tx),
        names=await names_of(tx, [p.actor for p in postings]),
        own=OWN_SELLER_ID,
    )


class Movement(msgspec.Struct):
    """``document_id`` makes a form that is sent twice count once."""

    document_id: UUID
    node: Annotated[str, Meta(min_length=1, max_length=16)]
    quantity: int
    reason: Text = ""
    to_node: Text = ""
    seller_id: UUID = OWN_SELLER_ID

    def count(self, variant_id: UUID, quantity: int) -> StockCount:
        return StockCount(Place(self.seller_id, self.node, variant_id), quantity)


@post("/console/stock/{variant_id:uuid}/receive", scope=STOCK)
async def receive(call: Call, db: Database, variant_id: UUID, data: Movement) -> See[Any]:
    """Pieces have come in."""

    async def verb(tx: Tx) -> None:
        if data.quantity <= 0:
            raise Invalid("quantity", "give 1 or more", "请填写不小于 1 的数量")
        count = data.count(variant_id, data.quantity)
        reason = data.reason or "received"
        refused(await inventory.receive(tx, [count], document_id=data.document_id, reason=reason))

    return await attempt(call, db, verb, _page(variant_id), call.say("Taken in."))


def _page(variant_id: UUID) -> str:
    return f"/console/stock/{variant_id}"


@post("/console/stock/{variant_id:uuid}/count", scope=STOCK)
async def count(call: Call, db: Database, variant_id: UUID, data: Movement) -> See[Any]:
    """Somebody has counted: the books become ``quantity`` pieces, and the difference says why."""

    async def verb(tx: Tx) -> int:
        if data.quantity < 0:
            raise Invalid("quantity", "a count is 0 or more", "盘点数量不能为负")
        if len(data.reason.strip()) < 2:
            raise Invalid("reason", "say why", "请填写原因")
        counts = [data.count(variant_id, data.quantity)]
        [found] = await inventory.count(
            tx, counts, document_id=data.document_id, reason=data.reason
        )
        if isinstance(found, Refusal):
            raise found
        return found.change

    def message(change: int) -> str:
        if not change:
            return call.say("The count agrees with the books.")
        return call.say("The books are corrected by %(n)s.") % {"n": f"{change:+d}"}

    return await attempt(call, db, verb, _page(variant_id), message)


@post("/console/stock/{variant_id:uuid}/move", scope=STOCK)
async def move(call: Call, db: Database, variant_id: UUID, data: Movement) -> See[Any]:
    """Pieces go from one node to another."""

    async def verb(tx: Tx) -> None:
        if data.quantity <= 0 or data.to_node == data.node:
            raise Invalid("to_node", "choose another node and 1 or more", "请选择其他节点和数量")
        count = data.count(variant_id, data.quantity)
        refused(await inventory.move(tx, [count], data.to_node, document_id=data.document_id))

    return await attempt(call, db, verb, _page(variant_id), call.say("Moved."))


class LimitForm(msgspec.Struct):
    node: Annotated[str, Meta(min_length=1, max_length=16)]
    safety_stock: Annotated[int, Meta(ge=0, le=10_000_000)] = 0
    backorder_limit: Annotated[int, Meta(ge=0, le=10_000_000)] = 0
    expected_on: dt.date | None = None
    seller_id: UUID = OWN_SELLER_ID


@post("/console/stock/{variant_id:uuid}/limits", scope=STOCK)
async def limits(call: Call, db: Database, variant_id: UUID, data: LimitForm) -> See[Any]:
    """Keep a safety stock from sale, or sell what is not here yet."""

    async def verb(tx: Tx) -> None:
        await inventory.set_limits(
            tx,
            Place(data.seller_id, data.node, variant_id),
            safety_stock=data.safety_stock,
            backorder_limit=data.backorder_limit,
            expected_on=data.expected_on,
        )

    return await attempt(call, db, verb, _page(variant_id), call.say("Saved."))


@get("/console/nodes", scope=STOCK)
async def node_list(call: Call, tx: Tx) -> Answer[list[Node]]:
    """Where stock is kept."""
    found = list((await inventory.nodes(tx)).values())
    return await shown(call, tx, found, "nodes", call.say("Stock nodes"), "stock")


class NodeForm(msgspec.Struct):
    code: Annotated[str, Meta(pattern="^[A-Z0-9_-]{1,16}$")]
    name_en: Text
    name_zh: Text = ""
    kind: Annotated[str, Meta(pattern="^(warehouse|store|dropship)$")] = "warehouse"
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$")] = "CN"
    lead_hours: Annotated[int, Meta(ge=0, le=10_000)] = 24
    parcel_minor: Annotated[int, Meta(ge=0, le=10**9)] = 0
    latitude: Annotated[float, Meta(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Meta(ge=-180, le=180)] | None = None


@post("/console/nodes", scope=SETTINGS)
async def save_node(call: Call, db: Database, data: NodeForm) -> See[Any]:
    """Add a node, or change what it is called and costs."""

    async def verb(tx: Tx) -> None:
        node = Node(
            code=data.code,
            name=words_of(data.name_en, data.name_zh),
            kind=data.kind,
            country=data.country,
            lead_hours=data.lead_hours,
            parcel_minor=data.parcel_minor,
            latitude=data.latitude,
            longitude=data.longitude,
        )
        await inventory.save_nodes(tx, [node])

    return await attempt(call, db, verb, "/console/nodes", call.say("Saved."))


@post("/console/nodes/{code:str}/open", scope=STOCK)
async def open_node(call: Call, db: Database, code: Text) -> See[Any]:
    """It works again."""

    async def verb(tx: Tx) -> None:
        await inventory.set_node_open(tx, code, True)

    return await attempt(call, db, verb, "/console/nodes", call.say("The node is open."))


@post("/console/nodes/{code:str}/close", scope=STOCK)
async def close_node(call: Call, db: Database, code: Text) -> See[Any]:
    """It has failed or rests: what it promised is sourced from the others."""

    async def verb(tx: Tx) -> tuple[int, int]:
        await inventory.set_node_open(tx, code, False)
        return await orders.source_again(tx, code)

    def message(moved: tuple[int, int]) -> str:
        text = call.say("Closed. %(moved)s lines go from elsewhere, %(left)s have no other source.")
        return text % {"moved": moved[0], "left": moved[1]}

    return await attempt(call, db, verb, "/console/nodes", message)
