"""Recognising a caller, quickly: what was looked up is believed for a few seconds in this
process."""

from __future__ import annotations

import asyncio
import datetime as dt
import time
import uuid
from collections import OrderedDict
from weakref import WeakKeyDictionary

import msgspec

from pinwheel.ground.identity import sealed
from pinwheel.ground.identity.model import NOBODY, Caller, Kind, scopes_of, session_seconds
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Unauthenticated

BELIEVED_SECONDS = 3.0  # how long another process may still honour a revoked key or session
MOST = 20_000
TOUCH_AFTER = dt.timedelta(minutes=10)


class Known(msgspec.Struct, frozen=True):
    person_id: uuid.UUID
    kind: Kind
    scopes: list[str]
    language: str | None
    id: uuid.UUID
    key_scopes: list[str]
    seen_at: dt.datetime | None


Remembered = OrderedDict[bytes, tuple[float, dt.datetime, Caller]]
_remembered: WeakKeyDictionary[Database, Remembered] = WeakKeyDictionary()
_asking: WeakKeyDictionary[Database, dict[bytes, asyncio.Task[Caller]]] = WeakKeyDictionary()


def _memory(db: Database) -> Remembered:
    memory = _remembered.get(db)
    if memory is None:
        memory = _remembered[db] = OrderedDict()
    return memory


def forget(db: Database, secret_hash: bytes) -> None:
    """A session or key has changed: look it up again."""
    _memory(db).pop(secret_hash, None)


async def recognise(db: Database, token: str, bearer: str) -> Caller:
    """Who asks with this session token or API key. An unknown key is ``Unauthenticated``; an
    unknown or ended session is a visitor."""
    secret = bearer or token
    if not secret:
        return NOBODY
    secret_hash = sealed.token_hash_of(secret)
    memory = _memory(db)
    known = memory.get(secret_hash)
    # Both clocks: real seconds in service, and tests that travel.
    age_allowed = dt.timedelta(seconds=BELIEVED_SECONDS)
    if known and known[0] > time.monotonic() and abs(db.clock.now() - known[1]) <= age_allowed:
        return known[2]
    asking = _asking.setdefault(db, {})
    if secret_hash not in asking:
        # Many who come with one key at one moment wait for one look-up.
        asking[secret_hash] = asyncio.create_task(_look_up(db, secret_hash, bool(bearer)))
    return await asyncio.shield(asking[secret_hash])


async def _look_up(db: Database, secret_hash: bytes, is_key: bool) -> Caller:
    try:
        caller = await (_of_key if is_key else _of_session)(db, secret_hash)
    finally:
        del _asking[db][secret_hash]
    memory = _memory(db)
    memory[secret_hash] = (time.monotonic() + BELIEVED_SECONDS, db.clock.now(), caller)
    if len(memory) > MOST:
        memory.popitem(last=False)
    return caller


async def _of_session(db: Database, token_hash: bytes) -> Caller:
    async with db.transaction(actor="recognise") as tx:
        found = await tx.row(
            Known,
            """
            select s.person_id, p.kind, p.scopes, p.language, s.id, '{}'::text[] as key_scopes,
                   s.seen_at
              from identity.session s
              join identity.person p on p.cell = s.cell and p.id = s.person_id
             where s.cell = $1 and s.token_hash = $2 and s.expires_at > $3 and p.erased_at is null
            """,
            tx.cell,
            token_hash,
            tx.now,
        )
        if found is None:
            return Caller(session_id=sealed.session_id_of(token_hash))
        if found.seen_at is None or tx.now - found.seen_at > TOUCH_AFTER:
            await _touch_session(tx, token_hash, found.kind)
    return Caller(
        kind=found.kind,
        person_id=found.person_id,
        session_id=found.id,
        scopes=scopes_of(found.kind, found.scopes),
        language=found.language,
    )


async def _touch_session(tx: Tx, token_hash: bytes, kind: str) -> None:
    await tx.run(
        """
        update identity.session set seen_at = $3, expires_at = $4
         where cell = $1 and token_hash = $2
        """,
        tx.cell,
        token_hash,
        tx.now,
        tx.later_than(session_seconds(kind)),
    )


async def _of_key(db: Database, key_hash: bytes) -> Caller:
    async with db.transaction(actor="recognise") as tx:
        found = await tx.row(
            Known,
            """
            select k.person_id, p.kind, p.scopes, p.language, k.id, k.scopes as key_scopes,
                   k.used_at as seen_at
              from identity.api_key k
              join identity.person p on p.cell = k.cell and p.id = k.person_id
             where k.cell = $1 and k.key_hash = $2 and k.revoked_at is null and p.erased_at is null
            """,
            tx.cell,
            key_hash,
        )
        if found is None:
            raise Unauthenticated()
        if found.seen_at is None or tx.now - found.seen_at > TOUCH_AFTER:
            await tx.run(
                "update identity.api_key set used_at = $3 where cell = $1 and key_hash = $2",
                tx.cell,
                key_hash,
                tx.now,
            )
    owners = scopes_of(found.kind, found.scopes)
    # A key never has more than its owner has today.
    held = {s for s in found.key_scopes if s in owners or "*" in owners}
    return Caller(
        kind="program", person_id=found.person_id, key_id=found.id, scopes=frozenset(held)
    )
