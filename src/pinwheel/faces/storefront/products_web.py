"""What is for sale, for programs: markets, categories, products with their offers, and what is
meant while one types. The same search, prices and stock as on the pages."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from pinwheel.discovery import search
from pinwheel.faces.storefront import offering, price_tags, queries
from pinwheel.faces.storefront.frame import Frame, frame_of, market_of
from pinwheel.faces.storefront.goods_web import origin_of
from pinwheel.faces.storefront.price_tags import Tag
from pinwheel.faces.storefront.showing import costs_of, pictures_of
from pinwheel.growth import community
from pinwheel.kernel import listing
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid
from pinwheel.kernel.web import Call, get
from pinwheel.trade import catalogue, orders, pricing

TAGS = ("Products",)
MOST_SHOWN = 1_000
PageSize = Annotated[int, Meta(ge=1, le=100)]
Code = Annotated[str, Meta(max_length=40)]
Text = Annotated[str, Meta(max_length=200)]
Minor = Annotated[int, Meta(ge=0, le=9_000_000_000_000)]
Chosen = Annotated[list[Annotated[str, Meta(max_length=260)]], Meta(max_length=40)]


class Delivery(msgspec.Struct, frozen=True):
    """One way to be delivered to. ``free_from_minor``: of goods, from which on it costs nothing."""

    code: str
    name: dict[str, str]
    price_minor: int
    free_from_minor: int | None
    min_days: int
    max_days: int


class MarketSeen(msgspec.Struct, frozen=True):
    """Where one currency and one way of showing tax hold; ``countries`` are those delivered to."""

    code: str
    name: dict[str, str]
    currency: str
    countries: list[str]
    price_includes_tax: bool
    language: str
    deliveries: list[Delivery]


class CategorySeen(msgspec.Struct, frozen=True):
    """A category that products stand in; ``parent_id`` is None at the top."""

    id: uuid.UUID
    parent_id: uuid.UUID | None
    slug: str
    name: dict[str, str]
    position: int


class PriceSeen(msgspec.Struct, frozen=True, kw_only=True):
    """What one piece costs this caller, in minor units. ``was_minor``: what may be struck through
    beside it; ``label``: why it is less; ``steps``: from how many on a piece costs less."""

    currency: str
    price_minor: int
    was_minor: int | None
    label: str
    steps: Sequence[str]


class ProductLine(msgspec.Struct, frozen=True, kw_only=True):
    """A product in a list with its best offer. ``offer_id`` is None where a variant has to be
    chosen first; ``dearest_minor`` is its highest plain price; ``available``: pieces that can be
    promised."""

    id: uuid.UUID
    slug: str
    url: str
    title: dict[str, str]
    brand: str
    image_url: str
    variants: int
    offer_id: uuid.UUID | None
    price: PriceSeen
    dearest_minor: int
    available: int
    rating: float | None
    ratings: int


class ProductList(msgspec.Struct, frozen=True, kw_only=True):
    """What was found. ``complete`` of ``total`` match every word; ``widening`` says what was done
    when too little did, and ``did_you_mean`` how the words were understood."""

    market: str
    total: int
    complete: int
    widening: search.Widening
    did_you_mean: str | None
    products: list[ProductLine]
    facets: list[search.Facet]
    next: str | None


class OfferSeen(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody's offer of a variant: what an order names. ``is_best``: the one on the page;
    ``expected_on``: when pieces arrive that can be promised ahead."""

    offer_id: uuid.UUID
    seller: str
    is_own: bool
    is_best: bool
    condition: str
    price: PriceSeen
    available: int
    expected_on: str | None
    max_per_order: int | None


class VariantSeen(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that can be bought, with every offer of it, the best first."""

    id: uuid.UUID
    sku: str
    gtin: str | None
    options: dict[str, str]
    weight_grams: int | None
    offers: list[OfferSeen]


class ProductSeen(msgspec.Struct, frozen=True, kw_only=True):
    """A product with all that can be bought of it. ``attributes``: values by the code of the
    category's attribute; ``categories``: slugs from the top down."""

    id: uuid.UUID
    slug: str
    url: str
    market: str
    title: dict[str, str]
    description: dict[str, str]
    brand: str
    categories: list[str]
    image_urls: list[str]
    attributes: dict[str, Any]
    rating: float | None
    ratings: int
    variants: list[VariantSeen]


class Suggestions(msgspec.Struct, frozen=True):
    suggestions: list[search.Suggestion]


def _market(call: Call, frame: Frame, code: str) -> pricing.Market:
    """The market asked for, else the one of the caller's language."""
    if not code:
        return market_of(call, frame)
    if code not in frame.markets:
        raise orders.UnknownMarket(market=code)
    return frame.markets[code]


@get("/api/v1/markets", tags=TAGS)
async def markets(call: Call, db: Database) -> list[MarketSeen]:
    """Where this shop sells: currencies, countries and ways of delivery."""
    frame = await frame_of(db)
    return [
        MarketSeen(
            code=m.code,
            name=m.name,
            currency=m.currency,
            countries=m.countries,
            price_includes_tax=m.price_includes_tax,
            language=m.language,
            deliveries=[
                Delivery(o.code, o.name, o.price_minor, o.free_from_minor, o.min_days, o.max_days)
                for o in frame.deliveries.get(m.code, [])
            ],
        )
        for m in frame.markets.values()
    ]


@get("/api/v1/categories", tags=TAGS)
async def categories(call: Call, db: Database) -> list[CategorySeen]:
    """The categories, a parent before its children."""
    frame = await frame_of(db)
    return [
        CategorySeen(c.id, c.parent_id, c.slug, c.name, c.position)
        for c in frame.categories.values()
    ]


@get("/api/v1/products", tags=TAGS, refusals=(orders.UnknownMarket,))
async def products(
    call: Call,
    db: Database,
    q: Text = "",
    market: Code = "",
    category: Annotated[str, Meta(max_length=80)] = "",
    facet: Chosen = [],  # noqa: B006 - never changed: it is the parameter's default
    price_min_minor: Minor | None = None,
    price_max_minor: Minor | None = None,
    sold_out_too: bool = False,
    sort: search.Sort | None = None,
    after: str | None = None,
    limit: PageSize = 24,
) -> ProductList:
    """Search, or list, what is for sale in a market.

    ``category`` is a slug and takes in what is below it; each ``facet`` reads ``code:value``, as
    the answer's own facets name them: values of one code are alternatives, different codes must all
    hold. Prices are minor units of the market's currency, both ends included. The first thousand
    can be paged through. 2 statements, and those of what changes prices."""
    frame = await frame_of(db)
    here = _market(call, frame, market)
    start = _start(after)
    desk: search.SearchDesk = call.app.state["search"]
    found = desk.search(
        search.Query(
            text=q,
            language=call.language,
            region=here.code,
            facets=_facets(frame, category, facet),
            price_min_minor=price_min_minor,
            price_max_minor=price_max_minor,
            buyable_only=not sold_out_too,
            sort=sort or ("relevance" if q.strip() else "popular"),
            offset=start,
            limit=limit,
        )
    )
    async with db.reading() as tx:
        lines = await _lines(tx, call, [hit.product_id for hit in found.hits], here)
    end = start + limit
    return ProductList(
        market=here.code,
        total=found.total,
        complete=found.complete,
        widening=found.widening,
        did_you_mean=found.did_you_mean,
        products=lines,
        facets=found.facets,
        next=listing.cursor(end) if end < min(found.total, MOST_SHOWN) else None,
    )


def _start(text: str | None) -> int:
    key = listing.after(text, int)
    start = key[0] if key else 0
    if not 0 <= start < MOST_SHOWN:
        raise Invalid("after", "this is not a cursor of this list", "这不是本列表的游标")
    return int(start)


def _facets(frame: Frame, category: str, chosen: Sequence[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in chosen:
        code, colon, value = one.partition(":")
        if not (code and colon and value):
            raise Invalid("facet", f"{one!r} must read code:value", f"{one!r} 应写作 代码:值")
        found.setdefault(code, []).append(value)
    if category:
        here = frame.with_slug(category)
        if here is None:
            raise Invalid(
                "category",
                f"there is no category {category!r}; GET /api/v1/categories lists them",
                f"没有 {category!r} 这个类目，见 GET /api/v1/categories",
            )
        found["category"] = [str(here.id)]
    return found


async def _lines(
    tx: Tx, call: Call, ids: Sequence[uuid.UUID], market: pricing.Market
) -> list[ProductLine]:
    goods = await queries.goods(tx, list(dict.fromkeys(ids)), market.currency)
    offers = [one.offer_id for one in goods]
    prices = await pricing.prices(tx, offers, market.currency)
    revision = goods[0].revision if goods else 0
    tags = await price_tags.tags(
        tx, price_tags.viewer_of(call, market), offers, revision, call.language
    )
    return [
        ProductLine(
            id=one.product_id,
            slug=one.slug,
            url=_url(call, one.slug),
            title=one.title,
            brand=one.brand,
            image_url=next(iter(_pictures(call, one.media)), ""),
            variants=one.variants,
            offer_id=one.offer_id if one.variants == 1 else None,
            price=_price(prices[one.offer_id], tags.get(one.offer_id)),
            dearest_minor=one.dearest_minor,
            available=one.free,
            rating=one.rating,
            ratings=one.ratings,
        )
        for one in goods
        if one.offer_id in prices
    ]


def _price(price: pricing.Price, tag: Tag | None) -> PriceSeen:
    return PriceSeen(currency=price.currency, **costs_of(price, tag))


def _url(call: Call, slug: str) -> str:
    return f"{origin_of(call)}/{call.language}/p/{slug}"


def _pictures(call: Call, media: Sequence[Mapping[str, Any]]) -> list[str]:
    """Whole addresses; of a drawing in several languages the one that is asked for."""
    urls = [str(m["url"]) for m in pictures_of(media, call.language)]
    return [u if u.startswith("http") else origin_of(call) + u for u in urls]


@get("/api/v1/products/{product_id:uuid}", tags=TAGS, refusals=(orders.UnknownMarket,))
async def product(call: Call, tx: Tx, product_id: uuid.UUID, market: Code = "") -> ProductSeen:
    """A product with its variants, and of each every offer with its price and stock.

    A product that was merged into another answers as that one. 5 statements, and those of what
    changes prices."""
    page = await catalogue.product_page(tx, product_id)
    frame = await frame_of(call.db)
    here = _market(call, frame, market)
    offered = await offering.offered(
        tx,
        [v.id for v in page.variants],
        here.currency,
        price_tags.viewer_of(call, here),
        call.language,
    )
    rating = (await community.product_reviews(tx, page.id, limit=1)).rating
    return ProductSeen(
        id=page.id,
        slug=page.slug,
        url=_url(call, page.slug),
        market=here.code,
        title=page.title,
        description=page.description,
        brand=page.brand,
        categories=[crumb.slug for crumb in page.trail],
        image_urls=_pictures(call, page.media),
        attributes={s.attribute.code: s.value for s in page.attributes},
        rating=rating.mean if rating else None,
        ratings=rating.ratings if rating else 0,
        variants=[
            VariantSeen(
                id=v.id,
                sku=v.sku,
                gtin=v.gtin or None,
                options=v.options,
                weight_grams=v.weight_grams,
                offers=_offers(offered.get(v.id)),
            )
            for v in page.variants
        ],
    )


def _offers(found: offering.Offered | None) -> list[OfferSeen]:
    if found is None:
        return []
    return [
        OfferSeen(
            offer_id=s.offer_id,
            seller=s.seller_name,
            is_own=s.own,
            is_best=s is found.best,
            condition=s.condition,
            price=_price(plain, found.tags.get(s.offer_id)),
            available=max(0, s.free),
            expected_on=s.expected_on.isoformat() if s.expected_on and s.here <= 0 else None,
            max_per_order=s.max_per_order,
        )
        for s, plain in [(found.best, found.price), *found.others]
    ]


@get("/api/v1/suggestions", tags=TAGS, refusals=(orders.UnknownMarket,))
async def suggestions(call: Call, db: Database, q: Text = "", market: Code = "") -> Suggestions:
    """What may be meant, while one types."""
    here = _market(call, await frame_of(db), market)
    desk: search.SearchDesk = call.app.state["search"]
    return Suggestions(desk.suggest(q, call.language, region=here.code))
