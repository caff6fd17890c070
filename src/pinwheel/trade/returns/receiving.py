"""The parcel that comes back, and the one that never does."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Journal, Transfer
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import NotFound, Refusal
from pinwheel.trade import inventory
from pinwheel.trade.returns.looking import Locked, claims, locked
from pinwheel.trade.returns.model import (
    NotAnnounced,
    NotSent,
    Receipt,
    Return,
    ReturnIs,
    ReturnLine,
    ReturnOverdue,
    ReturnReceived,
    inspection,
)
from pinwheel.trade.returns.requesting import close
from pinwheel.trade.returns.writing import update_returns

LATE = ("expired", "cancelled")  # a parcel that comes after all is taken in


async def receive(tx: Tx, receipts: Sequence[Receipt]) -> list[Return | Refusal]:
    """Parcels have arrived at a node: the pieces wait there to be graded. Safe to repeat.

    A parcel that comes after its return had expired or was cancelled is taken in, if its pieces
    were not returned otherwise meanwhile. Refuses ``NotFound``, ``ReturnIs``, ``NotAnnounced``,
    ``NotSent`` and ``UnknownNode``. 11 statements for any number."""
    nodes = await inventory.nodes(tx)
    found = await locked(tx, [r.return_id for r in receipts])
    taken = await claims(tx, sorted({r.order_id for r in found.returns.values()}))
    answers: dict[uuid.UUID, Return | Refusal] = {}
    arrived: list[tuple[Return, list[tuple[ReturnLine, int]]]] = []
    for receipt in receipts:
        if receipt.return_id in answers:
            continue
        parts = _arrived(receipt, found, taken, nodes)
        if isinstance(parts, Return | Refusal):
            answers[receipt.return_id] = parts
            continue
        ret = found.returns[receipt.return_id]
        done = msgspec.structs.replace(
            ret,
            state="received",
            node=receipt.node,
            received_at=tx.now,
            grade_by=tx.later_than(ret.policy.grade_days * 86_400),
            closed_at=None,
        )
        answers[ret.id] = done
        arrived.append((done, parts))
        if ret.state in LATE:
            for line, quantity in parts:
                key = (line.order_id, line.line)
                taken[key] = taken.get(key, 0) + quantity
    await _write(tx, arrived)
    return [answers[r.return_id] for r in receipts]


def _arrived(
    receipt: Receipt,
    found: Locked,
    taken: dict[tuple[uuid.UUID, int], int],
    nodes: dict[str, inventory.Node],
) -> list[tuple[ReturnLine, int]] | Return | Refusal:
    """What arrived of a return; itself when it was received before; or why not."""
    ret = found.returns.get(receipt.return_id)
    if ret is None:
        return NotFound(what="return")
    if receipt.node not in nodes:
        return inventory.UnknownNode(node=receipt.node, known=", ".join(sorted(nodes)))
    if ret.state == "received" and ret.node == receipt.node:
        return ret
    if ret.state not in ("approved", *LATE):
        return ReturnIs(number=ret.number, state=ret.state)
    announced = {line.line: line for line in found.lines[ret.id]}
    asked: dict[int, int] = {}
    for number, quantity in receipt.lines or [(li.line, li.quantity) for li in announced.values()]:
        asked[number] = asked.get(number, 0) + quantity
        line = announced.get(number)
        if line is None or quantity <= 0 or asked[number] > line.quantity:
            left = line.quantity if line else 0
            return NotAnnounced(number=ret.number, line=number, left=left, asked=asked[number])
    if ret.state in LATE:
        order, lines = found.orders[ret.order_id]
        by_number = {line.line: line for line in lines}
        for number, quantity in asked.items():
            of = by_number[number]
            left = of.shipped - of.returned - taken.get((order.id, number), 0)
            if quantity > left:
                return NotSent(line=number, number=order.number, left=left, asked=quantity)
    return [(announced[number], quantity) for number, quantity in asked.items()]


async def _write(tx: Tx, arrived: Sequence[tuple[Return, list[tuple[ReturnLine, int]]]]) -> None:
    if not arrived:
        return
    answers = await ledger.post(
        tx,
        [
            Journal(
                document_kind="order",
                document_id=ret.order_id,
                key=f"return:{ret.id}:received",
                reason="return received",
                transfers=tuple(
                    Transfer(
                        inspection(
                            inventory.Place(line.seller_id, ret.node or "", line.variant_id)
                        ),
                        inventory.sold(line.variant_id),
                        quantity,
                    )
                    for line, quantity in parts
                ),
            )
            for ret, parts in arrived
        ],
    )
    for answer in answers:
        if isinstance(answer, Refusal):
            raise answer
    await tx.run(
        """
        update returns.line l set received = a.quantity
          from unnest($2::uuid[], $3::smallint[], $4::bigint[]) as a(return_id, line, quantity)
         where l.cell = $1 and l.return_id = a.return_id and l.line = a.line
        """,
        tx.cell,
        [line.return_id for _, parts in arrived for line, _ in parts],
        [line.line for _, parts in arrived for line, _ in parts],
        [quantity for _, parts in arrived for _, quantity in parts],
    )
    await update_returns(tx, [ret for ret, _ in arrived])
    tx.emit(
        *(
            ReturnReceived(
                return_id=ret.id,
                number=ret.number,
                order_id=ret.order_id,
                person_id=ret.person_id,
                node=ret.node or "",
            )
            for ret, _ in arrived
        )
    )


async def expire(tx: Tx, *, most: int = 500) -> int:
    """Approved returns whose parcel never came end; what was refunded in advance is owed. How
    many."""
    due = await tx.values(
        """
        select id from returns.rma
         where cell = $1 and state = 'approved' and send_by <= $2 order by send_by, id limit $3
        """,
        tx.cell,
        tx.now,
        most,
    )
    found = await locked(tx, due)
    ended = [
        msgspec.structs.replace(r, state="expired", closed_at=tx.now, owed_minor=r.advance_minor)
        for r in found.returns.values()
        if r.state == "approved" and r.send_by is not None and r.send_by <= tx.now
    ]
    await close(tx, ended)
    return len(ended)


class _Late(msgspec.Struct, frozen=True):
    id: uuid.UUID
    number: str


async def list_overdue(tx: Tx, *, most: int = 500) -> int:
    """Received returns past their days to be graded are told, once: a person must look."""
    late = await tx.rows(
        _Late,
        """
        update returns.rma set listed_at = $2
         where cell = $1 and id in (
           select id from returns.rma
            where cell = $1 and state = 'received' and grade_by <= $2 and listed_at is null
            order by id limit $3 for update skip locked)
        returning id, number
        """,
        tx.cell,
        tx.now,
        most,
    )
    tx.emit(*(ReturnOverdue(return_id=one.id, number=one.number) for one in late))
    return len(late)


async def join(tx: Tx, joined: Sequence[tuple[uuid.UUID, uuid.UUID]]) -> None:
    """(guest, person): a guest's returns are the account's from the moment of signing in."""
    await tx.run(
        """
        update returns.rma r set person_id = j.person_id
          from unnest($2::uuid[], $3::uuid[]) as j(guest_id, person_id)
         where r.cell = $1 and r.person_id = j.guest_id
        """,
        tx.cell,
        [guest_id for guest_id, _ in joined],
        [person_id for _, person_id in joined],
    )


async def forget(tx: Tx, person_ids: Sequence[uuid.UUID]) -> None:
    """What erased people wrote goes; the books stay."""
    await tx.run(
        "update returns.rma set note = '' where cell = $1 and person_id = any($2::uuid[])",
        tx.cell,
        list(person_ids),
    )
