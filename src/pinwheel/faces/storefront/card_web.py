"""Cards of what is shared: drawn for sending, and as the picture that messengers show of a link.
What stands on them is public: a stranger's price, seats, no name of anybody."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from collections.abc import Mapping
from typing import Any

from pinwheel.faces.storefront import card_drawing, offering, price_tags, team_queries
from pinwheel.faces.storefront.card_drawing import Card
from pinwheel.faces.storefront.frame import frame_of, home_market
from pinwheel.faces.storefront.goods_web import origin_of
from pinwheel.faces.storefront.showing import first_picture
from pinwheel.ground import media
from pinwheel.growth import social
from pinwheel.kernel import words
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import NotFound
from pinwheel.kernel.web import Call, File, Limit, get
from pinwheel.kernel.words import LANGUAGES, said
from pinwheel.trade import catalogue

SHOP = "Pinwheel"
LIMITS = (("card", Limit(120, 60)),)
HEADERS = {
    "cache-control": "public, max-age=60",
    # An SVG that is opened by itself is a document: it may do nothing.
    "content-security-policy": "default-src 'none'; img-src data:; sandbox",
}


def og_image(call: Call, target: str, key: str) -> str:
    """Where the picture of such a page is, for its meta tags."""
    return f"{origin_of(call)}/cards/{target}/{key}/picture.png?language={call.language}"


@get("/s/{token:str}/card.svg", limits=LIMITS)
async def share_card(
    call: Call, tx: Tx, token: str, language: str = "en", download: str = ""
) -> File:
    """The card of a share link, its code leading where the link leads. 404 for what is gone."""
    link = await social.share_link(tx, token[:40])
    card = await _card(call, tx, link.target, link.target_key, language, link)
    address = f"{origin_of(call)}/s/{link.token}?c=qr"
    drawn = card_drawing.svg(_with(card, link=address))
    name = f"card-{link.token}.svg" if download else None
    return _file(call, drawn.encode(), "image/svg+xml", name)


@get("/cards/{target:str}/{key:str}/picture.png", limits=LIMITS)
async def picture(call: Call, tx: Tx, target: str, key: str, language: str = "en") -> File:
    """The picture of a page that is shared: cover and price. 404 for what is gone."""
    card = await _card(call, tx, target, key[:160], language)
    drawn = await asyncio.to_thread(card_drawing.png, card)
    return _file(call, drawn, "image/png", None)


def _file(call: Call, body: bytes, kind: str, name: str | None) -> File:
    tag = f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"'
    headers = HEADERS | {"etag": tag}
    if call.headers.get("if-none-match") == tag:
        return File(b"", kind, status=304, headers=headers)
    return File(body, kind, name=name, headers=headers)


def _with(card: Card, **more: Any) -> Card:
    return Card(**({f: getattr(card, f) for f in card.__struct_fields__} | more))


async def _card(
    call: Call,
    tx: Tx,
    target: str,
    key: str,
    language: str,
    link: social.ShareLink | None = None,
) -> Card:
    if language not in LANGUAGES:
        raise NotFound(what="card")
    if target == "product":
        found = await _product(call, tx, key, language)
    elif target == "team":
        found = await _team(call, tx, key, language)
    elif target == "bargain":
        found = await _bargain(call, tx, key, language)
    elif link is not None:
        found = await _invitation(tx, link, language)
    else:
        raise NotFound(what="card")
    scan = words.words(language).gettext("Scan to see it at %(shop)s") % {"shop": SHOP}
    return Card(shop=SHOP, language=language, scan=scan, **found)


async def _product(call: Call, tx: Tx, slug: str, language: str) -> dict[str, Any]:
    page = await catalogue.product_page(tx, slug)
    market = home_market(await frame_of(call.db), language)
    every = await offering.offered(
        tx,
        [v.id for v in page.variants],
        market.currency,
        price_tags.stranger(market),
        language,
    )
    offers = sorted(every.values(), key=lambda o: (o.best.free <= 0, o.now_minor))
    found: dict[str, Any] = {
        "title": said(page.title, language),
        "cover": await _cover(call, tx, page.media, language, ""),
    }
    if offers:
        one = offers[0]
        was = one.tag.was_minor if one.tag else one.price.strike_minor
        found["price"] = words.money(one.now_minor, market.currency, language)
        if was is not None and was > one.now_minor:
            found["was"] = words.money(was, market.currency, language)
        if one.tag is not None and one.tag.label:
            found["note"] = one.tag.label
    return found


async def _team(call: Call, tx: Tx, token: str, language: str) -> dict[str, Any]:
    sight = await social.team_seen(tx, token[:64], person_id=None)
    say, currency = words.words(language), sight.campaign.currency
    thing = (await team_queries.things(tx, [sight.offer_id], currency)).get(sight.offer_id)
    if thing is None:
        raise NotFound(what="team")
    offer = next(o for o in sight.offers if o.offer_id == sight.offer_id)
    paid = sum(seat.is_paid for seat in sight.taken)
    price = social.team_price(offer, paid + 1)
    note = say.gettext("This team is over.")
    if sight.state == "open" and sight.closes_at > tx.now:
        left = sight.seats_left
        note = say.ngettext("%(num)s seat is free", "%(num)s seats are free", left) % {"num": left}
    return {
        **await _thing(call, tx, thing, language),
        "price": words.money(price, currency, language),
        "was": words.money(thing.price_minor, currency, language)
        if thing.price_minor and thing.price_minor > price
        else "",
        "note": note,
    }


async def _bargain(call: Call, tx: Tx, token: str, language: str) -> dict[str, Any]:
    sight = await social.bargain_seen(tx, token[:64], person_id=None)
    say, currency = words.words(language).gettext, sight.currency
    thing = (await team_queries.things(tx, [sight.offer_id], currency)).get(sight.offer_id)
    if thing is None:
        raise NotFound(what="bargain")
    note = say("This bargain has ended")
    if sight.state in ("running", "reached") and tx.now < sight.ends_at:
        left = words.money(sight.left_minor, currency, language)
        note = (
            say("The floor is reached")
            if sight.state == "reached"
            else say("%(amount)s still to cut") % {"amount": left}
        )
    return {
        **await _thing(call, tx, thing, language),
        "price": words.money(sight.price_minor, currency, language),
        "was": words.money(sight.list_minor, currency, language) if sight.cut_minor else "",
        "note": note,
    }


async def _invitation(tx: Tx, link: social.ShareLink, language: str) -> dict[str, Any]:
    """What the friend gets; a link to the newcomers' page says only that."""
    say = words.words(language).gettext
    ids = [link.campaign_id] if link.campaign_id else []
    campaigns = await social.invite_campaigns(tx, ids=ids) if ids else []
    if link.target != "invite" or not campaigns:
        return {"title": say("For your first order")}
    one = campaigns[0]
    amount = words.money(one.invitee_minor, one.currency, language) if one.invitee_minor else ""
    note = say("of store credit for your first order") if amount else ""
    return {"title": said(one.name, language), "price": amount, "note": note}


async def _thing(call: Call, tx: Tx, thing: team_queries.Thing, language: str) -> dict[str, Any]:
    colour = thing.options.get("colour", "")
    return {
        "title": said(thing.title, language),
        "cover": await _cover(call, tx, thing.media, language, colour),
    }


async def _cover(
    call: Call, tx: Tx, pictures: list[Mapping[str, Any]] | Any, language: str, colour: str
) -> tuple[bytes, str] | None:
    """The picture's own bytes: a card asks nobody for anything. None for a picture elsewhere."""
    url, _, _ = first_picture(pictures, language, colour)
    name = url.rsplit("/", 1)[-1]
    if url.startswith("/media/demonstration/"):
        drawn = call.app.state.get("drawn")
        text = await asyncio.to_thread(drawn, name) if drawn is not None else None
        return (text.encode(), "image/svg+xml") if text else None
    if url.startswith("/media/pictures/"):
        try:
            found = await media.file_of(tx, uuid.UUID(name))
        except ValueError:
            return None
        return (found, media.MEDIA_TYPE) if found else None
    return None
