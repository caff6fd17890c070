"""One-click routes: the switch, the quote for the button, the tap and its undo."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec

from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Invalid
from pinwheel.kernel.web import Answer, Call, get, post, put
from pinwheel.trade.orders import one_click_actions
from pinwheel.trade.orders.cart import NoAddress
from pinwheel.trade.orders.draft import (
    Quote,
)
from pinwheel.trade.orders.model import (
    AboveLimit,
    NoTender,
    Order,
    OrderNotCancellable,
    PaymentDeclined,
    StaleQuote,
)
from pinwheel.trade.orders.one_click import (
    OneClickOff,
    SignInAgain,
    Switch,
    Tap,
    Tapped,
    Terms,
    TooManyTaps,
    UndoOver,
)
from pinwheel.trade.orders.one_click_buying import one_click_quote, tap_once
from pinwheel.trade.orders.one_click_travel import CarriesOthers

Code = Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
Quantity = Annotated[int, msgspec.Meta(ge=1, le=100_000)]
Minor = Annotated[int, msgspec.Meta(ge=1, le=10**15)]
Seconds = Annotated[int, msgspec.Meta(ge=0, le=86_400)]


class OneClickSwitch(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``wording`` is the sentence the person agreed to, as it was shown."""

    is_on: bool
    market: Code
    wording: Annotated[str, msgspec.Meta(max_length=1000)] = ""
    most_minor: Minor | None = None


class OneClickTap(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``key`` (or ``Idempotency-Key``) is the tap's own; ``quote`` or the total is what it
    showed."""

    offer_id: UUID
    quantity: Quantity = 1
    key: Annotated[str, msgspec.Meta(max_length=100)] = ""
    quote: Annotated[str, msgspec.Meta(max_length=64)] | None = None
    total_minor: Annotated[int, msgspec.Meta(ge=0, le=10**15)] | None = None
    currency: Annotated[str, msgspec.Meta(pattern="^([A-Z]{3})?$")] = ""
    return_url: Annotated[str, msgspec.Meta(max_length=500)] = ""


class OneClickTerms(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the shop allows in a market."""

    market: Code
    undo_seconds: Seconds
    most_minor: Minor
    per_hour: Annotated[int, msgspec.Meta(ge=1, le=10_000)]
    session_seconds: Annotated[int, msgspec.Meta(ge=60, le=366 * 86_400)]
    join_seconds: Seconds


class OneClick(msgspec.Struct, frozen=True):
    """What the person chose, and the shop's terms there."""

    switch: Switch | None
    terms: Terms


class Undone(msgspec.Struct, frozen=True):
    order_id: UUID
    number: str
    state: str
    refunded_minor: int


@get("/api/v1/one-click", tags=("One-click",))
async def see(call: Call, tx: Tx) -> Answer[OneClick]:
    """Is one-click ordering on, and up to how much?"""
    chosen = await one_click_actions.switch_of(tx, call.caller.person())
    terms = await one_click_actions.terms_of(tx, chosen.market if chosen else "")
    return Answer(OneClick(chosen, terms))


@put("/api/v1/one-click", tags=("One-click",))
async def switch(call: Call, tx: Tx, data: OneClickSwitch) -> Answer[OneClick]:
    """Switch one-click ordering on or off for oneself."""
    person_id = call.caller.person()
    if data.is_on and not data.wording:
        raise Invalid("wording", "say what was agreed to", "请提供用户同意的条款文字")
    await one_click_actions.switch(
        tx,
        person_id,
        data.is_on,
        market=data.market,
        wording=data.wording,
        most_minor=data.most_minor,
    )
    chosen = await one_click_actions.switch_of(tx, person_id)
    return Answer(OneClick(chosen, await one_click_actions.terms_of(tx, data.market)))


@get(
    "/api/v1/one-click/quote",
    tags=("One-click",),
    refusals=(OneClickOff, SignInAgain, NoAddress, NoTender),
)
async def quote(call: Call, tx: Tx, offer_id: UUID, quantity: Quantity = 1) -> Answer[Quote]:
    """What a tap would cost now; its token goes into the button."""
    return Answer(await one_click_quote(tx, call.caller, offer_id, quantity))


@post(
    "/api/v1/one-click/orders",
    status=201,
    tags=("One-click",),
    refusals=(
        *(OneClickOff, SignInAgain, TooManyTaps, AboveLimit, NoAddress, NoTender),
        *(StaleQuote, PaymentDeclined),
    ),
)
async def tap(call: Call, db: Database, data: OneClickTap) -> Answer[Tapped]:
    """Order with one tap. A repeat of the tap answers with the same order."""
    wanted = Tap(
        key=call.idempotency_key or data.key,
        offer_id=data.offer_id,
        quantity=data.quantity,
        quote=data.quote,
        total_minor=data.total_minor,
        currency=data.currency,
        return_url=data.return_url,
    )
    tapped = await tap_once(db, call.caller, wanted)
    return Answer(tapped)


@post(
    "/api/v1/one-click/orders/{order_id:uuid}/undo",
    tags=("One-click",),
    refusals=(UndoOver, CarriesOthers, OrderNotCancellable),
)
async def undo(call: Call, tx: Tx, order_id: UUID) -> Answer[Undone]:
    """Take it back while nothing has left."""
    order: Order = await one_click_actions.undo(tx, call.caller.person(), order_id)
    return Answer(Undone(order.id, order.number, order.state, order.refunded_minor))


@put("/api/v1/one-click/terms", scope="settings", status=204, tags=("One-click",))
async def set_terms(tx: Tx, data: OneClickTerms) -> Answer[None]:
    """What the shop allows in a market: limits, the undo window, how long orders join."""
    terms = Terms(
        data.undo_seconds, data.most_minor, data.per_hour, data.session_seconds, data.join_seconds
    )
    await one_click_actions.set_terms(tx, data.market, terms)
    return Answer(None)
