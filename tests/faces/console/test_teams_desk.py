"""The desk of team purchase: a campaign is written, started and stopped; money is followed."""

from __future__ import annotations

import re
import uuid
from pathlib import Path
from typing import Any

import pytest

from console_world import Desk, open_desk
from pinwheel.growth import social
from pinwheel.kernel.db import Database
from pinwheel.trade.orders import Claim

FORM = {
    "name_en": "Three together",
    "name_zh": "三人团",
    "market": "GB",
    "policy": "strict",
    "seats": "3",
    "window_hours": "24",
    "leads_per_person": "3",
    "joins_per_person": "3",
    "pieces_per_member": "1",
    "offers": "T-0 6.00",
    "budget_id": "",
    "uses_per_identity": "",
}


@pytest.fixture
async def desk(db: Database, tmp_path: Path) -> Desk:
    return await open_desk(db, tmp_path)


async def _made(desk: Desk, browser: Any, **more: str) -> str:
    went = await browser.post("/console/teams", FORM | more)
    assert went.status_code == 303
    found: str = went.headers["location"][3:]
    return found


async def test_a_campaign_from_draft_to_its_end_with_the_money_trail(desk: Desk) -> None:
    browser = await desk.signed_in("operator")
    path = await _made(desk, browser)
    page = await browser.get(path)
    assert "T-0 6.00" in page.text and page.status_code == 200
    await browser.post(path, FORM | {"seats": "2"})
    assert (await browser.post(f"{path}/start")).status_code == 303
    campaign_id = uuid.UUID(path.rsplit("/", 1)[1])
    desk.shop.buying.checkout = type(desk.shop.buying.checkout)(social.TeamStage())
    await desk.bought((0, 1), person_id=uuid.uuid4(), claims=[Claim("team_open", campaign_id)])
    await desk.worker().drain()
    page = await browser.get(path)
    assert "1 / 2" in page.text
    [team] = re.findall(r"/console/teams/team/[0-9a-f-]{36}", page.text)
    await browser.post(f"{path}/stop", {"teams": "fail"})
    desk.db.clock.travel(seconds=5)  # type: ignore[attr-defined]
    await desk.worker().drain()
    page = await browser.get(team)
    assert page.text.count("£9.99") == 2  # came in, went back
    assert "Cancelled" in page.text
    page = await browser.get(f"{path}?view=failed")
    assert "the campaign was stopped" in page.text
    assert (await browser.get("/console/teams")).status_code == 200


async def test_tiers_and_terms_that_make_no_sense(desk: Desk) -> None:
    browser = await desk.signed_in("operator")
    tiers = {"policy": "tiered", "offers": "T-0 2:8.00 3:7.00", "seats": "3"}
    page = await browser.get(await _made(desk, browser, **tiers))
    assert "T-0 2:8.00 3:7.00" in page.text
    for wrong in ({"offers": "NO-1 5.00"}, {"offers": "T-0"}, {"policy": "tiered"}):
        went = await browser.post("/console/teams", FORM | wrong)
        assert went.status_code == 303 and went.headers["location"] == "/en/console/teams"
        assert "alert" in (await browser.get("/console/teams")).text


async def test_only_who_may(desk: Desk) -> None:
    for kind in ("clerk", "buyer"):
        browser = await desk.signed_in(kind)
        assert (await browser.get("/console/teams")).status_code == 403
        assert (await browser.post("/console/teams", FORM)).status_code == 403


async def test_in_chinese(desk: Desk) -> None:
    browser = await desk.signed_in("operator", "zh-CN")
    page = await browser.get("/console/teams")
    assert "拼团" in page.text and "新建活动" in page.text
