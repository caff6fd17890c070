"""Who agreed to letters about offers, and who must not be written to.

Yes takes two steps: somebody asks, and whoever reads the address's letters confirms by the link in
one of them. No takes one step, works at once and from anywhere. Both stand in a ledger that is only
added to."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from pathlib import Path
from zoneinfo import available_timezones

import msgspec

from pinwheel.ground import identity
from pinwheel.ground.messages.actions import hash_of, known_addresses, send
from pinwheel.ground.messages.model import (
    CONFIRM_SECONDS,
    NewMessage,
    Reason,
    Subscribed,
    Unsubscribed,
    address_in,
    confirm_token,
    confirmed_address,
)
from pinwheel.ground.messages.wording import Letters
from pinwheel.kernel import rate
from pinwheel.kernel.db import Tx
from pinwheel.kernel.rate import Limit

LETTERS = Letters(Path(__file__).parent / "letters")
ASKED_OF_ONE_ADDRESS = Limit(3, 8 * 3600)
LANGUAGES = ("zh-CN", "en")


def known_zone(name: str | None) -> str | None:
    """``name`` when it is a time zone (IANA), else None: a reader's zone is a courtesy."""
    return name if name in available_timezones() else None


class _Owner(msgspec.Struct, frozen=True):
    person_id: uuid.UUID | None
    language: str | None
    was_subscribed: bool
    handed_at: dt.datetime | None


async def subscribe(
    tx: Tx,
    email: str,
    *,
    language: str,
    wording: str,
    source: str,
    person_id: uuid.UUID | None = None,
    zone: str | None = None,
) -> None:
    """Ask for letters about offers: a letter with a link goes out, and nothing else until it is
    used. An address that is subscribed already is told nothing new, and neither is whoever asks.
    ``RateLimited`` after three letters to one address in a day."""
    email = identity.normal_email(email)
    address_hash = hash_of(tx.db, email)
    standing = (await known_addresses(tx, [(email, person_id)]))[address_hash]
    if standing.may_market:
        return
    await rate.take(tx, f"subscribe:{address_hash.hex()}", ASKED_OF_ONE_ADDRESS)
    await tx.run(
        """
        update messages.address set language = $3, zone = coalesce($4, zone)
         where cell = $1 and hash = $2
        """,
        tx.cell,
        address_hash,
        language,
        zone,
    )
    await _write_down(tx, address_hash, person_id, "asked", wording, language, source)
    until = tx.later_than(CONFIRM_SECONDS)
    token = confirm_token(tx.db.vault, address_hash, until)
    await send(
        tx,
        [
            NewMessage(
                scope="messages.confirm",
                key=str(tx.new_id()),
                purpose="transactional",
                template="confirm",
                letters=LETTERS,
                email=email,
                person_id=person_id,
                language=language,
                facts={"link": f"/{language}/letters/confirm/{token}"},
                lives_seconds=CONFIRM_SECONDS,
            )
        ],
    )


async def confirm(tx: Tx, token: str, *, wording: str, source: str) -> None:
    """The link of the letter was used: from now on the address may be written to. ``BadLink``.
    An earlier no of the reader's own is over; a bounce is not."""
    address_hash = confirmed_address(tx.db.vault, token, tx.now)
    owner = await _locked(tx, address_hash)
    if owner is None:
        return
    await tx.run(
        """
        with lifted as (
          update messages.suppression set lifted_at = greatest($3, at), lifted_by = $4
           where cell = $1 and address_hash = $2 and lifted_at is null
             and reason in ('unsubscribed', 'complaint', 'erased'))
        update messages.address set subscribed_at = coalesce(subscribed_at, $3)
         where cell = $1 and hash = $2
        """,
        tx.cell,
        address_hash,
        tx.now,
        source,
    )
    if owner.was_subscribed:
        return
    language = owner.language or LANGUAGES[0]
    await _write_down(tx, address_hash, owner.person_id, "confirmed", wording, language, source)
    if owner.person_id is not None:
        proof = {"words": wording, "source": source, "by": "the link in a letter"}
        await identity.record_consent(tx, owner.person_id, "marketing", "email", True, proof)
    tx.emit(Subscribed(person_id=owner.person_id))


async def unsubscribe(tx: Tx, token: str, *, source: str) -> None:
    """The link of a letter says no. Works as often as it is pressed. ``BadLink``."""
    await withdraw(tx, address_in(tx.db.vault, token), source=source)


async def withdraw(tx: Tx, address_hash: bytes, *, source: str, told: bool = False) -> None:
    """No more marketing to this address, from this moment on. ``told``: the account's own choice
    says so already."""
    owner = await _locked(tx, address_hash)
    if owner is None:
        return
    fresh = await suppress(tx, [address_hash], "unsubscribed", source)
    if not (fresh or owner.was_subscribed):
        return
    await tx.run(
        """
        update messages.message set unsubscribed_at = $3
         where cell = $1 and id = (
           select id from messages.message
            where cell = $1 and address_hash = $2 and purpose = 'marketing'
              and handed_at is not null order by handed_at desc limit 1)
           and unsubscribed_at is null
        """,
        tx.cell,
        address_hash,
        tx.now,
    )
    language = owner.language or LANGUAGES[0]
    await _write_down(tx, address_hash, owner.person_id, "withdrawn", "", language, source)
    if owner.person_id is not None and not told:
        proof = {"source": source, "by": "the link in a letter"}
        await identity.record_consent(tx, owner.person_id, "marketing", "email", False, proof)


class _Hushed(msgspec.Struct, frozen=True):
    address_hash: bytes
    person_id: uuid.UUID | None


async def suppress(tx: Tx, hashes: Sequence[bytes], reason: Reason, source: str) -> int:
    """Stop writing to addresses: for ``bounce`` altogether, else marketing. What waits for them is
    not sent. Under each address's lock, so that a letter is either before this or never; how many
    were not suppressed for this before."""
    hushed = await tx.rows(
        _Hushed,
        """
        with address as (
          select a.hash, a.person_id, greatest($3::timestamptz, a.handed_at) as at
            from messages.address a where a.cell = $1 and a.hash = any($2::bytea[])
           order by a.hash for update
        ), fresh as (
          insert into messages.suppression (cell, id, address_hash, reason, source, at)
          select $1, n.id, a.hash, $4, $5, a.at
            from address a join unnest($2::bytea[], $6::uuid[]) as n(hash, id) on n.hash = a.hash
          on conflict (cell, address_hash, reason) where lifted_at is null do nothing
          returning address_hash
        )
        select f.address_hash, a.person_id from fresh f join address a on a.hash = f.address_hash
        """,
        tx.cell,
        list(hashes),
        tx.now,
        reason,
        source,
        [tx.new_id() for _ in hashes],
    )
    await tx.run(
        """
        with silent as (
          update messages.address set subscribed_at = null
           where cell = $1 and hash = any($2::bytea[]) and $3 in ('unsubscribed', 'complaint'))
        update messages.message set state = 'suppressed', ended_at = $4, note = $3
         where cell = $1 and address_hash = any($2::bytea[]) and state = 'waiting'
           and (purpose = 'marketing' or $3 = 'bounce')
        """,
        tx.cell,
        list(hashes),
        reason,
        tx.now,
    )
    tx.emit(*(Unsubscribed(person_id=h.person_id, reason=reason) for h in hushed))
    return len(hushed)


async def lift(tx: Tx, address_hash: bytes, reason: Reason) -> int:
    """A person of the staff knows better: a mended mailbox. Consent is not theirs to give."""
    return await tx.run(
        """
        update messages.suppression set lifted_at = greatest($4, at), lifted_by = $5
         where cell = $1 and address_hash = $2 and reason = $3 and lifted_at is null
           and reason in ('bounce', 'operator')
        """,
        tx.cell,
        address_hash,
        reason,
        tx.now,
        tx.actor,
    )


async def _locked(tx: Tx, address_hash: bytes) -> _Owner | None:
    return await tx.row(
        _Owner,
        """
        select person_id, language, subscribed_at is not null as was_subscribed, handed_at
          from messages.address where cell = $1 and hash = $2 for update
        """,
        tx.cell,
        address_hash,
    )


async def _write_down(
    tx: Tx,
    address_hash: bytes,
    person_id: uuid.UUID | None,
    step: str,
    wording: str,
    language: str,
    source: str,
) -> None:
    await tx.run(
        """
        insert into messages.consent
               (cell, id, address_hash, person_id, step, at, wording, language, source, actor)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
        """,
        tx.cell,
        tx.new_id(),
        address_hash,
        person_id,
        step,
        tx.now,
        wording,
        language,
        source,
        tx.actor,
    )


async def hashes_of(tx: Tx, person_id: uuid.UUID) -> list[bytes]:
    """The addresses of a person that were ever written to."""
    found: list[bytes] = await tx.values(
        "select hash from messages.address where cell = $1 and person_id = $2 order by hash",
        tx.cell,
        person_id,
    )
    return found
