"""Coupons in the basket and the checkout, the wallet, the deals: all without JavaScript."""

from __future__ import annotations

import datetime as dt
from uuid import UUID

from faces.storefront.test_buying import checkout_form, put_something
from pinwheel.kernel.clock import SetClock
from pinwheel.trade import promotions
from storefront_world import Storefront, text_of

GBP = promotions.Conditions(currency="GBP")


async def promote(shop: Storefront, terms: promotions.Terms, **more: object) -> UUID:
    new = promotions.NewPromotion(name={"en": "Spring", "zh-CN": "春季"}, terms=terms, **more)  # type: ignore[arg-type]
    async with shop.db.transaction(actor="test") as tx:
        saved = await promotions.save(tx, new)
        return (await promotions.start(tx, saved.id)).id


async def test_a_coupon_from_the_basket_to_the_order(shop: Storefront) -> None:
    terms = promotions.Terms(kind=promotions.AmountOff(100, "order"), conditions=GBP)
    spring = await promote(shop, terms, code="SPRING")
    browser = shop.browser()
    await put_something(shop, browser)
    before = text_of((await browser.get("/cart")).text)
    assert "Have a coupon code?" in before and "Spring" not in before
    wrong = await browser.post("/cart/coupons", {"code": "NO-SUCH-CODE"})
    assert wrong.status_code == 422 and "is not known here" in text_of(wrong.text)
    answer = await browser.post("/cart/coupons", {"code": "spring", "back": "/cart"})
    assert answer.status_code == 303
    basket = text_of((await browser.get("/cart")).text)
    assert "SPRING" in basket and "−£1.00" in basket
    assert "Spring" in text_of((await browser.get("/checkout")).text)
    form = await checkout_form(browser)
    placed = await browser.post("/checkout", form)
    assert placed.status_code == 303, text_of(placed.text)
    async with shop.db.reading() as tx:
        [effect] = await promotions.effects(tx, [spring])
    assert (effect.orders, effect.off_minor) == (1, 100)
    async with shop.db.transaction() as tx:
        await promotions.stop(tx, spring)


async def test_a_coupon_is_left_out_again(shop: Storefront) -> None:
    terms = promotions.Terms(kind=promotions.AmountOff(100, "order"), conditions=GBP)
    autumn = await promote(shop, terms, code="AUTUMN")
    browser = shop.browser("zh-CN")
    await put_something(shop, browser)
    await browser.post("/market", {"market": "GB", "next": "/cart"})
    await browser.post("/cart/coupons", {"code": "AUTUMN"})
    assert "AUTUMN" in (await browser.get("/cart")).text
    await browser.post("/cart/coupons/remove", {"code": "AUTUMN"})
    assert "AUTUMN" not in (await browser.get("/cart")).text
    async with shop.db.transaction() as tx:
        await promotions.stop(tx, autumn)


async def test_the_wallet_takes_a_code_and_says_what_is_wrong(shop: Storefront) -> None:
    terms = promotions.Terms(kind=promotions.AmountOff(100, "order"), conditions=GBP)
    winter = await promote(shop, terms, code="WINTER")
    browser = shop.browser()
    await put_something(shop, browser)
    wrong = await browser.post("/account/coupons", {"code": "WINTERS"})
    assert wrong.status_code == 422 and "is not known here" in text_of(wrong.text)
    assert (await browser.post("/account/coupons", {"code": "winter"})).status_code == 303
    assert "Spring" in (await browser.get("/account/coupons")).text
    assert "Use it" in (await browser.get("/cart")).text
    async with shop.db.transaction() as tx:
        await promotions.stop(tx, winter)


async def test_a_deal_is_sold_and_waited_for(shop: Storefront) -> None:
    first, second = shop.browser(), shop.browser()
    offer = await put_something(shop, first, nth=2)
    await first.post(f"/cart/lines/{offer}/remove", {})
    now = shop.db.clock.now()
    deal = await promote(
        shop,
        promotions.Terms(
            kind=promotions.PercentageOff(5000),
            scope=promotions.Scope(offers=[UUID(offer)]),
            limits=promotions.Limits(uses=1, counts="pieces"),
            conditions=GBP,
        ),
        is_deal=True,
        starts_at=now,
        ends_at=now + dt.timedelta(hours=2),
    )
    page = await first.get("/deals")
    assert page.status_code == 200 and "1 piece at this price" in text_of(page.text)
    assert (await first.post(f"/deals/{deal}/buy", {})).status_code == 303
    placed = await first.post("/checkout", await checkout_form(first))
    assert placed.status_code == 303, text_of(placed.text)
    await second.get("/deals")
    assert "All are taken." in text_of((await second.get("/deals")).text)
    assert (await second.post(f"/deals/{deal}/wait", {})).status_code == 303
    assert "You wait; 0 before you." in text_of((await second.get("/deals")).text)
    assert "How reductions go together" in (await second.get("/help/promotions")).text
    async with shop.db.transaction() as tx:
        await promotions.stop(tx, deal)


async def test_the_navigation_offers_only_what_there_is(shop: Storefront) -> None:
    """A deal in pounds is nothing for whoever pays in dollars."""
    clock = shop.db.clock
    assert isinstance(clock, SetClock)
    here, there = shop.browser(), shop.browser()
    offer = await put_something(shop, here, nth=3)
    await there.get("/cart")
    await there.post("/market", {"market": "US", "next": "/cart"})
    assert "/deals" not in (await here.get("/cart")).text
    now = shop.db.clock.now()
    terms = promotions.Terms(
        kind=promotions.PercentageOff(5000),
        scope=promotions.Scope(offers=[UUID(offer)]),
        limits=promotions.Limits(uses=1, counts="pieces"),
        conditions=GBP,
    )
    ends_at = now + dt.timedelta(hours=2)
    deal = await promote(shop, terms, is_deal=True, starts_at=now, ends_at=ends_at)
    clock.travel(seconds=10)
    assert "/en/deals" in (await here.get("/cart")).text
    assert "/deals" not in (await there.get("/cart")).text
    async with shop.db.transaction() as tx:
        await promotions.stop(tx, deal)
    clock.travel(seconds=10)
    assert "/deals" not in (await here.get("/cart")).text


async def test_the_price_box_says_what_the_cart_will_say(shop: Storefront) -> None:
    browser = shop.browser()
    offer = await put_something(shop, browser, nth=4)
    bare = await browser.get(f"/deals/of/{offer}")
    assert "No reduction for this" in bare.text
    terms = promotions.Terms(
        kind=promotions.AmountOff(50),
        scope=promotions.Scope(offers=[UUID(offer)]),
        conditions=GBP,
    )
    spring = await promote(shop, terms)
    assert "Spring: −£0.50" in text_of((await browser.get(f"/deals/of/{offer}")).text)
    assert "−£0.50" in text_of((await browser.get("/cart")).text)
    async with shop.db.transaction() as tx:
        await promotions.stop(tx, spring)
