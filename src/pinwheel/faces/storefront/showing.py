"""From what the lower floors know to what a page shows. Pure."""

from __future__ import annotations

import datetime as dt
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from pinwheel.faces.storefront.frame import Frame
from pinwheel.faces.storefront.price_tags import Tag
from pinwheel.faces.storefront.queries import Goods, Picture
from pinwheel.kernel import words
from pinwheel.kernel.words import said
from pinwheel.trade import catalogue, pricing

FEW_LEFT = 5
TAGS = re.compile(r"<[^>]+>")
ARRIVAL_NOTE_HOURS = 24


def pictures_of(
    media: Sequence[Mapping[str, Any]], language: str, colour: str = ""
) -> list[Mapping[str, Any]]:
    """The pictures for this reader, the one in their language or of the chosen colour first."""
    fitting = [m for m in media if m.get("language", language) == language] or list(media)
    return sorted(fitting, key=lambda m: bool(colour) and m.get("colour") != colour)


def first_picture(
    media: Sequence[Mapping[str, Any]], language: str, colour: str = ""
) -> tuple[str, str, str]:
    """(address, what it shows, shape) of the picture a card has; empty when there is none."""
    found = pictures_of(media, language, colour)
    if not found:
        return "", "", "object"
    first = found[0]
    return str(first["url"]), said(first.get("alt") or {}, language), str(first.get("shape", ""))


def costs_of(price: pricing.Price, tag: Tag | None) -> dict[str, Any]:
    """What one piece costs this visitor, what it cost before, why, and from how many on less."""
    now, was = price.price_minor, price.strike_minor
    if tag is not None and tag.price_minor != now:
        now, was = tag.price_minor, tag.was_minor
    return {
        "price_minor": now,
        "was_minor": was,
        "label": tag.label if tag else "",
        "steps": tag.steps if tag else (),
    }


def card(
    one: Goods, price: pricing.Price | None, language: str, *, tag: Tag | None = None
) -> dict[str, Any]:
    """A product in a list: see the card in ``layout/goods.html``."""
    url, alt, shape = first_picture(one.media, language)
    costs = costs_of(price, tag) if price else {"price_minor": one.price_minor}
    return {
        "path": f"/p/{one.slug}",
        "title": said(one.title, language),
        "title_lang": None if language in one.title else "en",
        "kicker": one.brand,
        "image_url": url,
        "image_alt": "",  # the title stands beside it
        "shape": shape or "object",
        **costs,
        "currency": price.currency if price else "",
        "from_price": one.dearest_minor > one.price_minor,
        "badge": {"text": tag.label, "tone": "deal"} if tag and tag.label else None,
        "rating": one.rating,
        "review_count": one.ratings,
        "offer_id": one.offer_id if one.variants == 1 else None,
        "available": one.free > 0,
        "alt": alt,
    }


def trail(frame: Frame, path: Sequence[uuid.UUID], language: str) -> list[dict[str, str]]:
    """Breadcrumbs from the first page down a category's path."""
    start = [{"label": words.words(language).gettext("Home"), "path": "/"}]
    return start + [
        {"label": said(c.name, language), "path": f"/c/{c.slug}"}
        for c in (frame.categories.get(i) for i in path)
        if c is not None
    ]


def value_text(frame: Frame, code: str, value: Any, language: str) -> str:
    """An attribute's value as a reader reads it."""
    label = frame.labels.get(code)
    if isinstance(value, list):
        joint = "、" if language == "zh-CN" else ", "
        return joint.join(value_text(frame, code, v, language) for v in value)
    if isinstance(value, dict):
        return said(value, language)
    if isinstance(value, bool):
        return words.words(language).gettext("Yes" if value else "No")
    if label is not None and label.kind == "choice":
        named = {str(c.get("code")): c.get("label") or {} for c in label.choices}
        return said(named.get(str(value)) or {}, language) or str(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return f"{value} {label.unit}".strip() if label is not None else str(value)


def label_text(frame: Frame, code: str, language: str) -> str:
    label = frame.labels.get(code)
    return said(label.label, language) if label else code


def options_text(frame: Frame, options: Mapping[str, str], language: str) -> str:
    """A variant's options in one line."""
    return " · ".join(value_text(frame, code, value, language) for code, value in options.items())


def plain(html: str) -> str:
    """HTML as text, for descriptions of a page."""
    text = TAGS.sub(" ", html)
    for code, sign in (
        ("&amp;", "&"),
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", '"'),
        ("&#x27;", "'"),
    ):
        text = text.replace(code, sign)
    return re.sub(r"\s+", " ", text.replace("&#39;", "'")).strip()


def arrival(now: dt.datetime, option: Any, language: str) -> str:
    """When it would arrive, as a sentence."""
    say = words.words(language).gettext
    first = now + dt.timedelta(days=option.min_days)
    last = now + dt.timedelta(days=option.max_days)
    day = words.days(first, last, language)
    if option.min_days == option.max_days:
        return say("Arrives on %(day)s") % {"day": day}
    return say("Arrives %(days)s") % {"days": day}


def delivery_sentence(
    now: dt.datetime, options: Sequence[Any], currency: str, language: str
) -> str | None:
    """The first way of delivery: when, for how much, from when on free."""
    if not options:
        return None
    say = words.words(language).gettext
    first = options[0]
    text = arrival(now, first, language)
    cost = words.money(first.price_minor, currency, language) if first.price_minor else say("free")
    text += say("; delivery %(cost)s") % {"cost": cost}
    if first.price_minor and first.free_from_minor is not None:
        least = words.money(first.free_from_minor, currency, language)
        text += say(", free from %(amount)s") % {"amount": least}
    return text


def line_of(
    frame: Frame, picture: Picture | None, title: Mapping[str, str], language: str
) -> dict[str, Any]:
    """What an order's or a cart's line looks like."""
    options = picture.options if picture else {}
    media = picture.media if picture else []
    url, _, shape = first_picture(media, language, options.get("colour", ""))
    return {
        "path": f"/p/{picture.slug}" if picture else "/",
        "title": said(title, language),
        "options": options_text(frame, options, language),
        "shape": shape or "object",
        "image_url": url,
    }


def option_rows(
    frame: Frame,
    page: catalogue.ProductPage,
    chosen: catalogue.Variant,
    free: Mapping[uuid.UUID, int],
    language: str,
) -> list[dict[str, Any]]:
    """The choices of a product: each leads to the variant that differs from the chosen one only
    there, or else to the first that has it."""
    rows = []
    keys = list(dict.fromkeys(key for v in page.variants for key in v.options))
    for key in keys:
        values = list(dict.fromkeys(v.options[key] for v in page.variants if key in v.options))
        if len(values) < 2 and len(page.variants) > 1:
            continue
        choices = []
        for value in values:
            wanted = {**chosen.options, key: value}
            fitting = [v for v in page.variants if v.options.get(key) == value]
            one = next((v for v in fitting if v.options == wanted), fitting[0])
            choices.append(
                {
                    "value": value,
                    "label": value_text(frame, key, value, language),
                    "href": f"/{language}/p/{page.slug}?variant={one.sku}",
                    "chosen": chosen.options.get(key) == value,
                    "available": free.get(one.id, 0) > 0,
                }
            )
        rows.append({"key": key, "label": label_text(frame, key, language), "choices": choices})
    return rows
