"""Routes of audiences, for programs. Every one takes the right ``audience``; whoever asks about one
person is recorded with that person."""

from __future__ import annotations

import uuid
from typing import Annotated

import msgspec
from msgspec import Meta

from pinwheel.ground import identity
from pinwheel.insight.audience import actions, queries, rfm, values
from pinwheel.insight.audience.explaining import Explanation, explain
from pinwheel.insight.audience.model import (
    FIRST,
    NewSegment,
    NotForPrices,
    Place,
    ProtectedAttribute,
    RuleUnclear,
    Segment,
    SegmentCycle,
    SegmentUsed,
    TooManySegments,
)
from pinwheel.kernel import listing
from pinwheel.kernel.db import Database, Tx
from pinwheel.kernel.listing import Page
from pinwheel.kernel.web import Answer, Call, Limit, delete, get, post, put

TAGS = ("audience",)
RIGHT = "audience"
AT = "/api/v1/segments/{segment_id:uuid}"
RULES = (RuleUnclear, ProtectedAttribute, NotForPrices, SegmentCycle)
COSTLY = (("audience-preview", Limit(60, 60)),)


class Count(msgspec.Struct):
    count: int


class Rfm(msgspec.Struct):
    """A market's grid, its named segments and the moves since the month began."""

    market: str
    grid: list[rfm.Cell]
    names: list[rfm.Named]
    migration: list[rfm.Migration]


class Values(msgspec.Struct):
    """A market's values in groups, with the fit they come from; None before the first."""

    market: str
    model: values.Model | None
    groups: list[values.Group]


class Caps(msgspec.Struct):
    person_ids: Annotated[list[uuid.UUID], Meta(min_length=1, max_length=1_000)]
    currency: Annotated[str, Meta(pattern=r"^[A-Z]{3}$")]


class Cap(msgspec.Struct):
    person_id: uuid.UUID
    cap_minor: int


class Places(msgspec.Struct):
    places: Annotated[list[Place], Meta(min_length=1, max_length=1_000)]


@get("/api/v1/segments", tags=TAGS, scope=RIGHT)
async def segments(tx: Tx) -> Answer[list[queries.SegmentLine]]:
    """Every segment with its size, its holdout, entries and exits of the last 7 days."""
    return Answer(await queries.segments(tx))


@post(
    "/api/v1/segments",
    tags=TAGS,
    scope=RIGHT,
    once=True,
    status=201,
    refusals=(*RULES, TooManySegments),
)
async def make_segment(tx: Tx, data: NewSegment) -> Answer[Segment]:
    """Make a segment. Its members are counted at once, and followed from then on."""
    return Answer(await actions.save_segment(tx, data), status=201)


@post("/api/v1/segments/preview", tags=TAGS, scope=RIGHT, limits=COSTLY, refusals=RULES)
async def preview(tx: Tx, data: NewSegment) -> Answer[queries.Preview]:
    """How many a rule holds for, with a few of them; nothing is saved."""
    return Answer(await queries.preview(tx, data))


@get("/api/v1/segments/overlap", tags=TAGS, scope=RIGHT)
async def overlap(tx: Tx) -> Answer[list[queries.Overlap]]:
    """How many people the 12 newest segments share, two by two."""
    newest = [line.id for line in await queries.segments(tx)][:12]
    return Answer(await queries.overlap(tx, newest))


@get(AT, tags=TAGS, scope=RIGHT)
async def segment(tx: Tx, segment_id: uuid.UUID) -> Answer[Segment]:
    """One segment and its rule."""
    return Answer(await queries.segment(tx, segment_id))


@put(AT, tags=TAGS, scope=RIGHT, refusals=RULES)
async def edit_segment(tx: Tx, segment_id: uuid.UUID, data: NewSegment) -> Answer[Segment]:
    """Say it otherwise; members are counted again."""
    return Answer(await actions.save_segment(tx, data, segment_id))


@delete(AT, tags=TAGS, scope=RIGHT, refusals=(SegmentUsed,))
async def archive_segment(tx: Tx, segment_id: uuid.UUID) -> Answer[Count]:
    """Nobody is in it any more; its history stays."""
    await actions.archive_segment(tx, segment_id)
    return Answer(Count(1))


@get(f"{AT}/members", tags=TAGS, scope=RIGHT)
async def members(
    tx: Tx,
    segment_id: uuid.UUID,
    after: str | None = None,
    limit: Annotated[int, Meta(ge=1, le=1_000)] = 100,
) -> Answer[Page[queries.Member]]:
    """Who is in it, in the order of ids; ``after`` is the ``next`` of the page before."""
    at = listing.after(after, uuid.UUID)
    found = await queries.members(tx, segment_id, at[0] if at else FIRST, limit + 1)
    return Answer(listing.page(found, limit, lambda m: (m.person_id,)))


@get(f"{AT}/history", tags=TAGS, scope=RIGHT)
async def history(
    tx: Tx, segment_id: uuid.UUID, days: Annotated[int, Meta(ge=1, le=366)] = 60
) -> Answer[list[queries.Day]]:
    """Size, entries and exits of each day (UTC)."""
    return Answer(await queries.history(tx, segment_id, days))


@get(AT + "/people/{person_id:uuid}", tags=TAGS, scope=RIGHT)
async def why(
    call: Call, db: Database, segment_id: uuid.UUID, person_id: uuid.UUID
) -> Answer[Explanation]:
    """Why somebody is in the segment, or is not, condition by condition. Looking is recorded."""
    async with db.transaction(actor=call.caller.actor, request_id=call.request_id) as tx:
        found = await explain(tx, segment_id, person_id)
        await identity.record_access(tx, [person_id], "segment", "api")
    return Answer(found)


@get("/api/v1/rfm/{market:str}", tags=TAGS, scope=RIGHT)
async def rfm_of(tx: Tx, market: str) -> Answer[Rfm]:
    """A market's buyers by recency, frequency and money."""
    return Answer(
        Rfm(
            market,
            await rfm.rfm_grid(tx, market),
            await rfm.rfm_names(tx, market),
            await rfm.migration(tx, market, tx.later_than(1)),
        )
    )


@get("/api/v1/values/{market:str}", tags=TAGS, scope=RIGHT)
async def values_of(tx: Tx, market: str, by: values.By = "band") -> Answer[Values]:
    """Lifetime values by cohort, channel, segment or band, with calibration."""
    fits = {model.market: model for model in await values.models(tx)}
    return Answer(Values(market, fits.get(market), await values.value_groups(tx, market, by)))


@post("/api/v1/values/caps", tags=TAGS, scope=RIGHT)
async def caps(tx: Tx, data: Caps) -> Answer[list[Cap]]:
    """The most a reward may cost for each of these people."""
    found = await values.reward_cap_minor(tx, data.person_ids, data.currency)
    return Answer([Cap(person_id, most) for person_id, most in found.items()])


@get("/api/v1/audience/assumptions", tags=TAGS, scope=RIGHT)
async def assumptions(tx: Tx) -> Answer[values.Assumptions]:
    """What is assumed of margins, uplift, discount and horizon."""
    return Answer(await values.assumptions(tx))


@put("/api/v1/audience/assumptions", tags=TAGS, scope=RIGHT)
async def assume(tx: Tx, data: values.Assumptions) -> Answer[values.Assumptions]:
    """Assume otherwise, from the next reckoning on."""
    await values.assume(tx, data)
    return Answer(data)


@get("/api/v1/audience/tiers", tags=TAGS, scope=RIGHT)
async def tiers(tx: Tx) -> Answer[list[Place]]:
    """Which tier each place is of."""
    return Answer(await queries.places(tx))


@put("/api/v1/audience/tiers", tags=TAGS, scope=RIGHT)
async def set_tiers(tx: Tx, data: Places) -> Answer[Count]:
    """Say which tier places are of; how many people are decided again."""
    return Answer(Count(await actions.set_tiers(tx, data.places)))
