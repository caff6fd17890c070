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
                expires_at=tx.later_than(orders.HOLD_SECONDS),
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
    await ledger.keep_for(tx, [d.id for d in held])
    await _move(
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


async def _move(
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
    [answer] = await _move(
        tx, [(deposit, state, ledger.Transfer(mine, to(deposit.currency), whole))]
    )
    if isinstance(answer, Refusal):
        return False
    if state == "returned":
        await _send(tx, deposit, whole, why)
    await _set_ended(tx, deposit, state, why)
    return True


async def _set_ended(tx: Tx, deposit: Deposit, state: str, why: str) -> None:
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


async def _send(tx: Tx, deposit: Deposit, amount_minor: int, why: str) -> None:
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
                         where o.offer_id = d.offer_id and o.active), 0)::bigint as free
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


# --- the balance


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
    return await _move(tx, moves)


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
            await _set_ended(tx, deposit, "returned", "the order was cancelled")
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
    [answer] = await _move(tx, [(deposit, key, ledger.Transfer(credit, mine, amount_minor))])
    return isinstance(answer, ledger.Posted) and answer.fresh


async def _pay_out(tx: Tx, deposit: Deposit, amount_minor: int, key: str) -> None:
    mine, hub = deposit_account(deposit.id, deposit.currency), payments.deposits(deposit.currency)
    [answer] = await _move(tx, [(deposit, key, ledger.Transfer(mine, hub, amount_minor))])
    if isinstance(answer, ledger.Posted) and answer.fresh:
        await _send(tx, deposit, amount_minor, "the order was refunded")


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
    for answer in await _move(tx, moves):
        if isinstance(answer, Refusal):
            raise answer


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
