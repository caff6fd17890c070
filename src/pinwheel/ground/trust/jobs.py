"""What follows for trust from guests, erasures and the clock."""

from __future__ import annotations

from collections.abc import Sequence

from pinwheel.ground import identity
from pinwheel.ground.trust import noting, privacy
from pinwheel.ground.trust.model import (
    AppealOverdue,
    Because,
    Link,
    ordered_pair,
    seen_email,
)
from pinwheel.kernel.db import Tx
from pinwheel.kernel.events import after, during, every


@after(identity.GuestJoined)
async def join_guest(tx: Tx, events: Sequence[identity.GuestJoined]) -> None:
    """A guest signed in: guest and account are one person, whatever they showed."""
    await noting.know(tx, [i for e in events for i in (e.guest_id, e.person_id)])
    links = [
        Link(*ordered_pair(e.guest_id, e.person_id), 1.0, True, [Because("account", 1.0, 2)])
        for e in events
    ]
    await noting.connect(tx, links)


@after(identity.PersonRegistered)
async def note_mailbox(tx: Tx, events: Sequence[identity.PersonRegistered]) -> None:
    """A new account's mailbox: the same one under another spelling is the same person."""
    people = await identity.people(tx, [e.person_id for e in events])
    await noting.note(tx, [s for p in people.values() for s in seen_email(p.id, p.email or "")])


@during(identity.PersonErased)
async def forget_erased(tx: Tx, events: Sequence[identity.PersonErased]) -> None:
    """The traits go with the person; what their identity has used stays used."""
    await privacy.erase(tx, [e.person_id for e in events])


@after(identity.GuestsForgotten)
async def forget_guests(tx: Tx, events: Sequence[identity.GuestsForgotten]) -> None:
    await privacy.erase(tx, [i for e in events for i in e.person_ids])


@every(seconds=3600)
async def forget_old(tx: Tx) -> None:
    """Retention."""
    await privacy.forget_old(tx)


@every(seconds=900)
async def warn_of_overdue(tx: Tx) -> None:
    """An appeal nobody answered in time is told once, and stands first in the queue."""
    late = await tx.values(
        """
        update trust.appeal set warned_at = $2
         where cell = $1 and state = 'open' and due_at <= $2 and warned_at is null
        returning id
        """,
        tx.cell,
        tx.now,
    )
    tx.emit(*(AppealOverdue(appeal_id=i) for i in late))
