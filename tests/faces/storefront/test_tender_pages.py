"""Gift cards and cash on the buyer's pages: entered, chosen, paid in part, waiting for cash."""

from __future__ import annotations

import re
import uuid

from pinwheel.kernel.jobs import Worker
from pinwheel.trade import payments
from storefront_world import Storefront, field_of, fields_of, text_of
from web_world import Browser

FORM = {
    "email": "guest@example.com", "name": "Ann Example", "country": "GB", "phone": "",
    "region": "", "address": "1 Example Street", "city": "Exampleton", "postcode": "ZZ1 1ZZ",
    "delivery": "standard",
}  # fmt: skip
CARDS = "/account/gift-cards"


async def with_a_cart(shop: Storefront) -> Browser:
    browser = shop.browser()
    for slug in await shop.slugs():
        page = (await browser.get(f"/p/{slug}")).text
        if "Add to cart" in page:
            wanted = {"offer_id": field_of(page, "offer_id"), "quantity": "1"}
            assert (await browser.post("/cart/lines", wanted)).status_code == 303
            return browser
    raise AssertionError("nothing is in stock")


async def test_a_gift_card_and_cash_pay_one_order(shop: Storefront) -> None:
    browser = await with_a_cart(shop)
    async with shop.db.transaction(actor="test") as tx:
        till = await payments.open_till(tx, "Front", "GBP")
        _, [card] = await payments.make_gift_cards(tx, 1, 100, "GBP", market="GB", reason="prize")
    await browser.get(CARDS)
    wrong = await browser.post(CARDS, {"code": "not a code"})
    assert wrong.status_code == 422
    assert "16 letters" in text_of(wrong.text)
    kept = await browser.post(CARDS, {"code": card.code.lower(), "back": "checkout"})
    assert kept.status_code == 303, text_of(kept.text)[:500]
    assert kept.headers["location"].endswith("/checkout")
    assert "£1.00" in text_of((await browser.get(CARDS)).text)
    page = (await browser.get("/checkout")).text
    assert card.code not in page
    assert "Pay at the store" in page
    form = {
        **FORM,
        "key": field_of(page, "key"),
        "quotes": fields_of(page, "quotes"),
        "gift_cards": fields_of(page, "gift_cards"),
        "payment": "cash:counter",
    }
    assert form["gift_cards"] == [str(card.id)]
    answer = await browser.post("/checkout", form)
    assert answer.status_code == 303, text_of(answer.text)[:800]
    placed = (await browser.http.get(answer.headers["location"])).text
    found = re.search(r"data-pay-code>([0-9 ]+)<", placed)
    assert found, text_of(placed)[:800]
    assert 'http-equiv="refresh"' not in placed
    path = re.search(r'href="/en(/account/orders/[^"]+)"', placed)
    assert path
    assert found[1] in (await browser.get(path[1])).text
    async with shop.db.reading() as tx:
        due = await payments.due_of_code(tx, found[1])
    async with shop.db.transaction(actor="clerk") as tx:
        await payments.take_cash(tx, found[1], till, due.amount_minor, key=uuid.uuid4())
    await Worker(shop.db).drain()
    assert "data-pay-code" not in (await browser.get(path[1])).text
    cards = text_of((await browser.get(CARDS)).text)
    assert "£0.00" in cards
    # Called off: the card's share is on the card again, the rest waits at the counter.
    await browser.get(f"{path[1]}/cancel")
    assert (await browser.post(f"{path[1]}/cancel")).status_code == 303
    await Worker(shop.db).drain()
    assert "wait for you at the store" in text_of((await browser.get(path[1])).text)
    assert "£1.00" in text_of((await browser.get(CARDS)).text)
    chinese = shop.browser("zh-CN")
    assert "礼品卡" in (await chinese.get(CARDS)).text


async def test_guessing_codes_is_slowed_down(shop: Storefront) -> None:
    browser = await with_a_cart(shop)
    await browser.get(CARDS)
    seen = [(await browser.post(CARDS, {"code": f"WRONG {n}"})).status_code for n in range(12)]
    assert set(seen) == {422, 429}
    assert seen[-1] == 429
