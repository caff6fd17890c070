# ruff: noqa: S608 - statements are woven of literals, every value is a parameter
"""From a rule to one statement over the people in a range of ids.

Fragments are literals chosen by the rule's shape; every value is a parameter. Conditions over many
rows are joined as sums over the same range; ``plan_for_many`` keeps the plan a row of hash joins
whatever the number of people and whatever the planner knows of a young table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any

import msgspec

from pinwheel.insight.audience.language import (
    All,
    Any_,
    Count,
    Did,
    Ltv,
    Member,
    Money,
    Not,
    Placed,
    Prefers,
    Rfm,
    Rule,
    Since,
    Tier,
    Within,
    wanted,
)
from pinwheel.insight.audience.model import Place
from pinwheel.kernel.db import Tx

OPERATORS = {"<": "<", "<=": "<=", "=": "=", "!=": "<>", ">=": ">=", ">": ">"}
NUMBERS = {
    "orders": "p.orders",
    "cancelled_orders": "p.cancelled_orders",
    "pieces": "p.pieces",
    "returned_pieces": "p.returned_pieces",
}
INSTANTS = {"first_order": "p.first_at", "last_order": "p.last_at"}
PLACES = {
    "country": "p.country",
    "region": "p.region",
    "market": "p.market",
    "channel": "p.channel",
}
IN_RANGE = "cell = $1 and person_id > $2 and person_id <= $3"


class Compiled(msgspec.Struct):
    """``from_where`` follows ``select …``; its first four arguments are the cell, the range of
    person ids (after, up to and with) and the time, then ``values``."""

    from_where: str
    values: list[Any]


def compiled(rule: Rule, tiers: Sequence[Place] | None = None) -> Compiled:
    """One statement's ``from`` and ``where`` for ``rule``; ``tiers`` in place of the table that
    the shop keeps, to try them."""
    weaver = _Weaver(tiers)
    predicate = weaver.predicate(rule)
    joins = "".join(weaver.joins)
    return Compiled(
        f" from audience.person p{joins}"
        f" where p.cell = $1 and p.person_id > $2 and p.person_id <= $3"
        f" and $4::timestamptz is not null and ({predicate})",
        weaver.values,
    )


class _Weaver:
    def __init__(self, tiers: Sequence[Place] | None) -> None:
        self.joins: list[str] = []
        self.values: list[Any] = []
        self.tiers = tiers

    def given(self, value: Any, kind: str) -> str:
        self.values.append(value)
        return f"${len(self.values) + 4}::{kind}"

    def joined(self, source: str) -> str:
        name = f"j{len(self.joins)}"
        self.joins.append(f" left join ({source}) {name} on {name}.person_id = p.person_id")
        return name

    def predicate(self, rule: Rule) -> str:
        if isinstance(rule, All):
            return "(" + " and ".join(self.predicate(part) for part in rule.of) + ")"
        if isinstance(rule, Any_):
            return "(" + " or ".join(self.predicate(part) for part in rule.of) + ")"
        if isinstance(rule, Not):
            return f"(not {self.predicate(rule.of)})"
        return f"coalesce({self.condition(rule)}, false)"

    def condition(self, rule: Rule) -> str:
        if isinstance(rule, Count):
            value = self.given(rule.value, "bigint")
            return f"{NUMBERS[rule.fact]} {OPERATORS[rule.op]} {value}"
        if isinstance(rule, Since):
            span = self.given(dt.timedelta(days=rule.days), "interval")
            return f"$4::timestamptz - {INSTANTS[rule.fact]} {OPERATORS[rule.op]} {span}"
        if isinstance(rule, Placed):
            return f"{PLACES[rule.fact]} = any({self.given(wanted(rule), 'text[]')})"
        if isinstance(rule, Tier):
            return self.tier(rule)
        if isinstance(rule, Money):
            return self.money(rule)
        if isinstance(rule, Within):
            return self.within(rule)
        if isinstance(rule, Did):
            return self.did(rule)
        return self.named(rule)

    def tier(self, rule: Tier) -> str:
        # The nearest place that has one: the city in its region, the city, the region, the country.
        table = "audience.region_tier" if self.tiers is None else self.tried(self.tiers)
        found = []
        for region, city in (("p.region", "p.city"), ("''", "p.city"), ("p.region", "''"),
                             ("''", "''")):  # fmt: skip
            name = f"j{len(self.joins)}"
            self.joins.append(
                f" left join {table} {name} on {name}.country = p.country"
                f" and {name}.region = {region} and {name}.city = {city}"
            )
            found.append(f"{name}.tier")
        wanted_tiers = self.given(rule.any_of, "smallint[]")
        return f"coalesce({', '.join(found)}) = any({wanted_tiers})"

    def tried(self, tiers: Sequence[Place]) -> str:
        columns = (
            self.given([p.country for p in tiers], "text[]"),
            self.given([p.region for p in tiers], "text[]"),
            self.given([p.city for p in tiers], "text[]"),
            self.given([p.tier for p in tiers], "smallint[]"),
        )
        return f"(select * from unnest({', '.join(columns)}) as t(country, region, city, tier))"

    def money(self, rule: Money) -> str:
        market = self.given(rule.market, "text")
        name = self.joined(
            f"select person_id, orders, net_minor from audience.spend where {IN_RANGE}"
            f" and market = {market}"
        )
        fact = f"{name}.net_minor"
        if rule.fact == "average_minor":
            fact += f" / nullif({name}.orders, 0)"
        return f"coalesce({fact}, 0) {OPERATORS[rule.op]} {self.given(rule.value, 'bigint')}"

    def within(self, rule: Within) -> str:
        span = self.given(dt.timedelta(days=rule.days), "interval")
        market = f" and market = {self.given(rule.market, 'text')}" if rule.market else ""
        fact = "count(*)" if rule.fact == "orders" else "sum(net_minor)"
        name = self.joined(
            f"select person_id, {fact} as n from audience.purchase where {IN_RANGE} and stands"
            f" and at > $4::timestamptz - {span} and at <= $4::timestamptz{market}"
            f" group by person_id"
        )
        return f"coalesce({name}.n, 0) {OPERATORS[rule.op]} {self.given(rule.value, 'bigint')}"

    def did(self, rule: Did) -> str:
        event, days = self.given(rule.event, "text"), self.given(rule.days, "int")
        name = self.joined(
            f"select person_id, sum(count) as n from audience.activity where {IN_RANGE}"
            f" and name = {event} and day > ($4::timestamptz at time zone 'UTC')::date - {days}"
            f" group by person_id"
        )
        return f"coalesce({name}.n, 0) {OPERATORS[rule.op]} {self.given(rule.value, 'bigint')}"

    def named(self, rule: Rule) -> str:
        if isinstance(rule, Prefers):
            market = f" and market = {self.given(rule.market, 'text')}" if rule.market else ""
            source = (
                f"select distinct person_id from audience.taste where {IN_RANGE}"
                f" and category_id = {self.given(rule.category, 'uuid')}"
                f" and share_basis_points >= {self.given(rule.share_basis_points, 'int')}{market}"
            )
        elif isinstance(rule, Rfm):
            asked = f" and market = {self.given(rule.market, 'text')}"
            if rule.names:
                asked += f" and name = any({self.given(rule.names, 'text[]')})"
            for column, fifths in (("r", rule.r), ("f", rule.f), ("m", rule.m)):
                if fifths:
                    asked += f" and {column} = any({self.given(fifths, 'smallint[]')})"
            source = f"select person_id from audience.rfm where {IN_RANGE}{asked}"
        elif isinstance(rule, Ltv):
            source = (
                f"select person_id from audience.ltv where {IN_RANGE}"
                f" and market = {self.given(rule.market, 'text')}"
                f" and band = any({self.given(rule.bands, 'text[]')})"
            )
        elif isinstance(rule, Member):
            source = (
                f"select person_id from audience.membership where {IN_RANGE}"
                f" and segment_id = {self.given(rule.id, 'uuid')} and left_at is null"
            )
        else:
            raise TypeError(type(rule).__name__)
        return f"{self.joined(source)}.person_id is not null"


async def plan_for_many(tx: Tx, *, on: bool = True) -> None:
    """For this transaction: sums are hashed, not looped over. A table without statistics looks
    like one row to the planner, and a loop over sums of 5,000 people takes seconds."""
    await tx.run(
        """
        select set_config('enable_nestloop', $1, true), set_config('work_mem', $2, true),
               set_config('enable_seqscan', $3, true)
        """,
        "off" if on else "on",
        "64MB" if on else "4MB",
        "on" if on else "off",
    )
