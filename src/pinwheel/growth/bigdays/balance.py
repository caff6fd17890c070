"""The balance of a deposit: lent to the order that pays it, and back when that comes to nothing."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.ground import ledger
from pinwheel.growth.bigdays import presale
from pinwheel.growth.bigdays.model import Deposit, DepositEnded, deposit_account
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade import orders, payments, promotions


async def of_orders(tx: Tx, order_ids: Sequence[uuid.UUID]) -> list[Deposit]:
    """The deposits that these orders pay the balance of, under lock."""
    return await tx.rows(
        Deposit,
        """
        select id, event_id, promotion_id, offer_id, person_id, market, currency, deposit_minor,
               price_minor, policy, balance_from, balance_until, state, why, order_id, lent_minor
          from bigdays.deposit where cell = $1 and order_id = any($2::uuid[])
         order by id for update
        """,
        tx.cell,
        list(order_ids),
    )


async def lend(tx: Tx, asked: Sequence[tuple[uuid.UUID, Deposit]]) -> list[ledger.Posted | Refusal]:
    """(order, deposit): the deposit becomes the buyer's store credit, for this order to take in
    the same transaction. Refused where another order, or the clock, was first."""
    moves = []
    for order_id, deposit in asked:
        assert deposit.person_id is not None
        mine = deposit_account(deposit.id, deposit.currency)
        credit = payments.store_credit(deposit.person_id, deposit.currency)
        transfer = ledger.Transfer(mine, credit, deposit.lent_minor)
        moves.append((deposit, f"balance:{order_id}", transfer))
    return await presale.move(tx, moves)


async def note_asked(tx: Tx, asked: Sequence[tuple[uuid.UUID, uuid.UUID]]) -> None:
    """The batch is through: orders that stand have their deposits; of those that fell the deposit
    comes back before anybody could spend it."""
    standing = set(
        await tx.values(
            "select order_id from orders.v_purchase where cell = $1 and order_id = any($2::uuid[])",
            tx.cell,
            [order_id for order_id, _ in asked],
        )
    )
    lent = {
        row.document_id: row.amount
        for row in await tx.rows(
            _Lent,
            """
            select document_id, amount from ledger.v_posting
             where cell = $1 and document_kind = 'bigday_deposit'
               and document_id = any($2::uuid[]) and key = any($3::text[])
            """,
            tx.cell,
            [deposit_id for _, deposit_id in asked],
            [f"balance:{order_id}" for order_id, _ in asked],
        )
    }
    await tx.run(
        """
        update bigdays.deposit d set order_id = a.order_id, lent_minor = a.lent
          from unnest($2::uuid[], $3::uuid[], $4::bigint[]) as a(order_id, id, lent)
         where d.cell = $1 and d.id = a.id and d.state = 'held'
        """,
        tx.cell,
        [order_id for order_id, _ in asked],
        [deposit_id for _, deposit_id in asked],
        [lent.get(deposit_id, 0) for _, deposit_id in asked],
    )
    fallen = [order_id for order_id, _ in asked if order_id not in standing]
    if fallen:
        await take_back(tx, fallen)


class _Lent(msgspec.Struct, frozen=True):
    document_id: uuid.UUID
    amount: int


async def take_back(tx: Tx, order_ids: Sequence[uuid.UUID]) -> None:
    """These orders came to nothing: what they were lent is the deposit's again, as soon as it is
    there. Of one whose balance had been paid the piece is free and the money goes back to the
    buyer. Safe to repeat."""
    for deposit in await of_orders(tx, order_ids):
        if deposit.state == "paid":
            await presale.set_ended(tx, deposit, "returned", "the order was cancelled")
            deposit = msgspec.structs.replace(deposit, state="returned")
        if await _come_back(tx, deposit, deposit.lent_minor, f"back:{deposit.order_id}"):
            if deposit.state == "held":
                await tx.run(
                    """
                    update bigdays.deposit set order_id = null, lent_minor = 0
                     where cell = $1 and id = $2
                    """,
                    tx.cell,
                    deposit.id,
                )
            else:
                await _pay_out(tx, deposit, deposit.lent_minor, f"out:{deposit.order_id}")


async def _come_back(tx: Tx, deposit: Deposit, amount_minor: int, key: str) -> bool:
    """From the buyer's store credit; False where it isn't there (yet), or came before."""
    if deposit.person_id is None or amount_minor <= 0:
        return False
    credit = payments.store_credit(deposit.person_id, deposit.currency)
    mine = deposit_account(deposit.id, deposit.currency)
    [answer] = await presale.move(tx, [(deposit, key, ledger.Transfer(credit, mine, amount_minor))])
    return isinstance(answer, ledger.Posted) and answer.fresh


async def _pay_out(tx: Tx, deposit: Deposit, amount_minor: int, key: str) -> None:
    mine, hub = deposit_account(deposit.id, deposit.currency), payments.deposits(deposit.currency)
    [answer] = await presale.move(tx, [(deposit, key, ledger.Transfer(mine, hub, amount_minor))])
    if isinstance(answer, ledger.Posted) and answer.fresh:
        await presale.send(tx, deposit, amount_minor, "the order was refunded")


async def note_refunds(tx: Tx, refunds: Sequence[payments.RefundCompleted]) -> None:
    """What an order gives back to store credit is the deposit's again, and on its way to whatever
    it was paid with."""
    found = {d.order_id: d for d in await of_orders(tx, [r.order_id for r in refunds])}
    if not found:
        return
    paid = await payments.payments_by_id(tx, [r.payment_id for r in refunds])
    credit = {p.id for p in paid if p.provider == payments.STORE_CREDIT}
    ended: set[uuid.UUID] = set(
        await tx.values(
            """
            select order_id from orders.v_purchase
             where cell = $1 and order_id = any($2::uuid[]) and state = 'cancelled'
            """,
            tx.cell,
            [i for i in found if i is not None],
        )
    )
    for one in refunds:
        deposit = found.get(one.order_id)
        if deposit is None or one.payment_id not in credit:
            continue
        if one.order_id in ended:
            await take_back(tx, [one.order_id])
        elif await _come_back(
            tx, deposit, min(one.amount_minor, deposit.lent_minor), f"back:{one.refund_id}"
        ):
            part = min(one.amount_minor, deposit.lent_minor)
            await _pay_out(tx, deposit, part, f"out:{one.refund_id}")


async def note_placed(tx: Tx, order_ids: Sequence[uuid.UUID]) -> None:
    """The balance is paid: the order may be sent; what the deposit was more than the price goes
    back."""
    done = [d for d in await of_orders(tx, order_ids) if d.state == "held"]
    if not done:
        return
    await tx.run(
        """
        update bigdays.deposit set state = 'paid', ended_at = $3
         where cell = $1 and id = any($2::uuid[])
        """,
        tx.cell,
        [d.id for d in done],
        tx.now,
    )
    await orders.let_go(tx, [d.order_id for d in done if d.order_id is not None])
    for one in done:
        if one.lent_minor < one.deposit_minor:
            await _pay_out(tx, one, one.deposit_minor - one.lent_minor, "rest")
    tx.emit(
        *(
            DepositEnded(
                deposit_id=d.id, event_id=d.event_id, person_id=d.person_id, state="paid", why=""
            )
            for d in done
        )
    )


class _Piece(msgspec.Struct, frozen=True):
    hold_id: uuid.UUID
    document_id: uuid.UUID
    remaining: int


async def note_shipped(tx: Tx, order_ids: Sequence[uuid.UUID]) -> None:
    """What has left is sold for good."""
    found = {d.id: d for d in await of_orders(tx, order_ids)}
    if not found:
        return
    holds = await tx.rows(
        _Piece,
        """
        select hold_id, document_id, remaining from ledger.v_hold
         where cell = $1 and document_id = any($2::uuid[]) and state = 'open' and key = 'piece'
         order by hold_id
        """,
        tx.cell,
        list(found),
    )
    moves = []
    for held in holds:
        promotion_id = found[held.document_id].promotion_id
        move = ledger.Transfer(
            promotions.taken(promotion_id),
            promotions.pool(promotion_id, 1),
            held.remaining,
            hold=held.hold_id,
        )
        moves.append((found[held.document_id], "sold", move))
    for answer in await presale.move(tx, moves):
        if isinstance(answer, Refusal):
            raise answer
