"""Looking around: pages, prices, structured data, feeds, addresses."""

from __future__ import annotations

import json
import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest

from pinwheel.trade import catalogue
from storefront_world import Storefront, graph_of, text_of

REQUIRED = {
    "Product": {"name", "image", "description", "sku", "offers"},
    "Offer": {"price", "priceCurrency", "availability", "url", "itemCondition"},
    "BreadcrumbList": {"itemListElement"},
    "ListItem": {"position", "name", "item"},
    "Organization": {"name"},
    "WebSite": {"name", "url"},
    "AggregateRating": {"ratingValue", "reviewCount"},
    "Brand": {"name"},
    "SearchAction": {"target"},
}
"""What search engines ask of each type that we use."""


def faults_of(thing: Any, path: str = "") -> list[str]:
    """What is missing in structured data, or empty, or of a type that nobody has checked."""
    if isinstance(thing, list):
        return [f for n, one in enumerate(thing) for f in faults_of(one, f"{path}[{n}]")]
    if not isinstance(thing, dict):
        return []
    kind = thing.get("@type", "")
    found = [f"{path}: unknown type {kind!r}"] if kind not in REQUIRED else []
    found += [f"{path}.{n} is missing" for n in REQUIRED.get(kind, set()) if not thing.get(n)]
    for name, value in thing.items():
        if name in ("url", "item", "@id") and not str(value).startswith("http"):
            found.append(f"{path}.{name} is not an address: {value!r}")
        found += faults_of(value, f"{path}.{name}")
    return found


def test_the_checker_finds_faults() -> None:
    assert faults_of({"@type": "Product", "name": "x"})
    assert faults_of({"@type": "Nonsense"})


@pytest.mark.parametrize("language", ["en", "zh-CN"])
@pytest.mark.parametrize("path", ["/", "/c/books", "/new", "/search?q=the", "/cart", "/sign-in"])
async def test_pages_answer_in_both_languages(shop: Storefront, language: str, path: str) -> None:
    answer = await shop.browser(language).get(path)
    assert answer.status_code == 200
    assert f'<html lang="{language}">' in answer.text
    assert (
        "<script>" not in answer.text
        and "style=" not in answer.text
        and "onclick" not in answer.text
    )


async def test_every_product_has_sound_structured_data_equal_to_what_is_seen(
    shop: Storefront,
) -> None:
    for language in ("en", "zh-CN"):
        browser = shop.browser(language)
        for slug in (await shop.slugs())[:12]:
            page = (await browser.get(f"/p/{slug}")).text
            things = graph_of(page)
            assert faults_of(things) == []
            product = next(t for t in things if t["@type"] == "Product")
            offer = product["offers"]
            shown = re.search(r'<span class="price".*?<b>(.*?)</b>', page, re.S)
            assert shown and offer["price"] in shown[1].replace(",", "")
            assert offer["availability"].endswith("InStock") == (
                "Add to cart" in page or "加入购物车" in page
            )


async def test_the_other_pages_structured_data_are_sound(shop: Storefront) -> None:
    for path in ("/", "/c/books"):
        assert faults_of(graph_of((await shop.browser().get(path)).text)) == []


async def test_a_product_page_costs_five_statements_and_two_more_with_rules(
    shop: Storefront,
) -> None:
    """The demonstration shop has a price rule that asks who the visitor is."""
    browser = shop.browser()
    (slug, *_) = await shop.slugs()
    await browser.get(f"/p/{slug}")
    counts: list[int] = []
    answers, respond = shop.edge.answers, shop.edge.answers.respond

    async def counting(call: Any, route: Any, result: Any) -> Any:
        counts.append(call.exchange.statements)
        return await respond(call, route, result)

    answers.respond = counting  # type: ignore[method-assign]
    try:
        await browser.get(f"/p/{slug}")
    finally:
        answers.respond = respond  # type: ignore[method-assign]
    assert counts in ([5], [7])


@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_the_feed_says_what_the_page_says(shop: Storefront, language: str) -> None:
    browser = shop.browser(language)
    feed = await browser.http.get(f"/feeds/products.json?language={language}")
    rows = [json.loads(line) for line in feed.text.splitlines() if line]
    xml = ET.fromstring((await browser.http.get(f"/feeds/products.xml?language={language}")).text)
    names = {"g": "http://base.google.com/ns/1.0"}
    prices = {
        i.findtext("g:id", "", names): i.findtext("g:price", "", names) for i in xml.iter("item")
    }
    assert len(rows) == len(prices) > 60
    different = []
    for row in rows:
        path = row["link"].split(f"/{language}", 1)[1]
        product = graph_of((await browser.get(path)).text)[0]
        offer = product["offers"]
        said = (product["sku"], offer["price"], offer["priceCurrency"], offer["availability"][19:])
        stock = "InStock" if row["available"] else "OutOfStock"
        if said != (row["sku"], row["price"], row["currency"], stock):
            different.append((row["sku"], said))
        if prices[row["sku"]] != f"{row['price']} {row['currency']}":
            different.append((row["sku"], prices[row["sku"]]))
    assert different == []


async def test_a_renamed_product_is_found_at_its_new_address(shop: Storefront) -> None:
    (*_, slug) = await shop.slugs()
    async with shop.db.transaction() as tx:
        page = await catalogue.product_page(tx, slug)
        product, variants = await catalogue.product(tx, page.id)
        draft = catalogue.ProductDraft(
            id=product.id,
            slug=f"{slug}-renamed",
            title=product.title,
            category_id=product.category_id,
            description=product.description,
            attributes=product.attributes,
            brand=product.brand,
            media=product.media,
            variants=[
                catalogue.VariantDraft(
                    sku=v.sku, id=v.id, gtin=v.gtin or "", options=v.options, tax_class=v.tax_class
                )
                for v in variants
            ],
        )
        [saved] = await catalogue.save_products(tx, [draft])
        assert isinstance(saved, catalogue.Saved), saved
    answer = await shop.browser().get(f"/p/{slug}")
    assert (answer.status_code, answer.headers["location"]) == (301, f"/en/p/{slug}-renamed")


async def test_what_search_engines_may_keep(shop: Storefront) -> None:
    browser = shop.browser()

    async def head(path: str) -> tuple[str, str, bool]:
        page = (await browser.get(path)).text
        canonical = re.search(r'<link rel="canonical" href="([^"]+)"', page)
        assert canonical
        hreflangs = set(re.findall(r'hreflang="([^"]+)" href="http', page))
        assert {"en", "zh-CN", "x-default"} <= hreflangs
        return page, canonical[1], 'name="robots" content="noindex' in page

    _, canonical, hidden = await head("/c/books")
    assert (canonical, hidden) == ("http://shop.test/en/c/books", False)
    for path in ("/c/books?binding=hardcover", "/c/books?sort=newest", "/search?q=x", "/cart"):
        _, canonical, hidden = await head(path)
        assert hidden, path
    _, canonical, _ = await head("/c/books?binding=hardcover&price_min=3")
    assert canonical == "http://shop.test/en/c/books"


async def test_robots_and_sitemaps_lead_to_pages_that_answer(shop: Storefront) -> None:
    browser = shop.browser()
    robots = await browser.http.get("/robots.txt")
    assert "Sitemap: http://shop.test/sitemap.xml" in robots.text
    index = ET.fromstring((await browser.http.get("/sitemap.xml")).text)
    parts = [e.text or "" for e in index.iter() if e.tag.endswith("loc")]
    seen = 0
    for part in parts:
        tree = ET.fromstring((await browser.http.get(part)).text)
        for loc in [e.text or "" for e in tree.iter() if e.tag.endswith("}loc")][:6]:
            answer = await browser.http.get(loc)
            assert answer.status_code == 200, loc
            assert answer.text.count(f'href="{loc}"') >= 1  # it names itself
            seen += 1
    assert seen >= 12


async def test_the_search_helps_who_finds_nothing(shop: Storefront) -> None:
    page = (await shop.browser().get("/search?q=zzzqqqxxx")).text
    assert "Nothing matches" in page


async def test_filters_narrow_and_htmx_gets_the_list_alone(shop: Storefront) -> None:
    browser = shop.browser()
    whole = (await browser.get("/c/books")).text
    narrow = (await browser.get("/c/books?binding=hardcover")).text
    assert narrow.count('class="card-link"') <= whole.count('class="card-link"')
    part = (await browser.get("/c/books?binding=hardcover", headers={"hx-request": "true"})).text
    assert "<html" not in part and 'id="results"' in part


@pytest.mark.parametrize(
    "path",
    [
        "/search?q=%00%ff", "/c/books?page=-4", "/c/books?price_min=1e9", "/c/books?sort=;drop",
        "/c/books?price_min=--5&price_max=..", "/search?q=" + "a" * 5000, "/c/books?page=99999",
        "/c/books?category=not-a-uuid", "/p/a-thing?variant=<script>",
    ],
)  # fmt: skip
async def test_mistyped_addresses_do_no_harm(shop: Storefront, path: str) -> None:
    answer = await shop.browser().get(path)
    assert answer.status_code in (200, 400, 404), answer.text[:500]


async def test_what_is_unknown_is_not_found(shop: Storefront) -> None:
    for path in ("/p/no-such-thing", "/c/no-such-department", "/account/orders/NONE"):
        assert (await shop.browser().get(path)).status_code in (401, 404)


async def test_a_drawn_picture_is_kept_for_good_and_may_do_nothing(shop: Storefront) -> None:
    browser = shop.browser()
    found = re.search(r'src="(/media/demonstration/[^"]+)"', (await browser.get("/c/books")).text)
    assert found
    picture = await browser.http.get(found[1])
    assert picture.headers["content-type"] == "image/svg+xml"
    assert "immutable" in picture.headers["cache-control"]
    assert "sandbox" in ",".join(picture.headers.get_list("content-security-policy"))
    wrong = found[1].replace(".svg", "0.svg")
    assert (await browser.http.get(wrong)).status_code == 404


async def test_another_market_shows_its_own_money(shop: Storefront) -> None:
    browser = shop.browser()
    (slug, *_) = await shop.slugs()
    assert "£" in text_of((await browser.get(f"/p/{slug}")).text)
    answer = await browser.post("/market", {"market": "US", "next": f"/p/{slug}"})
    assert answer.headers["location"] == f"/en/p/{slug}"
    page = (await browser.get(f"/p/{slug}")).text
    assert "$" in text_of(page) and "Tax is added" in page
