"""Stripe behind the port: PaymentIntents by the official SDK.

A payment is two calls: ``create`` (harmless, repeated under the payment's id) and ``confirm``. So a
payment whose answer got lost is found again by repeating ``create``, and can be called off, without
ever being charged by the repeat. Amounts are Stripe's minor units, which differ from ISO 4217's
for a few currencies (``SCALE``)."""

from __future__ import annotations

import asyncio
import datetime as dt
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import urljoin

import httpx2
import msgspec
import stripe

from pinwheel.trade.payments.model import (
    Delivery,
    Notice,
    Outcome,
    Payment,
    Said,
    SettlementRow,
    Step,
    WebhookRefused,
)

log = logging.getLogger("pinwheel.payments.stripe")
T = TypeVar("T")
TOLERANCE_SECONDS = 300
AT_ONCE = 16
SCALE = {"ISK": 100, "UGX": 100}  # counted there with two decimals, of which ISO 4217 knows none
REPORTED = {
    "charge": "capture",
    "payment": "capture",
    "refund": "refund",
    "payment_refund": "refund",
    "payout": "payout",
    "stripe_fee": "fee",
}
OUTCOMES_OF_INTENT: dict[str, Said] = {
    "processing": "pending",
    "requires_confirmation": "pending",
    "requires_action": "needs_action",
    "requires_payment_method": "failed",
    "requires_capture": "authorised",
    "succeeded": "captured",
    "canceled": "voided",
}


class HttpTransport(stripe.HTTPClient):
    """The SDK's way to the network, over the house's HTTP client."""

    name = "httpx2"

    def __init__(self, transport: httpx2.AsyncBaseTransport | None = None) -> None:
        super().__init__()
        self._client = httpx2.AsyncClient(transport=transport, timeout=20.0)

    async def request_async(
        self, method: str, url: str, headers: Mapping[str, str], post_data: Any = None
    ) -> tuple[bytes, int, Mapping[str, str]]:
        try:
            answer = await self._client.request(
                method.upper(), url, headers=dict(headers), content=post_data
            )
        except httpx2.HTTPError as error:
            lost: Any = stripe.APIConnectionError
            raise lost(type(error).__name__) from error
        return answer.content, answer.status_code, answer.headers

    async def sleep_async(self, secs: float) -> None:
        await asyncio.sleep(secs)

    async def close_async(self) -> None:
        await self._client.aclose()


class Stripe:
    """``home`` is the shop's own address, which a way back after a challenge starts with."""

    name = "stripe"
    holds_days = 7  # of most cards

    def __init__(
        self, secret_key: str, webhook_secret: str, transport: HttpTransport, *, home: str = ""
    ) -> None:
        self.home = home
        self.client = stripe.StripeClient(secret_key, http_client=transport, max_network_retries=1)
        self.webhook_secret = webhook_secret
        self._room = asyncio.Semaphore(AT_ONCE)

    def __repr__(self) -> str:
        return "Stripe()"

    async def authorise(self, payments: Sequence[Payment]) -> list[Outcome]:
        return await self._each(payments, self._authorise, lambda p: p.id)

    async def _authorise(self, payment: Payment) -> Outcome:
        intent = await self._create(payment)
        if intent.status == "requires_confirmation":
            intent = await self.client.v1.payment_intents.confirm_async(
                intent.id,
                {"return_url": urljoin(self.home, payment.return_url)}
                if payment.return_url
                else {},
                {"idempotency_key": f"{payment.id}:confirm"},
            )
        return _word(intent, payment.id)

    async def _create(self, payment: Payment) -> Any:
        """The payment's intent as it is now; made if it is not there yet, and not charged by
        that."""
        if payment.provider_ref:
            return await self.client.v1.payment_intents.retrieve_async(payment.provider_ref)
        made = await self.client.v1.payment_intents.create_async(
            {
                "amount": payment.amount_minor * SCALE.get(payment.currency, 1),
                "currency": payment.currency.lower(),
                "payment_method": payment.method,
                "capture_method": "automatic" if payment.captures_at_once else "manual",
                "automatic_payment_methods": {
                    "enabled": True,
                    "allow_redirects": "always" if payment.return_url else "never",
                },
                "metadata": {"payment_id": str(payment.id), "order_id": str(payment.order_id)},
            },
            {"idempotency_key": f"{payment.id}:create"},
        )
        replayed = made.last_response is not None and (
            made.last_response.headers.get("idempotent-replayed") == "true"
        )
        # A replay shows the intent as it was when it was made.
        return await self.client.v1.payment_intents.retrieve_async(made.id) if replayed else made

    async def capture(self, steps: Sequence[Step]) -> list[Outcome]:
        return await self._each(steps, self._capture, lambda s: s.payment.id)

    async def _capture(self, step: Step) -> Outcome:
        mine, payment = step.instruction, step.payment
        amount = mine.amount_minor * SCALE.get(payment.currency, 1)
        try:
            intent = await self.client.v1.payment_intents.capture_async(
                payment.provider_ref,
                {"amount_to_capture": amount},
                {"idempotency_key": str(mine.id)},
            )
        except (stripe.InvalidRequestError, stripe.CardError) as error:
            return Outcome(
                payment_id=payment.id,
                state="capture_failed",
                instruction_id=mine.id,
                reason=_reason(error),
            )
        return msgspec.structs.replace(_word(intent, payment.id), instruction_id=mine.id)

    async def void(self, payments: Sequence[Payment]) -> list[Outcome]:
        return await self._each(payments, self._void, lambda p: p.id)

    async def _void(self, payment: Payment) -> Outcome:
        intent = await self._create(payment)
        if intent.status in ("succeeded", "canceled"):
            return _word(intent, payment.id)
        try:
            intent = await self.client.v1.payment_intents.cancel_async(
                intent.id, {}, {"idempotency_key": f"{payment.id}:cancel"}
            )
        except stripe.InvalidRequestError as error:
            now = await self.client.v1.payment_intents.retrieve_async(intent.id)
            if now.status in ("succeeded", "canceled"):
                return _word(now, payment.id)  # it went through a moment before
            return Outcome(
                payment_id=payment.id,
                state="void_failed",
                provider_ref=intent.id,
                reason=_reason(error),
            )
        return _word(intent, payment.id)

    async def refund(self, steps: Sequence[Step]) -> list[Outcome]:
        return await self._each(steps, self._refund, lambda s: s.payment.id)

    async def _refund(self, step: Step) -> Outcome:
        mine, payment = step.instruction, step.payment
        try:
            made = await self.client.v1.refunds.create_async(
                {
                    "payment_intent": payment.provider_ref,
                    "amount": mine.amount_minor * SCALE.get(payment.currency, 1),
                    "metadata": {"instruction_id": str(mine.id), "payment_id": str(payment.id)},
                },
                {"idempotency_key": str(mine.id)},
            )
        except stripe.InvalidRequestError as error:
            return Outcome(
                payment_id=payment.id,
                state="refund_failed",
                amount_minor=mine.amount_minor,
                instruction_id=mine.id,
                reason=_reason(error),
            )
        return _refund_word(made, payment.id)

    async def look_up(self, payments: Sequence[Payment]) -> list[Outcome]:
        states = await self._each(payments, self._look_up, lambda p: p.id)
        refunds = await asyncio.gather(
            *(self._refunds(p) for p in payments if p.provider_ref), return_exceptions=True
        )
        return states + [w for listed in refunds if isinstance(listed, list) for w in listed]

    async def _look_up(self, payment: Payment) -> Outcome:
        intent = await self._create(payment)
        if intent.status == "requires_confirmation":  # made, never confirmed
            return Outcome(payment_id=payment.id, state="unheard", provider_ref=intent.id)
        return _word(intent, payment.id)

    async def _refunds(self, payment: Payment) -> list[Outcome]:
        found = await self.client.v1.refunds.list_async(
            {"payment_intent": payment.provider_ref, "limit": 100}
        )
        return [_refund_word(one, payment.id) for one in found.data]

    async def parse_webhook(self, delivery: Delivery, now: dt.datetime) -> list[Notice]:
        header = delivery.headers.get("stripe-signature", "")
        try:
            stripe.WebhookSignature.verify_header(delivery.body, header, self.webhook_secret)
            stamp = dict(part.split("=", 1) for part in header.split(","))["t"]
            event = msgspec.json.decode(delivery.body)
            age = abs(now.timestamp() - int(stamp))
        except (stripe.SignatureVerificationError, KeyError, ValueError) as error:
            raise WebhookRefused() from error
        if age > TOLERANCE_SECONDS:
            raise WebhookRefused()
        return [Notice(event["id"], event["type"], _told(event["type"], event["data"]["object"]))]

    async def settlement_rows(self, day: dt.date) -> list[SettlementRow]:
        """The balance transactions that were made on ``day`` (UTC)."""
        begin = int(dt.datetime.combine(day, dt.time(), dt.UTC).timestamp())
        listed = await self.client.v1.balance_transactions.list_async(
            {
                "created": {"gte": begin, "lt": begin + 86_400},
                "limit": 100,
                "expand": ["data.source"],
            }
        )
        rows = []
        async for one in listed.auto_paging_iter():
            row = _settled(one)
            if row is not None:
                rows.append(row)
        return rows

    async def _each(
        self,
        items: Sequence[T],
        ask: Callable[[T], Awaitable[Outcome]],
        payment_id: Callable[[T], uuid.UUID],
    ) -> list[Outcome]:
        return list(await asyncio.gather(*(self._one(i, ask, payment_id(i)) for i in items)))

    async def _one(
        self, item: T, ask: Callable[[T], Awaitable[Outcome]], payment_id: uuid.UUID
    ) -> Outcome:
        """What an error means: a card's is a no, a connection's leaves it open."""
        async with self._room:
            try:
                return await ask(item)
            except stripe.CardError as error:
                return Outcome(payment_id=payment_id, state="failed", reason=_reason(error))
            except (stripe.AuthenticationError, stripe.PermissionError) as error:
                log.error("Stripe refuses the secret key: check PINWHEEL_STRIPE_SECRET_KEY")
                return _refused(item, payment_id, "provider_not_configured", error)
            except stripe.InvalidRequestError as error:
                log.warning("Stripe refused a request: %s", error.code)
                return _refused(item, payment_id, _reason(error), error)
            except stripe.StripeError as error:
                log.warning("Stripe gave no answer: %s", type(error).__name__)
                return Outcome(payment_id=payment_id, state="unknown", reason="no_answer")


def _refused(item: object, payment_id: uuid.UUID, reason: str, error: Exception) -> Outcome:
    """A no to a new payment ends it; a no to anything else leaves it as it is."""
    fresh = isinstance(item, Payment) and item.state == "processing" and not item.provider_ref
    return Outcome(payment_id=payment_id, state="failed" if fresh else "unknown", reason=reason)


def _reason(error: stripe.StripeError) -> str:
    """The bank's own word where there is one; never the message, which may repeat input."""
    declined = getattr(getattr(error, "error", None), "decline_code", None)
    return str(declined or error.code or "declined")


def _plain(told: Any) -> Any:
    """The SDK's object as a dict; a webhook's is one already."""
    return told.to_dict() if isinstance(told, stripe.StripeObject) else told


def _minor(amount: int, currency: str) -> int:
    return int(amount) // SCALE.get(currency.upper(), 1)


def _id(value: Any) -> uuid.UUID | None:
    try:
        return uuid.UUID(str(value)) if value else None
    except ValueError:
        return None


def _word(intent: Any, payment_id: uuid.UUID | None) -> Outcome:
    """A PaymentIntent in the port's words."""
    intent = _plain(intent)
    currency = intent["currency"].upper()
    state = OUTCOMES_OF_INTENT.get(intent["status"], "pending")
    captured = _minor(intent.get("amount_received") or 0, currency)
    had = captured or state in ("authorised", "captured") or _was_authorised(intent)
    error = intent.get("last_payment_error") or {}
    action = intent.get("next_action") or {}
    url = (action.get("redirect_to_url") or {}).get("url") or (
        action.get("wechat_pay_display_qr_code") or {}
    ).get("hosted_instructions_url")
    reason = error.get("decline_code") or error.get("code") or intent.get("cancellation_reason")
    return Outcome(
        payment_id=payment_id or _id((intent.get("metadata") or {}).get("payment_id")),
        state=state,
        authorised_minor=_minor(intent["amount"], currency) if had else 0,
        captured_minor=captured,
        currency=currency,
        provider_ref=intent["id"],
        reason=reason or "",
        action_url=url or "",
    )


def _was_authorised(intent: Any) -> bool:
    """Of a canceled intent: was there a charge that was approved?"""
    return intent["status"] == "canceled" and bool(intent.get("latest_charge"))


def _refund_word(refund: Any, payment_id: uuid.UUID | None) -> Outcome:
    refund = _plain(refund)
    currency = refund["currency"].upper()
    about = refund.get("metadata") or {}
    words: dict[str, Said] = {
        "succeeded": "refunded",
        "failed": "refund_failed",
        "canceled": "refund_failed",
    }
    return Outcome(
        payment_id=payment_id or _id(about.get("payment_id")),
        state=words.get(refund["status"], "pending"),
        amount_minor=_minor(refund["amount"], currency),
        currency=currency,
        instruction_id=_id(about.get("instruction_id")),
        ref=refund["id"],
        provider_ref=str(refund.get("payment_intent") or ""),
        reason=refund.get("failure_reason") or "",
    )


def _told(kind: str, told: Any) -> Outcome | None:
    """What an event says; None for one that is of no interest."""
    if kind.startswith("payment_intent."):
        return _word(told, None)
    if kind.startswith("refund."):
        return _refund_word(told, None)
    if kind in ("charge.dispute.funds_withdrawn", "charge.dispute.closed"):
        won = told["status"] in ("won", "warning_closed")
        closed: Said = "dispute_won" if won else "dispute_lost"
        currency = told["currency"].upper()
        return Outcome(
            payment_id=None,
            state=closed if kind.endswith("closed") else "disputed",
            amount_minor=_minor(told["amount"], currency),
            currency=currency,
            ref=told["id"],
            provider_ref=str(told.get("payment_intent") or ""),
        )
    return None


def _settled(one: Any) -> SettlementRow | None:
    one = _plain(one)
    source = one["source"] if not isinstance(one["source"], str) else {}
    kind = REPORTED.get(one["type"])
    if one["type"] == "adjustment" and str(source.get("id", "")).startswith("du_"):
        kind = "dispute" if one["amount"] < 0 else "dispute_won"
    if kind is None:
        return None
    currency = one["currency"].upper()
    about = source.get("metadata") or {}
    return SettlementRow(
        ref=one["id"],
        kind=kind,
        payment_id=_id(about.get("payment_id")),
        amount_minor=abs(_minor(one["amount"], currency)),
        fee_minor=_minor(one["fee"], currency),
        currency=currency,
        at=dt.datetime.fromtimestamp(one["created"], dt.UTC),
        provider_ref=str(source.get("payment_intent") or ""),
    )
