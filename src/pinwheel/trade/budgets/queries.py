"""Questions to the budgets; none takes a lock."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterable, Sequence

import msgspec

from pinwheel.ground import ledger
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import NotFound
from pinwheel.trade.budgets.model import Budget, Burn, Funding, burn_of

MOST = 1000


async def available(tx: Tx, budget_ids: Iterable[uuid.UUID]) -> dict[uuid.UUID, int]:
    """What each budget can spend now, in minor units: 0 for one that is closed, over, not begun
    or unknown. 1 statement. Whoever offers a discount asks this first, so that nobody is offered
    what is spent already."""
    ids = sorted(set(budget_ids))
    found = dict.fromkeys(ids, 0)
    if not ids:
        return found
    rows = await tx.rows(
        _Left,
        """
        select b.id, l.available from budgets.budget b
          join ledger.v_balance l on l.cell = b.cell and l.account_id = b.left_account
         where b.cell = $1 and b.id = any($2::uuid[]) and b.state = 'open' and b.starts_at <= $3
           and (b.ends_at is null or b.ends_at > $3)
        """,
        tx.cell,
        ids,
        tx.now,
    )
    return found | {row.id: max(0, row.available) for row in rows}


class _Left(msgspec.Struct, frozen=True):
    id: uuid.UUID
    available: int


async def budgets(
    tx: Tx,
    ids: Sequence[uuid.UUID] | None = None,
    *,
    purpose: str | None = None,
    open_only: bool = False,
) -> list[Budget]:
    """The budgets with their figures, parents before children as they were opened; 1,000 at
    most. 1 statement."""
    return await tx.rows(
        Budget,
        """
        select b.id, b.parent_id, b.name, b.purpose, b.currency, b.funder, b.funder_id, b.owner_id,
               b.policy, b.alarm_percent, b.draw_minor, b.approval_above_minor, b.starts_at,
               b.ends_at, b.state, b.opened_at, b.alarmed_at,
               coalesce(l.available, 0) as available_minor, coalesce(l.held, 0) as reserved_minor,
               coalesce(s.posted, 0) as spent_minor
          from budgets.budget b
          left join ledger.v_balance l on l.cell = b.cell and l.account_id = b.left_account
          left join ledger.v_balance s on s.cell = b.cell and s.account_id = b.spent_account
         where b.cell = $1 and ($2::uuid[] is null or b.id = any($2::uuid[]))
           and ($3::text is null or b.purpose = $3) and (not $4 or b.state = 'open')
         order by b.opened_at, b.id limit $5
        """,
        tx.cell,
        None if ids is None else list(ids),
        purpose,
        open_only,
        MOST,
    )


async def budget(tx: Tx, budget_id: uuid.UUID) -> Budget:
    """One budget; ``NotFound``."""
    found = await budgets(tx, [budget_id])
    if not found:
        raise NotFound(what="budget")
    return found[0]


async def fundings(tx: Tx, budget_id: uuid.UUID, *, most: int = 100) -> list[Funding]:
    """What was given to a budget or taken from it, newest first. 1 statement."""
    return await tx.rows(
        Funding,
        """
        select f.id, f.budget_id, b.name as budget, b.currency, f.amount_minor, f.reason, f.state,
               f.asked_by, f.asked_at, f.decided_by, f.decided_at, f.decision_reason
          from budgets.funding f
          join budgets.budget b on b.cell = f.cell and b.id = f.budget_id
         where f.cell = $1 and f.budget_id = $2 order by f.id desc limit $3
        """,
        tx.cell,
        budget_id,
        most,
    )


async def waiting(tx: Tx, *, most: int = 100) -> list[Funding]:
    """Requests that wait for a second person, oldest first. 1 statement."""
    return await tx.rows(
        Funding,
        """
        select f.id, f.budget_id, b.name as budget, b.currency, f.amount_minor, f.reason, f.state,
               f.asked_by, f.asked_at, f.decided_by, f.decided_at, f.decision_reason
          from budgets.funding f
          join budgets.budget b on b.cell = f.cell and b.id = f.budget_id
         where f.cell = $1 and f.state = 'asked' order by f.id limit $2
        """,
        tx.cell,
        most,
    )


async def burn(tx: Tx, budget_id: uuid.UUID, *, days: int = 28, zone: str = "UTC") -> Burn:
    """How fast a budget is spent over its last ``days`` whole days of ``zone``, and how long the
    rest lasts. ``NotFound``. 2 statements."""
    found = await budget(tx, budget_id)
    left, spent = f"budget:{budget_id}:left", f"budget:{budget_id}:spent"
    flows = await ledger.flows_by_day(
        tx,
        [("out", spent, left), ("back", left, spent)],
        since=tx.now - dt.timedelta(days=days + 1),
        zone=zone,
    )
    per_day: dict[dt.date, int] = {}
    for flow in flows:
        sign = 1 if flow.name == "out" else -1
        per_day[flow.day] = per_day.get(flow.day, 0) + sign * flow.amount
    today = await tx.value("select ($1::timestamptz at time zone $2)::date", tx.now, zone)
    first = min(per_day, default=today)
    begin = max(first, today - dt.timedelta(days=days))
    whole = [begin + dt.timedelta(days=n) for n in range((today - begin).days)]
    if not whole and per_day:  # it began today: what there is so far
        whole = [today]
    series = [(day, per_day.get(day, 0)) for day in whole]
    return burn_of(budget_id, found.currency, series, found.available_minor)
