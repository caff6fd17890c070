"""The rules of returns as an operator sets them: what is refused changes nothing."""

from __future__ import annotations

import uuid

import pytest

from console_world import Desk
from pinwheel.trade import returns

HERE = "/console/return-rules"
TABS = ("policies", "ways", "hours", "points", "trials")
POLICY = {
    "market": "GB",
    "window_days": "40",
    "fault_days": "365",
    "send_days": "10",
    "grade_days": "2",
    "freight": "3.50",
    "instant": "0",
    "resale_percent": "75",
    "approves_itself": "true",
}


async def stored(desk: Desk) -> list[returns.CategoryPolicy]:
    async with desk.db.reading() as tx:
        return list(await returns.stored_policies(tx))


async def test_a_policy_is_set_and_shown_in_both_languages(desk: Desk) -> None:
    operator = await desk.signed_in("operator")
    assert "own rule" in (await operator.get(HERE)).text
    assert (await operator.post(f"{HERE}/policies", POLICY)).status_code == 303
    [policy] = await stored(desk)
    assert (policy.window_days, policy.freight_minor, policy.resale_basis_points) == (40, 350, 7500)
    assert policy.approves_itself and not policy.refunds_delivery and policy.instant_minor == 0
    page = (await operator.get(HERE)).text
    assert "40 days" in page and "£3.50" in page
    chinese = await operator.http.get(f"/zh-CN{HERE}?tab=policies")
    assert "退货规则" in chinese.text and "无理由退货" in chinese.text


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("policies", {**POLICY, "freight": "-3"}),
        ("policies", {**POLICY, "freight": "3.555"}),
        ("policies", {**POLICY, "market": "MOON"}),
        ("policies", {**POLICY, "category_id": str(uuid.UUID(int=9))}),
        ("policies", {**POLICY, "send_days": "0"}),
        ("ways", {"market": "GB", "kind": "pickup", "extra": "-1", "is_open": "true"}),
        ("ways", {"market": "GB", "kind": "pigeon", "is_open": "true"}),
        ("hours", {"market": "GB", "from_hour": "12", "until_hour": "12", "most": "5"}),
        ("hours", {"market": "MOON", "from_hour": "9", "until_hour": "12", "most": "5"}),
        ("points", {"code": "A B", "name_en": "Counter", "address": "1 Road", "country": "GB"}),
        ("points", {"code": "LDN-1", "name_en": " ", "address": "1 Road", "country": "GB"}),
        ("trials", {"market": "GB", "days": "61", "most": "100", "is_open": "true"}),
        ("trials", {"market": "GB", "days": "7", "most": "-1", "is_open": "true"}),
    ],
)
async def test_what_is_refused_changes_nothing(desk: Desk, path: str, form: dict[str, str]) -> None:
    operator = await desk.signed_in("operator")
    answer = await operator.post(f"{HERE}/{path}", form)
    assert answer.status_code < 500
    if answer.status_code == 303:  # said where they were
        assert 'role="alert"' in (await operator.get(HERE)).text
    async with desk.db.reading() as tx:
        known = await returns.roads(tx)
        assert not known.offers and not known.windows
        assert not await returns.points(tx) and not await returns.trial_rules(tx)
    assert not await stored(desk)


async def test_ways_hours_points_and_trials_are_set_and_closed_again(desk: Desk) -> None:
    operator = await desk.signed_in("operator")
    hours = {"market": "GB", "from_hour": "9", "until_hour": "12", "most": "5"}
    point = {"code": "ldn-1", "name_en": "Counter", "address": "1 Road", "country": "GB"}
    trial = {"market": "GB", "days": "7", "most": "200", "is_open": "true"}
    way = {"market": "GB", "kind": "dropoff", "extra": "1.20", "is_open": "true"}
    nowhere = (await operator.get(f"{HERE}?tab=ways")).text.count("no return point there yet")
    for path, form in (("hours", hours), ("points", {**point, "is_open": "true"})):
        assert (await operator.post(f"{HERE}/{path}", form)).status_code == 303
    for path, form in (("ways", way), ("trials", trial)):
        assert (await operator.post(f"{HERE}/{path}", form)).status_code == 303
    page = (await operator.get(f"{HERE}?tab=ways")).text
    assert "£1.20" in page and page.count("no return point there yet") == nowhere - 1
    assert "09:00–12:00" in (await operator.get(f"{HERE}?tab=hours")).text
    assert "LDN-1" in (await operator.get(f"{HERE}?tab=points")).text
    assert "£200.00" in (await operator.get(f"{HERE}?tab=trials")).text
    await operator.post(f"{HERE}/points", point)  # an empty box closes it
    await operator.post(f"{HERE}/hours", {**hours, "most": "0"})
    async with desk.db.reading() as tx:
        assert [p.is_open for p in await returns.points(tx)] == [False]
        assert (await returns.roads(tx)).windows[("GB", 9)].most == 0


async def test_only_who_sets_the_shop_may(desk: Desk) -> None:
    clerk = await desk.signed_in("clerk")
    for tab in TABS:
        assert (await clerk.get(f"{HERE}?tab={tab}")).status_code == 403
    assert (await clerk.post(f"{HERE}/policies", POLICY)).status_code == 403
    assert HERE not in (await clerk.get("/console/returns")).text
    assert HERE in (await (await desk.signed_in("operator")).get("/console/returns")).text
