"""The growth pages: what they say when nothing was measured, and what they say of a shop."""

from __future__ import annotations

import datetime as dt
import uuid
from pathlib import Path

import pytest

import world
from console_world import Desk, open_desk
from insight.audience.town import write_orders
from pinwheel.growth import measurement
from pinwheel.kernel.db import Database
from storefront_world import text_of

PAGES = ("", "/sharing", "/acquisition", "/rocket")


@pytest.fixture
async def desk(db: Database, tmp_path: Path) -> Desk:
    return await open_desk(db, tmp_path)


async def test_nothing_is_said_that_nobody_measured(desk: Desk) -> None:
    operator = await desk.signed_in("operator")
    for path in PAGES:
        page = await operator.get(f"/console/growth{path}")
        assert page.status_code == 200, page.text[:3000]
        said = text_of(page.text)
        assert "not measured" in said
    chinese = await desk.signed_in("operator", "zh-CN")
    for path in PAGES:
        page = await chinese.get(f"/console/growth{path}")
        assert page.status_code == 200
        assert "未衡量" in text_of(page.text)


async def test_a_clerk_and_a_visitor_see_none_of_it(desk: Desk) -> None:
    clerk, visitor = await desk.signed_in("clerk"), desk.browser()
    for path in PAGES:
        assert (await clerk.get(f"/console/growth{path}")).status_code == 403
        assert (await visitor.get(f"/console/growth{path}")).status_code in (303, 401, 403)


async def test_spend_comes_in_by_file_and_the_line_is_a_benchmark(desk: Desk) -> None:
    people = [uuid.uuid4() for _ in range(40)]
    start = world.MONDAY - dt.timedelta(days=50)
    rows = [(p, start + dt.timedelta(days=n % 30), 2500) for n, p in enumerate(people)]
    await write_orders(desk.db, rows, variant_id=desk.shop.variants[0])
    async with desk.db.transaction(actor="test") as tx:
        assert await measurement.recount(tx) == 40
    operator = await desk.signed_in("operator")
    await operator.get("/console/growth/acquisition")
    lines = "channel,campaign,day,amount,currency\nsearch-ads,spring,2025-12-20,100.00,GBP"
    sent = await operator.post("/console/growth/spend", {"rows": lines})
    assert sent.status_code == 303
    page = await operator.get("/console/growth/acquisition")
    said = text_of(page.text)
    assert "1 new, 0 corrected, 0 as before" in said
    assert "£100.00 = £100.00" in said
    assert "as stated in the seed text; not a result of this shop" in said
    assert "£2.50" in said  # 100.00 for 40 buyers
    again = await operator.post("/console/growth/spend", {"rows": lines})
    assert again.status_code == 303
    said = text_of((await operator.get("/console/growth/acquisition")).text)
    assert "0 new, 0 corrected, 1 as before" in said
    bad = await operator.post("/console/growth/spend", {"rows": lines + "\nvideo,,soon,1,GBP"})
    assert bad.status_code == 303
    said = text_of((await operator.get("/console/growth/acquisition")).text)
    assert "row 2: write the day as 2026-01-31" in said
