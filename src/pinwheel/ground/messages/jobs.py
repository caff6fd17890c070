"""What follows: letters are handed over, sign-in codes become letters, choices of the account are
kept to, and what has served is forgotten."""

from __future__ import annotations

from collections.abc import Sequence

from pinwheel.ground import identity
from pinwheel.ground.identity import CodeIssued, ConsentChanged, PersonErased
from pinwheel.ground.messages import privacy
from pinwheel.ground.messages.actions import send
from pinwheel.ground.messages.consent import LETTERS, hashes_of, subscribe, withdraw
from pinwheel.ground.messages.delivering import deliver_due
from pinwheel.ground.messages.model import MessagesDue, NewMessage
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import RateLimited
from pinwheel.kernel.events import during, every, outside

CODE_LIVES_SECONDS = 600


@outside(MessagesDue, concurrency=2, lease_seconds=60)
async def deliver_messages(db: Database, events: Sequence[MessagesDue]) -> None:
    """Everything that is due, whoever wrote it."""
    await deliver_due(db)


@every(seconds=5)
async def see_to_delivery(tx: Tx) -> None:
    """Whatever is due has a job: put off till now, or left behind by a process that died. The
    job's key holds the minute, so that a dead one does not stand in the next one's way."""
    due = await tx.value(
        """
        select exists (select from messages.message
                        where cell = $1 and state = 'waiting' and next_at <= $2
                          and (leased_until is null or leased_until < $2))
            or exists (select from messages.message
                        where cell = $1 and state = 'handing' and leased_until < $2)
        """,
        tx.cell,
        tx.now,
    )
    if due:
        tx.later(deliver_messages, MessagesDue(), at=tx.now, key=f"{tx.now:%Y%m%d%H%M}")


@during(CodeIssued)
async def send_codes(tx: Tx, events: Sequence[CodeIssued]) -> None:
    """In the transaction that made the code: there is never a code without its letter."""
    found = await identity.letters(tx, [e.letter_id for e in events])
    await send(
        tx,
        [
            NewMessage(
                scope="identity.code",
                key=str(one.id),
                purpose="transactional",
                template="code",
                letters=LETTERS,
                email=one.email,
                language=one.language,
                facts={"body": one.body},
                lives_seconds=CODE_LIVES_SECONDS,
            )
            for one in found
        ],
    )


@during(ConsentChanged)
async def keep_to_choices(tx: Tx, events: Sequence[ConsentChanged]) -> None:
    """A no in the account is a no to every address of the person, at once; a yes asks the address
    itself."""
    for event in events:
        if (event.purpose, event.channel) != ("marketing", "email"):
            continue
        if not event.is_granted:
            for address_hash in await hashes_of(tx, event.person_id):
                await withdraw(tx, address_hash, source="the account", told=True)
            continue
        person = (await identity.people(tx, [event.person_id])).get(event.person_id)
        if person is None or person.email is None:
            continue
        try:
            await subscribe(
                tx,
                person.email,
                language=person.language or "zh-CN",
                wording="News and offers by e-mail",
                source="the account",
                person_id=person.id,
            )
        except RateLimited:
            continue  # the letters that went out today still work


@during(PersonErased)
async def forget_readers(tx: Tx, events: Sequence[PersonErased]) -> None:
    await privacy.forget(tx, [event.person_id for event in events])


@every(seconds=3600)
async def forget_words(tx: Tx) -> None:
    await privacy.forget_words(tx)
