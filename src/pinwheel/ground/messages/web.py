"""The programs' door of messages: letters, the staff's own wording, consent, bounces."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.ground.messages import actions, bounces, consent, holding, queries, staff_letters
from pinwheel.ground.messages.bounces import Notice, Told
from pinwheel.ground.messages.model import (
    BounceRefused,
    NewMessage,
    NoAddress,
    NotSubscribed,
    Purpose,
    Queued,
    Rules,
    Slug,
    Suppressed,
    Template,
    UnknownTemplate,
)
from pinwheel.ground.messages.queries import LetterLine, LetterSight
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import Refusal
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, Limit, get, post, put

TAGS = ("messages",)
SCOPE = "messages"
Cursor = Annotated[str, Meta(max_length=500)]
Text = Annotated[dict[str, Annotated[str, Meta(max_length=20_000)]], Meta(max_length=4)]
Fact = Annotated[str, Meta(max_length=2_000)]
SIGN_UPS = (("letters", Limit(10, 60)),)


@get("/api/v1/messages", scope=SCOPE, tags=TAGS)
async def letters(
    tx: Tx,
    state: Annotated[str, Meta(max_length=20)] | None = None,
    purpose: Purpose | None = None,
    after: Cursor | None = None,
) -> Answer[Page[LetterLine]]:
    """Letters, the newest first."""
    return Answer(await queries.letters(tx, state=state, purpose=purpose, cursor=after))


class LetterWords(msgspec.Struct, frozen=True):
    """``text`` None: the words have served and are forgotten."""

    line: LetterLine
    attempts: int
    text: str | None


@get("/api/v1/messages/{message_id:uuid}", scope=SCOPE, tags=TAGS)
async def letter(tx: Tx, message_id: UUID) -> Answer[LetterWords]:
    """One letter with its words."""
    found: LetterSight = await queries.letter(tx, message_id)
    return Answer(LetterWords(found.line, found.attempts, found.text))


class ToSend(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A letter by the staff's template ``template``, to a person or an address, once for each
    ``key``."""

    key: Annotated[str, Meta(min_length=1, max_length=200)]
    purpose: Purpose
    template: Slug
    person_id: UUID | None = None
    email: Annotated[str, Meta(max_length=254)] | None = None
    facts: Annotated[dict[str, Fact], Meta(max_length=50)] = {}


@post(
    "/api/v1/messages",
    scope=SCOPE,
    tags=TAGS,
    refusals=(NoAddress, NotSubscribed, Suppressed, UnknownTemplate),
    status=202,
)
async def send(call: Call, tx: Tx, data: ToSend) -> Answer[Queued]:
    """Have one letter sent. The rules of marketing hold for programs too."""
    new = NewMessage(
        scope=f"api:{call.caller.person()}",
        key=data.key,
        purpose=data.purpose,
        template=data.template,
        person_id=data.person_id,
        email=data.email,
        facts=data.facts,
    )
    (answer,) = await actions.send(tx, [new])
    if isinstance(answer, Refusal):
        raise answer
    return Answer(answer)


@get("/api/v1/message-templates", scope=SCOPE, tags=TAGS)
async def all_templates(tx: Tx) -> Answer[list[Template]]:
    """The staff's letters, each in its newest version."""
    return Answer(await staff_letters.templates(tx))


class Wording(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Subject and text in both languages (``en``, ``zh-CN``)."""

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    subject: Text
    body: Text


class Version(msgspec.Struct, frozen=True):
    slug: str
    version: int


@put("/api/v1/message-templates/{slug:str}", scope=SCOPE, tags=TAGS)
async def save(tx: Tx, slug: Slug, data: Wording) -> Answer[Version]:
    """Save a letter as its next version."""
    slug = msgspec.convert(slug, Slug)
    saved = await staff_letters.save_template(tx, slug, data.name, data.subject, data.body)
    return Answer(Version(slug, saved))


@get("/api/v1/message-rules", scope=SCOPE, tags=TAGS)
async def rules_now(tx: Tx) -> Answer[Rules]:
    """What holds for marketing letters."""
    return Answer(await holding.rules(tx))


@put("/api/v1/message-rules", scope=SCOPE, tags=TAGS)
async def set_rules(tx: Tx, data: Rules) -> Answer[Rules]:
    """Set what holds for marketing letters, from the next one on."""
    await holding.set_rules(tx, data)
    return Answer(data)


class SignUp(msgspec.Struct, frozen=True):
    """``wording``: the words that were shown beside the button."""

    email: Annotated[str, Meta(min_length=3, max_length=254)]
    wording: Annotated[str, Meta(min_length=1, max_length=500)]
    zone: Annotated[str, Meta(max_length=64)] | None = None


class Asked(msgspec.Struct, frozen=True):
    """The same whether or not the address is known."""

    letter_on_its_way: bool = True


@post("/api/v1/subscriptions", tags=TAGS, limits=SIGN_UPS, status=202)
async def sign_up(call: Call, tx: Tx, data: SignUp) -> Answer[Asked]:
    """Ask for letters about offers; the address confirms by the link it is sent."""
    await consent.subscribe(
        tx,
        data.email,
        language=call.language,
        wording=data.wording,
        source="/api/v1/subscriptions",
        zone=consent.known_zone(data.zone),
    )
    return Answer(Asked())


@post(
    "/api/v1/webhooks/mail",
    csrf=False,
    anonymous=True,
    body_bytes=1_000_000,
    refusals=(BounceRefused,),
    tags=TAGS,
)
async def notices(call: Call, tx: Tx) -> Answer[Told]:
    """Bounces and complaints, a JSON list of notices signed as Standard Webhooks."""
    said: list[Notice] = bounces.verified(tx.db, call.headers, await call.body())
    return Answer(await bounces.take_notices(tx, said))
