"""Letters of an order's life: once for each fact, in the buyer's language, to the address that was
given for the order."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from pinwheel.ground import identity, messages
from pinwheel.ground.messages import Letters, NewMessage
from pinwheel.kernel.db import Tx
from pinwheel.kernel.words import language_of
from pinwheel.trade import payments

LETTERS = Letters(Path(__file__).parent / "letters")
LATEST_SECONDS = 3 * 86_400
"""A letter about something longer ago than this surprises nobody but the reader."""


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """One fact of one order. ``key`` makes its letter unique; ``facts`` are the letter's own."""

    letter: str
    order_id: uuid.UUID
    key: str
    facts: dict[str, Any] = {}
    shipment_id: uuid.UUID | None = None


class _Order(msgspec.Struct, frozen=True):
    order_id: uuid.UUID
    number: str
    person_id: uuid.UUID | None
    contact: str | None
    market: str
    currency: str
    goods_minor: int
    discount_minor: int
    delivery_minor: int
    total_minor: int
    placed_at: dt.datetime


class _Line(msgspec.Struct, frozen=True):
    order_id: uuid.UUID
    variant_id: uuid.UUID
    title: dict[str, str]
    quantity: int
    total_minor: int


class _Parcel(msgspec.Struct, frozen=True):
    shipment_id: uuid.UUID
    carrier: str
    tracking: str
    shipped_at: dt.datetime
    delivered_at: dt.datetime | None


async def write(tx: Tx, told: Sequence[Told]) -> int:
    """A letter for each fact that is fresh and whose order has an address; how many are new. A
    repeat writes none; nor is there a parcel to be told of where all that was ordered is gift
    cards. At most 9 statements, whatever the number."""
    orders = {o.order_id: o for o in await _orders(tx, {t.order_id for t in told})}
    lines: dict[uuid.UUID, list[_Line]] = {}
    for line in await _lines(tx, list(orders)):
        lines.setdefault(line.order_id, []).append(line)
    parcels = await _parcels(tx, {t.shipment_id for t in told if t.shipment_id})
    buyers = [o.person_id for o in orders.values() if o.person_id is not None]
    people = await identity.people(tx, buyers) if buyers else {}
    cards = await payments.gift_variants(tx) if parcels else set()
    letters = []
    for one in told:
        order = orders.get(one.order_id)
        if order is None or order.contact is None or _is_old(tx, one, order, parcels):
            continue
        if one.shipment_id and {line.variant_id for line in lines[order.order_id]} <= cards:
            continue
        buyer = people.get(order.person_id) if order.person_id else None
        language = language_of(buyer.language if buyer else None)
        letters.append(
            NewMessage(
                scope=f"order:{order.order_id}",
                key=one.key,
                purpose="transactional",
                template=one.letter,
                letters=LETTERS,
                person_id=order.person_id,
                email=tx.db.vault.open(order.contact, "orders.contact"),
                language=language or ("zh-CN" if order.market == "CN" else None),
                facts=_facts(one, order, lines.get(order.order_id, []), parcels),
            )
        )
    answers = await messages.send(tx, letters)
    return sum(isinstance(a, messages.Queued) and a.fresh for a in answers)


def _is_old(tx: Tx, one: Told, order: _Order, parcels: dict[uuid.UUID, _Parcel]) -> bool:
    at = None
    if one.letter == "placed":
        at = order.placed_at
    elif one.shipment_id in parcels:
        parcel = parcels[one.shipment_id]
        at = parcel.delivered_at if one.letter == "delivered" else parcel.shipped_at
    return at is not None and at < tx.later_than(-LATEST_SECONDS)


def _facts(
    one: Told, order: _Order, lines: Sequence[_Line], parcels: dict[uuid.UUID, _Parcel]
) -> dict[str, Any]:
    parcel = parcels.get(one.shipment_id) if one.shipment_id else None
    return {
        "order": order,
        "lines": lines,
        "parcel": parcel,
        "link": f"/orders/{order.order_id}",
        **one.facts,
    }


async def _orders(tx: Tx, order_ids: Iterable[uuid.UUID]) -> list[_Order]:
    return await tx.rows(
        _Order,
        """
        select order_id, number, person_id, contact, market, currency, goods_minor, discount_minor,
               delivery_minor, total_minor, placed_at
          from orders.v_contact where cell = $1 and order_id = any($2::uuid[])
        """,
        tx.cell,
        sorted(order_ids),
    )


async def _lines(tx: Tx, order_ids: Sequence[uuid.UUID]) -> list[_Line]:
    return await tx.rows(
        _Line,
        """
        select order_id, variant_id, title, quantity, total_minor
          from orders.v_line where cell = $1 and order_id = any($2::uuid[]) order by order_id, line
        """,
        tx.cell,
        list(order_ids),
    )


async def _parcels(tx: Tx, shipment_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, _Parcel]:
    ids = sorted(shipment_ids)
    if not ids:
        return {}
    rows = await tx.rows(
        _Parcel,
        """
        select shipment_id, carrier, tracking, shipped_at, delivered_at
          from orders.v_shipment where cell = $1 and shipment_id = any($2::uuid[])
        """,
        tx.cell,
        ids,
    )
    return {row.shipment_id: row for row in rows}
