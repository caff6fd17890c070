"""The promotion editor: without JavaScript, with its preview, and who may not open it."""

from __future__ import annotations

import re

from console_world import Desk
from pinwheel.trade import budgets, promotions

FORM = {"name_en": "Ten off", "name_zh": "九折", "kind": "percentage", "percent": "10"}


async def test_from_the_empty_editor_to_a_running_promotion(desk: Desk) -> None:
    await desk.bought((0, 2), (1, 1))
    browser = await desk.signed_in("operator")
    assert "Percentage off" in (await browser.get("/console/promotions/new")).text
    assert (await browser.get("/console/promotions/new?kind=percentage")).status_code == 200
    tried = await browser.post("/console/promotions/preview", {**FORM, "currency": "GBP"})
    assert "Estimate" in tried.text and "1 orders" in tried.text and "£2.25" in tried.text
    wrong = await browser.post("/console/promotions", {**FORM, "percent": "ten"})
    assert wrong.status_code == 422 and "this is no number" in wrong.text
    assert 'value="ten"' in wrong.text
    saved = await browser.post("/console/promotions", FORM)
    assert saved.status_code == 303
    path = re.sub(r"^/en", "", saved.headers["location"])
    assert "Draft" in (await browser.get(path)).text
    assert (await browser.post(f"{path}/start", {})).status_code == 303
    assert "Running" in (await browser.get("/console/promotions")).text
    assert (await browser.post(f"{path}/stop", {})).status_code == 303


async def test_every_kind_comes_back_as_it_was_typed(desk: Desk) -> None:
    browser = await desk.signed_in("operator")
    kinds = {
        "amount": {"amount": "1.50", "currency": "GBP", "skus": "T-0"},
        "fixed_price": {"amount": "5", "currency": "GBP", "skus": "T-0 T-1"},
        "threshold": {"tiers": "50 = 5\n100 = 12.5", "currency": "GBP", "level": "order"},
        "n_for_m": {"take": "3", "pay": "2"},
        "cheapest_free": {"take": "3"},
        "bundle": {"parts": "T-0 = 1\nT-1 = 2", "amount": "12", "currency": "GBP"},
        "free_delivery": {"min_spend": "30", "currency": "GBP", "code": "SHIP"},
    }
    for kind, fields in kinds.items():
        assert (await browser.get(f"/console/promotions/new?kind={kind}")).status_code == 200
        answer = await browser.post(
            "/console/promotions", {"kind": kind, "name_en": kind, "name_zh": "", **fields}
        )
        assert answer.status_code == 303, (kind, answer.text[:2000])
        path = re.sub(r"^/en", "", answer.headers["location"])
        page = (await browser.get(path)).text
        for text in fields.values():
            for line in text.split("\n"):
                assert line.split(" ")[0] in page, (kind, line)


async def test_a_budget_and_the_seller_share_what_it_costs(desk: Desk) -> None:
    """Both are chosen by name; a part that nobody pays is refused as it stands."""
    async with desk.db.transaction(actor="test") as tx:
        [budget] = await budgets.open_budgets(tx, [budgets.NewBudget(name="Fair", currency="GBP")])
    browser = await desk.signed_in("operator")
    assert "Fair · GBP" in (await browser.get("/console/promotions/new?kind=percentage")).text
    half = {**FORM, "currency": "GBP", "payers": [str(budget), ""], "shares": ["60", "40"]}
    wrong = await browser.post("/console/promotions", half)
    assert wrong.status_code == 422 and "choose who pays 40 %" in wrong.text
    saved = await browser.post("/console/promotions", {**half, "payers": [str(budget), "seller"]})
    path = re.sub(r"^/en", "", saved.headers["location"])
    page = (await browser.get(path)).text
    assert f'value="{budget}" selected' in page and 'value="seller" selected' in page
    async with desk.db.reading() as tx:
        [found] = (await promotions.promotions(tx)).items
    assert found.terms.funding == [promotions.Share(6000, budget), promotions.Share(4000, None)]


async def test_codes_are_made_and_downloaded(desk: Desk) -> None:
    browser = await desk.signed_in("operator")
    answer = await browser.post("/console/promotions", {**FORM, "coupon": "on", "level": "order"})
    path = re.sub(r"^/en", "", answer.headers["location"])
    assert (await browser.post(f"{path}/codes", {"size": "25", "note": "fair"})).status_code == 303
    page = (await browser.get(path)).text
    found = re.search(r"/console/codes/([0-9a-f-]{36})", page)
    assert found
    file = await browser.get(f"/console/codes/{found[1]}")
    assert file.text.splitlines()[0] == "code" and len(file.text.splitlines()) == 26
    async with desk.db.reading() as tx:
        assert len(await promotions.codes_of(tx, (await promotions.batches(
            tx, (await promotions.promotions(tx)).items[0].id))[0].id)) == 25  # fmt: skip


async def test_who_has_not_the_right_sees_nothing(desk: Desk) -> None:
    for kind in ("clerk", "buyer"):
        browser = await desk.signed_in(kind)
        assert (await browser.get("/console/promotions")).status_code in (302, 303, 403)
