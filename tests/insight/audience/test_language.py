"""The language: one statement and the decision for one person agree; what it refuses, and where."""

from __future__ import annotations

import datetime as dt
import random
import uuid
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import world
from insight.audience.town import Town
from pinwheel.insight import audience
from pinwheel.insight.audience import NewSegment
from pinwheel.insight.audience.explaining import judged
from pinwheel.insight.audience.facts import _sums
from pinwheel.insight.audience.knowing import known
from pinwheel.insight.audience.language import decide, read
from pinwheel.insight.audience.queries import matching
from pinwheel.kernel.db import Database

PEOPLE = [uuid.UUID(int=1000 + n) for n in range(40)]
CATEGORIES = [uuid.UUID(int=1 + n) for n in range(3)]
SEGMENTS = [uuid.UUID(int=50), uuid.UUID(int=51)]
MARKETS = ("GB", "CN")
NAMES = ("champions", "loyal", "new", "lost")
BANDS = ("top", "high", "middle", "low")
EVENTS = ("product_viewed", "searched")

ops = st.sampled_from(("<", "<=", "=", "!=", ">=", ">"))
small = st.integers(0, 4)
money = st.sampled_from((0, 1, 499, 500, 1000, 1500, 3000))
days = st.sampled_from((1, 7, 30, 90))
markets = st.sampled_from(MARKETS)
fifths = st.lists(st.integers(1, 5), min_size=1, max_size=3)


def asked(kind: str, **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"if": st.just(kind), **fields})


conditions = st.one_of(
    asked(
        "number",
        fact=st.sampled_from(("orders", "cancelled_orders", "pieces", "returned_pieces")),
        op=ops,
        value=small,
    ),
    asked(
        "since",
        fact=st.sampled_from(("first_order", "last_order")),
        op=st.sampled_from(("<", "<=", ">=", ">")),
        days=days,
    ),
    asked(
        "money",
        fact=st.sampled_from(("net_minor", "average_minor")),
        market=markets,
        op=ops,
        value=money,
    ),
    asked("within", fact=st.just("orders"), days=days, op=ops, value=small),
    asked("within", fact=st.just("net_minor"), days=days, op=ops, value=money, market=markets),
    asked(
        "place",
        fact=st.sampled_from(("country", "region", "market", "channel")),
        any_of=st.lists(
            st.sampled_from(("GB", "CN", "London", "zhejiang", "web", "app", "' or 1=1 --")),
            min_size=1,
            max_size=2,
        ),
    ),
    asked("tier", any_of=fifths),
    asked(
        "prefers",
        category=st.sampled_from([str(c) for c in CATEGORIES]),
        share_basis_points=st.sampled_from((1, 3000, 6000, 10000)),
        market=st.none() | markets,
    ),
    asked("did", event=st.sampled_from(EVENTS), days=days, op=ops, value=small),
    asked(
        "rfm",
        market=markets,
        names=st.lists(st.sampled_from(NAMES), min_size=1, max_size=4),
        r=fifths,
    ),
    asked("rfm", market=markets, f=fifths, m=fifths),
    asked("ltv", market=markets, bands=st.lists(st.sampled_from(BANDS), min_size=1, max_size=4)),
    asked("segment", id=st.sampled_from([str(s) for s in SEGMENTS])),
)
rules = st.recursive(
    conditions,
    lambda inner: st.one_of(
        asked("not", of=inner),
        asked("all", of=st.lists(inner, min_size=1, max_size=3)),
        asked("any", of=st.lists(inner, min_size=1, max_size=3)),
    ),
    max_leaves=6,
)


async def people_of_every_kind(db: Database) -> None:
    rng, now = random.Random(7), world.MONDAY
    ages = (0.0, 1.0, 6.9, 7.0, 29.99, 30.0, 30.5, 89.0, 91.0, 400.0)
    buys, facts = [], []
    for person in PEOPLE:
        for n in range(rng.choice((0, 0, 1, 1, 2, 3, 4))):
            at = now - dt.timedelta(days=rng.choice(ages))
            stands = rng.random() < 0.8
            buys.append((person, uuid.UUID(int=person.int * 10 + n), rng.choice(MARKETS), at,
                         stands, rng.choice((0, 499, 500, 1000)) if stands else 0))  # fmt: skip
        for market in MARKETS:
            if rng.random() < 0.5:
                facts.append(("rfm", person, market, rng.choice(NAMES), rng.randint(1, 5), now))
            if rng.random() < 0.5:
                facts.append(("ltv", person, market, rng.choice(BANDS), 100, now))
            if rng.random() < 0.6:
                category = str(rng.choice(CATEGORIES))
                share = rng.choice((1, 2999, 3000, 9999))
                facts.append(("taste", person, market, category, share, now))
        for event in EVENTS:
            if rng.random() < 0.4:
                at = now - dt.timedelta(days=rng.choice((0, 1, 6, 7, 8, 31)))
                facts.append(("did", person, "", event, rng.randint(1, 4), at))
        if rng.random() < 0.4:
            facts.append(("segment", person, "", str(rng.choice(SEGMENTS)), 0, now))
    async with db.transaction() as tx:
        await tx.connection.executemany(
            "insert into audience.purchase (person_id, order_id, market, currency, country, region,"
            " city, channel, at, is_cancelled, stands, net_minor, goods_minor, fee_minor,"
            " gift_minor, pieces, returned) values ($1, $2, $3, 'GBP', $3, case when $3 = 'CN'"
            " then 'zhejiang' else 'london' end, case when $3 = 'CN' then 'ningbo' else '' end,"
            " 'web', $4, not $5, $5, $6, 0, 0, 0, 2, 1)",
            buys,
        )
        await tx.connection.execute(
            "insert into audience.region_tier (country, region, city, tier)"
            " values ('CN', '', 'ningbo', 3), ('GB', 'london', 'croydon', 4)"
        )
        wide = [f for f in facts if f[0] == "rfm"]
        await tx.connection.executemany(
            "insert into audience.rfm (person_id, market, name, r, f, m, net_minor, as_of)"
            " values ($1, $2, $3, $4::int, 6 - $4::int, $4::int, 0, $5)",
            [f[1:] for f in wide],
        )
        await tx.connection.executemany(
            "insert into audience.ltv (person_id, market, band, currency, value_minor, low_minor,"
            " high_minor, orders, alive, cohort, model_id, at) values ($1, $2, $3, 'GBP', $4, 0, 0,"
            " 0, 0, $5::timestamptz::date, $1, $5)",
            [f[1:] for f in facts if f[0] == "ltv"],
        )
        await tx.connection.executemany(
            "insert into audience.taste (person_id, market, category_id, weight,"
            " share_basis_points) values ($1, $2, $3, 1, $4)",
            [(f[1], f[2], uuid.UUID(f[3]), f[4]) for f in facts if f[0] == "taste"],
        )
        await tx.connection.executemany(
            "insert into audience.activity (person_id, name, day, count) values ($1, $2, $3, $4)",
            [(f[1], f[3], f[5].date(), f[4]) for f in facts if f[0] == "did"],
        )
        await tx.connection.executemany(
            "insert into audience.membership (person_id, segment_id, entered_at, bucket, id)"
            " values ($1, $2, $3, 0, $1)",
            [(f[1], uuid.UUID(f[3]), f[5]) for f in facts if f[0] == "segment"],
        )
        await _sums(tx, PEOPLE)


@pytest.fixture
async def crowd(town: Town) -> Town:
    await people_of_every_kind(town.db)
    return town


@settings(
    max_examples=250,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rule=rules)
async def test_one_statement_and_one_person_at_a_time_agree(
    crowd: Town, rule: dict[str, Any]
) -> None:
    parsed = read(rule)
    async with crowd.db.reading() as tx:
        found = await known(tx, PEOPLE)
        one_by_one = {p for p, one in found.items() if decide(parsed, one, tx.now)}
        assert await matching(tx, NewSegment(name={"en": "S"}, rule=rule)) == one_by_one
        for one in list(found.values())[:3]:
            assert judged(parsed, one, tx.now)[0].holds == (one.person_id in one_by_one)


async def test_the_preview_counts_and_shows_a_few(crowd: Town) -> None:
    rule = {"if": "number", "fact": "orders", "op": ">=", "value": 1}
    async with crowd.db.reading() as tx:
        new = NewSegment(name={"en": "S"}, rule=rule)
        seen, exact = await audience.preview(tx, new), await matching(tx, new)
    assert seen.size == len(exact) and set(seen.sample) <= exact and len(seen.sample) == 10


@pytest.mark.parametrize(
    ("rule", "where"),
    [
        ({"if": "all", "of": [{"if": "number", "fact": "orders", "op": "=>", "value": 1}]},
         "rule.of[0].op"),
        ({"if": "all", "of": []}, "rule.of"),
        ({"if": "not", "of": {"if": "elsewhere"}}, "rule.of.if"),
        ({"if": "within", "fact": "orders", "days": 0, "op": ">", "value": 1}, "rule.days"),
        ({"if": "number", "fact": "orders", "op": ">", "value": 10**16}, "rule.value"),
        ({"if": "number", "fact": "orders", "op": ">"}, "rule"),
        ({"fact": "orders"}, "rule"),
        ({"if": "tier", "any_of": [1], "extra": 1}, "rule"),
        ([], "rule"),
    ],
)  # fmt: skip
def test_a_refusal_names_the_place(rule: Any, where: str) -> None:
    with pytest.raises(audience.RuleUnclear) as refused:
        read(rule)
    assert refused.value.facts["where"] == where
    assert where in refused.value.sentence("en") and where in refused.value.sentence("zh-CN")


def test_too_deep_is_refused_and_not_recursed_into() -> None:
    rule: dict[str, Any] = {"if": "number", "fact": "orders", "op": ">", "value": 1}
    for _ in range(5_000):
        rule = {"if": "not", "of": rule}
    with pytest.raises(audience.RuleUnclear):
        read(rule)


@pytest.mark.parametrize(
    "rule",
    [
        {"if": "number", "fact": "age", "op": ">", "value": 60},
        {"if": "gender", "any_of": ["f"]},
        {"if": "did", "event": "health.form_filled", "days": 7},
        {"if": "all", "of": [{"if": "place", "fact": "country", "any_of": ["GB"], "ethnicity": 1}]},
        {"if": "number", "fact": "性别", "op": "=", "value": 1},
    ],
)
def test_a_protected_attribute_is_no_condition(rule: dict[str, Any]) -> None:
    with pytest.raises(audience.ProtectedAttribute) as refused:
        read(rule)
    assert "protected attribute" in str(refused.value)


def test_words_that_only_look_protected_are_none() -> None:
    read({"if": "did", "event": "page_viewed", "days": 7})
    read({"if": "place", "fact": "channel", "any_of": ["health"]})


async def test_prices_may_not_rest_on_what_stands_in_for_an_attribute(town: Town) -> None:
    async with town.db.transaction() as tx:
        await audience.set_sensitive_categories(tx, [CATEGORIES[0]])
    likes = {"if": "prefers", "category": str(CATEGORIES[0])}
    inner = await town.segment(likes)  # for messages it may
    for rule in (likes, {"if": "did", "event": "searched", "days": 7},
                 {"if": "not", "of": {"if": "segment", "id": str(inner.id)}}):  # fmt: skip
        with pytest.raises(audience.NotForPrices):
            await town.segment(rule, purpose="price")
    harmless = {"if": "number", "fact": "orders", "op": ">", "value": 0}
    plain = await town.segment(harmless)
    await town.segment({"if": "segment", "id": str(plain.id)}, purpose="price")
    with pytest.raises(audience.NotForPrices):  # nor by the back door
        async with town.db.transaction() as tx:
            await audience.save_segment(tx, NewSegment(name={"en": "S"}, rule=likes), plain.id)
