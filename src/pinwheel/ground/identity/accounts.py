"""Accounts: proving who one is, and what follows: a session that nobody else can make up.

Proofs are made outside of the transaction that uses them, because hashing a password takes tens of
milliseconds and must not hold a connection, and because a failed try has to be counted although the
sign-in itself is refused.
"""

from __future__ import annotations

import asyncio
import secrets
import uuid

import argon2
import asyncpg
import msgspec

from pinwheel.ground.identity import sealed
from pinwheel.ground.identity.model import (
    CODE_SECONDS,
    CODE_TRIES,
    GUEST_SECONDS,
    Caller,
    CodeIssued,
    EmailTaken,
    GuestJoined,
    Kind,
    LastOperator,
    Person,
    PersonRegistered,
    Proof,
    RoleChanged,
    SignedIn,
    WrongCode,
    WrongPassword,
    checked_password,
    normal_email,
    session_seconds,
)
from pinwheel.ground.identity.queries import person_of
from pinwheel.ground.identity.recognise import forget
from pinwheel.kernel import rate
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.rate import Limit

HASHER = argon2.PasswordHasher()
# Checked when nobody has the address, so that the answer takes as long as for a wrong password.
NOBODYS_HASH = HASHER.hash(secrets.token_hex(16))
TRIES_OF_ONE_ACCOUNT = Limit(burst=10, seconds_each=30)
CODES_OF_ONE_ADDRESS = Limit(burst=3, seconds_each=120)


class _Credential(msgspec.Struct, frozen=True):
    id: uuid.UUID
    password_hash: str | None


async def hashed(password: str, email: str) -> str:
    """The password's Argon2id hash; ``Invalid`` when it is too easy."""
    return await asyncio.to_thread(HASHER.hash, checked_password(password, normal_email(email)))


async def prove_password(db: Database, email: str, password: str) -> Proof:
    """``WrongPassword``, or ``RateLimited`` after many tries on one account from wherever."""
    email = normal_email(email)
    email_hash = sealed.email_hash_of(db, email)
    async with db.transaction(actor="sign-in") as tx:
        await rate.take(tx, f"password:{email_hash.hex()}", TRIES_OF_ONE_ACCOUNT)
    async with db.transaction(actor="sign-in") as tx:
        found = await tx.row(
            _Credential,
            """
            select id, password_hash from identity.person
             where cell = $1 and email_hash = $2 and erased_at is null
            """,
            tx.cell,
            email_hash,
        )
    stored = found.password_hash if found and found.password_hash else NOBODYS_HASH
    right, rehashed = await asyncio.to_thread(_verified, stored, password)
    if found is None or found.password_hash is None or not right:
        raise WrongPassword()
    return Proof(email, found.id, "password", rehashed)


def _verified(stored: str, password: str) -> tuple[bool, str | None]:
    try:
        HASHER.verify(stored, password)
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False, None
    return True, HASHER.hash(password) if HASHER.check_needs_rehash(stored) else None


async def request_code(tx: Tx, email: str, language: str) -> None:
    """Put a letter with a six-digit code into the outbox. Whether the address has an account shows
    nowhere."""
    email = normal_email(email)
    email_hash = sealed.email_hash_of(tx.db, email)
    await rate.take(tx, f"code:{email_hash.hex()}", CODES_OF_ONE_ADDRESS)
    code = f"{secrets.randbelow(1_000_000):06d}"
    await tx.run(
        """
        insert into identity.code (cell, email_hash, code_hash, expires_at) values ($1, $2, $3, $4)
        on conflict (cell, email_hash)
        do update set code_hash = excluded.code_hash, tries = 0, expires_at = excluded.expires_at
        """,
        tx.cell,
        email_hash,
        _code_hash(tx.db, email, code),
        tx.later_than(CODE_SECONDS),
    )
    body = (
        f"您的登录验证码是 {code}，10 分钟内有效。如非本人操作，请忽略此邮件。"
        if language.startswith("zh")
        else f"Your sign-in code is {code}. It works for 10 minutes. Not you? Ignore this letter."
    )
    letter_id = tx.new_id()
    await tx.run(
        """
        insert into identity.outbox (cell, id, email, body, language, created_at)
        values ($1, $2, $3, $4, $5, $6)
        """,
        tx.cell,
        letter_id,
        sealed.seal(tx.db, "outbox.email", email),
        sealed.seal(tx.db, "outbox.body", body),
        language,
        tx.now,
    )
    tx.emit(CodeIssued(letter_id=letter_id))


def _code_hash(db: Database, email: str, code: str) -> bytes:
    return db.vault.blind(f"{email}\n{code}", "identity.code")


async def prove_code(db: Database, email: str, code: str) -> Proof:
    """A code works once. ``WrongCode`` counts: after five the code is dead."""
    email = normal_email(email)
    email_hash = sealed.email_hash_of(db, email)
    async with db.transaction(actor="sign-in") as tx:
        used = await tx.run(
            """
            delete from identity.code
             where cell = $1 and email_hash = $2 and code_hash = $3
               and tries < $4 and expires_at > $5
            """,
            tx.cell,
            email_hash,
            _code_hash(db, email, code.strip()),
            CODE_TRIES,
            tx.now,
        )
        if not used:
            await tx.run(
                "update identity.code set tries = tries + 1 where cell = $1 and email_hash = $2",
                tx.cell,
                email_hash,
            )
        person_id = await tx.value(
            """
            select id from identity.person
             where cell = $1 and email_hash = $2 and erased_at is null
            """,
            tx.cell,
            email_hash,
        )
    if not used:
        raise WrongCode()
    return Proof(email, person_id, "code")


async def register(
    tx: Tx,
    email: str,
    *,
    password_hash: str | None = None,
    name: str | None = None,
    language: str = "en",
    kind: Kind = "buyer",
    guest_id: uuid.UUID | None = None,
) -> Person:
    """An account. A guest who registers stays the same person and keeps what is theirs.
    ``EmailTaken``."""
    email = normal_email(email)
    person_id = guest_id or tx.new_id()
    try:
        done = await _registered(tx, person_id, kind, email, name, language, password_hash)
    except asyncpg.UniqueViolationError as error:
        raise EmailTaken() from error  # somebody was quicker by a moment
    if done is None:
        raise EmailTaken()
    tx.emit(PersonRegistered(person_id=person_id))
    return await person_of(tx, person_id)


async def _registered(
    tx: Tx,
    person_id: uuid.UUID,
    kind: Kind,
    email: str,
    name: str | None,
    language: str,
    password_hash: str | None,
) -> uuid.UUID | None:
    done: uuid.UUID | None = await tx.value(
        """
        insert into identity.person as p
               (cell, id, kind, email_hash, email, name, language, password_hash, created_at)
        select $1, $2, $3, $4, $5, $6, $7, $8, $9
         where not exists (select from identity.person where cell = $1 and email_hash = $4)
        on conflict (cell, id) do update
           set kind = excluded.kind, email_hash = excluded.email_hash, email = excluded.email,
               name = excluded.name, language = excluded.language,
               password_hash = excluded.password_hash
         where p.kind = 'guest'
        returning id
        """,
        tx.cell,
        person_id,
        kind,
        sealed.email_hash_of(tx.db, email),
        sealed.seal(tx.db, "person.email", email),
        sealed.seal(tx.db, "person.name", name) if name else None,
        language,
        password_hash,
        tx.now,
    )
    return done


async def sign_in(tx: Tx, proof: Proof, caller: Caller, token: str, agent: str = "") -> SignedIn:
    """Open a session under ``token``, which must be fresh: the one that came before is ended (so a
    planted one is worth nothing), and the guest's things become the account's."""
    person_id = proof.person_id
    if person_id is None:
        language = caller.language or "en"
        guest_id = caller.person_id if caller.kind == "guest" else None
        person_id = (await register(tx, proof.email, language=language, guest_id=guest_id)).id
    person = await person_of(tx, person_id)
    await tx.run(
        """
        update identity.person set password_hash = coalesce($3, password_hash),
               email_proven_at = coalesce(email_proven_at, case when $4 then $5::timestamptz end)
         where cell = $1 and id = $2
        """,
        tx.cell,
        person_id,
        proof.rehashed,
        proof.by == "code",
        tx.now,
    )
    if caller.session_id is not None:
        await end_sessions(tx, [caller.session_id])
    if caller.kind == "guest" and caller.person_id not in (None, person_id):
        await tx.run(
            """
            update identity.person set merged_into = $3, is_kept = true where cell = $1 and id = $2
            """,
            tx.cell,
            caller.person_id,
            person_id,
        )
        tx.emit(GuestJoined(guest_id=caller.person_id, person_id=person_id))
    await _open_session(tx, person_id, token, agent, session_seconds(person.kind))
    return SignedIn(person, token)


async def _open_session(tx: Tx, person_id: uuid.UUID, token: str, agent: str, seconds: int) -> None:
    token_hash = sealed.token_hash_of(token)
    await tx.run(
        """
        insert into identity.session
               (cell, token_hash, id, person_id, agent, created_at, seen_at, expires_at)
        values ($1, $2, $3, $4, $5, $6, $6, $7)
        on conflict do nothing
        """,
        tx.cell,
        token_hash,
        sealed.session_id_of(token_hash),
        person_id,
        agent[:200] or None,
        tx.now,
        tx.later_than(seconds),
    )
    forget(tx.db, token_hash)


async def guest_of(tx: Tx, caller: Caller, token: str) -> uuid.UUID:
    """The person behind this caller, made now for a visitor: for a cart, before anybody signs in.

    A caller with neither person nor session (a program without a key) is ``Unauthenticated``.
    """
    if caller.person_id is not None:
        return caller.person_id
    if caller.session_id is None or not token:
        return caller.person()
    token_hash = sealed.token_hash_of(token)
    # Two first clicks at once: both compute one id, so there is one guest.
    person_id = uuid.uuid5(caller.session_id, "guest")
    await tx.run(
        """
        insert into identity.person (cell, id, kind, language, created_at)
        values ($1, $2, 'guest', $3, $4) on conflict do nothing
        """,
        tx.cell,
        person_id,
        caller.language,
        tx.now,
    )
    await _open_session(tx, person_id, token, "", GUEST_SECONDS)
    forget(tx.db, token_hash)
    return person_id


async def keep(tx: Tx, person_ids: list[uuid.UUID]) -> None:
    """Never forget these guests by the clock: something that must stay hangs on them (an order)."""
    await tx.run(
        """
        update identity.person set is_kept = true
         where cell = $1 and id = any($2::uuid[]) and not is_kept
        """,
        tx.cell,
        person_ids,
    )


async def end_sessions(tx: Tx, session_ids: list[uuid.UUID], *, of: uuid.UUID | None = None) -> int:
    """End sessions (only ``of`` this person, when given); how many there were."""
    ended = await tx.values(
        """
        delete from identity.session
         where cell = $1 and id = any($2::uuid[]) and ($3::uuid is null or person_id = $3)
        returning token_hash
        """,
        tx.cell,
        session_ids,
        of,
    )
    for token_hash in ended:
        forget(tx.db, token_hash)
    return len(ended)


async def end_other_sessions(tx: Tx, person_id: uuid.UUID, but: uuid.UUID | None) -> int:
    """End every session of this person except ``but``; how many there were."""
    ids = await tx.values(
        """
        select id from identity.session
         where cell = $1 and person_id = $2 and id is distinct from $3
        """,
        tx.cell,
        person_id,
        but,
    )
    return await end_sessions(tx, ids, of=person_id)


async def set_password(tx: Tx, caller: Caller, password_hash: str) -> None:
    """A new password ends every other session: whoever knew the old one is out."""
    person_id = caller.person()
    await tx.run(
        "update identity.person set password_hash = $3 where cell = $1 and id = $2",
        tx.cell,
        person_id,
        password_hash,
    )
    await end_other_sessions(tx, person_id, caller.session_id)


async def appoint(tx: Tx, person_id: uuid.UUID, kind: Kind, scopes: list[str]) -> Person:
    """Give somebody a role and, beyond it, ``scopes``. Their sessions end, to begin anew with it.

    ``LastOperator`` when nobody would be left to run the shop.
    """
    if kind != "operator":
        await must_not_be_last(tx, person_id)
    await tx.run(
        """
        update identity.person set kind = $3, scopes = $4
         where cell = $1 and id = $2 and erased_at is null
        """,
        tx.cell,
        person_id,
        kind,
        sorted(set(scopes)),
    )
    await end_other_sessions(tx, person_id, None)
    tx.emit(RoleChanged(person_id=person_id, role=kind, scopes=sorted(set(scopes))))
    return await person_of(tx, person_id)


async def must_not_be_last(tx: Tx, person_id: uuid.UUID) -> None:
    """``LastOperator`` when this is the only one. All operators are locked, so that of two who
    leave at once one stays."""
    operators = await tx.values(
        """
        select id from identity.person
         where cell = $1 and kind = 'operator' and erased_at is null order by id for update
        """,
        tx.cell,
    )
    if operators == [person_id]:
        raise LastOperator()


async def rename(tx: Tx, person_id: uuid.UUID, name: str, language: str | None) -> Person:
    """How somebody is called and addressed."""
    await tx.run(
        """
        update identity.person set name = $3, language = coalesce($4, language)
         where cell = $1 and id = $2
        """,
        tx.cell,
        person_id,
        sealed.seal(tx.db, "person.name", name) if name else None,
        language,
    )
    return await person_of(tx, person_id)
