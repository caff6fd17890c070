"""What an order shows of who orders: opened where it is sealed, made traits of, and forgotten."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from pinwheel.ground import trust
from pinwheel.ground.trust import Seen
from pinwheel.kernel.vault import Unsealable, Vault
from pinwheel.trade import payments

NO_FINGERPRINT = payments.IN_HOUSE
DEMONSTRATION = ("sandbox", "tok_")
"""The sandbox's tokens name a manner of answering, not a card: everybody has the same ones."""


class _ShipTo(msgspec.Struct):
    line1: str = ""
    line2: str = ""
    postal_code: str = ""
    country: str = ""
    phone: str = ""


def seen_of(
    vault: Vault,
    person_id: uuid.UUID,
    *,
    contact: str | None,
    ship_to: str | None,
    tenders: Sequence[tuple[str, str]],
    device: str = "",
) -> list[Seen]:
    """The traits of one order; what can't be opened any more shows nothing."""
    found = trust.seen_device(person_id, device)
    for provider, method in tenders:
        if provider in NO_FINGERPRINT:
            continue
        if provider == DEMONSTRATION[0] and method.startswith(DEMONSTRATION[1]):
            continue
        found += trust.seen_payment(person_id, provider, method)
    email = _opened(vault, contact, "orders.contact")
    found += trust.seen_email(person_id, email) if email else []
    where = _address(_opened(vault, ship_to, "orders.ship_to"))
    if where is not None:
        found += trust.seen_phone(person_id, where.phone, where.country)
        found += trust.seen_address(
            person_id, where.country, where.postal_code, where.line1, where.line2
        )
    return found


def _opened(vault: Vault, sealed: str | None, purpose: str) -> str:
    try:
        return vault.open(sealed, purpose) if sealed else ""
    except Unsealable:
        return ""


def _address(text: str) -> _ShipTo | None:
    if not text:
        return None
    try:
        plain: Any = msgspec.json.decode(text)
        return msgspec.convert(plain, _ShipTo, strict=False)
    except msgspec.MsgspecError:
        return None
