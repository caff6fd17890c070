"""Routes of subsidies: public prices, a buyer's price match, and the programmes for programs."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from pinwheel.growth.subsidy import actions, measuring, queries
from pinwheel.growth.subsidy.measuring import Efficiency
from pinwheel.growth.subsidy.model import Goods, Match, NewGoods, NewProgramme, Programme
from pinwheel.growth.subsidy.queries import Subsidised
from pinwheel.kernel.db import Tx
from pinwheel.kernel.errors import NotFound
from pinwheel.kernel.web import Answer, Call, get, post

SCOPE, MONEY = "subsidy", "money"
TAGS = ("subsidies",)
Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$")]


class Made(msgspec.Struct, frozen=True):
    id: UUID


class MatchClaim(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """Cheaper elsewhere: ``found_minor`` a piece, with a link (https) or a picture."""

    order_id: UUID
    line: Annotated[int, Meta(ge=0, le=1000)]
    source: Annotated[str, Meta(min_length=1, max_length=120)]
    found_minor: Annotated[int, Meta(ge=1, le=10**13)]
    link: Annotated[str, Meta(max_length=2000)] = ""
    picture_id: UUID | None = None


class Answered(msgspec.Struct, forbid_unknown_fields=True):
    """``paid_minor`` 0 refuses."""

    paid_minor: Annotated[int, Meta(ge=0, le=10**13)]
    reason: Annotated[str, Meta(min_length=1, max_length=500)]


class PutGoods(msgspec.Struct, forbid_unknown_fields=True):
    goods: Annotated[list[NewGoods], Meta(min_length=1, max_length=1000)]


@get("/api/v1/subsidised-prices", tags=TAGS)
async def list_prices(tx: Tx, offer_id: UUID, currency: Currency) -> Answer[list[Subsidised]]:
    """The public subsidised price of an offer now, with what it costs elsewhere and where."""
    return Answer(list((await queries.prices(tx, [offer_id], currency)).values()))


@get("/api/v1/price-matches", tags=TAGS)
async def list_own_matches(call: Call, tx: Tx) -> Answer[list[Match]]:
    """The caller's own price-match claims."""
    return Answer(await queries.matches(tx, person_id=call.caller.person()))


@post("/api/v1/price-matches", tags=TAGS, once=True, status=201)
async def claim_match(call: Call, tx: Tx, data: MatchClaim) -> Answer[Made]:
    """A subsidised thing was cheaper elsewhere: show where. Once for each line of an order."""
    match_id = await actions.claim_match(
        tx,
        call.caller.person(),
        data.order_id,
        data.line,
        source=data.source,
        found_minor=data.found_minor,
        link=data.link,
        picture_id=data.picture_id,
    )
    return Answer(Made(match_id), status=201)


@post("/api/v1/price-matches/{match_id:uuid}/decision", scope=MONEY, tags=TAGS, status=204)
async def decide_match(tx: Tx, match_id: UUID, data: Answered) -> Answer[None]:
    """Pay a claim out of its programme's budget, or refuse it with a reason."""
    await actions.decide_match(tx, match_id, data.paid_minor, data.reason)
    return Answer(None)


@get("/api/v1/subsidies", scope=SCOPE, tags=TAGS)
async def list_programmes(tx: Tx) -> Answer[list[Programme]]:
    """The programmes, the latest first."""
    return Answer(await queries.programmes(tx))


@post("/api/v1/subsidies", scope=SCOPE, tags=TAGS, once=True, status=201)
async def plan_programme(tx: Tx, data: NewProgramme) -> Answer[Made]:
    """Plan a programme; its goods come next, then its start."""
    return Answer(Made(await actions.save_programme(tx, data)), status=201)


@get("/api/v1/subsidies/{programme_id:uuid}/goods", scope=SCOPE, tags=TAGS)
async def list_goods(tx: Tx, programme_id: UUID) -> Answer[list[Goods]]:
    """Its goods with the reference price that holds now and where it was seen."""
    return Answer(await queries.goods(tx, [(await _one(tx, programme_id)).id]))


@post("/api/v1/subsidies/{programme_id:uuid}/goods", scope=SCOPE, tags=TAGS, once=True, status=204)
async def put_goods(tx: Tx, programme_id: UUID, data: PutGoods) -> Answer[None]:
    """Add goods and what they cost elsewhere; a target stays once the programme has begun."""
    await actions.put_goods(tx, programme_id, data.goods)
    return Answer(None)


@post("/api/v1/subsidies/{programme_id:uuid}/start", scope=MONEY, tags=TAGS, status=204)
async def start_programme(tx: Tx, programme_id: UUID) -> Answer[None]:
    """It pays from its start on; its terms stay as they are."""
    await actions.start(tx, programme_id)
    return Answer(None)


@post("/api/v1/subsidies/{programme_id:uuid}/stop", scope=SCOPE, tags=TAGS, status=204)
async def stop_programme(tx: Tx, programme_id: UUID) -> Answer[None]:
    """It pays no more; what is reserved stays promised."""
    await actions.stop(tx, programme_id)
    return Answer(None)


@get("/api/v1/subsidies/{programme_id:uuid}/efficiency", scope=SCOPE, tags=TAGS)
async def see_efficiency(tx: Tx, programme_id: UUID) -> Answer[Efficiency]:
    """What each unit of subsidy brought that would not have come anyway, or that nobody
    measured it."""
    return Answer(await measuring.efficiency(tx, await _one(tx, programme_id)))


async def _one(tx: Tx, programme_id: UUID) -> Programme:
    found = await queries.programmes(tx, [programme_id])
    if not found:
        raise NotFound(what="programme")
    return found[0]
