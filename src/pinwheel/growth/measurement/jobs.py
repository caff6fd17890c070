"""What follows: buyers and their tree are counted, moves in the rocket reckoned, the erased
forgotten."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

from pinwheel.ground import identity
from pinwheel.growth.measurement import stepping, tree
from pinwheel.growth.measurement.model import RocketSaved
from pinwheel.kernel.db import Tx
from pinwheel.kernel.events import Event, after, during, every
from pinwheel.trade import orders

RECOUNT_SECONDS = 900
BACK = dt.timedelta(days=2)


class RocketWalk(Event, frozen=True, kw_only=True):
    """The next stretch of a walk over everybody."""

    version: int
    after: uuid.UUID


@every(seconds=RECOUNT_SECONDS)
async def recount(tx: Tx) -> None:
    """The tree, and the moves of those whose shares have come to something."""
    await tree.recount(tx)
    await stepping.move(tx, await stepping.touched_since(tx, tx.now - BACK))


@after(orders.OrderPlaced, orders.OrderCancelled)
async def move(tx: Tx, events: Sequence[orders.OrderPlaced | orders.OrderCancelled]) -> None:
    await stepping.move(tx, [e.person_id for e in events if e.person_id is not None])


@after(RocketSaved)
async def walk(tx: Tx, events: Sequence[RocketSaved]) -> None:
    for event in events:
        await _walk(tx, event.version, None)


@after(RocketWalk)
async def walk_on(tx: Tx, events: Sequence[RocketWalk]) -> None:
    for event in events:
        await _walk(tx, event.version, event.after)


async def _walk(tx: Tx, version: int, since: uuid.UUID | None) -> None:
    """Reckon a stretch of people anew; a newer version has a walk of its own."""
    if (await stepping.rocket(tx)).version != version:
        return
    people = await stepping.people_after(tx, since)
    await stepping.move(tx, people)
    if len(people) == stepping.PEOPLE_AT_ONCE:
        tx.emit(RocketWalk(version=version, after=people[-1]))


@during(identity.PersonErased)
async def forget(tx: Tx, events: Sequence[identity.PersonErased]) -> None:
    await tree.forget(tx, [e.person_id for e in events])
