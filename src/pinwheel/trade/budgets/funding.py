"""Opening, funding and closing budgets; what is above the limit waits for a second person."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.ground import ledger
from pinwheel.ground.ledger import Account, Insufficient, Journal, Transfer
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Invalid, NotFound, Refusal
from pinwheel.trade.budgets.model import (
    BudgetClosed,
    BudgetClosing,
    BudgetSpent,
    CurrencyDiffers,
    Funded,
    NeedsSecondPerson,
    NewBudget,
    NotWaiting,
    UnknownBudget,
    amount,
    authorised_by,
    left_of,
    spent_of,
)

MOST_MINOR = 10**15  # of one funding


class _Source(msgspec.Struct, frozen=True):
    """A budget with where its money comes from, and the strictest limit up its tree."""

    id: uuid.UUID
    parent_id: uuid.UUID | None
    name: str
    currency: str
    funder: str
    funder_id: uuid.UUID | None
    owner_id: uuid.UUID | None
    state: str
    ends_at: dt.datetime | None
    limit_minor: int | None
    available_minor: int
    parent_name: str | None

    @property
    def account(self) -> Account:
        return left_of(self.id, self.currency)

    @property
    def origin(self) -> Account:
        if self.parent_id is not None:
            return left_of(self.parent_id, self.currency)
        return authorised_by(self.funder, self.funder_id, self.currency)


class _Asked(msgspec.Struct, frozen=True):
    id: uuid.UUID
    budget_id: uuid.UUID
    amount_minor: int
    state: str
    asked_by: str
    reason: str
    needs_second: bool


async def open_budgets(tx: Tx, new: Sequence[NewBudget]) -> list[uuid.UUID | Refusal]:
    """Open budgets, empty: the id of each. A parent may stand before its children in one call.

    Statements: 3. Refuses ``UnknownBudget`` (the parent), ``CurrencyDiffers``, ``BudgetClosed``,
    ``Invalid``."""
    if not new:
        return []
    parents = await _sources(tx, sorted({n.parent_id for n in new if n.parent_id is not None}))
    known = {p.id: (p.name, p.currency, p.state) for p in parents.values()}
    answers: list[uuid.UUID | Refusal] = []
    fresh: list[tuple[uuid.UUID, NewBudget]] = []
    for one in new:
        refusal = _unfit(tx, one, known)
        if refusal is not None:
            answers.append(refusal)
            continue
        budget_id = one.id or tx.new_id()
        known[budget_id] = (one.name, one.currency, "open")
        fresh.append((budget_id, one))
        answers.append(budget_id)
    if fresh:
        await ledger.open_accounts(
            tx,
            [a for i, b in fresh for a in (left_of(i, b.currency), spent_of(i, b.currency))],
        )
        await _insert(tx, fresh)
    return answers


async def fund(
    tx: Tx, budget_id: uuid.UUID, amount_minor: int, reason: str, *, key: str | None = None
) -> Funded:
    """Give a budget ``amount_minor`` out of its parent (or its funder's authorisation); below
    zero it goes back there. More than the limit waits for a second person.

    ``key`` makes a repeat the same funding. Refuses ``BudgetSpent`` (the parent's, or its own on
    the way back), ``BudgetClosed``, ``Invalid``, ``NotFound``."""
    if not amount_minor or abs(amount_minor) > MOST_MINOR:
        raise Invalid("amount", "give an amount that is not zero", "金额不能为零")
    if not reason.strip():
        raise Invalid("reason", "say why", "请填写原因")
    source = await _locked_source(tx, budget_id)
    needs_second = source.limit_minor is not None and abs(amount_minor) > source.limit_minor
    funding_id = uuid.uuid5(budget_id, key) if key else tx.new_id()
    written = await tx.run(
        """
        insert into budgets.funding (cell, id, budget_id, amount_minor, reason, state, asked_by,
                                     asked_at, decided_by, decided_at, needs_second)
        values ($1, $2, $3, $4, $5, case when $6 then 'asked' else 'done' end, $7, $8,
                case when not $6 then $7 end, case when not $6 then $8::timestamptz end, $6)
        on conflict (cell, id) do nothing
        """,
        tx.cell,
        funding_id,
        budget_id,
        amount_minor,
        reason.strip(),
        needs_second,
        tx.actor,
        tx.now,
    )
    if not written:
        before = await _asked(tx, funding_id)
        return Funded(funding_id, "asked" if before.state == "asked" else "done")
    if needs_second:
        return Funded(funding_id, "asked")
    await _move(tx, source, funding_id, amount_minor, reason.strip())
    return Funded(funding_id, "done")


async def approve(tx: Tx, funding_id: uuid.UUID, reason: str = "") -> None:
    """Agree to what somebody else asked for: it happens now. Refuses ``NeedsSecondPerson``,
    ``NotWaiting``, ``BudgetSpent``, ``BudgetClosed``, ``NotFound``."""
    asked = await _decide(tx, funding_id, "done", reason)
    source = await _locked_source(tx, asked.budget_id)
    await _move(tx, source, asked.id, asked.amount_minor, asked.reason)


async def refuse(tx: Tx, funding_id: uuid.UUID, reason: str) -> None:
    """Say no to a request; who asked may also take it back. Refuses ``NotWaiting``,
    ``Invalid``, ``NotFound``."""
    if not reason.strip():
        raise Invalid("reason", "say why", "请填写原因")
    await _decide(tx, funding_id, "refused", reason)


async def close(tx: Tx, budget_id: uuid.UUID, reason: str) -> int:
    """Nothing more is reserved; what is left goes back to where it came from: how much, in minor
    units. What is reserved stays promised; what comes back later follows by the clock. Safe to
    repeat. Refuses ``Invalid``, ``NotFound``."""
    if not reason.strip():
        raise Invalid("reason", "say why", "请填写原因")
    source = await _locked_source(tx, budget_id, also_closed=True)
    if source.state == "open":
        await tx.run(
            """
            update budgets.budget set state = 'closed', closed_at = $3
             where cell = $1 and id = $2
            """,
            tx.cell,
            budget_id,
            tx.now,
        )
    returned = await return_rest(tx, source, reason.strip())
    if source.state == "open":
        tx.emit(
            BudgetClosing(
                budget_id=budget_id,
                owner_id=source.owner_id,
                name=source.name,
                returned_minor=returned,
            )
        )
    return returned


async def return_rest(tx: Tx, source: _Source, reason: str) -> int:
    """Send what a closed budget still has to where it came from. It is the budget's own end, so
    that no second person is asked."""
    [left] = (await ledger.balances(tx, [source.account])).values()
    if left.available <= 0:
        return 0
    funding_id = tx.new_id()
    await tx.run(
        """
        insert into budgets.funding (cell, id, budget_id, amount_minor, reason, state, asked_by,
                                     asked_at, decided_by, decided_at, needs_second)
        values ($1, $2, $3, $4, $5, 'done', $6, $7, $6, $7, false)
        """,
        tx.cell,
        funding_id,
        source.id,
        -left.available,
        reason,
        tx.actor,
        tx.now,
    )
    await _move(tx, source, funding_id, -left.available, reason)
    return left.available


async def sources_under_lock(tx: Tx, ids: Sequence[uuid.UUID]) -> list[_Source]:
    """The budgets with where their money comes from, under lock, in the order of their ids."""
    await tx.run(
        """
        select id from budgets.budget where cell = $1 and id = any($2::uuid[])
         order by id for update
        """,
        tx.cell,
        list(ids),
    )
    found = await _sources(tx, ids)
    return [found[i] for i in sorted(found)]


async def _locked_source(tx: Tx, budget_id: uuid.UUID, *, also_closed: bool = False) -> _Source:
    found = await sources_under_lock(tx, [budget_id])
    if not found:
        raise NotFound(what="budget")
    [source] = found
    over = source.ends_at is not None and source.ends_at <= tx.now
    if (source.state == "closed" or over) and not also_closed:
        raise BudgetClosed(budget=source.name)
    return source


async def _sources(tx: Tx, ids: Sequence[uuid.UUID]) -> dict[uuid.UUID, _Source]:
    """One statement; the limit is the lowest of the budget's own and its ancestors'."""
    if not ids:
        return {}
    rows = await tx.rows(
        _Source,
        """
        with recursive up as (
          select id as start, id, parent_id, approval_above_minor from budgets.budget
           where cell = $1 and id = any($2::uuid[])
          union all
          select up.start, b.id, b.parent_id, b.approval_above_minor
            from up join budgets.budget b on b.cell = $1 and b.id = up.parent_id
        )
        select b.id, b.parent_id, b.name, b.currency, b.funder, b.funder_id, b.owner_id, b.state,
               b.ends_at, min(up.approval_above_minor) as limit_minor,
               coalesce(min(l.available), 0) as available_minor, min(p.name) as parent_name
          from up join budgets.budget b on b.cell = $1 and b.id = up.start
          left join ledger.v_balance l on l.cell = b.cell and l.account_id = b.left_account
          left join budgets.budget p on p.cell = b.cell and p.id = b.parent_id
         group by b.cell, b.id
        """,
        tx.cell,
        list(ids),
    )
    return {row.id: row for row in rows}


def _unfit(tx: Tx, one: NewBudget, known: dict[uuid.UUID, tuple[str, str, str]]) -> Refusal | None:
    if not one.name.strip() or len(one.name) > 200:
        return Invalid("name", "give it a name of 200 letters at most", "请填写名称（最多 200 字）")
    if len(one.currency) != 3 or not one.currency.isupper():
        return Invalid("currency", "an ISO 4217 code, such as GBP", "请使用 ISO 4217 币种代码")
    if (one.funder == "platform") != (one.funder_id is None):
        return Invalid("funder", "name the seller or brand who pays", "请指明出资的商家或品牌")
    if one.ends_at is not None and one.ends_at <= (one.starts_at or tx.now):
        return Invalid("ends_at", "it ends before it begins", "结束时间早于开始时间")
    if not 0 <= one.alarm_percent <= 100 or one.draw_minor < 0:
        return Invalid("alarm_percent", "from 0 to 100", "应在 0 到 100 之间")
    if one.parent_id is None:
        return None
    parent = known.get(one.parent_id)
    if parent is None:
        return UnknownBudget(budget=one.parent_id)
    name, currency, state = parent
    if currency != one.currency:
        return CurrencyDiffers(budget=name, currency=currency, asked=one.currency)
    return BudgetClosed(budget=name) if state == "closed" else None


async def _insert(tx: Tx, fresh: Sequence[tuple[uuid.UUID, NewBudget]]) -> None:
    await tx.run(
        """
        insert into budgets.budget (
          cell, id, parent_id, name, purpose, currency, funder, funder_id, owner_id, policy,
          alarm_percent, draw_minor, approval_above_minor, starts_at, ends_at, left_account,
          spent_account, opened_at, opened_by)
        select $1, b.id, b.parent_id, b.name, b.purpose, b.currency, b.funder, b.funder_id,
               b.owner_id, b.policy, b.alarm_percent, b.draw_minor, b.approval_above_minor,
               b.starts_at, b.ends_at, b.left_account, b.spent_account, $2, $3
          from unnest($4::uuid[], $5::uuid[], $6::text[], $7::text[], $8::text[], $9::text[],
                      $10::uuid[], $11::uuid[], $12::text[], $13::smallint[], $14::bigint[],
                      $15::bigint[], $16::timestamptz[], $17::timestamptz[], $18::bigint[],
                      $19::bigint[])
               as b(id, parent_id, name, purpose, currency, funder, funder_id, owner_id, policy,
                    alarm_percent, draw_minor, approval_above_minor, starts_at, ends_at,
                    left_account, spent_account)
        """,
        tx.cell,
        tx.now,
        tx.actor,
        [i for i, _ in fresh],
        [b.parent_id for _, b in fresh],
        [b.name.strip() for _, b in fresh],
        [b.purpose for _, b in fresh],
        [b.currency for _, b in fresh],
        [b.funder for _, b in fresh],
        [b.funder_id for _, b in fresh],
        [b.owner_id for _, b in fresh],
        [b.policy for _, b in fresh],
        [b.alarm_percent for _, b in fresh],
        [b.draw_minor for _, b in fresh],
        [b.approval_above_minor for _, b in fresh],
        [b.starts_at or tx.now for _, b in fresh],
        [b.ends_at for _, b in fresh],
        [left_of(i, b.currency).id for i, b in fresh],
        [spent_of(i, b.currency).id for i, b in fresh],
    )


async def _asked(tx: Tx, funding_id: uuid.UUID) -> _Asked:
    return await tx.the(
        "request",
        _Asked,
        """
        select id, budget_id, amount_minor, state, asked_by, reason, needs_second
          from budgets.funding where cell = $1 and id = $2 for update
        """,
        tx.cell,
        funding_id,
    )


async def _decide(tx: Tx, funding_id: uuid.UUID, state: str, reason: str) -> _Asked:
    asked = await _asked(tx, funding_id)
    if asked.state != "asked":
        raise NotWaiting(state=asked.state)
    own = asked.asked_by == tx.actor
    if own and state == "done":
        raise NeedsSecondPerson()
    await tx.run(
        """
        update budgets.funding set state = $3, decided_by = $4, decided_at = $5,
               decision_reason = nullif($6, ''),
               needs_second = needs_second and not $7
         where cell = $1 and id = $2
        """,
        tx.cell,
        funding_id,
        state,
        tx.actor,
        tx.now,
        reason.strip(),
        own,
    )
    return asked


async def _move(
    tx: Tx, source: _Source, funding_id: uuid.UUID, amount_minor: int, reason: str
) -> None:
    into, out_of = source.account, source.origin
    if amount_minor < 0:
        into, out_of = out_of, into
    [posted] = await ledger.post(
        tx,
        [
            Journal(
                document_kind="budget",
                document_id=funding_id,
                key="funding",
                reason=reason,
                transfers=(Transfer(into, out_of, abs(amount_minor)),),
            )
        ],
    )
    if isinstance(posted, Insufficient):
        short = source.parent_name if amount_minor > 0 else source.name
        raise BudgetSpent(
            budget=short,
            left=amount(int(posted.facts["left"]), source.currency),
            asked=amount(abs(amount_minor), source.currency),
        )
    if isinstance(posted, Refusal):
        raise posted
    if amount_minor > 0:
        await tx.run(
            "update budgets.budget set alarmed_at = null where cell = $1 and id = $2",
            tx.cell,
            source.id,
        )
