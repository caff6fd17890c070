"""Parcels that come back: scanned at the door; and the replacements that wait for them."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.faces.console.frame import attempt, refused, shown, with_query
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, See, get, post
from pinwheel.trade import inventory, orders, returns
from pinwheel.trade.returns import Receipt, Return, Waiting

READ, WRITE, STOCK = "orders:read", "orders:write", "stock"
View = Literal["waiting", "unpaid", "released", "ended", "all"]
VIEWS: tuple[View, ...] = ("waiting", "unpaid", "released", "ended", "all")


@get("/console/arrivals", scope=STOCK)
async def arrivals(
    call: Call, tx: Tx, node: Annotated[str, Meta(max_length=16)] = "", after: str | None = None
) -> Answer[Page[Return]]:
    """What came in lately and waits to be looked at, and where to scan the next one."""
    found = await returns.returns(tx, state="received", cursor=after, limit=30)
    return await shown(
        call,
        tx,
        found,
        "arrivals",
        call.say("Arrivals"),
        "returns",
        nodes=await inventory.nodes(tx),
        node=node,
        numbers=await orders.numbers_of(tx, {r.order_id for r in found.items}),
        next_path=f"/console/arrivals?after={found.next}" if found.next else None,
        first_path="/console/arrivals" if after else None,
    )


class ScanForm(msgspec.Struct):
    """What the scanner read, and where it stands."""

    code: Annotated[str, Meta(min_length=1, max_length=60)]
    node: Annotated[str, Meta(min_length=1, max_length=16)]


@post("/console/arrivals", scope=STOCK)
async def scan(call: Call, db: Database, data: ScanForm) -> See[Any]:
    """Take in all that was announced of the scanned parcel; a replacement is let go with it. Twice
    is once."""

    async def verb(tx: Tx) -> str:
        return_id = await returns.return_by_code(tx, data.code)
        refused(await returns.receive(tx, [Receipt(return_id=return_id, node=data.node)]))
        return (await returns.see(tx, return_id)).ret.number

    back = with_query("/console/arrivals", node=data.node)
    return await attempt(
        call, db, verb, back, lambda n: call.say("%(number)s is here.") % {"number": n}
    )


@get("/console/exchanges", scope=READ)
async def exchange_list(
    call: Call, tx: Tx, view: View = "waiting", after: str | None = None
) -> Answer[Page[Waiting]]:
    """Replacements by what they wait for."""
    found = await returns.exchange_list(
        tx, state=None if view == "all" else view, cursor=after, limit=50
    )
    path = with_query("/console/exchanges", view=view)
    return await shown(
        call,
        tx,
        found,
        "exchanges",
        call.say("Exchanges"),
        "returns",
        view=view,
        views=VIEWS,
        numbers=await orders.numbers_of(tx, {e.order_id for e in found.items}),
        next_path=f"{path}&after={found.next}" if found.next else None,
        first_path=path if after else None,
    )


@post("/console/exchanges/{return_id:uuid}/end", scope=WRITE)
async def end(call: Call, db: Database, return_id: UUID) -> See[Any]:
    """It can't be sent: the buyer gets a refund once the old one is here, and is told."""

    async def verb(tx: Tx) -> None:
        await returns.end_exchanges(tx, [(return_id, "ran_out")])

    return await attempt(
        call, db, verb, "/console/exchanges", call.say("It is a refund now; the buyer is told.")
    )
