"""Three buyers at three browsers buy together; each hears of the others while they look."""

from __future__ import annotations

import asyncio
import re
import uuid
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from playwright.async_api import Browser, Page, expect

from browser_world import DESK, LANGUAGES, PHONE, look, visiting
from pinwheel.growth import social
from pinwheel.kernel.db import Database

pytestmark = [pytest.mark.browser, pytest.mark.slow]


class Sold:
    """A product that is sold in teams: where, in which campaign."""

    def __init__(self, path: str, campaign_id: uuid.UUID) -> None:
        self.path, self.campaign_id = path, campaign_id


async def sold_in_teams(db: Database, seats: int, **terms: Any) -> Sold:
    """A running campaign for something there is plenty of, and that no other one sells."""
    async with db.reading() as tx:
        row = await tx.connection.fetchrow(
            "select o.offer_id, v.slug, v.sku, p.price_minor from marketplace.v_offer o"
            " join catalogue.v_variant v using (variant_id)"
            " join pricing.v_price p on p.offer_id = o.offer_id and p.currency = $1"
            " join inventory.v_atp a on a.variant_id = v.variant_id and a.atp > 20"
            " where o.active and v.buyable and p.price_minor > 1000"
            " and not exists (select from social.team_offer t where t.offer_id = o.offer_id)"
            " order by p.price_minor desc limit 1",
            terms.get("currency", "GBP"),
        )
    async with db.transaction(actor="test") as tx:
        how: dict[str, Any] = {
            "name": {"en": "Together", "zh-CN": "一起买"},
            "market": "GB",
            "currency": "GBP",
            "seats": seats,
            "offers": [
                social.TeamOffer(offer_id=row["offer_id"], price_minor=row["price_minor"] // 2)
            ],
        }
        campaign_id = await social.open_team_campaign(tx, social.TeamTerms(**(how | terms)))
    return Sold(f"/p/{row['slug']}?variant={row['sku']}", campaign_id)


async def pay(page: Page, name: str) -> None:
    """Fill in the checkout of a seat and pay."""
    await page.fill("#email", "guest@example.com")
    await page.fill("#name", name)
    await page.fill("#address", "1 Example Street")
    await page.fill("#city", "Exampleton")
    await page.locator("input[name=payment][value='sandbox:tok_ok']").check(force=True)
    await page.locator("#checkout-sum button[type=submit]").click()
    await expect(page).to_have_url(re.compile("/team/"))


async def start(page: Page, home: str, sold: Sold) -> str:
    """Open a team; its address."""
    for _ in range(20):  # what runs is read every ten seconds
        await page.goto(home + sold.path)
        if await page.locator("#teams form button").count():
            break
        await page.wait_for_timeout(1000)
    await page.locator("#teams form button").first.click()
    await expect(page).to_have_url(re.compile("/teams/checkout"))
    await pay(page, "Example")
    return page.url


async def test_three_buyers_at_once(
    shop_url: str, shop_db: Database, chromium: Browser, screenshots: Path
) -> None:
    sold = await sold_in_teams(shop_db, 3)
    home = f"{shop_url}/en"
    async with (
        visiting(chromium, "en", size=PHONE) as leader,
        visiting(chromium, "en") as second,
        visiting(chromium, "en", script=False) as third,
    ):
        team = await start(leader, home, sold)
        await expect(leader.locator("#team-live h2")).to_have_text("2 seats are free")
        for page in (second, third):
            await page.goto(team)
            await page.locator("#team-live form button").click()
        await asyncio.gather(pay(second, "Sample"), pay(third, "Model"))
        # The leader's page hears of it by itself; nobody reloads it.
        await expect(leader.locator("#team-live h2")).to_have_text("The team is complete")
        await third.goto(team)
        await expect(third.locator("#team-live h2")).to_have_text("The team is complete")
    async with shop_db.reading() as tx:
        row: asyncpg.Record = await tx.connection.fetchrow(
            "select state, reached from social.team where campaign_id = $1", sold.campaign_id
        )
    assert (row["state"], row["reached"]) == ("formed", 3)


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_teams_pages_fit_and_axe_finds_nothing(
    shop_url: str,
    shop_db: Database,
    chromium: Browser,
    screenshots: Path,
    language: str,
    size: dict[str, int],
) -> None:
    chinese = language == "zh-CN"
    where = {"market": "CN", "currency": "CNY"} if chinese else {}
    sold = await sold_in_teams(shop_db, 3, **where)
    home, width = f"{shop_url}/{language}", size["width"]
    faults: list[str] = []
    async with (
        visiting(chromium, language, size=size) as page,
        visiting(chromium, language, size=size) as friend,
    ):
        team = await start(page, home, sold)
        await friend.goto(home + sold.path)
        await expect(friend.locator("#teams .team-list li")).to_have_count(1)
        faults += await look(friend, screenshots, f"team-product-{language}-{width}")
        await friend.goto(team)
        faults += await look(friend, screenshots, f"team-open-{language}-{width}")
        await friend.locator("#team-live form button").click()
        await expect(friend).to_have_url(re.compile("/teams/checkout"))
        faults += await look(friend, screenshots, f"team-checkout-{language}-{width}")
        faults += await look(page, screenshots, f"team-mine-{language}-{width}")
        await page.goto(f"{home}/account/teams")
        faults += await look(page, screenshots, f"team-list-{language}-{width}")
        await page.goto(f"{home}{sold.path.split('?')[0]}/teams")
        faults += await look(page, screenshots, f"team-page-{language}-{width}")
    assert faults == []
