"""Cash at a counter, the verbs: an order begins to wait, a clerk takes the money or hands it out, a
till is opened and counted.

The saga is the orders' own: until somebody pays the payment is open and the order waits; past its
deadline the payment has failed and the order ends; cash that comes later is a late payment, and the
order lives again if its goods are still there."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Sequence

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Journal, Transfer
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Forbidden, Invalid, Refusal
from pinwheel.trade.payments.cash_queries import due_of_code, due_of_order, receipt_of, till_of
from pinwheel.trade.payments.model import (
    NewPayment,
    Outcome,
    bank,
    cash_owed,
    store_credit,
)
from pinwheel.trade.payments.tills import (
    CashAlreadyTaken,
    CashAmountDiffers,
    CashDue,
    CashNotHere,
    CashOrderEnded,
    CashPaidOut,
    CashTaken,
    NothingOwed,
    Receipt,
    Till,
    TillClosed,
    TillCount,
    TillCounted,
    TillMoved,
    TillOtherCurrency,
    TillTooLow,
    pay_code,
    till,
    till_difference,
)

LATE = "not paid in time"


async def await_cash(tx: Tx, payments: Sequence[NewPayment]) -> dict[uuid.UUID, Refusal]:
    """Give each payment a code and a deadline, and take the deadline off what is reserved for its
    order: it waits as long. Those for which no counter is open are refused."""
    hours: dict[str, int] = {
        row[0]: row[1]
        for row in await tx.connection.fetch(
            "select currency, max(hours) from payments.till"
            " where cell = $1 and is_open group by currency",
            tx.cell,
        )
    }
    refused: dict[uuid.UUID, Refusal] = {
        p.id: CashNotHere(currency=p.currency) for p in payments if p.currency not in hours
    }
    waiting = {p.id: p for p in payments if p.id not in refused}
    for _ in range(5):  # a code that is taken is drawn again
        if not waiting:
            break
        written = await _write_due(tx, list(waiting.values()), hours)
        waiting = {i: p for i, p in waiting.items() if i not in written}
    return refused


async def _write_due(
    tx: Tx, payments: Sequence[NewPayment], hours: dict[str, int]
) -> set[uuid.UUID]:
    return set(
        await tx.values(
            """
            insert into payments.cash_due (cell, payment_id, order_id, code, due_at)
            select $1, d.payment_id, d.order_id, d.code, d.due_at
              from unnest($2::uuid[], $3::uuid[], $4::text[], $5::timestamptz[])
                   as d(payment_id, order_id, code, due_at)
            on conflict do nothing returning payment_id
            """,
            tx.cell,
            [p.id for p in payments],
            [p.order_id for p in payments],
            [pay_code(secrets.randbelow(10**11)) for _ in payments],
            [tx.later_than(hours[p.currency] * 3600) for p in payments],
        )
    )


async def cash_overdue(tx: Tx, *, most: int = 200) -> list[Outcome]:
    """What to record of payments whose deadline is over: they have failed. Marks their rows."""
    ended: list[uuid.UUID] = await tx.values(
        """
        update payments.cash_due d set ended_at = $2
          from (select payment_id from payments.cash_due
                 where cell = $1 and ended_at is null and due_at <= $2
                 order by due_at limit $3 for update skip locked) due
         where d.cell = $1 and d.payment_id = due.payment_id
        returning d.payment_id
        """,
        tx.cell,
        tx.now,
        most,
    )
    return [Outcome(payment_id=i, state="failed", reason=LATE) for i in ended]


async def prepare_cash(
    tx: Tx, code: str, till_id: uuid.UUID, amount_minor: int, *, key: uuid.UUID
) -> Receipt | Outcome:
    """The first half of taking cash: it is in the till, with a receipt. What is to be recorded, or
    the receipt of a repeat."""
    before = await receipt_of(tx, key)
    if before is not None:
        return before
    due = await due_of_code(tx, code, locks=True)
    drawer = await _open_till(tx, till_id, due)
    if due.captured_minor:
        paid = await receipt_of(tx, payment_id=due.payment_id)
        raise CashAlreadyTaken(receipt=paid.number if paid is not None else "")
    if due.is_unwanted:
        raise CashOrderEnded(why="called off")
    if amount_minor != due.amount_minor:
        raise CashAmountDiffers(due=due.amount_minor, given=amount_minor, currency=due.currency)
    transfer = Transfer(
        till(drawer.id, due.currency), cash_owed(due.order_id, due.currency), amount_minor
    )
    await _post(tx, due.payment_id, "taken", "cash taken", transfer)
    await _write_receipt(tx, drawer, due, "taken", amount_minor, key)
    await tx.run(
        "update payments.cash_due set ended_at = coalesce(ended_at, $3)"
        " where cell = $1 and payment_id = $2",
        tx.cell,
        due.payment_id,
        tx.now,
    )
    return Outcome(
        payment_id=due.payment_id,
        state="captured",
        authorised_minor=amount_minor,
        captured_minor=amount_minor,
        currency=due.currency,
    )


async def cash_was_taken(tx: Tx, key: uuid.UUID) -> Receipt:
    """The second half, after the recording: the fact, told after all that follows from the
    payment."""
    receipt = await receipt_of(tx, key)
    assert receipt is not None
    tx.emit(
        CashTaken(
            order_id=receipt.order_id,
            payment_id=receipt.payment_id,
            till_id=receipt.till_id,
            amount_minor=receipt.amount_minor,
            currency=receipt.currency,
        )
    )
    return receipt


async def pay_out_cash(
    tx: Tx, code: str, till_id: uuid.UUID, amount_minor: int, *, key: uuid.UUID
) -> Receipt:
    """Hand a buyer what a refund has put ready for them. A repeat of ``key`` answers with its
    receipt. Refuses ``CashCodeUnknown``, ``NothingOwed``, ``TillTooLow``, ``TillClosed``."""
    before = await receipt_of(tx, key)
    if before is not None:
        return before
    if amount_minor <= 0:
        raise Invalid("amount_minor", "an amount must be positive", "金额必须为正")
    due = await due_of_code(tx, code, locks=True)
    drawer = await _open_till(tx, till_id, due)
    if amount_minor > due.owed_minor:
        raise NothingOwed(left=due.owed_minor, asked=amount_minor, currency=due.currency)
    if amount_minor > drawer.inside_minor:
        raise TillTooLow(name=drawer.name, left=drawer.inside_minor, asked=amount_minor)
    transfer = Transfer(
        cash_owed(due.order_id, due.currency), till(drawer.id, due.currency), amount_minor
    )
    await _post(tx, due.payment_id, f"paid out:{key}", "cash paid out", transfer)
    receipt = await _write_receipt(tx, drawer, due, "paid_out", amount_minor, key)
    tx.emit(
        CashPaidOut(
            order_id=due.order_id,
            payment_id=due.payment_id,
            till_id=till_id,
            amount_minor=amount_minor,
            currency=due.currency,
        )
    )
    return receipt


async def owed_to_credit(tx: Tx, person_id: uuid.UUID, order_id: uuid.UUID) -> int:
    """The buyer would rather have store credit than cash at the counter: what was moved, 0 when
    nothing waits. ``NotFound`` for another's order."""
    due = await due_of_order(tx, order_id, locks=True)
    if due.person_id != person_id:
        raise Forbidden()
    if due.owed_minor:
        transfer = Transfer(
            cash_owed(order_id, due.currency),
            store_credit(person_id, due.currency),
            due.owed_minor,
        )
        await _post(tx, due.payment_id, f"credited:{tx.new_id()}", "cash as credit", transfer)
    return due.owed_minor


async def open_till(
    tx: Tx, name: str, currency: str, *, float_minor: int = 0, hours: int = 48
) -> uuid.UUID:
    """A new till, or an old one of this name opened again, with so much change from the bank.
    Refuses ``Invalid``."""
    if not name.strip() or not 1 <= hours <= 720 or float_minor < 0:
        raise Invalid(
            "name", "a name, 1 to 720 hours, no negative float", "请填写名称及 1–720 小时"
        )
    till_id: uuid.UUID | None = await tx.value(
        """
        insert into payments.till (cell, id, name, currency, hours, is_open, opened_at)
        values ($1, $2, $3, $4, $5, true, $6)
        on conflict (name, cell) do update set is_open = true, hours = excluded.hours
         where payments.till.currency = excluded.currency
        returning id
        """,
        tx.cell,
        tx.new_id(),
        name.strip(),
        currency,
        hours,
        tx.now,
    )
    if till_id is None:
        raise Invalid("name", "a till of this name is in another currency", "同名收银台币种不同")
    if float_minor:
        moved = Transfer(till(till_id, currency), bank(currency), float_minor)
        await _post(tx, till_id, f"float:{tx.new_id()}", "change for the till", moved)
    return till_id


async def count_till(
    tx: Tx,
    till_id: uuid.UUID,
    counted_minor: int,
    *,
    seen_minor: int,
    banked_minor: int = 0,
    reason: str = "",
    closes: bool = True,
) -> TillCount:
    """Count a till: a difference is booked with its reason, and what goes to the bank leaves it.
    ``seen_minor`` is what the till should have held when the counting began. Refuses ``TillMoved``,
    ``Invalid``, ``TillClosed``."""
    drawer = await till_of(tx, till_id, locks=True)
    if not drawer.is_open:
        raise TillClosed(name=drawer.name)
    expected = drawer.inside_minor
    if seen_minor != expected:
        raise TillMoved(expected=expected, seen=seen_minor)
    if not 0 <= banked_minor <= counted_minor:
        raise Invalid("banked_minor", "no more than was counted", "不得多于清点金额")
    if counted_minor != expected and not reason.strip():
        raise Invalid("reason", "say why the count differs", "请说明差额原因")
    count = TillCount(
        id=tx.new_id(),
        till_id=till_id,
        expected_minor=expected,
        counted_minor=counted_minor,
        banked_minor=banked_minor,
        reason=reason.strip(),
        made_at=tx.now,
        made_by=tx.actor,
    )
    await _book_count(tx, drawer, count)
    await tx.run(
        """
        with shut as (update payments.till set is_open = not $10 where cell = $1 and id = $3)
        insert into payments.till_count (cell, id, till_id, expected_minor, counted_minor,
               banked_minor, reason, made_at, made_by)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
        """,
        tx.cell,
        count.id,
        till_id,
        expected,
        counted_minor,
        banked_minor,
        count.reason,
        tx.now,
        tx.actor,
        closes,
    )
    return count


async def _book_count(tx: Tx, drawer: Till, count: TillCount) -> None:
    inside, lost = till(drawer.id, drawer.currency), till_difference(drawer.currency)
    difference = count.counted_minor - count.expected_minor
    if difference:
        way = (lost, inside) if difference < 0 else (inside, lost)
        why = f"till difference: {count.reason}"
        await _post(tx, count.id, "difference", why, Transfer(*way, abs(difference)))
    if count.banked_minor:
        moved = Transfer(bank(drawer.currency), inside, count.banked_minor)
        await _post(tx, count.id, "banked", "cash to the bank", moved)
    tx.emit(
        TillCounted(
            till_id=drawer.id,
            expected_minor=count.expected_minor,
            counted_minor=count.counted_minor,
            banked_minor=count.banked_minor,
            currency=drawer.currency,
            reason=count.reason,
        )
    )


async def _open_till(tx: Tx, till_id: uuid.UUID, due: CashDue) -> Till:
    drawer = await till_of(tx, till_id, locks=True)
    if not drawer.is_open:
        raise TillClosed(name=drawer.name)
    if drawer.currency != due.currency:
        raise TillOtherCurrency(name=drawer.name, currency=drawer.currency, asked=due.currency)
    return drawer


async def _write_receipt(
    tx: Tx, drawer: Till, due: CashDue, kind: str, amount_minor: int, key: uuid.UUID
) -> Receipt:
    """Numbers run without a gap: the till's row is locked until the commit."""
    return await tx.the(
        "receipt",
        Receipt,
        """
        with numbered as (
          update payments.till set last_receipt = last_receipt + 1
           where cell = $1 and id = $2 returning last_receipt
        )
        insert into payments.till_receipt (cell, till_id, number, key, kind, payment_id, order_id,
               amount_minor, currency, made_at, made_by)
        select $1, $2, last_receipt, $3, $4, $5, $6, $7, $8, $9, $10 from numbered
        returning till_id, number, kind, payment_id, order_id, amount_minor, currency, made_at,
                  made_by, key
        """,
        tx.cell,
        drawer.id,
        key,
        kind,
        due.payment_id,
        due.order_id,
        amount_minor,
        due.currency,
        tx.now,
        tx.actor,
    )


async def _post(tx: Tx, document_id: uuid.UUID, key: str, reason: str, moved: Transfer) -> None:
    [answer] = await ledger.post(
        tx,
        [
            Journal(
                document_kind="till",
                document_id=document_id,
                key=key,
                reason=reason,
                transfers=(moved,),
            )
        ],
    )
    if isinstance(answer, Refusal):
        raise answer
