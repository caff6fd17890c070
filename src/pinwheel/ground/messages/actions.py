"""Writing letters: many at once, each once, in the transaction of the fact they tell."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pinwheel.ground import identity
from pinwheel.ground.messages import post
from pinwheel.ground.messages.model import (
    MessagesDue,
    NewMessage,
    NoAddress,
    NotSubscribed,
    Queued,
    Standing,
    Suppressed,
    UnknownTemplate,
    domain_of,
)
from pinwheel.ground.messages.staff_letters import Stored, stored
from pinwheel.ground.messages.wording import Words, filled, one_line
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid, Refusal
from pinwheel.kernel.words import language_of

SEALED_EMAIL = "messages.address.email"
SEALED_CONTENT = "messages.message.content"


def hash_of(db: Database, email: str) -> bytes:
    """Under which an address is known; ``email`` in its normal form."""
    return db.vault.blind(email, "messages.address")


class _Row(msgspec.Struct, frozen=True):
    new: NewMessage
    id: uuid.UUID
    standing: Standing
    language: str
    content: str


async def send(tx: Tx, new: Sequence[NewMessage]) -> list[Queued | Refusal]:
    """Have letters sent once this transaction has committed; one answer for each.

    ``NoAddress``, ``NotSubscribed`` or ``Suppressed`` (marketing without consent, or to an address
    that said no or does not exist), ``UnknownTemplate``. A repeat of (scope, key) is the first
    one's message. 4 statements, whatever their number; one more for the staff's own letters."""
    if not new:
        return []
    persons = list({n.person_id for n in new if n.person_id is not None and n.email is None})
    people = await identity.people(tx, persons) if persons else {}
    templates = await stored(tx, [(n.template, n.version) for n in new if n.letters is None])
    emails = [_email_of(one, people) for one in new]
    known = await known_addresses(
        tx, [(e, n.person_id) for e, n in zip(emails, new, strict=True) if e is not None]
    )
    answers: list[Queued | Refusal] = []
    rows: list[_Row] = []
    for one, email in zip(new, emails, strict=True):
        standing = None if email is None else known[hash_of(tx.db, email)]
        refusal = _unfit(one, standing)
        if refusal is None and one.letters is None and (one.template, one.version) not in templates:
            refusal = UnknownTemplate(template=one.template)
        if refusal is not None or standing is None:
            answers.append(refusal or NoAddress())
            continue
        row = _row(tx, one, standing, people, templates)
        rows.append(row)
        answers.append(Queued(row.id, fresh=True))
    kept = await _write(tx, rows)
    return [
        answer if isinstance(answer, Refusal) else kept[(one.scope, one.key)]
        for one, answer in zip(new, answers, strict=True)
    ]


def _email_of(one: NewMessage, people: Mapping[uuid.UUID, identity.Person]) -> str | None:
    if one.email is not None:
        try:
            return identity.normal_email(one.email)
        except Invalid:
            return None  # refused as an address nobody has, beside neighbours that are sent
    person = people.get(one.person_id) if one.person_id else None
    return person.email if person else None


def _unfit(one: NewMessage, standing: Standing | None) -> Refusal | None:
    if standing is None:
        return NoAddress()
    if one.purpose == "transactional":
        return Suppressed(reason="bounce") if "bounce" in standing.suppressed else None
    if standing.suppressed:
        return Suppressed(reason=standing.suppressed[0])
    return None if standing.subscribed_at is not None else NotSubscribed()


def _row(
    tx: Tx,
    one: NewMessage,
    standing: Standing,
    people: Mapping[uuid.UUID, identity.Person],
    templates: Mapping[tuple[str, int | None], Stored],
) -> _Row:
    person = people.get(one.person_id) if one.person_id else None
    house = post.of(tx.db)
    language = (
        language_of(one.language)
        or language_of(standing.language)
        or language_of(person.language if person else None)
        or house.language
    )
    facts: dict[str, Any] = {"name": (person.name if person else None) or "", **one.facts}
    if one.letters is not None:
        said = one.letters.words(one.template, language, facts, standing.zone or house.zone)
    else:
        of = templates[(one.template, one.version)]
        said = Words(
            one_line(filled(of.subject[language], facts)), filled(of.body[language], facts)
        )
    content = tx.db.vault.seal(msgspec.json.encode(said).decode(), SEALED_CONTENT)
    return _Row(one, tx.new_id(), standing, language, content)


async def _write(tx: Tx, rows: Sequence[_Row]) -> dict[tuple[str, str], Queued]:
    if not rows:
        return {}
    due = [max(r.new.not_before or tx.now, tx.now) for r in rows]
    fresh = await tx.values(
        """
        insert into messages.message (cell, id, scope, key, address_hash, person_id, purpose,
               channel, template, language, content, state, next_at, deadline_at, created_at)
        select $1, m.id, m.scope, m.key, m.hash, m.person_id, m.purpose, 'email', m.template,
               m.language, m.content, 'waiting', m.due, m.due + make_interval(secs => m.lives), $2
          from unnest($3::uuid[], $4::text[], $5::text[], $6::bytea[], $7::uuid[], $8::text[],
                      $9::text[], $10::text[], $11::text[], $12::timestamptz[], $13::int[])
               as m(id, scope, key, hash, person_id, purpose, template, language, content, due,
                    lives)
        on conflict (cell, scope, key) do nothing returning id
        """,
        tx.cell,
        tx.now,
        [r.id for r in rows],
        [r.new.scope for r in rows],
        [r.new.key for r in rows],
        [r.standing.hash for r in rows],
        [r.new.person_id for r in rows],
        [r.new.purpose for r in rows],
        [r.new.template for r in rows],
        [r.language for r in rows],
        [r.content for r in rows],
        due,
        [r.new.lives_seconds for r in rows],
    )
    if fresh:
        wake(tx)
    made = set(fresh)
    kept = {(r.new.scope, r.new.key): Queued(r.id, True) for r in rows if r.id in made}
    if len(made) < len(rows):
        repeats = [r.new for r in rows if r.id not in made]
        kept |= {k: q for k, q in (await _before(tx, repeats)).items() if k not in kept}
    return kept


def wake(tx: Tx) -> None:
    """Have what is due handed over as soon as this has committed."""
    tx.emit(MessagesDue())


class _Before(msgspec.Struct, frozen=True):
    scope: str
    key: str
    id: uuid.UUID


async def _before(tx: Tx, repeats: Sequence[NewMessage]) -> dict[tuple[str, str], Queued]:
    found = await tx.rows(
        _Before,
        """
        select m.scope, m.key, m.id from messages.message m
          join unnest($2::text[], $3::text[]) as a(scope, key)
            on m.cell = $1 and m.scope = a.scope and m.key = a.key
        """,
        tx.cell,
        [r.scope for r in repeats],
        [r.key for r in repeats],
    )
    return {(f.scope, f.key): Queued(f.id, False) for f in found}


async def known_addresses(
    tx: Tx, emails: Sequence[tuple[str, uuid.UUID | None]]
) -> dict[bytes, Standing]:
    """The standing of addresses by hash; a new one is written down. 2 statements."""
    owners: dict[bytes, tuple[str, uuid.UUID | None]] = {}
    for email, person_id in emails:
        found = owners.get(hash_of(tx.db, email))
        owners[hash_of(tx.db, email)] = (email, person_id or (found[1] if found else None))
    if not owners:
        return {}
    hashes = sorted(owners)  # two batches lock in the same order
    await tx.run(
        """
        insert into messages.address as a (cell, hash, email, domain, person_id)
        select $1, n.hash, n.email, n.domain, n.person_id
          from unnest($2::bytea[], $3::text[], $4::text[], $5::uuid[])
               as n(hash, email, domain, person_id)
        on conflict (cell, hash) do update
           set person_id = coalesce(excluded.person_id, a.person_id),
               email = coalesce(a.email, excluded.email), domain = excluded.domain
         where a.email is null
            or (excluded.person_id is not null and a.person_id is distinct from excluded.person_id)
        """,
        tx.cell,
        hashes,
        [tx.db.vault.seal(owners[h][0], SEALED_EMAIL) for h in hashes],
        [domain_of(owners[h][0]) for h in hashes],
        [owners[h][1] for h in hashes],
    )
    return {s.hash: s for s in await standings(tx, hashes)}


async def standings(tx: Tx, hashes: Sequence[bytes]) -> list[Standing]:
    """How these addresses may be written to; unknown ones are left out. ``email`` is sealed."""
    return await tx.rows(
        Standing,
        """
        select a.hash, a.email, a.language, a.zone, a.subscribed_at,
               array(select s.reason from messages.suppression s
                      where s.cell = a.cell and s.address_hash = a.hash and s.lifted_at is null
                      order by s.reason) as suppressed
          from messages.address a where a.cell = $1 and a.hash = any($2::bytea[])
        """,
        tx.cell,
        list(hashes),
    )
