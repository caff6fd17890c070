"""The routes of stock and of the nodes that keep it, for programs.

They stand with the orders because closing a node sources again what its orders were promised."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.ground.ledger import Posted
from pinwheel.kernel.db import Tx
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, Each, each, get, post, put
from pinwheel.trade import inventory
from pinwheel.trade.inventory import Counted, Node, StockTaken, UnknownNode
from pinwheel.trade.marketplace import OWN_SELLER_ID
from pinwheel.trade.orders import resourcing, stock_desk
from pinwheel.trade.orders.stock_desk import (
    Line,
    LineTwice,
    SameNode,
    StockPosition,
    VariantUnknown,
)

STOCK, SETTINGS = "stock", "settings"
TAGS = ("stock",)
Limit = Annotated[int, Meta(ge=1, le=200)]
Cursor = Annotated[str, Meta(max_length=500)]
Sku = Annotated[str, Meta(min_length=1, max_length=100)]
Code = Annotated[str, Meta(min_length=1, max_length=16)]
Reason = Annotated[str, Meta(min_length=2, max_length=200)]
Name = dict[Literal["en", "zh-CN"], Annotated[str, Meta(max_length=200)]]


class LineInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """So many pieces of a variant, named by its ``sku`` or its ``variant_id``, at a node. The
    shop's own without ``seller_id``."""

    sku: Annotated[str, Meta(max_length=100)] = ""
    variant_id: UUID | None = None
    node: Code
    quantity: Annotated[int, Meta(ge=1, le=10_000_000)]
    seller_id: UUID = OWN_SELLER_ID


class CountInput(LineInput, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What was found of a variant at a node."""

    quantity: Annotated[int, Meta(ge=0, le=10_000_000)]


class Receipt(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``document_id`` is the caller's own: a line of a document comes in once."""

    document_id: UUID
    lines: Annotated[list[LineInput], Meta(min_length=1, max_length=1000)]
    reason: Reason = "received"


class StockTake(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``document_id`` is the caller's own: a place is counted once in a document. ``reason``: what
    the difference is put down to."""

    document_id: UUID
    lines: Annotated[list[CountInput], Meta(min_length=1, max_length=1000)]
    reason: Reason


class Transport(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``document_id`` is the caller's own: a line of a document moves once."""

    document_id: UUID
    to_node: Code
    lines: Annotated[list[LineInput], Meta(min_length=1, max_length=1000)]


class NodeInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A place that keeps stock. ``lead_hours``: until a parcel leaves; ``parcel_minor``: what one
    from here costs."""

    code: Annotated[str, Meta(pattern="^[A-Z0-9_-]{1,16}$")]
    name: Name
    kind: Literal["warehouse", "store", "dropship"] = "warehouse"
    country: Annotated[str, Meta(pattern="^[A-Z]{2}$")]
    latitude: Annotated[float, Meta(ge=-90, le=90)] | None = None
    longitude: Annotated[float, Meta(ge=-180, le=180)] | None = None
    parcel_minor: Annotated[int, Meta(ge=0, le=10**9)] = 0
    lead_hours: Annotated[int, Meta(ge=0, le=10_000)] = 24


class Nodes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    nodes: Annotated[list[NodeInput], Meta(min_length=1, max_length=200)]


class Closed(msgspec.Struct, frozen=True):
    """``moved`` order lines go from elsewhere now; ``left`` have no other source."""

    moved: int
    left: int


@get("/api/v1/stock", scope=STOCK, tags=TAGS)
async def list_stock(
    tx: Tx,
    sku: Annotated[list[Sku], Meta(max_length=200)] | None = None,
    variant_id: Annotated[list[UUID], Meta(max_length=200)] | None = None,
    node: Code | None = None,
    after: Cursor | None = None,
    limit: Limit = 50,
) -> Answer[Page[StockPosition]]:
    """What is where, and what can be promised of it. Repeat ``sku`` or ``variant_id`` for several
    variants."""
    return Answer(
        await stock_desk.stock_positions(
            tx,
            skus=sku or (),
            variant_ids=variant_id or (),
            node=node,
            cursor=after,
            limit=limit,
        )
    )


@post(
    "/api/v1/stock/receipts",
    scope=STOCK,
    once=True,
    refusals=(VariantUnknown, LineTwice),
    tags=TAGS,
)
async def receive_stock(call: Call, tx: Tx, data: Receipt) -> Answer[list[Each[Posted]]]:
    """Pieces have come in, each line for itself. The same document again changes nothing: its
    lines answer with ``fresh`` false."""
    answers = await stock_desk.receive_lines(
        tx, _lines(data.lines), document_id=data.document_id, reason=data.reason
    )
    return Answer(each(answers, call.language))


@post(
    "/api/v1/stock/counts",
    scope=STOCK,
    once=True,
    refusals=(VariantUnknown, StockTaken, LineTwice),
    tags=TAGS,
)
async def count_stock(call: Call, tx: Tx, data: StockTake) -> Answer[list[Each[Counted]]]:
    """Somebody has counted: the books become what was found, each line for itself. Fewer than are
    promised to buyers are refused: source or cancel those orders first."""
    answers = await stock_desk.count_lines(
        tx, _lines(data.lines), document_id=data.document_id, reason=data.reason
    )
    return Answer(each(answers, call.language))


@post(
    "/api/v1/stock/moves",
    scope=STOCK,
    once=True,
    refusals=(VariantUnknown, StockTaken, SameNode),
    tags=TAGS,
)
async def move_stock(call: Call, tx: Tx, data: Transport) -> Answer[list[Each[Posted]]]:
    """Pieces go to another node, each line for itself. What is promised to buyers stays."""
    answers = await stock_desk.move_lines(
        tx, _lines(data.lines), data.to_node, document_id=data.document_id
    )
    return Answer(each(answers, call.language))


def _lines(lines: list[LineInput] | list[CountInput]) -> list[Line]:
    return [Line(**msgspec.structs.asdict(one)) for one in lines]


@get("/api/v1/nodes", scope=STOCK, tags=TAGS)
async def list_nodes(tx: Tx) -> Answer[list[Node]]:
    """Where stock is kept."""
    return Answer(list((await inventory.nodes(tx)).values()))


@put("/api/v1/nodes", scope=SETTINGS, tags=TAGS)
async def save_nodes(tx: Tx, data: Nodes) -> Answer[list[Node]]:
    """Add nodes, or change what they are called and cost: all of them or none. A new one is open;
    one that is closed stays so."""
    await inventory.save_nodes(tx, [Node(**msgspec.structs.asdict(one)) for one in data.nodes])
    known = await inventory.nodes(tx)
    return Answer([known[one.code] for one in data.nodes])


@post("/api/v1/nodes/{code:str}/open", scope=STOCK, status=204, tags=TAGS)
async def open_node(tx: Tx, code: str) -> Answer[None]:
    """A node works again."""
    await inventory.set_node_open(tx, code, True)
    return Answer(None)


@post("/api/v1/nodes/{code:str}/close", scope=STOCK, refusals=(UnknownNode,), tags=TAGS)
async def close_node(tx: Tx, code: str) -> Answer[Closed]:
    """A node has failed or rests: what it promised is sourced from the others."""
    await inventory.set_node_open(tx, code, False)
    return Answer(Closed(*await resourcing.source_again(tx, code)))
