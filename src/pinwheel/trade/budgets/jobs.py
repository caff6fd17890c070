"""What follows for budgets by the clock: alarms, draws from the parent, the end."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from pinwheel.ground.identity import PersonErased
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import during, every
from pinwheel.trade.budgets.funding import close, fund
from pinwheel.trade.budgets.model import BudgetRanLow


class _Low(msgspec.Struct, frozen=True):
    id: uuid.UUID
    owner_id: uuid.UUID | None
    name: str
    currency: str
    policy: str
    draw_minor: int
    has_parent: bool
    available_minor: int


@every(seconds=30)
async def watch(tx: Tx) -> None:
    """Tell once that a budget runs low; one with a soft alarm draws from its parent, as far as
    nobody has to agree to it."""
    low = await tx.rows(
        _Low,
        """
        update budgets.budget b set alarmed_at = $2
          from budgets.v_budget v
         where b.cell = $1 and b.state = 'open' and b.alarmed_at is null and v.cell = b.cell
           and v.budget_id = b.id and (b.ends_at is null or b.ends_at > $2)
           and v.available_minor + v.reserved_minor + v.spent_minor > 0
           and v.available_minor * 100
               <= b.alarm_percent * (v.available_minor + v.reserved_minor + v.spent_minor)
        returning b.id, b.owner_id, b.name, b.currency, b.policy, b.draw_minor,
                  b.parent_id is not null as has_parent, v.available_minor
        """,
        tx.cell,
        tx.now,
    )
    for one in low:
        drawn = 0
        if one.policy == "soft_alarm" and one.has_parent and one.draw_minor:
            try:
                async with tx.savepoint():
                    funded = await fund(tx, one.id, one.draw_minor, "ran low: drawn by itself")
                drawn = one.draw_minor if funded.state == "done" else 0
            except Refusal:
                pass  # the parent has nothing left either: the alarm says so
        tx.emit(
            BudgetRanLow(
                budget_id=one.id,
                owner_id=one.owner_id,
                name=one.name,
                currency=one.currency,
                available_minor=one.available_minor + drawn,
                drawn_minor=drawn,
            )
        )


@every(seconds=60)
async def end(tx: Tx) -> None:
    """Budgets past their deadline close; what came back to a closed one goes on to where it came
    from."""
    due = await tx.values(
        """
        select v.budget_id from budgets.v_budget v
         where v.cell = $1 and (v.state = 'open' and v.ends_at <= $2
                                or v.state = 'closed' and v.available_minor > 0)
         order by v.budget_id limit 100
        """,
        tx.cell,
        tx.now,
    )
    for budget_id in due:
        await close(tx, budget_id, "its time is over")


@during(PersonErased)
async def forget_owners(tx: Tx, events: Sequence[PersonErased]) -> None:
    """A budget whose owner is erased has none."""
    await tx.run(
        """
        update budgets.budget set owner_id = null where cell = $1 and owner_id = any($2::uuid[])
        """,
        tx.cell,
        [event.person_id for event in events],
    )
