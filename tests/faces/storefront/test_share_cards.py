"""Cards to send: drawn whole, escaped, in both languages, with nobody's name on them."""

from __future__ import annotations

import html
import io
import re
import xml.etree.ElementTree as ET
from uuid import UUID

import pytest
from PIL import Image

from faces.storefront.test_buying import put_something
from pinwheel.faces.storefront import card_drawing
from pinwheel.faces.storefront.card_drawing import Card
from pinwheel.growth import social
from storefront_world import Storefront

NS = "{http://www.w3.org/2000/svg}"


def drawn(title: str, **more: object) -> ET.Element:
    card = Card(shop="Pinwheel", language="en", title=title, **more)  # type: ignore[arg-type]
    return ET.fromstring(card_drawing.svg(card))


def lines_of(card: ET.Element) -> list[str]:
    return [t.text or "" for t in card.iter(f"{NS}text") if t.get("font-size") == "29"]


@pytest.mark.parametrize(
    "title",
    ["a" * 300, "long words " * 30, "书" * 300, "כותרת ארוכה " * 25, "x", "", "👪" * 150],
)
def test_a_title_of_any_length_stays_on_the_card(title: str) -> None:
    lines = lines_of(drawn(title, price="£1.00", link="https://shop.example/s/abc?c=qr"))
    assert 1 <= len(lines) <= card_drawing.LINES
    for line in lines:
        assert sum(map(card_drawing._ems, line)) <= card_drawing.LINE_EMS
    if len(title) > 100:
        assert lines[-1].endswith("…")
    png = card_drawing.png(Card(shop="Pinwheel", language="en", title=title, price="¥9.90"))
    assert Image.open(io.BytesIO(png)).size == (1200, 630)


def test_words_cannot_become_drawing() -> None:
    card = drawn('<script>alert("1")</script>\x00\u202e&', price="<b>", note="</svg>", scan="&")
    assert not list(card.iter(f"{NS}script")) and not list(card.iter("script"))
    assert "<script>alert(" in lines_of(card)[0]
    assert "\u202e" not in card_drawing.svg(
        Card(shop="P", language="en", title="a\u202eb", price="\u202e1")
    )


def test_right_to_left_begins_at_the_right() -> None:
    card = drawn("ספר על תה")
    [line] = [t for t in card.iter(f"{NS}text") if t.get("font-size") == "29"]
    assert (line.get("direction"), line.get("x")) == ("rtl", "560")
    [other] = [t for t in drawn("Tea").iter(f"{NS}text") if t.get("font-size") == "29"]
    assert (other.get("direction"), other.get("x")) == (None, "40")


async def _link(shop: Storefront, target: str, key: str) -> social.ShareLink:
    async with shop.db.transaction(actor="test") as tx:
        return await social.link_of(tx, UUID(int=991), target, key)  # type: ignore[arg-type]


@pytest.mark.parametrize("language", ["en", "zh-CN"])
async def test_a_links_card_is_public_whole_and_kept_a_minute(
    shop: Storefront, language: str
) -> None:
    slug = (await shop.slugs())[0]
    one = await _link(shop, "product", slug)
    http = shop.browser(language).http
    answer = await http.get(f"/s/{one.token}/card.svg?language={language}")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("image/svg+xml")
    assert answer.headers["cache-control"] == "public, max-age=60"
    assert "set-cookie" not in answer.headers
    card = ET.fromstring(answer.text)
    assert "Pinwheel" in answer.text and lines_of(card)
    [cover] = list(card.iter(f"{NS}image"))
    assert (cover.get("href") or "").startswith("data:image/svg+xml;base64,")
    assert not re.search(r'href="(?!data:)', answer.text)
    tag = {"if-none-match": answer.headers["etag"]}
    again = await http.get(f"/s/{one.token}/card.svg?language={language}", headers=tag)
    assert again.status_code == 304
    kept = await http.get(f"/s/{one.token}/card.svg?download=1")
    assert "attachment" in kept.headers["content-disposition"]
    assert (await http.get(f"/s/{one.token}/card.svg?language=xx")).status_code == 404
    assert (await http.get("/s/nobody-has-this/card.svg")).status_code == 404


async def test_the_page_a_link_lands_on_says_what_it_is(shop: Storefront) -> None:
    slug = (await shop.slugs())[0]
    browser = shop.browser()
    page = (await browser.get(f"/p/{slug}")).text
    found = dict(
        re.findall(r'<meta (?:property|name)="((?:og|twitter):[a-z:]+)" content="([^"]*)', page)
    )
    assert found["og:title"] and found["og:description"] and found["og:url"].startswith("http")
    assert found["twitter:image"] == found["og:image"]
    path = html.unescape(found["og:image"]).split("/", 3)[3]
    answer = await browser.http.get(f"/{path}")
    assert answer.status_code == 200 and answer.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(answer.content)).size == (1200, 630)
    assert (await browser.http.get("/cards/product/none/picture.png")).status_code == 404
    assert (await browser.http.get("/cards/sofa/x/picture.png")).status_code == 404


async def test_whoever_shares_gets_link_card_and_download(shop: Storefront) -> None:
    slug = (await shop.slugs())[0]
    browser = shop.browser()
    await put_something(shop, browser)
    answer = await browser.post("/share", {"target": "product", "key": slug})
    assert answer.status_code == 303
    page = (await browser.get(answer.headers["location"].removeprefix("/en"))).text
    assert "/card.svg?language=en" in page and "Download the card" in page
