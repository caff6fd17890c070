"""From the bytes of a batch to columns that can be stored: decoding, judging, leaving out. Pure.

A batch that is sound is decoded in one go; else each event is decoded by itself, so that a bad
one never fails its neighbours.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections import Counter
from typing import Any

import msgspec

from pinwheel.insight.tracking.model import (
    AHEAD,
    EVENTS_AT_ONCE,
    LATE,
    NOTHING,
    PROPERTIES_BYTES,
    SKEW,
    Beacon,
    BeaconEvent,
    Context,
    Incoming,
    NotABatch,
    Schema,
    Source,
    TooManyEvents,
    shape_of,
)

_ALL = msgspec.json.Decoder(list[Incoming]).decode
_ALL_LINES = msgspec.json.Decoder(Incoming).decode_lines
_EACH = msgspec.json.Decoder(list[msgspec.Raw])
_ONE = msgspec.json.Decoder(Incoming)
_OF_BEACON = msgspec.json.Decoder(BeaconEvent)
_BEACON = msgspec.json.Decoder(Beacon)
_CONTEXT = msgspec.json.Decoder(Context)
NUL = b"\\u0000"  # JSON may hold it, PostgreSQL's text may not
RAW_BYTES = 16_384
IDENTIFIERS = ("visitor_id", "session_id", "person_id", "context")


class Known:
    """A schema and the decoder of its properties."""

    __slots__ = ("decode", "is_analytics", "is_server", "purpose", "schema", "version")

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.version = schema.version
        self.purpose = schema.purpose
        self.is_server = schema.origin == "server"
        self.is_analytics = schema.purpose == "analytics"
        self.decode = msgspec.json.Decoder(shape_of(schema)).decode


class Registry:
    """Every schema by (name, version); version 0 is the newest."""

    def __init__(self, schemas: list[Schema]) -> None:
        self.known: dict[tuple[str, int], Known] = {}
        for schema in sorted(schemas, key=lambda s: s.version):
            known = Known(schema)
            self.known[schema.name, schema.version] = known
            self.known[schema.name, 0] = known

    def newest(self, name: str) -> Schema | None:
        found = self.known.get((name, 0))
        return found.schema if found else None


class Bad(msgspec.Struct):
    """An event that can't be taken, and why; ``at`` is its place in the batch."""

    at: int
    reason: str
    detail: str
    name: str = ""
    raw: str | None = None
    visitor_id: str = ""
    person_id: uuid.UUID | None = None


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """Who sends, as the server knows it."""

    source: Source
    now: dt.datetime
    bot_reason: str = ""
    person_id: uuid.UUID | None = None  # a first-party session's; a program says it in the event
    may_identify: bool = False
    refuses: bool = False  # Do Not Track or Global Privacy Control


class Columns:
    """What was taken of one batch, column by column, and what was not."""

    __slots__ = (
        *("bad", "bot_reasons", "contexts", "duplicates", "event_ids", "linked", "names"),
        *("occurred_ats", "person_ids", "properties", "purposes", "session_ids", "source"),
        *("versions", "visitor_ids", "withheld"),
    )

    def __init__(self, source: Source) -> None:
        self.source = source
        self.event_ids: list[uuid.UUID] = []
        self.names: list[str] = []
        self.versions: list[int] = []
        self.occurred_ats: list[dt.datetime] = []
        self.visitor_ids: list[str] = []
        self.person_ids: list[uuid.UUID | None] = []
        self.session_ids: list[str] = []
        self.bot_reasons: list[str] = []
        self.purposes: list[str] = []
        self.properties: list[msgspec.Raw] = []
        self.contexts: list[msgspec.Raw] = []
        self.bad: list[Bad] = []
        self.withheld: Counter[str] = Counter()
        self.duplicates: Counter[str] = Counter()
        self.linked: set[tuple[str, uuid.UUID]] = set()

    def extend(self, other: Columns) -> None:
        self.event_ids += other.event_ids
        self.names += other.names
        self.versions += other.versions
        self.occurred_ats += other.occurred_ats
        self.visitor_ids += other.visitor_ids
        self.person_ids += other.person_ids
        self.session_ids += other.session_ids
        self.bot_reasons += other.bot_reasons
        self.purposes += other.purposes
        self.properties += other.properties
        self.contexts += other.contexts
        self.withheld += other.withheld
        self.duplicates += other.duplicates


def read_batch(body: bytes, registry: Registry, sender: Sender) -> Columns:
    """A JSON array, or one object a line. ``NotABatch``, ``TooManyEvents``."""
    lined = body.lstrip()[:1] != b"["
    columns = Columns(sender.source)
    if NUL not in body:
        try:
            events = _ALL_LINES(body) if lined else _ALL(body)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            pass
        else:
            _counted(len(events))
            judge(events, columns, registry, sender)
            return columns
    placed = _one_by_one(_parts(body, lined), columns)
    _judge_placed(placed, columns, registry, sender)
    return columns


def read_beacon(body: bytes, registry: Registry, sender: Sender, device: str) -> Columns:
    """What a page sent: the identifiers and the context stand once. ``NotABatch``."""
    columns = Columns(sender.source)
    try:
        beacon = _BEACON.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise NotABatch(why=str(error)[:200]) from error
    _counted(len(beacon.events))
    beacon.context.device = device
    context = msgspec.Raw(msgspec.json.encode(beacon.context))
    whose: dict[str, Any] = {
        "sent_at": beacon.sent_at,
        "visitor_id": beacon.visitor_id,
        "session_id": beacon.session_id,
        "consent": beacon.consent and not sender.refuses,
    }
    placed: list[tuple[int, Incoming]] = []
    for at, raw in enumerate(beacon.events):
        one = _decoded(at, bytes(raw), columns, _OF_BEACON, whose["consent"] is True)
        if one is not None:
            event = Incoming(
                id=one.id,
                name=one.name,
                occurred_at=one.occurred_at,
                properties=one.properties,
                version=one.version,
                context=context,
                **whose,
            )
            placed.append((at, event))
    _judge_placed(placed, columns, registry, sender, trusted_context=True)
    return columns


def read_again(raw: str, registry: Registry, sender: Sender) -> Columns:
    """One event out of quarantine, held to the newest schema."""
    columns = Columns(sender.source)
    placed = _one_by_one([raw.encode()], columns)
    for _, event in placed:
        event.version = 0
    _judge_placed(placed, columns, registry, sender)
    return columns


def _counted(events: int) -> None:
    if events > EVENTS_AT_ONCE:
        raise TooManyEvents(most=EVENTS_AT_ONCE)


def _parts(body: bytes, lined: bool) -> list[bytes]:
    if lined:
        parts = [line for line in body.split(b"\n") if line.strip()]
    else:
        try:
            parts = [bytes(raw) for raw in _EACH.decode(body)]
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise NotABatch(why=str(error)[:200]) from error
    _counted(len(parts))
    return parts


def _one_by_one(parts: list[bytes], columns: Columns) -> list[tuple[int, Incoming]]:
    """Those that are events, each with its place in the batch."""
    found = []
    for at, part in enumerate(parts):
        event = _decoded(at, part, columns, _ONE)
        if event is not None:
            found.append((at, event))
    return found


def _judge_placed(
    placed: list[tuple[int, Incoming]], columns: Columns, *how: Any, **more: Any
) -> None:
    """``judge`` for what is left of a batch: faults are told by their place in the whole."""
    before = len(columns.bad)
    judge([event for _, event in placed], columns, *how, **more)
    for one in columns.bad[before:]:
        one.at = placed[one.at][0]
    columns.bad.sort(key=lambda one: one.at)


def _decoded(
    at: int, part: bytes, columns: Columns, decoder: Any, consents: bool | None = None
) -> Any:
    """One event, or None and why in ``columns.bad``."""
    reason = "nul" if NUL in part else ""
    detail = "a string holds U+0000"
    if not reason:
        try:
            return decoder.decode(part)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            reason = "shape" if isinstance(error, msgspec.ValidationError) else "unreadable"
            detail = str(error)[:500]
    columns.bad.append(_bad_part(at, reason, detail, part, consents))
    return None


def _bad_part(at: int, reason: str, detail: str, part: bytes, consents: bool | None) -> Bad:
    """What can be kept of an event that is no event: its identifiers only with consent."""
    name, visitor_id, raw = "", "", None
    try:
        loose = msgspec.json.decode(part)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        loose = None
    if isinstance(loose, dict):
        allowed = loose.get("consent") is True if consents is None else consents
        if not allowed:
            for identifier in IDENTIFIERS:
                loose.pop(identifier, None)
        name = _text(loose.get("name"))
        visitor_id = _text(loose.get("visitor_id"))
        if len(part) <= RAW_BYTES and reason != "nul":
            raw = msgspec.json.encode(loose).decode()
    return Bad(at, reason, detail.replace("\0", ""), name, raw, visitor_id)


def _text(value: Any) -> str:
    return value.replace("\0", "")[:64] if isinstance(value, str) else ""


def judge(
    events: list[Incoming],
    columns: Columns,
    registry: Registry,
    sender: Sender,
    *,
    trusted_context: bool = False,
) -> None:
    """Put what can be taken into ``columns``, and what can't into ``columns.bad``. The hot loop:
    it runs for each event."""
    known, now, seen = registry.known, sender.now, set[uuid.UUID]()
    early, late, slow, fast = now - LATE, now + AHEAD, now - SKEW, now + SKEW
    context_sound: Any = NOTHING
    for at, event in enumerate(events):
        found = known.get((event.name, event.version))
        if found is None:
            columns.bad.append(_bad(at, event, "unknown", "no schema has this name and version"))
            continue
        if found.is_server and sender.source != "server":
            columns.bad.append(_bad(at, event, "server_only", "only the server says this"))
            continue
        raw = event.properties
        try:
            found.decode(raw)
            if event.context is not context_sound and not trusted_context:
                _CONTEXT.decode(event.context)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            columns.bad.append(_bad(at, event, "properties", str(error)[:500]))
            continue
        if len(raw) > PROPERTIES_BYTES:
            columns.bad.append(_bad(at, event, "too_large", "more than 8 KB of properties"))
            continue
        at_time, sent_at = event.occurred_at, event.sent_at
        if sent_at is not None and not slow <= sent_at <= fast:
            at_time += now - sent_at
        if not early <= at_time <= late:
            reason = "too_late" if at_time < early else "in_the_future"
            columns.bad.append(_bad(at, event, reason, f"occurred_at is {event.occurred_at}"))
            continue
        if event.id in seen:
            columns.duplicates[event.name] += 1
            continue
        seen.add(event.id)
        _keep(event, found, at_time, columns, sender)


def _keep(
    event: Incoming, found: Known, at_time: dt.datetime, columns: Columns, sender: Sender
) -> None:
    person_id = None
    if event.consent:
        person_id = event.person_id if sender.may_identify else sender.person_id
        columns.visitor_ids.append(event.visitor_id)
        columns.session_ids.append(event.session_id)
        columns.contexts.append(event.context)
        if person_id is not None and event.visitor_id:
            columns.linked.add((event.visitor_id, person_id))
    elif found.is_analytics:
        columns.withheld[event.name] += 1
        return
    else:
        columns.visitor_ids.append("")
        columns.session_ids.append("")
        columns.contexts.append(NOTHING)
    columns.person_ids.append(person_id)
    columns.event_ids.append(event.id)
    columns.names.append(event.name)
    columns.versions.append(found.version)
    columns.occurred_ats.append(at_time)
    columns.bot_reasons.append(sender.bot_reason)
    columns.purposes.append(found.purpose)
    columns.properties.append(event.properties)


def _bad(at: int, event: Incoming, reason: str, detail: str) -> Bad:
    """With what is needed to try it again; without consent nobody can be told by it."""
    kept = event
    if not event.consent:
        kept = msgspec.structs.replace(event, visitor_id="", session_id="", person_id=None,
                                       context=NOTHING)  # fmt: skip
    fits = len(event.properties) + len(event.context) <= RAW_BYTES
    return Bad(
        at,
        reason,
        detail,
        event.name[:64],
        msgspec.json.encode(kept).decode(errors="replace") if fits else None,
        kept.visitor_id,
        kept.person_id,
    )
