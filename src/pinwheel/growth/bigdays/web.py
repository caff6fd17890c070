"""Routes of big days, for programs: the calendar, the queue, deposits; the shop's own with scope
``bigdays``."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.growth.bigdays import actions, presale, queries, queueing
from pinwheel.growth.bigdays.model import (
    POLICY,
    AllKept,
    BadTicket,
    BeyondCapacity,
    BigDay,
    Deposit,
    DepositExists,
    DepositFixed,
    EventDeal,
    EventFixed,
    EventNotOpen,
    NewDeal,
    NewEvent,
    NewSlot,
    NoDeposit,
    NotForYou,
    NothingToSell,
    Slot,
)
from pinwheel.growth.bigdays.presale import Kept, NewDeposit
from pinwheel.growth.bigdays.queueing import Ticket
from pinwheel.growth.bigdays.report import Report, report
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import NotFound
from pinwheel.kernel.web import Answer, Call, Limit, get, post
from pinwheel.trade import inventory, promotions

SCOPE = "bigdays"
TAGS = ("Big days",)
ONE = "/api/v1/big-days/{event_id:uuid}"
Token = Annotated[str, Meta(max_length=120)]
Text = Annotated[str, Meta(min_length=1, max_length=200)]
Why = Annotated[str, Meta(max_length=300)]


class Left(msgspec.Struct, frozen=True):
    """A deal with what is sold or being paid, and left; from the ledger."""

    deal: EventDeal
    sold: int
    left: int
    waiting: int


class Shown(msgspec.Struct, frozen=True):
    """``phase`` is the server's; a page's clock opens nothing."""

    event: BigDay
    phase: str
    slots: list[Slot]
    deals: list[Left]
    policy: dict[str, dict[str, str]]


class Made(msgspec.Struct, frozen=True):
    id: UUID


class Reason(msgspec.Struct, forbid_unknown_fields=True):
    why: Why = ""


class Pieces(msgspec.Struct, forbid_unknown_fields=True):
    pieces: Annotated[int, Meta(ge=1, le=10**6)]


class QueueRequest(msgspec.Struct, forbid_unknown_fields=True):
    on: bool
    admit_per_minute: Annotated[int, Meta(ge=1, le=100_000)]
    why: Why = ""


class DepositRequest(msgspec.Struct, forbid_unknown_fields=True):
    provider: Text
    method: Text


@get("/api/v1/big-days", tags=TAGS)
async def list_events(tx: Tx) -> Answer[list[BigDay]]:
    """What runs or will."""
    return Answer(await queries.calendar(tx, shown_only=True))


@get(ONE, tags=TAGS)
async def see_event(call: Call, tx: Tx, event_id: UUID) -> Answer[Shown]:
    """One event with its slots and deals."""
    event = await queries.event(tx, event_id)
    if event.state == "draft" and not call.caller.may(SCOPE):
        raise NotFound(what="event")
    deals = await queries.deals(tx, event_id)
    standing = [await promotions.deal(tx, d.promotion_id) for d in deals[:100]]
    return Answer(
        Shown(
            event,
            event.phase(tx.now),
            await queries.slots(tx, event_id),
            [
                Left(d, s.sold, s.left, s.waiting)
                for d, s in zip(deals[:100], standing, strict=True)
            ],
            POLICY,
        )
    )


@post("/api/v1/big-days", scope=SCOPE, tags=TAGS, once=True, status=201)
async def make_event(tx: Tx, data: NewEvent) -> Answer[Made]:
    """A draft; slots and deals are added to it."""
    return Answer(Made(await actions.save_event(tx, data)), status=201)


@post(f"{ONE}/slots", scope=SCOPE, tags=TAGS, once=True, status=201, refusals=(EventFixed,))
async def make_slot(tx: Tx, event_id: UUID, data: NewSlot) -> Answer[Made]:
    """Add a time slot to a big day."""
    return Answer(Made(await actions.add_slot(tx, event_id, data)), status=201)


@post(f"{ONE}/deals", scope=SCOPE, tags=TAGS, once=True, status=201, refusals=(EventFixed,))
async def make_deal(tx: Tx, event_id: UUID, data: NewDeal) -> Answer[Made]:
    """The promotion's id."""
    return Answer(Made(await actions.add_deal(tx, event_id, data)), status=201)


@post(
    f"{ONE}/deals/{{promotion_id:uuid}}/pieces",
    scope=SCOPE,
    status=204,
    tags=TAGS,
    refusals=(EventFixed,),
)
async def change_pieces(tx: Tx, event_id: UUID, promotion_id: UUID, data: Pieces) -> Answer[None]:
    """Another quantity of a deal, while the event is a draft."""
    await actions.set_pieces(tx, event_id, promotion_id, data.pieces)
    return Answer(None)


@post(
    f"{ONE}/start",
    scope=SCOPE,
    tags=TAGS,
    refusals=(NothingToSell, EventNotOpen, inventory.TooFewToPutAside, BeyondCapacity),
)
async def start_event(tx: Tx, event_id: UUID, data: Reason) -> Answer[BigDay]:
    """Put it into the calendar. Beyond the stated capacity it takes a reason."""
    return Answer(await actions.start(tx, event_id, data.why))


@post(f"{ONE}/stop", scope=SCOPE, tags=TAGS)
async def stop_event(tx: Tx, event_id: UUID, data: Reason) -> Answer[BigDay]:
    """End it now; deposits go back."""
    return Answer(await actions.stop(tx, event_id, data.why))


@post(f"{ONE}/queue", scope=SCOPE, tags=TAGS)
async def switch_queue(tx: Tx, event_id: UUID, data: QueueRequest) -> Answer[BigDay]:
    """Open or close the queue, or change its rate."""
    return Answer(await actions.set_queue(tx, event_id, data.on, data.admit_per_minute, data.why))


@get(f"{ONE}/board", scope=SCOPE, tags=TAGS)
async def see_board(tx: Tx, event_id: UUID) -> Answer[queries.Board]:
    """Orders a minute, the queue, deposits, stock against what is promised."""
    return Answer(await queries.board(tx, event_id))


@get(f"{ONE}/report", scope=SCOPE, tags=TAGS)
async def see_report(tx: Tx, event_id: UUID) -> Answer[Report]:
    """What it brought and what it only moved, and by which method that is known."""
    return Answer(await report(tx, event_id))


@post(
    f"{ONE}/places",
    tags=TAGS,
    status=201,
    limits=(("queue", Limit(20, 3)),),
    refusals=(EventNotOpen, NotForYou),
)
async def take_place(call: Call, db: Database, event_id: UUID) -> Answer[Ticket]:
    """A place in the queue; again it is the same one. Too many at once: 503 with Retry-After."""
    person_id = call.caller.person()
    return Answer(await queueing.room_of(db).arrive(event_id, person_id), status=201)


@get("/api/v1/queue-tickets", tags=TAGS, refusals=(BadTicket,))
async def see_ticket(call: Call, db: Database, token: Token) -> Answer[Ticket]:
    """How a ticket stands, and when to look again. Its order takes the claim ``{"kind": "bigday",
    "id": place_id}``."""
    return Answer(await queueing.room_of(db).look(token, call.caller.person_id))


@post(
    "/api/v1/big-day-deals/{promotion_id:uuid}/deposits",
    tags=TAGS,
    status=201,
    limits=(("deposit", Limit(20, 30)),),
    refusals=(NoDeposit, DepositExists, AllKept, NotForYou),
)
async def make_deposit(
    call: Call, db: Database, promotion_id: UUID, data: DepositRequest
) -> Answer[Kept]:
    """Keep a piece. The balance is ordered with the claim ``{"kind": "bigday_presale", "id":
    deposit_id}``."""
    new = NewDeposit(
        promotion_id=promotion_id,
        person_id=call.caller.person(),
        provider=data.provider,
        method=data.method,
    )
    return Answer(await presale.pay_deposit(db, new, actor=call.caller.actor), status=201)


@get("/api/v1/deposits", tags=TAGS)
async def list_deposits(call: Call, tx: Tx) -> Answer[list[Deposit]]:
    """The caller's."""
    return Answer(await queries.deposits_of(tx, call.caller.person()))


@post("/api/v1/deposits/{deposit_id:uuid}/cancel", tags=TAGS, refusals=(DepositFixed,))
async def cancel_deposit(call: Call, tx: Tx, deposit_id: UUID) -> Answer[Deposit]:
    """Take it back, while its policy allows."""
    return Answer(await presale.cancel(tx, deposit_id, call.caller.person()))
