"""Price rules with their trial on the past, floors, and the result of each SKU."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.faces.console.choices import chosen
from pinwheel.faces.console.frame import attempt, names_of, refused, shown, with_query
from pinwheel.faces.console.moments import day, zone_of
from pinwheel.faces.console.money import minor_of
from pinwheel.kernel import listing
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, See, get, post
from pinwheel.trade import budgets, orders, pricing
from pinwheel.trade.orders import SkuResult
from pinwheel.trade.pricing import Rule, RuleVersion, Simulated, Terms

SCOPE = "prices"
PATH = "/console/price-rules"
KINDS = ("percent_off", "amount_off", "fixed")
Text = Annotated[str, Meta(max_length=200)]
Long = Annotated[str, Meta(max_length=20_000)]
Small = Annotated[str, Meta(max_length=20)]
Currency = Annotated[str, Meta(pattern="^([A-Z]{3})?$")]


class Rules(msgspec.Struct, frozen=True):
    """The rules, how many proposals wait, and what sold at the greatest loss."""

    rules: list[Rule]
    proposals: int
    losses: list[SkuResult]


@get(PATH, scope=SCOPE)
async def rules_page(
    call: Call, tx: Tx, currency: Currency = "", days: Annotated[int, Meta(ge=1, le=365)] = 30
) -> Answer[Rules]:
    """Price rules, and the greatest losses by SKU."""
    chosen = currency or call.app.state["edge"].settings.currency
    found = Rules(
        await pricing.rules(tx),
        sum(f.waiting for f in await pricing.followings(tx)),
        await orders.results_by_sku(tx, chosen, days=days, losses_only=True, most=10),
    )
    return await shown(
        call,
        tx,
        found,
        "price_rules",
        call.say("Price rules"),
        "price-rules",
        kinds=KINDS,
        currency=chosen,
        days=days,
        currencies=sorted({m.currency for m in (await pricing.markets(tx)).values() if m.active}),
        loss_budgets=await budgets.budgets(tx, purpose="loss", open_only=True),
    )


class Results(msgspec.Struct, frozen=True):
    currency: str
    days: int
    lines: Page[SkuResult]


@get(PATH + "/results", scope=SCOPE)
async def results_page(
    call: Call,
    tx: Tx,
    currency: Currency = "",
    days: Annotated[int, Meta(ge=1, le=365)] = 30,
    losses_only: bool = False,
    after: str | None = None,
) -> Answer[Results]:
    """What each SKU brought against its cost, the greatest loss first."""
    chosen = currency or call.app.state["edge"].settings.currency
    before = listing.after(after, int, str, UUID)
    rows = await orders.results_by_sku(
        tx,
        chosen,
        days=days,
        losses_only=losses_only,
        most=51,
        after=before,
    )
    lines = listing.page(rows, 50, lambda r: (r.net_minor - r.cost_minor, r.sku, r.offer_id))
    query = {"currency": currency, "days": days, "losses_only": losses_only}
    here = f"{PATH}/results"
    return await shown(
        call,
        tx,
        Results(chosen, days, lines),
        "price_results",
        call.say("Result by SKU"),
        "price-rules",
        currencies=sorted({m.currency for m in (await pricing.markets(tx)).values() if m.active}),
        losses_only=losses_only,
        most=max((abs(r.net_minor - r.cost_minor) for r in lines.items), default=0),
        next_path=with_query(here, **query, after=lines.next) if lines.next else None,
        first_path=with_query(here, **query) if after else None,
    )


class RuleForm(msgspec.Struct):
    name: Text
    reason: Text
    currency: Annotated[str, Meta(max_length=3)]
    kind: Small = "percent_off"
    value: Small = ""
    skus: Long = ""
    channels: Text = ""
    min_quantity: Annotated[int, Meta(ge=1, le=100_000)] = 1
    priority: Annotated[int, Meta(ge=-1000, le=1000)] = 0
    starts_on: Annotated[str, Meta(max_length=10)] = ""
    ends_on: Annotated[str, Meta(max_length=10)] = ""


@post(PATH, scope=SCOPE)
async def save_rule(call: Call, db: Database, data: RuleForm) -> See[Any]:
    """A rule as a draft: it is tried on the past before it is published."""

    async def verb(tx: Tx) -> Rule:
        zone, next_day = zone_of(call), dt.timedelta(days=1)
        return await pricing.save_rule(
            tx,
            await _terms(tx, data),
            name=data.name,
            reason=data.reason,
            priority=data.priority,
            starts_at=day("starts_on", data.starts_on, zone) if data.starts_on else None,
            ends_at=day("ends_on", data.ends_on, zone) + next_day if data.ends_on else None,
        )

    return await attempt(
        call,
        db,
        verb,
        PATH,
        call.say("Saved as a draft. Look at what it would have done."),
        ahead=lambda rule: f"{PATH}/{rule.id}",
    )


async def _terms(tx: Tx, data: RuleForm) -> Terms:
    if data.kind not in KINDS or not pricing.is_currency(data.currency):
        raise Invalid("kind", "choose one of the list", "请从列表中选择")
    skus = data.skus.replace(",", " ").split()
    found = await orders.articles(tx, skus=skus) if skus else []
    missing = sorted(set(skus) - {a.sku for a in found})
    if missing:
        raise Invalid("skus", f"not sold here: {missing[0]}", f"未找到商品：{missing[0]}")
    return Terms(
        currency=data.currency,
        kind=data.kind,  # type: ignore[arg-type]
        value=max(0, minor_of(data.value, "EUR" if data.kind == "percent_off" else data.currency)),
        offers=[a.offer_id for a in found],
        channels=data.channels.replace(",", " ").split(),
        min_quantity=data.min_quantity,
    )


class RuleSight(msgspec.Struct, frozen=True):
    """A rule with its history, and what it would have made of the past: a simulation."""

    rule: Rule
    versions: list[RuleVersion]
    trial: list[Simulated]


@get(PATH + "/{rule_id:uuid}", scope=SCOPE)
async def rule_page(
    call: Call,
    tx: Tx,
    rule_id: UUID,
    days: Annotated[int, Meta(ge=1, le=365)] = 30,
    elasticity: Annotated[float, Meta(ge=-10, le=0)] = 0.0,
) -> Answer[RuleSight]:
    """One rule, tried on the last days' orders."""
    rule = await pricing.rule_of(tx, rule_id)
    past = await orders.sold(tx, rule.terms.currency, days=days)
    tried = pricing.simulate(rule.terms, past, elasticity=elasticity)
    touched = [t for t in tried if t.would_minor != t.took_minor or t.loss_minor]
    sight = RuleSight(rule, await pricing.rule_versions(tx, rule_id), touched[:200])
    named = await orders.articles(tx, offer_ids=rule.terms.offers[:200])
    return await shown(
        call,
        tx,
        sight,
        "price_rule",
        rule.name,
        "price-rules",
        days=days,
        elasticity=elasticity,
        articles=named,
        whole={
            "took": sum(t.took_minor for t in touched),
            "would": sum(t.would_minor for t in touched),
            "loss": sum(t.loss_minor for t in touched),
            "pieces": sum(t.pieces for t in touched),
        },
        names=await names_of(tx, {v.changed_by for v in sight.versions}),
    )


class WhyForm(msgspec.Struct):
    reason: Text


@post(PATH + "/{rule_id:uuid}/publish", scope=SCOPE)
async def publish_rule(call: Call, db: Database, rule_id: UUID, data: WhyForm) -> See[Any]:
    """From now on, or its start, it makes prices."""

    async def verb(tx: Tx) -> None:
        await pricing.publish_rule(tx, rule_id, data.reason)

    return await attempt(call, db, verb, f"{PATH}/{rule_id}", call.say("Published."))


@post(PATH + "/{rule_id:uuid}/stop", scope=SCOPE)
async def stop_rule(call: Call, db: Database, rule_id: UUID, data: WhyForm) -> See[Any]:
    """It makes no more prices."""

    async def verb(tx: Tx) -> None:
        await pricing.stop_rule(tx, rule_id, data.reason)

    return await attempt(call, db, verb, f"{PATH}/{rule_id}", call.say("Stopped."))


class GuardForm(msgspec.Struct):
    sku: Text
    currency: Annotated[str, Meta(max_length=3)]
    reason: Text
    cost: Small = ""
    floor: Small = ""
    loss_budget_id: Annotated[str, Meta(max_length=40)] = ""


@post(PATH + "/guards", scope=SCOPE)
async def set_guard(call: Call, db: Database, data: GuardForm) -> See[Any]:
    """What an article costs and how low its price may go."""

    async def verb(tx: Tx) -> bool:
        found = await orders.articles(tx, skus=[data.sku.strip()])
        if not found:
            raise Invalid("sku", "not sold here", "未找到该商品")
        answers = await pricing.set_guards(
            tx,
            [
                pricing.NewGuard(
                    offer_id=found[0].offer_id,
                    variant_id=found[0].variant_id,
                    currency=data.currency,
                    cost_minor=minor_of(data.cost, data.currency) if data.cost.strip() else None,
                    floor_minor=minor_of(data.floor, data.currency) if data.floor.strip() else None,
                    loss_budget_id=chosen("loss_budget_id", data.loss_budget_id),
                    reason=data.reason,
                )
            ],
        )
        refused(answers)
        return any(isinstance(a, pricing.GuardSet) and a.is_below for a in answers)

    return await attempt(
        call,
        db,
        verb,
        PATH,
        lambda is_below: (
            call.say(
                "Saved. Its price is below that floor: it is not sold until one of them changes."
            )
            if is_below
            else call.say("Saved.")
        ),
    )
