"""What follows: the erased are gone, guesses go with consent, traits with their time."""

from __future__ import annotations

from pinwheel.ground import identity
from pinwheel.insight.profiles import actions
from pinwheel.kernel.db import Tx
from pinwheel.kernel.events import during, every


@during(identity.PersonErased)
async def forget_person(tx: Tx, events: list[identity.PersonErased]) -> None:
    await actions.forget(tx, [event.person_id for event in events])


@during(identity.GuestsForgotten)
async def forget_guests(tx: Tx, events: list[identity.GuestsForgotten]) -> None:
    await actions.forget(tx, [person_id for event in events for person_id in event.person_ids])


@during(identity.ConsentChanged)
async def forget_guesses(tx: Tx, events: list[identity.ConsentChanged]) -> None:
    gone = [
        e.person_id
        for e in events
        if (e.purpose, e.channel, e.is_granted) == ("personalisation", "web", False)
    ]
    if gone:
        await actions.forget_guesses(tx, gone)


@every(seconds=3600)
async def forget_expired(tx: Tx) -> None:
    await actions.forget_expired(tx, tx.now)
