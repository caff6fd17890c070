"""The sandbox behind the port."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import cast

import asyncpg
import msgspec

from pinwheel.kernel.clock import Clock, new_id
from pinwheel.kernel.errors import NotFound
from pinwheel.trade.payments.model import (
    Delivery,
    Notice,
    Outcome,
    Payment,
    Said,
    SettlementRow,
    Step,
)
from pinwheel.trade.payments.sandbox import outbox, settlement
from pinwheel.trade.payments.sandbox.memory import Charge, Memory, Operation


class Manner(msgspec.Struct, frozen=True):
    """How a token behaves: what it comes to, after how long, and whether that is answered."""

    state: str = "granted"
    reason: str = ""
    answers: bool = True
    after_seconds: int = 0
    captures_once: bool = False
    refuses_refunds: bool = False
    scans: bool = False


TOKENS: dict[str, Manner] = {
    "tok_ok": Manner(),
    "tok_declined": Manner("declined", "card_declined"),
    "tok_insufficient_funds": Manner("declined", "insufficient_funds"),
    "tok_expired_card": Manner("declined", "expired_card"),
    "tok_suspected_fraud": Manner("declined", "suspected_fraud"),
    "tok_challenge": Manner("needs_action"),
    "tok_scan": Manner("needs_action", scans=True),
    "tok_delayed_ok": Manner(after_seconds=20),
    "tok_delayed_declined": Manner("declined", "card_declined", after_seconds=20),
    "tok_timeout_ok": Manner(answers=False),
    "tok_timeout_declined": Manner("declined", "card_declined", answers=False),
    "tok_timeout_lost": Manner("unheard", answers=False),  # never reaches the provider
    "tok_one_capture": Manner(captures_once=True),
    "tok_refund_fails": Manner(refuses_refunds=True),
}
SCAN_SECONDS = 300  # less than an order waits for its payment
RAN_OUT = "code_ran_out"
INVALID = Manner("declined", "invalid_token")


class Unreachable(ConnectionError):
    """The sandbox was told to be down."""


class Page(msgspec.Struct, frozen=True):
    """What the sandbox's own page shows: a payment that waits for approve or decline.
    ``scans``: it is seen on a phone; ``ran_out``: its code was not used in time."""

    payment_id: uuid.UUID
    amount_minor: int
    currency: str
    state: str
    return_url: str
    scans: bool = False
    ran_out: bool = False


class Sandbox:
    """A provider with connections of its own: what it has committed outlives our crash."""

    name = "sandbox"
    holds_days = 30

    def __init__(self, pool: asyncpg.Pool, clock: Clock) -> None:
        self.pool = pool
        self.clock = clock
        self.random = random.Random(0x5A4DB0)

    @asynccontextmanager
    async def memory(self, keys: Iterable[uuid.UUID]) -> AsyncIterator[Memory]:
        """The charges under lock, what is due decided, for one change."""
        async with self.pool.acquire() as connection, connection.transaction():
            if await connection.fetchval("select is_down from sandbox.setting"):
                raise Unreachable
            memory = Memory(connection, self.clock.now(), self.random)
            await memory.load(keys)
            decide_due(memory)
            yield memory
            await memory.save()

    async def authorise(self, payments: Sequence[Payment]) -> list[Outcome]:
        """One statement for new payments, one more when some are repeats."""
        now = self.clock.now()
        heard = [p for p in payments if _manner(p.method).state != "unheard"]
        async with self.pool.acquire() as connection:
            rows = await _insert_charges(connection, heard, now, self.random)
            if len(rows) < len(heard):
                if await connection.fetchval("select is_down from sandbox.setting"):
                    raise Unreachable
                rows += await connection.fetch(
                    """
                    select key, state, authorised_minor, captured_minor, reason,
                           loses_answers, tells_all, due_at
                      from sandbox.charge, sandbox.setting where key = any($1::uuid[])
                    """,
                    [p.id for p in heard],
                )
        answers = {row[0]: row for row in rows}
        return [self._answer(p, answers.get(p.id)) for p in payments]

    def _answer(self, payment: Payment, row: asyncpg.Record | None) -> Outcome:
        lost = row is None or (row[5] and self.random.random() < row[5])
        if row is None or lost or not _manner(payment.method).answers:
            return Outcome(payment_id=payment.id, state="unknown", reason="no answer")
        return _word(row[0], row[1], row[2], row[3], row[4], row[7])

    async def capture(self, steps: Sequence[Step]) -> list[Outcome]:
        async with self.memory(s.payment.id for s in steps) as memory:
            return [_capture(memory, step) for step in steps]

    async def void(self, payments: Sequence[Payment]) -> list[Outcome]:
        async with self.memory(p.id for p in payments) as memory:
            return [_void(memory, payment) for payment in payments]

    async def refund(self, steps: Sequence[Step]) -> list[Outcome]:
        async with self.memory(s.payment.id for s in steps) as memory:
            return [_refund(memory, step) for step in steps]

    async def look_up(self, payments: Sequence[Payment]) -> list[Outcome]:
        async with self.memory(p.id for p in payments) as memory:
            return [word for payment in payments for word in _all_of(memory, payment)]

    async def parse_webhook(self, delivery: Delivery, now: dt.datetime) -> list[Notice]:
        return outbox.verified(delivery, await self.secret(), now)

    async def secret(self) -> str:
        return str(await self.pool.fetchval("select secret from sandbox.setting"))

    async def settlement_rows(self, day: dt.date) -> list[SettlementRow]:
        async with self.pool.acquire() as connection:
            return settlement.parse(await settlement.settlement_file(connection, day))

    async def turn(self) -> int:
        """Decide what was pending and is due; how many webhooks wait to be sent."""
        now = self.clock.now()
        due = await self.pool.fetch("select key from sandbox.charge where due_at <= $1", now)
        if due:
            async with self.memory([row[0] for row in due]):
                pass
        return int(
            await self.pool.fetchval(
                "select count(*) from sandbox.notice where ended_at is null and due_at <= $1", now
            )
        )

    # What happens at the provider by other hands than ours.

    async def page(self, payment_id: uuid.UUID) -> Page:
        async with self.memory([payment_id]) as memory:
            return _page(memory.charges.get(payment_id))

    async def decide(self, payment_id: uuid.UUID, *, approve: bool, in_time: bool = True) -> Page:
        """The buyer's answer to a challenge; the first one stands. Not ``in_time``: the bank had
        let it through before the code ran out, and says so only now."""
        async with self.memory([payment_id]) as memory:
            charge = memory.charges.get(payment_id)
            ran_out = charge is not None and charge.reason == RAN_OUT
            if charge is not None and (
                charge.state == "needs_action" or (ran_out and approve and not in_time)
            ):
                _end(charge, "granted" if approve else "declined", memory.now)
                charge.reason = "" if approve else "challenge_declined"
                memory.change(charge)
                memory.owe(charge, charge.state)
            return _page(charge)

    async def refund_there(self, payment_id: uuid.UUID, amount_minor: int) -> uuid.UUID:
        """A refund made at the provider, not here: as by a clerk at its console."""
        async with self.memory([payment_id]) as memory:
            charge = memory.charges[payment_id]
            key = new_id(memory.now, self.random)
            made = memory.done(
                Operation(key, charge.key, "refund", amount_minor, "done", "", memory.now)
            )
            charge.refunded_minor += amount_minor
            memory.change(charge)
            memory.owe(charge, "refunded", operation=made)
            return key

    async def dispute(self, payment_id: uuid.UUID, amount_minor: int) -> uuid.UUID:
        """The buyer's bank takes the money back; the key of the dispute."""
        async with self.memory([payment_id]) as memory:
            key = new_id(memory.now, self.random)
            charge = memory.charges[payment_id]
            opened = Operation(key, charge.key, "dispute", amount_minor, "done", "", memory.now)
            memory.owe(charge, "disputed", operation=memory.done(opened))
            return key

    async def close_dispute(self, payment_id: uuid.UUID, dispute: uuid.UUID, *, won: bool) -> None:
        async with self.memory([payment_id]) as memory:
            opened = memory.operations[dispute]
            kind = "dispute_won" if won else "dispute_lost"
            key = uuid.uuid5(dispute, "closed")
            closed = Operation(
                key, payment_id, kind, opened.amount_minor, "done", str(dispute), memory.now
            )
            if key not in memory.operations:
                memory.owe(memory.charges[payment_id], kind, operation=memory.done(closed))


def _manner(token: str) -> Manner:
    return TOKENS.get(token, INVALID)


def _page(charge: Charge | None) -> Page:
    if charge is None:
        raise NotFound(what="payment")
    return Page(
        charge.key,
        charge.amount_minor,
        charge.currency,
        charge.state,
        charge.return_url,
        _manner(charge.token).scans,
        charge.reason == RAN_OUT,
    )


async def _insert_charges(
    connection: asyncpg.Connection,
    payments: Sequence[Payment],
    now: dt.datetime,
    rng: random.Random,
) -> list[asyncpg.Record]:
    """Decide each by its token and write it down; a key that is there already is left alone."""
    charges = [_new_charge(p, now) for p in payments]
    return list(
        await connection.fetch(
            """
            with fresh as (
              insert into sandbox.charge (key, token, amount_minor, currency, captures_at_once,
                     return_url, state, authorised_minor, captured_minor, reason, due_at,
                     captured_at, created_at)
              select c.* from sandbox.setting s,
                     unnest($1::uuid[], $2::text[], $3::bigint[], $4::text[], $5::boolean[],
                            $6::text[], $7::text[], $8::bigint[], $9::bigint[], $10::text[],
                            $11::timestamptz[], $12::timestamptz[], $13::timestamptz[]) c
               where not s.is_down
              on conflict (key) do nothing
              returning key, state, authorised_minor, captured_minor, reason, currency, due_at
            ), told as (
              insert into sandbox.notice (id, charge_key, kind, authorised_minor, captured_minor,
                     amount_minor, currency, reason, due_at)
              select n.id, f.key, f.state, f.authorised_minor, f.captured_minor, 0, f.currency,
                     f.reason, $15
                from fresh f
                join unnest($1::uuid[], $14::uuid[]) as n(key, id) on n.key = f.key
                join sandbox.setting s on s.tells_all
               where f.state in ('authorised', 'captured', 'declined')
            )
            select f.key, f.state, f.authorised_minor, f.captured_minor, f.reason,
                   s.loses_answers, s.tells_all, f.due_at
              from fresh f, sandbox.setting s
            """,
            [c.key for c in charges],
            [c.token for c in charges],
            [c.amount_minor for c in charges],
            [c.currency for c in charges],
            [c.captures_at_once for c in charges],
            [c.return_url for c in charges],
            [c.state for c in charges],
            [c.authorised_minor for c in charges],
            [c.captured_minor for c in charges],
            [c.reason for c in charges],
            [c.due_at for c in charges],
            [c.captured_at for c in charges],
            [c.created_at for c in charges],
            [new_id(now, rng) for _ in charges],
            now,
        )
    )


def _new_charge(payment: Payment, now: dt.datetime) -> Charge:
    manner = _manner(payment.method)
    charge = Charge(
        key=payment.id,
        token=payment.method if payment.method in TOKENS else "invalid",
        amount_minor=payment.amount_minor,
        currency=payment.currency,
        captures_at_once=payment.captures_at_once,
        return_url=payment.return_url,
        state="pending",
        authorised_minor=0,
        captured_minor=0,
        refunded_minor=0,
        reason=manner.reason,
        due_at=None,
        captured_at=None,
        created_at=now,
    )
    if manner.after_seconds:
        charge.due_at = now + dt.timedelta(seconds=manner.after_seconds)
    else:
        _end(charge, manner.state, now)
    if manner.scans:
        charge.due_at = now + dt.timedelta(seconds=SCAN_SECONDS)
    return charge


def _end(charge: Charge, state: str, now: dt.datetime) -> None:
    charge.due_at = None
    if state != "granted":
        charge.state = state
        return
    charge.state = "captured" if charge.captures_at_once else "authorised"
    charge.authorised_minor = charge.amount_minor
    if charge.captures_at_once:
        charge.captured_minor, charge.captured_at = charge.amount_minor, now


def decide_due(memory: Memory) -> None:
    """What was pending and is due now is decided, and told by a notice."""
    for charge in memory.charges.values():
        if charge.due_at is not None and charge.due_at <= memory.now:
            manner = _manner(charge.token)
            if manner.scans:
                charge.reason = RAN_OUT
            _end(charge, "declined" if manner.scans else manner.state, memory.now)
            memory.change(charge)
            memory.owe(charge, charge.state)


def _word(
    key: uuid.UUID,
    state: str,
    authorised: int,
    captured: int,
    reason: str = "",
    due_at: dt.datetime | None = None,
) -> Outcome:
    """A charge's state in the port's words. An action that is due has a code to be scanned."""
    if state in ("authorised", "captured"):
        return Outcome(
            payment_id=key,
            state="captured" if captured else "authorised",
            authorised_minor=authorised,
            captured_minor=captured,
        )
    if state == "needs_action":
        url = f"/sandbox/payments/{key}"
        return Outcome(payment_id=key, state="needs_action", action_url=url, scan_until=due_at)
    if state == "canceled":
        return Outcome(
            payment_id=key,
            state="voided",
            authorised_minor=authorised,
            captured_minor=captured,
            reason="canceled",
        )
    if state == "declined":
        return Outcome(payment_id=key, state="failed", reason=reason)
    return Outcome(payment_id=key, state="pending")


def _capture(memory: Memory, step: Step) -> Outcome:
    mine, charge = step.instruction, memory.charges.get(step.payment.id)
    done = memory.operations.get(mine.id)
    if done is None:
        why = _why_no_capture(memory, charge, mine.amount_minor)
        state = "failed" if why else "done"
        done = Operation(
            mine.id, step.payment.id, "capture", mine.amount_minor, state, why, memory.now
        )
        memory.done(done)
        if charge is not None and not why:
            charge.captured_minor += mine.amount_minor
            charge.state = "captured"
            memory.change(charge)
            memory.owe(charge, "captured", operation=done)
    if charge is None or done.state == "failed":
        return Outcome(
            payment_id=step.payment.id,
            state="capture_failed",
            instruction_id=mine.id,
            reason=done.reason,
        )
    return msgspec.structs.replace(
        _word(charge.key, "captured", charge.authorised_minor, charge.captured_minor),
        instruction_id=mine.id,
    )


def _why_no_capture(memory: Memory, charge: Charge | None, amount: int) -> str:
    if charge is None or charge.state not in ("authorised", "captured"):
        return "not_authorised"
    earlier = [o for o in memory.operations.values() if o.charge_key == charge.key]
    captures = [o for o in earlier if o.kind == "capture" and o.state == "done"]
    if _manner(charge.token).captures_once and captures:
        return "already_captured"
    if charge.captured_minor + amount > charge.authorised_minor:
        return "more_than_authorised"
    return ""


def _void(memory: Memory, payment: Payment) -> Outcome:
    charge = memory.charges.get(payment.id)
    if charge is None:  # never heard of: remembered as closed, should it still come
        charge = _new_charge(payment, memory.now)
        charge.authorised_minor = charge.captured_minor = 0
        charge.due_at = charge.captured_at = None
        charge.state, charge.reason = "canceled", "never_arrived"
        memory.change(charge)
    elif charge.state in ("pending", "needs_action", "authorised") or (
        charge.state == "captured" and charge.captured_minor < charge.authorised_minor
    ):
        charge.state, charge.due_at = "canceled", None
        memory.change(charge)
        memory.owe(charge, "canceled")
    word = _word(
        charge.key, charge.state, charge.authorised_minor, charge.captured_minor, charge.reason
    )
    return msgspec.structs.replace(word, reason=charge.reason or "canceled")


def _refund(memory: Memory, step: Step) -> Outcome:
    mine, charge = step.instruction, memory.charges.get(step.payment.id)
    done = memory.operations.get(mine.id)
    if done is None:
        why = ""
        if charge is None or charge.refunded_minor + mine.amount_minor > charge.captured_minor:
            why = "more_than_captured"
        elif _manner(charge.token).refuses_refunds:
            why = "account_closed"
        state = "failed" if why else "done"
        done = Operation(
            mine.id, step.payment.id, "refund", mine.amount_minor, state, why, memory.now
        )
        memory.done(done)
        if charge is not None:
            charge.refunded_minor += 0 if why else mine.amount_minor
            memory.change(charge)
            memory.owe(charge, "refund_failed" if why else "refunded", operation=done)
    return _operation_word(done)


def _operation_word(done: Operation) -> Outcome:
    words = {
        "dispute": "disputed",
        "refund": "refunded" if done.state == "done" else "refund_failed",
    }
    closes = done.kind in ("dispute_won", "dispute_lost")
    return Outcome(
        payment_id=done.charge_key,
        state=cast(Said, words.get(done.kind, done.kind)),
        amount_minor=done.amount_minor,
        instruction_id=done.key if done.kind == "refund" else None,
        ref=done.reason if closes else str(done.key),
        reason="" if closes else done.reason,
    )


def _all_of(memory: Memory, payment: Payment) -> list[Outcome]:
    charge = memory.charges.get(payment.id)
    if charge is None:
        return [Outcome(payment_id=payment.id, state="unheard")]
    words = [
        _word(
            charge.key,
            charge.state,
            charge.authorised_minor,
            charge.captured_minor,
            charge.reason,
            charge.due_at,
        )
    ]
    for done in memory.operations.values():
        if done.charge_key == charge.key and done.kind != "capture":
            words.append(_operation_word(done))
    return words
