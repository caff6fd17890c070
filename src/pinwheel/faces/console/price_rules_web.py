"""Price rules with their trial on the past, floors, competitors, and the loss by SKU."""

from __future__ import annotations

import csv
import datetime as dt
import io
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.faces.console.frame import attempt, names_of, refused, shown
from pinwheel.faces.console.money import minor_of
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid
from pinwheel.kernel.web import Answer, Call, See, get, post
from pinwheel.trade import budgets, orders, pricing
from pinwheel.trade.orders import SkuResult
from pinwheel.trade.pricing import Proposal, Rule, RuleVersion, Simulated, Terms

SCOPE = "prices"
PATH = "/console/price-rules"
KINDS = ("percent_off", "amount_off", "fixed")
Text = Annotated[str, Meta(max_length=200)]
Long = Annotated[str, Meta(max_length=20_000)]
Small = Annotated[str, Meta(max_length=20)]
Currency = Annotated[str, Meta(pattern="^([A-Z]{3})?$")]


class Rules(msgspec.Struct, frozen=True):
    """The rules, what prices would follow competitors to, and what sold at a loss."""

    rules: list[Rule]
    proposals: list[Proposal]
    losses: list[SkuResult]


@get(PATH, scope=SCOPE)
async def rules_page(
    call: Call, tx: Tx, currency: Currency = "", days: Annotated[int, Meta(ge=1, le=365)] = 30
) -> Answer[Rules]:
    """Price rules, proposals that wait, and the loss by SKU."""
    chosen = currency or call.app.state["edge"].settings.currency
    found = Rules(
        await pricing.rules(tx),
        await pricing.proposals(tx, waiting_only=True, most=50),
        await orders.results_by_sku(tx, chosen, days=days, losses_only=True, most=50),
    )
    named = await orders.articles(tx, offer_ids=[p.offer_id for p in found.proposals])
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
        articles={a.offer_id: a for a in named},
        loss_budgets=await budgets.budgets(tx, purpose="loss", open_only=True),
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
        return await pricing.save_rule(
            tx,
            await _terms(tx, data),
            name=data.name,
            reason=data.reason,
            priority=data.priority,
            starts_at=_day(data.starts_on),
            ends_at=_day(data.ends_on, after=True),
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


def _day(text: str, *, after: bool = False) -> dt.datetime | None:
    """The start of a day, or the end of it."""
    if not text:
        return None
    try:
        day = dt.date.fromisoformat(text)
    except ValueError as error:
        raise Invalid(
            "day", "write a date such as 2026-12-31", "日期格式应为 2026-12-31"
        ) from error
    return dt.datetime.combine(day + dt.timedelta(days=int(after)), dt.time(), dt.UTC)


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
        try:
            budget = UUID(data.loss_budget_id) if data.loss_budget_id else None
        except ValueError as error:
            raise Invalid("loss_budget_id", "choose one of the list", "请从列表中选择") from error
        answers = await pricing.set_guards(
            tx,
            [
                pricing.NewGuard(
                    offer_id=found[0].offer_id,
                    variant_id=found[0].variant_id,
                    currency=data.currency,
                    cost_minor=minor_of(data.cost, data.currency) if data.cost.strip() else None,
                    floor_minor=minor_of(data.floor, data.currency) if data.floor.strip() else None,
                    loss_budget_id=budget,
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


class SeenForm(msgspec.Struct):
    currency: Annotated[str, Meta(max_length=3)]
    rows: Long


@post(PATH + "/competitors", scope=SCOPE)
async def import_seen(call: Call, db: Database, data: SeenForm) -> See[Any]:
    """What competitors ask, one line each: SKU, competitor, price, link."""

    async def verb(tx: Tx) -> int:
        lines = [row for row in csv.reader(io.StringIO(data.rows)) if any(c.strip() for c in row)]
        if any(len(row) < 3 for row in lines):
            raise Invalid("rows", "SKU, competitor, price, link", "格式：SKU,竞品,价格,链接")
        found = {
            a.sku: a.offer_id
            for a in await orders.articles(tx, skus=[row[0].strip() for row in lines])
        }
        missing = [row[0] for row in lines if row[0].strip() not in found]
        if missing:
            raise Invalid("rows", f"not sold here: {missing[0]}", f"未找到商品：{missing[0]}")
        seen = [
            pricing.SeenPrice(
                offer_id=found[row[0].strip()],
                competitor=row[1].strip()[:120] or "?",
                currency=data.currency,
                price_minor=minor_of(row[2], data.currency, "price"),
                url=row[3].strip()[:2000] if len(row) > 3 else "",
            )
            for row in lines
        ]
        return await pricing.import_seen_prices(tx, seen, "csv")

    return await attempt(call, db, verb, PATH, call.say("Kept."))


class ProposalForm(msgspec.Struct):
    reason: Text
    proposal: list[UUID] = []
    agree: bool = False


@post(PATH + "/proposals", scope=SCOPE)
async def decide(call: Call, db: Database, data: ProposalForm) -> See[Any]:
    """Publish what was proposed, or refuse it."""

    async def verb(tx: Tx) -> None:
        refused(
            await pricing.decide_proposals(
                tx, data.proposal[:200], agree=data.agree, reason=data.reason
            )
        )

    return await attempt(call, db, verb, PATH, call.say("Decided."))
