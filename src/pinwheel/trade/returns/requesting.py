"""From the wish to the drop-off code: request, approve, reject, cancel, and the refund in advance.

Every verb takes a list and costs a constant number of statements (orders with several tenders
aside)."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import msgspec

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Journal, Transfer
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import NotFound, Refusal
from pinwheel.trade import orders, payments
from pinwheel.trade.orders import Order, OrderLine, Shipment
from pinwheel.trade.returns.exchanges import ExchangeIs
from pinwheel.trade.returns.looking import Locked, claims, histories, locked, policies
from pinwheel.trade.returns.model import (
    FAULTS,
    CategoryPolicy,
    History,
    NewReturn,
    NotSent,
    Policy,
    Reason,
    Return,
    ReturnApproved,
    ReturnClosed,
    ReturnIs,
    ReturnRequested,
    WindowOver,
    advances,
    receivable,
)
from pinwheel.trade.returns.refunding import Owing, refund
from pinwheel.trade.returns.rules import (
    Loaded,
    advance_limit,
    advance_of,
    arrived_at,
    decided,
    policy_for,
    score,
    strictest,
    window_end,
)
from pinwheel.trade.returns.sending import Chosen, Roads, closed_way, roads, write_ways
from pinwheel.trade.returns.trials import trials_of
from pinwheel.trade.returns.writing import insert_returns, update_returns


class _Surroundings(msgspec.Struct):
    """What requests are judged by."""

    orders: Loaded
    claimed: dict[tuple[uuid.UUID, int], int]
    shipments: dict[uuid.UUID, list[Shipment]]
    policies: tuple[dict[tuple[str, uuid.UUID], CategoryPolicy], dict[uuid.UUID, list[uuid.UUID]]]
    histories: dict[uuid.UUID, History]
    roads: Roads | None  # None: nobody of the call has chosen a way


async def request(tx: Tx, wishes: Sequence[NewReturn]) -> list[Return | Refusal]:
    """Ask to return what was sent. Approved at once where the law or the policy says so, with a
    refund in advance for the trusted; else a clerk decides.

    Refuses ``NotFound`` (no such order of this person), ``NotSent`` (more than was sent and is not
    being returned yet), ``WindowOver``, ``WayClosed`` and (raised) ``SlotFull``.
    Two requests at once wait for each other."""
    around = await _surroundings(tx, wishes)
    answers: list[Return | Refusal] = []
    fresh: list[tuple[Return, NewReturn]] = []
    for wish in wishes:
        answer = _judged(tx, wish, around)
        answers.append(answer)
        if isinstance(answer, Return):
            fresh.append((answer, wish))
            for line, quantity in _merged(wish.lines):
                key = (wish.order_id, line)
                around.claimed[key] = around.claimed.get(key, 0) + quantity
    if not fresh:
        return answers
    await insert_returns(tx, [(r, _merged(w.lines)) for r, w in fresh], around.orders)
    if around.roads is not None:
        await write_ways(tx, [_chosen(r, w) for r, w in fresh if w.way], around.roads)
    tx.emit(
        *(
            ReturnRequested(
                return_id=r.id,
                number=r.number,
                order_id=r.order_id,
                person_id=r.person_id,
                reason=r.reason,
            )
            for r, _ in fresh
        )
    )
    ready = [(r, _merged(w.lines)) for r, w in fresh if r.state == "approved"]
    tried = await trials_of(tx, [r.order_id for r, _ in fresh])
    swaps = {r.id for r, w in fresh if w.is_exchange or r.order_id in tried}
    approved = await _approved(tx, ready, around.orders, around.histories, swaps)
    return [approved.get(a.id, a) if isinstance(a, Return) else a for a in answers]


async def approve(tx: Tx, return_ids: Sequence[uuid.UUID]) -> list[Return | Refusal]:
    """A clerk says yes: the buyer may send it. Safe to repeat. Refuses ``NotFound``,
    ``ReturnIs``."""
    found = await locked(tx, return_ids)
    waiting = [
        (msgspec.structs.replace(r, state="approved"), _announced(found, r.id))
        for r in found.returns.values()
        if r.state == "requested"
    ]
    known = await histories(tx, [r.person_id for r, _ in waiting if r.person_id])
    swaps = set(
        await tx.values(
            """
            select return_id from returns.exchange
             where cell = $1 and return_id = any($2::uuid[]) and state <> 'ended'
            union
            select r.id from returns.rma r
              join returns.trial t on t.cell = r.cell and t.order_id = r.order_id
             where r.cell = $1 and r.id = any($2::uuid[])
            """,
            tx.cell,
            [r.id for r, _ in waiting],
        )
    )
    approved = await _approved(tx, waiting, found.orders, known, swaps)
    return [_answer(found, approved, i, {"approved"}) for i in return_ids]


async def reject(tx: Tx, refused: Sequence[tuple[uuid.UUID, str]]) -> list[Return | Refusal]:
    """A clerk says no, and why. Safe to repeat."""
    found = await locked(tx, [i for i, _ in refused])
    words = dict(refused)
    ended = [
        msgspec.structs.replace(r, state="rejected", answer=words[r.id], closed_at=tx.now)
        for r in found.returns.values()
        if r.state == "requested"
    ]
    await close(tx, ended)
    done = {r.id: r for r in ended}
    return [_answer(found, done, i, {"rejected"}) for i, _ in refused]


async def cancel(
    tx: Tx, return_ids: Sequence[uuid.UUID], *, person_id: uuid.UUID | None = None
) -> list[Return | Refusal]:
    """The buyer keeps it after all. What was refunded in advance is owed from then on. Safe to
    repeat. Refuses ``NotFound`` (also another person's), ``ReturnIs`` once it has arrived and
    ``ExchangeIs`` once its replacement was let go."""
    found = await locked(tx, return_ids)
    swapped = set(
        await tx.values(
            """
            select return_id from returns.exchange
             where cell = $1 and return_id = any($2::uuid[]) and state = 'released'
            """,
            tx.cell,
            list(return_ids),
        )
    )
    if person_id is not None:
        found.returns = {i: r for i, r in found.returns.items() if r.person_id == person_id}
    ended = [
        msgspec.structs.replace(r, state="cancelled", closed_at=tx.now, owed_minor=r.advance_minor)
        for r in found.returns.values()
        if r.state in ("requested", "approved") and r.id not in swapped
    ]
    await close(tx, ended)
    done = {r.id: r for r in ended}
    return [
        ExchangeIs(number=found.returns[i].number)
        if i in swapped and i in found.returns
        else _answer(found, done, i, {"cancelled"})
        for i in return_ids
    ]


async def close(tx: Tx, ended: Sequence[Return]) -> None:
    """Returns that end without goods: written, told, and what is owed moves to the receivables."""
    if not ended:
        return
    answers = await ledger.post(
        tx,
        [
            Journal(
                document_kind="order",
                document_id=r.order_id,
                key=f"return:{r.id}:owed",
                reason="refunded in advance, not returned",
                transfers=(Transfer(receivable(r.currency), advances(r.currency), r.owed_minor),),
            )
            for r in ended
            if r.owed_minor
        ],
    )
    for answer in answers:
        if isinstance(answer, Refusal):
            raise answer
    await update_returns(tx, ended)
    tx.emit(
        *(
            ReturnClosed(
                return_id=r.id,
                number=r.number,
                order_id=r.order_id,
                person_id=r.person_id,
                state=r.state,
                owed_minor=r.owed_minor,
            )
            for r in ended
        )
    )


async def _surroundings(tx: Tx, wishes: Sequence[NewReturn]) -> _Surroundings:
    order_ids = sorted({w.order_id for w in wishes})
    found = await orders.locked_orders(tx, order_ids)
    shipments: dict[uuid.UUID, list[Shipment]] = {i: [] for i in order_ids}
    for shipment in await orders.shipments_of(tx, order_ids):
        shipments[shipment.order_id].append(shipment)
    return _Surroundings(
        orders=found,
        claimed=await claims(tx, order_ids),
        shipments=shipments,
        policies=await policies(
            tx,
            [order.market for order, _ in found.values()],
            [line.variant_id for _, lines in found.values() for line in lines],
        ),
        histories=await histories(
            tx, [order.person_id for order, _ in found.values() if order.person_id]
        ),
        roads=await roads(tx) if any(w.way is not None for w in wishes) else None,
    )


def _merged(lines: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """One entry for each line, however often it is named."""
    merged: dict[int, int] = {}
    for line, quantity in lines:
        merged[line] = merged.get(line, 0) + quantity
    return list(merged.items())


def _chosen(ret: Return, wish: NewReturn) -> Chosen:
    return Chosen(
        return_id=ret.id,
        market=ret.market,
        kind=wish.way or "own",
        freight_minor=ret.policy.freight_minor,
        slot=wish.slot,
    )


def _judged(tx: Tx, wish: NewReturn, around: _Surroundings) -> Return | Refusal:
    found = around.orders.get(wish.order_id)
    if found is None or (wish.person_id is not None and found[0].person_id != wish.person_id):
        return NotFound(what="order")
    order, lines = found
    by_number = {line.line: line for line in lines}
    unsent = _unsent(order, by_number, wish, around.claimed)
    if unsent is not None:
        return unsent
    stored, paths = around.policies
    numbers = sorted({line for line, _ in wish.lines})
    each = {
        n: policy_for(order.market, paths.get(by_number[n].variant_id, ()), stored) for n in numbers
    }
    arrivals = []
    for number in numbers:
        arrived = arrived_at(around.shipments[order.id], number)
        if arrived is not None:
            until = window_end(each[number], order.country, wish.reason, arrived)
            if tx.now > until:
                return WindowOver(number=order.number, until=until.date().isoformat())
            arrivals.append(arrived)
    policy, first = strictest(list(each.values())), min(arrivals, default=None)
    if wish.way is not None and around.roads is not None:
        refused = closed_way(around.roads, order.market, order.country, wish.way)
        if refused is not None:
            return refused
        part = around.roads.freight(order.market, wish.way, policy, fault=wish.reason in FAULTS)
        policy = msgspec.structs.replace(policy, freight_minor=part)
    return _asked(tx, wish, order, policy, first, around.histories)


def _unsent(
    order: Order,
    by_number: dict[int, OrderLine],
    wish: NewReturn,
    claimed: dict[tuple[uuid.UUID, int], int],
) -> NotSent | None:
    for number, quantity in _merged(wish.lines) or [(0, 0)]:
        line = by_number.get(number)
        taken = claimed.get((order.id, number), 0)
        left = line.shipped - line.returned - taken if line else 0
        bad = any(n <= 0 for asked, n in wish.lines if asked == number)
        if line is None or bad or not 0 < quantity <= left:
            return NotSent(line=number, number=order.number, left=max(0, left), asked=quantity)
    return None


def _asked(
    tx: Tx,
    wish: NewReturn,
    order: Order,
    policy: Policy,
    arrived: dt.datetime | None,
    known: dict[uuid.UUID, History],
) -> Return:
    history = known.get(order.person_id) if order.person_id else None
    points, reasons = score(history or History())
    why = decided(policy, order.country, wish.reason, arrived, tx.now, points)
    return_id = tx.new_id()
    looked_at = Reason("A person looks at it", "需人工审核")
    return Return(
        id=return_id,
        number=f"R-{orders.number_of(return_id)}",
        order_id=order.id,
        person_id=order.person_id,
        state="requested" if why is None else "approved",
        reason=wish.reason,
        note=wish.note,
        market=order.market,
        currency=order.currency,
        policy=policy,
        score=points,
        reasons=[*reasons, why or looked_at],
        answer="",
        node=None,
        advance_minor=0,
        carried_minor=0,
        delivery_minor=0,
        freight_minor=0,
        withheld_minor=0,
        refund_minor=0,
        owed_minor=0,
        requested_at=tx.now,
        send_by=None,
        received_at=None,
        grade_by=None,
        closed_at=None,
    )


async def _approved(
    tx: Tx,
    ready: Sequence[tuple[Return, list[tuple[int, int]]]],
    found: Loaded,
    known: dict[uuid.UUID, History],
    swaps: AbstractSet[uuid.UUID],
) -> dict[uuid.UUID, Return]:
    """Written and told as approved, those who are trusted with their refund in advance; a piece
    that is exchanged or only tried (``swaps``) is not refunded."""
    if not ready:
        return {}
    limits = {
        r.id: advance_limit(r.policy, known.get(r.person_id) or History(), r.score, r.reason)
        if r.person_id and r.id not in swaps
        else 0
        for r, _ in ready
    }
    owing = []
    for r, announced in ready:
        by_number = {line.line: line for line in found[r.order_id][1]}
        parts = [(by_number[line], quantity) for line, quantity in announced]
        freight = 0 if r.reason in FAULTS else r.policy.freight_minor
        amount = advance_of(parts, freight)
        if 0 < amount <= limits[r.id]:
            owing.append(Owing(uuid.uuid5(r.id, "advance"), r.order_id, amount, "in advance"))
    refused = await refund(tx, owing)
    given = {o.id: o for o in owing if o.id not in refused}
    done = []
    for r, _ in ready:
        advance = given.get(uuid.uuid5(r.id, "advance"))
        done.append(
            msgspec.structs.replace(
                r,
                state="approved",
                send_by=tx.later_than(r.policy.send_days * 86_400),
                advance_minor=advance.amount_minor if advance else 0,
            )
        )
    await _advanced(tx, [r for r in done if r.advance_minor])
    await update_returns(tx, done)
    tx.emit(
        *(
            ReturnApproved(
                return_id=r.id,
                number=r.number,
                order_id=r.order_id,
                person_id=r.person_id,
                advance_minor=r.advance_minor,
            )
            for r in done
        )
    )
    return {r.id: r for r in done}


async def _advanced(tx: Tx, given: Sequence[Return]) -> None:
    """The books of refunds in advance: an asset until the goods are here."""
    if not given:
        return
    answers = await ledger.post(
        tx,
        [
            Journal(
                document_kind="order",
                document_id=r.order_id,
                key=f"return:{r.id}:advance",
                reason="refund in advance",
                transfers=(
                    Transfer(advances(r.currency), payments.deposits(r.currency), r.advance_minor),
                ),
            )
            for r in given
        ],
    )
    for answer in answers:
        if isinstance(answer, Refusal):
            raise answer
    sums: dict[uuid.UUID, int] = {}
    for r in given:
        sums[r.order_id] = sums.get(r.order_id, 0) + r.advance_minor
    await orders.note_returned(tx, [], sums)


def _announced(found: Locked, return_id: uuid.UUID) -> list[tuple[int, int]]:
    return [(line.line, line.quantity) for line in found.lines[return_id]]


def _answer(
    found: Locked, done: dict[uuid.UUID, Return], return_id: uuid.UUID, same: set[str]
) -> Return | Refusal:
    """What was done, what had been done before, or why not."""
    if return_id in done:
        return done[return_id]
    before = found.returns.get(return_id)
    if before is None:
        return NotFound(what="return")
    if before.state in same:
        return before
    return ReturnIs(number=before.number, state=before.state)
