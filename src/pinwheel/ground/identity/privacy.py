"""Consent with proof, the right to a copy, the right to be forgotten, and who looked at what.

Erasing makes a person nameless and keeps the books: an order or a ledger entry refers to an id that
leads to nobody any more.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import msgspec

from pinwheel.ground.identity import queries
from pinwheel.ground.identity.accounts import end_other_sessions, must_not_be_last
from pinwheel.ground.identity.model import (
    Channel,
    ConsentChanged,
    PersonErased,
    Purpose,
)
from pinwheel.kernel.db import Tx

Contribution = tuple[str, Callable[[Tx, uuid.UUID], Awaitable[Any]]]
"""What a module adds to a person's copy: the name of its part, and a question (tx, person id)."""


async def record_consent(
    tx: Tx,
    person_id: uuid.UUID,
    purpose: Purpose,
    channel: Channel,
    is_granted: bool,
    proof: dict[str, Any],
) -> None:
    """Grant or withdraw. ``proof`` says where it was said and to which words; the row is never
    changed."""
    await tx.run(
        """
        insert into identity.consent (cell, id, person_id, purpose, channel, is_granted, at, proof)
        values ($1, $2, $3, $4, $5, $6, $7, $8)
        """,
        tx.cell,
        tx.new_id(),
        person_id,
        purpose,
        channel,
        is_granted,
        tx.now,
        proof,
    )
    tx.emit(
        ConsentChanged(person_id=person_id, purpose=purpose, channel=channel, is_granted=is_granted)
    )


async def record_access(tx: Tx, person_ids: Sequence[uuid.UUID], what: str, reason: str) -> None:
    """That ``tx.actor`` looked at or changed ``what`` of these people."""
    await tx.run(
        """
        insert into identity.access (cell, id, person_id, actor, what, reason, request_id, at)
        select $1, a.id, a.person_id, $2, $3, $4, $5, $6
          from unnest($7::uuid[], $8::uuid[]) as a(id, person_id)
        """,
        tx.cell,
        tx.actor,
        what,
        reason,
        tx.request_id,
        tx.now,
        [tx.new_id() for _ in person_ids],
        list(person_ids),
    )


class AccessLine(msgspec.Struct, frozen=True):
    at: dt.datetime
    actor: str
    what: str
    reason: str


async def access_to(tx: Tx, person_id: uuid.UUID) -> list[AccessLine]:
    """Who looked at this person's data, the newest first."""
    return await tx.rows(
        AccessLine,
        """
        select at, actor, what, reason from identity.access
         where cell = $1 and person_id = $2 order by id desc limit 500
        """,
        tx.cell,
        person_id,
    )


async def export_person(
    tx: Tx,
    person_id: uuid.UUID,
    contributions: Sequence[Contribution] = (),
    reason: str = "right to a copy",
) -> dict[str, Any]:
    """Everything the house knows of somebody, as plain JSON values; recorded with the reason."""
    parts: dict[str, Any] = {
        "person": await queries.person_of(tx, person_id),
        "addresses": await queries.addresses_of(tx, person_id),
        "sessions": await queries.sessions_of(tx, person_id),
        "api_keys": await queries.keys_of(tx, person_id),
        "consents": await queries.consent_history(tx, person_id),
        "access_to_your_data": await access_to(tx, person_id),
    }
    for name, contribute in contributions:
        parts[name] = await contribute(tx, person_id)
    await record_access(tx, [person_id], "export", reason)
    exported: dict[str, Any] = msgspec.to_builtins(parts)
    return exported


async def erase_person(tx: Tx, person_id: uuid.UUID, reason: str = "right to be forgotten") -> None:
    """Make somebody nameless, here and (by the event, in this transaction) everywhere; recorded
    with the reason. Safe to repeat.

    ``LastOperator`` when nobody would be left to run the shop.
    """
    await must_not_be_last(tx, person_id)
    await end_other_sessions(tx, person_id, None)
    await tx.run(
        """
        with code as (
          delete from identity.code c using identity.person p
           where p.cell = $1 and p.id = $2 and c.cell = p.cell and c.email_hash = p.email_hash
        ), address as (
          delete from identity.address where cell = $1 and person_id = $2
        ), key as (
          update identity.api_key set revoked_at = coalesce(revoked_at, $3), label = ''
           where cell = $1 and person_id = $2
        )
        update identity.person
           set email_hash = null, email = null, name = null, password_hash = null, scopes = '{}',
               language = null, is_kept = true, erased_at = coalesce(erased_at, $3)
         where cell = $1 and id = $2
        """,
        tx.cell,
        person_id,
        tx.now,
    )
    await record_access(tx, [person_id], "erase", reason)
    tx.emit(PersonErased(person_id=person_id))


class NewBreach(msgspec.Struct, frozen=True):
    """A breach of personal data: GDPR article 33 and PIPL article 57 want it written down."""

    found_at: dt.datetime
    what: str
    persons_affected: int
    measures: str
    authority_told_at: dt.datetime | None = None
    persons_told_at: dt.datetime | None = None


async def record_breach(tx: Tx, new: NewBreach) -> uuid.UUID:
    breach_id = tx.new_id()
    await tx.run(
        """
        insert into identity.breach (cell, id, found_at, what, persons_affected, measures,
               authority_told_at, persons_told_at, recorded_by, recorded_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        """,
        tx.cell,
        breach_id,
        new.found_at,
        new.what,
        new.persons_affected,
        new.measures,
        new.authority_told_at,
        new.persons_told_at,
        tx.actor,
        tx.now,
    )
    return breach_id
