"""What the pages say a piece costs: to whom it is for, and to nobody else."""

from __future__ import annotations

import re
from uuid import UUID

from faces.storefront.test_buying import put_something
from pinwheel.growth import social
from pinwheel.trade import pricing
from storefront_world import Storefront, graph_of, text_of


async def publish(shop: Storefront, **terms: object) -> UUID:
    async with shop.db.transaction(actor="operator:a") as tx:
        saved = await pricing.save_rule(
            tx,
            pricing.Terms(currency="GBP", **terms),  # type: ignore[arg-type]
            name="A rule",
            reason="to see it",
        )
        await pricing.publish_rule(tx, saved.id, "agreed")
    return saved.id


async def stop(shop: Storefront, rule_id: UUID) -> None:
    async with shop.db.transaction(actor="operator:a") as tx:
        await pricing.stop_rule(tx, rule_id, "seen")


async def test_every_page_shows_the_price_of_the_quote(shop: Storefront) -> None:
    """Half of everything: the product's page, its structured data, a list, the cart, the feed."""
    slug = (await shop.slugs())[0]
    browser = shop.browser()
    plain = float(graph_of((await browser.get(f"/p/{slug}")).text)[0]["offers"]["price"])
    rule = await publish(shop, kind="percent_off", value=5000)
    try:
        answer = await browser.get(f"/p/{slug}")
        now = float(graph_of(answer.text)[0]["offers"]["price"])
        assert abs(now - plain / 2) < 0.011
        shown = re.search(r'<span class="price" data-lower>(.*?)</span>\s', answer.text, re.S)
        assert shown and f"£{now:.2f}" in shown[1] and f"£{plain:.2f}" in shown[1]
        assert "Special price" in text_of(answer.text)
        assert "private" in answer.headers["cache-control"]
        for path in ("/", "/new", "/search?q="):
            page = (await browser.get(path)).text
            prices = re.findall(r'<div class="card-foot"><span class="price"( data-lower)?', page)
            assert prices and all(prices), path
            assert page.count("Special price") >= len(prices)
        await put_something(shop, browser)
        cart = text_of((await browser.get("/cart")).text)
        assert "Before reductions" in cart
        feed = (await browser.http.get("/feeds/products.json?language=en")).text
        assert f'"price":"{now:.2f}"' in feed
    finally:
        await stop(shop, rule)
    again = graph_of((await browser.get(f"/p/{slug}")).text)[0]
    assert float(again["offers"]["price"]) == plain


async def test_a_price_for_some_is_not_shown_to_others(shop: Storefront) -> None:
    slug = (await shop.slugs())[0]
    plain = graph_of((await shop.browser().get(f"/p/{slug}")).text)[0]["offers"]["price"]
    rule = await publish(shop, kind="percent_off", value=5000, segments=["friends"])
    many = await publish(shop, kind="percent_off", value=1000, min_quantity=2)
    try:
        page = (await shop.browser().get(f"/p/{slug}")).text
        assert graph_of(page)[0]["offers"]["price"] == plain
        assert "Special price" not in page and "Price for you" not in page
        assert "from 2: £" in text_of(page)
        chinese = text_of((await shop.browser("zh-CN").get(f"/p/{slug}")).text)
        assert "Special" not in chinese and "from 2" not in chinese
    finally:
        await stop(shop, rule)
        await stop(shop, many)


async def test_a_list_sorted_by_price_stands_in_the_order_of_what_is_shown(
    shop: Storefront,
) -> None:
    """The dearest piece of a page costs next to nothing for now: it comes first, then last."""
    browser = shop.browser()

    async def prices(sort: str) -> list[float]:
        page = (await browser.get(f"/search?q=&sort={sort}")).text
        feet = re.findall(r'<div class="card-foot">.*?<b>£([\d.]+)</b>', page, re.S)
        return [float(f) for f in feet]

    before = await prices("price_asc")
    assert len(before) > 5
    async with shop.db.reading() as tx:
        dear = await tx.value(
            "select o.offer_id from marketplace.v_offer o"
            " join pricing.v_price p on p.offer_id = o.offer_id and p.currency = 'GBP'"
            " where o.active and p.price_minor = $1 limit 1",
            round(before[-1] * 100),
        )
    rule = await publish(shop, kind="fixed", value=1, offers=[dear])
    try:
        up, down = await prices("price_asc"), await prices("price_desc")
        assert up == sorted(up) and down == sorted(down, reverse=True)
        assert 0.01 in up + down
    finally:
        await stop(shop, rule)


async def test_deals_and_teams_compare_with_what_this_visitor_would_pay(shop: Storefront) -> None:
    browser = shop.browser()
    offer = UUID(await put_something(shop, browser))
    async with shop.db.transaction(actor="test") as tx:
        plain = (await pricing.prices(tx, [offer], "GBP"))[offer].price_minor
        slug = await tx.value(
            "select v.slug from marketplace.v_offer o"
            " join catalogue.v_variant v on v.variant_id = o.variant_id where o.offer_id = $1",
            offer,
        )
        seat = social.TeamOffer(offer_id=offer, price_minor=plain // 5)
        await social.open_team_campaign(
            tx,
            social.TeamTerms(
                name={"en": "Two", "zh-CN": "双人团"},
                market="GB",
                currency="GBP",
                seats=2,
                offers=[seat],
            ),
        )
    shop.db.clock.travel(seconds=11)  # type: ignore[attr-defined]
    rule = await publish(shop, kind="percent_off", value=5000, offers=[offer])
    try:
        half = f"Alone: £{(plain - plain // 2) / 100:.2f}"
        listed = text_of((await browser.get(f"/p/{slug}/teams")).text)
        assert f"Alone: £{plain / 100:.2f}" not in listed
        assert half in listed or f"Alone: £{plain // 2 / 100:.2f}" in listed
    finally:
        await stop(shop, rule)
