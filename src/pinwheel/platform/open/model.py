"""What the outside is told, and how: nouns, the envelope, the signature, the pace of trying."""

from __future__ import annotations

import base64
import datetime as dt
import uuid
from typing import Annotated, Any, ClassVar, Literal

import msgspec
from msgspec import Meta
from standardwebhooks.webhooks import Webhook

from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.events import Event

CLOUDEVENTS = "1.0"
VERSION = 1
"""Of the envelope and of every kind's data. Fields are added; a field that must go, or changes
its meaning, is a new version beside the old one."""
SOURCE = "/api/v1/events"
MEDIA_TYPE = "application/cloudevents+json; charset=utf-8"

FIRST_WAIT_SECONDS = 5
LONGEST_WAIT_SECONDS = 12 * 3600
GIVE_UP_SECONDS = 3 * 86_400
OVERLAP_SECONDS = 86_400
SECRET_BYTES = 32
NOTE_CHARACTERS = 500
GONE = 410

Kinds = Annotated[list[Annotated[str, Meta(max_length=100)]], Meta(max_length=200)]
Url = Annotated[str, Meta(min_length=8, max_length=2000)]
Label = Annotated[str, Meta(max_length=200)]
State = Literal["waiting", "delivered", "failed"]


class UnknownKind(Refusal):
    status = 422
    en = "There is no public kind of event {kind}. GET /api/v1/event-kinds lists them."
    zh = "没有公开的事件类型 {kind}。可通过 GET /api/v1/event-kinds 查看全部类型。"


class EndpointDisabled(Event, frozen=True, kw_only=True):
    """Nothing is sent there any more, until somebody switches it on again."""

    subject: ClassVar[str] = "endpoint_id"
    endpoint_id: uuid.UUID
    reason: str


class EndpointTested(Event, frozen=True, kw_only=True):
    """Somebody wants to see a message arrive: told to this endpoint alone, whatever it asks for."""

    subject: ClassVar[str] = "endpoint_id"
    endpoint_id: uuid.UUID


class DeliveriesDue(Event, frozen=True, kw_only=True):
    """There is something to send to this endpoint."""

    endpoint_id: uuid.UUID


class NewEndpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where to tell, and of what; no ``kinds`` is every public kind, also those to come."""

    url: Url
    label: Label = ""
    kinds: Kinds = []


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """An address that is told; its secret is shown when it is made and never again."""

    id: uuid.UUID
    url: str
    label: str
    kinds: list[str]
    enabled: bool
    previous_until: dt.datetime | None
    failing_since: dt.datetime | None
    disabled_at: dt.datetime | None
    disabled_reason: str | None
    created_at: dt.datetime


class Secret(msgspec.Struct, frozen=True):
    """``secret`` is shown this once. The one before it still signs until ``previous_until``."""

    endpoint_id: uuid.UUID
    secret: str
    previous_until: dt.datetime | None


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One event on its way to one endpoint. ``event_id`` is the ``webhook-id``."""

    endpoint_id: uuid.UUID
    event_id: uuid.UUID
    kind: str
    state: State
    attempts: int
    next_at: dt.datetime
    status: int | None
    note: str | None
    took_ms: int | None
    created_at: dt.datetime
    ended_at: dt.datetime | None


class Fact(msgspec.Struct, frozen=True):
    """A public event as it stands in the log."""

    xid: int
    id: uuid.UUID
    kind: str
    subject_id: uuid.UUID | None
    at: dt.datetime
    data: dict[str, Any]


class CloudEvent(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An event in the structured JSON of CloudEvents 1.0. ``type`` is
    ``pinwheel.<kind>.v<version>``; ``subject`` the id of what it is about."""

    specversion: str
    id: uuid.UUID
    source: str
    type: str
    time: dt.datetime
    datacontenttype: str
    data: dict[str, Any]
    subject: str | None = None


class Feed(msgspec.Struct, frozen=True):
    """Events in the order of finished transactions. Ask again with ``next``: it is always there,
    and an empty page means that nothing has happened since."""

    items: list[CloudEvent]
    next: str


class KindSchema(msgspec.Struct, frozen=True):
    """One public kind: its ``type`` on the wire and the JSON Schema of ``data``."""

    kind: str
    type: str
    description: str
    schema: dict[str, Any]


def type_of(kind: str) -> str:
    return f"pinwheel.{kind}.v{VERSION}"


def cloud_event(
    event_id: uuid.UUID,
    kind: str,
    subject_id: uuid.UUID | None,
    at: dt.datetime,
    data: dict[str, Any],
) -> CloudEvent:
    """The envelope. A row gives the same envelope each time: a receiver that compares sees one
    event."""
    return CloudEvent(
        specversion=CLOUDEVENTS,
        id=event_id,
        source=SOURCE,
        type=type_of(kind),
        time=at,
        datacontenttype="application/json",
        data=data,
        subject=None if subject_id is None else str(subject_id),
    )


def secret_of(random_bytes: bytes) -> str:
    """A secret in the form that Standard Webhooks gives it."""
    return f"whsec_{base64.b64encode(random_bytes).decode()}"


def signed(webhook_id: str, at: dt.datetime, body: bytes, secrets: list[str]) -> dict[str, str]:
    """The headers of Standard Webhooks: one signature for each secret that is valid now."""
    text = body.decode()
    return {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Webhook(s).sign(webhook_id, at, text) for s in secrets),
    }


def wait_seconds(attempts: int, jitter: float, retry_after: int | None = None) -> float:
    """How long after the try number ``attempts`` (from 1): 5 s, 20 s, 80 s … at most twelve hours,
    plus up to a fifth of it (``jitter`` from 0 to 1), so that receivers are not met by waves. What
    the receiver asks for in ``Retry-After`` (seconds) is kept within the same bounds."""
    wait = min(FIRST_WAIT_SECONDS * 4.0 ** min(attempts - 1, 20), LONGEST_WAIT_SECONDS)
    if retry_after is not None:
        wait = min(max(wait, retry_after), LONGEST_WAIT_SECONDS)
    return wait * (1 + jitter / 5)


def is_success(status: int | None) -> bool:
    return status is not None and 200 <= status < 300


def note_of(body: bytes) -> str:
    """The beginning of an answer, as text that can be kept."""
    return (
        body[: 4 * NOTE_CHARACTERS].decode("utf-8", "replace").replace("\0", "�")[:NOTE_CHARACTERS]
    )
