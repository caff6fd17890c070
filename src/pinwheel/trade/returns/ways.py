"""Nouns and rules of the way back, and the port of the carrier who brings it."""

from __future__ import annotations

import datetime as dt
import hashlib
import uuid
import weakref
from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from pinwheel.ground.ledger import Account, Unit
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import Refusal

Kind = Literal["own", "label", "dropoff", "pickup"]
KINDS: tuple[Kind, ...] = ("label", "dropoff", "pickup", "own")
TRANSIT_DAYS = 14  # from the counter to the warehouse, at most
PICKUP_DAYS = 7  # ahead, from tomorrow


class WayOffer(msgspec.Struct, frozen=True, kw_only=True):
    """A market's way back. ``extra_minor`` comes on top of what the policy lets the buyer bear."""

    market: str
    kind: Kind
    extra_minor: int = 0
    is_open: bool = True


class Point(msgspec.Struct, frozen=True, kw_only=True):
    """Where parcels are handed in by their code, without paper."""

    code: str
    name: dict[str, str]
    address: str
    country: str
    is_open: bool = True


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """Hours in which parcels are picked up, ``most`` a day."""

    market: str
    from_hour: int
    until_hour: int
    most: int


class Slot(msgspec.Struct, frozen=True):
    """A day and the hour its window begins."""

    on: dt.date
    from_hour: int


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """How a return comes back. ``handed``: given to a counter or a courier."""

    return_id: uuid.UUID
    kind: Kind
    freight_minor: int
    state: str
    carrier: str
    tracking: str
    slot_on: dt.date | None
    slot_from: int | None
    slot_until: int | None
    handed_at: dt.datetime | None
    handed_where: str


class WayPrice(msgspec.Struct, frozen=True, kw_only=True):
    """A way as the buyer is shown it, before they confirm."""

    kind: Kind
    freight_minor: int
    points: list[Point] = []
    slots: list[Slot] = []


def freight(kind: Kind | None, policy_minor: int, extra_minor: int, *, fault: bool) -> int:
    """What the buyer bears: nothing for a fault, nothing to us by their own post."""
    if fault or kind == "own":
        return 0
    return policy_minor + extra_minor


def slots_unit() -> Unit:
    return Unit("return-pickups", "use")


def slots_of(window: Window, on: dt.date) -> Account:
    """The pick-ups of one window of one day."""
    name = f"pickups:{window.market}:{on.isoformat()}:{window.from_hour}"
    return Account(name, slots_unit(), floor=-window.most)


def pickup_id(return_id: uuid.UUID) -> uuid.UUID:
    """The document that a return's pick-up is held by: apart from the replacement's."""
    return uuid.uuid5(return_id, "pickup")


def picked() -> Account:
    """Where promised pick-ups go."""
    return Account("pickups:taken", slots_unit())


# --- the carrier


class LabelWish(msgspec.Struct, frozen=True, kw_only=True):
    """A parcel to bring back. The same ``return_id`` again is the same label."""

    return_id: uuid.UUID
    number: str
    country: str
    slot: Slot | None = None


class Label(msgspec.Struct, frozen=True, kw_only=True):
    return_id: uuid.UUID
    carrier: str
    tracking: str


class Carrier(Protocol):
    """Verbs take a list and may be repeated; called with no transaction open. What is not answered
    is asked for again."""

    name: str

    async def label(self, wishes: Sequence[LabelWish]) -> list[Label]: ...


class SandboxCarrier:
    """A carrier for demonstrations: it brings nothing, and says so in its name."""

    name = "sandbox"

    async def label(self, wishes: Sequence[LabelWish]) -> list[Label]:
        return [
            Label(return_id=w.return_id, carrier=self.name, tracking=tracking_of(w.return_id))
            for w in wishes
        ]


def tracking_of(return_id: uuid.UUID) -> str:
    """Thirteen digits of the id and a check digit (Luhn: ISO/IEC 7812-1, annex B)."""
    number = int.from_bytes(hashlib.blake2b(return_id.bytes, digest_size=8).digest()) % 10**13
    digits = f"{number:013d}"
    sums = 0
    for position, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if position % 2 == 0 else 1)
        sums += value - 9 if value > 9 else value
    return f"SBX{digits}{-sums % 10}"


_carriers: weakref.WeakKeyDictionary[Database, Carrier] = weakref.WeakKeyDictionary()
_SANDBOX = SandboxCarrier()


def use_carrier(db: Database, carrier: Carrier) -> None:
    """Give the house on ``db`` its carrier of returns."""
    _carriers[db] = carrier


def carrier_of(db: Database) -> Carrier:
    """The house's carrier; the sandbox until one was given."""
    return _carriers.get(db, _SANDBOX)


# --- refusals


class WayClosed(Refusal):
    status = 422
    en = "A return from here can't come back in this way. Choose one of: {open}."
    zh = "该地区不支持此退货方式，可选：{open}。"


class SlotFull(Refusal):
    en = "This pick-up time is taken or over. Choose another one."
    zh = "该上门取件时段已满或已过，请选择其他时段。"


class HandedElsewhere(Refusal):
    en = "The parcel of return {number} was handed in at {where} already. Look at the code again."
    zh = "退货单 {number} 的包裹已在 {where} 交件，请核对取件码。"


class UnknownPoint(Refusal):
    status = 422
    en = "There is no open return point {point}. Check its code."
    zh = "没有名为 {point} 的营业中退货点，请核对代码。"


def extras(offers: Sequence[WayOffer]) -> Mapping[tuple[str, str], WayOffer]:
    return {(o.market, o.kind): o for o in offers}
