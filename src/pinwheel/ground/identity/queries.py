"""Questions about people, their addresses, sessions, keys and consents."""

from __future__ import annotations

import datetime as dt
import uuid

import msgspec

from pinwheel.ground.identity import sealed
from pinwheel.ground.identity.model import (
    Address,
    Consent,
    DataMapLine,
    KeyLine,
    Kind,
    Letter,
    Person,
    SessionLine,
)
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import NotFound
from pinwheel.kernel.listing import Page, after, page


class _Person(msgspec.Struct, frozen=True):
    id: uuid.UUID
    kind: Kind
    email: str | None
    name: str | None
    language: str | None
    created_at: dt.datetime


async def people(tx: Tx, person_ids: list[uuid.UUID]) -> dict[uuid.UUID, Person]:
    """People by id; erased ones have neither name nor address."""
    found = await tx.rows(
        _Person,
        """
        select id, kind, email, name, language, created_at from identity.person
         where cell = $1 and id = any($2::uuid[])
        """,
        tx.cell,
        person_ids,
    )
    return {p.id: _opened(tx, p) for p in found}


def _opened(tx: Tx, p: _Person) -> Person:
    email = sealed.opened(tx.db, "person.email", p.email)
    name = sealed.opened(tx.db, "person.name", p.name)
    return Person(p.id, p.kind, email, name, p.language, p.created_at)


async def person_of(tx: Tx, person_id: uuid.UUID) -> Person:
    found = await people(tx, [person_id])
    if person_id not in found:
        raise NotFound(what="person")
    return found[person_id]


async def people_page(
    tx: Tx, *, kind: str | None = None, cursor: str | None = None, limit: int = 50
) -> Page[Person]:
    """For staff: everybody with an account, the newest first; of one kind, or all but guests."""
    before = after(cursor, uuid.UUID)
    rows = await tx.rows(
        _Person,
        """
        select id, kind, email, name, language, created_at from identity.person
         where cell = $1 and kind = any($2::text[]) and erased_at is null
           and ($3::uuid is null or id < $3)
         order by id desc limit $4
        """,
        tx.cell,
        [kind] if kind else ["buyer", "clerk", "operator"],
        before[0] if before else None,
        limit + 1,
    )
    found = page(rows, limit, lambda r: (r.id,))
    return Page([_opened(tx, p) for p in found.items], found.next)


async def person_with_email(tx: Tx, email: str) -> Person | None:
    """For staff: whoever has this address. Record the look with ``record_access``."""
    found = await tx.row(
        _Person,
        """
        select id, kind, email, name, language, created_at from identity.person
         where cell = $1 and email_hash = $2
        """,
        tx.cell,
        sealed.email_hash_of(tx.db, email.strip().lower()),
    )
    return _opened(tx, found) if found else None


class _Address(msgspec.Struct, frozen=True):
    id: uuid.UUID
    recipient_name: str
    phone: str
    country: str
    region: str
    city: str
    postal_code: str
    lines: str
    is_default: bool


async def addresses_of(tx: Tx, person_id: uuid.UUID) -> list[Address]:
    """A person's addresses, the default one first."""
    found = await tx.rows(
        _Address,
        """
        select id, recipient_name, phone, country, region, city, postal_code, lines, is_default
          from identity.address where cell = $1 and person_id = $2
         order by is_default desc, created_at, id
        """,
        tx.cell,
        person_id,
    )
    return [_opened_address(tx, a) for a in found]


async def address_of(tx: Tx, person_id: uuid.UUID, address_id: uuid.UUID) -> Address:
    """One of this person's addresses; ``NotFound`` for anybody else's."""
    found = await tx.the(
        "address",
        _Address,
        """
        select id, recipient_name, phone, country, region, city, postal_code, lines, is_default
          from identity.address where cell = $1 and person_id = $2 and id = $3
        """,
        tx.cell,
        person_id,
        address_id,
    )
    return _opened_address(tx, found)


def _opened_address(tx: Tx, a: _Address) -> Address:
    line1, _, line2 = (sealed.opened(tx.db, "address.lines", a.lines) or "").partition("\n")
    return Address(
        id=a.id,
        recipient_name=sealed.opened(tx.db, "address.recipient_name", a.recipient_name) or "",
        phone=sealed.opened(tx.db, "address.phone", a.phone) or "",
        country=a.country,
        region=a.region,
        city=a.city,
        postal_code=a.postal_code,
        line1=line1,
        line2=line2,
        is_default=a.is_default,
    )


async def sessions_of(tx: Tx, person_id: uuid.UUID) -> list[SessionLine]:
    return await tx.rows(
        SessionLine,
        """
        select id, agent, created_at, seen_at from identity.session
         where cell = $1 and person_id = $2 and expires_at > $3 order by seen_at desc, id limit 200
        """,
        tx.cell,
        person_id,
        tx.now,
    )


async def keys_of(tx: Tx, person_id: uuid.UUID) -> list[KeyLine]:
    return await tx.rows(
        KeyLine,
        """
        select id, label, prefix, scopes, created_at, used_at, revoked_at from identity.api_key
         where cell = $1 and person_id = $2 order by id limit 200
        """,
        tx.cell,
        person_id,
    )


async def consents_of(tx: Tx, person_id: uuid.UUID) -> list[Consent]:
    """What counts today: the newest word on each purpose and channel."""
    return await tx.rows(
        Consent,
        """
        select distinct on (purpose, channel) purpose, channel, is_granted, at, proof
          from identity.consent where cell = $1 and person_id = $2
         order by purpose, channel, position desc
        """,
        tx.cell,
        person_id,
    )


async def consent_history(tx: Tx, person_id: uuid.UUID) -> list[Consent]:
    return await tx.rows(
        Consent,
        """
        select purpose, channel, is_granted, at, proof
          from identity.consent where cell = $1 and person_id = $2 order by position
        """,
        tx.cell,
        person_id,
    )


async def with_consent(
    tx: Tx, person_ids: list[uuid.UUID], purpose: str, channel: str
) -> set[uuid.UUID]:
    """Who of these said yes, last. Silence is a no."""
    return set(
        await tx.values(
            """
            select person_id from (
              select distinct on (person_id) person_id, is_granted from identity.consent
               where cell = $1 and person_id = any($2::uuid[]) and purpose = $3 and channel = $4
               order by person_id, position desc) last
             where is_granted
            """,
            tx.cell,
            person_ids,
            purpose,
            channel,
        )
    )


class _Letter(msgspec.Struct, frozen=True):
    id: uuid.UUID
    email: str
    body: str
    language: str
    created_at: dt.datetime


async def letters(tx: Tx, letter_ids: list[uuid.UUID] | None = None) -> list[Letter]:
    """Letters that wait, the newest first; all of them (a day's) for the local mailbox."""
    found = await tx.rows(
        _Letter,
        """
        select id, email, body, language, created_at from identity.outbox
         where cell = $1 and ($2::uuid[] is null or id = any($2::uuid[])) order by id desc limit 100
        """,
        tx.cell,
        letter_ids,
    )
    return [
        Letter(
            one.id,
            sealed.opened(tx.db, "outbox.email", one.email) or "",
            sealed.opened(tx.db, "outbox.body", one.body) or "",
            one.language,
            one.created_at,
        )
        for one in found
    ]


async def data_map(tx: Tx) -> list[DataMapLine]:
    """Every declared column with personal data in the whole house."""
    return await tx.rows(
        DataMapLine,
        """
        select format('%s.%s.%s', n.nspname, c.relname, a.attname) as "column",
               substr(d.description, 6) as declaration
          from pg_description d
          join pg_class c on c.oid = d.objoid and d.classoid = 'pg_class'::regclass
          join pg_namespace n on n.oid = c.relnamespace
          join pg_attribute a on a.attrelid = c.oid and a.attnum = d.objsubid
         where d.description like 'pii: %' order by 1
        """,
    )
