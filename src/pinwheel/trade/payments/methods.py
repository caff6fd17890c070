"""Stored methods of payment: a provider's token with what a person recognises it by."""

from __future__ import annotations

import datetime as dt
import re
import uuid

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Invalid, Refusal
from pinwheel.trade.payments.cards import holds_card_number
from pinwheel.trade.payments.model import IN_HOUSE, CardNumberRefused, ProviderUnknown
from pinwheel.trade.payments.port import providers_of


class Method(msgspec.Struct, frozen=True):
    """``token`` is the provider's; ``last4`` and ``brand`` are what is shown."""

    id: uuid.UUID
    provider: str
    token: str
    brand: str
    last4: str
    expires_on: dt.date | None
    is_default: bool

    def __repr__(self) -> str:
        return f"Method({self.id}, {self.provider}, {self.brand} …{self.last4})"


class ShownMethod(msgspec.Struct, frozen=True):
    """A stored method without its token."""

    id: uuid.UUID
    provider: str
    brand: str
    last4: str
    expires_on: dt.date | None
    is_default: bool


def without_token(method: Method) -> ShownMethod:
    """``method`` as it may be seen."""
    return ShownMethod(
        method.id,
        method.provider,
        method.brand,
        method.last4,
        method.expires_on,
        method.is_default,
    )


async def save_method(
    tx: Tx,
    person_id: uuid.UUID,
    *,
    provider: str,
    token: str,
    brand: str,
    last4: str = "",
    expires_on: dt.date | None = None,
    is_default: bool = False,
) -> uuid.UUID | Refusal:
    """Keep a method; the same token again updates it. The first one is the default.

    Refuses ``CardNumberRefused``, ``ProviderUnknown``, ``Invalid``."""
    if holds_card_number(token, brand, last4):
        return CardNumberRefused(where="token")
    if not re.fullmatch(r"([0-9]{4})?", last4):
        return Invalid("last4", "the last four digits, or nothing", "请填写末四位数字或留空")
    known = sorted(set(providers_of(tx.db)) - IN_HOUSE)
    if provider not in known:
        return ProviderUnknown(provider=provider, known=", ".join(known))
    await _lock(tx, person_id)
    kept: uuid.UUID = await tx.value(
        """
        insert into payments.method (cell, id, person_id, provider, token, brand, last4, expires_on,
               is_default, created_at)
        values ($1, $2, $3, $4, $5, $6, $7, $8,
                not exists (select from payments.method where cell = $1 and person_id = $3), $9)
        on conflict (cell, person_id, provider, token) do update set brand = excluded.brand,
               last4 = excluded.last4, expires_on = excluded.expires_on
        returning id
        """,
        tx.cell,
        tx.new_id(),
        person_id,
        provider,
        token,
        brand,
        last4,
        expires_on,
        tx.now,
    )
    if is_default:
        await set_default_method(tx, person_id, kept)
    return kept


async def set_default_method(tx: Tx, person_id: uuid.UUID, method_id: uuid.UUID) -> bool:
    """False when the person has no such method."""
    await _lock(tx, person_id)
    await tx.run(
        """
        update payments.method set is_default = false
         where cell = $1 and person_id = $2 and is_default and id <> $3
           and exists (select from payments.method where cell = $1 and person_id = $2 and id = $3)
        """,
        tx.cell,
        person_id,
        method_id,
    )
    return bool(
        await tx.run(
            "update payments.method set is_default = true"
            " where cell = $1 and person_id = $2 and id = $3",
            tx.cell,
            person_id,
            method_id,
        )
    )


async def remove_method(tx: Tx, person_id: uuid.UUID, method_id: uuid.UUID) -> bool:
    """Forget a method. If it was the default, the newest of the others is."""
    await _lock(tx, person_id)
    was_default = await tx.value(
        "delete from payments.method where cell = $1 and person_id = $2 and id = $3"
        " returning is_default",
        tx.cell,
        person_id,
        method_id,
    )
    if was_default:
        await tx.run(
            """
            update payments.method set is_default = true where cell = $1 and id = (
              select id from payments.method where cell = $1 and person_id = $2
               order by created_at desc, id desc limit 1)
            """,
            tx.cell,
            person_id,
        )
    return was_default is not None


async def methods_of(tx: Tx, person_id: uuid.UUID) -> list[Method]:
    """The person's methods, the default first."""
    return await tx.rows(
        Method,
        """
        select id, provider, token, brand, last4, expires_on, is_default from payments.method
         where cell = $1 and person_id = $2 order by is_default desc, created_at desc, id desc
        """,
        tx.cell,
        person_id,
    )


async def method_of(tx: Tx, person_id: uuid.UUID, method_id: uuid.UUID) -> Method:
    """One of the person's methods; ``NotFound`` for anybody else's."""
    return await tx.the(
        "payment method",
        Method,
        """
        select id, provider, token, brand, last4, expires_on, is_default from payments.method
         where cell = $1 and person_id = $2 and id = $3
        """,
        tx.cell,
        person_id,
        method_id,
    )


async def forget_methods(tx: Tx, person_id: uuid.UUID) -> int:
    """The person closes their account: all their methods go."""
    return await tx.run(
        "delete from payments.method where cell = $1 and person_id = $2", tx.cell, person_id
    )


async def _lock(tx: Tx, person_id: uuid.UUID) -> None:
    await tx.run("select pg_advisory_xact_lock(hashtextextended($1, 50))", str(person_id))
