"""Questions about cash and tills; some can lock."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.ground import ledger
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import NotFound
from pinwheel.trade.payments.model import cash_owed
from pinwheel.trade.payments.tills import (
    CashCodeUnknown,
    CashDue,
    Receipt,
    Till,
    TillCount,
    read_pay_code,
    till,
)


async def due_of_code(tx: Tx, typed: str, *, locks: bool = False) -> CashDue:
    """The order whose code was typed. ``CashCodeUnknown``."""
    code = read_pay_code(typed)
    order_id = None
    if code is not None:
        order_id = await tx.value(
            "select order_id from payments.cash_due where cell = $1 and code = $2", tx.cell, code
        )
    if order_id is None:
        raise CashCodeUnknown()
    return await due_of_order(tx, order_id, locks=locks)


async def due_of_order(tx: Tx, order_id: uuid.UUID, *, locks: bool = False) -> CashDue:
    """``NotFound`` for an order that was not to be paid in cash. With ``locks`` two clerks wait for
    each other, and the deadline for both."""
    if locks:
        await tx.run(
            "select from payments.cash_due where cell = $1 and order_id = $2 for update",
            tx.cell,
            order_id,
        )
    found = await cash_dues(tx, [order_id])
    if not found:
        raise NotFound(what="cash payment")
    return found[0]


async def cash_dues(tx: Tx, order_ids: Sequence[uuid.UUID]) -> list[CashDue]:
    """What these orders owe in cash, and what waits for their buyers. 2 statements."""
    rows = await tx.rows(
        CashDue,
        """
        select d.payment_id, d.order_id, p.person_id, d.code, d.due_at, d.ended_at,
               p.amount_minor, p.captured_minor, p.currency, p.state, p.is_unwanted,
               0::bigint as owed_minor
          from payments.cash_due d
          join payments.payment p on p.cell = d.cell and p.id = d.payment_id
         where d.cell = $1 and d.order_id = any($2::uuid[]) order by d.payment_id
        """,
        tx.cell,
        list(order_ids),
    )
    if not rows:
        return []
    accounts = {r.order_id: cash_owed(r.order_id, r.currency) for r in rows}
    found = await ledger.balances(tx, list(accounts.values()))
    return [
        msgspec.structs.replace(r, owed_minor=found[accounts[r.order_id].code].posted) for r in rows
    ]


async def till_of(tx: Tx, till_id: uuid.UUID, *, locks: bool = False) -> Till:
    if locks:
        await tx.run(
            "select from payments.till where cell = $1 and id = $2 for update", tx.cell, till_id
        )
    found = [t for t in await tills(tx, till_id) if t.id == till_id]
    if not found:
        raise NotFound(what="till")
    return found[0]


async def tills(tx: Tx, till_id: uuid.UUID | None = None) -> list[Till]:
    """Every till (or one) with what should be in it, the open ones first. 2 statements."""
    rows = await tx.rows(
        Till,
        """
        select id, name, currency, hours, is_open, last_receipt, opened_at,
               0::bigint as inside_minor
          from payments.till where cell = $1 and ($2::uuid is null or id = $2)
         order by is_open desc, name
        """,
        tx.cell,
        till_id,
    )
    accounts = {r.id: till(r.id, r.currency) for r in rows}
    found = await ledger.balances(tx, list(accounts.values())) if rows else {}
    return [
        msgspec.structs.replace(r, inside_minor=found[accounts[r.id].code].posted) for r in rows
    ]


async def cash_currencies(tx: Tx) -> set[str]:
    """The currencies in which an open counter takes cash."""
    return set(
        await tx.values(
            "select distinct currency from payments.till where cell = $1 and is_open", tx.cell
        )
    )


async def receipt_of(
    tx: Tx, key: uuid.UUID | None = None, *, payment_id: uuid.UUID | None = None
) -> Receipt | None:
    """The receipt of a form's key, or of the cash that a payment took."""
    return await tx.row(
        Receipt,
        """
        select till_id, number, kind, payment_id, order_id, amount_minor, currency, made_at,
               made_by, key
          from payments.till_receipt
         where cell = $1 and (key = $2 or (payment_id = $3 and kind = 'taken'))
        """,
        tx.cell,
        key,
        payment_id,
    )


async def receipts(tx: Tx, till_id: uuid.UUID, *, most: int = 50) -> list[Receipt]:
    """A till's receipts, the latest first."""
    return await tx.rows(
        Receipt,
        """
        select till_id, number, kind, payment_id, order_id, amount_minor, currency, made_at,
               made_by, key
          from payments.till_receipt where cell = $1 and till_id = $2
         order by number desc limit $3
        """,
        tx.cell,
        till_id,
        most,
    )


async def till_counts(tx: Tx, till_id: uuid.UUID, *, most: int = 30) -> list[TillCount]:
    """A till's counts, the latest first."""
    return await tx.rows(
        TillCount,
        """
        select id, till_id, expected_minor, counted_minor, banked_minor, reason, made_at, made_by
          from payments.till_count where cell = $1 and till_id = $2
         order by made_at desc, id desc limit $3
        """,
        tx.cell,
        till_id,
        most,
    )
