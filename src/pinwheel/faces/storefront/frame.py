"""What stands around every page: departments, names of attributes, markets, ways of delivery. Read
once and again every few seconds, so that a page needn't ask for it."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

import msgspec

from pinwheel.faces.storefront import queries
from pinwheel.growth import bigdays, newcomers, social
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.web import Call
from pinwheel.kernel.words import said
from pinwheel.trade import catalogue, orders, pricing, promotions, returns

KEPT_SECONDS = 10
MARKET_COOKIE = "market"
FIRST_MARKETS = {"zh-CN": ("CN",), "en": ("GB", "US")}
"""The market a reader of a language begins in, when there is one; they may choose another."""


class Frame(msgspec.Struct, frozen=True):
    """The house's furniture, read at ``at``."""

    at: dt.datetime
    categories: dict[uuid.UUID, catalogue.Category]
    labels: dict[str, queries.Label]
    markets: dict[str, pricing.Market]
    deliveries: dict[str, list[Any]]
    trials: dict[tuple[str, uuid.UUID], returns.TrialRule]
    ways: dict[str, frozenset[str]]  # by market, the pages of growth that have something to show

    def children(self, category_id: uuid.UUID | None) -> list[catalogue.Category]:
        found = [c for c in self.categories.values() if c.parent_id == category_id]
        return sorted(found, key=lambda c: (c.position, c.slug))

    def with_slug(self, slug: str) -> catalogue.Category | None:
        return next((c for c in self.categories.values() if c.slug == slug), None)


_frames: WeakKeyDictionary[Database, Frame] = WeakKeyDictionary()


async def frame_of(db: Database) -> Frame:
    """At most ten seconds old."""
    known = _frames.get(db)
    now = db.clock.now()
    if known is not None and abs(now - known.at) < dt.timedelta(seconds=KEPT_SECONDS):
        return known
    async with db.reading() as tx:
        deliveries: dict[str, list[Any]] = {}
        for option in await orders.delivery_options(tx):
            if option.is_active:
                deliveries.setdefault(option.market, []).append(option)
        markets = {m.code: m for m in (await pricing.markets(tx)).values() if m.active}
        frame = Frame(
            at=now,
            categories={c.id: c for c in await catalogue.categories(tx)},
            labels={label.code: label for label in await queries.labels(tx)},
            markets=markets,
            deliveries=deliveries,
            trials={(r.market, r.category_id): r for r in await returns.trial_rules(tx)},
            ways=await _ways(tx, markets),
        )
    _frames[db] = frame
    return frame


async def _ways(tx: Tx, markets: Mapping[str, pricing.Market]) -> dict[str, frozenset[str]]:
    """Where there is something to get in a market. A page without anything isn't offered."""
    deals = {d.promotion.terms.conditions.currency for d in await promotions.deals(tx)}
    here = {
        "/deals": {c for c, m in markets.items() if not deals.isdisjoint(("", m.currency))},
        "/bargains": {b.market for b in await social.running_bargain_campaigns(tx)},
        "/newcomers": {o.market for o in await newcomers.offers(tx) if o.is_on},
        "/days": {d.market for d in await bigdays.calendar(tx, shown_only=True)},
    }
    return {c: frozenset(path for path, there in here.items() if c in there) for c in markets}


def market_of(call: Call, frame: Frame) -> pricing.Market:
    """Where the reader buys: what they chose, else where their language is at home."""
    chosen = frame.markets.get(call.cookies.get(MARKET_COOKIE, ""))
    if chosen is not None:
        return chosen
    return home_market(frame, call.language)


def home_market(frame: Frame, language: str) -> pricing.Market:
    """The market of the page at this address for somebody who has chosen none: what a search
    engine sees."""
    for code in FIRST_MARKETS.get(language, ()):
        if code in frame.markets:
            return frame.markets[code]
    same = [m for m in frame.markets.values() if m.language == language]
    return (same or list(frame.markets.values()))[0]


async def surroundings(call: Call) -> dict[str, Any]:
    """What the frame of every page of the shop shows. One statement for a caller with a cart."""
    frame = await frame_of(call.db)
    units = 0
    if call.caller.person_id is not None:
        async with call.db.reading() as tx:
            units = await orders.pieces_in_cart(tx, call.caller.person_id)
    found: dict[str, Any] = {
        "categories": [
            {
                "name": said(c.name, call.language),
                "path": f"/c/{c.slug}",
                "current": call.exchange.path == f"/c/{c.slug}",
            }
            for c in frame.children(None)
        ],
        "buyer": {"name": ""} if call.caller.is_known else None,
        "cart_units": units,
    }
    if frame.markets:
        here = market_of(call, frame)
        found["market"] = here
        found["ways"] = frame.ways[here.code]
        found["markets"] = [
            (m.code, f"{said(m.name, call.language)} · {m.currency}")
            for m in frame.markets.values()
            if m.code == here.code or m.code in frame.deliveries
        ]
    return found
