"""What is for sale, asked by programs: the same goods, prices and stock as on the pages, and what
is found can be quoted and ordered without a page."""

from __future__ import annotations

from typing import Any

import httpx2

from pinwheel.trade import catalogue
from storefront_world import Storefront
from web_world import client


def program(shop: Storefront, language: str = "en") -> httpx2.AsyncClient:
    return client(shop.edge, shop.db, accept="application/json", **{"accept-language": language})


async def asked(http: httpx2.AsyncClient, path: str, **query: Any) -> Any:
    answer = await http.get(f"/api/v1{path}", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_what_is_found_is_ordered_in_three_calls(shop: Storefront) -> None:
    http = program(shop)
    [market] = [m for m in await asked(http, "/markets") if m["code"] == "GB"]
    found = await asked(http, "/products", market="GB", limit=5)
    line = next(p for p in found["products"] if p["offer_id"] and p["available"])
    seen = await asked(http, f"/products/{line['id']}", market="GB")
    [offer] = [o for v in seen["variants"] for o in v["offers"] if o["is_best"]]
    assert offer["offer_id"] == line["offer_id"] and offer["price"] == line["price"]
    items = [{"offer_id": offer["offer_id"], "quantity": 1}]
    wish = {"items": items, "market": "GB", "country": market["countries"][0]}
    quote = await http.post("/api/v1/quotes", json=wish)
    assert quote.status_code == 200, quote.text
    goods = quote.json()["goods_minor"]
    assert goods == offer["price"]["price_minor"]
    assert {d["code"] for d in market["deliveries"]} >= {quote.json()["delivery"]}


async def test_prices_and_stock_are_those_of_the_page(shop: Storefront) -> None:
    http, browser = program(shop), shop.browser()
    for line in (await asked(http, "/products", limit=6))["products"]:
        page = (
            await browser.get(f"/p/{line['slug']}", headers={"accept": "application/json"})
        ).json()
        best = page["offer"]
        seen = await asked(http, f"/products/{line['id']}")
        mine = next(
            o
            for v in seen["variants"]
            if v["sku"] == best["sku"]
            for o in v["offers"]
            if o["is_best"]
        )
        assert (mine["price"]["price_minor"], mine["price"]["currency"], mine["available"] > 0) == (
            best["price_minor"],
            best["currency"],
            best["available"],
        )
        assert seen["image_urls"] and all(u.startswith("http") for u in seen["image_urls"])


async def test_a_list_is_turned_to_its_end_and_nothing_comes_twice(shop: Storefront) -> None:
    http, ids, cursor = program(shop), [], None
    while True:
        how = {"after": cursor} if cursor else {}
        page = await asked(http, "/products", sort="newest", limit=7, **how)
        ids += [p["id"] for p in page["products"]]
        cursor = page["next"]
        if cursor is None:
            break
    assert len(ids) == len(set(ids)) == page["total"] > 14


async def test_facets_narrow_by_what_the_answer_named(shop: Storefront) -> None:
    http = program(shop)
    whole = await asked(http, "/products", category="books")
    facet = next(f for f in whole["facets"] if f["code"] == "brand")
    value = facet["values"][-1]
    part = await asked(http, "/products", category="books", facet=f"brand:{value['value']}")
    assert part["total"] == value["count"] < whole["total"]
    assert {p["brand"] for p in part["products"]} == {value["value"]}
    dearest = max(p["price"]["price_minor"] for p in whole["products"])
    few = await asked(http, "/products", category="books", price_min_minor=dearest)
    assert 0 < few["total"] < whole["total"]


async def test_bad_questions_get_a_sentence(shop: Storefront) -> None:
    http = program(shop)
    for query, what in [
        ({"market": "XX"}, "XX"),
        ({"facet": "colour"}, "code:value"),
        ({"category": "nonsense"}, "GET /api/v1/categories"),
        ({"after": "%%%"}, "after"),
        ({"limit": "0"}, "limit"),
        ({"sort": "sideways"}, "sort"),
    ]:
        answer = await http.get("/api/v1/products", params=query)
        assert 400 <= answer.status_code < 500 and what in answer.text, answer.text


async def test_what_is_not_published_is_not_there(shop: Storefront) -> None:
    async with shop.db.reading() as tx:
        drafts = (await catalogue.products(tx, status="draft")).items
        published = (await catalogue.products(tx, status="published", limit=1)).items
    http = program(shop)
    for draft in drafts[:3]:
        assert (await http.get(f"/api/v1/products/{draft.id}")).status_code == 404
    assert (await http.get(f"/api/v1/products/{published[0].id}")).status_code == 200
    assert (
        await http.get(f"/api/v1/products/{shop.db.random.randbytes(16).hex()}")
    ).status_code == 404


async def test_suggestions_and_categories(shop: Storefront) -> None:
    http = program(shop)
    tops = [c for c in await asked(http, "/categories") if c["parent_id"] is None]
    assert tops and all(c["name"]["en"] for c in tops)
    line = (await asked(http, "/products", limit=1))["products"][0]
    words = line["title"]["en"].split()[0]
    assert (await asked(http, "/suggestions", q=words[:4]))["suggestions"]
