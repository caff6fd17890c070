"""Who may open what: every route of the console is tried by everybody who must not."""

from __future__ import annotations

import re
import uuid

import pytest

from console_world import Desk
from pinwheel.faces import console
from pinwheel.kernel.web import Route, routes_of

ROUTES = routes_of(*console.WEB)
OPERATORS_ONLY = {
    *("/console/ledger", "/console/ledger/account", "/console/ledger/close"),
    *("/console/audit", "/console/events", "/console/jobs", "/console/jobs/retry"),
    *("/console/orders/{number:str}/goodwill", "/console/payments/{payment_id:uuid}/retry"),
    *("/console/open", "/console/open/keys", "/console/open/keys/revoke", "/console/sandbox"),
    *("/console/customers/{person_id:uuid}/erase", "/console/customers/{person_id:uuid}/export"),
    *("/console/settings", "/console/settings/staff", "/console/settings/markets"),
}


def address(route: Route) -> str:
    path = re.sub(r"{\w+:uuid}", str(uuid.UUID(int=7)), route.paths[0])
    return re.sub(r"{\w+:str}", "NONE", path)


def test_every_route_says_what_right_it_takes() -> None:
    without = [r.paths[0] for r in ROUTES if r.scope is None and r.paths[0] != "/console"]
    assert len(ROUTES) > 60
    assert not without


@pytest.mark.parametrize("who", ["visitor", "buyer"])
async def test_nobody_but_staff_gets_in(desk: Desk, who: str) -> None:
    browser = desk.browser() if who == "visitor" else await desk.signed_in(who)
    if who == "visitor":
        await browser.get("/sign-in")
    wrong = []
    for route in ROUTES:
        path = address(route)
        answer = (
            await browser.get(path)
            if route.method == "GET"
            else await browser.post(path, {"x": "1"})
        )
        if answer.status_code not in (401, 403, 404):
            wrong.append((route.method, path, answer.status_code))
    assert not wrong


async def test_a_clerk_can_do_the_daily_work_and_nothing_more(desk: Desk) -> None:
    clerk = await desk.signed_in("clerk")
    refused = set()
    for route in ROUTES:
        path = address(route)
        answer = (
            await clerk.get(path) if route.method == "GET" else await clerk.post(path, {"x": "1"})
        )
        assert answer.status_code != 401, path
        if answer.status_code == 403:
            refused.add(route.paths[0])
    assert refused >= OPERATORS_ONLY
    for daily in ("today", "orders", "returns", "customers", "catalogue", "stock", "reviews"):
        assert f"/console/{daily}" not in refused


async def test_a_clerk_sees_no_entry_that_leads_nowhere(desk: Desk) -> None:
    page = (await (await desk.signed_in("clerk")).get("/console/today")).text
    for entry in ("ledger", "audit", "jobs", "settings", "open"):
        assert f'href="/en/console/{entry}"' not in page
    assert 'href="/en/console/orders"' in page


async def test_a_form_without_its_token_changes_nothing(desk: Desk) -> None:
    operator = await desk.signed_in("operator")
    number = await desk.number((0, 1))
    operator.token = "forged"
    answer = await operator.post(f"/console/orders/{number}/ship")
    assert answer.status_code == 403
    assert (await desk.shop.stock(0))[0] == 100
