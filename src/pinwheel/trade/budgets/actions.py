"""Spending: reserve, commit, release, give back. Each verb takes a list and costs a constant
number of statements."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Held, Hold, Insufficient, Journal, Posted, Transfer
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.trade.budgets.model import (
    BudgetClosed,
    BudgetSpent,
    Commitment,
    CurrencyDiffers,
    GivenBack,
    Reservation,
    UnknownBudget,
    amount,
    ledger_key,
    left_of,
    spent_of,
)

T = TypeVar("T", Held, Posted)


class Terms(msgspec.Struct, frozen=True):
    """What has to be known of a budget before it is spent from."""

    id: uuid.UUID
    name: str
    currency: str
    is_open: bool


class _Reserved(msgspec.Struct, frozen=True):
    document_id: uuid.UUID
    key: str
    hold_id: uuid.UUID
    document_kind: str
    remaining: int
    state: str


async def reserve(tx: Tx, reservations: Sequence[Reservation]) -> list[Held | Refusal]:
    """Put each amount aside for its document until it is committed, released or expires.

    Statements: 4, whatever the length; none for an empty list. Refuses ``BudgetSpent``,
    ``BudgetClosed``, ``CurrencyDiffers``, ``UnknownBudget``, ``AmountNotPositive``. The same
    (budget, document, key) again answers with the first hold."""
    if not reservations:
        return []
    terms = await terms_of(tx, {r.budget_id for r in reservations})
    answers: list[Held | Refusal | None] = [_unfit(terms, r) for r in reservations]
    asked = [n for n, refusal in enumerate(answers) if refusal is None]
    held = await ledger.hold(tx, [hold_for(terms, reservations[n]) for n in asked])
    for n, answer in zip(asked, held, strict=True):
        answers[n] = _said(answer, terms, reservations[n].budget_id, reservations[n].amount_minor)
    return [a for a in answers if a is not None]


async def spend(tx: Tx, reservations: Sequence[Reservation]) -> list[Posted | Refusal]:
    """Reserve and commit at once: for what is certain already.

    Statements: 4, whatever the length. Refuses as ``reserve`` does; the same (budget, document,
    key) again answers with the first posting."""
    if not reservations:
        return []
    terms = await terms_of(tx, {r.budget_id for r in reservations})
    answers: list[Posted | Refusal | None] = [_unfit(terms, r) for r in reservations]
    asked = [n for n, refusal in enumerate(answers) if refusal is None]
    posted = await ledger.post(tx, [_spending(terms, reservations[n]) for n in asked])
    for n, answer in zip(asked, posted, strict=True):
        answers[n] = _said(answer, terms, reservations[n].budget_id, reservations[n].amount_minor)
    return [a for a in answers if a is not None]


async def commit(tx: Tx, commitments: Sequence[Commitment]) -> list[Posted | Refusal]:
    """Spend what was reserved, all of it or a part; also after the budget's deadline, because it
    was promised before.

    Statements: 6, whatever the length. Refuses ``HoldClosed`` (released, expired, or it holds
    less), ``UnknownBudget``. The same ``part`` again answers with the first posting."""
    if not commitments:
        return []
    terms = await terms_of(tx, {c.budget_id for c in commitments})
    found = await _reserved(tx, [(c.document_id, _key(c)) for c in commitments])
    answers: list[Posted | Refusal | None] = []
    journals: list[tuple[int, Journal]] = []
    for n, one in enumerate(commitments):
        hold, budget = found.get((one.document_id, _key(one))), terms.get(one.budget_id)
        answers.append(None)
        if budget is None:
            answers[n] = UnknownBudget(budget=one.budget_id)
        elif hold is None:
            answers[n] = ledger.HoldClosed(state="unknown", asked=one.amount_minor or 0)
        elif one.amount_minor == 0 or (one.amount_minor is None and not hold.remaining):
            # Nothing to move: it was committed before, or has ended.
            answers[n] = (
                Posted(hold.hold_id, fresh=False)
                if hold.state == "committed"
                else ledger.HoldClosed(state=hold.state, asked=one.amount_minor or 0)
            )
        else:
            journals.append((n, _commitment(one, hold, budget)))
    posted = await ledger.post(tx, [journal for _, journal in journals])
    for (n, _), answer in zip(journals, posted, strict=True):
        answers[n] = answer
    return [a for a in answers if a is not None]


async def release(tx: Tx, reservations: Iterable[tuple[uuid.UUID, uuid.UUID, str]]) -> int:
    """Let go of what is reserved: (budget, document, key); how many were open. Safe to repeat.
    4 statements. What is reserved for a document also ends by ``ledger.release_for``."""
    keys = [(document, ledger_key(budget, key)) for budget, document, key in reservations]
    if not keys:
        return 0
    found = await _reserved(tx, keys)
    return await ledger.release(tx, [h.hold_id for h in found.values() if h.state == "open"])


async def give_back(tx: Tx, returned: Sequence[GivenBack]) -> list[Posted | Refusal]:
    """What was spent comes back to its budget, also when that is closed (its deadline sends it
    on). Statements: 4, whatever the length. Refuses ``Insufficient`` where more would come back
    than the budget ever spent. The same ``part`` again answers with the first posting."""
    if not returned:
        return []
    terms = await terms_of(tx, {r.budget_id for r in returned})
    answers: list[Posted | Refusal | None] = [
        None if r.budget_id in terms else UnknownBudget(budget=r.budget_id) for r in returned
    ]
    known = [n for n, refusal in enumerate(answers) if refusal is None]
    posted = await ledger.post(tx, [_returning(terms, returned[n]) for n in known])
    for n, answer in zip(known, posted, strict=True):
        answers[n] = answer
    return [a for a in answers if a is not None]


async def terms_of(tx: Tx, budget_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, Terms]:
    """What has to be known of budgets before they are spent from. 1 statement."""
    rows = await tx.rows(
        Terms,
        """
        select id, name, currency,
               state = 'open' and starts_at <= $3 and (ends_at is null or ends_at > $3) as is_open
          from budgets.budget where cell = $1 and id = any($2::uuid[])
        """,
        tx.cell,
        sorted(budget_ids),
        tx.now,
    )
    return {row.id: row for row in rows}


def hold_for(terms: Mapping[uuid.UUID, Terms], one: Reservation) -> Hold:
    """The ledger's hold of a reservation whose budget is known."""
    currency = terms[one.budget_id].currency
    return Hold(
        document_kind=one.document_kind,
        document_id=one.document_id,
        key=ledger_key(one.budget_id, one.key),
        debit=spent_of(one.budget_id, currency),
        credit=left_of(one.budget_id, currency),
        amount=one.amount_minor,
    )


def _unfit(terms: Mapping[uuid.UUID, Terms], one: Reservation) -> Refusal | None:
    budget = terms.get(one.budget_id)
    if budget is None:
        return UnknownBudget(budget=one.budget_id)
    if one.currency and one.currency != budget.currency:
        return CurrencyDiffers(budget=budget.name, currency=budget.currency, asked=one.currency)
    if not budget.is_open:
        return BudgetClosed(budget=budget.name)
    return None


def _said(
    answer: T | Refusal, terms: Mapping[uuid.UUID, Terms], budget_id: uuid.UUID, asked: int
) -> T | Refusal:
    """The ledger's refusal in the budget's words."""
    if not isinstance(answer, Insufficient):
        return answer
    budget = terms[budget_id]
    left = int(answer.facts["left"])
    return BudgetSpent(
        budget=budget.name,
        left=amount(left, budget.currency),
        asked=amount(asked, budget.currency),
    )


def _key(one: Commitment) -> str:
    return ledger_key(one.budget_id, one.key)


def _spending(terms: Mapping[uuid.UUID, Terms], one: Reservation) -> Journal:
    currency = terms[one.budget_id].currency
    return Journal(
        document_kind=one.document_kind,
        document_id=one.document_id,
        key=f"{ledger_key(one.budget_id, one.key)}:spent",
        reason="budget: spent",
        transfers=(
            Transfer(
                spent_of(one.budget_id, currency),
                left_of(one.budget_id, currency),
                one.amount_minor,
            ),
        ),
    )


def _commitment(one: Commitment, hold: _Reserved, budget: Terms) -> Journal:
    part = f":{one.part}" if one.part else ""
    return Journal(
        document_kind=hold.document_kind,
        document_id=one.document_id,
        key=f"{_key(one)}:spent{part}",
        reason="budget: committed",
        transfers=(
            Transfer(
                spent_of(budget.id, budget.currency),
                left_of(budget.id, budget.currency),
                hold.remaining if one.amount_minor is None else one.amount_minor,
                hold=hold.hold_id,
                closes=one.closes,
            ),
        ),
    )


def _returning(terms: Mapping[uuid.UUID, Terms], one: GivenBack) -> Journal:
    currency = terms[one.budget_id].currency
    return Journal(
        document_kind=one.document_kind,
        document_id=one.document_id,
        key=f"{ledger_key(one.budget_id, one.key)}:back:{one.part}",
        reason=one.reason,
        transfers=(
            Transfer(
                left_of(one.budget_id, currency),
                spent_of(one.budget_id, currency),
                one.amount_minor,
            ),
        ),
    )


async def _reserved(
    tx: Tx, keys: Sequence[tuple[uuid.UUID, str]]
) -> dict[tuple[uuid.UUID, str], _Reserved]:
    rows = await tx.rows(
        _Reserved,
        """
        select h.document_id, h.key, h.hold_id, h.document_kind, h.remaining, h.state
          from ledger.v_hold h
          join unnest($2::uuid[], $3::text[]) as k(document_id, key)
            on k.document_id = h.document_id and k.key = h.key
         where h.cell = $1 and h.document_id = any($2::uuid[])
        """,
        tx.cell,
        [document for document, _ in keys],
        [key for _, key in keys],
    )
    return {(row.document_id, row.key): row for row in rows}
