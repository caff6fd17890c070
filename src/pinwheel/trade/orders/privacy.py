"""Orders and the person behind them: a copy of theirs, a guest's orders joined to the account, and
what is left when somebody is erased (the figures stay, the person goes)."""

from __future__ import annotations

import uuid
from typing import Any

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.trade.orders.model import (
    OrderLine,
)
from pinwheel.trade.orders.queries import lines_of


class _Own(msgspec.Struct, frozen=True):
    id: uuid.UUID
    number: str
    state: str
    placed_at: Any
    currency: str
    total_minor: int
    contact: str | None
    ship_to: str | None


async def export(tx: Tx, person_id: uuid.UUID) -> list[dict[str, Any]]:
    """Every order of a person with its lines, contact and address opened: for their copy."""
    found = await tx.rows(
        _Own,
        """
        select id, number, state, placed_at, currency, total_minor, contact, ship_to
          from orders."order" where cell = $1 and person_id = $2 order by id
        """,
        tx.cell,
        person_id,
    )
    lines: dict[uuid.UUID, list[OrderLine]] = {one.id: [] for one in found}
    for line in await lines_of(tx, list(lines)):
        lines[line.order_id].append(line)
    vault = tx.db.vault
    return [
        {
            "number": one.number,
            "state": one.state,
            "placed_at": one.placed_at,
            "currency": one.currency,
            "total_minor": one.total_minor,
            "contact": one.contact and vault.open(one.contact, "orders.contact"),
            "ship_to": one.ship_to and vault.open(one.ship_to, "orders.ship_to"),
            "lines": [
                {"sku": li.sku, "title": li.title, "quantity": li.quantity, "paid": li.total_minor}
                for li in lines[one.id]
            ],
        }
        for one in found
    ]


async def forget(tx: Tx, person_ids: list[uuid.UUID]) -> int:
    """Take contact and address off the orders of people who are erased; how many orders."""
    return await tx.run(
        """
        update orders."order" set contact = null, ship_to = null, city = ''
         where cell = $1 and person_id = any($2::uuid[])
        """,
        tx.cell,
        person_ids,
    )


async def join(tx: Tx, guest_id: uuid.UUID, person_id: uuid.UUID) -> int:
    """A guest signed in: their orders are the account's now; how many."""
    return await tx.run(
        'update orders."order" set person_id = $3 where cell = $1 and person_id = $2',
        tx.cell,
        guest_id,
        person_id,
    )
