"""The stock stage: choose the nodes by cost, take the stock under lock."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

import msgspec

from pinwheel.ground import ledger
from pinwheel.kernel.db import Tx
from pinwheel.trade import inventory, pricing
from pinwheel.trade.inventory import Place, Wanted
from pinwheel.trade.orders.draft import (
    Draft,
    DraftLine,
)

HOLD_SECONDS = 900  # how long an order, and so its stock, waits for a payment


class _Free(msgspec.Struct, frozen=True):
    variant_id: uuid.UUID
    seller_id: uuid.UUID
    node: str
    atp: int


class StockStage:
    """Choose the nodes and take the stock. Deciding uses what can be promised now; recording
    takes holds under lock, and a draft that lost a race is sourced again, twice at most. Two
    statements and the ledger's; one more where a draft uses an earmark: what is put aside for a
    document is sourced like a stock item of its own."""

    async def load(self, tx: Tx, drafts: Sequence[Draft], placing: bool) -> Any:
        wanted = sorted({line.variant_id for d in drafts for line in d.lines})
        rows = await tx.rows(
            _Free,
            """
            select variant_id, seller_id, node, atp from inventory.v_atp
             where cell = $1 and variant_id = any($2::uuid[]) and is_open
            """,
            tx.cell,
            wanted,
        )
        free = {(r.variant_id, r.seller_id, r.node): r.atp for r in rows}
        documents = {i for d in drafts if d.aside for i, _ in d.aside.values()}
        if documents:
            for one in await inventory.earmarks(tx, documents):
                if one.is_open:
                    free[one.document_id, one.seller_id, one.node] = one.free
        return free, await inventory.nodes(tx), placing

    def decide(self, loaded: Any, draft: Draft) -> None:
        free, nodes, placing = loaded
        if draft.aside:
            draft.lines = _apart(draft, free)
        wanted = [Wanted(_item(li), li.seller_id, li.quantity) for li in draft.lines]
        parts = inventory.source(wanted, free, nodes)
        if parts is None:
            draft.refusal = _short(draft, free)
            return
        if len(parts) == len(draft.lines):
            for part in parts:
                draft.lines[part.line].node = part.node
        else:
            draft.lines = _split(draft, parts)
        if placing:
            for line in draft.lines:
                free[_item(line), line.seller_id, line.node] -= line.quantity

    async def record(self, tx: Tx, loaded: Any, drafts: Sequence[Draft]) -> None:
        waiting = list(drafts)
        for left in (2, 1, 0):
            lost = await self._take(tx, waiting, left)
            if not lost:
                return
            if not left:
                for draft in lost:
                    draft.refusal = _short(draft, {})
                return
            for draft in lost:
                draft.lines = _joined(draft)
            again = await self.load(tx, lost, True)
            for draft in lost:
                self.decide(again, draft)
            waiting = [d for d in lost if d.refusal is None]

    async def _take(self, tx: Tx, drafts: Sequence[Draft], turn: int) -> list[Draft]:
        """Hold each line's stock; the drafts that did not get all of theirs, with nothing of it
        held. The deadline is the order's (``end_waiting``), so that paying changes no hold."""
        asked = [(d, number, line) for d in drafts for number, line in enumerate(d.lines)]
        answers = await ledger.hold(
            tx,
            [
                ledger.Hold(
                    document_kind="order",
                    document_id=draft.id,
                    key=f"{number}:{line.node}:{turn}",
                    debit=inventory.sold(line.variant_id),
                    credit=inventory.account_of(
                        Place(line.seller_id, line.node, line.variant_id), line.earmark_id
                    ),
                    amount=line.quantity,
                )
                for draft, number, line in asked
            ],
        )
        lost: dict[uuid.UUID, Draft] = {}
        for (draft, _, line), answer in zip(asked, answers, strict=True):
            if isinstance(answer, ledger.Held):
                line.hold_id = answer.hold_id
            else:
                lost[draft.id] = draft
        if lost:
            given_back = [li.hold_id for d in lost.values() for li in d.lines if li.hold_id]
            await ledger.release(tx, given_back)
            for draft in lost.values():
                for line in draft.lines:
                    line.hold_id = None
        return list(lost.values())


def _item(line: DraftLine) -> uuid.UUID:
    """What a line is sourced of: its variant, or what is put aside of it for a document."""
    return line.earmark_id or line.variant_id


def _apart(draft: Draft, free: inventory.Free) -> list[DraftLine]:
    """A line of its own for the pieces that come out of an earmark, as far as it has any."""
    lines = []
    for line in draft.lines:
        document_id, pieces = (draft.aside or {}).get(line.offer_id, (None, 0))
        there = sum(max(0, n) for (item, _, _), n in free.items() if item == document_id)
        out = min(pieces, there, line.quantity)
        if not out:
            lines.append(line)
        elif out == line.quantity:
            lines.append(msgspec.structs.replace(line, earmark_id=document_id))
        else:
            both = _shared(line, [out, line.quantity - out])
            lines += [msgspec.structs.replace(both[0], earmark_id=document_id), both[1]]
    return lines


def _shared(line: DraftLine, weights: Sequence[int]) -> list[DraftLine]:
    """A line in parts; discount and tax go by largest remainder, so that the parts are the
    whole."""
    discounts = pricing.allocate(line.discount_minor, weights)
    taxes = pricing.allocate(line.tax_minor, weights)
    return [
        msgspec.structs.replace(line, quantity=n, discount_minor=discount, tax_minor=tax)
        for n, discount, tax in zip(weights, discounts, taxes, strict=True)
    ]


def _short(draft: Draft, free: dict[tuple[uuid.UUID, uuid.UUID, str], int]) -> inventory.OutOfStock:
    """Which item there is too little of."""
    for line in draft.lines:
        items = {_item(li) for li in draft.lines if li.variant_id == line.variant_id}
        left = sum(
            max(0, atp) for (v, s, _), atp in free.items() if s == line.seller_id and v in items
        )
        asked = sum(li.quantity for li in draft.lines if li.variant_id == line.variant_id)
        if left < asked:
            return inventory.OutOfStock(sku=line.sku, left=left, asked=asked)
    first = draft.lines[0]
    return inventory.OutOfStock(sku=first.sku, left=0, asked=first.quantity)


def _split(draft: Draft, parts: Sequence[inventory.Part]) -> list[DraftLine]:
    """A line for each node."""
    lines = []
    for number, line in enumerate(draft.lines):
        mine = [p for p in parts if p.line == number]
        for part, one in zip(mine, _shared(line, [p.quantity for p in mine]), strict=True):
            lines.append(msgspec.structs.replace(one, node=part.node))
    return lines


def _joined(draft: Draft) -> list[DraftLine]:
    """Undo a split, to source again."""
    joined: dict[tuple[uuid.UUID, int], DraftLine] = {}
    for line in draft.lines:
        first = joined.get((line.offer_id, line.unit_price_minor))
        if first is None:
            joined[line.offer_id, line.unit_price_minor] = msgspec.structs.replace(
                line, node="", hold_id=None, earmark_id=None
            )
        else:
            first.quantity += line.quantity
            first.discount_minor += line.discount_minor
            first.tax_minor += line.tax_minor
    return list(joined.values())
