"""Gift cards in the console: what is owed on them, giving out, looking up, blocking."""

from __future__ import annotations

import datetime as dt
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.faces.console.frame import attempt, shown, with_query
from pinwheel.faces.console.money import minor_of
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid, NotFound
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, See, get, post
from pinwheel.trade import payments, pricing

READ, WRITE = "orders:read", "money"
HERE = "/console/gift-cards"
Reason = Annotated[str, Meta(min_length=1, max_length=200)]


class Desk(msgspec.Struct, frozen=True):
    liability: list[payments.Liability]
    cards: Page[payments.GiftCard]
    batches: list[payments.GiftBatch]
    policies: list[payments.GiftPolicy]


@get(HERE, scope=READ)
async def gift_cards_page(
    call: Call,
    tx: Tx,
    last4: Annotated[str, Meta(max_length=8)] = "",
    after: Annotated[str, Meta(max_length=200)] | None = None,
) -> Answer[Desk]:
    """The liability by currency, the cards (by the last four letters of a code), the batches."""
    wanted = last4.strip().upper() or None
    desk = Desk(
        await payments.gift_liability(tx),
        await payments.gift_card_list(tx, last4=wanted, cursor=after),
        await payments.gift_batches(tx),
        await payments.gift_policies(tx),
    )
    markets = [m for m in (await pricing.markets(tx)).values() if m.active]
    following = with_query(HERE, last4=last4, after=desk.cards.next) if desk.cards.next else None
    return await shown(
        call,
        tx,
        desk,
        "gift_cards",
        call.say("Gift cards"),
        "gift-cards",
        last4=last4,
        markets=markets,
        next_path=following,
        first_path=with_query(HERE, last4=last4) if after else None,
    )


class Codes(msgspec.Struct, frozen=True):
    """Codes that were just made; nobody can see them again."""

    cards: list[payments.MadeCard]


class IssueForm(msgspec.Struct):
    market: Annotated[str, Meta(min_length=1, max_length=20)]
    amount: Annotated[str, Meta(max_length=20)]
    size: Annotated[int, Meta(ge=1, le=1000)]
    reason: Reason
    expires_on: Annotated[str, Meta(max_length=10)] = ""


@post(HERE, scope=WRITE)
async def issue(call: Call, tx: Tx, data: IssueForm) -> Answer[Codes]:
    """Cards that nobody paid for, at the shop's expense. Their codes are on this answer alone."""
    market = (await pricing.markets(tx)).get(data.market)
    if market is None:
        raise NotFound(what="market")
    try:
        until = dt.date.fromisoformat(data.expires_on) if data.expires_on else None
    except ValueError as error:
        raise Invalid(
            "expires_on", "write a date such as 2026-12-31", "日期格式应为 2026-12-31"
        ) from error
    _, cards = await payments.make_gift_cards(
        tx,
        data.size,
        minor_of(data.amount, market.currency),
        market.currency,
        market=data.market,
        reason=data.reason,
        expires_on=until,
    )
    return await _codes(call, tx, cards)


async def _codes(call: Call, tx: Tx, cards: list[payments.MadeCard]) -> Answer[Codes]:
    title = call.say("Gift card codes")
    return await shown(call, tx, Codes(cards), "gift_codes", title, "gift-cards")


class ReasonForm(msgspec.Struct):
    reason: Reason


@post(f"{HERE}/{{card_id:uuid}}/block", scope="orders:write")
async def block(call: Call, db: Database, card_id: UUID, data: ReasonForm) -> See[Any]:
    """Nobody can pay with it: for a clerk too, because a stolen card does not wait."""

    async def verb(tx: Tx) -> bool:
        return await payments.block_gift_card(tx, card_id, data.reason)

    return await attempt(call, db, verb, HERE, call.say("Blocked."))


@post(f"{HERE}/{{card_id:uuid}}/unblock", scope=WRITE)
async def unblock(call: Call, db: Database, card_id: UUID, data: ReasonForm) -> See[Any]:
    async def verb(tx: Tx) -> bool:
        return await payments.unblock_gift_card(tx, card_id, data.reason)

    return await attempt(call, db, verb, HERE, call.say("It can be used again."))


@post(f"{HERE}/{{card_id:uuid}}/replace", scope=WRITE)
async def replace(call: Call, tx: Tx, card_id: UUID, data: ReasonForm) -> Answer[Codes]:
    """What is left on a blocked card, on a new one."""
    return await _codes(call, tx, [await payments.replace_gift_card(tx, card_id, data.reason)])


class PolicyForm(msgspec.Struct):
    market: Annotated[str, Meta(min_length=1, max_length=20)]
    valid_days: Annotated[int, Meta(ge=0, le=36500)] = 0


@post(f"{HERE}/policy", scope=WRITE)
async def set_policy(call: Call, db: Database, data: PolicyForm) -> See[Any]:
    """How long cards of a market are good for from now on; 0: for ever."""

    async def verb(tx: Tx) -> None:
        if data.market not in await pricing.markets(tx):
            raise NotFound(what="market")
        await payments.set_gift_policy(tx, data.market, data.valid_days or None)

    return await attempt(call, db, verb, HERE, call.say("Saved."))


class ProductForm(msgspec.Struct):
    variant_id: UUID
    is_gift: bool = False


@post(f"{HERE}/products", scope=WRITE)
async def mark_product(call: Call, db: Database, data: ProductForm) -> See[Any]:
    """A piece of this variant is a gift card worth its price, or no more."""

    async def verb(tx: Tx) -> None:
        await payments.mark_gift_product(tx, data.variant_id, is_gift=data.is_gift)

    return await attempt(call, db, verb, HERE, call.say("Saved."))
