"""Looking around: the first page, departments, search, and what is offered while one types."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from pinwheel.discovery import search
from pinwheel.faces.storefront import structured, team_queries
from pinwheel.faces.storefront.deal_goods import products_in_deals
from pinwheel.faces.storefront.frame import MARKET_COOKIE, Frame, frame_of, market_of
from pinwheel.faces.storefront.listing import PAGE, Asked, ask, cards, shown
from pinwheel.faces.storefront.showing import trail
from pinwheel.faces.storefront.team_view import bargains_for, thing_of
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import NotFound
from pinwheel.kernel.web import Answer, Call, Cookie, See, get, post
from pinwheel.kernel.words import said
from pinwheel.trade import pricing

SHELF = 12
YEAR_SECONDS = 365 * 86_400
RESULTS = "storefront/_results.html"
LIST = "storefront/list.html"


def origin_of(call: Call) -> str:
    """The shop's own address, for links that leave it."""
    return str(call.app.state["edge"].public_url)


def _shelf_ids(call: Call, market: pricing.Market, sort: str, **facets: list[str]) -> list[Any]:
    desk: search.SearchDesk = call.app.state["search"]
    found = desk.search(
        search.Query(
            language=call.language,
            region=market.code,
            facets=facets,
            sort=sort,  # type: ignore[arg-type]
            limit=SHELF,
            with_facets=False,
        )
    )
    return [hit.product_id for hit in found.hits]


@get("/")
async def home(call: Call, db: Database) -> Answer[dict[str, Any]]:
    """The shop's first page. 2 statements, those of the tags, and 1 where there are bargains; what
    is in deals is remembered for a moment."""
    frame = await frame_of(db)
    if not frame.markets or "search" not in call.app.state:
        raise NotFound(what="shop")
    market = market_of(call, frame)
    tops = frame.children(None)
    new = _shelf_ids(call, market, "newest")
    popular = _shelf_ids(call, market, "popular")
    by_top = {c.id: _shelf_ids(call, market, "popular", category=[str(c.id)]) for c in tops}
    deals = (await products_in_deals(db, market.currency))[:SHELF]
    every = [*deals, *new, *popular, *(i for ids in by_top.values() for i in ids)]
    async with db.reading() as tx:
        by_id = await cards(tx, call, every, market)
        bargains = await _bargains(call, tx, frame, market)
    say = call.say

    def some(ids: list[Any]) -> list[dict[str, Any]]:
        return [by_id[i] for i in ids if i in by_id]

    shelves = _shelves(call, some(list(dict.fromkeys(deals))), bargains, some(new))
    shelves += [
        {
            "id": f"c-{c.slug}",
            "title": said(c.name, call.language),
            "products": some(by_top[c.id]),
            "href": f"/c/{c.slug}",
        }
        for c in tops
    ]
    books = [p for p in some(popular) if p["shape"] == "book"]
    return Answer(
        {
            "hero": _hero(call, frame),
            "hero_books": (books or some(popular))[:5],
            "rooms": [
                {
                    "path": f"/c/{c.slug}",
                    "name": said(c.name, call.language),
                    **_picture(some(by_top[c.id])),
                }
                for c in tops
            ],
            "shelves": [s for s in shelves if s["products"]],
            "most_bought": some(popular)[:6],
            "title": "",
            "description": say("Books and the things around them, at honest prices."),
            "structured_data": _shop(call),
        },
        page="storefront/home.html",
    )


Cards = list[dict[str, Any]]


def _shelves(call: Call, deals: Cards, bargains: Cards, new: Cards) -> list[dict[str, Any]]:
    """Those above the departments', also the empty ones."""
    say = call.say
    return [
        {
            "id": "deals",
            "title": say("Deals"),
            "note": say("So many pieces at this price, until then. What is shown as sold is sold."),
            "products": deals,
            "href": "/deals",
        },
        {
            "id": "bargains",
            "title": say("Bargains"),
            "note": say("Friends help, and each help lowers your price."),
            "products": bargains,
            "href": "/bargains",
        },
        {"id": "new", "title": say("New in"), "products": new, "href": "/new"},
    ]


async def _bargains(
    call: Call, tx: Tx, frame: Frame, market: pricing.Market
) -> list[dict[str, Any]]:
    """What may be bargained for, at the price it may come down to. No statement where nothing is,
    else 1."""
    running = (await bargains_for(call.db, market.code))[:SHELF]
    if not running:
        return []
    seen = await team_queries.things(tx, [c.offer_id for c in running], market.currency)
    return [
        {
            **thing_of(call, frame, seen[c.offer_id]),
            "path": "/bargains",
            "image_alt": "",
            "kicker": call.say("down to"),
            "price_minor": c.floor_minor,
            "was_minor": c.list_minor,
            "was_note": call.say("List price"),
            "currency": c.currency,
            "badge": {"text": call.say("Bargain"), "tone": "deal"},
            "available": True,
        }
        for c in running
        if c.offer_id in seen
    ]


def _hero(call: Call, frame: Frame) -> dict[str, Any]:
    tops = frame.children(None)
    say = call.say
    return {
        "title": say("Books first. Then everything around them."),
        "text": say(
            "Titles by the thousand, and what goes with reading: tea, light, paper, quiet."
        ),
        "href": f"/c/{tops[0].slug}" if tops else "/search",
        "label": said(tops[0].name, call.language) if tops else say("Search"),
        "second": {"href": "/new", "label": say("New in")},
    }


def _shop(call: Call) -> str:
    """Who this is and how to search here, for machines."""
    origin = origin_of(call)
    site = {
        "@type": "WebSite",
        "url": f"{origin}/{call.language}/",
        "name": "Pinwheel",
        "potentialAction": {
            "@type": "SearchAction",
            "target": f"{origin}/{call.language}/search?q={{q}}",
            "query-input": "required name=q",
        },
    }
    return structured.in_script(structured.organization("Pinwheel", origin), site)


def _picture(products: list[dict[str, Any]]) -> dict[str, Any]:
    return {"image_url": products[0]["image_url"]} if products else {}


@get("/c/{slug:str}")
async def category(call: Call, db: Database, slug: str) -> Answer[dict[str, Any]]:
    """A department with what it sells. 2 statements."""
    frame = await frame_of(db)
    here = frame.with_slug(slug)
    if here is None:
        raise NotFound(what="department")
    path = f"/c/{slug}"
    more = await _list(call, db, frame, path, {"category": [str(here.id)]}, "popular")
    way = trail(frame, here.path, call.language)
    children = frame.children(here.id) or frame.children(here.parent_id)
    return Answer(
        {
            **more,
            "trail": way,
            "heading": said(here.name, call.language),
            "title": said(here.name, call.language),
            "inside": [
                {
                    "path": f"/c/{c.slug}",
                    "name": said(c.name, call.language),
                    "current": c.id == here.id,
                }
                for c in children
                if here.parent_id is not None or c.parent_id == here.id
            ],
            "structured_data": structured.in_script(
                structured.breadcrumbs(way, origin_of(call), call.language)
            ),
        },
        page=LIST,
        part=RESULTS,
    )


@get("/new")
async def newest(call: Call, db: Database) -> Answer[dict[str, Any]]:
    """What came last."""
    frame = await frame_of(db)
    more = await _list(call, db, frame, "/new", {}, "newest")
    title = call.say("New in")
    way = [{"label": call.say("Home"), "path": "/"}, {"label": title, "path": "/new"}]
    return Answer({**more, "trail": way, "heading": title, "title": title}, page=LIST, part=RESULTS)


@get("/search")
async def results(call: Call, db: Database) -> Answer[dict[str, Any]]:
    """What matches the words, with help when nothing does. 2 statements."""
    frame = await frame_of(db)
    text = call.query_params.get("q", "").strip()[:200]
    more = await _list(call, db, frame, "/search", {}, "relevance" if text else "popular")
    title = (
        call.say("Results for “%(words)s”") % {"words": text} if text else call.say("Everything")
    )
    way = [
        {"label": call.say("Home"), "path": "/"},
        {"label": call.say("Search"), "path": "/search"},
    ]
    return Answer(
        {**more, "trail": way, "heading": title, "title": title, "robots": "noindex, follow"},
        page=LIST,
        part=RESULTS,
    )


async def _list(
    call: Call,
    db: Database,
    frame: Frame,
    path: str,
    fixed: dict[str, list[str]],
    default_sort: str,
) -> dict[str, Any]:
    market = market_of(call, frame)
    asked = Asked(call, frame, default_sort)
    found = ask(call, asked, market, fixed)
    async with db.reading() as tx:
        by_id = await cards(tx, call, [h.product_id for h in found.hits], market)
    more = shown(call, frame, asked, found, by_id, path, market.currency, hidden=list(fixed))
    local = call.local(path)
    if found.did_you_mean:
        href = f"{call.local('/search')}?{urlencode({'q': found.did_you_mean})}"
        more["did_you_mean"] = {"text": found.did_you_mean, "href": href}
    if not found.hits or found.widening == "popular":
        more["suggestions"] = _others(call, market)
    # One address for each list: what narrows, sorts or turns it is not a page of its own.
    if asked.is_narrowed or asked.sort != default_sort:
        more["robots"] = "noindex, follow"
    page = f"?page={asked.page}" if asked.page > 1 and not asked.is_narrowed else ""
    more["canonical"] = f"{origin_of(call)}{local}{page}"
    more["page_size"] = PAGE
    return more


def _others(call: Call, market: pricing.Market) -> list[dict[str, str]]:
    """Searches that find something, for who has found nothing."""
    desk: search.SearchDesk = call.app.state["search"]
    spoken = [p for p in desk.suggest("", call.language, region=market.code) if p.kind == "query"]
    local = call.local("/search")
    return [{"text": s.text, "href": f"{local}?{urlencode({'q': s.text})}"} for s in spoken[:6]]


@get("/search/suggestions")
async def suggestions(call: Call, db: Database, q: str = "") -> Answer[dict[str, Any]]:
    """What may be meant, while one types."""
    frame = await frame_of(db)
    market = market_of(call, frame)
    desk: search.SearchDesk = call.app.state["search"]
    text = q.strip()[:200]
    found = desk.suggest(text, call.language, region=market.code) if text else []
    local = call.local("/search")
    rows = [
        {
            "text": s.text,
            "href": f"{local}?{urlencode({'q': s.text})}",
            "kind": "category" if s.kind == "category" else "query",
        }
        for s in found[:8]
    ]
    return Answer({"suggestions": rows}, page="storefront/_suggestions.html")


@post("/market", again="/")
async def choose_market(call: Call, db: Database, data: dict[str, str]) -> See[None]:
    """Buy in another market: its currency, taxes and delivery."""
    frame = await frame_of(db)
    code = data.get("market", "")
    back = data.get("next", "/")
    cookie = Cookie(MARKET_COOKIE, code if code in frame.markets else None, YEAR_SECONDS)
    return See(back, cookies=(cookie,))
