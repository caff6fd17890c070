"""A buyer in a real browser: with and without JavaScript, in both languages, on a phone and a
desk."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect

from browser_world import DESK, LANGUAGES, PHONE, look, visiting
from pinwheel.seeding import LOGINS

pytestmark = [pytest.mark.browser, pytest.mark.slow]


async def put_in_cart(page: Page, home: str, *, script: bool) -> None:
    """Through a department, a product's page, into the cart."""
    await page.goto(f"{home}/c/books")
    await page.locator("a.card-link").first.click()
    await page.locator("#buy button[type=submit]").click()
    if script:
        await expect(page.locator("#cart-count .dot")).to_have_text("1")
        await page.goto(f"{home}/cart")
    await expect(page.locator(".lines li")).to_have_count(1)


async def fill_in(page: Page, language: str, payment: str) -> None:
    await page.fill("#email", "guest@example.com")
    await page.fill("#name", "示例 Ann")
    await page.fill("#address", "1 Example Street")
    await page.fill("#city", "Exampleton")
    await page.locator(f"input[name=payment][value='sandbox:{payment}']").check(force=True)
    await page.locator("#checkout-sum button[type=submit]").click()


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("script", [True, False])
async def test_a_guest_buys(shop_url: str, chromium: Browser, language: str, script: bool) -> None:
    home = f"{shop_url}/{language}"
    async with visiting(chromium, language, script=script, size=PHONE) as page:
        await put_in_cart(page, home, script=script)
        await page.locator(".aside a.button").click()
        await fill_in(page, language, "tok_ok")
        await expect(page).to_have_url(re.compile("/checkout/placed"))
        await expect(page.locator("h1")).to_have_text(re.compile("Thank you|谢谢|感谢"))


@pytest.mark.parametrize("script", [True, False])
async def test_paying_with_a_challenge(shop_url: str, chromium: Browser, script: bool) -> None:
    home = f"{shop_url}/en"
    async with visiting(chromium, "en", script=script) as page:
        await put_in_cart(page, home, script=script)
        await page.goto(f"{home}/checkout")
        await fill_in(page, "en", "tok_challenge")
        await page.locator("button[name=approve][value=true]").click()
        await expect(page.get_by_text(re.compile(r"[\d.]+ paid"))).to_be_visible()


async def test_changing_the_delivery_changes_the_total(shop_url: str, chromium: Browser) -> None:
    home = f"{shop_url}/en"
    async with visiting(chromium, "en") as page:
        await put_in_cart(page, home, script=True)
        await page.goto(f"{home}/checkout")
        total = page.locator("#checkout-sum .total dd")
        before = await total.inner_text()
        await page.locator("input[name=delivery][value=express]").check(force=True)
        await expect(total).not_to_have_text(before)


async def test_signing_in_keeps_the_cart_and_a_delivery_goes_back(
    shop_url: str, chromium: Browser
) -> None:
    home = f"{shop_url}/en"
    async with visiting(chromium, "en") as page:
        await put_in_cart(page, home, script=True)
        await sign_in(page, home)
        await page.goto(f"{home}/cart")
        await expect(page.locator(".lines li")).to_have_count(1)
        await page.goto(f"{home}/account/orders")
        paths = await page.eval_on_selector_all(
            ".order-card h3 a", "links => links.map(link => link.href)"
        )
        for path in paths:
            await page.goto(path)
            link = page.locator("a[href$='/return']")
            if await link.count():
                await link.click()
                await page.locator("input[name^=units_]").first.fill("1")
                await page.get_by_role("button", name="Ask for the return").click()
                await expect(
                    page.get_by_role("heading", name="Returns", exact=True)
                ).to_be_visible()
                return
        pytest.skip("nothing was delivered to the seeded buyer yet")


async def sign_in(page: Page, home: str) -> None:
    await page.goto(f"{home}/sign-in")
    await page.fill("#email", LOGINS[0].email)
    await page.fill("#password", LOGINS[0].password)
    await page.locator("main form button[type=submit]").click()
    await expect(page).to_have_url(re.compile("/account"))


async def test_suggestions_work_by_keyboard(shop_url: str, chromium: Browser) -> None:
    async with visiting(chromium, "en") as page:
        await page.goto(f"{shop_url}/en/")
        await page.locator("#q").press_sequentially("the ", delay=30)
        await expect(page.locator("#q-list [role=option]").first).to_be_visible()
        await page.keyboard.press("ArrowDown")
        await page.keyboard.press("Enter")
        await expect(page).to_have_url(re.compile("/search"))


PAGES = (
    ("home", "/"), ("department", "/c/books"), ("things", "/c/table"), ("search", "/search?q=the"),
    ("nothing", "/search?q=zzqqxx"), ("product", ""), ("cart", "/cart"), ("checkout", "/checkout"),
    ("sign-in", "/sign-in"), ("register", "/register"), ("code", "/sign-in/code"),
    ("delivery", "/help/delivery"), ("returns", "/help/returns"), ("privacy", "/help/privacy"),
)  # fmt: skip
OWN = (
    ("account", "/account"), ("orders", "/account/orders"), ("order", ""),
    ("addresses", "/account/addresses"), ("payment", "/account/payment"),
    ("your-data", "/account/privacy"), ("sessions", "/account/sessions"),
    ("checkout-known", "/checkout"),
)  # fmt: skip


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("language", LANGUAGES)
async def test_every_page_fits_and_axe_finds_nothing(
    shop_url: str, chromium: Browser, screenshots: Path, language: str, size: dict[str, int]
) -> None:
    home = f"{shop_url}/{language}"
    faults: list[str] = []
    async with visiting(chromium, language, size=size) as page:
        await put_in_cart(page, home, script=True)
        for name, path in PAGES:
            if name == "product":
                await page.goto(f"{home}/c/books")
                await page.locator("a.card-link").first.click()
                await page.wait_for_load_state()
            else:
                await page.goto(home + path)
            faults += await look(page, screenshots, f"{name}-{language}-{size['width']}")
        await sign_in(page, home)
        for name, path in OWN:
            if name == "order":
                await page.locator(".order-card h3 a").first.click()
                await page.wait_for_load_state()
            else:
                await page.goto(home + path)
            faults += await look(page, screenshots, f"{name}-{language}-{size['width']}")
    assert faults == []
