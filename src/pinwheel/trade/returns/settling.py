"""Grading and settling: the piece finds its place, the money its owner, in one journal."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from collections.abc import Set as AbstractSet

import msgspec

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Account, Journal, Transfer
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import NotFound, Refusal
from pinwheel.trade import inventory, orders, payments
from pinwheel.trade.orders import OrderLine
from pinwheel.trade.returns.looking import Locked, locked
from pinwheel.trade.returns.model import (
    GradesDontFit,
    Grading,
    Offered,
    Return,
    ReturnIs,
    ReturnLine,
    ReturnRefunded,
    Settled,
    advances,
    freight_income,
    inspection,
    receivable,
    withheld,
)
from pinwheel.trade.returns.refunding import Owing, refund
from pinwheel.trade.returns.resale import offer
from pinwheel.trade.returns.rules import (
    carried,
    disposition,
    goes_to,
    is_whole,
    outlet_place,
    settle,
)
from pinwheel.trade.returns.trials import trials_of
from pinwheel.trade.returns.trying import cover
from pinwheel.trade.returns.writing import update_returns


class _Planned(msgspec.Struct, kw_only=True):
    """One return as it will be settled. ``money``: (line, net, tax)."""

    before: Return
    grading: Grading
    lines: dict[int, ReturnLine]
    money: list[tuple[OrderLine, int, int]]
    delivery: tuple[int, int]
    settled: Settled
    country: str
    on_trial: bool = False

    @property
    def after(self) -> Return:
        figures = {f: getattr(self.settled, f) for f in _FIGURES}
        return msgspec.structs.replace(
            self.before, state="refunded", answer=self.grading.why or self.before.answer, **figures
        )


_FIGURES = (
    *("carried_minor", "delivery_minor", "freight_minor", "withheld_minor"),
    *("owed_minor", "refund_minor"),
)


async def grade_and_refund(tx: Tx, gradings: Sequence[Grading]) -> list[Return | Refusal]:
    """Grade what was received and settle it: stock goes where its grade sends it, income is
    reversed, the buyer is refunded what the pieces were paid with.

    Each return whole or not at all; safe to repeat. Refuses ``NotFound``, ``ReturnIs`` (not
    received), ``GradesDontFit``, ``WithholdTooMuch``, and ``RefundTooLarge`` where the money has
    gone back another way (a chargeback: grade again and withhold it). About 25 statements for any
    number, where orders were paid by one tender."""
    found = await locked(tx, [g.return_id for g in gradings])
    trials = await trials_of(tx, list(found.orders))
    trying = {i for i, t in trials.items() if t.state in ("placed", "trying")}
    answers: dict[uuid.UUID, Return | Refusal] = {}
    planned: list[_Planned] = []
    returned: dict[tuple[uuid.UUID, int], int] = {}
    for grading in gradings:
        if grading.return_id in answers:
            continue
        plan = _plan(grading, found, returned, trying)
        if isinstance(plan, _Planned):
            planned.append(plan)
            answers[grading.return_id] = msgspec.structs.replace(plan.after, closed_at=tx.now)
        else:
            answers[grading.return_id] = plan
    refused = await _refunded(tx, planned)
    if refused:
        # The shares of others may rest on a refused one: they are planned again without it.
        rest = [g for g in gradings if g.return_id not in refused]
        done = iter(await grade_and_refund(tx, rest) if rest else ())
        return [refused[g.return_id] if g.return_id in refused else next(done) for g in gradings]
    await _write(tx, planned)
    return [answers[g.return_id] for g in gradings]


class _Undone(Exception):
    """Some refunds were refused: none of this call's is asked for yet."""


async def _refunded(tx: Tx, planned: Sequence[_Planned]) -> dict[uuid.UUID, Refusal]:
    """Ask for all refunds, or for none and who is refused."""
    refused: dict[uuid.UUID, Refusal] = {}
    try:
        async with tx.savepoint():
            refused = await refund(
                tx,
                [
                    Owing(
                        p.before.id,
                        p.before.order_id,
                        p.settled.refund_minor,
                        f"return {p.before.number}",
                    )
                    for p in planned
                ],
            )
            if refused:
                raise _Undone
    except _Undone:
        return refused
    return {}


def _plan(
    grading: Grading,
    found: Locked,
    returned: dict[tuple[uuid.UUID, int], int],
    trying: AbstractSet[uuid.UUID],
) -> _Planned | Return | Refusal:
    """How a return is settled; itself when it was before; or why not. ``returned`` is what this
    call has taken back already."""
    ret = found.returns.get(grading.return_id)
    if ret is None:
        return NotFound(what="return")
    if ret.state == "refunded":
        return ret
    if ret.state != "received":
        return ReturnIs(number=ret.number, state=ret.state)
    lines = {line.line: line for line in found.lines[ret.id] if line.received}
    misfit = _misfit(ret, lines, grading)
    if misfit is not None:
        return misfit
    order, order_lines = found.orders[ret.order_id]
    by_number = {line.line: line for line in order_lines}
    money = []
    for number, line in sorted(lines.items()):
        of = by_number[number]
        before = of.returned + returned.get((order.id, number), 0)
        money.append((of, *carried(of, before, line.received)))
    back = {n: returned.get((order.id, n), 0) for n in by_number}
    for number, line in lines.items():
        back[number] += line.received
    delivery = (0, 0)
    if ret.policy.refunds_delivery and is_whole(order, order_lines, back):
        delivery = orders.delivery_money(order)
    goods = sum(net + tax for _, net, tax in money)
    on_trial = order.id in trying
    if on_trial:  # nothing was paid: what it comes to is covered, whatever it is
        ret = msgspec.structs.replace(ret, advance_minor=goods + sum(delivery))
    settled = settle(ret, goods, sum(delivery), grading.withhold_minor)
    if isinstance(settled, Refusal):
        return settled
    if on_trial:
        ret = msgspec.structs.replace(ret, advance_minor=settled.covered_minor)
        settled = msgspec.structs.replace(settled, owed_minor=0)
    for number in lines:
        returned[order.id, number] = back[number]
    return _Planned(
        before=ret,
        grading=grading,
        lines=lines,
        money=money,
        delivery=delivery,
        settled=settled,
        country=order.country,
        on_trial=on_trial,
    )


def _misfit(ret: Return, lines: dict[int, ReturnLine], grading: Grading) -> Refusal | None:
    """Are all received pieces graded, and no others?"""
    graded: dict[int, int] = {}
    for part in grading.lines:
        graded[part.line] = graded.get(part.line, 0) + part.quantity
    for number in sorted(graded.keys() | lines.keys()):
        received = lines[number].received if number in lines else 0
        if graded.get(number, 0) != received or any(p.quantity <= 0 for p in grading.lines):
            return GradesDontFit(
                number=ret.number, line=number, received=received, graded=graded.get(number, 0)
            )
    return None


async def _write(tx: Tx, planned: Sequence[_Planned]) -> None:
    if not planned:
        return
    targets = [
        inventory.Place(*where)
        for where in sorted({w for p in planned for w in _sellable_places(p)})
    ]
    await inventory.open_positions(tx, targets)
    for answer in await ledger.post(tx, [_journal(p) for p in planned]):
        if isinstance(answer, Refusal):
            raise answer
    sums: dict[uuid.UUID, int] = {}
    for p in planned:
        sums[p.before.order_id] = sums.get(p.before.order_id, 0) + p.settled.refund_minor
    parts = [(p.before.order_id, n, line.received) for p in planned for n, line in p.lines.items()]
    await orders.note_returned(tx, parts, sums)
    tried: dict[uuid.UUID, int] = {}
    for p in planned:
        if p.on_trial:
            order_id = p.before.order_id
            tried[order_id] = tried.get(order_id, 0) + p.settled.covered_minor
    if tried:
        await cover(tx, tried)
    await update_returns(tx, [msgspec.structs.replace(p.after, closed_at=tx.now) for p in planned])
    await _write_lines(tx, planned)
    await offer(tx, [o for p in planned for o in _offered(p)])
    if targets:
        changed = sorted({place.variant_id for place in targets})
        tx.emit(inventory.AvailabilityChanged(variant_ids=changed))
    tx.emit(*(_told(p) for p in planned))


def _place(p: _Planned, line: ReturnLine) -> inventory.Place:
    return inventory.Place(line.seller_id, p.before.node or "", line.variant_id)


def _sellable_places(p: _Planned) -> list[tuple[uuid.UUID, str, uuid.UUID]]:
    found = []
    for part in p.grading.lines:
        line = p.lines[part.line]
        becomes = disposition(line.seller_id, part.grade)
        place = _place(p, line)
        if becomes == "resale":
            place = outlet_place(place)
        if becomes in ("restock", "resale"):
            found.append((place.seller_id, place.node, place.variant_id))
    return found


def _offered(p: _Planned) -> list[Offered]:
    """What the outlet gets to sell."""
    paid = {line.line: line.unit_price_minor for line, _, _ in p.money}
    return [
        Offered(
            p.lines[part.line].variant_id,
            p.before.currency,
            paid[part.line],
            p.before.policy.resale_basis_points,
        )
        for part in p.grading.lines
        if disposition(p.lines[part.line].seller_id, part.grade) == "resale"
    ]


def _journal(p: _Planned) -> Journal:
    """Stock out of inspection, income back to the buyer's deposit, and from there to whom it is
    due."""
    transfers = []
    for part in p.grading.lines:
        line = p.lines[part.line]
        place = _place(p, line)
        target = goes_to(place, disposition(line.seller_id, part.grade))
        transfers.append(Transfer(target, inspection(place), part.quantity))
    ret, settled = p.before, p.settled
    deposits = payments.deposits(ret.currency)
    taxes = orders.tax_payable(p.country, ret.currency)
    back: list[tuple[Account, Account, int]] = []
    for of, net, tax in p.money:
        back += [(orders.sales(of.seller_id, ret.currency), deposits, net), (taxes, deposits, tax)]
    net, tax = p.delivery
    back += [(orders.delivery_income(ret.currency), deposits, net), (taxes, deposits, tax)]
    was_owed = ret.owed_minor > 0
    lent = receivable(ret.currency) if was_owed else advances(ret.currency)
    back += [
        (deposits, lent, settled.covered_minor),
        (deposits, freight_income(ret.currency), settled.freight_minor),
        (deposits, withheld(ret.currency), settled.withheld_minor),
    ]
    if not was_owed:
        owed = (receivable(ret.currency), advances(ret.currency), settled.owed_minor)
        back.append(owed)
    transfers += [Transfer(debit, credit, amount) for debit, credit, amount in back if amount]
    return Journal(
        document_kind="order",
        document_id=ret.order_id,
        key=f"return:{ret.id}:settled",
        reason=f"return {ret.number}",
        transfers=tuple(transfers),
    )


async def _write_lines(tx: Tx, planned: Sequence[_Planned]) -> None:
    """What each line carried, and each grade. One statement."""
    graded: dict[tuple[uuid.UUID, int, str], tuple[int, str, dict[str, bool]]] = {}
    for p in planned:
        for part in p.grading.lines:
            key = (p.before.id, part.line, part.grade)
            before, _, checked = graded.get(key, (0, "", {}))
            becomes = disposition(p.lines[part.line].seller_id, part.grade)
            graded[key] = (before + part.quantity, becomes, checked | part.checklist)
    money = [(p.before.id, line.line, net, tax) for p in planned for line, net, tax in p.money]
    await tx.run(
        """
        with line as (
          update returns.line l set net_minor = m.net, tax_minor = m.tax
            from unnest($4::uuid[], $5::smallint[], $6::bigint[], $7::bigint[])
                 as m(return_id, line, net, tax)
           where l.cell = $1 and l.return_id = m.return_id and l.line = m.line
        )
        insert into returns.grading (cell, return_id, line, grade, quantity, disposition,
               checklist, graded_by, graded_at)
        select $1, g.return_id, g.line, g.grade, g.quantity, g.disposition, g.checklist::jsonb, $3,
               $2
          from unnest($8::uuid[], $9::smallint[], $10::text[], $11::bigint[], $12::text[],
                      $13::text[]) as g(return_id, line, grade, quantity, disposition, checklist)
        """,
        tx.cell,
        tx.now,
        tx.actor,
        [m[0] for m in money],
        [m[1] for m in money],
        [m[2] for m in money],
        [m[3] for m in money],
        [return_id for return_id, _, _ in graded],
        [line for _, line, _ in graded],
        [grade for _, _, grade in graded],
        [quantity for quantity, _, _ in graded.values()],
        [becomes for _, becomes, _ in graded.values()],
        [msgspec.json.encode(checked).decode() for _, _, checked in graded.values()],
    )


def _told(p: _Planned) -> ReturnRefunded:
    return ReturnRefunded(
        return_id=p.before.id,
        number=p.before.number,
        order_id=p.before.order_id,
        person_id=p.before.person_id,
        refund_minor=p.settled.refund_minor,
        owed_minor=p.settled.owed_minor,
        currency=p.before.currency,
        lines=[(of.line, of.seller_id, p.lines[of.line].received, net, tax)
               for of, net, tax in p.money],
    )  # fmt: skip
