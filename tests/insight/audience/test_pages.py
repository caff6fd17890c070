"""The console's audience pages: rows to rules and back, without a script, in both languages."""

from __future__ import annotations

import datetime as dt
import random
import re
import uuid
from pathlib import Path
from typing import Any

import pytest

import world
from console_world import Desk, open_desk
from insight.audience.town import write_orders
from pinwheel.faces.console.audience_charts import growth, heat, plot
from pinwheel.faces.console.audience_rows import Row, as_rows, rule_of
from pinwheel.insight import audience
from pinwheel.insight.audience import Day
from pinwheel.insight.audience.valuing import reckon_values
from pinwheel.kernel.db import Database

CURRENCIES = {"GB": "GBP", "JP": "JPY"}
SLUGS = {"tea": uuid.UUID(int=5)}
ROWS = [
    Row("orders", ">=", "2"),
    Row("last_order", "<", "", "30"),
    Row("net_minor", ">=", "12.50", "", "GB"),
    Row("net_within", ">", "300", "90", "JP"),
    Row("orders_within", "=", "0", "7"),
    Row("region", "!=", "london, kent"),
    Row("tier", "=", "4, 5"),
    Row("prefers", "=", "tea", "", "GB"),
    Row("rfm", "=", "champions, loyal", "", "GB"),
    Row("ltv", "!=", "low", "", "GB"),
    Row("segment", "=", str(uuid.UUID(int=9))),
]


@pytest.fixture
async def desk(db: Database, tmp_path: Path) -> Desk:
    return await open_desk(db, tmp_path)


def test_rows_say_a_rule_and_a_rule_says_the_rows() -> None:
    rule = rule_of(ROWS, "any", CURRENCIES, SLUGS)
    audience.read_rule(rule)
    assert rule["of"][2]["value"] == 1250 and rule["of"][3]["value"] == 300  # the yen has no cents
    back = as_rows(rule, CURRENCIES, SLUGS)
    assert back is not None
    rows, join = back
    assert join == "any"
    assert rule_of(rows, join, CURRENCIES, SLUGS) == rule


@pytest.mark.parametrize(
    "row",
    [Row("orders", ">=", "two"), Row("net_minor", ">=", "1"), Row("tier", "=", ""),
     Row("prefers", "=", "nowhere"), Row("orders_within", ">=", "1", "")],
)  # fmt: skip
def test_a_row_that_says_nothing_names_itself(row: Row) -> None:
    with pytest.raises(audience.RuleUnclear) as refused:
        rule_of([ROWS[0], row], "all", CURRENCIES, SLUGS)
    assert refused.value.facts["where"] == "2"


def test_what_rows_cannot_say_is_left_to_json() -> None:
    deep: dict[str, Any] = {"if": "not", "of": {"if": "all", "of": [{"if": "tier", "any_of": [1]}]}}
    assert as_rows(deep, CURRENCIES, SLUGS) is None
    assert as_rows({"if": "rfm", "market": "GB", "r": [5]}, CURRENCIES, SLUGS) is None


def test_charts_stay_in_their_box() -> None:
    days = [Day(None, n, 3 - n % 3, n) for n in range(60)]  # type: ignore[arg-type]
    drawn = growth(days)
    places = [float(v) for point in drawn.line.split() for v in point.split(",")]
    assert min(places) >= 0 and max(places[::2]) <= 640 and max(places[1::2]) <= 150
    assert growth([]).line == ""
    assert plot({}) is None and [heat(n, 100) for n in (0, 1, 100)] == [0, 1, 9]


async def test_a_segment_is_made_without_a_script(desk: Desk) -> None:
    operator = await desk.signed_in("operator")
    assert (await operator.get("/console/audience/new")).status_code == 200
    form = {
        "name_en": "Regulars",
        "holdout": "5",
        "join": "all",
        "what": ["orders", "net_minor", ""],
        "op": [">=", ">=", "="],
        "value": ["2", "10.00", ""],
        "days": ["", "", ""],
        "market": ["", "GB", ""],
    }
    seen = await operator.post("/console/audience/preview", form)
    assert seen.status_code == 200 and 'name="what"' in seen.text
    made = await operator.post("/console/audience", form)
    assert made.status_code == 303
    page = await operator.get(re.sub(r"^/en", "", made.headers["location"]))
    assert "Regulars" in page.text and "orders &gt;= 2" in page.text
    async with desk.db.reading() as tx:
        [line] = await audience.segments(tx)
    assert line.holdout_basis_points == 500
    edit = await operator.get(f"/console/audience/{line.id}/edit")
    assert 'value="10.00"' in edit.text
    for path in ("", "/rfm", "/values", f"/{line.id}?person={uuid.UUID(int=3)}"):
        assert (await operator.get(f"/console/audience{path}")).status_code == 200, path


async def test_a_refused_rule_keeps_what_was_typed_and_says_why(desk: Desk) -> None:
    operator = await desk.signed_in("operator", "zh-CN")
    await operator.get("/console/audience/new")
    form = {"name_zh": "人群", "rule": '{"if": "gender", "any_of": ["f"]}'}
    refused = await operator.post("/console/audience", form)
    assert refused.status_code == 422
    assert "受保护属性" in refused.text and "gender" in refused.text


async def test_a_cell_of_the_grid_is_one_press(desk: Desk) -> None:
    operator = await desk.signed_in("operator")
    await operator.get("/console/audience/rfm")
    made = await operator.post("/console/audience/rfm", {"market": "GB", "r": "5", "f": "1"})
    assert made.status_code == 303
    async with desk.db.reading() as tx:
        [line] = await audience.segments(tx)
        one = await audience.segment(tx, line.id)
    assert one.rule == {"if": "rfm", "market": "GB", "r": [5], "f": [1]}


@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_values_show_what_they_rest_on(desk: Desk, language: str) -> None:
    rng = random.Random(2)
    people = [uuid.UUID(int=1 + n) for n in range(40)]
    at = world.MONDAY - dt.timedelta(days=300)
    rows = [
        (person, at + dt.timedelta(days=rng.uniform(0, 299)), rng.randint(500, 5000))
        for person in people
        for _ in range(rng.randint(1, 6))
    ]
    await write_orders(desk.db, rows)
    async with desk.db.transaction() as tx:
        await audience.rebuild(tx)
        await audience.recompute(tx)
    await reckon_values(desk.db)
    operator = await desk.signed_in("operator", language)
    for path in ("values", "values?by=channel", "values?by=segment", "rfm", "rfm?month=2025-12"):
        page = await operator.get(f"/console/audience/{path}")
        assert page.status_code == 200, path
    page = await operator.get("/console/audience/values")
    assert "2025" in page.text and 'class="plot"' in page.text
    assert ("Too few data" if language == "en" else "数据不足") in page.text


async def test_a_clerk_may_not(desk: Desk) -> None:
    clerk = await desk.signed_in("clerk")
    assert (await clerk.get("/console/audience")).status_code == 403
