"""Gift cards for programs: giving out, looking up, blocking, what is owed on them."""

from __future__ import annotations

import datetime as dt
from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import NotFound
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, delete, get, post, put
from pinwheel.trade import payments, pricing
from pinwheel.trade.payments import (
    GiftBatch,
    GiftBatchExists,
    GiftCard,
    GiftCardIs,
    GiftPolicy,
    Liability,
    MadeCard,
)

READ, BLOCK, MONEY = "orders:read", "orders:write", "money"
TAGS = ("gift cards",)
Why = Annotated[str, Meta(min_length=1, max_length=200)]


class NewBatch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Cards that nobody pays for, at the shop's expense. ``id`` names the batch: sent again, it is
    refused and nothing is given out twice. ``face_minor`` is in the market's currency; without
    ``expires_on``, their last day, the market's policy holds."""

    id: UUID
    market: Annotated[str, Meta(min_length=1, max_length=20)]
    face_minor: Annotated[int, Meta(ge=1, le=10**12)]
    size: Annotated[int, Meta(ge=1, le=payments.MOST_IN_BATCH)]
    reason: Why
    expires_on: dt.date | None = None


class MadeBatch(msgspec.Struct, frozen=True):
    """The cards with their codes, which are on this answer alone."""

    id: UUID
    cards: list[MadeCard]


class Reason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    reason: Why


class NewPolicy(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many days cards given out from now on are good for; null: for ever."""

    valid_days: Annotated[int, Meta(ge=1, le=36_500)] | None


class Policy(msgspec.Struct, frozen=True):
    market: str
    valid_days: int | None


async def _standing(tx: Tx, card_id: UUID) -> Answer[GiftCard]:
    return Answer(await payments.gift_card_of(tx, card_id))


async def _market(tx: Tx, code: str) -> pricing.Market:
    found = (await pricing.markets(tx)).get(code)
    if found is None:
        raise NotFound(what="market")
    return found


@get("/api/v1/gift-cards", scope=READ, tags=TAGS)
async def list_cards(
    tx: Tx,
    last4: Annotated[str, Meta(max_length=8)] | None = None,
    after: Annotated[str, Meta(max_length=200)] | None = None,
    limit: Annotated[int, Meta(ge=1, le=200)] = 50,
) -> Answer[Page[GiftCard]]:
    """The cards, the newest first; ``last4``: those whose code ends so."""
    wanted = (last4 or "").strip().upper() or None
    return Answer(await payments.gift_card_list(tx, last4=wanted, cursor=after, limit=limit))


@get("/api/v1/gift-cards/{card_id:uuid}", scope=READ, tags=TAGS)
async def one_card(tx: Tx, card_id: UUID) -> Answer[GiftCard]:
    """A card with what is on it; never its code."""
    return await _standing(tx, card_id)


@post("/api/v1/gift-cards/{card_id:uuid}/block", scope=BLOCK, tags=TAGS, refusals=(GiftCardIs,))
async def block(tx: Tx, card_id: UUID, data: Reason) -> Answer[GiftCard]:
    """Nobody can pay with it any more; what is on it stays. Safe to repeat."""
    await payments.block_gift_card(tx, card_id, data.reason)
    return await _standing(tx, card_id)


@post("/api/v1/gift-cards/{card_id:uuid}/unblock", scope=MONEY, tags=TAGS)
async def unblock(tx: Tx, card_id: UUID, data: Reason) -> Answer[GiftCard]:
    """It can be paid with again. Safe to repeat."""
    await payments.unblock_gift_card(tx, card_id, data.reason)
    return await _standing(tx, card_id)


@post(
    "/api/v1/gift-cards/{card_id:uuid}/replace",
    scope=MONEY,
    status=201,
    tags=TAGS,
    refusals=(GiftCardIs,),
)
async def replace(tx: Tx, card_id: UUID, data: Reason) -> Answer[MadeCard]:
    """What is left on a blocked card, on a new one, whose code is on this answer alone. Where the
    answer is lost, block the new card (it is the newest in the list) and replace that one."""
    return Answer(await payments.replace_gift_card(tx, card_id, data.reason))


@get("/api/v1/gift-batches", scope=READ, tags=TAGS)
async def list_batches(tx: Tx) -> Answer[list[GiftBatch]]:
    """The latest 50 batches that were given out, and why."""
    return Answer(await payments.gift_batches(tx))


@post("/api/v1/gift-batches", scope=MONEY, status=201, tags=TAGS, refusals=(GiftBatchExists,))
async def give_out(tx: Tx, data: NewBatch) -> Answer[MadeBatch]:
    """Give cards out."""
    market = await _market(tx, data.market)
    made, cards = await payments.make_gift_cards(
        tx,
        data.size,
        data.face_minor,
        market.currency,
        market=data.market,
        reason=data.reason,
        expires_on=data.expires_on,
        batch_id=data.id,
    )
    return Answer(MadeBatch(made, cards))


@get("/api/v1/gift-liability", scope=READ, tags=TAGS)
async def liability(tx: Tx) -> Answer[list[Liability]]:
    """What the shop owes to those who hold cards, by currency, from the ledger."""
    return Answer(await payments.gift_liability(tx))


@get("/api/v1/gift-policies", scope=READ, tags=TAGS)
async def list_policies(tx: Tx) -> Answer[list[GiftPolicy]]:
    """The markets whose cards expire."""
    return Answer(await payments.gift_policies(tx))


@put("/api/v1/gift-policies/{market:str}", scope=MONEY, tags=TAGS)
async def set_policy(tx: Tx, market: str, data: NewPolicy) -> Answer[Policy]:
    """How long cards of a market are good for from now on."""
    await _market(tx, market)
    await payments.set_gift_policy(tx, market, data.valid_days)
    return Answer(Policy(market, data.valid_days))


@get("/api/v1/gift-products", scope=READ, tags=TAGS)
async def list_products(tx: Tx) -> Answer[list[UUID]]:
    """The variants whose pieces are gift cards worth their price."""
    return Answer(sorted(await payments.gift_variants(tx)))


@put("/api/v1/gift-products/{variant_id:uuid}", scope=MONEY, status=204, tags=TAGS)
async def sell(tx: Tx, variant_id: UUID) -> Answer[None]:
    """A piece of this variant is a gift card from now on. Safe to repeat."""
    await payments.mark_gift_product(tx, variant_id)
    return Answer(None)


@delete("/api/v1/gift-products/{variant_id:uuid}", scope=MONEY, status=204, tags=TAGS)
async def sell_no_more(tx: Tx, variant_id: UUID) -> Answer[None]:
    """A piece of this variant is an ordinary thing from now on. Safe to repeat."""
    await payments.mark_gift_product(tx, variant_id, is_gift=False)
    return Answer(None)
