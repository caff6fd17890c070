"""Addresses and API keys: what a person keeps with the shop."""

from __future__ import annotations

import secrets
import uuid

from pinwheel.ground.identity import sealed
from pinwheel.ground.identity.model import Caller, NewAddress, NewKey, ScopeNotHeld
from pinwheel.ground.identity.recognise import forget
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Invalid, NotFound

ADDRESSES_OF_ONE = 50


async def add_address(tx: Tx, person_id: uuid.UUID, new: NewAddress) -> uuid.UUID:
    """Keep an address; the first one is the default. ``Invalid`` beyond 50."""
    await _lock(tx, person_id)
    held = await tx.value(
        "select count(*) from identity.address where cell = $1 and person_id = $2",
        tx.cell,
        person_id,
    )
    if held >= ADDRESSES_OF_ONE:
        raise Invalid(
            "addresses",
            f"an account keeps at most {ADDRESSES_OF_ONE}; remove one first",
            f"每个账号最多保存 {ADDRESSES_OF_ONE} 个地址，请先删除一个",
        )
    if new.is_default:
        await _no_default(tx, person_id)
    address_id = tx.new_id()
    await tx.run(
        """
        insert into identity.address (cell, id, person_id, country, region, city, postal_code,
               lines, recipient_name, phone, is_default, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
        """,
        tx.cell,
        address_id,
        person_id,
        new.country,
        new.region,
        new.city,
        new.postal_code,
        sealed.seal(tx.db, "address.lines", f"{new.line1}\n{new.line2}"),
        sealed.seal(tx.db, "address.recipient_name", new.recipient_name),
        sealed.seal(tx.db, "address.phone", new.phone),
        new.is_default or held == 0,
        tx.now,
    )
    return address_id


async def make_default(tx: Tx, person_id: uuid.UUID, address_id: uuid.UUID) -> None:
    """``NotFound`` for an address that isn't this person's."""
    await _lock(tx, person_id)
    await _no_default(tx, person_id)
    done = await tx.run(
        """
        update identity.address set is_default = true
         where cell = $1 and person_id = $2 and id = $3
        """,
        tx.cell,
        person_id,
        address_id,
    )
    if not done:
        raise NotFound(what="address")


async def _lock(tx: Tx, person_id: uuid.UUID) -> None:
    """One change of a person's addresses at a time: there is one default, and always one."""
    await tx.run(
        "select from identity.person where cell = $1 and id = $2 for update", tx.cell, person_id
    )


async def _no_default(tx: Tx, person_id: uuid.UUID) -> None:
    await tx.run(
        """
        update identity.address set is_default = false
         where cell = $1 and person_id = $2 and is_default
        """,
        tx.cell,
        person_id,
    )


async def remove_address(tx: Tx, person_id: uuid.UUID, address_id: uuid.UUID) -> None:
    """Orders keep their own copy. The next oldest address becomes the default."""
    await _lock(tx, person_id)
    done = await tx.run(
        "delete from identity.address where cell = $1 and person_id = $2 and id = $3",
        tx.cell,
        person_id,
        address_id,
    )
    if not done:
        raise NotFound(what="address")
    await tx.run(
        """
        update identity.address set is_default = true
         where cell = $1 and id = (select id from identity.address
                                    where cell = $1 and person_id = $2
                                    order by is_default desc, created_at, id limit 1)
        """,
        tx.cell,
        person_id,
    )


async def make_key(tx: Tx, caller: Caller, label: str, scopes: list[str]) -> NewKey:
    """An API key. ``ScopeNotHeld`` for a right its maker doesn't have; keys don't make keys."""
    person_id = caller.person()
    if caller.kind == "program":
        caller.require("keys")
    for scope in scopes:
        if not caller.may(scope):
            raise ScopeNotHeld(scope=scope)
    key = f"pk_live_{secrets.token_urlsafe(32)}"
    key_id = tx.new_id()
    await tx.run(
        """
        insert into identity.api_key
               (cell, id, person_id, key_hash, prefix, label, scopes, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8)
        """,
        tx.cell,
        key_id,
        person_id,
        sealed.token_hash_of(key),
        key[:12],
        label,
        sorted(set(scopes)),
        tx.now,
    )
    return NewKey(key_id, key, sorted(set(scopes)))


async def revoke_key(tx: Tx, person_id: uuid.UUID, key_id: uuid.UUID) -> None:
    """At once in this process, within seconds in others. ``NotFound`` for somebody else's key."""
    key_hash = await tx.value(
        """
        update identity.api_key set revoked_at = coalesce(revoked_at, $4)
         where cell = $1 and person_id = $2 and id = $3 returning key_hash
        """,
        tx.cell,
        person_id,
        key_id,
        tx.now,
    )
    if key_hash is None:
        raise NotFound(what="key")
    forget(tx.db, key_hash)
