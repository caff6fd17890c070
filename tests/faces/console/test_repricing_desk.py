"""Prices that follow competitors at the desk: tried, switched on, bounded, decided, traced."""

from __future__ import annotations

import re

from console_world import Desk
from pinwheel.trade import pricing
from web_world import Browser

HERE = "/console/repricing"
FORM = {
    "name": "Rivals",
    "currency": "GBP",
    "kind": "undercut",
    "by": "0.10",
    "max_age_hours": "48",
    "publish_within": "5",
    "most_change": "20",
}


async def made(desk: Desk, operator: Browser) -> str:
    """A rival asks 9.80 for T-0 (10.00 here) and 1.00 for T-1 (2.50 here)."""
    rows = "T-0,Rival,9.80,https://rival.example/t\nT-1,Rival,1.00,javascript:alert(1)"
    await operator.post(f"{HERE}/seen", {"currency": "GBP", "rows": rows})
    went = await operator.post(HERE, FORM)
    path: str = went.headers["location"]
    return path[path.index("/console") :]


async def asked_now(desk: Desk, number: int) -> int:
    async with desk.db.reading() as tx:
        found = await pricing.prices(tx, [desk.shop.offers[number]], "GBP")
    return next(iter(found.values())).price_minor


async def follow(desk: Desk) -> None:
    async with desk.db.transaction(actor="clock") as tx:
        for one in await pricing.repricings(tx, active_only=True):
            await pricing.propose(tx, one)


async def test_it_is_tried_before_it_is_on_and_every_change_says_who_and_why(desk: Desk) -> None:
    operator = await desk.signed_in("operator")
    assert "No price follows a competitor" in (await operator.get(HERE)).text
    path = await made(desk, operator)
    page = (await operator.get(path)).text
    assert "£9.70" in page and "£2.00" in page and "by itself" in page and "a step" in page
    await follow(desk)
    assert await asked_now(desk, 0) == 1000  # looking changed nothing, and it is off
    await operator.post(f"{path}/switch", {"on": "true"})
    await follow(desk)
    assert (await asked_now(desk, 0), await asked_now(desk, 1)) == (970, 250)
    page = (await operator.get(HERE)).text
    [proposal] = re.findall(r'name="proposal" value="([^"]+)"', page)
    await operator.post(f"{HERE}/proposals", {"reason": "no", "agree": "true"})
    assert "tick at least one" in (await operator.get(HERE)).text
    form = {"proposal": proposal, "reason": "they are right", "agree": "true"}
    await operator.post(f"{HERE}/proposals", form)
    assert await asked_now(desk, 1) == 200
    await operator.post(f"{HERE}/proposals", form)  # pressed again
    page = (await operator.get(HERE)).text
    assert 'role="alert"' in page and "they are right" in page and "Operator" in page
    assert "by itself, within its limit" in page
    await operator.post(f"{path}/switch", {"on": "false"})
    async with desk.db.reading() as tx:
        assert await pricing.repricings(tx, active_only=True) == []


async def test_a_link_that_is_none_is_no_link(desk: Desk) -> None:
    operator = await desk.signed_in("operator")
    await made(desk, operator)
    page = (await operator.get(f"{HERE}/seen")).text
    assert 'href="https://rival.example/t"' in page and "javascript:" not in page


async def test_bounds_that_make_no_sense_are_refused_and_editing_leaves_the_switch(
    desk: Desk,
) -> None:
    operator = await desk.signed_in("operator")
    path = await made(desk, operator)
    await operator.post(f"{path}/switch", {"on": "true"})
    for wrong in ({"by": ""}, {"by": "-1"}, {"skus": "NONE-1"}, {"name": " "}):
        await operator.post(path, FORM | wrong)
        assert 'role="alert"' in (await operator.get(path)).text, wrong
    await operator.post(path, FORM | {"most_change": "3", "skus": "T-0"})
    async with desk.db.reading() as tx:
        [one] = await pricing.repricings(tx)
    assert one.is_active and one.most_change_basis_points == 300
    assert one.offers == [desk.shop.offers[0]] and one.by_minor == 10


async def test_lists_go_on_where_they_ended(desk: Desk) -> None:
    operator = await desk.signed_in("operator")
    await made(desk, operator)
    rows = "T-0,Another,9.90\nT-2,Another,30.00"
    await operator.post(f"{HERE}/seen", {"currency": "GBP", "rows": rows})
    async with desk.db.reading() as tx:
        whole = (await pricing.seen_prices(tx, "GBP", limit=99)).items
        seen, cursor = [], None
        while True:
            part = await pricing.seen_prices(tx, "GBP", cursor=cursor, limit=1)
            seen += part.items
            cursor = part.next
            if cursor is None:
                break
    assert seen == whole and len(whole) == 4


async def test_the_result_of_each_sku_goes_on_where_it_ended(desk: Desk) -> None:
    operator = await desk.signed_in("operator")
    for number, cost in (("T-0", "12.00"), ("T-1", "0.50")):
        guard = {"sku": number, "currency": "GBP", "cost": cost, "reason": "list"}
        await operator.post("/console/price-rules/guards", guard)
    await desk.bought((0, 2), (1, 1))
    page = (await operator.get("/console/price-rules/results")).text
    assert page.index("T-0") < page.index("T-1")  # the loss first
    only = (await operator.get("/console/price-rules/results?losses_only=true")).text
    assert "T-0" in only and ">T-1<" not in only
