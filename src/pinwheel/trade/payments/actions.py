"""The hot verbs: start, charge, record. Each takes a list and costs a constant number of
statements."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import uuid
from collections.abc import Iterable, Sequence

import asyncpg
import msgspec

from pinwheel.ground import ledger
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid, Refusal
from pinwheel.trade.payments.cards import holds_card_number
from pinwheel.trade.payments.cash_taking import await_cash, cash_was_taken, prepare_cash
from pinwheel.trade.payments.fold import Plan, fold, needs_more
from pinwheel.trade.payments.gift_cards import hold_gift_cards
from pinwheel.trade.payments.gifts import GiftCardNotKept
from pinwheel.trade.payments.model import (
    CASH,
    CREDIT,
    GIFT_CARD,
    STORE_CREDIT,
    CardNumberRefused,
    Dispute,
    Instruction,
    NewPayment,
    Outcome,
    Payment,
    PaymentIdReused,
    ProviderUnknown,
)
from pinwheel.trade.payments.port import Provider, providers_of
from pinwheel.trade.payments.store_credit import hold_credit
from pinwheel.trade.payments.tills import Receipt

log = logging.getLogger("pinwheel.payments")
FIRST_LOOK_SECONDS = 30  # longer than a provider's answer may take


async def start(tx: Tx, payments: Sequence[NewPayment]) -> list[Payment | Refusal]:
    """Write each payment down as ``processing``; nothing leaves the house yet.

    One statement; + 1 when ids repeat (the first payment is answered), + 2 when store credit is
    held, + 3 for gift cards. Refuses ``CardNumberRefused``, ``ProviderUnknown``,
    ``StoreCreditTooLow``, what ``hold_gift_cards`` refuses, ``PaymentIdReused``, ``Invalid``."""
    known = providers_of(tx.db)
    answers: dict[uuid.UUID, Payment | Refusal] = {}
    for one in payments:
        refusal = _unfit(one, known)
        if refusal is not None:
            answers[one.id] = refusal
    credit = [p for p in payments if p.provider in CREDIT and p.id not in answers]
    holds: dict[uuid.UUID, uuid.UUID] = {}
    for key, held in (await _hold(tx, credit) if credit else {}).items():
        if isinstance(held, Refusal):
            answers[key] = held
        else:
            holds[key] = held
    cash = [p for p in payments if p.provider == CASH and p.id not in answers]
    if cash:
        answers |= await await_cash(tx, cash)
    new = {p.id: p for p in payments if p.id not in answers}
    found = {p.id: p for p in await _insert(tx, list(new.values()), holds)} if new else {}
    missing = [key for key in new if key not in found]
    if missing:
        found |= {p.id: p for p in await _payments(tx, missing)}
    for key, payment in found.items():
        answers[key] = payment if _same(payment, new[key]) else PaymentIdReused(payment_id=key)
    if len(answers) < len({p.id for p in payments}):
        raise Raced  # another transaction wrote the same id a moment ago
    return [answers[p.id] for p in payments]


async def _hold(tx: Tx, credit: Sequence[NewPayment]) -> dict[uuid.UUID, uuid.UUID | Refusal]:
    """Hold what the shop's own credit is to pay."""
    of_people = [p for p in credit if p.provider == STORE_CREDIT]
    of_cards = [p for p in credit if p.provider == GIFT_CARD]
    found = await hold_credit(tx, of_people) if of_people else {}
    return found | (await hold_gift_cards(tx, of_cards) if of_cards else {})


class Raced(asyncpg.SerializationError):  # type: ignore[misc]
    """Tried again, the other one's payment is found."""


def _unfit(payment: NewPayment, known: dict[str, Provider]) -> Refusal | None:
    if holds_card_number(payment.method, payment.return_url):
        return CardNumberRefused(where="method")
    if payment.provider not in known:
        return ProviderUnknown(provider=payment.provider, known=", ".join(sorted(known)))
    if payment.amount_minor <= 0:
        return Invalid("amount_minor", "an amount must be positive", "金额必须为正")
    if payment.provider == STORE_CREDIT and payment.person_id is None:
        return Invalid("person_id", "store credit needs a signed-in person", "使用余额需先登录")
    if payment.provider == GIFT_CARD and payment.person_id is None:
        return GiftCardNotKept()
    return None


def _same(payment: Payment, asked: NewPayment) -> bool:
    return (
        payment.order_id == asked.order_id
        and payment.amount_minor == asked.amount_minor
        and payment.currency == asked.currency
        and payment.provider == asked.provider
    )


async def _insert(
    tx: Tx, new: Sequence[NewPayment], holds: dict[uuid.UUID, uuid.UUID]
) -> list[Payment]:
    fresh = await tx.values(
        """
        insert into payments.payment (cell, id, order_id, person_id, provider, method, currency,
               amount_minor, captures_at_once, tender_order, return_url, hold_id, state, look_at,
               created_at, updated_at)
        select $1, p.id, p.order_id, p.person_id, p.provider, p.method, p.currency, p.amount_minor,
               p.captures_at_once, p.tender_order, p.return_url, p.hold_id, 'processing', $3, $2, $2
          from unnest($4::uuid[], $5::uuid[], $6::uuid[], $7::text[], $8::text[], $9::text[],
                      $10::bigint[], $11::boolean[], $12::smallint[], $13::text[], $14::uuid[])
               as p(id, order_id, person_id, provider, method, currency, amount_minor,
                    captures_at_once, tender_order, return_url, hold_id)
        on conflict (cell, id) do nothing
        returning id
        """,
        tx.cell,
        tx.now,
        tx.now + dt.timedelta(seconds=FIRST_LOOK_SECONDS),
        [p.id for p in new],
        [p.order_id for p in new],
        [p.person_id for p in new],
        [p.provider for p in new],
        [p.method for p in new],
        [p.currency for p in new],
        [p.amount_minor for p in new],
        [p.capture for p in new],
        [p.tender_order for p in new],
        [p.return_url for p in new],
        [holds.get(p.id) for p in new],
    )
    written = set(fresh)
    return [_begun(p, tx.now, holds.get(p.id)) for p in new if p.id in written]


def _begun(new: NewPayment, now: dt.datetime, hold_id: uuid.UUID | None) -> Payment:
    """The row as it was just written: it need not be read back."""
    return Payment(
        id=new.id,
        order_id=new.order_id,
        person_id=new.person_id,
        provider=new.provider,
        method=new.method,
        currency=new.currency,
        amount_minor=new.amount_minor,
        captures_at_once=new.capture,
        tender_order=new.tender_order,
        return_url=new.return_url,
        state="processing",
        authorised_minor=0,
        captured_minor=0,
        refunded_minor=0,
        kept_minor=0,
        disputed_minor=0,
        won_minor=0,
        is_voided=False,
        is_secured=False,
        is_unwanted=False,
        reason="",
        action_url="",
        provider_ref="",
        hold_id=hold_id,
        created_at=now,
    )


async def _payments(tx: Tx, ids: Sequence[uuid.UUID]) -> list[Payment]:
    return await tx.rows(
        Payment,
        """
        select id, order_id, person_id, provider, method, currency, amount_minor, captures_at_once,
               tender_order, return_url, state, authorised_minor, captured_minor, refunded_minor,
               kept_minor, disputed_minor, won_minor, is_voided, is_secured, is_unwanted, reason,
               action_url, provider_ref, hold_id, created_at
          from payments.payment where cell = $1 and id = any($2::uuid[])
        """,
        tx.cell,
        ids,
    )


async def locked(tx: Tx, ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, Payment]:
    """The payments under lock, in the order of their ids."""
    rows = await tx.rows(
        Payment,
        """
        select id, order_id, person_id, provider, method, currency, amount_minor, captures_at_once,
               tender_order, return_url, state, authorised_minor, captured_minor, refunded_minor,
               kept_minor, disputed_minor, won_minor, is_voided, is_secured, is_unwanted, reason,
               action_url, provider_ref, hold_id, created_at
          from payments.payment where cell = $1 and id = any($2::uuid[])
         order by id for update
        """,
        tx.cell,
        list(ids),
    )
    return {row.id: row for row in rows}


async def charge(db: Database, payments: Sequence[Payment]) -> list[Outcome]:
    """Ask each payment's provider, one list per provider; one outcome per payment, in order.

    To be called with no transaction open. Never raises for a provider's fault: what has no
    answer is ``unknown``, and the sweeper finds out."""
    lists: dict[str, list[Payment]] = {}
    for payment in payments:
        lists.setdefault(payment.provider, []).append(payment)
    known = providers_of(db)
    answered: dict[uuid.UUID | None, Outcome] = {}
    for outcomes in await asyncio.gather(
        *(_ask(known[name], listed) for name, listed in lists.items())
    ):
        answered.update((o.payment_id, o) for o in outcomes)
    return [answered.get(p.id) or Outcome(payment_id=p.id, state="unknown") for p in payments]


async def _ask(provider: Provider, payments: Sequence[Payment]) -> list[Outcome]:
    try:
        return await provider.authorise(payments)
    except Exception as error:
        log.warning("%s: %d payments without an answer: %r", provider.name, len(payments), error)
        return [Outcome(payment_id=p.id, state="unknown") for p in payments]


async def record(tx: Tx, outcomes: Sequence[Outcome]) -> list[Payment]:
    """Take in what providers said, by whatever way it came; the payments as they are then.

    Statements: one lock, one update, the ledger's three; + the instructions and disputes when an
    outcome touches them. A copy, a late or an out-of-order outcome changes nothing; one about a
    payment that is not here is left out. Emits what the order must know."""
    outcomes = await _identified(tx, outcomes)
    payments = await locked(tx, {o.payment_id for o in outcomes if o.payment_id is not None})
    fitting = [o for o in outcomes if _fits(payments, o)]
    plan = Plan(now=tx.now, payments=payments)
    touched = {
        o.payment_id
        for o in fitting
        if o.payment_id is not None and needs_more(payments[o.payment_id], o)
    }
    if touched:
        await know_more(tx, plan, touched)
    fold(plan, fitting)
    await write(tx, plan)
    return list(payments.values())


def _fits(payments: dict[uuid.UUID, Payment], outcome: Outcome) -> bool:
    found = payments.get(outcome.payment_id) if outcome.payment_id is not None else None
    if found is None:
        log.warning("an outcome (%s) of an unknown payment was left out", outcome.state)
        return False
    if outcome.currency and outcome.currency != found.currency:
        log.error("payment %s is in %s, not %s", found.id, found.currency, outcome.currency)
        return False
    return True


class _Named(msgspec.Struct, frozen=True):
    provider_ref: str
    id: uuid.UUID


async def _identified(tx: Tx, outcomes: Sequence[Outcome]) -> list[Outcome]:
    """Those that name a payment only by the provider's reference, with its id."""
    refs = sorted({o.provider_ref for o in outcomes if o.payment_id is None and o.provider_ref})
    if not refs:
        return list(outcomes)
    rows = await tx.rows(
        _Named,
        """
        select provider_ref, id from payments.payment
         where cell = $1 and provider_ref = any($2::text[]) and provider_ref <> ''
        """,
        tx.cell,
        refs,
    )
    ids = {row.provider_ref: row.id for row in rows}
    return [
        msgspec.structs.replace(o, payment_id=ids.get(o.provider_ref))
        if o.payment_id is None
        else o
        for o in outcomes
    ]


async def know_more(tx: Tx, plan: Plan, payment_ids: Iterable[uuid.UUID]) -> None:
    """The instructions and disputes of payments that are under lock."""
    ids = list(payment_ids)
    instructions = await tx.rows(
        Instruction,
        """
        select id, payment_id, order_id, kind, amount_minor, currency, state, reason, error,
               provider_ref, is_foreign, is_posted, created_at, ended_at, retries
          from payments.instruction where cell = $1 and payment_id = any($2::uuid[]) order by id
        """,
        tx.cell,
        ids,
    )
    disputes = await tx.rows(
        Dispute,
        """
        select id, payment_id, order_id, provider_ref, amount_minor, currency, state, opened_at,
               closed_at
          from payments.dispute where cell = $1 and payment_id = any($2::uuid[]) order by id
        """,
        tx.cell,
        ids,
    )
    plan.instructions.update((i.id, i) for i in instructions)
    plan.disputes.update((d.id, d) for d in disputes)


async def write(tx: Tx, plan: Plan) -> None:
    """Write what was decided: rows, journals, facts."""
    if plan.changed:
        await _update(tx, list(plan.changed.values()))
    if plan.written:
        await _write_instructions(tx, list(plan.written.values()))
    if plan.argued:
        await _write_disputes(tx, list(plan.argued.values()))
    if plan.scans:
        await _write_scans(tx, plan.scans)
    for answer in await ledger.post(tx, plan.journals):
        if isinstance(answer, Refusal):
            raise answer
    if plan.releases:
        await ledger.release(tx, plan.releases)
    tx.emit(*plan.events)


async def _update(tx: Tx, changed: Sequence[Payment]) -> None:
    await tx.run(
        """
        update payments.payment p
           set state = n.state, authorised_minor = n.authorised_minor,
               captured_minor = n.captured_minor, refunded_minor = n.refunded_minor,
               kept_minor = n.kept_minor, disputed_minor = n.disputed_minor,
               won_minor = n.won_minor, is_voided = n.is_voided, is_secured = n.is_secured,
               is_unwanted = n.is_unwanted, reason = n.reason, action_url = n.action_url,
               provider_ref = n.provider_ref, updated_at = $2
          from unnest($3::uuid[], $4::text[], $5::bigint[], $6::bigint[], $7::bigint[],
                      $8::bigint[], $9::bigint[], $10::bigint[], $11::boolean[], $12::boolean[],
                      $13::boolean[], $14::text[], $15::text[], $16::text[])
               as n(id, state, authorised_minor, captured_minor, refunded_minor, kept_minor,
                    disputed_minor, won_minor, is_voided, is_secured, is_unwanted, reason,
                    action_url, provider_ref)
         where p.cell = $1 and p.id = any($3::uuid[]) and p.id = n.id
        """,
        tx.cell,
        tx.now,
        [p.id for p in changed],
        [p.state for p in changed],
        [p.authorised_minor for p in changed],
        [p.captured_minor for p in changed],
        [p.refunded_minor for p in changed],
        [p.kept_minor for p in changed],
        [p.disputed_minor for p in changed],
        [p.won_minor for p in changed],
        [p.is_voided for p in changed],
        [p.is_secured for p in changed],
        [p.is_unwanted for p in changed],
        [p.reason for p in changed],
        [p.action_url for p in changed],
        [p.provider_ref for p in changed],
    )


async def _write_instructions(tx: Tx, written: Sequence[Instruction]) -> None:
    await tx.run(
        """
        insert into payments.instruction (cell, id, payment_id, order_id, kind, amount_minor,
               currency, state, reason, error, provider_ref, is_foreign, is_posted, created_at,
               ended_at, retries)
        select $1, i.* from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::bigint[],
               $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::boolean[],
               $13::boolean[], $14::timestamptz[], $15::timestamptz[], $16::uuid[]) as i
        on conflict (cell, id) do update set state = excluded.state, error = excluded.error,
               provider_ref = excluded.provider_ref, is_posted = excluded.is_posted,
               ended_at = excluded.ended_at
        """,
        tx.cell,
        *([getattr(i, name) for i in written] for name in Instruction.__struct_fields__),
    )


async def _write_disputes(tx: Tx, argued: Sequence[Dispute]) -> None:
    await tx.run(
        """
        insert into payments.dispute (cell, id, payment_id, order_id, provider_ref, amount_minor,
               currency, state, opened_at, closed_at)
        select $1, d.* from unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::bigint[],
               $7::text[], $8::text[], $9::timestamptz[], $10::timestamptz[]) as d
        on conflict (cell, id) do update set state = excluded.state,
               closed_at = excluded.closed_at
        """,
        tx.cell,
        *([getattr(d, name) for d in argued] for name in Dispute.__struct_fields__),
    )


async def _write_scans(tx: Tx, scans: Sequence[Outcome]) -> None:
    await tx.run(
        """
        insert into payments.scan (cell, payment_id, url, until)
        select $1, s.* from unnest($2::uuid[], $3::text[], $4::timestamptz[]) as s
        on conflict (payment_id, cell) do nothing
        """,
        tx.cell,
        [s.payment_id for s in scans],
        [s.action_url for s in scans],
        [s.scan_until for s in scans],
    )


async def take_cash(
    tx: Tx, code: str, till_id: uuid.UUID, amount_minor: int, *, key: uuid.UUID
) -> Receipt:
    """A clerk takes the cash of an order: into the till, against a receipt, and the order goes on.
    A repeat of ``key`` answers with its receipt.

    Cash for an order whose time was over makes it live again if its goods are still there; else all
    of this is refused (by orders, ``CashOrderEnded``). Refuses ``CashCodeUnknown``,
    ``CashAmountDiffers``, ``CashAlreadyTaken``, ``TillClosed``, ``TillOtherCurrency``."""
    prepared = await prepare_cash(tx, code, till_id, amount_minor, key=key)
    if isinstance(prepared, Receipt):
        return prepared
    await record(tx, [prepared])
    return await cash_was_taken(tx, key)
