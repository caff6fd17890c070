"""What follows: facts of the house are told as events, the inbox is unpacked, weeks come and go."""

from __future__ import annotations

import asyncpg
import msgspec

from pinwheel.ground import identity
from pinwheel.insight.tracking import exporting, linking, revenue
from pinwheel.insight.tracking.actions import record
from pinwheel.insight.tracking.model import KEPT_DAYS, QUARANTINED_DAYS, ServerEvent
from pinwheel.insight.tracking.unpacking import set_aside, unpack
from pinwheel.kernel.db import Tx
from pinwheel.kernel.events import during, every
from pinwheel.kernel.settings import Settings
from pinwheel.trade import orders, returns

STEPS_A_TICK = 4
_NAMES: dict[type, str] = {
    orders.OrderPlaced: "order_placed",
    orders.OrderCancelled: "order_cancelled",
    orders.LinesCancelled: "order_lines_cancelled",
    orders.OrderShipped: "order_shipped",
    orders.OrderDelivered: "order_delivered",
    returns.ReturnRequested: "return_requested",
    returns.ReturnRefunded: "return_refunded",
    identity.PersonRegistered: "person_registered",
}
_CARRIED = {"order_id", "return_id", "total_minor", "refund_minor", "currency", "market", "channel",
            "shipment_id"}  # fmt: skip
Fact = (
    orders.OrderPlaced
    | orders.OrderCancelled
    | orders.LinesCancelled
    | orders.OrderShipped
    | orders.OrderDelivered
    | returns.ReturnRequested
    | returns.ReturnRefunded
    | identity.PersonRegistered
)


@during(
    orders.OrderPlaced,
    orders.OrderCancelled,
    orders.LinesCancelled,
    orders.OrderShipped,
    orders.OrderDelivered,
    returns.ReturnRequested,
    returns.ReturnRefunded,
    identity.PersonRegistered,
)
async def tell_facts(tx: Tx, events: list[Fact]) -> None:
    """Each fact once, in its own transaction. One statement for all of them."""
    told = []
    for event in events:
        said = msgspec.structs.asdict(event)
        told.append(
            ServerEvent(
                name=_NAMES[type(event)],
                person_id=said.get("person_id"),
                properties={k: v for k, v in said.items() if k in _CARRIED},
            )
        )
    await record(tx, told)


@during(
    orders.OrderShipped,
    orders.OrderCancelled,
    orders.LinesCancelled,
    orders.LinesReturned,
    orders.OrderDelivered,
    returns.ReturnRefunded,
    returns.ReturnClosed,
)
async def book_revenue(
    tx: Tx,
    events: list[
        orders.OrderShipped
        | orders.OrderCancelled
        | orders.LinesCancelled
        | orders.LinesReturned
        | orders.OrderDelivered
        | returns.ReturnRefunded
        | returns.ReturnClosed
    ],
) -> None:
    """What the ledger booked in this transaction is told in this transaction."""
    await revenue.book(tx, [event.order_id for event in events])


@during(identity.ConsentChanged)
async def keep_to_consent(tx: Tx, events: list[identity.ConsentChanged]) -> None:
    for event in events:
        if event.purpose == "analytics" and event.channel == "web":
            await linking.person_said(tx, event.person_id, event.is_granted)


@during(identity.PersonErased)
async def forget_person(tx: Tx, events: list[identity.PersonErased]) -> None:
    await linking.forget(tx, [event.person_id for event in events])


@every(seconds=1)
async def unpack_inbox(tx: Tx) -> None:
    """Bring what was taken in where it can be asked for. A row that can't be stored is set aside,
    so that it holds up nobody."""
    for _ in range(STEPS_A_TICK):
        try:
            async with tx.savepoint():
                moved = await unpack(tx)
        except asyncpg.DataError:
            moved = await _one_row(tx)
        if not moved:
            return


async def _one_row(tx: Tx) -> int:
    try:
        async with tx.savepoint():
            return await unpack(tx, most=1)
    except asyncpg.DataError as error:
        return await set_aside(tx, str(error))


@every(seconds=6 * 3600)
async def open_weeks(tx: Tx) -> None:
    """This week's partition and the next two."""
    for days in (0, 7, 14):
        await tx.run("select tracking.open_week($1)", tx.later_than(days * 86_400))


@every(seconds=3600)
async def let_go(tx: Tx) -> None:
    """What has served its time goes; a week goes out as a file first, one an hour."""
    await tx.run(
        """
        with bad as (
          delete from tracking.quarantine where cell = $1 and received_at < $2
        ), suspect as (
          delete from tracking.suspect where cell = $1 and until_at < $3
        ), volume as (
          delete from tracking.volume where cell = $1 and minute_at < $4
        )
        delete from tracking.visitor where cell = $1 and last_seen_at < $4
        """,
        tx.cell,
        tx.later_than(-QUARANTINED_DAYS * 86_400),
        tx.now,
        tx.later_than(-KEPT_DAYS * 86_400),
    )
    settings = tx.db.given.get(Settings)
    weeks = await exporting.old_weeks(tx)
    if weeks and settings is not None:
        await exporting.export_week(tx, weeks[0], settings.data_dir / "tracking")
