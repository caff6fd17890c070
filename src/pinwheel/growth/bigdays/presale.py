"""The deposit: a piece kept ahead for a part of its price, the rest to be paid in a stated window.

The deposit is a payment of its own, and what of it is with us an account of its own in the ledger.
When the balance is paid, the deposit is lent to that order as the buyer's store credit, in the
transaction that places the order; its floor of nothing decides who of an order, a cancellation and
the clock was first. What comes to nothing comes back the same way.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import asyncpg
import msgspec

from pinwheel.ground import ledger
from pinwheel.growth.bigdays import queries
from pinwheel.growth.bigdays.actions import check_person
from pinwheel.growth.bigdays.model import (
    DEPOSIT,
    AllKept,
    BalanceDue,
    BalanceUnderWay,
    Deposit,
    DepositEnded,
    DepositExists,
    DepositFixed,
    DepositPaid,
    EventDeal,
    EventNotOpen,
    NoDeposit,
    NotForYou,
    deposit_account,
    forfeited_account,
    is_held_out,
)
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade import orders, payments, promotions

PIECE = "piece"


class NewDeposit(msgspec.Struct, frozen=True, kw_only=True):
    """Who wants a piece kept, and how the deposit is paid."""

    promotion_id: uuid.UUID
    person_id: uuid.UUID
    provider: str
    method: str
    return_url: str = ""

    def __repr__(self) -> str:  # a token is never logged
        return f"NewDeposit({self.promotion_id}, {self.provider})"


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """``state``: held (paid), or pending with where to confirm the payment."""

    deposit_id: uuid.UUID
    state: str
    deposit_minor: int
    currency: str
    action_url: str | None = None


async def pay_deposit(db: Database, new: NewDeposit, *, actor: str) -> Kept:
    """Keep a piece and pay its deposit. Refuses what ``keep`` refuses, and ``PaymentDeclined``:
    then the piece is free again and nothing was charged."""

    async def begin(tx: Tx) -> payments.Payment:
        return await keep(tx, new)

    payment = await db.attempt(begin, actor=actor)
    outcomes = await payments.charge(db, [payment])

    async def end(tx: Tx) -> list[payments.Payment]:
        return await payments.record(tx, outcomes)

    [paid] = await db.attempt(end, actor=actor)
    if paid.state in ("failed", "voided"):
        raise orders.PaymentDeclined(reason=paid.reason)
    return Kept(
        deposit_id=payment.order_id,
        state="held" if paid.is_secured else "pending",
        deposit_minor=payment.amount_minor,
        currency=payment.currency,
        action_url=paid.action_url or None,
    )


async def keep(tx: Tx, new: NewDeposit) -> payments.Payment:
    """Hold a piece of the deal and write its deposit's payment down; nothing is charged yet.

    Refuses ``NoDeposit`` (none is taken, or not now), ``EventNotOpen``, ``NotForYou``,
    ``DepositExists``, ``AllKept`` and what ``payments.start`` refuses."""
    deal = await _deal(tx, new.promotion_id)
    event = await queries.event(tx, deal.event_id)
    if event.phase(tx.now) not in ("preheat", "running"):
        raise EventNotOpen()
    if deal.deposit_minor is None or deal.balance_from is None or tx.now >= deal.balance_from:
        raise NoDeposit()
    await check_person(tx, event, new.person_id)
    if is_held_out(event.id, new.person_id, event.holdout_percent):
        raise NotForYou()
    deposit_id = tx.new_id()
    await _insert(tx, deposit_id, deal, event.market, event.currency, new.person_id)
    [held] = await ledger.hold(
        tx,
        [
            ledger.Hold(
                document_kind=DEPOSIT,
                document_id=deposit_id,
                key=PIECE,
                debit=promotions.taken(deal.promotion_id),
                credit=promotions.pool(deal.promotion_id, deal.pieces),
                amount=1,
            )
        ],
    )
    if isinstance(held, Refusal):
        raise AllKept()
    [payment] = await payments.start(
        tx,
        [
            payments.NewPayment(
                id=tx.new_id(),
                order_id=deposit_id,
                person_id=new.person_id,
                amount_minor=deal.deposit_minor,
                currency=event.currency,
                provider=new.provider,
                method=new.method,
                capture=True,
                return_url=new.return_url,
            )
        ],
    )
    if isinstance(payment, Refusal):
        raise payment
    return payment


async def _deal(tx: Tx, promotion_id: uuid.UUID) -> EventDeal:
    return await tx.the(
        "deal",
        EventDeal,
        """
        select promotion_id, event_id, slot_id, offer_id, price_minor, pieces, starts_at, ends_at,
               deposit_minor, balance_from, balance_until, deposit_policy
          from bigdays.deal where cell = $1 and promotion_id = $2
        """,
        tx.cell,
        promotion_id,
    )


async def _insert(
    tx: Tx,
    deposit_id: uuid.UUID,
    deal: EventDeal,
    market: str,
    currency: str,
    person_id: uuid.UUID,
) -> None:
    try:
        async with tx.savepoint():
            await tx.run(
                """
                insert into bigdays.deposit (cell, id, event_id, promotion_id, offer_id, person_id,
                       market, currency, deposit_minor, price_minor, policy, balance_from,
                       balance_until, placed_at)
                values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
                """,
                tx.cell,
                deposit_id,
                deal.event_id,
                deal.promotion_id,
                deal.offer_id,
                person_id,
                market,
                currency,
                deal.deposit_minor,
                deal.price_minor,
                deal.deposit_policy,
                deal.balance_from,
                deal.balance_until,
                tx.now,
            )
    except asyncpg.UniqueViolationError as error:
        raise DepositExists() from error


async def find(tx: Tx, ids: Sequence[uuid.UUID]) -> list[Deposit]:
    return await tx.rows(
        Deposit,
        """
        select id, event_id, promotion_id, offer_id, person_id, market, currency, deposit_minor,
               price_minor, policy, balance_from, balance_until, state, why, order_id, lent_minor
          from bigdays.deposit where cell = $1 and id = any($2::uuid[])
        """,
        tx.cell,
        list(ids),
    )


# --- the deposit's own payment


async def note_secured(tx: Tx, ids: Sequence[uuid.UUID]) -> None:
    """Paid: the piece is kept for good and the money stands as this deposit. 1 statement where
    none of the payments is a deposit's."""
    held = await tx.rows(
        Deposit,
        """
        update bigdays.deposit set state = 'held'
         where cell = $1 and id = any($2::uuid[]) and state = 'pending'
        returning id, event_id, promotion_id, offer_id, person_id, market, currency, deposit_minor,
                  price_minor, policy, balance_from, balance_until, state, why, order_id, lent_minor
        """,
        tx.cell,
        list(ids),
    )
    if not held:
        return
    await move(
        tx,
        [
            (
                d,
                "paid",
                ledger.Transfer(
                    payments.deposits(d.currency),
                    deposit_account(d.id, d.currency),
                    d.deposit_minor,
                ),
            )
            for d in held
        ],
    )
    tx.emit(
        *(
            DepositPaid(
                deposit_id=d.id,
                event_id=d.event_id,
                person_id=d.person_id,
                deposit_minor=d.deposit_minor,
                currency=d.currency,
            )
            for d in held
        )
    )


async def note_unpaid(tx: Tx, ids: Sequence[uuid.UUID], why: str) -> None:
    """Declined, or not in time: the piece goes to the next, and whatever still comes in goes
    back by itself. Safe to repeat."""
    ended = await tx.rows(
        Deposit,
        """
        update bigdays.deposit set state = 'unpaid', why = $3, ended_at = $4
         where cell = $1 and id = any($2::uuid[]) and state = 'pending'
        returning id, event_id, promotion_id, offer_id, person_id, market, currency, deposit_minor,
                  price_minor, policy, balance_from, balance_until, state, why, order_id, lent_minor
        """,
        tx.cell,
        list(ids),
        why,
        tx.now,
    )
    for one in ended:
        await payments.refund_all(tx, one.id, why)
    await _free(tx, ended)


async def end_waiting(tx: Tx, *, most: int = 500) -> None:
    """Deposits whose payment did not come within ``orders.HOLD_SECONDS``. As with an order, the
    deposit has the deadline, not what is held for it. 1 statement where there is none."""
    late = await tx.values(
        """
        select id from bigdays.deposit where cell = $1 and state = 'pending' and placed_at <= $2
         order by placed_at, id limit $3 for update skip locked
        """,
        tx.cell,
        tx.later_than(-orders.HOLD_SECONDS),
        most,
    )
    if late:
        await note_unpaid(tx, late, "not paid in time")


async def _free(tx: Tx, ended: Sequence[Deposit]) -> None:
    """Their pieces go back and on to who waits, and it is told."""
    if not ended:
        return
    await ledger.release_for(tx, [d.id for d in ended])
    await promotions.pass_on(tx, {d.promotion_id for d in ended})
    tx.emit(
        *(
            DepositEnded(
                deposit_id=d.id,
                event_id=d.event_id,
                person_id=d.person_id,
                state=d.state,
                why=d.why,
            )
            for d in ended
        )
    )


async def move(
    tx: Tx, moves: Sequence[tuple[Deposit, str, ledger.Transfer]]
) -> list[ledger.Posted | Refusal]:
    """Each once for its deposit and key."""
    return await ledger.post(
        tx,
        [
            ledger.Journal(
                document_kind=DEPOSIT,
                document_id=deposit.id,
                key=key,
                reason="deposit " + key.partition(":")[0],
                transfers=(transfer,),
            )
            for deposit, key, transfer in moves
        ],
    )


# --- its end


async def cancel(tx: Tx, deposit_id: uuid.UUID, person_id: uuid.UUID) -> Deposit:
    """Take a deposit back, while the policy allows it. Safe to repeat.

    Refuses ``NotFound``, ``DepositFixed`` and ``BalanceUnderWay``."""
    found = await queries.deposit(tx, deposit_id, person_id)
    [found] = await _locked(tx, [found.id])
    if found.state in ("returned", "unpaid"):
        return found
    if found.state != "held":
        raise DepositFixed()
    if found.policy != "refundable" and tx.now >= found.balance_from:
        raise DepositFixed()
    if not await _end(tx, found, "returned", "taken back"):
        raise BalanceUnderWay()
    return await queries.deposit(tx, deposit_id)


async def _locked(tx: Tx, ids: Sequence[uuid.UUID]) -> list[Deposit]:
    return await tx.rows(
        Deposit,
        """
        select id, event_id, promotion_id, offer_id, person_id, market, currency, deposit_minor,
               price_minor, policy, balance_from, balance_until, state, why, order_id, lent_minor
          from bigdays.deposit where cell = $1 and id = any($2::uuid[]) order by id for update
        """,
        tx.cell,
        list(ids),
    )


async def _end(tx: Tx, deposit: Deposit, state: str, why: str) -> bool:
    """Give it back or keep it, free its piece. False: an order has the money, nothing changed."""
    whole = deposit.deposit_minor
    to = payments.deposits if state == "returned" else forfeited_account
    mine = deposit_account(deposit.id, deposit.currency)
    [answer] = await move(
        tx, [(deposit, state, ledger.Transfer(mine, to(deposit.currency), whole))]
    )
    if isinstance(answer, Refusal):
        return False
    if state == "returned":
        await send(tx, deposit, whole, why)
    await set_ended(tx, deposit, state, why)
    return True


async def set_ended(tx: Tx, deposit: Deposit, state: str, why: str) -> None:
    await tx.run(
        """
        update bigdays.deposit set state = $3, why = $4, ended_at = $5 where cell = $1 and id = $2
        """,
        tx.cell,
        deposit.id,
        state,
        why,
        tx.now,
    )
    await _free(tx, [msgspec.structs.replace(deposit, state=state, why=why)])


async def send(tx: Tx, deposit: Deposit, amount_minor: int, why: str) -> None:
    """To whatever it was paid with."""
    answer = await payments.refund_order(tx, deposit.id, amount_minor, why)
    if isinstance(answer, Refusal):  # a chargeback took it: there is nothing to send
        await payments.refund_all(tx, deposit.id, why)


class _Due(msgspec.Struct, frozen=True):
    id: uuid.UUID
    is_stopped: bool
    free: int


async def end_due(tx: Tx, *, most: int = 200) -> int:
    """Balances that were not paid in time, and deposits of events that were stopped: by the
    policy, and always back where we could not have sold the piece. How many."""
    due = await tx.rows(
        _Due,
        """
        select d.id, e.state = 'stopped' as is_stopped,
               coalesce((select sum(greatest(a.atp, 0)) from marketplace.v_offer o
                          join inventory.v_atp a on a.cell = d.cell and a.is_open
                           and a.variant_id = o.variant_id and a.seller_id = o.seller_id
                         where o.offer_id = d.offer_id and o.active), 0)::bigint
               + coalesce((select sum(m.free) from inventory.v_earmark m
                            where m.document_id = d.promotion_id and m.cell = d.cell
                              and m.is_open), 0)::bigint as free
          from bigdays.deposit d
          join bigdays.event e on e.cell = d.cell and e.id = d.event_id
         where d.cell = $1 and d.state = 'held' and (d.balance_until <= $2 or e.state = 'stopped')
         order by d.id limit $3 for update of d skip locked
        """,
        tx.cell,
        tx.now,
        most,
    )
    found = {d.id: d for d in await find(tx, [one.id for one in due])} if due else {}
    ended = 0
    for one in due:
        deposit = found[one.id]
        if one.is_stopped:
            done = await _end(tx, deposit, "returned", "the event was stopped")
        elif one.free < 1:
            done = await _end(tx, deposit, "returned", "out of stock")
        elif deposit.policy == "refundable":
            done = await _end(tx, deposit, "returned", "balance not paid")
        else:
            done = await _end(tx, deposit, "forfeited", "balance not paid")
        ended += done
    return ended


async def tell_due(tx: Tx) -> None:
    """Say once whose balance is due."""
    found = await tx.rows(
        Deposit,
        """
        update bigdays.deposit set told = true
         where cell = $1 and state = 'held' and not told and balance_from <= $2
        returning id, event_id, promotion_id, offer_id, person_id, market, currency, deposit_minor,
                  price_minor, policy, balance_from, balance_until, state, why, order_id, lent_minor
        """,
        tx.cell,
        tx.now,
    )
    tx.emit(
        *(
            BalanceDue(
                deposit_id=d.id, event_id=d.event_id, person_id=d.person_id, until=d.balance_until
            )
            for d in found
        )
    )


async def return_all(tx: Tx, person_ids: Sequence[uuid.UUID]) -> None:
    """Whoever is erased has their deposits back."""
    ids = await tx.values(
        """
        select id from bigdays.deposit
         where cell = $1 and person_id = any($2::uuid[]) and state = 'held'
        """,
        tx.cell,
        list(person_ids),
    )
    if ids:
        for one in await _locked(tx, ids):
            if one.state == "held":
                await _end(tx, one, "returned", "the account was erased")
