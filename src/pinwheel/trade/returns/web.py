"""The routes of returns. A buyer sees and asks for their own; staff decide, receive and grade."""

from __future__ import annotations

from typing import Annotated, Literal
from uuid import UUID

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, get, post, put
from pinwheel.trade.inventory import UnknownNode
from pinwheel.trade.payments import RefundTooLarge
from pinwheel.trade.returns import policies, queries, receiving, requesting, resale, settling
from pinwheel.trade.returns.model import (
    CategoryPolicy,
    Graded,
    GradesDontFit,
    Grading,
    NewReturn,
    NotAnnounced,
    NotSent,
    Receipt,
    Return,
    ReturnIs,
    Why,
    WindowOver,
    WithholdTooMuch,
)
from pinwheel.trade.returns.queries import Returnable, ReturnSight

READ, WRITE, STOCK = "orders:read", "orders:write", "stock"
TAGS = ("Returns",)
Quantity = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
LineNumber = Annotated[int, msgspec.Meta(ge=0, le=32_000)]
Text = Annotated[str, msgspec.Meta(max_length=1000)]
Lines = Annotated[list[tuple[LineNumber, Quantity]], msgspec.Meta(min_length=1, max_length=200)]
Code = Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
Days = Annotated[int, msgspec.Meta(ge=0, le=3650)]
Minor = Annotated[int, msgspec.Meta(ge=0, le=10**15)]


class ReturnWish(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Lines of the order with how many pieces of each, and why."""

    order_id: UUID
    lines: Lines
    reason: Why
    note: Text = ""


class RejectRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    why: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]


class ReceiveRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where it arrived; without lines all that was announced."""

    node: Code
    lines: Annotated[list[tuple[LineNumber, Quantity]], msgspec.Meta(max_length=200)] = []


class GradeRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every received piece with its grade; what is withheld of the refund, and why."""

    lines: Annotated[list[Graded], msgspec.Meta(min_length=1, max_length=800)]
    withhold_minor: Minor = 0
    why: Text = ""


class MendedRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``id`` names this act once."""

    id: UUID
    variant_id: UUID
    node: Code
    quantity: Quantity
    currency: Annotated[str, msgspec.Meta(pattern="^[A-Z]{3}$")]
    price_minor: Minor
    basis_points: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 8_000


class ReturnPolicy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A market's policy, or a category's in it. Where the law gives more days, the law holds."""

    market: Code
    category_id: UUID = UUID(int=0)
    window_days: Days = 30
    fault_days: Days = 365
    approves_itself: bool = True
    refunds_delivery: bool = True
    freight_minor: Minor = 0
    instant_minor: Minor = 10_000
    send_days: Annotated[int, msgspec.Meta(ge=1, le=365)] = 14
    grade_days: Annotated[int, msgspec.Meta(ge=1, le=365)] = 3
    resale_basis_points: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 8_000


State = Literal["requested", "approved", "received", "refunded", "rejected", "cancelled", "expired"]


@get("/api/v1/orders/{order_id:uuid}/returnable", tags=TAGS)
async def returnable(call: Call, tx: Tx, order_id: UUID) -> Answer[list[Returnable]]:
    """What of an order can be asked back."""
    return Answer(await queries.returnable(tx, order_id, person_id=_only(call)))


@post(
    "/api/v1/returns",
    once=True,
    status=201,
    tags=TAGS,
    refusals=(NotSent, WindowOver),
)
async def request(call: Call, tx: Tx, data: ReturnWish) -> Answer[ReturnSight]:
    """Ask to return pieces of an order. Approved at once where the law or the policy says so."""
    wish = NewReturn(
        order_id=data.order_id,
        lines=data.lines,
        reason=data.reason,
        note=data.note,
        person_id=_only(call),
    )
    [answer] = await requesting.request(tx, [wish])
    return Answer(await _seen(call, tx, answer))


@get("/api/v1/returns", tags=TAGS)
async def list_returns(
    call: Call,
    tx: Tx,
    state: State | None = None,
    order_id: UUID | None = None,
    overdue: bool = False,
    after: str | None = None,
    limit: int = 20,
) -> Answer[Page[Return]]:
    """Returns, newest first: one's own, or everybody's for the staff. ``overdue``: received and
    not graded in time."""
    return Answer(
        await queries.returns(
            tx,
            person_id=_only(call),
            order_id=order_id,
            state=state,
            overdue=overdue,
            cursor=after,
            limit=max(1, min(limit, 100)),
        )
    )


@get("/api/v1/returns/{return_id:uuid}", tags=TAGS)
async def see(call: Call, tx: Tx, return_id: UUID) -> Answer[ReturnSight]:
    """One return with its lines and grades."""
    return Answer(await queries.see(tx, return_id, person_id=_only(call)))


@post("/api/v1/returns/{return_id:uuid}/cancel", tags=TAGS, refusals=(ReturnIs,))
async def cancel(call: Call, tx: Tx, return_id: UUID) -> Answer[ReturnSight]:
    """Keep it after all. What was refunded in advance is owed from then on."""
    [answer] = await requesting.cancel(tx, [return_id], person_id=_only(call))
    return Answer(await _seen(call, tx, answer))


@post("/api/v1/returns/{return_id:uuid}/approve", scope=WRITE, tags=TAGS, refusals=(ReturnIs,))
async def approve(call: Call, tx: Tx, return_id: UUID) -> Answer[ReturnSight]:
    """Say yes to a return that waits for a person."""
    [answer] = await requesting.approve(tx, [return_id])
    return Answer(await _seen(call, tx, answer))


@post("/api/v1/returns/{return_id:uuid}/reject", scope=WRITE, tags=TAGS, refusals=(ReturnIs,))
async def reject(call: Call, tx: Tx, return_id: UUID, data: RejectRequest) -> Answer[ReturnSight]:
    """Say no, and why."""
    [answer] = await requesting.reject(tx, [(return_id, data.why)])
    return Answer(await _seen(call, tx, answer))


@post(
    "/api/v1/returns/{return_id:uuid}/receive",
    scope=STOCK,
    tags=TAGS,
    refusals=(ReturnIs, NotAnnounced, NotSent, UnknownNode),
)
async def receive(call: Call, tx: Tx, return_id: UUID, data: ReceiveRequest) -> Answer[ReturnSight]:
    """The parcel has arrived at a node."""
    receipt = Receipt(return_id=return_id, node=data.node, lines=data.lines or None)
    [answer] = await receiving.receive(tx, [receipt])
    return Answer(await _seen(call, tx, answer))


@post(
    "/api/v1/returns/{return_id:uuid}/grade",
    scope=STOCK,
    tags=TAGS,
    refusals=(ReturnIs, GradesDontFit, WithholdTooMuch, RefundTooLarge),
)
async def grade(call: Call, tx: Tx, return_id: UUID, data: GradeRequest) -> Answer[ReturnSight]:
    """Grade every received piece; the buyer is refunded in the same step."""
    grading = Grading(
        return_id=return_id,
        lines=data.lines,
        withhold_minor=data.withhold_minor,
        why=data.why,
    )
    [answer] = await settling.grade_and_refund(tx, [grading])
    return Answer(await _seen(call, tx, answer))


@post("/api/v1/returns/mended", scope=STOCK, status=204, tags=TAGS)
async def mended(tx: Tx, data: MendedRequest) -> Answer[None]:
    """Damaged pieces were mended: the outlet sells them."""
    fields = {f: getattr(data, f) for f in resale.Mended.__struct_fields__}
    [answer] = await resale.refurbish(tx, [resale.Mended(**fields)], document_id=data.id)
    if isinstance(answer, Refusal):
        raise answer
    return Answer(None)


@get("/api/v1/return-policies", tags=TAGS)
async def list_policies(tx: Tx) -> Answer[list[CategoryPolicy]]:
    """The shop's return policies; a market that is not here has the house's own."""
    return Answer(list(await policies.stored_policies(tx)))


@put("/api/v1/return-policies", scope="settings", status=204, tags=TAGS)
async def set_policy(tx: Tx, data: ReturnPolicy) -> Answer[None]:
    """Set the policy of a market or of a category in it."""
    await policies.set_policy(tx, CategoryPolicy(**msgspec.structs.asdict(data)))
    return Answer(None)


def _only(call: Call) -> UUID | None:
    """The person whose returns this caller may touch; None is everybody's (staff)."""
    return None if call.caller.may(READ) else call.caller.person()


async def _seen(call: Call, tx: Tx, answer: Return | Refusal) -> ReturnSight:
    if isinstance(answer, Refusal):
        raise answer
    return await queries.see(tx, answer.id, person_id=_only(call))
