"""Gift cards in the account and at the checkout; cash at a counter: its code and deadline, and what
waits for the buyer there."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec

from pinwheel.ground import identity
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import NotFound, Refusal
from pinwheel.kernel.web import Answer, Call, See, get, post
from pinwheel.trade import orders, payments

PAGE = "storefront/gift_cards.html"
HERE = "/account/gift-cards"
COUNTER = f"{payments.CASH}:counter"


async def entered(call: Call, db: Database, code: str) -> None:
    """A code that was typed, counted before it is looked up, whatever comes of it."""
    who = str(call.caller.person_id or call.caller.session_id or "nobody")
    async with db.transaction(actor=call.caller.actor) as tx:
        await payments.count_gift_guess(tx, call.address, who)
    async with db.transaction(actor=call.caller.actor, request_id=call.request_id) as tx:
        person_id = await identity.guest_of(tx, call.caller, call.token)
        await payments.keep_gift_card(tx, person_id, code)


class CodeForm(msgspec.Struct):
    code: Annotated[str, msgspec.Meta(max_length=60)] = ""
    back: Annotated[str, msgspec.Meta(max_length=40)] = ""

    def __repr__(self) -> str:
        return "CodeForm()"


@get(HERE)
async def see_cards(call: Call, db: Database, back: str = "") -> Answer[dict[str, Any]]:
    """The cards that are kept here, those that were bought here, and a field for a code."""
    return Answer({**await _page(call, db), "back": back == "checkout"}, page=PAGE)


async def _page(call: Call, db: Database) -> dict[str, Any]:
    kept: list[payments.GiftCard] = []
    bought: list[payments.GiftCard] = []
    person_id = call.caller.person_id
    if person_id is not None:
        async with db.reading() as tx:
            kept = await payments.kept_gift_cards(tx, person_id)
            bought = await payments.bought_gift_cards(tx, person_id)
    return {
        "kept": [card_shown(c) for c in kept],
        "bought": [card_shown(c) for c in bought],
        "here": "gift-cards",
        "title": call.say("Gift cards"),
        "robots": "noindex",
    }


def card_shown(card: payments.GiftCard) -> dict[str, Any]:
    return {
        "id": str(card.id),
        "last4": card.last4,
        "state": card.state,
        "balance_minor": card.balance_minor,
        "currency": card.currency,
        "expires_on": card.expires_on,
    }


@post(HERE, again=HERE)
async def enter(call: Call, db: Database, data: CodeForm) -> Answer[dict[str, Any]] | See[None]:
    """Keep a card by its code; what was typed is not shown again."""
    try:
        await entered(call, db, data.code)
    except Refusal as refusal:
        if not call.wants_page:
            raise
        told = {"code_error": refusal.sentence(call.language)}
        return Answer({**await _page(call, db), **told}, page=PAGE, status=refusal.status)
    return See("/checkout" if data.back == "checkout" else HERE)


@post(f"{HERE}/{{card_id:uuid}}/code", again=HERE)
async def show_code(call: Call, db: Database, card_id: UUID) -> Answer[dict[str, Any]]:
    """The code of a card that was bought here, this once."""
    try:
        async with db.transaction(actor=call.caller.actor, request_id=call.request_id) as tx:
            made = await payments.show_gift_code(tx, call.caller.person(), card_id)
    except NotFound:
        raise
    except Refusal as refusal:
        told = {"code_error": refusal.sentence(call.language)}
        return Answer({**await _page(call, db), **told}, page=PAGE, status=refusal.status)
    return Answer({**await _page(call, db), "code": made.code}, page=PAGE)


@post("/account/orders/{number:str}/credit", again="/account/orders/{number:str}")
async def prefer_credit(call: Call, db: Database, number: str) -> See[None]:
    """Cash that waits at the counter becomes store credit."""
    person_id = call.caller.person()
    async with db.transaction(actor=call.caller.actor, request_id=call.request_id) as tx:
        sight = await orders.order(tx, number=number, person_id=person_id)
        await payments.owed_to_credit(tx, person_id, sight.order.id)
    return See(f"/account/orders/{number}")


async def checkout_tenders(
    call: Call, tx: Tx, chosen: list[str], currency: str
) -> tuple[list[dict[str, Any]], bool]:
    """The cards that can pay here, and whether a counter takes cash."""
    person_id = call.caller.person_id
    cards = await payments.kept_gift_cards(tx, person_id) if person_id is not None else []
    shown = [
        {**card_shown(c), "chosen": str(c.id) in chosen}
        for c in cards
        if c.state == "open" and c.currency == currency and c.balance_minor
    ]
    return shown, currency in await payments.cash_currencies(tx)


async def cash_shown(call: Call, tx: Tx, order: orders.Order) -> dict[str, Any] | None:
    """What the buyer needs at the counter: the code, until when, how much; or what waits there."""
    found = await payments.cash_dues(tx, [order.id])
    if not found:
        return None
    due = found[0]
    waits = order.state == "pending_payment" and not due.captured_minor
    if not waits and not due.owed_minor:
        return None
    return {
        "code": payments.shown_code(due.code),
        "due_at": due.due_at if waits else None,
        "amount_minor": due.amount_minor if waits else due.owed_minor,
        "currency": due.currency,
        "can_credit": not waits and call.caller.is_known,
        "path": f"/account/orders/{order.number}/credit",
    }
