"""Saving, publishing and stopping price rules; every change keeps who and why."""

from __future__ import annotations

import datetime as dt
import uuid

import msgspec

from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Invalid
from pinwheel.kernel.words import money
from pinwheel.trade.pricing.rules import (
    PriceRulesChanged,
    Rule,
    RuleBelowFloor,
    RuleVersion,
    State,
    Terms,
    covers,
    price_by,
    unsound,
)

MOST_CHECKED = 50_000  # offers with a floor that one publication looks at


class _Floored(msgspec.Struct, frozen=True):
    offer_id: uuid.UUID
    sku: str
    category_id: uuid.UUID | None
    brand: str
    price_minor: int
    floor_minor: int
    loss_available_minor: int


async def save_rule(
    tx: Tx,
    terms: Terms,
    *,
    name: str,
    reason: str,
    rule_id: uuid.UUID | None = None,
    priority: int = 0,
    starts_at: dt.datetime | None = None,
    ends_at: dt.datetime | None = None,
) -> Rule:
    """A new rule as a draft, or another version of one. An active rule that is changed is checked
    as if it were published. Refuses ``RuleUnsound``, ``RuleBelowFloor``, ``Invalid``,
    ``NotFound``."""
    if not name.strip() or not reason.strip():
        raise Invalid("reason", "give a name, and say why", "请填写名称与原因")
    if starts_at is not None and ends_at is not None and ends_at <= starts_at:
        raise Invalid("ends_at", "it ends before it begins", "结束时间早于开始时间")
    refusal = unsound(terms)
    if refusal is not None:
        raise refusal
    before = None if rule_id is None else await _locked(tx, rule_id)
    rule = Rule(
        id=before.id if before else tx.new_id(),
        name=name.strip(),
        state=before.state if before else "draft",
        version=before.version + 1 if before else 1,
        priority=priority,
        terms=terms,
        starts_at=starts_at,
        ends_at=ends_at,
        changed_at=tx.now,
        changed_by=tx.actor,
    )
    if rule.state == "active":
        await _check_floors(tx, rule)
    await _write(tx, rule, reason)
    return rule


async def publish_rule(tx: Tx, rule_id: uuid.UUID, reason: str) -> Rule:
    """From now on (or its start) the rule makes prices. Refuses ``RuleBelowFloor`` where it would
    sell below a floor that no funded budget pays the gap of, ``NotFound``."""
    rule = await _locked(tx, rule_id)
    if rule.state == "active":
        return rule
    await _check_floors(tx, rule)
    return await _become(tx, rule, "active", reason)


async def stop_rule(tx: Tx, rule_id: uuid.UUID, reason: str) -> Rule:
    """The rule makes no more prices. Safe to repeat. ``NotFound``."""
    rule = await _locked(tx, rule_id)
    return rule if rule.state == "stopped" else await _become(tx, rule, "stopped", reason)


async def rules(tx: Tx, *, active_only: bool = False) -> list[Rule]:
    """The rules by name; 1,000 at most. 1 statement."""
    return await tx.rows(
        Rule,
        """
        select id, name, state, version, priority, terms, starts_at, ends_at, changed_at, changed_by
          from pricing.rule
         where (not $1 or state = 'active' and (ends_at is null or ends_at > $2))
         order by name, id limit 1000
        """,
        active_only,
        tx.now,
    )


async def rule_of(tx: Tx, rule_id: uuid.UUID) -> Rule:
    """One rule; ``NotFound``."""
    return await tx.the(
        "price rule",
        Rule,
        """
        select id, name, state, version, priority, terms, starts_at, ends_at, changed_at, changed_by
          from pricing.rule where id = $1
        """,
        rule_id,
    )


async def rule_versions(tx: Tx, rule_id: uuid.UUID) -> list[RuleVersion]:
    """Everything a rule ever was, the latest first; 200 at most. 1 statement."""
    return await tx.rows(
        RuleVersion,
        """
        select rule_id, version, name, state, priority, terms, starts_at, ends_at, changed_at,
               changed_by, reason
          from pricing.rule_version where rule_id = $1 order by version desc limit 200
        """,
        rule_id,
    )


class Book(msgspec.Struct, frozen=True):
    """What a process keeps in memory: the rules that are active (begun or not), and whether
    there is any floor at all."""

    has_floors: bool
    rules: list[Rule]


async def book(tx: Tx) -> Book:
    """The rules and whether there are floors. 1 statement."""
    return await tx.the(
        "price book",
        Book,
        """
        select exists (select from pricing.guard where floor_minor is not null) as has_floors,
               coalesce((select jsonb_agg(to_jsonb(r)) from pricing.rule r
                          where r.state = 'active' and (r.ends_at is null or r.ends_at > $1)),
                        '[]'::jsonb) as rules
        """,
        tx.now,
    )


async def _locked(tx: Tx, rule_id: uuid.UUID) -> Rule:
    return await tx.the(
        "price rule",
        Rule,
        """
        select id, name, state, version, priority, terms, starts_at, ends_at, changed_at, changed_by
          from pricing.rule where id = $1 for update
        """,
        rule_id,
    )


async def _become(tx: Tx, rule: Rule, state: State, reason: str) -> Rule:
    if not reason.strip():
        raise Invalid("reason", "say why", "请填写原因")
    changed = msgspec.structs.replace(
        rule, state=state, version=rule.version + 1, changed_at=tx.now, changed_by=tx.actor
    )
    await _write(tx, changed, reason)
    return changed


async def _write(tx: Tx, rule: Rule, reason: str) -> None:
    await tx.run(
        """
        with kept as (
          insert into pricing.rule (id, name, state, version, priority, terms, starts_at, ends_at,
                                    changed_at, changed_by)
          values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
          on conflict (id) do update
             set name = excluded.name, state = excluded.state, version = excluded.version,
                 priority = excluded.priority, terms = excluded.terms,
                 starts_at = excluded.starts_at, ends_at = excluded.ends_at,
                 changed_at = excluded.changed_at, changed_by = excluded.changed_by
          returning *
        )
        insert into pricing.rule_version (rule_id, version, name, state, priority, terms, starts_at,
                                          ends_at, changed_at, changed_by, reason)
        select id, version, name, state, priority, terms, starts_at, ends_at, changed_at,
               changed_by, $11 from kept
        """,
        rule.id,
        rule.name,
        rule.state,
        rule.version,
        rule.priority,
        msgspec.to_builtins(rule.terms),
        rule.starts_at,
        rule.ends_at,
        rule.changed_at,
        rule.changed_by,
        reason.strip(),
    )
    tx.emit(PriceRulesChanged())


async def _check_floors(tx: Tx, rule: Rule) -> None:
    found = await _floored(tx, rule.terms.currency)
    below: list[tuple[_Floored, int]] = []
    for offer in found:
        if not covers(rule.terms, offer.offer_id, offer.category_id, offer.brand):
            continue
        price = price_by(rule.terms, offer.offer_id, offer.price_minor)
        missing = offer.floor_minor - price
        # What was below its floor before is not this rule's doing.
        if missing > 0 and price < offer.price_minor and offer.loss_available_minor < missing:
            below.append((offer, price))
    if below:
        first, price = below[0]
        raise RuleBelowFloor(
            count=len(below),
            sku=first.sku,
            price=money(price, rule.terms.currency, "en"),
            floor=money(first.floor_minor, rule.terms.currency, "en"),
        )


async def _floored(tx: Tx, currency: str) -> list[_Floored]:
    return await tx.rows(
        _Floored,
        """
        select g.offer_id, v.sku, v.category_id, v.brand, p.price_minor, g.floor_minor,
               greatest(0, coalesce(b.available_minor, 0)) as loss_available_minor
          from (select distinct on (offer_id) offer_id, variant_id, floor_minor, loss_budget_id
                  from pricing.guard where currency = $1 and starts_at <= $2
                 order by offer_id, starts_at desc) g
          join catalogue.v_variant v on v.variant_id = g.variant_id
          join lateral (
            select p.price_minor from pricing.price p
             where p.offer_id = g.offer_id and p.currency = $1 and p.starts_at <= $2
               and (p.ends_at is null or p.ends_at > $2)
             order by p.starts_at desc limit 1) p on true
          left join budgets.v_budget b
            on b.cell = $3 and b.budget_id = g.loss_budget_id and b.currency = $1
           and b.state = 'open' and b.starts_at <= $2 and (b.ends_at is null or b.ends_at > $2)
         where g.floor_minor is not null order by v.sku limit $4
        """,
        currency,
        tx.now,
        tx.cell,
        MOST_CHECKED,
    )
