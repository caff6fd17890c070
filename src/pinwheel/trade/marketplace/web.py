"""The routes of offers and their prices for programs."""

from __future__ import annotations

import datetime as dt
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import NotFound, Refusal
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, Each, each, get, put
from pinwheel.trade import pricing
from pinwheel.trade.marketplace import actions, queries
from pinwheel.trade.marketplace.model import (
    OWN_SELLER_ID,
    Condition,
    Offer,
    OfferDraft,
    OfferUnknown,
    OfferUnsound,
    Seller,
)
from pinwheel.trade.pricing import NewPrice, PastPrice, PriceJump, PriceSet

READ, WRITE = "catalogue:read", "catalogue:write"
TAGS = ("offers and prices",)
Limit = Annotated[int, Meta(ge=1, le=200)]
Cursor = Annotated[str, Meta(max_length=500)]
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$")]
Minor = Annotated[int, Meta(ge=0, le=10**15)]
When = Annotated[dt.datetime, Meta(tz=True)]


class OfferInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An offer as it shall be; the shop's own without ``seller_id``. It is named by its seller,
    variant and condition. ``active`` false takes it from sale."""

    variant_id: UUID
    seller_id: UUID = OWN_SELLER_ID
    condition: Condition = "new"
    active: bool = True
    max_per_order: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None


class Offers(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    offers: Annotated[list[OfferInput], Meta(min_length=1, max_length=200)]


class PriceInput(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A price in minor units. ``starts_at``: now without it; ``ends_at``: until another starts
    without it. ``confirmed``: more than ten times up or down is meant."""

    offer_id: UUID
    currency: Currency
    price_minor: Minor
    list_price_minor: Minor | None = None
    starts_at: When | None = None
    ends_at: When | None = None
    reason: Annotated[str, Meta(max_length=500)] = ""
    confirmed: bool = False


class Prices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    prices: Annotated[list[PriceInput], Meta(min_length=1, max_length=1000)]


@get("/api/v1/sellers", scope=READ, tags=TAGS)
async def list_sellers(
    tx: Tx, after: Cursor | None = None, limit: Limit = 50
) -> Answer[Page[Seller]]:
    """Who sells here: the shop itself and third parties, in the order of slug."""
    return Answer(await queries.sellers(tx, cursor=after, limit=limit))


@get("/api/v1/offers", scope=READ, tags=TAGS)
async def list_offers(
    tx: Tx,
    seller_id: UUID = OWN_SELLER_ID,
    variant_id: Annotated[list[UUID], Meta(max_length=200)] | None = None,
    after: Cursor | None = None,
    limit: Limit = 50,
) -> Answer[Page[Offer]]:
    """The offers of one seller, paused ones too; of some variants, when they are named."""
    found = await queries.offers_of(
        tx, seller_id, variant_ids=variant_id or (), cursor=after, limit=limit
    )
    return Answer(found)


@put("/api/v1/offers", scope=WRITE, refusals=(OfferUnsound,), tags=TAGS)
async def save_offers(call: Call, tx: Tx, data: Offers) -> Answer[list[Each[Offer]]]:
    """Make offers or change them, each for itself."""
    drafts = [OfferDraft(**msgspec.structs.asdict(one)) for one in data.offers]
    return Answer(each(await actions.save_offers(tx, drafts), call.language))


@put(
    "/api/v1/prices",
    scope=WRITE,
    refusals=(OfferUnknown, PriceJump, pricing.BelowFloor),
    tags=TAGS,
)
async def set_prices(call: Call, tx: Tx, data: Prices) -> Answer[list[Each[PriceSet]]]:
    """Set prices now or from a time on, each for itself. A price more than ten times up or down is
    refused until it comes ``confirmed``; what was asked before stays in the history."""
    known = await queries.known_offers(tx, (one.offer_id for one in data.prices))
    wanted = [NewPrice(**msgspec.structs.asdict(p)) for p in data.prices if p.offer_id in known]
    answers = iter(await pricing.set_prices(tx, wanted))
    told: list[PriceSet | Refusal] = [
        next(answers) if one.offer_id in known else OfferUnknown() for one in data.prices
    ]
    return Answer(each(told, call.language))


@get("/api/v1/offers/{offer_id:uuid}/prices", scope=READ, tags=TAGS)
async def list_prices(
    tx: Tx, offer_id: UUID, currency: Currency, after: Cursor | None = None, limit: Limit = 50
) -> Answer[Page[PastPrice]]:
    """Every price of an offer, planned ones too, the latest start first."""
    if offer_id not in await queries.known_offers(tx, [offer_id]):
        raise NotFound(what="offer")
    return Answer(await pricing.history(tx, offer_id, currency, cursor=after, limit=limit))
