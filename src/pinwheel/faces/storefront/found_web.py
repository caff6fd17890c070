"""How the shop is found from outside: robots, sitemaps, and the feeds for merchants' programs and
agents. A feed's line and the page's structured data come from one function."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID
from xml.sax.saxutils import escape

import msgspec

from pinwheel.faces.storefront import offering, price_tags, queries
from pinwheel.faces.storefront.frame import frame_of, home_market
from pinwheel.faces.storefront.goods_web import origin_of
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import NotFound
from pinwheel.kernel.web import Call, File, get
from pinwheel.kernel.words import LANGUAGES
from pinwheel.trade import pricing

A_PART = 5_000
MOST_PARTS = 10_000
AT_ONCE = 250
HEADERS = {"cache-control": "public, max-age=900"}
XML = "application/xml; charset=utf-8"
SITEMAP = "http://www.sitemaps.org/schemas/sitemap/0.9"
PRIVATE = ("account", "cart", "checkout", "search", "sign-in", "register", "console", "sandbox")


@get("/robots.txt")
async def robots(call: Call) -> File:
    """What a search engine may read."""
    lines = ["User-agent: *"]
    lines += [f"Disallow: /{language}/{part}" for language in LANGUAGES for part in PRIVATE]
    lines += ["Disallow: /api/", f"Sitemap: {origin_of(call)}/sitemap.xml", ""]
    return File("\n".join(lines).encode(), "text/plain; charset=utf-8", headers=HEADERS)


@get("/sitemap.xml")
async def sitemap(call: Call, db: Database) -> File:
    """The list of the parts: departments, then products."""
    origin = origin_of(call)
    async with db.reading() as tx:
        parts = -(-await queries.listed_count(tx) // A_PART) or 1
    names = ["departments", *(f"products-{n}" for n in range(1, parts + 1))]
    rows = "".join(f"<sitemap><loc>{origin}/sitemaps/{n}.xml</loc></sitemap>" for n in names)
    text = f'<?xml version="1.0" encoding="UTF-8"?><sitemapindex xmlns="{SITEMAP}">{rows}'
    return File(f"{text}</sitemapindex>".encode(), XML, headers=HEADERS)


@get("/sitemaps/{name:str}")
async def sitemap_part(call: Call, db: Database, name: str) -> File:
    """Departments, or some thousand products, streamed: the whole is never in memory."""
    origin = origin_of(call)
    if name == "departments.xml":
        frame = await frame_of(db)
        paths = ["/", "/new", *(f"/c/{c.slug}" for c in frame.categories.values())]
        rows = "".join(_url(origin, path, None) for path in paths)
        return File(f"{_head()}{rows}</urlset>".encode(), XML, headers=HEADERS)
    part = name.removeprefix("products-").removesuffix(".xml")
    if not part.isdigit() or not 0 < int(part) <= MOST_PARTS:
        raise NotFound(what="sitemap")
    return File(_product_urls(db, origin, int(part)), XML, headers=HEADERS)


async def _product_urls(db: Database, origin: str, part: int) -> AsyncIterator[bytes]:
    yield _head().encode()
    seen = 0
    async for some in _products(db):
        fitting = [p for n, p in enumerate(some, seen) if (part - 1) * A_PART <= n < part * A_PART]
        seen += len(some)
        yield "".join(_url(origin, f"/p/{p.slug}", p.changed_at) for p in fitting).encode()
        if seen >= part * A_PART:
            break
    yield b"</urlset>"


async def _products(db: Database) -> AsyncIterator[list[queries.Listed]]:
    last: UUID | None = None
    while True:
        async with db.reading() as tx:
            some = await queries.listed(tx, last, AT_ONCE)
        if not some:
            return
        yield some
        last = some[-1].product_id


def _head() -> str:
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><urlset xmlns="{SITEMAP}" '
        'xmlns:xhtml="http://www.w3.org/1999/xhtml">'
    )


def _url(origin: str, path: str, changed_at: str | None) -> str:
    """An address in every language, each naming the others."""
    links = "".join(
        f'<xhtml:link rel="alternate" hreflang="{lang}" href="{escape(f"{origin}/{lang}{path}")}"/>'
        for lang in LANGUAGES
    )
    changed = f"<lastmod>{changed_at}</lastmod>" if changed_at else ""
    return "".join(
        f"<url><loc>{escape(f'{origin}/{lang}{path}')}</loc>{changed}{links}</url>"
        for lang in LANGUAGES
    )


@get("/feeds/products.json")
async def feed(call: Call, db: Database, language: str = "en", market: str = "") -> File:
    """Every variant that is sold, as one JSON line each: for merchants' programs and for agents.
    Without ``market`` it says what the page in ``language`` says."""
    if language not in LANGUAGES:
        raise NotFound(what="feed")
    frame = await frame_of(db)
    here = frame.markets.get(market) or home_market(frame, language)
    rows = feed_rows(db, here, language, origin_of(call))
    return File(_lines(rows), "application/jsonl; charset=utf-8", headers=HEADERS)


@get("/feeds/products.xml")
async def merchant_feed(call: Call, db: Database, language: str = "en", market: str = "") -> File:
    """The same rows in the form that shopping engines read (RSS 2.0 with g: names)."""
    if language not in LANGUAGES:
        raise NotFound(what="feed")
    frame = await frame_of(db)
    here = frame.markets.get(market) or home_market(frame, language)
    rows = feed_rows(db, here, language, origin_of(call))
    return File(_items(rows, origin_of(call)), XML, headers=HEADERS)


async def feed_rows(
    db: Database, market: pricing.Market, language: str, origin: str
) -> AsyncIterator[list[dict[str, Any]]]:
    """The rows of the feeds, some products at a time. 4 statements each time."""
    async for some in _products(db):
        async with db.reading() as tx:
            variants = await queries.variants_of(tx, [p.product_id for p in some])
            offered = await offering.offered(
                tx,
                [v.variant_id for v in variants],
                market.currency,
                price_tags.stranger(market),
                language,
            )
        counted: dict[UUID, int] = {}
        for v in variants:
            counted[v.product_id] = counted.get(v.product_id, 0) + 1
        yield [
            offering.row(
                slug=v.slug,
                title=v.title,
                description=v.description,
                brand=v.brand,
                media=v.media,
                sku=v.sku,
                gtin=v.gtin,
                options=v.options,
                offer=offered[v.variant_id],
                language=language,
                origin=origin,
                single=counted[v.product_id] == 1,
            )
            for v in variants
            if v.variant_id in offered
        ]


async def _lines(rows: AsyncIterator[list[dict[str, Any]]]) -> AsyncIterator[bytes]:
    encoder = msgspec.json.Encoder()
    async for some in rows:
        yield encoder.encode_lines(some)


async def _items(rows: AsyncIterator[list[dict[str, Any]]], origin: str) -> AsyncIterator[bytes]:
    yield (
        '<?xml version="1.0" encoding="UTF-8"?><rss version="2.0" '
        'xmlns:g="http://base.google.com/ns/1.0"><channel><title>Pinwheel</title>'
        f"<link>{escape(origin)}/</link><description>Pinwheel</description>"
    ).encode()
    async for some in rows:
        yield "".join(_item(row) for row in some).encode()
    yield b"</channel></rss>"


def _item(row: dict[str, Any]) -> str:
    values = {
        "g:id": row["sku"],
        "title": row["title"],
        "description": row["description"],
        "link": row["link"],
        "g:image_link": row["image"],
        "g:price": f"{row['price']} {row['currency']}",
        "g:availability": "in_stock" if row["available"] else "out_of_stock",
        "g:condition": row["condition"],
        "g:brand": row["brand"],
        "g:gtin": row["gtin"],
    }
    inside = "".join(f"<{k}>{escape(str(v))}</{k}>" for k, v in values.items() if v)
    return f"<item>{inside}</item>"
