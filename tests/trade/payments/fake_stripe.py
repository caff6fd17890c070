"""The part of Stripe's HTTP interface that is used here, with bodies of the documented shape."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qsl

import httpx2

CARD_ERRORS = {
    "pm_card_visa_chargeDeclined": ("card_declined", "generic_decline"),
    "pm_card_visa_chargeDeclinedInsufficientFunds": ("card_declined", "insufficient_funds"),
    "pm_card_chargeDeclinedExpiredCard": ("expired_card", None),
}


class FakeStripe(httpx2.AsyncBaseTransport):
    def __init__(self) -> None:
        self.intents: dict[str, dict[str, Any]] = {}
        self.refunds: dict[str, dict[str, Any]] = {}
        self.transactions: list[dict[str, Any]] = []
        self.answers: dict[str, tuple[int, Any]] = {}
        self.asked: list[tuple[str, str]] = []
        self.key = "sk_test_right"
        self.cut_before: set[str] = set()  # verbs whose request never arrives
        self.cut_after: set[str] = set()  # verbs whose answer never arrives
        self.status: int | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        path = request.url.path.removeprefix("/v1")
        verb = path.rsplit("/", 1)[-1] if request.method == "POST" else "get"
        self.asked.append((request.method, path))
        if verb in self.cut_before:
            raise httpx2.ConnectTimeout("timed out", request=request)
        body = (await request.aread()).decode()
        form = dict(parse_qsl(body)) if request.method == "POST" else dict(request.url.params)
        key = request.headers.get("idempotency-key", "")
        headers = {"request-id": "req_1"}
        if request.headers["authorization"] != f"Bearer {self.key}":
            status, answer = 401, _error("invalid_request_error", "api_key_invalid")
        elif self.status is not None:
            status, answer = self.status, _error("api_error", "internal")
        elif key and key in self.answers:
            status, answer = self.answers[key]
            headers["idempotent-replayed"] = "true"
        else:
            status, answer = self.do(request.method, path, form)
            answer = json.loads(json.dumps(answer))
            if key:
                self.answers[key] = status, answer
        if verb in self.cut_after:
            raise httpx2.ReadTimeout("timed out", request=request)
        return httpx2.Response(status, headers=headers, json=answer, request=request)

    def do(self, method: str, path: str, form: dict[str, str]) -> tuple[int, Any]:
        if path == "/payment_intents":
            return 200, self.create(form)
        if path == "/refunds" and method == "POST":
            return self.refund(form)
        if path == "/refunds":
            of = [r for r in self.refunds.values() if r["payment_intent"] == form["payment_intent"]]
            return 200, _list("/v1/refunds", of)
        if path == "/balance_transactions":
            return 200, _list("/v1/balance_transactions", self.transactions)
        found = re.fullmatch(r"/payment_intents/(pi_\d+)(?:/(\w+))?", path)
        assert found, path
        intent = self.intents[found[1]]
        if found[2] is None:
            return 200, intent
        answer: tuple[int, Any] = getattr(self, found[2])(intent, form)
        return answer

    def create(self, form: dict[str, str]) -> dict[str, Any]:
        key = f"pi_{len(self.intents) + 1}"
        self.intents[key] = {
            "id": key,
            "object": "payment_intent",
            "amount": int(form["amount"]),
            "amount_received": 0,
            "amount_capturable": 0,
            "cancellation_reason": None,
            "capture_method": form["capture_method"],
            "currency": form["currency"],
            "last_payment_error": None,
            "latest_charge": None,
            "metadata": {
                "payment_id": form["metadata[payment_id]"],
                "order_id": form["metadata[order_id]"],
            },
            "next_action": None,
            "payment_method": form["payment_method"],
            "status": "requires_confirmation",
        }
        return self.intents[key]

    def confirm(self, intent: dict[str, Any], form: dict[str, str]) -> tuple[int, Any]:
        if intent["status"] == "canceled":
            return 400, _error("invalid_request_error", "payment_intent_unexpected_state")
        method = intent["payment_method"]
        if method in CARD_ERRORS:
            code, decline = CARD_ERRORS[method]
            intent["status"] = "requires_payment_method"
            intent["last_payment_error"] = {"code": code, "decline_code": decline}
            return 402, _error("card_error", code, decline)
        if method == "pm_card_threeDSecure2Required":
            url = "https://hooks.stripe.example/3ds"
            intent["next_action"] = {
                "type": "redirect_to_url",
                "redirect_to_url": {"url": url, "return_url": form.get("return_url")},
            }
            intent["status"] = "requires_action"
            return 200, intent
        self.succeed(intent)
        return 200, intent

    def succeed(self, intent: dict[str, Any]) -> None:
        intent["latest_charge"] = intent["id"].replace("pi_", "ch_")
        if intent["capture_method"] == "manual":
            intent["status"], intent["amount_capturable"] = "requires_capture", intent["amount"]
        else:
            intent["status"], intent["amount_received"] = "succeeded", intent["amount"]

    def capture(self, intent: dict[str, Any], form: dict[str, str]) -> tuple[int, Any]:
        if intent["status"] != "requires_capture":
            return 400, _error("invalid_request_error", "payment_intent_unexpected_state")
        intent["amount_received"] = int(form["amount_to_capture"])
        intent["status"], intent["amount_capturable"] = "succeeded", 0
        return 200, intent

    def cancel(self, intent: dict[str, Any], form: dict[str, str]) -> tuple[int, Any]:
        if intent["status"] in ("succeeded", "canceled"):
            return 400, _error("invalid_request_error", "payment_intent_unexpected_state")
        intent["status"], intent["amount_capturable"] = "canceled", 0
        return 200, intent

    def refund(self, form: dict[str, str]) -> tuple[int, Any]:
        intent = self.intents[form["payment_intent"]]
        done = sum(
            r["amount"] for r in self.refunds.values() if r["payment_intent"] == intent["id"]
        )
        if done + int(form["amount"]) > intent["amount_received"]:
            return 400, _error("invalid_request_error", "charge_already_refunded")
        key = f"re_{len(self.refunds) + 1}"
        self.refunds[key] = {
            "id": key,
            "object": "refund",
            "amount": int(form["amount"]),
            "currency": intent["currency"],
            "payment_intent": intent["id"],
            "metadata": {
                k: form[f"metadata[{k}]"]
                for k in ("instruction_id", "payment_id")
                if f"metadata[{k}]" in form
            },
            "status": "succeeded",
            "failure_reason": None,
        }
        return 200, self.refunds[key]


def _list(url: str, data: list[Any]) -> dict[str, Any]:
    return {"object": "list", "url": url, "has_more": False, "data": data}


def _error(kind: str, code: str, decline: str | None = None) -> dict[str, Any]:
    said: dict[str, Any] = {"type": kind, "code": code, "message": "A sentence for people."}
    if decline:
        said["decline_code"] = decline
    return {"error": said}
