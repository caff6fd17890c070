"""Budgets: the tree, what waits for a second person, how fast the money goes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.faces.console.frame import attempt, names_of, refused, shown
from pinwheel.faces.console.money import minor_of
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid
from pinwheel.kernel.web import Answer, Call, See, get, post
from pinwheel.trade import budgets, pricing
from pinwheel.trade.budgets import Budget, Burn, Funding, NewBudget

SCOPE, MONEY = "budgets", "money"
PURPOSES = ("general", "subsidy", "reward", "coupon", "marketing", "loss")
WIDTH, HEIGHT, MARGIN = 720, 220, 36
Text = Annotated[str, Meta(max_length=200)]
Reason = Annotated[str, Meta(max_length=500)]


class Tree(msgspec.Struct, frozen=True):
    """Every budget with its depth, parents before their children; what waits for somebody."""

    budgets: list[tuple[int, Budget]]
    requests: list[Funding]


@get("/console/budgets", scope=SCOPE)
async def budget_tree(call: Call, tx: Tx) -> Answer[Tree]:
    """The tree of budgets with what is left, and requests that wait for a second person."""
    found = await budgets.budgets(tx)
    waiting = await budgets.waiting(tx)
    return await shown(
        call,
        tx,
        Tree(in_tree(found), waiting),
        "budgets",
        call.say("Budgets"),
        "budgets",
        purposes=PURPOSES,
        currencies=sorted({m.currency for m in (await pricing.markets(tx)).values() if m.active}),
        parents=[b for b in found if b.state == "open"],
        names=await names_of(tx, {f.asked_by for f in waiting}),
        actor=call.caller.actor,
    )


def in_tree(found: Sequence[Budget]) -> list[tuple[int, Budget]]:
    """Each budget with its depth, a parent right before its children. Pure."""
    below: dict[UUID | None, list[Budget]] = {}
    known = {b.id for b in found}
    for one in found:
        below.setdefault(one.parent_id if one.parent_id in known else None, []).append(one)
    ordered: list[tuple[int, Budget]] = []
    stack = [(0, b) for b in reversed(below.get(None, []))]
    while stack:
        depth, one = stack.pop()
        ordered.append((depth, one))
        stack += [(depth + 1, b) for b in reversed(below.get(one.id, []))]
    return ordered


class BudgetForm(msgspec.Struct):
    name: Text
    currency: Annotated[str, Meta(max_length=3)]
    parent_id: Annotated[str, Meta(max_length=40)] = ""
    purpose: Annotated[str, Meta(max_length=20)] = "general"
    policy: Annotated[str, Meta(max_length=20)] = "hard_stop"
    alarm_percent: Annotated[int, Meta(ge=0, le=100)] = 20
    draw: Annotated[str, Meta(max_length=20)] = ""
    limit: Annotated[str, Meta(max_length=20)] = ""
    ends_on: Annotated[str, Meta(max_length=10)] = ""


@post("/console/budgets", scope=SCOPE)
async def open_budget(call: Call, db: Database, data: BudgetForm) -> See[Any]:
    """A new budget, empty. Its limits stay as they are."""

    async def verb(tx: Tx) -> UUID:
        answers = await budgets.open_budgets(tx, [_new(data)])
        refused(answers)
        [answer] = answers
        assert isinstance(answer, UUID)
        return answer

    return await attempt(
        call,
        db,
        verb,
        "/console/budgets",
        call.say("Opened. Now give it money."),
        ahead=lambda budget_id: f"/console/budgets/{budget_id}",
    )


def _new(data: BudgetForm) -> NewBudget:
    if data.purpose not in PURPOSES or data.policy not in ("hard_stop", "soft_alarm"):
        raise Invalid("purpose", "choose one of the list", "请从列表中选择")
    if not pricing.is_currency(data.currency):
        raise Invalid("currency", "choose one of the list", "请从列表中选择")
    try:
        parent = UUID(data.parent_id) if data.parent_id else None
        ends = dt.date.fromisoformat(data.ends_on) if data.ends_on else None
    except ValueError as error:
        raise Invalid(
            "ends_on", "write a date such as 2026-12-31", "日期格式应为 2026-12-31"
        ) from error
    return msgspec.convert(
        {
            "name": data.name.strip(),
            "currency": data.currency,
            "parent_id": parent,
            "purpose": data.purpose,
            "policy": data.policy,
            "alarm_percent": data.alarm_percent,
            "draw_minor": minor_of(data.draw, data.currency) if data.draw.strip() else 0,
            "approval_above_minor": minor_of(data.limit, data.currency)
            if data.limit.strip()
            else None,
            "ends_at": dt.datetime.combine(ends + dt.timedelta(days=1), dt.time(), dt.UTC)
            if ends
            else None,
        },
        type=NewBudget,
    )


class BudgetSight(msgspec.Struct, frozen=True):
    budget: Budget
    burn: Burn
    fundings: list[Funding]
    children: list[Budget]


@get("/console/budgets/{budget_id:uuid}", scope=SCOPE)
async def budget_page(call: Call, tx: Tx, budget_id: UUID) -> Answer[BudgetSight]:
    """One budget: what is left, how fast it goes, who gave it what and why."""
    everything = await budgets.budgets(tx)
    sight = BudgetSight(
        await budgets.budget(tx, budget_id),
        await budgets.burn(tx, budget_id),
        await budgets.fundings(tx, budget_id),
        [b for b in everything if b.parent_id == budget_id],
    )
    actors = {f.asked_by for f in sight.fundings} | {f.decided_by or "" for f in sight.fundings}
    return await shown(
        call,
        tx,
        sight,
        "budget",
        sight.budget.name,
        "budgets",
        chart=charted(sight.burn),
        parent=next((b for b in everything if b.id == sight.budget.parent_id), None),
        names=await names_of(tx, actors - {""}),
        actor=call.caller.actor,
    )


def charted(burn: Burn) -> dict[str, Any] | None:
    """What was spent each day as the bars of a picture, with the run-rate, its interval and the
    baseline as lines over them. Pure."""
    if len(burn.per_day) < 2:
        return None
    most = max(1, burn.high_minor or 0, *(spent for _, spent in burn.per_day))
    least = min(0, *(spent for _, spent in burn.per_day))
    tall, across = HEIGHT - 2 * MARGIN, WIDTH - 2 * MARGIN
    step = across / len(burn.per_day)

    def y(value: float) -> float:
        return round(HEIGHT - MARGIN - tall * (value - least) / (most - least), 1)

    bars = [
        {
            "x": round(MARGIN + n * step + step * 0.15, 1),
            "y": min(y(spent), y(0)),
            "height": max(1.0, round(abs(y(spent) - y(0)), 1)),
            "day": day,
            "spent": spent,
        }
        for n, (day, spent) in enumerate(burn.per_day)
    ]
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "left": MARGIN,
        "right": WIDTH - MARGIN,
        "bars": bars,
        "bar": round(step * 0.7, 1),
        "rate": y(burn.rate_minor),
        "baseline": y(burn.baseline_minor),
        "band": None
        if burn.low_minor is None or burn.high_minor is None
        else {"y": y(burn.high_minor), "height": max(1.0, y(burn.low_minor) - y(burn.high_minor))},
        "zero": y(0),
        "most": most,
    }


class FundForm(msgspec.Struct):
    amount: Annotated[str, Meta(max_length=20)]
    reason: Reason
    way: Annotated[str, Meta(max_length=10)] = "in"
    key: Annotated[str, Meta(max_length=40)] = ""


@post("/console/budgets/{budget_id:uuid}/fund", scope=MONEY)
async def fund_budget(call: Call, db: Database, budget_id: UUID, data: FundForm) -> See[Any]:
    """Give it money, or send some back; more than its limit waits for a colleague."""

    async def verb(tx: Tx) -> str:
        found = await budgets.budget(tx, budget_id)
        amount = abs(minor_of(data.amount, found.currency))
        signed = -amount if data.way == "back" else amount
        answer = await budgets.fund(tx, budget_id, signed, data.reason, key=data.key or None)
        return answer.state

    return await attempt(
        call,
        db,
        verb,
        f"/console/budgets/{budget_id}",
        lambda state: (
            call.say("Done.")
            if state == "done"
            else call.say("Asked for: a colleague has to agree.")
        ),
    )


class CloseForm(msgspec.Struct):
    reason: Reason


@post("/console/budgets/{budget_id:uuid}/close", scope=MONEY)
async def close_budget(call: Call, db: Database, budget_id: UUID, data: CloseForm) -> See[Any]:
    """Close it: what is left goes back, what is reserved stays promised."""

    async def verb(tx: Tx) -> int:
        return await budgets.close(tx, budget_id, data.reason)

    return await attempt(call, db, verb, f"/console/budgets/{budget_id}", call.say("Closed."))


class DecisionForm(msgspec.Struct):
    reason: Reason
    agree: bool = False


@post("/console/budgets/fundings/{funding_id:uuid}", scope=MONEY)
async def decide_funding(
    call: Call, db: Database, funding_id: UUID, data: DecisionForm
) -> See[Any]:
    """Agree to what a colleague asked for, or refuse it."""

    async def verb(tx: Tx) -> None:
        if data.agree:
            await budgets.approve(tx, funding_id, data.reason)
        else:
            await budgets.refuse(tx, funding_id, data.reason)

    return await attempt(call, db, verb, "/console/budgets", call.say("Decided."))
