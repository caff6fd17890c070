"""A product's page, and what its buyers say of it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from pinwheel.discovery import search
from pinwheel.faces.storefront import offering, price_tags, structured
from pinwheel.faces.storefront.card_web import og_image
from pinwheel.faces.storefront.frame import Frame, frame_of, market_of
from pinwheel.faces.storefront.goods_web import origin_of
from pinwheel.faces.storefront.listing import cards
from pinwheel.faces.storefront.sending_view import ahead_sentence
from pinwheel.faces.storefront.showing import (
    FEW_LEFT,
    costs_of,
    delivery_sentence,
    first_picture,
    label_text,
    option_rows,
    options_text,
    pictures_of,
    plain,
    trail,
    value_text,
)
from pinwheel.faces.storefront.team_view import plan_of, plans_for
from pinwheel.growth import community
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import NotFound, Refusal
from pinwheel.kernel.web import Answer, Call, Limit, See, get, post
from pinwheel.kernel.words import said
from pinwheel.trade import catalogue, returns

PAGE = "storefront/product.html"
REVIEW = "storefront/review.html"
REVIEWS = 8
SIMILAR = 10


@get("/p/{slug:str}")
async def product(
    call: Call, tx: Tx, slug: str, variant: str = "", reviews: str | None = None
) -> Answer[dict[str, Any]] | See[None]:
    """A product with its variants, price, stock and reviews. 5 statements,
    and what the price rules ask (2) where one may speak of it."""
    page = await catalogue.product_page(tx, slug)
    if page.slug != slug:
        return See(f"/p/{page.slug}", status=301)
    frame = await frame_of(call.db)
    market = market_of(call, frame)
    offered = await offering.offered(
        tx,
        [v.id for v in page.variants],
        market.currency,
        price_tags.viewer_of(call, market),
        call.language,
    )
    said_of_it = await community.product_reviews(tx, page.id, cursor=reviews, limit=REVIEWS)
    chosen = _chosen(page, offered, variant)
    more = _page(call, frame, page, chosen, offered)
    return Answer(
        {
            **more,
            **_reviews(call, page, said_of_it),
            "structured_data": _structured(more.pop("things"), said_of_it.rating),
            "team_plans": await _team_plans(call, market.code, more["offer"]),
            "og": _og(call, more, slug),
            "similar_href": f"/p/{slug}/similar",
            "can_review": call.caller.is_known,
        },
        page=PAGE,
    )


def _og(call: Call, more: dict[str, Any], slug: str) -> dict[str, str]:
    return {
        "type": "product",
        "title": more["title"],
        "description": more["description"] or more["title"],
        "url": more["canonical"],
        "image": og_image(call, "product", slug),
    }


async def _team_plans(call: Call, market: str, offer: dict[str, Any]) -> list[dict[str, Any]]:
    """Buying the chosen variant in a team, where it may be; the page itself asks nothing for it."""
    if not offer["available"]:
        return []
    plans = await plans_for(call.db, [offer["offer_id"]], market)
    return [plan_of(call, plan, offer["price_minor"]) for plan in plans]


def _chosen(
    page: catalogue.ProductPage, offered: dict[Any, offering.Offered], sku: str
) -> catalogue.Variant:
    """The variant asked for, else the first that can be had, else the first that is sold."""
    asked = next((v for v in page.variants if v.sku == sku), None)
    free = next((v for v in page.variants if v.id in offered and offered[v.id].best.free), None)
    sold = next((v for v in page.variants if v.id in offered), None)
    found = asked or free or sold or (page.variants[0] if page.variants else None)
    if found is None:
        raise NotFound(what="product")
    return found


def _page(
    call: Call,
    frame: Frame,
    page: catalogue.ProductPage,
    chosen: catalogue.Variant,
    offered: dict[Any, offering.Offered],
) -> dict[str, Any]:
    language, origin = call.language, origin_of(call)
    market = market_of(call, frame)
    title = said(page.title, language)
    here = frame.categories.get(page.category_id) if page.category_id else None
    way = [*trail(frame, here.path if here else [], language), {"label": title, "path": ""}]
    way[-1]["path"] = f"/p/{page.slug}"
    colour = chosen.options.get("colour", "")
    url, alt, shape = first_picture(page.media, language, colour)
    best = offered.get(chosen.id)
    free = {variant_id: o.best.free for variant_id, o in offered.items()}
    things = [structured.breadcrumbs(way, origin, language)]
    offer: dict[str, Any] = {"available": False, "sku": chosen.sku}
    if best is not None:
        row = _row(page, chosen, best, language, origin)
        things.insert(0, structured.product(row))
        offer = _offer(call, frame, chosen, best)
        offer["try_days"] = _try_days(frame, market.code, here, offer)
    others = [
        {"seller": s.seller_name, **costs_of(p, best.tags.get(s.offer_id)), "currency": p.currency,
         "condition": s.condition, "available": s.free > 0, "offer_id": s.offer_id}
        for s, p in best.others
    ] if best else []  # fmt: skip
    return {
        "trail": way,
        "title": title,
        "description": plain(said(page.description, language))[:160],
        "canonical": f"{origin}/{language}/p/{page.slug}",
        "product": {
            "id": page.id,
            "title": title,
            "title_lang": None if language in page.title else "en",
            "path": f"/p/{page.slug}",
            "kicker": page.brand,
            "shape": shape or "object",
            "image_url": url,
            "image_alt": alt,
            "images": [
                {"url": m["url"], "alt": said(m.get("alt") or {}, language)}
                for m in pictures_of(page.media, language, colour)[1:5]
            ],
            "description": said(page.description, language),
            "language": language,
        },
        "options": option_rows(frame, page, chosen, free, language),
        "offer": offer,
        "others": others,
        "facts": _facts(frame, page, chosen, language),
        "things": things,
        "market": market,
    }


def _try_days(
    frame: Frame, market: str, category: catalogue.Category | None, offer: dict[str, Any]
) -> int:
    """For how many days it may be tried before it is paid for; 0: not at all."""
    rule = returns.rule_for(frame.trials, market, category.path if category else [])
    fits = rule is not None and offer["available"] and offer["price_minor"] <= rule.most_minor
    return rule.days if rule is not None and fits else 0


def _row(
    page: catalogue.ProductPage,
    variant: catalogue.Variant,
    offer: offering.Offered,
    language: str,
    origin: str,
) -> dict[str, Any]:
    return offering.row(
        slug=page.slug,
        title=page.title,
        description=page.description,
        brand=page.brand,
        media=page.media,
        sku=variant.sku,
        gtin=variant.gtin,
        options=variant.options,
        offer=offer,
        language=language,
        origin=origin,
        single=len(page.variants) == 1,
    )


def _offer(
    call: Call, frame: Frame, variant: catalogue.Variant, offer: offering.Offered
) -> dict[str, Any]:
    market = market_of(call, frame)
    best, price = offer.best, offer.price
    ways = frame.deliveries.get(market.code, [])
    sentence = delivery_sentence(call.db.clock.now(), ways, market.currency, call.language)
    if best.free > 0 and best.here <= 0:
        sentence = ahead_sentence(call, best.expected_on)
    return {
        "offer_id": best.offer_id,
        "sku": variant.sku,
        "options": options_text(frame, variant.options, call.language),
        **costs_of(price, offer.tag),
        "currency": price.currency,
        "tax_included": market.price_includes_tax,
        "available": best.free > 0,
        "units_left": best.free if 0 < best.free <= FEW_LEFT else None,
        "max_units": max(1, min(best.free, best.max_per_order or 99, 99)),
        "delivery": sentence if best.free > 0 else None,
        "seller": best.seller_name,
        "condition": best.condition,
    }


def _facts(
    frame: Frame, page: catalogue.ProductPage, chosen: catalogue.Variant, language: str
) -> list[dict[str, str]]:
    found = [
        {
            "label": label_text(frame, s.attribute.code, language),
            "value": value_text(frame, s.attribute.code, s.value, language),
        }
        for s in page.attributes
        if s.attribute.code not in chosen.options
    ]
    found = [
        {"label": label_text(frame, key, language), "value": value_text(frame, key, v, language)}
        for key, v in chosen.options.items()
    ] + found
    found.append({"label": "SKU", "value": chosen.sku})
    if chosen.gtin:
        found.append({"label": "GTIN", "value": chosen.gtin})
    return found


def _reviews(
    call: Call, page: catalogue.ProductPage, said_of_it: community.ProductReviews
) -> dict[str, Any]:
    rating = said_of_it.rating
    found: dict[str, Any] = {
        "reviews": [_review(r) for r in said_of_it.reviews],
        "reviews_next": call.local(f"/p/{page.slug}?reviews={said_of_it.next}#reviews")
        if said_of_it.next
        else None,
        "rating": rating.mean if rating else None,
        "review_count": rating.ratings if rating else 0,
        "spread": list(reversed(rating.stars)) if rating else None,
    }
    return found


def _structured(things: list[dict[str, Any]], rating: community.Rating | None) -> str:
    """The page's structured data, with the rating that is shown."""
    if rating is not None and things[0]["@type"] == "Product":
        things[0]["aggregateRating"] = {
            "@type": "AggregateRating",
            "ratingValue": round(rating.mean, 2),
            "reviewCount": rating.ratings,
        }
    return structured.in_script(*things)


def _review(one: community.Review) -> dict[str, Any]:
    return {
        "rating": one.rating,
        "title": one.title,
        "body": one.body,
        "reviewer": one.author,
        "at": one.created_at,
        "lang": one.language,
        "bought": one.is_verified,
        "incentive": one.incentive,
        "reply": one.reply,
    }


@get("/p/{slug:str}/similar")
async def similar(call: Call, db: Database, slug: str) -> Answer[dict[str, Any]]:
    """What is bought most in the same department: asked for after the page itself is there."""
    frame = await frame_of(db)
    market = market_of(call, frame)
    desk: search.SearchDesk = call.app.state["search"]
    async with db.reading() as tx:
        page = await catalogue.product_page(tx, slug)
        found = desk.search(
            search.Query(
                text=" ".join(said(page.title, call.language).split()[:4]),
                language=call.language,
                region=market.code,
                facets={"category": [str(page.category_id)]} if page.category_id else {},
                limit=SIMILAR,
                with_facets=False,
            )
        )
        ids = [h.product_id for h in found.hits if h.product_id != page.id]
        by_id = await cards(tx, call, ids, market)
    return Answer(
        {"similar": [by_id[i] for i in ids if i in by_id], "title": call.say("More like this")},
        page="storefront/similar.html",
        part="storefront/_similar.html",
    )


class ReviewForm(msgspec.Struct):
    rating: Annotated[int, msgspec.Meta(ge=1, le=5)]
    title: Annotated[str, msgspec.Meta(max_length=80)] = ""
    body: Annotated[str, msgspec.Meta(max_length=4000)] = ""


@get("/p/{slug:str}/review")
async def review_page(call: Call, tx: Tx, slug: str) -> Answer[dict[str, Any]]:
    """Where a buyer writes what they think of it."""
    call.caller.person()
    page = await catalogue.product_page(tx, slug)
    return Answer(_review_page(call, page), page=REVIEW)


def _review_page(call: Call, page: catalogue.ProductPage, **more: Any) -> dict[str, Any]:
    url, _, shape = first_picture(page.media, call.language)
    return {
        "product": {
            "title": said(page.title, call.language),
            "path": f"/p/{page.slug}",
            "image_url": url,
            "shape": shape,
        },
        "title": call.say("Review"),
        "robots": "noindex",
        **more,
    }


@post("/p/{slug:str}/review", again="/p/{slug:str}/review", limits=(("review", Limit(10, 60)),))
async def write_review(
    call: Call, db: Database, slug: str, data: ReviewForm
) -> Answer[dict[str, Any]] | See[None]:
    """Say what one thinks of what one has bought and received."""
    person_id = call.caller.person()
    new = community.NewReview(rating=data.rating, title=data.title, body=data.body)
    async with db.reading() as tx:
        page = await catalogue.product_page(tx, slug)
    try:
        async with db.transaction(actor=call.caller.actor, request_id=call.request_id) as tx:
            await community.write_review(tx, person_id, page.id, new, language=call.language)
    except Refusal as refusal:
        form = {"rating": data.rating, "title": data.title, "body": data.body}
        error = refusal.sentence(call.language)
        told = _review_page(call, page, form=form, error=error)
        return Answer(told, page=REVIEW, status=refusal.status)
    return See(f"/p/{page.slug}#reviews")
