"""Webhooks: signed, at least once, whatever the receiver or this house does meanwhile."""

from __future__ import annotations

import asyncio
import base64
import datetime as dt
import hashlib
import hmac
import os
import random
import signal
import subprocess
import sys
import uuid
from typing import Any

import jsonschema_rs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

import world
from pinwheel.growth.community import QuestionAsked, ReviewWithdrawn
from pinwheel.kernel import audit
from pinwheel.kernel.clock import SetClock
from pinwheel.kernel.db import Database
from pinwheel.kernel.errors import NotFound
from pinwheel.kernel.jobs import Worker
from pinwheel.kernel.outbound import AddressRefused, Outbound
from pinwheel.platform import open as platform
from pinwheel.platform.open import Delivery, NewEndpoint, Secret, UnknownKind
from pinwheel.platform.open import following as open_following
from pinwheel.platform.open import jobs as open_jobs
from pinwheel.platform.open.model import (
    GIVE_UP_SECONDS,
    LONGEST_WAIT_SECONDS,
    note_of,
    signed,
    wait_seconds,
)

WITHDRAWN = ReviewWithdrawn.kind()
ASKED = QuestionAsked.kind()


def fact(number: int = 1) -> ReviewWithdrawn:
    return ReviewWithdrawn(
        review_id=uuid.UUID(int=number), product_id=uuid.UUID(int=7), reason="withdrawn"
    )


async def tell(db: Database, *numbers: int) -> None:
    async with db.transaction() as tx:
        tx.emit(*[fact(number) for number in numbers or (1,)])


async def endpoint(db: Database, receiver: Any, *kinds: str) -> Secret:
    async with db.transaction() as tx:
        return await platform.add_endpoint(tx, NewEndpoint(url=receiver.url, kinds=list(kinds)))


async def log(db: Database, secret: Secret) -> list[Delivery]:
    async with db.reading() as tx:
        return (await platform.deliveries(tx, secret.endpoint_id)).items


async def go_on(clock: SetClock, worker: Worker, seconds: float = 1.5) -> None:
    clock.travel(seconds=seconds)
    await worker.drain()


async def healthy(db: Database) -> bool:
    return not any(c.broken for c in await audit.run(db, ["pinwheel.platform.open"]))


def subjects(receiver: Any) -> list[int]:
    return [uuid.UUID(msgspec.json.decode(m.body)["subject"]).int for m in receiver.messages]


# --- conformance


def test_the_signature_is_the_one_of_standard_webhooks() -> None:
    """HMAC-SHA256 over ``id.timestamp.body``, computed here without the library."""
    key = bytes(range(32))
    secret = "whsec_" + base64.b64encode(key).decode()
    at = dt.datetime(2026, 1, 5, 9, 0, 0, 900_000, tzinfo=dt.UTC)
    body = '{"name":"书"}'.encode()
    headers = signed("a-message", at, body, [secret])
    stamp = str(int(at.timestamp()))
    mac = hmac.digest(key, b"a-message." + stamp.encode() + b"." + body, hashlib.sha256)
    assert headers == {
        "webhook-id": "a-message",
        "webhook-timestamp": stamp,
        "webhook-signature": "v1," + base64.b64encode(mac).decode(),
    }


def test_the_library_verifies_what_was_signed_and_nothing_else() -> None:
    old, new = (f"whsec_{base64.b64encode(bytes([n]) * 32).decode()}" for n in (1, 2))
    now = dt.datetime.now(dt.UTC)
    headers = signed("one", now, b'{"a":1}', [new, old])
    assert Webhook(old).verify(b'{"a":1}', headers) == {"a": 1}
    assert Webhook(new).verify(b'{"a":1}', headers) == {"a": 1}
    for broken in (
        headers | {"webhook-id": "two"},
        headers | {"webhook-timestamp": str(int(headers["webhook-timestamp"]) - 1)},
    ):
        with pytest.raises(WebhookVerificationError):
            Webhook(new).verify(b'{"a":1}', broken)
    with pytest.raises(WebhookVerificationError):
        Webhook(new).verify(b'{"a":2}', headers)


CLOUDEVENT = {
    "type": "object",
    "required": ["specversion", "id", "source", "type"],
    "properties": {
        "specversion": {"const": "1.0"},
        "id": {"type": "string", "minLength": 1},
        "source": {"type": "string", "minLength": 1, "format": "uri-reference"},
        "type": {"type": "string", "minLength": 1},
        "subject": {"type": "string", "minLength": 1},
        "time": {"type": "string", "format": "date-time"},
        "datacontenttype": {"const": "application/json"},
        "data": {"type": "object"},
    },
    "propertyNames": {"pattern": "^[a-z0-9]{1,20}$"},
    "additionalProperties": False,
}
"""What CloudEvents 1.0 asks of structured JSON, in our own words."""


async def test_a_message_is_a_cloudevent_whose_data_fits_its_schema(
    db: Database, worker: Worker, receiver: Any
) -> None:
    secret = await endpoint(db, receiver)
    await tell(db)
    await worker.drain()
    (message,) = receiver.messages
    assert message.headers["content-type"] == "application/cloudevents+json; charset=utf-8"
    event = msgspec.json.decode(message.body)
    jsonschema_rs.Draft202012Validator(CLOUDEVENT, validate_formats=True).validate(event)
    assert event["id"] == message.headers["webhook-id"]
    assert event["type"] == "pinwheel.community.review_withdrawn.v1"
    schemas = {kind.type: kind.schema for kind in platform.schemas()}
    jsonschema_rs.validator_for(schemas[event["type"]]).validate(event["data"])
    at = db.clock.now()
    expected = Webhook(secret.secret).sign(event["id"], at, message.body.decode())
    assert message.headers["webhook-signature"] == expected
    [delivery] = await log(db, secret)
    assert (delivery.state, delivery.status, delivery.attempts) == ("delivered", 200, 1)
    assert await healthy(db)


PINNED: dict[str, set[str]] = {
    "catalogue.product_changed": {"product_ids"},
    "marketplace.offer_changed": {"offer_ids"},
    "orders.order_placed": {"order_id", "number", "person_id", "total_minor", "currency"},
    "orders.order_cancelled": {"order_id", "number", "reason", "refund_minor"},
    "orders.order_shipped": {"order_id", "number", "shipment_id", "tracking"},
    "orders.order_delivered": {"order_id", "number", "shipment_id"},
    "identity.person_erased": {"person_id"},
    "community.review_published": {"review_id", "product_id", "rating"},
    "community.rating_changed": {"product_ids"},
    "open.endpoint_disabled": {"endpoint_id", "reason"},
}
"""Version 1, as programs out there know it: a field may join, none may leave."""


def test_public_kinds_keep_their_promises() -> None:
    found = {kind.kind: kind for kind in platform.schemas()}
    for kind, fields in PINNED.items():
        schema = found[kind].schema
        definition = schema["$defs"][schema["$ref"].rsplit("/", 1)[-1]]
        assert fields <= set(definition["properties"]), kind
        assert found[kind].type == f"pinwheel.{kind}.v1"
        jsonschema_rs.validator_for(schema)


# --- who is told what


async def test_an_endpoint_is_told_what_it_asks_for_from_its_beginning_on(
    db: Database, worker: Worker, receiver: Any
) -> None:
    await tell(db, 1)
    secret = await endpoint(db, receiver, WITHDRAWN)
    await tell(db, 2, 3)
    async with db.transaction() as tx:
        tx.emit(QuestionAsked(question_id=uuid.UUID(int=9), product_id=uuid.UUID(int=9)))
    await worker.drain()
    assert sorted(subjects(receiver)) == [2, 3]
    async with db.reading() as tx:
        assert (await platform.endpoint(tx, secret.endpoint_id)).kinds == [WITHDRAWN]


async def test_one_look_reads_on_to_the_end_of_a_flood(
    db: Database, worker: Worker, receiver: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand orders a second, or a segment of a million, leave more facts than one statement
    reads."""
    await endpoint(db, receiver, WITHDRAWN)
    monkeypatch.setattr(open_following, "FACTS_AT_ONCE", 3)
    await tell(db, *range(1, 15))
    async with db.transaction() as tx:
        await open_jobs.follow_facts(tx)
        assert await tx.value("select count(*) from open.delivery") == 14


async def test_unknown_kinds_and_private_addresses_are_refused(db: Database) -> None:
    async with db.transaction() as tx:
        with pytest.raises(UnknownKind):
            await platform.add_endpoint(
                tx, NewEndpoint(url="https://example.com/", kinds=["ledger.hold_expired"])
            )
        with pytest.raises(AddressRefused):
            await platform.add_endpoint(tx, NewEndpoint(url="https://10.0.0.1/"))
    async with db.reading() as tx:
        assert await platform.endpoints(tx) == []


async def test_without_endpoints_nothing_is_written(db: Database, worker: Worker) -> None:
    await tell(db, *range(1, 20))
    await worker.drain()
    async with db.reading() as tx:
        assert await tx.value("select count(*) from open.delivery") == 0
        assert await tx.value("select count(*) from open.follower") == 0


async def test_a_fact_of_a_slow_transaction_is_not_skipped(
    db: Database, worker: Worker, clock: SetClock, receiver: Any
) -> None:
    """Transaction one begins first and ends last: whoever only remembers the last id loses it."""
    await endpoint(db, receiver)
    async with db.transaction() as slow:
        await slow.value("select pg_current_xact_id()")
        slow.emit(fact(1))
        await tell(db, 2)
        await worker.drain()
        assert subjects(receiver) == []  # two is finished, and waits for one to be over
    await go_on(clock, worker)
    assert sorted(subjects(receiver)) == [1, 2]


async def test_a_test_message_goes_to_its_endpoint_alone(
    db: Database, worker: Worker, receiver: Any
) -> None:
    secret = await endpoint(db, receiver, ASKED)
    await endpoint(db, receiver)
    async with db.transaction() as tx:
        await platform.try_endpoint(tx, secret.endpoint_id)
    await worker.drain()
    (message,) = receiver.messages
    assert msgspec.json.decode(message.body)["type"] == "pinwheel.open.endpoint_tested.v1"
    async with db.transaction() as tx:
        with pytest.raises(NotFound):
            await platform.try_endpoint(tx, uuid.UUID(int=1))


# --- receivers that fail


@pytest.mark.parametrize(
    "fault",
    [
        500,
        404,
        "drop",
        "silent",
        (302, {"location": "http://127.0.0.1:1/elsewhere"}, b""),
        (500, {}, b"\x00\xff not text \x00"),
    ],
)
async def test_what_fails_is_tried_again_under_the_same_id(
    db: Database, worker: Worker, clock: SetClock, receiver: Any, fault: Any
) -> None:
    receiver.answer = lambda message, tries: fault if tries < 3 else 204
    secret = await endpoint(db, receiver)
    await tell(db)
    patient = db.given[Outbound]
    if fault == "silent":
        db.given[Outbound] = Outbound(allow_loopback=True, seconds=1)
    await worker.drain()
    [first] = await log(db, secret)
    assert (first.state, first.attempts) == ("waiting", 1)
    assert first.next_at > clock.now()
    await go_on(clock, worker, 60)
    db.given[Outbound] = patient
    await go_on(clock, worker, 600)
    [delivery] = await log(db, secret)
    assert (delivery.state, delivery.status, delivery.attempts) == ("delivered", 204, 3)
    assert len(set(receiver.ids)) == 1 and len(receiver.ids) == 3
    bodies = {message.body for message in receiver.messages}
    assert len(bodies) == 1
    assert {m.path for m in receiver.messages} == {"/hook"}
    assert await healthy(db)


async def test_nothing_is_lost_on_a_bad_line(
    db: Database, worker: Worker, clock: SetClock, receiver: Any, rng: random.Random
) -> None:
    faults: list[Any] = [500, 503, "drop", (301, {"location": "http://127.0.0.1/"}, b""), 200]
    receiver.answer = lambda message, tries: rng.choice(faults) if tries < 5 else 200
    secret = await endpoint(db, receiver)
    await tell(db, *range(1, 41))
    for _ in range(5):
        await go_on(clock, worker, 3600)
    assert {d.state for d in await log(db, secret)} == {"delivered"}
    assert set(subjects(receiver)) == set(range(1, 41))


async def test_a_slow_receiver_holds_up_nobody_else(
    db: Database, worker: Worker, receiver: Any
) -> None:
    slow = await endpoint(db, receiver, WITHDRAWN)
    async with db.transaction() as tx:
        quick = await platform.add_endpoint(tx, NewEndpoint(url=f"{receiver.url}/quick"))
    receiver.answer = lambda message, tries: 200 if message.path.endswith("quick") else "silent"
    db.given[Outbound] = Outbound(allow_loopback=True, seconds=5)
    await tell(db, *range(1, 9))
    await worker.drain()
    assert {d.state for d in await log(db, quick)} == {"delivered"}
    assert {d.state for d in await log(db, slow)} == {"waiting"}


async def test_retry_after_is_honoured(
    db: Database, worker: Worker, clock: SetClock, receiver: Any
) -> None:
    receiver.answer = lambda message, tries: (429, {"retry-after": "7200"}, b"")
    secret = await endpoint(db, receiver)
    await tell(db)
    await worker.drain()
    [delivery] = await log(db, secret)
    assert delivery.next_at >= clock.now() + dt.timedelta(seconds=7200)


@given(st.integers(1, 200), st.floats(0, 1), st.none() | st.integers(0, 10**7))
def test_waits_grow_and_are_bounded(attempts: int, jitter: float, asked: int | None) -> None:
    wait = wait_seconds(attempts, jitter, asked)
    assert 5 <= wait <= LONGEST_WAIT_SECONDS * 1.2
    assert wait_seconds(attempts + 1, jitter, asked) >= wait


@given(st.binary(max_size=4000))
def test_any_answer_can_be_kept(body: bytes) -> None:
    note = note_of(body)
    assert "\0" not in note and len(note) <= 500
    note.encode()


async def test_a_dead_endpoint_is_switched_off_and_its_messages_wait(
    db: Database, worker: Worker, clock: SetClock, receiver: Any
) -> None:
    receiver.answer = lambda message, tries: 500
    secret = await endpoint(db, receiver)
    async with db.transaction() as tx:
        other = await platform.add_endpoint(
            tx, NewEndpoint(url=f"{receiver.url}/other", kinds=["open.endpoint_disabled"])
        )
    await tell(db, 1)
    await worker.drain()
    await go_on(clock, worker, GIVE_UP_SECONDS / 2)
    await tell(db, 2)
    await go_on(clock, worker, GIVE_UP_SECONDS / 2 + 60)
    await go_on(clock, worker)
    async with db.reading() as tx:
        found = await platform.endpoint(tx, secret.endpoint_id)
    assert not found.enabled and found.disabled_reason
    assert [d.kind for d in await log(db, other)] == ["open.endpoint_disabled"]
    states = {d.attempts: d.state for d in await log(db, secret)}
    assert sorted(states.values()) == ["failed", "waiting"]
    before = len(receiver.messages)
    await tell(db, 3)
    await go_on(clock, worker, 86_400)
    assert [m for m in receiver.messages[before:] if m.path == "/hook"] == []
    receiver.answer = lambda message, tries: 200
    async with db.transaction() as tx:
        await platform.enable_endpoint(tx, secret.endpoint_id)
    await tell(db, 4)
    await go_on(clock, worker)
    told = [m for m in receiver.messages[before:] if m.path == "/hook"]
    assert {uuid.UUID(msgspec.json.decode(m.body)["subject"]).int for m in told} == {2, 4}
    assert await healthy(db)


async def test_gone_means_gone(db: Database, worker: Worker, receiver: Any) -> None:
    receiver.answer = lambda message, tries: 410
    secret = await endpoint(db, receiver)
    await tell(db)
    await worker.drain()
    async with db.reading() as tx:
        assert not (await platform.endpoint(tx, secret.endpoint_id)).enabled


async def test_an_address_that_became_private_is_not_called(
    db: Database, worker: Worker, receiver: Any
) -> None:
    """The name was public when the endpoint was made and points inside now."""

    async def inside(host: str, port: int) -> list[str]:
        return ["10.0.0.1"]

    db.given[Outbound] = Outbound(resolver=inside, seconds=1.0)
    async with db.transaction() as tx:
        secret = await platform.add_endpoint(tx, NewEndpoint(url="https://hooks.example.com/"))
    await tell(db)
    await worker.drain()
    [delivery] = await log(db, secret)
    assert delivery.state == "waiting" and delivery.status is None
    assert "AddressRefused" in (delivery.note or "")


# --- secrets


async def test_both_secrets_sign_for_a_day_and_then_the_new_one(
    db: Database, worker: Worker, clock: SetClock, receiver: Any
) -> None:
    old = await endpoint(db, receiver)
    async with db.transaction() as tx:
        new = await platform.rotate_secret(tx, old.endpoint_id)
    assert new.secret != old.secret
    await tell(db, 1)
    await worker.drain()
    await go_on(clock, worker, 86_401)
    await tell(db, 2)
    await go_on(clock, worker)
    during, after = receiver.messages

    def right(message: Any, secret: str) -> bool:
        at = dt.datetime.fromtimestamp(int(message.headers["webhook-timestamp"]), dt.UTC)
        made = Webhook(secret).sign(message.headers["webhook-id"], at, message.body.decode())
        return made in message.headers["webhook-signature"].split(" ")

    assert right(during, old.secret) and right(during, new.secret)
    assert right(after, new.secret) and not right(after, old.secret)


async def test_a_secret_is_stored_sealed_and_never_listed(db: Database, receiver: Any) -> None:
    secret = await endpoint(db, receiver)
    async with db.reading() as tx:
        stored = await tx.value("select to_jsonb(p)::text from open.endpoint p")
        listed = msgspec.json.encode(await platform.endpoints(tx)).decode()
    assert secret.secret not in stored and secret.secret[6:] not in stored
    assert "whsec_" not in listed and "secret" not in listed


# --- again


async def test_retry_and_replay_send_again_under_the_same_id(
    db: Database, worker: Worker, clock: SetClock, receiver: Any
) -> None:
    secret = await endpoint(db, receiver, WITHDRAWN)
    await tell(db, 1, 2)
    await worker.drain()
    first = sorted(receiver.ids)
    since = clock.now() + dt.timedelta(minutes=1)
    clock.travel(minutes=2)
    await tell(db, 3)
    await go_on(clock, worker)
    async with db.transaction() as tx:
        assert await platform.retry(tx, secret.endpoint_id, [uuid.UUID(first[0])]) == 1
    await go_on(clock, worker)
    assert receiver.ids.count(first[0]) == 2
    async with db.transaction() as tx:
        assert await platform.replay(tx, secret.endpoint_id, since) == 1
    await go_on(clock, worker)
    assert subjects(receiver).count(3) == 2
    assert len(receiver.ids) == 5


CHILD = """
import asyncio, sys
from pinwheel import app
from pinwheel.kernel.db import connect
from pinwheel.kernel.jobs import Worker
from pinwheel.kernel.outbound import Outbound
from pinwheel.kernel.vault import Vault

async def main():
    vault = Vault({"test": "the secret of the tests"})
    db = await connect(sys.argv[1], reactions=app.reactions(), size=4, vault=vault)
    db.given[Outbound] = Outbound(allow_loopback=True, seconds=30)
    await Worker(db, poll_seconds=0.05).run()

asyncio.run(main())
"""


@pytest.mark.crash
async def test_killed_between_sending_and_recording_it_is_sent_again(
    db: Database, url: str, worker: Worker, clock: SetClock, receiver: Any
) -> None:
    receiver.answer = lambda message, tries: "silent" if tries == 1 else 200
    secret = await endpoint(db, receiver)
    await tell(db, 1, 2, 3)
    child = subprocess.Popen([sys.executable, "-c", CHILD, url], env=dict(os.environ))
    try:
        async with asyncio.timeout(world.PATIENCE_SECONDS):
            while len(receiver.messages) < 3:
                receiver.came.clear()
                await receiver.came.wait()
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()
    sent = set(receiver.ids)
    assert len(sent) == 3
    assert {d.state for d in await log(db, secret)} == {"waiting"}
    clock.set(dt.datetime.now(dt.UTC) + dt.timedelta(minutes=10))
    await worker.drain()
    assert set(receiver.ids) == sent and len(receiver.ids) == 6
    assert {(d.state, d.attempts) for d in await log(db, secret)} == {("delivered", 2)}
    assert await healthy(db)


async def test_two_workers_send_a_message_once(
    db: Database, worker: Worker, clock: SetClock, receiver: Any
) -> None:
    await endpoint(db, receiver)
    await tell(db, *range(1, 31))
    await asyncio.gather(worker.drain(), Worker(db).drain())
    await go_on(clock, worker)
    assert sorted(subjects(receiver)) == list(range(1, 31))


async def test_deliveries_end_with_their_endpoint(
    db: Database, worker: Worker, clock: SetClock, receiver: Any
) -> None:
    secret = await endpoint(db, receiver)
    receiver.answer = lambda message, tries: 500
    await tell(db)
    await worker.drain()
    async with db.transaction() as tx:
        await platform.remove_endpoint(tx, secret.endpoint_id)
    await go_on(clock, worker, 3600)
    assert len(receiver.messages) == 1
    async with db.reading() as tx:
        assert await tx.value("select count(*) from open.delivery") == 0
