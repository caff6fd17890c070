"""Routes of price rules, floors and competitors' prices, for programs."""

from __future__ import annotations

import datetime as dt
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.web import Answer, get, post
from pinwheel.trade import pricing
from pinwheel.trade.orders.price_trial import SkuResult, results_by_sku, sold
from pinwheel.trade.pricing import (
    GuardSet,
    NewGuard,
    PastGuard,
    Proposal,
    Repricing,
    Rule,
    RuleVersion,
    SeenPrice,
    Simulated,
    Terms,
)

SCOPE = "prices"
TAGS = ("price rules",)
Reason = Annotated[str, Meta(min_length=1, max_length=500)]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$")]
Days = Annotated[int, Meta(ge=1, le=365)]


class RuleDraft(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """A rule, or another version of one (``rule_id``)."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    reason: Reason
    terms: Terms
    rule_id: UUID | None = None
    priority: Annotated[int, Meta(ge=-1000, le=1000)] = 0
    starts_at: dt.datetime | None = None
    ends_at: dt.datetime | None = None


class Why(msgspec.Struct, forbid_unknown_fields=True):
    reason: Reason


class Trial(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """``elasticity`` is an assumption: pieces change by (new / old price) to this power."""

    terms: Terms
    days: Days = 30
    elasticity: Annotated[float, Meta(ge=-10, le=0)] = 0.0


class Seen(msgspec.Struct, forbid_unknown_fields=True):
    prices: Annotated[list[SeenPrice], Meta(min_length=1, max_length=1000)]


class Guards(msgspec.Struct, forbid_unknown_fields=True):
    guards: Annotated[list[NewGuard], Meta(min_length=1, max_length=1000)]


class Count(msgspec.Struct, frozen=True):
    count: int


class Decision(msgspec.Struct, forbid_unknown_fields=True):
    ids: Annotated[list[UUID], Meta(min_length=1, max_length=500)]
    agree: bool
    reason: Reason


@get("/api/v1/price-rules", scope=SCOPE, tags=TAGS)
async def list_rules(tx: Tx) -> Answer[list[Rule]]:
    """Every rule as it stands."""
    return Answer(await pricing.rules(tx))


@post("/api/v1/price-rules", scope=SCOPE, tags=TAGS, once=True)
async def save_rule(tx: Tx, data: RuleDraft) -> Answer[Rule]:
    """A new rule as a draft, or another version of one."""
    return Answer(
        await pricing.save_rule(
            tx,
            data.terms,
            name=data.name,
            reason=data.reason,
            rule_id=data.rule_id,
            priority=data.priority,
            starts_at=data.starts_at,
            ends_at=data.ends_at,
        )
    )


@get("/api/v1/price-rules/{rule_id:uuid}/versions", scope=SCOPE, tags=TAGS)
async def list_versions(tx: Tx, rule_id: UUID) -> Answer[list[RuleVersion]]:
    """Everything a rule ever was, who made it so and why."""
    await pricing.rule_of(tx, rule_id)
    return Answer(await pricing.rule_versions(tx, rule_id))


@post("/api/v1/price-rules/{rule_id:uuid}/publish", scope=SCOPE, tags=TAGS)
async def publish_rule(tx: Tx, rule_id: UUID, data: Why) -> Answer[Rule]:
    """From now on, or its start, the rule makes prices."""
    return Answer(await pricing.publish_rule(tx, rule_id, data.reason))


@post("/api/v1/price-rules/{rule_id:uuid}/stop", scope=SCOPE, tags=TAGS)
async def stop_rule(tx: Tx, rule_id: UUID, data: Why) -> Answer[Rule]:
    """The rule makes no more prices."""
    return Answer(await pricing.stop_rule(tx, rule_id, data.reason))


@post("/api/v1/price-rules/trial", scope=SCOPE, tags=TAGS)
async def try_rule(tx: Tx, data: Trial) -> Answer[list[Simulated]]:
    """What a rule would have made of the last days' orders. A simulation, by SKU."""
    past = await sold(tx, data.terms.currency, days=data.days)
    return Answer(pricing.simulate(data.terms, past, elasticity=data.elasticity)[:500])


@post("/api/v1/price-guards", scope=SCOPE, tags=TAGS, once=True)
async def set_guards(tx: Tx, data: Guards) -> Answer[list[GuardSet]]:
    """What offers cost and how low their prices may go: all of them or none."""
    answers = await pricing.set_guards(tx, data.guards)
    for answer in answers:
        if isinstance(answer, Refusal):
            raise answer
    return Answer([a for a in answers if isinstance(a, GuardSet)])


@get("/api/v1/price-guards/{offer_id:uuid}", scope=SCOPE, tags=TAGS)
async def list_guards(tx: Tx, offer_id: UUID, currency: Currency) -> Answer[list[PastGuard]]:
    """Every cost and floor an offer had."""
    return Answer(await pricing.guard_history(tx, offer_id, currency))


@get("/api/v1/sku-results", scope=SCOPE, tags=TAGS)
async def list_results(
    tx: Tx, currency: Currency, days: Days = 30, losses_only: bool = True
) -> Answer[list[SkuResult]]:
    """What each SKU brought against its cost, the largest loss first."""
    return Answer(await results_by_sku(tx, currency, days=days, losses_only=losses_only))


@post("/api/v1/competitor-prices", scope=SCOPE, tags=TAGS, once=True)
async def import_prices(tx: Tx, data: Seen) -> Answer[Count]:
    """What competitors ask, with where and when it was seen."""
    return Answer(Count(await pricing.import_seen_prices(tx, data.prices, "api")))


@get("/api/v1/repricings", scope=SCOPE, tags=TAGS)
async def list_repricings(tx: Tx) -> Answer[list[Repricing]]:
    """The ways in which prices follow competitors."""
    return Answer(await pricing.repricings(tx))


@get("/api/v1/price-proposals", scope=SCOPE, tags=TAGS)
async def list_proposals(tx: Tx, waiting_only: bool = True) -> Answer[list[Proposal]]:
    """What prices would be by the competitors', and what became of it."""
    return Answer(await pricing.proposals(tx, waiting_only=waiting_only))


@post("/api/v1/price-proposals/decision", scope=SCOPE, tags=TAGS, once=True, status=204)
async def decide_proposals(tx: Tx, data: Decision) -> Answer[None]:
    """Publish what was proposed, or refuse it: all of them or none."""
    for answer in await pricing.decide_proposals(
        tx, data.ids, agree=data.agree, reason=data.reason
    ):
        if answer is not None:
            raise answer
    return Answer(None)
