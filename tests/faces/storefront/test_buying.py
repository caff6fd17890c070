"""Buying: the cart, the checkout on one page, orders, and everybody who must not see them."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

import pytest

from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.jobs import Worker
from pinwheel.seeding import LOGINS
from pinwheel.trade import pricing
from storefront_world import Storefront, field_of, fields_of, text_of
from web_world import Browser

FORM = {
    "email": "guest@example.com", "name": "Ann Example", "country": "GB", "phone": "",
    "region": "", "address": "1 Example Street", "city": "Exampleton", "postcode": "ZZ1 1ZZ",
    "delivery": "standard", "payment": "sandbox:tok_ok",
}  # fmt: skip


async def put_something(shop: Storefront, browser: Browser, nth: int = 0) -> str:
    """Something that is in stock, put into the cart; its offer."""
    found = 0
    for slug in await shop.slugs():
        page = (await browser.get(f"/p/{slug}")).text
        if "Add to cart" in page or "加入购物车" in page:
            if found == nth:
                offer = field_of(page, "offer_id")
                answer = await browser.post("/cart/lines", {"offer_id": offer, "quantity": "1"})
                assert answer.status_code == 303
                return offer
            found += 1
    raise AssertionError("nothing is in stock")


async def checkout_form(browser: Browser, **more: Any) -> dict[str, Any]:
    page = (await browser.get("/checkout")).text
    return {**FORM, "key": field_of(page, "key"), "quotes": fields_of(page, "quotes"), **more}


async def sign_in(browser: Browser) -> None:
    buyer = LOGINS[0]
    await browser.get("/sign-in")
    form = {"email": buyer.email, "password": buyer.password, "next": "/cart"}
    assert (await browser.post("/sign-in", form)).status_code == 303


async def test_a_guest_buys_on_one_page_without_javascript(shop: Storefront) -> None:
    browser = shop.browser()
    await put_something(shop, browser)
    answer = await browser.post("/checkout", await checkout_form(browser))
    assert answer.status_code == 303, text_of(answer.text)[:800]
    placed = (await browser.http.get(answer.headers["location"])).text
    assert "Thank you" in placed and "guest@example.com" in placed
    path = re.search(r'href="/en(/account/orders/[^"]+)"', placed)
    assert path
    assert (await browser.get(path[1])).status_code == 200
    assert "Your cart is empty" in (await browser.get("/cart")).text
    assert (await shop.browser().get(path[1])).status_code in (401, 404)  # nobody else's


async def test_pressing_twice_places_one_order(shop: Storefront) -> None:
    browser = shop.browser()
    await put_something(shop, browser)
    form = await checkout_form(browser)
    first = await browser.post("/checkout", form)
    second = await browser.post("/checkout", form)
    assert first.headers["location"] == second.headers["location"]
    assert (await browser.get("/account/orders")).text.count('class="panel order-card"') == 1


async def test_the_chosen_delivery_costs_what_was_shown_beside_it(shop: Storefront) -> None:
    browser = shop.browser()
    await put_something(shop, browser)
    page = (await browser.get("/checkout")).text
    express = re.search(r'value="express".*?total (£[\d.]+)', page, re.S)
    assert express
    form = await checkout_form(browser, delivery="express")
    placed = (
        await browser.http.get((await browser.post("/checkout", form)).headers["location"])
    ).text
    assert f"{express[1]} paid" in text_of(placed)


async def test_a_price_that_moved_is_shown_and_asked_for_again(shop: Storefront) -> None:
    browser = shop.browser()
    offer = await put_something(shop, browser, nth=3)
    form = await checkout_form(browser)
    async with shop.db.transaction() as tx:
        before = (await pricing.prices(tx, [UUID(offer)], "GBP")).popitem()[1]
    async with shop.db.transaction(now=shop.db.clock.now().replace(second=1)) as tx:
        new = pricing.NewPrice(
            offer_id=before.offer_id, currency="GBP", price_minor=before.price_minor + 100
        )
        await pricing.set_prices(tx, [new])
    shop.db.clock.travel(seconds=2)  # type: ignore[attr-defined]
    answer = await browser.post("/checkout", form)
    assert answer.status_code == 409
    assert "Please look once more" in answer.text
    assert 'value="Ann Example"' in answer.text
    again = {
        **form,
        "key": field_of(answer.text, "key"),
        "quotes": fields_of(answer.text, "quotes"),
    }
    assert (await browser.post("/checkout", again)).status_code == 303


async def test_what_is_missing_is_marked_and_nothing_is_lost(shop: Storefront) -> None:
    browser = shop.browser("zh-CN")
    await put_something(shop, browser)
    form = await checkout_form(browser, country="CN", email="nonsense", city="")
    answer = await browser.post("/checkout", form)
    assert answer.status_code == 422
    assert answer.text.count('aria-invalid="true"') == 2
    assert 'value="1 Example Street"' in answer.text
    assert answer.text.count('class="lines"') >= 1


async def test_a_declined_payment_keeps_the_cart(shop: Storefront) -> None:
    browser = shop.browser()
    await put_something(shop, browser)
    form = await checkout_form(browser, payment="sandbox:tok_declined")
    answer = await browser.post("/checkout", form)
    assert answer.status_code == 402
    assert "declined" in text_of(answer.text)
    again = {**form, "payment": "sandbox:tok_ok", "key": field_of(answer.text, "key")}
    assert (await browser.post("/checkout", again)).status_code == 303


async def test_a_challenge_leads_to_the_bank_and_back(shop: Storefront) -> None:
    browser = shop.browser()
    await put_something(shop, browser)
    form = await checkout_form(browser, payment="sandbox:tok_challenge")
    bank = (await browser.post("/checkout", form)).headers["location"]
    assert bank.startswith("/en/sandbox/payments/")
    back = await browser.post(bank.removeprefix("/en"), {"approve": "true"})
    placed = f"/checkout/placed?key={form['key']}"
    assert back.headers.get("location") == f"/en{placed}", text_of(back.text)
    await Worker(shop.db).drain()
    assert "paid" in text_of((await browser.get(placed)).text)


async def test_signing_in_keeps_the_cart(shop: Storefront) -> None:
    browser = shop.browser()
    offer = await put_something(shop, browser, nth=2)
    await sign_in(browser)
    assert offer in (await browser.get("/cart")).text


async def test_cancelling_gives_the_money_back(shop: Storefront) -> None:
    browser = shop.browser()
    await put_something(shop, browser)
    placed = await browser.post("/checkout", await checkout_form(browser))
    page = (await browser.http.get(placed.headers["location"])).text
    number = re.search(r"/account/orders/([A-Z0-9-]+)", page)
    assert number
    path = f"/account/orders/{number[1]}"
    assert "Cancel the order?" in (await browser.get(f"{path}/cancel")).text
    other = shop.browser()
    await other.get("/sign-in")
    assert (await other.post(f"{path}/cancel")).status_code in (401, 404)
    assert (await browser.post(f"{path}/cancel")).status_code == 303
    assert "refunded" in text_of((await browser.get(path)).text)


async def test_a_delivered_order_is_returned_and_reviewed(shop: Storefront) -> None:
    browser = shop.browser()
    await sign_in(browser)
    orders = re.findall(
        r'href="/en(/account/orders/[A-Z0-9-]+)"', (await browser.get("/account/orders")).text
    )
    for path in dict.fromkeys(orders):
        page = (await browser.get(path)).text
        if f"{path}/return" in page:
            break
    else:
        pytest.skip("the seeded buyer has no delivered order in these few days")
    form = (await browser.get(f"{path}/return")).text
    units = re.search(r'name="(units_\d+)"', form)
    assert units
    assert (await browser.post(f"{path}/return", {"reason": "unwanted"})).status_code == 422
    answer = await browser.post(f"{path}/return", {units[1]: "1", "reason": "unwanted"})
    assert answer.status_code == 303, text_of(answer.text)[:500]
    assert "Returns" in (await browser.get(path)).text


async def test_only_who_bought_it_may_review(shop: Storefront) -> None:
    browser = shop.browser()
    (slug, *_) = await shop.slugs()
    assert (await browser.get(f"/p/{slug}/review")).status_code == 401
    await sign_in(browser)
    await browser.get(f"/p/{(await shop.slugs())[1]}/review")
    answer = await browser.post(
        f"/p/{(await shop.slugs())[1]}/review", {"rating": "5", "title": "x"}
    )
    assert answer.status_code in (303, 403, 409)


@pytest.mark.parametrize("path", ["", "/orders", "/addresses", "/payment", "/sessions", "/privacy"])
async def test_account_pages_are_for_their_owner(shop: Storefront, path: str) -> None:
    assert (await shop.browser().get(f"/account{path}")).status_code == 401
    browser = shop.browser("zh-CN")
    await sign_in(browser)
    assert (await browser.get(f"/account{path}")).status_code == 200


async def test_one_click_shows_its_total_and_is_one_order(shop: Storefront) -> None:
    browser = shop.browser("zh-CN")
    await sign_in(browser)
    await browser.get("/account/payment")
    assert (await browser.post("/account/one-click", {"is_on": "true"})).status_code == 303
    offer = await put_something(shop, browser, nth=4)
    button = (await browser.get(f"/one-click?offer_id={offer}")).text
    form = {"offer_id": offer, "key": field_of(button, "key"), "quote": field_of(button, "quote")}
    first = await browser.post("/one-click", form)
    assert first.status_code == 303, text_of(first.text)[:500]
    again = await browser.post("/one-click", form)
    assert again.headers["location"] == first.headers["location"]


async def shared_devices(shop: Storefront) -> int:
    await Worker(shop.db).drain()
    async with shop.db.reading() as tx:
        found: int = await tx.value(
            """
            select count(*) from (select from trust.sighting where kind = 'device'
                                   group by value having count(*) = 2) shared
            """
        )
    return found


async def test_the_browser_is_known_whichever_way_one_buys(shop: Storefront) -> None:
    clock = shop.db.clock
    assert isinstance(clock, SetClock)
    clock.travel(hours=1)  # one account may try to sign in only so often
    before = await shared_devices(shop)
    browser = shop.browser()
    offer = await put_something(shop, browser)
    assert (await browser.post("/checkout", await checkout_form(browser))).status_code == 303
    await browser.post("/sign-out", {})
    await sign_in(browser)
    await browser.get("/account/payment")
    assert (await browser.post("/account/one-click", {"is_on": "true"})).status_code == 303
    button = (await browser.get(f"/one-click?offer_id={offer}")).text
    form = {"offer_id": offer, "key": field_of(button, "key"), "quote": field_of(button, "quote")}
    assert (await browser.post("/one-click", form)).status_code == 303
    # The guest and the one who signed in are two accounts of one browser.
    assert await shared_devices(shop) == before + 1
