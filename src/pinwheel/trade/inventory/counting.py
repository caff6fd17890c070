"""Counting: the books become what somebody found."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Journal
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade.inventory.actions import counted_transfer, open_positions, stock_words
from pinwheel.trade.inventory.model import (
    AvailabilityChanged,
    Counted,
    Place,
    StockCount,
    available,
)


async def count(
    tx: Tx, counts: Sequence[StockCount], *, document_id: uuid.UUID, reason: str
) -> list[Counted | Refusal]:
    """Make the books say ``quantity`` pieces at each place; a place stands once in the list.

    Sales wait while the difference is taken, so that none is counted away. Once per document and
    place: a repeat answers with the first count, also after pieces have moved since, also where
    the count agreed. Refuses ``StockTaken`` where missing pieces are promised, and
    ``UnknownNode`` for the whole list. 5 statements and the ledger's 3."""
    if not counts:
        return []
    await open_positions(tx, [c.place for c in counts])
    standing = await ledger.locked_accounts(tx, {(a := available(c.place)).id: a for c in counts})
    before = await _counted_before(tx, document_id)
    found: list[Counted] = []
    for one in counts:
        booked = standing[available(one.place).id].posted
        found.append(before.get(one.place) or Counted(one.place, one.quantity, booked))
    moved = [c for c in found if c.fresh and c.change]
    answers = await ledger.post(
        tx,
        [
            Journal(
                document_kind="stock",
                document_id=document_id,
                key=f"count:{c.place.variant_id}:{c.place.seller_id}:{c.place.node}",
                reason=reason,
                transfers=(counted_transfer(StockCount(c.place, c.change)),),
            )
            for c in moved
        ],
    )
    refused: dict[Place, Refusal] = {
        c.place: told
        for c, answer in zip(moved, answers, strict=True)
        if isinstance(told := stock_words(answer, c.place.node), Refusal)
    }
    await _keep(tx, [c for c in found if c.fresh and c.place not in refused], document_id, reason)
    changed = sorted({c.place.variant_id for c in moved if c.place not in refused})
    if changed:
        tx.emit(AvailabilityChanged(variant_ids=changed))
    return [refused.get(c.place, c) for c in found]


async def _counted_before(tx: Tx, document_id: uuid.UUID) -> dict[Place, Counted]:
    rows = await tx.rows(
        _Row,
        """
        select seller_id, node, variant_id, quantity, booked from inventory.count
         where cell = $1 and document_id = $2
        """,
        tx.cell,
        document_id,
    )
    return {(c := row.counted()).place: c for row in rows}


class _Row(Place, frozen=True):
    quantity: int
    booked: int

    def counted(self) -> Counted:
        place = Place(self.seller_id, self.node, self.variant_id)
        return Counted(place, self.quantity, self.booked, fresh=False)


async def _keep(tx: Tx, fresh: Sequence[Counted], document_id: uuid.UUID, reason: str) -> None:
    await tx.run(
        """
        insert into inventory.count (cell, document_id, variant_id, seller_id, node, quantity,
                                     booked, reason, actor, at)
        select $1, $2, c.variant_id, c.seller_id, c.node, c.quantity, c.booked, $3, $4, $5
          from unnest($6::uuid[], $7::uuid[], $8::text[], $9::bigint[], $10::bigint[])
               as c(variant_id, seller_id, node, quantity, booked)
        """,
        tx.cell,
        document_id,
        reason,
        tx.actor,
        tx.now,
        [c.place.variant_id for c in fresh],
        [c.place.seller_id for c in fresh],
        [c.place.node for c in fresh],
        [c.quantity for c in fresh],
        [c.booked for c in fresh],
    )
