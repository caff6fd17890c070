"""Reviews, questions and answers that wait for somebody to look."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.faces.console.frame import attempt, shown, with_query
from pinwheel.faces.console.queries import titles
from pinwheel.growth import community
from pinwheel.growth.community import Queued, Verdict
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, See, get, post

MODERATES = "community"


@get("/console/reviews", scope=MODERATES)
async def review_queue(call: Call, tx: Tx, after: str | None = None) -> Answer[Page[Queued]]:
    """What waits for a moderator, the oldest first, each with its reasons."""
    found = await community.queue(tx, cursor=after, limit=30)
    return await shown(
        call,
        tx,
        found,
        "reviews",
        call.say("Reviews"),
        "reviews",
        titles=await titles(tx, {q.product_id for q in found.items}),
        next_path=with_query("/console/reviews", after=found.next) if found.next else None,
        first_path="/console/reviews" if after else None,
    )


class VerdictForm(msgspec.Struct):
    """``publish``: let it stand, or reject it with a word to its writer."""

    id: UUID
    publish: bool
    note: Annotated[str, Meta(max_length=500)] = ""


@post("/console/reviews", scope=MODERATES)
async def decide(call: Call, db: Database, data: VerdictForm) -> See[Any]:
    """Publish or reject; what a moderator has published is not hidden again by rules."""

    async def verb(tx: Tx) -> int:
        return await community.moderate(tx, [Verdict(data.id, data.publish, data.note)])

    text = call.say("It stands.") if data.publish else call.say("Rejected.")
    return await attempt(call, db, verb, "/console/reviews", text)


class ReplyForm(msgspec.Struct):
    words: Annotated[str, Meta(max_length=2000)] = ""


@post("/console/reviews/{review_id:uuid}/reply", scope=MODERATES)
async def reply(call: Call, db: Database, review_id: UUID, data: ReplyForm) -> See[Any]:
    """The shop's answer below a review."""

    async def verb(tx: Tx) -> None:
        await community.reply(tx, review_id, data.words)

    return await attempt(call, db, verb, "/console/reviews", call.say("Saved."))
