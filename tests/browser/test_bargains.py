"""A bargain and an invitation in a real browser: on a phone and at a desk, in both languages."""

from __future__ import annotations

from pathlib import Path

from playwright.async_api import Browser

from browser_world import DESK, PHONE, look, visiting
from pinwheel.growth import social
from pinwheel.kernel.db import Database
from pinwheel.trade import budgets, pricing


async def opened(db: Database) -> None:
    async with db.transaction(actor="test") as tx:
        offers = await tx.values(
            "select distinct p.offer_id from pricing.v_price p"
            " join marketplace.v_offer o on o.offer_id = p.offer_id and o.active"
            " join catalogue.v_variant v on v.variant_id = o.variant_id"
            " where p.currency = 'GBP' order by 1"
        )
        prices = await pricing.prices(tx, offers, "GBP")
        offer = next(o for o in offers if o in prices and prices[o].price_minor > 900)
        price = prices[offer].price_minor
        [budget] = await budgets.open_budgets(tx, [budgets.NewBudget(name="B", currency="GBP")])
        await budgets.fund(tx, budget, 1_000_000, reason="test")
        names = {"en": "Cut it together", "zh-CN": "一起砍一刀"}
        terms = social.BargainTerms(
            name=names,
            market="GB",
            currency="GBP",
            offer_id=offer,
            list_minor=price,
            floor_minor=100,
            helps=5,
            budget_id=budget,
        )
        await social.start_bargain_campaign(tx, await social.save_bargain_campaign(tx, terms))
        invite = social.InviteTerms(
            name=names, currency="GBP", budget_id=budget, inviter_minor=300, invitee_minor=200
        )
        campaign = await social.save_invite_campaign(tx, invite)
        await social.set_invite_campaign(tx, campaign, running=True)


async def test_bargains_and_invitations_at_both_sizes(
    shop_db: Database, shop_url: str, chromium: Browser, screenshots: Path
) -> None:
    await opened(shop_db)
    faults: list[str] = []
    async with visiting(chromium, "en", size=PHONE) as page:
        await page.goto(f"{shop_url}/en/bargains")
        faults += await look(page, screenshots, "bargains-phone")
        await page.get_by_role("button", name="Start my bargain").first.click()
        path = page.url.split("/en", 1)[1]
        faults += await look(page, screenshots, "bargain-phone")
        await page.goto(f"{shop_url}/en/account/invites")
        faults += await look(page, screenshots, "invites-phone")
        link = await page.locator("#share-link").input_value()
    async with visiting(chromium, "zh-CN", size=DESK, script=False) as page:
        await page.goto(f"{shop_url}/zh-CN{path}")
        await page.get_by_role("button", name="帮忙砍一刀").click()
        await page.screenshot(path=screenshots / "bargain-desk-zh.png", full_page=True)
        await page.goto(link)
        assert "/invite/" in page.url
        await page.screenshot(path=screenshots / "invitation-desk-zh.png", full_page=True)
    assert faults == []
