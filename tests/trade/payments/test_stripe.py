"""Stripe's adapter against the shape of Stripe's interface."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
import stripe

from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.jobs import Worker
from pinwheel.kernel.settings import Settings
from pinwheel.trade import payments
from pinwheel.trade.payments.model import Delivery, NewPayment
from pinwheel.trade.payments.stripe import HttpTransport, Stripe
from trade.payments.fake_stripe import FakeStripe
from trade.payments.till import Till

SECRET = "whsec_test"


@pytest.fixture
def there(db: Database) -> FakeStripe:
    fake = FakeStripe()
    payments.add(db, Stripe(fake.key, SECRET, HttpTransport(fake), home="https://shop.test"))
    return fake


def new(till: Till, method: str = "pm_card_visa", **fields: Any) -> NewPayment:
    return till.new(method, **{"provider": "stripe", "currency": "USD", **fields})


async def tell(db: Database, kind: str, about: Any, **how: Any) -> Any:
    """A signed event of Stripe's."""
    event = {"id": f"evt_{kind}_{about.get('id')}_{about.get('status')}", "object": "event",
             "type": kind, "data": {"object": about}}  # fmt: skip
    body = json.dumps(event)
    stamp = int(db.clock.now().timestamp()) + int(how.get("late", 0))
    header = stripe.WebhookSignature.generate_signature_header(
        body, how.get("secret", SECRET), stamp
    )
    delivery = Delivery({"stripe-signature": header}, (body + how.get("more", "")).encode())
    async with db.transaction() as tx:
        (answer,) = await payments.receive(tx, "stripe", [delivery])
    return answer


async def test_paid_at_once(till: Till, there: FakeStripe) -> None:
    (paid,) = await till.pay(new(till, amount=1999))
    assert (paid.state, paid.captured_minor, paid.provider_ref) == ("captured", 1999, "pi_1")
    assert there.intents["pi_1"]["metadata"]["payment_id"] == str(paid.id)
    assert await till.clearing("stripe", "USD") == 1999
    await till.healthy()


@pytest.mark.parametrize(
    ("method", "reason"),
    [
        ("pm_card_visa_chargeDeclined", "generic_decline"),
        ("pm_card_visa_chargeDeclinedInsufficientFunds", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card"),
    ],
)
async def test_declined(till: Till, there: FakeStripe, method: str, reason: str) -> None:
    (paid,) = await till.pay(new(till, method))
    assert (paid.state, paid.reason) == ("failed", reason)


async def test_a_challenge_and_its_webhook(till: Till, db: Database, there: FakeStripe) -> None:
    (paid,) = await till.pay(new(till, "pm_card_threeDSecure2Required", return_url="/x"))
    assert paid.action_url == "https://hooks.stripe.example/3ds"
    way_back = there.intents["pi_1"]["next_action"]["redirect_to_url"]["return_url"]
    assert way_back == "https://shop.test/x"
    there.succeed(there.intents["pi_1"])
    assert await tell(db, "payment_intent.succeeded", there.intents["pi_1"]) == 1
    assert await tell(db, "payment_intent.succeeded", there.intents["pi_1"]) == 1
    assert await till.told(paid.order_id) == ["payment_needs_action", "payment_secured"]


@pytest.mark.parametrize(
    ("before", "after", "end"),
    [
        ("payment_intents", "", "failed"),  # nothing arrived
        ("confirm", "", "failed"),  # made, never confirmed
        ("", "payment_intents", "failed"),  # made, the answer got lost: never confirmed
        ("", "confirm", "captured"),  # charged, the answer got lost
    ],
)
async def test_no_answer_is_unknown_and_ends(
    till: Till,
    worker: Worker,
    clock: SetClock,
    there: FakeStripe,
    before: str,
    after: str,
    end: str,
) -> None:
    there.cut_before, there.cut_after = {before}, {after}
    (paid,) = await till.pay(new(till))
    assert paid.state == "unknown"
    there.cut_before, there.cut_after = set(), set()
    clock.travel(seconds=31)
    await worker.drain()
    now = await till.now(paid)
    assert now.state == end
    assert len(there.intents) == 1  # never a second one
    assert await till.clearing("stripe", "USD") == (1000 if end == "captured" else 0)
    if end == "failed":
        assert there.intents["pi_1"]["status"] == "canceled"
    await till.healthy()


async def test_a_server_error_is_unknown(till: Till, there: FakeStripe) -> None:
    there.status = 500
    (paid,) = await till.pay(new(till))
    assert paid.state == "unknown"


async def test_a_wrong_key_is_said_in_the_log_and_refused(
    till: Till, there: FakeStripe, caplog: pytest.LogCaptureFixture
) -> None:
    there.key = "sk_test_other"
    with caplog.at_level(logging.ERROR):
        (paid,) = await till.pay(new(till))
    assert (paid.state, paid.reason) == ("failed", "provider_not_configured")
    assert "PINWHEEL_STRIPE_SECRET_KEY" in caplog.text
    assert "sk_test" not in caplog.text


async def test_captured_later_and_refunded_in_part(
    till: Till, db: Database, worker: Worker, there: FakeStripe
) -> None:
    (held,) = await till.pay(new(till, capture=False))
    assert held.state == "authorised"
    async with db.transaction() as tx:
        await payments.capture(tx, held.id, 700)
    await worker.drain()
    async with db.transaction() as tx:
        await payments.refund_order(tx, held.order_id, 300, "returned")
    await worker.drain()
    (refund,) = there.refunds.values()
    await tell(db, "refund.updated", refund)
    now = await till.now(held)
    assert (now.captured_minor, now.refunded_minor) == (700, 300)
    assert await till.clearing("stripe", "USD") == 400
    await till.healthy()


async def test_a_refund_whose_answer_is_lost_is_one_refund(
    till: Till, db: Database, worker: Worker, clock: SetClock, there: FakeStripe
) -> None:
    (paid,) = await till.pay(new(till))
    there.cut_after = {"refunds"}
    async with db.transaction() as tx:
        await payments.refund_order(tx, paid.order_id, 300, "returned")
    await worker.drain()
    assert (await till.now(paid)).refunded_minor == 0
    there.cut_after = set()
    clock.travel(seconds=60)
    await worker.drain()
    assert (len(there.refunds), (await till.now(paid)).refunded_minor) == (1, 300)


async def test_voided(till: Till, db: Database, worker: Worker, there: FakeStripe) -> None:
    (held,) = await till.pay(new(till, capture=False))
    async with db.transaction() as tx:
        await payments.void(tx, [held.id])
    await worker.drain()
    assert (await till.now(held)).state == "voided"
    assert there.intents["pi_1"]["status"] == "canceled"


async def test_news_that_name_only_the_intent(till: Till, db: Database, there: FakeStripe) -> None:
    """A refund from Stripe's dashboard, and a chargeback: neither carries our ids."""
    (paid,) = await till.pay(new(till))
    _, refund = there.refund({"payment_intent": "pi_1", "amount": "100"})
    await tell(db, "refund.created", refund)
    dispute = {"id": "du_1", "amount": 900, "currency": "usd", "payment_intent": "pi_1"}
    await tell(db, "charge.dispute.funds_withdrawn", {**dispute, "status": "needs_response"})
    assert await till.clearing("stripe", "USD") == 0
    await tell(db, "charge.dispute.closed", {**dispute, "status": "won"})
    now = await till.now(paid)
    assert (now.refunded_minor, now.disputed_minor, now.won_minor) == (100, 900, 900)
    assert await till.clearing("stripe", "USD") == 900
    await till.healthy()


async def test_a_bad_signature_or_an_old_one(till: Till, db: Database, there: FakeStripe) -> None:
    (paid,) = await till.pay(new(till, capture=False))
    there.succeed({**there.intents["pi_1"]})
    about = there.intents["pi_1"]
    for how in ({"secret": "whsec_other"}, {"late": -301}, {"late": 301}, {"more": " "}):
        answer = await tell(db, "payment_intent.succeeded", about, **how)
        assert isinstance(answer, payments.WebhookRefused), how
    async with db.transaction() as tx:
        (bare,) = await payments.receive(tx, "stripe", [Delivery({}, b"{}")])
    assert isinstance(bare, payments.WebhookRefused)
    assert (await till.now(paid)).state == "authorised"
    assert await tell(db, "customer.created", {"id": "cus_1"}) == 1  # of no interest


async def test_settlement(till: Till, there: FakeStripe, db: Database) -> None:
    (paid,) = await till.pay(new(till))
    now = int(db.clock.now().timestamp())
    charge = {"id": "ch_1", "payment_intent": "pi_1", "metadata": {"payment_id": str(paid.id)}}
    dispute = {"id": "du_1", "payment_intent": "pi_1", "metadata": {}}
    common = {"currency": "usd", "created": now}
    there.transactions = [
        {**common, "id": "txn_1", "type": "charge", "amount": 1000, "fee": 59, "source": charge},
        {**common, "id": "txn_2", "type": "adjustment", "amount": -1000, "fee": 1500,
         "source": dispute},
        {**common, "id": "txn_3", "type": "payout", "amount": -500, "fee": 0, "source": "po_1"},
    ]  # fmt: skip
    found = payments.providers_of(db)["stripe"]
    rows = await found.settlement_rows(db.clock.now().date())
    assert [(r.kind, r.amount_minor, r.fee_minor) for r in rows] == [
        ("capture", 1000, 59),
        ("dispute", 1000, 1500),
        ("payout", 500, 0),
    ]
    assert rows[1].provider_ref == "pi_1"


async def test_amounts_in_a_currency_that_stripe_counts_otherwise(
    till: Till, there: FakeStripe
) -> None:
    (paid,) = await till.pay(new(till, currency="ISK", amount=700))
    assert there.intents["pi_1"]["amount"] == 70_000
    assert paid.captured_minor == 700


@pytest.mark.parametrize(
    ("key", "demonstration", "names"),
    [
        ("", True, {"sandbox"}),
        ("sk_test_1", True, {"sandbox", "stripe"}),
        ("sk_live_1", True, {"stripe"}),
        ("", False, set()),
    ],
)
async def test_no_sandbox_beside_real_money(
    db: Database, key: str, demonstration: bool, names: set[str]
) -> None:
    payments.use(db, Settings(stripe_secret_key=key, demonstration=demonstration))
    assert set(payments.providers_of(db)) - {"store_credit", "gift_card", "cash"} == names
