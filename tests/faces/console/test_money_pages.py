"""Budgets, price rules and subsidies at the desk: opened, tried, approved, answered."""

from __future__ import annotations

import datetime as dt
import re

import pytest

from console_world import Desk
from pinwheel.growth import subsidy
from pinwheel.trade import budgets, orders, pricing


async def budget_of(desk: Desk, name: str, **more: object) -> budgets.Budget:
    async with desk.db.reading() as tx:
        return next(b for b in await budgets.budgets(tx) if b.name == name)


@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_a_budget_from_opening_to_burn(desk: Desk, language: str) -> None:
    operator = await desk.signed_in("operator", language)
    form = {"name": "Spring", "currency": "GBP", "limit": "100", "ends_on": "2026-12-31"}
    answer = await operator.post("/console/budgets", form)
    assert answer.status_code in (302, 303)
    budget = await budget_of(desk, "Spring")
    here = f"/console/budgets/{budget.id}"
    for amount in ("80.00", "100.01"):
        await operator.post(f"{here}/fund", {"amount": amount, "reason": "spring", "way": "in"})
    assert (await budget_of(desk, "Spring")).available_minor == 8000
    async with desk.db.transaction() as tx:
        for _ in range(2):
            spent = budgets.Reservation(
                budget_id=budget.id,
                document_kind="test",
                document_id=tx.new_id(),
                key="k",
                amount_minor=1234,
            )
            await budgets.spend(tx, [spent])
        [waiting] = await budgets.waiting(tx)
    page = (await operator.get(here)).text
    assert "12.34" not in page and "24.68" in page
    tree = (await operator.get("/console/budgets")).text
    assert ("a colleague decides" in tree) or ("须由同事审批" in tree)
    answer = await operator.post(
        f"/console/budgets/fundings/{waiting.id}", {"agree": "true", "reason": "me too"}
    )
    assert (await budget_of(desk, "Spring")).available_minor == 8000 - 2468
    await operator.post(f"{here}/close", {"reason": "over"})
    assert (await budget_of(desk, "Spring")).state == "closed"


async def test_a_rule_is_tried_before_it_is_published(desk: Desk) -> None:
    operator = await desk.signed_in("operator")
    await desk.bought((0, 3))
    guard = {"sku": "T-0", "currency": "GBP", "cost": "9.50", "floor": "9.00", "reason": "list"}
    await operator.post("/console/price-rules/guards", guard)
    form = {
        "name": "Fifth off",
        "reason": "spring",
        "currency": "GBP",
        "kind": "percent_off",
        "value": "20",
        "skus": "T-0",
    }
    await operator.post("/console/price-rules", form)
    async with desk.db.reading() as tx:
        [rule] = await pricing.rules(tx)
    here = f"/console/price-rules/{rule.id}"
    page = (await operator.get(here)).text
    assert "simulated" in page and "£24.00" in page and "£3.00" in page  # below the floor: 3 × 1.00
    await operator.post(f"{here}/publish", {"reason": "go"})
    async with desk.db.reading() as tx:
        assert (await pricing.rule_of(tx, rule.id)).state == "draft"
    assert "below their floor" in (await operator.get(here)).text
    losses = (await operator.get("/console/price-rules")).text
    assert "T-0" in losses  # 10.00 with 20 % tax in it is less than 9.50
    seen = {"currency": "GBP", "rows": 'T-0,Rival,"9.80",https://rival.example/t'}
    await operator.post("/console/repricing/seen", seen)
    async with desk.db.reading() as tx:
        [rival] = await pricing.competing(tx, desk.shop.offers[0], "GBP")
    assert (rival.price_minor, rival.source) == (980, "csv")


async def test_a_programme_says_that_nobody_measured_it(desk: Desk) -> None:
    operator = await desk.signed_in("operator")
    async with desk.db.transaction() as tx:
        [budget] = await budgets.open_budgets(tx, [budgets.NewBudget(name="P", currency="GBP")])
        await budgets.fund(tx, budget, 10_000, "x")  # type: ignore[arg-type]
        today = tx.now.date()
    form = {
        "name_en": "Ten billion",
        "name_zh": "百亿补贴",
        "platform_budget_id": str(budget),
        "starts_on": str(today),
        "ends_on": str(today + dt.timedelta(days=9)),
        "match_days": "7",
        "region_caps": "GB=50.00",
    }
    await operator.post("/console/subsidy", form)
    async with desk.db.reading() as tx:
        [programme] = await subsidy.programmes(tx)
    here = f"/console/subsidy/{programme.id}"
    await operator.post(f"{here}/goods", {"rows": "T-0,8.00,Elsewhere,9.50\nT-0,8.00,Dear,12.00"})
    await operator.post(f"{here}/state", {"to": "start"})
    person = desk.people["operator"]
    desk.shop.buying = desk.db.given[orders.Buying]  # with the stages of the whole house
    bought = await desk.bought((0, 1), person_id=person)
    await desk.worker().drain()
    page = (await operator.get(here)).text
    assert "not measured" in page and "£1.50" in page and "Elsewhere" in page
    async with desk.db.transaction() as tx:
        match = await subsidy.claim_match(
            tx,
            person,
            bought.order_id,
            0,
            source="Other",
            found_minor=790,
            link="https://other.example/t",
        )
    assert "Other" in (await operator.get("/console/subsidy")).text
    await operator.post(f"/console/subsidy/matches/{match}", {"amount": "0.60", "reason": "seen"})
    async with desk.db.reading() as tx:
        assert (await orders.order(tx, order_id=bought.order_id)).order.refunded_minor == 60
    chinese = await desk.signed_in("operator", "zh-CN")
    assert re.search("未衡量", (await chinese.get(here)).text)
