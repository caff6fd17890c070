"""What follows: instructions are sent, payments without an answer are looked up, the sandbox's
webhooks are delivered."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence
from functools import partial

import msgspec

from pinwheel.ground.identity import PersonErased
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.events import during, every, outside
from pinwheel.trade.payments.actions import record
from pinwheel.trade.payments.cards import UUID
from pinwheel.trade.payments.methods import forget_methods
from pinwheel.trade.payments.model import (
    CASH,
    IN_HOUSE,
    OPEN,
    InstructionGiven,
    NoticesDue,
    Outcome,
    Payment,
    PaymentsOverdue,
    SettlementDue,
    Step,
)
from pinwheel.trade.payments.port import Provider, providers_of
from pinwheel.trade.payments.queries import payments_by_id, steps_to_send
from pinwheel.trade.payments.reconciling import MOVED, first_id, reconcile
from pinwheel.trade.payments.sandbox import Sandbox, outbox
from pinwheel.trade.payments.webhooks import receive

SWEEP_AT_ONCE = 500
LOOKED_UP_TOGETHER = 100
PATIENCE_SECONDS = 1800  # a challenge or a slow method that takes longer is called off
DELIVERED_TOGETHER = 200
ROUNDS = 50


class StillUnanswered(Exception):
    """The provider gave no answer: the job is tried again, under the same keys."""


@outside(InstructionGiven, concurrency=4)
async def send_instructions(db: Database, events: Sequence[InstructionGiven]) -> None:
    """Send what was written down and record the answers. A repeat sends the same key again."""
    wanted = [e.instruction_id for e in events]
    before = len(wanted) + 1
    while True:
        async with db.reading() as tx:
            steps = await steps_to_send(tx, wanted)
            left = await _asked(tx, wanted)
        if left == 0:
            return
        if left >= before or not steps:
            raise StillUnanswered(f"{left} instructions without an answer")
        before = left
        await _send_all(db, steps)


async def _send_all(db: Database, steps: Sequence[Step]) -> None:
    outcomes: list[Outcome] = []
    try:
        for kind in ("capture", "void", "refund"):
            for name in sorted({s.payment.provider for s in steps}):
                listed = [
                    s for s in steps if s.instruction.kind == kind and s.payment.provider == name
                ]
                if listed:
                    outcomes += await _send(providers_of(db)[name], kind, listed)
    finally:
        if outcomes:
            await db.attempt(partial(record, outcomes=outcomes), actor="job:payments")


async def _send(provider: Provider, kind: str, steps: Sequence[Step]) -> list[Outcome]:
    if kind == "capture":
        return await provider.capture(steps)
    if kind == "refund":
        return await provider.refund(steps)
    mine = {s.payment.id: s.instruction.id for s in steps}
    return [
        msgspec.structs.replace(o, instruction_id=mine.get(o.payment_id)) if o.payment_id else o
        for o in await provider.void([s.payment for s in steps])
    ]


async def _asked(tx: Tx, instruction_ids: Sequence[uuid.UUID]) -> int:
    return int(
        await tx.value(
            "select count(*) from payments.instruction"
            " where cell = $1 and id = any($2::uuid[]) and state = 'asked'",
            tx.cell,
            instruction_ids,
        )
    )


@every(seconds=10)
async def sweep(tx: Tx) -> None:
    """Payments without an end are looked up at their provider: soon at first, then ever more
    seldom."""
    due: list[uuid.UUID] = await tx.values(
        """
        update payments.payment p set looks = least(p.looks + 1, 100),
               look_at = $2::timestamptz + interval '10 seconds' * (2 ^ least(p.looks, 6))
          from (select id from payments.payment
                 where cell = $1 and state in ('processing', 'unknown', 'needs_action')
                   and look_at <= $2
                 order by look_at limit $3 for update skip locked) due
         where p.cell = $1 and p.id = due.id
        returning p.id
        """,
        tx.cell,
        tx.now,
        SWEEP_AT_ONCE,
    )
    for first in range(0, len(due), LOOKED_UP_TOGETHER):
        overdue = PaymentsOverdue(payment_ids=tuple(due[first : first + LOOKED_UP_TOGETHER]))
        tx.later(look_up_overdue, overdue, at=tx.now)


@outside(PaymentsOverdue, concurrency=2, attempts=1)
async def look_up_overdue(db: Database, events: Sequence[PaymentsOverdue]) -> None:
    await look_up(db, [i for e in events for i in e.payment_ids])


async def look_up(db: Database, payment_ids: Sequence[uuid.UUID]) -> None:
    """Ask what became of payments; one that the provider has never heard of, or that takes too
    long, is called off under its own key first, so that it can't succeed behind our back."""
    async with db.reading() as tx:
        found = await payments_by_id(tx, payment_ids)
        now = tx.now
    for name in sorted({p.provider for p in found}):
        provider = providers_of(db).get(name)
        mine = [p for p in found if p.provider == name]
        if provider is None:
            continue
        outcomes = await provider.look_up(mine)
        hopeless = _hopeless(mine, outcomes, now)
        if hopeless:
            outcomes = outcomes + await provider.void(hopeless)
        told = [o for o in outcomes if o.state != "unheard"]
        await db.attempt(partial(record, outcomes=told), actor="job:payments")


def _hopeless(
    payments: Sequence[Payment], outcomes: Iterable[Outcome], now: dt.datetime
) -> list[Payment]:
    """Those that nobody has heard of, and those that are still open after all that time."""
    said: dict[uuid.UUID | None, set[str]] = {}
    for outcome in outcomes:
        said.setdefault(outcome.payment_id, set()).add(outcome.state)
    return [
        p
        for p in payments
        if p.state in OPEN
        and p.provider != CASH  # it waits until its own deadline
        and (
            "unheard" in said.get(p.id, set())
            or (
                said.get(p.id, set()) & {"pending", "needs_action"}
                and (now - p.created_at).total_seconds() >= PATIENCE_SECONDS
            )
        )
    ]


@every(seconds=1800)
async def close_days(tx: Tx) -> None:
    """Yesterday's settlement, once for each provider that had anything to do."""
    day = tx.now.date() - dt.timedelta(days=1)
    busy: list[str] = await tx.values(
        """
        select p.provider from (select unnest($2::text[]) as provider) p
         where exists (select from payments.payment m where m.cell = $1 and m.id < $4
                          and m.provider = p.provider)
           and not exists (select from payments.reconciliation r
                            where r.cell = $1 and r.provider = p.provider and r.settled_on = $3)
        """,
        tx.cell,
        [name for name in providers_of(tx.db) if name not in IN_HOUSE],
        day,
        first_id(dt.datetime.combine(tx.now.date(), dt.time(), dt.UTC)),
    )
    for name in busy:
        due = SettlementDue(provider=name, day=day)
        tx.later(settle_day, due, at=tx.now, key=f"{name}:{day}")


@outside(SettlementDue, lease_seconds=600)
async def settle_day(db: Database, events: Sequence[SettlementDue]) -> None:
    """Compare; look up at the provider what differs; compare again. What differs still is for a
    person."""
    for event in events:
        rows = await providers_of(db)[event.provider].settlement_rows(event.day)
        again = partial(reconcile, provider=event.provider, day=event.day, rows=rows)
        first = await db.attempt(again, actor="job:payments")
        wrong = sorted({d.subject for d in first.differences if d.what in MOVED})
        ids = [uuid.UUID(subject) for subject in wrong if UUID.fullmatch(subject)]
        for start in range(0, len(ids), LOOKED_UP_TOGETHER):
            await look_up(db, ids[start : start + LOOKED_UP_TOGETHER])
        if ids:
            await db.attempt(again, actor="job:payments")


@every(seconds=1)
async def sandbox_turns(tx: Tx) -> None:
    """The sandbox decides what is due there and, if it owes webhooks, gets to send them."""
    sandbox = providers_of(tx.db).get("sandbox")
    if isinstance(sandbox, Sandbox) and await sandbox.turn():
        tx.later(deliver_notices, NoticesDue(), at=tx.now, key="sandbox")


@outside(NoticesDue, attempts=1)
async def deliver_notices(db: Database, events: Sequence[NoticesDue]) -> None:
    """Deliver the sandbox's webhooks to the verb behind the webhook's address."""
    sandbox = providers_of(db).get("sandbox")
    if isinstance(sandbox, Sandbox):
        for _ in range(ROUNDS):
            if not await deliver_sandbox(db, sandbox):
                return


async def deliver_sandbox(db: Database, sandbox: Sandbox) -> int:
    """One round of deliveries; how many were sent."""
    sent = await outbox.deliveries(
        sandbox.pool, db.clock.now(), sandbox.random, most=DELIVERED_TOGETHER
    )
    if not sent:
        return 0
    answers = await db.attempt(
        lambda tx: receive(tx, sandbox.name, [s.delivery for s in sent]), actor="webhook:sandbox"
    )
    taken = {
        s.notice_id
        for s, answer in zip(sent, answers, strict=True)
        if answer is not None and isinstance(answer, int)
    }
    refused = [s for s in sent if s.notice_id not in taken]
    await outbox.settle(sandbox.pool, sorted(taken), db.clock.now())
    await outbox.try_again(sandbox.pool, refused, db.clock.now())
    return len(sent)


@during(PersonErased)
async def forget_buyers_methods(tx: Tx, events: Sequence[PersonErased]) -> None:
    """Kept methods go with the person; payments stay in the books."""
    for event in events:
        await forget_methods(tx, event.person_id)
