"""Routes of budgets, for programs."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.web import Answer, get, post
from pinwheel.trade.budgets import funding, queries
from pinwheel.trade.budgets.model import (
    Budget,
    Burn,
    Funded,
    Funding,
    NewBudget,
    Purpose,
)

SCOPE, MONEY = "budgets", "money"
TAGS = ("budgets",)
Minor = Annotated[int, Meta(ge=-(10**15), le=10**15)]
Reason = Annotated[str, Meta(min_length=1, max_length=500)]
Key = Annotated[str, Meta(min_length=1, max_length=80)]


class Made(msgspec.Struct, frozen=True):
    id: UUID


class Asked(msgspec.Struct, forbid_unknown_fields=True):
    """``amount_minor`` below zero goes back to where it came from; ``key`` makes a repeat the
    same funding."""

    amount_minor: Minor
    reason: Reason
    key: Key | None = None


class Decision(msgspec.Struct, forbid_unknown_fields=True):
    agree: bool
    reason: Reason


class Ending(msgspec.Struct, forbid_unknown_fields=True):
    reason: Reason


class Closed(msgspec.Struct, frozen=True):
    returned_minor: int


@get("/api/v1/budgets", scope=SCOPE, tags=TAGS)
async def list_budgets(tx: Tx, purpose: Purpose | None = None) -> Answer[list[Budget]]:
    """The budgets with what is left, reserved and spent, in minor units."""
    return Answer(await queries.budgets(tx, purpose=purpose))


@post("/api/v1/budgets", scope=SCOPE, tags=TAGS, once=True, status=201)
async def open_budget(tx: Tx, data: NewBudget) -> Answer[Made]:
    """Open a budget, empty."""
    [answer] = await funding.open_budgets(tx, [data])
    if isinstance(answer, Refusal):
        raise answer
    return Answer(Made(answer), status=201)


@get("/api/v1/budgets/{budget_id:uuid}", scope=SCOPE, tags=TAGS)
async def see_budget(tx: Tx, budget_id: UUID) -> Answer[Budget]:
    """One budget."""
    return Answer(await queries.budget(tx, budget_id))


@get("/api/v1/budgets/{budget_id:uuid}/burn", scope=SCOPE, tags=TAGS)
async def see_burn(
    tx: Tx, budget_id: UUID, days: Annotated[int, Meta(ge=1, le=365)] = 28
) -> Answer[Burn]:
    """How fast it is spent and how long the rest lasts: a forecast with its interval, and a
    baseline beside it."""
    return Answer(await queries.burn(tx, budget_id, days=days))


@get("/api/v1/budgets/{budget_id:uuid}/fundings", scope=SCOPE, tags=TAGS)
async def list_fundings(tx: Tx, budget_id: UUID) -> Answer[list[Funding]]:
    """What was given to it or taken from it, who asked and who agreed."""
    await queries.budget(tx, budget_id)
    return Answer(await queries.fundings(tx, budget_id))


@post("/api/v1/budgets/{budget_id:uuid}/fundings", scope=MONEY, tags=TAGS, once=True, status=201)
async def fund_budget(tx: Tx, budget_id: UUID, data: Asked) -> Answer[Funded]:
    """Give it money out of its parent, or back; more than its limit waits for a second person."""
    found = await funding.fund(tx, budget_id, data.amount_minor, data.reason, key=data.key)
    return Answer(found, status=201)


@get("/api/v1/budget-fundings", scope=SCOPE, tags=TAGS)
async def list_waiting(tx: Tx) -> Answer[list[Funding]]:
    """Requests that wait for a second person."""
    return Answer(await queries.waiting(tx))


@post(
    "/api/v1/budget-fundings/{funding_id:uuid}/decision",
    scope=MONEY,
    tags=TAGS,
    once=True,
    status=204,
)
async def decide_funding(tx: Tx, funding_id: UUID, data: Decision) -> Answer[None]:
    """Agree to what somebody else asked for, or refuse it."""
    if data.agree:
        await funding.approve(tx, funding_id, data.reason)
    else:
        await funding.refuse(tx, funding_id, data.reason)
    return Answer(None)


@post("/api/v1/budgets/{budget_id:uuid}/close", scope=MONEY, tags=TAGS)
async def close_budget(tx: Tx, budget_id: UUID, data: Ending) -> Answer[Closed]:
    """Close it: what is left goes back, what is reserved stays promised."""
    return Answer(Closed(await funding.close(tx, budget_id, data.reason)))
