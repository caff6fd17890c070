"""Doors of tracking: batches from programs, beacons from pages, schemas, quarantine, the feed."""

from __future__ import annotations

import uuid
from typing import Annotated
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from pinwheel.insight.tracking import linking, mending, queries, registry
from pinwheel.insight.tracking.actions import Receipt
from pinwheel.insight.tracking.intake import intake_of
from pinwheel.insight.tracking.mending import Quarantined, ReasonCount, Replayed, Which
from pinwheel.insight.tracking.model import (
    BODY_BYTES,
    Id,
    NewSchema,
    NotABatch,
    Schema,
    SchemaIncompatible,
    TooManyEvents,
    device_of,
    robot_reason,
)
from pinwheel.insight.tracking.queries import Position, TrackedFeed, Volume
from pinwheel.insight.tracking.taking import Sender, read_batch, read_beacon
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.errors import Refusal, Unauthenticated
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, File, Limit, get, post

TAGS = ("tracking",)
SCOPE, READ = "tracking", "tracking:read"
BEACON_BYTES = 200_000
PageSize = Annotated[int, Meta(ge=1, le=1000)]


class NotFromHere(Refusal):
    status = 403
    en = "Only the shop's own pages may send this; a program sends batches with a key."
    zh = "仅本店页面可发送此内容；程序请使用密钥批量发送。"


def _refuses(call: Call) -> bool:
    """Do Not Track or Global Privacy Control: the browser says no for its person."""
    return call.headers.get("sec-gpc") == "1" or call.headers.get("dnt") == "1"


def _must_be_own_page(call: Call) -> None:
    """A beacon has no form token: the browser's own word for where it comes from is asked."""
    headers = call.headers
    here = {headers.get("host", ""), urlsplit(call.app.state["edge"].public_url).netloc} - {""}
    origin = headers.get("origin", "")
    said = headers.get("sec-fetch-site")
    if said not in (None, "same-origin") or (origin and urlsplit(origin).netloc not in here):
        raise NotFromHere()
    if said is None and not origin:
        raise NotFromHere()


def _first_party(call: Call) -> Sender:
    return Sender(
        source="web",
        now=call.db.clock.now(),
        bot_reason=robot_reason(call.headers.get("user-agent")),
        person_id=call.caller.person_id if call.caller.is_known else None,
        refuses=_refuses(call),
    )


@post(
    "/api/v1/tracking/events",
    tags=TAGS,
    status=202,
    body_bytes=BODY_BYTES,
    refusals=(NotABatch, TooManyEvents),
)
async def events(call: Call) -> Answer[Receipt]:
    """Take a batch: a JSON array of events, or one a line (NDJSON); 5,000 at most.

    With an API key that has the right ``tracking``, or in a session of the shop. What is answered
    as accepted is durable. An event: ``id`` (UUID; a second copy within eight days is counted
    once), ``name``, ``occurred_at``, ``properties``; ``sent_at`` puts a wrong clock right;
    without ``consent: true`` no identifier is kept, and an event that takes consent is left out."""
    caller = call.caller
    if caller.kind == "program":
        caller.require(SCOPE)
        sender = Sender(source="api", now=call.db.clock.now(), may_identify=True)
    elif call.token:
        sender = _first_party(call)
    else:
        raise Unauthenticated()
    known = await registry.registry_of(call.db)
    columns = read_batch(await call.body(), known, sender)
    return Answer(await intake_of(call.db)(columns))


@post(
    "/api/v1/tracking/beacon",
    tags=TAGS,
    status=202,
    csrf=False,
    body_bytes=BEACON_BYTES,
    limits=(("tracking-beacon", Limit(120, 0.5)),),
    refusals=(NotABatch, TooManyEvents, NotFromHere),
)
async def beacon(call: Call) -> Answer[Receipt]:
    """What a page sends as it goes (``navigator.sendBeacon``, text/plain): identifiers and context
    once, then its events. Only from the shop's own pages. A browser that asks not to be tracked is
    believed, whatever the page says."""
    _must_be_own_page(call)
    known = await registry.registry_of(call.db)
    device = device_of(call.headers.get("user-agent"))
    columns = read_beacon(await call.body(), known, _first_party(call), device)
    return Answer(await intake_of(call.db)(columns))


class VisitorConsent(msgspec.Struct):
    visitor_id: Annotated[Id, Meta(min_length=8)]
    is_granted: bool


@post(
    "/api/v1/tracking/consent",
    tags=TAGS,
    status=204,
    csrf=False,
    limits=(("tracking-consent", Limit(20, 5)),),
    refusals=(NotFromHere,),
)
async def consent(call: Call, tx: Tx, data: VisitorConsent) -> Answer[None]:
    """What a visitor says of being counted. From now on what is received keeps to it, also from a
    page that is still open."""
    _must_be_own_page(call)
    await linking.say(tx, [(f"visitor:{data.visitor_id}", data.is_granted)])
    return Answer(None)


@get("/api/v1/tracking/trap", tags=TAGS)
async def trap(call: Call, db: Database, session_id: Id = "") -> File:
    """A link that no person sees and ``robots.txt`` forbids: whoever follows it is a program."""
    session = session_id or str(call.caller.session_id or "")
    if session:
        async with db.transaction(actor=call.caller.actor) as tx:
            await linking.suspect(tx, session, "honeypot")
    return File(b"", "text/plain", headers={"x-robots-tag": "noindex, nofollow"})


@get("/api/v1/tracking/schemas", scope=READ, tags=TAGS)
async def schemas(tx: Tx) -> Answer[list[Schema]]:
    """Every version of every event."""
    return Answer(await registry.schemas(tx))


@post(
    "/api/v1/tracking/schemas",
    scope=SCOPE,
    tags=TAGS,
    status=201,
    refusals=(SchemaIncompatible,),
)
async def add_schema(tx: Tx, data: NewSchema) -> Answer[Schema]:
    """A new event, or the next version of one: it may add optional properties and allow more."""
    return Answer(await registry.add_schema(tx, data))


@get("/api/v1/tracking/feed", scope=READ, tags=TAGS)
async def feed(tx: Tx, after: Position = 0, limit: PageSize = 500) -> Answer[TrackedFeed]:
    """Events after a position, none skipped. Begin at 0 to replay all that is kept."""
    return Answer(await queries.feed(tx, after=after, limit=limit))


@get("/api/v1/tracking/volumes", scope=READ, tags=TAGS)
async def volumes(tx: Tx) -> Answer[list[Volume]]:
    """The last sixty minutes by name."""
    return Answer(await queries.volumes(tx))


@get("/api/v1/tracking/quarantine", scope=SCOPE, tags=TAGS)
async def quarantine(
    tx: Tx,
    reason: Annotated[str, Meta(max_length=40)] = "",
    name: Annotated[str, Meta(max_length=64)] = "",
    after: str | None = None,
    limit: PageSize = 50,
) -> Answer[Page[Quarantined]]:
    """Events that could not be taken, with the reason of each, the newest first."""
    return Answer(
        await mending.quarantined(tx, reason=reason, name=name, cursor=after, limit=limit)
    )


@get("/api/v1/tracking/quarantine/reasons", scope=SCOPE, tags=TAGS)
async def quarantine_reasons(tx: Tx) -> Answer[list[ReasonCount]]:
    """What waits, by reason and name."""
    return Answer(await mending.reasons(tx))


@post("/api/v1/tracking/quarantine/replay", scope=SCOPE, tags=TAGS)
async def replay(tx: Tx, data: Which) -> Answer[Replayed]:
    """Try a thousand again under today's schemas."""
    return Answer(await mending.replay(tx, data))


class Pair(msgspec.Struct):
    visitor_id: Annotated[Id, Meta(min_length=1)]
    person_id: uuid.UUID


class Links(msgspec.Struct):
    links: int


@post("/api/v1/tracking/links/undo", scope="people", tags=TAGS)
async def undo_link(tx: Tx, data: Pair) -> Answer[Links]:
    """This visitor was not this person: take their stitching apart."""
    return Answer(Links(await linking.unlink(tx, data.visitor_id, data.person_id)))


@post("/api/v1/tracking/links/redo", scope="people", tags=TAGS)
async def redo_link(tx: Tx, data: Pair) -> Answer[Links]:
    """It was this person after all: the stitching stands again as it did."""
    return Answer(Links(await linking.relink(tx, data.visitor_id, data.person_id)))
