"""The price that stands on a page: what the quote of one piece would say to this visitor, with the
price before it and a short reason. What is found (facets, pages of a sorted list, the featured
offer) goes by the plain price, which is the same for everybody and lies in the index; within a page
a list sorted by price stands in the order of the prices that are shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Protocol
from uuid import UUID

import msgspec

from pinwheel.kernel import words
from pinwheel.kernel.db import Tx
from pinwheel.kernel.settings import Settings
from pinwheel.kernel.web import Call
from pinwheel.kernel.words import said
from pinwheel.trade import orders, pricing, promotions

MOST_LABEL = 24
SUBSIDY = "subsidy"


class Tag(msgspec.Struct, frozen=True, kw_only=True):
    """What one piece costs this visitor where that is not the plain price, or will not be from some
    quantity on. ``was_minor`` is never more than the lowest plain price of the last 30 days."""

    price_minor: int
    was_minor: int | None
    label: str
    steps: tuple[str, ...]


Tags = dict[UUID, Tag]


class Priced(Protocol):
    """An offer with its plain price and the revision of the rules it was read at."""

    @property
    def offer_id(self) -> UUID: ...

    @property
    def price_minor(self) -> int | None: ...

    @property
    def revision(self) -> int: ...


def viewer_of(call: Call, market: pricing.Market) -> orders.Viewer:
    """Whoever asks; without a name and without a cart, a stranger."""
    return _viewer(market, call.caller.person_id)


def stranger(market: pricing.Market) -> orders.Viewer:
    """Nobody in particular: what a feed says and a search engine sees."""
    return _viewer(market, None)


def _viewer(market: pricing.Market, person_id: UUID | None) -> orders.Viewer:
    country = market.countries[0] if market.countries else ""
    return orders.Viewer(market=market.code, country=country, person_id=person_id)


async def tags(
    tx: Tx, viewer: orders.Viewer, offer_ids: Iterable[UUID], revision: int, language: str
) -> Tags:
    """The tags of those offers that have one. No statement where no rule speaks of them, else the
    stages' own and one for the earlier prices, however many offers there are."""
    checkout = tx.db.given[orders.Buying].checkout
    found = await checkout.shown(tx, viewer, offer_ids, revision)
    lower = [i for i, one in found.items() if one.price_minor < one.regular_minor]
    before: dict[UUID, int] = {}
    if lower:
        before = await pricing.lowest_prices(tx, lower, found[lower[0]].currency)
    # What is struck through is the lowest of the last 30 days (Directive 98/6/EC, Article 6a).
    return {
        offer_id: Tag(
            price_minor=one.price_minor,
            was_minor=before.get(offer_id),
            label=_label(tx, one, language) if one.price_minor < one.regular_minor else "",
            steps=tuple(_step(step, one.currency, language) for step in one.steps),
        )
        for offer_id, one in found.items()
    }


async def alone(
    tx: Tx, call: Call, market: pricing.Market, found: Sequence[Priced]
) -> dict[UUID, int | None]:
    """What one piece of each offer costs this visitor by itself: what its product's page says."""
    offers = [one.offer_id for one in found if one.price_minor is not None]
    revision = found[0].revision if found else 0
    mine = await tags(tx, viewer_of(call, market), offers, revision, call.language)
    plain = {one.offer_id: one.price_minor for one in found}
    return plain | {i: tag.price_minor for i, tag in mine.items()}


def _label(tx: Tx, one: orders.Shown, language: str) -> str:
    """Why, in a few words: of several reasons the one that takes most off."""
    say = words.words(language).gettext
    if not one.discounts:
        if one.rule is not None and one.rule.terms.segments:
            return say("Price for you")
        return say("Special price")
    sums: dict[UUID, int] = {}
    for discount in one.discounts:
        sums[discount.source_id] = sums.get(discount.source_id, 0) + discount.amount_minor
    first = max(one.discounts, key=lambda d: sums[d.source_id])
    if first.source == SUBSIDY:
        return _short(first.zh if language == "zh-CN" else first.en, say("Subsidised"))
    rule = promotions.books_of(tx).book.rules.get(first.source_id)
    if rule is None:
        return say("Reduced")
    if rule.is_deal and rule.ends_at is not None:
        zone = tx.db.given[Settings].time_zone if Settings in tx.db.given else "UTC"
        until = words.brief(rule.ends_at, tx.now, language, zone)
        return say("Deal until %(at)s") % {"at": until}
    return _short(said(rule.name, language), say("Reduced"))


def _short(name: str, otherwise: str) -> str:
    """What the shop calls it, where that fits on a label."""
    return name if 0 < len(name) <= MOST_LABEL else otherwise


def _step(step: orders.Step, currency: str, language: str) -> str:
    say = words.words(language).gettext
    each, rest = divmod(step.total_minor, step.quantity)
    if rest:
        whole = words.money(step.total_minor, currency, language)
        return say("%(n)s for %(price)s") % {"n": step.quantity, "price": whole}
    price = words.money(each, currency, language)
    return say("from %(n)s: %(price)s each") % {"n": step.quantity, "price": price}
