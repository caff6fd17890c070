"""Gift cards and cash in the open API: the cards a person keeps, a clerk's till."""

from __future__ import annotations

import datetime as dt
from typing import Annotated
from uuid import UUID

import msgspec

from pinwheel.ground import identity
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import NotFound
from pinwheel.kernel.web import Answer, Call, delete, get, post
from pinwheel.trade.payments import cash_queries, cash_taking, gift_cards, gift_queries
from pinwheel.trade.payments.actions import take_cash
from pinwheel.trade.payments.gifts import (
    GiftCard,
    GiftCardBlockedNow,
    GiftCardExpired,
    GiftCodeInUse,
    GiftCodeMistyped,
    GiftCodeUnknown,
    MadeCard,
)
from pinwheel.trade.payments.tills import (
    CashAlreadyTaken,
    CashAmountDiffers,
    CashCodeUnknown,
    CashOrderEnded,
    NothingOwed,
    Receipt,
    Till,
    TillClosed,
    TillCount,
    TillMoved,
    TillOtherCurrency,
    TillTooLow,
)

Minor = Annotated[int, msgspec.Meta(ge=1, le=10**15)]
MinorOrNone = Annotated[int, msgspec.Meta(ge=0, le=10**15)]
TILL = "till"


class TypedCode(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A gift card's code as it was typed."""

    code: Annotated[str, msgspec.Meta(min_length=1, max_length=60)]

    def __repr__(self) -> str:
        return "TypedCode()"


class ShownCard(msgspec.Struct, frozen=True, kw_only=True):
    """A card that the caller keeps or bought; its ``id`` is the token to pay with, by provider
    ``gift_card``, without an amount for as much as there is."""

    id: UUID
    last4: str
    state: str
    balance_minor: int
    currency: str
    expires_on: dt.date | None


def shown(card: GiftCard) -> ShownCard:
    return ShownCard(
        id=card.id,
        last4=card.last4,
        state=card.state,
        balance_minor=card.balance_minor,
        currency=card.currency,
        expires_on=card.expires_on,
    )


async def entered(call: Call, db: Database, code: str) -> GiftCard:
    """A code that was typed, counted before it is looked up, whatever comes of it."""
    who = str(call.caller.person_id or call.caller.session_id or "nobody")
    async with db.transaction(actor=call.caller.actor) as tx:
        await gift_cards.count_gift_guess(tx, call.address, who)
    async with db.transaction(actor=call.caller.actor, request_id=call.request_id) as tx:
        person_id = await identity.guest_of(tx, call.caller, call.token)
        return await gift_cards.keep_gift_card(tx, person_id, code)


@get("/api/v1/me/gift-cards", tags=("payments",))
async def my_cards(call: Call, tx: Tx) -> Answer[list[ShownCard]]:
    """The gift cards whose code the caller has entered, with what is on them."""
    found = await gift_queries.kept_gift_cards(tx, call.caller.person())
    return Answer([shown(c) for c in found])


@post(
    "/api/v1/me/gift-cards",
    status=201,
    refusals=(GiftCodeMistyped, GiftCodeUnknown, GiftCardBlockedNow, GiftCardExpired),
    tags=("payments",),
)
async def keep_card(call: Call, db: Database, data: TypedCode) -> Answer[ShownCard]:
    """Enter a code: the card can be paid with from now on. Few tries, then one a minute."""
    return Answer(shown(await entered(call, db, data.code)))


@delete("/api/v1/me/gift-cards/{card_id:uuid}", status=204, tags=("payments",))
async def drop_card(call: Call, tx: Tx, card_id: UUID) -> Answer[None]:
    """Keep a card no more; what is on it stays there."""
    if not await gift_cards.drop_gift_card(tx, call.caller.person(), card_id):
        raise NotFound(what="gift card")
    return Answer(None)


@post(
    "/api/v1/me/bought-gift-cards/{card_id:uuid}/code",
    refusals=(GiftCodeInUse, GiftCardBlockedNow, GiftCardExpired),
    tags=("payments",),
)
async def show_code(call: Call, tx: Tx, card_id: UUID) -> Answer[MadeCard]:
    """A code for a card that the caller bought, shown this once; an earlier one works no more."""
    return Answer(await gift_cards.show_gift_code(tx, call.caller.person(), card_id))


class Taking(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Cash of one order. ``key`` names this taking once: sent again it answers with its receipt."""

    code: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
    amount_minor: Minor
    key: UUID


class Count(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A count. ``seen_minor``: what the till should have held when the counting began."""

    counted_minor: MinorOrNone
    seen_minor: MinorOrNone
    banked_minor: MinorOrNone = 0
    reason: Annotated[str, msgspec.Meta(max_length=200)] = ""
    closes: bool = True


@get("/api/v1/tills", scope=TILL, tags=("till",))
async def list_tills(tx: Tx) -> Answer[list[Till]]:
    """The tills with what should be in them."""
    return Answer(await cash_queries.tills(tx))


@post(
    "/api/v1/tills/{till_id:uuid}/takings",
    scope=TILL,
    status=201,
    refusals=(
        CashCodeUnknown,
        CashAmountDiffers,
        CashAlreadyTaken,
        CashOrderEnded,
        TillClosed,
        TillOtherCurrency,
    ),
    tags=("till",),
)
async def take(tx: Tx, till_id: UUID, data: Taking) -> Answer[Receipt]:
    """Take the cash of an order against a receipt; the order goes on."""
    return Answer(await take_cash(tx, data.code, till_id, data.amount_minor, key=data.key))


@post(
    "/api/v1/tills/{till_id:uuid}/payouts",
    scope=TILL,
    status=201,
    refusals=(CashCodeUnknown, NothingOwed, TillTooLow, TillClosed, TillOtherCurrency),
    tags=("till",),
)
async def hand_out(tx: Tx, till_id: UUID, data: Taking) -> Answer[Receipt]:
    """Hand a buyer the cash that a refund put ready for them."""
    return Answer(
        await cash_taking.pay_out_cash(tx, data.code, till_id, data.amount_minor, key=data.key)
    )


@post(
    "/api/v1/tills/{till_id:uuid}/counts",
    scope=TILL,
    status=201,
    refusals=(TillMoved, TillClosed),
    tags=("till",),
)
async def count(tx: Tx, till_id: UUID, data: Count) -> Answer[TillCount]:
    """Count a till; a difference is booked with its reason."""
    return Answer(
        await cash_taking.count_till(
            tx,
            till_id,
            data.counted_minor,
            seen_minor=data.seen_minor,
            banked_minor=data.banked_minor,
            reason=data.reason,
            closes=data.closes,
        )
    )
