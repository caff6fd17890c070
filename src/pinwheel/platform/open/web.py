"""Routes of the open platform: webhooks, the log of facts, the kinds there are."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Annotated

import msgspec
from msgspec import Meta

from pinwheel.kernel.db import Tx
from pinwheel.kernel.listing import Page
from pinwheel.kernel.outbound import AddressRefused
from pinwheel.kernel.web import Answer, delete, get, post, put
from pinwheel.platform.open import actions, public, queries
from pinwheel.platform.open.model import (
    Delivery,
    Endpoint,
    Feed,
    KindSchema,
    NewEndpoint,
    Secret,
    State,
    UnknownKind,
)

HOOKS = "webhooks"
FACTS = "events:read"
TAGS = ("webhooks",)
ONE = "/api/v1/webhooks/{endpoint_id:uuid}"
PageSize = Annotated[int, Meta(ge=1, le=500)]


class EventIds(msgspec.Struct):
    event_ids: Annotated[list[uuid.UUID], Meta(min_length=1, max_length=1000)]


class Since(msgspec.Struct):
    since: Annotated[dt.datetime, Meta(tz=True)]


class Count(msgspec.Struct):
    count: int


class Reason(msgspec.Struct):
    reason: Annotated[str, Meta(max_length=200)] = "switched off by hand"


@get("/api/v1/event-kinds", tags=("events",))
async def event_kinds() -> Answer[list[KindSchema]]:
    """Every public kind of event with the JSON Schema of its data."""
    return Answer(public.schemas())


@get("/api/v1/events", scope=FACTS, tags=("events",), refusals=(UnknownKind,))
async def events(
    tx: Tx,
    after: str | None = None,
    kind: Annotated[list[str], Meta(max_length=200)] | None = None,
    limit: PageSize = 100,
) -> Answer[Feed]:
    """Public events after a cursor, as CloudEvents, in the order of finished transactions.

    Keep ``next`` and ask with it again: no event is ever skipped, and an empty page means that
    there is nothing new."""
    return Answer(await queries.events(tx, kinds=kind, cursor=after, limit=limit))


@get("/api/v1/webhooks", scope=HOOKS, tags=TAGS)
async def webhooks(tx: Tx) -> Answer[list[Endpoint]]:
    """Every webhook."""
    return Answer(await queries.endpoints(tx))


@post(
    "/api/v1/webhooks",
    scope=HOOKS,
    tags=TAGS,
    status=201,
    refusals=(AddressRefused, UnknownKind),
)
async def add_webhook(tx: Tx, data: NewEndpoint) -> Answer[Secret]:
    """Have an address told of events, signed by Standard Webhooks. The secret is shown once.

    Messages arrive at least once and in any order: tell repeats by ``webhook-id``, order by the
    event's ``time``."""
    return Answer(await actions.add_endpoint(tx, data), status=201)


@get(ONE, scope=HOOKS, tags=TAGS)
async def webhook(tx: Tx, endpoint_id: uuid.UUID) -> Answer[Endpoint]:
    """One endpoint that news is sent to."""
    return Answer(await queries.endpoint(tx, endpoint_id))


@put(ONE, scope=HOOKS, tags=TAGS, refusals=(AddressRefused, UnknownKind))
async def change_webhook(tx: Tx, endpoint_id: uuid.UUID, data: NewEndpoint) -> Answer[Endpoint]:
    """Another address, label or choice of kinds."""
    return Answer(await actions.change_endpoint(tx, endpoint_id, data))


@delete(ONE, scope=HOOKS, tags=TAGS)
async def remove_webhook(tx: Tx, endpoint_id: uuid.UUID) -> Answer[Count]:
    """Remove a webhook with its log."""
    await actions.remove_endpoint(tx, endpoint_id)
    return Answer(Count(1))


@post(f"{ONE}/rotate", scope=HOOKS, tags=TAGS)
async def rotate_webhook(tx: Tx, endpoint_id: uuid.UUID) -> Answer[Secret]:
    """A new secret; the old one signs beside it for a day."""
    return Answer(await actions.rotate_secret(tx, endpoint_id))


@post(f"{ONE}/enable", scope=HOOKS, tags=TAGS)
async def enable_webhook(tx: Tx, endpoint_id: uuid.UUID) -> Answer[Endpoint]:
    """Go on telling; what still waits is sent."""
    await actions.enable_endpoint(tx, endpoint_id)
    return Answer(await queries.endpoint(tx, endpoint_id))


@post(f"{ONE}/disable", scope=HOOKS, tags=TAGS)
async def disable_webhook(tx: Tx, endpoint_id: uuid.UUID, data: Reason) -> Answer[Endpoint]:
    """Stop telling."""
    found = await queries.endpoint(tx, endpoint_id)
    await actions.disable_endpoint(tx, found.id, data.reason)
    return Answer(await queries.endpoint(tx, endpoint_id))


@post(f"{ONE}/test", scope=HOOKS, tags=TAGS)
async def try_webhook(tx: Tx, endpoint_id: uuid.UUID) -> Answer[Count]:
    """Have a test message sent."""
    await actions.try_endpoint(tx, endpoint_id)
    return Answer(Count(1))


@get(f"{ONE}/deliveries", scope=HOOKS, tags=TAGS)
async def webhook_deliveries(
    tx: Tx,
    endpoint_id: uuid.UUID,
    state: State | None = None,
    after: str | None = None,
    limit: PageSize = 50,
) -> Answer[Page[Delivery]]:
    """What was sent, when, and what came back; the newest event first."""
    return Answer(await queries.deliveries(tx, endpoint_id, state=state, cursor=after, limit=limit))


@post(f"{ONE}/retry", scope=HOOKS, tags=TAGS)
async def retry_deliveries(tx: Tx, endpoint_id: uuid.UUID, data: EventIds) -> Answer[Count]:
    """Send these events again now."""
    return Answer(Count(await actions.retry(tx, endpoint_id, data.event_ids)))


@post(f"{ONE}/replay", scope=HOOKS, tags=TAGS)
async def replay_events(tx: Tx, endpoint_id: uuid.UUID, data: Since) -> Answer[Count]:
    """Send everything again that has happened since then, at most 10,000 events."""
    return Answer(Count(await actions.replay(tx, endpoint_id, data.since)))
