"""Questions about letters, for the desk and for whoever they went to."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from pinwheel.ground.messages.actions import SEALED_CONTENT, SEALED_EMAIL, hash_of, standings
from pinwheel.ground.messages.model import Purpose, Standing, State
from pinwheel.ground.messages.wording import Words
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import NotFound
from pinwheel.kernel.listing import Page, after, page
from pinwheel.kernel.queries import Behind


class LetterLine(msgspec.Struct, frozen=True, kw_only=True):
    """One letter in the mailbox. ``subject`` None: its words are forgotten."""

    id: uuid.UUID
    to: str | None
    person_id: uuid.UUID | None
    purpose: Purpose
    template: str
    language: str
    state: State
    note: str
    subject: str | None
    created_at: dt.datetime
    next_at: dt.datetime
    ended_at: dt.datetime | None


class LetterSight(msgspec.Struct, frozen=True, kw_only=True):
    line: LetterLine
    address_hash: bytes
    attempts: int
    text: str | None


class _Line(msgspec.Struct, frozen=True):
    id: uuid.UUID
    email: str | None
    person_id: uuid.UUID | None
    purpose: Purpose
    template: str
    language: str
    state: State
    note: str
    content: str | None
    created_at: dt.datetime
    next_at: dt.datetime
    ended_at: dt.datetime | None
    address_hash: bytes
    attempts: int


async def letters(
    tx: Tx,
    *,
    state: str | None = None,
    purpose: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> Page[LetterLine]:
    """Letters, the newest first. Staff only: they carry addresses and subjects."""
    before = after(cursor, uuid.UUID)
    rows = await tx.rows(
        _Line,
        """
        select m.id, a.email, m.person_id, m.purpose, m.template, m.language, m.state, m.note,
               m.content, m.created_at, m.next_at, m.ended_at, m.address_hash, m.attempts
          from messages.message m
          join messages.address a on a.cell = m.cell and a.hash = m.address_hash
         where m.cell = $1 and ($2::text is null or m.state = $2)
           and ($3::text is null or m.purpose = $3) and ($4::uuid is null or m.id < $4)
         order by m.id desc limit $5
        """,
        tx.cell,
        state,
        purpose,
        before[0] if before else None,
        limit + 1,
    )
    found = page(rows, limit, lambda r: (r.id,))
    return Page([_opened(tx, r) for r in found.items], found.next)


async def letter(tx: Tx, message_id: uuid.UUID) -> LetterSight:
    """One letter with its words, for staff; else ``NotFound``."""
    row = await tx.row(
        _Line,
        """
        select m.id, a.email, m.person_id, m.purpose, m.template, m.language, m.state, m.note,
               m.content, m.created_at, m.next_at, m.ended_at, m.address_hash, m.attempts
          from messages.message m
          join messages.address a on a.cell = m.cell and a.hash = m.address_hash
         where m.cell = $1 and m.id = $2
        """,
        tx.cell,
        message_id,
    )
    if row is None:
        raise NotFound(what="letter")
    said = words_in(tx, row.content)
    return LetterSight(
        line=_opened(tx, row),
        address_hash=row.address_hash,
        attempts=row.attempts,
        text=said.text if said else None,
    )


def words_in(tx: Tx, content: str | None) -> Words | None:
    if content is None:
        return None
    return msgspec.json.decode(tx.db.vault.open(content, SEALED_CONTENT), type=Words)


def _opened(tx: Tx, row: _Line) -> LetterLine:
    said = words_in(tx, row.content)
    return LetterLine(
        id=row.id,
        to=None if row.email is None else tx.db.vault.open(row.email, SEALED_EMAIL),
        person_id=row.person_id,
        purpose=row.purpose,
        template=row.template,
        language=row.language,
        state=row.state,
        note=row.note,
        subject=said.subject if said else None,
        created_at=row.created_at,
        next_at=row.next_at,
        ended_at=row.ended_at,
    )


class Count(msgspec.Struct, frozen=True):
    state: State
    letters: int


async def counts(tx: Tx, since: dt.datetime) -> list[Count]:
    """How many letters since then are in which state."""
    return await tx.rows(
        Count,
        """
        select state, count(*) as letters from messages.message
         where cell = $1 and created_at >= $2 group by state order by state
        """,
        tx.cell,
        since,
    )


async def standing_of(tx: Tx, email: str) -> Standing | None:
    """How an address (in its normal form) may be written to; None for one never written to."""
    found = await standings(tx, [hash_of(tx.db, email)])
    return found[0] if found else None


async def open_to_marketing(tx: Tx, person_ids: Sequence[uuid.UUID]) -> set[uuid.UUID]:
    """Which of these people have an address that is subscribed and not suppressed. 1 statement."""
    return set(
        await tx.values(
            """
            select distinct a.person_id from messages.address a
             where a.cell = $1 and a.person_id = any($2::uuid[]) and a.subscribed_at is not null
               and not exists (select from messages.suppression s
                                where s.cell = a.cell and s.address_hash = a.hash
                                  and s.lifted_at is null)
            """,
            tx.cell,
            list(person_ids),
        )
    )


class _Own(msgspec.Struct, frozen=True):
    part: str
    at: dt.datetime
    what: str
    state: str
    content: str | None


async def export(tx: Tx, person_id: uuid.UUID) -> Any:
    """Every letter to a person and what they agreed to, for their copy."""
    found = await tx.rows(
        _Own,
        """
        select 'letter' as part, created_at as at, template as what, state, content
          from messages.message where cell = $1 and person_id = $2
        union all
        select 'consent', at, wording, step, null
          from messages.consent where cell = $1 and person_id = $2
        union all
        select 'no more letters', s.at, s.source, s.reason, null
          from messages.suppression s
          join messages.address a on a.cell = s.cell and a.hash = s.address_hash
         where a.cell = $1 and a.person_id = $2
        order by at
        """,
        tx.cell,
        person_id,
    )
    return [
        {
            "part": one.part,
            "at": one.at,
            "what": one.what,
            "state": one.state,
            "words": words_in(tx, one.content),
        }
        for one in found
    ]


class ConsentLine(msgspec.Struct, frozen=True):
    step: str
    at: dt.datetime
    wording: str
    language: str
    source: str
    actor: str


async def consent_ledger(tx: Tx, address_hash: bytes) -> list[ConsentLine]:
    """Who said what about one address, the oldest first."""
    return await tx.rows(
        ConsentLine,
        """
        select step, at, wording, language, source, actor from messages.consent
         where cell = $1 and address_hash = $2 order by position limit 500
        """,
        tx.cell,
        address_hash,
    )


async def behind(tx: Tx) -> list[Behind]:
    """Letters that are due and not handed over, those whose process went away while it did, and
    those given up within a day. 1 statement."""
    return await tx.rows(
        Behind,
        """
        select 'letters_due' as kind, count(*) as count, min(next_at) as since
          from messages.message where cell = $1 and state = 'waiting' and next_at <= $2
        union all
        select 'letters_dropped', count(*), min(leased_until) from messages.message
         where cell = $1 and state = 'handing' and leased_until <= $2
        union all
        select 'letters_failed', count(*), min(created_at) from messages.message
         where cell = $1 and state in ('dead', 'unsure')
           and created_at > $2::timestamptz - interval '1 day'
        """,
        tx.cell,
        tx.now,
    )
