"""Returns: decide, take in, look at each piece, refund."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.faces.console.frame import attempt, names_of, refused, shown, with_query
from pinwheel.faces.console.money import minor_of
from pinwheel.faces.console.queries import things
from pinwheel.ground import identity
from pinwheel.kernel import queries
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, See, get, post
from pinwheel.trade import inventory, orders, returns
from pinwheel.trade.returns import Graded, Grading, Receipt, Return, ReturnSight

READ, WRITE, STOCK = "orders:read", "orders:write", "stock"
VIEWS = ("requested", "approved", "received", "overdue", "refunded", "rejected")
CHECKS = ("complete", "packaging", "works", "clean", "serial")
"""What is looked at: all parts there, the packaging whole, it works, it is clean, the number on it
is the one that was sent."""
Text = Annotated[str, Meta(max_length=200)]


@get("/console/returns", scope=READ)
async def return_list(
    call: Call, tx: Tx, view: str = "requested", after: str | None = None
) -> Answer[Page[Return]]:
    """Returns by what they wait for."""
    view = view if view in (*VIEWS, "all") else "requested"
    state = None if view in ("all", "overdue") else view
    found = await returns.returns(
        tx, state=state, overdue=view == "overdue", cursor=after, limit=50
    )
    path = with_query("/console/returns", view=view)
    return await shown(
        call,
        tx,
        found,
        "returns",
        call.say("Returns"),
        "returns",
        view=view,
        views=(*VIEWS, "all"),
        numbers=await orders.numbers_of(tx, {r.order_id for r in found.items}),
        people=await identity.people(tx, [r.person_id for r in found.items if r.person_id]),
        next_path=f"{path}&after={found.next}" if found.next else None,
        first_path=path if after else None,
    )


@get("/console/returns/{return_id:uuid}", scope=READ)
async def return_page(call: Call, tx: Tx, return_id: UUID) -> Answer[ReturnSight]:
    """One return, with what the buyer said and what may be done now."""
    sight = await returns.see(tx, return_id)
    facts = await queries.events(tx, subject_id=return_id, limit=100)
    return await shown(
        call,
        tx,
        sight,
        "return",
        sight.ret.number,
        "returns",
        ret=sight.ret,
        facts=facts.items[::-1],
        numbers=await orders.numbers_of(tx, [sight.ret.order_id]),
        things=await things(tx, [line.variant_id for line in sight.lines]),
        nodes=await inventory.nodes(tx),
        names=await names_of(tx, [e.actor for e in facts.items]),
        checks=CHECKS,
    )


def _page(return_id: UUID) -> str:
    return f"/console/returns/{return_id}"


@post("/console/returns/{return_id:uuid}/approve", scope=WRITE)
async def approve(call: Call, db: Database, return_id: UUID) -> See[Any]:
    """Yes: the buyer may send it."""

    async def verb(tx: Tx) -> None:
        refused(await returns.approve(tx, [return_id]))

    return await attempt(call, db, verb, _page(return_id), call.say("Approved."))


class NoForm(msgspec.Struct):
    reason: Annotated[str, Meta(min_length=2, max_length=500)]


@post("/console/returns/{return_id:uuid}/reject", scope=WRITE)
async def reject(call: Call, db: Database, return_id: UUID, data: NoForm) -> See[Any]:
    """No, and why; the buyer reads it."""

    async def verb(tx: Tx) -> None:
        refused(await returns.reject(tx, [(return_id, data.reason)]))

    return await attempt(call, db, verb, _page(return_id), call.say("Rejected."))


class ReceiveForm(msgspec.Struct):
    """How many pieces of each line have come, side by side."""

    node: Annotated[str, Meta(min_length=1, max_length=16)]
    line: list[int] = []
    quantity: list[int] = []


@post("/console/returns/{return_id:uuid}/receive", scope=STOCK)
async def receive(call: Call, db: Database, return_id: UUID, data: ReceiveForm) -> See[Any]:
    """The parcel is here; its pieces wait to be looked at."""
    if len(data.line) != len(data.quantity):
        raise Invalid("quantity", "one number for each line", "每行对应一个数量")
    parts = [(n, q) for n, q in zip(data.line, data.quantity, strict=True) if q]

    async def verb(tx: Tx) -> None:
        receipt = Receipt(return_id=return_id, node=data.node, lines=parts or None)
        refused(await returns.receive(tx, [receipt]))

    return await attempt(call, db, verb, _page(return_id), call.say("Taken in, to be looked at."))


class GradeForm(msgspec.Struct):
    """For each part: its line, its grade, how many. ``check``: what was looked at and is well.
    ``withhold`` is an amount as people write it."""

    line: list[int] = []
    grade: list[str] = []
    quantity: list[int] = []
    check: list[str] = []
    withhold: Annotated[str, Meta(max_length=30)] = ""
    why: Text = ""


@post("/console/returns/{return_id:uuid}/grade", scope=STOCK)
async def grade(call: Call, db: Database, return_id: UUID, data: GradeForm) -> See[Any]:
    """Say in which state each piece is: stock goes where that sends it, the buyer is refunded."""
    if not len(data.line) == len(data.grade) == len(data.quantity):
        raise Invalid("quantity", "one grade and number for each line", "每行对应等级和数量")
    checklist = {name: name in data.check for name in CHECKS}
    parts = [
        {"line": n, "grade": g, "quantity": q, "checklist": checklist}
        for n, g, q in zip(data.line, data.grade, data.quantity, strict=True)
        if q
    ]
    try:
        graded = msgspec.convert(parts, list[Graded])
    except msgspec.ValidationError as error:
        raise Invalid("grade", str(error), "等级或数量不正确") from error

    async def verb(tx: Tx) -> None:
        sight = await returns.see(tx, return_id)
        withhold = (
            minor_of(data.withhold, sight.ret.currency, "withhold") if data.withhold.strip() else 0
        )
        if withhold:
            call.caller.require("money")
        grading = Grading(return_id=return_id, lines=graded, withhold_minor=withhold, why=data.why)
        refused(await returns.grade_and_refund(tx, [grading]))

    return await attempt(call, db, verb, _page(return_id), call.say("Graded and refunded."))


class AskForm(msgspec.Struct):
    """Pieces of an order that shall come back, side by side."""

    line: list[int] = []
    quantity: list[int] = []
    reason: str = "other"
    note: Text = ""


@post("/console/orders/{number:str}/return", scope=WRITE)
async def ask(call: Call, db: Database, number: str, data: AskForm) -> See[Any]:
    """A buyer has called: open a return for them."""

    async def verb(tx: Tx) -> UUID:
        sight = await orders.order(tx, number=number)
        wish = msgspec.convert(
            {
                "order_id": sight.order.id,
                "lines": [p for p in zip(data.line, data.quantity, strict=False) if p[1]],
                "reason": data.reason,
                "note": data.note,
            },
            returns.NewReturn,
        )
        if not wish.lines:
            raise Invalid("quantity", "choose at least one piece", "请至少选择一件")
        [answer] = await returns.request(tx, [wish])
        refused([answer])
        return answer.id if isinstance(answer, Return) else sight.order.id

    return await attempt(
        call, db, verb, f"/console/orders/{number}", call.say("The return is open."), ahead=_page
    )
