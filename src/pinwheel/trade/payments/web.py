"""The doors of payments: providers' webhooks, a person's stored methods, and the page on which the
sandbox plays the buyer's bank."""

from __future__ import annotations

import datetime as dt
from typing import Annotated
from urllib.parse import urlsplit
from uuid import UUID

import msgspec

from pinwheel.kernel import words
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import NotFound, Refusal
from pinwheel.kernel.web import Answer, Call, File, See, delete, get, post
from pinwheel.trade.payments import methods
from pinwheel.trade.payments.methods import ShownMethod, without_token
from pinwheel.trade.payments.model import CardNumberRefused, Delivery, WebhookRefused
from pinwheel.trade.payments.port import providers_of
from pinwheel.trade.payments.sandbox import Sandbox
from pinwheel.trade.payments.sandbox.page import challenge_page
from pinwheel.trade.payments.webhooks import receive

Short = Annotated[str, msgspec.Meta(max_length=100)]


class Received(msgspec.Struct, frozen=True):
    """``notices``: how many this call brought; a copy of an earlier one changes nothing."""

    notices: int


@post(
    "/api/v1/webhooks/payments/{provider:str}",
    csrf=False,
    anonymous=True,
    body_bytes=262_144,
    refusals=(WebhookRefused,),
    tags=("payments",),
)
async def webhook(call: Call, tx: Tx, provider: str) -> Answer[Received]:
    """Take in a provider's notice. Answered with 2xx only once it is committed."""
    delivery = Delivery({k.lower(): v for k, v in call.headers.items()}, await call.body())
    (answer,) = await receive(tx, provider, [delivery])
    if isinstance(answer, Refusal):
        raise answer
    return Answer(Received(answer))


class NewMethod(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A provider's token, never a card number, with what it is recognised by."""

    provider: Short
    token: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    brand: Short
    last4: Annotated[str, msgspec.Meta(pattern="^([0-9]{4})?$")] = ""
    expires_on: dt.date | None = None
    is_default: bool = False


class SavedMethod(msgspec.Struct, frozen=True):
    id: UUID


@get("/api/v1/me/payment-methods", tags=("payments",))
async def my_methods(call: Call, tx: Tx) -> Answer[list[ShownMethod]]:
    """The caller's own stored methods, without their tokens."""
    found = await methods.methods_of(tx, call.caller.person())
    return Answer([without_token(m) for m in found])


@post(
    "/api/v1/me/payment-methods",
    once=True,
    status=201,
    refusals=(CardNumberRefused,),
    tags=("payments",),
)
async def keep_method(call: Call, tx: Tx, data: NewMethod) -> Answer[SavedMethod]:
    """Store a provider's token to pay with again."""
    saved = await methods.save_method(
        tx,
        call.caller.person(),
        provider=data.provider,
        token=data.token,
        brand=data.brand,
        last4=data.last4,
        expires_on=data.expires_on,
        is_default=data.is_default,
    )
    if isinstance(saved, Refusal):
        raise saved
    return Answer(SavedMethod(saved))


@post("/api/v1/me/payment-methods/{method_id:uuid}/default", status=204, tags=("payments",))
async def prefer_method(call: Call, tx: Tx, method_id: UUID) -> Answer[None]:
    """Use this stored method first."""
    if not await methods.set_default_method(tx, call.caller.person(), method_id):
        raise NotFound(what="payment method")
    return Answer(None)


@delete("/api/v1/me/payment-methods/{method_id:uuid}", status=204, tags=("payments",))
async def forget_method(call: Call, tx: Tx, method_id: UUID) -> Answer[None]:
    """Take a stored method away."""
    if not await methods.remove_method(tx, call.caller.person(), method_id):
        raise NotFound(what="payment method")
    return Answer(None)


# The sandbox's own page: it is the outside world, so it has no part of the shop's frame.


class Decision(msgspec.Struct, frozen=True):
    """``in_time``: false for a bank that says only now what it had let through before."""

    approve: bool
    in_time: bool = True


@get("/sandbox/payments/{payment_id:uuid}", anonymous=True)
async def challenge(call: Call, db: Database, payment_id: UUID) -> File:
    page = await _sandbox(db).page(payment_id)
    amount = words.money(page.amount_minor, page.currency, call.language)
    return File(challenge_page(page, call.language, amount).encode(), "text/html; charset=utf-8")


@post("/sandbox/payments/{payment_id:uuid}", csrf=False)
async def decide(call: Call, db: Database, payment_id: UUID, data: Decision) -> See[None]:
    """The simulated buyer's answer; then back to the shop. The payment's id is the only secret
    there is, and no money moves. Who scanned a code stays on the phone's page."""
    page = await _sandbox(db).decide(payment_id, approve=data.approve, in_time=data.in_time)
    if page.scans:
        return See(f"/sandbox/payments/{payment_id}")
    return See(_own_path(page.return_url) or f"/sandbox/payments/{payment_id}")


def _sandbox(db: Database) -> Sandbox:
    found = providers_of(db).get("sandbox")
    if not isinstance(found, Sandbox):
        raise NotFound(what="page")
    return found


def _own_path(url: str) -> str:
    """The path of the way back, without host and language: never away from this shop."""
    parts = urlsplit(url)
    first, _, rest = parts.path.removeprefix("/").partition("/")
    path = f"/{rest}" if first in words.LOCALES else parts.path
    if not path.startswith("/") or path.startswith("//"):
        return ""
    return f"{path}?{parts.query}" if parts.query else path
