"""What follows: facts are followed, time is watched, rules are walked, the erased are forgotten."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from pinwheel.ground.identity import ConsentChanged, GuestsForgotten, PersonErased
from pinwheel.insight.audience import counting, rfm, sizing, valuing, walking
from pinwheel.insight.audience.model import FIRST, SegmentSaved, ValueDue
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.events import Event, after, during, every, outside

ROUNDS = 5


class WalkGoesOn(Event, frozen=True, kw_only=True):
    """The next stretch of a walk over everybody."""

    segment_id: uuid.UUID
    version: int
    after: uuid.UUID


@every(seconds=2)
async def follow(tx: Tx) -> None:
    for _ in range(ROUNDS):
        if await walking.follow(tx) < walking.FACTS_AT_ONCE:
            return


@every(seconds=5)
async def count_events(tx: Tx) -> None:
    await counting.count_events(tx)


@every(seconds=86_400)
async def forget_old_activity(tx: Tx) -> None:
    await counting.forget_old_activity(tx)


@during(ConsentChanged)
async def forget_withdrawn(tx: Tx, events: Sequence[ConsentChanged]) -> None:
    """Whoever withdraws from being counted is not counted any more, from this transaction on."""
    gone = [e.person_id for e in events if e.purpose == "analytics" and not e.is_granted]
    if gone:
        await counting.forget_activity(tx, gone)


@every(seconds=5)
async def look_again(tx: Tx) -> None:
    await walking.look_again(tx)


@every(seconds=60)
async def reckon_sizes(tx: Tx) -> None:
    await sizing.reckon(tx)


@after(SegmentSaved, WalkGoesOn)
async def walk(tx: Tx, events: Sequence[SegmentSaved | WalkGoesOn]) -> None:
    for event in events:
        start = event.after if isinstance(event, WalkGoesOn) else FIRST
        on = await walking.walk(tx, event.segment_id, event.version, start)
        if on is not None:
            rest = WalkGoesOn(segment_id=event.segment_id, version=event.version, after=on)
            tx.later(walk, rest, at=tx.now)


@during(PersonErased)
async def forget_erased(tx: Tx, events: Sequence[PersonErased]) -> None:
    """In the transaction of the erasure, under the writers' lock: nothing comes back after it."""
    await walking.forget(tx, [event.person_id for event in events])


@during(GuestsForgotten)
async def forget_guests(tx: Tx, events: Sequence[GuestsForgotten]) -> None:
    await walking.forget(tx, [one for event in events for one in event.person_ids])


@every(seconds=86_400)
async def score(tx: Tx) -> None:
    """RFM once a day, and then lifetime values."""
    await rfm.recompute(tx)
    tx.emit(ValueDue())


@outside(ValueDue, concurrency=1, lease_seconds=300, attempts=3)
async def value(db: Database, events: Sequence[ValueDue]) -> None:
    await valuing.reckon_values(db)
